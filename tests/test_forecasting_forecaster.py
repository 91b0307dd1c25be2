"""WindowForecaster: from series to forecasts with intervals, in the form of the series."""

import io
import pickle
from itertools import product

import numpy as np
import pytest
from helpers import run_snippets
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from skgru import GRURegressor
from skgru.forecasting import (
    WindowForecaster,
    WindowScaledRegressor,
    recursive_forecast,
    sliding_windows,
)
from skgru.forecasting.averaged import weights_of
from skgru.forecasting.intervals import radii
from skgru.forecasting.time_features import time_features, usual_season
from skgru.persistence import SKOPS_TRUSTED_TYPES

pd = pytest.importorskip("pandas")
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning"),
]
RNG = np.random.default_rng(0)


def waves(n_timesteps=120, season=12, slope=0.5, noise=0.5, level=100.0, seed=0):
    time, rng = np.arange(n_timesteps), np.random.default_rng(seed)
    wave = 10 * np.sin(2 * np.pi * time / season) + noise * rng.normal(size=n_timesteps)
    return level * (1 + (slope * time + wave) / 100)


def monthly(values, start="2010-01-01", name="sales"):
    index = pd.date_range(start, periods=len(values), freq="MS", name="month")
    return pd.Series(values, index=index, name=name)


def ridge(**parameters):
    return WindowForecaster(
        Ridge(1e-3), **{"season_length": 12, "center": "last", "holdout": 0, **parameters}
    )


# ---- the same as by hand -------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_it_is_windows_and_recursive_forecasts(strategy):
    series = waves()
    forecaster = ridge(window=15, horizon=4, strategy=strategy, center="season").fit(series)
    horizon = 4 if strategy == "direct" else 1
    X, y = sliding_windows(series, 15, horizon)
    model = WindowScaledRegressor(Ridge(1e-3), center="season", season_length=12).fit(X, y)
    expected = recursive_forecast(model, series, 10, window=15, horizon=horizon)
    np.testing.assert_allclose(forecaster.predict(10), expected)
    assert forecaster.predict().shape == (4,)
    newer = waves(150, seed=1)
    expected = recursive_forecast(model, newer, 10, window=15, horizon=horizon)
    np.testing.assert_allclose(forecaster.predict(10, history=newer), expected)


def test_defaults_come_from_the_frequency():
    series = monthly(waves())
    forecaster = WindowForecaster(random_state=0).fit(series)
    assert (forecaster.season_length_, forecaster.horizon_, forecaster.window_) == (12, 12, 36)
    assert forecaster.center_ == "average"
    assert not hasattr(forecaster, "holdout_errors_")
    forecast = forecaster.predict()
    future = waves(132)[120:]
    naive = np.abs(future - waves(120)[-12:]).mean()
    assert np.abs(forecast - future).mean() < 0.5 * naive
    assert forecast.index.equals(pd.date_range("2020-01-01", periods=12, freq="MS"))
    assert (forecast.name, forecast.index.name) == ("sales", "month")
    again = clone(forecaster).fit(series)
    pd.testing.assert_series_equal(again.predict(), forecast)
    pd.testing.assert_series_equal(pickle.loads(pickle.dumps(again)).predict(), forecast)
    # arrays have no frequency
    plain = ridge(season_length=None).fit(waves())
    assert (plain.season_length_, plain.horizon_, plain.window_) == (1, 1, 24)


@pytest.mark.parametrize(
    ("freq", "season"),
    [("h", 24), ("2h", 12), ("5h", 1), ("30min", 48), ("D", 7), ("B", 5), ("W", 52), ("W-WED", 52),
     ("MS", 12), ("ME", 12), ("2MS", 6), ("QS", 4), ("QE-FEB", 4), ("BQE", 4), ("BQS-FEB", 4),
     ("2BQE", 2), ("BME", 12), ("CBMS", 12), ("WOM-1MON", 12), ("min", 1440), ("C", 5), ("2D", 1),
     ("14D", 1), ("YS", 1), ("s", 1), ("3600s", 24), ("1800s", 48), ("24h", 7), ("90min", 16)],
)  # fmt: skip
def test_usual_seasons(freq, season):
    assert usual_season(pd.tseries.frequencies.to_offset(freq)) == season
    assert usual_season(None) == usual_season(3) == usual_season(pd.DateOffset(months=1)) == 1


def test_a_short_series_gets_a_short_window():
    assert ridge().fit(waves(60)).window_ == 12
    with pytest.raises(ValueError, match="All series are too short to hold out 20%") as error:
        ridge(holdout=0.2, window=24).fit(waves(40))
    assert len(str(error.value)) < 400


# ---- forms ---------------------------------------------------------------------------------------


