"""Forecast a series again and again from its past, and compare with what came."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_scalar
from sklearn.utils.parallel import Parallel, delayed

from skgru.forecasting.checks import (
    check_count,
    check_forecast,
    check_interface,
    check_metrics,
    check_models,
)
from skgru.forecasting.panel import Panel
from skgru.forecasting.results import METRICS, SCALED, BacktestResults, frame_library
from skgru.model.blas import OneBlasThread


def backtest(
    forecaster: Any,
    series: Any,
    *,
    initial: int,
    horizon: int,
    step: int | None = None,
    refit: bool | int = True,
    exog: Any = None,
    metrics: Sequence[str | Callable[..., Any]] | None = None,
    season_length: int = 1,
    baselines: bool = True,
    level: float | None = None,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> BacktestResults:
    """Forecast series from several origins in their past, and measure the errors.

    At each origin the forecaster gets only the observations before it, and forecasts the next
    `horizon` time steps. Naive forecasts are in the same tables.

    Parameters
    ----------
    forecaster : object, or dict of objects
        An unfitted forecaster, or several with their names. It has ``fit(series)`` and
        ``predict(steps)``, which returns as many time steps in the form of the series or as an
        array; also ``fit(series, exog=)`` and ``predict(steps, exog=)`` for `exog`,
        ``predict(steps, history=)`` for `refit` other than True, and ``predict_interval(steps,
        level=)``, which returns forecast, lower and upper bound, for `level`.
    series : array-like of shape (n_timesteps,) or (n_timesteps, n_channels), or several of them
        In any form that `sliding_windows` takes, time stamps without gaps. Several series are cut
        at the same time: by their time stamps, or else they are arrays of one length. Only time
        steps that all of them have are origins or are forecast.
    initial : int
        Time steps before the first origin.
    horizon : int
        Time steps to forecast from each origin.
    step : int, default=None
        Time steps from one origin to the next; None is `horizon`.
    refit : bool or int, default=True
        Whether to fit at every origin. False fits at the first origin only; an integer k, at every
        k-th one. At the others, the fitted forecaster gets the observations up to the origin as
        `history`.
    exog : array-like, default=None
        Channels that are known in advance, as `sliding_windows` takes them: rows for every time
        step of the series. ``fit`` gets those of the time steps before the origin and ``predict``
        those to forecast; with `history`, those of the history and then those to forecast. For a
        `WindowForecaster`, `horizon` is then to be a multiple of its own, as it looks so far.
    metrics : sequence of str or callable, default=None
        "mae", "rmse", "mase" and "rmsse"; with a `level` also "pinball" (mean of the pinball losses
        of the two bounds) and "coverage" (share of values in their intervals). A callable is
        called as ``metric(y_true, y_pred)``, like those of scikit-learn. None is "mae", "rmse" and
        "mase", and with a `level` "pinball" and "coverage".
    season_length : int, default=1
        Time steps in a season: of the seasonal naive forecast, and of the scale of MASE.
    baselines : bool, default=True
        Whether to forecast with `NaiveForecaster`, too, as "last value", "seasonal naive" (with a
        `season_length` above 1) and "drift".
    level : float, default=None
        Probability with which values are to be in their intervals, such as 0.8. None has no
        intervals.
    n_jobs : int, default=None
        Number of processes over which fits are distributed, as in scikit-learn. The results are
        the same for every number.
    verbose : bool, default=False
        Whether to show a progress bar of the fits; needs rich.

    Returns
    -------
    results : BacktestResults
        ``results.errors(by=["model", "horizon"])`` are the errors as a tidy data frame, and
        ``results.forecasts`` the forecasts.

    Raises
    ------
    ValueError
        If the series are invalid or too short for one origin, if `exog` lacks a time step, if a
        forecast is not `horizon` finite numbers for each channel, or is of other time steps, or if
        observations before an origin repeat themselves, so that MASE has no scale.
    TypeError
        If the forecaster lacks a method or an argument that is needed.

    See Also
    --------
    NaiveForecaster : The baselines.
    BacktestDisplay : Draw the forecasts, and the errors by horizon.
    sklearn.model_selection.TimeSeriesSplit : Splits of windows, for searches over regressors.

    Notes
    -----
    MASE [1]_ is the mean absolute error divided by that of the seasonal naive forecast of one step
    within the observations before the origin, of each series and channel by itself; RMSSE divides
    squared errors likewise. A value below 1 alone does not mean that the baselines are beaten:
    compare the rows of the table.

    Estimators are cloned, other forecasters copied, for every fit. BLAS uses one thread, so that
    results do not depend on the number of processes.

    References
    ----------
    .. [1] R. J. Hyndman and A. B. Koehler, "Another look at measures of forecast accuracy",
       International Journal of Forecasting 22(4), 679-688, 2006.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skgru.forecasting import NaiveForecaster, backtest
    >>> months = pd.period_range("2015-01", periods=60, freq="M")
    >>> series = pd.Series(np.arange(60) + 50.0 * (months.month == 12), index=months)
    >>> class SeasonalDrift:  # a forecaster of one's own
    ...     def fit(self, series):
    ...         self.series = series
    ...     def predict(self, steps):
    ...         return self.series.to_numpy()[-12:][:steps] + 12
    >>> results = backtest(
    ...     SeasonalDrift(), series, initial=36, horizon=12, step=6, season_length=12
    ... )
    >>> results
    <BacktestResults: 4 models, 1 series, 3 origins>
    >>> results.errors().round(2)
                model    MAE   RMSE  MASE
    0   SeasonalDrift   0.00   0.00  0.00
    1      last value  31.11  36.07  2.59
    2  seasonal naive  12.00  12.00  1.00
    3           drift  37.34  45.95  3.11
    """
    horizon = check_count(horizon, "horizon")
    step = horizon if step is None else check_count(step, "step")
    initial = check_count(initial, "initial")
    season_length = check_count(season_length, "season_length")
    is_flag = isinstance(refit, bool | np.bool_)
    refit = bool(refit) if is_flag else check_count(refit, "refit")
    if level is not None:
        check_scalar(level, "level", Real, min_val=0, max_val=1, include_boundaries="neither")
        level = float(level)
    metrics = check_metrics(metrics, level)
    panel = Panel.of(series, exog)
    frame_library(panel)
    origins = list(range(initial, panel.n_steps - horizon + 1, step))
    if not origins:
        raise ValueError(
            f"The series have {panel.n_steps} time steps in common; initial={initial} and "
            f"horizon={horizon} need at least {initial + horizon}."
        )
    models = check_models(forecaster, baselines, season_length)
    for name, model in models.items():
        check_interface(name, model, exog is not None, refit is not True, level is not None)
    if verbose and find_spec("rich") is None:
        raise ModuleNotFoundError("verbose=True needs rich: pip install rich.")
    scales = {
        metric: {o: _scales(metric, panel, o, season_length) for o in origins}
        for metric in SCALED
        if metric in metrics
    }
    every = len(origins) if refit is False else int(refit)
    groups = [origins[start : start + every] for start in range(0, len(origins), every)]
    jobs = [(name, group) for name in models for group in groups]
    made = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_run)(_job(name, models[name], panel, group, horizon, level))
        for name, group in jobs
    )
    rows = []
    for (name, group), forecasts in zip(jobs, _watched(made, len(jobs), verbose), strict=True):
        for origin, forecast in zip(group, forecasts, strict=True):
            where = f"{name!r} at {panel.stamp(origin - 1)}"
            rows.append((name, origin, check_forecast(forecast, panel, origin, horizon, where)))
    return BacktestResults(
        metrics, level, season_length, _columns(rows, panel, horizon, scales), panel
    )


class _Job(NamedTuple):
    """One fit, and the forecasts from the origins up to the next fit."""

    forecaster: Any
    training: tuple[Any, dict[str, Any]]
    origins: list[tuple[str, dict[str, Any]]]
    horizon: int
    level: float | None


def _job(
    name: str, forecaster: Any, panel: Panel, group: list[int], horizon: int, level: float | None
) -> _Job:
    """Cut what one fit and its forecasts may see."""
    first = group[0]
    beside = {} if panel.exog is None else {"exog": panel.exog_of(None, first)}
    training = panel.before(first), beside
    origins = []
    for origin in group:
        arguments = {}
        if origin > first:
            arguments["history"] = panel.before(origin)
        if panel.exog is not None:
            start = origin if origin == first else None
            arguments["exog"] = panel.exog_of(start, origin + horizon)
        origins.append((f"{name!r} at {panel.stamp(origin - 1)}", arguments))
    return _Job(forecaster, training, origins, horizon, level)


def _run(job: _Job) -> list[tuple[Any, ...]]:
    """Fit a forecaster; return its forecasts, with the bounds if there is a level."""
    # sums in BLAS depend on the number of its threads
    with OneBlasThread() as blas:
        return blas.interruptible(_forecasts, job)


def _forecasts(job: _Job) -> list[tuple[Any, ...]]:
    made = []
    where, _ = job.origins[0]
    try:
        fitted = clone(job.forecaster, safe=False)
        series, beside = job.training
        fitted.fit(series, **beside)
        for origin in job.origins:
            where, arguments = origin
            if job.level is None:
                made.append((fitted.predict(job.horizon, **arguments),))
            else:
                made.append(fitted.predict_interval(job.horizon, level=job.level, **arguments))
    except Exception as error:
        error.add_note(f"This was in the backtest of {where}.")
        raise
    return made


def _watched(made: Iterable[Any], total: int, verbose: bool) -> Iterator[Any]:
    if not verbose:
        return iter(made)
    from rich.progress import track

    return iter(track(made, "backtest", total))


# ---- results -------------------------------------------------------------------------------------


def _scales(metric: str, panel: Panel, origin: int, season_length: int) -> list[np.ndarray]:
    """Return the errors of the seasonal naive forecast before an origin, by series and channel."""
    scales = []
    for i, one in enumerate(panel.several):
        values = panel.values(i, None, origin)
        if len(values) <= season_length:
            raise ValueError(
                f"{one.name} has {len(values)} time steps before the first origin; "
                f"{METRICS[metric]} with season_length={season_length} needs at least "
                f"{season_length + 1}."
            )
        errors = np.abs(values[season_length:] - values[:-season_length])
        scale = errors.mean(axis=0)
        # differences of equal values may be rounding errors
        flat = scale <= 8 * np.finfo(np.float64).eps * np.abs(values).max(axis=0)
        if flat.any():
            channel = f", channel {np.argmax(flat)}," if values.shape[1] > 1 else ""
            raise ValueError(
                f"{one.name}{channel} repeats itself up to {panel.stamp(origin - 1)} with "
                f"season_length={season_length}, so that {METRICS[metric]} has no scale: leave it "
                'out, with metrics=("mae", "rmse"), or begin later, with a greater initial.'
            )
        scales.append(scale if metric == "mase" else np.sqrt((errors**2).mean(axis=0)))
    return scales


def _columns(
    rows: list[tuple[Any, ...]], panel: Panel, horizon: int, scales: dict[str, dict[Any, Any]]
) -> dict[str, np.ndarray]:
    """Return a row for each forecast of a value: by model, series, origin, horizon and channel."""
    n_channels = panel.values(0, None, 1).shape[1]
    names = _series_names(panel)
    block = horizon * n_channels
    columns: dict[str, list[Any]] = {}

    def add(name: str, values: Any) -> None:
        columns.setdefault(name, []).append(np.asarray(values))

    for name, origin, arrays in rows:
        for i, one in enumerate(names):
            add("model", np.full(block, name, dtype=object))
            add("series", np.full(block, one, dtype=object if isinstance(one, str) else int))
            if n_channels > 1:
                channels = panel.several[i].columns or range(n_channels)
                add("channel", np.tile(np.array(channels, dtype=object), horizon))
            ahead = np.repeat(np.arange(1, horizon + 1), n_channels)
            add("origin", np.full(block, origin - 1))
            add("horizon", ahead)
            add("time", origin - 1 + ahead)
            add("actual", panel.values(i, origin, origin + horizon).ravel())
            for title, array in zip(("forecast", "lower", "upper"), arrays, strict=False):
                add(title, array[i].ravel())
            for metric, by_origin in scales.items():
                add(f"{metric}_scale", np.tile(by_origin[origin][i], horizon))
    return {name: np.concatenate(values) for name, values in columns.items()}


def _series_names(panel: Panel) -> list[Any]:
    """Return the names of the series, or their numbers if they have no different names."""
    names = [getattr(given, "name", None) for given in panel.given]
    named = all(isinstance(name, str) and name for name in names)
    return names if named and len(set(names)) == len(names) else list(range(len(names)))
