"""Targets: a row of numbers and a weight for each sequence, or for each time step."""

from dataclasses import dataclass
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_consistent_length

from skgru._sklearn import _check_sample_weight
from skgru.sequences.containers import read
from skgru.sequences.forms import Sequences
from skgru.sequences.labels import known_labels, missing_labels, missing_values
from skgru.sequences.packing import Span
from skgru.sequences.values import numbers, short


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets of sequences, or of all their time steps, as the loss takes them.

    Attributes
    ----------
    y : ndarray of shape (n_rows, k), C-contiguous
        In the dtype of the network; classes as 0, 1, ….
    weights : ndarray of shape (n_rows,), float64
        0 where a label is missing. A power of two is taken out, so that the largest weight is
        between 1 and 2, and neither sums nor products overflow or vanish.
    sequences : Sequences or None
        Those whose time steps have a row each; None if each sequence has one.
    exponent : int, default=0
        Of this power of two.
    """

    y: np.ndarray
    weights: np.ndarray
    sequences: Sequences | None
    exponent: int = 0

    def __len__(self) -> int:
        return len(self.y if self.sequences is None else self.sequences)

    def rows(self, samples: np.ndarray) -> np.ndarray:
        """Return the rows that belong to these samples."""
        return samples if self.sequences is None else self.sequences.rows(samples)

    def of_samples(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return targets and weights of these samples, one row per sequence."""
        return self.y.take(samples, axis=0), self.weights.take(samples)

    def of_steps(self, span: Span) -> tuple[np.ndarray, np.ndarray]:
        """Return targets and weights of packed time steps."""
        return span.pack(self.y).x, span.pack(self.weights[:, np.newaxis]).x[:, 0]

    def sample_weights(self) -> np.ndarray:
        """Return the sum of the weights of each sequence."""
        if self.sequences is None:
            return self.weights
        return np.add.reduceat(self.weights, self.sequences.starts)


class Examples(NamedTuple):
    """Sequences of a shard with their targets.

    Attributes
    ----------
    sequences : Sequences
        All that there are.
    span : Span
        Those of the shard.
    targets : Targets
    total : float
        Divisor of the weighted sum of losses.
    """

    sequences: Sequences
    span: Span
    targets: Targets
    total: float


