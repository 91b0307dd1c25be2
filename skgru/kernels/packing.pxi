"""Packed minibatches: pack the time steps of sequences, unpack them, reverse them in time.

Uses arrays.pxi. The package's docstring says what a packed minibatch is.
"""

# Sequences that are packed side by side, one time step after the other: each sequence is contiguous
# where it comes from, and each time step where it goes.
cdef enum:
    PACKED_TOGETHER = 8


def pack_steps(
    const real[:, ::1] values,               # IN   (M, D)    all steps of all sequences
    const Py_ssize_t[:] starts,              # IN   (B,)      row in values of each first step
    const Py_ssize_t[:] lengths,             # IN   (B,)      never increasing
):
    """Pack sequences: copy step 0 of each, then step 1 of those that have one, and so on.

    Returns x (N, D), N being the sum of the lengths, and batch_sizes (T,), T the longest of them.
    """
    cdef:
        Py_ssize_t D = values.shape[1], B = starts.shape[0], first = 0, k, t, row, n
        real[:, ::1] x
        Py_ssize_t[::1] batch_sizes
    packed = numpy.empty((_check_sequences(values.shape[0], starts, lengths), D), _dtype)
    sizes = numpy.empty(lengths[0], numpy.intp)
    x, batch_sizes = packed, sizes
    with nogil:
        n = B
        for t in range(lengths[0]):
            while lengths[n - 1] <= t:
                n -= 1
            batch_sizes[t] = n
        while first < B:
            row = 0                             # of this time step
            for t in range(lengths[first]):
                for k in range(first, min(first + PACKED_TOGETHER, batch_sizes[t])):
                    memcpy(&x[row + k, 0], &values[starts[k] + t, 0], D * sizeof(real))
                row += batch_sizes[t]
            first += PACKED_TOGETHER
    return packed, sizes


def unpack_steps(
    const real[:, ::1] x,                    # IN   (N, D)
    const Py_ssize_t[:] starts,              # IN   (B,)
    const Py_ssize_t[:] lengths,             # IN   (B,)
    real[:, ::1] values,                     # OUT  (M, D)    other steps are left as they are
):
    """Copy packed time steps to where `pack_steps` takes them from."""
    cdef Py_ssize_t D = values.shape[1], B = starts.shape[0], k, t, row = 0
    if (x.shape[0] != _check_sequences(values.shape[0], starts, lengths)
            or x.shape[1] != values.shape[1]):
        raise ValueError("the packed array must be (N, D)")
    with nogil:
        for t in range(lengths[0]):
            for k in range(B):
                if lengths[k] <= t:
                    break
                memcpy(&values[starts[k] + t, 0], &x[row, 0], D * sizeof(real))
                row += 1


def reverse_steps(
    const real[:, :] x,                      # IN   (N, D)    packed; rows may be strided
    const Py_ssize_t[::1] batch_sizes,       # IN   (T,)
    real[:, :] y,                            # OUT  (N, D)    packed; INOUT if `add`
    bint add,
):
    """Copy, or add, every sequence with its time steps reversed; y must not overlap x."""
    cdef Py_ssize_t D = x.shape[1], size = sizeof(real)
    _check_packed(x.shape[0], batch_sizes)
    if (D == 0 or y.shape[0] != x.shape[0] or y.shape[1] != D
            or D > 1 and (x.strides[1] != size or y.strides[1] != size)):
        raise ValueError("x and y must be (N, D), the numbers of a row one after the other")
    with nogil:
        _reverse_steps(&batch_sizes[0], batch_sizes.shape[0], D, &x[0, 0], x.strides[0] // size,
                       &y[0, 0], y.strides[0] // size, add)


cdef void _reverse_steps(
    const Py_ssize_t* batch_sizes, Py_ssize_t T, Py_ssize_t D, const real* x, Py_ssize_t x_stride,
    real* y, Py_ssize_t y_stride, bint add,
) noexcept nogil:
    """Copy, or add, rows of D numbers with the time steps of every sequence reversed."""
    cdef:
        Py_ssize_t length = T, k, t, j, forward, backward
        const real* source
        real* target
    for k in range(batch_sizes[0]):
        while batch_sizes[length - 1] <= k:
            length -= 1
        forward = backward = k
        for t in range(length - 1):
            backward += batch_sizes[t]
        for t in range(length):
            source = x + backward * x_stride
            target = y + forward * y_stride
            if add:
                for j in range(D):
                    target[j] += source[j]
            else:
                memcpy(target, source, D * sizeof(real))
            forward += batch_sizes[t]
            if t < length - 1:
                backward -= batch_sizes[length - 2 - t]


cdef Py_ssize_t _check_sequences(
    Py_ssize_t n_rows, const Py_ssize_t[:] starts, const Py_ssize_t[:] lengths
) except -1:
    """Return N; raise ValueError unless sequences are within so many rows, from long to short."""
    cdef Py_ssize_t total = 0, k
    if starts.shape[0] == 0 or lengths.shape[0] != starts.shape[0]:
        raise ValueError("starts and lengths must be (B,)")
    for k in range(starts.shape[0]):
        if not (0 <= starts[k] and 0 < lengths[k] <= n_rows - starts[k]):
            raise ValueError(f"sequence {k} is not within the values")
        if k and lengths[k] > lengths[k - 1]:
            raise ValueError("sequences must be sorted from long to short")
        if lengths[k] > PY_SSIZE_T_MAX - total:
            raise ValueError("there are too many time steps")
        total += lengths[k]
    return total


cdef int _check_packed(Py_ssize_t n_rows, const Py_ssize_t[::1] batch_sizes) except -1:
    """Raise ValueError unless batch_sizes are those of a packed minibatch of n_rows rows."""
    cdef Py_ssize_t rows = 0, t
    if batch_sizes.shape[0] == 0:
        raise ValueError("there must be at least one time step")
    for t in range(batch_sizes.shape[0]):
        if batch_sizes[t] < 1 or batch_sizes[t] > batch_sizes[max(t - 1, 0)]:
            raise ValueError("batch_sizes must be positive and never increase")
        if batch_sizes[t] > n_rows - rows:  # before their sum could overflow
            raise ValueError(f"batch_sizes add up to more than {n_rows} rows")
        rows += batch_sizes[t]
    if rows != n_rows:
        raise ValueError(f"batch_sizes add up to {rows} rows, there are {n_rows}")
    return 0
