"""From the top layer's states to one vector per sequence, forward and backward.

A pooling receives the packed states one window of steps at a time. Its backward pass turns the
gradient of the pooled vectors into that of the states of each window. The n sequences of a window
are the first n of all.

A new pooling is a class here and its name in `POOLINGS`; its streaming step stands in
`kernels/pooling.pxi`, and its form in other runtimes in `interop/poolings.py`.
"""
# ruff: noqa: D102 (every pooling has the methods of Pooling, documented there)

from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from skgru.sequences import Packed


class Pooling:
    """Interface of all poolings.

    Parameters
    ----------
    kernels : module
    lengths : ndarray of int, shape (n_samples,)
        Time steps of each sequence.
    query : ndarray of shape (width,), or (0,)
        Learned by attention.
    width : int
    """

    of_all_steps: ClassVar[bool] = True
    has_query: ClassVar[bool] = False

    def __init__(
        self, kernels: ModuleType, lengths: np.ndarray, query: np.ndarray, width: int
    ) -> None:
        self.kernels = kernels
        self.lengths = lengths
        self.query = query
        self.shape: tuple[Any, ...] = len(lengths), width

    def add(self, states: Packed, h_last: np.ndarray, first_step: int) -> None:
        """Take the packed states of a window, its last ones, and the number of its first step."""
        raise NotImplementedError

    def pooled(self) -> np.ndarray:
        """Return the pooled states, of shape (n_samples, width)."""
        raise NotImplementedError

    def backward(
        self,
        d_pooled: np.ndarray,
        states: Packed,
        first_step: int,
        d_states: np.ndarray,
        d_query: np.ndarray,
    ) -> None:
        """Write the gradient of the packed states of a window; add to that of the query."""
        raise NotImplementedError


class Last(Pooling):
    """The last state that each direction computes."""

    of_all_steps = False

    def add(self, states: Packed, h_last: np.ndarray, first_step: int) -> None:
        self._h_last = h_last

    def pooled(self) -> np.ndarray:
        return self._h_last


class Mean(Pooling):
    """The mean of the states."""

    def __init__(
        self, kernels: ModuleType, lengths: np.ndarray, query: np.ndarray, width: int
    ) -> None:
        super().__init__(kernels, lengths, query, width)
        self._total = np.zeros(self.shape, dtype=query.dtype)
        self._n_steps = lengths[:, np.newaxis].astype(query.dtype)

    def add(self, states: Packed, h_last: np.ndarray, first_step: int) -> None:
        self.kernels.sum_steps(states.x, states.batch_sizes, self._total)

    def pooled(self) -> np.ndarray:
        return self._total / self._n_steps

    def backward(
        self,
        d_pooled: np.ndarray,
        states: Packed,
        first_step: int,
        d_states: np.ndarray,
        d_query: np.ndarray,
    ) -> None:
        self.kernels.repeat_steps(d_pooled / self._n_steps, states.batch_sizes, d_states)


class Max(Pooling):
    """The highest value of each unit."""

    def __init__(
        self, kernels: ModuleType, lengths: np.ndarray, query: np.ndarray, width: int
    ) -> None:
        super().__init__(kernels, lengths, query, width)
        self._highest = np.full(self.shape, -np.inf, dtype=query.dtype)
        self._at_step = np.zeros(self.shape, dtype=np.intc)

    def add(self, states: Packed, h_last: np.ndarray, first_step: int) -> None:
        self.kernels.max_forward(
            states.x, states.batch_sizes, first_step, self._highest, self._at_step
        )

    def pooled(self) -> np.ndarray:
        return self._highest

    def backward(
        self,
        d_pooled: np.ndarray,
        states: Packed,
        first_step: int,
        d_states: np.ndarray,
        d_query: np.ndarray,
    ) -> None:
        self.kernels.max_backward(d_pooled, self._at_step, states.batch_sizes, first_step, d_states)


class Attention(Pooling):
    """The states weighted by the softmax over steps of their products with a learned query."""

    has_query = True

    def __init__(
        self, kernels: ModuleType, lengths: np.ndarray, query: np.ndarray, width: int
    ) -> None:
        super().__init__(kernels, lengths, query, width)
        self._highest = np.full(len(lengths), -np.inf, dtype=query.dtype)
        self._norm = np.zeros(len(lengths), dtype=query.dtype)
        self._total = np.zeros(self.shape, dtype=query.dtype)

    def add(self, states: Packed, h_last: np.ndarray, first_step: int) -> None:
        self._scores = np.empty(len(states.x), dtype=states.x.dtype)
        self.kernels.attention_forward(
            states=states.x,
            batch_sizes=states.batch_sizes,
            query=self.query,
            scores=self._scores,
            highest=self._highest,
            norm=self._norm,
            total=self._total,
        )

    def pooled(self) -> np.ndarray:
        return self._total / self._norm[:, np.newaxis]

    def weights(self, packed: Packed) -> np.ndarray:
        """Return the softmax of the packed steps added last, of shape (n_rows,)."""
        sequence = packed.sequence_of_row
        return np.exp(self._scores - self._highest[sequence]) / self._norm[sequence]

    def backward(
        self,
        d_pooled: np.ndarray,
        states: Packed,
        first_step: int,
        d_states: np.ndarray,
        d_query: np.ndarray,
    ) -> None:
        self.kernels.attention_backward(
            states=states.x,
            batch_sizes=states.batch_sizes,
            query=self.query,
            highest=self._highest,
            norm=self._norm,
            pooled=self.pooled(),
            d_pooled=d_pooled,
            d_states=d_states,
            d_query=d_query,
        )


POOLINGS: dict[str, type[Pooling]] = {
    "last": Last,
    "mean": Mean,
    "max": Max,
    "attention": Attention,
}
