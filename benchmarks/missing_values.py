"""Test accuracy with missing values: GRU-D, each way to fill gaps, complete data, boosted trees.

A part of the values of the training and the test part is removed completely at random, of all
channels and time steps alike, by a seed that the models share. The columns:

complete      GRUClassifier() on the complete data
decay         GRUClassifier(missing="decay"), the GRU-D of Che et al. 2018
interpolate   after FillGaps("interpolate")
forward       after FillGaps("forward")
mean          after FillGaps("mean"), which fills as PerTimestep(SimpleImputer()) does
+ indicator   the same with add_indicator=True
trees         HistGradientBoostingClassifier() on all time steps side by side, with NaN

All pipelines end in PerTimestep(StandardScaler()) and GRUClassifier(random_state=seed).

    python benchmarks/missing_values.py
    python benchmarks/missing_values.py --sets ECG200 --parts 0.3 --seeds 0 --columns decay mean

Prints a row per set and part: the mean accuracy over the seeds. It takes about ten minutes.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from archive import DATA, load
from archive import SETS as ALL_SETS
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
COLUMNS = ["complete", "decay", *FILLERS, "trees"]


def with_gaps(X, part, rng):
    """Remove a part of the values at random."""
    return [np.where(rng.random(x.shape) < part, np.nan, x) for x in X]


def flat(X, n_timesteps):
    """Put all time steps of a sequence side by side, with NaN after its end."""
    rows = np.full((len(X), n_timesteps, X[0].shape[1]), np.nan)
    for row, x in zip(rows, X, strict=True):
        row[: len(x)] = x
    return rows.reshape(len(X), -1)


def accuracy(column, train, test, seed):
    """Return the accuracy of the method of a column."""
    (X, y), (X_test, y_test) = train, test
    if column == "trees":
        n_timesteps = max(map(len, [*X, *X_test]))
        X, X_test = flat(X, n_timesteps), flat(X_test, n_timesteps)
        observed = ~np.isnan(X).all(axis=0)  # the trees refuse columns without any value
        trees = HistGradientBoostingClassifier(random_state=seed).fit(X[:, observed], y)
        return trees.score(X_test[:, observed], y_test)
    model = GRUClassifier(random_state=seed)
    if column == "decay":
        model.set_params(missing="decay")
    filler = FILLERS.get(column, "passthrough")
    model = make_pipeline(filler, PerTimestep(StandardScaler()), model)
    return model.fit(X, y).score(X_test, y_test)


def main() -> None:
    """Print a row per set and part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=ALL_SETS, default=SETS)
    parser.add_argument("--columns", nargs="+", choices=COLUMNS, default=COLUMNS)
    parser.add_argument("--parts", nargs="+", type=float, default=[0.3, 0.6])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--data", type=Path, default=DATA)
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        print(f"No data in {arguments.data}; nothing to do. --data names another folder.")
        return
    warnings.simplefilter("ignore")
    columns = arguments.columns
    print(f"{'':17} {'missing':>8}" + "".join(f"{column:>24}" for column in columns))
    for name in arguments.sets:
        try:
            complete = load(name, arguments.data)
        except FileNotFoundError as error:
            print(f"{name:17} left out: {error.filename} is absent")
            continue
        for part in arguments.parts:
            scores = []
            for seed in arguments.seeds:
                rng = np.random.default_rng(seed)
                gaps = [(with_gaps(X, part, rng), y) for X, y in complete]
                with threadpool_limits(1):
                    scores.append(
                        [
                            accuracy(column, *(complete if column == "complete" else gaps), seed)
                            for column in columns
                        ]
                    )
            cells = "".join(f"{score:24.3f}" for score in np.mean(scores, axis=0))
            print(f"{name:17} {part:8.0%}{cells}", flush=True)


if __name__ == "__main__":
    main()
