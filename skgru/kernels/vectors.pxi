"""Loops over rows of numbers, a vector at a time."""


cdef inline real _dot(Py_ssize_t size, const real* a, const real* b) noexcept nogil:
    cdef Py_ssize_t j = 0, n
    cdef vec total = zeros()
    while j < size:
        n = min(<Py_ssize_t>LANES, size - j)
        total = total + get(a + j, n) * get(b + j, n)
        j += LANES
    return <real>sum(total)


cdef inline void _add(Py_ssize_t size, const real* a, real* total) noexcept nogil:
    cdef Py_ssize_t j = 0, n
    while j < size:
        n = min(<Py_ssize_t>LANES, size - j)
        put(total + j, get(total + j, n) + get(a + j, n), n)
        j += LANES


cdef inline void _scale(Py_ssize_t size, real factor, real* a) noexcept nogil:
    cdef Py_ssize_t j = 0, n
    while j < size:
        n = min(<Py_ssize_t>LANES, size - j)
        put(a + j, factor * get(a + j, n), n)
        j += LANES


cdef inline void _add_scaled(
    Py_ssize_t size, real factor, const real* a, real* total
) noexcept nogil:
    cdef Py_ssize_t j = 0, n
    while j < size:
        n = min(<Py_ssize_t>LANES, size - j)
        put(total + j, get(total + j, n) + factor * get(a + j, n), n)
        j += LANES


cdef inline void _multiply_elements(
    Py_ssize_t size, const real* a, const real* b, real* product
) noexcept nogil:
    cdef Py_ssize_t j = 0, n
    while j < size:
        n = min(<Py_ssize_t>LANES, size - j)
        put(product + j, get(a + j, n) * get(b + j, n), n)
        j += LANES


cdef inline void _add_product(
    Py_ssize_t size, const real* a, const real* b, real* total
) noexcept nogil:
    cdef Py_ssize_t j = 0, n
    while j < size:
        n = min(<Py_ssize_t>LANES, size - j)
        put(total + j, get(total + j, n) + get(a + j, n) * get(b + j, n), n)
        j += LANES
