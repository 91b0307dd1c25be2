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
        shards, parameters, n_weights, 0.25, np.array([[0, P]]), gradient
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
    norm, _ = kernels_for("float32", isa).penalized_gradient(
        shards, zeros, 500, 0.0, np.array([[0, 1000]]), zeros.copy()
    )
    assert not np.isfinite(norm)


def test_update_shapes_are_checked(isa):
    kernels = kernels_for("float64", isa)
    p, short, all_of_it = np.zeros(5), np.zeros(4), np.array([[0, 5]])
    for gradient, *bad in ((short, p, p), (p, short, p), (p, p, short)):
        with pytest.raises(ValueError, match="length"):
            kernels.adam(p, gradient, all_of_it, *bad, 1.0, 0.1, 0.9, 0.999, 1e-8)
    for gradient, bad in ((short, p), (p, short)):
        with pytest.raises(ValueError, match="length"):
            kernels.sgd(p, gradient, all_of_it, bad, 0.1, 0.9, True)
    shards = np.zeros((2, 5))
    for bad in (
        (shards[:, :4].copy(), p, 3, 0.0, all_of_it, p),
        (shards[:0], p, 3, 0.0, all_of_it, p),
        (shards, p, 6, 0.0, all_of_it, p),
        (shards, p, 3, 0.0, all_of_it, short),
    ):
        with pytest.raises(ValueError, match="must be"):
            kernels.penalized_gradient(*bad)
    for wrong in ([[-1, 5]], [[0, 6]], [[3, 2]], [[0, 3], [2, 5]]):
        segments = np.array(wrong)
        for call in (
            lambda s: kernels.adam(p, p, s, p, p, 1.0, 0.1, 0.9, 0.999, 1e-8),
            lambda s: kernels.sgd(p, p, s, p, 0.1, 0.9, True),
            lambda s: kernels.penalized_gradient(shards, p, 3, 0.0, s, p),
            lambda s: kernels.clear(shards, s),
        ):
            with pytest.raises(ValueError, match="segment"):
                call(segments)
    with pytest.raises(ValueError, match="segments must be"):
        kernels.clear(shards, np.zeros((1, 3), np.intp))


@pytest.mark.parametrize("dtype", DTYPES)
def test_updates_leave_what_is_outside_of_the_segments_alone(isa, dtype):
    kernels, rng, size = kernels_for(dtype, isa), np.random.default_rng(1), 100
    segments = np.array([[0, 33], [40, 41], [41, 41], [60, 95]])
    inside = np.zeros(size, bool)
    for start, stop in segments:
        inside[start:stop] = True
    shards = rng.normal(size=(2, size)).astype(dtype)
    start = rng.normal(size=size).astype(dtype)
    whole = np.array([[0, size]])
    gradients, norms = [], []
    for parts, of in ((shards, segments), (np.where(inside, shards, 0).astype(dtype), whole)):
        gradients.append(np.zeros(size, dtype))
        weights = np.where(inside, start, 0).astype(dtype)
        norms.append(kernels.penalized_gradient(parts, weights, 70, 0.5, of, gradients[-1]))
    np.testing.assert_array_equal(*gradients)
    np.testing.assert_allclose(*norms, rtol=tolerance(dtype))
    for update, n_vectors, settings in (
        (kernels.adam, 2, (0.5, 0.1, 0.9, 0.999, 1e-8)),
        (kernels.sgd, 1, (0.1, 0.9, True)),
    ):
        results = []
        for of in (segments, whole):
            vectors = [np.full(size, 0.25, dtype) for _ in range(n_vectors)]
            parameters = start.copy()
            update(parameters, gradients[0], of, *vectors, *settings)
            results.append([parameters, *vectors])
        for got, every, before in zip(*results, [start, 0.25, 0.25], strict=False):
            np.testing.assert_array_equal(got, np.where(inside, every, before).astype(dtype))
    cleared = shards.copy()
    kernels.clear(cleared, segments)
    np.testing.assert_array_equal(cleared, np.where(inside, 0, shards))
