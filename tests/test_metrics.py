"""Scorers for a prediction a time step."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    fbeta_score,
    get_scorer,
    log_loss,
    make_scorer,
    mean_absolute_error,
    precision_score,
    r2_score,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.metrics import bits_per_step, flatten_steps, neg_bits_per_step, step_scorer
from skgru.preprocessing import PerTimestep

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning"),
]


@pytest.fixture
def signs():
    """Sequences and, for each step, whether the sum so far is positive."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 1)) for n in rng.integers(2, 12, size=40)]
    return X, [(x[:, 0].cumsum() > 0).astype(int) for x in X]


@pytest.fixture
def fitted(signs):
    return GRUClassifier(8, return_sequences=True, max_iter=10, random_state=0).fit(*signs)


@pytest.mark.parametrize(
    ("scoring", "expected"),
    [
        ("accuracy", lambda y, p, proba: accuracy_score(y, p)),
        ("f1_macro", lambda y, p, proba: f1_score(y, p, average="macro")),
        ("neg_log_loss", lambda y, p, proba: -log_loss(y, proba)),
        ("roc_auc", lambda y, p, proba: roc_auc_score(y, proba[:, 1])),
        (lambda y, p: np.mean(y == p), lambda y, p, proba: accuracy_score(y, p)),
    ],
    ids=["accuracy", "f1_macro", "neg_log_loss", "roc_auc", "callable"],
)
def test_a_scorer_is_the_metric_over_all_steps(signs, fitted, scoring, expected):
    X, y = signs
    flat = np.concatenate(y)
    want = expected(flat, np.concatenate(fitted.predict(X)), np.vstack(fitted.predict_proba(X)))
    assert 0.3 < abs(step_scorer(scoring)(fitted, X, y)) <= 1
    np.testing.assert_allclose(step_scorer(scoring)(fitted, X, y), want)


def test_missing_labels_and_weights(signs, fitted):
    X, y = signs
    missing = [np.where(np.arange(len(v)) % 3 == 1, np.nan, v) for v in y]
    predictions = np.concatenate(fitted.predict(X))
    keep = ~np.isnan(np.concatenate(missing))
    scorer = step_scorer("accuracy")
    want = accuracy_score(np.concatenate(y)[keep], predictions[keep])
    np.testing.assert_allclose(scorer(fitted, X, missing), want)
    np.testing.assert_allclose(fitted.score(X, missing), want)
    by_sequence = np.arange(40.0)
    by_step = [np.full(len(v), w) for v, w in zip(y, by_sequence, strict=True)]
    want = accuracy_score(
        np.concatenate(y)[keep], predictions[keep], sample_weight=np.concatenate(by_step)[keep]
    )
    for weights in (by_sequence, by_step):
        np.testing.assert_allclose(scorer(fitted, X, missing, sample_weight=weights), want)
        np.testing.assert_allclose(fitted.score(X, missing, sample_weight=weights), want)


def test_padded_arrays_score_as_lists(signs, fitted):
    X, y = signs
    padded = np.full((40, 11, 1), np.nan)
    labels = np.full((40, 11), np.nan)
    for i, (x, v) in enumerate(zip(X, y, strict=True)):
        padded[i, : len(x)], labels[i, : len(v)] = x, v
    want = step_scorer("accuracy")(fitted, X, y)
    for X_form in (X, padded):
        for y_form in (y, labels):
            assert step_scorer("accuracy")(fitted, X_form, y_form) == want


def test_a_loss_counts_negative(signs):
    X, _ = signs
    y = [x[:, 0].cumsum() for x in X]
    model = GRURegressor(8, return_sequences=True, max_iter=5, random_state=0).fit(X, y)
    want = -mean_absolute_error(np.concatenate(y), np.concatenate(model.predict(X)))
    for scorer in (
        step_scorer("neg_mean_absolute_error"),
        step_scorer(mean_absolute_error, greater_is_better=False),
    ):
        np.testing.assert_allclose(scorer(model, X, y), want)


