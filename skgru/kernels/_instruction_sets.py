"""The instruction sets that the kernels are built for.

To add one, add a row here and, if some processors of its architecture lack it, a case in
`_processor.pyx`. setup.py runs this file before anything is installed, so it imports nothing but
the standard library.
"""

from typing import NamedTuple


class InstructionSet(NamedTuple):
    """An instruction set, for which every kernel module is built once per dtype.

    Attributes
    ----------
    name : str
        What ``SKGRU_ISA`` and `skgru.show_versions` call it.
    platforms : str
        Regular expression; built where it matches all of `sysconfig.get_platform()`. On Windows,
        all but the portable kernels need clang-cl: the usual compiler has no vectors.
    flags : tuple of str
        Compiler flags, of GCC or Clang.
    is_optional : bool
        Whether some processors of these platforms lack it; then `_processor.supports` decides.
    """

    name: str
    platforms: str
    flags: tuple[str, ...]
    is_optional: bool

    def module_name(self, dtype: str) -> str:
        """Return the name of its kernel module for a dtype, within `skgru.kernels`."""
        return f"{dtype}_{self.name.replace('-', '_')}"


X86_64 = ".*x86_64|win-amd64"

# From slow to fast.
INSTRUCTION_SETS = (
    InstructionSet("portable", ".*", ("-DSKGRU_PORTABLE",), False),  # plain C
    InstructionSet("neon", "(?!win).*(aarch64|arm64)", (), False),
    InstructionSet("x86-64-v2", X86_64, ("-march=x86-64-v2",), True),  # SSE 4.2
    InstructionSet("x86-64-v3", X86_64, ("-march=x86-64-v3",), True),  # AVX2 and FMA
    InstructionSet(
        "x86-64-v4",  # AVX-512
        X86_64,
        ("-march=x86-64-v4", "-mprefer-vector-width=512"),
        True,
    ),
)
