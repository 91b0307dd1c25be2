"""Saved models: loaded by other processes, of other versions, damaged, memory-mapped."""

import copy
import io
import pickle
import warnings

import joblib
import numpy as np
import pytest
from helpers import every_variant, run_python, small_classifier
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skgru
from skgru import GRUClassifier, GRURegressor
from skgru.network import Network
from skgru.persistence import VersionWarning
from skgru.preprocessing import PerTimestep

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def joblib_dumps(model, **options):
    file = io.BytesIO()
    joblib.dump(model, file, **options)
    return file.getvalue()


def joblib_loads(data):
    return joblib.load(io.BytesIO(data))


WAYS = {
    **{f"protocol {n}": (lambda m, n=n: pickle.dumps(m, n), pickle.loads) for n in range(6)},
    "joblib": (joblib_dumps, joblib_loads),
    "compressed": (lambda m: joblib_dumps(m, compress=("zlib", 3)), joblib_loads),
    "deepcopy": (copy.deepcopy, lambda m: m),
}


@pytest.mark.parametrize(("dump", "load"), WAYS.values(), ids=WAYS)
def test_every_format_restores_the_model(ragged, dump, load):
    X, y = ragged
    model = make_pipeline(PerTimestep(StandardScaler()), GRUClassifier(5, max_iter=2)).fit(X, y)
    again = load(dump(model))
    assert again.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
    assert not any(name.startswith("_skgru_version") for name in vars(again[-1]))
    # continued training gives the same bits
    for gru in (model[-1], again[-1]):
        gru.partial_fit(model[:-1].transform(X), y)
    assert again.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()


CHILD = """
import pickle, sys, numpy as np
with open(sys.argv[1], "rb") as file:
    models, X, Y = pickle.load(file)
for model, y in zip(models, Y):
    print(np.asarray(model.predict(X)).tobytes().hex())
    print(np.asarray(model.partial_fit(X, y).predict(X)).tobytes().hex())
"""


def test_another_process_continues_training(windows, tmp_path):
    X, y = windows
    how = {"max_iter": 3, "random_state": 0, "dropout": 0.2, "hidden_layer_sizes": 4}
    Y = [y > 0, y, y]
    models = [
        GRUClassifier(**how, pooling="attention").fit(X, Y[0]),
        GRURegressor(**how, loss="quantile", solver="adamw").fit(X, Y[1]),
        GRURegressor(**how, bidirectional=True, solver="sgd", cell="lstm").fit(X, Y[2]),
    ]
    path = tmp_path / "models.pkl"
    path.write_bytes(pickle.dumps((models, X, Y)))
    result = run_python(f"import sys; sys.argv = ['', {str(path)!r}]\n{CHILD}")
    assert result.returncode == 0, result.stderr
    expected = []
    for model, y in zip(models, Y, strict=True):
        expected += [model.predict(X).tobytes().hex()]
        expected += [model.partial_fit(X, y).predict(X).tobytes().hex()]
    assert result.stdout.split() == expected


# ---- versions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["0.0.1", "99.0"])
@pytest.mark.parametrize(
    "model", [GRUClassifier(3), GRURegressor(3), PerTimestep(StandardScaler())], ids=str
)
def test_another_version_warns(monkeypatch, model, other):
    saved = pickle.dumps(model)
    with monkeypatch.context() as patch:
        patch.setattr(skgru, "__version__", other)
        saved_by_other = pickle.dumps(model)
    name = type(model).__name__
    with pytest.warns(VersionWarning, match=f"{name} was saved by skgru {other} and is"):
        again = pickle.loads(saved_by_other)
    assert again.get_params().keys() == model.get_params().keys()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)  # by scikit-learn
        again = pickle.loads(saved_by_other)
    # saved again, it has this version: a warning would be an error here
    assert repr(pickle.loads(pickle.dumps(again))) == repr(pickle.loads(saved)) == repr(model)


def test_a_model_without_a_version_warns():
    model = GRUClassifier.__new__(GRUClassifier)
    state = GRUClassifier(3).__getstate__()
    del state["_skgru_version"]
    before = dict(state)
    with pytest.warns(VersionWarning, match="saved by skgru before 0.1.0"):
        model.__setstate__(state)
    assert state == before
    assert model.get_params() == GRUClassifier(3).get_params()


