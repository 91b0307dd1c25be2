"""Weights of classes: what they mean in `fit`, in chunks, and in validation; what is refused."""

import pickle

import numpy as np
import pandas as pd
import pytest
from helpers import small_classifier
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight

from skgru.inspection import gradient_flow

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 30
X = np.random.default_rng(0).normal(size=(N, 4, 2))
Y = np.array(["a", "b", "c"])[np.arange(N) % 3]
GIVEN = {"a": 3.0, "b": 0.5, "c": 2.0}


def model(**parameters):
    return small_classifier(**{"max_iter": 3, "dtype": "float64", **parameters})


def by_hand(y, class_weight):
    return np.array([class_weight.get(label, 1.0) for label in y])


def assert_equal(one, other):
    np.testing.assert_array_equal(one._network.parameters, other._network.parameters)
    assert one.loss_curve_ == other.loss_curve_


# ---- chunks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("class_weight", [GIVEN, {"a": 3.0}, {"c": 5, "b": np.float32(0.5)}, {}])
def test_a_dict_weighs_chunks_that_lack_classes(class_weight):
    """The chunks hold one class, two and three; the weights are those of `classes_`."""
    weighted, expected = model(class_weight=class_weight), model()
    for rows in (Y == "b", Y != "a", Y != "c", np.ones(N, bool), Y == "c"):
        weighted.partial_fit(X[rows], Y[rows], classes=["a", "b", "c"])
        expected.partial_fit(
            X[rows], Y[rows], ["a", "b", "c"], sample_weight=by_hand(Y[rows], class_weight)
        )
        assert_equal(weighted, expected)


def test_a_dict_weighs_chunks_of_step_labels():
    y = [np.array(["a", "b", None, "b"], object), np.array(["b", "b"], object)]
    short = [X[0], X[1, :2]]
    parameters = {"return_sequences": True}
    weighted = model(class_weight=GIVEN, **parameters)
    expected = model(**parameters)
    for rows in ([0], [1], [0, 1]):
        chunk, labels = [short[i] for i in rows], [y[i] for i in rows]
        weighted.partial_fit(chunk, labels, classes=["a", "b", "c"])
        weights = [by_hand(row, GIVEN) for row in labels]
        expected.partial_fit(chunk, labels, ["a", "b", "c"], sample_weight=weights)
        assert_equal(weighted, expected)


def test_balanced_is_refused_in_chunks_with_the_remedy():
    for fitted in (model(), model().partial_fit(X, Y, ["a", "b", "c"]), model().fit(X, Y)):
        fitted.set_params(class_weight="balanced")
        before = dict(vars(fitted))
        with pytest.raises(ValueError, match="compute_class_weight.*dict.zip") as raised:
            fitted.partial_fit(X, Y, classes=["a", "b", "c"])
        assert len(str(raised.value)) < 400
        assert vars(fitted) == before
    # the remedy
    y, classes = Y[[0, 1, 2, 3, 6, 9]], np.array(["a", "b", "c"])
    weights = compute_class_weight("balanced", classes=classes, y=y)
    one = model(class_weight=dict(zip(classes, weights, strict=True)))
    other = model(class_weight="balanced", learning_rate="constant", max_iter=1)
    one.partial_fit(X[:6], y, classes=classes)
    np.testing.assert_array_equal(one._network.parameters, other.fit(X[:6], y)._network.parameters)


def test_changed_class_weights_hold_from_the_next_chunk_on():
    changed, expected = model(), model()
    for class_weight in (None, GIVEN, {"a": 7.0}):
        changed.set_params(class_weight=class_weight).partial_fit(X, Y, ["a", "b", "c"])
        weights = by_hand(Y, class_weight or {})
        expected.partial_fit(X, Y, ["a", "b", "c"], sample_weight=weights)
        assert_equal(changed, expected)
        changed = pickle.loads(pickle.dumps(changed))


# ---- the whole training set ----------------------------------------------------------------------

LABELS = {
    "str": np.array(["no", "yes"]),
    "digits": np.array(["1", "2"]),
    "objects": np.array(["no", "yes"], dtype=object),
    "int": np.array([3, -1]),
    "uint64": np.array([1, 2**63], dtype="uint64"),
    "float": np.array([0.0, 1.0]),
    "bool": np.array([False, True]),
    "dates": np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[D]"),
    "dates in ns": np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[ns]"),
}


@pytest.mark.parametrize("name", LABELS)
def test_keys_are_labels_of_every_type(name):
    labels = LABELS[name]
    y = labels[np.arange(N) % 2]
    expected = model().fit(X, y, sample_weight=np.where(y == labels[0], 4.0, 1.0))
    assert_equal(model(class_weight={labels[0]: 4.0}).fit(X, y), expected)
    assert_equal(model(class_weight=dict(zip(labels, (4.0, 1), strict=True))).fit(X, y), expected)
    if "dates" not in name:
        assert_equal(model(class_weight={labels.tolist()[0]: 4}).fit(X, y), expected)


def test_a_weight_of_zero_leaves_a_class_out():
    kept = Y != "b"
    parameters = {"solver": "lbfgs", "alpha": 0.1}
    one = model(class_weight={"b": 0}, **parameters).fit(X, Y)
    other = model(**parameters).fit(X, Y, sample_weight=kept)
    assert_equal(one, other)
    with pytest.raises(ValueError, match="weights of all training samples are zero"):
        model(class_weight={"a": 0, "b": 0, "c": 0}).fit(X, Y)


