"""Dask: searches on a cluster of local processes, and dask-ml's wrappers."""

import os
import signal
import threading
import time

import joblib
import numpy as np
import pytest
from dask_helpers import CountsPickles, n_threads, pid_of
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.preprocessing import PerTimestep

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")
wrappers = pytest.importorskip("dask_ml.wrappers")

GRID = {
    "gruclassifier__hidden_layer_sizes": [8, 16, 32],
    "gruclassifier__learning_rate_init": [0.001, 0.01],
}


def ragged(n=60, length=40):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    X = [rng.normal([label / 2, 0], size=(rng.integers(5, length), 2)) for label in y]
    return X, y


def model(epochs=20):
    gru = GRUClassifier(16, max_iter=epochs, learning_rate="cosine", random_state=0)
    return make_pipeline(PerTimestep(StandardScaler()), gru)


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def same_results(search, other):
    for name in other.cv_results_:
        if name.startswith(("split", "mean_test", "std_test")):
            np.testing.assert_array_equal(search.cv_results_[name], other.cv_results_[name])
    assert search.best_params_ == other.best_params_


@pytest.mark.slow
def test_a_grid_search_matches_one_process(client):
    X, y = ragged()
    search = GridSearchCV(model(10), GRID, cv=2, error_score="raise")
    alone = clone(search).fit(X, y)
    with joblib.parallel_config(backend="dask"):
        spread = clone(search).fit(X, y)
    same_results(spread, alone)
    np.testing.assert_array_equal(spread.predict_proba(X), alone.predict_proba(X))
    with joblib.parallel_config(backend="dask", scatter=[X, y]):
        same_results(clone(search).fit(X, y), alone)


@pytest.mark.slow
@pytest.mark.parametrize("scattered", [False, True])
def test_a_list_is_sent_with_every_fit_unless_it_is_scattered(client, scattered):
    X, y = ragged(length=8)
    X[0] = X[0].view(CountsPickles)
    CountsPickles.n_pickles = 0
    search = GridSearchCV(model(1), {"gruclassifier__alpha": [0.1, 1]}, cv=3, refit=False)
    with joblib.parallel_config(backend="dask", **({"scatter": [X]} if scattered else {})):
        search.fit(X, y)
    assert (CountsPickles.n_pickles < 6) == scattered


@pytest.mark.slow
def test_a_randomized_search_runs_in_the_workers(client):
    X, y = ragged()
    candidates = {"gruclassifier__alpha": loguniform(1e-5, 1)}
    search = RandomizedSearchCV(
        model(5), candidates, n_iter=6, cv=2, random_state=0, error_score="raise", refit=False,
        scoring={"pid": pid_of, "n_threads": n_threads},
    )  # fmt: skip
    with joblib.parallel_config(backend="dask"):
        search.fit(X, y)
    splits = [name for name in search.cv_results_ if name.startswith("split") and "pid" in name]
    pids = {int(pid) for name in splits for pid in search.cv_results_[name]}
    assert pids <= set(client.run(os.getpid).values())
    # joblib counts the cores of the cluster; a fit uses those of its task
    assert set(search.cv_results_["mean_test_n_threads"]) == {1}


@pytest.mark.slow
def test_a_search_survives_the_death_of_a_worker(client):
    X, y = ragged()
    search = GridSearchCV(model(150), GRID, cv=3, error_score="raise")
    alone = clone(search).fit(X, y)
    pids = client.run(os.getpid)
    killed = []

    def kill_a_busy_worker():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            busy = [worker for worker, tasks in client.processing().items() if tasks]
            if busy:
                time.sleep(0.3)  # in the middle of a fit
                os.kill(pids[busy[0]], signal.SIGKILL)
                killed.append(pids[busy[0]])
                return
            time.sleep(0.02)

    killer = threading.Thread(target=kill_a_busy_worker)
    with joblib.parallel_config(backend="dask"):
        killer.start()
        spread = clone(search).fit(X, y)
        n_killed = len(killed)  # before the search was done
    killer.join()
    assert n_killed == 1
    same_results(spread, alone)
    np.testing.assert_array_equal(spread.predict_proba(X), alone.predict_proba(X))
    client.wait_for_workers(2, timeout=60)
    assert killed[0] not in client.run(os.getpid).values()


