"""Estimators with categorical_channels and embedding_dim: tokens, events, states of machines."""

import pickle
import re
from copy import deepcopy
from textwrap import dedent

import numpy as np
import pandas as pd
import pytest
from helpers import DOCS, small_classifier, small_regressor
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skgru.preprocessing import PerTimestep

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning"),
]

N, T = 20, 6
rng = np.random.default_rng(0)
KINDS = np.array(["idle", "run", "stop"])
CODES = rng.integers(0, 3, size=(N, T))
NUMBERS = rng.normal(size=(N, T, 2))
X = np.concatenate([CODES[:, :, np.newaxis], NUMBERS], axis=2)
Y = np.where((CODES == 1).sum(axis=1) > 1, "b", "a")
direct_or_embedded = pytest.mark.parametrize("embedding_dim", [None, 2])


def classifier(**parameters):
    return small_classifier(**{"categorical_channels": [0], "max_iter": 4, **parameters})


# ---- forms ---------------------------------------------------------------------------------------


def frames(kinds):
    return [
        pd.DataFrame({"kind": k, "a": x[:, 0], "b": x[:, 1]})
        for k, x in zip(kinds, NUMBERS, strict=True)
    ]


NAMES = KINDS[CODES]
FORMS = {
    "float array": (X, [0]),
    "negative index": (X, [-3]),
    "NumPy indices": (X, np.array([0])),
    "list": (list(X), (0,)),
    "table": (X.reshape(N, -1), [0]),
    "frame": (pd.DataFrame(X.reshape(N, -1)), [0]),
    "object array": (np.concatenate([NAMES[:, :, np.newaxis].astype(object), NUMBERS], 2), [0]),
    "nested lists": ([[[k, *x] for k, x in zip(ks, xs.tolist(), strict=True)]
                      for ks, xs in zip(NAMES.tolist(), NUMBERS, strict=True)], [0]),
    "frames": (frames(NAMES), ["kind"]),
    "frames of integers": (frames(CODES), ["kind"]),
    "frames of booleans beside": (
        [f.assign(kind=pd.Categorical(f["kind"])) for f in frames(NAMES)], ["kind"]),
    "from_dtype": (frames(NAMES), "from_dtype"),
    "Categorical": (
        [f.assign(kind=pd.Categorical(f["kind"])) for f in frames(NAMES)], "from_dtype"),
}  # fmt: skip


@direct_or_embedded
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_x_is_the_same_model(form, embedding_dim):
    given, channels = FORMS[form]
    n_channels = 3 if form in ("table", "frame") else 1
    model = classifier(
        categorical_channels=channels, n_channels=n_channels, embedding_dim=embedding_dim
    ).fit(given, Y)
    expected = classifier(embedding_dim=embedding_dim).fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(model.predict_proba(given), expected)


@pytest.mark.parametrize("dtype", ["Categorical", "Enum", "String"])
def test_frames_of_polars(dtype):
    pl = pytest.importorskip("polars")
    kind = {"Categorical": pl.Categorical, "Enum": pl.Enum(KINDS), "String": pl.String}[dtype]
    given = [
        pl.DataFrame(
            {"kind": k.tolist(), "a": x[:, 0], "b": x[:, 1]}, schema_overrides={"kind": kind}
        )
        for k, x in zip(NAMES, NUMBERS, strict=True)
    ]
    model = classifier(categorical_channels="from_dtype").fit(given, Y)
    np.testing.assert_array_equal(
        model.predict_proba(given), classifier().fit(X, Y).predict_proba(X)
    )


TOKENS = {
    "bytes": [c.astype(np.uint8) for c in CODES],
    "table of integers": CODES,
    "array of integers": CODES[:, :, np.newaxis],
    "lists of strings": NAMES.tolist(),
    "table of strings": NAMES,
    "frame of strings": pd.DataFrame(NAMES),
    "fewer and more steps": [[*row, *row[: i % 3]] for i, row in enumerate(NAMES.tolist())],
}


