"""Data that the estimators reject."""

import numpy as np
import pandas as pd
import pytest
from helpers import small_classifier, small_regressor
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

from skgru.forecasting import NaiveForecaster, WindowForecaster, WindowScaledRegressor
from skgru.preprocessing import FillGaps, Patches, PerSequence, PerTimestep

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def classifier(**parameters):
    return small_classifier(**{"max_iter": 20, **parameters})


def regressor(**parameters):
    return small_regressor(**{"max_iter": 20, **parameters})


def test_x_of_another_shape_is_rejected(ragged, windows):
    model = classifier().fit(*ragged)
    with pytest.raises(
        ValueError, match="X has 3 channels, but GRUClassifier was fitted on .* of 2"
    ):
        model.predict([np.ones((4, 3))])
    with pytest.raises(ValueError, match="1 channels with n_channels=1, but .* of 2 channels"):
        model.predict(np.ones((4, 6)))
    model = regressor().fit(*windows)
    with pytest.raises(ValueError, match="X has 7 features, but GRURegressor is expecting 8"):
        model.predict(windows[0][:, 1:])


X3 = np.zeros((4, 3, 2))
Y2 = [0, 1, 0, 1]
NAN_INSIDE = np.where(np.arange(24).reshape(4, 3, 2) == 8, np.nan, 0.0)
BAD_FITS = {
    "empty X": ({}, [], [], ValueError, "array"),
    "empty sequence": ({}, [*X3[:3], np.zeros((0, 2))], Y2, ValueError, r"X\[3\] is empty"),
    "channels": ({}, [*X3[:3], np.zeros((2, 1))], Y2, ValueError, r"X\[3\] has 1 channels"),
    "NaN inside": ({}, NAN_INSIDE, Y2, ValueError, r"NaN: X\[1\], time step 1, channel 0"),
    "inf": ({}, X3 + np.inf, Y2, ValueError, "infinity"),
    "lengths": ({}, X3, [0, 1], ValueError, "inconsistent numbers of samples"),
    "lengths of a list": ({}, list(X3), [0, 1, 1], ValueError, "inconsistent numbers of samples"),
    "width": ({"n_channels": 4}, np.zeros((4, 6)), Y2, ValueError, "n_channels=4 does not divide"),
    "strings": ({}, [["a", "b"]] * 4, Y2, ValueError, "strings"),
    "4-D": ({}, np.zeros((4, 3, 2, 1)), Y2, ValueError, "4 dimensions"),
    "no y": ({}, X3, None, ValueError, "target y is None"),
    "dtype": ({"dtype": "float16"}, X3, Y2, ValueError, "'dtype' parameter"),
    "dtype of no name": ({"dtype": 3}, X3, Y2, ValueError, "'dtype' parameter"),
    "solver": ({"solver": "newton"}, X3, Y2, ValueError, "'solver' parameter"),
    "hidden size 0": ({"hidden_layer_sizes": 0}, X3, Y2, ValueError, "'hidden_layer_sizes'"),
    "hidden sizes 0": ({"hidden_layer_sizes": (4, 0)}, X3, Y2, ValueError, r"got \(4, 0\)"),
    "no hidden sizes": ({"hidden_layer_sizes": ()}, X3, Y2, ValueError, r"got \(\)"),
    "fractional size": ({"hidden_layer_sizes": (4.5,)}, X3, Y2, ValueError, r"got \(4.5,\)"),
    "max_grad_norm": ({"max_grad_norm": 0}, X3, Y2, ValueError, "'max_grad_norm' parameter"),
    "n_channels": ({"n_channels": 0}, X3, Y2, ValueError, "'n_channels' parameter"),
}  # fmt: skip


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("name", BAD_FITS)
def test_invalid_input_is_rejected_and_leaves_the_estimator_unchanged(make, name):
    parameters, X, y, error, message = BAD_FITS[name]
    model = make(**parameters)
    before = dict(vars(model))
    with pytest.raises(error, match=message):
        model.fit(X, y)
    assert vars(model) == before


WEIGHTS = {
    "negative": ([1, 1, -1, 1], "[Nn]egative"),
    "NaN": ([1, 1, np.nan, 1], "NaN"),
    "inf": ([1, 1, np.inf, 1], "infinity"),
    "all zero": ([0, 0, 0, 0], "zero"),
    "too few": ([1, 1], "sample_weight.shape"),
    "two-dimensional": (np.ones((4, 2)), "1D"),
}


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("name", WEIGHTS)
def test_invalid_weights_are_rejected(make, solver, name):
    weights, message = WEIGHTS[name]
    with pytest.raises(ValueError, match=message):
        make(solver=solver).fit(X3, Y2, sample_weight=weights)


