"""The whole network: gradients of every parameter, PyTorch's results, independence of samples."""

from pathlib import Path

import numpy as np
import pytest
from reference import gru_forward
from sklearn._loss.loss import HalfMultinomialLoss

from skgru.losses import value_and_gradient
from skgru.network import Buffers, Network
from skgru.sequences import check_sequences
from skgru.workers import Workers

ALONE = Workers(1)


def ragged(lengths, n_channels=3, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    return check_sequences([rng.normal(size=(n, n_channels)) for n in lengths], dtype=dtype)


def network(sizes, reset_after, dtype="float64", n_outputs=3):
    net = Network(3, sizes, n_outputs, reset_after, dtype)
    net.initialize(np.random.RandomState(0))
    # biases too, so that their part in everything is seen
    biases = net.parameters[net.n_weights :]
    biases[:] = np.random.RandomState(1).normal(size=biases.size) / 3
    return net


def run(net, sequences, samples=None, y=(0, 2, 1, 1, 0), n_shards=1, workers=ALONE):
    """Outputs, loss and gradient, samples in their own order."""
    samples = np.arange(len(sequences)) if samples is None else samples
    shards = sequences.deal(samples, n_shards)
    outputs, backpropagate = net.forward(sequences, shards, workers, Buffers(net))
    samples = np.concatenate(shards)
    targets = np.array(y, dtype=net.dtype)[samples]
    weights = (1.0 + samples).astype(net.dtype)
    value, d_outputs = value_and_gradient(
        HalfMultinomialLoss(n_classes=3), targets, outputs, weights
    )
    return outputs[np.argsort(samples)], value, backpropagate(d_outputs).sum(axis=0)


LENGTHS = [3, 6, 1, 4, 6]
SIZES = [(4,), (5, 3), (3, 4, 2)]


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
def test_gradient_of_every_parameter(sizes, reset_after):
    net, sequences = network(sizes, reset_after), ragged(LENGTHS)
    gradient = run(net, sequences)[2]
    numeric = np.empty_like(gradient)
    for i, value in enumerate(net.parameters.copy()):
        net.parameters[i] = value + 1e-5
        above = run(net, sequences)[1]
        net.parameters[i] = value - 1e-5
        below = run(net, sequences)[1]
        net.parameters[i] = value
        numeric[i] = (above - below) / 2e-5
    for got, want in zip(_arrays(net, gradient), _arrays(net, numeric), strict=True):
        assert np.abs(got - want).max() <= 1e-6 * np.abs(want).max()


def _arrays(net, vector):
    layers, head = net.views(vector)
    return [a for part in (*layers, head) for a in part if a.size]


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("sizes", [(17,), (64, 17), (17, 64, 3)])
def test_float32_gradients_are_those_of_float64(sizes, reset_after):
    exact, single = (network(sizes, reset_after, dtype) for dtype in ("float64", "float32"))
    exact.parameters[:] = single.parameters  # the same rounded numbers
    sequences = ragged(range(1, 51), dtype="float32")
    y = np.arange(50) % 3
    want = run(exact, ragged_as(sequences, "float64"), y=y)[2]
    got = run(single, sequences, y=y)[2]
    for a, b in zip(_arrays(single, got), _arrays(exact, want), strict=True):
        assert np.abs(a - b).max() <= 1e-4 * np.abs(b).max()


def ragged_as(sequences, dtype):
    return check_sequences(sequences.in_form_of_x(sequences.values), dtype=dtype)


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-6)])
def test_outputs_match_reference(sizes, reset_after, dtype, tolerance):
    net, sequences = network(sizes, reset_after, dtype), ragged(LENGTHS, dtype=dtype)
    layers, head = net.views(net.parameters.astype("float64"))
    expected = []
    for x in np.split(sequences.values.astype("float64"), sequences.starts[1:]):
        for layer in layers:
            x = gru_forward(x, np.zeros(len(layer.U)), *layer)
        expected.append(x[-1] @ head.W + head.b)
    scale = np.abs(expected).max()
    assert np.abs(run(net, sequences)[0] - expected).max() <= tolerance * scale
    assert np.abs(net.predict(sequences, ALONE) - expected).max() <= tolerance * scale


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-6), ("float32", 1e-5)])
def test_outputs_and_gradients_of_torch(dtype, tolerance):
    golden = np.load(Path(__file__).parent / "data" / "torch_gru.npz")
    xs = [golden[f"x{i}"] for i in range(len(golden["lengths"]))]
    H = golden["target"].shape[1]
    net = Network(xs[0].shape[1], (H, H), H, True, dtype)
    layers, head = net.views(net.parameters)
    for depth, layer in enumerate(layers):
        for array, value in zip(layer, _from_torch(golden, depth, ""), strict=True):
            array[:] = value
    head.W[:] = np.eye(H)  # the outputs are the last states

    sequences = check_sequences(xs, dtype=dtype)
    shards = sequences.deal(np.arange(len(xs)), 1)
    outputs, backpropagate = net.forward(sequences, shards, ALONE, Buffers(net))
    batch_sizes = sequences.pack(shards[0]).batch_sizes
    first_rows = np.cumsum(batch_sizes) - batch_sizes
    last = golden["states"][[first_rows[n - 1] + i for i, n in enumerate(golden["lengths"])]]
    np.testing.assert_allclose(outputs, last, rtol=tolerance, atol=tolerance / 10)

    d_layers, _ = net.views(backpropagate(golden["target"].astype(dtype))[0])
    for depth, d_layer in enumerate(d_layers):
        for got, want in zip(d_layer, _from_torch(golden, depth, "_grad"), strict=True):
            assert np.abs(got - want).max() <= tolerance * np.abs(want).max()


