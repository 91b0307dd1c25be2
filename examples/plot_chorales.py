"""
A prediction at every step: the bass of Bach's chorales, and the next chord
===========================================================================

With `return_sequences=True` an estimator predicts at every time step of a sequence. Two tasks on
the chorales of J. S. Bach show it: to write a bass under a soprano, a label a step; and to say
which notes come next, many labels a step.

The 382 chorales and their split into 229 to train on, 76 to validate on and 77 to test on are
those of Boulanger-Lewandowski, Bengio and Vincent, "Modeling temporal dependencies in
high-dimensional sequences", ICML 2012. No licence is stated for the files, so that they do not
come with the package: this example looks for `shared/data/jsb_voices` beside the repository, and
does nothing without it. All settings were chosen by the validation chorales.
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skgru import GRUClassifier

# sphinx-gallery knows no __file__, but runs an example in its own folder
THIS = Path(globals().get("__file__", "plot_chorales.py")).resolve()
FOLDER = THIS.parents[2] / "shared" / "data" / "jsb_voices"
if not FOLDER.is_dir():
    print(f"The chorales are not in {FOLDER}: nothing to show.")


def load(name):
    """Return the chorales of each part: lists of time steps, which are lists of pitches."""
    return json.loads((FOLDER / name).read_text())


# %%
# A bass under a soprano
# ----------------------
# Sixteenth note by sixteenth note, the label is the pitch of the bass (a rest is one, too). What
# fits now depends on the key, and on where the phrase comes from and goes to: a GRU that is
# `bidirectional` reads the soprano from both ends. It is compared with one that has heard the past
# only, and with logistic regression, which sees the soprano of this step and of 8 steps before and
# after it (on the validation chorales, neither more steps nor sparser ones were better).
#
# The labels of chorales of different lengths are a list, like the chorales; `score` is the accuracy
# over all their steps. Training stops when it no longer rises on the validation chorales.
REACH = 8


def surroundings(sopranos):
    """Return a row for each step of each soprano: the pitches around it, 0 beyond the ends."""
    return np.concatenate(
        [sliding_window_view(np.pad(pitches, REACH), 2 * REACH + 1) for pitches in sopranos]
    )


def bass_under_soprano():
    voices = {part: [np.array(c) for c in cs] for part, cs in load("Jsb16thSeparated.json").items()}
    soprano = {part: [c[:, 0] for c in chorales] for part, chorales in voices.items()}
    bass = {part: [c[:, 3] for c in chorales] for part, chorales in voices.items()}
    all_bass = {part: np.concatenate(labels) for part, labels in bass.items()}

    pitches, counts = np.unique(all_bass["train"], return_counts=True)
    accuracy = {"most frequent pitch": np.mean(all_bass["test"] == pitches[counts.argmax()])}

    regression = make_pipeline(
        OneHotEncoder(handle_unknown="ignore", dtype=np.float32),
        LogisticRegression(C=0.1, max_iter=300),
    ).fit(surroundings(soprano["train"]), all_bass["train"])
    accuracy[f"logistic regression, {REACH} steps either side"] = regression.score(
        surroundings(soprano["test"]), all_bass["test"]
    )

    encoder = OneHotEncoder(sparse_output=False, dtype=np.float32, handle_unknown="ignore")
    encoder.fit(np.concatenate(soprano["train"])[:, np.newaxis])
    X = {
        part: [encoder.transform(pitches[:, np.newaxis]) for pitches in sopranos]
        for part, sopranos in soprano.items()
    }
    for name, bidirectional in (("GRU, from the past", False), ("GRU, both directions", True)):
        gru = GRUClassifier(
            64,
            return_sequences=True,
            bidirectional=bidirectional,
            dropout=0.3,
            recurrent_dropout=0.3,
            batch_size=16,
            early_stopping=True,
            max_iter=100,
            random_state=0,
            n_jobs=2,
        ).fit(X["train"], bass["train"], X_val=X["valid"], y_val=bass["valid"])
        accuracy[name] = gru.score(X["test"], bass["test"])
        print(
            f"{name}: {gru.n_parameters_:,} parameters, {gru.n_iter_} epochs, "
            f"validation accuracy {gru.best_validation_score_:.4f}"
        )

    print(f"accuracy over the {len(all_bass['test']):,} steps of {len(X['test'])} test chorales")
    for name, score in accuracy.items():
        print(f"  {name:42} {score:.4f}")

    # The chorale shown has the median accuracy among those of the test part.
    predicted = gru.predict(X["test"])
    each = [np.mean(p == b) for p, b in zip(predicted, bass["test"], strict=True)]
    i = np.argsort(each)[len(each) // 2]
    figure, axes = plt.subplots(figsize=(11, 4.5), layout="constrained")
    for label, line, style in (
        ("soprano, given", soprano["test"][i], dict(color="tab:gray")),
        ("bass by Bach", bass["test"][i], dict(color="black")),
        ("bass by the GRU", predicted[i], dict(color="tab:orange", linestyle=(0, (3, 1)))),
    ):
        beats = np.arange(len(line) + 1) / 4
        heights = np.where(line < 0, np.nan, line)  # -1 is a rest
        axes.stairs(heights, beats, baseline=None, label=label, linewidth=1.8, **style)
    axes.set(
        xlabel="time in quarter notes",
        ylabel="pitch (MIDI number)",
        title=f"Test chorale {i}: {each[i]:.0%} of the steps right, as in the median chorale",
    )
    figure.legend(ncols=3, loc="outside lower center")
    figure.savefig("chorales.png", dpi=100)


if FOLDER.is_dir():
    bass_under_soprano()

# %%
# The next chord
# --------------
# On a grid of quarter notes, all notes that sound are a row of 88 zeros and ones, and from the
# chords so far the next one is to be foretold: y is the list of X a step later, each step a
# multilabel indicator. `predict_proba` gives a probability for each key.
#
# The usual measure is the negative logarithm of the probability of the whole chord, keys taken as
# independent, summed over keys and averaged over all steps of all chorales, from the second chord
# of each. Bai, Kolter and Koltun ("An empirical evaluation of generic convolutional and recurrent
# networks for sequence modeling", 2018), whose code does the same with the same chorales and the
# same split, publish 8.43 for a GRU; Chung et al. ("Empirical evaluation of gated recurrent neural
# networks on sequence modeling", 2014), on the same data set, 8.54. Size, regularisation, solver
# and the search for them were others than here. No chorale is cut: the longest has 160 chords.


def negative_log_likelihood(probabilities, rolls):
    p, y = np.concatenate(probabilities).astype(float), np.concatenate(rolls)
    return -np.log(np.where(y == 1, p, 1 - p)).sum(axis=1).mean()


def piano_roll(chorale):
    roll = np.zeros((len(chorale), 88), dtype=np.float32)
    for step, chord in enumerate(chorale):
        roll[step, np.array(chord, dtype=int) - 21] = 1  # the lowest key of a piano is MIDI's 21
    return roll


def next_chord():
    rolls = {
        part: [piano_roll(c) for c in chorales]
        for part, chorales in load("jsb-chorales-quarter.json").items()
    }
    X = {part: [roll[:-1] for roll in of_part] for part, of_part in rolls.items()}
    y = {part: [roll[1:] for roll in of_part] for part, of_part in rolls.items()}

    gru = GRUClassifier(
        128,
        return_sequences=True,
        reset_after=True,
        dropout=0.5,
        batch_size=4,
        learning_rate="cosine",
        learning_rate_init=0.02,
        max_iter=30,
        n_iter_no_change=30,
        random_state=0,
        n_jobs=2,
    ).fit(X["train"], y["train"])

    print(
        f"{gru.n_parameters_:,} parameters, {gru.n_iter_} epochs; gradient norm of an epoch "
        f"{min(gru.grad_norm_curve_):.3f} to {max(gru.grad_norm_curve_):.3f}"
    )

    # Each key as often as in the training chorales; one added to each count, for keys never heard.
    heard = np.concatenate(y["train"])
    frequency = (heard.sum(axis=0) + 1) / (len(heard) + 2)
    print("negative log-likelihood of a chord, in nats")
    for part in ("train", "valid", "test"):
        independent = negative_log_likelihood(
            [np.tile(frequency, (len(c), 1)) for c in y[part]], y[part]
        )
        by_gru = negative_log_likelihood(gru.predict_proba(X[part]), y[part])
        print(f"  {part:6} frequency of each key {independent:6.2f}   GRU {by_gru:6.2f}")


if FOLDER.is_dir():
    next_chord()
