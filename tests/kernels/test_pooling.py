"""Kernels of pooling against NumPy, one sequence at a time, in one window and in several.

On every instruction set that this build and this processor support.
"""

import numpy as np
import pytest
from helpers import (
    accepted_shapes,
    central_differences,
    pack,
    ragged_lengths,
    relative_error,
    unpack,
)
from reference import attention

from skgru.kernels import kernels_for

DTYPES = ["float32", "float64"]
NUMPY = {
    "sum": lambda states, query: states.sum(axis=0),
    "max": lambda states, query: states.max(axis=0),
    "attention": attention,
}
every_pooling = pytest.mark.parametrize("pooling", NUMPY)
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


def problem(B, T, H, dtype="float64"):
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(n, H)).astype(dtype) for n in ragged_lengths(B, T)]
    query, d_pooled = rng.normal(size=H).astype(dtype), rng.normal(size=(B, H)).astype(dtype)
    return sequences, *pack(sequences), query, d_pooled


def windows(batch_sizes, n_steps):
    """Yield first step, rows and batch sizes of windows of n_steps; of one window for None."""
    ends = np.r_[0, np.cumsum(batch_sizes)]
    for first in range(0, len(batch_sizes), n_steps or len(batch_sizes)):
        sizes = batch_sizes[first : first + n_steps] if n_steps else batch_sizes
        yield first, slice(ends[first], ends[first + len(sizes)]), sizes


def new_accumulators(pooling, B, H, dtype):
    """Return the accumulators of a pooling before the first time step."""
    if pooling == "sum":
        return {"total": np.zeros((B, H), dtype)}
    if pooling == "max":
        return {"highest": np.full((B, H), -np.inf, dtype), "at_step": np.zeros((B, H), np.intc)}
    return {
        "highest": np.full(B, -np.inf, dtype), "norm": np.zeros(B, dtype),
        "total": np.zeros((B, H), dtype),
    }  # fmt: skip


def add_steps(kernels, pooling, x, sizes, first_step, query, accumulators):
    """Accumulate time steps; return the scores of attention, or None."""
    if pooling == "sum":
        return kernels.sum_steps(x, sizes, *accumulators.values())
    if pooling == "max":
        return kernels.max_forward(x, sizes, first_step, *accumulators.values())
    scores = np.full(len(x), np.nan, x.dtype)
    kernels.attention_forward(x, sizes, query, scores, *accumulators.values())
    return scores


def pooled_of(pooling, accumulators):
    if pooling == "attention":
        return accumulators["total"] / accumulators["norm"][:, np.newaxis]
    return accumulators["total" if pooling == "sum" else "highest"]


def run_forward(kernels, pooling, x, batch_sizes, query, n_steps=None):
    """Return pooled states, and the accumulators."""
    accumulators = new_accumulators(pooling, batch_sizes[0], x.shape[1], x.dtype)
    for first, rows, sizes in windows(batch_sizes, n_steps):
        add_steps(kernels, pooling, x[rows], sizes, first, query, accumulators)
    return pooled_of(pooling, accumulators), accumulators


def run_backward(kernels, pooling, x, batch_sizes, query, d_pooled, n_steps=None, d_query=None):
    """Return the gradients of the states and of the query; the latter is added to d_query."""
    pooled, accumulators = run_forward(kernels, pooling, x, batch_sizes, query, n_steps)
    d_states = np.full_like(x, np.nan)
    d_query = np.zeros_like(query) if d_query is None else d_query
    for first, rows, sizes in reversed(list(windows(batch_sizes, n_steps))):
        if pooling == "sum":
            kernels.repeat_steps(d_pooled, sizes, d_states[rows])
        elif pooling == "max":
            kernels.max_backward(d_pooled, accumulators["at_step"], sizes, first, d_states[rows])
        else:
            kernels.attention_backward(
                x[rows], sizes, query, accumulators["highest"], accumulators["norm"], pooled,
                d_pooled, d_states[rows], d_query,
            )  # fmt: skip
    return d_states, d_query


