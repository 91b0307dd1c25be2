"""Data that the estimators reject."""

import numpy as np
import pytest
from helpers import small_classifier, small_regressor

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
