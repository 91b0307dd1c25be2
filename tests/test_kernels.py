"""Which kernels are used; and the small ones against NumPy, on every instruction set."""

import numpy as np
import pytest
from processes import run_python

from skgru.kernels import instruction_sets, kernels_for

DTYPES = ["float32", "float64"]


def tolerance(dtype):
    return {"float32": 1e-5, "float64": 1e-13}[dtype]


SHOW = "from skgru.kernels import active_instruction_set as f; print(f())"


def test_the_fastest_is_the_default():
    assert run_python(SHOW, SKGRU_ISA=None).stdout.strip() == instruction_sets()[-1]


def test_skgru_isa_forces_one(isa):
    code = (
        SHOW
        + """
from skgru import GRURegressor
import numpy as np, sys
GRURegressor(max_iter=1, early_stopping=False).fit(np.eye(9), np.arange(9.0)).predict(np.eye(9))
print(*[name for name in sys.modules if name.startswith("skgru.kernels.float")])
"""
    )
    out = run_python(code, SKGRU_ISA=isa, PYTHONWARNINGS="ignore")
    assert out.stdout.split() == [isa, f"skgru.kernels.float32_{isa.replace('-', '_')}"]


def test_show_versions(isa):
    out = run_python("import skgru; skgru.show_versions()", SKGRU_ISA=isa)
    lines = dict(line.split(": ", 1) for line in out.stdout.splitlines())
    assert lines["instruction set"] == f"{isa} (of {', '.join(instruction_sets())})"
    assert lines["numpy"] == np.__version__
    assert lines["threads"] == "1 with n_jobs=None"


def test_import_is_light():
    """Nothing that only some users need, and nothing that sklearn.base does without."""
    code = """
import sys, sklearn.base
before = set(sys.modules)
import skgru
heavy = "matplotlib pandas onnx torch jax sklearn.metrics sklearn.model_selection scipy.stats"
print(*[m for m in heavy.split() if m in set(sys.modules) - before])
"""
    assert run_python(code).stdout == "\n"


@pytest.mark.parametrize("name", ["avx9", "x86_64_v3", "neon", "PORTABLE"])
def test_an_unknown_skgru_isa_is_refused(name):
    if name in instruction_sets():
        pytest.skip(f"{name} exists here")
    out = run_python(SHOW, SKGRU_ISA=name)
    assert out.returncode == 1
    assert f"SKGRU_ISA='{name}' cannot be used" in out.stderr
    assert ", ".join(instruction_sets()) in out.stderr


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n", "D", "K"), [(1, 1, 1), (7, 5, 3), (13, 64, 9), (50, 100, 40)])
def test_linear(isa, n, D, K, dtype):
    rng = np.random.default_rng(0)
    x, W, b, dy = (rng.normal(size=s).astype(dtype) for s in ((n, D), (D, K), K, (n, K)))
    y, dx, dW, db = (np.full_like(a, np.nan) for a in (dy, x, W, b))
    kernels = kernels_for(dtype, isa)
    kernels.linear_forward(x, W, b, y)
    kernels.linear_backward(x, W, dy, dx, dW, db)
    for got, want in ((y, x @ W + b), (dx, dy @ W.T), (dW, x.T @ dy), (db, dy.sum(axis=0))):
        np.testing.assert_allclose(got, want, atol=tolerance(dtype) * np.abs(want).max())
    for k in range(n):
        alone = np.empty((1, K), dtype)
        kernels.linear_forward(x[k : k + 1], W, b, alone)
        np.testing.assert_array_equal(alone[0], y[k])


def test_linear_shapes_are_checked(isa):
    kernels = kernels_for("float64", isa)
    x, W, b, y = np.zeros((3, 2)), np.zeros((2, 4)), np.zeros(4), np.zeros((3, 4))
    kernels.linear_forward(x, W, b, y)
    for bad in ((x[:, :1].copy(), W, b, y), (x, W, b[:3], y), (x, W, b, y[:2]), (x[:0], W, b, y)):
        with pytest.raises(ValueError, match="must be|needs"):
            kernels.linear_forward(*bad)
        with pytest.raises(ValueError, match="must be|needs"):
            kernels.linear_backward(
                bad[0], bad[1], bad[3], np.zeros(bad[0].shape), np.zeros((2, 4)), bad[2].copy()
            )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_shares", [1, 3])
