"""Losses: values, and gradients against finite differences."""

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn._loss.loss import HalfBinomialLoss
from sklearn.metrics import mean_pinball_loss, mean_poisson_deviance

from skgru import GRURegressor
from skgru.losses import REGRESSION_LOSSES, Elementwise, Pinball, log_loss

LOSSES = {
    "binary": (log_loss(2), np.array([[0.0], [1], [1], [0]]), 1),
    "multiclass": (log_loss(3), np.array([[0.0], [2], [1], [1]]), 3),
    "multilabel": (Elementwise(HalfBinomialLoss()), np.eye(4)[:, :3], 3),
    **{
        name: (Elementwise(loss()), np.abs(np.arange(12.0).reshape(4, 3) - 5), 3)
        for name, loss in REGRESSION_LOSSES.items()
    },
    "quantile": (Pinball([0.1, 0.5, 0.9]), np.arange(8.0).reshape(4, 2) - 4, 6),
}


WEIGHTS = np.array([1.0, 2.0, 0.0, 0.5])


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_of_a_loss_matches_finite_differences(name):
    loss, y, n_outputs = LOSSES[name]
    outputs = np.random.default_rng(0).normal(size=4 * n_outputs)

    def evaluate(x):
        return loss(y, x.reshape(4, n_outputs), WEIGHTS)

    error = check_grad(lambda x: evaluate(x)[0], lambda x: evaluate(x)[1].ravel(), outputs)
    assert error < 1e-6
    assert np.abs(evaluate(outputs)[1][WEIGHTS > 0]).min() > 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_keep_the_dtype(name, dtype):
    loss, y, n_outputs = LOSSES[name]
    outputs = np.ones((4, n_outputs), dtype=dtype)
    value, gradient = loss(y.astype(dtype), outputs, WEIGHTS.astype(dtype))
    assert isinstance(value, float)
    assert gradient.dtype == dtype


def test_values_of_the_losses():
    ones = np.ones(2)
    value, _ = log_loss(2)(np.array([[0.0], [1.0]]), np.array([[0.0], [2.0]]), ones)
    np.testing.assert_allclose(value, np.log(2) + np.log1p(np.exp(-2)))
    y, outputs = np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[2.0, 2.0], [0.0, 4.0]])
    for name, want in {
        "squared_error": 0.5 * (1 + 0 + 0 + 16) / 2,
        "absolute_error": (1 + 0 + 0 + 4) / 2,
        "huber": (0.5 + 0 + 0 + 3.5) / 2,
        "poisson": mean_poisson_deviance(y.ravel(), np.exp(outputs).ravel()),
    }.items():
        value, _ = Elementwise(REGRESSION_LOSSES[name]())(y, outputs, ones)
        if name == "poisson":  # the constant y log y - y is left out
            value += (2 * np.log(2) - 2 - 1) / 2
        np.testing.assert_allclose(value, want, err_msg=name)


def test_quantiles_of_each_target():
    rng = np.random.default_rng(0)
    y, outputs, quantiles = rng.normal(size=(5, 2)), rng.normal(size=(5, 6)), [0.2, 0.5, 0.7]
    value, _ = Pinball(quantiles)(y, outputs, np.full(5, 0.2))
    want = np.mean(
        [
            mean_pinball_loss(y[:, j], outputs[:, 3 * j + i], alpha=q)
            for j in range(2)
            for i, q in enumerate(quantiles)
        ]
    )
    np.testing.assert_allclose(value, want)


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_poisson_predicts_positive_means():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3, 1))
    y = rng.poisson(np.exp(X[:, -1, 0]))
    model = GRURegressor(8, loss="poisson", max_iter=40, random_state=0).fit(X, y)
    assert (model.predict(X) > 0).all()
    assert abs(model.predict(X).mean() / y.mean() - 1) < 0.1
    with pytest.raises(ValueError, match="needs y >= 0"):
        model.fit(X, y - 1)
    with pytest.raises(ValueError, match="needs y with a mean above 0"):
        model.fit(X, 0 * y)
