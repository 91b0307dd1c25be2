"""Series with time stamps: aligned by them, checked, and forecast with those that follow."""

import datetime
import warnings
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from helpers import run_snippets
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skgru.forecasting import recursive_forecast, sliding_windows

ARROW = ("int64[pyarrow]", "double[pyarrow]") if find_spec("pyarrow") else ()

WINDOW = 4
INDEXES = {
    "days": pd.date_range("2023-11-20", periods=80, name="day"),
    "days from a file": pd.DatetimeIndex(pd.date_range("2023-11-20", periods=80).tolist()),
    "business days": pd.date_range("2024-01-01", periods=80, freq="B"),
    "weeks": pd.date_range("2024-01-01", periods=80, freq="W-WED"),
    "months": pd.DatetimeIndex(pd.date_range("2020-01-01", periods=80, freq="MS").tolist()),
    "ends of months": pd.date_range("2020-01-31", periods=80, freq="ME", unit="s"),
    "quarters": pd.date_range("2000-01-01", periods=80, freq="QS"),
    "hours in Berlin": pd.date_range("2024-03-29", periods=80, freq="h", tz="Europe/Berlin"),
    "hours in autumn": pd.DatetimeIndex(
        pd.date_range("2024-10-25 00:00", periods=80, freq="h", tz="Europe/Berlin").tolist()
    ),
    "noons in Berlin": pd.DatetimeIndex(
        pd.date_range("2024-02-01 12:00", periods=80, freq="D", tz="Europe/Berlin").tolist()
    ),
    "noons in New York": pd.date_range("2024-09-01 12:00", periods=80, tz="America/New_York"),
    "quarters of hours": pd.date_range("2024-01-01", periods=80, freq="15min", tz="UTC"),
    "periods": pd.period_range("2020-01", periods=80, freq="M", name="month"),
    "double periods": pd.period_range("2020-01", periods=80, freq="2M"),
    "rows": pd.RangeIndex(80),
    "every third row": pd.RangeIndex(7, 7 + 3 * 80, 3, name="row"),
    "years": pd.Index(np.arange(1900, 1980), name="year"),
    "small years": pd.Index(np.arange(1900, 1980), dtype="int16"),
    "time differences": pd.timedelta_range("1h", periods=80, freq="10min"),
}
every_index = pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)


@pytest.fixture(params=[1, 3])
def driven(request):
    """A series that half its last value and the exog of its own step make, and a model of it."""
    rng = np.random.default_rng(0)
    exog = rng.normal(size=(80, 2))
    series = np.zeros(80)
    for t in range(1, 80):
        series[t] = 0.5 * series[t - 1] + exog[t, 0]
    flat = make_pipeline(FunctionTransformer(lambda X: X.reshape(len(X), -1)), LinearRegression())
    flat.fit(*sliding_windows(series, WINDOW, request.param, exog=exog))
    return series, exog, flat, request.param


# ---- alignment -----------------------------------------------------------------------------------


@every_index
def test_exog_is_aligned_by_index(driven, index):
    """The natural call: the history cut to its last steps, and exog as it is."""
    series, exog, model, horizon = driven
    history, known = pd.Series(series, index=index), pd.DataFrame(exog, index=index)
    for start in (0, 10, 56):
        for rows in (known, known.iloc[start:], known.iloc[max(0, start - 3) :]):
            forecast = recursive_forecast(
                model, history.iloc[start:60], 9, window=WINDOW, horizon=horizon, exog=rows
            )
            np.testing.assert_allclose(forecast, series[60:69], atol=1e-9)
            assert forecast.index.dtype == index.dtype
            assert forecast.index.name == index.name
            assert forecast.index.tolist() == index[60:69].tolist()
            assert not hasattr(index, "freq") or forecast.index.freq is not None
    X, y = sliding_windows(series[10:60], WINDOW, horizon, exog=exog[10:60])
    for rows in (known, known.iloc[:60], known.iloc[10:60]):
        for part, like in zip(
            sliding_windows(history.iloc[10:60], WINDOW, horizon, exog=rows), (X, y), strict=True
        ):
            np.testing.assert_array_equal(part, like)


