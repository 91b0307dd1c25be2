"""
Do the gates keep the gradient alive?
=====================================

What a step long ago should have done, a network learns from the gradient that gets back there, a
product of as many Jacobians as there are steps between. The gates decide what it is: a unit whose
update gate z is 1 passes it on untouched, z=0 and r=1 make a plain tanh network of it, and z=r=0
cut it off. "The gates solve the vanishing gradient" is thus no property of the cell; it is one of
the weights, the data and the length, and `skgru.inspection` measures it.

Three cases made by hand, a cut in the middle of a sequence, 500 steps before and after training,
and then the question that it is all for: how long must a window be?
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
# The arrays of `layers_` are views: what is written there, the model computes with. A learning
# rate that changes nothing makes a model of the weights that training begins with. The biases then
# saturate the gates; a plain network with the weights of the candidate stands beside it.


def untrained(X, y, **parameters):
    model = GRURegressor(dtype="float64", random_state=0, learning_rate_init=1e-300, **parameters)
    return model.partial_fit(X[:2], y[:2])


N_UNITS = 16
rng = np.random.default_rng(0)
X, y = rng.normal(size=(8, 100, 3)), rng.normal(size=8)
gru = untrained(X, y, hidden_layer_sizes=N_UNITS)
rnn = untrained(X, y, hidden_layer_sizes=N_UNITS, cell="rnn")
reset, update, candidate = (slice(k * N_UNITS, (k + 1) * N_UNITS) for k in range(3))
for gated, plain in zip(gru.layers_[0], rnn.layers_[0], strict=True):
    plain[:] = gated[..., candidate] if plain.size else 0

print("norms of the Jacobians of 100 steps, and how far they are from those of the plain network")
of_rnn = step_jacobian(rnn, X, return_matrices=True).layers[0]
for name, b_z, b_r in (("z=1", 30, 0), ("z=0, r=1", -30, 30), ("z=0, r=0", -30, -30)):
    gru.layers_[0].b[update], gru.layers_[0].b[reset] = b_z, b_r
    steps = step_jacobian(gru, X, return_matrices=True).layers[0]
    print(
        f"  {name:9} {steps.spectral_norm.min():.1e} to {steps.spectral_norm.max():.1e}"
        f"   from the plain network's: {np.abs(steps.matrices - of_rnn.matrices).max():.1e}"
        f"   all 100 together: 1e{round(np.median(steps.log_norm_to_end[:, 0]) / np.log(10))}"
    )

# %%
# A cut, and what many-to-many saves
# ----------------------------------
# The target is the mean of the first channel so far. The second channel is 1 once, at step 20, and
# its weights shut both gates there: that step forgets everything. With one loss at the end, nothing
# before the cut has a part in ∂L/∂U_z. With a loss at each step, those before the cut still have:
# the map on the right is two triangles without a bridge, and the first is as alive as the second.
N_STEPS, CUT = 40, 20
X = rng.normal(size=(32, N_STEPS, 2))
X[:, :, 1] = np.arange(N_STEPS) == CUT
means = X[:, :, 0].cumsum(axis=1) / np.arange(1, N_STEPS + 1)

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for name, y, return_sequences in (
    ("one loss, at the end", means[:, -1], False),
    ("a loss at each step", means, True),
):
    model = untrained(X, y, hidden_layer_sizes=N_UNITS, return_sequences=return_sequences)
    layer = model.layers_[0]
    layer.b[update] = 2
    layer.W[1] = 0
    layer.W[1, : update.stop] = -60  # r and z, but for the candidate
    flow = gradient_flow(model, X, y, by_loss_step=return_sequences, return_gradients=True)
    of_steps = flow.layers[0].gradients["U"][:, :, update]
    left.semilogy(
        np.linalg.norm(of_steps, axis=(1, 2)), "-" if return_sequences else "--", label=name
    )
    before, after = (
        np.linalg.norm(of_steps[part].sum(axis=0)) for part in (slice(CUT), slice(CUT + 1, None))
    )
    print(f"{name}: part of ∂L/∂U_z from before the cut {before:.0e}, from after it {after:.0e}")
left.axvline(CUT, color="0.5", linewidth=1)
left.text(CUT + 0.5, 2e-6, "z = r = 0")
left.set(xlabel="step", ylabel="norm of what the step adds to $∂L/∂U_z$", ylim=(1e-6, 1e-1))
left.legend()
(heat_map,) = GradientFlowDisplay(flow).plot(by_loss_step=True, ax=right).axes_
heat_map.set_title("a loss at each step", loc="left")
figure.savefig("gradients_cut.png", dpi=100)

# %%
# 500 steps, before training and after it
# ---------------------------------------
# The adding problem (Hochreiter & Schmidhuber 1997): of two channels, the first holds numbers
# uniform in [0, 1], and the second marks one of them in the first half of the sequence and one in
# the second; the target is their sum. Three cells learn it on 50 steps; then the gradient of the
# loss goes back over 500. In double precision, so that what has vanished shows how far.


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
print("the adding problem: share of the gradient left after so many steps back")
for cell in ("rnn", "lstm", "gru"):
    parameters = {"hidden_layer_sizes": 32, "cell": cell, "batch_size": 16, "alpha": 0}
    before = untrained(X_test, y_test, max_grad_norm=0.5, **parameters)
    after = GRURegressor(
        dtype="float64", random_state=0, learning_rate_init=0.003, max_grad_norm=0.5, **parameters
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
        print(f"  {cell:4} {name:9}  {left}   steps where it has vanished {flow.vanished:.0%}")
    print(f"       test error {error:.4f}; to guess the mean has {1 / 6:.4f}")
for ax, title in zip(axes, ("untrained", "trained on 50 steps"), strict=True):
    ax.set_title("", loc="right")
    ax.set(title=title, ylim=(1e-8, 3))
    ax.legend(loc="center right")
axes[1].set_ylabel("")
figure.savefig("gradients_survival.png", dpi=100)

# %%
# How long must a window be?
# --------------------------
# CO2 over Mauna Loa, week by week: what does it come to in half a year? Levels and rates of the
# past say it, but of how long a past? `GRURegressor` is fitted on windows from a quarter of a year
# to two years, and the gradient of each says how far back it learns. Windows are read relative to
# their last week, and the target is the change from there.
co2 = load_co2().series
known = ~np.isnan(co2)
co2 = np.interp(np.arange(len(co2)), np.flatnonzero(known), co2[known])
HORIZON, LONGEST, HELD_OUT = 26, 104, 400


def changes(window):
    """Windows that end at the same weeks for every length, and the changes half a year later."""
    X, y = sliding_windows(co2[LONGEST - window :], window, HORIZON)
    return X - X[:, -1:], y[:, -1] - X[:, -1]


figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
print("CO2, half a year ahead: mean absolute error in ppm on the last 400 weeks, of three seeds")
for window in (13, 26, 52, LONGEST):
    X, y = changes(window)
    train, test = slice(0, len(X) - HELD_OUT - HORIZON), slice(len(X) - HELD_OUT, None)
    scale_X, scale_y = X[train].std(), y[train].std()
    models = [
        GRURegressor(
            32, learning_rate="cosine", learning_rate_init=0.005, max_iter=40, random_state=seed
        ).fit(X[train] / scale_X, y[train] / scale_y)
        for seed in range(3)
    ]
    errors = [
        mean_absolute_error(y[test], scale_y * model.predict(X[test] / scale_X)) for model in models
    ]
    display = GradientFlowDisplay.from_estimator(
        models[0],
        X[train] / scale_X,
        y[train] / scale_y,
        quantiles=(0.5,),  # no bands, of which four would hide each other
        name=f"{window} weeks",
        ax=axes[0],
    )
    flow = display.flow.layers[0]
    regimes = gate_regimes(models[0], X[train] / scale_X).layers[0]
    print(
        f"  window {window:3}: {min(errors):.2f} to {max(errors):.2f}   "
        f"the first week has {flow.mean[-1] / flow.mean[0]:4.0%} of the last one's gradient; "
        f"1/e at {flow.memory_lengths[0]} weeks; z ≥ 0.9: {regimes.keep:.0%}, "
        f"z and r ≤ 0.1: {regimes.cut:.1%}"
    )
    axes[1].plot([window] * len(errors), errors, "o", color=display.lines_[0].get_color())
# with windows of two years, all of it is in X: what the half year at this season was a year before
year_before = mean_absolute_error(y[test], X[test, HORIZON - 53] - X[test, -53])
print(f"  as a year before: {year_before:.2f}")
axes[1].axhline(year_before, color="0.5", linestyle="--", linewidth=1)
axes[1].text(LONGEST, year_before, "as a year before", ha="right", va="bottom")
axes[1].set(xlabel="window (weeks)", ylabel="mean absolute error (ppm)", ylim=(0, 1.6))
axes[1].set_xticks([13, 26, 52, LONGEST])
figure.savefig("gradients_window.png", dpi=100)

# %%
# What to conclude
# ----------------
# - Windows of 13 and 26 weeks are cut off where the gradient is still as large as at their end, or
#   larger: what lies before them would be used, and the error says so.
# - Of 52 weeks and of 104 a few percent arrive at the first, and 1/e is reached after about as many
#   weeks. The second year costs as much as the first, and the error hardly changes.
# - The gates keep a gradient alive where they have learnt to. Untrained they do not, the GRU's
#   least of all; so ask a trained model, and ask again at another length.
