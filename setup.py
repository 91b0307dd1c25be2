"""Build of the kernels; everything else is declared in pyproject.toml.

Each kernel module is built for float32 and float64 and for several instruction sets (see
skgru/kernels/_instruction_sets.py); `skgru.kernels` imports those that the processor can run. The
environment variable ``SKGRU_VARIANTS``, a comma-separated list, restricts a developer's build to
some of them.

No -ffast-math: NaN and infinity keep their meaning, and denormals are not flushed in the whole
process at load. No -march=native: a wheel runs on every machine of its architecture.
"""

import os
import re
import shutil
import sysconfig
from pathlib import Path
from runpy import run_path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = Path("skgru/kernels")
SHARED = "skgru.kernels._memoryviews"  # what Cython would put into every module
DTYPES = {"float32": "float", "float64": "double"}
# on Windows: the usual compiler has no vectors
CLANG_CL = shutil.which("clang-cl") if os.name == "nt" else None
GCC_ARGS = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden", "-g0"]


def instruction_sets() -> list:
    """Return the instruction sets to build: those of this platform, or those of SKGRU_VARIANTS."""
    platform = sysconfig.get_platform()
    rows = run_path(str(KERNELS / "_instruction_sets.py"))["INSTRUCTION_SETS"]
    buildable = {
        isa.name.replace("-", "_"): isa
        for isa in rows
        if re.fullmatch(isa.platforms, platform)
        and (isa.name == "portable" or os.name != "nt" or CLANG_CL)
    }
    listed = os.environ.get("SKGRU_VARIANTS", "").replace("-", "_").split(",")
    wanted = [name for name in map(str.strip, listed) if name]
    if unknown := set(wanted) - set(buildable):
        raise SystemExit(
            f"SKGRU_VARIANTS names {', '.join(sorted(unknown))}; on {platform} there are "
            f"{', '.join(buildable)}."
        )
    return [isa for name, isa in buildable.items() if not wanted or name in wanted]


def variants(generated: str) -> list[Extension]:
    """Make one extension per instruction set and dtype of the C that Cython generated.

    Each is a file of its own, as object files are named after their source. All have the C of one
    module in them: only the name of its entry point and the type of its numbers differ.
    """
    folder = Path("build/variants")
    folder.mkdir(parents=True, exist_ok=True)
    extensions = []
    for isa in instruction_sets():
        for dtype, real in DTYPES.items():
            name = isa.module_name(dtype)
            source = folder / f"{name}.c"
            text = (
                f"#define SKGRU_REAL {real}\n"
                f"#define PyInit_kernels PyInit_{name}\n"
                f'#include "{Path(generated).name}"\n'
            )
            if not source.exists() or source.read_text(encoding="utf-8") != text:
                source.write_text(text, encoding="utf-8")  # else its object file stays as it is
            extensions.append(
                Extension(
                    f"skgru.kernels.{name}",
                    [str(source)],
                    include_dirs=[str(KERNELS), str(Path(generated).parent)],
                    depends=[generated, *map(str, KERNELS.glob("*.h"))],
                    extra_compile_args=list(isa.flags),
                )
            )
    return extensions


def extensions() -> list[Extension]:
    """Generate C, once for all variants, and make an extension of each module."""
    kernels, *others = cythonize(
        [
            Extension("skgru.kernels.kernels", [str(KERNELS / "kernels.pyx")]),
            Extension("skgru.kernels._processor", [str(KERNELS / "_processor.pyx")]),
            Extension("skgru.kernels._handover", [str(KERNELS / "_handover.pyx")]),
            Extension(SHARED, [f"{SHARED.replace('.', '/')}.c"]),
        ],
        include_path=[".", str(KERNELS)],
        build_dir="build",  # generated C stays out of the package
        shared_utility_qualified_name=SHARED,
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "freethreading_compatible": True,
        },
    )
    return [*variants(kernels.sources[0]), *others]


class BuildExt(build_ext):
    """Compile in parallel, with the flags of the compiler at hand."""

    def initialize_options(self):
        super().initialize_options()
        self.parallel = os.cpu_count()

    def build_extensions(self):
        args, prefix = GCC_ARGS, ""
        if self.compiler.compiler_type == "msvc":
            args = ["/O2"]
            if CLANG_CL:
                self.compiler.initialize()
                self.compiler.cc, prefix = CLANG_CL, "/clang:"
        for extension in self.extensions:
            flags = [prefix + flag for flag in extension.extra_compile_args]
            extension.extra_compile_args = args + flags
        # the kernels link nothing in the folders of the interpreter that builds them, where it asks
        # to look for libraries when they are loaded
        if linker := getattr(self.compiler, "linker_so", None):
            self.compiler.linker_so = [part for part in linker if not part.startswith("-Wl,-rpath")]
        super().build_extensions()


if __name__ == "__main__":
    setup(cmdclass={"build_ext": BuildExt}, ext_modules=extensions())
