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


# ---- forward ---------------------------------------------------------------------------------

def layer_forward(
    int cell_index,                          # IN            of CELLS
    const real[:, ::1] x,                    # IN   (N, D)
    const Py_ssize_t[::1] batch_sizes,       # IN   (T,)     rows of each step, never increasing
    const real[:, ::1] W,                    # IN   (D, GH)
    const real[:, ::1] U,                    # IN   (H, GH)
    const real[::1] b,                       # IN   (GH,)
    const real[::1] c,                       # IN   (H,)     if the candidate is SPLIT, else (0,)
    const real[:, ::1] h_0,                  # IN   (B, SH)  initial states: h, cell state if any
    const real[:, ::1] mask,                 # IN   (B, H)   of the recurrent dropout; (0, _): none
    const int[:, ::1] codes,                 # IN   (N, C)   rows of E; (0, _): none
    const real[:, ::1] E,                    # IN   (V, GH)  or (0, _)
    const real[:, ::1] decay,                # IN   (N, H)   γ_t; (0, _): none
    real[:, ::1] h_last,                     # OUT  (B, SH)  the last state of each sequence
    real[:, ::1] states,                     # OUT  (N, H)   h_t of each row; (0, _): not wanted
    real[:, ::1] saved,                      # OUT  (N, PH)  activations saved for the backward
                                             #               pass; (0, _): not wanted
):
    """Compute the forward pass of a layer over all time steps."""
    cdef:
        Py_ssize_t N = x.shape[0], D = x.shape[1], H = U.shape[0], B, S, P
        bint want_states = states.shape[0] > 0, want_saved = saved.shape[0] > 0
        Cell* cell = _cell(cell_index)
        void* workspace
    B = _check_layer(cell, x.shape, batch_sizes, W.shape, U.shape, b.shape[0], c.shape[0],
                     codes, E.shape, decay.shape)
    S = cell.n_states
    P = cell.n_gates + cell.n_extra
    if (h_0.shape[0] != B or h_0.shape[1] != S * H
            or h_last.shape[0] != B or h_last.shape[1] != S * H
            or mask.shape[0] not in (0, B) or mask.shape[0] and mask.shape[1] != H
            or want_states and (states.shape[0] != N or states.shape[1] != H)
            or want_saved and (saved.shape[0] != N or saved.shape[1] != P * H)):
        raise ValueError(f"h_0 and h_last must be (B, {S}H), mask (B, H) or empty, states (N, H) "
                         f"or empty, and saved (N, {P}H) or empty")
    workspace = malloc(CACHE_LINE_BYTES + sizeof(real) * (
        _packed_layer_size(cell, D, H)
        + 2 * round_to_cache_line(B * H) + round_to_cache_line(B * S * H)
        + (0 if want_saved else B * P * H)))
    if not workspace:
        raise MemoryError
    with nogil:
        _forward_through_time(
            cell, x, batch_sizes, W, U, b, c, &h_0[0, 0], &mask[0, 0] if mask.shape[0] else NULL,
            codes, &E[0, 0] if E.shape[0] else NULL, &decay[0, 0] if decay.shape[0] else NULL,
            &h_last[0, 0], &states[0, 0] if want_states else NULL,
            &saved[0, 0] if want_saved else NULL, align_to_cache_line(workspace))
        free(workspace)


