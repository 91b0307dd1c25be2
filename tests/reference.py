"""The specification: the kernels in plain NumPy, one sequence and one step at a time.

And what the tests of kernels share: packed minibatches, and arrays of wrong shapes.
"""

import numpy as np


def sigmoid(a):
    # of -|a|, so that exp does not overflow
    e = np.exp(-np.abs(a))
    return np.where(a >= 0, 1 / (1 + e), e / (1 + e))


# ---- the layer -------------------------------------------------------------------------------


def gru_forward(x, h0, W, U, b, c, mask=None):
    """States (T, H) of one sequence x (T, D) from h0 (H,); c of size 0: reset before.

    The mask (H,) is of recurrent dropout: of the past where U takes it, at every step.
    """
    H = len(U)
    W_r, W_z, W_h = W[:, :H], W[:, H : 2 * H], W[:, 2 * H :]
    U_r, U_z, U_h = U[:, :H], U[:, H : 2 * H], U[:, 2 * H :]
    b_r, b_z, b_h = b[:H], b[H : 2 * H], b[2 * H :]
    h, states, mask = h0, [], 1 if mask is None else mask
    for x_t in x:
        past = mask * h
        r = sigmoid(x_t @ W_r + past @ U_r + b_r)
        z = sigmoid(x_t @ W_z + past @ U_z + b_z)
        product = r * (past @ U_h + c) if len(c) else (r * past) @ U_h
        candidate = np.tanh(x_t @ W_h + product + b_h)
        h = z * h + (1 - z) * candidate
        states.append(h)
    return np.array(states)


def gru_backward(x, h0, W, U, b, c, d_states, mask=None):
    """Gradients of one sequence's loss, given its own ∂L/∂h_t (T, H), as a dict by name."""
    H, T = len(U), len(x)
    U_r, U_z, U_h = U[:, :H], U[:, H : 2 * H], U[:, 2 * H :]
    states = gru_forward(x, h0, W, U, b, c, mask)
    grad = {name: np.zeros_like(a) for name, a in dict(x=x, W=W, U=U, b=b, c=c).items()}
    delta, mask = np.zeros_like(h0), 1 if mask is None else mask
    for t in reversed(range(T)):
        h_prev = states[t - 1] if t else h0
        past = mask * h_prev
        gate = x[t] @ W + b
        r = sigmoid(gate[:H] + past @ U_r)
        z = sigmoid(gate[H : 2 * H] + past @ U_z)
        product = past @ U_h + c if len(c) else (r * past) @ U_h
        candidate = np.tanh(gate[2 * H :] + (r * product if len(c) else product))

        delta = delta + d_states[t]
        a_h = delta * (1 - z) * (1 - candidate**2)
        a_z = delta * (h_prev - candidate) * z * (1 - z)
        if len(c):
            a_r = a_h * product * r * (1 - r)
            d_past = (a_h * r) @ U_h.T
            grad["U"][:, 2 * H :] += np.outer(past, a_h * r)
            grad["c"] += a_h * r
        else:
            q = a_h @ U_h.T
            a_r = q * past * r * (1 - r)
            d_past = q * r
            grad["U"][:, 2 * H :] += np.outer(r * past, a_h)
        a = np.concatenate([a_r, a_z, a_h])
        grad["x"][t] = a @ W.T
        grad["W"] += np.outer(x[t], a)
        grad["U"][:, : 2 * H] += np.outer(past, a[: 2 * H])
        grad["b"] += a
        delta = delta * z + mask * (d_past + a_r @ U_r.T + a_z @ U_z.T)
    return {**grad, "h0": delta}


# ---- pooling and dropout ---------------------------------------------------------------------


def attention(states, query):
    """Σ_t α_t h_t of one sequence (T, H), with α = softmax_t(h_t · q)."""
    scores = states @ query
    weights = np.exp(scores - scores.max())
    return weights / weights.sum() @ states


def dropout_mask(size, seed, rate):
    """Which of so many numbers stay, by a hash of the seed and of each one's number."""
    key = (seed + 1) * 0x9E3779B97F4A7C15 % 2**64
    key = (key ^ key >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    key = (key ^ key >> 27) * 0x94D049BB133111EB % 2**64
    key ^= key >> 31
    bits = (np.arange(size, dtype=np.uint64) + np.uint64(key % 2**32)).astype(np.uint32)
    bits = (bits ^ bits >> 16) * np.uint32(0x7FEB352D)
    bits = (bits ^ bits >> 15 ^ np.uint32(key >> 32)) * np.uint32(0x846CA68B)
    bits = (bits ^ bits >> 16) * np.uint32(0x7FEB352D)
    return (bits ^ bits >> 15) >= int(rate * 2**32)


# ---- minibatches, and wrong ones -------------------------------------------------------------


def pack(sequences):
    """Time-major rows of sequences sorted from long to short."""
    lengths = np.array([len(s) for s in sequences])
    batch_sizes = np.array([(lengths > t).sum() for t in range(lengths[0])], dtype=np.intp)
    rows = [sequences[i][t] for t, n in enumerate(batch_sizes) for i in range(n)]
    return np.array(rows), batch_sizes


def unpack(rows, batch_sizes):
    """Make `pack`'s sequences of its rows."""
    steps = np.split(rows, np.cumsum(batch_sizes)[:-1])
    return [np.array([s[i] for s in steps if i < len(s)]) for i in range(batch_sizes[0])]


def ragged_lengths(B, T):
    """So many lengths of up to T, from long to short."""
    return -np.sort(-np.r_[T, 1 + np.arange(1, B) * 7919 % T])


def relative_error(actual, expected):
    """Largest error over the largest value: single entries may be zero by cancellation."""
    return np.abs(actual - expected).max(initial=0) / np.abs(expected).max(initial=1e-37)


def central_differences(loss, array):
    """Gradient of loss(), which looks at the array."""
    numeric = np.empty_like(array)
    for index in np.ndindex(array.shape):
        value, step = array[index], 1e-5
        array[index] = value + step
        above = loss()
        array[index] = value - step
        below = loss()
        array[index] = value
        numeric[index] = (above - below) / (2 * step)
    return numeric


def accepted_shapes(kernel, arguments):
    """What a kernel takes in place of its arguments' shapes, which must be nothing unforeseen.

    Every axis of every array is one longer, one shorter and empty, the other arrays as they were.
    """
    accepted = set()
    for name, array in arguments.items():
        for axis, n in enumerate(getattr(array, "shape", ())):
            for size in {0, n - 1, n + 1} - {-1, n}:
                shape = (*array.shape[:axis], size, *array.shape[axis + 1 :])
                try:
                    kernel(**{**arguments, name: np.resize(array, shape)})
                except ValueError:
                    continue
                accepted.add((name, shape))
    return accepted
