"""Baselines of attributions: what the values of X are compared with."""

from collections.abc import Sized
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np

from skgru.sequences import Channels, Sequences, check_sequences, numbers, read, read_raw, short
from skgru.sequences.names import labels_of_row


def check_names(baseline: Any, X: Any) -> None:
    """Raise ValueError if a baseline has the names of its channels in another order than X.

    Parameters
    ----------
    baseline : "mean", float or array-like
        See `input_attributions`.
    X : array-like
    """
    own, of_x = _names_of(baseline), _names_of(X)
    if None not in (own, of_x) and len(own) == len(of_x) and own != of_x:
        raise ValueError(
            f"baseline has the columns {short(own)}, X has {short(of_x)}; expected the same, in "
            "order."
        )


def _names_of(data: Any) -> list[Any] | None:
    """Return the names of channels that data, or their first sequence, have."""
    of_objects = isinstance(data, np.ndarray) and data.dtype == object
    is_list = isinstance(data, list | tuple) or of_objects
    names = labels_of_row(data[0] if is_list and len(data) else data)
    return names if names is not None and all(isinstance(name, str) for name in names) else None


def baseline_like(baseline: Any, sequences: Sequences) -> np.ndarray:
    """Return the baseline of every time step.

    Parameters
    ----------
    baseline : "mean", float or array-like
        See `input_attributions`.
    sequences : Sequences

    Returns
    -------
    ndarray of shape (sum of lengths, n_channels), float64

    Raises
    ------
    ValueError
        If the baseline has another shape, or is not finite.
    """
    shape, n_samples = sequences.values.shape, len(sequences)
    if isinstance(baseline, str):
        if baseline != "mean":
            raise ValueError(f"baseline must be 'mean', a number or an array; got {baseline!r}.")
        n_observed = (~np.isnan(sequences.values)).sum(axis=0)
        means = np.nansum(sequences.values, axis=0) / np.maximum(n_observed, 1)
        return np.broadcast_to(means, shape).copy()
    if isinstance(baseline, Real):
        baseline = np.full(sequences.n_channels, baseline)
    array = read(baseline, "baseline")
    if isinstance(array, list) or array.ndim == 3 or (array.ndim == 2 and _is_table(sequences)):
        return _sequences_like(baseline, sequences)
    array = numbers(array, "baseline").astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"baseline={short(baseline)} is not finite.")
    if array.shape == (sequences.n_channels,):
        return np.broadcast_to(array, shape).copy()
    n_timesteps = int(sequences.lengths.max())
    one_length = (sequences.lengths == n_timesteps).all()
    row = (n_timesteps * sequences.n_channels,)
    of_one = row if _is_table(sequences) else (n_timesteps, sequences.n_channels)
    if one_length and array.shape == of_one:
        return np.tile(array.reshape(n_timesteps, -1), (n_samples, 1))
    expected = f"({sequences.n_channels},), a value per channel"
    if one_length:
        expected += f"; {of_one}, one sequence"
    raise ValueError(
        f"baseline has shape {array.shape}; expected a number; {expected}; or sequences in the "
        "form of X."
    )


def baseline_of_channels(baseline: Any, raw: Sequences, channels: Channels) -> np.ndarray:
    """Return the baseline of X with categories, times or missing numbers, as values of X.

    A category has the one that is given, or is missing. Times stay what they are, and so do missing
    numbers.

    Parameters
    ----------
    baseline : "mean", float or array-like
    raw : Sequences
        X, see `read_raw`.
    channels : Channels
        Of X.

    Returns
    -------
    ndarray of shape (sum of lengths, n_channels)
    """
    values = channels.numbers(raw.values)
    result, categories = raw.values.astype(object), np.nan
    if isinstance(baseline, str | Real):
        own = replace(raw, values=values, form="list")
        of_numbers = baseline_like(baseline, own) if values.size else values
    else:
        rows = _raw_rows(baseline, raw)
        of_numbers, categories = channels.numbers(rows), rows[:, channels.categorical]
    if not np.isfinite(of_numbers[~np.isnan(values)]).all():
        raise ValueError("baseline has a number that is not finite where X has one.")
    result[:, channels.numeric] = np.where(np.isnan(values), np.nan, of_numbers)
    result[:, channels.categorical] = categories
    return result if raw.values.dtype == object else result.astype(raw.values.dtype)


def _raw_rows(baseline: Any, raw: Sequences) -> np.ndarray:
    """Return a row of values for each step of X: one for all, or those of sequences."""
    if getattr(baseline, "ndim", 1) == 1 and all(map(_is_one_value, baseline)):
        row = np.array([*baseline], dtype=object)
        if len(row) == raw.n_channels:
            return np.broadcast_to(row, raw.values.shape)
        if not _is_table(raw) or len(row) != raw.n_timesteps * raw.n_channels:
            raise ValueError(
                f"baseline has {len(row)} values; expected one for each of {raw.n_channels} "
                "channels, or sequences in the form of X."
            )
        return np.tile(row.reshape(-1, raw.n_channels), (len(raw), 1))
    if isinstance(baseline, np.ndarray) and baseline.ndim == 2 and not _is_table(raw):
        baseline = [baseline] * len(raw)  # one sequence for all
    given = read_raw(baseline, n_channels=raw.n_channels, caller="baseline")
    _check_same_shape(given, raw)
    return given.values


def _is_one_value(value: Any) -> bool:
    return isinstance(value, str) or not isinstance(value, Sized)


def _is_table(sequences: Sequences) -> bool:
    return sequences.form == "table"


def _sequences_like(baseline: Any, sequences: Sequences) -> np.ndarray:
    """Return baselines that are given sequence by sequence."""
    given = check_sequences(
        baseline, n_channels=sequences.n_channels, dtype=np.float64, caller="baseline"
    )
    _check_same_shape(given, sequences)
    return given.values


def _check_same_shape(given: Sequences, sequences: Sequences) -> None:
    if given.n_channels != sequences.n_channels or not np.array_equal(
        given.lengths, sequences.lengths
    ):
        raise ValueError(
            f"baseline has {len(given)} sequences of {short(given.lengths)} time steps and "
            f"{given.n_channels} channels; X has {len(sequences)} of {short(sequences.lengths)} "
            f"time steps and {sequences.n_channels} channels."
        )


def differences(values: np.ndarray, baseline: np.ndarray, channels: Channels) -> np.ndarray:
    """Return values of X minus their baseline: 0 of missing numbers and of times, 1 of categories.

    The line to a category is that from the row of its baseline to its own row.
    """
    if channels.are_numbers:
        return values - baseline
    result = np.zeros(values.shape)
    result[:, channels.categorical] = 1
    of_numbers = channels.numbers(values) - channels.numbers(baseline)
    result[:, channels.numeric] = np.nan_to_num(of_numbers)
    return result
