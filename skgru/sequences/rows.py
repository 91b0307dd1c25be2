"""Time steps as the rows of a table: numbers, strings, categories, or data frames of them.

`check_sequences` makes numbers of X. Transformers of rows also take strings and categories, and
columns by name, which `check_rows` leaves as they are.
"""

import sys
from dataclasses import replace
from typing import Any

import numpy as np

from skgru.sequences.containers import read
from skgru.sequences.forms import Sequences, check_finite, sequences_of
from skgru.sequences.names import check_columns, columns_of, labels_of_row
from skgru.sequences.values import numbers, short

# library, labels and kinds of the columns of rows; see `columns_of_rows`
Columns = tuple[str | None, list[Any] | None, list[str | None]]

NUMBERS, STRINGS = "numbers", "strings"


def check_rows(X: Any, *, n_channels: int = 1, caller: str = "skgru") -> Sequences:
    """Validate X in any of its forms, and keep strings, categories, names and dtypes.

    Parameters
    ----------
    X : array-like
        As in `check_sequences`; values may also be strings, and those of data frames categories.
    n_channels : int, default=1
        How a two-dimensional X unfolds.
    caller : str
        Who asks, for the messages.

    Returns
    -------
    Sequences
        Its `values` are an array of floating-point numbers, as of `check_sequences`. If there are
        strings, they are an array of objects. If X is a list of data frames of pandas or polars
        that have names, strings or categories, they are one such data frame.

    Raises
    ------
    ValueError, TypeError
        As in `check_sequences`, with NaN allowed; and if a channel holds strings beside numbers.
    """
    frames = _frames(X)
    if frames is not None and not all(map(_holds_numbers, frames)):
        sequences = _of_frames(frames)
    else:
        read_x = read(X, "X")
        has_strings = any(map(_is_text, read_x if isinstance(read_x, list) else [read_x]))
        dtype = object if has_strings else None
        sequences = sequences_of(X, read_x, n_channels=n_channels, dtype=dtype, caller=caller)
        if not has_strings:
            check_finite(sequences, True, caller)
            if frames is None or not all(isinstance(c, str) for c in columns_of(frames[0])):
                return sequences
            return replace(sequences, values=_named(sequences.values, frames))
    _check_infinite(sequences, caller)
    return sequences


def columns_of_rows(values: Any) -> Columns | None:
    """Describe the columns of rows, to compare others with them.

    Returns
    -------
    tuple or None
        "pandas" or "polars" and the labels of the columns, or None and None of an array; and of
        each column "numbers", "strings", or None if all its values are missing. None of an array
        of numbers.

    Raises
    ------
    ValueError, TypeError
        If a column holds strings beside numbers, or anything else.
    """
    library = _library(values)
    if library is None and values.dtype != object:
        return None
    labels = None if library is None else list(values.columns)
    return library, labels, [_kind(c, _name(values, j)) for j, c in enumerate(_columns(values))]


def rows_like(values: Any, fitted: Columns | None, caller: str) -> Any:
    """Return rows in the container that `fit` has seen: an array, or a data frame with its labels.

    Parameters
    ----------
    values : ndarray or data frame
        Rows with as many columns as in `fit`.
    fitted : tuple or None
        What `columns_of_rows` said in `fit`.
    caller : str
        Who asks, for the messages.

    Raises
    ------
    ValueError
        If a column holds strings, and numbers in `fit`, or the other way round.
    """
    is_frame = _library(values) is not None
    if fitted is None and not is_frame and values.dtype != object:
        return values
    library, labels, kinds = fitted or (None, None, [NUMBERS] * values.shape[1])
    holds_numbers = _holds_numbers(values) if is_frame else values.dtype != object
    compared = () if holds_numbers and STRINGS not in kinds else _columns(values)
    missing = []
    for j, (column, kind) in enumerate(zip(compared, kinds, strict=False)):
        name = _name(values, j)
        own = _kind(column, name)
        if own is None and kind == STRINGS:
            missing.append(j)
        if None not in (own, kind) and own != kind:
            raise ValueError(
                f"{name} holds {own}, but {kind} when {caller} was fitted. Convert its values, or "
                "fit again."
            )
    if library is not None:
        if is_frame:
            return _missing_strings(values, missing)
        return _as_frame(values, library, labels, kinds)
    array = read(values, "X")
    if fitted is not None:
        return array.astype(object)
    array = numbers(array, "X")
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def as_row(x_t: Any, fitted: Columns) -> np.ndarray:
    """Return a time step that holds strings as an array of objects.

    Raises
    ------
    ValueError
        If it is a data frame of other columns than `fitted`, or a Series of other labels.
    """
    labels = labels_of_row(x_t)
    if labels is not None and fitted[1] is not None and labels != fitted[1]:
        raise ValueError(f"x_t has the columns {short(labels)}; expected {short(fitted[1])}.")
    return read_row(x_t).astype(object)


