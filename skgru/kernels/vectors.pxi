"""Elementwise loops and reductions over `size` contiguous numbers, a vector at a time.

Uses no other .pxi file.
"""


cdef inline real _dot(Py_ssize_t size, const real* a, const real* b) noexcept nogil:
    """Return Σ a ⊙ b."""
    cdef Py_ssize_t j = 0, n
    cdef vec total = zeros()
    while j < size:
        n = min(<Py_ssize_t>LANES, size - j)
        total = total + load(a + j, n) * load(b + j, n)
        j += LANES
    return <real>sum_lanes(total)


cdef inline void _add(Py_ssize_t size, const real* a, real* total) noexcept nogil:
    """Add a to total."""
    cdef Py_ssize_t j = 0, n
    while j < size:
        n = min(<Py_ssize_t>LANES, size - j)
        store(total + j, load(total + j, n) + load(a + j, n), n)
        j += LANES


cdef inline void _scale(Py_ssize_t size, real factor, real* a) noexcept nogil:
    """Multiply a by a number, in place."""
    cdef Py_ssize_t j = 0, n
    while j < size:
        n = min(<Py_ssize_t>LANES, size - j)
        store(a + j, factor * load(a + j, n), n)
        j += LANES


cdef inline void _add_scaled(
    Py_ssize_t size, real factor, const real* a, real* total
) noexcept nogil:
    """Add factor * a to total."""
    cdef Py_ssize_t j = 0, n
    while j < size:
        n = min(<Py_ssize_t>LANES, size - j)
        store(total + j, load(total + j, n) + factor * load(a + j, n), n)
        j += LANES


cdef inline void _multiply(
    Py_ssize_t size, const real* a, const real* b, real* product
) noexcept nogil:
    """Compute product = a ⊙ b."""
    cdef Py_ssize_t j = 0, n
    while j < size:
        n = min(<Py_ssize_t>LANES, size - j)
        store(product + j, load(a + j, n) * load(b + j, n), n)
        j += LANES


cdef inline void _add_product(
    Py_ssize_t size, const real* a, const real* b, real* total
) noexcept nogil:
    """Add a ⊙ b to total."""
    cdef Py_ssize_t j = 0, n
    while j < size:
        n = min(<Py_ssize_t>LANES, size - j)
        store(total + j, load(total + j, n) + load(a + j, n) * load(b + j, n), n)
        j += LANES