@direct_or_embedded
@pytest.mark.parametrize("tokens", TOKENS.values(), ids=TOKENS)
def test_sequences_of_tokens(tokens, embedding_dim):
    model = classifier(embedding_dim=embedding_dim, max_iter=60).fit(tokens, Y)
    assert model.score(tokens, Y) > 0.9


def test_sequences_of_tokens_alone_have_every_pooling():
    for options in ({"pooling": "last"}, {"pooling": "max"}, {"bidirectional": False}):
        for embedding_dim in (None, 2):
            model = classifier(embedding_dim=embedding_dim, max_iter=60, **options)
            assert model.fit(list(NAMES), Y).score(list(NAMES), Y) > 0.8


def test_padded_tokens_are_the_same_model():
    lengths = rng.integers(1, T + 1, N)
    ragged = [c[:n] for c, n in zip(CODES, lengths, strict=True)]
    padded = np.where(np.arange(T) < lengths[:, np.newaxis], CODES, np.nan)[:, :, np.newaxis]
    objects = padded.astype(object)
    objects[np.isnan(padded)] = None
    model = classifier().fit(ragged, Y)
    for given in (padded, objects):
        np.testing.assert_array_equal(
            classifier().fit(given, Y).predict_proba(given), model.predict_proba(ragged)
        )


# ---- meaning -------------------------------------------------------------------------------------


def rows_of(model):
    """Return the table of a fitted model: a row per category, then unknown, then missing."""
    inputs = model._network.views(model._network.parameters).inputs
    return inputs.embedding if inputs.embedding.size else inputs.tables[0]


@direct_or_embedded
def test_unknown_and_missing_categories_have_rows_of_their_own(embedding_dim):
    given = NAMES.astype(object)[:, :, np.newaxis]
    given[rng.random(given.shape) < 0.2] = None
    given[:, -1] = "stop"  # or they might be padding
    model = classifier(embedding_dim=embedding_dim).fit(list(given), Y)
    known, unknown, missing = np.split(rows_of(model), [3, 4])
    assert (known != 0).any(axis=1).all()
    assert (unknown == 0).all()  # fit has seen none
    assert (missing != 0).any()  # but some of these

    def proba(kind):
        x = given[0].copy()
        x[2] = kind
        return model.predict_proba([x])[0, 0]

    assert proba("restart") == proba("never seen")
    assert proba(None) == proba(np.nan)
    values = [proba(kind) for kind in (*KINDS, None, "restart")]
    assert len(set(values)) == 5
    # partial_fit then learns a row for all unknown ones
    given[:, 1] = "restart"
    model.partial_fit(list(given), Y)
    assert (rows_of(model)[3] != 0).any()


@direct_or_embedded
def test_rows_change_only_with_their_categories(embedding_dim):
    options = {"solver": "sgd", "alpha": 1.0, "embedding_dim": embedding_dim}
    model = classifier(max_iter=0, **options).fit(list(NAMES), Y)
    before = rows_of(model).copy()
    model.partial_fit([["idle", "run"], ["run"]], ["a", "b"])
    changed = (rows_of(model) != before).any(axis=1)
    np.testing.assert_array_equal(changed, [True, True, False, False, False])


def test_direct_rows_are_the_weights_of_one_hot_inputs():
    """Given the weights of a fit to categories, a network of one-hot inputs predicts the same."""
    model = classifier(dtype="float64", bidirectional=True).fit(X, Y)
    encoder = ColumnTransformer([("k", OneHotEncoder(), [0])], remainder="passthrough")
    onehot = PerTimestep(encoder).fit_transform(X)
    plain = small_classifier(dtype="float64", bidirectional=True, max_iter=0).fit(onehot, Y)
    for i, table in enumerate(model._network.views(model._network.parameters).inputs.tables):
        plain.layers_[i].W[:] = np.concatenate([table[:3], model.layers_[i].W])
        plain.layers_[i].U[:] = model.layers_[i].U
        plain.layers_[i].b[:] = model.layers_[i].b
    plain.head_.W[:], plain.head_.b[:] = model.head_
    np.testing.assert_allclose(plain.predict_proba(onehot), model.predict_proba(X), rtol=1e-12)


