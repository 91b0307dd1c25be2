import numpy as np
import pandas as pd
import pytest
from helpers import run_snippets
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.datasets import load_japanese_vowels
from skgru.forecasting import WindowScaledRegressor, recursive_forecast, sliding_windows
from skgru.preprocessing import PerTimestep, sequences_from_frame

compose = pytest.importorskip("sktime.forecasting.compose")
datatypes = pytest.importorskip("sktime.datatypes")

WINDOW = 8
# sktime's panels are (n_samples, n_channels, n_timesteps)
TIME_BEFORE_CHANNELS = FunctionTransformer(np.transpose, kw_args={"axes": (0, 2, 1)})

# 60 iterations of L-BFGS suffice for what is tested
pytestmark = pytest.mark.filterwarnings("ignore:L-BFGS stopped:UserWarning")


def gru(**parameters):
    return GRURegressor(**{"hidden_layer_sizes": 8, "solver": "lbfgs", "max_iter": 60, "tol": 1e-3,
                           "dtype": "float64", "random_state": 0, **parameters})  # fmt: skip


def months(n):
    return pd.period_range("2015-01", periods=n, freq="M")


@pytest.fixture
def wave():
    return pd.Series(np.sin(np.arange(100) / 3), index=months(100))


@pytest.mark.parametrize("scitype", ["tabular-regressor", "time-series-regressor"])
def test_a_recursive_forecast_matches_recursive_forecast(wave, scitype):
    """The same windows in the same order give the same model and the same forecast."""
    model = gru()
    if scitype == "time-series-regressor":
        model = make_pipeline(TIME_BEFORE_CHANNELS, model)
    forecaster = compose.make_reduction(model, window_length=WINDOW, scitype=scitype)
    forecast = forecaster.fit(wave[:80]).predict(fh=np.arange(1, 21))
    ours = gru().fit(*sliding_windows(wave[:80], WINDOW))
    expected = recursive_forecast(ours, wave[:80], 20, window=WINDOW)
    np.testing.assert_allclose(forecast, expected, rtol=1e-6)
    assert forecast.index.equals(wave.index[80:])
    assert np.abs(forecast - wave[80:]).mean() < 0.1


@pytest.mark.parametrize("strategy", ["direct", "multioutput", "dirrec"])
def test_other_strategies(wave, strategy):
    model = make_pipeline(TIME_BEFORE_CHANNELS, gru(max_iter=30))
    forecaster = compose.make_reduction(
        model, window_length=WINDOW, strategy=strategy, scitype="time-series-regressor"
    )
    forecast = forecaster.fit(wave[:80], fh=[1, 2, 3]).predict()
    assert np.abs(forecast - wave[80:83]).max() < 0.15


def test_windows_without_their_level_and_scale(wave):
    """A trend that leaves the range of the training part."""
    trend = wave + 0.2 * np.arange(100)
    model = WindowScaledRegressor(gru())
    forecaster = compose.make_reduction(model, window_length=WINDOW, scitype="tabular-regressor")
    forecast = forecaster.fit(trend[:80]).predict(fh=np.arange(1, 11))
    ours = WindowScaledRegressor(gru()).fit(*sliding_windows(trend[:80], WINDOW))
    expected = recursive_forecast(ours, trend[:80], 10, window=WINDOW)
    np.testing.assert_allclose(forecast, expected, rtol=1e-6)
    assert np.abs(forecast - trend[80:90]).max() < 0.5


def test_exog_are_channels_of_panels_but_not_of_tables():
    """Rows of tables have all lags of y, then all of exog: not the layout of `n_channels`."""
    rng = np.random.default_rng(0)
    exog = pd.DataFrame({"heat": rng.normal(size=120)}, index=months(120))
    y = pd.Series(0.9 * np.roll(exog.heat, 1) + 0.01 * rng.normal(size=120), index=exog.index)
    seen = {}

    class Spy(GRURegressor):
        def fit(self, X, y):
            seen["X"] = X
            return super().fit(X, y)

    def forecast(model, scitype):
        forecaster = compose.make_reduction(model, window_length=4, scitype=scitype)
        return forecaster.fit(y[:100], X=exog[:100]).predict(fh=[1], X=exog[100:101])

    spy = Spy(**gru().get_params())
    predicted = forecast(make_pipeline(TIME_BEFORE_CHANNELS, spy), "time-series-regressor")
    np.testing.assert_array_equal(seen["X"][0], np.column_stack([y, exog.heat])[:4])
    # exog of the month before determines the forecast up to noise
    assert abs(predicted.iloc[0] - y.iloc[100]) < 0.2
    forecast(spy, "tabular-regressor")
    np.testing.assert_array_equal(seen["X"][0], np.concatenate([y[:4], exog.heat[:4]]))


def test_code_of_the_docs():
    docs = run_snippets("integrations.rst", "sktime: forecasting by reduction")
    spots = docs["spots"]
    model = TransformedTargetRegressor(
        make_pipeline(PerTimestep(StandardScaler()), docs["gru"]), transformer=StandardScaler()
    )
    model.fit(*sliding_windows(spots[:-5], 22))
    expected = recursive_forecast(model, spots[:-5], 5, window=22)
    np.testing.assert_allclose(docs["forecast"], expected, rtol=1e-4)
    assert docs["with_exog"].shape == (5,)
    assert docs["forecaster"].window_length == 22
    panel = run_snippets("integrations.rst", "sktime and aeon: panels")
    assert panel["X"].shape == (5, 30, 2)


def test_panels_have_channels_before_time_steps():
    """sktime's panels, as frames and as arrays, and skgru's X have the same sequences."""
    rng = np.random.default_rng(0)
    panel3d = rng.normal(size=(5, 2, 7))
    frame = datatypes.convert_to(panel3d, "pd-multiindex")
    keys = dict(zip(["by", "order"], frame.index.names, strict=True))
    X, ids = sequences_from_frame(frame.reset_index(), **keys, columns=frame.columns)
    np.testing.assert_array_equal(X, panel3d.transpose(0, 2, 1))
    assert ids.tolist() == list(range(5))
    # sequences of different lengths
    X, y = load_japanese_vowels(subset="train", return_X_y=True)
    frame = pd.concat(
        [pd.DataFrame(x) for x in X], keys=range(len(X)), names=["utterance", "frame"]
    )
    datatypes.check_raise(frame, "pd-multiindex")
    frame = frame.reset_index().rename(columns=str)
    same, ids = sequences_from_frame(frame, "utterance", "frame", columns=frame.columns[2:])
    assert ids.tolist() == list(range(len(X)))
    for x, like in zip(same, X, strict=True):
        np.testing.assert_array_equal(x, like)
    model = GRUClassifier(16, max_iter=10, learning_rate="cosine", random_state=0)
    assert model.fit(same, y).score(same, y) > 0.8
