"""Forecasts further than a regressor's horizon."""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_scalar

from skgru.forecasting.predictions import Predictions
from skgru.forecasting.series import TimeSeries, check_finite, read_several
from skgru.forecasting.times import Times
from skgru.forecasting.windows import put_beside, read_exog


def recursive_forecast(
    regressor: Any,
    history: ArrayLike,
    steps: int,
    *,
    window: int | None = None,
    horizon: int | None = None,
    exog: ArrayLike | None = None,
    freq: Any = None,
    return_quantiles: bool = False,
) -> Any:
    """Forecast series step by step, each prediction becoming the newest observation.

    Parameters
    ----------
    regressor : estimator
        A fitted regressor that takes windows as `sliding_windows` makes them, and predicts the
        time steps after a window. Of a `GRURegressor` that predicts several quantiles, alone or
        in a pipeline, a search or a `ScaledTargetRegressor`, the median is forecast.
    history : array-like of shape (n_timesteps,) or (n_timesteps, n_channels), or several of them
        The observations to start from, oldest first, in any form that `sliding_windows` takes.
        Several series are forecast side by side, with one call of `predict` for all.
    steps : int
        Time steps to forecast. It need not be a multiple of the regressor's horizon: what is
        predicted beyond `steps` is cut off.
    window : int, default=None
        Time steps of the windows that the regressor was fitted on; the last `window` of the
        history are used. None takes the whole history as the window.
    horizon : int, default=None
        Time steps that the regressor predicts, of all channels of the history: the `horizon` of
        its windows. With one channel, None takes it from a fitted `GRURegressor`, and takes a
        single number that another regressor predicts for the next time step. It must be stated
        for a history of several channels, and for another regressor of several numbers.
    exog : array-like, default=None
        If the windows had them, the channels known in advance; of several series, as many of them.
        Where history and `exog` both have time stamps, rows are looked up by them: those of the
        last window and of the time steps to forecast (up to the next multiple of `horizon`) must
        be there. Otherwise it has exactly the time steps of the history and, after them, of those
        to forecast.
    freq : str, offset or int, default=None
        Interval between time stamps, as in `sliding_windows`. None infers it, and refuses gaps.
        Where it is stated, only the last window must be without a gap.
    return_quantiles : bool, default=False
        Whether to return all quantiles that the regressor predicts, and not the median alone:
        those of each step given that the steps before it came out at their medians. After the
        first `horizon` steps they leave out what is uncertain about these, and so the band
        between them is too narrow.

    Returns
    -------
    forecast : ndarray, Series, DataFrame or list of them
        Of an array, (steps,) or (steps, n_channels), with as many channels as the history. A
        Series or DataFrame comes back as one, with the time stamps that follow, those of dates by
        their frequency and in their time zone. Several series in an array give one of shape
        (n_series, steps[, n_channels]), and so do arrays in a list; otherwise a list of forecasts.
        With `return_quantiles`, arrays have quantiles as one more axis, the last, and in frames
        there is a column for each quantile (of each channel).

    Raises
    ------
    ValueError
        If `steps`, `window` or `horizon` is less than 1; if a history is shorter than the window,
        has NaN or infinity, or has more than two dimensions; if histories differ in their
        channels, or in length without a `window`; if time stamps are unsorted, duplicates or
        irregular; if `exog` lacks a time step; or if what the regressor predicts is not the
        next time steps of all channels, or may be something else.
    TypeError
        If `steps`, `window` or `horizon` is not an integer, or `regressor` no regressor.

    See Also
    --------
    sliding_windows : The windows to fit the regressor on.
    ScaledTargetRegressor : Scale y around any regressor, quantiles included.

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

    A Series comes back with the dates that follow:

    >>> import pandas as pd
    >>> dated = pd.Series(series, index=pd.date_range("2024-02-20", periods=10, name="day"))
    >>> recursive_forecast(model, dated, steps=2, window=3).round(6)
    day
    2024-03-01    10.0
    2024-03-02    11.0
    Freq: D, dtype: float64
    """
    check_scalar(steps, "steps", Integral, min_val=1)
    if horizon is not None:
        check_scalar(horizon, "horizon", Integral, min_val=1)
    several, form = read_several(history, "history")
    window = check_window(window, several)
    channels = several[0].values.shape[1:]
    predictions = Predictions.of(regressor, horizon, int(np.prod(channels, dtype=int)))
    if return_quantiles and predictions.quantiles is None:
        raise ValueError(
            "return_quantiles=True is for a GRURegressor of several quantiles, such as "
            'GRURegressor(loss="quantile", quantiles=(0.1, 0.5, 0.9)).'
        )
    horizon = predictions.horizon
    n_future = -(-steps // horizon) * horizon
    times = [check_history(one, window, freq) for one in several]
    futures = [None if t is None else t.following(n_future) for t in times]
    known = None
    if exog is not None:
        known = np.stack([
            _exog_of_targets(one_exog, one, future, window, horizon, n_future)
            for one_exog, one, future in zip(
                read_exog(exog, several), several, futures, strict=True
            )
        ])  # fmt: skip
    values = np.stack([one.values[-window:] for one in several])
    forecast = []
    for start in range(0, n_future, horizon):
        newest = values[:, start : start + window]
        if known is not None:
            newest = put_beside(newest, known[:, start : start + window])
        forecast.append(predictions.after(newest, channels))
        values = np.concatenate([values, predictions.median(forecast[-1])], axis=1)
    if return_quantiles:
        result = np.concatenate(forecast, axis=1)[:, :steps]
    else:
        result = values[:, window : window + steps]
    return in_form(result, several, futures, form, predictions.quantiles if return_quantiles
                    else None)  # fmt: skip


def check_window(window: int | None, several: list[TimeSeries]) -> int:
    """Return the window, of which no history must be shorter; None is the whole history."""
    if window is None:
        lengths = {len(one) for one in several}
        if len(lengths) > 1:
            raise ValueError(
                f"The histories have {min(lengths)} to {max(lengths)} time steps; state the "
                "window that the regressor was fitted on."
            )
        window = lengths.pop()
    check_scalar(window, "window", Integral, min_val=1)
    for one in several:
        if window > len(one):
            raise ValueError(
                f"{one.name} has {len(one)} time steps; window={window} needs at least {window}."
            )
    return int(window)


def check_history(one: TimeSeries, window: int, freq: Any) -> Times | None:
    """Return the time stamps of a history, whose last window must be without a gap."""
    check_finite(one.values, one.name, one.index)
    times = one.checked_times(freq)
    if times is None:
        return None
    last = times.stretches()[-1]
    if last.stop - last.start < window:
        raise ValueError(
            f"The last window of {one.name} has a gap: nothing between "
            f"{one.index[last.start - 1]} and {one.index[last.start]}, {window} time steps are "
            "needed."
        )
    return times


def _exog_of_targets(
    exog: TimeSeries, one: TimeSeries, future: Any, window: int, horizon: int, n_future: int
) -> np.ndarray:
    """Return exog of each step of the window `horizon` steps later, and of those that follow."""
    needed = None
    if future is not None:
        needed = one.index[len(one) - window :].append(future)[horizon:]
    what = f"those of {one.name}, and {n_future} to forecast with horizon={horizon}"
    rows = exog.rows_for(needed, len(one) + n_future, one, what)
    return rows[-(window + n_future - horizon) :]


def in_form(
    result: np.ndarray,
    several: list[TimeSeries],
    futures: list[Any],
    form: str,
    quantiles: tuple[float, ...] | None,
) -> Any:
    """Return forecasts in the form of the history."""
    if all(one.wrap is None for one in several):
        return result[0] if form == "one" else result
    forecasts = [
        forecast
        if one.wrap is None
        else one.wrap(forecast, None if future is None else future[: len(forecast)], quantiles)
        for forecast, one, future in zip(result, several, futures, strict=True)
    ]
    return forecasts[0] if form == "one" else forecasts
