"""The whole network: gradients of every parameter, PyTorch's results, independence of samples."""

from itertools import chain, pairwise, product, repeat
from pathlib import Path

import numpy as np
import pytest
import reference
from scipy.special import softmax
from sklearn._loss.loss import HalfBinomialLoss

from skgru.losses import REGRESSION_LOSSES, Elementwise, Multinomial, Quantiles, log_loss
from skgru.network import Architecture, Network
from skgru.propagation import Buffers, Dropout, Propagation, attention_weights, pool, predict
from skgru.sequences import check_sequences
from skgru.targets import Targets
from skgru.workers import Workers

ALONE = Workers(1)
WHOLE = Dropout()  # none
ONES = repeat(1.0)
TOTAL = 8.0  # what the sum of losses is divided by
LENGTHS = [3, 6, 1, 4, 7, 6]
SIZES = [(4,), (2, 3), (2, 1, 3)]
TOPS = ["last", "mean", "max", "attention", "steps"]  # a pooling, or the head on every step

VARIANTS = {
    name: {
        "cell": name.removesuffix("_reset_after").removesuffix("_relu"),
        "reset_after": name.endswith("_reset_after"),
        "activation": "relu" if name.endswith("_relu") else "tanh",
    }
    for name in reference.CELLS
}
every_cell = pytest.mark.parametrize("cell", VARIANTS)
gru_and_lstm = pytest.mark.parametrize("cell", ["gru", "lstm"])
one_or_both_directions = pytest.mark.parametrize("bidirectional", [False, True])


def cells_with(cases, few):
    """Every case with the two forms of the GRU, a few with the other cells."""
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


# Of each: the loss, the number of its outputs, and targets for it.
LOSSES = {
    "multinomial": (Multinomial(3), 3, _labels(3, 1)),
    "binomial": (log_loss(2), 1, _labels(2, 1)),
    "multilabel": (Elementwise(HalfBinomialLoss()), 3, _labels(2, 3)),
    "quantiles": (Quantiles([0.1, 0.5, 0.8]), 6, _numbers),
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
    # what begins at zero too, so that its part in everything is seen
    rng = np.random.RandomState(1)
    biases, query = net.parameters[net.n_weights :], net.views(net.parameters).query
    biases[:] = rng.normal(size=biases.size) / 3
    query[:] = rng.normal(size=query.size)
    return net


def problem(net, lengths=LENGTHS, loss="squared_error", seed=0):
    """What to run a network on, some steps of which have the weight 0."""
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


def run(
    net, sequences, y, weights, loss, *, samples=None, n_shards=1, bptt_steps=None,
    dropout=WHOLE, workers=ALONE, propagation=Propagation, buffers=None,
):  # fmt: skip
    """Outputs in the order of y, loss and gradient, as `Objective` has them computed."""
    samples = np.arange(len(sequences)) if samples is None else samples
    by_step, n_outputs = net.architecture.return_sequences, net.architecture.n_outputs
    # with the targets goes the number of the row
    numbered = np.column_stack([y, np.arange(len(y))]).astype(net.dtype)
    targets = Targets(numbered, weights, sequences if by_step else None)
    outputs = np.full((len(y), n_outputs), np.nan, dtype=net.dtype)

    def recording_loss(numbered, f, weights):
        outputs[numbered[:, -1].astype(int)] = f
        return loss(numbered[:, :-1].copy(), f, weights)

    shards = sequences.deal(samples, n_shards)
    buffers = buffers or Buffers(net)
    gradients, views = buffers.gradients(n_shards)

    def run_shard(i):
        def empty(name, shape):
            return buffers.empty((i, name), shape)

        passes = propagation(net, buffers.parameters, empty, dropout, shard=i)
        return passes.value_and_gradient(
            sequences, shards[i], targets, TOTAL, recording_loss, bptt_steps, views[i]
        )

    value = sum(workers.map(run_shard, range(n_shards)))
    return outputs, value, gradients.sum(axis=0)


def loss_of(net, data, **options):
    """A function that runs the network and returns the loss."""
    buffers = Buffers(net)
    return lambda: run(net, **data, **options, buffers=buffers)[1]


def assert_close(net, got, want, tolerance):
    """Of two gradients: each array, relative to its largest entry."""
    for a, b in zip(arrays(net, got), arrays(net, want), strict=True):
        assert np.abs(a - b).max() <= tolerance * np.abs(b).max()


def arrays(net, vector):
    layers, query, head = net.views(vector)
    return [a for a in (*chain(*chain(*layers)), query, *head) if a.size]


def assert_gradient(net, gradient, value):
    """That it is the central differences of a value in every single parameter."""
    numeric = np.empty_like(gradient)
    for i, parameter in enumerate(net.parameters.copy()):
        net.parameters[i] = parameter + 1e-5
        above = value()
        net.parameters[i] = parameter - 1e-5
        numeric[i] = (above - value()) / 2e-5
        net.parameters[i] = parameter
    assert_close(net, gradient, numeric, 1e-6)


# ---- gradients -----------------------------------------------------------------------------------


def assert_smooth(net, data):
    """That no relu is near where it has no gradient."""
    sums, layers = [], net.views(net.parameters).layers
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "relu", lambda a: sums.append(a) or np.maximum(a, 0))
        for x in one_by_one(data["sequences"]):
            reference_states(net.architecture, layers, x)
    assert bool(sums) == (net.architecture.activation == "relu")
    assert all((np.abs(a) > 1e-4).all() for a in sums)


