"""Which kernels are used; and the small ones against NumPy, on every instruction set."""

from importlib.util import find_spec

import numpy as np
import pytest
from processes import run_python
from reference import accepted_shapes, pack, ragged_lengths

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
    # optional packages, where they are installed
    optional = {name: find_spec(name) for name in ("matplotlib", "onnx", "pandas", "torch")}
    assert {name for name in optional if name in lines} == {n for n, s in optional.items() if s}


def test_import_is_light():
    """Nothing that only some users need, and nothing that sklearn.base does without."""
    code = """
import sys, sklearn.base
before = set(sys.modules)
import skgru
heavy = "matplotlib pandas onnx torch jax rich sklearn.metrics sklearn.model_selection scipy.stats "
heavy += "skgru.streaming"
print(*[m for m in heavy.split() if m in set(sys.modules) - before])
"""
    code += "print(*[m for m in sys.modules if m.startswith('skgru.kernels.float')])"
    assert run_python(code).stdout == "\n\n"


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
def test_linear_gradients_are_added(isa, dtype):
    """In more rows than are multiplied at a time, so that each share is added once."""
    rng, (n, D, K) = np.random.default_rng(0), (700, 19, 5)
    x, W, b, dy = (rng.normal(size=s).astype(dtype) for s in ((n, D), (D, K), K, (n, K)))
    dx, dW, db = np.empty_like(x), W.copy(), b.copy()
    kernels_for(dtype, isa).linear_backward(x, W, dy, dx, dW, db)
    for got, want in ((dW, W + x.T @ dy), (db, b + dy.sum(axis=0))):
        np.testing.assert_allclose(got, want, atol=tolerance(dtype) * np.abs(want).max())


