"""Gated recurrent units for scikit-learn."""

from skgru.classifier import GRUClassifier
from skgru.regressor import GRURegressor
from skgru.versions import show_versions

__all__ = ["GRUClassifier", "GRURegressor", "show_versions"]
__version__ = "0.1.0.dev0"