@pytest.mark.parametrize(
    ("cell", "sizes", "top", "bidirectional"),
    cells_with(
        list(product(SIZES, TOPS, [False, True])),
        [((4,), "last", False), *product([(2, 3)], ["last", "steps"], [False, True])],
    ),
)
def test_gradient_of_every_parameter(cell, sizes, top, bidirectional):
    net = network(sizes, top, bidirectional=bidirectional, cell=cell)
    data = problem(net)
    assert_smooth(net, data)
    assert_gradient(net, run(net, **data)[2], loss_of(net, data))


@pytest.mark.parametrize("top", ["last", "steps"])
@pytest.mark.parametrize("name", LOSSES)
def test_gradient_of_every_loss(name, top):
    net = network((3,), top, n_outputs=LOSSES[name][1])
    data = problem(net, loss=name)
    assert_gradient(net, run(net, **data)[2], loss_of(net, data))


@pytest.mark.parametrize(
    ("cell", "sizes", "top", "bidirectional", "rates"),
    cells_with(
        [
            (*net, both, rates)
            for net in (((3, 2), "max"), ((2, 1, 3), "steps"))
            for both in (False, True)
            for rates in ((0.3, 0.0), (0.0, 0.3), (0.3, 0.3))
        ],
        [((3,), "last", False, (0.0, 0.3)), ((2, 3), "steps", True, (0.3, 0.3))],
    ),
)
def test_gradient_with_dropout(cell, sizes, top, bidirectional, rates):
    net = network(sizes, top, bidirectional=bidirectional, cell=cell)
    data, dropout = problem(net), Dropout(*rates, seed=5)
    outputs, _, gradient = run(net, **data, dropout=dropout)
    assert (outputs != run(net, **data)[0]).any()
    assert_gradient(net, gradient, loss_of(net, data, dropout=dropout))


@pytest.mark.parametrize(
    ("cell", "sizes", "top", "bidirectional"),
    cells_with(
        list(product([(17,), (64, 17), (17, 64, 3)], TOPS, [False, True])),
        [((64, 17), "last", True), ((17,), "steps", False)],
    ),
)
def test_float32_gradients_are_those_of_float64(cell, sizes, top, bidirectional):
    how = {"bidirectional": bidirectional, "cell": cell}
    exact, single = (network(sizes, top, dtype=dtype, **how) for dtype in ("float64", "float32"))
    exact.parameters[:] = single.parameters  # the same rounded numbers
    data = problem(single, range(1, 41))
    got = run(single, **data)[2]
    assert got.dtype == np.float32
    data["sequences"] = as_float64(data["sequences"])
    data["y"] = data["y"].astype("float32")
    assert_close(single, got, run(exact, **data)[2], 1e-4)


def as_float64(sequences):
    return check_sequences(sequences.in_form_of_x(sequences.values), dtype="float64")


@pytest.mark.parametrize("top", TOPS)
def test_samples_and_steps_of_weight_zero_do_not_matter(top):
    net = network(top=top)
    data = problem(net)
    data["weights"][1::3] = 0
    _, value, gradient = run(net, **data)
    data["y"][1::3] += 100
    _, other_value, other_gradient = run(net, **data)
    assert value == other_value
    np.testing.assert_array_equal(gradient, other_gradient)


