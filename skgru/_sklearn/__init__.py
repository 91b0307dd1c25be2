"""What skgru takes of scikit-learn that is private there, or whose types matter, in one place.

A new version of scikit-learn may move or change any of these; `tests/test_sklearn.py` shows which,
with the oldest and the newest that are supported. `scorers` is apart, as it takes long to import.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from sklearn._loss.link import LogLink
from sklearn._loss.loss import (
    AbsoluteError,
    BaseLoss,
    HalfBinomialLoss,
    HalfGammaLoss,
    HalfMultinomialLoss,
    HalfPoissonLoss,
    HalfSquaredError,
    HuberLoss,
    PinballLoss,
)
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    OneToOneFeatureMixin,
    RegressorMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.exceptions import ConvergenceWarning, InconsistentVersionWarning
from sklearn.utils import Bunch, Tags, _safe_indexing, metaestimators
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
    validate_params,
)
from sklearn.utils._set_output import _wrap_data_with_container
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.validation import (
    _check_feature_names,
    _check_feature_names_in,
    _check_response_method,
    _check_sample_weight,
    _num_samples,
)

__all__ = [
    "AbsoluteError",
    "BaseEstimator",
    "BaseLoss",
    "Bunch",
    "ClassNamePrefixFeaturesOutMixin",
    "ClassifierMixin",
    "ConvergenceWarning",
    "HalfBinomialLoss",
    "HalfGammaLoss",
    "HalfMultinomialLoss",
    "HalfPoissonLoss",
    "HalfSquaredError",
    "HasMethods",
    "HuberLoss",
    "InconsistentVersionWarning",
    "Interval",
    "InvalidParameterError",
    "LogLink",
    "MetaEstimatorMixin",
    "OneToOneFeatureMixin",
    "PinballLoss",
    "RegressorMixin",
    "StrOptions",
    "Tags",
    "TransformerMixin",
    "_check_feature_names",
    "_check_feature_names_in",
    "_check_partial_fit_first_call",
    "_check_response_method",
    "_check_sample_weight",
    "_num_samples",
    "_openmp_effective_n_threads",
    "_safe_indexing",
    "_wrap_data_with_container",
    "available_if",
    "check_matplotlib_support",
    "fit_context",
    "validate_params",
]

Method = TypeVar("Method", bound=Callable[..., Any])


def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
    """Make `_fit_context`, which validates the parameters, but keep the types of the method."""
    decorate: Callable[[Method], Method] = _fit_context(
        prefer_skip_nested_validation=prefer_skip_nested_validation
    )
    return decorate


def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]:
    """Make scikit-learn's `available_if`, but keep the types of the method."""
    decorate: Callable[[Method], Method] = metaestimators.available_if(check)
    return decorate
