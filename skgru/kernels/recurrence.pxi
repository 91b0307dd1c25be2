"""What all cells share: a layer forward over time, backward through it, the products of both.

A cell is a row of `cell`: how many blocks of columns its weights have, and what it does with a row
of numbers between the products. Its file has both directions beside each other, and ends in
`_add_cell`.

W (D, GH), U (H, GH) and b (GH) have G blocks, the candidate's last. The first product makes all of
them, or all but the candidate's:

    one product             x_t W + past U + b                for all blocks
    candidate of `inner`    x_t W_h + inner U_h + b_h         inner is what `gates` makes of them
    candidate apart         x_t W_h + b_h  and  past U_h + c  which `update` puts together

A minibatch is packed (see the package's docstring). Both passes run with denormals flushed to
zero, and one row's numbers have the same bits whatever rows are computed beside it. With recurrent
dropout, `past` is mask ⊙ h_{t-1}, one mask for all steps of a sequence (Gal & Ghahramani 2016,
arXiv:1512.05287); what a cell carries on is whole.
"""

# Rows whose gate gradients wait to become weight gradients in one product: enough to make it a
# large one, few enough for the second-level cache.
cdef enum:
    CHUNK = 256
    MAX_CELLS = 16

cdef enum candidate_of:
    OF_PAST                                 # one product for all blocks
    OF_INNER                                # a product of its own, of what `gates` makes
    APART                                   # of past, but kept apart from that of x


cdef struct row:
    Py_ssize_t H
    # forward: sums in, activations out; a block a gate, then what else the way back needs
    real* saved
    const real* past                        # mask ⊙ h_{t-1}
    const real* h_prev
    const real* memory_prev                 # the second part of a state, if it has two
    real* inner                             # what U_h takes; back: also what dU_h is made of
    real* h
    real* memory
    # backward
    const real* d                           # the loss's own ∂L/∂h_t, or NULL
    const real* d_inner                     # ∂L/∂inner
    const real* mask                        # or NULL
    real* delta                             # ∂L/∂h_t in, what of ∂L/∂h_{t-1} takes no product out
    real* delta_memory                      # the same of the memory
    real* a                                 # the gradients of the sums, a block a gate


ctypedef void (*row_function)(const row* r) noexcept nogil


cdef inline vec _state_gradient(
    const real* delta, const real* d, Py_ssize_t j, Py_ssize_t n
) noexcept nogil:
    """Return n numbers of ∂L/∂h_t: what comes from the next step, and the loss's own if any."""
    cdef vec total = get(delta + j, n)
    if d != NULL:
        total = total + get(d + j, n)
    return total


cdef struct cell:
    int n_gates                             # G
    candidate_of candidate
    int n_extra                             # blocks of saved after the gates'
    int n_states                            # 1, or 2 with a memory, which is then the first extra
    int forget                              # the block whose bias begins at one, or -1
    row_function gates                      # OF_INNER: activations of all but the candidate; inner
    row_function update                     # the other activations; the new state
    row_function backward                   # δ, and a of what takes no product to know
    row_function backward_gates             # OF_INNER: given d_inner, the rest


cdef cell[MAX_CELLS] _cells
cdef int _n_cells = 0

# name: (index, n_gates, n_extra, n_states, forget)
CELLS = {}


cdef int _add_cell(str name, cell added) except -1:
    global _n_cells
    if _n_cells == MAX_CELLS or name in CELLS or not 0 < added.n_gates <= MAX_TERMS:
        raise RuntimeError(f"there is no room for a cell {name!r} of {added.n_gates} gates")
    _cells[_n_cells] = added
    CELLS[name] = (_n_cells, added.n_gates, added.n_extra, added.n_states, added.forget)
    _n_cells += 1
    return 0


# ---- forward ---------------------------------------------------------------------------------

