"""Updates of the optimizers."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

from skgru.training.optimizers import SGD, Adam, AdamW


def made(optimizer, parameters, *, n_weights=0, **settings):
    """An optimizer of an estimator with these settings, for these parameters."""
    network = SimpleNamespace(parameters=parameters, n_weights=n_weights)
    return optimizer.from_settings(SimpleNamespace(**settings), network)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["adam", "momentum", "nesterov"])
def test_updates_match_scikit_learn(name, dtype):
    rng = np.random.default_rng(0)
    ours = rng.normal(size=20).astype(dtype)
    theirs = [ours.copy()]
    if name == "adam":
        optimizer = made(Adam, ours, beta_1=0.9, beta_2=0.99, epsilon=1e-8)
        reference = AdamOptimizer(theirs, 0.1, 0.9, 0.99)
    else:
        nesterov = name == "nesterov"
        optimizer = made(SGD, ours, momentum=0.8, nesterovs_momentum=nesterov)
        reference = SGDOptimizer(theirs, 0.1, "constant", 0.8, nesterov)
    for _ in range(10):
        gradient = rng.normal(size=20).astype(dtype)
        reference.update_params(theirs, [gradient.copy()])
        optimizer.update(ours, 4 * gradient, 0.25, 0.1, np.array([[0, 20]]))
    np.testing.assert_allclose(ours, theirs[0], rtol=1e-12 if dtype == "float64" else 1e-4)


def test_adamw_decouples_weight_decay():
    start = np.arange(1.0, 5.0)
    plain, decayed = start.copy(), start.copy()
    settings = {"beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-8}
    adam = made(Adam, plain, **settings)
    adamw = made(AdamW, decayed, n_weights=3, alpha=0.5, **settings)
    for gradient in np.random.default_rng(0).normal(size=(5, 4)):
        before = decayed.copy()
        adam.update(plain, gradient, 1.0, 0.1, np.array([[0, 4]]))
        adamw.update(decayed, gradient, 1.0, 0.1, np.array([[0, 4]]))
        # the step is Adam's: moments depend on the gradient alone, and biases do not decay
        step = decayed - before * np.array([0.95, 0.95, 0.95, 1])
        np.testing.assert_allclose(step, plain - start, rtol=1e-12)
        start = plain.copy()
