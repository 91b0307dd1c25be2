"""Gradients, integrated gradients and occlusion of the inputs."""

from itertools import product

import numpy as np
import pytest
from helpers import VARIANTS
from inspection_helpers import LENGTHS, X, deciding, fitted, targets
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.forecasting import ScaledTargetRegressor, WindowScaledRegressor
from skgru.inspection import input_attributions
from skgru.preprocessing import FillGaps, Patches, PerSequence, PerTimestep

ONE_EPOCH = {"max_iter": 1, "random_state": 0, "dtype": "float64"}
ignore_short_fits = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::skgru.exceptions.GradientWarning"
)


def differences(response, X, eps=(1e-5,) * 6):
    """Return the derivatives of a response per sequence by central differences, in the form of X.

    A response takes sequences and returns a number for each; eps has a step for each channel.
    """
    found = [np.empty(x.shape) for x in X]
    for i, x in enumerate(X):
        for at in np.ndindex(x.shape):
            both = []
            for sign in (1, -1):
                moved = x.copy()
                moved[at] += sign * eps[at[-1]]
                both.append(response([moved], i)[0])
            found[i][at] = (both[0] - both[1]) / (2 * eps[at[-1]])
    return found


def assert_all_close(got, want, atol):
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


def outputs_of(model):
    """Return a function that computes predictions of a regressor, or of its last step."""
    if model.return_sequences:
        return lambda X, _: [p[-1] for p in model.predict(X)]
    return lambda X, _: model.predict(X)


# ---- gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("top", ["last", "mean", "max", "attention", "steps"])
@pytest.mark.parametrize("cell", VARIANTS)
def test_gradient_of_every_cell_pooling_and_direction(cell, top, bidirectional):
    steps = top == "steps"
    pooling = {"return_sequences": True, "pooling": "last"} if steps else {"pooling": top}
    model = fitted(cell, (3, 2), bidirectional=bidirectional, **pooling)
    result = input_attributions(model, X, method="gradient", step=-1 if steps else None)
    response = outputs_of(model)
    np.testing.assert_allclose(result.responses, response(X, None), rtol=1e-12)
    assert_all_close(result.attributions, differences(response, X), 1e-8)
    assert any(np.abs(a).max() > 1e-3 for a in result.attributions)


