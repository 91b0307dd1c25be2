"""Validation and tags that all transformers of sequences share."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from skgru.persistence import Saved
from skgru.sequences import Sequences, check_sequences


class SequenceTransformer(TransformerMixin, Saved, BaseEstimator):
    """Base class of transformers that take X in every form and return it in the same form.

    Subclasses have the parameter `n_channels`, and set `_n_channels_out` in `fit`.
    """

    def _learn_X(self, X: Any) -> Sequences:
        """Validate X in `fit`, and record its features."""
        sequences = self._check_X(X, self.n_channels)
        # of 3-D X, scikit-learn would take the number of time steps for that of features
        self._fitted_on_table = sequences.form == "table"
        table = X if self._fitted_on_table else sequences.values
        validate_data(self, table, skip_check_array=True)
        self._n_channels_in = sequences.n_channels
        return sequences

    def _check_X(self, X: Any, n_channels: int) -> Sequences:
        return check_sequences(X, n_channels=n_channels, allow_nan=True, caller=type(self).__name__)

    def _check_columns(self, X: Any) -> Sequences:
        """Validate X in `transform`; of its features, compare those of a table alone."""
        check_is_fitted(self)
        sequences = self._check_X(X, self._n_channels_in)
        if sequences.form == "table" and self._fitted_on_table:
            validate_data(self, X, reset=False, skip_check_array=True)
        return sequences

    def _check_channels(self, X: Any) -> Sequences:
        """Validate X in `transform`: it must have the channels that were seen in `fit`."""
        sequences = self._check_columns(X)
        if sequences.n_channels != self._n_channels_in:
            raise ValueError(
                f"X has {sequences.n_channels} channels, but {type(self).__name__} was fitted on "
                f"sequences of {self._n_channels_in} channels."
            )
        return sequences

    def _names_by_step(self, input_features: ArrayLike | None) -> np.ndarray:
        """Names of the columns of X: a row per time step of a table, one row otherwise."""
        check_is_fitted(self)
        return _check_feature_names_in(self, input_features).reshape(-1, self._n_channels_in)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        return tags


def unique_names(steps: list[ArrayLike]) -> np.ndarray:
    """Join the names of the columns of each time step, with the step in front if they repeat."""
    if len(np.unique(steps)) < np.size(steps):
        steps = [[f"t{t}_{name}" for name in step] for t, step in enumerate(steps)]
    return np.concatenate(steps).astype(object)
