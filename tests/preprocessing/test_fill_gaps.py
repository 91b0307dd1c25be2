"""FillGaps beside a plain loop that follows its definition, NumPy's interp and SimpleImputer."""

import copy
import pickle
from itertools import product

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgru import GRUClassifier
from skgru.preprocessing import FillGaps, PerTimestep

D = 3
METHODS = ["interpolate", "forward", "mean"]
nan = np.nan


def with_gaps(X, seed=1, part=0.4):
    rng = np.random.default_rng(seed)
    return [np.where(rng.random(x.shape) < part, nan, x) for x in X]


COMPLETE = [np.random.default_rng(0).normal(2, 3, size=(n, D)) for n in (4, 1, 13, 2, 12, 7, 3)]
RAGGED = with_gaps(COMPLETE)
RAGGED[0][:, 1] = nan  # a channel without any observation
RAGGED[3][:] = nan  # and a whole sequence
MEANS = np.nanmean(np.concatenate(RAGGED), axis=0)


def reference(x, method, means):
    """Fill one sequence, value by value."""
    filled = x.copy()
    for t, c in np.argwhere(np.isnan(x)):
        before = [s for s in range(t) if not np.isnan(x[s, c])]
        after = [s for s in range(t, len(x)) if not np.isnan(x[s, c])]
        if method == "mean" or not (before or (after and method == "interpolate")):
            filled[t, c] = means[c]
        elif method == "forward" or not after:
            filled[t, c] = x[before[-1], c]
        elif not before:
            filled[t, c] = x[after[0], c]
        else:
            s, u = before[-1], after[0]
            filled[t, c] = x[s, c] + (x[u, c] - x[s, c]) * (t - s) / (u - s)
    return filled


def elapsed(x):
    steps = np.zeros(x.shape)
    for t, c in np.argwhere(np.isnan(x)):
        steps[t, c] = 0 if t == 0 else steps[t - 1, c] + 1
    return steps


def in_array(X, n_timesteps):
    array = np.full((len(X), n_timesteps, X[0].shape[1]), nan)
    for row, x in zip(array, X, strict=True):
        row[: len(x)] = x
    return array


@pytest.mark.parametrize("method", METHODS)
def test_gaps_are_filled_as_defined(method):
    filler = FillGaps(method).fit(RAGGED)
    np.testing.assert_allclose(filler.means_, MEANS)
    got = filler.transform(RAGGED)
    for x, own in zip(RAGGED, got, strict=True):
        np.testing.assert_allclose(own, reference(x, method, MEANS), rtol=1e-12)
        np.testing.assert_array_equal(own[~np.isnan(x)], x[~np.isnan(x)])
        # one by one, as no sample sees another
        np.testing.assert_array_equal(own, filler.transform([x])[0])


def test_interpolation_is_that_of_numpy():
    x = RAGGED[2]
    got = FillGaps().fit_transform(RAGGED)[2]
    for c in range(D):
        known = np.flatnonzero(~np.isnan(x[:, c]))
        want = np.interp(np.arange(len(x)), known, x[known, c])
        np.testing.assert_allclose(got[:, c], want, rtol=1e-12)