def test_many_series_of_different_lengths_and_sizes():
    panel = {f"shop {i}": monthly(waves(90 + 10 * i, level=10.0**i, seed=i)) for i in range(4)}
    panel = {name: one.rename(name) for name, one in panel.items()}
    forecaster = ridge(center="auto", holdout=0.2, horizon=6).fit(panel)
    forecasts = forecaster.predict()
    assert list(forecasts) == list(panel)
    as_list = ridge(center="auto", holdout=0.2, horizon=6).fit(list(panel.values())).predict()
    for i, (name, one) in enumerate(panel.items()):
        future = waves(96 + 10 * i, level=10.0**i, seed=i)[-6:]
        assert np.abs(forecasts[name] - future).max() < 0.05 * 10.0**i
        assert forecasts[name].index[0] == one.index[-1] + pd.offsets.MonthBegin()
        pd.testing.assert_series_equal(as_list[i], forecasts[name])
    _, lower, upper = forecaster.predict_interval(3, 0.9)
    widths = [(upper[name] - lower[name]).mean() for name in panel]
    assert list(upper) == list(panel)
    ratios = np.diff(np.log10(widths))  # of the size of each series
    assert ((ratios > 0.5) & (ratios < 1.5)).all()
    # newer observations of some of them, and others
    some = {"shop 2": panel["shop 2"], "new": monthly(waves(50, level=1e5))}
    other = forecaster.predict(history=some)
    pd.testing.assert_series_equal(other["shop 2"], forecasts["shop 2"])
    assert list(other) == ["shop 2", "new"]
    arrays = np.stack([waves(level=10.0**i, seed=i)[:, np.newaxis] for i in range(3)])
    assert ridge(horizon=6).fit(arrays).predict(8).shape == (3, 8, 1)
    as_arrays = ridge(horizon=6).fit([waves(), waves(100)]).predict(8)
    assert as_arrays.shape == (2, 8)


def test_several_targets():
    frame = pd.DataFrame(
        {"a": waves(), "b": 50 - waves(season=6)}, index=pd.period_range("2010-01", periods=120)
    )
    frame.index = pd.period_range("2010-01", periods=120, freq="M")
    for regressor in (Ridge(1e-3), GradientBoostingRegressor(n_estimators=30)):
        forecaster = WindowForecaster(regressor, window=13, horizon=3, season_length=12).fit(frame)
        forecast, lower, upper = forecaster.predict_interval(3)
        assert list(forecast.columns) == list(lower.columns) == ["a", "b"]
        future = np.column_stack([waves(123)[120:], 50 - waves(123, season=6)[120:]])
        assert np.abs(forecast - future).to_numpy().max() < 12
        assert ((lower < forecast) & (forecast < upper)).to_numpy().all()
        assert isinstance(forecast.index, pd.PeriodIndex)


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_polars(zone):
    pl = pytest.importorskip("polars")
    hours = pd.date_range("2024-03-20", periods=400, freq="h", tz=zone)
    values = waves(400, season=24)
    frame = pl.DataFrame({"time": hours, "load": values})
    forecaster = ridge(season_length=None, time_features=("hour",), holdout=0.2).fit(frame)
    forecast, lower, upper = forecaster.predict_interval(24)
    expected = ridge(season_length=None, time_features=("hour",), holdout=0.2)
    expected = expected.fit(pd.Series(values, index=hours)).predict_interval(24)
    for one, like in zip((forecast, lower, upper), expected, strict=True):
        assert one.schema == frame.schema
        np.testing.assert_allclose(one["load"].to_numpy(), like.to_numpy())
        assert one["time"].to_list()[0] == like.index[0].to_pydatetime()
    series = pl.Series("load", values)
    assert ridge(season_length=24).fit(series).predict(5).name == "load"


def test_daylight_saving_in_local_time():
    """A load that follows the clock: hours after the change are forecast by the clock."""
    hours = pd.date_range("2024-02-01", "2024-04-02 23:00", freq="h", tz="Europe/Berlin")
    load = pd.Series(100 + 20.0 * ((hours.hour >= 8) & (hours.hour < 18)), index=hours)
    before, after = load[:"2024-03-30"], load["2024-03-31":]
    newest_features = FunctionTransformer(lambda X: X[:, -1, 1:])
    by_clock = WindowForecaster(
        make_pipeline(newest_features, DecisionTreeRegressor(random_state=0)),
        window=24, horizon=1, strategy="recursive",
        time_features=["hour"], center=None, scale=None, holdout=0,
    ).fit(before)  # fmt: skip
    forecast = by_clock.predict(len(after))
    assert forecast.index.equals(after.index)
    np.testing.assert_allclose(forecast, after, atol=1)


def test_time_features():
    index = pd.DatetimeIndex(["2024-01-01", "2024-04-01 06:00", "2024-12-31 18:00"])
    month = time_features(index, ["month"], "series")
    np.testing.assert_allclose(month[:2], [[0, 1], [1, 0]], atol=1e-12)
    hour, weekday = np.split(time_features(index, ["hour", "weekday"], "series"), 2, axis=1)
    np.testing.assert_allclose(hour, [[0, 1], [1, 0], [-1, 0]], atol=1e-12)
    np.testing.assert_allclose(weekday[:2], [[0, 1], [0, 1]])
    for names, given, message in [
        (["hours"], monthly(waves()), "time_features has 'hours'; expected some of minute, hour"),
        (["hour"], waves(), "need dates, but series has no time stamps"),
        (["hour"], pd.Series(waves()), "need dates, but series has an index of int64"),
    ]:
        with pytest.raises(ValueError, match=message) as error:
            ridge(time_features=names).fit(given)
        assert len(str(error.value)) < 400


# ---- exog ----------------------------------------------------------------------------------------


def holidays(index):
    return pd.Series((np.asarray(index.day_of_year) % 17 == 0).astype(float), index=index)


