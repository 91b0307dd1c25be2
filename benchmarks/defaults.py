"""Vary the default parameters one at a time, on the data sets of the package.

JapaneseVowels: accuracy and log-loss by 5-fold cross-validation on the training set alone.
Sunspots and CO2: squared error of one-step forecasts, relative to the last value carried forward,
by TimeSeriesSplit on the first 80 % of the series. All figures are means over seeds. Takes about
half an hour.

    python benchmarks/defaults.py
"""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold, TimeSeriesSplit, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.datasets import load_co2, load_japanese_vowels, load_sunspots
from skgru.forecasting import sliding_windows
from skgru.preprocessing import PerTimestep

SEEDS = range(3)
VARIATIONS = {
    "learning_rate_init": [0.001, 0.003, 0.005, 0.01, 0.02, 0.03],
    "batch_size": [8, 16, 32, 64, 128],
    "alpha": [0.0, 1e-4, 1e-2, 1e-1, 1.0],
    "max_grad_norm": [0.3, 1.0, 3.0, np.inf],
    "hidden_layer_sizes": [(32,), (64,), (128,), (64, 64)],
    "reset_after": [False, True],
    "n_iter_no_change": [5, 10, 20],
}


def vowels(**parameters):
    X, y = load_japanese_vowels(return_X_y=True)
    results = [
        cross_validate(
            make_pipeline(
                PerTimestep(StandardScaler()), GRUClassifier(random_state=seed, **parameters)
            ),
            X,
            y,
            cv=StratifiedKFold(5, shuffle=True, random_state=seed),
            scoring=("accuracy", "neg_log_loss"),
        )
        for seed in SEEDS
    ]
    mean = {key: np.mean([r[key] for r in results]) for key in results[0]}
    return (
        f"accuracy {mean['test_accuracy']:.4f}  log-loss {-mean['test_neg_log_loss']:.4f}  "
        f"{mean['fit_time']:.2f} s"
    )


def forecasts(series, window, **parameters):
    series = series[: int(0.8 * len(series))]
    X, y = sliding_windows(series, window)
    ratios = []
    for seed in SEEDS:
        model = TransformedTargetRegressor(
            make_pipeline(
                PerTimestep(StandardScaler()), GRURegressor(random_state=seed, **parameters)
            ),
            transformer=StandardScaler(),
        )
        for train, test in TimeSeriesSplit(3).split(X):
            predicted = clone(model).fit(X[train], y[train]).predict(X[test])
            error = np.mean((predicted - y[test]) ** 2)
            ratios.append(error / np.mean((X[test][:, -1] - y[test]) ** 2))
    return f"{np.mean(ratios):.3f}"


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    sunspots = load_sunspots().series
    co2 = load_co2().series
    co2 = np.interp(np.arange(len(co2)), np.flatnonzero(~np.isnan(co2)), co2[~np.isnan(co2)])
    changes = np.diff(co2)[-800:]
    for name, values in VARIATIONS.items():
        for value in values:
            parameters = {name: value}
            print(
                f"{name}={value!s:8}  vowels: {vowels(**parameters)}   "
                f"sunspots: {forecasts(sunspots, 22, **parameters)}  "
                f"CO2 changes: {forecasts(changes, 52, **parameters)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
