"""Origins: rolling origins in the last part of series, and a training set of the part before."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skgru.forecasting.known import Known
from skgru.forecasting.recursive import recursive_forecast
from skgru.forecasting.series import TimeSeries
from skgru.forecasting.times import pandas
from skgru.forecasting.windows import sliding_windows

MAX_ORIGINS = 2000


@dataclass(frozen=True, eq=False)
class Origins:
    """Windows in the last part of series, what follows them, and windows of the part before.

    Attributes
    ----------
    train : tuple of ndarray
        X and y of the part before.
    windows : ndarray of shape (n_origins, window, n_channels)
    futures : ndarray of shape (n_origins, horizon, n_channels)
        What follows them.
    exog : ndarray of shape (n_origins, window + horizon, n_exog) or None
        Beside both.
    units : ndarray of shape (n_origins, 1, n_channels)
        Mean absolute change over a season, in the part before of the same series; over a time
        step where that part is no longer than a season.
    fitted_horizon : int
        Time steps that a regressor predicts at once.
    """

    train: tuple[np.ndarray, np.ndarray]
    windows: np.ndarray
    futures: np.ndarray
    exog: np.ndarray | None
    units: np.ndarray
    fitted_horizon: int

    @classmethod
    def of(
        cls,
        several: list[TimeSeries],
        known: Known | None,
        *,
        window: int,
        horizon: int,
        fitted_horizon: int,
        season_length: int,
        share: float,
        freq: Any,
    ) -> "Origins":
        """Hold out the last part of each series that is long enough, gaps left out.

        Parameters
        ----------
        several : list of TimeSeries
        known : Known or None
            What is known in advance of them.
        window, horizon, fitted_horizon, season_length : int
        share : float
            Of a series, to hold out; at least `horizon` steps.
        freq : str, offset, int or None

        Raises
        ------
        ValueError
            If no series is long enough.
        """
        before, beside, parts, units = [], [], [], []
        for i, one in enumerate(several):
            values = one.values.reshape(len(one), -1)
            its_known = None if known is None else known.beside(i, one, None, 0)
            # of short series more: as many origins as steps, where a third of it has them
            n_held = max(round(share * len(one)), min(2 * horizon, len(one) // 3), horizon)
            cut = len(one) - n_held
            times = one.checked_times(freq)
            stretches = [slice(0, len(one))] if times is None else times.stretches()
            is_long = all(
                max(min(s.stop, stop) - max(s.start, start) for s in stretches) >= window + horizon
                for start, stop in ((0, cut), (cut - window, len(one)))
            )
            cut = cut if is_long else len(one)
            before.append(_container(one.values[:cut], one, slice(cut)))
            beside.append(None if known is None else its_known[:cut])
            if not is_long:
                continue
            together = values if known is None else np.hstack([values, its_known])
            rows = slice(cut - window, None)
            seen, follow = sliding_windows(
                _container(together[rows], one, rows), window, horizon, freq=freq
            )
            parts.append((seen.reshape(len(seen), window, -1),
                          follow.reshape(len(seen), horizon, -1)))  # fmt: skip
            lag = season_length if season_length < cut else 1
            unit = np.abs(values[lag:cut] - values[: cut - lag]).mean(axis=0)
            units.append(np.tile(np.where(unit > 0, unit, 1.0), (len(seen), 1)))
        if not parts:
            shortest = round(max((window + horizon) / (1 - share), window + 2 * horizon)) + 1
            raise ValueError(
                f"All series are too short to hold out {share:.0%} with window={window} and "
                f"horizon={horizon}: about {shortest} time steps are needed, {window + horizon} of "
                "them without a gap in either part. Choose a smaller window or horizon; or "
                "holdout=0, without intervals."
            )
        seen, follow = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        n_channels = units[0].shape[1]
        rows = np.linspace(0, len(seen) - 1, min(len(seen), MAX_ORIGINS)).astype(int)
        both = np.concatenate([seen[rows], follow[rows]], axis=1)
        single = len(before) == 1
        return cls(
            sliding_windows(
                before[0] if single else before,
                window,
                fitted_horizon,
                exog=None if known is None else (beside[0] if single else beside),
                freq=freq,
            ),
            both[:, :window, :n_channels],
            both[:, window:, :n_channels],
            None if known is None else both[:, :, n_channels:],
            np.concatenate(units)[rows][:, np.newaxis],
            fitted_horizon,
        )

    def missed(self, model: Any) -> np.ndarray:
        """Return what follows the windows, minus forecasts: (n_origins, horizon, n_channels)."""
        n_steps = self.futures.shape[1]
        forecast = recursive_forecast(
            model, self.windows, n_steps, horizon=self.fitted_horizon, exog=self.exog
        )
        return self.futures - forecast

    def relative_error(self, missed: np.ndarray) -> float:
        """Return the mean absolute error in units of the change over a season."""
        return float(np.mean(np.abs(missed) / self.units))


def _container(values: np.ndarray, one: TimeSeries, rows: slice) -> Any:
    """Return values with the time stamps of a series, if it has some."""
    if one.index is None:
        return values
    pd = pandas()
    make = pd.Series if values.ndim == 1 else pd.DataFrame
    return make(values, index=one.index[rows])
