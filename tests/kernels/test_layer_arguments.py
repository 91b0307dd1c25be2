"""Arguments that stacks of layers refuse, and what their object does after it has refused some."""

import mmap
import sys

import numpy as np
import pytest
from helpers import accepted_shapes
from stack_helpers import LENGTHS, D, V, backward, forward, gradients_of, minibatch, run, stack_of

from skgru.kernels import kernels_for
from skgru.model.parameters import Layer

CELL = "gru_reset_after"  # it has all weights


class Calls:
    """The three calls of two layers of two directions, with arrays by name: W 0 to W 3 and so on.

    Arrays that a call is not given are those of `stack` and `batch`.
    """

    def __init__(self, kernels, n_directions=2, **options):
        self.kernels, self.stack = kernels, stack_of(CELL, 2, n_directions)
        self.batch = minibatch(self.stack, (2, 1), **options)
        self.n_directions, self.n = n_directions, 2 * n_directions

    def by_name(self, weights, tables):
        named = {f"{k} {i}": a for i, own in enumerate(weights) for k, a in own._asdict().items()}
        return named | {f"E {i}": table for i, table in enumerate(tables)}

    def lists(self, named):
        layers = [
            [Layer(*(named[f"{k} {i}"] for k in "WUbc")) for i in own]
            for own in np.arange(self.n).reshape(2, -1)
        ]
        return layers, [named[f"E {i}"] for i in range(self.n_directions)]

    def of_make(self):
        return self.by_name(self.stack.directions, self.stack.tables)

    def make(self, **named):
        return self.kernels.RecurrentLayers(self.kernels.CELLS[CELL][0], *self.lists(named))

    def of_forward(self):
        named = {f"mask {i}": mask for i, mask in enumerate(self.batch.options["masks"])}
        for i, arrays in enumerate(self.batch.inputs):
            named |= {f"{k} {i}": a for k, a in zip(("x", "codes", "decay"), arrays, strict=True)}
        states = np.empty_like(self.batch.d_states)
        return {**named, "sizes": self.batch.batch_sizes, "h": self.batch.h, "states": states}

    def forward(self, sizes, h, states, **named):
        layers = self.stack.make(self.kernels)
        inputs = [
            tuple(named[f"{k} {i}"] for k in ("x", "codes", "decay"))
            for i in range(self.n_directions)
        ]
        masks = [named[f"mask {i}"] for i in range(self.n)]
        layers.forward(inputs, sizes, h, states, keep=True, masks=masks)
        return layers

    def of_backward(self):
        d_layers, d_tables, d_inputs = gradients_of(self.stack, self.batch)
        named = self.by_name([own for both in d_layers for own in both], d_tables)
        for i, (d_x, d_decay) in enumerate(d_inputs):
            named |= {f"x {i}": d_x, f"decay {i}": d_decay}
        return {**named, "states": self.batch.d_states, "h": self.batch.d_last}

    def backward(self, states, h, **named):
        layers = self.forward(**self.of_forward())
        d_inputs = [(named[f"x {i}"], named[f"decay {i}"]) for i in range(self.n_directions)]
        layers.backward(states, h, *self.lists(named), d_inputs)


CALLS = ["make", "forward", "backward"]


def test_shapes_are_checked(isa):
    """Of every array of every direction of every layer."""
    calls = Calls(kernels_for("float64", isa))
    (H, top), S = (len(own[0].U) for own in calls.stack.layers), calls.batch.h.shape[1]
    G = 3 * H
    assert accepted_shapes(calls.make, calls.of_make()) == {
        (f"E {i}", (n, G)) for i in (0, 1) for n in (0, V - 1, V + 1)
    }
    assert accepted_shapes(calls.forward, calls.of_forward()) == {
        *((f"codes {i}", (3, C)) for i in (0, 1) for C in (1, 3)),
        *((f"decay {i}", (0, H)) for i in (0, 1)),
        *(("h", (n, S)) for n in (0, 1)),
        ("states", (0, 2 * top)),
    }
    assert accepted_shapes(calls.backward, calls.of_backward()) == {
        *((f"x {i}", (0, D)) for i in (0, 1)),
        ("states", (0, 2 * top)),
    }


