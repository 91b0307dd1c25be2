"""The gated recurrent unit: a layer forward over time, and backward through it.

Row vectors; columns of W (D, 3H), U (H, 3H) and b (3H) in the order r | z | h̃:

    r_t = σ(x_t W_r + h_{t-1} U_r + b_r)                 reset gate
    z_t = σ(x_t W_z + h_{t-1} U_z + b_z)                 update gate; z=1 keeps the past
    h̃_t = tanh(x_t W_h + (r_t ⊙ h_{t-1}) U_h + b_h)      candidate, reset before the product
    h̃_t = tanh(x_t W_h + b_h + r_t ⊙ (h_{t-1} U_h + c))  candidate, reset after it
    h_t = z_t ⊙ h_{t-1} + (1 - z_t) ⊙ h̃_t

Cho et al. 2014 (arXiv:1406.1078) for the first form of the candidate; the second is cuDNN's.

A minibatch is packed (see the package's docstring). ``states`` and ``d_states`` have B rows
before the N packed ones: the initial states h_0 and their gradient.
"""

from libc.math cimport exp, tanh

from skgru.kernels._blas cimport gemm, real

cdef extern from "activations.h" nogil:
    float skgru_sigmoidf(float x)
    float skgru_tanhf(float x)


cdef inline real sigmoid(real a) noexcept nogil:
    if real is float:
        return skgru_sigmoidf(a)
    else:
        return 1 / (1 + exp(-a))


cdef inline real tangent(real a) noexcept nogil:
    if real is float:
        return skgru_tanhf(a)
    else:
        return tanh(a)


def forward(
    const real[:, ::1] x,                    # IN   (N, D)
    const Py_ssize_t[::1] batch_sizes,       # IN   (T,)      rows of each step, never growing
    const real[:, ::1] W,                    # IN   (D, 3H)
    const real[:, ::1] U,                    # IN   (H, 3H)
    const real[::1] b,                       # IN   (3H,)
    const real[::1] c,                       # IN   (H,)      or (0,): reset before
    real[:, ::1] states,                     # INOUT (B+N, H) h_0, then h_t of each packed row
    real[:, ::1] gates,                      # OUT  (N, 3H)   r | z | h̃
    real[:, ::1] reset,                      # OUT  (N, H)    r ⊙ h_{t-1}; after: h_{t-1} U_h + c
):
    """Run one layer over all time steps of a packed minibatch."""
    _check_shapes(x.shape, batch_sizes, W.shape, U.shape, b.shape[0], c.shape[0],
                  states.shape, gates.shape, reset.shape)
    with nogil:
        _forward(x, batch_sizes, W, U, b, c, states, gates, reset)


cdef void _forward(
    const real[:, ::1] x, const Py_ssize_t[::1] batch_sizes,
    const real[:, ::1] W, const real[:, ::1] U, const real[::1] b, const real[::1] c,
    real[:, ::1] states, real[:, ::1] gates, real[:, ::1] reset,
) noexcept nogil:
    cdef:
        Py_ssize_t N = x.shape[0], D = x.shape[1], H = U.shape[0], G = 3 * H
        Py_ssize_t row = 0, previous = 0, t, k, j, n
        bint reset_after = c.shape[0] > 0
        real* g                                     # r | z | h̃ of one packed row
        real* s                                     # its row of reset
        const real* h_prev
        real* h

    # the input projection of all steps at once
    for k in range(N):
        for j in range(G):
            gates[k, j] = b[j]
    gemm(False, False, N, G, D, &x[0, 0], D, &W[0, 0], G, <real>1, &gates[0, 0], G)

    for t in range(batch_sizes.shape[0]):
        n = batch_sizes[t]
        gemm(False, False, n, 2 * H, H, &states[previous, 0], H, &U[0, 0], G,
             <real>1, &gates[row, 0], G)
        if reset_after:
            for k in range(n):
                for j in range(H):
                    reset[row + k, j] = c[j]
            gemm(False, False, n, H, H, &states[previous, 0], H, &U[0, 2 * H], G,
                 <real>1, &reset[row, 0], H)
            for k in range(n):
                g = &gates[row + k, 0]
                s = &reset[row + k, 0]
                for j in range(2 * H):
                    g[j] = sigmoid(g[j])
                for j in range(H):
                    g[2 * H + j] += g[j] * s[j]
        else:
            for k in range(n):
                g = &gates[row + k, 0]
                s = &reset[row + k, 0]
                h_prev = &states[previous + k, 0]
                for j in range(2 * H):
                    g[j] = sigmoid(g[j])
                for j in range(H):
                    s[j] = g[j] * h_prev[j]
            gemm(False, False, n, H, H, &reset[row, 0], H, &U[0, 2 * H], G,
                 <real>1, &gates[row, 2 * H], G)
        for k in range(n):
            g = &gates[row + k, 0]
            h_prev = &states[previous + k, 0]
            h = &states[batch_sizes[0] + row + k, 0]
            for j in range(H):
                g[2 * H + j] = tangent(g[2 * H + j])
                h[j] = g[H + j] * h_prev[j] + (1 - g[H + j]) * g[2 * H + j]
        previous = batch_sizes[0] + row
        row += n


