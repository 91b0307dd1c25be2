"""Streams of models with categories, missing values and times, against predict."""

import copy
import pickle
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from helpers import run_snippets
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.kernels import kernels_for
from skgru.preprocessing import Patches, PerTimestep
from skgru.sequences import Channels
from skgru.streaming import stream as stream_of

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::skgru.exceptions.GradientWarning"
)

CELLS = sorted(kernels_for("float32").CELLS)
N, T = 6, 8
rng = np.random.default_rng(0)
NUMBERS = rng.normal(size=(N, T, 2))
GAPS = np.where(rng.random((N, T, 2)) < 0.4, np.nan, NUMBERS)
TIMES = 1e5 + rng.exponential(size=(N, T)).cumsum(axis=1)
TIMES[:, 3] = TIMES[:, 2]  # steps of the same time
TOKENS = rng.integers(2, 6, size=(N, T))
Y = NUMBERS.sum(axis=(1, 2))

FORMS = {
    "missing values": (GAPS, {"missing": "decay"}),
    "times": (np.dstack([TIMES, GAPS]), {"missing": "decay", "time_channel": 0}),
    "categories": (np.dstack([TOKENS, NUMBERS, TOKENS // 2]), {"categorical_channels": [0, 3]}),
    "tokens": (TOKENS[:, :, np.newaxis], {"categorical_channels": [0]}),
    "all": (
        np.dstack([GAPS[:, :, :1], TOKENS, TIMES, GAPS[:, :, 1:]]),
        {"missing": "decay", "time_channel": 2, "categorical_channels": [1]},
    ),
}


def fitted(X, y=Y, estimator=GRURegressor, **parameters):
    settings = {"bidirectional": False, "max_iter": 2, "random_state": 0}
    return estimator(**{**settings, "hidden_layer_sizes": 5, **parameters}).fit(list(X), y)


def assert_steps_are_predictions(model, X):
    """Assert it after each step, for all streams together and for each alone."""
    together, alone = model.stream(N), [model.stream() for _ in range(N)]
    assert together.n_channels == X.shape[2]
    for t in range(T):
        want = model.predict(list(X[:, : t + 1]))
        got = together.step(X[:, t])
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)
        rows = [stream.step(x_t) for stream, x_t in zip(alone, X[:, t], strict=True)]
        np.testing.assert_array_equal(rows, want)


def of_cell(variant):
    cell, *_ = (c for c in ("light_gru", "gru", "rnn", "lstm", "cifg", "mgu") if c in variant)
    relu = "relu" if variant.endswith("relu") else "tanh"
    return {"cell": cell, "reset_after": "after" in variant, "activation": relu}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("variant", CELLS)
def test_every_cell_and_form(variant, form, dtype):
    X, parameters = FORMS[form]
    for embedding in (None, 3) if "categorical_channels" in parameters else (None,):
        model = fitted(X, dtype=dtype, embedding_dim=embedding, **parameters, **of_cell(variant))
        assert model._network.architecture.variant == variant
        assert_steps_are_predictions(model, X)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
@pytest.mark.parametrize("form", FORMS)
def test_every_pooling_and_labels(form, pooling):
    X, parameters = FORMS[form]
    y = np.array(["ada", "bob", "cy"])[np.arange(N) % 3]
    model = fitted(X, y, GRUClassifier, pooling=pooling, hidden_layer_sizes=(9, 4), **parameters)
    assert_steps_are_predictions(model, X)
    stream = model.stream(N)
    for t in range(T):
        p = stream.step_proba(X[:, t])
    np.testing.assert_allclose(p, model.predict_proba(list(X)), rtol=1e-14)


def test_predictions_per_step():
    X, parameters = FORMS["all"]
    model = fitted(X, list(NUMBERS[:, :, 0]), return_sequences=True, **parameters)
    stream = model.stream(N)
    steps = [stream.step(X[:, t]) for t in range(T)]
    np.testing.assert_array_equal(np.transpose(steps), model.predict(list(X)))


def test_a_channel_that_is_not_observed_at_first():
    X = GAPS.copy()
    X[:, :5, 0] = np.nan
    model = fitted(X, missing="decay")
    assert_steps_are_predictions(model, X)


# ---- values of categories ------------------------------------------------------------------------


def test_strings_beside_numbers():
    words = np.array(["no", "yes", "so"], dtype=object)[TOKENS % 3]
    X = np.dstack([NUMBERS.astype(object), words])
    model = fitted(X, categorical_channels=[2])
    assert_steps_are_predictions(model, X)
    stream, lists = model.stream(N), model.stream(N)
    for t in range(T):
        np.testing.assert_array_equal(stream.step(X[:, t]), lists.step(X[:, t].tolist()))
    with pytest.raises(ValueError, match=r"channel 2 of X holds numbers, but held strings"):
        stream.step(NUMBERS[:, 0, [0, 0, 0]])


@pytest.mark.parametrize("odd", [7, -1, 2.5, np.nan])
def test_unknown_and_missing_categories_are_those_of_predict(odd):
    X, parameters = FORMS["categories"]
    model = fitted(X, **parameters)
    (table,) = model._fitted_views().inputs.tables  # where the model has seen neither, it is 0
    table[:] = np.random.default_rng(1).normal(size=table.shape)
    known, X = model.predict(list(X)), X.copy()
    X[:, 2, 0] = odd
    assert (model.predict(list(X)) != known).all()
    assert_steps_are_predictions(model, X)


def test_words_in_any_container():
    words = np.array(["no", "yes", "so"])[TOKENS % 3][:, :, np.newaxis]
    model = fitted(words, categorical_channels=[0])
    x_t = np.array([["no"], ["yes"], ["maybe"], ["so"], ["no"], ["maybe"]])
    want = model.predict(list(x_t[:, np.newaxis]))
    for same in (x_t, x_t.astype(object), x_t.tolist()):
        np.testing.assert_array_equal(model.stream(N).step(same), want)
    assert model.stream().step(["maybe"]) == want[2]


def test_types_of_tokens():
    X, parameters = FORMS["tokens"]
    model = fitted(X, **parameters)
    stream, want = model.stream(N), model.predict(list(X[:, :1]))
    x_t = X[:, 0]
    for same in (x_t.astype("int8"), x_t.astype("f4"), x_t.astype(object), x_t.tolist()):
        stream.reset()
        np.testing.assert_array_equal(stream.step(same), want)
    one = model.stream()
    assert one.step([x_t[0, 0]]) == want[0]
    with pytest.raises(ValueError, match="strings, but held numbers"):
        one.step(["a"])


# ---- states --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_states_are_restored_copied_and_pickled(form):
    X, parameters = FORMS[form]
    model = fitted(X, hidden_layer_sizes=(4, 3), pooling="mean", **parameters)
    stream, want = model.stream(N), model.stream(N)
    for t in range(4):
        stream.step(X[:, t])
        want.step(X[:, t])
    others = [copy.copy(stream), copy.deepcopy(stream), pickle.loads(pickle.dumps(stream))]
    others.append(model.stream(N))
    others[-1].state = stream.state
    stream.step(X[:, 4])  # of its own
    for t in range(4, T):
        y = want.step(X[:, t])
        for other in others:
            np.testing.assert_array_equal(other.step(X[:, t]), y)
            np.testing.assert_array_equal(other.state, want.state)


@pytest.mark.parametrize("form", FORMS)
def test_resets_of_each_stream(form):
    X, parameters = FORMS[form]
    model = fitted(X, **parameters)
    stream, so_far, rng = model.stream(3), [[], [], []], np.random.default_rng(1)
    for t in range(30):
        x_t = X[rng.integers(N, size=3), t % T]
        if "time_channel" in parameters:
            x_t[:, parameters["time_channel"]] = 7.5 * t
        for steps, x in zip(so_far, x_t, strict=True):
            steps.append(x)
        np.testing.assert_array_equal(stream.step(x_t), model.predict(list(map(np.array, so_far))))
        ended = rng.random(3) < 0.3
        stream.reset(ended)
        assert not stream.state[ended].any()
        so_far = [[] if end else steps for end, steps in zip(ended, so_far, strict=True)]
    stream.step(x_t)
    stream.reset()
    if "time_channel" in parameters:
        x_t[:, parameters["time_channel"]] = -3  # a new sequence may begin at any time
    np.testing.assert_array_equal(stream.step(x_t), model.predict(list(x_t[:, np.newaxis])))


def test_the_state_is_what_the_documentation_says():
    X, parameters = FORMS["times"]
    model = fitted(X, **parameters)
    stream = model.stream(N)
    assert stream.state.shape == (N, 5 + 2 * 2 + 2)
    assert stream.state.dtype == float
    for t in range(T):
        stream.step(X[:, t])
        state = stream.state
        for s, row in enumerate(state):
            for channel in range(2):
                seen = np.flatnonzero(~np.isnan(GAPS[s, : t + 1, channel]))
                above, when = row[5 + channel], row[7 + channel]
                if len(seen):
                    mean = model._channels.means[channel]
                    assert above == GAPS[s, seen[-1], channel] - mean
                    assert when == TIMES[s, seen[-1]]
                else:
                    assert (above, when) == (0, TIMES[s, 0])
        np.testing.assert_array_equal(state[:, -2], TIMES[:, t])
        np.testing.assert_array_equal(state[:, -1], 1)


def test_invalid_states_are_refused():
    X, parameters = FORMS["times"]
    stream = fitted(X, **parameters).stream(N)
    stream.step(X[:, 0])
    before = stream.state
    for column, value, message in (
        (-1, 0.5, "must be 1 for streams that have begun"),
        (-1, 0, "must be 1 for streams that have begun"),
        (7, before[0, -2] + 1, "after the time of the last step"),
        (0, np.nan, "NaN"),
    ):
        state = before.copy()
        state[0, column] = value
        with pytest.raises(ValueError, match=message):
            stream.state = state
        np.testing.assert_array_equal(stream.state, before)
    with pytest.raises(ValueError, match="expected"):
        stream.state = before[:, :-1]


def test_streams_pickled_before_there_were_channels_load():
    model = fitted(NUMBERS)
    stream = model.stream(N)
    stream.step(NUMBERS[:, 0])
    saved = stream.__getstate__()
    del saved["channels"]
    other = type(stream).__new__(type(stream))
    other.__setstate__(saved)
    np.testing.assert_array_equal(other.step(NUMBERS[:, 1]), stream.step(NUMBERS[:, 1]))


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "channel", "value", "message"),
    [
        (
            "missing values",
            1,
            np.inf,
            "infinity or a value too large for float32: stream 1, cha.*1",
        ),
        ("missing values", 1, 1e300, "too large for float32: stream 1, channel 1"),
        ("categories", 2, np.nan, "NaN: stream 1, channel 2"),
        ("categories", 1, -np.inf, "infinity.*stream 1, channel 1"),
        ("times", 0, np.nan, "NaN: stream 1, channel 0"),
        ("times", 0, np.inf, "infinity.*stream 1, channel 0"),
        (
            "times",
            0,
            1.0,
            r"goes back in time, which time_channel=0.*stream 1, from 1.*e?.* to 1\.0",
        ),
    ],
)
def test_invalid_steps_leave_the_state(form, channel, value, message):
    X, parameters = FORMS[form]
    stream = fitted(X, **parameters).stream(N)
    stream.step(X[:, 0])
    before, x_t = stream.state, X[:, 1].copy()
    x_t[1, channel] = value
    with pytest.raises(ValueError, match=message):
        stream.step(x_t)
    np.testing.assert_array_equal(stream.state, before)


