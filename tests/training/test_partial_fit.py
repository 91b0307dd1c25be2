"""Continued training: warm_start and partial_fit."""

import numpy as np
import pytest
from helpers import small_classifier

from skgru import GRURegressor

ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@ignore_convergence
def test_warm_start_continues_training(ragged):
    X, y = ragged
    model = small_classifier(max_iter=5, warm_start=True).fit(X, y)
    losses = list(model.loss_curve_)
    model.fit(X, y)
    assert model.loss_curve_[:5] == losses
    assert model.n_iter_ == 10
    assert model.loss_curve_[5] < losses[0]
    cold = small_classifier(max_iter=5).fit(X, y)
    assert cold.fit(X, y).loss_curve_ == losses
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=4 differs from \(8,\)"):
        model.set_params(hidden_layer_sizes=4).fit(X, y)
    with pytest.raises(ValueError, match="labels that are not in classes"):
        model.set_params(hidden_layer_sizes=8).fit(X, np.where(y == "up", "left", "right"))


@ignore_convergence
def test_partial_fit_is_an_epoch_of_fit(ragged):
    X, y = ragged
    whole = small_classifier(max_iter=6, shuffle=True).fit(X, y)
    parts = small_classifier()
    for _ in range(6):
        parts.partial_fit(X, y, classes=["down", "up"])
    assert parts.loss_curve_ == whole.loss_curve_
    np.testing.assert_array_equal(parts.predict_proba(X), whole.predict_proba(X))


def test_partial_fit_over_chunks(ragged):
    X, y = ragged
    model = small_classifier()
    for _ in range(30):
        for start in range(0, 40, 10):
            model.partial_fit(X[start : start + 10], y[start : start + 10], classes=["up", "down"])
    assert model.score(X, y) > 0.9
    # a chunk may lack a class, but must not have a new one
    model.partial_fit(X[:1], y[:1])
    with pytest.raises(ValueError, match="labels that are not in classes"):
        model.partial_fit(X[:2], ["up", "left"])
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        small_classifier().partial_fit(X, y)
    with pytest.raises(ValueError, match="is not the same as on last call"):
        model.partial_fit(X, y, classes=["up", "down", "left"])


def test_partial_fit_of_a_regressor(windows):
    X, y = windows
    model = GRURegressor(8, random_state=0)
    for _ in range(60):
        model.partial_fit(X, y, sample_weight=np.ones(len(y)))
    assert model.score(X, y) > 0.9
    with pytest.raises(ValueError, match="y has 2 outputs, the fitted model has 1"):
        model.partial_fit(X, np.column_stack([y, y]))


def test_parameters_without_partial_fit(ragged):
    assert not hasattr(small_classifier(solver="lbfgs"), "partial_fit")
    with pytest.raises(ValueError, match="early_stopping"):
        small_classifier(early_stopping=True).partial_fit(*ragged, classes=["down", "up"])
    with pytest.raises(ValueError, match="cosine"):
        small_classifier(learning_rate="cosine").partial_fit(*ragged, classes=["down", "up"])
    with pytest.raises(ValueError, match="balanced"):
        small_classifier(class_weight="balanced").partial_fit(*ragged, classes=["down", "up"])