# ---- the plain network ---------------------------------------------------------------------------


def reference_states(architecture, layers, x, before=None, masks=ONES):
    """Top states of one sequence, or of several as long (n_steps, n_sequences, …).

    And of each layer (its last direction) the states with their memories. `before` are those that
    the first step follows, a row a layer; masks are taken one by one.
    """
    states, S = [], reference.CELLS[architecture.variant].n_states
    for depth, directions in enumerate(layers):
        if depth:
            x = x * next(masks)
        both = []
        for (W, U, b, c), order in zip(directions, (1, -1), strict=False):
            h = np.zeros(S * len(U)) if before is None else before[depth]
            # (mask ⊙ h) U is h (mask ⊙ U), of whose rows each has one number of the mask
            U = U * np.reshape(next(masks), (-1, 1))
            own = reference.forward(architecture.variant, x[::order], h, W, U, b, c)[::order]
            both.append(own[..., : len(U)])
        x = np.concatenate(both, axis=-1)
        states.append(own)
    return x, states


def reference_weights(h, parameters):
    return softmax(h @ parameters.query)


def reference_pool(architecture, h, parameters):
    H = architecture.hidden_layer_sizes[-1]
    return {
        "last": lambda: np.r_[h[-1, :H], h[0, H:]],
        "mean": lambda: h.mean(axis=0),
        "max": lambda: h.max(axis=0),
        "attention": lambda: reference_weights(h, parameters) @ h,
    }[architecture.pooling]()


def reference_outputs(architecture, h, parameters, mask=1.0):
    """A row, or a row a step, given the states of the top layer."""
    if not architecture.return_sequences:
        h = reference_pool(architecture, h, parameters)[np.newaxis]
    return h * mask @ parameters.head.W + parameters.head.b


def one_by_one(sequences):
    return np.split(sequences.values.astype("float64"), sequences.starts[1:])


@pytest.mark.parametrize(
    ("cell", "sizes", "top", "bidirectional"),
    cells_with(
        list(product(SIZES, TOPS, [False, True])),
        list(product([(2, 3)], ["last", "attention", "steps"], [False, True])),
    ),
)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-6)])
def test_outputs_match_reference(cell, sizes, top, bidirectional, dtype, tolerance):
    net = network(sizes, top, dtype=dtype, bidirectional=bidirectional, cell=cell)
    arch, data = net.architecture, problem(net)
    exact = net.views(net.parameters.astype("float64"))
    sequences = data["sequences"]
    states = [reference_states(arch, exact.layers, x)[0] for x in one_by_one(sequences)]

    def check(got, want):
        assert got.shape == want.shape
        assert np.abs(got - want).max() <= tolerance * np.abs(want).max()

    outputs = np.concatenate([reference_outputs(arch, h, exact) for h in states])
    check(run(net, **data)[0], outputs)
    check(predict(net, sequences, ALONE), outputs)
    check(pool(net, sequences, ALONE), np.array([reference_pool(arch, h, exact) for h in states]))
    if top == "attention":
        weights = attention_weights(net, sequences, ALONE)
        check(weights, np.concatenate([reference_weights(h, exact) for h in states]))


# ---- dropout -------------------------------------------------------------------------------------


@pytest.fixture
def masks(monkeypatch):
    """Every mask that is drawn, with its seed, in the order of the draws."""
    drawn = []

    class Recorder:
        def __init__(self, kernels):
            self.kernels = kernels

        def __getattr__(self, name):
            return getattr(self.kernels, name)

        def dropout(self, x, seed, rate, y):
            mask = np.empty_like(x)
            self.kernels.dropout(np.ones_like(x), seed, rate, mask)
            drawn.append((seed, mask))
            self.kernels.dropout(x, seed, rate, y)

    kernels = Network.kernels.fget
    monkeypatch.setattr(Network, "kernels", property(lambda net: Recorder(kernels(net))))
    return drawn


