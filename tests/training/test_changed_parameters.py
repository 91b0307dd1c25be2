"""Parameters that change between two calls of partial_fit, or before a fit with warm_start."""

import copy
import pickle
import re
from inspect import signature

import numpy as np
import pytest
from helpers import DOCS
from sklearn.base import clone
from sklearn.model_selection import KFold

from skgru import GRUClassifier, GRURegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning"),
    pytest.mark.filterwarnings("ignore:validation_fraction=:UserWarning"),
]

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 4, 2))
X[:, :, 1] = np.arange(160).reshape(40, 4) % 8 // 2  # may be numbers, categories and times
LABELS = np.array(["a", "b", "c"])[np.arange(40) % 3]
NUMBERS = X.sum(axis=(1, 2))

# no default decides anything, as defaults may change
COMMON = {
    "hidden_layer_sizes": (3,), "cell": "gru", "bidirectional": False, "pooling": "last",
    "learning_rate": "constant", "learning_rate_init": 0.01, "warmup_updates": 0, "alpha": 0.01,
    "batch_size": 10, "max_iter": 2, "max_grad_norm": None, "dtype": "float64", "random_state": 0,
}  # fmt: skip
SGD = {"solver": "sgd"}
STOPPING = {"early_stopping": True, "max_iter": 6, "validation_fraction": 0.2}
LBFGS = {"solver": "lbfgs"}
BY_STEP = {"return_sequences": True, "bptt_steps": 2}

OBEYED, REFUSED, UNUSED = "obeyed", "refused", "no meaning"

# name: (parameters beside it, another value, what partial_fit does, what warm_start does)
CHANGES = {
    "hidden_layer_sizes": ({}, (4,), REFUSED, REFUSED),
    "cell": ({}, "lstm", REFUSED, REFUSED),
    "activation": ({"cell": "light_gru"}, "relu", REFUSED, REFUSED),
    "reset_after": ({}, True, REFUSED, REFUSED),
    "bidirectional": ({}, True, REFUSED, REFUSED),
    "pooling": ({}, "attention", REFUSED, REFUSED),
    "return_sequences": ({}, True, REFUSED, REFUSED),
    "loss": ({}, "huber", REFUSED, REFUSED),
    "quantiles": ({"loss": "quantile"}, (0.5, 0.9), REFUSED, REFUSED),
    "n_channels": ({}, 2, REFUSED, REFUSED),
    "missing": ({}, "decay", REFUSED, REFUSED),
    "time_channel": ({"missing": "decay", "time_channel": 1}, None, REFUSED, REFUSED),
    "categorical_channels": ({}, [1], REFUSED, REFUSED),
    "embedding_dim": ({"categorical_channels": [1]}, 2, REFUSED, REFUSED),
    "dtype": ({}, "float32", REFUSED, REFUSED),
    "early_stopping": ({"max_iter": 6}, True, REFUSED, OBEYED),
    "solver": ({}, "sgd", OBEYED, OBEYED),
    "alpha": ({}, 1.0, OBEYED, OBEYED),
    "batch_size": ({}, 20, OBEYED, OBEYED),
    "bptt_steps": ({}, 2, OBEYED, OBEYED),
    "update_every": (BY_STEP, "window", OBEYED, OBEYED),
    "dropout": ({}, 0.5, OBEYED, OBEYED),
    "recurrent_dropout": ({}, 0.5, OBEYED, OBEYED),
    "learning_rate": ({}, "invscaling", OBEYED, OBEYED),
    "learning_rate_init": ({}, 0.02, OBEYED, OBEYED),
    "warmup_updates": ({}, 100, OBEYED, OBEYED),
    "power_t": ({"learning_rate": "invscaling"}, 0.1, OBEYED, OBEYED),
    "max_grad_norm": ({}, 0.01, OBEYED, OBEYED),
    "shuffle": ({}, False, OBEYED, OBEYED),
    "random_state": ({}, 1, OBEYED, OBEYED),
    "momentum": (SGD, 0.5, OBEYED, OBEYED),
    "nesterovs_momentum": (SGD, False, OBEYED, OBEYED),
    "beta_1": ({}, 0.5, OBEYED, OBEYED),
    "beta_2": ({}, 0.9, OBEYED, OBEYED),
    "epsilon": ({}, 0.1, OBEYED, OBEYED),
    "class_weight": ({}, {"a": 9.0}, OBEYED, OBEYED),
    # these change the training only when a plateau of the loss ends it, or lowers the rate
    "tol": ({"learning_rate": "adaptive", "n_iter_no_change": 1}, 1e9, OBEYED, OBEYED),
    "n_iter_no_change": ({"learning_rate": "adaptive", "tol": 1e9}, 1, OBEYED, OBEYED),
    "max_iter": ({}, 3, UNUSED, OBEYED),
    "validation_fraction": (STOPPING, 0.5, UNUSED, OBEYED),
    "validation_split": (STOPPING, KFold(3), UNUSED, OBEYED),
    "scoring": (STOPPING, None, UNUSED, OBEYED),
    "max_fun": (LBFGS, 1, UNUSED, OBEYED),
    # these change no number
    "warm_start": ({}, True, UNUSED, UNUSED),
    "verbose": ({}, True, UNUSED, UNUSED),
    "n_jobs": ({}, 2, UNUSED, UNUSED),
}  # fmt: skip

