"""What a benchmark does before it imports a library: read its arguments, take its cores."""

import argparse
import os


def use_cores(n: int) -> None:
    """Keep this process on its first n cores; to be called before NumPy is imported.

    JAX and onnxruntime have no setting that binds all of their threads, so that the affinity is
    what makes the number of cores equal for all.
    """
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n])
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(n)


def arguments_on_cores(
    description: str, peers: list[str], seconds: float, **own: dict
) -> argparse.Namespace:
    """Read what the comparisons by size share, and options of their own; use as many cores."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("sizes", nargs="*", help="of those in sizes.py; all by default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=seconds, help="of each peer, a round")
    parser.add_argument("--peers", nargs="*", default=peers)
    for name, options in own.items():
        parser.add_argument(f"--{name}", **options)
    arguments = parser.parse_args()
    use_cores(arguments.threads)
    return arguments
