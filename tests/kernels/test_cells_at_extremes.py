"""Layers whose gates saturate, and whose states underflow."""

import numpy as np
import pytest
from layer_helpers import problem, run_backward, run_forward
from reference import CELLS

from skgru.kernels import kernels_for

DTYPES = ["float32", "float64"]
every_cell = pytest.mark.parametrize("cell", CELLS)


@pytest.mark.parametrize("dtype", DTYPES)
@every_cell
def test_saturated_gates_stay_finite(isa, cell, dtype):
    """Huge pre-activations give gates of 0 or 1 and no NaN, forward and backward."""
    kernels, p = kernels_for(dtype, isa), problem(cell, 3, 4, 5, 6, dtype=dtype)
    for sign in (1, -1):
        p.layer["b"][:] = sign * 1e30
        _, states, tape = run_forward(kernels, p)
        gates = tape[:, : CELLS[cell].n_gates * 4]
        np.testing.assert_allclose(gates, np.round(gates), atol=2e-38)
        assert np.isfinite(states).all()
        assert all(np.isfinite(g).all() for g in run_backward(kernels, p).values())


# Gates that keep the past, as signs of their biases: what is 0 does not matter.
KEEPING = {
    "gru": (0, 1, 0),
    "gru_reset_after": (0, 1, 0),
    "lstm": (-1, 1, 0, 0),
    "cifg": (1, 0, 0),
    "mgu": (-1, 0),
    "light_gru": (1, 0),
    "light_gru_relu": (1, 0),
}


@pytest.mark.parametrize("cell", KEEPING)
def test_gates_may_keep_the_past(isa, cell):
    """All of it, and the gradient on the way back."""
    kernels, p = kernels_for("float64", isa), problem(cell, 3, 4, 5, 6, "uniform")
    p.layer["b"].reshape(-1, 4)[:] = 1e3 * np.array(KEEPING[cell])[:, np.newaxis]
    h_last, _, _ = run_forward(kernels, p)
    kept = slice(-4, None)  # memory, where there is one
    np.testing.assert_array_equal(h_last[:, kept], p.h_0[:, kept])
    p = p._replace(d_states=np.empty((0, 0)))
    p.d_last[:, :-4] = 0
    np.testing.assert_array_equal(run_backward(kernels, p)["h_0"][:, kept], p.d_last[:, kept])


@pytest.mark.parametrize("dtype", DTYPES)
@every_cell
def test_denormals_are_flushed_inside_and_left_alone_outside(isa, cell, dtype):
    """A state that decays by half a step ends at 0, and not among the denormals."""
    kernels, tiny, T = kernels_for(dtype, isa), np.finfo(dtype).tiny, 40
    p = problem(cell, 1, 1, T, 1, dtype=dtype)
    for array in (p.x, *p.layer.values()):
        array[:] = 0
    if cell == "rnn":  # which has no gate at a half
        p.layer["U"][:] = 0.5
    p.h_0[:] = tiny * 2.0**8
    _, states, tape = run_forward(kernels, p)
    memories = CELLS[cell].n_states == 2
    carried = (tape if memories else states)[:, -1]
    expected = tiny * 2.0 ** np.arange(7, -2, -1)
    np.testing.assert_allclose(carried[:7], expected[:7], rtol=1e-6)
    assert ((carried == 0) | (np.abs(carried) >= tiny)).all()
    assert ((states == 0) | (np.abs(states) >= tiny)).all()
    assert (carried[9:] == 0).all()
    assert (states[9:] == 0).all()
    if cell != "rnn":
        np.testing.assert_array_equal(carried[:9], expected * (carried[:9] >= tiny))

    # and so does its gradient on the way back
    p = p._replace(d_states=np.empty((0, 0), dtype))
    p.d_last[:] = 0
    p.d_last[:, -1] = tiny * 2.0**8
    p.h_0[:] = 0
    d_h = run_backward(kernels, p)["h_0"]
    assert (d_h == 0).all()
    assert tiny / np.dtype(dtype).type(2) > 0  # here they still exist
