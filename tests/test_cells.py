"""The recurrent cells that estimators offer as `cell`."""

import pickle

import numpy as np
import pytest
from helpers import CELL_PARAMETERS, N_GATES, every_variant, small_classifier
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skgru import GRURegressor
from skgru.kernels import kernels_for

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning"),
]


def classifier(**parameters):
    return small_classifier(**{"max_iter": 30, **parameters})


def test_all_cells_of_the_kernels_are_tested():
    assert set(kernels_for("float32").CELLS) == set(CELL_PARAMETERS)


# ---- each cell -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_variant
def test_every_cell_learns_and_can_be_pickled_and_cloned(ragged, parameters, dtype):
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


@every_variant
def test_samples_do_not_see_each_other(ragged, parameters):
    X, y = ragged
    model = classifier(**parameters, hidden_layer_sizes=(7, 5), max_iter=3).fit(X, y)
    alone = np.concatenate([model.predict_proba([x]) for x in X])
    np.testing.assert_allclose(alone, model.predict_proba(X), rtol=1e-12)


@pytest.mark.parametrize("bidirectional", [False, True])
@every_variant
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


@every_variant
def test_a_prediction_per_time_step(ragged, parameters):
    """Running sums, with truncated BPTT and both kinds of dropout."""
    X, _ = ragged
    y = [x[:, 0].cumsum() for x in X]
    how = {"return_sequences": True, "bptt_steps": 3, "dropout": 0.1, "recurrent_dropout": 0.1}
    model = GRURegressor(
        12, **parameters, **how, learning_rate_init=0.01, max_iter=60, random_state=0
    ).fit(X, y)
    assert [len(p) for p in model.predict(X)] == [len(x) for x in X]
    assert model.score(X, y) > 0.6


# The block of the bias that belongs to the forget gate.
@pytest.mark.parametrize(("cell", "forget"), [("lstm", 1), ("cifg", 0), ("gru", None)])
def test_the_bias_of_a_forget_gate_is_initialized_to_one(ragged, cell, forget):
    model = classifier(cell=cell, max_iter=1, learning_rate_init=1e-12, dtype="float64")
    biases = model.fit(*ragged).layers_[0].b.reshape(-1, 8)
    expected = np.equal(np.arange(len(biases)), forget).astype(float)
    np.testing.assert_allclose(biases, np.repeat(expected, 8).reshape(-1, 8), atol=1e-10)


@pytest.mark.parametrize("cell", ["lstm", "mgu"])
def test_the_fitted_model_has_the_same_bits_for_every_n_jobs(monkeypatch, cell):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 3)) for n in np.arange(150) % 37 + 1]
    y = np.array([x[0, 0] + x[-1, 1] for x in X])
    monkeypatch.setattr("skgru.model.network.SHARD_FLOPS", 10_000)  # as for a large model
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


# ---- invalid cells -------------------------------------------------------------------------------


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
def test_options_that_a_cell_lacks_are_rejected(ragged, parameters):
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
def test_unknown_cells_and_activations_are_rejected(ragged, parameters):
    (name,) = parameters
    with pytest.raises(ValueError, match=f"The '{name}' parameter of GRUClassifier must be"):
        classifier(**parameters).fit(*ragged)


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        ({"cell": "lstm"}, {"cell": "gru"}, "cell"),
        ({"cell": "gru"}, {"cell": "cifg"}, "cell"),  # weights of the same shapes
        ({"cell": "mgu"}, {"cell": "light_gru"}, "cell"),
        ({"cell": "light_gru"}, {"activation": "relu"}, "activation"),
    ],
)
def test_another_cell_cannot_continue_training(ragged, before, after, name):
    model = classifier(**before, max_iter=2, warm_start=True).fit(*ragged)
    expected = model.predict_proba(ragged[0])
    was = getattr(model, name)
    model.set_params(**after)
    for method in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=f"{name}='{after[name]}' differs from '{was}'"):
            method(*ragged)
    # the fitted model is unchanged
    np.testing.assert_array_equal(model.predict_proba(ragged[0]), expected)
    model.set_params(**before, **({"activation": "tanh"} if name == "activation" else {}))
    assert model.fit(*ragged).n_iter_ == 4