def backward(
    const real[:, ::1] x,                    # IN   (N, D)
    const Py_ssize_t[::1] batch_sizes,       # IN   (T,)
    const real[:, ::1] W,                    # IN   (D, 3H)
    const real[:, ::1] U,                    # IN   (H, 3H)
    const real[:, ::1] states,               # IN   (B+N, H)  from forward
    real[:, ::1] gates,                      # INOUT (N, 3H)  r | z | h̃, then a_r | a_z | a_h
    real[:, ::1] reset,                      # INOUT (N, H)   of forward; reset after: then r ⊙ a_h
    real[:, ::1] d_states,                   # INOUT (B+N, H) the loss's own ∂L/∂h_t, then the total
    real[:, ::1] dx,                         # OUT  (N, D)    or (0, D): not wanted
    real[:, ::1] dW,                         # OUT  (D, 3H)
    real[:, ::1] dU,                         # OUT  (H, 3H)
    real[::1] db,                            # OUT  (3H,)
    real[::1] dc,                            # OUT  (H,)      or (0,): reset before
):
    """Backpropagate through all time steps of a packed minibatch.

    ``d_states`` comes in with the gradient that the loss (or the layer above) has at each state,
    and goes out with the whole gradient of each state; its first B rows are then ∂L/∂h_0.
    """
    _check_shapes(x.shape, batch_sizes, W.shape, U.shape, db.shape[0], dc.shape[0],
                  states.shape, gates.shape, reset.shape)
    if (d_states.shape[0] != states.shape[0] or d_states.shape[1] != states.shape[1]
            or dW.shape[0] != W.shape[0] or dW.shape[1] != W.shape[1]
            or dU.shape[0] != U.shape[0] or dU.shape[1] != U.shape[1]
            or dx.shape[1] != x.shape[1] or dx.shape[0] not in (0, x.shape[0])):
        raise ValueError("the gradient arrays do not have the shapes of what they belong to")
    with nogil:
        _backward_in_time(batch_sizes, U, states, gates, reset, d_states, dc.shape[0] > 0)
        _weight_gradients(x, batch_sizes, states, gates, reset, dW, dU, db, dc)
        if dx.shape[0]:
            gemm(False, True, x.shape[0], x.shape[1], gates.shape[1],
                 &gates[0, 0], gates.shape[1], &W[0, 0], W.shape[1],
                 <real>0, &dx[0, 0], x.shape[1])


cdef void _backward_in_time(
    const Py_ssize_t[::1] batch_sizes, const real[:, ::1] U, const real[:, ::1] states,
    real[:, ::1] gates, real[:, ::1] reset, real[:, ::1] d_states, bint reset_after,
) noexcept nogil:
    """Turn gates into the gradients a_r | a_z | a_h of what σ and tanh were taken of."""
    cdef:
        Py_ssize_t B = batch_sizes[0], T = batch_sizes.shape[0]
        Py_ssize_t H = U.shape[0], G = 3 * H
        Py_ssize_t row = gates.shape[0], previous, t, k, j, n
        real r, z, candidate, q
        const real* h_prev
        const real* d
        real* g
        real* s
        real* d_prev

    for t in range(T - 1, -1, -1):
        n = batch_sizes[t]
        row -= n
        previous = B + row - batch_sizes[t - 1] if t else 0
        for k in range(n):
            g = &gates[row + k, 0]
            s = &reset[row + k, 0]
            h_prev = &states[previous + k, 0]
            d = &d_states[B + row + k, 0]
            d_prev = &d_states[previous + k, 0]
            for j in range(H):
                z = g[H + j]
                candidate = g[2 * H + j]
                g[2 * H + j] = d[j] * (1 - z) * (1 - candidate * candidate)
                g[H + j] = d[j] * (h_prev[j] - candidate) * z * (1 - z)
                d_prev[j] += d[j] * z
            if reset_after:
                for j in range(H):
                    r = g[j]
                    g[j] = g[2 * H + j] * s[j] * r * (1 - r)
                    s[j] = g[2 * H + j] * r
        if reset_after:
            gemm(False, True, n, H, H, &reset[row, 0], H, &U[0, 2 * H], G,
                 <real>1, &d_states[previous, 0], H)
        else:
            # q = a_h U_hᵀ = ∂L/∂(r ⊙ h_{t-1}) takes the place of r ⊙ h_{t-1} for this one step,
            # which is then put back from its factors: the weight gradient still needs it.
            gemm(False, True, n, H, H, &gates[row, 2 * H], G, &U[0, 2 * H], G,
                 <real>0, &reset[row, 0], H)
            for k in range(n):
                g = &gates[row + k, 0]
                s = &reset[row + k, 0]
                h_prev = &states[previous + k, 0]
                d_prev = &d_states[previous + k, 0]
                for j in range(H):
                    r = g[j]
                    q = s[j]
                    g[j] = q * h_prev[j] * r * (1 - r)
                    d_prev[j] += q * r
                    s[j] = r * h_prev[j]
        gemm(False, True, n, H, 2 * H, &gates[row, 0], G, &U[0, 0], G,
             <real>1, &d_states[previous, 0], H)


