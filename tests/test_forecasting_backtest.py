"""backtest: what a forecaster sees, what is forecast, and the errors."""

import pickle

import numpy as np
import pandas as pd
import pytest
from forecasting_helpers import Autoregression, Failing, Without
from helpers import run_snippets
from sklearn.linear_model import Ridge
from sklearn.metrics import median_absolute_error

from skgru.forecasting import NaiveForecaster, WindowForecaster, backtest

RNG = np.random.default_rng(0)
WALK = 100 + RNG.normal(size=60).cumsum()
DAYS = pd.date_range("2024-01-01", periods=60, tz="Europe/Berlin")
DATED = pd.Series(WALK, index=DAYS, name="load")


class Spy:
    """Forecast 0, and keep what came."""

    calls: list = []  # noqa: RUF012 - of the class, as forecasters are copied

    def fit(self, series, exog=None):
        self.calls.append(("fit", series, exog, None))

    def predict(self, steps, exog=None, history=None):
        seen = self.calls[-1][1] if history is None else history
        self.calls.append(("predict", seen, exog, history))
        if isinstance(seen, list):
            return [np.zeros((steps, *np.shape(one)[1:])) for one in seen]
        if np.ndim(seen) == 3:
            return np.zeros((len(seen), steps, seen.shape[2]))
        return np.zeros((steps, *np.shape(seen)[1:]))


@pytest.fixture(autouse=True)
def no_calls():
    Spy.calls = []


def of_calls(name):
    return [call for call in Spy.calls if call[0] == name]


# ---- what a forecaster sees ----------------------------------------------------------------------


def test_a_forecaster_sees_only_what_was_before_the_origin():
    results = backtest(Spy(), DATED, initial=30, horizon=7, step=10, exog=DATED + 1)
    origins = [30, 40, 50]
    assert [call[0] for call in Spy.calls] == ["fit", "predict"] * 3
    for (_, series, exog, _), n in zip(of_calls("fit"), origins, strict=True):
        pd.testing.assert_series_equal(series, DATED[:n])  # its frequency, too
        pd.testing.assert_series_equal(exog, DATED[:n] + 1)
        # not even in the memory behind it
        assert series.to_numpy().base is None or len(series.to_numpy().base) == n
    for (_, _, exog, history), n in zip(of_calls("predict"), origins, strict=True):
        pd.testing.assert_series_equal(exog, DATED[n : n + 7] + 1)
        assert history is None
    assert results.values_of("origin") == [29, 39, 49]


def test_arrays_are_cut_to_copies():
    backtest(Spy(), WALK, initial=30, horizon=5, step=20, exog=np.column_stack([WALK, WALK]))
    (_, series, exog, _), (_, _, future, _) = Spy.calls[:2]
    np.testing.assert_array_equal(series, WALK[:30])
    assert not np.shares_memory(series, WALK)
    np.testing.assert_array_equal(exog, np.column_stack([WALK, WALK])[:30])
    np.testing.assert_array_equal(future, np.column_stack([WALK, WALK])[30:35])


def test_without_refit_the_history_grows():
    backtest(Spy(), DATED, initial=30, horizon=5, step=10, refit=False, exog=DATED)
    assert [call[0] for call in Spy.calls] == ["fit", "predict", "predict", "predict"]
    histories = [call[3] for call in of_calls("predict")]
    assert histories[0] is None
    for history, call, n in zip(histories[1:], of_calls("predict")[1:], (40, 50), strict=True):
        pd.testing.assert_series_equal(history, DATED[:n])
        pd.testing.assert_series_equal(call[2], DATED[: n + 5])


@pytest.mark.parametrize("refit", [True, False])
def test_numpy_has_truth_values_too(refit):
    settings = dict(initial=30, horizon=7, season_length=7)
    expected = backtest(NaiveForecaster(), WALK, refit=refit, **settings)
    got = backtest(NaiveForecaster(), WALK, refit=np.bool_(refit), **settings)
    pd.testing.assert_frame_equal(got.forecasts, expected.forecasts)
    if refit:  # which needs no history
        backtest(Without(), WALK, refit=np.True_, **settings)


def test_a_fit_at_every_second_origin():
    backtest(Spy(), WALK, initial=30, horizon=5, step=6, refit=2)
    assert [call[0] for call in Spy.calls] == ["fit", "predict", "predict"] * 2 + ["fit", "predict"]
    assert [len(call[1]) for call in of_calls("fit")] == [30, 42, 54]
    assert [len(call[1]) for call in of_calls("predict")] == [30, 36, 42, 48, 54]


