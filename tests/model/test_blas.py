"""The limit of BLAS threads, when threads, forks and interrupts meet it."""

import os
import signal
import sys

import pytest
from helpers import run_python
from threadpoolctl import threadpool_info, threadpool_limits

from skgru.model import blas
from skgru.model.blas import OneBlasThread


def blas_threads():
    return {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def _two_threads():
    with threadpool_limits(2, user_api="blas"):
        if blas_threads() != {2}:
            pytest.skip("BLAS has no threads here")
        yield


def test_blas_is_limited_to_one_thread_until_the_last_exit():
    first, second = OneBlasThread(), OneBlasThread()
    first.__enter__()
    second.__enter__()
    assert blas_threads() == {1}
    first.__exit__(None, None, None)
    assert blas_threads() == {1}
    second.__exit__(None, None, None)
    assert blas_threads() == {2}


# ---- interrupts ----------------------------------------------------------------------------------


@pytest.fixture
def interrupts():
    """Let interrupts raise: a shell lets commands in the background ignore them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def computed(context):
    return context.interruptible(sum, (1, 2))


def nested():
    with OneBlasThread() as outer:
        outer.interruptible(once)
        computed(outer)


def once():
    with OneBlasThread() as context:
        assert computed(context) == 3


def interrupted_at(event, function):
    """Run a function with an interrupt at the event of that number; return whether it came."""
    count = 0

    def trace(frame, kind, argument):
        nonlocal count
        if frame.f_code.co_filename in (blas.__file__, __file__):
            frame.f_trace_opcodes = True
            count += 1
            if count == event:
                signal.raise_signal(signal.SIGINT)
        return trace

    sys.settrace(trace)
    try:
        function()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    assert count < event
    return False


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize("function", [once, nested])
def test_an_interrupt_at_any_instruction_leaves_no_limit(function):
    handler = signal.getsignal(signal.SIGINT)
    event = 1
    while interrupted_at(event, function):
        assert blas_threads() == {2}, event
        assert signal.getsignal(signal.SIGINT) is handler
        assert not blas._contexts
        event += 1
    assert event > 100


@pytest.mark.usefixtures("interrupts")
def test_interrupts_wait_unless_they_are_allowed():
    def interrupt():
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("it was not interrupted")

    with OneBlasThread() as context:
        with pytest.raises(KeyboardInterrupt):
            context.interruptible(interrupt)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            context.interruptible(sum, ())
    with pytest.raises(KeyboardInterrupt), OneBlasThread():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        assert blas_threads() == {1}
    assert blas_threads() == {2}


# ---- forks ---------------------------------------------------------------------------------------

FORKS = """
import os, signal, sys, threading, warnings
import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits
from skgru import GRURegressor
from skgru.model.blas import OneBlasThread

warnings.simplefilter("ignore")
threadpool_limits(2, user_api="blas")
threads = lambda: {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"}
X = np.random.default_rng(0).normal(size=(20, 3))
# the first fit imports modules: a fork in the middle of an import leaves Python's own lock behind
model = GRURegressor(2, solver="lbfgs", max_iter=2, random_state=0).fit(X, X[:, 0])
over = threading.Event()

def work():
    while not over.is_set():
        with OneBlasThread():
            pass
        model.fit(X, X[:, 0])

threading.Thread(target=work).start()
good = 0
for _ in range(16):
    child = os.fork()
    if not child:
        signal.alarm(20)
        before = threads()
        model.fit(X, X[:, 0])
        os._exit(0 if before == threads() == {2} else 1)
    good += os.waitpid(child, 0)[1] == 0
over.set()
print(good)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forks_while_another_thread_limits_blas():
    result = run_python(FORKS)
    assert result.stdout == "16\n", result.stdout + result.stderr
