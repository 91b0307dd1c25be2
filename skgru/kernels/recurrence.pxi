"""Recurrent layers over the time steps of a packed minibatch: forward pass and backward pass.

Uses categories.pxi, cell.pxi, layer_step.pxi, packing.pxi and vectors.pxi.

Denormals are flushed to zero in both passes. A row gets the same bits whatever rows are computed
beside it. Recurrent dropout has one mask for all time steps of a sequence (Gal & Ghahramani 2016,
arXiv:1512.05287). It acts on h_{t-1} where U multiplies it; where a cell carries h_{t-1} over to
h_t, there is no mask. With decay, the state is γ_t ⊙ h_{t-1} before step t, and γ_t ⊙ c_{t-1} its
cell state, wherever the cell has h_{t-1} and c_{t-1}.
"""

# The gradients of the weights are summed over at least so many rows in one product: enough for an
# efficient product, few enough to stay in the second-level cache.
cdef enum:
    CHUNK_ROWS = 256


# One direction of a layer: its weights, and the arrays of a pass. A pointer is NULL if there is no
# such array, or if it is not wanted.
cdef struct Direction:
    const Cell* cell
    Py_ssize_t D, H, C, V
    # weights
    const real* W                           # (D, GH)
    const real* U                           # (H, GH)
    const real* b                           # (GH,)
    const real* c                           # (H,)     if the candidate is SPLIT
    const real* E                           # (V, GH)  if there are categories
    # of the forward pass
    const real* x                           # (N, D)
    const int* codes                        # (N, C)   rows of E
    const real* decay                       # (N, H)   γ_t
    const real* mask                        # (B, H)   of the recurrent dropout
    real* h_0                               # (B, SH)  initial states: h, cell state if any
    real* h_last                            # (B, SH)  OUT  the last state of each sequence
    real* states                            # (N, H)   OUT  h_t of each row
    real* saved                             # (N, PH)  OUT  activations for the backward pass
    # of the backward pass
    const real* d_states                    # (N, H)   what the layer above sends to each h_t
    real* d_own                             # (N, H)   memory for d_states of one direction of two
    real* d_last                            # (B, SH)  ∂L/∂h_last
    real* d_h                               # (B, SH)  INOUT  ∂L/∂h_last, then ∂L/∂h_0
    real* dx                                # (N, D)   OUT
    real* d_decay                           # (N, H)   OUT
    real* dW                                # as the weights; to these five, gradients are added
    real* dU                                # those of dW, dU, db and dc are wanted together
    real* db
    real* dc
    real* dE


# ---- forward ---------------------------------------------------------------------------------

cdef inline Py_ssize_t _forward_workspace(const Direction* layer, Py_ssize_t B) noexcept nogil:
    """Return how many numbers the forward pass of B sequences needs beside its arrays."""
    cdef:
        const Cell* cell = layer.cell
        Py_ssize_t H = layer.H
    return (_packed_layer_size(cell, layer.D, H) + 2 * round_to_cache_line(B * H)
            + round_to_cache_line(B * cell.n_states * H)
            + round_to_cache_line(B * (cell.n_gates + cell.n_extra) * H))


