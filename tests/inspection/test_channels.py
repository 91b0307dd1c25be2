"""Inspection of models with categories and decay, against central differences of their passes."""

import numpy as np
import pytest
import reference
from helpers import VARIANTS, relative_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skgru import GRURegressor
from skgru.inspection import (
    AttributionDisplay,
    GateActivityDisplay,
    channel_importance,
    gate_activations,
    gate_regimes,
    gradient_flow,
    input_attributions,
    step_jacobian,
)
from skgru.model.workers import Workers
from skgru.preprocessing import Patches, PerTimestep
from skgru.training.objective import Objective

EPS = 1e-5
LENGTHS = (4, 2, 6, 1)
rng = np.random.default_rng(0)
GAPS = [np.where(rng.random((n, 2)) < 0.4, np.nan, rng.normal(size=(n, 2))) for n in LENGTHS]
CODES = [rng.integers(3, size=(n, 1)) for n in LENGTHS]
NUMBERS = [np.nan_to_num(x) for x in GAPS]
Y = rng.normal(size=4)

FORMS = {
    "decay": (GAPS, {"missing": "decay"}),
    "categories": (
        [np.hstack(pair) for pair in zip(NUMBERS, CODES, strict=True)],
        {"categorical_channels": [2]},
    ),
    "tokens": (CODES, {"categorical_channels": [0]}),
    "embedding of tokens": (CODES, {"categorical_channels": [0], "embedding_dim": 2}),
    "all": (
        [np.hstack(pair) for pair in zip(GAPS, CODES, strict=True)],
        {"missing": "decay", "categorical_channels": [2], "embedding_dim": 2},
    ),
}
every_form = pytest.mark.parametrize("form", FORMS)
every_cell = pytest.mark.parametrize("cell", VARIANTS)


def fitted(form, cell="gru", sizes=(3, 2), **parameters):
    """Return an estimator in double precision, all parameters of which are random, and its X."""
    X, of_form = FORMS[form]
    parameters = {"dtype": "float64", "random_state": 0, "alpha": 0.0} | of_form | parameters
    model = GRURegressor(sizes, **VARIANTS[cell], **parameters).partial_fit(X, Y)
    weights = model._network.parameters
    weights[:] = np.random.default_rng(1).normal(size=weights.size) / 2
    return model, X


def first_layer(model, X):
    """Return x, codes and γ of each step of the first layer, forward in time, by sequence."""
    sequences, inputs = model._check_X(X, reset=False, dtype=float), model._fitted_views().inputs
    D, rows = model._network.architecture.n_channels, sequences.values
    x, gamma = rows, None
    if inputs.decays:
        w_x, b_x, W_h, b_h = inputs.decays[0]
        a, m, d, delta = np.split(rows[:, : 4 * D], 4, axis=1)
        x = np.hstack([a + np.exp(-np.maximum(0, w_x * delta + b_x)) * d, m])
        gamma = np.exp(-np.maximum(0, delta @ W_h + b_h))
    codes = sequences.codes
    if inputs.embedding.size:
        x, codes = np.hstack([x, inputs.embedding[codes[:, 0]]]), None
    starts = sequences.starts[1:]
    return [None if part is None else np.split(part, starts) for part in (x, codes, gamma)]


@every_form
@every_cell
def test_jacobians_match_central_differences_of_the_reference(cell, form):
    model, X = fitted(form, cell, 3, bidirectional=False)
    (W, U, b, c), S = model.layers_[0], reference.CELLS[cell].n_states
    weights = {"W": W, "U": U, "b": b, "c": c}
    tables, (x, codes, gamma) = model._fitted_views().inputs.tables, first_layer(model, X)
    (found,) = step_jacobian(model, X, return_matrices=True).layers
    (gates,) = gate_activations(model, X).layers
    for s, n in enumerate(LENGTHS):
        inputs = {}
        if codes is not None:
            inputs |= {"codes": codes[s], "E": tables[0]}
        if gamma is not None:
            inputs["decay"] = gamma[s]
        states = reference.forward(cell, x[s], np.zeros(S * 3), **weights, **inputs)
        np.testing.assert_allclose(gates.hidden[s], states[:, :3], rtol=1e-12, atol=1e-14)
        for t in range(n):
            before = states[t - 1] if t else np.zeros(S * 3)
            of_step = {k: v if k == "E" else v[t : t + 1] for k, v in inputs.items()}

            def after(state, t=t, s=s, of_step=of_step):
                return reference.forward(cell, x[s][t : t + 1], state, **weights, **of_step)[0]

            moves = EPS * np.eye(S * 3)
            numeric = [(after(before + d) - after(before - d)) / (2 * EPS) for d in moves]
            assert relative_error(found.matrices[s][t], np.array(numeric)) <= 1e-6
            parts = sum(part[s][t] for part in found.part_matrices.values())
            np.testing.assert_allclose(found.matrices[s][t], parts, rtol=1e-12, atol=1e-14)


