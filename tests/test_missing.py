"""Estimators with missing="decay": every form of X, and what scikit-learn does with them."""

import pickle
import warnings
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from helpers import QUICK_FIT, run_snippets, small_classifier, small_regressor
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgru import GRUClassifier, GRURegressor
from skgru.preprocessing import PerTimestep

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning"),
]

N, T, D = 20, 6, 3
NAN = np.nan
rng = np.random.default_rng(0)
COMPLETE = rng.normal(size=(N, T, D))
X = np.where(rng.random(COMPLETE.shape) < 0.4, NAN, COMPLETE)
X[:, -1, 0] = COMPLETE[:, -1, 0]  # or the last step might be padding
Y = np.where(np.nanmean(X[:, :, 0], axis=1) > 0, "up", "down")
TIMES = rng.integers(1, 5, size=(N, T, 1)).cumsum(axis=1).astype(float)
SHORT = {"missing": "decay", "max_iter": 4}


def classifier(**parameters):
    return small_classifier(**{**SHORT, **parameters})


# ---- forms ---------------------------------------------------------------------------------------

NAMES = list("abc")
FORMS = {
    "list": list(X),
    "tuple": tuple(X),
    "object array": np.array([*list(X), None], dtype=object)[:-1],
    "table": X.reshape(N, -1),
    "frame": pd.DataFrame(X.reshape(N, -1)),
    "frames": [pd.DataFrame(x, columns=NAMES) for x in X],
    "nullable frames": [pd.DataFrame(x, columns=NAMES).convert_dtypes() for x in X],
    "lists with None": [[[None if v != v else v for v in row] for row in x] for x in X.tolist()],
    "objects with NA": [pd.DataFrame(x).astype(object).where(~np.isnan(x), pd.NA).to_numpy()
                        for x in X],
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_every_form_of_x_is_the_same_model(form, bidirectional):
    with_array = classifier(bidirectional=bidirectional).fit(X, Y)
    n_channels = D if form in ("table", "frame") else 1
    model = classifier(bidirectional=bidirectional, n_channels=n_channels).fit(FORMS[form], Y)
    expected = with_array.predict_proba(X)
    np.testing.assert_array_equal(model.predict_proba(FORMS[form]), expected)


def test_frames_of_polars():
    pl = pytest.importorskip("polars")
    frames = [pl.DataFrame(x, schema=NAMES, nan_to_null=True) for x in X]
    assert frames[0].null_count().sum_horizontal().item() > 0
    model = classifier().fit(frames, Y)
    np.testing.assert_array_equal(
        model.predict_proba(frames), classifier().fit(X, Y).predict_proba(X)
    )


def test_padding_changes_nothing():
    lengths = rng.integers(2, T + 1, N)
    lengths[0] = T
    ragged = [x[:n].copy() for x, n in zip(X, lengths, strict=True)]
    for x in ragged:
        x[-1, 0] = 1.0
    padded = np.full((N, T + 2, D), NAN)
    for row, x in zip(padded, ragged, strict=True):
        row[: len(x)] = x
    model = classifier().fit(ragged, Y)
    np.testing.assert_array_equal(
        model.predict_proba(padded), classifier().fit(padded, Y).predict_proba(ragged)
    )


@pytest.mark.parametrize("by", ["index", "negative index", "name", "datetime", "zone"])
def test_time_by_index_or_name(by):
    with_time = np.concatenate([X, TIMES], axis=2)
    expected = classifier(time_channel=3).fit(with_time, Y).predict_proba(with_time)
    given, channel = with_time, -1
    if by not in ("index", "negative index"):
        given, channel = [pd.DataFrame(x, columns=[*NAMES, "when"]) for x in with_time], "when"
        if by != "name":
            start = pd.Timestamp("2020-10-24", tz="Europe/Berlin" if by == "zone" else None)
            for frame in given:
                frame["when"] = start + pd.to_timedelta(frame["when"], "h")
    model = classifier(time_channel=channel).fit(given, Y)
    np.testing.assert_allclose(model.predict_proba(given), expected, rtol=1e-5)


@pytest.mark.parametrize("form", ["array", "objects", "frames"])
@pytest.mark.parametrize("start", [0, 1_700_000_000_000_000_000, -(2**60) - 1])
def test_integers_that_floats_do_not_hold_count_from_the_start(start, form):
    """Nanoseconds since 1970 with steps of a few, which float64 rounds to 256."""
    times = np.cumsum(np.random.default_rng(0).integers(0, 9, (N, T)), axis=1)
    times -= times[:, :1]
    counts = np.random.default_rng(1).integers(0, 5, (N, T))

    def proba(times):
        data = np.dstack([times, counts])
        if form == "frames":
            data = [pd.DataFrame({"when": x[:, 0], "count": x[:, 1] / 1.0}) for x in data]
        return classifier(time_channel=0).fit(data, Y).predict_proba(data)

    given = times + start
    given = given.astype(object) if form == "objects" else given
    np.testing.assert_array_equal(proba(given), proba(times))


def test_the_unit_of_time_changes_nothing_and_its_course_does():
    def proba(times):
        data = np.concatenate([times, X], axis=2)
        return classifier(time_channel=0).fit(data, Y).predict_proba(data)

    expected = proba(TIMES)
    np.testing.assert_allclose(proba(3600 * TIMES + 1e6), expected, rtol=1e-4)
    assert np.abs(proba(TIMES**2) - expected).max() > 1e-4


# ---- meaning -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", range(T))
@pytest.mark.parametrize("channel", range(D))
def test_every_value_and_its_absence_matter(step, channel):
    model = classifier(bidirectional=False).fit(X, Y)
    x = COMPLETE[:1].copy()
    expected = model.predict_proba(x)
    for value in (5.0, NAN):
        x[0, step, channel] = value
        assert (model.predict_proba(x) != expected).any()


def test_a_gap_is_not_the_mean():
    """The mask tells a missing value from an observed one that equals the mean."""
    model = classifier(max_iter=20).fit(X, Y)
    x = COMPLETE[:1].copy()
    x[0, 0, 1] = model._channels.means[1]
    filled = model.predict_proba(x)
    x[0, 0, 1] = NAN
    assert (model.predict_proba(x) != filled).any()


def test_a_channel_may_be_missing_wholly_in_a_sequence_or_at_predict():
    sparse = X.copy()
    sparse[3, :, 1] = NAN
    sparse[4, :-1] = NAN
    model = classifier().fit(sparse, Y)
    sparse[:, :, 2] = NAN
    assert np.isfinite(model.predict_proba(sparse)).all()


def test_a_channel_that_is_never_observed_is_refused():
    empty = X.copy()
    empty[:, :, 2] = NAN
    with pytest.raises(ValueError, match="Channel 2 has no observed value; leave it out of X"):
        classifier().fit(empty, Y)


def test_values_after_a_missing_start_are_learned():
    """A model of gaps tells by the last value alone what comes, although most are missing."""
    data = np.full((200, 12, 1), NAN)
    target = np.random.default_rng(1).normal(size=200)
    data[np.arange(200), np.random.default_rng(2).integers(0, 12, 200), 0] = target
    data = list(data)
    model = small_regressor(missing="decay", hidden_layer_sizes=16, learning_rate_init=0.01)
    assert (
        model.set_params(max_iter=60).fit(data[:150], target[:150]).score(data[150:], target[150:])
        > 0.9
    )


# ---- parameters against each other ---------------------------------------------------------------


def test_nan_is_refused_without_decay_and_the_message_names_it():
    with pytest.raises(ValueError, match='Input X contains NaN.*FillGaps, or set missing="decay"'):
        small_classifier().fit(X, Y)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_refused(value):
    bad = X.copy()
    bad[2, 3, 1] = value
    with pytest.raises(ValueError, match=r"infinity.*X\[2\], time step 3, channel 1"):
        classifier().fit(bad, Y)
    model = classifier().fit(X, Y)
    with pytest.raises(ValueError, match=r"infinity.*X\[2\], time step 3, channel 1"):
        model.predict(bad)


def test_time_without_decay_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r'time_channel=0 is for missing="decay".*leave the time'):
        small_classifier(time_channel=0).fit(COMPLETE, Y)