# ---- every pooling -------------------------------------------------------------------------------


@both_dtypes
@every_pooling
@pytest.mark.parametrize(
    ("B", "T", "H"), [(1, 1, 1), (1, 9, 3), (5, 4, 17), (13, 30, 64), (67, 7, 100)]
)
def test_pooling_matches_numpy(isa, B, T, H, pooling, dtype):
    """Windows give the same bits as one pass: steps are added one by one."""
    sequences, x, batch_sizes, query, d_pooled = problem(B, T, H, dtype)
    kernels = kernels_for(dtype, isa)
    for array in (x, batch_sizes, query, d_pooled):
        array.flags.writeable = False
    pooled, accumulators = run_forward(kernels, pooling, x, batch_sizes, query)
    exact = query.astype("float64")
    want = np.array([NUMPY[pooling](s.astype("float64"), exact) for s in sequences])
    assert relative_error(pooled, want) <= {"float32": 1e-5, "float64": 2e-14}[dtype]
    d_states, d_query = run_backward(kernels, pooling, x, batch_sizes, query, d_pooled)
    for n_steps in (1, 3, T):
        again, accumulators_again = run_forward(kernels, pooling, x, batch_sizes, query, n_steps)
        np.testing.assert_array_equal(again, pooled)
        for name in accumulators:
            np.testing.assert_array_equal(accumulators_again[name], accumulators[name])
        d_again, d_query_again = run_backward(
            kernels, pooling, x, batch_sizes, query, d_pooled, n_steps
        )
        np.testing.assert_array_equal(d_again, d_states)
        # windows add to it in another order
        assert relative_error(d_query_again, d_query) <= {"float32": 1e-5, "float64": 1e-13}[dtype]


@every_pooling
@pytest.mark.parametrize("n_steps", [None, 2])
@pytest.mark.parametrize(("B", "T", "H"), [(1, 1, 1), (4, 7, 3), (3, 5, 9)])
def test_gradients_match_central_differences(isa, B, T, H, n_steps, pooling):
    _, x, batch_sizes, query, d_pooled = problem(B, T, H)
    kernels = kernels_for("float64", isa)

    def loss():
        return np.vdot(run_forward(kernels, pooling, x, batch_sizes, query)[0], d_pooled)

    d_states, d_query = run_backward(kernels, pooling, x, batch_sizes, query, d_pooled, n_steps)
    np.testing.assert_allclose(d_states, central_differences(loss, x), atol=1e-9)
    np.testing.assert_allclose(d_query, central_differences(loss, query), atol=1e-9)


@both_dtypes
@every_pooling
@pytest.mark.parametrize("H", [5, 64])
def test_a_sequence_has_the_same_bits_in_any_minibatch(isa, H, pooling, dtype):
    sequences, x, batch_sizes, query, d_pooled = problem(25, 7, H, dtype)
    kernels = kernels_for(dtype, isa)
    pooled, _ = run_forward(kernels, pooling, x, batch_sizes, query)
    d_states, _ = run_backward(kernels, pooling, x, batch_sizes, query, d_pooled)
    d_states = unpack(d_states, batch_sizes)
    for first, stop in ((0, 1), (3, 5), (4, 17), (11, 25)):
        some = slice(first, stop)
        part = (*pack(sequences[some]), query)
        np.testing.assert_array_equal(run_forward(kernels, pooling, *part)[0], pooled[some])
        d_part, _ = run_backward(kernels, pooling, *part, d_pooled[some])
        for got, want in zip(unpack(d_part, part[1]), d_states[some], strict=True):
            np.testing.assert_array_equal(got, want)


