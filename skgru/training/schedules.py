"""Schedules of the learning rate. A new one is a class and a line in `SCHEDULES`."""

from dataclasses import dataclass
from math import cos, pi
from typing import Any, Self


@dataclass
class Schedule:
    """Learning rate of each update, after a linear warm-up (Goyal et al. 2017).

    Parameters
    ----------
    learning_rate_init : float
    warmup_updates : int
        Updates of the warm-up.
    learning_rate : float, default=None
        That of an update after the warm-up; None is `learning_rate_init`.
    n_updates : int, default=0
        Updates so far.
    """

    learning_rate_init: float
    warmup_updates: int
    learning_rate: float | None = None
    n_updates: int = 0

    def __post_init__(self):
        if self.learning_rate is None:
            self.learning_rate = self.learning_rate_init

    @classmethod
    def from_settings(cls, settings: Any, n_updates_planned: int) -> Self:
        """Make the schedule of an estimator's parameters and a planned number of updates."""
        return cls(settings.learning_rate_init, settings.warmup_updates)

    def next(self) -> float:
        """Return the learning rate of the next update."""
        self.n_updates += 1
        if self.n_updates < self.warmup_updates:
            return self.learning_rate * self.n_updates / self.warmup_updates
        return self.learning_rate

    def end_epoch(self, n_samples_seen: int) -> None:
        """Set the learning rate of the next epoch."""

    def continues_after_plateau(self) -> bool:
        """Return whether to continue after a plateau, at another learning rate."""
        return False


@dataclass
class Constant(Schedule):
    """One learning rate throughout."""


@dataclass
class Cosine(Schedule):
    """Half a cosine wave down to zero over a number of updates (Loshchilov & Hutter 2017).

    Parameters
    ----------
    n_updates_planned : int
        All updates, those of the warm-up among them.
    """

    n_updates_planned: int = 1

    @classmethod
    def from_settings(cls, settings: Any, n_updates_planned: int) -> Self:
        """Make the schedule of an estimator's parameters and a planned number of updates."""
        return cls(
            settings.learning_rate_init,
            settings.warmup_updates,
            n_updates_planned=n_updates_planned,
        )

    def next(self) -> float:
        """Return the learning rate of the next update."""
        n_updates = self.n_updates_planned - self.warmup_updates
        done = min(max(self.n_updates - self.warmup_updates, 0) / max(n_updates, 1), 1.0)
        self.learning_rate = self.learning_rate_init * (1 + cos(pi * done)) / 2
        return super().next()


@dataclass
class InverseScaling(Schedule):
    """``learning_rate_init / n_samples_seen ** power_t``, set after each epoch."""

    power_t: float = 0.5

    @classmethod
    def from_settings(cls, settings: Any, n_updates_planned: int) -> Self:
        """Make the schedule of an estimator's parameters."""
        return cls(settings.learning_rate_init, settings.warmup_updates, power_t=settings.power_t)

    def end_epoch(self, n_samples_seen: int) -> None:
        """Set the learning rate of the next epoch."""
        self.learning_rate = self.learning_rate_init / (n_samples_seen + 1) ** self.power_t


@dataclass
class Adaptive(Schedule):
    """Divided by five at each plateau, until it falls below 1e-6."""

    def continues_after_plateau(self) -> bool:
        """Return whether to continue after a plateau, at another learning rate."""
        if self.learning_rate <= 1e-6:
            return False
        self.learning_rate /= 5
        return True


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "cosine": Cosine,
    "invscaling": InverseScaling,
    "adaptive": Adaptive,
}
