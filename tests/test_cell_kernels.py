"""The compiled layers against the plain NumPy ones, and those against central differences.

Every cell, on every instruction set that this build and this processor have.
"""

from typing import NamedTuple

import numpy as np
import pytest
import reference
from reference import (
    CELLS,
    accepted_shapes,
    central_differences,
    pack,
    ragged_lengths,
    relative_error,
    unpack,
)

from skgru import network
from skgru.kernels import kernels_for

LENGTHS = {"uniform": lambda B, T: np.full(B, T), "ragged": ragged_lengths}
DTYPES = ["float32", "float64"]

every_cell = pytest.mark.parametrize("cell", CELLS)
with_and_without_mask = pytest.mark.parametrize("masked", [False, True])


class Problem(NamedTuple):
    """A layer, a minibatch for it, and the gradient of a loss of its states."""

    cell: str
    sequences: list[np.ndarray]
    x: np.ndarray
    batch_sizes: np.ndarray
    layer: dict[str, np.ndarray]
    h_0: np.ndarray
    mask: np.ndarray | None
    d_states: np.ndarray
    d_last: np.ndarray  # of h_last besides, its memories among it

    @property
    def own_mask(self):
        """What kernels take."""
        return np.empty((0, 0), self.x.dtype) if self.mask is None else self.mask

    @property
    def H(self):
        return len(self.layer["U"])


def problem(cell, D, H, T, B, lengths="ragged", dtype="float64", *, masked=False, seed=0):
    rng = np.random.default_rng(seed)
    layer = random_layer(rng, cell, D, H, dtype)
    sequences = [rng.normal(size=(n, D)).astype(dtype) for n in LENGTHS[lengths](B, T)]
    x, batch_sizes = pack(sequences)
    S = CELLS[cell].n_states
    h_0, d_last = (rng.normal(size=(B, S * H)).astype(dtype) for _ in range(2))
    # of dropout at a rate of 0.3
    mask = ((rng.random((B, H)) > 0.3) / 0.7).astype(dtype) if masked else None
    d_states = rng.normal(size=(len(x), H)).astype(dtype)
    return Problem(cell, sequences, x, batch_sizes, layer, h_0, mask, d_states, d_last)


def random_layer(rng, cell, D, H, dtype):
    G = CELLS[cell].n_gates * H
    shapes = {"W": (D, G), "U": (H, G), "b": G, "c": H * cell.endswith("reset_after")}
    layer = {k: rng.normal(size=s) / np.sqrt(H) for k, s in shapes.items()}
    if cell == "rnn":  # with masks it would be chaotic, and rounding errors grow
        layer["U"] /= 2
    return {k: v.astype(dtype) for k, v in layer.items()}


def known(kernels, cell):
    """What the kernels know of a cell."""
    return network.Cell(*kernels.CELLS[cell])


def run_forward(kernels, p, states=None, tape=None):
    """h_last, states and tape of a layer."""
    cell, N = known(kernels, p.cell), len(p.x)
    h_last = np.full_like(p.h_0, np.nan)
    if states is None:
        states = np.full((N, p.H), np.nan, p.x.dtype)
    if tape is None:
        tape = np.full((N, (cell.n_gates + cell.n_extra) * p.H), np.nan, p.x.dtype)
    kernels.layer_forward(
        cell.index, p.x, p.batch_sizes, *p.layer.values(), p.h_0, p.own_mask, h_last, states, tape
    )
    return h_last, states, tape


def run_backward(kernels, p, *, want_dx=True, add_to=None):
    """Gradients by name; those of the layer are added to what there is, else to zeros."""
    _, states, tape = run_forward(kernels, p)
    grad = {k: np.zeros_like(v) for k, v in p.layer.items()} if add_to is None else add_to
    dx, d_h = np.full((len(p.x) * want_dx, p.x.shape[1]), np.nan, p.x.dtype), p.d_last.copy()
    kernels.layer_backward(
        known(kernels, p.cell).index, p.x, p.batch_sizes, p.layer["W"], p.layer["U"], p.h_0,
        p.own_mask, states, tape, p.d_states, d_h, dx, *grad.values(),
    )  # fmt: skip
    return {**grad, "x": dx, "h_0": d_h}


