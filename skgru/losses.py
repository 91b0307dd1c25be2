"""Loss at the outputs: scikit-learn's definitions, over a matrix of outputs."""

from collections.abc import Callable, Sequence

import numpy as np
from sklearn._loss.loss import (
    AbsoluteError,
    BaseLoss,
    HalfBinomialLoss,
    HalfMultinomialLoss,
    HalfPoissonLoss,
    HalfSquaredError,
    HuberLoss,
    PinballLoss,
)

# Of y - prediction: where Huber's loss goes over from squared to absolute, with y of unit variance.
HUBER_DELTA = 1.0

REGRESSION_LOSSES: dict[str, Callable[[], BaseLoss]] = {
    "squared_error": HalfSquaredError,
    "absolute_error": AbsoluteError,
    "huber": lambda: HuberLoss(delta=HUBER_DELTA),
    "poisson": HalfPoissonLoss,
}


class Multinomial:
    """Cross-entropy of one class out of several, with an output for each.

    Parameters
    ----------
    n_classes : int
    """

    def __init__(self, n_classes: int):
        self._loss = HalfMultinomialLoss(n_classes=n_classes)

    def __call__(
        self, y: np.ndarray, outputs: np.ndarray, weights: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Return the weighted sum of the losses of rows, and its gradient.

        Parameters
        ----------
        y : ndarray of shape (n_rows, 1)
            In the dtype of the outputs; classes as 0, 1, ….
        outputs : ndarray of shape (n_rows, n_classes), C-contiguous
        weights : ndarray of shape (n_rows,)

        Returns
        -------
        value : float
        gradient : ndarray of shape (n_rows, n_classes)
        """
        values, gradient = self._loss.loss_gradient(y[:, 0], outputs, weights)
        return float(values.sum(dtype=np.float64)), gradient


class Elementwise:
    """A loss of each output on its own; the loss of a row is their mean.

    Parameters
    ----------
    loss : BaseLoss
    """

    def __init__(self, loss: BaseLoss):
        self._loss = loss

    def __call__(
        self, y: np.ndarray, outputs: np.ndarray, weights: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Return the weighted sum of the losses of rows, and its gradient; y is as the outputs."""
        n_outputs = outputs.shape[1]
        values, gradient = self._loss.loss_gradient(
            y.ravel(), outputs.ravel(), np.repeat(weights / n_outputs, n_outputs)
        )
        return float(values.sum(dtype=np.float64)), gradient.reshape(outputs.shape)


class Quantiles:
    """Pinball losses of several quantiles of each target; the loss of a row is their mean.

    Parameters
    ----------
    quantiles : sequence of float in (0, 1)
    """

    def __init__(self, quantiles: Sequence[float]):
        self._losses = [PinballLoss(quantile=quantile) for quantile in quantiles]

    def __call__(
        self, y: np.ndarray, outputs: np.ndarray, weights: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Return the weighted sum of the losses of rows, and its gradient.

        Parameters
        ----------
        y : ndarray of shape (n_rows, n_targets)
        outputs : ndarray of shape (n_rows, n_targets * n_quantiles)
            All quantiles of the first target, then those of the second, and so on.
        weights : ndarray of shape (n_rows,)

        Returns
        -------
        value : float
        gradient : ndarray of shape (n_rows, n_targets * n_quantiles)
        """
        y, columns = y.ravel(), outputs.reshape(-1, len(self._losses))
        weights = np.repeat(weights / outputs.shape[1], outputs.shape[1] // len(self._losses))
        value, gradient = 0.0, np.empty_like(columns)
        for i, loss in enumerate(self._losses):
            values, gradient[:, i] = loss.loss_gradient(y, columns[:, i].copy(), weights)
            value += float(values.sum(dtype=np.float64))
        return value, gradient.reshape(outputs.shape)


Loss = Multinomial | Elementwise | Quantiles


def log_loss(n_classes: int) -> Loss:
    """Cross-entropy of one logit for two classes, of a logit each for more."""
    return Elementwise(HalfBinomialLoss()) if n_classes == 2 else Multinomial(n_classes)
