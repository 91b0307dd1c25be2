"""What a network is fitted to: a row of numbers and a weight for each sequence, or each step."""

from dataclasses import dataclass
from math import prod
from types import EllipsisType
from typing import Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight, _num_samples

from skgru.sequences import Sequences, Span


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets of sequences, or of all their time steps.

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
        """Rows that belong to these sample indices."""
        return samples if self.sequences is None else self.sequences.rows(samples)

    def of_samples(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Targets and weights of sequences."""
        return self.y[samples], self.weights[samples]

    def of_steps(self, span: Span) -> tuple[np.ndarray, np.ndarray]:
        """Targets and weights of packed time steps."""
        return span.pack(self.y).x, span.pack(self.weights[:, np.newaxis]).x[:, 0]

    def sample_weights(self) -> np.ndarray:
        """Sum of the weights of each sequence."""
        if self.sequences is None:
            return self.weights
        return np.add.reduceat(self.weights, self.sequences.starts)


def missing_labels(y: np.ndarray) -> np.ndarray:
    """Say which rows are NaN or None: all of a row, or nothing of it.

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
    """Take the rows that are known; what missing ones made objects of are plain labels again."""
    return np.array(y[known].tolist()) if y.dtype == object else y[known]


def step_weights(sample_weight: Any, sequences: Sequences) -> np.ndarray:
    """Weight of every time step, given one a sequence or one a step.

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