CASES = [
    (estimator, name)
    for estimator in (GRUClassifier, GRURegressor)
    for name in CHANGES
    if name in signature(estimator).parameters
]
every_parameter = pytest.mark.parametrize(
    ("estimator", "name"), CASES, ids=lambda value: getattr(value, "__name__", value)
)


def test_every_parameter_is_a_case_and_documented():
    for estimator in (GRUClassifier, GRURegressor):
        assert set(signature(estimator).parameters) <= set(CHANGES)
    page = (DOCS / "scaling_out.rst").read_text(encoding="utf-8")
    table = page[page.index("**Parameters that change between the calls.**") :]
    table = table[: table.index("A `fit` with `warm_start`")]
    assert set(re.findall(r"`(\w+)`", table)) >= set(CHANGES)


@pytest.fixture
def _early_plateaus(monkeypatch):
    """A plateau of the loss counts after 50 updates already."""
    monkeypatch.setattr("skgru.training.history.MIN_UPDATES", 50)


def started(estimator, name, method):
    """Return a model that has trained before the change, and y."""
    y = LABELS if estimator is GRUClassifier else NUMBERS
    parameters = {**COMMON, **CHANGES[name][0]}
    if parameters.get("return_sequences"):
        y = np.repeat(y[:, np.newaxis], X.shape[1], axis=1)
    if method == "partial_fit":
        if parameters.get("solver") == "lbfgs":
            del parameters["solver"]
        parameters["early_stopping"] = False
        model = estimator(**parameters)
        for _ in range(3):
            train(model, y, method)
        if name in ("tol", "n_iter_no_change"):
            model._solver.schedule.n_updates = 1000  # no fit is stopped before
    else:
        if name in ("tol", "n_iter_no_change"):
            parameters["max_iter"] = 20  # 80 updates
        model = estimator(**parameters, warm_start=True).fit(X, y)
    return model, y


def train(model, y, method):
    if method == "fit":
        model.fit(X, y)
    elif isinstance(model, GRUClassifier):
        model.partial_fit(X, y, classes=["a", "b", "c"])
    else:
        model.partial_fit(X, y)


@pytest.mark.usefixtures("_early_plateaus")
@every_parameter
@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_a_change_is_obeyed_refused_or_has_no_meaning(estimator, name, method):
    _, value, *outcomes = CHANGES[name]
    outcome = outcomes[method == "fit"]
    model, y = started(estimator, name, method)
    unchanged = copy.deepcopy(model)
    restored = pickle.loads(pickle.dumps(model)).set_params(**{name: value})
    model.set_params(**{name: value})
    if outcome == REFUSED:
        for one in (model, restored):
            before = dict(vars(one))
            with pytest.raises(ValueError, match=name) as raised:
                train(one, y, method)
            assert len(str(raised.value)) < 400
            assert vars(one) == before
        # a clone is not fitted, and may have any parameters
        if name not in ("return_sequences", "early_stopping"):
            train(clone(model), y, method)
        return
    for _ in range(3):
        for one in (model, restored, unchanged):
            train(one, y, method)
    np.testing.assert_array_equal(restored._network.parameters, model._network.parameters)
    assert restored.loss_curve_ == model.loss_curve_
    same = np.array_equal(model._network.parameters, unchanged._network.parameters)
    for curve in ("loss_curve_", "validation_scores_"):
        same &= getattr(model, curve) == getattr(unchanged, curve)
    assert same == (outcome == UNUSED)


