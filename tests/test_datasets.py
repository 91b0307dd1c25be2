from pathlib import Path

import numpy as np
import pytest

from skgru.datasets import load_co2, load_japanese_vowels, load_sunspots

RAW = Path(__file__).parents[2] / "shared" / "data"
needs_raw = pytest.mark.skipif(not RAW.exists(), reason="the published files are not here")


def test_japanese_vowels():
    train, test = load_japanese_vowels(), load_japanese_vowels(subset="test")
    assert (len(train.data), len(test.data)) == (270, 370)
    np.testing.assert_array_equal(np.bincount(train.target), [0] + 9 * [30])
    np.testing.assert_array_equal(np.bincount(test.target), [0, 31, 35, 88, 44, 29, 24, 40, 50, 29])
    np.testing.assert_array_equal(
        train.data[0][:2, :2], [[1.860936, -0.207383], [1.891651, -0.193249]]
    )
    lengths = [len(x) for x in train.data + test.data]
    assert (min(lengths), max(lengths)) == (7, 29)
    assert {x.shape[1] for x in train.data} == {12}
    assert {x.dtype for x in train.data} == {np.dtype(np.float64)}
    assert len(train.feature_names) == 12
    assert train.target_names[train.target[-1] - 1] == "speaker 9"
    assert "CC BY 4.0" in train.DESCR
    X, y = load_japanese_vowels(subset="all", return_X_y=True)
    np.testing.assert_array_equal(y, np.r_[train.target, test.target])
    np.testing.assert_array_equal(np.concatenate(X), np.concatenate(train.data + test.data))


def test_loaded_sequences_own_their_memory():
    X, _ = load_japanese_vowels(return_X_y=True)
    assert all(x.flags.owndata and x.flags.c_contiguous and x.flags.writeable for x in X)


@needs_raw
@pytest.mark.parametrize("subset", ["train", "test"])
def test_japanese_vowels_equal_the_published_file(subset):
    X, y = load_japanese_vowels(subset=subset, return_X_y=True)
    text = (RAW / "JapaneseVowels" / f"JapaneseVowels_{subset.upper()}.ts").read_text()
    cases = [line for line in text.splitlines() if line and line[0] not in "#@"]
    assert len(cases) == len(X)
    for case, x, label in zip(cases, X, y, strict=True):
        *channels, speaker = case.split(":")
        np.testing.assert_array_equal(x, np.array([c.split(",") for c in channels], float).T)
        assert label == int(speaker)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="'subset' parameter.* must be .* Got 'validation'"):
        load_japanese_vowels(subset="validation")
    for load in (load_japanese_vowels, load_sunspots, load_co2):
        with pytest.raises(ValueError, match="'return_X_y' parameter.* Got 'yes'"):
            load(return_X_y="yes")


def test_sunspots():
    dates, series = load_sunspots(return_X_y=True)
    assert series.shape == dates.shape == (309,)
    assert (dates.dtype, series.dtype) == (np.dtype("datetime64[Y]"), np.dtype(np.float64))
    assert set(np.diff(dates).astype(int)) == {1}
    assert (dates[0], dates[-1]) == (np.datetime64("1700"), np.datetime64("2008"))
    assert (series[0], series[-1]) == (5.0, 2.9)
    assert dates[series.argmax()] == np.datetime64("1957")
    assert np.isfinite(series).all()
    assert "public domain" in load_sunspots().DESCR


def test_co2():
    co2 = load_co2()
    assert co2.series.shape == co2.dates.shape == (2284,)
    assert (co2.dates.dtype, co2.series.dtype) == (np.dtype("datetime64[D]"), np.dtype(np.float64))
    assert (co2.series[0], co2.series[-1]) == (316.1, 371.5)
    assert (str(co2.dates[0]), str(co2.dates[-1])) == ("1958-03-29", "2001-12-29")
    assert np.isnan(co2.series).sum() == 59
    assert set(np.diff(co2.dates).astype(int)) == {7}
    assert (np.nanmin(co2.series), np.nanmax(co2.series)) == (313.0, 373.9)
    assert "public domain" in co2.DESCR
    dates, series = load_co2(return_X_y=True)
    np.testing.assert_array_equal(dates, co2.dates)
    np.testing.assert_array_equal(series, co2.series)


def test_co2_has_its_longest_gap_in_1964():
    co2 = load_co2()
    missing = np.isnan(co2.series)
    gap = (co2.dates >= np.datetime64("1964-01-25")) & (co2.dates <= np.datetime64("1964-05-23"))
    assert missing[gap].all()
    assert gap.sum() == 18
    runs = np.diff(np.flatnonzero(~missing)) - 1
    assert runs.max() == 18


@pytest.mark.parametrize("load", [load_japanese_vowels, load_sunspots, load_co2])
def test_description_is_not_indented(load):
    lines = load().DESCR.splitlines()
    assert lines[0] == lines[0].lstrip()
    assert "Parameters" in lines  # a heading at the left margin


@needs_raw
@pytest.mark.parametrize(
    ("load", "name"), [(load_sunspots, "sunspots_yearly"), (load_co2, "co2_weekly")]
)
def test_series_equal_the_published_file(load, name):
    rows = (RAW / "forecasting" / f"{name}.csv").read_text().split()[1:]
    published = [row.split(",") for row in rows]
    data = load()
    np.testing.assert_array_equal(data.series, [float(value or "nan") for _, value in published])
    assert [str(date).replace("-", "") for date in data.dates] == [date for date, _ in published]
