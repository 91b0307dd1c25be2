"""Measure a time step of a model exported to C: nanoseconds, median and 99th percentile.

python benchmarks/c_export.py
"""

import argparse
import subprocess
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sizes import LAYER

from skgru import GRUClassifier
from skgru.interop import to_c

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--channels", type=int, default=8)
parser.add_argument("--hidden", type=int, default=64)
parser.add_argument("--classes", type=int, default=9)
parser.add_argument("--steps", type=int, default=200_000)
parser.add_argument("--compiler", default="gcc")
arguments = parser.parse_args()

MODELS = {
    "gru": {},
    "gru_reset_after": {"reset_after": True},
    **{cell: {"cell": cell} for cell in ("lstm", "cifg", "mgu", "light_gru", "rnn")},
}
FLAGS = ["-O2", "-O3 -march=native"]

# the overhead of the clock, which the program prints first, is part of both times
PROGRAM = """
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "gru.h"

enum { STEPS = %d };
static double times[STEPS];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_times(void)
{
    qsort(times, STEPS, sizeof(double), compare);
    printf("%%.0f %%.0f ", times[STEPS / 2], times[STEPS - STEPS / 100]);
}

int main(void)
{
    static gru_state state;
    static float x[64][gru_channels];
    float out[gru_outputs], sum = 0.0f;
    int i, t;
    for (t = 0; t < 64; t++)
        for (i = 0; i < gru_channels; i++)
            x[t][i] = (float)rand() / (float)RAND_MAX - 0.5f;
    for (t = 0; t < STEPS; t++) {
        const double start = now();
        times[t] = now() - start;
    }
    print_times();
    gru_reset(&state);
    for (t = 0; t < STEPS; t++) {
        const double start = now();
        gru_step(&state, x[t %% 64], out);
        times[t] = now() - start;
        sum += out[0];
    }
    print_times();
    return sum < 0.0f;
}
"""


def step_times(header: str, flags: str) -> list[float]:
    """Compile and run; return median and 99th percentile of the clock overhead and of a step."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "gru.h").write_text(header, encoding="ascii")
        Path(folder, "main.c").write_text(PROGRAM % arguments.steps, encoding="ascii")
        command = [arguments.compiler, "-std=c99", *flags.split(), "main.c", "-o", "main", "-lm"]
        subprocess.run(command, cwd=folder, check=True)
        run = subprocess.run([f"{folder}/main"], capture_output=True, text=True, check=True)
    return [float(time) for time in run.stdout.split()]


rng = np.random.default_rng(0)
X = rng.normal(size=(8 * arguments.classes, 20, arguments.channels))
y = np.resize(np.arange(arguments.classes), len(X))
print(f"{arguments.channels} channels, {arguments.hidden} units, {arguments.classes} classes")
print(f"{'':16}{'bytes':>8}" + "".join(f"{flags:>27}" for flags in FLAGS) + "   clock overhead")
for name, parameters in MODELS.items():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch does not converge
        model = GRUClassifier(
            arguments.hidden, **LAYER, **parameters, max_iter=1, random_state=0
        ).fit(X, y)
    line = f"{name:16}{4 * model.n_parameters_:8}"
    for flags in FLAGS:
        clock, _, median, high = step_times(to_c(model), flags)
        line += f"{median:13.0f} (p99 {high:6.0f})"
    print(f"{line}{clock:15.0f}", flush=True)
