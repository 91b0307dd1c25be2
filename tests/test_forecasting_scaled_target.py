"""ScaledTargetRegressor: what is fitted to scaled targets predicts in the units of y."""

import pickle
from copy import copy

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgru import GRURegressor
from skgru.forecasting import ScaledTargetRegressor, recursive_forecast, sliding_windows
from skgru.preprocessing import Patches, PerTimestep
from skgru.streaming import stream

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning"),
]
LOSSES = ["squared_error", "absolute_error", "huber", "poisson", "quantile"]
LEVEL, SPREAD = 5000.0, 300.0


def gru(**parameters):
    return GRURegressor(**{"hidden_layer_sizes": 4, "max_iter": 3, "random_state": 0,
                           "dtype": "float64", **parameters})  # fmt: skip


@pytest.fixture
def wave():
    rng = np.random.default_rng(0)
    return LEVEL + SPREAD * (np.sin(np.arange(90) / 3) + 0.1 * rng.normal(size=90))


def undone(predictions, scaler, k):
    """Undo the scaling by hand: mean and scale of each target, and quantiles after it."""
    mean = 0 if scaler.mean_ is None or not scaler.with_mean else scaler.mean_
    scale, trailing = scaler.scale_, predictions.ndim - 1
    if k == 1:
        return predictions * scale + mean
    shape = (k, *[1] * (trailing - 1))
    return predictions * scale.reshape(shape) + np.reshape(np.broadcast_to(mean, k), shape)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("pipeline", [False, True])
def test_every_loss_and_horizon(wave, loss, horizon, pipeline):
    X, y = sliding_windows(wave, 6, horizon)
    X = X if pipeline else (X - LEVEL) / SPREAD
    inner = gru(loss=loss)
    inner = make_pipeline(PerTimestep(StandardScaler()), inner) if pipeline else inner
    model = ScaledTargetRegressor(inner).fit(X, y)
    scaler = StandardScaler(with_mean=loss != "poisson").fit(y.reshape(len(y), -1))
    scaled = scaler.transform(y.reshape(len(y), -1)).reshape(y.shape)
    alone = clone(inner).fit(X, scaled).predict(X)
    got = model.predict(X)
    assert got.shape == alone.shape
    np.testing.assert_allclose(got, undone(alone, scaler, horizon), rtol=1e-12)
    assert abs(got.mean() - LEVEL) < 2 * SPREAD
    if loss == "quantile":
        assert (np.diff(got) >= 0).all()
        targets = y.reshape(len(y), -1)
        by_hand = [d2_pinball_score(targets, got.reshape(len(y), horizon, 3)[:, :, i], alpha=q)
                   for i, q in enumerate((0.1, 0.5, 0.9))]  # fmt: skip
        np.testing.assert_allclose(model.score(X, y), np.mean(by_hand))
    else:
        np.testing.assert_allclose(model.score(X, y), r2_score(y, got))


def test_what_scikit_learns_own_cannot(wave):
    X, y = sliding_windows(wave, 6, 3)
    own = TransformedTargetRegressor(gru(loss="quantile"), transformer=StandardScaler()).fit(X, y)
    with pytest.raises(ValueError, match="expected|dim"):
        own.predict(X)
    forecast = recursive_forecast(
        ScaledTargetRegressor(gru(loss="quantile", max_iter=60)).fit(X, y), wave, 7, window=6,
        return_quantiles=True,
    )  # fmt: skip
    assert forecast.shape == (7, 3)
    assert (np.diff(forecast) >= 0).all()
    assert (np.abs(forecast - LEVEL) < 3 * SPREAD).all()


