"""Equal cores for all libraries that a benchmark compares."""

import os


def use_cores(n: int) -> None:
    """Keep this process on its first n cores; to be called before NumPy is imported.

    JAX and onnxruntime have no setting that binds all of their threads, so that the affinity is
    what makes the number of cores equal for all.
    """
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n])
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(n)
