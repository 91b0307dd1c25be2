"""The plain recurrent network (Elman 1990): h_t = tanh(x_t W + h_{t-1} U + b)."""


cdef void _rnn_update(const row* r) noexcept nogil:
    cdef:
        Py_ssize_t H = r.H, j = 0, n
        real* saved = r.saved
        real* h = r.h
        vec state
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        state = tangent(get(saved + j, n))
        put(saved + j, state, n)
        put(h + j, state, n)
        j += LANES


cdef void _rnn_backward(const row* r) noexcept nogil:
    cdef:
        Py_ssize_t H = r.H, j = 0, n
        const real* saved = r.saved
        const real* d = r.d
        real* delta = r.delta
        real* a = r.a
        vec state, total
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        state = get(saved + j, n)
        total = _state_gradient(delta, d, j, n)
        put(a + j, total * (1 - state * state), n)
        put(delta + j, zeros(), n)
        j += LANES


_add_cell("rnn", cell(1, OF_PAST, 0, 1, -1, NULL, _rnn_update, _rnn_backward, NULL))
