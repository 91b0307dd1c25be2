"""Names of the gates, regimes and Jacobian of each cell.

The Jacobian of a step is J[i, j] = ∂s_t[j] / ∂s_{t-1}[i], where s is the hidden state h, or
[h | c] if the cell has a cell state c. It is a sum of parts, one per path from the previous to the
new state. "carry" is the direct path. Every other path leads through the pre-activation of a gate
or of the candidate: its part is U_k diag(slope), where the slope is the derivative of the new state
with respect to the pre-activation. The path of the reset gate also leads through the product of the
candidate.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Parts = dict[str, np.ndarray]


class Step(NamedTuple):
    """Previous states, weights and activations of one time step of several sequences.

    Attributes
    ----------
    gates : dict of ndarray of shape (n, n_units)
        Activations by name.
    h_prev : ndarray of shape (n, n_units)
    cell_prev : ndarray of shape (n, n_units) or None
    U : list of ndarray of shape (n_units, n_units)
        One block per gate, in the order of `gates`.
    """

    gates: dict[str, np.ndarray]
    h_prev: np.ndarray
    cell_prev: np.ndarray | None
    U: list[np.ndarray]


class InspectedCell(NamedTuple):
    """Description of a cell for inspection.

    Attributes
    ----------
    gates : tuple of str
        Names of the blocks of its weights, in their order, then of the other saved activations.
    jacobian : callable
        Takes a `Step`; returns the parts of its Jacobians, each of shape (n, size, size).
    update_and_reset : callable
        Takes the gates; returns the z and r of `gate_regimes`.
    """

    gates: tuple[str, ...]
    jacobian: Callable[[Step], Parts]
    update_and_reset: Callable[[dict[str, np.ndarray]], tuple[np.ndarray, np.ndarray]]


def _diagonal(entries: np.ndarray) -> np.ndarray:
    """Return diagonal matrices of shape (n, H, H), given their entries of shape (n, H)."""
    return entries[:, :, np.newaxis] * np.eye(entries.shape[1])


def _scaled(U: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Compute U diag(slope) for each row of slopes."""
    return U * slope[:, np.newaxis, :]


def _sigmoid_slope(gate: np.ndarray) -> np.ndarray:
    return gate * (1 - gate)


def _tanh_slope(value: np.ndarray) -> np.ndarray:
    return 1 - value**2


def _relu_slope(value: np.ndarray) -> np.ndarray:
    return (value > 0).astype(value.dtype)


# ---- cells whose state is h --------------------------------------------------------------------


def _interpolation(step: Step, z: np.ndarray, candidate: np.ndarray, U_z: np.ndarray) -> Parts:
    """Compute the parts "carry" and "update" of h = z ⊙ h_{t-1} + (1 - z) ⊙ candidate."""
    return {
        "carry": _diagonal(z),
        "update": _scaled(U_z, (step.h_prev - candidate) * _sigmoid_slope(z)),
    }


def _gru(step: Step) -> Parts:
    r, z, candidate = (step.gates[name] for name in ("reset_gate", "update_gate", "candidate"))
    U_r, U_z, U_h = step.U
    slope = (1 - z) * _tanh_slope(candidate)
    return {
        **_interpolation(step, z, candidate, U_z),
        "candidate": r[:, :, np.newaxis] * _scaled(U_h, slope),
        "reset": _scaled(U_r, step.h_prev * _sigmoid_slope(r)) @ _scaled(U_h, slope),
    }


def _gru_reset_after(step: Step) -> Parts:
    r, z, candidate = (step.gates[name] for name in ("reset_gate", "update_gate", "candidate"))
    U_r, U_z, U_h = step.U
    slope = (1 - z) * _tanh_slope(candidate)
    return {
        **_interpolation(step, z, candidate, U_z),
        "candidate": _scaled(U_h, r * slope),
        "reset": _scaled(U_r, step.gates["product"] * _sigmoid_slope(r) * slope),
    }


def _mgu(step: Step) -> Parts:
    f, candidate = step.gates["forget_gate"], step.gates["candidate"]
    U_f, U_h = step.U
    slope = f * _tanh_slope(candidate)
    return {
        "carry": _diagonal(1 - f),
        "update": _scaled(U_f, (candidate - step.h_prev) * _sigmoid_slope(f)),
        "candidate": f[:, :, np.newaxis] * _scaled(U_h, slope),
        "reset": _scaled(U_f, step.h_prev * _sigmoid_slope(f)) @ _scaled(U_h, slope),
    }


