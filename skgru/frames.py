"""Convert long data frames to sequences, and predictions to data frames."""

from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from skgru.sequences import ragged_items, short


def sequences_from_frame(
    frame: Any,
    by: str | Sequence[str],
    order: str | None = None,
    *,
    columns: str | Sequence[str],
) -> tuple[list[np.ndarray], Any]:
    """Split a long data frame, with one row per time step, into sequences.

    Parameters
    ----------
    frame : DataFrame
        A pandas or polars data frame, or one of another library that narwhals supports, in memory.
    by : str or sequence of str
        Column or columns that identify the sequence of each row.
    order : str, default=None
        Column (a time or a number) that sorts the time steps within a sequence. If None, the rows
        of each sequence keep their order.
    columns : str or sequence of str
        Columns that become the channels, in this order: a name, or several in a list, an array, an
        Index or a Series. There is no default, because the frame may also hold the target.

    Returns
    -------
    X : list of ndarray of shape (n_timesteps_i, n_channels)
        The sequences, sorted by their ids as pandas' ``groupby`` sorts them. The dtype is float32
        if all columns are float32, and float64 otherwise. Missing values are NaN.
    ids : Series or DataFrame
        The values of ``frame[by]`` for each sequence: a Series if `by` is a string, a DataFrame
        otherwise.

    Raises
    ------
    TypeError
        If `frame` is not a data frame, or is a lazy one, or if `by` or `columns` is neither a
        string nor a sequence of strings.
    ValueError
        If a column does not exist, if `frame` has no rows, if a value of `by` or `order` is
        missing, if a value of `order` occurs twice in a sequence, or if a channel is not numeric.

    See Also
    --------
    labels_from_frame : Extract the y of these sequences.
    predictions_to_frame : Convert predictions for these sequences to a data frame.

    Notes
    -----
    This function needs narwhals, which scikit-learn 1.9 and newer depend on. To use levels of a
    pandas index as columns, call ``frame.reset_index()`` first.

    Examples
    --------
    >>> import pandas as pd
    >>> from skgru.preprocessing import sequences_from_frame
    >>> frame = pd.DataFrame(
    ...     {"engine": [7, 4, 4, 7, 4], "cycle": [1, 2, 1, 2, 3], "heat": [0.5, 0.1, 0.0, 0.6, 0.2]}
    ... )
    >>> X, ids = sequences_from_frame(frame, by="engine", order="cycle", columns="heat")
    >>> [x.ravel().tolist() for x in X]
    [[0.0, 0.1, 0.2], [0.5, 0.6]]
    >>> ids.tolist()
    [4, 7]
    """
    nw = _narwhals()
    grouped = _group(frame, by, order)
    channels = grouped.frame.select(_names(columns, grouped.frame, "columns"))
    for name, dtype in channels.schema.items():
        if not (dtype.is_numeric() or dtype == nw.Boolean):
            raise ValueError(
                f"Column {short(name)} is of dtype {dtype}; channels are numbers. Encode it, or "
                "leave it out of `columns`."
            )
    single = all(dtype == nw.Float32 for dtype in channels.schema.values())
    # one by one: of columns of several dtypes with missing values, pandas makes one of objects
    channels = channels.select(nw.all().cast(nw.Float32 if single else nw.Float64))
    dtype = np.float32 if single else np.float64
    numbers = np.column_stack([channels[name].to_numpy() for name in channels.columns])
    numbers = np.ascontiguousarray(numbers, dtype=dtype)
    ids = grouped.ids[by] if isinstance(by, str) else grouped.ids
    return grouped.split(numbers), ids.to_native()


