"""What X and y may be: the table of all containers and dtypes, and what is refused and how."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from container_table import COLUMNS, CONTAINERS, DTYPES, SECTIONS, TABLE, objects, section
from helpers import run_python, run_snippets
from sklearn.utils.fixes import parse_version
from sklearn.utils.validation import check_is_fitted

from skgru import GRUClassifier, GRURegressor
from skgru.sequences import check_sequences, read

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

WRITTEN = {part.split("\n")[0]: part for part in TABLE.read_text(encoding="utf-8").split("\n\n")}


@pytest.mark.parametrize(
    ("role", "container"),
    [(role, name) for role, (containers, *_) in SECTIONS.items() for name in containers],
)
def test_containers_do_what_the_table_says(role, container):
    """After a change that is meant: `python tests/container_table.py` writes the table anew."""
    for library in ("polars", "pyarrow", "awkward"):
        if library in container:
            pytest.importorskip(library)
    assert section(role, container) == WRITTEN[f"{role}: {container}"].rstrip()


def regressor(**parameters):
    return GRURegressor(**{"hidden_layer_sizes": 2, "max_iter": 1, "random_state": 0, **parameters})


def classifier(**parameters):
    return GRUClassifier(
        **{"hidden_layer_sizes": 2, "max_iter": 1, "random_state": 0, **parameters}
    )


X3 = np.arange(24.0).reshape(4, 3, 2)
Y = np.array([0.0, 1.0, 0.0, 1.0])
MASKED = np.ma.MaskedArray(X3, mask=X3 == 5)
DATES = np.datetime64("2020-01-01") + np.arange(12).reshape(4, 3).astype("m8[D]")


def callers(X, y=Y):
    """Every way for sequences to come in, each with the name that errors give them."""
    fitted = regressor().fit(X3, Y)
    yield lambda: regressor().fit(X, y)
    yield lambda: fitted.predict(X)
    yield lambda: fitted.transform(X)
    yield lambda: fitted.score(X, y)
    yield lambda: fitted.partial_fit(X, y)
    yield lambda: regressor().fit(X3, Y, X_val=X, y_val=y)


REFUSED_X = {
    "masked array": (MASKED, ValueError, "X is a masked array with 1 masked values"),
    "masked arrays in a list": (list(MASKED), ValueError, r"X\[0\] is a masked array"),
    "masked steps in lists": ([[np.ma.masked, 1.0], [2.0, 3.0]] * 2, ValueError, "masked"),
    "dates": (DATES, TypeError, "X has dtype datetime64.*np.timedelta64"),
    "durations": (DATES - DATES[0], TypeError, "X has dtype timedelta64"),
    "dates in a list": (list(DATES), TypeError, r"X\[0\] has dtype datetime64"),
    "dates beside numbers": (
        pd.DataFrame({"t": DATES[:, 0], "v": Y}), TypeError, "X holds Timestamp.* no|X holds np.dat"
    ),
    "generator": ((x for x in X3), TypeError, r"X is a generator.*list\(X\)"),
    "map": (map(np.asarray, X3), TypeError, r"X is a map.*list\(X\)"),
    "dict": (dict(enumerate(X3)), TypeError, r"X is a dict.*list\(X.values\(\)\)"),
    "dict values": (dict(enumerate(X3)).values(), TypeError, r"dict_values.*list\(X\)"),
    "set": ({1.0, 2.0}, TypeError, "X is a set.*no order"),
    "text": ("abc", TypeError, "X is a str"),
    "0-d": (np.array(3.0), TypeError, r"X is a single value \(3.0\)"),
    "number among arrays": ([X3[0], 3.0], TypeError, r"X\[1\] is a single value"),
    "numpy.matrix": (np.eye(4).view(np.matrix), TypeError, "numpy.matrix.*np.asarray"),
    "a million numbers": (np.arange(1e6), ValueError, r"1D array of shape \(1000000,\)"),
    "a million in a list": ([*range(10**6)], ValueError, "Reshape your data"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED_X)
def test_refused_x_is_named_wherever_it_comes_in(name):
    X, error, message = REFUSED_X[name]
    for call in callers(X):
        with pytest.raises(error, match=message) as raised:
            call()
        assert len(str(raised.value)) < 400
    if name in ("generator", "map"):
        assert len(list(X)) == 4  # nothing of it has been taken


def test_polars_awkward_arrow_and_duckdb():
    pl, ak = pytest.importorskip("polars"), pytest.importorskip("awkward")
    ragged = [[0.0, 1.0], [2.0], [3.0, 4.0, 5.0], [6.0]]
    expected = regressor().fit([np.array(x) for x in ragged], Y)
    for X in (pl.Series(ragged), pl.Series(ragged).to_arrow(), pd.Series(ragged)):
        np.testing.assert_array_equal(expected.predict(X), expected.predict(ragged))
    for X, message in (
        (ak.Array(ragged), r"awkward.Array of lists of different lengths.*np.asarray\(x\) for x"),
        (pl.DataFrame({"a": [1.0]}).lazy(), r"X is a polars.LazyFrame.*X.collect\(\)"),
        (pl.DataFrame({"a": [1], "t": [DATES[0, 0].item()]}), "dates and durations"),
    ):
        with pytest.raises(TypeError, match=message):
            expected.predict(X)
    with pytest.raises(ValueError, match=r"X has a column of arrays, 'a'; pass the column itself"):
        expected.predict(pl.DataFrame({"a": ragged}))
    duckdb = pytest.importorskip("duckdb")
    with pytest.raises(TypeError, match=r"DuckDBPyRelation.*X.df\(\)"):
        expected.predict(duckdb.sql("SELECT 1.0 AS a"))


def test_arrow_backed_columns_of_several_types():
    pytest.importorskip("pyarrow")
    columns = {"a": pd.array([1, 2, 3, 4], "int64[pyarrow]"), "b": pd.array(Y, "double[pyarrow]")}
    frame = pd.DataFrame(columns)
    plain = np.column_stack([[1.0, 2, 3, 4], Y])
    np.testing.assert_array_equal(check_sequences(frame).values, plain.reshape(-1, 1))
    frame["a"] = pd.array([1, None, 3, 4], "int64[pyarrow]")
    values = check_sequences(frame, allow_nan=True).values
    assert np.isnan(values).sum() == 1
    with pytest.raises(ValueError, match=r"contains NaN: X\[1\], time step 0"):
        check_sequences(frame)


# ---- y and weights -------------------------------------------------------------------------------


@pytest.mark.parametrize("by_step", [False, True])
@pytest.mark.parametrize("use", ["y", "y_val", "score", "sample_weight", "sample_weight_val"])
def test_dates_masks_and_generators_are_refused_as_targets_and_weights(use, by_step):
    model = regressor(return_sequences=by_step)
    y = X3[:, :, 0] if by_step else Y
    fitted = regressor(return_sequences=by_step).fit(X3, y)
    uses = {
        "y": lambda value: model.fit(X3, value),
        "y_val": lambda value: model.fit(X3, y, X_val=X3, y_val=value),
        "score": lambda value: fitted.score(X3, value),
        "sample_weight": lambda value: model.fit(X3, y, sample_weight=value),
        "sample_weight_val": lambda value: model.fit(
            X3, y, X_val=X3, y_val=y, sample_weight_val=value
        ),
    }
    dates = DATES if by_step else DATES[:, 0]
    masked = np.ma.MaskedArray(y, mask=y == 0)
    bad = [(dates, TypeError, "datetime64"), (iter(y), TypeError, "iterator")]
    bad += [(dates - dates[0], TypeError, "timedelta64"), ({1.0}, TypeError, "is a set")]
    if "weight" in use or not by_step:
        bad.append((masked, ValueError, "masked array with [12] masked"))
    for value, error, message in bad:
        with pytest.raises(error, match=message) as raised:
            uses[use](value)
        assert len(str(raised.value)) < 400


def test_masked_step_labels_are_missing():
    y = np.array([[0, 1, 99], [1, 0, 1], [99, 1, 0], [0, 0, 1]])
    masked = np.ma.MaskedArray(y, mask=y == 99)
    expected = classifier(return_sequences=True).fit(X3, np.where(y == 99, np.nan, y))
    for form in (masked, list(masked)):
        model = classifier(return_sequences=True).fit(X3, form)
        assert model.classes_.tolist() == [0, 1]
        np.testing.assert_array_equal(model.predict_proba(X3), expected.predict_proba(X3))
        assert model.score(X3, form) == expected.score(X3, np.where(y == 99, np.nan, y))


@pytest.mark.parametrize("dtype", ["boolean", "string", "Int64", "str", "category"])
def test_missing_step_labels_of_pandas_dtypes(dtype):
    labels = [0, 1] if dtype in ("boolean", "Int64") else ["no", "yes"]
    rows = [[labels[0], labels[1], None], [None, labels[1], labels[0]]]
    y = [pd.Series(row, dtype=dtype) for row in rows]
    model = classifier(return_sequences=True).fit(X3[:2], y)
    assert model.classes_.tolist() == labels
    assert model._check_targets(y, None, check_sequences(X3[:2])).weights.tolist() == [
        1, 1, 0, 0, 1, 1
    ]  # fmt: skip
    with pytest.raises(ValueError, match="missing|contains NaN"):
        classifier().fit(X3[:3], pd.Series(rows[0], dtype=dtype))


@pytest.mark.parametrize("by_step", [False, True])
def test_labels_of_several_types_are_refused(by_step):
    X = X3[:2]
    for one, other in ((1, "a"), (1.5, "a"), (True, "a"), (1, DATES[0, 0]), (2**60 + 1, 0.5)):
        values = [one, other, one, other, one, one] if by_step else [one, other]
        shape = (2, 3) if by_step else (2,)
        for y in (objects(values, shape), objects(values, shape).tolist()):
            with pytest.raises(ValueError, match="y mixes labels of several types"):
                classifier(return_sequences=by_step).fit(X, y)
    if by_step:  # sequences with a type each, which NumPy makes strings of
        with pytest.raises(ValueError, match="y mixes labels of several types"):
            classifier(return_sequences=True).fit(X, [np.arange(3), np.array(["a", "b", "c"])])


def test_labels_of_another_type_than_the_classes_are_named():
    model = classifier().fit(X3, ["a", "b"] * 2)
    with pytest.raises(ValueError, match=r"labels that are not in classes \['a', 'b'\]: \[0, 1\]"):
        model.partial_fit(X3, [0, 1, 0, 1])
    with pytest.raises(ValueError, match="not in classes"):
        classifier().fit(X3, [0, 1, 0, 1], X_val=X3, y_val=["0", "1", "0", "1"])


PADDED = np.where(np.arange(3)[:, np.newaxis] < np.array([3, 2, 1, 3])[:, None, None], X3, np.nan)


@pytest.mark.parametrize(
    ("labels", "dtype", "missing"),
    [
        ([0, 1], "float64", "nan"),
        (np.array([0, 1], "int8"), "float16", "nan"),
        ([0.0, 1.0], "float64", "nan"),
        ([2**60, 2**60 + 1], "object", "None"),
        (np.array([2**63, 2**63 + 1], "uint64"), "object", "None"),
        ([False, True], "object", "None"),
        (["no", "yes"], "object", "None"),
        (DATES[0, :2], "datetime64[D]", "NaT"),
    ],
    ids=str,
)
def test_padded_predictions_keep_the_values_of_labels(labels, dtype, missing):
    labels = np.asarray(labels)
    y = labels[np.arange(12).reshape(4, 3) % 2]
    model = classifier(return_sequences=True).fit(PADDED, y)
    assert model.classes_.dtype == labels.dtype
    predicted = model.predict(PADDED)
    assert predicted.dtype == dtype
    ends = np.isnan(PADDED).all(axis=2)
    assert {str(v) for v in predicted[ends]} == {missing}
    assert set(predicted[~ends].tolist()) <= set(labels.tolist())
    assert {type(v) for v in predicted[~ends].tolist()} <= {type(v) for v in labels.tolist()} | (
        {float} if missing == "nan" else set()
    )
    # predictions are labels that can be learned again
    again = classifier(return_sequences=True).fit(PADDED, np.where(ends, predicted, y))
    np.testing.assert_array_equal(again.classes_, labels)


def test_half_precision_is_read_without_a_warning():
    bits = np.tile([0, 1], 6).astype("float16")
    sequences = list(bits.reshape(4, 3, 1))
    for y in (pd.Series(bits[:4]), list(bits[:4])):
        regressor().fit(X3, y)
    plain = classifier(categorical_channels=[0]).fit(sequences, list("abab"))
    frames = [pd.DataFrame({"code": x[:, 0], "load": 1.0}) for x in sequences]
    framed = classifier(categorical_channels=["code"]).fit(frames, list("abab"))
    for model in (plain, framed):
        np.testing.assert_array_equal(model._channels.categories[0], [0, 1])


def test_return_sequences_forgotten():
    y = [np.array([0, 1, 0]), np.array([1, 0]), np.array([1]), np.array([0, 0, 1])]
    for model in (classifier(), regressor()):
        for form in (y, [v.tolist() for v in y]):
            with pytest.raises(
                ValueError, match="for one label or number per time step, set return_"
            ):
                model.fit([x[: len(v)] for x, v in zip(X3, y, strict=True)], form)
    with pytest.raises(ValueError, match="return_sequences=True"):
        classifier().fit(X3, 2 * np.eye(4))
    with pytest.raises(ValueError, match="return_sequences=True"):
        regressor().fit(X3, X3)


def test_messages_are_short_whatever_came():
    long = np.array(["a" * 10_000, "b" * 10_000, "c"])
    X = np.zeros((3, 4, 1))
    model = classifier().fit(X, ["a", "b", "c"])
    many = (np.arange(5000) % 2000).astype(str)
    for call in (
        lambda: classifier().fit(X, [long[0]] * 3),
        lambda: model.partial_fit(X, long),
        lambda: classifier().fit(np.zeros((5000, 2)), many).partial_fit(X, long),
        lambda: classifier().fit(X, objects([long[0], 1, 2], 3)),
        lambda: classifier().fit(X, np.arange(3) * 1j),
        lambda: regressor().fit(X, [long[0]] * 3),
        lambda: regressor().fit(objects([{"a": long[0]}] * 12, (3, 4)), [1.0, 2.0, 3.0]),
        lambda: regressor(hidden_layer_sizes=list(range(10_000))).fit(X, [1.0, 2.0, 3.0]),
    ):
        with pytest.raises((ValueError, TypeError)) as raised:
            call()
        assert len(str(raised.value)) < 400


# ---- lists ---------------------------------------------------------------------------------------


def test_a_list_of_rows_is_no_table():
    rows = list(np.zeros((4, 6)))
    for X in (rows, tuple(rows), objects(rows, 4), [[1.0, 2.0, 3.0], [1.0, 2.0]]):
        with pytest.raises(ValueError, match="list of 1-D sequences.* but n_channels=3. Stack"):
            regressor(n_channels=3).fit(X, Y[: len(X)])
    table = regressor(n_channels=3).fit(np.stack(rows), Y)
    with pytest.raises(ValueError, match="list of 1-D sequences.* but n_channels=3"):
        table.predict(rows)
    assert table.predict([x.reshape(2, 3) for x in rows]).shape == (4,)


def test_nested_lists_of_equal_lengths_are_a_table():
    equal, ragged = [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], [[0.0, 1.0, 2.0], [3.0, 4.0]]
    assert check_sequences(equal, n_channels=3).values.tolist() == equal
    assert check_sequences(equal).form == "table"
    assert check_sequences(ragged).form == "list"
    # with one channel, a table and a list of sequences are one model
    a, b = (regressor(dtype="float64").fit(X, Y[:2]) for X in (equal, [np.array(x) for x in equal]))
    np.testing.assert_array_equal(a.predict(equal), b.predict(equal))
    np.testing.assert_array_equal(a.predict(ragged), b.predict(ragged))
    with pytest.raises(
        ValueError, match="X has 2 features.* Nested lists of equal lengths are a t"
    ):
        a.predict([[0.0, 1.0], [2.0, 3.0]])
    assert b.predict([[0.0, 1.0], [2.0, 3.0]]).shape == (2,)


# ---- tables and panels that lie the other way ----------------------------------------------------


def test_an_untransposed_panel_warns():
    for panel in (np.zeros((4, 6, 100)), np.zeros((4, 1, 50)), list(np.zeros((4, 6, 100)))):
        with pytest.warns(UserWarning, match="channels and only . time steps.*transpose"):
            regressor().fit(panel, Y)
    longer = [np.zeros((3, n)) for n in (20, 30, 20, 20)]
    with pytest.raises(ValueError, match=r"X\[1\] has 30 channels.*\[x.T for x in X\]"):
        regressor().fit(longer, Y)


@pytest.mark.parametrize("shape", [(4, 100, 6), (4, 5, 40), (4, 10, 64), (4, 12, 100), (4, 1, 20)])
def test_short_windows_of_many_channels_do_not_warn(shape):
    regressor().fit(np.zeros(shape), Y)  # warnings are errors
    regressor().fit(list(np.zeros(shape)), Y)


def test_a_pivot_in_channel_major_order_is_refused():
    long = pd.DataFrame(
        [(i, t, i + t / 10, -i - t / 10) for i in range(4) for t in range(3)],
        columns=["id", "t", "load", "temp"],
    )
    table = long.pivot(index="id", columns="t")
    with pytest.raises(ValueError, match="hold all time steps of one channel.*swaplevel"):
        regressor(n_channels=2).fit(table, Y)
    right = table.swaplevel(axis=1).sort_index(axis=1)
    values = check_sequences(right, n_channels=2).values
    np.testing.assert_array_equal(values, long[["load", "temp"]].to_numpy())
    for columns, wrong in (
        ([f"{c}_{t}" for c in ("load", "temp") for t in range(3)], True),
        ([f"{c}_{t}" for t in range(3) for c in ("load", "temp")], False),
        ([f"{t}_{c}" for t in range(3) for c in ("load", "temp")], False),
        ([f"t{t}-{c}" for t in range(3) for c in ("load", "temp")], False),
        ([f"x_{i}" for i in range(6)], False),
        (list("abcdef"), False),
        (list(range(6)), False),
    ):
        frame = table.set_axis(columns, axis=1)
        if wrong:
            with pytest.raises(ValueError, match="one channel before the next"):
                check_sequences(frame, n_channels=2)
        else:
            check_sequences(frame, n_channels=2)
    square = pd.DataFrame(np.eye(4), columns=["t0_a", "t0_b", "t1_a", "t1_b"])
    check_sequences(square, n_channels=2)
    with pytest.raises(ValueError, match="one channel before the next"):
        check_sequences(square.set_axis(["a_0", "a_1", "b_0", "b_1"], axis=1), n_channels=2)


# ---- output and settings of scikit-learn ---------------------------------------------------------


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output_takes_every_form_of_x(library):
    module = pytest.importorskip(library)
    ragged = [x[: i % 3 + 1] for i, x in enumerate(X3)]
    table = pd.DataFrame(X3.reshape(4, 6), index=list("abcd"))
    for X in (X3, list(X3), ragged, X3.reshape(4, 6), table, pd.Series(ragged)):
        model = regressor(n_channels=2, bidirectional=False).set_output(transform=library)
        features = model.fit(X, Y).transform(X)
        assert isinstance(features, module.DataFrame)
        assert list(features.columns) == ["gruregressor0", "gruregressor1"]
        if library == "pandas" and X is table:
            assert list(features.index) == list("abcd")


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.8"),
    reason="scikit-learn 1.7 asks for array_api_compat",
)
def test_array_api_dispatch_takes_plain_arrays():
    code = """
