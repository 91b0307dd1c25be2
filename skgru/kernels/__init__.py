"""Compiled kernels: arrays and sizes in, arrays out; they know nothing of estimators.

One file a subject, what goes forward beside what goes backward. A ragged minibatch of B sequences
is *packed*: sorted from long to short, time-major, and step t holds a row for each sequence that
is still running, so that N = Σ_t batch_sizes[t] rows carry no padding.

Every kernel exists for float32 and float64 and for several instruction sets, as modules built of
one source; `kernels_for` gives the one to use. The environment variable ``SKGRU_ISA`` forces an
instruction set.
"""

import os
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import numpy as np
from numpy.typing import DTypeLike

from skgru.kernels._processor import supports

# The later, the faster; x86-64-v3 is AVX2 with FMA, v4 is AVX-512, and portable is plain C.
_ISAS = ("portable", "neon", "x86-64-v2", "x86-64-v3", "x86-64-v4")


def _module_name(dtype: DTypeLike, isa: str) -> str:
    return f"{__name__}.{np.dtype(dtype).name}_{isa.replace('-', '_')}"


@cache
def instruction_sets() -> tuple[str, ...]:
    """Those that skgru was built for and this processor can run, the fastest last."""
    return tuple(isa for isa in _ISAS if find_spec(_module_name("float32", isa)) and supports(isa))


@cache
def active_instruction_set() -> str:
    """Name the one in use: the fastest, or what ``SKGRU_ISA`` said at the first use.

    Raises
    ------
    ValueError
        If ``SKGRU_ISA`` names one that is unknown, not built or not supported here.
    """
    forced = os.environ.get("SKGRU_ISA")
    if not forced:
        return instruction_sets()[-1]
    if forced not in instruction_sets():
        raise ValueError(
            f"SKGRU_ISA={forced!r} cannot be used; this processor and this build of skgru have "
            f"{', '.join(instruction_sets())}."
        )
    return forced


@cache
def kernels_for(dtype: DTypeLike, isa: str | None = None) -> ModuleType:
    """Import the kernels of a dtype, for the active or another instruction set."""
    return import_module(_module_name(dtype, isa or active_instruction_set()))
