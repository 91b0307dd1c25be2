"""Dropout between layers, and recurrent dropout."""

from itertools import islice

import numpy as np
import pytest
from helpers import one_by_one, reference_outputs, reference_states
from network_helpers import (
    ALONE,
    LENGTHS,
    every_cell,
    network,
    one_or_both_directions,
    problem,
    run,
)

from skgru.model.inference import pool, predict
from skgru.model.network import Network
from skgru.model.propagation import Dropout


class RecordedLayers:
    """Layers that record the masks between them; recurrent ones come to lie in their order."""

    def __init__(self, kernels, drawn, cell_index, layers, tables):
        self.layers = kernels.RecurrentLayers(cell_index, layers, tables)
        self.kernels, self.drawn = kernels, drawn
        self.sizes = [len(directions[0].W) for directions in layers]

    def __getattr__(self, name):
        return getattr(self.layers, name)

    def forward(self, *args, masks, dropout, seed, **options):
        per_layer = len(masks) // len(self.sizes)
        recurrent = iter([self.drawn.pop() for _ in masks][::-1])
        for depth, n_inputs in enumerate(self.sizes):
            if depth and dropout:
                ones = np.ones((args[1].sum(), n_inputs))
                self.kernels.dropout(ones, seed + depth, dropout, ones)
                self.drawn.append((seed + depth, ones))
            self.drawn += islice(recurrent, per_layer)
        return self.layers.forward(*args, masks=masks, dropout=dropout, seed=seed, **options)


@pytest.fixture
def masks(monkeypatch):
    """Record the seed and the mask of every draw."""
    drawn = []

    class Recorder:
        def __init__(self, kernels):
            self.kernels = kernels

        def __getattr__(self, name):
            return getattr(self.kernels, name)

        def dropout(self, x, seed, rate, y):
            mask = np.empty_like(x)
            self.kernels.dropout(np.ones_like(x), seed, rate, mask)
            drawn.append((seed, mask))
            self.kernels.dropout(x, seed, rate, y)

        def RecurrentLayers(self, *args):
            return RecordedLayers(self.kernels, drawn, *args)

    kernels = Network.kernels.func
    monkeypatch.setattr(Network, "kernels", property(lambda net: Recorder(kernels(net))))
    return drawn


@every_cell
@one_or_both_directions
@pytest.mark.parametrize("top", ["last", "attention", "steps"])
def test_dropout_matches_reference_with_the_same_masks(masks, top, bidirectional, cell):
    net = network((3, 2, 4), top, bidirectional=bidirectional, cell=cell)
    arch, data = net.architecture, problem(net)
    sequences, parameters = data["sequences"], net.views(net.parameters)
    outputs = run(net, **data, dropout=Dropout(0.4, 0.2, seed=1))[0]
    n_between, n_recurrent = 2, 3 * arch.n_directions
    # one before each layer but the first, one per layer and direction, and one before the head
    forward_masks = [mask for _, mask in masks[: n_between + n_recurrent + 1]]
    assert sum(set(np.unique(mask)) <= {0, 1 / 0.8} for mask in forward_masks) == n_recurrent
    assert sum(set(np.unique(mask)) <= {0, 1 / 0.6} for mask in forward_masks) == n_between + 1

    by_length = sequences.by_length
    owners = np.repeat(np.arange(len(LENGTHS), dtype=float), LENGTHS)[:, np.newaxis]
    owners = sequences.span(by_length).pack(owners).x[:, 0]
    expected = []
    for i, x in enumerate(one_by_one(sequences)):
        own = iter(
            [m[(by_length if len(m) == len(LENGTHS) else owners) == i] for m in forward_masks]
        )
        h = reference_states(arch, parameters.layers, x, masks=own)[0]
        expected.append(reference_outputs(arch, h, parameters, next(own)))
    np.testing.assert_allclose(outputs, np.concatenate(expected), rtol=1e-12, atol=1e-14)

    # predictions do without dropout
    masks.clear()
    predict(net, sequences, ALONE)
    pool(net, sequences, ALONE)
    assert not masks


@pytest.mark.parametrize(
    ("top", "bidirectional", "n_windows"), [("mean", 0, 3), ("steps", 0, 3), ("last", 1, 1)]
)
def test_masks_differ_between_layers_windows_shards_and_seeds(masks, top, bidirectional, n_windows):
    net = network((3, 2, 4), top, bidirectional=bidirectional)
    data, n_shards, n_layers = problem(net, [7, 7, 5, 6]), 2, 3
    options = {"n_shards": n_shards, "bptt_steps": 3 if n_windows > 1 else None}
    outputs, seeds = [], []
    for seed in (10**9, 2**63 - 1):
        masks.clear()
        outputs += [run(net, **data, **options, dropout=Dropout(0.5, 0.5, seed))[0]]
        seeds += {s for s, _ in masks}
    n_before_head = n_windows if top == "steps" else 1
    n_recurrent = n_layers * net.architecture.n_directions
    n_masks = n_shards * (n_recurrent + n_windows * (n_layers - 1) + n_before_head)
    assert len(seeds) == len(set(seeds)) == 2 * n_masks
    assert (outputs[0] != outputs[1]).any(axis=1).all()
    # masks of adjacent seeds are not correlated
    large = np.empty((len(seeds), 4000))
    for mask, seed in zip(large, seeds, strict=True):
        net.kernels.dropout(np.ones((40, 100)), seed, 0.5, mask.reshape(40, 100))
    assert np.abs(np.corrcoef(large) - np.eye(len(seeds))).max() < 0.1
    assert np.abs(large.mean(axis=1) - 1).max() < 0.1
