"""What of a model is written in C: steps of a pipeline, the network, the scale of its target."""

from typing import Any, NamedTuple

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skgru.base import BaseGRU
from skgru.interop.scaling import SCALES_TARGET
from skgru.preprocessing import Patches, PerTimestep


class Parts(NamedTuple):
    """Parts of a fitted model.

    Attributes
    ----------
    model : GRUClassifier or GRURegressor
    scalers : list of PerTimestep
        Before the model.
    patches : Patches or None
        Between scalers and model.
    target : TransformedTargetRegressor, ScaledTargetRegressor or None
        Around the model, or around a pipeline that ends in it.
    """

    target: Any

    model: BaseGRU
    scalers: list[PerTimestep]
    patches: Patches | None
    target: SCALES_TARGET | None


def parts_of(estimator: Any) -> Parts:
    """Take a model apart; raise TypeError or ValueError for parts that cannot be written in C."""
    target, steps = None, []
    while isinstance(estimator, SCALES_TARGET | Pipeline):
        if isinstance(estimator, Pipeline):
            *before, estimator = [step for _, step in estimator.steps]
            steps += [step for step in before if step not in (None, "passthrough")]
            continue
        if target is not None:
            raise ValueError(
                f"A {type(estimator).__name__} within a {type(target).__name__} scales the target "
                "twice; to_c takes one of them."
            )
        check_is_fitted(estimator, "regressor_")
        target, estimator = estimator, estimator.regressor_
    if not isinstance(estimator, BaseGRU):
        raise TypeError(
            "to_c takes a GRUClassifier, a GRURegressor or a Pipeline that ends in one, got "
            f"{type(estimator).__name__}{' at the end of a Pipeline' if steps else ''}."
        )
    check_is_fitted(estimator, "_network")
    patches = None
    for step in steps:
        if not isinstance(step, PerTimestep | Patches):
            raise TypeError(
                "Before the model, to_c takes steps of PerTimestep and Patches only, got "
                f"{type(step).__name__}."
            )
        if patches is not None:
            raise ValueError(
                f"to_c takes Patches as the last step before the model, and a "
                f"{type(step).__name__} follows it."
            )
        check_is_fitted(step)
        patches = step if isinstance(step, Patches) else None
    return Parts(estimator, steps[:-1] if patches else steps, patches, target)
