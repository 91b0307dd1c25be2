import numpy as np
import pandas as pd
import pytest
from helpers import run_snippets
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skgru import GRURegressor
from skgru.forecasting import (
    WindowScaledRegressor,
    lags_to_sequences,
    recursive_forecast,
    sliding_windows,
)

recursive = pytest.importorskip("skforecast.recursive")
direct = pytest.importorskip("skforecast.direct")
selection = pytest.importorskip("skforecast.model_selection")

LAGS = 8

# 60 iterations of L-BFGS suffice for what is tested
pytestmark = pytest.mark.filterwarnings("ignore:L-BFGS stopped:UserWarning")


def gru(**parameters):
    return GRURegressor(**{"hidden_layer_sizes": 8, "solver": "lbfgs", "max_iter": 60, "tol": 1e-3,
                           "dtype": "float64", "random_state": 0, **parameters})  # fmt: skip


def of_lags(model, n_lags=LAGS):
    oldest_first = FunctionTransformer(lags_to_sequences, kw_args={"n_lags": n_lags})
    return make_pipeline(oldest_first, model)


@pytest.fixture
def wave():
    months = pd.date_range("2015-01-01", periods=100, freq="MS")
    return pd.Series(np.sin(np.arange(100) / 3), index=months, name="y")


@pytest.fixture
def driven():
    """A series of which each value is half the last one plus the heat of the same month."""
    months = pd.date_range("2015-01-01", periods=120, freq="MS")
    rng = np.random.default_rng(0)
    exog = pd.DataFrame({"heat": rng.normal(size=120), "rain": rng.normal(size=120)}, index=months)
    series = np.zeros(120)
    for t in range(1, 120):
        series[t] = 0.5 * series[t - 1] + exog.heat.iloc[t]
    return pd.Series(series, index=months, name="y"), exog


def test_a_recursive_forecast_matches_recursive_forecast(wave):
    """The same windows in the same order give the same model and the same forecast."""
    forecaster = recursive.ForecasterRecursive(of_lags(gru()), lags=LAGS)
    forecaster.fit(wave[:80])
    forecast = forecaster.predict(20)
    X, y = sliding_windows(wave[:80], LAGS)
    model = gru().fit(X[:, :, np.newaxis], y)
    expected = recursive_forecast(model, wave.to_numpy()[:80, np.newaxis], 20, window=LAGS)
    np.testing.assert_allclose(forecast, expected[:, 0], rtol=1e-6)
    pd.testing.assert_index_equal(forecast.index, wave.index[80:])
    assert np.abs(forecast - wave[80:]).mean() < 0.1


def test_exog_is_a_channel_of_every_step(driven):
    series, exog = driven
    forecaster = recursive.ForecasterRecursive(of_lags(gru()), lags=LAGS)
    forecaster.fit(series[:100], exog=exog[:100])
    seen = forecaster.create_train_X_y(series[:100], exog=exog[:100])[0]
    assert list(seen.columns) == [*(f"lag_{i}" for i in range(1, LAGS + 1)), "heat", "rain"]
    forecast = forecaster.predict(10, exog=exog[100:110])
    X = np.column_stack([series[100 - LAGS : 100], np.tile(exog.iloc[100], (LAGS, 1))])
    model = forecaster.estimator[-1]
    assert model.n_features_in_ == 3
    np.testing.assert_allclose(forecast.iloc[0], model.predict(X[np.newaxis]).item(), rtol=1e-9)
    without = recursive.ForecasterRecursive(of_lags(gru()), lags=LAGS)
    without.fit(series[:100])
    errors = [np.abs(f - series[100:110]).mean() for f in (forecast, without.predict(10))]
    assert errors[0] < 0.3 * errors[1]


def test_lags_with_gaps(wave):
    lags = [1, 2, 3, 12]
    forecaster = recursive.ForecasterRecursive(of_lags(gru(), 4), lags=lags)
    forecaster.fit(wave[:80])
    window = [wave.iloc[80 - lag] for lag in reversed(lags)]
    expected = forecaster.estimator[-1].predict(np.reshape(window, (1, 4, 1)))
    np.testing.assert_allclose(forecaster.predict(1), expected, rtol=1e-9)


def test_code_of_the_docs_and_a_search():
    """Sunspots; the naive forecast repeats the last year."""
    docs = run_snippets("integrations.rst", "skforecast")
    series, folds = docs["series"], docs["folds"]
    assert len(docs["predictions"]) == 60
    naive = series.diff()[-60:].abs().mean()
    assert docs["error"].iloc[0, -1] < 0.8 * naive
    name = "regressor__gruregressor__max_iter"
    found = selection.grid_search_forecaster(
        docs["forecaster"], series, cv=folds, param_grid={name: [1, 20]}, return_best=False,
        metric="mean_absolute_error", show_progress=False, verbose=False, n_jobs=1,
    )  # fmt: skip
    assert found[name].iloc[0] == 20


def test_a_direct_forecast_and_intervals(wave):
    forecaster = direct.ForecasterDirect(of_lags(gru(max_iter=20)), steps=3, lags=LAGS)
    forecaster.fit(wave[:80])
    assert np.abs(forecaster.predict(3) - wave[80:83]).max() < 0.2
    forecaster = recursive.ForecasterRecursive(of_lags(gru(max_iter=20)), lags=LAGS)
    forecaster.fit(wave[:80], store_in_sample_residuals=True)
    band = forecaster.predict_interval(5, interval=[0.1, 0.9], n_boot=20)
    assert (band.lower_bound < band.upper_bound).all()


def test_windows_without_their_level_and_scale(wave):
    """A trend that leaves the range of the training part."""
    trend = wave + 0.2 * np.arange(100)
    forecaster = recursive.ForecasterRecursive(of_lags(WindowScaledRegressor(gru())), lags=LAGS)
    forecaster.fit(trend[:80])
    forecast = forecaster.predict(10)
    X, y = sliding_windows(trend[:80].to_numpy(), LAGS)
    model = WindowScaledRegressor(gru()).fit(X[:, :, np.newaxis], y)
    history = trend.to_numpy()[:80, np.newaxis]
    expected = recursive_forecast(model, history, 10, window=LAGS, horizon=1)
    np.testing.assert_allclose(forecast, expected[:, 0], rtol=1e-6)
    assert np.abs(forecast - trend[80:90]).max() < 0.5
    docs = run_snippets("integrations.rst", "A level and a scale for each window")
    model = docs["for_skforecast_and_mlforecast"]
    assert model.fit(np.arange(66.0).reshape(3, 22), np.arange(3.0))[-1].n_features_in_ == 1