def test_only_the_rows_that_are_needed_must_be_there(driven):
    series, exog, model, horizon = driven
    index = INDEXES["days"]
    history = pd.Series(series, index=index).iloc[:60]
    known = pd.DataFrame(exog, index=index)
    known.iloc[20] = np.nan
    first = 60 - WINDOW + horizon
    for rows in (known, known.iloc[first:69]):
        forecast = recursive_forecast(model, history, 9, window=WINDOW, horizon=horizon, exog=rows)
        np.testing.assert_allclose(forecast, series[60:69], atol=1e-9)
    arguments = {"window": WINDOW, "horizon": horizon}
    for rows, stamp in ((known.iloc[first + 1 : 69], first), (known.iloc[first:68], 68)):
        day = index[stamp].date()
        with pytest.raises(
            ValueError, match=f"exog has no row for {day}.* beside history; it goes"
        ):
            recursive_forecast(model, history, 9, exog=rows, **arguments)
    with pytest.raises(ValueError, match=rf"exog is nan at time step \d+ \({index[20].date()}"):
        sliding_windows(history, WINDOW, exog=known)


@pytest.mark.parametrize("change", ["shifted", "later", "reversed", "unsorted", "duplicated", "gap",
                                    "other zone", "integers"])  # fmt: skip
def test_exog_of_other_times_is_an_error(driven, change):
    series, exog, model, horizon = driven
    index = INDEXES["days"]
    history, known = pd.Series(series, index=index).iloc[:60], pd.DataFrame(exog, index=index)
    first, order = 60 - WINDOW + horizon, np.arange(80)
    order[[62, 63]] = 63, 62
    known, message = {
        "shifted": (known.shift(freq="6h"), f"exog has no row for {index[first].date()}"),
        "later": (known.iloc[first + 1 :], f"exog has no row for {index[first].date()}"),
        "reversed": (known.iloc[::-1], f"exog is not sorted .*{index[78]} comes after {index[79]}"),
        "unsorted": (known.iloc[order], f"not sorted by time: {index[62]} comes after {index[63]}"),
        "duplicated": (known.iloc[np.repeat(np.arange(80), 1 + (order == 64))],
                       f"exog has the time stamp {index[64]} twice, in rows 64 and 65"),
        "gap": (known.drop(index[61]), f"exog has no row for {index[61]}, which is needed beside"),
        "other zone": (known.tz_localize("UTC"), "exog holds dates with a time zone, that of hist"),
        "integers": (known.reset_index(drop=True), "exog holds integers, that of history dates wi"),
    }[change]  # fmt: skip
    with pytest.raises(ValueError, match=message):
        recursive_forecast(model, history, 9, window=WINDOW, horizon=horizon, exog=known)
    if change not in ("gap", "later"):
        with pytest.raises(ValueError, match="exog (has|is not|holds)"):
            sliding_windows(pd.Series(series, index=index), WINDOW, horizon, exog=known)


def test_without_stamps_on_both_sides_lengths_are_exact(driven):
    series, exog, model, horizon = driven
    index = INDEXES["days"]
    history, known = pd.Series(series, index=index).iloc[10:60], pd.DataFrame(exog, index=index)
    arguments = {"window": WINDOW, "horizon": horizon}
    for one, rows in (
        (history, exog[10:69]),
        (history.to_numpy(), known.iloc[10:69]),
        (history.to_numpy(), exog[10:69]),
    ):
        forecast = recursive_forecast(model, one, 9, exog=rows, **arguments)
        np.testing.assert_allclose(forecast, series[60:69], atol=1e-9)
    for one, rows in (
        (history, exog),
        (history, exog[10:]),
        (history.to_numpy(), known),
        (history.to_numpy(), exog[9:69]),
    ):
        with pytest.raises(ValueError, match=r"exog has \d+ time steps; expected exactly 59"):
            recursive_forecast(model, one, 9, exog=rows, **arguments)
        with pytest.raises(ValueError, match=r"exog has \d+ time steps; expected exactly 50"):
            sliding_windows(one, WINDOW, horizon, exog=rows)
    with pytest.raises(ValueError, match="exog is not sorted by time"):
        recursive_forecast(model, history.to_numpy(), 9, exog=known.iloc[68:9:-1], **arguments)


