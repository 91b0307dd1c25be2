"""skops.io: files that execute no code; only skgru's types have to be trusted."""

import io
import json
import zipfile

import numpy as np
import pytest
from helpers import every_variant
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.forecasting import ScaledTargetRegressor
from skgru.metrics import neg_bits_per_step, step_scorer
from skgru.persistence import SKOPS_TRUSTED_TYPES, VersionWarning
from skgru.preprocessing import Patches, PerSequence, PerTimestep, TokenEncoder

sio = pytest.importorskip("skops.io")
from skops.io.exceptions import UntrustedTypesFoundException  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

TRUSTED = ["skgru.GRUClassifier", "skgru.GRURegressor"]
PER_TIMESTEP = "skgru.preprocessing.PerTimestep"


def again(model, *others):
    """Save and load a model, and assert that only its class and these have to be trusted."""
    data = sio.dumps(model)
    untrusted = sio.get_untrusted_types(data=data)
    assert set(untrusted) - set(TRUSTED) == set(others), untrusted
    with pytest.raises(UntrustedTypesFoundException):
        sio.loads(data)
    return sio.loads(data, trusted=untrusted)


@every_variant
def test_every_cell(ragged, parameters):
    X, y = ragged
    model = GRUClassifier((4, 3), **parameters, max_iter=2, random_state=0).fit(X, y)
    loaded = again(model)
    assert loaded.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
    assert loaded.get_params() == model.get_params()
    assert loaded._network.architecture == model._network.architecture
    assert type(loaded.layers_[0]) is type(model.layers_[0])
    # the state of the solver is restored, with its random state
    for gru in (model, loaded):
        gru.partial_fit(X, y)
    assert loaded.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()


@pytest.mark.parametrize(
    "parameters",
    [
        {"solver": "sgd", "learning_rate": "adaptive"},
        {"solver": "adamw", "learning_rate": "invscaling"},
        {"solver": "rmsprop", "learning_rate": "cosine"},
        {"solver": "lbfgs", "dtype": "float64"},
        {"loss": "quantile", "quantiles": [0.2, 0.9], "early_stopping": True},
        {"random_state": np.random.RandomState(3), "hidden_layer_sizes": np.array([3, 2])},
        {"bidirectional": True, "pooling": "attention", "dropout": 0.1, "loss": "huber"},
    ],
    ids=str,
)
def test_regressors_with_every_solver(windows, parameters):
    X, y = windows
    model = GRURegressor(**{"hidden_layer_sizes": 3, "max_iter": 2, **parameters}).fit(X, y)
    loaded = again(model)
    assert loaded.predict(X).tobytes() == model.predict(X).tobytes()
    assert loaded.loss_curve_ == model.loss_curve_
    loaded.fit(X, y)


def test_pipelines_and_unfitted_models(ragged):
    X, y = ragged
    scaler = PerTimestep(make_pipeline(MinMaxScaler(), StandardScaler()))
    model = make_pipeline(scaler, GRUClassifier(3, max_iter=2, class_weight="balanced"))
    assert repr(again(model, PER_TIMESTEP)) == repr(model)
    model.fit(X, np.where(y == "up", 7, -1))
    np.testing.assert_array_equal(again(model, PER_TIMESTEP).predict(X), model.predict(X))
    several = GRUClassifier(3, max_iter=1).fit(X, np.eye(3, dtype=int)[np.arange(40) % 3])
    np.testing.assert_array_equal(again(several).predict(X), several.predict(X))


def test_the_list_of_trusted_types_suffices(ragged):
    X, y = ragged
    numbers = np.array([x.mean() for x in X])
    scaler, settings = PerTimestep(StandardScaler()), {"max_iter": 1, "random_state": 0}
    gru = GRURegressor(3, loss="quantile", **settings)
    models = [
        GRUClassifier(3, **settings).fit(X, y),
        make_pipeline(scaler, Patches(3), ScaledTargetRegressor(gru)).fit(X, numbers),
        ScaledTargetRegressor(make_pipeline(scaler, gru), MinMaxScaler()).fit(X, numbers),
        make_pipeline(PerSequence(MinMaxScaler()), GRURegressor(3, **settings)).fit(X, numbers),
    ]
    for model in models:
        loaded = sio.loads(sio.dumps(model), trusted=SKOPS_TRUSTED_TYPES)
        np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_functions_have_to_be_trusted_by_name():
    function = "sklearn.metrics._classification.accuracy_score"
    scored = GRUClassifier(3, return_sequences=True, scoring=step_scorer("accuracy"))
    with pytest.raises(UntrustedTypesFoundException, match=function):
        sio.loads(sio.dumps(scored), trusted=SKOPS_TRUSTED_TYPES)
    loaded = sio.loads(sio.dumps(scored), trusted=[*SKOPS_TRUSTED_TYPES, function])
    assert repr(loaded) == repr(scored)


# ---- manipulated files ---------------------------------------------------------------------------


def changed(model, change):
    """Return the bytes of a saved model after a change of its schema."""
    source, target = io.BytesIO(sio.dumps(model)), io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "schema.json":
                content = json.dumps(change(json.loads(content)))
            new.writestr(name, content)
    return target.getvalue()