def _from_torch(golden, depth, suffix):
    """Our W, U, b and c (or their gradients) from nn.GRU's: transposed, and two biases as one."""
    W, U, b, b_hidden = (
        golden[f"{name}_l{depth}{suffix}"]
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    H = U.shape[1]
    if not suffix:
        b = b + np.r_[b_hidden[: 2 * H], np.zeros(H)]
    return W.T, U.T, b, b_hidden[2 * H :]


@pytest.mark.parametrize("reset_after", [False, True])
def test_a_ragged_batch_equals_its_sequences_one_by_one(reset_after):
    net, sequences = network((5, 4), reset_after), ragged(LENGTHS)
    outputs, value, gradient = run(net, sequences)
    alone = [run(net, sequences, np.array([i])) for i in range(len(LENGTHS))]
    np.testing.assert_allclose(outputs, np.concatenate([a[0] for a in alone]), rtol=1e-12)
    np.testing.assert_allclose(value, sum(a[1] for a in alone), rtol=1e-12)
    np.testing.assert_allclose(gradient, sum(a[2] for a in alone), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(5,), (20, 9)])
def test_predictions_have_the_same_bits_in_any_chunk_and_thread(monkeypatch, sizes, dtype):
    net, sequences = network(sizes, False, dtype), ragged([9, 2, 5, 1, 7, 7, 3], dtype=dtype)
    whole = net.predict(sequences, ALONE)
    np.testing.assert_array_equal(whole, run(net, sequences, y=np.zeros(7))[0])
    for samples in (1, 2, 3):
        monkeypatch.setattr("skgru.network.PREDICT_SAMPLES", samples)
        with Workers(3) as workers:
            np.testing.assert_array_equal(net.predict(sequences, workers), whole)
    monkeypatch.setattr("skgru.network.PREDICT_NUMBERS", 0)  # one at a time
    np.testing.assert_array_equal(net.predict(sequences, ALONE), whole)


@pytest.mark.parametrize("n_shards", [2, 3, 7])
def test_shards_add_up_to_the_whole(n_shards):
    net, sequences = network((5, 4), False), ragged([9, 2, 5, 1, 7, 7, 3])
    y = np.arange(7) % 3
    want = run(net, sequences, y=y)
    with Workers(2) as workers:
        got = run(net, sequences, y=y, n_shards=n_shards, workers=workers)
    np.testing.assert_array_equal(got[0], want[0])
    np.testing.assert_allclose(got[1], want[1], rtol=1e-12)
    np.testing.assert_allclose(got[2], want[2], rtol=1e-10, atol=1e-14)


def test_initial_weights():
    net = Network(6, (8, 5), 2, True, "float64")
    net.initialize(np.random.RandomState(0))
    layers, head = net.views(net.parameters)
    for layer in layers:
        H = len(layer.U)
        for gate in range(3):
            U = layer.U[:, gate * H : (gate + 1) * H]
            np.testing.assert_allclose(U @ U.T, np.eye(H), atol=1e-12)
        bound = np.sqrt(6 / (len(layer.W) + H))
        assert 0.8 * bound < np.abs(layer.W).max() <= bound
        assert not layer.b.any()
        assert not layer.c.any()
    assert net.parameters.size == sum(a.size for part in (*layers, head) for a in part)