def _light_gru(
    step: Step, candidate_slope: Callable[[np.ndarray], np.ndarray] = _tanh_slope
) -> Parts:
    z, candidate = step.gates["update_gate"], step.gates["candidate"]
    U_z, U_h = step.U
    return {
        **_interpolation(step, z, candidate, U_z),
        "candidate": _scaled(U_h, (1 - z) * candidate_slope(candidate)),
    }


def _rnn(step: Step) -> Parts:
    return {"candidate": _scaled(step.U[0], _tanh_slope(step.gates["candidate"]))}


# ---- cells whose state is [h | c] --------------------------------------------------------------


def _with_cell_state(step: Step, kept: np.ndarray, slopes: dict[str, np.ndarray]) -> Parts:
    """Compute the parts of the Jacobians of [h | c], where h = o ⊙ tanh(c).

    Parameters
    ----------
    step : Step
    kept : ndarray of shape (n, n_units)
        ∂c_t / ∂c_{t-1}, with the gates held fixed.
    slopes : dict of ndarray of shape (n, n_units)
        Derivative of c_t with respect to the pre-activation of each gate except the output gate.
    """
    n, H = step.h_prev.shape
    tanh_c, o = np.tanh(step.gates["cell_state"]), step.gates["output_gate"]
    h_slope = o * _tanh_slope(tanh_c)  # ∂h_t / ∂c_t

    def part() -> np.ndarray:
        return np.zeros((n, 2 * H, 2 * H), dtype=tanh_c.dtype)

    parts = {"carry": part()}
    parts["carry"][:, H:, :H] = _diagonal(kept * h_slope)
    parts["carry"][:, H:, H:] = _diagonal(kept)
    for U, gate in zip(step.U, step.gates, strict=False):
        name = gate.removesuffix("_gate")
        parts[name] = part()
        if name == "output":
            parts[name][:, :H, :H] = _scaled(U, tanh_c * _sigmoid_slope(o))
        else:
            parts[name][:, :H, :H] = _scaled(U, slopes[name] * h_slope)
            parts[name][:, :H, H:] = _scaled(U, slopes[name])
    return parts


def _lstm(step: Step) -> Parts:
    i, f, candidate = (step.gates[name] for name in ("input_gate", "forget_gate", "candidate"))
    slopes = {
        "input": candidate * _sigmoid_slope(i),
        "forget": step.cell_prev * _sigmoid_slope(f),
        "candidate": i * _tanh_slope(candidate),
    }
    return _with_cell_state(step, f, slopes)


def _cifg(step: Step) -> Parts:
    f, candidate = step.gates["forget_gate"], step.gates["candidate"]
    slopes = {
        "forget": (step.cell_prev - candidate) * _sigmoid_slope(f),
        "candidate": (1 - f) * _tanh_slope(candidate),
    }
    return _with_cell_state(step, f, slopes)


# ---- all cells, by their names in the kernels --------------------------------------------------

_GRU = ("reset_gate", "update_gate", "candidate")
_LIGHT = ("update_gate", "candidate")

CELLS = {
    "gru": InspectedCell(_GRU, _gru, lambda g: (g["update_gate"], g["reset_gate"])),
    # the product is h_{t-1} U_h + c, which the reset gate multiplies
    "gru_reset_after": InspectedCell(
        (*_GRU, "product"), _gru_reset_after, lambda g: (g["update_gate"], g["reset_gate"])
    ),
    "mgu": InspectedCell(
        ("forget_gate", "candidate"), _mgu, lambda g: (1 - g["forget_gate"], g["forget_gate"])
    ),
    "light_gru": InspectedCell(
        _LIGHT, _light_gru, lambda g: (g["update_gate"], np.ones_like(g["update_gate"]))
    ),
    "light_gru_relu": InspectedCell(
        _LIGHT,
        lambda step: _light_gru(step, _relu_slope),
        lambda g: (g["update_gate"], np.ones_like(g["update_gate"])),
    ),
    "rnn": InspectedCell(
        ("candidate",),
        _rnn,
        lambda g: (np.zeros_like(g["candidate"]), np.ones_like(g["candidate"])),
    ),
    "lstm": InspectedCell(
        ("input_gate", "forget_gate", "output_gate", "candidate", "cell_state"),
        _lstm,
        lambda g: (g["forget_gate"], g["input_gate"]),
    ),
    "cifg": InspectedCell(
        ("forget_gate", "output_gate", "candidate", "cell_state"),
        _cifg,
        lambda g: (g["forget_gate"], 1 - g["forget_gate"]),
    ),
}
