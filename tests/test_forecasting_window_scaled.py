"""WindowScaledRegressor: level and scale of each window, taken out and put back."""

import pickle
from copy import copy

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgru import GRURegressor
from skgru.forecasting import (
    ScaledTargetRegressor,
    WindowScaledRegressor,
    lags_to_sequences,
    recursive_forecast,
    sliding_windows,
)
from skgru.preprocessing import PerTimestep
from skgru.streaming import stream

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning"),
]
CENTERS, SCALES = ["last", "mean", "season", None], ["window", "series", None]
SEASON, WINDOW = 4, 10


def gru(**parameters):
    return GRURegressor(**{"hidden_layer_sizes": 4, "max_iter": 3, "random_state": 0,
                           "dtype": "float64", **parameters})  # fmt: skip


def scaled(regressor, **parameters):
    return WindowScaledRegressor(regressor, **{"season_length": SEASON, **parameters})


@pytest.fixture
def growing():
    """A series of two channels whose level and spread grow."""
    rng, time = np.random.default_rng(0), np.arange(120)
    season = np.sin(2 * np.pi * time / SEASON)
    one = np.exp(time / 40) * (10 + season + 0.2 * rng.normal(size=120))
    return np.column_stack([one, 1e4 * (time + 5 * season + rng.normal(size=120))])


class Kept(RegressorMixin, BaseEstimator):
    """It keeps what it was fitted to, and predicts the sums of windows, in a shape of its own."""

    def __init__(self, trailing=()):
        self.trailing = trailing

    def fit(self, X, y, sample_weight=None):
        self.X_, self.y_, self.weights_ = X, y, sample_weight
        return self

    def predict(self, X):
        shape = (len(X), *self.y_.shape[1:], *self.trailing)
        sums = X.reshape(len(X), -1).sum(axis=1)
        return sums.reshape(-1, *[1] * (len(shape) - 1)) + np.arange(np.prod(shape[1:])).reshape(
            1, *shape[1:]
        )


