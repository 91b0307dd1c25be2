"""GradientFlowDisplay."""

import numpy as np
import pytest
from display_helpers import FEW_EPOCHS, assert_no_overlap, titles
from helpers import forward_classifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru.inspection import (
    GradientFlowDisplay,
    gradient_flow,
)
from skgru.preprocessing import PerTimestep

pytest.importorskip("matplotlib").use("agg")

from matplotlib.colors import LogNorm  # noqa: E402


def test_flow_by_lag(regressor, series):
    X, y, _ = series
    display = GradientFlowDisplay.from_estimator(regressor, X, y, relative=False)
    (layer,) = gradient_flow(regressor, X, y).layers
    (line,) = display.lines_
    np.testing.assert_array_equal(line.get_xdata(), np.arange(9))
    np.testing.assert_array_equal(line.get_ydata(), layer.mean)
    (band,) = display.bands_
    (path,) = band.get_paths()
    for lag in range(1, 8):
        low, _, high = layer.quantiles[:, lag]
        inside = [
            path.contains_point((lag, y)) for y in (0.9 * low, 1.1 * low, 0.9 * high, 1.1 * high)
        ]
        assert inside == [False, True, True, False]
    levels = [level.get_ydata()[0] for level in display.level_lines_]
    np.testing.assert_allclose(levels, layer.mean[0] * np.array([np.exp(-1), 0.01]))
    assert [text.get_text() for text in display.ax_.texts] == ["1/e", "1 %"]
    assert [text.get_position()[1] for text in display.ax_.texts] == levels
    assert display.ax_.get_yscale() == "log"
    assert display.ax_.get_xlabel() == "lag (steps back)"
    assert "relative" not in display.ax_.get_ylabel()
    assert titles(display.ax_)[2] == "mean; band from the 0.1 to the 0.9 quantile of the sequences"
    assert display.ax_.get_legend() is None


def test_flow_of_every_layer_and_direction(bidirectional, series):
    X, _, y = series
    quantiles = [0.8, 0.2]
    display = GradientFlowDisplay.from_estimator(bidirectional, X, y, quantiles=quantiles)
    flow = gradient_flow(bidirectional, X, y, quantiles=quantiles)
    for line, band, layer in zip(display.lines_, display.bands_, flow.layers, strict=True):
        np.testing.assert_allclose(line.get_ydata(), layer.mean / layer.mean[0])
        height = band.get_paths()[0].vertices[:, 1]
        assert height.min() == pytest.approx(layer.quantiles[1].min() / layer.mean[0])
        assert height.max() == pytest.approx(layer.quantiles[0].max() / layer.mean[0])
    assert len({line.get_linestyle() for line in display.lines_}) == 4
    assert [text.get_text() for text in display.ax_.get_legend().texts] == [
        "layer 0, forward",
        "layer 0, backward",
        "layer 1, forward",
        "layer 1, backward",
    ]
    levels = [level.get_ydata()[0] for level in display.level_lines_]
    np.testing.assert_allclose(levels, [np.exp(-1), 0.01])
    assert display.ax_.get_ylabel().endswith("relative to lag 0")
    assert display.plot(relative=False).level_lines_ == []


def test_several_models_share_an_axes(regressor, tagger, series):
    X, y, labels = series
    first = GradientFlowDisplay.from_estimator(regressor, X, y, name="regressor")
    second = GradientFlowDisplay.from_estimator(tagger, X, labels, name="tagger", ax=first.ax_)
    assert second.ax_ is first.ax_
    assert second.level_lines_ == []  # the first display drew them
    assert [text.get_text() for text in first.ax_.get_legend().texts] == ["regressor", "tagger"]
    lines = [first.lines_[0], second.lines_[0]]
    assert lines[0].get_color() != lines[1].get_color()
    assert lines[0].get_linestyle() != lines[1].get_linestyle()
    with pytest.raises(ValueError, match="need ax to be one Axes; got list"):
        first.plot(ax=[first.ax_])


def test_flow_of_ragged_sequences_in_a_search(ragged):
    X, y = ragged
    model = make_pipeline(PerTimestep(StandardScaler()), forward_classifier(5, **FEW_EPOCHS))
    search = GridSearchCV(model, {"gruclassifier__alpha": [0.0]}, cv=2).fit(X, y)
    display = GradientFlowDisplay.from_estimator(search, X, y)
    (layer,) = gradient_flow(search, X, y).layers
    np.testing.assert_allclose(display.lines_[0].get_ydata(), layer.mean / layer.mean[0])
    assert len(layer.mean) == max(map(len, X))


