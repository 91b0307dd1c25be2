"""Streams against predict on the steps so far."""

import copy
import pickle
import sys
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import run_snippets
from process_helpers import run_forked
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.exceptions import GradientWarning
from skgru.forecasting import ScaledTargetRegressor
from skgru.kernels import kernels_for
from skgru.preprocessing import FillGaps, Patches, PerSequence, PerTimestep
from skgru.streaming import stream as stream_of

pytestmark = pytest.mark.filterwarnings("ignore:X has .* channels and only:UserWarning")  # patches

CELLS = sorted(kernels_for("float32").CELLS)
N, T, D = 6, 5, 3
X = np.random.default_rng(0).normal(size=(N, T, D))
LABELS = np.array(["ada", "bob", "cy"])
Y = {
    "two classes": LABELS[np.arange(N) % 2],
    "three classes": LABELS[np.arange(N) % 3],
    "multilabel": np.arange(4 * N).reshape(N, 4) // 3 % 2,
    "number": X[:, -1, 0],
    "numbers": X[:, -1, :2],
}


def fitted(y, **parameters):
    estimator = GRURegressor if y.startswith("number") else GRUClassifier
    settings = {"bidirectional": False, "pooling": "last", "max_iter": 2, "random_state": 0}
    return quietly_fitted(estimator(**{**settings, **parameters}), X, Y[y])


