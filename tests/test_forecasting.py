import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skgru import GRURegressor
from skgru.forecasting import lags_to_sequences, recursive_forecast, sliding_windows


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
        part[:] = 1  # a view of the series would be read-only
    assert not series.any()


def test_windows_of_pandas_objects():
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
        ((np.zeros((3, 2, 1, 1)), 1), ValueError, r"series has shape \(3, 2, 1, 1\); expected"),
        (([1, 2, 3], 0), ValueError, "window == 0"),
        (([1, 2, 3], 1.5), TypeError, "window must be an instance of int"),
        (([1, 2, 3], 1, 1.0), TypeError, "horizon must be an instance of int"),
        (([1, 2, 3], 1, 1, "2"), TypeError, "step must be an instance of int"),
        (([1, 2, 3], 1, 0), ValueError, "horizon == 0"),
        (([1, 2, 3], 1, 1, -1), ValueError, "step == -1"),
    ],
)
def test_invalid_windows_are_rejected(arguments, error, message):
    with pytest.raises(error, match=message):
        sliding_windows(*arguments)


@pytest.fixture
def wave():
    return np.sin(np.arange(60) / 3)  # follows a linear recurrence of order 2


@pytest.mark.parametrize("horizon", [1, 4, 7, 30])
def test_forecast_continues_a_linear_recurrence(wave, horizon):
    model = LinearRegression().fit(*sliding_windows(wave[:40], 2, horizon))
    forecast = recursive_forecast(model, wave[:40], 20, window=2, horizon=horizon)
    np.testing.assert_allclose(forecast, wave[40:], atol=1e-9)
    same = recursive_forecast(model, wave[38:40], 20, horizon=horizon)
    np.testing.assert_array_equal(same, forecast)


def test_forecast_of_channels(wave):
    series = np.column_stack([wave, 2 - wave])
    for horizon in (1, 3):  # 20 steps are no multiple of 3
        X, y = sliding_windows(series[:40], 3, horizon)
        flat = make_pipeline(FunctionTransformer(flatten), LinearRegression()).fit(X, y)
        forecast = recursive_forecast(flat, series[:40], 20, window=3, horizon=horizon)
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
def test_each_call_uses_the_newest_window(channels):
    """A model that predicts three steps from a window of four: its inputs, and the forecast."""
    seen = []

    class CountOn:
        def predict(self, X):
            seen.append(X[0].copy())
            return (X[:, -1:] + np.arange(1, 4).reshape(-1, *len(channels) * [1])).reshape(1, -1)

    history = np.broadcast_to(np.arange(6.0).reshape(-1, *len(channels) * [1]), (6, *channels))
    forecast = recursive_forecast(CountOn(), history, 7, window=4, horizon=3)
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
    # each step is predicted from the steps before
    first = model.predict(wave[None, 32:40])
    np.testing.assert_allclose(forecast[:1], first, rtol=1e-6)
    second = model.predict(np.r_[wave[33:40], first][None])
    np.testing.assert_allclose(forecast[1:2], second, rtol=1e-5)


def test_invalid_forecasts_are_rejected(wave):
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
        recursive_forecast(model, np.zeros((2, 2, 2, 2)), 3)
    three = make_pipeline(FunctionTransformer(flatten), LinearRegression())
    three.fit(np.zeros((3, 2, 2)), np.zeros((3, 3)))
    with pytest.raises(
        ValueError, match="predicts 3 numbers .* horizon=1 and 2 channels .* make 2"
    ):
        recursive_forecast(three, np.zeros((2, 2)), 1, horizon=1)
    with pytest.raises(ValueError, match="horizon == 0"):
        recursive_forecast(model, wave, 3, horizon=0)
    with pytest.raises(TypeError, match="horizon must be an instance of int"):
        recursive_forecast(model, wave, 3, horizon=1.0)


# ---- several series ------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [(), (2,)])
@pytest.mark.parametrize(("window", "horizon", "step"), [(3, 1, 1), (2, 2, 3), (1, 1, 1)])
def test_windows_of_several_series_equal_those_of_each(channels, window, horizon, step):
    rng = np.random.default_rng(0)
    several = [rng.normal(size=(n, *channels)) for n in (9, 4, 12)]
    alone = [sliding_windows(one, window, horizon, step) for one in several]
    for given in (several, tuple(several)):
        for part, expected in zip(
            sliding_windows(given, window, horizon, step), zip(*alone, strict=True), strict=True
        ):
            np.testing.assert_array_equal(part, np.concatenate(expected))
            assert part.flags.c_contiguous
            part[:] = 0
    assert all(one.all() for one in several)
    for (X, _), one in zip(alone, several, strict=True):
        assert len(X) == (len(one) - window - horizon) // step + 1