def test_invalid_targets_are_rejected():
    with pytest.raises(ValueError, match="at least 2 classes in y, got one class: .1"):
        classifier().fit(X3, [1, 1, 1, 1])
    with pytest.raises(ValueError, match="y contains infinity"):
        classifier().fit(X3, [0, 1, np.inf, 1])
    with pytest.raises(ValueError, match="contains NaN"):
        classifier().fit(X3, np.array(["a", "b", np.nan, "a"], dtype=object))
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        classifier().fit(X3, [0.5, 1.5, 0.2, 0.1])
    with pytest.raises(ValueError, match=r"y has shape \(4, 4\) .* must be a multilabel indicator"):
        classifier().fit(X3, 2 * np.eye(4))
    with pytest.raises(ValueError, match="class_weight is for one label per sample"):
        classifier(class_weight="balanced").fit(X3, np.eye(4))
    with pytest.raises(ValueError, match="NaN"):
        regressor().fit(X3, [0, 1, np.nan, 2])
    with pytest.raises(ValueError, match="y contains a value too large for float32"):
        regressor().fit(X3, [0, 1, 1e300, 2])
    with pytest.raises(ValueError, match="could not convert string"):
        regressor().fit(X3, ["a", "b", "c", "d"])


def test_a_failed_fit_leaves_a_fitted_model_unchanged(ragged):
    X, y = ragged
    model = classifier().fit(X, y)
    expected, loss_curve = model.predict_proba(X), list(model.loss_curve_)
    for bad in (
        lambda: model.fit(X, y[:3]),
        lambda: model.fit([x[:, :1] for x in X], np.ones(len(X))),
        lambda: model.partial_fit(X, np.full(len(X), "sideways")),
        lambda: model.partial_fit([x * np.nan for x in X], y),
    ):
        with pytest.raises(ValueError, match=r".+"):
            bad()
        np.testing.assert_array_equal(model.predict_proba(X), expected)
        assert model.loss_curve_ == loss_curve
        assert list(model.classes_) == ["down", "up"]


# ---- labels of something else than samples -------------------------------------------------------

NO_LABELS = {
    "0-d": (np.array(1), TypeError, "is a single value"),
    "set": ({0, 1}, TypeError, "is a set.*no order"),
    "dict": ({0: 0, 1: 1}, TypeError, r"is a dict.*list\("),
    "dict keys": ({0: 0, 1: 1}.keys(), TypeError, r"dict_keys.*list\("),
    "generator": ((c for c in (0, 1)), TypeError, r"is a generator.*list\("),
    "text": ("ab", TypeError, "is a str"),
    "two columns": (np.eye(4), ValueError, "shape .4, 4.; expected one label per entry"),
    "ragged": ([[0, 1], [1]], ValueError, "of arrays; expected one label per entry"),
    "missing": ([0, 1, None, 1], ValueError, "holds a missing label: .None."),
    "NaN": ([0, 1, np.nan, 1], ValueError, "holds a missing label: .nan."),
    "NA": (pd.array([0, 1, None, 1], "Int64"), ValueError, "holds a missing label"),
    "mixed": ([0, "a", 1, "b"], ValueError, "mixes labels of several types"),
    "objects": ([{}, {}, {}, {}], ValueError, "holds labels of type dict"),
    "complex": ([1j, 2j, 3j, 4j], ValueError, "has dtype complex128"),
    "masked": (np.ma.MaskedArray([0, 1, 0, 1], [1, 0, 0, 0]), ValueError, "is a masked array"),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_LABELS)
@pytest.mark.parametrize("argument", ["groups", "classes"])
def test_what_is_no_label_of_a_group_or_a_class_is_named(name, argument):
    labels, error, message = NO_LABELS[name]
    model = classifier(early_stopping=argument == "groups", validation_fraction=0.5)
    before = dict(vars(model))
    method = model.fit if argument == "groups" else model.partial_fit
    with pytest.raises(error, match=f"{argument} .*{message}|{argument} {message}") as raised:
        method(X3, Y2, **{argument: labels})
    assert len(str(raised.value)) < 400
    assert vars(model) == before


@pytest.mark.filterwarnings("ignore:validation_fraction=:UserWarning")
@pytest.mark.parametrize(
    "groups",
    [
        [3, 3, 1, 1], ["b", "b", "a", "a"], np.array([[3], [3], [1], [1]]),
        [True, True, False, False], pd.Series(["b", "b", "a", "a"], dtype="category"),
        pd.array([3, 3, 1, 1], "Int64"),
        np.array(["2021", "2021", "2020", "2020"], "M8[Y]"), [0.5, 0.5, 0.1, 0.1],
    ],
    ids=repr,
)  # fmt: skip
def test_groups_of_any_labels_hold_out_the_same_samples(groups):
    how = {"early_stopping": True, "validation_fraction": 0.5}
    expected = classifier(**how).fit(X3 + np.arange(4).reshape(4, 1, 1), Y2, groups=[1, 1, 0, 0])
    found = classifier(**how).fit(X3 + np.arange(4).reshape(4, 1, 1), Y2, groups=groups)
    assert found.validation_scores_ == expected.validation_scores_


