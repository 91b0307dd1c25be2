"""PerTimestep on strings, categories and data frames, beside the transformer on one table."""

import pickle

import numpy as np
import pandas as pd
import pytest
from helpers import run_snippets
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.feature_extraction import FeatureHasher
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgru import GRUClassifier, GRURegressor
from skgru.interop import to_c
from skgru.preprocessing import PerTimestep
from skgru.streaming import stream

RNG = np.random.default_rng(0)
LENGTHS = (4, 1, 6, 2)
DAYS = np.array(["mon", "tue", "wed", "thu"])
STRINGS = [RNG.choice(DAYS, size=(n, 2)) for n in LENGTHS]
STEPS = np.concatenate(STRINGS)
NAMES = ["load", "day", "count", "site"]


def pandas_frames():
    frames = []
    for n in LENGTHS:
        frame = pd.DataFrame(
            {
                "load": RNG.normal(size=n),
                "day": RNG.choice(DAYS, size=n),
                "count": RNG.integers(3, size=n),
                "site": RNG.choice(["b", "a"], size=n),
            }
        )
        frames.append(frame.astype({"site": pd.CategoricalDtype(["b", "a"])}))
    return frames


FRAMES = pandas_frames()


def frames_of(library):
    if library == "pandas":
        return FRAMES
    polars = pytest.importorskip("polars")
    columns = [{name: frame[name].tolist() for name in frame} for frame in FRAMES]
    site = polars.Enum(["b", "a"])
    return [polars.DataFrame(c, schema_overrides={"site": site}) for c in columns]


libraries = pytest.mark.parametrize("library", ["pandas", "polars"])


def by_name():
    return ColumnTransformer(
        [
            ("scaled", StandardScaler(), ["load", "count"]),
            ("one_hot", OneHotEncoder(handle_unknown="ignore"), ["day", "site"]),
        ]
    )


def expected_by_name(frames):
    """The columns of `by_name`, computed by hand from all time steps."""
    table = pd.concat(FRAMES)
    numbers = table[["load", "count"]]
    days, sites = sorted(set(table["day"])), ["a", "b"]
    return [
        np.column_stack(
            [
                (frame[["load", "count"]] - numbers.mean()) / numbers.std(ddof=0),
                *(frame["day"] == day for day in days),
                *(frame["site"].astype(str) == site for site in sites),
            ]
        ).astype(float)
        for frame in frames
    ]


def test_strings_become_one_hot():
    per_timestep = PerTimestep(OneHotEncoder())
    got = per_timestep.fit_transform(STRINGS)
    categories = [sorted(set(column)) for column in STEPS.T]
    for x, own in zip(STRINGS, got, strict=True):
        want = [x[:, [c]] == categories[c] for c in range(2)]
        np.testing.assert_array_equal(own, np.hstack(want))
        assert own.dtype == np.float64
    for x, back in zip(STRINGS, per_timestep.inverse_transform(got), strict=True):
        np.testing.assert_array_equal(back, x)
    names = per_timestep.get_feature_names_out(["from", "to"])
    assert (
        names.tolist() == OneHotEncoder().fit(STEPS).get_feature_names_out(["from", "to"]).tolist()
    )


def test_every_form_of_strings():
    X = RNG.choice(DAYS, size=(5, 4, 2))
    want = [OrdinalEncoder().fit(X.reshape(-1, 2)).transform(x) for x in X]
    frame = pd.DataFrame(X.reshape(5, -1), columns=[f"{c}{t}" for t in range(4) for c in "ab"])
    of_items = np.empty(5, dtype=object)
    of_items[:] = [*X]
    for form, same in {
        "array": X,
        "objects": X.astype(object),
        "list": [*X],
        "nested lists": X.tolist(),
        "array of arrays": of_items,
        "Series": pd.Series([*X]),
        "data frames": [pd.DataFrame(x, columns=["a", "b"]) for x in X],
        "data frames without names": [pd.DataFrame(x) for x in X],
    }.items():
        got = PerTimestep(OrdinalEncoder()).fit_transform(same)
        np.testing.assert_array_equal(got, want, err_msg=form)
    for table in (X.reshape(5, -1), frame, X.reshape(5, -1).tolist()):
        got = PerTimestep(OrdinalEncoder(), n_channels=2).fit_transform(table)
        np.testing.assert_array_equal(got, np.reshape(want, (5, -1)))
    # ragged nested lists are sequences of one channel
    got = PerTimestep(OrdinalEncoder()).fit_transform([["b", "a", "c"], ["a"]])
    assert [x.tolist() for x in got] == [[[1], [0], [2]], [[0]]]


