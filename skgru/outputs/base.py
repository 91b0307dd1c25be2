"""Interface of all kinds of outputs."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from skgru.losses import Loss


@dataclass(frozen=True, eq=False)
class Outputs:
    """Meaning of the outputs; see the subclasses.

    Attributes
    ----------
    loss : Loss
        What is minimized.
    n_outputs : int
        Number of outputs of the network.
    settings : dict
        Parameters of the estimator that a fitted model cannot change.
    """

    kind: ClassVar[str]
    loss: ClassVar[Loss]

    @property
    def n_outputs(self) -> int:
        """Number of outputs of the network."""
        raise NotImplementedError

    @property
    def settings(self) -> dict[str, Any]:
        """Parameters of the estimator that a fitted model cannot change."""
        return {}

    def encode(self, y: np.ndarray, dtype: DTypeLike, caller: str) -> np.ndarray:
        """Turn y into the numbers that the loss takes.

        Parameters
        ----------
        y : ndarray of shape (n_rows,) or (n_rows, k)
            Checked by `check_labels` or `check_numbers`.
        dtype : dtype
        caller : str
            Name of the estimator, for messages.

        Returns
        -------
        ndarray of shape (n_rows, k)

        Raises
        ------
        ValueError
            If y is not what the outputs were fitted to.
        """
        raise NotImplementedError

    def decode(self, numbers: np.ndarray) -> np.ndarray:
        """Invert `encode`."""
        return numbers

    def predict(self, outputs: np.ndarray) -> np.ndarray:
        """Turn outputs, of shape (..., n_outputs), into predictions."""
        raise NotImplementedError

    def score(self, y: np.ndarray, predictions: np.ndarray, weights: np.ndarray | None) -> float:
        """Score predictions; higher is better."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """Return plain values, from which `from_state` makes equal outputs."""
        return {"kind": self.kind, **{f.name: getattr(self, f.name) for f in fields(self)}}
