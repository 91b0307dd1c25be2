"""Attention pooling."""

import numpy as np
import pytest
from network_helpers import ALONE, arrays, network, one_or_both_directions, problem

from skgru import GRUClassifier
from skgru.model.inference import attention_weights, pool


@one_or_both_directions
def test_attention_with_a_query_of_zeros_is_the_mean(bidirectional):
    mean, attention = (
        network(top=top, bidirectional=bidirectional) for top in ("mean", "attention")
    )
    for new, old in zip(
        arrays(attention, attention.parameters)[:-3],
        arrays(mean, mean.parameters)[:-2],
        strict=True,
    ):
        new[:] = old
    attention.views(attention.parameters).query[:] = 0
    sequences = problem(mean)["sequences"]
    np.testing.assert_allclose(
        pool(attention, sequences, ALONE), pool(mean, sequences, ALONE), rtol=1e-12
    )
    np.testing.assert_allclose(
        attention_weights(attention, sequences, ALONE),
        np.repeat(1 / sequences.lengths, sequences.lengths),
    )


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_attention_weights_are_larger_from_the_relevant_step_on():
    """The class is the second channel of the one step whose first channel is 1."""
    rng = np.random.default_rng(0)
    X, y, where = [], [], []
    for _ in range(200):
        x = np.column_stack([np.zeros(n := rng.integers(5, 15)), rng.choice([-1.0, 1.0], n)])
        where.append(rng.integers(n))
        x[where[-1], 0] = 1
        X.append(x)
        y.append(int(x[where[-1], 1]))
    model = GRUClassifier(16, pooling="attention", max_iter=60, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    weights = model.attention_weights(X)
    for x, w in zip(X, weights, strict=True):
        assert w.shape == (len(x),)
        np.testing.assert_allclose(w.sum(), 1, rtol=1e-5)
    # at that step, or after it: the state has seen the mark
    share = [w[i:].sum() / (len(w) - i) * len(w) for w, i in zip(weights, where, strict=True)]
    assert np.mean(share) > 1.2
    padded = np.full((200, 14, 2), np.nan)
    for i, x in enumerate(X):
        padded[i, : len(x)] = x
    in_array = model.attention_weights(padded)
    for row, w in zip(in_array, weights, strict=True):
        np.testing.assert_array_equal(row[: len(w)], w)
        assert np.isnan(row[len(w) :]).all()
    assert not hasattr(GRUClassifier(), "attention_weights")
    assert not hasattr(GRUClassifier().fit(X, y), "query_")
