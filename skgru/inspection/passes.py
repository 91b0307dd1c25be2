"""Forward passes over X that keep gates and states, for the functions of `skgru.inspection`.

They compute in double precision, whatever the dtype of the estimator: gradients then do not
underflow, and rounding errors stay far below what is measured.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from skgru.base import BaseGRU
from skgru.inspection.cells import CELLS, InspectedCell, Step
from skgru.model.network import Network
from skgru.model.parameters import Layer, Parameters
from skgru.model.propagation import Propagation
from skgru.sequences import Packed, Sequences, Span


class Direction(NamedTuple):
    """One direction of one layer.

    Attributes
    ----------
    index : int
        Position in `layers_`.
    layer : int
    name : {"forward", "backward"}
    weights : Layer
    """

    index: int
    layer: int
    name: str
    weights: Layer


def unwrap(estimator: Any) -> tuple[BaseGRU, list[Pipeline]]:
    """Find the fitted network in pipelines and searches.

    Parameters
    ----------
    estimator : GRUClassifier, GRURegressor, Pipeline or search
        A fitted estimator.

    Returns
    -------
    estimator : GRUClassifier or GRURegressor
    before : list of Pipeline
        Pipelines of the steps before the network, outermost first.

    Raises
    ------
    TypeError
        If `estimator` does not contain an estimator of skgru.
    NotFittedError
        If it is not fitted.
    """
    before = []
    estimator = getattr(estimator, "best_estimator_", estimator)
    while isinstance(estimator, Pipeline):
        if len(estimator.steps) > 1:
            before.append(estimator[:-1])
        estimator = getattr(estimator[-1], "best_estimator_", estimator[-1])
    if not isinstance(estimator, BaseGRU):
        raise TypeError(
            "Only a GRUClassifier or a GRURegressor can be inspected, or a pipeline that ends "
            f"in one; got {estimator!r}."
        )
    check_is_fitted(estimator, "_network")
    return estimator, before


class Inspected:
    """A fitted estimator and the sequences to inspect it on.

    Parameters
    ----------
    estimator : GRUClassifier, GRURegressor, Pipeline or search
        Of a pipeline, the last step is inspected, on X as transformed by the steps before it; of
        a search, the best estimator.
    X : array-like
        Sequences, as in `fit`.

    Attributes
    ----------
    estimator : GRUClassifier or GRURegressor
    network : Network
        In double precision.
    cell : InspectedCell
    parameters : Parameters
    sequences : Sequences

    Raises
    ------
    TypeError
        If `estimator` does not contain an estimator of skgru.
    NotFittedError
        If it is not fitted.
    ValueError
        If X is invalid.
    """

    def __init__(self, estimator: Any, X: Any) -> None:
        estimator, before = unwrap(estimator)
        for steps in before:
            X = steps.transform(X)
        self.estimator = estimator
        fitted = estimator._network
        self.network: Any = Network(fitted.architecture, "float64")
        self.network.parameters[:] = fitted.parameters
        self.parameters: Parameters = self.network.weights
        self.cell: Any = _inspected_cell(fitted.architecture.variant)
        self.sequences: Sequences = estimator._check_X(X, reset=False, dtype=np.float64)

    @property
    def directions(self) -> list[Direction]:
        """Return all layers and directions, in the order of `layers_`."""
        names = ("forward", "backward")
        return [
            Direction(depth * len(layers) + k, depth, names[k], weights)
            for depth, layers in enumerate(self.parameters.layers)
            for k, weights in enumerate(layers)
        ]

    @property
    def series(self) -> np.ndarray:
        """Return the time steps of X to draw: numbers, NaN where missing, and codes beside them."""
        values, codes, arch = self.sequences.values, self.sequences.codes, self.network.architecture
        if arch.missing == "decay":  # values are observed values, masks, and so on
            D = arch.n_channels
            values = np.where(values[:, D : 2 * D] > 0, values[:, :D], np.nan)
        return values if codes is None else np.hstack([values, codes])

    def spans(self, chunk_size: int) -> Iterator[Span]:
        """Yield `chunk_size` sequences at a time, the longest first."""
        by_length = self.sequences.by_length
        for chunk in gen_batches(len(by_length), chunk_size):
            yield self.sequences.span(by_length[chunk])

    def passes(self, chunk_size: int) -> Iterator["ForwardPass"]:
        """Run the network over `chunk_size` sequences at a time."""
        return (ForwardPass(self, span) for span in self.spans(chunk_size))

    def unpack(
        self, span: Span, direction: Direction, packed: np.ndarray, values: np.ndarray
    ) -> None:
        """Write the packed rows of a direction to the time steps of X that they belong to.

        Parameters
        ----------
        span : Span
        direction : Direction
        packed : ndarray of shape (n_rows, k), C-contiguous
            Rows in the order in which the direction processes the time steps.
        values : ndarray of shape (sum of lengths, k)
            Array to write to, with one row per time step of X.
        """
        if direction.name == "backward":
            in_order = np.empty_like(packed)
            self.network.kernels.reverse_steps(packed, span.batch_sizes, in_order, False)
            packed = in_order
        span.unpack(packed, values)


class ForwardPass:
    """Activations and states of the network at each time step of a span of sequences.

    Parameters
    ----------
    inspected : Inspected
    span : Span
    """

    batch_sizes: np.ndarray
    slices: list[Any]

    def __init__(self, inspected: Inspected, span: Span) -> None:
        self._inspected = inspected
        self.span = span
        packed: Packed = inspected.sequences.pack(span)
        propagation = Propagation(
            inspected.network, inspected.parameters, lambda _, shape: np.empty(shape)
        )
        self.batch_sizes, self.slices = packed.batch_sizes, packed.slices
        window = propagation.forward(packed, None, 0, keep=True, want_states=False)
        self._kept = [propagation.layers.kept(i) for i in range(len(inspected.directions))]
        self._decay = [inputs.decay for inputs in window.inputs]

    def gates(self, direction: Direction) -> dict[str, np.ndarray]:
        """Return the activations of all packed rows by name, each of shape (n_rows, n_units)."""
        names = self._inspected.cell.gates
        blocks = np.split(self._kept[direction.index]["saved"], len(names), axis=1)
        return dict(zip(names, blocks, strict=True))

    def states(self, direction: Direction) -> np.ndarray:
        """Return the packed hidden states h_t, of shape (n_rows, n_units)."""
        return self._kept[direction.index]["states"]

    def decay(self, direction: Direction, t: int) -> np.ndarray | None:
        """Return what step t multiplies the previous state by, (n, n_units); None without decay."""
        if direction.layer or not self._decay[direction.index].size:
            return None
        return self._decay[direction.index][self.slices[t]]

    def jacobian(self, direction: Direction, t: int) -> dict[str, np.ndarray]:
        """Return the parts of the Jacobians of step t, each of shape (n, size, size)."""
        parts, decay = (
            self._inspected.cell.jacobian(self.step(direction, t)),
            self.decay(direction, t),
        )
        if decay is None:
            return parts
        of_state = np.tile(decay, self._inspected.network.cell.n_states)[:, :, np.newaxis]
        return {name: of_state * part for name, part in parts.items()}

    def step(self, direction: Direction, t: int) -> Step:
        """Return the previous state, weights and activations of step t of a direction.

        With decay, the previous state is what is left of it at step t.
        """
        rows = self.slices[t]
        n, H = self.batch_sizes[t], len(direction.weights.U)
        gates = {name: values[rows] for name, values in self.gates(direction).items()}
        has_cell_state = "cell_state" in gates
        if t:
            before = slice(self.slices[t - 1].start, self.slices[t - 1].start + n)
            h_prev = self.states(direction)[before]
            cell_prev = self.gates(direction)["cell_state"][before] if has_cell_state else None
        else:
            h_prev = np.zeros((n, H))
            cell_prev = h_prev if has_cell_state else None
        decay = self.decay(direction, t)
        if decay is not None:
            h_prev = decay * h_prev
            cell_prev = decay * cell_prev if has_cell_state else None
        U = np.split(direction.weights.U, direction.weights.U.shape[1] // H, axis=1)
        return Step(gates, h_prev, cell_prev, U)


def _inspected_cell(variant: str) -> InspectedCell:
    if variant not in CELLS:
        raise NotImplementedError(
            f"inspection does not know the cell {variant!r}, only {', '.join(CELLS)}."
        )
    return CELLS[variant]