@pytest.mark.parametrize("step", [0, 2, -2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradient_of_one_step_of_many_to_many(step, bidirectional):
    model = fitted(return_sequences=True, bidirectional=bidirectional)
    long = [x for x in X if len(x) > 3]
    result = input_attributions(model, long, method="gradient", step=step)
    want = differences(lambda X, _: [p[step] for p in model.predict(X)], long)
    assert_all_close(result.attributions, want, 1e-8)
    if not bidirectional:  # later steps have no influence
        at = [step % len(x) for x in long]
        assert not any(a[t + 1 :].any() for a, t in zip(result.attributions, at, strict=True))
    own = input_attributions(model, long, method="gradient", step=[step % len(x) for x in long])
    assert_all_close(own.attributions, result.attributions, 0)


LABELS = {
    "two classes": np.array(["no", "yes", "no", "yes"]),
    "three classes": np.array([3, 1, 2, 1]),
    "multilabel": np.array([[0, 1], [1, 1], [1, 0], [0, 0]]),
}


def classifier(kind):
    y = LABELS[kind]
    classes = np.arange(2) if y.ndim == 2 else np.unique(y)
    model = GRUClassifier(3, dtype="float64", random_state=0).partial_fit(X, y, classes=classes)
    parameters = model._network.parameters
    parameters[:] = np.random.default_rng(1).normal(size=parameters.size)
    return model, list(classes)


@pytest.mark.parametrize("response", ["probability", "log_probability", "output"])
@pytest.mark.parametrize("kind", LABELS)
def test_gradient_of_every_class_and_response(kind, response):
    model, classes = classifier(kind)

    def of_class(k):
        def compute(X, _):
            p = model.predict_proba(X)[:, k]
            if response == "probability":
                return p
            if response == "log_probability":
                return np.log(p)
            logits = model.transform(X) @ model.head_.W + model.head_.b
            if kind == "two classes":
                return (2 * k - 1) * logits[:, 0]
            return logits[:, k]

        return compute

    for k, label in enumerate(classes):
        result = input_attributions(model, X, label, method="gradient", response=response)
        np.testing.assert_allclose(result.responses, of_class(k)(X, None), rtol=1e-10)
        assert_all_close(result.attributions, differences(of_class(k), X), 1e-8)


def test_the_default_is_the_probability_of_the_positive_class():
    model, _ = classifier("two classes")
    result = input_attributions(model, X, method="gradient")
    yes = input_attributions(model, X, "yes", method="gradient", response="probability")
    assert_all_close(result.attributions, yes.attributions, 0)
    np.testing.assert_allclose(result.responses, model.predict_proba(X)[:, 1], rtol=1e-12)


def test_targets_may_differ_between_sequences():
    model, classes = classifier("three classes")
    predicted = model.predict(X)
    result = input_attributions(model, X, predicted)
    np.testing.assert_allclose(result.responses, model.predict_proba(X).max(axis=1), rtol=1e-12)
    for label in classes:
        of_all = input_attributions(model, X, label)
        for i in np.flatnonzero(predicted == label):
            np.testing.assert_array_equal(result.attributions[i], of_all.attributions[i])


REGRESSORS = {
    "poisson": {"loss": "poisson"},
    "huber": {"loss": "huber"},
    "quantile": {"loss": "quantile", "quantiles": [0.9, 0.1, 0.5]},
}


@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("kind", REGRESSORS)
def test_gradient_of_every_prediction(kind, n_targets):
    y = np.abs(np.random.default_rng(0).normal(size=(4, n_targets)))
    model = fitted(y=y if n_targets > 1 else y[:, 0], **REGRESSORS[kind])
    quantiles = REGRESSORS[kind].get("quantiles", [None])
    for target, (k, quantile) in product(range(n_targets), enumerate(quantiles)):

        def of_prediction(X, _, target=target, k=k):
            return model.predict(X).reshape(len(X), n_targets, -1)[:, target, k]

        result = input_attributions(model, X, target, method="gradient", quantile=quantile)
        np.testing.assert_allclose(result.responses, of_prediction(X, None), rtol=1e-10)
        assert_all_close(result.attributions, differences(of_prediction, X), 1e-8)


def test_the_output_of_a_poisson_regressor_is_the_logarithm():
    model = fitted(y=np.arange(1.0, 5), loss="poisson")
    result = input_attributions(model, X, response="output")
    np.testing.assert_allclose(result.responses, np.log(model.predict(X)), rtol=1e-10)


# ---- integrated gradients ------------------------------------------------------------------------


def test_integrated_gradients_are_the_integral():
    """Against the trapezoidal rule on a fine grid."""
    model = fitted("lstm", (3, 2), bidirectional=True, pooling="mean")
    result = input_attributions(model, X, baseline=0.5, tol=1e-10, max_points=1000)
    grid = np.linspace(0, 1, 4001)
    for x, got in zip(X, result.attributions, strict=True):
        line = [0.5 + at * (x - 0.5) for at in grid]
        gradients = input_attributions(model, line, method="gradient").attributions
        want = (x - 0.5) * np.trapezoid(gradients, grid, axis=0)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-7)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
def test_integrated_gradients_are_complete(pooling):
    model = fitted("gru", 8, pooling=pooling)
    model._network.parameters[:] *= 3
    max_points = 2000 if pooling == "max" else 400  # the gradient of a maximum jumps
    result = input_attributions(model, X, max_points=max_points)
    np.testing.assert_allclose(result.responses, model.predict(X), rtol=1e-12)
    mean = np.concatenate(X).mean(axis=0)
    at_mean = model.predict([np.tile(mean, (n, 1)) for n in LENGTHS])
    np.testing.assert_allclose(result.baseline_responses, at_mean, rtol=1e-12)
    sums = np.array([a.sum() for a in result.attributions])
    np.testing.assert_allclose(
        sums + result.residuals, result.responses - result.baseline_responses, rtol=1e-12
    )
    share = np.abs(result.residuals / (result.responses - result.baseline_responses))
    assert share.max() <= 1e-3
    assert result.n_points.min() >= 17
    assert result.n_points.max() <= max_points


@ignore_short_fits
def test_integrated_gradients_of_a_fitted_model_are_complete(ragged):
    X, y = ragged
    model = GRUClassifier(16, max_iter=60, random_state=0).fit(X, y)
    for dtype in ("float32", "float64"):
        result = input_attributions(model, X, dtype=dtype)
        difference = result.responses - result.baseline_responses
        assert (np.abs(result.residuals) <= 1e-3 * np.abs(difference) + 1e-7).all()


def test_a_small_tolerance_takes_more_points_and_leaves_less_over():
    model = fitted("gru", 8)
    model._network.parameters[:] *= 3
    results = [input_attributions(model, X, tol=tol, max_points=5000) for tol in (1e-1, 1e-4, 1e-8)]
    left_over = [np.abs(r.residuals).max() for r in results]
    assert left_over[0] > left_over[1] > left_over[2]
    assert results[0].n_points.sum() < results[1].n_points.sum() < results[2].n_points.sum()


def test_too_few_points_warn():
    model = fitted("gru", 8, pooling="max")
    model._network.parameters[:] *= 10
    with pytest.warns(UserWarning, match=r"add up to .* more or less .* Raise max_points"):
        input_attributions(model, X, max_points=17)


BASELINES = {
    "number": (0.25, lambda x: np.full(x.shape, 0.25)),
    "channels": ([0.5, -1.0], lambda x: np.tile([0.5, -1.0], (len(x), 1))),
    "sequences": ([x / 2 for x in X], lambda x: x / 2),
}


@pytest.mark.parametrize("form", BASELINES)
def test_baselines(form):
    model = fitted()
    baseline, of = BASELINES[form]
    result = input_attributions(model, X, baseline=baseline)
    np.testing.assert_allclose(
        result.baseline_responses, model.predict([of(x) for x in X]), rtol=1e-12
    )


def test_baselines_of_arrays_and_tables():
    rng = np.random.default_rng(0)
    array, one = rng.normal(size=(5, 4, 2)), rng.normal(size=(4, 2))
    model = fitted()
    at_one = model.predict([one])
    got = input_attributions(model, array, baseline=one)
    np.testing.assert_allclose(got.baseline_responses, np.repeat(at_one, 5), rtol=1e-12)
    same = input_attributions(model, array, baseline=np.tile(one, (5, 1, 1)))
    np.testing.assert_array_equal(same.attributions, got.attributions)
    table = array.reshape(5, -1)
    model = fitted(X=table, y=np.arange(5.0), n_channels=2)
    of_table = input_attributions(model, table, baseline=one.ravel())
    np.testing.assert_allclose(of_table.attributions.reshape(5, 4, 2), got.attributions, rtol=1e-9)
    of_rows = input_attributions(model, table, baseline=np.tile(one.ravel(), (5, 1)))
    np.testing.assert_array_equal(of_rows.attributions, of_table.attributions)


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_the_names_of_a_baseline_are_those_of_x(method):
    """In another order, its values would be those of other channels."""
    pandas = pytest.importorskip("pandas")
    rng, names = np.random.default_rng(0), ["a", "b"]
    frames = [pandas.DataFrame(rng.normal(size=(4, 2)), columns=names) for _ in range(5)]
    model = fitted(X=frames, y=np.arange(5.0))
    want = input_attributions(model, frames, method=method, baseline=[0.5, -1.0])
    one = pandas.Series([0.5, -1.0], index=names)
    for baseline in (one, pandas.DataFrame([one] * 4), [pandas.DataFrame([one] * 4)] * 5):
        got = input_attributions(model, frames, method=method, baseline=baseline)
        np.testing.assert_array_equal(got.attributions, want.attributions)
    other = one[["b", "a"]]
    for baseline in (other, pandas.DataFrame([other] * 4), [pandas.DataFrame([other] * 4)] * 5):
        with pytest.raises(ValueError, match=r"baseline has the columns \['b', 'a'\], X has"):
            input_attributions(model, frames, method=method, baseline=baseline)


# ---- occlusion -----------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 2, 10])
def test_occlusion_is_the_difference_of_predictions(window):
    model = fitted(bidirectional=True)
    result = input_attributions(model, X, method="occlusion", baseline=0.3, window=window)
    whole = model.predict(X)
    for i, (x, got) in enumerate(zip(X, result.attributions, strict=True)):
        for stop in range(len(x), 0, -window):
            steps = slice(max(0, stop - window), stop)
            for channel in range(2):
                without = x.copy()
                without[steps, channel] = 0.3
                lost = whole[i] - model.predict([without])[0]
                np.testing.assert_allclose(got[steps, channel].sum(), lost, atol=1e-12)
                assert np.ptp(got[steps, channel]) == 0
    sums = np.array([a.sum() for a in result.attributions])
    np.testing.assert_allclose(
        result.residuals, result.responses - result.baseline_responses - sums, atol=1e-12
    )


# ---- what decides is found -----------------------------------------------------------------------


@ignore_short_fits
@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_attributions_are_where_the_prediction_is_decided(method):
    X, decides = deciding()
    model = GRURegressor(16, solver="lbfgs", max_iter=400, random_state=0)
    model.fit(X[:-200], decides[:-200])
    assert model.score(X[-200:], decides[-200:]) > 0.99
    result = input_attributions(model, X[-200:], method=method)
    mass = np.abs(result.attributions).sum(axis=0)
    assert mass[4, 1] / mass.sum() >= 0.9
    lag, channel = np.unravel_index(result.by_lag.argmax(), result.by_lag.shape)
    assert (lag, channel) == (5, 1)


# ---- forms, units, pipelines ---------------------------------------------------------------------


def test_results_have_the_form_of_x():
    model = fitted()
    ragged = input_attributions(model, X)
    assert [a.shape for a in ragged.attributions] == [x.shape for x in X]
    padded = np.full((4, 7, 2), np.nan)
    for row, x in zip(padded, X, strict=True):
        row[: len(x)] = x
    array = input_attributions(model, padded)
    assert array.attributions.shape == padded.shape
    np.testing.assert_array_equal(np.isnan(array.attributions), np.isnan(padded))
    assert_all_close(
        [a[: len(x)] for a, x in zip(array.attributions, X, strict=True)], ragged.attributions, 0
    )
    assert ragged.channel_names == ["x0", "x1"]
    for lag in range(6):
        having = [np.abs(a[-1 - lag]) for a in ragged.attributions if len(a) > lag]
        np.testing.assert_allclose(ragged.by_lag[lag], np.mean(having, axis=0))
    assert ragged.by_lag.shape == (6, 2)


@ignore_short_fits
def test_names_are_those_of_data_frames():
    pandas = pytest.importorskip("pandas")
    frames = [pandas.DataFrame(x, columns=["load", "wind"]) for x in X]
    model = fitted(X=frames)
    pipeline = make_pipeline(PerTimestep(StandardScaler()), GRURegressor(3, **ONE_EPOCH))
    pipeline.fit(frames, targets(model))
    for estimator in (model, pipeline):
        for method in ("gradient", "integrated_gradients", "occlusion"):
            result = input_attributions(estimator, frames, method=method)
            assert result.channel_names == ["load", "wind"]
    with pytest.raises(ValueError, match="another order|in the same order|match"):
        input_attributions(pipeline, [frame[["wind", "load"]] for frame in frames])


def test_dtype_is_that_of_the_estimator_unless_asked_for():
    model = fitted(dtype="float32")
    exact = fitted()
    exact._network.parameters[:] = model._network.parameters
    want = input_attributions(exact, X, method="gradient").attributions
    as_is, in_double = (
        input_attributions(model, X, method="gradient", dtype=dtype).attributions
        for dtype in (None, "float64")
    )
    assert_all_close(in_double, want, 0)
    assert_all_close(as_is, want, 1e-5)
    assert any((a != b).any() for a, b in zip(as_is, want, strict=True))


def test_results_do_not_depend_on_threads_nor_on_the_other_sequences():
    model = fitted(pooling="attention", bidirectional=True)
    for method in ("gradient", "integrated_gradients", "occlusion"):
        alone = clone(model)
        whole = input_attributions(model, X, method=method, baseline=0.0)
        model.n_jobs = 2
        threads = input_attributions(model, X, method=method, baseline=0.0)
        assert_all_close(threads.attributions, whole.attributions, 0)
        for i, x in enumerate(X):
            (alone,) = input_attributions(model, [x], method=method, baseline=0.0).attributions
            np.testing.assert_allclose(alone, whole.attributions[i], rtol=1e-9, atol=1e-12)
        model.n_jobs = None


def test_memory_is_bounded_by_passes(monkeypatch):
    from skgru.inspection import input_gradients

    model = fitted()
    whole = [input_attributions(model, X, method=m) for m in ("gradient", "integrated_gradients")]
    monkeypatch.setattr(input_gradients, "MAX_NUMBERS", 1)
    seen = []
    chunk = input_gradients._Pass.__init__
    monkeypatch.setattr(
        input_gradients._Pass,
        "__init__",
        lambda self, *args: seen.append(len(args[3].samples)) or chunk(self, *args),
    )
    for method, want in zip(("gradient", "integrated_gradients"), whole, strict=True):
        one_by_one = input_attributions(model, X, method=method)
        for a, b in zip(one_by_one.attributions, want.attributions, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert set(seen) == {1}


PIPELINES = {
    "scaler": [PerTimestep(StandardScaler())],
    "two scalers": [PerTimestep(MinMaxScaler()), PerTimestep(StandardScaler())],
    "patches": [PerTimestep(StandardScaler()), Patches(3, 2)],
    "patches of patches": [Patches(2, 1), PerTimestep(StandardScaler()), Patches(2, 2)],
    "passthrough": ["passthrough", PerTimestep(StandardScaler())],
}


@ignore_short_fits
@pytest.mark.parametrize("steps", PIPELINES.values(), ids=PIPELINES)
def test_gradients_of_pipelines_are_in_the_units_of_x(steps):
    scaled_X = [x * [100.0, 0.01] + [5, 3] for x in X]
    pipeline = make_pipeline(*steps, GRURegressor(4, **ONE_EPOCH))
    pipeline.fit(scaled_X, [x.sum() for x in X])
    result = input_attributions(pipeline, scaled_X, method="gradient")
    want = differences(lambda X, _: pipeline.predict(X), scaled_X, eps=(1e-3, 1e-7))
    assert_all_close(
        [a * [100, 0.01] for a in result.attributions], [w * [100, 0.01] for w in want], 1e-7
    )
    whole = input_attributions(pipeline, scaled_X, tol=1e-6)
    mean = np.concatenate(scaled_X).mean(axis=0)
    np.testing.assert_allclose(
        whole.baseline_responses,
        pipeline.predict([np.tile(mean, (len(x), 1)) for x in X]),
        rtol=1e-9,
    )
    sums = [a.sum() for a in whole.attributions]
    np.testing.assert_allclose(sums, whole.responses - whole.baseline_responses, atol=1e-5)


@ignore_short_fits
def test_tables_and_scalers_of_their_columns():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(8, 6)) * 10
    pipeline = make_pipeline(StandardScaler(), GRURegressor(3, n_channels=2, **ONE_EPOCH))
    pipeline.fit(table, table[:, 0])
    result = input_attributions(pipeline, table, method="gradient")
    assert result.attributions.shape == table.shape
    want = differences(lambda X, _: pipeline.predict(np.array(X)), list(table))
    np.testing.assert_allclose(result.attributions, want, atol=1e-8)
    assert result.by_lag.shape == (3, 2)


@ignore_short_fits
def test_searches_and_scaled_targets():
    y = np.array([x.sum() for x in X]) * 50 + 1000
    regressor = GRURegressor(3, **ONE_EPOCH)
    for whole in (
        ScaledTargetRegressor(regressor),
        TransformedTargetRegressor(regressor, transformer=StandardScaler()),
        make_pipeline(PerTimestep(StandardScaler()), ScaledTargetRegressor(regressor)),
        ScaledTargetRegressor(make_pipeline(PerTimestep(StandardScaler()), regressor)),
    ):
        whole.fit(X, y)
        result = input_attributions(whole, X, method="gradient")
        np.testing.assert_allclose(result.responses, whole.predict(X), rtol=1e-9)
        assert_all_close(
            result.attributions, differences(lambda X, _, m=whole: m.predict(X), X), 1e-5
        )
    search = GridSearchCV(regressor, {"hidden_layer_sizes": [2]}, cv=2).fit(X, y)
    best = input_attributions(search.best_estimator_, X)
    assert_all_close(input_attributions(search, X).attributions, best.attributions, 0)


@ignore_short_fits
def test_other_steps_are_refused_with_the_remedy_and_occlusion_goes_through_them():
    for step in (
        PerSequence(StandardScaler()),
        PerTimestep(FunctionTransformer(np.tanh)),
        FunctionTransformer(lambda X: [x * 2 for x in X]),
    ):
        pipeline = make_pipeline(step, GRURegressor(3, **ONE_EPOCH)).fit(X, [1.0, 2, 3, 4])
        with pytest.raises(ValueError, match="at='last_step'.*method='occlusion'"):
            input_attributions(pipeline, X)
        seen = step.fit_transform(X)
        at_last = input_attributions(pipeline, X, at="last_step")
        want = input_attributions(pipeline[-1], seen)
        assert_all_close(at_last.attributions, want.attributions, 0)
        result = input_attributions(pipeline, X, method="occlusion", baseline=0.0)
        without = X[0].copy()
        without[1, 0] = 0
        lost = pipeline.predict(X[:1]) - pipeline.predict([without])
        np.testing.assert_allclose(result.attributions[0][1, 0], lost[0], atol=1e-10)


@ignore_short_fits
def test_missing_values_are_refused_by_gradients_and_occluded():
    gaps = [x.copy() for x in X]
    gaps[0][1, 0] = np.nan
    y = [1.0, 2, 3, 4]
    for steps in ([FillGaps()], [PerTimestep(SimpleImputer())]):
        pipeline = make_pipeline(*steps, GRURegressor(3, **ONE_EPOCH)).fit(gaps, y)
        with pytest.raises(ValueError, match=r"missing values.*at='last_step'.*'occlusion'"):
            input_attributions(pipeline, gaps)
        seen = pipeline[:-1].transform(gaps)
        at_last = input_attributions(pipeline, gaps, at="last_step")
        assert_all_close(
            at_last.attributions, input_attributions(pipeline[-1], seen).attributions, 0
        )
        result = input_attributions(pipeline, gaps, method="occlusion", baseline=0.5)
        known = gaps[0].copy()
        known[1, 0] = 0.5
        lost = pipeline.predict(gaps[:1]) - pipeline.predict([known])
        np.testing.assert_allclose(result.attributions[0][1, 0], lost[0], atol=1e-10)


@ignore_short_fits
def test_a_padded_array_before_patches():
    padded = np.full((4, 8, 2), np.nan)
    for row, x in zip(padded, X, strict=True):
        row[: len(x)] = x
    pipeline = make_pipeline(Patches(3, 2), GRURegressor(3, **ONE_EPOCH)).fit(X, [1.0, 2, 3, 4])
    for method in ("gradient", "integrated_gradients", "occlusion"):
        ragged = input_attributions(pipeline, X, method=method).attributions
        found = input_attributions(pipeline, padded, method=method).attributions
        np.testing.assert_array_equal(np.isnan(found), np.isnan(padded))
        assert_all_close([a[: len(x)] for a, x in zip(found, X, strict=True)], ragged, 1e-12)


def test_some_samples_before_the_background_of_all():
    model, _ = classifier("three classes")
    whole = input_attributions(model, X, [1, 2, 3, 1])
    some = input_attributions(model, X, [1, 2, 3, 1], samples=[2, -4])
    for got, want in zip(some.attributions, (2, 0), strict=True):
        np.testing.assert_allclose(got, whole.attributions[want], rtol=1e-9, atol=1e-12)
    assert some.targets.tolist() == [3, 1]
    np.testing.assert_allclose(some.baseline_responses, whole.baseline_responses[[2, 0]])


# ---- refused -------------------------------------------------------------------------------------


def test_what_is_explained_must_be_said():
    model, _ = classifier("three classes")
    with pytest.raises(ValueError, match=r"there are 3 classes.*target=estimator.predict\(X\)"):
        input_attributions(model, X)
    with pytest.raises(ValueError, match=r"target is 7, which is none of the classes"):
        input_attributions(model, X, 7)
    with pytest.raises(ValueError, match="target has 2 entries, X has 4 sequences"):
        input_attributions(model, X, [1, 2])
    with pytest.raises(ValueError, match=r"response='prediction'.*'probability'"):
        input_attributions(model, X, 1, response="prediction")
    with pytest.raises(ValueError, match="quantile=0.5, but the model predicts no quantiles"):
        input_attributions(model, X, 1, quantile=0.5)
    with pytest.raises(ValueError, match="step=3, but with return_sequences=False"):
        input_attributions(model, X, 1, step=3)
    multilabel, _ = classifier("multilabel")
    with pytest.raises(ValueError, match="target=None, but the model has 2 outputs"):
        input_attributions(multilabel, X)
    with pytest.raises(ValueError, match="target=-1; expected an integer from 0 to 1"):
        input_attributions(multilabel, X, -1)
    quantiles = fitted(loss="quantile", quantiles=[0.1, 0.9])
    with pytest.raises(ValueError, match=r"predicts the quantiles \(0.1, 0.9\); choose one"):
        input_attributions(quantiles, X)
    with pytest.raises(ValueError, match="quantile=0.5, but the model predicts quantiles"):
        input_attributions(quantiles, X, quantile=0.5)
    with pytest.raises(ValueError, match="response='probability'.*'prediction', 'output'"):
        input_attributions(quantiles, X, quantile=0.1, response="probability")
    steps = fitted(return_sequences=True)
    with pytest.raises(ValueError, match="step=-1 is the last one"):
        input_attributions(steps, X)
    with pytest.raises(ValueError, match=r"step=1 is not in X\[3\], which has 1 time steps"):
        input_attributions(steps, X, step=1)
    with pytest.raises(ValueError, match="step=0.5; expected an integer"):
        input_attributions(steps, X, step=0.5)


def test_invalid_arguments():
    model = fitted()
    for arguments, message in (
        ({"method": "shap"}, "method must be one of integrated_gradients"),
        ({"at": "last"}, "at must be 'input' or 'last_step'"),
        ({"tol": 0}, "tol must be positive"),
        ({"max_points": 5}, "max_points must be at least 17, got 5"),
        ({"window": 0}, "window must be a positive integer"),
        ({"dtype": "float16"}, "dtype must be float32, float64 or None"),
        ({"baseline": "zero"}, "baseline must be 'mean'"),
        ({"baseline": [1.0, 2, 3]}, r"baseline has shape \(3,\); expected a number; \(2,\)"),
        ({"baseline": [np.nan, 0]}, "is not finite"),
        ({"baseline": X[:2]}, "baseline has 2 sequences"),
        ({"samples": [4]}, "samples has 4, which is not in X of 4 sequences"),
        ({"samples": []}, "expected one or more integers"),
    ):
        with pytest.raises(ValueError, match=message):
            input_attributions(model, X, **arguments)
    with pytest.raises(ValueError, match="NaN"):
        input_attributions(model, [np.full((3, 2), np.nan)])
    with pytest.raises(ValueError, match="3 channels, but GRURegressor was fitted on"):
        input_attributions(model, np.ones((2, 4, 3)))
    with pytest.raises(NotFittedError):
        input_attributions(GRURegressor(), X)
    with pytest.raises(TypeError, match="got LinearRegression. channel_importance takes"):
        input_attributions(LinearRegression(), X)
    windows = WindowScaledRegressor(GRURegressor(2, **ONE_EPOCH))
    with pytest.raises(TypeError, match="got WindowScaledRegressor"):
        input_attributions(windows, X)


def test_the_estimator_does_not_change():
    model = fitted()
    before, names = model._network.parameters.copy(), set(vars(model))
    for method in ("gradient", "integrated_gradients", "occlusion"):
        input_attributions(model, X, method=method)
    np.testing.assert_array_equal(model._network.parameters, before)
    assert set(vars(model)) == names
