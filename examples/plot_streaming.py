"""
A forecast every hour, and an alarm when it fails: electricity demand as it comes in
====================================================================================

`stream` makes of a fitted model one that takes a time step and answers at once, at the same cost
after a year as on the first day. Here it reads the electricity demand of the state of Victoria an
hour at a time, from January to May 2012, and says what the next hour will be. It learns from
January, February and March; in April and May, hours that it is very wrong about raise an alarm.

Three weekdays of these two months are public holidays, on which demand is not what it is on a
weekday: Good Friday (6 April), Easter Monday (9 April) and Anzac Day (25 April). The model is told
the hour and the day of the week, but not of holidays: will they be found?

The file came with the tests of statsmodels; its licence is not known to us, so that it does not
come with the package: this example looks for `shared/data/forecasting` beside the repository, and
does nothing without it.
"""

import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.dates import DateFormatter
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import average_precision_score

from skgru import GRURegressor

# sphinx-gallery knows no __file__, but runs an example in its own folder
THIS = Path(globals().get("__file__", "plot_streaming.py")).resolve()
FILE = THIS.parents[2] / "shared" / "data" / "forecasting" / "vic_electricity_hourly.csv"
if not FILE.is_file():
    print(f"The demand is not in {FILE}: nothing to show.")

# %%
# What is known before an hour
# ----------------------------
# The last reading, those of a day and of a week before the hour to come, how demand changed then,
# and hour and weekday. The target is how much demand changes. 169 readings are all that has to be
# kept: the rest of the past is in the state.
DAY, WEEK = 24, 7 * 24
HOLIDAYS = np.array(["2012-04-06", "2012-04-09", "2012-04-25"], dtype="datetime64[D]")


def calendar(hour):
    """Split a datetime64[h] into hour of the day and day of the week, Monday 0."""
    day = hour.astype("datetime64[D]")
    return (hour - day).astype(int), (day.astype(int) + 3) % 7


def inputs(past, coming):
    """Return what is known before the hour `coming`, given the readings so far."""
    hour, weekday = calendar(coming)
    angle = 2 * np.pi * hour / 24
    return np.array([
        past[-1], past[-DAY], past[-WEEK], past[-DAY] - past[-DAY - 1],
        past[-WEEK] - past[-WEEK - 1],
        np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle),
        weekday == 5, weekday == 6, weekday == 0, weekday == 4,
    ])  # fmt: skip


# %%
# Training, and the stream
# ------------------------
# The training months are cut into weeks that overlap, with a target at every hour. Of 16, 32 and
# 64 units and dropout of 0, 0.2 and 0.4, these erred least in the last three weeks of March after
# training on the weeks before.


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


def watch(gru, demand, hours):
    """Forecast every hour from what was known before it; return that, and microseconds a step."""
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
    first = WEEK + 1  # the first hour with all of its past
    unit = megawatts[training].std()
    demand = (megawatts - megawatts[training].mean()) / unit
    X = np.array([inputs(demand[:t], hours[t]) for t in range(first, len(demand))])
    y = np.diff(demand)[first - 1 :]
    known = training[first:]

    models = [fit(X[known], y[known], seed) for seed in range(3)]
    forecast, microseconds = watch(models[0], demand, hours)
    median, p99 = np.percentile(microseconds, [50, 99])
    print(f"{len(microseconds):,} steps: median {median:.1f} µs, 99th percentile {p99:.1f} µs")

    # Two others: the change of a week before; and boosted trees as they come, which see hour and
    # weekday as numbers.
    table = np.column_stack([X[:, :5], *calendar(hours[first:])])
    trees = HistGradientBoostingRegressor(random_state=0).fit(table[known], y[known])
    changes = {
        "change of a week before": X[:, 4],
        "boosted trees": trees.predict(table),
        **{f"GRU, random_state={i}": gru.predict([X])[0] for i, gru in enumerate(models)},
    }
    np.testing.assert_allclose(  # a step at a time is all at once
        demand[first - 1 : -1] + changes["GRU, random_state=0"], forecast[first:], atol=1e-6
    )

    # A day is as conspicuous as the worst of its hours.
    watched = np.unique(days[~training])
    weekday_holiday = np.isin(watched, HOLIDAYS)
    print(f"April and May, {len(watched)} days, {len(HOLIDAYS)} of them holidays; error in MW")
    worst = {}
    for name, change in changes.items():
        error = np.abs(y - change) * unit
        worst[name] = np.array([error[days[first:] == day].max() for day in watched])
        ranks = np.sort(1 + np.argsort(np.argsort(-worst[name]))[weekday_holiday])
        print(
            f"  {name:24} mean error {error[~known].mean():4.0f}   holidays are days number "
            f"{', '.join(map(str, ranks)):12} by their worst hour, average precision "
            f"{average_precision_score(weekday_holiday, worst[name]):.2f}"
        )

    # An alarm is an error larger than all but a thousandth of those in the training months.
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
    axes.plot(hours, forecast, label="forecast by the GRU an hour before", **dashes)
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
        ylabel="error in the day's worst hour, in MW", ylim=(0, 1400),
        xlim=(days[0] - 1, days[-1] + 1),
    )  # fmt: skip
    axes.xaxis.set_major_formatter(DateFormatter("%a %-d %b"))
    axes.legend(ncols=4, loc="upper right")


if FILE.is_file():
    electricity_demand()
