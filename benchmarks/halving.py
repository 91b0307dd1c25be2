"""Compare a grid search with successive halving over epochs, on JapaneseVowels with n_jobs=2.

18 candidates, 3 folds. `GridSearchCV` trains all of them for 200 epochs; `HalvingGridSearchCV` all
for 7, the best third for 21, and the best of these for 63 (Jamieson & Talwalkar 2016,
arXiv:1502.07943). The script prints the seconds of each, and the accuracy on the test set.

python benchmarks/halving.py
"""

import argparse
import time
import warnings

from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier
from skgru.datasets import load_japanese_vowels
from skgru.preprocessing import PerTimestep

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seeds", type=int, default=3)
arguments = parser.parse_args()

GRID = {
    "hidden_layer_sizes": [16, 32, 64],
    "learning_rate_init": [0.002, 0.005, 0.02],
    "dropout": [0, 0.2],
}
HALVING = {"resource": "max_iter", "min_resources": 7, "max_resources": 200, "factor": 3}

if __name__ == "__main__":
    warnings.simplefilter("ignore")  # few epochs do not converge
    X, y = load_japanese_vowels(subset="train", return_X_y=True)
    X_test, y_test = load_japanese_vowels(subset="test", return_X_y=True)
    scaler = PerTimestep(StandardScaler()).fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    for seed in range(arguments.seeds):
        gru = GRUClassifier(random_state=seed)
        searches = {
            "grid": GridSearchCV(gru, GRID, cv=3, n_jobs=2),
            "halving": HalvingGridSearchCV(gru, GRID, cv=3, n_jobs=2, random_state=0, **HALVING),
        }
        for name, search in searches.items():
            start = time.perf_counter()
            search.fit(X, y)
            seconds = time.perf_counter() - start
            accuracy = search.score(X_test, y_test)
            print(f"seed {seed}  {name:8s} {seconds:6.1f} s  test accuracy {accuracy:.4f}")
