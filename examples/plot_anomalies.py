"""
How do I find anomalies without labels?
=======================================

A model of normal behaviour finds what is not normal: by the error of its forecasts, or by that
with which it reconstructs its input. This example tries both on the hourly electricity demand
of the state of Victoria from January to May 2012. The models learn from January to 12 March, the
threshold comes from the rest of March, and April and May are watched. There, three weekdays are
public holidays with unusual demand: Good Friday (6 April), Easter Monday (9 April) and Anzac Day
(25 April). Nothing tells the models about holidays.

The baselines are the deviation from the mean of the same hour of the week (a z-score), and an
isolation forest over windows of a day.

The file is from the tests of statsmodels. Its license is unknown, and it is not part of the
package. This example looks for `shared/data/forecasting` beside the repository and does nothing
without it.

:doc:`/anomalies` goes through the code step by step.
"""

# sphinx_gallery_thumbnail_path = 'images/card_anomalies.png'

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.dates import DateFormatter
from scipy.ndimage import uniform_filter1d
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score

from skgru import GRURegressor
from skgru.forecasting import sliding_windows

# sphinx-gallery does not define __file__, but runs each example in its folder
THIS = Path(globals().get("__file__", "plot_anomalies.py")).resolve()
FILE = THIS.parents[2] / "shared" / "data" / "forecasting" / "vic_electricity_hourly.csv"
if not FILE.is_file():
    print(f"Skipped: there is no {FILE}.")

DAY, N_SEEDS = 24, 3
HOLIDAYS = np.array(["2012-04-06", "2012-04-09", "2012-04-25"], dtype="datetime64[D]")

# %%
# Forecast error
# --------------
# The score of an hour is the absolute error of its forecast. A forecast of the next hour has seen
# the hour before: after the first hours of a holiday it forecasts a holiday. A forecast of a whole
# day, made at midnight, has not.


def forecast_errors(demand, calendar, n_train, *, horizon, random_state):
    """Return the error of every hour, forecast from a day and the calendar."""
    window = DAY
    X, y = sliding_windows(demand[:n_train], window, horizon, step=2, exog=calendar[:n_train])
    gru = GRURegressor(
        32, learning_rate="cosine", max_iter=30, n_iter_no_change=30, random_state=random_state
    ).fit(X, y)
    X, y = sliding_windows(demand, window, horizon, step=horizon, exog=calendar)
    errors = np.abs(y - gru.predict(X)).ravel()
    return np.concatenate([np.full(window, errors.mean()), errors])


# %%
# Reconstruction error
# --------------------
# An autoencoder is fitted to y = X. Its middle layer has three units in each direction. A window of
# one channel would pass through it unchanged, hence the calendar is in X, too: seven channels.


def reconstruction_errors(X, starts, learned, n_hours, *, random_state):
    """Return the error of every hour, averaged over the windows that hold it."""
    gru = GRURegressor(
        (16, 3, 16),
        bidirectional=True,
        return_sequences=True,
        learning_rate="cosine",
        max_iter=60,
        n_iter_no_change=60,
        random_state=random_state,
    ).fit(X[learned], X[learned])
    errors = np.abs(X - np.reshape(gru.predict(X), X.shape))[:, :, 0]
    return mean_over_windows(errors, starts, n_hours)


def mean_over_windows(scores, starts, n_hours):
    """Return the mean score of each hour over all windows that hold it."""
    total, count = np.zeros(n_hours), np.zeros(n_hours)
    for start, window in zip(starts, scores, strict=True):
        total[start : start + len(window)] += window
        count[start : start + len(window)] += 1
    return total / count


# %%
# Scores, smoothing and a threshold
# ---------------------------------
# One hour is noisy, a holiday is not: the scores are averaged over 24 hours around each hour. The
# threshold is the 99 % quantile in a part of March without holidays, which no model was fitted on.


