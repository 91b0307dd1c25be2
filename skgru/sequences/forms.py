"""Validate X in any of its forms and convert it to `Sequences`; give results the form of X."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from sklearn.utils.validation import check_array

from skgru.sequences.containers import read
from skgru.sequences.labels import missing_values, padding_of
from skgru.sequences.names import check_columns, check_order_of_columns
from skgru.sequences.packing import Packed, Span
from skgru.sequences.values import OF_TEXTS, joined, numbers, short

# Numbers that are checked at a time: an answer for each of all would be memory that the system has
# to give first, which takes longer than the check.
CHECKED_NUMBERS = 2**16


@dataclass(frozen=True, eq=False)
class Sequences:
    """Sequences of any lengths as one array of time steps.

    Attributes
    ----------
    values : ndarray of shape (sum of lengths, n_channels), C-contiguous
        The steps of the first sequence, oldest first, then those of the second, and so on.
    lengths : ndarray of shape (n_samples,), intp
    n_timesteps : int
        Time steps of X, counting the padding that it had.
    form : {"table", "array", "list"}
        Form of X: 2-D, 3-D, or one array per sequence.
    codes : ndarray of shape (sum of lengths, n_categorical), or None
        Categories of the steps, numbered for each categorical channel, which values lack.
    """

    values: np.ndarray
    lengths: np.ndarray
    n_timesteps: int
    form: str
    codes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def n_channels(self) -> int:
        """Number of values of every time step."""
        return self.values.shape[1]

    @cached_property
    def starts(self) -> np.ndarray:
        """Row of `values` at which each sequence begins."""
        return self.lengths.cumsum() - self.lengths

    @cached_property
    def steps(self) -> np.ndarray:
        """Time step of each row of `values`, counted within its sequence."""
        return np.arange(len(self.values)) - np.repeat(self.starts, self.lengths)

    @property
    def by_length(self) -> np.ndarray:
        """Numbers of all samples, sorted from long to short."""
        return (-self.lengths).argsort(kind="stable")

    @property
    def _present(self) -> np.ndarray:
        """Mask of the steps that are not padding, of shape (n_samples, n_timesteps)."""
        return np.arange(self.n_timesteps) < self.lengths[:, np.newaxis]

    def samples_of(self, rows: np.ndarray | int) -> np.ndarray:
        """Return the number of the sequence that each of these rows of `values` belongs to."""
        return np.searchsorted(self.starts, rows, side="right") - 1

    def rows(self, samples: np.ndarray) -> np.ndarray:
        """Return the rows of `values` of these samples, in their order."""
        lengths = self.lengths[samples]
        rows = np.repeat(self.starts[samples] - (np.cumsum(lengths) - lengths), lengths)
        return rows + np.arange(len(rows))

    def take(self, samples: np.ndarray) -> "Sequences":
        """Copy these samples, in their order."""
        rows = self.rows(samples)
        return replace(
            self,
            values=self.values[rows],
            lengths=self.lengths[samples],
            codes=None if self.codes is None else self.codes[rows],
        )

    def with_values(self, values: np.ndarray) -> "Sequences":
        """Return sequences of the same lengths with other values, one row for each time step."""
        return Sequences(values, self.lengths, self.n_timesteps, self.form)

    def pack(self, span: Span) -> Packed:
        """Pack the steps of a span."""
        return span.pack(self.values, self.codes)

    def span(self, samples: np.ndarray) -> Span:
        """Locate samples, sorted from long to short; those of equal lengths stay in their order."""
        lengths = self.lengths[samples]
        order = (-lengths).argsort(kind="stable")
        samples = samples[order]
        return Span(samples, self.starts[samples], lengths[order])

    def in_form_of_x(self, values: np.ndarray) -> np.ndarray | list[np.ndarray]:
        """Return new values of the same time steps in the form of X.

        Parameters
        ----------
        values : ndarray of shape (sum of lengths, k)

        Returns
        -------
        ndarray of shape (n_samples, n_timesteps * k) for a table, (n_samples, n_timesteps, k)
        for an array, with NaN where shorter sequences have ended; a list of (T_i, k) arrays
        for a list.
        """
        return values.reshape(len(self), -1) if self.form == "table" else self.by_step(values)

    def by_step(self, values: np.ndarray) -> np.ndarray | list[np.ndarray]:
        """Return one row for every time step in the form of a y for X.

        Parameters
        ----------
        values : ndarray of shape (sum of lengths,) or (sum of lengths, k)

        Returns
        -------
        ndarray of shape (n_samples, n_timesteps[, k]) for a table or an array, with a missing
        label (see `padding_of`) where shorter sequences have ended; a list of arrays of shape
        (T_i[, k]) for a list.
        """
        if self.form == "list":
            return np.split(values, self.starts[1:])
        shape = (len(self), self.n_timesteps, *values.shape[1:])
        if len(values) == shape[0] * shape[1]:  # nothing was padded
            return values.reshape(shape)
        dtype, missing = padding_of(values)
        padded = np.full(shape, missing, dtype=dtype)
        padded[self._present] = values
        return padded

    def rows_by_step(self, y: Any, name: str, *, masked_as_missing: bool = False) -> np.ndarray:
        """Return y, given in the form of `by_step`, as one row for each time step.

        Parameters
        ----------
        y : array-like
            A list of arrays of shape (T_i,) or (T_i, k), or an array of shape (n_samples,
            n_timesteps) or (n_samples, n_timesteps, k), whose entries after the end of a
            sequence are ignored.
        name : str
            Of y, for messages.
        masked_as_missing : bool, default=False
            Whether masked values are missing ones; otherwise they are refused.

        Returns
        -------
        ndarray of shape (sum of lengths,) or (sum of lengths, k)
            Objects, if sequences have values of several types.

        Raises
        ------
        ValueError
            If there are not as many sequences and steps as X has.
        """
        items = read(y, name, masked_as_missing=masked_as_missing)
        if isinstance(items, np.ndarray):
            if items.ndim not in (2, 3):
                raise ValueError(
                    f"{name} has {items.ndim} dimensions (shape {items.shape}); with "
                    "return_sequences=True it needs an entry for each time step: (n_samples, "
                    "n_timesteps), (n_samples, n_timesteps, k) or a list of arrays."
                )
            if items.shape[:2] != (len(self), self.n_timesteps):
                raise ValueError(
                    f"{name} has {items.shape[0]} sequences of {items.shape[1]} steps, X has "
                    f"{len(self)} of {self.n_timesteps}."
                )
            return items[self._present]
        if len(items) != len(self):
            raise ValueError(f"{name} has {len(items)} sequences, X has {len(self)}.")
        for i, (item, length) in enumerate(zip(items, self.lengths, strict=True)):
            if item.ndim not in (1, 2) or item.shape[1:] != items[0].shape[1:]:
                raise ValueError(
                    f"{name}[{i}] has shape {item.shape}; expected (n_timesteps,) or "
                    f"(n_timesteps, k), as {name}[0], which has shape {items[0].shape}."
                )
            if len(item) != length:
                raise ValueError(f"{name}[{i}] has {len(item)} steps, X[{i}] has {length}.")
        return joined(items)


def check_sequences(
    X: Any,
    *,
    n_channels: int = 1,
    dtype: DTypeLike | None = None,
    allow_nan: bool = False,
    caller: str = "skgru",
) -> Sequences:
    """Validate X in any of its forms.

    Parameters
    ----------
    X : array-like
        One of

        - array of shape (n_samples, n_timesteps, n_channels); sequences may end in steps that are
          NaN in every channel, which are padding and dropped;
        - array or DataFrame of shape (n_samples, n_timesteps * n_channels), time-major within a
          row, oldest step first;
        - list, tuple or one-dimensional object array of arrays of shape (T_i, n_channels), or
          (T_i,) with one channel.
    n_channels : int, default=1
        How a two-dimensional X unfolds. The channels of other forms are known.
    dtype : dtype, default=None
        What to convert to; None keeps floating-point dtypes and makes all others float64.
    allow_nan : bool, default=False
        Whether values may be NaN (never infinite).
    caller : str
        Who asks, for the messages.

    Returns
    -------
    Sequences

    Raises
    ------
    ValueError
        If X has another number of dimensions, is empty or holds an empty sequence, if sequences
        differ in their channels, or if a value is not finite or not a number.
    TypeError
        If X is sparse or holds objects that are not numbers.
    """
    sequences = sequences_of(X, read(X, "X"), n_channels=n_channels, dtype=dtype, caller=caller)
    check_finite(sequences, allow_nan, caller)
    return sequences


def sequences_of(
    X: Any,
    read_x: np.ndarray | list[np.ndarray],
    *,
    n_channels: int,
    dtype: DTypeLike | None,
    caller: str,
) -> Sequences:
    """Convert what `read` has made of X, without looking at the values.

    With ``dtype=object``, values stay as they are: strings beside numbers, say. Other parameters
    and errors are those of `check_sequences`.
    """
    as_values = _objects if dtype is object else numbers
    if isinstance(read_x, list):
        if read_x is not X:  # a list of arrays of numbers has no columns
            check_columns(X)
        array, lengths = _from_items(read_x, n_channels, as_values)
        sequences = Sequences(_converted(array, dtype, caller), lengths, lengths.max(), "list")
    else:
        if read_x.ndim not in (2, 3):
            raise ValueError(_dimensions_message(read_x))
        array = _converted(as_values(read_x, "X"), dtype, caller)
        if array.ndim == 2:
            check_order_of_columns(X, n_channels)
            sequences = _from_table(array, n_channels)
        else:
            sequences = _from_array(array)
    return sequences


def _objects(array: np.ndarray, name: str) -> np.ndarray:
    return array.astype(object)


def _dimensions_message(X: np.ndarray) -> str:
    if X.ndim == 1 and len(X) and isinstance(X[0], str):
        return f"X is one-dimensional and holds strings, such as {short(str(X[0]))}.{OF_TEXTS}"
    if X.ndim == 1:
        return (
            f"Expected 2D array, got 1D array of shape {X.shape} instead. Reshape your data: "
            "X.reshape(1, -1) is one sequence, X.reshape(-1, 1) are sequences of one time step."
        )
    return (
        f"X has {X.ndim} dimensions (shape {X.shape}); expected (n_samples, n_timesteps, "
        "n_channels), (n_samples, n_timesteps * n_channels) or a list of (n_timesteps, "
        "n_channels) arrays."
    )


def _converted(X: np.ndarray, dtype: DTypeLike | None, caller: str) -> np.ndarray:
    """Return numbers as a C-contiguous floating-point array; values are not checked."""
    if not X.size:
        check_array(
            X, dtype=None, allow_nd=True, ensure_all_finite=False, input_name="X", estimator=caller
        )
    if dtype is None and X.dtype.kind == "f":
        return np.ascontiguousarray(X)
    # what is too large for the dtype becomes infinite, and is named by check_finite
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(X, dtype=np.float64 if dtype is None else dtype)


def ragged_items(X: Any, name: str) -> list[np.ndarray] | None:
    """Return the sequences of X one by one if that is its form, otherwise None.

    `name` is what messages call X.
    """
    items = read(X, name)
    return items if isinstance(items, list) else None


def _from_items(
    items: list[np.ndarray], n_channels: int, as_values: Callable[[np.ndarray, str], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Concatenate separate sequences."""
    alike = len({(item.dtype.kind, item.shape[1:]) for item in items}) == 1
    if alike and as_values is numbers and items[0].dtype.kind in "biuf" and items[0].ndim == 2:
        lengths = np.fromiter(map(len, items), dtype=np.intp, count=len(items))
        if items[0].shape[1] and lengths.all():
            return np.concatenate(items), lengths
    for i, item in enumerate(items):
        if item.ndim not in (1, 2):
            raise ValueError(
                f"X[{i}] has shape {item.shape}; a sequence must be (n_timesteps, n_channels), "
                "or (n_timesteps,) with one channel."
            )
        if item.size == 0:
            raise ValueError(
                f"X[{i}] is empty (shape {item.shape}); a sequence needs at least one time step."
            )
    if n_channels > 1 and any(item.ndim == 1 for item in items):
        raise ValueError(
            f"X is a list of 1-D sequences, which have one channel, but n_channels={n_channels}. "
            f"Stack rows of n_timesteps * n_channels values, np.stack(X), or give arrays of shape "
            f"(n_timesteps, {n_channels})."
        )
    columns = [as_values(item, f"X[{i}]").reshape(len(item), -1) for i, item in enumerate(items)]
    lengths = np.array([len(item) for item in columns], dtype=np.intp)
    widths = np.array([item.shape[1] for item in columns])
    usual = np.unique_counts(widths)
    usual = usual.values[usual.counts.argmax()]
    odd = np.flatnonzero(widths != usual)
    if len(odd):
        message = f"X[{odd[0]}] has {widths[odd[0]]} channels, the others have {usual}."
        if np.ptp(lengths) == 0 and lengths[0] < widths.min():
            message += (
                f" All have {lengths[0]} time steps: if the channels came first, transpose each, "
                "[x.T for x in X]."
            )
        raise ValueError(message)
    return np.concatenate(columns), lengths


