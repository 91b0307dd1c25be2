"""WindowScaledAverage: the mean of several regressors of windows without level and scale."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted


class WindowScaledAverage(RegressorMixin, BaseEstimator):
    """Predict the weighted mean of several `WindowScaledRegressor`.

    They may differ in the level that they take out of windows, and in the regressor.

    Parameters
    ----------
    regressors : list of WindowScaledRegressor
        They are cloned.
    weights : array-like of shape (n_regressors,), default=None
        Weights of the predictions; None is equal ones.

    Attributes
    ----------
    regressors_ : list of WindowScaledRegressor
        The fitted regressors.
    weights_ : ndarray of shape (n_regressors,)
        The weights, of sum 1.
    """

    def __init__(self, regressors, weights=None):
        self.regressors = regressors
        self.weights = weights

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Fit each regressor to the same windows.

        Parameters
        ----------
        X : array-like of shape (n_windows, window) or (n_windows, window, n_channels)
        y : array-like of shape (n_windows,) or (n_windows, horizon * n_target_channels)

        Returns
        -------
        self : object
        """
        weights = np.ones(len(self.regressors)) if self.weights is None else self.weights
        self.weights_ = np.asarray(weights) / np.sum(weights)
        self.regressors_ = [clone(regressor).fit(X, y) for regressor in self.regressors]
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict the weighted mean of all predictions.

        Parameters
        ----------
        X : array-like of shape (n_windows, window) or (n_windows, window, n_channels)

        Returns
        -------
        y : ndarray
            In the shape that each regressor predicts.
        """
        check_is_fitted(self)
        return self._mean([regressor.predict(X) for regressor in self.regressors_])

    def _window_scales(self, targets: np.ndarray) -> np.ndarray:
        """Return the mean of the scales of windows: (n_windows, 1, n_targets)."""
        return self._mean([regressor._window_scales(targets) for regressor in self.regressors_])

    def _mean(self, several: list[np.ndarray]) -> np.ndarray:
        return np.average(several, axis=0, weights=self.weights_)


def weights_of(errors: list[float]) -> np.ndarray:
    """Return the inverse of squared errors, the weights of Bates and Granger (1969).

    Parameters
    ----------
    errors : list of float
        Of each regressor on windows that it was not fitted to.

    Returns
    -------
    weights : ndarray of shape (n_regressors,)
        Of sum 1. One without errors does not get all.
    """
    errors = np.maximum(errors, 0.01 * np.max(errors) + np.finfo(float).tiny)
    weights = (errors.min() / errors) ** 2
    return weights / weights.sum()
