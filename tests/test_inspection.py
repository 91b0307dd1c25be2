"""Inspection against formulas and central differences of the NumPy reference."""

from itertools import product

import numpy as np
import pytest
import reference
from reference import relative_error
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_network import VARIANTS, reference_outputs, reference_states

from skgru import GRUClassifier, GRURegressor
from skgru.inspection import gate_activations, gate_regimes, gradient_flow, step_jacobian
from skgru.preprocessing import PerTimestep
from skgru.workers import Workers

every_cell = pytest.mark.parametrize("cell", VARIANTS)
LENGTHS = (4, 2, 6, 1)
EPS = 1e-5

rng = np.random.default_rng(0)
X = [rng.normal(size=(n, 2)) for n in LENGTHS]


def fitted(cell="gru", sizes=3, *, estimator=GRURegressor, X=X, y=None, **parameters):
    """An estimator in double precision whose every parameter is some number."""
    parameters = {"dtype": "float64", "random_state": 0} | VARIANTS[cell] | parameters
    model = estimator(sizes, **parameters)
    model.partial_fit(X, targets(model) if y is None else y)
    parameters = model._network.parameters
    parameters[:] = np.random.default_rng(1).normal(size=parameters.size) / 2
    return model


def targets(model):
    """A number for each sequence, or for each step."""
    if model.return_sequences:
        return [np.cos(3 * x[:, 0]) for x in X]
    return np.array([x.sum() for x in X])


