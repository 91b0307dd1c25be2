"""What is known in advance of series: exog as given, and time features, beside each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skgru.forecasting.series import TimeSeries
from skgru.forecasting.time_features import time_features
from skgru.forecasting.times import locate, pandas
from skgru.forecasting.windows import read_exog
from skgru.sequences import read, short


@dataclass(frozen=True, eq=False)
class Known:
    """Channels known in advance of several series.

    Attributes
    ----------
    values : list of ndarray of shape (n_rows, n_exog)
        Of each series.
    indices : list of pandas.Index or None
        Time stamps of the rows, where they have some.
    """

    values: list[np.ndarray]
    indices: list[Any]

    @classmethod
    def of(
        cls,
        exog: list[TimeSeries] | None,
        several: list[TimeSeries],
        futures: list[Any],
        n_future: int,
        names: Sequence[str] | None,
    ) -> "Known | None":
        """Put time features behind exog.

        Parameters
        ----------
        exog : list of TimeSeries or None
        several : list of TimeSeries
        futures : list of pandas.Index or None
            Stamps after each series that are needed, too, if it has some.
        n_future : int
            How many they are.
        names : sequence of str or None
            Time features.

        Returns
        -------
        Known or None
            None without exog and time features.
        """
        if exog is None and names is None:
            return None
        values, indices = [], []
        for i, (one, future) in enumerate(zip(several, futures, strict=True)):
            index = one.index if future is None else one.index.append(future)
            parts = []
            if exog is not None:
                parts.append(exog[i].values.reshape(len(exog[i]), -1))
                if exog[i].index is not None:
                    index = exog[i].index
                else:
                    what = f"those of {one.name}" + f", and {n_future} to forecast" * bool(n_future)
                    exog[i].rows_for(None, len(one) + n_future, one, what)
            if names is not None:
                parts.append(time_features(index, names, one.name))
            values.append(np.column_stack(parts))
            indices.append(index)
        return cls(values, indices)

    def as_exog(self, form: str) -> Any:
        """Return the channels as `sliding_windows` takes them, of series in this form."""
        several = [
            value if index is None else pandas().DataFrame(value, index=index)
            for value, index in zip(self.values, self.indices, strict=True)
        ]
        return several[0] if form == "one" else several

    def beside(self, i: int, one: TimeSeries, future: Any, n_future: int) -> np.ndarray:
        """Return the channels of series i at its own time steps, and at those that follow."""
        name = "exog" if len(self.values) == 1 else f"exog[{i}]"
        known = TimeSeries(name, self.values[i], None, self.indices[i])
        index = one.index if future is None else one.index.append(future)
        return known.rows_for(index, len(one) + n_future, one, f"those of {one.name}")


def check_same_channels(
    several: list[TimeSeries], fitted_columns: list[Any] | None, n_fitted: int
) -> None:
    """Raise ValueError if series have other channels than in `fit`, or another order of columns.

    Parameters
    ----------
    several : list of TimeSeries
    fitted_columns : list or None
        Names of the channels in `fit`, if they had some.
    n_fitted : int
        Number of them.
    """
    for one in several:
        n_channels = one.values[0].size
        names = one.columns, fitted_columns
        if n_channels != n_fitted or (None not in names and names[0] != names[1]):
            has, expected = (
                f"{n} channel{'s' * (n > 1)}" if c is None else f"the columns {short(c)}"
                for n, c in zip((n_channels, n_fitted), names, strict=True)
            )
            raise ValueError(
                f"{one.name} has {has}, but fit had {expected}; expected the same, in order."
            )


def after_training(given: TimeSeries, tail: TimeSeries, n_train: int, n_future: int) -> TimeSeries:
    """Put the last rows of exog in `fit` before rows of the time steps to forecast.

    Parameters
    ----------
    given : TimeSeries
        Of the time steps to forecast, or of those of training, too.
    tail : TimeSeries
        Beside the last time steps in `fit`.
    n_train : int
        Time steps of the series in `fit`.
    n_future : int
        Time steps to forecast.
    """
    values = [e.values.reshape(len(e), -1) for e in (tail, given)]
    if given.index is not None and tail.index is not None:
        kinds = type(given.index), getattr(given.index, "tz", None) is None
        if kinds != (type(tail.index), getattr(tail.index, "tz", None) is None):
            return given  # a message names the kinds where rows are looked up
        before = np.asarray(tail.index < given.index[0])
        behind = np.asarray(given.index >= tail.index[0])
        index = tail.index[before].append(given.index[behind])
        values = np.vstack([values[0][before], values[1][behind]])
        return TimeSeries(given.name, values, None, index)
    if len(given) == n_future:
        return TimeSeries(given.name, np.vstack(values))
    if len(given) == n_train + n_future:
        return TimeSeries(given.name, values[1][-(len(tail) + n_future) :])
    raise ValueError(
        f"{given.name} has {len(given)} time steps; expected {n_future}, those to forecast, or "
        f"{n_train + n_future} with those in fit."
    )


def in_order(exog: Any, series: Any, name: str) -> Any:
    """Return exog of series by name in the order of the series."""
    if not (isinstance(exog, Mapping) and isinstance(series, Mapping)):
        return exog
    missing = [key for key in series if key not in exog]
    if missing:
        raise ValueError(f"exog has no {missing[0]!r}, which is one of the names of {name}.")
    return without_names({key: exog[key] for key in series}, "exog")


def without_names(given: Any, name: str) -> Any:
    """Return series by name as a list, and others as they are.

    Parameters
    ----------
    given : array-like, or a list or dict of several
    name : str
        For messages.
    """
    if not isinstance(given, Mapping):
        return given
    return [_not_a_list(one, f"{name}[{key!r}]") for key, one in given.items()]


def _not_a_list(one: Any, name: str) -> Any:
    """Return a series of lists as an array: a list of such series would be one of them."""
    if one is None or np.isscalar(one):
        raise TypeError(f"{name} is {short(one)}; expected a series.")
    if not isinstance(one, list | tuple):
        return one
    try:
        return np.asarray(read(one, name, masked_as_missing=True))
    except ValueError as error:
        raise ValueError(
            f"{name} is ragged; expected one value for each time step and channel."
        ) from error


def read_known(exog: Any, several: list[TimeSeries]) -> list[TimeSeries]:
    """Read exog of each series, with time stamps in the time zone of the series, if both have one.

    Parameters
    ----------
    exog : array-like, or several
    several : list of TimeSeries
    """
    known = []
    for beside, one in zip(read_exog(exog, several), several, strict=True):
        zones = [getattr(each.index, "tz", None) for each in (beside, one)]
        if None not in zones:  # time features are of local time
            beside = replace(beside, index=beside.index.tz_convert(zones[1]))
        known.append(beside)
    return known


def zones_of(several: list[TimeSeries]) -> list[str | None]:
    """Return the different time zones of series, None for time stamps without one."""
    zones = [getattr(one.index, "tz", None) for one in several]
    return list(dict.fromkeys(None if zone is None else str(zone) for zone in zones))


def in_zone(one: TimeSeries, zones: list[str | None]) -> TimeSeries:
    """Return a history with its time stamps in the time zone of the series in `fit`.

    Parameters
    ----------
    one : TimeSeries
    zones : list of str or None
        As `zones_of` returns them.

    Raises
    ------
    ValueError
        If it is not known which local time the time stamps are to be in.
    """
    (zone,) = zones_of([one])
    if one.index is None or zone in zones:
        return one
    if zone is None or None in zones or len(zones) > 1:
        has, expected = (
            " or ".join("without a time zone" if z is None else f"in {z}" for z in some)
            for some in ([zone], zones)
        )
        raise ValueError(
            f"{one.name} has time stamps {has}, but those in fit were {expected}, and time "
            f"features are of local time. Make them time stamps {expected}, too: pandas has "
            "tz_localize and tz_convert."
        )
    return replace(one, index=one.index.tz_convert(zones[0]))


def end_of(exog: TimeSeries, one: TimeSeries, n_steps: int) -> tuple[Any, ...]:
    """Return exog beside the last time steps of a series, as arguments of a TimeSeries."""
    rows, index = slice(-n_steps, None), None
    if one.index is not None:
        index = one.index[-n_steps:]
        if exog.index is not None:
            rows = locate(index, exog.index, exog.name, one.name)
    elif exog.index is not None:
        index = exog.index[rows]
    return exog.name, exog.values[rows].copy(), exog.columns, index
