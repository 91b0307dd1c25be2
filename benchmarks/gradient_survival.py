"""Measure how much of the gradient of the loss is left after many steps, for each cell.

The data are 64 sequences of 500 steps of the adding problem (adding_problem.py), with one loss at
the end. The script prints, before training and after training on 50 steps,

- the norm ‖∂L/∂h‖ at several lags before the end, relative to that at the end: means over the
  sequences from `gradient_flow`, where h includes the cell state;
- the lags from which the norm stays below 1/e and below 1 %;
- the 2-norm of the product of the last 100 Jacobians (`step_jacobian`, geometric mean over two
  sequences): the maximum that can be left of a gradient of norm 1 in any direction.

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
    """Format the share left at each lag, the memory lengths, and the maximum in any direction."""
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
print(f"{'':22}" + "".join(f"{lag:9d}" for lag in LAGS) + "   1/e, 1 % at   maximum, 100")
for cell in CELLS:
    # in double precision, so that small gradients do not underflow
    model = GRURegressor(
        N_UNITS, cell=cell, dtype="float64", alpha=0, learning_rate_init=0.003, batch_size=16,
        learning_rate="constant", warmup_updates=0, max_grad_norm=0.5, random_state=0,
    )  # fmt: skip
    # a learning rate too small to change a weight: the model keeps its initial weights
    untrained = clone(model).set_params(learning_rate_init=1e-300)
    untrained.partial_fit(*(a[:16] for a in epochs[0]))
    print(f"{cell:10} {'untrained':11}{share_left(untrained)}", flush=True)
    for X, y in epochs:
        model.partial_fit(X, y)
    error = np.mean((model.predict(X_test) - y_test) ** 2)
    print(f"{cell:10} {f'MSE {error:.4f}':11}{share_left(model)}", flush=True)
