"""Time stamps of a series: whether they are regular, where others lie among them, what follows.

Time stamps are an index of pandas: dates (with a time zone or without), periods, time differences
or integers. Only this file does arithmetic with them.
"""

import warnings
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from types import ModuleType
from typing import Any

import numpy as np

ARRAY = "{name}.to_numpy() takes the rows as they come"


@dataclass(frozen=True, eq=False)
class Times:
    """Time stamps on a regular grid.

    Attributes
    ----------
    index : pandas.Index
        Sorted, each stamp once.
    step : offset, timedelta, int or None
        From one point of the grid to the next; None if there are too few stamps to tell.
    positions : ndarray of int, shape (n_stamps,)
        Of the stamps on the grid, from 0.
    name : str
        Of the series, for messages.
    """

    index: Any
    step: Any
    positions: np.ndarray
    name: str

    def stretches(self) -> list[slice]:
        """Return the longest slices without a gap."""
        ends = np.flatnonzero(np.diff(self.positions) > 1) + 1
        bounds = [0, *ends.tolist(), len(self.index)]
        return [slice(a, b) for a, b in pairwise(bounds)]

    def following(self, n_steps: int) -> Any:
        """Return the next stamps after the last one."""
        pd, last = pandas(), self.index[-1]
        if self.step is None:
            raise ValueError(
                f"{self.name} has {len(self.index)} time stamps, too few to tell their frequency: "
                'state it, such as freq="D".'
            )
        if isinstance(self.index, pd.RangeIndex):
            start = last + self.step
            return pd.RangeIndex(
                start, start + n_steps * self.step, self.step, name=self.index.name
            )
        if isinstance(self.index, pd.PeriodIndex):
            after = pd.period_range(last, periods=n_steps + 1, freq=self.index.freq)[1:]
        elif isinstance(self.index, pd.DatetimeIndex):
            try:
                after = pd.date_range(last, periods=n_steps + 1, freq=self.step)[1:]
            except Exception as error:  # of several classes, by the versions of pandas
                raise ValueError(
                    f"Some time stamp after {last}, the last one of {self.name}, does not exist in "
                    f"its time zone: {error}"
                ) from error
            after = after.as_unit(self.index.unit)
        elif isinstance(self.index, pd.TimedeltaIndex):
            after = pd.timedelta_range(last, periods=n_steps + 1, freq=self.step)[1:]
            after = after.as_unit(self.index.unit)
        else:
            after = pd.Index(last + self.step * np.arange(1, n_steps + 1), dtype=self.index.dtype)
        return after.rename(self.index.name)


def pandas() -> ModuleType:
    """Import pandas, which does the arithmetic with dates."""
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("Time stamps need pandas: pip install pandas.") from error
    return pd


def check_stamps(index: Any, name: str) -> Any:
    """Return an index that holds time stamps, sorted and each of them once.

    Parameters
    ----------
    index : pandas.Index
    name : str
        Of the series, for messages.

    Raises
    ------
    ValueError
        If it is another index, or for the first stamp that is missing, unsorted or a duplicate.
    """
    pd = pandas()
    if isinstance(index, pd.MultiIndex):
        raise ValueError(
            f"{name} has an index of {index.nlevels} levels. Several series are a list of them: "
            f"[one.droplevel(0) for _, one in {name}.groupby(level=0)]."
        )
    missing = np.asarray(index.isna())
    if missing.any():
        raise ValueError(f"The time stamp of row {np.argmax(missing)} of {name} is missing.")
    known = isinstance(index, pd.DatetimeIndex | pd.PeriodIndex | pd.TimedeltaIndex)
    if not known and not pd.api.types.is_integer_dtype(index.dtype):
        hint = "; pd.to_datetime makes dates" if index.dtype.kind in "OUT" else ""
        raise ValueError(
            f"The index of {name} is of dtype {index.dtype}; expected dates, periods or "
            f"integers{hint}, and {ARRAY.format(name=name)}."
        )
    if not index.is_monotonic_increasing:
        stamps = _numbers(index)
        row = int(np.argmax(stamps[1:] < stamps[:-1])) + 1
        raise ValueError(
            f"{name} is not sorted by time: {index[row]} comes after {index[row - 1]}, in row "
            f"{row}. {name}.sort_index() sorts it."
        )
    if not index.is_unique:
        row = int(np.argmax(index.duplicated()))
        raise ValueError(f"{name} has the time stamp {index[row]} twice, in rows {row - 1} and "
                         f"{row}.")  # fmt: skip
    return index


