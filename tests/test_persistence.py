"""Saved models: loaded by other processes, of other versions, damaged, memory-mapped."""

import copy
import io
import pickle
import struct
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import sklearn
from helpers import every_variant, small_classifier
from process_helpers import run_forked
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import skgru
from skgru import GRUClassifier, GRURegressor
from skgru.forecasting import (
    NaiveForecaster,
    ScaledTargetRegressor,
    WindowForecaster,
    WindowScaledAverage,
    WindowScaledRegressor,
)
from skgru.forecasting.around import RegressorAround
from skgru.metrics import StepScorer, neg_bits_per_step
from skgru.persistence import CHECKSUM, SKOPS_TRUSTED_TYPES, VERSION, VersionWarning, checksum
from skgru.preprocessing import FillGaps, Patches, PerSequence, PerTimestep, TokenEncoder
from skgru.preprocessing.base import SequenceTransformer

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
    result = run_forked(f"import sys; sys.argv = ['', {str(path)!r}]\n{CHILD}")
    assert result.returncode == 0, result.stderr
    expected = []
    for model, y in zip(models, Y, strict=True):
        expected += [model.predict(X).tobytes().hex()]
        expected += [model.partial_fit(X, y).predict(X).tobytes().hex()]
    assert result.stdout.split() == expected


