"""The minimal gated unit (Zhou et al. 2016, arXiv:1603.09420): one gate, in both places.

Columns in the order f | h̃:

    f_t = σ(x_t W_f + h_{t-1} U_f + b_f)                 f=0 keeps the past
    h̃_t = tanh(x_t W_h + (f_t ⊙ h_{t-1}) U_h + b_h)
    h_t = (1 - f_t) ⊙ h_{t-1} + f_t ⊙ h̃_t
"""


cdef void _mgu_gates(const row* r) noexcept nogil:
    """σ of what `saved` holds as f; f ⊙ past."""
    cdef:
        Py_ssize_t H = r.H, j = 0, n
        real* saved = r.saved
        const real* past = r.past
        real* inner = r.inner
        vec f
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        f = sigmoid(get(saved + j, n))
        put(saved + j, f, n)
        put(inner + j, f * get(past + j, n), n)
        j += LANES


cdef void _mgu_update(const row* r) noexcept nogil:
    """tanh of what `saved` holds as h̃; the new state."""
    cdef:
        Py_ssize_t H = r.H, j = 0, n
        real* saved = r.saved
        const real* h_prev = r.h_prev
        real* h = r.h
        vec f, candidate
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        f = get(saved + j, n)
        candidate = tangent(get(saved + H + j, n))
        put(saved + H + j, candidate, n)
        put(h + j, (1 - f) * get(h_prev + j, n) + f * candidate, n)
        j += LANES


cdef void _mgu_backward(const row* r) noexcept nogil:
    """Go back through the new state: a_h, δ ⊙ (1 - f), and of f what takes no product."""
    cdef:
        Py_ssize_t H = r.H, j = 0, n
        const real* saved = r.saved
        const real* h_prev = r.h_prev
        const real* d = r.d
        real* delta = r.delta
        real* a = r.a
        vec f, candidate, total
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        f = get(saved + j, n)
        candidate = get(saved + H + j, n)
        total = _state_gradient(delta, d, j, n)
        put(a + j, total * (candidate - get(h_prev + j, n)), n)
        put(a + H + j, total * f * (1 - candidate * candidate), n)
        put(delta + j, total * (1 - f), n)
        j += LANES


cdef void _mgu_backward_gates(const row* r) noexcept nogil:
    """Go back through f ⊙ past, given its gradient q: a_f and δ + q ⊙ f."""
    cdef:
        Py_ssize_t H = r.H, j = 0, n
        const real* saved = r.saved
        const real* past = r.past
        const real* q = r.d_inner
        const real* mask = r.mask
        real* delta = r.delta
        real* a = r.a
        real* inner = r.inner
        vec f, h, d_inner
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        f = get(saved + j, n)
        h = get(past + j, n)
        d_inner = get(q + j, n)
        put(a + j, (get(a + j, n) + d_inner * h) * f * (1 - f), n)
        put(inner + j, f * h, n)
        d_inner = d_inner * f
        if mask != NULL:
            d_inner = d_inner * get(mask + j, n)
        put(delta + j, get(delta + j, n) + d_inner, n)
        j += LANES


_add_cell("mgu", cell(2, OF_INNER, 0, 1, -1,
                      _mgu_gates, _mgu_update, _mgu_backward, _mgu_backward_gates))
