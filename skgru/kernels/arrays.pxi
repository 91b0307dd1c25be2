"""Arrays that come from Python and go there.

Uses no other .pxi file.
"""

cdef object _dtype = numpy.dtype(f"float{8 * sizeof(real)}")
cdef object _empty = numpy.empty            # one attribute lookup less per time step
cdef object _ndarray = numpy.ndarray


cdef bint _is_real_buffer(x, Py_buffer* view) except -1:
    """Return whether x is a buffer of float or double; if so, the caller releases the view.

    Subclasses of arrays are none: the values of a masked array do not tell which are masked.
    """
    if type(x) is not _ndarray and isinstance(x, _ndarray):
        return False
    try:
        PyObject_GetBuffer(x, view, PyBUF_RECORDS_RO)
    except (TypeError, ValueError, BufferError):
        return False
    if view.format != NULL and view.format[0] in b"fd" and not view.format[1]:
        return True
    PyBuffer_Release(view)
    return False


cdef object _new_array(Py_ssize_t n_rows, Py_ssize_t n_columns, bint is_1d, Py_buffer* view):
    """Return a new array of float64 and a view of it, which the caller releases."""
    array = _empty(n_columns) if is_1d else _empty((n_rows, n_columns))
    PyObject_GetBuffer(array, view, PyBUF_WRITABLE)
    return array


cdef object _copy_of(const real* data, Py_ssize_t n_rows, Py_ssize_t n_columns):
    """Return an array with a copy of the numbers; it has no rows if there are none."""
    cdef real[:, ::1] view
    array = numpy.empty((n_rows if data != NULL else 0, n_columns), _dtype)
    if array.size:
        view = array
        memcpy(&view[0, 0], data, n_rows * n_columns * sizeof(real))
    return array