def readings(model):
    """Layer, direction (1 or -1) and weights of each entry of `layers_`."""
    directions = (1, -1)[: 1 + model.bidirectional]
    depths = np.arange(len(model.layers_)) // len(directions)
    orders = directions * (len(model.layers_) // len(directions))
    return list(zip(depths, orders, model.layers_, strict=True))


# ---- gates -------------------------------------------------------------------------------------


@every_cell
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gates_are_those_of_the_equations(cell, bidirectional):
    """From the states that are returned, and these from the gates."""
    model = fitted(cell, (3, 2), bidirectional=bidirectional)
    found = gate_activations(model, X).layers
    architecture, network_layers = model._network.architecture, model._fitted_views().layers
    x_of_layer = X
    for depth, order, (W, U, b, c) in readings(model):
        i = depth * (1 + bidirectional) + (order == -1)
        layer = found[i]
        assert (layer.layer, layer.direction) == (depth, "forward" if order == 1 else "backward")
        if depth and order == 1:  # below it, all states of the first layer
            x_of_layer = [
                np.hstack([found[k].hidden[s] for k in range(1 + bidirectional)])
                for s in range(len(X))
            ]
        H, n_gates = len(U), reference.CELLS[cell].n_gates
        U = np.split(U, n_gates, axis=1)
        for s, x in enumerate(x_of_layer):
            h = layer.hidden[s][::order]
            before = np.vstack([np.zeros(H), h[:-1]])
            a = np.split(x[::order] @ W + b, n_gates, axis=1)
            gate = {name: layer[name][s][::order] for name in layer if name[-4:] == "gate"}
            candidate = layer.candidate[s][::order]
            sums = {name: a_k + before @ U_k for name, a_k, U_k in zip(gate, a, U, strict=False)}
            for name, values in gate.items():
                np.testing.assert_allclose(values, reference.sigmoid(sums[name]), atol=1e-12)
            # what the candidate's product takes
            past = before * gate.get("reset_gate", gate.get("forget_gate", 1))
            taken = (past if cell in ("gru", "mgu") else before) @ U[-1]
            if cell == "gru_reset_after":
                taken = taken + c
                np.testing.assert_allclose(layer.product[s][::order], taken, atol=1e-12)
                taken = gate["reset_gate"] * taken
            activation = reference.relu if cell.endswith("relu") else np.tanh
            np.testing.assert_allclose(candidate, activation(a[-1] + taken), atol=1e-12)
            if "memory" in layer:
                memory = layer.memory[s][::order]
                f = gate["forget_gate"]
                new = gate.get("input_gate", 1 - f) * candidate
                kept = f * np.vstack([np.zeros(H), memory[:-1]])
                np.testing.assert_allclose(memory, kept + new, atol=1e-12)
                np.testing.assert_allclose(h, gate["output_gate"] * np.tanh(memory), atol=1e-12)
            elif cell != "rnn":
                z = gate["update_gate"] if "update_gate" in gate else 1 - gate["forget_gate"]
                np.testing.assert_allclose(h, z * before + (1 - z) * candidate, atol=1e-12)
        if order == -1 or not bidirectional:
            top = [reference_states(architecture, network_layers[: depth + 1], x)[0] for x in X]
            own = found[i - bidirectional : i + 1]
            for s, states in enumerate(top):
                got = np.hstack([layer.hidden[s] for layer in own])
                np.testing.assert_allclose(got, states, atol=1e-12)


def test_gates_come_in_the_form_of_x():
    model = fitted(X=np.ones((4, 5, 2)))
    padded = np.full((4, 6, 2), np.nan)
    for row, x in zip(padded, X, strict=True):
        row[: len(x)] = x
    as_list, as_array = gate_activations(model, X), gate_activations(model, padded)
    for s, z in enumerate(as_list.layers[0].update_gate):
        np.testing.assert_array_equal(as_array.layers[0].update_gate[s, : len(z)], z)
        assert np.isnan(as_array.layers[0].update_gate[s, len(z) :]).all()
    table = fitted(X=np.ones((4, 6)), n_channels=2)
    assert gate_activations(table, np.ones((4, 6))).layers[0].hidden.shape == (4, 3, 3)


def saturated(z, r, **parameters):
    """A GRU whose gates are all at the ends given, by their biases."""
    model = fitted("gru", 4, **parameters)
    for layer in model.layers_:
        H = len(layer.U)
        layer.b[:H] = 1e3 * (2 * r - 1)
        layer.b[H : 2 * H] = 1e3 * (2 * z - 1)
    return model


@pytest.mark.parametrize(
    ("z", "r", "regime"), [(1, 0, "keep"), (1, 1, "keep"), (0, 1, "plain"), (0, 0, "cut")]
)
def test_regimes_of_saturated_gates(z, r, regime):
    for layer in gate_regimes(saturated(z, r, bidirectional=True), X).layers:
        for name in ("keep", "plain", "cut", "between"):
            assert layer[name] == (name == regime)
            np.testing.assert_array_equal(layer.over_time[name], np.full(6, name == regime))


@pytest.mark.parametrize(("closed", "open"), [(0.1, 0.9), (0.4, 0.6)])
def test_regimes_are_counts_of_unit_steps(closed, open):
    model = fitted()
    gates, regimes = (
        gate_activations(model, X).layers[0],
        gate_regimes(model, X, closed=closed, open=open).layers[0],
    )
    z, r = np.vstack(gates.update_gate), np.vstack(gates.reset_gate)
    keep, plain = (z >= open).mean(), ((z <= closed) & (r >= open)).mean()
    cut = ((z <= closed) & (r <= closed)).mean()
    shares = [regimes.keep, regimes.plain, regimes.cut, regimes.between]
    np.testing.assert_allclose(shares, [keep, plain, cut, 1 - keep - plain - cut], atol=1e-15)
    at_first = np.array([z_s[0] for z_s in gates.update_gate])
    assert regimes.over_time["keep"][0] == pytest.approx((at_first >= open).mean())
    last = gates.update_gate[2][5]  # of the only sequence of six steps
    assert regimes.over_time["keep"][5] == pytest.approx((last >= open).mean())
    assert all(len(share) == 6 for share in regimes.over_time.values())


@every_cell
def test_regimes_of_other_cells(cell):
    layer = gate_regimes(fitted(cell), X).layers[0]
    assert layer.keep + layer.plain + layer.cut + layer.between == pytest.approx(1)
    if cell == "rnn":
        assert layer.plain == 1
    if cell in ("mgu", "cifg", "rnn") or cell.startswith("light"):
        assert layer.cut == 0


@pytest.mark.parametrize(("closed", "open"), [(0.9, 0.1), (0.5, 0.5), (-0.1, 0.5), (0.5, 1.1)])
def test_thresholds_in_the_wrong_order(closed, open):
    with pytest.raises(ValueError, match="0 <= closed < open <= 1"):
        gate_regimes(fitted(), X, closed=closed, open=open)


# ---- Jacobians ---------------------------------------------------------------------------------


def step_by_routes(cell, sums, U, c, pasts):
    """The new state where each route by which the past gets there has a past of its own.

    `pasts` has "carry", which is the memory in cells that have one, and a state for each gate.
    """
    state = pasts["carry"]
    if cell in ("lstm", "cifg"):
        names = ["input", "forget", "output", "candidate"][cell == "cifg" :]
        a = dict(zip(names, sums, strict=True))
        U = dict(zip(names, U, strict=True))
        f, o = (reference.sigmoid(a[k] + pasts[k] @ U[k]) for k in ("forget", "output"))
        i = reference.sigmoid(a["input"] + pasts["input"] @ U["input"]) if cell == "lstm" else 1 - f
        memory = f * state + i * np.tanh(a["candidate"] + pasts["candidate"] @ U["candidate"])
        return np.r_[o * np.tanh(memory), memory]
    if cell == "rnn":
        return np.tanh(sums[0] + pasts["candidate"] @ U[0])
    if cell.startswith("light_gru"):
        z = reference.sigmoid(sums[0] + pasts["update"] @ U[0])
        activation = reference.relu if cell.endswith("relu") else np.tanh
        return z * state + (1 - z) * activation(sums[1] + pasts["candidate"] @ U[1])
    if cell == "mgu":
        f = reference.sigmoid(sums[0] + pasts["update"] @ U[0])
        r = reference.sigmoid(sums[0] + pasts["reset"] @ U[0])
        return (1 - f) * state + f * np.tanh(sums[1] + (r * pasts["candidate"]) @ U[1])
    z = reference.sigmoid(sums[1] + pasts["update"] @ U[1])
    r = reference.sigmoid(sums[0] + pasts["reset"] @ U[0])
    if cell == "gru":
        candidate = np.tanh(sums[2] + (r * pasts["candidate"]) @ U[2])
    else:
        candidate = np.tanh(sums[2] + r * (pasts["candidate"] @ U[2] + c))
    return z * state + (1 - z) * candidate


@every_cell
@pytest.mark.parametrize("bidirectional", [False, True])
def test_jacobian_and_its_parts_are_central_differences(cell, bidirectional):
    model = fitted(cell, bidirectional=bidirectional)
    S, n_gates = reference.CELLS[cell].n_states, reference.CELLS[cell].n_gates
    gates = gate_activations(model, X).layers
    found = step_jacobian(model, X, return_matrices=True).layers
    for (_, order, (W, U, b, c)), layer, activations in zip(
        readings(model), found, gates, strict=True
    ):
        H, U = len(U), np.split(U, n_gates, axis=1)
        for s, x in enumerate(X):
            states = activations.hidden[s][::order]
            if S == 2:
                states = np.hstack([states, activations.memory[s][::order]])
            for t, x_t in enumerate(x[::order]):
                before = states[t - 1] if t else np.zeros(S * H)
                sums = np.split(x_t @ W + b, n_gates)
                entry = t if order == 1 else len(x) - 1 - t
                total = 0
                for route, matrices in layer.part_matrices.items():
                    numeric = np.empty((S * H, S * H))
                    for i in range(S * H):
                        ends = []
                        for sign in (1, -1):
                            moved = before.copy()
                            moved[i] += sign * EPS
                            pasts = dict.fromkeys(layer.part_matrices, before[:H])
                            pasts["carry"] = before[-H:]
                            pasts[route] = moved[-H:] if route == "carry" else moved[:H]
                            ends.append(step_by_routes(cell, sums, U, c, pasts))
                        numeric[i] = (ends[0] - ends[1]) / (2 * EPS)
                    part = matrices[s][entry]
                    assert np.abs(part - numeric).max() <= 1e-6 * max(np.abs(numeric).max(), 1e-3)
                    assert layer.parts[route][s][entry] == pytest.approx(np.linalg.norm(part, 2))
                    total = total + part
                J = layer.matrices[s][entry]
                np.testing.assert_allclose(J, total, atol=1e-15)
                # the reference's own way through the cell
                numeric = np.empty((S * H, S * H))
                for i in range(S * H):
                    ends = [
                        np.concatenate(
                            reference.CELLS[cell].step(sums, moved[:H], U, c, *np.split(moved, S))[
                                0
                            ]
                        )
                        for moved in (
                            before + EPS * np.eye(S * H)[i],
                            before - EPS * np.eye(S * H)[i],
                        )
                    ]
                    numeric[i] = (ends[0] - ends[1]) / (2 * EPS)
                assert relative_error(J, numeric) <= 1e-6
                assert layer.spectral_norm[s][entry] == pytest.approx(
                    np.sqrt(np.linalg.eigvalsh(J @ J.T).max())
                )
                radius = np.abs(np.linalg.eigvals(J)).max()
                assert layer.spectral_radius[s][entry] == pytest.approx(radius)
            # from each step to the last that is read
            to_end = np.eye(S * H)
            for t in reversed(range(len(x))):
                entry = t if order == 1 else len(x) - 1 - t
                to_end = layer.matrices[s][entry] @ to_end
                assert layer.log_norm_to_end[s][entry] == pytest.approx(
                    np.log(np.linalg.norm(to_end, 2)), abs=1e-10
                )


def test_the_past_passes_where_z_is_one():
    layer = step_jacobian(saturated(1, 1), X, return_matrices=True).layers[0]
    for J, norms in zip(layer.matrices, layer.log_norm_to_end, strict=True):
        np.testing.assert_allclose(J, np.broadcast_to(np.eye(4), J.shape), atol=1e-6)
        np.testing.assert_allclose(norms, 0, atol=1e-6)


def test_memory_and_gradient_are_cut_where_z_and_r_are_zero():
    layer = step_jacobian(saturated(0, 0), X, return_matrices=True).layers[0]
    assert max(np.abs(J).max() for J in layer.matrices) < 1e-300
    assert max(norms.max() for norms in layer.log_norm_to_end) < -690


def test_a_plain_network_where_z_is_zero_and_r_one():
    gru = saturated(0, 1)
    plain = fitted("rnn", 4)
    (W, U, b, _), (own,) = gru.layers_[0], plain.layers_
    for weights, of_gru in zip(own, (W, U, b), strict=False):
        weights[...] = of_gru[..., 8:]
    jacobians = [step_jacobian(model, X, return_matrices=True).layers[0] for model in (gru, plain)]
    for J, J_plain in zip(*(layer.matrices for layer in jacobians), strict=True):
        np.testing.assert_allclose(J, J_plain, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(("scale", "sign"), [(4.0, 1), (0.05, -1)])
def test_long_products_neither_overflow_nor_underflow(scale, sign):
    """U = scale · I without gates: the product of T Jacobians has the norm scale ** T."""
    model = fitted("light_gru_relu", 2, X=np.ones((4, 1000, 1)), y=np.ones(4))
    (layer,) = model.layers_
    layer.W[:], layer.U[:], layer.b[:] = 0, 0, 1e-300
    layer.b[:2] = -1e3  # z = 0
    layer.U[:, 2:] = scale * np.eye(2)
    X = np.ones((1, 800, 1))
    found = step_jacobian(model, X).layers[0].log_norm_to_end[0]
    steps = np.arange(len(found), 0, -1)
    alive = slice(None) if sign < 0 else slice(0, 400)  # the state itself overflows at last
    if sign > 0:
        found, steps = step_jacobian(model, X[:, :400]).layers[0].log_norm_to_end[0], steps[400:]
    np.testing.assert_allclose(found[alive], steps[alive] * np.log(scale), rtol=1e-12)


@pytest.mark.parametrize("chunk_size", [1, 3, 100])
def test_chunks_change_nothing(chunk_size):
    model = fitted("lstm", (3, 2), bidirectional=True)
    whole = step_jacobian(model, X).layers
    for layer, other in zip(
        step_jacobian(model, X, chunk_size=chunk_size).layers, whole, strict=True
    ):
        for name in ("spectral_norm", "spectral_radius", "log_norm_to_end"):
            for a, b in zip(layer[name], other[name], strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12)


def test_memory_of_jacobians_is_that_of_a_chunk():
    tracemalloc = pytest.importorskip("tracemalloc")
    model = fitted(sizes=24, X=np.ones((4, 5, 2)))
    peaks = []
    for n in (8, 64):
        tracemalloc.start()
        step_jacobian(model, np.ones((n, 3, 2)), chunk_size=8)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # all of them would take eight times as much; 64 sequences have 0.3 MB of other things
    assert peaks[1] < 1.5 * peaks[0]


# ---- the flow of the gradient ------------------------------------------------------------------


def half_squared_error(model, weights=None, moved=None, loss_step=None, samples=range(4)):
    """The loss of the model, and those of some sequences, by the NumPy reference.

    `moved` is called with the number of the sequence, layer, direction and step that is read, and
    gives what is added to the new state and to the weights U of that step.
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
    """‖∂loss/∂(what is moved)‖, where loss takes a direction of so many numbers."""
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
def test_norms_by_states_are_central_differences(cell, shape):
    model = fitted(cell, (3, 2), **shape)
    weights = np.array([1.0, 2.0, 0.5, 3.0])
    flow = gradient_flow(model, X, targets(model), weights)
    value, _ = half_squared_error(model, weights)
    assert flow.loss == pytest.approx(value, rel=1e-12)
    S = reference.CELLS[cell].n_states
    for i, (layer, (_, order, (_, U, _, _))) in enumerate(
        zip(flow.layers, readings(model), strict=True)
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
def test_what_steps_add_is_the_whole_gradient(cell, shape):
    """As the training has it, which does not go step by step."""
    model = fitted(cell, (3, 2), alpha=0.0, **shape)
    y = targets(model)
    flow = gradient_flow(model, X, y, return_gradients=True)
    sequences = model._check_X(X, reset=False, dtype="float64")
    checked = model._check_targets(y, None, sequences, reset=False)
    objective = model._objective(model._network, sequences, checked, np.arange(4), Workers(1))
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
def test_what_a_step_adds_is_central_differences_of_its_weights(cell, shape):
    model = fitted(cell, (2, 1), **shape)
    flow = gradient_flow(model, X, targets(model), return_gradients=True)
    for i, (layer, (_, _, (_, U, _, _))) in enumerate(
        zip(flow.layers, readings(model), strict=True)
    ):
        for t in (1, 4):
            d_U, running = np.zeros_like(U), [s for s, n in enumerate(LENGTHS) if n > t]

            def loss(d_U=d_U, at=(i, t), running=running):
                moved = lambda _, *call: (0, d_U if call == at else 0)  # noqa: E731
                return half_squared_error(model, moved=moved, samples=running)[0]

            numeric = reference.central_differences(loss, d_U)
            assert np.abs(layer.gradients["U"][t] - numeric).max() <= 1e-6 * max(
                np.abs(numeric).max(), 1e-3
            )


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_losses_of_steps_told_apart(cell):
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


def test_a_cut_is_final_with_one_loss_but_not_with_one_a_step():
    """A channel shuts both gates at step 4 of 8: nothing of before gets past it."""
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
    # (the first step has no past for U to take)
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
    """h_t = scale · h_{t-1}: of five steps, two are a factor of more than 500 away."""
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


def test_loss_of_a_classifier():
    y = np.array(["a", "b", "c", "a"])
    model = GRUClassifier(3, class_weight="balanced", dtype="float64", max_iter=1, tol=1e9)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    weights = np.array([1.0, 2.0, 0.5, 3.0]) * np.array([2 / 3, 4 / 3, 4 / 3, 2 / 3])
    losses = -np.log(model.predict_proba(X)[np.arange(4), [0, 1, 2, 0]])
    flow = gradient_flow(model, X, y, [1.0, 2.0, 0.5, 3.0])
    assert flow.loss == pytest.approx(np.average(losses, weights=weights), rel=1e-12)


def test_missing_labels_send_nothing_back():
    model = fitted(return_sequences=True)
    y = targets(model)
    y[2][3:] = np.nan
    norms = gradient_flow(model, X, y).layers[0].norms[2]
    assert not norms[3:].any()
    assert norms[:3].all()


# ---- estimators --------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning")
def test_pipelines_and_searches_are_inspected_at_their_last_step():
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


def test_in_double_precision_whatever_the_model():
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
def test_what_cannot_be_inspected(function):
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


def test_what_has_no_flow():
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


def test_inspection_leaves_the_estimator_alone():
    model = fitted(n_jobs=2)
    before = model._network.parameters.copy()
    names = set(vars(model))
    gradient_flow(model, X, targets(model), return_gradients=True)
    step_jacobian(model, X)
    gate_regimes(model, X)
    np.testing.assert_array_equal(model._network.parameters, before)
    assert set(vars(model)) == names
