"""Export fitted models to ONNX, PyTorch and C, and import PyTorch modules.

The estimators import nothing from here. onnx, skl2onnx and PyTorch are imported only by the
functions that need them.
"""

from skgru.interop.c import to_c
from skgru.interop.onnx import to_onnx
from skgru.interop.skl2onnx import register_skl2onnx
from skgru.interop.torch import from_torch, to_torch

__all__ = ["from_torch", "register_skl2onnx", "to_c", "to_onnx", "to_torch"]
