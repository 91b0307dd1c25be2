"""Compare the time of a training step with PyTorch, JAX and oneDNN, and with sgemm.

With several threads, also with one thread, and with as many processes that each train on one
thread: more than their throughput is not to be had from threads.

python benchmarks/train.py --threads 1
"""

import math
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from cores import arguments_on_cores

arguments = arguments_on_cores(__doc__, peers=["torch", "jax", "onednn"], seconds=0.5)

import numpy as np  # noqa: E402
import peers  # noqa: E402
from sizes import (  # noqa: E402
    LAYER,
    SIZES,
    fits,
    in_turns,
    print_heading,
    print_row,
    sgemm,
    training_flops,
)

from skgru import GRUClassifier  # noqa: E402


def skgru_epoch(
    batch: int, steps: int, channels: int, hidden: int, threads: int, n_batches: int
) -> Callable[[], None]:
    """Make a fit of one epoch, including its overhead."""
    X, y, _ = peers.batches(batch, steps, channels, n_batches)
    gru = GRUClassifier(
        hidden, **LAYER, batch_size=batch, max_iter=1, n_jobs=threads, random_state=0
    )

    return fits(gru, X, y)


def become_worker(*size: int) -> None:
    """Let this process train on its own; see `in_processes`."""
    global epoch
    epoch = skgru_epoch(*size)


def run_epoch(_: int) -> None:
    """Train for an epoch in a process of a pool."""
    epoch()


def in_processes(pool: ProcessPoolExecutor, processes: int) -> Callable[[], None]:
    """Make an epoch in each process of a pool, all at the same time."""
    return lambda: list(pool.map(run_epoch, range(processes)))


print_heading(arguments.threads, arguments.rounds)
for name in arguments.sizes or SIZES:
    size = SIZES[name]
    flops = training_flops(*size)
    # an epoch long enough to make the set-up of `fit` negligible
    n_batches = math.ceil(max(16, min(400, 1e11 / flops)))
    functions = {
        "sgemm": sgemm(),
        "skgru": skgru_epoch(*size, arguments.threads, n_batches),
    }
    threads = arguments.threads
    pool = None
    if threads > 1:
        functions["1 thread"] = skgru_epoch(*size, 1, n_batches)
        pool = ProcessPoolExecutor(
            threads, get_context("fork"), become_worker, (*size, 1, n_batches)
        )
        functions[f"{threads} processes"] = in_processes(pool, threads)
    functions |= peers.functions("training", arguments.peers, *size, threads)
    times = in_turns(functions, arguments.rounds, arguments.seconds)
    times["skgru"] /= n_batches
    if pool is not None:
        pool.shutdown()
        times["1 thread"] /= n_batches
        times[f"{threads} processes"] /= threads * n_batches
    share = flops / times["skgru"] * times.pop("sgemm") / (2 * 1024**3)
    print_row(name, flops, times, f"{100 * np.median(share):5.1f} % of sgemm")
