"""WindowForecaster: from series to forecasts with intervals."""

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from skgru._constraints import Interval
from skgru._sklearn import BaseEstimator, HasMethods, StrOptions, fit_context
from skgru.forecasting.averaged import WindowScaledAverage, weights_of
from skgru.forecasting.holdout import Origins
from skgru.forecasting.intervals import IntervalsMixin
from skgru.forecasting.known import (
    Known,
    after_training,
    check_same_channels,
    end_of,
    in_order,
    in_zone,
    read_known,
    without_names,
    zones_of,
)
from skgru.forecasting.levels import CENTERS
from skgru.forecasting.recipe import around_windows, default_regressors, usual_window
from skgru.forecasting.recursive import check_history, check_window, recursive_forecast
from skgru.forecasting.series import TimeSeries, read_several, tail
from skgru.forecasting.time_features import usual_season
from skgru.forecasting.windows import sliding_windows
from skgru.persistence import Saved, unchanged_on_error

KEPT = 64  # time steps of a series that are kept at least, of which its frequency can be told


class WindowForecaster(IntervalsMixin, Saved, BaseEstimator):
    """Forecast one series, or many with one model, from windows of their past.

    `sliding_windows` cuts windows and targets, a `WindowScaledRegressor` removes their level and
    scale, and `recursive_forecast` makes the forecasts. A forecast has the form of the series: an
    array, or a Series or DataFrame of pandas or polars with time stamps.

    Parameters
    ----------
    regressor : estimator, default=None
        Any regressor, pipeline or search for the windows. One that takes tables only gets the
        channels of a window side by side, and one of a single output is fitted for each number to
        forecast. None is the mean of two: a `GRURegressor` of 32 units for absolute errors, behind
        scaled channels and targets, and a `RidgeCV`.
    window : int, default=None
        Time steps of a window. None takes three seasons, or 24 time steps where there are none: at
        most 104, and fewer where the shortest series has too few windows of that length.
    horizon : int, default=None
        Time steps to forecast: for "direct", those that the regressor predicts at once. None takes
        a season of at most 60 time steps, or 1 where there is none.
    strategy : {"direct", "recursive"}, default="direct"
        Whether the regressor predicts the whole horizon at once, or one time step, which becomes
        the newest observation for the next.
    season_length : int, default=None
        Time steps of a season. None takes the usual one of the frequency of time stamps: a day of
        minutes or hours, 7 days, 5 business days, 52 weeks, 12 months or 4 quarters. Steps of
        several units, such as 30 minutes, divide it. Others and arrays have 1, which is no season.
    time_features : sequence of str, default=None
        Time features, as sine and cosine: some of "minute", "hour", "weekday", "day",
        "day_of_year", "month" and "quarter", in the local time of the series in `fit`. They are
        known in advance, as `exog` is.
    center : {"average", "auto", "last", "mean", "season"} or None, default="average"
        The level of a window. "last", "mean", "season" and None are those of
        `WindowScaledRegressor`. "average" fits a model with each of the first three, and forecasts
        their mean. "auto" chooses one of the three. Both leave "season" out where there is none.
    scale : {"window", "series"} or None, default="window"
        The scale of a window, as in `WindowScaledRegressor`.
    holdout : float, default=0.2
        Share of each series, at its end, on which models fitted to the part before are compared,
        for the weights of a mean, center="auto" and the intervals. The final models are fitted to
        all. With 0, weights are equal, `center` must not be "auto", and there are no intervals.
    freq : str, offset or int, default=None
        Interval between time stamps, as in `sliding_windows`.
    random_state : int, RandomState instance or None, default=None
        For the weights of the default regressor.

    Attributes
    ----------
    regressor_ : WindowScaledRegressor or WindowScaledAverage
        The fitted regressor, or the mean of several: of each center and each default regressor.
    window_, horizon_, season_length_ : int
        As stated or chosen.
    center_ : str or None
        As stated or chosen.
    holdout_errors_ : dict of str to float
        With center="auto", for each one the mean absolute error on the held-out part, relative
        to the mean absolute change over a season in the part before; over a time step, if that
        part is no longer than a season.

    See Also
    --------
    sliding_windows : The windows, for estimators of your own.
    WindowScaledRegressor : How level and scale are taken out and put back.
    recursive_forecast : Forecasts of any regressor.

    Notes
    -----
    A regressor is fitted six times with center="average", four times with "auto", and otherwise
    twice; with holdout=0, three times or once. A mean weighs its models, those of each center and
    of both default regressors, by the inverse of their squared held-out errors [3]_.

    Intervals are split conformal predictions by step of the horizon [1]_, [2]_: an empirical
    quantile of absolute errors on the held-out part, relative to the scale of the window. They
    cover as often as stated if errors to come are like those held out, and those of neighboring
    windows are not independent. A `GRURegressor` that predicts the two quantiles of an interval
    gives them itself.

    References
    ----------
    .. [1] V. Vovk, A. Gammerman and G. Shafer, "Algorithmic learning in a random world", Springer,
       2005.
    .. [2] K. Stankeviciute, A. M. Alaa and M. van der Schaar, "Conformal time-series forecasting",
       NeurIPS 34, 2021.
    .. [3] J. M. Bates and C. W. J. Granger, "The combination of forecasts", Operational Research
       Quarterly 20(4), 451-468, 1969.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn.linear_model import Ridge
    >>> from skgru.forecasting import WindowForecaster
    >>> months = pd.date_range("2015-01-01", periods=96, freq="MS")
    >>> season = 10 * np.sin(2 * np.pi * np.arange(96) / 12)
    >>> sales = pd.Series(100 + 2.0 * np.arange(96) + season, index=months)
    >>> forecaster = WindowForecaster(Ridge(alpha=1e-6)).fit(sales)
    >>> forecaster.predict(2).round(1)
    2023-01-01    292.0
    2023-02-01    299.0
    Freq: MS, dtype: float64
    >>> forecast, lower, upper = forecaster.predict_interval(2, level=0.8)
    """

    # where users import it from, and what saved models name
    __module__ = "skgru.forecasting"

    _parameter_constraints: ClassVar[dict[Any, Any]] = {
        "regressor": [HasMethods(["fit", "predict"]), None],
        "window": [Interval(Integral, 1, None, closed="left"), None],
        "horizon": [Interval(Integral, 1, None, closed="left"), None],
        "strategy": [StrOptions({"direct", "recursive"})],
        "season_length": [Interval(Integral, 1, None, closed="left"), None],
        "time_features": [list, tuple, None],
        "center": [StrOptions({"average", "auto", *CENTERS}), None],
        "scale": [StrOptions({"window", "series"}), None],
        "holdout": [Interval(Real, 0, 1, closed="left")],
        "freq": "no_validation",
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        regressor: Any = None,
        *,
        window: int | None = None,
        horizon: int | None = None,
        strategy: str = "direct",
        season_length: int | None = None,
        time_features: Sequence[str] | None = None,
        center: str | None = "average",
        scale: str | None = "window",
        holdout: float = 0.2,
        freq: Any = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.regressor = regressor
        self.window = window
        self.horizon = horizon
        self.strategy = strategy
        self.season_length = season_length
        self.time_features = time_features
        self.center = center
        self.scale = scale
        self.holdout = holdout
        self.freq = freq
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, series: Any, exog: Any = None) -> Self:
        """Fit the regressor to all windows of the series.

        Parameters
        ----------
        series : array-like of shape (n_timesteps,) or (n_timesteps, n_channels), or several
            In any form that `sliding_windows` takes, all channels of which are forecast; several
            series, of any lengths, are a list or a dict by name.
        exog : array-like, default=None
            Channels known in advance, such as holidays and prices; of several series, as many of
            them. Rows are looked up by time stamp where both have them.

        Returns
        -------
        self : object
            The fitted forecaster. If anything is raised, it is as it was before.

        Raises
        ------
        ValueError
            As `sliding_windows`; if series are too short to hold out a part; or if time features
            are asked for without dates.
        """
        with unchanged_on_error(self):
            given = without_names(series, "series")
            several, form = read_several(given, "series")
            exog = in_order(exog, series, "the series")
            known_exog = None if exog is None else read_known(exog, several)
            steps = [t and t.step for t in (one.checked_times(self.freq) for one in several)]
            self._step = steps[0] if all(s == steps[0] for s in steps) else self.freq
            self._choose_lengths([len(one) for one in several])
            self._time_features = self.time_features or None
            known = Known.of(known_exog, several, [None] * len(several), 0, self._time_features)
            self._keep(series, several, form, known_exog)
            self.center_, self._residuals, weights = self.center, None, None
            vars(self).pop("holdout_errors_", None)
            if self.holdout:
                weights = self._compare(several, known)
            elif self.center == "auto":
                raise ValueError(
                    "center='auto' is chosen on a held-out part, but holdout=0; state another "
                    "center, such as 'average'."
                )
            X, y = sliding_windows(
                given,
                self.window_,
                self._fitted_horizon,
                exog=None if known is None else known.as_exog(form),
                freq=self.freq,
            )
            self.regressor_: Any = self._wrapped(self.center_, X, y, weights).fit(X, y)
        return self

    def predict(self, steps: int | None = None, *, exog: Any = None, history: Any = None) -> Any:
        """Forecast what follows the series in `fit`, or others.

        Parameters
        ----------
        steps : int, default=None
            Time steps; None is `horizon_`. Further ones are forecast from forecasts.
        exog : array-like, default=None
            If `fit` had some, the same channels of the time steps to forecast (up to the next
            multiple of the horizon of the regressor), alone or behind those of the history. Of
            another history, also those of its last window.
        history : array-like, or several, default=None
            Newer observations of the same series, or other series, to forecast from; nothing is
            fitted to them. None is the end of the series in `fit`.

        Returns
        -------
        forecast : ndarray, Series, DataFrame, list or dict of them
            In the form of the history, with the time stamps that follow.

        Raises
        ------
        ValueError
            As `recursive_forecast`; or if a history has other channels than the series in `fit`, or
            in another order.
        """
        return self._named(self._forecast(self._steps(steps), exog, history), history)

    # ---- fit -----------------------------------------------------------------------------------

    def _choose_lengths(self, lengths: list[int]) -> None:
        self.season_length_: int = self.season_length or usual_season(self._step)
        season = self.season_length_ if self.season_length_ > 1 else None
        self.horizon_: int = self.horizon or min(season or 1, 60)
        self.window_: int = self.window or usual_window(season, min(lengths), self.horizon_)
        self._fitted_horizon = self.horizon_ if self.strategy == "direct" else 1

    def _keep(
        self, series: Any, several: list[TimeSeries], form: str, exog: list[TimeSeries] | None
    ) -> None:
        """Keep the end of the series, to forecast from."""
        n_kept = max(self.window_, KEPT)
        if isinstance(series, Mapping):
            self._history = {name: tail(one, n_kept) for name, one in series.items()}
        elif form == "one":
            self._history = tail(series, n_kept)
        else:
            self._history = [tail(one, n_kept) for one in series]
            if form == "array" and series.ndim == 3:
                self._history = np.stack(self._history)
        self._n_train, self._zones = [len(one) for one in several], zones_of(several)
        self._columns = next((one.columns for one in several if one.columns is not None), None)
        self._n_channels = several[0].values[0].size
        self._exog = None
        if exog is not None:
            self._exog = [end_of(e, one, n_kept) for e, one in zip(exog, several, strict=True)]

    def _usual_centers(self) -> list[str]:
        """Return the centers that these windows are long enough for."""
        seasonal = 1 < self.season_length_ < self.window_
        return [center for center in CENTERS if center != "season" or seasonal]

    def _wrapped(
        self, center: str | None, X: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None
    ) -> Any:
        regressors = [self.regressor]
        if self.regressor is None:
            regressors = default_regressors(len(X), self.random_state)
        return around_windows(
            regressors, X, y, scale=self.scale, season_length=self.season_length_, weights=weights,
            centers=self._usual_centers() if center == "average" else [center],
            n_targets=(1 if y.ndim == 1 else y.shape[1]) // self._fitted_horizon,
        )  # fmt: skip

    def _compare(self, several: list[TimeSeries], known: Known | None) -> np.ndarray | None:
        """Choose a center on the held-out part, if asked for; keep the errors of the chosen one.

        Returns
        -------
        weights : ndarray or None
            Of the regressors that are averaged.
        """
        origins = Origins.of(
            several,
            known,
            window=self.window_,
            horizon=self.horizon_,
            fitted_horizon=self._fitted_horizon,
            season_length=self.season_length_,
            share=self.holdout,
            freq=self._step,
        )
        centers = self._usual_centers() if self.center == "auto" else [self.center]
        errors, residuals, weights = {}, {}, {}
        for center in centers:
            model, weights[center] = self._wrapped(center, *origins.train).fit(*origins.train), None
            if isinstance(model, WindowScaledAverage):
                each = [origins.missed(regressor) for regressor in model.regressors_]
                weights[center] = weights_of([origins.relative_error(one) for one in each])
                model.weights_ = weights[center]
            missed = origins.missed(model)
            errors[center] = origins.relative_error(missed)
            residuals[center] = missed / model._window_scales(origins.windows)
        self.center_: Any = min(errors, key=errors.get)
        self._residuals = residuals[self.center_]
        if self.center == "auto":
            self.holdout_errors_: Any = errors
        return weights[self.center_]

    # ---- predict -------------------------------------------------------------------------------

    def _steps(self, steps: int | None) -> int:
        check_is_fitted(self, "regressor_")
        steps = self.horizon_ if steps is None else steps
        check_scalar(steps, "steps", Integral, min_val=1)
        return steps

    def _without_names(self, history: Any) -> Any:
        """Return a history, None that in `fit`, as one series or a list."""
        return without_names(self._history if history is None else history, "history")

    def _named(self, forecast: Any, history: Any) -> Any:
        """Return forecasts by name, if the history has names."""
        history = self._history if history is None else history
        if isinstance(history, Mapping):
            return dict(zip(history, forecast, strict=True))
        return forecast

    def _inputs(self, steps: int, exog: Any, history: Any) -> tuple[Any, ...]:
        """Return a history, as it is and read, its form, stamps to come, and what is known."""
        past = self._without_names(history)
        several, form = read_several(past, "history")
        n_future = -(-steps // self._fitted_horizon) * self._fitted_horizon
        check_same_channels(several, self._columns, self._n_channels)
        check_window(self.window_, several)
        if self._time_features is not None:
            several = [in_zone(one, self._zones) for one in several]
        times = [check_history(one, self.window_, self._step_of(one)) for one in several]
        futures = [None if t is None else t.following(n_future) for t in times]
        exog = in_order(exog, self._history if history is None else history, "the series")
        if (exog is None) != (self._exog is None):
            raise ValueError(
                "fit had exog; predict needs it, too, of the time steps to forecast."
                if exog is None
                else "predict was given exog, but fit was not."
            )
        if exog is not None:
            exog = read_known(exog, several)
            fitted = [TimeSeries(*end) for end in self._exog]
            like = fitted[0]
            check_same_channels(exog, like.columns, like.values[0].size)
            if history is None:
                exog = [
                    after_training(one, end, n_train, n_future)
                    for one, end, n_train in zip(exog, fitted, self._n_train, strict=True)
                ]
        known = Known.of(exog, several, futures, n_future, self._time_features)
        return past, several, form, futures, known

    def _step_of(self, one: TimeSeries) -> Any:
        return None if one.index is None else self._step

    def _forecast(self, steps: int, exog: Any, history: Any, **kwargs: Any) -> Any:
        past, several, form, _, known = self._inputs(steps, exog, history)
        dated = all(one.index is not None for one in several)
        return recursive_forecast(
            self.regressor_,
            past,
            steps,
            window=self.window_,
            horizon=self._fitted_horizon,
            exog=None if known is None else known.as_exog(form),
            freq=self._step if dated else None,
            **kwargs,
        )
