"""Types of scikit-learn's private scorers."""

from collections.abc import Callable
from typing import Any

class _BaseScorer:
    _score_func: Callable[..., Any]
    _sign: int
    _kwargs: dict[str, Any]
    def __init__(
        self,
        score_func: Callable[..., Any],
        sign: int,
        kwargs: dict[str, Any],
        response_method: Any = "predict",
    ) -> None: ...
    def __call__(
        self, estimator: Any, X: Any, y_true: Any, sample_weight: Any = None, **kwargs: Any
    ) -> float: ...

class _Scorer(_BaseScorer): ...

def _cached_call(cache: Any, estimator: Any, method: Any, *args: Any, **kwargs: Any) -> Any: ...