def exactly(*arrays):
    return [a.astype("float64") for a in arrays]


def reference_states(p):
    """h and memories, a sequence an entry, in float64."""
    layer, masks = exactly(*p.layer.values()), np.ones(len(p.h_0)) if p.mask is None else p.mask
    return [
        reference.forward(p.cell, *exactly(x, h), *layer, m.astype("float64"))
        for x, h, m in zip(p.sequences, p.h_0, masks, strict=True)
    ]


def reference_gradients(p):
    """Sum over the sequences, in float64."""
    layer, masks = exactly(*p.layer.values()), np.ones(len(p.h_0)) if p.mask is None else p.mask
    parts = []
    for k, d_h in enumerate(unpack(p.d_states, p.batch_sizes)):
        d = np.zeros((len(d_h), len(p.d_last[k])))
        d[:, : p.H] = d_h
        d[-1] += p.d_last[k]
        x, h_0, mask = exactly(p.sequences[k], p.h_0[k], masks[k])
        parts.append(reference.backward(p.cell, x, h_0, *layer, d, mask))
    return {
        **{k: sum(part[k] for part in parts) for k in p.layer},
        "x": pack([part["x"] for part in parts])[0],
        "h_0": np.array([part["h_0"] for part in parts]),
    }


# ---- the reference -------------------------------------------------------------------------------


def test_cells_are_those_of_the_reference(isa):
    for dtype in DTYPES:
        kernels = kernels_for(dtype, isa)
        assert set(kernels.CELLS) == set(CELLS)
        assert sorted(cell[0] for cell in kernels.CELLS.values()) == list(range(len(CELLS)))
        for name, cell in CELLS.items():
            found = known(kernels, name)
            assert (found.n_gates, found.n_states, found.forget) == cell[1:], name


FORWARD_SIZES = [
    *((1, 1, 1, "uniform"), (1, 50, 5, "ragged"), (3, 2, 5, "ragged"), (17, 9, 5, "ragged")),
    *((64, 20, 33, "ragged"), (100, 2, 64, "uniform")),
]
ALL_FORWARD_SIZES = [
    (H, T, B, lengths)
    for H in (1, 3, 17, 64, 100)
    for T in (1, 2, 50)
    for B in (1, 5, 64)
    for lengths in LENGTHS
]


@pytest.mark.parametrize(
    ("cell", "H", "T", "B", "lengths"),
    [
        (cell, *sizes)
        for cell in CELLS
        for sizes in (ALL_FORWARD_SIZES if cell == "gru" else FORWARD_SIZES)
    ],
)
def test_forward_matches_reference(isa, cell, H, T, B, lengths):
    assert_forward_is_that_of_reference(isa, cell, 4, H, T, B, lengths)


@every_cell
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("H", "T", "B"), [(1, 1, 1), (3, 2, 5), (17, 30, 5), (67, 9, 33)])
def test_forward_with_masks_matches_reference(isa, cell, H, T, B, lengths):
    assert_forward_is_that_of_reference(isa, cell, 4, H, T, B, lengths, masked=True)


def assert_forward_is_that_of_reference(isa, *sizes, masked=False):
    for dtype, tolerance in (("float64", 1e-12), ("float32", 2e-6)):
        p = problem(*sizes, dtype, masked=masked)
        h_last, states, tape = run_forward(kernels_for(dtype, isa), p)
        want = reference_states(p)
        assert relative_error(states, pack([s[:, : p.H] for s in want])[0]) <= tolerance
        ends = [s[-1] for s in unpack(states, p.batch_sizes)]
        np.testing.assert_array_equal(h_last[:, : p.H], ends)
        if CELLS[p.cell].n_states == 2:
            memories = tape[:, CELLS[p.cell].n_gates * p.H :]
            assert relative_error(memories, pack([s[:, p.H :] for s in want])[0]) <= tolerance
            ends = [s[-1] for s in unpack(memories, p.batch_sizes)]
            np.testing.assert_array_equal(h_last[:, p.H :], ends)


