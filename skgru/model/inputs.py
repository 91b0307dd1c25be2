"""What the first layer reads: numbers, categories, and what stands where values are missing."""

from collections.abc import Callable, Hashable
from types import ModuleType
from typing import NamedTuple

import numpy as np

from skgru.kernels import kernels_for
from skgru.model.architecture import Architecture
from skgru.model.network import Network
from skgru.model.parameters import Parameters
from skgru.sequences import Packed

NO_CODES = np.empty((0, 0), dtype=np.int32)

Empty = Callable[[Hashable, tuple[int, ...]], np.ndarray]


class Inputs(NamedTuple):
    """Inputs of a layer in one direction, and what their backward pass needs.

    Attributes
    ----------
    x : ndarray of shape (n_rows, n_inputs)
    codes : ndarray of shape (n_rows, n_categorical), int32, or (0, 0)
        Rows of the tables.
    decay : ndarray of shape (n_rows, n_units), or (0, 0)
        γ of the states.
    elapsed : ndarray of shape (n_rows, 2 * n_channels), or (0, 0)
        What decays, and the time since it was observed.
    gamma : ndarray of shape (n_rows, n_channels), or (0, 0)
        γ of the channels.
    embedded : ndarray of shape (n_rows, n_categorical), int32, or (0, 0)
        Rows of the embedding, which are part of x.
    """

    x: np.ndarray
    codes: np.ndarray
    decay: np.ndarray
    elapsed: np.ndarray
    gamma: np.ndarray
    embedded: np.ndarray


class FirstInputs:
    """Turn packed time steps into inputs of the first layer, forward and backward.

    Parameters
    ----------
    network : Network
    parameters : Parameters
        The views of its parameters.
    empty : callable
        Takes a name and a shape; returns the array of that name.

    Attributes
    ----------
    are_learned : bool
        Whether x depends on parameters, so that the backward pass needs ∂L/∂x.
    """

    def __init__(self, network: Network, parameters: Parameters, empty: Empty) -> None:
        self._architecture: Architecture = network.architecture
        self._kernels: ModuleType = network.kernels
        self._first_rows = network.first_rows
        self._weights = parameters.inputs
        self._empty = empty
        self._none = np.empty((0, 0), dtype=network.dtype)
        self.are_learned: bool = bool(self._weights.decays) or self._weights.embedding.size > 0

    def forward(self, packed: Packed, direction: int) -> Inputs:
        """Return the inputs of a direction: 0 forward in time, 1 backward."""
        x, codes = packed.x, NO_CODES
        if packed.codes is not None:
            codes = packed.codes + self._first_rows
        if direction:
            if x.size:
                x = self._empty("reversed inputs", x.shape)
                self._kernels.reverse_steps(packed.x, packed.batch_sizes, x, False)
            codes = _reversed_codes(codes, packed.batch_sizes)
        if not self.are_learned:
            return Inputs(x, codes, self._none, self._none, self._none, NO_CODES)
        arch, (_, embedding, decays) = self._architecture, self._weights
        D, n_inputs, n_rows = arch.n_channels, arch.n_inputs, len(x)
        inputs = self._empty(("inputs", direction), (n_rows, n_inputs))
        n_numbers = n_inputs - len(arch.n_categories) * arch.embedding_dim
        decay = elapsed = gamma = self._none
        if decays:
            first = 2 * D * (1 + direction)
            elapsed = x[:, first : first + 2 * D]
            gamma = self._empty(("gamma", direction), (n_rows, D))
            decay = self._empty(("decay", direction), (n_rows, arch.hidden_layer_sizes[0]))
            self._kernels.decay_forward(
                x[:, : 2 * D], elapsed, *decays[direction], inputs[:, : 2 * D], gamma, decay
            )
        elif n_numbers:
            inputs[:, :n_numbers] = x
        if embedding.size:
            self._kernels.gather_codes(embedding, codes, inputs[:, n_numbers:])
            return Inputs(inputs, NO_CODES, decay, elapsed, gamma, codes)
        return Inputs(inputs, codes, decay, elapsed, gamma, NO_CODES)

    def backward(
        self,
        inputs: Inputs,
        direction: int,
        d_x: np.ndarray,
        d_decay: np.ndarray,
        d_parameters: Parameters,
    ) -> None:
        """Add the gradients of embedding and decay, given ∂L/∂x and ∂L/∂decay (overwritten)."""
        arch, d_weights = self._architecture, d_parameters.inputs
        if d_weights.embedding.size:
            first = arch.n_inputs - len(arch.n_categories) * arch.embedding_dim
            self._kernels.scatter_codes(d_x[:, first:], inputs.embedded, d_weights.embedding)
        if d_weights.decays:
            self._kernels.decay_backward(
                inputs.elapsed, inputs.gamma, inputs.decay, d_x[:, : 2 * arch.n_channels],
                d_decay, *d_weights.decays[direction],
            )  # fmt: skip

    def of_packed(
        self, inputs: list[Inputs], d_x: list[np.ndarray], batch_sizes: np.ndarray
    ) -> np.ndarray:
        """Return ∂L/∂x of the packed steps, given those of the inputs of each direction.

        With decay, it is that of what `sequences.gaps` returns; of masks and times it is 0.
        """
        arch = self._architecture
        D, n_rows = arch.n_channels, int(batch_sizes.sum())
        result = np.zeros((n_rows, arch.n_values), dtype=self._none.dtype)
        if not D:
            return result
        for direction, (own, d_own) in enumerate(zip(inputs, d_x, strict=True)):
            targets = [(d_own[:, :D], slice(0, D))]
            if own.gamma.size:
                first = 2 * D * (1 + direction)
                targets.append((own.gamma * d_own[:, :D], slice(first, first + D)))
            for gradient, columns in targets:
                if direction:
                    self._kernels.reverse_steps(gradient, batch_sizes, result[:, columns], True)
                else:
                    result[:, columns] += gradient
        return result


def _reversed_codes(codes: np.ndarray, batch_sizes: np.ndarray) -> np.ndarray:
    """Return the codes of every sequence from its last step to its first."""
    if not codes.size:
        return codes
    reverse = np.empty_like(codes)
    # rows are copied, whatever their bits mean: those of int32 have the size of float32's
    kernels_for(np.dtype(np.float32)).reverse_steps(
        codes.view(np.float32), batch_sizes, reverse.view(np.float32), False
    )
    return reverse
