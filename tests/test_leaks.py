"""Kernels allocate memory of their own for each call; all of it has to be freed."""

import resource

import numpy as np
import pytest

from skgru.kernels import kernels_for


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_call_leaves_memory_behind(isa, dtype):
    """200 calls with workspaces of a megabyte or more each, and as many that raise."""
    kernels = kernels_for(dtype, isa)
    D, H, B = 3, 160, 4
    W, U, b, c = (np.zeros(s, dtype) for s in ((D, 3 * H), (H, 3 * H), 3 * H, 0))
    x, batch_sizes, h_0 = np.zeros((B, D), dtype), np.array([B]), np.zeros((B, H), dtype)
    states, gates, none = (
        np.zeros((B, H), dtype),
        np.zeros((B, 3 * H), dtype),
        np.zeros((0, 0), dtype),
    )

    def call():
        kernels.gru_forward(x, batch_sizes, W, U, b, c, h_0, h_0.copy(), states, gates)
        kernels.gru_backward(
            x, batch_sizes, W, U, h_0, states, gates, none, h_0.copy(), none, W.copy(), U.copy(),
            b.copy(), c,
        )  # fmt: skip
        kernels.linear_forward(h_0, U, b, gates)
        kernels.linear_backward(h_0, U, gates, h_0.copy(), U.copy(), b.copy())
        with pytest.raises(ValueError, match="must be"):
            kernels.gru_forward(x, batch_sizes, W, U, b, c, h_0[:1], h_0.copy(), states, gates)

    for _ in range(20):
        call()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(200):
        call()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 20, f"{grown:.0f} MB"
