"""
Does a forecast beat its baselines? Three years of sunspots
===========================================================

The sunspot number rises and falls in cycles of about eleven years that differ in height and length.
The models forecast the next three years from the last 33 years, which are three cycles.

The baselines forecast the same 80 held-out years: with the values eleven years before (seasonal
naive), with the value of the current year, and with ridge regression on the same windows. The
number of units and the penalty are chosen with `TimeSeriesSplit` on the training years. Window,
horizon and the range of penalties were set by hand. At other horizons (one year, four years), ridge
regression is as accurate as the GRU or more accurate.

:doc:`/forecasting` and :doc:`/backtesting` are the guides to it.
"""

import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import RidgeCV
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skgru import GRURegressor
from skgru.datasets import load_sunspots
from skgru.forecasting import recursive_forecast, sliding_windows
from skgru.preprocessing import PerTimestep

WINDOW, HORIZON, HELD_OUT = 33, 3, 80

sunspots = load_sunspots()
years = sunspots.dates.astype(int) + 1970
X, y = sliding_windows(sunspots.series, WINDOW, HORIZON)
# training windows end before the held-out years; test windows forecast only held-out years
X_train, y_train = X[:-HELD_OUT], y[:-HELD_OUT]
X_test, y_test = X[-HELD_OUT + HORIZON - 1 :], y[-HELD_OUT + HORIZON - 1 :]
print(f"{len(X_train)} training windows; held-out years: {years[-HELD_OUT]} to {years[-1]}")

# %%
# The square root of a count has about the same variance at every level. Both models are fitted on
# scaled roots, and their forecasts are transformed back.


def square(root):
    return np.maximum(root, 0) ** 2


def on_scaled_roots(regressor):
    return TransformedTargetRegressor(
        make_pipeline(
            PerTimestep(make_pipeline(FunctionTransformer(np.sqrt), StandardScaler())), regressor
        ),
        transformer=make_pipeline(
            FunctionTransformer(np.sqrt, square, check_inverse=False), StandardScaler()
        ),
    )


ridge = on_scaled_roots(RidgeCV(np.logspace(-3, 4, 30))).fit(X_train, y_train)

# %%
# A grid search on the training years chooses the number of units and the penalty of the GRU. Each
# split trains on some years and tests on the twenty years after them.
search = GridSearchCV(
    on_scaled_roots(GRURegressor(max_iter=500, random_state=0)),
    {
        "regressor__gruregressor__hidden_layer_sizes": [16, 32, 64],
        "regressor__gruregressor__alpha": [0.001, 0.01, 0.1],
    },
    cv=TimeSeriesSplit(5, test_size=20),
    scoring="neg_mean_absolute_error",
    n_jobs=os.cpu_count(),
).fit(X_train, y_train)
print("chosen:", search.best_params_)

# %%
# The GRU forecast is the mean of five networks with different initial weights, which reduces its
# variance.


class Mean:
    """Mean forecast of several models (VotingRegressor supports only one output)."""

    def __init__(self, models):
        self.models = models

    def predict(self, X):
        return np.mean([model.predict(X) for model in self.models], axis=0)


gru = Mean(
    [
        clone(search.best_estimator_)
        .set_params(regressor__gruregressor__random_state=seed)
        .fit(X_train, y_train)
        for seed in range(5)
    ]
)
forecasts = {
    "eleven years before": X_test[:, -11 : -11 + HORIZON],
    "current year": np.repeat(X_test[:, -1:], HORIZON, axis=1),
    "ridge regression": ridge.predict(X_test),
    "GRU": gru.predict(X_test),
}
print("mean absolute error on the held-out years, in sunspot numbers")
for name, forecast in forecasts.items():
    ahead = np.abs(y_test - forecast).mean(axis=0)
    print(f"  {name:24} {ahead.mean():6.2f}   1, 2, 3 years ahead: {ahead.round(1)}")
alone = [mean_absolute_error(y_test, model.predict(X_test)) for model in gru.models]
print(f"  one GRU alone            {min(alone):6.2f} to {max(alone):.2f}")

# %%
# A recursive forecast continues the series beyond its end: forecasts become inputs.
beyond = recursive_forecast(gru, sunspots.series, steps=12, window=WINDOW, horizon=HORIZON)

figure, axes = plt.subplots(figsize=(11, 4.5), layout="constrained")
test_years = years[-len(X_test) :]
axes.plot(test_years, y_test[:, -1], color="black", label="sunspots")
for name, color in (("ridge regression", "tab:orange"), ("GRU", "tab:blue")):
    error = mean_absolute_error(y_test, forecasts[name])
    axes.plot(test_years, forecasts[name][:, -1], color=color, label=f"{name}, error {error:.1f}")
axes.plot(years[-1] + 1 + np.arange(12), beyond, "--", color="tab:blue", label="GRU, from 2008 on")
axes.set(xlabel="year", ylabel="sunspot number", title="Forecast three years ahead")
axes.legend()
figure.savefig("sunspots.png", dpi=100)
