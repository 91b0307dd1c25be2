"""Transformers of sequences, and sequences out of data frames."""

from skgru.frames import labels_from_frame, predictions_to_frame, sequences_from_frame
from skgru.preprocessing.fill_gaps import FillGaps
from skgru.preprocessing.patches import Patches
from skgru.preprocessing.per_sequence import PerSequence
from skgru.preprocessing.per_timestep import PerTimestep
from skgru.preprocessing.tokens import TokenEncoder, parallel_streams

__all__ = [
    "FillGaps",
    "Patches",
    "PerSequence",
    "PerTimestep",
    "TokenEncoder",
    "labels_from_frame",
    "parallel_streams",
    "predictions_to_frame",
    "sequences_from_frame",
]
