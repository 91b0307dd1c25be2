"""Masks of dropout against the hash in NumPy, and their statistics.

On every instruction set that this build and this processor support. Seeds are fixed, so that
bounds of 5 standard deviations always hold.
"""

from itertools import pairwise

import numpy as np
import pytest
from helpers import accepted_shapes
from reference import dropout_mask

from skgru.kernels import kernels_for

DTYPES = ["float32", "float64"]
SEEDS = [0, 1, 12345, 2**32, 2**63, 2**64 - 1]
RATES = [0.05, 0.3, 0.5, 0.9]


def dropped(kernels, x, seed, rate):
    y = np.full_like(x, np.nan)
    kernels.dropout(x, seed, rate, y)
    return y


def kept(isa, shape, seed, rate):
    """Return which numbers are kept."""
    return dropped(kernels_for("float32", isa), np.ones(shape, np.float32), seed, rate) != 0


def correlation(a, b, rate):
    """Return the correlation of two masks, in standard deviations of that of independent masks."""
    a, b = ((m.ravel() - (1 - rate)) / np.sqrt(rate * (1 - rate)) for m in (a, b))
    return abs((a * b).mean()) * np.sqrt(a.size)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (1, 256), (257, 1), (67, 31)])
def test_matches_reference(isa, shape, dtype):
    """Kept numbers are multiplied by 1 / (1 - rate), rounded once; also in place."""
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    x.flags.writeable = False
    for seed in SEEDS:
        for rate in (0, *RATES, 1 / 3, 1e-10, 1 - 1e-10):
            mask = dropout_mask(x.size, seed, rate).reshape(shape)
            want = np.where(mask, x * np.dtype(dtype).type(1 / (1 - rate)), 0)
            y = dropped(kernels_for(dtype, isa), x, seed, rate)
            np.testing.assert_array_equal(y, want)
            in_place = x.copy()
            kernels_for(dtype, isa).dropout(in_place, seed, rate, in_place)
            np.testing.assert_array_equal(in_place, want)


def test_a_seed_has_one_mask(isa):
    """In both dtypes, on every instruction set, and in the first rows of a larger array."""
    for seed in SEEDS:
        mask = kept(isa, (331, 37), seed, 0.3)
        np.testing.assert_array_equal(kept("portable", (331, 37), seed, 0.3), mask)
        in_double = dropped(kernels_for("float64", isa), np.ones((331, 37)), seed, 0.3) != 0
        np.testing.assert_array_equal(in_double, mask)
        for n in (1, 6, 7, 330):
            np.testing.assert_array_equal(kept(isa, (n, 37), seed, 0.3), mask[:n])


@pytest.mark.parametrize("rate", RATES)
def test_the_fraction_of_zeros_equals_the_rate(isa, rate):
    """In total; and rows, columns and blocks vary as much as independent draws do."""
    for seed in (*SEEDS, 2**10, 2**40):
        mask = kept(isa, (512, 301), seed, rate)
        variance = rate * (1 - rate)
        assert abs((~mask).sum() - rate * mask.size) <= 5 * np.sqrt(variance * mask.size)
        for parts in (mask, mask.T, mask.reshape(-1, 256), mask.reshape(-1, 256).T):
            n, size = parts.shape
            excess = parts.sum(axis=1) - (1 - rate) * size
            chi_square = (excess**2).sum() / (variance * size)
            assert abs(chi_square - n) <= 5 * np.sqrt(2 * n)


def test_a_higher_rate_drops_a_superset(isa):
    masks = [kept(isa, (100, 41), 3, rate) for rate in (0, *RATES)]
    assert masks[0].all()
    for more, fewer in pairwise(masks):
        assert (more >= fewer).all()
        assert (more != fewer).any()


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_neighbouring_seeds_are_not_correlated(isa, rate):
    """Neither are the seeds of windows (2¹⁰ apart) and of shards (2⁴⁰ apart)."""
    for seed in (0, 1, 2, 3, 1000, 2**31 - 1, 2**32 - 1, 2**63 - 1):
        mask = kept(isa, (100, 501), seed, rate)
        for other in (1, 2, 2**10, 2**32, 2**40):
            theirs = kept(isa, (100, 501), seed + other, rate)
            assert correlation(mask, theirs, rate) <= 5
            assert correlation(mask.ravel()[1:], theirs.ravel()[:-1], rate) <= 5
            assert correlation(mask.ravel()[:-1], theirs.ravel()[1:], rate) <= 5


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_neighbouring_positions_are_not_correlated(isa, rate):
    """A lag of 501 is one row; weak hashes fail at powers of two."""
    for seed in (0, 1, 2, 12345, 2**63):
        mask = kept(isa, (200, 501), seed, rate).ravel()
        for lag in (1, 2, 3, 4, 5, 7, 8, 16, 32, 64, 128, 255, 256, 257, 501, 1024, 4096, 65536):
            assert correlation(mask[lag:], mask[:-lag], rate) <= 5
        # triples: linear generators keep their parity
        product = (mask[2:] - (1 - rate)) * (mask[1:-1] - (1 - rate)) * (mask[:-2] - (1 - rate))
        bound = 5 * np.sqrt((rate * (1 - rate)) ** 3 / product.size)
        assert abs(product.mean()) <= bound


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_rate_of_zero_changes_nothing(isa, dtype):
    x = np.random.default_rng(0).normal(size=(30, 17)).astype(dtype)
    x[3] = [np.inf, -np.inf, np.nan, -0.0, np.finfo(dtype).tiny / 2, *np.zeros(12)]
    for seed in SEEDS:
        y = dropped(kernels_for(dtype, isa), x, seed, 0)
        assert y.tobytes() == x.tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, np.finfo("float32").max])
def test_dropped_values_are_zero_even_if_not_finite(isa, value):
    x = np.full((20, 20), value, np.float32)
    y = dropped(kernels_for("float32", isa), x, 1, 0.5)
    np.testing.assert_array_equal(y == 0, ~kept(isa, (20, 20), 1, 0.5))
    assert not np.isfinite(y[y != 0]).any()


@pytest.mark.parametrize("rate", [-0.1, -1e-300, 1, 1.5, -1, 1e300, np.nan, np.inf, -np.inf])
def test_rates_are_checked(isa, rate):
    x, y = np.ones((2, 3)), np.full((2, 3), 7.0)
    with pytest.raises(ValueError, match=r"rate must be in \[0, 1\)"):
        kernels_for("float64", isa).dropout(x, 0, rate, y)
    assert (y == 7).all()


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seeds_have_64_bits(isa, seed):
    x = np.ones((2, 3))
    with pytest.raises(OverflowError):
        kernels_for("float64", isa).dropout(x, seed, 0.5, x)


def test_shapes_are_checked(isa):
    dropout = kernels_for("float64", isa).dropout
    assert (
        accepted_shapes(dropout, dict(x=np.ones((4, 3)), seed=0, rate=0.5, y=np.ones((4, 3))))
        == set()
    )
    for shape in ((0, 3), (4, 0), (0, 0)):
        with pytest.raises(ValueError, match="must be"):
            dropout(np.ones(shape), 0, 0.5, np.ones(shape))
    with pytest.raises(ValueError, match="must be"):
        dropout(np.ones((4, 3)), 0, 0.5, np.ones((3, 4)))
