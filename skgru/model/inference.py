"""Predictions of a network: forward passes over all sequences, some at a time."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from skgru.model.network import Network
from skgru.model.pooling import POOLINGS, Pooling
from skgru.model.propagation import Propagation, Window
from skgru.model.workers import Workers
from skgru.sequences import Packed, Sequences, Span

# Sequences of one pass; fewer if they are so long that its arrays would have more numbers than
# the second limit.
PREDICT_SAMPLES = 96
PREDICT_NUMBERS = 4_000_000


def predict(network: Network, sequences: Sequences, workers: Workers) -> np.ndarray:
    """Compute the outputs of all sequences, or of all their steps, in their order.

    No output depends on what other sequences there are, to the last bit.

    Returns
    -------
    outputs : ndarray of shape (n_samples, n_outputs) or (sum of lengths, n_outputs), float64
    """
    by_step = network.architecture.return_sequences

    def of_chunk(
        propagation: Propagation, span: Span, packed: Packed, window: Window
    ) -> np.ndarray:
        if by_step:
            return propagation.outputs(window.states)
        return propagation.outputs(_pool(propagation, span, packed, window).pooled())

    return _in_chunks(
        network, sequences, workers, of_chunk, network.architecture.n_outputs, by_step
    )


def pool(network: Network, sequences: Sequences, workers: Workers) -> np.ndarray:
    """Compute the pooled states of each sequence, (n_samples, width), in the network's dtype."""

    def of_chunk(
        propagation: Propagation, span: Span, packed: Packed, window: Window
    ) -> np.ndarray:
        return _pool(propagation, span, packed, window).pooled()

    pooled = _in_chunks(network, sequences, workers, of_chunk, network.architecture.width, False)
    return pooled.astype(network.dtype)


def attention_weights(network: Network, sequences: Sequences, workers: Workers) -> np.ndarray:
    """Compute the weight of every step in the pooling by attention, (sum of lengths,)."""

    def of_chunk(
        propagation: Propagation, span: Span, packed: Packed, window: Window
    ) -> np.ndarray:
        pooling: Any = _pool(propagation, span, packed, window)
        return pooling.weights(packed)[:, np.newaxis]

    return _in_chunks(network, sequences, workers, of_chunk, 1, True)[:, 0]


def _pool(propagation: Propagation, span: Span, packed: Packed, window: Window) -> Pooling:
    pooling = propagation.pooling(span.lengths)
    states = Packed(window.states, packed.batch_sizes)
    pooling.add(states, propagation.top(window.h_last), 0)
    return pooling


def _in_chunks(
    network: Network,
    sequences: Sequences,
    workers: Workers,
    of_chunk: Callable[[Propagation, Span, Packed, Window], np.ndarray],
    n_columns: int,
    by_step: bool,
) -> np.ndarray:
    """Run the network over some sequences at a time, and collect the results of `of_chunk`."""
    arch = network.architecture
    parameters = network.views(network.parameters)
    results = np.empty((len(sequences.values) if by_step else len(sequences), n_columns))
    (by_length,) = sequences.deal(np.arange(len(sequences)), 1)
    want_states = by_step or POOLINGS[arch.pooling].of_all_steps
    widths = arch.n_inputs + arch.n_directions * sum(
        arch.hidden_layer_sizes[: None if want_states else -1]
    )
    chunk_size = PREDICT_NUMBERS // (int(sequences.lengths.max()) * widths)
    chunk_size = min(max(1, chunk_size), PREDICT_SAMPLES)

    def run_chunk(chunk: slice) -> None:
        samples = by_length[chunk]
        span = sequences.span(samples)
        packed = sequences.pack(span)
        propagation = Propagation(
            network, parameters, lambda _, shape: np.empty(shape, network.dtype)
        )
        window = propagation.forward(packed, [], 0, keep=False, want_states=want_states)
        result = of_chunk(propagation, span, packed, window)
        if by_step:
            span.unpack(result.astype(results.dtype), results)
        else:
            results[samples] = result

    workers.map(run_chunk, list(gen_batches(len(sequences), chunk_size)))
    return results
