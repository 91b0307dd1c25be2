"""What the first layer reads of categories, in a file of its own because it imports PyTorch."""

import numpy as np
import torch
from torch import nn

from skgru.interop.inputs import ExportedInputs


class ChannelInputs(nn.Module):
    """Numbers of each time step, and its categories beside them, embedded or one-hot.

    Categories that were not in `fit`, and missing ones (NaN), have a code each.

    Parameters
    ----------
    inputs : ExportedInputs
    embedding : ndarray of shape (n_rows, embedding_dim), or (0, 0)
        Without one, categories become one-hot rows.
    """

    def __init__(self, inputs: ExportedInputs, embedding: np.ndarray):
        super().__init__()
        self._numeric = inputs.numeric
        self._channels = [categorical.channel for categorical in inputs.categorical]
        self._first_rows = [categorical.rows.start for categorical in inputs.categorical]
        self._n_rows = inputs.categorical[-1].rows.stop
        for i, categorical in enumerate(inputs.categorical):
            self.register_buffer(f"categories_{i}", torch.tensor(categorical.values))
        self.embedding = None
        if embedding.size:
            self.embedding = nn.Embedding.from_pretrained(torch.tensor(embedding), freeze=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn values of shape (..., n_channels) into inputs of shape (..., n_inputs)."""
        x = x.to(self.categories_0.dtype)  # tokens may be integers
        rows = torch.stack([self._rows(x, i) for i in range(len(self._channels))], dim=-1)
        if self.embedding is not None:
            looked_up = self.embedding(rows).flatten(-2)
        else:  # the rows of different channels are different
            looked_up = nn.functional.one_hot(rows, self._n_rows).sum(dim=-2).to(x.dtype)
        return torch.cat([x[..., self._numeric], looked_up], dim=-1)

    def _rows(self, x: torch.Tensor, i: int) -> torch.Tensor:
        """Return the rows of the tables that a channel picks."""
        values = x[..., self._channels[i]].contiguous()
        categories = getattr(self, f"categories_{i}")
        n = len(categories)
        found = torch.searchsorted(categories, values).clamp(max=n - 1)
        codes = torch.where(categories[found] == values, found, n)
        return self._first_rows[i] + torch.where(values.isnan(), n + 1, codes)
