"""Compare initial biases of the update gate on the adding problem (adding_problem.py).

The bias of z is one of

- 0, as initialized by `fit`,
- 1, as for the forget gate of an LSTM,
- log u, with u uniform in [1, T - 1] and drawn for each unit, for units with time scales from 1 to
  T steps (Tallec & Ollivier 2018).

The script prints the share of the gradient that is left 50, 100 and 200 steps before the end,
before training, on sequences of 500 steps (last seed). For each seed it then prints the number of
training sequences, in chunks of 1024, after which the test error is below 0.01.

python benchmarks/gate_bias.py
"""

import warnings

import numpy as np
from adding_problem import draw
from sklearn.exceptions import ConvergenceWarning

from skgru import GRURegressor
from skgru.inspection import gradient_flow

N_UNITS, CHUNK, LEARNED, MAX_CHUNKS = 64, 1024, 0.01, 30
LENGTHS, SEEDS = (50, 200), (0, 1, 2)
BIASES = {
    "0": lambda n_steps, rng: 0,
    "1": lambda n_steps, rng: 1,
    "log u": lambda n_steps, rng: np.log(rng.uniform(1, n_steps - 1, N_UNITS)),
}

warnings.simplefilter("ignore", ConvergenceWarning)  # fit runs one epoch
for n_steps in LENGTHS:
    for name, draw_bias in BIASES.items():
        seen = []
        for seed in SEEDS:
            rng = np.random.default_rng([seed, n_steps])
            X_test, y_test = draw(500, n_steps, rng)
            X_long, y_long = draw(16, 500, rng)
            # a learning rate too small to change a weight: the model keeps its initial weights
            model = GRURegressor(
                N_UNITS, alpha=0, batch_size=16, learning_rate="constant", warmup_updates=0,
                learning_rate_init=1e-30, max_grad_norm=0.5,
                max_iter=1, warm_start=True, random_state=seed,
            ).partial_fit(X_test[:2], y_test[:2])  # fmt: skip
            model.layers_[0].b[N_UNITS : 2 * N_UNITS] = draw_bias(n_steps, rng)
            left = gradient_flow(model, X_long, y_long).layers[0].mean
            # fit makes an optimizer with the new learning rate; partial_fit continues with it
            model.set_params(learning_rate_init=0.003).fit(*draw(CHUNK, n_steps, rng))
            n_chunks = 1
            while (
                np.mean((model.predict(X_test) - y_test) ** 2) > LEARNED and n_chunks < MAX_CHUNKS
            ):
                model.partial_fit(*draw(CHUNK, n_steps, rng))
                n_chunks += 1
            seen.append(f"{n_chunks * CHUNK:6d}")
        shares = " ".join(f"{share:.1e}" for share in left[[50, 100, 200]] / left[0])
        print(
            f"T={n_steps:3}  bias {name:5}  left {shares}  learned after {' '.join(seen)}",
            flush=True,
        )
