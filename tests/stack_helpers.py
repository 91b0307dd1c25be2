"""Stacks of layers to run through the compiled kernels and through the NumPy reference."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import reference
from helpers import cell_info, pack, ragged_lengths, unpack
from reference import CELLS

from skgru.model.parameters import Layer

SIZES = {1: (5,), 2: (5, 3), 3: (4, 6, 3)}  # units of each layer
D, V, RATE, SEED = 3, 6, 0.3, 2**64 - 2  # seeds of layers begin again at 0
LENGTHS = tuple(ragged_lengths(5, 7).tolist())

PLAIN = {"masked": False, "decays": False, "dropout": 0}  # without what is optional


class Stack(NamedTuple):
    """Weights of layers, and tables of the first one."""

    cell: str
    layers: list[list[Layer]]
    tables: list[np.ndarray]

    @property
    def directions(self):
        """The weights of each direction of each layer."""
        return [weights for directions in self.layers for weights in directions]

    def make(self, kernels):
        return kernels.RecurrentLayers(
            cell_info(kernels, self.cell).index, self.layers, self.tables
        )


class Minibatch(NamedTuple):
    """What a forward pass reads, and gradients of its results."""

    inputs: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
    batch_sizes: np.ndarray
    h: np.ndarray
    options: dict
    d_states: np.ndarray
    d_last: np.ndarray


def stack_of(cell, n_layers, n_directions, dtype="float64", *, coded=True):
    """Return random weights. Those of both dtypes are the same numbers."""
    rng, n_gates, n_inputs, layers = np.random.default_rng(0), CELLS[cell].n_gates, D, []
    for H in SIZES[n_layers]:
        shapes = (n_inputs, n_gates * H), (H, n_gates * H), n_gates * H, H * ("after" in cell)
        layers.append(
            [Layer(*(numbers(rng, s, dtype) for s in shapes)) for _ in range(n_directions)]
        )
        n_inputs = n_directions * H
    shape = V, layers[0][0].W.shape[1]
    return Stack(cell, layers, [numbers(rng, shape, dtype) for _ in range(n_directions * coded)])


def numbers(rng, shape, dtype):
    return (rng.normal(size=shape) / 2).astype("float32").astype(dtype)


def minibatch(stack, lengths=LENGTHS, dtype="float64", *, masked=True, decays=True, dropout=RATE):
    """Return random inputs. Those of the second direction have nothing to do with the first's."""
    rng, H, S = np.random.default_rng(1), len(stack.layers[0][0].U), CELLS[stack.cell].n_states
    batch_sizes, B = pack([np.empty((n, 1)) for n in lengths])[1], len(lengths)
    N, n_state = sum(lengths), S * sum(len(weights.U) for weights in stack.directions)
    inputs = [
        (
            numbers(rng, (N, D), dtype),
            rng.integers(V, size=(N * bool(stack.tables), 2), dtype=np.int32),
            rng.uniform(0.2, 1, size=(N * decays, H)).astype("float32").astype(dtype),
        )
        for _ in stack.layers[0]
    ]
    masks = [2.0 * (rng.random((B, len(weights.U))) > 0.5) for weights in stack.directions]
    options = {
        "masks": [mask.astype(dtype) for mask in masks] if masked else [],
        "dropout": dropout,
        "seed": SEED,
    }
    width = sum(len(weights.U) for weights in stack.layers[-1])
    d_states, h, d_last = (numbers(rng, s, dtype) for s in ((N, width), *2 * [(B, n_state)]))
    return Minibatch(inputs, batch_sizes, h, options, d_states, d_last)


def forward(layers, batch, *, keep=True, want_states=True):
    """Return the states and the last states by name."""
    width = batch.d_states.shape[1]
    states = np.full((len(batch.d_states) * want_states, width), np.nan, batch.d_states.dtype)
    h_last = layers.forward(
        batch.inputs, batch.batch_sizes, batch.h, states, keep=keep, **batch.options
    )
    return {"states": states, "h_last": h_last}


def gradients_of(stack, batch):
    """Return arrays for a backward pass: zeros to add to, and NaN where it writes."""
    return (
        [[Layer(*map(np.zeros_like, weights)) for weights in own] for own in stack.layers],
        [np.zeros_like(table) for table in stack.tables],
        [(np.full_like(x, np.nan), np.full_like(decay, np.nan)) for x, _, decay in batch.inputs],
    )


