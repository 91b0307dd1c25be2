"""Read series of any container, and return forecasts in the same one."""

import sys
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from skgru.forecasting.times import Times, check_stamps, locate, pandas, regular
from skgru.sequences import numbers, read, short


@dataclass(frozen=True, eq=False)
class TimeSeries:
    """A series as numbers, and what is needed to make a forecast like it.

    Attributes
    ----------
    name : str
        For messages.
    values : ndarray of shape (n_timesteps,) or (n_timesteps, n_channels)
    columns : list or None
        Names of the channels.
    index : pandas.Index or None
        Time stamps, sorted and unique.
    wrap : callable or None
        Makes a forecast like the series out of an array, the stamps to come, and the quantiles
        along the last axis of the array, if it has them; None if the series is an array.
    """

    name: str
    values: np.ndarray
    columns: list[Any] | None = None
    index: Any = None
    wrap: Callable[[np.ndarray, Any, tuple[Any, ...] | None], Any] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def checked_times(self, freq: Any) -> Times | None:
        """Return the time stamps, which must be regular."""
        if self.index is not None:
            return regular(self.index, freq, self.name)
        if freq is not None:
            raise ValueError(f"freq={freq!r}, but {self.name} has no time stamps.")
        return None

    def rows_for(self, needed: Any, n_rows: int, series: "TimeSeries", what: str) -> np.ndarray:
        """Return this series, which is known in advance, beside another one.

        Parameters
        ----------
        needed : pandas.Index or None
            Stamps that are needed, if the other series has some.
        n_rows : int
            How many rows there must be where stamps are not on both sides.
        series : TimeSeries
        what : str
            Of what there must be as many rows, for messages.

        Returns
        -------
        ndarray of shape (n_rows, n_exog)
            By time stamp, only the needed ones.
        """
        values = self.values.reshape(len(self), -1)
        if needed is not None and self.index is not None:
            values = values[locate(needed, self.index, self.name, series.name)]
            check_finite(values, self.name, needed)
            return values
        self.checked_times(None)
        if len(self) != n_rows:
            raise ValueError(
                f"{self.name} has {len(self)} time steps; expected exactly {n_rows}: {what}. "
                "Only where both have an index are rows looked up by it."
            )
        check_finite(values, self.name, self.index)
        return values


def read_several(given: Any, name: str) -> tuple[list[TimeSeries], str]:
    """Read one series or several.

    Parameters
    ----------
    given : array-like, Series or DataFrame, or several of them
    name : str
        For messages.

    Returns
    -------
    several : list of TimeSeries
        All of the same channels.
    form : {"one", "array", "list"}
        Whether it is one series, or several in an array or a list.
    """
    if isinstance(given, Mapping | Set) or hasattr(given, "__next__"):
        raise TypeError(
            f"{name} is a {type(given).__name__}; several series are a list of them"
            + (f": list({name}.values())." if isinstance(given, Mapping) else ".")
        )
    items = _items(given)
    if items is None:
        return [_read(given, name)], "one"
    if not len(items):
        raise ValueError(f"{name} is empty; expected at least one series.")
    several = [_read(item, f"{name}[{i}]") for i, item in enumerate(items)]
    first = several[0]
    for one in several[1:]:
        if one.values.shape[1:] != first.values.shape[1:]:
            raise ValueError(
                f"{one.name} has shape {one.values.shape}, {first.name} {first.values.shape}: all "
                "series must be of the same channels."
            )
        if None not in (one.columns, first.columns) and one.columns != first.columns:
            raise ValueError(
                f"{one.name} has the columns {short(one.columns)}, {first.name} "
                f"{short(first.columns)}: all series must have the same channels, in one order."
            )
    return several, "array" if isinstance(given, np.ndarray) else "list"


def check_finite(values: np.ndarray, name: str, index: Any) -> None:
    """Raise ValueError for the first value that is not finite."""
    bad = np.argwhere(~np.isfinite(values))
    if not len(bad):
        return
    first = tuple(bad[0])
    where = f"time step {first[0]}"
    if index is not None:
        where += f" ({index[first[0]]})"
    if values.ndim == 2:
        where += f", channel {first[1]}"
    raise ValueError(
        f"{name} is {values[first]} at {where}; expected finite numbers, but {len(bad)} of "
        f"{values.size} are not: interpolate them or cut them out."
    )


def tail(one: Any, n_steps: int) -> Any:
    """Return a copy of the last time steps of a series, in its form."""
    if hasattr(one, "iloc"):
        return one.iloc[-n_steps:].copy()
    if hasattr(one, "tail"):  # polars, whose columns do not change
        return one.tail(n_steps)
    if hasattr(one, "slice"):  # PyArrow
        return one.slice(max(len(one) - n_steps, 0))
    return np.array(one[-n_steps:]) if isinstance(one, np.ndarray) else list(one[-n_steps:])


