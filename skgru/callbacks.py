"""scikit-learn's callbacks (from its version 1.9 on): an epoch is a task."""

from collections.abc import Callable
from typing import Any

from sklearn.base import BaseEstimator

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:
        """Nothing, as this scikit-learn has no callbacks."""

    def with_callbacks(method: Callable) -> Callable:
        """Return the method as it is, as this scikit-learn has no callbacks."""
        return method


class FitTasks:
    """Tells the callbacks of an estimator of its fit, and of each epoch or iteration in it."""

    def __init__(self):
        self._root: Any = None
        self._epoch: Any = None
        self._told: dict[str, Any] = {}
        self._fitted: Callable[[], dict[str, Any]] = dict

    def begin_fit(
        self,
        estimator: BaseEstimator,
        max_epochs: int,
        X: Any,
        y: Any,
        metadata: dict[str, Any] | None,
    ) -> None:
        """Tell of the beginning of a fit, if anybody listens; without it, nothing is told.

        Parameters
        ----------
        estimator : BaseEstimator
            One with `CallbackSupportMixin`.
        max_epochs : int
        X, y : array-like
            As they came to `fit`.
        metadata : dict or None
            What else came to `fit`, for scorers.
        """
        if hasattr(estimator, "_skl_callbacks"):
            self._told = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
            self._root = estimator._init_callback_context(max_subtasks=max_epochs)
            self._root.call_on_fit_task_begin(**self._told)

    def make_fitted(self, attributes: Callable[[], dict[str, Any]]) -> None:
        """Say which attributes make a fitted estimator out of one that is being fitted."""
        self._fitted = attributes

    def begin(self) -> None:
        """Tell of the beginning of an epoch."""
        if self._root is not None:
            self._epoch = self._root.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(**self._told)

    def end(self) -> bool:
        """Tell of the end of the epoch; answer whether the fit is to stop."""
        if self._root is None:
            return False
        return self._epoch.call_on_fit_task_end(
            **self._told, reconstruction_attributes=self._fitted
        )

    def end_fit(self) -> None:
        """Tell of the end of the fit."""
        if self._root is not None:
            self._root.call_on_fit_task_end(**self._told, reconstruction_attributes=self._fitted)