def layer_forward(
    int cell_index,                          # IN   of CELLS
    const real[:, ::1] x,                    # IN   (N, D)
    const Py_ssize_t[::1] batch_sizes,       # IN   (T,)     rows of each step, never growing
    const real[:, ::1] W,                    # IN   (D, GH)
    const real[:, ::1] U,                    # IN   (H, GH)
    const real[::1] b,                       # IN   (GH,)
    const real[::1] c,                       # IN   (H,)     with the candidate apart, or (0,)
    const real[:, ::1] h_0,                  # IN   (B, SH)  state, and memory if S is 2
    const real[:, ::1] mask,                 # IN   (B, H)   of h_{t-1} where U takes it; or (0, _)
    real[:, ::1] h_last,                     # OUT  (B, SH)  the last state of each sequence
    real[:, ::1] states,                     # OUT  (N, H)   h_t of each row; (0, _): not wanted
    real[:, ::1] saved,                      # OUT  (N, PH)  for the backward pass, P blocks: gates
                                             #   and extra; (0, _): not wanted
):
    """Run one layer over all time steps of a packed minibatch."""
    cdef:
        Py_ssize_t N = x.shape[0], D = x.shape[1], H = U.shape[0], B, S, P
        bint keep_states = states.shape[0] > 0, keep_saved = saved.shape[0] > 0
        cell* unit = _cell(cell_index)
        void* work
    B = _check_layer(unit, x.shape, batch_sizes, W.shape, U.shape, b.shape[0], c.shape[0])
    S = unit.n_states
    P = unit.n_gates + unit.n_extra
    if (h_0.shape[0] != B or h_0.shape[1] != S * H
            or h_last.shape[0] != B or h_last.shape[1] != S * H
            or mask.shape[0] not in (0, B) or mask.shape[0] and mask.shape[1] != H
            or keep_states and (states.shape[0] != N or states.shape[1] != H)
            or keep_saved and (saved.shape[0] != N or saved.shape[1] != P * H)):
        raise ValueError(f"h_0 and h_last must be (B, {S}H), mask (B, H) or empty, states (N, H) "
                         f"or empty, and saved (N, {P}H) or empty")
    work = malloc(LINE + sizeof(real) * (
        _packed_layer_size(unit, D, H)
        + 2 * in_lines(B * H) + (0 if keep_saved else B * P * H)))
    if not work:
        raise MemoryError
    with nogil:
        _forward_in_time(unit, x, batch_sizes, W, U, b, c, &h_0[0, 0],
                         &mask[0, 0] if mask.shape[0] else NULL, &h_last[0, 0],
                         &states[0, 0] if keep_states else NULL,
                         &saved[0, 0] if keep_saved else NULL, first_line(work))
        free(work)


cdef void _forward_in_time(
    const cell* unit, const real[:, ::1] x, const Py_ssize_t[::1] batch_sizes,
    const real[:, ::1] W, const real[:, ::1] U, const real[::1] b, const real[::1] c,
    const real* h_0, const real* mask, real* h_last, real* states, real* saved, real* work,
) noexcept nogil:
    cdef:
        Py_ssize_t D = x.shape[1], H = U.shape[0], B = batch_sizes[0], S = unit.n_states
        Py_ssize_t G = unit.n_gates * H, P = G + unit.n_extra * H
        Py_ssize_t T = batch_sizes.shape[0], first = 0, running, t, k, n
        unsigned long long mode = flush_denormals()
        real* inner = work + _packed_layer_size(unit, D, H)
        real* masked = inner + in_lines(B * H)      # mask ⊙ h_{t-1}
        moment now

    now.layer = _pack_layer(unit, W, U, &b[0], &c[0] if c.shape[0] else NULL, work)
    now.x_stride = D
    now.h_prev = h_0
    now.h_prev_stride = now.memory_stride = S * H
    now.memory_prev = h_0 + H
    now.inner = inner
    now.saved = saved if saved != NULL else masked + in_lines(B * H)
    now.h = states if states != NULL else h_last
    now.h_stride = H if states != NULL else S * H

    for t in range(T):
        n = batch_sizes[t]
        now.x = &x[first, 0]
        now.past = now.h_prev
        now.past_stride = now.h_prev_stride
        if mask != NULL:
            for k in range(n):
                _multiply_elements(H, now.h_prev + k * now.h_prev_stride, mask + k * H,
                                   masked + k * H)
            now.past = masked
            now.past_stride = H
        _one_step(&now, n)
        first += n
        running = batch_sizes[t + 1] if t + 1 < T else 0
        for k in range(running, n):
            if states != NULL:
                memcpy(h_last + k * S * H, now.h + k * now.h_stride, H * sizeof(real))
            if S == 2:
                memcpy(h_last + k * S * H + H, now.saved + k * P + G, H * sizeof(real))
        now.h_prev = now.h
        now.h_prev_stride = now.h_stride
        now.memory_prev = now.saved + G
        now.memory_stride = P
        if states != NULL:
            now.h += n * H
        if saved != NULL:
            now.saved += n * P
    restore_denormals(mode)