@every_cell
@one_or_both_directions
@pytest.mark.parametrize("top", ["last", "attention", "steps"])
def test_dropout_is_that_of_reference_with_the_same_masks(masks, top, bidirectional, cell):
    net = network((3, 2, 4), top, bidirectional=bidirectional, cell=cell)
    arch, data = net.architecture, problem(net)
    sequences, parameters = data["sequences"], net.views(net.parameters)
    outputs = run(net, **data, dropout=Dropout(0.4, 0.2, seed=1))[0]
    n_between, n_recurrent = 2, 3 * arch.n_directions
    # one before each layer but the first, one a layer and direction, and one before the head
    there = [mask for _, mask in masks[: n_between + n_recurrent + 1]]
    assert sum(set(np.unique(mask)) <= {0, 1 / 0.8} for mask in there) == n_recurrent
    assert sum(set(np.unique(mask)) <= {0, 1 / 0.6} for mask in there) == n_between + 1

    (by_length,) = sequences.deal(np.arange(len(sequences)), 1)
    owners = np.repeat(np.arange(len(LENGTHS), dtype=float), LENGTHS)[:, np.newaxis]
    owners = sequences.span(by_length).pack(owners).x[:, 0]
    expected = []
    for i, x in enumerate(one_by_one(sequences)):
        own = iter([m[(by_length if len(m) == len(LENGTHS) else owners) == i] for m in there])
        h = reference_states(arch, parameters.layers, x, masks=own)[0]
        expected.append(reference_outputs(arch, h, parameters, next(own)))
    np.testing.assert_allclose(outputs, np.concatenate(expected), rtol=1e-12, atol=1e-14)

    # predictions are of the whole network
    masks.clear()
    predict(net, sequences, ALONE)
    pool(net, sequences, ALONE)
    assert not masks


@pytest.mark.parametrize(
    ("top", "bidirectional", "n_windows"), [("mean", 0, 3), ("steps", 0, 3), ("last", 1, 1)]
)
def test_masks_differ_between_layers_windows_shards_and_seeds(masks, top, bidirectional, n_windows):
    net = network((3, 2, 4), top, bidirectional=bidirectional)
    data, n_shards, n_layers = problem(net, [7, 7, 5, 6]), 2, 3
    options = {"n_shards": n_shards, "bptt_steps": 3 if n_windows > 1 else None}
    outputs, seeds = [], []
    for seed in (10**9, 2**63 - 1):
        masks.clear()
        outputs += [run(net, **data, **options, dropout=Dropout(0.5, 0.5, seed))[0]]
        seeds += {s for s, _ in masks}
    n_before_head = n_windows if top == "steps" else 1
    n_recurrent = n_layers * net.architecture.n_directions
    n_masks = n_shards * (n_recurrent + n_windows * (n_layers - 1) + n_before_head)
    assert len(seeds) == len(set(seeds)) == 2 * n_masks
    assert (outputs[0] != outputs[1]).any(axis=1).all()
    # seeds that lie so close together have nothing else in common
    large = np.empty((len(seeds), 4000))
    for mask, seed in zip(large, seeds, strict=True):
        net.kernels.dropout(np.ones((40, 100)), seed, 0.5, mask.reshape(40, 100))
    assert np.abs(np.corrcoef(large) - np.eye(len(seeds))).max() < 0.1
    assert np.abs(large.mean(axis=1) - 1).max() < 0.1


# ---- windows of backpropagation through time -----------------------------------------------------


@every_cell
@pytest.mark.parametrize("top", TOPS)
def test_windows_change_no_output_and_long_ones_no_gradient(top, cell):
    net = network((3, 2), top, cell=cell)
    for rate in (0.0, 0.3):  # a recurrent mask is that of all windows
        data, dropout = problem(net), Dropout(0.0, rate, seed=3)
        outputs, value, gradient = run(net, **data, dropout=dropout)
        for n_steps in range(1, 10):
            windowed = run(net, **data, dropout=dropout, bptt_steps=n_steps)
            np.testing.assert_array_equal(windowed[0], outputs)
            np.testing.assert_allclose(windowed[1], value, rtol=1e-12)
            same = np.array_equal(windowed[2], gradient)
            assert same == (n_steps >= max(LENGTHS))


