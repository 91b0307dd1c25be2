"""Minibatch epochs with clipping, early stopping, and a guard against divergence."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Self

import numpy as np
from sklearn.utils import gen_batches

from skgru.training.callbacks import FitTasks
from skgru.training.diagnostics import SETTLED_EPOCHS, warn_if_clipped, warn_if_vanished
from skgru.training.divergence import RECOVERY_RATE, Guard, warn_of_divergence
from skgru.training.history import History, Patience
from skgru.training.objective import Objective, check_finite, quiet_overflow
from skgru.training.optimizers import OPTIMIZERS, Adam, Optimizer
from skgru.training.schedules import SCHEDULES, Schedule
from skgru.training.validation import Validation

# Updates over which the loss is averaged before progress is judged; an epoch, if it has more.
SMOOTHING = 100

BIT_GENERATORS = {
    cls.__name__: cls
    for cls in (
        np.random.MT19937,
        np.random.PCG64,
        np.random.PCG64DXSM,
        np.random.Philox,
        np.random.SFC64,
    )
}


@dataclass
class Solver:
    """State of a stochastic solver that lives on from one epoch to the next.

    Attributes
    ----------
    optimizer : Optimizer
    schedule : Schedule
    patience : Patience
    random_state : RandomState
        Draws minibatches and masks of dropout.
    recent_losses : list of float
        Of the last minibatches.
    settings : dict or None
        Parameters of the estimator that it follows, those that are plain values; None if an
        earlier version saved it.
    """

    optimizer: Optimizer
    schedule: Schedule
    patience: Patience
    random_state: np.random.RandomState
    recent_losses: list[float] = field(default_factory=list)
    settings: dict[str, Any] | None = None

    def take_changes(self, before: Self, now: Self) -> None:
        """Take over what differs between two new solvers, of parameters before and after a change.

        An optimizer or a schedule of another class begins with a new state, but for the warm-up,
        which is not repeated. Otherwise the state stays, and fields that are parameters change.
        """
        if type(now.optimizer) is not type(before.optimizer):
            self.optimizer = now.optimizer
        elif isinstance(now.optimizer, Adam):
            self.optimizer.keep_estimates(now.optimizer.beta_1, now.optimizer.beta_2)
        _take_fields(self.optimizer, before.optimizer, now.optimizer)
        if type(now.schedule) is not type(before.schedule):
            now.schedule.n_updates = self.schedule.n_updates
            self.schedule = now.schedule
        else:
            share = self.schedule.learning_rate / self.schedule.learning_rate_init
            _take_fields(self.schedule, before.schedule, now.schedule)
            if now.schedule.learning_rate_init != before.schedule.learning_rate_init:
                self.schedule.learning_rate = self.schedule.learning_rate_init * share
        _take_fields(self.patience, before.patience, now.patience)

    def state(self) -> dict[str, Any]:
        """Return plain values, from which `from_state` makes an equal solver."""
        return {
            "optimizer": {"kind": _key(OPTIMIZERS, self.optimizer), **vars(self.optimizer)},
            "schedule": {"kind": _key(SCHEDULES, self.schedule), **vars(self.schedule)},
            "patience": dict(vars(self.patience)),
            "random_state": self.random_state.get_state(legacy=False),
            "recent_losses": self.recent_losses,
            "settings": self.settings,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Make a solver of what `state` returned."""
        optimizer, schedule = dict(state["optimizer"]), dict(state["schedule"])
        # arrays of a memory-mapped file must not be written to
        optimizer = {
            name: np.array(value) if isinstance(value, np.ndarray) else value
            for name, value in optimizer.items()
        }
        random_state = np.random.RandomState(
            BIT_GENERATORS[state["random_state"]["bit_generator"]]()
        )
        random_state.set_state(state["random_state"])
        return cls(
            OPTIMIZERS[optimizer.pop("kind")](**optimizer),
            SCHEDULES[schedule.pop("kind")](**schedule),
            Patience(**state["patience"]),
            random_state,
            state["recent_losses"],
            state.get("settings"),
        )


