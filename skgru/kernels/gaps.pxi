"""Decay of channels and states where values are missing: GRU-D (Che et al. 2018).

Uses vectors.pxi. The paper (doi:10.1038/s41598-018-24271-9), with m_t = 1 where a channel was
observed, δ_t the time since its last observation before step t, x' that observation and x̄ the
channel's mean:

    γ_t = exp(-max(0, W_γ δ_t + b_γ))                    of channels with a diagonal W_γ
    x̂_t = m_t x_t + (1 - m_t) (γ_t x' + (1 - γ_t) x̄)     in place of x_t
    ĥ_{t-1} = γ_t ⊙ h_{t-1}                              in place of h_{t-1}, see recurrence.pxi

Each gate gets V m_t beside W x̂_t: a layer that reads [x̂_t | m_t] has W above V. Here x̂_t is
a_t + γ_t d_t, with a_t = x_t and d_t = 0 where the channel was observed, and a_t = x̄ and
d_t = x' - x̄ where not. So with nothing missing x̂_t has the bits of x_t.
"""


def decay_forward(
    const real[:, :] observed,               # IN   (N, 2D)  a and m; rows may be strided
    const real[:, :] elapsed,                # IN   (N, 2D)  d and δ; rows may be strided
    const real[::1] w_x,                     # IN   (D,)     the diagonal of W_γ of the channels
    const real[::1] b_x,                     # IN   (D,)
    const real[:, ::1] W_h,                  # IN   (D, H)   W_γ of the units
    const real[::1] b_h,                     # IN   (H,)
    real[:, :] x,                            # OUT  (N, 2D)  x̂ and m; rows may be strided
    real[:, ::1] gamma_x,                    # OUT  (N, D)   γ of the channels
    real[:, ::1] gamma_h,                    # OUT  (N, H)   γ of the units
):
    """Compute the inputs of a layer and the decay of its states."""
    cdef:
        Py_ssize_t N = observed.shape[0], D = W_h.shape[0], H = W_h.shape[1]
        unsigned long long mode
        void* workspace
        real* panels
    _check_decay(observed, elapsed, w_x.shape, b_x.shape, W_h.shape, b_h.shape, x, gamma_x, gamma_h)
    workspace = malloc(CACHE_LINE_BYTES + sizeof(real) * panels_size(D, H))
    if not workspace:
        raise MemoryError
    with nogil:
        mode = flush_denormals()
        panels = align_to_cache_line(workspace)
        pack_panels(&W_h[0, 0], H, 1, D, H, panels)
        _decay_rows(N, D, H, &observed[0, 0], observed.strides[0] // <Py_ssize_t>sizeof(real),
                    &elapsed[0, 0], elapsed.strides[0] // <Py_ssize_t>sizeof(real),
                    &w_x[0], &b_x[0], panels, &b_h[0],
                    &x[0, 0], x.strides[0] // <Py_ssize_t>sizeof(real),
                    &gamma_x[0, 0], &gamma_h[0, 0])
        restore_denormals(mode)
        free(workspace)


cdef void _decay_rows(
    Py_ssize_t N, Py_ssize_t D, Py_ssize_t H, const real* observed, Py_ssize_t observed_stride,
    const real* elapsed, Py_ssize_t elapsed_stride, const real* w_x, const real* b_x,
    const real* W_h_panels, const real* b_h, real* x, Py_ssize_t x_stride,
    real* gamma_x, real* gamma_h,
) noexcept nogil:
    """Compute x̂ | m, and both γ, of N rows."""
    cdef:
        Product to_h = Product(elapsed + D, W_h_panels, D, elapsed_stride, 1)
        const real* a
        const real* d
        real* y
        vec gamma
        Py_ssize_t k, j, n
    matmul(N, H, &to_h, 1, b_h, 0, gamma_h, H)
    for k in range(N):
        a = observed + k * observed_stride
        d = elapsed + k * elapsed_stride
        y = x + k * x_stride
        j = 0
        while j < D:
            n = min(<Py_ssize_t>LANES, D - j)
            gamma = _decay_factor(load(w_x + j, n) * load(d + D + j, n) + load(b_x + j, n))
            store(gamma_x + k * D + j, gamma, n)
            store(y + j, load(a + j, n) + gamma * load(d + j, n), n)
            j += LANES
        memcpy(y + D, a + D, D * sizeof(real))
        j = 0
        while j < H:
            n = min(<Py_ssize_t>LANES, H - j)
            store(gamma_h + k * H + j, _decay_factor(load(gamma_h + k * H + j, n)), n)
            j += LANES


cdef inline vec _decay_factor(vec x) noexcept nogil:
    """Return exp(-max(0, x)), at least exp(-87) (float) or exp(-708) (double)."""
    cdef vec power
    cdef vec p = exponential(-clamp(relu(x), 708 if sizeof(real) == 8 else 87), &power)
    return power * p + power