def labels_from_frame(
    frame: Any,
    columns: str | Sequence[str],
    by: str | Sequence[str],
    order: str | None = None,
    *,
    per_step: bool = False,
) -> np.ndarray | list[np.ndarray]:
    """Extract the y that belongs to the sequences of `sequences_from_frame`.

    Parameters
    ----------
    frame : DataFrame
        As for `sequences_from_frame`.
    columns : str or sequence of str
        Column or columns with the labels or numbers to predict.
    by : str or sequence of str
        As for `sequences_from_frame`.
    order : str, default=None
        As for `sequences_from_frame`.
    per_step : bool, default=False
        Whether to return one label per time step, for `return_sequences=True`, instead of one per
        sequence.

    Returns
    -------
    y : ndarray of shape (n_sequences,) or (n_sequences, n_columns), or list of ndarray
        The labels, in the order of `sequences_from_frame`. With `per_step`, a list with one array
        of shape (n_timesteps_i,) or (n_timesteps_i, n_columns) per sequence. A missing label is
        NaN, or None if the labels are not numbers.

    Raises
    ------
    TypeError
        As `sequences_from_frame`.
    ValueError
        As `sequences_from_frame`, and if a sequence has several labels and `per_step` is False.

    See Also
    --------
    sequences_from_frame : Extract X.
    predictions_to_frame : Put predictions beside the ids.

    Examples
    --------
    >>> import pandas as pd
    >>> from skgru.preprocessing import labels_from_frame
    >>> frame = pd.DataFrame({"engine": [7, 4, 7, 4], "fails": ["no", "yes", "no", "yes"]})
    >>> labels_from_frame(frame, "fails", by="engine").tolist()
    ['yes', 'no']
    """
    grouped = _group(frame, by, order)
    labels = []
    for name in _names(columns, grouped.frame, "columns"):
        values = np.take(grouped.frame[name].to_numpy(), grouped.rows)
        missing = _missing(grouped.frame[name])[grouped.rows]
        if values.dtype == object:
            values[missing] = None
        if not per_step:
            differ = (values[1:] != values[:-1]) & ~(missing[1:] & missing[:-1])
            differ[grouped.starts[1:] - 1] = False
            if differ.any():
                row = np.argmax(differ)
                one, other = values[row : row + 2].tolist()
                raise ValueError(
                    f"Column {short(name)} is both {short(one)} and {short(other)} in the sequence "
                    f"{grouped.describe(row)}; per_step=True returns one label per time step."
                )
            values = values[grouped.starts]
        labels.append(values)
    y = labels[0] if isinstance(columns, str) else np.column_stack(labels)
    return np.split(y, grouped.starts[1:]) if per_step else y


def predictions_to_frame(
    predictions: ArrayLike | list[np.ndarray],
    frame: Any,
    by: str | Sequence[str],
    order: str | None = None,
    *,
    names: str | Sequence[str] = "prediction",
) -> Any:
    """Convert predictions for the sequences of `sequences_from_frame` to a data frame.

    Parameters
    ----------
    predictions : array-like, or list of ndarray
        Predictions of an estimator for these sequences. One prediction per sequence has shape
        (n_sequences,) or (n_sequences, k). One prediction per time step is a list of arrays of
        shape (n_timesteps_i,) or (n_timesteps_i, k).
    frame : DataFrame
        As for `sequences_from_frame`.
    by : str or sequence of str
        As for `sequences_from_frame`.
    order : str, default=None
        As for `sequences_from_frame`.
    names : str or sequence of str, default="prediction"
        Names of the columns that hold the predictions. For k columns, either k names (for instance
        ``model.classes_``) or one name, to which the number of the column is appended.

    Returns
    -------
    DataFrame
        A data frame of the same library as `frame`. For one prediction per sequence, it has one row
        per sequence with the ids and the predictions, in the order of `sequences_from_frame`. For
        one prediction per time step, it has the rows of `frame`, in the same order and with the
        same index, with the ids, `order` and the predictions; the two can then be joined.

    Raises
    ------
    TypeError
        As `sequences_from_frame`.
    ValueError
        As `sequences_from_frame`, and if the number of predictions differs from the number of
        sequences or time steps, or the number of `names` from the number of columns.

    See Also
    --------
    sequences_from_frame : Extract X.

    Examples
    --------
    >>> import pandas as pd
    >>> from skgru.preprocessing import predictions_to_frame
    >>> frame = pd.DataFrame({"engine": [7, 4, 7, 4], "heat": [0.5, 0.1, 0.0, 0.6]})
    >>> predictions_to_frame([0.9, 0.2], frame, by="engine")
       engine  prediction
    0       4         0.9
    1       7         0.2
    """
    nw = _narwhals()
    grouped = _group(frame, by, order)
    steps = ragged_items(predictions, "predictions")
    values = np.asarray(predictions) if steps is None else None
    given = len(values if steps is None else steps)
    if given != len(grouped.starts):
        raise ValueError(f"There are {given} predictions, but {len(grouped.starts)} sequences.")
    if steps is None:
        result = grouped.ids
    else:
        for i, (item, length) in enumerate(zip(steps, grouped.lengths, strict=True)):
            if len(item) != length:
                raise ValueError(
                    f"predictions[{i}] has {len(item)} time steps, the sequence "
                    f"{grouped.describe(grouped.starts[i])} {length} rows."
                )
        sorted_values = np.concatenate(steps)
        values = np.empty_like(sorted_values)
        values[grouped.rows] = sorted_values
        result = grouped.frame.select(grouped.by + ([] if order is None else [order]))
    values = values.reshape(len(values), -1)
    for name, column in zip(_prediction_names(names, values, result), values.T, strict=True):
        # polars keeps an array of objects as objects, but converts a list of them to strings
        column = column.tolist() if column.dtype == object else np.ascontiguousarray(column)
        series = nw.new_series(name, column, backend=nw.get_native_namespace(result))
        result = result.with_columns(series)
    return result.to_native()