def regular(index: Any, freq: Any, name: str) -> Times:
    """Find the grid that stamps lie on.

    Parameters
    ----------
    index : pandas.Index
        As `check_stamps` returns it.
    freq : str, offset, int or None
        What stamps are apart, with gaps between them. None infers it, and allows no gaps.
    name : str
        Of the series, for messages.

    Raises
    ------
    ValueError
        For the first stamp that is missing or not on the grid.
    """
    step = _inferred(index) if freq is None else _stated(index, freq, name)
    if step is None and len(index) < 3:
        return Times(index, None, np.arange(len(index)), name)
    if step is None:
        step = _usual(index)
    if step is None:
        stamps = ", ".join(str(stamp) for stamp in index[:3])
        raise ValueError(
            f"The time stamps of {name} ({stamps}, …) have no regular frequency. State it as freq= "
            f"to leave gaps out; {ARRAY.format(name=name)}."
        )
    positions = _positions(index, step)
    said = f"{step.freqstr!r}" if hasattr(step, "freqstr") else str(step)
    off = positions < 0
    if off.any():
        row = int(np.argmax(off))
        usual = "its usual frequency" if freq is None else "the stated frequency"
        raise ValueError(
            f"The time stamp {index[row]} of {name}, in row {row}, does not fit {usual}, {said}. "
            f"State another as freq=, or resample; {ARRAY.format(name=name)}."
        )
    gaps = np.diff(positions) > 1
    if gaps.any() and freq is None:
        row = int(np.argmax(gaps))
        missing = Times(index[: row + 1], step, positions[: row + 1], name).following(1)[0]
        raise ValueError(
            f"{name} has a gap: there is no {missing} between {index[row]} and {index[row + 1]}, "
            f"at the frequency {said}. Fill it; or where freq= can be stated, freq={said} uses "
            "only windows without a gap."
        )
    return Times(index, step, positions, name)


def locate(needed: Any, index: Any, name: str, series_name: str) -> np.ndarray:
    """Find the rows of an index that have the needed stamps.

    Parameters
    ----------
    needed, index : pandas.Index
    name, series_name : str
        Of what has the index, and of what needs the stamps.

    Raises
    ------
    ValueError
        If the two are of different kinds, or for the first stamp that is not there.
    """
    kinds = _kind(index), _kind(needed)
    if kinds[0] != kinds[1]:
        raise ValueError(
            f"The index of {name} holds {kinds[0]}, that of {series_name} {kinds[1]}. Give both "
            "the same index, or arrays of exactly as many time steps as needed."
        )
    rows = index.get_indexer(needed)
    if (rows < 0).any():
        stamp = needed[int(np.argmax(rows < 0))]
        has = f"it goes from {index[0]} to {index[-1]}" if len(index) else "it is empty"
        raise ValueError(
            f"{name} has no row for {stamp}, which is needed beside {series_name}; {has}."
        )
    return rows


def _kind(index: Any) -> str:
    """Say what an index holds; stamps of the same kind can be compared."""
    pd = pandas()
    if isinstance(index, pd.DatetimeIndex):
        return "dates without a time zone" if index.tz is None else "dates with a time zone"
    if isinstance(index, pd.PeriodIndex):
        return f"periods of {index.freqstr!r}"
    return "time differences" if isinstance(index, pd.TimedeltaIndex) else "integers"


def _numbers(index: Any) -> np.ndarray:
    """Return stamps as integers that are in the same order."""
    return np.asarray(index.asi8 if hasattr(index, "asi8") else index, dtype=np.int64)


