"""Validation of time steps and states that come in."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import log10
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from sklearn.utils import check_array

from skgru.sequences import numbers, read, short
from skgru.sequences.names import labels_of_row

MaskedArray = np.ma.MaskedArray  # each step asks for it


def check_n_streams(n_streams: int) -> int:
    """Return the number of streams if it is a positive integer; raise ValueError otherwise."""
    if not isinstance(n_streams, Integral) or isinstance(n_streams, bool) or n_streams < 1:
        raise ValueError(f"n_streams must be an integer >= 1, got {short(n_streams)}.")
    return int(n_streams)


@contextmanager
def memory_for(n_streams: int) -> Iterator[None]:
    """Raise ValueError if the block finds no memory for so many streams."""
    try:
        yield
    except (MemoryError, OverflowError) as error:
        if n_streams == 1:
            raise
        raise ValueError(
            f"n_streams, about 10^{log10(n_streams):.1f}, is too large: the states of so many "
            "sequences do not fit into memory."
        ) from error


def check_state(
    state: ArrayLike, shape: tuple[int, int], dtype: DTypeLike, *, allow_nan: bool = False
) -> np.ndarray:
    """Validate states that are set from outside."""
    with np.errstate(over="ignore"):  # too large for the dtype is infinite, and refused
        state = check_array(
            state, dtype=dtype, order="C", ensure_2d=False, allow_nd=True, input_name="state",
            estimator="Stream", ensure_all_finite="allow-nan" if allow_nan else True,
        )  # fmt: skip
    if state.shape != shape:
        raise ValueError(f"state has shape {state.shape}; expected {shape}.")
    return state


def in_shape(x: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a time step in the shape (n_streams, n_channels); raise ValueError if it has another.

    That of one stream may have a single dimension.
    """
    found = np.shape(x)
    if found != shape and not (shape[0] == 1 and found == shape[1:]):
        one = f" or {shape[1:]}" if shape[0] == 1 else ""
        raise ValueError(f"x_t has shape {found}; expected {shape}{one}.")
    return x.reshape(shape)


def check_finite(x: np.ndarray, *, allow_nan: bool, channels: list[int] | None = None) -> None:
    """Raise for the first value that is infinite, or NaN.

    `channels` are the numbers of the columns of x among those of a time step, if x lacks some.
    """
    bad = np.isinf(x) if allow_nan else ~np.isfinite(x)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        isnan = np.isnan(x[row, column])
        channel = column if channels is None else channels[column]
        what = "NaN" if isnan else f"infinity or a value too large for {x.dtype}"
        raise ValueError(f"x_t contains {what}: stream {row}, channel {channel}.")


def indices(streams: int | Iterable[int] | None) -> Any:
    """Return which rows of a state are meant."""
    if streams is None:
        return slice(None)
    return streams if isinstance(streams, Integral) else list(streams)


def unmasked(x_t: ArrayLike) -> ArrayLike:
    """Return a time step; raise ValueError, as `predict` does, if it has masked values."""
    return read(x_t, "x_t") if isinstance(x_t, MaskedArray) else x_t


def refuse_names(x_t: ArrayLike) -> None:
    """Raise ValueError if a time step has names: a stream knows channels by their position."""
    names = labels_of_row(x_t)
    if names is not None and any(isinstance(name, str) for name in names):
        what = "a data frame with the columns" if np.ndim(x_t) == 2 else "a Series with the labels"
        raise ValueError(
            f"x_t is {what} {short(names)}, and a stream reads channels by their position. Pass "
            "them in the order of fit: x_t[columns].to_numpy()."
        )


def to_floats(x_t: ArrayLike) -> np.ndarray:
    """Convert numbers of another type to float64, as `predict` does."""
    x = np.asarray(unmasked(x_t))
    if not isinstance(x_t, list | tuple):
        refuse_names(x_t)
    elif x.ndim == 2:
        for row in x_t:
            unmasked(row)
    return numbers(x, "x_t").astype(np.float64)
