"""Estimators and arguments that can be inspected, and those that are rejected."""

import numpy as np
import pytest
from inspection_helpers import LENGTHS, X, fitted, targets
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRURegressor
from skgru.inspection import gate_activations, gate_regimes, gradient_flow, step_jacobian
from skgru.preprocessing import PerTimestep


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning")
def test_pipelines_and_searches_are_unwrapped():
    y = targets(GRURegressor())
    pipeline = make_pipeline(
        PerTimestep(StandardScaler()), GRURegressor(3, max_iter=3, random_state=0)
    )
    pipeline.fit(X, y)
    scaled = pipeline[:-1].transform(X)
    search = GridSearchCV(pipeline, {"gruregressor__hidden_layer_sizes": [2, 3]}, cv=2)
    search.fit(X, y)
    last = search.best_estimator_[-1]
    best = search.best_estimator_[:-1].transform(X)
    for whole, model, its_X in ((pipeline, pipeline[-1], scaled), (search, last, best)):
        for function in (gate_activations, step_jacobian):
            name = "hidden" if function is gate_activations else "spectral_norm"
            got, want = (f.layers[0][name] for f in (function(whole, X), function(model, its_X)))
            np.testing.assert_array_equal(np.concatenate(got), np.concatenate(want))
        assert gate_regimes(whole, X).layers[0].keep == gate_regimes(model, its_X).layers[0].keep
        assert gradient_flow(whole, X, y).loss == gradient_flow(model, its_X, y).loss


def test_inspection_is_in_double_precision():
    model = fitted(dtype="float32")
    assert gate_activations(model, X).layers[0].hidden[0].dtype == np.float64
    exact = fitted()
    exact._network.parameters[:] = model._network.parameters
    for a, b in zip(
        gate_activations(model, X).layers[0].hidden,
        gate_activations(exact, X).layers[0].hidden,
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("function", [gate_activations, gate_regimes, step_jacobian])
def test_invalid_estimators_and_sequences_are_rejected(function):
    with pytest.raises(TypeError, match=r"GRUClassifier or a GRURegressor.*LinearRegression\(\)"):
        function(LinearRegression(), X)
    with pytest.raises(TypeError, match="LinearRegression"):
        function(make_pipeline(LinearRegression()), X)
    with pytest.raises(NotFittedError, match="GRURegressor"):
        function(GRURegressor(), X)
    with pytest.raises(ValueError, match="3 channels, but GRURegressor was fitted on"):
        function(fitted(), np.ones((2, 4, 3)))
    with pytest.raises(ValueError, match="NaN"):
        function(fitted(), [np.full((3, 2), np.nan)])


def test_invalid_arguments_of_gradient_flow_are_rejected():
    model = fitted()
    with pytest.raises(ValueError, match="return_sequences=False"):
        gradient_flow(model, X, targets(model), by_loss_step=True)
    with pytest.raises(ValueError, match="inconsistent"):
        gradient_flow(model, X, [1.0, 2.0])
    with pytest.raises(ValueError, match="at least one non-zero|all samples are zero"):
        gradient_flow(model, X, targets(model), np.zeros(4))
    steps, y = fitted(return_sequences=True), [np.full(n, np.nan) for n in LENGTHS]
    y[0][:] = 1
    with pytest.raises(ValueError, match="weights of all samples are zero"):
        gradient_flow(steps, X, y, [0.0, 1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="chunk_size must be at least 1, got 0"):
        step_jacobian(model, X, chunk_size=0)
    with pytest.raises(NotFittedError):
        gradient_flow(GRURegressor(), X, targets(model))


def test_inspection_does_not_change_the_estimator():
    model = fitted(n_jobs=2)
    before = model._network.parameters.copy()
    names = set(vars(model))
    gradient_flow(model, X, targets(model), return_gradients=True)
    step_jacobian(model, X)
    gate_regimes(model, X)
    np.testing.assert_array_equal(model._network.parameters, before)
    assert set(vars(model)) == names
