"""What `WindowForecaster` chooses: the regressors, what is around them, and the window."""

from typing import Any

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import get_tags

from skgru.forecasting.averaged import WindowScaledAverage
from skgru.forecasting.predictions import innermost
from skgru.forecasting.scaled_target import ScaledTargetRegressor
from skgru.forecasting.window_scaled import WindowScaledRegressor
from skgru.preprocessing import PerTimestep
from skgru.regressor import GRURegressor

MAX_WINDOW = 104  # two years of weeks


def usual_window(season: int | None, n_timesteps: int, horizon: int) -> int:
    """Return three seasons, or fewer steps if the series is short.

    Parameters
    ----------
    season : int or None
    n_timesteps : int
        Of the shortest series.
    horizon : int
    """
    longest = (round(0.8 * n_timesteps) - 2 * horizon) // 2
    return max(min(3 * season if season else 24, MAX_WINDOW, longest), 1)


def default_regressors(n_windows: int, random_state: Any) -> list:
    """Return a network and a linear regression, whose forecasts are averaged.

    The network is behind scaled channels and targets, and fitted to absolute errors.

    Parameters
    ----------
    n_windows : int
        The more there are, the less penalty the weights need.
    random_state : int, RandomState instance or None
    """
    gru = GRURegressor(
        32,
        loss="absolute_error",
        alpha=0.03 * min(1, 500 / n_windows),
        max_iter=40,
        random_state=random_state,
    )
    network = ScaledTargetRegressor(make_pipeline(PerTimestep(StandardScaler()), gru))
    return [network, RidgeCV(np.logspace(-3, 3, 7))]


def around_windows(
    regressors: list,
    X: np.ndarray,
    y: np.ndarray,
    *,
    centers: list[str | None],
    scale: str | None,
    season_length: int,
    n_targets: int,
    weights: np.ndarray | None = None,
) -> WindowScaledRegressor | WindowScaledAverage:
    """Put what regressors need for these windows around them.

    Parameters
    ----------
    regressors : list of estimators
    X, y : ndarray
        As `sliding_windows` returns them.
    centers : list of str or None
        As of `WindowScaledRegressor`.
    scale, season_length
        As of `WindowScaledRegressor`.
    n_targets : int
        The first channels of X, which y holds.
    weights : ndarray or None
        Of each regressor with each center, if there are several.

    Returns
    -------
    WindowScaledRegressor or WindowScaledAverage
        The latter if there are several: of each regressor with each center.
    """
    normalized = {"scale": scale, "season_length": season_length}
    normalized["target_channels"] = list(range(n_targets))
    several = [
        WindowScaledRegressor(regressor, center=center, flatten=flatten, **normalized)
        for regressor, flatten in (_for_windows(one, X, y) for one in regressors)
        for center in centers
    ]
    return several[0] if len(several) == 1 else WindowScaledAverage(several, weights)


def _for_windows(regressor: Any, X: np.ndarray, y: np.ndarray) -> tuple[Any, bool]:
    """Return a regressor of all outputs, and whether windows are to be flattened for it."""
    if y.ndim == 2 and not get_tags(innermost(regressor)).target_tags.multi_output:
        regressor = MultiOutputRegressor(regressor)
    return regressor, X.ndim == 3 and not _takes_channels(regressor)


def _takes_channels(estimator: Any) -> bool:
    """Return whether what gets X first takes three dimensions."""
    while True:
        if isinstance(estimator, Pipeline):
            steps = [step for _, step in estimator.steps if step not in (None, "passthrough")]
            estimator = steps[0] if steps else None
        elif hasattr(estimator, "regressor"):
            estimator = estimator.regressor
        elif hasattr(estimator, "estimator") and hasattr(estimator.estimator, "fit"):
            estimator = estimator.estimator
        else:
            break
    if isinstance(estimator, FunctionTransformer):
        return not estimator.validate
    return get_tags(estimator).input_tags.three_d_array
