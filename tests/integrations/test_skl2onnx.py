import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import VotingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PowerTransformer, StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.datasets import load_japanese_vowels, load_sunspots
from skgru.forecasting import ScaledTargetRegressor, sliding_windows
from skgru.interop import register_skl2onnx
from skgru.preprocessing import FillGaps, Patches, PerSequence, PerTimestep

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
skl2onnx = pytest.importorskip("skl2onnx")
data_types = pytest.importorskip("skl2onnx.common.data_types")

WITHOUT_MAP = {"zipmap": False}


@pytest.fixture(autouse=True)
def registered():
    register_skl2onnx()


def convert(model, shape, *, lengths=False, **arguments):
    types = [("X", data_types.FloatTensorType(shape))]
    if lengths:
        types.append(("lengths", data_types.Int64TensorType([None])))
    return skl2onnx.to_onnx(model, initial_types=types, **arguments)


def run(model, X, lengths=None, dtype=np.float32):
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feed = {"X": np.asarray(X, dtype=dtype)}
    if lengths is not None:
        feed["lengths"] = lengths
    return session.run(None, feed)


def padded(X):
    lengths = np.array([len(x) for x in X])
    values = np.zeros((len(X), lengths.max(), X[0].shape[1]))
    for row, x in zip(values, X, strict=True):
        row[: len(x)] = x
    return values, lengths


def gru(estimator=GRUClassifier, **parameters):
    return estimator(8, max_iter=3, learning_rate="cosine", random_state=0, **parameters)


@pytest.fixture(scope="module")
def vowels():
    X, y = load_japanese_vowels(subset="train", return_X_y=True)
    pipeline = make_pipeline(
        PerTimestep(make_pipeline(StandardScaler(), PCA(9, random_state=0))),
        PerTimestep(StandardScaler()),
        GRUClassifier(32, max_iter=15, learning_rate="cosine", random_state=0),
    )
    return pipeline.fit(X, y), load_japanese_vowels(subset="test", return_X_y=True)[0]


# ---- sequences -----------------------------------------------------------------------------------


def test_japanese_vowels(vowels):
    pipeline, X = vowels
    model = convert(pipeline, [None, None, 12], lengths=True, options=WITHOUT_MAP)
    label, probabilities = run(model, *padded(X))
    assert (label == pipeline.predict(X)).all()
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(X), rtol=0, atol=1e-5)
    alike = np.stack([x for x in X if len(x) == 15])
    label, probabilities = run(convert(pipeline, [None, None, 12], options=WITHOUT_MAP), alike)
    assert (label == pipeline.predict(alike)).all()
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(alike), rtol=0, atol=1e-5)


def test_zipmap(vowels):
    pipeline, X = vowels
    expected = pipeline.predict_proba(X)
    model = convert(pipeline, [None, None, 12], lengths=True)
    label, maps = run(model, *padded(X))
    assert (label == pipeline.predict(X)).all()
    assert [*maps[0]] == pipeline.classes_.tolist()
    np.testing.assert_allclose([[*m.values()] for m in maps], expected, rtol=0, atol=1e-5)
    options = {GRUClassifier: {"zipmap": "columns"}}
    model = convert(pipeline, [None, None, 12], lengths=True, options=options)
    label, *columns = run(model, *padded(X))
    assert (label == pipeline.predict(X)).all()
    np.testing.assert_allclose(np.transpose(columns), expected, rtol=0, atol=1e-5)


def test_class_labels(vowels):
    pipeline, X = vowels
    options = {"zipmap": False, "output_class_labels": True}
    model = convert(pipeline, [None, None, 12], lengths=True, options=options)
    assert run(model, *padded(X))[2].tolist() == pipeline.classes_.tolist()


@pytest.mark.parametrize("classes", [["no", "yes"], [False, True], [1.0, 3.0, 7.0]], ids=str)
def test_labels(ragged, classes):
    X = ragged[0]
    y = np.array(classes)[np.arange(len(X)) % len(classes)]
    pipeline = make_pipeline(PerTimestep(StandardScaler()), gru()).fit(X, y)
    label, maps = run(convert(pipeline, [None, None, 2], lengths=True), *padded(X))
    assert label.tolist() == pipeline.predict(X).tolist()
    assert [*maps[0]] == classes
    expected = pipeline.predict_proba(X)
    np.testing.assert_allclose([[*m.values()] for m in maps], expected, rtol=0, atol=1e-5)


