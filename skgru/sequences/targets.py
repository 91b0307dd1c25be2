"""Targets: a row of numbers and a weight for each sequence, or for each time step."""

from dataclasses import dataclass
from math import prod
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import (
    _check_sample_weight,
    _num_samples,
    check_consistent_length,
)

from skgru.sequences.forms import Sequences
from skgru.sequences.packing import Span


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets of sequences, or of all their time steps, as the loss takes them.

    Attributes
    ----------
    y : ndarray of shape (n_rows, k), C-contiguous
        In the dtype of the network; classes as 0, 1, ….
    weights : ndarray of shape (n_rows,), float64
        0 where a label is missing.
    sequences : Sequences or None
        Those whose time steps have a row each; None if each sequence has one.
    """

    y: np.ndarray
    weights: np.ndarray
    sequences: Sequences | None

    def __len__(self) -> int:
        return len(self.y if self.sequences is None else self.sequences)

    def rows(self, samples: np.ndarray) -> np.ndarray:
        """Return the rows that belong to these samples."""
        return samples if self.sequences is None else self.sequences.rows(samples)

    def of_samples(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return targets and weights of these samples, one row per sequence."""
        return self.y[samples], self.weights[samples]

    def of_steps(self, span: Span) -> tuple[np.ndarray, np.ndarray]:
        """Return targets and weights of packed time steps."""
        return span.pack(self.y).x, span.pack(self.weights[:, np.newaxis]).x[:, 0]

    def sample_weights(self) -> np.ndarray:
        """Return the sum of the weights of each sequence."""
        if self.sequences is None:
            return self.weights
        return np.add.reduceat(self.weights, self.sequences.starts)


@dataclass(frozen=True, eq=False)
class Aligned:
    """y and weights aligned with sequences, or with their time steps, before y is encoded.

    Attributes
    ----------
    rows : array-like
        What y says of each sequence, or of each time step that has a label.
    weights : ndarray of shape (n_rows,), float64
        Weights of all sequences or time steps, 0 where a label is missing.
    known : ndarray of bool, shape (n_rows,), or slice
        Which of them have a label.
    sequences : Sequences or None
        Those whose time steps have a row each; None if each sequence has one.
    """

    rows: Any
    weights: np.ndarray
    known: np.ndarray | slice
    sequences: Sequences | None

    def encoded(self, numbers: np.ndarray, factors: np.ndarray | float = 1.0) -> Targets:
        """Make targets of the rows as numbers.

        Parameters
        ----------
        numbers : ndarray of shape (n_known, k)
        factors : ndarray of shape (n_known,) or float
            Of the weights, such as those of the classes.
        """
        weights = self.weights.copy()
        weights[self.known] *= factors
        if self.sequences is None:
            return Targets(numbers, weights, None)
        y = np.zeros((len(weights), numbers.shape[1]), dtype=numbers.dtype)
        y[self.known] = numbers
        return Targets(y, weights, self.sequences)


def align(
    y: ArrayLike, sample_weight: ArrayLike | None, sequences: Sequences, *, by_step: bool
) -> Aligned:
    """Check that y and the weights belong to these sequences.

    Parameters
    ----------
    y : array-like
        With an entry for each sequence; `by_step`, in the form of `Sequences.by_step`.
    sample_weight : array-like or None
        With an entry for each sequence; `by_step`, also in any form that y may have.
    sequences : Sequences
    by_step : bool
        Whether every time step has a target.

    Raises
    ------
    ValueError
        If lengths differ, if a weight is negative or not finite, or if all labels are missing.
    """
    if not by_step:
        check_consistent_length(sequences, y)
        weights = _check_sample_weight(
            sample_weight, sequences, dtype=np.float64, ensure_non_negative=True, copy=True
        )
        return Aligned(y, weights, slice(None), None)
    rows, weights = sequences.rows_by_step(y, "y"), step_weights(sample_weight, sequences)
    missing = missing_labels(rows)
    if missing.all():
        raise ValueError("All labels in y are missing (NaN or None).")
    weights[missing] = 0
    return Aligned(known_labels(rows, ~missing), weights, ~missing, sequences)


def missing_labels(y: np.ndarray) -> np.ndarray:
    """Find the rows that are missing: NaN or None in all columns.

    Parameters
    ----------
    y : ndarray of shape (n_rows,) or (n_rows, k)

    Returns
    -------
    ndarray of bool, shape (n_rows,)

    Raises
    ------
    ValueError
        If a part of a row is missing.
    """
    if y.dtype == object:
        missing = np.equal(y, None) | np.not_equal(y, y)
    elif y.dtype.kind == "f":
        missing = np.isnan(y)
    else:
        missing = np.zeros(y.shape, dtype=bool)
    missing = missing.astype(bool).reshape(len(y), prod(y.shape[1:]))
    parts = np.flatnonzero(missing.any(axis=1) & ~missing.all(axis=1))
    if len(parts):
        raise ValueError(
            f"y has a step of which some outputs are missing and others are not: {y[parts[0]]}. "
            "Either all outputs of a step must be missing, or none."
        )
    return missing.all(axis=1)


def known_labels(y: np.ndarray, known: np.ndarray | EllipsisType) -> np.ndarray:
    """Take the known rows; object arrays, which missing rows need, become plain labels again."""
    return np.array(y[known].tolist()) if y.dtype == object else y[known]


def step_weights(sample_weight: Any, sequences: Sequences) -> np.ndarray:
    """Return the weight of every time step, given one per sequence or one per step.

    Parameters
    ----------
    sample_weight : array-like or None
        Of shape (n_samples,), or in a form that y may have.
    sequences : Sequences

    Returns
    -------
    ndarray of shape (sum of lengths,), float64
    """
    if sample_weight is None or _is_flat(sample_weight):
        n_samples = len(sequences)
        if sample_weight is not None and _num_samples(sample_weight) != n_samples:
            raise ValueError(
                f"sample_weight has {_num_samples(sample_weight)} entries, X has {n_samples} "
                "sequences."
            )
        weights = _check_sample_weight(
            sample_weight, sequences, dtype=np.float64, ensure_non_negative=True
        )
        return np.repeat(weights, sequences.lengths)
    rows = sequences.rows_by_step(sample_weight, "sample_weight")
    return _check_sample_weight(rows, rows, dtype=np.float64, ensure_non_negative=True)


def _is_flat(sample_weight: Any) -> bool:
    try:
        array = np.asarray(sample_weight)
    except ValueError:  # arrays of different lengths
        return False
    return array.ndim < 2 and array.dtype != object
