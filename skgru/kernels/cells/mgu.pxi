"""The minimal gated unit (Zhou et al. 2016, arXiv:1603.09420): a GRU whose two gates are one.

Uses cell.pxi. Gates in the order f | h̃:

    f_t = σ(x_t W_f + h_{t-1} U_f + b_f)                 forget gate; f=0 keeps h_{t-1}
    h̃_t = tanh(x_t W_h + (f_t ⊙ h_{t-1}) U_h + b_h)      candidate
    h_t = (1 - f_t) ⊙ h_{t-1} + f_t ⊙ h̃_t
"""


cdef void _mgu_forward_gates(const CellStep* step) noexcept nogil:
    """Compute f and the gated state f ⊙ recurrent input."""
    cdef:
        Py_ssize_t H = step.H, j = 0, n
        real* saved = step.saved
        const real* recurrent_input = step.recurrent_input
        real* gated_state = step.gated_state
        vec f
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        f = sigmoid(load(saved + j, n))
        store(saved + j, f, n)
        store(gated_state + j, f * load(recurrent_input + j, n), n)
        j += LANES


cdef void _mgu_forward(const CellStep* step) noexcept nogil:
    """Compute h̃ and h."""
    cdef:
        Py_ssize_t H = step.H, j = 0, n
        real* saved = step.saved
        const real* h_prev = step.h_prev
        real* h = step.h
        vec f, candidate
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        f = load(saved + j, n)
        candidate = tanh(load(saved + H + j, n))
        store(saved + H + j, candidate, n)
        store(h + j, (1 - f) * load(h_prev + j, n) + f * candidate, n)
        j += LANES


cdef void _mgu_backward(const CellStep* step) noexcept nogil:
    """Compute the gradients of h̃ and of h_{t-1} where f keeps it; begin with that of f."""
    cdef:
        Py_ssize_t H = step.H, j = 0, n
        const real* saved = step.saved
        const real* h_prev = step.h_prev
        const real* d_output = step.d_output
        real* d_h = step.d_h
        real* d_gates = step.d_gates
        vec f, candidate, total
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        f = load(saved + j, n)
        candidate = load(saved + H + j, n)
        total = _total_gradient(d_h, d_output, j, n)
        store(d_gates + j, total * (candidate - load(h_prev + j, n)), n)  # not through σ yet
        store(d_gates + H + j, total * f * (1 - candidate * candidate), n)
        store(d_h + j, total * (1 - f), n)
        j += LANES


cdef void _mgu_backward_gates(const CellStep* step) noexcept nogil:
    """Complete the gradient of f; add that of h_{t-1} in the gated state, which is recomputed."""
    cdef:
        Py_ssize_t H = step.H, j = 0, n
        const real* saved = step.saved
        const real* recurrent_input = step.recurrent_input
        const real* d_gated_state = step.d_gated_state
        const real* mask = step.mask
        real* d_h = step.d_h
        real* d_gates = step.d_gates
        real* gated_state = step.gated_state
        vec f, h, d
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        f = load(saved + j, n)
        h = load(recurrent_input + j, n)
        d = load(d_gated_state + j, n)
        store(d_gates + j, (load(d_gates + j, n) + d * h) * f * (1 - f), n)
        store(gated_state + j, f * h, n)
        d = d * f
        if mask != NULL:
            d = d * load(mask + j, n)
        store(d_h + j, load(d_h + j, n) + d, n)
        j += LANES


_add_cell("mgu", Cell(
    n_gates=2, n_extra=0, n_states=1, forget=-1, candidate=GATED,
    forward_gates=_mgu_forward_gates, forward=_mgu_forward,
    backward=_mgu_backward, backward_gates=_mgu_backward_gates))
