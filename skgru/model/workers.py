"""Threads that run the kernels, which release the interpreter lock."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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
        self._others: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        if self.n_threads > 1:
            self._others = ThreadPoolExecutor(self.n_threads - 1, "skgru")
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._others is not None:
            self._others.shutdown()
            self._others = None

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Apply the function to each item; results come in the order of the items."""
        if self._others is None or len(items) < 2:
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

        others = []
        try:
            try:
                for _ in range(min(self.n_threads, len(items)) - 1):
                    others.append(self._others.submit(work))
            except RuntimeError:
                # What was queued before its thread failed to start comes after the work of all
                # threads that there are, and then finds nothing waiting.
                pass
            work()
        finally:
            # no thread may still be writing when this returns or raises
            errors = [other.exception() for other in others]
        for error in errors:
            if error is not None:
                raise error
        return results
