"""
How certain is a forecast? Quantiles of the sunspot number
==========================================================

With `loss="quantile"`, a `GRURegressor` predicts several quantiles, which show the uncertainty of a
forecast. This example predicts the 10, 50 and 90 % quantiles of the yearly sunspot number three
years ahead. 80 % of the observations should lie between the outer two.

Two metrics evaluate the forecasts on held-out years: the coverage, which is the share of years
between the outer quantiles, and the pinball loss, which also rewards narrow bands. The baselines
are the quantiles of all previous years (climatology) and linear quantile regression on the same
windows. Dropout and the penalty of the linear model are chosen with `TimeSeriesSplit` on the
training years; window, horizon and the number of units were set by hand.

:doc:`/forecasting` has intervals in one call.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import QuantileRegressor
from sklearn.metrics import mean_pinball_loss
from sklearn.model_selection import TimeSeriesSplit

from skgru import GRURegressor
from skgru.datasets import load_sunspots
from skgru.forecasting import sliding_windows

QUANTILES = (0.1, 0.5, 0.9)
WINDOW, HORIZON, HELD_OUT = 33, 3, 80

sunspots = load_sunspots()
years = sunspots.dates.astype(int) + 1970

# %%
# The square root of a count has about the same variance at every level. The models predict scaled
# roots: a quantile of the roots is the root of the quantile.
roots = np.sqrt(sunspots.series)
center, scale = roots[:-HELD_OUT].mean(), roots[:-HELD_OUT].std()
X, y = sliding_windows((roots - center) / scale, WINDOW, HORIZON)
y = y[:, -1]  # the third year of three
# training windows end before the 80 held-out years; test windows forecast only held-out years
X_train, y_train = X[:-HELD_OUT], y[:-HELD_OUT]
X_test, y_test = X[-HELD_OUT + HORIZON - 1 :], y[-HELD_OUT + HORIZON - 1 :]
test_years = years[-len(y_test) :]


def numbers(scaled_roots):
    return np.maximum(scaled_roots * scale + center, 0) ** 2


def coverage(y, predicted):
    return np.mean((y >= predicted[:, 0]) & (y <= predicted[:, -1]))


def pinball(y, predicted):
    """Return the mean pinball loss over the quantiles, in sunspot numbers."""
    return np.mean(
        [
            mean_pinball_loss(numbers(y), numbers(predicted[:, i]), alpha=quantile)
            for i, quantile in enumerate(QUANTILES)
        ]
    )


# %%
# The GRU forecast is the mean of several networks with different initial weights.


def climatology(X_train, y_train, X):
    return np.tile(np.quantile(y_train, QUANTILES), (len(X), 1))


def linear(X_train, y_train, X, alpha):
    models = [QuantileRegressor(quantile=quantile, alpha=alpha) for quantile in QUANTILES]
    return np.column_stack([model.fit(X_train, y_train).predict(X) for model in models])


def grus(X_train, y_train, X, dropout, n_seeds=3):
    """Return the forecasts of each network, of shape (n_seeds, n_samples, n_quantiles)."""
    return np.array(
        [
            GRURegressor(
                32,
                loss="quantile",
                quantiles=QUANTILES,
                dropout=dropout,
                recurrent_dropout=dropout,
                max_iter=300,
                random_state=seed,
            )
            .fit(X_train, y_train)
            .predict(X)
            for seed in range(n_seeds)
        ]
    )


def mean_gru(*args, **kwargs):
    return grus(*args, **kwargs).mean(axis=0)


# %%
# A network that overfits is too certain: without dropout, the band is too narrow. Each split trains
# on some years and tests on the twenty years after them. The parameter with the lowest pinball loss
# is chosen.


def choose(name, forecast, parameter, values):
    losses = []
    for value in values:
        splits = TimeSeriesSplit(5, test_size=20, gap=HORIZON - 1).split(X_train)
        true, predicted = [], []
        for train, test in splits:
            true.append(y_train[test])
            predicted.append(
                forecast(X_train[train], y_train[train], X_train[test], **{parameter: value})
            )
        true, predicted = np.concatenate(true), np.concatenate(predicted)
        losses.append(pinball(true, predicted))
        print(
            f"  {name:6} {parameter} = {value:<5}  pinball loss {losses[-1]:5.2f}, "
            f"coverage {coverage(true, predicted):4.0%}"
        )
    return values[np.argmin(losses)]


print("training years, five splits")
alpha = choose("linear", linear, "alpha", [0.003, 0.01, 0.03, 0.1])
dropout = choose("GRU", mean_gru, "dropout", [0.0, 0.2, 0.4])

# %%
# The held-out years were not used for any choice. The coverage of so few years would have a
# standard error of 4.5 percentage points even if the years were independent. It also depends on the
# initial weights of the networks.
by_seed = grus(X_train, y_train, X_test, dropout, n_seeds=5)
forecasts = {
    "climatology": climatology(X_train, y_train, X_test),
    f"linear, alpha={alpha}": linear(X_train, y_train, X_test, alpha),
    f"mean of 5 GRUs, dropout={dropout}": by_seed.mean(axis=0),
}
print(f"held-out years, {test_years[0]} to {test_years[-1]}")
for name, predicted in forecasts.items():
    print(
        f"  {name:28}  pinball loss {pinball(y_test, predicted):5.2f}, "
        f"coverage {coverage(y_test, predicted):6.1%}, years below and above "
        f"{np.mean(y_test < predicted[:, 0]):6.1%} {np.mean(y_test > predicted[:, -1]):6.1%}"
    )
covered_by_mean = coverage(y_test, by_seed.mean(axis=0))
losses = [pinball(y_test, predicted) for predicted in by_seed]
covered = [coverage(y_test, predicted) for predicted in by_seed]
print(
    f"  one GRU alone: pinball loss {min(losses):.2f} to {max(losses):.2f}; coverage "
    f"{min(covered):.1%} to {max(covered):.1%}, mean {np.mean(covered):.1%}"
)
print("  years above the band:", *test_years[y_test > by_seed.mean(axis=0)[:, -1]])
print(
    f"  highest sunspot number: {numbers(y_test).max():.1f}, "
    f"before {years[-HELD_OUT]} {sunspots.series[:-HELD_OUT].max():.1f}"
)

# %%
# The errors are asymmetric: more than the expected 10 % of the years are above the band. Most of
# them belong to three cycles that were higher than any in the training years.
figure, axes = plt.subplots(figsize=(11, 4.5), layout="constrained")
low, median, high = numbers(by_seed.mean(axis=0)).T
axes.fill_between(
    test_years,
    low,
    high,
    color="tab:blue",
    alpha=0.25,
    linewidth=0,
    label=f"GRU, 10 to 90 % ({covered_by_mean:.0%} of the years inside)",
)
axes.plot(test_years, median, color="tab:blue", label="GRU, median")
axes.plot(test_years, numbers(y_test), ".-", color="black", label="sunspots", linewidth=0.8)
axes.set(xlabel="year", ylabel="sunspot number", title="Forecast three years ahead, held-out years")
axes.legend(loc="upper left")
figure.savefig("quantiles.png", dpi=100)
