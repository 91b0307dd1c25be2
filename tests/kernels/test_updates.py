"""Penalised gradients, and checks of updates."""

import numpy as np
import pytest

from skgru.kernels import kernels_for

DTYPES = ["float32", "float64"]


def tolerance(dtype):
    return {"float32": 1e-5, "float64": 1e-13}[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_shards", [1, 3])
@pytest.mark.parametrize(("P", "n_weights"), [(1, 0), (3, 3), (50, 17), (3000, 2900)])
def test_penalized_gradient(isa, P, n_weights, n_shards, dtype):
    rng = np.random.default_rng(0)
    shards = rng.normal(size=(n_shards, P)).astype(dtype)
    parameters = rng.normal(size=P).astype(dtype)
    gradient = np.full(P, np.nan, dtype)
    norm, squared = kernels_for(dtype, isa).penalized_gradient(
        shards, parameters, n_weights, 0.25, gradient
    )
    want = shards.sum(axis=0) + 0.25 * np.where(np.arange(P) < n_weights, parameters, 0)
    np.testing.assert_allclose(gradient, want, atol=10 * tolerance(dtype))
    np.testing.assert_allclose(norm, np.linalg.norm(want), rtol=tolerance(dtype))
    np.testing.assert_allclose(squared, (parameters[:n_weights] ** 2).sum(), rtol=tolerance(dtype))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("i", [0, 16, 999])
def test_the_norm_is_not_finite_if_any_entry_is_not(isa, i, bad):
    shards = np.zeros((2, 1000), np.float32)
    shards[1, i] = bad
    zeros = np.zeros(1000, np.float32)
    norm, _ = kernels_for("float32", isa).penalized_gradient(shards, zeros, 500, 0.0, zeros.copy())
    assert not np.isfinite(norm)


def test_update_shapes_are_checked(isa):
    kernels = kernels_for("float64", isa)
    p, short = np.zeros(5), np.zeros(4)
    for bad in ((short, p, p), (p, short, p), (p, p, short)):
        with pytest.raises(ValueError, match="length"):
            kernels.adam(p, *bad, 1.0, 0.1, 0.9, 0.999, 1e-8)
    for bad in ((short, p), (p, short)):
        with pytest.raises(ValueError, match="length"):
            kernels.sgd(p, *bad, 0.1, 0.9, True)
    shards = np.zeros((2, 5))
    for bad in (
        (shards[:, :4].copy(), p, 3, 0.0, p),
        (shards[:0], p, 3, 0.0, p),
        (shards, p, 6, 0.0, p),
        (shards, p, 3, 0.0, short),
    ):
        with pytest.raises(ValueError, match="must be"):
            kernels.penalized_gradient(*bad)
