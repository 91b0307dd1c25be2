"""Warnings about gradients, given after a fit."""

import numpy as np

from skgru.exceptions import GradientWarning, warn_once
from skgru.model.dropout import Dropout
from skgru.training.objective import Objective

# Sequences whose gradient shows whether it vanishes.
VANISHING_SAMPLES = 32

# Epochs of a fit that is long enough to judge whether most updates are clipped.
SETTLED_EPOCHS = 10


def warn_if_clipped(
    clipped: list[bool], grad_norm_curve: list[float], max_grad_norm: float | None
) -> None:
    """Warn if most updates were clipped, in the last epoch on average too.

    Parameters
    ----------
    clipped : list of bool
        Which updates were.
    grad_norm_curve : list of float
        Mean norm of the gradients of each epoch: early in a fit, large ones are normal.
    max_grad_norm : float or None

    Warns
    -----
    GradientWarning
    """
    if max_grad_norm is None or not grad_norm_curve or grad_norm_curve[-1] <= max_grad_norm:
        return
    if sum(clipped) <= len(clipped) / 2:
        return
    warn_once(
        f"Most updates were clipped at max_grad_norm={max_grad_norm}, in the last epoch too "
        "(grad_norm_curve_). A threshold is meant for the exception: half to ten times the "
        "average norm (Pascanu et al. 2013). Raise it, scale X (and y) to unit variance, or lower "
        "learning_rate_init.",
        GradientWarning,
    )


def warn_if_vanished(objective: Objective) -> None:
    """Measure how much of the gradient is left before the first time step of some sequences.

    Parameters
    ----------
    objective : Objective

    Warns
    -----
    GradientWarning
        If in some layer it is less, in all of the sequences, than the dtype resolves beside the
        largest that enters a state.
    """
    if objective.bptt_steps is not None:
        return  # truncated on purpose
    network, sequences = objective.network, objective.sequences
    counted = objective.targets.sample_weights()[objective.samples] > 0
    span = sequences.span(objective.samples[counted][:VANISHING_SAMPLES])
    gradients, (views,) = objective.buffers.gradients(1)
    gradients.fill(0)
    total = len(span.samples) * objective.mean_weight
    propagation = objective.passes_over(0, Dropout())
    propagation.value_and_gradient(objective.examples(span, total), objective.loss, None, views)
    entered, left = [], []
    # from the top layer down: below where the gradient overflows, shares are not numbers, and the
    # minimum must not begin with one
    for i in reversed(range(sum(map(len, views.layers)))):
        kept = propagation.layers.kept(i)
        entered.append(max(_largest_norm(kept["d_states"]), _largest_norm(kept["d_last"])))
        left.append(_largest_norm(kept["d_h"]) / entered[-1] if entered[-1] else 0.0)
    if not any(entered):
        return  # of a loss without gradient, nothing can vanish
    if min(left) < np.finfo(network.dtype).eps:
        warn_once(
            "The gradient vanishes on its way to the first time step: in each of the sequences "
            f"looked at, less of it is left there than {network.dtype} resolves. Nothing "
            "that far back can be learned from. If it matters, give the loss a way that is "
            'shorter (return_sequences=True, pooling="mean", or "attention"; Bahdanau et al. '
            '2015), a cell with gates instead of "rnn" (Hochreiter & Schmidhuber 1997), or shorter '
            "sequences; skgru.inspection.gradient_flow shows where the gradient goes.",
            GradientWarning,
        )


def _largest_norm(rows: np.ndarray) -> float:
    return float(np.sqrt(np.einsum("ij,ij->i", rows, rows).max(initial=0)))
