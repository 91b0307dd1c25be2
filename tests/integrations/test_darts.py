import numpy as np
import pandas as pd
import pytest
from helpers import run_snippets
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skgru import GRURegressor
from skgru.forecasting import WindowScaledRegressor, recursive_forecast, sliding_windows
from skgru.preprocessing import PerTimestep

darts = pytest.importorskip("darts")
models = pytest.importorskip("darts.models")

LAGS = 8
MONTHS = pd.date_range("2015-01-01", periods=120, freq="MS")

pytestmark = pytest.mark.filterwarnings("ignore:L-BFGS stopped:UserWarning")


def gru(**parameters):
    return GRURegressor(**{"hidden_layer_sizes": 8, "solver": "lbfgs", "max_iter": 60, "tol": 1e-3,
                           "dtype": "float64", "random_state": 0, **parameters})  # fmt: skip


def series_of(*components):
    frame = pd.DataFrame(np.column_stack(components), index=MONTHS[: len(components[0])])
    return darts.TimeSeries.from_dataframe(frame.rename(columns=str))


@pytest.fixture
def wave():
    return np.sin(np.arange(120) / 3)


def test_a_recursive_forecast_matches_recursive_forecast(wave):
    """The same windows in the same order give the same model and the same forecast."""
    forecaster = models.SKLearnModel(lags=LAGS, output_chunk_length=1, model=gru())
    forecast = forecaster.fit(series_of(wave[:100])).predict(10)
    model = gru().fit(*sliding_windows(wave[:100], LAGS))
    expected = recursive_forecast(model, wave[:100], 10, window=LAGS)
    np.testing.assert_allclose(forecast.values()[:, 0], expected, rtol=1e-6)
    assert forecast.time_index.equals(MONTHS[100:110])
    assert np.abs(forecast.values()[:, 0] - wave[100:110]).mean() < 0.1


def test_a_horizon_is_one_model_of_several_outputs(wave):
    forecaster = models.SKLearnModel(lags=LAGS, output_chunk_length=3, model=gru())
    forecast = forecaster.fit(series_of(wave[:100])).predict(6)
    model = gru().fit(*sliding_windows(wave[:100], LAGS, horizon=3))
    expected = recursive_forecast(model, wave[:100], 6, window=LAGS, horizon=3)
    np.testing.assert_allclose(forecast.values()[:, 0], expected, rtol=1e-6)


def test_components_are_channels(wave):
    two = np.column_stack([wave, np.cos(np.arange(120) / 4)])
    forecaster = models.SKLearnModel(lags=LAGS, output_chunk_length=1, model=gru(n_channels=2))
    forecast = forecaster.fit(series_of(*two[:100].T)).predict(5)
    model = gru().fit(*sliding_windows(two[:100], LAGS))
    expected = recursive_forecast(model, two[:100], 5, window=LAGS, horizon=1)
    np.testing.assert_allclose(forecast.values(), expected, rtol=1e-6)


def test_covariates_are_blocks_behind_the_lags(wave):
    seen = {}

    class Spy(Ridge):
        def fit(self, X, y):
            seen["X"] = X
            return super().fit(X, y)

    heat = np.random.default_rng(0).normal(size=120)
    forecaster = models.SKLearnModel(
        lags=3, lags_future_covariates=[-2, -1, 0], output_chunk_length=1, model=Spy()
    )
    forecaster.fit(series_of(wave), future_covariates=series_of(heat))
    np.testing.assert_allclose(seen["X"][0], [*wave[:3], *heat[1:4]])
    time_first = FunctionTransformer(lambda X: X.reshape(len(X), -1, 3).transpose(0, 2, 1))
    X, _ = sliding_windows(wave, 3, exog=heat)
    np.testing.assert_allclose(time_first.fit_transform(seen["X"]), X)


def test_windows_without_their_level_and_scale():
    """A global model of series of which one is a million times the other, with trends."""
    t = np.arange(120)
    series = [factor * (10 + t + 5 * np.sin(t / 2)) for factor in (1, 1e6)]
    model = WindowScaledRegressor(gru())
    forecaster = models.SKLearnModel(lags=LAGS, output_chunk_length=3, model=model)
    past = [series_of(s[:100]) for s in series]
    small, large = forecaster.fit(past).predict(6, series=past)
    np.testing.assert_allclose(large.values(), 1e6 * small.values(), rtol=1e-6)
    assert np.abs(small.values()[:, 0] - series[0][100:106]).max() < 1.5


def test_a_backtest_of_darts(wave):
    forecaster = models.SKLearnModel(lags=LAGS, output_chunk_length=1, model=gru())
    series = series_of(wave)
    forecaster.fit(series[:100])
    forecasts = forecaster.historical_forecasts(series, start=MONTHS[100], retrain=False)
    assert np.abs(forecasts.values()[:, 0] - wave[100:]).max() < 0.1


def test_code_of_the_docs():
    docs = run_snippets("integrations.rst", "darts")
    spots = docs["spots"].values()[:, 0]
    model = TransformedTargetRegressor(
        make_pipeline(PerTimestep(StandardScaler()), docs["gru"]), transformer=StandardScaler()
    )
    model.fit(*sliding_windows(spots[:-5], 22, horizon=5))
    expected = model.predict(spots[np.newaxis, -27:-5])[0]
    np.testing.assert_allclose(docs["forecast"].values()[:, 0], expected, rtol=1e-4)
    exog = docs["cycle"].values()[:, 0]
    model.fit(*sliding_windows(spots[:-5], 22, exog=exog[:-5]))
    expected = recursive_forecast(model, spots[:-5], 5, window=22, exog=exog)
    np.testing.assert_allclose(docs["of_both"].values()[:, 0], expected, rtol=1e-4)
