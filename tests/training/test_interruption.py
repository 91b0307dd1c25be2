"""Training that the user interrupts."""

import pickle

import numpy as np
import pytest
from helpers import small_classifier

from skgru.training.objective import Objective


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_interruption_warns_and_keeps_a_usable_model(ragged, monkeypatch, solver):
    X, y = ragged
    name = "full_batch" if solver == "lbfgs" else "minibatch"
    original, calls = getattr(Objective, name), []

    def interrupted(self, *args):
        calls.append(1)
        if len(calls) == (8 if solver == "lbfgs" else 25):  # of ten per epoch
            raise KeyboardInterrupt
        return original(self, *args)

    monkeypatch.setattr(f"skgru.training.objective.Objective.{name}", interrupted)
    model = small_classifier(solver=solver)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()
    assert 0 < model.n_iter_ == len(model.loss_curve_) < 8
    pickle.loads(pickle.dumps(model))


def test_interruption_before_the_first_epoch_ends(ragged, monkeypatch):
    def interrupted(self, samples):
        raise KeyboardInterrupt

    monkeypatch.setattr("skgru.training.objective.Objective.minibatch", interrupted)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model = small_classifier(early_stopping=True).fit(*ragged)
    assert model.predict(ragged[0]).shape == (40,)
    assert model.n_iter_ == 0


def test_interruption_while_all_samples_are_trained_on_returns_to_what_validated(monkeypatch):
    X = np.random.default_rng(0).normal(size=(60, 8, 2))
    y = (X[:, :, 0].sum(axis=1) > 0).astype(int)
    original, calls = Objective.minibatch, []

    def interrupted(self, samples):
        calls.append(1)
        if len(self.samples) == 60:  # those held out, too
            raise KeyboardInterrupt
        return original(self, samples)

    monkeypatch.setattr("skgru.training.objective.Objective.minibatch", interrupted)
    model = small_classifier(early_stopping=True, validation_fraction=0.2, max_iter=60)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, y)
    assert len(calls) == model.n_updates_ + 1
    assert model.n_iter_ == len(model.validation_scores_) == 60
    assert model.score(X, y) > 0.9
    pickle.loads(pickle.dumps(model))
