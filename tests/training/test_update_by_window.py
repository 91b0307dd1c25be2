"""Updates after every window of time steps, with states that pass from one window to the next."""

import numpy as np
import pytest
from helpers import reference_outputs, reference_states
from network_helpers import network
from scipy.optimize import approx_fprime
from scipy.special import log_softmax

from skgru import GRUClassifier
from skgru.losses import Multinomial
from skgru.model.architecture import Architecture
from skgru.model.network import Network
from skgru.model.propagation import Propagation
from skgru.model.workers import Workers
from skgru.sequences import Sequences, Targets, check_sequences
from skgru.training.objective import Objective

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N_STEPS = 3
BY_WINDOW = {"return_sequences": True, "bptt_steps": N_STEPS, "update_every": "window"}


def streams(lengths, n_classes=3):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 3)) for n in lengths]
    return X, [rng.integers(n_classes, size=n) for n in lengths]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("lengths", [[8, 8, 8], [9, 4, 7, 1]], ids=["equal", "ragged"])
def test_gradients_of_windows(lengths, cell):
    """Each is that of the parameters of then, from states that those before have computed."""
    X, y = streams(lengths)
    net = network((4, 3), "steps", n_outputs=3, cell=cell)
    sequences = check_sequences(X)
    codes = np.concatenate(y).astype(float)[:, np.newaxis]
    objective = Objective(
        net, Multinomial(3), sequences, Targets(codes, np.ones(len(codes)), sequences),
        np.arange(len(X)), alpha=0.0, workers=Workers(1), bptt_steps=N_STEPS,
    )  # fmt: skip
    arch, n_states = net.architecture, net.cell.n_states
    h = [np.zeros((len(X), n_states * n)) for n in arch.hidden_layer_sizes]
    n_windows = -(-max(lengths) // N_STEPS)
    seen = 0
    for i, (n_steps, value, gradient, norm) in enumerate(objective.by_window(np.arange(len(X)))):
        # windows are counted from the ends of the sequences
        stops = [n - N_STEPS * (n_windows - 1 - i) for n in lengths]
        own = {k: slice(max(stop - N_STEPS, 0), stop) for k, stop in enumerate(stops) if stop > 0}
        assert n_steps == sum(part.stop - part.start for part in own.values())
        seen += n_steps

        def run(vector, own=own, keep=False):
            parameters, total = net.views(vector), 0.0
            for k, part in own.items():
                x = X[k][part][:, np.newaxis]
                before = [layer[[k]] for layer in h]
                top, states = reference_states(arch, parameters.layers, x, before)
                outputs = reference_outputs(arch, top[:, 0], parameters)
                total -= log_softmax(outputs, axis=1)[np.arange(len(x)), y[k][part]].sum()
                for layer, after in zip(h, states, strict=True):
                    if keep:
                        layer[k] = after[-1]
            return total / sum(part.stop - part.start for part in own.values())

        np.testing.assert_allclose(value, run(net.parameters), rtol=1e-10)
        want = approx_fprime(net.parameters.copy(), run, 1e-6)
        np.testing.assert_allclose(gradient, want, atol=1e-5)
        np.testing.assert_allclose(norm, np.linalg.norm(want), rtol=1e-4)
        run(net.parameters, keep=True)
        net.parameters -= 0.5 * gradient
    assert (i + 1, seen) == (n_windows, sum(lengths))


def test_shards_add_up(monkeypatch):
    """Also where a shard has shorter sequences, and begins later."""
    X, y = streams([9, 2, 3, 2, 1])
    net = network((4, 3), "steps", n_outputs=3, cell="lstm")
    sequences = check_sequences(X)
    codes = np.concatenate(y).astype(float)[:, np.newaxis]
    targets = Targets(codes, np.linspace(1, 2, len(codes)), sequences)
    updates = []
    for n_shards in (1, 3):
        monkeypatch.setattr(Network, "n_shards", lambda *_, n=n_shards, **__: n)
        objective = Objective(
            net, Multinomial(3), sequences, targets, np.arange(5), alpha=0.1, workers=Workers(2),
            bptt_steps=N_STEPS,
        )  # fmt: skip
        passes = objective.by_window(np.arange(5))
        updates.append([(size, value, *gradient) for size, value, gradient, _ in passes])
    np.testing.assert_allclose(*updates, rtol=1e-9, atol=1e-12)


def of_segments(gradient, segments):
    """Return the gradient of the parameters that take part; that of the others is zero."""
    result = np.zeros_like(gradient)
    for start, stop in segments:
        result[start:stop] = gradient[start:stop]
    return result


@pytest.mark.parametrize("embedding_dim", [0, 2])
def test_windows_read_the_codes_of_their_own_steps(embedding_dim):
    """With weights that stay, gradients of windows add up to that of truncated backpropagation."""
    lengths = [8, 5, 7]
    _, y = streams(lengths)
    # a category of the first window alone, and one of the last alone
    X = [np.r_[1, np.full(n - 2, 0), 2].astype(np.uint8) for n in lengths]
    architecture = Architecture(
        n_channels=0, hidden_layer_sizes=(4,), n_outputs=3, return_sequences=True,
        n_categories=(5,), embedding_dim=embedding_dim,
    )  # fmt: skip
    net = Network(architecture, "float64")
    net.initialize(np.random.RandomState(0))
    sequences = Sequences(
        np.empty((20, 0)), np.array(lengths), 8, "list", np.concatenate(X)[:, np.newaxis]
    )
    targets = Targets(np.concatenate(y)[:, np.newaxis] * 1.0, np.ones(20), sequences)
    objective = Objective(
        net, Multinomial(3), sequences, targets, np.arange(3), alpha=0.0, workers=Workers(1),
        bptt_steps=N_STEPS,
    )  # fmt: skip
    parts = [
        (size / 20 * value, size / 20 * of_segments(gradient, objective.segments))
        for size, value, gradient, _ in objective.by_window(np.arange(3))
    ]
    value, gradient, _ = objective.minibatch(np.arange(3))
    gradient = of_segments(gradient, objective.segments)
    assert sum(part for part, _ in parts) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(sum(part for _, part in parts), gradient, rtol=1e-9, atol=1e-12)
    (table,) = net.views(parts[0][1]).inputs.tables or [net.views(parts[0][1]).inputs.embedding]
    assert table[1].any()
    assert not table[2:].any()


def test_two_threads_share_a_few_wide_streams():
    net = network((256,), "steps")
    assert net.n_shards(32, 3200) == 1
    assert net.n_shards(32, 3200, at_least_two=True) == 2
    assert net.n_shards(8, 800, at_least_two=True) == 1


@pytest.mark.parametrize("lengths", [[20] * 4, [20, 7, 13, 1]], ids=["equal", "ragged"])
def test_states_are_carried_from_window_to_window(lengths):
    """With weights that hardly move, the loss is that of whole sequences."""
    X, y = streams(lengths)
    how = {"learning_rate_init": 1e-12, "max_iter": 1, "alpha": 0.0, "random_state": 0}
    by_window = GRUClassifier(5, **BY_WINDOW, **how).fit(X, y)
    whole = GRUClassifier(5, return_sequences=True, **how).fit(X, y)
    assert by_window.loss_ == pytest.approx(whole.loss_, rel=1e-5)
    assert by_window.n_updates_ == 7  # of 3 steps each, the first of 2
    assert whole.n_updates_ == 1


def test_the_order_of_windows_is_learned_from():
    """A label that a state must keep over several windows: the first value of its sequence."""
    rng = np.random.default_rng(0)
    first = rng.integers(2, size=64)
    X = rng.normal(size=(64, 13, 2)) / 10
    X[:, 0, 0] = 2 * first - 1
    y = np.repeat(first[:, np.newaxis], 13, axis=1)
    how = {"learning_rate_init": 0.02, "max_iter": 40, "random_state": 0}
    model = GRUClassifier(12, **BY_WINDOW, **how).fit(X, y)
    assert (model.predict(X)[:, -1] == first).mean() > 0.95
    # what windows could learn by themselves: nothing, after the first
    apart = X[:, 1:].reshape(-1, N_STEPS, 2), y[:, 1:].reshape(-1, N_STEPS)
    alone = GRUClassifier(12, return_sequences=True, **how).fit(*apart)
    assert (alone.predict(X)[:, -1] == first).mean() < 0.8


@pytest.mark.parametrize("lengths", [[40] * 40, [40, 31, 9, 2] * 10], ids=["equal", "ragged"])
@pytest.mark.parametrize(
    "more",
    [{}, {"dropout": 0.3, "recurrent_dropout": 0.2}, {"cell": "lstm", "early_stopping": True}],
    ids=str,
)
def test_the_same_bits_for_every_n_jobs(monkeypatch, lengths, more):
    monkeypatch.setattr("skgru.model.network.SHARD_FLOPS", 10_000)  # several shards
    X, y = streams(lengths)
    models = [
        GRUClassifier((6, 5), **BY_WINDOW, **more, max_iter=2, random_state=0, n_jobs=n).fit(X, y)
        for n in (1, 3)
    ]
    for name in ("loss_curve_", "grad_norm_curve_", "validation_scores_"):
        assert getattr(models[0], name) == getattr(models[1], name)
    np.testing.assert_array_equal(*(model._network.parameters for model in models))


def test_all_steps_of_a_sequence_share_the_recurrent_mask(monkeypatch):
    masks, draw = [], Propagation._recurrent_masks

    def recording(propagation, n_samples):
        masks.extend(draw(propagation, n_samples))
        return masks[-1:]

    monkeypatch.setattr(Propagation, "_recurrent_masks", recording)
    X, y = streams([7] * 3)
    GRUClassifier(4, **BY_WINDOW, recurrent_dropout=0.5, max_iter=2, shuffle=False).fit(X, y)
    assert len(masks) == 6
    first, second = masks[:3], masks[3:]  # one epoch is three windows
    assert all(np.array_equal(mask, first[0]) for mask in first)
    assert all(np.array_equal(mask, second[0]) for mask in second)
    assert not np.array_equal(first[0], second[0])


def test_the_cosine_comes_to_its_end():
    X, y = streams([20] * 40)
    model = GRUClassifier(4, **BY_WINDOW, max_iter=3).fit(X, y)
    assert model._solver.schedule.n_updates_planned == model.n_updates_ == 3 * 2 * 7
    assert model._solver.schedule.learning_rate < 0.01 * model.learning_rate_init


def test_early_stopping_holds_out_streams_and_does_not_train_again():
    X, y = streams([20] * 40)
    model = GRUClassifier(4, **BY_WINDOW, early_stopping=True, max_iter=3, random_state=0)
    model.fit(X, y)
    assert model.t_ == 3 * 36
    assert len(model.validation_scores_) == model.n_iter_ == 3


def test_partial_fit():
    X, y = streams([20] * 3)
    model = GRUClassifier(4, **BY_WINDOW, random_state=0)
    for _ in range(2):
        model.partial_fit(X, y, classes=[0, 1, 2])
    assert model.n_updates_ == 2 * 7


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bptt_steps": None}, "got bptt_steps=None"),
        ({"return_sequences": False}, "got return_sequences=False"),
        ({"solver": "lbfgs"}, 'got solver="lbfgs"'),
        ({"bidirectional": True}, "one of the two must go"),
    ],
)
def test_combinations_without_a_meaning_are_refused(parameters, message):
    X, y = streams([4, 4])
    with pytest.raises(ValueError, match=message):
        GRUClassifier(**{**BY_WINDOW, **parameters}).fit(X, y)
