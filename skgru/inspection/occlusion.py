"""What a response loses when values are replaced by those of a baseline."""

import numpy as np

from skgru.inspection.input_gradients import InputGradients
from skgru.inspection.routes import Route
from skgru.sequences import Sequences

# Copies of a sequence, each with other values replaced, that are transformed together.
N_COPIES = 256


def occlude(
    route: Route, sequences: Sequences, baseline: Sequences, network: InputGradients, window: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Replace the values of each channel, a window of time steps at a time.

    Parameters
    ----------
    route : Route
        The steps before the network.
    sequences, baseline : Sequences
    network : InputGradients
        Of the sequences.
    window : int
        Number of time steps that are replaced together, counted from the end.

    Returns
    -------
    effects : ndarray of shape (sum of lengths, n_channels)
        Differences of the responses, spread over the time steps of a window.
    found : dict of ndarray of shape (n_samples,)
        "responses" and "baseline_responses".
    """
    everything = np.arange(len(sequences))
    found = {
        "responses": network.responses(),
        "baseline_responses": network.like(route.inputs(baseline), everything).responses(),
    }
    effects = np.empty(sequences.values.shape)
    for i, (start, length) in enumerate(zip(sequences.starts, sequences.lengths, strict=True)):
        own = slice(start, start + length)
        values, replacements = sequences.values[own], baseline.values[own]
        # a copy for each window and channel; only the first window may be shorter
        of_step = (length - 1) // window - np.arange(length)[::-1] // window
        window_of, channel_of = np.divmod(
            np.arange((of_step[-1] + 1) * sequences.n_channels), sequences.n_channels
        )
        without = np.empty(len(window_of))
        for first in range(0, len(without), N_COPIES):
            part = slice(first, first + N_COPIES)
            copies = _copies(values, replacements, of_step, window_of[part], channel_of[part])
            occluded = Sequences(
                copies.reshape(-1, sequences.n_channels),
                np.full(len(copies), length),
                sequences.n_timesteps,
                sequences.form,
            )
            same = np.full(len(copies), i)
            without[part] = network.like(route.inputs(occluded), same).responses()
        lost = (found["responses"][i] - without).reshape(-1, sequences.n_channels)
        effects[own] = (lost / np.bincount(of_step)[:, np.newaxis])[of_step]
    return effects, found


def _copies(
    values: np.ndarray,
    replacements: np.ndarray,
    of_step: np.ndarray,
    windows: np.ndarray,
    channels: np.ndarray,
) -> np.ndarray:
    """Return a copy of a sequence for each window and channel, with the values there replaced."""
    replaced = of_step == windows[:, np.newaxis]  # (n_copies, n_timesteps)
    copies = np.repeat(values[np.newaxis], len(windows), axis=0)
    copy, step = replaced.nonzero()
    copies[copy, step, channels[copy]] = replacements[step, channels[copy]]
    return copies
