"""Checkpoints: a fit that was killed continues to the same bits."""

import errno
import os
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from process_helpers import run_forked
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.callbacks import Checkpoint
from skgru.preprocessing import PerTimestep
from skgru.training import checkpoint

callback = pytest.importorskip(
    "sklearn.callback", reason="callbacks come with scikit-learn 1.9", exc_type=ImportError
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(60, 6, 2))
Y = np.where(X[:, -1, 0] + 0.5 * X[:, 0, 1] > 0, "up", "down")

SETTINGS = {
    "defaults": {},
    "sgd": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.5},
    "adamw": {"solver": "adamw", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.1},
    "rmsprop": {"solver": "rmsprop", "learning_rate": "constant", "warmup_updates": 50},
    "dropout": {"dropout": 0.3, "recurrent_dropout": 0.2, "n_jobs": 2, "batch_size": 32},
    "held out": {"early_stopping": True, "validation_fraction": 0.2, "n_iter_no_change": 1},
    "held out, by accuracy": {"early_stopping": True, "scoring": "accuracy"},
    "diverging": {"learning_rate_init": 30.0, "max_grad_norm": None, "solver": "sgd"},
    "class weights": {"class_weight": "balanced", "dtype": "float64"},
    "random numbers of a generator": {"random_state": "generator"},
    "no seed": {"random_state": None, "dropout": 0.1, "early_stopping": True},
}


class Keep(Checkpoint):
    """A checkpoint that keeps all its files."""

    def end_epoch(self, n_epochs, estimator_so_far):
        super().end_epoch(n_epochs, estimator_so_far)
        self.files = [*getattr(self, "files", []), Path(self.path).read_bytes()]


def result(model):
    curves = model.loss_curve_, model.grad_norm_curve_, model.validation_scores_
    return model.predict_proba(X).tobytes(), curves, model.n_iter_, model.t_


def gru(**parameters):
    if parameters.get("random_state") == "generator":
        parameters["random_state"] = np.random.RandomState(3)
    how = {"max_iter": 12, "random_state": 0, "bidirectional": False, **parameters}
    return GRUClassifier(5, **how)


@pytest.mark.filterwarnings("ignore::skgru.exceptions.DivergenceWarning")
@pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning")
@pytest.mark.parametrize("parameters", SETTINGS.values(), ids=SETTINGS)
def test_every_checkpoint_continues_to_the_same_bits(tmp_path, parameters):
    path = tmp_path / "gru.joblib"
    kept = Keep(path)
    whole = gru(**parameters).set_callbacks(kept).fit(X, Y)
    if parameters.get("random_state", 0) == 0:
        assert result(gru(**parameters).fit(X, Y)) == result(whole)
    assert len(kept.files) >= whole.n_iter_ > 2
    for n, file in enumerate(kept.files, start=1):
        path.write_bytes(file)
        assert result(gru(**parameters).fit(X, Y, resume_from=path)) == result(whole), n
        if n <= 3:
            so_far = joblib.load(path)
            assert so_far.n_iter_ == n
            assert so_far.predict(X).shape == Y.shape
    # a second training, on the samples held out too, is continued as well
    on_all = joblib.load(path)._training["n_epochs_on_all"]
    assert (on_all > 0) == bool(parameters.get("early_stopping"))


def test_a_continued_fit_that_warm_starts(tmp_path):
    path = tmp_path / "gru.joblib"
    kept = Keep(path)
    model = gru(warm_start=True, max_iter=4).fit(X, Y)
    whole = model.set_callbacks(kept).fit(X, Y)
    path.write_bytes(kept.files[1])
    resumed = gru(warm_start=True, max_iter=4).fit(X, Y, resume_from=path)
    assert result(resumed) == result(whole)
    assert resumed.n_iter_ == 8


