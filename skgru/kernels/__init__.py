"""Compiled kernels: functions of arrays and sizes, independent of estimators.

Each file is about one subject, with the forward pass next to the backward pass. A ragged minibatch
of B sequences is *packed*: sorted from long to short and time-major. Step t holds one row for each
of the batch_sizes[t] sequences that have that step, so the N = Σ_t batch_sizes[t] rows contain no
padding.

Every kernel exists for float32 and float64 and for several instruction sets, as modules built from
the same source. `kernels_for` returns the module to use. The environment variable ``SKGRU_ISA``
forces an instruction set.
"""

import os
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import numpy as np
from numpy.typing import DTypeLike

from skgru.kernels._instruction_sets import INSTRUCTION_SETS, InstructionSet
from skgru.kernels._processor import supports


def _module_name(dtype: DTypeLike, isa: InstructionSet) -> str:
    return f"{__name__}.{isa.module_name(np.dtype(dtype).name)}"


@cache
def _usable() -> dict[str, InstructionSet]:
    """Return the instruction sets that are built and that this processor has, from slow to fast."""
    return {
        isa.name: isa
        for isa in INSTRUCTION_SETS
        if find_spec(_module_name("float32", isa)) and (not isa.is_optional or supports(isa.name))
    }


def instruction_sets() -> tuple[str, ...]:
    """Return the names of the instruction sets that can be used here, from slow to fast."""
    return tuple(_usable())


@cache
def active_instruction_set() -> str:
    """Return the instruction set in use: the fastest, or ``SKGRU_ISA`` as it was at the first use.

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
    """Import and return the kernels for a dtype, of the active or the given instruction set."""
    return import_module(_module_name(dtype, _usable()[isa or active_instruction_set()]))
