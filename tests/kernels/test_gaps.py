"""Decay where values are missing: against the equations of the paper, and central differences."""

import numpy as np
import pytest
import reference
from helpers import accepted_shapes, central_differences, relative_error

from skgru.kernels import kernels_for

DTYPES = ["float32", "float64"]


def problem(N, D, H, dtype="float64", seed=0):
    """Return what was observed and has elapsed, the weights of the decays, and raw values."""
    rng = np.random.default_rng(seed)
    seen = (rng.random((N, D)) > 0.4).astype(dtype)
    x, last, mean = rng.normal(size=(N, D)), rng.normal(size=(N, D)), rng.normal(size=D)
    elapsed = rng.uniform(0.1, 4, size=(N, D))
    a, d = np.where(seen == 1, x, mean), np.where(seen == 1, 0, last - mean)
    observed, since = np.hstack([a, seen]).astype(dtype), np.hstack([d, elapsed]).astype(dtype)
    shapes = {"w_x": D, "b_x": D, "W_h": (D, H), "b_h": H}
    weights = {k: rng.normal(size=s).astype(dtype) / 2 for k, s in shapes.items()}
    return observed, since, weights, (x, seen, elapsed, last, mean)


def run(kernels, observed, since, weights):
    """Return x̂ | m and both γ."""
    N, D, H = len(since), *weights["W_h"].shape
    x, gamma_x, gamma_h = (np.full((N, n), np.nan, since.dtype) for n in (2 * D, D, H))
    kernels.decay_forward(observed, since, *weights.values(), x, gamma_x, gamma_h)
    return x, gamma_x, gamma_h


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("N", "D", "H"), [(1, 1, 1), (7, 3, 5), (300, 17, 33)])
def test_decay_matches_the_equations(isa, N, D, H, dtype):
    observed, since, weights, raw = problem(N, D, H, dtype)
    x, _, gamma_h = run(kernels_for(dtype, isa), observed, since, weights)
    filled, want_h = reference.decay(*raw, *(w.astype(float) for w in weights.values()))
    tolerance = {"float32": 2e-6, "float64": 1e-12}[dtype]
    assert relative_error(x[:, :D], filled) <= tolerance
    assert relative_error(gamma_h, want_h) <= tolerance
    np.testing.assert_array_equal(x[:, D:], raw[1])
    seen = raw[1] == 1
    np.testing.assert_array_equal(x[:, :D][seen], observed[:, :D][seen])


@pytest.mark.parametrize(("N", "D", "H"), [(1, 1, 1), (5, 3, 4), (300, 2, 3)])
def test_gradients_match_central_differences(isa, N, D, H):
    kernels = kernels_for("float64", isa)
    observed, since, weights, _ = problem(N, D, H)
    rng = np.random.default_rng(1)
    dx, d_gamma_h = rng.normal(size=(N, 2 * D)), rng.normal(size=(N, H))
    _, gamma_x, gamma_h = run(kernels, observed, since, weights)

    def loss():
        x, _, gamma = run(kernels, observed, since, weights)
        return (dx * x).sum() + (d_gamma_h * gamma).sum()

    gradients = [np.ones_like(w) for w in weights.values()]
    kernels.decay_backward(since, gamma_x, gamma_h, dx, d_gamma_h.copy(), *gradients)
    for gradient, (name, w) in zip(gradients, weights.items(), strict=True):
        assert relative_error(gradient - 1, central_differences(loss, w)) <= 1e-6, name


def test_decays_of_zero_change_no_bit(isa):
    for dtype in DTYPES:
        observed, since, weights, _ = problem(9, 3, 4, dtype)
        x, gamma_x, gamma_h = run(
            kernels_for(dtype, isa), observed, since, {k: 0 * w for k, w in weights.items()}
        )
        assert (gamma_x == 1).all()
        assert (gamma_h == 1).all()
        np.testing.assert_array_equal(x[:, :3], observed[:, :3] + since[:, :3])


def test_rows_may_be_strided_and_have_the_same_bits_alone(isa):
    for dtype in DTYPES:
        kernels = kernels_for(dtype, isa)
        observed, since, weights, _ = problem(40, 3, 21, dtype)
        together = np.hstack([observed, since])
        whole = run(kernels, observed, since, weights)
        strided = run(kernels, together[:, :6], together[:, 6:], weights)
        alone = [run(kernels, observed[i : i + 1], since[i : i + 1], weights) for i in range(40)]
        for k, want in enumerate(whole):
            np.testing.assert_array_equal(strided[k], want)
            np.testing.assert_array_equal(np.vstack([a[k] for a in alone]), want)


def test_shapes_are_checked(isa):
    kernels = kernels_for("float64", isa)
    observed, since, weights, _ = problem(6, 2, 3)
    x, gamma_x, gamma_h = run(kernels, observed, since, weights)
    forward = {"observed": observed, "elapsed": since, **weights, "x": x}
    forward |= {"gamma_x": gamma_x, "gamma_h": gamma_h}
    assert accepted_shapes(kernels.decay_forward, forward) == set()
    backward = {"elapsed": since, "gamma_x": gamma_x, "gamma_h": gamma_h, "dx": x}
    backward |= {"d_gamma_h": gamma_h.copy(), **{f"d{k}": w for k, w in weights.items()}}
    assert accepted_shapes(kernels.decay_backward, backward) == set()


# ---- codes ---------------------------------------------------------------------------------------


def test_gathered_and_scattered_rows(isa):
    for dtype in DTYPES:
        kernels, rng = kernels_for(dtype, isa), np.random.default_rng(2)
        table = rng.normal(size=(9, 5)).astype(dtype)
        codes = rng.integers(9, size=(30, 2), dtype=np.int32)
        wide = np.full((30, 13), np.nan, dtype)
        kernels.gather_codes(table, codes, wide[:, 3:])
        np.testing.assert_array_equal(wide[:, 3:], table[codes].reshape(30, 10))
        assert np.isnan(wide[:, :3]).all()
        d_table, want = np.ones_like(table), np.ones_like(table)
        kernels.scatter_codes(wide[:, 3:], codes, d_table)
        np.add.at(want, codes.ravel(), wide[:, 3:].reshape(60, 5))
        np.testing.assert_allclose(d_table, want, rtol=1e-5)
    codes = {"table": table, "codes": codes, "y": wide[:, 3:].copy()}
    assert accepted_shapes(kernels.gather_codes, codes) == {("table", (10, 5))}
