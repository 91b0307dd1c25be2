"""Estimators that are built from given parameters."""

import numpy as np
import pytest

from skgru import GRUClassifier, GRURegressor


@pytest.mark.parametrize("pooling", ["last", "attention"])
def test_fit_to_parameters(ragged, pooling):
    X, y = ragged
    model = GRUClassifier(
        (5, 3),
        bidirectional=True,
        pooling=pooling,
        max_iter=2,
        learning_rate="cosine",
        random_state=0,
    ).fit(X, y)
    given = model._network.views(model._network.parameters)
    copy = GRUClassifier((5, 3), bidirectional=True, pooling=pooling)
    copy._fit_to_parameters(X[:1], ["down", "up"], given)
    assert (copy.predict_proba(X) == model.predict_proba(X)).all()
    assert (copy.n_iter_, copy.t_, copy.loss_curve_, copy.loss_) == (0, 0, [], np.inf)
    assert copy.n_features_in_ == model.n_features_in_
    assert copy.partial_fit(X, y).n_iter_ == 1
    assert (copy.head_.W != model.head_.W).any()


def test_parameters_of_another_shape_are_rejected(ragged):
    X = ragged[0]
    model = GRURegressor(4, max_grad_norm=None, max_iter=2, learning_rate="cosine", random_state=0)
    model.fit(X, np.arange(40) / 40)
    given = model._network.views(model._network.parameters)
    other = GRURegressor(5)
    with pytest.raises(ValueError, match=r"has shape \(2, 12\), expected \(2, 15\)"):
        other._fit_to_parameters(X[:1], [1.0], given)
    assert not hasattr(other, "_network")
