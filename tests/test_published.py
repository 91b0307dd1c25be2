"""Accuracies on real data; settings were chosen on the training sets alone."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier
from skgru.datasets import load_japanese_vowels
from skgru.preprocessing import PerTimestep

PENDIGITS = Path(__file__).parents[2] / "shared" / "data" / "pendigits"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


@pytest.mark.parametrize(
    ("parameters", "accuracy"),
    [({}, 0.975), ({"dropout": 0.3, "recurrent_dropout": 0.1}, 0.98)],
    ids=["defaults", "dropout"],
)
def test_japanese_vowels(parameters, accuracy):
    train, test = (load_japanese_vowels(subset=s, return_X_y=True) for s in ("train", "test"))
    scores = [
        make_pipeline(PerTimestep(StandardScaler()), GRUClassifier(random_state=seed, **parameters))
        .fit(*train)
        .score(*test)
        for seed in range(3)
    ]
    assert np.mean(scores) >= accuracy


@pytest.mark.skipif(not PENDIGITS.exists(), reason="the pendigits files are not here")
@pytest.mark.parametrize(("bidirectional", "accuracy"), [(False, 0.975), (True, 0.98)])
def test_pendigits(bidirectional, accuracy):
    train, test = (
        np.loadtxt(PENDIGITS / f"pendigits.{part}", delimiter=",", skiprows=1)
        for part in ("tra", "tes")
    )
    # 0.003 was better than 0.01 on a fifth of the training strokes
    parameters = dict(
        n_channels=2, learning_rate="cosine", learning_rate_init=0.003, max_iter=30,
        bidirectional=bidirectional,
    )  # fmt: skip
    model = make_pipeline(
        PerTimestep(StandardScaler(), n_channels=2), GRUClassifier(random_state=0, **parameters)
    )
    model.fit(train[:, :16], train[:, 16])
    assert model.score(test[:, :16], test[:, 16]) >= accuracy
