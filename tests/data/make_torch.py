"""Golden outputs and gradients of PyTorch's nn.GRU, nn.RNN and nn.LSTM.

Its GRU has the reset gate after the product. Made once with torch 2.13.0 on a CPU, in float64
(`python tests/data/make_torch.py`): two layers, in one direction and in both, on a packed sequence
of ragged sequences. There are two losses: Σ (h_t · target_steps) of every state of the upper layer,
and Σ (h_T · target_last) of its last states. Rows of time steps are ordered by sequence. `ends` are
the last states of every layer and direction, with the cell states.
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

D, H = 3, 5
LENGTHS = {"": (7, 7, 4, 2, 1), "bi": (4, 7, 1, 7, 2)}

torch.set_default_dtype(torch.float64)
for module in (torch.nn.GRU, torch.nn.RNN, torch.nn.LSTM):
    for directions, lengths in LENGTHS.items():
        torch.manual_seed(0)
        layers = module(D, H, num_layers=2, bidirectional=directions == "bi")
        n_directions = 1 + layers.bidirectional
        xs = [torch.randn(n, D) for n in lengths]
        states, h_n = layers(pack_sequence(xs, enforce_sorted=False))
        h_n, *cell_states = h_n if module is torch.nn.LSTM else [h_n]
        outputs = {
            "last": torch.hstack(list(h_n[-n_directions:])),
            "steps": torch.cat(unpack_sequence(states)),
        }
        golden = {"lengths": np.array(lengths), "x": torch.cat(xs).numpy()}
        golden["ends"] = torch.cat([h_n, *cell_states], dim=-1).detach().numpy()
        weights = dict(layers.named_parameters())
        for weight, value in weights.items():
            golden[weight] = value.detach().numpy()
        for top, output in outputs.items():
            target = torch.randn(output.shape)
            gradients = torch.autograd.grad(
                (output * target).sum(), weights.values(), retain_graph=True
            )
            golden[top], golden[f"target_{top}"] = output.detach().numpy(), target.numpy()
            for weight, gradient in zip(weights, gradients, strict=True):
                golden[f"{weight}_grad_{top}"] = gradient.numpy()
        name = f"torch_{directions}{module.__name__.lower()}.npz"
        np.savez_compressed(Path(__file__).with_name(name), **golden)
