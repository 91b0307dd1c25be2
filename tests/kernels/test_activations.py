"""σ and tanh of the kernels over the whole range of each dtype."""

import numpy as np
import pytest

from skgru.kernels import kernels_for

# Largest error in units in the last place, as the user guide states it.
ULP = {"float32": 3, "float64": 3.5}


def activations(kernels, a):
    """Return σ(a) and tanh(a): the gates of a layer with W = 1, U = 0 and b = 0."""
    n, dtype = len(a), a.dtype
    W, U, b, c = (np.zeros(shape, dtype) for shape in ((1, 3), (1, 3), 3, 0))
    W[:] = 1
    none = np.empty((0, 0), dtype)
    layers = kernels.RecurrentLayers(kernels.CELLS["gru"][0], [[(W, U, b, c)]], [])
    inputs = a[:, np.newaxis], none.astype(np.int32), none
    layers.forward([inputs], np.array([n]), none, none, keep=True)
    gates = layers.kept(0)["saved"]
    return {"sigma": gates[:, 1], "tanh": gates[:, 2]}


def exact(a):
    """Return σ(a) and tanh(a) computed in a wider format."""
    a = a.astype(np.longdouble if a.dtype == np.float64 else np.float64)
    # exp(-|a|) does not overflow
    e = np.exp(-np.abs(a))
    return {"sigma": np.where(a >= 0, 1 / (1 + e), e / (1 + e)), "tanh": np.tanh(a)}


def ulps(want, dtype):
    """Return how many units in the last place of each exact value are 1, in its wider format.

    None below the smallest normal number: no error counts there.
    """
    result = {}
    for name, values in want.items():
        magnitude = np.abs(values)
        unit = np.spacing(magnitude.astype(dtype)).astype(values.dtype)
        result[name] = (magnitude >= np.finfo(dtype).tiny) / unit
    return result


def errors(kernels, a, want, per_one):
    """Return errors in ulp."""
    got = activations(kernels, a)
    return {name: np.abs(got[name] - want[name]) * per_one[name] for name in got}


def sample(dtype):
    """Return numbers of all magnitudes, dense where the functions are neither 0 nor 1."""
    info = np.finfo(dtype)
    ends = {"float32": 87, "float64": 708}[dtype]
    a = np.concatenate(
        [
            np.linspace(0, ends, 400_001),
            np.linspace(0, 12, 400_001),
            np.geomspace(info.tiny, info.max, 200_001, dtype=np.longdouble).clip(max=ends),
        ]
    ).astype(dtype)
    return np.concatenate([a, -a])


@pytest.fixture(scope="module", params=["float32", "float64"])
def sampled(request):
    """A sample, exact values, and ulps of each: once for all instruction sets."""
    a = sample(request.param)
    want = exact(a)
    return a, want, ulps(want, a.dtype)


def test_error_in_ulp(isa, sampled):
    dtype = sampled[0].dtype.name
    for name, error in errors(kernels_for(dtype, isa), *sampled).items():
        assert error.max() <= ULP[dtype], name


@pytest.mark.slow
def test_error_in_ulp_of_every_256th_float(isa):
    """All exponents, and one fraction in 256."""
    kernels = kernels_for("float32", isa)
    n_tested = 0
    for start in range(5, 2**32, 2**27):
        a = np.arange(start, start + 2**27, 256, dtype=np.uint32).view(np.float32)
        a = a[np.abs(a) <= 87]
        if not len(a):  # all are larger, or NaN
            continue
        want = exact(a)
        for name, error in errors(kernels, a, want, ulps(want, a.dtype)).items():
            assert error.max() <= ULP["float32"], name
        n_tested += len(a)
    assert n_tested > 2**23


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_infinities_zeros_nan_and_denormals(isa, dtype):
    info = np.finfo(dtype)
    kernels = kernels_for(dtype, isa)
    a = np.array([np.inf, info.max, -np.inf, -info.max, 0, -0.0, np.nan], dtype)
    got = activations(kernels, a)
    np.testing.assert_allclose(got["sigma"], [1, 1, 0, 0, 0.5, 0.5, np.nan], atol=2e-38)
    np.testing.assert_array_equal(got["tanh"], [1, 1, -1, -1, 0, 0, np.nan])
    denormal = np.array([info.smallest_subnormal, -info.tiny / 2], dtype)
    got = activations(kernels, denormal)
    np.testing.assert_array_equal(got["sigma"], 0.5)
    np.testing.assert_allclose(got["tanh"], 0, atol=info.tiny)