def test_padding_of_strings():
    padded = np.full((4, 8, 2), None, dtype=object)
    for row, x in zip(padded, STRINGS, strict=True):
        row[: len(x)] = x
    got = PerTimestep(OneHotEncoder()).fit_transform(padded)
    assert got.shape[:2] == (4, 8)
    for row, x in zip(got, PerTimestep(OneHotEncoder()).fit_transform(STRINGS), strict=True):
        np.testing.assert_array_equal(row[: len(x)], x)
        assert np.isnan(row[len(x) :]).all()


@libraries
def test_columns_by_name(library):
    frames = frames_of(library)
    per_timestep = PerTimestep(by_name()).fit(frames)
    assert per_timestep.feature_names_in_.tolist() == NAMES
    for own, want in zip(per_timestep.transform(frames), expected_by_name(FRAMES), strict=True):
        np.testing.assert_allclose(own, want, atol=1e-12)
    names = per_timestep.get_feature_names_out()
    assert names[:2].tolist() == ["scaled__load", "scaled__count"]
    # one by one, and after a pickle
    again = pickle.loads(pickle.dumps(per_timestep))
    for frame, want in zip(frames, per_timestep.transform(frames), strict=True):
        np.testing.assert_array_equal(again.transform([frame])[0], want)


@libraries
def test_names_of_numbers(library):
    """Frames of numbers have names for the transformer, too."""
    frames = [frame[["load", "count"]] for frame in frames_of(library)]
    columns = ColumnTransformer([("load", StandardScaler(), ["load"])], remainder="drop")
    per_timestep = PerTimestep(columns).fit(frames)
    table = pd.concat(FRAMES)["load"].to_numpy()
    got = np.concatenate(per_timestep.transform(frames)).ravel()
    np.testing.assert_allclose(got, (table - table.mean()) / table.std())
    # arrays get the names back, of which scikit-learn warns
    arrays = [np.asarray(frame) for frame in frames]
    with pytest.warns(UserWarning, match="does not have valid feature names, but PerTimestep"):
        of_arrays = per_timestep.transform(arrays)
    np.testing.assert_allclose(np.concatenate(of_arrays).ravel(), got, rtol=1e-14)


class Remembers(TransformerMixin, BaseEstimator):
    """Keep what was passed to fit."""

    def fit(self, X, y=None):
        self.seen_ = X
        return self

    def transform(self, X):
        return np.zeros((len(X), 1))


def test_dtypes_and_names_are_kept():
    seen = PerTimestep(Remembers()).fit(FRAMES).transformer_.seen_
    pd.testing.assert_frame_equal(seen, pd.concat(FRAMES, ignore_index=True))
    numbers = [frame[["load", "count"]] for frame in FRAMES]
    seen = PerTimestep(Remembers()).fit(numbers).transformer_.seen_
    pd.testing.assert_frame_equal(seen, pd.concat(numbers, ignore_index=True))
    single = [frame[["load"]].astype("float32") for frame in FRAMES]
    seen = PerTimestep(Remembers()).fit(single).transformer_.seen_
    pd.testing.assert_frame_equal(seen, pd.concat(single, ignore_index=True))
    # categories of sequences become those of all
    parts = [pd.DataFrame({"c": pd.Categorical(values)}) for values in (["b"], ["c", "a"])]
    seen = PerTimestep(Remembers()).fit(parts).transformer_.seen_
    assert seen["c"].tolist() == ["b", "c", "a"]
    assert set(seen["c"].cat.categories) == {"a", "b", "c"}
    selected = ColumnTransformer(
        [("c", OneHotEncoder(), make_column_selector(dtype_include="category"))]
    )
    assert PerTimestep(selected).fit_transform(parts)[1].tolist() == [[0, 0, 1], [1, 0, 0]]
    # arrays of numbers stay the arrays that they were
    assert type(PerTimestep(Remembers()).fit([np.ones((2, 3))]).transformer_.seen_) is np.ndarray


