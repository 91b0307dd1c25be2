"""Layers of cells that PyTorch lacks, in a file of their own because it imports PyTorch."""

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

# blocks of weights of each cell, the candidate's included
N_BLOCKS = {"gru": 3, "mgu": 2, "light_gru": 2}
ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}
SUFFIXES = ("", "_reverse")


class GatedLayer(nn.Module):
    """A recurrent layer whose reset gate, if there is one, is applied before the product.

    It is called like an `nn.GRU` with `batch_first=True`, and its weights have the names, the shape
    and the order of gates of that module; the candidate has no second bias. Training keeps the cell
    what it is: `mgu` keeps one gate.

    Parameters
    ----------
    input_size : int
    hidden_size : int
    cell : {"gru", "mgu", "light_gru"}
    activation : {"tanh", "relu"}
        Of the candidate.
    bidirectional : bool
    dtype : torch.dtype, default=None
    """

    input_size: int
    hidden_size: int
    cell: str
    activation: str
    bidirectional: bool

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        cell: str = "gru",
        activation: str = "tanh",
        bidirectional: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.cell, self.activation, self.bidirectional = cell, activation, bidirectional
        n = N_BLOCKS[cell] * hidden_size
        for suffix in SUFFIXES[: 1 + bidirectional]:
            for name, shape in (
                ("weight_ih_l0", (n, input_size)),
                ("weight_hh_l0", (n, hidden_size)),
                ("bias_ih_l0", (n,)),
            ):
                setattr(self, name + suffix, nn.Parameter(torch.zeros(shape, dtype=dtype)))

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return (
            f"{self.input_size}, {self.hidden_size}, cell={self.cell!r}, "
            f"activation={self.activation!r}, bidirectional={self.bidirectional}"
        )

    def forward(
        self, x: torch.Tensor | PackedSequence
    ) -> tuple[torch.Tensor | PackedSequence, torch.Tensor]:
        """Compute the states.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_timesteps, input_size), or PackedSequence

        Returns
        -------
        states : Tensor of shape (n_samples, n_timesteps, width), or PackedSequence
        last : Tensor of shape (n_directions, n_samples, hidden_size)
            The state of each direction after it has read the whole sequence.
        """
        if isinstance(x, PackedSequence):
            states, last = self._run(x.data, x.batch_sizes.tolist())
            if x.unsorted_indices is not None:
                last = last[:, x.unsorted_indices]
            packed = PackedSequence(states, x.batch_sizes, x.sorted_indices, x.unsorted_indices)
            return packed, last
        n_samples, n_timesteps, _ = x.shape
        states, last = self._run(x.transpose(0, 1).flatten(0, 1), [n_samples] * n_timesteps)
        return states.unflatten(0, (n_timesteps, n_samples)).transpose(0, 1), last

    def _run(self, x: torch.Tensor, sizes: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Run all directions over packed time steps, of which step t has sizes[t] rows."""
        directions = [self._forward_in_time(x, sizes)]
        if self.bidirectional:
            directions.append(self._backward_in_time(x, sizes))
        states, last = zip(*directions, strict=True)
        return torch.cat(states, dim=-1), torch.stack(last)

    def _forward_in_time(
        self, x: torch.Tensor, sizes: list[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        h = x.new_zeros(sizes[0], self.hidden_size)
        states, ended = [], []
        for a in self._projected(x, "").split(sizes):
            if len(a) < len(h):  # the shortest sequences are the last rows
                ended.append(h[len(a) :])
                h = h[: len(a)]
            h = self._next(a, h, self.weight_hh_l0)
            states.append(h)
        return torch.cat(states), torch.cat([h, *reversed(ended)])

    def _backward_in_time(
        self, x: torch.Tensor, sizes: list[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        h = x.new_zeros(0, self.hidden_size)
        states = []
        for a in reversed(self._projected(x, "_reverse").split(sizes)):
            if len(a) > len(h):  # sequences that end at this step
                h = torch.cat([h, h.new_zeros(len(a) - len(h), self.hidden_size)])
            h = self._next(a, h, self.weight_hh_l0_reverse)
            states.append(h)
        return torch.cat(states[::-1]), h

    def _projected(self, x: torch.Tensor, suffix: str) -> torch.Tensor:
        W, b = (getattr(self, name + suffix) for name in ("weight_ih_l0", "bias_ih_l0"))
        return nn.functional.linear(x, W, b)

    def _next(self, a: torch.Tensor, h: torch.Tensor, U: torch.Tensor) -> torch.Tensor:
        """Return the next state, given the projected inputs of one time step."""
        n_units = self.hidden_size
        gates = torch.sigmoid(a[:, :-n_units] + h @ U[:-n_units].T)
        kept, inner = gates, h
        if self.cell == "gru":
            r, kept = gates.chunk(2, dim=1)
            inner = r * h
        elif self.cell == "mgu":
            kept, inner = 1 - gates, gates * h
        candidate = ACTIVATIONS[self.activation](a[:, -n_units:] + inner @ U[-n_units:].T)
        return kept * h + (1 - kept) * candidate
