"""Architecture of a network, and its parameters as one flat vector with named views."""

from itertools import accumulate, chain
from math import prod
from numbers import Integral
from types import ModuleType
from typing import Any, NamedTuple, Self

import numpy as np

from skgru.kernels import kernels_for
from skgru.model.pooling import POOLINGS

# Minimum work per shard: about 0.5 ms of forward and backward; joining a thread costs about a
# tenth of that.
SHARD_FLOPS = 30_000_000

DTYPES = ("float32", "float64")


class Architecture(NamedTuple):
    """Everything that defines a network except its weights.

    Attributes
    ----------
    n_channels : int
    hidden_layer_sizes : tuple of int
    n_outputs : int
    reset_after : bool
    bidirectional : bool
        Whether each layer reads a sequence from both ends; its states lie side by side.
    pooling : {"last", "mean", "max", "attention"}
        How the top layer's states become one vector per sequence.
    return_sequences : bool
        Whether the head is applied to every state, instead of the pooled ones.
    cell : str
    activation : {"tanh", "relu"}
        Of the candidate.
    """

    n_channels: int
    hidden_layer_sizes: tuple[int, ...]
    n_outputs: int
    reset_after: bool = False
    bidirectional: bool = False
    pooling: str = "last"
    return_sequences: bool = False
    cell: str = "gru"
    activation: str = "tanh"

    def _checked(self) -> Self:
        """Return self if each field is of its type; names are checked where they are used."""
        counts = (self.n_channels, self.n_outputs, *self.hidden_layer_sizes)
        flags = (self.reset_after, self.bidirectional, self.return_sequences)
        names = (self.pooling, self.cell, self.activation)
        if (
            not all(isinstance(n, Integral) and n >= 1 for n in counts)
            or not self.hidden_layer_sizes
            or not all(isinstance(flag, bool | np.bool_) for flag in flags)
            or not all(isinstance(name, str) for name in names)
        ):
            raise TypeError(f"there is no {self}")
        return self._replace(hidden_layer_sizes=tuple(self.hidden_layer_sizes))

    @property
    def variant(self) -> str:
        """Name of the cell in the kernels' `CELLS`."""
        after, relu = self.reset_after, self.activation == "relu"
        return self.cell + "_reset_after" * after + "_relu" * relu

    @property
    def n_directions(self) -> int:
        """One or two."""
        return 2 if self.bidirectional else 1

    @property
    def width(self) -> int:
        """Size of a state of the top layer, over all its directions."""
        return self.n_directions * self.hidden_layer_sizes[-1]


class Cell(NamedTuple):
    """Description of a cell by the kernels (see `kernels/cell.pxi`).

    Attributes
    ----------
    index : int
        Number of the cell.
    n_gates : int
        Blocks of columns of its weights, the candidate's among them.
    n_extra : int
        Further blocks of activations that are saved for the backward pass.
    n_states : int
        Parts of its state: 2 with a cell state.
    forget : int
        Block whose bias is initialized to one; -1 if none is.
    """

    index: int
    n_gates: int
    n_extra: int
    n_states: int
    forget: int


class Layer(NamedTuple):
    """Weights of one recurrent layer in one direction, with a block of columns for each gate.

    Attributes
    ----------
    W : ndarray of shape (n_inputs, n_gates * n_units)
    U : ndarray of shape (n_units, n_gates * n_units)
    b : ndarray of shape (n_gates * n_units,)
    c : ndarray of shape (n_units,), or (0,) without `reset_after`
        Bias of the candidate's recurrent product.
    """

    W: np.ndarray
    U: np.ndarray
    b: np.ndarray
    c: np.ndarray


class Head(NamedTuple):
    """Weights of the linear map from states to outputs.

    Attributes
    ----------
    W : ndarray of shape (width, n_outputs)
    b : ndarray of shape (n_outputs,)
    """

    W: np.ndarray
    b: np.ndarray