def test_forms_of_several_series():
    array = np.random.default_rng(0).normal(size=(3, 8, 2))
    expected = sliding_windows(list(array), 4)
    objects = np.empty(3, dtype=object)
    objects[:] = list(array)
    for form in (array, tuple(array), objects, [pd.DataFrame(one) for one in array]):
        for part, like in zip(sliding_windows(form, 4), expected, strict=True):
            np.testing.assert_array_equal(part, like)
    # nested lists of one length are the time steps of one series, as in X
    assert sliding_windows(array[0].tolist(), 4)[0].shape == (4, 4, 2)
    # and of different lengths they do not turn into several series
    with pytest.raises(ValueError, match=r"different lengths is no series.*np.asarray\(one\)"):
        sliding_windows([[1, 2, 3], [4, 5]], 1)
    ragged = [np.array([1, 2, 3]), [4, 5]]
    assert sliding_windows(ragged, 1)[0].tolist() == [[1], [2], [4]]
    assert sliding_windows([one.astype("float32") for one in array], 4)[0].dtype == np.float32


def test_forecast_of_several_series_equals_that_of_each(wave):
    several = [wave[:40], 3 * wave[5:20], wave[:6]]
    for horizon in (1, 3):
        model = LinearRegression().fit(*sliding_windows(wave[:40], 2, horizon))
        forecast = recursive_forecast(model, several, 10, window=2, horizon=horizon)
        assert forecast.shape == (3, 10)
        for one, history in zip(forecast, several, strict=True):
            alone = recursive_forecast(model, history, 10, window=2, horizon=horizon)
            np.testing.assert_allclose(one, alone)
    channels = np.stack([np.column_stack([wave[:40], 2 - wave[:40]])] * 2)
    flat = make_pipeline(FunctionTransformer(flatten), LinearRegression())
    flat.fit(*sliding_windows(channels, 3))
    forecast = recursive_forecast(flat, channels, 5, window=3, horizon=1)
    assert forecast.shape == (2, 5, 2)
    np.testing.assert_allclose(forecast[1], np.column_stack([wave, 2 - wave])[40:45], atol=1e-9)


def test_invalid_series_are_rejected():
    several = [np.zeros(9), np.zeros(3)]
    with pytest.raises(ValueError, match=r"series\[1\] has 3 time steps; window=4 and horizon=1"):
        sliding_windows(several, 4)
    with pytest.raises(ValueError, match=r"history\[1\] has 3 time steps; window=4"):
        recursive_forecast(LinearRegression(), several, 1, window=4)
    with pytest.raises(ValueError, match="histories have 3 to 9 time steps; state the window"):
        recursive_forecast(LinearRegression(), several, 1)
    with pytest.raises(ValueError, match=r"series\[1\] has shape \(9, 2\), series\[0\] \(9, 1\)"):
        sliding_windows([np.zeros((9, 1)), np.zeros((9, 2))], 4)
    with pytest.raises(ValueError, match=r"series\[1\] is nan at time step 1"):
        sliding_windows([np.zeros(3), np.array([0, np.nan, 0])], 1)
    with pytest.raises(ValueError, match="series is empty"):
        sliding_windows(np.zeros((0, 4, 2)), 1)


# ---- exogenous channels --------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [(), (2,)])
@pytest.mark.parametrize(("horizon", "step"), [(1, 1), (3, 1), (2, 3)])
def test_windows_end_with_the_exog_of_their_targets(channels, horizon, step):
    rng = np.random.default_rng(0)
    series, exog = rng.normal(size=(20, *channels)), rng.normal(size=(20, 2))
    X, y = sliding_windows(series, 4, horizon, step, exog=exog)
    plain, same_y = sliding_windows(series, 4, horizon, step)
    np.testing.assert_array_equal(X[:, :, :-2], plain.reshape(len(X), 4, -1))
    np.testing.assert_array_equal(y, same_y)
    for start, x in zip(range(0, 20, step), X[:, :, -2:], strict=False):
        np.testing.assert_array_equal(x, exog[start + horizon : start + horizon + 4])
    one = sliding_windows(series, 4, horizon, step, exog=exog[:, 0])[0]
    np.testing.assert_array_equal(one, X[:, :, :-1])


def test_exog_of_several_series():
    rng = np.random.default_rng(0)
    several = [rng.normal(size=n).astype("float32") for n in (9, 7)]
    exog = [rng.integers(7, size=(n, 1)) for n in (9, 7)]
    X, y = sliding_windows(several, 3, exog=exog)
    assert X.dtype == np.float32
    parts = [sliding_windows(s, 3, exog=e) for s, e in zip(several, exog, strict=True)]
    np.testing.assert_array_equal(X, np.concatenate([part[0] for part in parts]))
    np.testing.assert_array_equal(y, np.concatenate([part[1] for part in parts]))