def test_an_embedding_has_fewer_parameters():
    tokens = np.arange(200).reshape(20, 10)
    n_parameters = {}
    for embedding_dim in (None, 4):
        model = classifier(embedding_dim=embedding_dim, bidirectional=False, max_iter=1)
        n_parameters[embedding_dim] = model.fit(tokens, Y).n_parameters_
        assert model.n_parameters_ == model._network.parameters.size
    # 202 rows of 3 * 8 weights, or of 4 numbers and 4 * 3 * 8 weights
    assert n_parameters[None] - n_parameters[4] == 202 * 24 - (202 * 4 + 4 * 24)


def test_codes_beside_gaps_and_times():
    times = rng.integers(1, 5, size=(N, T, 1)).cumsum(axis=1)
    data = np.concatenate([times, X], axis=2)
    data[:, :, 2:][rng.random(NUMBERS.shape) < 0.4] = np.nan
    for embedding_dim in (None, 2):
        model = classifier(
            categorical_channels=[1], time_channel=0, missing="decay", embedding_dim=embedding_dim,
            max_iter=60,
        ).fit(data, Y)  # fmt: skip
        assert model.score(data, Y) > 0.9


# ---- parameters ----------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [None, [], ()])
def test_an_embedding_without_categories_is_refused_with_the_remedy(channels):
    with pytest.raises(ValueError, match=r"embedding_dim=3 is for categories.*categorical_chan"):
        classifier(categorical_channels=channels, embedding_dim=3).fit(X, Y)


def test_no_categorical_channels_are_none():
    np.testing.assert_array_equal(
        classifier(categorical_channels=[]).fit(X, Y).predict_proba(X),
        classifier(categorical_channels=None).fit(X, Y).predict_proba(X),
    )
    numeric = [frame.drop(columns="kind") for frame in frames(NAMES)]
    classifier(categorical_channels="from_dtype").fit(numeric, Y).predict(numeric)


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ([3], "categorical_channels has channel 3, but X has 3 channels"),
        ([0, -3], r"categorical_channels=\[0, -3\] has a channel twice"),
        (["kind"], "channels of X have no names"),
        ([True, False, False], "must hold indices or names of channels, got True"),
        ("kind", "'categorical_channels' parameter"),
        (0, "'categorical_channels' parameter"),
        ("from_dtype", "needs a list of data frames"),
    ],
)
def test_channels_that_are_not_there_are_refused(channels, message):
    with pytest.raises(ValueError, match=message):
        classifier(categorical_channels=channels).fit(X, Y)


def test_the_time_is_no_category():
    with pytest.raises(ValueError, match="channel 0 is both time_channel and categorical"):
        classifier(time_channel=0, missing="decay").fit(X, Y)
    with_time = [f.assign(when=[f"{i}" for i in range(T)]) for f in frames(NAMES)]
    model = classifier(categorical_channels="from_dtype", time_channel="when", missing="decay")
    with pytest.raises(ValueError, match="must hold numbers, or datetimes"):
        model.fit(with_time, Y)


def test_numbers_beside_categories_must_be_finite():
    bad = X.copy()
    for value, what in ((np.nan, "NaN"), (np.inf, "infinity"), (1e39, "too large for float32")):
        bad[2, 3, 1] = value
        with pytest.raises(ValueError, match=rf"{what}.*X\[2\], time step 3, channel 1"):
            classifier().fit(bad, Y)


def test_names_of_other_frames_are_compared():
    model = classifier(categorical_channels=["kind"]).fit(frames(NAMES), Y)
    with pytest.raises(ValueError, match="feature names"):
        model.predict([f.rename(columns={"kind": "state"}) for f in frames(NAMES)])


# ---- training ------------------------------------------------------------------------------------