def test_numbers_and_given_validation(tmp_path):
    path = tmp_path / "gru.joblib"
    y, weights = X[:, -1] * [3, 0.1], np.linspace(0.5, 2, 60)
    how = {"max_iter": 5, "random_state": 1, "loss": "huber", "pooling": "attention"}
    given = {"sample_weight": weights, "X_val": X[:30], "y_val": y[:30]}
    kept = Keep(path)
    whole = GRURegressor((4, 3), **how).set_callbacks(kept).fit(X, y, **given)
    path.write_bytes(kept.files[2])
    again = GRURegressor((4, 3), **how)
    again.fit(X, y, **given, resume_from=str(path))
    assert again.predict(X).tobytes() == whole.predict(X).tobytes()
    assert again.validation_scores_ == whole.validation_scores_
    before = vars(again).copy()
    for other in ({"X_val": X[:29], "y_val": y[:29]}, {"sample_weight": None}):
        with pytest.raises(ValueError, match="a fit to other data"):
            again.fit(X, y, **{**given, **other}, resume_from=path)
    assert vars(again) == before


def test_gaps_and_categories(tmp_path):
    path = tmp_path / "gru.joblib"
    kept = Keep(path)
    x = X.copy()
    x[:, 2, 0] = np.nan
    x[..., 1] = x[..., 1] > 0
    how = {"missing": "decay", "categorical_channels": [1], "early_stopping": True}
    whole = gru(**how).set_callbacks(kept).fit(x, Y)
    path.write_bytes(kept.files[3])
    again = gru(**how).fit(x, Y, resume_from=path)
    assert again.predict_proba(x).tobytes() == whole.predict_proba(x).tobytes()
    x[:, 0, 1] = x[::-1, 0, 1]
    with pytest.raises(ValueError, match="a fit to other data"):
        gru(**how).fit(x, Y, resume_from=path)


@pytest.mark.parametrize("parameters", [{}, {"early_stopping": True, "solver": "sgd"}], ids=str)
def test_updates_by_window_of_embedded_categories(tmp_path, parameters):
    path = tmp_path / "gru.joblib"
    codes = np.random.default_rng(0).integers(0, 9, size=(40, 30, 1))
    y = np.roll(codes[..., 0], -1, axis=1)
    how = {"return_sequences": True, "bptt_steps": 7, "update_every": "window", "max_iter": 5}
    how |= {"categorical_channels": [0], "embedding_dim": 3, "batch_size": 8, "dropout": 0.2}
    kept = Keep(path)
    whole = gru(**how, **parameters).set_callbacks(kept).fit(codes, y)
    for file in kept.files:
        path.write_bytes(file)
        again = gru(**how, **parameters).fit(codes, y, resume_from=path)
        assert again.predict_proba(codes).tobytes() == whole.predict_proba(codes).tobytes()
        assert again.loss_curve_ == whole.loss_curve_


# ---- refusals ------------------------------------------------------------------------------------


def test_what_cannot_continue_is_refused(tmp_path):
    path = tmp_path / "gru.joblib"
    gru(max_iter=2).set_callbacks(Checkpoint(path)).fit(X, Y)
    with pytest.raises(ValueError, match=r"alpha=0.0001 is 0.1 now, max_iter=2 is 12 now"):
        gru(alpha=0.1).fit(X, Y, resume_from=path)
    with pytest.raises(ValueError, match="a fit to other data"):
        gru(max_iter=2).fit(X[::-1], Y[::-1], resume_from=path)
    with pytest.raises(ValueError, match="channels"):
        gru(max_iter=2).fit(X[..., :1], Y, resume_from=path)
    with pytest.raises(FileNotFoundError, match="does not exist. Leave it out"):
        gru().fit(X, Y, resume_from=tmp_path / "none")
    with pytest.raises(ValueError, match="must be the file of a Checkpoint of a GRURegressor"):
        GRURegressor().fit(X, X[:, 0], resume_from=path)
    joblib.dump(gru(max_iter=2).fit(X, Y), path)
    with pytest.raises(ValueError, match="holds a GRUClassifier that is none"):
        gru(max_iter=2).fit(X, Y, resume_from=path)
    with pytest.raises(ValueError, match='solver="lbfgs" cannot be continued'):
        gru(solver="lbfgs").set_callbacks(Checkpoint(path)).fit(X, Y)
    with pytest.raises(TypeError, match="PerTimestep has none"):
        PerTimestep(StandardScaler()).set_callbacks(Checkpoint(path)).fit(X)
    with pytest.raises(ValueError, match="there is no folder"):
        gru().set_callbacks(Checkpoint(tmp_path / "no" / "gru")).fit(X, Y)
    with pytest.raises(ValueError, match="every"):
        Checkpoint(path, every=0)


