"""Gaps beside a loop that follows the recursion of Che et al. 2018."""

import numpy as np
import pytest

from skgru.sequences.gaps import gaps

D = 3
LENGTHS = [4, 1, 6, 2]
STARTS = np.cumsum([0, *LENGTHS[:-1]])


def problem(part, seed=0):
    """Return values with gaps, uneven times, and means of the channels."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(sum(LENGTHS), D))
    values[rng.random(values.shape) < part] = np.nan
    # some steps at the same time, and sequences that begin long after the others
    times = np.concatenate([rng.integers(0, 3, n).cumsum() + 100.0 * i for i, n in
                            enumerate(LENGTHS)])  # fmt: skip
    return values, times, rng.normal(size=D)


def reference(x, s, means):
    """Return a | m and d | δ of one sequence, channel by channel and step by step.

    In the paper, δ_t is 0 at the first step, s_t - s_{t-1} after an observed value, and that more
    than δ_{t-1} after a missing one.
    """
    a, m, d, delta = (np.zeros(x.shape) for _ in range(4))
    for c in range(D):
        last = None
        for t in range(len(x)):
            if t > 0:
                between = s[t] - s[t - 1]
                delta[t, c] = between if m[t - 1, c] else between + delta[t - 1, c]
            m[t, c] = not np.isnan(x[t, c])
            if m[t, c]:
                a[t, c] = last = x[t, c]
            else:
                a[t, c] = means[c]
                d[t, c] = 0 if last is None else last - means[c]
    return np.hstack([a, m]), np.hstack([d, delta])


@pytest.mark.parametrize("part", [0, 0.5, 0.9, 1])
@pytest.mark.parametrize("n_directions", [1, 2])
def test_gaps_follow_the_recursion(part, n_directions):
    values, times, means = problem(part)
    got = gaps(values, times, STARTS, means, n_directions)
    expected = []
    for start, length in zip(STARTS, LENGTHS, strict=True):
        x, s = values[start:][:length], times[start:][:length]
        blocks = [*reference(x, s, means)]
        if n_directions == 2:  # reads the last step first, at times that are counted from the end
            blocks.append(reference(x[::-1], -s[::-1], means)[1][::-1])
        expected.append(np.hstack(blocks))
    np.testing.assert_allclose(got, np.concatenate(expected), rtol=1e-12, atol=1e-12)


def test_nothing_missing_is_left_as_it_is():
    values, times, means = problem(0)
    got = gaps(values, times, STARTS, means, 1)
    np.testing.assert_array_equal(got[:, :D], values)
    assert (got[:, D : 2 * D] == 1).all()
    assert (got[:, 2 * D : 3 * D] == 0).all()


@pytest.mark.parametrize("n_directions", [1, 2])
def test_no_sequence_sees_another(n_directions):
    values, times, means = problem(0.6)
    together = gaps(values, times, STARTS, means, n_directions)
    alone = [
        gaps(values[start:][:length], times[start:][:length], np.array([0]), means, n_directions)
        for start, length in zip(STARTS, LENGTHS, strict=True)
    ]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_before_the_first_observation_the_time_since_the_beginning_counts():
    values = np.array([[np.nan], [np.nan], [5.0], [np.nan]])
    got = gaps(values, np.array([3.0, 4, 7, 9]), np.array([0]), np.array([2.0]), 1)
    a_m_d_delta = [[2, 0, 0, 0], [2, 0, 0, 1], [5, 1, 0, 4], [2, 0, 3, 2]]
    np.testing.assert_array_equal(got, a_m_d_delta)
