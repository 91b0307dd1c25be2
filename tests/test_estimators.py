"""Both estimators: forms of X and y, invariances, weights, fitted attributes."""

import re

import joblib
import numpy as np
import pandas as pd
import pytest
from helpers import small_classifier, small_regressor
from sklearn import config_context
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.metrics import accuracy_score, log_loss, r2_score

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def classifier(**parameters):
    return small_classifier(**{"max_iter": 20, **parameters})


def regressor(**parameters):
    return small_regressor(**{"max_iter": 20, **parameters})


# ---- forms of X ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_form_of_x_gives_the_same_model(dtype):
    rng = np.random.default_rng(0)
    array = rng.integers(-4, 4, size=(20, 6, 2))
    y = rng.integers(0, 3, size=20)
    read_only = array.astype("float64")
    read_only.flags.writeable = False
    objects = np.empty(20, dtype=object)
    objects[:] = list(array)
    nan_padded = np.pad(array.astype("f8"), ((0, 0), (0, 3), (0, 0)), constant_values=np.nan)
    forms = [
        array,
        array.astype("float32"),
        read_only,
        np.asfortranarray(array),
        np.repeat(array, 2, axis=0)[::2],
        array.reshape(20, 12),
        pd.DataFrame(array.reshape(20, 12)),
        list(array),
        tuple(array),
        objects,
        nan_padded,
    ]
    models = [classifier(n_channels=2, dtype=dtype).fit(X, y) for X in forms]
    expected = models[0].predict_proba(array)
    for model, X in zip(models, forms, strict=True):
        np.testing.assert_array_equal(model.predict_proba(X), expected)
        assert model.n_features_in_ == (12 if np.ndim(X) == 2 else 2)
    # each model accepts each form
    np.testing.assert_array_equal(models[5].predict_proba(list(array)), expected)
    np.testing.assert_array_equal(models[7].predict_proba(array.reshape(20, 12)), expected)


def test_lengths_may_differ_from_those_of_fit(ragged):
    X, y = ragged
    model = classifier().fit(X, y)
    longer = [np.ones((50, 2)), np.ones((1, 2))]
    assert model.predict_proba(longer).shape == (2, 2)
    # one-dimensional arrays of another length
    univariate = classifier().fit([np.ones(4), np.zeros(4)], [0, 1])
    assert univariate.predict([np.ones(9)]).shape == (1,)


def test_feature_names(windows):
    X, y = windows
    frame = pd.DataFrame(X, columns=[f"lag_{8 - i}" for i in range(8)])
    model = regressor().fit(frame, y)
    assert list(model.feature_names_in_) == list(frame.columns)
    np.testing.assert_array_equal(model.predict(frame), regressor().fit(X, y).predict(X))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.iloc[:, ::-1])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)
    assert not hasattr(model.fit(X, y), "feature_names_in_")


# ---- invariances ---------------------------------------------------------------------------------


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_samples_do_not_see_each_other(ragged, dtype, reset_after):
    X, y = ragged
    model = classifier(dtype=dtype, reset_after=reset_after, hidden_layer_sizes=(7, 5)).fit(X, y)
    expected = model.predict_proba(X)

    alone = np.concatenate([model.predict_proba([x]) for x in X])
    np.testing.assert_allclose(alone, expected, rtol=1e-12)

    order = np.random.default_rng(0).permutation(len(X))
    shuffled = model.predict_proba([X[i] for i in order])
    np.testing.assert_allclose(shuffled, expected[order], rtol=1e-12)

    padded = np.full((len(X), 15, 2), np.nan)
    for row, x in zip(padded, X, strict=True):
        row[: len(x)] = x
    np.testing.assert_array_equal(model.predict_proba(padded), expected)


def test_every_step_of_a_sequence_affects_its_prediction_only(ragged):
    X, y = ragged
    model = classifier().fit(X, y)
    expected = model.predict_proba(X)
    i = int(np.argmax([len(x) for x in X]))
    others = np.arange(len(X)) != i
    for step in range(len(X[i])):
        for channel in range(2):
            changed = [x.copy() for x in X]
            changed[i][step, channel] += 1
            got = model.predict_proba(changed)
            assert np.abs(got[i] - expected[i]).max() > 1e-6
            np.testing.assert_array_equal(got[others], expected[others])


def test_padding_does_not_change_training(ragged):
    X, y = ragged
    padded = np.full((len(X), 12, 2), np.nan)
    for row, x in zip(padded, X, strict=True):
        row[: len(x)] = x
    a, b = classifier().fit(X, y), classifier().fit(padded, y)
    for one, other in zip(a.layers_, b.layers_, strict=True):
        for u, v in zip(one, other, strict=True):
            np.testing.assert_array_equal(u, v)


