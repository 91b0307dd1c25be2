"""Compare training on JapaneseVowels with the same loop in PyTorch, interleaved in one process.

Both have one layer of 64 units, minibatches of 32, Adam with a learning rate of 0.01, gradients
clipped to norm 1, one thread, and the same number of epochs and updates. PyTorch runs once with
packed sequences (as in its documentation) and once with zero-padded minibatches whose last valid
state is selected. The script prints seconds and the ratio to skgru, as median and range over the
rounds, and the test accuracy.

    pip install torch==2.13.0 && python benchmarks/vowels_torch.py [--rounds 5] [--epochs 20]
"""

import argparse
import time
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from torch.nn.utils.rnn import pack_sequence, pad_sequence

from skgru import GRUClassifier
from skgru.datasets import load_japanese_vowels
from skgru.preprocessing import PerTimestep

HIDDEN, BATCH, LEARNING_RATE, MAX_NORM = 64, 32, 0.01, 1.0


class TorchGRU(torch.nn.Module):
    """One GRU layer and a linear head on its last valid state."""

    def __init__(self, n_channels, n_classes, packed):
        super().__init__()
        self.gru = torch.nn.GRU(n_channels, HIDDEN)
        self.head = torch.nn.Linear(HIDDEN, n_classes)
        self.packed = packed

    def forward(self, sequences):
        """Return class scores for a list of (n_timesteps_i, n_channels) tensors."""
        if self.packed:
            _, last = self.gru(pack_sequence(sequences, enforce_sorted=False))
            return self.head(last[0])
        lengths = torch.tensor([len(s) for s in sequences])
        states, _ = self.gru(pad_sequence(sequences))
        return self.head(states[lengths - 1, torch.arange(len(sequences))])


def fit_torch(X, y, epochs, seed, packed):
    torch.manual_seed(seed)
    X = [torch.from_numpy(x.astype(np.float32)) for x in X]
    y = torch.from_numpy(y - 1)
    model = TorchGRU(X[0].shape[1], 9, packed)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    for _ in range(epochs):
        for batch in torch.randperm(len(X)).split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            loss = torch.nn.functional.cross_entropy(model([X[i] for i in batch]), y[batch])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
            optimizer.step()
    return model


def score_torch(model, X, y):
    with torch.no_grad():
        outputs = model([torch.from_numpy(x.astype(np.float32)) for x in X])
    return float(np.mean(outputs.argmax(1).numpy() + 1 == y))


def fit_skgru(X, y, epochs, seed):
    gru = GRUClassifier(
        HIDDEN,
        bidirectional=False,
        pooling="last",
        batch_size=BATCH,
        learning_rate="constant",
        warmup_updates=0,
        learning_rate_init=LEARNING_RATE,
        max_grad_norm=MAX_NORM,
        max_iter=epochs,
        n_iter_no_change=epochs,
        random_state=seed,
    )
    return gru.fit(X, y)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    torch.set_num_threads(1)

    X, y = load_japanese_vowels(subset="train", return_X_y=True)
    X_test, y_test = load_japanese_vowels(subset="test", return_X_y=True)
    scaler = PerTimestep(StandardScaler()).fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    runs = {
        "skgru": lambda seed: fit_skgru(X, y, options.epochs, seed),
        "torch, packed": lambda seed: fit_torch(X, y, options.epochs, seed, packed=True),
        "torch, padded": lambda seed: fit_torch(X, y, options.epochs, seed, packed=False),
    }
    seconds = {name: [] for name in runs}
    accuracy = {name: [] for name in runs}
    for seed in range(options.rounds + 1):
        for name, fit in runs.items():
            start = time.perf_counter()
            model = fit(seed)
            elapsed = time.perf_counter() - start
            if seed == 0:
                continue  # warm-up
            seconds[name].append(elapsed)
            score = model.score if name == "skgru" else lambda X, y: score_torch(model, X, y)  # noqa: B023
            accuracy[name].append(score(X_test, y_test))
    for name in runs:
        ratios = np.divide(seconds[name], seconds["skgru"])
        print(
            f"{name:14} {np.median(seconds[name]):6.2f} s   {np.median(ratios):5.2f} x skgru "
            f"({ratios.min():.2f} to {ratios.max():.2f})   accuracy {np.mean(accuracy[name]):.4f}"
        )


if __name__ == "__main__":
    main()
