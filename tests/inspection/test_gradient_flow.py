"""gradient_flow against central differences of the NumPy reference."""

from itertools import product

import numpy as np
import pytest
import reference
from helpers import VARIANTS, central_differences, reference_outputs, reference_states
from inspection_helpers import EPS, LENGTHS, X, every_cell, fitted, layers_by_direction, targets

from skgru import GRUClassifier
from skgru.inspection import gradient_flow
from skgru.model.workers import Workers
from skgru.training.objective import Objective


def half_squared_error(model, weights=None, moved=None, loss_step=None, samples=range(4)):
    """Return the loss of the model, and those of some sequences, by the NumPy reference.

    `moved(sequence, entry of layers_, step in the order of reading)` returns what is added to the
    new state and to U at that step.
    """
    architecture, parameters = model._network.architecture, model._fitted_views()
    cell = reference.CELLS[architecture.variant]
    weights = np.ones(len(X)) if weights is None else weights
    losses = []
    for s in samples:
        x, y = X[s], targets(model)[s]
        calls = product(range(len(model.layers_)), range(len(x)))

        def step(sums, past, U, c, *state, s=s, calls=calls):
            i, t = next(calls)
            d_state, d_U = moved(s, i, t) if moved else (0, 0)
            U = np.split(np.hstack(U) + d_U, len(U), axis=1)
            new, back = cell.step(sums, past, U, c, *state)
            new = np.split(np.concatenate(new) + d_state, len(new))
            return new, back

        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(reference.CELLS, architecture.variant, cell._replace(step=step))
            h, _ = reference_states(architecture, parameters.layers, x)
        errors = (reference_outputs(architecture, h, parameters)[:, 0] - y) ** 2 / 2
        if loss_step is not None:
            errors = errors[loss_step : loss_step + 1]
        losses.append(weights[s] * errors.sum())
    total = sum(weights * (LENGTHS if model.return_sequences else 1))
    return sum(losses) / total, np.array(losses)


def norm_by_differences(model, size, loss):
    """Return the norm of the gradient of loss, a function of `size` numbers, at zero."""
    ends = np.array([[loss(sign * EPS * e) for sign in (1, -1)] for e in np.eye(size)])
    return np.linalg.norm((ends[:, 0] - ends[:, 1]) / (2 * EPS))


SHAPES = [
    {},
    {"bidirectional": True},
    {"pooling": "mean", "bidirectional": True},
    {"pooling": "max"},
    {"pooling": "attention"},
    {"return_sequences": True},
    {"return_sequences": True, "bidirectional": True},
]


@pytest.mark.parametrize(
    ("cell", "shape"),
    [("gru", shape) for shape in SHAPES]
    + [(cell, shape) for cell in VARIANTS if cell != "gru" for shape in (SHAPES[1], SHAPES[5])],
)
def test_norms_of_states_match_central_differences(cell, shape):
    model = fitted(cell, (3, 2), **shape)
    weights = np.array([1.0, 2.0, 0.5, 3.0])
    flow = gradient_flow(model, X, targets(model), weights)
    value, _ = half_squared_error(model, weights)
    assert flow.loss == pytest.approx(value, rel=1e-12)
    S = reference.CELLS[cell].n_states
    for i, (layer, (_, order, (_, U, _, _))) in enumerate(
        zip(flow.layers, layers_by_direction(model), strict=True)
    ):
        for s, n in enumerate(LENGTHS):
            for t in {0, n - 1}:

                def loss(d, at=(s, i, t), s=s):
                    moved = lambda *call: (d if call == at else 0, 0)  # noqa: E731
                    return half_squared_error(model, weights, moved, samples=[s])[1][0]

                numeric = norm_by_differences(model, S * len(U), loss)
                entry = t if order == 1 else n - 1 - t
                assert layer.norms[s][entry] == pytest.approx(numeric, rel=1e-6, abs=1e-9)


