"""Displays of inspection results; matplotlib is imported when one is drawn."""

from skgru.inspection.displays.activity import GateActivityDisplay
from skgru.inspection.displays.attribution import AttributionDisplay
from skgru.inspection.displays.flow import GradientFlowDisplay
from skgru.inspection.displays.importance import ChannelImportanceDisplay
from skgru.inspection.displays.regimes import GateRegimesDisplay
from skgru.inspection.displays.training import TrainingCurveDisplay

__all__ = [
    "AttributionDisplay",
    "ChannelImportanceDisplay",
    "GateActivityDisplay",
    "GateRegimesDisplay",
    "GradientFlowDisplay",
    "TrainingCurveDisplay",
]