# ---- one step --------------------------------------------------------------------------------

cdef struct packed_layer:
    const cell* unit
    Py_ssize_t D, H
    const real* W_first                     # for the first product
    const real* U_first
    const real* W_last                      # for the candidate, unless the first product makes it
    const real* U_last
    const real* b
    const real* c


cdef struct moment:
    packed_layer layer
    const real* x
    const real* past
    const real* h_prev
    const real* memory_prev
    real* inner                             # memory for (n, H)
    real* saved                             # (n, PH)
    real* h                                 # may be h_prev
    Py_ssize_t x_stride, past_stride, h_prev_stride, memory_stride, h_stride


cdef inline Py_ssize_t _packed_layer_size(
    const cell* unit, Py_ssize_t D, Py_ssize_t H
) noexcept nogil:
    return unit.n_gates * (packed_size(D, H) + packed_size(H, H))


cdef packed_layer _pack_layer(
    const cell* unit, const real[:, ::1] W, const real[:, ::1] U, const real* b, const real* c,
    real* panels,
) noexcept nogil:
    """Pack W and U; b and c stay where they are."""
    cdef:
        Py_ssize_t D = W.shape[0], H = U.shape[0], G = unit.n_gates * H
        Py_ssize_t L = 0 if unit.candidate == OF_PAST else H    # columns of the candidate's own
        Py_ssize_t F = G - L                                    # and of the first product
        real* W_first = panels
        real* W_last = W_first + packed_size(D, F)
        real* U_first = W_last + packed_size(D, L)
        real* U_last = U_first + packed_size(H, F)
    pack(&W[0, 0], G, 1, D, F, W_first)
    pack(&U[0, 0], G, 1, H, F, U_first)
    if L:
        pack(&W[0, F], G, 1, D, L, W_last)
        pack(&U[0, F], G, 1, H, L, U_last)
    return packed_layer(unit, D, H, W_first, U_first, W_last, U_last, b, c)


cdef void _one_step(const moment* now, Py_ssize_t n) noexcept nogil:
    """Bring n rows from h_prev and memory_prev to h and the memory within saved."""
    cdef:
        const packed_layer* layer = &now.layer
        const cell* unit = layer.unit
        Py_ssize_t H = layer.H, G = unit.n_gates * H, P = G + unit.n_extra * H, k
        Py_ssize_t F = G if unit.candidate == OF_PAST else G - H
        real* saved = now.saved
        row r
        term[2] of_x_and_past
        term[2] of_candidate
    of_x_and_past[0] = term(now.x, layer.W_first, layer.D, now.x_stride, 1)
    of_x_and_past[1] = term(now.past, layer.U_first, H, now.past_stride, 1)
    of_candidate[0] = term(now.x, layer.W_last, layer.D, now.x_stride, 1)
    of_candidate[1] = term(now.past, layer.U_last, H, now.past_stride, 1)
    r.H = H
    if F:
        multiply(n, F, of_x_and_past, 2, layer.b, 0, saved, P)
    if unit.candidate == APART:
        multiply(n, H, of_candidate, 1, layer.b + F, 0, saved + F, P)
        multiply(n, H, &of_candidate[1], 1, layer.c, 0, saved + G, P)
    elif unit.candidate == OF_INNER:
        for k in range(n):
            r.saved = saved + k * P
            r.past = now.past + k * now.past_stride
            r.inner = now.inner + k * H
            unit.gates(&r)
        of_candidate[1].a = now.inner
        of_candidate[1].row_stride = H
        multiply(n, H, of_candidate, 2, layer.b + F, 0, saved + F, P)
    for k in range(n):
        r.saved = saved + k * P
        r.h_prev = now.h_prev + k * now.h_prev_stride
        r.memory_prev = now.memory_prev + k * now.memory_stride
        r.h = now.h + k * now.h_stride
        r.memory = saved + k * P + G
        unit.update(&r)


