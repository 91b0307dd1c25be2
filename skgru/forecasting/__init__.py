"""From series to windows and back: supervised learning on time series."""

from skgru.forecasting.averaged import WindowScaledAverage
from skgru.forecasting.backtest import backtest
from skgru.forecasting.baselines import NaiveForecaster
from skgru.forecasting.display import BacktestDisplay
from skgru.forecasting.forecaster import WindowForecaster
from skgru.forecasting.recursive import recursive_forecast
from skgru.forecasting.results import BacktestResults
from skgru.forecasting.scaled_target import ScaledTargetRegressor
from skgru.forecasting.window_scaled import WindowScaledRegressor
from skgru.forecasting.windows import lags_to_sequences, sliding_windows

__all__ = [
    "BacktestDisplay",
    "BacktestResults",
    "NaiveForecaster",
    "ScaledTargetRegressor",
    "WindowForecaster",
    "WindowScaledAverage",
    "WindowScaledRegressor",
    "backtest",
    "lags_to_sequences",
    "recursive_forecast",
    "sliding_windows",
]