cdef void _forward_through_time(
    const Cell* cell, const real[:, ::1] x, const Py_ssize_t[::1] batch_sizes,
    const real[:, ::1] W, const real[:, ::1] U, const real[::1] b, const real[::1] c,
    const real* h_0, const real* mask, const int[:, ::1] codes, const real* E, const real* decay,
    real* h_last, real* states, real* saved, real* workspace,
) noexcept nogil:
    """Compute the time steps; without `states` or `saved`, each overwrites that of the last."""
    cdef:
        Py_ssize_t D = x.shape[1], H = U.shape[0], B = batch_sizes[0], S = cell.n_states
        Py_ssize_t GH = cell.n_gates * H, PH = GH + cell.n_extra * H
        Py_ssize_t T = batch_sizes.shape[0], first_row = 0, n_next, t, k, n
        unsigned long long mode = flush_denormals()
        real* gated_state = workspace + _packed_layer_size(cell, D, H)
        real* masked = gated_state + round_to_cache_line(B * H)     # mask ⊙ h_{t-1}
        real* decayed = masked + round_to_cache_line(B * H)         # γ_t ⊙ the whole state
        LayerStep step

    step.layer = _pack_layer(cell, W, U, &b[0], &c[0] if c.shape[0] else NULL, workspace)
    step.x_stride = D
    step.h_prev = h_0
    step.h_prev_stride = step.cell_state_stride = S * H
    step.cell_state_prev = h_0 + H
    step.gated_state = gated_state
    step.saved = saved if saved != NULL else decayed + round_to_cache_line(B * S * H)
    step.codes = NULL
    step.E = E
    step.C = codes.shape[1]
    step.h = states if states != NULL else h_last
    step.h_stride = H if states != NULL else S * H

    for t in range(T):
        n = batch_sizes[t]
        step.x = &x[first_row, 0]
        if E != NULL:
            step.codes = &codes[first_row, 0]
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

def layer_backward(
    int cell_index,                          # IN            of CELLS
    const real[:, ::1] x,                    # IN   (N, D)
    const Py_ssize_t[::1] batch_sizes,       # IN   (T,)
    const real[:, ::1] W,                    # IN   (D, GH)
    const real[:, ::1] U,                    # IN   (H, GH)
    const real[:, ::1] h_0,                  # IN   (B, SH)
    const real[:, ::1] mask,                 # IN   (B, H)   as in the forward pass
    const int[:, ::1] codes,                 # IN   (N, C)   as in the forward pass
    const real[:, ::1] decay,                # IN   (N, H)   as in the forward pass
    const real[:, ::1] states,               # IN   (N, H)   of the forward pass
    const real[:, ::1] saved,                # IN   (N, PH)  of the forward pass
    const real[:, ::1] d_states,             # IN   (N, H)   what the layer above sends to each
                                             #               h_t; (0, _): nothing
    real[:, ::1] d_h,                        # INOUT (B, SH) ∂L/∂h_last IN, ∂L/∂h_0 OUT
    real[:, ::1] dx,                         # OUT  (N, D)   or (0, _): not wanted
    real[:, ::1] d_decay,                    # OUT  (N, H)   or (0, _) without decay
    real[:, ::1] dE,                         # INOUT (V, GH) to these five, gradients are added
    real[:, ::1] dW,                         # INOUT (D, GH)
    real[:, ::1] dU,                         # INOUT (H, GH) empty, as the others: not wanted
    real[::1] db,                            # INOUT (GH,)
    real[::1] dc,                            # INOUT (H,)    if the candidate is SPLIT, else (0,)
):
    """Compute the backward pass of a layer over all time steps."""
    cdef:
        Py_ssize_t N = x.shape[0], D = x.shape[1], H = U.shape[0], B, S, GH, PH, capacity
        Cell* cell = _cell(cell_index)
        bint of_weights = dU.shape[0] > 0
        void* workspace
    S = cell.n_states
    GH = cell.n_gates * H
    B = _check_layer(cell, x.shape, batch_sizes, W.shape, U.shape,
                     db.shape[0] if of_weights else GH,
                     dc.shape[0] if of_weights else (H if cell.candidate == SPLIT else 0),
                     codes, dE.shape, decay.shape)
    PH = GH + cell.n_extra * H
    if (h_0.shape[0] != B or h_0.shape[1] != S * H or states.shape[0] != N or states.shape[1] != H
            or mask.shape[0] not in (0, B) or mask.shape[0] and mask.shape[1] != H
            or saved.shape[0] != N or saved.shape[1] != PH
            or d_states.shape[0] not in (0, N) or d_states.shape[0] and d_states.shape[1] != H
            or d_h.shape[0] != B or d_h.shape[1] != S * H
            or dx.shape[0] not in (0, N) or dx.shape[0] and dx.shape[1] != D
            or d_decay.shape[0] != decay.shape[0] or d_decay.shape[0] and d_decay.shape[1] != H
            or of_weights and (dW.shape[0] != D or dW.shape[1] != GH
                               or dU.shape[0] != H or dU.shape[1] != GH)
            or not of_weights and (dW.shape[0] or db.shape[0] or dc.shape[0])):
        raise ValueError("the shapes of the arrays do not fit together")
    capacity = max(<Py_ssize_t>CHUNK_ROWS, B)
    workspace = malloc(CACHE_LINE_BYTES + sizeof(real) * (
        cell.n_gates * panels_size(H, H) + panels_size(GH, D) + round_to_cache_line(B * H)
        + round_to_cache_line(capacity * GH) + 2 * round_to_cache_line(capacity * H)
        + round_to_cache_line(B * S * H) + capacity * PANEL))
    if not workspace:
        raise MemoryError
    with nogil:
        _backward_through_time(cell, x, batch_sizes, W, U, h_0, mask, codes, decay, states, saved,
                               d_states, d_h, dx, d_decay, dE, dW, dU, db, dc, capacity,
                               align_to_cache_line(workspace))
        free(workspace)


