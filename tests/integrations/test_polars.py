import numpy as np
import pandas as pd
import pytest

from skgru.forecasting import NaiveForecaster, backtest
from skgru.preprocessing import labels_from_frame, predictions_to_frame, sequences_from_frame

pl = pytest.importorskip("polars")
testing = pytest.importorskip("polars.testing")

KEYS = {"by": ["site", "pump"], "order": "day"}


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    n = 40
    return pl.DataFrame({
        "site": rng.choice(["north", "south"], n), "pump": rng.integers(3, size=n),
        "day": pl.Series(rng.permutation(n)).cast(pl.Date), "flow": rng.normal(size=n),
        "heat": pl.Series(rng.normal(size=n)).cast(pl.Float32), "open": rng.integers(2, size=n) > 0,
    }).with_columns(owner=pl.col("site").str.to_uppercase())  # fmt: skip


def as_pandas(frame):
    return pd.DataFrame(frame.to_dict(as_series=False))


def test_sequences_and_labels_match_pandas(frame):
    channels = ["heat", "open", "flow"]
    X, ids = sequences_from_frame(frame, **KEYS, columns=channels)
    expected, expected_ids = sequences_from_frame(as_pandas(frame), **KEYS, columns=channels)
    assert isinstance(ids, pl.DataFrame)
    assert ids.rows() == list(expected_ids.itertuples(index=False, name=None))
    for x, like in zip(X, expected, strict=True):
        np.testing.assert_array_equal(x, like)
    for column, per_step in (("owner", False), ("owner", True), ("day", True)):
        labels = labels_from_frame(frame, column, **KEYS, per_step=per_step)
        like = labels_from_frame(as_pandas(frame), column, **KEYS, per_step=per_step)
        assert [np.ravel(a).tolist() for a in labels] == [np.ravel(a).tolist() for a in like]
    one, pumps = sequences_from_frame(frame, "pump", columns="heat")
    assert isinstance(pumps, pl.Series)
    assert pumps.to_list() == [0, 1, 2]
    assert one[0].dtype == np.float32


def test_predictions(frame):
    X, ids = sequences_from_frame(frame, **KEYS, columns="flow")
    got = predictions_to_frame([x[:, 0] for x in X], frame, **KEYS, names="flow")
    testing.assert_frame_equal(got, frame.select("site", "pump", "day", "flow"))
    names = np.array([f"n{i}" for i in range(len(X))], dtype=object)
    got = predictions_to_frame(names, frame, **KEYS)
    testing.assert_frame_equal(got, ids.with_columns(prediction=pl.Series(names.tolist())))


def test_invalid_frames_are_rejected(frame):
    gap = frame.with_columns(pump=pl.when(pl.col("flow") > 0).then("pump"))
    with pytest.raises(ValueError, match="Column 'pump' is missing in"):
        sequences_from_frame(gap, **KEYS, columns="flow")
    with pytest.raises(ValueError, match="Column 'owner' is of dtype String"):
        sequences_from_frame(frame, **KEYS, columns=["flow", "owner"])
    with pytest.raises(TypeError, match="LazyFrame"):
        sequences_from_frame(frame.lazy(), **KEYS, columns="flow")
    double = pl.concat([frame, frame[:1]])
    with pytest.raises(ValueError, match="'day' is datetime.date.* twice in the sequence site="):
        sequences_from_frame(double, **KEYS, columns="flow")


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_a_backtest_of_a_frame_returns_frames(zone):
    walk = 100 + np.random.default_rng(0).normal(size=60).cumsum()
    days = pl.Series(np.datetime64("2024-01-01", "us") + np.arange(60) * np.timedelta64(1, "D"))
    frame = pl.DataFrame({"day": days.dt.replace_time_zone(zone), "load": walk})
    settings = dict(initial=40, horizon=5, baselines=False)
    known = frame.with_columns(pl.col("load") + 1)
    results = backtest(NaiveForecaster(), frame, exog=known, **settings)
    forecasts = results.forecasts
    assert isinstance(forecasts, pl.DataFrame)
    assert forecasts["origin"].dtype == frame["day"].dtype
    assert forecasts["time"].to_list() == frame["day"][40:60].to_list()
    assert forecasts["origin"].to_list() == [frame["day"][i] for i in (39, 44, 49, 54) for _ in
                                             range(5)]  # fmt: skip
    same = backtest(NaiveForecaster(), walk, **settings)
    np.testing.assert_allclose(forecasts["forecast"], same.forecasts.forecast)
    np.testing.assert_allclose(results.errors()["MASE"], same.errors().MASE)
    of_series = backtest(NaiveForecaster(), frame["load"], **settings)
    assert of_series.errors()["model"].to_list() == ["NaiveForecaster"]
    assert of_series.forecasts["series"].unique().to_list() == ["load"]
