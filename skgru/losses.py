"""Losses: value and gradient at the outputs, inverse link, and the interval of valid targets.

scikit-learn's definitions, over a matrix of outputs. A new loss of numbers is a line in
`REGRESSION_LOSSES`: predictions, checks of y and every exporter follow from its link.
"""

from collections.abc import Callable, Sequence

import numpy as np

from skgru._sklearn import (
    AbsoluteError,
    BaseLoss,
    HalfBinomialLoss,
    HalfMultinomialLoss,
    HalfPoissonLoss,
    HalfSquaredError,
    HuberLoss,
    LogLink,
    PinballLoss,
)

# |y - prediction| at which Huber's loss turns from squared to absolute, for y of unit variance
HUBER_DELTA = 1.0

REGRESSION_LOSSES: dict[str, Callable[[], BaseLoss]] = {
    "squared_error": HalfSquaredError,
    "absolute_error": AbsoluteError,
    "huber": lambda: HuberLoss(delta=HUBER_DELTA),
    "poisson": HalfPoissonLoss,
}

# logarithm of about the highest number of float64
HIGHEST_LOG = 709.0

# name of scikit-learn's link: name of the function from outputs to predictions
INVERSE_LINKS = {"IdentityLink": "identity", "LogLink": "exp"}


class Multinomial:
    """Cross-entropy of one class out of several, with an output for each.

    Parameters
    ----------
    n_classes : int
    """

    def __init__(self, n_classes: int) -> None:
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

    def of_rows(self, y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """Return the loss of each row, of shape (n_rows,)."""
        return self._loss.loss(y[:, 0].copy(), outputs)

    def minimum(self, y: np.ndarray, weights: np.ndarray) -> float:
        """Return the mean loss of predictions that are all right and certain."""
        return 0.0

    def best_constant(self, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the outputs of the best constant prediction: logarithms of the class shares.

        Each class counts one sample more than it has, so that an absent one stays possible.
        """
        counts = np.bincount(y[:, 0].astype(np.intp), weights, minlength=self._loss.n_classes)
        counts += weights.mean()
        # shares have the same bits for any power of two in the weights; logarithms of counts do not
        logits = np.log(counts / counts.sum())
        return logits - logits.mean()


class Elementwise:
    """Loss of each output by itself; the loss of a row is their mean.

    Parameters
    ----------
    loss : BaseLoss

    Attributes
    ----------
    inverse_link : {"identity", "exp"}
        Name of the function from outputs to predictions.
    """

    def __init__(self, loss: BaseLoss) -> None:
        self._loss = loss

    def __call__(
        self, y: np.ndarray, outputs: np.ndarray, weights: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Return the weighted sum of the losses of rows, and its gradient.

        Parameters
        ----------
        y, outputs : ndarray of shape (n_rows, n_outputs)
        weights : ndarray of shape (n_rows,)

        Returns
        -------
        value : float
        gradient : ndarray of shape (n_rows, n_outputs)
        """
        n_outputs = outputs.shape[1]
        values, gradient = self._loss.loss_gradient(
            y.ravel(), outputs.ravel(), np.repeat(weights / n_outputs, n_outputs)
        )
        return float(values.sum(dtype=np.float64)), gradient.reshape(outputs.shape)

    def of_rows(self, y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """Return the loss of each row, of shape (n_rows,)."""
        return self._loss.loss(y.ravel(), outputs.ravel()).reshape(outputs.shape).mean(axis=1)

    def best_constant(self, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the outputs of the best constant prediction: of 0 and 1 the logits of the shares.

        Each of 0 and 1 counts one more sample than it has, so that an absent one stays possible.
        """
        if isinstance(self._loss, HalfBinomialLoss):
            ones = (weights * y.T).sum(axis=1) + weights.mean()
            total = weights.sum() + 2 * weights.mean()
            return np.log(ones / (total - ones))
        return np.array([self._loss.fit_intercept_only(column, weights) for column in y.T.copy()])

    def minimum(self, y: np.ndarray, weights: np.ndarray) -> float:
        """Return the mean loss of predictions that are all equal to y."""
        constants = self._loss.constant_to_optimal_zero(y.ravel()).reshape(y.shape)
        return -float(np.average(constants.mean(axis=1), weights=weights))

    @property
    def inverse_link(self) -> str:
        """Look up the function from outputs to predictions."""
        link = type(self._loss.link).__name__
        if link not in INVERSE_LINKS:
            raise NotImplementedError(f"no function from outputs to predictions for {link}")
        return INVERSE_LINKS[link]

    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        """Apply the inverse link; exponentials stay finite."""
        if isinstance(self._loss.link, LogLink):
            outputs = np.minimum(outputs, HIGHEST_LOG)
        return self._loss.link.inverse(outputs)

    def check_targets(self, y: np.ndarray, name: str) -> None:
        """Raise ValueError unless the loss is defined for every y."""
        if not self._loss.in_y_true_range(y):
            interval = self._loss.interval_y_true
            bound = ">=" if interval.low_inclusive else ">"
            raise ValueError(
                f"loss={name!r} needs y {bound} {interval.low:g}, got a minimum of {y.min():g}."
            )

    def check_mean(self, y: np.ndarray, name: str) -> None:
        """Raise ValueError unless the mean of each column of y can be predicted."""
        means = y.mean(axis=0)
        if not self._loss.in_y_pred_range(means):
            raise ValueError(
                f"loss={name!r} needs y with a mean above {self._loss.interval_y_pred.low:g}, got "
                f"{means.min():g}."
            )


class Pinball:
    """Pinball losses of several quantiles of each target; the loss of a row is their mean.

    Parameters
    ----------
    quantiles : sequence of float in (0, 1)
    """

    def __init__(self, quantiles: Sequence[float]) -> None:
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

    def of_rows(self, y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """Return the loss of each row, of shape (n_rows,)."""
        columns = outputs.reshape(-1, len(self._losses))
        values = [loss.loss(y.ravel(), columns[:, i].copy()) for i, loss in enumerate(self._losses)]
        return np.mean(values, axis=0).reshape(len(y), -1).mean(axis=1)

    def minimum(self, y: np.ndarray, weights: np.ndarray) -> float:
        """Return the mean loss of predictions that are all equal to y."""
        return 0.0

    def best_constant(self, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the quantiles of each target, in the order of the outputs."""
        quantiles = [
            loss.fit_intercept_only(column, weights)
            for column in y.T.copy()
            for loss in self._losses
        ]
        return np.array(quantiles)


Loss = Multinomial | Elementwise | Pinball


def log_loss(n_classes: int) -> Loss:
    """Return the cross-entropy of one logit for two classes, or of a logit for each of more."""
    return Elementwise(HalfBinomialLoss()) if n_classes == 2 else Multinomial(n_classes)