@pytest.mark.usefixtures("_early_plateaus")
@pytest.mark.parametrize(
    "name", [name for name, (*_, warm) in CHANGES.items() if warm == OBEYED and name != "max_fun"]
)
def test_warm_start_trains_as_a_new_model_of_these_parameters_and_weights(name):
    estimator = GRURegressor if name != "class_weight" else GRUClassifier
    model, y = started(estimator, name, "fit")
    model.set_params(**{name: CHANGES[name][1]})
    other = clone(model).set_params(max_iter=0).fit(X, y)
    other._network.parameters[:] = model._network.parameters
    other._history.n_samples_seen = model.t_  # which "invscaling" divides by
    other.set_params(max_iter=model.max_iter)
    n_before = model.n_iter_
    np.testing.assert_array_equal(
        model.fit(X, y)._network.parameters, other.fit(X, y)._network.parameters
    )
    assert model.loss_curve_[n_before:] == other.loss_curve_


# ---- what is obeyed, number by number ------------------------------------------------------------


def regressor(**parameters):
    """Return a regressor of one update per epoch."""
    return GRURegressor(
        **{**COMMON, "batch_size": 40, "shuffle": False, "alpha": 0.0, **parameters}
    )


def step(model):
    """Train for an epoch; return the change of the weights."""
    before = model._network.parameters.copy()
    model.partial_fit(X, NUMBERS)
    return model._network.parameters - before


def gradient(model):
    """Return the gradient at the weights of a model: the step of plain descent."""
    plain = clone(model).set_params(
        solver="sgd", momentum=0.0, learning_rate_init=1.0, learning_rate="constant", max_iter=0,
        warmup_updates=0, alpha=0.0,
    ).fit(X, NUMBERS)  # fmt: skip
    plain._network.parameters[:] = model._network.parameters
    return -step(plain)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "adaptive", "invscaling"])
@pytest.mark.parametrize("saved", [False, True])
def test_the_rate_is_obeyed_in_every_schedule(schedule, saved):
    model = regressor(solver="sgd", momentum=0.0, learning_rate=schedule).partial_fit(X, NUMBERS)
    model.partial_fit(X, NUMBERS)
    if schedule == "adaptive":
        model._solver.schedule.continues_after_plateau()  # a fifth of the rate
    if saved:
        model = pickle.loads(pickle.dumps(model))
    share = {"adaptive": 1 / 5, "invscaling": 81**-0.5}.get(schedule, 1.0)
    expected = -0.003 * share * gradient(model)
    model.set_params(learning_rate_init=0.003)
    np.testing.assert_allclose(step(model), expected, rtol=1e-9)


def test_the_rate_is_obeyed_after_a_fit():
    model = regressor(solver="sgd", momentum=0.0, learning_rate="cosine").fit(X, NUMBERS)
    expected = -0.003 * gradient(model)
    model.set_params(learning_rate_init=0.003)
    np.testing.assert_allclose(step(model), expected, rtol=1e-9)


def test_power_t_and_another_schedule_are_obeyed_at_once():
    model = regressor(solver="sgd", momentum=0.0, learning_rate="invscaling")
    model.partial_fit(X, NUMBERS)
    expected = -0.01 * 41**-0.1 * gradient(model)
    np.testing.assert_allclose(step(model.set_params(power_t=0.1)), expected, rtol=1e-9)
    expected = -0.01 * gradient(model)
    np.testing.assert_allclose(step(model.set_params(learning_rate="cosine")), expected, rtol=1e-9)
    expected = -0.01 * 121**-0.5 * gradient(model)
    model.set_params(learning_rate="invscaling", power_t=0.5)
    np.testing.assert_allclose(step(model), expected, rtol=1e-9)


def test_a_warm_up_goes_on_and_is_not_repeated():
    model = regressor(solver="sgd", momentum=0.0, warmup_updates=4).partial_fit(X, NUMBERS)
    for share, change in (
        (2 / 4, {}),
        (3 / 10, {"warmup_updates": 10}),
        (4 / 10, {"learning_rate": "adaptive"}),
        (1, {"warmup_updates": 5}),
        (1, {"learning_rate": "constant"}),
    ):
        expected = -0.01 * share * gradient(model)
        np.testing.assert_allclose(step(model.set_params(**change)), expected, rtol=1e-9)