@every_cell
@pytest.mark.parametrize("shape", SHAPES[4:6] + SHAPES[1:2])
def test_contributions_of_steps_sum_to_the_gradient(cell, shape):
    """The gradient of training, which is not computed step by step."""
    model = fitted(cell, (3, 2), alpha=0.0, **shape)
    y = targets(model)
    flow = gradient_flow(model, X, y, return_gradients=True)
    sequences = model._check_X(X, reset=False, dtype="float64")
    checked = model._check_targets(y, None, sequences)
    objective = Objective(
        network=model._network,
        loss=model._outputs.loss,
        sequences=sequences,
        targets=checked,
        samples=np.arange(4),
        alpha=model.alpha,
        workers=Workers(1),
    )
    value, gradient, _ = objective.minibatch(np.arange(4))
    assert flow.loss == pytest.approx(value, rel=1e-12)
    whole = [w for layer in model._network.views(gradient).layers for w in layer]
    for layer, want in zip(flow.layers, whole, strict=True):
        for name, steps in layer.gradients.items():
            of_all = getattr(want, name)
            assert np.abs(steps.sum(axis=0) - of_all).max() <= 1e-10 * np.abs(of_all).max()
            H, n_gates = len(want.U), layer.weights[name].shape[1]
            gates = steps.reshape(len(steps), -1, n_gates, H)
            np.testing.assert_allclose(
                layer.weights[name], np.sqrt((gates**2).sum(axis=(1, 3))), rtol=1e-12, atol=1e-300
            )
        assert ("c" in layer.weights) == (cell == "gru_reset_after")


@pytest.mark.parametrize(
    ("cell", "shape"),
    [("gru", shape) for shape in (SHAPES[1], SHAPES[5], SHAPES[6])]
    + [(cell, SHAPES[5]) for cell in VARIANTS if cell != "gru"],
)
def test_contribution_of_a_step_matches_central_differences(cell, shape):
    model = fitted(cell, (2, 1), **shape)
    flow = gradient_flow(model, X, targets(model), return_gradients=True)
    for i, (layer, (_, _, (_, U, _, _))) in enumerate(
        zip(flow.layers, layers_by_direction(model), strict=True)
    ):
        for t in (1, 4):
            d_U, running = np.zeros_like(U), [s for s, n in enumerate(LENGTHS) if n > t]

            def loss(d_U=d_U, at=(i, t), running=running):
                moved = lambda _, *call: (0, d_U if call == at else 0)  # noqa: E731
                return half_squared_error(model, moved=moved, samples=running)[0]

            numeric = central_differences(loss, d_U)
            assert np.abs(layer.gradients["U"][t] - numeric).max() <= 1e-6 * max(
                np.abs(numeric).max(), 1e-3
            )


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_norms_by_loss_step_match_central_differences(cell):
    model = fitted(cell, (3, 2), return_sequences=True)
    flow = gradient_flow(model, X, targets(model), by_loss_step=True)
    S = reference.CELLS[cell].n_states
    for i, layer in enumerate(flow.layers):
        split, U = layer.by_loss_step, model.layers_[i].U
        for name, norms in split.items():
            assert norms.shape[:2] == (6, 6)
            above = np.triu_indices(6, 1)
            assert not norms[above].any(), f"{name}: a loss cannot reach later steps"
        for t, k in [(0, 0), (3, 1), (5, 0), (5, 5)]:
            running = [s for s, n in enumerate(LENGTHS) if n > k]
            norms = []
            for s in running:

                def loss(d, s=s, t=t, at=(s, i, k)):
                    moved = lambda *call: (d if call == at else 0, 0)  # noqa: E731
                    return half_squared_error(model, None, moved, t, [s])[1][0]

                norms.append(norm_by_differences(model, S * len(U), loss))
            assert split["h"][t, k] == pytest.approx(np.mean(norms), rel=1e-6, abs=1e-9)

            def loss(d, t=t, k=k, i=i, shape=U.shape):
                moved = lambda s, j, m: (0, d.reshape(shape) if (j, m) == (i, k) else 0)  # noqa: E731
                return half_squared_error(model, None, moved, loss_step=t)[0]

            norm = norm_by_differences(model, U.size, loss)
            found = np.sqrt((split["U"][t, k] ** 2).sum())
            assert found == pytest.approx(norm, rel=1e-6, abs=1e-9)


def test_closed_gates_cut_gradients_of_one_loss_but_not_of_a_loss_per_step():
    """A channel closes both gates at step 4 of 8: nothing before it reaches later steps."""
    X = np.random.default_rng(2).normal(size=(5, 8, 2))
    X[:, :, 1] = 0
    X[:, 4, 1] = 1
    y = X[:, :, 0].cumsum(axis=1)
    of_U_z = {}
    for steps in (False, True):
        model = fitted("gru", 4, X=X, y=y if steps else y[:, -1], return_sequences=steps)
        (layer,) = model.layers_
        layer.W[1, :8], layer.W[1, 8:] = -1e3, 0
        flow = gradient_flow(model, X, y if steps else y[:, -1])
        of_U_z[steps] = flow.layers[0].weights["U"][:, 1]
        if not steps:
            assert not flow.layers[0].norms[:, :4].any()
            assert flow.layers[0].norms[:, 4:].all()
            assert flow.layers[0].vanished == 0.5
            np.testing.assert_array_equal(flow.layers[0].memory_lengths[1], 4)
    # (at the first step the input of U is 0)
    assert not of_U_z[False][:5].any()
    assert (of_U_z[False][5:] > 0).all()
    assert (of_U_z[True][1:4] > 1e-4).all()


