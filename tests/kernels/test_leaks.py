"""Kernels free the memory that they allocate in each call."""

import ctypes
import mmap
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from reference import CELLS

from skgru.kernels import kernels_for


def resident_megabytes():
    """Return the memory that this process has now: its highest may be of an earlier test.

    What earlier tests have freed goes back to the system first, or a leak could fill it.
    """
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE / 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="it asks Linux and its C library")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_call_leaks_memory(isa, dtype):
    """200 calls with workspaces or arguments of about a megabyte each, and as many that raise."""
    kernels = kernels_for(dtype, isa)
    D, H, B = 3, 160, 4
    U, b = np.zeros((H, 3 * H), dtype), np.zeros(3 * H, dtype)
    x, batch_sizes, h = np.zeros((B, D), dtype), np.array([B]), np.zeros((B, H), dtype)
    gates, none = np.zeros((B, 3 * H), dtype), np.zeros((0, 0), dtype)
    codes, decay = np.zeros((B, 1), np.int32), np.ones((B, H), dtype)
    inputs, masks = 2 * [(x, codes, decay)], 2 * [np.ones((B, H), dtype)]

    def layer(name):
        G, n_c = CELLS[name].n_gates * H, H * ("after" in name)
        return tuple(np.zeros(s, dtype) for s in ((D, G), (H, G), G, n_c))

    # one cell for each way to compute the candidate, and one with a cell state
    cells = {name: kernels.CELLS[name][0] for name in ("gru", "gru_reset_after", "rnn", "lstm")}
    stacks = [
        (index, [2 * [layer(name)]], 2 * [np.zeros((50, CELLS[name].n_gates * H), dtype)])
        for name, index in cells.items()
    ]
    head = (U[:, :2].copy(), b[:2])
    steppers = [
        (index, [(*layer(name), none)], "max", none.ravel(), head, 0, none, (), B, None)
        for name, index in cells.items()
    ]
    # for kernels that allocate nothing: U as packed states of B sequences of H / B steps
    lengths, sizes = np.full(B, H // B), np.full(H // B, B)
    starts, pooled = np.arange(B) * (H // B), np.zeros((B, 3 * H), dtype)
    at_step, by_row, by_sequence = pooled.astype(np.intc), np.zeros(H, dtype), np.ones(B, dtype)

    def call():
        for index, weights, tables in stacks:
            layers = kernels.RecurrentLayers(index, weights, tables)
            end = layers.forward(inputs, batch_sizes, none, none, keep=True, masks=masks)
            d_weights, d_tables = deepcopy((weights, tables))
            d_inputs = 2 * [(x.copy(), decay.copy())]
            layers.backward(none, end, d_weights, d_tables, d_inputs)
            layers.kept(1)
            with pytest.raises(ValueError, match="dx must be"):
                layers.backward(none, end, d_weights, d_tables, 2 * [(x, U)])
            with pytest.raises(ValueError, match="add up"):
                layers.forward([inputs[0], (U, codes, decay)], batch_sizes, none, none, keep=True)
            with pytest.raises(ValueError, match="must be"):
                kernels.RecurrentLayers(index, [*weights, weights[0]], tables)
        for arguments in steppers:
            stepper = kernels.Stepper(*arguments)
            stepper.outputs(x)
            stepper.probabilities(x)
            stepper.set_state(stepper.get_state())
            with pytest.raises(ValueError, match="expected"):
                stepper.most_likely(x[:1])
            with pytest.raises(ValueError, match="must be"):
                kernels.Stepper(*arguments[:4], (U, b[:1]), *arguments[5:])
        kernels.linear_forward(h, U, b, gates)
        kernels.linear_backward(h, U, gates, h.copy(), U.copy(), b.copy())
        kernels.pack_steps(U.copy(), starts, lengths)
        kernels.unpack_steps(U.copy(), starts, lengths, U.copy())
        kernels.reverse_steps(U.copy(), sizes, U.copy(), True)
        kernels.dropout(U.copy(), 0, 0.5, U.copy())
        kernels.sum_steps(U.copy(), sizes, pooled.copy())
        kernels.repeat_steps(pooled, sizes, U.copy())
        kernels.max_forward(U.copy(), sizes, 0, pooled.copy(), at_step.copy())
        kernels.max_backward(pooled, at_step, sizes, 0, U.copy())
        kernels.attention_forward(
            U.copy(), sizes, b, by_row, by_sequence, by_sequence, pooled.copy()
        )
        kernels.attention_backward(
            U.copy(), sizes, b, by_sequence, by_sequence, pooled, pooled, U.copy(), b.copy()
        )
        with pytest.raises(ValueError, match="must be"):
            kernels.sum_steps(U.copy(), sizes, pooled[:1])

    for _ in range(20):
        call()
    before = resident_megabytes()
    for _ in range(200):
        call()
    grown = resident_megabytes() - before
    assert grown < 20, f"{grown:.0f} MB"