def test_a_label_per_time_step(ragged):
    X = ragged[0]
    y = [(x[:, 0] > 0).astype(int) for x in X]
    scaler = PerTimestep(StandardScaler())
    pipeline = make_pipeline(scaler, gru(return_sequences=True)).fit(X, y)
    model = convert(pipeline, [None, None, 2], lengths=True, options=WITHOUT_MAP)
    label, probabilities = run(model, *padded(X))
    for i, (own, expected) in enumerate(
        zip(pipeline.predict(X), pipeline.predict_proba(X), strict=True)
    ):
        assert (label[i, : len(own)] == own).all()
        np.testing.assert_allclose(probabilities[i, : len(own)], expected, rtol=0, atol=1e-5)
        assert np.isnan(probabilities[i, len(own) :]).all()
    with pytest.raises(NotImplementedError, match="zipmap': False"):
        convert(pipeline, [None, None, 2], lengths=True)


def test_search(ragged):
    X, y = ragged
    pipeline = make_pipeline(PerTimestep(StandardScaler()), gru())
    search = GridSearchCV(pipeline, {"gruclassifier__alpha": [0.0, 1.0]}, cv=2).fit(X, y)
    model = convert(search, [None, None, 2], lengths=True, options=WITHOUT_MAP)
    label, probabilities = run(model, *padded(X))
    assert label.tolist() == search.predict(X).tolist()
    np.testing.assert_allclose(probabilities, search.predict_proba(X), rtol=0, atol=1e-5)


def test_double_precision_is_cast(ragged):
    X, y = ragged
    for model in (make_pipeline(PerTimestep(PCA(2)), gru()), gru()):
        model.fit(X, y)
        types = [("X", data_types.DoubleTensorType([None, None, 2]))]
        converted = skl2onnx.to_onnx(model, initial_types=types, options=WITHOUT_MAP)
        alike = np.stack([x for x in X if len(x) == 5])
        label, probabilities = run(converted, alike, dtype=np.float64)
        assert label.tolist() == model.predict(alike).tolist()
        np.testing.assert_allclose(probabilities, model.predict_proba(alike), rtol=0, atol=1e-5)


def test_transformer_alone(ragged):
    X = np.stack([x for x in ragged[0] if len(x) == 5])
    model = PerTimestep(PCA(1)).fit(X)
    types = [("X", data_types.DoubleTensorType([None, None, 2]))]
    (transformed,) = run(skl2onnx.to_onnx(model, initial_types=types), X, dtype=np.float64)
    assert transformed.dtype == np.float32
    np.testing.assert_allclose(transformed, model.transform(X), rtol=0, atol=1e-5)


# ---- patches ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "stride"), [(1, 1), (3, 1), (4, 3), (3, 3), (12, 5)])
@pytest.mark.parametrize("pooling", ["last", "mean", "attention"])
def test_patches(ragged, size, stride, pooling):
    X, y = ragged
    X = [np.tile(x, (1 + i % 3, 1)) for i, x in enumerate(X)]
    steps = [PerTimestep(StandardScaler()), Patches(size, stride)]
    pipeline = make_pipeline(*steps, gru(pooling=pooling, bidirectional=True)).fit(X, y)
    model = convert(pipeline, [None, None, 2], lengths=True, options=WITHOUT_MAP)
    values, lengths = padded(X)
    values[np.arange(values.shape[1]) >= lengths[:, np.newaxis]] = np.nan
    for shorter in (len(X), 5, 1):
        label, probabilities = run(model, values[:shorter], lengths[:shorter])
        expected = pipeline.predict_proba(X[:shorter])
        assert label.tolist() == pipeline.predict(X[:shorter]).tolist()
        np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-5)
    model = convert(pipeline, [None, None, 2], options=WITHOUT_MAP)
    for n_steps in (1, 2, 3, 4, 9, 20):
        alike = np.random.default_rng(0).normal(size=(4, n_steps, 2))
        label, probabilities = run(model, alike)
        assert label.tolist() == pipeline.predict(alike).tolist()
        expected = pipeline.predict_proba(alike)
        np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-5)


def test_a_transformer_of_patches(ragged):
    X, y = ragged
    patches = [Patches(4, 2), PerTimestep(PCA(3)), Patches(2, 1)]
    pipeline = make_pipeline(PerTimestep(StandardScaler()), *patches, gru()).fit(X, y)
    model = convert(pipeline, [None, None, 2], lengths=True, options=WITHOUT_MAP)
    label, probabilities = run(model, *padded(X))
    assert label.tolist() == pipeline.predict(X).tolist()
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(X), rtol=0, atol=1e-5)