def read_row(x_t: Any) -> np.ndarray:
    """Return a time step as an array; a list of arrays, one per stream, becomes one of objects."""
    data = read(x_t, "x_t")
    if not isinstance(data, list):
        return data
    if len({item.shape for item in data}) > 1:
        raise ValueError("x_t is ragged; expected one value for each stream and channel.")
    return np.stack([item.astype(object) for item in data])


def first_like_numbers(values: Any) -> str | None:
    """Name the first column whose strings or categories are all numbers, such as "1.5"."""
    if _library(values) is None and values.dtype != object:
        return None
    for j, column in enumerate(_columns(values)):
        categories = _categories(column)
        if categories is None and _kind(column, "") != STRINGS:
            continue
        array = read(column if categories is None else categories, "X").ravel()
        known = [value for value in array if value is not None and value == value]
        if known and all(map(_is_number, known)):
            return _name(values, j)
    return None


# ---- data frames ---------------------------------------------------------------------------------


def _library(data: Any) -> str | None:
    """Return the library of a data frame that transformers of rows know, otherwise None."""
    for name in ("pandas", "polars"):
        module = sys.modules.get(name)
        if module is not None and isinstance(data, getattr(module, "DataFrame", ())):
            return name
    return None


def _frames(X: Any) -> list[Any] | None:
    """Return the data frames of a list of them, if all are of one library; otherwise None."""
    if not isinstance(X, list | tuple) and not (getattr(X, "ndim", 0) == 1 and X.dtype == object):
        return None
    library = _library(next(iter(X), None))
    return list(X) if library and all(_library(frame) == library for frame in X) else None


def _columns(values: Any) -> list[Any]:
    if isinstance(values, np.ndarray):
        return list(values.T)
    if _library(values) == "polars":
        return values.get_columns()
    return [values.iloc[:, j] for j in range(values.shape[1])]


def _name(values: Any, j: int) -> str:
    """Name a column in messages."""
    label = "" if isinstance(values, np.ndarray) else f" ({short(values.columns[j])})"
    return f"Channel {j}{label} of X"


def _holds_numbers(frame: Any) -> bool:
    """Return whether all dtypes of a data frame are those of numbers or booleans."""
    if _library(frame) == "polars":
        return all(dtype.is_numeric() or str(dtype) == "Boolean" for dtype in frame.dtypes)
    return all(
        not hasattr(dtype, "categories") and getattr(dtype, "kind", "O") in "biufc"
        for dtype in frame.dtypes
    )


def _categories(column: Any) -> Any:
    """Return the categories of a column of pandas that has them, otherwise None.

    Those of polars are always strings, and its columns are read as such.
    """
    is_polars = type(column).__module__.startswith("polars")
    return None if is_polars else getattr(column.dtype, "categories", None)


def _of_frames(frames: list[Any]) -> Sequences:
    """Put data frames of any columns below each other."""
    check_columns(frames)
    widths = [frame.shape[1] for frame in frames]
    for i, frame in enumerate(frames):
        if 0 in frame.shape:
            raise ValueError(
                f"X[{i}] is empty (shape {frame.shape}); a sequence needs at least one time step."
            )
        if widths[i] != widths[0]:
            raise ValueError(f"X[{i}] has {widths[i]} channels, X[0] has {widths[0]}.")
    lengths = np.array([len(frame) for frame in frames], dtype=np.intp)
    return Sequences(_concatenated(frames), lengths, lengths.max(), "list")


def _concatenated(frames: list[Any]) -> Any:
    """Concatenate data frames of equal columns; dtypes may differ if they mean the same."""
    first = frames[0]
    odd = [frame for frame in frames if list(frame.dtypes) != list(first.dtypes)]
    for j, column in enumerate(_columns(first)) if odd else ():
        kinds = {_kind(c, _name(first, j)) for c in [column, *(_columns(f)[j] for f in odd)]}
        if {NUMBERS, STRINGS} <= kinds:
            raise ValueError(
                f"{_name(first, j)} holds numbers in some sequences and strings in others; "
                "convert it to one of them."
            )
    if _library(first) == "polars":
        import polars

        try:
            return polars.concat(frames, how="vertical_relaxed")
        except polars.exceptions.PolarsError as error:
            raise ValueError(
                f"The data frames of X have dtypes that polars cannot combine: {str(error)[:200]}"
            ) from error
    import pandas

    if not odd:
        return pandas.concat(frames, ignore_index=True)
    columns = [
        _joined_series([frame.iloc[:, j] for frame in frames], _name(first, j))
        for j in range(first.shape[1])
    ]
    return pandas.concat(columns, axis=1)