def quietly_fitted(model, X, y):
    """Fit a model, and ignore warnings of too few epochs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", GradientWarning)
        return model.fit(X, y)


def of_cell(variant):
    """Return the parameters of an estimator for a cell of the kernels."""
    cell, *_ = (c for c in ("light_gru", "gru", "rnn", "lstm", "cifg", "mgu") if c in variant)
    relu = "relu" if variant.endswith("relu") else "tanh"
    return {"cell": cell, "reset_after": "after" in variant, "activation": relu}


def pickled(stream):
    return pickle.loads(pickle.dumps(stream))


def assert_steps_are_predictions(model):
    """Assert it after each step, for all streams together and for each alone."""
    together = [model.stream(N) for _ in range(2)]
    alone = [model.stream() for _ in range(N)]
    for t in range(T):
        want = model.predict(X[:, : t + 1])
        got = together[0].step(X[:, t])
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)
        rows = [stream.step(x_t) for stream, x_t in zip(alone, X[:, t], strict=True)]
        assert {type(row) for row in rows} == {type(want[0])}
        np.testing.assert_array_equal(rows, want)
        if hasattr(model, "predict_proba"):
            want = model.predict_proba(X[:, : t + 1])
            np.testing.assert_allclose(together[1].step_proba(X[:, t]), want, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(5,), (20, 7)])
@pytest.mark.parametrize("variant", CELLS)
def test_every_cell(variant, sizes, dtype):
    for y in ("number", "three classes"):
        model = fitted(y, hidden_layer_sizes=sizes, dtype=dtype, **of_cell(variant))
        assert model._network.architecture.variant == variant
        assert_steps_are_predictions(model)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
@pytest.mark.parametrize("y", Y)
def test_every_kind_of_y_and_pooling(y, pooling):
    assert_steps_are_predictions(fitted(y, hidden_layer_sizes=(9, 4), pooling=pooling))


@pytest.mark.parametrize("y", ["number", "numbers"])
@pytest.mark.parametrize(
    "loss", [{"loss": "poisson"}, {"loss": "quantile", "quantiles": (0.9, 0.1, 0.5)}]
)
def test_losses_with_transformed_outputs(y, loss, monkeypatch):
    monkeypatch.setitem(Y, y, np.abs(Y[y]))
    assert_steps_are_predictions(fitted(y, hidden_layer_sizes=4, **loss))


def test_a_model_with_predictions_per_step():
    y = LABELS[(X[:, :, 0] > 0).astype(int)]
    model = GRUClassifier(6, return_sequences=True, bidirectional=False, max_iter=2, random_state=0)
    quietly_fitted(model, X, y)
    stream = model.stream(N)
    steps = [stream.step(X[:, t]) for t in range(T)]
    np.testing.assert_array_equal(np.transpose(steps), model.predict(X))


def test_a_model_fitted_on_rows():
    """A row of a table unfolds into time steps; a stream takes one at a time."""
    model = GRURegressor(4, n_channels=D, max_iter=2, random_state=0)
    quietly_fitted(model, X.reshape(N, -1), Y["number"])
    stream = model.stream(N)
    assert (stream.n_streams, stream.n_channels) == (N, D)
    for t in range(T):
        y = stream.step(X[:, t])
    np.testing.assert_array_equal(y, model.predict(X.reshape(N, -1)))


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
def test_resets_of_each_stream(pooling):
    """Three streams, each with sequences of different lengths, one after another."""
    rng = np.random.default_rng(1)
    model = fitted("number", hidden_layer_sizes=(5, 4), cell="lstm", pooling=pooling)
    stream, so_far = model.stream(3), [[], [], []]
    for t in range(40):
        x_t = rng.normal(size=(3, D))
        for steps, x in zip(so_far, x_t, strict=True):
            steps.append(x)
        np.testing.assert_array_equal(stream.step(x_t), model.predict(list(map(np.array, so_far))))
        ended = rng.random(3) < 0.3
        stream.reset(ended if t % 2 else np.flatnonzero(ended).tolist())
        assert not stream.state[ended].any()
        so_far = [[] if end else steps for end, steps in zip(ended, so_far, strict=True)]
    stream.step(x_t)
    stream.reset(1)
    np.testing.assert_array_equal(stream.state.any(axis=1), [True, False, True])
    stream.reset((0, 2))
    assert not stream.state.any()
    stream.step(x_t)
    stream.reset()
    assert not stream.state.any()
    with pytest.raises(IndexError, match="3"):
        stream.reset([0, 3])


@pytest.mark.parametrize(
    ("parameters", "state_size"),
    [
        *(({"cell": "gru"}, 11), ({"cell": "lstm"}, 22), ({"pooling": "mean"}, 11 + 5)),
        *(({"pooling": "max"}, 11 + 5), ({"pooling": "attention"}, 11 + 6)),
    ],
)
def test_states_can_be_copied_between_streams(parameters, state_size):
    model = fitted("three classes", hidden_layer_sizes=(7, 4), **parameters)
    first, second = model.stream(N), model.stream(N)
    assert first.state.shape == (N, state_size)
    assert first.state.dtype == np.float32
    for t in range(3):
        first.step(X[:, t])
    second.state = first.state[::-1]
    state = first.state
    state[:] = np.nan  # `state` is a copy
    np.testing.assert_array_equal(second.step_proba(X[::-1, 3]), first.step_proba(X[:, 3])[::-1])
    np.testing.assert_array_equal(second.state, first.state[::-1])


def test_the_state_of_the_top_layer_is_what_transform_returns():
    model = fitted("number", hidden_layer_sizes=(7, 4), cell="lstm")
    stream = model.stream(N)
    for t in range(T):
        stream.step(X[:, t])
    np.testing.assert_array_equal(stream.state[:, 14:18], model.transform(X))


def test_invalid_states_leave_the_stream_unchanged():
    stream = fitted("number", hidden_layer_sizes=4).stream(2)
    stream.step(X[:2, 0])
    before = stream.state
    for wrong in (np.zeros((2, 5)), np.zeros((1, 4)), np.zeros(4), np.zeros((2, 4, 1))):
        with pytest.raises(ValueError, match=r"state has shape \(.*; expected \(2, 4\)"):
            stream.state = wrong
    for value in (np.nan, np.inf, 1e300):
        with pytest.raises(ValueError, match=r"state contains .*float32|state contains NaN"):
            stream.state = np.full((2, 4), value)
    np.testing.assert_array_equal(stream.state, before)


@pytest.mark.parametrize("y", ["two classes", "multilabel", "number"])
def test_x_may_have_any_type(y):
    model = fitted(y, hidden_layer_sizes=4)
    x = np.array([1, -2, 3])
    want = model.stream().step(x.astype("float32"))
    pandas = pytest.importorskip("pandas")
    odd = np.frombuffer(b"." + x.astype("f4").tobytes(), "f4", offset=1)
    for same in (x, x.tolist(), tuple(x), x.astype("i2"), x.astype("f2"), x.astype(">f4"), odd,
                 x.astype(np.longdouble), x.astype(object), pandas.Series(x)):  # fmt: skip
        np.testing.assert_array_equal(model.stream().step(same), want)
    np.testing.assert_array_equal(model.stream().step([x]), [want])


@pytest.mark.parametrize("y", ["two classes", "multilabel", "number"])
def test_invalid_steps_leave_the_stream_unchanged(y):
    stream = fitted(y, hidden_layer_sizes=4).stream()
    stream.step(X[0, 0])
    before = stream.state
    calls = [stream.step] if y == "number" else [stream.step, stream.step_proba]
    for call in calls:
        for wrong in (0.5, [1.0, 2.0], np.ones(4), np.ones((2, 3)), np.ones((1, 2)), [[]]):
            with pytest.raises(ValueError, match=r"x_t has shape .*expected \(1, 3\) or \(3,\)"):
                call(wrong)
        for wrong, what in (
            ([1, np.nan, 3], "NaN: stream 0, channel 1"),
            (np.array([1, 2, -np.inf]), "infinity or a value too large for float32: .*channel 2"),
            (np.array([1e39, 2, 3]), "too large for float32: stream 0, channel 0"),
            ([10**400, 2, 3], "too large|int too"),
            (["1", "2", "3"], "numeric"),
            ([1, "two", 3], "numeric|could not convert"),
            ([1, None, 3], "NaN|NoneType"),
            ([1j, 2, 3], "omplex"),
            ([[1, 2, 3], [4]], "inhomogeneous"),
        ):
            with pytest.raises((ValueError, TypeError, OverflowError), match=what):
                call(wrong)
        with pytest.raises((ValueError, TypeError)):
            call(None)
    np.testing.assert_array_equal(stream.state, before)


def test_invalid_streams_are_rejected():
    with pytest.raises(NotFittedError):
        GRUClassifier().stream()
    model = fitted("number", hidden_layer_sizes=2)
    for wrong in (0, -1, 1.0, "2", None, [1], True):
        with pytest.raises(ValueError, match="n_streams must be an integer >= 1, got"):
            model.stream(wrong)
    with pytest.raises(ValueError, match=r"bidirectional=True.*stream"):
        fitted("number", hidden_layer_sizes=2, bidirectional=True).stream()


def test_later_fits_do_not_change_a_stream():
    """Neither do changes of the weights; also after copying the stream."""
    model = fitted("three classes", hidden_layer_sizes=4)
    want = [model.stream().step_proba(X[0, 0]), model.stream().step(X[0, 0])]
    stream = model.stream()
    model.layers_[0].W[:] = 0
    model.head_.b[:] = [5, 0, 0]
    quietly_fitted(model.set_params(hidden_layer_sizes=7), X[:, :, :2], [[0, 1], [1, 1]] * 3)
    for same in (stream, copy.copy(stream), copy.deepcopy(stream)):
        np.testing.assert_array_equal(same.step_proba(X[0, 0]), want[0])
        same.reset()
        assert same.step(X[0, 0]) == want[1]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_copies_are_independent(copied):
    stream = fitted("number", hidden_layer_sizes=(5, 4), pooling="attention", cell="cifg").stream(N)
    for t in range(2):
        stream.step(X[:, t])
    other = copied(stream)
    assert (other.n_streams, other.n_channels) == (N, D)
    np.testing.assert_array_equal(other.state, stream.state)
    want = stream.step(X[:, 2])
    stream.reset()
    np.testing.assert_array_equal(other.step(X[:, 2]), want)


def test_a_pickled_stream_continues_in_another_process(tmp_path):
    """Also on another instruction set, up to rounding."""
    model = fitted("three classes", hidden_layer_sizes=(5, 4), cell="lstm", pooling="mean")
    stream = model.stream()
    for x_t in X[0, :-1]:
        stream.step(x_t)
    (tmp_path / "stream").write_bytes(pickle.dumps(stream))
    np.save(tmp_path / "x", X[0, -1])
    code = f"""
