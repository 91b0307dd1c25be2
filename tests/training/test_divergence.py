"""A fit that diverges returns to its best weights."""

import warnings

import numpy as np
import pytest
from sklearn.metrics import log_loss, mean_squared_error

from skgru import GRUClassifier, GRURegressor
from skgru.exceptions import DivergenceWarning
from skgru.training.objective import Objective

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning"),
]


@pytest.mark.parametrize("learning_rate", ["constant", "cosine", "invscaling", "adaptive"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_rate_that_is_far_too_high(ragged, solver, learning_rate):
    X, y = ragged
    how = {"solver": solver, "learning_rate": learning_rate, "random_state": 0}
    model = GRUClassifier(8, learning_rate_init=100.0, max_iter=60, **how)
    with pytest.warns(DivergenceWarning, match="loss rose far above its minimum"):
        model.fit(X, y)
    assert log_loss(y, model.predict_proba(X)) <= 1.01 * min(model.loss_curve_)
    assert np.isfinite(model._network.parameters).all()


def test_numbers_of_a_large_scale(windows):
    X, y = windows
    model = GRURegressor(
        8, learning_rate_init=3000.0, max_grad_norm=None, max_iter=60, random_state=0
    )
    with pytest.warns(DivergenceWarning):
        model.fit(X, y)
    error = mean_squared_error(y, model.predict(X)) / 2
    assert error <= 1.01 * min(model.loss_curve_)


def test_a_ruined_last_epoch_is_taken_back(monkeypatch, ragged):
    """As if the very last update had been a disaster that is still finite."""
    X, y = ragged
    minibatch, n = Objective.minibatch, [0]

    def ruined(self, samples):
        n[0] += 1
        value, gradient, norm = minibatch(self, samples)
        if n[0] == 195:  # of 200
            self.network.parameters[:] *= 2.0
        return value, gradient, norm

    how = {"learning_rate": "constant", "max_iter": 20, "random_state": 0}
    good = GRUClassifier(8, **how).fit(X, y)
    monkeypatch.setattr(Objective, "minibatch", ruined)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = GRUClassifier(8, **how).fit(X, y)
    diverged = [w for w in caught if issubclass(w.category, DivergenceWarning)]
    assert len(diverged) == (model.loss_curve_[-1] > 1.1 * min(model.loss_curve_))
    assert log_loss(y, model.predict_proba(X)) < 2 * log_loss(y, good.predict_proba(X)) + 0.1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite(monkeypatch, ragged, bad):
    X, y = ragged
    minibatch, n = Objective.minibatch, [0]

    def broken(self, samples):
        n[0] += 1
        value, gradient, norm = minibatch(self, samples)
        return value, gradient, bad if n[0] == 55 else norm

    monkeypatch.setattr(Objective, "minibatch", broken)
    with pytest.warns(DivergenceWarning, match="continued from its best weights"):
        model = GRUClassifier(8, max_iter=20, random_state=0).fit(X, y)
    assert model.n_iter_ == 20
    assert model.score(X, y) > 0.9


def test_what_never_is_finite_raises_and_changes_nothing(monkeypatch, ragged):
    X, y = ragged
    model = GRUClassifier(4, max_iter=2, random_state=0).fit(X, y)
    before = model.predict_proba(X)
    monkeypatch.setattr(
        Objective, "minibatch", lambda self, samples: (np.nan, self.network.parameters, np.nan)
    )
    with pytest.raises(ValueError, match="Training diverged: in epoch"):
        model.fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), before)


@pytest.mark.filterwarnings("error::skgru.exceptions.DivergenceWarning")
def test_a_good_fit_does_not_warn(ragged):
    X, y = ragged
    GRUClassifier(8, random_state=0).fit(X, y)
    # half the Poisson deviance, without the part that depends on y alone, is below 0
    counts = np.random.default_rng(0).poisson(20, size=40)
    model = GRURegressor(8, loss="poisson", random_state=0).fit(X, counts)
    assert model.loss_ < 0
    for loss in ("squared_error", "absolute_error", "huber", "quantile"):
        GRURegressor(8, loss=loss, random_state=0).fit(X, counts)


@pytest.mark.filterwarnings("error::skgru.exceptions.DivergenceWarning")
def test_noise_is_no_divergence():
    """Where there is nothing to learn, the loss and its tiny gradient go up and down."""
    rng = np.random.default_rng(0)
    GRUClassifier(8, max_iter=3, random_state=0).fit(np.zeros((10, 4)), np.arange(10) % 2)
    for estimator in (GRUClassifier(8, random_state=0), GRURegressor(8, random_state=0)):
        estimator.fit(rng.normal(size=(60, 5, 1)), rng.integers(2, size=60))
        estimator.fit(np.zeros((60, 5, 1)), rng.integers(2, size=60))