@direct_or_embedded
def test_threads_do_not_change_a_bit(embedding_dim):
    data, y = np.tile(X, (8, 20, 1)), np.tile(Y, 8)
    options = {"batch_size": 160, "max_iter": 2, "hidden_layer_sizes": 32}
    fits = [
        classifier(n_jobs=n, embedding_dim=embedding_dim, **options).fit(data, y) for n in (1, 2)
    ]
    np.testing.assert_array_equal(fits[0]._network.parameters, fits[1]._network.parameters)
    np.testing.assert_array_equal(fits[0].predict_proba(data), fits[1].predict_proba(data))


@direct_or_embedded
@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd", "rmsprop", "lbfgs"])
def test_every_solver_lowers_the_loss(solver, embedding_dim):
    model = classifier(
        solver=solver, embedding_dim=embedding_dim, max_iter=15, learning_rate_init=0.01
    ).fit(X, Y)
    assert model.loss_curve_[-1] < model.loss_curve_[0]


@pytest.mark.parametrize("n_categories", [254, 255, 65_534, 65_535])
def test_numbers_of_categories_at_the_limits_of_integers(n_categories):
    codes = np.arange(n_categories)
    model = classifier(
        hidden_layer_sizes=1, cell="rnn", return_sequences=True, bidirectional=False, max_iter=1
    ).fit([codes, codes[:2]], [codes % 2, codes[:2]])
    sequence = np.array([0, n_categories - 1, n_categories, np.nan])
    known, last, unknown, missing = model._check_X([sequence], reset=False, dtype="f").codes.ravel()
    assert [known, last, unknown, missing] == [0, n_categories - 1, n_categories, n_categories + 1]
    stream = model.stream()
    streamed = [stream.step_proba([value]) for value in sequence]
    np.testing.assert_allclose(model.predict_proba([sequence])[0], streamed, rtol=1e-5)


def test_early_stopping_validation_data_and_windows():
    assert len(classifier(early_stopping=True).fit(X, Y).validation_scores_) == 4
    # validation data may have categories that the training data lack
    model = classifier().fit(X, Y, X_val=X[:8] + 1, y_val=Y[:8])
    assert len(model.validation_scores_) == 4
    by_step = small_regressor(
        categorical_channels=[0], return_sequences=True, bptt_steps=2, max_iter=30,
        learning_rate_init=0.02,
    ).fit(X, list(CODES == 1))  # fmt: skip
    assert by_step.score(X, list(CODES == 1)) > 0.9