def test_several_series_are_cut_at_the_same_time():
    """They begin and end at different times; exog is looked up by time, and has more."""
    several = [DATED[:50], 2 * DATED[5:], 3 * DATED[10:55]]
    results = backtest(Spy(), several, initial=20, horizon=6, step=8, exog=[DATED] * 3)
    for origin, (_, series, exog, _) in zip((30, 38), of_calls("fit"), strict=True):
        for one, beside, start, factor in zip(series, exog, (0, 5, 10), (1, 2, 3), strict=True):
            pd.testing.assert_series_equal(one, factor * DATED[start:origin])
            pd.testing.assert_series_equal(beside, DATED[start:origin])
    for origin, (_, _, exog, _) in zip((30, 38), of_calls("predict"), strict=True):
        for beside in exog:
            pd.testing.assert_series_equal(beside, DATED[origin : origin + 6])
    errors = results.errors(["model", "series", "origin"])[:6]
    assert errors.model.tolist() == ["Spy"] * 6
    assert errors.series.tolist() == [0, 0, 1, 1, 2, 2]
    assert errors.origin.tolist() == [DAYS[29], DAYS[37]] * 3
    means = [factor * WALK[o : o + 6].mean() for factor in (1, 2, 3) for o in (30, 38)]
    np.testing.assert_allclose(errors.MAE, means)


@pytest.mark.parametrize("form", ["list", "array"])
def test_several_arrays(form):
    several = np.stack([WALK, 2 * WALK])[:, :, np.newaxis]
    given = list(several) if form == "list" else several
    results = backtest(Spy(), given, initial=50, horizon=5)
    first = of_calls("fit")[0][1]
    assert isinstance(first, np.ndarray if form == "array" else list)
    np.testing.assert_array_equal(first, several[:, :50])
    by_series = results.errors(["model", "series"])
    np.testing.assert_allclose(
        by_series.MAE[by_series.model == "Spy"], [WALK[50:].mean(), 2 * WALK[50:].mean()]
    )


# ---- forecasts and errors ------------------------------------------------------------------------


def test_errors_against_loops():
    season, horizon = 7, 6
    results = backtest(
        NaiveForecaster("seasonal", season_length=season), DATED, initial=28, horizon=horizon,
        step=9, season_length=season, level=0.8, baselines=False,
        metrics=("mae", "rmse", "mase", "rmsse", "pinball", "coverage", median_absolute_error),
    )  # fmt: skip
    forecasts = results.forecasts
    assert list(forecasts) == [
        "model", "series", "origin", "horizon", "time", "actual", "forecast", "lower", "upper",
        "mase_scale", "rmsse_scale",
    ]  # fmt: skip
    rows = []
    for n in range(28, 60 - horizon + 1, 9):
        difference = WALK[season:n] - WALK[: n - season]
        for h in range(1, horizon + 1):
            error = WALK[n + h - 1] - WALK[n - season + h - 1]
            rows.append((DAYS[n - 1], h, DAYS[n + h - 1], error, np.mean(np.abs(difference)),
                         np.sqrt(np.mean(difference**2))))  # fmt: skip
    origin, h, time, error, scale, rms = (np.array(column) for column in zip(*rows, strict=True))
    assert forecasts.origin.tolist() == list(origin)
    assert forecasts.time.tolist() == list(time)
    assert forecasts.time.dtype == DAYS.dtype
    assert forecasts.horizon.tolist() == list(h)
    assert set(forecasts.series) == {"load"}
    np.testing.assert_allclose(forecasts.actual - forecasts.forecast, error)
    np.testing.assert_allclose(forecasts.mase_scale, scale)

    total = results.errors().iloc[0]
    assert total.model == "NaiveForecaster"
    np.testing.assert_allclose(total.MAE, np.mean(np.abs(error)))
    np.testing.assert_allclose(total.RMSE, np.sqrt(np.mean(error**2)))
    np.testing.assert_allclose(total.MASE, np.mean(np.abs(error) / scale))
    np.testing.assert_allclose(total.RMSSE, np.sqrt(np.mean((error / rms) ** 2)))
    np.testing.assert_allclose(total.median_absolute_error, np.median(np.abs(error)))
    y, low, high = (forecasts[name].to_numpy() for name in ("actual", "lower", "upper"))
    np.testing.assert_allclose(total.coverage, np.mean((low <= y) & (y <= high)))
    below = np.where(y >= low, 0.1 * (y - low), 0.9 * (low - y))
    above = np.where(y >= high, 0.9 * (y - high), 0.1 * (high - y))
    np.testing.assert_allclose(total.pinball, np.mean((below + above) / 2))

    by_horizon = results.errors(["model", "horizon"])
    assert list(by_horizon)[:2] == ["model", "horizon"]
    np.testing.assert_array_equal(by_horizon.horizon, np.arange(1, horizon + 1))
    np.testing.assert_allclose(
        by_horizon.RMSE, [np.sqrt(np.mean(error[h == k] ** 2)) for k in range(1, horizon + 1)]
    )


