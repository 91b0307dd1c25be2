"""Compiled layers against the NumPy reference, and both against central differences.

Every cell, on every instruction set that this build and this processor support.
"""

import numpy as np
import pytest
import reference
from helpers import cell_info, central_differences, pack, random_layer, relative_error, unpack
from layer_helpers import (
    LENGTHS,
    exact_gradients,
    exact_states,
    problem,
    run_backward,
    run_forward,
)
from reference import CELLS

from skgru.kernels import kernels_for

DTYPES = ["float32", "float64"]
every_cell = pytest.mark.parametrize("cell", CELLS)
with_and_without_mask = pytest.mark.parametrize("masked", [False, True])


# ---- forward and backward ------------------------------------------------------------------------


def test_cells_equal_the_reference(isa):
    for dtype in DTYPES:
        kernels = kernels_for(dtype, isa)
        assert set(kernels.CELLS) == set(CELLS)
        assert sorted(cell[0] for cell in kernels.CELLS.values()) == list(range(len(CELLS)))
        for name, cell in CELLS.items():
            found = cell_info(kernels, name)
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
    assert_forward_matches_reference(isa, cell, 4, H, T, B, lengths)


@every_cell
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("H", "T", "B"), [(1, 1, 1), (3, 2, 5), (17, 30, 5), (67, 9, 33)])
def test_forward_with_masks_matches_reference(isa, cell, H, T, B, lengths):
    assert_forward_matches_reference(isa, cell, 4, H, T, B, lengths, masked=True)


def assert_forward_matches_reference(isa, *sizes, masked=False):
    for dtype, tolerance in (("float64", 1e-12), ("float32", 2e-6)):
        p = problem(*sizes, dtype, masked=masked)
        h_last, states, saved = run_forward(kernels_for(dtype, isa), p)
        want = exact_states(p)
        assert relative_error(states, pack([s[:, : p.H] for s in want])[0]) <= tolerance
        ends = [s[-1] for s in unpack(states, p.batch_sizes)]
        np.testing.assert_array_equal(h_last[:, : p.H], ends)
        if CELLS[p.cell].n_states == 2:
            cell_states = saved[:, CELLS[p.cell].n_gates * p.H :]
            assert relative_error(cell_states, pack([s[:, p.H :] for s in want])[0]) <= tolerance
            ends = [s[-1] for s in unpack(cell_states, p.batch_sizes)]
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
        got, want = run_backward(kernels_for(dtype, isa), p), exact_gradients(p)
        for name in want:
            assert relative_error(got[name], want[name]) <= tolerance, name


@with_and_without_mask
@every_cell
@pytest.mark.parametrize(("H", "T", "B"), [(1, 2, 1), (3, 6, 4), (7, 4, 3)])
def test_gradients_match_central_differences(isa, monkeypatch, cell, H, T, B, masked):
    """Every entry of every parameter, of x and of h_0, for the compiled and the NumPy backward.

    The loss depends on all states and, separately, on the last hidden and cell states.
    """
    kernels, p = kernels_for("float64", isa), problem(cell, 2, H, T, B, masked=masked)

    sums = []
    monkeypatch.setattr(reference, "relu", lambda a: sums.append(a) or np.maximum(a, 0))
    exact_states.__wrapped__(p)  # results in the cache have no sums
    assert len(sums) == cell.endswith("relu") * len(p.x)
    assert all((np.abs(a) > 1e-4).all() for a in sums)  # away from the kink

    def loss():
        h_last, states, _ = run_forward(kernels, p)
        return np.vdot(states, p.d_states) + np.vdot(h_last, p.d_last)

    compiled, plain = run_backward(kernels, p), exact_gradients(p)
    for name, array in {**p.layer, "x": p.x, "h_0": p.h_0}.items():
        numeric = central_differences(loss, array)
        assert relative_error(compiled[name], numeric) <= 1e-6, name
        assert relative_error(plain[name], numeric) <= 1e-6, name


