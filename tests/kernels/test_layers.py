"""Stacks of layers in one call against the reference, layer by layer; and what an object keeps.

One layer of one direction is what the tests of cells run. Here are several, of every cell, on every
instruction set that this build and this processor support.
"""

import weakref

import numpy as np
import pytest
from helpers import pack, relative_error, unpack
from reference import CELLS
from stack_helpers import (
    LENGTHS,
    PLAIN,
    RATE,
    SEED,
    SIZES,
    Stack,
    backward,
    forward,
    gradients_of,
    minibatch,
    reference_run,
    reversed_steps,
    run,
    stack_of,
)

from skgru.kernels import kernels_for
from skgru.model.parameters import Layer

every_stack = pytest.mark.parametrize(
    ("cell", "n_layers", "n_directions"), [(c, n, d) for c in CELLS for n in SIZES for d in (1, 2)]
)


def assert_same_bits(got, want):
    assert set(got) == set(want)
    for name in want:
        np.testing.assert_array_equal(got[name], want[name], err_msg=name)


@every_stack
@pytest.mark.parametrize("everything", [False, True], ids=["plain", "everything"])
def test_stacks_equal_the_reference(isa, cell, n_layers, n_directions, everything):
    """With everything: categories, decay, recurrent dropout and dropout between the layers."""
    want = reference_run(cell, n_layers, n_directions, everything)
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-4)):
        stack = stack_of(cell, n_layers, n_directions, dtype, coded=everything)
        batch = minibatch(stack, dtype=dtype, **({} if everything else PLAIN))
        got = run(kernels_for(dtype, isa), stack, batch)
        assert set(got) == set(want)
        for name in want:
            assert got[name].shape == want[name].shape, name
            assert relative_error(got[name], want[name]) <= tolerance, name


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_windows_equal_the_whole(isa, cell):
    """Windows of 3 steps, counted from the ends: shorter sequences begin in a later one."""
    kernels, stack = kernels_for("float64", isa), stack_of(cell, 2, 1)
    whole = minibatch(stack, dropout=0)
    whole.h[:] = 0
    want = run(kernels, stack, whole)
    rows = unpack(np.arange(len(whole.d_states)), whole.batch_sizes)
    n_windows = -(-LENGTHS[0] // 3)
    windows, layers, h = [], stack.make(kernels), whole.h[:0]
    for i in range(n_windows):
        stops = [n - 3 * (n_windows - 1 - i) for n in LENGTHS]
        own, sizes = pack([r[max(n - 3, 0) : n] for r, n in zip(rows, stops, strict=True) if n > 0])
        part = whole._replace(
            inputs=[tuple(array[own] for array in whole.inputs[0])], batch_sizes=sizes, h=h,
            options={"masks": [mask[: sizes[0]] for mask in whole.options["masks"]]},
            d_states=whole.d_states[own],
        )  # fmt: skip
        windows.append((own, part))
        got = forward(layers, part, keep=False)
        np.testing.assert_array_equal(got["states"], want["states"][own])
        h = got["h_last"]
    np.testing.assert_array_equal(h, want["h_last"])
    assert [len(part.h) for _, part in windows] == [0, 2, 3]
    assert [part.batch_sizes[0] for _, part in windows] == [2, 3, 5]

    gradients, d_h = gradients_of(stack, whole), whole.d_last
    for own, part in reversed(windows):
        forward(layers, part)
        d_inputs = gradients_of(stack, part)[2]
        got = backward(layers, stack, part._replace(d_last=d_h), (*gradients[:2], d_inputs))
        d_h = got["h"][: len(part.h)].copy()
        for name in ("x 0", "decay 0"):
            assert relative_error(got[name], want[name][own]) <= 1e-13
    for name in want.keys() - {"states", "h_last", "h", "x 0", "decay 0"}:
        assert relative_error(got[name], want[name]) <= 1e-13, name


# ---- one object for many minibatches -------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_directions", [1, 2])
def test_an_object_may_be_used_again(isa, n_directions, dtype):
    """For minibatches that grow and shrink, with and without what is optional: the same bits."""
    kernels, stack = kernels_for(dtype, isa), stack_of("lstm", 3, n_directions, dtype)
    layers = stack.make(kernels)
    for lengths, options in (
        ((2, 1), {}), (LENGTHS, PLAIN), ((40,) * 9, {}), ((1,), PLAIN), ((3, 3, 1), {"dropout": 0}),
        (LENGTHS, {"masked": False}), ((60, 2), {"decays": False}), ((2, 1), {}),
    ):  # fmt: skip
        batch = minibatch(stack, lengths, dtype, **options)
        want = run(kernels, stack, batch)
        assert_same_bits(run(kernels, stack, batch, layers), want)
        for want_states in (False, True):
            got = forward(layers, batch, keep=False, want_states=want_states)
            np.testing.assert_array_equal(got["h_last"], want["h_last"])
            if want_states:
                np.testing.assert_array_equal(got["states"], want["states"])


@pytest.mark.parametrize("n_directions", [1, 2])
def test_a_second_backward_pass_adds_the_same_gradient(isa, n_directions):
    kernels, stack = kernels_for("float64", isa), stack_of("gru", 2, n_directions)
    batch, layers = minibatch(stack), stack.make(kernels)
    forward(layers, batch)
    gradients = gradients_of(stack, batch)
    first = {k: v.copy() for k, v in backward(layers, stack, batch, gradients).items()}
    assert_same_bits(backward(layers, stack, batch), first)
    for name, value in backward(layers, stack, batch, gradients).items():
        factor = 2 if name[0] in "WUbcE" else 1
        assert relative_error(value, factor * first[name]) <= 1e-14, name


@pytest.mark.parametrize("n_directions", [1, 2])
def test_what_is_not_wanted_is_left_out(isa, n_directions):
    """All else has the same bits, and arrays of an earlier pass stay as they are."""
    kernels, stack = kernels_for("float64", isa), stack_of("gru_reset_after", 3, n_directions)
    batch, layers = minibatch(stack), stack.make(kernels)

    def run_before():
        earlier = run(kernels, stack, batch, layers)
        results = {name: array.copy() for name, array in earlier.items()}
        earlier.pop("states")  # which the backward pass reads where they are
        for array in earlier.values():
            array[:] = 0
        return results, earlier

    want, earlier = run_before()
    assert_same_bits(
        forward(layers, batch, want_states=False),
        {"states": want["states"][:0], "h_last": want["h_last"]},
    )
    d_layers, _, d_inputs = gradients_of(stack, batch)
    d_layers[1] = [Layer(*(array[:0] for array in own)) for own in d_layers[1]]
    d_inputs = [(d_x[:0], d_decay) for d_x, d_decay in d_inputs]
    got = backward(layers, stack, batch, (d_layers, [], d_inputs))
    left_out = {f"{name} {i}" for name in "WUbc" for i in range(n_directions, 2 * n_directions)}
    left_out |= {f"x {i}" for i in range(n_directions)}
    assert {name for name, value in got.items() if not value.size} == left_out
    for name in got.keys() - left_out:
        np.testing.assert_array_equal(got[name], want[name], err_msg=name)
    assert want.keys() - got.keys() == {
        "states",
        "h_last",
        *(f"E {i}" for i in range(n_directions)),
    }
    assert not any(array.any() for array in earlier.values())

    # without decay, nothing of the inputs need be wanted
    batch = minibatch(stack, decays=False)
    want, earlier = run_before()
    got = backward(layers, stack, batch, (*gradients_of(stack, batch)[:2], []))
    assert_same_bits(got, {name: want[name] for name in got})
    assert not any(array.any() for array in earlier.values())
    # no gradient from above is a gradient of zeros
    forward(layers, batch)
    zeros = backward(layers, stack, batch._replace(d_states=0 * batch.d_states))
    assert_same_bits(backward(layers, stack, batch._replace(d_states=batch.d_states[:0])), zeros)


# ---- what is kept --------------------------------------------------------------------------------


@pytest.mark.parametrize("n_directions", [1, 2])
def test_kept_arrays(isa, n_directions):
    kernels, stack = kernels_for("float64", isa), stack_of("lstm", 2, n_directions)
    batch, layers = minibatch(stack), stack.make(kernels)
    n, sizes = 2 * n_directions, batch.batch_sizes

    def assert_nothing_is_kept():
        with pytest.raises(ValueError, match="no forward pass with keep=True"):
            layers.kept(0)
        with pytest.raises(ValueError, match="no forward pass with keep=True"):
            backward(layers, stack, batch)

    assert_nothing_is_kept()
    forward(layers, batch, keep=False)
    assert_nothing_is_kept()
    states = forward(layers, batch)["states"]
    for i in (-1, n, 2**31 - 1):
        with pytest.raises(ValueError, match="of such a direction"):
            layers.kept(i)
    kept = [layers.kept(i) for i in range(n)]
    assert all(list(own) == ["x", "states", "saved"] for own in kept)
    for i, weights in enumerate(stack.directions):
        H = len(weights.U)
        assert [a.shape[1] for a in kept[i].values()] == [len(weights.W), H, 5 * H]
    for own, (x, *_) in zip(kept, batch.inputs, strict=False):
        np.testing.assert_array_equal(own["x"], x)
    below, top = (
        np.hstack([
            own["states"] if i == 0 else reversed_steps(own["states"], sizes)
            for i, own in enumerate(part)
        ])
        for part in (kept[:n_directions], kept[n_directions:])
    )  # fmt: skip
    np.testing.assert_array_equal(top, states)
    dropped = np.empty_like(below)
    kernels.dropout(below, (SEED + 1) % 2**64, RATE, dropped)
    np.testing.assert_array_equal(kept[n_directions]["x"], dropped)
    np.testing.assert_array_equal(
        kept[-1]["x"], reversed_steps(dropped, sizes) if n > 2 else dropped
    )

    want = backward(layers, stack, batch)
    after = [layers.kept(i) for i in range(n)]
    for own, before in zip(after, kept, strict=True):
        assert list(own) == [*before, "d_states", "d_last", "d_h"]
        assert_same_bits({name: own[name] for name in before}, before)
    np.testing.assert_array_equal(np.hstack([own["d_last"] for own in after]), batch.d_last)
    np.testing.assert_array_equal(np.hstack([own["d_h"] for own in after]), want["h"])
    H = len(stack.layers[-1][0].U)
    np.testing.assert_array_equal(after[n_directions]["d_states"], batch.d_states[:, :H])
    if n_directions == 2:
        of_second = reversed_steps(batch.d_states[:, H:], sizes)
        np.testing.assert_array_equal(after[-1]["d_states"], of_second)
    for array in after[0].values():
        array[:] = np.nan  # they are copies
    assert_same_bits(backward(layers, stack, batch), want)
    backward(layers, stack, batch._replace(d_states=batch.d_states[:0]))
    assert len(layers.kept(n - 1)["d_states"]) == 0
    forward(layers, batch)
    assert list(layers.kept(0)) == ["x", "states", "saved"]


def test_arrays_outlive_those_who_made_them(isa):
    """An object refers to what a later pass reads, and its lists and batch sizes are its own."""
    kernels, stack = kernels_for("float64", isa), stack_of("gru", 2, 1)
    batch = minibatch(stack)
    want = run(kernels, stack, batch)
    shapes = [array.shape for array in (batch.d_last, batch.d_states)]
    given = Stack("gru", [list(own) for own in stack_of("gru", 2, 1).layers], stack.tables.copy())
    layers, read = given.make(kernels), minibatch(stack)
    forward(layers, read)
    arrays = [*given.directions[1], *read.inputs[0], *read.options["masks"]]
    alive = [weakref.ref(array) for array in arrays]
    read.batch_sizes[:] = 10**6
    for values in (*given.layers, given.layers, given.tables, read.inputs, read.options["masks"]):
        values.clear()
    del arrays
    d_states, gradients = batch.d_states.copy(), gradients_of(stack, batch)
    assert_same_bits(
        backward(layers, stack, batch._replace(d_states=d_states), gradients),
        {name: value for name, value in want.items() if name not in ("states", "h_last")},
    )
    alive.append(weakref.ref(d_states))
    del d_states
    assert all(array() is not None for array in alive)
    np.testing.assert_array_equal(layers.kept(1)["d_states"], batch.d_states)
    assert [layers.kept(1)[name].shape[0] for name in ("d_h", "d_states")] == [s[0] for s in shapes]
