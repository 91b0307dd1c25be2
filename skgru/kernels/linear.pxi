"""A linear layer Y = X W + b: forward pass and backward pass.

Uses no other .pxi file. A row gets the same bits whatever rows are computed beside it.
"""

# ∂L/∂W is summed over at most so many rows in one product, so that they stay in the second-level
# cache.
cdef enum:
    LINEAR_CHUNK_ROWS = 256


def linear_forward(
    const real[:, ::1] x,                    # IN   (n, D)
    const real[:, ::1] W,                    # IN   (D, K)
    const real[::1] b,                       # IN   (K,)
    real[:, ::1] y,                          # OUT  (n, K)
):
    """Compute Y = X W + b."""
    cdef:
        Py_ssize_t n = x.shape[0], D = x.shape[1], K = b.shape[0]
        unsigned long long mode
        Product product
        void* workspace
        real* panels
    _check_linear(x.shape, W.shape, K, y.shape)
    workspace = malloc(CACHE_LINE_BYTES + sizeof(real) * panels_size(D, K))
    if not workspace:
        raise MemoryError
    with nogil:
        mode = flush_denormals()
        panels = align_to_cache_line(workspace)
        pack_panels(&W[0, 0], K, 1, D, K, panels)
        product = Product(&x[0, 0], panels, D, D, 1)
        matmul(n, K, &product, 1, &b[0], 0, &y[0, 0], K)
        restore_denormals(mode)
        free(workspace)


def linear_backward(
    const real[:, ::1] x,                    # IN   (n, D)
    const real[:, ::1] W,                    # IN   (D, K)
    const real[:, ::1] dy,                   # IN   (n, K)
    real[:, ::1] dx,                         # OUT  (n, D)
    real[:, ::1] dW,                         # INOUT (D, K)   to these two, gradients are added
    real[::1] db,                            # INOUT (K,)
):
    """Compute ∂L/∂X = ∂L/∂Y Wᵀ; add Xᵀ ∂L/∂Y to ∂L/∂W and the sum of ∂L/∂Y to ∂L/∂b."""
    cdef:
        Py_ssize_t n = x.shape[0], D = x.shape[1], K = db.shape[0], first_row = 0, n_rows
        unsigned long long mode
        Product product
        real one = 1
        TransposedProduct[2] factors
        void* workspace
        real* panels
    _check_linear(x.shape, W.shape, K, dy.shape)
    _check_linear(dx.shape, dW.shape, K, dy.shape)
    workspace = malloc(CACHE_LINE_BYTES + sizeof(real) * (
        panels_size(K, D) + min(n, <Py_ssize_t>LINEAR_CHUNK_ROWS) * PANEL))
    if not workspace:
        raise MemoryError
    with nogil:
        mode = flush_denormals()
        panels = align_to_cache_line(workspace)
        pack_panels(&W[0, 0], 1, K, K, D, panels)
        product = Product(&dy[0, 0], panels, K, K, 1)
        matmul(n, D, &product, 1, NULL, 0, &dx[0, 0], D)
        factors[1] = TransposedProduct(&one, 1, 0, &db[0])  # a sum: every row times 1
        while first_row < n:
            n_rows = min(n - first_row, <Py_ssize_t>LINEAR_CHUNK_ROWS)
            factors[0] = TransposedProduct(&x[first_row, 0], D, D, &dW[0, 0])
            add_transposed_matmul(n_rows, K, &dy[first_row, 0], K, factors, 2, K,
                                  panels + panels_size(K, D))
            first_row += n_rows
        restore_denormals(mode)
        free(workspace)


cdef int _check_linear(
    const Py_ssize_t* x, const Py_ssize_t* W, Py_ssize_t K, const Py_ssize_t* y
) except -1:
    """Raise ValueError unless the arrays of a linear layer fit together."""
    if x[0] == 0 or x[1] == 0 or K == 0:
        raise ValueError("a linear layer needs at least one row, one input and one output")
    if W[0] != x[1] or W[1] != K or y[0] != x[0] or y[1] != K:
        raise ValueError("x, W, b and y must be (n, D), (D, K), (K,) and (n, K)")
    return 0
