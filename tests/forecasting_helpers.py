"""Forecasters that the processes of joblib can import."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge

from skgru.forecasting import sliding_windows


class Autoregression(BaseEstimator):
    """The next steps, from the last ones and exog of the first step to forecast."""

    def __init__(self, window=4, horizon=3):
        self.window = window
        self.horizon = horizon

    def fit(self, series):
        self.series_ = np.asarray(series)
        X, y = sliding_windows(self.series_, self.window, self.horizon)
        self.ridge_ = Ridge().fit(X, y)
        return self

    def predict(self, steps, history=None):
        seen = self.series_ if history is None else np.asarray(history)
        return self.ridge_.predict(seen[np.newaxis, -self.window :])[0, :steps]


class Without:
    def fit(self, series):
        pass

    def predict(self, steps):
        return np.zeros(steps)


class Failing(Without):
    def predict(self, steps):
        raise ValueError("steps == 5, must be <= 3.")
