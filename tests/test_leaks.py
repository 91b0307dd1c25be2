"""Kernels allocate memory of their own for each call; all of it has to be freed."""

import resource

import numpy as np
import pytest

from skgru.kernels import kernels_for


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_call_leaves_memory_behind(isa, dtype):
    """200 calls with workspaces or arguments of a megabyte or so each, and as many that raise."""
    kernels = kernels_for(dtype, isa)
    D, H, B = 3, 160, 4
    W, U, b, c = (np.zeros(s, dtype) for s in ((D, 3 * H), (H, 3 * H), 3 * H, 0))
    x, batch_sizes, h_0 = np.zeros((B, D), dtype), np.array([B]), np.zeros((B, H), dtype)
    mask, states, gates, none = (
        np.ones((B, H), dtype),
        np.zeros((B, H), dtype),
        np.zeros((B, 3 * H), dtype),
        np.zeros((0, 0), dtype),
    )
    # for those without memory of their own: U as packed states of B sequences of H / B steps
    lengths, sizes = np.full(B, H // B), np.full(H // B, B)
    starts, pooled = np.arange(B) * (H // B), np.zeros((B, 3 * H), dtype)
    at_step, by_row, by_sequence = pooled.astype(np.intc), np.zeros(H, dtype), np.ones(B, dtype)

    def call():
        kernels.gru_forward(x, batch_sizes, W, U, b, c, h_0, mask, h_0.copy(), states, gates)
        kernels.gru_backward(
            x, batch_sizes, W, U, h_0, mask, states, gates, none, h_0.copy(), none, W.copy(),
            U.copy(), b.copy(), c,
        )  # fmt: skip
        kernels.linear_forward(h_0, U, b, gates)
        kernels.linear_backward(h_0, U, gates, h_0.copy(), U.copy(), b.copy())
        with pytest.raises(ValueError, match="must be"):
            kernels.gru_forward(
                x, batch_sizes, W, U, b, c, h_0[:1], none, h_0.copy(), states, gates
            )
        kernels.pack_steps(U.copy(), starts, lengths, U.copy(), sizes.copy())
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
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(200):
        call()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 20, f"{grown:.0f} MB"
