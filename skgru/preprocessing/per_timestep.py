"""A transformer of rows, applied to the time steps of sequences."""

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skgru._constraints import Interval
from skgru._sklearn import HasMethods, Tags, available_if, fit_context
from skgru.preprocessing.base import SequenceTransformer, unique_names
from skgru.sequences import Sequences, check_rows, columns_of_rows, numbers, rows_like
from skgru.sequences.rows import first_like_numbers
from skgru.training.callbacks import one_task

# Time steps that `fit` transforms together, to find out whether they depend on each other.
CHECKED_STEPS = 16


def _transformer_has(name: str):
    """Say whether the wrapped transformer, fitted or not, has a method."""

    def check(self):
        return hasattr(getattr(self, "transformer_", self.transformer), name)

    return check


class PerTimestep(SequenceTransformer):
    """Apply a transformer to the time steps of sequences, as its rows.

    All time steps of all sequences become one table of shape (sum of lengths, n_channels): the
    transformer is fitted to it and transforms it, and the result gets back the form that X had.
    So a `StandardScaler` gives each channel mean 0 and variance 1 over all steps of all
    sequences, whatever their lengths.

    A step does not know which sequence it belongs to. Use `PerSequence` for what must not cross
    the borders of sequences: their own mean and scale, differences, rolling means.

    Parameters
    ----------
    transformer : estimator
        Any scikit-learn transformer that keeps the number of rows. It is cloned.
    n_channels : int, default=1
        How a two-dimensional X unfolds: a row is `n_timesteps * n_channels` values, all channels
        of the oldest step first. The channels of other forms of X are known;
        if this is not 1, it must be their number.

    Attributes
    ----------
    transformer_ : estimator
        The fitted transformer.
    n_features_in_ : int
        Columns of a two-dimensional X seen in `fit`; otherwise the channels of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X was a DataFrame with string names.

    See Also
    --------
    PerSequence : Transforms each sequence by itself.
    FillGaps : Fills missing values from those around them in the same sequence.
    Patches : Reads each sequence in overlapping patches.

    Notes
    -----
    NaN within a sequence reaches the transformer (a `SimpleImputer`, say); steps that are NaN in
    every channel at the end of a sequence of a three-dimensional X are padding and stay.

    Values may also be strings, or categories of data frames, for an `OneHotEncoder` or an
    `OrdinalEncoder`; None and NaN beside them are missing values. A list of data frames of pandas
    or polars reaches the transformer as one data frame, with its names and dtypes, so that a
    `ColumnTransformer` selects channels by name. A channel must hold strings or numbers, in all
    sequences and in `fit` and `transform` alike. Strings that are numbers, such as "1.5", are
    refused unless a transformer of categories takes them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skgru.preprocessing import PerTimestep
    >>> X = [np.array([[1.0, 10.0], [3.0, 30.0]]), np.array([[5.0, 50.0]])]
    >>> scaled = PerTimestep(StandardScaler()).fit_transform(X)
    >>> [len(sequence) for sequence in scaled]
    [2, 1]
    >>> np.concatenate(scaled).mean(axis=0)
    array([0., 0.])

    Characters, and other strings:

    >>> from sklearn.preprocessing import OneHotEncoder
    >>> first, second = PerTimestep(OneHotEncoder()).fit_transform([["a", "c", "a"], ["b"]])
    >>> first
    array([[1., 0., 0.],
           [0., 0., 1.],
           [1., 0., 0.]])
    """

    transformer_: Any

    # where users import it from, and what saved models name
    __module__ = "skgru.preprocessing"

    _columns = None  # of arrays of numbers, and in models saved before there were others

    _parameter_constraints: ClassVar[dict[Any, Any]] = {
        "transformer": [HasMethods(["fit", "transform"])],
        "n_channels": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, transformer: Any, *, n_channels: int = 1) -> None:
        self.transformer = transformer
        self.n_channels = n_channels

    @one_task
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: ArrayLike | None = None) -> Self:
        """Fit the transformer to all time steps of X.

        Parameters
        ----------
        X : array-like
            Sequences in any of the forms that the estimators take.
        y : Ignored
            A target belongs to a sequence, not to a time step.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        ValueError
            If the transformer changes the number of rows, if what it makes of a time step depends
            on other steps, if a channel holds strings beside numbers, or if it holds numbers as
            strings and no transformer of categories takes them.
        """
        sequences = self._check_X(X, self.n_channels)
        rows = sequences.values
        columns = columns_of_rows(rows)
        _refuse_numbers_in_strings(rows, self.transformer)
        transformer = clone(self.transformer).fit(rows)
        n_channels_out = _check_alone(transformer, rows[-CHECKED_STEPS:]).shape[1]
        self._record(X, sequences)
        self.transformer_, self._columns = transformer, columns
        self._n_channels_out = n_channels_out
        return self

    def transform(self, X: Any) -> np.ndarray | list[np.ndarray]:
        """Transform every time step.

        Parameters
        ----------
        X : array-like
            Sequences of the channels seen in `fit`.

        Returns
        -------
        X_transformed : ndarray or list of ndarray
            Of the form of X: (n_samples, n_timesteps, k) for three dimensions, (n_samples,
            n_timesteps * k) for two, a list of (n_timesteps_i, k) arrays for a list; k is the
            number of columns that the transformer returns.

        Raises
        ------
        NotFittedError
            If `fit` has not been called.
        ValueError
            If X has other channels than that of `fit`, or strings where it had numbers.
        """
        sequences = self._check_channels(X)
        return sequences.in_form_of_x(self._transform_rows(sequences.values))

    def _check_X(self, X: Any, n_channels: int) -> Sequences:
        return check_rows(X, n_channels=n_channels, caller=type(self).__name__)

    def _transform_rows(self, rows: Any) -> np.ndarray:
        """Transform rows that `check_rows` has returned, or arrays like them."""
        rows = rows_like(rows, self._columns, type(self).__name__)
        result = _as_rows(self.transformer_.transform(rows), rows)
        # of numbers beside strings, which a transformer has dropped or replaced
        if result.dtype == object and not any(isinstance(value, str) for value in result.flat):
            return numbers(result, f"what {type(self.transformer_).__name__} returned")
        return result

    @available_if(_transformer_has("inverse_transform"))
    def inverse_transform(self, X: Any) -> np.ndarray | list[np.ndarray]:
        """Undo the transformation of every time step.

        Parameters
        ----------
        X : array-like
            What `transform` returned, or sequences like it.

        Returns
        -------
        X_original : ndarray or list of ndarray
            Of the form of X.
        """
        check_is_fitted(self)
        sequences = super()._check_X(X, self._n_channels_out)
        rows = self.transformer_.inverse_transform(sequences.values)
        return sequences.in_form_of_x(_as_rows(rows, sequences.values))

    @available_if(_transformer_has("get_feature_names_out"))
    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Name the columns of what `transform` returns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X; those seen in `fit`, or x0, x1, …, if not given.

        Returns
        -------
        names : ndarray of str
            The transformer's names for the columns of each time step in turn if X was
            two-dimensional, with the step in front where they would repeat ("t3_pca0"); its names
            for the channels otherwise.
        """
        return unique_names(
            [
                self.transformer_.get_feature_names_out(step)
                for step in self._names_by_step(input_features)
            ]
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        of_rows = get_tags(self.transformer).input_tags
        for name in ("allow_nan", "categorical", "string"):
            setattr(tags.input_tags, name, getattr(of_rows, name))
        return tags


def _refuse_numbers_in_strings(rows: Any, transformer: Any) -> None:
    """Raise ValueError for strings such as "1.5", which transformers of numbers would parse."""
    name = first_like_numbers(rows)
    if name is None:
        return
    nested = [transformer, *transformer.get_params().values()]
    for one in nested:
        if hasattr(one, "__sklearn_tags__") and not isinstance(one, type):
            tags = get_tags(one).input_tags
            if tags.categorical or tags.string:
                return
    raise ValueError(
        f"{name} holds numbers as strings or categories, and {type(transformer).__name__} may take "
        "them for quantities. Convert them to numbers, or encode them with OneHotEncoder or "
        "OrdinalEncoder."
    )


def _check_alone(transformer: Any, steps: Any) -> np.ndarray:
    """Transform the last of some time steps, and check that the others make no difference."""
    beside, alone, again = (
        _as_rows(transformer.transform(rows), rows) for rows in (steps, steps[-1:], steps[-1:])
    )
    if alone.dtype.kind not in "biuf" or not np.array_equal(alone, again, equal_nan=True):
        return alone  # what is no number, or random at every call, cannot be compared
    tolerance = 1e-3 * float(np.fmax.reduce(np.abs(alone), axis=None, initial=0))
    if not np.allclose(beside[-1:], alone, rtol=1e-3, atol=tolerance, equal_nan=True):
        raise ValueError(
            f"{type(transformer).__name__} gives a time step other values beside other steps than "
            "alone. PerTimestep passes it the steps of all sequences as one table, so that "
            "sequences would mix. Use PerSequence for differences, moving averages and all else "
            "that looks at other steps."
        )
    return alone


def _as_rows(result: Any, steps: Any) -> np.ndarray:
    """Return what became of time steps as an array, with a row for each of them."""
    rows = result.toarray() if issparse(result) else np.asarray(result)
    if len(rows) != len(steps):
        raise ValueError(
            f"The transformer made {len(rows)} rows out of {len(steps)} time steps; PerTimestep "
            "needs one that keeps the rows. Use PerSequence for what changes the number of steps."
        )
    return rows
