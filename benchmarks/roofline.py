"""Compare a training step and a prediction with a roofline: the time of their parts by themselves.

The parts are the matrix products, with their operands in the cache; σ and tanh of as many numbers;
and, in training, a copy of as many bytes as are saved for the backward pass. They are compiled from
roofline.c for the active instruction set, with the blocks of the kernels. Times are CPU time of the
thread, so that other processes disturb them less.

python benchmarks/roofline.py
"""

import ctypes
import math
import os
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from cores import arguments_on_cores

arguments = arguments_on_cores(__doc__, peers=[], seconds=0.1)

import numpy as np  # noqa: E402
import peers  # noqa: E402
from sizes import (  # noqa: E402
    LAYER,
    SIZES,
    fits,
    in_turns,
    inference_flops,
    sgemm,
    training_flops,
)

import skgru.kernels  # noqa: E402
from skgru import GRUClassifier  # noqa: E402
from skgru.kernels._instruction_sets import INSTRUCTION_SETS  # noqa: E402

CHUNK_ROWS = 256  # over which the kernels sum the gradients of weights
N_MULTIPLY_ADDS = 200_000
N_BATCHES = 8  # of a call of `predict`
FLAGS = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden", "-shared", "-fPIC"]


def compiled() -> ctypes.CDLL:
    """Compile roofline.c for the active instruction set and load it."""
    active = skgru.kernels.active_instruction_set()
    (isa,) = (isa for isa in INSTRUCTION_SETS if isa.name == active)
    headers = Path(skgru.kernels.__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "roofline.so"
        command = [
            *(os.environ.get("CC", "cc"), *FLAGS, *isa.flags, "-DSKGRU_REAL=float"),
            *("-I", headers, Path(__file__).with_suffix(".c"), "-o", library, "-lm"),
        ]
        subprocess.run(command, check=True)
        parts = ctypes.CDLL(str(library))
    parts.multiply_adds.argtypes = [ctypes.c_ssize_t, ctypes.c_double]
    parts.multiply_adds.restype = ctypes.c_double
    return parts


def aligned(size: int) -> np.ndarray:
    """Make random numbers that start at a cache line, as the buffers of the kernels do."""
    memory = np.empty(4 * size + 64, np.uint8)
    numbers = memory[-memory.ctypes.data % 64 :][: 4 * size].view(np.float32)
    numbers[:] = np.random.default_rng(0).uniform(-3, 3, size=size)
    return numbers


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    """Return the address of an array, which has to outlive it."""
    return ctypes.c_void_p(array.ctypes.data)


def matrix_products(
    parts: ctypes.CDLL, size: tuple[int, int, int, int], *, backward: bool
) -> Callable[[], None]:
    """Make the products of a forward pass of a GRU and, if wanted, of its backward pass."""
    batch, steps, channels, hidden = size
    products = [
        (steps, batch, channels + hidden, 2 * hidden, False),
        (steps, batch, channels + hidden, hidden, False),
    ]
    if backward:
        products += [(steps, batch, n * hidden, hidden, False) for n in (1, 2)]
        n_chunks, rest = divmod(batch * steps, CHUNK_ROWS)
        for times, n_rows in ((n_chunks, CHUNK_ROWS), (1, rest)):
            for width in (channels, hidden):
                products += [(times, width, n_rows, n * hidden, True) for n in (1, 2)]
    rounded = 3 * hidden + 64  # the last panel has columns that are not used
    depth = max(channels + 2 * hidden, CHUNK_ROWS)
    rows = max(batch, hidden)
    a, panels, c = (aligned(n) for n in (rows * depth, depth * rounded, rows * rounded))

    arrays = (a, panels, c)

    def run() -> None:
        for *shape, is_transposed in products:
            sizes = map(ctypes.c_ssize_t, shape)
            parts.matrix_products(*sizes, int(is_transposed), *map(pointer, arrays))

    return run


def activations(parts: ctypes.CDLL, batch: int, steps: int, hidden: int) -> Callable[[], None]:
    """Make σ of both gates and tanh of the candidate."""
    x, y, n = aligned(1024), aligned(3 * 1024), ctypes.c_ssize_t(batch * steps * hidden)
    return lambda: parts.activations(n, pointer(x), pointer(y))


def copy(batch: int, steps: int, hidden: int) -> Callable[[], None]:
    """Make a copy of both gates, the candidate and h of all steps."""
    source = aligned(4 * batch * steps * hidden)
    target = source.copy()
    return lambda: np.copyto(target, source)


def fit_and_predict(
    batch: int, steps: int, channels: int, hidden: int, n_batches: int
) -> tuple[Callable[[], None], Callable[[], None]]:
    """Make a fit of one epoch, and a prediction of several batches."""
    X, y, _ = peers.batches(batch, steps, channels, n_batches)
    model = GRUClassifier(hidden, **LAYER, batch_size=batch, max_iter=1, n_jobs=1, random_state=0)
    fitted = GRUClassifier(**model.get_params())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch does not converge
        fitted.fit(X[:batch], y[:batch])
    samples = X[: N_BATCHES * batch]
    return fits(model, X, y), lambda: fitted.predict(samples)


def row(name: str, flops: int, times: dict[str, np.ndarray], pieces: list[str]) -> str:
    """Format the time of the pieces and of skgru, and the shares of the three limits."""
    limit = sum(times[piece] for piece in pieces)
    ours = times["skgru"]
    shares = {
        "of the roofline": limit / ours,
        "of sgemm": flops / ours * times["sgemm"] / (2 * 1024**3),
        "of the multiply-adds": flops / ours * times["multiply-adds"],
    }
    columns = [f"{piece} {1e3 * np.median(times[piece]):7.3f}" for piece in pieces]
    columns += [f"limit {1e3 * np.median(limit):7.3f}", f"skgru {1e3 * np.median(ours):7.3f}"]
    columns += [f"{100 * np.median(share):4.0f} % {of}" for of, share in shares.items()]
    return f"{name:14s} " + "  ".join(columns)


def main() -> None:
    """Print a row per size for training, and one for prediction."""
    parts = compiled()
    active = skgru.kernels.active_instruction_set()
    print(f"instruction set {active}, one thread, rounds {arguments.rounds}; medians in ms")
    with_gemm = {
        "sgemm": sgemm(),
        "multiply-adds": lambda: parts.multiply_adds(N_MULTIPLY_ADDS, 0.5),
    }
    flops_of_loop = 2 * N_MULTIPLY_ADDS * parts.numbers_at_a_time()
    for name in arguments.sizes or SIZES:
        size = batch, steps, _, hidden = SIZES[name]
        n_batches = max(N_BATCHES, math.ceil(min(400, 6e10 / training_flops(*size))))
        fit, predict = fit_and_predict(*size, n_batches)
        times = in_turns(
            with_gemm
            | {
                "training": fit,
                "prediction": predict,
                "all products": matrix_products(parts, size, backward=True),
                "products": matrix_products(parts, size, backward=False),
                "σ, tanh": activations(parts, batch, steps, hidden),
                "copy": copy(batch, steps, hidden),
            },
            arguments.rounds,
            arguments.seconds,
            time.thread_time,
        )
        times["multiply-adds"] /= flops_of_loop
        predicting = times | {"skgru": times["prediction"] / N_BATCHES}
        training = times | {
            "skgru": times["training"] / n_batches,
            "products": times["all products"],
        }
        flops = training_flops(*size)
        print(row(f"{name} fit", flops, training, ["products", "σ, tanh", "copy"]), flush=True)
        flops = inference_flops(*size)
        print(row(f"{name} predict", flops, predicting, ["products", "σ, tanh"]), flush=True)
    loop = np.median(1 / times["multiply-adds"]) / 1e9
    gemm = np.median(2 * 1024**3 / times["sgemm"]) / 1e9
    print(f"multiply-adds {loop:.1f} GFLOP/s, sgemm {gemm:.1f} GFLOP/s")


if __name__ == "__main__":
    main()
