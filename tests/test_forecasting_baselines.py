"""NaiveForecaster."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.base import clone

from skgru.forecasting import NaiveForecaster

Y = np.array([3.0, 5.0, 4.0, 8.0, 6.0, 9.0, 7.0])


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, [7, 7, 7, 7]),
        ({"method": "seasonal", "season_length": 3}, [6, 9, 7, 6]),
        ({"method": "drift"}, 7 + np.arange(1, 5) * 4 / 6),
    ],
)
def test_forecasts(parameters, expected):
    forecaster = NaiveForecaster(**parameters)
    assert forecaster.fit(Y) is forecaster
    np.testing.assert_allclose(forecaster.predict(4), expected)
    # other observations instead of those of the fit
    shifted = forecaster.predict(4, exog=None, history=Y + 10)
    np.testing.assert_allclose(shifted, np.add(expected, 10))
    assert clone(forecaster).get_params() == forecaster.get_params()


def test_intervals_are_those_of_the_book():
    """Hyndman and Athanasopoulos, Forecasting: Principles and Practice, sections 5.2 and 5.5."""
    h, z = np.arange(1, 6), norm.ppf(0.9)
    differences = np.diff(Y)
    seasonal = Y[3:] - Y[:-3]
    expected = {
        "last": np.sqrt(np.mean(differences**2)) * np.sqrt(h),
        "seasonal": np.sqrt(np.mean(seasonal**2)) * np.sqrt((h - 1) // 3 + 1),
        # one parameter is estimated: the mean of the differences
        "drift": np.std(differences, ddof=1) * np.sqrt(h * (1 + h / 6)),
    }
    for method, spread in expected.items():
        forecaster = NaiveForecaster(method, season_length=3).fit(Y)
        forecast, lower, upper = forecaster.predict_interval(5, level=0.8)
        np.testing.assert_array_equal(forecast, forecaster.predict(5))
        np.testing.assert_allclose(upper - forecast, z * spread)
        np.testing.assert_allclose(forecast - lower, z * spread)


def test_forecasts_have_the_form_of_the_series():
    dates = pd.date_range("2024-01-01", periods=7, name="day")
    series = pd.Series(Y, index=dates, name="load")
    forecast = NaiveForecaster("drift").fit(series).predict(2)
    index = pd.date_range("2024-01-08", periods=2, name="day")
    pd.testing.assert_series_equal(forecast, pd.Series([23 / 3, 25 / 3], index=index, name="load"))
    frame = pd.DataFrame({"a": Y, "b": -Y}, index=dates)
    both = NaiveForecaster("seasonal", season_length=2).fit([frame, frame * 2])
    first, second = both.predict(3)
    expected = pd.DataFrame(
        {"a": [9.0, 7.0, 9.0], "b": [-9.0, -7.0, -9.0]},
        index=pd.date_range("2024-01-08", periods=3, name="day"),
    )
    pd.testing.assert_frame_equal(first, expected)
    pd.testing.assert_frame_equal(second, expected * 2)
    array = np.stack([Y, 2 * Y])[:, :, np.newaxis].astype("float32")
    _, lower, _ = NaiveForecaster().fit(array).predict_interval(3)
    assert lower.shape == (2, 3, 1)
    assert lower.dtype == np.float32
    np.testing.assert_allclose(lower[1], 2 * lower[0], rtol=1e-6)


def test_what_is_refused():
    with pytest.raises(ValueError, match="The 'method' parameter"):
        NaiveForecaster("mean").fit(Y)
    with pytest.raises(ValueError, match="series has 2 time steps; method='seasonal' needs at le"):
        NaiveForecaster("seasonal", season_length=3).fit(Y[:2])
    with pytest.raises(ValueError, match="series is nan at time step 1"):
        NaiveForecaster().fit([1.0, np.nan])
    with pytest.raises(ValueError, match="history has 1 time steps; method='drift' needs"):
        NaiveForecaster("drift").fit(Y).predict(1, history=Y[:1])
    with pytest.raises(ValueError, match=r"an interval of method='drift' needs at least 3\."):
        NaiveForecaster("drift").fit(Y[:2]).predict_interval(1)
    with pytest.raises(ValueError, match="level == 1.0, must be < 1"):
        NaiveForecaster().fit(Y).predict_interval(1, level=1.0)
    with pytest.raises(ValueError, match="steps == 0"):
        NaiveForecaster().fit(Y).predict(0)


def test_what_was_fitted_does_not_change():
    values = Y.copy()
    forecaster = NaiveForecaster().fit(values)
    values[-1] = -999
    forecaster.set_params(method="seasonal", season_length=5)
    np.testing.assert_array_equal(forecaster.predict(2), [7, 7])


def test_it_can_be_saved():
    series = pd.Series(Y, pd.date_range("2024-01-01", periods=len(Y)), name="load")
    forecaster = NaiveForecaster("drift").fit([series, series + 1])
    loaded = pickle.loads(pickle.dumps(forecaster))
    for got, expected in zip(loaded.predict(3), forecaster.predict(3), strict=True):
        pd.testing.assert_series_equal(got, expected)