def by_hand(window, horizon, center, scale, series_scale):
    """Level of each step ahead, scale, and the scaled window of one window of one channel."""
    levels = np.zeros(horizon)
    left = window
    if center == "season":
        left = np.array([window[t] - window[t - SEASON] for t in range(SEASON, len(window))])
        extended = list(window)
        for h in range(horizon):
            levels[h] = extended[-SEASON]
            extended.append(levels[h])
    elif center is not None:
        levels[:] = window[-1] if center == "last" else window.mean()
        left = window - levels[0]
    size = {"window": np.sqrt((left**2).mean()), "series": series_scale, None: 1.0}[scale]
    return levels, size, left / size


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("horizon", [1, 6])
@pytest.mark.parametrize("trailing", [(), (3,)])
@pytest.mark.parametrize("two", [False, True])
def test_what_is_taken_out_is_put_back(growing, center, scale, horizon, trailing, two):
    series = growing if two else growing[:, 0]
    X, y = sliding_windows(series, WINDOW, horizon)
    model = scaled(Kept(trailing), center=center, scale=scale, target_channels="all").fit(X, y)
    channels = 2 if two else 1
    windows, targets = X.reshape(len(X), WINDOW, -1), y.reshape(len(y), horizon, channels)
    left = [[by_hand(w[:, c], horizon, center, None, 1)[2] for c in range(channels)]
            for w in windows]  # fmt: skip
    series_scale = np.sqrt((np.array(left) ** 2).mean(axis=(0, 2)))
    inner, predicted = model.regressor_, model.predict(X)
    alone = inner.predict(inner.X_).reshape(len(X), horizon, channels, -1)
    assert predicted.shape == (*y.shape, *trailing)
    assert model.horizon_ == horizon
    got = predicted.reshape(alone.shape)
    seen = inner.X_.reshape(len(X), -1, channels)
    fitted = inner.y_.reshape(targets.shape)
    for i in range(0, len(X), 7):
        for c in range(channels):
            levels, size, window = by_hand(
                windows[i, :, c], horizon, center, scale, series_scale[c]
            )
            np.testing.assert_allclose(seen[i, :, c], window, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(fitted[i, :, c], (targets[i, :, c] - levels) / size)
            expected = levels[:, np.newaxis] + size * alone[i, :, c]
            np.testing.assert_allclose(got[i, :, c], expected)


@pytest.mark.parametrize("center", ["last", "mean", "season"])
def test_level_and_scale_do_not_matter(growing, center):
    """Predictions for a * window + b are a times those for the window, plus b."""
    X, y = sliding_windows(growing[:, 0], WINDOW, 3)
    model = scaled(Ridge(), center=center).fit(X, y)
    expected = 3000 * model.predict(X) - 5e6
    np.testing.assert_allclose(model.predict(3000 * X - 5e6), expected, rtol=1e-9)
    again = scaled(Ridge(), center=center).fit(3000 * X - 5e6, 3000 * y - 5e6)
    np.testing.assert_allclose(again.predict(3000 * X - 5e6), expected, rtol=1e-7)
    single = scaled(Ridge(), center=center).fit(X.astype(np.float32), y)
    np.testing.assert_allclose(single.predict(X.astype(np.float32)), model.predict(X), rtol=1e-3)


def test_one_model_for_series_of_all_sizes():
    """Errors relative to those of the value a season before, over series and origins."""
    rng, time = np.random.default_rng(0), np.arange(160)
    levels = 10.0 ** np.arange(7)
    season = 0.2 * np.sin(2 * np.pi * time / SEASON + np.arange(7)[:, np.newaxis])
    slopes = np.linspace(-0.6, 2, 7)[:, np.newaxis] * time / 160
    noise = 0.02 * rng.normal(size=(7, 160))
    panel = levels[:, np.newaxis] * (1 + slopes + season + noise)
    X, y = sliding_windows(list(panel[:, :100]), 4 * SEASON, SEASON)
    X_new, y_new = sliding_windows(list(panel[:, 84:]), 4 * SEASON, SEASON)

    def relative(predicted):
        errors = np.abs(predicted - y_new).reshape(7, -1).mean(axis=1)
        return errors / np.abs(X_new[:, -SEASON:] - y_new).reshape(7, -1).mean(axis=1)

    for regressor in (Ridge(), gru(hidden_layer_sizes=16, max_iter=30)):
        for center in ("last", "mean", "season"):
            errors = relative(scaled(regressor, center=center).fit(X, y).predict(X_new))
            assert errors.mean() < 0.9
            assert errors.max() < 1.2
    raw = relative(regressor.fit(X, y).predict(X_new))
    assert raw.max() > 100


def test_channels_known_in_advance_are_passed_on(growing):
    exog = np.random.default_rng(0).normal(size=(120, 2)) * 1e3
    X, y = sliding_windows(growing, WINDOW, 3, exog=exog)
    model = scaled(Kept(), target_channels=[0, 1]).fit(X, y)
    np.testing.assert_array_equal(model.regressor_.X_[..., 2:], X[..., 2:])
    alone, _ = sliding_windows(growing, WINDOW, 3)
    model = scaled(Kept(), target_channels="all").fit(alone, y)
    seen, fitted = model.regressor_.X_, model.regressor_.y_
    model = scaled(Kept(), target_channels=[0, 1]).fit(X, y)
    np.testing.assert_array_equal(model.regressor_.X_[..., :2], seen)
    np.testing.assert_array_equal(model.regressor_.y_, fitted)
    # with seasonal differences, the others lose the steps that have none
    model = scaled(Kept(), center="season", target_channels=(0, 1)).fit(X, y)
    np.testing.assert_array_equal(model.regressor_.X_[..., 2:], X[:, SEASON:, 2:])
    # one of the channels alone, which need not be the first
    second = y.reshape(len(y), 3, 2)[..., 1]
    model = scaled(LinearRegression(), target_channels=[1])
    model.set_params(regressor=make_pipeline(FunctionTransformer(flat), LinearRegression()))
    assert model.fit(X, second).score(X, second) > 0.99
    assert model.target_channels_.tolist() == [1]


def flat(X):
    return X.reshape(len(X), -1)


@pytest.mark.parametrize("horizon", [1, 3])
def test_quantiles(growing, horizon):
    X, y = sliding_windows(growing, WINDOW, horizon)
    y = y.reshape(len(y), horizon, 2)[..., 0]
    y = y[:, 0] if horizon == 1 else y
    quantile = gru(loss="quantile", max_iter=60)
    model = scaled(quantile, target_channels=[0]).fit(X, y)
    predicted = model.predict(X)
    assert predicted.shape == (*y.shape, 3)
    assert (np.diff(predicted) >= 0).all()
    inside = (predicted[..., 0] <= y) & (y <= predicted[..., 2])
    assert 0.6 < inside.mean() < 0.95
    assert 0.5 < model.score(X, y) < 1
    single = X[..., 0]
    around = scaled(ScaledTargetRegressor(quantile)).fit(single, y)
    assert around.predict(single).shape == predicted.shape
    forecast = recursive_forecast(
        around, growing[:, 0], 7, window=WINDOW, return_quantiles=True
    )  # the horizon is known
    assert forecast.shape == (7, 3)
    np.testing.assert_allclose(
        forecast[:horizon], around.predict(single[-1:] * 0 + growing[-WINDOW:, 0])[0].reshape(-1, 3)
    )


def test_recursive_forecasts(growing):
    X, y = sliding_windows(growing, WINDOW, 3)
    regressor = make_pipeline(FunctionTransformer(flat), Ridge())
    model = scaled(regressor, target_channels="all").fit(X, y)
    forecast = recursive_forecast(model, growing, 7, window=WINDOW)
    first = model.predict(growing[np.newaxis, -WINDOW:]).reshape(3, 2)
    np.testing.assert_allclose(forecast[:3], first)
    second = np.concatenate([growing[-WINDOW + 3 :], first])
    np.testing.assert_allclose(forecast[3:6], model.predict(second[np.newaxis]).reshape(3, 2))
    with pytest.raises(ValueError, match="horizon=2"):
        recursive_forecast(model, growing, 7, window=WINDOW, horizon=2)
    search = GridSearchCV(scaled(Ridge()), {"center": ["last"]}, cv=2)
    X, y = sliding_windows(growing[:, 0], WINDOW, 3)
    assert recursive_forecast(search.fit(X, y), growing[:, 0], 4, window=WINDOW).shape == (4,)


def test_constant_windows():
    """They are divided by the smallest scale that windows of their size have."""
    rng = np.random.default_rng(0)
    X = 1000 + rng.normal(size=(50, WINDOW))
    X[10], X[11], X[12] = 1000, 5, 0
    y = X.mean(axis=1) + rng.normal(size=50)
    model = scaled(Kept(), center="mean").fit(X, y)
    assert np.isfinite(model.regressor_.X_).all()
    assert (model.regressor_.X_[10:13] == 0).all()
    spread = np.delete(X, [10, 11, 12], axis=0).std(axis=1)
    smallest = spread.min()
    np.testing.assert_allclose(model.learned_scale_[0], smallest)
    np.testing.assert_allclose(model.learned_scale_[1], smallest / 1000, rtol=1e-2)
    sizes = (y - X.mean(axis=1))[10:13] / model.regressor_.y_[10:13]
    np.testing.assert_allclose(sizes, smallest * np.array([1, 0.005, 1]), rtol=1e-2)
    # a level that rounding alone makes vary
    np.testing.assert_allclose(
        model.predict(np.full((1, WINDOW), 0.1 + 0.2)), 0.3, rtol=1e-2
    )  # fmt: skip
    for scale in SCALES:
        every = scaled(Ridge(), scale=scale).fit(np.full((9, WINDOW), 7.0), np.full(9, 7.0))
        np.testing.assert_allclose(every.predict(np.full((2, WINDOW), 8.0)), 8)
    huge = scaled(Ridge()).fit(X * 1e200, y * 1e200)
    assert np.isfinite(huge.predict(X * 1e200)).all()


@pytest.mark.parametrize("scale", ["window", "series", None])
def test_negative_weights_are_refused(growing, scale):
    X, y = sliding_windows(growing[:, 0], WINDOW)
    for weights in (-np.ones(len(X)), np.where(np.arange(len(X)) == 3, -1.0, 1.0)):
        with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
            scaled(Ridge(), scale=scale).fit(X, y, sample_weight=weights)


def test_sample_weights(growing):
    X, y = sliding_windows(growing[:, 0], WINDOW)
    weights = np.arange(len(X)) % 3
    for scale in SCALES:
        model = scaled(Ridge(), scale=scale).fit(X, y, weights)
        repeated = scaled(Ridge(), scale=scale).fit(
            np.repeat(X, weights, axis=0), np.repeat(y, weights)
        )
        np.testing.assert_allclose(model.predict(X), repeated.predict(X))
        pipeline = make_pipeline(FunctionTransformer(), Ridge())
        in_pipeline = scaled(pipeline, scale=scale).fit(X, y, ridge__sample_weight=weights)
        np.testing.assert_allclose(in_pipeline.predict(X), model.predict(X))


def test_windows_to_validate_on_are_scaled_by_themselves(growing):
    X, y = sliding_windows(growing[:, 0], WINDOW, 2)
    val = {"X_val": X[80:], "y_val": y[80:]}
    model = scaled(gru(max_iter=5)).fit(X[:80], y[:80], **val)
    fitted = scaled(Kept()).fit(X[:80], y[:80]).regressor_
    held = scaled(Kept()).fit(X[80:], y[80:]).regressor_
    alone = gru(max_iter=5).fit(fitted.X_, fitted.y_, X_val=held.X_, y_val=held.y_)
    scores = model.regressor_.validation_scores_
    np.testing.assert_allclose(scores, alone.validation_scores_)
    with config_context(enable_metadata_routing=True):
        inner = gru(max_iter=5).set_fit_request(sample_weight=True, X_val=True, y_val=True)
        routed = scaled(inner).fit(X[:80], y[:80], np.ones(80), **val)
        np.testing.assert_allclose(routed.regressor_.validation_scores_, scores)
        pipeline = make_pipeline(PerTimestep(StandardScaler()), inner)
        pipeline.set_params(transform_input=["X_val"])
        search = GridSearchCV(scaled(pipeline), {"center": ["last", "mean"]}, cv=2)
        search.fit(X[:80], y[:80], **val)
        assert np.min(search.best_estimator_.regressor_[-1].validation_scores_) > -10
    with pytest.raises(ValueError, match="y_val needs X_val, whose level and scale it has"):
        model.fit(X, y, y_val=y)
    with pytest.raises(ValueError, match="y_val has 1 columns, y has 2"):
        model.fit(X, y, X_val=X, y_val=y[:, 0])
    with pytest.raises(ValueError, match="X_val has windows of 9 time steps and 1 channels"):
        model.fit(X, y, X_val=X[:, 1:], y_val=y)
    np.testing.assert_allclose(model.regressor_.validation_scores_, scores)


def test_it_tunes_clones_and_pickles(growing):
    X, y = sliding_windows(growing[:, 0], WINDOW, 2)
    model = scaled(gru())
    grid = {"center": CENTERS, "scale": SCALES, "regressor__max_iter": [1, 2]}
    search = GridSearchCV(model, grid, cv=TimeSeriesSplit(2)).fit(X, y)
    assert len(search.cv_results_["params"]) == 24
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    model = scaled(gru(), center="season").fit(X, y)
    assert "regressor_" not in vars(clone(model))
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    before = model.predict(X)
    # what is fitted does not change with the parameters
    model.set_params(center=None, scale=None)
    np.testing.assert_array_equal(model.predict(X), before)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X, np.full(len(X), np.nan))
    np.testing.assert_array_equal(model.predict(X), before)
    assert model.n_features_in_ == WINDOW
    damaged = model.__getstate__()
    damaged["learned_scale_"] = damaged["learned_scale_"] * 2
    with pytest.raises(ValueError, match="is damaged"):
        object.__new__(WindowScaledRegressor).__setstate__(damaged)


