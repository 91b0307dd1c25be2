"""The output of verbose=True."""

import pytest
from helpers import small_classifier

ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@ignore_convergence
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_verbose_prints_one_line_per_epoch(ragged, capsys, solver):
    model = small_classifier(verbose=True, max_iter=3, solver=solver).fit(*ragged)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for i, (line, loss) in enumerate(zip(lines, model.loss_curve_, strict=True), 1):
        assert line == f"{'Iteration' if solver == 'lbfgs' else 'Epoch'} {i}, loss = {loss:.8f}"


@ignore_convergence
def test_verbose_prints_the_validation_score(ragged, capsys):
    model = small_classifier(verbose=True, max_iter=30, early_stopping=True, n_iter_no_change=2)
    model.fit(*ragged)
    out = capsys.readouterr().out
    assert out.count("Validation score: ") == model.n_iter_
    assert "Validation score did not improve by tol=0.0001 for more than 2 epochs." in out