@pytest.mark.parametrize(
    ("cell", "top", "n_steps"),
    cells_with(
        list(product(TOPS, [1, 2, 3, 5])), [("last", 2), ("mean", 3), ("steps", 1), ("steps", 3)]
    ),
)
def test_gradient_of_windows(cell, top, n_steps):
    """It is that of a loss whose states before each window, memories too, are constants."""
    net = network((3, 2), top, cell=cell)
    data, arch, parameters = problem(net), net.architecture, net.views(net.parameters)
    n_states = net.cell.n_states
    assert_smooth(net, data)

    # counted from the ends of the sequences; what is added to the shorter comes after their steps
    bounds = [list(pairwise([0, *range((n - 1) % n_steps + 1, n + 1, n_steps)])) for n in LENGTHS]
    x = np.zeros((n_steps, sum(map(len, bounds)), 3))
    before = [np.zeros((x.shape[1], n_states * n_units)) for n_units in arch.hidden_layer_sizes]
    i = 0
    for own, whole in zip(bounds, one_by_one(data["sequences"]), strict=True):
        _, states = reference_states(arch, parameters.layers, whole)
        for start, stop in own:
            x[: stop - start, i] = whole[start:stop]
            for h, of_layer in zip(before, states, strict=True):
                h[i] = of_layer[start - 1] if start else 0
            i += 1

    def value():
        top = iter(np.swapaxes(reference_states(arch, parameters.layers, x, before)[0], 0, 1))
        outputs = []
        for own in bounds:
            h = np.concatenate([next(top)[: stop - start] for start, stop in own])
            outputs.append(reference_outputs(arch, h, parameters))
        return data["loss"](data["y"], np.concatenate(outputs), data["weights"] / TOTAL)[0]

    _, got, gradient = run(net, **data, bptt_steps=n_steps)
    np.testing.assert_allclose(got, value(), rtol=1e-12)
    assert_gradient(net, gradient, value)


@pytest.mark.parametrize(("n_steps", "rates"), [(2, (0.3, 0.3)), (3, (0.3, 0)), (4, (0, 0.3))])
@gru_and_lstm
@pytest.mark.parametrize("top", TOPS)
def test_gradient_of_windows_with_dropout(top, cell, n_steps, rates):
    """As above, of the passes themselves; a window computed again needs its masks again."""
    net = network((3, 2), top, cell=cell)
    data, constants = problem(net), {}

    class ConstantsBeforeWindows(Propagation):
        def forward(self, packed, h, window, **wanted):
            h = constants.setdefault((self.shard, window), h)
            return super().forward(packed, h, window, **wanted)

    options = {"bptt_steps": n_steps, "dropout": Dropout(*rates, seed=2), "n_shards": 2}
    _, value, gradient = run(net, **data, **options)

    value_with_constants = loss_of(net, data, **options, propagation=ConstantsBeforeWindows)
    assert value_with_constants() == value
    assert_gradient(net, gradient, value_with_constants)


# ---- PyTorch -------------------------------------------------------------------------------------


# Of each of PyTorch's modules: our cell, and where its blocks of columns are among ours.
TORCH = {
    "gru": ("gru_reset_after", [0, 1, 2]),
    "rnn": ("rnn", [0]),
    "lstm": ("lstm", [0, 1, 3, 2]),  # ours are i | f | o | g, its i | f | g | o
}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-6), ("float32", 1e-5)])
@pytest.mark.parametrize("top", ["last", "steps"])
@one_or_both_directions
@pytest.mark.parametrize("module", TORCH)
def test_outputs_and_gradients_of_torch(module, bidirectional, top, dtype, tolerance):
    file = f"torch_{'bi' * bidirectional}{module}.npz"
    golden, (cell, order) = np.load(Path(__file__).parent / "data" / file), TORCH[module]
    target, H = golden[f"target_{top}"], 5
    net = network((H, H), top, target.shape[1], dtype, bidirectional=bidirectional, cell=cell)
    layers, _, head = net.views(net.parameters)
    values = _from_torch(golden, layers, order)
    for layer, own in zip(chain(*layers), values, strict=True):
        for array, value in zip(layer, own, strict=True):
            array[:] = value
    head.W[:], head.b[:] = np.eye(target.shape[1]), 0  # the outputs are the states

    def inner_product(y, outputs, weights):
        return float((outputs * y).sum() / TOTAL), y / TOTAL

    xs = np.split(golden["x"], np.cumsum(golden["lengths"])[:-1])
    sequences = check_sequences(xs, dtype=dtype)
    outputs, value, gradient = run(net, sequences, target, np.ones(len(target)), inner_product)
    np.testing.assert_allclose(outputs, golden[top], rtol=tolerance, atol=tolerance / 10)
    np.testing.assert_array_equal(predict(net, sequences, ALONE), outputs)
    np.testing.assert_allclose(value * TOTAL, (golden[top] * target).sum(), rtol=tolerance)

    # the last states of every layer and direction, with their memories
    (by_length,) = sequences.deal(np.arange(len(sequences)), 1)
    packed, buffers = sequences.span(by_length).pack(sequences.values), Buffers(net)
    passes = Propagation(net, buffers.parameters, buffers.empty)
    ends = passes.forward(packed, [], 0, keep=False, want_states=False).h_last
    wanted = golden["ends"][:, by_length]
    np.testing.assert_allclose(ends, wanted, rtol=tolerance, atol=tolerance / 10)

    d_layers = net.views(gradient * TOTAL).layers
    wanted = _from_torch(golden, layers, order, f"_grad_{top}")
    for d_layer, values in zip(chain(*d_layers), wanted, strict=True):
        for got, want in zip(d_layer, values, strict=True):
            assert np.abs(got - want).max(initial=0) <= tolerance * np.abs(want).max(initial=0)


