"""Warnings belong to the modules of skgru, so that a filter for "skgru" holds for all of them."""

import ast
import pickle
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline

import skgru
from skgru import GRUClassifier, GRURegressor
from skgru.exceptions import DivergenceWarning, GradientWarning, warn_once
from skgru.persistence import VersionWarning
from skgru.preprocessing import Patches
from skgru.training.objective import Objective

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 8))
Y = X[:, -1]
LABELS = np.arange(60) % 2
SMALL = {"hidden_layer_sizes": 3, "random_state": 0}


def too_few_epochs():
    GRURegressor(**SMALL, max_iter=3, learning_rate="constant").fit(X, Y)


def lbfgs_that_ends_early():
    GRURegressor(**SMALL, max_iter=3, solver="lbfgs").fit(X, Y)


def divergence():
    GRUClassifier(8, learning_rate_init=100.0, max_iter=60, random_state=0).fit(X, LABELS)


def clipping():
    GRURegressor(**SMALL, max_iter=10, max_grad_norm=1e-3).fit(X, 100 * Y)


def vanishing_gradients():
    long = RNG.normal(size=(20, 400))
    GRURegressor(**SMALL, cell="rnn", max_iter=2, alpha=10, max_grad_norm=None).fit(
        long, long[:, -1]
    )


def rare_class():
    y = np.array(LABELS, dtype="U5")
    y[0] = "rare"
    GRUClassifier(**SMALL, early_stopping=True, max_iter=1).fit(X, y)


def small_held_out_part():
    y = np.arange(60) % 20
    GRUClassifier(**SMALL, early_stopping=True, max_iter=1).fit(X, y)


def interrupted(solver):
    def interrupt(*args):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        name = "full_batch" if solver == "lbfgs" else "minibatch"
        patch.setattr(Objective, name, interrupt)
        GRURegressor(**SMALL, solver=solver).fit(X, Y)


def panel():
    GRURegressor(**SMALL, max_iter=0).fit(np.zeros((60, 2, 100)), Y)


def patches_of_a_table():
    make_pipeline(Patches(), GRURegressor(**SMALL, max_iter=0, n_channels=1)).fit(X, Y)


def saved_by_another_version(dump, load, tmp_path):
    model = GRURegressor(**SMALL, max_iter=0).fit(X, Y)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skgru.persistence._version", lambda: "0.0.1")
        dump(model, tmp_path / "model")
    load(tmp_path / "model")


def dump_pickle(model, path):
    path.write_bytes(pickle.dumps(model))


CALLS = [
    (too_few_epochs, ConvergenceWarning, "max_iter=3"),
    (lbfgs_that_ends_early, ConvergenceWarning, "L-BFGS stopped"),
    (divergence, DivergenceWarning, "Training diverged"),
    (clipping, GradientWarning, "Most updates were clipped"),
    (vanishing_gradients, GradientWarning, "The gradient vanishes"),
    (rare_class, UserWarning, "Classes with a single sample"),
    (small_held_out_part, UserWarning, "validation_fraction=.* too few"),
    (lambda: interrupted("adam"), UserWarning, "Training interrupted"),
    (lambda: interrupted("lbfgs"), UserWarning, "Training interrupted by"),
    (panel, UserWarning, "X has 100 channels"),
    (patches_of_a_table, UserWarning, "Patches of a two-dimensional X"),
]


def check(call, category, message):
    """Assert that a filter for skgru alone makes an error of a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", f".*{message}", module="skgru")
        with pytest.raises(category, match=message):
            call()


@pytest.mark.parametrize(
    ("call", "category", "message"), CALLS, ids=[message for _, _, message in CALLS]
)
def test_filters_by_module(call, category, message):
    check(call, category, message)


@pytest.mark.parametrize(
    ("dump", "load"),
    [
        (dump_pickle, lambda path: pickle.loads(path.read_bytes())),
        (joblib.dump, joblib.load),
    ],
    ids=["pickle", "joblib"],
)
def test_models_of_another_version(tmp_path, dump, load):
    def call():
        saved_by_another_version(dump, load, tmp_path)

    check(call, VersionWarning, "GRURegressor was saved by skgru 0.0.1")


def test_a_warning_that_was_shown_is_an_error_where_a_filter_says_so():
    """Filters of other modules do not count."""
    message = "a warning of this test"
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("default")
        warn_once(message, GradientWarning)
        warn_once(message, GradientWarning)
        warnings.filterwarnings("error", module="skgru.training")
        warn_once(message, GradientWarning)
        warnings.filterwarnings("error", module=__name__)
        with pytest.raises(GradientWarning, match=message):
            warn_once(message, GradientWarning)
    assert [warning.filename for warning in record] == [__file__]


def test_every_warning_names_the_module_that_gives_it():
    package, found = Path(skgru.__file__).parent, 0
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("warnings.warn", "warn"):
                levels = [ast.unparse(k.value) for k in node.keywords if k.arg == "stacklevel"]
                # warn_once is called by the module that gives the warning
                assert levels == ["2" if path.name == "exceptions.py" else "1"], path
                found += 1
    assert found > 8
