"""
What if sensors have holes? Missing values and uneven times
===========================================================

Real records have holes, and their time steps are not equally far apart. This example makes such
records of the utterances of nine speakers: it keeps two thirds of the time steps of each utterance,
drawn at random, with the time of each, and then removes more and more of the values.

`GRUClassifier(missing="decay")` reads NaN as it is: missing values decay from the last observed one
towards the mean, with the time that has passed (GRU-D). It is compared with filled gaps, by
`FillGaps` and by the mean of each channel, and with gradient boosting on all time steps side by
side, which takes NaN too.

:doc:`/missing_values` is the guide to it.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skgru import GRUClassifier
from skgru.datasets import load_japanese_vowels
from skgru.preprocessing import FillGaps, PerTimestep

SHARES = [0.0, 0.4, 0.8]
N_TIMESTEPS = 12  # of the boosted trees, which refuse columns without any value


def thinned(X, rng):
    """Keep two thirds of the time steps of each sequence, and append their times as a channel."""
    kept = [np.sort(rng.permutation(len(x))[: max(2, 2 * len(x) // 3)]) for x in X]
    return [np.column_stack([x[t], t]) for x, t in zip(X, kept, strict=True)]


def with_holes(X, share, rng):
    """Remove a share of the values, but no times."""
    X = [x.copy() for x in X]
    for x in X:
        x[:, :-1][rng.random((len(x), x.shape[1] - 1)) < share] = np.nan
    return X


rng = np.random.default_rng(0)
X_train, y_train = load_japanese_vowels(subset="train", return_X_y=True)
X_test, y_test = load_japanese_vowels(subset="test", return_X_y=True)
X_train, X_test = thinned(X_train, rng), thinned(X_test, rng)

# %%
# **Models.** The last channel is the time. GRU-D measures gaps on it; the other GRUs read it as a
# number, as does gradient boosting.


def side_by_side(X):
    """Put the first time steps of a sequence in a row, with NaN after its end."""
    rows = np.full((len(X), N_TIMESTEPS, X[0].shape[1]), np.nan)
    for row, x in zip(rows, X, strict=True):
        row[: len(x)] = x[:N_TIMESTEPS]
    return rows.reshape(len(X), -1)


def gru(**parameters):
    """Make a small network, so that the example is quick."""
    return GRUClassifier(32, max_iter=30, random_state=0, **parameters)


MODELS = {
    "GRU-D": make_pipeline(PerTimestep(StandardScaler()), gru(missing="decay", time_channel=-1)),
    "interpolated": make_pipeline(FillGaps(), PerTimestep(StandardScaler()), gru()),
    "mean": make_pipeline(FillGaps("mean"), PerTimestep(StandardScaler()), gru()),
    "gradient boosting": make_pipeline(
        FunctionTransformer(side_by_side),
        HistGradientBoostingClassifier(max_iter=30, random_state=0),
    ),
}

# %%
# **Results.** Training and test part have the same share of holes. These are removed at random,
# from smooth curves: what is between two values is known best by a line between them, and
# interpolation wins. GRU-D, which reads the last value before a hole in each direction, is on a
# level with the mean. It needs no rule of filling, and it can learn from holes that have a
# reason, which these have not.
accuracy = {name: [] for name in MODELS}
print(f"{'missing':18}" + "".join(f"{share:8.0%}" for share in SHARES))
for share in SHARES:
    holes_train, holes_test = with_holes(X_train, share, rng), with_holes(X_test, share, rng)
    for name, model in MODELS.items():
        accuracy[name].append(model.fit(holes_train, y_train).score(holes_test, y_test))
for name, values in accuracy.items():
    print(f"{name:18}" + "".join(f"{value:8.3f}" for value in values))

# %%
# A record with 60 % of the values missing, and the accuracy of all models.
record = with_holes(X_test[:1], 0.6, np.random.default_rng(3))[0]
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
for channel, (marker, line) in enumerate(zip("os^", ("-", "--", ":"), strict=True)):
    time = X_test[0][:, -1]
    (drawn,) = left.plot(time, X_test[0][:, channel], line, alpha=0.4)
    label = f"channel {channel}"
    left.plot(time, record[:, channel], marker, color=drawn.get_color(), label=label)
left.set(xlabel="time", title="points: what the models see of three channels")
left.legend(loc="upper right")
for (name, values), style in zip(accuracy.items(), ("o-", "s--", "^:", "d-."), strict=True):
    right.plot([100 * share for share in SHARES], values, style, label=name)
right.set(xlabel="missing values (%)", ylabel="test accuracy", title="370 utterances, 9 speakers")
right.legend()
figure.savefig("missing_values.png", dpi=100)
