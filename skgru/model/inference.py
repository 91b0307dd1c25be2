"""Predictions of a network: forward passes over all sequences, some at a time."""

from collections.abc import Callable
from typing import Any

import numpy as np

from skgru.losses import Loss
from skgru.model.network import Network
from skgru.model.pooling import POOLINGS, Pooling
from skgru.model.propagation import Propagation, blocks_of
from skgru.model.workers import Workers
from skgru.sequences import Packed, Sequences, Span

# Sequences of one pass; fewer if they are so long that its arrays would have more numbers than
# the second limit.
PREDICT_SAMPLES = 96
PREDICT_NUMBERS = 4_000_000

Meaning = Callable[[np.ndarray], np.ndarray]


def predict(
    network: Network,
    sequences: Sequences,
    workers: Workers,
    meaning: Meaning = lambda outputs: outputs,
) -> np.ndarray:
    """Compute what the outputs mean, of all sequences or of all their steps, in their order.

    No output depends on what other sequences there are, to the last bit. Outputs are not kept:
    there may be thousands per step.

    Parameters
    ----------
    network : Network
    sequences : Sequences
    workers : Workers
    meaning : callable, default=the outputs themselves
        Takes outputs of shape (n, n_outputs), float64; returns an array with a row for each.

    Returns
    -------
    ndarray of shape (n_samples, ...) or (sum of lengths, ...)
    """
    return _by_block(network, sequences, workers, lambda outputs, rows: meaning(outputs))


def losses(
    network: Network, sequences: Sequences, workers: Workers, loss: Loss, y: np.ndarray
) -> np.ndarray:
    """Compute the loss of each sequence, or of each step, given a row of y for each."""

    def of_rows(outputs: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return loss.of_rows(y[rows].astype(np.float64), outputs)

    return _by_block(network, sequences, workers, of_rows)


def _by_block(
    network: Network,
    sequences: Sequences,
    workers: Workers,
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """Apply a function to blocks of outputs, with the numbers of their rows."""
    by_step = network.architecture.return_sequences
    n_rows = len(sequences.values) if by_step else len(sequences)
    results: dict[str, np.ndarray] = {}

    def write(propagation: Propagation, states: np.ndarray, rows: np.ndarray) -> None:
        for block in propagation.blocks(len(rows)):
            outputs = propagation.outputs(states[block]).astype(np.float64)
            values = function(outputs, rows[block])
            if "all" not in results:  # two threads may both come here first
                results.setdefault("all", np.empty((n_rows, *values.shape[1:]), values.dtype))
            results["all"][rows[block]] = values

    def of_chunk(propagation: Propagation, span: Span) -> None:
        if not by_step:
            pooling, _ = _pool(propagation, sequences, span)
            return write(propagation, pooling.pooled(), span.samples)
        h = None
        for i, part in enumerate(span.windows(_steps_of_a_pass(network, len(span.samples)))):
            packed = sequences.pack(part)
            window = propagation.forward(packed, h, i, keep=False, want_states=True)
            h = window.h_last
            write(propagation, window.states, part.rows)
        return None

    _in_chunks(network, sequences, workers, of_chunk)
    return results["all"]


def pool(network: Network, sequences: Sequences, workers: Workers) -> np.ndarray:
    """Compute the pooled states of each sequence, (n_samples, width), in the network's dtype."""
    pooled = np.empty((len(sequences), network.architecture.width), network.dtype)

    def of_chunk(propagation: Propagation, span: Span) -> None:
        pooling, _ = _pool(propagation, sequences, span)
        pooled[span.samples] = pooling.pooled()

    _in_chunks(network, sequences, workers, of_chunk)
    return pooled


def attention_weights(network: Network, sequences: Sequences, workers: Workers) -> np.ndarray:
    """Compute the weight of every step in the pooling by attention, (sum of lengths,)."""
    weights = np.empty(len(sequences.values))

    def of_chunk(propagation: Propagation, span: Span) -> None:
        pooling: Any
        pooling, states = _pool(propagation, sequences, span)
        weights[span.rows] = pooling.weights(states)

    _in_chunks(network, sequences, workers, of_chunk)
    return weights


def _pool(propagation: Propagation, sequences: Sequences, span: Span) -> tuple[Pooling, Packed]:
    """Run whole sequences; return their pooling, and the states of the top layer if it has them."""
    pooling = propagation.pooling(span.lengths)
    packed = sequences.pack(span)
    window = propagation.forward(packed, None, 0, keep=False, want_states=pooling.of_all_steps)
    return pooling, propagation.pool(pooling, window, packed.batch_sizes, 0)


def _in_chunks(
    network: Network,
    sequences: Sequences,
    workers: Workers,
    of_chunk: Callable[[Propagation, Span], None],
) -> None:
    """Call a function with some sequences at a time, those of similar length together."""
    parameters = network.weights
    by_length = sequences.by_length
    longest = int(sequences.lengths[by_length[0]])
    chunk_size = PREDICT_NUMBERS // (longest * _width_of_states(network))
    chunk_size = min(max(1, chunk_size), PREDICT_SAMPLES)

    def run_chunk(chunk: slice) -> None:
        propagation = Propagation(
            network, parameters, lambda _, shape: np.empty(shape, network.dtype)
        )
        of_chunk(propagation, sequences.span(by_length[chunk]))

    workers.map(run_chunk, blocks_of(len(sequences), chunk_size))


def _width_of_states(network: Network) -> int:
    """Return how many numbers a pass has in memory per time step."""
    arch = network.architecture
    want_states = arch.return_sequences or POOLINGS[arch.pooling].of_all_steps
    kept = arch.hidden_layer_sizes[: None if want_states else -1]
    # codes, too: beside them, a layer may have no inputs
    return arch.n_inputs + len(arch.n_categories) + arch.n_directions * sum(kept)


def _steps_of_a_pass(network: Network, n_samples: int) -> int | None:
    """Return into how long windows sequences are cut; None is not at all."""
    if network.architecture.bidirectional:
        return None
    return max(1, PREDICT_NUMBERS // (n_samples * _width_of_states(network)))
