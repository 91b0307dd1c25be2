"""From a series to windows and back: supervised learning on time series."""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from sklearn.utils import check_array, check_scalar


def sliding_windows(
    series: ArrayLike, window: int, horizon: int = 1, step: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a series into windows and the values that follow each of them.

    Parameters
    ----------
    series : array-like of shape (n_timesteps,) or (n_timesteps, n_channels)
        Oldest value first, at equal distances in time.
    window : int
        Time steps in a window.
    horizon : int, default=1
        Time steps after a window that are to be forecast.
    step : int, default=1
        Time steps from the start of one window to that of the next.

    Returns
    -------
    X : ndarray of shape (n_windows, window) or (n_windows, window, n_channels)
        The windows in order of time, oldest value first. float32 stays float32, all other numbers
        become float64.
    y : ndarray of shape (n_windows,), or (n_windows, horizon * n_channels)
        The values after each window; all channels of the nearest time step first. One-dimensional
        if there is one value only.

    Raises
    ------
    ValueError
        If `window`, `horizon` or `step` is less than 1, if the series is too short for one window
        and its horizon, has NaN or infinity, or has more than two dimensions.
    TypeError
        If `window`, `horizon` or `step` is not an integer.

    See Also
    --------
    recursive_forecast : Forecast with a regressor that was fitted on such windows.

    Notes
    -----
    Both arrays are contiguous copies: X takes about `window / step` times the memory of the series.
    A window whose horizon would reach beyond the series is left out.

    Examples
    --------
    >>> from skgru.forecasting import sliding_windows
    >>> X, y = sliding_windows([1, 2, 3, 4, 5], window=3)
    >>> X
    array([[1., 2., 3.],
           [2., 3., 4.]])
    >>> y
    array([4., 5.])
    """
    for name, value in (("window", window), ("horizon", horizon), ("step", step)):
        check_scalar(value, name, Integral, min_val=1)
    series = _check_series(series, "series")
    n_timesteps = len(series)
    if n_timesteps < window + horizon:
        raise ValueError(
            f"series has {n_timesteps} time steps; window={window} and horizon={horizon} need at "
            f"least {window + horizon}."
        )
    # (n_windows, [n_channels,] window + horizon), time last
    pieces = sliding_window_view(series, window + horizon, axis=0)[::step]
    pieces = np.moveaxis(pieces, -1, 1)
    # copy() rather than ascontiguousarray or reshape, which for some sizes return the read-only
    # view of the caller's own series
    X = pieces[:, :window].copy()
    y = pieces[:, window:].copy().reshape(len(pieces), -1)
    return X, y[:, 0] if y.shape[1] == 1 else y


def recursive_forecast(
    regressor: Any, history: ArrayLike, steps: int, *, window: int | None = None
) -> np.ndarray:
    """Forecast a series step by step, each prediction becoming the newest observation.

    Parameters
    ----------
    regressor : estimator
        A fitted regressor that takes windows as `sliding_windows` makes them, and predicts the
        time steps after a window: one, or as many as its horizon was.
    history : array-like of shape (n_timesteps,) or (n_timesteps, n_channels)
        The observations to start from, oldest first.
    steps : int
        Time steps to forecast. It need not be a multiple of the regressor's horizon: what is
        predicted beyond `steps` is cut off.
    window : int, default=None
        Time steps of the windows that the regressor was fitted on; the last `window` of the
        history are used. None takes the whole history as the window.

    Returns
    -------
    forecast : ndarray of shape (steps,) or (steps, n_channels)
        As many channels as the history has.

    Raises
    ------
    ValueError
        If `steps` or `window` is less than 1, if the history is shorter than the window, has NaN
        or infinity, or has more than two dimensions, or if the regressor does not predict all
        channels.
    TypeError
        If `steps` or `window` is not an integer.

    See Also
    --------
    sliding_windows : The windows to fit the regressor on.

    Notes
    -----
    Known as the recursive or iterated strategy [1]_. At each call of `predict` the window, always
    of the same length, moves along by the regressor's horizon. Errors are fed back with the
    predictions, so that they may grow with the distance; a regressor fitted with
    `horizon=steps` forecasts all steps at once instead.

    References
    ----------
    .. [1] S. Ben Taieb, G. Bontempi, A. F. Atiya and A. Sorjamaa, "A review and comparison of
       strategies for multi-step ahead time series forecasting based on the NN5 forecasting
       competition", Expert Systems with Applications 39(8), 7067-7083, 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from skgru.forecasting import recursive_forecast, sliding_windows
    >>> series = np.arange(10.0)
    >>> model = LinearRegression().fit(*sliding_windows(series, window=3))
    >>> recursive_forecast(model, series, steps=3, window=3).round(6)
    array([10., 11., 12.])
    """
    check_scalar(steps, "steps", Integral, min_val=1)
    history = _check_series(history, "history")
    window = len(history) if window is None else window
    check_scalar(window, "window", Integral, min_val=1)
    if window > len(history):
        raise ValueError(
            f"history has {len(history)} time steps; window={window} needs at least {window}."
        )
    n_channels = 1 if history.ndim == 1 else history.shape[1]
    values = history[-window:]
    while len(values) < window + steps:
        predicted = np.asarray(regressor.predict(values[np.newaxis, -window:])).ravel()
        if predicted.size % n_channels:
            raise ValueError(
                f"The regressor predicts {predicted.size} values, which is no multiple of the "
                f"{n_channels} channels of history: each of them must be forecast."
            )
        values = np.concatenate([values, predicted.reshape(-1, *history.shape[1:])])
    return values[window : window + steps]


def _check_series(series: ArrayLike, name: str) -> np.ndarray:
    """Return a one- or two-dimensional series as finite floating-point numbers."""
    series = check_array(
        series,
        dtype=[np.float64, np.float32],
        ensure_2d=False,
        allow_nd=True,
        ensure_all_finite=False,
        input_name=name,
    )
    if series.ndim not in (1, 2):
        raise ValueError(
            f"{name} has shape {series.shape}; expected (n_timesteps,) or (n_timesteps, "
            "n_channels)."
        )
    bad = np.argwhere(~np.isfinite(series))
    if len(bad):
        first = tuple(bad[0])
        where = f"time step {first[0]}" + (f", channel {first[1]}" if series.ndim == 2 else "")
        raise ValueError(
            f"{name} is {series[first]} at {where}; expected finite numbers, but {len(bad)} of "
            f"{series.size} are not: interpolate them or cut them out."
        )
    return series
