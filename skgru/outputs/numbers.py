"""Outputs that mean numbers: the mean or median of a target, or several of its quantiles."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from sklearn.utils import check_array
from sklearn.utils.validation import column_or_1d

from skgru.losses import REGRESSION_LOSSES, Elementwise, Loss, Pinball
from skgru.outputs.base import Outputs
from skgru.sequences import numbers, read, short


@dataclass(frozen=True, eq=False)
class Numbers(Outputs):
    """Numbers, each the inverse link of an output.

    Parameters
    ----------
    n_targets : int
    loss_name : str
        Key of `REGRESSION_LOSSES`.
    """

    n_targets: int
    loss_name: str
    kind: ClassVar[str] = "numbers"

    @cached_property
    def loss(self) -> Elementwise:
        """Loss of this name."""
        return Elementwise(REGRESSION_LOSSES[self.loss_name]())

    @property
    def n_outputs(self) -> int:
        """Number of targets."""
        return self.n_targets

    @property
    def settings(self) -> dict[str, Any]:
        """The loss."""
        return {"loss": self.loss_name}

    def encode(self, y: np.ndarray, dtype: DTypeLike, caller: str) -> np.ndarray:
        """Convert the numbers, and check that the loss is defined for them."""
        y = encode_numbers(y, self.n_targets, dtype)
        self.loss.check_targets(y, self.loss_name)
        return y

    def predict(self, outputs: np.ndarray) -> np.ndarray:
        """Apply the inverse link; drop the last axis of a single target."""
        predictions = self.loss.predictions(outputs)
        return predictions if self.n_targets > 1 else predictions[..., 0]

    def score(self, y: np.ndarray, predictions: np.ndarray, weights: np.ndarray | None) -> float:
        """Return R²."""
        from sklearn.metrics import r2_score  # at the top, it would slow `import skgru` down

        return float(r2_score(numbers(y, "y"), predictions, sample_weight=weights))


@dataclass(frozen=True, eq=False)
class Quantiles(Outputs):
    """Several quantiles of each target.

    Parameters
    ----------
    n_targets : int
    quantiles : tuple of float
    """

    n_targets: int
    quantiles: tuple[float, ...]
    kind: ClassVar[str] = "quantiles"

    @classmethod
    def of(cls, n_targets: int, quantiles: ArrayLike) -> Self:
        """Check the quantiles."""
        given = read(quantiles, "quantiles")
        given = numbers(given, "quantiles") if isinstance(given, np.ndarray) else np.empty(0)
        if given.ndim != 1 or not len(given) or not ((given > 0) & (given < 1)).all():
            raise ValueError(
                f"quantiles must be one or more numbers between 0 and 1, got {short(quantiles)}."
            )
        return cls(n_targets, tuple(given.tolist()))

    @cached_property
    def loss(self) -> Loss:
        """Mean of the pinball losses."""
        return Pinball(self.quantiles)

    @property
    def n_outputs(self) -> int:
        """Number of targets times that of quantiles."""
        return self.n_targets * len(self.quantiles)

    @property
    def settings(self) -> dict[str, Any]:
        """The loss and the quantiles."""
        return {"loss": "quantile", "quantiles": self.quantiles}

    @property
    def ranks(self) -> np.ndarray:
        """Position of each quantile among the sorted ones."""
        return np.argsort(self.quantiles).argsort()

    def encode(self, y: np.ndarray, dtype: DTypeLike, caller: str) -> np.ndarray:
        """Convert the numbers."""
        return encode_numbers(y, self.n_targets, dtype)

    def predict(self, outputs: np.ndarray) -> np.ndarray:
        """Return the quantiles of each target in their order, and never crossing.

        Sorted, estimated quantiles are no further from the true ones (Chernozhukov et al. 2010).
        """
        shape = (*outputs.shape[:-1], self.n_targets, len(self.quantiles))
        predictions = np.sort(outputs.reshape(shape), axis=-1)[..., self.ranks]
        if len(self.quantiles) == 1:
            predictions = predictions[..., 0]
            return predictions if self.n_targets > 1 else predictions[..., 0]
        return predictions if self.n_targets > 1 else predictions[..., 0, :]

    def score(self, y: np.ndarray, predictions: np.ndarray, weights: np.ndarray | None) -> float:
        """Return D², the share of the pinball loss explained, as mean over the quantiles."""
        from sklearn.metrics import d2_pinball_score  # as above

        y = numbers(y, "y").reshape(len(y), -1)
        predictions = predictions.reshape(len(y), y.shape[1], -1)
        scores = [
            d2_pinball_score(y, predictions[:, :, i], alpha=quantile, sample_weight=weights)
            for i, quantile in enumerate(self.quantiles)
        ]
        return float(np.mean(scores))


def learn_numbers(y: np.ndarray, loss: str, quantiles: ArrayLike) -> Numbers | Quantiles:
    """Count the targets of y.

    Parameters
    ----------
    y : ndarray of shape (n_rows, n_targets)
        Checked by `check_numbers`.
    loss : str
    quantiles : sequence of float
        Of ``loss="quantile"``.

    Raises
    ------
    ValueError
        If the loss is not defined for y, or for predictions of its mean.
    """
    if loss == "quantile":
        return Quantiles.of(y.shape[1], quantiles)
    outputs = Numbers(y.shape[1], loss)
    outputs.loss.check_targets(y, loss)
    outputs.loss.check_mean(y, loss)
    return outputs


def encode_numbers(y: np.ndarray, n_targets: int, dtype: DTypeLike) -> np.ndarray:
    """Convert checked numbers to the dtype of the network.

    Raises
    ------
    ValueError
        If there are other targets than these, or a number is too large for the dtype.
    """
    if y.shape[1] != n_targets:
        raise ValueError(f"y has {y.shape[1]} outputs, the fitted model has {n_targets}.")
    with np.errstate(over="ignore"):
        y = y.astype(dtype)
    if not np.isfinite(y).all():
        raise ValueError(f"Input y contains a value too large for {np.dtype(dtype)}.")
    return y


def check_numbers(y: ArrayLike, caller: str) -> np.ndarray:
    """Validate numbers.

    Parameters
    ----------
    y : array-like of shape (n_rows,) or (n_rows, n_targets)
    caller : str
        Name of the estimator, for messages.

    Returns
    -------
    ndarray of shape (n_rows, n_targets), float64

    Raises
    ------
    ValueError
        If y has another shape, or holds anything but finite numbers.
    """
    if isinstance(y, np.ndarray):
        y = numbers(y, "y")
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
        y = check_array(
            y,
            ensure_2d=False,
            allow_nd=True,
            dtype=np.float64,
            input_name="y",
            estimator=caller,
        )
    if y.ndim > 2:
        raise ValueError(
            f"y has {y.ndim} dimensions (shape {y.shape}); expected one or two. For numbers of "
            "every time step, set return_sequences=True."
        )
    if y.ndim != 2 or y.shape[1] == 1:
        y = column_or_1d(y, warn=True)[:, np.newaxis]
    return y
