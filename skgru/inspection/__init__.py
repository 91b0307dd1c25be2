"""What a fitted model does with memory and gradient: gates, Jacobians, and the flow back."""

from skgru.inspection.activations import gate_activations, gate_regimes
from skgru.inspection.gradients import gradient_flow
from skgru.inspection.jacobians import step_jacobian

__all__ = ["gate_activations", "gate_regimes", "gradient_flow", "step_jacobian"]
