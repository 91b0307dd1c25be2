import numpy as np
import pytest
from display_helpers import FEW_EPOCHS

from skgru import GRUClassifier, GRURegressor


@pytest.fixture(autouse=True)
def close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture(scope="module")
def series():
    """30 sequences of 9 steps and two channels; a number per sequence, and a label per step."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 9, 2))
    return X, X[:, 2, 0], X[:, :, 0] > 0


@pytest.fixture(scope="module")
def regressor(series):
    X, y, _ = series
    return GRURegressor(5, **FEW_EPOCHS).fit(X, y)


@pytest.fixture(scope="module")
def tagger(series):
    X, _, y = series
    return GRUClassifier(5, return_sequences=True, **FEW_EPOCHS).fit(X, y)


@pytest.fixture(scope="module")
def bidirectional(series):
    X, _, y = series
    model = GRUClassifier((4, 3), bidirectional=True, return_sequences=True, **FEW_EPOCHS)
    return model.fit(X, y)
