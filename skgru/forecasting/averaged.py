"""WindowScaledAverage: the mean of several regressors of windows without level and scale."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted


class WindowScaledAverage(RegressorMixin, BaseEstimator):
    """Predict the mean of several `WindowScaledRegressor`.

    They may differ in the level that they take out of windows, and in the regressor.

    Parameters
    ----------
    regressors : list of WindowScaledRegressor
        They are cloned.

    Attributes
    ----------
    regressors_ : list of WindowScaledRegressor
        The fitted regressors.
    """

    def __init__(self, regressors):
        self.regressors = regressors

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
        self.regressors_ = [clone(regressor).fit(X, y) for regressor in self.regressors]
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict the mean of all predictions.

        Parameters
        ----------
        X : array-like of shape (n_windows, window) or (n_windows, window, n_channels)

        Returns
        -------
        y : ndarray
            In the shape that each regressor predicts.
        """
        check_is_fitted(self)
        return np.mean([regressor.predict(X) for regressor in self.regressors_], axis=0)

    def _window_scales(self, targets: np.ndarray) -> np.ndarray:
        """Return the mean of the scales of windows: (n_windows, 1, n_targets)."""
        return np.mean([one._window_scales(targets) for one in self.regressors_], axis=0)
