"""PyTorch's names and layouts of weights, and layers that have those of a fitted model."""

from typing import TYPE_CHECKING

import numpy as np

from skgru.interop.standard import joined, standard_form
from skgru.model.architecture import Architecture
from skgru.model.parameters import Layer

if TYPE_CHECKING:
    from torch import Tensor, nn

# PyTorch's order of the gates
ORDERS = {"RNN": "h", "GRU": "rzh", "LSTM": "ifgo"}

# PyTorch's names of Wᵀ, Uᵀ, b and c, and what it appends for each direction
NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
SUFFIXES = ("", "_reverse")


def torch_layer(arch: Architecture, directions: list[Layer]) -> "nn.Module":
    """Make a layer: PyTorch's own, or a `GatedLayer` if PyTorch has none."""
    from torch import nn

    from skgru.interop.torch_layer import GatedLayer

    shape = len(directions[0].W), len(directions[0].U)
    settings = {
        "bidirectional": len(directions) == 2,
        "dtype": tensor(directions[0].W).dtype,
    }
    if arch.variant in ("gru", "mgu", "light_gru_relu"):
        layer = GatedLayer(*shape, cell=arch.cell, activation=arch.activation, **settings)
        weights = [(one.W.T, one.U.T, one.b) for one in directions]
    else:
        forms = [standard_form(arch.cell, one) for one in directions]
        operator = forms[0][0]
        layer = getattr(nn, operator)(*shape, batch_first=True, **settings)
        gates = [joined(form, ORDERS[operator]) for _, form in forms]
        weights = [(one.W.T, one.U.T, one.b, one.c) for one in gates]
    for arrays, suffix in zip(weights, SUFFIXES, strict=False):
        for array, name in zip(arrays, NAMES, strict=False):
            copy_to(array, getattr(layer, f"{name}_l0{suffix}"))
    return layer


def tensor(array: np.ndarray) -> "Tensor":
    """Return a copy as a tensor."""
    import torch

    return torch.tensor(array)


def copy_to(array: np.ndarray, parameter: "Tensor") -> None:
    """Set a parameter to an array."""
    parameter.data.copy_(tensor(array))
