"""Sizes, interleaved timing and output, shared by the speed benchmarks."""

import time
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from skgru.exceptions import GradientWarning
from skgru.kernels import active_instruction_set

# batch, steps, channels, hidden
SIZES = {
    "S": (32, 50, 8, 32),
    "M": (64, 100, 16, 64),
    "L": (64, 100, 32, 128),
    "XL": (128, 100, 64, 256),
    "short": (64, 28, 28, 128),
    "pixels": (32, 784, 1, 64),
    "H100": (64, 100, 16, 100),
}
N_CLASSES = 10

# The model that the other libraries compute: one direction, last state.
LAYER = {"bidirectional": False, "pooling": "last"}


def training_flops(batch: int, steps: int, channels: int, hidden: int) -> int:
    """Count the multiplications and additions in the products of a training step of one layer.

    There are three products per weight and time step; the gradient of the inputs is not needed.
    """
    return batch * steps * hidden * (12 * channels + 18 * hidden)


def inference_flops(batch: int, steps: int, channels: int, hidden: int) -> int:
    """Count the multiplications and additions in the products of a forward pass."""
    return batch * steps * hidden * 6 * (channels + hidden)


def sgemm() -> Callable[[], None]:
    """Make a product of 1024 x 1024 float32 matrices by NumPy's BLAS: 2 * 1024**3 operations."""
    a = np.random.default_rng(0).normal(size=(1024, 1024)).astype(np.float32)
    return lambda: a @ a


def fits(model: BaseEstimator, X: np.ndarray, y: np.ndarray) -> Callable[[], None]:
    """Make a call of `fit`, including its overhead, for too few epochs to converge."""

    def fit() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.simplefilter("ignore", GradientWarning)
            model.fit(X, y)

    return fit


def in_turns(
    functions: dict[str, Callable[[], None]],
    rounds: int,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> dict:
    """Time functions in turns, so that other load on the machine affects all of them alike.

    Returns
    -------
    dict of str to ndarray of shape (rounds,)
        Seconds per call: in each round, the median of as many calls as fit into `seconds`.
    """
    calls = {}
    for name, function in functions.items():
        function()  # warm-up: compilation, memory pages, clock frequency
        start = clock()
        function()
        calls[name] = max(1, int(seconds / (clock() - start)))
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            of_round = []
            for _ in range(calls[name]):
                start = clock()
                function()
                of_round.append(clock() - start)
            times[name].append(np.median(of_round))
    return {name: np.array(t) for name, t in times.items()}


def ratio(peer: np.ndarray, ours: np.ndarray) -> str:
    """Format the ratio of the peer's time to ours: median over the rounds, and range."""
    ratios = peer / ours
    return f"{np.median(ratios):5.2f} ({ratios.min():.2f}-{ratios.max():.2f})"


def print_heading(threads: int, rounds: int) -> None:
    """Print the settings and what the rows contain."""
    print(
        f"instruction set {active_instruction_set()}, threads {threads}, rounds {rounds}; "
        "time relative to skgru: median (range)"
    )


def print_row(name: str, flops: int, times: dict[str, np.ndarray], note: str = "") -> None:
    """Print the time of "skgru" per minibatch, and the ratio of each other time to it."""
    ours = times["skgru"]
    others = (f"{other} {ratio(times[other], ours)}" for other in times if other != "skgru")
    milliseconds, gflops = 1e3 * np.median(ours), np.median(flops / ours) / 1e9
    columns = [f"{name:7s} {milliseconds:8.3f} ms", f"{gflops:6.1f} GFLOP/s", note, *others]
    print("  ".join(filter(None, columns)), flush=True)