@libraries
def test_dtypes_that_differ_between_sequences(library):
    frame = pd.DataFrame if library == "pandas" else pytest.importorskip("polars").DataFrame
    X = [frame({"n": [1, 2], "s": ["a", "b"]}), frame({"n": [0.5], "s": [None]})]
    encoder = ColumnTransformer([("s", OneHotEncoder(), ["s"])], remainder="passthrough")
    got = PerTimestep(encoder).fit_transform(X)
    assert [x[:, :2].tolist() for x in got] == [[[1, 0], [0, 1]], [[0, 0]]]
    assert [x[:, -1].tolist() for x in got] == [[1, 2], [0.5]]
    X = [frame({"n": [1, 2]}), frame({"n": ["1"]})]
    with pytest.raises(ValueError, match=r"Channel 0 \('n'\) of X holds numbers in some sequences"):
        PerTimestep(OneHotEncoder()).fit(X)


def test_unknown_and_missing_categories():
    encoder = PerTimestep(OneHotEncoder(handle_unknown="ignore")).fit(STRINGS)
    assert not encoder.transform([[["new", "other"]]])[0].any()
    with pytest.raises(ValueError, match="Found unknown categories"):
        PerTimestep(OneHotEncoder()).fit(STRINGS).transform([np.array([["new", "mon"]])])
    ordinal = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
    )
    X = [np.array([["a"], [np.nan], ["b"]], dtype=object), np.array([["b"]], dtype=object)]
    got = PerTimestep(ordinal).fit(X).transform([["c", "a"], [np.nan, "b", "c"]])
    assert [x.ravel().tolist() for x in got] == [[-1, 0], [-2, 1, -1]]


def test_strings_pass_from_step_to_step():
    X = [np.array([["a", "x"], [None, "y"], ["a", "x"]], dtype=object), np.array([["b", "x"]])]
    most_frequent = PerTimestep(SimpleImputer(strategy="most_frequent", missing_values=None))
    model = make_pipeline(most_frequent, PerTimestep(OneHotEncoder()))
    got = model.fit_transform(X)
    assert got[0].tolist() == [[1, 0, 1, 0], [1, 0, 0, 1], [1, 0, 1, 0]]


def test_other_transformers_of_strings():
    lengths = FunctionTransformer(lambda x: np.vectorize(len)(x))
    got = PerTimestep(lengths).fit_transform([["a", "bbb"], ["cc"]])
    assert [x.ravel().tolist() for x in got] == [[1, 3], [2]]
    hashed = PerTimestep(FeatureHasher(4, input_type="string")).fit_transform(STRINGS)
    want = FeatureHasher(4, input_type="string").fit_transform(STEPS).toarray()
    np.testing.assert_array_equal(np.concatenate(hashed), want)


def test_numbers_and_strings_of_one_array():
    """Numbers beside strings stay numbers; what is numbers in the end has a dtype of numbers."""
    X = [[["mon", 1.5], ["tue", 2]], [["mon", 4]]]
    encoder = ColumnTransformer([("day", OneHotEncoder(), [0])], remainder="passthrough")
    got = PerTimestep(encoder).fit_transform(X)
    assert {x.dtype.kind for x in got} == {"f"}
    assert [x.tolist() for x in got] == [[[1, 0, 1.5], [0, 1, 2]], [[1, 0, 4]]]


