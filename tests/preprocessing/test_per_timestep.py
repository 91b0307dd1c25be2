import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import RBFSampler
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    Normalizer,
    OneHotEncoder,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
    scale,
)

from skgru.preprocessing import PerSequence, PerTimestep

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
    with pytest.raises(ValueError, match="X has 2 channels, but PerTimestep was fitted on"):
        PerTimestep(StandardScaler()).fit(RAGGED).transform([np.zeros((4, 2))])
    with pytest.raises(ValueError, match=r"made \d+ rows out of 13 time steps"):
        PerTimestep(FunctionTransformer(lambda x: x[:2])).fit_transform(RAGGED)
    with pytest.raises(ValueError, match="'transformer' parameter"):
        PerTimestep("scaler").fit(RAGGED)


def test_inverse_transform_exists_if_the_transformer_has_it():
    assert hasattr(PerTimestep(StandardScaler()), "inverse_transform")
    assert not hasattr(PerTimestep(Normalizer()), "inverse_transform")


# ---- what would cross the borders of sequences ---------------------------------------------------


def moving_average(steps):
    return np.stack([np.convolve(column, [0.5, 0.5])[: len(column)] for column in steps.T], axis=1)


CROSSING = {
    "difference": FunctionTransformer(np.diff, kw_args={"axis": 0, "prepend": 0}),
    "gradient": FunctionTransformer(lambda x: x - np.roll(x, 1, axis=0)),
    "cumulative sum": FunctionTransformer(np.cumsum, kw_args={"axis": 0}),
    "moving average": FunctionTransformer(moving_average),
    "pandas": FunctionTransformer(lambda x: pd.DataFrame(x).rolling(2, min_periods=1).mean()),
    "shift": FunctionTransformer(lambda x: pd.DataFrame(x).shift(1).to_numpy()),
    "scale of what is passed": FunctionTransformer(scale),
    "rank": FunctionTransformer(lambda x: x.argsort(axis=0).argsort(axis=0)),
}


@pytest.mark.parametrize("name", CROSSING)
@pytest.mark.parametrize("form", ["list", "array", "table"])
@pytest.mark.filterwarnings("ignore:.*(Mean|Standard deviation).*:UserWarning")
def test_transformers_that_look_at_other_steps_are_refused(name, form):
    array = RNG.normal(3, 2, size=(5, 4, 3))
    X = {"list": RAGGED, "array": array, "table": array.reshape(5, 12)}[form]
    transformer = PerTimestep(CROSSING[name], n_channels=3)
    with pytest.raises(ValueError, match="other values beside other steps.*PerSequence") as raised:
        transformer.fit(X)
    assert len(str(raised.value)) < 400
    # the remedy
    assert len(PerSequence(CROSSING[name], n_channels=3).fit_transform(X)) == len(X)


@pytest.mark.parametrize(
    "transformer",
    [
        StandardScaler(), PCA(2, svd_solver="full"), QuantileTransformer(n_quantiles=5),
        KBinsDiscretizer(3), SplineTransformer(), OneHotEncoder(handle_unknown="ignore"),
        Normalizer(), RBFSampler(random_state=0), FunctionTransformer(np.log1p),
        FunctionTransformer(lambda x: x + np.random.default_rng().normal(size=x.shape)),
        FunctionTransformer(lambda x: np.where(x > 0, "up", "down")),
    ],
    ids=lambda transformer: type(transformer).__name__,
)  # fmt: skip
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
@pytest.mark.filterwarnings("ignore:Bins whose width.*:UserWarning")
@pytest.mark.filterwarnings("ignore:.*quantile_method.*:FutureWarning")
def test_transformers_of_single_steps_are_not_refused(transformer, size):
    X = [size * np.abs(x) for x in RAGGED] * 3
    PerTimestep(transformer).fit(X)
    PerTimestep(transformer).fit([x.astype("float32") for x in X])


def test_fewer_rows_are_refused_in_fit():
    for function in (np.diff, lambda x, axis: x[::2]):
        with pytest.raises(ValueError, match=r"made \d+ rows out of 13 time steps.*PerSequence"):
            PerTimestep(FunctionTransformer(function, kw_args={"axis": 0})).fit(RAGGED)
