"""Networks whose first layer reads categories, and gaps where states decay."""

import numpy as np
import pytest
from helpers import VARIANTS
from network_helpers import (
    ALONE,
    LENGTHS,
    TOPS,
    assert_gradient,
    loss_of,
    one_or_both_directions,
    run,
)
from network_helpers import problem as plain_problem

from skgru.model.architecture import Architecture
from skgru.model.inference import predict
from skgru.model.inputs import FirstInputs
from skgru.model.network import Network
from skgru.sequences import Sequences

CATEGORIES = {"n_categories": (4, 3)}
INPUTS = {
    "codes": CATEGORIES,
    "codes alone": {**CATEGORIES, "n_channels": 0},
    "embedding": {**CATEGORIES, "embedding_dim": 2},
    "embedding alone": {**CATEGORIES, "embedding_dim": 2, "n_channels": 0},
    "decay": {"missing": "decay"},
    "decay and codes": {"missing": "decay", **CATEGORIES},
    "decay and embedding": {"missing": "decay", **CATEGORIES, "embedding_dim": 2},
}
all_inputs = pytest.mark.parametrize("inputs", INPUTS.values(), ids=INPUTS)


def network(inputs, *, cell="gru", top="last", bidirectional=False, sizes=(2, 3), seed=0):
    architecture = {"n_channels": 3, "hidden_layer_sizes": sizes, "n_outputs": 2, **inputs}
    steps = top == "steps"
    architecture |= {"pooling": "last" if steps else top, "return_sequences": steps}
    architecture |= {**VARIANTS[cell], "bidirectional": bidirectional}
    net = Network(Architecture(**architecture), "float64")
    net.initialize(np.random.RandomState(seed))
    # tests depend on parameters that are initialized to zero, too
    rng = np.random.RandomState(1)
    rest = net.parameters[net.n_weights :]
    rest[:] = rng.normal(size=rest.size) / 3
    return net


def problem(net, lengths=LENGTHS):
    data, arch, rng = plain_problem(net, lengths), net.architecture, np.random.default_rng(2)
    n_rows, D = sum(lengths), arch.n_channels
    values = rng.normal(size=(n_rows, arch.n_values))
    if arch.missing == "decay":
        values[:, D : 2 * D] = rng.integers(2, size=(n_rows, D))
        for direction in range(arch.n_directions):
            elapsed = values[:, (3 + 2 * direction) * D :][:, :D]
            elapsed[:] = rng.uniform(0.1, 3, size=(n_rows, D))
    codes = None
    if arch.n_categories:
        codes = np.column_stack([rng.integers(n, size=n_rows) for n in arch.n_categories])
        codes = codes.astype(np.uint8)
    sequences = Sequences(values, np.array(lengths), max(lengths), "list", codes)
    return {**data, "sequences": sequences}


@all_inputs
@pytest.mark.parametrize("cell", [cell for cell in VARIANTS if not cell.endswith("relu")])
@one_or_both_directions
def test_gradient_of_every_parameter(cell, inputs, bidirectional):
    """Without relu, whose kinks central differences would cross."""
    net = network(inputs, cell=cell, bidirectional=bidirectional)
    data = problem(net)
    assert_gradient(net, run(net, **data)[2], loss_of(net, data))


@all_inputs
@pytest.mark.parametrize("top", TOPS)
def test_gradient_below_every_top(top, inputs):
    net = network(inputs, top=top, bidirectional=True)
    data = problem(net)
    assert_gradient(net, run(net, **data)[2], loss_of(net, data))


def test_both_directions_add_to_the_embedding_in_the_order_of_the_layers(monkeypatch):
    """The second one first: another order would give the sums, and so fits, other bits."""
    net = network(INPUTS["embedding"], bidirectional=True)
    backward, added = FirstInputs.backward, []

    def add(inputs, own, direction, d_x, d_decay, d_parameters):
        added.append((direction, own.embedded, d_x[:, net.architecture.n_channels :]))
        backward(inputs, own, direction, d_x, d_decay, d_parameters)

    monkeypatch.setattr(FirstInputs, "backward", add)
    of_embedding = net.views(run(net, **problem(net))[2]).inputs.embedding
    in_order, reversed_order = np.zeros((2, *of_embedding.shape))
    for _, codes, d_x in sorted(added, key=lambda each: -each[0]):
        net.kernels.scatter_codes(d_x, codes, in_order)
    for _, codes, d_x in sorted(added, key=lambda each: each[0]):
        net.kernels.scatter_codes(d_x, codes, reversed_order)
    assert (in_order != reversed_order).any()
    np.testing.assert_array_equal(of_embedding, in_order)


@all_inputs
def test_windows_see_the_same_inputs(inputs):
    net = network(inputs, top="steps")
    data = problem(net)
    outputs, value, _ = run(net, **data)
    windowed = run(net, **data, bptt_steps=2)
    np.testing.assert_array_equal(windowed[0], outputs)
    np.testing.assert_allclose(windowed[1], value, rtol=1e-12)


@all_inputs
@one_or_both_directions
def test_a_sequence_has_the_same_bits_in_any_minibatch(inputs, bidirectional):
    net = network(inputs, bidirectional=bidirectional)
    sequences = problem(net)["sequences"]
    together = predict(net, sequences, ALONE)
    for i in range(len(sequences)):
        alone = predict(net, sequences.take(np.array([i])), ALONE)
        np.testing.assert_array_equal(alone[0], together[i])


@one_or_both_directions
def test_nothing_missing_and_no_decay_is_the_plain_network(bidirectional):
    gaps = network({"missing": "decay"}, bidirectional=bidirectional)
    plain = network({}, bidirectional=bidirectional)
    data = problem(gaps)
    D, values = 3, data["sequences"].values
    values[:, D : 2 * D] = 1  # all observed: nothing is left to decay
    for direction in range(gaps.architecture.n_directions):
        values[:, (2 + 2 * direction) * D :][:, :D] = 0
    views, of_plain = gaps.views(gaps.parameters), plain.views(plain.parameters)
    for decay in views.inputs.decays:
        for weights in decay:
            weights[:] = 0
    for own, other in zip(views.layers[0], of_plain.layers[0], strict=True):
        own.W[D:] = 0  # of the mask
        other.W[:], other.U[:], other.b[:] = own.W[:D], own.U, own.b
    for own, other in zip(views.layers[1], of_plain.layers[1], strict=True):
        for a, b in zip(own, other, strict=True):
            b[:] = a
    of_plain.head.W[:], of_plain.head.b[:] = views.head
    sequences = data["sequences"]
    same = Sequences(values[:, :D].copy(), sequences.lengths, sequences.n_timesteps, "list")
    np.testing.assert_array_equal(predict(gaps, sequences, ALONE), predict(plain, same, ALONE))


def test_segments_are_all_but_the_rows_of_other_categories():
    for inputs in (CATEGORIES, {**CATEGORIES, "embedding_dim": 2}):
        for bidirectional in (False, True):
            net = network(inputs, bidirectional=bidirectional)
            inside = np.zeros(net.parameters.size, bool)
            for start, stop in net.segments(np.array([[1, 5], [6, 1]])):
                assert not inside[start:stop].any()
                inside[start:stop] = True
            views = net.views(np.arange(net.parameters.size))
            tables = views.inputs.tables or [views.inputs.embedding]
            outside = np.concatenate([table[[0, 2, 3, 4]].ravel() for table in tables])
            np.testing.assert_array_equal(np.flatnonzero(~inside), np.sort(outside))
            np.testing.assert_array_equal(net.segments(), [[0, net.parameters.size]])