@pytest.fixture
def driven():
    """A series of which each value is half the last one plus exog."""
    exog = np.random.default_rng(0).normal(size=80)
    series = np.zeros(80)
    for t in range(1, 80):
        series[t] = 0.5 * series[t - 1] + exog[t]
    return series, exog


@pytest.mark.parametrize("horizon", [1, 4])
@pytest.mark.parametrize("as_channel", [False, True])
def test_forecast_uses_future_exog(driven, horizon, as_channel):
    series, exog = driven
    if as_channel:
        series = series[:, np.newaxis]
    flat = make_pipeline(FunctionTransformer(flatten), LinearRegression())
    flat.fit(*sliding_windows(series[:60], 5, horizon, exog=exog[:60]))
    end = 78 if horizon == 1 else 80  # 18 steps are no multiple of 4: 20 of exog are needed
    for window, history in ((5, series[:60]), (None, series[55:60])):
        known = exog[60 - len(history) : end]
        forecast = recursive_forecast(flat, history, 18, window=window, exog=known, horizon=horizon)
        np.testing.assert_allclose(forecast, series[60:78], atol=1e-9)
    several = recursive_forecast(
        flat, [series[:60], series[:50]], 18, window=5, exog=[exog[:end], exog[: end - 10]],
        horizon=horizon,
    )  # fmt: skip
    np.testing.assert_allclose(several[0], series[60:78], atol=1e-9)
    np.testing.assert_allclose(several[1], series[50:68], atol=1e-9)


def test_forecast_with_exog_and_a_gru(driven):
    series, exog = driven
    model = GRURegressor(8, solver="lbfgs", max_iter=200, tol=1e-3, random_state=0)
    model.fit(*sliding_windows(series[:60], 6, exog=exog[:60]))
    forecast = recursive_forecast(model, series[:60], 10, window=6, exog=exog[:70])
    error = np.abs(forecast - series[60:70]).mean()
    assert error < 0.5 * np.abs(series[60:70] - series[59]).mean()
    X = np.column_stack([series[54:60], exog[55:61]])
    np.testing.assert_allclose(forecast[:1], model.predict(X[np.newaxis]), rtol=1e-6)


def test_invalid_exog_is_rejected(driven):
    series, exog = driven
    with pytest.raises(
        ValueError, match="exog has 70 time steps; expected exactly 80: those of ser"
    ):
        sliding_windows(series, 4, exog=exog[:70])
    with pytest.raises(ValueError, match=r"exog\[1\] has 81 time steps; expected exactly 80"):
        sliding_windows([series, series], 4, exog=[exog, np.zeros(81)])
    with pytest.raises(ValueError, match="exog holds 1 arrays, but there are 2 series"):
        sliding_windows([series, series], 4, exog=exog)
    with pytest.raises(ValueError, match="exog is nan at time step 2"):
        sliding_windows(series[:3], 1, exog=[0, 0, np.nan])
    flat = make_pipeline(FunctionTransformer(flatten), LinearRegression())
    flat.fit(*sliding_windows(series, 4, 3, exog=exog))
    for n_known in (10, 80, 84, 85, 87):
        message = f"exog has {n_known} time steps; expected exactly 86: those of history, and 6"
        with pytest.raises(ValueError, match=message):
            recursive_forecast(flat, series, 4, window=4, horizon=3, exog=np.zeros(n_known))


# ---- tables of lags ------------------------------------------------------------------------------


def test_lags_become_sequences_with_the_oldest_first():
    X = np.arange(12.0).reshape(2, 6)
    sequences = lags_to_sequences(X, 4)
    assert sequences.shape == (2, 4, 3)
    np.testing.assert_array_equal(sequences[1, :, 0], [9, 8, 7, 6])
    np.testing.assert_array_equal(sequences[1, :, 1:], [[10, 11]] * 4)
    np.testing.assert_array_equal(lags_to_sequences(X, 6)[:, :, 0], X[:, ::-1])
    assert lags_to_sequences(pd.DataFrame(X, dtype="float32"), 1).dtype == np.float32
    with pytest.raises(ValueError, match="X has 6 columns; n_lags=7 need at least 7"):
        lags_to_sequences(X, 7)
    with pytest.raises(ValueError, match="n_lags == 0"):
        lags_to_sequences(X, 0)
    with pytest.raises(TypeError, match="n_lags must be an instance of int"):
        lags_to_sequences(X, 2.0)
