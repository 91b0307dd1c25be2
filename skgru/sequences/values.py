"""Values of arrays that `read` has made: numbers, objects, and their common type."""

import datetime
import reprlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

# float64 holds all integers up to this one; arrays are compared with it as np.float64, because a
# comparison in float16 overflows
LARGEST_EXACT = 2**53

OF_TEXTS = " skgru.preprocessing.TokenEncoder makes codes of texts and of lists of tokens."
_DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
NUMBERS = {"bool", "int", "float"}
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 60


def short(value: Any) -> str:
    """Return a repr of at most about 100 characters, for messages."""
    if isinstance(value, np.ndarray):
        value = value.ravel()[:7].tolist() if value.ndim else value.item()
    text = _REPR.repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def type_name(value: Any) -> str:
    """Return the name of a type with its package, as `polars.LazyFrame`."""
    cls = type(value)
    package = cls.__module__.split(".")[0]
    return cls.__qualname__ if package == "builtins" else f"{package}.{cls.__qualname__}"


def numbers(array: np.ndarray, name: str) -> np.ndarray:
    """Return an array of booleans, integers or floating-point numbers with the same values.

    Parameters
    ----------
    array : ndarray
        As `read` returns it. None and NA become NaN.
    name : str
        Of the array, for messages.

    Raises
    ------
    ValueError
        If the array holds strings or complex numbers.
    TypeError
        If it holds dates, durations or other objects that are not numbers.
    """
    kind = array.dtype.kind
    if kind in "biuf":
        return array
    if kind in "mM":
        raise TypeError(_dates_message(name, f"has dtype {array.dtype}"))
    if kind == "c":
        raise ValueError(f"Complex data not supported: {name} has dtype {array.dtype}.")
    if kind in "SUV":
        raise ValueError(_strings_message(name, f"has dtype {array.dtype}"))
    flat = array.ravel()
    types = set(map(type, flat))
    for cls in types:
        if cls is type(np.ma.masked):
            raise ValueError(f"{name} holds masked values; impute them.")
        if issubclass(cls, (*_DATES, str, bytes)) or cls.__name__ == "NaTType":
            example = short(next(value for value in flat if type(value) is cls))
            message = _strings_message if issubclass(cls, str | bytes) else _dates_message
            error = ValueError if issubclass(cls, str | bytes) else TypeError
            raise error(message(name, f"holds {example} of type {cls.__name__}"))
    try:
        # objects that refuse a comparison, such as pandas.NA, are told by the name of their type
        if any(cls.__name__ == "NAType" for cls in types):
            flat = objects([None if type(v).__name__ == "NAType" else v for v in flat])
        return flat.astype(np.float64).reshape(array.shape)
    except OverflowError:
        return np.array([_to_float(value) for value in flat]).reshape(array.shape)
    except Exception as error:
        cls = ValueError if isinstance(error, ValueError) else TypeError
        raise cls(f"{name} holds objects that are not numbers: {str(error)[:150]}") from error


def is_array_of_numbers(data: Any) -> bool:
    """Return whether data are a plain array of numbers, not masked, of at least one dimension."""
    return type(data) is np.ndarray and data.dtype.kind in "biuf" and data.ndim > 0


def objects(values: Any) -> np.ndarray:
    """Return a one-dimensional object array of values, each as it is."""
    array = np.empty(len(values), dtype=object)
    array[:] = values if isinstance(values, list) else list(values)
    return array


def joined(items: list[np.ndarray]) -> np.ndarray:
    """Concatenate arrays, as objects if no dtype holds the values of all of them."""
    kinds = {item.dtype.kind for item in items}
    if len(kinds) == 1:
        return np.concatenate(items)
    if kinds <= set("biuf") and not would_round(items):
        return np.concatenate(items)
    return np.concatenate([as_objects(item) for item in items])


def common_array(values: list[Any]) -> np.ndarray:
    """Return objects as an array of their common type; of dtype object if they have none."""
    kinds = {kind_of(cls) for cls in set(map(type, values))}
    if len(kinds) <= 1 or kinds <= NUMBERS:
        array = np.array(values)
        # not of tuples, of which NumPy makes another dimension
        if array.shape == (len(values),) and not rounded(array, values):
            return array
    return objects(values)


def rounded(array: np.ndarray, values: Iterable[Any]) -> bool:
    """Return whether NumPy has made floats of integers that no float equals."""
    return (
        array.dtype.kind == "f"
        and bool((abs(array) >= np.float64(LARGEST_EXACT)).any())  # the next integer becomes it
        and any(isinstance(v, int | np.integer) and abs(int(v)) > LARGEST_EXACT for v in values)
    )


def as_objects(array: np.ndarray) -> np.ndarray:
    """Return an object array of the values; `astype` would make integers of dates in ns."""
    if array.dtype == object:
        return array.copy()
    flat = array.ravel()
    values = list(flat) if array.dtype.kind in "mM" else flat.tolist()
    return objects(values).reshape(array.shape)


def kind_of(cls: type) -> str:
    """Return a name for types whose values NumPy can put into one array without changing them."""
    if issubclass(cls, bool | np.bool_):
        return "bool"
    if issubclass(cls, np.timedelta64):
        return "duration"
    if issubclass(cls, int | np.integer):
        return "int"
    if issubclass(cls, float | np.floating):
        return "float"
    if issubclass(cls, str):
        return "str"
    return cls.__name__


def would_round(arrays: Sequence[Any]) -> bool:
    """Return whether integers would become floats that may not equal them if arrays were joined."""
    together = np.result_type(*{array.dtype for array in arrays})
    return together.kind == "f" and any(_exceeds_float64(np.asarray(array)) for array in arrays)


def _exceeds_float64(item: np.ndarray) -> bool:
    integers = item.dtype.kind in "iu" and item.size
    return bool(integers) and max(int(item.max()), -int(item.min())) > LARGEST_EXACT


def _to_float(value: Any) -> float:
    try:
        return float(value) if value is not None else np.nan
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def _dates_message(name: str, what: str) -> str:
    return (
        f"{name} {what}: dates and durations are not numbers. Convert them, for instance to "
        "seconds with (t - t[0]) / np.timedelta64(1, 's')."
    )


def _strings_message(name: str, what: str) -> str:
    return (
        f"could not convert string to float: {name} {what}; arrays of bytes/strings are not "
        f"numeric. Convert them to numbers explicitly.{OF_TEXTS if name.startswith('X') else ''}"
    )