cdef void _backward_through_time(
    const Cell* cell, const real[:, ::1] x, const Py_ssize_t[::1] batch_sizes,
    const real[:, ::1] W, const real[:, ::1] U, const real[:, ::1] h_0, const real[:, ::1] mask,
    const int[:, ::1] codes, const real[:, ::1] decay,
    const real[:, ::1] states, const real[:, ::1] saved, const real[:, ::1] d_states,
    real[:, ::1] d_h, real[:, ::1] dx, real[:, ::1] d_decay, real[:, ::1] dE,
    real[:, ::1] dW, real[:, ::1] dU, real[::1] db, real[::1] dc,
    Py_ssize_t capacity, real* workspace,
) noexcept nogil:
    """Compute the time steps from the last to the first.

    The gradients of the weights are products over rows. So that these are few and large, rows are
    collected in a chunk, which is filled from its end.
    """
    cdef:
        Py_ssize_t N = x.shape[0], D = x.shape[1], H = U.shape[0], B = batch_sizes[0]
        Py_ssize_t S = cell.n_states, PH = saved.shape[1], GH = cell.n_gates * H
        Py_ssize_t first_row = N, n_free = capacity, t, k, n
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
        pack_panels(&U[0, i * H], 1, GH, H, H, U_panels + i * panels_size(H, H))
        to_h[i] = Product(NULL, U_panels + i * panels_size(H, H), H, GH, 1)
    if cell.candidate == GATED:
        n_to_h -= 1
    elif cell.candidate == SPLIT:
        to_h[n_to_h - 1].row_stride = H
    if dx.shape[0]:
        pack_panels(&W[0, 0], 1, GH, GH, D, W_panels)
    row.H = H

    for t in range(batch_sizes.shape[0] - 1, -1, -1):
        n = batch_sizes[t]
        if n_free < n:
            _add_weight_gradients(cell, capacity - n_free, D, H, &x[first_row, 0],
                                  chunk_d_gates + n_free * GH, chunk_recurrent + n_free * H,
                                  chunk_third + n_free * H, dW, dU, db, dc, panel)
            n_free = capacity
        first_row -= n
        n_free -= n
        d_gates = chunk_d_gates + n_free * GH
        recurrent_input = chunk_recurrent + n_free * H
        third = chunk_third + n_free * H
        saved_t = &saved[first_row, 0]
        if t:
            before = &states[first_row - batch_sizes[t - 1], 0]
            before_stride = H
            cell_before = saved_t - batch_sizes[t - 1] * PH + GH
            cell_before_stride = PH
        else:
            before = &h_0[0, 0]
            cell_before = before + H
            before_stride = cell_before_stride = S * H
        h_prev, h_prev_stride = before, before_stride
        cell_state_prev, cell_state_stride = cell_before, cell_before_stride
        if decay.shape[0]:
            _decay_states(H, S, n, &decay[first_row, 0], before, before_stride, cell_before,
                          cell_before_stride, decayed)
            h_prev = decayed
            cell_state_prev = decayed + H
            h_prev_stride = cell_state_stride = S * H
        if not mask.shape[0] and h_prev_stride == H:
            memcpy(recurrent_input, h_prev, n * H * sizeof(real))
        for k in range(n):
            own_mask = &mask[k, 0] if mask.shape[0] else NULL
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
                row.d_cell_state = &d_h[k, H]
            row.d_recurrent = third + k * H
            row.d_output = &d_states[first_row + k, 0] if d_states.shape[0] else NULL
            row.mask = own_mask
            row.d_h = &d_h[k, 0]
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
                row.mask = &mask[k, 0] if mask.shape[0] else NULL
                row.d_h = &d_h[k, 0]
                row.d_gates = d_gates + k * GH
                cell.backward_gates(&row)
        if mask.shape[0]:
            matmul(n, H, to_h, n_to_h, NULL, 0, product, H)
            for k in range(n):
                _add_product(H, product + k * H, &mask[k, 0], &d_h[k, 0])
        else:
            matmul(n, H, to_h, n_to_h, &d_h[0, 0], S * H, &d_h[0, 0], S * H)
        if decay.shape[0]:
            _decay_states_backward(H, S, n, &decay[first_row, 0], before, before_stride,
                                   cell_before, cell_before_stride, &d_h[0, 0],
                                   &d_decay[first_row, 0])
        if dE.shape[0]:
            _add_to_rows_of_codes(GH, d_gates, &codes[first_row, 0], codes.shape[1], n, &dE[0, 0])
        if dx.shape[0]:
            to_x.a = d_gates
            matmul(n, D, &to_x, 1, NULL, 0, &dx[first_row, 0], D)
    _add_weight_gradients(cell, capacity - n_free, D, H, &x[0, 0],
                          chunk_d_gates + n_free * GH, chunk_recurrent + n_free * H,
                          chunk_third + n_free * H, dW, dU, db, dc, panel)
    restore_denormals(mode)