# ---- targets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels",
    [["no", "yes"], [0, 1], [-1, 1], [False, True], [3.0, 7.0], ["a", "b", "c"], [5, 2, 9, 4]],
)
def test_labels_of_any_dtype(labels):
    rng = np.random.default_rng(0)
    labels = np.array(labels)
    code = np.arange(60) % len(labels)
    X = rng.normal(size=(60, 5, 1)) / 4 + code[:, None, None]
    model = classifier(max_iter=100, learning_rate_init=0.03).fit(X, labels[code])
    np.testing.assert_array_equal(model.classes_, np.sort(labels))
    assert model.classes_.dtype == labels.dtype == model.predict(X).dtype
    assert model.score(X, labels[code]) > 0.9
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (60, len(labels))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_allclose(np.log(probabilities), model.predict_log_proba(X), atol=1e-12)
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(X))
    assert model.n_outputs_ == (1 if len(labels) == 2 else len(labels))


def test_object_labels_and_series(ragged):
    X, y = ragged
    model = classifier().fit(X, pd.Series(y, dtype=object))
    assert set(model.predict(X)) <= {"down", "up"}


def test_log_probabilities_near_zero_and_one_are_exact(ragged):
    model = classifier().fit(*ragged)
    model.head_.b[:] = 800
    assert model.predict_proba([np.zeros((1, 2))])[0, 0] == 0
    np.testing.assert_allclose(model.predict_log_proba([np.zeros((1, 2))])[0, 0], -800, rtol=0.01)


@pytest.mark.parametrize("k", [2, 3])
def test_several_outputs(windows, k):
    X, y = windows
    Y = np.column_stack([y * (i + 1) for i in range(k)])
    model = regressor(max_iter=80, learning_rate_init=0.03).fit(X, Y)
    assert model.n_outputs_ == k
    assert model.predict(X).shape == Y.shape
    assert model.score(X, Y) > 0.9


def test_a_column_of_y_is_flattened(windows):
    X, y = windows
    with pytest.warns(DataConversionWarning):
        model = regressor().fit(X, y[:, None])
    np.testing.assert_array_equal(model.predict(X), regressor().fit(X, y).predict(X))


# ---- weights -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [classifier, regressor])
def test_weights_and_repetitions_give_the_same_bits_with_lbfgs(make, ragged):
    X, labels = ragged
    y = labels if make is classifier else np.array([x.mean() for x in X])
    weights = np.arange(len(X)) % 3
    repeated = np.repeat(np.arange(len(X)), weights)[::-1]
    options = dict(solver="lbfgs", dtype="float64", max_iter=40)
    a = make(**options).fit(X, y, sample_weight=weights)
    b = make(**options).fit([X[i] for i in repeated], y[repeated])
    for one, other in zip((*a.layers_, a.head_), (*b.layers_, b.head_), strict=True):
        for u, v in zip(one, other, strict=True):
            np.testing.assert_array_equal(u, v)
    assert a.loss_ == b.loss_


@pytest.mark.parametrize(
    "parameters",
    [{}, {"class_weight": "balanced"}, {"missing": "decay", "time_channel": 1}],
    ids=lambda parameters: next(iter(parameters), "plain"),
)
def test_the_order_of_samples_changes_no_bit_with_lbfgs(parameters):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4, 2))
    X[:, :, 1] = (X[:, :, 1] ** 2).cumsum(axis=1)
    y = X[:, 0, 0] > 0
    if "missing" in parameters:
        X[::3, 1:, 0] = np.nan
    X[20:40] = X[:20]  # equal samples, of other weights
    X[40:] = X[:20]
    weights = rng.uniform(size=60)
    model = classifier(solver="lbfgs", dtype="float64", max_iter=5, **parameters)
    expected = model.fit(X, y, sample_weight=weights).predict_proba(X)
    for _ in range(5):
        order = rng.permutation(60)
        again = model.fit(X[order], y[order], sample_weight=weights[order])
        np.testing.assert_array_equal(again.predict_proba(X), expected)


def test_integers_and_negative_zeros_are_equal_samples_to_lbfgs():
    rng = np.random.default_rng(0)
    X = rng.integers(-1, 2, size=(30, 3, 1))
    y = np.arange(30) % 2
    model = classifier(solver="lbfgs", dtype="float64", max_iter=5)
    expected = model.fit(X, y).predict_proba(X)
    signed = np.where(X == 0, rng.choice([-0.0, 0.0], X.shape), X)
    again = model.fit(signed, y).predict_proba(X)
    np.testing.assert_array_equal(again, expected)