def backward(layers, stack, batch, gradients=None):
    """Return the gradients by name."""
    d_layers, d_tables, d_inputs = gradients_of(stack, batch) if gradients is None else gradients
    d_h = batch.d_last.copy()
    layers.backward(batch.d_states, d_h, d_layers, d_tables, d_inputs)
    result = {"h": d_h}
    for i, weights in enumerate(own for directions in d_layers for own in directions):
        result |= {f"{name} {i}": array for name, array in weights._asdict().items()}
    result |= {f"E {i}": array for i, array in enumerate(d_tables)}
    for i, (d_x, d_decay) in enumerate(d_inputs):
        result |= {f"x {i}": d_x, f"decay {i}": d_decay}
    return result


def run(kernels, stack, batch, layers=None):
    """Return results of both passes by name, by a new object unless one is given."""
    layers = stack.make(kernels) if layers is None else layers
    return forward(layers, batch) | backward(layers, stack, batch)


# ---- the reference -------------------------------------------------------------------------------


def reversed_steps(rows, batch_sizes):
    return pack([sequence[::-1] for sequence in unpack(rows, batch_sizes)])[0]


@lru_cache(maxsize=128)
def reference_run(cell, n_layers, n_directions, everything):
    """Return what `run` does in float64, as a composition of layers of one direction."""
    stack = stack_of(cell, n_layers, n_directions, coded=everything)
    batch = minibatch(stack, **({} if everything else PLAIN))
    S, B, sizes = CELLS[cell].n_states, len(LENGTHS), batch.batch_sizes
    own_sizes = [S * len(weights.U) for weights in stack.directions]
    columns = [slice(n - size, n) for n, size in zip(np.cumsum(own_sizes), own_sizes, strict=True)]
    masks = batch.options["masks"] or [np.ones((B, 1)) for _ in stack.directions]
    result = {"h_last": np.empty_like(batch.h), "h": np.empty_like(batch.h)}
    rate, arguments, dropped, states = batch.options["dropout"], [], [1.0], None
    for depth, directions in enumerate(stack.layers):
        if depth:
            kept = reference.dropout_mask(states.size, (SEED + depth) % 2**64, rate)
            dropped.append(kept.reshape(states.shape) / (1 - rate))
            states = states * dropped[depth]
        both = []
        for direction, weights in enumerate(directions):
            i, no = depth * n_directions + direction, B * [None]
            x, codes, decay = batch.inputs[direction] if depth == 0 else (states, (), ())
            if depth and direction:
                x = reversed_steps(x, sizes)
            of_sequences = zip(
                unpack(x, sizes), batch.h[:, columns[i]], masks[i],
                unpack(codes, sizes) if len(codes) else no,
                unpack(decay, sizes) if len(decay) else no, strict=True,
            )  # fmt: skip
            E = stack.tables[direction] if len(codes) else None
            arguments.append(
                [((cell, x, h, *weights), dict(mask=m, codes=c, E=E, decay=g))
                 for x, h, m, c, g in of_sequences]
            )  # fmt: skip
            own = [reference.forward(*args, **more) for args, more in arguments[i]]
            result["h_last"][:, columns[i]] = [sequence[-1] for sequence in own]
            both.append(pack(own)[0][:, : len(weights.U)])
        if n_directions == 2:
            both[1] = reversed_steps(both[1], sizes)
        states = np.hstack(both)
    result["states"], d_states = states, batch.d_states
    for depth in reversed(range(n_layers)):
        d_inputs = []
        for direction, weights in enumerate(stack.layers[depth]):
            i, H, parts = depth * n_directions + direction, len(weights.U), []
            d_own = d_states[:, direction * H : (direction + 1) * H]
            d_own = unpack(reversed_steps(d_own, sizes) if direction else d_own, sizes)
            for k, (args, more) in enumerate(arguments[i]):
                d = np.zeros((len(d_own[k]), S * H))
                d[:, :H] = d_own[k]
                d[-1] += batch.d_last[k, columns[i]]
                parts.append(reference.backward(*args, d, **more))
            result |= {f"{name} {i}": sum(part[name] for part in parts) for name in "WUbc"}
            result["h"][:, columns[i]] = [part["h_0"] for part in parts]
            d_inputs.append(pack([part["x"] for part in parts])[0])
            if depth == 0:
                result[f"x {i}"] = d_inputs[-1]
                result[f"decay {i}"] = np.empty((0, H))
                if everything:
                    result[f"decay {i}"] = pack([part["decay"] for part in parts])[0]
                    result[f"E {i}"] = sum(part["E"] for part in parts)
        if depth:
            if n_directions == 2:
                d_inputs[1] = reversed_steps(d_inputs[1], sizes)
            d_states = sum(d_inputs) * dropped[depth]
    return result