def _from_table(X: np.ndarray, n_channels: int) -> Sequences:
    n_samples, width = X.shape
    if width % n_channels:
        raise ValueError(
            f"X has {width} columns, which n_channels={n_channels} does not divide; a "
            "two-dimensional X has n_timesteps * n_channels columns."
        )
    n_timesteps = width // n_channels
    lengths = np.full(n_samples, n_timesteps, dtype=np.intp)
    return Sequences(X.reshape(-1, n_channels), lengths, n_timesteps, "table")


def _from_array(X: np.ndarray) -> Sequences:
    n_samples, n_timesteps, n_channels = X.shape
    if X.size == 0:
        raise ValueError(
            f"X has shape {X.shape}; at least one sample, time step and channel are needed."
        )
    ends = missing_values(X[:, -1, 0])
    # the usual case: no padding, no copy
    if not (ends.any() and missing_values(X[ends, -1]).all(axis=1).any()):
        lengths = np.full(n_samples, n_timesteps, dtype=np.intp)
        return Sequences(X.reshape(-1, n_channels), lengths, n_timesteps, "array")
    present = ~missing_values(X).all(axis=2)
    empty = np.flatnonzero(~present.any(axis=1))
    if len(empty):
        raise ValueError(f"X[{empty[0]}] is empty: all of its time steps are NaN.")
    lengths = n_timesteps - np.argmax(present[:, ::-1], axis=1)
    values = X[np.arange(n_timesteps) < lengths[:, np.newaxis]]
    return Sequences(values, lengths, n_timesteps, "array")


