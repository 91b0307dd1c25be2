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
        _, states, saved = run_forward(kernels, p)
        gates = saved[:, : CELLS[cell].n_gates * 4]
        np.testing.assert_allclose(gates, np.round(gates), atol=2e-38)
        assert np.isfinite(states).all()
        assert all(np.isfinite(g).all() for g in run_backward(kernels, p).values())


# Signs of the biases with which gates keep the past; 0 where any bias will do.
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
    """All of it, in the forward pass, and the whole gradient in the backward pass."""
    kernels, p = kernels_for("float64", isa), problem(cell, 3, 4, 5, 6, "uniform")
    p.layer["b"].reshape(-1, 4)[:] = 1e3 * np.array(KEEPING[cell])[:, np.newaxis]
    h_last, _, _ = run_forward(kernels, p)
    kept = slice(-4, None)  # the cell state, if there is one
    np.testing.assert_array_equal(h_last[:, kept], p.h_0[:, kept])
    p = p._replace(d_states=np.empty((0, 0)))
    p.d_last[:, :-4] = 0
    np.testing.assert_array_equal(run_backward(kernels, p)["h_0"][:, kept], p.d_last[:, kept])


@pytest.mark.parametrize("dtype", DTYPES)
@every_cell
def test_denormals_are_flushed_inside_kernels_only(isa, cell, dtype):
    """A state that halves at every time step becomes 0 and never a denormal."""
    kernels, tiny, T = kernels_for(dtype, isa), np.finfo(dtype).tiny, 40
    p = problem(cell, 1, 1, T, 1, dtype=dtype)
    for array in (p.x, *p.layer.values()):
        array[:] = 0
    if cell == "rnn":  # has no gate of one half
        p.layer["U"][:] = 0.5
    p.h_0[:] = tiny * 2.0**8
    _, states, saved = run_forward(kernels, p)
    has_cell_state = CELLS[cell].n_states == 2
    carried = (saved if has_cell_state else states)[:, -1]
    expected = tiny * 2.0 ** np.arange(7, -2, -1)
    np.testing.assert_allclose(carried[:7], expected[:7], rtol=1e-6)
    assert ((carried == 0) | (np.abs(carried) >= tiny)).all()
    assert ((states == 0) | (np.abs(states) >= tiny)).all()
    assert (carried[9:] == 0).all()
    assert (states[9:] == 0).all()
    if cell != "rnn":
        np.testing.assert_array_equal(carried[:9], expected * (carried[:9] >= tiny))

    # the gradient, too, in the backward pass
    p = p._replace(d_states=np.empty((0, 0), dtype))
    p.d_last[:] = 0
    p.d_last[:, -1] = tiny * 2.0**8
    p.h_0[:] = 0
    d_h = run_backward(kernels, p)["h_0"]
    assert (d_h == 0).all()
    assert tiny / np.dtype(dtype).type(2) > 0  # denormals exist outside