def test_other_regressors_and_tables(growing):
    X, y = sliding_windows(growing[:, 0], WINDOW)
    boosted = scaled(HistGradientBoostingRegressor(max_iter=50)).fit(X[:80], y[:80])
    raw = HistGradientBoostingRegressor(max_iter=50).fit(X[:80], y[:80])
    assert r2_score(y[80:], raw.predict(X[80:])) < 0 < boosted.score(X[80:], y[80:])
    # a table whose newest lag comes first, as skforecast makes it
    newest_first = X[:, ::-1]
    oldest_first = FunctionTransformer(lags_to_sequences, kw_args={"n_lags": WINDOW})
    turned = make_pipeline(oldest_first, scaled(gru())).fit(newest_first, y)
    expected = scaled(gru()).fit(X[..., np.newaxis], y).predict(X[..., np.newaxis])
    np.testing.assert_allclose(turned.predict(newest_first), expected)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=[f"lag{WINDOW - i}" for i in range(WINDOW)])
    named = scaled(Ridge()).fit(frame, pandas.Series(y))
    assert named.feature_names_in_.tolist() == list(frame.columns)
    np.testing.assert_allclose(named.predict(frame), scaled(Ridge()).fit(X, y).predict(X))
    with pytest.raises(ValueError, match="feature names"):
        named.predict(frame[frame.columns[::-1]])


