"""Missing values within sequences, filled from the observed values around them."""

from numbers import Integral
from typing import Any, ClassVar, NamedTuple, Self
from warnings import warn

import numpy as np
from numpy.typing import ArrayLike

from skgru._constraints import Interval
from skgru._sklearn import StrOptions, Tags, fit_context
from skgru.preprocessing.base import SequenceTransformer, unique_names
from skgru.sequences import Sequences, short
from skgru.sequences.names import columns_of
from skgru.training.callbacks import one_task


class FillGaps(SequenceTransformer):
    """Fill missing values within each sequence, channel by channel.

    Missing values are NaN. Observed values do not change. Nothing passes from one sequence to
    another, except the mean of a channel over the training set.

    Parameters
    ----------
    method : {"interpolate", "forward", "mean"}, default="interpolate"
        What a missing value becomes:

        - "interpolate": linear in time between the observed values before and after it. Before
          the first observed value of the sequence, it is the first one; after the last, the last
          one. It looks ahead.
        - "forward": the last observed value of the sequence; before the first one, the mean of
          the channel.
        - "mean": the mean of the channel over all observed time steps seen in `fit`.

        If a sequence has no observed value of a channel, every method fills in the mean.
    add_indicator : bool, default=False
        Whether to append a channel for each channel that had missing values in `fit`: 1 where the
        value was missing, and 0 where it was observed.
    add_elapsed : bool, default=False
        Whether to append a channel for each channel that had missing values in `fit`: the number
        of time steps since the last observed value, 0 where the value is observed. Before the
        first observed value, it is the number of time steps since the start of the sequence.
    n_channels : int, default=1
        How a two-dimensional X unfolds: a row is `n_timesteps * n_channels` values, all channels
        of the oldest step first. The channels of other forms of X are known.

    Attributes
    ----------
    means_ : ndarray of shape (n_channels,)
        Mean of each channel over all observed time steps.
    channels_with_gaps_ : ndarray of int
        Channels that had missing values in `fit`, in ascending order.
    n_features_in_ : int
        Columns of a two-dimensional X seen in `fit`; otherwise the channels of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X was a DataFrame with string names.

    Warns
    -----
    UserWarning
        If channels are appended to a two-dimensional X. Set `n_channels` of the estimator to the
        new number of channels.

    See Also
    --------
    PerTimestep : With a :class:`~sklearn.impute.SimpleImputer`, fills gaps by any statistic of
        the training set.
    PerSequence : Applies any function to each sequence.
    skgru.streaming.stream : Predictions of a pipeline after every time step, with "forward" or
        "mean".

    Notes
    -----
    As in :class:`~sklearn.impute.SimpleImputer`, a value may be missing in `transform` in a channel
    that had no missing values in `fit`: it is filled, and no channel is appended for it. Infinite
    values raise an error.

    Time steps are one apart. A :class:`~sklearn.preprocessing.StandardScaler` in `PerTimestep`
    after this transformer also brings elapsed steps, which may be large, to unit variance.

    Steps that are NaN in every channel at the end of a sequence of a three-dimensional X are
    padding, and stay. If all channels can be missing at the last step of a sequence, as with a
    single channel, pass a list of arrays or a two-dimensional X, which have no padding.

    Filled sequences cannot be exported to ONNX or C: apply the transformer before.

    References
    ----------
    .. [1] Z. Che, S. Purushotham, K. Cho, D. Sontag, Y. Liu. "Recurrent neural networks for
       multivariate time series with missing values". Scientific Reports 8, 6085, 2018.
       doi:10.1038/s41598-018-24271-9. Compares "forward" and "mean", with indicators and elapsed
       times as further channels.

    Examples
    --------
    >>> import numpy as np
    >>> from skgru.preprocessing import FillGaps
    >>> nan = np.nan
    >>> X = [np.array([nan, 1.0, nan, nan, 4.0]), np.array([7.0, nan])]
    >>> [x.ravel().tolist() for x in FillGaps().fit_transform(X)]
    [[1.0, 1.0, 2.0, 3.0, 4.0], [7.0, 7.0]]
    >>> [x.ravel().tolist() for x in FillGaps("forward").fit_transform(X)]
    [[4.0, 1.0, 1.0, 1.0, 4.0], [7.0, 7.0]]
    >>> FillGaps("forward", add_indicator=True, add_elapsed=True).fit_transform(X)[0]
    array([[4., 1., 0.],
           [1., 0., 0.],
           [1., 1., 1.],
           [1., 1., 2.],
           [4., 0., 0.]])
    """

    # where users import it from, and what saved models name
    __module__ = "skgru.preprocessing"

    _parameter_constraints: ClassVar[dict[Any, Any]] = {
        "method": [StrOptions({"interpolate", "forward", "mean"})],
        "add_indicator": ["boolean"],
        "add_elapsed": ["boolean"],
        "n_channels": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        method: str = "interpolate",
        *,
        add_indicator: bool = False,
        add_elapsed: bool = False,
        n_channels: int = 1,
    ) -> None:
        self.method = method
        self.add_indicator = add_indicator
        self.add_elapsed = add_elapsed
        self.n_channels = n_channels

    @one_task
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: ArrayLike | None = None) -> Self:
        """Compute the mean of each channel, and record which channels have missing values.

        Parameters
        ----------
        X : array-like
            Sequences in any of the forms that the estimators take, with NaN for missing values.
        y : Ignored
            Present for consistency with the API of scikit-learn.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        ValueError
            If a channel has no observed value at all, or if a value is infinite.
        """
        sequences = self._check_X(X, self.n_channels)
        missing = np.isnan(sequences.values)
        _check_observed(missing, X, sequences)
        self._record(X, sequences)
        self.means_: Any = np.nanmean(sequences.values, axis=0, dtype=np.float64)
        self.channels_with_gaps_: np.ndarray = np.flatnonzero(missing.any(axis=0))
        n_appended = (self.add_indicator + self.add_elapsed) * len(self.channels_with_gaps_)
        self._n_channels_out = sequences.n_channels + n_appended
        if n_appended and self._fitted_on_table:
            warn(
                f"FillGaps appends {n_appended} channels to those of a two-dimensional X: an "
                f"estimator that reads it needs n_channels={self._n_channels_out}. Pass a list of "
                "arrays (n_timesteps, n_channels), whose channels the estimator sees itself.",
                UserWarning,
                stacklevel=1,
            )
        return self

    def transform(self, X: Any) -> np.ndarray | list[np.ndarray]:
        """Fill missing values, and append the channels asked for.

        Parameters
        ----------
        X : array-like
            Sequences of the channels seen in `fit`.

        Returns
        -------
        X_transformed : ndarray or list of ndarray
            Of the form and the floating-point dtype of X: (n_samples, n_timesteps, k) for three
            dimensions, with NaN where shorter sequences have ended; (n_samples, n_timesteps * k)
            for two; a list of (n_timesteps_i, k) arrays for a list. The k channels of a time step
            are those of X, then the indicators, then the elapsed steps.

        Raises
        ------
        NotFittedError
            If `fit` has not been called.
        ValueError
            If X has other channels than that of `fit`, or if a value is infinite.
        """
        sequences = self._check_channels(X)
        filled, missing = sequences.values.copy(), np.isnan(sequences.values)
        elapsed = np.zeros(filled.shape if self.add_elapsed else (len(filled), 0), np.intp)
        for channel in np.flatnonzero(missing.any(axis=0)):
            gaps = _gaps(missing[:, channel], sequences)
            filled[gaps.rows, channel] = _fill(
                sequences.values[:, channel], gaps, self.method, self.means_[channel]
            )
            if self.add_elapsed:
                elapsed[gaps.rows, channel] = gaps.elapsed
        return sequences.in_form_of_x(self._with_appended(filled, missing, elapsed))

    def _with_appended(
        self, filled: np.ndarray, missing: np.ndarray, elapsed: np.ndarray
    ) -> np.ndarray:
        """Put indicators and elapsed steps beside the filled channels."""
        columns = [filled]
        if self.add_indicator:
            columns.append(missing[:, self.channels_with_gaps_])
        if self.add_elapsed:
            columns.append(elapsed[:, self.channels_with_gaps_])
        return np.hstack(columns, dtype=filled.dtype, casting="unsafe") if columns[1:] else filled

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Name the columns of what `transform` returns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X; those seen in `fit`, or x0, x1, …, if not given.

        Returns
        -------
        names : ndarray of str
            Names of the channels, then "missingindicator_x0" and "elapsed_x0" for those that had
            missing values. If X was two-dimensional, the names of each time step in turn, with
            the step in front where they would repeat.
        """
        names = []
        for step in self._names_by_step(input_features):
            with_gaps = step[self.channels_with_gaps_]
            indicators = [f"missingindicator_{name}" for name in with_gaps if self.add_indicator]
            elapsed = [f"elapsed_{name}" for name in with_gaps if self.add_elapsed]
            names.append([*step, *indicators, *elapsed])
        return unique_names(names)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _check_observed(missing: np.ndarray, X: Any, sequences: Sequences) -> None:
    """Raise ValueError for the first channel without any observed value."""
    empty = np.flatnonzero(missing.all(axis=0))
    if not len(empty):
        return
    channel = int(empty[0])
    labels = columns_of(next(iter(X))) if sequences.form == "list" else None
    name = f" ({short(labels[channel])})" if labels is not None else ""
    raise ValueError(
        f"Channel {channel}{name} of X has no observed value: it is NaN at every time step of "
        "every sequence, and FillGaps has nothing to fill it with. Leave it out of X."
    )


class _Gaps(NamedTuple):
    """The missing values of one channel, as rows of `Sequences.values`.

    Attributes
    ----------
    rows : ndarray of int, shape (n_missing,)
    before, after : ndarray of int, shape (n_missing,)
        Row of the nearest observed value of the same sequence on each side; -1 if there is none.
    elapsed : ndarray of int, shape (n_missing,)
        Time steps since `before`, or since the start of the sequence.
    """

    rows: np.ndarray
    before: np.ndarray
    after: np.ndarray
    elapsed: np.ndarray


def _gaps(missing: np.ndarray, sequences: Sequences) -> _Gaps:
    """Locate the missing values of a channel between the observed ones."""
    rows, observed = np.flatnonzero(missing), np.flatnonzero(~missing)
    position = np.searchsorted(observed, rows)
    # with sentinels, which lie in no sequence
    observed = np.concatenate([[-1], observed, [len(missing)]])
    before, after = observed[position], observed[position + 1]
    sample = sequences.samples_of(rows)
    start = sequences.starts[sample]
    before = np.where(before >= start, before, -1)
    after = np.where(after < start + sequences.lengths[sample], after, -1)
    return _Gaps(rows, before, after, rows - np.where(before >= 0, before, start))


def _fill(values: np.ndarray, gaps: _Gaps, method: str, mean: float) -> np.ndarray:
    """Compute what the missing values of a channel become."""
    filled = np.full(len(gaps.rows), mean)
    if method == "mean":
        return filled
    held = gaps.before >= 0
    filled[held] = values[gaps.before[held]]
    if method == "forward":
        return filled
    ahead = gaps.after >= 0
    filled[ahead & ~held] = values[gaps.after[ahead & ~held]]
    between = ahead & held
    before, after = gaps.before[between], gaps.after[between]
    a, b = values[before].astype(np.float64), values[after].astype(np.float64)
    part = (gaps.rows[between] - before) / (after - before)
    # a weighted mean cannot overflow; rounding must not carry it out of the interval
    mixed = (1 - part) * a + part * b
    filled[between] = np.clip(mixed, np.minimum(a, b), np.maximum(a, b))
    return filled
