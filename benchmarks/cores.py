"""Parse arguments and set the CPU affinity of a benchmark, before any library is imported."""

import argparse
import os


def use_cores(n: int) -> None:
    """Restrict this process to its first n cores; call it before NumPy is imported.

    JAX and onnxruntime have no setting that limits all of their threads: only the affinity makes
    the number of cores equal for all libraries.
    """
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n])
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(n)


def arguments_on_cores(
    description: str, peers: list[str], seconds: float, **own: dict
) -> argparse.Namespace:
    """Parse the common arguments and those of one benchmark; use as many cores as threads."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("sizes", nargs="*", help="names of sizes.py; all by default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=seconds, help="per peer and round")
    parser.add_argument("--peers", nargs="*", default=peers)
    for name, options in own.items():
        parser.add_argument(f"--{name}", **options)
    arguments = parser.parse_args()
    use_cores(arguments.threads)
    return arguments