def test_several_series_with_stamps_of_their_own(driven):
    series, exog, model, horizon = driven
    days, months = INDEXES["days"], INDEXES["months"]
    several = [
        pd.Series(series, index=days, name="a").iloc[:60],
        pd.Series(series, index=months, name="b").iloc[:50],
        series[:40],
    ]
    known = [pd.DataFrame(exog, index=days), pd.DataFrame(exog, index=months), exog[:49]]
    forecasts = recursive_forecast(model, several, 9, window=WINDOW, horizon=horizon, exog=known)
    for forecast, end in zip(forecasts, (60, 50, 40), strict=True):
        np.testing.assert_allclose(forecast, series[end : end + 9], atol=1e-9)
    assert forecasts[0].index.tolist() == days[60:69].tolist()
    assert forecasts[1].index.tolist() == months[50:59].tolist()
    assert [forecasts[0].name, forecasts[1].name] == ["a", "b"]
    assert isinstance(forecasts[2], np.ndarray)
    frames = [pd.DataFrame({"a": series, "b": -series}), pd.DataFrame({"b": -series, "a": series})]
    with pytest.raises(ValueError, match=r"series\[1\] has the columns \['b', 'a'\], series\[0\]"):
        sliding_windows(frames, WINDOW)


# ---- what is refused -----------------------------------------------------------------------------


def broken(index, change):
    if change == "reversed":
        return index[::-1], index[-2], "is not sorted by time"
    if change == "unsorted":
        return index[np.r_[:30, 31, 30, 32:80]], index[30], "is not sorted by time"
    if change == "duplicate":
        return index[np.r_[:31, 30:79]], index[30], "twice, in rows 30 and 31"
    return index[np.r_[:30, 31:80]], index[30], "has a gap: there is no"


@every_index
@pytest.mark.parametrize("change", ["reversed", "unsorted", "duplicate", "gap"])
def test_irregular_stamps_are_refused_by_name(index, change):
    series = np.arange(80.0)
    changed, stamp, message = broken(index, change)
    one = pd.Series(series[: len(changed)], index=changed)
    for frame in (one, one.to_frame("x")):
        with pytest.raises(ValueError, match=message) as error:
            sliding_windows(frame, WINDOW)
        assert str(stamp) in str(error.value)
        assert len(str(error.value)) < 400
    with pytest.raises(ValueError, match=message):
        recursive_forecast(LinearRegression(), one, 3, window=WINDOW)


@every_index
def test_stated_frequency_leaves_gaps_out(index):
    """No window reaches over a gap, and the window of a forecast must have none."""
    series = pd.Series(np.arange(80.0), index=index)
    integers = not hasattr(index, "freq")
    freq = {pd.RangeIndex: getattr(index, "step", 1)}.get(type(index), 1) if integers else None
    if not integers:
        with warnings.catch_warnings():  # of what the next version of pandas returns
            warnings.simplefilter("ignore")
            freq = index.freq or pd.infer_freq(index)
    kept = series.drop(index[[20, 21, 50]])
    X, y = sliding_windows(kept, WINDOW, 2, freq=freq)
    expected = [sliding_windows(np.arange(a, b, 1.0), WINDOW, 2) for a, b in
                ((0, 20), (22, 50), (51, 80))]  # fmt: skip
    np.testing.assert_array_equal(X, np.concatenate([e[0] for e in expected]))
    np.testing.assert_array_equal(y, np.concatenate([e[1] for e in expected]))
    exog = pd.Series(np.arange(80.0) + 0.5, index=index)
    X, _ = sliding_windows(kept, WINDOW, 2, exog=exog, freq=freq)
    np.testing.assert_array_equal(X[..., 1], X[..., 0] + 2.5)
    model = LinearRegression().fit(*sliding_windows(np.arange(80.0), WINDOW))
    forecast = recursive_forecast(model, kept, 3, window=WINDOW, freq=freq)
    np.testing.assert_allclose(forecast, [80, 81, 82], atol=1e-6)
    assert forecast.index[0] > index[-1]
    with pytest.raises(ValueError, match="The last window of history has a gap: nothing between"):
        recursive_forecast(model, kept, 3, window=30, freq=freq)
    with pytest.raises(ValueError, match="no stretch without gaps that is long enough"):
        sliding_windows(series.iloc[::4], WINDOW, freq=freq)