def test_a_model_of_a_checkpoint_can_be_fitted_anew(tmp_path):
    path = tmp_path / "gru.joblib"
    gru().set_callbacks(Checkpoint(path, every=5)).fit(X, Y)
    model = joblib.load(path)
    assert model.n_iter_ == 10
    assert not hasattr(model, "_skl_callbacks")
    assert result(model.fit(X, Y)) == result(gru().fit(X, Y))
    assert not hasattr(model, "_training")
    assert not hasattr(joblib.load(path).partial_fit(X, Y), "_training")


# ---- kills and full disks ------------------------------------------------------------------------


def test_a_full_disk_warns_and_keeps_the_file_before(tmp_path, monkeypatch):
    path = tmp_path / "gru.joblib"
    files, dump = [], joblib.dump

    def full(value, file):
        dump(value, file)
        if len(files) % 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        files.append(path)

    monkeypatch.setattr(checkpoint.joblib, "dump", full)
    model = gru(max_iter=3).set_callbacks(Checkpoint(path))
    with pytest.warns(UserWarning, match="could not be written: .*No space left") as caught:
        model.fit(X, Y)
    assert ["epoch 2" in str(w.message) for w in caught] == [True, False]
    assert os.listdir(tmp_path) == ["gru.joblib"]
    assert joblib.load(path).n_iter_ == 1
    assert result(gru(max_iter=3).fit(X, Y, resume_from=path)) == result(gru(max_iter=3).fit(X, Y))


# The fits that are killed are forked from a process that has fitted, and so imported everything.
KILLS = """
import os, signal, time, warnings
import joblib
import numpy as np
from skgru import GRUClassifier
from skgru.callbacks import Checkpoint

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X = rng.normal(size=(200, 10, 2))
y = X[:, -1, 0] > 0

def fit(path):
    model = GRUClassifier(16, max_iter=60, dropout=0.1, early_stopping=True, n_iter_no_change=60,
                          random_state=0)
    model.set_callbacks(Checkpoint(path, every=2))
    model.fit(X, y, resume_from=path if os.path.exists(path) else None)
    print(model.n_iter_, model.predict_proba(X).tobytes().hex(), flush=True)

fit(WHOLE)
kills, last = 0, 0
while kills < N_KILLS:
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        fit(PATH)
        os._exit(0)
    time.sleep(rng.uniform(0, 0.15))
    os.kill(child, signal.SIGKILL)  # it exists until it is waited for
    status = os.waitpid(child, 0)[1]
    if status == 0:
        os.remove(PATH)  # it came to its end; kill another one
        last = 0
        continue
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    if os.path.exists(PATH):  # or it was killed before its first checkpoint
        kills += 1
        training = joblib.load(PATH)._training  # a whole file
        done = training["epochs"]["n_epochs"] + 1000 * bool(training["n_epochs_on_all"])
        assert done >= last, (done, last)
        last = done
fit(PATH)
"""
needs_posix = pytest.mark.skipif(os.name == "nt", reason="needs fork and SIGKILL")


@pytest.mark.slow
@needs_posix
def test_kills_at_random_moments(tmp_path):
    kill_at_random_moments(tmp_path, 50)


@needs_posix
def test_a_few_kills(tmp_path):
    kill_at_random_moments(tmp_path, 3)


def kill_at_random_moments(tmp_path, n_kills):
    """A fit that is killed again and again, and continued, is the fit that is not."""
    whole, path = str(tmp_path / "whole.joblib"), str(tmp_path / "gru.joblib")
    result = run_forked(f"WHOLE, PATH, N_KILLS = {whole!r}, {path!r}, {n_kills}\n{KILLS}")
    assert result.returncode == 0, result.stderr
    expected, continued = result.stdout.splitlines()
    assert continued == expected


def test_without_callbacks_of_scikit_learn_there_is_a_clear_error(monkeypatch):
    monkeypatch.setattr("skgru.training.callbacks.find_spec", lambda name: None)
    with warnings.catch_warnings(), pytest.raises(AttributeError) as raised:
        gru().set_callbacks(Checkpoint("gru.joblib"))
    assert "callbacks need scikit-learn 1.9 or newer" in str(raised.value.__cause__)
