import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.datasets import load_japanese_vowels, load_sunspots
from skgru.forecasting import sliding_windows
from skgru.interop import to_onnx
from skgru.preprocessing import PerTimestep

onnx = pytest.importorskip("onnx")
reference = pytest.importorskip("onnx.reference")
onnxruntime = pytest.importorskip("onnxruntime")

CELLS = [
    {},
    {"reset_after": True},
    {"cell": "rnn"},
    {"cell": "lstm"},
    {"cell": "cifg"},
    {"cell": "mgu"},
    {"cell": "light_gru"},
    {"cell": "light_gru", "activation": "relu"},
]


def padded(X, fill=np.nan):
    """Return sequences as one padded array, and their lengths."""
    lengths = np.array([len(x) for x in X])
    values = np.full((len(X), lengths.max(), X[0].shape[1]), fill, dtype=np.float32)
    for row, x in zip(values, X, strict=True):
        row[: len(x)] = x
    return values, lengths


def session(model):
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def run(model, X, lengths=None):
    feed = {"X": np.asarray(X, dtype=np.float32)}
    if lengths is not None:
        feed["lengths"] = np.asarray(lengths)
    return session(model).run(None, feed)


def fitted(estimator, X, y, **parameters):
    """Return a fitted model with large biases and outputs that differ."""
    model = estimator((5, 3), max_iter=1, learning_rate="cosine", random_state=0, **parameters)
    model.fit(X, y)
    rng = np.random.default_rng(0)
    for layer in model.layers_:
        layer.b[:] = rng.normal(size=layer.b.shape)
        layer.c[:] = rng.normal(size=layer.c.shape)
    if model.pooling == "attention":
        model.query_[:] = rng.normal(size=model.query_.shape)
    W = model.head_.W
    outputs = model.transform(X) @ W
    W[:] = W / outputs.std(axis=0)
    model.head_.b[:] = -outputs.mean(axis=0) / outputs.std(axis=0)
    return model


# ---- real data -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vowels():
    scaler = PerTimestep(StandardScaler())
    X, y = load_japanese_vowels(subset="train", return_X_y=True)
    X_test, y_test = load_japanese_vowels(subset="test", return_X_y=True)
    return scaler.fit_transform(X), y, scaler.transform(X_test), y_test


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"hidden_layer_sizes": (32, 16), "bidirectional": True, "pooling": "attention"},
        {"cell": "lstm", "pooling": "mean"},
        {"reset_after": True, "pooling": "max"},
    ],
    ids=["gru", "attention", "lstm", "reset_after"],
)
def test_japanese_vowels(vowels, parameters):
    X, y, X_test, y_test = vowels
    model = GRUClassifier(max_iter=15, learning_rate="cosine", random_state=0, **parameters)
    model.fit(X, y)
    assert model.score(X_test, y_test) > 0.9
    label, probabilities = run(to_onnx(model, lengths=True), *padded(X_test))
    assert label.dtype == np.int64
    assert (label == model.predict(X_test)).all()
    np.testing.assert_allclose(probabilities, model.predict_proba(X_test), rtol=0, atol=1e-5)
    # sequences of one length need no lengths
    alike = [x for x in X_test if len(x) == 15]
    label, probabilities = run(to_onnx(model), np.stack(alike))
    assert (label == model.predict(alike)).all()
    np.testing.assert_allclose(probabilities, model.predict_proba(alike), rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sunspots(dtype):
    series = load_sunspots().series / 100
    X, y = sliding_windows(series, window=24, horizon=3)
    model = GRURegressor(16, max_iter=100, learning_rate="cosine", random_state=0, dtype=dtype)
    model.fit(X[:200], y[:200])
    assert model.score(X[200:], y[200:]) > 0.5
    (numbers,) = run(to_onnx(model), X[200:])
    assert numbers.dtype == np.float32
    np.testing.assert_allclose(numbers, model.predict(X[200:]), rtol=0, atol=1e-5)


# ---- every architecture --------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(map(str, cell.values())) or "gru")
def test_cells_and_poolings(ragged, cell, bidirectional, pooling):
    X, y = ragged
    model = fitted(GRUClassifier, X, y, bidirectional=bidirectional, pooling=pooling, **cell)
    expected = model.predict_proba(X)
    assert np.ptp(expected[:, 0]) > 0.1
    compiled = to_onnx(model, lengths=True)
    for fill in (np.nan, 1e3):  # values after the end of a sequence do not matter
        label, probabilities = run(compiled, *padded(X, fill))
        assert (label == model.predict(X)).all()
        np.testing.assert_allclose(probabilities, expected, rtol=0, atol=2e-6)
    alike = np.stack([x for x in X if len(x) == 5])
    probabilities = run(to_onnx(model), alike)[1]
    np.testing.assert_allclose(probabilities, model.predict_proba(alike), rtol=0, atol=2e-6)


def test_one_session_accepts_any_number_of_samples_and_steps(ragged):
    X, y = ragged
    model = fitted(GRUClassifier, X, y)
    compiled = session(to_onnx(model))
    for shape in [(1, 1, 2), (3, 50, 2), (20, 2, 2)]:
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        probabilities = compiled.run(None, {"X": x})[1]
        np.testing.assert_allclose(probabilities, model.predict_proba(x), rtol=0, atol=2e-6)


@pytest.mark.parametrize("target_opset", [None, 18, 20, 21])
def test_opsets(ragged, target_opset):
    X, y = ragged
    model = fitted(GRUClassifier, X, y, pooling="mean")
    compiled = to_onnx(model, lengths=True, target_opset=target_opset)
    assert [(o.domain, o.version) for o in compiled.opset_import] == [("", target_opset or 18)]
    probabilities = run(compiled, *padded(X))[1]
    np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=0, atol=2e-6)