def test_linear_shapes_are_checked(isa):
    kernels = kernels_for("float64", isa)
    x, W, b, y = np.zeros((3, 2)), np.zeros((2, 4)), np.zeros(4), np.zeros((3, 4))
    there = dict(x=x, W=W, b=b, y=y)
    back = dict(x=x, W=W, dy=y, dx=np.zeros((3, 2)), dW=np.zeros((2, 4)), db=np.zeros(4))
    assert accepted_shapes(kernels.linear_forward, there) == set()
    assert accepted_shapes(kernels.linear_backward, back) == set()
    for n, D, K in ((0, 2, 4), (3, 0, 4), (3, 2, 0)):
        x, W, b, y = np.zeros((n, D)), np.zeros((D, K)), np.zeros(K), np.zeros((n, K))
        with pytest.raises(ValueError, match="needs"):
            kernels.linear_forward(x, W, b, y)
        with pytest.raises(ValueError, match="needs"):
            kernels.linear_backward(x, W, y, x.copy(), W.copy(), b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_shares", [1, 3])
@pytest.mark.parametrize(("P", "n_weights"), [(1, 0), (3, 3), (50, 17), (3000, 2900)])
def test_penalized_gradient(isa, P, n_weights, n_shares, dtype):
    rng = np.random.default_rng(0)
    shares = rng.normal(size=(n_shares, P)).astype(dtype)
    parameters = rng.normal(size=P).astype(dtype)
    gradient = np.full(P, np.nan, dtype)
    norm, squared = kernels_for(dtype, isa).penalized_gradient(
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
    norm, _ = kernels_for("float32", isa).penalized_gradient(shares, zeros, 500, 0.0, zeros.copy())
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
            kernels.penalized_gradient(*bad)


def packed(kernels, values, starts, lengths):
    shape, n_steps = (sum(lengths), values.shape[1]), lengths[0]
    x, batch_sizes = np.full(shape, np.nan, values.dtype), np.full(n_steps, -1)
    kernels.pack_steps(values, np.array(starts), np.array(lengths), x, batch_sizes)
    return x, batch_sizes


@pytest.mark.parametrize("dtype", DTYPES)
def test_pack_steps(isa, dtype):
    values = np.arange(22, dtype=dtype).reshape(11, 2)
    x, batch_sizes = packed(kernels_for(dtype, isa), values, [5, 0, 9], [4, 2, 2])
    np.testing.assert_array_equal(x, values[[5, 0, 9, 6, 1, 10, 7, 8]])
    np.testing.assert_array_equal(batch_sizes, [3, 3, 1, 1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("B", "T", "D"), [(1, 1, 1), (5, 4, 3), (67, 31, 9), (3, 100, 17)])
def test_packed_steps_go_back_where_they_came_from(isa, B, T, D, dtype):
    """With gaps between the sequences, which stay as they are."""
    rng, kernels, lengths = np.random.default_rng(0), kernels_for(dtype, isa), ragged_lengths(B, T)
    starts = np.empty(B, np.intp)
    order = rng.permutation(B)
    starts[order] = np.cumsum(lengths[order] + 2) - lengths[order]
    values = rng.normal(size=(starts.max() + T + 2, D)).astype(dtype)
    values.flags.writeable = starts.flags.writeable = lengths.flags.writeable = False
    x, batch_sizes = packed(kernels, values, starts, lengths)
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
def test_steps_outside_the_values_are_refused(isa, starts, lengths):
    """Whatever of the other arrays would fit; what would be written to is not."""
    kernels, values = kernels_for("float64", isa), np.zeros((11, 2))
    starts, lengths = np.array(starts, np.intp), np.array(lengths, np.intp)
    for n_rows in {0, 3, 5, max(0, min(lengths.sum(), 11))}:
        for n_steps in {0, 3, *lengths[(lengths > 0) & (lengths < 20)]}:
            x, batch_sizes = np.ones((n_rows, 2)), np.full(n_steps, -1)
            with pytest.raises(ValueError, match="must|within"):
                kernels.pack_steps(values, starts, lengths, x, batch_sizes)
            with pytest.raises(ValueError, match="must|within"):
                kernels.unpack_steps(x, starts, lengths, values)
            assert (x == 1).all()
            assert (batch_sizes == -1).all()
            assert (values == 0).all()


def test_minibatch_shapes_are_checked(isa):
    kernels = kernels_for("float64", isa)
    values, x, sizes = np.zeros((11, 2)), np.zeros((8, 2)), np.array([3, 3, 1, 1])
    of = dict(starts=np.array([5, 0, 9]), lengths=np.array([4, 2, 2]))
    arguments = dict(values=values, **of, x=x, batch_sizes=sizes.copy())
    assert accepted_shapes(kernels.pack_steps, arguments) == {("values", (12, 2))}
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
    """There, and back again; between slices of wider arrays, and added."""
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


def test_reverse_steps_takes_rows_in_one_piece(isa):
    kernels, sizes = kernels_for("float64", isa), np.array([2, 1])
    x, twice = np.zeros((3, 2)), np.zeros((3, 4))
    for bad in (twice[:, ::2], twice[:, 1::-1], np.zeros((2, 3)).T):
        for arguments in ((bad, sizes, x), (x, sizes, bad)):
            with pytest.raises(ValueError, match="one after the other"):
                kernels.reverse_steps(*arguments, False)
    # of one number a row, wherever the next one would be
    column = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    kernels.reverse_steps(column[:, ::2], sizes, twice[:, 1::3][:, :1], False)
    np.testing.assert_array_equal(twice, [[0, 3, 0, 0], [0, 2, 0, 0], [0, 1, 0, 0]])


@pytest.mark.parametrize("sizes", [[], [1, 2], [2], [2, 2], [3, 0], [4, -1], [0, 3]])
def test_reverse_steps_checks_batch_sizes(isa, sizes):
    x, batch_sizes = np.zeros((3, 2)), np.array(sizes, np.intp)
    with pytest.raises(ValueError, match="must be|add up"):
        kernels_for("float64", isa).reverse_steps(x, batch_sizes, x.copy(), False)


def test_batch_sizes_do_not_add_up_by_overflow():
    """In a process of its own, which would crash: 4 * 2⁶² + 3 is 3 in 64 bits."""
    code = """
import numpy as np
from skgru.kernels import kernels_for
x = np.zeros((3, 2))
try:
    kernels_for("float64").reverse_steps(x, np.array([2**62] * 4 + [1] * 3), x.copy(), False)
except ValueError:
    print("refused")
"""
    assert run_python(code).stdout == "refused\n"
