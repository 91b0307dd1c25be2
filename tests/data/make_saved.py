"""Saved models that every later version has to load.

Made by skgru 0.1.0.dev0 (`python tests/data/make_saved.py`); to be made anew only together with a
line in the change log, as users cannot make theirs anew. Next to each model lie its predictions,
and its parameters after one more epoch.
"""

import pickle
from pathlib import Path

import numpy as np

from skgru import GRUClassifier, GRURegressor

SMALL = {
    "dtype": "float64", "batch_size": 5, "learning_rate": "constant", "learning_rate_init": 0.005,
    "warmup_updates": 0, "random_state": 0,
}  # fmt: skip

rng = np.random.default_rng(0)
X = [rng.normal(size=(n, 2)) for n in (3, 5, 1, 4, 2, 5, 3, 4, 2, 1)]
labels = np.array(["calm", "storm", "wind"])[np.arange(10) % 3]
by_step = [x.cumsum(axis=0) for x in X]
models = {
    "labels": GRUClassifier(
        3, cell="gru", bidirectional=False, pooling="attention", dropout=0.1, solver="adamw",
        max_iter=4, **SMALL,
    ).fit(X, labels),
    "numbers by step": GRURegressor(
        (2, 2), cell="lstm", bidirectional=True, pooling="last", return_sequences=True,
        solver="sgd", max_iter=4, **SMALL,
    ).fit(X, by_step),
    "quantiles": GRURegressor(
        3, cell="light_gru", activation="relu", bidirectional=False, pooling="max",
        loss="quantile", quantiles=(0.2, 0.7), solver="lbfgs", max_iter=4, dtype="float64",
        random_state=0,
    ).fit(X, [x[-1, 0] for x in by_step]),
}  # fmt: skip
saved = {"X": X, "models": pickle.dumps(models, 4), "predictions": {}, "continued": {}}
targets = {"labels": labels, "numbers by step": by_step}
for name, model in models.items():
    predict = getattr(model, "predict_proba", model.predict)
    saved["predictions"][name] = predict(X)
    if name in targets:
        model.partial_fit(X, targets[name])
        saved["continued"][name] = model._network.parameters
saved["targets"] = targets
Path(__file__).with_name("saved.pkl").write_bytes(pickle.dumps(saved, 4))
