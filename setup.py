"""The compiled half of the build; everything else is declared in pyproject.toml."""

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# No -ffast-math and no -march: NaN and infinity keep their meaning, flush-to-zero is not set for
# the whole process at load, and the wheel runs on every machine of its architecture.
COMPILE_ARGS = {
    "unix": ["-O3", "-fno-math-errno", "-fno-trapping-math"],
    "mingw32": ["-O3", "-fno-math-errno", "-fno-trapping-math"],
    "msvc": ["/O2"],
}

EXTENSIONS = [
    Extension(
        "skgru.kernels.gru",
        ["skgru/kernels/gru.pyx"],
        include_dirs=["skgru/kernels"],
        depends=["skgru/kernels/activations.h", "skgru/kernels/_blas.pxd"],
    )
]


class BuildExt(build_ext):
    def build_extensions(self):
        for extension in self.extensions:
            extension.extra_compile_args = COMPILE_ARGS.get(self.compiler.compiler_type, [])
        super().build_extensions()


setup(
    cmdclass={"build_ext": BuildExt},
    ext_modules=cythonize(
        EXTENSIONS,
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
