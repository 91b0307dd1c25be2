"""A network's way there and back: forward over time, and backpropagation through time."""

from collections.abc import Callable, Hashable
from functools import partial
from math import prod
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import gen_batches

from skgru.losses import Loss
from skgru.network import Head, Network, Parameters
from skgru.pooling import POOLINGS, Pooling
from skgru.sequences import Packed, Sequences, Span
from skgru.targets import Targets
from skgru.workers import Workers

# A prediction pass takes as many sequences at a time as make it efficient, fewer if they are so
# long that the arrays of the pass would have more numbers than this.
PREDICT_SAMPLES = 96
PREDICT_NUMBERS = 4_000_000

CACHE_LINE = 64  # bytes


class Buffers:
    """Memory that one minibatch after another is computed in, and names for it.

    The system takes its time to give fresh pages: of the largest models, 7 % of a step.

    Parameters
    ----------
    network : Network

    Attributes
    ----------
    parameters : Parameters
        The views of the network's parameters.
    """

    def __init__(self, network: Network):
        self.parameters = network.views(network.parameters)
        self._network = network
        self._memory: dict[Hashable, np.ndarray] = {}
        self._gradients: dict[int, tuple[np.ndarray, list[Parameters]]] = {}

    def empty(self, name: Hashable, shape: tuple[int, ...]) -> np.ndarray:
        """Give an uninitialised array, in what the last array of this name was in."""
        dtype = self._network.dtype
        size = prod(shape) * dtype.itemsize
        memory = self._memory.get(name)
        if memory is None or memory.size < size:
            memory = np.empty(size + CACHE_LINE, np.uint8)
            # from the start of a line of the cache, so that few vectors span two
            self._memory[name] = memory = memory[-memory.ctypes.data % CACHE_LINE :]
        return memory[:size].view(dtype).reshape(shape)

    def gradients(self, n_shards: int) -> tuple[np.ndarray, list[Parameters]]:
        """Give zeros of shape (n_shards, n_parameters), and the views of each row."""
        if n_shards not in self._gradients:
            parameters = self._network.parameters
            gradients = np.empty((n_shards, parameters.size), dtype=parameters.dtype)
            self._gradients[n_shards] = gradients, [self._network.views(g) for g in gradients]
        self._gradients[n_shards][0].fill(0)
        return self._gradients[n_shards]


class Dropout(NamedTuple):
    """Dropout in one minibatch: its masks are functions of the seed, whatever the threads.

    Attributes
    ----------
    rate : float
        Between layers and before the head (Srivastava et al. 2014), inverted.
    recurrent_rate : float
        Of the states that U takes; one mask for all steps (Gal & Ghahramani 2016).
    seed : int
    """

    rate: float = 0.0
    recurrent_rate: float = 0.0
    seed: int = 0


class Window(NamedTuple):
    """What a forward pass over some steps of some sequences leaves.

    Attributes
    ----------
    states : ndarray of shape (n_rows, width)
        Packed states of the top layer; empty if they were not wanted.
    h_last : list of ndarray of shape (n_samples, n_states * n_units)
        Last states of every layer and direction, with memories, to begin the next window with.
    tape : list
        For each layer and direction, what its way back needs.
    """

    states: np.ndarray
    h_last: list[np.ndarray]
    tape: list[tuple[np.ndarray, ...]]


