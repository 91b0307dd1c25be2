"""How much of the loss's gradient is left so many steps back, in each cell.

On the adding problem (adding_problem.py), 64 sequences of 500 steps with one loss at the end:
printed is ‖∂L/∂h‖ that many steps before the end, memory included, as a share of that at the end
(means over the sequences, by `gradient_flow`), before training, and after it on 50 steps; then the
lags from which on it stays below 1/e and 1 %. The last column is about all directions, not that of
the loss alone: the 2-norm of the product of the last 100 Jacobians (`step_jacobian`, geometric
mean of two of the sequences), which is the most that can be left of a gradient of norm 1.

python benchmarks/gradient_survival.py
"""

import numpy as np
from adding_problem import draw
from sklearn.base import clone

from skgru import GRURegressor
from skgru.inspection import gradient_flow, step_jacobian

CELLS = ("rnn", "mgu", "light_gru", "gru", "cifg", "lstm")
LAGS = (1, 2, 5, 10, 20, 50, 100, 200, 499)
N_UNITS, N_SEQUENCES = 64, 64
TRAINING_STEPS, TRAINING_SEQUENCES, EPOCHS = 50, 2048, 12


def share_left(model: GRURegressor) -> str:
    """Say what is left at each lag, where it falls, and the bound for any direction."""
    flow = gradient_flow(model, X_long, y_long).layers[0]
    fallen = [
        f"{lag:4.0f}" if lag < np.inf else f">{len(flow.mean) - 1}" for lag in flow.memory_lengths
    ]
    log_norms = step_jacobian(model, X_long[:2]).layers[0].log_norm_to_end[:, -100]
    return (
        "".join(f"{share:9.1e}" for share in flow.mean[list(LAGS)] / flow.mean[0])
        + f"   {' '.join(fallen)}   {np.exp(np.mean(log_norms)):.1e}"
    )


rng = np.random.default_rng(0)
epochs = [draw(TRAINING_SEQUENCES, TRAINING_STEPS, rng) for _ in range(EPOCHS)]
X_test, y_test = draw(1000, TRAINING_STEPS, rng)
X_long, y_long = draw(N_SEQUENCES, 500, rng)
print(f"{'':22}" + "".join(f"{lag:9d}" for lag in LAGS) + "   1/e, 1 % at   any, 100")
for cell in CELLS:
    # in double precision, so that what has vanished shows how far
    model = GRURegressor(
        N_UNITS, cell=cell, dtype="float64", alpha=0, learning_rate_init=0.003, batch_size=16,
        max_grad_norm=0.5, random_state=0,
    )  # fmt: skip
    # an update that changes nothing makes the weights that training begins with
    untrained = clone(model).set_params(learning_rate_init=1e-300)
    untrained.partial_fit(*(a[:16] for a in epochs[0]))
    print(f"{cell:10} {'untrained':11}{share_left(untrained)}", flush=True)
    for X, y in epochs:
        model.partial_fit(X, y)
    error = np.mean((model.predict(X_test) - y_test) ** 2)
    print(f"{cell:10} {f'MSE {error:.4f}':11}{share_left(model)}", flush=True)
