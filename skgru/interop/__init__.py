"""Fitted models in other forms, for places where skgru is not."""

from skgru.interop.c import to_c

__all__ = ["to_c"]