# ---- masks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@every_cell
def test_a_mask_of_ones_equals_no_mask(isa, cell, dtype):
    """Bit for bit in the forward pass; the backward pass sums in another order."""
    kernels, p = kernels_for(dtype, isa), problem(cell, 5, 37, 11, 9, dtype=dtype)
    masked = p._replace(mask=np.ones_like(p.h_0[:, :37]))
    for got, want in zip(run_forward(kernels, masked), run_forward(kernels, p), strict=True):
        np.testing.assert_array_equal(got, want)
    got = run_backward(kernels, masked)
    for name, want in run_backward(kernels, p).items():
        assert relative_error(got[name], want) <= {"float32": 1e-5, "float64": 1e-14}[dtype], name


@every_cell
def test_a_mask_of_zeros_equals_zero_recurrent_weights(isa, cell):
    """The mask applies to the products with U only: gates keep the past unmasked."""
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


# ---- sums over time steps and windows ------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@every_cell
def test_gradients_of_parameters_accumulate(isa, cell, dtype):
    """With more rows than one block of the product has: each block is added once."""
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
def test_windows_of_steps_equal_one_pass(isa, n_steps, cell, masked, dtype):
    """Forward and backward window by window, handing states on; the forward pass bit for bit."""
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
def test_gradient_of_the_last_states_by_row_or_by_sequence(isa, cell):
    """The gradient of h_last equals that of the rows where the sequences end."""
    kernels, p = kernels_for("float64", isa), problem(cell, 3, 20, 9, 7)
    d_states, d_cell_state = np.zeros((len(p.x), 20)), p.d_last.copy()
    first_rows = np.cumsum(p.batch_sizes) - p.batch_sizes
    for k in range(7):
        d_states[first_rows[(p.batch_sizes > k).sum() - 1] + k] = p.d_last[k, :20]
    d_cell_state[:, :20] = 0
    by_row = run_backward(kernels, p._replace(d_states=d_states, d_last=d_cell_state))
    by_last = run_backward(kernels, p._replace(d_states=np.empty((0, 0))))
    for name, value in by_row.items():
        np.testing.assert_array_equal(by_last[name], value, err_msg=name)


# ---- the same bits -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@with_and_without_mask
@every_cell
def test_inference_without_saved_activations_has_the_same_bits(isa, cell, masked, dtype):
    kernels, p = kernels_for(dtype, isa), problem(cell, 5, 33, 12, 19, dtype=dtype, masked=masked)
    h_last, states, saved = run_forward(kernels, p)
    for want_states, keep in ((False, False), (True, False), (False, True)):
        again, *got = run_forward(kernels, p, want_states=want_states, keep=keep)
        np.testing.assert_array_equal(again, h_last)
        assert [len(a) > 0 for a in got] == [want_states or keep, keep]
        for a, want in zip(got, (states, saved), strict=True):
            if a.size:
                np.testing.assert_array_equal(a, want)


@pytest.mark.parametrize("dtype", DTYPES)
@with_and_without_mask
@every_cell
@pytest.mark.parametrize("H", [5, 64, 100])
def test_a_sequence_has_the_same_bits_in_any_minibatch(isa, H, cell, masked, dtype):
    """Forward and backward, alone or with any other sequences: n_jobs relies on it."""
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
def test_dx_is_optional(isa, cell):
    kernels, p = kernels_for("float64", isa), problem(cell, 3, 4, 5, 6)
    full, without = (run_backward(kernels, p, want_dx=want) for want in (True, False))
    assert without["x"].size == 0
    for name in (*p.layer, "h_0"):
        np.testing.assert_array_equal(without[name], full[name])


@every_cell
@pytest.mark.parametrize("inputs", [{}, {"n_codes": 2, "decays": True}])
def test_gradients_of_weights_are_optional(isa, cell, inputs):
    kernels, p = kernels_for("float64", isa), problem(cell, 3, 4, 5, 6, **inputs)
    full, without = (run_backward(kernels, p, want_weights=want) for want in (True, False))
    for name, gradient in without.items():
        if name in p.layer:
            assert not gradient.size
        else:
            np.testing.assert_array_equal(gradient, full[name])


