"""Intervals around forecasts, of residuals or of quantiles, in the form of the forecasts."""

from math import ceil
from typing import Any

import numpy as np

from skgru.forecasting.predictions import outputs_of
from skgru.forecasting.series import read_several
from skgru.outputs import Quantiles


def radii(residuals: np.ndarray, level: float) -> np.ndarray:
    """Return the empirical quantile of absolute residuals that split conformal prediction takes.

    Parameters
    ----------
    residuals : ndarray of shape (n_origins, horizon, n_channels)
    level : float

    Returns
    -------
    ndarray of shape (horizon, n_channels)

    Raises
    ------
    ValueError
        If there are too few origins for the level.
    """
    n_origins = len(residuals)
    rank = ceil((n_origins + 1) * level)
    if rank > n_origins:
        raise ValueError(
            f"level={level} needs at least {ceil(level / (1 - level))} held-out windows, there "
            f"are {n_origins}. Hold out more, or choose a lower level."
        )
    return np.sort(np.abs(residuals), axis=0)[rank - 1]


def quantile_columns(regressor: Any, level: float) -> list[int] | None:
    """Return where among its quantiles a regressor predicts the bounds, or None if not."""
    outputs = outputs_of(regressor)
    if not isinstance(outputs, Quantiles):
        return None
    quantiles = np.array(outputs.quantiles)
    columns = [np.flatnonzero(np.isclose(quantiles, q)) for q in ((1 - level) / 2, (1 + level) / 2)]
    return [int(c[0]) for c in columns] if all(map(len, columns)) else None


def moved(forecast: Any, by: np.ndarray) -> Any:
    """Add to forecasts, and keep their form.

    Parameters
    ----------
    forecast : ndarray, Series, DataFrame or list of them
        As `recursive_forecast` returns it.
    by : ndarray of shape (n_series, steps, n_channels)
    """
    return _in_form_of(forecast, lambda i, values: values + by[i].reshape(values.shape))


def quantile_of(forecast: Any, quantiles: Any, column: int, n_quantiles: int) -> Any:
    """Take one of all quantiles, in the form of the forecasts.

    Parameters
    ----------
    forecast : ndarray, Series, DataFrame or list of them
        As `recursive_forecast` returns it.
    quantiles : ndarray, DataFrame or list of them
        As it returns them with `return_quantiles`.
    column : int
    n_quantiles : int
    """
    if isinstance(quantiles, np.ndarray):
        return quantiles[..., column]
    several = quantiles if isinstance(quantiles, list) else [quantiles]
    rows = [
        one if isinstance(one, np.ndarray) else read_several(one, "quantiles")[0][0].values
        for one in several
    ]
    chosen = [r.reshape(len(r), -1, n_quantiles)[..., column] for r in rows]
    return _in_form_of(forecast, lambda i, values: chosen[i].reshape(values.shape))


def _in_form_of(forecast: Any, values_of: Any) -> Any:
    """Return other values in the form of forecasts; `values_of` takes a number and the values."""
    several, form = read_several(forecast, "forecast")
    made = []
    for i, one in enumerate(several):
        values = values_of(i, one.values)
        made.append(values if one.wrap is None else one.wrap(values, one.index, None))
    if form == "one":
        return made[0]
    return np.stack(made) if form == "array" else made
