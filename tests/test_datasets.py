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
    lengths = [len(x) for x in train.data + test.data]
    assert (min(lengths), max(lengths)) == (7, 29)
    assert {x.shape[1] for x in train.data} == {12} == {len(train.feature_names)}
    assert len(train.target_names) == 9
    assert "CC BY 4.0" in train.DESCR
    X, y = load_japanese_vowels(subset="all", return_X_y=True)
    np.testing.assert_array_equal(y, np.r_[train.target, test.target])
    np.testing.assert_array_equal(np.concatenate(X), np.concatenate(train.data + test.data))


def test_a_loaded_sequence_is_a_copy_of_its_own():
    X, _ = load_japanese_vowels(return_X_y=True)
    X[0][:] = 0
    assert load_japanese_vowels().data[0].any()


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


def test_subset_is_checked():
    with pytest.raises(ValueError, match="subset"):
        load_japanese_vowels(subset="validation")


def test_sunspots():
    dates, series = load_sunspots(return_X_y=True)
    assert len(series) == len(dates) == 309
    assert (dates[0], dates[-1]) == (np.datetime64("1700"), np.datetime64("2008"))
    assert (series[0], series[-1]) == (5.0, 2.9)
    assert np.isfinite(series).all()


def test_co2():
    co2 = load_co2()
    assert co2.series.shape == co2.dates.shape == (2284,)
    assert np.isnan(co2.series).sum() == 59
    assert set(np.diff(co2.dates).astype(int)) == {7}
    assert np.nanmin(co2.series) > 300
    assert np.nanmax(co2.series) < 400


@needs_raw
@pytest.mark.parametrize(
    ("load", "name"), [(load_sunspots, "sunspots_yearly"), (load_co2, "co2_weekly")]
)
def test_series_equal_the_published_file(load, name):
    rows = (RAW / "forecasting" / f"{name}.csv").read_text().split()[1:]
    published = np.array([float(row.split(",")[1] or "nan") for row in rows])
    np.testing.assert_array_equal(load().series, published)