@pytest.mark.parametrize("horizon", [1, 3])
def test_a_stream_predicts_from_the_last_window(growing, horizon):
    X, y = sliding_windows(growing, WINDOW, horizon)
    model = scaled(gru(loss="quantile"), center="season", target_channels="all").fit(X, y)
    expected = model.predict(X)
    one = stream(model)
    model.fit(X[:20], y[:20])  # changes nothing in the stream
    assert (one.n_streams, one.n_channels) == (1, 2)
    for t, x_t in enumerate(growing[:-horizon]):
        got = one.step(x_t)
        if t < WINDOW - 1:
            assert np.isnan(got).all()
        else:
            np.testing.assert_allclose(got, expected[t - WINDOW + 1], rtol=1e-9)
        assert got.shape == expected.shape[1:]
    state, other = one.state, copy(one)
    got = [pickle.loads(pickle.dumps(one)).step(x_t), other.step(x_t), one.step(x_t)]
    np.testing.assert_array_equal(got[0], got[1])
    np.testing.assert_array_equal(got[0], got[2])
    one.state = state
    np.testing.assert_array_equal(one.step(x_t), got[0])
    one.reset()
    assert (one.state == 0).all()
    assert np.isnan(one.step(x_t)).all()
    state[0, -1] = WINDOW + 1
    with pytest.raises(ValueError, match=f"must hold integers from 0 to {WINDOW}"):
        one.state = state
    with pytest.raises(ValueError, match="x_t contains NaN: stream 0, channel 1"):
        one.step([1.0, np.nan])
    with pytest.raises(ValueError, match="n_streams must be an integer >= 1, got 0"):
        model.stream(0)