@pytest.mark.parametrize(
    ("index", "freq", "message"),
    [
        (pd.date_range("2024-01-01", periods=9), "W", "does not fit the stated frequency, 'W-SUN'"),
        (pd.date_range("2024-01-01", periods=9), "MS", "2024-01-02 .* row 1, does not fit"),
        (pd.date_range("2024-01-01", periods=9), "no", "freq='no' is no frequency"),
        (pd.date_range("2024-01-01", periods=9), 1, "freq=1, but the index .* holds dates"),
        (pd.RangeIndex(9), "D", "freq='D', but the index of series holds integers"),
        (pd.RangeIndex(9), 2, "The time stamp 1 of series, in row 1, does not fit"),
        (pd.RangeIndex(9), 0, "freq=0, but .* expected a positive integer"),
        (pd.period_range("2024-01", periods=9, freq="M"), "D", "but series has periods of 'M'"),
        (pd.to_datetime(["2024-01-01", "2024-01-05", "2024-02-11", "2024-02-12", "2024-05-01",
                         "2024-05-09", "2024-05-11", "2024-08-11", "2025-01-01"]), None,
         "have no regular frequency. State it as freq="),
        (pd.DatetimeIndex([*pd.date_range("2024-01-01", periods=8), pd.Timestamp("2024-01-08 06")]),
         None, "The time stamp 2024-01-08 06:00:00 of series, in row 8, does not fit its usual"),
        (pd.DatetimeIndex([*pd.date_range("2024-01-01", periods=8), pd.NaT]), None,
         "The time stamp of row 8 of series is missing"),
        (pd.Index([0, 1, pd.NA, *range(3, 9)], dtype=object), None,
         "The time stamp of row 2 of series is missing"),
        (pd.Index([0, 1, pd.NA, *range(3, 9)], dtype="Int64"), None,
         "The time stamp of row 2 of series is missing"),
        (pd.Index(list("abcdefghi")), None, "of dtype (object|str); expected dates, periods or"),
        (pd.Index([datetime.date(2024, 1, d) for d in range(1, 10)]), None, "pd.to_datetime makes"),
        (pd.Index(np.arange(9.0)), None, "of dtype float64; expected dates, .*series.to_numpy()"),
        (pd.MultiIndex.from_product([list("abc"), range(3)]), None, "index of 2 levels. Several"),
    ],
)  # fmt: skip
def test_bad_indexes(index, freq, message):
    with pytest.raises(ValueError, match=message) as error:
        sliding_windows(pd.Series(np.arange(9.0), index=index), 2, freq=freq)
    assert len(str(error.value)) < 400
    with pytest.raises(ValueError, match="series has no time stamps"):
        sliding_windows(np.arange(9.0), 2, freq="D")


def test_local_times_without_a_zone_are_refused_at_the_change_of_the_clock():
    hours = pd.date_range("2024-03-30", periods=60, freq="h", tz="Europe/Berlin").tz_localize(None)
    with pytest.raises(ValueError, match="there is no 2024-03-31 02:00:00 between 2024-03-31 01:0"):
        sliding_windows(pd.Series(np.arange(60.0), index=hours), 2)
    hours = pd.date_range("2024-10-26", periods=60, freq="h", tz="Europe/Berlin").tz_localize(None)
    with pytest.raises(ValueError, match="2024-10-27 02:00:00 twice"):
        sliding_windows(pd.Series(np.arange(60.0), index=hours), 2)


