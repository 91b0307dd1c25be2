"""Every cell as one of the three that other runtimes have: RNN, GRU or LSTM.

None of it is an approximation. With σ(-a) = 1 - σ(a):

    cifg         an LSTM whose input gate is one minus its forget gate
    mgu          a GRU whose reset gate is f, and whose update gate is 1 - f
    light_gru    a GRU whose reset gate is 1: σ of 40 rounds to it, in float64 too
"""

from typing import NamedTuple

import numpy as np

from skgru.model.network import Layer

ONE = 40.0

# the gates of a layer of cell="rnn", "gru" and "lstm", as their columns stand
OWN_ORDERS = {"RNN": "h", "GRU": "rzh", "LSTM": "ifog"}


class Gates(NamedTuple):
    """Weights of one gate, or of several side by side.

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
        """One minus these gates."""
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
        Of an RNN "h"; of a GRU "r", "z" (1 keeps the past) and "h"; of an LSTM "i", "f", "o", "g".
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
    """Make a layer of a standard operator; of a GRU, one with `reset_after`."""
    gates = joined(form, OWN_ORDERS[operator])
    if operator != "GRU":
        return Layer(gates.W, gates.U, gates.b + gates.c, np.empty(0, gates.b.dtype))
    c = gates.c.copy()
    of_candidate = slice(-len(gates.U), None)
    c[of_candidate] = 0
    return Layer(gates.W, gates.U, gates.b + c, gates.c[of_candidate])


def split(gates: Gates, n_gates: int) -> list[Gates]:
    """Take gates that lie side by side apart."""
    parts = [np.split(array, n_gates, axis=-1) for array in gates]
    return [Gates(*gate) for gate in zip(*parts, strict=True)]


def joined(gates: dict[str, Gates], order: str) -> Gates:
    """Put gates side by side in an order of their letters."""
    in_order = [gates[letter] for letter in order]
    return Gates(*(np.concatenate(arrays, axis=-1) for arrays in zip(*in_order, strict=True)))