def _inferred(index: Any) -> Any:
    """Return the step of stamps without gaps, or None."""
    pd = pandas()
    if isinstance(index, pd.PeriodIndex):
        return index.freq
    if isinstance(index, pd.DatetimeIndex):
        if index.freq is not None:
            return index.freq
        with warnings.catch_warnings():
            # pandas 3.1 announces to return an offset and not a string: either will do
            warnings.simplefilter("ignore")
            found = pd.infer_freq(index) if len(index) > 2 else None
        if found is None:
            return None
        offset = pd.tseries.frequencies.to_offset(found)
        # what is inferred need not produce these stamps: business hours of other hours do not
        positions = _positions(index, offset)
        return offset if (np.diff(positions, prepend=-1) == 1).all() else None
    if isinstance(index, pd.RangeIndex):
        return index.step if index.step > 0 else None
    steps = np.unique(np.diff(_numbers(index)))
    if len(steps) != 1:
        return None
    return index[1] - index[0] if isinstance(index, pd.TimedeltaIndex) else int(steps[0])


def _usual(index: Any) -> Any:
    """Return the step of most stamps, or None if there is none."""
    pd = pandas()
    if not isinstance(index, pd.DatetimeIndex):
        steps, counts = np.unique(np.diff(_numbers(index)), return_counts=True)
        row = int(np.argmax(np.diff(_numbers(index)) == steps[np.argmax(counts)]))
        step = index[row + 1] - index[row]
        return step if isinstance(index, pd.TimedeltaIndex) else int(step)
    for width in (8, 4, 3):
        n_pieces = len(index) - width + 1
        if n_pieces < 1:
            continue
        starts = np.unique(np.linspace(0, n_pieces - 1, min(n_pieces, 100)).astype(int))
        pieces = [_inferred(index[start : start + width]) for start in starts]
        found = Counter(step.freqstr for step in pieces if step is not None)
        if found:
            return pd.tseries.frequencies.to_offset(found.most_common(1)[0][0])
    return None


def _stated(index: Any, freq: Any, name: str) -> Any:
    """Return the step that a user states."""
    pd = pandas()
    integers = _kind(index) == "integers"
    if integers != isinstance(freq, Integral) or (integers and freq < 1):
        expected = "a positive integer" if integers else 'a frequency such as "D"'
        raise ValueError(
            f"freq={freq!r}, but the index of {name} holds {_kind(index)}; expected {expected}."
        )
    try:
        if integers:
            return int(freq)
        if isinstance(index, pd.PeriodIndex):
            step = pd.Period(index[0], freq=freq).freq
        elif isinstance(index, pd.TimedeltaIndex):
            return pd.Timedelta(pd.tseries.frequencies.to_offset(freq))
        else:
            return pd.tseries.frequencies.to_offset(freq)
    except (TypeError, ValueError) as error:
        raise ValueError(f"freq={freq!r} is no frequency: {error}") from error
    if step != index.freq:
        raise ValueError(f"freq={freq!r}, but {name} has periods of {index.freqstr!r}.")
    return step


def _positions(index: Any, step: Any) -> np.ndarray:
    """Return the place of each stamp on the grid that starts with the first; -1 is not on it."""
    pd = pandas()
    if isinstance(index, pd.DatetimeIndex) and not (
        isinstance(step, pd.offsets.Tick) and not isinstance(step, pd.offsets.Day)
    ):
        try:
            return pd.date_range(index[0], index[-1], freq=step).get_indexer(index)
        except Exception:  # the grid meets a time of day that a day does not have
            return np.full(len(index), -1)
    if isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex):
        since, step = index - index[0], pd.Timedelta(step)
        off = np.asarray(since % step != pd.Timedelta(0))
    else:
        since = _numbers(index) - _numbers(index)[0]
        step = step.n if isinstance(index, pd.PeriodIndex) else step
        off = since % step != 0
    return np.where(off, -1, np.asarray(since // step))
