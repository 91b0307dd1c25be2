"""The light GRU (Ravanelli et al. 2018, arXiv:1803.10225): a GRU without reset gate.

Uses cell.pxi. Gates in the order z | h̃:

    z_t = σ(x_t W_z + h_{t-1} U_z + b_z)                 update gate; z=1 keeps h_{t-1}
    h̃_t = tanh or relu(x_t W_h + h_{t-1} U_h + b_h)      candidate
    h_t = z_t ⊙ h_{t-1} + (1 - z_t) ⊙ h̃_t
"""


cdef inline void _light_forward(const CellStep* step, bint is_relu) noexcept nogil:
    """Compute z, h̃ and h."""
    cdef:
        Py_ssize_t H = step.H, j = 0, n
        real* saved = step.saved
        const real* h_prev = step.h_prev
        real* h = step.h
        vec z, candidate
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        z = sigmoid(load(saved + j, n))
        candidate = load(saved + H + j, n)
        candidate = relu(candidate) if is_relu else tanh(candidate)
        store(saved + j, z, n)
        store(saved + H + j, candidate, n)
        store(h + j, z * load(h_prev + j, n) + (1 - z) * candidate, n)
        j += LANES


cdef inline void _light_backward(const CellStep* step, bint is_relu) noexcept nogil:
    """Compute the gradients of z, of h̃ and of h_{t-1} where z keeps it."""
    cdef:
        Py_ssize_t H = step.H, j = 0, n
        const real* saved = step.saved
        const real* h_prev = step.h_prev
        const real* d_output = step.d_output
        real* d_h = step.d_h
        real* d_gates = step.d_gates
        vec z, candidate, total, slope
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        z = load(saved + j, n)
        candidate = load(saved + H + j, n)
        total = _total_gradient(d_h, d_output, j, n)
        slope = heaviside(candidate) if is_relu else 1 - candidate * candidate
        store(d_gates + j, total * (load(h_prev + j, n) - candidate) * z * (1 - z), n)
        store(d_gates + H + j, total * (1 - z) * slope, n)
        store(d_h + j, total * z, n)
        j += LANES


cdef void _light_tanh_forward(const CellStep* step) noexcept nogil:
    _light_forward(step, False)


cdef void _light_tanh_backward(const CellStep* step) noexcept nogil:
    _light_backward(step, False)


cdef void _light_relu_forward(const CellStep* step) noexcept nogil:
    _light_forward(step, True)


cdef void _light_relu_backward(const CellStep* step) noexcept nogil:
    _light_backward(step, True)


_add_cell("light_gru", Cell(
    n_gates=2, n_extra=0, n_states=1, forget=-1, candidate=JOINT,
    forward_gates=NULL, forward=_light_tanh_forward,
    backward=_light_tanh_backward, backward_gates=NULL))
_add_cell("light_gru_relu", Cell(
    n_gates=2, n_extra=0, n_states=1, forget=-1, candidate=JOINT,
    forward_gates=NULL, forward=_light_relu_forward,
    backward=_light_relu_backward, backward_gates=NULL))