def replaced(old, new):
    def change(node):
        if isinstance(node, dict):
            return {key: change(value) for key, value in node.items()}
        if isinstance(node, list):
            return [change(value) for value in node]
        return new if node == old else node

    return change


@pytest.fixture
def fitted(ragged):
    how = {"bidirectional": False, "pooling": "last", "cell": "gru", "solver": "adam"}
    return GRUClassifier((4, 3), **how, max_iter=1).fit(*ragged)


CHANGES = {
    '"gru"': ['"os.system"', '"lstm"', '"skgru.workers.Workers"'],
    '"last"': ['"mean"', '"os.system"'],
    '"labels"': ['"multilabel"', '"os.system"'],
    '"adam"': ['"sgd"', '"os.system"'],
    '"MT19937"': ['"PCG64"', '"os.system"'],
    "4": ["400000000000", "5"],
    "3": ["-3"],
    "false": ["true"],
}


@pytest.mark.parametrize(
    ("old", "new"), [(old, new) for old, changes in CHANGES.items() for new in changes]
)
def test_a_changed_file_is_rejected(fitted, old, new):
    assert sio.loads(changed(fitted, lambda schema: schema), trusted=TRUSTED) is not None
    data = changed(fitted, replaced(old, new))
    with pytest.raises(ValueError, match="saved GRUClassifier is damaged"):
        sio.loads(data, trusted=TRUSTED)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"gru"', '"os.system"', "KeyError: 'os.system'"),
        ('"gru"', '"lstm"', "the parameters have shape"),
        ('"last"', '"attention"', "the parameters have shape"),
        ('"labels"', '"os.system"', "KeyError: 'os.system'"),
        ('"adam"', '"os.system"', "KeyError: 'os.system'"),
        ("4", "400000000000", "the parameters have shape"),
        ("3", "-3", "there is no Architecture"),
    ],
)
def test_a_changed_file_with_any_checksum_is_rejected(fitted, monkeypatch, old, new, message):
    data = changed(fitted, replaced(old, new))
    monkeypatch.setattr("skgru.persistence.checksum", lambda state: AnyNumber())
    with pytest.raises(ValueError, match=message):
        sio.loads(data, trusted=TRUSTED)


class AnyNumber:
    """Equal to every checksum."""

    def __eq__(self, other):
        return isinstance(other, int)

    def __ne__(self, other):
        return not self == other

    __hash__ = None


@pytest.mark.parametrize(
    ("old", "new"), [("GRUClassifier", "Workers"), ("skgru", "subprocess"), ("dict", "system")]
)
def test_names_of_other_types_are_not_trusted(fitted, old, new):
    data = changed(fitted, replaced(old, new))
    assert not set(sio.get_untrusted_types(data=data)) <= set(TRUSTED)
    with pytest.raises(UntrustedTypesFoundException):
        sio.loads(data, trusted=TRUSTED)


def test_another_version_warns(fitted):
    version = json.dumps(fitted.__getstate__()["_skgru_version"])
    data = changed(fitted, replaced(version, '"0.0.1"'))
    with pytest.warns(VersionWarning, match="GRUClassifier was saved by skgru 0.0.1"):
        sio.loads(data, trusted=TRUSTED)


def test_texts():
    encoder = TokenEncoder("char").fit(["to be"])
    data = sio.dumps(encoder)
    assert sio.get_untrusted_types(data=data) == ["skgru.preprocessing.TokenEncoder"]
    loaded = sio.loads(data, trusted=SKOPS_TRUSTED_TYPES)
    assert loaded.inverse_transform(loaded.transform(["bet?"])) == ["bet\ufffd"]
    scored = sio.dumps(GRUClassifier(scoring=neg_bits_per_step))
    assert sio.loads(scored, trusted=SKOPS_TRUSTED_TYPES).scoring is neg_bits_per_step


@pytest.mark.parametrize("embedding_dim", [None, 3])
@pytest.mark.parametrize("missing", ["error", "decay"])
def test_categories_gaps_and_times(missing, embedding_dim):
    rng = np.random.default_rng(0)
    words = np.array(["no", "yes", "so"], dtype=object)[rng.integers(3, size=(20, 5))]
    numbers = rng.normal(size=(20, 5, 2)).astype(object)
    X = np.dstack(
        [np.sort(numbers[:, :, :1], axis=1), words, rng.integers(3, size=(20, 5)), numbers]
    )
    parameters = {"categorical_channels": [1, 2], "embedding_dim": embedding_dim}
    if missing == "decay":
        X[::2, 1, 3] = np.nan
        parameters |= {"missing": "decay", "time_channel": 0}
    y = np.arange(20) % 2
    model = GRUClassifier(4, bidirectional=False, max_iter=2, random_state=0, **parameters)
    loaded = again(model.fit(X, y))
    assert loaded.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
    streams = model.stream(20), loaded.stream(20)
    for t in range(5):
        a, b = (stream.step_proba(X[:, t]) for stream in streams)
        assert a.tobytes() == b.tobytes()
    for gru in (model, loaded):
        gru.partial_fit(X, y)
    assert loaded.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
