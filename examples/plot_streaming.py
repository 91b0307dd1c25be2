"""
How do I raise an alarm as data come in? Hourly electricity demand
==================================================================

`stream` returns an object that predicts after every time step, at a cost that does not depend on
the number of steps before. This example reads the hourly electricity demand of the state of
Victoria from January to May 2012 and forecasts the next hour. The model is trained on January,
February and March. In April and May, hours with a large error raise an alarm.

In these two months, three weekdays are public holidays with unusual demand: Good Friday (6 April),
Easter Monday (9 April) and Anzac Day (25 April). The model knows the hour and the day of the week,
but not the holidays. Do the alarms find them?

The file is from the tests of statsmodels. Its license is unknown, and it is not part of the
package. This example looks for `shared/data/forecasting` beside the repository and does nothing
without it.

:doc:`/streaming` is the guide to it.
"""

# sphinx_gallery_thumbnail_path = 'images/card_streaming.png'

import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.dates import DateFormatter
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import average_precision_score

from skgru import GRURegressor

# sphinx-gallery does not define __file__, but runs each example in its folder
THIS = Path(globals().get("__file__", "plot_streaming.py")).resolve()
FILE = THIS.parents[2] / "shared" / "data" / "forecasting" / "vic_electricity_hourly.csv"
if not FILE.is_file():
    print(f"Skipped: there is no {FILE}.")

# %%
# Inputs
# ------
# The inputs for an hour are the last value, the values one day and one week before that hour, the
# changes at these times, the hour and the weekday. The target is the change of demand. Only 169
# past values must be stored: the state of the network summarizes the rest.
DAY, WEEK = 24, 7 * 24
HOLIDAYS = np.array(["2012-04-06", "2012-04-09", "2012-04-25"], dtype="datetime64[D]")


def calendar(hour):
    """Return hour of the day and day of the week (Monday is 0) of a datetime64[h]."""
    day = hour.astype("datetime64[D]")
    return (hour - day).astype(int), (day.astype(int) + 3) % 7


def inputs(past, coming):
    """Return the inputs for the hour `coming`, given the values before it."""
    hour, weekday = calendar(coming)
    angle = 2 * np.pi * hour / 24
    return np.array([
        past[-1], past[-DAY], past[-WEEK], past[-DAY] - past[-DAY - 1],
        past[-WEEK] - past[-WEEK - 1],
        np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle),
        weekday == 5, weekday == 6, weekday == 0, weekday == 4,
    ])  # fmt: skip


# %%
# Training and streaming
# ----------------------
# The training months are split into overlapping weeks with a target at every hour. Of 16, 32 and 64
# units and dropout of 0, 0.2 and 0.4, 64 units without dropout had the lowest error in the last
# three weeks of March, after training on the weeks before.