@pytest.mark.parametrize("call", CALLS)
def test_wrong_types_are_refused(isa, call):
    """As are arrays with gaps; None is no array, which is refused wherever one must be."""
    calls = Calls(kernels_for("float64", isa))
    function, right = getattr(calls, call), getattr(calls, f"of_{call}")()
    function(**right)
    accepted = set()
    for name, array in right.items():
        wrong = [array.astype("float32"), array.tolist(), "text", 1, object()]
        wrong += [np.repeat(array, 2, axis=0)[::2], array.astype(array.dtype.newbyteorder())]
        for value in [*wrong, array[np.newaxis], np.asfortranarray(np.ones((7, 7)))]:
            with pytest.raises((TypeError, ValueError)):
                function(**{**right, name: value})
        try:
            function(**{**right, name: None})
        except ValueError:
            continue
        accepted.add(name)
    assert (
        accepted
        == {
            "make": {"E 0", "E 1"},
            "forward": {"h", "states", "decay 0", "decay 1"},
            "backward": {"states", "x 0", "x 1"},
        }[call]
    )


def test_lists_of_other_lengths_are_refused(isa):
    calls = Calls(kernels_for("float64", isa))
    kernels, stack, batch = calls.kernels, calls.stack, calls.batch
    index, wrong = kernels.CELLS[CELL][0], (TypeError, ValueError)
    (first, second), tables = stack.layers, stack.tables
    for layers, own in (
        ([], tables), ([[], []], tables), ([first, second[:1]], tables), ([3 * first[:1]], []),
        ([first, [*second, second[0]]], tables), ([first, []], tables), (None, tables),
        ([first, None], tables), ([None, second], tables), ([first, [second[0], None]], tables),
        (stack.layers, tables[:1]), (stack.layers, 3 * tables[:1]), (stack.layers, None),
        ([first, [second[0], second[1][:3]]], tables), (tuple(stack.layers), tables),
        ([first, [second[0], (*second[1], second[1].c)]], tables),
    ):  # fmt: skip
        with pytest.raises(wrong):
            kernels.RecurrentLayers(index, layers, own)

    layers, masks = stack.make(kernels), batch.options["masks"]
    one, two = batch.inputs
    for inputs, own in (
        ([], masks), ([one], masks), ([one, two, one], masks), ([one, two[:2]], masks),
        ([one, None], masks), (None, masks), ((one, two), masks), (batch.inputs, masks[:1]),
        (batch.inputs, masks[:3]), (batch.inputs, [*masks, masks[0]]), (batch.inputs, None),
    ):  # fmt: skip
        with pytest.raises(wrong):
            layers.forward(
                inputs, batch.batch_sizes, batch.h, batch.d_states[:0], keep=True, masks=own
            )

    # lists and tuples within the lists are the same
    as_lists = [list(own) for own in batch.inputs]
    forward(layers, batch._replace(inputs=as_lists))
    d_layers, d_tables, d_inputs = gradients_of(stack, batch)
    (first, second), (one, two) = d_layers, d_inputs
    for weights, own, inputs in (
        ([], d_tables, d_inputs), ([first], d_tables, d_inputs), (None, d_tables, d_inputs),
        ([first, second[:1]], d_tables, d_inputs), ([first, []], d_tables, d_inputs),
        ([[], second], d_tables, d_inputs), ([*d_layers, second], d_tables, d_inputs),
        ([first, [*second, second[0]]], d_tables, d_inputs), ([first, None], d_tables, d_inputs),
        ([first, [second[0], second[1][:3]]], d_tables, d_inputs),
        (d_layers, d_tables[:1], d_inputs), (d_layers, 3 * d_tables[:1], d_inputs),
        (d_layers, None, d_inputs), (d_layers, d_tables, [one]), (d_layers, d_tables, None),
        (d_layers, d_tables, [one, two[:1]]), (d_layers, d_tables, [one, (*two, two[0])]),
        (d_layers, d_tables, [one, two, one]), (d_layers, d_tables, []),  # decay has a gradient
    ):  # fmt: skip
        with pytest.raises(wrong):
            layers.backward(batch.d_states, batch.d_last.copy(), weights, own, inputs)
    want = run(kernels, stack, batch)
    got = backward(layers, stack, batch)
    assert all(np.array_equal(got[name], want[name]) for name in got)

    without = stack_of(CELL, 2, 2, coded=False)
    plain = minibatch(without, (2, 1), decays=False)
    layers = without.make(kernels)
    with pytest.raises(ValueError, match="empty if there are no categories"):
        layers.forward(
            [(x, codes, plain.inputs[0][2]) for x, codes, _ in batch.inputs], batch.batch_sizes,
            batch.h, batch.d_states[:0], keep=True,
        )  # fmt: skip
    forward(layers, plain)
    d_layers, _, d_inputs = gradients_of(without, plain)
    with pytest.raises(ValueError, match="shapes of the tables"):
        layers.backward(plain.d_states, plain.d_last.copy(), d_layers, d_tables, d_inputs)
    with pytest.raises(ValueError, match="d_decay as decay"):
        layers.backward(
            plain.d_states, plain.d_last.copy(), d_layers, [],
            [(d_x, batch.inputs[0][2]) for d_x, _ in d_inputs],
        )  # fmt: skip


