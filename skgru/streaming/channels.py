"""Time steps whose channels are more than numbers, for the stepper of the kernels."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from skgru.sequences import Channels
from skgru.sequences.channels import codes_of_column
from skgru.sequences.rows import read_row
from skgru.sequences.values import numbers, rounded, short
from skgru.streaming.checks import check_finite, in_shape, refuse_names


class ChannelStepper:
    """A `Stepper` of the kernels that takes time steps as X has them.

    Its methods are those of the stepper. With decay, its state goes on behind the stepper's, in
    float64; see `Stream.state`.

    Parameters
    ----------
    stepper : Stepper
        Of the kernels.
    channels : Channels
        What the channels are; of their encoding by `Channels.encode`, each step has the same bits.
    dtype : dtype
        Of the stepper.
    """

    def __init__(self, stepper: Any, channels: Channels, dtype: DTypeLike):
        self._stepper = stepper
        self._channels = channels
        n = stepper.n_streams
        self._shape = n, channels.n_channels
        self._numeric = channels.numeric
        # the next row of the stepper: a | m | d | δ or the numbers, then the codes
        self._row = np.empty((n, stepper.n_channels), dtype)
        n_values = stepper.n_channels - len(channels.categorical)
        self._values, self._codes = self._row[:, :n_values], self._row[:, n_values:]
        # rows of the tables by category, which takes a third of the time of a search for it
        self._first_rows = np.cumsum([0, *channels.n_categories]).tolist()
        self._rows_of = [
            {value: first + code for code, value in enumerate(values.tolist())}
            for first, values in zip(self._first_rows, channels.categories, strict=False)
        ]
        self._gaps = Gaps(channels, n) if channels.missing == "decay" else None

    def outputs(self, x_t: ArrayLike) -> np.ndarray:
        """Advance by one time step; return the outputs."""
        return self._advance(x_t, self._stepper.outputs)

    def most_likely(self, x_t: ArrayLike) -> Any:
        """Advance by one time step; return the index of the maximum output."""
        return self._advance(x_t, self._stepper.most_likely)

    def probabilities(self, x_t: ArrayLike) -> np.ndarray:
        """Advance by one time step; return the softmax of the outputs."""
        return self._advance(x_t, self._stepper.probabilities)

    def _advance(self, x_t: ArrayLike, result_of: Callable[[np.ndarray], Any]) -> Any:
        """Take a step; what is remembered of it changes once the stepper has taken it."""
        if type(x_t) is not np.ndarray:  # masked arrays are one, too
            refuse_names(x_t)
            x_t = read_row(x_t)
        if x_t.dtype.kind == "U":
            x_t = x_t.astype(object)  # strings, as X has them
        x = in_shape(x_t, self._shape)
        after = None
        if self._numeric:
            with np.errstate(over="ignore"):  # too large for the dtype is infinite, and refused
                values = self._numbers(x)
                if self._gaps is not None:
                    values, after = self._gaps.next(values, self._times(x))
                self._values[:] = values
        for i, channel in enumerate(self._channels.categorical):
            self._codes[:, i] = self._rows(x[:, channel], i)
        result = result_of(self._row if x_t.ndim == 2 else self._row[0])
        if after is not None:
            self._gaps.state = after
        return result

    def _numbers(self, x: np.ndarray) -> np.ndarray:
        """Return the channels that are numbers, float64."""
        values = self._channels.numbers(x, "x_t")
        in_dtype = values.astype(self._row.dtype, copy=False)
        check_finite(in_dtype, allow_nan=self._gaps is not None, channels=self._numeric)
        return values

    def _times(self, x: np.ndarray) -> np.ndarray | None:
        """Return the time of each stream, float64; None if X has no times."""
        time = self._channels.time
        if time is None:
            return None
        times = numbers(x[:, time], "x_t").astype(np.float64)
        if rounded(times, x[:, time]):
            raise ValueError(
                f"x_t has times above 2**53 in time_channel={time}: {short(times.max())}. "
                "A stream would round them; give the time since the start of the sequence."
            )
        check_finite(times[:, np.newaxis], allow_nan=False, channels=[time])
        return times

    def _rows(self, column: np.ndarray, i: int) -> list[int] | np.ndarray:
        """Return the rows of the tables that a channel picks."""
        rows_of = self._rows_of[i]
        rows = [rows_of.get(value) for value in column.tolist()]
        if None in rows:  # unknown or missing, or of another kind than the categories
            channels = self._channels
            codes = codes_of_column(column, channels.categories[i], channels.categorical[i])
            return codes + self._first_rows[i]
        return rows

    # ---- the state -----------------------------------------------------------------------------

    @property
    def state_size(self) -> int:
        """Numbers of the state of a stream."""
        return self._stepper.state_size + (0 if self._gaps is None else self._gaps.state.shape[1])

    def get_state(self) -> np.ndarray:
        """Return a copy of the states."""
        state = self._stepper.get_state()
        return state if self._gaps is None else np.hstack([state, self._gaps.state])

    def set_state(self, state: np.ndarray) -> None:
        """Set the states to a copy; raise ValueError if they are none."""
        if self._gaps is None:
            return self._stepper.set_state(state)
        size = self._stepper.state_size
        self._gaps.check(state[:, size:])
        self._stepper.set_state(np.ascontiguousarray(state[:, :size], dtype=self._row.dtype))
        self._gaps.state = state[:, size:].copy()


class Gaps:
    """What the streams of a model with decay remember of the steps so far.

    Parameters
    ----------
    channels : Channels
    n_streams : int

    Attributes
    ----------
    state : ndarray of shape (n_streams, 2 * n_numbers + 2)
        For each channel that is a number, what its last observation was above the mean, and when
        that was; then the time of the last step, and 1 after the first step. Before the first
        observation of a channel these are 0 and the time of the first step.
    """

    def __init__(self, channels: Channels, n_streams: int):
        self._means, self._unit, self._time = channels.means, channels.time_unit, channels.time
        self.state = np.zeros((n_streams, 2 * len(channels.means) + 2))

    def next(self, values: np.ndarray, times: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return a | m | d | δ of a time step, and the state after it.

        As `sequences.gaps` computes them for whole sequences. Without times, a step takes 1.
        """
        D, state = len(self._means), self.state
        above, since, last = state[:, :D], state[:, D : 2 * D], state[:, [-2]]
        begun = state[:, [-1]] > 0
        times = last + begun if times is None else times[:, np.newaxis]
        falls = begun & (times < last)
        if falls.any():
            stream = int(np.argmax(falls))
            raise ValueError(
                f"x_t goes back in time, which time_channel={self._time} must not: stream "
                f"{stream}, from {last[stream, 0]} to {times[stream, 0]}. Reset a stream before a "
                "new sequence."
            )
        seen = ~np.isnan(values)
        since = np.where(begun, since, times)
        elapsed = times / self._unit - since / self._unit
        row = np.hstack(
            [np.where(seen, values, self._means), seen, np.where(seen, 0.0, above), elapsed]
        )
        after = np.empty_like(state)
        after[:, :D] = np.where(seen, values - self._means, above)
        after[:, D : 2 * D] = np.where(seen, times, since)
        after[:, 2 * D :] = np.hstack([times, np.ones_like(times)])
        return row, after

    def check(self, state: np.ndarray) -> None:
        """Raise ValueError if columns that were set are no state."""
        begun, D = state[:, -1], len(self._means)
        if not np.isin(begun, (0, 1)).all() or state[begun == 0].any():
            raise ValueError(
                "The last column of state must be 1 for streams that have begun, and 0 as all "
                "others before that."
            )
        if (state[:, D : 2 * D] > state[:, [-2]]).any():
            raise ValueError(
                f"Columns of state, the {D} before the last two, hold times of observations after "
                "the time of the last step, which is in the column before the last."
            )
