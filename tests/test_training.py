"""The loop: solvers, schedules, stopping, going on, interruption, divergence."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn import config_context
from sklearn.datasets import make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.exceptions import GradientWarning
from skgru.inspection import gradient_flow
from skgru.optimizers import SGD, Adam, AdamW, Adaptive, Constant, Cosine, InverseScaling
from skgru.preprocessing import PerTimestep
from skgru.training import Objective, Patience

ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def classifier(**parameters):
    return GRUClassifier(**{"hidden_layer_sizes": 8, "random_state": 0, **parameters})


# ---- optimizers and schedules -------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["adam", "momentum", "nesterov"])
def test_updates_are_those_of_scikit_learn(name, dtype):
    rng = np.random.default_rng(0)
    ours = rng.normal(size=20).astype(dtype)
    theirs = [ours.copy()]
    if name == "adam":
        optimizer, reference = Adam(ours, 0.9, 0.99, 1e-8), AdamOptimizer(theirs, 0.1, 0.9, 0.99)
    else:
        nesterov = name == "nesterov"
        optimizer = SGD(ours, 0.8, nesterov)
        reference = SGDOptimizer(theirs, 0.1, "constant", 0.8, nesterov)
    for _ in range(10):
        gradient = rng.normal(size=20).astype(dtype)
        reference.update_params(theirs, [gradient.copy()])
        optimizer.update(ours, 4 * gradient, 0.25, 0.1)
    np.testing.assert_allclose(ours, theirs[0], rtol=1e-12 if dtype == "float64" else 1e-4)


def test_adamw_decays_weights_by_themselves():
    start = np.arange(1.0, 5.0)
    plain, decayed = start.copy(), start.copy()
    adam, adamw = Adam(plain, 0.9, 0.99, 1e-8), AdamW(decayed, 0.9, 0.99, 1e-8, 3, decay=0.5)
    for gradient in np.random.default_rng(0).normal(size=(5, 4)):
        before = decayed.copy()
        adam.update(plain, gradient, 1.0, 0.1)
        adamw.update(decayed, gradient, 1.0, 0.1)
        # the step is Adam's, as moments see the gradient alone; a bias does not decay
        step = decayed - before * np.array([0.95, 0.95, 0.95, 1])
        np.testing.assert_allclose(step, plain - start, rtol=1e-12)
        start = plain.copy()


def test_schedules_of_updates():
    constant = Constant(0.8, 4)
    np.testing.assert_allclose([constant.next() for _ in range(6)], [0.2, 0.4, 0.6, 0.8, 0.8, 0.8])
    cosine = Cosine(0.8, 0, 4)
    want = 0.4 * (1 + np.cos(np.pi * np.arange(6).clip(max=4) / 4))
    np.testing.assert_allclose([cosine.next() for _ in range(6)], want, atol=1e-15)
    risen = Cosine(0.8, 2, 6)
    want = [0.4, 0.8, *0.4 * (1 + np.cos(np.pi * np.arange(4) / 4))]
    np.testing.assert_allclose([risen.next() for _ in range(6)], want)


def test_schedules():
    scaling = InverseScaling(0.5, 0, power_t=0.5)
    scaling.end_epoch(99)
    assert scaling.learning_rate == 0.5 / 10
    assert not scaling.go_on()
    adaptive = Adaptive(1e-5, 0)
    assert adaptive.go_on()
    assert adaptive.learning_rate == 1e-5 / 5
    assert adaptive.go_on()
    assert not adaptive.go_on()


def test_patience():
    patience = Patience(tol=0.1, n_iter_no_change=2)
    assert [patience.exhausted(v) for v in (5, 4, 3.95, 3.91, 3.8)] == [False] * 5
    assert [patience.exhausted(v) for v in (3.75, 3.75, 3.75, 3.75)] == [False, False, True, False]


# ---- solvers -----------------------------------------------------------------------------------


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
    model = classifier(max_iter=60, **parameters).fit(X, y)
    assert model.score(X, y) > 0.9
    assert model.loss_ < 0.7 * model.loss_curve_[0]


def test_lbfgs_ends_at_a_stationary_point(ragged):
    model = classifier(solver="lbfgs", dtype="float64", alpha=1.0, tol=1e-6, max_iter=1000)
    model.fit(*ragged)
    assert model.n_iter_ < 1000
    assert model.grad_norm_curve_[-1] <= 1e-4 * model.grad_norm_curve_[0]
    assert (np.diff(model.loss_curve_) <= 0).all()


def test_max_iter_warns():
    X, y = make_regression(20, 4, random_state=0)
    y /= 1000
    GRURegressor(4, max_iter=3, learning_rate="cosine").fit(X, y)  # means to end there
    with pytest.warns(ConvergenceWarning, match="max_iter=3 epochs"):
        model = GRURegressor(4, max_iter=3).fit(X, y)
    assert model.n_iter_ == 3
    with pytest.warns(ConvergenceWarning, match="L-BFGS stopped .* after 3 iterations"):
        model = GRURegressor(4, max_iter=3, solver="lbfgs").fit(X, y)
    assert model.n_iter_ == 3
    with pytest.warns(ConvergenceWarning, match="L-BFGS stopped"):
        GRURegressor(4, max_fun=2, solver="lbfgs").fit(X, y)


@ignore_convergence
def test_clipping_of_most_updates_is_told_of():
    X, y = make_regression(64, 4, random_state=0)
    parameters = {"max_iter": 10, "random_state": 0}
    with pytest.warns(GradientWarning, match=r"20 of 20 updates were clipped at max_grad_norm=1"):
        model = GRURegressor(4, **parameters).fit(X, y)
    assert min(model.grad_norm_curve_) > 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", GradientWarning)
        GRURegressor(4, max_grad_norm=None, **parameters).fit(X, y)
        GRURegressor(4, max_grad_norm=1e4, **parameters).fit(X, y)
        # too early to tell
        GRURegressor(4, **parameters).partial_fit(X, y)
        GRURegressor(4, **{**parameters, "max_iter": 9}).fit(X, y)
        GRURegressor(4, **parameters).fit(X, y / 1000)


def sums(n_sequences, n_steps, *, by_step=False):
    X = np.random.default_rng(0).normal(size=(n_sequences, n_steps, 1))
    y = X[:, :, 0].cumsum(axis=1) / n_steps
    return X, y if by_step else y[:, -1]


@ignore_convergence
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_vanishing_over_the_whole_batch_is_told_of(solver):
    plain = {"cell": "rnn", "solver": solver, "max_iter": 2, "alpha": 10}
    plain |= {"max_grad_norm": None, "random_state": 0}
    with pytest.warns(GradientWarning, match=r"in layer 1, at most .* in each of 20 .*up to 150"):
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
        # what has no weight, or no loss, sends no gradient that could vanish
        X, y = sums(40, 3)
        GRURegressor(8, **plain).fit(X, y, np.arange(40) >= 32)
        GRURegressor(8, **plain).fit(np.zeros((40, 3, 1)), np.zeros(40))


def test_training_stops_without_progress(ragged):
    X, y = ragged
    model = classifier(tol=10.0, n_iter_no_change=3).fit(X, y)
    assert model.n_iter_ == 5  # the first epoch, and one more than three without progress


@ignore_convergence
def test_adaptive_goes_on_at_a_lower_rate(ragged):
    X, y = ragged
    model = classifier(
        solver="sgd",
        learning_rate="adaptive",
        learning_rate_init=1e-5,
        tol=10.0,
        n_iter_no_change=3,
    ).fit(X, y)
    # 1e-5, 2e-6 and 4e-7, and a plateau of four epochs at each of them
    assert model.n_iter_ == 1 + 3 * 4


@ignore_convergence
def test_clipping_bounds_the_update(ragged):
    X, y = ragged
    common = dict(
        solver="sgd", momentum=0.0, learning_rate_init=1.0, max_iter=1, batch_size=40, alpha=0.0,
        dtype="float64",
    )  # fmt: skip
    start = classifier(**common, max_grad_norm=1e-12).fit(X, y)
    clipped = classifier(**common, max_grad_norm=0.01).fit(X, y)
    free = classifier(**common, max_grad_norm=None).fit(X, y)

    def distance(a, b):
        return np.linalg.norm(a._network.parameters - b._network.parameters)

    assert free.grad_norm_curve_[0] == clipped.grad_norm_curve_[0] > 0.1
    np.testing.assert_allclose(distance(clipped, start), 0.01, rtol=1e-6)
    np.testing.assert_allclose(distance(free, start), free.grad_norm_curve_[0], rtol=1e-6)


# ---- early stopping ----------------------------------------------------------------------------


@ignore_convergence
def test_early_stopping_puts_the_best_weights_back(ragged):
    X, y = ragged
    model = classifier(
        early_stopping=True, validation_fraction=0.3, n_iter_no_change=5, max_iter=200
    ).fit(X, y)
    assert model.n_iter_ == len(model.validation_scores_) < 200
    best = int(np.argmax(model.validation_scores_))
    assert model.best_validation_score_ == model.validation_scores_[best]
    assert model.best_loss_ is None
    assert model.t_ == 28 * model.n_iter_
    # a fit that ends at the best epoch has the same weights
    short = classifier(early_stopping=True, validation_fraction=0.3, max_iter=best + 1).fit(X, y)
    np.testing.assert_array_equal(short.predict_proba(X), model.predict_proba(X))


@ignore_convergence
def test_early_stopping_uses_weights_and_strata(ragged, monkeypatch):
    X, y = ragged
    seen = []
    score = GRUClassifier._score_predictions

    def spy(self, y, predictions, weights):
        seen.append((y, weights))
        return score(self, y, predictions, weights)

    monkeypatch.setattr(GRUClassifier, "_score_predictions", spy)
    weights = np.arange(1.0, 41)
    gru = classifier(early_stopping=True, validation_fraction=0.2, max_iter=1)
    gru.fit(X, y, weights)
    ((held_out, w),) = seen
    assert len(held_out) == 8
    assert (held_out == "up").sum() == 4
    assert set(w) <= set(weights)
    gru.set_params(validation_split="last").fit(X, y, weights)
    np.testing.assert_array_equal(seen[1][0], y[-8:])
    np.testing.assert_array_equal(seen[1][1], weights[-8:])


@ignore_convergence
def test_validation_data_of_ones_own(ragged):
    X, y = ragged
    gru = classifier(early_stopping=True, max_iter=20)
    model = gru.fit(X[:30], y[:30], X_val=X[30:], y_val=y[30:], sample_weight_val=np.arange(10.0))
    assert model.t_ == 30 * model.n_iter_
    best = int(np.argmax(model.validation_scores_))
    weights = np.arange(10.0)
    assert model.best_validation_score_ == model.score(X[30:], y[30:], weights)
    # what is not held out is trained on: other than a split of the same 40
    short = classifier(early_stopping=True, max_iter=best + 1)
    short.fit(X[:30], y[:30], X_val=X[30:], y_val=y[30:], sample_weight_val=weights)
    np.testing.assert_array_equal(short.predict_proba(X), model.predict_proba(X))


def test_validation_data_through_a_pipeline(ragged):
    X, y = ragged
    with config_context(enable_metadata_routing=True):
        gru = classifier(early_stopping=True, max_iter=5, max_grad_norm=None)
        gru.set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(PerTimestep(StandardScaler()), gru, transform_input=["X_val"])
        with pytest.warns(ConvergenceWarning):
            pipeline.fit(X[:30], y[:30], X_val=X[30:], y_val=y[30:])
    scaled = pipeline[0].transform(X[30:])
    assert gru.best_validation_score_ == gru.score(scaled, y[30:])
    assert pipeline.score(X[30:], y[30:]) == gru.best_validation_score_


def test_validation_data_needs_its_like(ragged):
    X, y = ragged
    gru = classifier(early_stopping=True)
    with pytest.raises(ValueError, match="X_val is given, but not y_val"):
        gru.fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="y_val is given, but not X_val"):
        gru.fit(X, y, y_val=y)
    with pytest.raises(ValueError, match="sample_weight_val is given"):
        gru.fit(X, y, sample_weight_val=np.ones(40))
    with pytest.raises(ValueError, match="needs early_stopping=True"):
        classifier().fit(X, y, X_val=X, y_val=y)
    with pytest.raises(ValueError, match="X has 1 channels, but GRUClassifier was fitted on"):
        gru.fit(X, y, X_val=[x[:, :1] for x in X], y_val=y)
    with pytest.raises(ValueError, match="labels that are not in classes"):
        gru.fit(X, y, X_val=X, y_val=np.full(40, "sideways"))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        gru.fit(X, y, X_val=X, y_val=y[:3])
    assert not hasattr(gru, "n_iter_")


def test_early_stopping_for_regression(windows):
    model = GRURegressor(8, early_stopping=True, random_state=0, max_iter=300).fit(*windows)
    assert model.score(*windows) > 0.8


def test_early_stopping_needs_samples(ragged):
    X, _ = ragged
    with pytest.raises(ValueError, match="validation_fraction=0.01 of 40 samples leaves fewer"):
        GRURegressor(early_stopping=True, validation_fraction=0.01).fit(X, np.arange(40))
    weights = np.r_[1.0, np.zeros(39)]
    with pytest.raises(ValueError, match="fewer than 2 of positive weight"):
        GRURegressor(early_stopping=True).fit(X, np.arange(40), sample_weight=weights)


# ---- going on ----------------------------------------------------------------------------------


@ignore_convergence
def test_warm_start_goes_on(ragged):
    X, y = ragged
    model = classifier(max_iter=5, warm_start=True).fit(X, y)
    losses = list(model.loss_curve_)
    model.fit(X, y)
    assert model.loss_curve_[:5] == losses
    assert model.n_iter_ == 10
    assert model.loss_curve_[5] < losses[0]
    cold = classifier(max_iter=5).fit(X, y)
    assert cold.fit(X, y).loss_curve_ == losses
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=4 differs from \(8,\)"):
        model.set_params(hidden_layer_sizes=4).fit(X, y)
    with pytest.raises(ValueError, match="labels that are not in classes"):
        model.set_params(hidden_layer_sizes=8).fit(X, np.where(y == "up", "left", "right"))


@ignore_convergence
def test_partial_fit_is_an_epoch_of_fit(ragged):
    X, y = ragged
    whole = classifier(max_iter=6, shuffle=True).fit(X, y)
    parts = classifier()
    for _ in range(6):
        parts.partial_fit(X, y, classes=["down", "up"])
    assert parts.loss_curve_ == whole.loss_curve_
    np.testing.assert_array_equal(parts.predict_proba(X), whole.predict_proba(X))


def test_partial_fit_over_chunks(ragged):
    X, y = ragged
    model = classifier()
    for _ in range(30):
        for start in range(0, 40, 10):
            model.partial_fit(X[start : start + 10], y[start : start + 10], classes=["up", "down"])
    assert model.score(X, y) > 0.9
    # a chunk may lack a class, but not bring a new one
    model.partial_fit(X[:1], y[:1])
    with pytest.raises(ValueError, match="labels that are not in classes"):
        model.partial_fit(X[:2], ["up", "left"])
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        classifier().partial_fit(X, y)
    with pytest.raises(ValueError, match="is not the same as on last call"):
        model.partial_fit(X, y, classes=["up", "down", "left"])


def test_partial_fit_of_a_regressor(windows):
    X, y = windows
    model = GRURegressor(8, random_state=0)
    for _ in range(60):
        model.partial_fit(X, y, sample_weight=np.ones(len(y)))
    assert model.score(X, y) > 0.9
    with pytest.raises(ValueError, match="y has 2 outputs, the fitted model has 1"):
        model.partial_fit(X, np.column_stack([y, y]))


def test_partial_fit_where_it_makes_no_sense(ragged):
    assert not hasattr(classifier(solver="lbfgs"), "partial_fit")
    with pytest.raises(ValueError, match="early_stopping"):
        classifier(early_stopping=True).partial_fit(*ragged, classes=["down", "up"])
    with pytest.raises(ValueError, match="cosine"):
        classifier(learning_rate="cosine").partial_fit(*ragged, classes=["down", "up"])
    with pytest.raises(ValueError, match="balanced"):
        classifier(class_weight="balanced").partial_fit(*ragged, classes=["down", "up"])


def test_parameters_that_contradict_each_other(ragged):
    for parameters, message in (
        (dict(return_sequences=True, pooling="mean"), "pooling='mean' makes one vector"),
        (dict(bidirectional=True, bptt_steps=3), "one of the two must go"),
        (dict(solver="lbfgs", dropout=0.1), "dropout and recurrent_dropout need a stochastic"),
        (dict(solver="lbfgs", recurrent_dropout=0.1), "need a stochastic solver"),
    ):
        with pytest.raises(ValueError, match=message):
            classifier(**parameters).fit(*ragged)


# ---- what may go wrong -------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_interruption_warns_and_keeps_a_usable_model(ragged, monkeypatch, solver):
    X, y = ragged
    name = "full_batch" if solver == "lbfgs" else "minibatch"
    original, calls = getattr(Objective, name), []

    def interrupted(self, *args):
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return original(self, *args)

    monkeypatch.setattr(f"skgru.training.Objective.{name}", interrupted)
    model = classifier(solver=solver)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()
    assert 0 < model.n_iter_ == len(model.loss_curve_) < 8
    pickle.loads(pickle.dumps(model))


def test_interruption_before_the_first_epoch_ends(ragged, monkeypatch):
    def interrupted(self, samples):
        raise KeyboardInterrupt

    monkeypatch.setattr("skgru.training.Objective.minibatch", interrupted)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model = classifier(early_stopping=True).fit(*ragged)
    assert model.predict(ragged[0]).shape == (40,)
    assert model.n_iter_ == 0


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_divergence_is_an_error(solver):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 5, 1)), 1e25 * rng.normal(size=20)
    model = GRURegressor(4, solver=solver, random_state=0)
    with pytest.raises(ValueError, match="Training diverged: in .* the loss was inf"):
        model.fit(X, y)
    assert not hasattr(model, "n_iter_")


def test_divergence_in_the_last_update_is_an_error(windows):
    X, y = windows
    model = GRURegressor(
        4, solver="sgd", learning_rate_init=1e38, max_iter=1, batch_size=60, max_grad_norm=np.inf
    )
    with pytest.raises(ValueError, match="the last update made the weights infinite"):
        model.fit(X, 1e4 + y)


@ignore_convergence
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_verbose_prints_an_epoch_a_line(ragged, capsys, solver):
    model = classifier(verbose=True, max_iter=3, solver=solver).fit(*ragged)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for i, (line, loss) in enumerate(zip(lines, model.loss_curve_, strict=True), 1):
        assert line == f"{'Iteration' if solver == 'lbfgs' else 'Epoch'} {i}, loss = {loss:.8f}"


@ignore_convergence
def test_verbose_prints_the_validation_score(ragged, capsys):
    model = classifier(verbose=True, max_iter=30, early_stopping=True, n_iter_no_change=2)
    model.fit(*ragged)
    out = capsys.readouterr().out
    assert out.count("Validation score: ") == model.n_iter_
    assert "Validation score did not improve by tol=0.0001 for more than 2 epochs." in out
