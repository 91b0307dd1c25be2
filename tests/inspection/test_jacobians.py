"""step_jacobian against central differences of the NumPy reference."""

import numpy as np
import pytest
import reference
from helpers import relative_error
from inspection_helpers import EPS, X, every_cell, fitted, layers_by_direction, saturated

from skgru.inspection import gate_activations, step_jacobian


def step_by_routes(cell, sums, U, c, pasts):
    """Return the new state, where each route from the previous state has its own copy of it.

    `pasts` has a hidden state for each gate and "carry", which is the cell state if there is one.
    """
    state = pasts["carry"]
    if cell in ("lstm", "cifg"):
        names = ["input", "forget", "output", "candidate"][cell == "cifg" :]
        a = dict(zip(names, sums, strict=True))
        U = dict(zip(names, U, strict=True))
        f, o = (reference.sigmoid(a[k] + pasts[k] @ U[k]) for k in ("forget", "output"))
        i = reference.sigmoid(a["input"] + pasts["input"] @ U["input"]) if cell == "lstm" else 1 - f
        cell_state = f * state + i * np.tanh(a["candidate"] + pasts["candidate"] @ U["candidate"])
        return np.r_[o * np.tanh(cell_state), cell_state]
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
def test_jacobian_and_its_parts_match_central_differences(cell, bidirectional):
    model = fitted(cell, bidirectional=bidirectional)
    S, n_gates = reference.CELLS[cell].n_states, reference.CELLS[cell].n_gates
    gates = gate_activations(model, X).layers
    found = step_jacobian(model, X, return_matrices=True).layers
    for (_, order, (W, U, b, c)), layer, activations in zip(
        layers_by_direction(model), found, gates, strict=True
    ):
        H, U = len(U), np.split(U, n_gates, axis=1)
        for s, x in enumerate(X):
            states = activations.hidden[s][::order]
            if S == 2:
                states = np.hstack([states, activations.cell_state[s][::order]])
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
                # the step of the reference
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
            # from each step to the last one in the order of reading
            to_end = np.eye(S * H)
            for t in reversed(range(len(x))):
                entry = t if order == 1 else len(x) - 1 - t
                to_end = layer.matrices[s][entry] @ to_end
                assert layer.log_norm_to_end[s][entry] == pytest.approx(
                    np.log(np.linalg.norm(to_end, 2)), abs=1e-10
                )


def test_jacobian_is_the_identity_where_z_is_one():
    layer = step_jacobian(saturated(1, 1), X, return_matrices=True).layers[0]
    for J, norms in zip(layer.matrices, layer.log_norm_to_end, strict=True):
        np.testing.assert_allclose(J, np.broadcast_to(np.eye(4), J.shape), atol=1e-6)
        np.testing.assert_allclose(norms, 0, atol=1e-6)


def test_jacobian_is_zero_where_z_and_r_are_zero():
    layer = step_jacobian(saturated(0, 0), X, return_matrices=True).layers[0]
    assert max(np.abs(J).max() for J in layer.matrices) < 1e-300
    assert max(norms.max() for norms in layer.log_norm_to_end) < -690


def test_jacobian_is_that_of_an_rnn_where_z_is_zero_and_r_one():
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
    """With U = scale · I and no gates, the product of T Jacobians has the norm scale ** T."""
    model = fitted("light_gru_relu", 2, X=np.ones((4, 1000, 1)), y=np.ones(4))
    (layer,) = model.layers_
    layer.W[:], layer.U[:], layer.b[:] = 0, 0, 1e-300
    layer.b[:2] = -1e3  # z = 0
    layer.U[:, 2:] = scale * np.eye(2)
    X = np.ones((1, 800, 1))
    found = step_jacobian(model, X).layers[0].log_norm_to_end[0]
    steps = np.arange(len(found), 0, -1)
    alive = slice(None) if sign < 0 else slice(0, 400)  # the state itself overflows in the end
    if sign > 0:
        found, steps = step_jacobian(model, X[:, :400]).layers[0].log_norm_to_end[0], steps[400:]
    np.testing.assert_allclose(found[alive], steps[alive] * np.log(scale), rtol=1e-12)


@pytest.mark.parametrize("chunk_size", [1, 3, 100])
def test_chunks_do_not_change_results(chunk_size):
    model = fitted("lstm", (3, 2), bidirectional=True)
    whole = step_jacobian(model, X).layers
    for layer, other in zip(
        step_jacobian(model, X, chunk_size=chunk_size).layers, whole, strict=True
    ):
        for name in ("spectral_norm", "spectral_radius", "log_norm_to_end"):
            for a, b in zip(layer[name], other[name], strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12)


def test_memory_use_is_that_of_a_chunk():
    tracemalloc = pytest.importorskip("tracemalloc")
    model = fitted(sizes=24, X=np.ones((4, 5, 2)))
    peaks = []
    for n in (8, 64):
        tracemalloc.start()
        step_jacobian(model, np.ones((n, 3, 2)), chunk_size=8)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # all at once would take eight times as much; 64 sequences take 0.3 MB besides
    assert peaks[1] < 1.5 * peaks[0]
