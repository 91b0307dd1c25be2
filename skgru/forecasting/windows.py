"""Windows of series, and the values that follow them."""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from sklearn.utils import check_array, check_scalar

from skgru.forecasting.series import TimeSeries, check_finite, read_several


def sliding_windows(
    series: ArrayLike,
    window: int,
    horizon: int = 1,
    step: int = 1,
    *,
    exog: ArrayLike | None = None,
    freq: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Cut series into windows and the values that follow each of them.

    Parameters
    ----------
    series : array-like of shape (n_timesteps,) or (n_timesteps, n_channels), or several of them
        Oldest value first, at equal distances in time: an array, or a Series or DataFrame of
        pandas or polars. The index of pandas holds the time stamps (dates, periods or integers),
        and in a frame of polars the column of dates does: they must be sorted, unique and without
        gaps. Several series are a list or tuple of any of these, of any lengths, or an array of
        shape (n_series, n_timesteps, n_channels); no window reaches from one into the next. Nested
        lists are one series, a list per time step.
    window : int
        Time steps in a window.
    horizon : int, default=1
        Time steps after a window that are to be forecast.
    step : int, default=1
        Time steps from the start of one window to that of the next.
    exog : array-like, default=None
        Channels that are known in advance (calendar, prices, a weather forecast) and are not to
        be forecast: of shape (n_timesteps,) or (n_timesteps, n_exog); of several series, as many
        of them. Where the series and `exog` both have time stamps, rows are looked up by them, and
        `exog` may hold others, too. Otherwise it has exactly as many time steps as the series.
    freq : str, offset or int, default=None
        Interval between time stamps, such as "D", "MS" or `pandas.offsets.CustomBusinessDay`, or an
        integer for an index of integers. None infers it, and refuses gaps. Where it is stated,
        stamps may be missing: no window and no horizon reaches over a gap.

    Returns
    -------
    X : ndarray of shape (n_windows, window) or (n_windows, window, n_channels)
        The windows in order of time, oldest value first, those of the first series before those
        of the second. float32 stays float32, all other numbers become float64. With `exog`, always
        of shape (n_windows, window, n_channels + n_exog): a step of a window holds the series at
        its own time and `exog` `horizon` steps later, so that the last steps of a window hold the
        exog of the very steps that are to be forecast.
    y : ndarray of shape (n_windows,), or (n_windows, horizon * n_channels)
        The values of the series after each window; all channels of the nearest time step first.
        One-dimensional if there is one value only.

    Raises
    ------
    ValueError
        If `window`, `horizon` or `step` is less than 1; if a series is too short for one window
        and its horizon, has NaN or infinity, or has more than two dimensions; if series differ in
        their channels; if time stamps are unsorted, duplicates or irregular; or if `exog` lacks a
        time step. The first such time stamp is named.
    TypeError
        If `window`, `horizon` or `step` is not an integer, or if a series is in no such form.

    See Also
    --------
    recursive_forecast : Forecast with a regressor that was fitted on such windows.
    ScaledTargetRegressor : Scale y around any regressor, for forecasts of every loss and shape.

    Notes
    -----
    Both arrays are contiguous copies: X takes about `window / step` times the memory of the series.
    A window whose horizon would reach beyond the series is left out, so that a series of T steps
    without a gap has ``(T - window - horizon) // step + 1`` windows: with the counts of several
    series, ``np.repeat(names, counts)`` are groups for scikit-learn's splitters.

    Channels that help but are neither known in advance nor of interest belong to the series;
    ``y.reshape(len(y), horizon, n_channels)[:, :, 0]`` are the targets of the first channel alone,
    for a regressor that forecasts the whole horizon at once.

    Examples
    --------
    >>> from skgru.forecasting import sliding_windows
    >>> X, y = sliding_windows([1, 2, 3, 4, 5], window=3)
    >>> X
    array([[1., 2., 3.],
           [2., 3., 4.]])
    >>> y
    array([4., 5.])
    >>> weekday = [0, 1, 2, 3, 4]
    >>> X, y = sliding_windows([1, 2, 3, 4, 5], window=3, exog=weekday)
    >>> X[0]  # the last step says on which day the forecast one will be
    array([[1., 1.],
           [2., 2.],
           [3., 3.]])
    """
    for name, value in (("window", window), ("horizon", horizon), ("step", step)):
        check_scalar(value, name, Integral, min_val=1)
    several, _ = read_several(series, "series")
    known = [None] * len(several) if exog is None else read_exog(exog, several)
    seen, followed = [], []
    for one, one_exog in zip(several, known, strict=True):
        check_finite(one.values, one.name, one.index)
        needs = f"window={window} and horizon={horizon} need at least {window + horizon}"
        if len(one) < window + horizon:
            raise ValueError(f"{one.name} has {len(one)} time steps; {needs}.")
        times = one.checked_times(freq)
        stretches = [slice(None)] if times is None else times.stretches()
        stretches = [s for s in stretches if len(one.values[s]) >= window + horizon]
        if not stretches:
            raise ValueError(
                f"{one.name} has no stretch without gaps that is long enough; {needs}."
            )
        beside = None
        if one_exog is not None:
            beside = one_exog.rows_for(one.index, len(one), one, f"those of {one.name}")
        for stretch in stretches:
            values = one.values[stretch]
            followed.append(values[window:])
            values = values[:-horizon]
            if beside is not None:
                values = put_beside(values, beside[stretch][horizon:])
            seen.append(values)
    y = _windows(followed, horizon, step)
    y = y.reshape(len(y), -1)
    return _windows(seen, window, step), y[:, 0] if y.shape[1] == 1 else y


def lags_to_sequences(X: ArrayLike, n_lags: int) -> np.ndarray:
    """Turn rows of lags, the newest first, into sequences, the oldest first.

    skforecast makes such tables out of series: lag 1 in the first column, lag 2 in the second, and
    behind the lags what is known of the time to forecast (exogenous variables, calendar features).
    mlforecast puts exogenous variables before the lags: put them behind first.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_lags + n_exog)
        Columns lag 1, lag 2, …, then the others.
    n_lags : int
        Columns that are lags.

    Returns
    -------
    sequences : ndarray of shape (n_samples, n_lags, 1 + n_exog)
        The lags from the last to the first as channel 0, and the other columns, the same at each
        step, as the channels after it.

    Raises
    ------
    ValueError
        If X is not two-dimensional or has fewer columns than `n_lags`, or if `n_lags` is less
        than 1.
    TypeError
        If `n_lags` is not an integer.

    See Also
    --------
    sliding_windows : Cut a series into windows, the oldest step first.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from skgru import GRURegressor
    >>> from skgru.forecasting import lags_to_sequences
    >>> lags_to_sequences([[3.0, 2.0, 1.0, 0.5]], n_lags=3)
    array([[[1. , 0.5],
            [2. , 0.5],
            [3. , 0.5]]])
    >>> oldest_first = FunctionTransformer(lags_to_sequences, kw_args={"n_lags": 3})
    >>> model = make_pipeline(oldest_first, GRURegressor())
    """
    check_scalar(n_lags, "n_lags", Integral, min_val=1)
    X = check_array(X, dtype=[np.float64, np.float32], ensure_all_finite=False, input_name="X")
    if X.shape[1] < n_lags:
        raise ValueError(f"X has {X.shape[1]} columns; n_lags={n_lags} need at least {n_lags}.")
    lags = X[:, n_lags - 1 :: -1, np.newaxis]
    others = np.repeat(X[:, np.newaxis, n_lags:], n_lags, axis=1)
    return np.concatenate([lags, others], axis=2)


def _windows(series: list[np.ndarray], window: int, step: int) -> np.ndarray:
    """Copy the windows of all series: (n_windows, window[, n_channels])."""
    # sliding_window_view puts the window's axis last
    pieces = [np.moveaxis(sliding_window_view(s, window, axis=0)[::step], -1, 1) for s in series]
    # concatenate always copies, while ascontiguousarray alone may return a read-only view of the
    # caller's own series
    return np.ascontiguousarray(np.concatenate(pieces))


def put_beside(series: np.ndarray, exog: np.ndarray) -> np.ndarray:
    """Put as many steps of exog as the series has behind its channels."""
    if series.ndim < exog.ndim:
        series = series[..., np.newaxis]
    return np.concatenate([series, exog.astype(series.dtype)], axis=-1)


def read_exog(exog: Any, several: list[TimeSeries]) -> list[TimeSeries]:
    """Read what is known in advance of each series."""
    known, _ = read_several(exog, "exog")
    if len(known) != len(several):
        raise ValueError(f"exog holds {len(known)} arrays, but there are {len(several)} series.")
    return known
