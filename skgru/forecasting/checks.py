"""Check what a backtest is asked for, and what its forecasters return."""

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_scalar

from skgru.forecasting.baselines import NaiveForecaster
from skgru.forecasting.panel import Panel
from skgru.forecasting.results import KEYS, METRICS, OF_INTERVALS, title_of
from skgru.forecasting.series import check_finite, read_several
from skgru.sequences import short


def check_count(value: Any, name: str) -> int:
    """Return a positive integer."""
    check_scalar(value, name, Integral, min_val=1)
    return int(value)


def check_metrics(metrics: Any, level: float | None) -> tuple:
    """Return metrics with different names, the usual ones for None."""
    if metrics is None:
        return ("mae", "rmse", "mase") + (("pinball", "coverage") if level is not None else ())
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    metrics = tuple(metrics)
    for metric in metrics:
        if callable(metric) and hasattr(metric, "__name__"):
            continue
        if not isinstance(metric, str) or metric not in METRICS:
            raise ValueError(
                f"There is no metric {short(metric)}; expected {', '.join(METRICS)}, or a function "
                "of y_true and y_pred."
            )
        if metric in OF_INTERVALS and level is None:
            raise ValueError(f"The metric {metric!r} needs a level, such as level=0.8.")
    titles = [title_of(metric) for metric in metrics]
    if not titles or len(set(titles)) < len(titles):
        raise ValueError(f"The metrics are {titles}; expected at least one, with different names.")
    taken = sorted(set(titles) & set(KEYS))
    if taken:
        raise ValueError(
            f"A metric has the name {taken[0]!r}, which is a column of the errors: name the "
            "function otherwise."
        )
    return metrics


def check_models(forecaster: Any, baselines: bool, season_length: int) -> dict[str, Any]:
    """Return all forecasters by name, the baselines last."""
    if isinstance(forecaster, Mapping):
        models = dict(forecaster)
        if not models or not all(isinstance(name, str) for name in models):
            raise ValueError(
                f"forecaster holds {short(list(models))}; expected names of forecasters."
            )
    else:
        models = {type(forecaster).__name__: forecaster}
    if not baselines:
        return models
    naive = {"last value": NaiveForecaster("last")}
    if season_length > 1:
        naive["seasonal naive"] = NaiveForecaster("seasonal", season_length=season_length)
    naive["drift"] = NaiveForecaster("drift")
    taken = sorted(set(models) & set(naive))
    if taken:
        raise ValueError(
            f"A forecaster has the name {taken[0]!r} of a baseline: name it otherwise, or set "
            "baselines=False."
        )
    return models | naive


def check_interface(name: str, model: Any, exog: bool, history: bool, level: bool) -> None:
    """Raise TypeError if a forecaster lacks what will be called."""
    predict = "predict_interval" if level else "predict"
    for method in ("fit", predict):
        if isinstance(model, type) or not callable(getattr(model, method, None)):
            remedy = "; level=None needs none" if method == "predict_interval" else ""
            raise TypeError(
                f"The forecaster {name!r} is a {type(model).__name__} without {method}{remedy}."
            )
    asked = [("fit", "exog", exog, "exog"), (predict, "exog", exog, "exog"),
             (predict, "history", history, "a refit other than True")]  # fmt: skip
    for method, argument, needed, why in asked:
        if needed and not _takes(getattr(model, method), argument):
            raise TypeError(
                f"{method} of the forecaster {name!r} takes no {argument}, which is needed for "
                f"{why}."
            )


def _takes(method: Callable, argument: str) -> bool:
    parameters = signature(method).parameters
    anything = any(one.kind is Parameter.VAR_KEYWORD for one in parameters.values())
    return anything or argument in parameters


def check_forecast(
    made: Any, panel: Panel, origin: int, horizon: int, where: str
) -> list[np.ndarray]:
    """Return forecast, and bounds if there are any, as (n_series, horizon, n_channels) arrays."""
    n_series = len(panel.several)
    arrays = []
    for forecast in made:
        if isinstance(forecast, Mapping):
            expected = "a series" if panel.form == "one" else "a list of series, in their order"
            raise TypeError(
                f"The forecast of {where} is a {type(forecast).__name__}; expected {expected}."
            )
        items = [forecast] if panel.form == "one" else list(forecast)
        if len(items) != n_series:
            raise ValueError(
                f"The forecast of {where} is {len(items)} series; expected {n_series}."
            )
        arrays.append(np.stack([
            _check_one(item, panel, i, origin, horizon, f"The forecast of {where}")
            for i, item in enumerate(items)
        ]))  # fmt: skip
    if len(arrays) == 3 and (arrays[1] > arrays[2]).any():
        raise ValueError(f"The forecast of {where} has a lower bound above the upper one.")
    return arrays


def _check_one(item: Any, panel: Panel, i: int, origin: int, horizon: int, name: str) -> np.ndarray:
    (one,), form = read_several(item, name)
    like = panel.several[i]
    shape = (horizon, *like.values.shape[1:])
    if form != "one" or one.values.size != np.prod(shape) or len(one) != horizon:
        raise ValueError(f"{name} has shape {one.values.shape}; expected {shape}.")
    check_finite(one.values, name, one.index)
    if one.columns is not None and like.columns is not None and one.columns != like.columns:
        raise ValueError(
            f"{name} has the columns {short(one.columns)}; expected {short(like.columns)}."
        )
    if one.index is not None and panel.stamps is not None:
        expected = panel.stamps[origin : origin + horizon]
        if not one.index.equals(expected):
            raise ValueError(
                f"{name} is for {one.index[0]} to {one.index[-1]}; expected {expected[0]} to "
                f"{expected[-1]}."
            )
    return one.values.reshape(horizon, -1).astype(np.float64)
