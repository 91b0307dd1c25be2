"""Gradients integrated on the line from a baseline to a sequence, with points where they change.

A recurrent network may cross from one behaviour to another within a hundredth of the line, which
evenly spaced points miss. The integral of the response's derivative over any part of the line is
known: the difference of the responses at its ends. So a part is split where the quadrature does
not agree with it, for each sequence by itself.
"""

import numpy as np
from sklearn.utils import gen_batches

from skgru.inspection.input_gradients import MAX_NUMBERS, InputGradients

# Boole's rule: nodes at equal distances, so that the halves of a part use all nodes of the whole.
WEIGHTS = np.array([7, 32, 12, 32, 7]) / 90
# A line has so many parts at first, which share the nodes at their ends.
N_PARTS = 4
N_FIRST = 4 * N_PARTS + 1
N_MORE = 4  # nodes of a part that is split
# A part may have so much less of an error than is allowed in all, and so many times the rounding
# error of the response.
SAFETY = 6
ROUNDING = 8


def integrate(
    network: InputGradients, start: np.ndarray, *, tol: float, max_points: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Compute the mean gradients on the lines that end at the sequences.

    Parameters
    ----------
    network : InputGradients
    start : ndarray of shape (sum of lengths, n_channels)
        Where the line of each sequence begins.
    tol : float
        Error of the sum of attributions at which a line is not split further, relative to the
        difference of the responses at its ends.
    max_points : int
        Number of gradients for each sequence, at most.

    Returns
    -------
    gradients : ndarray of shape (sum of lengths, n_channels)
    found : dict of ndarray of shape (n_samples,)
        "responses" and "baseline_responses" at the ends of the lines, and "n_points".

    Raises
    ------
    ValueError
        If there are fewer points than a line has at first.
    """
    if max_points < N_FIRST:
        raise ValueError(f"max_points must be at least {N_FIRST}, got {max_points}.")
    sequences = network.sequences
    ends = np.empty((2, len(sequences)))
    n_points = np.full(len(sequences), N_FIRST)
    total = np.zeros(start.shape)
    # gradients at all nodes, and as much again for the parts that are split
    numbers = 2 * N_FIRST * int(sequences.lengths.max()) * sequences.n_channels
    for group in gen_batches(len(sequences), max(1, MAX_NUMBERS // numbers)):
        samples = np.arange(len(sequences))[group]
        ends[:, group] = _integrate(
            network, start, samples, total, n_points, tol=tol, max_points=max_points
        )
    found = {"responses": ends[1], "baseline_responses": ends[0], "n_points": n_points}
    return total, found


def _integrate(
    network: InputGradients,
    start: np.ndarray,
    samples: np.ndarray,
    total: np.ndarray,
    n_points: np.ndarray,
    *,
    tol: float,
    max_points: int,
) -> np.ndarray:
    """Add the mean gradients of some samples to `total`; return the responses at both ends."""
    sequences = network.sequences
    f, g = _at(network, start, samples, np.linspace(0, 1, N_FIRST)[:, np.newaxis])
    ends = f[[0, -1]]
    # the errors of several parts add up; and a difference near zero is nothing but rounding errors
    allowed = np.zeros(len(sequences))
    allowed[samples] = tol * np.abs(ends[1] - ends[0]) / SAFETY
    allowed[samples] += ROUNDING * np.finfo(network.dtype).eps * np.abs(f).max(axis=0)
    # parts of lines, and their nodes: f is (5, n_parts), g is (5, rows of the parts, n_channels)
    first = range(0, N_FIRST - 1, N_MORE)
    low = np.repeat(np.linspace(0, 1, N_PARTS, endpoint=False), len(samples))
    width = np.full(len(low), 1 / N_PARTS)
    samples = np.tile(samples, N_PARTS)
    f, g = (np.concatenate([nodes[k : k + 5] for k in first], axis=1) for nodes in (f, g))
    while len(samples):
        rows, lengths = sequences.rows(samples), sequences.lengths[samples]
        integrals = np.tensordot(WEIGHTS, g, axes=1) * np.repeat(width, lengths)[:, np.newaxis]
        changes = (integrals * (sequences.values[rows] - start[rows])).sum(axis=1)
        sums = np.add.reduceat(changes, np.cumsum(lengths) - lengths)
        split = _to_split(
            np.abs(f[-1] - f[0] - sums), allowed[samples], samples, n_points, max_points
        )
        kept = np.repeat(split, lengths)
        np.add.at(total, rows[~kept], integrals[~kept])

        samples, low, width = samples[split], low[split], width[split] / 2
        np.add.at(n_points, samples, N_MORE)
        more = low + width / 4 * np.arange(1, 8, 2)[:, np.newaxis]
        f, g = (
            np.concatenate(_halves(nodes, new), axis=1)
            for nodes, new in zip(
                (f[:, split], g[:, kept]), _at(network, start, samples, more), strict=True
            )
        )
        samples, width = np.tile(samples, 2), np.tile(width, 2)
        low = np.concatenate([low, low + width[: len(low)]])
    return ends


def _at(
    network: InputGradients, start: np.ndarray, samples: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return responses, (n_points, n_samples), and gradients, (n_points, rows, n_channels)."""
    n_points = len(points)
    points = np.broadcast_to(points, (n_points, len(samples))).ravel()
    if not len(points):
        return np.empty((n_points, 0)), np.empty((n_points, 0, start.shape[1]))
    responses, gradients = network.on_lines(start, np.tile(samples, n_points), points)
    return (
        responses.reshape(n_points, -1),
        gradients.reshape(n_points, -1, start.shape[1]),
    )


def _to_split(
    errors: np.ndarray,
    allowed: np.ndarray,
    samples: np.ndarray,
    n_points: np.ndarray,
    max_points: int,
) -> np.ndarray:
    """Return a mask of the parts that are split: those with the largest errors of each sample."""
    wrong = np.flatnonzero(errors > allowed)
    wrong = wrong[np.lexsort((-errors[wrong], samples[wrong]))]
    rank = np.arange(len(wrong)) - np.searchsorted(samples[wrong], samples[wrong])
    split = np.zeros(len(samples), dtype=bool)
    split[wrong[n_points[samples[wrong]] + N_MORE * (rank + 1) <= max_points]] = True
    return split


def _halves(nodes: np.ndarray, between: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the five nodes of both halves of parts, given theirs and the four between them."""
    both = np.empty((9, *nodes.shape[1:]))
    both[::2], both[1::2] = nodes, between
    return both[:5], both[4:]
