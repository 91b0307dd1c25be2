"""Warnings of clipped and of vanishing gradients, and divergence."""

import warnings

import numpy as np
import pytest
from process_helpers import run_forked
from sklearn.datasets import make_regression

from skgru import GRURegressor
from skgru.exceptions import DivergenceWarning, GradientWarning
from skgru.inspection import gradient_flow

ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@ignore_convergence
def test_clipping_of_most_updates_warns():
    X, y = make_regression(64, 4, random_state=0)
    parameters = {"max_iter": 10, "random_state": 0}
    with pytest.warns(GradientWarning, match=r"Most updates were clipped at max_grad_norm=1"):
        model = GRURegressor(4, **parameters).fit(X, y)
    assert min(model.grad_norm_curve_) > 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", GradientWarning)
        GRURegressor(4, max_grad_norm=None, **parameters).fit(X, y)
        GRURegressor(4, max_grad_norm=1e4, **parameters).fit(X, y)
        # too few epochs
        GRURegressor(4, **parameters).partial_fit(X, y)
        GRURegressor(4, **{**parameters, "max_iter": 9}).fit(X, y)
        GRURegressor(4, **parameters).fit(X, y / 1000)


def sums(n_sequences, n_steps, *, by_step=False):
    X = np.random.default_rng(0).normal(size=(n_sequences, n_steps, 1))
    y = X[:, :, 0].cumsum(axis=1) / n_steps
    return X, y if by_step else y[:, -1]


@ignore_convergence
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_vanishing_gradients_of_all_sequences_warn(solver):
    plain = {"cell": "rnn", "solver": solver, "max_iter": 2, "alpha": 10}
    plain |= {"max_grad_norm": None, "random_state": 0}
    with pytest.warns(GradientWarning, match=r"less of it is left there than float32 resolves"):
        model = GRURegressor((8, 8), **plain).fit(*sums(20, 150))
    norms = gradient_flow(model, *sums(20, 150)).layers[1].norms
    assert (norms[:, 0] < 1e-7 * norms[:, -1]).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error", GradientWarning)
        GRURegressor(8, **plain).fit(*sums(20, 3))
        GRURegressor(8, pooling="mean", **plain).fit(*sums(20, 150))
        GRURegressor(8, return_sequences=True, **plain).fit(*sums(20, 150, by_step=True))
        GRURegressor(8, bptt_steps=10, **plain).fit(*sums(20, 150))  # cut on purpose
        # one short sequence among them learns from its first step
        X, y = sums(20, 150)
        GRURegressor(8, **plain).fit([*X, X[0, :3]], [*y, 0.5])
        # sequences without weight or loss have no gradient
        X, y = sums(40, 3)
        GRURegressor(8, **plain).fit(X, y, np.arange(40) >= 32)
        GRURegressor(8, **plain).fit(np.zeros((40, 3, 1)), np.zeros(40))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_divergence_raises(solver):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 5, 1)), 1e25 * rng.normal(size=20)
    model = GRURegressor(4, solver=solver, random_state=0)
    with pytest.raises(ValueError, match="Training diverged: in .* the loss was inf"):
        model.fit(X, y)
    assert not hasattr(model, "n_iter_")


@ignore_convergence
def test_divergence_in_the_last_update_raises(windows):
    X, y = windows
    model = GRURegressor(
        4, solver="sgd", learning_rate_init=1e38, max_iter=1, batch_size=60, max_grad_norm=np.inf
    )
    with pytest.raises(ValueError, match="the last update made the weights infinite"):
        model.partial_fit(X, 1e4 * y)
    # a fit keeps what it had before
    with pytest.warns(DivergenceWarning, match="weights of its best epoch were kept"):
        model.fit(X, 1e4 * y)
    assert np.isfinite(model.predict(X)).all()


def test_a_search_warns_once():
    """Under Python's default filters, whatever contexts of warnings a search opens and closes."""
    script = """
import numpy as np
from sklearn.model_selection import GridSearchCV
from skgru import GRUClassifier
X, y = np.random.default_rng(0).normal(size=(30, 80, 1)), np.arange(30) % 2
rnn = GRUClassifier(4, cell="rnn", max_iter=2, pooling="last", bidirectional=False)
GridSearchCV(rnn, {"alpha": [1e-4, 1e-3, 1e-2]}, cv=3).fit(X, y)
"""
    result = run_forked(script)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("GradientWarning") == 1


@pytest.mark.filterwarnings("ignore::skgru.exceptions.DivergenceWarning")
@ignore_convergence
def test_a_gradient_that_vanishes_in_a_layer_warns_whatever_it_does_below():
    X, y = np.zeros((6, 30, 1)), np.arange(6.0)
    model = GRURegressor((2, 2, 2), cell="rnn", bidirectional=False, warm_start=True)
    model.set_params(max_iter=0, random_state=0).fit(X, y)
    # lost at once in the top layer, 10 times as much at each step below, and an overflow under it
    for layer, factor in zip(model.layers_, [1, 10, 0], strict=True):
        layer.W[:], layer.U[:] = np.eye(*layer.W.shape), factor * np.eye(2)
    with pytest.warns(GradientWarning, match="The gradient vanishes"):
        model.set_params(max_iter=2).fit(X, y)