@libraries
def test_a_column_of_strings_that_are_all_missing(library):
    frame = pd.DataFrame if library == "pandas" else pytest.importorskip("polars").DataFrame
    step = PerTimestep(OneHotEncoder(handle_unknown="ignore"))
    step.fit([frame({"a": ["x", "y", None], "b": ["u", "v", "u"]})])
    missing = [np.nan, np.nan] if library == "pandas" else [None, None]
    alone = step.transform([frame({"a": missing, "b": ["u", "v"]})])[0]
    beside = step.transform(
        [frame({"a": missing, "b": ["u", "v"]}), frame({"a": ["x", "y"], "b": ["u", "v"]})]
    )[0]
    np.testing.assert_array_equal(alone, beside)


@libraries
def test_a_model_of_frames_in_a_stream(library):
    frames = frames_of(library)
    model = make_pipeline(
        PerTimestep(by_name()), GRUClassifier(3, bidirectional=False, max_iter=2, random_state=0)
    ).fit(frames, [0, 1, 0, 1])
    sensor = stream(model)
    assert sensor.n_channels == 4
    for t in range(6):
        row = [FRAMES[2][name].iloc[t] for name in NAMES]
        p = sensor.step_proba(row)
        np.testing.assert_allclose(p, model.predict_proba([frames[2][: t + 1]])[0], rtol=1e-6)
    before = sensor.state
    assert sensor.step_proba(frames[2][:1]).shape == (1, 2)
    sensor.state = before
    for wrong, message in (
        ([1.0, 2.0, 3, "a"], r"Channel 1 of X holds numbers, but strings when PerTimestep"),
        ([np.inf, "mon", 3, "a"], "x_t contains infinity"),
        (["mon"], "x_t has shape"),
        (FRAMES[2][NAMES[::-1]][:1], "x_t has the columns .*; expected"),
    ):
        with pytest.raises(ValueError, match=message):
            sensor.step(wrong)
    np.testing.assert_array_equal(sensor.state, before)


@libraries
def test_a_model_of_named_numbers_in_a_stream_and_in_c(library):
    frames = [frame[["load", "count"]] for frame in frames_of(library)]
    model = make_pipeline(
        PerTimestep(StandardScaler()),
        GRURegressor(3, bidirectional=False, max_iter=2, random_state=0),
    ).fit(frames, [0.0, 1.0, 0.0, 1.0])
    sensor = stream(model)
    for x_t in np.asarray(frames[2]):
        y = sensor.step(x_t)
    np.testing.assert_allclose(y, model.predict(frames)[2], rtol=1e-6)
    assert "gru_step" in to_c(model)


def refused(X, transformer=None, error=ValueError):
    with pytest.raises(error) as raised:
        PerTimestep(transformer or OneHotEncoder()).fit(X)
    assert len(str(raised.value)) < 400
    return str(raised.value)


def test_what_is_refused():
    assert "strings beside 1 of type int" in refused([np.array([["a"], [1]], dtype=object)])
    message = "Channel 1 ('t') of X has dtype datetime64"
    dates = pd.DataFrame({"s": ["a"], "t": pd.to_datetime(["2020-01-01"])})
    assert message in refused([dates], error=TypeError)
    assert "contains infinity" in refused([FRAMES[0], FRAMES[1].assign(load=np.inf)])
    assert "X[1], time step 0, channel 0" in refused([FRAMES[0], FRAMES[1].assign(load=np.inf)])
    assert "in another order than X[0]" in refused([FRAMES[0], FRAMES[1][NAMES[::-1]]])
    assert "X[1] is empty" in refused([FRAMES[0], FRAMES[1][:0]])
    assert "TokenEncoder makes codes of texts" in refused(["abc", "de"])
    assert "X[1] has 1 channels" in refused([STRINGS[0], STRINGS[1][:, :1], STRINGS[0]])
    ordered = [
        pd.DataFrame({"c": pd.Categorical(["a"], categories=order, ordered=True)})
        for order in (["a", "b"], ["b", "a"])
    ]
    assert "categories that differ between sequences" in refused(ordered)


