"""Models with categories in other runtimes, against predict; and what is refused."""

import numpy as np
import pytest
from c_helpers import compiled, constant, last, needs_gcc, steps
from helpers import VARIANTS
from scipy.special import expit
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.interop import from_torch, register_skl2onnx, to_c, to_onnx, to_torch
from skgru.preprocessing import Patches, PerTimestep

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::skgru.exceptions.GradientWarning"
)

rng = np.random.default_rng(0)
NUMBERS = rng.normal(size=(8, 5, 2)).astype(np.float32)
TOKENS = rng.integers(-1, 3, size=(8, 5))
Y = np.arange(8) % 2
FORMS = {
    "numbers and categories": (
        np.dstack([TOKENS, NUMBERS, 100 * (TOKENS > 0)]),
        {"categorical_channels": [0, 3]},
    ),
    "tokens": (TOKENS[:, :, np.newaxis].astype(float), {"categorical_channels": [0]}),
}
every_form = pytest.mark.parametrize("form", FORMS)
every_embedding = pytest.mark.parametrize("embedding_dim", [None, 3])


def fitted(X, estimator=GRUClassifier, y=Y, **parameters):
    """Return a model whose weights are all random: also those of what it has not seen."""
    settings = {"bidirectional": False, "max_iter": 1, "learning_rate": "cosine"}
    model = estimator(**{"hidden_layer_sizes": (4, 3), **settings, **parameters}).fit(X, y)
    weights = model._network.parameters
    weights[:] = np.random.default_rng(1).normal(size=weights.size) / 2
    return model


def with_odd_values(X):
    """Return X with categories that no model has seen, and missing ones."""
    X = X.astype(np.float32)
    X[:4, :, 0] = [[7, 0, np.nan, 1, 2.5], [np.nan, 9, 0, -9, 0], [-2, 3, 1, 1, 0], [1e9] * 5]
    return X


# ---- ONNX ----------------------------------------------------------------------------------------


@every_form
@every_embedding
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", VARIANTS)
def test_onnx(cell, form, embedding_dim, bidirectional):
    onnxruntime = pytest.importorskip("onnxruntime")
    X, parameters = FORMS[form]
    model = fitted(
        X, embedding_dim=embedding_dim, bidirectional=bidirectional, **parameters, **VARIANTS[cell]
    )
    X = with_odd_values(X)
    session = onnxruntime.InferenceSession(to_onnx(model).SerializeToString())
    _, probabilities = session.run(None, {"X": X})
    np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=0, atol=1e-5)
    # padded sequences
    lengths = np.array([5, 2, 3, 1, 5, 4, 5, 1])
    padded = np.where(np.arange(5)[:, np.newaxis] < lengths[:, np.newaxis, np.newaxis], X, np.nan)
    session = onnxruntime.InferenceSession(to_onnx(model, lengths=True).SerializeToString())
    _, probabilities = session.run(None, {"X": padded.astype(np.float32), "lengths": lengths})
    want = model.predict_proba([x[:n] for x, n in zip(X, lengths, strict=True)])
    np.testing.assert_allclose(probabilities, want, rtol=0, atol=1e-5)


def test_onnx_of_a_table():
    onnxruntime = pytest.importorskip("onnxruntime")
    X, parameters = FORMS["numbers and categories"]
    model = fitted(X.reshape(8, -1), n_channels=4, **parameters)
    X = with_odd_values(X).reshape(8, -1)
    session = onnxruntime.InferenceSession(to_onnx(model).SerializeToString())
    _, probabilities = session.run(None, {"X": X})
    np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=0, atol=1e-5)


def test_a_pipeline_that_encodes_categories_in_onnx():
    skl2onnx, onnxruntime = pytest.importorskip("skl2onnx"), pytest.importorskip("onnxruntime")
    register_skl2onnx()
    X = np.dstack([10 * TOKENS % 7, TOKENS / 2]).astype(np.float32)
    gru = GRUClassifier(4, categorical_channels=[0, 1], max_iter=3, random_state=0)
    model = make_pipeline(PerTimestep(OrdinalEncoder()), gru).fit(X, Y)
    converted = skl2onnx.to_onnx(model, X, options={"zipmap": False}, target_opset=18)
    session = onnxruntime.InferenceSession(converted.SerializeToString())
    _, probabilities = session.run(None, {"X": X})
    np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=0, atol=1e-5)


