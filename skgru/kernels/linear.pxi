"""A linear layer: Y = X W + b, forward and backward; a row's bits do not depend on its neighbours.
"""


def linear_forward(
    const real[:, ::1] x,                    # IN   (n, D)
    const real[:, ::1] W,                    # IN   (D, K)
    const real[::1] b,                       # IN   (K,)
    real[:, ::1] y,                          # OUT  (n, K)
):
    """Y = X W + b."""
    cdef:
        Py_ssize_t n = x.shape[0], D = x.shape[1], K = b.shape[0]
        unsigned long long mode
        term factor
        void* work
        real* panels
    _check_linear(x.shape, W.shape, K, y.shape)
    work = malloc(LINE + sizeof(real) * packed_size(D, K))
    if not work:
        raise MemoryError
    with nogil:
        mode = flush_denormals()
        panels = first_line(work)
        pack(&W[0, 0], K, 1, D, K, panels)
        factor = term(&x[0, 0], panels, D, D, 1)
        multiply(n, K, &factor, 1, &b[0], 0, &y[0, 0], K)
        restore_denormals(mode)
        free(work)


def linear_backward(
    const real[:, ::1] x,                    # IN   (n, D)
    const real[:, ::1] W,                    # IN   (D, K)
    const real[:, ::1] dy,                   # IN   (n, K)
    real[:, ::1] dx,                         # OUT  (n, D)
    real[:, ::1] dW,                         # INOUT (D, K)   ∂L/∂W is added
    real[::1] db,                            # INOUT (K,)     ∂L/∂b is added
):
    """∂L/∂X = ∂L/∂Y Wᵀ, ∂L/∂W += Xᵀ ∂L/∂Y, ∂L/∂b += Σ ∂L/∂Y."""
    cdef:
        Py_ssize_t n = x.shape[0], D = x.shape[1], K = db.shape[0], row = 0, rows
        unsigned long long mode
        term factor
        real one = 1
        transposed[2] factors
        void* work
        real* panels
    _check_linear(x.shape, W.shape, K, dy.shape)
    _check_linear(dx.shape, dW.shape, K, dy.shape)
    work = malloc(LINE + sizeof(real) * (packed_size(K, D) + min(n, <Py_ssize_t>CHUNK) * PANEL))
    if not work:
        raise MemoryError
    with nogil:
        mode = flush_denormals()
        panels = first_line(work)
        pack(&W[0, 0], 1, K, K, D, panels)
        factor = term(&dy[0, 0], panels, K, K, 1)
        multiply(n, D, &factor, 1, NULL, 0, &dx[0, 0], D)
        factors[1] = transposed(&one, 1, 0, &db[0])
        while row < n:
            rows = min(n - row, <Py_ssize_t>CHUNK)
            factors[0] = transposed(&x[row, 0], D, D, &dW[0, 0])
            add_transposed(rows, K, &dy[row, 0], K, factors, 2, K, panels + packed_size(K, D))
            row += rows
        restore_denormals(mode)
        free(work)


cdef int _check_linear(
    const Py_ssize_t* x, const Py_ssize_t* W, Py_ssize_t K, const Py_ssize_t* y
) except -1:
    """Raise ValueError unless the arrays of a linear layer fit together."""
    if x[0] == 0 or x[1] == 0 or K == 0:
        raise ValueError("a linear layer needs at least one row, one input and one output")
    if W[0] != x[1] or W[1] != K or y[0] != x[0] or y[1] != K:
        raise ValueError("x, W, b and y must be (n, D), (D, K), (K,) and (n, K)")
    return 0
