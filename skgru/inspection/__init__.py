"""Inspect fitted models: attributions, gates and gradients, as numbers and as plots."""

from skgru.inspection.activations import gate_activations, gate_regimes
from skgru.inspection.attributions import input_attributions
from skgru.inspection.displays import (
    AttributionDisplay,
    ChannelImportanceDisplay,
    GateActivityDisplay,
    GateRegimesDisplay,
    GradientFlowDisplay,
    TrainingCurveDisplay,
)
from skgru.inspection.gradients import gradient_flow
from skgru.inspection.importance import channel_importance
from skgru.inspection.jacobians import step_jacobian

__all__ = [
    "AttributionDisplay",
    "ChannelImportanceDisplay",
    "GateActivityDisplay",
    "GateRegimesDisplay",
    "GradientFlowDisplay",
    "TrainingCurveDisplay",
    "channel_importance",
    "gate_activations",
    "gate_regimes",
    "gradient_flow",
    "input_attributions",
    "step_jacobian",
]
