"""Early stopping, on held-out samples and on given validation data."""

import numpy as np
import pytest
from helpers import small_classifier
from sklearn import config_context
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRURegressor
from skgru.outputs import Labels
from skgru.preprocessing import PerTimestep

ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# of the estimator's own score, at a rate that does not depend on max_iter
OWN_SCORE = {"early_stopping": True, "scoring": None, "learning_rate": "constant"}


def last_best(model):
    """Index of the epoch with the best score, of equal ones the latest."""
    scores = np.array(model.validation_scores_)
    return int(np.flatnonzero(scores == scores.max())[-1])


@ignore_convergence
def test_early_stopping_restores_the_best_weights(ragged):
    X, y = ragged
    validation = {"X_val": X[28:], "y_val": y[28:]}
    model = small_classifier(**OWN_SCORE, n_iter_no_change=5, max_iter=300)
    model.fit(X[:28], y[:28], **validation)
    assert model.n_iter_ == len(model.validation_scores_) < 300
    best = last_best(model)
    assert model.best_validation_score_ == model.validation_scores_[best]
    assert model.best_loss_ is None
    assert model.t_ == 28 * model.n_iter_
    # training that ends at the best epoch gives the same weights
    short = small_classifier(**OWN_SCORE, max_iter=best + 1).fit(X[:28], y[:28], **validation)
    np.testing.assert_array_equal(short.predict_proba(X), model.predict_proba(X))


@ignore_convergence
def test_early_stopping_uses_weights_and_strata(ragged, monkeypatch):
    X, y = ragged
    seen = []
    score = Labels.score

    def spy(self, y, predictions, weights):
        seen.append((y, weights))
        return score(self, y, predictions, weights)

    monkeypatch.setattr(Labels, "score", spy)
    weights = np.arange(1.0, 41)
    gru = small_classifier(**OWN_SCORE, validation_fraction=0.2, max_iter=1)
    gru.fit(X, y, weights)
    ((held_out, w),) = seen
    assert len(held_out) == 8
    assert (held_out == "up").sum() == 4
    assert set(32 * w) <= set(weights)  # a power of two is taken out
    gru.set_params(validation_split="last").fit(X, y, weights)
    np.testing.assert_array_equal(seen[1][0], y[-8:])
    np.testing.assert_array_equal(32 * seen[1][1], weights[-8:])


@ignore_convergence
def test_validation_data_can_be_given(ragged):
    X, y = ragged
    gru = small_classifier(**OWN_SCORE, max_iter=20)
    model = gru.fit(X[:30], y[:30], X_val=X[30:], y_val=y[30:], sample_weight_val=np.arange(10.0))
    assert model.t_ == 30 * model.n_iter_
    best = last_best(model)
    weights = np.arange(10.0)
    assert model.best_validation_score_ == model.score(X[30:], y[30:], weights)
    # nothing of the training set is held out
    short = small_classifier(**OWN_SCORE, max_iter=best + 1)
    short.fit(X[:30], y[:30], X_val=X[30:], y_val=y[30:], sample_weight_val=weights)
    np.testing.assert_array_equal(short.predict_proba(X), model.predict_proba(X))


def test_validation_data_through_a_pipeline(ragged):
    X, y = ragged
    with config_context(enable_metadata_routing=True):
        gru = small_classifier(early_stopping=True, scoring=None, max_iter=5, max_grad_norm=None)
        gru.set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(PerTimestep(StandardScaler()), gru, transform_input=["X_val"])
        pipeline.fit(X[:30], y[:30], X_val=X[30:], y_val=y[30:])
    scaled = pipeline[0].transform(X[30:])
    assert gru.best_validation_score_ == gru.score(scaled, y[30:])
    assert pipeline.score(X[30:], y[30:]) == gru.best_validation_score_


def test_invalid_validation_data_is_rejected(ragged):
    X, y = ragged
    gru = small_classifier(early_stopping=True)
    with pytest.raises(ValueError, match="X_val is given, but not y_val"):
        gru.fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="y_val is given, but not X_val"):
        gru.fit(X, y, y_val=y)
    with pytest.raises(ValueError, match="sample_weight_val is given"):
        gru.fit(X, y, sample_weight_val=np.ones(40))
    with pytest.raises(ValueError, match="X_val and y_val need a stochastic solver"):
        small_classifier(solver="lbfgs").fit(X, y, X_val=X, y_val=y)
    with pytest.raises(ValueError, match="X has 1 channels, but GRUClassifier was fitted on"):
        gru.fit(X, y, X_val=[x[:, :1] for x in X], y_val=y)
    with pytest.raises(ValueError, match="labels that are not in classes"):
        gru.fit(X, y, X_val=X, y_val=np.full(40, "sideways"))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        gru.fit(X, y, X_val=X, y_val=y[:3])
    assert not hasattr(gru, "n_iter_")


def test_early_stopping_for_regression(windows):
    model = GRURegressor(8, early_stopping=True, random_state=0, max_iter=300).fit(*windows)
    assert model.score(*windows) > 0.8


def test_early_stopping_needs_samples(ragged):
    X, _ = ragged
    with pytest.raises(ValueError, match="validation_fraction=0.01 of 40 samples leaves fewer"):
        GRURegressor(early_stopping=True, validation_fraction=0.01).fit(X, np.arange(40))
    weights = np.r_[1.0, np.zeros(39)]
    with pytest.raises(ValueError, match="fewer than 2 of positive weight"):
        GRURegressor(early_stopping=True).fit(X, np.arange(40), sample_weight=weights)