def test_a_gradient_of_zero_is_marked_on_a_log_axis(tagger, series):
    X, _, y = series
    y = np.where(np.arange(9) == 4, y, np.nan)  # only one time step has a loss
    display = GradientFlowDisplay.from_estimator(tagger, X, y)
    (layer,) = display.flow.layers
    assert (layer.mean[:4] == 0).all()
    assert (layer.mean[4:] > 0).all()
    line = display.lines_[0]
    assert np.isnan(line.get_ydata()[:4]).all()
    np.testing.assert_allclose(line.get_ydata()[4:], layer.mean[4:] / layer.mean[4])
    (marks,) = [other for other in display.ax_.lines if other.get_marker() == "v"]
    np.testing.assert_array_equal(marks.get_xdata(), np.arange(4))
    assert "exactly 0" in [text.get_text() for text in display.ax_.texts]
    low, high = display.ax_.get_ylim()
    assert 1e-6 < low < high < 1e6
    display.figure_.canvas.draw()


def test_the_axis_ends_at_single_precision(regressor, series):
    X, y, _ = series
    flow = gradient_flow(regressor, X, y)
    (layer,) = flow.layers
    vanishing = 1e-3 ** np.arange(9)
    layer.update(mean=vanishing, quantiles=np.tile(vanishing, (3, 1)))
    display = GradientFlowDisplay(flow).plot()
    np.testing.assert_allclose(display.lines_[0].get_ydata(), vanishing)
    low, high = display.ax_.get_ylim()
    assert low == pytest.approx(np.finfo(np.float32).eps)
    assert 1 < high < 10
    layer.update(mean=1 / vanishing)
    display.plot(ax=display.ax_)  # the limits grow with the data
    assert 1e24 < display.ax_.get_ylim()[1] < 1e25


def test_a_gradient_of_zero_everywhere(tagger, series):
    X, _, y = series
    flow = gradient_flow(tagger, X, y, by_loss_step=True)
    layer = flow.layers[0]
    layer.update(mean=0 * layer.mean, quantiles=0 * layer.quantiles)
    layer.by_loss_step["h"] *= 0
    display = GradientFlowDisplay(flow)
    for relative in (True, False):
        display.plot(relative=relative).figure_.canvas.draw()
        assert np.isnan(display.lines_[0].get_ydata()).all()
        assert "exactly 0" in [text.get_text() for text in display.ax_.texts]
    assert display.level_lines_ == []
    display.plot(by_loss_step=True).figure_.canvas.draw()
    assert display.colorbar_.extend == "min"


def test_flow_by_loss_step(tagger, series):
    X, _, y = series
    display = GradientFlowDisplay.from_estimator(tagger, X, y, by_loss_step=True)
    (layer,) = gradient_flow(tagger, X, y, by_loss_step=True).layers
    norms = layer.by_loss_step["h"]
    (image,) = display.images_
    lower = np.tril_indices(9)
    np.testing.assert_array_equal(image.get_array()[lower], norms[lower])
    np.testing.assert_array_equal(image.get_array().mask, ~np.tri(9, dtype=bool))
    assert isinstance(image.norm, LogNorm)
    assert image.get_clim() == pytest.approx((norms[lower].min(), norms.max()))
    assert display.colorbar_.extend == "neither"
    assert display.axes_[0].get_xlabel() == "time step k"
    assert display.axes_[0].get_ylabel() == "time step t of the loss"


def test_a_loss_step_without_a_label_is_below_the_scale(tagger, series):
    X, _, y = series
    y = np.where(np.arange(9) == 4, np.nan, y)
    display = GradientFlowDisplay.from_estimator(tagger, X, y, by_loss_step=True)
    (image,) = display.images_
    colors = image.to_rgba(image.get_array())
    np.testing.assert_array_equal(colors[4, :5], np.tile((0, 0, 0, 1), (5, 1)))
    np.testing.assert_array_equal(colors[4, 5:], np.ones((4, 4)))
    assert display.colorbar_.extend == "min"


def test_flow_by_loss_step_of_both_directions(bidirectional, series):
    X, _, y = series
    display = GradientFlowDisplay.from_estimator(bidirectional, X, y, by_loss_step=True)
    masks = [np.ma.getmaskarray(image.get_array()) for image in display.images_]
    assert not masks[0].any()
    assert not masks[1].any()
    np.testing.assert_array_equal(masks[2], ~np.tri(9, dtype=bool))
    np.testing.assert_array_equal(masks[3], ~np.tri(9, dtype=bool)[::-1])
    flow = display.flow
    for image, mask, layer in zip(display.images_, masks, flow.layers, strict=True):
        # steps that no gradient reaches are masked
        np.testing.assert_array_equal(layer.by_loss_step["h"] == 0, mask)
        assert image.norm is display.images_[0].norm
    assert [ax.get_xlabel() for ax in display.axes_[2:]] == [
        "time step k",
        "step k, read from the end",
    ]
    assert_no_overlap(display)
    with pytest.raises(ValueError, match="compute it with by_loss_step=True"):
        GradientFlowDisplay(gradient_flow(bidirectional, X, y)).plot(by_loss_step=True)
