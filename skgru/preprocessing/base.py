"""Validation and tags that all transformers of sequences share."""

from collections.abc import Callable
from functools import wraps
from inspect import unwrap
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skgru._sklearn import (
    BaseEstimator,
    Tags,
    TransformerMixin,
    _check_feature_names_in,
    _wrap_data_with_container,
)
from skgru.persistence import Saved
from skgru.sequences import Sequences, check_features, check_sequences
from skgru.training.callbacks import CallbackSupport


class SequenceTransformer(
    TransformerMixin, CallbackSupport, Saved, BaseEstimator, auto_wrap_output_keys=None
):
    """Base class of transformers that take X in every form and return it in the same form.

    Subclasses have the parameter `n_channels`, and set `_n_channels_out` in `fit`.
    """

    transform: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # scikit-learn's wrapper for `set_output` makes a data frame of 3-D and ragged results, too
        if "transform" in vars(cls):
            cls.transform = _tables_as_frames(unwrap(cls.transform))

    def fit_transform(self, X: Any, y: ArrayLike | None = None) -> Any:
        """Fit to X and transform it.

        Parameters
        ----------
        X : array-like
            Sequences, as in `fit`.
        y : Ignored

        Returns
        -------
        X_transformed : ndarray or list of ndarray
            As `transform` returns it.
        """
        return self.fit(X, y).transform(X)

    def _learn_X(self, X: Any) -> Sequences:
        """Validate X in `fit`, and record its features."""
        sequences = self._check_X(X, self.n_channels)
        self._record(X, sequences)
        return sequences

    def _record(self, X: Any, sequences: Sequences) -> None:
        """Record the features of X, which `_check_X` has validated."""
        check_features(self, X, sequences, reset=True)
        self._n_channels_in = sequences.n_channels

    def _check_X(self, X: Any, n_channels: int) -> Sequences:
        return check_sequences(X, n_channels=n_channels, allow_nan=True, caller=type(self).__name__)

    def _check_channels(self, X: Any) -> Sequences:
        """Validate X in `transform`: it must have the channels that were seen in `fit`."""
        if "_n_channels_in" not in vars(self):  # scikit-learn would first collect the tags
            check_is_fitted(self)
        sequences = self._check_X(X, self._n_channels_in)
        if sequences.n_channels != self._n_channels_in:
            raise ValueError(
                f"X has {sequences.n_channels} channels, but {type(self).__name__} was fitted on "
                f"sequences of {self._n_channels_in} channels."
            )
        check_features(self, X, sequences, reset=False)
        return sequences

    def _names_by_step(self, input_features: ArrayLike | None) -> np.ndarray:
        """Names of the columns of X: a row per time step of a table, one row otherwise."""
        check_is_fitted(self)
        return _check_feature_names_in(self, input_features).reshape(-1, self._n_channels_in)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        return tags


def _tables_as_frames(transform: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method give what `set_output` asks for, where the result is a table."""

    @wraps(transform)
    def wrapped(self: Any, X: Any) -> Any:
        result = transform(self, X)
        if getattr(result, "ndim", None) != 2:
            return result  # a data frame has two dimensions
        return _wrap_data_with_container("transform", result, X, self)

    return wrapped


def unique_names(steps: list[ArrayLike]) -> np.ndarray:
    """Join the names of the columns of each time step, with the step in front if they repeat."""
    if len(np.unique(steps)) < np.size(steps):
        steps = [[f"t{t}_{name}" for name in step] for t, step in enumerate(steps)]
    return np.concatenate(steps).astype(object)
