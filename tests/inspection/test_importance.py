"""channel_importance: permutations, and what they find."""

import numpy as np
import pytest
from inspection_helpers import deciding
from sklearn.base import BaseEstimator
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.inspection import channel_importance
from skgru.inspection.importance import _rows_of_next
from skgru.preprocessing import Patches, PerTimestep
from skgru.sequences import check_sequences

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::skgru.exceptions.GradientWarning"
)
LENGTHS = (4, 2, 6, 6, 1)
rng = np.random.default_rng(0)
RAGGED = [rng.normal(size=(n, 3)) for n in LENGTHS]


class Recorder(BaseEstimator):
    """Keeps every X that it predicts for."""

    n_channels = 3

    def __init__(self):
        self.seen = []

    def fit(self, X, y):
        return self

    def predict(self, X):
        self.seen.append(X)
        return np.zeros(len(X))

    def score(self, X, y):
        return self.predict(X).mean()


@pytest.fixture(scope="module")
def model_and_data():
    X, decides = deciding(1200)
    y = decides > 0
    model = GRUClassifier(16, max_iter=60, learning_rate_init=0.01, random_state=0)
    return model.fit(X[:900], y[:900]), X[900:], y[900:]


def test_the_channel_that_decides_is_first_and_others_are_within_the_noise(model_and_data):
    model, X, y = model_and_data
    result = channel_importance(model, X, y, n_repeats=10, random_state=0)
    assert result.score == model.score(X, y) > 0.9
    assert result.importances.shape == (3, 10)
    assert result.group_names == ["x0", "x1", "x2"]
    np.testing.assert_allclose(result.importances_mean, result.importances.mean(axis=1))
    np.testing.assert_allclose(result.importances_std, result.importances.std(axis=1))
    assert result.importances_mean.argmax() == 1
    assert result.importances_mean[1] > 0.3
    # noise: that of the accuracy on 300 sequences
    assert np.abs(result.importances_mean[[0, 2]]).max() < 2 * np.sqrt(0.1 * 0.9 / len(X))


def test_a_channel_without_weights_has_no_importance(model_and_data):
    model, X, y = model_and_data
    X = X.copy()
    model = GRUClassifier(4, max_iter=5, random_state=0).fit(X, y)
    for layer in model.layers_:
        layer.W[2] = 0
    result = channel_importance(model, X, y, random_state=0)
    assert (result.importances[2] == 0).all()


def test_lags_show_when_it_is_decided(model_and_data):
    model, X, y = model_and_data
    result = channel_importance(
        model, X, y, lags=5, groups={"all": [0, 1, 2], "decides": [1]}, random_state=0
    )
    assert result.lags == [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]
    assert result.importances.shape == (2, 5, 5)
    assert result.importances_mean.argmax(axis=1).tolist() == [2, 2]  # step 4 of 10 is lag 5
    assert result.importances_mean[:, 2].min() > 5 * result.importances_mean[:, [0, 1, 3, 4]].max()
    one = channel_importance(model, X, y, lags=[(5, 5)], groups=[["x1"]], random_state=0)
    assert one.group_names == ["x1"]
    assert one.importances_mean[0, 0] > 0.3


@pytest.mark.parametrize("block", [(0, 5), (1, 3), (4, 5)])
def test_every_lag_is_permuted_between_the_sequences_that_have_it(block):
    sequences = check_sequences(RAGGED)
    order = np.random.default_rng(1).permutation(5)
    rows = _rows_of_next(sequences, order, block)
    assert sorted(rows) == list(range(19))
    lag = np.repeat(LENGTHS, LENGTHS) - 1 - sequences.steps
    np.testing.assert_array_equal(lag[rows], lag)
    moved = rows != np.arange(19)
    np.testing.assert_array_equal(moved, (lag >= block[0]) & (lag <= block[1]))


def test_only_the_group_is_permuted_and_the_form_stays():
    padded = np.full((5, 7, 3), np.nan)
    for row, x in zip(padded, RAGGED, strict=True):
        row[: len(x)] = x
    table = rng.normal(size=(5, 12))
    for X in (RAGGED, padded, table):
        recorder = Recorder()
        channel_importance(recorder, X, np.zeros(5), groups=[[0, 2]], n_repeats=1, random_state=0)
        as_is, permuted = recorder.seen
        assert as_is is X
        assert type(permuted) is type(X)
        a, b = (check_sequences(x, n_channels=3) for x in (X, permuted))
        assert a.form == b.form
        np.testing.assert_array_equal(a.lengths, b.lengths)
        np.testing.assert_array_equal(a.values[:, 1], b.values[:, 1])
        assert (a.values[:, [0, 2]] != b.values[:, [0, 2]]).all()
        np.testing.assert_array_equal(np.sort(a.values, axis=0), np.sort(b.values, axis=0))


