"""BacktestDisplay."""

import numpy as np
import pandas as pd
import pytest
from display_helpers import assert_no_overlap
from forecasting_helpers import Autoregression

from skgru.forecasting import BacktestDisplay, NaiveForecaster, backtest

plt = pytest.importorskip("matplotlib.pyplot")
plt.switch_backend("agg")

WALK = 100 + np.random.default_rng(0).normal(size=(60, 2)).cumsum(axis=0)
DAYS = pd.date_range("2024-01-01", periods=60, tz="Europe/Berlin")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def results():
    """Origins at 29, 31, …, 53 and a horizon of 6 steps."""
    series = pd.Series(WALK[:, 0], index=DAYS, name="load")
    return backtest(NaiveForecaster(), series, initial=30, horizon=6, step=2, level=0.8)


def test_forecasts_over_the_series(results):
    display = BacktestDisplay.from_results(results)
    np.testing.assert_array_equal(display.series_line_.get_ydata(), WALK[18:, 0])
    local = DAYS.tz_localize(None).to_numpy()
    np.testing.assert_array_equal(display.series_line_.get_xdata(), local[18:])
    assert len(display.forecast_lines_) == len(display.bands_) == 5  # as many as do not overlap
    forecasts = results.forecasts
    forecasts = forecasts[forecasts.model == "NaiveForecaster"]
    for line, band, n in zip(
        display.forecast_lines_, display.bands_, range(30, 55, 6), strict=True
    ):
        at = forecasts[forecasts.origin == DAYS[n - 1]]
        np.testing.assert_array_equal(line.get_xdata(), local[n : n + 6])
        np.testing.assert_array_equal(line.get_ydata(), at.forecast)
        height = band.get_paths()[0].vertices[:, 1]
        assert (height.min(), height.max()) == (at.lower.min(), at.upper.max())
    texts = [text.get_text() for text in display.axes_[0].get_legend().texts]
    assert texts == ["observed", "NaiveForecaster", "80% interval"]
    assert display.axes_[0].get_ylabel() == "load"
    assert len(display.plot(every=1).forecast_lines_) == 13
    assert_no_overlap(display)


def test_errors_by_horizon(results):
    display = BacktestDisplay.from_results(results)
    errors = results.errors(["model", "horizon"])
    assert list(display.error_lines_) == ["NaiveForecaster", "last value", "drift"]
    for model, line in display.error_lines_.items():
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 7))
        np.testing.assert_array_equal(line.get_ydata(), errors.MASE[errors.model == model])
    assert display.axes_[1].get_ylabel() == "MASE of 13 origins"
    lines = display.error_lines_.values()
    looks = {(line.get_linestyle(), line.get_marker()) for line in lines}
    assert len(looks) == 3  # they differ without colors
    display.plot(metric="coverage")
    np.testing.assert_array_equal(
        display.error_lines_["drift"].get_ydata(), errors.coverage[errors.model == "drift"]
    )


def test_a_model_a_series_and_a_channel():
    frame = pd.DataFrame(WALK, columns=["load", "heat"], index=pd.RangeIndex(60))
    results = backtest(
        {"mine": NaiveForecaster("drift")}, [frame, frame * 2], initial=50, horizon=5, metrics="mae"
    )
    display = BacktestDisplay.from_results(results, model="last value", series=1, channel="heat")
    np.testing.assert_array_equal(display.series_line_.get_xdata(), np.arange(40, 60))
    np.testing.assert_array_equal(display.series_line_.get_ydata(), 2 * WALK[40:, 1])
    for line, n in zip(display.forecast_lines_, (50, 55), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), np.full(5, 2 * WALK[n - 1, 1]))
    assert display.bands_ == []
    assert display.axes_[0].get_ylabel() == "1, heat"
    assert display.axes_[1].get_ylabel() == "MAE of 2 origins, 2 series"
    for wrong in ({"model": "drft"}, {"series": 2}, {"channel": "rain"}):
        with pytest.raises(ValueError, match=f"There is no {next(iter(wrong))}"):
            BacktestDisplay.from_results(results, **wrong)


@pytest.mark.parametrize(
    "index",
    [
        pd.period_range("2020-01", periods=60, freq="M"),
        pd.timedelta_range("1D", periods=60, freq="h"),
    ],
)
def test_other_time_stamps(index):
    series = pd.Series(WALK[:, 0], index=index)
    results = backtest(Autoregression(), series, initial=57, horizon=1, step=2)
    display = BacktestDisplay.from_results(results)
    (first, second) = display.forecast_lines_
    assert first.get_marker() == "."  # a line of one point would be invisible
    assert first.get_xdata() == display.series_line_.get_xdata()[-3]
    assert second.get_xdata() == display.series_line_.get_xdata()[-1]
    display.figure_.canvas.draw()


def test_given_axes(results):
    _, axes = plt.subplots(1, 2)
    display = BacktestDisplay.from_results(results, ax=axes)
    assert list(display.axes_) == list(axes)
    for wrong in (axes[0], axes[:1]):
        with pytest.raises(ValueError, match="ax must be two Axes"):
            display.plot(ax=wrong)
    with pytest.raises(ValueError, match="no metric 'RMSSE'; expected one of \\['MAE'"):
        display.plot(metric="RMSSE")
    with pytest.raises(ValueError, match="every == 0"):
        display.plot(every=0)


@pytest.mark.parametrize("style", ["default", "dark_background", "grayscale"])
def test_lines_are_visible_on_every_background(style, results):
    with plt.style.context(style):
        display = BacktestDisplay.from_results(results)
        background = np.mean(plt.matplotlib.colors.to_rgb(display.axes_[0].get_facecolor()))
        lines = [display.series_line_, *display.forecast_lines_, *display.error_lines_.values()]
        for line in lines:
            grey = np.dot(plt.matplotlib.colors.to_rgb(line.get_color()), (0.3, 0.59, 0.11))
            assert abs(grey - background) > 0.25
        display.figure_.canvas.draw()
