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
        if len(calls) == 8:
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
