"""Express every cell as one that other runtimes have: RNN, GRU or LSTM.

The results are exact. They use σ(-a) = 1 - σ(a):

    cifg         an LSTM whose input gate is one minus its forget gate
    mgu          a GRU whose reset gate is f and whose update gate is 1 - f
    light_gru    a GRU whose reset gate is 1: σ(40) rounds to 1, in float64 too
"""

from typing import NamedTuple

import numpy as np

from skgru.model.parameters import Layer

ONE = 40.0  # pre-activation of a gate that is 1

# order of the gates in the columns of skgru's weights
OWN_ORDERS = {"RNN": "h", "GRU": "rzh", "LSTM": "ifog"}


class Gates(NamedTuple):
    """Weights of one gate, or of several gates concatenated.

    Attributes
    ----------
    W : ndarray of shape (n_inputs, n_gates * n_units)
    U : ndarray of shape (n_units, n_gates * n_units)
    b : ndarray of shape (n_gates * n_units,)
        Bias of the product with W.
    c : ndarray of shape (n_gates * n_units,)
        Bias of the product with U.
    """

    W: np.ndarray
    U: np.ndarray
    b: np.ndarray
    c: np.ndarray

    def opposite(self) -> "Gates":
        """Return the weights of one minus these gates."""
        return Gates(*(-array for array in self))


def standard_form(cell: str, layer: Layer) -> tuple[str, dict[str, Gates]]:
    """Express a layer as one of the standard operators.

    Parameters
    ----------
    cell : str
    layer : Layer

    Returns
    -------
    operator : {"RNN", "GRU", "LSTM"}
    gates : dict of str to Gates
        Weights by gate: "h" for an RNN; "r", "z" (1 keeps the past) and "h" for a GRU; "i", "f",
        "o" and "g" for an LSTM.
    """
    n_gates = len(layer.b) // len(layer.U)
    gates = split(Gates(layer.W, layer.U, layer.b, np.zeros_like(layer.b)), n_gates)
    match cell:
        case "rnn" | "gru" | "lstm":
            operator = cell.upper()
            form = dict(zip(OWN_ORDERS[operator], gates, strict=True))
            if len(layer.c):
                form["h"] = form["h"]._replace(c=layer.c)
            return operator, form
        case "cifg":
            f, o, g = gates
            return "LSTM", {"i": f.opposite(), "f": f, "o": o, "g": g}
        case "mgu":
            f, h = gates
            return "GRU", {"r": f, "z": f.opposite(), "h": h}
        case "light_gru":
            z, h = gates
            one = Gates(*map(np.zeros_like, z))
            one.b[:] = ONE
            return "GRU", {"r": one, "z": z, "h": h}
    raise NotImplementedError(f"cell={cell!r} has no form as an RNN, GRU or LSTM.")


def layer_of(operator: str, form: dict[str, Gates]) -> Layer:
    """Make a layer from the gates of a standard operator; a GRU gets `reset_after=True`."""
    gates = joined(form, OWN_ORDERS[operator])
    if operator != "GRU":
        return Layer(gates.W, gates.U, gates.b + gates.c, np.empty(0, gates.b.dtype))
    c = gates.c.copy()
    of_candidate = slice(-len(gates.U), None)
    c[of_candidate] = 0
    return Layer(gates.W, gates.U, gates.b + c, gates.c[of_candidate])


def split(gates: Gates, n_gates: int) -> list[Gates]:
    """Split concatenated gates."""
    parts = [np.split(array, n_gates, axis=-1) for array in gates]
    return [Gates(*gate) for gate in zip(*parts, strict=True)]


def joined(gates: dict[str, Gates], order: str) -> Gates:
    """Concatenate gates in the given order of their letters."""
    in_order = [gates[letter] for letter in order]
    return Gates(*(np.concatenate(arrays, axis=-1) for arrays in zip(*in_order, strict=True)))