def check_finite(
    sequences: Sequences, allow_nan: bool, caller: str, channels: list[int] | None = None
) -> None:
    """Raise for the first value that is not finite, and say where it stands.

    `channels` are the numbers of the channels in X, if the sequences lack some.
    """
    values = sequences.values
    n_rows = max(CHECKED_NUMBERS // max(values.shape[1], 1), 1)
    for first in range(0, len(values), n_rows):
        some = values[first : first + n_rows]
        if np.isinf(some).any() if allow_nan else not np.isfinite(some).all():
            break
    else:
        return
    row, channel = np.argwhere(np.isinf(some) if allow_nan else ~np.isfinite(some))[0]
    row += first
    isnan = np.isnan(values[row, channel])
    channel = channel if channels is None else channels[channel]
    sample = sequences.samples_of(row)
    what = "NaN" if isnan else f"infinity or a value too large for {values.dtype}"
    remedy = ""
    if isnan:
        remedy = (
            ' Fill gaps with skgru.preprocessing.FillGaps, or set missing="decay" of GRUClassifier '
            "or GRURegressor."
        )
    raise ValueError(
        f"Input X contains {what}: X[{sample}], time step {row - sequences.starts[sample]}, "
        f"channel {channel}. {caller} needs finite values; only a three-dimensional X may be "
        "padded, with time steps that are NaN in all channels at the end of a sequence."
        f"{remedy}"
    )