cdef void _weight_gradients(
    const real[:, ::1] x, const Py_ssize_t[::1] batch_sizes, const real[:, ::1] states,
    const real[:, ::1] gates, const real[:, ::1] reset,
    real[:, ::1] dW, real[:, ::1] dU, real[::1] db, real[::1] dc,
) noexcept nogil:
    """Sum ∂L/∂W, ∂L/∂U, ∂L/∂b and ∂L/∂c over all rows, in products as large as can be."""
    cdef:
        Py_ssize_t N = x.shape[0], D = x.shape[1], H = dU.shape[0], G = 3 * H
        Py_ssize_t B = batch_sizes[0], T = batch_sizes.shape[0]
        Py_ssize_t row = 0, previous = 0, first = 0, first_previous = 0, t, k, j
        bint reset_after = dc.shape[0] > 0
        real beta = 0

    gemm(True, False, D, G, N, &x[0, 0], D, &gates[0, 0], G, <real>0, &dW[0, 0], G)
    db[:] = 0
    for k in range(N):
        for j in range(G):
            db[j] += gates[k, j]
    if reset_after:
        dc[:] = 0
        for k in range(N):
            for j in range(H):
                dc[j] += reset[k, j]
    else:
        gemm(True, False, H, H, N, &reset[0, 0], H, &gates[0, 2 * H], G,
             <real>0, &dU[0, 2 * H], G)

    # h_{t-1} of the packed rows lies row after row while no sequence ends; where one does, a new
    # product begins.
    for t in range(T + 1):
        if t == T or previous != first_previous + row - first:
            gemm(True, False, H, 2 * H, row - first, &states[first_previous, 0], H,
                 &gates[first, 0], G, beta, &dU[0, 0], G)
            if reset_after:
                gemm(True, False, H, H, row - first, &states[first_previous, 0], H,
                     &reset[first, 0], H, beta, &dU[0, 2 * H], G)
            beta = 1
            first = row
            first_previous = previous
        if t < T:
            previous = B + row
            row += batch_sizes[t]


cdef int _check_shapes(
    const Py_ssize_t* x, const Py_ssize_t[::1] batch_sizes, const Py_ssize_t* W,
    const Py_ssize_t* U, Py_ssize_t b, Py_ssize_t c, const Py_ssize_t* states,
    const Py_ssize_t* gates, const Py_ssize_t* reset,
) except -1:
    """Raise ValueError unless the arrays of a layer fit together: no access is checked later."""
    cdef Py_ssize_t N = x[0], D = x[1], H = U[0], rows = 0, t
    if batch_sizes.shape[0] == 0 or D == 0 or H == 0:
        raise ValueError("a layer needs at least one time step, one channel and one unit")
    for t in range(batch_sizes.shape[0]):
        if batch_sizes[t] < 1 or batch_sizes[t] > batch_sizes[max(t - 1, 0)]:
            raise ValueError("batch_sizes must be positive and never grow")
        rows += batch_sizes[t]
    if rows != N:
        raise ValueError(f"batch_sizes add up to {rows} rows, x has {N}")
    if W[0] != D or W[1] != 3 * H or U[1] != 3 * H or b != 3 * H or c not in (0, H):
        raise ValueError("W, U, b and c must be (D, 3H), (H, 3H), (3H,) and (H,) or (0,)")
    if (states[0] != batch_sizes[0] + N or states[1] != H or gates[0] != N or gates[1] != 3 * H
            or reset[0] != N or reset[1] != H):
        raise ValueError("states, gates and reset must be (B+N, H), (N, 3H) and (N, H)")
    return 0
