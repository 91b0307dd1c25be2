"""The gated recurrent unit: a layer forward over time, and backward through it.

Row vectors; columns of W (D, 3H), U (H, 3H) and b (3H) in the order r | z | h̃:

    r_t = σ(x_t W_r + h_{t-1} U_r + b_r)                 reset gate
    z_t = σ(x_t W_z + h_{t-1} U_z + b_z)                 update gate; z=1 keeps the past
    h̃_t = tanh(x_t W_h + (r_t ⊙ h_{t-1}) U_h + b_h)      candidate, reset before the product
    h̃_t = tanh(x_t W_h + b_h + r_t ⊙ (h_{t-1} U_h + c))  candidate, reset after it
    h_t = z_t ⊙ h_{t-1} + (1 - z_t) ⊙ h̃_t

Cho et al. 2014 (arXiv:1406.1078) for the first form of the candidate; the second is cuDNN's.
With recurrent dropout, what U takes is mask ⊙ h_{t-1}, one mask for all steps of a sequence (Gal &
Ghahramani 2016, arXiv:1512.05287); the state that z keeps is whole.

A minibatch is packed (see the package's docstring). Both passes run with denormals flushed to
zero, and one row's numbers have the same bits whatever rows are computed beside it.
"""

# Rows whose gate gradients wait to become weight gradients in one product: enough to make it a
# large one, few enough for the second-level cache.
cdef enum:
    CHUNK = 256


# ---- forward ---------------------------------------------------------------------------------

def gru_forward(
    const real[:, ::1] x,                    # IN   (N, D)
    const Py_ssize_t[::1] batch_sizes,       # IN   (T,)      rows of each step, never growing
    const real[:, ::1] W,                    # IN   (D, 3H)
    const real[:, ::1] U,                    # IN   (H, 3H)
    const real[::1] b,                       # IN   (3H,)
    const real[::1] c,                       # IN   (H,)      or (0,): reset before
    const real[:, ::1] h_0,                  # IN   (B, H)
    const real[:, ::1] mask,                 # IN   (B, H)    of h_{t-1} where U takes it; (0, _)
    real[:, ::1] h_last,                     # OUT  (B, H)    the last state of each sequence
    real[:, ::1] states,                     # OUT  (N, H)    h_t of each row; (0, _): not wanted
    real[:, ::1] gates,                      # OUT  (N, 3H)   r | z | h̃; after: (N, 4H), with
                                             #   h_{t-1} U_h + c; (0, _): not wanted
):
    """Run one layer over all time steps of a packed minibatch."""
    cdef:
        Py_ssize_t N = x.shape[0], D = x.shape[1], H = U.shape[0]
        Py_ssize_t G = 4 * H if c.shape[0] else 3 * H, B
        bint keep_states = states.shape[0] > 0, keep_gates = gates.shape[0] > 0
        void* work
    B = _check_layer(x.shape, batch_sizes, W.shape, U.shape, b.shape[0], c.shape[0])
    if (h_0.shape[0] != B or h_0.shape[1] != H or h_last.shape[0] != B or h_last.shape[1] != H
            or mask.shape[0] not in (0, B) or mask.shape[0] and mask.shape[1] != H
            or keep_states and (states.shape[0] != N or states.shape[1] != H)
            or keep_gates and (gates.shape[0] != N or gates.shape[1] != G)):
        raise ValueError("h_0 and h_last must be (B, H), mask (B, H) or empty, states (N, H) or "
                         "empty, and gates (N, 3H), (N, 4H) with reset after, or empty")
    work = malloc(LINE + sizeof(real) * (
        packed_size(D, 2 * H) + packed_size(D, H) + packed_size(H, 2 * H) + packed_size(H, H)
        + 2 * in_lines(B * H) + (0 if keep_gates else B * G)))
    if not work:
        raise MemoryError
    with nogil:
        _forward_in_time(x, batch_sizes, W, U, b, c, &h_0[0, 0],
                         &mask[0, 0] if mask.shape[0] else NULL, &h_last[0, 0],
                         &states[0, 0] if keep_states else NULL,
                         &gates[0, 0] if keep_gates else NULL, first_line(work))
        free(work)


