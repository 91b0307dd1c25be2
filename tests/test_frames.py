import sys

import numpy as np
import pandas as pd
import pytest
from helpers import run_snippets
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.preprocessing import (
    PerTimestep,
    labels_from_frame,
    predictions_to_frame,
    sequences_from_frame,
)

pytest.importorskip("narwhals")  # which scikit-learn before 1.9 does not bring

KEYS = {"by": "engine", "order": "cycle"}


@pytest.fixture
def frame():
    """Three engines of 4, 2 and 3 cycles, in no order, with an index of no order either."""
    engine = np.repeat(["c", "a", "b"], [4, 2, 3])
    cycle = np.concatenate([np.arange(n) for n in (4, 2, 3)])
    heat = np.arange(9) / 10
    frame = pd.DataFrame({
        "heat": heat, "engine": engine, "load": np.arange(9), "cycle": cycle,
        "maker": np.where(engine == "a", "new", "old"),
        "phase": np.where(cycle > 1, "run", "start"),
    })  # fmt: skip
    return frame.sample(frac=1, random_state=1)


def test_sequences_are_those_of_groupby(frame):
    X, ids = sequences_from_frame(frame, **KEYS, columns=["load", "heat"])
    groups = frame.sort_values("cycle").groupby("engine")[["load", "heat"]]
    assert ids.tolist() == ["a", "b", "c"] == [name for name, _ in groups]
    assert isinstance(ids, pd.Series)
    assert ids.name == "engine"
    assert ids.index.tolist() == [0, 1, 2]
    for x, (_, group) in zip(X, groups, strict=True):
        np.testing.assert_array_equal(x, group)
        assert x.dtype == np.float64
        assert x.flags.c_contiguous
    one, _ = sequences_from_frame(frame, **KEYS, columns="load")
    assert [x.shape for x in one] == [(2, 1), (3, 1), (4, 1)]
    assert one[0].ravel().tolist() == [4, 5]


def test_the_order_of_rows_is_of_no_matter_but_without_order(frame):
    expected, ids = sequences_from_frame(frame, **KEYS, columns=["load"])
    for seed in range(5):
        X, same = sequences_from_frame(
            frame.sample(frac=1, random_state=seed), **KEYS, columns=["load"]
        )
        pd.testing.assert_series_equal(ids, same)
        for x, like in zip(X, expected, strict=True):
            np.testing.assert_array_equal(x, like)
    as_they_are, _ = sequences_from_frame(frame, "engine", columns=["load"])
    for x, engine in zip(as_they_are, "abc", strict=True):
        np.testing.assert_array_equal(x[:, 0], frame.loc[frame.engine == engine, "load"])


def test_ids_of_several_columns(frame):
    X, ids = sequences_from_frame(frame, ["maker", "engine"], "cycle", columns=["load"])
    expected = pd.DataFrame({"maker": ["new", "old", "old"], "engine": list("abc")})
    pd.testing.assert_frame_equal(ids, expected, check_dtype=False)
    assert [len(x) for x in X] == [2, 3, 4]
    X, ids = sequences_from_frame(frame, ["engine"], "cycle", columns=["load"])
    assert list(ids.columns) == ["engine"]
    # one cycle of each phase begins at 0, so that neither column alone tells the sequences apart
    X, ids = sequences_from_frame(frame, ["phase", "maker"], columns=["load"])
    assert [sorted(x.ravel()) for x in X] == [[2, 3, 8], [4, 5], [0, 1, 6, 7]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.arange(3, dtype=np.float32), np.float32),
        (np.arange(3, dtype=np.int8), np.float64),
        (np.array([True, False, True]), np.float64),
        (pd.array([1, None, 3], dtype="Int64"), np.float64),
        (np.array([1.5, np.nan, 2]), np.float64),
    ],
)
def test_values_of_channels(values, expected):
    frame = pd.DataFrame({"id": [1, 1, 0], "x": values})
    X, ids = sequences_from_frame(frame, "id", columns="x")
    assert ids.tolist() == [0, 1]
    got = np.concatenate([X[1], X[0]])[:, 0]
    assert got.dtype == expected
    np.testing.assert_array_equal(got, pd.Series(values).astype("float64"))


