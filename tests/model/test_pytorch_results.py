"""Outputs, states and gradients of PyTorch's layers."""

from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from network_helpers import ALONE, TOTAL, network, one_or_both_directions, run

from skgru.model.buffers import Buffers
from skgru.model.inference import predict
from skgru.model.propagation import Propagation
from skgru.sequences import check_sequences

# For each of PyTorch's modules: the cell, and the order of its blocks of columns.
TORCH = {
    "gru": ("gru_reset_after", [0, 1, 2]),
    "rnn": ("rnn", [0]),
    "lstm": ("lstm", [0, 1, 3, 2]),  # i | f | o | g, where PyTorch has i | f | g | o
}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-6), ("float32", 1e-5)])
@pytest.mark.parametrize("top", ["last", "steps"])
@one_or_both_directions
@pytest.mark.parametrize("module", TORCH)
def test_outputs_and_gradients_match_torch(module, bidirectional, top, dtype, tolerance):
    file = f"torch_{'bi' * bidirectional}{module}.npz"
    golden, (cell, order) = np.load(Path(__file__).parents[1] / "data" / file), TORCH[module]
    target, H = golden[f"target_{top}"], 5
    net = network((H, H), top, target.shape[1], dtype, bidirectional=bidirectional, cell=cell)
    layers, _, head, _ = net.views(net.parameters)
    values = _from_torch(golden, layers, order)
    for layer, own in zip(chain(*layers), values, strict=True):
        for array, value in zip(layer, own, strict=True):
            array[:] = value
    head.W[:], head.b[:] = np.eye(target.shape[1]), 0  # the outputs are the states

    def inner_product(y, outputs, weights):
        return float((outputs * y).sum() / TOTAL), y / TOTAL

    xs = np.split(golden["x"], np.cumsum(golden["lengths"])[:-1])
    sequences = check_sequences(xs, dtype=dtype)
    outputs, value, gradient = run(net, sequences, target, np.ones(len(target)), inner_product)
    np.testing.assert_allclose(outputs, golden[top], rtol=tolerance, atol=tolerance / 10)
    np.testing.assert_array_equal(predict(net, sequences, ALONE), outputs)
    np.testing.assert_allclose(value * TOTAL, (golden[top] * target).sum(), rtol=tolerance)

    # last hidden and cell states of every layer and direction
    by_length, buffers = sequences.by_length, Buffers(net)
    packed = sequences.span(by_length).pack(sequences.values)
    passes = Propagation(net, buffers.parameters, buffers.empty)
    ends = passes.forward(packed, None, 0, keep=False, want_states=False).h_last
    wanted = np.hstack(golden["ends"][:, by_length])
    np.testing.assert_allclose(ends, wanted, rtol=tolerance, atol=tolerance / 10)

    d_layers = net.views(gradient * TOTAL).layers
    wanted = _from_torch(golden, layers, order, f"_grad_{top}")
    for d_layer, values in zip(chain(*d_layers), wanted, strict=True):
        for got, want in zip(d_layer, values, strict=True):
            assert np.abs(got - want).max(initial=0) <= tolerance * np.abs(want).max(initial=0)


def _from_torch(golden, layers, order, suffix=""):
    """Yield W, U, b and c (or their gradients) of PyTorch's layers; its two biases are added."""
    for depth, directions in enumerate(layers):
        for direction, layer in zip(("", "_reverse"), directions, strict=False):
            W, U, b, b_hidden = (
                np.concatenate(
                    [
                        np.split(golden[f"{name}_l{depth}{direction}{suffix}"], len(order))[k]
                        for k in order
                    ]
                )
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            n = len(layer.c)
            c = b_hidden[len(b) - n :]
            if not suffix:
                b = b + np.r_[b_hidden[: len(b) - n], np.zeros(n)]
            yield W.T, U.T, b, c
