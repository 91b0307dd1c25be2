"""BLAS limited to one thread, and lifted again whatever threads, forks or interrupts do."""

import os
import signal
from collections.abc import Callable
from functools import cache
from threading import Lock, current_thread, main_thread
from types import FrameType
from typing import Any, Self, TypeVar

from threadpoolctl import ThreadpoolController

Result = TypeVar("Result")

_lock = Lock()
_limit: Any = None
_contexts: list["OneBlasThread"] = []

# Of interrupts in the main thread, the only one that has them.
_handler: Callable[[int, FrameType | None], Any] | None = None  # the program's, while ours is set
_allowed = False
_pending = False


class OneBlasThread:
    """Context in which BLAS has one thread: more cost time in short vectors, and change sums.

    The limit belongs to the process; the last of several threads in such a context lifts it.

    An exception between two lines of a context manager would leave the limit behind, and Ctrl-C
    raises one anywhere. So an interrupt waits, unless it comes in a call of `interruptible`, and
    then until the context has ended.
    """

    def __enter__(self) -> Self:
        global _allowed, _handler, _pending
        self._thread = current_thread()
        self._defers = False
        self._was_allowed = _allowed
        if self._thread is main_thread():
            handler = signal.getsignal(signal.SIGINT)
            if handler is not _on_interrupt and callable(handler):
                _handler, _pending = handler, False
                self._defers = True
                signal.signal(signal.SIGINT, _on_interrupt)
            _allowed = False
        try:
            _enter(self)
        except BaseException:
            self._stop_deferring()
            raise
        return self

    def __exit__(self, *exception: Any) -> None:
        try:
            _leave(self)
        finally:
            self._stop_deferring()

    def interruptible(self, function: Callable[..., Result], *args: Any) -> Result:
        """Call a function that an interrupt may end, unlike all else in the context."""
        global _allowed
        if self._thread is not main_thread():
            return function(*args)
        try:
            _allowed = True
            if _pending:
                _on_interrupt(signal.SIGINT, None)
            return function(*args)
        finally:
            _allowed = False

    def _stop_deferring(self) -> None:
        """Set the program's own handler again, and give it the interrupt that waits."""
        global _allowed, _pending
        if self._thread is not main_thread():
            return
        if self._defers:
            signal.signal(signal.SIGINT, _handler)
        _allowed = self._was_allowed
        if _pending and (self._defers or _allowed):
            _pending = False
            _handler(signal.SIGINT, None)


def _on_interrupt(number: int, frame: FrameType | None) -> None:
    global _allowed, _pending
    _pending = not _allowed
    if _allowed:
        _allowed = False  # what it raises is on its way out of the context
        _handler(number, frame)


@cache
def _controller() -> ThreadpoolController:
    """Find the libraries once: this takes longer than the first epoch of a small network."""
    return ThreadpoolController()


def _enter(context: OneBlasThread) -> None:
    global _limit
    with _lock:
        if not _contexts:
            _limit = _controller().limit(limits=1, user_api="blas")
        _contexts.append(context)


def _leave(context: OneBlasThread) -> None:
    with _lock:
        _contexts.remove(context)
        if not _contexts:
            _limit.restore_original_limits()


def _after_fork_in_child() -> None:
    """Leave the contexts of threads that a forked process does not have."""
    global _lock
    _lock = Lock()  # that of the parent was taken before the fork
    for context in list(_contexts):
        if context._defers:
            signal.signal(signal.SIGINT, _handler)
        if context._thread is not current_thread():
            _leave(context)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        # no thread is between the limit and the list while the process is copied
        before=lambda: _lock.acquire(),
        after_in_parent=lambda: _lock.release(),
        after_in_child=_after_fork_in_child,
    )
