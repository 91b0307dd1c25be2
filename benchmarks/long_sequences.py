"""Measure the peak memory of one update on long sequences, and how many steps it takes a second.

Each case runs in a separate process; the result is the increase of its peak over that of libraries
and data. Full backpropagation is measured on a tenth of the steps by default: its memory is
proportional to the number of steps.

Then it prints the time steps per second of an epoch with `bptt_steps`: of 32 sequences of 200 and
of 20,000 steps, and of one sequence of 1,000 and of 1,000,000 steps, on one thread. The short ones
are as many minibatches as fit into a fifth of a million steps.

python benchmarks/long_sequences.py
"""

import argparse
import json
import subprocess
import sys
import warnings

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--steps", type=int, default=20_000)
parser.add_argument("--hidden", type=int, default=64)
parser.add_argument("--bptt-steps", type=int, default=50)
parser.add_argument(
    "--part", type=int, default=10, help="divisor of the steps for full backpropagation"
)
parser.add_argument("--in-process", type=json.loads, help=argparse.SUPPRESS)
arguments = parser.parse_args()


def growth(steps: int, parameters: dict) -> float:
    """Fit to one minibatch; return the increase of the peak memory in MB."""
    import resource

    import numpy as np

    from skgru import GRUClassifier

    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    rng = np.random.default_rng(0)
    X = rng.standard_normal((arguments.batch, steps, 1), dtype=np.float32)
    by_step = parameters.get("return_sequences", False)
    y = (X[:, :, 0] > 0).astype(int) if by_step else np.arange(arguments.batch) % 2
    parameters = {"bidirectional": False, "pooling": "last", **parameters}
    gru = GRUClassifier(arguments.hidden, batch_size=arguments.batch, max_iter=1, **parameters)
    warnings.simplefilter("ignore")  # one epoch does not converge
    before = peak()
    gru.fit(X, y)
    return peak() - before


if arguments.in_process:
    print(json.dumps(growth(*arguments.in_process)))
    sys.exit()


def measure(steps: int, parameters: dict) -> float:
    """Measure in a new process."""
    command = [sys.executable, *sys.argv, "--in-process", json.dumps([steps, parameters])]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(output)


print(f"{arguments.batch} sequences of {arguments.steps} steps, {arguments.hidden} units")
for kind in ({}, {"pooling": "attention"}, {"return_sequences": True}):
    windows = measure(arguments.steps, {**kind, "bptt_steps": arguments.bptt_steps})
    full = measure(arguments.steps // arguments.part, kind)
    name = "".join(f"{key}={value!r}" for key, value in kind.items()) or "pooling='last'"
    print(
        f"{name:24s} bptt_steps={arguments.bptt_steps} {windows:6.0f} MB   full {full:6.0f} MB for "
        f"{arguments.steps // arguments.part} steps, extrapolated {full * arguments.part:6.0f} MB"
    )


def steps_per_second(batch: int, steps: int, parameters: dict) -> float:
    """Fit for an epoch of so many steps or of 200,000, whichever is more; the best of three."""
    import time

    import numpy as np

    from skgru import GRURegressor

    n_samples = batch * max(1, 200_000 // (batch * steps))
    X = np.random.default_rng(0).standard_normal((n_samples, steps, 8), dtype=np.float32)
    y = X[:, :, 0].copy() if parameters.get("return_sequences") else X[:, -1, 0].copy()
    model = GRURegressor(
        arguments.hidden, batch_size=batch, max_iter=1, n_jobs=1, random_state=0,
        **{"bidirectional": False, "pooling": "last", **parameters},
    )  # fmt: skip
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        model.fit(X, y)
        seconds.append(time.perf_counter() - start)
    return n_samples * steps / min(seconds)


warnings.simplefilter("ignore")
print("thousands of steps a second, short and long")
for kind in (
    {},
    {"pooling": "mean"},
    {"return_sequences": True},
    {"return_sequences": True, "update_every": "window"},
):
    row = "".join(f" {key}={value!r}" for key, value in kind.items()) or " pooling='last'"
    kind = {**kind, "bptt_steps": arguments.bptt_steps}
    for batch, short, long in ((32, 200, arguments.steps), (1, 1000, 50 * arguments.steps)):
        speeds = [1e-3 * steps_per_second(batch, steps, kind) for steps in (short, long)]
        row += f"   batch {batch:2d} {speeds[0]:6.0f} {speeds[1]:6.0f} {speeds[1] / speeds[0]:.2f}"
    print(row.strip(), flush=True)
