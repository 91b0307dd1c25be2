"""Names of channels and columns: recorded at the first fit, compared from then on."""

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.preprocessing import FillGaps, Patches, PerSequence, PerTimestep

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NAMES = ["load", "temp"]
RNG = np.random.default_rng(0)
ARRAYS = [RNG.normal(size=(n, 2)) for n in (3, 1, 4, 2, 3, 3)]
Y = np.array([0.0, 1.0, 0.0, 1.0, 1.0, 0.0])


def pandas_frame(array, names=NAMES):
    return pd.DataFrame(array, columns=names)


def polars_frame(array, names=NAMES):
    return pytest.importorskip("polars").DataFrame(array, schema=names)


def arrow_table(array, names=NAMES):
    return pytest.importorskip("pyarrow").table(dict(zip(names, array.T, strict=True)))


def object_array(items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def polars_objects(items):
    polars = pytest.importorskip("polars")
    return polars.Series(items, dtype=polars.Object)


frames = pytest.mark.parametrize("frame", [pandas_frame, polars_frame, arrow_table])
containers = pytest.mark.parametrize(
    "container", [list, tuple, object_array, lambda items: pd.Series(items), polars_objects]
)


def regressor(**parameters):
    return GRURegressor(**{"hidden_layer_sizes": 2, "max_iter": 1, "random_state": 0, **parameters})


@frames
@containers
def test_sequences_that_are_frames(frame, container):
    def named(names=NAMES, last=None):
        items = [frame(x, names) for x in ARRAYS]
        items[-1] = items[-1] if last is None else frame(ARRAYS[-1], last)
        return container(items)

    model = regressor().fit(named(), Y)
    assert model.feature_names_in_.tolist() == NAMES
    assert model.n_features_in_ == 2
    plain = regressor().fit(ARRAYS, Y)
    assert not hasattr(plain, "feature_names_in_")
    np.testing.assert_array_equal(model.predict(named()), plain.predict(ARRAYS))
    for call in (
        model.predict,
        model.transform,
        lambda X: model.score(X, Y),
        lambda X: model.partial_fit(X, Y),
        lambda X: regressor().fit(named(), Y, X_val=X, y_val=Y),
    ):
        with pytest.raises(ValueError, match="must be in the same order as they were in fit"):
            call(named(NAMES[::-1]))
        with pytest.raises(ValueError, match="names unseen at fit time:\n- wind"):
            call(named(["load", "wind"]))
        with pytest.raises(ValueError, match=r"X\[5\] has the columns \['temp', 'load'\], in ano"):
            call(named(last=NAMES[::-1]))
    with pytest.raises(
        ValueError, match=r"X\[5\] has the columns \['load', 'wind'\], others than X\[0\].*'temp'"
    ):
        regressor().fit(named(last=["load", "wind"]), Y)
    with pytest.raises(ValueError, match=r"X\[0\] has the columns .*, X\[5\] has no names"):
        regressor().fit([*list(named())[:-1], ARRAYS[-1]], Y)
    with pytest.raises(ValueError, match=r"X\[5\] has the columns .*, X\[0\] has no names"):
        regressor().fit([*ARRAYS[:-1], list(named())[-1]], Y)


@frames
def test_tables_that_are_frames(frame):
    table = RNG.normal(size=(6, 4))
    names = ["t0_a", "t0_b", "t1_a", "t1_b"]
    model = regressor(n_channels=2).fit(frame(table, names), Y)
    assert model.feature_names_in_.tolist() == names
    assert model.n_features_in_ == 4
    np.testing.assert_array_equal(
        model.predict(frame(table, names)), regressor(n_channels=2).fit(table, Y).predict(table)
    )
    with pytest.raises(ValueError, match="must be in the same order"):
        model.predict(frame(table, names[::-1]))
    # other forms have other features, which nothing is known of
    assert model.predict(table.reshape(6, 2, 2)).shape == (6,)


def test_scikit_learn_s_warnings_about_names_on_one_side():
    named = [pandas_frame(x) for x in ARRAYS]
    with pytest.warns(UserWarning, match="does not have valid feature names, but GRURegressor was"):
        regressor().fit(named, Y).predict(ARRAYS)
    with pytest.warns(
        UserWarning, match="X has feature names, but GRURegressor was fitted without"
    ):
        regressor().fit(ARRAYS, Y).predict(named)
    # a later fit forgets the names of an earlier one
    model = regressor().fit(named, Y).fit(ARRAYS, Y)
    assert not hasattr(model, "feature_names_in_")


def test_labels_that_are_no_strings():
    numbered = [pd.DataFrame(x) for x in ARRAYS]
    model = regressor().fit(numbered, Y)
    assert not hasattr(model, "feature_names_in_")
    with pytest.raises(ValueError, match=r"X\[1\] has the columns \[1, 0\], in another order"):
        model.predict([numbered[0], numbered[1][[1, 0]]])
    # one channel of a wide frame each
    wide = pd.DataFrame(np.zeros((5, 6)))
    regressor().fit([wide[[i]] for i in range(6)], Y)
    with pytest.raises(TypeError, match="all input features have string names"):
        regressor().fit([x.set_axis(["a", 1], axis=1) for x in numbered], Y)


@pytest.mark.parametrize("scoring", ["loss", "accuracy", None])
def test_validation_does_not_warn_about_names(scoring):
    labels = (Y > 0).astype(int)
    for X in (
        [pandas_frame(x) for x in ARRAYS] * 4,
        pd.DataFrame(np.zeros((24, 2)), columns=NAMES),
    ):
        model = GRUClassifier(2, max_iter=2, early_stopping=True, validation_fraction=0.3,
                              scoring=scoring, random_state=0)  # fmt: skip
        model.fit(X, np.tile(labels, 4))  # warnings are errors
        assert model.feature_names_in_.tolist() == NAMES


def test_long_names_do_not_make_long_messages():
    names = ["a" * 500, "b" * 500]
    model = regressor().fit([pandas_frame(x, names) for x in ARRAYS], Y)
    for other in (["c" * 500, "d" * 500], names[::-1]):
        with pytest.raises(ValueError, match="[Ff]eature names") as raised:
            model.predict([pandas_frame(x, other) for x in ARRAYS])
        assert len(str(raised.value)) < 400
    with pytest.raises(ValueError, match="in another order") as raised:
        model.predict([pandas_frame(ARRAYS[0], names), pandas_frame(ARRAYS[1], names[::-1])])
    assert len(str(raised.value)) < 400


# ---- transformers of sequences -------------------------------------------------------------------

TRANSFORMERS = {
    "PerTimestep": lambda: PerTimestep(StandardScaler()),
    "PerSequence": lambda: PerSequence(StandardScaler()),
    "FillGaps": lambda: FillGaps(),
    "Patches": lambda: Patches(size=1, stride=1),
}


@frames
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers_compare_names(name, frame):
    named = [frame(x) for x in ARRAYS]
    transformer = TRANSFORMERS[name]().fit(named)
    assert transformer.feature_names_in_.tolist() == NAMES
    plain = TRANSFORMERS[name]().fit_transform(ARRAYS)
    for got, want in zip(transformer.transform(named), plain, strict=True):
        # polars stores columns, over which scikit-learn sums in another order
        np.testing.assert_allclose(got, want, rtol=1e-14)
    with pytest.raises(ValueError, match="must be in the same order"):
        transformer.transform([frame(x, NAMES[::-1]) for x in ARRAYS])
    with pytest.raises(ValueError, match=r"X\[1\] has the columns .* in another order than X\[0\]"):
        TRANSFORMERS[name]().fit([named[0], frame(ARRAYS[1], NAMES[::-1])])


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_set_output_makes_frames_of_tables_only(name, library):
    frame_class = pytest.importorskip(library).DataFrame
    X = RNG.normal(size=(6, 3, 1))
    pipeline = make_pipeline(TRANSFORMERS[name](), regressor())
    expected = {form: clone(pipeline).fit(x, Y).predict(x) for form, x in forms(X).items()}
    for settings in ("set_output", "config_context"):
        for form, x in forms(X).items():
            model, transformer = clone(pipeline), TRANSFORMERS[name]()
            with config_context(
                transform_output=library if settings != "set_output" else "default"
            ):
                if settings == "set_output":
                    model.set_output(transform=library)
                    transformer.set_output(transform=library)
                np.testing.assert_array_equal(model.fit(x, Y).predict(x), expected[form])
                for result in (transformer.fit_transform(x), transformer.transform(x)):
                    assert isinstance(result, frame_class) == (form == "table")
                    assert form != "table" or result.shape == (6, 3)


def forms(X):
    ragged = [x[: i % 3 + 1] for i, x in enumerate(X)]
    return {"array": X, "list": list(X), "ragged": ragged, "table": X[:, :, 0]}


# ---- n_channels that contradicts X ---------------------------------------------------------------

USERS = {
    "classifier": lambda n: GRUClassifier(2, max_iter=0, n_channels=n),
    "regressor": lambda n: GRURegressor(2, max_iter=0, n_channels=n),
    "PerTimestep": lambda n: PerTimestep(StandardScaler(), n_channels=n),
    "PerSequence": lambda n: PerSequence(StandardScaler(), n_channels=n),
    "Patches": lambda n: Patches(2, n_channels=n),
    "pipeline": lambda n: make_pipeline(
        PerTimestep(StandardScaler(), n_channels=n), GRURegressor(2, max_iter=0, n_channels=2)
    ),
}
TABLE = np.random.default_rng(0).normal(size=(4, 6))
TARGETS = np.arange(4) % 2
NAMED_TABLES = {
    "load_0, temp_0, load_1, …": [f"{c}_{t}" for t in range(3) for c in ("load", "temp")],
    "t0-load, t0-temp, t1-load, …": [f"t{t}-{c}" for t in range(3) for c in ("load", "temp")],
    "pairs": pd.MultiIndex.from_product([range(3), ["load", "temp"]]),
    "pairs with times": pd.MultiIndex.from_product(
        [pd.date_range("2020-01-01", periods=3), ["load", "temp"]]
    ),
}


@pytest.mark.parametrize("name", NAMED_TABLES)
@pytest.mark.parametrize("user", USERS)
def test_a_table_that_names_its_channels_is_not_read_with_others(name, user):
    X = pd.DataFrame(TABLE, columns=NAMED_TABLES[name])
    for n_channels in (1, 3, 6):
        with pytest.raises(
            ValueError, match=f"name 2 channels.*n_channels={n_channels}. Set n_channels=2 in every"
        ) as raised:
            USERS[user](n_channels).fit(X, TARGETS)
        assert len(str(raised.value)) < 400
    USERS[user](2).fit(X, TARGETS)
    USERS[user](1).fit(X.to_numpy(), TARGETS)


@pytest.mark.parametrize(
    "columns",
    [
        [f"lag_{i}" for i in range(6)],
        [f"{year}_{month}" for year in (2020, 2021) for month in range(3)],
        [f"{a}_{b}" for a in ("min", "max") for b in ("load", "temp", "wind")],
        [f"s{sensor}_{t}" for t in range(3) for sensor in range(2)],
        ["load_0", "temp_0", "load_1", "temp_1", "load_2", "wind_2"],
        ["load_0", "temp_0", "wind_0", "load_1", "temp_1", "sun_0"],
        pd.MultiIndex.from_product([["load"], range(6)]),
        pd.MultiIndex.from_product([["load", "temp"], ["a", "b", "c"]]),
        pd.MultiIndex.from_product([[0, 1], [0, 1, 2]]),
        list("abcdef"),
        range(6),
    ],
    ids=str,
)
def test_names_that_are_no_grid_of_times_and_channels_say_nothing(columns):
    X = pd.DataFrame(TABLE, columns=columns)
    for user in ("classifier", "regressor", "PerTimestep", "PerSequence"):
        USERS[user](1).fit(X, TARGETS)


def test_a_table_in_channel_major_order_is_refused_before_and_after_n_channels_is_set():
    columns = [f"{c}_{t}" for c in ("load", "temp") for t in range(3)]
    X = pd.DataFrame(TABLE, columns=columns)
    with pytest.raises(ValueError, match="name 2 channels"):
        PerTimestep(StandardScaler()).fit(X)
    with pytest.raises(ValueError, match="one channel before the next"):
        PerTimestep(StandardScaler(), n_channels=2).fit(X)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("form", [np.asarray, list])
def test_n_channels_must_not_contradict_the_channels_of_x(user, form):
    X = form(TABLE.reshape(4, 3, 2))
    with pytest.raises(ValueError, match="X has 2 channels in its last axis, but n_channels=3"):
        USERS[user](3).fit(X, TARGETS)
    USERS[user](2).fit(X, TARGETS)
    USERS[user](1).fit(X, TARGETS)
    # a model of a table reads sequences of the same channels
    if user in ("classifier", "regressor"):
        model = USERS[user](2).fit(TABLE, TARGETS)
        np.testing.assert_array_equal(model.predict(X), model.predict(TABLE))