def decay_backward(
    const real[:, :] elapsed,                # IN   (N, 2D)  as in the forward pass
    const real[:, ::1] gamma_x,              # IN   (N, D)   of the forward pass
    const real[:, ::1] gamma_h,              # IN   (N, H)   of the forward pass
    const real[:, :] dx,                     # IN   (N, 2D)  rows may be strided
    real[:, ::1] d_gamma_h,                  # IN   (N, H)   overwritten
    real[::1] dw_x,                          # INOUT (D,)    to these four, gradients are added
    real[::1] db_x,                          # INOUT (D,)
    real[:, ::1] dW_h,                       # INOUT (D, H)
    real[::1] db_h,                          # INOUT (H,)
):
    """Compute the gradients of the weights of both decays."""
    cdef:
        Py_ssize_t N = gamma_x.shape[0], D = dW_h.shape[0], H = dW_h.shape[1]
        Py_ssize_t stride = elapsed.strides[0] // <Py_ssize_t>sizeof(real), k, j, n
        unsigned long long mode
        void* workspace
        const real* d
        real* d_sum
        real one = 1
        vec gamma, gradient
        TransposedProduct[2] factors
    _check_decay(elapsed, elapsed, dw_x.shape, db_x.shape, dW_h.shape, db_h.shape, dx, gamma_x,
                 gamma_h)
    if d_gamma_h.shape[0] != N or d_gamma_h.shape[1] != H:
        raise ValueError("d_gamma_h must be (N, H)")
    workspace = malloc(CACHE_LINE_BYTES
                       + sizeof(real) * min(N, <Py_ssize_t>LINEAR_CHUNK_ROWS) * PANEL)
    if not workspace:
        raise MemoryError
    with nogil:
        mode = flush_denormals()
        for k in range(N):
            d = &elapsed[k, 0]
            j = 0
            while j < D:
                n = min(<Py_ssize_t>LANES, D - j)
                gamma = load(&gamma_x[k, j], n)
                gradient = _d_exponent(gamma, load(&dx[k, j], n) * load(d + j, n))
                store(&db_x[j], load(&db_x[j], n) + gradient, n)
                store(&dw_x[j], load(&dw_x[j], n) + gradient * load(d + D + j, n), n)
                j += LANES
            j = 0
            d_sum = &d_gamma_h[k, 0]
            while j < H:
                n = min(<Py_ssize_t>LANES, H - j)
                store(d_sum + j, _d_exponent(load(&gamma_h[k, j], n), load(d_sum + j, n)), n)
                j += LANES
        k = 0
        factors[1] = TransposedProduct(&one, 1, 0, &db_h[0])    # a sum: every row times 1
        while k < N:
            n = min(N - k, <Py_ssize_t>LINEAR_CHUNK_ROWS)
            factors[0] = TransposedProduct(&elapsed[k, D], D, stride, &dW_h[0, 0])
            add_transposed_matmul(n, H, &d_gamma_h[k, 0], H, factors, 2, H,
                                  align_to_cache_line(workspace))
            k += n
        restore_denormals(mode)
        free(workspace)


cdef inline vec _d_exponent(vec gamma, vec d_gamma) noexcept nogil:
    """Return the gradient of a sum whose γ is exp(-max(0, sum)), and 1 up to a sum of 0."""
    return -d_gamma * gamma * heaviside(1 - gamma)


cdef int _check_decay(
    const real[:, :] observed, const real[:, :] elapsed, const Py_ssize_t* w_x,
    const Py_ssize_t* b_x, const Py_ssize_t* W_h, const Py_ssize_t* b_h, const real[:, :] x,
    const real[:, ::1] gamma_x, const real[:, ::1] gamma_h,
) except -1:
    """Raise ValueError unless the arrays fit together, as no later access is checked."""
    cdef Py_ssize_t N = gamma_x.shape[0], D = W_h[0], H = W_h[1], size = sizeof(real)
    if N == 0 or D == 0 or H == 0:
        raise ValueError("there must be at least one row, one channel and one unit")
    if w_x[0] != D or b_x[0] != D or b_h[0] != H:
        raise ValueError("w_x, b_x, W_h and b_h must be (D,), (D,), (D, H) and (H,)")
    if gamma_x.shape[1] != D or gamma_h.shape[0] != N or gamma_h.shape[1] != H:
        raise ValueError("gamma_x and gamma_h must be (N, D) and (N, H)")
    if (observed.shape[0] != N or elapsed.shape[0] != N or x.shape[0] != N
            or observed.shape[1] != 2 * D or elapsed.shape[1] != 2 * D or x.shape[1] != 2 * D
            or observed.strides[1] != size or elapsed.strides[1] != size
            or x.strides[1] != size):
        raise ValueError("observed, elapsed and x must be (N, 2D), each row without gaps")
    return 0
