"""What happened in each epoch, and when to stop for want of progress."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np


@dataclass
class History:
    """Curves over epochs (or L-BFGS iterations), over all calls that continue a model.

    Attributes
    ----------
    loss_curve : list of float
        Mean loss of each epoch with its penalty, before each update.
    grad_norm_curve : list of float
        Mean L2 norm of the gradients of each epoch, before clipping.
    validation_scores : list of float
    n_samples_seen : int
    n_updates : int
    """

    loss_curve: list[float] = field(default_factory=list)
    grad_norm_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    n_samples_seen: int = 0
    n_updates: int = 0

    def state(self) -> dict[str, Any]:
        """Return plain values, from which `from_state` makes an equal history."""
        return dict(vars(self))

    def restart(self) -> None:
        """Forget all but the validation scores."""
        vars(self).update(vars(History(validation_scores=self.validation_scores)))

    def attributes(self) -> dict[str, Any]:
        """Return the fitted attributes of an estimator that grow with each epoch."""
        losses, scores = self.loss_curve, self.validation_scores
        return {
            "n_iter_": len(losses),
            "n_updates_": self.n_updates,
            "t_": self.n_samples_seen,
            "loss_curve_": losses,
            "grad_norm_curve_": self.grad_norm_curve,
            "loss_": losses[-1] if losses else np.inf,
            "best_loss_": None if scores else min(losses, default=np.inf),
            "validation_scores_": scores or None,
            "best_validation_score_": max(scores, default=None),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Make a history of what `state` returned."""
        return cls(**state)


# Updates before which no fit is stopped by its loss: an epoch of a small training set is a few.
MIN_UPDATES = 1000


@dataclass
class Patience:
    """Count of the epochs in which a value, the lower the better, has not fallen by `tol`."""

    tol: float
    n_iter_no_change: int
    best: float = np.inf
    count: int = 0

    def exhausted(self, value: float, n_updates: int) -> bool:
        """Take the value of one more epoch; return True after too many without improvement.

        Parameters
        ----------
        value : float
        n_updates : int
            Updates so far: before `MIN_UPDATES` the answer is False.
        """
        self.count = self.count + 1 if value > self.best - self.tol else 0
        self.best = min(self.best, value)
        if self.count <= self.n_iter_no_change or n_updates < MIN_UPDATES:
            return False
        self.count = 0
        return True
