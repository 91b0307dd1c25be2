import pickle

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import check_is_fitted

from skgru import GRUClassifier, GRURegressor
from skgru.interop import from_torch, to_torch

torch = pytest.importorskip("torch")
from skgru.interop.torch_layer import GatedLayer  # noqa: E402

torch.set_num_threads(1)  # models are too small for more
nn = torch.nn
pack_sequence = torch.nn.utils.rnn.pack_sequence
unpack_sequence = torch.nn.utils.rnn.unpack_sequence

CELLS = [
    {"cell": "gru"},
    {"reset_after": True},
    {"cell": "rnn"},
    {"cell": "lstm"},
    {"cell": "cifg"},
    {"cell": "light_gru"},
    {"cell": "mgu"},
    {"cell": "light_gru", "activation": "relu"},
]
# those that PyTorch has no layer for
GATED = [CELLS[0], CELLS[-2], CELLS[-1]]


def name_of(cell):
    return "-".join(map(str, cell.values()))


every_cell = pytest.mark.parametrize("cell", CELLS, ids=name_of)
every_gated_cell = pytest.mark.parametrize("cell", GATED, ids=name_of)


def padded(X):
    """Return sequences as one array, padded with NaN, and their lengths."""
    lengths = [len(x) for x in X]
    values = np.full((len(X), max(lengths), X[0].shape[1]), np.nan)
    for row, x in zip(values, X, strict=True):
        row[: len(x)] = x
    return values, lengths


def fitted(estimator, X, y, **parameters):
    """Return a fitted model with random biases."""
    model = estimator((5, 3), dtype="float64", max_iter=1, random_state=0, **parameters)
    model.set_params(solver="sgd", tol=0).partial_fit(X, y, **classes_of(model, y))
    rng = np.random.default_rng(0)
    for layer in model.layers_:
        layer.b[:] = rng.normal(size=layer.b.shape)
        layer.c[:] = rng.normal(size=layer.c.shape)
    model.head_.b[:] = rng.normal(size=model.head_.b.shape)
    if model.pooling == "attention":
        model.query_[:] = rng.normal(size=model.query_.shape)
    return model


def classes_of(model, y):
    return {"classes": np.unique(y)} if isinstance(model, GRUClassifier) else {}