def _items(given: Any) -> list[Any] | None:
    """Return several series one by one, or None if it is one series."""
    if isinstance(given, list | tuple):
        if any(_is_container(item) for item in given):
            return list(given)
        try:
            np.asarray(given)
        except ValueError as error:
            raise ValueError(
                "A nested list of different lengths is no series. Several series are a list of "
                "arrays: [np.asarray(one) for one in series]."
            ) from error
        return None
    n_dim = getattr(given, "ndim", None)
    if n_dim == 3:
        return list(np.asarray(given))
    cells = n_dim == 1 and getattr(given, "dtype", None) == np.dtype(object)
    if cells and len(given) and all(_is_container(item) for item in list(given)):
        return list(given)
    return None


def _is_container(item: Any) -> bool:
    """Return whether an item of a list is an array, a Series or a frame."""
    if isinstance(item, list | tuple | str | bytes) or item is None:
        return False
    # of the class: a lazy frame works out its columns
    frame = hasattr(type(item), "columns") or hasattr(type(item), "to_numpy")
    return frame or getattr(item, "ndim", 0) > 0


def _read(given: Any, name: str) -> TimeSeries:
    pd = sys.modules.get("pandas")
    if pd is not None and isinstance(given, pd.Series | pd.DataFrame):
        one = _read_pandas(given, name)
    elif isinstance(given, np.ndarray | list | tuple):
        one = TimeSeries(name, _numbers(given, name))
    else:
        one = _read_with_narwhals(given, name)
    if one.values.ndim not in (1, 2):
        raise ValueError(
            f"{name} has shape {one.values.shape}; expected (n_timesteps,) or (n_timesteps, "
            "n_channels)."
        )
    if not one.values.size:
        raise ValueError(f"{name} has shape {one.values.shape}: it is empty.")
    if one.index is not None:
        check_stamps(one.index, name)
    return one


def _read_pandas(given: Any, name: str) -> TimeSeries:
    frame = given.to_frame() if given.ndim == 1 else given
    columns = [
        _column(frame.iloc[:, i], f"{name}", frame.columns[i]) for i in range(frame.shape[1])
    ]
    values = _side_by_side(columns, len(given))
    if given.ndim == 2:
        columns = list(given.columns)
        return TimeSeries(name, values, columns, given.index, partial(_frame, given.columns))
    return TimeSeries(name, values[:, 0], None, given.index, partial(_series, given.name))


def _frame(names: Any, forecast: np.ndarray, index: Any, quantiles: tuple[Any, ...] | None) -> Any:
    pd = pandas()
    if quantiles is not None:
        pairs = [(*np.atleast_1d(np.array(n, dtype=object)), q) for n in names for q in quantiles]
        names = pd.MultiIndex.from_tuples(pairs, names=[*names.names, "quantile"])
    return pd.DataFrame(forecast.reshape(len(forecast), -1), index=index, columns=names)


def _series(name: Any, forecast: np.ndarray, index: Any, quantiles: tuple[Any, ...] | None) -> Any:
    pd = pandas()
    if quantiles is None:
        return pd.Series(forecast, index=index, name=name)
    return pd.DataFrame(forecast, index=index, columns=pd.Index(quantiles, name="quantile"))


def _column(column: Any, name: str, label: Any) -> np.ndarray:
    """Return a column of pandas as floating-point numbers, missing ones NaN."""
    pd = pandas()
    dtype = column.dtype
    if pd.api.types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype):
        raise ValueError(
            f"Column {short(label)} of {name} holds dates. {name}.set_index({short(label)}) makes "
            "them the index; leave them out otherwise."
        )
    if dtype.kind == "O" and isinstance(dtype, np.dtype):
        return _numbers(column.to_numpy(), name)
    if not (pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype)):
        raise ValueError(f"Column {short(label)} of {name} is of dtype {dtype}; expected numbers.")
    if pd.api.types.is_complex_dtype(dtype):
        raise ValueError(f"Column {short(label)} of {name} is complex; expected real numbers.")
    single = dtype == np.float32
    return column.to_numpy(dtype=np.float32 if single else np.float64, na_value=np.nan)


