"""Intervals and sample paths of forecasts, of residuals or of quantiles, in their form."""

from math import ceil
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state, check_scalar

from skgru.forecasting.predictions import Predictions, outputs_of
from skgru.forecasting.recursive import recursive_forecast
from skgru.forecasting.series import read_several
from skgru.outputs import Quantiles


class IntervalsMixin:
    """Intervals and sample paths of `WindowForecaster`."""

    def predict_interval(
        self,
        steps: int | None = None,
        level: float = 0.8,
        *,
        exog: Any = None,
        history: Any = None,
    ) -> tuple[Any, Any, Any]:
        """Forecast with an interval for each time step.

        Parameters
        ----------
        steps : int, default=None
            Time steps, at most `horizon_`; None is all.
        level : float, default=0.8
            Probability that an interval is to cover.
        exog, history : array-like, default=None
            As in `predict`.

        Returns
        -------
        forecast, lower, upper : ndarray, Series, DataFrame, list or dict of them
            Each as `predict` returns it.

        Raises
        ------
        ValueError
            If there are more steps than `horizon_`, if nothing was held out, or too little for
            this level.
        """
        steps = self._steps(steps)
        check_scalar(level, "level", Real, min_val=0, max_val=1, include_boundaries="neither")
        if steps > self.horizon_:
            raise ValueError(
                f"steps={steps}, but intervals are of at most horizon_={self.horizon_} steps. Fit "
                f"with horizon={steps}."
            )
        forecast = self._forecast(steps, exog, history)
        columns = None
        if self._fitted_horizon == self.horizon_:
            columns = quantile_columns(self.regressor_, level)
        if columns is not None:
            quantiles = self._forecast(steps, exog, history, return_quantiles=True)
            n_quantiles = len(outputs_of(self.regressor_).quantiles)
            bounds = [quantile_of(forecast, quantiles, c, n_quantiles) for c in columns]
        elif self._residuals is None:
            raise ValueError(
                "Intervals are calibrated on a held-out part, but holdout=0. Fit with holdout=0.2."
            )
        else:
            past, _ = read_several(self._without_names(history), "history")
            last = [one.values[-self.window_ :].reshape(self.window_, -1) for one in past]
            scales = self.regressor_._window_scales(np.stack(last))
            margin = radii(self._residuals, level)[:steps] * scales
            bounds = [moved(forecast, -margin), moved(forecast, margin)]
        return tuple(self._named(one, history) for one in (forecast, *bounds))

    def sample_paths(
        self,
        steps: int | None = None,
        n_paths: int = 100,
        *,
        exog: Any = None,
        history: Any = None,
        random_state: Any = None,
    ) -> Any:
        """Draw futures, for what depends on several time steps: sums, maxima, first passages.

        Each step of a path is the forecast after the steps before it, plus an error of the
        held-out part, drawn anew in units of the scale of the window and without the mean error.

        Parameters
        ----------
        steps : int, default=None
            Time steps; None is `horizon_`.
        n_paths : int, default=100
            Futures of each series.
        exog, history : array-like, default=None
            As in `predict`.
        random_state : int, RandomState instance or None, default=None
            Of the residuals.

        Returns
        -------
        paths : ndarray of shape (n_paths, steps[, n_channels]), or list or dict of them
            A list of several series, a dict if they have names.

        Raises
        ------
        ValueError
            If `strategy` is not "recursive", or nothing was held out.
        """
        steps = self._steps(steps)
        check_scalar(n_paths, "n_paths", Integral, min_val=1)
        if self._fitted_horizon > 1 or self._residuals is None:
            raise ValueError(
                "Sample paths are of one-step forecasts and their errors on a held-out part: fit "
                "with strategy='recursive' and holdout=0.2."
            )
        _, several, form, futures, known = self._inputs(steps, exog, history)
        errors = self._residuals[:, 0] - self._residuals[:, 0].mean(axis=0)
        drawn = Bootstrapped(self.regressor_, errors, check_random_state(random_state))
        paths = []
        for i, (one, future) in enumerate(zip(several, futures, strict=True)):
            past, beside = one.values.reshape(len(one), -1), None
            if known is not None:
                beside = known.beside(i, one, future, steps)
                beside = np.stack([beside[-(self.window_ + steps) :]] * n_paths)
            made = recursive_forecast(
                drawn, np.stack([past[-self.window_ :]] * n_paths), steps, horizon=1, exog=beside
            )
            paths.append(made.reshape(n_paths, steps, *one.values.shape[1:]))
        return paths[0] if form == "one" else self._named(paths, history)


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
    if isinstance(forecast, np.ndarray):  # of one series, or of several
        return forecast + by.reshape(forecast.shape)
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


class Bootstrapped:
    """Predictions of the next time step that miss by residuals, which are drawn anew each time.

    Parameters
    ----------
    regressor : WindowScaledRegressor
        Of one time step.
    residuals : ndarray of shape (n_origins, n_channels)
        Of the next time step, in units of the scale of the window.
    rng : RandomState
    """

    def __init__(self, regressor: Any, residuals: np.ndarray, rng: np.random.RandomState) -> None:
        self._scales = regressor._window_scales
        self._residuals, self._rng = residuals, rng
        self._predictions = Predictions.of(regressor, 1, residuals.shape[1])

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict the next time step, and add residuals.

        Parameters
        ----------
        X : ndarray of shape (n_windows, window, n_channels)
        """
        n_channels = self._residuals.shape[1]
        drawn = self._residuals[self._rng.randint(len(self._residuals), size=len(X))]
        predicted = self._predictions.median(self._predictions.after(X, (n_channels,)))
        return predicted[:, 0] + drawn * self._scales(X[:, :, :n_channels])[:, 0]


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
