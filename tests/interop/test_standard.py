"""Conversion of layers to the standard operators RNN, GRU and LSTM, and back."""

import numpy as np
import pytest
import reference
from helpers import relative_error

from skgru.interop.standard import Gates, joined, layer_of, split, standard_form
from skgru.model.parameters import Layer

D, H = 3, 4

# Order of the columns of each standard operator in the NumPy reference.
ORDERS = {"RNN": "h", "GRU": "rzh", "LSTM": "ifog"}


def random_layer(name, dtype=np.float64):
    rng = np.random.default_rng(0)
    G = reference.CELLS[name].n_gates
    shapes = (D, G * H), (H, G * H), (G * H,), (H if name == "gru_reset_after" else 0,)
    return Layer(*(rng.normal(size=shape).astype(dtype) for shape in shapes))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(reference.CELLS.keys() - {"light_gru_relu"}))
def test_standard_form_is_the_same_function(name, dtype):
    layer = random_layer(name, dtype)
    x = np.random.default_rng(1).normal(size=(6, D)).astype(dtype)
    operator, form = standard_form(name.removesuffix("_reset_after"), layer)
    gates = joined(form, ORDERS[operator])
    as_operator, c = operator.lower(), np.empty(0, dtype)
    if name == "gru_reset_after":
        as_operator, c = name, gates.c[-H:]
    assert gates.W.dtype == dtype
    n_states = reference.CELLS[name].n_states
    h_0 = np.random.default_rng(2).normal(size=n_states * H).astype(dtype)
    expected = reference.forward(name, x, h_0, *layer)
    actual = reference.forward(as_operator, x, h_0, gates.W, gates.U, gates.b, c)
    assert relative_error(actual, expected) < 10 * np.finfo(dtype).eps


@pytest.mark.parametrize("name", ["rnn", "gru_reset_after", "lstm"])
def test_layer_of_inverts_standard_form(name):
    layer = random_layer(name)
    back = layer_of(*standard_form(name.removesuffix("_reset_after"), layer))
    for array, expected in zip(back, layer, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_both_biases_of_a_standard_operator_are_added():
    layer = random_layer("gru_reset_after")
    gates = Gates(layer.W, layer.U, layer.b, np.arange(3.0 * H))
    back = layer_of("GRU", dict(zip("rzh", split(gates, 3), strict=True)))
    np.testing.assert_array_equal(back.b, layer.b + np.r_[np.arange(2.0 * H), np.zeros(H)])
    np.testing.assert_array_equal(back.c, np.arange(2.0 * H, 3 * H))


def test_an_unknown_cell_is_rejected():
    with pytest.raises(NotImplementedError, match="cell='peephole' has no form"):
        standard_form("peephole", random_layer("rnn"))
