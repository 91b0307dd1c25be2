"""The stepper of streams against the kernels of layers, and against the NumPy reference.

On every instruction set that this build and this processor support.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import reference
from helpers import cell_info, random_layer, relative_error
from reference import CELLS
from scipy.special import expit, softmax

from skgru.kernels import kernels_for
from skgru.model.pooling import POOLINGS
from skgru.sequences import Packed

DTYPES = ["float32", "float64"]
# numbers in the streaming state of each pooling, of H units
POOLING_STATES = {
    "last": lambda H: 0,
    "mean": lambda H: H + 1,
    "max": lambda H: H + 1,
    "attention": lambda H: H + 2,
}


def test_poolings_are_those_of_python_and_kernels(isa):
    for dtype in DTYPES:
        assert set(POOLINGS) == set(POOLING_STATES) == set(kernels_for(dtype, isa).POOLINGS)


def random_stack(rng, cell, D, sizes, K, pooling, dtype):
    """Return the arguments of a Stepper between the cell and the number of streams."""
    layers = []
    for H in sizes:
        layer = random_layer(rng, cell, D, H, dtype)
        layers.append((*layer.values(), np.zeros((0, 0), dtype)))
        D = H
    query = rng.normal(size=D if pooling == "attention" else 0).astype(dtype)
    head = rng.normal(size=(D, K)).astype(dtype), rng.normal(size=K).astype(dtype)
    return layers, pooling, query, head, 0, np.zeros((0, 0), dtype), ()


def first_inputs(kernels, layers, n_codes, embedding, decay, x):
    """Return what the first layer takes of rows of a stepper: x, codes, E, and γ of its states."""
    none, E = np.empty((0, 0), x.dtype), layers[0][4]
    x, codes = np.split(x, [x.shape[1] - n_codes], axis=1)
    codes, gamma = codes.astype(np.int32), none
    if decay:
        D, H = decay[2].shape
        a_and_m, d_and_delta = np.split(x, 2, axis=1)
        x, gamma = np.empty((len(x), 2 * D), x.dtype), np.empty((len(x), H), x.dtype)
        kernels.decay_forward(
            a_and_m, d_and_delta, *decay, x, np.empty((len(x), D), x.dtype), gamma
        )
    if embedding.size:
        looked_up = np.empty((len(x), n_codes * embedding.shape[1]), x.dtype)
        kernels.gather_codes(embedding, codes, looked_up)
        x = np.hstack([x, looked_up])
    if not E.size:
        codes = np.empty((0, 0), np.int32)
    return np.ascontiguousarray(x), codes, E, gamma


def outputs_of_prefixes(kernels, cell, layers, pooling, query, head, n_codes, embedding, decay, X):
    """Return outputs (T, n, K) after each step of X (n, T, D), and last states of all layers."""
    n, T, _ = X.shape
    x, batch_sizes = X.transpose(1, 0, 2).reshape(n * T, -1).copy(), np.full(T, n)
    x, codes, E, gamma = first_inputs(kernels, layers, n_codes, embedding, decay, x)
    passes = kernels.RecurrentLayers(
        cell_info(kernels, cell).index, [[layer[:4]] for layer in layers], [E] if E.size else []
    )
    states, h = np.empty((n * T, len(layers[-1][1])), X.dtype), np.empty((0, 0), X.dtype)
    ends = passes.forward([(x, codes, gamma)], batch_sizes, h, states, keep=False)
    y = np.empty((T, n, len(head[1])), X.dtype)
    for t in range(T):
        steps = batch_sizes[: t + 1]
        so_far = POOLINGS[pooling](kernels, np.full(n, t + 1), query, states.shape[1])
        so_far.add(Packed(states[: n * (t + 1)], steps), states[n * t : n * (t + 1)].copy(), 0)
        kernels.linear_forward(so_far.pooled(), *head, y[t])
    return y, ends


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("D", "sizes", "n", "K"),
    [
        *((1, (1,), 1, 1), (3, (17,), 1, 3), (8, (64,), 1, 4), (2, (100,), 1, 1)),
        *((5, (3, 33, 7), 1, 2), (4, (64, 20), 13, 40), (2, (200,), 2, 1)),
    ],
)
def test_steps_have_the_same_bits_as_layers_over_prefixes(isa, dtype, cell, D, sizes, n, K):
    rng, kernels = np.random.default_rng(0), kernels_for(dtype, isa)
    index, S = cell_info(kernels, cell).index, CELLS[cell].n_states
    X = rng.normal(size=(n, 6, D)).astype(dtype)
    for pooling, width in POOLING_STATES.items():
        stack = random_stack(rng, cell, D, sizes, K, pooling, dtype)
        stepper = kernels.Stepper(index, *stack, n, None)
        want, ends = outputs_of_prefixes(kernels, cell, *stack, X)
        got = [stepper.outputs(X[:, t]) for t in range(6)]
        np.testing.assert_array_equal(got, want, err_msg=pooling)
        np.testing.assert_array_equal(stepper.get_state()[:, : S * sum(sizes)], ends)
        assert stepper.state_size == S * sum(sizes) + width(sizes[-1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("D", "decays", "n_codes", "embedded"),
    [
        *((0, False, 1, False), (0, False, 2, True), (3, False, 2, False), (20, False, 1, True)),
        *((3, True, 0, False), (20, True, 0, False), (3, True, 2, False), (20, True, 2, True)),
    ],
)
def test_steps_of_categories_and_gaps(isa, dtype, cell, D, decays, n_codes, embedded):
    """As those of numbers: steps have the same bits as layers over prefixes."""
    rng, kernels = np.random.default_rng(8), kernels_for(dtype, isa)
    H, V, n, T = 19, 5, 3, 6
    index, S = cell_info(kernels, cell).index, CELLS[cell].n_states
    n_inputs = D * (1 + decays) + 4 * n_codes * embedded
    layers, pooling, query, head, *_ = random_stack(rng, cell, n_inputs, (H, 4), 2, "mean", dtype)
    table = np.zeros((0, 0), dtype)
    if n_codes:
        width = 4 if embedded else layers[0][0].shape[1]
        table = rng.normal(size=(V, width)).astype(dtype)
    embedding = table if embedded else table[:0]
    if not embedded:
        layers[0] = (*layers[0][:4], table)
    decay = ()
    if decays:
        shapes = (D,), (D,), (D, H), (H,)
        decay = tuple((rng.normal(size=shape) / 4).astype(dtype) for shape in shapes)
    X = rng.normal(size=(n, T, D * (4 if decays else 1)))
    X[:, :, D * 3 :] = np.abs(X[:, :, D * 3 :])  # δ, with decay
    X = np.dstack([X, rng.integers(V, size=(n, T, n_codes))]).astype(dtype)
    stack = layers, pooling, query, head, n_codes, embedding, decay
    stepper = kernels.Stepper(index, *stack, n, None)
    assert stepper.n_channels == X.shape[2]
    want, ends = outputs_of_prefixes(kernels, cell, *stack, X)
    np.testing.assert_array_equal([stepper.outputs(X[:, t]) for t in range(T)], want)
    np.testing.assert_array_equal(stepper.get_state()[:, : S * (H + 4)], ends)


def test_what_is_no_code_is_refused_and_leaves_the_state(isa):
    rng, kernels = np.random.default_rng(9), kernels_for("float64", isa)
    (layer,), *rest = random_stack(rng, "gru", 2, (4,), 1, "last", "float64")
    layer = (*layer[:4], rng.normal(size=(7, 12)))
    none = rest[-2]
    stepper = kernels.Stepper(
        cell_info(kernels, "gru").index, [layer], *rest[:3], 2, none, (), 1, None
    )
    stepper.outputs(np.array([0.5, 0.5, 3, 6]))
    before = stepper.get_state()
    for code in (-1, 7, 2.5, 1e300):
        with pytest.raises(ValueError, match="no code in channel 3"):
            stepper.outputs(np.array([0.5, 0.5, 3, code]))
    with pytest.raises(ValueError, match=r"NaN: stream 0, channel 2"):
        stepper.outputs(np.array([0.5, 0.5, np.nan, 1]))
    np.testing.assert_array_equal(stepper.get_state(), before)


def test_inputs_that_do_not_fit_raise(isa):
    kernels, rng = kernels_for("float64", isa), np.random.default_rng(10)
    index = cell_info(kernels, "gru").index
    (layer,), *rest = random_stack(rng, "gru", 6, (4,), 1, "last", "float64")
    of_layer, none, E = layer[:4], np.zeros((0, 0)), np.zeros((5, 12))
    embedding = np.zeros((5, 2))
    decay = np.zeros(3), np.zeros(3), np.zeros((3, 4)), np.zeros(4)
    short = [tuple(a[:-1] if i == k else a for k, a in enumerate(decay)) for i in range(4)]
    for table, n_codes, embedded, decays in (
        (none, 1, none, ()),  # codes without rows
        (E, 0, none, ()),  # rows without codes
        (none, 0, embedding, ()),
        (E, 1, embedding, ()),  # two kinds of rows
        (E, -1, none, ()),
        (none, 4, embedding, ()),  # wider than W
        *((none, 0, none, wrong) for wrong in short),
        (none, 1, np.zeros((5, 1)), decay),  # an odd number of inputs is left
    ):
        with pytest.raises(ValueError, match="must be|do not fit"):
            kernels.Stepper(
                index, [(*of_layer, table)], *rest[:3], n_codes, embedded, decays, 1, None
            )


@pytest.mark.parametrize("cell", CELLS)
def test_steps_match_reference(isa, cell):
    rng = np.random.default_rng(1)
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-5)):
        kernels = kernels_for(dtype, isa)
        layers, *rest = random_stack(rng, cell, 3, (5, 18), 2, "last", dtype)
        W, b = rest[2]
        stepper = kernels.Stepper(cell_info(kernels, cell).index, layers, *rest, 1, None)
        x = X = rng.normal(size=(7, 3)).astype(dtype)
        for layer in layers:
            H = len(layer[1])
            exactly = [a.astype(float) for a in layer[:4]]
            states = reference.forward(cell, x, np.zeros(CELLS[cell].n_states * H), *exactly)
            x = states[:, :H]
        want = x @ W.astype(float) + b.astype(float)
        got = np.array([stepper.outputs(x_t) for x_t in X])
        assert relative_error(got, want) <= tolerance


@pytest.fixture
def stepper(isa):
    rng, kernels = np.random.default_rng(2), kernels_for("float64", isa)
    stack = random_stack(rng, "gru", 3, (4,), 5, "last", "float64")
    return kernels.Stepper(cell_info(kernels, "gru").index, *stack, 2, convert)


def convert(x):
    """Convert to an array of floats, except for strings."""
    return x if isinstance(x, str) else np.array(x, float)


def test_state_can_be_saved_and_restored(stepper):
    x = np.random.default_rng(3).normal(size=(3, 2, 3))
    stepper.outputs(x[0])
    state = stepper.get_state()
    assert state.shape == (2, 4)
    want = stepper.outputs(x[1])
    stepper.outputs(x[2])
    stepper.set_state(state)
    np.testing.assert_array_equal(stepper.outputs(x[1]), want)
    for shape in ((2, 3), (2, 5), (1, 4), (3, 4), (0, 4)):
        with pytest.raises(ValueError, match=r"must be \(2, 4\)"):
            stepper.set_state(np.zeros(shape))


def test_x_may_have_any_strides_and_alignment(stepper):
    x = np.random.default_rng(4).normal(size=(2, 3)).astype("float32")
    want = stepper.outputs(x)
    every_other = np.zeros((4, 6), "float32")[::2, ::2]
    every_other[:] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    odd = memoryview(bytearray(b"." + x.tobytes()))[1:].cast("f", (2, 3))
    turned = x[::-1, ::-1].copy()[::-1, ::-1]
    for same in (every_other, x.astype(float, order="F"), turned, read_only, odd):
        stepper.set_state(np.zeros((2, 4)))
        np.testing.assert_array_equal(stepper.outputs(same), want)


def test_other_types_of_x_are_converted(stepper):
    want = stepper.outputs(np.ones((2, 3)))
    for x in ([[1.0] * 3] * 2, *(np.ones((2, 3), name) for name in ("i4", ">f8", "f2", "O", "?"))):
        stepper.set_state(np.zeros((2, 4)))
        np.testing.assert_array_equal(stepper.outputs(x), want)


@pytest.mark.parametrize("method", ["outputs", "most_likely", "probabilities"])
def test_invalid_x_leaves_the_state_unchanged(stepper, method):
    stepper.outputs(np.ones((2, 3)))
    before, call = stepper.get_state(), getattr(stepper, method)
    with pytest.raises(TypeError, match="must become a buffer of float or double"):
        call("as it is")  # `convert` returns strings unchanged
    for shape in ((), (3,), (2, 2), (2, 4), (1, 3), (3, 3), (0, 3), (2, 3, 1)):
        with pytest.raises(ValueError, match=r"x_t has shape .*; expected \(2, 3\)\."):
            call(np.ones(shape))
    for value, what in ((np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")):
        x = np.ones((2, 3))
        x[1, 2] = value
        with pytest.raises(ValueError, match=f"x_t contains {what}.*stream 1, channel 2"):
            call(x)
    np.testing.assert_array_equal(stepper.get_state(), before)


@pytest.mark.parametrize("dtype", DTYPES)
def test_most_likely_and_probabilities_match_the_outputs(isa, dtype):
    kernels, rng = kernels_for(dtype, isa), np.random.default_rng(5)
    x = rng.normal(size=(7, 2)).astype(dtype)
    for K in (1, 2, 3, 20):
        layers, pooling, query, (W, b), *no_inputs = random_stack(
            rng, "rnn", 2, (6,), K, "last", dtype
        )
        for head in (
            (W, b),
            (0 * W, 0 * b),
            (1e4 * W, b),
        ):  # also ties, and probabilities of 0 and 1
            stack = cell_info(kernels, "rnn").index, layers, pooling, query, head, *no_inputs
            y, label, p = (
                getattr(kernels.Stepper(*stack, 7, None), name)(x)
                for name in ("outputs", "most_likely", "probabilities")
            )
            if K == 1:
                want = expit(np.hstack([-y, y]))
                np.testing.assert_array_equal(label, y[:, 0] > 0)
            else:
                want = softmax(y, axis=1)
                np.testing.assert_array_equal(label, y.argmax(axis=1))
            np.testing.assert_allclose(p, want, rtol=1e-13)
            one = kernels.Stepper(*stack, 1, None)
            assert one.most_likely(x[0]) == label[0]
            one.set_state(0 * one.get_state())
            np.testing.assert_array_equal(one.probabilities(x[0]), p[0])


def test_the_first_nan_is_the_most_likely(isa):
    """As in NumPy; outputs are NaN if a state is not bounded."""
    kernels, rng = kernels_for("float32", isa), np.random.default_rng(6)
    layers, pooling, query, (W, b), *no_inputs = random_stack(
        rng, "rnn", 2, (6,), 4, "last", "float32"
    )
    b[1:3] = np.nan
    stepper = kernels.Stepper(
        cell_info(kernels, "rnn").index, layers, pooling, query, (W, b), *no_inputs, 1, None
    )
    assert stepper.most_likely(np.ones(2)) == 1


def test_arrays_of_wrong_shapes_raise(isa):
    kernels, rng = kernels_for("float64", isa), np.random.default_rng(7)
    index = cell_info(kernels, "gru").index
    layers, pooling, query, head, *none = random_stack(
        rng, "gru", 3, (4, 5), 2, "attention", "float64"
    )
    for depth, layer in enumerate(layers):
        for i, weights in enumerate(layer):
            wrong = list(layer)
            wrong[i] = np.zeros([size + 1 for size in weights.shape])
            others = [*layers[:depth], tuple(wrong), *layers[depth + 1 :]]
            with pytest.raises(ValueError, match="must be|do not fit"):
                kernels.Stepper(index, others, pooling, query, head, *none, 1, None)
    for wrong in (np.zeros((4, 2)), np.zeros(2)), (head[0], np.zeros(3)), (head[0], np.zeros(0)):
        with pytest.raises(ValueError, match="head must be"):
            kernels.Stepper(index, layers, pooling, query, wrong, *none, 1, None)
    for name, wrong in (("attention", np.zeros(4)), ("attention", query[:0]), ("mean", query)):
        with pytest.raises(ValueError, match="query must be"):
            kernels.Stepper(index, layers, name, wrong, head, *none, 1, None)
    for n_streams, of in ((0, layers), (-1, layers), (1, [])):
        with pytest.raises(ValueError, match="at least one"):
            kernels.Stepper(index, of, pooling, query, head, *none, n_streams, None)
    with pytest.raises(ValueError, match="no cell"):
        kernels.Stepper(99, layers, pooling, query, head, *none, 1, None)
    for n_streams in (2**63 - 1, 2**60, 2**58, 2**55):
        with pytest.raises(MemoryError):
            kernels.Stepper(index, layers, pooling, query, head, *none, n_streams, None)


@pytest.mark.parametrize("dtype", DTYPES)
def test_denormals_are_flushed_inside_kernels_only(isa, dtype):
    """The state of a light GRU that halves at each step becomes 0 and never a denormal."""
    kernels, tiny = kernels_for(dtype, isa), np.finfo(dtype).tiny
    W, U, b, c = np.zeros((1, 2), dtype), np.zeros((1, 2), dtype), np.zeros(2, dtype), np.zeros(0)
    head = np.ones((1, 1), dtype), np.zeros(1, dtype)
    stepper = kernels.Stepper(
        cell_info(kernels, "light_gru").index,
        [(W, U, b, c.astype(dtype), np.zeros((0, 0), dtype))], "last", np.zeros(0, dtype), head, 0,
        np.zeros((0, 0), dtype), (), 1, None,
    )  # fmt: skip
    stepper.set_state(np.array([[4 * tiny]], dtype))
    outputs = [stepper.outputs(np.zeros(1))[0] for _ in range(5)]
    assert outputs[:2] == [2 * tiny, tiny]
    assert outputs[2:] == [0, 0, 0]
    assert tiny / np.dtype(dtype).type(2) > 0  # denormals exist outside


def test_a_step_is_whole_whatever_other_threads_do(isa):
    """Not guaranteed by a lock of the interpreter, in a free-threaded build."""
    rng, kernels = np.random.default_rng(0), kernels_for("float64", isa)
    layers, *rest = random_stack(rng, "rnn", 3, (20, 20), 2, "last", "float64")
    # nothing recurs: outputs depend on this time step alone
    layers = [(W, 0 * U, b, c, E) for W, U, b, c, E in layers]
    stepper = kernels.Stepper(cell_info(kernels, "rnn").index, layers, *rest, 4, None)
    X = rng.normal(size=(4, 4, 3))
    want = [stepper.outputs(x) for x in X]
    start = Barrier(len(X))

    def differing(thread):
        start.wait()
        outputs = [stepper.outputs(X[thread]) for _ in range(2000)]
        return sum(not np.array_equal(y, want[thread]) for y in outputs)

    with ThreadPoolExecutor(len(X)) as threads:
        assert list(threads.map(differing, range(len(X)))) == [0] * len(X)
