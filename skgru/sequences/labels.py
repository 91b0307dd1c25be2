"""Labels of sequences or of time steps: missing ones, their common type, and padding."""

from math import prod
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from skgru.sequences.values import LARGEST_EXACT, common_array, short


def missing_labels(y: np.ndarray) -> np.ndarray:
    """Find the rows that are missing: NaN, NaT, NA or None in all columns.

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
    missing = missing_values(y).reshape(len(y), prod(y.shape[1:]))
    parts = np.flatnonzero(missing.any(axis=1) & ~missing.all(axis=1))
    if len(parts):
        raise ValueError(
            f"y has a step of which some outputs are missing and others are not: "
            f"{short(y[parts[0]])}. Either all outputs of a step must be missing, or none."
        )
    return missing.all(axis=1)


def missing_values(y: np.ndarray) -> np.ndarray:
    """Return a mask of the values that are NaN, NaT, NA or None."""
    match y.dtype.kind:
        case "O":
            # no ufunc, which would warn of NaN on some platforms
            return np.fromiter(map(_is_missing, y.flat), bool, y.size).reshape(y.shape)
        case "f" | "c":
            return np.isnan(y)
        case "m" | "M":
            return np.isnat(y)
    return np.zeros(y.shape, dtype=bool)


def _is_missing(value: Any) -> bool:
    # pandas.NA refuses comparisons
    if value is None or type(value).__name__ in ("NAType", "NaTType", "MaskedConstant"):
        return True
    return isinstance(value, float | np.generic) and bool(value != value)


def known_labels(y: np.ndarray, known: np.ndarray | EllipsisType) -> np.ndarray:
    """Take the known rows; object arrays, which missing rows need, become plain labels again.

    They stay objects if they have no common type, such as 1 and "a".
    """
    y = y[known]
    return common_array(y.ravel().tolist()).reshape(y.shape) if y.dtype == object else y


def padding_of(values: np.ndarray) -> tuple[DTypeLike, Any]:
    """Return a dtype that holds values beside a mark for missing ones, and that mark.

    Numbers that float64 holds exactly are marked by NaN, dates and durations by NaT. All other
    values, among them booleans and integers above 2**53, stay what they are beside None.
    """
    kind = values.dtype.kind
    if kind in "fcmM":
        return values.dtype, np.array("NaT", values.dtype) if kind in "mM" else np.nan
    if kind in "iu":
        largest = max(abs(int(values.max())), abs(int(values.min()))) if values.size else 0
        if largest <= LARGEST_EXACT:
            return np.result_type(values.dtype, np.float16), np.nan
    return object, None
