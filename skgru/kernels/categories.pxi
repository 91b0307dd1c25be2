"""Categorical channels: a code is the number of a row of a table of weights.

Uses vectors.pxi. A one-hot row times a matrix is a row of the matrix, so no product is computed. A
row has C codes, one of each categorical channel; their rows are disjoint parts of one table.
"""


def gather_codes(
    const real[:, ::1] table,                # IN   (V, K)
    const int[:, ::1] codes,                 # IN   (N, C)   rows of the table
    real[:, :] y,                            # OUT  (N, CK)  rows may be strided
):
    """Copy the rows of the C codes of each row of y, side by side."""
    cdef:
        Py_ssize_t N = codes.shape[0], C = codes.shape[1], K = table.shape[1], n, i
        real* target
    _check_table(table.shape, codes)
    _check_gathered(N, C * K, y)
    with nogil:
        for n in range(N):
            target = &y[n, 0]
            for i in range(C):
                memcpy(target + i * K, &table[codes[n, i], 0], K * sizeof(real))


def scatter_codes(
    real[:, :] dy,                           # IN   (N, CK)  rows may be strided
    const int[:, ::1] codes,                 # IN   (N, C)
    real[:, ::1] d_table,                    # INOUT (V, K)  the gradient is added
):
    """Add ∂L/∂y of `gather_codes` to the rows that it copied, from the first row to the last."""
    cdef Py_ssize_t N = codes.shape[0], C = codes.shape[1], K = d_table.shape[1], n, i
    _check_table(d_table.shape, codes)
    _check_gathered(N, C * K, dy)
    with nogil:
        for n in range(N):
            for i in range(C):
                _add(K, &dy[n, 0] + i * K, &d_table[codes[n, i], 0])


cdef inline void _add_rows_of_codes(
    Py_ssize_t size, const real* table, const int* codes, Py_ssize_t C, real* total
) noexcept nogil:
    """Add the rows of C codes to total."""
    cdef Py_ssize_t i
    for i in range(C):
        _add(size, table + codes[i] * size, total)


cdef inline void _add_to_rows_of_codes(
    Py_ssize_t size, const real* rows, const int* codes, Py_ssize_t C, Py_ssize_t n_rows,
    real* table,
) noexcept nogil:
    """Add each of n_rows rows to those of its C codes in the table."""
    cdef Py_ssize_t n, i
    for n in range(n_rows):
        for i in range(C):
            _add(size, rows + n * size, table + codes[n * C + i] * size)


cdef int _check_table(const Py_ssize_t* table, const int[:, ::1] codes) except -1:
    """Raise ValueError unless each code is the number of a row, as no later access is checked."""
    cdef Py_ssize_t n, i
    cdef bint inside = True
    if codes.shape[1] == 0 or table[1] == 0:
        raise ValueError("there must be at least one code a row, and one column")
    with nogil:
        for n in range(codes.shape[0]):
            for i in range(codes.shape[1]):
                inside = inside and 0 <= codes[n, i] < table[0]
    if not inside:
        raise ValueError(f"codes must be >= 0 and less than the {table[0]} rows of the table")
    return 0


cdef int _check_gathered(Py_ssize_t N, Py_ssize_t columns, real[:, :] y) except -1:
    """Raise ValueError unless y is (N, columns), the numbers of a row one after the other."""
    if (y.shape[0] != N or y.shape[1] != columns
            or columns > 1 and y.strides[1] != sizeof(real)):
        raise ValueError(f"the gathered rows must be ({N}, {columns}), each without gaps")
    return 0
