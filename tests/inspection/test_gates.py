"""Activations of gates against the equations of the cells, and regimes of gates."""

import numpy as np
import pytest
import reference
from helpers import reference_states
from inspection_helpers import X, every_cell, fitted, layers_by_direction, saturated

from skgru.inspection import gate_activations, gate_regimes


@every_cell
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gates_satisfy_the_equations(cell, bidirectional):
    """Gates follow from the states that are returned, and the states from the gates."""
    model = fitted(cell, (3, 2), bidirectional=bidirectional)
    found = gate_activations(model, X).layers
    architecture, network_layers = model._network.architecture, model._fitted_views().layers
    x_of_layer = X
    for depth, order, (W, U, b, c) in layers_by_direction(model):
        i = depth * (1 + bidirectional) + (order == -1)
        layer = found[i]
        assert (layer.layer, layer.direction) == (depth, "forward" if order == 1 else "backward")
        if depth and order == 1:  # its input: all states of the first layer
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
            # the candidate's product with U
            past = before * gate.get("reset_gate", gate.get("forget_gate", 1))
            product = (past if cell in ("gru", "mgu") else before) @ U[-1]
            if cell == "gru_reset_after":
                product = product + c
                np.testing.assert_allclose(layer.product[s][::order], product, atol=1e-12)
                product = gate["reset_gate"] * product
            activation = reference.relu if cell.endswith("relu") else np.tanh
            np.testing.assert_allclose(candidate, activation(a[-1] + product), atol=1e-12)
            if "cell_state" in layer:
                cell_state = layer.cell_state[s][::order]
                f = gate["forget_gate"]
                new = gate.get("input_gate", 1 - f) * candidate
                kept = f * np.vstack([np.zeros(H), cell_state[:-1]])
                np.testing.assert_allclose(cell_state, kept + new, atol=1e-12)
                np.testing.assert_allclose(h, gate["output_gate"] * np.tanh(cell_state), atol=1e-12)
            elif cell != "rnn":
                z = gate["update_gate"] if "update_gate" in gate else 1 - gate["forget_gate"]
                np.testing.assert_allclose(h, z * before + (1 - z) * candidate, atol=1e-12)
        if order == -1 or not bidirectional:
            top = [reference_states(architecture, network_layers[: depth + 1], x)[0] for x in X]
            own = found[i - bidirectional : i + 1]
            for s, states in enumerate(top):
                got = np.hstack([layer.hidden[s] for layer in own])
                np.testing.assert_allclose(got, states, atol=1e-12)


def test_gates_have_the_form_of_x():
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


@pytest.mark.parametrize(
    ("z", "r", "regime"), [(1, 0, "keep"), (1, 1, "keep"), (0, 1, "plain"), (0, 0, "cut")]
)
def test_regimes_of_saturated_gates(z, r, regime):
    for layer in gate_regimes(saturated(z, r, bidirectional=True), X).layers:
        for name in ("keep", "plain", "cut", "between"):
            assert layer[name] == (name == regime)
            np.testing.assert_array_equal(layer.over_time[name], np.full(6, name == regime))


@pytest.mark.parametrize(("closed", "open"), [(0.1, 0.9), (0.4, 0.6)])
def test_regimes_are_fractions_of_units_and_steps(closed, open):
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
    last = gates.update_gate[2][5]  # the only sequence of six steps
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
def test_thresholds_in_the_wrong_order_are_rejected(closed, open):
    with pytest.raises(ValueError, match="0 <= closed < open <= 1"):
        gate_regimes(fitted(), X, closed=closed, open=open)
