"""How the defaults of GRURegressor were chosen: forecasts and other numbers from sequences.

Windows of the shipped series and of simulated ones, each split in the order of time; and numbers
that depend on a sequence's sum, largest value, ends or length. X and y are standardized in the same
way for all settings. Printed for each: R² on the test part, the root mean squared error relative to
the first settings (geometric mean over tasks and seeds), wins and losses of more than 2 %, and the
processor time relative to the first.

    python benchmarks/regression.py
    python benchmarks/regression.py --seeds 3 --tasks sunspots "CO2 changes"

About a quarter of an hour on one core.
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRURegressor
from skgru.datasets import load_co2, load_japanese_vowels, load_sunspots
from skgru.exceptions import GradientWarning
from skgru.forecasting import sliding_windows
from skgru.preprocessing import PerTimestep

BEFORE = dict(
    bidirectional=False,
    pooling="last",
    learning_rate="constant",
    learning_rate_init=0.01,
    warmup_updates=0,
    alpha=1e-4,
    max_iter=100,
)
COSINE = dict(BEFORE, learning_rate="cosine", warmup_updates=20)
CHOSEN = dict(COSINE, alpha=0.03)
CLASSIFIER = dict(
    COSINE, learning_rate_init=0.005, max_iter=200, bidirectional=True, pooling="mean"
)
SETTINGS = {
    "before": BEFORE,
    "alpha=0.1": dict(BEFORE, alpha=0.1),
    "cosine": COSINE,
    "chosen: cosine, alpha=0.03": CHOSEN,
    "chosen, alpha=0.01": dict(CHOSEN, alpha=0.01),
    "chosen, alpha=0.1": dict(CHOSEN, alpha=0.1),
    "chosen, learning_rate_init=0.005": dict(CHOSEN, learning_rate_init=0.005),
    "chosen, 200 epochs": dict(CHOSEN, max_iter=200),
    "chosen, 50 epochs": dict(CHOSEN, max_iter=50),
    "chosen, bidirectional": dict(CHOSEN, bidirectional=True),
    "chosen, attention": dict(CHOSEN, pooling="attention"),
    "chosen, mean": dict(CHOSEN, pooling="mean"),
    "chosen, dropout": dict(CHOSEN, dropout=0.2),
    "as GRUClassifier": CLASSIFIER,
}


def forecast(series, window, horizon, n_test, n_train=500):
    """Windows in the order of time; none to train on has a target in the test part."""
    X, y = sliding_windows(series, window, horizon)
    train = slice(max(len(X) - n_test - horizon + 1 - n_train, 0), len(X) - n_test - horizon + 1)
    return X[train], y[train], X[-n_test:], y[-n_test:]


def sunspots(horizon):
    return forecast(load_sunspots().series, 22, horizon, 80)


def co2():
    series = load_co2().series
    known = ~np.isnan(series)
    return np.interp(np.arange(len(series)), np.flatnonzero(known), series[known])


def co2_level():
    """Subtract the last value of each window, as the series has a trend."""
    X, y, X_test, y_test = forecast(co2()[-1100:], 52, 1, 300)
    return X - X[:, -1:], y - X[:, -1], X_test - X_test[:, -1:], y_test - X_test[:, -1]


def co2_changes():
    series = co2()
    return forecast((series[52:] - series[:-52])[-1000:], 26, 4, 250)


def autoregressive():
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(900)
    series = np.zeros(900)
    for t in range(3, 900):
        past = 0.6 * series[t - 1] - 0.3 * series[t - 2] + 0.3 * series[t - 3]
        series[t] = past + noise[t] + 0.5 * noise[t - 1]
    return forecast(series, 20, 1, 300)


def mackey_glass(n_train):
    delay = 17
    x = np.full(3 * n_train + 1000, 1.2)
    for t in range(delay, len(x) - 1):
        x[t + 1] = 0.9 * x[t] + 0.2 * x[t - delay] / (1 + x[t - delay] ** 10)
    series = x[300::3]
    noise = 0.02 * np.random.default_rng(0).standard_normal(len(series))
    return forecast(series + noise, 20, 4, 200, n_train)


def vowels(number):
    """Of a spoken vowel, what `number` makes of its channels: sequences and a number each."""
    X = load_japanese_vowels(subset="train", return_X_y=True)[0]
    X_test = load_japanese_vowels(subset="test", return_X_y=True)[0]
    parts = []
    for sequences in (X, X_test):
        seen, numbers = zip(*map(number, sequences), strict=True)
        parts += [list(seen), np.array(numbers)]
    return parts


def simulated(number):
    parts = []
    for n_samples, seed in ((400, 0), (1000, 1)):
        rng = np.random.default_rng(seed)
        X = [rng.standard_normal((rng.integers(5, 31), 2)) for _ in range(n_samples)]
        parts += [X, np.array([number(x) for x in X])]
    return parts


FORECASTS = {
    "sunspots": lambda: sunspots(1),
    "sunspots, 3 years": lambda: sunspots(3),
    "CO2": co2_level,
    "CO2 changes": co2_changes,
    "autoregressive": autoregressive,
    "Mackey-Glass": lambda: mackey_glass(480),
    "Mackey-Glass, 2,400 windows": lambda: mackey_glass(2400),
}
OTHERS = {
    "vowels, mean": lambda: vowels(lambda x: (x[:, :11], x[:, 11].mean())),
    "vowels, length": lambda: vowels(lambda x: (x, float(len(x)))),
    "vowels, next step": lambda: vowels(lambda x: (x[:-1, :6], x[-1, :2])),
    "sum": lambda: simulated(lambda x: x[:, 0].sum()),
    "largest": lambda: simulated(lambda x: x[:, 0].max()),
    "product at the end": lambda: simulated(lambda x: x[-1, 0] * x[-1, 1]),
}


def evaluate(settings, seed, task):
    """Return R², root mean squared error and processor time of a fit."""
    X, y, X_test, y_test = task
    model = TransformedTargetRegressor(
        make_pipeline(PerTimestep(StandardScaler()), GRURegressor(random_state=seed, **settings)),
        transformer=StandardScaler(),
    )
    start = time.process_time()
    model.fit(X, y)
    seconds = time.process_time() - start
    error = np.sqrt(np.mean((model.predict(X_test) - y_test) ** 2))
    return model.score(X_test, y_test), error, seconds


def summary(results, reference):
    """Compare the (n_fits, 3) results of some settings with those of the first."""
    ratios = np.log(results[:, 1:] / reference[:, 1:])
    error, seconds = np.exp(ratios.mean(axis=0))
    better, worse = (ratios[:, 0] < -0.02).sum(), (ratios[:, 0] > 0.02).sum()
    r2 = results[:, 0].mean()
    return f"R² {r2:6.3f}  error x{error:.3f}  +{better:2d} -{worse:2d}  time x{seconds:.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2, help="how many")
    parser.add_argument("--tasks", nargs="+", help="names; all by default")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", GradientWarning)
    kinds = {
        kind: {name: make() for name, make in tasks.items() if name in (args.tasks or tasks)}
        for kind, tasks in (("forecasts", FORECASTS), ("others", OTHERS))
    }
    reference = {}
    for name, settings in SETTINGS.items():
        line = []
        for kind, tasks in kinds.items():
            if not tasks:
                continue
            results = np.array(
                [
                    evaluate(settings, seed, task)
                    for task in tasks.values()
                    for seed in range(args.seeds)
                ]
            )
            line.append(f"{kind}: {summary(results, reference.setdefault(kind, results))}")
        print(f"{name:34} {'   '.join(line)}", flush=True)


if __name__ == "__main__":
    main()