def test_results_depend_on_the_random_state_and_not_on_the_jobs(model_and_data):
    model, X, y = model_and_data
    X, y = X[:50], y[:50]
    results = [
        channel_importance(model, X, y, random_state=seed, n_jobs=n_jobs).importances
        for seed, n_jobs in ((0, None), (0, 2), (1, None))
    ]
    np.testing.assert_array_equal(results[0], results[1])
    assert (results[0] != results[2]).any()


def test_scorers_and_weights(model_and_data):
    model, X, y = model_and_data
    X, y = X[:60], y[:60]
    result = channel_importance(model, X, y, scoring="neg_log_loss", random_state=0)
    assert result.score < 0
    assert result.importances_mean.argmax() == 1
    weights = np.r_[np.ones(30), np.zeros(30)]
    weighted = channel_importance(model, X, y, sample_weight=weights, random_state=0)
    assert weighted.score == model.score(X[:30], y[:30])


def test_pipelines_and_predictions_of_every_step():
    X = [rng.normal(size=(n, 3)) for n in (5, 8, 6, 7) * 5]
    pipeline = make_pipeline(
        PerTimestep(StandardScaler()), Patches(2, 1), GRURegressor(3, max_iter=2, random_state=0)
    )
    pipeline.fit(X, [x[-1, 0] for x in X])
    result = channel_importance(pipeline, X, [x[-1, 0] for x in X], n_repeats=2, random_state=0)
    assert np.isfinite(result.importances).all()
    tagger = GRUClassifier(8, return_sequences=True, max_iter=40, random_state=0)
    y = [(x[:, 1] > 0).astype(int) for x in X]
    result = channel_importance(tagger.fit(X, y), X, y, random_state=0)
    assert result.importances_mean.argmax() == 1


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames_keep_names_and_dtypes(library):
    frames = pytest.importorskip(library)
    X = [
        frames.DataFrame(
            {"day": ["Mon", "Tue", "Sun"][: 1 + k % 3], "load": [1.0, 2, k][: 1 + k % 3]}
        )
        for k in range(6)
    ]
    recorder = Recorder()
    result = channel_importance(recorder, X, np.zeros(6), n_repeats=1, random_state=0)
    assert result.group_names == ["day", "load"]
    _, without_day, _ = recorder.seen
    for frame, permuted in zip(X, without_day, strict=True):
        assert list(permuted.columns) == ["day", "load"]
        assert list(permuted.dtypes) == list(frame.dtypes)
        assert list(permuted["load"]) == list(frame["load"])
    model = GRURegressor(2, max_iter=1, random_state=0)
    numbers = [frames.DataFrame(rng.normal(size=(4, 2)), **columns(library)) for _ in range(5)]
    model.fit(numbers, np.arange(5.0))
    channel_importance(model, numbers, np.arange(5.0), n_repeats=1)


def columns(library):
    return {"columns": ["a", "b"]} if library == "pandas" else {"schema": ["a", "b"]}


def test_names_of_tables_stay():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(rng.normal(size=(6, 4)), columns=list("abcd"))
    model = GRURegressor(2, n_channels=2, max_iter=1, random_state=0).fit(table, np.arange(6.0))
    result = channel_importance(model, table, np.arange(6.0), n_repeats=2, random_state=0)
    assert result.importances.shape == (2, 2)
    scaled = make_pipeline(StandardScaler(), model).fit(table, np.arange(6.0))
    assert channel_importance(scaled, table, np.arange(6.0)).importances.shape == (2, 5)
    mean = make_scorer(mean_absolute_error, greater_is_better=False)
    given = channel_importance(scaled, table, np.arange(6.0), n_channels=4, scoring=mean)
    assert given.importances.shape == (4, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_repeats": 0}, "n_repeats must be a positive integer, got 0"),
        ({"groups": [[7]]}, r"names the channel 7; X has .* or 0 to 2"),
        ({"groups": {"a": []}}, r"groups\['a'\] is \[\]; expected a list"),
        ({"groups": [0, 1]}, "expected a list of lists of channels"),
        ({"groups": "x0"}, "expected a list of lists of channels"),
        ({"lags": 7}, "lags=7; expected from 1 to 6 blocks"),
        ({"lags": [(3, 1)]}, "pairs of the first and the last lag"),
        ({"lags": [3]}, "pairs of the first and the last lag"),
    ],
)
def test_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        channel_importance(Recorder(), RAGGED, np.zeros(5), **arguments)


def test_one_sequence_is_refused():
    with pytest.raises(ValueError, match="X has one sequence"):
        channel_importance(Recorder(), RAGGED[:1], np.zeros(1))
