"""A softmax over thousands of classes per step: blocks of outputs, and their memory."""

import tracemalloc

import numpy as np
import pytest
from network_helpers import loss_of, network, problem, run

from skgru import GRUClassifier, GRURegressor
from skgru.model.propagation import Dropout
from skgru.outputs import Labels
from skgru.training.fit import constant_losses

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning"),
]

LENGTHS = [300, 200, 150, 7]


def in_blocks(monkeypatch, n_numbers):
    monkeypatch.setattr("skgru.model.propagation.HEAD_NUMBERS", n_numbers)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bptt_steps", [None, 120])
def test_blocks_that_the_kernel_sums_up_change_no_bit_of_a_gradient(monkeypatch, dtype, bptt_steps):
    net = network((4,), "steps", n_outputs=3, dtype=dtype)
    data = problem(net, LENGTHS, "multinomial")
    how = {"bptt_steps": bptt_steps, "dropout": Dropout(0.3, 0.2, seed=1)}
    outputs, value, gradient = run(net, **data, **how)
    in_blocks(monkeypatch, 3 * 256 + 5)
    blocked = run(net, **data, **how)
    np.testing.assert_array_equal(blocked[0], outputs)
    np.testing.assert_array_equal(blocked[2], gradient)
    assert blocked[1] == pytest.approx(value, rel=1e-6 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize("n_numbers", [1, 7, 100])
def test_small_blocks_have_the_same_gradient(monkeypatch, n_numbers):
    net = network((4,), "steps", n_outputs=3)
    data = problem(net, LENGTHS, "multinomial")
    _, value, gradient = run(net, **data)
    in_blocks(monkeypatch, n_numbers)
    assert loss_of(net, data)() == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(run(net, **data)[2], gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("y", ["labels", "numbers", "quantiles", "once"])
def test_predictions_in_blocks_have_the_same_bits(monkeypatch, y):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)) for n in LENGTHS]
    labels = [np.array(["a", "b", "c"])[rng.integers(3, size=n)] for n in LENGTHS]
    how = {"return_sequences": True, "max_iter": 2, "random_state": 0}
    if y in ("labels", "once"):
        model = GRUClassifier(5, **{**how, "return_sequences": y == "labels"})
        model.fit(X, labels if y == "labels" else ["a", "b", "c", "c"])
        methods = model.predict, model.predict_proba, model.predict_log_proba
    else:
        loss = {"loss": "quantile", "quantiles": (0.2, 0.8)} if y == "quantiles" else {}
        methods = (GRURegressor(5, **how, **loss).fit(X, [x * 3 for x in X]).predict,)
    whole = [method(X) for method in methods]
    in_blocks(monkeypatch, 40)
    monkeypatch.setattr("skgru.model.inference.PREDICT_NUMBERS", 500)  # windows of the longest
    for method, want in zip(methods, whole, strict=True):
        got = method(X)
        for a, b in zip(got, want, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


def test_memory_is_that_of_a_block():
    """One array of a number per class and step would take 100 MB in float32."""
    n_classes, n_steps = 2500, 10_000
    rng = np.random.default_rng(0)
    X = rng.normal(size=(10, n_steps // 10, 1)).astype(np.float32)
    y = np.arange(n_steps).reshape(10, -1) % n_classes  # every class occurs
    model = GRUClassifier(
        4, return_sequences=True, bptt_steps=200, update_every="window", max_iter=1
    )
    peaks = []
    calls = (
        lambda: model.fit(X, y, X_val=X[:6], y_val=y[:6]),
        lambda: model.predict(X),
        lambda: model.score(X, y),
    )
    for call in calls:
        tracemalloc.start()
        call()
        peaks.append(tracemalloc.get_traced_memory()[1] / 1e6)
        tracemalloc.stop()
    assert max(peaks) < 25, peaks


@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_loss_of_constant_outputs(monkeypatch, n_classes):
    """What training is compared with: of labels, each class is computed once."""
    rng = np.random.default_rng(0)
    y = rng.integers(n_classes, size=(50, 1)).astype(float)
    outputs = Labels(np.arange(n_classes))
    constant = rng.normal(size=outputs.n_outputs)
    want = outputs.loss.of_rows(y, np.tile(constant, (50, 1)))
    monkeypatch.setattr("skgru.training.fit.LOSS_NUMBERS", 10)
    np.testing.assert_array_equal(constant_losses(outputs, y, constant), want)
