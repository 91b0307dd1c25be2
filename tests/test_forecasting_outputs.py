"""What a regressor's predictions mean is never guessed from their number."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.forecasting import ScaledTargetRegressor, recursive_forecast, sliding_windows
from skgru.preprocessing import PerTimestep

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning"),
]
WINDOW = 6


def gru(**parameters):
    return GRURegressor(**{"hidden_layer_sizes": 4, "max_iter": 3, "random_state": 0,
                           "dtype": "float64", **parameters})  # fmt: skip


def banded(**parameters):
    return gru(loss="quantile", quantiles=(0.1, 0.5, 0.9), **parameters)


@pytest.fixture
def wave():
    rng = np.random.default_rng(0)
    return np.sin(np.arange(80) / 3) + 0.1 * rng.normal(size=80)


def wrappings(model):
    """A model in all that may be around it."""
    return {
        "alone": model,
        "pipeline": make_pipeline(PerTimestep(StandardScaler()), model),
        "scaled": ScaledTargetRegressor(make_pipeline(PerTimestep(StandardScaler()), model)),
        "search": GridSearchCV(model, {"alpha": [0.1]}, cv=2),
        "scaled search": ScaledTargetRegressor(GridSearchCV(model, {"alpha": [0.1]}, cv=2)),
        "search of scaled": GridSearchCV(
            ScaledTargetRegressor(model), {"regressor__alpha": [0.1]}, cv=2
        ),
    }


def by_hand(model, history, steps, horizon, middle):
    """The forecast as a loop over `predict`; `middle` picks what is fed back."""
    values = list(history)
    seen = []
    while len(seen) < steps:
        predicted = model.predict(np.array(values[-WINDOW:])[None])[0]
        seen.extend(np.reshape(predicted, (horizon, -1)))
        values.extend(middle(np.reshape(predicted, (horizon, -1))))
    return np.array(values[len(history) : len(history) + steps]), np.array(seen[:steps])


@pytest.mark.parametrize("around", wrappings(None))
@pytest.mark.parametrize("horizon", [1, 3])
def test_the_median_is_forecast_and_the_band_is_offered(wave, around, horizon):
    model = wrappings(banded())[around].fit(*sliding_windows(wave, WINDOW, horizon))
    median, band = by_hand(model, wave, 7, horizon, lambda p: p[:, 1])
    for stated in (None, horizon):
        forecast = recursive_forecast(model, wave, 7, window=WINDOW, horizon=stated)
        np.testing.assert_allclose(forecast, median, rtol=1e-12)
        assert forecast.shape == (7,)
        quantiles = recursive_forecast(
            model, wave, 7, window=WINDOW, horizon=stated, return_quantiles=True
        )
        np.testing.assert_allclose(quantiles, band, rtol=1e-12)
        np.testing.assert_array_equal(quantiles[:, 1], forecast)
        assert (np.diff(quantiles) >= 0).all()
    frozen = recursive_forecast(FrozenEstimator(model), wave, 7, window=WINDOW)
    np.testing.assert_array_equal(frozen, forecast)


@pytest.mark.parametrize("around", wrappings(None))
@pytest.mark.parametrize("horizon", [1, 3])
def test_a_gru_knows_its_horizon(wave, around, horizon):
    model = wrappings(gru())[around].fit(*sliding_windows(wave, WINDOW, horizon))
    expected, _ = by_hand(model, wave, 7, horizon, lambda p: p[:, 0])
    for stated in (None, horizon):
        forecast = recursive_forecast(model, wave, 7, window=WINDOW, horizon=stated)
        np.testing.assert_allclose(forecast, expected, rtol=1e-12)
    wrong = "predicts 3 numbers .* horizon=2" if horizon == 3 else "predicts 1 numbers .* horizon=2"
    with pytest.raises(ValueError, match=wrong):
        recursive_forecast(model, wave, 7, window=WINDOW, horizon=2)
    with pytest.raises(ValueError, match="return_quantiles=True is for a GRURegressor of several"):
        recursive_forecast(model, wave, 7, window=WINDOW, return_quantiles=True)


def test_quantiles_of_several_channels_and_series(wave):
    series = np.column_stack([wave, 2 - wave])
    model = banded().fit(*sliding_windows(series, WINDOW, 3))
    both = [series, series[:50]]
    forecast = recursive_forecast(model, both, 7, window=WINDOW, horizon=3)
    band = recursive_forecast(model, both, 7, window=WINDOW, horizon=3, return_quantiles=True)
    assert forecast.shape == (2, 7, 2)
    assert band.shape == (2, 7, 2, 3)
    np.testing.assert_array_equal(band[..., 1], forecast)
    first = model.predict(series[None, -WINDOW:]).reshape(3, 2, 3)
    np.testing.assert_allclose(band[0, :3], first, rtol=1e-12)
    moved = np.concatenate([series[-3:], first[..., 1]])
    second = model.predict(moved[None]).reshape(3, 2, 3)
    np.testing.assert_allclose(band[0, 3:6], second, rtol=1e-12)


@pytest.mark.parametrize("quantiles", [(0.5,), (0.9, 0.5, 0.1)])
def test_the_median_wherever_it_stands(wave, quantiles):
    model = gru(loss="quantile", quantiles=quantiles).fit(*sliding_windows(wave, WINDOW))
    middle = 0 if len(quantiles) == 1 else 1
    expected, _ = by_hand(model, wave, 4, 1, lambda p: p[:, middle])
    forecast = recursive_forecast(model, wave, 4, window=WINDOW)
    np.testing.assert_allclose(forecast, expected, rtol=1e-12)


@pytest.mark.parametrize("quantiles", [(0.9,), (0.1, 0.9), (0.25, 0.75, 0.9)])
def test_no_median_no_forecast(wave, quantiles):
    model = gru(loss="quantile", quantiles=quantiles).fit(*sliding_windows(wave, WINDOW))
    for around in (model, FrozenEstimator(model)):
        with pytest.raises(ValueError, match="without the median.* Fit it with 0.5 among"):
            recursive_forecast(around, wave, 4, window=WINDOW)


def test_three_numbers_are_not_three_steps(wave):
    """Of another regressor, that could as well be quantiles."""
    X, y = sliding_windows(wave, WINDOW, 3)
    model = LinearRegression().fit(X, y)
    with pytest.raises(ValueError, match="predicts 3 numbers .* something else.* horizon=3"):
        recursive_forecast(model, wave, 4, window=WINDOW)
    forecast = recursive_forecast(model, wave, 4, window=WINDOW, horizon=3)
    np.testing.assert_allclose(forecast[:3], model.predict(wave[None, -WINDOW:])[0])
    with pytest.raises(ValueError, match="predicts 3 numbers .*horizon=1 and 1 channels"):
        recursive_forecast(model, wave, 4, window=WINDOW, horizon=1)


@pytest.mark.parametrize("horizon", [2, 4])
def test_one_channel_of_two_is_not_half_the_steps_of_both(wave, horizon):
    series = np.column_stack([wave, 2 - wave])
    X, y = sliding_windows(series, WINDOW, horizon)
    first = y.reshape(len(y), horizon, 2)[:, :, 0]
    model = gru().fit(X, first)
    with pytest.raises(ValueError, match="History has 2 channels. State horizon="):
        recursive_forecast(model, series, 4, window=WINDOW)
    with pytest.raises(ValueError, match=f"predicts {horizon} numbers .* make {2 * horizon}"):
        recursive_forecast(model, series, 4, window=WINDOW, horizon=horizon)
    both = gru().fit(X, y)
    forecast = recursive_forecast(both, series, horizon, window=WINDOW, horizon=horizon)
    np.testing.assert_allclose(forecast, both.predict(series[None, -WINDOW:]).reshape(horizon, 2))


def test_every_step_of_a_window_is_not_the_future(wave):
    X, y = sliding_windows(wave, WINDOW)
    steps = np.column_stack([X[:, 1:], y])
    for model in (gru(return_sequences=True), banded(return_sequences=True)):
        for around in (model, make_pipeline(FunctionTransformer(), model)):
            around.fit(X, steps)
            with pytest.raises(ValueError, match="return_sequences=True: it predicts at each step"):
                recursive_forecast(around, wave, 4, window=WINDOW, horizon=WINDOW)


def test_labels_are_not_fed_back(wave):
    X, y = sliding_windows(wave, WINDOW)
    classes = (y > 0).astype(int)

    class Foreign:
        def predict(self, X):
            return np.ones(len(X))

        def predict_proba(self, X):
            raise NotImplementedError

    for model in (
        GRUClassifier(4, max_iter=2).fit(X, classes),
        make_pipeline(StandardScaler(), LogisticRegression()).fit(X, classes),
        GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2).fit(X, classes),
        KMeans(2, n_init=1).fit(X),
        IsolationForest(n_estimators=5).fit(X),
        Foreign(),
    ):
        with pytest.raises(TypeError, match="is no regressor: the labels"):
            recursive_forecast(model, wave, 4, window=WINDOW)
    for model in (StandardScaler().fit(X), GRURegressor, None):
        with pytest.raises(TypeError, match="regressor must be a fitted regressor, got a"):
            recursive_forecast(model, wave, 4, window=WINDOW)
    with pytest.raises(NotFittedError):
        recursive_forecast(gru(), wave, 4, window=WINDOW)


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (lambda X: np.full(len(X), np.nan), "predicts NaN or infinity"),
        (lambda X: np.array(["a"] * len(X)), r"dtype <U1 for 1 windows; expected numbers"),
        (lambda X: np.ones(len(X), dtype=bool), "dtype bool for 1 windows; expected numbers"),
        (lambda X: np.ones(len(X) + 1), r"shape \(2,\) and dtype float64 for 1 windows"),
        (lambda X: np.ones((len(X), 1, 3)), r"shape \(1, 1, 3\); expected \(n_windows, horizon"),
        (lambda X: [np.ones(4) for _ in X], "predicts 4 numbers for each window"),
    ],
)
def test_other_odd_predictions(wave, predict, message):
    model = Ridge()
    model.predict = predict
    with pytest.raises(ValueError, match=message):
        recursive_forecast(model, wave, 4, window=WINDOW)


def test_quantiles_through_a_target_transformer(wave):
    """Of one step, scikit-learn's own undoes them; what turns them round is refused."""
    X, y = sliding_windows(wave, WINDOW)
    scaled = TransformedTargetRegressor(banded(), transformer=StandardScaler()).fit(X, y)
    band = recursive_forecast(scaled, wave, 4, window=WINDOW, return_quantiles=True)
    np.testing.assert_allclose(band[0], scaled.predict(wave[None, -WINDOW:])[0])
    turned = TransformedTargetRegressor(banded(), func=np.negative, inverse_func=np.negative)
    turned.fit(X, y)
    with pytest.raises(ValueError, match="not in order: .* decreasing transformation of y"):
        recursive_forecast(turned, wave, 4, window=WINDOW)
    X, y = sliding_windows(wave, WINDOW, 3)
    several = TransformedTargetRegressor(banded(), transformer=StandardScaler()).fit(X, y)
    with pytest.raises(ValueError, match="skgru.forecasting.ScaledTargetRegressor can"):
        recursive_forecast(several, wave, 4, window=WINDOW)
