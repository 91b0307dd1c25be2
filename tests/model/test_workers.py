"""Worker threads."""

import threading
import time
import weakref

import numpy as np
import pytest
from helpers import run_python

from skgru.model.workers import Handover, Workers

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


def test_no_thread_outside_of_the_context():
    before, workers, names = threading.active_count(), Workers(2), set()

    def name(_):
        names.add(threading.current_thread().name)

    workers.map(name, range(9))
    with workers:
        workers.map(abs, range(9))
        assert threading.active_count() == before + 1
    workers.map(name, range(9))
    assert names == {threading.current_thread().name}
    assert threading.active_count() == before


def test_threads_meet_awake_or_asleep():
    """Who waits for longer than a moment sleeps, on either side, and is woken."""
    with Workers(2) as workers:
        for seconds in (0, 0.02, 0, 0.02, 0.02, 0):
            time.sleep(seconds)  # the other thread waits for work
            waits = [(0, seconds), (seconds, 0), (seconds, seconds)]
            for pair in waits:
                assert workers.map(lambda s: time.sleep(s) or s, pair) == list(pair)
        assert workers.map(abs, range(-2000, 0)) == list(range(2000, 0, -1))


def test_handover():
    handover, seen = Handover(), []
    assert handover.wait() is None  # nothing was given
    thread = threading.Thread(target=handover.serve)
    thread.start()
    error = KeyError("raised")
    for task, want in (
        (lambda: seen.append(1), None),
        (lambda: (_ for _ in ()).throw(error), error),
        (lambda: seen.append(2), None),
    ):
        handover.give(task)
        assert handover.wait() is want
        assert handover.wait() is None
    handover.give(lambda: time.sleep(0.05) or seen.append(3))
    handover.give(lambda: seen.append(4))  # after the one before
    handover.give(None)
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert seen == [1, 2, 3, 4]


def test_a_task_that_was_given_is_not_kept():
    """Arrays of a minibatch are free for others as soon as all threads are done with it."""
    with Workers(2) as workers:
        data = np.ones(3)
        workers.map(lambda i, data=data: data.sum() + i, range(2))
        watched = weakref.ref(data)
        del data
        deadline = time.monotonic() + 5
        while watched() is not None and time.monotonic() < deadline:
            time.sleep(0.001)
        assert watched() is None


def test_fewer_threads_where_none_can_be_started(monkeypatch):
    def never(self):
        raise RuntimeError("can't start new thread")

    with Workers(4) as workers:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", never)
            assert workers.map(abs, range(-9, 0)) == list(range(9, 0, -1))
        started = []

        def one(self, start=threading.Thread.start):
            if started:
                raise RuntimeError("can't start new thread")
            started.append(self)
            start(self)

        monkeypatch.setattr(threading.Thread, "start", one)
        for _ in range(20):
            assert workers.map(abs, range(-99, 0)) == list(range(99, 0, -1))
    assert len(started) == 1


END = """
import atexit, sys, threading
import numpy as np
from skgru import GRUClassifier

X, y = np.random.default_rng(0).normal(size=(600, 60, 4)), np.arange(600) % 2
model = GRUClassifier(48, max_iter=1, n_jobs=2, random_state=0)
before = model.fit(X, y).predict_proba(X)

def again():
    # wait
    assert model.fit(X, y).predict_proba(X).tobytes() == before.tobytes()
    print("the same", flush=True)

"""


WAIT = "    threading.main_thread().join()\n"


@pytest.mark.parametrize("how", ["in atexit", "after the main thread"])
def test_n_jobs_at_the_end_of_the_interpreter(how):
    start = "threading.Thread(target=again).start()"
    if how == "in atexit":
        start = "atexit.register(again)"
    result = run_python(END.replace("    # wait\n", "" if "atexit" in how else WAIT) + start)
    assert result.stdout == "the same\n", result.stderr


DAEMON = """
import threading, time
import numpy as np
from skgru import GRUClassifier

X, y = np.random.default_rng(0).normal(size=(600, 60, 4)), np.arange(600) % 2
model = GRUClassifier(48, max_iter=10**6, n_jobs=2)
threading.Thread(target=model.fit, args=(X, y), daemon=True).start()
while not any(thread.name == "skgru" for thread in threading.enumerate()):
    time.sleep(0.01)
print("the end", flush=True)
"""


def test_the_interpreter_does_not_wait_for_a_fit_in_a_daemon_thread():
    result = run_python(DAEMON)
    assert (result.returncode, result.stdout) == (0, "the end\n"), result.stderr
