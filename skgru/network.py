"""The model: a stack of recurrent layers and a linear head over one flat parameter vector."""

from collections.abc import Callable, Hashable
from itertools import accumulate
from math import prod
from types import ModuleType
from typing import NamedTuple

import numpy as np
from sklearn.utils import gen_batches

from skgru.kernels import kernels_for
from skgru.sequences import Packed, Sequences
from skgru.workers import Workers

# A prediction pass takes as many sequences at a time as make it efficient, fewer if they are so
# long that the arrays of the pass would have more numbers than this.
PREDICT_SAMPLES = 96
PREDICT_NUMBERS = 4_000_000

# Half a millisecond or so of arithmetic there and back; a thread takes a tenth of it to join.
SHARD_FLOPS = 30_000_000

CACHE_LINE = 64  # bytes


class Layer(NamedTuple):
    """Weights of one recurrent layer; columns in the order r | z | h̃.

    Attributes
    ----------
    W : ndarray of shape (n_inputs, 3 * n_units)
    U : ndarray of shape (n_units, 3 * n_units)
    b : ndarray of shape (3 * n_units,)
    c : ndarray of shape (n_units,), or (0,) without `reset_after`
        Bias of the candidate's recurrent product.
    """

    W: np.ndarray
    U: np.ndarray
    b: np.ndarray
    c: np.ndarray


class Head(NamedTuple):
    """Weights of the linear map from the last hidden state to the outputs.

    Attributes
    ----------
    W : ndarray of shape (n_units, n_outputs)
    b : ndarray of shape (n_outputs,)
    """

    W: np.ndarray
    b: np.ndarray