import numpy as np, sklearn
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skgru import GRUClassifier, GRURegressor
from skgru.forecasting import ScaledTargetRegressor
from skgru.preprocessing import PerSequence, PerTimestep
sklearn.set_config(array_api_dispatch=True)
X, y = np.zeros((4, 3, 2)), np.array([0, 1, 0, 1])
ragged = [np.zeros((n, 2)) for n in (1, 2, 3, 1)]
for model in (GRUClassifier(2, max_iter=0), GRURegressor(2, max_iter=0)):
    for form in (X, ragged, X.reshape(4, 6)):
        model.fit(form, y, sample_weight=np.ones(4), groups=None)
        model.score(form, y, sample_weight=np.ones(4)), model.predict(form), model.transform(form)
        model.fit(form, y, X_val=form, y_val=y)
    model.set_params(return_sequences=True).fit(X, np.arange(12).reshape(4, 3) % 2)
    model.set_params(return_sequences=False, early_stopping=True, validation_fraction=0.5).fit(X, y)
    model.fit(X, y, groups=np.arange(4))
for labels in (y, y.astype(str), y.astype(str).astype(object), y > 0):
    for class_weight in (None, "balanced", {labels[0]: 2.0}):
        model = GRUClassifier(2, class_weight=class_weight, max_iter=1).fit(X, labels)
        model.score(X, labels), model.predict_proba(X)
        if class_weight != "balanced":
            model.partial_fit(X[:1], labels[:1])
