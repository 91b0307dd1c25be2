"""From the top layer's states to one vector a sequence, forward and backward.

A pooling takes the states of a sequence a window of steps at a time, and gives the gradient of
each window's states back from that of what it pooled. In a window of n sequences, they are the
first n of all.
"""
# ruff: noqa: D102 (every pooling has the methods of Pooling, documented there)

from types import ModuleType
from typing import ClassVar

import numpy as np


class Pooling:
    """What all poolings have.

    Parameters
    ----------
    kernels : module
    lengths : ndarray of int, shape (n_samples,)
        Time steps of each sequence.
    query : ndarray of shape (width,), or (0,)
        The learned one of attention.
    width : int
    """

    of_all_steps: ClassVar[bool] = True

    def __init__(self, kernels: ModuleType, lengths: np.ndarray, query: np.ndarray, width: int):
        self.kernels = kernels
        self.lengths = lengths
        self.query = query
        self.shape = len(lengths), width

    def add(
        self, states: np.ndarray, batch_sizes: np.ndarray, h_last: np.ndarray, first_step: int
    ) -> None:
        """Take the packed states of a window, its last ones, and the number of its first step."""
        raise NotImplementedError

    def pooled(self) -> np.ndarray:
        """Return what has been pooled, of shape (n_samples, width)."""
        raise NotImplementedError

    def backward(
        self,
        d_pooled: np.ndarray,
        states: np.ndarray,
        batch_sizes: np.ndarray,
        first_step: int,
        d_states: np.ndarray,
        d_query: np.ndarray,
    ) -> None:
        """Fill the gradient of the packed states of a window; add to that of the query."""
        raise NotImplementedError


class Last(Pooling):
    """The last state, whose gradient enters its layer as such; backward, that of the first step."""

    of_all_steps = False

    def add(self, states, batch_sizes, h_last, first_step):
        self._h_last = h_last

    def pooled(self):
        return self._h_last


class Mean(Pooling):
    """The mean of the states."""

    def __init__(self, kernels: ModuleType, lengths: np.ndarray, query: np.ndarray, width: int):
        super().__init__(kernels, lengths, query, width)
        self._total = np.zeros(self.shape, dtype=query.dtype)
        self._n_steps = lengths[:, np.newaxis].astype(query.dtype)

    def add(self, states, batch_sizes, h_last, first_step):
        self.kernels.sum_steps(states, batch_sizes, self._total)

    def pooled(self):
        return self._total / self._n_steps

    def backward(self, d_pooled, states, batch_sizes, first_step, d_states, d_query):
        self.kernels.repeat_steps(d_pooled / self._n_steps, batch_sizes, d_states)


class Max(Pooling):
    """The highest value of each unit."""

    def __init__(self, kernels: ModuleType, lengths: np.ndarray, query: np.ndarray, width: int):
        super().__init__(kernels, lengths, query, width)
        self._highest = np.full(self.shape, -np.inf, dtype=query.dtype)
        self._at_step = np.zeros(self.shape, dtype=np.intc)

    def add(self, states, batch_sizes, h_last, first_step):
        self.kernels.max_forward(states, batch_sizes, first_step, self._highest, self._at_step)

    def pooled(self):
        return self._highest

    def backward(self, d_pooled, states, batch_sizes, first_step, d_states, d_query):
        self.kernels.max_backward(d_pooled, self._at_step, batch_sizes, first_step, d_states)


class Attention(Pooling):
    """The states weighted by the softmax over steps of their products with a learned query."""

    def __init__(self, kernels: ModuleType, lengths: np.ndarray, query: np.ndarray, width: int):
        super().__init__(kernels, lengths, query, width)
        self._highest = np.full(len(lengths), -np.inf, dtype=query.dtype)
        self._norm = np.zeros(len(lengths), dtype=query.dtype)
        self._total = np.zeros(self.shape, dtype=query.dtype)

    def add(self, states, batch_sizes, h_last, first_step):
        self.scores = np.empty(len(states), dtype=states.dtype)
        self.kernels.attention_forward(
            states, batch_sizes, self.query, self.scores, self._highest, self._norm, self._total
        )

    def pooled(self):
        return self._total / self._norm[:, np.newaxis]

    def weights(self, batch_sizes: np.ndarray) -> np.ndarray:
        """Return the softmax of the packed steps added last, of shape (n_rows,)."""
        sequence = np.concatenate([np.arange(n) for n in batch_sizes])
        return np.exp(self.scores - self._highest[sequence]) / self._norm[sequence]

    def backward(self, d_pooled, states, batch_sizes, first_step, d_states, d_query):
        self.kernels.attention_backward(
            states, batch_sizes, self.query, self._highest, self._norm, self.pooled(), d_pooled,
            d_states, d_query,
        )  # fmt: skip


POOLINGS = {"last": Last, "mean": Mean, "max": Max, "attention": Attention}