cdef void _forward_in_time(
    const real[:, ::1] x, const Py_ssize_t[::1] batch_sizes,
    const real[:, ::1] W, const real[:, ::1] U, const real[::1] b, const real[::1] c,
    const real* h_0, const real* mask, real* h_last, real* states, real* gates, real* work,
) noexcept nogil:
    cdef:
        Py_ssize_t D = x.shape[1], H = U.shape[0], B = batch_sizes[0]
        bint reset_after = c.shape[0] > 0
        Py_ssize_t G = 4 * H if reset_after else 3 * H
        Py_ssize_t T = batch_sizes.shape[0], row = 0, running, t, k, n
        unsigned long long mode = flush_denormals()
        real* W_rz = work
        real* W_h = W_rz + packed_size(D, 2 * H)
        real* U_rz = W_h + packed_size(D, H)
        real* U_h = U_rz + packed_size(H, 2 * H)
        real* reset = U_h + packed_size(H, H)       # r ⊙ h_{t-1}
        real* masked = reset + in_lines(B * H)      # mask ⊙ h_{t-1}
        real* g = gates if gates != NULL else masked + in_lines(B * H)
        const real* h_prev = h_0
        const real* past                            # what U takes for h_{t-1}
        real* h = states if states != NULL else h_last
        term[2] from_x_and_h
        term[2] from_x_and_reset

    pack(&W[0, 0], 3 * H, 1, D, 2 * H, W_rz)
    pack(&W[0, 2 * H], 3 * H, 1, D, H, W_h)
    pack(&U[0, 0], 3 * H, 1, H, 2 * H, U_rz)
    pack(&U[0, 2 * H], 3 * H, 1, H, H, U_h)
    from_x_and_h[0] = term(NULL, W_rz, D, D, 1)
    from_x_and_h[1] = term(NULL, U_rz, H, H, 1)
    from_x_and_reset[0] = term(NULL, W_h, D, D, 1)
    from_x_and_reset[1] = term(NULL, U_h, H, H, 1)

    for t in range(T):
        n = batch_sizes[t]
        past = h_prev
        if mask != NULL:
            _multiply_elements(n * H, h_prev, mask, masked)
            past = masked
        from_x_and_h[0].a = from_x_and_reset[0].a = &x[row, 0]
        from_x_and_h[1].a = past
        multiply(n, 2 * H, from_x_and_h, 2, &b[0], 0, g, G)
        if reset_after:
            multiply(n, H, from_x_and_reset, 1, &b[2 * H], 0, g + 2 * H, G)
            from_x_and_reset[1].a = past
            multiply(n, H, &from_x_and_reset[1], 1, &c[0], 0, g + 3 * H, G)
            for k in range(n):
                _update_reset_after(H, g + k * G, h_prev + k * H, h + k * H)
        else:
            for k in range(n):
                _gates(H, g + k * G, past + k * H, reset + k * H)
            from_x_and_reset[1].a = reset
            multiply(n, H, from_x_and_reset, 2, &b[2 * H], 0, g + 2 * H, G)
            for k in range(n):
                _update(H, g + k * G, h_prev + k * H, h + k * H)
        row += n
        if gates != NULL:
            g += n * G
        h_prev = h
        if states != NULL:
            running = batch_sizes[t + 1] if t + 1 < T else 0
            memcpy(h_last + running * H, h + running * H, (n - running) * H * sizeof(real))
            h += n * H
    restore_denormals(mode)


cdef inline void _multiply_elements(
    Py_ssize_t size, const real* a, const real* b, real* product
) noexcept nogil:
    cdef Py_ssize_t j = 0, n
    while j < size:
        n = min(<Py_ssize_t>LANES, size - j)
        put(product + j, get(a + j, n) * get(b + j, n), n)
        j += LANES


cdef inline void _gates(Py_ssize_t H, real* g, const real* past, real* reset) noexcept nogil:
    """σ of what g holds as r | z; r ⊙ h_{t-1}."""
    cdef Py_ssize_t j, n
    cdef vec r
    j = 0
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        r = sigmoid(get(g + j, n))
        put(g + j, r, n)
        put(g + H + j, sigmoid(get(g + H + j, n)), n)
        put(reset + j, r * get(past + j, n), n)
        j += LANES


cdef inline void _update(Py_ssize_t H, real* g, const real* h_prev, real* h) noexcept nogil:
    """tanh of what g holds as h̃; the new state."""
    cdef Py_ssize_t j, n
    cdef vec z, candidate
    j = 0
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        z = get(g + H + j, n)
        candidate = tangent(get(g + 2 * H + j, n))
        put(g + 2 * H + j, candidate, n)
        put(h + j, z * get(h_prev + j, n) + (1 - z) * candidate, n)
        j += LANES


