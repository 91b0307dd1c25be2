"""Targets as rows, whatever their form, and what may transform them."""

from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array, check_consistent_length

from skgru._sklearn import _check_sample_weight
from skgru.sequences import check_sequences, numbers, ragged_items, read

MAX_CHECKED = 1000  # values of y that a transformer is tried on


class Rows:
    """Targets as rows, and the form that they came in.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_targets)
    known : ndarray of bool, shape (n_rows,)
        Which of them are targets: not missing, and not after the end of a sequence.
    shape : tuple of int
        Of y, or of all items of a list one after the other.
    ends : ndarray of int, default=None
        Where to split the rows, if y was a list.
    by_step : bool, default=True
        Whether rows are time steps.
    """

    values: np.ndarray
    known: np.ndarray
    shape: tuple[Any, ...]
    ends: np.ndarray | None

    def __init__(
        self,
        values: np.ndarray,
        known: np.ndarray,
        shape: tuple[int, ...],
        ends: np.ndarray | None = None,
        *,
        by_step: bool = True,
    ) -> None:
        self.values, self.known, self.shape, self.ends = values, known, shape, ends
        self.by_step = by_step

    def in_form_of_y(self, known: np.ndarray) -> np.ndarray | list[np.ndarray]:
        """Return new values of the known rows in the form of y, the others NaN."""
        if self.known.all():
            new = known.reshape(self.shape)
        else:
            new = np.full(self.values.shape, np.nan)
            new[self.known] = known
            new = new.reshape(self.shape)
        return new if self.ends is None else np.split(new, self.ends)

    def weights(self, sample_weight: ArrayLike) -> np.ndarray:
        """Return a weight for each row, given one for each sample or for each row."""
        if isinstance(sample_weight, Number):
            return np.full(len(self.values), float(sample_weight))
        items = read(sample_weight, "sample_weight")
        is_list = isinstance(items, list)
        weights = numbers(np.concatenate(items) if is_list else items, "sample_weight")
        if not self.by_step:
            return _check_sample_weight(weights, self.values)
        if is_list or weights.ndim > 1 or len(weights) == len(self.values):
            return weights.reshape(len(self.values))
        if self.ends is None:
            return np.repeat(weights, self.shape[1])
        return np.repeat(weights, np.diff(self.ends, prepend=0, append=len(self.values)))


def read_rows(X: Any, y: ArrayLike, name: str, *, by_step: bool, caller: str) -> Rows:
    """Return y as a row for each sample, or for each time step.

    Parameters
    ----------
    X : array-like
        Sequences that y belongs to, which say where they end.
    y : array-like
    name : str
        Of y, for messages.
    by_step : bool
        Whether every time step has a target.
    caller : str
        For messages.
    """
    data = read(y, name, masked_as_missing=by_step)
    if not by_step:
        if not isinstance(data, list):
            data = numbers(data, name)
        y = check_array(
            data, ensure_2d=False, allow_nd=True, dtype=[np.float64, np.float32], input_name=name,
            estimator=caller,
        )  # fmt: skip
        if y.ndim > 2:
            raise ValueError(
                f"{name} has shape {y.shape}; expected (n_samples,) or (n_samples, n_outputs). "
                "Targets of every time step need return_sequences=True."
            )
        return Rows(y.reshape(len(y), -1), np.ones(len(y), dtype=bool), y.shape, by_step=False)
    if not isinstance(data, list):
        array = numbers(data, name).astype(float)
        if array.ndim not in (2, 3):
            raise ValueError(
                f"{name} has shape {array.shape}; with return_sequences=True it needs an entry "
                "for each time step."
            )
        values = array.reshape(-1, *array.shape[2:])
        values = values.reshape(len(values), -1)
        present = np.ones(array.shape[:2], dtype=bool)
        if ragged_items(X, "X") is not None or np.ndim(X) != 2:
            check_consistent_length(X, array)
            # what stands in y after the end of a sequence is no target
            lengths = check_sequences(X, allow_nan=True).lengths[:, np.newaxis]
            present = np.arange(array.shape[1]) < lengths
        known = present.ravel() & ~np.isnan(values).any(axis=1)
        return Rows(values, known, array.shape)
    items = [numbers(item, name).astype(float) for item in data]
    values = np.concatenate(items)
    shape, values = values.shape, values.reshape(len(values), -1)
    ends = np.cumsum([len(item) for item in items])[:-1]
    return Rows(values, ~np.isnan(values).any(axis=1), shape, ends)


def check_increasing(transformer: Any, y: np.ndarray) -> None:
    """Raise ValueError for a transformer that is not increasing, column by column, and back."""
    rows = np.linspace(0, len(y) - 1, min(len(y), MAX_CHECKED)).astype(int)
    y = np.sort(y, axis=0)[rows]
    name = type(transformer).__name__
    with np.errstate(all="ignore"):
        z = np.asarray(transformer.transform(y))
        if z.shape != y.shape or not np.isfinite(z).all():
            raise ValueError(
                f"{name} makes {z.shape[1:]} values or NaN out of {y.shape[1:]} targets; expected "
                "a transformation of single columns."
            )
        if (np.diff(z, axis=0) < 0).any():
            raise ValueError(
                f"{name} is not increasing: it would turn quantiles round. Only an increasing "
                "transformation of single columns can be undone in every prediction."
            )
        # each column in another order: what mixes columns, or depends on the other rows, differs
        shifts = [np.roll(np.arange(len(y)), i * (len(y) // 3 + 1)) for i in range(y.shape[1])]
        shuffled = np.column_stack([y[s, i] for i, s in enumerate(shifts)])
        expected = np.column_stack([z[s, i] for i, s in enumerate(shifts)])
        span = np.ptp(z, axis=0) + np.finfo(np.float32).eps * np.abs(z).max(axis=0)
        if (np.abs(transformer.transform(shuffled) - expected) > 1e-3 * span).any():
            raise ValueError(
                f"{name} mixes the columns of y, or its rows; expected a transformation of single "
                "columns, such as StandardScaler."
            )
        back = np.asarray(transformer.inverse_transform(z))
        size = np.ptp(y, axis=0) + np.finfo(np.float32).eps * np.abs(y).max(axis=0)
        if not (np.abs(back - y) <= 1e-3 * size).all():
            raise ValueError(f"inverse_transform of {name} does not undo its transform of y.")
        # predictions may lie beyond y
        beyond = z.min(axis=0) + np.linspace(-0.5, 1.5, 201)[:, np.newaxis] * span
        undone = np.asarray(transformer.inverse_transform(beyond))
        if (np.diff(undone, axis=0) < -1e-6 * size).any():
            raise ValueError(
                f"inverse_transform of {name} is not increasing a little beyond the values of y, "
                "where predictions may lie. Let it be constant there: np.maximum(z, 0) ** 2 "
                "instead of z ** 2."
            )