@pytest.mark.parametrize("number", [np.float32, np.float64, str])
def test_a_level_may_be_any_real_number(number):
    series, level = np.arange(40.0), number(0.5)
    arguments = dict(initial=30, horizon=2, step=4)
    if number is str:
        with pytest.raises(TypeError, match="level must be an instance"):
            backtest(NaiveForecaster(), series, level=level, **arguments)
        return
    got, want = (backtest(NaiveForecaster(), series, level=x, **arguments) for x in (level, 0.5))
    np.testing.assert_array_equal(got.errors(), want.errors())
    bounds = (NaiveForecaster().fit(series).predict_interval(2, level=x) for x in (level, 0.5))
    np.testing.assert_array_equal(*bounds)


def test_intervals_of_random_walks_cover():
    """The intervals of the last value are right for them: 600 independent walks."""
    walks = np.random.default_rng(1).normal(size=(600, 120)).cumsum(axis=1)[:, :, np.newaxis]
    results = backtest(NaiveForecaster(), walks, initial=110, horizon=10, level=0.8)
    coverage = results.errors(["model", "horizon"]).coverage[:10]
    np.testing.assert_allclose(coverage, 0.8, atol=4 * np.sqrt(0.8 * 0.2 / 600))


def test_baselines_are_in_the_same_table():
    results = backtest(Autoregression(), DATED, initial=28, horizon=3, season_length=7)
    errors = results.errors().set_index("model")
    assert list(errors.index) == ["Autoregression", "last value", "seasonal naive", "drift"]
    origins = np.arange(28, 58, 3)
    last = [np.abs(WALK[n : n + 3] - WALK[n - 1]) for n in origins]
    np.testing.assert_allclose(errors.MAE["last value"], np.mean(last))
    weekly = [np.abs(WALK[n : n + 3] - WALK[n - 7 : n - 4]) for n in origins]
    np.testing.assert_allclose(errors.MAE["seasonal naive"], np.mean(weekly))
    assert len(results.forecasts) == 4 * len(origins) * 3
    assert repr(results) == "<BacktestResults: 4 models, 1 series, 10 origins>"
    without = backtest(Autoregression(), DATED, initial=28, horizon=3)  # no season
    assert without.values_of("model") == ["Autoregression", "last value", "drift"]


def test_an_estimator_is_cloned_and_forecasts_what_it_would():
    forecaster = Autoregression()
    results = backtest(forecaster, WALK, initial=40, horizon=3, step=17, baselines=False)
    assert not hasattr(forecaster, "ridge_")
    expected = [Autoregression().fit(WALK[:n]).predict(3) for n in (40, 57)]
    np.testing.assert_array_equal(results.columns["forecast"], np.concatenate(expected))
    once = backtest(forecaster, WALK, initial=40, horizon=3, step=17, refit=False, baselines=False)
    fitted = Autoregression().fit(WALK[:40])
    expected = [fitted.predict(3, history=WALK[:n]) for n in (40, 57)]
    np.testing.assert_array_equal(once.columns["forecast"], np.concatenate(expected))


@pytest.mark.parametrize("refit", [True, False, 2])
def test_results_are_the_same_for_every_number_of_jobs(refit):
    arguments = dict(initial=30, horizon=3, step=5, refit=refit, level=None, season_length=7)
    models = {"a": Autoregression(), "b": Autoregression(window=9)}
    one, two = (backtest(models, DATED, n_jobs=n, **arguments) for n in (1, 2))
    pd.testing.assert_frame_equal(one.forecasts, two.forecasts, check_exact=True)
    pd.testing.assert_frame_equal(one.errors("horizon"), two.errors("horizon"), check_exact=True)


def test_several_channels_have_errors_of_their_own():
    frame = pd.DataFrame({"load": WALK, "heat": -3 * WALK}, index=DAYS)
    results = backtest(NaiveForecaster(), frame, initial=50, horizon=5, baselines=False)
    errors = results.errors(["channel"])
    assert errors.channel.tolist() == ["load", "heat"]
    np.testing.assert_allclose(errors.MAE[1], 3 * errors.MAE[0])
    np.testing.assert_allclose(errors.MASE[1], errors.MASE[0])
    assert len(results.forecasts) == 2 * 2 * 5
    assert results.errors(["origin", "horizon", "channel"]).shape == (20, 6)


