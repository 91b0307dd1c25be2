"""WindowScaledRegressor: take level and scale of each window out of X and y, and put them back."""

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import InputTags, check_consistent_length
from sklearn.utils.validation import check_is_fitted

from skgru._constraints import Interval
from skgru._sklearn import HasMethods, StrOptions, Tags, _check_sample_weight, fit_context
from skgru.forecasting.around import RegressorAround, named
from skgru.forecasting.levels import CENTERS, Normalization
from skgru.forecasting.predictions import innermost
from skgru.forecasting.targets import read_rows
from skgru.forecasting.window_stream import WindowStream
from skgru.outputs import Outputs
from skgru.persistence import unchanged_on_error
from skgru.sequences import check_features, check_sequences, short
from skgru.training.callbacks import with_callbacks


class WindowScaledRegressor(RegressorAround):
    """Fit a regressor to windows without their level and scale, and put them back in predictions.

    Each window has its own level and scale, which are taken out of the window and of the values
    that follow it. A regressor then sees the shape of a series alone, and forecasts series that
    rise beyond all of their past, or that differ in size by orders of magnitude. Known as
    reversible instance normalization [1]_.

    Parameters
    ----------
    regressor : estimator
        Any regressor: `GRURegressor`, gradient boosting, `Ridge`, or a pipeline or a search that
        ends in one. It is cloned, and gets windows in the form of X, unless they are flattened.
    center : {"last", "mean", "season"} or None, default="last"
        The level of a window: its last value, its mean, or for each time step the value of the
        same season before. With "season", windows become seasonal differences, which are
        `season_length` steps shorter. With None, no level is taken out.
    scale : {"window", "series"} or None, default="window"
        What is divided by: the root mean square of the window without its level; or of all
        training windows together, which keeps the differences between windows and suits
        series of one size. With None, nothing is divided.
    season_length : int, default=None
        Time steps of a season. `center="season"` needs it; others do not look at it.
    target_channels : "all" or sequence of int, default=None
        The channels of X, counted from 0, whose values y holds. The others, such as the channels
        known in advance, are passed on as they are. None is for windows of one channel.
    flatten : bool, default=False
        Whether the regressor gets windows as rows of a table, all channels of the oldest time step
        first: for one that does not take three dimensions, such as `Ridge`.

    Attributes
    ----------
    regressor_ : estimator
        The fitted regressor.
    horizon_ : int
        Time steps in y.
    target_channels_ : ndarray of int
        The channels that y holds.
    learned_scale_ : ndarray
        With `scale="series"`, the scale of each target channel. With "window", the smallest scale
        of a training window that is not constant, and below it the smallest one relative to the
        mean absolute value of its window. Constant windows are divided by the latter.
    n_features_in_ : int
        Columns of a two-dimensional X; otherwise the channels of X.
    feature_names_in_ : ndarray of str
        Names of the columns, if X was a DataFrame with string names.

    See Also
    --------
    sliding_windows : The X and y of a series.
    recursive_forecast : Forecast further than the horizon, also with this estimator.
    ScaledTargetRegressor : One scale for each column of y, the same for all windows.

    Notes
    -----
    y is in the order of `sliding_windows`: all target channels of the nearest time step first.
    Predictions may have any further axes, such as quantiles: level and scale belong to the window,
    hence they are put back into each of them, and quantiles keep their order.

    The loss is that of scaled targets. With `scale="window"` an error counts relative to the scale
    of its window. A mean and a quantile remain what they are.

    In `fit`, `y_val` is scaled by the windows of `X_val`, also as ``<step>__X_val`` and
    ``<step>__y_val``.

    References
    ----------
    .. [1] T. Kim, J. Kim, Y. Tae, C. Park, J.-H. Choi and J. Choo, "Reversible instance
       normalization for accurate time-series forecasting against distribution shift", ICLR 2022.
       https://openreview.net/forum?id=cGDAkQo1C0p

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from skgru.forecasting import WindowScaledRegressor, recursive_forecast, sliding_windows
    >>> time = np.arange(120)
    >>> series = 50 + 2 * time + 10 * np.sin(2 * np.pi * time / 12)
    >>> X, y = sliding_windows(series, window=24, horizon=6)
    >>> model = WindowScaledRegressor(Ridge(alpha=1e-6), center="season", season_length=12)
    >>> forecast = recursive_forecast(model.fit(X, y), series, steps=3, window=24)
    >>> forecast.round(1)  # beyond the largest value of the series
    array([290. , 297. , 302.7])
    """

    # where users import it from, and what saved models name
    __module__ = "skgru.forecasting"

    _parameter_constraints: ClassVar[dict[Any, Any]] = {
        "regressor": [HasMethods(["fit", "predict"])],
        "center": [StrOptions(set(CENTERS)), None],
        "scale": [StrOptions({"window", "series"}), None],
        "season_length": [Interval(Integral, 1, None, closed="left"), None],
        "target_channels": [StrOptions({"all"}), "array-like", None],
        "flatten": ["boolean"],
    }

    def __init__(
        self,
        regressor: Any,
        *,
        center: str | None = "last",
        scale: str | None = "window",
        season_length: int | None = None,
        target_channels: Any = None,
        flatten: bool = False,
    ) -> None:
        self.regressor = regressor
        self.center = center
        self.scale = scale
        self.season_length = season_length
        self.target_channels = target_channels
        self.flatten = flatten

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, **fit_params: Any
    ) -> Self:
        """Fit the regressor to windows and targets without their level and scale.

        Parameters
        ----------
        X : array-like of shape (n_windows, window) or (n_windows, window, n_channels)
            Windows, oldest value first.
        y : array-like of shape (n_windows,) or (n_windows, horizon * n_target_channels)
            The values after each window, all target channels of the nearest time step first.
        sample_weight : array-like of shape (n_windows,), default=None
            Weights, as the regressor takes them.
        **fit_params : dict
            Passed to `fit` of the regressor, windows and targets to validate on (`X_val`, `y_val`)
            scaled.

        Returns
        -------
        self : object
            The fitted estimator. If anything is raised, it is as it was before.

        Raises
        ------
        ValueError
            If X or y are no numbers, or not finite; if windows differ in length, or are not longer
            than a season; if it is not said which channels y holds; or if the columns of y are no
            multiple of them.
        """
        if getattr(innermost(self.regressor), "return_sequences", False):
            raise ValueError(
                "return_sequences=True predicts at each step of a window; WindowScaledRegressor is "
                "for what follows a window. Fit a regressor with return_sequences=False."
            )
        if self.center == "season" and self.season_length is None:
            raise ValueError("center='season' needs season_length=, the time steps of a season.")
        tasks = self._begin_fit(X, y, sample_weight, fit_params)
        with unchanged_on_error(self):
            self._fitted_to = (self.center, self.scale, self.season_length)
            windows = self._read(X, "X", reset=True)
            self.target_channels_: np.ndarray = self._check_target_channels(windows.shape[2])
            targets = windows[:, :, self.target_channels_]
            called = f"X (n_features={windows.shape[1]})" if self._fitted_on_table else "X"
            self._normalization.check_length(windows.shape[1], called)
            weights = _check_sample_weight(
                named(fit_params, "sample_weight"), targets, ensure_non_negative=True
            )
            self.learned_scale_: np.ndarray = self._normalization.learn(targets, weights)
            self._window = windows.shape[1]
            self._as_table = self._fitted_on_table or self.flatten
            self.horizon_ = None
            scaled_y = self._scaled_targets(windows, y, "y")
            scaled = {**fit_params, **self._scaled_validation(fit_params)}
            self.regressor_: Any = self._fit_regressor(
                tasks, self._scaled_windows(windows), scaled_y, scaled
            )
        tasks.end_fit()
        return self

    def predict(self, X: Any, **predict_params: Any) -> np.ndarray:
        """Predict what follows windows, with their level and scale.

        Parameters
        ----------
        X : array-like of shape (n_windows, window) or (n_windows, window, n_channels)
            Windows, oldest value first.
        **predict_params : dict
            Passed to `predict` of the regressor.

        Returns
        -------
        y : ndarray
            In the shape that the regressor predicts, steps, channels and quantiles included.
        """
        check_is_fitted(self, "regressor_")
        windows = self._read(X, "X", reset=False)
        params = self._routed("predict", predict_params)
        predicted = self.regressor_.predict(self._scaled_windows(windows), **params)
        return self._undone(np.asarray(predicted), windows)

    def stream(self, n_streams: int = 1) -> WindowStream:
        """Predict after every time step, as series come in.

        Parameters
        ----------
        n_streams : int, default=1
            Number of series that advance together.

        Returns
        -------
        stream : WindowStream
            It keeps the last window of every series, and predicts from it: a step costs as much as
            `predict` of one window for each series, since a new level changes all of the window.
        """
        check_is_fitted(self, "regressor_")
        n_channels = 1 if self._fitted_on_table else self.n_features_in_
        return WindowStream(self._view(), self._window, n_channels, n_streams)

    def _score(self, outputs: Outputs, y: Any, predictions: Any, sample_weight: Any) -> float:
        return outputs.score(np.asarray(y), predictions, sample_weight)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # windows are read as skgru reads them, whatever the regressor could read
        tags.input_tags = InputTags(three_d_array=True)
        return tags

    # ---- windows and targets, and back ---------------------------------------------------------

    @property
    def _normalization(self) -> Normalization:
        return Normalization(*self._fitted_to)

    def _read(self, X: Any, name: str, *, reset: bool) -> np.ndarray:
        """Return windows as an array of shape (n_windows, window, n_channels)."""
        sequences = check_sequences(X, caller=type(self).__name__)
        lengths = np.unique(sequences.lengths)
        if len(lengths) > 1:
            raise ValueError(
                f"{name} has windows of {lengths[0]} to {lengths[-1]} time steps; expected one "
                "length, without padding."
            )
        windows = sequences.values.reshape(len(sequences), lengths[0], -1)
        if reset:
            check_features(self, X, sequences, reset=True)
            return windows
        if name == "X":
            check_features(self, X, sequences, reset=False)
        n_channels = 1 if self._fitted_on_table else self.n_features_in_
        if windows.shape[1:] != (self._window, n_channels):
            raise ValueError(
                f"{name} has windows of {windows.shape[1]} time steps and {windows.shape[2]} "
                f"channels, but {type(self).__name__} was fitted on windows of {self._window} time "
                f"steps and {n_channels} channels."
            )
        return windows

    def _check_target_channels(self, n_channels: int) -> np.ndarray:
        given = self.target_channels
        if given is None and n_channels > 1:
            raise ValueError(
                f"X has {n_channels} channels; say which of them y holds: target_channels='all', "
                "or [0] for the first, if the others are known in advance."
            )
        if given is None or (isinstance(given, str) and given == "all"):
            return np.arange(n_channels)
        channels = np.asarray(given)
        valid = channels.ndim == 1 and channels.dtype.kind in "iu" and len(channels)
        if not valid or len(np.unique(channels)) < len(channels):
            raise ValueError(
                f"target_channels={short(given)}; expected 'all' or different integers, such as "
                "[0]."
            )
        if channels.min() < 0 or channels.max() >= n_channels:
            raise ValueError(
                f"target_channels={short(given)}, but X has the channels 0 to {n_channels - 1}."
            )
        return channels.astype(np.intp)

    def _scaled_targets(self, windows: np.ndarray, y: ArrayLike, name: str) -> np.ndarray:
        """Take levels and scales of windows out of the values that follow them."""
        rows = read_rows(None, y, name, by_step=False, caller=type(self).__name__)
        check_consistent_length(windows, rows.values)
        n_values, n_targets = rows.values.shape[1], len(self.target_channels_)
        if self.horizon_ is None:
            if n_values % n_targets:
                raise ValueError(
                    f"y has {n_values} columns, which {n_targets} target channels do not divide; "
                    "expected all of them for each time step: horizon * n_target_channels."
                )
            self.horizon_: Any = n_values // n_targets
        elif n_values != self.horizon_ * n_targets:
            raise ValueError(f"{name} has {n_values} columns, y has {self.horizon_ * n_targets}.")
        levels, scales = self._levels_and_scales(windows)
        return ((rows.values - levels) / scales).reshape(rows.shape)

    def _scaled_validation(self, params: dict[str, Any]) -> dict[str, Any]:
        """Scale windows and targets to validate on, by themselves."""
        scaled = {}
        for name, value in params.items():
            prefix, last = name[: -len("y_val")], name.split("__")[-1]
            if value is None or last not in ("X_val", "y_val"):
                continue
            X_val = value if last == "X_val" else params.get(f"{prefix}X_val")
            if X_val is None:
                raise ValueError(f"{name} needs {prefix}X_val, whose level and scale it has.")
            windows = self._read(X_val, f"{prefix}X_val", reset=False)
            if last == "X_val":
                scaled[name] = self._scaled_windows(windows)
            else:
                scaled[name] = self._scaled_targets(windows, value, name)
        return scaled

    def _scaled_windows(self, windows: np.ndarray) -> np.ndarray:
        """Take levels and scales out of the target channels; return what the regressor takes."""
        targets = windows[:, :, self.target_channels_]
        centered = self._normalization.centered(targets)
        scaled = windows[:, -centered.shape[1] :].copy()
        scales = self._window_scales(targets)
        scaled[:, :, self.target_channels_] = centered / scales
        return scaled.reshape(len(scaled), -1) if self._as_table else scaled

    def _levels_and_scales(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what was taken out of each value that follows: (n_windows, n_values), twice."""
        targets = windows[:, :, self.target_channels_]
        levels = self._normalization.levels(targets, self.horizon_)
        scales = self._window_scales(targets)
        scales = np.broadcast_to(scales, levels.shape)
        return levels.reshape(len(windows), -1), scales.reshape(len(windows), -1)

    def _window_scales(self, targets: np.ndarray) -> np.ndarray:
        """Return the scale of windows of the target channels: (n_windows, 1, n_targets)."""
        return self._normalization.scales(targets, self.learned_scale_)

    def _undone(self, predicted: np.ndarray, windows: np.ndarray) -> np.ndarray:
        """Put levels and scales back into predictions, whose second axis is that of y, if any."""
        levels, scales = self._levels_and_scales(windows)
        n_values = levels.shape[1]
        if n_values == 1:
            levels, scales = levels[:, 0], scales[:, 0]
        if predicted.shape[: levels.ndim] != levels.shape:
            raise ValueError(
                f"The regressor predicts an array of shape {predicted.shape} for {len(windows)} "
                f"windows, y has {n_values} values for each."
            )
        further = (1,) * (predicted.ndim - levels.ndim)
        return levels.reshape(*levels.shape, *further) + predicted * scales.reshape(
            *scales.shape, *further
        )