class Network:
    """Stacked GRU layers whose last hidden state a linear head turns into outputs.

    Parameters
    ----------
    n_channels : int
    hidden_layer_sizes : tuple of int
    n_outputs : int
    reset_after : bool
    dtype : {"float32", "float64"}

    Attributes
    ----------
    parameters : ndarray of shape (n_parameters,)
        Every weight matrix of every layer and of the head, then every bias.
    n_weights : int
        How many of the parameters belong to matrices: those that the L2 penalty is on.
    """

    def __init__(
        self,
        n_channels: int,
        hidden_layer_sizes: tuple[int, ...],
        n_outputs: int,
        reset_after: bool,
        dtype: str,
    ):
        self.n_channels = n_channels
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_outputs = n_outputs
        self.reset_after = reset_after
        matrices, biases = self._shapes()
        self.n_weights = sum(map(prod, matrices))
        stops = list(accumulate(map(prod, matrices + biases)))
        # where each matrix and each bias lies in the flat vector
        self._parts = [
            (slice(start, stop), shape)
            for start, stop, shape in zip([0, *stops], stops, matrices + biases, strict=False)
        ]
        self.parameters = np.zeros(stops[-1], dtype=dtype)

    @property
    def dtype(self) -> np.dtype:
        """What the parameters and all computations are in."""
        return self.parameters.dtype

    def _shapes(self) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
        """Shapes of the matrices and of the biases, each in the order of the flat vector."""
        matrices, biases = [], []
        n_inputs = self.n_channels
        for n_units in self.hidden_layer_sizes:
            matrices += [(n_inputs, 3 * n_units), (n_units, 3 * n_units)]
            biases += [(3 * n_units,), (n_units if self.reset_after else 0,)]
            n_inputs = n_units
        return [*matrices, (n_inputs, self.n_outputs)], [*biases, (self.n_outputs,)]

    def views(self, vector: np.ndarray) -> tuple[list[Layer], Head]:
        """Name the parts of a flat vector: the parameters, or their gradient."""
        arrays = [vector[part].reshape(shape) for part, shape in self._parts]
        n_layers = len(self.hidden_layer_sizes)
        matrices, biases = arrays[: 2 * n_layers + 1], arrays[2 * n_layers + 1 :]
        layers = [
            Layer(*matrices[i : i + 2], *biases[i : i + 2]) for i in range(0, 2 * n_layers, 2)
        ]
        return layers, Head(matrices[-1], biases[-1])

    def initialize(self, random_state: np.random.RandomState) -> None:
        """Draw Glorot-uniform W and head, orthogonal U (each gate on its own), zero biases."""
        self.parameters[:] = 0
        layers, head = self.views(self.parameters)
        for layer in layers:
            n_units = len(layer.U)
            for gate in range(3):
                columns = slice(gate * n_units, (gate + 1) * n_units)
                layer.W[:, columns] = _glorot_uniform(len(layer.W), n_units, random_state)
                layer.U[:, columns] = _orthogonal(n_units, random_state)
        head.W[:] = _glorot_uniform(*head.W.shape, random_state)

    @property
    def kernels(self) -> ModuleType:
        """Compiled functions for the dtype."""
        return kernels_for(self.dtype)

    def n_shards(self, n_samples: int, n_steps: int) -> int:
        """Count the shards that a minibatch of so many sequences and time steps is worth.

        A shard has sequences enough to be worth reading all of U each step, and work enough to
        be worth a thread. It must not depend on the number of threads: shares of a gradient are
        added up shard by shard, and another number of shards has other bits.
        """
        flops = 6 * n_steps * self.n_weights
        sequences = max(16, min(32, n_samples // 2), max(self.hidden_layer_sizes) // 4)
        return max(1, min(n_samples // sequences, flops // SHARD_FLOPS))

    def forward(
        self,
        sequences: Sequences,
        shards: list[np.ndarray],
        workers: Workers,
        buffers: "Buffers",
    ) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Compute the outputs of a minibatch, each shard on its own.

        Parameters
        ----------
        sequences : Sequences
        shards : list of ndarray of int
            Sample indices, as `Sequences.deal` gives them.
        workers : Workers
        buffers : Buffers
            Those of this network, which hold the passes of one minibatch.

        Returns
        -------
        outputs : ndarray of shape (n_samples, n_outputs)
            Those of the first shard's samples, then the second's, and so on.
        backpropagate : callable
            Takes ∂L/∂outputs, returns each shard's share of ∂L/∂parameters as an array of shape
            (n_shards, n_parameters) in the buffers; to be called once.
        """
        stops = list(accumulate(map(len, shards)))
        own = [slice(stop - len(shard), stop) for shard, stop in zip(shards, stops, strict=True)]
        outputs = np.empty((stops[-1], self.n_outputs), dtype=self.dtype)

        def forward_shard(i: int) -> Callable[[np.ndarray, list[Layer], Head], None]:
            return self._forward_shard(sequences.pack(shards[i]), outputs[own[i]], buffers, i)

        backward_passes = workers.map(forward_shard, range(len(shards)))

        def backpropagate(d_outputs: np.ndarray) -> np.ndarray:
            gradients, views = buffers.gradients(len(shards))

            def backward_shard(i: int) -> None:
                backward_passes[i](d_outputs[own[i]], *views[i])

            workers.map(backward_shard, range(len(shards)))
            return gradients

        return outputs, backpropagate

    def _forward_shard(
        self, packed: Packed, outputs: np.ndarray, buffers: "Buffers", shard: int
    ) -> Callable[[np.ndarray, list[Layer], Head], None]:
        """Fill the outputs of a shard; return its backward pass, which fills a gradient."""
        kernels, dtype = self.kernels, self.dtype
        layers, head = buffers.layers, buffers.head
        n_gates = 4 if self.reset_after else 3
        x, batch_sizes = packed
        tapes = []
        for depth, layer in enumerate(layers):
            n_rows, n_units = len(x), len(layer.U)
            h_0 = np.zeros((len(outputs), n_units), dtype=dtype)
            h_last = np.empty((len(outputs), n_units), dtype=dtype)
            states = buffers.empty(("states", shard, depth), (n_rows, n_units))
            gates = buffers.empty(("gates", shard, depth), (n_rows, n_gates * n_units))
            kernels.gru_forward(x, batch_sizes, *layer, h_0, h_last, states, gates)
            tapes.append((x, h_0, states, gates))
            x = states
        kernels.linear_forward(h_last, *head, outputs)

        def backward(d_outputs: np.ndarray, d_layers: list[Layer], d_head: Head) -> None:
            d_h = np.empty_like(h_last)
            kernels.linear_backward(h_last, head.W, d_outputs, d_h, *d_head)
            # the loss sees the last state of each sequence only
            d_states = none = np.empty((0, 0), dtype=dtype)
            for depth in reversed(range(len(layers))):
                x, h_0, states, gates = tapes[depth]
                # of the inputs, only states of a layer below need a gradient
                d_x = buffers.empty(("d_x", shard, depth), x.shape) if depth else none
                kernels.gru_backward(
                    x, batch_sizes, layers[depth].W, layers[depth].U,
                    h_0, states, gates, d_states, d_h, d_x, *d_layers[depth],
                )  # fmt: skip
                if depth:
                    d_states, d_h = d_x, np.zeros((len(d_outputs), x.shape[1]), dtype=dtype)

        return backward

    def predict(self, sequences: Sequences, workers: Workers) -> np.ndarray:
        """Compute the outputs of all sequences, in their order.

        No output depends on what other sequences there are, to the last bit.

        Returns
        -------
        outputs : ndarray of shape (n_samples, n_outputs), float64
        """
        layers, head = self.views(self.parameters)
        outputs = np.empty((len(sequences), self.n_outputs))
        (by_length,) = sequences.deal(np.arange(len(sequences)), 1)
        widths = self.n_channels + sum(self.hidden_layer_sizes[:-1])
        chunk_size = PREDICT_NUMBERS // (int(sequences.lengths.max()) * widths)
        chunk_size = min(max(1, chunk_size), PREDICT_SAMPLES)

        def predict_chunk(chunk: slice) -> None:
            samples = by_length[chunk]
            outputs[samples] = self._predict_packed(layers, head, sequences.pack(samples))

        workers.map(predict_chunk, list(gen_batches(len(sequences), chunk_size)))
        return outputs

    def _predict_packed(self, layers: list[Layer], head: Head, packed: Packed) -> np.ndarray:
        """Forward pass that keeps nothing but what the next layer needs."""
        kernels, dtype = self.kernels, self.dtype
        x, batch_sizes = packed
        n_samples = batch_sizes[0]
        none = np.empty((0, 0), dtype=dtype)
        for depth, layer in enumerate(layers, start=1):
            n_units = len(layer.U)
            h_0 = np.zeros((n_samples, n_units), dtype=dtype)
            h_last = np.empty_like(h_0)
            states = np.empty((len(x), n_units), dtype=dtype) if depth < len(layers) else none
            kernels.gru_forward(x, batch_sizes, *layer, h_0, h_last, states, none)
            x = states
        outputs = np.empty((n_samples, self.n_outputs), dtype=dtype)
        kernels.linear_forward(h_last, *head, outputs)
        return outputs


class Buffers:
    """Memory that one minibatch after another is computed in, and names for it.

    The system takes its time to give fresh pages: of the largest models, 7 % of a step.

    Parameters
    ----------
    network : Network

    Attributes
    ----------
    layers, head : list of Layer, Head
        The views of the network's parameters.
    """

    def __init__(self, network: Network):
        self.layers, self.head = network.views(network.parameters)
        self._network = network
        self._memory: dict[Hashable, np.ndarray] = {}
        self._gradients: dict[int, tuple[np.ndarray, list[tuple[list[Layer], Head]]]] = {}

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

    def gradients(self, n_shards: int) -> tuple[np.ndarray, list[tuple[list[Layer], Head]]]:
        """Give an array of shape (n_shards, n_parameters), and the views of each of its rows."""
        if n_shards not in self._gradients:
            parameters = self._network.parameters
            gradients = np.empty((n_shards, parameters.size), dtype=parameters.dtype)
            self._gradients[n_shards] = gradients, [self._network.views(g) for g in gradients]
        return self._gradients[n_shards]


def _glorot_uniform(n_inputs: int, n_units: int, random_state: np.random.RandomState) -> np.ndarray:
    """Uniform in ±√(6 / (n_inputs + n_units)) (Glorot & Bengio 2010)."""
    bound = np.sqrt(6 / (n_inputs + n_units))
    return random_state.uniform(-bound, bound, (n_inputs, n_units))


def _orthogonal(n_units: int, random_state: np.random.RandomState) -> np.ndarray:
    """Random orthogonal matrix: it keeps the norm of a state (Saxe et al. 2014)."""
    q, r = np.linalg.qr(random_state.normal(size=(n_units, n_units)))
    return q * np.sign(np.diag(r))  # the signs make it uniform over the orthogonal group
