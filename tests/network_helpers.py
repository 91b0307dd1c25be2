"""Networks and data for tests of the model, and checks of gradients."""

import numpy as np
import pytest
import reference
from helpers import VARIANTS, one_by_one, reference_states
from sklearn._loss.loss import HalfBinomialLoss

from skgru.losses import REGRESSION_LOSSES, Elementwise, Multinomial, Pinball, log_loss
from skgru.model.architecture import Architecture
from skgru.model.buffers import Buffers
from skgru.model.dropout import Dropout
from skgru.model.network import Network
from skgru.model.parameters import arrays_of
from skgru.model.propagation import Propagation
from skgru.model.workers import Workers
from skgru.sequences import Examples, Targets, check_sequences

ALONE = Workers(1)
NO_DROPOUT = Dropout()
TOTAL = 8.0  # divisor of the sum of losses
LENGTHS = [3, 6, 1, 4, 7, 6]
SIZES = [(4,), (2, 3), (2, 1, 3)]
TOPS = ["last", "mean", "max", "attention", "steps"]  # a pooling, or outputs at every time step
every_cell = pytest.mark.parametrize("cell", VARIANTS)
gru_and_lstm = pytest.mark.parametrize("cell", ["gru", "lstm"])
one_or_both_directions = pytest.mark.parametrize("bidirectional", [False, True])


def cells_with(cases, few):
    """Return every case with the two variants of the GRU, and a few with the other cells."""
    return [
        (name, *case)
        for name in VARIANTS
        for case in (cases if name in ("gru", "gru_reset_after") else few)
    ]


def _labels(n_classes, width):
    return lambda rng, n_rows: rng.integers(n_classes, size=(n_rows, width))


def _numbers(rng, n_rows):
    return rng.normal(size=(n_rows, 2))


def _counts(rng, n_rows):
    return rng.poisson(2, size=(n_rows, 2))


# For each: the loss, its number of outputs, and a function that draws targets.
LOSSES = {
    "multinomial": (Multinomial(3), 3, _labels(3, 1)),
    "binomial": (log_loss(2), 1, _labels(2, 1)),
    "multilabel": (Elementwise(HalfBinomialLoss()), 3, _labels(2, 3)),
    "quantiles": (Pinball([0.1, 0.5, 0.8]), 6, _numbers),
    **{
        name: (Elementwise(loss()), 2, _counts if name == "poisson" else _numbers)
        for name, loss in REGRESSION_LOSSES.items()
    },
}


def network(
    sizes=(2, 3), top="last", n_outputs=2, dtype="float64", *, cell="gru", bidirectional=False
):
    steps = top == "steps"
    architecture = {"pooling": "last" if steps else top, "return_sequences": steps}
    architecture |= {**VARIANTS[cell], "bidirectional": bidirectional}
    net = Network(Architecture(3, sizes, n_outputs, **architecture), dtype)
    net.initialize(np.random.RandomState(0))
    # tests depend on parameters that are initialized to zero, too
    rng = np.random.RandomState(1)
    biases, query = net.parameters[net.n_weights :], net.views(net.parameters).query
    biases[:] = rng.normal(size=biases.size) / 3
    query[:] = rng.normal(size=query.size)
    return net


def problem(net, lengths=LENGTHS, loss="squared_error", seed=0):
    """Return sequences, targets, weights (some are 0 with outputs per step) and a loss."""
    rng = np.random.default_rng(seed)
    xs = [rng.normal(size=(n, 3)) for n in lengths]
    by_step = net.architecture.return_sequences
    n_rows = sum(lengths) if by_step else len(lengths)
    weights = rng.uniform(0.5, 2, n_rows)
    if by_step:
        weights[1::3] = 0
    loss, _, targets = LOSSES[loss]
    sequences = check_sequences(xs, dtype=net.dtype)
    return {"sequences": sequences, "y": targets(rng, n_rows), "weights": weights, "loss": loss}


def runner(
    net, sequences, y, weights, loss, *, samples=None, n_shards=1, bptt_steps=None,
    dropout=NO_DROPOUT, workers=ALONE, propagation=Propagation, buffers=None,
):  # fmt: skip
    """Return a function that runs the network as `Objective` does.

    It returns outputs in the order of y, the loss and the gradient.
    """
    samples = np.arange(len(sequences)) if samples is None else samples
    by_step, n_outputs = net.architecture.return_sequences, net.architecture.n_outputs
    # the last column of the targets is the number of the row
    numbered = np.column_stack([y, np.arange(len(y))]).astype(net.dtype)
    targets = Targets(numbered, weights, sequences if by_step else None)
    outputs = np.full((len(y), n_outputs), np.nan, dtype=net.dtype)

    def recording_loss(numbered, f, weights):
        outputs[numbered[:, -1].astype(int)] = f
        return loss(numbered[:, :-1].copy(), f, weights)

    shards = sequences.span(samples).deal(n_shards)
    buffers = buffers or Buffers(net)
    gradients, views = buffers.gradients(n_shards)

    def run_shard(i):
        def empty(name, shape):
            return buffers.empty((i, name), shape)

        passes = propagation(net, buffers.parameters, empty, shard=i)
        passes.dropout = dropout
        examples = Examples(sequences, shards[i], targets, TOTAL)
        return passes.value_and_gradient(examples, recording_loss, bptt_steps, views[i])

    def run_shards():
        outputs.fill(np.nan)
        gradients.fill(0)
        value = sum(workers.map(run_shard, range(n_shards)))
        return outputs.copy(), value, gradients.sum(axis=0)

    return run_shards


def run(net, sequences, y, weights, loss, **options):
    """Run the network once; see `runner`."""
    return runner(net, sequences, y, weights, loss, **options)()


def loss_of(net, data, *, propagation=Propagation, **options):
    """Return a function that runs the network forward and returns the loss."""

    class Forward(propagation):
        def backward(self, *args, **kwargs):
            """Leave the gradient out: nobody reads it, and it takes half of the time."""

    forward = runner(net, **data, **options, propagation=Forward)
    return lambda: forward()[1]


def assert_close(net, got, want, tolerance):
    """Compare two gradients: each array, relative to its largest entry."""
    for a, b in zip(arrays(net, got), arrays(net, want), strict=True):
        assert np.abs(a - b).max() <= tolerance * np.abs(b).max()


def arrays(net, vector):
    """Return the nonempty arrays of a flat vector."""
    return [a for a in arrays_of(net.views(vector)) if a.size]


def assert_gradient(net, gradient, value):
    """Assert that the gradient matches central differences of value() in every parameter."""
    numeric = np.empty_like(gradient)
    for i, parameter in enumerate(net.parameters.copy()):
        net.parameters[i] = parameter + 1e-5
        above = value()
        net.parameters[i] = parameter - 1e-5
        numeric[i] = (above - value()) / 2e-5
        net.parameters[i] = parameter
    assert_close(net, gradient, numeric, 1e-6)


def assert_smooth(net, data):
    """Assert that no argument of relu is near its kink."""
    sums, layers = [], net.views(net.parameters).layers
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "relu", lambda a: sums.append(a) or np.maximum(a, 0))
        for x in one_by_one(data["sequences"]):
            reference_states(net.architecture, layers, x)
    assert bool(sums) == (net.architecture.activation == "relu")
    assert all((np.abs(a) > 1e-4).all() for a in sums)