class Propagation:
    """Forward and backward passes over sequences that lie in one shard.

    Parameters
    ----------
    network : Network
    parameters : Parameters
        The views of its parameters.
    empty : callable
        Takes a name and a shape; gives the array of that name.
    dropout : Dropout
    shard : int
        The number of the shard; others have other masks.
    """

    def __init__(
        self,
        network: Network,
        parameters: Parameters,
        empty: Callable[[Hashable, tuple[int, ...]], np.ndarray],
        dropout: Dropout = Dropout(),  # noqa: B008 (immutable)
        shard: int = 0,
    ):
        self.architecture = network.architecture
        self.kernels = network.kernels
        # whoever wants to see how a layer's gradient comes about puts another one here
        self.layer_backward = network.kernels.layer_backward
        self.cell = network.cell
        self.parameters = parameters
        self.empty = empty
        self.dropout = dropout
        self.shard = shard
        self.none = np.empty((0, 0), dtype=network.dtype)

    # ---- a window of steps through all layers --------------------------------------------------

    def forward(
        self, packed: Packed, h: list[np.ndarray], window: int, *, keep: bool, want_states: bool
    ) -> Window:
        """Run all layers over packed steps.

        Parameters
        ----------
        packed : Packed
        h : list of ndarray
            The `h_last` of the window before; empty at the first.
        window : int
            The number of the window.
        keep : bool
            Whether to keep what the way back needs.
        want_states : bool
            Whether to return the top layer's states.
        """
        x, batch_sizes = packed
        layers, h_last, tape = self.parameters.layers, [], []
        for depth, directions in enumerate(layers):
            if depth:
                x = self._drop(x, window, depth)
            wanted = keep or want_states or depth + 1 < len(layers)
            n_units = len(directions[0].U)
            for direction, layer in enumerate(directions):
                i = len(h_last)
                x_own = x
                if direction:
                    x_own = self.empty(("reversed", i), x.shape)
                    self.kernels.reverse_steps(x, batch_sizes, x_own, False)
                h_0 = np.zeros((batch_sizes[0], self.cell.n_states * n_units), dtype=x.dtype)
                if h:
                    h_0[: len(h[i])] = h[i]
                h_last.append(np.empty_like(h_0))
                mask = self._recurrent_mask(i, (len(h_0), n_units))
                states = gates = self.none
                if wanted:
                    states = self.empty(("states", i), (len(x), n_units))
                if keep:
                    n_blocks = self.cell.n_gates + self.cell.n_extra
                    gates = self.empty(("gates", i), (len(x), n_blocks * n_units))
                self.kernels.layer_forward(
                    self.cell.index, x_own, batch_sizes, *layer, h_0, mask, h_last[i], states, gates
                )
                tape.append((x_own, h_0, mask, states, gates))
            if wanted and len(directions) == 2:
                forward, backward = tape[-2][3], tape[-1][3]
                states = self.empty(("joined", depth), (len(x), 2 * n_units))
                states[:, :n_units] = forward
                self.kernels.reverse_steps(backward, batch_sizes, states[:, n_units:], False)
            x = states
        return Window(x, h_last, tape)

    def backward(
        self,
        tape: list[tuple[np.ndarray, ...]],
        batch_sizes: np.ndarray,
        d_states: np.ndarray | None,
        d_last: np.ndarray | None,
        window: int,
        d_parameters: Parameters,
    ) -> None:
        """Go back through all layers of a window, and no further.

        Parameters
        ----------
        tape : list
            Of the forward pass.
        batch_sizes : ndarray
        d_states : ndarray of shape (n_rows, width) or None
            ∂L/∂states of the top layer.
        d_last : ndarray of shape (n_samples, width) or None
            ∂L/∂h of its last states.
        window : int
        d_parameters : Parameters
            To what ∂L/∂parameters is added.
        """
        layers = self.parameters.layers
        for depth in reversed(range(len(layers))):
            directions, d_inputs = layers[depth], []
            n_units = len(directions[0].U)
            # the direction that went last first, as more of it is still in the cache
            for direction, layer in reversed(list(enumerate(directions))):
                i = depth * len(directions) + direction
                x, h_0, mask, states, gates = tape[i]
                own = slice(direction * n_units, (direction + 1) * n_units)
                d_h = np.zeros_like(h_0)
                if d_last is not None:
                    d_h[:, :n_units] = d_last[:, own]
                d_own = self.none if d_states is None else d_states
                if d_states is not None and len(directions) == 2:
                    d_own = self.empty(("d_own", i), (len(x), n_units))
                    if direction:
                        self.kernels.reverse_steps(d_states[:, own], batch_sizes, d_own, False)
                    else:
                        d_own[:] = d_states[:, own]
                # of the inputs, only states of a layer below need a gradient
                d_inputs.append(self.empty(("d_x", i), x.shape) if depth else self.none)
                self.layer_backward(
                    self.cell.index, x, batch_sizes, layer.W, layer.U, h_0, mask, states, gates,
                    d_own, d_h, d_inputs[-1], *d_parameters.layers[depth][direction],
                )  # fmt: skip
            if depth:
                d_x = d_inputs.pop()
                if d_inputs:
                    self.kernels.reverse_steps(d_inputs.pop(), batch_sizes, d_x, True)
                d_states, d_last = self._drop(d_x, window, depth, in_place=True), None

    def _drop(
        self, x: np.ndarray, window: int, depth: int, *, in_place: bool = False
    ) -> np.ndarray:
        """Dropout below a layer, or the head; it is its own way back."""
        rate = self.dropout.rate
        if not rate:
            return x
        y = x if in_place else self.empty(("dropped", depth), x.shape)
        self.kernels.dropout(x, self._seed(window + 1, depth), rate, y)
        return y

    def _recurrent_mask(self, i: int, shape: tuple[int, ...]) -> np.ndarray:
        """One mask a layer and direction, for all steps; the first rows are those of any shape."""
        if not self.dropout.recurrent_rate:
            return self.none
        mask = np.ones(shape, dtype=self.none.dtype)
        self.kernels.dropout(mask, self._seed(0, i), self.dropout.recurrent_rate, mask)
        return mask

    def _seed(self, window: int, layer: int) -> int:
        """Another one for every mask of a minibatch."""
        return (self.dropout.seed + (self.shard << 40) + (window << 10) + layer) % 2**64

    # ---- the loss of a shard and its gradient --------------------------------------------------

    def value_and_gradient(
        self,
        sequences: Sequences,
        samples: np.ndarray,
        targets: Targets,
        total: float,
        loss: Loss,
        bptt_steps: int | None,
        d_parameters: Parameters,
    ) -> float:
        """Compute the weighted sum of losses over `total`; add its gradient to `d_parameters`.

        Parameters
        ----------
        sequences : Sequences
        samples : ndarray of int
            Those of the shard, the longest first.
        targets : Targets
        total : float
        loss : Loss
        bptt_steps : int or None
            Steps of a window, counted from the end of each sequence: states go from one to the
            next, gradients do not. With two directions None, as the backward one cannot.
        d_parameters : Parameters
        """
        span = sequences.span(samples)
        windows = span.windows(bptt_steps)
        head = partial(self._head, total=total, loss=loss, d_head=d_parameters.head)
        if self.architecture.return_sequences:
            return self._step_by_step(sequences.values, windows, targets, head, d_parameters)
        of_samples = targets.of_samples(samples)
        return self._pooled(sequences.values, windows, span.lengths, of_samples, head, d_parameters)

    def _step_by_step(
        self,
        values: np.ndarray,
        windows: list[Span],
        targets: Targets,
        head: Callable[..., tuple[float, np.ndarray]],
        d_parameters: Parameters,
    ) -> float:
        """With a loss at every step, each window goes there and back before the next."""
        value, h = 0.0, []
        for i, span in enumerate(windows):
            packed = span.pack(values)
            window = self.forward(packed, h, i, keep=True, want_states=True)
            part, d_states = head(window.states, i, *targets.of_steps(span))
            self.backward(window.tape, packed.batch_sizes, d_states, None, i, d_parameters)
            value, h = value + part, window.h_last
        return value

    def _pooled(
        self,
        values: np.ndarray,
        windows: list[Span],
        lengths: np.ndarray,
        of_samples: tuple[np.ndarray, np.ndarray],
        head: Callable[..., tuple[float, np.ndarray]],
        d_parameters: Parameters,
    ) -> float:
        """With one loss at the end, all windows go there first, and memory stays that of one.

        The last of them goes back from where it is; those before it are computed once more.
        """
        pooling = self.pooling(lengths)
        h, begin = [], []
        n_steps = int(windows[-1].lengths[0])
        for i, span in enumerate(windows):
            packed = span.pack(values)
            begin.append(h)
            window = self.forward(
                packed, h, i, keep=span is windows[-1], want_states=pooling.of_all_steps
            )
            h = window.h_last
            pooling.add(window.states, packed.batch_sizes, self._top(h), i * n_steps)
        value, d_pooled = head(pooling.pooled(), 0, *of_samples)
        if not pooling.of_all_steps:
            self.backward(window.tape, packed.batch_sizes, None, d_pooled, i, d_parameters)
            return value
        for i in reversed(range(len(windows))):
            if i < len(windows) - 1:
                packed = windows[i].pack(values)
                window = self.forward(packed, begin[i], i, keep=True, want_states=True)
            d_states = self.empty("d_states", window.states.shape)
            pooling.backward(
                d_pooled, window.states, packed.batch_sizes, i * n_steps, d_states,
                d_parameters.query,
            )  # fmt: skip
            self.backward(window.tape, packed.batch_sizes, d_states, None, i, d_parameters)
        return value

    def _head(
        self,
        states: np.ndarray,
        window: int,
        y: np.ndarray,
        weights: np.ndarray,
        *,
        total: float,
        loss: Loss,
        d_head: Head,
    ) -> tuple[float, np.ndarray]:
        """Value of the loss, and its gradient at the states; the head's own is added."""
        n_layers = len(self.parameters.layers)
        dropped = self._drop(states, window, n_layers)
        outputs = self.outputs(dropped)
        value, d_outputs = loss(y, outputs, (weights / total).astype(outputs.dtype))
        d_states = self.empty("d_head", states.shape)
        self.kernels.linear_backward(dropped, self.parameters.head.W, d_outputs, d_states, *d_head)
        return value, self._drop(d_states, window, n_layers, in_place=True)

    # ---- what predictions share with it --------------------------------------------------------

    def pooling(self, lengths: np.ndarray) -> Pooling:
        """Make the pooling of sequences of these lengths."""
        arch = self.architecture
        return POOLINGS[arch.pooling](self.kernels, lengths, self.parameters.query, arch.width)

    def outputs(self, states: np.ndarray) -> np.ndarray:
        """Apply the head."""
        outputs = self.empty("outputs", (len(states), self.architecture.n_outputs))
        self.kernels.linear_forward(states, *self.parameters.head, outputs)
        return outputs

    def _top(self, h_last: list[np.ndarray]) -> np.ndarray:
        """Last states of the top layer, of all its directions side by side, without memories."""
        arch = self.architecture
        tops = [h[:, : arch.hidden_layer_sizes[-1]] for h in h_last[-arch.n_directions :]]
        return np.ascontiguousarray(tops[0]) if len(tops) == 1 else np.hstack(tops)


