"""Kernels free the memory that they allocate in each call."""

import ctypes
import mmap
import sys
from pathlib import Path

import numpy as np
import pytest

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
    mask, states, gates, none = (
        np.ones((B, H), dtype),
        np.zeros((B, H), dtype),
        np.zeros((B, 3 * H), dtype),
        np.zeros((0, 0), dtype),
    )

    codes = np.zeros((B, 1), np.int32)
    E, decay = np.zeros((50, 4 * H), dtype), np.ones((B, H), dtype)

    def layer(name):
        index, n_gates, n_extra, n_states, _ = kernels.CELLS[name]
        shapes = ((D, n_gates * H), (H, n_gates * H), n_gates * H, H * ("after" in name))
        state, saved = (
            np.zeros((B, n_states * H), dtype),
            np.zeros((B, (n_gates + n_extra) * H), dtype),
        )
        return index, *(np.zeros(s, dtype) for s in shapes), state, saved

    # one cell for each way to compute the candidate, and one with a cell state
    layers = [layer(name) for name in ("gru", "gru_reset_after", "rnn", "lstm")]
    head = (U[:, :2].copy(), b[:2])
    steppers = [
        (index, [(W, V, b_V, c, none)], "max", none.ravel(), head, 0, none, (), B, None)
        for index, W, V, b_V, c, *_ in layers
    ]
    # for kernels that allocate nothing: U as packed states of B sequences of H / B steps
    lengths, sizes = np.full(B, H // B), np.full(H // B, B)
    starts, pooled = np.arange(B) * (H // B), np.zeros((B, 3 * H), dtype)
    at_step, by_row, by_sequence = pooled.astype(np.intc), np.zeros(H, dtype), np.ones(B, dtype)

    def call():
        for index, W, V, b_V, c, h_0, saved in layers:
            kernels.layer_forward(
                index,
                x,
                batch_sizes,
                W,
                V,
                b_V,
                c,
                h_0,
                mask,
                codes,
                E[:, : W.shape[1]].copy(),
                decay,
                h_0.copy(),
                states,
                saved,
            )
            kernels.layer_backward(
                index, x, batch_sizes, W, V, h_0, mask, codes, decay, states, saved, none,
                h_0.copy(), none, decay.copy(), np.zeros((50, W.shape[1]), dtype), W.copy(),
                V.copy(), b_V.copy(), c,
            )  # fmt: skip
            with pytest.raises(ValueError, match="must be"):
                kernels.layer_forward(
                    index,
                    x,
                    batch_sizes,
                    W,
                    V,
                    b_V,
                    c,
                    h_0[:1],
                    none,
                    codes,
                    E[:, : W.shape[1]].copy(),
                    decay,
                    h_0.copy(),
                    states,
                    saved,
                )
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
