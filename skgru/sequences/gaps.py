"""What a network with decay reads of missing values: observed values, masks, and elapsed times.

See `kernels/gaps.pxi` for the equations of Che et al. 2018 and for what a, m, d and δ are.
"""

import numpy as np


def gaps(
    values: np.ndarray,
    times: np.ndarray,
    starts: np.ndarray,
    means: np.ndarray,
    n_directions: int,
) -> np.ndarray:
    """Return a | m | d | δ of every time step, and d | δ once more for the backward direction.

    Parameters
    ----------
    values : ndarray of shape (n_steps, n_channels)
        Of all sequences; NaN is missing.
    times : ndarray of shape (n_steps,)
        Not falling within a sequence.
    starts : ndarray of shape (n_samples,)
        Row of the first step of each sequence.
    means : ndarray of shape (n_channels,)
    n_directions : int

    Returns
    -------
    ndarray of shape (n_steps, n_channels * (2 + 2 * n_directions))
    """
    seen = ~np.isnan(values)
    blocks = [np.where(seen, values, means), seen]
    first = np.repeat(starts, np.diff(starts, append=len(values)))
    blocks += _since_last(values, seen, times, first, means)
    if n_directions == 2:
        # the same with the last step first; each sequence begins where it ended
        ends = np.append(starts[1:], len(values))
        last = np.repeat(len(values) - ends, ends - starts)[::-1]
        back = _since_last(values[::-1], seen[::-1], -times[::-1], last, means)
        blocks += [block[::-1] for block in back]
    return np.hstack(blocks)


def _since_last(
    values: np.ndarray, seen: np.ndarray, times: np.ndarray, first: np.ndarray, means: np.ndarray
) -> list[np.ndarray]:
    """Return d and δ: what the last observation before a step is above the mean, and its age.

    Before the first observation of a sequence d is 0, and δ the time since the sequence began. In
    the paper's recursion δ grows by the time between two steps, from that alone where the step
    before was observed.
    """
    before, known = _last_seen(seen, first)
    since = np.where(known, before, first[:, np.newaxis])
    above = np.take_along_axis(values, since, axis=0) - means
    return [np.where(known & ~seen, above, 0.0), times[:, np.newaxis] - times[since]]


def _last_seen(seen: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the row of the last observation before each step, and whether there is one."""
    rows = np.arange(len(seen))[:, np.newaxis]
    observed = np.maximum.accumulate(np.where(seen, rows, -1), axis=0)
    before = np.vstack([np.full((1, seen.shape[1]), -1), observed[:-1]])
    return before, before >= first[:, np.newaxis]


def gaps_backward(gradient: np.ndarray, seen: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the gradient at the observed values, given that at what `gaps` makes of them.

    Masks and times are held fixed: given them, a and d are affine in the observed values. What
    comes from a step without a value belongs to the observation before it, in each direction.

    Parameters
    ----------
    gradient : ndarray of shape (n_steps, n_channels * (2 + 2 * n_directions))
    seen : ndarray of bool, shape (n_steps, n_channels)
        Which values were observed.
    starts : ndarray of shape (n_samples,)

    Returns
    -------
    ndarray of shape (n_steps, n_channels)
        0 where a value is missing.
    """
    blocks = np.split(gradient, gradient.shape[1] // seen.shape[1], axis=1)
    result = np.where(seen, blocks[0], 0.0)
    first = np.repeat(starts, np.diff(starts, append=len(seen)))
    _add_to_last_seen(blocks[2], seen, first, result)
    if len(blocks) == 6:
        ends = np.append(starts[1:], len(seen))
        last = np.repeat(len(seen) - ends, ends - starts)[::-1]
        _add_to_last_seen(blocks[4][::-1], seen[::-1], last, result[::-1])
    return result


def _add_to_last_seen(
    d_above: np.ndarray, seen: np.ndarray, first: np.ndarray, result: np.ndarray
) -> None:
    """Add ∂L/∂d of each step to the observation that its d is made of."""
    before, known = _last_seen(seen, first)
    steps, channels = (known & ~seen).nonzero()
    np.add.at(result, (before[steps, channels], channels), d_above[steps, channels])