# ---- predictions -------------------------------------------------------------------------------


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
    """Compute what the network pools of each sequence: (n_samples, width), in its dtype."""

    def of_chunk(
        propagation: Propagation, span: Span, packed: Packed, window: Window
    ) -> np.ndarray:
        return _pool(propagation, span, packed, window).pooled()

    pooled = _in_chunks(network, sequences, workers, of_chunk, network.architecture.width, False)
    return pooled.astype(network.dtype)


def attention_weights(network: Network, sequences: Sequences, workers: Workers) -> np.ndarray:
    """Compute the weight of every step in what attention pools: (sum of lengths,)."""

    def of_chunk(
        propagation: Propagation, span: Span, packed: Packed, window: Window
    ) -> np.ndarray:
        pooling: Any = _pool(propagation, span, packed, window)
        return pooling.weights(packed.batch_sizes)[:, np.newaxis]

    return _in_chunks(network, sequences, workers, of_chunk, 1, True)[:, 0]


def _pool(propagation: Propagation, span: Span, packed: Packed, window: Window) -> Pooling:
    pooling = propagation.pooling(span.lengths)
    pooling.add(window.states, packed.batch_sizes, propagation._top(window.h_last), 0)
    return pooling


def _in_chunks(
    network: Network,
    sequences: Sequences,
    workers: Workers,
    of_chunk: Callable[[Propagation, Span, Packed, Window], np.ndarray],
    n_columns: int,
    by_step: bool,
) -> np.ndarray:
    """Run the network over some sequences at a time, and collect what `of_chunk` makes of them."""
    arch = network.architecture
    parameters = network.views(network.parameters)
    results = np.empty((len(sequences.values) if by_step else len(sequences), n_columns))
    (by_length,) = sequences.deal(np.arange(len(sequences)), 1)
    want_states = by_step or POOLINGS[arch.pooling].of_all_steps
    widths = arch.n_channels + arch.n_directions * sum(
        arch.hidden_layer_sizes[: None if want_states else -1]
    )
    chunk_size = PREDICT_NUMBERS // (int(sequences.lengths.max()) * widths)
    chunk_size = min(max(1, chunk_size), PREDICT_SAMPLES)

    def run_chunk(chunk: slice) -> None:
        samples = by_length[chunk]
        span = sequences.span(samples)
        packed = span.pack(sequences.values)
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
