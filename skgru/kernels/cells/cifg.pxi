"""The LSTM with coupled input and forget gate (Greff et al. 2017, arXiv:1503.04069): i = 1 - f.

Uses cell.pxi. Gates in the order f | o | c̃; c is the cell state, the second part of the state:

    f_t, o_t = σ(x_t W + h_{t-1} U + b)                  forget and output gate
    c̃_t = tanh(x_t W_c + h_{t-1} U_c + b_c)              candidate
    c_t = f_t ⊙ c_{t-1} + (1 - f_t) ⊙ c̃_t
    h_t = o_t ⊙ tanh(c_t)
"""


cdef void _cifg_forward(const CellStep* step) noexcept nogil:
    """Compute the gates, c and h."""
    cdef:
        Py_ssize_t H = step.H, j = 0, n
        real* saved = step.saved
        const real* cell_state_prev = step.cell_state_prev
        real* cell_state = step.cell_state
        real* h = step.h
        vec f, o, candidate, c
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        f = sigmoid(load(saved + j, n))
        o = sigmoid(load(saved + H + j, n))
        candidate = tanh(load(saved + 2 * H + j, n))
        c = f * load(cell_state_prev + j, n) + (1 - f) * candidate
        store(saved + j, f, n)
        store(saved + H + j, o, n)
        store(saved + 2 * H + j, candidate, n)
        store(cell_state + j, c, n)
        store(h + j, o * tanh(c), n)
        j += LANES


cdef void _cifg_backward(const CellStep* step) noexcept nogil:
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
        vec f, o, candidate, tanh_c, total, d_c
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        f = load(saved + j, n)
        o = load(saved + H + j, n)
        candidate = load(saved + 2 * H + j, n)
        tanh_c = tanh(load(cell_state + j, n))
        total = _total_gradient(d_h, d_output, j, n)
        d_c = load(d_cell_state + j, n) + total * o * (1 - tanh_c * tanh_c)
        store(d_gates + j, d_c * (load(cell_state_prev + j, n) - candidate) * f * (1 - f), n)
        store(d_gates + H + j, total * tanh_c * o * (1 - o), n)
        store(d_gates + 2 * H + j, d_c * (1 - f) * (1 - candidate * candidate), n)
        store(d_cell_state + j, d_c * f, n)
        store(d_h + j, zeros(), n)
        j += LANES


_add_cell("cifg", Cell(
    n_gates=3, n_extra=1, n_states=2, forget=0, candidate=JOINT,
    forward_gates=NULL, forward=_cifg_forward, backward=_cifg_backward, backward_gates=NULL))
