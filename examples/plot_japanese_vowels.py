"""
Who is speaking? Classify sequences of different lengths
========================================================

Nine men say the vowels /ae/. Each utterance is a sequence of 7 to 29 time steps with 12 cepstrum
coefficients. A GRU reads an utterance and predicts the speaker.

A pipeline scales each channel and fits a `GRUClassifier`. A grid search over the number of units
and the learning rate uses the training utterances only. The baseline does not model sequences: it
is a logistic regression on the mean and the standard deviation of each channel over time.

:doc:`/classification` is the guide to it, :doc:`/good_model` says what to try next.
"""

import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier
from skgru.datasets import load_japanese_vowels
from skgru.preprocessing import PerTimestep

X_train, y_train = load_japanese_vowels(subset="train", return_X_y=True)
X_test, y_test = load_japanese_vowels(subset="test", return_X_y=True)
lengths = [len(x) for x in X_train]
print(f"{len(X_train)} training utterances of {min(lengths)} to {max(lengths)} steps")

# %%
# The baseline ignores the order of the time steps.


def mean_and_deviation(X):
    return np.array([np.r_[x.mean(axis=0), x.std(axis=0)] for x in X])


baseline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
baseline.fit(mean_and_deviation(X_train), y_train)
baseline_accuracy = baseline.score(mean_and_deviation(X_test), y_test)

# %%
# Pipeline and search accept a list of sequences of different lengths like any array. Dropout, of
# states between layers and between time steps, keeps so small a set from being overfitted.
pipeline = make_pipeline(
    PerTimestep(StandardScaler()),
    GRUClassifier(dropout=0.3, recurrent_dropout=0.1, random_state=0),
)
search = GridSearchCV(
    pipeline,
    {
        "gruclassifier__hidden_layer_sizes": [(32,), (64,)],
        "gruclassifier__learning_rate_init": [0.005, 0.01],
    },
    cv=StratifiedKFold(3, shuffle=True, random_state=0),
    n_jobs=os.cpu_count(),
)
search.fit(X_train, y_train)
for parameters, score in zip(
    search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
):
    print(f"{score:.4f}  {parameters}")

# %%
# The test utterances were recorded on other occasions, and were not used for any choice.
accuracy = search.score(X_test, y_test)
print(f"accuracy on {len(X_test)} test utterances")
print(f"  logistic regression on mean and standard deviation: {baseline_accuracy:.4f}")
print(f"  GRU {search.best_params_}: {accuracy:.4f}")

gru = search.best_estimator_[-1]
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
epochs = np.arange(1, gru.n_iter_ + 1)
left.semilogy(epochs, gru.loss_curve_, label="training loss")
left.semilogy(epochs, gru.grad_norm_curve_, label="gradient norm", alpha=0.6)
left.set(xlabel="epoch", title=f"{gru.n_parameters_:,} parameters, {gru.n_iter_} epochs")
left.legend()
ConfusionMatrixDisplay.from_estimator(
    search, X_test, y_test, ax=right, colorbar=False, cmap="Blues"
)
right.set_title(f"test accuracy {accuracy:.1%} (baseline {baseline_accuracy:.1%})")
right.set(xlabel="predicted speaker", ylabel="speaker")
figure.savefig("japanese_vowels.png", dpi=100)
