"""Forecasts of a backtest, and their errors as a tidy frame."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from skgru.forecasting.panel import Panel

METRICS = {
    "mae": "MAE",
    "rmse": "RMSE",
    "mase": "MASE",
    "rmsse": "RMSSE",
    "pinball": "pinball",
    "coverage": "coverage",
}
KEYS = ("model", "series", "channel", "origin", "horizon")
SCALED = ("mase", "rmsse")
OF_INTERVALS = ("pinball", "coverage")


@dataclass(frozen=True, eq=False, repr=False)
class BacktestResults:
    """Forecasts from each origin of a backtest, as `backtest` returns them.

    Attributes
    ----------
    metrics : tuple of str or callable
        What `errors` computes.
    level : float or None
        Probability with which values were to be in their intervals.
    season_length : int
    columns : dict of ndarray
        What ``forecasts`` has, with time steps as numbers: a position among those that all series
        have.
    panel : Panel
        The series.

    See Also
    --------
    backtest : Forecast from several origins.
    BacktestDisplay : Draw the forecasts and their errors.

    Examples
    --------
    >>> import numpy as np
    >>> from skgru.forecasting import NaiveForecaster, backtest
    >>> series = np.tile([1.0, 3.0, 2.0, 5.0], 10) + np.arange(40)
    >>> results = backtest(
    ...     NaiveForecaster(), series, initial=20, horizon=4, season_length=4, metrics=("mae",)
    ... )
    >>> results.errors(by=["model"]).shape
    (4, 2)
    """

    metrics: tuple[Any, ...]
    level: float | None
    season_length: int
    columns: dict[str, np.ndarray]
    panel: Panel

    def __repr__(self) -> str:
        counts = [f"{len(self.values_of(name))} {name}s" for name in ("model", "series", "origin")]
        return f"<BacktestResults: {', '.join(counts).replace('seriess', 'series')}>"

    @property
    def forecasts(self) -> Any:
        """Return a data frame with a row for each forecast of a value.

        Returns
        -------
        DataFrame
            Columns `model`, `series`, `channel` (if there are several), `origin` (the time of the
            last observation before the forecast), `horizon` (1 is the time step after it), `time`,
            `actual`, `forecast`, `lower` and `upper` (with a `level`), and `mase_scale` and
            `rmsse_scale` (with these metrics). It is of the library of the series; of arrays,
            of pandas or else polars.
        """
        return self._frame(self.columns)

    def values_of(self, name: str) -> list[Any]:
        """Return the different values of a column, in order of appearance.

        Parameters
        ----------
        name : str
            "model", "series", "channel", "origin" or "horizon".

        Returns
        -------
        list
            The values.
        """
        return list(dict.fromkeys(self.columns[name].tolist()))

    def errors(self, by: str | Sequence[str] = "model") -> Any:
        """Return the errors as a tidy data frame.

        Parameters
        ----------
        by : str or sequence of str, default="model"
            Columns whose values get rows of their own: "model", "series", "channel", "origin" and
            "horizon". The error of a row is over all forecasts that have its values.

        Returns
        -------
        DataFrame
            The columns `by`, and one for each metric.

        Raises
        ------
        ValueError
            If there is no such column.

        Notes
        -----
        An average of RMSE over rows is not the RMSE of all: ask for the rows that are needed.
        """
        names = [by] if isinstance(by, str) else list(by)
        known = [name for name in KEYS if name in self.columns]
        wrong = [name for name in names if name not in known]
        if wrong or len(set(names)) < len(names):
            raise ValueError(f"by={by!r}; expected different ones of {', '.join(known)}.")
        codes = [self._codes(name) for name in names]
        keys = np.column_stack([*codes, np.zeros(len(self.columns["model"]), dtype=int)])
        _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        # all rows have as many forecasts: from every origin, each model forecasts every value
        rows = np.argsort(group.ravel(), kind="stable").reshape(len(first), -1).T
        table = {name: self.columns[name][first] for name in names}
        for metric in self.metrics:
            table[title_of(metric)] = self._error(metric, rows)
        return self._frame(table)

    def _codes(self, name: str) -> np.ndarray:
        """Return numbers of the values of a column in order of appearance."""
        numbers = {value: i for i, value in enumerate(self.values_of(name))}
        return np.array([numbers[value] for value in self.columns[name].tolist()])

    def _error(self, metric: str | Callable[..., Any], rows: np.ndarray) -> np.ndarray:
        """Return the error of each column of rows."""
        # here, as importing skgru must not import scikit-learn's metrics
        from sklearn.metrics import (
            mean_absolute_error,
            mean_pinball_loss,
            root_mean_squared_error,
        )

        actual, forecast = self.columns["actual"][rows], self.columns["forecast"][rows]
        if not isinstance(metric, str):
            return np.array([metric(y, f) for y, f in zip(actual.T, forecast.T, strict=True)])
        each = {"multioutput": "raw_values"}
        if metric in OF_INTERVALS:
            lower, upper = self.columns["lower"][rows], self.columns["upper"][rows]
            if metric == "coverage":
                return np.mean((lower <= actual) & (actual <= upper), axis=0)
            tail = (1 - self.level) / 2
            below = mean_pinball_loss(actual, lower, alpha=tail, **each)
            above = mean_pinball_loss(actual, upper, alpha=1 - tail, **each)
            return (below + above) / 2
        if metric in SCALED:
            scale = self.columns[f"{metric}_scale"][rows]
            actual, forecast = actual / scale, forecast / scale
        error = root_mean_squared_error if metric.startswith("rms") else mean_absolute_error
        return error(actual, forecast, **each)

    # ---- data frames ---------------------------------------------------------------------------

    def _frame(self, columns: dict[str, np.ndarray]) -> Any:
        """Return columns as a data frame of the library of the series."""
        module = frame_library(self.panel)
        if module == "pandas":
            import pandas as pd

            return pd.DataFrame({
                name: self.panel.stamps.take(values)
                if name in ("origin", "time") and self.panel.stamps is not None
                else values
                for name, values in columns.items()
            })  # fmt: skip
        import narwhals as nw

        stamps = self._stamps_like_the_series()
        made = []
        for name, values in columns.items():
            if name in ("origin", "time") and stamps is not None:
                made.append(stamps[values].alias(name))
            else:
                values = values.tolist() if values.dtype == object else values
                made.append(nw.new_series(name, values, backend=module))
        return made[0].to_frame().with_columns(*made[1:]).to_native()

    def _stamps_like_the_series(self) -> Any:
        """Return the time stamps as a Series of narwhals, from a frame of the user's library."""
        import narwhals as nw

        if self.panel.stamps is None:
            return None
        one = self.panel.several[0]
        frame = nw.from_native(
            one.wrap(np.zeros((self.panel.n_steps, len(one.columns))), self.panel.stamps, None)
        )
        (name,) = set(frame.columns) - set(one.columns)
        return frame[name]


def title_of(metric: str | Callable[..., Any]) -> str:
    """Return the column that a metric is in.

    Parameters
    ----------
    metric : str or callable
    """
    return METRICS[metric] if isinstance(metric, str) else metric.__name__


def frame_library(panel: Panel) -> Any:
    """Return the library for data frames about series.

    Parameters
    ----------
    panel : Panel

    Returns
    -------
    str or module
        "pandas", "polars", or the module of the series.

    Raises
    ------
    ModuleNotFoundError
        If the series are arrays, and neither pandas nor polars is installed.
    """
    first = panel.given[0]
    if panel.several[0].wrap is not None:
        if hasattr(first, "iloc"):
            return "pandas"
        import narwhals as nw

        return nw.get_native_namespace(nw.from_native(first, allow_series=True))
    for name in ("pandas", "polars"):
        if find_spec(name) is not None:
            return name
    raise ModuleNotFoundError("The errors are a data frame: pip install pandas.")
