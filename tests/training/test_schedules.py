"""Schedules of learning rates."""

import numpy as np
import pytest
from helpers import small_classifier

from skgru.training.schedules import Adaptive, Constant, Cosine, InverseScaling

ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_constant_and_cosine_schedules_with_warm_up():
    constant = Constant(0.8, 4)
    np.testing.assert_allclose([constant.next() for _ in range(6)], [0.2, 0.4, 0.6, 0.8, 0.8, 0.8])
    cosine = Cosine(0.8, 0, n_updates_planned=4)
    want = 0.4 * (1 + np.cos(np.pi * np.arange(6).clip(max=4) / 4))
    np.testing.assert_allclose([cosine.next() for _ in range(6)], want, atol=1e-15)
    risen = Cosine(0.8, 2, n_updates_planned=6)
    want = [0.4, 0.8, *0.4 * (1 + np.cos(np.pi * np.arange(4) / 4))]
    np.testing.assert_allclose([risen.next() for _ in range(6)], want)


def test_inverse_scaling_and_adaptive_schedules():
    scaling = InverseScaling(0.5, 0, power_t=0.5)
    scaling.end_epoch(99)
    assert scaling.learning_rate == 0.5 / 10
    assert not scaling.continues_after_plateau()
    adaptive = Adaptive(1e-5, 0)
    assert adaptive.continues_after_plateau()
    assert adaptive.learning_rate == 1e-5 / 5
    assert adaptive.continues_after_plateau()
    assert not adaptive.continues_after_plateau()


@ignore_convergence
def test_adaptive_continues_at_a_lower_rate(ragged):
    X, y = ragged
    model = small_classifier(
        solver="sgd",
        learning_rate="adaptive",
        learning_rate_init=1e-5,
        tol=10.0,
        n_iter_no_change=3,
    ).fit(X, y)
    # 1e-5, 2e-6 and 4e-7, and a plateau of four epochs at each of them
    assert model.n_iter_ == 1 + 3 * 4
