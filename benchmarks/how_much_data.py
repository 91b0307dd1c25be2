"""Test accuracy of a classifier by the number of training sequences, beside two baselines.

Pen strokes of the digits (pendigits, UCI): 8 points, 2 channels; other writers made the test part.

    python benchmarks/how_much_data.py
    python benchmarks/how_much_data.py --sizes 30 100 --seeds 0
"""

import argparse
import warnings

import numpy as np
from archive import DATA, load
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier
from skgru.preprocessing import PerTimestep


def main() -> None:
    """Print a row per size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", type=int, default=[30, 100, 300, 1000, 3000])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments = parser.parse_args()
    if not (DATA / "pendigits").is_dir():
        print(f"No data in {DATA}; nothing to do.")
        return
    warnings.simplefilter("ignore")
    (X, y), (X_test, y_test) = load("pendigits", DATA)
    X, X_test = np.array(X), np.array(X_test)
    print("sequences   GRU     nearest neighbor   boosted trees")
    for size in arguments.sizes:
        scores = []
        for seed in arguments.seeds:
            some = np.random.default_rng(seed).permutation(len(X))[:size]
            gru = make_pipeline(PerTimestep(StandardScaler()), GRUClassifier(random_state=seed))
            flat = [
                KNeighborsClassifier(1),
                HistGradientBoostingClassifier(random_state=seed, min_samples_leaf=5),
            ]
            row = [gru.fit(X[some], y[some]).score(X_test, y_test)]
            for model in flat:
                model.fit(X[some].reshape(size, -1), y[some])
                row.append(model.score(X_test.reshape(len(X_test), -1), y_test))
            scores.append(row)
        means = np.mean(scores, axis=0)
        print(f"{size:9}   {means[0]:.3f}   {means[1]:.3f}              {means[2]:.3f}", flush=True)


if __name__ == "__main__":
    main()