cdef inline void _update_reset_after(
    Py_ssize_t H, real* g, const real* h_prev, real* h
) noexcept nogil:
    """σ, σ, tanh of what g holds as r | z | h̃, to which r adds its fourth part; the new state."""
    cdef Py_ssize_t j, n
    cdef vec r, z, candidate
    j = 0
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        r = sigmoid(get(g + j, n))
        z = sigmoid(get(g + H + j, n))
        candidate = tangent(get(g + 2 * H + j, n) + r * get(g + 3 * H + j, n))
        put(g + j, r, n)
        put(g + H + j, z, n)
        put(g + 2 * H + j, candidate, n)
        put(h + j, z * get(h_prev + j, n) + (1 - z) * candidate, n)
        j += LANES


# ---- backward --------------------------------------------------------------------------------

def gru_backward(
    const real[:, ::1] x,                    # IN   (N, D)
    const Py_ssize_t[::1] batch_sizes,       # IN   (T,)
    const real[:, ::1] W,                    # IN   (D, 3H)
    const real[:, ::1] U,                    # IN   (H, 3H)
    const real[:, ::1] h_0,                  # IN   (B, H)
    const real[:, ::1] mask,                 # IN   (B, H)    as in forward
    const real[:, ::1] states,               # IN   (N, H)    from forward
    const real[:, ::1] gates,                # IN   (N, 3H)   from forward; after: (N, 4H)
    const real[:, ::1] d_states,             # IN   (N, H)    the loss's own ∂L/∂h_t; (0, _): none
    real[:, ::1] d_h,                        # INOUT (B, H)   ∂L/∂h_last, then ∂L/∂h_0
    real[:, ::1] dx,                         # OUT  (N, D)    or (0, _): not wanted
    real[:, ::1] dW,                         # INOUT (D, 3H)  to these, ∂L/∂W and so on are added
    real[:, ::1] dU,                         # INOUT (H, 3H)
    real[::1] db,                            # INOUT (3H,)
    real[::1] dc,                            # INOUT (H,)     or (0,): reset before
):
    """Backpropagate through all time steps of a packed minibatch."""
    cdef:
        Py_ssize_t N = x.shape[0], D = x.shape[1], H = U.shape[0]
        Py_ssize_t G = 4 * H if dc.shape[0] else 3 * H, B, capacity
        void* work
    B = _check_layer(x.shape, batch_sizes, W.shape, U.shape, db.shape[0], dc.shape[0])
    if (h_0.shape[0] != B or h_0.shape[1] != H or states.shape[0] != N or states.shape[1] != H
            or mask.shape[0] not in (0, B) or mask.shape[0] and mask.shape[1] != H
            or gates.shape[0] != N or gates.shape[1] != G
            or d_states.shape[0] not in (0, N) or d_states.shape[0] and d_states.shape[1] != H
            or d_h.shape[0] != B or d_h.shape[1] != H
            or dx.shape[0] not in (0, N) or dx.shape[0] and dx.shape[1] != D
            or dW.shape[0] != D or dW.shape[1] != 3 * H
            or dU.shape[0] != H or dU.shape[1] != 3 * H):
        raise ValueError("the arrays do not have the shapes of what they belong to")
    capacity = max(<Py_ssize_t>CHUNK, B)
    work = malloc(LINE + sizeof(real) * (
        3 * packed_size(H, H) + packed_size(3 * H, D) + in_lines(B * H)
        + in_lines(capacity * 3 * H) + 2 * in_lines(capacity * H) + capacity * PANEL))
    if not work:
        raise MemoryError
    with nogil:
        _backward_in_time(x, batch_sizes, W, U, h_0, mask, states, gates, d_states, d_h, dx,
                          dW, dU, db, dc, capacity, first_line(work))
        free(work)


