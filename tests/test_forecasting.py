import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRURegressor
from skgru.forecasting import recursive_forecast, sliding_windows


def test_windows_of_a_univariate_series():
    X, y = sliding_windows([1, 2, 3, 4, 5, 6], window=2, horizon=2)
    np.testing.assert_array_equal(X, [[1, 2], [2, 3], [3, 4]])
    np.testing.assert_array_equal(y, [[3, 4], [4, 5], [5, 6]])


def test_windows_of_channels_are_time_major():
    series = np.arange(10).reshape(5, 2)
    X, y = sliding_windows(series, window=2, horizon=2, step=1)
    np.testing.assert_array_equal(X, [[[0, 1], [2, 3]], [[2, 3], [4, 5]]])
    np.testing.assert_array_equal(y, [[4, 5, 6, 7], [6, 7, 8, 9]])
    assert sliding_windows(series[:, :1], 2)[1].shape == (3,)


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("step", [1, 2, 5])
@pytest.mark.parametrize("window", [1, 4])
def test_every_window_is_followed_by_its_target(window, step, horizon):
    series = np.arange(30.0)
    X, y = sliding_windows(series, window, horizon, step)
    starts = np.arange(0, 30 - window - horizon + 1, step)
    np.testing.assert_array_equal(X, starts[:, None] + np.arange(window))
    expected = starts[:, None] + window + np.arange(horizon)
    np.testing.assert_array_equal(y, expected[:, 0] if horizon == 1 else expected)


def test_windows_are_copies_and_keep_float32():
    series = np.arange(10, dtype=np.float32)
    X, y = sliding_windows(pd.Series(series), 3)
    assert X.dtype == y.dtype == np.float32
    X[:] = -1
    assert series[0] == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            ([1, 2], 2),
            ValueError,
            "series has 2 time steps; window=2 and horizon=1 need at least 3",
        ),
        (([1, np.nan, 3], 1), ValueError, "series is nan at time step 1"),
        (([1, 2, np.inf], 1), ValueError, "series is inf at time step 2"),
        ((np.zeros((3, 2, 1)), 1), ValueError, "expected"),
        (([1, 2, 3], 0), ValueError, "window == 0"),
        (([1, 2, 3], 1.5), TypeError, "window"),
        (([1, 2, 3], 1, 0), ValueError, "horizon == 0"),
        (([1, 2, 3], 1, 1, -1), ValueError, "step == -1"),
    ],
)
def test_bad_windows(arguments, error, message):
    with pytest.raises(error, match=message):
        sliding_windows(*arguments)


@pytest.fixture
def wave():
    return np.sin(np.arange(60) / 3)  # follows a linear recurrence of order 2


@pytest.mark.parametrize("horizon", [1, 4])
def test_forecast_continues_a_linear_recurrence(wave, horizon):
    model = LinearRegression().fit(*sliding_windows(wave[:40], 2, horizon))
    forecast = recursive_forecast(model, wave[:40], 20, window=2)
    np.testing.assert_allclose(forecast, wave[40:], atol=1e-9)
    np.testing.assert_array_equal(recursive_forecast(model, wave[38:40], 20), forecast)


def test_forecast_of_channels(wave):
    series = np.column_stack([wave, 2 - wave])
    X, y = sliding_windows(series[:40], 3)
    flat = make_pipeline(FlattenSteps(), LinearRegression()).fit(X, y)
    forecast = recursive_forecast(flat, series[:40], 20, window=3)
    np.testing.assert_allclose(forecast, series[40:], atol=1e-9)


class FlattenSteps(StandardScaler):
    def fit(self, X, y=None):
        return super().fit(X.reshape(len(X), -1))

    def transform(self, X):
        return super().transform(X.reshape(len(X), -1))


def test_forecast_with_a_gru(wave):
    model = GRURegressor(8, solver="lbfgs", max_iter=60, tol=1e-3, random_state=0)
    model.fit(*sliding_windows(wave[:40], 8))
    forecast = recursive_forecast(model, wave[32:40], 5)
    assert forecast.shape == (5,)
    # each step is the model's own prediction from what came before
    first = model.predict(wave[None, 32:40])
    np.testing.assert_allclose(forecast[:1], first, rtol=1e-6)
    second = model.predict(np.r_[wave[33:40], first][None])
    np.testing.assert_allclose(forecast[1:2], second, rtol=1e-5)


def test_bad_forecasts(wave):
    model = LinearRegression().fit(*sliding_windows(wave, 2))
    with pytest.raises(ValueError, match="history has 1 time steps; window=2"):
        recursive_forecast(model, [1.0], 3, window=2)
    with pytest.raises(ValueError, match="steps == 0"):
        recursive_forecast(model, wave, 0)
    two = LinearRegression().fit(np.zeros((3, 4)), np.zeros((3, 3)))
    with pytest.raises(ValueError, match="predicts 3 values, which is no multiple of the 2"):
        recursive_forecast(
            make_pipeline(FlattenSteps().fit(np.zeros((3, 4))), two), np.zeros((2, 2)), 1
        )
