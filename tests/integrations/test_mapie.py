import numpy as np
import pytest
from helpers import run_snippets
from sklearn.pipeline import make_pipeline

from skgru import GRUClassifier, GRURegressor

regression = pytest.importorskip("mapie.regression")
classification = pytest.importorskip("mapie.classification")
metrics = pytest.importorskip("mapie.metrics.regression")

N_TRAIN, N_CONFORMALIZE, N = 200, 400, 1200


def in_form(X, form):
    """Return X in a form; ragged forms drop the first one or two of three steps of some."""
    if form == "table":
        return X.reshape(len(X), -1)
    if form == "array":
        return X
    ragged = [x[i % 3 :] for i, x in enumerate(X)]
    if form == "list":
        return ragged
    if form == "padded":
        padded = np.full(X.shape, np.nan)
        for row, x in zip(padded, ragged, strict=True):
            row[: len(x)] = x
        return padded
    objects = np.empty(len(X), dtype=object)
    objects[:] = ragged
    return objects


@pytest.fixture(scope="module")
def numbers():
    """The last step's first channel, with noise that grows with the second one."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(N, 3, 2))
    return X, X[:, -1, 0] + (0.3 + 0.25 * X[:, -1, 1]) * rng.normal(size=N)


def gru(**parameters):
    return GRURegressor(8, n_channels=2, max_iter=20, learning_rate="cosine", random_state=0,
                        **parameters)  # fmt: skip


def parts(X, y):
    for rows in (slice(N_TRAIN), slice(N_TRAIN, N_CONFORMALIZE), slice(N_CONFORMALIZE, None)):
        yield X[rows], y[rows]


FORMS = pytest.mark.parametrize("form", ["table", "array", "list", "objects", "padded"])


@FORMS
@pytest.mark.parametrize("prefit", [False, True])
def test_split_conformal_intervals(numbers, form, prefit):
    X, y = numbers
    train, conformalize, test = parts(in_form(X, form), y)
    model = gru()
    if prefit:
        model.fit(*train)
    mapie = regression.SplitConformalRegressor(model, confidence_level=0.9, prefit=prefit)
    if not prefit:
        mapie.fit(*train)
    predicted, intervals = mapie.conformalize(*conformalize).predict_interval(test[0])
    assert intervals.shape == (len(predicted), 2, 1)
    # 0.9, within the standard error of a quantile of 200 residuals
    assert 0.84 < metrics.regression_coverage_score(test[1], intervals)[0] < 0.96
    # absolute residuals: the half width is their quantile, the same everywhere
    residuals = np.abs(conformalize[1] - gru().fit(*train).predict(conformalize[0]))
    half_width = np.sort(residuals)[int(np.ceil(0.9 * 201)) - 1]
    np.testing.assert_allclose(intervals[:, 1, 0] - predicted, half_width, rtol=1e-3)


@FORMS
@pytest.mark.parametrize("method", ["base", "plus", "minmax"])
def test_cross_conformal_intervals(numbers, form, method):
    X, y = numbers
    X = in_form(X, form)
    mapie = regression.CrossConformalRegressor(gru(), confidence_level=0.9, method=method, cv=3)
    mapie.fit_conformalize(X[:N_CONFORMALIZE], y[:N_CONFORMALIZE])
    _, intervals = mapie.predict_interval(X[N_CONFORMALIZE:])
    assert 0.84 < metrics.regression_coverage_score(y[N_CONFORMALIZE:], intervals)[0] < 0.98


@FORMS
def test_conformalized_quantiles(numbers, form):
    """MAPIE takes three fitted models, of the lower, the upper and the middle quantile."""
    X, y = numbers
    train, conformalize, test = parts(in_form(X, form), y)
    models = [gru(loss="quantile", quantiles=(q,)).fit(*train) for q in (0.05, 0.95, 0.5)]
    mapie = regression.ConformalizedQuantileRegressor(models, confidence_level=0.9, prefit=True)
    _, intervals = mapie.conformalize(*conformalize).predict_interval(test[0])
    assert 0.84 < metrics.regression_coverage_score(test[1], intervals)[0] < 0.96
    # intervals are wider where there is more noise
    widths = intervals[:, 1, 0] - intervals[:, 0, 0]
    assert np.corrcoef(widths, X[N_CONFORMALIZE:, -1, 1])[0, 1] > 0.5


def test_intervals_of_a_time_series():
    rng = np.random.default_rng(0)
    series = np.sin(np.arange(400) / 4) + 0.2 * rng.normal(size=400)
    X = np.lib.stride_tricks.sliding_window_view(series, 12)[:-1]
    y = series[12:]
    subsample = pytest.importorskip("mapie.subsample")
    mapie = regression.TimeSeriesRegressor(
        GRURegressor(8, max_iter=15, learning_rate="cosine", random_state=0), method="enbpi",
        cv=subsample.BlockBootstrap(n_resamplings=5, length=24, overlapping=True, random_state=0),
        agg_function="mean",
    )  # fmt: skip
    mapie.fit(X[:300], y[:300])
    _, intervals = mapie.predict(X[300:], confidence_level=0.9)
    assert 0.8 < metrics.regression_coverage_score(y[300:], intervals)[0] <= 1


@FORMS
@pytest.mark.parametrize("prefit", [False, True])
def test_sets_of_labels(numbers, form, prefit):
    """MAPIE compares n_features_in_, our number of channels, with the second axis of X.

    A pipeline that begins with "passthrough" has no n_features_in_ to compare.
    """
    X, y = numbers
    labels = np.digitize(y, [-0.3, 0.3])
    train, conformalize, test = parts(in_form(X, form), labels)
    model = GRUClassifier(8, n_channels=2, max_iter=20, learning_rate="cosine", random_state=0)
    if form != "table":
        model = make_pipeline("passthrough", model)
    if prefit:
        model.fit(*train)
    mapie = classification.SplitConformalClassifier(model, confidence_level=0.9, prefit=prefit)
    if not prefit:
        mapie.fit(*train)
    _, sets = mapie.conformalize(*conformalize).predict_set(test[0])
    covered = sets[np.arange(len(test[1])), test[1], 0].mean()
    assert 0.84 < covered < 0.96
    assert sets.sum(axis=1).mean() < 2.5


def test_code_of_the_docs():
    docs = run_snippets("integrations.rst", "MAPIE: intervals that cover")
    assert len(docs["coverage"]) == 3
    assert all(0.84 < share < 0.97 for share in docs["coverage"])
