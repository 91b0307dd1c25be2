"""Levels and scales of windows: what is taken out of windows, and put back into what follows."""

from dataclasses import dataclass

import numpy as np

CENTERS = ("last", "mean", "season")


@dataclass(frozen=True)
class Normalization:
    """How windows are normalized.

    Windows are arrays of shape (n_windows, window, n_targets) in this file, and levels and scales
    are of shape (n_windows, horizon, n_targets): one for each number that is forecast.

    Attributes
    ----------
    center : {"last", "mean", "season"} or None
        The level.
    scale : {"window", "series"} or None
        Root mean square of what is left without the level.
    season_length : int or None
        Time steps of a season, for `center="season"`.
    """

    center: str | None
    scale: str | None
    season_length: int | None

    def check_length(self, window: int, name: str) -> None:
        """Raise ValueError if windows are too short for seasonal differences."""
        if self.center == "season" and window <= self.season_length:
            raise ValueError(
                f"{name} has windows of {window} time steps; center='season' needs more than "
                f"season_length={self.season_length}, which is what differences leave out."
            )

    def centered(self, windows: np.ndarray) -> np.ndarray:
        """Take the level out of windows; differences make them a season shorter."""
        if self.center == "season":
            return windows[:, self.season_length :] - windows[:, : -self.season_length]
        return windows if self.center is None else windows - self.levels(windows, 1)

    def levels(self, windows: np.ndarray, horizon: int) -> np.ndarray:
        """Return the level of each time step after windows."""
        if self.center == "season":
            # the same season before, which is that of the newest season observed
            ahead = np.arange(horizon) % self.season_length
            return windows[:, windows.shape[1] - self.season_length + ahead]
        if self.center is None:
            level = np.zeros_like(windows[:, :1])
        else:
            level = windows[:, -1:] if self.center == "last" else windows.mean(1, keepdims=True)
        return np.repeat(level, horizon, axis=1)

    def learn(self, windows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Learn from training windows what `scales` needs.

        Parameters
        ----------
        windows : ndarray
        weights : ndarray of shape (n_windows,)
            Windows of weight 0 count for nothing.

        Returns
        -------
        ndarray of shape (n_targets,), (2, n_targets) or (0,)
            The scale of the series; or the smallest scale of windows that are not constant,
            as it is and relative to the mean absolute value of the window; or nothing.
        """
        if self.scale is None:
            return np.zeros(0)
        windows, weights = windows[weights > 0], weights[weights > 0]
        centered = self.centered(windows)
        if self.scale == "series":
            (scale,) = _root_mean_square(_root_mean_square(centered)[np.newaxis], weights)
            return np.where(scale > _rounding(windows).max(axis=0), scale, 1.0)
        scale, size = _root_mean_square(centered), np.abs(windows).mean(axis=1)
        varies = scale > _rounding(windows)
        smallest = np.where(varies, scale, np.inf).min(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = np.where(varies, scale / size, np.inf).min(axis=0)
        some = varies.any(axis=0)
        return np.stack([np.where(some, smallest, 1.0), np.where(some, relative, 1.0)])

    def scales(self, windows: np.ndarray, learned: np.ndarray) -> np.ndarray:
        """Return the scale of each window: (n_windows, 1, n_targets)."""
        if self.scale is None:
            return np.ones((len(windows), 1, windows.shape[2]))
        if self.scale == "series":
            return np.broadcast_to(learned, (len(windows), 1, windows.shape[2]))
        scale = _root_mean_square(self.centered(windows))
        smallest, relative = learned
        floor = relative * np.abs(windows).mean(axis=1)
        floor = np.where(floor > 0, floor, smallest)
        # of constant windows only: any other floor would depend on the level
        return np.where(scale > _rounding(windows), scale, floor)[:, np.newaxis]


def _root_mean_square(values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return that of each window and target, over the second axis: (n_windows, n_targets)."""
    # of the largest value, whose square might not be finite
    largest = np.abs(values).max(axis=1, keepdims=True)
    unit = np.where(largest > 0, largest, 1.0)
    return unit[:, 0] * np.sqrt(np.average((values / unit) ** 2, axis=1, weights=weights))


def _rounding(windows: np.ndarray) -> np.ndarray:
    """Return below which a scale is rounding: (n_windows, n_targets)."""
    return 8 * np.finfo(windows.dtype).eps * np.abs(windows).max(axis=1)
