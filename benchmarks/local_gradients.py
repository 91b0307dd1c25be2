"""Measure the largest gradient along lines in weight space, for each cell.

Rehmer & Kroll 2020 (IFAC-PapersOnLine 53(2), 1243-1248) argue that gated units are easier to train
not because gradients do not vanish, but because local gradients do not grow large. This script
moves every weight w along a line w + s g, from the initial and from the trained weights. g is
standard normal and fixed for the line; s goes from 0 to 1 in steps of 0.05. For each s it prints
the largest norm of the gradient of the loss, with respect to all weights, up to that s: the median
and the maximum over 8 lines from each of 4 seeds. By default, all cells have about the same number
of weights, so that the same s means about the same distance.

The tasks are the adding problem (adding_problem.py, one loss at the end), and the identification of
a system from its input u, with a loss at every step: y_t = y_{t-1} / (1 + y_{t-1}²) + u_{t-1}³
(Narendra & Parthasarathy 1990). Sequences have 100 steps. `--plot` draws the lines from the initial
weights.

    python benchmarks/local_gradients.py
    python benchmarks/local_gradients.py --units same --plot local_gradients.png
"""

import argparse

import numpy as np
from adding_problem import draw
from sklearn.base import clone

from skgru import GRURegressor

N_STEPS, N_SEQUENCES = 100, 32
N_SEEDS, N_LINES = 4, 8
TRAINING_SEQUENCES, EPOCHS = 1024, 12
DISTANCES = np.linspace(0, 1, 21)
PRINTED = (0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1)
UNITS = {
    "parameters": {"rnn": 56, "gru": 32, "lstm": 28},  # 3361, 3393 and 3501 on the adding problem
    "same": {"rnn": 32, "gru": 32, "lstm": 32},
}


def simulate(n_samples, n_steps, rng):
    """Draw inputs (n_samples, n_steps, 1); compute the system's outputs (n_samples, n_steps)."""
    u = rng.uniform(-1, 1, (n_samples, n_steps, 1))
    y = np.zeros((n_samples, n_steps))
    for t in range(1, n_steps):
        y[:, t] = y[:, t - 1] / (1 + y[:, t - 1] ** 2) + u[:, t - 1, 0] ** 3
    return u, y


TASKS = {"adding": (draw, False), "identification": (simulate, True)}


def gradient_norm(model, X, y):
    """Return the norm of the gradient, from an update too small to change a weight."""
    return model.partial_fit(X, y).grad_norm_curve_[-1]


def along_lines(model, X, y, seed):
    """Return the largest gradient norm up to each distance, of shape (N_LINES, n_distances)."""
    rng = np.random.default_rng(seed)
    probe = clone(model).set_params(learning_rate_init=1e-300, batch_size=len(X))
    probe.partial_fit(X, y)
    norms = np.empty((N_LINES, len(DISTANCES)))
    start = [weights.copy() for weights in weights_of(model)]
    for line in range(N_LINES):
        directions = [rng.normal(size=weights.shape) for weights in start]
        for k, s in enumerate(DISTANCES):
            for weights, first, direction in zip(weights_of(probe), start, directions, strict=True):
                weights[:] = first + s * direction
            norms[line, k] = gradient_norm(probe, X, y)
    return np.maximum.accumulate(norms, axis=1)


def weights_of(model):
    """Return all weights of a fitted model, as views."""
    return [*(weights for layer in model.layers_ for weights in layer), *model.head_]


def measure(task, cell, n_units):
    """Return the largest gradients from initial and trained weights, and what training changed."""
    generate, return_sequences = TASKS[task]
    X, y = generate(N_SEQUENCES, N_STEPS, np.random.default_rng(0))
    initial, trained, moved, errors = [], [], [], []
    for seed in range(N_SEEDS):
        rng = np.random.default_rng([1, seed])
        model = GRURegressor(
            n_units, cell=cell, dtype="float64", alpha=0, return_sequences=return_sequences,
            learning_rate="constant", learning_rate_init=1e-300, warmup_updates=0, batch_size=16,
            random_state=seed,
        ).partial_fit(X, y)  # fmt: skip
        initial.append(along_lines(model, X, y, seed))
        start = np.concatenate([weights.ravel() for weights in weights_of(model)])
        model = clone(model).set_params(learning_rate_init=0.003)
        for _ in range(EPOCHS):
            model.partial_fit(*generate(TRAINING_SEQUENCES, N_STEPS, rng))
        end = np.concatenate([weights.ravel() for weights in weights_of(model)])
        moved.append(np.sqrt(np.mean((end - start) ** 2)))
        errors.append(np.mean((model.predict(X) - y) ** 2))
        trained.append(along_lines(model, X, y, seed))
    return (
        np.concatenate(initial),
        np.concatenate(trained),
        np.median(moved),
        np.median(errors),
        end.size,
    )


def plot(curves, path):
    """Plot median and maximum over the lines from the initial weights, one panel per task."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(TASKS), figsize=(9, 4), sharey=True, layout="constrained")
    for axes, task in zip(panels, TASKS, strict=True):
        for (of_task, cell), norms in curves.items():
            if of_task == task:
                median, largest = np.median(norms, axis=0), norms.max(axis=0)
                (line,) = axes.semilogy(DISTANCES, median)
                axes.semilogy(DISTANCES, largest, "--", color=line.get_color())
                axes.text(1.02, median[-1], cell, color=line.get_color(), va="center")
        axes.set(
            title=f"{task}, {N_STEPS} steps", xlabel="distance s of each weight", xlim=(0, 1.15)
        )
    panels[0].set_ylabel("largest norm of the gradient so far")
    panels[0].text(0.04, 0.9, "median of the lines\n- - maximum", transform=panels[0].transAxes)
    figure.savefig(path, dpi=80)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--units", choices=UNITS, default="parameters", help="what all cells have in common"
    )
    parser.add_argument("--plot", metavar="FILE")
    arguments = parser.parse_args()

    columns = [int(np.argmin(np.abs(DISTANCES - s))) for s in PRINTED]
    curves = {}
    print(f"{'s':>50}" + "".join(f"{s:>9}" for s in PRINTED))
    for task in TASKS:
        for cell, n_units in UNITS[arguments.units].items():
            initial, trained, moved, error, size = measure(task, cell, n_units)
            curves[task, cell] = initial
            print(f"{task} {cell}: {size} weights, moved by {moved:.3f} in training to {error:.1e}")
            for name, norms in (("initial", initial), ("trained", trained)):
                for statistic, values in (
                    ("median", np.median(norms, axis=0)),
                    ("maximum", norms.max(axis=0)),
                ):
                    print(
                        f"{task:14} {cell:5} from {name + ' weights':16} {statistic:7}"
                        + "".join(f"{values[k]:9.1e}" for k in columns),
                        flush=True,
                    )
    if arguments.plot:
        plot(curves, arguments.plot)


if __name__ == "__main__":
    main()