def test_summaries_by_lag():
    model = fitted(bidirectional=True)
    y = targets(model)
    flow = gradient_flow(model, X, y, quantiles=[0.25, 0.5], fallen_to=[0.5, 1e-30])
    for layer in flow.layers:
        order = 1 if layer.direction == "forward" else -1
        read = [norms[::order] for norms in layer.norms]
        for lag in range(6):
            at_lag = [norms[-1 - lag] for norms in read if len(norms) > lag]
            assert layer["mean"][lag] == pytest.approx(np.mean(at_lag), rel=1e-12)
            np.testing.assert_allclose(
                layer["quantiles"][:, lag], np.quantile(at_lag, [0.25, 0.5]), rtol=1e-12
            )
        half = [lag for lag in range(6) if (layer["mean"][lag:] < layer["mean"][0] / 2).all()]
        assert layer.memory_lengths[0] == (half[0] if half else np.inf)
        assert layer.memory_lengths[1] == np.inf


@pytest.mark.parametrize(("scale", "vanished", "exploded"), [(0.1, 2, 0), (10, 0, 2), (1, 0, 0)])
def test_vanished_and_exploded_steps(scale, vanished, exploded):
    """h_t = scale · h_{t-1}: at two of five steps the factor is beyond 500."""
    X = np.ones((3, 5, 1))
    model = fitted("light_gru_relu", 2, X=X, y=np.ones(3))
    (layer,) = model.layers_
    layer.W[:], layer.U[:], layer.b[:] = 0, 0, 1.0
    layer.b[:2] = -1e3
    layer.U[:, 2:] = scale * np.eye(2)
    found = gradient_flow(model, X, np.ones(3), vanished_below=1 / 500, exploded_above=500).layers[
        0
    ]
    assert (found.vanished, found.exploded) == (vanished / 5, exploded / 5)
    np.testing.assert_allclose(found["mean"] / found["mean"][0], scale ** np.arange(5.0))


def test_a_gradient_that_overflows_has_exploded():
    """Not a number where infinities of both signs meet; what the other sequence has stays."""
    X, y = [np.zeros((6, 1)), np.zeros((3, 1)), np.zeros((4, 1))], np.array([1.0, 2, 0])
    model = fitted("rnn", 2, X=X, y=y)
    (layer,), head = model.layers_, model.head_
    layer.U[:], layer.b[:] = [[1e200, 1e200], [-1e200, 1e200]], 0
    head.W[:], head.b[:] = 1, 0  # of the third sequence, the error is 0
    with np.errstate(all="ignore"):
        (flow,) = gradient_flow(model, X, y, quantiles=[0.5]).layers
    assert np.isnan(flow.norms[0][:3]).all()
    np.testing.assert_allclose(flow["mean"][0], np.mean(y) * np.sqrt(2))
    assert not np.isfinite(flow["mean"][1:]).any()
    np.testing.assert_array_equal(flow.memory_lengths, np.inf)
    assert (flow.vanished, flow.exploded) == (4 / 13, 7 / 13)


def test_loss_of_a_classifier():
    y = np.array(["a", "b", "c", "a"])
    model = GRUClassifier(3, class_weight="balanced", dtype="float64", max_iter=1).fit(X, y)
    weights = np.array([1.0, 2.0, 0.5, 3.0]) * np.array([2 / 3, 4 / 3, 4 / 3, 2 / 3])
    losses = -np.log(model.predict_proba(X)[np.arange(4), [0, 1, 2, 0]])
    flow = gradient_flow(model, X, y, [1.0, 2.0, 0.5, 3.0])
    assert flow.loss == pytest.approx(np.average(losses, weights=weights), rel=1e-12)


def test_missing_labels_have_no_gradient():
    model = fitted(return_sequences=True)
    y = targets(model)
    y[2][3:] = np.nan
    norms = gradient_flow(model, X, y).layers[0].norms[2]
    assert not norms[3:].any()
    assert norms[:3].all()