def _joined_series(parts: list[Any], name: str) -> Any:
    """Concatenate columns of pandas; categories become their union."""
    import pandas
    from pandas.api.types import union_categoricals

    dtypes = list(dict.fromkeys(part.dtype for part in parts))
    if len(dtypes) > 1 and all(hasattr(dtype, "categories") for dtype in dtypes):
        try:
            return pandas.Series(union_categoricals(parts), name=parts[0].name)
        except TypeError as error:
            raise ValueError(
                f"{name} has categories that differ between sequences and cannot be combined: "
                f"{str(error)[:150]} Give all sequences the same categories."
            ) from error
    if len(dtypes) > 1 and not all(getattr(dtype, "kind", "O") in "biuf" for dtype in dtypes):
        parts = [part.astype(object) for part in parts]
    return pandas.concat(parts, ignore_index=True)


def _missing_strings(frame: Any, positions: list[int]) -> Any:
    """Give columns that hold nothing the dtype of strings: transformers of these look at it."""
    if not positions:
        return frame
    if _library(frame) == "polars":
        import polars

        names = [frame.columns[j] for j in positions]
        return frame.with_columns(polars.col(names).cast(polars.String))
    frame = frame.copy(deep=False)
    for j in positions:
        frame.isetitem(j, frame.iloc[:, j].astype(object))
    return frame


def _named(values: np.ndarray, frames: list[Any]) -> Any:
    """Return numbers with the names of their columns, and their dtypes."""
    labels, library = list(frames[0].columns), _library(frames[0])
    dtypes = {dtype for frame in frames for dtype in set(frame.dtypes)}
    if len(dtypes) == 1 and str(*dtypes).lower() == values.dtype.name:
        return _as_frame(values, library, labels, [NUMBERS] * len(labels))
    return _concatenated(frames)


def _as_frame(values: np.ndarray, library: str, labels: list[Any], kinds: list[str | None]) -> Any:
    """Make a data frame of an array."""
    columns = list(values.T)
    if values.dtype == object:
        for j, kind in enumerate(kinds):
            if kind == NUMBERS:
                columns[j] = numbers(columns[j], f"Channel {j} of X")
    if library == "polars":
        import polars

        if values.dtype == object:
            columns = [c if c.dtype != object else [_or_none(v) for v in c] for c in columns]
        return polars.DataFrame(dict(zip(labels, columns, strict=True)))
    import pandas

    if values.dtype != object:
        return pandas.DataFrame(values, columns=labels, copy=False)
    frame = pandas.DataFrame(dict(enumerate(columns)))
    frame.columns = labels
    return frame


def _or_none(value: Any) -> Any:
    return value if isinstance(value, str) else None


# ---- values --------------------------------------------------------------------------------------


def _is_text(array: np.ndarray) -> bool:
    if array.dtype.kind == "U":
        return True
    return array.dtype == object and any(issubclass(cls, str) for cls in set(map(type, array.flat)))


def _kind(column: Any, name: str) -> str | None:
    """Return what a column holds: "numbers", "strings", or None if all its values are missing."""
    categories = _categories(column)
    array = read(column if categories is None else categories, name)
    if isinstance(array, list) or array.ndim != 1:
        raise ValueError(f"{name} holds arrays; a channel has one value per time step.")
    if not _is_text(array):
        values = numbers(array, name)
        return NUMBERS if values.dtype.kind != "f" or not np.isnan(values).all() else None
    for value in array:
        is_missing = value is None or type(value).__name__ == "NAType" or value != value
        if not (isinstance(value, str) or is_missing):
            raise ValueError(
                f"{name} holds strings beside {short(value)} of type {type(value).__name__}; "
                "convert all its values to strings, or to numbers."
            )
    return STRINGS


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _check_infinite(sequences: Sequences, caller: str) -> None:
    """Raise ValueError for the first infinite number of columns of any kind."""
    floats = np.zeros((len(sequences.values), sequences.n_channels))
    for j, column in enumerate(_columns(sequences.values)):
        name = _name(sequences.values, j)
        if _kind(column, name) == NUMBERS and _categories(column) is None:
            floats[:, j] = numbers(read(column, name), name)
    check_finite(replace(sequences, values=floats), True, caller)