def test_the_mean_is_that_of_simple_imputer():
    want = PerTimestep(SimpleImputer(add_indicator=True)).fit_transform(RAGGED)
    got = FillGaps("mean", add_indicator=True).fit_transform(RAGGED)
    for x, own in zip(want, got, strict=True):
        np.testing.assert_allclose(own, x, rtol=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_appended_channels(method):
    X = [x.copy() for x in RAGGED]
    for x, complete in zip(X, COMPLETE, strict=True):
        x[:, 1] = complete[:, 1]  # a channel without gaps
    filled = FillGaps(method).fit_transform(X)
    for indicator, steps in product((False, True), repeat=2):
        filler = FillGaps(method, add_indicator=indicator, add_elapsed=steps).fit(X)
        assert filler.channels_with_gaps_.tolist() == [0, 2]
        for x, own, f in zip(X, filler.transform(X), filled, strict=True):
            parts = [f]
            if indicator:
                parts.append(np.isnan(x)[:, [0, 2]])
            if steps:
                parts.append(elapsed(x)[:, [0, 2]])
            np.testing.assert_array_equal(own, np.hstack(parts))


def test_gaps_where_training_had_none():
    """They are filled, and have no channel: as SimpleImputer does."""
    filler = FillGaps("forward", add_indicator=True, add_elapsed=True).fit(COMPLETE)
    imputer = PerTimestep(SimpleImputer(add_indicator=True)).fit(COMPLETE)
    means = np.concatenate(COMPLETE).mean(axis=0)
    assert filler.channels_with_gaps_.tolist() == []
    got, of_imputer = filler.transform(RAGGED), imputer.transform(RAGGED)
    for x, own, other in zip(RAGGED, got, of_imputer, strict=True):
        assert own.shape == other.shape == x.shape
        np.testing.assert_allclose(own, reference(x, "forward", means))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("appended", [False, True])
@pytest.mark.filterwarnings("ignore:FillGaps appends 6 channels:UserWarning")
def test_every_form(method, appended):
    X = np.stack(with_gaps(np.random.default_rng(2).normal(size=(5, 9, D))))
    X[:, -1, 0] = 0  # no padding
    X[1, 2] = nan
    before = X.copy()
    filler = FillGaps(method, add_indicator=appended, add_elapsed=appended, n_channels=D)
    want = np.stack(clone(filler).fit_transform([*X]))
    assert want.shape == (5, 9, 9 if appended else 3)
    np.testing.assert_array_equal(clone(filler).fit_transform(X), want)
    of_table = filler.fit_transform(X.reshape(5, -1))
    np.testing.assert_array_equal(of_table, want.reshape(5, -1))
    frames = [pd.DataFrame(x, columns=["a", "b", "c"]) for x in X]
    np.testing.assert_array_equal(clone(filler).fit_transform(frames), want)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("method", METHODS)
def test_padding_stays(method):
    X = [x.copy() for x in RAGGED]
    for x in X:
        x[-1, 0] = 5.0
    got = FillGaps(method).fit_transform(in_array(X, 15))
    np.testing.assert_array_equal(got, in_array(FillGaps(method).fit_transform(X), 15))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32"])
def test_dtypes(dtype):
    X = [x.astype(dtype) for x in (COMPLETE if dtype == "int32" else RAGGED)]
    expected = "float64" if dtype == "int32" else dtype
    filler = FillGaps(add_indicator=True, add_elapsed=True)
    assert {x.dtype.name for x in filler.fit_transform(X)} == {expected}
    assert filler.means_.dtype == np.float64


def test_nothing_overflows_or_leaves_the_interval():
    largest = np.finfo(float).max / 4  # the sum does not overflow
    x = np.full(12, nan)
    x[[0, 4, 11]] = -largest, largest, largest
    got = FillGaps().fit_transform([x, -x])[0].ravel()
    assert np.isfinite(got).all()
    assert (np.diff(got) >= 0).all()
    np.testing.assert_array_equal(got[4:], largest)
    x[[0, 4, 11]] = 0.1, 0.1, 0.3
    got = FillGaps().fit_transform([x])[0].ravel()
    np.testing.assert_array_equal(got[:5], 0.1)


@pytest.mark.parametrize("method", ["forward", "mean"])
def test_causal_methods_do_not_look_ahead(method):
    filler = FillGaps(method, add_indicator=True, add_elapsed=True).fit(RAGGED)
    x = RAGGED[2]
    whole = filler.transform([x])[0]
    for n in range(1, len(x)):
        np.testing.assert_array_equal(filler.transform([x[:n]])[0], whole[:n])


def test_without_gaps_nothing_changes():
    for method in METHODS:
        got = FillGaps(method, add_indicator=True, add_elapsed=True).fit_transform(COMPLETE)
        for x, own in zip(COMPLETE, got, strict=True):
            np.testing.assert_array_equal(own, x)
            assert not np.shares_memory(own, x)


@pytest.mark.filterwarnings("ignore:FillGaps appends 1 channels:UserWarning")
def test_feature_names():
    filler = FillGaps(add_indicator=True, add_elapsed=True).fit(RAGGED)
    names = ["a", "b", "c"]
    appended = [f"{what}_{name}" for what in ("missingindicator", "elapsed") for name in names]
    assert filler.get_feature_names_out(names).tolist() == names + appended
    frame = pd.DataFrame([[1, 2, 3, nan], [1, 2, 3, 4]], columns=["ax", "ay", "bx", "by"])
    filler = FillGaps("mean", add_indicator=True, n_channels=2).set_output(transform="pandas")
    got = filler.fit_transform(frame)
    indicators = ["missingindicator_ay", "missingindicator_by"]
    assert got.columns.tolist() == ["ax", "ay", indicators[0], "bx", "by", indicators[1]]
    np.testing.assert_array_equal(got[indicators], [[0, 1], [0, 0]])
    named = FillGaps(add_elapsed=True, n_channels=2)
    assert named.fit(frame.to_numpy()).get_feature_names_out().tolist() == [
        *("x0", "x1", "elapsed_x1", "x2", "x3", "elapsed_x3")
    ]


def test_a_table_warns_of_the_channels_that_come_out():
    table = np.array([[1.0, nan, 3.0], [4.0, 5.0, 6.0]])
    with pytest.warns(UserWarning, match="FillGaps appends 2 channels .*needs n_channels=3"):
        FillGaps(add_indicator=True, add_elapsed=True).fit(table)
    FillGaps().fit(table)
    FillGaps(add_indicator=True).fit(table[:, ::2])  # without gaps
    np.testing.assert_array_equal(FillGaps().fit_transform(table)[0], [1, 2, 3])


def test_estimators_learn_from_filled_sequences(ragged):
    X, y = ragged
    gaps = with_gaps(X, part=0.2)
    with pytest.raises(ValueError, match="contains NaN.* with skgru.preprocessing.FillGaps"):
        GRUClassifier().fit(gaps, y)
    model = make_pipeline(FillGaps(), GRUClassifier(8, max_iter=40, random_state=0))
    assert model.fit(gaps, y).score(gaps, y) > 0.9
    search = GridSearchCV(
        make_pipeline(FillGaps(), GRUClassifier(2, max_iter=1)),
        {"fillgaps__method": METHODS, "fillgaps__add_indicator": [False, True]},
        cv=2,
    )
    search.fit(gaps, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert "FillGaps" in model._repr_html_()


@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies(again):
    filler = FillGaps("forward", add_indicator=True).fit(RAGGED)
    for x, own in zip(filler.transform(RAGGED), again(filler).transform(RAGGED), strict=True):
        np.testing.assert_array_equal(own, x)
    with pytest.raises(NotFittedError):
        clone(filler).transform(RAGGED)


def test_what_is_refused():
    wrong = ({"method": "linear"}, {"add_indicator": 2}, {"add_elapsed": None}, {"n_channels": 0})
    for parameters in wrong:
        with pytest.raises(ValueError, match="parameter of FillGaps must be"):
            FillGaps(**parameters).fit(RAGGED)
    filler = FillGaps("mean").fit(RAGGED)
    before = vars(filler).copy()
    empty = [x.copy() for x in COMPLETE]
    for x in empty:
        x[:, 1] = nan
    with pytest.raises(ValueError, match="Channel 1 of X has no observed value.*Leave it out"):
        filler.fit(empty)
    frames = [pd.DataFrame(x, columns=["load", "wind", "sun"]) for x in empty]
    with pytest.raises(ValueError, match=r"Channel 1 \('wind'\) of X has no observed value"):
        filler.fit(frames)
    with pytest.raises(ValueError, match="Channel 0 of X has no observed"):
        FillGaps().fit(np.full((2, 3), nan))
    infinite = [np.zeros((4, D)), np.full((3, D), [[0], [nan], [np.inf]])]
    for method in (filler.fit, filler.transform):
        with pytest.raises(ValueError, match="Input X contains infinity.*X\\[1\\], time step 2"):
            method(infinite)
    with pytest.raises(ValueError, match="X has 2 channels, but FillGaps was fitted on .* 3"):
        filler.transform([np.zeros((4, 2))])
    assert vars(filler).keys() == before.keys()
    np.testing.assert_array_equal(filler.means_, before["means_"])


def test_tags():
    assert get_tags(FillGaps()).input_tags.allow_nan


# tables of unknown width on purpose
@pytest.mark.filterwarnings("ignore:FillGaps appends:UserWarning")
@parametrize_with_checks(
    [FillGaps(), FillGaps("forward", add_indicator=True, add_elapsed=True), FillGaps("mean")]
)
def test_check_estimator(estimator, check):
    check(estimator)
