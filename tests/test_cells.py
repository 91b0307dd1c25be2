"""The recurrent units that `cell` names, as a user of the estimators meets them."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from processes import run_python
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skgru import GRUClassifier, GRURegressor
from skgru.kernels import kernels_for

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning"),
]

N_GATES = {"gru": 3, "rnn": 1, "lstm": 4, "cifg": 3, "mgu": 2, "light_gru": 2}
FORMS = {
    **{cell: {"cell": cell} for cell in N_GATES},
    "gru_reset_after": {"cell": "gru", "reset_after": True},
    "light_gru_relu": {"cell": "light_gru", "activation": "relu"},
}
every_form = pytest.mark.parametrize("parameters", FORMS.values(), ids=FORMS)


def classifier(**parameters):
    return GRUClassifier(
        **{"hidden_layer_sizes": 8, "max_iter": 30, "random_state": 0, **parameters}
    )


def test_these_are_all():
    assert set(kernels_for("float32").CELLS) == set(FORMS)


# ---- each cell -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_form
def test_learns_and_is_itself_after_a_pickle(ragged, parameters, dtype):
    X, y = ragged
    model = classifier(**parameters, dtype=dtype).fit(X, y)
    assert model.score(X, y) > 0.9
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert all(a.dtype == dtype for layer in model.layers_ for a in layer)

    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert repr(again) == repr(model)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    np.testing.assert_array_equal(copy.fit(X, y).predict_proba(X), model.predict_proba(X))


@every_form
def test_samples_do_not_see_each_other(ragged, parameters):
    X, y = ragged
    model = classifier(**parameters, hidden_layer_sizes=(7, 5), max_iter=3).fit(X, y)
    alone = np.concatenate([model.predict_proba([x]) for x in X])
    np.testing.assert_allclose(alone, model.predict_proba(X), rtol=1e-12)


@pytest.mark.parametrize("bidirectional", [False, True])
@every_form
def test_number_of_parameters(ragged, parameters, bidirectional):
    X, y = ragged
    how = {**parameters, "bidirectional": bidirectional}
    model = classifier(**how, hidden_layer_sizes=(6, 5), max_iter=1).fit(X, y)
    G, directions, after = N_GATES[model.cell], 1 + bidirectional, model.reset_after
    layers = sum(
        directions * (G * (D * H + H * H + H) + H * after) for D, H in ((2, 6), (6 * directions, 5))
    )
    assert model.n_parameters_ == layers + 5 * directions + 1
    assert [layer.W.shape[1] for layer in model.layers_] == [6 * G] * directions + [
        5 * G
    ] * directions


@every_form
def test_a_prediction_a_step(ragged, parameters):
    """Of running sums, in windows of BPTT, with both kinds of dropout."""
    X, _ = ragged
    y = [x[:, 0].cumsum() for x in X]
    how = {"return_sequences": True, "bptt_steps": 3, "dropout": 0.1, "recurrent_dropout": 0.1}
    model = GRURegressor(
        12, **parameters, **how, learning_rate_init=0.01, max_iter=60, random_state=0
    ).fit(X, y)
    assert [len(p) for p in model.predict(X)] == [len(x) for x in X]
    assert model.score(X, y) > 0.6


# Where each forget gate's bias is among the blocks.
@pytest.mark.parametrize(("cell", "forget"), [("lstm", 1), ("cifg", 0), ("gru", None)])
def test_the_bias_of_a_forget_gate_begins_at_one(ragged, cell, forget):
    model = classifier(cell=cell, max_iter=1, learning_rate_init=1e-12, dtype="float64")
    biases = model.fit(*ragged).layers_[0].b.reshape(-1, 8)
    expected = np.equal(np.arange(len(biases)), forget).astype(float)
    np.testing.assert_allclose(biases, np.repeat(expected, 8).reshape(-1, 8), atol=1e-10)


@pytest.mark.parametrize("cell", ["lstm", "mgu"])
def test_the_fitted_model_has_the_same_bits_for_every_n_jobs(monkeypatch, cell):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 3)) for n in np.arange(150) % 37 + 1]
    y = np.array([x[0, 0] + x[-1, 1] for x in X])
    monkeypatch.setattr("skgru.network.SHARD_FLOPS", 10_000)  # as if it were a large model
    for how in (
        dict(recurrent_dropout=0.2, bptt_steps=5),
        dict(hidden_layer_sizes=(9, 5), bidirectional=True, pooling="mean"),
    ):
        model = GRURegressor(10, cell=cell, batch_size=100, max_iter=3, random_state=0)
        model.set_params(**how)
        alone = clone(model).fit(X, y)
        for n_jobs in (2, 3, -1):
            other = clone(model).set_params(n_jobs=n_jobs).fit(X, y)
            assert other._network.parameters.tobytes() == alone._network.parameters.tobytes()
            assert other.predict(X).tobytes() == alone.predict(X).tobytes()
            assert other.loss_curve_ == alone.loss_curve_


def test_grid_search(ragged):
    grid = {"cell": list(N_GATES), "hidden_layer_sizes": [4, (3, 2)]}
    search = GridSearchCV(classifier(max_iter=10), grid, cv=2, error_score="raise").fit(*ragged)
    assert len(search.cv_results_["params"]) == 12
    assert search.best_estimator_.cell == search.best_params_["cell"]
    assert search.best_score_ > 0.8


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        *({"cell": cell, "reset_after": True} for cell in N_GATES if cell != "gru"),
        *({"cell": cell, "activation": "relu"} for cell in N_GATES if cell != "light_gru"),
        {"cell": "light_gru", "activation": "relu", "reset_after": True},
        {"cell": "gru", "activation": "relu", "reset_after": True},
    ],
    ids=str,
)
def test_forms_that_a_cell_does_not_have(ragged, parameters):
    model = classifier(**parameters)
    with pytest.raises(ValueError, match=f"cell='{parameters['cell']}' has no form with"):
        model.fit(*ragged)
    assert not hasattr(model, "layers_")


@pytest.mark.parametrize(
    "parameters",
    [
        *({"cell": cell} for cell in ("GRU", "gru_reset_after", "light_gru_relu", "", None, 3)),
        *({"activation": name} for name in ("sigmoid", "identity", None)),
    ],
    ids=str,
)
def test_what_is_no_cell(ragged, parameters):
    (name,) = parameters
    with pytest.raises(ValueError, match=f"The '{name}' parameter of GRUClassifier must be"):
        classifier(**parameters).fit(*ragged)


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        ({"cell": "lstm"}, {"cell": "gru"}, "cell"),
        ({"cell": "gru"}, {"cell": "cifg"}, "cell"),  # whose weights have the same shapes
        ({"cell": "mgu"}, {"cell": "light_gru"}, "cell"),
        ({"cell": "light_gru"}, {"activation": "relu"}, "activation"),
    ],
)
def test_another_cell_cannot_go_on(ragged, before, after, name):
    model = classifier(**before, max_iter=2, warm_start=True).fit(*ragged)
    expected = model.predict_proba(ragged[0])
    was = getattr(model, name)
    model.set_params(**after)
    for method in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=f"{name}='{after[name]}' differs from '{was}'"):
            method(*ragged)
    # the fitted model is what it was
    np.testing.assert_array_equal(model.predict_proba(ragged[0]), expected)
    model.set_params(**before, **({"activation": "tanh"} if name == "activation" else {}))
    assert model.fit(*ragged).n_iter_ == 4


# ---- models from before there were other cells ---------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_models_of_the_version_before_cells():
    """A classifier and a bidirectional regressor of each step, pickled by that version."""
    path = Path(__file__).parent / "data" / "before_cells.pkl"
    saved = pickle.loads(path.read_bytes())
    X, rng = saved["X"], np.random.default_rng(0)
    for model, expected in zip(saved["models"], saved["predictions"], strict=True):
        predict = getattr(model, "predict_proba", model.predict)
        np.testing.assert_allclose(predict(X), expected, rtol=1e-6, atol=1e-6)
        assert (model.cell, model.activation) == ("gru", "tanh")
        assert repr(model).startswith(type(model).__name__)
        assert "cell" not in repr(model)
        y = np.asarray(expected)
        if isinstance(model, GRUClassifier):
            y = rng.integers(len(model.classes_), size=len(X))
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(getattr(again, "predict_proba", again.predict)(X), predict(X))
        # it goes on, is fitted anew, and alike where it is cloned
        assert again.set_params(warm_start=True).fit(X, y).n_iter_ > model.n_iter_
        copy = clone(model)
        assert copy.get_params() == model.get_params()
        copy.fit(X, y)
        model.fit(X, y)
        np.testing.assert_array_equal(copy.predict(X), model.predict(X))
        model.set_params(cell="mgu", reset_after=False).fit(X, y)


# ---- a cell of one's own -------------------------------------------------------------------------

ROOT = Path(__file__).parents[1]
TOY = '''"""A leaky unit: h_t = (h_{t-1} + tanh(x_t W + h_{t-1} U + b)) / 2."""


cdef void _toy_forward(const CellStep* step) noexcept nogil:
    cdef:
        Py_ssize_t H = step.H, j = 0, n
        real* saved = step.saved
        const real* h_prev = step.h_prev
        real* h = step.h
        vec candidate
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        candidate = tanh(load(saved + j, n))
        store(saved + j, candidate, n)
        store(h + j, (load(h_prev + j, n) + candidate) / 2, n)
        j += LANES


cdef void _toy_backward(const CellStep* step) noexcept nogil:
    cdef:
        Py_ssize_t H = step.H, j = 0, n
        const real* saved = step.saved
        const real* d_output = step.d_output
        real* d_h = step.d_h
        real* d_gates = step.d_gates
        vec candidate, total
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        candidate = load(saved + j, n)
        total = _total_gradient(d_h, d_output, j, n)
        store(d_gates + j, total * (1 - candidate * candidate) / 2, n)
        store(d_h + j, total / 2, n)
        j += LANES


_add_cell("toy", Cell(
    n_gates=1, n_extra=0, n_states=1, forget=-1, candidate=JOINT,
    forward_gates=NULL, forward=_toy_forward, backward=_toy_backward, backward_gates=NULL))
'''
# on a machine whose instruction sets are unknown there are the portable kernels alone
BUILD = """
import runpy, sys, sysconfig
sysconfig.get_platform = lambda: "unknown"
sys.argv = ["setup.py", "build_ext", "--inplace"]
runpy.run_path("setup.py", run_name="__main__")
"""
# with its four lines of NumPy, the tests of all cells are those of this one too
USE = """
import numpy as np
import reference

