"""Compare the time of a training step with PyTorch, JAX and oneDNN, and with sgemm.

python benchmarks/train.py --threads 1
"""

import math
from collections.abc import Callable

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


print_heading(arguments.threads, arguments.rounds)
for name in arguments.sizes or SIZES:
    size = SIZES[name]
    flops = training_flops(*size)
    # an epoch long enough to make the set-up of `fit` negligible
    n_batches = math.ceil(max(8, min(400, 3e10 / flops)))
    functions = {
        "sgemm": sgemm(),
        "skgru": skgru_epoch(*size, arguments.threads, n_batches),
    }
    if arguments.threads > 1:
        functions["1 thread"] = skgru_epoch(*size, 1, n_batches)
    functions |= peers.functions("training", arguments.peers, *size, arguments.threads)
    times = in_turns(functions, arguments.rounds, arguments.seconds)
    times["skgru"] /= n_batches
    if "1 thread" in times:
        times["1 thread"] /= n_batches
    share = flops / times["skgru"] * times.pop("sgemm") / (2 * 1024**3)
    print_row(name, flops, times, f"{100 * np.median(share):5.1f} % of sgemm")
