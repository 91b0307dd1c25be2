import numpy as np
import pytest


@pytest.fixture
def sums():
    """30 sequences of 2 channels, and the sums of both so far."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)) for n in rng.integers(1, 9, size=30)]
    return X, [x.cumsum(axis=0) for x in X]
