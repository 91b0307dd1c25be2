"""Sample weights of any scale: the same fit, or an error that names what is too small."""

import numpy as np
import pytest
from helpers import small_classifier, small_regressor

from skgru.inspection import gradient_flow

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:validation_fraction=:UserWarning"),
]

rng = np.random.default_rng(0)
X = rng.normal(size=(24, 4, 2))
NUMBERS = X.sum(axis=(1, 2))
LABELS = np.array(["a", "b"])[(NUMBERS > 0).astype(int)]
THREE = np.array(["a", "b", "c"])[np.digitize(NUMBERS, [-1, 1])]
WEIGHTS = rng.uniform(0.5, 2, size=24)
# the largest, of which the sum is infinite, and the smallest, which have few digits or one
POWERS = [-1074, -1060, -1022, -130, -30, 30, 130, 1000, 1022]

LOSSES = [
    {"loss": "squared_error"}, {"loss": "absolute_error"}, {"loss": "huber"},
    {"loss": "quantile"}, {"loss": "poisson"},
]  # fmt: skip


def model(y, **parameters):
    make = small_classifier if y.dtype.kind == "U" else small_regressor
    return make(
        **{"hidden_layer_sizes": 3, "max_iter": 2, "alpha": 0, "batch_size": 8, **parameters}
    )


def assert_equal(one, other):
    np.testing.assert_array_equal(one._network.parameters, other._network.parameters)
    assert one.loss_curve_ == other.loss_curve_
    assert one.validation_scores_ == other.validation_scores_


@pytest.mark.parametrize("power", [-900, -60, 60])
def test_validation_scores_of_quantiles_do_not_depend_on_the_scale(power):
    """scikit-learn's weighted quantile compares sums of weights with a constant."""
    gru = model(
        NUMBERS, loss="quantile", early_stopping=True, validation_fraction=0.4, scoring=None
    )
    expected = gru.fit(X, NUMBERS, WEIGHTS).validation_scores_
    assert gru.fit(X, NUMBERS, np.ldexp(WEIGHTS, power)).validation_scores_ == expected


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_without_penalty_the_scale_does_not_matter(power, solver, dtype):
    weights = np.where(np.arange(24) % 3, 1.0, 1.5 if power > -1074 else 1.0)
    for y in (LABELS, THREE, NUMBERS):
        expected = model(y, solver=solver, dtype=dtype).fit(X, y, weights)
        scaled = np.ldexp(weights, power)
        assert_equal(model(y, solver=solver, dtype=dtype).fit(X, y, scaled), expected)
        assert expected.score(X, y, scaled) == expected.score(X, y, weights)
        if power < 1000:
            flow = gradient_flow(expected, X, y, scaled)
            assert flow.loss == pytest.approx(gradient_flow(expected, X, y, weights).loss)
        else:
            with pytest.raises(ValueError, match="sum of the weights is infinite"):
                gradient_flow(expected, X, y, np.ldexp(weights, 1022))
    assert np.isfinite(expected.predict(X)).all()


def test_a_weight_of_two_is_a_sample_twice_to_the_last_bit():
    """L-BFGS would multiply a difference of one bit."""
    weights = 1 + np.arange(24) % 3
    twice = np.repeat(np.arange(24), weights)
    for y in (LABELS, THREE, NUMBERS):
        parameters = {"solver": "lbfgs", "dtype": "float64", "alpha": 0.1, "max_iter": 30}
        found = model(y, **parameters).fit(X, y, weights)
        expected = model(y, **parameters).fit(X[twice], y[twice])
        np.testing.assert_array_equal(found._network.parameters, expected._network.parameters)


@pytest.mark.parametrize("parameters", LOSSES, ids=lambda p: p["loss"])
def test_every_loss_takes_weights_of_any_scale(parameters):
    y = np.exp(NUMBERS)
    expected = model(y, **parameters).fit(X, y, WEIGHTS)
    for power in (-1000, 1022):
        assert_equal(model(y, **parameters).fit(X, y, np.ldexp(WEIGHTS, power)), expected)


