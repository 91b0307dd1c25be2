"""Schedules of the learning rate. A new one is a class and a line in `SCHEDULES`."""

from dataclasses import dataclass
from math import cos, inf, pi
from typing import Any, ClassVar, Self


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

    needs_plan: ClassVar[bool] = False  # whether it has to know the number of updates

    def __post_init__(self) -> None:
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

    def resume(self, n_samples_seen: int) -> None:
        """Go on after a change of parameters, or where another schedule stood."""

    def continues_after_plateau(self) -> bool:
        """Return whether to continue after a plateau, at another learning rate."""
        return False

    @property
    def finished(self) -> bool:
        """Whether the schedule has come to its end."""
        return False

    def scale(self, factor: float) -> None:
        """Multiply all learning rates to come."""
        self.learning_rate_init *= factor
        self.learning_rate *= factor


@dataclass
class Constant(Schedule):
    """One learning rate throughout."""


# After a plateau, "cosine" comes to its end over so large a share of the updates so far.
COOLDOWN = 0.2


@dataclass
class Cosine(Schedule):
    """Half a cosine wave down to zero (Loshchilov & Hutter 2017).

    The wave is as long as the planned number of updates. A plateau of the loss shortens it: what
    is left of the wave then passes in a fifth of the updates so far.

    Parameters
    ----------
    n_updates_planned : int
        All updates, those of the warm-up among them.
    cooldown_from : int, default=None
        Number of updates after which a plateau shortened the wave.
    """

    needs_plan: ClassVar[bool] = True

    n_updates_planned: int = 1
    cooldown_from: int | None = None

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
        done = self._done(self.n_updates)
        if self.cooldown_from is not None:
            before = self._done(self.cooldown_from)
            passed = (self.n_updates - self.cooldown_from) / self._cooldown
            done = before + (1 - before) * min(passed, 1.0)
        self.learning_rate: float = self.learning_rate_init * (1 + cos(pi * done)) / 2
        return super().next()

    def _done(self, n_updates: int) -> float:
        """Return the share of the wave that has passed after so many updates, as planned."""
        length = self.n_updates_planned - self.warmup_updates
        return min(max(n_updates - self.warmup_updates, 0) / max(length, 1), 1.0)

    def continues_after_plateau(self) -> bool:
        """Shorten the wave, once."""
        if self.cooldown_from is None:
            self.cooldown_from = self.n_updates
        return True

    @property
    def _cooldown(self) -> float:
        """Number of updates that a shortened wave takes to its end."""
        left = self.n_updates_planned - self.cooldown_from
        return max(min(COOLDOWN * self.cooldown_from, left), 1)

    @property
    def finished(self) -> bool:
        """Whether a shortened wave has come to its end."""
        if self.cooldown_from is None:
            return False
        return self.n_updates >= self.cooldown_from + self._cooldown


# Share of the initial learning rate at which "invscaling" ends: float32 has no lower numbers.
VANISHED = 1e-38


@dataclass
class InverseScaling(Schedule):
    """``learning_rate_init / n_samples_seen ** power_t``, set after each epoch."""

    power_t: float = 0.5

    @classmethod
    def from_settings(cls, settings: Any, n_updates_planned: int) -> Self:
        """Make the schedule of an estimator's parameters."""
        return cls(settings.learning_rate_init, settings.warmup_updates, power_t=settings.power_t)

    def end_epoch(self, n_samples_seen: int) -> None:
        """Set the learning rate of the next epoch.

        Raises
        ------
        ValueError
            If the first epoch makes it so low that no update changes anything.
        """
        first = self.learning_rate == self.learning_rate_init
        try:
            divisor = float(n_samples_seen + 1) ** self.power_t
        except OverflowError:
            divisor = inf
        self.learning_rate = self.learning_rate_init / divisor
        if first and self.finished:
            raise ValueError(
                f"power_t={self.power_t:g} divides the learning rate by {n_samples_seen + 1}**"
                f"{self.power_t:g} after {n_samples_seen} samples, which leaves nothing of it. "
                "Choose a lower power_t, such as 0.5."
            )

    def resume(self, n_samples_seen: int) -> None:
        """Go on after a change of parameters, or where another schedule stood."""
        self.learning_rate = self.learning_rate_init
        if n_samples_seen:
            self.end_epoch(n_samples_seen)

    @property
    def finished(self) -> bool:
        """Whether the learning rate has become so low that no update changes anything."""
        return self.learning_rate / self.learning_rate_init < VANISHED


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
