"""C code of models: compiled, and compared with the estimators."""

import ctypes
import re
import shutil
import subprocess

import numpy as np
import pytest
from c_helpers import LABELS, WARNINGS, compiled, constant, last, needs_gcc, steps
from helpers import every_variant, forward_classifier
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from skgru import GRURegressor
from skgru.datasets import load_japanese_vowels
from skgru.forecasting import ScaledTargetRegressor
from skgru.interop import to_c
from skgru.preprocessing import Patches, PerTimestep

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def vowels():
    return *load_japanese_vowels(subset="train", return_X_y=True), load_japanese_vowels(
        subset="test", return_X_y=True
    )[0]


# ---- every model ---------------------------------------------------------------------------------


@needs_gcc
def test_a_pipeline_on_japanese_vowels(vowels, tmp_path):
    X, y, X_test = vowels
    y = np.array([f"speaker {i}" for i in y])
    model = make_pipeline(
        PerTimestep(StandardScaler()), forward_classifier(max_iter=15, random_state=0)
    )
    model.fit(X, y)
    header = to_c(model, name="m")
    library = compiled(tmp_path, header, "-O2", extra=LABELS)
    probabilities = last(library, X_test)
    np.testing.assert_allclose(probabilities, model.predict_proba(X_test), atol=1e-5)
    library.label.restype = ctypes.c_char_p
    labels = [
        library.label(library.most_probable(p.ctypes.data_as(ctypes.c_void_p))).decode()
        for p in probabilities
    ]
    np.testing.assert_array_equal(labels, model.predict(X_test))
    # outputs after each step are predictions for the sequence so far
    x = X_test[0]
    np.testing.assert_allclose(
        steps(library, x),
        model.predict_proba([x[: t + 1] for t in range(len(x))]),
        atol=1e-5,
    )
    n_numbers = model[-1].n_parameters_ + 2 * 12
    assert f"flash: {4 * n_numbers} bytes of numbers" in header
    assert f"RAM: {constant(library, 'state_bytes')} bytes a state" in header
    assert len(re.findall(r"(?<![\w.])-?\d[\d.e+-]*f\b", header)) >= n_numbers


@needs_gcc
@every_variant
def test_every_cell(vowels, tmp_path, parameters):
    X, y, X_test = vowels
    model = forward_classifier((13, 8), **parameters, max_iter=5, random_state=0).fit(X, y)
    library = compiled(tmp_path, to_c(model, name="m"))
    np.testing.assert_allclose(last(library, X_test), model.predict_proba(X_test), atol=1e-5)


@needs_gcc
@pytest.mark.parametrize("sizes", [(1,), (3,), (4, 4, 4), (16, 5)])
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_layers_and_poolings(vowels, tmp_path, sizes, pooling):
    X, y, X_test = vowels
    cell = "light_gru" if len(sizes) > 1 else "lstm"
    model = forward_classifier(sizes, cell=cell, pooling=pooling, max_iter=3, random_state=0).fit(
        X, y
    )
    header = to_c(model, name="m")
    library = compiled(tmp_path, header)
    np.testing.assert_allclose(last(library, X_test), model.predict_proba(X_test), atol=1e-5)
    assert f"RAM: {constant(library, 'state_bytes')} bytes a state" in header


@needs_gcc
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_prediction_per_time_step(vowels, tmp_path, dtype):
    X, _, X_test = vowels
    y = [x[:, :2].cumsum(axis=0) for x in X]
    model = GRURegressor(8, return_sequences=True, max_iter=3, random_state=0, dtype=dtype)
    library = compiled(tmp_path, to_c(model.fit(X, y), name="m"))
    for x, expected in zip(X_test[:20], model.predict(X_test[:20]), strict=True):
        np.testing.assert_allclose(steps(library, x), expected, atol=1e-5)