# ---- PyTorch -------------------------------------------------------------------------------------


@every_form
@every_embedding
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", VARIANTS)
def test_torch(cell, form, embedding_dim, bidirectional):
    torch = pytest.importorskip("torch")
    X, parameters = FORMS[form]
    model = fitted(
        X,
        embedding_dim=embedding_dim,
        bidirectional=bidirectional,
        dtype="float64",
        **parameters,
        **VARIANTS[cell],
    )
    module = to_torch(model)
    X = with_odd_values(X).astype(float)
    logits = module(torch.tensor(X)).detach().numpy()[:, 0]
    np.testing.assert_allclose(expit(logits), model.predict_proba(X)[:, 1], atol=1e-12)
    lengths = [5, 2, 3, 1, 5, 4, 5, 1]
    want = model.predict_proba([x[:n] for x, n in zip(X, lengths, strict=True)])[:, 1]
    packed = torch.nn.utils.rnn.pack_sequence(
        [torch.tensor(x[:n]) for x, n in zip(X, lengths, strict=True)], enforce_sorted=False
    )
    for logits in (module(torch.tensor(X), lengths), module(packed)):
        np.testing.assert_allclose(expit(logits.detach().numpy()[:, 0]), want, atol=1e-12)


@every_embedding
def test_a_module_of_categories_can_be_trained_and_saved(embedding_dim):
    torch = pytest.importorskip("torch")
    X, parameters = FORMS["numbers and categories"]
    model = fitted(X, GRURegressor, Y, embedding_dim=embedding_dim, **parameters)
    module, x = to_torch(model), torch.tensor(X, dtype=torch.float32)
    (module(x)[:, 0] - torch.tensor(Y)).square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in module.parameters())
    other = to_torch(fitted(X, GRURegressor, Y, embedding_dim=embedding_dim, **parameters))
    for parameter in other.parameters():
        parameter.data.zero_()
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(x), module(x))
    with pytest.raises(ValueError, match="The module reads categories"):
        from_torch(module)


def test_tokens_of_a_module_may_be_integers():
    torch = pytest.importorskip("torch")
    X, parameters = FORMS["tokens"]
    for embedding_dim in (None, 2):
        module = to_torch(fitted(X, embedding_dim=embedding_dim, **parameters))
        floats = module(torch.tensor(X, dtype=torch.float32))
        assert torch.equal(module(torch.tensor(X.astype(np.int64))), floats)


# ---- C -------------------------------------------------------------------------------------------


@needs_gcc
@every_form
@every_embedding
@pytest.mark.parametrize("cell", VARIANTS)
def test_c(tmp_path, cell, form, embedding_dim):
    X, parameters = FORMS[form]
    model = fitted(X, embedding_dim=embedding_dim, **parameters, **VARIANTS[cell])
    header = to_c(model, name="m")
    library = compiled(tmp_path, header)
    X = with_odd_values(X)
    np.testing.assert_allclose(last(library, X), model.predict_proba(X), rtol=0, atol=1e-5)
    n_values = sum(map(len, model._channels.categories))
    assert f"flash: {4 * (model.n_parameters_ + n_values)} bytes of numbers" in header
    assert f"RAM: {constant(library, 'state_bytes')} bytes a state" in header


@needs_gcc
@every_embedding
def test_categories_behind_scalers_and_patches_in_c(tmp_path, embedding_dim):
    X = np.dstack([NUMBERS, TOKENS])
    scaler = make_column_transformer((StandardScaler(), [0, 1]), remainder="passthrough")
    for patches, channels in ((None, [2]), (Patches(2, 1), [2, 5])):
        gru = GRUClassifier(
            4, categorical_channels=channels, bidirectional=False, embedding_dim=embedding_dim
        )
        model = make_pipeline(PerTimestep(scaler), patches, gru).fit(X, Y)
        library = compiled(tmp_path, to_c(model, name="m"))
        got = last(library, X.astype(np.float32))
        np.testing.assert_allclose(got, model.predict_proba(X), rtol=0, atol=1e-5)
        model = make_pipeline(PerTimestep(StandardScaler()), patches, gru)
        # scaled to whole numbers, as 0 and 2 are to -1 and 1
        X_scaled = np.where(TOKENS[:, :, np.newaxis] == X, 2 * (X > 0), X)
        with pytest.raises(ValueError, match=r"Categorical channel 2 (is scaled|has the category)"):
            to_c(model.fit(X_scaled, Y), name="m")


