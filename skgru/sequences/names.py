"""Names of columns: record and compare them, and refuse tables whose order they contradict."""

import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from skgru.sequences.values import short


def columns_of(data: Any) -> list[Any] | None:
    """Return the column labels of a data frame, otherwise None."""
    if isinstance(data, list | tuple | np.ndarray):
        return None
    # of Arrow, `columns` are the columns themselves
    names = getattr(data, "column_names", getattr(data, "columns", None))
    return list(names) if hasattr(data, "shape") and names is not None else None


def labels_of_row(x_t: Any) -> list[Any] | None:
    """Return the labels of the channels of a time step: of a data frame, or of a Series if named.

    The labels of a Series without names are numbers, which say nothing.
    """
    if hasattr(x_t, "iloc") and x_t.ndim == 1:
        labels = list(x_t.index)
        return labels if any(isinstance(label, str) for label in labels) else None
    return columns_of(x_t)


def check_columns(items: Any) -> None:
    """Raise ValueError if the data frames of a list have different columns.

    As in scikit-learn, labels that are not strings do not count, except in another order.

    Parameters
    ----------
    items : iterable
        The sequences.
    """
    first: list[Any] | None = None
    for i, item in enumerate(items):
        columns = columns_of(item)
        if i == 0:
            first = columns
        elif columns is not first and columns != first:
            _check_pair(i, columns, first)


def _check_pair(i: int, columns: list[Any] | None, first: list[Any] | None) -> None:
    if columns is None or first is None:
        named, plain = (f"X[{i}]", "X[0]") if first is None else ("X[0]", f"X[{i}]")
        given = columns if first is None else first
        if any(isinstance(name, str) for name in given):
            raise ValueError(
                f"{named} has the columns {short(given)}, {plain} has no names; give all "
                "sequences as data frames of these columns, or none."
            )
        return
    strings = any(isinstance(name, str) for name in (*columns, *first))
    if strings or _same_set(columns, first):
        how = "in another order" if _same_set(columns, first) else "others"
        raise ValueError(
            f"X[{i}] has the columns {short(columns)}, {how} than X[0], which has "
            f"{short(first)}. Select them in one order: [x[columns] for x in X]."
        )


