"""Estimators within scikit-learn's tools."""

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.feature_selection import RFE
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    TimeSeriesSplit,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from skgru import GRUClassifier, GRURegressor
from skgru.preprocessing import PerTimestep

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def sine_or_square(form):
    """Return 60 noisy waves of two channels; the class is the shape, sine or square."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    phase = rng.uniform(0, 6, size=(60, 1)) + np.arange(12)
    wave = np.where(y[:, None], np.sign(np.sin(phase)), np.sin(phase))
    X = np.stack([3 + 2 * wave, np.cos(phase)], axis=2) + rng.normal(0, 0.05, size=(60, 12, 2))
    if form == "table":
        X = X.reshape(60, 24)
    elif form == "ragged list":
        X = [x[: 12 - i % 4] for i, x in enumerate(X)]
    return X, np.array(["sine", "square"])[y]


def pipeline(**parameters):
    parameters = {"hidden_layer_sizes": 16, **parameters}
    gru = GRUClassifier(n_channels=2, random_state=0, max_iter=30, **parameters)
    return make_pipeline(PerTimestep(StandardScaler(), n_channels=2), gru)


@pytest.mark.parametrize("form", ["ragged list", "array", "table"])
def test_grid_search_over_a_pipeline(form):
    X, y = sine_or_square(form)
    grid = {
        "gruclassifier__hidden_layer_sizes": [(4,), (16,)],
        "gruclassifier__learning_rate_init": [1e-5, 0.03],
    }
    search = GridSearchCV(pipeline(), grid, cv=3, n_jobs=2, error_score="raise").fit(X, y)
    assert search.best_params_["gruclassifier__learning_rate_init"] == 0.03
    assert search.best_score_ > 0.85
    np.testing.assert_array_equal(search.predict(X), search.best_estimator_.predict(X))
    if form == "ragged list":  # processes do not change the results
        alone = GridSearchCV(pipeline(), grid, cv=3, n_jobs=1).fit(X, y)
        np.testing.assert_array_equal(
            alone.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"]
        )


@pytest.mark.parametrize("form", ["ragged list", "array", "table"])
def test_cross_validation_and_splits(form):
    X, y = sine_or_square(form)
    assert cross_val_score(pipeline(learning_rate_init=0.03), X, y, cv=3).mean() > 0.85
    for scoring in ("neg_log_loss", "roc_auc"):
        assert np.isfinite(cross_val_score(pipeline(), X, y, cv=2, scoring=scoring)).all()
    assert cross_val_predict(pipeline(), X, y, cv=2, method="predict_proba").shape == (60, 2)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
    model = pipeline(learning_rate_init=0.03).fit(X_train, y_train)
    assert model.score(X_test, y_test) > 0.8


def test_time_series_split_and_transformed_target(windows):
    X, y = windows
    model = TransformedTargetRegressor(
        GRURegressor(8, random_state=0, learning_rate_init=0.03), transformer=StandardScaler()
    )
    assert cross_val_score(model, X, 1000 + 50 * y, cv=TimeSeriesSplit(3)).min() > 0.9


def test_bagging_and_stacking_of_tables():
    X, y = sine_or_square("table")
    bagging = BaggingClassifier(pipeline(learning_rate_init=0.03), 3, random_state=0).fit(X, y)
    assert bagging.score(X, y) > 0.85
    members = [(f"gru{units}", pipeline(hidden_layer_sizes=units)) for units in (8, 32)]
    for _, member in members:
        member.set_params(gruclassifier__learning_rate_init=0.03)
    stack = StackingClassifier(members, LogisticRegression(), cv=3)
    assert stack.fit(X, y).score(X, y) > 0.85


def test_sample_weight_through_a_pipeline():
    X, y = sine_or_square("ragged list")
    weights = (y == "sine").astype(float) + 1e-3
    model = pipeline(learning_rate_init=0.01)
    plain = model.fit(X, y).predict_proba(X)[:, 0]
    weighted = model.fit(X, y, gruclassifier__sample_weight=weights).predict_proba(X)[:, 0]
    assert weighted.mean() > plain.mean() + 0.2


# ---- features of a fitted GRU --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "width"),
    [({}, 16), (dict(bidirectional=False), 8), (dict(hidden_layer_sizes=(5, 3)), 6),
     (dict(pooling="attention"), 16)],
    ids=str,
)  # fmt: skip
def test_transform_returns_the_input_of_the_output_layer(ragged, parameters, width):
    X, y = ragged
    model = GRUClassifier(**{"hidden_layer_sizes": 8, "random_state": 0, **parameters}).fit(X, y)
    features = model.transform(X)
    assert features.shape == (40, width)
    logits = features @ model.head_.W + model.head_.b
    np.testing.assert_allclose(1 / (1 + np.exp(-logits[:, 0])), model.predict_proba(X)[:, 1],
                               rtol=1e-4)  # fmt: skip
    names = model.get_feature_names_out()
    np.testing.assert_array_equal(names, [f"gruclassifier{i}" for i in range(width)])
    frame = model.set_output(transform="pandas").transform(X)
    np.testing.assert_array_equal(frame.columns, names)
    np.testing.assert_array_equal(frame.to_numpy(), features)


def test_transform_with_return_sequences_is_the_last_state():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)) for n in (3, 5, 2, 4)]
    y = [x.cumsum(axis=0) for x in X]
    model = GRURegressor(6, return_sequences=True, max_iter=3, random_state=0).fit(X, y)
    last = np.array([p[-1] for p in model.predict(X)])
    np.testing.assert_allclose(model.transform(X) @ model.head_.W + model.head_.b, last, rtol=1e-4)


@pytest.mark.parametrize(
    "behind",
    [
        BaggingClassifier(LogisticRegression(), n_estimators=3, random_state=0),
        RFE(LogisticRegression(), n_features_to_select=3),
        LogisticRegression(),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_estimators_of_tables_work_on_features(ragged, behind):
    X, y = ragged
    pipeline = make_pipeline(GRUClassifier(8, random_state=0), behind).fit(X, y)
    assert pipeline.score(X, y) > 0.9
    assert cross_val_score(pipeline, X, y, cv=2).min() > 0.6


def test_self_training_on_features(ragged):
    X, y = ragged
    labels = np.where(np.arange(40) < 30, (y == "up").astype(int), -1)
    features = GRUClassifier(8, random_state=0).fit(X[:30], y[:30]).transform(X)
    model = SelfTrainingClassifier(LogisticRegression()).fit(features, labels)
    assert model.score(features[30:], (y[30:] == "up").astype(int)) > 0.7