def test_strings_of_numbers_are_not_parsed():
    scaler = StandardScaler()
    for X in ([np.array([["1.5"], ["2"]])], np.array([[["1"], ["nan"]]])):
        assert "holds numbers as strings or categories, and Standard" in refused(X, scaler)
        PerTimestep(OneHotEncoder()).fit(X)
        PerTimestep(make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())).fit(X)
    codes = [pd.DataFrame({"zip": pd.Categorical([10115, 20095])})]
    assert "Channel 0 ('zip') of X holds numbers as" in refused(codes, scaler)
    assert PerTimestep(OneHotEncoder()).fit_transform(codes)[0].tolist() == [[1, 0], [0, 1]]
    assert "could not convert string to float" in refused(STRINGS, scaler)


def test_kinds_of_fit_and_transform_are_compared():
    encoder = PerTimestep(OneHotEncoder(handle_unknown="ignore")).fit(STRINGS)
    with pytest.raises(ValueError, match="Channel 0 of X holds numbers, but strings when PerTim"):
        encoder.transform([np.ones((3, 2))])
    scaler = PerTimestep(StandardScaler()).fit([np.ones((3, 2))])
    with pytest.raises(ValueError, match="Channel 0 of X holds strings, but numbers when PerTim"):
        scaler.transform(STRINGS)
    # a channel that is missing altogether is neither
    assert not encoder.transform([np.full((3, 2), np.nan)])[0].any()


def test_the_snippet_of_the_page():
    names = run_snippets("user_guide.rst", "Categories")
    model, X = names["model"].set_params(gruclassifier__max_iter=1), names["X"]
    got = model.fit(X, ["a", "b"])[0].transform(X)[1]
    scaled = (np.array([3, 1]) - 2.2) / np.sqrt(1.36)  # the loads are 1, 2, 4, 3 and 1
    np.testing.assert_allclose(got, [[scaled[0], 1, 0, 0, 0], [scaled[1], 0, 0, 1, 0]])


@pytest.mark.filterwarnings("ignore:X .* feature names:UserWarning")
def test_a_form_that_fit_has_not_seen():
    arrays = [frame[["day", "site"]].to_numpy() for frame in FRAMES]
    frames = [frame[["day", "site"]] for frame in FRAMES]
    want = PerTimestep(OneHotEncoder()).fit_transform(frames)
    for fitted, other in ((frames, arrays), (arrays, frames)):
        got = PerTimestep(OneHotEncoder()).fit(fitted).transform(other)
        np.testing.assert_array_equal(np.concatenate(got), np.concatenate(want))
    mixed = [frame.to_numpy() for frame in FRAMES]
    got = PerTimestep(by_name()).fit(FRAMES).transform(mixed)
    for own, expected in zip(got, expected_by_name(FRAMES), strict=True):
        np.testing.assert_allclose(own, expected, atol=1e-12)


def test_a_failed_fit_changes_nothing():
    encoder = PerTimestep(OneHotEncoder()).fit(STRINGS)
    before = encoder.transform(STRINGS)
    encoder.set_params(transformer=StandardScaler())
    for X in (STRINGS, [np.array([["1"], ["2"]])]):
        with pytest.raises(ValueError, match="string"):
            encoder.fit(X)
    np.testing.assert_array_equal(
        np.concatenate(encoder.transform(STRINGS)), np.concatenate(before)
    )


@parametrize_with_checks(
    [
        PerTimestep(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)),
        PerTimestep(OneHotEncoder(handle_unknown="ignore")),
    ]
)
def test_check_estimator(estimator, check):
    check(estimator)