def test_ids_and_times_of_any_kind():
    days = pd.to_datetime(["2020-03-01", "2020-01-01", "2020-02-01"])
    frame = pd.DataFrame({
        "id": pd.Categorical(["v", "u", "v"], categories=["v", "u", "t"]),
        "day": days.tz_localize("Europe/Berlin"), "x": [3.0, 1.0, 2.0],
    })  # fmt: skip
    X, ids = sequences_from_frame(frame, "id", "day", columns="x")
    assert ids.tolist() == ["v", "u"]  # the order of the categories, as in groupby
    assert [x.ravel().tolist() for x in X] == [[2, 3], [1]]
    X, ids = sequences_from_frame(frame, "day", columns="x")
    assert [x.item() for x in X] == [1, 2, 3]
    assert ids.is_monotonic_increasing
    large = pd.DataFrame({"id": [2**60 + 1, 2**60], "x": [1.0, 0.0]})  # equal as floats
    assert [x.item() for x in sequences_from_frame(large, "id", columns="x")[0]] == [0, 1]


def test_labels_of_sequences_and_steps(frame):
    y = labels_from_frame(frame, "maker", **KEYS)
    assert y.tolist() == ["new", "old", "old"]
    y = labels_from_frame(frame, "phase", **KEYS, per_step=True)
    assert [list(labels) for labels in y] == [
        ["start"] * 2, ["start"] * 2 + ["run"], ["start"] * 2 + ["run"] * 2,
    ]  # fmt: skip
    y = labels_from_frame(frame, ["load", "heat"], **KEYS, per_step=True)
    X, _ = sequences_from_frame(frame, **KEYS, columns=["load", "heat"])
    for labels, x in zip(y, X, strict=True):
        np.testing.assert_array_equal(labels, x)
    frame["age"] = frame.engine.map({"a": 1, "b": 2, "c": 3})
    assert labels_from_frame(frame, ["age", "age"][:1], **KEYS).tolist() == [[1], [2], [3]]
    assert labels_from_frame(frame, "age", **KEYS).dtype == np.int64


def test_missing_labels():
    frame = pd.DataFrame({
        "id": [0, 0, 1, 1], "y": [1.0, np.nan, np.nan, np.nan],
        "name": pd.array(["u", None, None, None], dtype="string"),
    })  # fmt: skip
    numbers = labels_from_frame(frame, "y", "id", per_step=True)
    np.testing.assert_array_equal(numbers, [[1, np.nan], [np.nan, np.nan]])
    names = labels_from_frame(frame, "name", "id", per_step=True)
    assert [list(labels) for labels in names] == [["u", None], [None, None]]
    with pytest.raises(ValueError, match="'y' is both 1.0 and nan in the sequence id=0"):
        labels_from_frame(frame, "y", "id")
    assert np.isnan(labels_from_frame(frame[2:], "y", "id")).tolist() == [True]
    assert labels_from_frame(frame[2:], "name", "id").tolist() == [None]


def test_predictions_of_sequences(frame):
    got = predictions_to_frame(np.array(["u", "v", "w"], dtype=object), frame, **KEYS)
    expected = pd.DataFrame({"engine": list("abc"), "prediction": list("uvw")})
    pd.testing.assert_frame_equal(got, expected, check_dtype=False)
    probabilities = np.arange(6, dtype=np.float32).reshape(3, 2)
    got = predictions_to_frame(probabilities, frame, ["maker", "engine"], names=[0, "one"])
    assert list(got.columns) == ["maker", "engine", "0", "one"]
    np.testing.assert_array_equal(got[["0", "one"]], probabilities)
    assert got["0"].dtype == np.float32
    numbered = predictions_to_frame(probabilities, frame, "engine")
    assert list(numbered.columns) == ["engine", "prediction0", "prediction1"]


@pytest.mark.parametrize("order", ["cycle", None])
def test_predictions_of_steps_align_with_the_rows(frame, order):
    X, _ = sequences_from_frame(frame, "engine", order, columns=["load", "heat"])
    got = predictions_to_frame(X, frame, "engine", order, names=["l", "h"])
    assert list(got.columns) == ["engine", *([] if order is None else [order]), "l", "h"]
    pd.testing.assert_index_equal(got.index, frame.index)
    np.testing.assert_array_equal(got[["l", "h"]], frame[["load", "heat"]])
    joined = frame.join(got[["l"]])
    np.testing.assert_array_equal(joined.l, joined.load)
    names = [np.array([f"{v:.0f}" for v in x[:, 0]], dtype=object) for x in X]
    got = predictions_to_frame(names, frame, "engine", order)
    assert got.prediction.tolist() == frame.load.astype(str).tolist()


