"""
How do I get from a data frame to a stream?
===========================================

This example follows a model from the data to its use. It converts a long data frame to sequences,
fits a pipeline with a grid search, saves the model, loads it in another process, exports it to ONNX
for a runtime without Python, and predicts on a stream of time steps.

It needs pandas. The ONNX part also needs onnxruntime and skl2onnx; it is skipped without them.

:doc:`/classification`, :doc:`/streaming` and :doc:`/interop` are the guides to its parts.
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
    """Return a data frame with one row per time step, in random order."""
    X, y = load_japanese_vowels(subset=subset, return_X_y=True)
    frames = [
        pd.DataFrame(x, columns=CHANNELS).assign(utterance=i, step=range(len(x)), speaker=label)
        for i, (x, label) in enumerate(zip(X, y, strict=True))
    ]
    return pd.concat(frames).sample(frac=1, random_state=0)


train, test = long_frame("train"), long_frame("test")
print(train[["utterance", "step", "speaker", *CHANNELS[:3]]].head(3).to_string(index=False))

# %%
# **Sequences.** Make one array and one label per utterance, with the steps in order.
of_sequences = {"by": "utterance", "order": "step"}
X_train, _ = sequences_from_frame(train, columns=CHANNELS, **of_sequences)
y_train = labels_from_frame(train, "speaker", **of_sequences)
X_test, _ = sequences_from_frame(test, columns=CHANNELS, **of_sequences)
y_test = labels_from_frame(test, "speaker", **of_sequences)
print(f"{len(train)} rows become {len(X_train)} sequences of {min(map(len, X_train))} to "
      f"{max(map(len, X_train))} steps")  # fmt: skip

# %%
# **Grid search.** Search the learning rate of a pipeline that scales the channels.
search = GridSearchCV(
    make_pipeline(
        PerTimestep(StandardScaler()),
        # one direction: a bidirectional model needs the whole sequence and cannot be streamed
        GRUClassifier(bidirectional=False, batch_size=16, max_iter=30, random_state=0),
    ),
    {"gruclassifier__learning_rate_init": [0.005, 0.02]},
    cv=StratifiedKFold(3, shuffle=True, random_state=0),
    n_jobs=2,
).fit(X_train, y_train)
model = search.best_estimator_
print(f"{search.best_params_}: accuracy {search.best_score_:.4f} in cross-validation, "
      f"{model.score(X_test, y_test):.4f} on {len(X_test)} test utterances")  # fmt: skip

# %%
# **Predictions.** Return them as a data frame, beside the ids of the sequences.
predicted = predictions_to_frame(
    model.predict_proba(X_test),
    test,
    **of_sequences,
    names=[f"speaker_{c}" for c in model.classes_],
)
print(predicted.iloc[:3, :5].round(4).to_string(index=False))

# %%
# **Persistence.** Save the model and load it in another process.
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
# **ONNX.** Export scaler and network as one graph, which runs in any ONNX runtime. Utterances of
# different lengths are passed as a padded array with their lengths.
try:
    import onnxruntime
    import skl2onnx
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType
except ImportError as error:
    print(f"Skipped ONNX: {error}")
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
# **Stream.** Predict after every time step of an utterance. After the last one, the probabilities
# equal those of `predict_proba`. How early is the prediction correct?
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
      f"time per step: median {np.median(microseconds):.1f} µs, 99th percentile "
      f"{np.percentile(microseconds, 99):.1f} µs")  # fmt: skip
right = [model.classes_[P.argmax(axis=1)] == label for P, label in zip(spoken, y_test, strict=True)]
shares = [0.25, 0.5, 0.75, 1.0]
correct = [np.mean([r[max(round(share * len(r)) - 1, 0)] for r in right]) for share in shares]
for share, accuracy in zip(shares, correct, strict=True):
    print(f"accuracy after {share:4.0%} of an utterance: {accuracy:.4f}")

# %%
# Plot the probabilities over the longest utterance, and the accuracy over the share of an
# utterance.
longest = int(np.argmax([len(x) for x in X_test]))
P = spoken[longest]
figure, (one, all_of_them) = plt.subplots(
    1, 2, figsize=(11, 4), layout="constrained", width_ratios=[2, 1]
)
for k, style in zip(np.argsort(-P.max(axis=0))[:3], ("-", "--", ":"), strict=True):
    who = " (correct)" if model.classes_[k] == y_test[longest] else ""
    one.plot(P[:, k], style, label=f"speaker {model.classes_[k]}{who}")
one.set(xlabel="time step", ylabel="probability", ylim=(-0.02, 1.02))
one.legend(loc="center right")
all_of_them.plot([100 * share for share in shares], correct, "o-", color="black")
all_of_them.set(xlabel="share of the utterance (%)", ylabel="accuracy", xticks=[25, 50, 75, 100])
figure.savefig("frame_to_stream.png", dpi=100)