def test_chunks_steps_and_validation_take_weights_of_any_scale():
    steps = np.where(rng.random((24, 4)) < 0.5, "a", "b")
    for power in (-1000, 1022):
        one, other = (
            model(LABELS).partial_fit(X, LABELS, ["a", "b"], w).partial_fit(X, LABELS, None, w)
            for w in (WEIGHTS, np.ldexp(WEIGHTS, power))
        )
        assert_equal(one, other)
        by_step = WEIGHTS[:, np.newaxis] * np.arange(1.0, 5)
        one, other = (
            model(LABELS, return_sequences=True, pooling="last").fit(X, steps, w)
            for w in (by_step, np.ldexp(by_step, power - 3))
        )
        assert_equal(one, other)
        for scoring in ("loss", None, "accuracy"):
            parameters = {"early_stopping": True, "validation_fraction": 0.5, "scoring": scoring}
            one, other = (
                model(LABELS, **parameters).fit(X, LABELS, w)
                for w in (WEIGHTS, np.ldexp(WEIGHTS, power))
            )
            assert_equal(one, other)
        one, other = (
            model(LABELS).fit(X, LABELS, X_val=X, y_val=LABELS, sample_weight_val=w)
            for w in (WEIGHTS, np.ldexp(WEIGHTS, power))
        )
        assert_equal(one, other)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_class_weights_and_sample_weights_may_overflow_together(scale):
    expected = model(LABELS, class_weight={"a": 3.0}).fit(X, LABELS, WEIGHTS)
    class_weight = {"a": 3 * scale, "b": scale}
    found = model(LABELS, class_weight=class_weight).fit(X, LABELS, WEIGHTS * scale)
    np.testing.assert_allclose(found.predict_proba(X), expected.predict_proba(X), rtol=1e-5)


def test_weights_of_very_different_scales_are_those_of_the_largest():
    first = np.arange(24) < 12
    for alpha in (0.0, 0.1):
        parameters = {"alpha": alpha, "solver": "lbfgs", "dtype": "float64", "max_iter": 5}
        expected = model(NUMBERS, **parameters).fit(X[first], NUMBERS[first], WEIGHTS[first] * 1e9)
        found = model(NUMBERS, **parameters)
        found.fit(X, NUMBERS, np.where(first, WEIGHTS * 1e9, 1e-300))
        np.testing.assert_allclose(found.predict(X), expected.predict(X), rtol=1e-5)


def test_the_penalty_is_divided_by_the_sum_of_the_weights():
    """A larger scale is a smaller alpha, until nothing of it is left."""
    for scale in (2.0**-10, 2.0**10, 2.0**100):
        found = model(NUMBERS, alpha=0.5).fit(X, NUMBERS, scale * WEIGHTS)
        assert_equal(found, model(NUMBERS, alpha=0.5 / scale).fit(X, NUMBERS, WEIGHTS))
    largest = model(NUMBERS, alpha=0.5).fit(X, NUMBERS, np.ldexp(WEIGHTS, 1022))
    assert_equal(largest, model(NUMBERS).fit(X, NUMBERS, WEIGHTS))


@pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop", "lbfgs"])
@pytest.mark.parametrize("scale", [1e-30, 1e-300, 1e-323])
def test_weights_that_leave_the_penalty_alone_are_named(solver, scale):
    for y in (NUMBERS, LABELS):
        tiny = model(y, solver=solver, alpha=1e-4, dtype="float64")
        with pytest.raises(
            ValueError, match="weights of the training.*alpha=0.0001.*mean is abo"
        ) as e:
            tiny.fit(X, y, np.full(24, scale))
        assert len(str(e.value)) < 400
        assert not hasattr(tiny, "n_iter_")
    with pytest.raises(ValueError, match="class_weight"):
        tiny.set_params(class_weight={"a": scale, "b": scale}).fit(X, LABELS)
    # in the loss of "adamw" there is no penalty
    model(NUMBERS, solver="adamw", alpha=1e-4).fit(X, NUMBERS, np.full(24, scale))


@pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning")
def test_a_large_alpha_is_no_matter_of_the_weights():
    shrunk = model(NUMBERS, alpha=1e12, solver="lbfgs", max_iter=50).fit(X, NUMBERS)
    n_weights = shrunk._network.n_weights
    assert np.abs(shrunk._network.parameters[:n_weights]).max() < 1e-6
