"""Compare the time of inspection with that of a training step on the same minibatch.

The training steps are those of `fit`, in single and in double precision. `gradient_flow` runs on
the whole minibatch, `step_jacobian` on 8 of its sequences.

python benchmarks/inspection.py S M L
"""

from cores import arguments_on_cores

arguments = arguments_on_cores(__doc__, peers=[], seconds=0.5)

import peers  # noqa: E402
from sizes import LAYER, SIZES, fits, in_turns, print_heading, print_row, training_flops  # noqa: E402

from skgru import GRUClassifier  # noqa: E402
from skgru.inspection import gradient_flow, step_jacobian  # noqa: E402

N_BATCHES = 8
N_EPOCHS = 4

print_heading(arguments.threads, arguments.rounds)
for name in arguments.sizes or ["S", "M", "L"]:
    batch, steps, channels, hidden = SIZES[name]
    X, y, _ = peers.batches(batch, steps, channels, N_BATCHES)
    parameters = {**LAYER, "batch_size": batch, "max_iter": N_EPOCHS, "random_state": 0}
    parameters["n_jobs"] = arguments.threads
    gru = GRUClassifier(hidden, **parameters)
    functions = {
        "skgru": fits(gru, X, y),
        "float64": fits(GRUClassifier(hidden, dtype="float64", **parameters), X, y),
        "gradient_flow": lambda gru=gru, X=X, y=y, n=batch: gradient_flow(gru, X[:n], y[:n]),
        "step_jacobian": lambda gru=gru, X=X: step_jacobian(gru, X[:8]),
    }
    times = in_turns(functions, arguments.rounds, arguments.seconds)
    for fit in ("skgru", "float64"):
        times[fit] /= N_BATCHES * N_EPOCHS
    print_row(name, training_flops(*SIZES[name]), times)