@every_form
@pytest.mark.parametrize("shape", [{}, {"pooling": "attention"}, {"bidirectional": False}])
@every_cell
def test_contributions_of_steps_sum_to_the_gradient(cell, form, shape):
    model, X = fitted(form, cell, **shape)
    flow = gradient_flow(model, X, Y, return_gradients=True)
    sequences = model._check_X(X, reset=False, dtype="float64")
    objective = Objective(
        network=model._network,
        loss=model._outputs.loss,
        sequences=sequences,
        targets=model._check_targets(Y, None, sequences),
        samples=np.arange(4),
        alpha=0.0,
        workers=Workers(1),
    )
    value, gradient, _ = objective.minibatch(np.arange(4))
    assert flow.loss == pytest.approx(value, rel=1e-12)
    whole = [w for layer in model._network.views(gradient).layers for w in layer]
    for layer, want in zip(flow.layers, whole, strict=True):
        for name, steps in layer.gradients.items():
            of_all = getattr(want, name)
            assert np.abs(steps.sum(axis=0) - of_all).max() <= 1e-10 * np.abs(of_all).max()


@every_form
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_norms_follow_from_the_jacobians(cell, form):
    """∂L/∂s_{t-1} = J_t ∂L/∂s_t, where the loss is that of the last state alone."""
    model, X = fitted(form, cell, 3, bidirectional=False, pooling="last")
    (flow,) = gradient_flow(model, X, Y).layers
    (jacobians,) = step_jacobian(model, X, return_matrices=True).layers
    errors = model.predict(X) - Y
    for s, n in enumerate(LENGTHS):
        d = np.zeros(len(jacobians.matrices[s][0]))
        d[:3] = errors[s] * model.head_.W[:, 0]
        for t in reversed(range(n)):
            assert flow.norms[s][t] == pytest.approx(np.linalg.norm(d), rel=1e-10, abs=1e-14)
            d = jacobians.matrices[s][t] @ d


@every_form
def test_regimes_importances_and_displays_take_every_form(form):
    model, X = fitted(form)
    for layer in gate_regimes(model, X).layers:
        assert layer.keep + layer.plain + layer.cut + layer.between == pytest.approx(1)
    found = channel_importance(model, X, Y, n_repeats=2, random_state=0)
    assert np.isfinite(found.importances).all()
    pytest.importorskip("matplotlib").use("agg")
    display = GateActivityDisplay.from_estimator(model, X, sample=2)
    assert display.series.shape == X[2].shape
    np.testing.assert_array_equal(np.isnan(display.series), np.isnan(X[2].astype(float)))


# ---- attributions --------------------------------------------------------------------------------

SHAPES = [
    {},
    {"bidirectional": True},
    {"bidirectional": True, "pooling": "attention"},
    {"pooling": "max", "cell": "lstm"},
]
every_shape = pytest.mark.parametrize("shape", SHAPES)
# the direction of time matters: gaps before and after an observation, and steps at odd times
TIMED = [np.hstack([x, np.cumsum(rng.random((len(x), 1)) + 0.1, axis=0)]) for x in GAPS]


def numeric_gradient(predict, X):
    """Return central differences of the prediction of each sequence; NaN values have none."""
    result = [np.zeros(x.shape) for x in X]
    for i, x in enumerate(X):
        for t, c in zip(*np.nonzero(~np.isnan(x)), strict=True):
            ends = []
            for move in (EPS, -EPS):
                moved = x.copy()
                moved[t, c] += move
                ends.append(predict([moved])[0])
            result[i][t, c] = (ends[0] - ends[1]) / (2 * EPS)
    return result


