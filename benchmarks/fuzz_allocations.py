"""Fail one allocation after the other in fits and predictions of random networks.

    python benchmarks/fuzz_allocations.py --minutes 10 [--seed 0]

A library that is loaded before the C library replaces `malloc`, `calloc` and `realloc`: for calls
from the kernels and from NumPy, the n-th of them returns NULL. The networks are those of `fuzz.py`.
For every n until all allocations were there:

- the call raises MemoryError or, where memory was not necessary, returns as before (some code of
  NumPy raises SystemError instead, which only counts as a miss where a kernel's allocation failed);
- a failed fit leaves the estimator as it was;
- the next call has the result of an undisturbed one, to the last bit.

Linux, with gcc.
"""

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import fuzz
import numpy as np
from sklearn.base import clone

LIBRARY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);

static long left = 0; /* allocations until the one that fails; 0: none does */
int in_kernels = 0; /* whether the one that failed was theirs */

/* Return the number of allocations that were still to come. */
long fail_allocation(long n)
{
    return __atomic_exchange_n(&left, n, __ATOMIC_SEQ_CST);
}

static int fails(void *caller)
{
    Dl_info info;
    if (__atomic_load_n(&left, __ATOMIC_SEQ_CST) <= 0 || !dladdr(caller, &info) || !info.dli_fname)
        return 0;
    int of_kernels = strstr(info.dli_fname, "skgru/kernels") != NULL;
    if (!of_kernels && !strstr(info.dli_fname, "_multiarray_umath"))
        return 0;
    if (__atomic_sub_fetch(&left, 1, __ATOMIC_SEQ_CST) != 0)
        return 0;
    in_kernels = of_kernels;
    return 1;
}

void *malloc(size_t n)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t n)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(old, n);
}
"""


def preloaded():
    """Return the library; start this script again with it if it is not there."""
    path = os.environ.get("SKGRU_FAILING_MALLOC")
    if path:
        return ctypes.CDLL(path)
    folder = Path(tempfile.mkdtemp())
    (folder / "failing.c").write_text(LIBRARY)
    path = str(folder / "failing.so")
    subprocess.run(
        ["gcc", "-O1", "-shared", "-fPIC", "-o", path, str(folder / "failing.c"), "-ldl"],
        check=True,
    )
    environment = {**os.environ, "LD_PRELOAD": path, "SKGRU_FAILING_MALLOC": path}
    os.execve(sys.executable, [sys.executable, *sys.argv], environment)


def calls_of(estimator, X, y):
    """Return what is done with one allocation after the other failing: name -> call."""
    fitted = clone(estimator).fit(X, y)
    calls = {
        "fit": lambda: clone(estimator).fit(X, y).predict(X),
        "predict": lambda: fitted.predict(X),
    }
    if not fitted._network.architecture.bidirectional:
        calls["stream"] = lambda: [fitted.stream().step(row) for row in X[0]]
    return calls


def run_case(library, seed):
    """Return how many allocations failed, and how many of them in kernels."""
    rng = np.random.default_rng(seed)
    estimator = fuzz.draw_estimator(rng)
    estimator.set_params(n_jobs=fuzz.pick(rng, None, 2))
    X, y = fuzz.draw_data(rng, estimator)
    X, y = X[:12], y[:12]  # for the number of calls is the number of allocations
    try:
        calls = calls_of(estimator, X, y)
    except (ValueError, TypeError):
        return 0, 0
    in_kernels = ctypes.c_int.in_dll(library, "in_kernels")
    failed = of_kernels = 0
    for name, call in calls.items():
        expected = call()
        n, left = 1, 0
        while left <= 0:
            before = dict(vars(estimator))
            library.fail_allocation(n)
            try:
                result = call()
            except MemoryError:
                result = None
            except SystemError:  # by NumPy, which forgets to raise when it cannot index
                if in_kernels.value:
                    raise
                result = None
            finally:
                left = library.fail_allocation(0)
            if left <= 0:
                failed += 1
                of_kernels += in_kernels.value
            if result is not None:
                same(result, expected, f"{name}, allocation {n}")
            assert vars(estimator) == before, f"{name}, allocation {n}: changed the estimator"
            n += 1 + n // 20  # the first ones all, later ones fewer
        same(call(), expected, f"{name}, after {n} allocations")
    return failed, of_kernels


def same(result, expected, when):
    assert all(map(np.array_equal, result, expected)), f"{when}: another result"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=None, help="of the first case")
    arguments = parser.parse_args()
    library = preloaded()
    warnings.simplefilter("ignore")
    first = time.time_ns() % 10**9 if arguments.seed is None else arguments.seed
    print(f"first case: {first}", flush=True)
    stop = time.monotonic() + 60 * arguments.minutes
    seed, wrong, totals = first, 0, np.zeros(2, int)
    while time.monotonic() < stop:
        try:
            totals += run_case(library, seed)
        except Exception:
            traceback.print_exc()
            print(f"case {seed}: fuzz_allocations.py --minutes 0.01 --seed {seed}", flush=True)
            wrong += 1
        seed += 1
    print(f"{seed - first} cases, {wrong} wrong; {totals[0]} failed allocations", end=", ")
    print(f"{totals[1]} of them in kernels")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
