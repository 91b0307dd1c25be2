"""The compiled GRU layer against the plain NumPy one, and that against central differences.

On every instruction set that this build and this processor have.
"""

import numpy as np
import pytest
from reference import (
    accepted_shapes,
    central_differences,
    gru_backward,
    gru_forward,
    pack,
    ragged_lengths,
    relative_error,
    unpack,
)

from skgru.kernels import kernels_for

LENGTHS = {"uniform": lambda B, T: np.full(B, T), "ragged": ragged_lengths}


def random_layer(rng, D, H, reset_after, dtype="float64"):
    shapes = {"W": (D, 3 * H), "U": (H, 3 * H), "b": (3 * H,), "c": (H * reset_after,)}
    return {k: (rng.normal(size=s) / np.sqrt(H)).astype(dtype) for k, s in shapes.items()}


def dropout_masks(h0, masked=True):
    """One of dropout at a rate of 0.3 for each sequence, or none."""
    rng = np.random.default_rng(7)
    return ((rng.random(h0.shape) > 0.3) / 0.7).astype(h0.dtype) if masked else None


def or_none(mask, h0):
    """What kernels take."""
    return np.empty((0, 0), h0.dtype) if mask is None else mask


def run_forward(kernels, x, batch_sizes, h0, layer, mask=None):
    """h_last, states and gates of a layer."""
    H, reset_after = h0.shape[1], len(layer["c"]) > 0
    h_last = np.full_like(h0, np.nan)
    states = np.full((len(x), H), np.nan, h0.dtype)
    gates = np.full((len(x), (3 + reset_after) * H), np.nan, h0.dtype)
    kernels.gru_forward(
        x, batch_sizes, *layer.values(), h0, or_none(mask, h0), h_last, states, gates
    )  # fmt: skip
    return h_last, states, gates


