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
torch.set_num_threads(1)  # models are too small for more
nn = torch.nn
pack_sequence = torch.nn.utils.rnn.pack_sequence
unpack_sequence = torch.nn.utils.rnn.unpack_sequence

CELLS = [
    {"reset_after": True},
    {"cell": "rnn"},
    {"cell": "lstm"},
    {"cell": "cifg"},
    {"cell": "light_gru"},
]


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
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(map(str, cell.values())))
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


@pytest.mark.parametrize("bidirectional", [False, True])
def test_module_gives_the_same_outputs_at_every_step(ragged, bidirectional):
    X, _ = ragged
    y = [x.sum(axis=1) for x in X]
    model = fitted(
        GRURegressor, X, y, return_sequences=True, reset_after=True, bidirectional=bidirectional
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


def test_module_has_the_dtype_of_the_estimator_and_can_be_saved(ragged, tmp_path):
    X, y = ragged
    model = GRUClassifier(4, reset_after=True, max_iter=2, random_state=0)
    module = to_torch(model.set_params(learning_rate="cosine").fit(X, y))
    assert {p.dtype for p in module.parameters()} == {torch.float32}
    assert isinstance(module.recurrent[0], nn.GRU)
    assert not module.training
    torch.save(module, tmp_path / "model.pt")
    loaded = torch.load(tmp_path / "model.pt", weights_only=False)
    x = torch.tensor(X[0][np.newaxis], dtype=torch.float32)
    assert torch.equal(module(x), loaded(x))
    # weights are copied
    with torch.no_grad():
        module.head.weight.zero_()
    assert model.head_.W.all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "reset_after=False; fit with reset_after=True"),
        ({"cell": "mgu"}, "no layer for cell='mgu'"),
        ({"cell": "light_gru", "activation": "relu"}, "no layer for cell='light_gru'"),
    ],
)
def test_cells_that_pytorch_lacks_are_rejected(ragged, parameters, message):
    model = fitted(GRUClassifier, *ragged, **parameters)
    with pytest.raises(NotImplementedError, match=message):
        to_torch(model)


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


@pytest.mark.parametrize("pooling", ["last", "attention"])
def test_from_torch_inverts_to_torch(ragged, pooling):
    X, y = ragged
    model = fitted(GRUClassifier, X, y, reset_after=True, bidirectional=True, pooling=pooling)
    back = from_torch(to_torch(model), classes=model.classes_)
    assert (back.predict_proba(X) == model.predict_proba(X)).all()


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


def test_a_second_head_is_rejected(ragged):
    module = to_torch(fitted(GRUClassifier, *ragged, cell="lstm"))
    with pytest.raises(ValueError, match="leave head out"):
        from_torch(module, nn.Linear(3, 1), classes=["down", "up"])
    packed = pack_sequence([torch.zeros(2, 2)])
    with pytest.raises(ValueError, match="leave lengths out"):
        module(packed, [2])
