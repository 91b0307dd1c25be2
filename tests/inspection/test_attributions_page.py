"""The code of docs/attributions.rst."""

import numpy as np
from helpers import run_snippets


def test_forecasts_find_the_lag_that_the_series_was_made_with():
    docs = run_snippets("attributions.rst", "Forecasts: which lags of which series")
    for by_lag, lag in ((docs["one_ahead"], 2), (docs["two_ahead"], 1)):
        assert by_lag.shape == (12, 2)
        assert np.unravel_index(by_lag.argmax(), by_lag.shape) == (lag, 1)
        assert by_lag[lag, 1] > 5 * np.delete(by_lag.ravel(), 2 * lag + 1).max()
    drops = docs["importance"].importances_mean
    assert drops[1, 1:3].min() > 0.5
    assert np.abs(drops[0]).max() < 0.05
    assert np.abs(drops[1, [0, 3]]).max() < 0.05