class _Grouped(NamedTuple):
    """Rows of a data frame, grouped by sequence.

    Attributes
    ----------
    frame : narwhals.DataFrame
        The data frame of the user.
    by : list of str
    rows : ndarray of int, shape (n_rows,)
        Indices of the rows: those of the first sequence in order of time, then those of the second,
        and so on.
    starts : ndarray of int, shape (n_sequences,)
        Position in `rows` of the first time step of each sequence.
    """

    frame: Any
    by: list[str]
    rows: np.ndarray
    starts: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.starts, append=len(self.rows))

    @property
    def ids(self) -> Any:
        """Return a data frame with the values of `by` for each sequence."""
        return _narwhals().maybe_reset_index(self.frame.select(self.by)[self.rows[self.starts]])

    def split(self, values: np.ndarray) -> list[np.ndarray]:
        """Split values, with one row per row of the data frame, into one array per sequence."""
        return np.split(np.take(values, self.rows, axis=0), self.starts[1:])

    def describe(self, position: int) -> str:
        """Name the sequence of an entry of `rows`, for error messages."""
        row = int(self.rows[position])
        entries = [f"{name:.40}={short(_entry(self.frame[name], row))}" for name in self.by]
        return ", ".join(entries[:4] + ["…"] * (len(entries) > 4))


def _group(frame: Any, by: str | Sequence[str], order: str | None) -> _Grouped:
    """Sort the rows of a frame by sequence and step."""
    nw = _narwhals()
    frame = _in_memory(frame)
    odd = [name for name in frame.columns if not isinstance(name, str)]
    if odd:
        raise ValueError(
            f"frame has a column {short(odd[0])}, whose name is no string; "
            "frame.rename(columns=str) makes it one."
        )
    keys = _names(by, frame, "by")
    if not isinstance(order, str | None):
        raise TypeError(f"order must be the name of one column, got {short(order)}.")
    steps = [] if order is None else _names(order, frame, "order")
    if order in keys:
        raise ValueError(f"Column {short(order)} is in by and is order; a sequence would be a row.")
    if not len(frame):
        raise ValueError("frame has no rows.")
    for name in keys + steps:
        missing = _missing(frame[name])
        if missing.any():
            raise ValueError(
                f"Column {short(name)} is missing in {missing.sum()} of {len(frame)} rows, the "
                f"first of them row {np.argmax(missing)}; each needs one."
            )
    # sorting is not stable in every library; with the row number as the last key, it is
    row = nw.generate_temporary_column_name(8, frame.columns)
    ordered = frame.select(keys + steps).with_row_index(row).sort(*keys, *steps, row)
    starts = np.ones(len(frame), dtype=bool)
    starts[1:] = np.any([_changes(ordered[name]) for name in keys], axis=0)
    grouped = _Grouped(frame, keys, ordered[row].to_numpy(), np.flatnonzero(starts))
    if steps:
        twice = ~(starts[1:] | _changes(ordered[order]))
        if twice.any():
            first = int(np.argmax(twice))
            raise ValueError(
                f"Column {short(order)} is {short(_entry(ordered[order], first))} twice in the "
                f"sequence {grouped.describe(first)}: in rows {grouped.rows[first]} and "
                f"{grouped.rows[first + 1]}."
            )
    return grouped