def _from_torch(golden, layers, order, suffix=""):
    """W, U, b and c (or their gradients) of PyTorch's layers: transposed, and two biases as one."""
    for depth, directions in enumerate(layers):
        for direction, layer in zip(("", "_reverse"), directions, strict=False):
            W, U, b, b_hidden = (
                np.concatenate(
                    [
                        np.split(golden[f"{name}_l{depth}{direction}{suffix}"], len(order))[k]
                        for k in order
                    ]
                )
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            n = len(layer.c)
            c = b_hidden[len(b) - n :]
            if not suffix:
                b = b + np.r_[b_hidden[: len(b) - n], np.zeros(n)]
            yield W.T, U.T, b, c


# ---- independence of samples, chunks, shards and threads -----------------------------------------


@every_cell
@pytest.mark.parametrize("top", TOPS)
@pytest.mark.parametrize(("bidirectional", "bptt_steps"), [(0, None), (1, None), (0, 2)])
def test_a_ragged_batch_equals_its_sequences_one_by_one(top, bidirectional, bptt_steps, cell):
    net = network((5, 4), top, bidirectional=bidirectional, cell=cell)
    data = problem(net)
    outputs, value, gradient = run(net, **data, bptt_steps=bptt_steps)
    alone = [
        run(net, **data, bptt_steps=bptt_steps, samples=np.array([i])) for i in range(len(LENGTHS))
    ]
    by_row = [a[0][~np.isnan(a[0]).any(axis=1)] for a in alone]
    np.testing.assert_array_equal(outputs, np.concatenate(by_row))
    np.testing.assert_allclose(value, sum(a[1] for a in alone), rtol=1e-12)
    np.testing.assert_allclose(gradient, sum(a[2] for a in alone), rtol=1e-10, atol=1e-14)


@gru_and_lstm
@one_or_both_directions
@pytest.mark.parametrize("top", TOPS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(5,), (20, 9)])
def test_predictions_have_the_same_bits_in_any_chunk_and_thread(
    monkeypatch, sizes, top, bidirectional, cell, dtype
):
    net = network(sizes, top, dtype=dtype, bidirectional=bidirectional, cell=cell)
    data = problem(net, [9, 2, 5, 1, 7, 7, 3])
    functions = [predict, pool, *([attention_weights] if top == "attention" else [])]
    whole = [function(net, data["sequences"], ALONE) for function in functions]
    np.testing.assert_array_equal(whole[0], run(net, **data)[0])

    def check(workers):
        for function, want in zip(functions, whole, strict=True):
            np.testing.assert_array_equal(function(net, data["sequences"], workers), want)

    with Workers(3) as workers:
        for samples in (1, 2, 3):
            monkeypatch.setattr("skgru.propagation.PREDICT_SAMPLES", samples)
            check(workers)
    monkeypatch.setattr("skgru.propagation.PREDICT_SAMPLES", 96)
    monkeypatch.setattr("skgru.propagation.PREDICT_NUMBERS", 0)  # one at a time
    check(ALONE)