@every_cell
@pytest.mark.parametrize(
    ("H", "T", "B", "masked", "lengths"),
    [
        *((1, 1, 1, False, "uniform"), (3, 2, 5, False, "ragged"), (17, 50, 5, False, "ragged")),
        *((64, 20, 64, False, "uniform"), (100, 9, 13, False, "ragged"), (1, 2, 1, True, "ragged")),
        *((3, 2, 5, True, "uniform"), (17, 30, 5, True, "ragged"), (67, 9, 33, True, "ragged")),
    ],
)
def test_backward_matches_reference(isa, cell, H, T, B, masked, lengths):
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-4)):
        p = problem(cell, 5, H, T, B, lengths, dtype, masked=masked)
        got, want = run_backward(kernels_for(dtype, isa), p), reference_gradients(p)
        for name in want:
            assert relative_error(got[name], want[name]) <= tolerance, name


@with_and_without_mask
@every_cell
@pytest.mark.parametrize(("H", "T", "B"), [(1, 2, 1), (3, 6, 4), (7, 4, 3)])
def test_gradients_match_central_differences(isa, monkeypatch, cell, H, T, B, masked):
    """Every entry of every parameter, of x and of h_0, of the compiled and the plain backward.

    The loss is of all states and, beyond them, of the last ones and their memories.
    """
    kernels, p = kernels_for("float64", isa), problem(cell, 2, H, T, B, masked=masked)

    sums = []
    monkeypatch.setattr(reference, "relu", lambda a: sums.append(a) or np.maximum(a, 0))
    reference_states(p)
    assert len(sums) == cell.endswith("relu") * len(p.x)
    assert all((np.abs(a) > 1e-4).all() for a in sums)  # away from where there is no gradient

    def loss():
        h_last, states, _ = run_forward(kernels, p)
        return np.vdot(states, p.d_states) + np.vdot(h_last, p.d_last)

    compiled, plain = run_backward(kernels, p), reference_gradients(p)
    for name, array in {**p.layer, "x": p.x, "h_0": p.h_0}.items():
        numeric = central_differences(loss, array)
        assert relative_error(compiled[name], numeric) <= 1e-6, name
        assert relative_error(plain[name], numeric) <= 1e-6, name


# ---- masks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@every_cell
def test_a_mask_of_ones_is_none(isa, cell, dtype):
    """To the last bit forward; backward it adds up in another order."""
    kernels, p = kernels_for(dtype, isa), problem(cell, 5, 37, 11, 9, dtype=dtype)
    masked = p._replace(mask=np.ones_like(p.h_0[:, :37]))
    for got, want in zip(run_forward(kernels, masked), run_forward(kernels, p), strict=True):
        np.testing.assert_array_equal(got, want)
    got = run_backward(kernels, masked)
    for name, want in run_backward(kernels, p).items():
        assert relative_error(got[name], want) <= {"float32": 1e-5, "float64": 1e-14}[dtype], name


@every_cell
def test_a_mask_of_zeros_leaves_the_carry(isa, cell):
    """U has nothing to take; what the gates keep of the past is the whole of it all the same."""
    kernels, p = kernels_for("float64", isa), problem(cell, 3, 5, 4, 6)
    masked = p._replace(mask=np.zeros((6, 5)))
    got = run_backward(kernels, masked)
    with_mask = run_forward(kernels, masked)
    p.layer["U"][:] = 0
    for a, b in zip(with_mask, run_forward(kernels, p), strict=True):
        np.testing.assert_array_equal(a, b)
    want = run_backward(kernels, p)
    for name in ("W", "b", "c", "x", "h_0"):
        np.testing.assert_allclose(got[name], want[name], rtol=1e-13, err_msg=name)
    assert (got["U"] == 0).all()


# ---- sums over steps and windows -----------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@every_cell
def test_gradients_of_the_layer_are_added(isa, cell, dtype):
    """In more rows than are multiplied at a time, so that each share is added once."""
    kernels, p = kernels_for(dtype, isa), problem(cell, 3, 21, 30, 25, dtype=dtype, masked=True)
    from_zero = run_backward(kernels, p)
    before = random_layer(np.random.default_rng(3), cell, 3, 21, dtype)
    added = {k: 10 * v for k, v in before.items()}
    run_backward(kernels, p, add_to=added)
    for name, value in before.items():
        want = 10 * value + from_zero[name]
        assert relative_error(added[name], want) <= {"float32": 1e-5, "float64": 1e-14}[dtype]
    assert len(p.x) > 256