@pytest.mark.parametrize("cell", CELLS[:4], ids=["gru", "reset_after", "rnn", "lstm"])
def test_reference_evaluator(ragged, cell):
    X, y = ragged
    model = fitted(GRUClassifier, X, y, pooling="mean", **cell)
    alike = np.stack([x for x in X if len(x) == 5]).astype(np.float32)
    evaluator = reference.ReferenceEvaluator(to_onnx(model))
    probabilities = evaluator.run(None, {"X": alike})[1]
    np.testing.assert_allclose(probabilities, model.predict_proba(alike), rtol=0, atol=2e-6)


# ---- outputs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "classes",
    [[3, 7], [-1, 0, 5], ["no", "yes"], ["a", "b", "ü"], [False, True], [1.0, 2.0, 4.0]],
    ids=str,
)
def test_labels(ragged, classes):
    X = ragged[0]
    y = np.array(classes)[np.arange(len(X)) % len(classes)]
    for labels in (y, y.astype(object) if y.dtype.kind == "U" else y):
        model = fitted(GRUClassifier, X, labels)
        label, probabilities = run(to_onnx(model, lengths=True), *padded(X))
        assert label.dtype == (object if y.dtype.kind == "U" else np.int64)
        assert label.tolist() == model.predict(X).tolist()
        assert len(set(label)) > 1
        np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=0, atol=2e-6)


def test_multilabel(ragged):
    X = ragged[0]
    y = np.array([[x.mean() > 0, len(x) > 4, x[0, 0] > 0] for x in X]).astype(int)
    model = fitted(GRUClassifier, X, y)
    label, probabilities = run(to_onnx(model, lengths=True), *padded(X))
    assert (label == model.predict(X)).all()
    assert 0 < label.mean() < 1
    np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=0, atol=2e-6)


@pytest.mark.parametrize("classes", [["a", "b"], ["a", "b", "c"]])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_label_per_time_step(ragged, classes, bidirectional):
    X = ragged[0]
    y = [np.array(classes)[np.digitize(x[:, 0], [-0.5, 0.5][: len(classes) - 1])] for x in X]
    model = fitted(GRUClassifier, X, y, return_sequences=True, bidirectional=bidirectional)
    values, lengths = padded(X)
    label, probabilities = run(to_onnx(model, lengths=True), values, lengths)
    np.testing.assert_allclose(probabilities, model.predict_proba(values), rtol=0, atol=2e-6)
    for own, expected in zip(label, model.predict(X), strict=True):
        assert own[: len(expected)].tolist() == expected.tolist()