@pytest.fixture
def shop():
    days = pd.date_range("2022-01-01", periods=500, freq="D")
    sales = 100 + 10 * (days.day_of_week >= 5) + 50 * holidays(days) + 0.5 * RNG.normal(size=500)
    return sales.rename("sales")[:470], sales[470:], holidays(days)


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
@pytest.mark.parametrize("frames", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_holidays_are_known(shop, strategy, frames, whole):
    past, future, known = shop
    forecaster = ridge(horizon=14, window=28, season_length=7, strategy=strategy, center="mean",
                       time_features=("weekday",) if frames else None, holdout=0.2)  # fmt: skip
    known = known.to_frame("holiday")
    if not frames:
        past, known = past.to_numpy(), known.to_numpy()
    forecaster.fit(past, exog=known if frames else known[:470])
    ahead = known[:498] if whole else known[470:498]
    forecast, lower, upper = forecaster.predict_interval(14, exog=ahead[: None if frames else -14])
    assert np.abs(np.asarray(forecast) - future[:14]).max() < 8  # a holiday adds 50
    assert future[:28].max() > 140
    assert np.abs(np.asarray(forecaster.predict(28, exog=ahead)) - future[:28]).max() < 10
    again = forecaster.predict(14, exog=known[:484], history=past)
    np.testing.assert_allclose(again, forecast)
    inside = (np.asarray(lower) <= future[:14]) & (future[:14] <= np.asarray(upper))
    assert inside.mean() > 0.6


def test_exog_of_several_series(shop):
    past, _, known = shop
    panel, exog = {"a": past, "b": 2 * past[100:]}, {"b": known, "a": known}
    forecaster = ridge(horizon=7, window=14, season_length=7).fit(panel, exog=exog)
    both = forecaster.predict(exog=exog)
    np.testing.assert_allclose(both["b"], 2 * both["a"], rtol=1e-3)
    with pytest.raises(ValueError, match="exog has no 'a', which is one of the names"):
        forecaster.predict(exog={"b": known})


def test_errors_of_exog(shop):
    past, _, known = shop
    frame = pd.DataFrame({"holiday": known, "price": 1 + known})
    forecaster = ridge(horizon=7, window=14, season_length=7).fit(past, exog=frame)
    cases = [
        (ValueError, "fit had exog; predict needs it, too", {}),
        (ValueError, "has no row for 2023-04-25", {"exog": frame[:479]}),
        (ValueError, r"exog has the columns \['price', 'holiday'\]", {"exog": frame.iloc[:, ::-1]}),
        (ValueError, "exog has 1 channel, but fit had the columns", {"exog": np.ones((484, 1))}),
        (ValueError, "exog has 9 time steps; expected 14, those to forecast, or 484",
         {"exog": np.ones((9, 2))}),
        (ValueError, "exog holds dates with a time zone, that of history dates without",
         {"exog": frame.tz_localize("UTC")}),
    ]  # fmt: skip
    for error, message, arguments in cases:
        with pytest.raises(error, match=message) as caught:
            forecaster.predict(14, **arguments)
        assert len(str(caught.value)) < 400
    with pytest.raises(ValueError, match="predict was given exog, but fit was not"):
        ridge(horizon=7).fit(past).predict(exog=known)


# ---- intervals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_intervals_cover(strategy):
    series = waves(900, noise=3, slope=0.1)
    forecaster = ridge(horizon=6, strategy=strategy, holdout=0.3).fit(series[:500])
    for level in (0.5, 0.8, 0.95):
        inside = []
        for origin in range(500, 894, 2):
            arguments = {"history": series[:origin]}
            _, lower, upper = forecaster.predict_interval(6, level, **arguments)
            future = series[origin : origin + 6]
            inside.append((lower <= future) & (future <= upper))
        assert abs(np.mean(inside) - level) < 0.06


def test_quantiles_of_the_regressor():
    series = monthly(waves(200, noise=2))
    gru = GRURegressor(8, loss="quantile", quantiles=(0.1, 0.5, 0.9), max_iter=20, random_state=0)
    forecaster = WindowForecaster(gru, window=13, horizon=4, center="season", holdout=0.0)
    forecast, lower, upper = forecaster.fit(series).predict_interval(3, 0.8)
    quantiles = recursive_forecast(
        forecaster.regressor_, series, 3, window=13, horizon=4, return_quantiles=True
    )
    for one, quantile in zip((lower, forecast, upper), (0.1, 0.5, 0.9), strict=True):
        np.testing.assert_allclose(one, quantiles[quantile])
        assert one.name == "sales"
    with pytest.raises(ValueError, match="Intervals are calibrated on a held-out part"):
        forecaster.predict_interval(3, 0.9)
    frame = pd.DataFrame({"a": series, "b": 2 * series})
    both = clone(forecaster).set_params(holdout=0.2).fit(frame).predict_interval(3, 0.8)
    assert all(one.shape == (3, 2) for one in both)
    several = clone(forecaster).fit([waves(200), waves(150)]).predict_interval(3, 0.8)
    assert all(one.shape == (2, 3) for one in several)
    assert (several[1] <= several[2]).all()


def test_sample_paths():
    """Of a random walk with drift: their mean and spread are known."""
    rng = np.random.default_rng(0)
    walk = np.cumsum(1 + rng.normal(size=1500))
    forecaster = ridge(strategy="recursive", horizon=1, window=4, scale="series", holdout=0.3,
                       season_length=1).fit(walk)  # fmt: skip
    paths = forecaster.sample_paths(16, 2000, random_state=0)
    assert paths.shape == (2000, 16)
    np.testing.assert_array_equal(forecaster.sample_paths(16, 2000, random_state=0), paths)
    steps = np.arange(1, 17)
    np.testing.assert_allclose(paths.mean(axis=0), forecaster.predict(16), atol=0.5)
    np.testing.assert_allclose(paths.std(axis=0), np.sqrt(steps), rtol=0.15)
    shape = {"sums": walk, "other": walk[:700]}
    named = forecaster.sample_paths(3, 5, history=shape, random_state=0)
    assert {name: one.shape for name, one in named.items()} == {"sums": (5, 3), "other": (5, 3)}
    with pytest.raises(ValueError, match="fit with strategy='recursive' and holdout=0.2"):
        ridge(holdout=0.2, horizon=3).fit(walk).sample_paths(3)


def test_sample_paths_of_quantiles_with_exog(shop):
    past, _, known = shop
    frame = pd.DataFrame({"a": past, "b": 2 * past})
    gru = GRURegressor(8, loss="quantile", max_iter=2, random_state=0)
    forecaster = WindowForecaster(gru, horizon=2, window=7, strategy="recursive", center="mean",
                                  time_features=["weekday"]).fit(frame, exog=known)  # fmt: skip
    paths = forecaster.sample_paths(5, 3, exog=known, random_state=0)
    assert paths.shape == (3, 5, 2)
    assert np.isfinite(paths).all()


def test_errors_of_intervals():
    forecaster = ridge(horizon=6, holdout=0.2).fit(waves())
    with pytest.raises(ValueError, match="intervals are of at most horizon_=6 steps"):
        forecaster.predict_interval(7)
    with pytest.raises(ValueError, match="level=0.99 needs at least 99 held-out windows, there"):
        forecaster.predict_interval(level=0.99)
    for level in (0, 1, 80):
        with pytest.raises(ValueError, match="level == "):
            forecaster.predict_interval(level=level)
    with pytest.raises(ValueError, match="holdout=0. Fit with holdout=0.2"):
        ridge(horizon=6).fit(waves()).predict_interval(2)


# ---- regressors, parameters, errors --------------------------------------------------------------


def test_any_regressor():
    frame = monthly(waves()).to_frame()
    flat = FunctionTransformer(lambda X: X.reshape(len(X), -1))
    regressors = [
        HistGradientBoostingRegressor(max_iter=30),
        make_pipeline(StandardScaler(), Ridge()),
        make_pipeline(flat, Ridge()),
        GridSearchCV(Ridge(), {"alpha": [0.1, 1]}, cv=3),
        GRURegressor(8, max_iter=20, random_state=0),
    ]
    for regressor in regressors:
        forecaster = WindowForecaster(
            regressor, horizon=3, window=13, time_features=["month"], center="season", holdout=0
        )
        forecast = forecaster.fit(frame).predict(7)
        assert np.abs(forecast["sales"] - waves(127)[120:]).max() < 10


def test_seasons_are_chosen_where_they_are_better():
    rng = np.random.default_rng(0)
    steps = np.cumsum(rng.normal(size=400))
    chosen = WindowForecaster(Ridge(1e6), center="auto", horizon=1).fit(steps)
    assert chosen.center_ == "last"
    around = 10 + rng.normal(size=400)
    chosen = WindowForecaster(Ridge(1e6), center="auto", window=30, horizon=1).fit(around)
    assert chosen.center_ == "mean"
    profile = np.tile(rng.normal(size=20), 15) * 100 + np.repeat(np.arange(15.0), 20)
    chosen = WindowForecaster(Ridge(1e6), center="auto", season_length=20, horizon=5)
    assert chosen.fit(profile).center_ == "season"
    assert chosen.center_ == min(chosen.holdout_errors_, key=chosen.holdout_errors_.get)
    assert set(chosen.holdout_errors_) == {"last", "mean", "season"}


def members(forecaster):
    return [(one.center, one.regressor) for one in forecaster.regressor_.regressors_]


@pytest.mark.parametrize("steps", [5, 11])  # within the horizon, and beyond
def test_the_default_is_the_mean_over_centers_and_of_two_regressors(steps):
    series = monthly(waves())
    forecaster = WindowForecaster(horizon=6, window=24, random_state=0, holdout=0).fit(series)
    parts = []
    for center, regressor in members(forecaster):
        single = WindowForecaster(regressor, horizon=6, window=24, center=center, holdout=0)
        parts.append(single.fit(series).predict(6).to_numpy())
    assert [type(regressor).__name__ for _, regressor in members(forecaster)] == (
        3 * ["ScaledTargetRegressor"] + 3 * ["RidgeCV"]
    )
    assert [center for center, _ in members(forecaster)] == 2 * ["last", "mean", "season"]
    assert np.ptp(parts, axis=0).min() > 0
    np.testing.assert_allclose(forecaster.predict(6), np.mean(parts, axis=0))
    # what is forecast from forecasts has the means before it
    extended = pd.concat([series, forecaster.predict(6)]).asfreq("MS")
    expected = np.concatenate([forecaster.predict(6), forecaster.predict(6, history=extended)])
    np.testing.assert_allclose(forecaster.predict(steps), expected[:steps])


def test_the_mean_of_centers_has_the_scale_and_the_quantiles_of_all():
    series = monthly(waves(noise=2))
    forecaster = ridge(center="average", holdout=0.3, horizon=6).fit(series)
    assert [center for center, _ in members(forecaster)] == ["last", "mean", "season"]
    forecast, lower, upper = forecaster.predict_interval(6, 0.8)
    scales = [one._window_scales(series.to_numpy()[None, -36:, None]).item()
              for one in forecaster.regressor_.regressors_]  # fmt: skip
    weights = forecaster.regressor_.weights_
    assert weights.sum() == pytest.approx(1)
    margin = radii(forecaster._residuals, 0.8)[:, 0] * np.sum(weights * scales)
    np.testing.assert_allclose(upper - forecast, margin)
    np.testing.assert_allclose(forecast - lower, margin)
    paths = ridge(center="average", holdout=0.3, horizon=1, strategy="recursive").fit(series)
    assert paths.sample_paths(4, 3, random_state=0).shape == (3, 4)
    # the weights are those of the errors of each center alone
    centers = ("last", "mean", "season")
    alone = ridge(center="auto", holdout=0.3, horizon=6).fit(series).holdout_errors_
    inverse = np.array([1 / alone[center] ** 2 for center in centers])
    np.testing.assert_allclose(weights, inverse / inverse.sum())
    each = [ridge(center=center, horizon=6).fit(series).predict(6) for center in centers]
    np.testing.assert_allclose(forecast, np.average(each, axis=0, weights=weights))
    # without a season, or with windows no longer than one
    for settings in ({"season_length": 1}, {"window": 12}):
        without = ridge(center="average", horizon=2, **settings).fit(series)
        assert [center for center, _ in members(without)] == ["last", "mean"]
    gru = GRURegressor(4, loss="quantile", quantiles=(0.1, 0.5, 0.9), max_iter=2, random_state=0)
    quantiles = WindowForecaster(gru, window=13, horizon=4, holdout=0).fit(series)
    every = [one.predict(series.to_numpy()[None, -13:])[0]
             for one in quantiles.regressor_.regressors_]  # fmt: skip
    for got, column in zip(quantiles.predict_interval(4, 0.8), (1, 0, 2), strict=True):
        np.testing.assert_allclose(got, np.mean(every, axis=0)[:, column])


def test_weights_are_those_of_errors_also_without_any():
    np.testing.assert_allclose(weights_of([1.0, 2.0]), [0.8, 0.2])
    np.testing.assert_allclose(weights_of([0.0, 0.0]), [0.5, 0.5])
    np.testing.assert_allclose(weights_of([0.0, 1.0]), [1e4 / (1e4 + 1), 1 / (1e4 + 1)], rtol=1e-3)


def test_the_default_takes_what_is_known_in_advance_and_several_channels():
    frame = pd.DataFrame({"a": daily(), "b": 2 * daily()})
    forecaster = WindowForecaster(window=8, horizon=2, time_features=["weekday"], random_state=0)
    known = daily(104).to_frame("known")
    forecast = forecaster.fit(frame, exog=known).predict(4, exog=known)
    assert forecast.shape == (4, 2)
    loaded = pickle.loads(pickle.dumps(forecaster))
    pd.testing.assert_frame_equal(loaded.predict(4, exog=known), forecast)


def test_gaps_and_bad_stamps():
    days = pd.date_range("2022-01-01", periods=300, freq="D")
    series = pd.Series(waves(300, season=7), index=days)
    with_gap = series.drop(series.index[100])
    with pytest.raises(ValueError, match="freq="):
        ridge(season_length=7).fit(with_gap)
    forecaster = ridge(season_length=7, freq="D").fit(with_gap)
    expected = sliding_windows(with_gap, forecaster.window_, forecaster.horizon_, freq="D")[0]
    assert len(expected) < len(series) - forecaster.window_ - forecaster.horizon_
    assert forecaster.predict(3).index[0] == days[-1] + pd.Timedelta("1D")
    for bad, message in [
        (series[::-1], "series is not sorted by time"),
        (pd.concat([series, series[-1:]]), "twice"),
        (series.where(series.index != days[5]), "series is nan at time step 5"),
    ]:
        with pytest.raises(ValueError, match=message):
            ridge(season_length=7).fit(bad)
    with pytest.raises(ValueError, match="The last window of history has a gap"):
        forecaster.predict(3, history=series.drop(series.index[-3]))
    with pytest.raises(ValueError, match="gap|freq|apart"):
        forecaster.predict(3, history=series[::2])
    # business days stay so, also where the end of the series looks like days
    business = pd.bdate_range("2022-01-03", periods=300)
    short = ridge(season_length=5, window=4, horizon=2).fit(
        pd.Series(waves(300, 5), index=business)
    )
    assert short.predict(3).index.equals(pd.bdate_range("2022-01-03", periods=303)[300:])


def test_a_failed_fit_changes_nothing():
    forecaster = ridge(horizon=3).fit(waves())
    before = forecaster.predict()
    with pytest.raises(ValueError, match="holdout=0; state another center"):
        forecaster.set_params(center="auto").fit(2 * waves())
    with pytest.raises(ValueError, match="nan"):
        forecaster.set_params(center="last").fit(np.full(100, np.nan))
    np.testing.assert_array_equal(forecaster.predict(), before)
    # nor do parameters change what is fitted
    forecaster.set_params(horizon=5, window=3, strategy="recursive", time_features=["hour"])
    np.testing.assert_array_equal(forecaster.predict(), before)
    forecaster = ridge(horizon=3)
    series = waves()
    forecaster.fit(series)
    series[:] = 0  # what is kept is a copy
    np.testing.assert_array_equal(forecaster.predict(), before)
    with pytest.raises(ValueError, match="The 'strategy' parameter"):
        ridge(strategy="both").fit(waves())
    with pytest.raises(ValueError, match="steps == 0"):
        forecaster.predict(0)


# ---- several arrays, short pasts, other channels, gaps, stamps of exog ---------------------------


def daily(n_timesteps=100, **kwargs):
    index = pd.date_range("2024-01-01", periods=n_timesteps, **{"freq": "D", **kwargs})
    return pd.Series(np.sin(np.arange(n_timesteps) / 3), index)


def small(**parameters):
    return WindowForecaster(
        Ridge(), **{"window": 5, "horizon": 2, "center": "last", "season_length": 1, **parameters}
    )


def test_intervals_of_several_arrays():
    one, other = waves(100), waves(80, seed=1)
    panel = np.stack([one, 2 * one])
    several = small().fit([one, other])
    expected = [several.predict_interval(history=each) for each in (one, other)]
    for given in (None, [one, other]):
        for got, single in zip(several.predict_interval(history=given), zip(*expected, strict=True),
                               strict=True):  # fmt: skip
            np.testing.assert_allclose(got, np.stack(single))
    named = small().fit({"a": one, "b": other}).predict_interval(1)
    for got, single in zip(named, zip(*expected, strict=True), strict=True):
        np.testing.assert_allclose([got["a"], got["b"]], np.stack(single)[:, :1])
    stacked = small().fit(panel[:, :, np.newaxis]).predict_interval()
    assert [one.shape for one in stacked] == [(2, 2, 1)] * 3


def test_a_season_longer_than_the_part_before():
    weeks = pd.Series(waves(60), pd.date_range("2024-01-07", periods=60, freq="W"))
    forecaster = WindowForecaster(Ridge(), horizon=4, center="auto").fit(weeks)
    assert forecaster.season_length_ == 52
    # errors are then relative to the change over a week
    again = WindowForecaster(Ridge(), horizon=4, window=20, season_length=1, center="auto")
    again.fit(weeks)
    assert forecaster.holdout_errors_ == again.holdout_errors_


def test_channels_of_a_history_are_those_of_fit():
    frame = pd.DataFrame({"a": daily(), "b": 2 * daily()})
    forecaster = small().fit(frame)
    for history, message in [
        (frame[["b", "a"]], r"history has the columns \['b', 'a'\], but fit had the columns \['a'"),
        (frame.rename(columns={"a": "c"}), r"history has the columns \['c', 'b'\]"),
        (frame["a"], r"history has 1 channel, but fit had the columns \['a', 'b'\]"),
        (np.ones((9, 3)), r"history has 3 channels, but fit had the columns \['a', 'b'\]"),
    ]:
        for predict in (forecaster.predict, forecaster.predict_interval):
            with pytest.raises(ValueError, match=message):
                predict(2, history=history)
    expected = forecaster.predict(2)
    pd.testing.assert_frame_equal(forecaster.predict(2, history=frame), expected)
    plain = forecaster.predict(2, history=frame.to_numpy())
    np.testing.assert_allclose(plain, expected)
    saved = pickle.loads(pickle.dumps(forecaster))
    with pytest.raises(ValueError, match="history has the columns"):
        saved.predict(2, history=frame[["b", "a"]])


def test_sample_paths_need_a_window_without_gaps():
    series = daily()
    forecaster = small(strategy="recursive").fit(series)
    for history, message in [
        (series.drop(series.index[-3]), "history has a gap"),
        (series[-4:], r"history has 4 time steps; window=5 needs at least 5"),
        ([series, series.drop(series.index[-3])], r"The last window of history\[1\] has a gap"),
    ]:
        for forecast in (forecaster.predict, lambda n, **kw: forecaster.sample_paths(n, 3, **kw)):
            with pytest.raises(ValueError, match=message):
                forecast(2, history=history)
    assert forecaster.sample_paths(2, 3, history=series[-5:]).shape == (3, 2)


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_exog_in_finer_steps_than_the_series(strategy):
    days = pd.date_range("2015-01-01", "2022-12-31", freq="D")
    exog = pd.Series(np.random.default_rng(0).normal(size=len(days)), days, name="exog")
    months = pd.date_range("2015-01-01", "2022-10-01", freq="MS")
    series = 100 + 10 * exog[months].rename("sales")
    forecaster = small(window=12, strategy=strategy, center="mean", scale=None).fit(series, exog)
    coming = exog[["2022-11-01", "2022-12-01"]]
    expected = forecaster.predict(2, exog=exog)
    assert np.abs(expected - (100 + 10 * coming)).max() < 2
    for ahead in (exog["2021-09-01":], coming, coming.to_numpy(), exog["2022-11-01":]):
        pd.testing.assert_series_equal(forecaster.predict(2, exog=ahead), expected)
    if strategy == "direct":
        return
    paths = forecaster.sample_paths(2, 200, exog=coming, random_state=0)
    np.testing.assert_allclose(paths.mean(axis=0), expected, atol=1)


def test_sample_paths_with_exog_and_an_early_gap():
    series, exog = daily(), daily(104).to_frame("exog")
    series = series.drop(series.index[60])
    forecaster = small(strategy="recursive", freq="D").fit(series, exog)
    whole = forecaster.sample_paths(2, 3, exog=exog, random_state=0)
    ahead = forecaster.sample_paths(2, 3, exog=exog[100:], random_state=0)
    np.testing.assert_array_equal(ahead, whole)


def test_time_features_are_of_the_zone_of_the_series():
    hours = pd.date_range("2024-03-01", "2024-04-03", freq="h", tz="Europe/Berlin")
    load = pd.Series(100.0 + 20 * ((hours.hour >= 8) & (hours.hour < 18)), hours)
    exog = pd.Series(np.random.default_rng(0).normal(size=len(hours)), hours)
    utc = exog.tz_convert("UTC")
    newest = FunctionTransformer(lambda X: X[:, -1, 1:])  # of the time to forecast alone
    tree = make_pipeline(newest, DecisionTreeRegressor(random_state=0))
    forecaster = WindowForecaster(tree, window=2, horizon=1, strategy="recursive", holdout=0,
                                  center=None, scale=None, time_features=["hour"])  # fmt: skip
    before = hours < "2024-03-31"
    forecaster.fit(load[before], exog)
    expected = forecaster.predict(50, exog=exog)
    for in_fit, ahead in ((exog, utc), (utc, exog), (utc, utc[~before])):
        got = forecaster.fit(load[before], in_fit).predict(50, exog=ahead)
        pd.testing.assert_series_equal(got, expected)
        again = forecaster.predict(50, exog=ahead if len(ahead) > 99 else utc, history=load[before])
        pd.testing.assert_series_equal(again, expected)
    assert np.abs(expected - load[~before][:50]).max() < 3


def test_a_history_in_another_zone_has_time_features_of_the_zone_of_fit():
    hours = pd.date_range("2024-03-01", periods=400, freq="h", tz="Europe/Vienna")
    load = pd.Series(100.0 + 20 * ((hours.hour >= 8) & (hours.hour < 18)), hours)
    settings = dict(window=24, horizon=6, time_features=["hour", "weekday"])
    forecaster = ridge(**settings).fit(load[:300])
    expected = forecaster.predict(9, history=load)
    elsewhere = load.tz_convert("Asia/Tokyo")
    got = forecaster.predict(9, history=elsewhere)
    pd.testing.assert_series_equal(got, expected.tz_convert("Asia/Tokyo"))
    for history, message in (
        (load.tz_localize(None), "without a time zone, but those in fit were in Europe/Vienna"),
        (load.to_numpy(), "need dates, but history has no time stamps"),
    ):
        with pytest.raises(ValueError, match=message):
            forecaster.predict(history=history)
    naive = ridge(**settings).fit(load.tz_localize(None))
    with pytest.raises(ValueError, match="in Europe/Vienna, but those in fit were without a time"):
        naive.predict(history=load)
    # of several zones, it is not known which one another history is to be in
    both = ridge(**settings).fit([load, elsewhere])
    np.testing.assert_array_equal(both.predict(history=[load, elsewhere]), both.predict())
    with pytest.raises(ValueError, match="in fit were in Europe/Vienna or in Asia/Tokyo"):
        both.predict(history=load.tz_convert("UTC"))
    without = ridge(window=24, horizon=6).fit(load[:300])
    np.testing.assert_array_equal(
        without.predict(history=elsewhere), without.predict(history=load.tz_localize(None))
    )


@pytest.mark.parametrize("first", ["passthrough", None])
def test_a_pipeline_may_begin_with_nothing(first):
    series, settings = monthly(waves()), dict(time_features=["month"], window=14, horizon=3)
    expected = ridge(**settings).fit(series).predict()
    forecaster = ridge(**settings).set_params(
        regressor=Pipeline([("a", first), ("b", Ridge(1e-3))])
    )
    pd.testing.assert_series_equal(forecaster.fit(series).predict(), expected)


def test_time_differences_have_a_season():
    for step, expected in (("h", 24), ("30min", 48), ("D", 7), ("s", 1), ("25h", 1)):
        index = pd.timedelta_range(0, periods=200, freq=step)
        assert usual_season(index[1] - index[0]) == expected
        assert usual_season(index.freq) == expected
    hours = pd.Series(waves(200, 24), pd.timedelta_range(0, periods=200, freq="h"))
    forecaster = WindowForecaster(Ridge()).fit(hours)
    assert (forecaster.season_length_, forecaster.horizon_) == (24, 24)


def test_lists_by_name_are_several_series():
    one, other = waves(100), waves(100, seed=1)
    arrays, lists = {"a": one, "b": other}, {"a": one.tolist(), "b": other.tolist()}
    exog = {"b": np.arange(102.0), "a": np.arange(102.0) ** 2}
    of_arrays, of_lists = (small().fit(each) for each in (arrays, lists))
    expected = of_arrays.predict_interval()
    for history in (None, lists):
        for got, like in zip(of_lists.predict_interval(history=history), expected, strict=True):
            assert list(got) == ["a", "b"]
            np.testing.assert_array_equal([*got.values()], [*like.values()])
    exog_lists = {name: each.tolist() for name, each in exog.items()}
    in_fit = [{name: each[:100] for name, each in given.items()} for given in (exog, exog_lists)]
    expected = small().fit(arrays, exog=in_fit[0]).predict(exog=exog)
    got = small().fit(lists, exog=in_fit[1]).predict(exog=exog_lists)
    np.testing.assert_array_equal([*got.values()], [*expected.values()])
    with pytest.raises(TypeError, match=r"series\['a'\] is 1.0; expected a series"):
        small().fit({"a": 1.0, "b": 2.0})
    with pytest.raises(ValueError, match=r"series\['a'\] is ragged; expected one value for each"):
        small().fit({"a": [[1.0], [1.0, 2.0]]})


def test_gaps_in_the_held_out_part():
    days = daily(120)
    gaps = days.drop(days.index[[92, 105]])
    parameters = {"window": 20, "freq": "D"}
    forecaster = small(**parameters).fit([days, gaps])
    # the series with gaps is of the training set alone
    alone = small(**parameters).fit(days)
    assert len(forecaster._residuals) == len(alone._residuals)
    with pytest.raises(ValueError, match="22 of them without a gap in either part") as error:
        small(**parameters).fit(gaps)
    assert len(str(error.value)) < 400
    early = days.drop(days.index[15:90:15])  # no stretch in the part before
    with pytest.raises(ValueError, match="22 of them without a gap in either part"):
        small(**parameters).fit(early)
    assert len(small(**parameters, holdout=0).fit(early).predict()) == 2


def test_exog_with_dates_after_an_array():
    series, exog = daily(), np.random.default_rng(0).normal(size=110)
    dated = pd.Series(exog, pd.date_range("2024-01-01", periods=110))
    forecaster = small().fit(series, exog=exog[:100])
    expected = forecaster.predict(2, exog=exog[100:102])
    for ahead in (dated, dated[100:102], dated[80:], exog[:102]):
        pd.testing.assert_series_equal(forecaster.predict(2, exog=ahead), expected)
    with pytest.raises(ValueError, match="exog has no row for 2024-04-10"):
        forecaster.predict(2, exog=dated[101:103])


def test_exog_with_dates_beside_an_array():
    """Alone or behind those of the history, of which a forecaster keeps the end."""
    series, exog = daily().to_numpy(), np.random.default_rng(0).normal(size=110)
    dated = pd.Series(exog, pd.date_range("2024-01-01", periods=110))
    forecaster = small().fit(series, exog=dated[:100])
    expected = small().fit(series, exog=exog[:100]).predict(2, exog=exog[100:102])
    for ahead in (dated[:102], dated[20:102], dated[90:102], dated[100:102], exog[:102]):
        np.testing.assert_array_equal(forecaster.predict(2, exog=ahead), expected)
    for wrong in (dated, dated[99:101], dated[101:103]):
        with pytest.raises(ValueError, match="exog has"):
            forecaster.predict(2, exog=wrong)


@pytest.mark.parametrize("dated_in_fit", [True, False])
def test_a_history_with_and_without_dates(dated_in_fit):
    series = daily()
    forecaster = small().fit(series if dated_in_fit else series.to_numpy())
    expected = forecaster.predict()
    for history in ([series, series.to_numpy()], [series.to_numpy(), series]):
        for forecast, given in zip(forecaster.predict(history=history), history, strict=True):
            assert type(forecast) is type(given)
            np.testing.assert_array_equal(forecast, expected)


def test_no_time_features():
    expected = small().fit(daily()).predict()
    for none in ([], ()):
        forecaster = small(time_features=none).fit(daily())
        pd.testing.assert_series_equal(forecaster.predict(), expected)


def test_saved_models_name_no_private_class_or_function():
    names = set()

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            names.add(f"{module}.{name}")
            return super().find_class(module, name)

    series, known = daily(), daily(104).to_frame()
    tables = HistGradientBoostingRegressor(max_iter=2)
    search = GridSearchCV(Ridge(), {"alpha": [1]}, cv=2)
    for regressor, center in product((Ridge(), tables, search), ("last", "average")):
        forecaster = WindowForecaster(regressor, window=5, horizon=2, center=center)
        forecaster.fit(series, exog=known)
        loaded = Unpickler(io.BytesIO(pickle.dumps(forecaster))).load()
        expected = forecaster.predict(4, exog=known)
        pd.testing.assert_series_equal(loaded.predict(4, exog=known), expected)
        # the fitted regressor flattens windows by itself, also a clone of it
        X, y = sliding_windows(series, 5, 2, exog=known[:100])
        again = clone(loaded.regressor_).fit(X, y)
        np.testing.assert_allclose(again.predict(X), loaded.regressor_.predict(X))
        if center == "last":
            again.set_params(flatten=False)  # parameters do not change what is fitted
            np.testing.assert_allclose(again.predict(X), loaded.regressor_.predict(X))
    assert {name for name in names if name.startswith("skgru")} <= set(SKOPS_TRUSTED_TYPES)


def test_flattened_windows_are_tables_of_all_channels():
    X, y = sliding_windows(daily(), 5, 2, exog=daily())
    by_hand = make_pipeline(FunctionTransformer(lambda X: X.reshape(len(X), -1)), Ridge())
    expected = WindowScaledRegressor(by_hand, target_channels=[0]).fit(X, y).predict(X)
    model = WindowScaledRegressor(Ridge(), target_channels=[0], flatten=True).fit(X, y)
    np.testing.assert_allclose(model.predict(X), expected)
    with pytest.raises(ValueError, match="dim 3"):
        clone(model).set_params(flatten=False).fit(X, y)


# ---- docs/forecasting.rst ------------------------------------------------------------------------


def test_the_page_from_a_file_to_a_forecast(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    docs = run_snippets("forecasting.rst", "From a CSV file to a forecast")
    assert docs["error"] < 0.5 * docs["naive"]
    assert 0.5 <= docs["covered"] <= 1
    assert docs["forecast"].index[0] == docs["sales"].index[-1] + pd.offsets.MonthBegin()
    assert len(docs["forecast"]) == 12
    mase = docs["results"].errors().set_index("model")["MASE"]
    assert mase["WindowForecaster"] < 0.5 * mase["seasonal naive"]


def test_the_page_on_many_series_and_on_what_is_known():
    docs = run_snippets("forecasting.rst", "Many series")
    expected = 9e4 + 1e4 * np.sin(2 * np.pi * np.arange(250, 264) / 7)
    assert np.abs(docs["two_weeks"] - expected).max() < 2e3
    expected = 9e4 + 1e4 * np.sin(2 * np.pi * np.arange(200, 214) / 7)
    assert np.abs(docs["earlier"] - expected).max() < 2e3
    docs = run_snippets("forecasting.rst", "What is known in advance")
    forecast, days = docs["forecast"], docs["days"]
    assert forecast.index.equals(days[400:414])
    expected = 100 + 20.0 * (days.day_of_week >= 5) - 50 * docs["holiday"]
    assert np.abs(forecast - expected[400:414]).mean() < 10
