"""A loss, an optimizer, a schedule and a parameter, as docs/extending.rst adds them.

In a copy of the package, which needs no build.
"""

import pytest
from extension_helpers import apply, copy_package, installed, recipe, run_in_copy, use


def extended(tmp_path, title, *before):
    """Apply the recipe to a copy, after others; return the files it touched and its lines."""
    copy_package(tmp_path)
    for other in before:
        apply(recipe(other).package, tmp_path)
    changes = recipe(title).package
    touched, new = apply(changes, tmp_path)
    assert not new
    return touched, changes


def test_a_loss_is_two_lines_of_one_file(tmp_path):
    touched, changes = extended(tmp_path, "A loss")
    assert touched == {"skgru/losses.py"}
    assert [change.code.count("\n") for change in changes] == [1, 1]  # an import, and an entry
    checks = """
    assert model.score(X, y) > 0.5, model.score(X, y)
    check_saved(model, X, y)
    small = GRURegressor(
        3, loss="gamma", pooling="mean", bidirectional=False, cell="light_gru", dtype="float64",
        max_iter=20, random_state=0,
    ).fit(X, y)
    check_gradient(small, X, y)
    check_stream(small, X)
    print(*check_interop(small, X))
    try:
        model.fit(X, y - y.min())
    except ValueError as error:
        print("rejected" if "loss='gamma' needs y > 0" in str(error) else error)
    """
    printed = use(tmp_path, "A loss", "positive_numbers", checks)
    assert printed[-1] == "rejected"
    assert set(printed[:-1]) == installed()


def test_an_optimizer_is_a_class_and_a_line_of_one_file(tmp_path):
    touched, changes = extended(tmp_path, "An optimizer")
    assert touched == {"skgru/training/optimizers.py"}
    assert changes[1].code.count("\n") == 1
    checks = """
    assert model.score(X, y) > 0.9, model.score(X, y)
    check_saved(model, X, y)
    step = GRUClassifier(8, solver="lion", learning_rate="constant", warmup_updates=0,
        learning_rate_init=0.125, alpha=0, batch_size=60, max_iter=1, max_grad_norm=None,
        dtype="float64", random_state=0)
    start = clone(step).set_params(max_iter=0).fit(X, y)._network.parameters
    moved = step.fit(X, y)._network.parameters - start
    print(*sorted(set(np.abs(moved).round(12))))
    """
    assert use(tmp_path, "An optimizer", "labels", checks) == ["0.125"]


def test_a_schedule_is_a_class_and_a_line_of_one_file(tmp_path):
    touched, changes = extended(tmp_path, "A schedule")
    assert touched == {"skgru/training/schedules.py"}
    assert changes[1].code.count("\n") == 1
    checks = """
    assert model.score(X, y) > 0.9, model.score(X, y)
    check_saved(model, X, y)
    schedule = model._solver.schedule
    print(schedule.learning_rate / schedule.learning_rate_init / 0.95 ** model.n_iter_)
    """
    (ratio,) = use(tmp_path, "A schedule", "labels", checks)
    assert float(ratio) == pytest.approx(1)


def test_a_parameter_is_an_entry_and_an_argument_of_both_estimators(tmp_path):
    touched, changes = extended(tmp_path, "A parameter", "A schedule")
    three = {"skgru/_parameters.py", "skgru/classifier.py", "skgru/regressor.py"}
    assert touched == three | {"skgru/training/schedules.py"}  # where it is used
    entry, argument, attribute, _ = changes
    assert entry.paths == ["skgru/_parameters.py"]
    assert argument.code.count("\n") == attribute.code.count("\n") == 1
    checks = """
    check_saved(model, X, y)
    schedule = model._solver.schedule
    print(schedule.learning_rate / schedule.learning_rate_init / 0.5 ** model.n_iter_)
    for estimator in (GRUClassifier, GRURegressor):
        assert "decay_rate : float, default=0.95" in estimator.__doc__
        assert estimator().get_params()["decay_rate"] == 0.95
        try:
            estimator(decay_rate=0.0).fit(X, y == "up")
        except ValueError as error:
            print(str(error).split("must")[0].split()[1])
    state = model.__getstate__()
    """
    ratio, *rejected = use(tmp_path, "A parameter", "labels", checks)
    assert float(ratio) == pytest.approx(1)
    assert rejected == ["'decay_rate'"] * 2


def test_a_model_saved_before_a_parameter_existed(tmp_path):
    extended(tmp_path, "A schedule")
    save = """
import pickle
from extension_checks import *
X, y = labels()
model = GRUClassifier(3, learning_rate="exponential", max_iter=3, random_state=0).fit(X, y)
open("{path}", "wb").write(pickle.dumps((model, model.predict(X))))
"""
    load = """
import pickle
from extension_checks import *
X, y = labels()
model, expected = pickle.loads(open("{path}", "rb").read())
print(model.decay_rate, (model.predict(X) == expected).all(), model.partial_fit(X, y).n_iter_)
"""
    path = tmp_path / "model.pkl"
    run_in_copy(tmp_path, save.format(path=path))
    apply(recipe("A parameter").package, tmp_path)
    assert run_in_copy(tmp_path, load.format(path=path)) == ["0.95", "True", "4"]