def test_class_weight_equals_a_sample_weight(ragged):
    X, y = ragged
    weights = np.where(y == "up", 3.0, 1.0)
    a = classifier(class_weight={"up": 3.0, "down": 1.0}).fit(X, y)
    b = classifier().fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    few = np.r_[np.flatnonzero(y == "down"), np.flatnonzero(y == "up")[:4]]
    X, y = [X[i] for i in few], y[few]
    balanced = classifier(class_weight="balanced", max_iter=2).fit(X, y).predict_proba(X)[:, 1]
    plain = classifier(max_iter=2).fit(X, y).predict_proba(X)[:, 1]
    assert (balanced > plain).mean() > 0.9


def test_scale_of_the_weights_does_not_matter_without_penalty(ragged):
    X, y = ragged
    w = np.random.default_rng(0).uniform(0.5, 2, size=len(X))
    a = classifier(alpha=0, dtype="float64").fit(X, y, w)
    b = classifier(alpha=0, dtype="float64").fit(X, y, 1024 * w)
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))


# ---- fitted attributes ---------------------------------------------------------------------------


@pytest.mark.parametrize("reset_after", [False, True])
def test_fitted_attributes(ragged, reset_after):
    X, y = ragged
    how = {"reset_after": reset_after, "bidirectional": False}
    model = classifier(hidden_layer_sizes=(6, 4), max_iter=7, **how).fit(X, y)
    assert [layer.W.shape for layer in model.layers_] == [(2, 18), (6, 12)]
    assert [layer.U.shape for layer in model.layers_] == [(6, 18), (4, 12)]
    assert [layer.b.shape for layer in model.layers_] == [(18,), (12,)]
    assert [layer.c.size for layer in model.layers_] == ([6, 4] if reset_after else [0, 0])
    assert model.head_.W.shape == (4, 1)
    arrays = [a for part in (*model.layers_, model.head_) for a in part]
    assert model.n_parameters_ == sum(a.size for a in arrays)
    assert {a.dtype for a in arrays} == {np.dtype("float32")}
    assert model.n_iter_ == len(model.loss_curve_) == len(model.grad_norm_curve_) == 7
    assert model.t_ == 7 * len(X)
    assert model.loss_ == model.loss_curve_[-1] >= model.best_loss_ == min(model.loss_curve_)
    assert model.validation_scores_ is None
    assert model.best_validation_score_ is None
    assert model.n_features_in_ == 2


def test_loss_is_the_log_loss_plus_the_penalty(ragged):
    X, y = ragged
    model = classifier(solver="lbfgs", alpha=0.5, dtype="float64", max_iter=30).fit(X, y)
    squares = sum((a**2).sum() for layer in model.layers_ for a in (layer.W, layer.U))
    squares += (model.head_.W**2).sum()
    expected = log_loss(y, model.predict_proba(X)) + 0.5 / 2 * squares / len(X)
    np.testing.assert_allclose(model.loss_, expected, rtol=1e-9)


def test_scores_match_scikit_learn(ragged, windows):
    model = classifier().fit(*ragged)
    assert model.score(*ragged) == accuracy_score(ragged[1], model.predict(ragged[0]))
    model = regressor().fit(*windows)
    assert model.score(*windows) == r2_score(windows[1], model.predict(windows[0]))


def test_random_state_makes_fits_reproducible(ragged):
    X, y = ragged
    a, b, c = (classifier(random_state=seed).fit(X, y).predict_proba(X) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_unfitted_estimators_raise(ragged):
    for model, method in ((classifier(), "predict_proba"), (regressor(), "predict")):
        with pytest.raises(NotFittedError):
            getattr(model, method)(ragged[0])
        assert not hasattr(model, "layers_")
        assert not hasattr(model, "head_")


def test_x_may_be_a_memory_map(ragged, tmp_path):
    X = np.random.default_rng(0).normal(size=(20, 5, 2))
    joblib.dump(X, tmp_path / "X")
    mapped = joblib.load(tmp_path / "X", mmap_mode="r")
    y = np.arange(20) % 2
    expected = classifier().fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(classifier().fit(mapped, y).predict_proba(mapped), expected)


def test_metadata_routing():
    with config_context(enable_metadata_routing=True):
        model = classifier().set_fit_request(sample_weight=True)
        model.set_partial_fit_request(classes=True)
        assert model.get_metadata_routing().fit.requests["sample_weight"] is True


def test_docstring_names_every_fitted_attribute(ragged, windows):
    frame = pd.DataFrame(windows[0]).add_prefix("x")
    for model in (classifier().fit(*ragged), regressor().fit(frame, windows[1])):
        attributes = {a for a in dir(model) if a.endswith("_") and not a.startswith("_")}
        section = model.__doc__.split("Attributes\n")[1].split("See Also")[0]
        documented = set(re.findall(r"^(\w+_) : ", section, re.MULTILINE))
        # attributes of some models only
        optional = {"feature_names_in_", "query_"}
        assert attributes - optional == documented - optional