# ---- backward --------------------------------------------------------------------------------

def layer_backward(
    int cell_index,                          # IN   of CELLS
    const real[:, ::1] x,                    # IN   (N, D)
    const Py_ssize_t[::1] batch_sizes,       # IN   (T,)
    const real[:, ::1] W,                    # IN   (D, GH)
    const real[:, ::1] U,                    # IN   (H, GH)
    const real[:, ::1] h_0,                  # IN   (B, SH)
    const real[:, ::1] mask,                 # IN   (B, H)   as in forward
    const real[:, ::1] states,               # IN   (N, H)   from forward
    const real[:, ::1] saved,                # IN   (N, PH)  from forward
    const real[:, ::1] d_states,             # IN   (N, H)   the loss's own ∂L/∂h_t; (0, _): none
    real[:, ::1] d_h,                        # INOUT (B, SH) ∂L/∂h_last, then ∂L/∂h_0
    real[:, ::1] dx,                         # OUT  (N, D)   or (0, _): not wanted
    real[:, ::1] dW,                         # INOUT (D, GH) to these, ∂L/∂W and so on are added
    real[:, ::1] dU,                         # INOUT (H, GH)
    real[::1] db,                            # INOUT (GH,)
    real[::1] dc,                            # INOUT (H,)    with the candidate apart, or (0,)
):
    """Backpropagate through all time steps of a packed minibatch."""
    cdef:
        Py_ssize_t N = x.shape[0], D = x.shape[1], H = U.shape[0], B, S, G, P, capacity
        cell* unit = _cell(cell_index)
        void* work
    B = _check_layer(unit, x.shape, batch_sizes, W.shape, U.shape, db.shape[0], dc.shape[0])
    S = unit.n_states
    G = unit.n_gates * H
    P = G + unit.n_extra * H
    if (h_0.shape[0] != B or h_0.shape[1] != S * H or states.shape[0] != N or states.shape[1] != H
            or mask.shape[0] not in (0, B) or mask.shape[0] and mask.shape[1] != H
            or saved.shape[0] != N or saved.shape[1] != P
            or d_states.shape[0] not in (0, N) or d_states.shape[0] and d_states.shape[1] != H
            or d_h.shape[0] != B or d_h.shape[1] != S * H
            or dx.shape[0] not in (0, N) or dx.shape[0] and dx.shape[1] != D
            or dW.shape[0] != D or dW.shape[1] != G
            or dU.shape[0] != H or dU.shape[1] != G):
        raise ValueError("the arrays do not have the shapes of what they belong to")
    capacity = max(<Py_ssize_t>CHUNK, B)
    work = malloc(LINE + sizeof(real) * (
        unit.n_gates * packed_size(H, H) + packed_size(G, D) + in_lines(B * H)
        + in_lines(capacity * G) + 2 * in_lines(capacity * H) + capacity * PANEL))
    if not work:
        raise MemoryError
    with nogil:
        _backward_in_time(unit, x, batch_sizes, W, U, h_0, mask, states, saved, d_states, d_h, dx,
                          dW, dU, db, dc, capacity, first_line(work))
        free(work)


