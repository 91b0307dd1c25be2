"""Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate of Gers et al. 2000).

Uses cell.pxi. Gates in the order i | f | o | c̃; c is the cell state, the second part of the state:

    i_t, f_t, o_t = σ(x_t W + h_{t-1} U + b)             input, forget and output gate
    c̃_t = tanh(x_t W_c + h_{t-1} U_c + b_c)              candidate
    c_t = f_t ⊙ c_{t-1} + i_t ⊙ c̃_t
    h_t = o_t ⊙ tanh(c_t)
"""


cdef void _lstm_forward(const CellStep* step) noexcept nogil:
    """Compute the gates, c and h."""
    cdef:
        Py_ssize_t H = step.H, j = 0, n
        real* saved = step.saved
        const real* cell_state_prev = step.cell_state_prev
        real* cell_state = step.cell_state
        real* h = step.h
        vec i, f, o, candidate, c
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        i = sigmoid(load(saved + j, n))
        f = sigmoid(load(saved + H + j, n))
        o = sigmoid(load(saved + 2 * H + j, n))
        candidate = tanh(load(saved + 3 * H + j, n))
        c = f * load(cell_state_prev + j, n) + i * candidate
        store(saved + j, i, n)
        store(saved + H + j, f, n)
        store(saved + 2 * H + j, o, n)
        store(saved + 3 * H + j, candidate, n)
        store(cell_state + j, c, n)
        store(h + j, o * tanh(c), n)
        j += LANES


cdef void _lstm_backward(const CellStep* step) noexcept nogil:
    """Compute the gradients of the gates and of c_{t-1}; h_{t-1} has none that bypasses U."""
    cdef:
        Py_ssize_t H = step.H, j = 0, n
        const real* saved = step.saved
        const real* cell_state = step.cell_state
        const real* cell_state_prev = step.cell_state_prev
        const real* d_output = step.d_output
        real* d_h = step.d_h
        real* d_cell_state = step.d_cell_state
        real* d_gates = step.d_gates
        vec i, f, o, candidate, tanh_c, total, d_c
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        i = load(saved + j, n)
        f = load(saved + H + j, n)
        o = load(saved + 2 * H + j, n)
        candidate = load(saved + 3 * H + j, n)
        tanh_c = tanh(load(cell_state + j, n))
        total = _total_gradient(d_h, d_output, j, n)
        d_c = load(d_cell_state + j, n) + total * o * (1 - tanh_c * tanh_c)
        store(d_gates + j, d_c * candidate * i * (1 - i), n)
        store(d_gates + H + j, d_c * load(cell_state_prev + j, n) * f * (1 - f), n)
        store(d_gates + 2 * H + j, total * tanh_c * o * (1 - o), n)
        store(d_gates + 3 * H + j, d_c * i * (1 - candidate * candidate), n)
        store(d_cell_state + j, d_c * f, n)
        store(d_h + j, zeros(), n)
        j += LANES


_add_cell("lstm", Cell(
    n_gates=4, n_extra=1, n_states=2, forget=1, candidate=JOINT,
    forward_gates=NULL, forward=_lstm_forward, backward=_lstm_backward, backward_gates=NULL))