@direct_or_embedded
def test_a_weight_of_two_is_a_sample_twice(embedding_dim):
    options = {"solver": "lbfgs", "dtype": "float64", "alpha": 0, "max_iter": 5}
    options["embedding_dim"] = embedding_dim
    weight = np.repeat([2, 1], N // 2)
    twice = np.r_[np.arange(N // 2), np.arange(N)]
    weighted = classifier(**options).fit(X, Y, sample_weight=weight)
    repeated = classifier(**options).fit(X[twice], Y[twice])
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-6)


@direct_or_embedded
def test_lbfgs_merges_samples_of_the_same_categories_only(embedding_dim):
    # no channel is a number, so that nothing but the categories tells the samples apart
    tokens = [list("AAAA"), list("CCC"), list("GGGG"), list("TTTTT")]
    model = classifier(solver="lbfgs", embedding_dim=embedding_dim, max_iter=50)
    model.fit(2 * tokens, 2 * [0, 0, 1, 1])
    assert model.t_ == 4 * model.n_iter_
    np.testing.assert_allclose(model.predict_proba(tokens)[:, 1], [0, 0, 1, 1], atol=0.01)


@pytest.mark.parametrize(
    "change",
    [
        {"categorical_channels": None, "embedding_dim": None},
        {"categorical_channels": [1]},
        {"categorical_channels": [0, 1]},
        {"embedding_dim": None},
        {"embedding_dim": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("how", ["warm_start", "partial_fit"])
def test_another_meaning_of_channels_cannot_be_continued(change, how):
    model = classifier(warm_start=True, embedding_dim=2).fit(X, Y)
    before = model.predict_proba(X)
    model.set_params(**change)
    name = next(iter(change))
    with pytest.raises(ValueError, match=f"{name}=.* differs from .* of the fitted model"):
        model.fit(X, Y) if how == "warm_start" else model.partial_fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_the_same_channels_by_another_name_can_be_continued():
    model = classifier(warm_start=True, max_iter=1).fit(frames(NAMES), Y)
    for channels in (["kind"], [-3], "from_dtype"):
        model.set_params(categorical_channels=channels).partial_fit(frames(NAMES), Y)
    without_names = np.concatenate([NAMES[:, :, np.newaxis].astype(object), NUMBERS], axis=2)
    model.set_params(categorical_channels=["kind"])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.fit(list(without_names), Y)
    assert model.n_iter_ == 5


def test_a_failed_fit_leaves_the_estimator_as_it_was():
    model = classifier().fit(X, Y)
    before, proba = deepcopy(vars(model)), model.predict_proba(X)
    before_channels = model._channels
    mixed = X.astype(object)
    mixed[1, 2, 0] = "a"
    for bad, y in ((mixed, Y), (X + 1, Y[:-1])):
        with pytest.raises(ValueError):  # noqa: PT011 (each its own)
            model.fit(bad, y)
        assert vars(model).keys() == before.keys()
        assert model._channels is before_channels
        np.testing.assert_array_equal(
            model._channels.categories[0], before["_channels"].categories[0]
        )
        np.testing.assert_array_equal(model.predict_proba(X), proba)


# ---- scikit-learn --------------------------------------------------------------------------------


@direct_or_embedded
def test_clone_and_pickle(embedding_dim):
    model = classifier(embedding_dim=embedding_dim, categorical_channels=["kind"])
    given = frames(NAMES)
    assert clone(model).get_params() == model.get_params()
    model.fit(given, Y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(given), model.predict_proba(given))
    again.partial_fit(given, Y)
    model.partial_fit(given, Y)
    np.testing.assert_array_equal(again.predict_proba(given), model.predict_proba(given))


def test_search_over_the_embedding():
    search = GridSearchCV(
        classifier(), {"embedding_dim": [None, 2, 3]}, cv=2, error_score="raise"
    ).fit(X, Y)
    assert search.best_estimator_.embedding_dim in (None, 2, 3)


def test_a_pipeline_scales_the_numbers_alone():
    encoder = ColumnTransformer([("scale", StandardScaler(), [1, 2])], remainder="passthrough")
    model = make_pipeline(PerTimestep(encoder), classifier(categorical_channels=[2])).fit(X, Y)
    scaled = np.concatenate([X[:, :, :1], PerTimestep(StandardScaler()).fit_transform(NUMBERS)], 2)
    np.testing.assert_allclose(
        model.predict_proba(X), classifier().fit(scaled, Y).predict_proba(scaled), rtol=1e-3
    )


def test_facts_that_do_not_change_repeat_as_channels():
    """The recipe of the guide: age and sex of a patient, beside each time step."""
    age, sex = rng.uniform(20, 80, N), rng.choice(["f", "m"], N)
    y = np.where(sex == "f", "a", "b")
    with_facts = [
        np.column_stack([x.astype(object), np.repeat(a, len(x)), np.repeat(s, len(x))])
        for x, a, s in zip(NUMBERS, (age - 50) / 20, sex, strict=True)
    ]
    model = small_classifier(categorical_channels=[3], max_iter=60).fit(with_facts, y)
    assert model.score(with_facts, y) == 1


def test_the_page_runs():
    text = (DOCS / "categories.rst").read_text()
    blocks = re.findall(r"^\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text, re.MULTILINE)
    assert len(blocks) == 2
    for block in blocks:
        names = {}
        exec(compile(dedent(block), "categories.rst", "exec"), names)
        assert names["model"].n_iter_ > 0
