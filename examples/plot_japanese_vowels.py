"""
Who is speaking? Classify sequences of different lengths
========================================================

Nine men say the vowels /ae/; each utterance is a sequence of 7 to 29 time steps of 12 cepstrum
coefficients. A GRU reads an utterance from its first step to its last and names the speaker.

The pipeline scales each channel and fits a `GRUClassifier`; a grid search over the number of units
and the learning rate sees the training utterances only. The baseline is what one does without a
model of sequences: the mean and the spread of each channel over time, into logistic regression.
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
print(f"{len(X_train)} utterances of {min(lengths)} to {max(lengths)} steps to train on")

# %%
# The baseline forgets the order of the time steps.


def mean_and_spread(X):
    return np.array([np.r_[x.mean(axis=0), x.std(axis=0)] for x in X])


baseline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
baseline.fit(mean_and_spread(X_train), y_train)
baseline_accuracy = baseline.score(mean_and_spread(X_test), y_test)

# %%
# A ragged list goes through the pipeline and the search like any array. A fit ends once the loss
# has not improved for some epochs; `max_iter` is generous.
pipeline = make_pipeline(
    PerTimestep(StandardScaler()), GRUClassifier(batch_size=16, max_iter=60, random_state=0)
)
search = GridSearchCV(
    pipeline,
    {
        "gruclassifier__hidden_layer_sizes": [(32,), (64,)],
        "gruclassifier__learning_rate_init": [0.01, 0.02],
    },
    cv=StratifiedKFold(5, shuffle=True, random_state=0),
    n_jobs=os.cpu_count(),
)
search.fit(X_train, y_train)
for parameters, score in zip(
    search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
):
    print(f"{score:.4f}  {parameters}")

# %%
# The test utterances were recorded at other times, and nothing was chosen by them.
accuracy = search.score(X_test, y_test)
print(f"accuracy on {len(X_test)} test utterances")
print(f"  mean and spread of each channel, logistic regression: {baseline_accuracy:.4f}")
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
