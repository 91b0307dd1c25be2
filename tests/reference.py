"""The specification: the kernels in plain NumPy, one sequence and one step at a time."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit as sigmoid


def relu(a):
    return np.maximum(a, 0)


# ---- cells ---------------------------------------------------------------------------------------
#
# One time step of a cell takes the blocks of x_t W + b, `past` (mask ⊙ h_{t-1}), the blocks of U,
# c, and the state: the hidden state, and the cell state of cells that have one. It returns the next
# state and a function for the backward pass. That takes the gradient of the next state and returns
#     a           the gradients of the blocks of x_t W + b
#     products    for each product with a block of U: its left factor, and the product's gradient
#     d_past      ∂L/∂past
#     d_state     the gradient of the previous state, without the part through `past`


def of_sums(step):
    """Make a cell of a step that depends on the sums x_t W + past U + b and the state alone."""

    def cell(x, past, U, c, *state):
        new, sums_backward = step([a + past @ V for a, V in zip(x, U, strict=True)], *state)

        def backward_step(*d):
            a, d_state = sums_backward(*d)
            d_past = sum(a_k @ V.T for a_k, V in zip(a, U, strict=True))
            return a, [(past, a_k) for a_k in a], d_past, d_state

        return new, backward_step

    return cell


def gru(x, past, U, c, h):
    r, z = sigmoid(x[0] + past @ U[0]), sigmoid(x[1] + past @ U[1])
    candidate = np.tanh(x[2] + (r * past) @ U[2])

    def backward_step(d):
        a_h = d * (1 - z) * (1 - candidate**2)
        a_z = d * (h - candidate) * z * (1 - z)
        d_inner = a_h @ U[2].T
        a_r = d_inner * past * r * (1 - r)
        products = [(past, a_r), (past, a_z), (r * past, a_h)]
        return [a_r, a_z, a_h], products, d_inner * r + a_r @ U[0].T + a_z @ U[1].T, [d * z]

    return [z * h + (1 - z) * candidate], backward_step


def gru_reset_after(x, past, U, c, h):
    r, z = sigmoid(x[0] + past @ U[0]), sigmoid(x[1] + past @ U[1])
    product = past @ U[2] + c
    candidate = np.tanh(x[2] + r * product)

    def backward_step(d):
        a_h = d * (1 - z) * (1 - candidate**2)
        a_z = d * (h - candidate) * z * (1 - z)
        a_r = a_h * product * r * (1 - r)
        products = [(past, a_r), (past, a_z), (past, a_h * r)]
        d_past = (a_h * r) @ U[2].T + a_r @ U[0].T + a_z @ U[1].T
        return [a_r, a_z, a_h], products, d_past, [d * z]

    return [z * h + (1 - z) * candidate], backward_step


def mgu(x, past, U, c, h):
    f = sigmoid(x[0] + past @ U[0])
    candidate = np.tanh(x[1] + (f * past) @ U[1])

    def backward_step(d):
        a_h = d * f * (1 - candidate**2)
        d_inner = a_h @ U[1].T
        a_f = (d * (candidate - h) + d_inner * past) * f * (1 - f)
        products = [(past, a_f), (f * past, a_h)]
        return [a_f, a_h], products, d_inner * f + a_f @ U[0].T, [d * (1 - f)]

    return [(1 - f) * h + f * candidate], backward_step


@of_sums
def rnn(sums, h):
    new = np.tanh(sums[0])

    def backward_step(d):
        return [d * (1 - new**2)], [np.zeros_like(h)]

    return [new], backward_step


@of_sums
def lstm(sums, h, c_prev):
    i, f, o = map(sigmoid, sums[:3])
    candidate = np.tanh(sums[3])
    new_c = f * c_prev + i * candidate
    squashed = np.tanh(new_c)

    def backward_step(d, d_c):
        d_c = d_c + d * o * (1 - squashed**2)
        a_i = d_c * candidate * i * (1 - i)
        a_f = d_c * c_prev * f * (1 - f)
        a_o = d * squashed * o * (1 - o)
        a_g = d_c * i * (1 - candidate**2)
        return [a_i, a_f, a_o, a_g], [np.zeros_like(h), d_c * f]

    return [o * squashed, new_c], backward_step


@of_sums
def cifg(sums, h, c_prev):
    f, o = map(sigmoid, sums[:2])
    candidate = np.tanh(sums[2])
    new_c = f * c_prev + (1 - f) * candidate
    squashed = np.tanh(new_c)

    def backward_step(d, d_c):
        d_c = d_c + d * o * (1 - squashed**2)
        a_f = d_c * (c_prev - candidate) * f * (1 - f)
        a_o = d * squashed * o * (1 - o)
        a_g = d_c * (1 - f) * (1 - candidate**2)
        return [a_f, a_o, a_g], [np.zeros_like(h), d_c * f]

    return [o * squashed, new_c], backward_step


def _light_gru(sums, h, candidate, slope):
    z = sigmoid(sums[0])

    def backward_step(d):
        return [d * (h - candidate) * z * (1 - z), d * (1 - z) * slope], [d * z]

    return [z * h + (1 - z) * candidate], backward_step


@of_sums
def light_gru(sums, h):
    candidate = np.tanh(sums[1])
    return _light_gru(sums, h, candidate, 1 - candidate**2)


@of_sums
def light_gru_relu(sums, h):
    return _light_gru(sums, h, relu(sums[1]), sums[1] > 0)


class Cell(NamedTuple):
    step: object
    n_gates: int
    n_states: int = 1
    forget: int = -1  # the gate whose bias is initialized to one


CELLS = {
    "gru": Cell(gru, 3),
    "gru_reset_after": Cell(gru_reset_after, 3),
    "rnn": Cell(rnn, 1),
    "lstm": Cell(lstm, 4, n_states=2, forget=1),
    "cifg": Cell(cifg, 3, n_states=2, forget=0),
    "mgu": Cell(mgu, 2),
    "light_gru": Cell(light_gru, 2),
    "light_gru_relu": Cell(light_gru_relu, 2),
}


# ---- the layer -----------------------------------------------------------------------------------


def _blocks(a, n):
    """Return views of n blocks of columns; np.split takes longer than a small product."""
    width, rest = divmod(a.shape[-1], n)
    assert not rest
    return [a[..., k * width : (k + 1) * width] for k in range(n)]


def _steps(name, x, h_0, W, U, b, c, mask, codes, E, decay):
    """Return the state after each step, its parts side by side, and the backward functions."""
    cell = CELLS[name]
    U = _blocks(U, cell.n_gates)
    state, states, backwards = _blocks(h_0, cell.n_states), [], []
    for t, x_t in enumerate(x):
        sums = x_t @ W + b
        if codes is not None:
            sums = sums + E[codes[t]].sum(axis=0)
        if decay is not None:
            state = [decay[t] * part for part in state]
        sums = _blocks(sums, cell.n_gates)
        state, backward_step = cell.step(sums, mask * state[0], U, c, *state)
        states.append(np.concatenate(state, axis=-1))
        backwards.append(backward_step)
    return np.array(states), backwards


def forward(name, x, h_0, W, U, b, c, mask=1.0, codes=None, E=None, decay=None):
    """Return the states (T, SH) of one sequence x (T, D) from h_0 (SH,).

    With S = 2 the cell state is beside the hidden state. The mask (H,) of recurrent dropout
    multiplies h_{t-1} in the products with U, the same at every step. Codes (T, C) are rows of E,
    which are added to x W; decay (T, H) multiplies both parts of the state before each step.
    """
    return _steps(name, x, h_0, W, U, b, c, mask, codes, E, decay)[0]


def backward(name, x, h_0, W, U, b, c, d_states, mask=1.0, codes=None, E=None, decay=None):
    """Return the gradients of the loss of one sequence by name, given ∂L/∂states (T, SH)."""
    cell, H = CELLS[name], len(U)
    arrays = dict(x=x, W=W, U=U, b=b, c=c, E=E, decay=decay)
    grad = {name: np.zeros_like(a) for name, a in arrays.items() if a is not None}
    states, backwards = _steps(name, x, h_0, W, U, b, c, mask, codes, E, decay)
    d = np.zeros_like(h_0)
    for t in reversed(range(len(x))):
        a, products, d_past, d_state = backwards[t](*_blocks(d + d_states[t], cell.n_states))
        for k, (factor, d_product) in enumerate(products):
            grad["U"][:, k * H : (k + 1) * H] += np.outer(factor, d_product)
        if len(c):
            grad["c"] += d_product
        a = np.concatenate(a)
        grad["x"][t] = a @ W.T
        grad["W"] += np.outer(x[t], a)
        grad["b"] += a
        if codes is not None:
            for code in codes[t]:
                grad["E"][code] += a
        d = np.concatenate(d_state)
        d[:H] += mask * d_past
        if decay is not None:
            before = states[t - 1] if t else h_0
            grad["decay"][t] = (d * before).reshape(cell.n_states, H).sum(axis=0)
            d = d * np.tile(decay[t], cell.n_states)
    return {**grad, "h_0": d}


# ---- what the first layer reads ------------------------------------------------------------------


def decay(x, seen, elapsed, last, mean, w_x, b_x, W_h, b_h):
    """Return x̂ and the decay of the states of one sequence, as Che et al. 2018 write them.

    x, seen (m), elapsed (δ) and last (x') have shape (T, D); x may be NaN where seen is 0, and last
    before the first observation.
    """
    gamma_x = np.exp(-np.maximum(0, w_x * elapsed + b_x))
    gamma_h = np.exp(-np.maximum(0, elapsed @ W_h + b_h))
    filled = np.where(np.isnan(last), mean, gamma_x * last + (1 - gamma_x) * mean)
    return np.where(seen == 1, x, filled), gamma_h


# ---- pooling and dropout -------------------------------------------------------------------------


def attention(states, query):
    """Return Σ_t α_t h_t of one sequence (T, H), with α = softmax_t(h_t · q)."""
    scores = states @ query
    weights = np.exp(scores - scores.max())
    return weights / weights.sum() @ states


def dropout_mask(size, seed, rate):
    """Return which of `size` numbers are kept, by a hash of the seed and of each index."""
    key = (seed + 1) * 0x9E3779B97F4A7C15 % 2**64
    key = (key ^ key >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    key = (key ^ key >> 27) * 0x94D049BB133111EB % 2**64
    key ^= key >> 31
    bits = (np.arange(size, dtype=np.uint64) + np.uint64(key % 2**32)).astype(np.uint32)
    bits = (bits ^ bits >> 16) * np.uint32(0x7FEB352D)
    bits = (bits ^ bits >> 15 ^ np.uint32(key >> 32)) * np.uint32(0x846CA68B)
    bits = (bits ^ bits >> 16) * np.uint32(0x7FEB352D)
    return (bits ^ bits >> 15) >= int(rate * 2**32)