def run_backward(
    kernels, x, batch_sizes, h0, layer, d_packed, d_last=None, mask=None, want_dx=True, add_to=None
):
    """Gradients by name; those of the layer are added to what there is, else to zeros."""
    _, states, gates = run_forward(kernels, x, batch_sizes, h0, layer, mask)
    d_h = np.zeros_like(h0) if d_last is None else d_last.copy()
    grad = {k: np.zeros_like(v) for k, v in layer.items()} if add_to is None else add_to
    dx = np.full((len(x) * want_dx, x.shape[1]), np.nan, x.dtype)
    kernels.gru_backward(
        x, batch_sizes, layer["W"], layer["U"], h0, or_none(mask, h0), states, gates, d_packed,
        d_h, dx, *grad.values(),
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


def in_float64(*arrays):
    return [None if a is None else a.astype("float64") for a in arrays]


def reference_gradients(sequences, batch_sizes, h0, layer, d_packed, mask=None):
    """Sum over the sequences, in float64."""
    layer = dict(zip(layer, in_float64(*layer.values()), strict=True))
    masks = [None] * len(h0) if mask is None else mask
    parts = [
        gru_backward(*in_float64(s, h), *layer.values(), *in_float64(d, m))
        for s, h, d, m in zip(sequences, h0, unpack(d_packed, batch_sizes), masks, strict=True)
    ]
    summed = {k: sum(p[k] for p in parts) for k in layer}
    return {
        **summed,
        "x": pack([p["x"] for p in parts])[0],
        "h0": np.array([p["h0"] for p in parts]),
    }


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("B", [1, 5, 64])
@pytest.mark.parametrize("T", [1, 2, 50])
@pytest.mark.parametrize("H", [1, 3, 17, 64, 100])
def test_forward_matches_reference(isa, H, T, B, lengths, reset_after):
    for dtype, tolerance in (("float64", 1e-12), ("float32", 2e-6)):
        sequences, x, batch_sizes, h0, layer, _ = problem(4, H, T, B, lengths, reset_after, dtype)
        h_last, states, _ = run_forward(kernels_for(dtype, isa), x, batch_sizes, h0, layer)
        exact = in_float64(*layer.values())
        by_sequence = [
            gru_forward(*in_float64(s, h), *exact) for s, h in zip(sequences, h0, strict=True)
        ]
        assert relative_error(states, pack(by_sequence)[0]) <= tolerance
        np.testing.assert_array_equal(h_last, [s[-1] for s in unpack(states, batch_sizes)])


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("H", "T", "B"), [(1, 1, 1), (3, 2, 5), (17, 30, 5), (67, 9, 33)])
def test_forward_with_masks_matches_reference(isa, H, T, B, lengths, reset_after):
    for dtype, tolerance in (("float64", 1e-12), ("float32", 2e-6)):
        sequences, x, batch_sizes, h0, layer, _ = problem(4, H, T, B, lengths, reset_after, dtype)
        kernels, mask = kernels_for(dtype, isa), dropout_masks(h0)
        h_last, states, _ = run_forward(kernels, x, batch_sizes, h0, layer, mask)
        exact = in_float64(*layer.values())
        by_sequence = [
            gru_forward(*in_float64(s, h), *exact, *in_float64(m))
            for s, h, m in zip(sequences, h0, mask, strict=True)
        ]
        assert relative_error(states, pack(by_sequence)[0]) <= tolerance
        np.testing.assert_array_equal(h_last, [s[-1] for s in unpack(states, batch_sizes)])


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(
    ("H", "T", "B", "masked"),
    [
        *((1, 1, 1, False), (3, 2, 5, False), (17, 50, 5, False), (64, 20, 64, False)),
        *((100, 9, 13, False), (1, 2, 1, True), (3, 2, 5, True), (17, 30, 5, True)),
        (67, 9, 33, True),
    ],
)
def test_backward_matches_reference(isa, H, T, B, masked, lengths, reset_after):
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-4)):
        sequences, x, batch_sizes, h0, layer, d = problem(5, H, T, B, lengths, reset_after, dtype)
        kernels, mask = kernels_for(dtype, isa), dropout_masks(h0, masked)
        got = run_backward(kernels, x, batch_sizes, h0, layer, d, mask=mask)
        want = reference_gradients(sequences, batch_sizes, h0, layer, d, mask)
        for name in want:
            assert relative_error(got[name], want[name]) <= tolerance, name


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("H", "T", "B"), [(1, 2, 1), (3, 6, 4), (7, 4, 3)])
def test_gradients_match_central_differences(isa, H, T, B, lengths, reset_after, masked):
    """Every entry of every parameter, of x and of h_0, of the compiled and the plain backward."""
    kernels = kernels_for("float64", isa)
    sequences, x, batch_sizes, h0, layer, d = problem(2, H, T, B, lengths, reset_after)
    mask = dropout_masks(h0, masked)

    def loss():
        return np.vdot(run_forward(kernels, x, batch_sizes, h0, layer, mask)[1], d)

    compiled = run_backward(kernels, x, batch_sizes, h0, layer, d, mask=mask)
    plain = reference_gradients(sequences, batch_sizes, h0, layer, d, mask)
    for name, array in {**layer, "x": x, "h0": h0}.items():
        numeric = central_differences(loss, array)
        assert relative_error(compiled[name], numeric) <= 1e-6, name
        assert relative_error(plain[name], numeric) <= 1e-6, name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reset_after", [False, True])
def test_a_mask_of_ones_is_none(isa, reset_after, dtype):
    """To the last bit forward; backward it adds up in another order."""
    _, x, batch_sizes, h0, layer, d = problem(5, 37, 11, 9, "ragged", reset_after, dtype)
    kernels, ones = kernels_for(dtype, isa), np.ones_like(h0)
    for got, want in zip(
        run_forward(kernels, x, batch_sizes, h0, layer, ones),
        run_forward(kernels, x, batch_sizes, h0, layer),
        strict=True,
    ):
        np.testing.assert_array_equal(got, want)
    got = run_backward(kernels, x, batch_sizes, h0, layer, d, mask=ones)
    for name, want in run_backward(kernels, x, batch_sizes, h0, layer, d).items():
        assert relative_error(got[name], want) <= {"float32": 1e-5, "float64": 1e-14}[dtype], name


