"""For each cell: the names of its gates, its regimes and its Jacobian.

The Jacobian of a step is J[i, j] = ∂s_t[j] / ∂s_{t-1}[i], where s is the state, with the cell state
[h | c] if the cell has one. It is a sum of parts, one for each way by which the past reaches the
new state: carried over as it is ("carry"), or through the sum that a gate or the candidate is
made of. A part of that sort is U_k diag(slope), where the slope says how the new state moves with
the sum; the reset gate's goes through the candidate's product besides.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Parts = dict[str, np.ndarray]


class Step(NamedTuple):
    """One time step of some sequences: previous states, weights and activations.

    Attributes
    ----------
    gates : dict of ndarray of shape (n, n_units)
        Activations, after their names.
    h_prev : ndarray of shape (n, n_units)
    cell_prev : ndarray of shape (n, n_units) or None
    U : list of ndarray of shape (n_units, n_units)
        A block for each of the first names.
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
        Blocks of its weights, in their order, then the other activations that it saves.
    jacobian : callable
        Gives the parts of the Jacobians of a `Step`, each of shape (n, size, size).
    keeps_and_resets : callable
        Takes the gates; returns those that play the parts of z and r in `gate_regimes`.
    """

    gates: tuple[str, ...]
    jacobian: Callable[[Step], Parts]
    keeps_and_resets: Callable[[dict[str, np.ndarray]], tuple[np.ndarray, np.ndarray]]


def _diagonal(entries: np.ndarray) -> np.ndarray:
    """Make (n, H) the diagonals of (n, H, H)."""
    return entries[:, :, np.newaxis] * np.eye(entries.shape[1])


def _scaled(U: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Compute U diag(slope) for each row of slopes."""
    return U * slope[:, np.newaxis, :]


def _of_sigmoid(gate: np.ndarray) -> np.ndarray:
    return gate * (1 - gate)


def _of_tanh(value: np.ndarray) -> np.ndarray:
    return 1 - value**2


def _of_relu(value: np.ndarray) -> np.ndarray:
    return (value > 0).astype(value.dtype)


# ---- cells whose state is h --------------------------------------------------------------------


def _interpolated(step: Step, z: np.ndarray, candidate: np.ndarray, U_z: np.ndarray) -> Parts:
    """Two of the parts of h = z ⊙ h_{t-1} + (1 - z) ⊙ candidate: those of the past, and of z."""
    return {
        "carry": _diagonal(z),
        "update": _scaled(U_z, (step.h_prev - candidate) * _of_sigmoid(z)),
    }


def _gru(step: Step) -> Parts:
    r, z, candidate = (step.gates[name] for name in ("reset_gate", "update_gate", "candidate"))
    U_r, U_z, U_h = step.U
    slope = (1 - z) * _of_tanh(candidate)
    return {
        **_interpolated(step, z, candidate, U_z),
        "candidate": r[:, :, np.newaxis] * _scaled(U_h, slope),
        "reset": _scaled(U_r, step.h_prev * _of_sigmoid(r)) @ _scaled(U_h, slope),
    }


def _gru_reset_after(step: Step) -> Parts:
    r, z, candidate = (step.gates[name] for name in ("reset_gate", "update_gate", "candidate"))
    U_r, U_z, U_h = step.U
    slope = (1 - z) * _of_tanh(candidate)
    return {
        **_interpolated(step, z, candidate, U_z),
        "candidate": _scaled(U_h, r * slope),
        "reset": _scaled(U_r, step.gates["product"] * _of_sigmoid(r) * slope),
    }


def _mgu(step: Step) -> Parts:
    f, candidate = step.gates["forget_gate"], step.gates["candidate"]
    U_f, U_h = step.U
    slope = f * _of_tanh(candidate)
    return {
        "carry": _diagonal(1 - f),
        "update": _scaled(U_f, (candidate - step.h_prev) * _of_sigmoid(f)),
        "candidate": f[:, :, np.newaxis] * _scaled(U_h, slope),
        "reset": _scaled(U_f, step.h_prev * _of_sigmoid(f)) @ _scaled(U_h, slope),
    }


def _light_gru(
    step: Step, slope_of_candidate: Callable[[np.ndarray], np.ndarray] = _of_tanh
) -> Parts:
    z, candidate = step.gates["update_gate"], step.gates["candidate"]
    U_z, U_h = step.U
    return {
        **_interpolated(step, z, candidate, U_z),
        "candidate": _scaled(U_h, (1 - z) * slope_of_candidate(candidate)),
    }


def _rnn(step: Step) -> Parts:
    return {"candidate": _scaled(step.U[0], _of_tanh(step.gates["candidate"]))}


# ---- cells whose state is [h | c] --------------------------------------------------------------


def _with_cell_state(step: Step, kept: np.ndarray, slopes: dict[str, np.ndarray]) -> Parts:
    """Put Jacobians of [h | c] together, where h = o tanh(c).

    Parameters
    ----------
    step : Step
    kept : ndarray of shape (n, n_units)
        ∂c_t / ∂c_{t-1} along the cell state.
    slopes : dict of ndarray of shape (n, n_units)
        ∂c_t by the sum of each gate but the output's.
    """
    n, H = step.h_prev.shape
    seen, o = np.tanh(step.gates["cell_state"]), step.gates["output_gate"]
    of_cell_state = o * _of_tanh(seen)  # ∂h_t / ∂c_t

    def part() -> np.ndarray:
        return np.zeros((n, 2 * H, 2 * H), dtype=seen.dtype)

    parts = {"carry": part()}
    parts["carry"][:, H:, :H] = _diagonal(kept * of_cell_state)
    parts["carry"][:, H:, H:] = _diagonal(kept)
    for U, gate in zip(step.U, step.gates, strict=False):
        name = gate.removesuffix("_gate")
        parts[name] = part()
        if name == "output":
            parts[name][:, :H, :H] = _scaled(U, seen * _of_sigmoid(o))
        else:
            parts[name][:, :H, :H] = _scaled(U, slopes[name] * of_cell_state)
            parts[name][:, :H, H:] = _scaled(U, slopes[name])
    return parts


def _lstm(step: Step) -> Parts:
    i, f, candidate = (step.gates[name] for name in ("input_gate", "forget_gate", "candidate"))
    slopes = {
        "input": candidate * _of_sigmoid(i),
        "forget": step.cell_prev * _of_sigmoid(f),
        "candidate": i * _of_tanh(candidate),
    }
    return _with_cell_state(step, f, slopes)


def _cifg(step: Step) -> Parts:
    f, candidate = step.gates["forget_gate"], step.gates["candidate"]
    slopes = {
        "forget": (step.cell_prev - candidate) * _of_sigmoid(f),
        "candidate": (1 - f) * _of_tanh(candidate),
    }
    return _with_cell_state(step, f, slopes)


# ---- all of them, after the kernels' names -----------------------------------------------------

_GRU = ("reset_gate", "update_gate", "candidate")
_LIGHT = ("update_gate", "candidate")

CELLS = {
    "gru": InspectedCell(_GRU, _gru, lambda g: (g["update_gate"], g["reset_gate"])),
    # the product is h_{t-1} U_h + c, which the reset gate acts on
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
        lambda step: _light_gru(step, _of_relu),
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
