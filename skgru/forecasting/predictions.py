"""What a fitted regressor predicts after a window: numbers of which time steps, or quantiles."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_clusterer, is_outlier_detector
from sklearn.compose import TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skgru.base import BaseGRU
from skgru.outputs import Outputs, Quantiles
from skgru.sequences import short


def inwards(estimator: Any) -> Iterator[Any]:
    """Yield an estimator and those inside: the last of a pipeline, the best of a search, ….

    Parameters
    ----------
    estimator : estimator
        Fitted or not.
    """
    while True:
        yield estimator
        if isinstance(estimator, FrozenEstimator):
            inner = estimator.estimator
        elif hasattr(estimator, "named_steps") and len(estimator.steps):
            inner = estimator.steps[-1][1]
        elif hasattr(estimator, "regressors_"):  # an average, of predictions of one form
            inner = estimator.regressors_[0]
        else:
            names = ("best_estimator_", "regressor_", "regressor")
            if hasattr(estimator, "refit"):  # a search
                names = ("best_estimator_", "estimator")
            inner = next((getattr(estimator, n) for n in names if hasattr(estimator, n)), None)
        if not hasattr(inner, "predict"):
            return
        estimator = inner


def innermost(estimator: Any) -> Any:
    """Return the estimator that predicts, inside of all others."""
    return list(inwards(estimator))[-1]


def outputs_of(estimator: Any) -> Outputs | None:
    """Return what the outputs of a fitted GRU mean, whatever is around it; None of others."""
    inner = innermost(estimator)
    if not isinstance(inner, BaseGRU):
        return None
    check_is_fitted(inner, "_outputs")
    return inner._outputs


@dataclass(frozen=True)
class Predictions:
    """Predictions of a fitted regressor that may be fed back.

    Attributes
    ----------
    regressor : estimator
    horizon : int
        Time steps that it predicts.
    stated : bool
        Whether the horizon was stated, and not taken from the regressor.
    quantiles : tuple of float or None
        If it predicts several of each number.
    """

    regressor: Any
    horizon: int
    stated: bool
    quantiles: tuple[float, ...] | None

    @classmethod
    def of(cls, regressor: Any, horizon: int | None, n_channels: int) -> "Predictions":
        """Find out what a regressor predicts.

        Parameters
        ----------
        regressor : estimator
        horizon : int or None
            As stated.
        n_channels : int
            Channels of the series, all of which are fed back.

        Raises
        ------
        TypeError
            If it is no regressor.
        ValueError
            If its predictions cannot be fed back, or may mean several things.
        """
        _check_regressor(regressor)
        outputs = outputs_of(regressor)
        quantiles = None
        if outputs is not None and innermost(regressor)._network.architecture.return_sequences:
            raise ValueError(
                "The regressor was fitted with return_sequences=True: it predicts at each step of "
                "a window, and not after it. Fit one with return_sequences=False on "
                "sliding_windows."
            )
        if isinstance(outputs, Quantiles):
            if not np.isclose(outputs.quantiles, 0.5).any():
                raise ValueError(
                    f"The regressor predicts the quantiles {short(outputs.quantiles)}, without the "
                    "median, which is what is fed back. Fit it with 0.5 among the quantiles."
                )
            quantiles = outputs.quantiles if len(outputs.quantiles) > 1 else None
        if quantiles and outputs.n_targets > 1 and _in_transformed_target(regressor):
            raise ValueError(
                "TransformedTargetRegressor cannot undo its transformation of several quantiles of "
                "several time steps. skgru.forecasting.ScaledTargetRegressor can."
            )
        if horizon is None:  # a WindowScaledRegressor knows it
            horizon = next((e.horizon_ for e in inwards(regressor) if hasattr(e, "horizon_")), None)
        if horizon is not None:
            return cls(regressor, int(horizon), True, quantiles)
        if n_channels > 1:
            raise ValueError(
                f"History has {n_channels} channels. State horizon=, the number of time steps that "
                "the regressor predicts of all of them: horizon=1 for windows that were made "
                "without one."
            )
        return cls(regressor, 1 if outputs is None else outputs.n_targets, False, quantiles)

    def after(self, windows: np.ndarray, channels: tuple[int, ...]) -> np.ndarray:
        """Predict what follows windows, and check that it means what it should.

        Parameters
        ----------
        windows : ndarray of shape (n_series, window[, n_channels])
        channels : tuple of int
            Shape of a time step: () or (n_channels,).

        Returns
        -------
        ndarray of shape (n_series, horizon[, n_channels], n_quantiles)
        """
        predicted = self.regressor.predict(windows)
        n_series, n_quantiles = len(windows), len(self.quantiles or (0.5,))
        shape = np.shape(predicted) if isinstance(predicted, np.ndarray) else None
        if shape is None:
            predicted = np.asarray(predicted)
            shape = predicted.shape
        n_values = int(np.prod(shape[1:], dtype=int)) // n_quantiles
        if predicted.dtype.kind not in "fiu" or shape[:1] != (n_series,):
            raise ValueError(
                f"The regressor predicts an array of shape {shape} and dtype {predicted.dtype} for "
                f"{n_series} windows; expected numbers for each of them."
            )
        if len(shape) > 2 and self.quantiles is None:
            raise ValueError(
                f"The regressor predicts an array of shape {shape}; expected (n_windows, horizon * "
                "n_channels)."
            )
        n_channels = int(np.prod(channels, dtype=int))
        if n_values != self.horizon * n_channels:
            said = (
                f"; horizon={self.horizon} and {n_channels} channels of history make "
                f"{self.horizon * n_channels}: each of them must be forecast"
                if self.stated
                else ", which may be time steps or something else. If they are the next time "
                f"steps, state horizon={n_values}"
            )
            raise ValueError(f"The regressor predicts {n_values} numbers for each window{said}.")
        if not np.isfinite(predicted).all():
            raise ValueError("The regressor predicts NaN or infinity, which cannot be fed back.")
        predicted = predicted.reshape(n_series, self.horizon, *channels, n_quantiles)
        if self.quantiles is not None:
            check_order(predicted, self.quantiles)
        return predicted

    def median(self, predicted: np.ndarray) -> np.ndarray:
        """Return what is fed back: the predictions themselves, or their median."""
        if self.quantiles is None:
            return predicted[..., 0]
        return predicted[..., int(np.argmin(np.abs(np.array(self.quantiles) - 0.5)))]


def check_order(predicted: np.ndarray, quantiles: tuple[float, ...]) -> None:
    """Raise ValueError if quantiles, along the last axis, are not in order."""
    ascending = predicted[..., np.argsort(quantiles)]
    rounding = np.finfo(np.float32).eps * np.abs(ascending[..., 1:])
    if (np.diff(ascending, axis=-1) < -rounding).any():
        raise ValueError(
            f"The quantiles {short(quantiles)} of the predictions are not in order: around the "
            "regressor is a decreasing transformation of y. Only an increasing one keeps them."
        )


def _check_regressor(regressor: Any) -> None:
    """Raise TypeError for what is no fitted regressor."""
    if isinstance(regressor, type) or not hasattr(regressor, "predict"):
        raise TypeError(
            f"regressor must be a fitted regressor, got a {type(regressor).__name__} without "
            "predict."
        )
    for estimator in (regressor, innermost(regressor)):
        if hasattr(estimator, "__sklearn_tags__"):
            wrong = is_classifier(estimator) or is_clusterer(estimator)
            wrong = wrong or is_outlier_detector(estimator)
        else:
            wrong = hasattr(estimator, "predict_proba") or hasattr(estimator, "classes_")
        if wrong:
            raise TypeError(
                f"{type(estimator).__name__} is no regressor: the labels that it predicts are no "
                "values of a series, and cannot be fed back."
            )


def _in_transformed_target(estimator: Any) -> bool:
    """Return whether there is a TransformedTargetRegressor around the innermost estimator."""
    return any(isinstance(inner, TransformedTargetRegressor) for inner in inwards(estimator))