def test_time_steps_of_arrays_are_positions():
    results = backtest(NaiveForecaster(), WALK, initial=40, horizon=5, baselines=False).forecasts
    np.testing.assert_array_equal(results.actual, WALK[results.time])
    np.testing.assert_array_equal(results.forecast, WALK[results.origin])
    np.testing.assert_array_equal(results.time, results.origin + results.horizon)


def test_the_progress_bar(capsys):
    pytest.importorskip("rich")
    backtest(NaiveForecaster(), WALK, initial=40, horizon=5, verbose=True)
    assert "backtest" in capsys.readouterr().out
    backtest(NaiveForecaster(), WALK, initial=40, horizon=5)
    assert capsys.readouterr().out == ""


# ---- what is refused -----------------------------------------------------------------------------


def refused(match, error=ValueError, forecaster=None, series=WALK, **arguments):
    arguments = {"initial": 40, "horizon": 5, **arguments}
    with pytest.raises(error, match=match) as caught:
        backtest(NaiveForecaster() if forecaster is None else forecaster, series, **arguments)
    assert len(str(caught.value)) < 400
    return caught.value


def test_a_series_that_repeats_itself_has_no_mase():
    constant = np.full(60, 0.1)
    message = "series repeats itself up to 39 with season_length=1, so that MASE has no scale"
    refused(message, series=constant)
    results = backtest(NaiveForecaster(), constant, initial=40, horizon=5, metrics="mae")
    assert results.errors().MAE.tolist() == [0, 0, 0]
    weekly = pd.Series(np.tile(0.1 * np.arange(10), 6), index=DAYS)
    refused(r"up to 2024-02-09 00:00:00\+01:00 with season_length=10, so that RMSSE",
            series=weekly, season_length=10, metrics=["rmsse"])  # fmt: skip
    refused("series, channel 1, repeats", series=np.column_stack([WALK, constant]))


def test_arguments():
    refused("60 time steps in common; initial=58 and horizon=5 need at least 63", initial=58)
    refused("horizon == 0", horizon=0)
    refused("step == 0", step=0)
    refused("initial must be an instance", TypeError, initial=0.5)
    refused("refit == 0", refit=0)
    refused("level == 80.0", level=80.0)
    refused("There is no metric 'mape'; expected mae, rmse", metrics=["mae", "mape"])
    refused("expected at least one, with different names", metrics=["mae", "mae"])
    refused("expected at least one, with different names", metrics=[])
    refused("The metric 'coverage' needs a level", metrics="coverage")
    refused("MASE with season_length=50 needs at least 51", season_length=50, baselines=False)
    for column in ("model", "origin"):
        metric = lambda y_true, y_pred: 0.0  # noqa: E731
        metric.__name__ = column
        refused(f"A metric has the name '{column}', which is a column", metrics=[metric])
    refused("has the name 'drift' of a baseline", forecaster={"drift": NaiveForecaster("drift")})
    refused("expected names of forecasters", forecaster={1: NaiveForecaster()})
    results = backtest(NaiveForecaster(), WALK, initial=40, horizon=5)
    with pytest.raises(ValueError, match="by='channel'; expected different ones of model, series"):
        results.errors("channel")


def test_series_that_do_not_fit_together():
    refused("45 to 60 time steps and no time stamps", series=[WALK, WALK[:45]])
    refused(r"series\[0\] has time stamps, series\[1\] has none", series=[DATED, WALK])
    later = DATED.set_axis(DAYS + pd.Timedelta(days=365))
    refused(r"series\[1\] has no time stamp in common", series=[DATED, later])
    weekly = DATED[::7]
    refused("all series must be of the same frequency", series=[weekly, DATED], initial=3)
    refused("series is nan at time step 3", series=np.where(np.arange(60) == 3, np.nan, WALK))
    refused(r"series has a gap: there is no 2024-01-08 .*\. Fill it; or where freq= can be stated",
            series=DATED.drop(DAYS[7]))  # fmt: skip
    refused("exog has no row for 2024-02-29", series=DATED, exog=DATED[:-1])
    refused("exog has 59 time steps; expected exactly 60", exog=WALK[:-1])


