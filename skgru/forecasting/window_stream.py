"""WindowStream: predictions from the last window of series that come in."""

import sys
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skgru.streaming import PipelineStream, Stream
from skgru.streaming.checks import check_finite, check_n_streams, check_state, memory_for


class WindowStream(PipelineStream):
    """Series in progress, and the predictions from their last windows.

    Made by `WindowScaledRegressor.stream`. As soon as a series has as many time steps as a window,
    predictions are those of `predict` for its last window; before, they are NaN. The cost of a
    step is that of a window.

    As any other stream, it has a copy of the model, it can be copied and pickled, and it is for
    one thread at a time.

    Parameters
    ----------
    model : estimator
        Fitted on windows.
    window : int
        Time steps of a window.
    n_channels : int
        Channels of a time step.
    n_streams : int
        Number of series that advance together.

    Attributes
    ----------
    n_streams : int
    n_channels : int

    Raises
    ------
    ValueError
        If `n_streams` is no positive integer or too large for the memory.

    See Also
    --------
    skgru.streaming.stream : Make a stream of any estimator.
    WindowScaledRegressor : The estimator.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from skgru.forecasting import WindowScaledRegressor, sliding_windows
    >>> series = np.sin(np.arange(100) / 3)
    >>> X, y = sliding_windows(series, window=12)
    >>> model = WindowScaledRegressor(Ridge(), flatten=True).fit(X, y)
    >>> stream = model.stream()
    >>> forecasts = [stream.step([value]) for value in series]
    >>> bool(np.isclose(forecasts[11], model.predict(X[:1])[0]))
    True
    """

    reset: Any

    def __init__(self, model: Any, window: int, n_channels: int, n_streams: int) -> None:
        n_streams = check_n_streams(n_streams)
        self.n_channels = n_channels
        self._model = model
        with memory_for(n_streams):
            if n_streams > sys.maxsize // (8 * window * n_channels):
                raise MemoryError  # for which NumPy has another error
            self._windows = np.zeros((n_streams, window, n_channels))
            self._n_steps = np.zeros(n_streams, dtype=np.intp)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self)

    @property
    def n_streams(self) -> int:
        """Return the number of series that advance together."""
        return len(self._windows)

    def step(self, x_t: ArrayLike) -> Any:
        """Take the next time step of every series; return the predictions after it.

        Parameters
        ----------
        x_t : array-like of shape (n_streams, n_channels)
            Or (n_channels,), if there is one stream.

        Returns
        -------
        y : ndarray of shape (n_streams,) or (n_streams, ...)
            The rows that `predict` returns, NaN for series that are shorter than a window. For x_t
            of shape (n_channels,), the one row itself.

        Raises
        ------
        ValueError
            If x_t has another shape, or a value that is not a finite number. All windows are then
            as before.
        """
        rows = self._rows(x_t)
        check_finite(rows, allow_nan=False)
        window = self._windows.shape[1]
        # new arrays: copies of a stream share the old ones
        windows = np.concatenate([self._windows[:, 1:], rows[:, np.newaxis]], axis=1)
        n_steps = np.minimum(self._n_steps + 1, window)
        predicted = self._model.predict(windows)
        predicted[n_steps < window] = np.nan
        self._windows, self._n_steps = windows, n_steps
        return predicted if np.ndim(x_t) == 2 else predicted[0]

    @property
    def state(self) -> np.ndarray:
        """States of all series: (n_streams, window * n_channels + 1).

        A row is 0 before the first step. It holds the last window and, at the end, how many of its
        time steps have come.

        Reading returns a copy. Set it to continue from the states of another time, or of another
        stream of the same model.
        """
        windows = self._windows.reshape(self.n_streams, -1)
        return np.hstack([windows, self._n_steps[:, np.newaxis]])

    @state.setter
    def state(self, state: ArrayLike) -> None:
        own, window = self.state, self._windows.shape[1]
        state = check_state(state, own.shape, own.dtype)
        if not np.isin(state[:, -1], np.arange(window + 1)).all():
            raise ValueError(
                "The last column of state, the number of time steps in the window, must hold "
                f"integers from 0 to {window}."
            )
        self._set_state(state)

    def _set_state(self, state: np.ndarray) -> None:
        self._windows = state[:, :-1].reshape(self._windows.shape).astype(float)
        self._n_steps = state[:, -1].astype(np.intp)

    reset = Stream.reset
