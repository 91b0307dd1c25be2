"""scikit-learn's own checks of an estimator."""

import pytest
from helpers import QUICK_FIT
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgru import GRUClassifier, GRURegressor
from skgru.preprocessing import PerTimestep

FEW = {"solver": "lbfgs", "dtype": "float64", "max_iter": 40}
ESTIMATORS = [
    GRUClassifier(8, **FEW),
    GRURegressor(8, **FEW),
    GRUClassifier(8, cell="lstm", **FEW),
    GRUClassifier(16, **QUICK_FIT),
    GRURegressor(16, **QUICK_FIT),
    PerTimestep(StandardScaler()),
]
LARGER = [
    GRUClassifier(16, solver="lbfgs", dtype="float64"),
    GRURegressor(16, solver="lbfgs", dtype="float64"),
    GRUClassifier(16, cell="lstm", solver="lbfgs", dtype="float64"),
    GRUClassifier(**QUICK_FIT),
    GRURegressor(**QUICK_FIT),
    GRUClassifier(),
    GRURegressor(),
]


def expected_failures(estimator):
    if getattr(estimator, "solver", "lbfgs") == "lbfgs":
        return {}
    return {
        "check_sample_weight_equivalence_on_dense_data": "minibatches of repeated samples are "
        "drawn differently from those of weighted ones"
    }


# the checks train for few iterations
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning"),
]


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(LARGER, expected_failed_checks=expected_failures)
def test_check_estimator_that_trains_for_longer(estimator, check):
    check(estimator)