cdef void _forward_through_time(
    const Direction* layer, const Py_ssize_t* batch_sizes, Py_ssize_t T, real* workspace
) noexcept nogil:
    """Compute the time steps; without `states` or `saved`, each overwrites that of the last."""
    cdef:
        const Cell* cell = layer.cell
        Py_ssize_t D = layer.D, H = layer.H, B = batch_sizes[0], S = cell.n_states
        Py_ssize_t GH = cell.n_gates * H, PH = GH + cell.n_extra * H
        Py_ssize_t first_row = 0, n_next, t, k, n
        unsigned long long mode = flush_denormals()
        real* gated_state = workspace + _packed_layer_size(cell, D, H)
        real* masked = gated_state + round_to_cache_line(B * H)     # mask ⊙ h_{t-1}
        real* decayed = masked + round_to_cache_line(B * H)         # γ_t ⊙ the whole state
        const real* decay = layer.decay
        const real* mask = layer.mask
        real* h_last = layer.h_last
        real* states = layer.states
        real* saved = layer.saved
        LayerStep step

    step.layer = _pack_layer(cell, D, H, layer.W, layer.U, layer.b, layer.c, workspace)
    step.x_stride = D
    step.h_prev = layer.h_0
    step.h_prev_stride = step.cell_state_stride = S * H
    step.cell_state_prev = layer.h_0 + H
    step.gated_state = gated_state
    step.saved = saved if saved != NULL else decayed + round_to_cache_line(B * S * H)
    step.codes = NULL
    step.E = layer.E
    step.C = layer.C
    step.h = states if states != NULL else h_last
    step.h_stride = H if states != NULL else S * H

    for t in range(T):
        n = batch_sizes[t]
        step.x = layer.x + first_row * D
        if layer.E != NULL:
            step.codes = layer.codes + first_row * layer.C
        if decay != NULL:
            _decay_states(H, S, n, decay + first_row * H, step.h_prev, step.h_prev_stride,
                          step.cell_state_prev, step.cell_state_stride, decayed)
            step.h_prev = decayed
            step.cell_state_prev = decayed + H
            step.h_prev_stride = step.cell_state_stride = S * H
        step.recurrent_input = step.h_prev
        step.recurrent_stride = step.h_prev_stride
        if mask != NULL:
            for k in range(n):
                _multiply(H, step.h_prev + k * step.h_prev_stride, mask + k * H, masked + k * H)
            step.recurrent_input = masked
            step.recurrent_stride = H
        n_next = batch_sizes[t + 1] if t + 1 < T else 0
        step.n_next = n_next if states != NULL and saved != NULL else 0
        _layer_step(&step, n)
        first_row += n
        for k in range(n_next, n):                  # the sequences that end here
            if states != NULL:
                memcpy(h_last + k * S * H, step.h + k * step.h_stride, H * sizeof(real))
            if S == 2:
                memcpy(h_last + k * S * H + H, step.saved + k * PH + GH, H * sizeof(real))
        step.h_prev = step.h
        step.h_prev_stride = step.h_stride
        step.cell_state_prev = step.saved + GH
        step.cell_state_stride = PH
        if states != NULL:
            step.h += n * H
        if saved != NULL:
            step.saved += n * PH
    restore_denormals(mode)


cdef void _decay_states(
    Py_ssize_t H, Py_ssize_t S, Py_ssize_t n, const real* decay, const real* h, Py_ssize_t h_stride,
    const real* cell_state, Py_ssize_t cell_stride, real* decayed,
) noexcept nogil:
    """Multiply n states, and their cell states, by γ (n, H)."""
    cdef Py_ssize_t k
    for k in range(n):
        _multiply(H, h + k * h_stride, decay + k * H, decayed + k * S * H)
        if S == 2:
            _multiply(H, cell_state + k * cell_stride, decay + k * H, decayed + k * S * H + H)


cdef void _decay_states_backward(
    Py_ssize_t H, Py_ssize_t S, Py_ssize_t n, const real* decay, const real* h, Py_ssize_t h_stride,
    const real* cell_state, Py_ssize_t cell_stride, real* d_h, real* d_decay,
) noexcept nogil:
    """Turn the gradient of decayed states, in d_h (n, SH), into that of the states and of γ."""
    cdef Py_ssize_t k
    for k in range(n):
        _multiply(H, d_h + k * S * H, h + k * h_stride, d_decay + k * H)
        _multiply(H, d_h + k * S * H, decay + k * H, d_h + k * S * H)
        if S == 2:
            _add_product(H, d_h + k * S * H + H, cell_state + k * cell_stride, d_decay + k * H)
            _multiply(H, d_h + k * S * H + H, decay + k * H, d_h + k * S * H + H)


# ---- backward --------------------------------------------------------------------------------

cdef inline Py_ssize_t _chunk_rows(Py_ssize_t B) noexcept nogil:
    """Return over how many rows at a time the gradients of the weights are summed."""
    return max(<Py_ssize_t>CHUNK_ROWS, B)


cdef inline Py_ssize_t _backward_workspace(const Direction* layer, Py_ssize_t B) noexcept nogil:
    """Return how many numbers the backward pass of B sequences needs beside its arrays."""
    cdef:
        const Cell* cell = layer.cell
        Py_ssize_t H = layer.H, GH = cell.n_gates * H, capacity = _chunk_rows(B)
    return (cell.n_gates * panels_size(H, H) + panels_size(GH, layer.D)
            + round_to_cache_line(B * H) + round_to_cache_line(capacity * GH)
            + 2 * round_to_cache_line(capacity * H)
            + round_to_cache_line(B * cell.n_states * H) + capacity * PANEL)


