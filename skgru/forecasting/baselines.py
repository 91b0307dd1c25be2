"""Forecasts without learning, which any other forecast should beat."""

from copy import deepcopy
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import ndtri
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from skgru._constraints import Interval
from skgru._sklearn import BaseEstimator, StrOptions, fit_context
from skgru.forecasting.recursive import in_form
from skgru.forecasting.series import TimeSeries, check_finite, read_several
from skgru.persistence import Saved


class NaiveForecaster(Saved, BaseEstimator):
    """Forecast by the last value, the last season, or the line from the first to the last value.

    Parameters
    ----------
    method : {"last", "seasonal", "drift"}, default="last"
        "last" repeats the last value, "seasonal" the last `season_length` values. "drift" draws
        the line through the first and the last value on.
    season_length : int, default=1
        Time steps in a season, such as 12 for months; only "seasonal" uses it.

    See Also
    --------
    backtest : Errors of a forecaster beside those of these baselines.

    Notes
    -----
    The methods and their intervals are those of chapter 5 of [1]_: intervals take the one-step
    residuals of the series for independent and normal.

    References
    ----------
    .. [1] R. J. Hyndman and G. Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed.,
       OTexts, 2021. https://otexts.com/fpp3

    Examples
    --------
    >>> from skgru.forecasting import NaiveForecaster
    >>> NaiveForecaster("drift").fit([1.0, 3.0, 2.0, 4.0]).predict(3)
    array([5., 6., 7.])
    >>> NaiveForecaster("seasonal", season_length=2).fit([1.0, 3.0, 2.0, 4.0]).predict(3)
    array([2., 4., 2.])
    """

    # where users import it from, and what saved models name
    __module__ = "skgru.forecasting"

    _parameter_constraints: ClassVar[dict[Any, Any]] = {
        "method": [StrOptions({"last", "seasonal", "drift"})],
        "season_length": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, method: str = "last", season_length: int = 1) -> None:
        self.method = method
        self.season_length = season_length

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, series: Any, exog: Any = None) -> Self:
        """Keep the series to forecast.

        Parameters
        ----------
        series : array-like of shape (n_timesteps,) or (n_timesteps, n_channels), or several of them
            In any form that `sliding_windows` takes.
        exog : ignored
            Accepted for the common interface of forecasters.

        Returns
        -------
        self : object
            The fitted forecaster.

        Raises
        ------
        ValueError
            If a series is invalid, or too short for the method.
        """
        lag = self.season_length if self.method == "seasonal" else 1
        several, _ = read_several(series, "series")
        _check_lengths(several, self.method, lag)
        self._fitted_to, self._history = (self.method, lag), deepcopy(series)
        return self

    def predict(self, steps: int, exog: Any = None, history: Any = None) -> Any:
        """Forecast the time steps that follow.

        Parameters
        ----------
        steps : int
            Time steps to forecast.
        exog : ignored
            Accepted for the common interface of forecasters.
        history : array-like, default=None
            Series to forecast instead of those of `fit`.

        Returns
        -------
        forecast : ndarray, Series, DataFrame or list of them
            In the form of the series, as `recursive_forecast` returns it.

        Raises
        ------
        ValueError
            If `steps` is less than 1, or `history` invalid.
        """
        return self._forecasts(steps, history, [0.0])[0]

    def predict_interval(
        self, steps: int, level: float = 0.8, exog: Any = None, history: Any = None
    ) -> tuple[Any, Any, Any]:
        """Forecast the time steps that follow, with an interval for each.

        Parameters
        ----------
        steps : int
            Time steps to forecast.
        level : float, default=0.8
            Probability with which a value is to be in its interval.
        exog : ignored
            Accepted for the common interface of forecasters.
        history : array-like, default=None
            Series to forecast instead of those of `fit`.

        Returns
        -------
        forecast, lower, upper : ndarray, Series, DataFrame or list of them
            Each as `predict` returns it.

        Raises
        ------
        ValueError
            If `steps` is less than 1, `level` not between 0 and 1, `history` invalid, or a series
            too short for a residual.
        """
        check_scalar(level, "level", Real, min_val=0, max_val=1, include_boundaries="neither")
        level = float(level)
        z = ndtri((1 + level) / 2)
        return tuple(self._forecasts(steps, history, [0.0, -z, z]))

    def _forecasts(self, steps: int, history: Any, deviations: list[float]) -> list[Any]:
        """Return forecasts that many standard deviations away from the expected ones."""
        check_is_fitted(self, "_history")
        check_scalar(steps, "steps", Integral, min_val=1)
        method, lag = self._fitted_to
        several, form = read_several(self._history if history is None else history, "history")
        _check_lengths(several, method, lag)
        times = [one.checked_times(None) for one in several]
        futures = [None if t is None else t.following(steps) for t in times]
        expected = np.stack([_expected(one.values, steps, method, lag) for one in several])
        spread = 0.0
        if any(deviations):
            spread = np.stack([_spread(one, steps, method, lag) for one in several])
        made = [(expected + d * spread).astype(expected.dtype) for d in deviations]
        return [in_form(one, several, futures, form, None) for one in made]


def _check_lengths(several: list[TimeSeries], method: str, lag: int) -> None:
    least = 2 if method == "drift" else lag
    for one in several:
        check_finite(one.values, one.name, one.index)
        if len(one) < least:
            raise ValueError(
                f"{one.name} has {len(one)} time steps; method={method!r} needs at least {least}."
            )


def _expected(values: np.ndarray, steps: int, method: str, lag: int) -> np.ndarray:
    ahead = np.arange(steps)
    if method != "drift":
        return values[len(values) - lag + ahead % lag]
    slope = (values[-1] - values[0]) / (len(values) - 1)
    return values[-1] + np.multiply.outer(ahead + 1, slope).astype(values.dtype)


def _spread(one: TimeSeries, steps: int, method: str, lag: int) -> np.ndarray:
    """Return the standard deviation of each time step to forecast."""
    drift = method == "drift"
    residuals = one.values[lag:] - one.values[:-lag]
    if len(residuals) <= drift:
        raise ValueError(
            f"{one.name} has {len(one)} time steps; an interval of method={method!r} needs at "
            f"least {lag + drift + 1}."
        )
    if drift:
        residuals = residuals - residuals.mean(axis=0)
    variance = (residuals**2).sum(axis=0) / (len(residuals) - drift)
    ahead = np.arange(1, steps + 1)
    growth = (ahead - 1) // lag + 1
    if drift:
        growth = ahead * (1 + ahead / (len(one) - 1))
    return np.sqrt(np.multiply.outer(growth, variance))
