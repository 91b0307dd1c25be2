import numpy as np
import pandas as pd
import pytest
from helpers import run_snippets
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skgru import GRURegressor
from skgru.forecasting import (
    WindowScaledRegressor,
    lags_to_sequences,
    recursive_forecast,
    sliding_windows,
)

mlforecast = pytest.importorskip("mlforecast")

LAGS = 8
MONTHS = pd.date_range("2015-01-01", periods=120, freq="MS")

pytestmark = pytest.mark.filterwarnings("ignore:L-BFGS stopped:UserWarning")


def gru(**parameters):
    return GRURegressor(**{"hidden_layer_sizes": 8, "solver": "lbfgs", "max_iter": 60, "tol": 1e-3,
                           "dtype": "float64", "random_state": 0, **parameters})  # fmt: skip


def oldest_first(model):
    names = [f"lag{i}" for i in range(LAGS, 0, -1)]
    return make_pipeline(make_column_transformer(("passthrough", names)), model)


def forecaster_of(model):
    return mlforecast.MLForecast({"model": model}, freq="MS", lags=range(1, LAGS + 1))


def long_frame(*series):
    return pd.concat([
        pd.DataFrame({"unique_id": f"{i}", "ds": MONTHS[: len(one)], "y": one})
        for i, one in enumerate(series)
    ])  # fmt: skip


@pytest.fixture
def waves():
    t = np.arange(120)
    return [np.sin(t / 3), 2 * np.cos(t / 4)]


def test_a_recursive_forecast_matches_recursive_forecast(waves):
    """The same windows in the same order give the same model and the same forecast."""
    forecaster = forecaster_of(oldest_first(gru())).fit(long_frame(*(w[:100] for w in waves)))
    forecast = forecaster.predict(10).model.to_numpy().reshape(2, 10)
    model = gru().fit(*sliding_windows([w[:100] for w in waves], LAGS))
    expected = recursive_forecast(model, [w[:100] for w in waves], 10, window=LAGS)
    np.testing.assert_allclose(forecast, expected, rtol=1e-6)
    assert np.abs(forecast - np.stack(waves)[:, 100:110]).mean() < 0.1


def test_exog_comes_before_the_lags_and_date_features_behind(waves):
    frame = long_frame(waves[0])
    frame["heat"] = np.random.default_rng(0).normal(size=120)
    forecaster = mlforecast.MLForecast(
        {"model": Ridge()}, freq="MS", lags=[1, 2, 3], date_features=["month"]
    )
    X = forecaster.preprocess(frame, static_features=[]).drop(columns=["unique_id", "ds", "y"])
    assert list(X) == ["heat", "lag1", "lag2", "lag3", "month"]
    lags_first = make_column_transformer(
        ("passthrough", ["lag1", "lag2", "lag3"]), remainder="passthrough"
    )
    to_sequences = FunctionTransformer(lags_to_sequences, kw_args={"n_lags": 3})
    sequences = make_pipeline(lags_first, to_sequences).fit_transform(X)
    np.testing.assert_array_equal(sequences[0, :, 0], waves[0][:3])
    np.testing.assert_array_equal(sequences[0, :, 1], [frame.heat.iloc[3]] * 3)
    np.testing.assert_array_equal(sequences[0, :, 2], [4, 4, 4])  # April


def test_windows_without_their_level_and_scale():
    """A global model of series of which one is a million times the other, with trends."""
    t = np.arange(120)
    series = [factor * (10 + t + 5 * np.sin(t / 2)) for factor in (1, 1e6)]
    model = WindowScaledRegressor(gru())
    forecaster = forecaster_of(oldest_first(model)).fit(long_frame(*(s[:100] for s in series)))
    forecast = forecaster.predict(6).model.to_numpy().reshape(2, 6)
    np.testing.assert_allclose(forecast[1], 1e6 * forecast[0], rtol=1e-6)
    assert np.abs(forecast[0] - series[0][100:106]).max() < 1.5
    fitted = WindowScaledRegressor(gru()).fit(*sliding_windows([s[:100] for s in series], LAGS))
    expected = recursive_forecast(fitted, [s[:100] for s in series], 6, window=LAGS)
    np.testing.assert_allclose(forecast, expected, rtol=1e-6)


def test_code_of_the_docs():
    docs = run_snippets("integrations.rst", "mlforecast")
    naive = np.abs(np.diff(docs["spots"])[-60:]).mean()
    assert len(docs["folds"]) == 60
    assert docs["error"] < 0.7 * naive
    # the order of the warning
    raw = mlforecast.MLForecast(
        {"GRU": docs["gru"]}, freq=1, lags=range(1, 23),
        target_transforms=docs["forecaster"].ts.target_transforms,
    )  # fmt: skip
    folds = raw.cross_validation(
        docs["frame"].drop(columns="cycle"), n_windows=60, h=1, refit=False
    )
    assert (folds.GRU - folds.y).abs().mean() > 1.4 * docs["error"]
    assert docs["forecast"].GRU.between(0, 200).all()
    assert docs["with_exog"].models_["GRU"][-1].n_features_in_ == 2