cdef void _backward_in_time(
    const real[:, ::1] x, const Py_ssize_t[::1] batch_sizes,
    const real[:, ::1] W, const real[:, ::1] U, const real[:, ::1] h_0, const real[:, ::1] mask,
    const real[:, ::1] states, const real[:, ::1] gates, const real[:, ::1] d_states,
    real[:, ::1] d_h,
    real[:, ::1] dx, real[:, ::1] dW, real[:, ::1] dU, real[::1] db, real[::1] dc,
    Py_ssize_t capacity, real* work,
) noexcept nogil:
    cdef:
        Py_ssize_t N = x.shape[0], D = x.shape[1], H = U.shape[0], B = batch_sizes[0]
        bint reset_after = dc.shape[0] > 0
        Py_ssize_t G = 3 * H, row = N, free_rows = capacity, t, k, n
        unsigned long long mode = flush_denormals()
        real* U_r = work                            # all transposed
        real* U_z = U_r + packed_size(H, H)
        real* U_h = U_z + packed_size(H, H)
        real* W_all = U_h + packed_size(H, H)
        real* q = W_all + packed_size(3 * H, D)     # ∂L/∂(r ⊙ h_{t-1}) of one step, and more
        real* chunk_a = q + in_lines(B * H)         # a_r | a_z | a_h of the last rows gone through
        real* chunk_h = chunk_a + in_lines(capacity * G)  # h_{t-1} of the same rows
        real* chunk_s = chunk_h + in_lines(capacity * H)  # r ⊙ h_{t-1}; reset after: r ⊙ a_h
        real* panel = chunk_s + in_lines(capacity * H)
        real* a
        real* s
        const real* h_prev
        const real* g
        const real* d
        term[3] from_gates
        term from_candidate = term(NULL, U_h, H, G, 1)
        term to_x = term(NULL, W_all, 3 * H, G, 1)

    pack(&U[0, 0], 1, 3 * H, H, H, U_r)
    pack(&U[0, H], 1, 3 * H, H, H, U_z)
    pack(&U[0, 2 * H], 1, 3 * H, H, H, U_h)
    if dx.shape[0]:
        pack(&W[0, 0], 1, 3 * H, 3 * H, D, W_all)
    from_gates[0] = term(NULL, U_r, H, G, 1)
    from_gates[1] = term(NULL, U_z, H, G, 1)
    from_gates[2] = term(NULL, U_h, H, H, 1)

    for t in range(batch_sizes.shape[0] - 1, -1, -1):
        n = batch_sizes[t]
        if free_rows < n:
            _weight_gradients(capacity - free_rows, D, H, reset_after, &x[row, 0],
                              chunk_a + free_rows * G, chunk_h + free_rows * H,
                              chunk_s + free_rows * H, dW, dU, db, dc, panel)
            free_rows = capacity
        row -= n
        free_rows -= n
        a = chunk_a + free_rows * G
        s = chunk_s + free_rows * H
        g = &gates[row, 0]
        h_prev = &states[row - batch_sizes[t - 1], 0] if t else &h_0[0, 0]
        d = &d_states[row, 0] if d_states.shape[0] else NULL
        for k in range(n):
            _backward_update(H, g + k * gates.shape[1], h_prev + k * H,
                             d + k * H if d != NULL else NULL,
                             &mask[k, 0] if mask.shape[0] else NULL, &d_h[k, 0],
                             a + k * G, chunk_h + (free_rows + k) * H, s + k * H, reset_after)
        from_gates[0].a = a
        from_gates[1].a = a + H
        from_gates[2].a = s
        if not reset_after:
            from_candidate.a = a + 2 * H
            multiply(n, H, &from_candidate, 1, NULL, 0, q, H)
            for k in range(n):
                _backward_reset(H, g + k * gates.shape[1], chunk_h + (free_rows + k) * H,
                                q + k * H, &mask[k, 0] if mask.shape[0] else NULL,
                                &d_h[k, 0], a + k * G, s + k * H)
        if mask.shape[0]:
            multiply(n, H, from_gates, 3 if reset_after else 2, NULL, 0, q, H)
            _add_product(n * H, q, &mask[0, 0], &d_h[0, 0])
        else:
            multiply(n, H, from_gates, 3 if reset_after else 2, &d_h[0, 0], H, &d_h[0, 0], H)
        if dx.shape[0]:
            to_x.a = a
            multiply(n, D, &to_x, 1, NULL, 0, &dx[row, 0], D)
    _weight_gradients(capacity - free_rows, D, H, reset_after, &x[0, 0],
                      chunk_a + free_rows * G, chunk_h + free_rows * H, chunk_s + free_rows * H,
                      dW, dU, db, dc, panel)
    restore_denormals(mode)


