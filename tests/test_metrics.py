"""Scorers for predictions per time step."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss, mean_absolute_error, roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold

from skgru import GRUClassifier, GRURegressor
from skgru.metrics import flatten_steps, step_scorer

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning"),
]


@pytest.fixture
def signs():
    """Sequences and, for each time step, whether the sum so far is positive."""
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


def test_padded_arrays_and_lists_have_the_same_score(signs, fitted):
    X, y = signs
    padded = np.full((40, 11, 1), np.nan)
    labels = np.full((40, 11), np.nan)
    for i, (x, v) in enumerate(zip(X, y, strict=True)):
        padded[i, : len(x)], labels[i, : len(v)] = x, v
    want = step_scorer("accuracy")(fitted, X, y)
    for X_form in (X, padded):
        for y_form in (y, labels):
            assert step_scorer("accuracy")(fitted, X_form, y_form) == want


def test_losses_are_negated(signs):
    X, _ = signs
    y = [x[:, 0].cumsum() for x in X]
    model = GRURegressor(8, return_sequences=True, max_iter=5, random_state=0).fit(X, y)
    want = -mean_absolute_error(np.concatenate(y), np.concatenate(model.predict(X)))
    for scorer in (
        step_scorer("neg_mean_absolute_error"),
        step_scorer(mean_absolute_error, greater_is_better=False),
    ):
        np.testing.assert_allclose(scorer(model, X, y), want)


def test_scorers_in_a_grid_search(signs):
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


def test_flattened_steps_are_not_a_multilabel_indicator():
    """scikit-learn's metrics take (n, T) labels of 0 and 1 for a multilabel indicator."""
    y, predictions = np.array([[0, 1, 1], [1, 0, 0]]), np.array([[0, 1, 0], [1, 0, 0]])
    assert accuracy_score(y, predictions) == 0.5
    flat, predicted, _ = flatten_steps(y, predictions)
    np.testing.assert_allclose(accuracy_score(flat, predicted), 5 / 6)


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
