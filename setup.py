"""The compiled half of the build; everything else is declared in pyproject.toml.

Each kernel is built for float and double and for several instruction sets, as modules of their
own; `skgru.kernels` imports those that the processor can run. No -ffast-math and no
-march=native: NaN and infinity keep their meaning, flush-to-zero is not set for the whole process
at load, and the wheel runs on every machine of its architecture.
"""

import os
import sys
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = Path("skgru/kernels")
INCLUDED = {".h", ".pxd", ".pxi"}
DTYPES = {"float32": "float", "float64": "double"}
GCC_ARGS = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden", "-g0"]


def instruction_sets() -> dict[str, list[str]]:
    """Compiler flags of each instruction set to build for; the portable one needs no vectors."""
    sets = {"portable": ["-DSKGRU_PORTABLE"]}
    if sys.platform == "win32":  # its usual compiler knows no vector extensions
        return sets
    machine = sysconfig.get_platform()
    if machine.endswith("x86_64"):
        sets["x86_64_v2"] = ["-march=x86-64-v2"]
        sets["x86_64_v3"] = ["-march=x86-64-v3"]
        sets["x86_64_v4"] = ["-march=x86-64-v4", "-mprefer-vector-width=512"]
    elif machine.endswith(("aarch64", "arm64")):
        sets["neon"] = []
    return sets


def variants() -> list[Extension]:
    """Make a module of the kernels for each dtype and instruction set; each needs its own name."""
    source = (KERNELS / "kernels.pyx").read_text(encoding="utf-8")
    included = [str(path) for path in sorted(KERNELS.rglob("*")) if path.suffix in INCLUDED]
    folder = Path("build/variants")
    folder.mkdir(parents=True, exist_ok=True)
    extensions = []
    for isa, flags in instruction_sets().items():
        for dtype, real in DTYPES.items():
            copy = folder / f"{dtype}_{isa}.pyx"
            if not copy.exists() or copy.read_text(encoding="utf-8") != source:
                copy.write_text(source, encoding="utf-8")
            extensions.append(
                Extension(
                    f"skgru.kernels.{copy.stem}",
                    [str(copy)],
                    include_dirs=[str(KERNELS)],
                    depends=included,
                    define_macros=[("SKGRU_REAL", real)],
                    extra_compile_args=flags,
                )
            )
    return extensions


class BuildExt(build_ext):
    def initialize_options(self):
        super().initialize_options()
        self.parallel = os.cpu_count()

    def build_extensions(self):
        args = ["/O2"] if self.compiler.compiler_type == "msvc" else GCC_ARGS
        for extension in self.extensions:
            extension.extra_compile_args = args + extension.extra_compile_args
        super().build_extensions()


setup(
    cmdclass={"build_ext": BuildExt},
    ext_modules=cythonize(
        [*variants(), Extension("skgru.kernels._processor", ["skgru/kernels/_processor.pyx"])],
        include_path=[".", str(KERNELS)],
        build_dir="build",  # generated C stays out of the package
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "freethreading_compatible": True,
        },
    ),
)
