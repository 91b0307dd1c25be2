"""Shift and factor of transformers that scale and shift each column."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.utils.validation import check_is_fitted

from skgru.forecasting import ScaledTargetRegressor

SCALES_TARGET = TransformedTargetRegressor | ScaledTargetRegressor


def affine(
    transforms: list[Callable[[np.ndarray], Any]], what: str, n_columns: int, caller: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return shift and factor of each column, such that x is transformed to (x - shift) * factor.

    They are computed from transformed values and not from attributes, so that any affine
    transformer works. Values of all magnitudes and both signs check that it is affine.

    Parameters
    ----------
    transforms : list of callable
        In the order of their application.
    what : str
        Names of their transformers, for messages.
    n_columns : int
    caller : str
        Name of the exporter, for messages.

    Raises
    ------
    ValueError
        If the transformers do more, or refuse the values.
    """
    shape, random = (64, n_columns), np.random.RandomState(0)
    values = random.normal(size=shape) * 10.0 ** random.uniform(-6, 6, shape)
    values[0], values[1] = 0, 1
    scaled = values
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some transformers warn of values that no model sees
        try:
            for transform in transforms:
                scaled = transform(scaled)
            scaled = np.asarray(scaled, dtype=float)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{caller} tried {what} on values of all magnitudes, and it refused: {error}"
            ) from error
        factor = scaled[1] - scaled[0]
        shift = -scaled[0] / factor
        affine = scaled.shape == shape and np.allclose(
            scaled, (values - shift) * factor, rtol=1e-6, atol=1e-9
        )
    if not affine:
        raise ValueError(
            f"{what} does more than to shift each column and multiply it by a factor; {caller} "
            "cannot write it."
        )
    return shift, factor


def undo_of_target(
    model: SCALES_TARGET, n_predictions: int, caller: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return shift and factor that turn predictions of the regressor into those of the model.

    Parameters
    ----------
    model : TransformedTargetRegressor or ScaledTargetRegressor
        Fitted.
    n_predictions : int
        Numbers that the regressor predicts: all quantiles of the first target, then of the second.
    caller : str
        Name of the exporter, for messages.

    Returns
    -------
    shift, factor : ndarray of shape (n_predictions,)

    Raises
    ------
    ValueError
        If the transformer of the target does more than to scale and shift it.
    """
    check_is_fitted(model, "regressor_")
    own = isinstance(model, ScaledTargetRegressor)
    n_targets = model._n_targets if own else n_predictions
    undo, what = model.transformer_.inverse_transform, type(model.transformer_).__name__
    both = affine([undo], what, n_targets, caller)
    return tuple(np.repeat(one, n_predictions // n_targets) for one in both)
