"""
Do the gates keep the gradient alive?
=====================================

To learn from an early time step, a network needs the gradient of the loss at that step: a product
of one Jacobian per step in between. The gates determine it. A unit passes the gradient unchanged if
its update gate z is 1, works like a plain tanh network if z=0 and its reset gate r=1, and blocks
the gradient if z=r=0. Whether "the gates solve the vanishing gradient" is therefore not a property
of the cell, but of the weights, the data and the length of the sequences. `skgru.inspection`
measures it.

This example sets the gates by hand for these three cases, blocks the gradient in the middle of a
sequence, compares gradients over 500 steps before and after training, and finally answers a
practical question: how long must a window be?

:doc:`/gradients` has the mathematics and more measurements.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import mean_absolute_error

from skgru import GRURegressor
from skgru.datasets import load_co2
from skgru.forecasting import sliding_windows
from skgru.inspection import GradientFlowDisplay, gate_regimes, gradient_flow, step_jacobian

# %%
# The three cases
# ---------------
# The arrays of `layers_` are views of the parameters: to change the model, write into them. A fit
# with a learning rate close to 0 keeps the initial weights. Large biases then saturate the gates.
# For comparison, a plain RNN gets the weights of the candidate.


def untrained(X, y, **parameters):
    model = GRURegressor(
        dtype="float64", random_state=0, learning_rate_init=1e-300, warmup_updates=0, **parameters
    )
    return model.partial_fit(X[:2], y[:2])


N_UNITS = 16
rng = np.random.default_rng(0)
X, y = rng.normal(size=(8, 100, 3)), rng.normal(size=8)
gru = untrained(X, y, hidden_layer_sizes=N_UNITS)
rnn = untrained(X, y, hidden_layer_sizes=N_UNITS, cell="rnn")
reset, update, candidate = (slice(k * N_UNITS, (k + 1) * N_UNITS) for k in range(3))
for gated, plain in zip(gru.layers_[0], rnn.layers_[0], strict=True):
    plain[:] = gated[..., candidate] if plain.size else 0

print("2-norms of the Jacobians of 100 steps, and their difference from those of the plain RNN")
of_rnn = step_jacobian(rnn, X, return_matrices=True).layers[0]
for name, b_z, b_r in (("z=1", 30, 0), ("z=0, r=1", -30, 30), ("z=0, r=0", -30, -30)):
    gru.layers_[0].b[update], gru.layers_[0].b[reset] = b_z, b_r
    steps = step_jacobian(gru, X, return_matrices=True).layers[0]
    print(
        f"  {name:9} {steps.spectral_norm.min():.1e} to {steps.spectral_norm.max():.1e}"
        f"   difference from plain RNN: {np.abs(steps.matrices - of_rnn.matrices).max():.1e}"
        f"   product of all 100: 1e{round(np.median(steps.log_norm_to_end[:, 0]) / np.log(10))}"
    )

# %%
# A blocked step, with one loss and with many
# -------------------------------------------
# The target is the running mean of the first channel. The second channel is 1 only at step 20, and
# its weights close both gates there: all units forget their state at this step. With one loss at
# the end, the steps before it contribute nothing to ∂L/∂U_z. With a loss at every step, they
# contribute through the losses before the blocked step: in the heat map, no gradient crosses step
# 20, but both triangles are equally strong.
N_STEPS, BLOCKED = 40, 20
X = rng.normal(size=(32, N_STEPS, 2))
X[:, :, 1] = np.arange(N_STEPS) == BLOCKED
means = X[:, :, 0].cumsum(axis=1) / np.arange(1, N_STEPS + 1)

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for name, y, return_sequences in (
    ("one loss, at the end", means[:, -1], False),
    ("a loss at every step", means, True),
):
    model = untrained(X, y, hidden_layer_sizes=N_UNITS, return_sequences=return_sequences)
    layer = model.layers_[0]
    layer.b[update] = 2
    layer.W[1] = 0
    layer.W[1, : update.stop] = -60  # columns of r and z
    flow = gradient_flow(model, X, y, by_loss_step=return_sequences, return_gradients=True)
    of_steps = flow.layers[0].gradients["U"][:, :, update]
    left.semilogy(
        np.linalg.norm(of_steps, axis=(1, 2)), "-" if return_sequences else "--", label=name
    )
    before, after = (
        np.linalg.norm(of_steps[part].sum(axis=0))
        for part in (slice(BLOCKED), slice(BLOCKED + 1, None))
    )
    print(f"{name}: norm of ∂L/∂U_z from steps before {before:.0e}, from steps after {after:.0e}")
left.axvline(BLOCKED, color="0.5", linewidth=1)
left.text(BLOCKED + 0.5, 2e-6, "z = r = 0")
left.set(xlabel="step", ylabel="norm of contribution to $∂L/∂U_z$", ylim=(1e-6, 1e-1))
left.legend()
(heat_map,) = GradientFlowDisplay(flow).plot(by_loss_step=True, ax=right).axes_
heat_map.set_title("a loss at every step", loc="left")
figure.savefig("gradients_cut.png", dpi=100)

# %%
# 500 steps, before and after training
# ------------------------------------
# In the adding problem (Hochreiter & Schmidhuber 1997), the first of two channels holds numbers
# uniform in [0, 1]. The second marks one of them in the first half of the sequence and one in the
# second half. The target is the sum of the two. Three cells are trained on 50 steps; then the
# gradient of the loss is computed over 500. The models use double precision, so that small
# gradients do not underflow.


def draw(n_samples, n_steps, rng):
    X = np.zeros((n_samples, n_steps, 2))
    X[:, :, 0] = rng.random((n_samples, n_steps))
    samples = np.arange(n_samples)
    first = rng.integers(n_steps // 2, size=n_samples)
    second = rng.integers(n_steps // 2, n_steps, size=n_samples)
    X[samples, first, 1] = X[samples, second, 1] = 1
    return X, X[samples, first, 0] + X[samples, second, 0]


epochs = [draw(2048, 50, rng) for _ in range(12)]
X_test, y_test = draw(1000, 50, rng)
X_long, y_long = draw(64, 500, rng)
figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True, layout="constrained")
print("adding problem: gradient norm at several lags, relative to lag 0")
for cell in ("rnn", "lstm", "gru"):
    parameters = {"hidden_layer_sizes": 32, "cell": cell, "batch_size": 16, "alpha": 0}
    before = untrained(X_test, y_test, max_grad_norm=0.5, **parameters)
    after = GRURegressor(
        dtype="float64",
        random_state=0,
        learning_rate="constant",
        learning_rate_init=0.003,
        warmup_updates=0,
        max_grad_norm=0.5,
        **parameters,
    )
    for X, y in epochs:
        after.partial_fit(X, y)
    error = np.mean((after.predict(X_test) - y_test) ** 2)
    for name, model, ax in (("untrained", before, axes[0]), ("trained", after, axes[1])):
        display = GradientFlowDisplay.from_estimator(model, X_long, y_long, ax=ax, name=cell)
        flow = display.flow.layers[0]
        left = "   ".join(
            f"{lag}: {flow.mean[lag] / flow.mean[0]:.1e}" for lag in (10, 50, 100, 499)
        )
        print(f"  {cell:4} {name:9}  {left}   share of steps where it vanished {flow.vanished:.0%}")
    print(f"       test error {error:.4f}; constant prediction {1 / 6:.4f}")
for ax, title in zip(axes, ("untrained", "trained on 50 steps"), strict=True):
    ax.set_title("", loc="right")
    ax.set(title=title, ylim=(1e-8, 3))
    ax.legend(loc="center right")
axes[1].set_ylabel("")
figure.savefig("gradients_survival.png", dpi=100)

# %%
# How long must a window be?
# --------------------------
# The task is to forecast the weekly CO2 at Mauna Loa half a year ahead. How many past weeks does a
# model need? `GRURegressor` is fitted on windows from a quarter of a year to two years. The
# gradient shows how far back each model learns. Windows are relative to their last week, and the
# target is the change from there.
co2 = load_co2().series
known = ~np.isnan(co2)
co2 = np.interp(np.arange(len(co2)), np.flatnonzero(known), co2[known])
HORIZON, LONGEST, HELD_OUT = 26, 104, 400


def changes(window):
    """Return windows that end at the same weeks for every length, and changes half a year later."""
    X, y = sliding_windows(co2[LONGEST - window :], window, HORIZON)
    return X - X[:, -1:], y[:, -1] - X[:, -1]


figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
print("CO2, half a year ahead: mean absolute error in ppm on the last 400 weeks, with two seeds")
for window in (13, 26, 52, LONGEST):
    X, y = changes(window)
    train, test = slice(0, len(X) - HELD_OUT - HORIZON), slice(len(X) - HELD_OUT, None)
    scale_X, scale_y = X[train].std(), y[train].std()
    models = [
        GRURegressor(
            32, learning_rate="cosine", learning_rate_init=0.005, max_iter=25, random_state=seed
        ).fit(X[train] / scale_X, y[train] / scale_y)
        for seed in range(2)
    ]
    errors = [
        mean_absolute_error(y[test], scale_y * model.predict(X[test] / scale_X)) for model in models
    ]
    display = GradientFlowDisplay.from_estimator(
        models[0],
        X[train] / scale_X,
        y[train] / scale_y,
        quantiles=(0.5,),  # no bands: four would hide each other
        name=f"{window} weeks",
        ax=axes[0],
    )
    flow = display.flow.layers[0]
    regimes = gate_regimes(models[0], X[train] / scale_X).layers[0]
    print(
        f"  window {window:3}: {min(errors):.2f} to {max(errors):.2f}   "
        f"gradient norm of the first week / last week {flow.mean[-1] / flow.mean[0]:4.0%}; "
        f"below 1/e from {flow.memory_lengths[0]} weeks; z ≥ 0.9: {regimes.keep:.0%}, "
        f"z and r ≤ 0.1: {regimes.cut:.1%}"
    )
    axes[1].plot([window] * len(errors), errors, "o", color=display.lines_[0].get_color())
# baseline: the change over the same half year of the previous year, which windows of two years hold
year_before = mean_absolute_error(y[test], X[test, HORIZON - 53] - X[test, -53])
print(f"  same as one year before: {year_before:.2f}")
axes[1].axhline(year_before, color="0.5", linestyle="--", linewidth=1)
axes[1].text(LONGEST, year_before, "same as one year before", ha="right", va="bottom")
axes[1].set(xlabel="window (weeks)", ylabel="mean absolute error (ppm)", ylim=(0, 1.6))
axes[1].set_xticks([13, 26, 52, LONGEST])
figure.savefig("gradients_window.png", dpi=100)

# %%
# Conclusions
# -----------
# - In windows of 13 and 26 weeks, the gradient at the first week is about as large as at the last
#   one, or larger: the model would use earlier weeks, and the errors confirm it.
# - In windows of 52 and 104 weeks, little of the gradient reaches the first week, and its norm
#   falls below 1/e after the same number of weeks. The second year doubles the cost and hardly
#   changes the error.
# - Gates preserve the gradient only after training. Before it they do not, and the gradient of the
#   GRU vanishes fastest. Inspect a trained model, and inspect it again for another length.
