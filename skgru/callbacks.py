"""Callbacks that follow a fit, beside those of `sklearn.callback`."""

from skgru.training.checkpoint import Checkpoint

__all__ = ["Checkpoint"]
