"""The compiled GRU layer against the plain NumPy one, and that against central differences."""

import numpy as np
import pytest
from reference import gru_backward, gru_forward

from skgru.kernels import gru

LENGTHS = {
    "uniform": lambda B, T: np.full(B, T),
    "ragged": lambda B, T: np.sort(np.r_[T, 1 + np.arange(1, B) * 7919 % T])[::-1],
}


def random_layer(rng, D, H, reset_after, dtype="float64"):
    shapes = {"W": (D, 3 * H), "U": (H, 3 * H), "b": (3 * H,), "c": (H * reset_after,)}
    return {k: (rng.normal(size=s) / np.sqrt(H)).astype(dtype) for k, s in shapes.items()}


def pack(sequences):
    """Time-major rows of sequences sorted from long to short."""
    lengths = np.array([len(s) for s in sequences])
    batch_sizes = np.array([(lengths > t).sum() for t in range(lengths[0])], dtype=np.intp)
    rows = [sequences[i][t] for t, n in enumerate(batch_sizes) for i in range(n)]
    return np.array(rows), batch_sizes


def unpack(rows, batch_sizes):
    steps = np.split(rows, np.cumsum(batch_sizes)[:-1])
    return [np.array([s[i] for s in steps if i < len(s)]) for i in range(batch_sizes[0])]


def run_forward(x, batch_sizes, h0, layer):
    B, N, H = len(h0), len(x), h0.shape[1]
    states = np.concatenate([h0, np.empty((N, H), h0.dtype)])
    gates, reset = np.empty((N, 3 * H), h0.dtype), np.empty((N, H), h0.dtype)
    gru.forward(x, batch_sizes, *layer.values(), states, gates, reset)
    return B, states, gates, reset


def run_backward(x, batch_sizes, h0, layer, d_packed, want_dx=True):
    B, states, gates, reset = run_forward(x, batch_sizes, h0, layer)
    d_states = np.concatenate([np.zeros_like(h0), d_packed])
    grad = {k: np.full_like(v, np.nan) for k, v in layer.items()}
    dx = np.full((len(x) * want_dx, x.shape[1]), np.nan, x.dtype)
    gru.backward(
        x, batch_sizes, layer["W"], layer["U"], states, gates, reset, d_states, dx, *grad.values()
    )
    return {**grad, "x": dx, "h0": d_states[:B]}


def problem(D, H, T, B, lengths, reset_after, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    layer = random_layer(rng, D, H, reset_after, dtype)
    sequences = [rng.normal(size=(n, D)).astype(dtype) for n in LENGTHS[lengths](B, T)]
    h0 = rng.normal(size=(B, H)).astype(dtype)
    x, batch_sizes = pack(sequences)
    d_packed = rng.normal(size=(len(x), H)).astype(dtype)
    return sequences, x, batch_sizes, h0, layer, d_packed


def reference_gradients(sequences, batch_sizes, h0, layer, d_packed):
    """Sum over the sequences, in float64."""
    layer = {k: v.astype("float64") for k, v in layer.items()}
    parts = [
        gru_backward(s.astype("float64"), h.astype("float64"), *layer.values(), d)
        for s, h, d in zip(sequences, h0, unpack(d_packed, batch_sizes), strict=True)
    ]
    summed = {k: sum(p[k] for p in parts) for k in layer}
    return {
        **summed,
        "x": pack([p["x"] for p in parts])[0],
        "h0": np.array([p["h0"] for p in parts]),
    }


def relative_error(actual, expected):
    """Largest error over the largest value: single entries may be zero by cancellation."""
    return np.abs(actual - expected).max(initial=0) / np.abs(expected).max(initial=1e-300)


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("B", [1, 5, 64])
@pytest.mark.parametrize("T", [1, 2, 50])
@pytest.mark.parametrize("H", [1, 3, 17, 64, 100])
def test_forward_matches_reference(H, T, B, lengths, reset_after):
    for dtype, tolerance in (("float64", 1e-12), ("float32", 2e-6)):
        sequences, x, batch_sizes, h0, layer, _ = problem(4, H, T, B, lengths, reset_after, dtype)
        _, states, _, _ = run_forward(x, batch_sizes, h0, layer)
        exact = [v.astype("float64") for v in layer.values()]
        want, _ = pack(
            [
                gru_forward(s.astype("float64"), h.astype("float64"), *exact)
                for s, h in zip(sequences, h0, strict=True)
            ]
        )
        assert relative_error(states[B:], want) <= tolerance


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("H", "T", "B"), [(1, 1, 1), (3, 2, 5), (17, 50, 5), (64, 20, 64)])
def test_backward_matches_reference(H, T, B, lengths, reset_after):
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-4)):
        sequences, x, batch_sizes, h0, layer, d = problem(5, H, T, B, lengths, reset_after, dtype)
        got = run_backward(x, batch_sizes, h0, layer, d)
        want = reference_gradients(sequences, batch_sizes, h0, layer, d)
        for name in want:
            assert relative_error(got[name], want[name]) <= tolerance, name


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("H", "T", "B"), [(1, 2, 1), (3, 6, 4), (7, 4, 3)])
def test_gradients_match_central_differences(H, T, B, lengths, reset_after):
    """Every entry of every parameter, of x and of h_0, of the compiled and the plain backward."""
    sequences, x, batch_sizes, h0, layer, d = problem(2, H, T, B, lengths, reset_after)
    arrays = {**layer, "x": x, "h0": h0}

    def loss():
        states = run_forward(arrays["x"], batch_sizes, arrays["h0"], layer)[1]
        return np.vdot(states[B:], d)

    compiled = run_backward(x, batch_sizes, h0, layer, d)
    plain = reference_gradients(sequences, batch_sizes, h0, layer, d)
    for name, array in arrays.items():
        numeric = np.empty_like(array)
        for index in np.ndindex(array.shape):
            value, step = array[index], 1e-5
            array[index] = value + step
            above = loss()
            array[index] = value - step
            below = loss()
            array[index] = value
            numeric[index] = (above - below) / (2 * step)
        assert relative_error(compiled[name], numeric) <= 1e-6, name
        assert relative_error(plain[name], numeric) <= 1e-6, name


