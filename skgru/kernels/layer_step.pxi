"""One time step of a recurrent layer: its packed weights, and the forward pass of n sequences.

Uses cell.pxi and categories.pxi. Used by recurrence.pxi, and by streaming.pxi for single steps.
"""

# Weights in panels for `matmul`. The first product computes the pre-activations of all gates, or of
# all but the candidate; the latter has panels of its own unless it is JOINT.
cdef struct PackedLayer:
    const Cell* cell
    Py_ssize_t D, H
    const real* W_first
    const real* U_first
    const real* W_candidate
    const real* U_candidate
    const real* b
    const real* c


cdef struct LayerStep:
    PackedLayer layer
    const real* x                           # IN   (n, D)
    const real* recurrent_input             # IN   (n, H)
    const real* h_prev                      # IN   (n, H)
    const real* cell_state_prev             # IN   (n, H), if S is 2
    const int* codes                        # IN   (n, C), rows of E; or NULL
    const real* E                           # IN   (V, GH), or NULL
    Py_ssize_t C
    real* gated_state                       # workspace (n, H)
    real* saved                             # OUT  (n, PH), contiguous; with the new cell state
    real* h                                 # OUT  (n, H); may be h_prev
    Py_ssize_t n_next                       # rows that the next step writes after these; 0: none
    Py_ssize_t x_stride, recurrent_stride, h_prev_stride, cell_state_stride, h_stride  # of rows


cdef inline Py_ssize_t _packed_layer_size(
    const Cell* cell, Py_ssize_t D, Py_ssize_t H
) noexcept nogil:
    """Return how many numbers `_pack_layer` writes."""
    return cell.n_gates * (panels_size(D, H) + panels_size(H, H))


cdef PackedLayer _pack_layer(
    const Cell* cell, Py_ssize_t D, Py_ssize_t H, const real* W, const real* U, const real* b,
    const real* c, real* panels,
) noexcept nogil:
    """Copy W and U into panels; b and c are referred to where they are."""
    cdef:
        Py_ssize_t GH = cell.n_gates * H
        Py_ssize_t n_candidate = 0 if cell.candidate == JOINT else H    # columns of its own
        Py_ssize_t n_first = GH - n_candidate
        real* W_first = panels
        real* W_candidate = W_first + panels_size(D, n_first)
        real* U_first = W_candidate + panels_size(D, n_candidate)
        real* U_candidate = U_first + panels_size(H, n_first)
    pack_panels(W, GH, 1, D, n_first, W_first)
    pack_panels(U, GH, 1, H, n_first, U_first)
    if n_candidate:
        pack_panels(W + n_first, GH, 1, D, n_candidate, W_candidate)
        pack_panels(U + n_first, GH, 1, H, n_candidate, U_candidate)
    return PackedLayer(cell, D, H, W_first, U_first, W_candidate, U_candidate, b, c)


cdef void _layer_step(const LayerStep* step, Py_ssize_t n) noexcept nogil:
    """Compute the forward pass of one time step of n sequences."""
    cdef:
        const PackedLayer* layer = &step.layer
        const Cell* cell = layer.cell
        Py_ssize_t H = layer.H, GH = cell.n_gates * H, PH = GH + cell.n_extra * H, k
        Py_ssize_t n_first = GH if cell.candidate == JOINT else GH - H
        real* saved = step.saved
        const real* b = layer.b
        Py_ssize_t b_stride = 0
        CellStep row
        Product[2] first
        Product[2] candidate
    first[0] = Product(step.x, layer.W_first, layer.D, step.x_stride, 1)
    first[1] = Product(step.recurrent_input, layer.U_first, H, step.recurrent_stride, 1)
    candidate[0] = Product(step.x, layer.W_candidate, layer.D, step.x_stride, 1)
    candidate[1] = Product(step.recurrent_input, layer.U_candidate, H, step.recurrent_stride, 1)
    row.H = H
    if step.codes != NULL:
        for k in range(n):                      # a bias of its own for each sequence: b + Σ E[code]
            memcpy(saved + k * PH, b, GH * sizeof(real))
            _add_rows_of_codes(GH, step.E, step.codes + k * step.C, step.C, saved + k * PH)
        b = saved
        b_stride = PH
    if n_first:
        matmul(n, n_first, first, 2, b, b_stride, saved, PH)
    if cell.candidate == SPLIT:
        matmul(n, H, candidate, 1, b + n_first, b_stride, saved + n_first, PH)
        matmul(n, H, &candidate[1], 1, layer.c, 0, saved + GH, PH)
    elif cell.candidate == GATED:
        for k in range(n):
            row.saved = saved + k * PH
            row.recurrent_input = step.recurrent_input + k * step.recurrent_stride
            row.gated_state = step.gated_state + k * H
            cell.forward_gates(&row)
        candidate[1].a = step.gated_state
        candidate[1].row_stride = H
        matmul(n, H, candidate, 2, b + n_first, b_stride, saved + n_first, PH)
    for k in range(n):
        row.saved = saved + k * PH
        row.h_prev = step.h_prev + k * step.h_prev_stride
        row.cell_state_prev = step.cell_state_prev + k * step.cell_state_stride
        row.h = step.h + k * step.h_stride
        row.cell_state = saved + k * PH + GH
        cell.forward(&row)
        if k < step.n_next:                     # or the next step waits for memory to write to
            prefetch(saved + (n + k) * PH, PH)
            prefetch(step.h + (n + k) * H, H)


cdef int _check_weights(
    const Cell* cell, Py_ssize_t D, const Py_ssize_t* W, const Py_ssize_t* U, Py_ssize_t b,
    Py_ssize_t c, const Py_ssize_t* E,
) except -1:
    """Raise ValueError unless the weights have the shapes of a layer with D channels.

    A layer without categories has an E of no rows.
    """
    cdef Py_ssize_t H = U[0], GH = cell.n_gates * H, n_c
    n_c = H if cell.candidate == SPLIT else 0
    if D == 0 and E[0] == 0 or H == 0:
        raise ValueError("a layer needs at least one channel and one unit")
    if E[0] and E[1] != GH:
        raise ValueError(f"E must be (V, {cell.n_gates}H), or empty")
    if W[0] != D or W[1] != GH or U[1] != GH or b != GH or c != n_c:
        raise ValueError(f"W, U, b and c must be (D, {cell.n_gates}H), (H, {cell.n_gates}H), "
                         f"({cell.n_gates}H,) and ({'H' if n_c else '0'},)")
    return 0
