"""Inspection of models with categories and decay, against central differences of their passes."""

import numpy as np
import pytest
import reference
from helpers import VARIANTS, relative_error

from skgru import GRURegressor
from skgru.inspection import (
    GateActivityDisplay,
    channel_importance,
    gate_activations,
    gate_regimes,
    gradient_flow,
    input_attributions,
    step_jacobian,
)
from skgru.model.workers import Workers
from skgru.training.objective import Objective

EPS = 1e-5
LENGTHS = (4, 2, 6, 1)
rng = np.random.default_rng(0)
GAPS = [np.where(rng.random((n, 2)) < 0.4, np.nan, rng.normal(size=(n, 2))) for n in LENGTHS]
CODES = [rng.integers(3, size=(n, 1)) for n in LENGTHS]
NUMBERS = [np.nan_to_num(x) for x in GAPS]
Y = rng.normal(size=4)

FORMS = {
    "decay": (GAPS, {"missing": "decay"}),
    "categories": (
        [np.hstack(pair) for pair in zip(NUMBERS, CODES, strict=True)],
        {"categorical_channels": [2]},
    ),
    "tokens": (CODES, {"categorical_channels": [0]}),
    "embedding of tokens": (CODES, {"categorical_channels": [0], "embedding_dim": 2}),
    "all": (
        [np.hstack(pair) for pair in zip(GAPS, CODES, strict=True)],
        {"missing": "decay", "categorical_channels": [2], "embedding_dim": 2},
    ),
}
every_form = pytest.mark.parametrize("form", FORMS)
every_cell = pytest.mark.parametrize("cell", VARIANTS)


def fitted(form, cell="gru", sizes=(3, 2), **parameters):
    """Return an estimator in double precision, all parameters of which are random, and its X."""
    X, of_form = FORMS[form]
    parameters = {"dtype": "float64", "random_state": 0, "alpha": 0.0} | of_form | parameters
    model = GRURegressor(sizes, **VARIANTS[cell], **parameters).partial_fit(X, Y)
    weights = model._network.parameters
    weights[:] = np.random.default_rng(1).normal(size=weights.size) / 2
    return model, X


def first_layer(model, X):
    """Return x, codes and γ of each step of the first layer, forward in time, by sequence."""
    sequences, inputs = model._check_X(X, reset=False, dtype=float), model._fitted_views().inputs
    D, rows = model._network.architecture.n_channels, sequences.values
    x, gamma = rows, None
    if inputs.decays:
        w_x, b_x, W_h, b_h = inputs.decays[0]
        a, m, d, delta = np.split(rows[:, : 4 * D], 4, axis=1)
        x = np.hstack([a + np.exp(-np.maximum(0, w_x * delta + b_x)) * d, m])
        gamma = np.exp(-np.maximum(0, delta @ W_h + b_h))
    codes = sequences.codes
    if inputs.embedding.size:
        x, codes = np.hstack([x, inputs.embedding[codes[:, 0]]]), None
    starts = sequences.starts[1:]
    return [None if part is None else np.split(part, starts) for part in (x, codes, gamma)]


@every_form
@every_cell
def test_jacobians_match_central_differences_of_the_reference(cell, form):
    model, X = fitted(form, cell, 3, bidirectional=False)
    (W, U, b, c), S = model.layers_[0], reference.CELLS[cell].n_states
    weights = {"W": W, "U": U, "b": b, "c": c}
    tables, (x, codes, gamma) = model._fitted_views().inputs.tables, first_layer(model, X)
    (found,) = step_jacobian(model, X, return_matrices=True).layers
    (gates,) = gate_activations(model, X).layers
    for s, n in enumerate(LENGTHS):
        inputs = {}
        if codes is not None:
            inputs |= {"codes": codes[s], "E": tables[0]}
        if gamma is not None:
            inputs["decay"] = gamma[s]
        states = reference.forward(cell, x[s], np.zeros(S * 3), **weights, **inputs)
        np.testing.assert_allclose(gates.hidden[s], states[:, :3], rtol=1e-12, atol=1e-14)
        for t in range(n):
            before = states[t - 1] if t else np.zeros(S * 3)
            of_step = {k: v if k == "E" else v[t : t + 1] for k, v in inputs.items()}

            def after(state, t=t, s=s, of_step=of_step):
                return reference.forward(cell, x[s][t : t + 1], state, **weights, **of_step)[0]

            moves = EPS * np.eye(S * 3)
            numeric = [(after(before + d) - after(before - d)) / (2 * EPS) for d in moves]
            assert relative_error(found.matrices[s][t], np.array(numeric)) <= 1e-6
            parts = sum(part[s][t] for part in found.part_matrices.values())
            np.testing.assert_allclose(found.matrices[s][t], parts, rtol=1e-12, atol=1e-14)


@every_form
@pytest.mark.parametrize("shape", [{}, {"pooling": "attention"}, {"bidirectional": False}])
@every_cell
def test_contributions_of_steps_sum_to_the_gradient(cell, form, shape):
    model, X = fitted(form, cell, **shape)
    flow = gradient_flow(model, X, Y, return_gradients=True)
    sequences = model._check_X(X, reset=False, dtype="float64")
    objective = Objective(
        network=model._network,
        loss=model._outputs.loss,
        sequences=sequences,
        targets=model._check_targets(Y, None, sequences),
        samples=np.arange(4),
        alpha=0.0,
        workers=Workers(1),
    )
    value, gradient, _ = objective.minibatch(np.arange(4))
    assert flow.loss == pytest.approx(value, rel=1e-12)
    whole = [w for layer in model._network.views(gradient).layers for w in layer]
    for layer, want in zip(flow.layers, whole, strict=True):
        for name, steps in layer.gradients.items():
            of_all = getattr(want, name)
            assert np.abs(steps.sum(axis=0) - of_all).max() <= 1e-10 * np.abs(of_all).max()


@every_form
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_norms_follow_from_the_jacobians(cell, form):
    """∂L/∂s_{t-1} = J_t ∂L/∂s_t, where the loss is that of the last state alone."""
    model, X = fitted(form, cell, 3, bidirectional=False, pooling="last")
    (flow,) = gradient_flow(model, X, Y).layers
    (jacobians,) = step_jacobian(model, X, return_matrices=True).layers
    errors = model.predict(X) - Y
    for s, n in enumerate(LENGTHS):
        d = np.zeros(len(jacobians.matrices[s][0]))
        d[:3] = errors[s] * model.head_.W[:, 0]
        for t in reversed(range(n)):
            assert flow.norms[s][t] == pytest.approx(np.linalg.norm(d), rel=1e-10, abs=1e-14)
            d = jacobians.matrices[s][t] @ d


@every_form
def test_regimes_importances_and_displays_take_every_form(form):
    model, X = fitted(form)
    for layer in gate_regimes(model, X).layers:
        assert layer.keep + layer.plain + layer.cut + layer.between == pytest.approx(1)
    found = channel_importance(model, X, Y, n_repeats=2, random_state=0)
    assert np.isfinite(found.importances).all()
    pytest.importorskip("matplotlib").use("agg")
    display = GateActivityDisplay.from_estimator(model, X, sample=2)
    assert display.series.shape == X[2].shape
    np.testing.assert_array_equal(np.isnan(display.series), np.isnan(X[2].astype(float)))


@every_form
def test_attributions_are_refused(form):
    model, X = fitted(form)
    with pytest.raises(ValueError, match=r"do not change smoothly.*channel_importance"):
        input_attributions(model, X)