@dataclass(frozen=True, eq=False)
class Aligned:
    """y and weights aligned with sequences, or with their time steps, before y is encoded.

    Attributes
    ----------
    rows : array-like
        What y says of each sequence, or of each time step that has a label.
    weights : ndarray of shape (n_rows,), float64
        Weights of all sequences or time steps, 0 where a label is missing; without a power of two,
        as in `Targets`.
    exponent : int
        Of this power of two.
    known : ndarray of bool, shape (n_rows,), or slice
        Which of them have a label.
    sequences : Sequences or None
        Those whose time steps have a row each; None if each sequence has one.
    """

    rows: Any
    weights: np.ndarray
    exponent: int
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
        weights, (factors, exponent) = self.weights.copy(), without_scale(factors)
        weights[self.known] *= factors
        weights, rest = without_scale(weights)
        exponent += rest + self.exponent
        if self.sequences is None:
            return Targets(numbers, weights, None, exponent)
        y = np.zeros((len(weights), numbers.shape[1]), dtype=numbers.dtype)
        y[self.known] = numbers
        return Targets(y, weights, self.sequences, exponent)


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
    TypeError
        If y or the weights are no array-like.
    """
    if not by_step:
        rows = _rows_of_sequences(y, sequences)
        weights, exponent = without_scale(sequence_weights(sample_weight, sequences))
        return Aligned(rows, weights, exponent, slice(None), None)
    rows = sequences.rows_by_step(y, "y", masked_as_missing=True)
    weights = step_weights(sample_weight, sequences)
    missing = missing_labels(rows)
    if missing.all():
        raise ValueError("All labels in y are missing (NaN or None).")
    weights[missing] = 0
    weights, exponent = without_scale(weights)
    return Aligned(known_labels(rows, ~missing), weights, exponent, ~missing, sequences)


def _rows_of_sequences(y: Any, sequences: Sequences) -> np.ndarray:
    """Return y as an array with a row for each sequence, none of them missing."""
    rows = read(y, "y")
    if isinstance(rows, list):
        if len({item.shape for item in rows}) > 1:
            raise ValueError(
                "y is a list of arrays of different lengths, while the estimator predicts once "
                "per sequence; for one label or number per time step, set return_sequences=True."
            )
        rows = np.stack([_as_known(item) for item in rows]) if len(rows) else np.empty(0)
    check_consistent_length(sequences.lengths, rows)
    return _as_known(rows)


def _as_known(rows: np.ndarray) -> np.ndarray:
    """Make plain labels of objects; strings stay objects, as scikit-learn leaves them."""
    if rows.dtype.kind in "OmM":
        missing = missing_values(rows)
        if missing.any():
            example = short(rows[missing][0])
            raise ValueError(
                f"Input y contains NaN or another missing value ({example}); only labels of time "
                "steps, with return_sequences=True, may be missing."
            )
    if rows.dtype != object or all(isinstance(value, str) for value in rows.flat):
        return rows
    return known_labels(rows, ...)


def sequence_weights(sample_weight: Any, sequences: Sequences) -> np.ndarray:
    """Return the weight of every sequence.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), float or None
    sequences : Sequences

    Returns
    -------
    ndarray of shape (n_samples,), float64
    """
    weights = sample_weight
    if not (weights is None or isinstance(weights, Number)):
        weights = read(weights, "sample_weight")
        if isinstance(weights, list):
            raise ValueError(
                "sample_weight is a list of arrays; without return_sequences=True, a sequence has "
                "one weight."
            )
        weights = numbers(weights, "sample_weight")
    return _checked_weights(weights, len(sequences))


def step_weights(sample_weight: Any, sequences: Sequences) -> np.ndarray:
    """Return the weight of every time step, given one per sequence or one per step.

    Parameters
    ----------
    sample_weight : array-like, float or None
        Of shape (n_samples,), or in a form that y may have.
    sequences : Sequences

    Returns
    -------
    ndarray of shape (sum of lengths,), float64
    """
    weights = sample_weight
    if not (weights is None or isinstance(weights, Number)):
        weights = read(weights, "sample_weight")
    if isinstance(weights, list) or np.ndim(weights) > 1:
        rows = numbers(sequences.rows_by_step(weights, "sample_weight"), "sample_weight")
        return _checked_weights(rows, len(rows))
    if isinstance(weights, np.ndarray):
        if len(weights) != len(sequences):
            raise ValueError(
                f"sample_weight has {len(weights)} entries, X has {len(sequences)} sequences."
            )
        weights = numbers(weights, "sample_weight")
    return np.repeat(_checked_weights(weights, len(sequences)), sequences.lengths)


def _checked_weights(weights: np.ndarray | Number | None, n_rows: int) -> np.ndarray:
    """Return finite weights of at least 0, one for each row."""
    # scikit-learn checks the numbers of an array, and not a single one
    if isinstance(weights, Number):
        weights = np.full(n_rows, numbers(np.array([weights]), "sample_weight")[0])
    return _check_sample_weight(
        weights, np.empty(n_rows), dtype=np.float64, ensure_non_negative=True, copy=True
    )


def without_scale(weights: np.ndarray | float) -> tuple[np.ndarray, int]:
    """Take a power of two out of weights, which is exact.

    Parameters
    ----------
    weights : ndarray or float

    Returns
    -------
    weights : ndarray
        The largest is between 1 and 2.
    exponent : int
        Of the power of two; ``np.ldexp(weights, exponent)`` are the given weights.
    """
    exponent = int(np.frexp(np.max(weights))[1]) - 1
    return np.ldexp(weights, -exponent), exponent