cdef void _add_weight_gradients(
    const Cell* cell, Py_ssize_t n_rows, Py_ssize_t D, Py_ssize_t H, const real* x,
    const real* d_gates, const real* recurrent_input, const real* third,
    real[:, ::1] dW, real[:, ::1] dU, real[::1] db, real[::1] dc, real* panel,
) noexcept nogil:
    """Add what the rows of a chunk contribute to ∂L/∂W, ∂L/∂U, ∂L/∂b and ∂L/∂c, if wanted."""
    cdef:
        Py_ssize_t GH = cell.n_gates * H, n_first = GH if cell.candidate == JOINT else GH - H
        real one = 1
        TransposedProduct[3] factors
    if dU.shape[0] == 0:
        return
    factors[0] = TransposedProduct(x, D, D, &dW[0, 0])
    factors[1] = TransposedProduct(&one, 1, 0, &db[0])      # a sum: every row times 1
    factors[2] = TransposedProduct(recurrent_input, H, H, &dU[0, 0])
    add_transposed_matmul(n_rows, n_first, d_gates, GH, factors, 3, GH, panel)
    if cell.candidate == JOINT:
        return
    factors[0].c = &dW[0, n_first]
    factors[1].c = &db[n_first]
    factors[2].c = &dU[0, n_first]
    if cell.candidate == SPLIT:                             # third: d_recurrent
        add_transposed_matmul(n_rows, H, d_gates + n_first, GH, factors, 2, GH, panel)
        factors[1].c = &dc[0]
        add_transposed_matmul(n_rows, H, third, H, &factors[1], 2, GH, panel)
    else:                                                   # third: gated_state
        factors[2].a = third
        add_transposed_matmul(n_rows, H, d_gates + n_first, GH, factors, 3, GH, panel)


cdef Py_ssize_t _check_layer(
    const Cell* cell, const Py_ssize_t* x, const Py_ssize_t[::1] batch_sizes, const Py_ssize_t* W,
    const Py_ssize_t* U, Py_ssize_t b, Py_ssize_t c, const int[:, ::1] codes,
    const Py_ssize_t* E, const Py_ssize_t* decay,
) except -1:
    """Return B; raise ValueError unless the arrays fit together, as no later access is checked."""
    if batch_sizes.shape[0] == 0:
        raise ValueError("a layer needs at least one time step")
    _check_packed(x[0], batch_sizes)
    _check_weights(cell, x[1], W, U, b, c, E)
    if codes.shape[0] != (x[0] if E[0] else 0):
        raise ValueError("codes must be (N, C), or empty if there are no categories")
    if E[0]:
        _check_table(E, codes)
    if decay[0] not in (0, x[0]) or decay[0] and decay[1] != U[0]:
        raise ValueError("decay must be (N, H) or empty")
    return batch_sizes[0]
