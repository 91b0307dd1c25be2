"""Convert long data frames to sequences, and predictions to data frames."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from skgru.sequences import ragged_items


def sequences_from_frame(
    frame: Any,
    by: str | list[str],
    order: str | None = None,
    columns: str | list[str] | None = None,
) -> tuple[list[np.ndarray], Any]:
    """Split a long data frame, with one row per time step, into sequences.

    Parameters
    ----------
    frame : DataFrame
        A pandas or polars data frame, or one of another library that narwhals supports.
    by : str or list of str
        Column or columns that identify the sequence of each row.
    order : str, default=None
        Column (a time or a number) that sorts the time steps within a sequence. If None, the rows
        of each sequence keep their order.
    columns : str or list of str, default=None
        Columns that become the channels, in this order. If None, all columns but `by` and `order`.

    Returns
    -------
    X : list of ndarray of shape (n_timesteps_i, n_channels)
        The sequences, sorted by their ids as pandas' `groupby` sorts them. The dtype is float32 if
        all columns are float32, and float64 otherwise. Missing values are NaN.
    ids : Series or DataFrame
        The values of ``frame[by]`` for each sequence: a Series if `by` is a string, a DataFrame if
        it is a list.

    Raises
    ------
    TypeError
        If `frame` is not a data frame, or is a lazy one.
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
    >>> X, ids = sequences_from_frame(frame, by="engine", order="cycle")
    >>> [x.ravel().tolist() for x in X]
    [[0.0, 0.1, 0.2], [0.5, 0.6]]
    >>> ids.tolist()
    [4, 7]
    """
    nw = _narwhals()
    grouped = _group(frame, by, order)
    if columns is None:
        columns = [name for name in grouped.frame.columns if name not in {*grouped.by, order}]
        if not columns:
            raise ValueError("frame has no channels: all of its columns are in by or order.")
    channels = grouped.frame.select(_names(columns, grouped.frame))
    for name, dtype in channels.schema.items():
        if not (dtype.is_numeric() or dtype == nw.Boolean):
            raise ValueError(
                f"Column {name!r} is of dtype {dtype}; channels are numbers. Encode it, or leave "
                "it out of `columns`."
            )
    single = all(dtype == nw.Float32 for dtype in channels.schema.values())
    numbers = channels.select(nw.all().cast(nw.Float32 if single else nw.Float64)).to_numpy()
    ids = grouped.ids if isinstance(by, list | tuple) else grouped.ids[by]
    return grouped.split(numbers), ids.to_native()


def labels_from_frame(
    frame: Any,
    columns: str | list[str],
    by: str | list[str],
    order: str | None = None,
    *,
    per_step: bool = False,
) -> np.ndarray | list[np.ndarray]:
    """Extract the y that belongs to the sequences of `sequences_from_frame`.

    Parameters
    ----------
    frame : DataFrame
        As for `sequences_from_frame`.
    columns : str or list of str
        Column or columns with the labels or numbers to predict.
    by : str or list of str
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
    for name in _names(columns, grouped.frame):
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
                    f"Column {name!r} is both {one!r} and {other!r} in the sequence "
                    f"{grouped.describe(row)}; per_step=True returns one label per time step."
                )
            values = values[grouped.starts]
        labels.append(values)
    y = labels[0] if not isinstance(columns, list | tuple) else np.column_stack(labels)
    return np.split(y, grouped.starts[1:]) if per_step else y


def predictions_to_frame(
    predictions: ArrayLike | list[np.ndarray],
    frame: Any,
    by: str | list[str],
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
    by : str or list of str
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
        return ", ".join(f"{name}={_entry(self.frame[name], row)!r}" for name in self.by)


def _group(frame: Any, by: str | list[str], order: str | None) -> _Grouped:
    """Sort the rows of a frame by sequence and step."""
    nw = _narwhals()
    frame = nw.from_native(frame, eager_only=True)
    odd = [name for name in frame.columns if not isinstance(name, str)]
    if odd:
        raise ValueError(
            f"frame has a column {odd[0]!r}, whose name is no string; frame.rename(columns=str) "
            "makes it one."
        )
    keys = _names(by, frame)
    steps = [] if order is None else _names(order, frame)
    if not len(frame):
        raise ValueError("frame has no rows.")
    for name in keys + steps:
        missing = _missing(frame[name])
        if missing.any():
            raise ValueError(
                f"Column {name!r} is missing in {missing.sum()} of {len(frame)} rows, the first of "
                f"them row {np.argmax(missing)}; each needs one."
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
                f"Column {order!r} is {_entry(ordered[order], first)!r} twice in the sequence "
                f"{grouped.describe(first)}: in rows {grouped.rows[first]} and "
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


def _names(columns: str | list[str], frame: Any) -> list[str]:
    """Return column names as a list; raise if the data frame lacks one of them."""
    names = list(columns) if isinstance(columns, list | tuple) else [columns]
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise ValueError(f"frame has no column {absent[0]!r}; it has {frame.columns}.")
    if len(set(names)) < len(names) or not names:
        raise ValueError(f"Expected one or more different columns, got {names}.")
    return names


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
    if isinstance(names, str):
        names = [names] if n_columns == 1 else [f"{names}{i}" for i in range(n_columns)]
    names = [str(name) for name in names]
    if len(names) != n_columns:
        raise ValueError(f"There are {n_columns} columns of predictions, but the names {names}.")
    taken = [name for name in names if name in result.columns]
    if taken:
        raise ValueError(f"The name {taken[0]!r} of predictions is a column of by or order.")
    return names