cdef inline void _backward_update(
    Py_ssize_t H, const real* g, const real* h_prev, const real* d, const real* mask, real* delta,
    real* a, real* h_copy, real* s, bint reset_after,
) noexcept nogil:
    """Go back through the new state, the update gate and the candidate: a_z, a_h and δ ⊙ z."""
    cdef Py_ssize_t j, n
    cdef vec z, candidate, past, total, a_h, r
    j = 0
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        z = get(g + H + j, n)
        candidate = get(g + 2 * H + j, n)
        past = get(h_prev + j, n)
        total = get(delta + j, n)
        if d != NULL:
            total = total + get(d + j, n)
        a_h = total * (1 - z) * (1 - candidate * candidate)
        put(a + 2 * H + j, a_h, n)
        put(a + H + j, total * (past - candidate) * z * (1 - z), n)
        put(delta + j, total * z, n)
        put(h_copy + j, past * get(mask + j, n) if mask != NULL else past, n)
        if reset_after:
            r = get(g + j, n)
            put(a + j, a_h * get(g + 3 * H + j, n) * r * (1 - r), n)
            put(s + j, a_h * r, n)
        j += LANES


cdef inline void _backward_reset(
    Py_ssize_t H, const real* g, const real* past, const real* q, const real* mask, real* delta,
    real* a, real* s,
) noexcept nogil:
    """Go back through r ⊙ h_{t-1}, given its gradient q: a_r and δ + q ⊙ r."""
    cdef Py_ssize_t j, n
    cdef vec r, h, d_reset
    j = 0
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        r = get(g + j, n)
        h = get(past + j, n)
        d_reset = get(q + j, n)
        put(a + j, d_reset * h * r * (1 - r), n)
        put(s + j, r * h, n)
        d_reset = d_reset * r
        if mask != NULL:
            d_reset = d_reset * get(mask + j, n)
        put(delta + j, get(delta + j, n) + d_reset, n)
        j += LANES


cdef inline void _add_product(
    Py_ssize_t size, const real* a, const real* b, real* total
) noexcept nogil:
    cdef Py_ssize_t j = 0, n
    while j < size:
        n = min(<Py_ssize_t>LANES, size - j)
        put(total + j, get(total + j, n) + get(a + j, n) * get(b + j, n), n)
        j += LANES


cdef void _weight_gradients(
    Py_ssize_t rows, Py_ssize_t D, Py_ssize_t H, bint reset_after, const real* x,
    const real* a, const real* h, const real* s,
    real[:, ::1] dW, real[:, ::1] dU, real[::1] db, real[::1] dc, real* panel,
) noexcept nogil:
    """Add the share of some rows to ∂L/∂W, ∂L/∂U, ∂L/∂b and ∂L/∂c."""
    cdef:
        Py_ssize_t G = 3 * H
        real one = 1
        transposed[3] factors
    factors[0] = transposed(x, D, D, &dW[0, 0])
    factors[1] = transposed(&one, 1, 0, &db[0])
    factors[2] = transposed(h, H, H, &dU[0, 0])
    add_transposed(rows, 2 * H, a, G, factors, 3, G, panel)
    factors[0].c = &dW[0, 2 * H]
    factors[1].c = &db[2 * H]
    factors[2].c = &dU[0, 2 * H]
    if reset_after:
        add_transposed(rows, H, a + 2 * H, G, factors, 2, G, panel)
        factors[1].c = &dc[0]
        add_transposed(rows, H, s, H, &factors[1], 2, G, panel)
    else:
        factors[2].a = s
        add_transposed(rows, H, a + 2 * H, G, factors, 3, G, panel)


cdef Py_ssize_t _check_layer(
    const Py_ssize_t* x, const Py_ssize_t[::1] batch_sizes, const Py_ssize_t* W,
    const Py_ssize_t* U, Py_ssize_t b, Py_ssize_t c,
) except -1:
    """Return B, or raise ValueError unless arrays fit together: no access is checked later."""
    cdef Py_ssize_t D = x[1], H = U[0]
    if batch_sizes.shape[0] == 0 or D == 0 or H == 0:
        raise ValueError("a layer needs at least one time step, one channel and one unit")
    _check_packed(x[0], batch_sizes)
    if W[0] != D or W[1] != 3 * H or U[1] != 3 * H or b != 3 * H or c not in (0, H):
        raise ValueError("W, U, b and c must be (D, 3H), (H, 3H), (3H,) and (H,) or (0,)")
    return batch_sizes[0]
