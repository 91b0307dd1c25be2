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
    rows = np.arange(len(values))[:, np.newaxis]
    observed = np.maximum.accumulate(np.where(seen, rows, -1), axis=0)
    before = np.vstack([np.full((1, values.shape[1]), -1), observed[:-1]])
    known = before >= first[:, np.newaxis]
    since = np.where(known, before, first[:, np.newaxis])
    above = np.take_along_axis(values, since, axis=0) - means
    return [np.where(known & ~seen, above, 0.0), times[:, np.newaxis] - times[since]]
