"""
How do I predict at every time step? The bass and the next chord of Bach's chorales
===================================================================================

With `return_sequences=True`, an estimator predicts at every time step of a sequence. Two tasks on
the chorales of J. S. Bach show how. The first writes a bass for a soprano, with one label per time
step. The second predicts the next notes, with several labels per time step.

The 382 chorales and their split into 229 for training, 76 for validation and 77 for testing are
those of Boulanger-Lewandowski, Bengio and Vincent, "Modeling temporal dependencies in
high-dimensional sequences", ICML 2012. No license is stated for the files, and they are not part of
the package. This example looks for `shared/data/jsb_voices` beside the repository and does nothing
without it. All settings were chosen on the validation chorales.

:doc:`/labels_per_step` is the guide to it.
"""

# sphinx_gallery_thumbnail_path = 'images/card_chorales.png'

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skgru import GRUClassifier

# sphinx-gallery does not define __file__, but runs each example in its folder
THIS = Path(globals().get("__file__", "plot_chorales.py")).resolve()
FOLDER = THIS.parents[2] / "shared" / "data" / "jsb_voices"
if not FOLDER.is_dir():
    print(f"Skipped: there is no {FOLDER}.")


def load(name):
    """Return the chorales of each part; a chorale is a list of time steps with lists of pitches."""
    return json.loads((FOLDER / name).read_text())


# %%
# A bass for a soprano
# --------------------
# A time step is a sixteenth note; its label is the pitch of the bass, or a rest. The right pitch
# depends on the key and on the notes before and after. A `bidirectional` GRU reads the soprano in
# both directions. It is compared with a GRU that sees only the past, and with logistic regression
# on the soprano from 8 steps before to 8 steps after (on the validation chorales, neither more
# steps nor sparser ones were better).
#
# The labels are a list of arrays, like the chorales. `score` is the accuracy over all time steps.
# The weights with the best score on the validation chorales are kept.
REACH = 8


def surroundings(sopranos):
    """Return one row per time step of each soprano: the pitches around it, 0 beyond the ends."""
    return np.concatenate(
        [sliding_window_view(np.pad(pitches, REACH), 2 * REACH + 1) for pitches in sopranos]
    )


def bass_for_soprano():
    voices = {part: [np.array(c) for c in cs] for part, cs in load("Jsb16thSeparated.json").items()}
    soprano = {part: [c[:, 0] for c in chorales] for part, chorales in voices.items()}
    bass = {part: [c[:, 3] for c in chorales] for part, chorales in voices.items()}
    all_bass = {part: np.concatenate(labels) for part, labels in bass.items()}

    pitches, counts = np.unique(all_bass["train"], return_counts=True)
    accuracy = {"most frequent pitch": np.mean(all_bass["test"] == pitches[counts.argmax()])}

    regression = make_pipeline(
        OneHotEncoder(handle_unknown="ignore", dtype=np.float32),
        LogisticRegression(C=0.1, tol=1e-3),
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
            batch_size=8,
            learning_rate_init=0.02,
            early_stopping=True,
            scoring=None,  # the accuracy over all time steps, as `score`
            max_iter=30,
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

    # Plot the test chorale with the median accuracy.
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
        title=f"Test chorale {i}: accuracy {each[i]:.0%}, the median of all test chorales",
    )
    figure.legend(ncols=3, loc="outside lower center")
    figure.savefig("chorales.png", dpi=100)


if FOLDER.is_dir():
    bass_for_soprano()

# %%
# The next chord
# --------------
# A time step is a quarter note, and the chord a row of 88 zeros and ones, one per key of the piano.
# The task is to predict the next chord from those before: y is X one step later, a multilabel
# indicator at every time step. `predict_proba` returns a probability for each key.
#
# The usual metric is the negative log-likelihood of a chord with independent keys, averaged over
# all time steps of all chorales, from the second chord of each. Bai, Kolter and Koltun ("An
# empirical evaluation of generic convolutional and recurrent networks for sequence modeling", 2018)
# compute it in the same way on the same chorales and split, and report 8.43 for a GRU. Chung et al.
# ("Empirical evaluation of gated recurrent neural networks on sequence modeling", 2014) report 8.54
# on the same data set. Their model size, regularization, solver and search differ from those here.
# No chorale is truncated; the longest has 160 chords.


def negative_log_likelihood(probabilities, rolls):
    p, y = np.concatenate(probabilities).astype(float), np.concatenate(rolls)
    return -np.log(np.where(y == 1, p, 1 - p)).sum(axis=1).mean()


def piano_roll(chorale):
    roll = np.zeros((len(chorale), 88), dtype=np.float32)
    for step, chord in enumerate(chorale):
        roll[step, np.array(chord, dtype=int) - 21] = 1  # the lowest key is MIDI note 21
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
        f"{gru.n_parameters_:,} parameters, {gru.n_iter_} epochs; mean gradient norm per epoch "
        f"{min(gru.grad_norm_curve_):.3f} to {max(gru.grad_norm_curve_):.3f}"
    )

    # baseline: the frequency of each key in the training chorales, with additive smoothing
    chords = np.concatenate(y["train"])
    frequency = (chords.sum(axis=0) + 1) / (len(chords) + 2)
    print("negative log-likelihood per chord, in nats")
    for part in ("train", "valid", "test"):
        independent = negative_log_likelihood(
            [np.tile(frequency, (len(c), 1)) for c in y[part]], y[part]
        )
        by_gru = negative_log_likelihood(gru.predict_proba(X[part]), y[part])
        print(f"  {part:6} frequency of each key {independent:6.2f}   GRU {by_gru:6.2f}")


if FOLDER.is_dir():
    next_chord()