# ---- versions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["0.0.1", "99.0"])
@pytest.mark.parametrize(
    "model",
    [GRUClassifier(3), GRURegressor(3), PerTimestep(StandardScaler()), FillGaps("mean")],
    ids=str,
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
    del state[VERSION]
    before = dict(state)
    with pytest.warns(VersionWarning, match="saved by skgru before 0.1.0"):
        model.__setstate__(state)
    assert state == before
    assert model.get_params() == GRUClassifier(3).get_params()


def test_a_parameter_that_was_not_saved_has_its_default():
    state = GRUClassifier(3, cell="lstm").__getstate__()
    del state["cell"]
    assert restored(signed(state)).cell == "gru"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_models_of_an_earlier_version_can_be_loaded():
    """Models that tests/data/make_saved.py saved load, predict and continue as they did."""
    saved = pickle.loads((Path(__file__).parent / "data" / "saved.pkl").read_bytes())
    X, models = saved["X"], pickle.loads(saved["models"])
    assert len(models) == 3
    for name, model in models.items():
        predict = getattr(model, "predict_proba", model.predict)
        for got, want in zip(predict(X), saved["predictions"][name], strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)
        again = pickle.loads(pickle.dumps(model))
        assert checksum(again.__getstate__()) == checksum(model.__getstate__())
    for name, want in saved["continued"].items():
        model, y = models[name], saved["targets"][name]
        n_iter = model.n_iter_
        model.partial_fit(X, y)
        np.testing.assert_allclose(model._network.parameters, want, rtol=1e-9, atol=1e-12)
        assert model.n_iter_ == n_iter + 1
        # a new fit does not depend on the old one
        np.testing.assert_array_equal(
            model.fit(X, y)._network.parameters, clone(model).fit(X, y)._network.parameters
        )
    quantiles = models["quantiles"].predict(X)
    assert (quantiles[:, 0] <= quantiles[:, 1]).all()
    stream = models["labels"].stream(10)
    assert set(stream.step(np.zeros((10, 2)))) <= {"calm", "storm", "wind"}
    assert models["numbers by step"].predict(X)[1].shape == (5, 2)


# ---- damaged files -------------------------------------------------------------------------------


@pytest.fixture
def fitted(ragged):
    how = {"bidirectional": False, "pooling": "last", "cell": "gru", "solver": "adam"}
    return GRUClassifier((4, 3), **how, max_iter=1, random_state=0).fit(*ragged)


def restored(state, estimator=GRUClassifier):
    model = estimator.__new__(estimator)
    model.__setstate__(state)
    return model


def signed(state):
    """Return the state with a checksum that fits it, as after a change on purpose."""
    values = {name: value for name, value in state.items() if name not in (CHECKSUM, VERSION)}
    return {**values, CHECKSUM: checksum(values), VERSION: state[VERSION]}


def in_network(change):
    return lambda state: change(state["_network"])


def parameters(change):
    return in_network(lambda saved: saved.update(parameters=change(saved["parameters"])))


def number(place, value):
    return in_network(lambda saved: saved["parameters"].__setitem__(place, value))


def field(name, value):
    return in_network(lambda saved: saved["architecture"].update({name: value}))


def part(name, **values):
    return lambda state: state[name].update(values)


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

# rejected with any checksum
DAMAGES = {
    "fewer": parameters(lambda p: p[:-1]),
    "more": parameters(lambda p: np.append(p, 0)),
    "none": parameters(lambda p: None),
    "a list": parameters(list),
    "integers": parameters(lambda p: p.astype(int)),
    "objects": parameters(lambda p: p.astype(object)),
    "float16": parameters(lambda p: p.astype("f2")),
    "a matrix": parameters(lambda p: p[np.newaxis]),
    "NaN": number(7, np.nan),
    "infinity": number(-1, np.inf),
    "no parameters": in_network(lambda saved: saved.pop("parameters")),
    "no architecture": in_network(lambda saved: saved.pop("architecture")),
    "no channels": in_network(lambda saved: saved["architecture"].pop("n_channels")),
    "a list of fields": in_network(lambda saved: saved.update(architecture=[2, (4, 3), 1])),
    "unknown outputs": part("_outputs", kind="os.system"),
    "other outputs": lambda state: state.update(_outputs={"kind": "multilabel", "n_labels": 3}),
    "no outputs": lambda state: state.pop("_outputs"),
    "an unknown loss": lambda state: state.update(
        _outputs={"kind": "numbers", "n_targets": 1, "loss_name": "os.system"}
    ),
    "more classes": part("_outputs", classes=np.array(["down", "no", "up"])),
    "an unknown field of the history": part("_history", n_dreams=1),
    "an unknown optimizer": lambda state: state["_solver"]["optimizer"].update(kind="system"),
    "an unknown schedule": lambda state: state["_solver"]["schedule"].update(kind="system"),
    "an unknown generator": lambda state: state["_solver"]["random_state"].update(
        bit_generator="system"
    ),
    "no patience": lambda state: state["_solver"].pop("patience"),
    **{f"{name}={v!r}": field(name, v) for name, values in FIELDS.items() for v in values},
}

# valid models, but not the saved one
CHANGES = {
    "another number": number(3, 0.5),
    "other precision": parameters(lambda p: p.astype("f8")),
    "another cell of the same shapes": field("cell", "cifg"),
    "the other label": part("_outputs", classes=np.array(["dawn", "up"])),
    "labels in another order": part("_outputs", classes=np.array(["up", "down"])),
    "a public attribute": lambda state: state.update(classes_=np.array(["dawn", "up"])),
    "a parameter": lambda state: state.update(max_iter=2),
    "a float": lambda state: state.update(alpha=np.nextafter(state["alpha"], 1)),
    "another type": lambda state: state.update(verbose=0),
    "an attribute more": lambda state: state.update(more=1),
    "an attribute less": lambda state: state.pop("loss_"),
    "the loss curve": lambda state: state["_history"]["loss_curve"].append(0.5),
    "the seed": lambda state: state["_solver"]["random_state"]["state"].update(pos=3),
    "a moment": lambda state: state["_solver"]["optimizer"]["mean"].__setitem__(0, 0.5),
    "another checksum": lambda state: state.update({CHECKSUM: state[CHECKSUM] + 1}),
    "no checksum": lambda state: state.pop(CHECKSUM),
}


@pytest.mark.parametrize("damage", [*DAMAGES.values(), *CHANGES.values()], ids=[*DAMAGES, *CHANGES])
def test_a_damaged_model_is_rejected(fitted, damage):
    state = copy.deepcopy(fitted.__getstate__())
    again = restored(copy.deepcopy(state))
    assert again._network.parameters.tobytes() == fitted._network.parameters.tobytes()
    damage(state)
    message = "saved GRUClassifier is damaged, or another version of skgru wrote it: "
    with pytest.raises(ValueError, match=message + "(ValueError: its values|KeyError)"):
        restored(state)
    if damage in DAMAGES.values():
        with pytest.raises(ValueError, match=message) as rejected:
            restored(signed(state))
        assert "checksum" not in str(rejected.value)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changes_that_only_the_checksum_detects(fitted, change):
    """Each of the changes makes a valid model."""
    state = copy.deepcopy(fitted.__getstate__())
    change(state)
    restored(signed(state))


@pytest.mark.parametrize(
    ("name", "value"), [("_n_channels_seen", 3), ("_network", "a network"), ("_outputs", None)]
)
def test_inconsistent_attributes_are_rejected(fitted, name, value):
    state = signed({**fitted.__getstate__(), name: value})
    with pytest.raises(ValueError, match="saved GRUClassifier is damaged"):
        restored(state)
    del state[name]
    with pytest.raises(ValueError, match="saved GRUClassifier is damaged"):
        restored(state)


def test_parameters_of_any_byte_order_and_strides(fitted):
    weights = fitted._network.parameters
    for values in (weights.astype(">f4"), weights.astype("<f4"), np.repeat(weights, 2)[::2]):
        state = fitted.__getstate__()
        state["_network"]["parameters"] = values
        # the checksum is of the numbers
        network = restored(state)._network
        np.testing.assert_array_equal(network.parameters, weights)
        assert network.parameters.dtype.isnative
        assert network.parameters.flags.c_contiguous


LOADS = {pickle.dumps: pickle.loads, joblib_dumps: joblib_loads}
every_dump = pytest.mark.parametrize("dump", LOADS, ids=["pickle", "joblib"])


def objects(array):
    return array.astype(object)


@every_dump
@pytest.mark.parametrize("labels", [np.asarray, objects], ids=["array", "objects"])
def test_a_flipped_bit_of_a_value_is_detected(ragged, dump, labels):
    """In weights and moments, in every label, in a string, in a float and in an integer."""
    X, y = ragged
    model = GRUClassifier((4, 3), max_iter=2, alpha=0.0123, solver="adam", random_state=0)
    model.set_params(early_stopping=True, n_iter_no_change=1).fit(X, labels(y))
    model.set_params(max_iter=300)  # a number of two bytes
    saved, rng = dump(model), np.random.default_rng(0)
    LOADS[dump](saved)
    weights = model._network.parameters.tobytes()
    moments = model._solver.optimizer.variance.tobytes()
    classes = b"down" if labels is objects else model.classes_.tobytes()
    places = {"weights": weights, "moments": moments, "labels": classes, "activation": b"tanh"}
    places |= {"alpha": struct.pack(">d", 0.0123), "max_iter": struct.pack("<H", 300)}
    for value in places.values():
        start = saved.index(value)
        inside = np.arange(start, start + len(value))
        for place in inside if len(inside) < 40 else rng.choice(inside, size=30):
            for bit in range(8) if len(inside) < 40 else rng.integers(8, size=1):
                damaged = bytearray(saved)
                damaged[place] ^= 1 << bit
                # a damaged string may not be UTF-8
                with pytest.raises(ValueError, match="is damaged|decode|joblib pickle"):
                    LOADS[dump](bytes(damaged))


@every_dump
def test_a_flipped_bit_within_another_estimator_is_detected(ragged, dump):
    X, _ = ragged
    scaler = PerTimestep(StandardScaler()).fit(X)
    names = PerTimestep(OneHotEncoder()).fit([np.array([["calm", "north"]]), [["storm", "east"]]])
    for model, value in (
        (scaler, scaler.transformer_.mean_.tobytes()),
        (scaler, scaler.transformer_.var_.tobytes()),
        (names, b"storm"),
    ):
        saved = dump(model)
        LOADS[dump](saved)
        start = saved.index(value)
        for place in range(start, start + len(value)):
            damaged = bytearray(saved)
            damaged[place] ^= 1
            with pytest.raises(ValueError, match="is damaged"):
                LOADS[dump](bytes(damaged))


def test_the_checksum_holds_for_what_pickle_restores():
    def itself(): ...

    circular = {"name": "circle"}
    circular["self"] = [circular]
    values = [
        np.random.RandomState(0), np.random.default_rng(0), {1, 2, "a"}, np.float32(2), len, np.log,
        np.longdouble(1), np.datetime64("2020", "ns"), circular, StandardScaler, Path("a"),
        np.array([(1, "a")], dtype=[("number", int), ("letter", object)]),
        StandardScaler().fit(np.eye(2)), make_pipeline(StandardScaler()), np.dtype("f4"),
    ]  # fmt: skip
    for value in values:
        assert checksum(value) == checksum(pickle.loads(pickle.dumps(value))), value
    assert len(set(map(checksum, values))) == len(values)
    assert checksum(itself) != checksum(len)


@pytest.mark.parametrize("mode", ["r", "c", "r+"])
def test_a_memory_map_that_is_cut_short_raises(ragged, tmp_path, mode):
    X, y = ragged
    model = make_pipeline(PerTimestep(StandardScaler()), GRUClassifier(4, max_iter=1)).fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    saved = (tmp_path / "model.joblib").read_bytes()
    for length in range(0, len(saved), 37):
        (tmp_path / "cut.joblib").write_bytes(saved[:length])
        with pytest.raises(Exception):  # noqa: B017, PT011 (by pickle, NumPy, joblib or skgru)
            joblib.load(tmp_path / "cut.joblib", mmap_mode=mode)


FUZZ = """
import io, pickle, resource, sys, warnings
import joblib, numpy as np
from skgru import GRUClassifier
from skgru.persistence import checksum
warnings.simplefilter("ignore")
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))  # a length of the pickle may be damaged
rng = np.random.default_rng(0)
X = [rng.normal(size=(n, 2)) for n in (1, 2, 3, 4) * 5]
y = np.array(["a", "b", "c", "d"] * 5)
raised = same = 0
for model in (GRUClassifier(3, max_iter=1), GRUClassifier((2, 2), cell="lstm", bidirectional=True,
              pooling="attention", max_iter=1)):
    expected = model.fit(X, y).predict_proba(X)
    values = checksum(model.__getstate__())
    file = io.BytesIO()
    joblib.dump(model, file)
    for saved, load in ((pickle.dumps(model), pickle.loads),
                        (file.getvalue(), lambda b: joblib.load(io.BytesIO(b)))):
        for trial in range(200):
            damaged = bytearray(saved)
            if trial % 4 == 0:
                del damaged[rng.integers(len(saved)):]
            elif trial % 4 == 1:
                damaged[rng.integers(len(saved))] ^= 1 << rng.integers(8)
            else:
                for place in rng.integers(len(saved), size=trial % 4):
                    damaged[place] = rng.integers(256)
            try:
                again = load(bytes(damaged))
                before = again.__getstate__()
                P = again.predict_proba(X)
                again.partial_fit(X, y)
            except Exception as error:
                raised += 1
                continue
            assert values == checksum(before)
            same += np.array_equal(P, expected)
print(raised, same)
"""


def test_damaged_files_raise_or_load_correctly():
    """Changed bytes and bits anywhere, and truncated files.

    Nothing crashes, and a file that loads has the saved values to the last bit.
    """
    result = run_forked(FUZZ)
    assert result.returncode == 0, result.stderr[-2000:]
    raised, same = map(int, result.stdout.split())
    assert raised > 200
    assert raised + same == 800


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


def test_a_request_for_metadata_may_refer_to_its_estimator(fitted, ragged):
    with sklearn.config_context(enable_metadata_routing=True):
        model = copy.deepcopy(fitted).set_fit_request(sample_weight=True)
        model._metadata_request.owner = model  # as scikit-learn 1.8 sets it
        loaded = pickle.loads(pickle.dumps(model))
        assert loaded.get_metadata_routing().fit.requests["sample_weight"] is True
    assert loaded._metadata_request.owner is loaded
    np.testing.assert_array_equal(loaded.predict(ragged[0]), fitted.predict(ragged[0]))


def test_the_list_for_skops_names_every_type_of_a_saved_model():
    transformers = {FillGaps, PerTimestep, PerSequence, Patches, TokenEncoder}
    estimators = {GRUClassifier, GRURegressor, *transformers}
    around = {NaiveForecaster, ScaledTargetRegressor, WindowForecaster}
    around |= {WindowScaledAverage, WindowScaledRegressor}
    scorers = {StepScorer, neg_bits_per_step}
    types = estimators | around | scorers
    assert {f"{cls.__module__}.{cls.__qualname__}" for cls in types} == set(SKOPS_TRUSTED_TYPES)
    # no other class of skgru is saved
    bases = {skgru.persistence.Saved, skgru.base.BaseGRU, SequenceTransformer, RegressorAround}
    found, classes = set(), [skgru.persistence.Saved]
    while classes:
        cls = classes.pop()
        classes += cls.__subclasses__()
        if cls.__module__.startswith("skgru"):
            found.add(cls)
    assert found == types - scorers | bases
