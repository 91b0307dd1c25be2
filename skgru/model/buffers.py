"""Memory that training reuses from one minibatch to the next."""

from collections.abc import Hashable
from math import prod
from typing import Any

import numpy as np

from skgru.model.network import Network
from skgru.model.parameters import Parameters

CACHE_LINE = 64  # bytes


class Buffers:
    """Memory that is reused from one minibatch to the next, by name.

    Fresh pages of the system would take 7 % of a training step of the largest models.

    Parameters
    ----------
    network : Network

    Attributes
    ----------
    parameters : Parameters
        The views of the network's parameters.
    """

    def __init__(self, network: Network) -> None:
        self.parameters: Any = network.weights
        self._network = network
        self._dtype = network.dtype
        self._memory: dict[Hashable, np.ndarray] = {}
        self._arrays: dict[Hashable, np.ndarray] = {}
        self._gradients: dict[int, tuple[np.ndarray, list[Parameters]]] = {}

    def empty(self, name: Hashable, shape: tuple[int, ...]) -> np.ndarray:
        """Return the last array of this name, or an uninitialized one in its memory."""
        array = self._arrays.get(name)
        if array is not None and array.shape == shape:
            return array
        size = prod(shape) * self._dtype.itemsize
        memory = self._memory.get(name)
        if memory is None or memory.size < size:
            memory = np.empty(size + CACHE_LINE, np.uint8)
            # aligned to a cache line, so that few vectors span two
            self._memory[name] = memory = memory[-memory.ctypes.data % CACHE_LINE :]
        self._arrays[name] = array = np.ndarray(shape, self._dtype, memory)
        return array

    def gradients(self, n_shards: int) -> tuple[np.ndarray, list[Parameters]]:
        """Return an array of shape (n_shards, n_parameters) of any numbers, and views of each row.

        Each shard clears its own row: memory that another core has just written is slow to reach.
        """
        if n_shards not in self._gradients:
            parameters = self._network.parameters
            gradients = np.empty((n_shards, parameters.size), dtype=parameters.dtype)
            self._gradients[n_shards] = gradients, [self._network.views(g) for g in gradients]
        return self._gradients[n_shards]
