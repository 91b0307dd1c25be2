"""Golden outputs and gradients of PyTorch's nn.GRU, which has the reset gate after the product.

Made once with torch 2.13.0 on a CPU, in float64 (`python tests/data/make_torch_gru.py`). Two
layers, ragged sequences as a packed sequence, loss Σ (h_T · target), h_T of the upper layer.
"""

from pathlib import Path

import numpy as np
import torch

D, H, LENGTHS = 3, 5, (7, 7, 4, 2, 1)

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
gru = torch.nn.GRU(D, H, num_layers=2)
sequences = [torch.randn(n, D, requires_grad=True) for n in LENGTHS]
target = torch.randn(len(LENGTHS), H)
packed = torch.nn.utils.rnn.pack_sequence(sequences)
states, last = gru(packed)
(last[-1] * target).sum().backward()

golden = {"lengths": np.array(LENGTHS), "target": target.numpy()}
golden["states"] = states.data.detach().numpy()
for i, sequence in enumerate(sequences):
    golden[f"x{i}"] = sequence.detach().numpy()
    golden[f"x{i}_grad"] = sequence.grad.numpy()
for name, parameter in gru.named_parameters():
    golden[name] = parameter.detach().numpy()
    golden[f"{name}_grad"] = parameter.grad.numpy()
np.savez_compressed(Path(__file__).with_name("torch_gru.npz"), **golden)