GAPS = np.where(rng.random(NUMBERS.shape) < 0.4, np.nan, NUMBERS).astype(np.float32)
TIMES = rng.exponential(size=(8, 5)).cumsum(axis=1).astype(np.float32)
WITH_GAPS = {
    "missing values": (GAPS, {}),
    "times": (np.dstack([GAPS, TIMES]), {"time_channel": 2}),
    "all": (
        np.dstack([TOKENS, GAPS, TIMES]),
        {"time_channel": 3, "categorical_channels": [0], "embedding_dim": 2},
    ),
    "rows": (np.dstack([GAPS, TOKENS]), {"categorical_channels": [2]}),
}


@needs_gcc
@pytest.mark.parametrize("form", WITH_GAPS)
@pytest.mark.parametrize("cell", VARIANTS)
def test_decay_in_c(tmp_path, cell, form):
    X, parameters = WITH_GAPS[form]
    for pooling in ("last", "mean"):
        model = fitted(list(X), missing="decay", pooling=pooling, **parameters, **VARIANTS[cell])
        header = to_c(model, name="m")
        library = compiled(tmp_path, header)
        for x in X.astype(np.float32):
            want = model.predict_proba([x[: t + 1] for t in range(len(x))])
            np.testing.assert_allclose(steps(library, x), want, rtol=0, atol=1e-5)
        n_others = sum(map(len, model._channels.categories)) + len(model._channels.means)
        assert f"flash: {4 * (model.n_parameters_ + n_others)} bytes of numbers" in header
        assert f"RAM: {constant(library, 'state_bytes')} bytes a state" in header


@needs_gcc
def test_decay_behind_scalers_and_patches_in_c(tmp_path):
    for patches in (None, Patches(2, 1)):
        gru = GRUClassifier(4, missing="decay", bidirectional=False, random_state=0)
        model = make_pipeline(PerTimestep(StandardScaler()), patches, gru).fit(list(GAPS), Y)
        library = compiled(tmp_path, to_c(model, name="m"))
        for x in GAPS:
            want = model.predict_proba([x[: t + 1] for t in range(len(x))])
            np.testing.assert_allclose(steps(library, x), want, rtol=0, atol=1e-5)


# ---- what is refused -----------------------------------------------------------------------------

EXPORTS = [("onnx", to_onnx), ("", to_c), ("torch", to_torch)]
every_export = pytest.mark.parametrize(("module", "export"), EXPORTS)


@pytest.mark.parametrize(("module", "export"), EXPORTS[::2])
def test_decay_is_refused(module, export):
    pytest.importorskip(module)
    for parameters in ({}, {"time_channel": 0}):
        X = np.sort(NUMBERS, axis=1)
        with pytest.raises(ValueError, match='missing="decay" cannot be exported to'):
            export(fitted(X, missing="decay", **parameters))


def test_decay_in_a_pipeline_is_refused_by_skl2onnx():
    skl2onnx = pytest.importorskip("skl2onnx")
    register_skl2onnx()
    model = make_pipeline(PerTimestep(StandardScaler()), GRUClassifier(4, missing="decay"))
    with pytest.raises(ValueError, match='missing="decay" cannot be exported to ONNX'):
        skl2onnx.to_onnx(model.fit(NUMBERS, Y), NUMBERS, target_opset=18)


def test_a_unit_of_time_that_float32_does_not_hold_is_refused():
    X = np.dstack([GAPS, 1e-46 * TIMES.astype(float)])
    with pytest.raises(ValueError, match="out of the range of float32"):
        to_c(fitted(list(X), missing="decay", time_channel=2))


@every_export
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array(["no", "yes"], dtype=object), "holds strings, such as .*'no'"),
        (np.array([1.0, 2.5]), r"category 2\.5; .* whole numbers"),
        (np.array([0, 2**24 + 1]), "category 16777217; .* whole numbers"),
    ],
)
def test_categories_that_are_not_whole_numbers_are_refused(module, export, values, message):
    if module:
        pytest.importorskip(module)
    X = values[TOKENS % 2][:, :, np.newaxis]
    with pytest.raises(ValueError, match=f"(?s)Categorical channel 0.*{message}"):
        export(fitted(X, categorical_channels=[0]))