# ---- damaged files -------------------------------------------------------------------------------


@pytest.fixture
def fitted(ragged):
    model = GRUClassifier((4, 3), max_iter=1, random_state=0)
    return model.fit(*ragged)


def restored(state):
    network = Network.__new__(Network)
    network.__setstate__(state)
    return network


def parameters(change):
    return lambda state: state.update(parameters=change(state["parameters"]))


def number(place, value):
    return lambda state: state["parameters"].__setitem__(place, value)


def field(name, value):
    return lambda state: state["architecture"].update({name: value})


FIELDS = {
    "n_channels": [3, 0, -2, 2.0, "2", None, 10**30],
    "hidden_layer_sizes": [(), (4,), (3, 4), (4, 0), (4, -3), 4, "43", (10**12,) * 2, None],
    "n_outputs": [2, 0, 1.5, None],
    "reset_after": [True, 0, "no"],
    "bidirectional": [True, None],
    "return_sequences": ["yes"],
    "pooling": ["attention", None],
    "cell": ["lstm", "mgu", "gru_relu", "os.system", "", 5, None],
    "activation": ["relu", None],
    "peepholes": [True],
}


DAMAGES = {
    "fewer": parameters(lambda p: p[:-1]),
    "more": parameters(lambda p: np.append(p, 0)),
    "none": parameters(lambda p: None),
    "a list": parameters(list),
    "integers": parameters(lambda p: p.astype(int)),
    "objects": parameters(lambda p: p.astype(object)),
    "float16": parameters(lambda p: p.astype("f2")),
    "other precision": parameters(lambda p: p.astype("f8")),
    "a matrix": parameters(lambda p: p[np.newaxis]),
    "NaN": number(7, np.nan),
    "infinity": number(-1, np.inf),
    "another number": number(3, 0.5),
    "another checksum": lambda state: state.update(checksum=state["checksum"] + 1),
    "no parameters": lambda state: state.pop("parameters"),
    "no architecture": lambda state: state.pop("architecture"),
    "no channels": lambda state: state["architecture"].pop("n_channels"),
    "a list of fields": lambda state: state.update(architecture=[2, (4, 3), 1]),
    **{f"{name}={v!r}": field(name, v) for name, values in FIELDS.items() for v in values},
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_network_is_rejected(fitted, damage):
    state = copy.deepcopy(fitted._network.__getstate__())
    assert restored(copy.deepcopy(state)).parameters.tobytes() == state["parameters"].tobytes()
    damage(state)
    with pytest.raises(ValueError, match="saved network is damaged, or another version of skgru"):
        restored(state)


def test_parameters_of_any_byte_order_and_strides(fitted):
    for dtype in (">f4", "<f4"):
        state = fitted._network.__getstate__()
        state["parameters"] = state["parameters"].astype(dtype)
        network = restored(state)
        np.testing.assert_array_equal(network.parameters, fitted._network.parameters)
        assert network.parameters.dtype.isnative
    state = fitted._network.__getstate__()
    state["parameters"] = np.repeat(state["parameters"], 2)[::2]
    assert restored(state).parameters.flags.c_contiguous


@pytest.mark.parametrize(
    ("name", "value"),
    [("_n_channels_seen", 3), ("n_outputs_", 2), ("n_outputs_", None), ("_network", None),
     ("_network", "a network")],
)  # fmt: skip
def test_inconsistent_attributes_are_rejected(fitted, name, value):
    state = {**fitted.__getstate__(), name: value}
    with pytest.raises(ValueError, match="saved GRUClassifier is damaged"):
        GRUClassifier.__new__(GRUClassifier).__setstate__(state)
    del state[name]
    if name != "_network":
        with pytest.raises(ValueError, match="saved GRUClassifier is damaged"):
            GRUClassifier.__new__(GRUClassifier).__setstate__(state)


@pytest.mark.parametrize("dump", [pickle.dumps, joblib_dumps], ids=["pickle", "joblib"])
def test_a_flipped_bit_of_the_weights_is_detected(fitted, dump):
    load = {pickle.dumps: pickle.loads}.get(dump, joblib_loads)
    saved, weights = dump(fitted), fitted._network.parameters.tobytes()
    start = saved.index(weights)
    rng = np.random.default_rng(0)
    for place in rng.integers(len(weights), size=200):
        damaged = bytearray(saved)
        damaged[start + place] ^= 1 << rng.integers(8)
        with pytest.raises(ValueError, match="saved network is damaged"):
            load(bytes(damaged))


FUZZ = """
import io, pickle, resource, sys, warnings
import joblib, numpy as np
from skgru import GRUClassifier
warnings.simplefilter("ignore")
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))  # a length of the pickle may be damaged
rng = np.random.default_rng(0)
X = [rng.normal(size=(n, 2)) for n in (1, 2, 3, 4) * 5]
y = np.array(["a", "b", "c", "d"] * 5)
raised = same = 0
for model in (GRUClassifier(3, max_iter=1), GRUClassifier((2, 2), cell="lstm", bidirectional=True,
              pooling="attention", max_iter=1)):
    expected = model.fit(X, y).predict_proba(X)
    file = io.BytesIO()
    joblib.dump(model, file)
    for saved, load in ((pickle.dumps(model), pickle.loads),
                        (file.getvalue(), lambda b: joblib.load(io.BytesIO(b)))):
        for trial in range(120):
            damaged = bytearray(saved)
            if trial % 4 == 0:
                del damaged[rng.integers(len(saved)):]
            else:
                for place in rng.integers(len(saved), size=trial % 4):
                    damaged[place] = rng.integers(256)
            try:
                again = load(bytes(damaged))
                P = again.predict_proba(X)
                again.partial_fit(X, y)
            except Exception as error:
                raised += 1
                continue
            assert np.isfinite(P).all() and P.shape[0] == 20
            same += np.array_equal(P, expected)
print(raised, same)
"""


def test_damaged_files_raise_or_load_correctly():
    """Changed bytes anywhere, and truncated files: no crash, no NaN."""
    result = run_python(FUZZ)
    assert result.returncode == 0, result.stderr[-2000:]
    raised, same = map(int, result.stdout.split())
    assert raised > 120
    assert raised + same > 450


# ---- memory maps ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["r", "c", "r+"])
@every_variant
def test_memory_maps(ragged, tmp_path, parameters, mode):
    X, y = ragged
    how = {"max_iter": 2, "random_state": 0, "warm_start": True, **parameters}
    model = GRUClassifier(6, **how, pooling="attention").fit(X, y)
    path = tmp_path / "model.joblib"
    joblib.dump(model, path)
    saved = path.read_bytes()
    mapped = joblib.load(path, mmap_mode=mode)
    assert isinstance(mapped._network.parameters.base, np.memmap)
    assert mapped.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
    assert mapped.transform(X).tobytes() == model.transform(X).tobytes()
    for fit in (GRUClassifier.partial_fit, GRUClassifier.fit):
        again = joblib.load(path, mmap_mode=mode)
        expected = fit(copy.deepcopy(model), X, y)
        assert fit(again, X, y).predict_proba(X).tobytes() == expected.predict_proba(X).tobytes()
        assert again.n_iter_ == expected.n_iter_
    clone(mapped).fit(X, y)
    assert path.read_bytes() == saved
    if mode == "r":
        with pytest.raises(ValueError, match="read-only"):
            mapped.layers_[0].W[:] = 0


def classifier(**parameters):
    return small_classifier(**{"max_iter": 20, **parameters})


def test_clones_pickles_and_joblib_copies(ragged, tmp_path):
    X, y = ragged
    model = classifier().fit(X, y)
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "classes_")
    joblib.dump(model, tmp_path / "model")
    for other in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model")):
        np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
        # training continues as for the original, and layers are still views of the parameters
        again, third = other.partial_fit(X, y), pickle.loads(pickle.dumps(model)).partial_fit(X, y)
        np.testing.assert_array_equal(again.predict_proba(X), third.predict_proba(X))
        other.layers_[0].W[:] = 0
        assert (other.predict_proba(X) != third.predict_proba(X)).any()
