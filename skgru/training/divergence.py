"""A guard against divergence: the best weights so far, and when to return to them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skgru.exceptions import DivergenceWarning, warn_once
from skgru.training.objective import Objective

# A training loss so many times that of the untrained network, or of the best constant prediction,
# has diverged.
DIVERGED_LOSS = 3.0

# So has a gradient whose norm is so many times the median of all epochs before.
DIVERGED_NORM = 1e3

# Returns to the best weights, each at a tenth of the learning rate, before a fit ends.
MAX_RECOVERIES = 3
RECOVERY_RATE = 0.1

# Share of the progress of a fit, and of its lowest loss, that later epochs may lose.
TOLERATED_LOSS_OF_PROGRESS = 0.1


@dataclass
class Guard:
    """The epoch with the lowest training loss, and its weights.

    Losses are compared by their excess over the minimum that there can be.

    Parameters
    ----------
    objective : Objective
    reference : float
        Training loss of the best constant prediction.
    minimum : float
        Training loss of predictions that are all right.

    Attributes
    ----------
    n_recoveries : int
    """

    objective: Objective
    reference: float
    minimum: float = 0.0
    n_recoveries: int = 0
    _best_loss: float = np.inf
    _last_loss: float = np.inf
    _norms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reference -= self.minimum
        self._start = self.objective.network.parameters.copy()
        self._candidates = [self._start]

    def state(self) -> dict[str, Any]:
        """Return plain values of the epochs so far."""
        return {name: value for name, value in vars(self).items() if name != "objective"}

    def resume(self, state: dict[str, Any]) -> None:
        """Continue after the epochs of a state."""
        vars(self).update(state)

    def diverged(self, first_value: float, loss: float, norm: float) -> bool:
        """Take an epoch that has just ended; return whether it diverged.

        Parameters
        ----------
        first_value : float
            Loss of its first minibatch.
        loss, norm : float
            Mean loss and mean norm of the gradient.
        """
        loss -= self.minimum
        if not self._norms:
            self.reference = max(self.reference, first_value - self.minimum)
        if not (np.isfinite(loss) and np.isfinite(norm)):
            return True
        explodes = (
            len(self._norms) > 1
            and self._lost_progress(loss, self._best_loss)
            and norm > DIVERGED_NORM * np.median(self._norms)
        )
        if explodes or loss > DIVERGED_LOSS * self.reference:
            return True
        self._norms.append(norm)
        self._last_loss = loss
        end = self.objective.network.parameters.copy()
        if loss < self._best_loss:
            # the mean over the epoch lies between its first weights and its last
            self._best_loss, self._candidates = loss, [end, self._start]
        self._start = end
        return False

    def restore(self) -> None:
        """Return to the best weights."""
        self._choose(self._candidates)

    def keep_the_best(self) -> bool:
        """Keep the last weights, unless those of the best epoch have a lower training loss.

        Returns
        -------
        bool
            Whether the last weights were much worse.
        """
        if self._last_loss <= self._best_loss:
            return False
        losses = self._choose([self.objective.network.parameters.copy(), *self._candidates])
        return self._lost_progress(losses[0] - self.minimum, min(losses) - self.minimum)

    def _choose(self, candidates: list[np.ndarray]) -> list[float]:
        """Set the parameters to the candidate with the lowest training loss; return all losses."""
        parameters, losses = self.objective.network.parameters, []
        for candidate in candidates:
            parameters[:] = candidate
            losses.append(self.objective.loss_without_dropout())
        if np.isfinite(losses).any():
            parameters[:] = candidates[int(np.nanargmin(losses))]
        else:
            parameters[:] = candidates[-1]
        self._start = parameters.copy()
        return losses

    def _lost_progress(self, loss: float, best: float) -> bool:
        tolerated = TOLERATED_LOSS_OF_PROGRESS * max(self.reference - best, best, 0)
        return loss > best + tolerated

    @property
    def can_recover(self) -> bool:
        """Whether another return at a lower learning rate is worth a try."""
        return self.n_recoveries < MAX_RECOVERIES


def warn_of_divergence(ended: str) -> None:
    """Warn that a fit returned to earlier weights.

    Parameters
    ----------
    ended : str
        What was done.
    """
    warn_once(
        f"Training diverged: its loss rose far above its minimum (see loss_curve_). {ended} Lower "
        "learning_rate_init, scale X (and y) to unit variance, or lower max_grad_norm.",
        DivergenceWarning,
    )
