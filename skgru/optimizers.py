"""Updates of the flat parameter vector, and the schedules of their learning rate."""

from math import sqrt

import numpy as np

from skgru.kernels import kernels_for


class SGD:
    """Stochastic gradient descent with (Nesterov) momentum, Sutskever et al. 2013.

    Parameters
    ----------
    parameters : ndarray of shape (n_parameters,)
        What will be updated; gives the size and dtype of the state.
    momentum : float in [0, 1]
    nesterovs_momentum : bool
    """

    def __init__(self, parameters: np.ndarray, momentum: float, nesterovs_momentum: bool):
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.velocity = np.zeros_like(parameters)

    def update(
        self, parameters: np.ndarray, gradient: np.ndarray, scale: float, learning_rate: float
    ) -> None:
        """Change the parameters in place, by `scale` times the gradient."""
        kernels_for(parameters.dtype).sgd(
            parameters,
            gradient,
            self.velocity,
            scale * learning_rate,
            self.momentum,
            self.nesterovs_momentum,
        )


class Adam:
    """Adaptive moment estimation, Kingma & Ba 2015 (arXiv:1412.6980).

    Parameters
    ----------
    parameters : ndarray of shape (n_parameters,)
        What will be updated; gives the size and dtype of the state.
    beta_1, beta_2 : float in [0, 1)
        Decay of the first and second moment estimates.
    epsilon : float
        Added to the root of the second moment.
    """

    def __init__(self, parameters: np.ndarray, beta_1: float, beta_2: float, epsilon: float):
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_updates = 0
        self.mean = np.zeros_like(parameters)
        self.variance = np.zeros_like(parameters)

    def update(
        self, parameters: np.ndarray, gradient: np.ndarray, scale: float, learning_rate: float
    ) -> None:
        """Change the parameters in place, by `scale` times the gradient."""
        self.n_updates += 1
        # the bias corrections of both moments, as one factor of the step
        step = learning_rate * sqrt(1 - self.beta_2**self.n_updates)
        step /= 1 - self.beta_1**self.n_updates
        kernels_for(parameters.dtype).adam(
            parameters,
            gradient,
            self.mean,
            self.variance,
            scale,
            step,
            self.beta_1,
            self.beta_2,
            self.epsilon,
        )


class Constant:
    """One learning rate throughout.

    Attributes
    ----------
    learning_rate : float
        What the next update uses.
    """

    def __init__(self, learning_rate_init: float):
        self.learning_rate = learning_rate_init

    def end_epoch(self, n_samples_seen: int) -> None:
        """Set the learning rate of the next epoch."""

    def go_on(self) -> bool:
        """Answer whether to go on after a plateau, at another learning rate."""
        return False


class InverseScaling(Constant):
    """``learning_rate_init / n_samples_seen ** power_t``, set after each epoch."""

    def __init__(self, learning_rate_init: float, power_t: float):
        super().__init__(learning_rate_init)
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t

    def end_epoch(self, n_samples_seen: int) -> None:
        """Set the learning rate of the next epoch."""
        self.learning_rate = self.learning_rate_init / (n_samples_seen + 1) ** self.power_t


class Adaptive(Constant):
    """Divided by five at each plateau, until it falls below 1e-6."""

    def go_on(self) -> bool:
        """Answer whether to go on after a plateau, at another learning rate."""
        if self.learning_rate <= 1e-6:
            return False
        self.learning_rate /= 5
        return True
