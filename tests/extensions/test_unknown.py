"""Exporters and streams raise for what only training knows; they never take it for another."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from sklearn._loss.loss import HalfBinomialLoss

from skgru import GRUClassifier, GRURegressor
from skgru.inspection import gate_activations
from skgru.interop import to_c, to_onnx, to_torch
from skgru.losses import REGRESSION_LOSSES
from skgru.model.pooling import POOLINGS, Mean

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(n, 2)) for n in (3, 1, 4, 2, 5, 3)]
SMALL = {"hidden_layer_sizes": 3, "bidirectional": False, "max_iter": 1, "random_state": 0}
# PyTorch has this one
SMALL |= {"cell": "gru", "reset_after": True}


def onnx(model):
    pytest.importorskip("onnx")
    return to_onnx(model)


def torch(model):
    pytest.importorskip("torch")
    return to_torch(model)


EXPORTERS = {"onnx": onnx, "torch": torch, "c": to_c}
every_exporter = pytest.mark.parametrize("export", EXPORTERS.values(), ids=EXPORTERS)


def mean_of(y):
    return np.array([x.mean() for x in X]) if y == "numbers" else np.arange(len(X)) % 2


# ---- a pooling -----------------------------------------------------------------------------------


@pytest.fixture
def of_unknown_pooling(monkeypatch):
    """A model with a pooling that is a class in Python alone."""
    monkeypatch.setitem(POOLINGS, "middle", type("Middle", (Mean,), {}))
    monkeypatch.setitem(GRURegressor._parameter_constraints, "pooling", [str])
    model = GRURegressor(**SMALL, pooling="middle").fit(X, mean_of("numbers"))
    assert model.predict(X).shape == (len(X),)
    return model


@every_exporter
def test_exporters_reject_a_pooling_they_do_not_know(of_unknown_pooling, export):
    with pytest.raises(NotImplementedError, match="pooling='middle' has no form in other runtimes"):
        export(of_unknown_pooling)


def test_streams_reject_a_pooling_they_do_not_know(of_unknown_pooling):
    with pytest.raises(ValueError, match="there is no pooling 'middle', only"):
        of_unknown_pooling.stream()


# ---- a loss --------------------------------------------------------------------------------------


@pytest.fixture
def of_unknown_link(monkeypatch):
    """A model of shares, the logits of which the network computes."""
    monkeypatch.setitem(REGRESSION_LOSSES, "share", HalfBinomialLoss)
    monkeypatch.setitem(GRURegressor._parameter_constraints, "loss", [str])
    model = GRURegressor(**SMALL, loss="share", pooling="last")
    return model.fit(X, np.arange(len(X)) / 5)


@pytest.mark.parametrize("export", [onnx, to_c], ids=["onnx", "c"])
def test_exporters_reject_a_link_they_do_not_know(of_unknown_link, export):
    with pytest.raises(NotImplementedError, match="no function from outputs to predictions for"):
        export(of_unknown_link)


def test_a_link_that_exporters_do_not_know_is_applied_in_python(of_unknown_link):
    predictions = of_unknown_link.predict(X)
    assert ((predictions > 0) & (predictions < 1)).all()
    stream = of_unknown_link.stream()
    assert [stream.step(x_t) for x_t in X[0]][-1] == predictions[0]


@dataclass(frozen=True, eq=False)
class Other:
    """Outputs that are no numbers either."""

    kind: ClassVar[str] = "other"
    n_outputs: ClassVar[int] = 1


@pytest.mark.parametrize(("export", "runtime"), [(onnx, "ONNX"), (to_c, "C")], ids=["onnx", "c"])
def test_exporters_reject_outputs_they_do_not_know(export, runtime):
    model = GRURegressor(**SMALL, pooling="last").fit(X, mean_of("numbers"))
    model._outputs = Other()
    with pytest.raises(NotImplementedError, match=f"kind 'other' have no form in {runtime}"):
        export(model)


# ---- a cell --------------------------------------------------------------------------------------


@pytest.fixture
def of_unknown_cell():
    model = GRUClassifier(**SMALL, pooling="last").fit(X, mean_of("labels"))
    network = model._network = model._network.copy()
    network.architecture = network.architecture._replace(cell="leaky", reset_after=False)
    return model


@every_exporter
def test_exporters_reject_a_cell_they_do_not_know(of_unknown_cell, export):
    with pytest.raises((NotImplementedError, ValueError), match="'leaky' has no form"):
        export(of_unknown_cell)


def test_inspection_rejects_a_cell_it_does_not_know(of_unknown_cell):
    with pytest.raises((NotImplementedError, KeyError), match="leaky"):
        gate_activations(of_unknown_cell, X)


def test_streams_and_predictions_reject_a_cell_that_the_kernels_do_not_know(of_unknown_cell):
    for function in (of_unknown_cell.stream, lambda: of_unknown_cell.predict(X)):
        with pytest.raises(KeyError, match="leaky"):
            function()
