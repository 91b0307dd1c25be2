"""Read X, y and weights of any container into NumPy arrays, or refuse them with the remedy.

Nothing is read as something else: masks and dates do not become numbers, strings are not parsed,
and integers that float64 cannot hold stay integers.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

import numpy as np
from scipy.sparse import issparse

from skgru.sequences.values import (
    LARGEST_EXACT,
    NUMBERS,
    as_objects,
    is_array_of_numbers,
    kind_of,
    objects,
    rounded,
    short,
    type_name,
    would_round,
)

_LISTS = (list, tuple)
_MAX_DEPTH = 64  # of NumPy's arrays


def read(data: Any, name: str, *, masked_as_missing: bool = False) -> np.ndarray | list[np.ndarray]:
    """Return data as one array, or as a list with one array per sequence if that is its form.

    Parameters
    ----------
    data : array-like
        An array, a data frame or a column of one, or nested lists or tuples of them. One
        dimension of arrays (a list, an object array, a Series) gives a list of arrays; nested
        lists of numbers do if their lengths differ.
    name : str
        Of the data, for messages.
    masked_as_missing : bool, default=False
        Whether masked values become missing ones, NaN, NaT or None. Otherwise they are refused.

    Returns
    -------
    ndarray or list of ndarray
        With at least one dimension. Of dtype object where values of several types have no common
        dtype that holds all of them exactly. A list is the data itself if these are a list of
        arrays of numbers, and never otherwise.

    Raises
    ------
    ValueError
        If values are masked, or if the data are ragged in another way.
    TypeError
        If the data are no array-like.
    """
    if not isinstance(data, _LISTS):
        array = _array(data, name, masked_as_missing)
        if array.ndim == 1 and array.dtype == object and any(map(_is_nested, array)):
            return _items(array, name, masked_as_missing)
        return array
    if not any(_is_array(item) for item in data):
        # nested lists of numbers are an array, unless their lengths differ
        array = _regular(data, name, masked_as_missing)
        if array is not None:
            return array
    return _items(data, name, masked_as_missing)


# ---- single arrays -------------------------------------------------------------------------------


def _array(data: Any, name: str, masked_as_missing: bool) -> np.ndarray:
    """Convert anything but lists."""
    if is_array_of_numbers(data):
        return data  # the usual case
    if isinstance(data, np.ma.MaskedArray):
        return _unmasked(data, name, masked_as_missing)
    if isinstance(data, np.matrix):
        raise TypeError(
            f"{name} is a numpy.matrix, which is not supported; use np.asarray({name})."
        )
    if issparse(data):
        raise TypeError(
            f"Sparse data was passed for {name}, but dense data is required. Use "
            f"'{name}.toarray()' to convert to a dense numpy array."
        )
    _refuse_other_containers(data, name)
    if not isinstance(data, np.ndarray) and (columns := _columns(data)) is not None:
        return _of_columns(columns, name, masked_as_missing)
    try:
        array = np.asarray(data)
    except Exception as error:  # of any class, as any library may have made the container
        raise TypeError(_not_an_array(data, name)) from error
    if array.ndim == 0:
        raise TypeError(_not_an_array(data, name))
    if array.dtype.kind == "T":
        return array.astype(object)
    if array.dtype.kind == "f" and not isinstance(data, np.ndarray):
        return _exact(data, array)
    return array


def _exact(data: Any, array: np.ndarray) -> np.ndarray:
    """Undo a conversion of large integers to floats, which columns with missing values undergo."""
    if array.ndim != 1 or not (np.abs(array) >= np.float64(LARGEST_EXACT)).any():
        return array
    for method in ("to_list", "to_pylist", "tolist"):
        if hasattr(data, method):
            values = getattr(data, method)()
            return objects(values) if any(isinstance(v, int) for v in values) else array
    return array


def _unmasked(data: np.ma.MaskedArray, name: str, masked_as_missing: bool) -> np.ndarray:
    mask = np.ma.getmaskarray(data)
    if not mask.any():
        return np.asarray(data)
    if not masked_as_missing:
        raise ValueError(
            f"{name} is a masked array with {int(mask.sum())} masked values, which would be read "
            f"as if they were not masked. Use {name}.filled(...) with values of your choice, or "
            "impute them."
        )
    array = np.asarray(data)
    if array.dtype.kind == "f":
        return np.where(mask, np.array(np.nan, dtype=array.dtype), array)
    array = as_objects(array)
    array[mask] = None
    return array


def _refuse_other_containers(data: Any, name: str) -> None:
    """Raise TypeError for containers that NumPy would take for a single object."""
    if type(data).__name__ in ("dict_keys", "dict_values", "dict_items"):
        remedy = f"pass an array or a list, such as list({name})"
    elif isinstance(data, Mapping):
        remedy = f"pass an array or a list, such as list({name}.values())"
    elif isinstance(data, Set) and not hasattr(data, "__array__"):
        remedy = "it has no order; pass an array or a list"
    elif isinstance(data, Iterator):
        remedy = f"pass an array or a list, such as list({name})"
    elif hasattr(data, "collect") and not hasattr(data, "__array__"):
        remedy = f"call {name}.collect() first"
    elif type(data).__name__ == "DuckDBPyRelation":
        remedy = f"call {name}.df() first"
    elif isinstance(data, str | bytes):
        remedy = "pass an array or a list"
    else:
        return
    raise TypeError(f"{name} is a {type_name(data)}, which is no array-like: {remedy}.")


def _not_an_array(data: Any, name: str) -> str:
    if np.isscalar(data) or isinstance(data, np.ndarray):
        return f"{name} is a single value ({short(data)}); expected an array or a list."
    if type(data).__module__.startswith("awkward"):
        return (
            f"{name} is an {type_name(data)} of lists of different lengths; pass a list of "
            f"arrays, such as [np.asarray(x) for x in {name}]."
        )
    remedy = f", such as [np.asarray(x) for x in {name}]" if isinstance(data, Iterable) else ""
    return (
        f"{name} is a {type_name(data)}, which is no array-like; pass an array or a list{remedy}."
    )


# ---- data frames ---------------------------------------------------------------------------------


def _columns(data: Any) -> list[tuple[Any, Any]] | None:
    """Return names and columns of a data frame that is no plain array, otherwise None."""
    if _is_of("pandas", "DataFrame", data):
        kinds = {d.kind if isinstance(d, np.dtype) else None for d in data.dtypes}
        if len(kinds) < 2 and kinds <= set("biuf"):
            return None
        columns = [data.iloc[:, i] for i in range(data.shape[1])]
        if kinds <= set("iuf") and not would_round(columns):
            return None
        return list(zip(data.columns, columns, strict=True))
    if _is_of("polars", "DataFrame", data):
        return list(zip(data.columns, data.get_columns(), strict=True))
    if _is_of("pyarrow", "Table", data) or _is_of("pyarrow", "RecordBatch", data):
        return list(zip(data.schema.names, data.columns, strict=True))
    return None


def _is_of(package: str, cls: str, data: Any) -> bool:
    module = sys.modules.get(package)
    return module is not None and isinstance(data, getattr(module, cls, ()))


def _of_columns(columns: list[tuple[Any, Any]], name: str, masked_as_missing: bool) -> np.ndarray:
    """Put columns side by side: some libraries make numbers of dates that stand beside numbers."""
    if not columns:
        return np.empty((0, 0))
    arrays = []
    for label, column in columns:
        array = _array(column, f"{name}[{short(label)}]", masked_as_missing)
        if array.ndim > 1 or (array.dtype == object and any(map(_is_nested, array))):
            raise ValueError(
                f"{name} has a column of arrays, {short(label)}; pass the column itself, "
                f"{name}[{short(label)}], for an array per sequence."
            )
        arrays.append(array)
    if {array.dtype.kind for array in arrays} <= set("biuf") and not would_round(arrays):
        return np.column_stack(arrays)
    return np.column_stack([as_objects(array) for array in arrays])


# ---- lists ---------------------------------------------------------------------------------------


def _regular(data: list[Any] | tuple, name: str, masked_as_missing: bool) -> np.ndarray | None:
    """Return nested lists of equal lengths as an array, others as None."""
    types, has_masks = _leaves(data)
    if has_masks:
        data = _without_masks(data, name, masked_as_missing)
        types, _ = _leaves(data)
    kinds = {kind_of(cls) for cls in types}
    # of 1 beside "a", NumPy would make "1", and numbers of booleans beside NaN
    mixed = len(kinds) > 1 and (not kinds <= NUMBERS or kinds == {"bool", "float"})
    try:
        array = np.array(data, dtype=object if mixed else None)
        if array.dtype.kind == "f" and "int" in kinds:
            exact = np.array(data, dtype=object)
            array = exact if rounded(array, exact.flat) else array
    except ValueError:
        return None
    except Exception as error:
        raise TypeError(f"{name} holds values that make no array: {str(error)[:150]}") from error
    if array.dtype == object and any(isinstance(value, _LISTS) for value in array.flat):
        return None
    return array.astype(object) if array.dtype.kind == "T" else array


def _leaves(data: list[Any] | tuple[Any, ...], depth: int = 1) -> tuple[set[type], bool]:
    """Return the types of all values in nested lists, and whether there are masked arrays."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"lists are nested more than {_MAX_DEPTH} deep.")
    types, has_masks = set(map(type, data)), False
    for cls in list(types):
        if issubclass(cls, _LISTS):
            types.discard(cls)
            for item in data:
                if type(item) is cls:
                    inner, masks = _leaves(item, depth + 1)
                    types |= inner
                    has_masks |= masks
        elif issubclass(cls, np.ma.MaskedArray):
            has_masks = True
    return types, has_masks


