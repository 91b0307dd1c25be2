"""Gated recurrent units for scikit-learn."""

from skgru.classifier import GRUClassifier
from skgru.regressor import GRURegressor

__all__ = ["GRUClassifier", "GRURegressor"]
__version__ = "0.1.0.dev0"
