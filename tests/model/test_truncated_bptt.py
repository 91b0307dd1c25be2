"""Truncated backpropagation through time."""

from itertools import pairwise, product

import numpy as np
import pytest
from helpers import one_by_one, reference_outputs, reference_states
from network_helpers import (
    LENGTHS,
    TOPS,
    TOTAL,
    assert_gradient,
    assert_smooth,
    cells_with,
    every_cell,
    gru_and_lstm,
    loss_of,
    network,
    problem,
    run,
)

from skgru.model.propagation import Dropout, Propagation


@every_cell
@pytest.mark.parametrize("top", TOPS)
def test_only_windows_shorter_than_sequences_change_gradients(top, cell):
    net = network((3, 2), top, cell=cell)
    for rate in (0.0, 0.3):  # all windows share the recurrent masks
        data, dropout = problem(net), Dropout(0.0, rate, seed=3)
        outputs, value, gradient = run(net, **data, dropout=dropout)
        for n_steps in range(1, 10):
            windowed = run(net, **data, dropout=dropout, bptt_steps=n_steps)
            np.testing.assert_array_equal(windowed[0], outputs)
            np.testing.assert_allclose(windowed[1], value, rtol=1e-12)
            same = np.array_equal(windowed[2], gradient)
            assert same == (n_steps >= max(LENGTHS))


@pytest.mark.parametrize(
    ("cell", "top", "n_steps"),
    cells_with(
        list(product(TOPS, [1, 2, 3, 5])), [("last", 2), ("mean", 3), ("steps", 1), ("steps", 3)]
    ),
)
def test_gradient_of_windows(cell, top, n_steps):
    """The states before each window, cell states too, are constants of the loss."""
    net = network((3, 2), top, cell=cell)
    data, arch, parameters = problem(net), net.architecture, net.views(net.parameters)
    n_states = net.cell.n_states
    assert_smooth(net, data)

    # windows are counted from the ends of the sequences; padding follows the steps of shorter ones
    bounds = [list(pairwise([0, *range((n - 1) % n_steps + 1, n + 1, n_steps)])) for n in LENGTHS]
    x = np.zeros((n_steps, sum(map(len, bounds)), 3))
    before = [np.zeros((x.shape[1], n_states * n_units)) for n_units in arch.hidden_layer_sizes]
    i = 0
    for own, whole in zip(bounds, one_by_one(data["sequences"]), strict=True):
        _, states = reference_states(arch, parameters.layers, whole)
        for start, stop in own:
            x[: stop - start, i] = whole[start:stop]
            for h, of_layer in zip(before, states, strict=True):
                h[i] = of_layer[start - 1] if start else 0
            i += 1

    def value():
        top = iter(np.swapaxes(reference_states(arch, parameters.layers, x, before)[0], 0, 1))
        outputs = []
        for own in bounds:
            h = np.concatenate([next(top)[: stop - start] for start, stop in own])
            outputs.append(reference_outputs(arch, h, parameters))
        return data["loss"](data["y"], np.concatenate(outputs), data["weights"] / TOTAL)[0]

    _, got, gradient = run(net, **data, bptt_steps=n_steps)
    np.testing.assert_allclose(got, value(), rtol=1e-12)
    assert_gradient(net, gradient, value)


@pytest.mark.parametrize(("n_steps", "rates"), [(2, (0.3, 0.3)), (3, (0.3, 0)), (4, (0, 0.3))])
@gru_and_lstm
@pytest.mark.parametrize("top", TOPS)
def test_gradient_of_windows_with_dropout(top, cell, n_steps, rates):
    """A window that is computed again in the backward pass uses the same masks."""
    net = network((3, 2), top, cell=cell)
    data, constants = problem(net), {}

    class ConstantsBeforeWindows(Propagation):
        def forward(self, packed, h, window, **wanted):
            h = constants.setdefault((self.shard, window), h)
            return super().forward(packed, h, window, **wanted)

    options = {"bptt_steps": n_steps, "dropout": Dropout(*rates, seed=2), "n_shards": 2}
    _, value, gradient = run(net, **data, **options)

    value_with_constants = loss_of(net, data, **options, propagation=ConstantsBeforeWindows)
    assert value_with_constants() == value
    assert_gradient(net, gradient, value_with_constants)
