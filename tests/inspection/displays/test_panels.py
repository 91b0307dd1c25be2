"""What all displays share: imports, invalid estimators, and the layout of panels."""

import numpy as np
import pytest
from display_helpers import assert_no_overlap
from helpers import run_python
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

from skgru import GRURegressor
from skgru.inspection import (
    GateActivityDisplay,
    GateRegimesDisplay,
    GradientFlowDisplay,
    TrainingCurveDisplay,
)

pytest.importorskip("matplotlib").use("agg")

import matplotlib.pyplot as plt  # noqa: E402


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
def test_invalid_estimators_are_rejected(draw, series):
    with pytest.raises(TypeError, match=r"inspected.*StandardScaler\(\)"):
        draw(StandardScaler(), series[0])
    with pytest.raises(NotFittedError):
        draw(GRURegressor(), series[0])


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_one_axes_is_divided_into_panels(layout, regressor, series):
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 6), layout=layout)
    display = GateActivityDisplay.from_estimator(regressor, series[0], ax=left)
    assert display.figure_ is figure
    assert len(display.axes_) == 5
    assert_no_overlap(display)
    bars = [bar.ax for bar in display.colorbars_.values()]
    for panel in [*display.axes_, *bars]:
        assert panel.figure is figure
        assert panel.get_tightbbox().x1 <= right.get_tightbbox().x0 + 1
    assert not left.axison
    with pytest.raises(ValueError, match=r"give ax=display\.axes_"):
        display.plot(ax=left)
    assert len(display.plot(ax=display.axes_).axes_) == 5


def test_an_axes_without_a_grid_is_divided_too(regressor):
    ax = plt.figure().add_axes((0.2, 0.3, 0.5, 0.6))
    display = TrainingCurveDisplay.from_estimator(regressor, ax=ax)
    corners = np.concatenate([panel.get_position().get_points() for panel in display.axes_])
    np.testing.assert_allclose(corners.min(axis=0), (0.2, 0.3))
    np.testing.assert_allclose(corners.max(axis=0), (0.7, 0.9))


def test_an_array_of_axes_has_one_for_each_panel(regressor, series):
    _, axes = plt.subplots(5, 1)
    display = GateActivityDisplay.from_estimator(regressor, series[0], ax=axes)
    assert list(display.axes_) == list(axes)
    for wrong in (axes[:4], [*axes[:4], None], [[axes[0]]], "axes"):
        with pytest.raises(ValueError, match="one Axes or an array of 5, one for each panel"):
            GateActivityDisplay.from_estimator(regressor, series[0], ax=wrong)
