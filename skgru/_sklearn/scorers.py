"""scikit-learn's private scorers."""

from sklearn.metrics._scorer import _BaseScorer, _cached_call, _Scorer

__all__ = ["_BaseScorer", "_Scorer", "_cached_call"]
