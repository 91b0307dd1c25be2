"""What channels are, and how values of any type become numbers and codes."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from skgru.sequences import Channels, channel_indices, read_raw
from skgru.sequences.channels import categorical_by_dtype

NAN = float("nan")


def learned(X, names=None, n_channels=1, **what):
    """Return channels that have learned X, and X encoded by them."""
    raw = read_raw(X, n_channels=n_channels, caller="Model")
    channels = Channels(raw.n_channels, **what)
    channels.learn(raw, names, "Model")
    return channels, channels.encode(raw, "float32", "Model")


def encoded(channels, X):
    return channels.encode(read_raw(X, n_channels=1, caller="Model"), "float32", "Model")


def column(*values, dtype=object):
    """Return one sequence of one channel."""
    return [np.array(values, dtype=dtype)[:, np.newaxis]]


# ---- categories ----------------------------------------------------------------------------------

KINDS = {
    "int": (column(7, -2, 7, 100, dtype=np.int64), [-2, 7, 100], [1, 0, 1, 2]),
    "uint8": (column(7, 0, 7, 255, dtype=np.uint8), [0, 7, 255], [1, 0, 1, 2]),
    "float": (column(0.5, -2, NAN, 0.5, dtype=float), [-2, 0.5], [1, 0, 3, 1]),
    "bool": (column(True, False, True, dtype=bool), [False, True], [1, 0, 1]),
    "str": (column("b", "a", "b", dtype=str), ["a", "b"], [1, 0, 1]),
    "objects": (column("b", "a", None, NAN, pd.NA), ["a", "b"], [1, 0, 3, 3, 3]),
    "integers beside None": (column(2, None, 1), [1, 2], [1, 3, 0]),
    "above 2**53": (column(2**60 + 1, None, 2**60), [2**60, 2**60 + 1], [1, 3, 0]),
    "above 2**63": (column(2**63 + 1, 2**63, dtype=np.uint64), [2**63, 2**63 + 1], [1, 0]),
    "Categorical": (
        [pd.DataFrame({"c": pd.Categorical(["y", "x", None], categories=["z", "y", "x"])})],
        ["x", "y"],
        [1, 0, 3],
    ),
    "Categorical of ints": ([pd.DataFrame({"c": pd.Categorical([3, 1, 3])})], [1, 3], [1, 0, 1]),
    "nullable": ([pd.DataFrame({"c": pd.array([3, None, 1], dtype="Int64")})], [1, 3], [1, 3, 0]),
    "strings of pandas": ([pd.DataFrame({"c": ["v", None, "u"]})], ["u", "v"], [1, 3, 0]),
}


@pytest.mark.parametrize(("X", "categories", "codes"), KINDS.values(), ids=KINDS)
def test_codes_are_indices_of_sorted_values_then_unknown_then_missing(X, categories, codes):
    channels, sequences = learned(X, categorical=[0])
    assert channels.categories[0].tolist() == categories
    assert channels.n_categories == (len(categories) + 2,)
    assert sequences.codes[:, 0].tolist() == codes
    assert sequences.values.shape == (len(codes), 0)


def test_values_that_fit_has_not_seen_and_missing_ones_have_codes_of_their_own():
    channels, _ = learned(column("a", "c"), categorical=[0])
    assert encoded(channels, column("a", "b", None, "c", "d")).codes[:, 0].tolist() == [
        0, 2, 3, 1, 2,
    ]  # fmt: skip
    assert encoded(channels, column(None, None)).codes[:, 0].tolist() == [3, 3]
    channels, _ = learned(column(10, 20, dtype=np.uint8), categorical=[0])
    # 266 is 10 in a byte
    for dtype in (np.int64, np.float64, object):
        got = encoded(channels, column(5, 10, 15, 20, 25, 266, -246, dtype=dtype))
        assert got.codes[:, 0].tolist() == [2, 0, 2, 1, 2, 2, 2]
    assert encoded(channels, column(10.5, NAN, dtype=float)).codes[:, 0].tolist() == [2, 3]


def test_large_integers_of_other_dtypes_are_the_same_or_other_ones():
    channels, _ = learned(column(2**63 + 1, 2, dtype=np.uint64), categorical=[0])
    got = encoded(channels, column(2, -(2**63) + 1, -1, dtype=np.int64))
    assert got.codes[:, 0].tolist() == [0, 2, 2]


def test_strings_after_numbers_are_refused_and_numbers_after_strings():
    channels, _ = learned(column(1, 2), categorical=[0])
    with pytest.raises(ValueError, match="channel 0 of X holds strings, but held numbers in fit"):
        encoded(channels, column("1"))
    channels, _ = learned(column("1", "2"), categorical=[0])
    with pytest.raises(ValueError, match="channel 0 of X holds numbers, but held strings in fit"):
        encoded(channels, column(1, dtype=int))


@pytest.mark.parametrize(
    ("X", "holds"),
    [
        (column("a", 1), "'a' beside 1"),
        (column(1, "a", 2), "1 beside 'a'"),
        (column("a", NAN, 1.5), "'a' beside 1.5"),
        (column(b"a"), "b'a'"),
        ([np.array([["a"]], dtype="S1")], "b'a'"),
        (column(pd.Timestamp("2020")), "Timestamp"),
        ([np.array([["2020"]], dtype="M8[D]")], "2020"),
    ],
)
def test_other_values_are_no_categories(X, holds):
    with pytest.raises(ValueError, match=f"channel 0 must hold strings, or numbers.*{holds}.*conv"):
        learned(X, categorical=[0])


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), 2.0**60])
def test_infinite_and_rounded_numbers_are_no_categories(value):
    with pytest.raises(ValueError, match=r"channel 0 holds floating-point numbers above 2\*\*53"):
        learned(column(1.0, value, dtype=float), categorical=[0])
    channels, _ = learned(column(1.0, 2.0, dtype=float), categorical=[0])
    with pytest.raises(ValueError, match=r"channel 0 holds floating-point numbers above 2\*\*53"):
        encoded(channels, column(1.0, value, dtype=float))


def test_a_channel_without_any_category_is_refused_by_its_name():
    with pytest.raises(ValueError, match="Channel 'unit' is categorical, but all of its values"):
        learned(column(None, NAN), names=["unit"], categorical=[0])


def test_categories_beside_numbers_keep_their_channels():
    x = np.array([[0.5, "b", 3], [1.5, "a", 4]], dtype=object)
    _, sequences = learned([x], categorical=[1])
    np.testing.assert_array_equal(sequences.values, [[0.5, 3], [1.5, 4]])
    assert sequences.values.dtype == np.float32
    assert sequences.codes[:, 0].tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"NaN: X\[0\], time step 1, channel 2"):
        learned([np.array([[0.5, "b", 3], [1.5, "a", NAN]], dtype=object)], categorical=[1])


def test_integers_with_a_categorical_channel_beside_numbers():
    X = np.arange(24).reshape(2, 4, 3)
    _, sequences = learned(X, categorical=[0])
    np.testing.assert_array_equal(sequences.values, X.reshape(8, 3)[:, 1:])
    assert sequences.codes[:, 0].tolist() == list(range(8))


@pytest.mark.parametrize(("n", "dtype"), [(254, np.uint8), (255, np.uint16)])
def test_codes_are_as_small_as_their_number_allows(n, dtype):
    # with unknown and missing there are two more
    _, sequences = learned(column(*range(n), dtype=int), categorical=[0])
    assert sequences.codes.dtype == dtype


def test_tokens_take_a_byte_each():
    X = np.random.default_rng(0).integers(0, 200, size=(1000, 1000, 1), dtype=np.uint8)
    channels, _ = learned(X[:10], categorical=[0])
    tracemalloc.start()
    sequences = encoded(channels, X)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sequences.codes.nbytes == X.nbytes
    assert held < 1.1 * X.nbytes
    assert peak < 8 * X.nbytes  # an int64 of each is never made


# ---- numbers, means and times --------------------------------------------------------------------


def test_means_are_those_of_observed_values():
    X = [np.array([[1, NAN], [NAN, 4.0]]), np.array([[4.0, 8.0]])]
    channels, sequences = learned(X, missing="decay")
    np.testing.assert_array_equal(channels.means, [2.5, 6])
    np.testing.assert_array_equal(sequences.values[:, :2], [[1, 6], [2.5, 4], [4, 8]])


def test_a_channel_without_observation_is_refused_by_its_name():
    X = [np.array([[1, NAN], [2, NAN]])]
    with pytest.raises(ValueError, match="Channel 'b' has no observed value; leave it out of X"):
        learned(X, names=["a", "b"], missing="decay")
    with pytest.raises(ValueError, match="Channel 1 has no observed value"):
        learned(X, missing="decay")


def test_the_unit_is_the_mean_time_between_steps_of_a_sequence():
    steps = [np.array([[0, 1], [10, 2], [40, 3]]), np.array([[1000, 1], [1020, 2]])]
    X = [x.astype(float) for x in steps]
    channels, sequences = learned(X, missing="decay", time=0)
    assert channels.time_unit == pytest.approx(20)
    assert sequences.values[:, 3].tolist() == [0, 0.5, 1.5, 0, 1]
    # without a time channel, steps count
    channels, sequences = learned([x[:, 1:] for x in X], missing="decay")
    assert channels.time_unit == 1
    assert sequences.values[:, 3].tolist() == [0, 1, 1, 0, 1]


def test_sequences_of_one_step_have_a_unit():
    channels, _ = learned([np.array([[5.0, 1]])] * 2, missing="decay", time=0)
    assert channels.time_unit == 1


def frames(times):
    return [pd.DataFrame({"when": times, "x": [1.0, NAN, 3.0]})]


NOON = pd.Timestamp("2020-03-28 12:00")
TIMES = {
    "datetime64[ns]": [NOON, NOON + pd.Timedelta("10h"), NOON + pd.Timedelta("40h")],
    "summer time": pd.DatetimeIndex(
        [NOON, NOON + pd.Timedelta("10h"), NOON + pd.Timedelta("40h")], tz="UTC"
    ).tz_convert("Europe/Berlin"),
    "durations": pd.to_timedelta([0, 10, 40], "h"),
    "dates": [d.to_pydatetime() for d in (NOON, NOON + pd.Timedelta("10h"),
                                          NOON + pd.Timedelta("40h"))],
}  # fmt: skip


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
@pytest.mark.parametrize("unit", ["ns", "s"])
def test_datetimes_are_read_in_seconds(times, unit):
    X = frames(times)
    X[0]["when"] = X[0]["when"].dt.as_unit(unit)
    channels, sequences = learned(X, missing="decay", time=0)
    assert channels.time_unit == pytest.approx(20 * 3600)
    np.testing.assert_allclose(sequences.values[:, 3], [0, 0.5, 2.0], rtol=1e-6)


def test_datetimes_of_polars():
    pl = pytest.importorskip("polars")
    times = pl.Series([t.to_pydatetime() for t in TIMES["datetime64[ns]"]])
    for series in (times, times.dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")):
        X = [pl.DataFrame({"when": series, "x": [1.0, None, 3.0]})]
        channels, sequences = learned(X, missing="decay", time=0)
        assert channels.time_unit == pytest.approx(20 * 3600)
        np.testing.assert_allclose(sequences.values[:, 3], [0, 0.5, 2.0], rtol=1e-6)


def test_times_with_and_without_a_zone_do_not_mix():
    X = [*frames(TIMES["datetime64[ns]"]), *frames(TIMES["summer time"])]
    with pytest.raises(ValueError, match=r"either all have a time zone or all have none.*beside"):
        learned(X, missing="decay", time=0)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0, NAN, 2], r"has a missing time: X\[0\], time step 1"),
        ([0, np.inf, np.inf], r"has an infinite time: X\[0\], time step 1"),
        ([0, 2, 1], r"goes back in time: X\[0\], time step 2"),
        ([3, 3, 3], "never advances"),
        (["0", "1", "2"], "must hold numbers, or datetimes"),
        ([NOON, None, NOON], r"has a missing time: X\[0\], time step 1"),
    ],
)
def test_times_that_cannot_be_are_refused(times, message):
    with pytest.raises(ValueError, match=f"time_channel.*{message}"):
        learned(frames(times), missing="decay", time=0)


def test_numbers_after_datetimes_are_refused():
    channels, _ = learned(frames(TIMES["datetime64[ns]"]), missing="decay", time=0)
    with pytest.raises(ValueError, match="holds numbers, but held datetimes in fit"):
        encoded(channels, frames([0, 1, 2]))
    channels, _ = learned(frames([0, 1, 2]), missing="decay", time=0)
    with pytest.raises(ValueError, match="holds datetimes, but held numbers in fit"):
        encoded(channels, frames(TIMES["datetime64[ns]"]))


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e39])
def test_infinite_and_too_large_numbers_are_refused(value):
    X = [np.array([[1.0, 2], [NAN, value]])]
    for what in ({"missing": "decay"}, {"categorical": [0]}):
        with pytest.raises(ValueError, match=r"infinity or a value too large.*step 1, channel 1"):
            learned(X, **what)


# ---- which channels ------------------------------------------------------------------------------


def test_channels_by_index_or_name():
    names = ["a", "b", "c"]
    assert channel_indices([-1, 0], "p", 3, None) == [0, 2]
    assert channel_indices(["c", 0], "p", 3, names) == [0, 2]
    assert channel_indices([np.int64(1)], "p", 3, None) == [1]
    assert channel_indices([], "p", 3, None) == []


@pytest.mark.parametrize(
    ("wanted", "names", "message"),
    [
        ([3], None, "p has channel 3, but X has 3 channels"),
        ([-4], None, "p has channel -4, but X has 3 channels"),
        ([0, -3], None, r"p=\[0, -3\] has a channel twice"),
        (["a", 0], ["a", "b", "c"], "has a channel twice"),
        (["a"], None, "have no names.*Give its index"),
        (["z"], ["a", "b", "c"], r"names channel 'z', but X has \['a', 'b', 'c'\]"),
        ([True], None, "must hold indices or names of channels, got True"),
        ([1.0], None, r"must hold indices or names of channels, got 1\.0"),
        ([None], None, "must hold indices or names of channels, got None"),
    ],
)
def test_channels_that_are_not_there_are_refused(wanted, names, message):
    with pytest.raises(ValueError, match=message):
        channel_indices(wanted, "p", 3, names)


def test_categories_by_dtype_of_pandas():
    first = pd.DataFrame(
        {
            "number": [1.5],
            "category": pd.Categorical(["a"]),
            "text": ["a"],
            "flag": [True],
            "int": [3],
            # missing in the first sequence, a string in the second
            "objects": pd.Series([None], dtype=object),
            "numbers as objects": pd.Series([1], dtype=object),
        }
    )
    second = first.assign(objects=pd.Series(["b"], dtype=object))
    assert categorical_by_dtype([first, second]) == [1, 2, 5]


def test_categories_by_dtype_of_polars():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {"number": [1.5], "category": ["a"], "enum": ["a"], "text": ["a"], "flag": [True]},
        schema_overrides={"category": pl.Categorical, "enum": pl.Enum(["a", "b"])},
    )
    assert categorical_by_dtype([frame]) == [1, 2, 3]
    channels, sequences = learned([frame, frame], categorical=[1, 2, 3])
    assert channels.n_categories == (3, 3, 3)
    np.testing.assert_array_equal(sequences.values, [[1.5, 1], [1.5, 1]])


@pytest.mark.parametrize("X", [np.zeros((2, 3, 1)), [np.zeros((3, 1))], [], pd.DataFrame([[1]])])
def test_categories_by_dtype_need_frames(X):
    with pytest.raises(ValueError, match="needs a list of data frames.*indices"):
        categorical_by_dtype(X)


def test_state_is_restored_or_refused():
    X = [np.array([[1.0, 2], [NAN, 3]])]
    channels, _ = learned(X, missing="decay", categorical=[1])
    again = Channels.from_state(channels.state())
    assert again.n_categories == (4,)
    np.testing.assert_array_equal(encoded(again, X).values, encoded(channels, X).values)
    for wrong in ({"categories": []}, {"means": None}, {"means": np.zeros(2)}):
        with pytest.raises(ValueError, match="there must be"):
            Channels.from_state({**channels.state(), **wrong})
