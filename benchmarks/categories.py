"""Time of a training step with categories, embeddings and decay, beside that with 8 numbers.

A training step is an update of GRUClassifier with one direction and the last state: minibatch,
forward and backward pass, and Adam. Columns:

50, 10000           one categorical channel of so many codes, as rows of weights
50 e16, 10000 e16   the same with embedding_dim=16
decay               8 channels of which 30 % of the values are missing, missing="decay"

Codes are drawn uniformly, or (zipf) the k-th most frequent one 1/k times as often as the first, as
words are. All models train in turn, in one thread, whose processor time counts.

    python benchmarks/categories.py
    python benchmarks/categories.py --rounds 31

Prints the milliseconds of a step with 8 numeric channels, and the median of the ratios to it. It
takes about a minute.
"""

import argparse
import time
import warnings

import numpy as np
from threadpoolctl import threadpool_limits

from skgru import GRUClassifier
from skgru.training.stochastic import StochasticFit

SHAPES = [(64, 100, 64), (32, 50, 32), (32, 20, 64)]
N_UPDATES = 16  # enough that all codes appear


def problems(B, T):
    """Return X and parameters of each column."""
    rng = np.random.default_rng(0)
    n = B * N_UPDATES
    numbers = rng.normal(size=(n, T, 8)).astype(np.float32)
    columns = {"8 numbers": (numbers, {})}
    for V in (50, 10_000):
        often = 1 / np.arange(1, V + 1)
        for name, p in (("", None), (" zipf", often / often.sum())):
            codes = rng.choice(V, size=(n, T, 1), p=p)
            codes.ravel()[:V] = np.arange(V)  # so that all are known
            columns[f"{V}{name}"] = codes, {"categorical_channels": [0]}
            columns[f"{V} e16{name}"] = codes, {"categorical_channels": [0], "embedding_dim": 16}
    gaps = np.where(rng.random(numbers.shape) < 0.3, np.nan, numbers)
    columns["decay"] = gaps, {"missing": "decay"}
    return columns


def timed(update, times):
    """Make an `update` of all minibatches of an epoch that notes the time of one."""

    def timed_update(self, samples):
        start = time.thread_time()
        result = update(self, samples)
        times.append((time.thread_time() - start) / N_UPDATES)
        return result

    return timed_update


def main() -> None:
    """Print a row per shape."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    times = []
    StochasticFit._update = timed(StochasticFit._update, times)
    names = list(problems(1, 625))
    print(f"{'B, T, H':14} {'ms':>6}" + "".join(f"{name:>16}" for name in names[1:]))
    for B, T, H in SHAPES:
        fits = []
        for X, parameters in problems(B, T).values():
            model = GRUClassifier(
                H, batch_size=B, bidirectional=False, pooling="last", random_state=0, **parameters
            )
            y = np.arange(len(X)) % 2
            fits.append((model.partial_fit(X, y, classes=[0, 1]), X, y))
        rounds = []
        for _ in range(arguments.rounds):
            times.clear()
            for model, X, y in fits:
                model.partial_fit(X, y)
            rounds.append(list(times))
        rounds = np.array(rounds)
        ratios = np.median(rounds[:, 1:] / rounds[:, :1], axis=0)
        cells = "".join(f"{ratio:16.2f}" for ratio in ratios)
        print(f"{B:3}, {T:3}, {H:3} {1e3 * np.median(rounds[:, 0]):8.2f}{cells}", flush=True)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
