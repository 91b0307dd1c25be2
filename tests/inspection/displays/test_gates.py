"""GateActivityDisplay and GateRegimesDisplay."""

import numpy as np
import pytest
from display_helpers import FEW_EPOCHS, assert_no_overlap, titles
from helpers import forward_classifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRURegressor
from skgru.inspection import (
    GateActivityDisplay,
    GateRegimesDisplay,
    gate_activations,
    gate_regimes,
)
from skgru.preprocessing import PerTimestep

pytest.importorskip("matplotlib").use("agg")

from matplotlib.colors import to_rgb  # noqa: E402


def luminance(color):
    return np.dot(to_rgb(color), (0.2126, 0.7152, 0.0722))


# ---- GateActivityDisplay -------------------------------------------------------------------------


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
    assert_no_overlap(display)


def test_activity_is_readable_in_greyscale(regressor, series):
    display = GateActivityDisplay.from_estimator(regressor, series[0])
    for image in display.images_.values():
        lightness = [luminance(image.get_cmap()(x)) for x in np.linspace(0, 1, 50)]
        assert (np.diff(lightness) > 0).all()


def test_activity_of_a_pipeline_over_a_ragged_list(ragged):
    X, y = ragged
    model = make_pipeline(PerTimestep(StandardScaler()), forward_classifier(5, **FEW_EPOCHS)).fit(
        X, y
    )
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


def test_activity_of_a_bidirectional_layer(bidirectional, series):
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
            "input_gate forget_gate output_gate candidate hidden cell_state",
            "gate state cell_state",
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
        assert low in (0, -high)  # 0 is in the middle if values have a sign


def test_gates_are_ordered_by_kind(series):
    X, y, _ = series
    model = GRURegressor(4, reset_after=True, **FEW_EPOCHS).fit(X, y)
    gates = ["product", "hidden", "update_gate"]
    display = GateActivityDisplay.from_estimator(model, X, gates=gates, gate_cmap="magma")
    assert list(display.images_) == ["update_gate", "hidden", "product"]
    assert display.images_["update_gate"].get_cmap().name == "magma"
    assert list(display.plot(gates="hidden").images_) == ["hidden"]
    assert len(display.axes_) == 2


def test_many_channels_are_drawn_as_a_heat_map():
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
def test_labels_of_channels_do_not_overlap(ends):
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
        ({"sort_by": "cell_state"}, "sort_by must be 'auto', None or one of reset_gate"),
    ],
)
def test_unknown_samples_layers_and_gates_are_rejected(arguments, message, regressor, series):
    with pytest.raises(ValueError, match=message):
        GateActivityDisplay.from_estimator(regressor, series[0], **arguments)


# ---- GateRegimesDisplay --------------------------------------------------------------------------


def test_regimes_are_stacked_fractions(bidirectional, series):
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
        # each has one label: in its area, or in the legend if the area is too small
        legend = panel.get_legend()
        labels = [text.get_text() for text in [*panel.texts, *(legend.texts if legend else [])]]
        assert sorted(labels) == sorted(f"{name} {layer[name]:.1%}" for name in areas)
    assert display.axes_[-1].get_xlabel() == "time step"
    assert_no_overlap(display)


def test_regimes_are_distinguishable_without_colour(regressor, series):
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
