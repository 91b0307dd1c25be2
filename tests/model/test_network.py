"""The whole network: outputs against the NumPy reference, gradients, initial parameters."""

from itertools import chain, product

import numpy as np
import pytest
import reference
from helpers import (
    VARIANTS,
    one_by_one,
    reference_outputs,
    reference_pool,
    reference_states,
    reference_weights,
)
from network_helpers import (
    ALONE,
    LOSSES,
    SIZES,
    TOPS,
    assert_close,
    assert_gradient,
    assert_smooth,
    cells_with,
    every_cell,
    loss_of,
    network,
    one_or_both_directions,
    problem,
    run,
)

from skgru.model.architecture import Architecture
from skgru.model.inference import attention_weights, pool, predict
from skgru.model.network import Network
from skgru.model.propagation import Dropout
from skgru.sequences import check_sequences

# ---- gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "sizes", "top", "bidirectional"),
    cells_with(
        list(product(SIZES, TOPS, [False, True])),
        [((4,), "last", False), *product([(2, 3)], ["last", "attention", "steps"], [False, True])],
    ),
)
def test_gradient_of_every_parameter(cell, sizes, top, bidirectional):
    net = network(sizes, top, bidirectional=bidirectional, cell=cell)
    data = problem(net)
    assert_smooth(net, data)
    assert_gradient(net, run(net, **data)[2], loss_of(net, data))


@pytest.mark.parametrize("top", ["last", "steps"])
@pytest.mark.parametrize("name", LOSSES)
def test_gradient_of_every_loss(name, top):
    net = network((3,), top, n_outputs=LOSSES[name][1])
    data = problem(net, loss=name)
    assert_gradient(net, run(net, **data)[2], loss_of(net, data))


@pytest.mark.parametrize(
    ("cell", "sizes", "top", "bidirectional", "rates"),
    cells_with(
        [
            (*net, both, rates)
            for net in (((3, 2), "max"), ((2, 1, 3), "steps"))
            for both in (False, True)
            for rates in ((0.3, 0.0), (0.0, 0.3), (0.3, 0.3))
        ],
        [((3,), "last", False, (0.0, 0.3)), ((2, 3), "steps", True, (0.3, 0.3))],
    ),
)
def test_gradient_with_dropout(cell, sizes, top, bidirectional, rates):
    net = network(sizes, top, bidirectional=bidirectional, cell=cell)
    data, dropout = problem(net), Dropout(*rates, seed=5)
    outputs, _, gradient = run(net, **data, dropout=dropout)
    assert (outputs != run(net, **data)[0]).any()
    assert_gradient(net, gradient, loss_of(net, data, dropout=dropout))


@pytest.mark.parametrize(
    ("cell", "sizes", "top", "bidirectional"),
    cells_with(
        list(product([(17,), (64, 17), (17, 64, 3)], TOPS, [False, True])),
        [((64, 17), "last", True), ((17,), "steps", False)],
    ),
)
def test_float32_gradients_match_float64(cell, sizes, top, bidirectional):
    how = {"bidirectional": bidirectional, "cell": cell}
    exact, single = (network(sizes, top, dtype=dtype, **how) for dtype in ("float64", "float32"))
    exact.parameters[:] = single.parameters  # the same rounded numbers
    data = problem(single, range(1, 41))
    got = run(single, **data)[2]
    assert got.dtype == np.float32
    data["sequences"] = as_float64(data["sequences"])
    data["y"] = data["y"].astype("float32")
    assert_close(single, got, run(exact, **data)[2], 1e-4)


def as_float64(sequences):
    return check_sequences(sequences.in_form_of_x(sequences.values), dtype="float64")


@pytest.mark.parametrize("top", TOPS)
def test_samples_and_steps_of_weight_zero_do_not_matter(top):
    net = network(top=top)
    data = problem(net)
    data["weights"][1::3] = 0
    _, value, gradient = run(net, **data)
    data["y"][1::3] += 100
    _, other_value, other_gradient = run(net, **data)
    assert value == other_value
    np.testing.assert_array_equal(gradient, other_gradient)


# ---- outputs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "sizes", "top", "bidirectional"),
    cells_with(
        list(product(SIZES, TOPS, [False, True])),
        list(product([(2, 3)], ["last", "attention", "steps"], [False, True])),
    ),
)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-6)])
def test_outputs_match_reference(cell, sizes, top, bidirectional, dtype, tolerance):
    net = network(sizes, top, dtype=dtype, bidirectional=bidirectional, cell=cell)
    arch, data = net.architecture, problem(net)
    exact = net.views(net.parameters.astype("float64"))
    sequences = data["sequences"]
    states = [reference_states(arch, exact.layers, x)[0] for x in one_by_one(sequences)]

    def check(got, want):
        assert got.shape == want.shape
        assert np.abs(got - want).max() <= tolerance * np.abs(want).max()

    outputs = np.concatenate([reference_outputs(arch, h, exact) for h in states])
    check(run(net, **data)[0], outputs)
    check(predict(net, sequences, ALONE), outputs)
    check(pool(net, sequences, ALONE), np.array([reference_pool(arch, h, exact) for h in states]))
    if top == "attention":
        weights = attention_weights(net, sequences, ALONE)
        check(weights, np.concatenate([reference_weights(h, exact) for h in states]))


# ---- parameters ----------------------------------------------------------------------------------


@every_cell
@one_or_both_directions
@pytest.mark.parametrize("pooling", ["last", "attention"])
def test_initial_weights(pooling, bidirectional, cell):
    """Biases are zero, except for that of a forget gate."""
    _, n_gates, _, forget = reference.CELLS[cell]
    how = {"bidirectional": bidirectional, "pooling": pooling, **VARIANTS[cell]}
    arch = Architecture(6, (8, 5), 2, **how)
    net = Network(arch, "float64")
    net.initialize(np.random.RandomState(0))
    layers, query, head, _ = net.views(net.parameters)
    assert [len(directions) for directions in layers] == [arch.n_directions] * 2
    assert [len(directions[0].W) for directions in layers] == [6, 8 * arch.n_directions]
    for layer in chain(*layers):
        H = len(layer.U)
        for gate in range(n_gates):
            assert (layer.b[gate * H : (gate + 1) * H] == (gate == forget)).all()
            U = layer.U[:, gate * H : (gate + 1) * H]
            np.testing.assert_allclose(U @ U.T, np.eye(H), atol=1e-12)
        bound = np.sqrt(6 / (len(layer.W) + H))
        assert 0.8 * bound < np.abs(layer.W).max() <= bound
        assert layer.b.shape == (n_gates * H,)
        assert layer.c.shape == (H * arch.reset_after,)
        assert not layer.c.any()
    bound = np.sqrt(6 / (arch.width + 2))
    assert head.W.shape == (arch.width, 2)
    assert 0.8 * bound < np.abs(head.W).max() <= bound
    assert query.shape == (arch.width * (pooling == "attention"),)
    assert not query.any()
    assert not head.b.any()
    # no two arrays are equal, and together they are the flat vector: weights, then biases
    drawn = np.concatenate([a.ravel() for layer in chain(*layers) for a in layer[:2]])
    assert len(np.unique(drawn)) == drawn.size
    names = net.views(np.arange(net.parameters.size))
    weights = [a for layer in chain(*names.layers) for a in layer[:2]] + [names.query, names.head.W]
    biases = [a for layer in chain(*names.layers) for a in layer[2:]] + [names.head.b]
    flat = np.concatenate([a.ravel() for a in weights + biases])
    np.testing.assert_array_equal(flat, np.arange(net.parameters.size))
    assert sum(a.size for a in weights) == net.n_weights