def test_holidays_are_a_frequency():
    closed = pd.offsets.CustomBusinessDay(holidays=["2024-12-25", "2024-12-26", "2025-01-01"])
    days = pd.date_range("2024-11-01", "2024-12-24", freq=closed)
    series = pd.Series(np.arange(len(days), dtype=float), index=pd.DatetimeIndex(days.tolist()))
    model = LinearRegression().fit(*sliding_windows(series, WINDOW, freq=closed))
    forecast = recursive_forecast(model, series, 5, window=WINDOW, freq=closed)
    expected = ["2024-12-27", "2024-12-30", "2024-12-31", "2025-01-02", "2025-01-03"]
    assert forecast.index.strftime("%Y-%m-%d").tolist() == expected


def test_few_stamps_need_a_frequency():
    model = LinearRegression().fit(*sliding_windows(np.arange(80.0), 2))
    days = pd.to_datetime(["2024-02-28", "2024-02-29"])
    with pytest.raises(ValueError, match='history has 2 time stamps, too few .* freq="D"'):
        recursive_forecast(model, pd.Series([1.0, 2.0], index=days), 2)
    forecast = recursive_forecast(model, pd.Series([1.0, 2.0], index=days), 2, freq="D")
    assert forecast.index.tolist() == pd.to_datetime(["2024-03-01", "2024-03-02"]).tolist()
    forecast = recursive_forecast(model, pd.Series([1.0, 2.0], index=days).asfreq("D"), 2)
    assert forecast.index.tolist() == pd.to_datetime(["2024-03-01", "2024-03-02"]).tolist()


def test_values_that_are_no_numbers():
    days = pd.date_range("2024-01-01", periods=9)
    numbers = np.arange(9.0)
    frame = pd.DataFrame({"date": days, "x": numbers})
    with pytest.raises(ValueError, match=r"Column 'date' of series holds dates. series.set_index"):
        sliding_windows(frame, 2)
    assert sliding_windows(frame.set_index("date"), 2)[0].shape == (7, 2, 1)
    for values, message in (
        (np.array(list("123456789")), "series has dtype <U1; arrays of"),
        (np.array(["1", 2.0, None], dtype=object), "series holds '1' of type str"),
        (numbers + 1j, "Complex data not supported: series"),
        (np.ma.masked_greater(numbers, 5), "series is nan at time step 6"),
        (pd.Series(numbers, index=days).mask(numbers == 4), r"at time step 4 \(2024-01-05"),
        (pd.Series([1, None, 3], dtype="Int64"), "series is nan at time step 1"),
        (pd.Series(list("123")), "dtype str; expected numbers|series holds '1' of type str"),
        (pd.Series([1, pd.NA, 3], dtype=object), "series is nan at time step 1"),
        (pd.Series([], dtype=float), r"series has shape \(0,\): it is empty"),
    ):
        with pytest.raises(ValueError, match=message):
            sliding_windows(values, 1)
    for dates in (days, days - days[0], pd.Series(days.date)):
        with pytest.raises(TypeError, match="series .*: dates and durations are not numbers"):
            sliding_windows(dates, 1)
    for several in ({"a": numbers}, {1, 2}, iter([numbers])):
        with pytest.raises(TypeError, match="several series are a list of them"):
            sliding_windows(several, 1)
    for dtype in ("Int64", "Float64", *ARROW, bool, object, "float32"):
        given = pd.Series(np.arange(9) % 2, index=days).astype(dtype)
        X, _ = sliding_windows(given, 2)
        np.testing.assert_array_equal(X[:, 0], np.arange(7) % 2)
        assert X.dtype == (np.float32 if dtype == "float32" else np.float64)


# ---- the form of a forecast ----------------------------------------------------------------------


