"""
From a data frame to a stream
=============================

The way of a model from the table that the data comes in to where it is used: a long data frame
becomes sequences, a search over a pipeline fits them, the result is saved, loaded by another
process, written as an ONNX graph for a runtime without Python, and at last fed one time step at a
time.

Needs pandas; the part about ONNX needs onnxruntime and skl2onnx, and is left out without them.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier
from skgru.datasets import load_japanese_vowels
from skgru.preprocessing import (
    PerTimestep,
    labels_from_frame,
    predictions_to_frame,
    sequences_from_frame,
)

CHANNELS = [f"cepstrum_{i}" for i in range(12)]


def long_frame(subset):
    """A row a time step, as a recorder would have written them: not in order."""
    X, y = load_japanese_vowels(subset=subset, return_X_y=True)
    frames = [
        pd.DataFrame(x, columns=CHANNELS).assign(utterance=i, step=range(len(x)), speaker=label)
        for i, (x, label) in enumerate(zip(X, y, strict=True))
    ]
    return pd.concat(frames).sample(frac=1, random_state=0)


train, test = long_frame("train"), long_frame("test")
print(train[["utterance", "step", "speaker", *CHANNELS[:3]]].head(3).to_string(index=False))

# %%
# **Sequences.** One array an utterance, in the order of its steps, and its label.
of_sequences = {"by": "utterance", "order": "step"}
X_train, _ = sequences_from_frame(train, columns=CHANNELS, **of_sequences)
y_train = labels_from_frame(train, "speaker", **of_sequences)
X_test, _ = sequences_from_frame(test, columns=CHANNELS, **of_sequences)
y_test = labels_from_frame(test, "speaker", **of_sequences)
print(f"{len(train)} rows are {len(X_train)} sequences of {min(map(len, X_train))} to "
      f"{max(map(len, X_train))} steps")  # fmt: skip

# %%
# **A search** over a pipeline that scales the channels.
search = GridSearchCV(
    make_pipeline(
        PerTimestep(StandardScaler()),
        GRUClassifier(batch_size=16, learning_rate="cosine", max_iter=30, random_state=0),
    ),
    {"gruclassifier__learning_rate_init": [0.005, 0.02]},
    cv=StratifiedKFold(3, shuffle=True, random_state=0),
    n_jobs=2,
).fit(X_train, y_train)
model = search.best_estimator_
print(f"{search.best_params_}: {search.best_score_:.4f} in the search, "
      f"{model.score(X_test, y_test):.4f} on {len(X_test)} other utterances")  # fmt: skip

# %%
# And back: predictions beside the ids that they belong to.
predicted = predictions_to_frame(
    model.predict_proba(X_test),
    test,
    **of_sequences,
    names=[f"speaker_{c}" for c in model.classes_],
)
print(predicted.iloc[:3, :5].round(4).to_string(index=False))

# %%
# **Saved and loaded** by another process, which imports nothing of the above.
PREDICT = """
import sys, joblib
model, X, saved = (joblib.load(path) for path in sys.argv[1:])
print(f"loaded by another process: {(model.predict(X) == saved).all()}")
"""
with tempfile.TemporaryDirectory() as folder:
    paths = [str(Path(folder, name)) for name in ("model", "X", "predictions")]
    for value, path in zip((model, X_test, model.predict(X_test)), paths, strict=True):
        joblib.dump(value, path)
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, *paths], capture_output=True, text=True, check=True
    )
print(done.stdout.strip())

# %%
# **ONNX**: scaler and network as one graph, which runs wherever an ONNX runtime does. Utterances of
# different lengths come padded, with their lengths.
try:
    import onnxruntime
    import skl2onnx
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType
except ImportError as error:
    print(f"no ONNX: {error}")
else:
    from skgru.interop import register_skl2onnx

    register_skl2onnx()
    inputs = [
        ("X", FloatTensorType([None, None, len(CHANNELS)])),
        ("lengths", Int64TensorType([None])),
    ]
    graph = skl2onnx.to_onnx(model, initial_types=inputs, options={"zipmap": False})
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    lengths = np.array([len(x) for x in X_test])
    padded = np.zeros((len(X_test), lengths.max(), len(CHANNELS)), np.float32)
    for row, x in zip(padded, X_test, strict=True):
        row[: len(x)] = x
    labels, probabilities = session.run(None, {"X": padded, "lengths": lengths})
    difference = np.abs(probabilities - model.predict_proba(X_test)).max()
    print(f"onnxruntime: the same labels {(labels == model.predict(X_test)).all()}, "
          f"probabilities within {difference:.0e}")  # fmt: skip

# %%
# **A stream**: each utterance again, one time step after another as it is spoken. After its last
# step the probabilities are those of `predict_proba`; how much of it has to be heard?
scaler, stream = model[0].transformer_, model[-1].stream()
spoken, microseconds = [], []
for x in X_test:
    stream.reset()
    steps = scaler.transform(x)
    of_steps = []
    for x_t in steps:
        start = time.perf_counter()
        of_steps.append(stream.step_proba(x_t))
        microseconds.append(1e6 * (time.perf_counter() - start))
    spoken.append(np.array(of_steps))
last = np.array([P[-1] for P in spoken])
print(f"stream and predict_proba differ by {np.abs(last - model.predict_proba(X_test)).max():.0e}; "
      f"{np.median(microseconds):.1f} µs a step, 99 % below "
      f"{np.percentile(microseconds, 99):.1f} µs")  # fmt: skip
right = [model.classes_[P.argmax(axis=1)] == label for P, label in zip(spoken, y_test, strict=True)]
shares = [0.25, 0.5, 0.75, 1.0]
correct = [np.mean([r[max(round(share * len(r)) - 1, 0)] for r in right]) for share in shares]
for share, accuracy in zip(shares, correct, strict=True):
    print(f"accuracy after {share:4.0%} of an utterance: {accuracy:.4f}")

# %%
# The longest of the utterances, as the stream heard it, and how soon the speakers are told apart.
longest = int(np.argmax([len(x) for x in X_test]))
P = spoken[longest]
figure, (one, all_of_them) = plt.subplots(
    1, 2, figsize=(11, 4), layout="constrained", width_ratios=[2, 1]
)
for k, style in zip(np.argsort(-P.max(axis=0))[:3], ("-", "--", ":"), strict=True):
    who = " (who speaks)" if model.classes_[k] == y_test[longest] else ""
    one.plot(P[:, k], style, label=f"speaker {model.classes_[k]}{who}")
one.set(xlabel="time step", ylabel="probability so far", ylim=(-0.02, 1.02))
one.legend(loc="center right")
all_of_them.plot([100 * share for share in shares], correct, "o-", color="black")
all_of_them.set(xlabel="heard of an utterance (%)", ylabel="accuracy", xticks=[25, 50, 75, 100])
figure.savefig("frame_to_stream.png", dpi=100)
