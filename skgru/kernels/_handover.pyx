"""Hand work over to a thread that waits for it, and wait for its end.

A thread that waits stays awake for a moment, as waking it can take as long as a small update. Then
it sleeps. It does not hold the interpreter lock in either case.
"""

from cpython.pythread cimport (
    WAIT_LOCK,
    PyThread_acquire_lock,
    PyThread_allocate_lock,
    PyThread_free_lock,
    PyThread_release_lock,
    PyThread_type_lock,
)

cdef extern from *:
    """
    #if defined(_MSC_VER) && !defined(__clang__)
    #include <windows.h>
    #define skgru_exchange(p, to) _InterlockedExchange(p, to)
    #define skgru_replace(p, from, to) (_InterlockedCompareExchange(p, to, from) == from)
    #define skgru_pause() YieldProcessor()
    #else
    static long skgru_exchange(long *p, long to)
    {
        return __atomic_exchange_n(p, to, __ATOMIC_ACQ_REL);
    }
    static int skgru_replace(long *p, long from, long to)
    {
        return __atomic_compare_exchange_n(p, &from, to, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    }
    #if defined(__x86_64__) || defined(__i386__)
    #define skgru_pause() __builtin_ia32_pause()
    #elif defined(__aarch64__)
    #define skgru_pause() __asm__ __volatile__("isb")
    #else
    #define skgru_pause()
    #endif
    #endif
    """
    long exchange "skgru_exchange"(long* p, long to) noexcept nogil
    bint replace "skgru_replace"(long* p, long before, long to) noexcept nogil
    void pause "skgru_pause"() noexcept nogil

# So many pauses, of 10 to 50 ns each, take about as long as what one thread does alone between two
# minibatches: the sum of the gradients and the update. Then the waiting thread falls asleep.
cdef enum:
    PAUSES = 6000

# States of a signal
cdef enum:
    DOWN
    UP
    AWAITED     # by a thread that sleeps

cdef struct Signal:
    long state
    PyThread_type_lock lock     # held but for the moment in which the sleeping thread is woken


cdef int _make(Signal* signal) except -1:
    signal.lock = PyThread_allocate_lock()
    if not signal.lock:
        raise MemoryError
    PyThread_acquire_lock(signal.lock, WAIT_LOCK)
    return 0


cdef void _free(Signal* signal) noexcept:
    if signal.lock:
        PyThread_release_lock(signal.lock)
        PyThread_free_lock(signal.lock)


cdef void _set(Signal* signal) noexcept nogil:
    if exchange(&signal.state, UP) == AWAITED:
        PyThread_release_lock(signal.lock)


cdef void _wait(Signal* signal) noexcept nogil:
    """Wait until the signal is up, and take it down."""
    cdef int _i
    for _i in range(PAUSES):
        if replace(&signal.state, UP, DOWN):
            return
        pause()
    if replace(&signal.state, DOWN, AWAITED):
        PyThread_acquire_lock(signal.lock, WAIT_LOCK)
    exchange(&signal.state, DOWN)


cdef class Handover:
    """Between a thread that gives tasks, one after the other, and a thread that runs them.

    No interrupt comes between what `give` or `wait` do: each is one instruction of the interpreter.
    """

    cdef:
        Signal given, ended
        object task, error
        bint is_running

    def __cinit__(self):
        _make(&self.given)
        _make(&self.ended)

    def __dealloc__(self):
        _free(&self.given)
        _free(&self.ended)

    def give(self, task):
        """Let the other thread run a task, after the one before has ended; None is the last."""
        self.wait()
        self.task = task
        self.is_running = task is not None
        _set(&self.given)

    def wait(self):
        """Wait for the end of a task that was given; return the error that it raised, or None."""
        if not self.is_running:
            return None
        with nogil:
            _wait(&self.ended)
        self.is_running = False
        error, self.error = self.error, None
        return error

    def serve(self):
        """Run the tasks that are given, until there is none."""
        while True:
            with nogil:
                _wait(&self.given)
            task, self.task = self.task, None
            if task is None:
                return
            try:
                task()
            except BaseException as error:
                self.error = error
            task = None         # what it refers to is free before the next one comes
            _set(&self.ended)
