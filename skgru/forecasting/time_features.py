"""Time stamps as channels that are known in advance, and the usual season of a frequency."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from skgru.forecasting.times import pandas

# attribute of time stamps, its smallest value, and values in a cycle
CYCLES: dict[str, tuple[str, int, float]] = {
    "minute": ("minute", 0, 60),
    "hour": ("hour", 0, 24),
    "weekday": ("day_of_week", 0, 7),
    "day": ("day", 1, 31),
    "day_of_year": ("day_of_year", 1, 365.25),
    "month": ("month", 1, 12),
    "quarter": ("quarter", 1, 4),
}
# time steps in a season, by the code of a frequency
SEASONS = {"min": 24 * 60, "h": 24, "D": 7, "B": 5, "C": 5, "W": 52}
SEASONS |= dict.fromkeys(("M", "MS", "ME", "BMS", "BME", "CBMS", "CBME", "WOM", "LWOM"), 12)
SEASONS |= dict.fromkeys(("Q", "QS", "QE", "BQS", "BQE"), 4)


def time_features(index: Any, names: Sequence[str], series_name: str) -> np.ndarray:
    """Return sine and cosine of the place of time stamps in cycles.

    Parameters
    ----------
    index : pandas.Index or None
        Local time, if it has a time zone.
    names : sequence of str
        Keys of `CYCLES`.
    series_name : str
        For messages.

    Returns
    -------
    ndarray of shape (n_stamps, 2 * n_names)

    Raises
    ------
    ValueError
        If the index has no dates, or a name is unknown.
    """
    pd = pandas()
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if not isinstance(index, pd.DatetimeIndex):
        what = "no time stamps" if index is None else f"an index of {index.dtype}"
        raise ValueError(
            f"time_features={list(names)} need dates, but {series_name} has {what}. Give it an "
            "index of dates or periods, or pass the features yourself as exog."
        )
    columns = []
    for name in names:
        if name not in CYCLES:
            raise ValueError(
                f"time_features has {name!r}; expected some of {', '.join(CYCLES)}. Others, such "
                "as holidays, are passed as exog."
            )
        attribute, first, n_values = CYCLES[name]
        angle = 2 * np.pi * (np.asarray(getattr(index, attribute)) - first) / n_values
        columns += [np.sin(angle), np.cos(angle)]
    return np.column_stack(columns)


def usual_season(step: Any) -> int:
    """Return the time steps in a season of a frequency; 1 where there is no usual one.

    Parameters
    ----------
    step : offset, timedelta, int or None
        Interval between time stamps.
    """
    if hasattr(step, "freqstr") and isinstance(step, pandas().offsets.Tick):
        step = pandas().Timedelta(step)  # 3600 seconds are an hour
    if isinstance(step, timedelta):
        days, rest = divmod(step, timedelta(days=1))  # pandas has no days, but 24 hours
        step = pandas().tseries.frequencies.to_offset(step if rest else f"{days}D")
    found = re.match(r"(\d*)([A-Za-z]+)", getattr(step, "freqstr", ""))
    if found is None:  # of an offset without a code, too: pd.DateOffset(months=1)
        return 1
    n_steps, per_season = int(found[1] or 1), SEASONS.get(found[2], 1)
    return per_season // n_steps if per_season % n_steps == 0 else 1
