"""Every solver: learning, stopping and clipping."""

import numpy as np
import pytest
from helpers import small_classifier
from sklearn.datasets import make_regression
from sklearn.exceptions import ConvergenceWarning

from skgru import GRURegressor
from skgru.training.history import MIN_UPDATES, Patience

ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_patience_counts_epochs_without_improvement():
    patience = Patience(tol=0.1, n_iter_no_change=2)
    late = MIN_UPDATES
    assert [patience.exhausted(v, late) for v in (5, 4, 3.95, 3.91, 3.8)] == [False] * 5
    after = [patience.exhausted(v, late) for v in (3.75, 3.75, 3.75, 3.75)]
    assert after == [False, False, True, False]


@ignore_convergence
@pytest.mark.parametrize(
    "parameters",
    [
        dict(solver="adam"),
        dict(solver="adam", learning_rate="invscaling", power_t=0.1),
        dict(solver="sgd", learning_rate_init=0.1),
        dict(solver="sgd", learning_rate_init=0.3, momentum=0.0),
        dict(solver="sgd", learning_rate_init=0.1, nesterovs_momentum=False),
        dict(solver="lbfgs"),
        dict(solver="lbfgs", dtype="float64"),
        dict(shuffle=False),
        dict(batch_size=7, max_grad_norm=np.inf),
        dict(solver="adamw", alpha=0.01),
        dict(solver="rmsprop"),
        dict(learning_rate="cosine", warmup_updates=10),
        dict(dropout=0.2, recurrent_dropout=0.2, max_grad_norm=None),
        dict(bptt_steps=2, pooling="mean"),
    ],
    ids=str,
)
def test_every_solver_learns(ragged, parameters):
    X, y = ragged
    model = small_classifier(max_iter=60, **parameters).fit(X, y)
    assert model.score(X, y) > 0.9
    assert model.loss_ < 0.7 * model.loss_curve_[0]


def test_lbfgs_ends_at_a_stationary_point(ragged):
    model = small_classifier(solver="lbfgs", dtype="float64", alpha=1.0, tol=1e-6, max_iter=1000)
    model.fit(*ragged)
    assert model.n_iter_ < 1000
    # small beside the first one, though that is small too: the output bias starts at its best
    assert model.grad_norm_curve_[-1] <= 1e-3 * model.grad_norm_curve_[0]
    assert (np.diff(model.loss_curve_) <= 0).all()


def test_max_iter_warns():
    X, y = make_regression(20, 4, random_state=0)
    y /= 1000
    GRURegressor(4, max_iter=3, learning_rate="cosine", random_state=0).fit(X, y)  # ends there
    with pytest.warns(ConvergenceWarning, match="max_iter=3 epochs"):
        model = GRURegressor(4, max_iter=3, learning_rate="constant", random_state=0).fit(X, y)
    assert model.n_iter_ == 3
    with pytest.warns(ConvergenceWarning, match="L-BFGS stopped .* after 3 iterations"):
        model = GRURegressor(4, max_iter=3, solver="lbfgs", random_state=0).fit(X, y)
    assert model.n_iter_ == 3
    with pytest.warns(ConvergenceWarning, match="L-BFGS stopped"):
        GRURegressor(4, max_fun=2, solver="lbfgs", random_state=0).fit(X, y)


def test_training_stops_without_improvement(ragged):
    X, y = ragged
    how = {"tol": 10.0, "n_iter_no_change": 3, "learning_rate": "constant", "batch_size": 1}
    model = small_classifier(**how).fit(X, y)
    assert model.n_iter_ == 1000 // 40  # after 1,000 updates, of 40 per epoch


@ignore_convergence
def test_clipping_bounds_the_update(ragged):
    X, y = ragged
    common = dict(
        solver="sgd", momentum=0.0, learning_rate_init=1.0, max_iter=1, batch_size=40, alpha=0.0,
        dtype="float64", warmup_updates=0,
    )  # fmt: skip
    start = small_classifier(**common, max_grad_norm=1e-12).fit(X, y)
    clipped = small_classifier(**common, max_grad_norm=0.01).fit(X, y)
    free = small_classifier(**common, max_grad_norm=None).fit(X, y)

    def distance(a, b):
        return np.linalg.norm(a._network.parameters - b._network.parameters)

    assert free.grad_norm_curve_[0] == clipped.grad_norm_curve_[0] > 0.1
    np.testing.assert_allclose(distance(clipped, start), 0.01, rtol=1e-6)
    np.testing.assert_allclose(distance(free, start), free.grad_norm_curve_[0], rtol=1e-6)
