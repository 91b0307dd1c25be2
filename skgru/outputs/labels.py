"""Outputs that mean labels: one out of several, or several at once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from scipy.sparse import issparse
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from skgru._sklearn import HalfBinomialLoss
from skgru.losses import Elementwise, Loss, log_loss
from skgru.outputs.base import Outputs
from skgru.sequences import known_labels, missing_values, read, short

# logit of the highest probability that float64 tells apart from 1
HIGHEST_LOGIT = 36.0


@dataclass(frozen=True, eq=False)
class Labels(Outputs):
    """One label out of several: a logit of the second of two classes, or a logit for each.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted.
    """

    classes: np.ndarray
    kind: ClassVar[str] = "labels"

    @classmethod
    def of(cls, classes: np.ndarray, caller: str) -> Self:
        """Check that there are at least two classes."""
        if len(classes) < 2:
            raise ValueError(
                f"{caller} needs samples of at least 2 classes in y, got one class: "
                f"{short(classes.tolist())}."
            )
        return cls(classes)

    @cached_property
    def loss(self) -> Loss:
        """Cross-entropy."""
        return log_loss(len(self.classes))

    @property
    def n_outputs(self) -> int:
        """Number of logits."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    def encode(self, y: np.ndarray, dtype: DTypeLike, caller: str) -> np.ndarray:
        """Replace labels by the numbers of their classes, in a column."""
        unseen = y
        if _are_strings(y) == _are_strings(self.classes):
            codes = np.searchsorted(self.classes, y).clip(max=len(self.classes) - 1)
            unseen = y[self.classes[codes] != y]
        if len(unseen):
            raise ValueError(
                f"y has labels that are not in classes {short(self.classes)}: "
                f"{short(np.unique(unseen))}."
            )
        return codes.astype(dtype)[:, np.newaxis]

    def decode(self, numbers: np.ndarray) -> np.ndarray:
        """Look up the labels."""
        return self.classes[numbers[:, 0].astype(np.intp)]

    def predict(self, outputs: np.ndarray) -> np.ndarray:
        """Return the most probable label of each row."""
        if self.n_outputs == 1:
            return self.classes[(outputs[..., 0] > 0).astype(np.intp)]
        return self.classes[outputs.argmax(axis=-1)]

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Return the probability of each class, of shape (n_rows, n_classes)."""
        return self._apply(outputs, expit, softmax)

    def log_probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Return the logarithms of the probabilities, exact where these are tiny."""
        return self._apply(outputs, log_expit, log_softmax)

    def _apply(
        self,
        outputs: np.ndarray,
        of_two: Callable[..., np.ndarray],
        of_several: Callable[..., np.ndarray],
    ) -> np.ndarray:
        if self.n_outputs == 1:
            return of_two(np.concatenate([-outputs, outputs], axis=-1))
        return of_several(outputs, axis=-1)

    def score(self, y: np.ndarray, predictions: np.ndarray, weights: np.ndarray | None) -> float:
        """Return the accuracy."""
        return _accuracy(y, predictions, weights)


@dataclass(frozen=True, eq=False)
class Multilabel(Outputs):
    """Several labels, each 0 or 1, with a logit for each.

    Parameters
    ----------
    n_labels : int
    """

    n_labels: int
    kind: ClassVar[str] = "multilabel"

    @property
    def classes(self) -> np.ndarray:
        """Numbers of the labels."""
        return np.arange(self.n_labels)

    @cached_property
    def loss(self) -> Loss:
        """Mean of the cross-entropies."""
        return Elementwise(HalfBinomialLoss())

    @property
    def n_outputs(self) -> int:
        """Number of labels."""
        return self.n_labels

    def encode(self, y: np.ndarray, dtype: DTypeLike, caller: str) -> np.ndarray:
        """Check the number of labels."""
        if y.shape[1] != self.n_labels:
            raise ValueError(f"y has {y.shape[1]} columns; {caller} was fitted on {self.n_labels}.")
        return y.astype(dtype)

    def decode(self, numbers: np.ndarray) -> np.ndarray:
        """Return integers."""
        return numbers.astype(np.intp)

    def predict(self, outputs: np.ndarray) -> np.ndarray:
        """Return an indicator of the labels that are more probable than not."""
        return (outputs > 0).astype(np.intp)

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Return the probability that each label is 1, always below 1."""
        return expit(np.minimum(outputs, HIGHEST_LOGIT))

    def log_probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Return the logarithms of the probabilities, exact where these are tiny."""
        return log_expit(np.minimum(outputs, HIGHEST_LOGIT))

    def score(self, y: np.ndarray, predictions: np.ndarray, weights: np.ndarray | None) -> float:
        """Return the share of rows with all labels right."""
        # of integers, as scikit-learn makes sparse matrices, which not all dtypes can have
        y = _indicator(y, "score").astype(np.intp)
        return _accuracy(y, predictions, weights)