def _read_with_narwhals(given: Any, name: str) -> TimeSeries:
    """Read a Series or DataFrame of polars, or of another library that narwhals knows."""
    try:
        import narwhals as nw
    except ModuleNotFoundError:
        return TimeSeries(name, _numbers(given, name))
    frame = nw.from_native(given, allow_series=True, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        raise TypeError(
            f"{name} is a {type(frame.to_native()).__name__}, whose rows are not in memory; "
            f"{name}.collect() reads it."
        )
    if isinstance(frame, nw.Series):
        values = _narwhals_column(frame, name)
        return TimeSeries(name, values, None, None, partial(_narwhals_series, given))
    if not isinstance(frame, nw.DataFrame):
        return TimeSeries(name, _numbers(given, name))
    dates = [c for c in frame.columns if frame[c].dtype in (nw.Date, nw.Datetime)]
    if len(dates) > 1:
        raise ValueError(
            f"{name} has {len(dates)} columns of dates, {short(dates)}; leave only that of "
            "the time."
        )
    columns = [c for c in frame.columns if c not in dates]
    values = _side_by_side([_narwhals_column(frame[c], name) for c in columns], len(frame))
    index = _dates(frame[dates[0]], name) if dates else None
    return TimeSeries(name, values, columns, index, partial(_narwhals_frame, given, columns))


def _narwhals_series(
    given: Any, forecast: np.ndarray, index: Any, quantiles: tuple[Any, ...] | None
) -> Any:
    import narwhals as nw

    like = nw.from_native(given, series_only=True)
    backend = nw.get_native_namespace(like)
    if quantiles is None:
        return nw.new_series(like.name, forecast, backend=backend).to_native()
    named = {str(q): np.ascontiguousarray(forecast[:, i]) for i, q in enumerate(quantiles)}
    return nw.from_dict(named, backend=backend).to_native()


def _narwhals_frame(
    given: Any,
    columns: list[Any],
    forecast: np.ndarray,
    index: Any,
    quantiles: tuple[Any, ...] | None,
) -> Any:
    import narwhals as nw

    like = nw.from_native(given, eager_only=True)
    backend, made = nw.get_native_namespace(like), {}
    for column in like.columns:
        if column not in columns:
            made[column] = _as_dates(index, like[column], backend)
            continue
        i = columns.index(column)
        if quantiles is None:
            made[column] = np.ascontiguousarray(forecast[:, i])
            continue
        for j, quantile in enumerate(quantiles):
            made[f"{column}_{quantile}"] = np.ascontiguousarray(forecast[:, i, j])
    series = [
        value if isinstance(value, nw.Series) else nw.new_series(key, value, backend=backend)
        for key, value in made.items()
    ]
    return series[0].to_frame().with_columns(*series[1:]).to_native()


def _narwhals_column(column: Any, name: str) -> np.ndarray:
    import narwhals as nw

    if not (column.dtype.is_numeric() or column.dtype == nw.Boolean):
        raise ValueError(
            f"Column {short(column.name)} of {name} is of dtype {column.dtype}; expected numbers."
        )
    single = column.dtype == nw.Float32
    values = column.cast(nw.Float32 if single else nw.Float64).to_numpy()
    return np.asarray(values, dtype=np.float32 if single else np.float64)


def _dates(column: Any, name: str) -> Any:
    """Return a column of dates as an index of pandas."""
    import narwhals as nw

    missing = column.is_null().to_numpy()
    if missing.any():
        raise ValueError(f"The time stamp of row {np.argmax(missing)} of {name} is missing.")
    zone = getattr(column.dtype, "time_zone", None)
    if zone is None:
        stamps = column.cast(nw.Datetime("us")) if column.dtype == nw.Date else column
        return pandas().DatetimeIndex(stamps.to_numpy().astype(_unit(column)), name=column.name)
    stamps = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy()
    index = pandas().DatetimeIndex(stamps.astype(_unit(column)), name=column.name)
    return index.tz_localize("UTC").tz_convert(zone)


def _unit(column: Any) -> str:
    return f"datetime64[{getattr(column.dtype, 'time_unit', 'us')}]"


def _as_dates(index: Any, like: Any, backend: Any) -> Any:
    """Return an index of pandas as a column like another one."""
    import narwhals as nw

    zone = getattr(like.dtype, "time_zone", None)
    naive = index if zone is None else index.tz_convert("UTC").tz_localize(None)
    column = nw.new_series(like.name, naive.to_numpy().astype(_unit(like)), backend=backend)
    if zone is not None:
        column = column.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return column.cast(like.dtype)


def _side_by_side(columns: list[np.ndarray], n_rows: int) -> np.ndarray:
    """Return columns as a matrix, of float32 if all of them are."""
    return np.column_stack(columns) if columns else np.empty((n_rows, 0))


def _numbers(given: Any, name: str) -> np.ndarray:
    """Return an array-like as floating-point numbers, missing ones NaN."""
    array = read(given, name, masked_as_missing=True)
    if isinstance(array, list):
        raise ValueError(f"{name} is ragged; expected one value for each time step and channel.")
    array = numbers(array, name)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)
