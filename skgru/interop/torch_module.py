"""PyTorch module of `to_torch`, in a file of its own because it imports PyTorch."""

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from skgru.interop.poolings import exported_pooling


class SequenceModel(nn.Module):
    """Recurrent layers, pooling and a linear head.

    Parameters
    ----------
    recurrent : list of nn.GRU, nn.LSTM, nn.RNN or GatedLayer
        Stacked layers with `batch_first=True`.
    head : nn.Linear
    pooling : {"last", "mean", "max", "attention"}
    query : Tensor of shape (width,), or None
        The query of attention.
    return_sequences : bool
        Whether the head is applied to every state instead of the pooled ones.
    inputs : ChannelInputs or None
        Looks categories up; None if all channels are numbers.
    """

    def __init__(
        self,
        recurrent: list[nn.Module],
        head: nn.Linear,
        pooling: str = "last",
        query: torch.Tensor | None = None,
        return_sequences: bool = False,
        inputs: nn.Module | None = None,
    ):
        super().__init__()
        self.inputs = inputs
        self.recurrent = nn.ModuleList(recurrent)
        self.head = head
        exported_pooling(pooling)  # raises if it is unknown
        self.pooling = pooling
        self.query = None if query is None else nn.Parameter(query)
        self.return_sequences = return_sequences

    def forward(
        self, x: torch.Tensor | PackedSequence, lengths: torch.Tensor | list[int] | None = None
    ) -> torch.Tensor | PackedSequence:
        """Compute the outputs of the head.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_timesteps, n_channels), or PackedSequence
        lengths : Tensor or list of int, shape (n_samples,), optional
            Number of time steps of each sequence in a tensor; values after them are ignored.

        Returns
        -------
        outputs : Tensor of shape (n_samples, n_outputs)
            With `return_sequences`, the shape is (n_samples, n_timesteps, n_outputs), with 0 after
            the end of a sequence; or a PackedSequence if x is one.
        """
        came_packed = isinstance(x, PackedSequence)
        n_timesteps = None if came_packed else x.shape[1]
        if lengths is not None:
            if came_packed:
                raise ValueError("A PackedSequence contains its lengths; leave lengths out.")
            lengths = torch.as_tensor(lengths).cpu()
            x = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        if self.inputs is not None:
            x = _of_data(self.inputs, x)
        last = None
        for layer in self.recurrent:
            x, last = layer(x)
        if self.return_sequences:
            outputs = _of_data(self.head, x)
            if came_packed or lengths is None:
                return outputs
            return pad_packed_sequence(outputs, batch_first=True, total_length=n_timesteps)[0]
        if self.pooling == "last":
            h = last[0] if isinstance(last, tuple) else last  # (h, c) of an LSTM
            return self.head(torch.cat(list(h), dim=-1))
        present = None
        if isinstance(x, PackedSequence):
            x, lengths = pad_packed_sequence(x, batch_first=True)
            steps = torch.arange(x.shape[1])
            present = (steps < lengths[:, None]).to(x.device)[:, :, None]
        return self.head(exported_pooling(self.pooling).torch(x, present, self.query))


def _of_data(module: nn.Module, x: torch.Tensor | PackedSequence) -> torch.Tensor | PackedSequence:
    """Apply a module to every time step."""
    if not isinstance(x, PackedSequence):
        return module(x)
    data = module(x.data)
    return PackedSequence(data, x.batch_sizes, x.sorted_indices, x.unsorted_indices)
