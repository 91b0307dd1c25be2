"""Shapes, cells and batch sizes that the kernels of layers reject."""

import numpy as np
import pytest
from helpers import accepted_shapes
from reference import CELLS

from skgru.kernels import kernels_for

every_cell = pytest.mark.parametrize("cell", CELLS)


def arguments(kernels, cell):
    """Return arguments of the forward and the backward kernel: N = 3, D = 3, H = 4, B = 2."""
    index, n_gates, n_extra, n_states, _ = kernels.CELLS[cell]
    G, P, S, n_c = 4 * n_gates, 4 * (n_gates + n_extra), 4 * n_states, 4 * ("after" in cell)
    shared = {
        "cell_index": index,
        "x": np.zeros((3, 3)),
        "batch_sizes": np.array([2, 1]),
        "W": np.zeros((3, G)),
        "U": np.zeros((4, G)),
        "h_0": np.zeros((2, S)),
        "mask": np.zeros((2, 4)),
        "codes": np.zeros((3, 2), np.int32),
        "decay": np.zeros((3, 4)),
        "states": np.zeros((3, 4)),
        "saved": np.zeros((3, P)),
    }
    forward = {
        "b": np.zeros(G),
        "c": np.zeros(n_c),
        "h_last": np.zeros((2, S)),
        "E": np.zeros((5, G)),
    }
    backward = {
        "d_states": np.zeros((3, 4)),
        "d_h": np.zeros((2, S)),
        "dx": np.zeros((3, 3)),
        "d_decay": np.zeros((3, 4)),
        "dE": np.zeros((5, G)),
        "dW": np.zeros((3, G)),
        "dU": np.zeros((4, G)),
        "db": np.zeros(G),
        "dc": np.zeros(n_c),
    }
    return shared | forward, shared | backward


@every_cell
def test_shapes_are_checked(isa, cell):
    """Only optional arrays may be empty, and no array may be longer or shorter."""
    kernels = kernels_for("float64", isa)
    forward, backward = arguments(kernels, cell)
    P, S = forward["saved"].shape[1], forward["h_0"].shape[1]
    kernels.layer_forward(**forward)
    kernels.layer_backward(**backward)
    G = forward["W"].shape[1]
    # any number of categorical channels and of categories
    optional = {("mask", (0, 4)), ("codes", (3, 1)), ("codes", (3, 3))}
    at_forward = {("E", (4, G)), ("E", (6, G)), ("decay", (0, 4))}
    at_forward |= {("states", (0, 4)), ("saved", (0, P))}
    assert accepted_shapes(kernels.layer_forward, forward) == optional | at_forward
    at_backward = {("dE", (4, G)), ("dE", (6, G)), ("d_states", (0, 4)), ("dx", (0, 3))}
    assert accepted_shapes(kernels.layer_backward, backward) == optional | at_backward

    # hidden states without cell states, or with cell states that this cell lacks; saved activations
    # of other cells
    other = np.zeros((2, {4: 8, 8: 4}[S]))
    saved = [{"saved": np.zeros((3, columns))} for columns in (P - 4, P + 4)]
    for wrong in ({"h_0": other}, {"h_last": other}, *saved):
        with pytest.raises(ValueError, match="must be"):
            kernels.layer_forward(**{**forward, **wrong})
    for wrong in ({"h_0": other}, {"d_h": other}, *saved):
        with pytest.raises(ValueError, match="shapes"):
            kernels.layer_backward(**{**backward, **wrong})
    c = {"c": np.zeros(4 - len(forward["c"]))}
    with pytest.raises(ValueError, match="must be"):
        kernels.layer_forward(**{**forward, **c})
    with pytest.raises(ValueError, match="must be"):
        kernels.layer_backward(**{**backward, "dc": c["c"]})


@pytest.mark.parametrize("index", [-1, len(CELLS), 2**31 - 1, -(2**31)])
def test_unknown_cells_are_rejected(isa, index):
    kernels = kernels_for("float64", isa)
    forward, backward = arguments(kernels, "gru")
    with pytest.raises(ValueError, match="there is no cell"):
        kernels.layer_forward(**{**forward, "cell_index": index})
    with pytest.raises(ValueError, match="there is no cell"):
        kernels.layer_backward(**{**backward, "cell_index": index})


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("sizes", [[], [1, 2], [2], [2, 2], [3, 0], [4, -1], [0, 3], [3]])
def test_batch_sizes_are_checked(isa, sizes, cell):
    kernels, batch_sizes = kernels_for("float64", isa), np.array(sizes, np.intp)
    forward, backward = arguments(kernels, cell)
    with pytest.raises(ValueError, match="must be|needs|add up"):
        kernels.layer_forward(**{**forward, "batch_sizes": batch_sizes})
    with pytest.raises(ValueError, match="must be|needs|add up|shapes"):
        kernels.layer_backward(**{**backward, "batch_sizes": batch_sizes})
