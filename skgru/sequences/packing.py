"""Packed minibatches: sequences sorted from long to short, time-major, without padding."""

from typing import NamedTuple

import numpy as np

from skgru.kernels import kernels_for


class Packed(NamedTuple):
    """Time steps of several sequences as the kernels take them.

    Attributes
    ----------
    x : ndarray of shape (n_rows, k)
        Step 0 of every sequence, then step 1 of every sequence that has one, and so on: inputs,
        or states or anything else with a row for each of these steps.
    batch_sizes : ndarray of shape (n_timesteps,), intp
        Number of sequences that have each step; it never grows.
    codes : ndarray of shape (n_rows, n_categorical), or None
        Categories of each row, if there are any.
    """

    x: np.ndarray
    batch_sizes: np.ndarray
    codes: np.ndarray | None = None

    @property
    def slices(self) -> list[slice]:
        """Rows of each time step."""
        stops = np.cumsum(self.batch_sizes)
        return [slice(a, b) for a, b in zip(stops - self.batch_sizes, stops, strict=True)]

    @property
    def sequence_of_row(self) -> np.ndarray:
        """Number of the sequence that each row belongs to, the longest being 0."""
        return np.concatenate([np.arange(n) for n in self.batch_sizes])


class Span(NamedTuple):
    """Location of some sequences, or of parts of them, in `Sequences.values`: the longest first.

    Attributes
    ----------
    samples : ndarray of int, shape (n_samples,)
        Their numbers.
    starts : ndarray of int, shape (n_samples,)
        Row of the first step of each.
    lengths : ndarray of int, shape (n_samples,)
    """

    samples: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray

    @property
    def n_steps(self) -> int:
        """Time steps of all sequences."""
        return int(self.lengths.sum())

    @property
    def batch_sizes(self) -> np.ndarray:
        """Number of sequences that have each step, as in the packed form."""
        return np.bincount(self.lengths - 1)[::-1].cumsum()[::-1].copy()

    @property
    def steps_and_sequences(self) -> tuple[np.ndarray, np.ndarray]:
        """Time step and number of the sequence of each packed row."""
        running = np.arange(self.lengths[0])[:, np.newaxis] < self.lengths
        return running.nonzero()

    def deal(self, n_shards: int) -> list["Span"]:
        """Distribute the sequences over shards of similar length."""
        if n_shards == 1:
            return [self]
        return [Span(*(part[i::n_shards] for part in self)) for i in range(n_shards)]

    def windows(self, n_steps: int | None) -> list["Span"]:
        """Cut the sequences into windows of so many steps, counted from their ends.

        The first windows hold the remainder, and only the sequences that are long enough.
        """
        longest = int(self.lengths[0])
        if n_steps is None or longest <= n_steps:
            return [self]
        windows = []
        for after in reversed(range(0, longest, n_steps)):
            stops = self.lengths - after
            stops = stops[stops > 0]
            begins = np.maximum(stops - n_steps, 0)
            n = len(stops)
            windows.append(Span(self.samples[:n], self.starts[:n] + begins, stops - begins))
        return windows

    @property
    def rows(self) -> np.ndarray:
        """Number of the time step, among those of all sequences, of each packed row."""
        steps = np.arange(self.lengths[0])[:, np.newaxis]
        return (self.starts + steps)[steps < self.lengths]

    def pack(self, values: np.ndarray, codes: np.ndarray | None = None) -> Packed:
        """Pack these steps of arrays that have a row for each time step of all sequences."""
        x, batch_sizes = kernels_for(values.dtype).pack_steps(values, self.starts, self.lengths)
        return Packed(x, batch_sizes, None if codes is None else codes.take(self.rows, axis=0))

    def unpack(self, x: np.ndarray, values: np.ndarray) -> None:
        """Write packed rows to where `pack` reads them."""
        kernels_for(x.dtype).unpack_steps(x, self.starts, self.lengths, values)
