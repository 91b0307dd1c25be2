"""Minibatch epochs with clipping and early stopping."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.utils import gen_batches

from skgru.training.callbacks import FitTasks
from skgru.training.diagnostics import SETTLED_EPOCHS, warn_if_clipped, warn_if_vanished
from skgru.training.history import History, Patience
from skgru.training.objective import Objective, check_finite, quiet_overflow
from skgru.training.optimizers import OPTIMIZERS, Optimizer
from skgru.training.schedules import SCHEDULES, Schedule

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
    """

    optimizer: Optimizer
    schedule: Schedule
    patience: Patience
    random_state: np.random.RandomState

    def state(self) -> dict[str, Any]:
        """Return plain values, from which `from_state` makes an equal solver."""
        return {
            "optimizer": {"kind": _key(OPTIMIZERS, self.optimizer), **vars(self.optimizer)},
            "schedule": {"kind": _key(SCHEDULES, self.schedule), **vars(self.schedule)},
            "patience": dict(vars(self.patience)),
            "random_state": self.random_state.get_state(legacy=False),
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
        )


def _key(classes: dict[str, type], instance: Any) -> str:
    return next(name for name, cls in classes.items() if cls is type(instance))


@quiet_overflow
def fit_stochastic(
    objective: Objective,
    solver: Solver,
    history: History,
    *,
    max_iter: int,
    batch_size: int,
    max_grad_norm: float | None,
    shuffle: bool,
    validation_score: Callable[[], float] | None,
    tasks: FitTasks,
    verbose: bool,
) -> bool:
    """Update the network's parameters in place, a minibatch at a time.

    Parameters
    ----------
    objective : Objective
    solver : Solver
    history : History
        Grows by one entry per epoch.
    max_iter : int
        Epochs.
    batch_size : int
        Sequences per update.
    max_grad_norm : float or None
        Gradients of a larger L2 norm are scaled down to it (Pascanu et al. 2013).
    shuffle : bool
    validation_score : callable or None
        Scores the network, higher is better. With it, training stops when the score no longer
        rises, and the best parameters are restored.
    tasks : FitTasks
        Called after every epoch; may stop the training.
    verbose : bool

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
    GradientWarning
        If most updates were clipped to the end, or the gradient vanishes.
    """
    parameters = objective.network.parameters
    best_score, best_parameters = -np.inf, None
    finished, clipped = False, []
    try:
        for _ in range(max_iter):
            tasks.begin()
            samples = objective.samples
            if shuffle:
                samples = solver.random_state.permutation(samples)
            clipped += _run_epoch(objective, samples, solver, history, batch_size, max_grad_norm)
            watched = history.loss_curve[-1]
            if verbose:
                print(f"Epoch {len(history.loss_curve)}, loss = {watched:.8f}")
            if validation_score is not None:
                score = validation_score()
                history.validation_scores.append(score)
                if verbose:
                    print(f"Validation score: {score:.6f}")
                if score > best_score:
                    best_score, best_parameters = score, parameters.copy()
                watched = -score
            solver.schedule.end_epoch(history.n_samples_seen)
            if tasks.end():
                finished = True
                break
            if solver.patience.exhausted(watched) and not solver.schedule.continues_after_plateau():
                finished = True
                if verbose:
                    print(
                        f"{'Loss' if validation_score is None else 'Validation score'} did not "
                        f"improve by tol={solver.patience.tol} for more than "
                        f"{solver.patience.n_iter_no_change} epochs. Stopping."
                    )
                break
    except KeyboardInterrupt:
        finished = True
        warnings.warn("Training interrupted by user.", stacklevel=2)
    if best_parameters is not None:
        parameters[:] = best_parameters
    # no loss has been computed with the parameters after the last update
    if not np.isfinite(parameters).all():
        raise ValueError(
            "Training diverged: the last update made the weights infinite or NaN. Scale X (and y) "
            "to unit variance, or lower learning_rate_init."
        )
    if max_iter > 1:  # a single epoch, as of partial_fit, is too early to judge
        if max_iter >= SETTLED_EPOCHS:
            warn_if_clipped(clipped, history.grad_norm_curve[-1], max_grad_norm)
        warn_if_vanished(objective)
    return finished


def _run_epoch(
    objective: Objective,
    samples: np.ndarray,
    solver: Solver,
    history: History,
    batch_size: int,
    max_grad_norm: float | None,
) -> list[bool]:
    """Update the parameters once a minibatch of these samples, in their order.

    Returns
    -------
    list of bool
        Which of the updates were clipped.
    """
    loss_sum, norms, all_clipped = 0.0, [], []
    for batch in gen_batches(len(samples), batch_size):
        value, gradient, norm = objective.minibatch(samples[batch])
        check_finite(value, norm, f"epoch {len(history.loss_curve) + 1}")
        clipped = max_grad_norm is not None and norm > max_grad_norm
        scale = max_grad_norm / norm if clipped else 1.0
        solver.optimizer.update(
            objective.network.parameters, gradient, scale, solver.schedule.next()
        )
        loss_sum += value * (batch.stop - batch.start)
        norms.append(norm)
        all_clipped.append(clipped)
    history.n_samples_seen += len(samples)
    history.loss_curve.append(loss_sum / len(samples))
    history.grad_norm_curve.append(float(np.mean(norms)))
    return all_clipped