def test_the_band_covers(wave):
    """Intervals in the units of y, from a model that sees scaled numbers."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 5, 1))
    y = LEVEL + SPREAD * (X.sum(axis=(1, 2))[:, None] + rng.normal(size=(600, 2)) * [1, 4])
    model = ScaledTargetRegressor(gru(loss="quantile", max_iter=80, hidden_layer_sizes=8))
    low, _, high = np.moveaxis(model.fit(X[:400], y[:400]).predict(X[400:]), 2, 0)
    covered = ((low <= y[400:]) & (y[400:] <= high)).mean(axis=0)
    assert ((covered > 0.68) & (covered < 0.92)).all()
    widths = (high - low).mean(axis=0)
    assert 2.5 < widths[1] / widths[0] < 6


@pytest.mark.parametrize("loss", ["squared_error", "quantile"])
@pytest.mark.parametrize("k", [1, 2])
def test_a_target_at_every_step(loss, k):
    """Lists, and padded arrays whatever stands in their padding."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 1)) for n in rng.integers(3, 9, size=30)]
    y = [LEVEL + SPREAD * x.cumsum(axis=0) * np.arange(1, k + 1) for x in X]
    y = [v[:, 0] for v in y] if k == 1 else y
    y[3] = y[3].copy()
    y[3][1] = np.nan
    inner = gru(return_sequences=True, loss=loss)
    model = ScaledTargetRegressor(inner).fit(X, y)
    rows = np.concatenate(y).reshape(-1, k)
    scaler = StandardScaler().fit(rows[~np.isnan(rows).any(axis=1)])
    np.testing.assert_allclose(model.transformer_.mean_, scaler.mean_)
    scaled = [scaler.transform(v.reshape(-1, k)).reshape(v.shape) for v in y]
    alone = clone(inner).fit(X, scaled)
    got = model.predict(X)
    for one, like in zip(got, alone.predict(X), strict=True):
        assert one.shape == like.shape
        np.testing.assert_allclose(one, undone(like, scaler, k), rtol=1e-12)
    padded = np.full((30, 8, 1), np.nan)
    score = model.score(X, y)
    for filler in (np.nan, 0.0, 1e9):
        targets = np.full((30, 8, *y[0].shape[1:]), filler)
        for i, (x, v) in enumerate(zip(X, y, strict=True)):
            padded[i, : len(x)], targets[i, : len(v)] = x, v
        of_list = ScaledTargetRegressor(inner).fit(X, targets)
        np.testing.assert_allclose(of_list.predict(X)[5], got[5], rtol=1e-9)
        same = ScaledTargetRegressor(inner).fit(padded, targets)
        np.testing.assert_allclose(same.transformer_.mean_, scaler.mean_)
        predicted = same.predict(padded)
        for i, one in enumerate(got):
            np.testing.assert_allclose(predicted[i, : len(one)], one, rtol=1e-9)
            assert np.isnan(predicted[i, len(one) :]).all()
        np.testing.assert_allclose(same.score(padded, targets), score)


def test_sample_weights(wave):
    X, y = sliding_windows(wave, 6, 3)
    weights = np.random.default_rng(0).uniform(size=len(X))
    for inner in (gru(), Ridge()):
        model = ScaledTargetRegressor(inner).fit(X, y, weights)
        scaler = StandardScaler().fit(y, sample_weight=weights)
        alone = clone(inner).fit(X, scaler.transform(y), sample_weight=weights)
        np.testing.assert_allclose(model.predict(X), undone(alone.predict(X), scaler, 3))
    pipeline = make_pipeline(StandardScaler(), Ridge())
    model = ScaledTargetRegressor(pipeline).fit(X, y, ridge__sample_weight=weights)
    np.testing.assert_allclose(model.transformer_.mean_, scaler.mean_)
    # in a transformer without weights they only reach the regressor
    ScaledTargetRegressor(Ridge(), RobustScaler()).fit(X, y, weights)
    steps = ScaledTargetRegressor(gru(return_sequences=True))
    x, targets = list(X[..., None]), list(X)
    by_sample = steps.fit(x, targets, weights).predict(x)
    by_step = steps.fit(x, targets, [np.full(6, w) for w in weights]).predict(x)
    np.testing.assert_allclose(by_sample, by_step)
    mean = np.average(X, weights=np.repeat(weights[:, None], 6, axis=1))
    np.testing.assert_allclose(steps.transformer_.mean_, mean)