def test_in_a_search(signs):
    X, y = signs
    gru = GRUClassifier(return_sequences=True, max_iter=30, random_state=0)
    search = GridSearchCV(
        gru,
        {"hidden_layer_sizes": [1, 16]},
        cv=KFold(2),
        scoring={"accuracy": step_scorer("accuracy"), "loss": step_scorer("neg_log_loss")},
        refit="accuracy",
    ).fit(X, y)
    assert search.best_params_ == {"hidden_layer_sizes": 16}
    assert search.best_score_ > 0.8
    assert (search.cv_results_["mean_test_loss"] < 0).all()


def test_what_scikit_learn_would_get_wrong():
    """(n, T) labels of 0 and 1 look like a multilabel indicator to its metrics."""
    y, predictions = np.array([[0, 1, 1], [1, 0, 0]]), np.array([[0, 1, 0], [1, 0, 0]])
    assert accuracy_score(y, predictions) == 0.5
    flat, predicted, _ = flatten_steps(y, predictions)
    np.testing.assert_allclose(accuracy_score(flat, predicted), 5 / 6)


# ---- every metric and scorer, with its options -----------------------------------------------


def padded(sequences, filler, length=None):
    """Sequences as one array, with a filler after their ends."""
    length = length or max(map(len, sequences))
    first = np.asarray(sequences[0])
    dtype = np.result_type(first.dtype, type(filler)) if first.dtype.kind in "biuf" else object
    array = np.full((len(sequences), length, *first.shape[1:]), filler, dtype=dtype)
    for row, sequence in zip(array, sequences, strict=True):
        row[: len(sequence)] = sequence
    return array


@pytest.fixture
def named(signs):
    """The signs as words; the first in the alphabet is the rare one."""
    X, y = signs
    words = [np.where(v == 1, "down", "up") for v in y]
    model = GRUClassifier(8, return_sequences=True, max_iter=10, random_state=0).fit(X, words)
    return X, words, model


@pytest.mark.parametrize("pos_label", ["down", "up"])
def test_the_positive_label_is_kept(named, pos_label):
    X, y, model = named
    flat, column = np.concatenate(y), list(model.classes_).index(pos_label)
    positive = np.vstack(model.predict_proba(X))[:, column]
    predicted = np.concatenate(model.predict(X))
    options = {"pos_label": pos_label}
    expected = {
        "average_precision": average_precision_score(flat, positive, **options),
        "neg_brier_score": -brier_score_loss(flat, positive, **options),
        "f1": f1_score(flat, predicted, **options),
        "precision": precision_score(flat, predicted, **options),
    }
    for name, value in expected.items():
        for form in (
            step_scorer(name, **options),
            step_scorer(get_scorer(name), **options),
        ):
            np.testing.assert_allclose(form(model, X, y), value, err_msg=name)
    metric = step_scorer(average_precision_score, response_method="predict_proba", **options)
    np.testing.assert_allclose(metric(model, X, y), expected["average_precision"])
    scorer = make_scorer(fbeta_score, beta=2, **options)
    np.testing.assert_allclose(
        step_scorer(scorer)(model, X, y), fbeta_score(flat, predicted, beta=2, **options)
    )


def test_the_positive_label_of_numbers(signs, fitted):
    """Label 0 as the positive one: neither its probability nor its metric is that of label 1."""
    X, y = signs
    flat, proba = np.concatenate(y), np.vstack(fitted.predict_proba(X))
    for pos_label in (0, 1):
        want = average_precision_score(flat, proba[:, pos_label], pos_label=pos_label)
        scorer = step_scorer("average_precision", pos_label=pos_label)
        np.testing.assert_allclose(scorer(fitted, X, y), want)
        brier = make_scorer(
            brier_score_loss, response_method="predict_proba", greater_is_better=False,
            pos_label=pos_label,
        )  # fmt: skip
        want = -brier_score_loss(flat, proba[:, pos_label], pos_label=pos_label)
        np.testing.assert_allclose(step_scorer(brier)(fitted, X, y), want)
    assert step_scorer("f1")(fitted, X, y) == step_scorer(get_scorer("f1"))(fitted, X, y)


def test_words_need_a_positive_label_as_in_scikit_learn(named):
    X, y, model = named
    with pytest.raises(ValueError, match="pos_label=1 is not a valid label"):
        step_scorer("average_precision")(model, X, y)


