"""Test accuracy with missing values: each way to fill gaps, complete data, and boosted trees.

A part of the values of the training and the test part is removed completely at random, of all
channels and time steps alike, by a seed that the models share. The columns:

complete      GRUClassifier() on the complete data
interpolate   after FillGaps("interpolate")
forward       after FillGaps("forward")
mean          after FillGaps("mean"), which fills as PerTimestep(SimpleImputer()) does
+ indicator   the same with add_indicator=True
trees         HistGradientBoostingClassifier() on all time steps side by side, with NaN

All pipelines end in PerTimestep(StandardScaler()) and GRUClassifier(random_state=seed).

    python benchmarks/missing_values.py
    python benchmarks/missing_values.py --sets ECG200 --parts 0.3 --seeds 0

Prints a row per set and part: the mean accuracy over the seeds. It takes about ten minutes.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from archive import DATA, load
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skgru import GRUClassifier
from skgru.preprocessing import FillGaps, PerTimestep

SETS = ["JapaneseVowels", "ItalyPowerDemand", "ECG200", "BasicMotions"]
METHODS = ["interpolate", "forward", "mean"]
FILLERS = {
    f"{method}{' + indicator' if indicator else ''}": FillGaps(method, add_indicator=indicator)
    for method in METHODS
    for indicator in (False, True)
}


def with_gaps(X, part, rng):
    """Remove a part of the values at random."""
    return [np.where(rng.random(x.shape) < part, np.nan, x) for x in X]


def flat(X, n_timesteps):
    """Put all time steps of a sequence side by side, with NaN after its end."""
    rows = np.full((len(X), n_timesteps, X[0].shape[1]), np.nan)
    for row, x in zip(rows, X, strict=True):
        row[: len(x)] = x
    return rows.reshape(len(X), -1)


def accuracies(train, test, seed):
    """Return the accuracy of each filler, then that of the trees."""
    (X, y), (X_test, y_test) = train, test
    scores = [
        make_pipeline(filler, PerTimestep(StandardScaler()), GRUClassifier(random_state=seed))
        .fit(X, y)
        .score(X_test, y_test)
        for filler in FILLERS.values()
    ]
    n_timesteps = max(map(len, [*X, *X_test]))
    flat_X, flat_test = flat(X, n_timesteps), flat(X_test, n_timesteps)
    observed = ~np.isnan(flat_X).all(axis=0)  # the trees refuse columns without any value
    trees = HistGradientBoostingClassifier(random_state=seed).fit(flat_X[:, observed], y)
    return [*scores, trees.score(flat_test[:, observed], y_test)]


def of_complete_data(train, test, seed):
    """Return the accuracy of a classifier on the complete data."""
    model = make_pipeline(PerTimestep(StandardScaler()), GRUClassifier(random_state=seed))
    return model.fit(*train).score(*test)


def main() -> None:
    """Print a row per set and part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--parts", nargs="+", type=float, default=[0.3, 0.6])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--data", type=Path, default=DATA)
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        print(f"No data in {arguments.data}; nothing to do. --data names another folder.")
        return
    warnings.simplefilter("ignore")
    print(f"{'':17} {'missing':>8}" + "".join(f"{c:>24}" for c in ["complete", *FILLERS, "trees"]))
    for name in arguments.sets:
        try:
            train, test = load(name, arguments.data)
        except FileNotFoundError as error:
            print(f"{name:17} left out: {error.filename} is absent")
            continue
        with threadpool_limits(1):
            complete = np.mean([of_complete_data(train, test, seed) for seed in arguments.seeds])
            for part in arguments.parts:
                scores = []
                for seed in arguments.seeds:
                    rng = np.random.default_rng(seed)
                    gaps = [(with_gaps(X, part, rng), y) for X, y in (train, test)]
                    scores.append(accuracies(*gaps, seed))
                row = [complete, *np.mean(scores, axis=0)]
                cells = "".join(f"{score:24.3f}" for score in row)
                print(f"{name:17} {part:8.0%}{cells}", flush=True)


if __name__ == "__main__":
    main()