def test_targets_to_validate_on_are_scaled(wave):
    X, y = sliding_windows(wave, 6, 3)
    X_val, y_val = X[60:], y[60:]
    inner = gru(max_iter=8)
    model = ScaledTargetRegressor(inner).fit(X[:60], y[:60], X_val=X_val, y_val=y_val)
    scaler = StandardScaler().fit(y[:60])
    alone = clone(inner).fit(
        X[:60], scaler.transform(y[:60]), X_val=X_val, y_val=scaler.transform(y_val)
    )
    scores = model.regressor_.validation_scores_
    np.testing.assert_allclose(scores, alone.validation_scores_)
    assert np.min(scores) > -10  # in the units of y they would be −1e7
    pipeline = ScaledTargetRegressor(make_pipeline(StandardScaler(), inner))
    X_scaled = StandardScaler().fit(X[:60]).transform(X_val)
    pipeline.fit(X[:60], y[:60], gruregressor__X_val=X_scaled, gruregressor__y_val=y_val)
    assert np.min(pipeline.regressor_[-1].validation_scores_) > -10
    with pytest.raises(ValueError, match="y_val has 2 outputs, y has 3"):
        model.fit(X[:60], y[:60], X_val=X_val, y_val=y_val[:, :2])
    steps = ScaledTargetRegressor(gru(return_sequences=True))
    steps.fit(X[:60, :, None], X[:60], X_val=list(X_val[..., None]), y_val=list(X_val))
    assert np.min(steps.regressor_.validation_scores_) > -10


def test_metadata_routing(wave):
    X, y = sliding_windows(wave, 6, 3)
    weights = np.linspace(0.5, 2, len(X))
    expected = ScaledTargetRegressor(gru()).fit(X, y, weights, X_val=X[:9], y_val=y[:9])
    with config_context(enable_metadata_routing=True):
        inner = gru().set_fit_request(sample_weight=True, X_val=True, y_val=True)
        model = ScaledTargetRegressor(inner).fit(X, y, weights, X_val=X[:9], y_val=y[:9])
        np.testing.assert_array_equal(model.predict(X), expected.predict(X))
        scores = expected.regressor_.validation_scores_
        np.testing.assert_array_equal(model.regressor_.validation_scores_, scores)
        pipeline = make_pipeline(StandardScaler(), inner).set_params(transform_input=["X_val"])
        model = ScaledTargetRegressor(pipeline).fit(X, y, X_val=X[:9], y_val=y[:9])
        assert np.min(model.regressor_[-1].validation_scores_) > -10
        scaled = ScaledTargetRegressor(inner).set_score_request(sample_weight=False)
        search = GridSearchCV(scaled, {"regressor__max_iter": [1, 3]}, cv=2)
        search.fit(X, y, sample_weight=weights, X_val=X[:9], y_val=y[:9])
        assert search.best_params_["regressor__max_iter"] in (1, 3)


def increasing():
    return [
        StandardScaler(),
        RobustScaler(),
        MinMaxScaler(),
        MaxAbsScaler(),
        PowerTransformer(),
        PowerTransformer("box-cox"),
        QuantileTransformer(n_quantiles=20),
        FunctionTransformer(np.log, np.exp),
        FunctionTransformer(np.sqrt, lambda z: np.maximum(z, 0) ** 2),
        make_pipeline(FunctionTransformer(np.log1p, np.expm1), StandardScaler()),
    ]


@pytest.mark.parametrize("transformer", increasing(), ids=str)
def test_increasing_transformers_keep_quantiles(wave, transformer):
    """Each quantile is undone by itself."""
    X, y = sliding_windows(wave, 6, 2)
    model = ScaledTargetRegressor(gru(loss="quantile", max_iter=30), transformer).fit(X, y)
    got = model.predict(X)
    assert (np.diff(got) >= 0).all()
    fitted = clone(transformer).fit(y)
    alone = clone(model.regressor).fit(X, fitted.transform(y)).predict(X)
    for i in range(3):
        np.testing.assert_allclose(got[..., i], fitted.inverse_transform(alone[..., i]))