def fit(X, y, random_state):
    starts = range(0, len(X) - WEEK + 1, DAY // 2)
    return GRURegressor(
        64,
        return_sequences=True,
        loss="huber",
        solver="adamw",
        alpha=0.1,
        learning_rate="cosine",
        max_iter=30,
        n_iter_no_change=30,
        random_state=random_state,
        n_jobs=2,
    ).fit([X[i : i + WEEK] for i in starts], [y[i : i + WEEK] for i in starts])


def run_stream(gru, demand, hours):
    """Forecast every hour in a stream; return the forecasts and the microseconds per step."""
    stream = gru.stream()
    forecast, microseconds = np.full(len(demand), np.nan), []
    for t in range(WEEK + 1, len(demand)):
        x_t = inputs(demand[t - WEEK - 1 : t], hours[t])
        start = time.perf_counter_ns()
        change = stream.step(x_t)
        microseconds.append((time.perf_counter_ns() - start) / 1e3)
        forecast[t] = demand[t - 1] + change
    return forecast, microseconds


def electricity_demand():
    table = np.genfromtxt(FILE, delimiter=",", skip_header=1, dtype=None, encoding="utf-8")
    hours = np.array([row[0] for row in table], dtype="datetime64[h]")
    megawatts = np.array([row[1] for row in table])
    days = hours.astype("datetime64[D]")
    training = hours < np.datetime64("2012-04-01")
    first = WEEK + 1  # first hour with complete inputs
    unit = megawatts[training].std()
    demand = (megawatts - megawatts[training].mean()) / unit
    X = np.array([inputs(demand[:t], hours[t]) for t in range(first, len(demand))])
    y = np.diff(demand)[first - 1 :]
    known = training[first:]

    models = [fit(X[known], y[known], seed) for seed in range(3)]
    forecast, microseconds = run_stream(models[0], demand, hours)
    median, p99 = np.percentile(microseconds, [50, 99])
    print(f"{len(microseconds):,} steps: median {median:.1f} µs, 99th percentile {p99:.1f} µs")

    # Two baselines: the change one week before, and boosted trees with default parameters, which
    # get hour and weekday as numbers.
    table = np.column_stack([X[:, :5], *calendar(hours[first:])])
    trees = HistGradientBoostingRegressor(random_state=0).fit(table[known], y[known])
    changes = {
        "change one week before": X[:, 4],
        "boosted trees": trees.predict(table),
        **{f"GRU, random_state={i}": gru.predict([X])[0] for i, gru in enumerate(models)},
    }
    np.testing.assert_allclose(  # streaming and predict give equal results
        demand[first - 1 : -1] + changes["GRU, random_state=0"], forecast[first:], atol=1e-6
    )

    # Rank the days by the largest error of their hours.
    watched = np.unique(days[~training])
    weekday_holiday = np.isin(watched, HOLIDAYS)
    print(f"April and May, {len(watched)} days, {len(HOLIDAYS)} of them holidays; error in MW")
    worst = {}
    for name, change in changes.items():
        error = np.abs(y - change) * unit
        worst[name] = np.array([error[days[first:] == day].max() for day in watched])
        ranks = np.sort(1 + np.argsort(np.argsort(-worst[name]))[weekday_holiday])
        print(
            f"  {name:24} mean error {error[~known].mean():4.0f}   ranks of the holidays "
            f"{', '.join(map(str, ranks)):12} by largest error, average precision "
            f"{average_precision_score(weekday_holiday, worst[name]):.2f}"
        )

    # An alarm is an error above the 99.9 % quantile of the errors in the training months.
    error = np.abs(demand - forecast) * unit
    threshold = np.quantile(error[first:][known], 0.999)
    alarms = (error > threshold) & ~training
    print(f"alarms over {threshold:.0f} MW:", *hours[alarms])

    figure, axes = plt.subplots(2, figsize=(11, 7), layout="constrained")
    shown = (days >= HOLIDAYS[0] - 2) & (days <= HOLIDAYS[1] + 2)
    draw_hours(
        axes[0],
        hours[shown],
        megawatts[shown] / 1e3,
        (forecast[shown] * unit + megawatts[training].mean()) / 1e3,
        alarms[shown],
    )
    draw_days(axes[1], watched, worst, weekday_holiday, threshold)
    figure.savefig("streaming.png", dpi=100)


def draw_hours(axes, hours, gigawatts, forecast, alarms):
    axes.plot(hours, gigawatts, color="black", label="demand")
    dashes = dict(color="tab:orange", linestyle=(0, (3, 1)))
    axes.plot(hours, forecast, label="forecast of the GRU one hour before", **dashes)
    axes.plot(hours[alarms], gigawatts[alarms], "v", color="tab:red", markersize=9, label="alarm")
    axes.set(ylabel="demand in GW", xlim=(hours[0], hours[-1]), ylim=(5, 12.2))
    for day, name in zip(HOLIDAYS[:2], ("Good Friday", "Easter Monday"), strict=True):
        axes.axvspan(day, day + 1, color="0.9", zorder=0)
        axes.text(day + np.timedelta64(12, "h"), 12, name, ha="center", va="top")
    axes.xaxis.set_major_formatter(DateFormatter("%a %-d %b"))
    axes.legend(loc="lower center", ncols=3)


def draw_days(axes, days, worst, is_holiday, threshold):
    gru = worst["GRU, random_state=0"]
    axes.bar(days[~is_holiday], gru[~is_holiday], color="0.8", label="GRU")
    axes.bar(
        days[is_holiday], gru[is_holiday], color="tab:blue", hatch="//", edgecolor="black",
        label="GRU, public holidays",
    )  # fmt: skip
    axes.plot(days, worst["boosted trees"], "x", color="black", markersize=5, label="boosted trees")
    axes.axhline(threshold, color="black", linestyle=":", label="alarm")
    axes.set(
        ylabel="largest error of the day in MW", ylim=(0, 1400),
        xlim=(days[0] - 1, days[-1] + 1),
    )  # fmt: skip
    axes.xaxis.set_major_formatter(DateFormatter("%a %-d %b"))
    axes.legend(ncols=4, loc="upper right")


if FILE.is_file():
    electricity_demand()