@pytest.mark.parametrize("n_labels", [2, 3])
def test_multilabel(signs, n_labels):
    X, _ = signs
    rng = np.random.default_rng(1)
    y = [(np.tile(x, n_labels) + 0.3 * rng.normal(size=n_labels) > 0).astype(int) for x in X]
    model = GRUClassifier(8, return_sequences=True, max_iter=3, random_state=0).fit(X, y)
    flat, predicted = np.concatenate(y), np.concatenate(model.predict(X))
    proba = np.concatenate(model.predict_proba(X))
    expected = {
        "accuracy": accuracy_score(flat, predicted),
        "f1_macro": f1_score(flat, predicted, average="macro"),
        "f1_samples": f1_score(flat, predicted, average="samples", zero_division=1),
        "roc_auc": roc_auc_score(flat, proba),
        "average_precision": average_precision_score(flat, proba),
    }
    for name, value in expected.items():
        options = {"zero_division": 1} if name == "f1_samples" else {}
        for X_form, y_form in ((X, y), (padded(X, np.nan), padded(y, 0)), (X, padded(y, -7))):
            got = step_scorer(name, **options)(model, X_form, y_form)
            np.testing.assert_allclose(got, value, err_msg=name)


@pytest.mark.parametrize("labels", ["numbers", "words", "bools"])
def test_padding_is_never_compared_with_padding(signs, labels):
    """Whatever stands in X, y and the predictions after a sequence's end."""
    X, y = signs
    made, fillers = {
        "numbers": (y, (0, 1, -1, 99, np.nan)),
        "words": ([np.where(v == 1, "down", "up") for v in y], ("", "up", "pad", None, np.nan)),
        "bools": ([v == 1 for v in y], (False, True, np.nan)),
    }[labels]
    model = GRUClassifier(8, return_sequences=True, max_iter=10, random_state=0).fit(X, made)
    predicted = np.concatenate(model.predict(X))
    want = accuracy_score(np.concatenate(made), predicted)
    macro = f1_score(np.concatenate(made), predicted, average="macro")
    right = GRUClassifierThatKnows(model, made)
    for X_form in (X, padded(X, np.nan)):
        for y_form in (made, *(padded(made, filler) for filler in fillers)):
            assert step_scorer("accuracy")(model, X_form, y_form) == want
            np.testing.assert_allclose(step_scorer("f1_macro")(model, X_form, y_form), macro)
            assert step_scorer("accuracy")(right, X_form, y_form) == 1
    weights = [np.arange(1.0, len(v) + 1) for v in y]
    want = accuracy_score(np.concatenate(made), predicted, sample_weight=np.concatenate(weights))
    for form in (weights, padded(weights, 0.0), padded(weights, np.nan)):
        got = step_scorer("accuracy")(model, X, padded(made, fillers[0]), sample_weight=form)
        np.testing.assert_allclose(got, want)


class GRUClassifierThatKnows(GRUClassifier):
    """Predicts the true labels, in the form of X that it is given."""

    def __init__(self, model, y):
        vars(self).update(vars(model), answers=y)

    def predict(self, X):
        return self.answers if isinstance(X, list) else padded(self.answers, np.nan)


def test_numbers_of_padded_sequences(signs):
    X, _ = signs
    for k in (1, 2):
        y = [np.tile(x.cumsum(axis=0), k) for x in X]
        model = GRURegressor(8, return_sequences=True, max_iter=5, random_state=0)
        model.fit(X, y if k > 1 else [v[:, 0] for v in y])
        predicted = np.concatenate(model.predict(X))
        want = r2_score(np.concatenate(y), predicted)
        for X_form, y_form in ((X, y), (padded(X, np.nan), padded(y, 0.0)), (X, padded(y, 5.0))):
            np.testing.assert_allclose(step_scorer("r2")(model, X_form, y_form), want)


def test_other_forms_of_y(signs, fitted):
    pandas = pytest.importorskip("pandas")
    X, y = signs
    want = step_scorer("accuracy")(fitted, X, y)
    series = pandas.Series(y, index=np.arange(40)[::-1])
    table = pandas.DataFrame(padded(y, np.nan), index=np.arange(40)[::-1])
    for form in (series, table, tuple(y), [v.tolist() for v in y], padded(y, 0).tolist()):
        assert step_scorer("accuracy")(fitted, X, form) == want


