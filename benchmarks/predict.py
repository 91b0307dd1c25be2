"""Predictions of skgru beside onnxruntime, PyTorch, JAX and oneDNN.

python benchmarks/predict.py --threads 1
"""

import argparse
import warnings
from collections.abc import Callable

from cores import use_cores

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("sizes", nargs="*", help="of those in sizes.py; all by default")
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--rounds", type=int, default=7)
parser.add_argument("--seconds", type=float, default=0.3, help="of each peer, a round")
parser.add_argument("--batches", type=int, default=32, help="that one call of predict has")
parser.add_argument("--peers", nargs="*", default=["onnx", "torch", "jax", "onednn"])
arguments = parser.parse_args()
use_cores(arguments.threads)

import peers  # noqa: E402
from sizes import SIZES, in_turns, inference_flops, ratio  # noqa: E402

from skgru import GRUClassifier  # noqa: E402
from skgru.kernels import active_instruction_set  # noqa: E402


def skgru_predict(
    batch: int, steps: int, channels: int, hidden: int, threads: int, n_batches: int
) -> Callable[[], None]:
    """Predict the labels of several batches, everything that `predict` does included."""
    X, y, _ = peers.batches(batch, steps, channels, n_batches)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch does not converge
        gru = GRUClassifier(hidden, max_iter=1, n_jobs=threads, random_state=0).fit(X[:64], y[:64])
    return lambda: gru.predict(X)


print(
    f"instruction set {active_instruction_set()}, threads {arguments.threads}, rounds "
    f"{arguments.rounds}; how many times as long others took: median (range)"
)
for name in arguments.sizes or SIZES:
    size = SIZES[name]
    functions = {
        "skgru": skgru_predict(*size, arguments.threads, arguments.batches),
        "one batch": skgru_predict(*size, arguments.threads, 1),
    }
    for peer in arguments.peers:
        try:
            functions[peer] = getattr(peers, f"{peer}_inference")(*size, arguments.threads)
        except ImportError as error:
            print(f"  without {peer}: {error}")
    times = in_turns(functions, arguments.rounds, arguments.seconds)
    times["skgru"] /= arguments.batches
    rate = inference_flops(*size) / times["skgru"]
    print(
        f"{name:7s} {1e3 * sorted(times['skgru'])[len(rate) // 2]:8.3f} ms a batch  "
        f"{sorted(rate)[len(rate) // 2] / 1e9:6.1f} GFLOP/s  "
        + "  ".join(f"{p} {ratio(times[p], times['skgru'])}" for p in times if p != "skgru"),
        flush=True,
    )