cdef void _backward_through_time(
    const Direction* layer, const Py_ssize_t* batch_sizes, Py_ssize_t T, Py_ssize_t N,
    real* workspace,
) noexcept nogil:
    """Compute the time steps from the last to the first.

    The gradients of the weights are products over rows. So that these are few and large, rows are
    collected in a chunk, which is filled from its end.
    """
    cdef:
        const Cell* cell = layer.cell
        Py_ssize_t D = layer.D, H = layer.H, B = batch_sizes[0], S = cell.n_states
        Py_ssize_t GH = cell.n_gates * H, PH = GH + cell.n_extra * H, capacity = _chunk_rows(B)
        Py_ssize_t first_row = N, n_free = capacity, t, k, n
        const real* decay = layer.decay
        const real* mask = layer.mask
        real* d_h = layer.d_h
        unsigned long long mode = flush_denormals()
        real* U_panels = workspace                  # Uᵀ, the panels of each gate together
        real* W_panels = U_panels + cell.n_gates * panels_size(H, H)    # Wᵀ
        real* product = W_panels + panels_size(GH, D)   # (n, H) by U, of one step
        # the chunk: d_gates and recurrent_input of its rows; third, gated_state if the candidate
        # is GATED, d_recurrent if it is SPLIT
        real* chunk_d_gates = product + round_to_cache_line(B * H)
        real* chunk_recurrent = chunk_d_gates + round_to_cache_line(capacity * GH)
        real* chunk_third = chunk_recurrent + round_to_cache_line(capacity * H)
        real* decayed = chunk_third + round_to_cache_line(capacity * H)     # γ_t ⊙ the state
        real* panel = decayed + round_to_cache_line(B * S * H)
        # of this step
        real* d_gates
        real* recurrent_input
        real* third
        const real* before                      # h_{t-1} without decay, and c_{t-1}
        const real* cell_before
        const real* h_prev
        const real* cell_state_prev
        Py_ssize_t before_stride, cell_before_stride, h_prev_stride, cell_state_stride
        const real* saved_t
        const real* own_mask
        CellStep row
        Product[MAX_PRODUCTS] to_h              # d_gates Uᵀ, a product per gate
        int n_to_h = cell.n_gates, i
        Product to_gated_state = Product(
            NULL, U_panels + (cell.n_gates - 1) * panels_size(H, H), H, GH, 1)
        Product to_x = Product(NULL, W_panels, GH, GH, 1)

    for i in range(cell.n_gates):
        pack_panels(layer.U + i * H, 1, GH, H, H, U_panels + i * panels_size(H, H))
        to_h[i] = Product(NULL, U_panels + i * panels_size(H, H), H, GH, 1)
    if cell.candidate == GATED:
        n_to_h -= 1
    elif cell.candidate == SPLIT:
        to_h[n_to_h - 1].row_stride = H
    if layer.dx != NULL:
        pack_panels(layer.W, 1, GH, GH, D, W_panels)
    row.H = H

    for t in range(T - 1, -1, -1):
        n = batch_sizes[t]
        if n_free < n:
            _add_weight_gradients(layer, capacity - n_free, layer.x + first_row * D,
                                  chunk_d_gates + n_free * GH, chunk_recurrent + n_free * H,
                                  chunk_third + n_free * H, panel)
            n_free = capacity
        first_row -= n
        n_free -= n
        d_gates = chunk_d_gates + n_free * GH
        recurrent_input = chunk_recurrent + n_free * H
        third = chunk_third + n_free * H
        saved_t = layer.saved + first_row * PH
        if t:
            before = layer.states + (first_row - batch_sizes[t - 1]) * H
            before_stride = H
            cell_before = saved_t - batch_sizes[t - 1] * PH + GH
            cell_before_stride = PH
        else:
            before = layer.h_0
            cell_before = before + H
            before_stride = cell_before_stride = S * H
        h_prev, h_prev_stride = before, before_stride
        cell_state_prev, cell_state_stride = cell_before, cell_before_stride
        if decay != NULL:
            _decay_states(H, S, n, decay + first_row * H, before, before_stride, cell_before,
                          cell_before_stride, decayed)
            h_prev = decayed
            cell_state_prev = decayed + H
            h_prev_stride = cell_state_stride = S * H
        if mask == NULL and h_prev_stride == H:
            memcpy(recurrent_input, h_prev, n * H * sizeof(real))
        for k in range(n):
            own_mask = mask + k * H if mask != NULL else NULL
            if own_mask != NULL:
                _multiply(H, h_prev + k * h_prev_stride, own_mask, recurrent_input + k * H)
            elif h_prev_stride != H:
                memcpy(recurrent_input + k * H, h_prev + k * h_prev_stride, H * sizeof(real))
            row.saved = <real*>(saved_t + k * PH)
            row.recurrent_input = recurrent_input + k * H
            row.h_prev = h_prev + k * h_prev_stride
            if S == 2:
                row.cell_state = <real*>(saved_t + k * PH + GH)
                row.cell_state_prev = cell_state_prev + k * cell_state_stride
                row.d_cell_state = d_h + k * S * H + H
            row.d_recurrent = third + k * H
            row.d_output = NULL
            if layer.d_states != NULL:
                row.d_output = layer.d_states + (first_row + k) * H
            row.mask = own_mask
            row.d_h = d_h + k * S * H
            row.d_gates = d_gates + k * GH
            cell.backward(&row)
            if t > 1:                           # what this row reads in the step before
                prefetch(saved_t + (k - batch_sizes[t - 1]) * PH, PH)
                prefetch(before + (k - batch_sizes[t - 2]) * H, H)
        for i in range(n_to_h):
            to_h[i].a = d_gates + i * H
        if cell.candidate == SPLIT:
            to_h[n_to_h - 1].a = third
        elif cell.candidate == GATED:
            to_gated_state.a = d_gates + GH - H
            matmul(n, H, &to_gated_state, 1, NULL, 0, product, H)
            for k in range(n):
                row.saved = <real*>(saved_t + k * PH)
                row.recurrent_input = recurrent_input + k * H
                row.gated_state = third + k * H
                row.d_gated_state = product + k * H
                row.mask = mask + k * H if mask != NULL else NULL
                row.d_h = d_h + k * S * H
                row.d_gates = d_gates + k * GH
                cell.backward_gates(&row)
        if mask != NULL:
            matmul(n, H, to_h, n_to_h, NULL, 0, product, H)
            for k in range(n):
                _add_product(H, product + k * H, mask + k * H, d_h + k * S * H)
        else:
            matmul(n, H, to_h, n_to_h, d_h, S * H, d_h, S * H)
        if decay != NULL:
            _decay_states_backward(H, S, n, decay + first_row * H, before, before_stride,
                                   cell_before, cell_before_stride, d_h,
                                   layer.d_decay + first_row * H)
        if layer.dE != NULL:
            _add_to_rows_of_codes(GH, d_gates, layer.codes + first_row * layer.C, layer.C, n,
                                  layer.dE)
        if layer.dx != NULL:
            to_x.a = d_gates
            matmul(n, D, &to_x, 1, NULL, 0, layer.dx + first_row * D, D)
    _add_weight_gradients(layer, capacity - n_free, layer.x, chunk_d_gates + n_free * GH,
                          chunk_recurrent + n_free * H, chunk_third + n_free * H, panel)
    restore_denormals(mode)


