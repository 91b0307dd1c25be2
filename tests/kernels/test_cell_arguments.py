"""Shapes and batch sizes that the kernels of layers refuse."""

import numpy as np
import pytest
from helpers import accepted_shapes
from reference import CELLS

from skgru.kernels import kernels_for

every_cell = pytest.mark.parametrize("cell", CELLS)


def arguments(kernels, cell):
    """Those of the forward and of the backward kernel, for N, D, H and B of 3, 3, 4 and 2."""
    index, n_gates, n_extra, n_states, _ = kernels.CELLS[cell]
    G, P, S, n_c = 4 * n_gates, 4 * (n_gates + n_extra), 4 * n_states, 4 * ("after" in cell)
    shared = {
        "index": index,
        "x": np.zeros((3, 3)),
        "batch_sizes": np.array([2, 1]),
        "W": np.zeros((3, G)),
        "U": np.zeros((4, G)),
        "h_0": np.zeros((2, S)),
        "mask": np.zeros((2, 4)),
        "states": np.zeros((3, 4)),
        "tape": np.zeros((3, P)),
    }
    there = {"b": np.zeros(G), "c": np.zeros(n_c), "h_last": np.zeros((2, S))}
    back = {
        "d_states": np.zeros((3, 4)),
        "d_h": np.zeros((2, S)),
        "dx": np.zeros((3, 3)),
        "dW": np.zeros((3, G)),
        "dU": np.zeros((4, G)),
        "db": np.zeros(G),
        "dc": np.zeros(n_c),
    }
    return shared | there, shared | back


@every_cell
def test_shapes_are_checked(isa, cell):
    """Nothing but what may be left out may be empty, and nothing longer or shorter."""
    kernels = kernels_for("float64", isa)
    there, back = arguments(kernels, cell)
    P, S = there["tape"].shape[1], there["h_0"].shape[1]
    kernels.layer_forward(**there)
    kernels.layer_backward(**back)
    optional = {("mask", (0, 4)), ("states", (0, 4)), ("tape", (0, P))}
    assert accepted_shapes(kernels.layer_forward, there) == optional
    optional = {("mask", (0, 4)), ("d_states", (0, 4)), ("dx", (0, 3))}
    assert accepted_shapes(kernels.layer_backward, back) == optional

    # states without their memories, or with what this cell has none of; tapes of other cells
    other = np.zeros((2, {4: 8, 8: 4}[S]))
    tapes = [{"tape": np.zeros((3, columns))} for columns in (P - 4, P + 4)]
    for wrong in ({"h_0": other}, {"h_last": other}, *tapes):
        with pytest.raises(ValueError, match="must be"):
            kernels.layer_forward(**{**there, **wrong})
    for wrong in ({"h_0": other}, {"d_h": other}, *tapes):
        with pytest.raises(ValueError, match="shapes"):
            kernels.layer_backward(**{**back, **wrong})
    c = {"c": np.zeros(4 - len(there["c"]))}
    with pytest.raises(ValueError, match="must be"):
        kernels.layer_forward(**{**there, **c})
    with pytest.raises(ValueError, match="must be"):
        kernels.layer_backward(**{**back, "dc": c["c"]})


@pytest.mark.parametrize("index", [-1, len(CELLS), 2**31 - 1, -(2**31)])
def test_there_is_no_other_cell(isa, index):
    kernels = kernels_for("float64", isa)
    there, back = arguments(kernels, "gru")
    with pytest.raises(ValueError, match="there is no cell"):
        kernels.layer_forward(**{**there, "index": index})
    with pytest.raises(ValueError, match="there is no cell"):
        kernels.layer_backward(**{**back, "index": index})


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("sizes", [[], [1, 2], [2], [2, 2], [3, 0], [4, -1], [0, 3], [3]])
def test_batch_sizes_are_checked(isa, sizes, cell):
    kernels, batch_sizes = kernels_for("float64", isa), np.array(sizes, np.intp)
    there, back = arguments(kernels, cell)
    with pytest.raises(ValueError, match="must be|needs|add up"):
        kernels.layer_forward(**{**there, "batch_sizes": batch_sizes})
    with pytest.raises(ValueError, match="must be|needs|add up|shapes"):
        kernels.layer_backward(**{**back, "batch_sizes": batch_sizes})
