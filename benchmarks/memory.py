"""Measure the peak memory of training in skgru and in PyTorch, each in a separate process.

The result is the increase of the peak over that after the imports and the creation of the data.

python benchmarks/memory.py
"""

import argparse
import json
import resource
import subprocess
import sys
import warnings

from sizes import LAYER, SIZES

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("sizes", nargs="*", default=["pixels", "XL"])
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--batches", type=int, default=4)
parser.add_argument("--in-process", choices=["skgru", "torch"], help=argparse.SUPPRESS)
arguments = parser.parse_args()


def peak() -> float:
    """Return the peak resident size of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def growth(library: str, size: tuple[int, int, int, int]) -> float:
    """Train for a few updates; return the increase of the peak memory in MB."""
    import peers

    if library == "torch":
        import torch  # noqa: F401

        step = peers.torch_training(*size, arguments.threads)
        before = peak()
        for _ in range(arguments.batches):
            step()
        return peak() - before
    from skgru import GRUClassifier

    X, y, _ = peers.batches(*size[:3], arguments.batches)
    gru = GRUClassifier(size[3], **LAYER, batch_size=size[0], max_iter=1, n_jobs=arguments.threads)
    warnings.simplefilter("ignore")  # one epoch does not converge
    before = peak()
    gru.fit(X, y)
    return peak() - before


if arguments.in_process:
    print(json.dumps(growth(arguments.in_process, SIZES[arguments.sizes[0]])))
    sys.exit()

for name in arguments.sizes:
    grown = {}
    for library in ("skgru", "torch"):
        command = [sys.executable, __file__, name, "--in-process", library]
        command += ["--threads", str(arguments.threads), "--batches", str(arguments.batches)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        grown[library] = json.loads(output)
    print(
        f"{name:7s} skgru {grown['skgru']:6.0f} MB   PyTorch {grown['torch']:6.0f} MB   "
        f"skgru / PyTorch {grown['skgru'] / grown['torch']:.2f}"
    )
