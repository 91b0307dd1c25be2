"""Compare the time of inspection with that of a training step on the same minibatch.

The training steps are those of `fit`, in single and in double precision. `gradient_flow` and
`input_attributions` run on the whole minibatch, `step_jacobian` on 8 of its sequences. The
models have seen 32 minibatches of noise, so that their gradients change little; "vowels" is a model
that has been trained to the end on JapaneseVowels, and its training step an epoch. After the times,
the mean number of gradients that integrated gradients took for a sequence, and the most that they
leave over, relative to the difference of the responses.

python benchmarks/inspection.py S M L vowels
"""

from cores import arguments_on_cores

arguments = arguments_on_cores(__doc__, peers=[], seconds=0.5)

import numpy as np  # noqa: E402
import peers  # noqa: E402
from sizes import LAYER, SIZES, fits, in_turns, print_heading, print_row, training_flops  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from skgru import GRUClassifier  # noqa: E402
from skgru.datasets import load_japanese_vowels  # noqa: E402
from skgru.inspection import gradient_flow, input_attributions, step_jacobian  # noqa: E402
from skgru.preprocessing import PerTimestep  # noqa: E402

N_BATCHES = 8
N_EPOCHS = 4


def left_over(model, X, y):
    """Describe the number of gradients of integrated gradients, and what they leave over."""
    result = input_attributions(model, X, y)
    share = np.abs(result.residuals / (result.responses - result.baseline_responses)).max()
    return f"{result.n_points.mean():.0f} gradients, {share:.0e} left over"


print_heading(arguments.threads, arguments.rounds)
for name in arguments.sizes or ["S", "M", "L"]:
    if name == "vowels":
        continue
    batch, steps, channels, hidden = SIZES[name]
    X, y, _ = peers.batches(batch, steps, channels, N_BATCHES)
    parameters = {**LAYER, "batch_size": batch, "max_iter": N_EPOCHS, "random_state": 0}
    parameters["n_jobs"] = arguments.threads
    gru = GRUClassifier(hidden, **parameters)
    functions = {
        "skgru": fits(gru, X, y),
        "float64": fits(GRUClassifier(hidden, dtype="float64", **parameters), X, y),
        "gradient_flow": lambda gru=gru, X=X, y=y, n=batch: gradient_flow(gru, X[:n], y[:n]),
        "gradient": lambda gru=gru, X=X, y=y, n=batch: input_attributions(
            gru, X[:n], y[:n], method="gradient"
        ),
        "integrated_gradients": lambda gru=gru, X=X, y=y, n=batch: input_attributions(
            gru, X[:n], y[:n]
        ),
        "step_jacobian": lambda gru=gru, X=X: step_jacobian(gru, X[:8]),
    }
    times = in_turns(functions, arguments.rounds, arguments.seconds)
    for fit in ("skgru", "float64"):
        times[fit] /= N_BATCHES * N_EPOCHS
    print_row(name, training_flops(*SIZES[name]), times, left_over(gru, X[:batch], y[:batch]))

if not arguments.sizes or "vowels" in arguments.sizes:
    X, y = load_japanese_vowels(return_X_y=True)
    X = PerTimestep(StandardScaler()).fit_transform(X)
    gru = GRUClassifier(64, random_state=0, n_jobs=arguments.threads).fit(X, y)
    few = GRUClassifier(64, max_iter=N_EPOCHS, random_state=0, n_jobs=arguments.threads)
    functions = {
        "skgru": fits(few, X, y),
        "gradient": lambda: input_attributions(gru, X, y, method="gradient"),
        "integrated_gradients": lambda: input_attributions(gru, X, y),
    }
    times = in_turns(functions, arguments.rounds, arguments.seconds)
    times["skgru"] /= few.n_iter_
    n_steps = sum(map(len, X))
    flops = 2 * training_flops(1, n_steps, 12, 64)  # two directions
    print_row("vowels", flops, times, left_over(gru, X, y))
