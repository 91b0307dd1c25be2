"""Predictions per time step: forms of y, missing labels, weights, scores."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.preprocessing import PerTimestep

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def classifier(**parameters):
    return GRUClassifier(
        **{"hidden_layer_sizes": 8, "max_iter": 20, "random_state": 0, **parameters},
        return_sequences=True,
    )


def regressor(**parameters):
    return GRURegressor(
        **{"hidden_layer_sizes": 8, "max_iter": 20, "random_state": 0, **parameters},
        return_sequences=True,
    )


def pad(items, length, missing=np.nan, dtype=float):
    shape = (len(items), length, *items[0].shape[1:])
    padded = np.full(shape, missing, dtype=dtype)
    for i, item in enumerate(items):
        padded[i, : len(item)] = item
    return padded


# ---- forms of y ----------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [(0, 1), ("down", "up"), (False, True), (1.0, 3.0)], ids=str)
def test_labels_come_in_every_form(sums, labels):
    X, Y = sums
    y = [np.array(labels)[(v[:, 0] > 0).astype(int)] for v in Y]
    numbers = not isinstance(labels[0], str | bool)
    padded_y = pad(y, 8, np.nan if numbers else None, float if numbers else object)
    objects = np.empty(30, dtype=object)
    objects[:] = y
    model = classifier().fit(X, y)
    assert model.score(X, y) > 0.8
    expected = model.predict_proba(X)
    for X_form, y_form in ((X, tuple(y)), (X, objects), (pad(X, 8), padded_y), (pad(X, 8), y)):
        other = classifier().fit(X_form, y_form)
        np.testing.assert_array_equal(other.classes_, sorted(labels))
        for got, want in zip(other.predict_proba(X), expected, strict=True):
            np.testing.assert_array_equal(got, want)
        assert other.score(X_form, y_form) == model.score(X, y)
    # predictions have the form of X
    for x, got, proba in zip(X, model.predict(X), expected, strict=True):
        assert got.shape == (len(x),)
        assert got.dtype == model.classes_.dtype
        np.testing.assert_array_equal(got, model.classes_[proba.argmax(axis=1)])
        np.testing.assert_allclose(proba.sum(axis=1), 1)
    predicted = model.predict(pad(X, 8))
    assert predicted.shape == (30, 8)
    for i, x in enumerate(X):
        assert list(predicted[i, : len(x)]) == list(model.predict(X)[i])
        assert all(v is None if not numbers else np.isnan(v) for v in predicted[i, len(x) :])
    assert model.predict_proba(pad(X, 8)).shape == (30, 8, 2)


def test_numbers_come_in_every_form(sums):
    X, Y = sums
    for y in (Y, [v[:, 0] for v in Y]):
        model = regressor(max_iter=80).fit(X, y)
        assert model.score(X, y) > 0.7
        for got, want in zip(model.predict(X), y, strict=True):
            assert got.shape == want.shape
        np.testing.assert_allclose(
            model.score(X, y), r2_score(np.concatenate(y), np.concatenate(model.predict(X)))
        )
        padded = regressor(max_iter=80).fit(pad(X, 8), pad(y, 8))
        np.testing.assert_array_equal(padded.predict(pad(X, 8)), pad(model.predict(X), 8))


def test_rows_of_a_table_have_a_label_per_step():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 12))
    y = (X.reshape(30, 6, 2).sum(axis=2) > 0).astype(int)
    model = classifier(n_channels=2, max_iter=60).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert model.predict(X).dtype == y.dtype
    assert model.predict_proba(X).shape == (30, 6, 2)
    assert model.score(X, y) == np.mean(model.predict(X) == y) > 0.9
    assert model.n_features_in_ == 12


# ---- missing labels and weights ------------------------------------------------------------------


def test_missing_labels_have_no_weight(sums):
    X, Y = sums
    rng = np.random.default_rng(1)
    keep = [rng.random(len(v)) < 0.6 for v in Y]
    labels = [(v[:, 0] > 0).astype(float) for v in Y]
    nan = [np.where(k, v, np.nan) for k, v in zip(keep, labels, strict=True)]
    none = [np.array([b if a else None for a, b in zip(k, v, strict=True)], dtype=object)
            for k, v in zip(keep, labels, strict=True)]  # fmt: skip
    weights = [k.astype(float) for k in keep]
    model = classifier().fit(X, nan)
    expected = model.predict_proba(X)
    for y, w in ((none, None), (labels, weights), ([1 - 2 * (~k) * 9 for k in keep], weights)):
        if w is not None and y is not labels:
            y = [np.where(k, v, 1 - v) for k, v in zip(keep, labels, strict=True)]
        other = classifier().fit(X, y, sample_weight=w)
        for got, want in zip(other.predict_proba(X), expected, strict=True):
            np.testing.assert_array_equal(got, want)
        np.testing.assert_allclose(other.score(X, y, sample_weight=w), model.score(X, nan))
    # all outputs of a time step may be missing for a regressor
    y = [np.where(k[:, None], v, np.nan) for k, v in zip(keep, Y, strict=True)]
    score = regressor().fit(X, y).score(X, y)
    rows = np.concatenate(keep)
    got = np.vstack(regressor().fit(X, y).predict(X))[rows]
    np.testing.assert_allclose(score, r2_score(np.vstack(Y)[rows], got))


def test_the_weight_of_a_sequence_applies_to_its_steps(sums):
    X, Y = sums
    y = [v[:, 0] for v in Y]
    weights = np.random.default_rng(0).uniform(size=30)
    by_step = [np.full(len(v), w) for v, w in zip(y, weights, strict=True)]
    for solver in ("adam", "lbfgs"):
        a = regressor(solver=solver).fit(X, y, sample_weight=weights)
        for form in (by_step, pad(by_step, 8)):
            X_form = X if form is by_step else pad(X, 8)
            b = regressor(solver=solver).fit(X_form, y, sample_weight=form)
            for got, want in zip(b.predict(X), a.predict(X), strict=True):
                np.testing.assert_array_equal(got, want)


def test_weights_equal_repetitions_with_lbfgs(sums):
    X, Y = sums
    y = [v[:, 0] for v in Y]
    weights = np.arange(30) % 3
    gru = regressor(solver="lbfgs", dtype="float64")
    a = clone(gru).fit(X, y, sample_weight=weights)
    b = clone(gru).fit(
        [x for x, w in zip(X, weights, strict=True) for _ in range(w)],
        [v for v, w in zip(y, weights, strict=True) for _ in range(w)],
    )
    for got, want in zip(b.predict(X), a.predict(X), strict=True):
        np.testing.assert_array_equal(got, want)


def test_class_weights_apply_to_steps(sums):
    X, Y = sums
    y = [(v[:, 0] > 1).astype(int) for v in Y]
    flat = np.concatenate(y)
    share = flat.mean()
    balanced = classifier(class_weight="balanced").fit(X, y)
    by_hand = classifier(class_weight={0: 0.5 / (1 - share), 1: 0.5 / share}).fit(X, y)
    np.testing.assert_allclose(
        np.vstack(balanced.predict_proba(X)), np.vstack(by_hand.predict_proba(X)), rtol=1e-5
    )
    plain = classifier().fit(X, y)
    assert np.mean(np.concatenate(balanced.predict(X))) > np.mean(np.concatenate(plain.predict(X)))


# ---- causality, stopping and cross-validation ----------------------------------------------------


def test_only_bidirectional_models_see_later_steps(sums):
    X, Y = sums
    changed = [np.vstack([x[:-1], x[-1:] + 1]) for x in X]
    for bidirectional in (False, True):
        model = regressor(bidirectional=bidirectional).fit(X, Y)
        for a, b in zip(model.predict(X), model.predict(changed), strict=True):
            assert not np.array_equal(a[-1], b[-1])
            if len(a) > 1:
                assert np.array_equal(a[:-1], b[:-1]) != bidirectional


@pytest.mark.parametrize("parameters", [{}, dict(bptt_steps=3), dict(bidirectional=True)], ids=str)
def test_early_stopping_and_partial_fit(sums, parameters):
    X, Y = sums
    y = [(v[:, 0] > 0).astype(int) for v in Y]
    stopping = {"early_stopping": True, "scoring": None, "learning_rate": "constant"}
    model = classifier(**stopping, validation_fraction=0.3, max_iter=200, **parameters)
    model.fit(X, y)
    assert 0.6 < model.best_validation_score_ <= 1
    model = classifier(**stopping, max_iter=5, **parameters)
    model.fit(X[:20], y[:20], X_val=X[20:], y_val=y[20:])
    assert model.best_validation_score_ == model.score(X[20:], y[20:])
    parts = classifier(learning_rate="constant", **parameters)
    for _ in range(20):
        parts.partial_fit(X, y, classes=[0, 1])
    whole = classifier(learning_rate="constant", **parameters).fit(X, y)
    assert parts.score(X, y) == whole.score(X, y) > 0.8


def test_cross_validation(sums):
    X, Y = sums
    y = [(v[:, 0] > 0).astype(int) for v in Y]
    pipeline = make_pipeline(PerTimestep(StandardScaler()), classifier(max_iter=40))
    assert cross_val_score(pipeline, X, y, cv=KFold(3)).min() > 0.6
    assert cross_val_score(pipeline, X, y, cv=KFold(3), n_jobs=2).min() > 0.6
    table = np.random.default_rng(0).normal(size=(30, 5))
    labels = (table.cumsum(axis=1) > 0).astype(int)
    predicted = cross_val_predict(classifier(max_iter=40), table, labels, cv=3)
    assert np.mean(predicted == labels) > 0.8


# ---- invalid targets -----------------------------------------------------------------------------


def test_invalid_targets_are_rejected(sums):
    X, Y = sums
    y = [(v[:, 0] > 0).astype(int) for v in Y]
    short = [*y[:3], y[3][:-1], *y[4:]]
    for bad, message in (
        (short, rf"y\[3\] has {len(y[3]) - 1} steps, X\[3\] has {len(y[3])}"),
        (y[:-1], "y has 29 sequences, X has 30"),
        (np.zeros(30), r"y has 1 dimensions \(shape \(30,\)\); with return_sequences=True"),
        (np.zeros((30, 7)), "y has 30 sequences of 7 steps, X has 30 of 8"),
        ([*y[:-1], np.zeros((len(y[-1]), 2))], r"y\[29\] has shape"),
        ([np.full(len(v), np.nan) for v in y], "All labels in y are missing"),
        ([np.full(len(v), 1) for v in y], "at least 2 classes"),
    ):
        with pytest.raises(ValueError, match=message):
            classifier().fit(X, bad)
    with pytest.raises(ValueError, match="some outputs are missing and others are not"):
        regressor().fit(X, [np.where(v == v.max(), np.nan, v) for v in Y])
    with pytest.raises(ValueError, match="sample_weight has 29 entries, X has 30"):
        classifier().fit(X, y, sample_weight=np.ones(29))
    with pytest.raises(ValueError, match=r"sample_weight\[3\] has .* steps"):
        classifier().fit(X, y, sample_weight=[np.ones(len(v)) for v in short])
    with pytest.raises(ValueError, match="[Nn]egative"):
        classifier().fit(X, y, sample_weight=[-np.ones(len(v)) for v in y])