@pytest.mark.parametrize("shape", [(), (3,), (N, 2), (N, 4), (N - 1, 3), (N, 3, 1)])
def test_wrong_shapes(shape):
    X, parameters = FORMS["times"]
    stream = fitted(X, **parameters).stream(N)
    with pytest.raises((ValueError, TypeError), match="x_t"):
        stream.step(np.zeros(shape))


@pytest.mark.parametrize("form", FORMS)
def test_a_list_of_the_steps_of_streams(form):
    X, parameters = FORMS[form]
    model = fitted(X, **parameters)
    want = model.stream(N).step(X[:, 0])
    for x_t in (X[:, 0].tolist(), list(X[:, 0]), [x.astype(object) for x in X[:, 0]]):
        np.testing.assert_array_equal(model.stream(N).step(x_t), want)
    with pytest.raises(ValueError, match="x_t is ragged"):
        model.stream(N).step([*X[:-1, 0], np.ones(9)])


def test_a_list_of_the_steps_of_streams_with_strings():
    rng = np.random.default_rng(0)
    X = np.dstack([rng.choice(["u", "v"], size=(N, T)).astype(object), rng.normal(size=(N, T))])
    encoder = make_column_transformer((OneHotEncoder(), [0]), remainder="passthrough")
    model = make_pipeline(PerTimestep(encoder), GRURegressor(3, bidirectional=False, max_iter=1))
    model.fit(X, Y)
    for x_t in (X[:, 0], list(X[:, 0])):
        np.testing.assert_allclose(stream_of(model, N).step(x_t), model.predict(X[:, :1]))