@both_dtypes
@every_pooling
def test_sequences_outside_the_window_are_unchanged(isa, pooling, dtype):
    """The accumulators are those of all 9 sequences; the window has the first 3."""
    _, x, batch_sizes, query, _ = problem(9, 4, 7, dtype)
    kernels = kernels_for(dtype, isa)
    _, accumulators = run_forward(kernels, pooling, x, batch_sizes, query)
    before = {name: array.copy() for name, array in accumulators.items()}
    more = np.full((6, 7), 100, dtype)  # larger than all before
    query = np.ones(7, dtype)
    add_steps(kernels, pooling, more, np.array([3, 3]), 4, query, accumulators)
    for name, array in accumulators.items():
        np.testing.assert_array_equal(array[3:], before[name][3:])
        assert (array[:3] != before[name][:3]).all()


# ---- max and attention ---------------------------------------------------------------------------


@both_dtypes
@pytest.mark.parametrize("n_steps", [None, 1, 2])
def test_the_first_of_tied_steps_is_the_maximum(isa, n_steps, dtype):
    kernels = kernels_for(dtype, isa)
    x, batch_sizes = pack(
        [
            np.array([[1, 5, -3], [2, 5, -3], [2, 4, -3], [1, 5, -3]], dtype),
            np.array([[0, -1, 1], [-0.0, -1, 2]], dtype),
        ]
    )
    query, d_pooled = np.zeros(3, dtype), np.arange(1, 7, dtype=dtype).reshape(2, 3)
    pooled, accumulators = run_forward(kernels, "max", x, batch_sizes, query, n_steps)
    np.testing.assert_array_equal(pooled, [[2, 5, -3], [0, -1, 2]])
    np.testing.assert_array_equal(accumulators["at_step"], [[1, 0, 0], [0, 0, 1]])
    d_states, _ = run_backward(kernels, "max", x, batch_sizes, query, d_pooled, n_steps)
    first, second = unpack(d_states, batch_sizes)
    np.testing.assert_array_equal(first, [[0, 2, 3], [1, 0, 0], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(second, [[4, 5, 0], [0, 0, 6]])


@both_dtypes
def test_steps_of_the_maximum_equal_argmax(isa, dtype):
    """With states of few values, and so many ties."""
    rng, kernels = np.random.default_rng(0), kernels_for(dtype, isa)
    sequences = [rng.integers(-2, 3, size=(n, 37)).astype(dtype) for n in ragged_lengths(20, 11)]
    x, batch_sizes = pack(sequences)
    _, accumulators = run_forward(kernels, "max", x, batch_sizes, np.zeros(37, dtype), 4)
    np.testing.assert_array_equal(accumulators["at_step"], [s.argmax(axis=0) for s in sequences])


@both_dtypes
@pytest.mark.parametrize("n_steps", [None, 3])
def test_scores_and_weights_of_attention(isa, n_steps, dtype):
    """exp(score - highest) / norm is the softmax over the steps of a sequence."""
    sequences, x, batch_sizes, query, _ = problem(13, 10, 21, dtype)
    kernels, accumulators = kernels_for(dtype, isa), new_accumulators("attention", 13, 21, dtype)
    scores = np.concatenate(
        [
            add_steps(kernels, "attention", x[rows], sizes, first, query, accumulators)
            for first, rows, sizes in windows(batch_sizes, n_steps)
        ]
    )
    tolerance = {"float32": 1e-5, "float64": 1e-13}[dtype]
    np.testing.assert_allclose(scores, x @ query, atol=10 * tolerance)
    for own, highest, norm, states in zip(
        unpack(scores, batch_sizes),
        accumulators["highest"],
        accumulators["norm"],
        sequences,
        strict=True,
    ):
        assert highest == own.max()
        exact = np.exp(states.astype("float64") @ query.astype("float64"))
        np.testing.assert_allclose(
            np.exp(own - highest) / norm, exact / exact.sum(), rtol=10 * tolerance
        )


@both_dtypes
@pytest.mark.parametrize("n_steps", [None, 1, 3])
@pytest.mark.parametrize("size", [1e3, 1e15, 1e30])
def test_huge_scores_do_not_overflow(isa, size, n_steps, dtype):
    """One step has all the weight, at any position, with positive and negative scores."""
    sequences, x, batch_sizes, _, d_pooled = problem(15, 8, 19, dtype)
    kernels, query = kernels_for(dtype, isa), np.zeros(19, dtype)
    for sign in (1, -1):
        query[3] = sign * size
        for k, states in enumerate(sequences):
            states[:, 3] = 1 + np.random.default_rng(k).permutation(len(states))
        x, batch_sizes = pack(sequences)
        pooled, _ = run_forward(kernels, "attention", x, batch_sizes, query, n_steps)
        at = [(s @ query).argmax() for s in sequences]
        np.testing.assert_array_equal(pooled, [s[i] for s, i in zip(sequences, at, strict=True)])
        d_states, d_query = run_backward(
            kernels, "attention", x, batch_sizes, query, d_pooled, n_steps
        )
        for got, i, d in zip(unpack(d_states, batch_sizes), at, d_pooled, strict=True):
            np.testing.assert_array_equal(got, d * (np.arange(len(got)) == i)[:, np.newaxis])
        assert (d_query == 0).all()


@both_dtypes
def test_huge_scores_have_the_same_bits_forward_and_backward(isa, dtype):
    """Scores are rounded alike: otherwise exp(score - highest) would be 0 or inf."""
    sequences, x, batch_sizes, query, d_pooled = problem(15, 8, 19, dtype)
    kernels = kernels_for(dtype, isa)
    for H in (19, 16, 5, 2):
        part, own = np.ascontiguousarray(x[:, :H]), query[:H] * np.dtype(dtype).type(1e25)
        d = np.ascontiguousarray(d_pooled[:, :H])
        d_states, d_query = run_backward(kernels, "attention", part, batch_sizes, own, d)
        at = [(s[:, :H].astype("float64") @ own.astype("float64")).argmax() for s in sequences]
        for got, i, want in zip(unpack(d_states, batch_sizes), at, d, strict=True):
            np.testing.assert_array_equal(got[i], want)
        assert np.isfinite(d_query).all()


@both_dtypes
def test_attention_with_a_query_of_zeros_is_the_mean(isa, dtype):
    sequences, x, batch_sizes, query, d_pooled = problem(9, 6, 11, dtype)
    kernels, zeros = kernels_for(dtype, isa), np.zeros_like(query)
    pooled, accumulators = run_forward(kernels, "attention", x, batch_sizes, zeros, 4)
    np.testing.assert_array_equal(accumulators["norm"], ragged_lengths(9, 6))
    atol = {"float32": 1e-6, "float64": 1e-15}[dtype]
    np.testing.assert_allclose(pooled, [s.mean(axis=0) for s in sequences], atol=atol)
    d_states, _ = run_backward(kernels, "attention", x, batch_sizes, zeros, d_pooled)
    for got, d in zip(unpack(d_states, batch_sizes), d_pooled, strict=True):
        np.testing.assert_allclose(got, np.broadcast_to(d / len(got), got.shape), rtol=1e-6)


@both_dtypes
def test_gradients_of_the_query_accumulate(isa, dtype):
    _, x, batch_sizes, query, d_pooled = problem(9, 6, 11, dtype)
    kernels, before = kernels_for(dtype, isa), np.arange(11, dtype=dtype)
    _, from_zero = run_backward(kernels, "attention", x, batch_sizes, query, d_pooled)
    _, added = run_backward(
        kernels, "attention", x, batch_sizes, query, d_pooled, d_query=before.copy()
    )
    atol = {"float32": 1e-5, "float64": 1e-13}[dtype]
    np.testing.assert_allclose(added, before + from_zero, atol=atol)


@both_dtypes
def test_attention_flushes_denormals_inside_only(isa, dtype):
    _, x, batch_sizes, query, d_pooled = problem(3, 4, 5, dtype)
    run_backward(kernels_for(dtype, isa), "attention", x, batch_sizes, query, d_pooled)
    assert np.finfo(dtype).tiny / np.dtype(dtype).type(2) > 0


@pytest.mark.parametrize("pooling", ["sum", "max", "attention"])
def test_nan_propagates(isa, pooling):
    """It reaches the pooled states of its own sequence, and of no other."""
    _, x, batch_sizes, query, _ = problem(3, 6, 9)
    for row in range(len(x)):
        damaged = x.copy()
        damaged[row] = np.nan
        pooled, _ = run_forward(kernels_for("float64", isa), pooling, damaged, batch_sizes, query)
        own = np.concatenate([np.arange(n) for n in batch_sizes])[row]
        np.testing.assert_array_equal(np.isnan(pooled).all(axis=1), np.arange(3) == own)
        np.testing.assert_array_equal(np.isnan(pooled).any(axis=1), np.arange(3) == own)


# ---- arguments that are rejected -----------------------------------------------------------------

OF_STATES = dict(batch_sizes=np.array([2, 1]))
STATES, POOLED, BY_SEQUENCE = np.zeros((3, 4)), np.zeros((2, 4)), np.zeros(2)
ARGUMENTS = {
    "sum_steps": dict(states=STATES, **OF_STATES, total=POOLED.copy()),
    "repeat_steps": dict(d_total=POOLED, **OF_STATES, d_states=STATES.copy()),
    "max_forward": dict(
        states=STATES, **OF_STATES, first_step=0, highest=POOLED.copy(),
        at_step=np.zeros((2, 4), np.intc),
    ),
    "max_backward": dict(
        d_highest=POOLED, at_step=np.zeros((2, 4), np.intc), **OF_STATES, first_step=0,
        d_states=STATES.copy(),
    ),
    "attention_forward": dict(
        states=STATES, **OF_STATES, query=np.zeros(4), scores=np.zeros(3), highest=np.zeros(2),
        norm=np.ones(2), total=POOLED.copy(),
    ),
    "attention_backward": dict(
        states=STATES, **OF_STATES, query=np.zeros(4), highest=np.zeros(2), norm=np.ones(2),
        pooled=POOLED, d_pooled=POOLED, d_states=STATES.copy(), d_query=np.zeros(4),
    ),
}  # fmt: skip

# accumulators of more sequences than the window has
ACCEPTED = {"sum_steps": {("total", (3, 4))}, "repeat_steps": {("d_total", (3, 4))}}


@pytest.mark.parametrize("kernel", ARGUMENTS)
def test_shapes_are_checked(isa, kernel):
    run = getattr(kernels_for("float64", isa), kernel)
    run(**ARGUMENTS[kernel])
    assert accepted_shapes(run, ARGUMENTS[kernel]) == ACCEPTED.get(kernel, set())


@pytest.mark.parametrize("sizes", [[], [1, 2], [2], [2, 2], [3, 0], [4, -1], [0, 3], [3]])
@pytest.mark.parametrize("kernel", ARGUMENTS)
def test_batch_sizes_are_checked(isa, kernel, sizes):
    """The last sizes have the right sum, but more sequences than the accumulators."""
    run, batch_sizes = getattr(kernels_for("float64", isa), kernel), np.array(sizes, np.intp)
    with pytest.raises(ValueError, match="must be|add up"):
        run(**{**ARGUMENTS[kernel], "batch_sizes": batch_sizes})


@pytest.mark.parametrize("kernel", ARGUMENTS)
def test_states_without_units_are_rejected(isa, kernel):
    arguments = {
        name: value[..., :0].copy() if np.shape(value)[-1:] == (4,) else value
        for name, value in ARGUMENTS[kernel].items()
    }
    with pytest.raises(ValueError, match="must be"):
        getattr(kernels_for("float64", isa), kernel)(**arguments)