def test_decay_of_categories_alone_is_refused():
    with pytest.raises(ValueError, match="is for channels that are numbers, and X has none"):
        classifier(categorical_channels=[0, 1, 2]).fit(np.ones((N, T, D), int), Y)


def test_other_numbers_of_channels_are_refused_at_predict():
    model = classifier().fit(X, Y)
    with pytest.raises(ValueError, match="2 channels"):
        model.predict(X[:, :, :2])


# ---- training ------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", [{}, {"bidirectional": False, "time_channel": 0}])
def test_threads_do_not_change_a_bit(parameters):
    data = np.tile(X, (8, 20, 1))
    if parameters:
        data[:, :, 0] = np.arange(data.shape[1])
    fits = [
        classifier(n_jobs=n, batch_size=160, max_iter=2, hidden_layer_sizes=32, **parameters).fit(
            data, np.tile(Y, 8)
        )
        for n in (1, 2)
    ]
    np.testing.assert_array_equal(fits[0]._network.parameters, fits[1]._network.parameters)
    np.testing.assert_array_equal(fits[0].predict_proba(data), fits[1].predict_proba(data))


@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd", "rmsprop", "lbfgs"])
@pytest.mark.parametrize("cell", ["gru", "rnn", "lstm", "mgu"])
def test_every_solver_lowers_the_loss(solver, cell):
    model = classifier(solver=solver, cell=cell, max_iter=15, learning_rate_init=0.01).fit(X, Y)
    assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_early_stopping_and_validation_data():
    model = classifier(early_stopping=True, max_iter=3).fit(X, Y)
    assert len(model.validation_scores_) == 3
    model = classifier(max_iter=3).fit(X, Y, X_val=X[:8], y_val=Y[:8])
    assert len(model.validation_scores_) == 3


