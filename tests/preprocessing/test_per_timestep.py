import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import FunctionTransformer, Normalizer, OneHotEncoder, StandardScaler

from skgru.preprocessing import PerTimestep

RNG = np.random.default_rng(0)
RAGGED = [RNG.normal(3, 2, size=(n, 3)) for n in (4, 1, 6, 2)]


@pytest.mark.parametrize("form", ["list", "array", "table"])
def test_transformer_is_applied_to_all_time_steps(form):
    array = RNG.normal(3, 2, size=(5, 4, 3))
    X = {"list": RAGGED, "array": array, "table": array.reshape(5, 12)}[form]
    steps = np.concatenate([np.reshape(x, (-1, 3)) for x in X])
    transformer = PerTimestep(StandardScaler(), n_channels=3)
    got = transformer.fit_transform(X)
    assert type(got) is (list if form == "list" else np.ndarray)
    assert [np.shape(x) for x in got] == [np.shape(x) for x in X]
    got_steps = np.concatenate([np.reshape(x, (-1, 3)) for x in got])
    np.testing.assert_array_equal(got_steps, StandardScaler().fit_transform(steps))
    for back, original in zip(transformer.inverse_transform(got), X, strict=True):
        np.testing.assert_allclose(back, original)


def test_padding_is_kept_and_ignored():
    padded = np.full((4, 8, 3), np.nan)
    for i, x in enumerate(RAGGED):
        padded[i, : len(x)] = x
    got = PerTimestep(StandardScaler()).fit_transform(padded)
    assert got.shape == padded.shape
    for row, x in zip(got, PerTimestep(StandardScaler()).fit_transform(RAGGED), strict=True):
        np.testing.assert_array_equal(row[: len(x)], x)
        assert np.isnan(row[len(x) :]).all()


def test_missing_values_are_passed_to_the_transformer():
    X = [x.copy() for x in RAGGED]
    X[0][1, 2] = np.nan
    filled = PerTimestep(SimpleImputer()).fit_transform(X)
    steps = np.concatenate(X)
    np.testing.assert_allclose(filled[0][1, 2], np.nanmean(steps[:, 2]))


def test_number_of_channels_may_change():
    reduced = PerTimestep(PCA(2)).fit(RAGGED)
    assert [x.shape for x in reduced.transform(RAGGED)] == [(4, 2), (1, 2), (6, 2), (2, 2)]
    assert [x.shape for x in reduced.inverse_transform(reduced.transform(RAGGED))] == [
        x.shape for x in RAGGED
    ]
    table = PerTimestep(PCA(2), n_channels=3).fit(np.ones((4, 6)) * RNG.normal(size=(4, 6)))
    assert table.inverse_transform(table.transform(np.ones((2, 6)))).shape == (2, 6)


def test_sparse_results_become_dense():
    X = [np.array([[0.0], [1.0]]), np.array([[2.0]])]
    encoded = PerTimestep(OneHotEncoder()).fit_transform(X)
    np.testing.assert_array_equal(np.concatenate(encoded), np.eye(3))


def test_feature_names():
    columns = ["ax", "ay", "bx", "by"]
    frame = pd.DataFrame(RNG.normal(size=(5, 4)), columns=columns)
    scaler = PerTimestep(StandardScaler(), n_channels=2).fit(frame)
    assert list(scaler.feature_names_in_) == columns == list(scaler.get_feature_names_out())
    scaled = scaler.set_output(transform="pandas").transform(frame)
    assert list(scaled.columns) == columns
    pca = PerTimestep(PCA(1), n_channels=2).fit(frame)
    assert list(pca.get_feature_names_out()) == ["t0_pca0", "t1_pca0"]
    assert list(PerTimestep(PCA(2)).fit(RAGGED).get_feature_names_out()) == ["pca0", "pca1"]
    assert list(
        PerTimestep(StandardScaler()).fit(RAGGED).get_feature_names_out(["u", "v", "w"])
    ) == [
        "u",
        "v",
        "w",
    ]


def test_the_given_transformer_is_not_fitted():
    scaler = StandardScaler()
    transformer = PerTimestep(scaler).fit(RAGGED)
    assert not hasattr(scaler, "mean_")
    assert clone(transformer).transformer is not scaler


def test_invalid_input_is_rejected():
    with pytest.raises(NotFittedError):
        PerTimestep(StandardScaler()).transform(RAGGED)
    with pytest.raises(ValueError, match="2 features, but StandardScaler is expecting 3"):
        PerTimestep(StandardScaler()).fit(RAGGED).transform([np.zeros((4, 2))])
    with pytest.raises(ValueError, match="made 2 rows out of 13 time steps"):
        PerTimestep(FunctionTransformer(lambda x: x[:2])).fit_transform(RAGGED)
    with pytest.raises(ValueError, match="'transformer' parameter"):
        PerTimestep("scaler").fit(RAGGED)


def test_inverse_transform_exists_if_the_transformer_has_it():
    assert hasattr(PerTimestep(StandardScaler()), "inverse_transform")
    assert not hasattr(PerTimestep(Normalizer()), "inverse_transform")
