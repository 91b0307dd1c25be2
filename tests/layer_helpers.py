"""Layers to run through the compiled kernels and through the NumPy reference."""

import pickle
from functools import lru_cache, wraps
from typing import NamedTuple

import numpy as np
import reference
from helpers import cell_info, pack, ragged_lengths, random_layer, unpack
from reference import CELLS

LENGTHS = {"uniform": lambda B, T: np.full(B, T), "ragged": ragged_lengths}


class Problem(NamedTuple):
    """A layer, a minibatch, and the gradient of a loss with respect to the states."""

    cell: str
    sequences: list[np.ndarray]
    x: np.ndarray
    batch_sizes: np.ndarray
    layer: dict[str, np.ndarray]
    h_0: np.ndarray
    mask: np.ndarray | None
    d_states: np.ndarray
    d_last: np.ndarray  # further gradient of h_last, with the cell states
    coded: dict[str, np.ndarray]  # packed codes, and E; or nothing
    decay: dict[str, np.ndarray]  # packed decay; or nothing

    @property
    def kernel_inputs(self):
        """x, codes and decay, or the empty arrays that stand for none."""
        none = np.empty((0, 0), self.x.dtype)
        codes = self.coded.get("codes", none.astype(np.int32))
        return self.x, codes, self.decay.get("decay", none)

    def of_sequences(self, name):
        """The rows of each sequence of a packed array; None if there is none."""
        packed = {**self.coded, **self.decay}.get(name)
        return len(self.sequences) * [None] if packed is None else unpack(packed, self.batch_sizes)

    @property
    def H(self):
        return len(self.layer["U"])


def problem(
    cell,
    D,
    H,
    T,
    B,
    lengths="ragged",
    dtype="float64",
    *,
    masked=False,
    n_codes=0,
    decays=False,
    seed=0,
):
    rng = np.random.default_rng(seed)
    layer = random_layer(rng, cell, D, H, dtype)
    sequences = [rng.normal(size=(n, D)).astype(dtype) for n in LENGTHS[lengths](B, T)]
    x, batch_sizes = pack(sequences)
    S = CELLS[cell].n_states
    h_0, d_last = (rng.normal(size=(B, S * H)).astype(dtype) for _ in range(2))
    # dropout at a rate of 0.3
    mask = ((rng.random((B, H)) > 0.3) / 0.7).astype(dtype) if masked else None
    d_states = rng.normal(size=(len(x), H)).astype(dtype)
    coded, decay = {}, {}
    if n_codes:
        coded["codes"] = rng.integers(7, size=(len(x), n_codes), dtype=np.int32)
        coded["E"] = (rng.normal(size=(7, layer["W"].shape[1])) / np.sqrt(H)).astype(dtype)
    if decays:
        decay["decay"] = rng.uniform(0.2, 1, size=(len(x), H)).astype(dtype)
    return Problem(
        cell, sequences, x, batch_sizes, layer, h_0, mask, d_states, d_last, coded, decay
    )


def kernel_layers(kernels, p):
    """Make the kernels' object of one layer of one direction."""
    tables = [p.coded["E"]] if p.coded else []
    return kernels.RecurrentLayers(
        cell_info(kernels, p.cell).index, [[tuple(p.layer.values())]], tables
    )


def run_forward(kernels, p, *, want_states=True, keep=True, layers=None):
    """Return h_last, the states and the activations saved for the backward pass.

    The last two are those of `kept`, if it has them, and empty where nothing has.
    """
    layers = kernel_layers(kernels, p) if layers is None else layers
    states = np.full((len(p.x) * want_states, p.H), np.nan, p.x.dtype)
    masks = [] if p.mask is None else [p.mask]
    h_last = layers.forward([p.kernel_inputs], p.batch_sizes, p.h_0, states, keep=keep, masks=masks)
    if not keep:
        return h_last, states, np.empty((0, 0), p.x.dtype)
    kept = layers.kept(0)
    if want_states:
        np.testing.assert_array_equal(kept["states"], states)
    return h_last, kept["states"], kept["saved"]


def run_backward(kernels, p, *, want_dx=True, want_weights=True, add_to=None):
    """Return gradients by name; those of the parameters are added to `add_to`, or to zeros."""
    layers = kernel_layers(kernels, p)
    run_forward(kernels, p, layers=layers)
    grad = {k: np.zeros_like(v) for k, v in p.layer.items()} if add_to is None else add_to
    if not want_weights:
        grad = {k: v[:0] for k, v in grad.items()}
    dx, d_h = np.full((len(p.x) * want_dx, p.x.shape[1]), np.nan, p.x.dtype), p.d_last.copy()
    d_decay = np.full_like(p.kernel_inputs[2], np.nan)
    tables = {"E": np.zeros_like(p.coded["E"])} if p.coded else {}
    layers.backward(
        p.d_states, d_h, [[tuple(grad.values())]], list(tables.values()), [(dx, d_decay)]
    )
    return {**grad, **tables, **({"decay": d_decay} if p.decay else {}), "x": dx, "h_0": d_h}


def in_float64(*arrays):
    """Convert arrays to float64."""
    return [a.astype("float64") for a in arrays]


def once_per_problem(reference):
    """Cache results by the contents of the problem: all instruction sets solve the same ones.

    They do so one after the other; no test has more problems than are kept.
    """

    @lru_cache(maxsize=512)
    def solution(pickled):
        return reference(pickle.loads(pickled))

    @wraps(reference)
    def cached(p):
        return solution(pickle.dumps(p))

    return cached


@once_per_problem
def exact_states(p):
    """Return hidden states and cell states of each sequence, by the reference in float64."""
    layer, masks = in_float64(*p.layer.values()), np.ones(len(p.h_0)) if p.mask is None else p.mask
    return [
        reference.forward(p.cell, *in_float64(x, h), *layer, m.astype("float64"), **inputs)
        for x, h, m, inputs in zip(p.sequences, p.h_0, masks, exact_inputs(p), strict=True)
    ]


def exact_inputs(p):
    """Return codes, E and decay of each sequence for the reference, in float64."""
    E = p.coded["E"].astype("float64") if p.coded else None
    return [
        {"codes": codes, "E": E, "decay": None if decay is None else decay.astype("float64")}
        for codes, decay in zip(p.of_sequences("codes"), p.of_sequences("decay"), strict=True)
    ]


@once_per_problem
def exact_gradients(p):
    """Return gradients summed over the sequences, by the reference in float64."""
    layer, masks = in_float64(*p.layer.values()), np.ones(len(p.h_0)) if p.mask is None else p.mask
    parts, inputs = [], exact_inputs(p)
    for k, d_h in enumerate(unpack(p.d_states, p.batch_sizes)):
        d = np.zeros((len(d_h), len(p.d_last[k])))
        d[:, : p.H] = d_h
        d[-1] += p.d_last[k]
        x, h_0, mask = in_float64(p.sequences[k], p.h_0[k], masks[k])
        parts.append(reference.backward(p.cell, x, h_0, *layer, d, mask, **inputs[k]))
    return {
        **{k: sum(part[k] for part in parts) for k in [*p.layer, *(["E"] if p.coded else [])]},
        **({"decay": pack([part["decay"] for part in parts])[0]} if p.decay else {}),
        "x": pack([part["x"] for part in parts])[0],
        "h_0": np.array([part["h_0"] for part in parts]),
    }