import pickle, numpy
folder = {str(tmp_path)!r}
stream = pickle.load(open(folder + "/stream", "rb"))
x = numpy.load(folder + "/x.npy")
state = stream.state
print(*stream.step_proba(x).tolist())
stream.state = state
print(stream.step(x))
"""
    p, label = stream.step_proba(X[0, -1]), model.predict(X[:1])[0]
    for isa, tolerance in ((None, 0), ("portable", 1e-5)):
        result = run_forked(code, SKGRU_ISA=isa)
        assert not result.stderr
        probabilities, name = result.stdout.splitlines()
        np.testing.assert_allclose(list(map(float, probabilities.split())), p, rtol=tolerance)
        assert name == label


def test_a_pickled_stream_has_no_optimizer():
    model = fitted("number", hidden_layer_sizes=64)
    assert len(pickle.dumps(model.stream())) < 1.2 * model.layers_[0].U.nbytes * 4 / 3
    assert model._solver is not None


def test_a_stream_is_safe_to_share_between_threads():
    """The order of steps is undefined, but each step is atomic."""
    model = fitted("number", hidden_layer_sizes=(32, 32), pooling="mean")
    stream = model.stream()
    x, n_steps, n_threads = X[0, 0].copy(), 2000, 4

    def run():
        for _ in range(n_steps):
            stream.step(x)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=run) for _ in range(n_threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    alone = model.stream()
    for _ in range(n_threads * n_steps):
        alone.step(x)
    np.testing.assert_array_equal(stream.state, alone.state)
    assert stream.state[0, -1] == n_threads * n_steps


# ---- pipelines ---------------------------------------------------------------------------------

LONG = np.random.default_rng(0).normal(2, 3, size=(N, 19, D))
FORWARD = {"bidirectional": False, "max_iter": 1, "random_state": 0}
PIPELINES = {
    "scaled": [PerTimestep(StandardScaler())],
    "one-hot": [PerTimestep(OneHotEncoder(handle_unknown="ignore"))],
    "patches": [Patches(4, 2)],
    "patches side by side": [Patches(3, 3)],
    "patches of all steps": [Patches(50, 7)],
    "one step a patch": [Patches(1, 1)],
    "nothing": ["passthrough", None],
    "all": [
        *(PerTimestep(StandardScaler()), "passthrough", PerTimestep(PCA(2))),
        *(Patches(5, 2), PerTimestep(StandardScaler())),
    ],
    "patches of patches": [Patches(3, 2), Patches(4, 1)],
    "gaps": [FillGaps("forward", add_elapsed=True), Patches(3, 2)],
    "gaps in patches": [Patches(3, 2), FillGaps("forward"), PerTimestep(StandardScaler())],
}
every_pipeline = pytest.mark.parametrize("steps", PIPELINES.values(), ids=PIPELINES)


def pipeline(steps, y="three classes", **parameters):
    estimator = GRURegressor if y.startswith("number") else GRUClassifier
    settings = {"max_iter": 2, "bidirectional": False, "random_state": 0, **parameters}
    model = make_pipeline(*steps, estimator(5, **settings))
    return quietly_fitted(model, LONG, {**Y, "number": LONG[:, -1, 0]}[y])


def assert_same(got, want):
    """Labels are equal; numbers to rounding errors of transformers."""
    assert np.shape(got) == np.shape(want)
    if np.asarray(want).dtype.kind in "iU":
        np.testing.assert_array_equal(got, want)
    else:
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
@every_pipeline
def test_pipelines(steps, pooling):
    for y in ("number", "two classes", "three classes", "multilabel"):
        model = pipeline(steps, y, pooling=pooling)
        together = [stream_of(model, N) for _ in range(2)]
        alone = [stream_of(model) for _ in range(N)]
        assert (alone[0].n_streams, together[0].n_streams) == (1, N)
        assert alone[0].n_channels == D
        assert hasattr(alone[0], "step_proba") == (y != "number")
        all_so_far = [x[: t + 1] for t in range(LONG.shape[1]) for x in LONG]
        predictions = model.predict(all_so_far)
        if y != "number":
            probabilities = model.predict_proba(all_so_far)
        for t in range(LONG.shape[1]):
            now = slice(t * N, (t + 1) * N)
            want = predictions[now]
            got = together[0].step(LONG[:, t])
            assert got.dtype == want.dtype
            assert_same(got, want)
            rows = [one.step(x_t) for one, x_t in zip(alone, LONG[:, t], strict=True)]
            assert {type(row) for row in rows} == {type(want[0])}
            assert_same(rows, want)
            if y != "number":
                assert_same(together[1].step_proba(LONG[:, t]), probabilities[now])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_scaled_pipeline_to_the_last_bit(dtype):
    for steps in PIPELINES["scaled"], [PerTimestep(StandardScaler()), Patches(4, 3)]:
        model = pipeline(steps, "number", dtype=dtype)
        stream = stream_of(model, N)
        for t in range(LONG.shape[1]):
            x_t, so_far = LONG[:, t].astype(dtype), LONG[:, : t + 1].astype(dtype)
            np.testing.assert_array_equal(stream.step(x_t), model.predict(so_far))


@pytest.mark.parametrize(
    "parameters", [{"cell": "lstm"}, {"cell": "light_gru", "activation": "relu"}]
)
def test_pipelines_of_other_cells(parameters):
    model = pipeline([Patches(4, 2)], "number", **parameters)
    stream = stream_of(model, N)
    for t in range(LONG.shape[1]):
        assert_same(stream.step(LONG[:, t]), model.predict(LONG[:, : t + 1]))


@every_pipeline
def test_resets_of_each_stream_of_a_pipeline(steps):
    """Sequences of different lengths one after the other, in each of three streams."""
    rng = np.random.default_rng(1)
    model = pipeline(steps, "number", pooling="attention")
    stream, so_far = stream_of(model, 3), [[], [], []]
    for t in range(60):
        x_t = rng.normal(2, 3, size=(3, D))
        for own, x in zip(so_far, x_t, strict=True):
            own.append(x)
        assert_same(stream.step(x_t), model.predict(list(map(np.array, so_far))))
        ended = rng.random(3) < 0.1
        stream.reset(ended if t % 2 else np.flatnonzero(ended).tolist())
        assert not stream.state[ended].any()
        so_far = [[] if end else own for end, own in zip(ended, so_far, strict=True)]
    stream.step(x_t)
    stream.reset(1)
    np.testing.assert_array_equal(stream.state.any(axis=1), [True, False, True])
    stream.reset()
    assert not stream.state.any()
    with pytest.raises(IndexError, match="3"):
        stream.reset([0, 3])


@every_pipeline
@pytest.mark.parametrize("n", [1, 4, 5, 11])
def test_states_of_pipelines_go_from_stream_to_stream(steps, n):
    model = pipeline(steps, pooling="mean")
    first, second = stream_of(model, N), stream_of(model, N)
    assert not first.state.any()
    for t in range(n):
        first.step(LONG[:, t])
    second.state = first.state[::-1]
    state = first.state
    state[:] = np.nan  # a copy
    for t in range(n, 15):
        want = first.step_proba(LONG[:, t])[::-1]
        np.testing.assert_array_equal(second.step_proba(LONG[::-1, t]), want)
    np.testing.assert_array_equal(second.state, first.state[::-1])


def test_the_state_of_a_patch():
    stream = stream_of(pipeline([Patches(4, 2)], pooling="last"), N)
    assert stream.state.shape == (N, 5 + 4 * D + 1)
    assert stream.state.dtype == np.float32
    for t in range(5):
        stream.step(LONG[:, t])
    # the second patch began with step 2, has three steps, and is filled with the newest
    np.testing.assert_array_equal(stream.state[:, -1], 3)
    held = stream.state[:, 5:-1].reshape(N, 4, D)
    np.testing.assert_array_equal(held, LONG[:, [2, 3, 4, 4]].astype("float32"))
    before = stream.state
    for count in (5, -1, 0.5):
        wrong = before.copy()
        wrong[1, -1] = count
        with pytest.raises(ValueError, match="must hold integers from 0 to 4"):
            stream.state = wrong
    for wrong in (before[:, 1:], before[1:], before[0]):
        with pytest.raises(ValueError, match=r"state has shape \(.*; expected \(6, 18\)"):
            stream.state = wrong
    with pytest.raises(ValueError, match="state contains NaN"):
        stream.state = before * np.nan
    np.testing.assert_array_equal(stream.state, before)


def test_an_incomplete_patch_leaves_no_trace():
    stream = stream_of(pipeline([Patches(4, 2)], "number", pooling="attention"), 1)
    width = 5 + 5 + 2
    changes = []
    for x_t in LONG[0, :12]:
        before = stream.state[:, :width]
        stream.step(x_t)
        changes.append(not np.array_equal(before, stream.state[:, :width]))
    assert changes == [t in (3, 5, 7, 9, 11) for t in range(12)]


def test_a_prediction_per_patch():
    model = make_pipeline(
        PerTimestep(StandardScaler()),
        Patches(4, 3),
        GRUClassifier(6, return_sequences=True, bidirectional=False, max_iter=2, random_state=0),
    )
    y = LABELS[(LONG[:, 3::3, 0] > 0).astype(int)]
    assert y.shape == (N, 6)
    quietly_fitted(model, LONG, y)
    stream = stream_of(model, N)
    for t in range(LONG.shape[1]):
        want = model.predict(LONG[:, : t + 1])[:, -1]
        np.testing.assert_array_equal(stream.step(LONG[:, t]), want)


def test_searches_tables_and_pipelines_in_pipelines():
    inner = make_pipeline(Patches(), GRURegressor(4, bidirectional=False, max_iter=1))
    inner = GridSearchCV(inner, {"patches__size": [2, 3]}, cv=2)
    outer = make_pipeline(PerTimestep(StandardScaler()), inner)
    search = GridSearchCV(outer, {"gridsearchcv__cv": [2, 3]}, cv=2)
    quietly_fitted(search, np.tile(LONG, (4, 1, 1)), np.tile(LONG[:, -1, 0], 4))
    stream = stream_of(search, N)
    for t in range(6):
        assert_same(stream.step(LONG[:, t]), search.predict(LONG[:, : t + 1]))
    table = make_pipeline(
        PerTimestep(StandardScaler(), n_channels=D),
        Patches(4, 2, n_channels=D),
        GRURegressor(4, bidirectional=False, max_iter=1, n_channels=4 * D),
    )
    quietly_fitted(table, LONG.reshape(N, -1), LONG[:, -1, 0])
    stream = stream_of(table, N)
    for t in range(LONG.shape[1]):
        y = stream.step(LONG[:, t])
    assert_same(y, table.predict(LONG.reshape(N, -1)))


def test_an_estimator_alone_has_its_own_stream():
    model = fitted("number", hidden_layer_sizes=4, bidirectional=False)
    for same in (model, make_pipeline(model), make_pipeline("passthrough", model)):
        assert type(stream_of(same)) is type(model.stream())


@pytest.mark.parametrize("x", [[1, -2, 3], (1.0, -2.0, 3.0), np.array([1, -2, 3], "f4")])
def test_numbers_of_any_type_through_a_pipeline(x):
    model = pipeline(PIPELINES["all"], "number")
    want = model.predict(np.array([[x]], dtype=float))[0]
    assert_same(stream_of(model).step(x), want)
    assert_same(stream_of(model).step([x]), [want])


@pytest.mark.parametrize("steps", ["scaled", "patches", "all"])
def test_steps_that_a_pipeline_refuses_change_nothing(steps):
    stream = stream_of(pipeline(PIPELINES[steps]))
    for t in range(7):
        stream.step(LONG[0, t])
    before = stream.state
    for call in (stream.step, stream.step_proba):
        for wrong in (0.5, [1.0, 2.0], np.ones(4), np.ones((2, 3)), np.ones((1, 2)), [[]]):
            with pytest.raises(ValueError, match=r"x_t has shape .*expected \(1, 3\) or \(3,\)"):
                call(wrong)
        nan, inf = np.nan, np.inf
        for wrong in ([1, nan, 3], [1, -inf, 3], [1, 1e300, 3], ["1", "2", "3"], [1, None, 3]):
            with pytest.raises((ValueError, TypeError)):
                call(wrong)
    with pytest.raises(ValueError, match="x_t contains infinity.* channel 2"):
        stream.step([1, 2, np.inf])
    np.testing.assert_array_equal(stream.state, before)


def test_missing_values_are_imputed():
    X = LONG.copy()
    X[:, ::3, 1] = np.nan
    model = make_pipeline(
        PerTimestep(SimpleImputer()), Patches(4, 2), GRURegressor(4, bidirectional=False)
    )
    model = quietly_fitted(model.set_params(gruregressor__max_iter=1), X, LONG[:, -1, 0])
    stream = stream_of(model, N)
    for t in range(X.shape[1]):
        assert_same(stream.step(X[:, t]), model.predict(X[:, : t + 1]))


WITH_GAPS = np.where(np.random.default_rng(3).random(LONG.shape) < 0.4, np.nan, LONG)


@pytest.mark.parametrize("method", ["forward", "mean"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "steps",
    [
        lambda gaps: [gaps],
        lambda gaps: [gaps, PerTimestep(StandardScaler()), Patches(4, 2)],
        lambda gaps: [PerTimestep(StandardScaler()), Patches(3, 2), gaps],
    ],
    ids=["alone", "before patches", "after patches"],
)
def test_gaps_are_filled(steps, method, dtype):
    X = WITH_GAPS.astype(dtype)
    X[0, :4] = np.nan  # nothing is observed at first
    X[1, 12:] = np.nan  # and nothing at last, which in a list is no padding
    gaps = FillGaps(method, add_indicator=True, add_elapsed=True)
    model = make_pipeline(
        *steps(gaps), GRURegressor(4, bidirectional=False, max_iter=1, random_state=0)
    )
    model = quietly_fitted(model, [*X], LONG[:, -1, 0])
    stream, alone = stream_of(model, N), stream_of(model)
    for t in range(X.shape[1]):
        want = model.predict([*X[:, : t + 1]])
        assert_same(stream.step(X[:, t]), want)
        assert_same(alone.step(X[1, t]), want[1])
        if t == 6:  # goes on from a state
            moved = stream_of(model, N)
            moved.state = stream.state
            stream = moved
    stream.reset([0, 2])
    np.testing.assert_array_equal(stream.state.any(axis=1), [n not in (0, 2) for n in range(N)])
    so_far = [[*x, x_t] for x, x_t in zip(X, X[:, 0], strict=True)]
    so_far[0], so_far[2] = so_far[0][-1:], so_far[2][-1:]
    assert_same(stream.step(X[:, 0]), model.predict(list(map(np.array, so_far))))


def test_the_state_of_gaps():
    model = make_pipeline(FillGaps("forward", add_elapsed=True), GRUClassifier(5, **FORWARD))
    quietly_fitted(model, WITH_GAPS, Y["three classes"])
    stream = stream_of(model, 2)
    width = stream.state.shape[1] - 3 * D
    nan = np.nan
    for x_t in ([[nan, 2, 3], [1, nan, nan]], [[nan, nan, 4], [nan, nan, nan]]):
        stream.step(x_t)
    before = stream.state
    held, seen, elapsed = np.split(before[:, width:], 3, axis=1)
    np.testing.assert_array_equal(held, [[0, 2, 4], [1, 0, 0]])
    np.testing.assert_array_equal(seen, [[0, 1, 1], [1, 0, 0]])
    np.testing.assert_array_equal(elapsed, [[2, 2, 1], [2, 2, 2]])
    for column, value in ((width + D, 0.5), (width + D, 2), (-1, -1), (-1, 0.5)):
        wrong = before.copy()
        wrong[1, column] = value
        with pytest.raises(ValueError, match="The last 6 columns of state must hold 0 or 1"):
            stream.state = wrong
    with pytest.raises(ValueError, match="x_t contains infinity"):
        stream.step([[1, 2, 3], [1, 2, np.inf]])
    np.testing.assert_array_equal(stream.state, before)
    # what a later step refuses leaves the last observed values, too
    with pytest.raises(ValueError, match="too large for float32"):
        stream.step([[1, 2, 3], [1, 2, 1e300]])
    np.testing.assert_array_equal(stream.state, before)


def test_interpolation_looks_ahead():
    model = make_pipeline(FillGaps(), GRUClassifier(5, **FORWARD))
    quietly_fitted(model, WITH_GAPS, Y["three classes"])
    with pytest.raises(ValueError, match="'fillgaps'.*looks ahead.*method='forward' or 'mean'"):
        stream_of(model)


def test_pipelines_that_cannot_be_streamed():
    scaled = PerTimestep(StandardScaler())
    number = GRURegressor(2, bidirectional=False, max_iter=1)
    y = LONG[:, -1, 0]
    for step, what in (
        (PerSequence(StandardScaler()), "Step 'persequence' of the pipeline, a PerSequence, does"),
        (PerSequence(np.cumsum, kw_args={"axis": 0}), "'persequence'.* apply it first"),
    ):
        model = quietly_fitted(make_pipeline(scaled, step, number), LONG, y)
        with pytest.raises(TypeError, match=what):
            stream_of(model)
    model = quietly_fitted(make_pipeline(StandardScaler(), number), LONG[:, :, 0], y)
    with pytest.raises(TypeError, match="'standardscaler'.*PerTimestep around a transformer"):
        stream_of(model)
    for unfitted in (
        *(clone(model), clone(number), GridSearchCV(model, {})),
        make_pipeline(clone(scaled), quietly_fitted(clone(number), LONG, y)),
    ):
        with pytest.raises(NotFittedError):
            stream_of(unfitted)
    for other, name in (
        (
            make_pipeline(scaled, TransformedTargetRegressor(number)),
            "TransformedTargetRegressor at",
        ),
        (GridSearchCV(number, {}, cv=2, refit=False), "refit=True, around them; got GridSearchCV"),
    ):
        with pytest.raises(TypeError, match=name):
            stream_of(quietly_fitted(other, LONG, y))
    both_ways = make_pipeline(scaled, GRURegressor(2, bidirectional=True, max_iter=1))
    with pytest.raises(ValueError, match=r"bidirectional=True.*stream"):
        stream_of(quietly_fitted(both_ways, LONG, y))
    with pytest.raises(ValueError, match="n_streams must be an integer >= 1, got 0"):
        stream_of(quietly_fitted(make_pipeline(scaled, number), LONG, y), 0)


@pytest.mark.parametrize("n_streams", [2**60, sys.maxsize, 10**30, 10**5000], ids="abcd")
def test_more_streams_than_memory_are_rejected(n_streams):
    number = fitted("number", hidden_layer_sizes=2)
    rows = make_pipeline(PerTimestep(StandardScaler()), Patches(2), clone(number))
    patches = quietly_fitted(rows, X, Y["number"])
    scaled = quietly_fitted(ScaledTargetRegressor(clone(number)), X, Y["number"])
    streams = number.stream, scaled.stream, lambda n: stream_of(patches, n)
    for make in streams:
        with pytest.raises(ValueError, match=r"n_streams, about 10\^.*, is too large"):
            make(n_streams)


def test_patches_that_do_not_fit_into_memory_are_rejected(monkeypatch):
    model = make_pipeline(Patches(2), fitted("number", hidden_layer_sizes=2))
    model = quietly_fitted(model, X, Y["number"])

    def full(*args):
        raise MemoryError

    monkeypatch.setattr("skgru.streaming.pipelines.PatchesStream", full)
    with pytest.raises(ValueError, match=r"n_streams, about 10\^3.0, is too large"):
        stream_of(model, 1000)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
@every_pipeline
def test_copies_of_a_pipeline_go_their_own_way(copied, steps):
    stream = stream_of(pipeline(steps, "number", pooling="attention"), N)
    for t in range(6):
        stream.step(LONG[:, t])
    other = copied(stream)
    assert (other.n_streams, other.n_channels) == (N, D)
    np.testing.assert_array_equal(other.state, stream.state)
    want = [stream.step(LONG[:, t]) for t in range(6, 12)]
    stream.reset()
    got = [other.step(LONG[:, t]) for t in range(6, 12)]
    np.testing.assert_array_equal(got, want)


def test_later_fits_of_a_pipeline_do_not_change_it():
    model = pipeline([PerTimestep(StandardScaler()), Patches(4, 2)])
    want = stream_of(model).step_proba(LONG[0, 0])
    stream = stream_of(model)
    model[0].transformer_.mean_[:] = 7
    model.set_params(patches__size=2)
    quietly_fitted(model, 5 * LONG, Y["three classes"])
    np.testing.assert_array_equal(stream.step_proba(LONG[0, 0]), want)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_snippets_of_the_page():
    names = run_snippets("streaming.rst", "Pipelines")
    # with the numbers of the scaler, and by its method
    np.testing.assert_allclose(names["p"], names["pipeline"].predict_proba(names["X"][:1])[0])


# ---- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [(), (PerTimestep(StandardScaler()),), (Patches(2, 1),)])
def test_a_step_has_no_names(steps):
    """Columns in another order would be read as other channels."""
    X = np.random.default_rng(0).normal(size=(8, 5, 2))
    model = make_pipeline(*steps, GRURegressor(3, bidirectional=False, max_iter=1, random_state=0))
    model.fit([pd.DataFrame(x, columns=["a", "b"]) for x in X], X[:, -1, 0])
    one = stream_of(model)
    with pytest.raises(ValueError, match=r"columns \['b', 'a'\], and a stream reads channels by"):
        one.step(pd.DataFrame(X[0, :1], columns=["a", "b"])[["b", "a"]])
    with pytest.raises(ValueError, match=r"labels \['b', 'a'\], and a stream reads channels by"):
        one.step(pd.Series(X[0, 0], index=["b", "a"]))
    expected = stream_of(model).step(X[0, :1])
    np.testing.assert_array_equal(one.step(pd.DataFrame(X[0, :1])), expected)


def test_the_labels_of_a_step_with_strings_are_those_of_fit():
    rng = np.random.default_rng(0)
    X = [pd.DataFrame({"a": rng.normal(size=4), "k": list("uvuv")}) for _ in range(6)]
    encoder = make_column_transformer((OneHotEncoder(), ["k"]), remainder="passthrough")
    model = make_pipeline(PerTimestep(encoder), GRURegressor(3, bidirectional=False, max_iter=1))
    quietly_fitted(model, X, np.arange(6.0))
    row, stream = X[0].iloc[0], stream_of(model)
    assert_same(stream.step(row), model.predict([X[0][:1]])[0])
    with pytest.raises(ValueError, match=r"x_t has the columns \['k', 'a'\]; expected"):
        stream.step(row[["k", "a"]])


# ---- what predict refuses ------------------------------------------------------------------------

GAPS = (FillGaps("forward"),)


@pytest.mark.parametrize("steps", [(), (PerTimestep(StandardScaler()),), (Patches(2, 1),), GAPS])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
def test_masked_values_are_refused(steps, dtype):
    """Or they would be read as if they were not masked."""
    X = np.arange(80).reshape(8, 5, 2).astype(dtype)
    model = make_pipeline(*steps, GRUClassifier(3, bidirectional=False, max_iter=1))
    stream = stream_of(quietly_fitted(model, X, np.arange(8) % 2))
    x_t = np.ma.array(X[0, 0], mask=[True, False])
    for call in (stream.step, stream.step_proba):
        for wrong in (x_t, x_t[np.newaxis], [x_t]):
            with pytest.raises(ValueError, match="x_t is a masked array with 1 masked values"):
                call(wrong)
    with pytest.raises(ValueError, match="masked array with 1 masked values"):
        model.predict([x_t[np.newaxis]])
    assert not stream.state.any()
    assert_same(stream.step(np.ma.array(X[0, 0])), model.predict(X[:1, :1])[0])


def test_dates_are_refused():
    days = np.array(["2020-01-01", "2020-01-02", "2020-01-03"], dtype="datetime64[D]")
    model = fitted("number", hidden_layer_sizes=2)
    for call, x in ((model.stream().step, days), (model.predict, days[np.newaxis, np.newaxis])):
        with pytest.raises(TypeError, match="dates and durations are not numbers"):
            call(x)