@every_cell
def test_inputs_may_be_read_only(isa, cell):
    kernels, p = kernels_for("float64", isa), problem(cell, 3, 4, 5, 6, masked=True)
    expected = run_backward(kernels, p)
    for array in (p.x, p.batch_sizes, p.h_0, p.d_states, p.mask, *p.layer.values()):
        array.flags.writeable = False
    for name, value in run_backward(kernels, p).items():
        np.testing.assert_array_equal(value, expected[name])


# ---- categories and decay ------------------------------------------------------------------------

CODED_AND_DECAYING = [{"n_codes": 2}, {"decays": True}, {"n_codes": 1, "decays": True}]


@every_cell
@pytest.mark.parametrize("inputs", CODED_AND_DECAYING, ids=["codes", "decay", "both"])
@pytest.mark.parametrize(("D", "H", "T", "B"), [(1, 1, 1, 1), (0, 3, 2, 5), (4, 17, 30, 5)])
def test_categories_and_decay_match_the_reference(isa, cell, D, H, T, B, inputs):
    D = D or int("n_codes" not in inputs)  # categories need no other channels
    for dtype, forward, backward in (("float64", 1e-12, 1e-12), ("float32", 1e-5, 1e-4)):
        p = problem(cell, D, H, T, B, "ragged", dtype, masked=True, **inputs)
        kernels = kernels_for(dtype, isa)
        h_last, states, _ = run_forward(kernels, p)
        assert relative_error(states, pack([s[:, :H] for s in exact_states(p)])[0]) <= forward
        without = run_forward(kernels, p, want_states=False, keep=False)
        np.testing.assert_array_equal(without[0], h_last)
        got, want = run_backward(kernels, p), exact_gradients(p)
        assert set(got) == set(want)
        for name in want:
            if want[name].size:
                assert relative_error(got[name], want[name]) <= backward, name


@every_cell
@pytest.mark.parametrize("inputs", CODED_AND_DECAYING, ids=["codes", "decay", "both"])
def test_gradients_of_categories_and_decay_match_central_differences(isa, cell, inputs):
    kernels, p = kernels_for("float64", isa), problem(cell, 2, 3, 6, 4, **inputs)
    gradients = run_backward(kernels, p)

    def loss():
        h_last, states, _ = run_forward(kernels, p)
        return (p.d_states * states).sum() + (p.d_last * h_last).sum()

    for name, array in {**p.coded, **p.decay, **p.layer}.items():
        if name != "codes" and array.size:
            numeric = central_differences(loss, array)
            assert relative_error(gradients[name], numeric) <= 1e-6, name


@every_cell
def test_one_hot_columns_and_no_decay_are_the_plain_layer(isa, cell):
    """A decay of 1 keeps every bit; rows of E are those of W that one-hot columns pick."""
    kernels, p = kernels_for("float64", isa), problem(cell, 3, 9, 7, 5, n_codes=2, decays=True)
    p.decay["decay"][:] = 1
    without = p._replace(decay={})
    for a, b in zip(run_forward(kernels, p), run_forward(kernels, without), strict=True):
        np.testing.assert_array_equal(a, b)
    one_hot = np.eye(7)[p.coded["codes"]].sum(axis=1)
    plain = p._replace(
        x=np.hstack([p.x, one_hot]),
        layer={**p.layer, "W": np.vstack([p.layer["W"], p.coded["E"]])},
        coded={},
        decay={},
    )
    for a, b in zip(run_forward(kernels, p), run_forward(kernels, plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
    got, want = run_backward(kernels, p), run_backward(kernels, plain)
    np.testing.assert_allclose(got["E"], want["W"][3:], rtol=1e-10, atol=1e-12)


def test_codes_outside_of_the_table_are_rejected(isa):
    kernels, p = kernels_for("float64", isa), problem("gru", 3, 4, 5, 6, n_codes=2)
    for code in (-1, 7, 2**31 - 1, -(2**31)):
        p.coded["codes"][-1, 1] = code
        with pytest.raises(ValueError, match="codes must be"):
            run_forward(kernels, p)
        with pytest.raises(ValueError, match="codes must be"):
            kernels.gather_codes(np.zeros((7, 2)), p.coded["codes"], np.zeros((len(p.x), 4)))
