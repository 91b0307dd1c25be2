import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

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


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("step", [1, 4])
@pytest.mark.parametrize("window", [1, 5])
def test_every_window_of_channels_is_followed_by_its_target(window, step, horizon):
    series = np.random.default_rng(0).normal(size=(30, 3))
    X, y = sliding_windows(series, window, horizon, step)
    starts = range(0, 30 - window - horizon + 1, step)
    assert X.shape == (len(starts), window, 3)
    assert y.shape == (len(starts), horizon * 3)
    for start, x, target in zip(starts, X, y, strict=True):
        end = start + window
        np.testing.assert_array_equal(x, series[start:end])
        np.testing.assert_array_equal(target.reshape(horizon, 3), series[end : end + horizon])


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 2)])
@pytest.mark.parametrize(
    ("window", "horizon", "step"), [(2, 1, 1), (1, 1, 1), (5, 1, 1), (1, 5, 1), (2, 2, 2)]
)
def test_windows_are_contiguous_copies(shape, window, horizon, step):
    series = np.zeros(shape)
    for part in sliding_windows(series, window, horizon, step):
        assert part.flags.c_contiguous
        part[:] = 1  # read-only as a view of the series
    assert not series.any()


def test_windows_take_what_pandas_holds():
    values = np.arange(10)
    X, y = sliding_windows(pd.Series(values), 3)
    np.testing.assert_array_equal(X[-1], [6, 7, 8])
    assert y[-1] == 9
    X, y = sliding_windows(pd.DataFrame({"a": values, "b": -values}), 3)
    np.testing.assert_array_equal(X[-1], [[6, -6], [7, -7], [8, -8]])
    np.testing.assert_array_equal(y[-1], [9, -9])


@pytest.mark.parametrize(
    ("given", "returned"), [(np.float32, np.float32), (np.float64, np.float64), (int, np.float64)]
)
def test_windows_keep_float32(given, returned):
    X, y = sliding_windows(np.arange(10, dtype=given), 3)
    assert X.dtype == y.dtype == returned


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
        (([[1, 2], [3, np.nan]], 1), ValueError, "series is nan at time step 1, channel 1"),
        ((np.zeros((3, 2, 1)), 1), ValueError, r"series has shape \(3, 2, 1\); expected"),
        (([1, 2, 3], 0), ValueError, "window == 0"),
        (([1, 2, 3], 1.5), TypeError, "window must be an instance of int"),
        (([1, 2, 3], 1, 1.0), TypeError, "horizon must be an instance of int"),
        (([1, 2, 3], 1, 1, "2"), TypeError, "step must be an instance of int"),
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


@pytest.mark.parametrize("horizon", [1, 4, 7, 30])
def test_forecast_continues_a_linear_recurrence(wave, horizon):
    model = LinearRegression().fit(*sliding_windows(wave[:40], 2, horizon))
    forecast = recursive_forecast(model, wave[:40], 20, window=2)
    np.testing.assert_allclose(forecast, wave[40:], atol=1e-9)
    np.testing.assert_array_equal(recursive_forecast(model, wave[38:40], 20), forecast)


def test_forecast_of_channels(wave):
    series = np.column_stack([wave, 2 - wave])
    for horizon in (1, 3):  # 20 steps are no multiple of 3
        X, y = sliding_windows(series[:40], 3, horizon)
        flat = make_pipeline(FunctionTransformer(flatten), LinearRegression()).fit(X, y)
        forecast = recursive_forecast(flat, series[:40], 20, window=3)
        np.testing.assert_allclose(forecast, series[40:], atol=1e-9)


def test_forecast_of_one_channel_keeps_its_axis(wave):
    X, y = sliding_windows(wave[:40, None], 2)
    flat = make_pipeline(FunctionTransformer(flatten), LinearRegression()).fit(X, y)
    forecast = recursive_forecast(flat, wave[:40, None], 20, window=2)
    np.testing.assert_allclose(forecast, wave[40:, None], atol=1e-9)


def test_forecast_with_a_pipeline(wave):
    model = make_pipeline(StandardScaler(), LinearRegression())
    model.fit(*sliding_windows(wave[:40], 2))
    forecast = recursive_forecast(model, wave[:40].tolist(), 20, window=2)
    np.testing.assert_allclose(forecast, wave[40:], atol=1e-9)


def flatten(X):
    return X.reshape(len(X), -1)


@pytest.mark.parametrize("channels", [(), (2,)])
def test_each_call_sees_the_newest_window(channels):
    """Three steps a call, of a window of four: what was seen, and what came back."""
    seen = []

    class CountOn:
        def predict(self, X):
            seen.append(X[0].copy())
            return (X[:, -1:] + np.arange(1, 4).reshape(-1, *len(channels) * [1])).reshape(1, -1)

    history = np.broadcast_to(np.arange(6.0).reshape(-1, *len(channels) * [1]), (6, *channels))
    forecast = recursive_forecast(CountOn(), history, 7, window=4)
    assert forecast.shape == (7, *channels)
    firsts = [x.reshape(4, -1)[:, 0].tolist() for x in seen]
    assert firsts == [[2, 3, 4, 5], [5, 6, 7, 8], [8, 9, 10, 11]]
    assert forecast.reshape(7, -1)[:, -1].tolist() == [6, 7, 8, 9, 10, 11, 12]
    assert {x.shape for x in seen} == {(4, *channels)}


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
    with pytest.raises(ValueError, match="history has 1 time steps; window=2 needs at least 2"):
        recursive_forecast(model, [1.0], 3, window=2)
    with pytest.raises(ValueError, match="steps == 0"):
        recursive_forecast(model, wave, 0)
    with pytest.raises(TypeError, match="steps must be an instance of int"):
        recursive_forecast(model, wave, 2.0)
    with pytest.raises(ValueError, match="window == 0"):
        recursive_forecast(model, wave, 3, window=0)
    with pytest.raises(TypeError, match="window must be an instance of int"):
        recursive_forecast(model, wave, 3, window="2")
    with pytest.raises(ValueError, match="history is nan at time step 1"):
        recursive_forecast(model, [1.0, np.nan], 3)
    with pytest.raises(ValueError, match="history has shape .*; expected"):
        recursive_forecast(model, np.zeros((2, 2, 2)), 3)
    three = make_pipeline(FunctionTransformer(flatten), LinearRegression())
    three.fit(np.zeros((3, 2, 2)), np.zeros((3, 3)))
    with pytest.raises(ValueError, match="predicts 3 values, which is no multiple of the 2"):
        recursive_forecast(three, np.zeros((2, 2)), 1)