def test_forecasters_that_lack_something():
    refused("fit of the forecaster 'Without' takes no exog", TypeError, Without(), exog=WALK)
    refused("predict of the forecaster 'Without' takes no history", TypeError, Without(),
            refit=False)  # fmt: skip
    refused("'Without' is a Without without predict_interval; level=None", TypeError, Without(),
            level=0.8)  # fmt: skip
    refused("is a type without fit", TypeError, Without)


def returning(made):
    class Returning(Without):
        def predict(self, steps):
            return made(steps)

        def predict_interval(self, steps, level):
            return made(steps)

    return {"mine": Returning()}


def test_forecasts_that_are_none():
    refused(r"forecast of 'mine' at 39 has shape \(4,\); expected \(5,\)",
            forecaster=returning(lambda n: np.zeros(n - 1)))  # fmt: skip
    refused("forecast of 'mine' at 39 is nan at time step 0",
            forecaster=returning(lambda n: np.full(n, np.nan)))  # fmt: skip
    refused("forecast of 'mine' at 39 is 1 series; expected 2", series=[WALK, WALK],
            forecaster=returning(lambda n: [np.zeros(n)]))  # fmt: skip
    by_name = returning(lambda n: {"a": np.zeros(n), "b": np.zeros(n)})
    refused("forecast of 'mine' at 39 is a dict; expected a series", TypeError, by_name)
    refused("forecast of 'mine' at 39 is a dict; expected a list of series, in their order",
            TypeError, by_name, series=[WALK, WALK])  # fmt: skip
    message = "forecast of 'mine' at 2024-02-09 .* is for 2024-01-01 .* expected 2024-02-10"
    refused(message, series=DATED, forecaster=returning(lambda n: DATED[:n]))
    crossing = returning(lambda n: (np.zeros(n), np.ones(n), np.zeros(n)))
    refused("at 39 has a lower bound above the upper", forecaster=crossing, level=0.8)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_error_says_where_it_came_from(n_jobs):
    origins = [39] if n_jobs == 1 else range(39, 55, 5)
    error = refused("steps == 5, must be <= 3", forecaster={"mine": Failing()}, n_jobs=n_jobs)
    # of several processes, the one that fails first
    assert error.__notes__[0] in [f"This was in the backtest of 'mine' at {t}." for t in origins]


def test_results_can_be_saved():
    results = backtest(NaiveForecaster(), DATED, initial=40, horizon=5)
    loaded = pickle.loads(pickle.dumps(results))
    pd.testing.assert_frame_equal(loaded.errors(), results.errors())
    pd.testing.assert_frame_equal(loaded.forecasts, results.forecasts)


def test_columns_of_a_forecast_in_another_order_are_refused():
    class Turned:
        def fit(self, series):
            self.series = series

        def predict(self, steps):
            last = self.series.iloc[-steps:, ::-1]
            return last.set_axis(last.index + pd.Timedelta(days=steps))

    frame = pd.DataFrame({"a": DATED, "b": 2 * DATED})
    refused(r"has the columns \['b', 'a'\]; expected", series=frame, forecaster=Turned())


# ---- with WindowForecaster -----------------------------------------------------------------------


@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("with_exog", [True, False])
def test_forecasts_of_a_window_forecaster_by_hand(refit, with_exog):
    exog = DATED.shift(-1).fillna(0.0).rename("known")
    series = DATED + 3 * exog
    forecaster = WindowForecaster(Ridge(), window=7, horizon=3, season_length=1)
    given = exog if with_exog else None
    results = backtest(
        forecaster, series, initial=40, horizon=3, step=8, refit=refit, exog=given, level=0.8,
        baselines=False,
    )  # fmt: skip
    forecasts = results.forecasts
    for n in (40, 48, 56):
        fitted = forecaster.fit(series[: n if refit else 40], exog=given)
        beside = {} if refit else {"history": series[:n]}
        expected = fitted.predict_interval(3, level=0.8, exog=given, **beside)
        got = forecasts[forecasts.origin == DAYS[n - 1]]
        for name, values in zip(("forecast", "lower", "upper"), expected, strict=True):
            np.testing.assert_allclose(got[name], values, rtol=1e-10)


# ---- the page ------------------------------------------------------------------------------------


def test_code_of_the_docs():
    plt = pytest.importorskip("matplotlib.pyplot")
    docs = run_snippets("backtesting.rst", "A first table")
    plt.close(docs["display"].figure_)
    errors = docs["results"].errors().set_index("model")
    assert docs["by_horizon"].shape == (5 * 12, 7)
    assert errors.MASE["ridge"] < errors.MASE["default"] < 0.5 < 1 < errors.MASE["seasonal naive"]