def test_a_pass_that_raises_keeps_nothing(isa):
    """The next forward pass is that of a new object."""
    kernels, stack = kernels_for("float64", isa), stack_of(CELL, 2, 2)
    batch, layers = minibatch(stack), stack.make(kernels)
    want = run(kernels, stack, batch, layers)
    outside = [(x, np.full_like(codes, V), decay) for x, codes, decay in batch.inputs]
    for bad in (
        *(batch._replace(options={"dropout": rate}) for rate in (1, -0.1, np.nan)),
        batch._replace(inputs=[batch.inputs[0], outside[1]]),
        batch._replace(inputs=[outside[0], batch.inputs[1]]),
        batch._replace(h=np.zeros((len(LENGTHS) + 1, batch.h.shape[1]))),
        batch._replace(batch_sizes=batch.batch_sizes[:-1]),
    ):
        with pytest.raises(ValueError, match="must be|add up"):
            forward(layers, bad)
        with pytest.raises(ValueError, match="no forward pass with keep=True"):
            backward(layers, stack, batch)
        with pytest.raises(ValueError, match="no forward pass with keep=True"):
            layers.kept(0)
        got = run(kernels, stack, batch, layers)
        assert all(np.array_equal(got[name], want[name]) for name in want)


def test_codes_are_checked_again_before_their_rows_get_gradients(isa):
    kernels, stack = kernels_for("float64", isa), stack_of(CELL, 1, 2)
    batch, layers = minibatch(stack), stack.make(kernels)
    forward(layers, batch)
    codes = batch.inputs[1][1]
    for code in (V, -1, 2**31 - 1):
        before, codes[-1, -1] = codes[-1, -1], code
        with pytest.raises(ValueError, match="codes must be"):
            backward(layers, stack, batch)
        codes[-1, -1] = before
    backward(layers, stack, batch)


@pytest.mark.skipif(sys.platform != "linux", reason="it asks Linux for addresses without memory")
@pytest.mark.parametrize("n_directions", [1, 2])
def test_sizes_beyond_any_memory(isa, n_directions):
    """16 TB of zeros that no page stands for, as one time step."""
    kernels, stack = kernels_for("float64", isa), stack_of(CELL, 2, n_directions, coded=False)
    batch, layers = minibatch(stack, **{"masked": False, "decays": False}), stack.make(kernels)
    want, N = run(kernels, stack, batch, layers), 2**41 // D
    no_reserve = 0x4000  # mmap.MAP_NORESERVE, which Python has from 3.13 on
    try:
        zeros = mmap.mmap(-1, 8 * N * D, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve)
    except OSError:
        pytest.skip("the system gives no addresses without memory")
    x = np.frombuffer(zeros).reshape(N, D)
    inputs = [(x, *arrays) for _, *arrays in batch.inputs]
    with pytest.raises(MemoryError):
        layers.forward(inputs, np.array([N]), batch.h, batch.d_states[:0], keep=True)
    with pytest.raises(ValueError, match="no forward pass with keep=True"):
        backward(layers, stack, batch)
    got = run(kernels, stack, batch, layers)
    assert all(np.array_equal(got[name], want[name]) for name in want)
