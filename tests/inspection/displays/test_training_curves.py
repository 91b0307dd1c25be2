"""TrainingCurveDisplay."""

import numpy as np
import pytest
from display_helpers import FEW_EPOCHS, assert_no_overlap, titles
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.inspection import (
    GateActivityDisplay,
    TrainingCurveDisplay,
)
from skgru.preprocessing import PerTimestep

pytest.importorskip("matplotlib").use("agg")


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
    assert_no_overlap(display)


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


def test_training_curves_of_short_and_empty_fits():
    display = TrainingCurveDisplay(loss=[2.0, 1.0], grad_norm=[0.0, 1.0], validation_scores=[0.5])
    display.plot()
    assert list(display.lines_["validation_scores"].get_xdata()) == [2]
    assert display.axes_[-1].get_yscale() == "linear"  # a curve with a 0 has no log scale
    TrainingCurveDisplay(loss=[], grad_norm=[], max_grad_norm=1.0).plot().figure_.canvas.draw()
