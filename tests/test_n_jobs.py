"""Threads of n_jobs: the same bits, no remaining threads, forks and joblib backends."""

import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from joblib.parallel import ParallelBackendBase
from process_helpers import run_forked
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skgru import GRUClassifier, GRURegressor
from skgru.model.workers import Workers, n_threads

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def sequences(lengths):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 3)) for n in lengths]
    return X, np.array([x[0, 0] + x[-1, 1] for x in X])


LENGTHS = {"equal": np.full(150, 12), "ragged": np.arange(150) % 37 + 1}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(
    "parameters",
    [
        dict(solver="adam"),
        dict(solver="sgd", hidden_layer_sizes=(9, 5)),
        dict(solver="adam", early_stopping=True, reset_after=True),
        dict(solver="lbfgs"),
        dict(bidirectional=True, pooling="attention", hidden_layer_sizes=(6, 5)),
        dict(dropout=0.3, recurrent_dropout=0.2, pooling="max", hidden_layer_sizes=(6, 5)),
        dict(bptt_steps=3, pooling="mean", dropout=0.3),
    ],
    ids=str,
)
def test_the_fitted_model_has_the_same_bits_for_every_n_jobs(
    monkeypatch, parameters, lengths, dtype
):
    X, y = sequences(LENGTHS[lengths])
    monkeypatch.setattr("skgru.model.network.SHARD_FLOPS", 10_000)  # as for a large model
    gru = GRURegressor(10, batch_size=100, max_iter=4, random_state=0, dtype=dtype)
    gru.set_params(**parameters)
    alone = clone(gru).fit(X, y)
    expected = alone._network.parameters.tobytes()
    for n_jobs in (1, 2, 3, 7, -1):
        other = clone(gru).set_params(n_jobs=n_jobs).fit(X, y)
        assert other._network.parameters.tobytes() == expected
        assert other.predict(X).tobytes() == alone.predict(X).tobytes()
        assert other.loss_curve_ == alone.loss_curve_
        assert other.grad_norm_curve_ == alone.grad_norm_curve_


@pytest.mark.parametrize("lengths", LENGTHS)
def test_predictions_per_step_have_the_same_bits_for_every_n_jobs(monkeypatch, lengths):
    X, _ = sequences(LENGTHS[lengths])
    y = [x.cumsum(axis=0)[:, 0] for x in X]
    monkeypatch.setattr("skgru.model.network.SHARD_FLOPS", 10_000)
    gru = GRURegressor(
        (6, 5), return_sequences=True, batch_size=100, max_iter=4, random_state=0, dropout=0.2,
        bptt_steps=4,
    )  # fmt: skip
    alone = clone(gru).fit(X, y)
    for n_jobs in (2, 3, 7):
        other = clone(gru).set_params(n_jobs=n_jobs).fit(X, y)
        assert other._network.parameters.tobytes() == alone._network.parameters.tobytes()
        for got, want in zip(other.predict(X), alone.predict(X), strict=True):
            assert got.tobytes() == want.tobytes()


def test_minibatches_of_the_default_size_use_threads():
    """Otherwise n_jobs would have no effect for most users."""
    threads = set()
    X, y = sequences(np.full(320, 50))  # a tenth of which is a minibatch
    gru = GRURegressor(max_iter=1, n_jobs=2, random_state=0)
    run = threading.Thread.run

    def watched(self):
        threads.add(self.name)
        run(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "run", watched)
        gru.fit(X, y)
    assert any(name.startswith("skgru") for name in threads)


def test_no_thread_outlives_a_fit():
    before = threading.active_count()
    X, y = sequences(LENGTHS["ragged"])
    gru = GRURegressor(max_iter=2, n_jobs=4, batch_size=100).fit(X, y)
    gru.predict(X)
    with pytest.raises(ValueError, match="diverged"):
        gru.set_params(learning_rate_init=1e30, max_grad_norm=np.inf, solver="sgd").fit(X, y)
    assert threading.active_count() == before


def test_several_threads_may_fit_and_predict_at_once():
    X, y = sequences(LENGTHS["ragged"])
    gru = GRURegressor(max_iter=5, n_jobs=2, batch_size=100, random_state=0)
    expected = clone(gru).fit(X, y).predict(X)
    with ThreadPoolExecutor(4) as pool:
        fitted = list(pool.map(lambda _: clone(gru).fit(X, y), range(8)))
        predictions = pool.map(lambda i: fitted[i % 8].predict(X), range(16))
        for got in predictions:
            np.testing.assert_array_equal(got, expected)


FORK = """
import os, sys, warnings
import numpy as np
from skgru import GRURegressor

warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(100, 9, 3))
gru = GRURegressor(max_iter=3, n_jobs=2, batch_size=100, random_state=0).fit(X, X[:, 0, 0])
expected = gru.predict(X)
child = os.fork()
if not child:
    gru.fit(X, X[:, 0, 0])
    os._exit(0 if (gru.predict(X) == expected).all() else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_fork_after_a_fit_with_threads():
    result = run_forked(FORK)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_n_jobs_within_a_grid_search(backend):
    X, y = sequences(LENGTHS["ragged"])
    gru = GRURegressor(max_iter=3, random_state=0, batch_size=64, n_jobs=2)
    grid = {"hidden_layer_sizes": [4, 8]}
    alone = GridSearchCV(gru.set_params(n_jobs=1), grid, cv=2).fit(X, y)
    with joblib.parallel_config(backend):
        search = GridSearchCV(gru.set_params(n_jobs=2), grid, cv=2, n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )


def test_n_jobs_has_scikit_learns_meaning():
    assert n_threads(None) == 1
    assert n_threads(3) == 3
    assert n_threads(-1) == joblib.cpu_count()
    with joblib.parallel_config(n_jobs=2):
        assert n_threads(None) == 2
    with pytest.raises(ValueError, match="n_jobs == 0"):
        GRUClassifier(n_jobs=0).fit(np.zeros((4, 3)), [0, 1, 0, 1])


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_fits_and_predictions_use_n_jobs_threads(monkeypatch, n_jobs):
    made = []

    class Recorder(Workers):
        def __init__(self, n_threads):
            made.append(n_threads)
            super().__init__(n_threads)

    monkeypatch.setattr("skgru.base.Workers", Recorder)
    X, y = sequences(LENGTHS["ragged"])
    gru = GRURegressor(4, max_iter=1, n_jobs=n_jobs).fit(X, y)
    gru.predict(X)
    gru.transform(X)
    assert made == [n_jobs] * 3


def test_a_loky_worker_uses_its_fraction_of_the_cores():
    with joblib.parallel_config("loky", n_jobs=2):
        threads = joblib.Parallel()(joblib.delayed(n_threads)(64) for _ in range(2))
    assert max(threads) <= max(1, joblib.cpu_count() // 2)


def test_cores_of_a_cluster_are_not_counted():
    class Cluster(ParallelBackendBase):
        default_n_jobs = -1

        def effective_n_jobs(self, n_jobs):
            return 1000

        def apply_async(self, func, callback=None):
            raise NotImplementedError

    with joblib.parallel_config(Cluster(), n_jobs=-1):
        assert joblib.effective_n_jobs() == 1000
        assert n_threads(None) == 1
        assert n_threads(-1) <= joblib.cpu_count()
        assert n_threads(2) <= 2


def test_pickle_of_a_model_fitted_with_threads():
    X, y = sequences(LENGTHS["ragged"])
    gru = GRURegressor(max_iter=2, n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(gru)).predict(X), gru.predict(X))
