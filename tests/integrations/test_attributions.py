"""Attributions against those of PyTorch's autograd, of Captum and of SHAP."""

import numpy as np
import pytest
from inspection_helpers import X, fitted
from scipy.special import softmax

from skgru import GRUClassifier
from skgru.inspection import input_attributions
from skgru.interop import to_torch

torch = pytest.importorskip("torch")

torch.set_num_threads(1)  # models are too small for more
CELLS = ["gru", "gru_reset_after", "rnn", "lstm", "cifg", "light_gru", "light_gru_relu", "mgu"]
TOPS = ["last", "mean", "max", "attention", "steps"]


def integrated(module, x, at, n_points=200):
    """Return integrated gradients from 0 to x by autograd, of what `at` makes of the outputs."""
    nodes, weights = np.polynomial.legendre.leggauss(n_points)
    line = (nodes + 1)[:, np.newaxis, np.newaxis] / 2 * x
    points = torch.tensor(line, requires_grad=True)
    at(module(points)).sum().backward()
    return x * np.tensordot(weights / 2, points.grad.numpy(), axes=1)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("top", TOPS)
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_those_of_autograd(cell, top, bidirectional):
    pooling = {"return_sequences": True} if top == "steps" else {"pooling": top}
    model = fitted(cell, (3, 2), bidirectional=bidirectional, **pooling)
    module = to_torch(model)
    step = {"step": -1} if top == "steps" else {}
    result = input_attributions(model, X, method="gradient", **step)
    for x, got in zip(X, result.attributions, strict=True):
        at_x = torch.tensor(x[np.newaxis], requires_grad=True)
        outputs = module(at_x)
        (outputs[:, -1] if step else outputs).sum().backward()
        np.testing.assert_allclose(got, at_x.grad[0].numpy(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("top", ["last", "mean", "attention", "steps"])  # max has no smooth line
@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell != "light_gru_relu"])
def test_integrated_gradients_are_those_of_autograd(cell, top, bidirectional):
    pooling = {"return_sequences": True} if top == "steps" else {"pooling": top}
    model = fitted(cell, (3, 2), bidirectional=bidirectional, **pooling)
    module = to_torch(model)
    step = {"step": -1} if top == "steps" else {}
    result = input_attributions(model, X, baseline=0.0, tol=1e-9, max_points=1000, **step)
    for x, got in zip(X, result.attributions, strict=True):
        want = integrated(module, x, lambda y: y[:, -1] if step else y)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def classifier():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 8, 3))
    y = X[:, 2:5, 1].mean(axis=1).round()
    model = GRUClassifier(8, reset_after=True, dtype="float64", max_iter=30, random_state=0)
    return model.fit(X, y), X, y


def test_integrated_gradients_of_probabilities(classifier):
    model, X, _ = classifier
    module = to_torch(model)
    np.testing.assert_allclose(
        softmax(module(torch.tensor(X)).detach().numpy(), axis=1), model.predict_proba(X)
    )
    for k, label in enumerate(model.classes_):
        result = input_attributions(model, X[:5], label, baseline=0.0, tol=1e-9, max_points=2000)
        for x, got in zip(X[:5], result.attributions, strict=True):
            want = integrated(module, x, lambda y, k=k: y.softmax(-1)[:, k], n_points=400)
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


def test_captum_agrees(classifier):
    attr = pytest.importorskip("captum.attr")
    model, X, y = classifier
    module = to_torch(model)
    target = torch.tensor(np.searchsorted(model.classes_, y))
    explainer = attr.IntegratedGradients(lambda x: module(x).softmax(-1))
    want = explainer.attribute(torch.tensor(X), target=target, n_steps=400, method="gausslegendre")
    result = input_attributions(model, X, y, baseline=0.0, tol=1e-9, max_points=2000)
    np.testing.assert_allclose(result.attributions, want.numpy(), rtol=0, atol=1e-6)


def test_captum_takes_sequences_of_different_lengths(classifier):
    attr = pytest.importorskip("captum.attr")
    model, X, _ = classifier
    module = to_torch(model)
    ragged = [x[:n] for x, n in zip(X, (8, 3, 5), strict=False)]
    padded = torch.nn.utils.rnn.pad_sequence(list(map(torch.tensor, ragged)), batch_first=True)
    lengths = torch.tensor([len(x) for x in ragged])
    explainer = attr.IntegratedGradients(lambda x, lengths: module(x, lengths).softmax(-1))
    found = explainer.attribute(
        padded, target=0, additional_forward_args=lengths, n_steps=400, method="gausslegendre"
    )
    result = input_attributions(
        model, ragged, model.classes_[0], baseline=0.0, tol=1e-9, max_points=2000
    )
    for x, got in zip(result.attributions, found.numpy(), strict=True):
        np.testing.assert_allclose(x, got[: len(x)], rtol=0, atol=1e-6)


def test_shap_takes_flattened_sequences(classifier):
    shap = pytest.importorskip("shap")
    model, X, _ = classifier
    explainer = shap.Explainer(
        lambda rows: model.predict_proba(rows.reshape(-1, 8, 3)), X[:20].reshape(20, -1), seed=0
    )
    found = explainer(X[:2].reshape(2, -1), silent=True)
    want = model.predict_proba(X[:2]) - model.predict_proba(X[:20]).mean(axis=0)
    np.testing.assert_allclose(found.values.sum(axis=1), want, atol=1e-6)
