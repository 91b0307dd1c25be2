"""Loss at the outputs: scikit-learn's definitions, over a matrix of outputs."""

import numpy as np
from sklearn._loss.loss import BaseLoss, HalfBinomialLoss, HalfMultinomialLoss, HalfSquaredError

REGRESSION_LOSSES = {"squared_error": HalfSquaredError}


def log_loss(n_classes: int) -> BaseLoss:
    """Cross-entropy of one logit for two classes, of a logit each for more."""
    return HalfBinomialLoss() if n_classes == 2 else HalfMultinomialLoss(n_classes=n_classes)


def value_and_gradient(
    loss: BaseLoss, y: np.ndarray, outputs: np.ndarray, weights: np.ndarray
) -> tuple[float, np.ndarray]:
    """Weighted sum of the losses of samples, and its gradient.

    Parameters
    ----------
    loss : BaseLoss
        A multiclass one takes each row of outputs as one prediction; any other takes each output
        on its own, and the loss of a sample is their mean.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        In the dtype of the outputs; classes as 0, 1, ….
    outputs : ndarray of shape (n_samples, n_outputs), C-contiguous
    weights : ndarray of shape (n_samples,)

    Returns
    -------
    value : float
    gradient : ndarray of shape (n_samples, n_outputs)
    """
    if loss.is_multiclass:
        values, gradient = loss.loss_gradient(y, outputs, weights)
    else:
        n_outputs = outputs.shape[1]
        values, gradient = loss.loss_gradient(
            y.ravel(), outputs.ravel(), np.repeat(weights / n_outputs, n_outputs)
        )
    return float(values.sum(dtype=np.float64)), gradient.reshape(outputs.shape)