@reference.of_sums
def toy(sums, h):
    candidate = np.tanh(sums[0])
    def back(d):
        return [d / 2 * (1 - candidate**2)], [d / 2]
    return [(h + candidate) / 2], back

reference.CELLS["toy"] = reference.Cell(toy, 1)

import test_cell_kernels, test_network

test_cell_kernels.test_forward_matches_reference("portable", "toy", 17, 9, 5, "ragged")
test_cell_kernels.test_backward_matches_reference("portable", "toy", 17, 9, 5, True, "ragged")
for top in ("steps", "attention"):
    for both in (False, True):
        test_network.test_gradient_of_every_parameter("toy", (2, 3), top, both)
        test_network.test_outputs_match_reference("toy", (2, 3), top, both, "float64", 1e-12)

from skgru import GRUClassifier
X = np.random.default_rng(0).normal(size=(60, 7, 2))
y = np.where(X[:, :, 0].mean(axis=1) > 0, "up", "down")
model = GRUClassifier(8, cell="toy", max_iter=60, random_state=0).fit(X, y)
print(model.n_parameters_, model.score(X, y) > 0.9, (model.predict(X) == y).mean() > 0.9)
"""


@pytest.mark.slow
def test_a_cell_is_one_file_and_one_line(tmp_path):
    """The estimators, the engine and these tests know all else from it."""
    pytest.importorskip("Cython")
    if not (ROOT / "skgru" / "kernels" / "kernels.pyx").exists():
        pytest.skip("needs the source")
    for name in ("setup.py", "pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    built = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__", "data")
    shutil.copytree(ROOT / "skgru", tmp_path / "skgru", ignore=built)
    kernels = tmp_path / "skgru" / "kernels"
    (kernels / "cells" / "toy.pxi").write_text(TOY, encoding="utf-8")
    with (kernels / "kernels.pyx").open("a", encoding="utf-8") as file:
        file.write('include "cells/toy.pxi"\n')
    build = subprocess.run(
        [sys.executable, "-c", BUILD], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert build.returncode == 0, build.stdout + build.stderr

    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parent)])
    result = run_python(USE, PYTHONPATH=path, PYTHONWARNINGS="ignore", SKGRU_ISA=None)
    assert result.stdout.split() == [str(2 * 8 + 8 * 8 + 8 + 9), "True", "True"], result.stderr