def test_a_number_each_patch(ragged):
    X = ragged[0]
    patches = Patches(3, 2).fit(X)
    y = [x.sum(axis=1) for x in patches.transform(X)]
    pipeline = make_pipeline(patches, gru(GRURegressor, return_sequences=True)).fit(X, y)
    model = convert(pipeline, [None, None, 2], lengths=True)
    (numbers,) = run(model, *padded(X))
    numbers = numbers.reshape(len(X), -1)
    for own, expected in zip(numbers, pipeline.predict(X), strict=True):
        np.testing.assert_allclose(own[: len(expected)], expected, rtol=0, atol=1e-5)
        assert np.isnan(own[len(expected) :]).all()


def test_patches_alone(ragged):
    X = np.stack([x for x in ragged[0] if len(x) == 5])
    model = Patches(3, 2).fit(X)
    for shape in ([None, None, 2], [None, 5, 2], [len(X), 5, 2]):
        (transformed,) = run(convert(model, shape), X)
        np.testing.assert_array_equal(transformed, model.transform(X.astype(np.float32)))


def test_patches_of_tables():
    rng = np.random.default_rng(0)
    X, y = rng.normal(3, 2, size=(40, 24)), rng.integers(3, size=40)
    patches = Patches(5, 2, n_channels=3).fit(X)
    (transformed,) = run(convert(patches, [None, 24]), X)
    np.testing.assert_array_equal(transformed, patches.transform(X.astype(np.float32)))
    pipeline = make_pipeline(StandardScaler(), patches, gru(n_channels=15)).fit(X, y)
    label, probabilities = run(convert(pipeline, [None, 24], options=WITHOUT_MAP), X)
    assert (label == pipeline.predict(X)).all()
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(X), rtol=0, atol=1e-5)


def test_what_is_computed_of_whole_sequences(ragged):
    X, y = ragged
    for step in (PerSequence(StandardScaler()), PerSequence(np.tanh), FillGaps("mean")):
        pipeline = make_pipeline(step, gru()).fit(X, y)
        for lengths in (False, True):
            message = f"{type(step).__name__} has no form in ONNX.* Apply it before the graph"
            with pytest.raises(NotImplementedError, match=message):
                convert(pipeline, [None, None, 2], lengths=lengths)


# ---- tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scaler", [StandardScaler(), PerTimestep(PCA(3), n_channels=4)], ids=["rows", "steps"]
)
def test_tables_with_channels(scaler):
    rng = np.random.default_rng(0)
    X, y = rng.normal(3, 2, size=(40, 24)), rng.integers(3, size=40)
    n_channels = 4 if isinstance(scaler, StandardScaler) else 3
    pipeline = make_pipeline(scaler, gru(n_channels=n_channels)).fit(X, y)
    label, probabilities = run(convert(pipeline, [None, 24], options=WITHOUT_MAP), X)
    assert (label == pipeline.predict(X)).all()
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(X), rtol=0, atol=1e-5)


def test_multilabel():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 6)), rng.integers(2, size=(40, 3))
    pipeline = make_pipeline(StandardScaler(), gru()).fit(X, y)
    label, probabilities = run(convert(pipeline, [None, 6], options=WITHOUT_MAP), X)
    assert (label == pipeline.predict(X)).all()
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(X), rtol=0, atol=1e-5)
    with pytest.raises(NotImplementedError, match="zipmap': False"):
        convert(pipeline, [None, 6])


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("loss", ["squared_error", "quantile"])
def test_sunspots(horizon, loss):
    X, y = sliding_windows(load_sunspots().series, window=24, horizon=horizon)
    pipeline = make_pipeline(StandardScaler(), gru(GRURegressor, loss=loss)).fit(X, y / 100)
    (numbers,) = run(convert(pipeline, [None, 24]), X)
    expected = pipeline.predict(X)
    assert numbers.shape == (expected.shape if expected.ndim > 1 else (len(X), 1))
    np.testing.assert_allclose(numbers, expected.reshape(numbers.shape), rtol=0, atol=1e-5)


def test_compositions():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 8))
    voting = VotingRegressor([("gru", gru(GRURegressor, max_grad_norm=None)), ("ridge", Ridge())])
    voting.fit(X, X.sum(axis=1))
    (numbers,) = run(convert(voting, [None, 8]), X)
    np.testing.assert_allclose(numbers.ravel(), voting.predict(X), rtol=0, atol=1e-5)
    # any transformer may precede it in a pipeline
    pipeline = make_pipeline(PCA(4), gru()).fit(X, np.arange(60) % 2)
    label, _ = run(convert(pipeline, [None, 8], options=WITHOUT_MAP), X)
    assert (label == pipeline.predict(X)).all()


# ---- scaled targets ------------------------------------------------------------------------------