@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize(
    "loss",
    [
        {},
        {"loss": "poisson"},
        {"loss": "quantile"},
        {"loss": "quantile", "quantiles": (0.9, 0.05, 0.5, 0.3)},
        {"loss": "quantile", "quantiles": (0.5,)},
    ],
    ids=str,
)
def test_numbers(ragged, loss, return_sequences, n_targets):
    X = ragged[0]
    y = [np.abs(x[:, :n_targets]) for x in X]
    y = y if return_sequences else np.array([numbers.mean(axis=0) for numbers in y])
    if n_targets == 1:
        y = [numbers.ravel() for numbers in y] if return_sequences else y.ravel()
    model = fitted(GRURegressor, X, y, return_sequences=return_sequences, **loss)
    values, lengths = padded(X)
    (numbers,) = run(to_onnx(model, lengths=True), values, lengths)
    expected = model.predict(values)
    assert numbers.shape == expected.shape
    np.testing.assert_allclose(numbers, expected, rtol=2e-6, atol=2e-6)
    alike = np.stack([x for x in X if len(x) == 5])
    (numbers,) = run(to_onnx(model), alike)
    assert numbers.shape == model.predict(alike).shape
    np.testing.assert_allclose(numbers, model.predict(alike), rtol=2e-6, atol=2e-6)


def test_a_table_with_channels():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 12)), np.arange(40) % 2
    model = fitted(GRUClassifier, X, y, n_channels=3)
    label, probabilities = run(to_onnx(model), X)
    assert (label == model.predict(X)).all()
    np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=0, atol=2e-6)
    with pytest.raises(ValueError, match="fitted on a table, whose rows are of one length"):
        to_onnx(model, lengths=True)
    steps = fitted(GRUClassifier, X, rng.integers(2, size=(40, 4)), n_channels=3,
                   return_sequences=True)  # fmt: skip
    label, probabilities = run(to_onnx(steps), X)
    assert (label == steps.predict(X)).all()
    np.testing.assert_allclose(probabilities, steps.predict_proba(X), rtol=0, atol=2e-6)


# ---- the model, and invalid arguments ------------------------------------------------------------


def test_description(ragged):
    model = to_onnx(fitted(GRUClassifier, *ragged), lengths=True)
    assert model.producer_name == "skgru"
    assert model.ir_version <= 8  # that of opset 18
    assert {node.domain for node in model.graph.node} == {""}
    used = {name for node in model.graph.node for name in node.input} | {"label", "probabilities"}
    assert all(used.intersection(node.output) for node in model.graph.node)
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {
        "X": ["n_samples", "n_timesteps", 2],
        "lengths": ["n_samples"],
        "label": ["n_samples"],
        "probabilities": ["n_samples", 2],
    }


def test_invalid_lengths_are_rejected_by_the_runtime(ragged):
    X, y = ragged
    compiled = to_onnx(fitted(GRUClassifier, X, y), lengths=True)
    values, lengths = padded(X)
    for wrong in (lengths + 1, lengths[1:], -lengths):
        with pytest.raises(Exception, match="sequence_lens"):
            run(compiled, values, wrong)


@pytest.mark.parametrize("target_opset", [17, 0, 1000, 18.5, "18"])
def test_unknown_opsets_are_rejected(ragged, target_opset):
    newest = onnx.defs.onnx_opset_version()
    with pytest.raises(ValueError, match=f"integer from 18 to {newest}.*got {target_opset!r}"):
        to_onnx(fitted(GRUClassifier, *ragged), target_opset=target_opset)


def test_unfitted_estimators_and_pipelines_are_rejected(ragged):
    with pytest.raises(NotFittedError, match="GRURegressor instance is not fitted"):
        to_onnx(GRURegressor())
    pipeline = make_pipeline(PerTimestep(StandardScaler()), GRUClassifier())
    with pytest.raises(TypeError, match=r"got a Pipeline; .* register_skl2onnx\(\)"):
        to_onnx(pipeline)
