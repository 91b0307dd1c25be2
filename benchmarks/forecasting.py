"""Forecasts by the default recipe of WindowForecaster beside baselines and other regressors.

Five real series and a simulated panel, errors as MASE: relative to the mean absolute change over a
season in the training part. Every forecast is of a season, from rolling origins a season apart at
the end of the series, with a fit for each; WindowForecaster has three seeds. Nothing is tuned by
series, and the recipe was chosen on others (forecasting_recipe.py). LightGBM and Ridge, if they
are scaled, and PyTorch's GRU are the regressor of a WindowForecaster: they have the same windows,
levels and scales. PyTorch's GRU has the units, the loss and the epochs of the default network, and
Adam's constant rate. Airline and El Niño come with statsmodels; electricity is read from a folder
of your own.

    pip install statsmodels lightgbm torch
    python benchmarks/forecasting.py
    python benchmarks/forecasting.py --coverage
    python benchmarks/forecasting.py --origins 8 --series airline sunspots --panel 0

About an hour on one core, most of it for LightGBM, which is fitted for each step, and for PyTorch.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from lightgbm import LGBMRegressor
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import RidgeCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from statsmodels.datasets import elnino
from statsmodels.tsa.holtwinters import ExponentialSmoothing
from statsmodels.tsa.statespace.tests.results.results_sarimax import air2_stationary

from skgru.datasets import load_co2, load_sunspots
from skgru.forecasting import (
    ScaledTargetRegressor,
    WindowForecaster,
    backtest,
    sliding_windows,
)
from skgru.forecasting.recipe import usual_window
from skgru.preprocessing import PerTimestep

ELECTRICITY = "forecasting/vic_electricity_hourly.csv"
SHARED = Path(__file__).parents[2] / "shared" / "data"


def all_series(folder):
    """Series with their time stamps, steps in a season, and time features."""
    weekly = pd.Series(load_co2().series).interpolate().to_numpy()
    temperatures = elnino.load_pandas().data.drop(columns="YEAR").to_numpy(float).ravel()
    found = {
        "airline": (np.array(air2_stationary["data"], float), "MS", "1949-01-01", 12, None),
        "CO2": (weekly, "W", "1958-03-29", 52, None),
        "El Niño": (temperatures, "MS", "1950-01-01", 12, None),
        "sunspots": (load_sunspots().series.astype(float), "YS", "1700-01-01", 11, None),
    }
    if (folder / ELECTRICITY).exists():
        demand = pd.read_csv(folder / ELECTRICITY)["y"].to_numpy()
        found["electricity"] = (demand, "h", "2012-01-01", 24, ("hour", "weekday"))
    return {
        name: (pd.Series(v, index=pd.date_range(start, periods=len(v), freq=freq)), season, names)
        for name, (v, freq, start, season, names) in found.items()
    }


def last(past, season, names):
    return np.full(season, past.iloc[-1])


def seasonal(past, season, names):
    return past.to_numpy()[-season:]


def drift(past, season, names):
    slope = (past.iloc[-1] - past.iloc[0]) / (len(past) - 1)
    return past.iloc[-1] + slope * np.arange(1, season + 1)


def holt_winters(past, season, names):
    model = ExponentialSmoothing(
        past.to_numpy(), trend="add", damped_trend=True, seasonal="add", seasonal_periods=season
    )
    return model.fit().forecast(season)


def lightgbm():
    return LGBMRegressor(n_estimators=50, min_child_samples=5, max_bin=63, verbose=-1, n_jobs=1)


def raw(past, season, names):
    """LightGBM on the lags as they are."""
    window = usual_window(season, len(past), season)
    X, y = sliding_windows(past.to_numpy(), window, season)
    model = MultiOutputRegressor(lightgbm()).fit(X, y)
    return model.predict(past.to_numpy()[np.newaxis, -window:])[0]


class TorchGRU(RegressorMixin, BaseEstimator):
    """PyTorch's GRU and a linear layer on its last state, trained with Adam."""

    def __init__(self, seed=0, n_units=32, n_epochs=40, batch_size=32, learning_rate=0.01):
        self.seed = seed
        self.n_units = n_units
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate

    def fit(self, X, y):  # noqa: D102
        torch.manual_seed(self.seed)
        X, y = self._tensor(X), torch.as_tensor(y.reshape(len(y), -1), dtype=torch.float32)
        self.gru_ = torch.nn.GRU(X.shape[2], self.n_units, batch_first=True)
        self.head_ = torch.nn.Linear(self.n_units, y.shape[1])
        parameters = [*self.gru_.parameters(), *self.head_.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=self.learning_rate)
        for _ in range(self.n_epochs):
            for rows in torch.randperm(len(X)).split(self.batch_size):
                optimizer.zero_grad()
                torch.nn.functional.l1_loss(self._forward(X[rows]), y[rows]).backward()
                optimizer.step()
        return self

    def predict(self, X):  # noqa: D102
        with torch.no_grad():
            return self._forward(self._tensor(X)).numpy().astype(float)

    def _forward(self, X):
        return self.head_(self.gru_(X)[0][:, -1])

    def _tensor(self, X):
        X = torch.as_tensor(np.asarray(X), dtype=torch.float32)
        return X[:, :, None] if X.ndim == 2 else X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = tags.target_tags.multi_output = True
        return tags