@pytest.fixture
def banded():
    """A GRU of three quantiles of two channels."""
    from skgru import GRURegressor

    rng = np.random.default_rng(0)
    series = rng.normal(size=(40, 2))
    gru = GRURegressor(4, loss="quantile", quantiles=(0.1, 0.5, 0.9), max_iter=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return series, gru.fit(*sliding_windows(series, WINDOW))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_frames_come_back_as_frames(banded):
    series, model = banded
    index = pd.date_range("2024-01-01", periods=40, freq="MS", name="month")
    frame = pd.DataFrame(series, index=index, columns=["heat", "load"])
    arguments = {"window": WINDOW, "horizon": 1}
    expected = recursive_forecast(model, series, 5, **arguments)
    forecast = recursive_forecast(model, frame, 5, **arguments)
    after = pd.date_range("2027-05-01", periods=5, freq="MS", name="month")
    pd.testing.assert_frame_equal(
        forecast, pd.DataFrame(expected, index=after, columns=["heat", "load"])
    )
    band = recursive_forecast(model, frame, 5, return_quantiles=True, **arguments)
    assert band.columns.tolist() == [(c, q) for c in ("heat", "load") for q in (0.1, 0.5, 0.9)]
    np.testing.assert_array_equal(band.xs(0.5, axis=1, level="quantile"), expected)
    pd.testing.assert_index_equal(band.index, after)
    plain = recursive_forecast(model, pd.DataFrame(series), 5, **arguments)
    assert plain.index.tolist() == [40, 41, 42, 43, 44]
    assert plain.columns.tolist() == [0, 1]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_quantiles_of_a_series():
    from skgru import GRURegressor

    series = pd.Series(np.sin(np.arange(40)), index=pd.period_range("2000", periods=40, freq="Y"))
    gru = GRURegressor(4, loss="quantile", max_iter=2, random_state=0)
    gru.fit(*sliding_windows(series, WINDOW))
    band = recursive_forecast(gru, series, 5, window=WINDOW, return_quantiles=True)
    assert band.columns.tolist() == [0.1, 0.5, 0.9]
    assert band.index.astype(str).tolist() == ["2040", "2041", "2042", "2043", "2044"]
    np.testing.assert_array_equal(band[0.5], recursive_forecast(gru, series, 5, window=WINDOW))


# ---- polars and others ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["date", "datetime", "zone", "milliseconds"])
def test_polars(driven, kind):
    pl = pytest.importorskip("polars")
    series, exog, model, horizon = driven
    index = {
        "date": pd.date_range("2024-01-01", periods=80),
        "datetime": pd.date_range("2024-01-01", periods=80, freq="h"),
        "zone": pd.date_range("2024-03-29", periods=80, freq="h", tz="Europe/Berlin"),
        "milliseconds": pd.date_range("2020-01-01", periods=80, freq="MS"),
    }[kind]
    times = pl.Series("time", index.tz_convert("UTC").tz_localize(None).to_numpy() if index.tz
                      else index.to_numpy())  # fmt: skip
    dtype = {
        "date": pl.Date,
        "datetime": pl.Datetime("us"),
        "zone": pl.Datetime("us", "Europe/Berlin"),
        "milliseconds": pl.Datetime("ms"),
    }[kind]
    if kind == "zone":
        times = times.dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin")
    times = times.cast(dtype)
    known = pl.DataFrame({"x": exog[:, 0], "time": times, "z": exog[:, 1]})
    frame = pl.DataFrame({"time": times, "load": series})
    arguments = {"window": WINDOW, "horizon": horizon}
    for start in (0, 30):
        forecast = recursive_forecast(model, frame[start:60], 9, exog=known, **arguments)
        assert isinstance(forecast, pl.DataFrame)
        assert forecast.schema == frame.schema
        assert forecast["time"].to_list() == times[60:69].to_list()
        np.testing.assert_allclose(forecast["load"], series[60:69], atol=1e-9)
    with_pandas = pd.DataFrame(exog, index=index)
    forecast = recursive_forecast(model, frame[30:60], 9, exog=with_pandas, **arguments)
    np.testing.assert_allclose(forecast["load"], series[60:69], atol=1e-9)
    X, y = sliding_windows(frame[10:60], WINDOW, horizon, exog=known)
    like = sliding_windows(series[10:60, None], WINDOW, horizon, exog=exog[10:60])
    np.testing.assert_array_equal(X, like[0])
    np.testing.assert_array_equal(y, like[1])
    for broken_frame, message in (
        (frame[::-1], "series is not sorted by time"),
        (pl.concat([frame[:20], frame[21:]]), "series has a gap: there is no"),
        (pl.concat([frame[:20], frame[19:]]), "twice, in rows 19 and 20"),
        (frame.with_columns(other=times), "series has 2 columns of dates, .*'time', 'other'"),
        (frame.with_columns(name=pl.lit("x")), "Column 'name' of series is of dtype String"),
        (frame.with_columns(load=pl.lit(None, dtype=pl.Float64)), "series is nan at time step 0"),
    ):
        with pytest.raises(ValueError, match=message):
            sliding_windows(broken_frame, WINDOW)
    with pytest.raises(ValueError, match="exog has no row for"):
        recursive_forecast(model, frame[:60], 9, exog=known[:65], **arguments)
    with pytest.raises(TypeError, match=r"series is a LazyFrame, .*series.collect\(\) reads it"):
        sliding_windows(frame.lazy(), WINDOW)
    with pytest.raises(TypeError, match=r"series\[0\] is a LazyFrame"):
        sliding_windows([frame.lazy()], WINDOW)


def test_polars_without_time(driven):
    pl = pytest.importorskip("polars")
    series, exog, model, horizon = driven
    one = pl.Series("load", series)
    arguments = {"window": WINDOW, "horizon": horizon}
    forecast = recursive_forecast(model, one[:60], 9, exog=pl.DataFrame(exog[:69]), **arguments)
    assert isinstance(forecast, pl.Series)
    assert forecast.name == "load"
    np.testing.assert_allclose(forecast, series[60:69], atol=1e-9)
    with pytest.raises(ValueError, match="exog has 80 time steps; expected exactly 69"):
        recursive_forecast(model, one[:60], 9, exog=pl.DataFrame(exog), **arguments)
    forecast = recursive_forecast(
        model, one.to_frame()[:60], 9, exog=pl.DataFrame(exog[:69]), **arguments
    )
    assert forecast.columns == ["load"]
    several = recursive_forecast(
        model, [one[:60], one[:50]], 9, exog=[exog[:69], pl.DataFrame(exog[:59])], **arguments
    )
    np.testing.assert_allclose(several[1], series[50:59], atol=1e-9)
    assert [type(s) for s in several] == [pl.Series, pl.Series]
    X, _ = sliding_windows(pl.Series([1, None, 3]).fill_null(2), 1)
    assert X.tolist() == [[1], [2]]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_quantiles_in_polars(banded):
    pl = pytest.importorskip("polars")
    series, model = banded
    times = pl.Series("t", pd.date_range("2024-01-01", periods=40).to_numpy()).cast(pl.Date)
    frame = pl.DataFrame({"heat": series[:, 0], "load": series[:, 1], "t": times})
    band = recursive_forecast(model, frame, 3, window=WINDOW, horizon=1, return_quantiles=True)
    assert band.columns == ["heat_0.1", "heat_0.5", "heat_0.9", "load_0.1", "load_0.5", "load_0.9",
                            "t"]  # fmt: skip
    expected = recursive_forecast(model, series, 3, window=WINDOW, horizon=1)
    np.testing.assert_array_equal(band["load_0.5"], expected[:, 1])
    assert band["t"].to_list()[0] == datetime.date(2024, 2, 10)


def test_arrow_tables(driven):
    pa = pytest.importorskip("pyarrow")
    series, exog, model, horizon = driven
    days = pd.date_range("2024-01-01", periods=80)
    table = pa.table({"day": days.date, "load": series})
    known = pa.table({"day": days.date, "x": exog[:, 0], "z": exog[:, 1]})
    forecast = recursive_forecast(
        model, table.slice(0, 60), 9, window=WINDOW, horizon=horizon, exog=known
    )
    assert isinstance(forecast, pa.Table)
    assert forecast["day"].to_pylist() == days.date[60:69].tolist()
    np.testing.assert_allclose(forecast["load"].to_numpy(), series[60:69], atol=1e-9)


# ---- the docs ------------------------------------------------------------------------------------


def test_the_docs():
    docs = run_snippets("integrations.rst", "Series with time stamps")
    forecast, band, weekend = docs["forecast"], docs["band"], docs["weekend"]
    assert forecast.index.tolist() == weekend.index[-14:].tolist()
    assert forecast.name == "load"
    assert np.abs(forecast - (900 - 300 * weekend[-14:])).max() < 60
    np.testing.assert_array_equal(band[0.5], forecast)
