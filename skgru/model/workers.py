"""Threads that run the kernels, which release the interpreter lock."""

from collections import deque
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any, Self, TypeVar

from joblib import effective_n_jobs
from joblib.parallel import (
    LokyBackend,
    MultiprocessingBackend,
    SequentialBackend,
    ThreadingBackend,
    get_active_backend,
)

from skgru._sklearn import _openmp_effective_n_threads
from skgru.kernels._handover import Handover

# joblib's own backends, whose workers are on this machine
ONE_MACHINE = (SequentialBackend, ThreadingBackend, MultiprocessingBackend, LokyBackend)

Item = TypeVar("Item")
Result = TypeVar("Result")


def n_threads(n_jobs: int | None) -> int:
    """Return the number of threads for `n_jobs`, at most a joblib worker's share of the cores."""
    backend, _ = get_active_backend()
    on_this_machine = isinstance(backend, ONE_MACHINE)
    if on_this_machine:
        count = effective_n_jobs(n_jobs)
    else:  # Dask, Ray or Spark would count the cores of the whole cluster
        count = ThreadingBackend().effective_n_jobs(n_jobs)
    if backend.nesting_level or not on_this_machine:
        count = min(count, _openmp_effective_n_threads())
    return count


class Workers:
    """Up to `n_threads` threads, the calling one among them, that live as long as the context.

    None outlives it: a process may fork before and after, and several threads of a program may
    each have their own workers. There are fewer where no more can be started, as at the end of
    the interpreter.

    Parameters
    ----------
    n_threads : int
    """

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self._others: list[tuple[Thread, Handover]] | None = None

    def __enter__(self) -> Self:
        self._others = []
        return self

    def __exit__(self, *exception: Any) -> None:
        for _, handover in self._others:
            handover.give(None)
        for thread, _ in self._others:
            thread.join()
        self._others = None

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Apply the function to each item; results come in the order of the items."""
        n_others = min(self.n_threads, len(items)) - 1
        others = [] if self._others is None else self._start_others(n_others)
        if not others:
            return [function(item) for item in items]
        results: list[Any] = [None] * len(items)
        waiting = deque(enumerate(items))

        def work() -> None:
            while waiting:
                try:
                    i, item = waiting.popleft()
                except IndexError:  # another thread was faster
                    return
                try:
                    results[i] = function(item)
                except BaseException:
                    waiting.clear()
                    raise

        try:
            for other in others:
                other.give(work)
            work()
        finally:
            # no thread may still be writing when this returns or raises
            errors = [other.wait() for other in others]
        for error in errors:
            if error is not None:
                raise error
        return results

    def _start_others(self, n: int) -> list[Handover]:
        """Start other threads until there are n, or as many as can be; return n of them."""
        while (n_started := len(self._others)) < n:
            handover = Handover()
            thread = Thread(target=handover.serve, name="skgru")
            try:
                thread.start()
                self._others.append((thread, handover))
            except BaseException as error:
                del self._others[n_started:]
                handover.give(None)  # an interrupt may have come after the start
                if not isinstance(error, RuntimeError):
                    raise
                break
        return [handover for _, handover in self._others[: max(n, 0)]]
