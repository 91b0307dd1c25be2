"""What the outputs of a network mean: labels, several labels at once, numbers, or quantiles.

One fitted object learns it from y, turns y into the numbers that the loss compares with the
outputs, and turns outputs into predictions and probabilities. Estimators, streams, scorers and
exporters ask it, so that no meaning is decided twice. All fields are plain values: a saved model
holds them by name.
"""

from typing import Any

from skgru.outputs.base import Outputs
from skgru.outputs.class_weights import factors_of, learn_class_weights
from skgru.outputs.labels import (
    Labels,
    Multilabel,
    check_kind,
    check_labels,
    learn_labels,
    one_column,
)
from skgru.outputs.numbers import Numbers, Quantiles, check_numbers, learn_numbers

__all__ = [
    "Labels",
    "Multilabel",
    "Numbers",
    "Outputs",
    "Quantiles",
    "check_kind",
    "check_labels",
    "check_numbers",
    "factors_of",
    "from_state",
    "learn_class_weights",
    "learn_labels",
    "learn_numbers",
    "one_column",
]

KINDS = {cls.kind: cls for cls in (Labels, Multilabel, Numbers, Quantiles)}


def from_state(state: dict[str, Any]) -> Outputs:
    """Make outputs of what `Outputs.state` returned."""
    fields = dict(state)
    outputs = KINDS[fields.pop("kind")](**fields)
    outputs.loss  # noqa: B018 (fails here, and not at the first prediction, if it is unknown)
    return outputs
