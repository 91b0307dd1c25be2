"""Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate of Gers et al. 2000).

Columns in the order i | f | o | g; c is the memory, the second part of a state:

    i_t, f_t, o_t = σ(x_t W + h_{t-1} U + b)             input, forget and output gate
    g_t = tanh(x_t W_g + h_{t-1} U_g + b_g)
    c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
    h_t = o_t ⊙ tanh(c_t)
"""


cdef void _lstm_update(const row* r) noexcept nogil:
    cdef:
        Py_ssize_t H = r.H, j = 0, n
        real* saved = r.saved
        const real* memory_prev = r.memory_prev
        real* memory = r.memory
        real* h = r.h
        vec i, f, o, candidate, c
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        i = sigmoid(get(saved + j, n))
        f = sigmoid(get(saved + H + j, n))
        o = sigmoid(get(saved + 2 * H + j, n))
        candidate = tangent(get(saved + 3 * H + j, n))
        c = f * get(memory_prev + j, n) + i * candidate
        put(saved + j, i, n)
        put(saved + H + j, f, n)
        put(saved + 2 * H + j, o, n)
        put(saved + 3 * H + j, candidate, n)
        put(memory + j, c, n)
        put(h + j, o * tangent(c), n)
        j += LANES


cdef void _lstm_backward(const row* r) noexcept nogil:
    cdef:
        Py_ssize_t H = r.H, j = 0, n
        const real* saved = r.saved
        const real* memory = r.memory
        const real* memory_prev = r.memory_prev
        const real* d = r.d
        real* delta = r.delta
        real* delta_memory = r.delta_memory
        real* a = r.a
        vec i, f, o, candidate, seen, total, d_c
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        i = get(saved + j, n)
        f = get(saved + H + j, n)
        o = get(saved + 2 * H + j, n)
        candidate = get(saved + 3 * H + j, n)
        seen = tangent(get(memory + j, n))
        total = _state_gradient(delta, d, j, n)
        d_c = get(delta_memory + j, n) + total * o * (1 - seen * seen)
        put(a + j, d_c * candidate * i * (1 - i), n)
        put(a + H + j, d_c * get(memory_prev + j, n) * f * (1 - f), n)
        put(a + 2 * H + j, total * seen * o * (1 - o), n)
        put(a + 3 * H + j, d_c * i * (1 - candidate * candidate), n)
        put(delta_memory + j, d_c * f, n)
        put(delta + j, zeros(), n)
        j += LANES


_add_cell("lstm", cell(4, OF_PAST, 1, 2, 1, NULL, _lstm_update, _lstm_backward, NULL))
