"""Pipelines with patches in C: compiled, and run beside the pipelines."""

import re

import numpy as np
import pytest
from c_helpers import LABELS, compiled, constant, last, needs_gcc, steps
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.interop import to_c
from skgru.preprocessing import FillGaps, Patches, PerSequence, PerTimestep

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:X has .* channels and only:UserWarning"),  # of large patches
]
SIZES = [(1, 1), (2, 1), (3, 3), (5, 2), (30, 7)]
RNG = np.random.default_rng(0)
X = [RNG.normal(2, 3, size=(n, 3)) for n in RNG.integers(1, 24, size=20)]
Y = np.array([x[:, 0].mean() for x in X])


def fitted(estimator=GRURegressor, y=Y, before=(), size=4, stride=2, **parameters):
    settings = {"bidirectional": False, "pooling": "last", "max_iter": 2, "random_state": 0}
    model = estimator(**{"hidden_layer_sizes": 6, **settings, **parameters})
    return make_pipeline(*before, Patches(size, stride), model).fit(X, y)


def so_far(x):
    return [x[: t + 1] for t in range(len(x))]


def predicted(model, x):
    return model.predict(so_far(x)).reshape(len(x), -1)


@needs_gcc
@pytest.mark.parametrize(("size", "stride"), SIZES)
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_each_step_is_what_the_pipeline_says_of_all_so_far(tmp_path, size, stride, pooling):
    scalers = [PerTimestep(StandardScaler()), PerTimestep(MinMaxScaler())]
    for before in ([], scalers):
        model = fitted(size=size, stride=stride, pooling=pooling, before=before)
        header = to_c(model, name="m")
        library = compiled(tmp_path, header)
        assert constant(library, "n_channels") == 3
        for x in X:
            np.testing.assert_allclose(steps(library, x), predicted(model, x), atol=1e-5)
        assert f"RAM: {constant(library, 'state_bytes')} bytes a state" in header
        n_numbers = model[-1].n_parameters_ + 2 * 3 * bool(before)
        assert f"flash: {4 * n_numbers} bytes of numbers" in header
        assert f"patches of {size} steps of 3 channels, {stride} steps apart" in header


@needs_gcc
@pytest.mark.parametrize("cell", ["rnn", "mgu", "light_gru", "cifg", "lstm"])
def test_every_cell_and_layer_keeps_its_state(tmp_path, cell):
    for sizes in (6, (5, 4)):
        model = fitted(cell=cell, hidden_layer_sizes=sizes)
        library = compiled(tmp_path, to_c(model, name="m"))
        for x in X:
            np.testing.assert_allclose(steps(library, x), predicted(model, x), atol=1e-5)


@needs_gcc
def test_labels_and_probabilities(tmp_path):
    model = fitted(GRUClassifier, np.array(["a", "b", "c"])[np.arange(20) % 3])
    library = compiled(tmp_path, to_c(model, name="m"), extra=LABELS)
    np.testing.assert_allclose(last(library, X), model.predict_proba(X), atol=1e-5)


@needs_gcc
def test_a_prediction_per_patch(tmp_path):
    y = [x.sum(axis=1) for x in Patches(4, 2).fit_transform(X)]
    model = fitted(y=y, return_sequences=True)
    library = compiled(tmp_path, to_c(model, name="m"))
    for x in X:
        newest = [own[-1] for own in model.predict(so_far(x))]
        np.testing.assert_allclose(steps(library, x)[:, 0], newest, atol=1e-5)


@needs_gcc
def test_a_scaled_target(tmp_path):
    target = TransformedTargetRegressor(fitted(), transformer=StandardScaler())
    model = target.fit(X, 1000 + 50 * Y)
    library = compiled(tmp_path, to_c(model, name="m"))
    np.testing.assert_allclose(last(library, X)[:, 0], model.predict(X), rtol=1e-5)


@needs_gcc
@pytest.mark.parametrize("compiler_flags", [("-O2",), ("-std=gnu11", "-O3")], ids=str)
def test_it_compiles_without_a_warning(tmp_path, compiler_flags):
    for size, stride in SIZES:
        compiled(tmp_path, to_c(fitted(size=size, stride=stride), name="m"), *compiler_flags)


def test_the_stack_holds_a_copy_of_the_network():
    """And no array for scaled inputs, which are written to the patch."""
    plain = to_c(make_pipeline(Patches(4, 2), fitted()[-1]).fit(X, Y))
    scaled = to_c(fitted(before=[PerTimestep(StandardScaler())]))
    # gates, the inner state and the output; and the copy of h
    n_stack = 3 * 6 + 6 + 1 + 6
    for header in (plain, scaled):
        assert f"{4 * n_stack} bytes of stack" in header
        assert f"RAM: {4 * (6 + 4 * 3 + 1)} bytes a state" in header
        assert "alloc" not in header
        assert re.findall(r"#include.*", header) == ["#include <math.h>"]
        assert max(map(len, header.splitlines())) <= 100


def test_what_is_refused():
    model, scaler = fitted()[-1], PerTimestep(StandardScaler())
    patches = Patches(2, 1)
    for steps_before, name in (
        ([patches, scaler], "PerTimestep"),
        ([patches, scaler, Patches(2)], "PerTimestep"),
        ([patches, Patches(3, 1)], "Patches"),
    ):
        pipeline = make_pipeline(*steps_before, model).fit(X, Y)
        with pytest.raises(ValueError, match=f"Patches as the last step .* a {name} follows it"):
            to_c(pipeline)
    for step in (PerSequence(StandardScaler()), FillGaps("mean")):
        pipeline = make_pipeline(step, patches, model).fit(X, Y)
        message = f"PerTimestep and Patches only, got {type(step).__name__}"
        with pytest.raises(TypeError, match=message):
            to_c(pipeline)
    with pytest.raises(NotFittedError):
        to_c(make_pipeline(Patches(), model))
