"""Baselines of attributions: what the values of X are compared with."""

from numbers import Real
from typing import Any

import numpy as np

from skgru.sequences import Sequences, check_sequences, numbers, read, short


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
        return np.broadcast_to(np.nanmean(sequences.values, axis=0), shape).copy()
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


def _is_table(sequences: Sequences) -> bool:
    return sequences.form == "table"


def _sequences_like(baseline: Any, sequences: Sequences) -> np.ndarray:
    """Return baselines that are given sequence by sequence."""
    given = check_sequences(
        baseline, n_channels=sequences.n_channels, dtype=np.float64, caller="baseline"
    )
    if given.n_channels != sequences.n_channels or not np.array_equal(
        given.lengths, sequences.lengths
    ):
        raise ValueError(
            f"baseline has {len(given)} sequences of {short(given.lengths)} time steps and "
            f"{given.n_channels} channels; X has {len(sequences)} of {short(sequences.lengths)} "
            f"time steps and {sequences.n_channels} channels."
        )
    return given.values
