"""Multilabel classification, per sequence and per time step."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score
from sklearn.multioutput import MultiOutputClassifier

from skgru import GRUClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def classifier(**parameters):
    return GRUClassifier(
        **{"hidden_layer_sizes": 8, "max_iter": 20, "random_state": 0, **parameters},
        return_sequences=True,
    )


def test_multilabel_steps(sums):
    X, Y = sums
    y = [(v > 0).astype(int) for v in Y]
    model = classifier(max_iter=60).fit(X, y)
    np.testing.assert_array_equal(model.classes_, [0, 1])
    flat, predicted = np.vstack(y), np.vstack(model.predict(X))
    proba = np.vstack(model.predict_proba(X))
    assert proba.shape == flat.shape
    np.testing.assert_array_equal(predicted, proba > 0.5)
    np.testing.assert_allclose(np.exp(np.vstack(model.predict_log_proba(X))), proba)
    assert model.score(X, y) == accuracy_score(flat, predicted) > 0.6
    # each output on its own
    assert np.mean(flat == predicted) > 0.85


def test_multilabel_sequences(sums):
    X, Y = sums
    y = np.array([v[-1] > 0 for v in Y]).astype(int)
    model = GRUClassifier(8, max_iter=60, random_state=0).fit(X, y)
    assert model.predict(X).shape == model.predict_proba(X).shape == y.shape
    assert model.score(X, y) == accuracy_score(y, model.predict(X)) > 0.8
    model.partial_fit(X, y)
    with pytest.raises(ValueError, match="y has 3 columns; GRUClassifier was fitted on 2"):
        model.partial_fit(X, np.eye(3)[np.arange(30) % 3])
    with pytest.raises(ValueError, match="fitted on a multilabel indicator of 2"):
        model.partial_fit(X, y[:, 0])
    with pytest.raises(ValueError, match="y has 2 columns; GRUClassifier was fitted on one"):
        GRUClassifier(8, max_iter=1).fit(X, y[:, 0]).partial_fit(X, y)


def test_multioutput_with_several_classes_each():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6, 2))
    y = np.column_stack([X[:, -1].argmax(axis=1), np.digitize(X[:, -1, 0], [-0.5, 0.5])])
    model = MultiOutputClassifier(GRUClassifier(8, max_iter=60, random_state=0)).fit(X, y)
    assert np.mean(model.predict(X) == y) > 0.9


@pytest.mark.parametrize("dtype", ["float16", ">f8", "longdouble", "uint8", "bool", "object"])
def test_an_indicator_of_every_dtype_is_scored(sums, dtype):
    X, Y = sums
    y = np.array([v[-1] > 0 for v in Y])
    model = GRUClassifier(8, max_iter=2, random_state=0).fit(X, y.astype(dtype))
    assert model.score(X, y.astype(dtype)) == (y == model.predict(X)).all(axis=1).mean()
    with pytest.raises(ValueError, match="must be a multilabel indicator of 0 and 1"):
        model.score(X, 2 * y)
