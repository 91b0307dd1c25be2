import pickle
import traceback

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgru.preprocessing import PerSequence

RNG = np.random.default_rng(0)
D = 3
RAGGED = [RNG.normal(3, 2, size=(n, D)) for n in (4, 2, 13, 2, 12)]


def differences(x):
    return np.diff(x, axis=0)


def every_other(x):
    return x[::2]


def centred(x):
    x -= x.mean(axis=0)
    return x


CASES = {
    "StandardScaler": StandardScaler(),
    "PCA": PCA(2),
    "differences": differences,
    "every_other": every_other,
    "centred": centred,
}
every_case = pytest.mark.parametrize("transformer", CASES.values(), ids=CASES)


def reference(transformer, x):
    if callable(transformer):
        return transformer(x.copy())
    return clone(transformer).fit(x).transform(x)


@every_case
def test_it_is_the_transformer_on_each_sequence(transformer):
    per_sequence = PerSequence(transformer).fit(RAGGED)
    got = per_sequence.transform(RAGGED)
    for x, own in zip(RAGGED, got, strict=True):
        np.testing.assert_array_equal(own, reference(transformer, x))
        # of any other, it knows nothing
        np.testing.assert_array_equal(own, per_sequence.transform([x])[0])


@every_case
def test_every_form(transformer):
    X = RNG.normal(size=(5, 9, D))
    before = X.copy()
    expected = np.array([reference(transformer, x) for x in X])
    np.testing.assert_array_equal(PerSequence(transformer).fit_transform(X), expected)
    np.testing.assert_array_equal(PerSequence(transformer).fit_transform([*X]), expected)
    of_table = PerSequence(transformer, n_channels=D).fit_transform(X.reshape(5, -1))
    np.testing.assert_array_equal(of_table, expected.reshape(5, -1))
    np.testing.assert_array_equal(X, before)


@every_case
def test_padding_changes_nothing(transformer):
    padded = np.full((len(RAGGED), 15, D), np.nan)
    for row, x in zip(padded, RAGGED, strict=True):
        row[: len(x)] = x
    got = PerSequence(transformer).fit_transform(padded)
    own = PerSequence(transformer).fit_transform(RAGGED)
    for row, x in zip(got, own, strict=True):
        np.testing.assert_array_equal(row[: len(x)], x)
        assert np.isnan(row[len(x) :]).all()
    # as wide as before where no length has changed
    same = [len(x) for x in own] == [len(x) for x in RAGGED]
    assert got.shape[1] == (15 if same else max(map(len, own)))


def test_arguments_of_a_function():
    def rolling_mean(x, window, *, scale=1.0):
        return scale * pd.DataFrame(x).rolling(window, min_periods=1).mean()

    per_sequence = PerSequence(rolling_mean, kw_args={"window": 2, "scale": 3.0})
    for x, own in zip(RAGGED, per_sequence.fit_transform(RAGGED), strict=True):
        means = 3 * np.vstack([x[:1], (x[1:] + x[:-1]) / 2])
        np.testing.assert_allclose(own, means)


def test_results_of_any_kind_become_numbers():
    for function in (
        lambda x: x[:, 0],
        lambda x: pd.DataFrame(x[:, :1]),
        lambda x: csr_array(x[:, :1]),
        lambda x: x[:, :1].tolist(),
    ):
        for x, own in zip(RAGGED, PerSequence(function).fit_transform(RAGGED), strict=True):
            np.testing.assert_array_equal(own, x[:, :1])
    X = [x.astype("float32") for x in RAGGED]
    assert PerSequence(differences).fit_transform(X)[0].dtype == np.float32
    assert PerSequence(lambda x: x > 3).fit_transform(X)[0].dtype == np.float64


def test_missing_values_reach_the_function():
    X = [x.copy() for x in RAGGED]
    X[2][3, 1] = np.nan
    filled = PerSequence(np.nan_to_num, kw_args={"nan": -7.0}).fit_transform(X)
    assert filled[2][3, 1] == -7


