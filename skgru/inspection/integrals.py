"""Gradients integrated on the line from a baseline to a sequence, with points where they change.

A recurrent network may cross from one behaviour to another within a hundredth of the line, which
equidistant points miss. The integral of the response's derivative over any part of the line is
known: the difference of the responses at its ends. So a part is split where the quadrature does
not agree with it, for each sequence by itself.
"""

import numpy as np

from skgru.inspection.input_gradients import InputGradients

# Points of Gauss-Legendre quadrature in each part of a line, and parts to begin with. Of 2 to 8
# and 1 to 4, these needed the fewest gradients for one accuracy.
N_NODES = 3
N_PARTS = 4
# A part may have so much less of an error than is allowed in all, and so many times the rounding
# error of the response.
SAFETY = 4
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
    if max_points < N_NODES * N_PARTS:
        raise ValueError(f"max_points must be at least {N_NODES * N_PARTS}, got {max_points}.")
    sequences = network.sequences
    difference = sequences.values - start
    nodes, weights = np.polynomial.legendre.leggauss(N_NODES)
    # parts of lines that remain to be integrated, N_PARTS for each sequence at first
    samples = np.repeat(np.arange(len(sequences)), N_PARTS)
    edges = np.linspace(0, 1, N_PARTS + 1)
    at_edges = np.column_stack(
        [
            network.on_lines(start, samples[::N_PARTS], np.full(len(sequences), edge))
            for edge in edges
        ]
    )
    low, high = np.tile(edges[:-1], len(sequences)), np.tile(edges[1:], len(sequences))
    f_low, f_high = at_edges[:, :-1].ravel(), at_edges[:, 1:].ravel()
    # the errors of several parts add up; and a difference near zero is nothing but rounding errors
    allowed = tol * np.abs(at_edges[:, -1] - at_edges[:, 0]) / SAFETY
    allowed += ROUNDING * np.finfo(network.dtype).eps * np.abs(at_edges).max(axis=1)
    n_points = np.zeros(len(sequences), dtype=np.intp)
    total = np.zeros(start.shape)
    while len(samples):
        widths = high - low
        points = low[:, np.newaxis] + widths[:, np.newaxis] * (nodes + 1) / 2
        rows, lengths = sequences.rows(samples), sequences.lengths[samples]
        gradients = network.mean_gradients(start, samples, points, weights / 2)
        gradients *= np.repeat(widths, lengths)[:, np.newaxis]
        sums = np.add.reduceat(
            (gradients * difference[rows]).sum(axis=1), np.cumsum(lengths) - lengths
        )
        np.add.at(n_points, samples, N_NODES)
        errors = np.abs(f_high - f_low - sums)
        wrong = np.flatnonzero(errors > allowed[samples])
        # the largest errors of each sequence first, if there are more than points for them
        wrong = wrong[np.lexsort((-errors[wrong], samples[wrong]))]
        rank = np.arange(len(wrong)) - np.searchsorted(samples[wrong], samples[wrong])
        affordable = n_points[samples[wrong]] + 2 * N_NODES * (rank + 1) <= max_points
        split = np.zeros(len(samples), dtype=bool)
        split[wrong[affordable]] = True
        accepted = np.repeat(~split, lengths)
        np.add.at(total, rows[accepted], gradients[accepted])

        samples, low, high = samples[split], low[split], high[split]
        f_low, f_high = f_low[split], f_high[split]
        middle = (low + high) / 2
        f_middle = network.on_lines(start, samples, middle) if len(samples) else middle
        samples = np.repeat(samples, 2)
        low, high = np.column_stack([low, middle]).ravel(), np.column_stack([middle, high]).ravel()
        f_low = np.column_stack([f_low, f_middle]).ravel()
        f_high = np.column_stack([f_middle, f_high]).ravel()
    found = {
        "responses": at_edges[:, -1],
        "baseline_responses": at_edges[:, 0],
        "n_points": n_points,
    }
    return total, found
