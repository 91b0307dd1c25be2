"""Worker threads, and the limit of BLAS threads."""

import threading

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skgru.model.workers import Workers, one_blas_thread

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_results_have_the_order_of_the_items(n_threads):
    with Workers(n_threads) as workers:
        assert workers.map(lambda i: i * i, range(20)) == [i * i for i in range(20)]
        assert workers.map(str, []) == []


@pytest.mark.parametrize("n_threads", [1, 3])
def test_errors_are_passed_on_and_threads_end(n_threads):
    before = threading.active_count()

    def function(i):
        if i == 5:
            raise KeyError("five")

    with Workers(n_threads) as workers:
        for _ in range(3):
            with pytest.raises(KeyError, match="five"):
                workers.map(function, range(50))
        assert workers.map(abs, [-1, -2]) == [1, 2]
    assert threading.active_count() == before


def blas_threads():
    return {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"}


def test_blas_is_limited_to_one_thread_until_the_last_exit():
    with threadpool_limits(2, user_api="blas"):
        if blas_threads() != {2}:
            pytest.skip("BLAS has no threads here")
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        assert blas_threads() == {1}
        first.__exit__(None, None, None)
        assert blas_threads() == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == {2}
