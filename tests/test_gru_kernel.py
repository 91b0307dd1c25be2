"""The compiled GRU layer against the plain NumPy one, and that against central differences.

On every instruction set that this build and this processor have.
"""

import numpy as np
import pytest
from reference import gru_backward, gru_forward

from skgru.kernels import kernels_for

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


def run_forward(kernels, x, batch_sizes, h0, layer):
    """h_last, states and gates of a layer."""
    H, reset_after = h0.shape[1], len(layer["c"]) > 0
    h_last = np.full_like(h0, np.nan)
    states = np.full((len(x), H), np.nan, h0.dtype)
    gates = np.full((len(x), (3 + reset_after) * H), np.nan, h0.dtype)
    kernels.gru_forward(x, batch_sizes, *layer.values(), h0, h_last, states, gates)
    return h_last, states, gates


def run_backward(kernels, x, batch_sizes, h0, layer, d_packed, d_last=None, want_dx=True):
    _, states, gates = run_forward(kernels, x, batch_sizes, h0, layer)
    d_h = np.zeros_like(h0) if d_last is None else d_last.copy()
    grad = {k: np.full_like(v, np.nan) for k, v in layer.items()}
    dx = np.full((len(x) * want_dx, x.shape[1]), np.nan, x.dtype)
    kernels.gru_backward(
        x, batch_sizes, layer["W"], layer["U"], h0, states, gates, d_packed, d_h, dx,
        *grad.values(),
    )  # fmt: skip
    return {**grad, "x": dx, "h0": d_h}


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
def test_forward_matches_reference(isa, H, T, B, lengths, reset_after):
    for dtype, tolerance in (("float64", 1e-12), ("float32", 2e-6)):
        sequences, x, batch_sizes, h0, layer, _ = problem(4, H, T, B, lengths, reset_after, dtype)
        h_last, states, _ = run_forward(kernels_for(dtype, isa), x, batch_sizes, h0, layer)
        exact = [v.astype("float64") for v in layer.values()]
        by_sequence = [
            gru_forward(s.astype("float64"), h.astype("float64"), *exact)
            for s, h in zip(sequences, h0, strict=True)
        ]
        assert relative_error(states, pack(by_sequence)[0]) <= tolerance
        np.testing.assert_array_equal(h_last, [s[-1] for s in unpack(states, batch_sizes)])


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(
    ("H", "T", "B"), [(1, 1, 1), (3, 2, 5), (17, 50, 5), (64, 20, 64), (100, 9, 13)]
)
def test_backward_matches_reference(isa, H, T, B, lengths, reset_after):
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-4)):
        sequences, x, batch_sizes, h0, layer, d = problem(5, H, T, B, lengths, reset_after, dtype)
        got = run_backward(kernels_for(dtype, isa), x, batch_sizes, h0, layer, d)
        want = reference_gradients(sequences, batch_sizes, h0, layer, d)
        for name in want:
            assert relative_error(got[name], want[name]) <= tolerance, name


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("H", "T", "B"), [(1, 2, 1), (3, 6, 4), (7, 4, 3)])
def test_gradients_match_central_differences(isa, H, T, B, lengths, reset_after):
    """Every entry of every parameter, of x and of h_0, of the compiled and the plain backward."""
    kernels = kernels_for("float64", isa)
    sequences, x, batch_sizes, h0, layer, d = problem(2, H, T, B, lengths, reset_after)
    arrays = {**layer, "x": x, "h0": h0}

    def loss():
        states = run_forward(kernels, arrays["x"], batch_sizes, arrays["h0"], layer)[1]
        return np.vdot(states, d)

    compiled = run_backward(kernels, x, batch_sizes, h0, layer, d)
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