class Parameters(NamedTuple):
    """Names for the parts of a flat vector.

    Attributes
    ----------
    layers : list of list of Layer
        For each layer, forward in time, and backward if bidirectional.
    query : ndarray of shape (width,), or (0,) without attention
    head : Head
    """

    layers: list[list[Layer]]
    query: np.ndarray
    head: Head


class Network:
    """Stacked recurrent layers and a linear head over one flat parameter vector.

    Parameters
    ----------
    architecture : Architecture
    dtype : {"float32", "float64"}

    Attributes
    ----------
    architecture : Architecture
    parameters : ndarray of shape (n_parameters,)
        Every weight matrix of every layer, the query and the head's matrix, then every bias.
    n_weights : int
        Number of parameters that are not biases: those with an L2 penalty.
    """

    def __init__(self, architecture: Architecture, dtype: str):
        self.parameters = np.zeros(self._lay_out(architecture, np.dtype(dtype)), dtype=dtype)

    def _lay_out(self, architecture: Architecture, dtype: np.dtype) -> int:
        """Locate each part in the flat vector; return its length."""
        self.architecture = architecture
        matrices, biases = self._shapes(_cell(architecture, dtype).n_gates)
        self.n_weights = sum(map(prod, matrices))
        stops = list(accumulate(map(prod, matrices + biases)))
        # where each matrix and each bias lies in the flat vector
        self._parts = [
            (slice(start, stop), shape)
            for start, stop, shape in zip([0, *stops], stops, matrices + biases, strict=False)
        ]
        return stops[-1]

    def copy(self) -> Self:
        """Return a network with its own memory."""
        network = type(self)(self.architecture, self.dtype)
        network.parameters[:] = self.parameters
        return network

    def state(self) -> dict[str, Any]:
        """Return plain values, from which `from_state` makes an equal network."""
        return {"architecture": self.architecture._asdict(), "parameters": self.parameters}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Make a network of what `state` returned; a memory-mapped vector remains one.

        Raises
        ------
        ValueError or TypeError
            If the parameters are not those of such an architecture.
        """
        network = cls.__new__(cls)
        network._restore(state["architecture"], state["parameters"])
        return network

    def _restore(self, architecture: dict[str, Any], parameters: np.ndarray) -> None:
        architecture = Architecture(**architecture)._checked()
        if not isinstance(parameters, np.ndarray) or parameters.dtype.name not in DTYPES:
            raise TypeError(f"the parameters must be an array of {DTYPES}")
        # in the machine's byte order; a memory map remains one
        parameters = np.asarray(parameters, dtype=parameters.dtype.name)
        parameters = np.require(parameters, requirements=["C", "ALIGNED"])
        n_parameters = self._lay_out(architecture, parameters.dtype)
        if parameters.shape != (n_parameters,):
            raise ValueError(
                f"the parameters have shape {parameters.shape}, those of {architecture} have "
                f"({n_parameters},)"
            )
        if not np.isfinite(parameters).all():
            raise ValueError("not all parameters are finite")
        self.parameters = parameters

    @property
    def dtype(self) -> np.dtype:
        """Precision of the parameters and of all computations."""
        return self.parameters.dtype

    @property
    def kernels(self) -> ModuleType:
        """Compiled functions for the dtype."""
        return kernels_for(self.dtype)

    @property
    def cell(self) -> Cell:
        """Description of the cell by the kernels."""
        return _cell(self.architecture, self.dtype)

    def _shapes(self, n_gates: int) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
        """Return the shapes of matrices and of biases, each in the order of the flat vector."""
        arch = self.architecture
        matrices, biases = [], []
        n_inputs = arch.n_channels
        for n_units in arch.hidden_layer_sizes:
            for _ in range(arch.n_directions):
                matrices += [(n_inputs, n_gates * n_units), (n_units, n_gates * n_units)]
                biases += [(n_gates * n_units,), (n_units if arch.reset_after else 0,)]
            n_inputs = n_units * arch.n_directions
        matrices += [(arch.width if POOLINGS[arch.pooling].has_query else 0,)]
        return [*matrices, (arch.width, arch.n_outputs)], [*biases, (arch.n_outputs,)]

    def views(self, vector: np.ndarray) -> Parameters:
        """Name the parts of a flat vector: the parameters, or their gradient."""
        arrays = [vector[part].reshape(shape) for part, shape in self._parts]
        n_directions = self.architecture.n_directions
        n_layers = n_directions * len(self.architecture.hidden_layer_sizes)
        matrices, biases = arrays[: 2 * n_layers + 2], arrays[2 * n_layers + 2 :]
        layers = [
            Layer(*matrices[i : i + 2], *biases[i : i + 2]) for i in range(0, 2 * n_layers, 2)
        ]
        return Parameters(
            [layers[i : i + n_directions] for i in range(0, n_layers, n_directions)],
            matrices[-2],
            Head(matrices[-1], biases[-1]),
        )

    def assign(self, parameters: Parameters) -> None:
        """Copy all parameters from arrays of the shapes that `views` gives.

        Raises
        ------
        ValueError
            If an array has another shape.
        """
        for own, given in zip(
            _arrays(self.views(self.parameters)), _arrays(parameters), strict=True
        ):
            if given.shape != own.shape:
                raise ValueError(f"An array has shape {given.shape}, expected {own.shape}.")
            own[:] = given

    def initialize(self, random_state: np.random.RandomState) -> None:
        """Draw Glorot-uniform W and head, and orthogonal U for each gate; all else is zero.

        The bias of a forget gate is one (Gers et al. 2000). With a query of zeros, attention
        begins as the mean.
        """
        self.parameters[:] = 0
        cell = self.cell
        layers, _, head = self.views(self.parameters)
        for layer in chain.from_iterable(layers):
            n_units = len(layer.U)
            for gate in range(cell.n_gates):
                columns = slice(gate * n_units, (gate + 1) * n_units)
                layer.b[columns] = gate == cell.forget
                layer.W[:, columns] = _glorot_uniform(len(layer.W), n_units, random_state)
                layer.U[:, columns] = _orthogonal(n_units, random_state)
        head.W[:] = _glorot_uniform(*head.W.shape, random_state)

    def n_shards(self, n_samples: int, n_steps: int) -> int:
        """Return the number of shards of a minibatch of so many sequences and time steps.

        A shard has enough sequences to pay for reading all of U each step, and enough work to
        pay for a thread. Shards do not depend on the number of threads: sums of gradients keep
        the same bits.
        """
        flops = 6 * n_steps * self.n_weights
        sequences = max(16, min(32, n_samples // 2), max(self.architecture.hidden_layer_sizes) // 4)
        return max(1, min(n_samples // sequences, flops // SHARD_FLOPS))


def _arrays(parameters: Parameters) -> list[np.ndarray]:
    layers = chain.from_iterable(parameters.layers)
    return [*chain.from_iterable(layers), parameters.query, *parameters.head]


def _cell(architecture: Architecture, dtype: np.dtype) -> Cell:
    """Look the cell up each time: its number may differ where a model is unpickled."""
    return Cell(*kernels_for(dtype).CELLS[architecture.variant])


def _glorot_uniform(n_inputs: int, n_units: int, random_state: np.random.RandomState) -> np.ndarray:
    """Uniform in ±√(6 / (n_inputs + n_units)) (Glorot & Bengio 2010)."""
    bound = np.sqrt(6 / (n_inputs + n_units))
    return random_state.uniform(-bound, bound, (n_inputs, n_units))


def _orthogonal(n_units: int, random_state: np.random.RandomState) -> np.ndarray:
    """Random orthogonal matrix: it keeps the norm of a state (Saxe et al. 2014)."""
    q, r = np.linalg.qr(random_state.normal(size=(n_units, n_units)))
    return q * np.sign(np.diag(r))  # the signs make it uniform over the orthogonal group