@pytest.mark.parametrize("dtype", DTYPES)
@with_and_without_mask
@every_cell
@pytest.mark.parametrize("n_steps", [1, 4])
def test_windows_of_steps_add_up(isa, n_steps, cell, masked, dtype):
    """One after the other there and back, handing states on: as in one, forward bit by bit."""
    kernels, p = kernels_for(dtype, isa), problem(cell, 3, 21, 10, 14, dtype=dtype, masked=masked)
    want_last, want_states, _ = run_forward(kernels, p)
    want = run_backward(kernels, p)

    h, windows, h_last, states = p.h_0, [], np.full_like(p.h_0, np.nan), []
    ends = np.r_[0, np.cumsum(p.batch_sizes)]
    for first in range(0, len(p.batch_sizes), n_steps):
        sizes = p.batch_sizes[first : first + n_steps]
        rows, n = slice(ends[first], ends[first + len(sizes)]), sizes[0]
        window = p._replace(
            x=p.x[rows], batch_sizes=sizes, h_0=h[:n], mask=p.mask[:n] if masked else None,
            d_states=p.d_states[rows],
        )  # fmt: skip
        windows.append(window)
        h, part, _ = run_forward(kernels, window)
        h_last[:n] = h
        states.append(part)
    np.testing.assert_array_equal(h_last, want_last)
    np.testing.assert_array_equal(np.concatenate(states), want_states)

    added, d_h, dx = {k: np.zeros_like(v) for k, v in p.layer.items()}, p.d_last.copy(), []
    for window in reversed(windows):
        n = window.batch_sizes[0]
        part = run_backward(kernels, window._replace(d_last=d_h[:n]), add_to=added)
        d_h[:n] = part["h_0"]
        dx.insert(0, part["x"])
    for name, value in {**added, "x": np.concatenate(dx), "h_0": d_h}.items():
        assert relative_error(value, want[name]) <= {"float32": 1e-5, "float64": 1e-13}[dtype], name


@every_cell
def test_gradient_of_the_last_states(isa, cell):
    """Given as that of h_last, or as that of the rows where the sequences end: the same."""
    kernels, p = kernels_for("float64", isa), problem(cell, 3, 20, 9, 7)
    d_states, d_memory = np.zeros((len(p.x), 20)), p.d_last.copy()
    first_rows = np.cumsum(p.batch_sizes) - p.batch_sizes
    for k in range(7):
        d_states[first_rows[(p.batch_sizes > k).sum() - 1] + k] = p.d_last[k, :20]
    d_memory[:, :20] = 0
    by_row = run_backward(kernels, p._replace(d_states=d_states, d_last=d_memory))
    by_last = run_backward(kernels, p._replace(d_states=np.empty((0, 0))))
    for name, value in by_row.items():
        np.testing.assert_array_equal(by_last[name], value, err_msg=name)


# ---- bits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@with_and_without_mask
@every_cell
def test_inference_without_storage_has_the_same_bits(isa, cell, masked, dtype):
    kernels, p = kernels_for(dtype, isa), problem(cell, 5, 33, 12, 19, dtype=dtype, masked=masked)
    none = np.empty((0, 0), dtype)
    h_last, states, tape = run_forward(kernels, p)
    for kept in ((none, none), (np.empty_like(states), none), (none, np.empty_like(tape))):
        again, *got = run_forward(kernels, p, *kept)
        np.testing.assert_array_equal(again, h_last)
        for a, want in zip(got, (states, tape), strict=True):
            if a.size:
                np.testing.assert_array_equal(a, want)


