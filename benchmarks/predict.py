"""Compare the time of predictions with onnxruntime, PyTorch, JAX and oneDNN.

python benchmarks/predict.py --threads 1
"""

import warnings
from collections.abc import Callable

from cores import arguments_on_cores

arguments = arguments_on_cores(
    __doc__,
    peers=["onnx", "torch", "jax", "onednn"],
    seconds=0.3,
    batches=dict(type=int, default=32, help="per call of predict"),
)

import peers  # noqa: E402
from sizes import LAYER, SIZES, in_turns, inference_flops, print_heading, print_row  # noqa: E402

from skgru import GRUClassifier  # noqa: E402


def skgru_predict(
    batch: int, steps: int, channels: int, hidden: int, threads: int, n_batches: int
) -> Callable[[], None]:
    """Make a call of `predict` for several minibatches, including its overhead."""
    X, y, _ = peers.batches(batch, steps, channels, n_batches)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch does not converge
        gru = GRUClassifier(hidden, **LAYER, max_iter=1, n_jobs=threads, random_state=0)
        gru.fit(X[:64], y[:64])
    return lambda: gru.predict(X)


print_heading(arguments.threads, arguments.rounds)
for name in arguments.sizes or SIZES:
    size = SIZES[name]
    functions = {
        "skgru": skgru_predict(*size, arguments.threads, arguments.batches),
        "one batch": skgru_predict(*size, arguments.threads, 1),
    }
    functions |= peers.functions("inference", arguments.peers, *size, arguments.threads)
    times = in_turns(functions, arguments.rounds, arguments.seconds)
    times["skgru"] /= arguments.batches
    print_row(name, inference_flops(*size), times)