def test_other_numbers_of_groups_are_named():
    model = classifier(early_stopping=True, validation_fraction=0.5)
    with pytest.raises(ValueError, match="groups has 3 entries, X has 4 sequences"):
        model.fit(X3, Y2, groups=[0, 1, 1])
    with pytest.raises(ValueError, match="groups names one group, .'ward'.; .* needs two or more"):
        model.fit(X3, Y2, groups=["ward"] * 4)


# ---- parameters ----------------------------------------------------------------------------------

COUNTS = [
    "hidden_layer_sizes", "batch_size", "bptt_steps", "warmup_updates", "max_iter", "max_fun",
    "n_iter_no_change", "n_channels", "n_jobs",
]  # fmt: skip
AMOUNTS = [
    "alpha", "learning_rate_init", "power_t", "tol", "epsilon", "momentum", "max_grad_norm",
    "validation_fraction",
]  # fmt: skip


@pytest.mark.parametrize("name", COUNTS + AMOUNTS)
@pytest.mark.parametrize(
    "value", [True, np.True_, np.array(1), {1}, {1: 1}, "1", 1j, [None]], ids=repr
)
def test_what_is_no_number_is_none_in_parameters(name, value):
    for make in (classifier, regressor):
        model = make(**{name: value})
        with pytest.raises(ValueError, match=f"'?{name}'? (parameter|must be)") as raised:
            model.fit(X3, Y2)
        assert len(str(raised.value)) < 400
        assert not hasattr(model, "n_features_in_")


@pytest.mark.parametrize("make", [PerTimestep, PerSequence])
def test_n_channels_of_transformers_is_no_boolean(make):
    with pytest.raises(ValueError, match="'n_channels' parameter"):
        make(StandardScaler(), n_channels=True).fit(X3)


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (Patches(), "size"), (Patches(), "stride"), (Patches(), "n_channels"),
        (FillGaps(), "n_channels"), (WindowForecaster(), "window"), (WindowForecaster(), "horizon"),
        (WindowForecaster(), "holdout"), (NaiveForecaster(), "season_length"),
        (WindowScaledRegressor(regressor()), "season_length"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)  # fmt: skip
def test_numbers_of_other_estimators_are_no_booleans(estimator, name):
    cls = type(estimator).__name__
    for value in (True, np.True_, "1"):
        with pytest.raises(ValueError, match=f"The '{name}' parameter of {cls}"):
            clone(estimator).set_params(**{name: value}).fit(X3, Y2)


def test_too_many_units_are_named():
    for sizes in (10**7, 10**30, [4, 10**30], np.array([2**40])):
        with pytest.raises(ValueError, match="hidden_layer_sizes=.*more weights than any memory"):
            regressor(hidden_layer_sizes=sizes).fit(X3, Y2)


@pytest.mark.parametrize(
    ("quantiles", "error", "message"),
    [
        ({0.1, 0.9}, TypeError, "quantiles is a set"),
        ({0.1: 1}, TypeError, "quantiles is a dict"),
        ({0.1: 1}.keys(), TypeError, "quantiles is a dict_keys"),
        (np.array(0.5), TypeError, "quantiles is a single value"),
        (["0.1", "0.9"], ValueError, "quantiles has dtype"),
        ([True], ValueError, "quantiles must be one or more numbers between 0 and 1, got .True"),
        ([[0.1, 0.9]], ValueError, "quantiles must be one or more numbers"),
        ([[0.1], [0.1, 0.9]], ValueError, "quantiles must be one or more numbers"),
        ([0.1, None], ValueError, "quantiles must be one or more numbers"),
        ([0.1, np.nan], ValueError, "quantiles must be one or more numbers"),
        ([], ValueError, "quantiles must be one or more numbers"),
        ([0.0, 0.5], ValueError, "quantiles must be one or more numbers"),
        ("0.5", ValueError, "'quantiles' parameter"),
        ((q for q in (0.1, 0.9)), ValueError, "'quantiles' parameter"),
    ],
    ids=str,
)
def test_quantiles_that_are_none_are_named(quantiles, error, message):
    with pytest.raises(error, match=message):
        regressor(loss="quantile", quantiles=quantiles).fit(X3, Y2)


def test_quantiles_in_any_container():
    expected = regressor(loss="quantile", quantiles=(0.1, 0.9)).fit(X3, Y2).predict(X3)
    for form in (list, np.array, pd.Series, pd.Index):
        quantiles = form([0.1, 0.9])
        model = regressor(loss="quantile", quantiles=quantiles, warm_start=True).fit(X3, Y2)
        np.testing.assert_array_equal(model.predict(X3), expected)
        model.fit(X3, Y2)


def test_a_penalty_that_overflows_is_named():
    for dtype, alpha in (("float32", 1e25), ("float64", 1e200)):
        for solver in ("adam", "lbfgs"):
            with pytest.raises(ValueError, match=f"alpha={alpha:.2g}".replace("+", r"\+")):
                regressor(alpha=alpha, dtype=dtype, solver=solver).fit(X3, np.array(Y2) * 9.0)