def anomalies():
    table = np.genfromtxt(FILE, delimiter=",", skip_header=1, dtype=None, encoding="utf-8")
    hours = np.array([row[0] for row in table], dtype="datetime64[h]")
    megawatts = np.array([row[1] for row in table])
    days = hours.astype("datetime64[D]")
    learned = hours < np.datetime64("2012-03-13")
    watched = hours >= np.datetime64("2012-04-01")
    clean = ~learned & ~watched
    anomalous = np.isin(days, HOLIDAYS)
    n_hours, n_train = len(hours), learned.sum()

    demand = (megawatts - megawatts[learned].mean()) / megawatts[learned].std()
    hour, weekday = (hours - days).astype(int), (days.astype(int) + 3) % 7  # Monday is 0
    angle = 2 * np.pi * hour / DAY
    calendar = np.column_stack([
        np.sin(angle), np.cos(angle), weekday == 0, weekday == 4, weekday == 5, weekday == 6
    ]).astype(float)  # fmt: skip
    starts = np.arange(0, n_hours - DAY + 1, 6)
    windows = np.stack([
        np.column_stack([demand, calendar])[start : start + DAY] for start in starts
    ])  # fmt: skip
    in_training = starts + DAY <= n_train

    # The scores of each method, once for every seed if it has one
    scores = {
        f"forecast of the next {horizon} h": [
            forecast_errors(demand, calendar, n_train, horizon=horizon, random_state=seed)
            for seed in range(N_SEEDS)
        ]
        for horizon in (1, DAY)
    }
    scores["reconstruction"] = [
        reconstruction_errors(windows, starts, in_training, n_hours, random_state=seed)
        for seed in range(N_SEEDS)
    ]
    rows = windows.reshape(len(windows), -1)
    scores["isolation forest"] = []
    for seed in range(N_SEEDS):
        forest = IsolationForest(random_state=seed).fit(rows[in_training])
        of_windows = -forest.score_samples(rows)[:, np.newaxis]
        scores["isolation forest"].append(
            mean_over_windows(np.repeat(of_windows, DAY, axis=1), starts, n_hours)
        )
    slot = weekday * DAY + hour
    same_hour = [demand[learned & (slot == s)] for s in range(7 * DAY)]
    mean, std = (np.array([f(values) for values in same_hour])[slot] for f in (np.mean, np.std))
    scores["z-score by hour of the week"] = [np.abs(demand - mean) / std]

    smooth, thresholds = {}, {}
    print(f"{watched.sum():,} hours, {anomalous[watched].sum()} of them on holidays")
    print(f"{'mean over seeds':28}   AUC, smoothed, precision, alarms: holidays, other hours")
    for name, raw in scores.items():
        smooth[name] = [uniform_filter1d(score, DAY) for score in raw]
        thresholds[name] = [np.quantile(score[clean], 0.99) for score in smooth[name]]
        alarms = [s > t for s, t in zip(smooth[name], thresholds[name], strict=True)]
        label = anomalous[watched]
        figures = [
            np.mean([metric(label, score[watched]) for score in list_of_scores])
            for metric, list_of_scores in (
                (roc_auc_score, raw),
                (roc_auc_score, smooth[name]),
                (average_precision_score, smooth[name]),
            )
        ]
        found = np.mean([alarm[watched & anomalous].mean() for alarm in alarms])
        false = np.mean([alarm[watched & ~anomalous].mean() for alarm in alarms])
        print(
            f"{name:28} {figures[0]:5.2f} {figures[1]:9.2f} {figures[2]:10.2f} {found:17.0%} "
            f"{false:12.0%}"
        )

    shown = ["forecast of the next 24 h", "reconstruction", "z-score by hour of the week"]
    figure, axes = plt.subplots(1 + len(shown), figsize=(10, 8), sharex=True, layout="constrained")
    part = hours >= np.datetime64("2012-03-20")
    axes[0].plot(hours[part], megawatts[part] / 1e3, color="0.3", linewidth=0.8)
    axes[0].set_ylabel("demand in GW")
    for panel, name in zip(axes[1:], shown, strict=True):
        panel.plot(hours[part], smooth[name][0][part], label=name)
        panel.axhline(thresholds[name][0], color="0.3", linestyle=":", label="threshold")
        panel.set_ylabel("smoothed score")
        panel.set_ylim(top=1.3 * panel.get_ylim()[1])  # for the legend
        panel.legend(loc="upper right", ncols=2)
    for panel in axes:
        for holiday in HOLIDAYS:
            panel.axvspan(holiday, holiday + 1, color="0.85", zorder=0)
        panel.axvline(np.datetime64("2012-04-01"), color="0.6", linestyle="--", linewidth=1)
    axes[0].set_title("grey: public holidays; after the dashed line: the watched months")
    axes[-1].xaxis.set_major_formatter(DateFormatter("%-d %b"))
    axes[-1].set_xlim(hours[part][0], hours[-1])
    figure.savefig("anomalies.png", dpi=100)


if FILE.is_file():
    anomalies()
