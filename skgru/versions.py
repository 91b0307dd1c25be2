"""What a report of a bug or of a time should say of the machine and its software."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from joblib import cpu_count, effective_n_jobs

from skgru.kernels import active_instruction_set, instruction_sets

DEPENDENCIES = ("numpy", "scipy", "scikit-learn", "joblib", "threadpoolctl")
# of which it uses those that are there, and imports none before
OPTIONAL = ("matplotlib", "pandas", "onnx", "onnxruntime", "torch", "skops")


def show_versions() -> None:
    """Print the versions of Python, skgru and its dependencies, and what the kernels run on.

    Optional packages are named if they are installed.

    The instruction set is the fastest of those that this build of skgru has and the processor
    can run, unless the environment variable ``SKGRU_ISA`` forces one.

    Raises
    ------
    ValueError
        If ``SKGRU_ISA`` names an instruction set that cannot be used.

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
