"""Validation: what is held out, what is watched, and which weights are kept."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import log_loss, make_scorer
from sklearn.model_selection import GroupShuffleSplit, LeaveOneGroupOut

from skgru import GRUClassifier, GRURegressor
from skgru.metrics import neg_bits_per_step, step_scorer
from skgru.sequences import Targets
from skgru.training.objective import Objective
from skgru.training.validation import Validation, hold_out

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning"),
    # of small sets
    pytest.mark.filterwarnings("ignore:validation_fraction=:UserWarning"),
]

SHORT = {"hidden_layer_sizes": 4, "max_iter": 5, "random_state": 0}


# ---- the score -----------------------------------------------------------------------------------


def test_the_loss_is_watched_weighted_as_in_training(ragged):
    X, y = ragged
    weights = np.random.default_rng(0).uniform(0.1, 2, size=10)
    how = {"class_weight": {"down": 3.0, "up": 1.0}, "dtype": "float64", **SHORT}
    model = GRUClassifier(early_stopping=True, **how)
    model.fit(X, y, X_val=X[:10], y_val=y[:10], sample_weight_val=weights)
    factors = weights * np.where(y[:10] == "down", 3.0, 1.0)
    # the weights of the last epoch are within one standard error here: it is the one kept
    expected = -log_loss(y[:10], model.predict_proba(X[:10]), sample_weight=factors)
    assert min(abs(np.array(model.validation_scores_) - expected)) < 1e-9
    assert model.best_validation_score_ == max(model.validation_scores_) < 0


@pytest.mark.parametrize(
    ("scoring", "low", "high"),
    [("accuracy", 0, 1), ("neg_log_loss", -9, 0), (None, 0, 1),
     (make_scorer(log_loss, response_method="predict_proba", greater_is_better=False), -9, 0)],
    ids=str,
)  # fmt: skip
def test_other_scores(ragged, scoring, low, high):
    X, y = ragged
    model = GRUClassifier(early_stopping=True, scoring=scoring, **SHORT).fit(X, y)
    assert len(model.validation_scores_) == 5
    assert all(low <= score <= high for score in model.validation_scores_)


def test_loss_and_its_scorer_agree(ragged):
    X, y = ragged
    curves = [
        GRUClassifier(early_stopping=True, scoring=scoring, **SHORT).fit(X, y).validation_scores_
        for scoring in ("loss", "neg_log_loss")
    ]
    np.testing.assert_allclose(*curves, rtol=1e-6)


def test_scores_of_steps(ragged):
    X, _ = ragged
    y = [np.where(x[:, 0].cumsum() > 0, 1.0, 0.0) for x in X]
    y[3][-1] = np.nan
    for scoring in ("loss", step_scorer("accuracy"), step_scorer("f1")):
        model = GRUClassifier(
            early_stopping=True, scoring=scoring, return_sequences=True, **SHORT
        ).fit(X, y)
        assert np.isfinite(model.validation_scores_).all()


def test_samples_of_weight_zero_do_not_reach_scorers(ragged):
    X, _ = ragged
    y = np.array([x.mean() for x in X])
    weights = np.arange(40) % 2
    y[::2] = 1e3

    def unweighted(estimator, X, y):
        return estimator.score(X, y)

    for given in (weights, weights * np.arange(40)):
        curves = [
            GRURegressor(early_stopping=True, validation_fraction=0.4, scoring=scoring, **SHORT)
            .fit(X, y, sample_weight=given)
            .validation_scores_
            for scoring in (None, "r2", *([unweighted] if given is weights else []))
        ]
        for curve in curves[1:]:
            np.testing.assert_allclose(curve, curves[0], rtol=1e-6)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("scoring", [step_scorer("accuracy"), neg_bits_per_step])
def test_weights_of_steps_reach_scorers(ragged, scoring, padded):
    X, _ = ragged
    y = [np.where(x[:, 0].cumsum() > 0, 1.0, 0.0) for x in X]
    y[3][-1] = np.nan
    weights = np.arange(len(X)) % 3
    if padded:
        longest = max(map(len, X))
        X = np.stack(
            [np.pad(x, ((0, longest - len(x)), (0, 0)), constant_values=np.nan) for x in X]
        )
    model = GRUClassifier(return_sequences=True, scoring=scoring, **SHORT)
    validation = {"X_val": X[-9:], "y_val": y[-9:], "sample_weight_val": weights[-9:]}
    scores = model.fit(X, y, **validation).validation_scores_
    last = scoring(model, X[-9:], y[-9:], sample_weight=weights[-9:])
    assert scores[-1] == pytest.approx(last, rel=1e-6)
    model.set_params(early_stopping=True).fit(X, y, sample_weight=weights)
    assert np.isfinite(model.validation_scores_).all()


def test_a_score_that_is_not_a_number_is_an_error(ragged):
    def broken(estimator, X, y):
        return np.nan

    model = GRUClassifier(early_stopping=True, scoring=broken, **SHORT)
    with pytest.raises(ValueError, match="validation score is NaN"):
        model.fit(*ragged)
    assert not hasattr(model, "classes_")


def test_an_unknown_score_is_an_error(ragged):
    with pytest.raises(ValueError, match="no_such_score"):
        GRUClassifier(early_stopping=True, scoring="no_such_score", **SHORT).fit(*ragged)


def test_a_curve_without_stopping(ragged):
    """X_val alone does not change the fit."""
    X, y = ragged
    plain = GRUClassifier(**SHORT).fit(X, y)
    watched = GRUClassifier(**SHORT).fit(X, y, X_val=X[:7], y_val=y[:7])
    np.testing.assert_array_equal(plain.predict_proba(X), watched.predict_proba(X))
    assert plain.validation_scores_ is None
    expected = -log_loss(y[:7], watched.predict_proba(X[:7]))
    assert watched.validation_scores_[-1] == pytest.approx(expected, rel=1e-5)


# ---- which weights are kept ----------------------------------------------------------------------


def kept_epochs(results, shares=None):
    """Let a validation see these results, one per epoch; return which epoch it keeps each time."""
    epoch = np.zeros(1)
    queue = iter(results)
    n = np.size(results[0])
    validation = Validation(
        epoch, lambda: next(queue), True, np.full(n, 1 / n) if shares is None else shares
    )
    kept = []
    for i in range(len(results)):
        epoch[:] = i
        validation.update()
        before = epoch.copy()
        validation.restore()
        kept.append(int(epoch[0]))
        epoch[:] = before
    return kept


def test_of_equal_scores_the_latest_is_kept():
    assert kept_epochs([0.5, 0.7, 0.7, 0.6, 0.7, 0.69]) == [0, 1, 2, 2, 4, 4]


def test_what_is_not_significantly_worse_is_kept():
    rng = np.random.default_rng(0)
    best = rng.uniform(0.5, 1.5, size=200) / 200
    noise = rng.normal(size=200)
    noise = (noise - noise.mean()) / noise.std(ddof=1) / 200  # its mean has a standard error
    critical = stats.t.ppf(0.95, 199) / np.sqrt(200) / 200
    near, far = best + noise + 0.99 * critical, best + noise + 1.01 * critical
    assert kept_epochs([2 * best, best, near, far]) == [0, 1, 2, 2]
    assert stats.ttest_rel(near, best, alternative="greater").pvalue > 0.05
    assert stats.ttest_rel(far, best, alternative="greater").pvalue < 0.05
    assert kept_epochs([best, best + 0.001 / 200]) == [0, 0]  # no noise, no doubt


def test_two_samples_do_not_bring_the_beginning_back():
    """A network that fits well is kept, though two held-out samples liked the beginning better."""
    for last in ([0.0, 1.0], [0.4, 0.6]):
        assert kept_epochs([np.array([0.3, 0.4]), np.array(last)]) == [0, 1]


def test_few_held_out_samples_only_tell_how_long_to_train(ragged):
    """The network is trained anew on all samples, for as many epochs."""
    X, y = ragged
    how = {"hidden_layer_sizes": 4, "random_state": 0, "max_iter": 300}
    model = GRUClassifier(early_stopping=True, **how).fit(X, y)
    assert model.t_ == 40 * model.n_iter_  # all samples
    assert model.n_updates_ >= 1000
    assert len(model.validation_scores_) >= model.n_iter_
    # X_val is nobody's training data
    model.fit(X[:30], y[:30], X_val=X[30:], y_val=y[30:])
    assert model.t_ == 30 * model.n_iter_ == 30 * len(model.validation_scores_)


def test_an_interrupted_fit_does_not_train_again(ragged, monkeypatch):
    X, y = ragged
    minibatch, n = Objective.minibatch, [0]

    def interrupted(self, samples):
        n[0] += 1
        if n[0] == 30:
            raise KeyboardInterrupt
        return minibatch(self, samples)

    monkeypatch.setattr(Objective, "minibatch", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        model = GRUClassifier(4, early_stopping=True, random_state=0).fit(X, y)
    assert n[0] == 30
    assert model.n_iter_ == len(model.validation_scores_) == 3


def test_many_held_out_samples_choose_the_weights():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1010, 3, 1))
    y = (X[:, :, 0].mean(axis=1) > 0).astype(int)
    model = GRUClassifier(4, early_stopping=True, max_iter=3, random_state=0).fit(X, y)
    assert model.t_ == 3 * 909
    assert len(model.validation_scores_) == model.n_iter_ == 3


# ---- what is held out ----------------------------------------------------------------------------


def targets_of(codes):
    return Targets(np.asarray(codes, float)[:, np.newaxis], np.ones(len(codes)), None)


def split(codes, classes, **how):
    options = {"split": "random", "fraction": 0.25, "groups": None}
    return hold_out(
        targets_of(codes), classes=classes, random_state=np.random.RandomState(0),
        **{**options, **how},
    )  # fmt: skip


def test_shares_of_classes_are_kept():
    codes = np.repeat([0, 1], [30, 10])
    training, held_out = split(codes, np.array(["a", "b"]))
    assert np.bincount(codes[held_out]).tolist() == [8, 2] or np.bincount(
        codes[held_out]
    ).tolist() == [7, 3]
    assert sorted([*training, *held_out]) == list(range(40))


def test_classes_of_a_single_sample_stay_in_training():
    codes = np.r_[np.repeat([0, 1], 20), 2]
    with pytest.warns(UserWarning, match=r"single sample are not validated on: \['rare'\]"):
        training, held_out = split(codes, np.array(["a", "b", "rare"]))
    assert 40 in training
    assert sorted([*training, *held_out]) == list(range(41))


@pytest.mark.filterwarnings("default:validation_fraction=:UserWarning")
def test_too_few_samples_for_all_classes():
    codes = np.repeat(np.arange(10), 2)
    with pytest.warns(UserWarning, match="holds out 5 of 20 samples, too few to have each of 10"):
        training, held_out = split(codes, np.arange(10))
    assert len(held_out) == 5
    assert sorted([*training, *held_out]) == list(range(20))


@pytest.mark.parametrize(
    ("counts", "fraction", "message"),
    [
        (20 * [1], 0.25, "out 5 of 20 samples, too few to have each of 20"),
        ([1, *5 * [2]], 0.25, "out 3 of 11 samples, too few to have each of 6"),
        (5 * [2], 0.8, "out 8 of 10 samples and keeps 2, too few to have each of 5"),
    ],
)
@pytest.mark.filterwarnings("default:validation_fraction=:UserWarning")
def test_the_warning_counts_what_is_drawn(counts, fraction, message):
    codes = np.repeat(np.arange(len(counts)), counts)
    with pytest.warns(UserWarning, match=message):
        training, held_out = split(codes, np.arange(len(counts)), fraction=fraction)
    assert f"out {len(held_out)} of {len(training) + len(held_out)} " in message


def test_an_estimator_with_rare_classes_fits(ragged):
    X, y = ragged
    y = np.array(y, dtype="U5")
    y[0] = "rare"
    with pytest.warns(UserWarning, match="rare"):
        model = GRUClassifier(early_stopping=True, validation_fraction=0.2, **SHORT).fit(X, y)
    assert "rare" in model.classes_


def test_groups_are_not_split():
    codes, groups = np.tile([0, 1], 20), np.repeat(np.arange(10), 4)
    for how in (
        {"groups": groups},
        {"groups": groups, "split": GroupShuffleSplit(1, test_size=0.3, random_state=0)},
        {"groups": groups, "split": LeaveOneGroupOut()},
    ):
        training, held_out = split(codes, np.arange(2), **how)
        assert not set(groups[training]) & set(groups[held_out])
        assert len(held_out) >= 4


@pytest.mark.parametrize("estimator", [GRUClassifier, GRURegressor])
def test_groups_through_fit(ragged, estimator):
    """Samples of a group are copies: only with groups are they all unseen."""
    X, labels = ragged
    y = labels if estimator is GRUClassifier else np.array([x[0, 0] for x in X])
    X, y, groups = [x for x in X for _ in range(3)], np.repeat(y, 3), np.repeat(np.arange(40), 3)
    model = estimator(early_stopping=True, **SHORT).fit(X, y, groups=groups)
    other = estimator(early_stopping=True, **SHORT).fit(X, y)
    assert model.validation_scores_ != other.validation_scores_


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"early_stopping": False}, "groups say what early_stopping=True may hold out"),
        ({"validation_split": "last"}, "holds out the last samples, whatever their groups"),
        ({"groups": [1, 2]}, "inconsistent numbers of samples"),
    ],
)
def test_groups_that_cannot_be_used(ragged, how, message):
    X, y = ragged
    groups = how.pop("groups", np.arange(40))
    with pytest.raises(ValueError, match=message):
        GRUClassifier(**{"early_stopping": True, **SHORT, **how}).fit(X, y, groups=groups)


def test_every_kind_of_target_watches_the_loss(ragged):
    X, _ = ragged
    several = np.random.default_rng(0).integers(2, size=(40, 3))
    numbers = np.array([x.sum() for x in X])
    for estimator, target in (
        (GRUClassifier(), several), (GRURegressor(), numbers),
        (GRURegressor(loss="quantile"), numbers), (GRURegressor(loss="poisson"), numbers**2),
        (GRURegressor(loss="huber"), np.c_[numbers, numbers]),
    ):  # fmt: skip
        model = estimator.set_params(early_stopping=True, **SHORT).fit(X, target)
        assert np.isfinite(model.validation_scores_).all()