@pytest.mark.parametrize("n_shards", [2, 3, 7])
@pytest.mark.parametrize(
    ("top", "bidirectional", "bptt_steps"),
    [(top, False, None) for top in TOPS]
    + [("steps", False, 2), ("mean", False, 3), ("max", True, None)],
)
@gru_and_lstm
def test_shards_add_up_to_the_whole(n_shards, top, bidirectional, bptt_steps, cell):
    net = network((5, 4), top, bidirectional=bidirectional, cell=cell)
    data = problem(net, [9, 2, 5, 1, 7, 7, 3])
    want = run(net, **data, bptt_steps=bptt_steps)
    with Workers(2) as workers:
        options = {"n_shards": n_shards, "workers": workers}
        got = run(net, **data, **options, bptt_steps=bptt_steps)
    np.testing.assert_array_equal(got[0], want[0])
    np.testing.assert_allclose(got[1], want[1], rtol=1e-12)
    np.testing.assert_allclose(got[2], want[2], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("dropout", [WHOLE, Dropout(0.3, 0.3, 1)])
@gru_and_lstm
@pytest.mark.parametrize("top", TOPS)
def test_threads_and_used_buffers_change_no_bit(top, cell, dropout):
    net = network((5, 4), top, cell=cell)
    buffers = Buffers(net)
    for lengths in ([9, 2, 5, 1, 7, 7, 3], [3, 1, 2, 4], [8] * 8):
        data = {**problem(net, lengths), "dropout": dropout, "bptt_steps": 4, "n_shards": 3}
        want = run(net, **data)
        with Workers(3) as workers:
            got = run(net, **data, workers=workers, buffers=buffers)
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a, b)


# ---- parameters ----------------------------------------------------------------------------------


@every_cell
@one_or_both_directions
@pytest.mark.parametrize("pooling", ["last", "attention"])
def test_initial_weights(pooling, bidirectional, cell):
    """Only the bias of a forget gate does not begin at zero."""
    _, n_gates, _, forget = reference.CELLS[cell]
    how = {"bidirectional": bidirectional, "pooling": pooling, **VARIANTS[cell]}
    arch = Architecture(6, (8, 5), 2, **how)
    net = Network(arch, "float64")
    net.initialize(np.random.RandomState(0))
    layers, query, head = net.views(net.parameters)
    assert [len(directions) for directions in layers] == [arch.n_directions] * 2
    assert [len(directions[0].W) for directions in layers] == [6, 8 * arch.n_directions]
    for layer in chain(*layers):
        H = len(layer.U)
        for gate in range(n_gates):
            assert (layer.b[gate * H : (gate + 1) * H] == (gate == forget)).all()
            U = layer.U[:, gate * H : (gate + 1) * H]
            np.testing.assert_allclose(U @ U.T, np.eye(H), atol=1e-12)
        bound = np.sqrt(6 / (len(layer.W) + H))
        assert 0.8 * bound < np.abs(layer.W).max() <= bound
        assert layer.b.shape == (n_gates * H,)
        assert layer.c.shape == (H * arch.reset_after,)
        assert not layer.c.any()
    bound = np.sqrt(6 / (arch.width + 2))
    assert head.W.shape == (arch.width, 2)
    assert 0.8 * bound < np.abs(head.W).max() <= bound
    assert query.shape == (arch.width * (pooling == "attention"),)
    assert not query.any()
    assert not head.b.any()
    # no two parts are alike, and together they are the vector: weights, then biases
    drawn = np.concatenate([a.ravel() for layer in chain(*layers) for a in layer[:2]])
    assert len(np.unique(drawn)) == drawn.size
    names = net.views(np.arange(net.parameters.size))
    weights = [a for layer in chain(*names.layers) for a in layer[:2]] + [names.query, names.head.W]
    biases = [a for layer in chain(*names.layers) for a in layer[2:]] + [names.head.b]
    flat = np.concatenate([a.ravel() for a in weights + biases])
    np.testing.assert_array_equal(flat, np.arange(net.parameters.size))
    assert sum(a.size for a in weights) == net.n_weights


@one_or_both_directions
def test_attention_begins_as_the_mean(bidirectional):
    mean, attention = (
        network(top=top, bidirectional=bidirectional) for top in ("mean", "attention")
    )
    for new, old in zip(
        arrays(attention, attention.parameters)[:-3],
        arrays(mean, mean.parameters)[:-2],
        strict=True,
    ):
        new[:] = old
    attention.views(attention.parameters).query[:] = 0
    sequences = problem(mean)["sequences"]
    np.testing.assert_allclose(
        pool(attention, sequences, ALONE), pool(mean, sequences, ALONE), rtol=1e-12
    )
    np.testing.assert_allclose(
        attention_weights(attention, sequences, ALONE),
        np.repeat(1 / sequences.lengths, sequences.lengths),
    )