@pytest.mark.parametrize(
    ("transformer", "message"),
    [
        (FunctionTransformer(np.negative, np.negative), "is not increasing: it would turn quant"),
        (FunctionTransformer(np.reciprocal, np.reciprocal), "is not increasing"),
        (FunctionTransformer(np.sin, np.arcsin, check_inverse=False), "is not increasing"),
        (FunctionTransformer(np.sqrt, np.square), "not increasing a little beyond the values"),
        (FunctionTransformer(np.sqrt, lambda z: z, check_inverse=False), "does not undo its"),
        (FunctionTransformer(np.log), "does not undo its transform"),
        (KBinsDiscretizer(3, encode="ordinal", quantile_method="averaged_inverted_cdf"),
         "does not undo its transform"),
        (PCA(2), "is not increasing|mixes the columns"),
        (PCA(1), "of single columns"),
        (FunctionTransformer(lambda y: y + y.mean(axis=1, keepdims=True),
                             lambda z: z - z.mean(axis=1, keepdims=True) / 2),
         "mixes the columns of y"),
    ],
    ids=str,
)  # fmt: skip
def test_other_transformers_are_refused(transformer, message):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 4)), rng.uniform(0, 9, size=(50, 2))
    model = ScaledTargetRegressor(LinearRegression(), transformer)
    with pytest.raises(ValueError, match=message) as error:
        model.fit(X, y)
    assert len(str(error.value)) < 400
    assert vars(model).keys() == {"regressor", "transformer"}
    with pytest.raises(TypeError, match="transformer"):
        ScaledTargetRegressor(LinearRegression(), Normalizer()).fit(X, y)


def test_it_clones_pickles_and_tunes(wave):
    X, y = sliding_windows(wave, 6, 3)
    model = ScaledTargetRegressor(gru(loss="quantile")).fit(X, y)
    again = clone(model)
    assert "regressor_" not in vars(again)
    np.testing.assert_array_equal(again.fit(X, y).predict(X), model.predict(X))
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    search = GridSearchCV(
        ScaledTargetRegressor(gru()),
        {"regressor__max_iter": [1, 40], "transformer": [None, RobustScaler()]},
        cv=KFold(3),
        scoring="neg_mean_absolute_error",
    ).fit(X, y)
    assert search.best_params_["regressor__max_iter"] == 40
    assert model.n_features_in_ == 6
    with pytest.raises(TypeError, match="got Ridge"):
        ScaledTargetRegressor(Ridge()).fit(X, y).stream()
    before = model.predict(X)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X, np.full(len(X), np.nan))
    np.testing.assert_array_equal(model.predict(X), before)


def test_names_of_features(wave):
    pandas = pytest.importorskip("pandas")
    X, y = sliding_windows(wave, 3)
    frame = pandas.DataFrame(X, columns=list("abc"))
    model = ScaledTargetRegressor(Ridge())
    assert not hasattr(model, "feature_names_in_")
    assert model.fit(frame, pandas.Series(y)).feature_names_in_.tolist() == ["a", "b", "c"]
    assert model.predict(frame).shape == y.shape
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["b", "a", "c"]])


@pytest.mark.parametrize("power", [-1060, -1000, 1000, 1023])
@pytest.mark.parametrize("by_step", [False, True])
def test_weights_of_any_scale_scale_y_alike(wave, power, by_step):
    X, y = sliding_windows(wave, window=6, horizon=6)
    weights = np.random.default_rng(0).integers(4, 8, size=len(X)) / 4
    model = ScaledTargetRegressor(gru(alpha=0, return_sequences=by_step))
    expected = clone(model).fit(X, y, weights)
    found = clone(model).fit(X, y, np.ldexp(weights, power))
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))
    assert found.transformer_.mean_.tolist() == expected.transformer_.mean_.tolist()


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("transformer", [None, MinMaxScaler(), make_pipeline(StandardScaler())])
def test_set_output_is_for_features_and_not_for_y(wave, library, transformer):
    pytest.importorskip(library)
    X, y = sliding_windows(wave, window=10, horizon=2)
    model = ScaledTargetRegressor(make_pipeline(PerTimestep(StandardScaler()), gru()), transformer)
    expected = clone(model).fit(X, y, gruregressor__sample_weight=np.ones(len(y)))
    predictions, score = expected.predict(X), expected.score(X, y)
    with config_context(transform_output=library):
        found = clone(model).fit(X, y, gruregressor__sample_weight=np.ones(len(y)))
        np.testing.assert_array_equal(found.predict(X), predictions)
        assert found.score(X, y) == score