@every_shape
@pytest.mark.parametrize("timed", [False, True])
def test_gradients_with_gaps_match_central_differences(timed, shape):
    model, X = fitted("decay", **shape)
    if timed:
        model = GRURegressor(**model.get_params()).set_params(time_channel=2)
        X = TIMED
        model.partial_fit(X, Y)
        weights = model._network.parameters
        weights[:] = np.random.default_rng(2).normal(size=weights.size) / 2
    found = input_attributions(model, X, method="gradient").attributions
    for own, want, x in zip(found, numeric_gradient(model.predict, X), X, strict=True):
        np.testing.assert_array_equal(own[np.isnan(x)], 0)
        assert not timed or not own[:, 2].any()  # times are held fixed
        own, want = own[:, :2], want[:, :2]
        assert np.abs(own - want).max() <= 1e-6 * np.abs(want).max()


def test_gradients_with_gaps_of_a_step_match_central_differences():
    X = GAPS
    model = GRURegressor(3, missing="decay", return_sequences=True, dtype="float64", max_iter=3)
    model.set_params(bidirectional=True, random_state=0)
    model.fit(X, [np.arange(float(len(x))) for x in X])
    found = input_attributions(model, X, method="gradient", step=-1).attributions
    want = numeric_gradient(lambda X: [p[-1] for p in model.predict(X)], X)
    for own, numeric in zip(found, want, strict=True):
        assert np.abs(own - numeric).max() <= 1e-6 * max(np.abs(numeric).max(), 1e-3)


def test_gradients_pass_through_a_scaler_beside_gaps():
    model = make_pipeline(PerTimestep(StandardScaler()), GRURegressor((3, 2), missing="decay"))
    model.set_params(gruregressor__dtype="float64", gruregressor__max_iter=3).fit(GAPS, Y)
    found = input_attributions(model, GAPS, method="gradient").attributions
    for own, want in zip(found, numeric_gradient(model.predict, GAPS), strict=True):
        assert np.abs(own - want).max() <= 1e-6 * np.abs(want).max()
    whole = input_attributions(model, GAPS)
    np.testing.assert_allclose(
        [a.sum() for a in whole.attributions],
        whole.responses - whole.baseline_responses,
        atol=2e-3 * np.ptp(whole.responses),
    )
    lost = input_attributions(model, GAPS, method="occlusion").attributions
    for own, x in zip(lost, GAPS, strict=True):
        np.testing.assert_array_equal(own == 0, np.isnan(x))


@every_form
@pytest.mark.parametrize("shape", [s for s in SHAPES if s.get("pooling") != "max"])
def test_integrated_gradients_of_every_form_are_complete(form, shape):
    model, X = fitted(form, **shape)
    found = input_attributions(model, X, tol=1e-7, max_points=4000)
    np.testing.assert_allclose(found.responses, model.predict(X), rtol=1e-12)
    changes = found.responses - found.baseline_responses
    assert np.abs(found.residuals).max() <= 1e-6 * np.abs(changes).max()
    sums = [a.sum() for a in found.attributions]
    np.testing.assert_allclose(sums, changes - found.residuals, atol=1e-12)