@needs_gcc
@pytest.mark.parametrize(
    "how",
    [
        {"loss": "squared_error"},
        {"loss": "poisson"},
        {"loss": "quantile"},
        {"loss": "quantile", "quantiles": (0.9, 0.5, 0.1, 0.2)},
        {"loss": "quantile", "quantiles": (0.3,)},
    ],
    ids=str,
)
@pytest.mark.parametrize("n_targets", [1, 3])
def test_outputs_of_every_loss(vowels, tmp_path, how, n_targets):
    X, y, X_test = vowels
    Y = (y[:, np.newaxis] + np.arange(n_targets)) / 5
    Y = Y if n_targets > 1 else Y[:, 0]
    # a learning rate at which quantiles cross
    model = GRURegressor(6, **how, max_iter=2, learning_rate_init=0.1, random_state=0).fit(X, Y)
    library = compiled(tmp_path, to_c(model, name="m"))
    expected = model.predict(X_test).reshape(len(X_test), -1)
    np.testing.assert_allclose(last(library, X_test), expected, rtol=1e-5, atol=1e-5)


@needs_gcc
@pytest.mark.parametrize("y", ["two", "indicator"])
def test_two_classes_and_multilabel(ragged, tmp_path, y):
    X, two = ragged
    y = two if y == "two" else np.column_stack([two == "up", [len(x) > 4 for x in X], two > ""])
    model = forward_classifier(6, max_iter=20, random_state=0).fit(
        X, y.astype(int) if y.ndim > 1 else y
    )
    header = to_c(model, name="m")
    library = compiled(tmp_path, header, extra=LABELS if y.ndim == 1 else "")
    assert ("m_label" in header) == (y.ndim == 1)
    probabilities = last(library, X)
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-5)
    # small ones have the same relative accuracy
    np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=1e-4)


@needs_gcc
@pytest.mark.parametrize(
    "scaler",
    [
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        MinMaxScaler((-1, 3)),
        MaxAbsScaler(),
        RobustScaler(),
        make_pipeline(MinMaxScaler(), FunctionTransformer(), StandardScaler()),
        "passthrough",
    ],
    ids=str,
)
def test_scalers(vowels, tmp_path, scaler):
    X, y, X_test = vowels
    step = scaler if scaler == "passthrough" else PerTimestep(scaler)
    model = make_pipeline(step, PerTimestep(StandardScaler()), forward_classifier(6, max_iter=2))
    model.fit(X, y)
    library = compiled(tmp_path, to_c(model, name="m"))
    np.testing.assert_allclose(last(library, X_test), model.predict_proba(X_test), atol=1e-5)


@needs_gcc
@pytest.mark.parametrize("n_targets", [1, 2])
def test_a_scaled_target(vowels, tmp_path, n_targets):
    X, y, X_test = vowels
    Y = 1000 + 50.0 * y if n_targets == 1 else np.column_stack([1000 + 50.0 * y, -y / 100])
    inner = make_pipeline(PerTimestep(StandardScaler()), GRURegressor(6, max_iter=2))
    model = TransformedTargetRegressor(inner, transformer=StandardScaler()).fit(X, Y)
    library = compiled(tmp_path, to_c(model, name="m"))
    expected = model.predict(X_test).reshape(len(X_test), -1)
    error = (last(library, X_test) - expected) / Y.std(axis=0)
    assert np.abs(error).max() < 1e-5
    logarithm = TransformedTargetRegressor(inner, func=np.log1p, inverse_func=np.expm1)
    with pytest.raises(ValueError, match="FunctionTransformer does more than to shift"):
        to_c(logarithm.fit(X, y))
    with pytest.raises(NotFittedError):
        to_c(clone(model))


TARGET_SCALERS = [
    None,
    MinMaxScaler((-1, 3)),
    RobustScaler(),
    MaxAbsScaler(),
    make_pipeline(MinMaxScaler(), StandardScaler()),
]


@needs_gcc
@pytest.mark.parametrize("scaler", TARGET_SCALERS, ids=str)
@pytest.mark.parametrize("n_targets", [1, 2])
def test_a_scaled_target_regressor(vowels, tmp_path, scaler, n_targets):
    X, y, X_test = vowels
    Y = 1000 + 50.0 * y if n_targets == 1 else np.column_stack([1000 + 50.0 * y, y / 100 - 1])
    gru = GRURegressor(6, max_iter=2, random_state=0)
    pipeline = make_pipeline(PerTimestep(StandardScaler()), Patches(3), gru)
    model = ScaledTargetRegressor(pipeline, scaler).fit(X, Y)
    library = compiled(tmp_path, to_c(model, name="m"))
    expected = model.predict(X_test).reshape(len(X_test), -1)
    # in float32, errors are relative to the size of a target
    error = (last(library, X_test) - expected) / np.abs(Y).max(axis=0)
    assert np.abs(error).max() < 1e-5


