"""From an estimator's parameters to optimizer, schedule and objective, and through the epochs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import gen_batches

from skgru.model.inference import losses
from skgru.model.network import Network
from skgru.model.workers import Workers
from skgru.outputs import Labels, Outputs
from skgru.persistence import checksum
from skgru.sequences import Sequences, Targets
from skgru.training.callbacks import FitTasks
from skgru.training.checkpoint import TRAINING
from skgru.training.divergence import Guard
from skgru.training.history import MIN_UPDATES, History, Patience
from skgru.training.lbfgs import fit_lbfgs, merge_equal
from skgru.training.objective import Objective
from skgru.training.optimizers import OPTIMIZERS, Optimizer
from skgru.training.schedules import SCHEDULES, Constant
from skgru.training.stochastic import Solver, StochasticFit
from skgru.training.validation import Validation

# With fewer samples held out, early stopping only finds out how long to train.
FEW_HELD_OUT = 100

# Outputs that a loss without gradient takes at a time.
LOSS_NUMBERS = 2**18


def auto_batch_size(n_samples: int, update_every: str = "sequence") -> int:
    """Return the sequences per update of batch_size="auto".

    At least ten updates per epoch for training sets of 40 sequences and more: small minibatches
    regularize (docs, "How the defaults were chosen"). Windows are many updates already.
    """
    return 32 if update_every == "window" else min(32, max(4, n_samples // 10))


def _plain_parameters(estimator: Any) -> dict[str, Any]:
    """Return the parameters of an estimator that are numbers, strings, booleans or None."""
    parameters = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in estimator.get_params(deep=False).items()
    }
    plain = bool | int | float | str | None
    return {name: value for name, value in parameters.items() if isinstance(value, plain)}


class Reference(NamedTuple):
    """Training losses that no fit should exceed, or can fall below.

    Attributes
    ----------
    constant : float
        Of the best constant prediction.
    minimum : float
        Of predictions that are all right.
    """

    constant: float
    minimum: float


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
    score : callable or None
        Takes the network and returns its score on the validation set, higher is better; None is
        the negative loss.
    held_out : ndarray of int or None
        Those to validate on, if they are among the sequences.
    """

    sequences: Sequences
    targets: Targets
    samples: np.ndarray
    validation: tuple[Sequences, Targets] | None = None
    score: Callable[[Network], float] | None = None
    held_out: np.ndarray | None = None

    @cached_property
    def checksum(self) -> int:
        """Of all data; a fit only continues on the same."""
        parts = [(self.sequences, self.targets), *([self.validation] if self.validation else [])]
        return checksum(
            [(X.values, X.lengths, X.codes, y.y, y.weights, y.exponent) for X, y in parts]
        )


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
    resumed : dict or None
        State of the training that continues from a checkpoint.
    """

    network: Network
    outputs: Outputs
    settings: Any
    history: History
    solver: Solver | None
    workers: Workers
    tasks: FitTasks
    random_state: np.random.RandomState
    resumed: dict[str, Any] | None = None
    _guarded: bool = True
    _fresh: bool = True
    _first: TrainingSet | None = None
    _n_epochs_on_all: int = 0
    _stopped_by_user: bool = False

    def run(self, training: TrainingSet, *, fresh: bool, incremental: bool) -> bool:
        """Train the network.

        Parameters
        ----------
        training : TrainingSet
        fresh : bool
            Whether the network has just been initialized.
        incremental : bool
            Whether to train for one epoch that others may follow (`partial_fit`).

        Returns
        -------
        bool
            Whether training ended before `max_iter`.
        """
        if self.settings.solver == "lbfgs":
            training.samples, training.targets = merge_equal(training.sequences, training.targets)
        y, weights = self._known_targets(training)
        constant = self.outputs.loss.best_constant(y, weights)
        if fresh and not self.resumed:
            self._start_head(constant)
        if self.settings.solver == "lbfgs":
            self._minimize(training)
            return True
        reference = Reference(
            float(np.average(constant_losses(self.outputs, y, constant), weights=weights)),
            self.outputs.loss.minimum(y, weights),
        )
        max_iter = 1 if incremental else self.settings.max_iter
        self._guarded = not incremental
        self._first, self._fresh = training, fresh
        if self.resumed:
            self._check_resumed(training)
            if self.resumed["n_epochs_on_all"]:
                self._train_on_all(training, self.resumed["n_epochs_on_all"], reference)
                return True
        validation = self._validation(training)
        finished = self._run_epochs(training, validation, reference, max_iter)
        few = training.held_out is not None and len(training.held_out) < FEW_HELD_OUT
        # a few sequences with many updates each are no small set
        few = few and self.settings.update_every == "sequence"
        if fresh and few and validation.kept_epoch and not self._stopped_by_user:
            self._train_again(training, validation.kept_epoch, constant, reference)
        return finished

    def _train_again(
        self, training: TrainingSet, n_epochs: int, constant: np.ndarray, reference: Reference
    ) -> None:
        """Train anew for as many epochs as validated best, on the samples held out too.

        A small set cannot do without them (Goodfellow et al. 2016, algorithm 7.2).
        """
        validated = self.network.parameters.copy(), self.history.state(), self.solver
        samples = np.sort(np.concatenate([training.samples, training.held_out]))
        n_updates = self._n_updates(training, samples)
        n_epochs = min(max(n_epochs, -(-MIN_UPDATES // n_updates)), self.settings.max_iter)
        if self.settings.verbose:
            print(f"Training once more, on all samples, for {n_epochs} epochs.")
        self.history.restart()
        self.network.initialize(self.random_state)
        self._start_head(constant)
        self.solver = None
        self._train_on_all(training, n_epochs, reference)
        if self._stopped_by_user:  # half-trained weights have not been validated
            self.network.parameters[:], before, self.solver = validated
            vars(self.history).update(before)

    def _train_on_all(self, training: TrainingSet, n_epochs: int, reference: Reference) -> None:
        self._n_epochs_on_all = n_epochs
        self.tasks = self.tasks.of_checkpoints()
        samples = np.sort(np.concatenate([training.samples, training.held_out]))
        everything = TrainingSet(training.sequences, training.targets, samples)
        self._run_epochs(everything, None, reference, n_epochs)

    def _check_resumed(self, training: TrainingSet) -> None:
        """Raise ValueError if the data are not those of the fit that is to continue."""
        if self.resumed["data"] != training.checksum:
            raise ValueError(
                "resume_from holds a fit to other data: X, y, weights and validation data must be "
                "those of the fit that it continues, in the same order."
            )

    def _checkpoint(self, epochs: StochasticFit) -> dict[str, Any]:
        """Return what a checkpoint holds besides the network, as attributes of the estimator."""
        training = {
            "fresh": self._fresh,
            "n_epochs_on_all": self._n_epochs_on_all,
            "samples": self._first.samples,
            "held_out": self._first.held_out,
            "data": self._first.checksum,
            "epochs": epochs.state(),
        }
        return {"_history": self.history, "_solver": self.solver, TRAINING: training}

    def _start_head(self, constant: np.ndarray) -> None:
        self.network.weights.head.b[:] = constant

    def _known_targets(self, training: TrainingSet) -> tuple[np.ndarray, np.ndarray]:
        """Return targets of positive weight, in double precision, and their weights."""
        targets = training.targets
        rows = targets.rows(training.samples)
        rows = rows[targets.weights[rows] > 0]
        if not len(rows):
            raise ValueError("The weights of all training samples are zero; one must be positive.")
        return targets.y[rows].astype(np.float64), targets.weights[rows]

    def _minimize(self, training: TrainingSet) -> None:
        objective = self._objective(training, penalty_in_loss=True)
        objective.check_penalty(len(training.samples))
        fit_lbfgs(
            objective,
            self.history,
            max_iter=self.settings.max_iter,
            max_fun=self.settings.max_fun,
            tol=self.settings.tol,
            tasks=self.tasks,
            verbose=self.settings.verbose,
        )

    def _run_epochs(
        self,
        training: TrainingSet,
        validation: Validation | None,
        reference: Reference,
        max_iter: int,
    ) -> bool:
        """Train for at most so many epochs, with a guard unless others may follow."""
        settings = self.settings
        n_samples = len(training.samples)
        batch_size = self._batch_size(n_samples)
        if self.solver is None:
            n_updates = max_iter * self._n_updates(training, training.samples)
            self.solver = self._new_solver(settings, n_updates)
        elif not self.resumed:
            self._follow_changes()
        self.solver.settings = _plain_parameters(settings)
        objective = self._objective(training, self.solver.optimizer.penalty_in_loss)
        # a penalty that suits targets of unit variance would be all there is for tiny ones
        objective.alpha *= min(1.0, 2 * (reference.constant - reference.minimum))
        objective.check_penalty(batch_size)
        epochs = StochasticFit(
            objective=objective,
            solver=self.solver,
            history=self.history,
            batch_size=batch_size,
            by_window=settings.update_every == "window",
            max_grad_norm=settings.max_grad_norm,
            shuffle=settings.shuffle,
            verbose=settings.verbose,
            tasks=self.tasks,
            new_optimizer=self._new_optimizer,
            validation=validation,
            guard=Guard(objective, *reference) if self._guarded else None,
        )
        if self.resumed:
            epochs.resume(self.resumed["epochs"])
            self.resumed = None
        self.tasks.make_resumable(lambda: self._checkpoint(epochs))
        finished = epochs.run(max_iter)
        self._stopped_by_user = epochs.stopped_by_user
        return finished

    def _batch_size(self, n_samples: int) -> int:
        size = self.settings.batch_size
        if size == "auto":
            size = auto_batch_size(n_samples, self.settings.update_every)
        return min(size, n_samples)

    def _n_updates(self, training: TrainingSet, samples: np.ndarray) -> int:
        """Return the number of updates of an epoch, for ragged windows without a shuffle."""
        batches = gen_batches(len(samples), self._batch_size(len(samples)))
        if self.settings.update_every == "sequence":
            return len(list(batches))
        longest = [training.sequences.lengths[samples[batch]].max() for batch in batches]
        return int(sum(-(-n // self.settings.bptt_steps) for n in longest))

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

    def _new_optimizer(self) -> Optimizer:
        return OPTIMIZERS[self.settings.solver].from_settings(self.settings, self.network)

    def _new_solver(self, settings: Any, n_updates: int) -> Solver:
        schedule = SCHEDULES[settings.learning_rate]
        if schedule.needs_plan and not self._guarded:  # the number of epochs is unknown
            schedule = Constant
        return Solver(
            OPTIMIZERS[settings.solver].from_settings(settings, self.network),
            schedule.from_settings(settings, n_updates),
            Patience(settings.tol, settings.n_iter_no_change),
            self.random_state,
        )

    def _follow_changes(self) -> None:
        """Let the solver of an earlier call go on with the parameters of now."""
        settings, solver, history = self.settings, self.solver, self.history
        if solver.schedule.needs_plan:  # the planned updates have passed
            solver.schedule = Constant.from_settings(settings, 0)
            solver.schedule.n_updates = history.n_updates
        now = _plain_parameters(settings)
        followed = now if solver.settings is None else solver.settings
        if followed != now:
            earlier = SimpleNamespace(**{**settings.get_params(deep=False), **followed})
            solver.take_changes(self._new_solver(earlier, 0), self._new_solver(settings, 0))
            solver.schedule.resume(history.n_samples_seen)
        # a generator is drawn from at every call; a seed, at the first one that has it
        seed = now.get("random_state", ...)
        if seed is ... or seed != followed.get("random_state", ...):
            solver.random_state = self.random_state

    def _validation(self, training: TrainingSet) -> Validation | None:
        """Score the network on the validation set, if there is one."""
        if training.validation is None:
            return None
        sequences, targets = training.validation
        known = targets.weights > 0
        weights = targets.weights[known]
        # of all known steps of a sequence, one loss, as they are not independent
        first = np.arange(len(weights))
        if targets.sequences is not None:
            of_sequence = np.repeat(np.arange(len(sequences)), sequences.lengths)[known]
            first = np.flatnonzero(np.diff(of_sequence, prepend=-1))
        shares = np.add.reduceat(weights, first) / weights.sum()

        def weighted_losses() -> np.ndarray:
            loss = self.outputs.loss
            of_rows = losses(self.network, sequences, self.workers, loss, targets.y)[known]
            weighted = np.add.reduceat(weights * of_rows, first)
            return weighted / weights.sum()

        def score() -> float:
            return training.score(self.network)

        return Validation(
            self.network.parameters,
            weighted_losses if training.score is None else score,
            self.settings.early_stopping,
            shares,
        )


def constant_losses(outputs: Outputs, y: np.ndarray, constant: np.ndarray) -> np.ndarray:
    """Compute the loss of each row of y, given one row of outputs for all."""
    if isinstance(outputs, Labels) and len(y) > len(outputs.classes):
        each_class = np.arange(len(outputs.classes), dtype=np.float64)[:, np.newaxis]
        return constant_losses(outputs, each_class, constant)[y[:, 0].astype(np.intp)]
    of_rows = np.empty(len(y))
    for rows in gen_batches(len(y), max(LOSS_NUMBERS // len(constant), 1)):
        repeated = np.tile(constant, (rows.stop - rows.start, 1))
        of_rows[rows] = outputs.loss.of_rows(y[rows], repeated)
    return of_rows
