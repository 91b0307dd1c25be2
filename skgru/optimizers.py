"""Updates of the flat parameter vector, and the schedules of their learning rate."""

from math import cos, pi, sqrt

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


class AdamW(Adam):
    """Adam with weight decay of its own, Loshchilov & Hutter 2019 (arXiv:1711.05101).

    Parameters
    ----------
    parameters : ndarray of shape (n_parameters,)
    beta_1, beta_2, epsilon : float
        As in `Adam`.
    n_weights : int
        How many of the parameters, the first, decay.
    decay : float
        Share of a weight, times the learning rate, that an update takes away.
    """

    def __init__(
        self,
        parameters: np.ndarray,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        n_weights: int,
        decay: float,
    ):
        super().__init__(parameters, beta_1, beta_2, epsilon)
        self.n_weights = n_weights
        self.decay = decay

    def update(
        self, parameters: np.ndarray, gradient: np.ndarray, scale: float, learning_rate: float
    ) -> None:
        """Change the parameters in place, by `scale` times the gradient."""
        parameters[: self.n_weights] *= 1 - learning_rate * self.decay
        super().update(parameters, gradient, scale, learning_rate)


class Constant:
    """One learning rate throughout, but for a linear rise at the beginning.

    Parameters
    ----------
    learning_rate_init : float
    warmup_updates : int
        Updates of the rise (Goyal et al. 2017).

    Attributes
    ----------
    learning_rate : float
        That of an update after the rise.
    """

    def __init__(self, learning_rate_init: float, warmup_updates: int):
        self.learning_rate_init = self.learning_rate = learning_rate_init
        self.warmup_updates = warmup_updates
        self.n_updates = 0

    def next(self) -> float:
        """Learning rate of the next update."""
        self.n_updates += 1
        if self.n_updates < self.warmup_updates:
            return self.learning_rate * self.n_updates / self.warmup_updates
        return self.learning_rate

    def end_epoch(self, n_samples_seen: int) -> None:
        """Set the learning rate of the next epoch."""

    def go_on(self) -> bool:
        """Answer whether to go on after a plateau, at another learning rate."""
        return False


class Cosine(Constant):
    """Down to zero over a number of updates, as half a wave (Loshchilov & Hutter 2017).

    Parameters
    ----------
    learning_rate_init : float
    warmup_updates : int
    n_updates : int
        All there will be, those of the rise among them.
    """

    def __init__(self, learning_rate_init: float, warmup_updates: int, n_updates: int):
        super().__init__(learning_rate_init, warmup_updates)
        self.n_updates_to_come = n_updates

    def next(self) -> float:
        """Learning rate of the next update."""
        n_updates = self.n_updates_to_come - self.warmup_updates
        done = min(max(self.n_updates - self.warmup_updates, 0) / max(n_updates, 1), 1.0)
        self.learning_rate = self.learning_rate_init * (1 + cos(pi * done)) / 2
        return super().next()


class InverseScaling(Constant):
    """``learning_rate_init / n_samples_seen ** power_t``, set after each epoch."""

    def __init__(self, learning_rate_init: float, warmup_updates: int, power_t: float):
        super().__init__(learning_rate_init, warmup_updates)
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
