"""A training step of skgru beside PyTorch, JAX and oneDNN, and beside the machine's sgemm.

python benchmarks/train.py --threads 1
"""

import argparse
import math
import warnings
from collections.abc import Callable

from cores import use_cores

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("sizes", nargs="*", help="of those in sizes.py; all by default")
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--rounds", type=int, default=7)
parser.add_argument("--seconds", type=float, default=0.5, help="of each peer, a round")
parser.add_argument("--peers", nargs="*", default=["torch", "jax", "onednn"])
arguments = parser.parse_args()
use_cores(arguments.threads)

import peers  # noqa: E402
from sizes import SIZES, in_turns, ratio, sgemm, training_flops  # noqa: E402

from skgru import GRUClassifier  # noqa: E402
from skgru.kernels import active_instruction_set  # noqa: E402


def skgru_epoch(
    batch: int, steps: int, channels: int, hidden: int, threads: int, n_batches: int
) -> Callable[[], None]:
    """Fit for one epoch, everything that `fit` does included."""
    X, y, _ = peers.batches(batch, steps, channels, n_batches)
    gru = GRUClassifier(hidden, batch_size=batch, max_iter=1, n_jobs=threads, random_state=0)

    def epoch() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one epoch does not converge
            gru.fit(X, y)

    return epoch


print(
    f"instruction set {active_instruction_set()}, threads {arguments.threads}, rounds "
    f"{arguments.rounds}; how many times as long others took: median (range)"
)
for name in arguments.sizes or SIZES:
    size = SIZES[name]
    flops = training_flops(*size)
    # an epoch long enough that what `fit` does once does not count
    n_batches = math.ceil(max(8, min(400, 3e10 / flops)))
    functions = {
        "sgemm": sgemm(),
        "skgru": skgru_epoch(*size, arguments.threads, n_batches),
    }
    if arguments.threads > 1:
        functions["1 thread"] = skgru_epoch(*size, 1, n_batches)
    for peer in arguments.peers:
        try:
            functions[peer] = getattr(peers, f"{peer}_training")(*size, arguments.threads)
        except ImportError as error:
            print(f"  without {peer}: {error}")
    times = in_turns(functions, arguments.rounds, arguments.seconds)
    times["skgru"] /= n_batches
    if "1 thread" in times:
        times["1 thread"] /= n_batches
    rate = flops / times["skgru"]
    share = rate * times.pop("sgemm") / (2 * 1024**3)
    print(
        f"{name:7s} {1e3 * sorted(times['skgru'])[len(rate) // 2]:8.2f} ms  "
        f"{sorted(rate)[len(rate) // 2] / 1e9:6.1f} GFLOP/s  "
        f"{100 * sorted(share)[len(share) // 2]:5.1f} % of sgemm  "
        + "  ".join(f"{p} {ratio(times[p], times['skgru'])}" for p in times if p != "skgru"),
        flush=True,
    )
