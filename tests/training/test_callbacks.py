"""scikit-learn's callbacks: an epoch is a task; callbacks may stop training."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.forecasting import ScaledTargetRegressor, WindowScaledRegressor, sliding_windows
from skgru.preprocessing import FillGaps, Patches, PerSequence, PerTimestep

callback = pytest.importorskip(
    "sklearn.callback", reason="callbacks come with scikit-learn 1.9", exc_type=ImportError
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Recorder:
    """Record calls; stop training at an epoch."""

    def __init__(self, stop_at=None):
        self.stop_at = stop_at
        self.calls = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        score = fitted_estimator.score(X, y)
        self.calls.append(("end", context.task_name, context.task_id, score))
        return context.task_name == "epoch" and context.task_id == self.stop_at


def gru(**parameters):
    return GRUClassifier(8, **{"max_iter": 4, "random_state": 0, **parameters})


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_every_epoch_is_a_task(ragged, solver):
    X, y = ragged
    recorder = Recorder()
    model = gru(solver=solver).set_callbacks(recorder).fit(X, y)
    calls = recorder.calls
    assert calls[0] == "setup"
    assert calls[-1] == "teardown"
    assert [c[:3] for c in calls[1:-1]] == [
        ("begin", "fit", 0),
        *[(what, "epoch", i) for i in range(4) for what in ("begin", "end")],
        ("end", "fit", 0),
    ]
    # the fitted estimator is that after each epoch
    for i, call in enumerate(calls[3:-2:2], start=1):
        assert call[3] == gru(solver=solver, max_iter=i).fit(X, y).score(X, y)
    assert not [name for name in vars(model) if "callback_fit_ctx" in name]


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_callback_may_stop_the_fit(ragged, solver):
    X, y = ragged
    how = {"solver": solver, "learning_rate": "constant"}
    model = gru(**how, max_iter=50).set_callbacks(Recorder(stop_at=2)).fit(X, y)
    assert model.n_iter_ == 3
    short = gru(**how, max_iter=3).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), short.predict_proba(X))


def test_a_callback_sees_the_curves_so_far(ragged):
    X, y = ragged
    seen = []

    class Curves(Recorder):
        def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
            losses, scores = fitted_estimator.loss_curve_, fitted_estimator.validation_scores_
            seen.append((context.task_name, list(losses), list(scores)))

    model = gru().set_callbacks(Curves()).fit(X, y, X_val=X[:9], y_val=y[:9])
    assert [name for name, _, _ in seen] == ["epoch"] * 4 + ["fit"]
    for i, (_, losses, scores) in enumerate(seen[:4], start=1):
        assert losses == model.loss_curve_[:i]
        assert scores == model.validation_scores_[:i]


def test_teardown_is_called_after_a_failure(ragged):
    X, y = ragged
    recorder = Recorder()
    model = gru().set_callbacks(recorder)
    with pytest.raises(ValueError, match="sample_weight"):
        model.fit(X, y, sample_weight=np.ones(3))
    assert recorder.calls[-1] == "teardown"
    model.fit(X, y)


def test_callbacks_do_not_change_the_model(ragged):
    X, y = ragged
    model = gru().set_callbacks(Recorder()).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), gru().fit(X, y).predict_proba(X))


def test_progress_bar_and_scoring_monitor(ragged, capsys):
    X, y = ragged
    monitor = callback.ScoringMonitor(scoring="accuracy")
    model = gru().set_callbacks(monitor, callback.ProgressBar()).fit(X, y)
    log = monitor.get_logs().data
    epochs = [entry for entry in log if entry["task_name"] == "epoch"]
    assert [entry["task_id"] for entry in epochs] == [0, 1, 2, 3]
    assert epochs[-1]["accuracy"] == model.score(X, y)
    assert capsys.readouterr().out


def test_callbacks_in_a_pipeline_and_a_search(ragged):
    X, y = ragged
    monitor = callback.ScoringMonitor(scoring="accuracy")
    pipeline = make_pipeline(PerTimestep(StandardScaler()), gru().set_callbacks(monitor))
    pipeline.fit(X, y)
    epochs = [e for e in monitor.get_logs().data if e["task_name"] == "epoch"]
    assert len(epochs) == 4
    search = GridSearchCV(clone(pipeline), {"gruclassifier__max_iter": [2, 3]}, cv=2)
    search.set_callbacks(callback.ProgressBar())
    search.fit(X, y)
    # one run, with the epochs of 2 x 2 + 2 x 3 fits and of the last one
    epochs = [e for e in monitor.get_logs().data if e["task_name"] == "epoch"]
    assert len(epochs) == 10 + search.best_params_["gruclassifier__max_iter"]
    assert search.best_params_["gruclassifier__max_iter"] in (2, 3)


# ---- transformers and other estimators around ----------------------------------------------------


@pytest.mark.parametrize(
    "transformer",
    [PerTimestep(StandardScaler()), PerSequence(StandardScaler()), Patches(2), FillGaps()],
    ids=lambda transformer: type(transformer).__name__,
)
def test_a_transformer_is_one_task(ragged, transformer):
    X, _ = ragged
    calls = []

    class Calls(Recorder):
        def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
            calls.append((context.task_name, len(fitted_estimator.transform(X))))

    recorder = Calls()
    transformer = clone(transformer).set_callbacks(recorder)
    transformed = transformer.fit_transform(X)
    assert calls == [("fit", len(X))]
    assert recorder.calls == ["setup", ("begin", "fit", 0), "teardown"]
    plain = clone(transformer).set_callbacks().fit_transform(X)
    for own, expected in zip(transformed, plain, strict=True):
        np.testing.assert_array_equal(own, expected)


@pytest.mark.parametrize("around", [True, False])
def test_progress_of_a_pipeline(ragged, capsys, around):
    """Every warning is an error: all of its steps support callbacks."""
    X, _ = ragged
    y = np.array([x.mean() for x in X])
    steps = PerTimestep(StandardScaler()), PerSequence(StandardScaler()), Patches(2)
    gru = GRURegressor(3, max_iter=2, random_state=0)
    if around:
        model = ScaledTargetRegressor(make_pipeline(*steps, gru))
    else:
        model = make_pipeline(*steps, ScaledTargetRegressor(gru))
    plain = clone(model).fit(X, y)
    bar = callback.ProgressBar(max_propagation_depth=None)
    model.set_callbacks(bar).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))
    output = capsys.readouterr().out
    shown = "ScaledTargetRegressor", "PerTimestep", "PerSequence", "Patches", "GRURegressor"
    assert all(f"{name} - fit" in output for name in shown), output


@pytest.mark.parametrize("wrap", [lambda gru: gru, ScaledTargetRegressor])
def test_a_search_is_one_run_of_the_callbacks_within(ragged, wrap):
    X, _ = ragged
    y = np.array([x.mean() for x in X])
    monitor = callback.ScoringMonitor(scoring="r2")
    gru = GRURegressor(3, max_iter=2, random_state=0).set_callbacks(monitor)
    pipeline = make_pipeline(PerTimestep(StandardScaler()), wrap(gru))
    GridSearchCV(pipeline, {"pertimestep__transformer__with_std": [True, False]}, cv=2).fit(X, y)
    # of 2 x 2 fits and of the last one
    tasks = [entry["task_name"] for entry in monitor.get_logs().data]
    assert (tasks.count("fit"), tasks.count("epoch")) == (5, 10)


def test_a_monitor_of_a_scaled_target_scores_in_the_units_of_y(ragged):
    X, _ = ragged
    y = np.array([1000 + 50 * x.mean() for x in X])
    monitor = callback.ScoringMonitor(scoring="neg_mean_absolute_error")
    model = ScaledTargetRegressor(GRURegressor(3, max_iter=2, random_state=0))
    weights = np.linspace(0, 1, len(y))
    model.set_callbacks(monitor).fit(X, y, sample_weight=weights)
    (entry,) = [e for e in monitor.get_logs().data if e["estimator_name"] != "GRURegressor"]
    expected = -np.average(np.abs(model.predict(X) - y), weights=weights)
    assert entry["neg_mean_absolute_error"] == pytest.approx(expected)


def test_progress_around_windows():
    """Every warning is an error: the regressor is followed as a part of the fit around it."""
    X, y = sliding_windows(np.sin(np.arange(40.0)), window=6)

    class Begins(Recorder):
        def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
            """There is no fitted estimator yet after a part."""

    recorder = Begins()
    gru = GRURegressor(3, max_iter=2, random_state=0)
    model = WindowScaledRegressor(gru).set_callbacks(recorder).fit(X, y)
    plain = WindowScaledRegressor(gru).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))
    tasks = [call[1] for call in recorder.calls if call[0] == "begin"]
    assert tasks == ["fit", "fit-regressor"]