@pytest.mark.parametrize("reset_after", [False, True])
def test_a_mask_of_zeros_leaves_the_carry(isa, reset_after):
    """U has nothing to take; z keeps the whole past all the same."""
    _, x, batch_sizes, h0, layer, d = problem(3, 5, 4, 6, "ragged", reset_after)
    kernels, zeros = kernels_for("float64", isa), np.zeros_like(h0)
    got = run_backward(kernels, x, batch_sizes, h0, layer, d, mask=zeros)
    _, with_mask, _ = run_forward(kernels, x, batch_sizes, h0, layer, zeros)
    layer["U"][:] = 0
    _, without_U, _ = run_forward(kernels, x, batch_sizes, h0, layer)
    np.testing.assert_array_equal(with_mask, without_U)
    want = run_backward(kernels, x, batch_sizes, h0, layer, d)
    for name in ("W", "b", "c", "x", "h0"):
        np.testing.assert_allclose(got[name], want[name], rtol=1e-13, err_msg=name)
    assert (got["U"] == 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reset_after", [False, True])
def test_gradients_of_the_layer_are_added(isa, reset_after, dtype):
    """In more rows than are multiplied at a time, so that each share is added once."""
    _, x, batch_sizes, h0, layer, d = problem(3, 21, 30, 25, "ragged", reset_after, dtype)
    kernels, mask = kernels_for(dtype, isa), dropout_masks(h0)
    from_zero = run_backward(kernels, x, batch_sizes, h0, layer, d, mask=mask)
    before = random_layer(np.random.default_rng(3), 3, 21, reset_after, dtype)
    added = {k: 10 * v for k, v in before.items()}
    run_backward(kernels, x, batch_sizes, h0, layer, d, mask=mask, add_to=added)
    for name, value in before.items():
        want = 10 * value + from_zero[name]
        assert relative_error(added[name], want) <= {"float32": 1e-5, "float64": 1e-14}[dtype]
    assert len(x) > 256


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("n_steps", [1, 4])
def test_windows_of_steps_add_up(isa, n_steps, reset_after, masked, dtype):
    """One after the other there and back, handing h and ∂L/∂h on: as in one, forward bit by bit."""
    _, x, batch_sizes, h0, layer, d = problem(3, 21, 10, 14, "ragged", reset_after, dtype)
    kernels, mask = kernels_for(dtype, isa), dropout_masks(h0, masked)
    want_last, want_states, _ = run_forward(kernels, x, batch_sizes, h0, layer, mask)
    want = run_backward(kernels, x, batch_sizes, h0, layer, d, mask=mask)

    h, begin, h_last, states = h0, [], np.full_like(h0, np.nan), []
    ends = np.r_[0, np.cumsum(batch_sizes)]
    firsts = range(0, len(batch_sizes), n_steps)
    for first in firsts:
        sizes = batch_sizes[first : first + n_steps]
        rows, n = slice(ends[first], ends[first + len(sizes)]), sizes[0]
        h, own_mask = h[:n], mask[:n] if masked else None
        begin.append((x[rows], sizes, h, own_mask, rows))
        h, part, _ = run_forward(kernels, x[rows], sizes, h, layer, own_mask)
        h_last[:n] = h
        states.append(part)
    np.testing.assert_array_equal(h_last, want_last)
    np.testing.assert_array_equal(np.concatenate(states), want_states)

    added, d_h, dx = {k: np.zeros_like(v) for k, v in layer.items()}, np.zeros_like(h0), []
    for x_part, sizes, h, own_mask, rows in reversed(begin):
        n = sizes[0]
        part = run_backward(
            kernels, x_part, sizes, h, layer, d[rows], d_h[:n], own_mask, add_to=added
        )
        d_h[:n] = part["h0"]
        dx.insert(0, part["x"])
    for name, value in {**added, "x": np.concatenate(dx), "h0": d_h}.items():
        assert relative_error(value, want[name]) <= {"float32": 1e-5, "float64": 1e-13}[dtype], name


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
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("reset_after", [False, True])
def test_inference_without_storage_has_the_same_bits(isa, reset_after, masked, dtype):
    _, x, batch_sizes, h0, layer, _ = problem(5, 33, 12, 19, "ragged", reset_after, dtype)
    kernels, none, mask = (
        kernels_for(dtype, isa),
        np.empty((0, 0), dtype),
        dropout_masks(h0, masked),
    )
    h_last, states, _ = run_forward(kernels, x, batch_sizes, h0, layer, mask)
    for kept_states, kept_gates in ((none, none), (np.empty_like(states), none)):
        again = np.empty_like(h0)
        kernels.gru_forward(
            x, batch_sizes, *layer.values(), h0, or_none(mask, h0), again, kept_states, kept_gates
        )
        np.testing.assert_array_equal(again, h_last)
        if kept_states.size:
            np.testing.assert_array_equal(kept_states, states)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("H", [5, 64, 100])
def test_a_row_has_the_same_bits_in_any_company(isa, H, reset_after, masked, dtype):
    """Forward and backward, alone or among any number of others: what n_jobs relies on."""
    sequences, x, batch_sizes, h0, layer, d = problem(6, H, 7, 25, "ragged", reset_after, dtype)
    kernels, mask = kernels_for(dtype, isa), dropout_masks(h0, masked)
    states = unpack(run_forward(kernels, x, batch_sizes, h0, layer, mask)[1], batch_sizes)
    gradients = run_backward(kernels, x, batch_sizes, h0, layer, d, mask=mask)
    dx, d = unpack(gradients["x"], batch_sizes), unpack(d, batch_sizes)
    for first, stop in ((0, 1), (3, 5), (4, 17), (11, 25)):
        some = slice(first, stop)
        x_some, sizes_some = pack(sequences[some])
        d_some, _ = pack(d[some])
        own_mask = mask[some] if masked else None
        part = run_forward(kernels, x_some, sizes_some, h0[some], layer, own_mask)[1]
        for got, want in zip(unpack(part, sizes_some), states[some], strict=True):
            np.testing.assert_array_equal(got, want)
        part = run_backward(kernels, x_some, sizes_some, h0[some], layer, d_some, mask=own_mask)
        np.testing.assert_array_equal(part["h0"], gradients["h0"][some])
        for got, want in zip(unpack(part["x"], sizes_some), dx[some], strict=True):
            np.testing.assert_array_equal(got, want)


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
    mask = dropout_masks(h0)
    expected = run_backward(kernels, x, batch_sizes, h0, layer, d, mask=mask)
    for array in (x, batch_sizes, h0, d, mask, *layer.values()):
        array.flags.writeable = False
    for name, value in run_backward(kernels, x, batch_sizes, h0, layer, d, mask=mask).items():
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


FORWARD = dict(
    x=np.zeros((3, 3)), batch_sizes=np.array([2, 1]), W=np.zeros((3, 12)), U=np.zeros((4, 12)),
    b=np.zeros(12), c=np.zeros(4), h_0=np.zeros((2, 4)), mask=np.zeros((2, 4)),
    h_last=np.zeros((2, 4)), states=np.zeros((3, 4)), gates=np.zeros((3, 16)),
)  # fmt: skip
BACKWARD = dict(
    x=np.zeros((3, 3)), batch_sizes=np.array([2, 1]), W=np.zeros((3, 12)), U=np.zeros((4, 12)),
    h_0=np.zeros((2, 4)), mask=np.zeros((2, 4)), states=np.zeros((3, 4)), gates=np.zeros((3, 16)),
    d_states=np.zeros((3, 4)), d_h=np.zeros((2, 4)), dx=np.zeros((3, 3)), dW=np.zeros((3, 12)),
    dU=np.zeros((4, 12)), db=np.zeros(12), dc=np.zeros(4),
)  # fmt: skip


def test_shapes_are_checked(isa):
    """Nothing but what may be left out may be empty, and nothing longer or shorter."""
    kernels = kernels_for("float64", isa)
    optional = {("mask", (0, 4)), ("states", (0, 4)), ("gates", (0, 16))}
    assert accepted_shapes(kernels.gru_forward, FORWARD) == optional
    before = {**FORWARD, "c": np.zeros(0), "gates": np.zeros((3, 12))}
    optional = optional - {("gates", (0, 16))} | {("gates", (0, 12))}
    assert accepted_shapes(kernels.gru_forward, before) == optional

    optional = {("mask", (0, 4)), ("d_states", (0, 4)), ("dx", (0, 3))}
    assert accepted_shapes(kernels.gru_backward, BACKWARD) == optional
    before = {**BACKWARD, "dc": np.zeros(0), "gates": np.zeros((3, 12))}
    assert accepted_shapes(kernels.gru_backward, before) == optional


@pytest.mark.parametrize("sizes", [[], [1, 2], [2], [2, 2], [3, 0], [4, -1], [0, 3], [3]])
def test_batch_sizes_are_checked(isa, sizes):
    kernels, batch_sizes = kernels_for("float64", isa), np.array(sizes, np.intp)
    with pytest.raises(ValueError, match="must be|needs|add up"):
        kernels.gru_forward(**{**FORWARD, "batch_sizes": batch_sizes})
    with pytest.raises(ValueError, match="must be|needs|add up|shapes"):
        kernels.gru_backward(**{**BACKWARD, "batch_sizes": batch_sizes})