def _take_fields(current: Any, before: Any, now: Any) -> None:
    """Set the fields of a dataclass in which two others of its class differ."""
    if type(now) is type(before):
        for name, value in vars(now).items():
            if not np.array_equal(value, vars(before)[name]):
                setattr(current, name, value)


def _key(classes: dict[str, type], instance: Any) -> str:
    return next(name for name, cls in classes.items() if cls is type(instance))


@dataclass
class StochasticFit:
    """Epochs of minibatch updates, in place, until the loss no longer falls.

    Attributes
    ----------
    objective : Objective
    solver : Solver
    history : History
        Grows by one entry per epoch.
    batch_size : int
        Sequences of a minibatch.
    by_window : bool
        Whether to update after every window of a minibatch, and not once after all of them.
    max_grad_norm : float or None
        Gradients of a larger L2 norm are scaled down to it (Pascanu et al. 2013).
    shuffle : bool
    verbose : bool
    tasks : FitTasks
        Called after every epoch; may stop the training.
    new_optimizer : callable
        Makes an optimizer without memory, to continue with after a divergence.
    validation : Validation or None
        With it, training stops when its score no longer rises if it `stops`, and the best
        parameters are restored.
    guard : Guard or None
        Returns to the best weights after a divergence.
    stopped_by_user : bool
        Whether an interrupt or a callback ended the fit.
    """

    objective: Objective
    solver: Solver
    history: History
    batch_size: int
    by_window: bool
    max_grad_norm: float | None
    shuffle: bool
    verbose: bool
    tasks: FitTasks
    new_optimizer: Callable[[], Optimizer]
    validation: Validation | None = None
    guard: Guard | None = None

    def __post_init__(self) -> None:
        self.n_epochs: int = 0
        self._finished = False
        self._clipped: list[bool] = []
        self.stopped_by_user: bool = False

    def state(self) -> dict[str, Any]:
        """Return plain values of the epochs so far, with which `resume` continues them.

        Those of network, solver and history are saved by themselves.
        """
        return {
            "n_epochs": self.n_epochs,
            "finished": self._finished,
            "clipped": self._clipped,
            "validation": self.validation and self.validation.state(),
            "guard": self.guard and self.guard.state(),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Continue after the epochs of a state."""
        self.n_epochs, self._finished = state["n_epochs"], state["finished"]
        self._clipped = state["clipped"]
        for part in ("validation", "guard"):
            if state[part] is not None:
                getattr(self, part).resume(state[part])

    @quiet_overflow
    def run(self, max_iter: int) -> bool:
        """Train for at most so many epochs.

        Returns
        -------
        bool
            Whether training ended by itself or by the user, and not at `max_iter`.

        Raises
        ------
        ValueError
            If the loss, the gradient or the parameters are no longer finite.

        Warns
        -----
        DivergenceWarning
            If training diverged and returned to earlier weights.
        GradientWarning
            If most updates were clipped to the end, or the gradient vanishes.
        """
        try:
            while self.n_epochs < max_iter and not self._finished:
                self._run_epoch()
                if self.tasks.end(self.n_epochs):
                    self._finished = self.stopped_by_user = True
        except KeyboardInterrupt:
            self._finished = self.stopped_by_user = True
            warnings.warn("Training interrupted by user.", stacklevel=1)
        self._choose_weights()
        if max_iter > 1:  # a single epoch, as of partial_fit, is too early to judge
            if max_iter >= SETTLED_EPOCHS:
                warn_if_clipped(self._clipped, self.history.grad_norm_curve, self.max_grad_norm)
            warn_if_vanished(self.objective)
        return self._finished

    def _run_epoch(self) -> None:
        """Train for one epoch, and decide whether it is the last."""
        solver, history = self.solver, self.history
        self.tasks.begin()
        samples = self.objective.samples
        if self.shuffle:
            samples = solver.random_state.permutation(samples)
        first_value = self._update(samples)
        loss, norm = history.loss_curve[-1], history.grad_norm_curve[-1]
        if self.verbose:
            print(f"Epoch {len(history.loss_curve)}, loss = {loss:.8f}")
        diverged = self.guard is not None and self.guard.diverged(first_value, loss, norm)
        if diverged:
            self._recover()
        watched = float(np.mean(solver.recent_losses)) if solver.recent_losses else np.inf
        if self.validation is not None:
            score = self.validation.update()
            history.validation_scores.append(score)
            if self.verbose:
                print(f"Validation score: {score:.6f}")
            if self.validation.stops:
                watched = -score
        solver.schedule.end_epoch(history.n_samples_seen)
        self._finished = self._is_last(watched, diverged)
        self.n_epochs += 1

    def _is_last(self, watched: float, diverged: bool) -> bool:
        """Return whether training ends after an epoch of this loss, or score with its sign."""
        solver = self.solver
        if diverged:
            return not self.guard.can_recover
        if solver.schedule.finished:
            return True
        plateau = solver.patience.exhausted(watched, solver.schedule.n_updates)
        if not plateau or solver.schedule.continues_after_plateau():
            return False
        if self.verbose:
            what = "Validation score" if self.validation and self.validation.stops else "Loss"
            print(
                f"{what} did not improve by tol={solver.patience.tol} for more than "
                f"{solver.patience.n_iter_no_change} epochs. Stopping."
            )
        return True

    def _update(self, samples: np.ndarray) -> float:
        """Update the parameters in one epoch; return the loss before the first update."""
        solver, history = self.solver, self.history
        values, sizes, weighted, norms = [], 0, 0.0, []
        for size, value, gradient, norm in self._gradients(samples):
            values.append(value)
            weighted += value * size
            sizes += size
            norms.append(norm)
            if not (isfinite(value) and isfinite(norm)):
                if self.guard is None or not self.guard.can_recover:
                    check_finite(value, norm, f"epoch {len(history.loss_curve) + 1}")
                break
            clipped = self.max_grad_norm is not None and norm > self.max_grad_norm
            scale = self.max_grad_norm / norm if clipped else 1.0
            solver.optimizer.update(
                self.objective.network.parameters,
                gradient,
                scale,
                solver.schedule.next(),
                self.objective.segments,
            )
            self._clipped.append(clipped)
        solver.recent_losses = [*solver.recent_losses, *values][-max(len(values), SMOOTHING) :]
        history.n_samples_seen += len(samples)
        history.n_updates += len(values)
        history.loss_curve.append(weighted / sizes)
        history.grad_norm_curve.append(float(np.mean(norms)))
        return values[0]

    def _gradients(self, samples: np.ndarray) -> Iterator[tuple[int, float, np.ndarray, float]]:
        """Yield size, loss, gradient and its norm for each update, with the parameters of then."""
        for batch in gen_batches(len(samples), self.batch_size):
            if self.by_window:
                yield from self.objective.by_window(samples[batch])
            else:
                yield batch.stop - batch.start, *self.objective.minibatch(samples[batch])

    def _recover(self) -> None:
        """Return to the best weights, and lower the learning rate."""
        self.guard.n_recoveries += 1
        self.guard.restore()
        self.solver.optimizer = self.new_optimizer()
        self.solver.schedule.scale(RECOVERY_RATE)
        self.solver.recent_losses = []
        if self.verbose:
            print("Diverged. Back to the best weights, at a tenth of the learning rate.")

    def _choose_weights(self) -> None:
        """Keep the weights that validate best; do not keep weights that were ruined at the end."""
        if self.validation is not None and self.validation.stops:
            self.validation.restore()
        elif self.guard is not None:
            ruined = not np.isfinite(self.objective.network.parameters).all()
            if ruined:
                self.guard.restore()
            if ruined or self.guard.keep_the_best():
                warn_of_divergence("The weights of its best epoch were kept.")
        if self.guard is not None and self.guard.n_recoveries:
            losses, norms = self.history.loss_curve, self.history.grad_norm_curve
            if not np.isfinite(losses).any():
                check_finite(losses[-1], norms[-1], f"epoch {len(losses)}")
            warn_of_divergence("It continued from its best weights at a tenth of the rate.")
        # no loss has been computed with the parameters after the last update
        if not np.isfinite(self.objective.network.parameters).all():
            raise ValueError(
                "Training diverged: the last update made the weights infinite or NaN. Scale X "
                "(and y) to unit variance, or lower learning_rate_init."
            )
