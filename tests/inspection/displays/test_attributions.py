"""AttributionDisplay and ChannelImportanceDisplay."""

import numpy as np
import pytest
from display_helpers import FEW_EPOCHS, assert_no_overlap
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

from skgru import GRUClassifier, GRURegressor
from skgru.inspection import (
    AttributionDisplay,
    ChannelImportanceDisplay,
    channel_importance,
    input_attributions,
)
from skgru.preprocessing import PerTimestep

pytest.importorskip("matplotlib").use("agg")

import matplotlib.pyplot as plt  # noqa: E402


def luminance(color):
    return np.dot(color[:3], (0.2126, 0.7152, 0.0722))


# ---- AttributionDisplay --------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["integrated_gradients", "gradient", "occlusion"])
def test_attributions_of_a_sequence(regressor, series, method):
    X, _, _ = series
    display = AttributionDisplay.from_estimator(regressor, X, sample=3, method=method)
    result = input_attributions(regressor, X, method=method)
    np.testing.assert_allclose(
        display.image_.get_array(), result.attributions[3].T, rtol=1e-4, atol=1e-7
    )
    low, high = display.image_.get_clim()
    assert high == -low == pytest.approx(np.abs(display.attributions).max())
    above, below = display.axes_
    for k, line in enumerate(display.lines_):
        np.testing.assert_array_equal(line.get_ydata(), X[3, :, k])
    assert [text.get_text() for text in above.texts] == ["x0", "x1"]
    assert [label.get_text() for label in below.get_yticklabels()] == ["x0", "x1"]
    assert above.get_xlim() == below.get_xlim() == (-0.5, 8.5)
    assert below.get_xlabel() == "time step"
    title = f"sequence 3: prediction = {result.responses[3]:.3g}"
    if method != "gradient":
        title += f" (baseline {result.baseline_responses[3]:.3g})"
    assert above.get_title() == title
    label = "∂ prediction / ∂ value" if method == "gradient" else "part of the prediction"
    assert display.colorbar_.ax.get_ylabel() == label
    assert display.series_image_ is None
    assert_no_overlap(display)


def test_attributions_are_readable_in_greyscale(regressor, series):
    cmap = AttributionDisplay.from_estimator(regressor, series[0]).image_.get_cmap()
    lightness = [luminance(cmap(x)) for x in np.linspace(0, 1, 50)]
    assert (np.diff(lightness) > 0).all()


def test_attributions_of_a_pipeline_over_ragged_data_frames():
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    names = [f"sensor {k}" for k in range(8)]
    X = [pandas.DataFrame(rng.normal(size=(n, 8)), columns=names) for n in (5, 9, 7)]
    y = ["up", "down", "flat"]
    model = make_pipeline(PerTimestep(StandardScaler()), GRUClassifier(4, **FEW_EPOCHS)).fit(X, y)
    display = AttributionDisplay.from_estimator(model, X, "up", sample=-1)
    np.testing.assert_array_equal(display.series, X[2])
    assert display.image_.get_array().shape == (8, 7)
    assert [label.get_text() for label in display.axes_[1].get_yticklabels()] == names
    assert display.axes_[0].get_title().startswith("sequence 2: probability of up = 0.")
    assert display.lines_ == []
    np.testing.assert_array_equal(display.series_image_.get_array(), X[2].to_numpy().T)
    want = input_attributions(model, X, "up", samples=[-1]).attributions[0]
    np.testing.assert_allclose(display.attributions, want)
    at_last = AttributionDisplay.from_estimator(model, X, "up", sample=1, at="last_step")
    np.testing.assert_allclose(at_last.series, model[:-1].transform(X)[1])


def test_attributions_end_where_a_padded_sequence_ends(regressor, series):
    X = series[0][:2].copy()
    X[1, 4:] = np.nan
    display = AttributionDisplay.from_estimator(regressor, X, sample=1)
    assert display.image_.get_array().shape == (2, 4)


def test_attributions_of_a_table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(10, 6))
    model = GRURegressor(3, n_channels=2, **FEW_EPOCHS).fit(X, X[:, 0])
    display = AttributionDisplay.from_estimator(model, X, sample=4)
    np.testing.assert_array_equal(display.series, X[4].reshape(3, 2))
    want = input_attributions(model, X).attributions[4].reshape(3, 2)
    np.testing.assert_allclose(display.attributions, want, atol=1e-6)


def test_attributions_of_many_to_many_and_into_given_axes(tagger, series):
    X, _, _ = series
    _, axes = plt.subplots(2)
    display = AttributionDisplay.from_estimator(tagger, X, step=4, ax=axes)
    assert list(display.axes_) == list(axes)
    assert not display.attributions[5:].any()
    assert display.attributions[4].any()
    _, ax = plt.subplots()
    assert len(AttributionDisplay.from_estimator(tagger, X, step=4, ax=ax).axes_) == 2
    with pytest.raises(ValueError, match="ax must be one Axes or an array of 2"):
        display.plot(ax=axes[:1])
    with pytest.raises(ValueError, match="samples has 30, which is not in X of 30 sequences"):
        AttributionDisplay.from_estimator(tagger, X, step=4, sample=30)


def test_attributions_without_names_and_of_zero():
    display = AttributionDisplay(series=np.ones((3, 2)), attributions=np.zeros((3, 2))).plot()
    assert display.image_.get_clim() == (-1, 1)
    assert [label.get_text() for label in display.axes_[1].get_yticklabels()] == ["0", "1"]
    many = AttributionDisplay(series=np.ones((3, 40)), attributions=np.ones((3, 40))).plot()
    assert list(many.axes_[1].get_yticks()) == []
    assert many.axes_[1].get_ylabel() == "channels"


# ---- ChannelImportanceDisplay --------------------------------------------------------------------


def test_importance_is_a_box_plot_from_the_lowest_to_the_highest(regressor, series):
    X, y, _ = series
    display = ChannelImportanceDisplay.from_estimator(regressor, X, y, random_state=0)
    result = channel_importance(regressor, X, y, random_state=0)
    np.testing.assert_array_equal(display.order_, np.argsort(result.importances_mean))
    assert display.image_ is None
    for box, group in zip(display.boxes_["medians"], display.order_, strict=True):
        assert box.get_xdata()[0] == pytest.approx(np.median(result.importances[group]))
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == [f"x{k}" for k in display.order_]
    assert display.ax_.get_xlabel() == f"drop of the score, from {result.score:.3g}"


def test_importance_of_lags_is_a_heat_map_with_the_last_to_the_right(regressor, series):
    X, y, _ = series
    display = ChannelImportanceDisplay.from_estimator(
        regressor, X, y, lags=3, groups={"both": [0, 1], "one": [1]}, random_state=0
    )
    means = display.importance.importances_mean
    assert means.shape == (2, 3)
    np.testing.assert_array_equal(display.image_.get_array(), means[:, ::-1])
    assert display.boxes_ is None
    ticks = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert ticks == ["6–8", "3–5", "0–2"]
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["both", "one"]
    assert display.ax_.get_xlabel() == "lag (steps back from the last)"


def test_boxes_have_the_color_of_the_text():
    importance = Bunch(
        importances=np.ones((2, 3)), importances_mean=np.ones(2), group_names=["a", "b"], score=1.0
    )
    with plt.style.context("dark_background"):
        display = ChannelImportanceDisplay(importance).plot()
        assert {line.get_color() for line in display.boxes_["boxes"]} == {"white"}
    _, ax = plt.subplots()
    assert ChannelImportanceDisplay(importance).plot(ax=ax).ax_ is ax
