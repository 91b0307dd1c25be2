"""Measure how the time of a training step depends on batch, steps, channels and units.

One of them varies by factors of two while the others stay at a medium size. The last column is the
growth of the time from the previous row, divided by the growth of the arithmetic: 1 means that the
time is proportional to the arithmetic.

python benchmarks/scaling.py
"""

import argparse
import warnings

from cores import use_cores

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--seconds", type=float, default=0.3)
arguments = parser.parse_args()
use_cores(1)

import numpy as np  # noqa: E402
import peers  # noqa: E402
from sizes import LAYER, in_turns, training_flops  # noqa: E402

from skgru import GRUClassifier  # noqa: E402

MEDIUM = {"batch": 64, "steps": 64, "channels": 16, "hidden": 64}
VALUES = {
    "batch": (8, 16, 32, 64, 128, 256, 512),
    "steps": (4, 8, 16, 32, 64, 128, 256, 512, 1024),
    "channels": (1, 2, 4, 8, 16, 32, 64, 128, 256),
    "hidden": (4, 8, 16, 32, 64, 128, 256, 512),
}
N_BATCHES = 4

warnings.simplefilter("ignore")  # one epoch does not converge
for name, values in VALUES.items():
    functions, flops = {}, {}
    for value in values:
        size = {**MEDIUM, name: value}
        flops[value] = training_flops(*size.values())
        X, y, _ = peers.batches(size["batch"], size["steps"], size["channels"], N_BATCHES)
        gru = GRUClassifier(size["hidden"], **LAYER, batch_size=size["batch"], max_iter=1)
        functions[value] = lambda gru=gru, X=X, y=y: gru.fit(X, y)
    times = in_turns(functions, arguments.rounds, arguments.seconds)
    print(f"{name:9s} ms per step GFLOP/s   time / arithmetic")
    for before, value in zip((None, *values), values, strict=False):
        seconds = np.median(times[value]) / N_BATCHES
        line = f"{value:9d} {1e3 * seconds:9.3f} {flops[value] / seconds / 1e9:9.1f}"
        if before:
            growth = np.median(times[value] / times[before]) * flops[before] / flops[value]
            line += f"   {growth:17.2f}"
        print(line, flush=True)
