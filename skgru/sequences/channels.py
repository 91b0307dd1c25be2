"""What the channels of X are: numbers, categories, or the time; learned by `fit`."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike
from sklearn.utils import gen_batches

from skgru.sequences.containers import read
from skgru.sequences.forms import Sequences, check_finite, sequences_of
from skgru.sequences.gaps import gaps
from skgru.sequences.labels import missing_values
from skgru.sequences.values import LARGEST_EXACT, common_array, numbers, rounded, short

# The steps of a stream are floating-point numbers, codes too; float32 holds integers up to this.
MAX_CATEGORIES = 2**24

# Time steps that are encoded together: what is between X and its codes takes more memory than they.
CHUNK = 2**16


@dataclass
class Channels:
    """What the channels of X are, and how they become the numbers and codes of a network.

    Attributes
    ----------
    n_channels : int
        Of X.
    missing : {"error", "decay"}
    n_directions : int
        In which a network with decay reads X.
    categorical : list of int
        The categorical channels.
    time : int or None
        The channel that is the time.
    categories : list of ndarray
        The sorted values of each categorical channel, strings or numbers. The code of a value is
        its index; codes after the last are those of unknown and of missing values.
    means : ndarray of shape (n_numbers,), or None without decay
        Mean observed value of each channel that is a number.
    time_unit : float
        Mean time between two steps.
    times_are_dates : bool
        Whether the time was datetimes in `fit`, of which the unit is in seconds.
    """

    n_channels: int
    missing: str = "error"
    n_directions: int = 1
    categorical: list[int] = field(default_factory=list)
    time: int | None = None
    categories: list[np.ndarray] = field(default_factory=list)
    means: np.ndarray | None = None
    time_unit: float = 1.0
    times_are_dates: bool = False

    @property
    def numeric(self) -> list[int]:
        """The channels that are numbers."""
        others = {*self.categorical, self.time}
        return [i for i in range(self.n_channels) if i not in others]

    @property
    def n_categories(self) -> tuple[int, ...]:
        """Codes of each categorical channel."""
        return tuple(len(values) + 2 for values in self.categories)

    @property
    def are_numbers(self) -> bool:
        """Whether X is read as it is: finite numbers."""
        return self.missing == "error" and not self.categorical

    def state(self) -> dict[str, Any]:
        """Return plain values, from which `from_state` makes an equal object."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Make an object of what `state` returned.

        Raises
        ------
        ValueError or TypeError
            If its values do not belong together.
        """
        channels = cls(**state)
        n_numbers = len(channels.numeric)
        if len(channels.categories) != len(channels.categorical):
            raise ValueError("there must be categories for each categorical channel")
        if (channels.means is None) != (channels.missing == "error") or (
            channels.means is not None and channels.means.shape != (n_numbers,)
        ):
            raise ValueError(f"there must be a mean for each of {n_numbers} channels")
        return channels

    # ---- fit ---------------------------------------------------------------------------------

    def learn(self, raw: Sequences, names: Sequence[str] | None, caller: str) -> None:
        """Learn the categories, and with decay the means and the time between two steps.

        Parameters
        ----------
        raw : Sequences
            What `read_raw` returned.
        names : sequence of str or None
            Of the channels.
        caller : str
            Who asks, for the messages.
        """
        self.categories = []
        for i in self.categorical:
            values = _known_categories(raw.values[:, i], i)
            if not len(values):
                raise ValueError(
                    f"Channel {_name(i, names)} is categorical, but all of its values are missing."
                )
            text = values.dtype == object
            self.categories.append(np.array(sorted(set(values))) if text else np.unique(values))
        if sum(self.n_categories) > MAX_CATEGORIES:
            raise ValueError(
                f"The categorical channels have {sum(self.n_categories)} categories; at most "
                f"{MAX_CATEGORIES} are supported."
            )
        if self.missing == "decay":
            values = self._numbers(raw, caller)
            seen = ~np.isnan(values)
            if not seen.any(axis=0).all():
                i = self.numeric[int(np.argmin(seen.any(axis=0)))]
                raise ValueError(
                    f"Channel {_name(i, names)} has no observed value; leave it out of X."
                )
            # sums of what is sorted have the same bits for any order of the samples
            self.means = np.nanmean(np.sort(values, axis=0), axis=0)
            times, self.times_are_dates = self._times(raw)
            between = np.delete(np.diff(times), raw.starts[1:] - 1)
            self.time_unit = float(np.sort(between).mean()) if len(between) else 1.0
            if not self.time_unit > 0:
                raise ValueError(
                    f"time_channel={self.time!r} never advances: all steps of each sequence have "
                    "the same time."
                )

    # ---- X -------------------------------------------------------------------------------------

    def numbers(self, values: np.ndarray, name: str = "X") -> np.ndarray:
        """Return the channels that are numbers, float64, of values of X; `name` is for messages."""
        if not self.numeric:
            return np.empty((len(values), 0))
        return numbers(values[:, self.numeric], name).astype(np.float64)

    def encode(self, raw: Sequences, dtype: DTypeLike, caller: str) -> Sequences:
        """Return numbers and codes of the channels, as the network takes them."""
        codes = None
        if self.categorical:
            shape = len(raw.values), len(self.categorical)
            largest = max(self.n_categories) - 1
            # beside int32, of which kernels take rows, uint32 would make int64
            codes = np.empty(shape, np.min_scalar_type(largest) if largest < 2**16 else np.int32)
            for j, (i, categories) in enumerate(
                zip(self.categorical, self.categories, strict=True)
            ):
                index = {value: code for code, value in enumerate(categories.tolist())}
                for rows in gen_batches(len(raw.values), CHUNK):
                    codes[rows, j] = codes_of_column(raw.values[rows, i], categories, i, index)
        values = self._numbers(raw, caller, dtype)
        if self.missing == "decay":
            times, are_dates = self._times(raw)
            if are_dates != self.times_are_dates:
                here, there = ("datetimes", "numbers") if are_dates else ("numbers", "datetimes")
                raise ValueError(
                    f"time_channel={self.time!r} of X holds {here}, but held {there} in fit."
                )
            times = times / self.time_unit
            values = gaps(values, times, raw.starts, self.means, self.n_directions)
        with np.errstate(over="ignore"):
            values = np.ascontiguousarray(values, dtype=dtype)
        if self.missing == "decay" and not (finite := np.isfinite(values).all(axis=1)).all():
            _refuse(raw, ~finite, f"the time since an observation is too large for {values.dtype}")
        return replace(raw, values=values, codes=codes)

    def _numbers(self, raw: Sequences, caller: str, dtype: DTypeLike = np.float64) -> np.ndarray:
        """Return the channels that are numbers, float64, NaN only where it means missing.

        Numbers that are too large for the dtype are refused.
        """
        values = self.numbers(raw.values)
        with np.errstate(over="ignore"):
            as_read = values.astype(dtype, copy=False)
        check_finite(replace(raw, values=as_read), self.missing == "decay", caller, self.numeric)
        return values

    def _times(self, raw: Sequences) -> tuple[np.ndarray, bool]:
        """Return the time of every step, float64, and whether it is seconds of datetimes."""
        if self.time is None:
            return raw.steps.astype(np.float64), False
        column = raw.values[:, self.time]
        missing = missing_values(column)
        if missing.any():
            _refuse(raw, missing, f"time_channel={self.time!r} has a missing time")
        times, are_dates = _as_seconds(column, column[np.repeat(raw.starts, raw.lengths)])
        if not np.isfinite(times).all():
            _refuse(raw, ~np.isfinite(times), f"time_channel={self.time!r} has an infinite time")
        falls = np.diff(times, prepend=times[0]) < 0
        falls[raw.starts] = False
        if falls.any():
            _refuse(raw, falls, f"time_channel={self.time!r} goes back in time")
        return times, are_dates


def read_raw(X: Any, *, n_channels: int, caller: str) -> Sequences:
    """Convert X to sequences whose values are as they are in X: an array of numbers or of objects.

    Parameters and errors are those of `check_sequences`.
    """
    read_x = read(X, "X")
    arrays = read_x if isinstance(read_x, list) else [read_x]
    kinds = {array.dtype.kind for array in arrays}
    dtype: DTypeLike | None = None
    if not kinds <= set("biufc"):  # complex numbers are refused, alone at least
        dtype = object
    elif kinds <= set("iu"):  # tokens: one byte each stays one byte
        dtype = np.result_type(*{array.dtype for array in arrays})
    return sequences_of(X, read_x, n_channels=n_channels, dtype=dtype, caller=caller)


def channel_indices(
    wanted: Any, parameter: str, n_channels: int, names: Sequence[str] | None
) -> list[int]:
    """Return the indices of channels that are given by index or by name.

    Parameters
    ----------
    wanted : sequence of int or str
    parameter : str
        Where they come from, for the messages.
    n_channels : int
    names : sequence of str or None
        Of the channels of X.

    Raises
    ------
    ValueError
        If there is no such channel, or one is named twice.
    """
    indices = []
    for channel in wanted:
        if isinstance(channel, str):
            if names is None:
                raise ValueError(
                    f"{parameter} names channel {channel!r}, but the channels of X have no names: "
                    "only data frames in a list have. Give its index instead."
                )
            if channel not in names:
                raise ValueError(
                    f"{parameter} names channel {channel!r}, but X has {short(list(names))}."
                )
            indices.append(list(names).index(channel))
        elif isinstance(channel, Integral) and not isinstance(channel, bool | np.bool_):
            if not -n_channels <= channel < n_channels:
                raise ValueError(
                    f"{parameter} has channel {channel}, but X has {n_channels} channels."
                )
            indices.append(int(channel) % n_channels)
        else:
            raise ValueError(
                f"{parameter} must hold indices or names of channels, got {short(channel)}."
            )
    if len(set(indices)) < len(indices):
        raise ValueError(f"{parameter}={short(wanted)} has a channel twice.")
    return sorted(indices)


def categorical_by_dtype(X: Any) -> list[int]:
    """Return the channels of a list of data frames whose columns are categories or strings.

    Raises
    ------
    ValueError
        If X is no list of data frames.
    """
    frames = list(X) if isinstance(X, list | tuple) else []
    if not frames or not all(hasattr(frame, "dtypes") for frame in frames):
        raise ValueError(
            'categorical_channels="from_dtype" needs a list of data frames of pandas or polars, '
            "whose columns have dtypes of their own; give the indices of the channels instead."
        )
    # of pandas: category, str, string; of polars: Categorical, Enum, String
    known = ("category", "categorical", "enum", "str", "large_string", "dictionary")
    channels = []
    for i, (name, dtype) in enumerate(zip(frames[0].columns, frames[0].dtypes, strict=True)):
        # objects may be strings, or numbers beside None
        if str(dtype).lower().startswith(known) or (
            str(dtype) == "object"
            and any(isinstance(value, str) for frame in frames for value in frame[name])
        ):
            channels.append(i)
    return channels


def _name(i: int, names: Sequence[str] | None) -> str:
    return repr(names[i]) if names is not None else str(i)


def _known_categories(column: np.ndarray, channel: int) -> np.ndarray:
    """Return the values that are not missing: strings as objects, or numbers.

    Raises
    ------
    ValueError
        If they are neither, or both, or numbers that may be others, rounded.
    """
    given = column[~missing_values(column)]
    values = given
    if values.dtype == object:
        if set(map(type, values)) <= {str, np.str_}:
            return values
        values = common_array(values.tolist())
    if values.dtype.kind not in "biuf":
        kinds: dict[type, Any] = {}
        for value in given:
            kinds.setdefault(type(value), value)
        examples = " beside ".join(map(short, list(kinds.values())[:2]))
        raise ValueError(
            f"Categorical channel {channel} must hold strings, or numbers, but holds {examples}; "
            "convert all values to strings."
        )
    if values.dtype.kind == "f" and (np.abs(values) > np.float64(LARGEST_EXACT)).any():
        raise ValueError(
            f"Categorical channel {channel} holds floating-point numbers above 2**53, which are "
            "infinite or may stand for several integers; convert all values to integers or strings."
        )
    return values


def codes_of_column(
    column: np.ndarray,
    categories: np.ndarray,
    channel: int,
    index: dict[Any, int] | None = None,
) -> np.ndarray:
    """Return the index of each value among the categories, then unknown, then missing.

    Parameters
    ----------
    column : ndarray of shape (n_steps,)
        Numbers or objects.
    categories : ndarray
        Sorted strings or numbers.
    channel : int
        Of X, for the messages.
    index : dict, default=None
        Code of each category, if it is at hand.

    Raises
    ------
    ValueError
        If there are strings and the categories are numbers, or the other way round.
    """
    n = len(categories)
    codes = np.full(len(column), n + 1)
    values = _known_categories(column, channel)
    if not len(values):
        return codes
    text = values.dtype == object
    if text and index is None:
        index = {value: code for code, value in enumerate(categories.tolist())}
    if text != (categories.dtype.kind == "U"):
        here, there = ("strings", "numbers") if text else ("numbers", "strings")
        raise ValueError(
            f"Categorical channel {channel} of X holds {here}, but held {there} in fit."
        )
    if text:
        known = [index.get(value, n) for value in values]
    else:
        # a value that the dtype of the categories lacks is found to differ from its category
        same_kind = values.dtype.kind in "iu" and categories.dtype.kind in "iu"
        sought = values.astype(categories.dtype) if same_kind else values
        found = np.minimum(np.searchsorted(categories, sought), n - 1)
        known = np.where(categories[found] == values, found, n)
    codes[~missing_values(column)] = known
    return codes


def _as_seconds(column: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return numbers as they are, datetimes as seconds since their start; and whether they were.

    Integers that float64 does not hold, such as nanoseconds since 1970, also count from the start.
    """
    first = column[0]
    of_numbers = isinstance(first, int | float | np.number)
    if column.dtype.kind != "O" or (of_numbers and not isinstance(first, np.timedelta64)):
        times = numbers(column, "time_channel").astype(np.float64)
        if rounded(times, column):
            times = (column.astype(object) - starts.astype(object)).astype(np.float64)
        return times, False
    try:
        _seconds(starts[-1] - first)  # of time zones, or of none: differences are the same in any
        return np.array([_seconds(a - b) for a, b in zip(column, starts, strict=True)]), True
    except Exception as error:
        other = next((value for value in column if type(value) is not type(first)), None)
        beside = "" if other is None else f" beside {short(other)}"
        raise ValueError(
            "time_channel must hold numbers, or datetimes that either all have a time zone or all "
            f"have none, got {short(first)}{beside}."
        ) from error


def _seconds(duration: Any) -> float:
    if isinstance(duration, np.timedelta64):
        return float(duration / np.timedelta64(1, "s"))
    return duration.total_seconds()


def _refuse(raw: Sequences, bad: np.ndarray, what: str) -> None:
    row = int(np.argmax(bad))
    sample = raw.samples_of(row)
    raise ValueError(
        f"{what}: X[{sample}], time step {row - raw.starts[sample]}. Times must be given for every "
        "step, and must not fall within a sequence."
    )
