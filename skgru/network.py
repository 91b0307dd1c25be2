"""The model: a stack of recurrent layers and a linear head over one flat parameter vector."""

from collections.abc import Callable
from copy import copy
from math import prod
from typing import NamedTuple

import numpy as np
from sklearn.utils import gen_batches

from skgru.kernels import gru
from skgru.sequences import Minibatch, Sequences

# Time steps that one prediction pass takes at a time, so that memory does not grow with n_samples.
PREDICT_STEPS = 8_192


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
        self.parameters = np.zeros(self.n_weights + sum(map(prod, biases)), dtype=dtype)

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
        arrays, start = [], 0
        matrices, biases = self._shapes()
        for shape in matrices + biases:
            arrays.append(vector[start : start + prod(shape)].reshape(shape))
            start += prod(shape)
        matrices, biases = arrays[: len(matrices)], arrays[len(matrices) :]
        layers = [
            Layer(*matrices[i : i + 2], *biases[i : i + 2]) for i in range(0, len(matrices) - 1, 2)
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

    def forward(self, batch: Minibatch) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Compute the outputs of a minibatch.

        Parameters
        ----------
        batch : Minibatch

        Returns
        -------
        outputs : ndarray of shape (n_samples, n_outputs)
            In the order of the minibatch's rows.
        backpropagate : callable
            Takes ∂L/∂outputs, returns ∂L/∂parameters as a flat vector; to be called once.
        """
        layers, head = self.views(self.parameters)
        n_samples = len(batch.samples)
        tapes, x = [], batch.x
        for layer in layers:
            n_units = len(layer.U)
            states = np.empty((n_samples + len(x), n_units), dtype=self.dtype)
            states[:n_samples] = 0
            gates = np.empty((len(x), 3 * n_units), dtype=self.dtype)
            reset = np.empty((len(x), n_units), dtype=self.dtype)
            gru.forward(x, batch.batch_sizes, *layer, states, gates, reset)
            tapes.append((layer, x, states, gates, reset))
            x = states[n_samples:]
        pooled = x[batch.last_rows]
        outputs = pooled @ head.W + head.b

        def backpropagate(d_outputs: np.ndarray) -> np.ndarray:
            gradient = np.empty_like(self.parameters)
            d_layers, d_head = self.views(gradient)
            np.matmul(pooled.T, d_outputs, out=d_head.W)
            np.sum(d_outputs, axis=0, out=d_head.b)

            # the loss sees the last state of each sequence only
            d_states = np.zeros_like(tapes[-1][2])
            d_states[n_samples + batch.last_rows] = d_outputs @ head.W.T
            for depth in reversed(range(len(layers))):
                layer, x, states, gates, reset = tapes.pop()
                # of the inputs, only states of a layer below need a gradient
                below = np.zeros((n_samples + len(x) if depth else n_samples, x.shape[1]), x.dtype)
                gru.backward(
                    x, batch.batch_sizes, layer.W, layer.U, states, gates, reset, d_states,
                    below[n_samples:], *d_layers[depth],
                )  # fmt: skip
                d_states = below
            return gradient

        return outputs, backpropagate

    def predict(self, sequences: Sequences) -> np.ndarray:
        """Compute the outputs of all sequences, in their order.

        In float64 whatever the dtype: the rounding of BLAS depends on a sample's place in its
        chunk, and a prediction must not.

        Returns
        -------
        outputs : ndarray of shape (n_samples, n_outputs), float64
        """
        network = copy(self)
        network.parameters = self.parameters.astype(np.float64)
        outputs = np.empty((len(sequences), self.n_outputs))
        by_length = np.argsort(sequences.lengths, kind="stable")
        chunk_size = max(1, PREDICT_STEPS // int(sequences.lengths.max()))
        for chunk in gen_batches(len(sequences), chunk_size):
            batch = sequences.minibatch(by_length[chunk])
            batch = batch._replace(x=batch.x.astype(np.float64, copy=False))
            outputs[batch.samples], _ = network.forward(batch)
        return outputs


def _glorot_uniform(n_inputs: int, n_units: int, random_state: np.random.RandomState) -> np.ndarray:
    """Uniform in ±√(6 / (n_inputs + n_units)) (Glorot & Bengio 2010)."""
    bound = np.sqrt(6 / (n_inputs + n_units))
    return random_state.uniform(-bound, bound, (n_inputs, n_units))


def _orthogonal(n_units: int, random_state: np.random.RandomState) -> np.ndarray:
    """Random orthogonal matrix: it keeps the norm of a state (Saxe et al. 2014)."""
    q, r = np.linalg.qr(random_state.normal(size=(n_units, n_units)))
    return q * np.sign(np.diag(r))  # the signs make it uniform over the orthogonal group
