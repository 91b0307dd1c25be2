"""Updates of the flat parameter vector. A new optimizer is a class and a line in `OPTIMIZERS`."""

from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from skgru.kernels import kernels_for
from skgru.model.network import Network


class Optimizer(Protocol):
    """What training needs of an optimizer: a dataclass whose fields are all it remembers.

    Attributes
    ----------
    penalty_in_loss : bool
        Whether the penalty `alpha` belongs to the loss, and not to the update.
    """

    penalty_in_loss: ClassVar[bool]

    @classmethod
    def from_settings(cls, settings: Any, network: Network) -> Self:
        """Make the optimizer of an estimator's parameters, for the parameters of a network."""

    def update(
        self,
        parameters: np.ndarray,
        gradient: np.ndarray,
        scale: float,
        learning_rate: float,
        segments: np.ndarray,
    ) -> None:
        """Change the parameters in place, given `scale` times the gradient.

        The `segments`, (start, stop) of shape (n, 2), take part: outside of them lie the rows of
        categories that the minibatch lacks, and the gradient is undefined.
        """


@dataclass
class SGD:
    """Stochastic gradient descent with (Nesterov) momentum, Sutskever et al. 2013.

    Parameters
    ----------
    momentum : float in [0, 1]
    nesterovs_momentum : bool
    velocity : ndarray of shape (n_parameters,)
    """

    penalty_in_loss: ClassVar[bool] = True

    momentum: float
    nesterovs_momentum: bool
    velocity: np.ndarray

    @classmethod
    def from_settings(cls, settings: Any, network: Network) -> Self:
        """Make the optimizer of an estimator's parameters, for the parameters of a network."""
        velocity = np.zeros_like(network.parameters)
        return cls(settings.momentum, settings.nesterovs_momentum, velocity)

    def update(
        self,
        parameters: np.ndarray,
        gradient: np.ndarray,
        scale: float,
        learning_rate: float,
        segments: np.ndarray,
    ) -> None:
        """Change the parameters in place, given `scale` times the gradient."""
        kernels_for(parameters.dtype).sgd(
            parameters,
            gradient,
            segments,
            self.velocity,
            step=scale * learning_rate,
            momentum=self.momentum,
            nesterovs_momentum=self.nesterovs_momentum,
        )


@dataclass
class Adam:
    """Adaptive moment estimation, Kingma & Ba 2015 (arXiv:1412.6980).

    Parameters
    ----------
    beta_1, beta_2 : float in [0, 1)
        Decay of the first and second moment estimates.
    epsilon : float
        Added to the root of the second moment.
    mean, variance : ndarray of shape (n_parameters,)
        First and second moment estimates.
    n_updates : int, default=0
    """

    penalty_in_loss: ClassVar[bool] = True

    beta_1: float
    beta_2: float
    epsilon: float
    mean: np.ndarray
    variance: np.ndarray
    n_updates: int = 0

    @classmethod
    def from_settings(cls, settings: Any, network: Network) -> Self:
        """Make the optimizer of an estimator's parameters, for the parameters of a network."""
        mean, variance = np.zeros_like(network.parameters), np.zeros_like(network.parameters)
        return cls(settings.beta_1, settings.beta_2, settings.epsilon, mean, variance)

    def keep_estimates(self, beta_1: float, beta_2: float) -> None:
        """Rescale the moments for other decays, so that their corrected values stay the same."""
        moments = (self.mean, self.beta_1, beta_1), (self.variance, self.beta_2, beta_2)
        for moment, before, now in moments:
            if self.n_updates and now != before:
                moment *= (1 - now**self.n_updates) / (1 - before**self.n_updates)

    def update(
        self,
        parameters: np.ndarray,
        gradient: np.ndarray,
        scale: float,
        learning_rate: float,
        segments: np.ndarray,
    ) -> None:
        """Change the parameters in place, given `scale` times the gradient."""
        self.n_updates += 1
        # the bias corrections of both moments, as one factor of the step
        step = learning_rate * sqrt(1 - self.beta_2**self.n_updates)
        step /= 1 - self.beta_1**self.n_updates
        kernels_for(parameters.dtype).adam(
            parameters,
            gradient,
            segments,
            self.mean,
            self.variance,
            scale=scale,
            step=step,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )


@dataclass
class RMSProp(Adam):
    """Adam without the first moment, its bias correction kept (Tieleman & Hinton 2012)."""

    @classmethod
    def from_settings(cls, settings: Any, network: Network) -> Self:
        """Make the optimizer of an estimator's parameters, for the parameters of a network."""
        optimizer = super().from_settings(settings, network)
        optimizer.beta_1 = 0.0
        return optimizer


@dataclass
class AdamW(Adam):
    """Adam with decoupled weight decay, Loshchilov & Hutter 2019 (arXiv:1711.05101).

    Parameters
    ----------
    n_weights : int
        Number of parameters that decay: the first ones.
    decay : float
        Share of a weight, times the learning rate, that an update takes away.
    """

    penalty_in_loss: ClassVar[bool] = False

    n_weights: int = 0
    decay: float = 0.0

    @classmethod
    def from_settings(cls, settings: Any, network: Network) -> Self:
        """Make the optimizer of an estimator's parameters, for the parameters of a network."""
        optimizer = super().from_settings(settings, network)
        optimizer.n_weights, optimizer.decay = network.n_weights, settings.alpha
        return optimizer

    def update(
        self,
        parameters: np.ndarray,
        gradient: np.ndarray,
        scale: float,
        learning_rate: float,
        segments: np.ndarray,
    ) -> None:
        """Change the parameters in place, given `scale` times the gradient."""
        parameters[: self.n_weights] *= 1 - learning_rate * self.decay
        super().update(parameters, gradient, scale, learning_rate, segments)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adam": Adam,
    "adamw": AdamW,
    "sgd": SGD,
    "rmsprop": RMSProp,
}
