"""Weights of classes: given for some of them, or inversely proportional to their frequencies."""

from typing import Any

import numpy as np

from skgru.outputs.base import Outputs
from skgru.outputs.labels import Labels
from skgru.sequences import numbers, short


def learn_class_weights(
    class_weight: Any, outputs: Outputs, codes: np.ndarray, weights: np.ndarray
) -> np.ndarray | None:
    """Return the weight of each class.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        As the parameter of the classifier.
    outputs : Labels or Multilabel
    codes : ndarray of int, shape (n_rows,)
        Class of each row of the training set.
    weights : ndarray of shape (n_rows,)
        Weights of the rows: "balanced" counts a row as often as its weight says.

    Returns
    -------
    ndarray of shape (n_classes,), or None without `class_weight`
        NaN for a class that has no rows, with "balanced".

    Raises
    ------
    ValueError
        If a weight is no finite number of at least 0, if it belongs to no class, or if the outputs
        are several labels.
    """
    if class_weight is None:
        return None
    if not isinstance(outputs, Labels):
        raise ValueError(
            "class_weight is for one label per sample; y is a multilabel indicator. Weigh samples "
            "with sample_weight instead."
        )
    if isinstance(class_weight, dict):
        return _given(class_weight, outputs.classes)
    order = weights.argsort()  # sums have the same bits for any order of the rows
    counts = np.bincount(codes[order], weights[order], minlength=len(outputs.classes))
    n_present = np.count_nonzero(counts)
    counts[counts == 0] = np.nan
    return np.nansum(counts) / max(n_present, 1) / counts


def _given(class_weight: dict[Any, Any], classes: np.ndarray) -> np.ndarray:
    """Return the weights in the order of the classes; 1 for those that have none."""
    # dates are keys as NumPy's scalars, and all other labels as Python's, too
    positions = {c: i for labels in (classes.tolist(), classes) for i, c in enumerate(labels)}
    weights = np.ones(len(classes))
    for label, weight in class_weight.items():
        if label not in positions:
            raise ValueError(
                f"class_weight has a weight for {short(label)}, which is not among the classes "
                f"{short(classes)}."
            )
        name = f"class_weight[{short(label)}]"
        cell = np.empty(1, dtype=object)
        cell[0] = weight
        value = numbers(cell, name)[0]
        if not 0 <= value < np.inf:
            raise ValueError(
                f"{name} is {short(weight)}; weights are finite numbers of at least 0."
            )
        weights[positions[label]] = value
    return weights


def factors_of(class_weights: np.ndarray, outputs: Labels, codes: np.ndarray) -> np.ndarray:
    """Return the weight of each row's class.

    Raises
    ------
    ValueError
        If the training set had no rows of a class, whose balanced weight is unknown.
    """
    factors = class_weights[codes]
    unknown = np.isnan(factors)
    if unknown.any():
        labels = short(np.unique(outputs.classes[codes[unknown]]))
        raise ValueError(
            f"y has the labels {labels}, of which the training set has no samples, so that "
            'class_weight="balanced" has no weight for them. Give class_weight as a dict.'
        )
    return factors
