"""What a network is, but for its weights."""

from numbers import Integral
from typing import NamedTuple, Self

import numpy as np


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
    missing : {"error", "decay"}
        Whether channels, and states, decay where values are missing (Che et al. 2018).
    n_categories : tuple of int
        For each categorical channel, which `n_channels` does not count, its categories: those of
        unknown and of missing values among them.
    embedding_dim : int
        Numbers that stand for a category; with 0, categories pick rows of the weights directly.
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
    missing: str = "error"
    n_categories: tuple[int, ...] = ()
    embedding_dim: int = 0

    def _checked(self) -> Self:
        """Return self if each field is of its type; names are checked where they are used."""
        counts = (self.n_outputs, *self.hidden_layer_sizes, *self.n_categories)
        counts += (self.n_channels + len(self.n_categories),)
        flags = (self.reset_after, self.bidirectional, self.return_sequences)
        names = (self.pooling, self.cell, self.activation)
        if (
            not all(isinstance(n, Integral) and n >= 1 for n in counts)
            or not all(
                isinstance(n, Integral) and n >= 0 for n in (self.n_channels, self.embedding_dim)
            )
            or not self.hidden_layer_sizes
            or self.missing not in ("error", "decay")
            or (self.missing == "decay" and not self.n_channels)
            or not all(isinstance(flag, bool | np.bool_) for flag in flags)
            or not all(isinstance(name, str) for name in names)
        ):
            raise TypeError(f"there is no {self}")
        return self._replace(
            hidden_layer_sizes=tuple(self.hidden_layer_sizes),
            n_categories=tuple(self.n_categories),
        )

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
    def n_values(self) -> int:
        """Numbers of a time step, codes apart: with decay, what `sequences.gaps` makes of them."""
        blocks = 2 + 2 * self.n_directions if self.missing == "decay" else 1
        return blocks * self.n_channels

    @property
    def n_inputs(self) -> int:
        """Inputs of the first layer: channels, with decay their masks, and embeddings."""
        n_numbers = self.n_channels * (2 if self.missing == "decay" else 1)
        return n_numbers + len(self.n_categories) * self.embedding_dim

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