def test_data_frames_are_refused():
    X, parameters = FORMS["times"]
    stream = fitted(X, **parameters).stream(N)
    with pytest.raises(ValueError, match="reads channels by their position"):
        stream.step(pd.DataFrame(X[:, 0], columns=["t", "a", "b"]))


@pytest.mark.parametrize("dtype", [np.int64, object])
def test_times_that_the_state_would_round_are_refused(dtype):
    X = np.dstack([np.arange(N * T).reshape(N, T), np.ones((N, T), int)])
    model = fitted(X, missing="decay", time_channel=0)
    stream = model.stream(N)
    stream.step(X[:, 0])
    before, large = stream.state, X[:, 1].astype(dtype)
    large[1, 0] = 2**53 + 1
    with pytest.raises(ValueError, match=r"above 2\*\*53 in time_channel=0.*since the start"):
        stream.step(large)
    np.testing.assert_array_equal(stream.state, before)


def test_dates_are_seconds_since_the_sequence_began():
    """The stream does not know when that was, and refuses the dates themselves."""
    starts = [datetime(2020 + i, 1, 1) for i in range(N)]
    seconds = np.round(TIMES - TIMES[:, :1], 3)
    dates = np.array([[starts[i] + timedelta(seconds=s) for s in row] for i, row in
                      enumerate(seconds)], dtype=object)  # fmt: skip
    X = np.dstack([dates, GAPS.astype(object)])
    model = fitted(X, missing="decay", time_channel=0)
    with pytest.raises(TypeError, match="dates and durations are not numbers"):
        model.stream(N).step(X[:, 0])
    stream = model.stream(N)
    for t in range(T):
        elapsed = [(date - dates[i, 0]).total_seconds() for i, date in enumerate(dates[:, t])]
        got = stream.step(np.column_stack([elapsed, GAPS[:, t]]))
        np.testing.assert_array_equal(got, model.predict(list(X[:, : t + 1])))
    # the sequences of X do not depend on each other
    np.testing.assert_array_equal(model.predict(list(X[2:])), got[2:])