@pytest.mark.parametrize("size", [1e-30, 1e20])
def test_values_whose_squares_leave_float32(growing, size):
    X, y = sliding_windows(growing[:, 0], WINDOW)
    expected = scaled(Ridge(), scale="series").fit(X, y).predict(X)
    X, y = sliding_windows((growing[:, 0] * size).astype(np.float32), WINDOW)
    got = scaled(Ridge(), scale="series").fit(X, y).predict(X)
    np.testing.assert_allclose(got / size, expected, rtol=1e-4)


@pytest.mark.parametrize("n_streams", [10**11, 10**18, 10**30, 0, True])
def test_numbers_of_streams_that_cannot_be(growing, n_streams):
    X, y = sliding_windows(growing[:, 0], WINDOW)
    model = scaled(Ridge()).fit(X, y)
    with pytest.raises(ValueError, match="n_streams"):
        model.stream(n_streams)


def test_streams_of_tables_begin_one_by_one(growing):
    X, y = sliding_windows(growing[:, 0], WINDOW)
    model = scaled(Ridge()).fit(X, y)
    pair = model.stream(2)
    for t in range(WINDOW + 3):
        got = pair.step(growing[[t, t], 0].reshape(2, 1))
        if t == 2:
            pair.reset(1)
    assert got.shape == (2,)
    np.testing.assert_allclose(got, model.predict(X[[3, 3]]))
    single = model.stream()
    for t in range(WINDOW):
        number = single.step(growing[t, :1])
    assert np.ndim(number) == 0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"center": "season", "season_length": None}, "center='season' needs season_length="),
        ({"center": "season", "season_length": WINDOW},
         "X has windows of 10 time steps; center='season' needs more than season_length=10"),
        ({"target_channels": None}, "X has 2 channels; say which of them y holds"),
        ({"target_channels": [0, 2]}, "but X has the channels 0 to 1"),
        ({"target_channels": [-1]}, "but X has the channels 0 to 1"),
        ({"target_channels": [0, 0]}, "expected 'all' or different integers"),
        ({"target_channels": [[0]]}, "expected 'all' or different integers"),
        ({"target_channels": [0.5]}, "expected 'all' or different integers"),
        ({"target_channels": []}, "expected 'all' or different integers"),
        ({"regressor": gru(return_sequences=True)}, "return_sequences=True predicts at each step"),
        ({"center": "first"}, "The 'center' parameter"),
    ],
)  # fmt: skip
def test_errors_of_parameters(growing, parameters, message):
    X, y = sliding_windows(growing, WINDOW, 3)
    model = scaled(gru(), target_channels="all").set_params(**parameters)
    before = vars(model).copy()
    with pytest.raises(ValueError, match=message) as error:
        model.fit(X, y)
    assert len(str(error.value)) < 400
    assert vars(model) == before