# ---- to PyTorch ----------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
@every_cell
def test_module_gives_the_same_logits(ragged, cell, bidirectional, pooling):
    X, y = ragged
    model = fitted(GRUClassifier, X, y, bidirectional=bidirectional, pooling=pooling, **cell)
    module = to_torch(model)
    values, lengths = padded(X)
    packed = pack_sequence([torch.tensor(x) for x in X], enforce_sorted=False)
    expected = model.predict_proba(X)[:, 1]
    for logits in (module(torch.tensor(values), lengths), module(packed)):
        np.testing.assert_allclose(expit(logits.detach().numpy()[:, 0]), expected, atol=1e-12)
    # without lengths: sequences of one length
    x = np.stack([x for x in X if len(x) == 5])
    expected = model.predict_proba(x)[:, 1]
    logits = module(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(expit(logits[:, 0]), expected, atol=1e-12)


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_module_gives_the_same_outputs_at_every_step(ragged, bidirectional, reset_after):
    X, _ = ragged
    y = [x.sum(axis=1) for x in X]
    model = fitted(
        GRURegressor,
        X,
        y,
        return_sequences=True,
        reset_after=reset_after,
        bidirectional=bidirectional,
    )
    module = to_torch(model)
    values, lengths = padded(X)
    values = np.pad(values, [(0, 0), (0, 3), (0, 0)])  # more steps than the longest sequence
    outputs = module(torch.tensor(values), lengths).detach().numpy()
    assert outputs.shape == (*values.shape[:2], 1)
    packed = module(pack_sequence([torch.tensor(x) for x in X], enforce_sorted=False))
    for expected, own, of_packed in zip(
        model.predict(X), outputs, unpack_sequence(packed), strict=True
    ):
        np.testing.assert_allclose(own[: len(expected), 0], expected, atol=1e-12)
        assert (own[len(expected) :] == 0).all()
        np.testing.assert_allclose(of_packed.detach().numpy()[:, 0], expected, atol=1e-12)
    whole = [x for x in X if len(x) == 5]
    of_whole = module(torch.tensor(np.stack(whole))).detach().numpy()[:, :, 0]
    np.testing.assert_allclose(of_whole, np.stack(model.predict(whole)), atol=1e-12)


@every_cell
def test_float32(ragged, cell):
    X, _ = ragged
    values, lengths = padded(X)
    values = torch.tensor(values, dtype=torch.float32)
    settings = {"max_iter": 3, "random_state": 0, **cell}
    classifier = GRUClassifier((5, 3), **settings).fit(X, np.arange(40) % 3)
    own = torch.softmax(to_torch(classifier)(values, lengths), dim=1).detach().numpy()
    np.testing.assert_allclose(own, classifier.predict_proba(X), rtol=0, atol=1e-6)
    regressor = GRURegressor((5, 3), **settings).fit(X, np.linspace(-1, 1, 40))
    own = to_torch(regressor)(values, lengths).detach().numpy()[:, 0]
    np.testing.assert_allclose(own, regressor.predict(X), rtol=0, atol=1e-6)


@pytest.mark.parametrize("reset_after", [False, True])
def test_module_has_the_dtype_of_the_estimator_and_can_be_saved(ragged, tmp_path, reset_after):
    X, y = ragged
    model = GRUClassifier(4, reset_after=reset_after, max_iter=2, random_state=0)
    module = to_torch(model.fit(X, y))
    assert {p.dtype for p in module.parameters()} == {torch.float32}
    assert isinstance(module.recurrent[0], nn.GRU if reset_after else GatedLayer)
    assert not module.training
    torch.save(module, tmp_path / "model.pt")
    loaded = torch.load(tmp_path / "model.pt", weights_only=False)
    x = torch.tensor(X[0][np.newaxis], dtype=torch.float32)
    assert torch.equal(module(x), loaded(x))
    # weights are copied
    with torch.no_grad():
        module.head.weight.zero_()
    assert model.head_.W.all()


@every_cell
@pytest.mark.parametrize("pooling", ["last", "attention"])
def test_gradient_with_respect_to_x(ragged, cell, pooling):
    """That of each output, compared with central differences of the estimator."""
    X, _ = ragged
    y = np.random.default_rng(0).normal(size=(40, 2))
    model = fitted(GRURegressor, X, y, pooling=pooling, bidirectional=True, **cell)
    values, lengths = padded(X[:3])
    values = np.nan_to_num(values)
    x = torch.tensor(values, requires_grad=True)
    outputs = to_torch(model)(x, lengths)
    for j in range(2):
        (gradient,) = torch.autograd.grad(outputs[:, j].sum(), x, retain_graph=True)
        for i, n_steps in enumerate(lengths):
            expected = np.zeros(values.shape[1:])
            for t, channel in np.ndindex(n_steps, 2):
                ends = []
                for change in (1e-6, -1e-6):
                    moved = values[i, :n_steps].copy()
                    moved[t, channel] += change
                    ends.append(model.predict([moved])[0, j])
                expected[t, channel] = (ends[0] - ends[1]) / 2e-6
            np.testing.assert_allclose(gradient[i].numpy(), expected, atol=1e-8)
    assert abs(gradient).max() > 0.01


def test_integrated_gradients_add_up_to_the_change_of_the_output(ragged):
    """Completeness (Sundararajan et al. 2017), as Captum computes them."""
    X, y = ragged
    model = fitted(GRUClassifier, X, y, bidirectional=True, pooling="mean")
    module = to_torch(model)
    x = torch.tensor(np.stack([x for x in X if len(x) == 5]))
    nodes, weights = np.polynomial.legendre.leggauss(30)
    attributions = torch.zeros_like(x)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        scaled = (node * x).requires_grad_()
        (gradient,) = torch.autograd.grad(module(scaled).sum(), scaled)
        attributions += weight * gradient * x

    def logits(sequences):
        log_p = model.predict_log_proba(sequences.numpy())
        return log_p[:, 1] - log_p[:, 0]

    expected = logits(x) - logits(torch.zeros_like(x))
    np.testing.assert_allclose(attributions.sum(dim=(1, 2)).numpy(), expected, rtol=1e-9)
    assert abs(expected).min() > 1e-3


@every_gated_cell
def test_gated_layers_keep_their_cell_in_training(ragged, cell):
    X, y = ragged
    model = GRUClassifier(4, max_iter=3, random_state=0, **cell).fit(X, y)
    module = to_torch(model).train()
    values, lengths = padded(X)
    x, target = torch.tensor(values).float(), torch.tensor(y == "up").float()
    optimizer, losses = torch.optim.Adam(module.parameters(), lr=0.02), []
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(module(x, lengths)[:, 0], target)
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < losses[0] / 2
    back = from_torch(module.eval(), classes=model.classes_)
    assert back.get_params()["cell"] == model.get_params()["cell"]
    own = torch.sigmoid(module(x, lengths)[:, 0]).detach().numpy()
    np.testing.assert_allclose(back.predict_proba(X)[:, 1], own, rtol=0, atol=1e-6)
    assert back.score(X, y) > 0.9


def test_unfitted_estimators_and_modules_are_rejected():
    with pytest.raises(NotFittedError, match="GRUClassifier instance is not fitted"):
        to_torch(GRUClassifier())
    with pytest.raises(TypeError, match="got a GRU"):
        to_torch(nn.GRU(2, 3))


# ---- from PyTorch --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("module", [nn.GRU, nn.LSTM, nn.RNN])
def test_estimator_matches_the_module(module, bidirectional, bias, dtype):
    torch.manual_seed(0)
    recurrent = module(
        3, 5, num_layers=2, bidirectional=bidirectional, bias=bias, batch_first=True, dtype=dtype
    )
    head = nn.Linear(5 * (1 + bidirectional), 4, bias=bias, dtype=dtype)
    x = torch.randn(6, 7, 3, dtype=dtype)
    _, h = recurrent(x)
    h = h[0] if module is nn.LSTM else h
    logits = head(torch.hstack(list(h[-1 - bidirectional :]))).detach().numpy()
    model = from_torch(recurrent, head, classes=["c", "a", "d", "b"])
    expected = softmax(logits, axis=1)[:, [1, 3, 0, 2]]
    tolerance = 1e-6 if dtype is torch.float32 else 1e-12
    np.testing.assert_allclose(model.predict_proba(x.numpy()), expected, atol=tolerance)
    assert model.classes_.tolist() == ["a", "b", "c", "d"]
    assert model.get_params()["cell"] == module.__name__.lower()
    assert len(model.layers_) == 2 * (1 + bidirectional)


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("classes", [["no", "yes"], ["yes", "no"]])
def test_two_classes(n_outputs, classes):
    torch.manual_seed(0)
    gru, head = nn.GRU(2, 4, batch_first=True), nn.Linear(4, n_outputs)
    x = torch.randn(9, 5, 2)
    with torch.no_grad():  # both classes are predicted
        head.bias -= head(gru(x)[1][0]).median(dim=0).values
    logits = head(gru(x)[1][0]).detach().numpy()
    of_second = expit(logits[:, 0] if n_outputs == 1 else logits[:, 1] - logits[:, 0])
    model = from_torch(gru, head, classes=classes)
    column = model.classes_.tolist().index(classes[1])
    np.testing.assert_allclose(model.predict_proba(x)[:, column], of_second, atol=1e-6)
    expected = np.where(of_second > 0.5, classes[1], classes[0])
    assert model.predict(x).tolist() == expected.tolist()
    assert len(set(expected)) == 2


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_multilabel(pooling):
    torch.manual_seed(0)
    gru, head = nn.GRU(2, 4, batch_first=True), nn.Linear(4, 3)
    x = torch.randn(9, 5, 2)
    states = gru(x)[0]
    pooled = states.mean(dim=1) if pooling == "mean" else states.amax(dim=1)
    expected = torch.sigmoid(head(pooled)).detach().numpy()
    model = from_torch(gru, head, multilabel=True, pooling=pooling)
    np.testing.assert_allclose(model.predict_proba(x), expected, atol=1e-6)
    assert (model.predict(x) == (expected > 0.5)).all()


def test_regressors():
    torch.manual_seed(0)
    gru = nn.GRU(2, 4, batch_first=True)
    x = torch.randn(9, 5, 2)
    h = gru(x)[1][0]
    head = nn.Linear(4, 6)
    outputs = head(h).detach().numpy()
    np.testing.assert_allclose(from_torch(gru, head).predict(x), outputs, atol=1e-6)
    rates = from_torch(gru, head, loss="poisson").predict(x)
    np.testing.assert_allclose(rates, np.exp(outputs), rtol=1e-5)
    quantiles = from_torch(gru, head, loss="quantile").predict(x)
    np.testing.assert_allclose(quantiles, np.sort(outputs.reshape(9, 2, 3)), atol=1e-6)
    steps = from_torch(gru, head, return_sequences=True).predict(x)
    np.testing.assert_allclose(steps, head(gru(x)[0]).detach().numpy(), atol=1e-6)
    # a table, whose rows unfold into the channels of the module
    table = x.numpy().reshape(9, 10)
    np.testing.assert_allclose(from_torch(gru, head).predict(table), outputs, atol=1e-6)


def test_layers_of_several_modules():
    torch.manual_seed(0)
    below, above, head = nn.LSTM(2, 6), nn.LSTM(6, 3, num_layers=2), nn.Linear(3, 1)
    x = torch.randn(7, 4, 2)
    _, (h, _) = above(below(x)[0])
    model = from_torch([below, above], head)
    expected = head(h[-1]).detach().numpy()[:, 0]
    np.testing.assert_allclose(model.predict(x.transpose(0, 1)), expected, atol=1e-6)
    assert model.hidden_layer_sizes == (6, 3, 3)


@every_cell
@pytest.mark.parametrize("pooling", ["last", "attention"])
def test_from_torch_inverts_to_torch(ragged, cell, pooling):
    X, y = ragged
    model = fitted(GRUClassifier, X, y, bidirectional=True, pooling=pooling, **cell)
    back = from_torch(to_torch(model), classes=model.classes_)
    np.testing.assert_allclose(back.predict_proba(X), model.predict_proba(X), atol=1e-12)
    if cell not in ({"cell": "cifg"}, {"cell": "light_gru"}):  # they are an LSTM and a GRU there
        assert (back.predict_proba(X) == model.predict_proba(X)).all()
        for name in ("cell", "reset_after", "activation", "bidirectional"):
            assert getattr(back, name) == getattr(model, name)
        np.testing.assert_array_equal(back._network.parameters, model._network.parameters)


def test_estimator_can_be_cloned_pickled_and_trained(ragged):
    X, y = ragged
    torch.manual_seed(0)
    gru = nn.GRU(2, 6, batch_first=True)
    model = from_torch(gru, nn.Linear(6, 1), classes=["down", "up"], random_state=0)
    check_is_fitted(model)
    assert (model.n_features_in_, model.n_outputs_, model.n_iter_, model.t_) == (2, 1, 0, 0)
    assert model.n_parameters_ == sum(p.numel() for p in gru.parameters()) - 2 * 6 + 7
    before = model.predict_proba(X)
    assert (pickle.loads(pickle.dumps(model)).predict_proba(X) == before).all()
    assert model.transform(X).shape == (len(X), 6)

    unfitted = clone(model)
    assert unfitted.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        unfitted.predict(X)
    assert unfitted.set_params(max_iter=30, learning_rate="cosine").fit(X, y).score(X, y) > 0.7

    # training continues from its weights
    continued = model.partial_fit(X, y)
    change = np.abs(continued.predict_proba(X) - before).max()
    assert 0 < change < 0.3
    assert continued.n_iter_ == 1
    warm = model.set_params(warm_start=True, max_iter=30, learning_rate="cosine").fit(X, y)
    assert warm.n_iter_ == 31
    assert warm.score(X, y) > 0.9
    with pytest.raises(ValueError, match="not in classes"):
        warm.fit(X, np.where(y == "up", "sideways", y))


def test_weights_of_the_module_are_copied(ragged):
    gru = nn.GRU(2, 4)
    model = from_torch(gru, nn.Linear(4, 1))
    model.layers_[0].U[:] = 0
    assert gru.weight_hh_l0.detach().all()


def of(module=None, head=None, **parameters):
    return from_torch(module or nn.GRU(2, 4), head or nn.Linear(4, 3), **parameters)


def with_nan():
    gru = nn.GRU(2, 4)
    gru.weight_hh_l0.data[3, 1] = torch.nan
    return gru


def with_a_lost_row():
    gru = nn.GRU(2, 4)
    gru.weight_ih_l0 = nn.Parameter(torch.zeros(12, 3))
    return gru


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: of(nn.LSTM(2, 8, proj_size=4)), ValueError, "proj_size=4"),
        (lambda: of(nn.RNN(2, 4, nonlinearity="relu")), ValueError, 'nonlinearity="relu"'),
        (lambda: of(nn.GRU(2, 5)), ValueError, "takes 4 features, .* have 5"),
        (lambda: of(nn.GRU(2, 4, bidirectional=True)), ValueError, "takes 4 features, .* have 8"),
        (lambda: of([nn.GRU(2, 4), nn.GRU(3, 4)]), ValueError, "Layer 1 takes 3 features"),
        (lambda: of([nn.GRU(2, 4), nn.LSTM(4, 4)]), ValueError, "must be alike, but layer 1"),
        (lambda: from_torch([], nn.Linear(4, 1)), ValueError, "empty list"),
        (lambda: of(nn.GRUCell(2, 4)), TypeError, "got GRUCell"),
        (lambda: from_torch(nn.GRU(2, 4)), TypeError, "head must be an nn.Linear, got NoneType"),
        (lambda: of(nn.GRU(2, 4).half()), ValueError, r"torch.float16; call .float\(\)"),
        (lambda: of(with_nan()), ValueError, r"shape \(12, 4\) holds NaN or infinity"),
        (lambda: of(with_a_lost_row()), ValueError, r"has shape \(3, 12\), expected \(2, 12\)"),
        (lambda: of(classes=[0, 1]), ValueError, "3 outputs, but there are 2 classes"),
        (lambda: of(classes=[0, 1, 1]), ValueError, "two or more different labels"),
        (lambda: of(head=nn.Linear(4, 1), classes=[0]), ValueError, "two or more different labels"),
        (lambda: of(head=nn.Linear(4, 1), classes=[0, 1, 2]), ValueError, "single one for two"),
        (lambda: of(classes=[1, "a", 3]), ValueError, "classes mixes labels of several types"),
        (lambda: of(classes=[True, False, 2]), ValueError, "classes mixes labels of several types"),
        (lambda: of(classes=["a", None, "b"]), ValueError, "classes holds a missing value"),
        (lambda: of(classes=[["a", "b", "c"]]), ValueError, "classes must be one-dimensional"),
        (lambda: of(classes={"a", "b", "c"}), TypeError, "classes is a set, .* it has no order"),
        (lambda: of(classes="abc"), TypeError, "classes is a str"),
        (lambda: of(multilabel="yes"), TypeError, "multilabel must be True or False, got 'yes'"),
        (lambda: of(n_channels=3), ValueError, "n_channels=3, but the module takes 2 channels"),
        (lambda: of(n_channels=[2]), ValueError, r"n_channels=\[2\], but the module takes 2"),
        (lambda: of(activation="relu"), ValueError, "activation='relu'; reset_after is for"),
        (lambda: of(head=nn.Linear(4, 3).double()), ValueError, "others float64; call .float()"),
        (lambda: of(nn.GRU(2, 4, device="meta")), ValueError, "A weight has no values yet"),
        (lambda: of(loss="cubic"), ValueError, "'loss' parameter of GRURegressor"),
        (lambda: of(classes=[0.5, 1.5, 2.5]), ValueError, "Unknown label type: continuous"),
        (lambda: of(multilabel=True, classes=[0, 1, 2]), ValueError, "numbers the labels itself"),
        (lambda: of(multilabel=True, head=nn.Linear(4, 1)), ValueError, "two or more outputs"),
        (lambda: of(loss="quantile", quantiles=[0.1, 0.9]), ValueError, "no multiple of the 2"),
        (lambda: of(pooling="attention"), ValueError, "has a query to learn"),
        (lambda: of(pooling="median"), ValueError, "'pooling' parameter of GRURegressor"),
        (lambda: of(cell="lstm"), TypeError, "takes cell from the module"),
        (lambda: of(momenta=1), TypeError, "momenta"),
        (lambda: of(return_sequences=True, pooling="max"), ValueError, "one of the two must go"),
    ],
)
def test_invalid_modules_and_parameters_are_rejected(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_head_without_outputs_is_rejected():
    with pytest.warns(UserWarning, match="zero-element"):
        head = nn.Linear(4, 0)
    with pytest.raises(ValueError, match="head has no outputs"):
        from_torch(nn.GRU(2, 4), head)


def test_channels_and_classes_that_agree_with_the_module_are_accepted():
    model = of(n_channels=2, classes=np.array(["a", "b", "c"]))
    assert (model.n_channels, model.classes_.tolist()) == (2, ["a", "b", "c"])


def test_layers_of_different_cells_are_rejected(ragged):
    gru, mgu = (to_torch(fitted(GRUClassifier, *ragged, cell=cell)) for cell in ("gru", "mgu"))
    with pytest.raises(ValueError, match="must be alike, but layer 1 is GatedLayer"):
        from_torch([gru.recurrent[0], mgu.recurrent[1]], nn.Linear(3, 1))


def test_a_second_head_is_rejected(ragged):
    module = to_torch(fitted(GRUClassifier, *ragged, cell="lstm"))
    with pytest.raises(ValueError, match="leave head out"):
        from_torch(module, nn.Linear(3, 1), classes=["down", "up"])
    packed = pack_sequence([torch.zeros(2, 2)])
    with pytest.raises(ValueError, match="leave lengths out"):
        module(packed, [2])