def test_a_later_fit_does_not_change_a_stream():
    X, parameters = FORMS["all"]
    model = fitted(X, **parameters)
    stream, want = model.stream(N), model.predict(list(X[:, :1]))
    model.fit(list(3 * X), Y)
    np.testing.assert_array_equal(stream.step(X[:, 0]), want)


def test_a_pipeline_scales_what_is_observed():
    model = make_pipeline(
        PerTimestep(StandardScaler()),
        GRURegressor(4, missing="decay", bidirectional=False, max_iter=2, random_state=0),
    )
    model.fit(list(GAPS), Y)
    stream = stream_of(model, N)
    for t in range(T):
        np.testing.assert_array_equal(
            stream.step(GAPS[:, t]), model.predict(list(GAPS[:, : t + 1]))
        )
    other = stream_of(model, N)
    other.state = stream.state
    np.testing.assert_array_equal(other.state, stream.state)
    assert isinstance(model[-1]._channels, Channels)


def test_a_pipeline_that_scales_numbers_beside_words_and_times():
    words = np.array(["no", "yes", "so"], dtype=object)[TOKENS % 3]
    X = np.dstack([TIMES.astype(object), words, GAPS])
    scaler = make_column_transformer((StandardScaler(), [2, 3]), remainder="passthrough")
    gru = GRURegressor(4, missing="decay", time_channel=2, categorical_channels=[3], max_iter=2)
    model = make_pipeline(PerTimestep(scaler), gru.set_params(bidirectional=False))
    model.fit(list(X), Y)
    stream = stream_of(model, N)
    for t in range(T):
        np.testing.assert_array_equal(stream.step(X[:, t]), model.predict(list(X[:, : t + 1])))


@pytest.mark.parametrize("form", ["missing values", "categories"])
def test_patches(form):
    X, parameters = FORMS[form]
    X = X / 10  # categories that float32 does not hold
    model = make_pipeline(
        Patches(3, 2),
        GRURegressor(4, bidirectional=False, max_iter=2, random_state=0, **parameters),
    )
    model.fit(list(X), Y)
    stream = stream_of(model, N)
    for t in range(T):
        np.testing.assert_array_equal(stream.step(X[:, t]), model.predict(list(X[:, : t + 1])))
    other = stream_of(model, N)
    other.state = stream.state
    np.testing.assert_array_equal(other.step(X[:, 0]), stream.step(X[:, 0]))


@pytest.mark.parametrize("form", ["missing values", "times", "categories"])
def test_predict_and_streams_refuse_the_same_values(form):
    """What is infinite in float32, the dtype of the network, but not in float64."""
    X, parameters = FORMS[form]
    model, X = fitted(X, **parameters), X.copy()
    X[2, -1, 1] = 1e300
    with pytest.raises(ValueError, match=r"too large for float32: X\[2\], time step 7, channel 1"):
        model.predict(list(X))
    with pytest.raises(ValueError, match="too large for float32: stream 2, channel 1"):
        model.stream(N).step(X[:, -1])
    if form == "times":
        X[2, -1, :2] = 1e300, 0
        X[2, 0, 1] = 0
        with pytest.raises(ValueError, match=r"too large for float32: X\[2\], time step 7"):
            model.predict(list(X))
        stream = model.stream(N)
        stream.step(X[:, 0])
        with pytest.raises(ValueError, match="too large for float32"):
            stream.step(X[:, -1])


def test_the_page_runs():
    docs = run_snippets("streaming.rst", "Missing values, times and categories")
    X, model = docs["X"], docs["model"]
    stream = model.stream(len(X))
    for t in range(X.shape[1]):
        y = stream.step(X[:, t])
    np.testing.assert_array_equal(y, model.predict(list(X)))
    assert docs["gauge"].state[0, -2:].tolist() == [2.0, 1.0]
