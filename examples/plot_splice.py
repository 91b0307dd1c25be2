"""
Where does an exon end? Sequences of categories
===============================================

A gene is copied in full, and its introns are then cut out. Given 60 nucleotides (A, C, G and T), is
their middle the end of an exon (EI), the end of an intron (IE), or neither (N)?

Nucleotides are categories, and so are their positions: `categorical_channels` names both channels.
The baselines are a logistic regression and gradient boosting, which both have a column for each
position, and a naive Bayes classifier of the counts of short words.

The 3,190 sequences are those of Noordewier, Towell and Shavlik (1991) from the UCI machine learning
repository. They are not part of the package. This example looks for `shared/data/splice` beside the
repository and does nothing without it.

:doc:`/categories` is the guide to it.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder

from skgru import GRUClassifier

# sphinx-gallery does not define __file__, but runs each example in its folder
THIS = Path(globals().get("__file__", "plot_splice.py")).resolve()
FILE = THIS.parents[2] / "shared" / "data" / "splice" / "splice.data"
if not FILE.is_file():
    print(f"Skipped: there is no {FILE}.")

# %%
# Data
# ----
# A sequence is an array of 60 time steps with two channels, letter and position. Letters stay
# letters. Some are rare: N, D, S and R are nucleotides that were not determined. One that only the
# test part has is unknown to the model, which has a category for that.


def load():
    """Return the letters of each sequence, and its class."""
    lines = [line.split(",") for line in FILE.read_text().splitlines() if line.strip()]
    letters = np.array([list(letters.strip()) for _, _, letters in lines])
    return letters, np.array([label.strip() for label, *_ in lines])


def with_position(letters):
    """Return sequences with two channels."""
    position = np.broadcast_to(np.arange(letters.shape[1]).astype(str), letters.shape)
    return np.stack([letters, position], axis=2)


def as_words(letters):
    """Join the letters of each sequence."""
    return ["".join(row) for row in letters]


# %%
# Models
# ------
# A category has a row of weights of its own: a network finds the middle by the weights of its
# position directly, and need not count.
MODELS = {
    "GRU": make_pipeline(
        FunctionTransformer(with_position),
        GRUClassifier(
            32,
            categorical_channels=[0, 1],
            dropout=0.3,
            max_iter=12,
            random_state=0,
        ),
    ),
    "logistic regression, one-hot": make_pipeline(
        OneHotEncoder(handle_unknown="ignore"), LogisticRegression(C=0.1, max_iter=500)
    ),
    "gradient boosting": make_pipeline(
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        HistGradientBoostingClassifier(
            categorical_features=list(range(60)), max_iter=50, random_state=0
        ),
    ),
    "naive Bayes of 1 to 4 letters": make_pipeline(
        FunctionTransformer(as_words),
        CountVectorizer(analyzer="char", ngram_range=(1, 4)),
        MultinomialNB(),
    ),
}

if FILE.is_file():
    X, y = load()
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.2, stratify=y, random_state=0
    )
    for model in MODELS.values():
        model.fit(X_train, y_train)
    accuracy = {name: model.score(X_test, y_test) for name, model in MODELS.items()}
    for name, value in accuracy.items():
        print(f"{name:30} {value:.4f}")

# %%
# Where the network looks
# -----------------------
# Replace each letter of the test part, position by position, by one that the network does not know,
# and see how much accuracy that costs. Unknown letters add nothing to the gates.
if FILE.is_file():
    losses = []
    for t in range(X.shape[1]):
        without = X_test.copy()
        without[:, t] = "?"
        losses.append(accuracy["GRU"] - MODELS["GRU"].score(without, y_test))

    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11, 4.5), layout="constrained", width_ratios=[1.6, 1]
    )
    left.bar(np.arange(-30, 30), losses, color="tab:blue")
    left.axvline(-0.5, color="black", linestyle=":", label="junction")
    left.set(
        xlabel="position of the unknown letter",
        ylabel="accuracy lost",
        title="What the GRU reads",
    )
    left.legend()
    ConfusionMatrixDisplay.from_estimator(
        MODELS["GRU"], X_test, y_test, ax=right, colorbar=False, cmap="Blues"
    )
    best = max(value for name, value in accuracy.items() if name != "GRU")
    right.set_title(f"test accuracy {accuracy['GRU']:.1%} (best baseline {best:.1%})")
    figure.savefig("splice.png", dpi=100)
