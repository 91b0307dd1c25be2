"""The plain recurrent network (Elman 1990): h_t = tanh(x_t W + h_{t-1} U + b).

Uses cell.pxi.
"""


cdef void _rnn_forward(const CellStep* step) noexcept nogil:
    """Compute h."""
    cdef:
        Py_ssize_t H = step.H, j = 0, n
        real* saved = step.saved
        real* h = step.h
        vec state
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        state = tanh(load(saved + j, n))
        store(saved + j, state, n)
        store(h + j, state, n)
        j += LANES


cdef void _rnn_backward(const CellStep* step) noexcept nogil:
    """Compute the gradient of the pre-activation; h_{t-1} has none that bypasses U."""
    cdef:
        Py_ssize_t H = step.H, j = 0, n
        const real* saved = step.saved
        const real* d_output = step.d_output
        real* d_h = step.d_h
        real* d_gates = step.d_gates
        vec state, total
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        state = load(saved + j, n)
        total = _total_gradient(d_h, d_output, j, n)
        store(d_gates + j, total * (1 - state * state), n)
        store(d_h + j, zeros(), n)
        j += LANES


_add_cell("rnn", Cell(
    n_gates=1, n_extra=0, n_states=1, forget=-1, candidate=JOINT,
    forward_gates=NULL, forward=_rnn_forward, backward=_rnn_backward, backward_gates=NULL))