@pytest.mark.parametrize("dtype", DTYPES)
@with_and_without_mask
@every_cell
@pytest.mark.parametrize("H", [5, 64, 100])
def test_a_row_has_the_same_bits_in_any_company(isa, H, cell, masked, dtype):
    """Forward and backward, alone or among any number of others: what n_jobs relies on."""
    kernels, p = kernels_for(dtype, isa), problem(cell, 6, H, 7, 25, dtype=dtype, masked=masked)
    h_last, states, _ = run_forward(kernels, p)
    gradients = run_backward(kernels, p)
    rows = {"states": states, "x": gradients["x"], "d_states": p.d_states}
    rows = {k: unpack(v, p.batch_sizes) for k, v in rows.items()}
    for first, stop in ((0, 1), (3, 5), (4, 17), (11, 25)):
        some = slice(first, stop)
        x, batch_sizes = pack(p.sequences[some])
        part = p._replace(
            x=x, batch_sizes=batch_sizes, h_0=p.h_0[some], mask=p.mask[some] if masked else None,
            d_states=pack(rows["d_states"][some])[0], d_last=p.d_last[some],
        )  # fmt: skip
        last, got, _ = run_forward(kernels, part)
        np.testing.assert_array_equal(last, h_last[some])
        np.testing.assert_array_equal(got, pack(rows["states"][some])[0])
        got = run_backward(kernels, part)
        np.testing.assert_array_equal(got["h_0"], gradients["h_0"][some])
        np.testing.assert_array_equal(got["x"], pack(rows["x"][some])[0])


@every_cell
def test_dx_is_left_out_on_request(isa, cell):
    kernels, p = kernels_for("float64", isa), problem(cell, 3, 4, 5, 6)
    full, without = (run_backward(kernels, p, want_dx=want) for want in (True, False))
    assert without["x"].size == 0
    for name in (*p.layer, "h_0"):
        np.testing.assert_array_equal(without[name], full[name])


@every_cell
def test_inputs_may_be_read_only(isa, cell):
    kernels, p = kernels_for("float64", isa), problem(cell, 3, 4, 5, 6, masked=True)
    expected = run_backward(kernels, p)
    for array in (p.x, p.batch_sizes, p.h_0, p.d_states, p.mask, *p.layer.values()):
        array.flags.writeable = False
    for name, value in run_backward(kernels, p).items():
        np.testing.assert_array_equal(value, expected[name])


# ---- extremes ------------------------------------------------------------------------------------


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


# ---- what is refused -----------------------------------------------------------------------------


def arguments(kernels, cell):
    """Those of the forward and of the backward kernel, for N, D, H and B of 3, 3, 4 and 2."""
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
        "states": np.zeros((3, 4)),
        "saved": np.zeros((3, P)),
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
    P, S = there["saved"].shape[1], there["h_0"].shape[1]
    kernels.layer_forward(**there)
    kernels.layer_backward(**back)
    optional = {("mask", (0, 4)), ("states", (0, 4)), ("saved", (0, P))}
    assert accepted_shapes(kernels.layer_forward, there) == optional
    optional = {("mask", (0, 4)), ("d_states", (0, 4)), ("dx", (0, 3))}
    assert accepted_shapes(kernels.layer_backward, back) == optional

    # states without their memories, or with what this cell has none of; tapes of other cells
    other = np.zeros((2, {4: 8, 8: 4}[S]))
    tapes = [{"saved": np.zeros((3, columns))} for columns in (P - 4, P + 4)]
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
        kernels.layer_forward(**{**there, "cell_index": index})
    with pytest.raises(ValueError, match="there is no cell"):
        kernels.layer_backward(**{**back, "cell_index": index})


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("sizes", [[], [1, 2], [2], [2, 2], [3, 0], [4, -1], [0, 3], [3]])
def test_batch_sizes_are_checked(isa, sizes, cell):
    kernels, batch_sizes = kernels_for("float64", isa), np.array(sizes, np.intp)
    there, back = arguments(kernels, cell)
    with pytest.raises(ValueError, match="must be|needs|add up"):
        kernels.layer_forward(**{**there, "batch_sizes": batch_sizes})
    with pytest.raises(ValueError, match="must be|needs|add up|shapes"):
        kernels.layer_backward(**{**back, "batch_sizes": batch_sizes})