def test_momentum_is_obeyed_and_keeps_the_velocity():
    model = regressor(solver="sgd", momentum=0.9, nesterovs_momentum=False)
    model.partial_fit(X, NUMBERS)
    velocity = step(model)
    for change, momentum, nesterov in (
        ({"momentum": 0.5}, 0.5, False),
        ({"nesterovs_momentum": True}, 0.5, True),
        ({"momentum": 0.2, "nesterovs_momentum": False}, 0.2, False),
    ):
        descent = -0.01 * gradient(model)
        velocity = momentum * velocity + descent
        expected = momentum * velocity + descent if nesterov else velocity
        np.testing.assert_allclose(step(model.set_params(**change)), expected, rtol=1e-9)


@pytest.mark.parametrize("solver", ["adam", "adamw", "rmsprop"])
def test_decays_of_moments_are_obeyed_and_keep_the_corrected_moments(solver):
    """The corrected moments are means; after a change, the new decay moves them on."""
    alpha = 0.5 if solver == "adamw" else 0.0
    model = regressor(solver=solver, alpha=alpha)
    beta_1, beta_2, epsilon = 0.0 if solver == "rmsprop" else 0.9, 0.999, 1e-8
    mean = variance = 0.0
    model.set_params(max_iter=0).fit(X, NUMBERS)
    weight_matrices = np.arange(model.n_parameters_) < model._network.n_weights
    changes = {}, {}, {"beta_2": 0.9}, {"beta_1": 0.5}, {"epsilon": 0.1}, {}
    for n, change in enumerate(changes, start=1):
        new_1 = 0.0 if solver == "rmsprop" else change.get("beta_1", beta_1)
        new_2 = change.get("beta_2", beta_2)
        epsilon = change.get("epsilon", epsilon)
        g = gradient(model)
        # moments as corrected means, whose weights are those of the decays of now
        weight_1, weight_2 = new_1 * (1 - new_1 ** (n - 1)), new_2 * (1 - new_2 ** (n - 1))
        beta_1, beta_2 = new_1, new_2
        mean = (weight_1 * mean + (1 - beta_1) * g) / (1 - beta_1**n)
        variance = (weight_2 * variance + (1 - beta_2) * g**2) / (1 - beta_2**n)
        corrected_epsilon = epsilon / np.sqrt(1 - beta_2**n)
        expected = -0.01 * mean / (np.sqrt(variance) + corrected_epsilon)
        decayed = -0.01 * alpha * model._network.parameters * weight_matrices
        np.testing.assert_allclose(
            step(model.set_params(**change)), decayed + expected, rtol=1e-6, atol=1e-12
        )


def test_weight_decay_of_adamw_is_obeyed():
    model = regressor(solver="adamw", alpha=0.1).partial_fit(X, NUMBERS)
    other = copy.deepcopy(model)
    weight_matrices = np.arange(model.n_parameters_) < model._network.n_weights
    decayed = 0.01 * 0.4 * model._network.parameters * weight_matrices
    np.testing.assert_allclose(
        step(model) - step(other.set_params(alpha=0.5)), decayed, rtol=1e-9, atol=1e-15
    )


@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd", "rmsprop"])
def test_another_solver_begins_with_a_new_state(solver):
    before = "rmsprop" if solver == "adam" else "adam"
    model = regressor(solver=before, alpha=0.1).partial_fit(X, NUMBERS)
    fresh = regressor(solver=solver, alpha=0.1, max_iter=0).fit(X, NUMBERS)
    fresh._network.parameters[:] = model._network.parameters
    model.set_params(solver=solver)
    for _ in range(2):
        np.testing.assert_array_equal(step(model), step(fresh))


def test_tol_and_patience_are_obeyed_by_adaptive():
    model = regressor(learning_rate="adaptive", tol=0.0, n_iter_no_change=3)
    model.partial_fit(X, NUMBERS)._solver.schedule.n_updates = 1000
    rates = []
    for change in ({}, {"tol": 1e9}, {}, {}, {}, {"n_iter_no_change": 1}, {}, {}):
        model.set_params(**change).partial_fit(X, NUMBERS)
        rates.append(round(0.01 / model._solver.schedule.learning_rate))
    # a fifth after four epochs without progress, then after each two
    assert rates == [1, 1, 1, 1, 5, 5, 25, 25]


@pytest.mark.parametrize("seeds", [(0, 1), (0, None), (None, 0), (0, "instance")], ids=str)
def test_another_seed_draws_from_now_on(seeds):
    first, second = (np.random.RandomState(7) if s == "instance" else s for s in seeds)
    np.random.seed(7)  # noqa: NPY002 (what None draws from)
    model = GRURegressor(**{**COMMON, "random_state": first, "dropout": 0.5})
    model.partial_fit(X, NUMBERS)
    state = 7 if second is None or seeds[1] == "instance" else second
    np.random.seed(7)  # noqa: NPY002
    expected = copy.deepcopy(model)
    expected._solver.random_state = np.random.RandomState(state)
    model.set_params(random_state=second)
    for _ in range(2):
        model.partial_fit(X, NUMBERS)
        expected.partial_fit(X, NUMBERS)
        np.testing.assert_array_equal(model._network.parameters, expected._network.parameters)