cdef void _backward_in_time(
    const cell* unit, const real[:, ::1] x, const Py_ssize_t[::1] batch_sizes,
    const real[:, ::1] W, const real[:, ::1] U, const real[:, ::1] h_0, const real[:, ::1] mask,
    const real[:, ::1] states, const real[:, ::1] saved, const real[:, ::1] d_states,
    real[:, ::1] d_h,
    real[:, ::1] dx, real[:, ::1] dW, real[:, ::1] dU, real[::1] db, real[::1] dc,
    Py_ssize_t capacity, real* work,
) noexcept nogil:
    cdef:
        Py_ssize_t N = x.shape[0], D = x.shape[1], H = U.shape[0], B = batch_sizes[0]
        Py_ssize_t S = unit.n_states, P = saved.shape[1], G = unit.n_gates * H
        Py_ssize_t first = N, free_rows = capacity, t, k, n
        unsigned long long mode = flush_denormals()
        real* U_blocks = work                       # transposed, a block a gate
        real* W_all = U_blocks + unit.n_gates * packed_size(H, H)  # transposed
        real* q = W_all + packed_size(G, D)         # ∂L/∂inner of one step, and more
        real* chunk_a = q + in_lines(B * H)         # the gradients of the sums of the last rows
        real* chunk_past = chunk_a + in_lines(capacity * G)  # and what U took there
        # and inner; with the candidate apart, the gradient of past U_h + c
        real* chunk_inner = chunk_past + in_lines(capacity * H)
        real* panel = chunk_inner + in_lines(capacity * H)
        real* a
        real* inner
        real* past
        const real* h_prev
        Py_ssize_t h_prev_stride
        const real* saved_t
        const real* m
        row r
        term[MAX_TERMS] of_gates
        int n_terms = unit.n_gates, i
        term of_candidate = term(NULL, U_blocks + (unit.n_gates - 1) * packed_size(H, H), H, G, 1)
        term to_x = term(NULL, W_all, G, G, 1)

    for i in range(unit.n_gates):
        pack(&U[0, i * H], 1, G, H, H, U_blocks + i * packed_size(H, H))
        of_gates[i] = term(NULL, U_blocks + i * packed_size(H, H), H, G, 1)
    if unit.candidate == OF_INNER:
        n_terms -= 1
    elif unit.candidate == APART:
        of_gates[n_terms - 1].row_stride = H
    if dx.shape[0]:
        pack(&W[0, 0], 1, G, G, D, W_all)
    r.H = H

    for t in range(batch_sizes.shape[0] - 1, -1, -1):
        n = batch_sizes[t]
        if free_rows < n:
            _weight_gradients(unit, capacity - free_rows, D, H, &x[first, 0],
                              chunk_a + free_rows * G, chunk_past + free_rows * H,
                              chunk_inner + free_rows * H, dW, dU, db, dc, panel)
            free_rows = capacity
        first -= n
        free_rows -= n
        a = chunk_a + free_rows * G
        past = chunk_past + free_rows * H
        inner = chunk_inner + free_rows * H
        saved_t = &saved[first, 0]
        if t:
            h_prev = &states[first - batch_sizes[t - 1], 0]
            h_prev_stride = H
        else:
            h_prev = &h_0[0, 0]
            h_prev_stride = S * H
        for k in range(n):
            m = &mask[k, 0] if mask.shape[0] else NULL
            if m != NULL:
                _multiply_elements(H, h_prev + k * h_prev_stride, m, past + k * H)
            else:
                memcpy(past + k * H, h_prev + k * h_prev_stride, H * sizeof(real))
            r.saved = <real*>(saved_t + k * P)
            r.past = past + k * H
            r.h_prev = h_prev + k * h_prev_stride
            if S == 2:
                r.memory = <real*>(saved_t + k * P + G)
                r.memory_prev = (saved_t - batch_sizes[t - 1] * P + k * P + G if t
                                 else h_prev + k * h_prev_stride + H)
                r.delta_memory = &d_h[k, H]
            r.inner = inner + k * H
            r.d = &d_states[first + k, 0] if d_states.shape[0] else NULL
            r.mask = m
            r.delta = &d_h[k, 0]
            r.a = a + k * G
            unit.backward(&r)
        for i in range(n_terms):
            of_gates[i].a = a + i * H
        if unit.candidate == APART:
            of_gates[n_terms - 1].a = inner
        elif unit.candidate == OF_INNER:
            of_candidate.a = a + G - H
            multiply(n, H, &of_candidate, 1, NULL, 0, q, H)
            for k in range(n):
                r.saved = <real*>(saved_t + k * P)
                r.past = past + k * H
                r.inner = inner + k * H
                r.d_inner = q + k * H
                r.mask = &mask[k, 0] if mask.shape[0] else NULL
                r.delta = &d_h[k, 0]
                r.a = a + k * G
                unit.backward_gates(&r)
        if mask.shape[0]:
            multiply(n, H, of_gates, n_terms, NULL, 0, q, H)
            for k in range(n):
                _add_product(H, q + k * H, &mask[k, 0], &d_h[k, 0])
        else:
            multiply(n, H, of_gates, n_terms, &d_h[0, 0], S * H, &d_h[0, 0], S * H)
        if dx.shape[0]:
            to_x.a = a
            multiply(n, D, &to_x, 1, NULL, 0, &dx[first, 0], D)
    _weight_gradients(unit, capacity - free_rows, D, H, &x[0, 0],
                      chunk_a + free_rows * G, chunk_past + free_rows * H,
                      chunk_inner + free_rows * H, dW, dU, db, dc, panel)
    restore_denormals(mode)


