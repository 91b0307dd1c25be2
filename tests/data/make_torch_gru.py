"""Golden outputs and gradients of PyTorch's nn.GRU, which has the reset gate after the product.

Made once with torch 2.13.0 on a CPU, in float64 (`python tests/data/make_torch_gru.py`). Two
layers, in one direction and in both, ragged sequences as a packed sequence. Of two losses: on every
state of the upper layer, Σ (h_t · target_steps), and on its last ones, Σ (h_T · target_last). Rows
of steps come sequence by sequence, those of the first sequence first.
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

D, H = 3, 5

torch.set_default_dtype(torch.float64)
for name, lengths in {"torch_gru": (7, 7, 4, 2, 1), "torch_bigru": (4, 7, 1, 7, 2)}.items():
    torch.manual_seed(0)
    gru = torch.nn.GRU(D, H, num_layers=2, bidirectional=name == "torch_bigru")
    n_directions = 1 + gru.bidirectional
    xs = [torch.randn(n, D) for n in lengths]
    states, h_n = gru(pack_sequence(xs, enforce_sorted=False))
    outputs = {
        "last": torch.hstack(list(h_n[-n_directions:])),
        "steps": torch.cat(unpack_sequence(states)),
    }
    golden = {"lengths": np.array(lengths), "x": torch.cat(xs).numpy()}
    weights = dict(gru.named_parameters())
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
    np.savez_compressed(Path(__file__).with_name(f"{name}.npz"), **golden)