@needs_gcc
@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("cls", [ScaledTargetRegressor, TransformedTargetRegressor])
def test_a_scaled_target_at_the_end_of_a_pipeline(vowels, tmp_path, cls, n_targets):
    X, y, X_test = vowels
    Y = np.column_stack([1000 + 50.0 * y, y / 100])[:, :n_targets]
    Y = Y if n_targets > 1 else Y[:, 0]
    gru = GRURegressor(6, max_iter=2, loss="huber", random_state=0)
    scaler = PerTimestep(StandardScaler())
    model = make_pipeline(scaler, "passthrough", cls(gru, transformer=StandardScaler())).fit(X, Y)
    library = compiled(tmp_path, to_c(model, name="m"))
    expected = model.predict(X_test).reshape(len(X_test), -1)
    np.testing.assert_allclose(last(library, X_test), expected, rtol=1e-5)


@needs_gcc
@pytest.mark.parametrize("n_targets", [1, 2])
def test_quantiles_of_a_scaled_target(vowels, tmp_path, n_targets):
    """All quantiles of a target have its scale."""
    X, y, X_test = vowels
    Y = np.column_stack([1000 + 50.0 * y, y / 100])[:, :n_targets]
    Y = Y if n_targets > 1 else Y[:, 0]
    gru = GRURegressor(6, loss="quantile", max_iter=2, random_state=0)
    model = ScaledTargetRegressor(gru).fit(X, Y)
    library = compiled(tmp_path, to_c(model, name="m"))
    expected = model.predict(X_test).reshape(len(X_test), -1)
    error = (last(library, X_test) - expected) / np.repeat(np.atleast_1d(Y.std(axis=0)), 3)
    assert np.abs(error).max() < 1e-5


@needs_gcc
def test_scaled_targets_of_time_steps_and_counts(vowels, tmp_path):
    X, y, X_test = vowels
    steps_of = [100 + 30 * x[:, :2].cumsum(axis=0) for x in X]
    gru = GRURegressor(8, return_sequences=True, max_iter=3, random_state=0)
    model = ScaledTargetRegressor(gru).fit(X, steps_of)
    library = compiled(tmp_path, to_c(model, name="m"))
    for x, expected in zip(X_test[:20], model.predict(X_test[:20]), strict=True):
        np.testing.assert_allclose(steps(library, x), expected, rtol=1e-5, atol=1e-3)
    counts = ScaledTargetRegressor(GRURegressor(6, loss="poisson", max_iter=3, random_state=0))
    counts.fit(X, 100 * y)
    library = compiled(tmp_path, to_c(counts, name="m"))
    np.testing.assert_allclose(last(library, X_test)[:, 0], counts.predict(X_test), rtol=1e-5)


def test_other_scaled_targets_are_rejected(ragged):
    X = ragged[0]
    y = np.array([np.exp(x.mean()) for x in X])
    gru = GRURegressor(3, max_iter=1)
    for transformer in (PowerTransformer(), FunctionTransformer(np.log, np.exp)):
        model = ScaledTargetRegressor(gru, transformer).fit(X, y)
        with pytest.raises(ValueError, match=f"{type(transformer).__name__} does more than"):
            to_c(model)
    with pytest.raises(NotFittedError):
        to_c(ScaledTargetRegressor(gru))
    twice = ScaledTargetRegressor(ScaledTargetRegressor(gru)).fit(X, y)
    with pytest.raises(ValueError, match="scales the target twice"):
        to_c(twice)


# ---- the C language ------------------------------------------------------------------------------

HOSTILE = [
    "",
    '"; system("rm"); "',
    "*/ int x; /*",
    "line\nbreak\r\t\v",
    "back\\slash\\",
    "??/ ??= ???)",
    "größer σ 🙂",
    "%s %d @step @",
    "\x01" + "7",
    "// no comment \\",
    "\ud800",
    "x" * 300,
]