GRUClassifier(2, max_iter=1).fit(X, np.eye(4)).score(X, np.eye(4))
for form in (X, ragged):
    for step in (PerTimestep(StandardScaler()), PerSequence(StandardScaler())):
        make_pipeline(step, GRUClassifier(2, max_iter=1)).fit(form, y).predict(form)
    ScaledTargetRegressor(GRURegressor(2, max_iter=1)).fit(form, y * 1.0).score(form, y * 1.0)
print("done")
"""
    done = run_python(code, SCIPY_ARRAY_API="1")
    assert done.stdout == "done\n", done.stderr


@pytest.mark.parametrize(
    "sizes",
    [True, (4, True), np.array(4), {4, 3}, {4: 3}, frozenset({4}), [[4]], [4, [3]], np.eye(2)],
    ids=repr,
)
def test_hidden_layer_sizes_that_are_none(sizes):
    model = regressor(hidden_layer_sizes=sizes)
    with pytest.raises(
        ValueError, match="hidden_layer_sizes' parameter|hidden_layer_sizes must be"
    ):
        model.fit(X3, Y)
    assert not hasattr(model, "n_features_in_")


@pytest.mark.parametrize(
    "sizes",
    [4, np.int64(4), [4, 3], (4, 3), np.array([4, 3]), range(3, 5), pd.Series([4, 3]),
     pd.Index([4, 3]), pd.array([4, 3])],
    ids=repr,
)  # fmt: skip
def test_hidden_layer_sizes(sizes):
    model = regressor(hidden_layer_sizes=sizes).fit(X3, Y)
    check_is_fitted(model, "n_parameters_")
    assert np.isfinite(model.predict(X3)).all()


def test_the_table_is_of_all_containers_and_dtypes():
    text = TABLE.read_text(encoding="utf-8")
    assert all(name in text for name in (*CONTAINERS, *COLUMNS, *DTYPES))


def test_the_guide_s_remedy_for_a_pivot():
    X = run_snippets("user_guide.rst", "Common mistakes")["X"]
    expected = [[1, 10], [2, 20], [3, 30], [4, 40]]
    np.testing.assert_array_equal(check_sequences(X, n_channels=2).values, expected)


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1])
def test_the_first_integer_that_float64_lacks_stays_exact(number):
    """float64 makes 2**53 of it, which is not yet too large."""
    for data in ([[number, 0.5]], pd.DataFrame({"a": [number], "b": [0.5]})):
        assert int(read(data, "X")[0, 0]) == number
    assert int(read(pd.Series([number, None], dtype="Int64"), "y")[0]) == number