cdef void _weight_gradients(
    const cell* unit, Py_ssize_t rows, Py_ssize_t D, Py_ssize_t H, const real* x,
    const real* a, const real* past, const real* inner,
    real[:, ::1] dW, real[:, ::1] dU, real[::1] db, real[::1] dc, real* panel,
) noexcept nogil:
    """Add the share of some rows to ∂L/∂W, ∂L/∂U, ∂L/∂b and ∂L/∂c."""
    cdef:
        Py_ssize_t G = unit.n_gates * H, F = G if unit.candidate == OF_PAST else G - H
        real one = 1
        transposed[3] factors
    factors[0] = transposed(x, D, D, &dW[0, 0])
    factors[1] = transposed(&one, 1, 0, &db[0])
    factors[2] = transposed(past, H, H, &dU[0, 0])
    add_transposed(rows, F, a, G, factors, 3, G, panel)
    if unit.candidate == OF_PAST:
        return
    factors[0].c = &dW[0, F]
    factors[1].c = &db[F]
    factors[2].c = &dU[0, F]
    if unit.candidate == APART:
        add_transposed(rows, H, a + F, G, factors, 2, G, panel)
        factors[1].c = &dc[0]
        add_transposed(rows, H, inner, H, &factors[1], 2, G, panel)
    else:
        factors[2].a = inner
        add_transposed(rows, H, a + F, G, factors, 3, G, panel)


# ---- checks ----------------------------------------------------------------------------------

cdef cell* _cell(int index) except NULL:
    if not 0 <= index < _n_cells:
        raise ValueError(f"there is no cell {index}")
    return &_cells[index]


cdef Py_ssize_t _check_layer(
    const cell* unit, const Py_ssize_t* x, const Py_ssize_t[::1] batch_sizes, const Py_ssize_t* W,
    const Py_ssize_t* U, Py_ssize_t b, Py_ssize_t c,
) except -1:
    """Return B, or raise ValueError unless arrays fit together: no access is checked later."""
    if batch_sizes.shape[0] == 0:
        raise ValueError("a layer needs at least one time step")
    _check_packed(x[0], batch_sizes)
    _check_weights(unit, x[1], W, U, b, c)
    return batch_sizes[0]


cdef int _check_weights(
    const cell* unit, Py_ssize_t D, const Py_ssize_t* W, const Py_ssize_t* U, Py_ssize_t b,
    Py_ssize_t c,
) except -1:
    """Raise ValueError unless they are those of a layer of this cell for D channels."""
    cdef Py_ssize_t H = U[0], G = unit.n_gates * H, n_c
    n_c = H if unit.candidate == APART else 0
    if D == 0 or H == 0:
        raise ValueError("a layer needs at least one channel and one unit")
    if W[0] != D or W[1] != G or U[1] != G or b != G or c != n_c:
        raise ValueError(f"W, U, b and c must be (D, {unit.n_gates}H), (H, {unit.n_gates}H), "
                         f"({unit.n_gates}H,) and ({'H' if n_c else '0'},)")
    return 0