@needs_gcc
def test_labels_of_any_characters(ragged, tmp_path):
    X, _ = ragged
    classes = np.array(HOSTILE, dtype=object)
    model = forward_classifier(3, max_iter=1).partial_fit(
        X[: len(HOSTILE)], classes, classes=classes
    )
    header = to_c(model, name="m")
    for standard in ("-std=c99", "-std=gnu11", "-trigraphs"):
        library = compiled(tmp_path, header, standard, extra=LABELS)
        library.label.restype = ctypes.c_char_p
        found = [library.label(i).decode("utf-8", "surrogatepass") for i in range(len(classes))]
        assert found == model.classes_.tolist()
    with pytest.raises(ValueError, match="has a NUL"):
        to_c(forward_classifier(3, max_iter=1).fit(X, np.where(np.arange(40) % 2, "a\0b", "c")))


@needs_gcc
def test_long_labels(ragged, tmp_path):
    """C99 promises strings of 4095 bytes, and lines of 4095 characters."""
    X, _ = ragged
    classes = np.array(["x" * 4095, "σ" * 2047, 'a"?\\\n' * 800, "y"], dtype=object)
    model = forward_classifier(3, max_iter=1).partial_fit(X[:4], classes, classes=classes)
    header = to_c(model, name="m")
    assert max(map(len, header.splitlines())) <= 100
    library = compiled(tmp_path, header, extra=LABELS)
    library.label.restype = ctypes.c_char_p
    assert [library.label(i).decode() for i in range(4)] == model.classes_.tolist()
    for label in ("x" * 4096, "σ" * 2048):
        classes = np.array([label, "y"], dtype=object)
        model = forward_classifier(3, max_iter=1).partial_fit(X[:2], classes, classes=classes)
        with pytest.raises(ValueError, match="takes 4096 bytes in UTF-8; C99 allows 4095") as error:
            to_c(model)
        assert len(str(error.value)) < 400


@needs_gcc
@pytest.mark.parametrize("y", [[3, -5, 7], [0.0, 1.0, 2.0], [True, False]])
def test_labels_that_are_not_strings(ragged, tmp_path, y):
    X, _ = ragged
    model = forward_classifier(3, max_iter=1).fit(X, np.resize(np.array(y), 40))
    library = compiled(tmp_path, to_c(model, name="m"), extra=LABELS)
    library.label.restype = ctypes.c_char_p
    found = [library.label(i) for i in range(len(model.classes_))]
    assert found == [str(label).encode() for label in model.classes_]


@pytest.mark.parametrize("compiler", ["g++", "gcc"])
def test_two_models_in_one_program(ragged, tmp_path, compiler):
    """Each is included twice, in C and in C++, without a warning, even of unused functions."""
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    X, y = ragged
    for name, cell in (("a", "lstm"), ("B_2", "gru")):
        model = forward_classifier(4, cell=cell, max_iter=1).fit(X, y)
        (tmp_path / f"{name}.h").write_text(to_c(model, name=name), encoding="ascii")
    includes = "".join(f'#include "{name}.h"\n' for name in ("a", "B_2") * 2)
    source = tmp_path / "main.cpp"
    source.write_text(includes + "int main(void) { a_state s; a_reset(&s); return 0; }\n")
    language = ["-x", "c++", "-std=c++17"] if compiler == "g++" else ["-x", "c", "-std=c99"]
    subprocess.run([compiler, *language, *WARNINGS, "-O2", "-c", source], cwd=tmp_path, check=True)


def test_math_h_is_the_only_include(ragged):
    header = to_c(forward_classifier(4, max_iter=1).fit(*ragged))
    assert re.findall(r"#include.*", header) == ["#include <math.h>"]
    assert "alloc" not in header
    assert max(map(len, header.splitlines())) <= 100
    # every visible name has the prefix
    names = re.findall(
        r"^(?:static|enum|typedef|#define|})[^\n={(]*?(\w+)\s*[\[;({=]", header, re.M
    )
    assert len(names) > 10
    assert all(name.startswith("gru_") or name == "struct" for name in names), names


