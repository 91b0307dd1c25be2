"""Transformers and functions that are applied to each sequence by itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.utils import get_tags

from skgru._constraints import Interval
from skgru._sklearn import HasMethods, StrOptions, Tags, available_if, fit_context
from skgru.preprocessing.base import SequenceTransformer, unique_names
from skgru.sequences import Sequences
from skgru.training.callbacks import one_task


def _is_estimator(transformer: Any) -> bool:
    return hasattr(transformer, "fit") and hasattr(transformer, "transform")


def _has_names(self: "PerSequence") -> bool:
    if not _is_estimator(self.transformer):
        return self.feature_names_out is not None
    return hasattr(self.transformer, "get_feature_names_out")


class PerSequence(SequenceTransformer):
    """Apply a transformer or a function to each sequence by itself.

    A transformer is cloned and fitted for each sequence, on its time steps as rows:
    ``PerSequence(StandardScaler())`` gives each channel mean 0 and variance 1 within every
    sequence. A function takes a sequence and returns another: differences, rolling means,
    resampling. Nothing is learned from the training set, and nothing crosses the border of two
    sequences.

    Parameters
    ----------
    transformer : estimator or callable
        A scikit-learn transformer, or a function that takes a sequence, an array of shape
        (n_timesteps, n_channels), and returns one of shape (n_timesteps_out, n_channels_out), or
        (n_timesteps_out,) for one channel. n_timesteps_out may differ between sequences, and
        n_channels_out may not. Functions are several times faster than transformers.
    n_channels : int, default=1
        How a two-dimensional X unfolds: a row is `n_timesteps * n_channels` values, all channels
        of the oldest step first. The channels of other forms of X are known;
        if this is not 1, it must be their number.
    kw_args : dict, default=None
        Keyword arguments of the function.
    feature_names_out : callable, "one-to-one" or None, default=None
        Names of the columns that a function makes, as in
        :class:`~sklearn.preprocessing.FunctionTransformer`: "one-to-one" if they are those of X;
        or a callable that takes this transformer and the names of the columns of X. With None,
        `get_feature_names_out` is not available. Transformers name their columns themselves.

    Attributes
    ----------
    n_features_in_ : int
        Columns of a two-dimensional X seen in `fit`; otherwise the channels of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X was a DataFrame with string names.

    See Also
    --------
    PerTimestep : Fits one transformer to the time steps of all sequences.
    Patches : Reads each sequence in overlapping patches.

    Notes
    -----
    What a sequence's own mean and scale say of its class is lost to the model when they are
    removed: compare with ``PerTimestep(StandardScaler())``, or keep them as further channels.

    NaN within a sequence reaches the transformer or the function. Steps that are NaN in every
    channel at the end of a sequence of a three-dimensional X are padding and do not.

    A transformation of whole sequences cannot be streamed, nor exported to ONNX or C.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skgru.preprocessing import PerSequence
    >>> X = [np.array([[1.0], [3.0]]), np.array([[10.0], [20.0], [30.0]])]
    >>> [x.ravel().round(2).tolist() for x in PerSequence(StandardScaler()).fit_transform(X)]
    [[-1.0, 1.0], [-1.22, 0.0, 1.22]]
    >>> differences = PerSequence(np.diff, kw_args={"axis": 0})
    >>> [x.ravel().tolist() for x in differences.fit_transform(X)]
    [[2.0], [10.0, 10.0]]
    """

    # where users import it from, and what saved models name
    __module__ = "skgru.preprocessing"

    _parameter_constraints: ClassVar[dict[Any, Any]] = {
        "transformer": [HasMethods(["fit", "transform"]), callable],
        "n_channels": [Interval(Integral, 1, None, closed="left")],
        "kw_args": [dict, None],
        "feature_names_out": [callable, StrOptions({"one-to-one"}), None],
    }

    def __init__(
        self,
        transformer: Any,
        *,
        n_channels: int = 1,
        kw_args: dict[str, Any] | None = None,
        feature_names_out: Callable[..., Any] | str | None = None,
    ) -> None:
        self.transformer = transformer
        self.n_channels = n_channels
        self.kw_args = kw_args
        self.feature_names_out = feature_names_out

    @one_task
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: ArrayLike | None = None) -> Self:
        """Record the features of X; nothing else is learned.

        Parameters
        ----------
        X : array-like
            Sequences in any of the forms that the estimators take.
        y : Ignored
            Present for consistency with the API of scikit-learn.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        ValueError
            If there are `kw_args` or `feature_names_out` for a transformer instead of a function.
        """
        if _is_estimator(self.transformer):
            for name in ("kw_args", "feature_names_out"):
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"{name} belongs to a function, but transformer is a "
                        f"{type(self.transformer).__name__}."
                    )
        sequences = self._learn_X(X)
        if _is_estimator(self.transformer) and _has_names(self):
            # names of columns come from a fitted transformer
            first = sequences.values[: sequences.lengths[0]].copy()
            with self._noting(0, first):
                self._example = clone(self.transformer).fit(first)
        return self

    def transform(self, X: Any) -> np.ndarray | list[np.ndarray]:
        """Transform each sequence.

        Parameters
        ----------
        X : array-like
            Sequences of the channels seen in `fit`.

        Returns
        -------
        X_transformed : ndarray or list of ndarray
            Of the form of X: a list of (n_timesteps_out_i, n_channels_out) arrays for a list;
            (n_samples, longest n_timesteps_out, n_channels_out) for three dimensions, with NaN
            where shorter sequences have ended; (n_samples, n_timesteps_out * n_channels_out) for
            two.

        Raises
        ------
        NotFittedError
            If `fit` has not been called.
        ValueError
            If X has other channels than that of `fit`; if a sequence becomes anything but an
            array of numbers with at least one step, or gets other channels than the first; or
            if those of a two-dimensional X get different lengths.
            Errors that the transformer or the function raises have a note that names the
            sequence.
        """
        sequences = self._check_channels(X)
        results = []
        # copies: X stays as it is if a function works in place
        for i, x in enumerate(np.split(sequences.values.copy(), sequences.starts[1:])):
            with self._noting(i, x):
                result = self._transform_one(x)
            results.append(self._check_result(result, i, results))
        lengths = np.array([len(result) for result in results], dtype=np.intp)
        if sequences.form == "table" and (lengths != lengths[0]).any():
            odd = int(np.argmax(lengths != lengths[0]))
            raise ValueError(
                f"{self._what()} made {lengths[odd]} time steps of X[{odd}] and {lengths[0]} of "
                "X[0]; a two-dimensional X has no room for sequences of different lengths. Pass "
                "a list, or an array of three dimensions."
            )
        longest = int(lengths.max())
        if (lengths == sequences.lengths).all():
            longest = sequences.n_timesteps
        values = np.concatenate(results)
        return Sequences(values, lengths, longest, sequences.form).in_form_of_x(values)

    def _transform_one(self, x: np.ndarray) -> np.ndarray:
        if _is_estimator(self.transformer):
            result = clone(self.transformer).fit(x).transform(x)
        else:
            result = self.transformer(x, **(self.kw_args or {}))
        return result.toarray() if issparse(result) else np.asarray(result)

    @contextmanager
    def _noting(self, i: int, x: np.ndarray) -> Iterator[None]:
        """Say in the notes of an error which sequence was transformed."""
        try:
            yield
        except Exception as error:
            error.add_note(f"{self._what()} was applied to X[{i}], of shape {x.shape}.")
            raise

    def _check_result(self, result: np.ndarray, i: int, earlier: list[np.ndarray]) -> np.ndarray:
        """Return what became of X[i] as floating-point numbers of two dimensions."""
        if result.ndim == 1:
            result = result[:, np.newaxis]
        if result.ndim != 2 or not result.size or result.dtype.kind not in "biuf":
            raise ValueError(
                f"{self._what()} made of X[{i}] an array of shape {result.shape} and dtype "
                f"{result.dtype}; expected numbers of shape (n_timesteps, n_channels), with at "
                "least one time step."
            )
        if earlier and result.shape[1] != earlier[0].shape[1]:
            raise ValueError(
                f"{self._what()} made {result.shape[1]} channels of X[{i}] and "
                f"{earlier[0].shape[1]} of X[0]; all sequences need the same."
            )
        return result if result.dtype.kind == "f" else result.astype(np.float64)

    def _what(self) -> str:
        """Name the transformer or the function, for messages."""
        if _is_estimator(self.transformer):
            return type(self.transformer).__name__
        return getattr(self.transformer, "__name__", repr(self.transformer))

    @available_if(_has_names)
    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Name the columns of what `transform` returns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X; those seen in `fit`, or x0, x1, …, if not given.

        Returns
        -------
        names : ndarray of str
            For a function, as `feature_names_out` says. For a transformer, its names for the
            channels, or for the columns of each time step in turn if X was two-dimensional, with
            the step in front where they would repeat ("t3_pca0").
        """
        names = self._names_by_step(input_features)
        if _is_estimator(self.transformer):
            return unique_names([self._example.get_feature_names_out(step) for step in names])
        if self.feature_names_out == "one-to-one":
            return names.ravel()
        return np.asarray(self.feature_names_out(self, names.ravel()), dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        of_function = not _is_estimator(self.transformer)
        tags.input_tags.allow_nan = of_function or get_tags(self.transformer).input_tags.allow_nan
        return tags