def test_errors_of_windows(growing):
    X, y = sliding_windows(growing, WINDOW, 3)
    model = scaled(gru(), target_channels="all")
    with pytest.raises(ValueError, match="y has 5 columns, which 2 target channels do not divide"):
        model.fit(X, y[:, :5])
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        model.fit(X, None)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, y[1:])
    with pytest.raises(ValueError, match="windows of 9 to 10 time steps; expected one length"):
        model.fit([X[0], X[1][1:]], y[:2])
    model.fit(X, y)
    with pytest.raises(ValueError, match="X has windows of 8 time steps and 2 channels, but"):
        model.predict(X[:, 2:])

    class Odd(Kept):
        def predict(self, X):
            return super().predict(X)[:, :2]

    with pytest.raises(ValueError, match=r"predicts an array of shape \(3, 2\) for 3 windows, y"):
        scaled(Odd(), target_channels="all").fit(X, y).predict(X[:3])


@parametrize_with_checks([
    WindowScaledRegressor(Ridge()),
    WindowScaledRegressor(Ridge(), center="mean", scale="series"),
    WindowScaledRegressor(Ridge(), center="season", season_length=1),
    WindowScaledRegressor(Ridge(), center=None, scale=None),
    WindowScaledRegressor(gru(hidden_layer_sizes=16, solver="lbfgs", max_iter=100), center="mean"),
])  # fmt: skip
def test_scikit_learns_checks(estimator, check):
    check(estimator)