@needs_gcc
def test_states_saturate_as_in_the_estimator(tmp_path):
    """With inputs of any size; NaN propagates."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 5, 2))
    for cell in ("gru", "lstm", "rnn"):
        model = GRURegressor(4, cell=cell, max_iter=1, random_state=0).fit(X, X[:, -1])
        library = compiled(tmp_path, to_c(model, name="m"))
        for size in (1.0, 1e3, 1e6, 1e20, 1e30):
            x = size * X[0]
            expected = model.predict([x[: t + 1] for t in range(5)])
            np.testing.assert_allclose(steps(library, x), expected, atol=1e-5)
        assert np.isnan(steps(library, np.full((3, 2), np.nan))).all()
        # a state that saturated gates keep does not drift
        kept = steps(library, np.resize(1e3 * X[0, :1], (300_000, 2)))
        np.testing.assert_allclose(kept[-1], kept[1000], rtol=1e-3)


# ---- models that are rejected --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bidirectional": True}, "bidirectional=True reads a sequence from its end"),
        ({"pooling": "attention"}, "pooling='attention' has no form in C"),
    ],
)
def test_models_that_need_the_whole_sequence_are_rejected(ragged, parameters, message):
    with pytest.raises(ValueError, match=message):
        to_c(forward_classifier(3, max_iter=1, **parameters).fit(*ragged))


@pytest.mark.parametrize(
    "transformer",
    [
        PCA(),
        PCA(1),
        PowerTransformer(),
        QuantileTransformer(n_quantiles=10),
        MinMaxScaler(clip=True),
        FunctionTransformer(np.tanh),
        FunctionTransformer(lambda X: X[:, ::-1]),
        FunctionTransformer(lambda X: 0 * X),
        make_pipeline(StandardScaler(), PowerTransformer()),
    ],
)
def test_transformers_that_do_more_than_scale_are_rejected(ragged, transformer):
    model = make_pipeline(PerTimestep(transformer), forward_classifier(3, max_iter=1)).fit(*ragged)
    with pytest.raises(ValueError, match=f"{type(transformer).__name__} does more than to shift"):
        to_c(model)


def test_transformers_of_positive_values_are_rejected(ragged):
    X, y = ragged
    positive = PerTimestep(PowerTransformer("box-cox"))
    model = make_pipeline(positive, forward_classifier(3, max_iter=1)).fit(
        [np.exp(x) for x in X], y
    )
    with pytest.raises(ValueError, match="tried PowerTransformer on values of all magnitudes"):
        to_c(model)


def test_other_estimators_are_rejected(ragged, windows):
    for model, message in (
        (LogisticRegression(), "that ends in one, got LogisticRegression"),
        (
            make_pipeline(StandardScaler(), LogisticRegression()),
            "got LogisticRegression at the end",
        ),
        (None, "got NoneType"),
    ):
        with pytest.raises(TypeError, match=message):
            to_c(model)
    for model in (
        forward_classifier(),
        make_pipeline(PerTimestep(StandardScaler()), forward_classifier()),
    ):
        with pytest.raises(NotFittedError):
            to_c(model)
    table = make_pipeline(StandardScaler(), GRURegressor(2, max_iter=1)).fit(*windows)
    with pytest.raises(TypeError, match="steps of PerTimestep and Patches only, got Standard"):
        to_c(table)
    imputing = make_pipeline(PerTimestep(SimpleImputer()), forward_classifier(2, max_iter=1))
    to_c(imputing.fit(*ragged))  # without missing values it changes nothing


@pytest.mark.parametrize("name", ["", "1a", "_a", "a b", "a-b", "größe", "a;", "a\n"])
def test_invalid_names_are_rejected(ragged, name):
    model = forward_classifier(3, max_iter=1).fit(*ragged)
    with pytest.raises(ValueError, match="name must be a letter, followed by letters"):
        to_c(model, name=name)


def test_weights_too_large_for_float32_are_rejected(ragged):
    model = forward_classifier(3, max_iter=1, dtype="float64").fit(*ragged)
    model.head_.b[0] = 1e300
    with pytest.raises(ValueError, match="b of the model is not finite in float32"):
        to_c(model)
