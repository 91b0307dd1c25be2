"""What tests send to the workers of a cluster, in a module that these can import."""

import os

import numpy as np

from skgru.model.workers import n_threads as n_threads_for


class CountsPickles(np.ndarray):
    """An array that counts how often it is pickled."""

    n_pickles = 0

    def __reduce_ex__(self, protocol):
        CountsPickles.n_pickles += 1
        return np.array, (self.tolist(),)


def pid_of(estimator, X, y):
    """Score with the number of the process."""
    return os.getpid()


def n_threads(estimator, X, y):
    """Score with the number of threads that a fit uses there."""
    return n_threads_for(estimator[-1].n_jobs)
