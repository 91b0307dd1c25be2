"""The code of docs/anomalies.rst."""

import numpy as np
from helpers import run_snippets
from sklearn.metrics import roc_auc_score


def test_both_ways_find_what_is_not_normal():
    docs = run_snippets("anomalies.rst", "From a series to alarms")
    anomalous, watched, clean = docs["anomalous"], docs["watched"], docs["clean"]
    assert not anomalous[docs["learned"]].any()
    assert not anomalous[clean].any()
    assert min(docs["area"], docs["of_autoencoder"]) > 0.99
    assert docs["precision"] > 0.9
    # smoothing is worth its delay
    assert roc_auc_score(docs["labels"], docs["by_forecast"][watched]) < 0.9
    assert anomalous[docs["alarms"]].sum() == anomalous.sum() == 48
    assert np.sum(docs["smooth"][clean] > docs["threshold"]) == np.ceil(0.01 * len(clean))
