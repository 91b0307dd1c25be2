"""The gated recurrent unit (Cho et al. 2014, arXiv:1406.1078), and cuDNN's variant of it.

Uses cell.pxi. Gates in the order r | z | h̃:

    r_t = σ(x_t W_r + h_{t-1} U_r + b_r)                 reset gate
    z_t = σ(x_t W_z + h_{t-1} U_z + b_z)                 update gate; z=1 keeps h_{t-1}
    h̃_t = tanh(x_t W_h + (r_t ⊙ h_{t-1}) U_h + b_h)      candidate, reset before the product
    h̃_t = tanh(x_t W_h + b_h + r_t ⊙ (h_{t-1} U_h + c))  candidate, reset after the product
    h_t = z_t ⊙ h_{t-1} + (1 - z_t) ⊙ h̃_t
"""


# ---- reset before the product ----------------------------------------------------------------

cdef void _gru_forward_gates(const CellStep* step) noexcept nogil:
    """Compute r, z and the gated state r ⊙ recurrent input."""
    cdef:
        Py_ssize_t H = step.H, j = 0, n
        real* saved = step.saved
        const real* recurrent_input = step.recurrent_input
        real* gated_state = step.gated_state
        vec r
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        r = sigmoid(load(saved + j, n))
        store(saved + j, r, n)
        store(saved + H + j, sigmoid(load(saved + H + j, n)), n)
        store(gated_state + j, r * load(recurrent_input + j, n), n)
        j += LANES


cdef void _gru_forward(const CellStep* step) noexcept nogil:
    """Compute h̃ and h."""
    cdef:
        Py_ssize_t H = step.H, j = 0, n
        real* saved = step.saved
        const real* h_prev = step.h_prev
        real* h = step.h
        vec z, candidate
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        z = load(saved + H + j, n)
        candidate = tanh(load(saved + 2 * H + j, n))
        store(saved + 2 * H + j, candidate, n)
        store(h + j, z * load(h_prev + j, n) + (1 - z) * candidate, n)
        j += LANES


cdef void _gru_backward(const CellStep* step) noexcept nogil:
    """Compute the gradients of z, of h̃ and of h_{t-1} where z keeps it."""
    cdef:
        Py_ssize_t H = step.H, j = 0, n
        const real* saved = step.saved
        const real* h_prev = step.h_prev
        const real* d_output = step.d_output
        real* d_h = step.d_h
        real* d_gates = step.d_gates
        vec z, candidate, total
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        z = load(saved + H + j, n)
        candidate = load(saved + 2 * H + j, n)
        total = _total_gradient(d_h, d_output, j, n)
        store(d_gates + 2 * H + j, total * (1 - z) * (1 - candidate * candidate), n)
        store(d_gates + H + j, total * (load(h_prev + j, n) - candidate) * z * (1 - z), n)
        store(d_h + j, total * z, n)
        j += LANES


cdef void _gru_backward_gates(const CellStep* step) noexcept nogil:
    """Compute the gradient of r; add that of h_{t-1} in the gated state, which is recomputed."""
    cdef:
        Py_ssize_t H = step.H, j = 0, n
        const real* saved = step.saved
        const real* recurrent_input = step.recurrent_input
        const real* d_gated_state = step.d_gated_state
        const real* mask = step.mask
        real* d_h = step.d_h
        real* d_gates = step.d_gates
        real* gated_state = step.gated_state
        vec r, h, d_r
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        r = load(saved + j, n)
        h = load(recurrent_input + j, n)
        d_r = load(d_gated_state + j, n)
        store(d_gates + j, d_r * h * r * (1 - r), n)
        store(gated_state + j, r * h, n)
        d_r = d_r * r
        if mask != NULL:
            d_r = d_r * load(mask + j, n)
        store(d_h + j, load(d_h + j, n) + d_r, n)
        j += LANES


_add_cell("gru", Cell(
    n_gates=3, n_extra=0, n_states=1, forget=-1, candidate=GATED,
    forward_gates=_gru_forward_gates, forward=_gru_forward,
    backward=_gru_backward, backward_gates=_gru_backward_gates))


# ---- reset after the product -----------------------------------------------------------------

cdef void _gru_after_forward(const CellStep* step) noexcept nogil:
    """Compute r, z, h̃ and h; the extra block holds the recurrent product h_{t-1} U_h + c."""
    cdef:
        Py_ssize_t H = step.H, j = 0, n
        real* saved = step.saved
        const real* h_prev = step.h_prev
        real* h = step.h
        vec r, z, candidate
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        r = sigmoid(load(saved + j, n))
        z = sigmoid(load(saved + H + j, n))
        candidate = tanh(load(saved + 2 * H + j, n) + r * load(saved + 3 * H + j, n))
        store(saved + j, r, n)
        store(saved + H + j, z, n)
        store(saved + 2 * H + j, candidate, n)
        store(h + j, z * load(h_prev + j, n) + (1 - z) * candidate, n)
        j += LANES


cdef void _gru_after_backward(const CellStep* step) noexcept nogil:
    """Compute the gradients of r, z, h̃, the recurrent product, and of h_{t-1} where z keeps it."""
    cdef:
        Py_ssize_t H = step.H, j = 0, n
        const real* saved = step.saved
        const real* h_prev = step.h_prev
        const real* d_output = step.d_output
        real* d_h = step.d_h
        real* d_gates = step.d_gates
        real* d_recurrent = step.d_recurrent
        vec r, z, candidate, total, d_candidate
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        r = load(saved + j, n)
        z = load(saved + H + j, n)
        candidate = load(saved + 2 * H + j, n)
        total = _total_gradient(d_h, d_output, j, n)
        d_candidate = total * (1 - z) * (1 - candidate * candidate)
        store(d_gates + j, d_candidate * load(saved + 3 * H + j, n) * r * (1 - r), n)
        store(d_gates + H + j, total * (load(h_prev + j, n) - candidate) * z * (1 - z), n)
        store(d_gates + 2 * H + j, d_candidate, n)
        store(d_recurrent + j, d_candidate * r, n)
        store(d_h + j, total * z, n)
        j += LANES


_add_cell("gru_reset_after", Cell(
    n_gates=3, n_extra=1, n_states=1, forget=-1, candidate=SPLIT,
    forward_gates=NULL, forward=_gru_after_forward,
    backward=_gru_after_backward, backward_gates=NULL))
