"""Versions and hardware, for bug reports and benchmarks."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from joblib import cpu_count, effective_n_jobs

from skgru.kernels import active_instruction_set, instruction_sets

DEPENDENCIES = ("numpy", "scipy", "scikit-learn", "joblib", "threadpoolctl")
# used if installed, and imported only when needed
OPTIONAL = ("matplotlib", "pandas", "onnx", "onnxruntime", "torch", "skops")


def show_versions() -> None:
    """Print versions of Python, skgru and its dependencies, and the hardware that kernels use.

    Optional packages are listed if they are installed.

    The instruction set is the fastest one that both this build of skgru and the processor support,
    unless the environment variable ``SKGRU_ISA`` sets it.

    Raises
    ------
    ValueError
        If ``SKGRU_ISA`` names an instruction set that is not available.

    See Also
    --------
    sklearn.show_versions : The same for scikit-learn.

    Examples
    --------
    >>> import skgru
    >>> skgru.show_versions()  # doctest: +ELLIPSIS
    python: ...
    """
    lines = {
        "python": sys.version.replace("\n", " "),
        "machine": platform.platform(),
        **{name: _version(name) or "not installed" for name in ("skgru", *DEPENDENCIES)},
        **{name: found for name in OPTIONAL if (found := _version(name))},
        "instruction set": f"{active_instruction_set()} (of {', '.join(instruction_sets())})",
        "cores": cpu_count(),
        "threads": f"{effective_n_jobs(None)} with n_jobs=None",
    }
    for name, value in lines.items():
        print(f"{name}: {value}")


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