def test_balanced_counts_samples_with_their_weights():
    """As if a sample of weight 2 came twice, and one of weight 0 not at all."""
    weights = np.arange(N) % 4.0
    repeated = np.repeat(np.arange(N), weights.astype(int))
    parameters = {"solver": "lbfgs", "class_weight": "balanced"}
    one = model(**parameters).fit(X, Y, sample_weight=weights)
    other = model(**parameters).fit(X[repeated], Y[repeated])
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=1e-9)
    by_class = compute_class_weight("balanced", classes=one.classes_, y=Y[repeated])
    np.testing.assert_allclose(one._class_weights, by_class)


# ---- validation and inspection -------------------------------------------------------------------


@pytest.mark.parametrize("class_weight", ["balanced", GIVEN])
def test_validation_weighs_as_training_does(class_weight):
    """y_val lacks a class, and has other frequencies than y."""
    few = np.concatenate([np.arange(18), np.arange(18, N, 3)])
    X_val, y_val = X[[1, 4, 7, 2]], Y[[1, 4, 7, 2]]
    fitted = model(class_weight=class_weight, max_iter=2).fit(
        X[few], Y[few], X_val=X_val, y_val=y_val
    )
    weights = GIVEN
    if class_weight == "balanced":
        weights = compute_class_weight("balanced", classes=fitted.classes_, y=Y[few])
        weights = dict(zip(fitted.classes_, weights, strict=True))
    loss = log_loss(
        y_val,
        fitted.predict_proba(X_val),
        sample_weight=by_hand(y_val, weights),
        labels=fitted.classes_,
    )
    assert fitted.validation_scores_[-1] == pytest.approx(-loss, rel=1e-12)
    # the fitted weights, whatever has been set since then
    fitted.set_params(class_weight={"a": 99.0})
    assert gradient_flow(fitted, X_val, y_val).loss == pytest.approx(loss, rel=1e-12)
    assert gradient_flow(pickle.loads(pickle.dumps(fitted)), X_val, y_val).loss == pytest.approx(
        loss, rel=1e-12
    )


def test_a_class_without_a_balanced_weight_is_named():
    fitted = model(warm_start=True).fit(X, Y).set_params(class_weight="balanced")
    kept = Y != "c"
    with pytest.raises(ValueError, match="y has the labels .'c'., of which the training set"):
        fitted.fit(X[kept], Y[kept], X_val=X[~kept], y_val=Y[~kept])
    fitted.fit(X[kept], Y[kept], X_val=X[kept], y_val=Y[kept])


# ---- refused -------------------------------------------------------------------------------------

BAD = {
    "negative": ({"a": -1.0}, ValueError, r"class_weight\['a'\] is -1.0; weights are finite"),
    "NaN": ({"a": np.nan}, ValueError, r"class_weight\['a'\] is nan; weights are finite"),
    "infinite": ({"a": np.inf, "b": 1}, ValueError, r"class_weight\['a'\] is inf"),
    "too large": ({"a": 10**400}, ValueError, r"class_weight\['a'\] is 1000.*; weights are finite"),
    "a string": ({"b": "3"}, ValueError, r"class_weight\['b'\] holds '3' of type str"),
    "None": ({"b": None}, ValueError, r"class_weight\['b'\] is None"),
    "NA": ({"b": pd.NA}, ValueError, r"class_weight\['b'\] is <NA>"),
    "complex": ({"c": 1j}, TypeError, r"class_weight\['c'\] holds objects that are not numbers"),
    "a list": ({"c": [1, 2]}, ValueError, r"class_weight\['c'\] holds objects that are not num"),
    "a date": ({"c": np.datetime64("2020")}, TypeError, r"class_weight\['c'\].*dates and dur"),
    "unknown": ({"d": 1.0}, ValueError, r"weight for 'd', which is not among the classes \['a',"),
    "unknown beside known": ({**GIVEN, "d": 1.0}, ValueError, "class_weight has a weight for 'd'"),
    "of another type": ({0: 1.0}, ValueError, "class_weight has a weight for 0, which is not"),
    "missing": ({None: 1.0}, ValueError, "class_weight has a weight for None, which is not"),
    "another name": ("balance", ValueError, "'class_weight' parameter"),
    "a list of weights": ([1.0, 2.0, 3.0], ValueError, "'class_weight' parameter"),
    "a long name": ({"x" * 1000: 1.0}, ValueError, "class_weight has a weight for 'xxx"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("by_step", [False, True])
def test_bad_weights_are_named_in_fit_and_in_chunks(name, by_step):
    class_weight, error, message = BAD[name]
    y = np.repeat(Y[:, np.newaxis], 4, axis=1) if by_step else Y
    fitted = model(return_sequences=by_step).fit(X, y).set_params(class_weight=class_weight)
    before = dict(vars(fitted))
    uses = [
        lambda: fitted.fit(X, y),
        lambda: fitted.partial_fit(X, y),
        lambda: model(return_sequences=by_step, class_weight=class_weight).partial_fit(
            X, y, classes=["a", "b", "c"]
        ),
        lambda: fitted.fit(X, y, X_val=X, y_val=y),
    ]
    for use in uses:
        with pytest.raises(error, match=message) as raised:
            use()
        assert len(str(raised.value)) < 400
        assert vars(fitted) == before


@pytest.mark.parametrize("class_weight", ["balanced", {0: 1.0}, {}, {0: -1.0}])
def test_several_labels_have_no_class_weights(class_weight):
    for y in (np.eye(3)[np.arange(N) % 3], np.tile(np.eye(4)[:, :3], (N, 1, 1))):
        fitted = model(class_weight=class_weight, return_sequences=y.ndim == 3)
        with pytest.raises(ValueError, match="class_weight is for one label per sample"):
            fitted.fit(X, y)
        if class_weight != "balanced":
            with pytest.raises(ValueError, match="class_weight is for one label per sample"):
                fitted.partial_fit(X, y, classes=[0, 1, 2])