def test_truncated_backpropagation_starts_at_the_same_outputs():
    """Only gradients are cut: before any update, outputs do not depend on windows."""
    options = {"bidirectional": False, "return_sequences": True, "random_state": 0}
    targets = [np.nan_to_num(x[:, 0]) for x in X]
    fits = [
        GRURegressor(4, missing="decay", bptt_steps=steps, max_iter=n, **options).fit(X, targets)
        for n in (0, 3)
        for steps in (None, 2)
    ]
    predictions = [np.array(fit.predict(X)) for fit in fits]
    np.testing.assert_array_equal(predictions[0], predictions[1])
    assert (predictions[2] != predictions[3]).any()
    assert all(fit.loss_curve_[-1] < fit.loss_curve_[0] for fit in fits[2:])


def test_a_weight_of_two_is_a_sample_twice():
    """But for the means, which count time steps: so both continue a fit that has learned them."""
    start = classifier(solver="lbfgs", dtype="float64", alpha=0, warm_start=True, max_iter=0)
    start.fit(X, Y)
    weight = np.repeat([2, 1], N // 2)
    twice = np.r_[np.arange(N // 2), np.arange(N)]
    weighted = deepcopy(start).set_params(max_iter=5).fit(X, Y, sample_weight=weight)
    repeated = deepcopy(start).set_params(max_iter=5).fit(X[twice], Y[twice])
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-6)


def test_warm_start_goes_on_and_partial_fit_too():
    model = classifier(warm_start=True, max_iter=2).fit(X, Y)
    means = model._channels.means
    model.fit(X + 10, Y)
    assert model.n_iter_ == 4
    np.testing.assert_array_equal(model._channels.means, means)  # learned once
    in_parts = classifier().partial_fit(X[:10], Y[:10], classes=["down", "up"])
    in_parts.partial_fit(X[10:], Y[10:])
    assert in_parts.n_iter_ == 2


@pytest.mark.parametrize("change", [{"missing": "error"}, {"time_channel": 0}])
@pytest.mark.parametrize("how", ["warm_start", "partial_fit"])
def test_another_meaning_of_channels_cannot_be_continued(change, how):
    data = np.concatenate([TIMES, X], axis=2)
    model = classifier(warm_start=True).fit(data, Y)
    model.set_params(**change)
    name = next(iter(change))
    with pytest.raises(ValueError, match=f"{name}=.* differs from .* of the fitted model"):
        model.fit(data, Y) if how == "warm_start" else model.partial_fit(data, Y)


def test_a_failed_fit_leaves_the_estimator_as_it_was():
    model = classifier().fit(X, Y)
    before, proba = deepcopy(vars(model)), model.predict_proba(X)
    empty = X.copy()
    empty[:, :, 2] = NAN
    for bad, y in ((empty, Y), (X, Y[:-1]), (X[:, :, :2], Y[:3])):
        with pytest.raises(ValueError):  # noqa: PT011 (each its own)
            model.fit(bad, y)
        assert vars(model).keys() == before.keys()
        np.testing.assert_array_equal(model._channels.means, before["_channels"].means)
        np.testing.assert_array_equal(model.predict_proba(X), proba)
    new = classifier()
    with pytest.raises(ValueError, match="no observed value"):
        new.fit(empty, Y)
    assert "_channels" not in vars(new)


# ---- scikit-learn --------------------------------------------------------------------------------


def test_clone_and_pickle():
    model = classifier(time_channel=0)
    data = np.concatenate([TIMES, X], axis=2)
    assert clone(model).get_params() == model.get_params()
    model.fit(data, Y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(data), model.predict_proba(data))
    again.partial_fit(data, Y)
    model.partial_fit(data, Y)
    np.testing.assert_array_equal(again.predict_proba(data), model.predict_proba(data))


def test_search_over_missing():
    search = GridSearchCV(
        small_classifier(max_iter=2), {"missing": ["error", "decay"]}, cv=2, error_score="raise"
    ).fit(COMPLETE, Y)
    assert search.best_estimator_.missing in ("error", "decay")
    assert np.isfinite(cross_val_score(classifier(), X, Y, cv=2)).all()


def test_a_pipeline_scales_what_is_observed():
    pipeline = make_pipeline(PerTimestep(StandardScaler()), classifier())
    scaled = (X - np.nanmean(X, axis=(0, 1))) / np.nanstd(X, axis=(0, 1))
    np.testing.assert_allclose(
        pipeline.fit(X, Y).predict_proba(X), classifier().fit(scaled, Y).predict_proba(scaled),
        rtol=1e-3,
    )  # fmt: skip


@pytest.mark.parametrize("apart", [False, True])
def test_a_pipeline_may_scale_the_time_or_leave_it(apart):
    data = np.concatenate([X, TIMES], axis=2)
    scale = StandardScaler()
    if apart:
        scale = ColumnTransformer([("scale", scale, [0, 1, 2])], remainder="passthrough")
    model = make_pipeline(PerTimestep(scale), classifier(time_channel=3)).fit(data, Y)
    scaled = PerTimestep(StandardScaler()).fit_transform(X)
    expected = np.concatenate([scaled, TIMES], axis=2)
    np.testing.assert_allclose(
        model.predict_proba(data),
        classifier(time_channel=3).fit(expected, Y).predict_proba(expected),
        rtol=1e-3,
    )


EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "minibatches differ, and means count time "
    "steps and not weights"
}


@parametrize_with_checks(
    [
        GRUClassifier(16, missing="decay", **QUICK_FIT),
        GRURegressor(16, missing="decay", **QUICK_FIT),
    ],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [GRUClassifier(16, missing="decay"), GRURegressor(16, missing="decay")],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_check_estimator_with_defaults(estimator, check):
    check(estimator)


def test_the_class_documents_it():
    for cls in (GRUClassifier, GRURegressor):
        for name in ("missing", "time_channel", "categorical_channels", "embedding_dim"):
            assert f"\n{name} : " in cls.__doc__
    assert "GRU-D" in GRUClassifier.__doc__


@pytest.mark.parametrize("title", ["Uneven times", "Facts that do not change"])
def test_the_page_runs(title):
    names = run_snippets("missing_values.rst", title)
    assert names["model"].score(names["X"], names["y"]) > 0.7


# ---- scorers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("held_out", [True, False])
@pytest.mark.parametrize(
    ("parameters", "channels"),
    [
        ({"missing": "decay"}, lambda rng: np.where(rng.random(2) < 0.3, NAN, rng.normal(size=2))),
        (
            {"missing": "decay", "time_channel": 0, "categorical_channels": [1]},
            lambda rng: [rng.random(), ["walk", "run"][rng.integers(2)], rng.normal()],
        ),
        ({"categorical_channels": [0], "embedding_dim": 2}, lambda rng: [rng.integers(5)]),
    ],
    ids=["decay", "decay, words and times", "tokens"],
)
def test_scorers_of_early_stopping_get_x_as_it_was_given(parameters, channels, held_out):
    """The negative log-loss of scikit-learn is that of training, without its penalty."""
    rng = np.random.default_rng(0)
    X = [np.array([channels(rng) for _ in range(rng.integers(3, 7))], object) for _ in range(80)]
    if "time_channel" in parameters:
        for x in X:
            x[:, 0] = np.sort(x[:, 0])
    y = np.arange(80) % 2
    scores = []
    for scoring in ("loss", "neg_log_loss"):
        gru = GRUClassifier(
            4, **parameters, scoring=scoring, early_stopping=True, validation_fraction=0.3,
            max_iter=3, random_state=0, dtype="float64",
        )  # fmt: skip
        given = {} if held_out else {"X_val": X[:20], "y_val": y[:20]}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores.append(gru.fit(X, y, **given).validation_scores_)
    np.testing.assert_allclose(*scores, rtol=1e-9)
