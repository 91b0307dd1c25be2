"""From an estimator's parameters to optimizer, schedule and objective, and through the epochs."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skgru.model.inference import predict
from skgru.model.network import Network
from skgru.model.workers import Workers
from skgru.outputs import Outputs
from skgru.sequences import Sequences, Targets
from skgru.training.callbacks import FitTasks
from skgru.training.history import History, Patience
from skgru.training.lbfgs import fit_lbfgs, merge_equal
from skgru.training.objective import Objective
from skgru.training.optimizers import OPTIMIZERS
from skgru.training.schedules import SCHEDULES
from skgru.training.stochastic import Solver, fit_stochastic

# Sequences per update with batch_size="auto", if there are as many.
AUTO_BATCH_SIZE = 32


@dataclass
class TrainingSet:
    """Sequences and targets to train on, and those to validate on.

    Attributes
    ----------
    sequences : Sequences
    targets : Targets
    samples : ndarray of int
        Those to train on, among the sequences.
    validation : tuple of Sequences and Targets, or None
    """

    sequences: Sequences
    targets: Targets
    samples: np.ndarray
    validation: tuple[Sequences, Targets] | None = None


@dataclass
class Fit:
    """One fit of a network: what is trained, how, and what the training leaves.

    Attributes
    ----------
    network : Network
    outputs : Outputs
    settings : object
        With the estimator's parameters as attributes.
    history : History
    solver : Solver or None
        None before the first epoch, and with "lbfgs".
    workers : Workers
    tasks : FitTasks
    random_state : RandomState
    """

    network: Network
    outputs: Outputs
    settings: Any
    history: History
    solver: Solver | None
    workers: Workers
    tasks: FitTasks
    random_state: np.random.RandomState

    def run(self, training: TrainingSet, max_iter: int) -> bool:
        """Train for at most so many epochs; return whether training ended before that."""
        if self.settings.solver == "lbfgs":
            self._minimize(training)
            return True
        return self._run_epochs(training, max_iter)

    def _minimize(self, training: TrainingSet) -> None:
        training.samples, training.targets = merge_equal(training.sequences, training.targets)
        fit_lbfgs(
            self._objective(training, penalty_in_loss=True),
            self.history,
            max_iter=self.settings.max_iter,
            max_fun=self.settings.max_fun,
            tol=self.settings.tol,
            tasks=self.tasks,
            verbose=self.settings.verbose,
        )

    def _run_epochs(self, training: TrainingSet, max_iter: int) -> bool:
        settings = self.settings
        batch_size = AUTO_BATCH_SIZE if settings.batch_size == "auto" else settings.batch_size
        batch_size = min(batch_size, len(training.samples))
        if self.solver is None:
            n_updates = max_iter * -(-len(training.samples) // batch_size)
            self.solver = self._new_solver(n_updates)
        return fit_stochastic(
            self._objective(training, self.solver.optimizer.penalty_in_loss),
            self.solver,
            self.history,
            max_iter=max_iter,
            batch_size=batch_size,
            max_grad_norm=settings.max_grad_norm,
            shuffle=settings.shuffle,
            validation_score=self._validation_score(training.validation),
            tasks=self.tasks,
            verbose=settings.verbose,
        )

    def _objective(self, training: TrainingSet, penalty_in_loss: bool) -> Objective:
        settings = self.settings
        return Objective(
            network=self.network,
            loss=self.outputs.loss,
            sequences=training.sequences,
            targets=training.targets,
            samples=training.samples,
            alpha=settings.alpha if penalty_in_loss else 0.0,
            workers=self.workers,
            bptt_steps=settings.bptt_steps,
            dropout=settings.dropout,
            recurrent_dropout=settings.recurrent_dropout,
            random_state=None if self.solver is None else self.solver.random_state,
        )

    def _new_solver(self, n_updates: int) -> Solver:
        settings = self.settings
        return Solver(
            OPTIMIZERS[settings.solver].from_settings(settings, self.network),
            SCHEDULES[settings.learning_rate].from_settings(settings, n_updates),
            Patience(settings.tol, settings.n_iter_no_change),
            self.random_state,
        )

    def _validation_score(self, validation: tuple[Sequences, Targets] | None):
        """Return a function that scores the network on the validation set, if there is one."""
        if validation is None:
            return None
        sequences, targets = validation
        known = targets.weights > 0
        y, weights = self.outputs.decode(targets.y[known]), targets.weights[known]

        def score() -> float:
            predictions = predict(self.network, sequences, self.workers)[known]
            return self.outputs.score(y, self.outputs.predict(predictions), weights)

        return score


def hold_out(
    targets: Targets,
    *,
    validation_fraction: float,
    shuffle: bool,
    stratify: bool,
    random_state: np.random.RandomState,
) -> tuple[np.ndarray, np.ndarray]:
    """Split the samples into those to train on and those to validate on.

    Parameters
    ----------
    targets : Targets
    validation_fraction : float
    shuffle : bool
        Whether to hold out random samples, and not the last ones.
    stratify : bool
        Whether both parts shall have the same shares of classes.
    random_state : RandomState

    Raises
    ------
    ValueError
        If fewer than two samples of positive weight are left to validate on.
    """
    # not at the top, as it would triple the time that `import skgru` takes
    from sklearn.model_selection import train_test_split

    training, held_out = train_test_split(
        np.arange(len(targets)),
        test_size=validation_fraction,
        shuffle=shuffle,
        random_state=random_state if shuffle else None,
        stratify=targets.y if stratify and shuffle else None,
    )
    if np.count_nonzero(targets.weights[targets.rows(held_out)]) < 2:
        raise ValueError(
            f"validation_fraction={validation_fraction} of {len(targets)} samples leaves "
            "fewer than 2 of positive weight to validate on. Increase it, or fit on more "
            "samples."
        )
    return training, held_out
