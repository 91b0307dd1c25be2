"""The gated recurrent unit (Cho et al. 2014, arXiv:1406.1078), and cuDNN's form of it.

Columns in the order r | z | h̃:

    r_t = σ(x_t W_r + h_{t-1} U_r + b_r)                 reset gate
    z_t = σ(x_t W_z + h_{t-1} U_z + b_z)                 update gate; z=1 keeps the past
    h̃_t = tanh(x_t W_h + (r_t ⊙ h_{t-1}) U_h + b_h)      candidate, reset before the product
    h̃_t = tanh(x_t W_h + b_h + r_t ⊙ (h_{t-1} U_h + c))  candidate, reset after it
    h_t = z_t ⊙ h_{t-1} + (1 - z_t) ⊙ h̃_t
"""


# ---- reset before ----------------------------------------------------------------------------

cdef void _gru_gates(const row* r) noexcept nogil:
    """σ of what `saved` holds as r | z; r ⊙ past."""
    cdef:
        Py_ssize_t H = r.H, j = 0, n
        real* saved = r.saved
        const real* past = r.past
        real* inner = r.inner
        vec reset
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        reset = sigmoid(get(saved + j, n))
        put(saved + j, reset, n)
        put(saved + H + j, sigmoid(get(saved + H + j, n)), n)
        put(inner + j, reset * get(past + j, n), n)
        j += LANES


cdef void _gru_update(const row* r) noexcept nogil:
    """tanh of what `saved` holds as h̃; the new state."""
    cdef:
        Py_ssize_t H = r.H, j = 0, n
        real* saved = r.saved
        const real* h_prev = r.h_prev
        real* h = r.h
        vec z, candidate
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        z = get(saved + H + j, n)
        candidate = tangent(get(saved + 2 * H + j, n))
        put(saved + 2 * H + j, candidate, n)
        put(h + j, z * get(h_prev + j, n) + (1 - z) * candidate, n)
        j += LANES


cdef void _gru_backward(const row* r) noexcept nogil:
    """Go back through the new state: a_z, a_h and δ ⊙ z."""
    cdef:
        Py_ssize_t H = r.H, j = 0, n
        const real* saved = r.saved
        const real* h_prev = r.h_prev
        const real* d = r.d
        real* delta = r.delta
        real* a = r.a
        vec z, candidate, total
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        z = get(saved + H + j, n)
        candidate = get(saved + 2 * H + j, n)
        total = _state_gradient(delta, d, j, n)
        put(a + 2 * H + j, total * (1 - z) * (1 - candidate * candidate), n)
        put(a + H + j, total * (get(h_prev + j, n) - candidate) * z * (1 - z), n)
        put(delta + j, total * z, n)
        j += LANES


cdef void _gru_backward_gates(const row* r) noexcept nogil:
    """Go back through r ⊙ past, given its gradient q: a_r and δ + q ⊙ r."""
    cdef:
        Py_ssize_t H = r.H, j = 0, n
        const real* saved = r.saved
        const real* past = r.past
        const real* q = r.d_inner
        const real* mask = r.mask
        real* delta = r.delta
        real* a = r.a
        real* inner = r.inner
        vec reset, h, d_reset
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        reset = get(saved + j, n)
        h = get(past + j, n)
        d_reset = get(q + j, n)
        put(a + j, d_reset * h * reset * (1 - reset), n)
        put(inner + j, reset * h, n)
        d_reset = d_reset * reset
        if mask != NULL:
            d_reset = d_reset * get(mask + j, n)
        put(delta + j, get(delta + j, n) + d_reset, n)
        j += LANES


_add_cell("gru", cell(3, OF_INNER, 0, 1, -1,
                      _gru_gates, _gru_update, _gru_backward, _gru_backward_gates))


# ---- reset after -----------------------------------------------------------------------------

cdef void _gru_after_update(const row* r) noexcept nogil:
    """Compute the gates, the candidate, which adds r times the fourth block, and the new state."""
    cdef:
        Py_ssize_t H = r.H, j = 0, n
        real* saved = r.saved
        const real* h_prev = r.h_prev
        real* h = r.h
        vec reset, z, candidate
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        reset = sigmoid(get(saved + j, n))
        z = sigmoid(get(saved + H + j, n))
        candidate = tangent(get(saved + 2 * H + j, n) + reset * get(saved + 3 * H + j, n))
        put(saved + j, reset, n)
        put(saved + H + j, z, n)
        put(saved + 2 * H + j, candidate, n)
        put(h + j, z * get(h_prev + j, n) + (1 - z) * candidate, n)
        j += LANES


cdef void _gru_after_backward(const row* r) noexcept nogil:
    """Go back through all of it: a_r, a_z, a_h, r ⊙ a_h and δ ⊙ z."""
    cdef:
        Py_ssize_t H = r.H, j = 0, n
        const real* saved = r.saved
        const real* h_prev = r.h_prev
        const real* d = r.d
        real* delta = r.delta
        real* a = r.a
        real* inner = r.inner
        vec reset, z, candidate, total, a_h
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        reset = get(saved + j, n)
        z = get(saved + H + j, n)
        candidate = get(saved + 2 * H + j, n)
        total = _state_gradient(delta, d, j, n)
        a_h = total * (1 - z) * (1 - candidate * candidate)
        put(a + j, a_h * get(saved + 3 * H + j, n) * reset * (1 - reset), n)
        put(a + H + j, total * (get(h_prev + j, n) - candidate) * z * (1 - z), n)
        put(a + 2 * H + j, a_h, n)
        put(inner + j, a_h * reset, n)
        put(delta + j, total * z, n)
        j += LANES


_add_cell("gru_reset_after", cell(3, APART, 1, 1, -1,
                                  NULL, _gru_after_update, _gru_after_backward, NULL))
