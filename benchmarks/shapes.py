"""Compare options of the model with the plainest one: one layer, one direction, last state.

python benchmarks/shapes.py M L
"""

from collections.abc import Callable

from cores import arguments_on_cores

arguments = arguments_on_cores(__doc__, peers=[], seconds=0.5)

import numpy as np  # noqa: E402
import peers  # noqa: E402
from sizes import LAYER, SIZES, fits, in_turns, print_heading, print_row, training_flops  # noqa: E402

from skgru import GRUClassifier  # noqa: E402

SHAPES = {
    "skgru": {},
    "bidirectional": {"bidirectional": True},
    "mean": {"pooling": "mean"},
    "max": {"pooling": "max"},
    "attention": {"pooling": "attention"},
    "steps": {"return_sequences": True},
    "dropout": {"dropout": 0.2},
    "steps + dropout": {"return_sequences": True, "dropout": 0.2},
    "recurrent": {"recurrent_dropout": 0.2},
    "windows": {"bptt_steps": 25},
}
N_BATCHES = 8
N_EPOCHS = 4  # so that the set-up of fit, such as finding the classes, weighs as little as usual


def epochs(X: np.ndarray, y: np.ndarray, batch: int, hidden: int, shape: dict) -> Callable:
    """Make a fit of a few epochs."""
    gru = GRUClassifier(
        hidden,
        batch_size=batch,
        max_iter=N_EPOCHS,
        n_jobs=arguments.threads,
        random_state=0,
        **{**LAYER, **shape},
    )
    if gru.return_sequences:
        y = np.repeat(y[:, np.newaxis], X.shape[1], axis=1)

    return fits(gru, X, y)


print_heading(arguments.threads, arguments.rounds)
for name in arguments.sizes or ["M", "L"]:
    batch, steps, channels, hidden = SIZES[name]
    X, y, _ = peers.batches(batch, steps, channels, N_BATCHES)
    functions = {shape: epochs(X, y, batch, hidden, SHAPES[shape]) for shape in SHAPES}
    times = in_turns(functions, arguments.rounds, arguments.seconds)
    times = {shape: t / (N_BATCHES * N_EPOCHS) for shape, t in times.items()}
    print_row(name, training_flops(*SIZES[name]), times)