cdef void _add_weight_gradients(
    const Direction* layer, Py_ssize_t n_rows, const real* x, const real* d_gates,
    const real* recurrent_input, const real* third, real* panel,
) noexcept nogil:
    """Add what the rows of a chunk contribute to ∂L/∂W, ∂L/∂U, ∂L/∂b and ∂L/∂c, if wanted."""
    cdef:
        const Cell* cell = layer.cell
        Py_ssize_t D = layer.D, H = layer.H, GH = cell.n_gates * H
        Py_ssize_t n_first = GH if cell.candidate == JOINT else GH - H
        real one = 1
        TransposedProduct[3] factors
    if layer.dU == NULL:
        return
    factors[0] = TransposedProduct(x, D, D, layer.dW)
    factors[1] = TransposedProduct(&one, 1, 0, layer.db)    # a sum: every row times 1
    factors[2] = TransposedProduct(recurrent_input, H, H, layer.dU)
    add_transposed_matmul(n_rows, n_first, d_gates, GH, factors, 3, GH, panel)
    if cell.candidate == JOINT:
        return
    factors[0].c += n_first
    factors[1].c += n_first
    factors[2].c += n_first
    if cell.candidate == SPLIT:                             # third: d_recurrent
        add_transposed_matmul(n_rows, H, d_gates + n_first, GH, factors, 2, GH, panel)
        factors[1].c = layer.dc
        add_transposed_matmul(n_rows, H, third, H, &factors[1], 2, GH, panel)
    else:                                                   # third: gated_state
        factors[2].a = third
        add_transposed_matmul(n_rows, H, d_gates + n_first, GH, factors, 3, GH, panel)