def test_in_early_stopping(signs):
    X, y = signs
    for scoring in ("f1", get_scorer("average_precision"), make_scorer(f1_score, pos_label=0)):
        scorer = step_scorer(scoring)
        model = GRUClassifier(8, return_sequences=True, max_iter=15, early_stopping=True,
                              scoring=scorer, random_state=0).fit(X[:30], y[:30])  # fmt: skip
        assert 0.5 < np.max(model.validation_scores_) <= 1
        given = GRUClassifier(8, return_sequences=True, max_iter=3, scoring=scorer, random_state=0)
        given.fit(padded(X, np.nan), padded(y, 0), X_val=X[:10], y_val=padded(y[:10], 1))
        np.testing.assert_allclose(given.validation_scores_[-1], scorer(given, X[:10], y[:10]))


def test_in_a_scoring_monitor(signs):
    callback = pytest.importorskip("sklearn.callback")  # from scikit-learn 1.9 on
    X, y = signs
    y = [np.where(v == 1, "down", "up") for v in y]
    scorers = {
        "single": step_scorer("f1", pos_label="down"),
        "several": {"f1": step_scorer("f1", pos_label="down"), "loss": step_scorer("neg_log_loss")},
    }
    for kind, scoring in scorers.items():
        for weight in (None, np.linspace(0.5, 2, 40)):
            monitor = callback.ScoringMonitor(scoring=scoring)
            model = GRUClassifier(8, return_sequences=True, max_iter=4, random_state=0)
            model.set_callbacks(monitor).fit(X, y, sample_weight=weight)
            log = [e for e in monitor.get_logs().data if e["task_name"] == "epoch"]
            assert len(log) == 4
            name = "score" if kind == "single" else "f1"
            want = scorers["single"](model, X, y, sample_weight=weight)
            np.testing.assert_allclose(log[-1][name], want)


def test_in_a_pipeline_and_a_search(signs):
    X, y = signs
    model = make_pipeline(
        PerTimestep(StandardScaler()),
        GRUClassifier(8, return_sequences=True, max_iter=10, random_state=0),
    )
    scorer = step_scorer(make_scorer(roc_auc_score, response_method="predict_proba"))
    want = []
    for train, test in KFold(2).split(X):
        model.fit([X[i] for i in train], [y[i] for i in train])
        proba = np.concatenate(model.predict_proba([X[i] for i in test]))
        want.append(roc_auc_score(np.concatenate([y[i] for i in test]), proba[:, 1]))
    np.testing.assert_allclose(cross_val_score(model, X, y, cv=KFold(2), scoring=scorer), want)
    search = GridSearchCV(model, {"gruclassifier__max_iter": [1, 10]}, cv=2, scoring=scorer)
    assert 0.5 < search.fit(X, y).best_score_ == search.cv_results_["mean_test_score"].max()
    np.testing.assert_allclose(scorer(search, X, y), scorer(search.best_estimator_, X, y))


def test_what_a_scorer_says_of_itself():
    scorer = step_scorer("f1", pos_label="up")
    assert repr(scorer) == "step_scorer(f1_score, response_method='predict', average=binary, " \
                           "pos_label=up)"  # fmt: skip
    assert get_scorer("f1")._kwargs == {"average": "binary"}  # untouched


def test_invalid_arguments_are_rejected():
    ones = [np.ones(3), np.ones(2)]
    with pytest.raises(ValueError, match="y has 1 sequences, the predictions are for 2"):
        flatten_steps(ones[:1], ones)
    with pytest.raises(ValueError, match=r"y\[1\] has 2 steps, its prediction has 1"):
        flatten_steps(ones, [np.ones(3), np.ones(1)])
    with pytest.raises(ValueError, match="sample_weight has 3 entries for 2"):
        flatten_steps(ones, ones, np.ones(3))
    with pytest.raises(ValueError, match=r"a step scorer needs both for every time step"):
        flatten_steps([0, 1], [1, 1])
    with pytest.raises(ValueError, match="not a valid scoring value"):
        step_scorer("accurracy")
    with pytest.raises(ValueError, match=r"y\[1\] has 3 steps, its prediction has 2"):
        flatten_steps(ones[:1] * 2, ones)
    with pytest.raises(ValueError, match="No step of y is valid"):
        flatten_steps([np.full(2, np.nan)], [np.ones(2)])
    with pytest.raises(ValueError, match="a scorer, which has its own response_method and sign"):
        step_scorer("f1", response_method="predict_proba")
    with pytest.raises(ValueError, match="a scorer, which has its own response_method and sign"):
        step_scorer(get_scorer("accuracy"), greater_is_better=False)
    for scoring in (["f1", "accuracy"], {"f1": "f1"}, None, GRUClassifier()):
        with pytest.raises(TypeError, match="scoring must be the name of a scorer, a scorer or a"):
            step_scorer(scoring)


