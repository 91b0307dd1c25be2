"""Sequences of any form and length as one type, and the targets that belong to them."""

from skgru.sequences.forms import Sequences, check_sequences, ragged_items
from skgru.sequences.packing import Packed, Span
from skgru.sequences.targets import Aligned, Targets, align

__all__ = [
    "Aligned",
    "Packed",
    "Sequences",
    "Span",
    "Targets",
    "align",
    "check_sequences",
    "ragged_items",
]
