"""Parameters of the estimators: values, combinations and documentation."""

import inspect
import re

import numpy as np
import pytest
from helpers import small_classifier
from sklearn.utils._param_validation import InvalidParameterError

from skgru import GRUClassifier, GRURegressor


def test_contradictory_parameters_are_rejected(ragged):
    for parameters, message in (
        (dict(return_sequences=True, pooling="max"), "pooling='max' makes one vector"),
        (dict(bidirectional=True, bptt_steps=3), "one of the two must go"),
        (dict(solver="lbfgs", dropout=0.1), "dropout and recurrent_dropout need a stochastic"),
        (dict(solver="lbfgs", recurrent_dropout=0.1), "need a stochastic solver"),
    ):
        with pytest.raises(ValueError, match=message):
            small_classifier(**parameters).fit(*ragged)


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bidirectional", "yes"), ("pooling", "median"), ("return_sequences", 2), ("dropout", 1.0),
        ("dropout", -0.1), ("recurrent_dropout", "0.5"), ("bptt_steps", 0), ("bptt_steps", 2.5),
        ("solver", "adagrad"), ("learning_rate", "linear"), ("warmup_updates", -1),
        ("max_grad_norm", -1.0), ("validation_split", "first"), ("loss", "hinge"),
        ("quantiles", 0.5),
    ],
)  # fmt: skip
def test_invalid_parameters_are_rejected(name, value):
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of GRURegressor"):
        GRURegressor(**{name: value}).fit(np.zeros((4, 3)), np.arange(4.0))


def test_parameters_can_be_set_and_displayed(ragged):
    model = small_classifier(max_iter=20).set_params(alpha=0.5, solver="sgd")
    assert model.get_params()["alpha"] == 0.5
    assert "alpha" in model._repr_html_()
    model.fit(*ragged)
    assert "GRUClassifier" in model._repr_html_()


@pytest.mark.parametrize("estimator", [GRUClassifier, GRURegressor])
def test_docstring_names_every_parameter_with_its_default(estimator):
    documented = dict(re.findall(r"^(\w+) : .*, +default=(.+)$", estimator.__doc__, re.MULTILINE))
    signature = inspect.signature(estimator).parameters
    assert set(documented) == set(signature)
    for name, parameter in signature.items():
        text = documented[name].replace('"', "'")
        assert (
            float(text) == parameter.default
            if text[0].isdigit()
            else text == repr(parameter.default)
        )
