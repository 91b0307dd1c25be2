"""Estimators to inspect, and their training data."""

import numpy as np
import pytest
from helpers import VARIANTS

from skgru import GRURegressor

every_cell = pytest.mark.parametrize("cell", VARIANTS)
LENGTHS = (4, 2, 6, 1)
EPS = 1e-5
rng = np.random.default_rng(0)
X = [rng.normal(size=(n, 2)) for n in LENGTHS]


def fitted(cell="gru", sizes=3, *, estimator=GRURegressor, X=X, y=None, **parameters):
    """Return an estimator in double precision, all parameters of which are random."""
    parameters = {"dtype": "float64", "random_state": 0} | VARIANTS[cell] | parameters
    model = estimator(sizes, **parameters)
    model.partial_fit(X, targets(model) if y is None else y)
    parameters = model._network.parameters
    parameters[:] = np.random.default_rng(1).normal(size=parameters.size) / 2
    return model


def targets(model):
    """Return a number per sequence, or per time step."""
    if model.return_sequences:
        return [np.cos(3 * x[:, 0]) for x in X]
    return np.array([x.sum() for x in X])


def layers_by_direction(model):
    """Return layer, direction (1 or -1) and parameters of each entry of `layers_`."""
    directions = (1, -1)[: 1 + model.bidirectional]
    depths = np.arange(len(model.layers_)) // len(directions)
    orders = directions * (len(model.layers_) // len(directions))
    return list(zip(depths, orders, model.layers_, strict=True))


def saturated(z, r, **parameters):
    """Return a GRU whose gates are all 0 or 1, by their biases."""
    model = fitted("gru", 4, **parameters)
    for layer in model.layers_:
        H = len(layer.U)
        layer.b[:H] = 1e3 * (2 * r - 1)
        layer.b[H : 2 * H] = 1e3 * (2 * z - 1)
    return model


def deciding(n_samples=900):
    """Return sequences of 10 steps and 3 channels, and what decides: channel 1 at step 4.

    There are values as large elsewhere, in the same channel and at the same step.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(scale=0.1, size=(n_samples, 10, 3))
    for t, channel in ((4, 1), (4, 0), (7, 2), (2, 2), (8, 1)):
        X[:, t, channel] += rng.normal(size=n_samples)
    return X, X[:, 4, 1]
