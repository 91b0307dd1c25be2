"""scikit-learn's callbacks (from its version 1.9 on): an epoch is a task.

They are imported when they are set: with the progress bar's library, that takes longer than all of
skgru does.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Self, TypeVar, cast

from skgru._sklearn import BaseEstimator, available_if
from skgru.persistence import CALLBACKS


def _has_callbacks(estimator: BaseEstimator) -> bool:
    if find_spec("sklearn.callback") is None:
        raise AttributeError("callbacks need scikit-learn 1.9 or newer")
    return True


class CallbackSupport:
    """What scikit-learn's `CallbackSupportMixin` gives an estimator, imported late."""

    @available_if(_has_callbacks)
    def set_callbacks(self, *callbacks: Any) -> Self:
        """Set the callbacks that follow each `fit` and each epoch in it.

        Parameters
        ----------
        *callbacks : callback instances
            Such as `sklearn.callback.ProgressBar()`. Without any, those that were set are dropped.

        Returns
        -------
        self : object
            The estimator.
        """
        from sklearn.callback import CallbackSupportMixin

        return CallbackSupportMixin.set_callbacks(self, *callbacks)

    def _init_callback_context(self, **settings: Any) -> Any:
        from sklearn.callback import CallbackSupportMixin

        return CallbackSupportMixin._init_callback_context(self, **settings)


Method = TypeVar("Method", bound=Callable[..., Any])


def with_callbacks(method: Method) -> Method:
    """Let callbacks clean up after a method, whether it returns or raises, if any are set."""

    @functools.wraps(method)
    def managed(estimator: BaseEstimator, *args: Any, **kwargs: Any) -> Any:
        if not hasattr(estimator, "_skl_callbacks"):
            return method(estimator, *args, **kwargs)
        from sklearn.callback import with_callbacks

        return with_callbacks(method)(estimator, *args, **kwargs)

    return cast(Method, managed)


def one_task(fit: Method) -> Method:
    """Let callbacks follow a `fit` that has no parts, as a single task."""

    @with_callbacks
    @functools.wraps(fit)
    def followed(estimator: BaseEstimator, X: Any, y: Any = None) -> Any:
        tasks = FitTasks()
        tasks.begin_fit(estimator, 0, X, y)
        fit(estimator, X, y)
        tasks.end_fit()
        return estimator

    return cast(Method, followed)


class FitTasks:
    """Tells the callbacks of an estimator of its fit, and of each epoch or iteration in it.

    Parameters
    ----------
    of_parts : bool, default=False
        Whether the fit consists of those of other estimators. These may have callbacks when the
        estimator has none, and then need to know the tasks around them.
    """

    def __init__(self, *, of_parts: bool = False) -> None:
        self._of_parts = of_parts
        self._root: Any = None
        self._epoch: Any = None
        self._told: dict[str, Any] = {}
        self._fitted: Callable[[], dict[str, Any]] = dict
        self._training: Callable[[], dict[str, Any]] = dict
        self._checkpoints: list[Any] = []

    def begin_fit(
        self,
        estimator: BaseEstimator,
        max_tasks: int,
        X: Any,
        y: Any,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Begin a fit; no-op without callbacks, and so are the other methods.

        Parameters
        ----------
        estimator : BaseEstimator
            One with `CallbackSupport`.
        max_tasks : int
            Epochs, or estimators that are fitted as its parts.
        X, y : array-like
            As they came to `fit`.
        metadata : dict, default=None
            What else came to `fit`, for scorers.
        """
        followed = hasattr(estimator, "_skl_callbacks")
        if followed or (self._of_parts and hasattr(estimator, "_parent_callback_ctx")):
            self._told = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
            self._root = estimator._init_callback_context(max_subtasks=max_tasks)
            self._root.call_on_fit_task_begin(**self._told)
            callbacks = getattr(estimator, "_skl_callbacks", [])
            self._checkpoints = [c for c in callbacks if hasattr(c, "end_epoch")]

    def make_fitted(self, attributes: Callable[[], dict[str, Any]]) -> None:
        """Say which attributes make a fitted estimator out of one that is being fitted."""
        self._fitted = attributes

    def make_resumable(self, attributes: Callable[[], dict[str, Any]]) -> None:
        """Say which attributes a checkpoint has besides."""
        self._training = attributes

    def of_checkpoints(self) -> Self:
        """Return the tasks of further epochs, of which none but checkpoints are told."""
        tasks = type(self)()
        tasks._told, tasks._fitted, tasks._checkpoints = self._told, self._fitted, self._checkpoints
        return tasks

    def begin(self) -> None:
        """Tell of the beginning of an epoch."""
        if self._root is not None:
            self._epoch = self._root.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(**self._told)

    def end(self, n_epochs: int) -> bool:
        """Tell of the end of the epoch of that number; answer whether the fit is to stop."""
        for checkpoint in self._checkpoints:
            checkpoint.end_epoch(n_epochs, self._estimator_so_far)
        if self._root is None:
            return False
        return self._epoch.call_on_fit_task_end(
            **self._told, reconstruction_attributes=self._fitted
        )

    def _estimator_so_far(self) -> BaseEstimator:
        """Return the estimator as it would be if the fit ended here, without its callbacks."""
        estimator = self._told["estimator"]
        fitted = object.__new__(type(estimator))
        own = {name: value for name, value in vars(estimator).items() if name not in CALLBACKS}
        vars(fitted).update(own, **self._fitted(), **self._training())
        return fitted

    @contextmanager
    def part(self, name: str, estimator: BaseEstimator) -> Iterator[None]:
        """Fit another estimator in the block, as a part of this fit, with its callbacks.

        Parameters
        ----------
        name : str
            Of the task.
        estimator : BaseEstimator
            The one that is fitted.
        """
        if self._root is None:
            yield
            return
        task = self._root.subcontext(task_name=name)
        with task.propagate_callback_context(estimator):
            task.call_on_fit_task_begin(**self._told)
            yield
            task.call_on_fit_task_end(**self._told)

    def end_fit(self) -> None:
        """Tell of the end of the fit."""
        if self._root is not None:
            self._root.call_on_fit_task_end(**self._told, reconstruction_attributes=self._fitted)
