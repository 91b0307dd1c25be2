"""WindowScaledAverage: the mean of several regressors of windows without level and scale."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skgru._sklearn import BaseEstimator, RegressorMixin, fit_context
from skgru.persistence import Saved


class WindowScaledAverage(RegressorMixin, Saved, BaseEstimator):
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

    See Also
    --------
    WindowScaledRegressor : What is averaged.
    WindowForecaster : Forecasts with such a mean by default.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from skgru.forecasting import WindowScaledAverage, WindowScaledRegressor, sliding_windows
    >>> X, y = sliding_windows(np.arange(20.0), window=5)
    >>> levels = [WindowScaledRegressor(Ridge(), center=center) for center in ("last", "mean")]
    >>> WindowScaledAverage(levels).fit(X, y).predict(X[:2]).round(3)
    array([5., 6.])
    """

    # where users import it from, and what saved models name
    __module__ = "skgru.forecasting"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "regressors": [list],
        "weights": ["array-like", None],
    }

    def __init__(self, regressors: list[Any], weights: ArrayLike | None = None) -> None:
        self.regressors = regressors
        self.weights = weights

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Fit each regressor to the same windows.

        Parameters
        ----------
        X : array-like of shape (n_windows, window) or (n_windows, window, n_channels)
            Windows, oldest step first.
        y : array-like of shape (n_windows,) or (n_windows, horizon * n_target_channels)
            What follows each of them.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If there is not one weight for each regressor.
        """
        n_regressors = len(self.regressors)
        weights = np.ones(n_regressors) if self.weights is None else np.asarray(self.weights, float)
        if not n_regressors or weights.shape != (n_regressors,):
            raise ValueError(
                f"There are {n_regressors} regressors, and weights of shape {weights.shape}; "
                "expected at least one regressor, and a weight for each."
            )
        if not (np.isfinite(weights) & (weights >= 0)).all() or not weights.sum():
            raise ValueError("weights must be finite and not negative, and one must be positive.")
        self.weights_: np.ndarray = weights / weights.sum()
        self.regressors_: list[Any] = [clone(regressor).fit(X, y) for regressor in self.regressors]
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict the weighted mean of all predictions.

        Parameters
        ----------
        X : array-like of shape (n_windows, window) or (n_windows, window, n_channels)
            Windows, oldest step first.

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
