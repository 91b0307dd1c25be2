"""Shapes, cells and batch sizes that a layer of the kernels rejects."""

import numpy as np
import pytest
from helpers import accepted_shapes
from reference import CELLS

from skgru.kernels import kernels_for

every_cell = pytest.mark.parametrize("cell", CELLS)


def weights(cell):
    """Return weights: D = 3, H = 4, V = 5."""
    G, n_c = 4 * CELLS[cell].n_gates, 4 * ("after" in cell)
    shapes = {"W": (3, G), "U": (4, G), "b": G, "c": n_c, "E": (5, G)}
    return {name: np.zeros(shape) for name, shape in shapes.items()}


def of_forward(cell):
    """Return arguments of a forward pass: N = 3, B = 2."""
    return {
        "x": np.zeros((3, 3)),
        "batch_sizes": np.array([2, 1]),
        "h": np.zeros((2, 4 * CELLS[cell].n_states)),
        "mask": np.zeros((2, 4)),
        "codes": np.zeros((3, 2), np.int32),
        "decay": np.zeros((3, 4)),
        "states": np.zeros((3, 4)),
    }


def of_backward(cell):
    """Return arguments of a backward pass."""
    return {
        "d_states": np.zeros((3, 4)),
        "d_h": np.zeros((2, 4 * CELLS[cell].n_states)),
        "dx": np.zeros((3, 3)),
        "d_decay": np.zeros((3, 4)),
        **{f"d{name}": array for name, array in weights(cell).items()},
    }


def functions(kernels, cell):
    """Return functions of these arguments: make a layer, run it forward, run it backward.

    The other arguments of each are those above.
    """

    def make(W, U, b, c, E, cell_index=kernels.CELLS[cell][0]):
        return kernels.RecurrentLayers(cell_index, [[(W, U, b, c)]], [E])

    def forward(x, batch_sizes, h, mask, codes, decay, states):
        layers = make(**weights(cell))
        layers.forward([(x, codes, decay)], batch_sizes, h, states, keep=True, masks=[mask])
        return layers

    def backward(d_states, d_h, dx, d_decay, dW, dU, db, dc, dE):
        layers = forward(**of_forward(cell))
        layers.backward(d_states, d_h, [[(dW, dU, db, dc)]], [dE], [(dx, d_decay)])

    return make, forward, backward


@every_cell
def test_shapes_are_checked(isa, cell):
    """Only optional arrays may be empty, and no array may be longer or shorter."""
    kernels = kernels_for("float64", isa)
    make, forward, backward = functions(kernels, cell)
    own, at_forward, at_backward = weights(cell), of_forward(cell), of_backward(cell)
    make(**own)
    forward(**at_forward)
    backward(**at_backward)
    G, S = own["W"].shape[1], at_forward["h"].shape[1]
    # any number of channels and of categories, until x and codes tell
    assert accepted_shapes(make, own) == {
        *(("W", (D, G)) for D in (0, 2, 4)), *(("E", (V, G)) for V in (0, 4, 6)),
    }  # fmt: skip
    assert accepted_shapes(forward, at_forward) == {
        # the states of fewer sequences, and any number of categorical channels
        *(("h", (n, S)) for n in (0, 1)), *(("codes", (3, C)) for C in (1, 3)),
        ("decay", (0, 4)), ("states", (0, 4)),
    }  # fmt: skip
    assert accepted_shapes(backward, at_backward) == {("d_states", (0, 4)), ("dx", (0, 3))}

    # hidden states without cell states, or with cell states that this cell lacks
    other = np.zeros((2, {4: 8, 8: 4}[S]))
    with pytest.raises(ValueError, match="h must be"):
        forward(**{**at_forward, "h": other})
    with pytest.raises(ValueError, match="d_h must be"):
        backward(**{**at_backward, "d_h": other})
    c = np.zeros(4 - len(own["c"]))
    with pytest.raises(ValueError, match="W, U, b and c must be"):
        make(**{**own, "c": c})
    with pytest.raises(ValueError, match="must have the shapes of the weights"):
        backward(**{**at_backward, "dc": c})


@pytest.mark.parametrize("index", [-1, len(CELLS), 2**31 - 1, -(2**31)])
def test_unknown_cells_are_rejected(isa, index):
    kernels = kernels_for("float64", isa)
    make, *_ = functions(kernels, "gru")
    with pytest.raises(ValueError, match="there is no cell"):
        make(**weights("gru"), cell_index=index)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("sizes", [[], [1, 2], [2], [2, 2], [3, 0], [4, -1], [0, 3], [3]])
def test_batch_sizes_are_checked(isa, sizes, cell):
    kernels, batch_sizes = kernels_for("float64", isa), np.array(sizes, np.intp)
    _, forward, _ = functions(kernels, cell)
    with pytest.raises(ValueError, match="must be|add up"):
        forward(**{**of_forward(cell), "batch_sizes": batch_sizes})
