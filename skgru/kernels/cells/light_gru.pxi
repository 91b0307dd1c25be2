"""The light GRU (Ravanelli et al. 2018, arXiv:1803.10225): a GRU without reset gate.

Columns in the order z | h̃:

    z_t = σ(x_t W_z + h_{t-1} U_z + b_z)                 z=1 keeps the past
    h̃_t = tanh or relu(x_t W_h + h_{t-1} U_h + b_h)
    h_t = z_t ⊙ h_{t-1} + (1 - z_t) ⊙ h̃_t
"""


cdef inline void _light_update(const row* r, bint relu) noexcept nogil:
    cdef:
        Py_ssize_t H = r.H, j = 0, n
        real* saved = r.saved
        const real* h_prev = r.h_prev
        real* h = r.h
        vec z, candidate
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        z = sigmoid(get(saved + j, n))
        candidate = get(saved + H + j, n)
        candidate = rectified(candidate) if relu else tangent(candidate)
        put(saved + j, z, n)
        put(saved + H + j, candidate, n)
        put(h + j, z * get(h_prev + j, n) + (1 - z) * candidate, n)
        j += LANES


cdef inline void _light_backward(const row* r, bint relu) noexcept nogil:
    cdef:
        Py_ssize_t H = r.H, j = 0, n
        const real* saved = r.saved
        const real* h_prev = r.h_prev
        const real* d = r.d
        real* delta = r.delta
        real* a = r.a
        vec z, candidate, total, slope
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        z = get(saved + j, n)
        candidate = get(saved + H + j, n)
        total = _state_gradient(delta, d, j, n)
        slope = step(candidate) if relu else 1 - candidate * candidate
        put(a + j, total * (get(h_prev + j, n) - candidate) * z * (1 - z), n)
        put(a + H + j, total * (1 - z) * slope, n)
        put(delta + j, total * z, n)
        j += LANES


cdef void _light_tanh_update(const row* r) noexcept nogil:
    _light_update(r, False)


cdef void _light_tanh_backward(const row* r) noexcept nogil:
    _light_backward(r, False)


cdef void _light_relu_update(const row* r) noexcept nogil:
    _light_update(r, True)


cdef void _light_relu_backward(const row* r) noexcept nogil:
    _light_backward(r, True)


_add_cell("light_gru", cell(2, OF_PAST, 0, 1, -1,
                            NULL, _light_tanh_update, _light_tanh_backward, NULL))
_add_cell("light_gru_relu", cell(2, OF_PAST, 0, 1, -1,
                                 NULL, _light_relu_update, _light_relu_backward, NULL))