def _same_set(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and set(a) == set(b)


def check_features(estimator: Any, X: Any, sequences: Any, *, reset: bool) -> None:
    """Record the number and the names of the features of X (`reset`), or compare them.

    Features are the columns of a table, and otherwise the channels, whose names data frames in a
    list have.

    Parameters
    ----------
    estimator : estimator
        Its attributes `n_features_in_` and `feature_names_in_` are set or read.
    X : array-like
    sequences : Sequences
        What `check_sequences` has made of X.
    reset : bool
        Whether this is the first fit.
    """
    is_table = sequences.form == "table"
    if reset:
        n_channels = getattr(estimator, "n_channels", 1)
        if n_channels not in (1, sequences.n_channels):
            raise ValueError(
                f"X has {sequences.n_channels} channels in its last axis, but n_channels="
                f"{n_channels}. It says how a two-dimensional X unfolds; for other forms "
                "leave it at 1, or set it to the channels of X."
            )
        estimator._fitted_on_table = is_table
        _warn_of_transposition(sequences)
    elif is_table != estimator._fitted_on_table:
        return
    features = X if is_table else sequences.values
    if sequences.form == "list":
        first = next(iter(X))
        features = first if columns_of(first) is not None else features
    if not reset and _are_nameless(features, estimator):
        return  # the usual case; scikit-learn takes longer to find the same
    try:
        validate_data(estimator, features, reset=reset, skip_check_array=True)
    except ValueError as error:
        message = str(error)
        if len(message) > 390:
            raise ValueError(f"{message[:387]}...") from error
        if is_table and isinstance(X, list | tuple):
            raise ValueError(
                f"{message} Nested lists of equal lengths are a table, whose width fit has fixed; "
                "sequences of other lengths are arrays in a list, [np.array(x) for x in X]."
            ) from error
        raise


def _are_nameless(features: Any, estimator: Any) -> bool:
    """Return whether features are those of an array, as many as `fit` has seen, without names."""
    return (
        type(features) is np.ndarray
        and not hasattr(estimator, "feature_names_in_")
        and features.shape[1] == estimator.n_features_in_
    )


def _warn_of_transposition(sequences: Any) -> None:
    """Warn if X looks as if channels and time steps had changed places."""
    n_channels, n_timesteps = sequences.n_channels, int(sequences.n_timesteps)
    # patches are many channels, but of more steps than a panel has channels
    many = n_channels >= 50 and n_channels > 10 * n_timesteps and n_timesteps <= 12
    if sequences.form == "table" or not many:
        return
    remedy = "np.swapaxes(X, 1, 2)" if sequences.form == "array" else "[x.T for x in X]"
    warnings.warn(
        f"X has {n_channels} channels and only {n_timesteps} time steps. A panel of aeon or sktime "
        f"has its channels before its time steps: transpose it with {remedy}.",
        stacklevel=1,
    )


# ---- tables in channel-major order ---------------------------------------------------------------


def check_order_of_columns(X: Any, n_channels: int) -> None:
    """Raise ValueError if the column labels of a table say that it is to be read in another way.

    That is, if it is channel-major, or if it has another number of channels.

    Labels are pairs, as `pivot` of pandas makes them, or strings whose parts before and after the
    last "_" or "-" are such pairs, as `pivot` of polars makes them.

    Parameters
    ----------
    X : array-like
    n_channels : int
        Of the table.
    """
    columns = columns_of(X)
    pairs = None if columns is None else _pairs(columns)
    if pairs is None:
        return
    named = _named_channels(pairs)
    if named is not None and len(named) != n_channels:
        raise ValueError(
            f"The columns of X ({short(columns[: len(named) + 1])}) name {len(named)} channels "
            f"({short(named)}), but n_channels={n_channels}. Set n_channels={len(named)} in every "
            "step of a pipeline; X.to_numpy() drops the names, if the channels are others."
        )
    if n_channels == 1 or len(columns) % n_channels:
        return
    n_timesteps = len(columns) // n_channels
    channels, steps = ([pair[k] for pair in pairs] for k in (0, 1))
    if not (_slow(channels, n_timesteps) and _fast(steps, n_timesteps)):
        return
    if n_timesteps == 1 or (n_channels == n_timesteps and _ordered(channels)):
        return  # the blocks are time steps
    raise ValueError(
        f"The columns of X ({short(columns[: n_timesteps + 1])}) hold all time steps of one "
        f"channel before the next; with n_channels={n_channels}, all channels of the first time "
        "step come first. Reorder them; after pivot of pandas, use "
        "X.swaplevel(axis=1).sort_index(axis=1)."
    )


def _pairs(columns: Sequence[Any]) -> list[tuple[Any, Any]] | None:
    if all(isinstance(name, tuple) and len(name) == 2 for name in columns):
        return list(columns)
    if not all(isinstance(name, str) for name in columns):
        return None
    matches = [re.fullmatch(r"(.+)[_-](.+)", name) for name in columns]
    return [match.groups() for match in matches] if all(matches) else None


def _named_channels(pairs: list[tuple[Any, Any]]) -> list[Any] | None:
    """Return the names of two or more channels, if the labels are a grid of times and names.

    The parts that are numbers or times are the time steps; there are two or more of them.
    """
    parts = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    timed = [_ordered(part) for part in parts]
    if timed[0] == timed[1]:
        return None  # either part may be the time
    names, steps = parts if timed[1] else parts[::-1]
    n_channels, n_timesteps = len(set(names)), len(set(steps))
    if min(n_channels, n_timesteps) < 2 or n_channels * n_timesteps != len(pairs):
        return None
    time_major = _slow(steps, n_channels) and _fast(names, n_channels)
    channel_major = _slow(names, n_timesteps) and _fast(steps, n_timesteps)
    return list(dict.fromkeys(names)) if time_major or channel_major else None


def _slow(labels: list[Any], width: int) -> bool:
    """Return whether labels are constant in blocks of this width, each with its own."""
    blocks = [labels[i : i + width] for i in range(0, len(labels), width)]
    return all(len(set(b)) == 1 for b in blocks) and len({b[0] for b in blocks}) == len(blocks)


def _fast(labels: list[Any], width: int) -> bool:
    """Return whether each block of this width has the same labels, all different."""
    first = labels[:width]
    return len(set(first)) == width and labels == first * (len(labels) // width)


def _ordered(labels: list[Any]) -> bool:
    """Return whether labels are numbers or times rather than names."""
    return all(not isinstance(n, str) or re.fullmatch(r"[a-zA-Z]?\d+", n) for n in labels)