def test_nothing_is_learned():
    per_sequence = PerSequence(StandardScaler()).fit([1e6 + 1e3 * x for x in RAGGED])
    for x, own in zip(RAGGED, per_sequence.transform(RAGGED), strict=True):
        np.testing.assert_array_equal(own, StandardScaler().fit_transform(x))
    assert not hasattr(per_sequence.transformer, "mean_")


def test_a_pickle():
    per_sequence = pickle.loads(pickle.dumps(PerSequence(differences).fit(RAGGED)))
    np.testing.assert_array_equal(per_sequence.transform(RAGGED)[0], differences(RAGGED[0]))


def test_feature_names():
    frame = pd.DataFrame(RNG.normal(size=(5, 4)), columns=["ax", "ay", "bx", "by"])
    scaler = PerSequence(StandardScaler(), n_channels=2).fit(frame)
    assert scaler.set_output(transform="pandas").transform(frame).columns.tolist() == [*frame]
    pca = PerSequence(PCA(1), n_channels=2).fit(frame)
    assert pca.get_feature_names_out().tolist() == ["t0_pca0", "t1_pca0"]
    squares = PerSequence(PolynomialFeatures(2, include_bias=False)).fit([frame.to_numpy()[:, :1]])
    assert squares.get_feature_names_out(["u"]).tolist() == ["u", "u^2"]
    with pytest.raises(AttributeError, match="no attribute 'get_feature_names_out'"):
        PerSequence(differences).fit(frame).get_feature_names_out()
    same = PerSequence(centred, feature_names_out="one-to-one").fit(frame)
    assert same.get_feature_names_out().tolist() == [*frame]
    own = PerSequence(
        lambda x: x[1:], n_channels=2, feature_names_out=lambda self, names: names[2:]
    )
    got = own.set_output(transform="pandas").fit_transform(frame)
    pd.testing.assert_frame_equal(got, frame[["bx", "by"]])


def fails_on_two(x):
    if len(x) == 2:
        raise KeyError("no")
    return x


@pytest.mark.parametrize("transformer", [fails_on_two, PCA(3)], ids=str)
def test_errors_of_others_name_the_sequence(transformer):
    with pytest.raises((KeyError, ValueError)) as caught:
        PerSequence(transformer).fit_transform(RAGGED)
    shown = "".join(traceback.format_exception(caught.value))
    assert "was applied to X[1], of shape (2, 3)." in shown


def test_what_is_refused():
    cases = {
        "made of X\\[0\\] an array of shape \\(\\) ": np.mean,
        "lambda> made of X\\[1\\] an array of shape \\(0, 3\\)": lambda x: x[2:],
        "made of X\\[0\\] an array of shape .* dtype <U": lambda x: x.astype(str),
        "made of X\\[0\\] an array of shape \\(4, 3, 1\\)": lambda x: x[:, :, None],
        "made 1 channels of X\\[2\\] and 3 of X\\[0\\]": lambda x: x[:, :1] if len(x) > 9 else x,
    }
    for message, function in cases.items():
        with pytest.raises(ValueError, match=message):
            PerSequence(function).fit_transform(RAGGED)
    table = np.arange(12.0).reshape(2, 6)
    with pytest.raises(ValueError, match="made 6 time steps of X\\[1\\] and 1 of X\\[0\\]"):
        PerSequence(lambda x: x if x[0, 0] else x[:1]).fit_transform(table)
    with pytest.raises(ValueError, match="kw_args belongs to a function.*StandardScaler"):
        PerSequence(StandardScaler(), kw_args={}).fit(RAGGED)
    with pytest.raises(ValueError, match="feature_names_out belongs to a function"):
        PerSequence(StandardScaler(), feature_names_out="one-to-one").fit(RAGGED)
    with pytest.raises(ValueError, match="'transformer' parameter of PerSequence must be"):
        PerSequence("differences").fit(RAGGED)
    with pytest.raises(ValueError, match="X has 2 channels, but PerSequence was fitted"):
        PerSequence(differences).fit(RAGGED).transform([np.zeros((4, 2))])
    with pytest.raises(NotFittedError):
        PerSequence(differences).transform(RAGGED)


def cumulated(x):
    return x.cumsum(axis=0)


@parametrize_with_checks([PerSequence(StandardScaler()), PerSequence(cumulated)])
def test_check_estimator(estimator, check):
    check(estimator)
