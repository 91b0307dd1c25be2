"""How much of a gradient is left after so many steps back, in each cell.

The input is that of the adding problem (adding_problem.py). At the last step of L, a gradient of
random direction and norm 1 enters the state; printed is the norm of what comes out at the state
before the first step, memory included, as median over 64 sequences: before training, and after it
on 50 steps. Beside it, the lag at which the norm has fallen to 1/e.

python benchmarks/gradient_survival.py
"""

import warnings

import numpy as np
from adding_problem import draw
from sklearn.exceptions import ConvergenceWarning

from skgru import GRURegressor
from skgru.propagation import Propagation
from skgru.sequences import check_sequences

CELLS = ("rnn", "mgu", "light_gru", "gru", "cifg", "lstm")
LAGS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
N_UNITS, N_SEQUENCES = 64, 64
TRAINING_STEPS, TRAINING_SEQUENCES, EPOCHS = 50, 2048, 12


def norms_left(model: GRURegressor) -> list[float]:
    """Median norm of ∂(v · h_L) / ∂(state before the first step) for each lag L, |v| = 1."""
    rng = np.random.default_rng(1)
    network = model._network
    parameters = network.views(network.parameters)
    gradients = network.views(np.zeros_like(network.parameters))
    ((layer,),), ((d_layer,),) = parameters.layers, gradients.layers
    left = []
    for lag in LAGS:
        sequences = check_sequences(draw(N_SEQUENCES, lag + lag % 2, rng)[0][:, :lag], dtype=float)
        packed = sequences.span(np.arange(N_SEQUENCES)).pack(sequences.values)
        propagation = Propagation(network, parameters, lambda _, shape: np.empty(shape))
        tape = propagation.forward(packed, [], 0, keep=True, want_states=True).tape
        ((x, h_0, mask, states, gates),) = tape
        d_h = np.zeros_like(h_0)
        direction = rng.normal(size=(N_SEQUENCES, N_UNITS))
        d_h[:, :N_UNITS] = direction / np.linalg.norm(direction, axis=1, keepdims=True)
        none = np.empty((0, 0))
        network.kernels.layer_backward(
            network.cell.index, x, packed.batch_sizes, layer.W, layer.U, h_0, mask, states, gates,
            none, d_h, none, *d_layer,
        )  # fmt: skip
        left.append(float(np.median(np.linalg.norm(d_h, axis=1))))
    return left


def lag_of(share: float, norms: list[float]) -> str:
    """Find the first of the lags at which the norm is below a share, if there is one."""
    below = [lag for lag, norm in zip(LAGS, norms, strict=True) if norm < share]
    return f"{below[0]:4d}" if below else f">{LAGS[-1]}"


warnings.simplefilter("ignore", ConvergenceWarning)
rng = np.random.default_rng(0)
epochs = [draw(TRAINING_SEQUENCES, TRAINING_STEPS, rng) for _ in range(EPOCHS)]
X_test, y_test = draw(1000, TRAINING_STEPS, rng)
print(f"{'':22}" + "".join(f"{lag:9d}" for lag in LAGS) + "   below 1/e, 1 % at lag")
for cell in CELLS:
    # in double precision, so that what has vanished shows how far
    model = GRURegressor(
        N_UNITS, cell=cell, dtype="float64", alpha=0, learning_rate_init=0.003, batch_size=16,
        max_grad_norm=0.5, max_iter=1, random_state=0,
    )  # fmt: skip
    # a fit that changes nothing makes the weights that training begins with
    model.set_params(learning_rate_init=1e-300).fit(*(a[:16] for a in epochs[0]))
    rows = {"untrained": norms_left(model)}
    model.set_params(learning_rate_init=0.003)
    model._solver = None  # its schedule has the rate that changes nothing
    for X, y in epochs:
        model.partial_fit(X, y)
    error = np.mean((model.predict(X_test) - y_test) ** 2)
    rows[f"MSE {error:.4f}"] = norms_left(model)
    for name, norms in rows.items():
        print(
            f"{cell:10} {name:11}"
            + "".join(f"{norm:9.1e}" for norm in norms)
            + f"   {lag_of(np.exp(-1), norms)} {lag_of(0.01, norms)}",
            flush=True,
        )
