"""Architecture of a network, and its parameters as one flat vector with named views."""

from functools import cached_property
from itertools import accumulate, chain, islice
from math import prod
from types import ModuleType
from typing import Any, Self

import numpy as np

from skgru.kernels import kernels_for
from skgru.model.architecture import Architecture, Cell
from skgru.model.blas import OneBlasThread
from skgru.model.parameters import (
    NO_INPUTS,
    Decay,
    Head,
    InputWeights,
    Layer,
    Parameters,
    arrays_of,
)
from skgru.model.pooling import POOLINGS

# Minimum work per shard: about 0.5 ms of forward and backward; joining a thread costs about a
# tenth of that.
SHARD_FLOPS = 30_000_000

# Exponent, per unit of time, with which channels decay before they have learned it.
SLOW_DECAY = 0.1

DTYPES = ("float32", "float64")


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
        Every weight matrix of every layer, the query, the head's matrix, and tables of categories;
        then every bias, and the decays.
    n_weights : int
        Number of parameters that are not biases: those with an L2 penalty.
    """

    def __init__(self, architecture: Architecture, dtype: str) -> None:
        self.parameters = np.zeros(self._lay_out(architecture, np.dtype(dtype)), dtype=dtype)

    def _lay_out(self, architecture: Architecture, dtype: np.dtype) -> int:
        """Locate each part in the flat vector; return its length."""
        self.architecture = architecture
        n_gates = _cell(architecture, dtype).n_gates
        tables = self._table_shapes(n_gates) if architecture.n_categories else []
        matrices, biases = self._shapes(n_gates)
        matrices += tables
        self.n_weights: int = sum(map(prod, matrices))
        self._first_table, self._n_tables = len(matrices) - len(tables), len(tables)
        self._n_in_tables, self._n_rows = sum(map(prod, tables)), sum(architecture.n_categories)
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
        self.parameters: np.ndarray = parameters

    @property
    def dtype(self) -> np.dtype:
        """Precision of the parameters and of all computations."""
        return self.parameters.dtype

    @cached_property
    def kernels(self) -> ModuleType:
        """Compiled functions for the dtype."""
        return kernels_for(self.dtype)

    @cached_property
    def cell(self) -> Cell:
        """Description of the cell by the kernels; its number may differ in another process."""
        return _cell(self.architecture, self.dtype)

    def _shapes(self, n_gates: int) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
        """Return the shapes of matrices and of biases, each in the order of the flat vector."""
        arch = self.architecture
        matrices: list[tuple[int, ...]] = []
        biases: list[tuple[int, ...]] = []
        n_inputs = arch.n_inputs
        for n_units in arch.hidden_layer_sizes:
            for _ in range(arch.n_directions):
                matrices += [(n_inputs, n_gates * n_units), (n_units, n_gates * n_units)]
                biases += [(n_gates * n_units,), (n_units if arch.reset_after else 0,)]
            n_inputs = n_units * arch.n_directions
        matrices += [(arch.width if POOLINGS[arch.pooling].has_query else 0,)]
        matrices += [(arch.width, arch.n_outputs)]
        biases += [(arch.n_outputs,)]
        if arch.missing == "decay":
            D, n_units = arch.n_channels, arch.hidden_layer_sizes[0]
            biases += arch.n_directions * [(D,), (D,), (D, n_units), (n_units,)]
        return matrices, biases

    def _table_shapes(self, n_gates: int) -> list[tuple[int, ...]]:
        """Return the shapes of the tables that have a row for each category."""
        arch, n_rows = self.architecture, sum(self.architecture.n_categories)
        if arch.embedding_dim:
            return [(n_rows, arch.embedding_dim)]
        return arch.n_directions * [(n_rows, n_gates * arch.hidden_layer_sizes[0])]

    @cached_property
    def weights(self) -> Parameters:
        """The views of the network's own parameters."""
        return self.views(self.parameters)

    def __getstate__(self) -> dict[str, Any]:
        # a copy needs views of its own, and kernels depend on the machine
        own = ("weights", "kernels", "cell")
        return {name: value for name, value in vars(self).items() if name not in own}

    def views(self, vector: np.ndarray) -> Parameters:
        """Name the parts of a flat vector: the parameters, or their gradient."""
        arrays = iter([vector[part].reshape(shape) for part, shape in self._parts])
        arch, n_directions = self.architecture, self.architecture.n_directions
        n_layers = n_directions * len(arch.hidden_layer_sizes)
        matrices = list(islice(arrays, 2 * n_layers))
        query, head_W = islice(arrays, 2)
        tables = list(islice(arrays, self._n_tables))
        biases = list(islice(arrays, 2 * n_layers))
        head = Head(head_W, next(arrays))
        layers = [
            Layer(*matrices[i : i + 2], *biases[i : i + 2]) for i in range(0, 2 * n_layers, 2)
        ]
        layers = [layers[i : i + n_directions] for i in range(0, n_layers, n_directions)]
        inputs = NO_INPUTS
        if arch.embedding_dim and tables:
            inputs = inputs._replace(embedding=tables[0])
        elif tables:
            inputs = inputs._replace(tables=tables)
        if arch.missing == "decay":
            decays = [Decay(*islice(arrays, 4)) for _ in range(n_directions)]
            inputs = inputs._replace(decays=decays)
        return Parameters(layers, query, head, inputs)

    @cached_property
    def first_rows(self) -> np.ndarray:
        """Row of the tables at which the categories of each categorical channel begin, int32."""
        n_categories = np.array(self.architecture.n_categories, dtype=np.int32)
        return np.cumsum(n_categories, dtype=np.int32) - n_categories

    def segments(self, codes: np.ndarray | None = None) -> np.ndarray:
        """Return the parts of the flat vector that take part in an update, as (start, stop).

        Parameters
        ----------
        codes : ndarray of int, default=None
            All rows of the tables of which the minibatch has gradients; None is all there are.
        """
        size = self.parameters.size
        if codes is None:
            return np.array([[0, size]], dtype=np.intp)
        # of all rows, one before the first, and one after the last
        present = np.zeros(self._n_rows + 2, dtype=bool)
        present[codes + 1] = True
        # first row, and row after the last, of each run of rows that are present
        runs = np.flatnonzero(present[1:] != present[:-1]).reshape(-1, 2)
        segments = np.empty((2 + self._n_tables * len(runs), 2), dtype=np.intp)
        stop = self.n_weights - self._n_in_tables
        segments[0], segments[-1] = (0, stop), (self.n_weights, size)
        for i, (part, (_, width)) in enumerate(self._parts[self._first_table :][: self._n_tables]):
            segments[1 + i * len(runs) :][: len(runs)] = part.start + width * runs
        return segments

    def assign(self, parameters: Parameters) -> None:
        """Copy all parameters from arrays of the shapes that `views` gives.

        Raises
        ------
        ValueError
            If an array has another shape.
        """
        for own, given in zip(arrays_of(self.weights), arrays_of(parameters), strict=True):
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
        layers, _, head, inputs = self.weights
        # otherwise threads of BLAS wait for more work, on the cores that the training needs
        with OneBlasThread():
            for layer in chain.from_iterable(layers):
                n_units = len(layer.U)
                for gate in range(cell.n_gates):
                    columns = slice(gate * n_units, (gate + 1) * n_units)
                    layer.b[columns] = gate == cell.forget
                    layer.W[:, columns] = _glorot_uniform(len(layer.W), n_units, random_state)
                    layer.U[:, columns] = _orthogonal(n_units, random_state)
        head.W[:] = _glorot_uniform(*head.W.shape, random_state)
        self._initialize_inputs(layers[0], inputs, random_state)

    def _initialize_inputs(
        self, first: list[Layer], inputs: InputWeights, random_state: np.random.RandomState
    ) -> None:
        """Draw the tables, of which a time step has one row per channel, and begin without decay.

        Channels decay slowly. States do not where the time since the last observation is 1, the
        mean of the training data, in all channels.
        """
        arch, n_units = self.architecture, self.architecture.hidden_layer_sizes[0]
        for table in inputs.tables:
            bound = np.sqrt(6 / (arch.n_inputs + len(arch.n_categories) + n_units))
            table[:] = random_state.uniform(-bound, bound, table.shape)
        inputs.embedding[:] = random_state.normal(size=inputs.embedding.shape)
        # unknown and missing values add nothing before they are learned
        last = self.first_rows + np.array(arch.n_categories, dtype=np.int32) - 1
        for table in (*inputs.tables, inputs.embedding):
            if table.size:
                table[np.concatenate([last - 1, last])] = 0
        for layer, decay in zip(first, inputs.decays, strict=False):
            # what is missing says nothing before it is learned
            layer.W[arch.n_channels :][: arch.n_channels] = 0
            decay.w_x[:] = SLOW_DECAY
            decay.W_h[:] = random_state.uniform(0, SLOW_DECAY / arch.n_channels, decay.W_h.shape)
            decay.b_h[:] = -decay.W_h.sum(axis=0)

    def n_shards(self, n_samples: int, n_steps: int, *, at_least_two: bool = False) -> int:
        """Return the number of shards of a minibatch of so many sequences and time steps.

        A shard has enough sequences to pay for reading all of U each step, and enough work to
        pay for a thread. Shards do not depend on the number of threads: sums of gradients keep
        the same bits. A corpus in few streams is worth two threads that both read U.
        """
        flops = 6 * n_steps * (self.n_weights - self._n_in_tables)
        to_pay_for_u = max(self.architecture.hidden_layer_sizes) // 4
        if at_least_two:
            to_pay_for_u = min(to_pay_for_u, n_samples // 2)
        sequences = max(16, min(32, n_samples // 2), to_pay_for_u)
        return max(1, min(n_samples // sequences, flops // SHARD_FLOPS))


def _cell(architecture: Architecture, dtype: np.dtype) -> Cell:
    """Look the cell up in the kernels of this process."""
    return Cell(*kernels_for(dtype).CELLS[architecture.variant])


def _glorot_uniform(n_inputs: int, n_units: int, random_state: np.random.RandomState) -> np.ndarray:
    """Uniform in ±√(6 / (n_inputs + n_units)) (Glorot & Bengio 2010)."""
    bound = np.sqrt(6 / (n_inputs + n_units))
    return random_state.uniform(-bound, bound, (n_inputs, n_units))


def _orthogonal(n_units: int, random_state: np.random.RandomState) -> np.ndarray:
    """Random orthogonal matrix: it keeps the norm of a state (Saxe et al. 2014)."""
    q, r = np.linalg.qr(random_state.normal(size=(n_units, n_units)))
    return q * np.sign(np.diag(r))  # the signs make it uniform over the orthogonal group