def _narwhals() -> ModuleType:
    try:
        import narwhals
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Data frames need narwhals: pip install narwhals, or scikit-learn 1.9 or newer, which "
            "brings it."
        ) from error
    return narwhals


def _in_memory(frame: Any) -> Any:
    """Return the frame as narwhals' DataFrame."""
    nw = _narwhals()
    with suppress(TypeError):  # whose message may hold all of the data
        frame = nw.from_native(frame)
    if isinstance(frame, nw.DataFrame):
        return frame
    if not isinstance(frame, nw.LazyFrame):
        raise TypeError(
            f"frame must be a DataFrame of pandas, polars or another library that narwhals knows, "
            f"got a {type(frame).__name__}."
        )
    native = frame.to_native()
    remedies = ("collect", "compute", "pl", "to_pandas", "toPandas")
    remedy = next((f"; frame.{name}() reads it" for name in remedies if hasattr(native, name)), "")
    raise TypeError(f"frame is a {type(native).__name__}, whose rows are not in memory{remedy}.")


def _names(columns: str | Sequence[str], frame: Any, argument: str) -> list[str]:
    """Return columns as a list, all of which the frame must have."""
    names = _listed(columns, argument)
    odd = [name for name in names if not isinstance(name, str)]
    if odd:
        raise TypeError(_not_names(argument, odd[0]))
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise ValueError(
            f"frame has no column {short(absent[0])}; it has {short(list(frame.columns))}."
        )
    if len(set(names)) < len(names) or not names:
        raise ValueError(f"{argument} must be one or more different columns, got {short(names)}.")
    return names


def _listed(names: Any, argument: str) -> list[Any]:
    """Return one name, or several in any container that has an order, as a list."""
    if isinstance(names, str):
        return [names]
    ordered = isinstance(names, Iterable) and not isinstance(names, Set | Mapping | bytes)
    if not ordered or getattr(names, "ndim", 1) == 0:
        raise TypeError(_not_names(argument, names))
    return names.to_pylist() if hasattr(names, "to_pylist") else list(names)


def _not_names(argument: str, got: Any) -> str:
    return (
        f"{argument} must be the name of a column, or several in a list, an array, an Index or a "
        f"Series; got {short(got)}."
    )


def _missing(column: Any) -> np.ndarray:
    missing = column.is_null()
    return (missing | column.is_nan() if column.dtype.is_float() else missing).to_numpy()


def _entry(column: Any, row: int) -> Any:
    """Return an entry as a Python scalar, which messages print without its NumPy type."""
    return column[row : row + 1].to_list()[0]


def _changes(column: Any) -> np.ndarray:
    """Return whether each row but the first differs from the previous one."""
    values = column.to_numpy()
    return values[1:] != values[:-1]


def _prediction_names(names: str | Sequence[str], values: np.ndarray, result: Any) -> list[str]:
    """Return one name per column of predictions."""
    n_columns = values.shape[1]
    if isinstance(names, str) and n_columns > 1:
        names = [f"{names}{i}" for i in range(n_columns)]
    names = [str(name) for name in _listed(names, "names")]
    if len(set(names)) < len(names):
        raise ValueError(f"names must be different, got {short(names)}.")
    if len(names) != n_columns:
        raise ValueError(
            f"There are {n_columns} columns of predictions, but the names {short(names)}."
        )
    taken = [name for name in names if name in result.columns]
    if taken:
        raise ValueError(f"The name {short(taken[0])} of predictions is a column of by or order.")
    return names
