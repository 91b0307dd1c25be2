"""Checks of a fitted model, run in processes that have another copy of the package."""

import ctypes
import pickle
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sklearn.base import clone

from skgru import GRUClassifier, GRURegressor
from skgru.interop import to_c, to_onnx, to_torch
from skgru.model.workers import Workers
from skgru.training.objective import Objective

__all__ = [
    "GRUClassifier", "GRURegressor", "check_gradient", "check_interop", "check_saved",
    "check_stream", "clone", "labels", "np", "numbers", "positive_numbers",
]  # fmt: skip

LENGTHS = np.arange(60) % 6 + 2


def sequences():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, 2)) for n in LENGTHS]


def labels():
    X = sequences()
    return X, np.where([x[:, 0].mean() > 0 for x in X], "up", "down")


def numbers():
    X = sequences()
    return X, np.array([x[:, 0].sum() for x in X])


def positive_numbers():
    X = sequences()
    return X, np.exp([x[-1, 0] for x in X]) * np.random.default_rng(1).gamma(5, 1 / 5, len(X))


def predictions(model, X):
    return getattr(model, "predict_proba", model.predict)(X)


def check_saved(model, X, y):
    """A pickle predicts and continues as the model does."""
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(predictions(again, X), predictions(model, X))
    models = [gru.partial_fit(X, y) for gru in (again, clone(model).fit(X, y))]
    np.testing.assert_array_equal(*(predictions(gru, X) for gru in models))
    assert clone(model).get_params() == model.get_params()


def check_stream(model, X):
    """After each step, a stream says what `predict` says of the steps so far."""
    for x in X[:4]:
        stream = model.stream()
        for t, x_t in enumerate(x, 1):
            assert stream.step(x_t) == model.predict([x[:t]])[0]
        again = pickle.loads(pickle.dumps(stream))
        assert again.step(x[0]) == stream.step(x[0])


def check_gradient(model, X, y):
    """The gradient of the loss in every weight, against central differences."""
    network = model._network
    assert network.dtype == np.float64
    sequences = model._check_X(X, reset=False, dtype=np.float64)
    objective = Objective(
        network=network,
        loss=model._outputs.loss,
        sequences=sequences,
        targets=model._check_targets(y, None, sequences),
        samples=np.arange(len(X)),
        alpha=0.1,
        workers=Workers(1),
    )
    _, gradient, _ = objective.full_batch()
    parameters, numeric = network.parameters, np.empty_like(gradient)
    for i, value in enumerate(parameters.copy()):
        ends = []
        for parameters[i] in (value + 1e-5, value - 1e-5):
            ends.append(objective.full_batch()[0])
        parameters[i] = value
        numeric[i] = (ends[0] - ends[1]) / 2e-5
    assert np.abs(gradient - numeric).max() <= 1e-6 * np.abs(numeric).max()


def check_interop(model, X):
    """ONNX, PyTorch and C say the same; return the names of those that are installed here."""
    padded = np.zeros((len(X), LENGTHS.max(), 2), dtype=np.float32)
    for row, x in zip(padded, X, strict=True):
        row[: len(x)] = x
    want, checked = predictions(model, X), []
    if find_spec("onnx") and find_spec("onnxruntime"):
        import onnxruntime

        saved = to_onnx(model, lengths=True).SerializeToString()
        session = onnxruntime.InferenceSession(saved, providers=["CPUExecutionProvider"])
        got = session.run(None, {"X": padded, "lengths": LENGTHS})[-1]
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
        checked.append("onnx")
    if find_spec("torch"):
        import torch

        if hasattr(model, "reset_after"):
            module = to_torch(model).double()
            with torch.no_grad():
                outputs = module(torch.tensor(padded).double(), torch.tensor(LENGTHS))
            got = model._outputs.predict(outputs.numpy())
            np.testing.assert_allclose(got, model.predict(X), rtol=1e-4, atol=1e-5)
            checked.append("torch")
    if shutil.which("gcc") and not model.bidirectional:
        np.testing.assert_allclose(in_c(model, X), want, rtol=1e-4, atol=1e-5)
        checked.append("c")
    return checked


PROGRAM = """
#include "model.h"
void run(const float *x, int n_steps, float *out)
{
    gru_state state;
    gru_reset(&state);
    for (int t = 0; t < n_steps; t++)
        gru_step(&state, x + t * gru_channels, out);
}
"""


def in_c(model, X):
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "run.c", Path(folder) / "run.so"
        (Path(folder) / "model.h").write_text(to_c(model), encoding="utf-8")
        source.write_text(PROGRAM, encoding="utf-8")
        command = ["gcc", "-std=c99", "-O1", "-shared", "-fPIC", source, "-o", library, "-lm"]
        subprocess.run(command, check=True)
        run = ctypes.CDLL(str(library)).run
        n_outputs = np.size(predictions(model, X[:1]))
        outputs = np.empty((len(X), n_outputs), dtype=np.float32)
        for row, x in zip(outputs, X, strict=True):
            x = np.ascontiguousarray(x, dtype=np.float32)
            run(x.ctypes.data_as(ctypes.c_void_p), len(x), row.ctypes.data_as(ctypes.c_void_p))
    return outputs if n_outputs > 1 else outputs[:, 0]