@pytest.mark.parametrize("around", [True, False])
@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("loss", ["squared_error", "quantile"])
def test_a_scaled_target(ragged, around, n_targets, loss):
    X, _ = ragged
    y = np.array([[1000 + 50 * x.mean(), x.max() / 100] for x in X])
    y = y if n_targets > 1 else y[:, 0]
    regressor, scaler = gru(GRURegressor, loss=loss), PerTimestep(StandardScaler())
    if around:
        model = ScaledTargetRegressor(make_pipeline(scaler, Patches(3), regressor))
    else:
        model = make_pipeline(scaler, ScaledTargetRegressor(regressor, MinMaxScaler((-1, 1))))
    model.fit(X, y)
    (numbers,) = run(convert(model, [None, None, 2], lengths=True), *padded(X))
    expected = model.predict(X)
    assert numbers.shape == (expected.shape if expected.ndim > 1 else (len(X), 1))
    # in float32, errors are relative to the size of a target, which the second axis counts
    error = np.abs(numbers - expected.reshape(numbers.shape)).reshape(len(X), n_targets, -1)
    assert (error.max(axis=(0, 2)) < 1e-5 * np.abs(y).max(axis=0)).all()


@pytest.mark.parametrize("n_targets", [1, 2])
def test_a_scaled_target_per_time_step(ragged, n_targets):
    X, _ = ragged
    y = [300 + 20 * x[:, :n_targets].cumsum(axis=0) for x in X]
    y = y if n_targets > 1 else [one[:, 0] for one in y]
    model = ScaledTargetRegressor(gru(GRURegressor, return_sequences=True)).fit(X, y)
    (numbers,) = run(convert(model, [None, None, 2], lengths=True), *padded(X))
    for own, expected in zip(numbers, model.predict(X), strict=True):
        np.testing.assert_allclose(own[: len(expected)], expected, rtol=1e-5)
        assert np.isnan(own[len(expected) :]).all()


def test_a_scaled_target_of_tables_and_of_other_regressors():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, 8)), 100 + rng.normal(size=(60, 2))
    for regressor in (gru(GRURegressor), Ridge()):
        model = ScaledTargetRegressor(make_pipeline(StandardScaler(), regressor)).fit(X, Y)
        (numbers,) = run(convert(model, [None, 8]), X)
        np.testing.assert_allclose(numbers, model.predict(X), rtol=1e-5)


def test_other_transformers_of_the_target_are_rejected(ragged):
    X, y = ragged[0], np.array([np.exp(x.mean()) for x in ragged[0]])
    model = ScaledTargetRegressor(gru(GRURegressor), PowerTransformer()).fit(X, y)
    with pytest.raises(ValueError, match="PowerTransformer does more than .* skl2onnx cannot"):
        convert(model, [None, None, 2])
    with pytest.raises(NotFittedError, match="ScaledTargetRegressor instance is not fitted"):
        convert(ScaledTargetRegressor(gru(GRURegressor)), [None, None, 2])


# ---- opsets and invalid inputs -------------------------------------------------------------------


def test_opsets(ragged):
    pipeline = make_pipeline(PerTimestep(StandardScaler()), gru()).fit(*ragged)
    for target_opset in (18, 20):
        model = convert(pipeline, [None, None, 2], lengths=True, target_opset=target_opset)
        label, _ = run(model, *padded(ragged[0]))
        assert label.tolist() == pipeline.predict(ragged[0]).tolist()
    with pytest.raises(ValueError, match="GRUClassifier needs target_opset >= 18, got 15"):
        convert(pipeline, [None, None, 2], lengths=True, target_opset=15)


def test_invalid_inputs_are_rejected(ragged):
    X, y = ragged
    pipeline = make_pipeline(PerTimestep(StandardScaler()), gru()).fit(X, y)
    with pytest.raises(ValueError, match=r"PerTimestep was fitted on X of 3 dimensions, .*\[None"):
        convert(pipeline, [None, 10])
    model = gru().fit(np.zeros((10, 4)), np.arange(10) % 2)
    with pytest.raises(ValueError, match=r"GRUClassifier was fitted on X of 2 dimensions"):
        convert(model, [None, None, 4])
    with pytest.raises(ValueError, match=r"takes X, but in the graph .*\['X', 'lengths'\]"):
        convert(model, [None, 4], lengths=True)
    with pytest.raises(NotFittedError, match="GRUClassifier instance is not fitted"):
        convert(gru(), [None, 4], options=WITHOUT_MAP)


def test_other_models_are_converted_as_before():
    X = np.random.default_rng(0).normal(size=(20, 3))
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, X[:, 0] > 0)
    label, _ = run(convert(model, [None, 3]), X)
    assert (label == model.predict(X)).all()
