"""Compare a grid search in skgru with one in skorch and PyTorch, on JapaneseVowels with n_jobs=2.

Both have the same 24 candidates, folds, epochs and batch sizes. PyTorch receives padded sequences
and packs them, because scikit-learn and skorch pass only arrays.

python benchmarks/gridsearch.py
"""

import argparse
import time
import warnings

import numpy as np
import torch
from joblib import parallel_config
from sizes import LAYER, ratio
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from skorch.callbacks import GradientNormClipping
from torch.nn.utils.rnn import pack_padded_sequence

from skgru import GRUClassifier
from skgru.datasets import load_japanese_vowels
from skgru.preprocessing import PerTimestep

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--rounds", type=int, default=3)
arguments = parser.parse_args()

HIDDEN = [16, 32, 64, 128]
RATES = [0.003, 0.01, 0.03]
BATCHES = [16, 32]
CV = StratifiedKFold(3)


class TorchGRU(torch.nn.Module):
    """One GRU layer and a linear head on its last valid state; the padding of X is NaN."""

    def __init__(self, hidden=64):
        super().__init__()
        self.gru = torch.nn.GRU(12, hidden, batch_first=True)
        self.head = torch.nn.Linear(hidden, 9)

    def forward(self, X):
        """Return class scores for X of shape (n_samples, n_timesteps, n_channels)."""
        lengths = (~X[:, :, 0].isnan()).sum(dim=1)
        packed = pack_padded_sequence(
            X.nan_to_num(), lengths, batch_first=True, enforce_sorted=False
        )
        return self.head(self.gru(packed)[1][0])


def search_skgru(X, y, epochs):
    gru = GRUClassifier(
        **LAYER,
        learning_rate="constant",
        warmup_updates=0,
        max_iter=epochs,
        n_iter_no_change=epochs,
        random_state=0,
    )
    grid = {"hidden_layer_sizes": HIDDEN, "learning_rate_init": RATES, "batch_size": BATCHES}
    return GridSearchCV(gru, grid, cv=CV, n_jobs=2).fit(X, y)


def search_torch(X, y, epochs):
    net = NeuralNetClassifier(
        TorchGRU,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        max_epochs=epochs,
        train_split=None,
        callbacks=[GradientNormClipping(1.0)],
        verbose=0,
    )
    grid = {"module__hidden": HIDDEN, "lr": RATES, "batch_size": BATCHES}
    return GridSearchCV(net, grid, cv=CV, n_jobs=2).fit(X, y)


def padded(sequences):
    X = np.full((len(sequences), max(map(len, sequences)), 12), np.nan, dtype=np.float32)
    for row, sequence in zip(X, sequences, strict=True):
        row[: len(sequence)] = sequence
    return X


if __name__ == "__main__":
    X, y = load_japanese_vowels(subset="train", return_X_y=True)
    X = PerTimestep(StandardScaler()).fit_transform(X)
    runs = {
        "skgru": lambda epochs: search_skgru(X, y, epochs),
        "PyTorch": lambda epochs: search_torch(padded(X), (y - 1).astype(np.int64), epochs),
    }
    seconds = {name: [] for name in runs}
    warnings.simplefilter("ignore", ConvergenceWarning)
    # one thread in each of the two workers, in both libraries
    with parallel_config("loky", inner_max_num_threads=1), warnings.catch_warnings():
        for run in runs.values():
            run(1)  # start the workers, which import the libraries
        for _ in range(arguments.rounds):
            for name, run in runs.items():
                start = time.perf_counter()
                search = run(arguments.epochs)
                seconds[name].append(time.perf_counter() - start)
                print(f"{name:8s} {seconds[name][-1]:7.2f} s   best {search.best_score_:.4f}")
    print("PyTorch / skgru", ratio(np.array(seconds["PyTorch"]), np.array(seconds["skgru"])))
