"""Search settings for JapaneseVowels on the training utterances; score the best on the test set.

One layer of 64 units, at most 60 epochs. The search is a 5-fold cross-validation, repeated with
several seeds of the folds and of the network. Only the best settings and the defaults are scored on
the test utterances.

    python benchmarks/vowels_search.py
"""

import warnings

import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ParameterGrid, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier
from skgru.datasets import load_japanese_vowels
from skgru.preprocessing import PerTimestep

GRID = ParameterGrid(
    {"learning_rate_init": [0.01, 0.02, 0.03], "batch_size": [8, 16, 32], "max_iter": [60]}
)


def model(seed, **parameters):
    gru = GRUClassifier(random_state=seed, **parameters)
    return make_pipeline(PerTimestep(StandardScaler()), gru)


def cross_validate(parameters, seed):
    warnings.simplefilter("ignore", ConvergenceWarning)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    X, y = load_japanese_vowels(return_X_y=True)
    return cross_val_score(model(seed, **parameters), X, y, cv=folds).mean()


def test_scores(parameters):
    warnings.simplefilter("ignore", ConvergenceWarning)
    train, test = (load_japanese_vowels(subset=s, return_X_y=True) for s in ("train", "test"))
    return [model(seed, **parameters).fit(*train).score(*test) for seed in range(5)]


def main():
    seeds = range(5)
    jobs = [delayed(cross_validate)(parameters, seed) for parameters in GRID for seed in seeds]
    scores = np.reshape(Parallel(n_jobs=-1)(jobs), (len(GRID), len(seeds))).mean(axis=1)
    for parameters, score in zip(GRID, scores, strict=True):
        print(f"{score:.4f}  {parameters}")
    for name, parameters in (("best", GRID[int(np.argmax(scores))]), ("defaults", {})):
        test = test_scores(parameters)
        print(f"{name} {parameters}: test accuracy {np.mean(test):.4f} {np.round(test, 4)}")


if __name__ == "__main__":
    main()
