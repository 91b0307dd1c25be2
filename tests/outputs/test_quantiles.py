"""Quantile regression."""

import numpy as np
import pytest

from skgru import GRURegressor
from skgru.model.inference import predict

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("quantiles", [(0.1, 0.5, 0.9), (0.6, 0.5), [0.3]], ids=str)
@pytest.mark.parametrize("steps", [False, True])
@pytest.mark.parametrize("n_targets", [1, 2])
def test_quantiles_do_not_cross(sums, quantiles, steps, n_targets):
    X, Y = sums
    Y = [np.squeeze(v[:, :n_targets], axis=1) if n_targets == 1 else v for v in Y]
    y = Y if steps else np.array([v[-1] for v in Y])
    model = GRURegressor(
        8, loss="quantile", quantiles=quantiles, return_sequences=steps, max_iter=3, random_state=0
    ).fit(X, y)
    # the quantiles of a network begin in order; here they are made to cross
    model.head_.W[:] = np.random.default_rng(0).normal(size=model.head_.W.shape)
    model.head_.b[:] = 0
    predicted = np.concatenate(model.predict(X)) if steps else model.predict(X)
    rows = np.concatenate(Y) if steps else y
    if len(quantiles) == 1:
        assert predicted.shape == rows.shape
    else:
        assert predicted.shape == (*rows.shape, len(quantiles))
        in_order = predicted[..., np.argsort(quantiles)]
        assert (np.diff(in_order, axis=-1) >= 0).all()
        raw = model._run(predict, X)[0].reshape(len(rows), -1, len(quantiles))
        assert (np.diff(raw[..., np.argsort(quantiles)], axis=-1) < 0).any()  # `predict` sorts them
    assert np.isfinite(model.score(X, y))


def test_quantiles_match_the_data():
    """From a constant input the network can only learn the quantiles of y."""
    rng = np.random.default_rng(0)
    X, y = np.ones((400, 2, 1)), rng.exponential(size=400)
    model = GRURegressor(
        4, loss="quantile", quantiles=(0.1, 0.5, 0.9), learning_rate="cosine", max_iter=150,
        random_state=0, tol=0,
    ).fit(X, y)  # fmt: skip
    share = (y[:, None] <= model.predict(X)).mean(axis=0)
    np.testing.assert_allclose(share, [0.1, 0.5, 0.9], atol=0.03)


@pytest.mark.parametrize("quantiles", [(), (0.0, 0.5), (0.5, 1.0), (np.nan,), [[0.5]], "ab"])
def test_invalid_quantiles_are_rejected(sums, quantiles):
    X, _ = sums
    with pytest.raises(ValueError, match="quantiles|could not convert"):
        GRURegressor(loss="quantile", quantiles=quantiles).fit(X, np.arange(30.0))