def test_from_a_frame_to_predictions_and_back():
    """A class a sequence, and a running sum a step."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 15, size=60)
    frame = pd.DataFrame({
        "id": np.repeat(np.arange(60), lengths),
        "t": np.concatenate([np.arange(n) for n in lengths])
    })  # fmt: skip
    frame["up"] = np.where(frame.id % 2, "yes", "no")
    frame["x"] = rng.normal(size=len(frame)) + 2 * (frame.id % 2) - 1
    frame["total"] = frame.groupby("id").x.cumsum() / 8  # of about unit spread
    frame = frame.sample(frac=1, random_state=0, ignore_index=True)
    keys = {"by": "id", "order": "t"}
    X, ids = sequences_from_frame(frame, **keys, columns=["x"])
    X = PerTimestep(StandardScaler()).fit_transform(X)
    classifier = GRUClassifier(8, random_state=0).fit(X, labels_from_frame(frame, "up", **keys))
    got = predictions_to_frame(classifier.predict(X), frame, **keys).set_index("id")
    assert (got.prediction == np.where(got.index % 2, "yes", "no")).mean() > 0.9
    y = labels_from_frame(frame, "total", **keys, per_step=True)
    model = GRURegressor(16, return_sequences=True, max_iter=60, learning_rate="cosine",
                         random_state=0).fit(X, y)  # fmt: skip
    got = predictions_to_frame(model.predict(X), frame, **keys)
    assert np.corrcoef(got.prediction, frame.total)[0, 1] > 0.95
    assert ids.tolist() == list(range(60))


def test_the_docs():
    docs = run_snippets("integrations.rst", "Data frames")
    assert docs["ids"].tolist() == list(range(40))
    predicted, likely = docs["predicted"], docs["likely"]
    assert list(predicted.columns) == ["engine", "prediction"]
    assert list(likely.columns) == ["engine", "no", "yes"]
    assert (predicted.prediction == docs["y"]).mean() > 0.9
    np.testing.assert_array_equal(predicted.prediction == "yes", likely.yes > 0.5)


@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        ({}, dict(by="motor"), ValueError, "frame has no column 'motor'; it has"),
        ({}, dict(by="engine", order="time"), ValueError, "no column 'time'"),
        ({}, dict(by="engine", columns=["load", "hot"]), ValueError, "no column 'hot'"),
        ({}, dict(by=[]), ValueError, r"by must be one or more different columns, got \[\]"),
        ({}, dict(by=["engine", "engine"]), ValueError, "by must be one or more different columns"),
        ({}, dict(by="engine", columns=[]), ValueError, "columns must be one or more different"),
        ({}, dict(by=["cycle"], order="cycle"), ValueError, "Column 'cycle' is in by and is order"),
        ({}, dict(by=3), TypeError, "by must be the name of a column, or several .* got 3"),
        ({}, dict(by="engine", order=["cycle"]), TypeError, "order must be the name of one column"),
        ({}, dict(by="engine", columns={"load"}), TypeError, "columns must be the name of a"),
        ({}, dict(by="engine", columns=["load", 1]), TypeError, "columns must be .*; got 1"),
        ({}, dict(by="engine", order="cycle", columns=["load", "maker"]), ValueError,
         "Column 'maker' is of dtype .*; channels are numbers"),
        (dict(engine=[np.nan] + 8 * [1.0]), dict(by="engine"), ValueError,
         "Column 'engine' is missing in 1 of 9 rows, the first of them row 0"),
        (dict(cycle=[1, 2, None] + 6 * [4]), dict(by="engine", order="cycle"), ValueError,
         "Column 'cycle' is missing in 1 of 9 rows, the first of them row 2"),
        (dict(cycle=7), dict(by="engine", order="cycle"), ValueError,
         "'cycle' is 7 twice in the sequence engine='a': in rows"),
    ],
)  # fmt: skip
def test_bad_frames(frame, change, arguments, error, message):
    with pytest.raises(error, match=message):
        sequences_from_frame(frame.assign(**change), **{"columns": "load", **arguments})


def test_more_bad_frames(frame):
    with pytest.raises(ValueError, match="frame has no rows"):
        sequences_from_frame(frame[:0], **KEYS, columns="load")
    with pytest.raises(ValueError, match="a column 0, whose name is no string"):
        sequences_from_frame(frame.rename(columns={"load": 0}), **KEYS, columns="heat")
    for other in ({"engine": [1]}, [np.zeros(10**5)] * 9, frame["engine"], None):
        with pytest.raises(TypeError, match="frame must be a DataFrame .* got a"):
            sequences_from_frame(other, "engine", columns="heat")
    with pytest.raises(ValueError, match="'phase' is both .* in the sequence engine='b'; per_step"):
        labels_from_frame(frame, "phase", **KEYS)
    with pytest.raises(ValueError, match="There are 2 predictions, but 3 sequences"):
        predictions_to_frame(np.zeros(2), frame, **KEYS)
    with pytest.raises(ValueError, match=r"predictions\[1\] has 2 time steps, the sequence "
                                         "engine='b' 3 rows"):  # fmt: skip
        predictions_to_frame([np.zeros(2), np.zeros(2), np.zeros(4)], frame, **KEYS)
    with pytest.raises(ValueError, match="There are 2 columns of predictions, but the names"):
        predictions_to_frame(np.zeros((3, 2)), frame, **KEYS, names=["a"])
    with pytest.raises(ValueError, match="'engine' of predictions is a column of by"):
        predictions_to_frame(np.zeros(3), frame, **KEYS, names="engine")


def test_without_narwhals(frame, monkeypatch):
    monkeypatch.setitem(sys.modules, "narwhals", None)
    with pytest.raises(ModuleNotFoundError, match="pip install narwhals"):
        sequences_from_frame(frame, **KEYS, columns="heat")


def test_a_target_never_becomes_a_channel(frame):
    """The frame holds what is to be predicted, and the function cannot know what that is."""
    numbers = frame.assign(left=np.arange(9.0)).drop(columns=["maker", "phase"])
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'columns'"):
        sequences_from_frame(numbers, "engine", "cycle")
    with pytest.raises(TypeError, match="columns must be the name of a column, .* got None"):
        sequences_from_frame(numbers, "engine", "cycle", columns=None)
    X, _ = sequences_from_frame(numbers, "engine", "cycle", columns=["heat", "load"])
    y = labels_from_frame(numbers, "left", "engine", "cycle", per_step=True)
    assert {x.shape[1] for x in X} == {2}
    for x, target in zip(X, y, strict=True):
        assert not (x == target[:, np.newaxis]).all(axis=0).any()


@pytest.mark.parametrize("form", [pd.Index, np.array, pd.Series, tuple, iter])
def test_names_in_any_sequence(frame, form):
    names = ["load", "heat"]
    expected, _ = sequences_from_frame(frame, **KEYS, columns=names)
    X, ids = sequences_from_frame(frame, form(["engine"]), "cycle", columns=form(names))
    y = labels_from_frame(frame, form(names), **KEYS, per_step=True)
    for x, target, like in zip(X, y, expected, strict=True):
        np.testing.assert_array_equal(x, like)
        np.testing.assert_array_equal(target, like)
    assert isinstance(ids, pd.DataFrame)
    got = predictions_to_frame(np.zeros(3), frame, form(["engine"]), "cycle")
    assert list(got.columns) == ["engine", "prediction"]


def test_columns_of_several_dtypes_with_missing_values():
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"id": [1, 1, 2], "i": [1, None, 3], "f": [0.5, 1, None]})
    expected = [[[1, 0.5], [np.nan, 1]], [[3, np.nan]]]
    for dtypes in (
        {"i": "int64[pyarrow]", "f": "double[pyarrow]"},
        {"i": "Int64", "f": "Float32"},
        {"i": "Int8", "f": "float[pyarrow]"},
    ):
        X, _ = sequences_from_frame(frame.astype(dtypes), "id", columns=["i", "f"])
        for x, like in zip(X, expected, strict=True):
            np.testing.assert_array_equal(x, like)
            assert x.dtype == np.float64


def test_frames_that_are_not_in_memory():
    pl = pytest.importorskip("polars")
    lazy = pl.LazyFrame({"id": [1, 1, 2], "x": [1.0, 2, 3]})
    for call in (
        lambda: sequences_from_frame(lazy, "id", columns="x"),
        lambda: labels_from_frame(lazy, "x", "id"),
        lambda: predictions_to_frame([0, 1], lazy, "id"),
    ):
        with pytest.raises(TypeError, match="frame is a LazyFrame, .* frame.collect"):
            call()
    assert len(sequences_from_frame(lazy.collect(), "id", columns="x")[0]) == 2


def test_relations_of_duckdb():
    duckdb = pytest.importorskip("duckdb")
    relation = duckdb.sql("select 1 as id, 2.0 as x")
    with pytest.raises(TypeError, match="frame is a DuckDBPyRelation, .* frame.pl"):
        sequences_from_frame(relation, "id", columns="x")


def test_messages_are_short():
    names = [f"a_rather_long_name_of_a_channel_{i}" * 9 for i in range(60)]
    wide = pd.DataFrame(np.zeros((2, 60)), columns=names).assign(
        id=0, text=["x" * 9999, "y" * 9999], key=[None, "z" * 9999]
    )
    for call, start in (
        (lambda: sequences_from_frame(wide, "no" * 999, columns="id"), "frame has no column 'nono"),
        (lambda: sequences_from_frame(wide, "id", columns=names[:9] * 2), "columns must be"),
        (lambda: sequences_from_frame(wide, names, columns="text"), "Column 'text' is"),
        (lambda: labels_from_frame(wide, "text", "id"), "Column 'text' is both 'xxx"),
        (lambda: sequences_from_frame(wide, "key", columns="id"), "Column 'key' is missing"),
        (lambda: predictions_to_frame(np.zeros((1, 9)), wide, "id", names=names), "There are 9"),
        (lambda: sequences_from_frame(wide.assign(t=1), names, "t", columns="id"), "Column 't' is"),
    ):
        with pytest.raises(ValueError, match=start) as error:
            call()
        assert len(str(error.value)) < 400


# ---- names in any container ----------------------------------------------------------------------

NAMES = ["heat", "load"]
CONTAINERS_OF_NAMES = {
    "list": list,
    "tuple": tuple,
    "array": np.array,
    "array of objects": lambda names: np.array(names, dtype=object),
    "StringDType": lambda names: np.array(names, dtype=np.dtypes.StringDType()),
    "Index": pd.Index,
    "Series": pd.Series,
    "category": pd.Categorical,
    "dict values": lambda names: dict(enumerate(names)).values(),
    "generator": lambda names: (name for name in names),
    "polars": lambda names: pytest.importorskip("polars").Series(names),
    "Arrow": lambda names: pytest.importorskip("pyarrow").array(names),
}


@pytest.mark.parametrize("name", CONTAINERS_OF_NAMES)
def test_names_of_columns_come_in_any_container(frame, name):
    form = CONTAINERS_OF_NAMES[name]
    expected, _ = sequences_from_frame(frame, **KEYS, columns=NAMES)
    X, ids = sequences_from_frame(frame, form(["engine"]), "cycle", columns=form(NAMES))
    for x, like in zip(X, expected, strict=True):
        np.testing.assert_array_equal(x, like)
    assert ids["engine"].tolist() == ["a", "b", "c"]
    y = labels_from_frame(frame, form(NAMES), form(["engine"]), "cycle", per_step=True)
    for part, like in zip(y, expected, strict=True):
        np.testing.assert_array_equal(part, like)
    predictions = predictions_to_frame(np.eye(3)[:, :2], frame, "engine", names=form(["no", "yes"]))
    assert list(predictions.columns) == ["engine", "no", "yes"]
    assert predictions["yes"].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    "names",
    [set(NAMES), frozenset(NAMES), dict.fromkeys(NAMES), dict.fromkeys(NAMES).keys(), b"heat",
     np.array("heat"), None, 3, slice(0, 2), len],
    ids=str,
)  # fmt: skip
def test_names_without_an_order_or_that_are_none_are_refused(frame, names):
    calls = {
        "columns": lambda: sequences_from_frame(frame, **KEYS, columns=names),
        "columns ": lambda: labels_from_frame(frame, names, **KEYS),
        "by": lambda: sequences_from_frame(frame, names, columns="heat"),
        "names": lambda: predictions_to_frame(np.eye(3)[:, :2], frame, "engine", names=names),
    }
    for argument, call in calls.items():
        with pytest.raises(TypeError, match=f"^{argument.strip()} must be the name of") as raised:
            call()
        assert len(str(raised.value)) < 400


def test_the_same_name_twice_is_refused(frame):
    with pytest.raises(ValueError, match=r"names must be different, got \['no', 'no'\]"):
        predictions_to_frame(np.eye(3)[:, :2], frame, "engine", names=["no", "no"])
    # labels of any type are names
    predictions = predictions_to_frame(np.eye(3)[:, :2], frame, "engine", names=np.array([0, 1]))
    assert list(predictions.columns) == ["engine", "0", "1"]