@pytest.mark.parametrize(("P", "n_weights"), [(1, 0), (3, 3), (50, 17), (3000, 2900)])
def test_penalised_gradient(isa, P, n_weights, n_shares, dtype):
    rng = np.random.default_rng(0)
    shares = rng.normal(size=(n_shares, P)).astype(dtype)
    parameters = rng.normal(size=P).astype(dtype)
    gradient = np.full(P, np.nan, dtype)
    norm, squared = kernels_for(dtype, isa).penalised_gradient(
        shares, parameters, n_weights, 0.25, gradient
    )
    want = shares.sum(axis=0) + 0.25 * np.where(np.arange(P) < n_weights, parameters, 0)
    np.testing.assert_allclose(gradient, want, atol=10 * tolerance(dtype))
    np.testing.assert_allclose(norm, np.linalg.norm(want), rtol=tolerance(dtype))
    np.testing.assert_allclose(squared, (parameters[:n_weights] ** 2).sum(), rtol=tolerance(dtype))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("i", [0, 16, 999])
def test_the_norm_tells_of_every_entry_that_is_not_finite(isa, i, bad):
    shares = np.zeros((2, 1000), np.float32)
    shares[1, i] = bad
    zeros = np.zeros(1000, np.float32)
    norm, _ = kernels_for("float32", isa).penalised_gradient(shares, zeros, 500, 0.0, zeros.copy())
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
    shares = np.zeros((2, 5))
    for bad in (
        (shares[:, :4].copy(), p, 3, 0.0, p),
        (shares[:0], p, 3, 0.0, p),
        (shares, p, 6, 0.0, p),
        (shares, p, 3, 0.0, short),
    ):
        with pytest.raises(ValueError, match="must be"):
            kernels.penalised_gradient(*bad)


def packed(kernels, values, starts, lengths, samples, n_rows, n_steps):
    x, batch_sizes = np.full((n_rows, values.shape[1]), np.nan, values.dtype), np.full(n_steps, -1)
    starts, lengths, samples = (np.array(a, np.intp) for a in (starts, lengths, samples))
    kernels.pack_steps(values, starts, lengths, samples, x, batch_sizes)
    return x, batch_sizes


@pytest.mark.parametrize("dtype", DTYPES)
def test_pack_steps(isa, dtype):
    values = np.arange(22, dtype=dtype).reshape(11, 2)
    starts, lengths = [0, 2, 5, 9], [2, 3, 4, 2]
    x, batch_sizes = packed(kernels_for(dtype, isa), values, starts, lengths, [2, 0, 3], 8, 4)
    np.testing.assert_array_equal(x, values[[5, 0, 9, 6, 1, 10, 7, 8]])
    np.testing.assert_array_equal(batch_sizes, [3, 3, 1, 1])


@pytest.mark.parametrize(
    ("starts", "lengths", "samples", "n_rows", "n_steps"),
    [
        ([0, 2], [2, 3], [2], 3, 3),
        ([0, 2], [2, 3], [-1], 3, 3),
        ([0, 2], [2], [1], 3, 3),
        ([9], [3], [0], 3, 3),
        ([-1], [3], [0], 3, 3),
        ([0], [0], [0], 0, 0),
        ([0, 2], [2, 3], [0, 1], 5, 2),
        ([0, 2], [2, 3], [1, 0], 4, 3),
        ([0, 2], [2, 3], [1, 0], 5, 4),
        ([0, 2], [2, 3], [], 0, 0),
    ],
)
def test_pack_steps_stays_within_the_values(isa, starts, lengths, samples, n_rows, n_steps):
    kernels, values = kernels_for("float64", isa), np.zeros((11, 2))
    with pytest.raises(ValueError, match="must|within|no sequence"):
        packed(kernels, values, starts, lengths, samples, n_rows, n_steps)
