"""Packing of minibatches, unpacking and reversal of sequences."""

import numpy as np
import pytest
from helpers import accepted_shapes, pack, ragged_lengths
from process_helpers import run_forked

from skgru.kernels import kernels_for

DTYPES = ["float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_pack_steps(isa, dtype):
    values = np.arange(22, dtype=dtype).reshape(11, 2)
    starts, lengths = np.array([5, 0, 9]), np.array([4, 2, 2])
    x, batch_sizes = kernels_for(dtype, isa).pack_steps(values, starts, lengths)
    np.testing.assert_array_equal(x, values[[5, 0, 9, 6, 1, 10, 7, 8]])
    np.testing.assert_array_equal(batch_sizes, [3, 3, 1, 1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("B", "T", "D"), [(1, 1, 1), (5, 4, 3), (67, 31, 9), (3, 100, 17)])
def test_unpack_steps_inverts_pack_steps(isa, B, T, D, dtype):
    """Gaps between the sequences are left unchanged."""
    rng, kernels, lengths = np.random.default_rng(0), kernels_for(dtype, isa), ragged_lengths(B, T)
    starts = np.empty(B, np.intp)
    order = rng.permutation(B)
    starts[order] = np.cumsum(lengths[order] + 2) - lengths[order]
    values = rng.normal(size=(starts.max() + T + 2, D)).astype(dtype)
    values.flags.writeable = starts.flags.writeable = lengths.flags.writeable = False
    x, batch_sizes = kernels.pack_steps(values, starts, lengths)
    sequences = [values[i : i + n] for i, n in zip(starts, lengths, strict=True)]
    for got, want in zip((x, batch_sizes), pack(sequences), strict=True):
        np.testing.assert_array_equal(got, want)

    again, want = np.full_like(values, np.nan), np.full_like(values, np.nan)
    for i, n in zip(starts, lengths, strict=True):
        want[i : i + n] = values[i : i + n]
    kernels.unpack_steps(x, starts, lengths, again)
    np.testing.assert_array_equal(again, want)


@pytest.mark.parametrize(
    ("starts", "lengths"),
    [
        ([9], [3]),
        ([-1], [3]),
        ([11], [1]),
        ([12], [-1]),
        ([2**63 - 1], [1]),
        ([0], [2**63 - 1]),
        ([2**62], [2**62]),
        ([0, 11], [3, 1]),
        ([0, 2], [2, 3]),
        ([0, 2], [3, 0]),
        ([0, 2], [3, -1]),
        ([0], [0]),
        ([0, 0], [0, 0]),
        ([0, 2], [3]),
        ([0], [3, 2]),
        ([0, 2], []),
        ([], [3]),
        ([], []),
    ],
)
def test_steps_outside_the_values_are_rejected(isa, starts, lengths):
    """Rejected with every other argument that would fit; no output is written to."""
    kernels, values = kernels_for("float64", isa), np.zeros((11, 2))
    starts, lengths = np.array(starts, np.intp), np.array(lengths, np.intp)
    with pytest.raises(ValueError, match="must|within"):
        kernels.pack_steps(values, starts, lengths)
    for n_rows in {0, 3, 5, max(0, min(lengths.sum(), 11))}:
        with pytest.raises(ValueError, match="must|within"):
            kernels.unpack_steps(np.ones((n_rows, 2)), starts, lengths, values)
        assert (values == 0).all()


def test_minibatch_shapes_are_checked(isa):
    kernels = kernels_for("float64", isa)
    values, x, sizes = np.zeros((11, 2)), np.zeros((8, 2)), np.array([3, 3, 1, 1])
    of = dict(starts=np.array([5, 0, 9]), lengths=np.array([4, 2, 2]))
    arguments = dict(values=values, **of)
    # what is packed has as many channels as the values
    others = {("values", shape) for shape in [(12, 2), (11, 0), (11, 1), (11, 3)]}
    assert accepted_shapes(kernels.pack_steps, arguments) == others
    arguments = dict(x=x, **of, values=values)
    assert accepted_shapes(kernels.unpack_steps, arguments) == {("values", (12, 2))}
    for add in (False, True):
        arguments = dict(x=x, batch_sizes=sizes, y=np.zeros((8, 2)), add=add)
        assert accepted_shapes(kernels.reverse_steps, arguments) == set()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "lengths", [[1], [2, 1], [9, 9, 9], [7, 7, 4, 4, 2, 1], ragged_lengths(40, 13)]
)
@pytest.mark.parametrize("D", [1, 3, 16])
def test_reverse_steps(isa, D, lengths, dtype):
    """Reversed twice; between slices of wider arrays; and accumulated."""
    rng, kernels = np.random.default_rng(0), kernels_for(dtype, isa)
    sequences = [rng.normal(size=(n, D)).astype(dtype) for n in lengths]
    x, batch_sizes = pack(sequences)
    want, _ = pack([s[::-1] for s in sequences])
    x.flags.writeable = batch_sizes.flags.writeable = False
    y, again = np.full_like(x, np.nan), np.full_like(x, np.nan)
    kernels.reverse_steps(x, batch_sizes, y, False)
    np.testing.assert_array_equal(y, want)
    kernels.reverse_steps(y, batch_sizes, again, False)
    np.testing.assert_array_equal(again, x)

    wide = rng.normal(size=(len(x), 3 * D)).astype(dtype)
    wide[:, 1 : 1 + D] = x
    target = rng.normal(size=(len(x), 2 * D + 3)).astype(dtype)
    source, own = wide[:, 1 : 1 + D], slice(2, 2 + D)
    for add in (True, False):
        wanted = target.copy()
        wanted[:, own] = wanted[:, own] + want if add else want
        kernels.reverse_steps(source, batch_sizes, target[:, own], add)
        np.testing.assert_array_equal(target, wanted)


def test_reverse_steps_needs_contiguous_rows(isa):
    kernels, sizes = kernels_for("float64", isa), np.array([2, 1])
    x, twice = np.zeros((3, 2)), np.zeros((3, 4))
    for bad in (twice[:, ::2], twice[:, 1::-1], np.zeros((2, 3)).T):
        for arguments in ((bad, sizes, x), (x, sizes, bad)):
            with pytest.raises(ValueError, match="one after the other"):
                kernels.reverse_steps(*arguments, False)
    # rows of one number: the stride within a row does not matter
    column = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    kernels.reverse_steps(column[:, ::2], sizes, twice[:, 1::3][:, :1], False)
    np.testing.assert_array_equal(twice, [[0, 3, 0, 0], [0, 2, 0, 0], [0, 1, 0, 0]])


@pytest.mark.parametrize("sizes", [[], [1, 2], [2], [2, 2], [3, 0], [4, -1], [0, 3]])
def test_reverse_steps_checks_batch_sizes(isa, sizes):
    x, batch_sizes = np.zeros((3, 2)), np.array(sizes, np.intp)
    with pytest.raises(ValueError, match="must be|add up"):
        kernels_for("float64", isa).reverse_steps(x, batch_sizes, x.copy(), False)


def test_batch_sizes_that_overflow_are_rejected():
    """In another process, as it would crash: 4 * 2⁶² + 3 is 3 in 64 bits."""
    code = """
import numpy as np
from skgru.kernels import kernels_for
x = np.zeros((3, 2))
try:
    kernels_for("float64").reverse_steps(x, np.array([2**62] * 4 + [1] * 3), x.copy(), False)
except ValueError:
    print("refused")
"""
    assert run_forked(code).stdout == "refused\n"