@pytest.mark.parametrize("loss", ["squared_error", "quantile"])
@pytest.mark.parametrize("horizon", [1, 3])
def test_a_stream_predicts_in_the_units_of_y(wave, loss, horizon):
    X, y = sliding_windows(wave, 6, horizon)
    X = (X - LEVEL) / SPREAD
    model = ScaledTargetRegressor(gru(loss=loss)).fit(X, y)
    several = model.stream(len(X))
    expected = model.predict(X)
    model.fit(X[:20], y[:20])  # changes nothing in the stream
    for t in range(6):
        after = several.step(X[:, t, np.newaxis])
    np.testing.assert_allclose(after, expected, rtol=1e-9)
    assert (several.n_streams, several.n_channels) == (len(X), 1)
    one = ScaledTargetRegressor(gru(loss=loss)).fit(X, y).stream()
    state = one.state
    for t in range(6):
        single = one.step(X[4, t : t + 1])
    np.testing.assert_allclose(single, expected[4], rtol=1e-9)
    assert np.ndim(single) == np.ndim(expected[4])
    one.state = state
    for t in range(6):
        again = pickle.loads(pickle.dumps(one)).step(X[4, t : t + 1])
        single = one.step(X[4, t : t + 1])
    np.testing.assert_array_equal(again, single)
    one.reset()
    np.testing.assert_array_equal(one.state, state)


def test_a_copy_of_a_stream_goes_its_own_way(wave):
    X, y = sliding_windows(wave, 6)
    model = ScaledTargetRegressor(gru()).fit(X, y)
    one = model.stream()
    for t in range(5):
        one.step(X[4, t : t + 1])
    other = copy(one)
    other.step(X[0, :1])
    np.testing.assert_allclose(one.step(X[4, 5:]), model.predict(X[4:5])[0], rtol=1e-9)


def test_streams_after_steps_of_a_pipeline(wave):
    X, y = sliding_windows(wave, 6)
    model = make_pipeline(
        Patches(4, 2), ScaledTargetRegressor(make_pipeline(PerTimestep(StandardScaler()), gru()))
    ).fit(X[:, :, np.newaxis], y)
    several = stream(model, len(X))
    for t in range(6):
        after = several.step(X[:, t, np.newaxis])
    np.testing.assert_allclose(after, model.predict(X[:, :, np.newaxis]), rtol=1e-9)


def test_errors(wave):
    X, y = sliding_windows(wave, 6)
    model = ScaledTargetRegressor(gru())
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        model.fit(X, None)
    with pytest.raises(ValueError, match="Targets of every time step need return_sequences=True"):
        model.fit(X, np.zeros((len(X), 6, 2)))
    with pytest.raises(ValueError, match="it needs an entry for each time step"):
        ScaledTargetRegressor(gru(return_sequences=True)).fit(X, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ScaledTargetRegressor(gru(return_sequences=True)).fit(X[..., None], X[1:])
    with pytest.raises(ValueError, match="Input y contains NaN"):
        model.fit(X, np.where(y > LEVEL, np.nan, y))
    with pytest.raises(ValueError, match="All targets in y are missing"):
        ScaledTargetRegressor(gru(return_sequences=True)).fit(X, np.full(X.shape, np.nan))


@parametrize_with_checks([
    ScaledTargetRegressor(Ridge()),
    ScaledTargetRegressor(gru(hidden_layer_sizes=16, solver="lbfgs", max_iter=100)),
])  # fmt: skip
def test_scikit_learns_checks(estimator, check):
    check(estimator)
