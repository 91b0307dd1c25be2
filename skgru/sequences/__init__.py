"""Sequences of any form and length as one type, and the targets that belong to them."""

from skgru.sequences.channels import (
    Channels,
    categorical_by_dtype,
    channel_indices,
    read_raw,
)
from skgru.sequences.containers import read
from skgru.sequences.forms import Sequences, check_sequences, ragged_items
from skgru.sequences.labels import known_labels, missing_values
from skgru.sequences.names import check_features
from skgru.sequences.packing import Packed, Span
from skgru.sequences.rows import check_rows, columns_of_rows, rows_like
from skgru.sequences.targets import Aligned, Examples, Targets, align, without_scale
from skgru.sequences.values import numbers, short

__all__ = [
    "Aligned",
    "Channels",
    "Examples",
    "Packed",
    "Sequences",
    "Span",
    "Targets",
    "align",
    "categorical_by_dtype",
    "channel_indices",
    "check_features",
    "check_rows",
    "check_sequences",
    "columns_of_rows",
    "known_labels",
    "missing_values",
    "numbers",
    "ragged_items",
    "read",
    "read_raw",
    "rows_like",
    "short",
    "without_scale",
]