def _without_masks(data: Any, name: str, masked_as_missing: bool) -> Any:
    """Replace masked arrays in nested lists by plain ones."""
    if isinstance(data, _LISTS):
        return [_without_masks(item, name, masked_as_missing) for item in data]
    if not isinstance(data, np.ma.MaskedArray):
        return data
    if data.ndim == 0:
        if np.ma.getmaskarray(data).any() and masked_as_missing:
            return None
        return _unmasked(data, name, masked_as_missing)[()]
    return _unmasked(data, name, masked_as_missing).tolist()


def _is_array(item: Any) -> bool:
    """Return whether an item of a list is an array of at least one dimension."""
    if isinstance(item, (*_LISTS, str, bytes)) or np.isscalar(item):
        return False
    ndim = getattr(item, "ndim", None)
    if isinstance(ndim, int):
        return ndim > 0
    return hasattr(item, "__array__")


def _is_nested(item: Any) -> bool:
    return isinstance(item, _LISTS) or _is_array(item)


def _items(data: Iterable[Any], name: str, masked_as_missing: bool) -> list[np.ndarray]:
    """Convert sequences one by one."""
    if isinstance(data, list) and all(map(is_array_of_numbers, data)):
        return data  # the usual case
    items = []
    for i, item in enumerate(data):
        item_name = f"{name}[{i}]"
        if isinstance(item, _LISTS):
            array = _of_steps(item, item_name, masked_as_missing)
        else:
            array = _array(item, item_name, masked_as_missing)
        items.append(array)
    return items


def _of_steps(item: list[Any] | tuple[Any, ...], name: str, masked_as_missing: bool) -> np.ndarray:
    """Convert one sequence that is a list of numbers, of lists or of arrays."""
    array = _regular(item, name, masked_as_missing)
    if array is None:
        raise ValueError(
            f"{name} is not an array: its time steps have different numbers of values."
        )
    return array


# ---- values --------------------------------------------------------------------------------------
