"""Predictions depend on what was fitted, and not on parameters that were changed after it."""

import numpy as np
import pytest

from skgru import GRUClassifier, GRURegressor

CHANGES = [
    {"pooling": "attention"}, {"pooling": "max"}, {"bidirectional": True}, {"cell": "lstm"},
    {"hidden_layer_sizes": 3}, {"return_sequences": True}, {"dtype": "float64"}, {"n_channels": 2},
]  # fmt: skip


@pytest.mark.parametrize("change", [*CHANGES, {"class_weight": "balanced"}], ids=str)
def test_a_classifier(ragged, change):
    X, y = ragged
    model = GRUClassifier(4, bidirectional=False, max_iter=2, random_state=0).fit(X, y)
    before = model.predict_proba(X), model.score(X, y), model.transform(X)
    first = model.stream().step_proba(X[0][0])
    model.set_params(**change)
    after = model.predict_proba(X), model.score(X, y), model.transform(X)
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(model.stream().step_proba(X[0][0]), first)


@pytest.mark.parametrize(
    "change",
    [*CHANGES, {"loss": "poisson"}, {"loss": "quantile"}, {"quantiles": (0.5,)}],
    ids=str,
)
@pytest.mark.parametrize("loss", ["squared_error", "poisson", "quantile"])
def test_a_regressor(windows, loss, change):
    X, y = windows
    model = GRURegressor(4, loss=loss, max_iter=2, random_state=0).fit(X, y + 1)
    before, score = model.predict(X), model.score(X, y + 1)
    model.set_params(**change)
    np.testing.assert_array_equal(model.predict(X), before)
    assert model.score(X, y + 1) == score


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_another_loss_does_not_continue_a_model(windows, method):
    X, y = windows
    model = GRURegressor(4, max_iter=1, warm_start=True, random_state=0).fit(X, y + 1)
    model.set_params(loss="poisson")
    with pytest.raises(ValueError, match="loss='poisson' differs from 'squared_error'"):
        getattr(model, method)(X, y + 1)
