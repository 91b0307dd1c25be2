"""What a fitted model does with memory and gradient: gates, Jacobians, the flow back; pictures."""

from skgru.inspection.activations import gate_activations, gate_regimes
from skgru.inspection.displays import (
    GateActivityDisplay,
    GateRegimesDisplay,
    GradientFlowDisplay,
    TrainingCurveDisplay,
)
from skgru.inspection.gradients import gradient_flow
from skgru.inspection.jacobians import step_jacobian

__all__ = [
    "GateActivityDisplay",
    "GateRegimesDisplay",
    "GradientFlowDisplay",
    "TrainingCurveDisplay",
    "gate_activations",
    "gate_regimes",
    "gradient_flow",
    "step_jacobian",
]
