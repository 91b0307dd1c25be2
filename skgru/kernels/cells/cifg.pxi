"""The LSTM with coupled input and forget gate (Greff et al. 2017, arXiv:1503.04069): i = 1 - f.

Columns in the order f | o | g; c is the memory, the second part of a state:

    f_t, o_t = σ(x_t W + h_{t-1} U + b)                  forget and output gate
    g_t = tanh(x_t W_g + h_{t-1} U_g + b_g)
    c_t = f_t ⊙ c_{t-1} + (1 - f_t) ⊙ g_t
    h_t = o_t ⊙ tanh(c_t)
"""


cdef void _cifg_update(const row* r) noexcept nogil:
    cdef:
        Py_ssize_t H = r.H, j = 0, n
        real* saved = r.saved
        const real* memory_prev = r.memory_prev
        real* memory = r.memory
        real* h = r.h
        vec f, o, candidate, c
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        f = sigmoid(get(saved + j, n))
        o = sigmoid(get(saved + H + j, n))
        candidate = tangent(get(saved + 2 * H + j, n))
        c = f * get(memory_prev + j, n) + (1 - f) * candidate
        put(saved + j, f, n)
        put(saved + H + j, o, n)
        put(saved + 2 * H + j, candidate, n)
        put(memory + j, c, n)
        put(h + j, o * tangent(c), n)
        j += LANES


cdef void _cifg_backward(const row* r) noexcept nogil:
    cdef:
        Py_ssize_t H = r.H, j = 0, n
        const real* saved = r.saved
        const real* memory = r.memory
        const real* memory_prev = r.memory_prev
        const real* d = r.d
        real* delta = r.delta
        real* delta_memory = r.delta_memory
        real* a = r.a
        vec f, o, candidate, seen, total, d_c
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        f = get(saved + j, n)
        o = get(saved + H + j, n)
        candidate = get(saved + 2 * H + j, n)
        seen = tangent(get(memory + j, n))
        total = _state_gradient(delta, d, j, n)
        d_c = get(delta_memory + j, n) + total * o * (1 - seen * seen)
        put(a + j, d_c * (get(memory_prev + j, n) - candidate) * f * (1 - f), n)
        put(a + H + j, total * seen * o * (1 - o), n)
        put(a + 2 * H + j, d_c * (1 - f) * (1 - candidate * candidate), n)
        put(delta_memory + j, d_c * f, n)
        put(delta + j, zeros(), n)
        j += LANES


_add_cell("cifg", cell(3, OF_PAST, 1, 2, 0, NULL, _cifg_update, _cifg_backward, NULL))
