import numpy as np
import pytest
from processes import run_python
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.inspection import (
    GateActivityDisplay,
    GateRegimesDisplay,
    GradientFlowDisplay,
    TrainingCurveDisplay,
    gate_activations,
    gate_regimes,
    gradient_flow,
)
from skgru.preprocessing import PerTimestep

pytest.importorskip("matplotlib").use("agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.colors import LogNorm, to_rgb  # noqa: E402

# ends before max_iter, so that nothing warns
FEW_EPOCHS = {"max_iter": 3, "tol": 10.0, "n_iter_no_change": 1, "random_state": 0}


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def series():
    """30 sequences of 9 steps and two channels; a number a sequence, and a label a step."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 9, 2))
    return X, X[:, 2, 0], X[:, :, 0] > 0


@pytest.fixture(scope="module")
def regressor(series):
    X, y, _ = series
    return GRURegressor(5, **FEW_EPOCHS).fit(X, y)


@pytest.fixture(scope="module")
def tagger(series):
    X, _, y = series
    return GRUClassifier(5, return_sequences=True, **FEW_EPOCHS).fit(X, y)


@pytest.fixture(scope="module")
def bidirectional(series):
    X, _, y = series
    model = GRUClassifier((4, 3), bidirectional=True, return_sequences=True, **FEW_EPOCHS)
    return model.fit(X, y)


def luminance(color):
    return np.dot(to_rgb(color), (0.2126, 0.7152, 0.0722))


def titles(ax):
    return [ax.get_title(loc=loc) for loc in ("left", "center", "right")]


def assert_panels_are_apart(display):
    """No panel, with all that is written around it, lies over another one."""
    display.figure_.draw_without_rendering()
    boxes = [ax.get_tightbbox() for ax in display.axes_]
    for i, box in enumerate(boxes):
        for other in boxes[:i]:
            overlap = type(box).intersection(box, other)
            assert overlap is None or min(overlap.width, overlap.height) < 1


def test_matplotlib_is_imported_only_to_draw():
    code = """
import sys
from skgru.inspection import GradientFlowDisplay
print("matplotlib" in sys.modules)
"""
    assert run_python(code).stdout == "False\n"


@pytest.mark.parametrize(
    "draw",
    [
        lambda model, X: GateActivityDisplay.from_estimator(model, X),
        lambda model, X: GateRegimesDisplay.from_estimator(model, X),
        lambda model, X: GradientFlowDisplay.from_estimator(model, X, X[:, 0, 0]),
        lambda model, X: TrainingCurveDisplay.from_estimator(model),
    ],
)
def test_what_cannot_be_drawn_is_named(draw, series):
    with pytest.raises(TypeError, match=r"inspected.*StandardScaler\(\)"):
        draw(StandardScaler(), series[0])
    with pytest.raises(NotFittedError):
        draw(GRURegressor(), series[0])


# ---- GateActivityDisplay -----------------------------------------------------------------------


def test_activity_shows_the_activations(regressor, series):
    X, _, _ = series
    display = GateActivityDisplay.from_estimator(regressor, X, sample=3)
    names = ["reset_gate", "update_gate", "candidate", "hidden"]
    assert list(display.images_) == names
    layer = gate_activations(regressor, X).layers[0]
    order = np.argsort(-layer.update_gate[3].mean(axis=0))
    np.testing.assert_array_equal(display.units_, order)
    for panel, name in zip(display.axes_[1:], names, strict=True):
        image = display.images_[name]
        assert image.axes is panel
        np.testing.assert_allclose(image.get_array(), layer[name][3].T[order], rtol=1e-12)
        assert panel.get_title(loc="left") == name.replace("_", " ").replace("den", "den state")
        assert panel.get_ylabel() == "units"
    for k, line in enumerate(display.lines_):
        np.testing.assert_array_equal(line.get_xdata(), np.arange(9))
        np.testing.assert_array_equal(line.get_ydata(), X[3, :, k])
    assert {ax.get_xlim() for ax in display.axes_} == {(-0.5, 8.5)}
    assert display.axes_[-1].get_xlabel() == "time step"
    assert display.axes_[0].get_title() == "sequence 3, layer 0"
    assert display.axes_[1].get_title(loc="right") == "sorted by mean update gate"
    assert display.images_["reset_gate"].get_clim() == (0, 1)
    assert display.images_["hidden"].get_clim() == (-1, 1)
    assert list(display.colorbars_) == ["gate", "state"]
    assert [bar.ax.get_ylabel() for bar in display.colorbars_.values()] == [
        "gate (1 is open)",
        "state",
    ]
    assert_panels_are_apart(display)


def test_activity_is_readable_in_greyscale(regressor, series):
    display = GateActivityDisplay.from_estimator(regressor, series[0])
    for image in display.images_.values():
        lightness = [luminance(image.get_cmap()(x)) for x in np.linspace(0, 1, 50)]
        assert (np.diff(lightness) > 0).all()


def test_activity_of_a_pipeline_over_a_ragged_list(ragged):
    X, y = ragged
    model = make_pipeline(PerTimestep(StandardScaler()), GRUClassifier(5, **FEW_EPOCHS)).fit(X, y)
    display = GateActivityDisplay.from_estimator(model, X, sample=-1, sort_by=None)
    layer = gate_activations(model, X).layers[0]
    np.testing.assert_allclose(display.images_["update_gate"].get_array(), layer.update_gate[-1].T)
    seen = model[:-1].transform(X)[-1]
    np.testing.assert_allclose(display.series, seen)
    np.testing.assert_allclose(display.lines_[1].get_ydata(), seen[:, 1])
    assert display.axes_[0].get_title() == "sequence 39, layer 0"
    assert titles(display.axes_[1]) == ["reset gate", "", ""]


def test_activity_ends_where_a_padded_sequence_ends(regressor, series):
    X = series[0][:2].copy()
    X[1, 4:] = np.nan
    display = GateActivityDisplay.from_estimator(regressor, X, sample=1)
    assert display.images_["hidden"].get_array().shape == (5, 4)
    assert display.axes_[0].get_xlim() == (-0.5, 3.5)


def test_activity_of_one_direction(bidirectional, series):
    X, _, _ = series
    display = GateActivityDisplay.from_estimator(bidirectional, X, layer=3, sort_by="hidden")
    layer = gate_activations(bidirectional, X).layers[3]
    by_mean = layer.hidden[0][:, np.argsort(-layer.hidden[0].mean(axis=0))]
    np.testing.assert_allclose(display.images_["hidden"].get_array(), by_mean.T)
    assert display.axes_[0].get_title() == "sequence 0, layer 1, backward"
    assert display.axes_[1].get_title(loc="right") == "sorted by mean hidden state"


@pytest.mark.parametrize(
    ("parameters", "names", "kinds", "sorted_by"),
    [
        ({"cell": "rnn"}, "candidate hidden", "state", "candidate"),
        ({"cell": "mgu"}, "forget_gate candidate hidden", "gate state", "forget gate"),
        (
            {"cell": "light_gru", "activation": "relu"},
            "update_gate candidate hidden",
            "gate state",
            "update gate",
        ),
        (
            {"cell": "lstm"},
            "input_gate forget_gate output_gate candidate hidden memory",
            "gate state memory",
            "forget gate",
        ),
        (
            {"reset_after": True},
            "reset_gate update_gate candidate hidden",
            "gate state",
            "update gate",
        ),
    ],
)
def test_activity_of_every_cell(parameters, names, kinds, sorted_by, series):
    X, y, _ = series
    model = GRURegressor(4, **parameters, **FEW_EPOCHS).fit(X, y)
    display = GateActivityDisplay.from_estimator(model, 3 * X)
    assert list(display.images_) == names.split()
    assert list(display.colorbars_) == kinds.split()
    assert display.axes_[1].get_title(loc="right") == f"sorted by mean {sorted_by}"
    for image in display.images_.values():
        low, high = image.get_clim()
        assert low <= image.get_array().min() <= image.get_array().max() <= high
        assert low in (0, -high)  # 0 is the middle of what has a sign


def test_gates_of_a_kind_go_together(series):
    X, y, _ = series
    model = GRURegressor(4, reset_after=True, **FEW_EPOCHS).fit(X, y)
    gates = ["product", "hidden", "update_gate"]
    display = GateActivityDisplay.from_estimator(model, X, gates=gates, gate_cmap="magma")
    assert list(display.images_) == ["update_gate", "hidden", "product"]
    assert display.images_["update_gate"].get_cmap().name == "magma"
    assert list(display.plot(gates="hidden").images_) == ["hidden"]
    assert len(display.axes_) == 2


def test_many_channels_are_a_heat_map():
    X = np.random.default_rng(0).normal(size=(20, 1, 7))
    model = GRURegressor(1, **FEW_EPOCHS).fit(X, X[:, 0, 0])
    display = GateActivityDisplay.from_estimator(model, X)
    assert display.lines_ == []
    np.testing.assert_array_equal(display.images_["series"].get_array(), X[0].T)
    assert display.axes_[0].get_ylabel() == "channels"
    assert "series" in display.colorbars_


@pytest.mark.parametrize(
    "ends", [(0.0, 0.1, 0.1, 0.1, 1.0, 0.95), (0.0, 1.0, 1.0, 1.0, 1.0, 0.99), (0.0, 0.1)]
)
def test_numbers_of_channels_are_apart(ends):
    channels = np.array([ends])
    activations = {"hidden": np.zeros((3, 2))}
    display = GateActivityDisplay(series=np.repeat(channels, 3, axis=0), activations=activations)
    heights = np.array([text.get_position()[1] for text in display.plot().axes_[0].texts])
    assert [text.get_text() for text in display.axes_[0].texts] == list("012345"[: len(ends)])
    np.testing.assert_array_equal(np.argsort(heights), np.argsort(ends, kind="stable"))
    assert np.diff(np.sort(heights)).min() > 0.19
    assert -1e-9 <= heights.min() <= heights.max() <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sample": 30}, "sample=30 is not in X, which has 30 sequences"),
        ({"layer": 1}, "layer=1 is not in layers_, which has 1 entries"),
        ({"gates": ["forget_gate"]}, r"one or more of reset_gate, .*; got \['forget_gate'\]"),
        ({"gates": []}, "gates must be one or more"),
        ({"sort_by": "memory"}, "sort_by must be 'auto', None or one of reset_gate"),
    ],
)
def test_activity_that_is_not_there_is_refused(arguments, message, regressor, series):
    with pytest.raises(ValueError, match=message):
        GateActivityDisplay.from_estimator(regressor, series[0], **arguments)


# ---- where panels go ---------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_one_axes_is_the_bounds_of_all_panels(layout, regressor, series):
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 6), layout=layout)
    display = GateActivityDisplay.from_estimator(regressor, series[0], ax=left)
    assert display.figure_ is figure
    assert len(display.axes_) == 5
    assert_panels_are_apart(display)
    bars = [bar.ax for bar in display.colorbars_.values()]
    for panel in [*display.axes_, *bars]:
        assert panel.figure is figure
        assert panel.get_tightbbox().x1 <= right.get_tightbbox().x0 + 1
    assert not left.axison
    with pytest.raises(ValueError, match=r"give ax=display\.axes_"):
        display.plot(ax=left)
    assert len(display.plot(ax=display.axes_).axes_) == 5


def test_bounds_need_no_grid(regressor):
    ax = plt.figure().add_axes((0.2, 0.3, 0.5, 0.6))
    display = TrainingCurveDisplay.from_estimator(regressor, ax=ax)
    corners = np.concatenate([panel.get_position().get_points() for panel in display.axes_])
    np.testing.assert_allclose(corners.min(axis=0), (0.2, 0.3))
    np.testing.assert_allclose(corners.max(axis=0), (0.7, 0.9))


def test_an_array_has_an_axes_for_each_panel(regressor, series):
    _, axes = plt.subplots(5, 1)
    display = GateActivityDisplay.from_estimator(regressor, series[0], ax=axes)
    assert list(display.axes_) == list(axes)
    for wrong in (axes[:4], [*axes[:4], None], [[axes[0]]], "axes"):
        with pytest.raises(ValueError, match="one Axes or an array of 5, one for each panel"):
            GateActivityDisplay.from_estimator(regressor, series[0], ax=wrong)


# ---- GateRegimesDisplay ------------------------------------------------------------------------


def test_regimes_are_stacked_shares(bidirectional, series):
    X, _, _ = series
    thresholds = {"closed": 0.45, "open": 0.55}
    display = GateRegimesDisplay.from_estimator(bidirectional, X, **thresholds)
    layers = gate_regimes(bidirectional, X, **thresholds).layers
    assert [titles(ax)[0] for ax in display.axes_] == [
        "layer 0, forward",
        "layer 0, backward",
        "layer 1, forward",
        "layer 1, backward",
    ]
    for panel, areas, layer in zip(display.axes_, display.areas_, layers, strict=True):
        assert list(areas) == ["keep", "between", "plain", "cut"]
        lower = np.zeros(9)
        for name, area in areas.items():
            upper = lower + layer.over_time[name]
            for t in range(9):
                (path,) = area.get_paths()
                inside = [
                    path.contains_point((t, lower[t] + share * (upper[t] - lower[t])))
                    for share in (-0.5, 0.5, 1.5)
                ]
                assert inside == [False, upper[t] - lower[t] > 1e-12, False], (name, t)
            lower = upper
        np.testing.assert_allclose(lower, 1)
        assert panel.get_xlim() == (-0.5, 8.5)
        assert panel.get_ylim() == (0, 1)
        assert panel.get_ylabel() == "share of\nunits"
        # each is named once: where it is, or above the panel if it is too small
        legend = panel.get_legend()
        labels = [text.get_text() for text in [*panel.texts, *(legend.texts if legend else [])]]
        assert sorted(labels) == sorted(f"{name} {layer[name]:.1%}" for name in areas)
    assert display.axes_[-1].get_xlabel() == "time step"
    assert_panels_are_apart(display)


def test_regimes_are_told_apart_without_colour(regressor, series):
    (areas,) = GateRegimesDisplay.from_estimator(regressor, series[0]).areas_
    lightness = [luminance(area.get_facecolor()[0]) for area in areas.values()]
    assert (np.diff(lightness) > 0.15).all()
    assert len({area.get_hatch() for area in list(areas.values())[1:]}) == 3


def test_labels_of_regimes_lie_within_their_areas(series):
    X, y, _ = series
    model = GRURegressor(5, cell="rnn", max_grad_norm=None, **FEW_EPOCHS).fit(X, y)
    display = GateRegimesDisplay.from_estimator(model, X)
    (panel,) = display.axes_
    display.figure_.draw_without_rendering()
    (text,) = panel.texts
    assert text.get_text() == "plain 100.0%"
    box, bounds = text.get_window_extent(), panel.get_window_extent()
    assert bounds.x0 < box.x0 < box.x1 < bounds.x1
    assert [text.get_text() for text in panel.get_legend().texts] == [
        "keep 0.0%",
        "between 0.0%",
        "cut 0.0%",
    ]


def test_regimes_of_one_step(series):
    X, y, _ = series
    model = GRURegressor(5, **FEW_EPOCHS).fit(X, y)
    display = GateRegimesDisplay.from_estimator(model, X[:, :1])
    assert display.axes_[0].get_xlim() == (-0.5, 0.5)
    assert all(tick.is_integer() for tick in display.axes_[0].get_xticks())
    assert display.areas_[0]["between"].get_paths()[0].contains_point((0.25, 0.5))


# ---- GradientFlowDisplay -----------------------------------------------------------------------


def test_flow_over_the_lag(regressor, series):
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


def test_models_share_an_axes(regressor, tagger, series):
    X, y, labels = series
    first = GradientFlowDisplay.from_estimator(regressor, X, y, name="regressor")
    second = GradientFlowDisplay.from_estimator(tagger, X, labels, name="tagger", ax=first.ax_)
    assert second.ax_ is first.ax_
    assert second.level_lines_ == []  # they are there
    assert [text.get_text() for text in first.ax_.get_legend().texts] == ["regressor", "tagger"]
    lines = [first.lines_[0], second.lines_[0]]
    assert lines[0].get_color() != lines[1].get_color()
    assert lines[0].get_linestyle() != lines[1].get_linestyle()
    with pytest.raises(ValueError, match="need ax to be one Axes; got list"):
        first.plot(ax=[first.ax_])


def test_flow_over_lags_that_only_long_sequences_have(ragged):
    X, y = ragged
    model = make_pipeline(PerTimestep(StandardScaler()), GRUClassifier(5, **FEW_EPOCHS))
    search = GridSearchCV(model, {"gruclassifier__alpha": [0.0]}, cv=2).fit(X, y)
    display = GradientFlowDisplay.from_estimator(search, X, y)
    (layer,) = gradient_flow(search, X, y).layers
    np.testing.assert_allclose(display.lines_[0].get_ydata(), layer.mean / layer.mean[0])
    assert len(layer.mean) == max(map(len, X))


def test_a_gradient_of_zero_is_no_point_of_a_log_axis(tagger, series):
    X, _, y = series
    y = np.where(np.arange(9) == 4, y, np.nan)  # only one step has a loss
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


def test_an_axis_ends_where_single_precision_does(regressor, series):
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
    display.plot(ax=display.ax_)  # makes room for what is larger
    assert 1e24 < display.ax_.get_ylim()[1] < 1e25


def test_a_gradient_that_is_zero_everywhere(tagger, series):
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
        # what is left out is what no gradient reaches
        np.testing.assert_array_equal(layer.by_loss_step["h"] == 0, mask)
        assert image.norm is display.images_[0].norm
    assert [ax.get_xlabel() for ax in display.axes_[2:]] == [
        "time step k",
        "step k, read from the end",
    ]
    assert_panels_are_apart(display)
    with pytest.raises(ValueError, match="compute it with by_loss_step=True"):
        GradientFlowDisplay(gradient_flow(bidirectional, X, y)).plot(by_loss_step=True)


# ---- TrainingCurveDisplay ----------------------------------------------------------------------


def test_training_curves_of_a_classifier(ragged):
    X, y = ragged
    gru = GRUClassifier(5, early_stopping=True, validation_fraction=0.3, **FEW_EPOCHS)
    model = make_pipeline(PerTimestep(StandardScaler()), gru).fit(X, y)
    gru = model[-1]
    display = TrainingCurveDisplay.from_estimator(model)
    for name, curve in {
        "loss": gru.loss_curve_,
        "validation_scores": gru.validation_scores_,
        "grad_norm": gru.grad_norm_curve_,
    }.items():
        np.testing.assert_array_equal(display.lines_[name].get_xdata(), 1 + np.arange(gru.n_iter_))
        np.testing.assert_array_equal(display.lines_[name].get_ydata(), curve)
    assert list(display.lines_["max_grad_norm"].get_ydata()) == [1, 1]
    assert [ax.get_ylabel() for ax in display.axes_] == [
        "training\nloss",
        "validation\naccuracy",
        "gradient\nnorm",
    ]
    best = gru.best_validation_score_
    epoch = 1 + gru.validation_scores_.index(best)
    assert titles(display.axes_[1])[2] == f"best: {best:.3f} in epoch {epoch}"
    (mark,) = [line for line in display.axes_[1].lines if line.get_marker() == "o"]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (epoch, best)
    assert display.axes_[2].get_yscale() == "log"
    assert display.axes_[2].get_xlabel() == "epoch"
    assert [text.get_text() for text in display.axes_[2].texts] == ["clipped to 1"]
    assert_panels_are_apart(display)


def test_training_curves_of_a_search_in_a_pipeline(ragged):
    X, y = ragged
    search = GridSearchCV(GRUClassifier(5, **FEW_EPOCHS), {"alpha": [0.0, 0.1]}, cv=2)
    model = make_pipeline(PerTimestep(StandardScaler()), search).fit(X, y)
    display = TrainingCurveDisplay.from_estimator(model)
    assert display.loss is model[-1].best_estimator_.loss_curve_
    activity = GateActivityDisplay.from_estimator(model, X)
    np.testing.assert_allclose(activity.series, model[:-1].transform(X)[0])


@pytest.mark.parametrize("max_grad_norm", [None, np.inf])
def test_training_curves_without_clipping(max_grad_norm, series):
    X, y, _ = series
    model = GRURegressor(5, max_grad_norm=max_grad_norm, **FEW_EPOCHS).fit(X, y)
    display = TrainingCurveDisplay.from_estimator(model)
    assert list(display.lines_) == ["loss", "grad_norm"]
    assert len(display.axes_) == 2
    assert display.axes_[1].texts[:] == []


def test_training_curves_of_lbfgs(series):
    X, y, _ = series
    model = GRURegressor(2, solver="lbfgs", tol=1.0).fit(X, y)
    display = TrainingCurveDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.lines_["loss"].get_ydata(), model.loss_curve_)
    assert "max_grad_norm" not in display.lines_
    assert display.axes_[-1].get_xlabel() == "iteration"


@pytest.mark.parametrize(
    ("parameters", "name"),
    [({}, "R²"), ({"loss": "quantile", "quantiles": (0.2, 0.8)}, "D²")],
)
def test_the_validation_score_is_named(parameters, name, series):
    X, y, _ = series
    model = GRURegressor(5, early_stopping=True, **parameters, **FEW_EPOCHS).fit(X, y)
    display = TrainingCurveDisplay.from_estimator(model)
    assert display.axes_[1].get_ylabel() == f"validation\n{name}"


def test_training_curves_of_little():
    display = TrainingCurveDisplay(loss=[2.0, 1.0], grad_norm=[0.0, 1.0], validation_scores=[0.5])
    display.plot()
    assert list(display.lines_["validation_scores"].get_xdata()) == [2]
    assert display.axes_[-1].get_yscale() == "linear"  # as there is a 0
    TrainingCurveDisplay(loss=[], grad_norm=[], max_grad_norm=1.0).plot().figure_.canvas.draw()
