"""
Which step, which channel? Explain predictions
==============================================

A model tells nine speakers apart by an utterance of 7 to 29 time steps with 12 cepstrum
coefficients. Two questions about it have different answers:

- Which channels matter to the model at all? `channel_importance` permutes a channel between
  utterances and looks at the score.
- Which time steps and channels made *this* prediction? `input_attributions` follows the gradient
  of a probability back to the values of one utterance.

To see whether the answers can be trusted, the utterances get a thirteenth channel: noise.

:doc:`/attributions` is the guide to it.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier
from skgru.datasets import load_japanese_vowels
from skgru.inspection import (
    AttributionDisplay,
    ChannelImportanceDisplay,
    channel_importance,
    input_attributions,
)
from skgru.preprocessing import PerTimestep

rng = np.random.default_rng(0)


def with_noise(X):
    return [np.column_stack([x, rng.normal(size=len(x))]) for x in X]


X_train, y_train = load_japanese_vowels(subset="train", return_X_y=True)
X_test, y_test = load_japanese_vowels(subset="test", return_X_y=True)
X_train, X_test = with_noise(X_train), with_noise(X_test)

model = make_pipeline(
    PerTimestep(StandardScaler()), GRUClassifier(32, dropout=0.3, random_state=0)
).fit(X_train, y_train)
print(f"test accuracy {model.score(X_test, y_test):.3f}")

# %%
# Channels
# --------
# The accuracy is a coarse measure of a model that is nearly always right; the logarithm of the
# probability sees more. The drop is about 0 for the noise, ``x12``.
display = ChannelImportanceDisplay.from_estimator(
    model, X_test, y_test, scoring="neg_log_loss", random_state=0
)
display.ax_.set_title("Importance of channels, on the test utterances")

# %%
# Permuting only some lags shows where in time a channel is read. Here, lag 0 is the last step of
# each utterance; few utterances have more than 20 steps.
display = ChannelImportanceDisplay.from_estimator(
    model, X_test, y_test, scoring="neg_log_loss", lags=[(0, 3), (4, 7), (8, 11), (12, 19)],
    random_state=0,
)  # fmt: skip
display.ax_.set_title("Importance of channels by lag")

# %%
# Channels that say the same hide each other: without one of them, the model still has the other.
# Permute them as a group.
together = channel_importance(
    model, X_test, y_test, scoring="neg_log_loss", random_state=0,
    groups={"x0 to x3": [0, 1, 2, 3], "x4 to x7": [4, 5, 6, 7], "x8 to x11": [8, 9, 10, 11]},
)  # fmt: skip
for name, drop in zip(together.group_names, together.importances_mean, strict=True):
    print(f"{name:10s} {drop:.2f}")

# %%
# One utterance
# -------------
# Integrated gradients divide the difference between two probabilities among the values: that of the
# speaker for this utterance, and that for a baseline, an utterance whose values are all the mean of
# their channel. Yellow values speak for the speaker, blue ones against.
sample = 40
AttributionDisplay.from_estimator(model, X_test, y_test, sample=sample)

# %%
# The parts add up, but for a small error of the numerical integration:
result = input_attributions(model, X_test, y_test)
difference = result.responses - result.baseline_responses
print(f"sum of attributions {result.attributions[sample].sum():.4f}")
print(f"difference of probabilities {difference[sample]:.4f}")
print(f"largest relative error {np.abs(result.residuals / difference).max():.1e}")

# %%
# A test of the attributions themselves: replace values by the mean of their channel, the ones with
# the highest attribution first, and watch the probability fall. In random order it takes more of
# them.
shares = np.linspace(0, 0.3, 7)
means = np.concatenate(X_test).mean(axis=0)
speakers = np.searchsorted(model.classes_, y_test)


def without(x, order, share):
    x = x.copy()
    cells = np.unravel_index(order[: round(share * x.size)], x.shape)
    x[cells] = means[cells[1]]
    return x


by_attribution = [np.argsort(-a, axis=None) for a in result.attributions]
at_random = [rng.permutation(x.size) for x in X_test]
figure, ax = plt.subplots(layout="constrained")
for orders, style, label in (
    (by_attribution, "-", "highest attribution first"),
    (at_random, "--", "random order"),
):
    p = [
        model.predict_proba(
            [without(x, order, share) for x, order in zip(X_test, orders, strict=True)]
        )[np.arange(len(speakers)), speakers].mean()
        for share in shares
    ]
    ax.plot(shares, p, style, label=label)
ax.set(
    xlabel="share of the values replaced by the mean", ylabel="mean probability of the speaker",
    ylim=(0, 1),
)  # fmt: skip
ax.legend()

# %%
# A wrong prediction
# ------------------
# The same utterance, once for the speaker that was predicted, and once for the right one. Look at
# the baseline, too: if the model takes it for one of the speakers, the attributions of this one
# start from a high probability, and are those of a difference.
wrong = np.flatnonzero(model.predict(X_test) != y_test)[0]
predicted = model.predict(X_test[wrong : wrong + 1])[0]
print(f"utterance {wrong} of speaker {y_test[wrong]}, predicted: {predicted}")
figure, axes = plt.subplots(2, 2, figsize=(11, 6), layout="constrained")
AttributionDisplay.from_estimator(model, X_test, predicted, sample=wrong, ax=axes[:, 0])
AttributionDisplay.from_estimator(model, X_test, y_test[wrong], sample=wrong, ax=axes[:, 1])

# %%
# An explanation is one of the model, not of the world: it says what this network makes of the
# values, and against which baseline. Another baseline, or another network that is as accurate, may
# give another one.