@pytest.mark.parametrize("reset_after", [False, True])
def test_gradient_of_the_last_states(isa, reset_after):
    """Given as that of h_last, or as that of the rows where the sequences end: the same."""
    _, x, batch_sizes, h0, layer, _ = problem(3, 20, 9, 7, "ragged", reset_after)
    kernels, d_last = kernels_for("float64", isa), np.random.default_rng(1).normal(size=h0.shape)
    d_packed = np.zeros((len(x), 20))
    first_rows = np.cumsum(batch_sizes) - batch_sizes
    for k in range(7):
        d_packed[first_rows[(batch_sizes > k).sum() - 1] + k] = d_last[k]
    by_row = run_backward(kernels, x, batch_sizes, h0, layer, d_packed)
    by_last = run_backward(kernels, x, batch_sizes, h0, layer, np.empty((0, 0)), d_last)
    for name, value in by_row.items():
        np.testing.assert_array_equal(by_last[name], value, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reset_after", [False, True])
def test_inference_without_storage_has_the_same_bits(isa, reset_after, dtype):
    _, x, batch_sizes, h0, layer, _ = problem(5, 33, 12, 19, "ragged", reset_after, dtype)
    kernels, none = kernels_for(dtype, isa), np.empty((0, 0), dtype)
    h_last, states, _ = run_forward(kernels, x, batch_sizes, h0, layer)
    for kept_states, kept_gates in ((none, none), (np.empty_like(states), none)):
        again = np.empty_like(h0)
        kernels.gru_forward(
            x, batch_sizes, *layer.values(), h0, again, kept_states, kept_gates
        )  # fmt: skip
        np.testing.assert_array_equal(again, h_last)
        if kept_states.size:
            np.testing.assert_array_equal(kept_states, states)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("H", [5, 64, 100])
def test_a_row_has_the_same_bits_in_any_company(isa, H, reset_after, dtype):
    """Forward and backward, alone or among any number of others: what n_jobs relies on."""
    sequences, x, batch_sizes, h0, layer, d = problem(6, H, 7, 25, "ragged", reset_after, dtype)
    kernels = kernels_for(dtype, isa)
    states = unpack(run_forward(kernels, x, batch_sizes, h0, layer)[1], batch_sizes)
    d_h0 = run_backward(kernels, x, batch_sizes, h0, layer, d)["h0"]
    d = unpack(d, batch_sizes)
    for first, stop in ((0, 1), (3, 5), (4, 17), (11, 25)):
        x_some, sizes_some = pack(sequences[first:stop])
        d_some, _ = pack(d[first:stop])
        part = run_forward(kernels, x_some, sizes_some, h0[first:stop], layer)[1]
        for got, want in zip(unpack(part, sizes_some), states[first:stop], strict=True):
            np.testing.assert_array_equal(got, want)
        part = run_backward(kernels, x_some, sizes_some, h0[first:stop], layer, d_some)
        np.testing.assert_array_equal(part["h0"], d_h0[first:stop])


def test_dx_is_left_out_on_request(isa):
    _, x, batch_sizes, h0, layer, d = problem(3, 4, 5, 6, "ragged", False)
    full, without = (
        run_backward(kernels_for("float64", isa), x, batch_sizes, h0, layer, d, want_dx=want)
        for want in (True, False)
    )
    assert without["x"].size == 0
    for name in (*layer, "h0"):
        np.testing.assert_array_equal(without[name], full[name])


@pytest.mark.parametrize("reset_after", [False, True])
def test_inputs_may_be_read_only(isa, reset_after):
    kernels = kernels_for("float64", isa)
    _, x, batch_sizes, h0, layer, d = problem(3, 4, 5, 6, "ragged", reset_after)
    expected = run_backward(kernels, x, batch_sizes, h0, layer, d)
    for array in (x, batch_sizes, h0, d, *layer.values()):
        array.flags.writeable = False
    for name, value in run_backward(kernels, x, batch_sizes, h0, layer, d).items():
        np.testing.assert_array_equal(value, expected[name])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reset_after", [False, True])
def test_saturated_gates_stay_finite(isa, reset_after, dtype):
    """Huge pre-activations give gates of 0 or 1 and no NaN, forward and backward."""
    kernels = kernels_for(dtype, isa)
    _, x, batch_sizes, h0, layer, d = problem(3, 4, 5, 6, "ragged", reset_after, dtype)
    for sign in (1, -1):
        layer["b"][:] = sign * 1e30
        _, states, gates = run_forward(kernels, x, batch_sizes, h0, layer)
        np.testing.assert_allclose(gates[:, :12], np.round(gates[:, :12]), atol=2e-38)
        assert np.isfinite(states).all()
        gradients = run_backward(kernels, x, batch_sizes, h0, layer, d)
        assert all(np.isfinite(g).all() for g in gradients.values())


def test_update_gate_of_one_keeps_the_past(isa):
    _, x, batch_sizes, h0, layer, _ = problem(3, 4, 5, 6, "uniform", False)
    layer["b"][4:8] = 1e3
    _, states, _ = run_forward(kernels_for("float64", isa), x, batch_sizes, h0, layer)
    np.testing.assert_array_equal(states.reshape(5, 6, 4), np.broadcast_to(h0, (5, 6, 4)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_denormals_are_flushed_inside_and_left_alone_outside(isa, dtype):
    """A state that decays by half a step ends at 0, and not among the denormals."""
    kernels, tiny = kernels_for(dtype, isa), np.finfo(dtype).tiny
    T = 40
    W, U, b, c = (np.zeros(shape, dtype) for shape in ((1, 3), (1, 3), 3, 0))
    layer = dict(W=W, U=U, b=b, c=c)
    x, batch_sizes = np.zeros((T, 1), dtype), np.ones(T, np.intp)
    h0 = np.full((1, 1), tiny * 2**8, dtype)
    _, states, _ = run_forward(kernels, x, batch_sizes, h0, layer)
    np.testing.assert_array_equal(
        states[:9, 0], tiny * 2.0 ** np.arange(7, -2, -1) * (states[:9, 0] >= tiny)
    )
    assert (states[9:] == 0).all()
    assert tiny / np.dtype(dtype).type(2) > 0  # here they still exist


BAD_SHAPES = {
    "empty time": dict(batch_sizes=np.zeros(0, np.intp)),
    "growing batch": dict(batch_sizes=np.array([1, 2], np.intp)),
    "too few rows": dict(batch_sizes=np.array([2], np.intp)),
    "zero rows": dict(batch_sizes=np.array([3, 0], np.intp)),
    "W": dict(W=np.zeros((2, 12))),
    "U": dict(U=np.zeros((4, 11))),
    "b": dict(b=np.zeros(11)),
    "c": dict(c=np.zeros(3)),
    "h_0": dict(h_0=np.zeros((3, 4))),
    "h_last": dict(h_last=np.zeros((2, 3))),
    "states": dict(states=np.zeros((4, 4))),
    "gates": dict(gates=np.zeros((3, 12))),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_SHAPES)
def test_shapes_are_checked_forward(isa, name):
    kernels = kernels_for("float64", isa)
    arguments = dict(
        x=np.zeros((3, 3)), batch_sizes=np.array([2, 1], np.intp),
        W=np.zeros((3, 12)), U=np.zeros((4, 12)), b=np.zeros(12), c=np.zeros(4),
        h_0=np.zeros((2, 4)), h_last=np.zeros((2, 4)),
        states=np.zeros((3, 4)), gates=np.zeros((3, 16)),
    )  # fmt: skip
    kernels.gru_forward(**arguments)
    with pytest.raises(ValueError, match="must be|needs|add up"):
        kernels.gru_forward(**{**arguments, **BAD_SHAPES[name]})


BAD_GRADIENT_SHAPES = {
    "d_states": np.zeros((2, 4)), "d_h": np.zeros((3, 4)), "dx": np.zeros((3, 2)),
    "dW": np.zeros((3, 11)), "dU": np.zeros((3, 12)), "db": np.zeros(4), "dc": np.zeros(2),
    "states": np.zeros((5, 4)), "gates": np.zeros((3, 16)), "h_0": np.zeros((1, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_GRADIENT_SHAPES)
def test_shapes_are_checked_backward(isa, name):
    kernels = kernels_for("float64", isa)
    arguments = dict(
        x=np.zeros((3, 3)), batch_sizes=np.array([2, 1], np.intp),
        W=np.zeros((3, 12)), U=np.zeros((4, 12)), h_0=np.zeros((2, 4)), states=np.zeros((3, 4)),
        gates=np.zeros((3, 12)), d_states=np.zeros((3, 4)), d_h=np.zeros((2, 4)),
        dx=np.zeros((3, 3)), dW=np.zeros((3, 12)), dU=np.zeros((4, 12)), db=np.zeros(12),
        dc=np.zeros(0),
    )  # fmt: skip
    kernels.gru_backward(**arguments)
    with pytest.raises(ValueError, match="must be|shapes"):
        kernels.gru_backward(**{**arguments, name: BAD_GRADIENT_SHAPES[name]})