def chunks(n_channels=1):
    """Return 200 sequences of 6 steps, as arrays of NumPy and of Dask in four chunks."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 6, n_channels)).astype(np.float32)
    y = (X[:, :, 0].sum(axis=1) > 0).astype(int)
    return X, y, da.from_array(X, chunks=(50, 6, n_channels)), da.from_array(y, chunks=50)


def test_partial_fit_over_the_blocks_of_an_array():
    """One block is in memory at a time."""
    X, y, lazy_X, lazy_y = chunks(n_channels=2)
    model, expected = GRUClassifier(8, random_state=0), GRUClassifier(8, random_state=0)
    for _ in range(5):
        for i in range(lazy_X.numblocks[0]):
            model.partial_fit(lazy_X.blocks[i].compute(), lazy_y.blocks[i].compute(), [0, 1])
            rows = slice(50 * i, 50 * i + 50)
            expected.partial_fit(X[rows], y[rows], [0, 1])
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
    # predictions of one block at a time
    lazy = lazy_X.map_blocks(model.predict, drop_axis=(1, 2), dtype=y.dtype)
    np.testing.assert_array_equal(lazy.compute(), model.predict(X))
    assert accuracy_score(y, lazy.compute()) > 0.85


def test_incremental_matches_partial_fit():
    X, y, lazy_X, lazy_y = chunks()
    X, lazy_X = X[:, :, 0], lazy_X[:, :, 0]
    model, expected = GRUClassifier(8, random_state=0), GRUClassifier(8, random_state=0)
    incremental = wrappers.Incremental(model, scoring="accuracy", shuffle_blocks=False)
    for _ in range(5):
        incremental.partial_fit(lazy_X, lazy_y, classes=[0, 1])
        for rows in np.split(np.arange(200), 4):
            expected.partial_fit(X[rows], y[rows], [0, 1])
    lazy = incremental.predict(lazy_X)
    assert isinstance(lazy, da.Array)
    np.testing.assert_array_equal(lazy.compute(), expected.predict(X))
    np.testing.assert_array_equal(
        incremental.predict_proba(lazy_X).compute(), expected.predict_proba(X)
    )
    assert incremental.score(lazy_X, lazy_y) > 0.85
    assert incremental.estimator_.n_iter_ == 20


def test_parallel_post_fit():
    X, y, lazy_X, _ = chunks()
    X, lazy_X = X[:, :, 0], lazy_X[:, :, 0]
    targets = X.sum(axis=1)
    regressor = GRURegressor(8, max_iter=10, learning_rate="cosine", random_state=0)
    classifier = GRUClassifier(8, max_iter=10, learning_rate="cosine", random_state=0)
    for model, target, methods in (
        (regressor, targets, ["predict"]),
        (classifier, y, ["predict", "predict_proba"]),
    ):
        lazy = wrappers.ParallelPostFit(model).fit(X, target)
        for method in methods:
            expected = getattr(lazy.estimator, method)(X)
            got = getattr(lazy, method)(lazy_X)
            assert isinstance(got, da.Array)
            np.testing.assert_array_equal(got.compute(), expected)
    # dask-ml needs the width of the states
    lazy = wrappers.ParallelPostFit(classifier, transform_meta=np.zeros((1, 8), np.float32))
    lazy = lazy.fit(X, y).transform(lazy_X)
    np.testing.assert_array_equal(lazy.compute(), classifier.transform(X))


def test_dask_ml_accepts_tables_only():
    """Its wrappers derive the metadata of results from a table of one row."""
    _, _, lazy_X, lazy_y = chunks(n_channels=2)
    incremental = wrappers.Incremental(GRUClassifier(8), shuffle_blocks=False)
    with pytest.raises(ValueError, match="is one-dimensional and holds strings"):
        incremental.fit(lazy_X, lazy_y, classes=[0, 1])
    table = lazy_X.reshape(200, 12)  # with n_channels, the same sequences
    gru = GRUClassifier(8, n_channels=2, random_state=0)
    incremental = wrappers.Incremental(gru, shuffle_blocks=False)
    incremental.fit(table, lazy_y, classes=[0, 1])
    assert incremental.predict(table).compute().shape == (200,)