def test_an_instance_is_drawn_from_at_every_call():
    shared = np.random.RandomState(0)
    model = GRURegressor(**{**COMMON, "random_state": shared, "dropout": 0.5})
    by_seed = GRURegressor(**{**COMMON, "random_state": 0, "dropout": 0.5})
    for _ in range(3):
        before = shared.get_state()[1:3]
        np.testing.assert_array_equal(
            model.partial_fit(X, NUMBERS)._network.parameters,
            by_seed.partial_fit(X, NUMBERS)._network.parameters,
        )
        after = shared.get_state()[1:3]
        assert (before[0] != after[0]).any() or before[1] != after[1]
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(step(copied), step(model))


def test_an_unchanged_value_of_another_type_changes_nothing():
    model = regressor(learning_rate="invscaling", warmup_updates=3)
    for _ in range(3):
        model.partial_fit(X, NUMBERS)
    other = copy.deepcopy(model).set_params(
        learning_rate_init=np.float64(0.01), warmup_updates=np.int64(3), random_state=np.int64(0),
        beta_1=np.float64(0.9),
    )  # fmt: skip
    np.testing.assert_array_equal(step(other), step(model))


def test_invalid_values_are_refused_at_every_call():
    model = regressor().partial_fit(X, NUMBERS)
    for name, value in (
        ("learning_rate_init", -1.0), ("solver", "newton"), ("beta_1", 1.0), ("momentum", 2.0),
        ("alpha", -1), ("dropout", 1.5), ("batch_size", 0), ("learning_rate", "linear"),
    ):  # fmt: skip
        changed = copy.deepcopy(model).set_params(**{name: value})
        before = dict(vars(changed))
        with pytest.raises(ValueError, match=f"The '{name}' parameter of GRURegressor"):
            changed.partial_fit(X, NUMBERS)
        assert vars(changed) == before
    with pytest.raises(AttributeError, match="partial_fit"):
        model.set_params(solver="lbfgs").partial_fit(X, NUMBERS)


def test_bidirectional_auto_that_changes_its_meaning_is_explained():
    model = regressor(bidirectional="auto").partial_fit(X, NUMBERS)
    with pytest.raises(ValueError, match="bidirectional='auto' means False here and differs from"):
        model.set_params(bptt_steps=2).partial_fit(X, NUMBERS)


def test_other_channels_of_a_table_are_refused():
    table = X.reshape(40, 8)
    model = regressor(n_channels=2).partial_fit(table, NUMBERS).set_params(n_channels=4)
    expected = model.predict(table)
    for method in (model.partial_fit, model.set_params(warm_start=True).fit):
        with pytest.raises(ValueError, match="n_channels=4 differs from 2 of the fitted model"):
            method(table, NUMBERS)
    np.testing.assert_array_equal(model.predict(table), expected)


# ---- a rate that vanishes ------------------------------------------------------------------------


@pytest.mark.parametrize("power_t", [30, 300, 1e5, 1e308])
def test_a_power_t_that_leaves_nothing_of_the_rate_is_refused(power_t):
    model = regressor(learning_rate="invscaling", power_t=power_t, max_iter=5)
    for method in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=r"power_t=.* by 41\*\*.*Choose a lower power_t"):
            method(X, NUMBERS)
        assert not hasattr(model, "n_iter_")
    model.set_params(power_t=0.5).partial_fit(X, NUMBERS).set_params(power_t=power_t)
    with pytest.raises(ValueError, match="Choose a lower power_t"):
        model.partial_fit(X, NUMBERS)
    assert model.n_iter_ == 1


def test_a_fit_ends_when_the_rate_has_vanished():
    """1e-30 is left after the first epoch, and less than 1e-38 after several."""
    model = regressor(learning_rate="invscaling", power_t=18.6, max_iter=1000).fit(X, NUMBERS)
    assert 41**-18.6 > 1e-38 > (40 * model.n_iter_ + 1) ** -18.6
    assert 1 < model.n_iter_ == next(n for n in range(99) if (40 * n + 1) ** -18.6 < 1e-38)
