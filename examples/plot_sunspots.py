"""
The next three years of sunspots: a forecast beside its baselines
=================================================================

The number of sunspots rises and falls in cycles of about eleven years that differ in height and
length. From the 33 years before, three cycles, the next three years are forecast.

A forecast is worth what it adds to simple ones, so the same held-out 80 years are also forecast by
the numbers of eleven years before (seasonal naive), by this year's number, and by ridge regression
on the same windows. Size and penalty are chosen by `TimeSeriesSplit` on the years before; window,
horizon and the range of penalties were set by hand, and at other horizons (one year, four years)
ridge regression comes as close as the GRU or closer.
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
# no window to train on looks into the held-out years, and none to test on is about others
X_train, y_train = X[:-HELD_OUT], y[:-HELD_OUT]
X_test, y_test = X[-HELD_OUT + HORIZON - 1 :], y[-HELD_OUT + HORIZON - 1 :]
print(f"{len(X_train)} windows to train on; held out: {years[-HELD_OUT]} to {years[-1]}")

# %%
# The root of a count has about the same spread at every height. Both models see scaled roots, and
# their forecasts are turned back into numbers of sunspots.


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
# Size and penalty of the GRU are searched on the training years; each split tests on the twenty
# years after those it trains on.
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
# Five networks from different random weights are averaged: what they disagree on is chance.


class Mean:
    """The mean forecast of several models (VotingRegressor takes one output only)."""

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
    "as eleven years before": X_test[:, -11 : -11 + HORIZON],
    "as this year": np.repeat(X_test[:, -1:], HORIZON, axis=1),
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
# Forecasts put back as observations continue the series beyond its end.
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