# ---- bits per step -------------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("form", ["ragged", "padded", "weighted", "missing"])
def test_bits_per_step(n_classes, form):
    rng = np.random.default_rng(0)
    lengths = [4, 1, 7]
    X = [rng.normal(size=(n, 2)) for n in lengths]
    labels = np.array(["c", "a", "b"])[:n_classes]
    y = [rng.choice(labels, size=n) for n in lengths]
    y[0][:n_classes] = labels  # all of them
    known, weights = [np.full(n, True) for n in lengths], None
    if form == "padded":
        X = np.stack([np.pad(x, ((0, 7 - len(x)), (0, 0)), constant_values=np.nan) for x in X])
        y = np.stack([np.pad(row.astype(object), (0, 7 - len(row))) for row in y])
    if form == "weighted":
        weights = rng.uniform(1, 2, size=3)
    if form == "missing":
        y = [row.astype(object) for row in y]
        y[2][2:5] = None
        known[2][2:5] = False
    model = GRUClassifier(4, return_sequences=True, max_iter=3, random_state=0)
    model.fit(X, y)
    proba = model.predict_proba(X)
    rows = zip(y, proba, known, lengths, strict=True)
    pairs = [(t[:n][k], p[:n][k]) for t, p, k, n in rows]
    flat, P = (np.concatenate(part) for part in zip(*pairs, strict=True))
    w = None if weights is None else np.repeat(weights, lengths)
    want = log_loss(flat.astype(str), P, sample_weight=w) / np.log(2)
    got = bits_per_step(y, proba, labels=model.classes_, sample_weight=weights)
    assert got == pytest.approx(want, rel=1e-9)
    assert bits_per_step(y, proba, sample_weight=weights) == got
    assert neg_bits_per_step(model, X, y, weights) == pytest.approx(-want, rel=1e-6)


def test_bits_per_step_as_scoring(signs):
    X, y = signs
    model = GRUClassifier(4, return_sequences=True, max_iter=3, random_state=0)
    pipeline = make_pipeline(PerTimestep(StandardScaler()), model)
    folds = KFold(3)
    scores = cross_val_score(pipeline, X, y, cv=folds, scoring=neg_bits_per_step)
    nats = cross_val_score(pipeline, X, y, cv=folds, scoring=step_scorer("neg_log_loss"))
    np.testing.assert_allclose(scores, nats / np.log(2), rtol=1e-6)
    stopped = model.set_params(early_stopping=True, scoring=neg_bits_per_step).fit(X, y)
    by_loss = GRUClassifier(
        4, return_sequences=True, max_iter=3, random_state=0, early_stopping=True
    ).fit(X, y)
    want = np.divide(by_loss.validation_scores_, np.log(2))
    np.testing.assert_allclose(stopped.validation_scores_, want, rtol=1e-5)


def test_bits_of_another_classifier(signs):
    X, y = signs

    class Half(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.classes_ = np.array([0, 1])
            return self

        def predict_proba(self, X):
            return [np.full((len(x), 2), 0.5) for x in X]

    assert neg_bits_per_step(Half().fit(X, y), X, y) == -1


def test_bits_that_cannot_be_counted(fitted, signs):
    X, y = signs
    P = fitted.predict_proba(X)
    with pytest.raises(ValueError, match="proba has 2 columns for 3 labels"):
        bits_per_step(y, P, labels=[0, 1, 2])
    with pytest.raises(ValueError, match="y has labels that are not in labels: .*1"):
        bits_per_step(y, P, labels=[0, 7])
    with pytest.raises(ValueError, match="not in classes"):
        neg_bits_per_step(fitted, X, [row + 1 for row in y])
    sure = [np.stack([row, 1 - row], axis=1).astype(float) for row in y]
    assert bits_per_step(y, sure) == np.inf
