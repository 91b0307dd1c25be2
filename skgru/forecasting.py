"""Forecast time series with regressors: windows, and predictions over several steps."""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from sklearn.utils import check_array, check_scalar

from skgru.sequences import ragged_items


def sliding_windows(
    series: ArrayLike,
    window: int,
    horizon: int = 1,
    step: int = 1,
    *,
    exog: ArrayLike | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Cut time series into windows and the values that follow each window.

    Parameters
    ----------
    series : array-like of shape (n_timesteps,) or (n_timesteps, n_channels), or several of them
        Values at equal distances in time, oldest first. Several series are a list or tuple of
        arrays, of any lengths, or an array of shape (n_series, n_timesteps, n_channels). No window
        spans two series.
    window : int
        Number of time steps in a window.
    horizon : int, default=1
        Number of time steps to forecast after each window.
    step : int, default=1
        Number of time steps between the starts of consecutive windows.
    exog : array-like, default=None
        Exogenous channels that are known in advance (calendar, prices, a weather forecast) and need
        no forecast, of shape (n_timesteps,) or (n_timesteps, n_exog), for the time steps of the
        series. For several series, a list with one array per series.

    Returns
    -------
    X : ndarray of shape (n_windows, window) or (n_windows, window, n_channels)
        The windows in order of time, oldest value first; those of the first series come before
        those of the second. float32 stays float32, all other dtypes become float64. With `exog`,
        the shape is always (n_windows, window, n_channels + n_exog): each time step of a window
        holds the series at that time and `exog` at `horizon` steps later. The last steps of a
        window thus hold the exogenous values of the time steps to forecast.
    y : ndarray of shape (n_windows,), or (n_windows, horizon * n_channels)
        The values of the series after each window: all channels of the nearest time step, then
        those of the next. One-dimensional if there is only one value per window.

    Raises
    ------
    ValueError
        If `window`, `horizon` or `step` is less than 1, if a series is shorter than
        `window + horizon`, contains NaN or infinity, or has more than two dimensions, if the
        series differ in their channels, or if `exog` differs from the series in its time steps.
    TypeError
        If `window`, `horizon` or `step` is not an integer.

    See Also
    --------
    recursive_forecast : Forecast with a regressor that was fitted on these windows.

    Notes
    -----
    Both arrays are contiguous copies: X takes about `window / step` times the memory of the series.
    A window is left out if its horizon ends after the series. A series of T steps thus has
    ``(T - window - horizon) // step + 1`` windows. With these counts for several series,
    ``np.repeat(names, counts)`` gives the groups for scikit-learn's splitters.

    Put channels that help the forecast, but are not known in advance, into the series. If you need
    forecasts of the first channel only, ``y.reshape(len(y), horizon, n_channels)[:, :, 0]`` are its
    targets, for a regressor that forecasts the whole horizon at once.

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
    >>> X[0]  # the last step holds the weekday of the value to forecast
    array([[1., 1.],
           [2., 2.],
           [3., 3.]])
    """
    for name, value in (("window", window), ("horizon", horizon), ("step", step)):
        check_scalar(value, name, Integral, min_val=1)
    several, _ = _check_several(series, "series")
    for name, one in several.items():
        if len(one) < window + horizon:
            raise ValueError(
                f"{name} has {len(one)} time steps; window={window} and horizon={horizon} need at "
                f"least {window + horizon}."
            )
    y = _windows([one[window:] for one in several.values()], horizon, step)
    y = y.reshape(len(y), -1)
    seen = [one[:-horizon] for one in several.values()]
    if exog is not None:
        known = _check_exog(exog, several, "series")
        seen = [_beside(one, k[horizon:]) for one, k in zip(seen, known, strict=True)]
    return _windows(seen, window, step), y[:, 0] if y.shape[1] == 1 else y


def recursive_forecast(
    regressor: Any,
    history: ArrayLike,
    steps: int,
    *,
    window: int | None = None,
    exog: ArrayLike | None = None,
) -> np.ndarray:
    """Forecast time series recursively: each prediction becomes the newest observation.

    Parameters
    ----------
    regressor : estimator
        A regressor fitted on windows of `sliding_windows`. It predicts as many time steps after a
        window as the horizon of these windows.
    history : array-like of shape (n_timesteps,) or (n_timesteps, n_channels), or several of them
        Observations to start from, oldest first. Several series, as in `sliding_windows`, are
        forecast together, with one call of `predict` for all of them.
    steps : int
        Number of time steps to forecast. It need not be a multiple of the regressor's horizon:
        predictions beyond `steps` are dropped.
    window : int, default=None
        Number of time steps in the windows that the regressor was fitted on; the last `window`
        steps of the history are used. If None, the whole history is the window.
    exog : array-like, default=None
        Exogenous channels, if the windows had them: for the time steps of the history, followed by
        the time steps to forecast (up to the next multiple of the regressor's horizon). For several
        series, a list with one array per series.

    Returns
    -------
    forecast : ndarray of shape (steps,) or (steps, n_channels)
        The forecast of every channel of the history. For several series, the shape is
        (n_series, steps) or (n_series, steps, n_channels).

    Raises
    ------
    ValueError
        If `steps` or `window` is less than 1, if a history is shorter than the window, contains
        NaN or infinity, or has more than two dimensions, if the histories differ in their channels,
        if they differ in length and `window` is None, if `exog` is too short, or if the regressor
        does not predict all channels.
    TypeError
        If `steps` or `window` is not an integer.

    See Also
    --------
    sliding_windows : Make the windows to fit the regressor on.

    Notes
    -----
    This is the recursive or iterated strategy [1]_. After each call of `predict`, the window moves
    on by the regressor's horizon. Errors are fed back with the predictions and may grow with the
    number of steps. A regressor fitted with `horizon=steps` avoids this: it forecasts all steps at
    once.

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
    several, alone = _check_several(history, "history")
    if window is None:
        lengths = {len(one) for one in several.values()}
        if len(lengths) > 1:
            raise ValueError(
                f"The histories have {min(lengths)} to {max(lengths)} time steps; state the "
                "window that the regressor was fitted on."
            )
        window = lengths.pop()
    check_scalar(window, "window", Integral, min_val=1)
    for name, one in several.items():
        if window > len(one):
            raise ValueError(
                f"{name} has {len(one)} time steps; window={window} needs at least {window}."
            )
    values = np.stack([one[-window:] for one in several.values()])
    channels = values.shape[2:]
    known, horizon = None, 0
    if exog is not None:
        exogs = _check_exog(exog, several, "history", future=True)
        from_window = [
            k[len(one) - window :] for one, k in zip(several.values(), exogs, strict=True)
        ]
        n_known = min(len(k) for k in from_window)
        known = np.stack([k[:n_known] for k in from_window])
        # the horizon decides which exog a window needs, and only a prediction shows the horizon
        horizon = _predict(regressor, _beside(values, known[:, :window]), channels).shape[1]
        needed = -(-steps // horizon) * horizon
        if n_known < window + needed:
            raise ValueError(
                f"exog reaches {n_known - window} time steps beyond history; steps={steps}, "
                f"forecast {horizon} at a time, needs {needed}."
            )
    while values.shape[1] < window + steps:
        start = values.shape[1] - window
        newest = values[:, start:]
        if known is not None:
            newest = _beside(newest, known[:, start + horizon : start + horizon + window])
        values = np.concatenate([values, _predict(regressor, newest, channels)], axis=1)
    forecast = values[:, window : window + steps]
    return forecast[0] if alone else forecast


def lags_to_sequences(X: ArrayLike, n_lags: int) -> np.ndarray:
    """Convert rows of lags, newest first, to sequences, oldest first.

    skforecast makes such tables from time series: lag 1 is in the first column, lag 2 in the
    second. After the lags come exogenous variables and calendar features of the step to forecast.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_lags + n_exog)
        Lag 1, lag 2, and so on, then the other columns.
    n_lags : int
        Number of columns that are lags.

    Returns
    -------
    sequences : ndarray of shape (n_samples, n_lags, 1 + n_exog)
        Channel 0 holds the lags from the last to the first. Each of the other columns is a channel
        with the same value at every time step.

    Raises
    ------
    ValueError
        If X is not two-dimensional or has fewer columns than `n_lags`, or if `n_lags` is less
        than 1.
    TypeError
        If `n_lags` is not an integer.

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
    """Return the windows of all series as a copy of shape (n_windows, window[, n_channels])."""
    # sliding_window_view makes the time steps of a window the last axis
    pieces = [np.moveaxis(sliding_window_view(s, window, axis=0)[::step], -1, 1) for s in series]
    # ascontiguousarray alone may return a read-only view of the user's series; concatenate always
    # copies
    return np.ascontiguousarray(np.concatenate(pieces))


def _beside(series: np.ndarray, exog: np.ndarray) -> np.ndarray:
    """Append the exogenous channels to those of the series, for the same time steps."""
    if series.ndim < exog.ndim:
        series = series[..., np.newaxis]
    return np.concatenate([series, exog.astype(series.dtype)], axis=-1)


def _predict(regressor: Any, windows: np.ndarray, channels: tuple[int, ...]) -> np.ndarray:
    """Predict the time steps after each window, of shape (n_series, horizon[, n_channels])."""
    predicted = np.asarray(regressor.predict(windows)).reshape(len(windows), -1)
    if predicted.shape[1] % np.prod(channels, dtype=int):
        raise ValueError(
            f"The regressor predicts {predicted.shape[1]} values, which is no multiple of the "
            f"{channels[0]} channels of history: each of them must be forecast."
        )
    return predicted.reshape(len(windows), -1, *channels)


def _check_several(series: ArrayLike, name: str) -> tuple[dict[str, np.ndarray], bool]:
    """Return the series by name (for messages), and whether a single one was passed."""
    items = ragged_items(series, name)
    if items is None and np.ndim(series) == 3:
        items = list(series)
    if items is None:
        return {name: _check_series(series, name)}, True
    several = {f"{name}[{i}]": _check_series(item, f"{name}[{i}]") for i, item in enumerate(items)}
    if not several:
        raise ValueError(f"{name} is empty; expected at least one series.")
    first = next(iter(several.values()))
    for one_name, one in several.items():
        if one.shape[1:] != first.shape[1:]:
            raise ValueError(
                f"{one_name} has shape {one.shape}, {name}[0] {first.shape}: all series must be "
                "of the same channels."
            )
    return several, False


def _check_exog(
    exog: ArrayLike, several: dict[str, np.ndarray], name: str, *, future: bool = False
) -> list[np.ndarray]:
    """Return the exog of each series, of shape (n_timesteps, n_exog).

    With `future`, each may be longer than its series.
    """
    known, _ = _check_several(exog, "exog")
    if len(known) != len(several):
        raise ValueError(f"exog holds {len(known)} arrays, {name} {len(several)} series.")
    for (exog_name, k), (one_name, one) in zip(known.items(), several.items(), strict=True):
        if len(k) != len(one) and not (future and len(k) > len(one)):
            after = ", and those to forecast after them" if future else ""
            raise ValueError(
                f"{exog_name} has {len(k)} time steps, {one_name} {len(one)}; exog is needed for "
                f"the same time steps{after}."
            )
    return [k.reshape(len(k), -1) for k in known.values()]


def _check_series(series: ArrayLike, name: str) -> np.ndarray:
    """Validate a one- or two-dimensional series; return it as a floating-point array."""
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