@pytest.mark.parametrize("embedding_dim", [None, 2])
@pytest.mark.parametrize("missing", ["error", "decay"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_lines_between_categories_are_lines_between_rows(bidirectional, missing, embedding_dim):
    """Every step has a category of its own, so that rows of the weights can be moved instead."""
    n = 5
    codes = np.arange(n, dtype=float)
    values = np.random.default_rng(5).normal(size=n)
    if missing == "decay":
        values[[1, 3]] = np.nan
    x = np.column_stack([values, codes])
    model = GRURegressor(
        (3, 2), categorical_channels=[1], missing=missing, embedding_dim=embedding_dim,
        bidirectional=bidirectional, dtype="float64", random_state=0, alpha=0.0,
    ).partial_fit([x, x[::-1]], [0, 1])  # fmt: skip
    weights = model._network.parameters
    weights[:] = np.random.default_rng(3).normal(size=weights.size) / 2
    inputs = model._network.views(weights).inputs
    tables = inputs.tables or [inputs.embedding]
    rows = [table.copy() for table in tables]
    absent = n + 1  # the row of missing values

    def response(at, points):
        """Predict with values and rows of the categories at points of their lines."""
        for table, own in zip(tables, rows, strict=True):
            table[:n] = own[absent] + points[:, np.newaxis] * (own[:n] - own[absent])
        moved = np.column_stack([0.3 + at * (values - 0.3), codes])
        return model.predict([moved])[0]

    nodes, shares = np.polynomial.legendre.leggauss(24)
    want = np.zeros((n, 2))
    for at, share in zip((nodes + 1) / 2, shares / 2, strict=True):
        for t in range(n):
            ends = []
            for move in (EPS, -EPS):
                ends.append(response(at, at + move * (np.arange(n) == t)))
            want[t, 1] += share * (ends[0] - ends[1]) / (2 * EPS)
    for table, own in zip(tables, rows, strict=True):
        table[:] = own
    found = input_attributions(model, [x], baseline=0.3, tol=1e-9, max_points=4000)
    own = found.attributions[0]
    assert np.abs(own[:, 1] - want[:, 1]).max() <= 1e-6 * np.abs(want).max()
    assert found.responses[0] == pytest.approx(model.predict([x])[0], rel=1e-12)
    without = np.column_stack([np.where(np.isnan(values), np.nan, 0.3), np.full(n, np.nan)])
    assert found.baseline_responses[0] == pytest.approx(model.predict([without])[0], rel=1e-12)


WORDS = [np.array([[0.5, "up"], [1.0, "down"], [2.0, "up"]], dtype=object),
         np.array([[-1.0, "down"], [0.0, None]], dtype=object)]  # fmt: skip


def of_words():
    """Return a model of numbers and words, all parameters of which are random."""
    model = GRURegressor(
        3, categorical_channels=[1], dtype="float64", random_state=0, bidirectional=True
    ).partial_fit(WORDS, [0.0, 1.0])
    weights = model._network.parameters
    weights[:] = np.random.default_rng(4).normal(size=weights.size)
    return model


def test_occluded_categories_are_missing():
    model = of_words()
    found = input_attributions(model, WORDS, method="occlusion")
    for i, x in enumerate(WORDS):
        for t in range(len(x)):
            for c, replacement in ((0, 0.5), (1, None)):  # 0.5 is the mean
                moved = x.copy()
                moved[t, c] = replacement
                want = model.predict(WORDS)[i] - model.predict([moved])[0]
                assert found.attributions[i][t, c] == pytest.approx(want, abs=1e-14)
    assert found.attributions[1][1, 1] == 0  # it was missing already


@pytest.mark.parametrize("method", ["occlusion", "integrated_gradients"])
def test_baselines_of_categories(method):
    model = of_words()
    row = np.array([0.0, "down"], dtype=object)
    found = input_attributions(model, WORDS, method=method, baseline=row)
    want = [np.tile(row, (len(x), 1)) for x in WORDS]
    np.testing.assert_allclose(found.baseline_responses, model.predict(want), rtol=1e-12)
    # a word that is that of the baseline contributes nothing
    assert found.attributions[0][1, 1] == found.attributions[1][0, 1] == 0
    assert found.attributions[0][0, 1] != 0
    given = input_attributions(model, WORDS, method=method, baseline=want)
    for a, b in zip(found.attributions, given.attributions, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="baseline has 1 sequences"):
        input_attributions(model, WORDS, method=method, baseline=want[:1])
    with pytest.raises(ValueError, match="not finite"):
        input_attributions(model, WORDS, method=method, baseline=np.nan)
    with pytest.raises(ValueError, match="baseline has 3 values; expected one for each of 2"):
        input_attributions(model, WORDS, method=method, baseline=[0.0, "down", "up"])
    of_one = [WORDS[0], WORDS[0][::-1]]
    given = input_attributions(model, of_one, method=method, baseline=WORDS[0])
    assert not given.attributions[0].any()
    assert given.attributions[1].any()


def test_data_frames_with_dates_words_and_gaps():
    pd = pytest.importorskip("pandas")
    days = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-06"])
    frames = [
        pd.DataFrame(
            {"at": days, "load": [1.0, None, shift, 3.0], "sky": ["sun", None, "rain", "sun"]}
        )
        for shift in (0.0, 1.0, 4.0)
    ]
    model = GRURegressor(
        3, missing="decay", time_channel="at", categorical_channels=["sky"], dtype="float64",
        bidirectional=True, random_state=0,
    ).partial_fit(frames, [0.0, 1.0, 2.0])  # fmt: skip
    for method in ("integrated_gradients", "occlusion"):
        found = input_attributions(model, frames, method=method)
        assert found.channel_names == ["at", "load", "sky"]
        np.testing.assert_allclose(found.responses, model.predict(frames), rtol=1e-12)
        for own in found.attributions:
            assert not own[:, 0].any()
            assert not own[1].any()
            assert own[[0, 2, 3], 1:].any(axis=1).all()
    without = [frame.assign(sky=None) for frame in frames]
    for frame in without:
        frame.loc[[0, 2, 3], "load"] = (3 + 9 + 5) / 9  # the mean
    np.testing.assert_allclose(found.baseline_responses, model.predict(without), rtol=1e-12)


def test_tokens_of_integers_can_be_missing():
    model, X = fitted("tokens")
    found = input_attributions(model, X, method="occlusion")
    gone = X[1].astype(float)
    gone[0] = np.nan
    want = model.predict(X)[1] - model.predict([gone])[0]
    assert found.attributions[1][0, 0] == pytest.approx(want, abs=1e-14)


def test_samples_of_channels_have_the_baseline_of_all():
    model, X = fitted("all")
    for method in ("integrated_gradients", "occlusion"):
        whole = input_attributions(model, X, method=method).attributions
        some = input_attributions(model, X, method=method, samples=[2, 0]).attributions
        np.testing.assert_allclose(some[0], whole[2], atol=1e-12)
        np.testing.assert_allclose(some[1], whole[0], atol=1e-12)


def test_gaps_pass_through_patches():
    X = np.random.default_rng(6).normal(size=(5, 12, 2))
    X[np.random.default_rng(7).random(X.shape) < 0.3] = np.nan
    model = make_pipeline(
        Patches(4, stride=2), GRURegressor(3, missing="decay", dtype="float64", max_iter=3)
    ).fit(X, np.arange(5.0))
    found = input_attributions(model, X, method="gradient").attributions
    want = numeric_gradient(model.predict, X)
    assert np.abs(found - want).max() <= 1e-6 * np.abs(want).max()


def test_tables_with_gaps_have_attributions_in_their_form():
    X = np.random.default_rng(8).normal(size=(6, 8))
    X[:, 3] = np.nan
    model = GRURegressor(3, n_channels=2, missing="decay", max_iter=3).fit(X, np.arange(6.0))
    for method in ("gradient", "integrated_gradients", "occlusion"):
        found = input_attributions(model, X, method=method).attributions
        assert found.shape == X.shape
        np.testing.assert_array_equal(found == 0, np.isnan(X))


@pytest.mark.parametrize("form", ["decay", "all", "tokens"])
def test_attributions_of_every_form_are_drawn(form):
    pytest.importorskip("matplotlib").use("agg")
    model, X = fitted(form)
    display = AttributionDisplay.from_estimator(model, X, sample=2)
    assert display.series.shape == display.attributions.shape == X[2].shape
    np.testing.assert_array_equal(display.series, X[2].astype(float))


def test_words_are_drawn_by_their_codes():
    pytest.importorskip("matplotlib").use("agg")
    display = AttributionDisplay.from_estimator(of_words(), WORDS)
    np.testing.assert_array_equal(display.series, [[0.5, 1], [1, 0], [2, 1]])


def test_a_category_has_no_derivative():
    model, X = fitted("all")
    with pytest.raises(ValueError, match=r"no derivative.*occlusion"):
        input_attributions(model, X, method="gradient")


def test_categories_behind_steps_are_explained_at_the_last_step():
    X = FORMS["categories"][0]
    model = make_pipeline(
        PerTimestep(FunctionTransformer()), GRURegressor(3, categorical_channels=[2])
    )
    model.fit(X, Y)
    with pytest.raises(ValueError, match="at='last_step'"):
        input_attributions(model, X, method="occlusion")
    found = input_attributions(model, X, at="last_step")
    assert [a.shape for a in found.attributions] == [x.shape for x in X]
