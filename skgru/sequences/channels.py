"""What the channels of X are: numbers, categories, or the time; learned by `fit`."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from skgru.sequences.containers import numbers, read, short
from skgru.sequences.forms import Sequences, check_finite, sequences_of
from skgru.sequences.gaps import gaps
from skgru.sequences.labels import missing_values

# The steps of a stream are floating-point numbers, codes too; float32 holds integers up to this.
MAX_CATEGORIES = 2**24


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
    settings : dict
        The parameters that named the channels.
    """

    n_channels: int
    missing: str = "error"
    n_directions: int = 1
    categorical: list[int] = field(default_factory=list)
    time: int | None = None
    categories: list[np.ndarray] = field(default_factory=list)
    means: np.ndarray | None = None
    time_unit: float = 1.0
    settings: dict[str, Any] = field(default_factory=dict)

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
            column = raw.values[:, i]
            values = column[~missing_values(column)]
            if not len(values):
                raise ValueError(
                    f"Channel {_name(i, names)} is categorical, but all of its values are missing."
                )
            self.categories.append(_sorted_values(values, _name(i, names)))
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
            self.means = np.nanmean(values, axis=0)
            between = np.delete(np.diff(self._times(raw)), raw.starts[1:] - 1)
            self.time_unit = float(between.mean()) if len(between) else 1.0
            if not self.time_unit > 0:
                raise ValueError(
                    f"time_channel={self.time!r} never advances: all steps of each sequence have "
                    "the same time."
                )

    # ---- X -------------------------------------------------------------------------------------

    def encode(self, raw: Sequences, dtype: DTypeLike, caller: str) -> Sequences:
        """Return numbers and codes of the channels, as the network takes them."""
        codes = None
        if self.categorical:
            columns = [
                codes_of_column(raw.values[:, i], values, i)
                for i, values in zip(self.categorical, self.categories, strict=True)
            ]
            codes = np.column_stack(columns).astype(np.min_scalar_type(max(self.n_categories)))
        values = self._numbers(raw, caller)
        if self.missing == "decay":
            times = self._times(raw) / self.time_unit
            values = gaps(values, times, raw.starts, self.means, self.n_directions)
        with np.errstate(over="ignore"):
            values = np.ascontiguousarray(values, dtype=dtype)
        return replace(raw, values=values, codes=codes)

    def _numbers(self, raw: Sequences, caller: str) -> np.ndarray:
        """Return the channels that are numbers, float64, NaN only where it means missing."""
        if not self.numeric:
            return np.empty((len(raw.values), 0))
        values = numbers(raw.values[:, self.numeric], "X").astype(np.float64)
        check_finite(replace(raw, values=values), self.missing == "decay", caller, self.numeric)
        return values

    def _times(self, raw: Sequences) -> np.ndarray:
        """Return the time of every step, float64, in seconds if X has datetimes."""
        if self.time is None:
            return raw.steps.astype(np.float64)
        column = raw.values[:, self.time]
        missing = missing_values(column)
        if missing.any():
            _refuse(raw, missing, f"time_channel={self.time!r} has a missing time")
        times = _as_seconds(column, column[np.repeat(raw.starts, raw.lengths)])
        if not np.isfinite(times).all():
            _refuse(raw, ~np.isfinite(times), f"time_channel={self.time!r} has an infinite time")
        falls = np.diff(times, prepend=times[0]) < 0
        falls[raw.starts] = False
        if falls.any():
            _refuse(raw, falls, f"time_channel={self.time!r} goes back in time")
        return times


def read_raw(X: Any, *, n_channels: int, caller: str) -> Sequences:
    """Convert X to sequences whose values are as they are in X: an array of numbers or of objects.

    Parameters and errors are those of `check_sequences`.
    """
    read_x = read(X, "X")
    arrays = read_x if isinstance(read_x, list) else [read_x]
    kinds = {array.dtype.kind for array in arrays}
    dtype: DTypeLike | None = None
    if not kinds <= set("biuf"):
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
    if not frames or not all(hasattr(frame, "columns") for frame in frames):
        raise ValueError(
            'categorical_channels="from_dtype" needs a list of data frames, whose columns have '
            "dtypes of their own; give the indices of the channels instead."
        )
    dtypes = [str(dtype) for dtype in frames[0].dtypes]
    # of pandas: category, object, str, string; of polars: Categorical, Enum, String
    known = ("category", "categorical", "enum", "object", "str")
    return [i for i, dtype in enumerate(dtypes) if dtype.lower().startswith(known)]


def _name(i: int, names: Sequence[str] | None) -> str:
    return repr(names[i]) if names is not None else str(i)


def _is_text(values: np.ndarray) -> bool:
    return values.dtype.kind in "OSU" and any(isinstance(value, str) for value in values)


def _sorted_values(values: np.ndarray, name: str) -> np.ndarray:
    """Return the different values, sorted: strings, or numbers."""
    if not _is_text(values):
        return np.unique(numbers(values, f"channel {name}"))
    if not all(isinstance(value, str) for value in values):
        other = next(value for value in values if not isinstance(value, str))
        raise ValueError(
            f"Categorical channel {name} holds strings and also {short(other)}; convert all values "
            "to strings."
        )
    return np.array(sorted(set(values)))


def codes_of_column(column: np.ndarray, categories: np.ndarray, channel: int) -> np.ndarray:
    """Return the index of each value among the categories, then unknown, then missing.

    Parameters
    ----------
    column : ndarray of shape (n_steps,)
        Numbers or objects.
    categories : ndarray
        Sorted strings or numbers.
    channel : int
        Of X, for the messages.

    Raises
    ------
    ValueError
        If there are strings and the categories are numbers, or the other way round.
    """
    n = len(categories)
    missing = missing_values(column)
    codes = np.full(len(column), n + 1)
    values = column[~missing]
    if not len(values):
        return codes
    text = categories.dtype.kind == "U"
    if text != _is_text(values):
        here, there = ("numbers", "strings") if text else ("strings", "numbers")
        raise ValueError(
            f"Categorical channel {channel} of X holds {here}, but held {there} in fit."
        )
    if text:
        index = {value: i for i, value in enumerate(categories.tolist())}
        codes[~missing] = [index.get(value, n) for value in values.tolist()]
        return codes
    values = numbers(values, f"channel {channel}")
    found = np.minimum(np.searchsorted(categories, values), n - 1)
    codes[~missing] = np.where(categories[found] == values, found, n)
    return codes


def _as_seconds(column: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return numbers as they are, datetimes as seconds since the first of their sequence."""
    if column.dtype.kind != "O":
        return column.astype(np.float64)
    if isinstance(column[0], int | float | np.number):
        return numbers(column, "time_channel").astype(np.float64)
    try:
        # of one time zone, or none: differences are the same in any
        return np.array([_seconds(a - b) for a, b in zip(column, first, strict=True)])
    except Exception as error:
        raise ValueError(
            f"time_channel must hold numbers or datetimes, got {short(column[0])}."
        ) from error


def _seconds(duration: Any) -> float:
    if isinstance(duration, np.timedelta64):
        return float(duration / np.timedelta64(1, "s"))
    return duration.total_seconds()


def _refuse(raw: Sequences, bad: np.ndarray, what: str) -> None:
    row = int(np.argmax(bad))
    sample = int(np.searchsorted(raw.starts, row, side="right")) - 1
    raise ValueError(
        f"{what}: X[{sample}], time step {row - raw.starts[sample]}. Times must be given for every "
        "step, and must not fall within a sequence."
    )
