"""When a fit stops: patience in epochs, a minimum of updates, a loss averaged over updates."""

import numpy as np
import pytest

from skgru import GRUClassifier, GRURegressor
from skgru.training.fit import auto_batch_size
from skgru.training.history import MIN_UPDATES, Patience
from skgru.training.schedules import COOLDOWN, Cosine

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize(
    ("n_samples", "expected"), [(1, 4), (12, 4), (40, 4), (60, 6), (270, 27), (320, 32), (9000, 32)]
)
def test_automatic_batch_size(n_samples, expected):
    assert auto_batch_size(n_samples) == expected


def test_patience_counts_epochs_but_waits_for_a_minimum_of_updates():
    patience = Patience(tol=0.1, n_iter_no_change=2)
    early = [patience.exhausted(1.0, n_updates) for n_updates in range(0, MIN_UPDATES, 50)]
    assert not any(early)
    assert patience.exhausted(1.0, MIN_UPDATES)
    # the count begins anew, and progress resets it
    later = [patience.exhausted(v, MIN_UPDATES) for v in (1.0, 1.0, 0.8, 0.75, 0.75, 0.75)]
    assert later == [False, False, False, False, False, True]


@pytest.mark.parametrize("estimator", [GRUClassifier, GRURegressor])
def test_a_small_set_is_not_stopped_before_a_minimum_of_updates(estimator):
    """Twenty sequences make five updates per epoch, and any loss is a plateau for tol=1e9."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 5, 1)), np.arange(20) % 2
    how = {"learning_rate": "constant", "tol": 1e9, "n_iter_no_change": 1, "random_state": 0}
    model = estimator(4, max_iter=1000, **how).fit(X, y)
    assert model.n_updates_ == MIN_UPDATES
    assert model.n_iter_ == MIN_UPDATES // 5


def test_max_iter_counts_epochs(ragged):
    model = GRUClassifier(4, max_iter=3, random_state=0).fit(*ragged)
    assert (model.n_iter_, model.n_updates_, model.t_) == (3, 30, 120)
    model.partial_fit(*ragged)
    assert (model.n_iter_, model.n_updates_, model.t_) == (4, 40, 160)


def test_number_of_updates_with_lbfgs_and_in_saved_models(ragged):
    assert GRUClassifier(3, solver="lbfgs", max_iter=3).fit(*ragged).n_updates_ == 0


@pytest.mark.parametrize("estimator", [GRUClassifier, GRURegressor])
def test_no_epochs_leave_the_initial_weights(ragged, estimator):
    """They can be looked at and changed, and a warm start continues from them."""
    X, labels = ragged
    y = labels if estimator is GRUClassifier else np.array([x.sum() for x in X])
    model = estimator(5, max_iter=0, warm_start=True, random_state=0).fit(X, y)
    assert (model.n_iter_, model.n_updates_, model.loss_curve_) == (0, 0, [])
    U = model.layers_[0].U
    for gate in np.split(U, 3, axis=1):
        np.testing.assert_allclose(gate @ gate.T, np.eye(5), atol=1e-5)
    model.layers_[0].b[5:10] = 1.0  # the update gate begins half-way open
    changed = [a.copy() for a in model.layers_[0]]
    model.set_params(max_iter=1, learning_rate_init=1e-12).fit(X, y)
    for before, after in zip(changed, model.layers_[0], strict=True):
        np.testing.assert_allclose(after, before, atol=1e-8)
    assert model.n_iter_ == 1


# ---- a plateau under the cosine ------------------------------------------------------------------


def test_a_plateau_shortens_the_cosine():
    schedule = Cosine(1.0, 0, n_updates_planned=1000)
    rates = [schedule.next() for _ in range(200)]
    assert schedule.continues_after_plateau()
    assert not schedule.finished
    while not schedule.finished:
        rates.append(schedule.next())
        assert schedule.continues_after_plateau()  # a second plateau changes nothing
    assert len(rates) == (1 + COOLDOWN) * 200
    assert rates[200] == pytest.approx(rates[199], rel=1e-2)
    assert all(np.diff(rates) < 0)
    assert rates[-1] < 1e-2


def test_a_plateau_near_the_end_does_not_lengthen_the_cosine():
    schedule = Cosine(1.0, 0, n_updates_planned=1000)
    for _ in range(990):
        schedule.next()
    schedule.continues_after_plateau()
    n_left = 0
    while not schedule.finished:
        schedule.next()
        n_left += 1
    assert n_left == 10


def test_a_fit_ends_after_a_plateau_without_a_warning(ragged):
    how = {"learning_rate": "cosine", "tol": 1e9, "n_iter_no_change": 1, "random_state": 0}
    model = GRUClassifier(4, max_iter=1000, **how).fit(*ragged)
    assert model.n_updates_ == (1 + COOLDOWN) * MIN_UPDATES


# ---- partial_fit ---------------------------------------------------------------------------------


def test_partial_fit_after_a_cosine_learns(ragged):
    """The cosine has fallen to 0; more epochs go on at the initial rate."""
    X, y = ragged
    model = GRUClassifier(4, max_iter=4, learning_rate="cosine", random_state=0).fit(X, y)
    before = model.head_.W.copy()
    model.partial_fit(X, y)
    assert np.abs(model.head_.W - before).max() > 1e-3
    assert model.loss_curve_[-1] < model.loss_curve_[-2]


def test_partial_fit_alone_is_constant(ragged):
    X, y = ragged
    how = {"random_state": 0, "hidden_layer_sizes": 4, "warmup_updates": 3}
    models = [GRUClassifier(learning_rate=name, **how) for name in ("cosine", "constant")]
    for model in models:
        for _ in range(3):
            model.partial_fit(X, y, classes=["down", "up"])
    a, b = (model.predict_proba(X) for model in models)
    np.testing.assert_array_equal(a, b)