def check_labels(y: ArrayLike, caller: str) -> np.ndarray:
    """Validate one label per row, or an indicator of several.

    Parameters
    ----------
    y : array-like of shape (n_rows,) or (n_rows, n_labels)
    caller : str
        Name of the estimator, for messages.

    Returns
    -------
    ndarray of shape (n_rows,) or (n_rows, n_labels)
        One column becomes (n_rows,).

    Raises
    ------
    ValueError
        If y holds anything but labels.
    """
    return _indicator(y, caller) if _n_columns(y) > 1 else _column(y, caller)


def learn_labels(y: np.ndarray, classes: np.ndarray | None, caller: str) -> Labels | Multilabel:
    """Find out whether y is one label per row or an indicator of several.

    Parameters
    ----------
    y : ndarray
        Checked by `check_labels`.
    classes : ndarray or None
        All classes, if they are known beforehand.
    caller : str
    """
    if y.ndim == 2:
        return Multilabel(y.shape[1] if classes is None else len(classes))
    return Labels.of(np.unique(y) if classes is None else classes, caller)


def check_kind(outputs: Labels | Multilabel, y: ArrayLike, caller: str) -> None:
    """Raise ValueError if y is an indicator and the outputs are not, or the other way round."""
    n_columns = _n_columns(y)
    if n_columns > 1 and not isinstance(outputs, Multilabel):
        raise ValueError(f"y has {n_columns} columns; {caller} was fitted on one.")
    if n_columns == 1 and isinstance(outputs, Multilabel):
        raise ValueError(
            f"y has one column; {caller} was fitted on a multilabel indicator of "
            f"{outputs.n_labels}."
        )


def _column(y: ArrayLike, caller: str) -> np.ndarray:
    if (dtype := getattr(y, "dtype", None)) is not None and dtype.kind in "cV":
        raise ValueError(f"y has dtype {dtype}, of which there are no labels.")
    y = column_or_1d(y, warn=True)
    _check_one_type(y)
    assert_all_finite(y, estimator_name=caller, input_name="y")
    check_classification_targets(y)
    return y


def _indicator(y: ArrayLike, caller: str) -> np.ndarray:
    y = check_array(y, dtype=None, input_name="y", estimator=caller)
    if not np.isin(y, [0, 1]).all():
        raise ValueError(
            f"y has shape {y.shape} and is {type_of_target(y)}; several columns must be a "
            "multilabel indicator of 0 and 1. For one label per time step, set "
            "return_sequences=True."
        )
    return y


def one_column(data: ArrayLike, name: str) -> np.ndarray:
    """Read labels of something else than samples: classes, or groups.

    Parameters
    ----------
    data : array-like of shape (n,) or (n, 1)
    name : str
        Of the labels, for messages.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        If labels are missing or of several types, or if there are several columns.
    TypeError
        If the data are no array-like.
    """
    labels = read(data, name)
    if isinstance(labels, list) or (labels.ndim > 1 and labels.size != len(labels)):
        shape = "of arrays" if isinstance(labels, list) else f"of shape {labels.shape}"
        raise ValueError(f"{name} is {shape}; expected one label per entry, of shape (n,).")
    labels = labels.ravel()
    if labels.dtype.kind in "cV":
        raise ValueError(f"{name} has dtype {labels.dtype}, of which there are no labels.")
    missing = missing_values(labels)
    if missing.any():
        raise ValueError(f"{name} holds a missing label: {short(labels[missing][:1])}.")
    if labels.dtype == object and not all(isinstance(label, str) for label in labels):
        labels = known_labels(labels, ...)
    _check_one_type(labels, name)
    return labels


def _check_one_type(y: np.ndarray, name: str = "y") -> None:
    """Raise for objects that have no common type, or one of which there are no labels."""
    if y.dtype != object:
        return
    examples = {type(value): value for value in y}
    if len(examples) > 1:
        named = [f"{short(value)} ({cls.__name__})" for cls, value in examples.items()]
        raise ValueError(
            f"{name} mixes labels of several types, such as {', '.join(named[:2])}; make them all "
            "of one, for instance strings."
        )
    if not all(issubclass(cls, str) for cls in examples):
        cls, value = next(iter(examples.items()), (None, None))
        raise ValueError(
            f"{name} holds labels of type {cls.__name__}, such as {short(value)}; labels are "
            "strings, integers or booleans."
        )


def _are_strings(y: np.ndarray) -> bool:
    return y.dtype.kind in "OUS"


def _n_columns(y: ArrayLike) -> int:
    shape = (0,) if issparse(y) else np.asarray(y).shape
    return shape[1] if len(shape) == 2 else 1


def _accuracy(y: np.ndarray, predictions: np.ndarray, weights: np.ndarray | None) -> float:
    from sklearn.metrics import accuracy_score  # at the top, it would slow `import skgru` down

    return float(accuracy_score(y, predictions, sample_weight=weights))
