"""RegressorAround: what estimators around a regressor share."""

from typing import Any, Self

from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted

from skgru._sklearn import BaseEstimator, MetaEstimatorMixin, RegressorMixin, Tags
from skgru.forecasting.predictions import outputs_of
from skgru.persistence import Saved
from skgru.training.callbacks import CallbackSupport, FitTasks


class RegressorAround(RegressorMixin, MetaEstimatorMixin, CallbackSupport, Saved, BaseEstimator):
    """Base class of estimators that change y around a regressor, and undo it in predictions."""

    def _begin_fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None, params: dict[str, Any]
    ) -> FitTasks:
        """Begin a fit for callbacks, of which that of the regressor is a part.

        Weights join the other parameters of `fit`.
        """
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        if sample_weight is not None:
            params["sample_weight"] = sample_weight
        tasks, weights = FitTasks(of_parts=True), named(params, "sample_weight")
        tasks.begin_fit(self, 1, X, y, None if weights is None else {"sample_weight": weights})
        return tasks

    def _fit_regressor(self, tasks: FitTasks, X: Any, y: ArrayLike, params: dict[str, Any]) -> Any:
        """Return a fitted clone of the regressor; callbacks see its fit as a part of this one."""
        regressor = clone(self.regressor)
        with tasks.part("fit-regressor", regressor):
            return regressor.fit(X, y, **self._routed("fit", params))

    def _routed(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters of a method that the regressor asks for: all without routing."""
        if not get_config()["enable_metadata_routing"]:
            return params
        return process_routing(self, method, **params).regressor[method]

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Score the predictions in the units of y, as the regressor scores its own.

        Parameters
        ----------
        X : array-like
            As in `fit`.
        y : array-like
            Targets, as in `fit`.
        sample_weight : array-like, default=None
            Weights.

        Returns
        -------
        score : float
            R²; of quantiles D², the share of the pinball loss that is explained.
        """
        check_is_fitted(self, "regressor_")
        outputs = outputs_of(self.regressor_)
        if outputs is None:
            return super().score(X, y, sample_weight)
        return self._score(outputs, y, self.predict(X), sample_weight)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return what metadata the regressor asks for.

        Returns
        -------
        routing : MetadataRouter
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        mapping.add(caller="predict", callee="predict")
        return MetadataRouter(owner=self).add(regressor=self.regressor, method_mapping=mapping)

    def __sklearn_tags__(self) -> Tags:
        tags, inner = super().__sklearn_tags__(), get_tags(self.regressor)
        tags.input_tags, tags.target_tags = inner.input_tags, inner.target_tags
        tags.non_deterministic = inner.non_deterministic
        if inner.regressor_tags is not None:
            tags.regressor_tags = inner.regressor_tags
        return tags

    def _view(self) -> Self:
        """Return a view of this fitted estimator that later fits do not change."""
        view = object.__new__(type(self))
        vars(view).update(vars(self))
        return view


def named(params: dict[str, Any], name: str) -> Any:
    """Return the parameter of this name, also if it is meant for a step of a pipeline."""
    return next((v for key, v in params.items() if key.split("__")[-1] == name), None)