def pytorch(seed):
    gru = make_pipeline(PerTimestep(StandardScaler()), TorchGRU(seed))
    return forecaster(ScaledTargetRegressor(gru))


def forecaster(regressor, seed=None, center="average"):
    def forecast(past, season, names):
        model = WindowForecaster(
            regressor, season_length=season, horizon=season, time_features=names, center=center,
            random_state=seed,
        )  # fmt: skip
        return model.fit(past).predict()

    return forecast


METHODS = {
    "last": last,
    "seasonal": seasonal,
    "drift": drift,
    "Holt-Winters": holt_winters,
    "LightGBM": raw,
    "LightGBM scaled": forecaster(lightgbm()),
    "LightGBM auto": forecaster(lightgbm(), center="auto"),
    "Ridge scaled": forecaster(RidgeCV(np.logspace(-3, 3, 7))),
    **{f"PyTorch {seed}": pytorch(seed) for seed in range(3)},
    **{f"skgru {seed}": forecaster(None, seed) for seed in range(3)},
}


def mase(missed, past, season):
    return np.abs(missed).mean() / np.abs(past[season:] - past[:-season]).mean()


def rolling(series, season, names, n_origins, methods):
    """Mean error of each method, and its seconds per fit."""
    errors, seconds = {}, {}
    for name, method in methods.items():
        start = time.perf_counter()
        errors[name] = []
        for i in range(n_origins, 0, -1):
            origin = len(series) - i * season
            past, future = series[:origin], series.to_numpy()[origin : origin + season]
            missed = np.asarray(method(past, season, names)) - future
            errors[name].append(mase(missed, past.to_numpy(), season))
        seconds[name] = (time.perf_counter() - start) / n_origins
    return {name: np.mean(e) for name, e in errors.items()}, seconds


def coverage(series, season, names, n_origins=70):
    """Return the share within intervals of 80 %, and the number of origins in the last 30 %."""
    initial = round(0.7 * len(series))
    model = WindowForecaster(
        season_length=season, horizon=season, time_features=names, random_state=0
    )
    results = backtest(
        model, series, initial=initial, horizon=season, refit=False, level=0.8, metrics="coverage",
        step=max(1, (len(series) - initial - season) // n_origins), baselines=False,
    )  # fmt: skip
    return results.errors()["coverage"][0], len(results.values_of("origin"))


def panel(n_series, n_timesteps=120, season=12):
    """Series of levels 1 to 1e6 with trends, seasons and noise."""
    rng = np.random.default_rng(0)
    steps, made = np.arange(n_timesteps), []
    for level in 10 ** rng.uniform(0, 6, n_series):
        trend = rng.uniform(-0.3, 1.0) * steps / n_timesteps
        phase, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.3)
        wave = size * np.sin(2 * np.pi * steps / season + phase)
        made.append(level * (1 + trend + wave + 0.05 * rng.normal(size=n_timesteps)))
    return made


def global_model(n_series, season=12):
    """MASE of one model of a panel and of the seasonal naive forecast; processor time."""
    series = panel(n_series)
    past, future = [s[:-season] for s in series], [s[-season:] for s in series]
    model = WindowForecaster(season_length=season, horizon=season, random_state=0)
    start = time.process_time()
    forecasts = model.fit(past).predict()
    seconds = time.process_time() - start
    errors = [
        (mase(f - p, q, season), mase(q[-season:] - p, q, season))
        for f, p, q in zip(forecasts, future, past, strict=True)
    ]
    return (*np.mean(errors, axis=0), seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--origins", type=int, default=3)
    parser.add_argument("--series", nargs="+")
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--coverage", action="store_true", help="of intervals, instead of errors")
    parser.add_argument("--panel", type=int, default=100, help="number of series; 0 leaves it out")
    parser.add_argument("--data", type=Path, default=SHARED, help=f"folder with {ELECTRICITY}")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    methods = {name: METHODS[name] for name in options.methods}
    if not options.coverage:
        print(" " * 11 + " ".join(f"{name:>15}" for name in methods))
    for name, (series, season, names) in all_series(options.data).items():
        if options.series and name not in options.series:
            continue
        if options.coverage:
            print("{}: {:.1%} of {} origins".format(name, *coverage(series, season, names)))
            continue
        errors, seconds = rolling(series, season, names, options.origins, methods)
        print(f"{name:11}" + " ".join(f"{e:15.2f}" for e in errors.values()), flush=True)
        print(" " * 9 + "s " + " ".join(f"{s:15.2f}" for s in seconds.values()), flush=True)
    if options.panel and not options.coverage:
        for n_series in (options.panel, 10 * options.panel):
            error, naive, seconds = global_model(n_series)
            print(f"{n_series} series: MASE {error:.2f}, seasonal naive {naive:.2f}, ratio "
                  f"{error / naive:.2f}; processor time {seconds:.1f} s", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
