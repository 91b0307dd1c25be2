"""Patches beside a plain loop that follows their definition."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgru import GRUClassifier
from skgru.preprocessing import Patches, PerTimestep

RNG = np.random.default_rng(0)
D = 3
RAGGED = [RNG.normal(size=(n, D)) for n in (4, 1, 13, 2, 12, 7, 3)]
SIZES = [(1, 1), (3, 1), (3, 2), (3, 3), (4, 3), (5, 2), (20, 7)]


def reference(x, size, stride):
    """Patches of one sequence, step by step."""
    patches, begin = [], 0
    while True:
        steps = [x[min(t, len(x) - 1)] for t in range(begin, begin + size)]
        patches.append(np.concatenate(steps))
        if begin + size >= len(x):
            return np.array(patches)
        begin += stride


def padded(X, n_timesteps):
    array = np.full((len(X), n_timesteps, X[0].shape[1]), np.nan)
    for row, x in zip(array, X, strict=True):
        row[: len(x)] = x
    return array


@pytest.mark.parametrize(("size", "stride"), SIZES)
def test_they_are_those_of_the_definition(size, stride):
    patches = Patches(size, stride).fit(RAGGED)
    got = patches.transform(RAGGED)
    assert len(got) == len(RAGGED)
    for x, own in zip(RAGGED, got, strict=True):
        assert len(own) == 1 + -(-max(len(x) - size, 0) // stride)
        np.testing.assert_array_equal(own, reference(x, size, stride))
        # one by one, as no sample sees another
        np.testing.assert_array_equal(own, patches.transform([x])[0])


@pytest.mark.parametrize(("size", "stride"), SIZES)
def test_every_form_has_the_same_patches(size, stride):
    X = RNG.normal(size=(5, 9, D))
    expected = np.array([reference(x, size, stride) for x in X])
    of_array = Patches(size, stride).fit_transform(X)
    np.testing.assert_array_equal(of_array, expected)
    of_list = Patches(size, stride).fit_transform(list(X))
    np.testing.assert_array_equal(of_list, expected)
    of_table = Patches(size, stride, n_channels=D).fit_transform(X.reshape(5, -1))
    np.testing.assert_array_equal(of_table, expected.reshape(5, -1))


@pytest.mark.parametrize(("size", "stride"), SIZES)
@pytest.mark.parametrize("longer", [0, 1, 5])
def test_padding_changes_nothing(size, stride, longer):
    X = padded(RAGGED, 13 + longer)
    got = Patches(size, stride).fit_transform(X)
    own = [reference(x, size, stride) for x in RAGGED]
    n_patches = len(reference(X[0], size, stride))
    np.testing.assert_array_equal(got, padded(own, n_patches))
    assert Patches().fit(X).size_ == Patches().fit(RAGGED).size_


@pytest.mark.parametrize(("size", "stride"), SIZES)
def test_every_step_counts_and_no_other_sequence_does(size, stride):
    patches = Patches(size, stride).fit(RAGGED)
    before = patches.transform(RAGGED)
    for i, x in enumerate(RAGGED):
        for t in range(len(x)):
            changed = [x.copy() for x in RAGGED]
            changed[i][t] += 1
            after = patches.transform(changed)
            differs = [not np.array_equal(a, b) for a, b in zip(after, before, strict=True)]
            assert differs == [k == i for k in range(len(RAGGED))]


@pytest.mark.parametrize(("size", "stride"), SIZES)
def test_complete_patches_do_not_depend_on_what_follows(size, stride):
    x = RNG.normal(size=(25, D))
    patches = Patches(size, stride).fit([x])
    whole = patches.transform([x])[0]
    for n in range(1, 26):
        so_far = patches.transform([x[:n]])[0]
        complete = max(0, (n - size) // stride + 1)
        assert len(so_far) - complete in (0, 1)
        np.testing.assert_array_equal(so_far[:complete], whole[:complete])


@pytest.mark.parametrize(
    ("lengths", "size", "stride"),
    [
        ((1, 1, 1), 1, 1),
        ((7, 7, 7), 1, 1),
        ((40, 41, 2000), 5, 1),
        ((64,), 8, 2),
        ((128,), 16, 4),
        ((5000,), 16, 4),
    ],
)
def test_auto_depends_on_the_lengths_alone(lengths, size, stride):
    X = [RNG.normal(size=(n, D)) for n in lengths]
    patches = Patches().fit(X)
    assert (patches.size_, patches.stride_) == (size, stride)
    other = Patches().fit([1e6 * RNG.normal(size=(n, 1)) for n in lengths])
    assert (other.size_, other.stride_) == (size, stride)
    assert Patches(12).fit(X).stride_ == 3
    assert Patches(2).fit(X).stride_ == 1


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("form", ["list", "array", "padded", "table"])
def test_dtypes(form, dtype):
    X = np.arange(24).reshape(2, 4, 3).astype(dtype)
    X = {"list": [*X], "array": X, "padded": X, "table": X.reshape(2, -1)}[form]
    if form == "padded" and dtype != "int32":
        X[1, 3:] = np.nan
    got = Patches(2, 1, n_channels=3).fit_transform(X)
    expected = "float32" if dtype == "float32" else "float64"
    assert {x.dtype.name for x in got} == {expected}


def test_missing_values_stay_where_they_are():
    X = [x.copy() for x in RAGGED]
    X[2][[1, 12], [0, 2]] = np.nan
    for x, own in zip(X, Patches(4, 2).fit_transform(X), strict=True):
        np.testing.assert_array_equal(own, reference(x, 4, 2))


def test_x_is_left_alone():
    X = RNG.normal(size=(5, 9, D))
    before = X.copy()
    got = Patches(3, 2).fit_transform(X)
    got[:] = 0
    np.testing.assert_array_equal(X, before)


def test_feature_names():
    patches = Patches(2, 1).fit(RAGGED)
    names = ["t0_x0", "t0_x1", "t0_x2", "t1_x0", "t1_x1", "t1_x2"]
    assert patches.get_feature_names_out().tolist() == names
    frame = pd.DataFrame(RNG.normal(size=(4, 6)), columns=["ax", "ay", "bx", "by", "cx", "cy"])
    patches = Patches(2, 2, n_channels=2).fit(frame)
    assert patches.feature_names_in_.tolist() == frame.columns.tolist()
    table = patches.set_output(transform="pandas").transform(frame)
    assert table.columns.tolist() == [
        *("p0_t0_ax", "p0_t0_ay", "p0_t1_bx", "p0_t1_by"),
        *("p1_t0_cx", "p1_t0_cy", "p1_t1_cx", "p1_t1_cy"),
    ]
    for name in table:
        np.testing.assert_array_equal(table[name], frame[name.rsplit("_")[-1]])


def test_a_table_with_auto_warns_of_the_channels_that_come_out():
    table = RNG.normal(size=(4, 80))
    with pytest.warns(UserWarning, match="needs n_channels=10"):
        patches = Patches().fit(table)
    assert patches.transform(table).shape == (4, 36 * 10)
    Patches(10, 2).fit(table)
    assert Patches().fit_transform(table[:, :, np.newaxis]).shape == (4, 36, 10)


def test_a_pipeline_learns_from_them(ragged):
    X, y = ragged
    model = make_pipeline(
        PerTimestep(StandardScaler()), Patches(3, 1), GRUClassifier(8, random_state=0)
    )
    assert model.fit(X, y).score(X, y) > 0.9


@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies(again):
    patches = again(Patches().fit(RAGGED))
    for x, own in zip(RAGGED, patches.transform(RAGGED), strict=True):
        np.testing.assert_array_equal(own, reference(x, patches.size_, patches.stride_))
    with pytest.raises(NotFittedError):
        clone(patches).transform(RAGGED)


def test_what_is_refused():
    for size, stride in ((0, 1), (2.0, 1), ("long", 1), (None, 1), (2, 0), (2, "short")):
        with pytest.raises(ValueError, match="parameter of Patches must be"):
            Patches(size, stride).fit(RAGGED)
    with pytest.raises(ValueError, match="stride=4 is longer than size=3; steps between"):
        Patches(3, 4).fit(RAGGED)
    with pytest.raises(ValueError, match="stride=4 is longer than size=1, which 'auto' chose"):
        Patches(stride=4).fit(RAGGED)
    patches = Patches(2).fit(RAGGED)
    with pytest.raises(ValueError, match="X has 2 channels, but Patches was fitted on .* 3"):
        patches.transform([np.zeros((4, 2))])
    with pytest.raises(ValueError, match="Input X contains infinity.*X\\[1\\], time step 2"):
        patches.transform([np.zeros((4, D)), np.full((3, D), [[0], [0], [np.inf]])])


# tables of unknown size on purpose
@pytest.mark.filterwarnings("ignore:Patches of a two-dimensional X:UserWarning")
@parametrize_with_checks([Patches(), Patches(3, 2)])
def test_check_estimator(estimator, check):
    check(estimator)
