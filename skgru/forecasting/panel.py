"""Cut series, and what is known in advance of them, at forecast origins."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skgru.forecasting.series import TimeSeries, check_finite, read_several
from skgru.forecasting.times import locate
from skgru.forecasting.windows import read_exog


@dataclass(frozen=True, eq=False)
class Panel:
    """One series or several that are observed at the same time steps.

    A time step is a position among those that all series have.

    Attributes
    ----------
    several : list of TimeSeries
    form : {"one", "array", "list"}
        As `read_several` returns it.
    given : list
        The series as the user gave them.
    stamps : pandas.Index or None
        Time stamps that all series have.
    starts : list of int
        Row of each series that is time step 0.
    exog : list or None
        What is known in advance of each series, as the user gave it.
    exog_rows : list of ndarray or None
        Row of `exog` beside each row of a series.
    """

    several: list[TimeSeries]
    form: str
    given: list[Any]
    stamps: Any
    starts: list[int]
    exog: list[Any] | None = None
    exog_rows: list[np.ndarray] | None = None

    @classmethod
    def of(cls, series: Any, exog: Any) -> "Panel":
        """Read series and what is known in advance of them.

        Parameters
        ----------
        series : array-like, Series or DataFrame, or several of them
        exog : array-like, Series or DataFrame, or several of them, or None

        Raises
        ------
        ValueError
            If the series are invalid or have no time step in common, or if `exog` lacks one.
        TypeError
            If they are in no form of a series.
        """
        several, form = read_several(series, "series")
        for one in several:
            check_finite(one.values, one.name, one.index)
            one.checked_times(None)
        given = [series] if form == "one" else list(series)
        stamps, starts = _common(several)
        if exog is None:
            return cls(several, form, given, stamps, starts)
        rows = []
        for beside, one in zip(read_exog(exog, several), several, strict=True):
            beside.rows_for(one.index, len(one), one, f"those of {one.name}")
            by_stamp = one.index is not None and beside.index is not None
            rows.append(
                locate(one.index, beside.index, beside.name, one.name)
                if by_stamp
                else np.arange(len(one))
            )
        known = [exog] if form == "one" else list(exog)
        return cls(several, form, given, stamps, starts, exog=known, exog_rows=rows)

    @property
    def n_steps(self) -> int:
        """Number of time steps that all series have."""
        if self.stamps is not None:
            return len(self.stamps)
        return len(self.several[0])

    def before(self, origin: int) -> Any:
        """Return the observations before an origin, in the form of the series.

        Parameters
        ----------
        origin : int
            Time steps before it.
        """
        ends = [start + origin for start in self.starts]
        return self._together([
            take(given, np.arange(end)) for given, end in zip(self.given, ends, strict=True)
        ])  # fmt: skip

    def exog_of(self, start: int | None, stop: int) -> Any:
        """Return what is known in advance of time steps; None if nothing is.

        Parameters
        ----------
        start : int or None
            First time step. None begins with the first row of each series.
        stop : int
            Time step after the last one.
        """
        if self.exog is None:
            return None
        return self._together([
            take(exog, rows[0 if start is None else first + start : first + stop])
            for exog, rows, first in zip(self.exog, self.exog_rows, self.starts, strict=True)
        ])  # fmt: skip

    def values(self, i: int, start: int | None, stop: int) -> np.ndarray:
        """Return values of series i as float64, of shape (n_steps, n_channels).

        Parameters
        ----------
        i : int
        start : int or None
            First time step. None begins with the first row of the series.
        stop : int
            Time step after the last one.
        """
        first = self.starts[i]
        values = self.several[i].values[0 if start is None else first + start : first + stop]
        return values.reshape(len(values), -1).astype(np.float64)

    def stamp(self, step: int) -> Any:
        """Return the time stamp of a time step, or its number if there are no stamps."""
        return step if self.stamps is None else self.stamps[step]

    def _together(self, items: list[Any]) -> Any:
        if self.form == "one":
            return items[0]
        in_array = self.form == "array" and isinstance(items[0], np.ndarray)
        return np.stack(items) if in_array else items


def take(given: Any, rows: np.ndarray) -> Any:
    """Return a copy of some rows of a container.

    Parameters
    ----------
    given : array-like, Series or DataFrame
    rows : ndarray of int
    """
    contiguous = len(rows) > 0 and rows[-1] - rows[0] == len(rows) - 1
    # a slice of pandas keeps the frequency of its index
    chosen = slice(int(rows[0]), int(rows[-1]) + 1) if contiguous else rows
    if isinstance(given, list | tuple):
        return [given[row] for row in rows]
    if hasattr(given, "iloc"):
        return given.iloc[chosen].copy()
    if isinstance(given, np.ndarray):
        return given[rows]
    import narwhals as nw

    frame = nw.from_native(given, allow_series=True, pass_through=True)
    if isinstance(frame, nw.DataFrame | nw.Series):
        return frame[chosen].to_native()
    return np.asarray(given)[rows]


def _common(several: list[TimeSeries]) -> tuple[Any, list[int]]:
    """Return the time stamps that all series have, and the row of the first of them in each."""
    with_stamps = [one for one in several if one.index is not None]
    if not with_stamps:
        lengths = [len(one) for one in several]
        if min(lengths) < max(lengths):
            raise ValueError(
                f"The series have {min(lengths)} to {max(lengths)} time steps and no time stamps "
                "that say which of them are at the same time. Give each an index, such as "
                "pd.RangeIndex."
            )
        return None, [0] * len(several)
    if len(with_stamps) < len(several):
        without = next(one for one in several if one.index is None)
        raise ValueError(
            f"{with_stamps[0].name} has time stamps, {without.name} has none: give all series an "
            "index, or none."
        )
    stamps = several[0].index
    for one in several[1:]:
        shared = stamps.intersection(one.index)
        if not len(shared):
            raise ValueError(
                f"{one.name} has no time stamp in common with the series before it: it goes from "
                f"{one.index[0]} to {one.index[-1]}, they from {stamps[0]} to {stamps[-1]}."
            )
        stamps = stamps[stamps.get_indexer(shared)]
    starts = []
    for one in several:
        rows = one.index.get_indexer(stamps)
        if (np.diff(rows) != 1).any():
            raise ValueError(
                f"{one.name} has time stamps that the other series lack, between {stamps[0]} and "
                f"{stamps[-1]}: all series must be of the same frequency."
            )
        starts.append(int(rows[0]))
    return stamps, starts
