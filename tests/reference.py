"""The specification: a GRU layer in plain NumPy, one sequence and one step at a time."""

import numpy as np


def sigmoid(a):
    # of -|a|, so that exp does not overflow
    e = np.exp(-np.abs(a))
    return np.where(a >= 0, 1 / (1 + e), e / (1 + e))


def gru_forward(x, h0, W, U, b, c):
    """States (T, H) of one sequence x (T, D) from h0 (H,); c of size 0: reset before."""
    H = len(U)
    W_r, W_z, W_h = W[:, :H], W[:, H : 2 * H], W[:, 2 * H :]
    U_r, U_z, U_h = U[:, :H], U[:, H : 2 * H], U[:, 2 * H :]
    b_r, b_z, b_h = b[:H], b[H : 2 * H], b[2 * H :]
    h, states = h0, []
    for x_t in x:
        r = sigmoid(x_t @ W_r + h @ U_r + b_r)
        z = sigmoid(x_t @ W_z + h @ U_z + b_z)
        past = r * (h @ U_h + c) if len(c) else (r * h) @ U_h
        candidate = np.tanh(x_t @ W_h + past + b_h)
        h = z * h + (1 - z) * candidate
        states.append(h)
    return np.array(states)


def gru_backward(x, h0, W, U, b, c, d_states):
    """Gradients of one sequence's loss, given its own ∂L/∂h_t (T, H), as a dict by name."""
    H, T = len(U), len(x)
    U_r, U_z, U_h = U[:, :H], U[:, H : 2 * H], U[:, 2 * H :]
    states = gru_forward(x, h0, W, U, b, c)
    grad = {name: np.zeros_like(a) for name, a in dict(x=x, W=W, U=U, b=b, c=c).items()}
    delta = np.zeros_like(h0)
    for t in reversed(range(T)):
        h_prev = states[t - 1] if t else h0
        gate = x[t] @ W + b
        r = sigmoid(gate[:H] + h_prev @ U_r)
        z = sigmoid(gate[H : 2 * H] + h_prev @ U_z)
        product = h_prev @ U_h + c if len(c) else (r * h_prev) @ U_h
        candidate = np.tanh(gate[2 * H :] + (r * product if len(c) else product))

        delta = delta + d_states[t]
        a_h = delta * (1 - z) * (1 - candidate**2)
        a_z = delta * (h_prev - candidate) * z * (1 - z)
        if len(c):
            a_r = a_h * product * r * (1 - r)
            d_prev = delta * z + (a_h * r) @ U_h.T
            grad["U"][:, 2 * H :] += np.outer(h_prev, a_h * r)
            grad["c"] += a_h * r
        else:
            q = a_h @ U_h.T
            a_r = q * h_prev * r * (1 - r)
            d_prev = delta * z + q * r
            grad["U"][:, 2 * H :] += np.outer(r * h_prev, a_h)
        a = np.concatenate([a_r, a_z, a_h])
        grad["x"][t] = a @ W.T
        grad["W"] += np.outer(x[t], a)
        grad["U"][:, : 2 * H] += np.outer(h_prev, a[: 2 * H])
        grad["b"] += a
        delta = d_prev + a_r @ U_r.T + a_z @ U_z.T
    return {**grad, "h0": delta}
