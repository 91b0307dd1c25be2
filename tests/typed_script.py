"""A script that `.ci/types` checks with `mypy --strict` and pyright; nothing runs it."""

import numpy as np
from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]

from skgru import GRUClassifier, GRURegressor, show_versions
from skgru.callbacks import Checkpoint
from skgru.datasets import load_co2
from skgru.forecasting import WindowForecaster
from skgru.preprocessing import FillGaps, Patches, PerTimestep

rng = np.random.default_rng(0)
X = rng.normal(size=(20, 5, 2))
y = np.arange(20) % 2
model = GRUClassifier(
    (32, 16),
    cell="lstm",
    activation="tanh",
    reset_after=False,
    bidirectional="auto",
    pooling="attention",
    dropout=0.1,
    solver="adamw",
    alpha=1e-3,
    batch_size=32,
    bptt_steps=None,
    missing="decay",
    categorical_channels=[1],
    learning_rate="cosine",
    max_iter=2,
    max_grad_norm=None,
    random_state=0,
    class_weight="balanced",
    validation_split="last",
    scoring="loss",
    n_jobs=2,
    dtype="float64",
)
fitted: GRUClassifier = model.fit(X, y, sample_weight=np.ones(20), resume_from=None)
pipeline = make_pipeline(PerTimestep(FillGaps("mean", add_indicator=True)), Patches(size=3), model)
fitted.partial_fit(X, y, classes=[0, 1])
labels = fitted.predict(X)
P = fitted.predict_proba(X)
score: float = fitted.score(X, y)
n: int = fitted.n_iter_
curve: list[float] = fitted.loss_curve_
regressor = GRURegressor(8, loss="huber", batch_size=16, max_grad_norm=None, random_state=1).fit(
    X, y
)
print(
    regressor.predict(X),
    fitted.transform(X).shape,
    regressor.score(X, y),
    fitted.layers_[0].W.shape,
)
stream = fitted.stream(2)
print(stream.step(np.zeros((2, 2))))
GRUClassifier().fit(X, y).set_params(max_iter=3)
model.set_callbacks(Checkpoint("x", every=2))
forecaster = WindowForecaster(window=24, horizon=2, random_state=None).fit(load_co2().data)
print(forecaster.predict(3), forecaster.predict_interval(3, level=0.9))
show_versions()