def test_dx_is_left_out_on_request():
    _, x, batch_sizes, h0, layer, d = problem(3, 4, 5, 6, "ragged", False)
    full, without = (run_backward(x, batch_sizes, h0, layer, d, want) for want in (True, False))
    assert without["x"].size == 0
    for name in (*layer, "h0"):
        np.testing.assert_array_equal(without[name], full[name])


@pytest.mark.parametrize("reset_after", [False, True])
def test_inputs_may_be_read_only(reset_after):
    _, x, batch_sizes, h0, layer, d = problem(3, 4, 5, 6, "ragged", reset_after)
    expected = run_backward(x, batch_sizes, h0, layer, d)
    for array in (x, batch_sizes, *layer.values()):
        array.flags.writeable = False
    for name, value in run_backward(x, batch_sizes, h0, layer, d).items():
        np.testing.assert_array_equal(value, expected[name])


@pytest.mark.parametrize("reset_after", [False, True])
def test_saturated_gates_stay_finite(reset_after):
    """Huge pre-activations give gates of 0 or 1 and no NaN, forward and backward."""
    _, x, batch_sizes, h0, layer, d = problem(3, 4, 5, 6, "ragged", reset_after, "float32")
    for sign in (1, -1):
        layer["b"][:] = sign * 1e30
        _, states, gates, _ = run_forward(x, batch_sizes, h0, layer)
        np.testing.assert_allclose(gates, np.round(gates), atol=2e-38)
        assert np.isfinite(states).all()
        assert all(
            np.isfinite(g).all() for g in run_backward(x, batch_sizes, h0, layer, d).values()
        )


def test_update_gate_of_one_keeps_the_past():
    _, x, batch_sizes, h0, layer, _ = problem(3, 4, 5, 6, "uniform", False)
    layer["b"][4:8] = 1e3
    _, states, _, _ = run_forward(x, batch_sizes, h0, layer)
    np.testing.assert_array_equal(states.reshape(6, 6, 4), np.broadcast_to(h0, (6, 6, 4)))


def activations(a):
    """σ(a) and tanh(a), as the gates of a layer that adds nothing to its input."""
    a = np.atleast_2d(a).T.copy()
    W, U, b, c = (np.zeros(shape, a.dtype) for shape in ((1, 3), (1, 3), 3, 0))
    W[:] = 1
    layer = dict(W=W, U=U, b=b, c=c)
    gates = run_forward(a, np.array([len(a)], np.intp), np.zeros_like(a), layer)[2]
    return gates[:, 1], gates[:, 2]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-7), ("float64", 1e-15)])
def test_activations_over_the_whole_range(dtype, tolerance):
    tiny = np.finfo(dtype).tiny
    a = np.concatenate([np.linspace(-86, 86, 200_001), np.geomspace(tiny, 1, 2001)])
    a = np.concatenate([a, -a]).astype(dtype)
    exact = a.astype(np.longdouble)
    sigma, tangent = activations(a)
    np.testing.assert_allclose(sigma, 1 / (1 + np.exp(-exact)), rtol=tolerance)
    np.testing.assert_allclose(tangent, np.tanh(exact), rtol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations_at_the_ends(dtype):
    big = np.finfo(dtype).max
    sigma, tangent = activations(np.array([np.inf, big, -np.inf, -big, 0, np.nan], dtype))
    np.testing.assert_allclose(sigma, [1, 1, 0, 0, 0.5, np.nan], atol=2e-38)
    np.testing.assert_array_equal(tangent, [1, 1, -1, -1, 0, np.nan])


BAD_SHAPES = {
    "empty time": dict(batch_sizes=np.zeros(0, np.intp)),
    "growing batch": dict(batch_sizes=np.array([1, 2], np.intp)),
    "too few rows": dict(batch_sizes=np.array([2], np.intp)),
    "zero rows": dict(batch_sizes=np.array([3, 0], np.intp)),
    "W": dict(W=np.zeros((2, 12))),
    "U": dict(U=np.zeros((4, 11))),
    "b": dict(b=np.zeros(11)),
    "c": dict(c=np.zeros(3)),
    "states": dict(states=np.zeros((4, 4))),
    "gates": dict(gates=np.zeros((3, 11))),
    "reset": dict(reset=np.zeros((2, 4))),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_SHAPES)
def test_shapes_are_checked(name):
    arguments = dict(
        x=np.zeros((3, 3)), batch_sizes=np.array([2, 1], np.intp),
        W=np.zeros((3, 12)), U=np.zeros((4, 12)), b=np.zeros(12), c=np.zeros(4),
        states=np.zeros((5, 4)), gates=np.zeros((3, 12)), reset=np.zeros((3, 4)),
    )  # fmt: skip
    gru.forward(**arguments)
    with pytest.raises(ValueError, match="must be|needs|add up"):
        gru.forward(**{**arguments, **BAD_SHAPES[name]})
