"""The output layer starts at the best constant prediction."""

import warnings

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPRegressor

from skgru import GRUClassifier, GRURegressor
from skgru.outputs import Labels, Multilabel, Numbers, Quantiles


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return rng.gamma(2.0, size=(40, 2)), rng.uniform(0.5, 2, size=40)


@pytest.mark.parametrize(
    "outputs",
    [
        Numbers(2, "squared_error"), Numbers(2, "absolute_error"), Numbers(2, "huber"),
        Numbers(2, "poisson"), Quantiles(2, (0.9, 0.2, 0.5)),
    ],
    ids=str,
)  # fmt: skip
def test_numbers_start_where_no_constant_is_better(rows, outputs):
    y, weights = rows
    best = outputs.loss.best_constant(y, weights)
    assert best.shape == (outputs.n_outputs,)

    def loss(constant):
        return weights @ outputs.loss.of_rows(y, np.tile(constant, (len(y), 1)))

    # Huber's constant is scikit-learn's approximation
    tolerance = 0.02 if "huber" in str(outputs) else 1e-6
    for change in 0.05 * np.vstack([np.eye(len(best)), -np.eye(len(best))]):
        assert loss(best) <= loss(best + change) * (1 + tolerance)


def test_labels_start_at_their_shares():
    weights = np.array([1.0, 1, 2, 4])
    many = Labels(np.array(["a", "b", "c"])).loss.best_constant(
        np.array([[0.0], [0], [1], [2]]), weights
    )
    shares = np.array([2, 2, 4]) + weights.mean()
    np.testing.assert_allclose(np.exp(many) / np.exp(many).sum(), shares / shares.sum())
    two = Labels(np.array([0, 1])).loss.best_constant(np.array([[0.0], [0], [1], [1]]), weights)
    np.testing.assert_allclose(two, np.log((6 + 2) / (2 + 2)))
    several = Multilabel(2).loss.best_constant(np.array([[0.0, 1], [0, 1]]), np.ones(2))
    np.testing.assert_allclose(several, [np.log(1 / 3), np.log(3)])


def test_an_untrained_classifier_predicts_about_the_shares():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 3, 1)), np.r_[np.zeros(180), np.ones(20)]
    model = GRUClassifier(8, max_iter=0, random_state=0).fit(X, y)
    dummy = DummyClassifier(strategy="prior").fit(X[:, 0], y)
    prior = log_loss(y, dummy.predict_proba(X[:, 0]))
    assert log_loss(y, model.predict_proba(X)) < 1.2 * prior < log_loss(y, np.full(200, 0.5))


@pytest.mark.parametrize("level", [-1e3, 1e3, 1e6])
def test_targets_of_any_level(windows, level):
    """As good as at level 0, where an MLP begins far off."""
    X, y = windows
    how = {"hidden_layer_sizes": 16, "random_state": 0, "dtype": "float64"}
    at_zero = GRURegressor(**how).fit(X, y).score(X, y)
    model = GRURegressor(**how).fit(X, y + level)
    assert model.score(X, y + level) > at_zero - 0.02 > 0.9
    if abs(level) == 1e3:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mlp = MLPRegressor(hidden_layer_sizes=(16,), random_state=0, max_iter=100).fit(
                X, y + level
            )
        assert model.score(X, y + level) > mlp.score(X, y + level)


def test_an_untrained_regressor_predicts_about_the_mean(windows):
    X, y = windows
    model = GRURegressor(8, max_iter=0, random_state=0).fit(X, y + 1e4)
    dummy = DummyRegressor().fit(X, y + 1e4)
    assert np.abs(model.predict(X) - dummy.predict(X)).max() < 3


def test_chunks_that_lack_a_class(ragged):
    """The absent class stays possible."""
    X, y = ragged
    model = GRUClassifier(4, random_state=0)
    model.partial_fit(X[:20], y[:20], classes=["down", "left", "up"])
    assert (model.predict_proba(X)[:, 1] > 1e-3).all()
