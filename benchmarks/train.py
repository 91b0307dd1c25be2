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


def in_processes(pool: ProcessPoolExecutor) -> Callable[[], None]:
    """Make an epoch in each process of a pool, all at the same time."""
    return lambda: list(pool.map(run_epoch, range(threads)))


threads = arguments.threads
# epochs long enough to make the set-up of `fit` negligible
n_batches = {
    name: math.ceil(max(16, min(400, 1e11 / training_flops(*SIZES[name]))))
    for name in arguments.sizes or SIZES
}
pools = {}
for name, n in n_batches.items() if threads > 1 else ():  # before JAX, with which no process forks
    pools[name] = ProcessPoolExecutor(
        threads, get_context("fork"), become_worker, (*SIZES[name], 1, n)
    )
    pools[name].submit(int).result()

print_heading(threads, arguments.rounds)
for name, n in n_batches.items():
    size = SIZES[name]
    flops = training_flops(*size)
    functions = {"sgemm": sgemm(), "skgru": skgru_epoch(*size, threads, n)}
    if threads > 1:
        functions["1 thread"] = skgru_epoch(*size, 1, n)
        functions["processes"] = in_processes(pools[name])
    functions |= peers.functions("training", arguments.peers, *size, threads)
    times = in_turns(functions, arguments.rounds, arguments.seconds)
    times["skgru"] /= n
    if threads > 1:
        pools[name].shutdown()
        times["1 thread"] /= n
        times["processes"] /= threads * n
    share = flops / times["skgru"] * times.pop("sgemm") / (2 * 1024**3)
    print_row(name, flops, times, f"{100 * np.median(share):5.1f} % of sgemm")
