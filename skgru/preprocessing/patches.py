"""Sequences in overlapping patches: fewer and wider time steps."""

import warnings
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from skgru._constraints import Interval
from skgru._sklearn import StrOptions, Tags, fit_context
from skgru.preprocessing.base import SequenceTransformer
from skgru.sequences import Sequences
from skgru.training.callbacks import one_task

# size="auto" is this part of the median length, but at most LONGEST steps; stride="auto" is a
# quarter of the size
PATCHES_PER_SEQUENCE = 8
LONGEST = 16
STRIDES_PER_PATCH = 4


class Patches(SequenceTransformer):
    """Read each sequence in overlapping patches.

    A patch holds `size` successive time steps side by side, as the channels of one step; the next
    patch begins `stride` steps later. A network then takes about 1 / `stride` as many steps: long
    sequences train several times faster, gradients have a shorter way to the first steps, and
    each step shows the network a short stretch of the curve instead of a single point.

    Where a sequence ends before its last patch does, its last step is repeated. So every step is
    part of a patch, and a sequence may be shorter than `size`.

    Parameters
    ----------
    size : int or "auto", default="auto"
        Number of time steps in a patch. "auto" is an eighth of the median length of the sequences
        seen in `fit`, at least 1 and at most 16. Make it about as long as the patterns that
        matter (a heartbeat, a stride, a syllable) if these are longer or shorter; 1 leaves
        sequences as they are.
    stride : int or "auto", default="auto"
        Number of time steps from the beginning of a patch to that of the next, at most `size`.
        "auto" is a quarter of `size`, at least 1. A longer stride makes fewer steps, which is
        faster; with ``stride=size`` patches do not overlap, and what stands on the border of two
        is harder to see.
    n_channels : int, default=1
        How a two-dimensional X unfolds: a row is `n_timesteps * n_channels` values, all channels
        of the oldest step first. The channels of other forms of X are known;
        if this is not 1, it must be their number.

    Attributes
    ----------
    size_ : int
        Number of time steps in a patch.
    stride_ : int
        Number of time steps between the beginnings of patches.
    n_features_in_ : int
        Columns of a two-dimensional X seen in `fit`; otherwise the channels of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X was a DataFrame with string names.

    Warns
    -----
    UserWarning
        If ``size="auto"`` meets a two-dimensional X. Set `n_channels` of the estimator to the
        new number of channels.

    See Also
    --------
    PerTimestep : Applies a transformer to each time step; scale channels before patching.
    PerSequence : Transforms each sequence by itself.
    skgru.streaming.stream : Predictions of a pipeline with patches after every time step.

    Notes
    -----
    Patch k of a sequence of T steps holds its steps k · stride to k · stride + size - 1, the
    oldest first, all channels of a step side by side. There are 1 + ⌈max(T - size, 0) / stride⌉
    patches. No patch looks ahead, so that predictions can be streamed.

    NaN within a sequence stays where it is. Steps that are NaN in every channel at the end of a
    sequence of a three-dimensional X are padding: they are no part of any patch, and sequences of
    fewer patches are padded in turn.

    Patches of a two-dimensional X are again two-dimensional: an estimator that reads them needs
    ``n_channels=size * n_channels``. With ``X[:, :, np.newaxis]`` instead of a univariate X it
    sees the channels itself.

    With `return_sequences`, an estimator makes one prediction per patch, and its y needs an entry
    for each.

    References
    ----------
    .. [1] Y. Nie, N. H. Nguyen, P. Sinthong, J. Kalagnanam. "A time series is worth 64 words:
       long-term forecasting with transformers". ICLR 2023. arXiv:2211.14730.

    Examples
    --------
    >>> import numpy as np
    >>> from skgru.preprocessing import Patches
    >>> X = [np.arange(7.0), np.arange(3.0)]
    >>> first, second = Patches(size=4, stride=2).fit_transform(X)
    >>> first
    array([[0., 1., 2., 3.],
           [2., 3., 4., 5.],
           [4., 5., 6., 6.]])
    >>> second
    array([[0., 1., 2., 2.]])
    """

    size_: int
    stride_: int

    # where users import it from, and what saved models name
    __module__ = "skgru.preprocessing"

    _parameter_constraints: ClassVar[dict[Any, Any]] = {
        "size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "stride": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_channels": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self, size: int | str = "auto", stride: int | str = "auto", *, n_channels: int = 1
    ) -> None:
        self.size = size
        self.stride = stride
        self.n_channels = n_channels

    @one_task
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: ArrayLike | None = None) -> Self:
        """Choose what is "auto" by the lengths of the sequences, and record the features of X.

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
            If `stride` is longer than `size`: steps between the patches would be lost.
        """
        sequences = self._learn_X(X)
        size = _auto_size(sequences.lengths) if self.size == "auto" else int(self.size)
        stride = max(1, size // STRIDES_PER_PATCH) if self.stride == "auto" else int(self.stride)
        if stride > size:
            chosen = ", which 'auto' chose by the lengths of X" if self.size == "auto" else ""
            raise ValueError(
                f"stride={stride} is longer than size={size}{chosen}; steps between the patches "
                "would be lost."
            )
        self.size_, self.stride_ = size, stride
        self._n_channels_out = size * sequences.n_channels
        if self._fitted_on_table and self.size == "auto":
            warnings.warn(
                "Patches of a two-dimensional X are again two-dimensional: an estimator that reads "
                f"them needs n_channels={self._n_channels_out}, size_ times the channels of X. "
                "Give size a number, or X three dimensions, (n_samples, n_timesteps, n_channels), "
                "of which the estimator sees the channels itself.",
                UserWarning,
                stacklevel=1,
            )
        return self

    def transform(self, X: Any) -> np.ndarray | list[np.ndarray]:
        """Cut sequences into patches.

        Parameters
        ----------
        X : array-like
            Sequences of the channels seen in `fit`.

        Returns
        -------
        X_transformed : ndarray or list of ndarray
            Of the form and the floating-point dtype of X: (n_samples, n_patches, size * n_channels)
            for three dimensions, with NaN where shorter sequences have no patch; (n_samples,
            n_patches * size * n_channels) for two; a list of (n_patches_i, size * n_channels)
            arrays for a list.

        Raises
        ------
        NotFittedError
            If `fit` has not been called.
        ValueError
            If X has other channels than that of `fit`.
        """
        patches, _ = self._cut(self._check_channels(X))
        return patches.in_form_of_x(patches.values)

    def _cut(self, sequences: Sequences) -> tuple[Sequences, np.ndarray]:
        """Cut sequences; also return the row of each step of each patch, (n_patches, size)."""
        counts = n_patches(sequences.lengths, self.size_, self.stride_)
        numbers = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        steps = (numbers * self.stride_)[:, np.newaxis] + np.arange(self.size_)
        np.minimum(steps, np.repeat(sequences.lengths - 1, counts)[:, np.newaxis], out=steps)
        rows = steps + np.repeat(sequences.starts, counts)[:, np.newaxis]
        values = np.take(sequences.values, rows, axis=0).reshape(len(rows), -1)
        longest = int(n_patches(sequences.n_timesteps, self.size_, self.stride_))
        return Sequences(values, counts, longest, sequences.form), rows

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Name the columns of what `transform` returns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X; those seen in `fit`, or x0, x1, …, if not given.

        Returns
        -------
        names : ndarray of str
            Names of the channels of a patch, each with its step in the patch: "t0_x0" for the
            oldest step. If X was two-dimensional, names of all columns, with the number of the
            patch as well: "p2_t0_x8".
        """
        names = self._names_by_step(input_features)
        if not self._fitted_on_table:
            return self._names_of_patch(np.repeat(names, self.size_, axis=0))
        steps = np.arange(self.size_)
        count = int(n_patches(len(names), self.size_, self.stride_))
        patches = [
            self._names_of_patch(names[np.minimum(k * self.stride_ + steps, len(names) - 1)])
            for k in range(count)
        ]
        return np.array([f"p{k}_{name}" for k, patch in enumerate(patches) for name in patch], "O")

    @staticmethod
    def _names_of_patch(names: np.ndarray) -> np.ndarray:
        return np.array([f"t{t}_{name}" for t, step in enumerate(names) for name in step], "O")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def n_patches(lengths: ArrayLike, size: int, stride: int) -> np.ndarray:
    """Count the patches of sequences of these lengths."""
    return 1 + -(-np.maximum(np.subtract(lengths, size), 0) // stride)


def _auto_size(lengths: np.ndarray) -> int:
    return min(LONGEST, max(1, int(np.median(lengths)) // PATCHES_PER_SEQUENCE))
