"""The model: its layers, and all their parameters as one flat vector with names for its parts."""

from itertools import accumulate, chain
from math import prod
from numbers import Integral
from types import ModuleType
from typing import Any, NamedTuple, Self
from zlib import crc32

import numpy as np

from skgru.kernels import kernels_for

# Half a millisecond or so of arithmetic there and back; a thread takes a tenth of it to join.
SHARD_FLOPS = 30_000_000

DTYPES = ("float32", "float64")


class Architecture(NamedTuple):
    """What a network is, but for its weights.

    Attributes
    ----------
    n_channels : int
    hidden_layer_sizes : tuple of int
    n_outputs : int
    reset_after : bool
    bidirectional : bool
        Whether each layer reads a sequence from both ends; its states lie side by side.
    pooling : {"last", "mean", "max", "attention"}
        How the top layer's states become one vector a sequence.
    return_sequences : bool
        Whether the head is on every state, instead of on what is pooled.
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
        """Return it if each field is of its type; names are looked up where they are used."""
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
        """Name of the cell among the kernels' `CELLS`."""
        after, relu = self.reset_after, self.activation == "relu"
        return self.cell + "_reset_after" * after + "_relu" * relu

    @property
    def n_directions(self) -> int:
        """One or two."""
        return 2 if self.bidirectional else 1

    @property
    def width(self) -> int:
        """Size of a state of the top layer, of all its directions."""
        return self.n_directions * self.hidden_layer_sizes[-1]


class Cell(NamedTuple):
    """What the kernels know of a cell (see `kernels/recurrence.pxi`).

    Attributes
    ----------
    index : int
        Its number.
    n_gates : int
        Blocks of columns of its weights, the candidate's among them.
    n_extra : int
        Blocks that its tape has besides.
    n_states : int
        Parts of its state: 2 with a memory.
    forget : int
        The block whose bias begins at one; -1 if none does.
    """

    index: int
    n_gates: int
    n_extra: int
    n_states: int
    forget: int


class Layer(NamedTuple):
    """Weights of one recurrent layer in one direction, a block of columns a gate.

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
        A list a layer: forward in time, and backward if bidirectional.
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
        How many of the parameters are not biases: those that the L2 penalty is on.
    """

    def __init__(self, architecture: Architecture, dtype: str):
        self.parameters = np.zeros(self._lay_out(architecture, np.dtype(dtype)), dtype=dtype)

    def _lay_out(self, architecture: Architecture, dtype: np.dtype) -> int:
        """Say where each part lies in the flat vector; return how long that is."""
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
        """Return a network of its own memory."""
        network = type(self)(self.architecture, self.dtype)
        network.parameters[:] = self.parameters
        return network

    def __getstate__(self) -> dict[str, Any]:
        # of plain types, so that a version with other fields can say what it does not know
        return {
            "architecture": self.architecture._asdict(),
            "parameters": self.parameters,
            "checksum": _checksum(self.parameters),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a network out of a file, which may be damaged, or of another version.

        Raises
        ------
        ValueError
            If the parameters are not those of such an architecture, or not those that were saved.
        """
        try:
            self._restore(state)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ValueError(
                "The saved network is damaged, or another version of skgru wrote it: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _restore(self, state: dict[str, Any]) -> None:
        architecture, parameters = state["architecture"], state["parameters"]
        if isinstance(architecture, Architecture):  # of the versions that pickled it as it is
            architecture = architecture._asdict()
        architecture = Architecture(**architecture)._checked()
        if not isinstance(parameters, np.ndarray) or parameters.dtype.name not in DTYPES:
            raise TypeError(f"the parameters must be an array of {DTYPES}")
        # in the machine's order of bytes; a memory map remains one
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
        if "checksum" in state and state["checksum"] != _checksum(parameters):
            raise ValueError("the parameters are not those whose checksum was saved")
        self.parameters = parameters

    @property
    def dtype(self) -> np.dtype:
        """What the parameters and all computations are in."""
        return self.parameters.dtype

    @property
    def kernels(self) -> ModuleType:
        """Compiled functions for the dtype."""
        return kernels_for(self.dtype)

    @property
    def cell(self) -> Cell:
        """What the kernels know of the cell."""
        return _cell(self.architecture, self.dtype)

    def _shapes(self, n_gates: int) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
        """Shapes of the matrices and of the biases, each in the order of the flat vector."""
        arch = self.architecture
        matrices, biases = [], []
        n_inputs = arch.n_channels
        for n_units in arch.hidden_layer_sizes:
            for _ in range(arch.n_directions):
                matrices += [(n_inputs, n_gates * n_units), (n_units, n_gates * n_units)]
                biases += [(n_gates * n_units,), (n_units if arch.reset_after else 0,)]
            n_inputs = n_units * arch.n_directions
        matrices += [(arch.width if arch.pooling == "attention" else 0,)]
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
        """Draw Glorot-uniform W and head, orthogonal U (each gate on its own), zero all others.

        But the bias of a forget gate is one (Gers et al. 2000). With a query of zeros, attention
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
        """Count the shards that a minibatch of so many sequences and time steps is worth.

        A shard has sequences enough to be worth reading all of U each step, and work enough to
        be worth a thread. It must not depend on the number of threads: shares of a gradient are
        added up shard by shard, and another number of shards has other bits.
        """
        flops = 6 * n_steps * self.n_weights
        sequences = max(16, min(32, n_samples // 2), max(self.architecture.hidden_layer_sizes) // 4)
        return max(1, min(n_samples // sequences, flops // SHARD_FLOPS))


def _arrays(parameters: Parameters) -> list[np.ndarray]:
    layers = chain.from_iterable(parameters.layers)
    return [*chain.from_iterable(layers), parameters.query, *parameters.head]


def _cell(architecture: Architecture, dtype: np.dtype) -> Cell:
    """Look the cell up each time, as its number may be another one where a model is unpickled."""
    return Cell(*kernels_for(dtype).CELLS[architecture.variant])


def _checksum(parameters: np.ndarray) -> int:
    """Of their bytes, in one order on all machines."""
    return crc32(np.ascontiguousarray(parameters, parameters.dtype.newbyteorder("<")))


def _glorot_uniform(n_inputs: int, n_units: int, random_state: np.random.RandomState) -> np.ndarray:
    """Uniform in ±√(6 / (n_inputs + n_units)) (Glorot & Bengio 2010)."""
    bound = np.sqrt(6 / (n_inputs + n_units))
    return random_state.uniform(-bound, bound, (n_inputs, n_units))


def _orthogonal(n_units: int, random_state: np.random.RandomState) -> np.ndarray:
    """Random orthogonal matrix: it keeps the norm of a state (Saxe et al. 2014)."""
    q, r = np.linalg.qr(random_state.normal(size=(n_units, n_units)))
    return q * np.sign(np.diag(r))  # the signs make it uniform over the orthogonal group
