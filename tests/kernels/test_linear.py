"""The output layer."""

import numpy as np
import pytest
from helpers import accepted_shapes

from skgru.kernels import kernels_for

DTYPES = ["float32", "float64"]


def tolerance(dtype):
    return {"float32": 1e-5, "float64": 1e-13}[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n", "D", "K"), [(1, 1, 1), (7, 5, 3), (13, 64, 9), (50, 100, 40)])
def test_outputs_and_gradients_match_numpy(isa, n, D, K, dtype):
    rng = np.random.default_rng(0)
    x, W, b, dy = (rng.normal(size=s).astype(dtype) for s in ((n, D), (D, K), K, (n, K)))
    y, dx = np.full_like(dy, np.nan), np.full_like(x, np.nan)
    dW, db = np.zeros_like(W), np.zeros_like(b)
    kernels = kernels_for(dtype, isa)
    kernels.linear_forward(x, W, b, y)
    kernels.linear_backward(x, W, dy, dx, dW, db)
    for got, want in ((y, x @ W + b), (dx, dy @ W.T), (dW, x.T @ dy), (db, dy.sum(axis=0))):
        np.testing.assert_allclose(got, want, atol=tolerance(dtype) * np.abs(want).max())
    for k in range(n):
        alone = np.empty((1, K), dtype)
        kernels.linear_forward(x[k : k + 1], W, b, alone)
        np.testing.assert_array_equal(alone[0], y[k])


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_accumulate(isa, dtype):
    """With more rows than one block of the product has: each block is added once."""
    rng, (n, D, K) = np.random.default_rng(0), (700, 19, 5)
    x, W, b, dy = (rng.normal(size=s).astype(dtype) for s in ((n, D), (D, K), K, (n, K)))
    dx, dW, db = np.empty_like(x), W.copy(), b.copy()
    kernels_for(dtype, isa).linear_backward(x, W, dy, dx, dW, db)
    for got, want in ((dW, W + x.T @ dy), (db, b + dy.sum(axis=0))):
        np.testing.assert_allclose(got, want, atol=tolerance(dtype) * np.abs(want).max())


def test_shapes_are_checked(isa):
    kernels = kernels_for("float64", isa)
    x, W, b, y = np.zeros((3, 2)), np.zeros((2, 4)), np.zeros(4), np.zeros((3, 4))
    forward = dict(x=x, W=W, b=b, y=y)
    backward = dict(x=x, W=W, dy=y, dx=np.zeros((3, 2)), dW=np.zeros((2, 4)), db=np.zeros(4))
    assert accepted_shapes(kernels.linear_forward, forward) == set()
    assert accepted_shapes(kernels.linear_backward, backward) == set()
    for n, D, K in ((0, 2, 4), (3, 0, 4), (3, 2, 0)):
        x, W, b, y = np.zeros((n, D)), np.zeros((D, K)), np.zeros(K), np.zeros((n, K))
        with pytest.raises(ValueError, match="needs"):
            kernels.linear_forward(x, W, b, y)
        with pytest.raises(ValueError, match="needs"):
            kernels.linear_backward(x, W, y, x.copy(), W.copy(), b)
