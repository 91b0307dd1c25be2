"""Stacked layers and a head over sequences that go on, one time step a call.

What `layer_forward` and `linear_forward` do at every call, a `Stepper` does once: weights are
packed and memory is allocated when it is made. Its outputs have the bits of theirs.

A state is a row of numbers, all 0 before the first step: h of the first layer and its memory if
the cell has one, the same of the other layers, and last what is pooled so far (see poolings/).
"""

cdef object _new = numpy.empty


cdef class Stepper:
    """Sequences that advance together, and their states.

    For one thread at a time. No method gives up the interpreter's lock, and none reaches beyond its
    memory if another runs beside it.

    Parameters
    ----------
    cell_index : int
        Of `CELLS`.
    layers : list of tuple of ndarray
        W, U, b and c of each layer, the first layer first.
    pooling : str
        A key of `POOLINGS`.
    query : ndarray of shape (H,), or (0,) for a pooling without query
    head : tuple of ndarray
        W (H, K) and b (K,).
    n_streams : int
    convert : callable
        Makes an array of double of an x that is no buffer of float or double.

    Raises
    ------
    ValueError
        If the arrays do not fit together.
    MemoryError
        If there is no room for so many streams.
    """

    cdef:
        readonly Py_ssize_t n_streams, n_channels, n_outputs, state_size
        Py_ssize_t n_layers
        Pooling* pooling
        object convert
        packed_layer* layers
        void* memory
        real* unused                            # of the memory
        real* head_W
        real* head_b
        real* query
        real* x                                 # (n_streams, n_channels)
        real* state                             # (n_streams, state_size)
        real* inner                             # (n_streams, H) of any layer
        real* saved                             # (n_streams, PH) of any layer
        real* pooled                            # (n_streams, H) of the last layer
        real* y                                 # (n_streams, n_outputs)

    def __cinit__(
        self, int cell_index, list layers, str pooling, const real[::1] query, tuple head,
        Py_ssize_t n_streams, convert,
    ):
        cdef:
            cell* unit = _cell(cell_index)
            const real[:, ::1] W, U
            const real[::1] b, c
            Py_ssize_t D = 0, H = 0, P = unit.n_gates + unit.n_extra, widest = 0, i
            object rows = n_streams, numbers = 0    # Python's integers, which do not overflow
        if n_streams < 1 or not layers:
            raise ValueError("there must be at least one stream and one layer")
        self.n_streams = n_streams
        self.convert = convert
        self.n_layers = len(layers)
        self.pooling = _pooling(pooling)
        for W, U, b, c in layers:
            D = D or W.shape[0]
            _check_weights(unit, D, W.shape, U.shape, b.shape[0], c.shape[0])
            self.n_channels = self.n_channels or D
            H = U.shape[0]
            self.state_size += unit.n_states * H
            widest = max(widest, H)
            numbers += _packed_layer_size(unit, D, H) + in_lines(b.shape[0]) + in_lines(c.shape[0])
            D = H
        W, b = head
        if W.shape[0] != H or b.shape[0] == 0 or W.shape[1] != b.shape[0]:
            raise ValueError("W and b of the head must be (H, K) and (K,)")
        if query.shape[0] != (H if self.pooling.has_query else 0):
            raise ValueError("query must be (H,) for a pooling that has one, else (0,)")
        self.n_outputs = b.shape[0]
        self.state_size += self.pooling.n_vectors * H + self.pooling.n_numbers
        numbers += packed_size(H, self.n_outputs) + in_lines(self.n_outputs) + in_lines(H)
        numbers += 6 * LINE + rows * (
            self.n_channels + self.state_size + widest + P * widest + H + self.n_outputs)
        if numbers > (PY_SSIZE_T_MAX - LINE) // sizeof(real):
            raise MemoryError
        self.layers = <packed_layer*>calloc(self.n_layers, sizeof(packed_layer))
        self.memory = calloc(<size_t>numbers + LINE, sizeof(real))
        if self.layers == NULL or self.memory == NULL:
            raise MemoryError
        self.unused = first_line(self.memory)
        for i in range(self.n_layers):
            W, U, b, c = layers[i]
            self.layers[i] = _pack_layer(
                unit, W, U, self._copy(b), self._copy(c),
                self._next(_packed_layer_size(unit, W.shape[0], U.shape[0])))
        W, b = head
        self.head_W = self._next(packed_size(H, self.n_outputs))
        pack(&W[0, 0], self.n_outputs, 1, H, self.n_outputs, self.head_W)
        self.head_b = self._copy(b)
        self.query = self._copy(query)
        self.x = self._next(n_streams * self.n_channels)
        self.state = self._next(n_streams * self.state_size)
        self.inner = self._next(n_streams * widest)
        self.saved = self._next(n_streams * P * widest)
        self.pooled = self._next(n_streams * H)
        self.y = self._next(n_streams * self.n_outputs)

    def __dealloc__(self):
        free(self.layers)
        free(self.memory)

    cdef real* _next(self, Py_ssize_t n) noexcept:
        """Give memory for n numbers."""
        cdef real* start = self.unused
        self.unused += in_lines(n)
        return start

    cdef real* _copy(self, const real[::1] a) noexcept:
        cdef real* copy = self._next(a.shape[0])
        if a.shape[0]:
            memcpy(copy, &a[0], a.shape[0] * sizeof(real))
        return copy

    # ---- a step ------------------------------------------------------------------------------

    def outputs(self, x):
        """Take a step; return the outputs, float64.

        Parameters
        ----------
        x : object
            Of shape (n_streams, n_channels), or (n_channels,) if there is one stream. A buffer of
            float or double is read as it lies; of anything else, what `convert` makes of it.

        Returns
        -------
        ndarray of shape (n_streams, n_outputs), or (n_outputs,) for x of shape (n_channels,)

        Raises
        ------
        ValueError
            If x has another shape, or a number in it is not finite. The states are as before.
        """
        cdef:
            bint one = self._read(x)
            Py_ssize_t i
            double* y
            Py_buffer view
        self._advance()
        result = _new_array(self.n_streams, self.n_outputs, one, &view)
        y = <double*>view.buf
        for i in range(self.n_streams * self.n_outputs):
            y[i] = self.y[i]
        PyBuffer_Release(&view)
        return result

    def most_likely(self, x):
        """Take a step; return which output is highest, or of a single one whether it is above 0.

        Returns
        -------
        ndarray of shape (n_streams,), intp; or int for x of shape (n_channels,)
        """
        cdef:
            bint one = self._read(x)
            Py_ssize_t[::1] numbers
            Py_ssize_t k
        self._advance()
        if one:
            return self._highest(0)
        result = numpy.empty(self.n_streams, dtype=numpy.intp)
        numbers = result
        for k in range(self.n_streams):
            numbers[k] = self._highest(k)
        return result

    def probabilities(self, x):
        """Take a step; return the softmax of the outputs, or of a single one 1 - σ and σ.

        Returns
        -------
        ndarray of shape (n_streams, max(n_outputs, 2)), float64; or one row for x of shape
        (n_channels,)
        """
        cdef:
            bint one = self._read(x)
            Py_ssize_t K = self.n_outputs, k, i
            const real* y = self.y
            double* p
            double highest, total
            Py_buffer view
        self._advance()
        result = _new_array(self.n_streams, max(K, <Py_ssize_t>2), one, &view)
        p = <double*>view.buf
        for k in range(self.n_streams):
            if K == 1:
                p[0] = 1 / (1 + exp(<double>y[k]))
                p[1] = 1 / (1 + exp(-<double>y[k]))
                p += 2
                continue
            highest = y[k * K + self._highest(k)]
            total = 0
            for i in range(K):
                p[i] = exp(y[k * K + i] - highest)
                total += p[i]
            for i in range(K):
                p[i] /= total
            p += K
        PyBuffer_Release(&view)
        return result

    cdef Py_ssize_t _highest(self, Py_ssize_t k) noexcept:
        """Find the first highest output of a stream; NaN is higher than numbers, as in NumPy."""
        cdef:
            const real* y = self.y + k * self.n_outputs
            Py_ssize_t best = 0, i
        if self.n_outputs == 1:
            return y[0] > 0
        for i in range(self.n_outputs):
            if y[i] > y[best] or y[i] != y[i]:
                best = i
            if y[best] != y[best]:
                break
        return best

    cdef bint _read(self, x) except -1:
        """Copy x, all of which must be finite; return whether it has one dimension."""
        cdef:
            Py_buffer view
            Py_ssize_t D = self.n_channels, bad = -1, i, j
            bint one, fits
            const char* p
            float single
            double value
            real* to = self.x
        if not _is_of_numbers(x, &view):
            x = self.convert(x)
            if not _is_of_numbers(x, &view):
                raise TypeError("x must become a buffer of float or double")
        try:
            one = view.ndim == 1
            if one:
                fits = self.n_streams == 1 and view.shape[0] == D
            else:
                fits = (view.ndim == 2 and view.shape[0] == self.n_streams
                        and view.shape[1] == D)
            if not fits:
                shape = tuple([view.shape[i] for i in range(view.ndim)])
                raise ValueError(f"x_t has shape {shape}; expected ({self.n_streams}, {D})"
                                 + (f" or ({D},)." if self.n_streams == 1 else "."))
            for i in range(self.n_streams):
                p = <const char*>view.buf + (0 if one else i * view.strides[0])
                for j in range(D):
                    if view.format[0] == b"f":
                        memcpy(&single, p, sizeof(float))
                        to[j] = <real>single
                    else:
                        memcpy(&value, p, sizeof(double))
                        to[j] = <real>value
                    if to[j] - to[j] != 0 and bad < 0:
                        bad = i * D + j
                    p += view.strides[view.ndim - 1]
                to += D
        finally:
            PyBuffer_Release(&view)
        if bad < 0:
            return one
        what = "NaN" if self.x[bad] != self.x[bad] else (
            f"infinity or a value too large for float{8 * sizeof(real)}")
        raise ValueError(f"x_t contains {what}: stream {bad // D}, channel {bad % D}.")

    cdef void _advance(self) noexcept nogil:
        """Bring the states a step further, and compute the outputs."""
        cdef:
            Py_ssize_t n = self.n_streams, size = self.state_size, H = 0, i, k
            const cell* unit = self.layers[0].unit
            Py_ssize_t P = unit.n_gates + unit.n_extra, S = unit.n_states
            unsigned long long mode = flush_denormals()
            moment now
            term to_y
        now.x = self.x
        now.x_stride = self.n_channels
        now.h = self.state
        now.inner = self.inner
        now.saved = self.saved
        now.past_stride = now.h_prev_stride = now.memory_stride = now.h_stride = size
        for i in range(self.n_layers):
            now.layer = self.layers[i]
            H = now.layer.H
            now.past = now.h_prev = now.h
            now.memory_prev = now.h + H
            _one_step(&now, n)
            if S == 2:
                for k in range(n):
                    memcpy(now.h + k * size + H, now.saved + (k * P + unit.n_gates) * H,
                           H * sizeof(real))
            now.x = now.h
            now.x_stride = size
            now.h += S * H
        to_y = term(now.x, self.head_W, H, size, 1)
        if self.pooling.step != NULL:
            for k in range(n):
                self.pooling.step(H, now.x + k * size, self.query, now.h + k * size,
                                  self.pooled + k * H)
            to_y.a = self.pooled
            to_y.row_stride = H
        multiply(n, self.n_outputs, &to_y, 1, self.head_b, 0, self.y, self.n_outputs)
        restore_denormals(mode)

    # ---- the states --------------------------------------------------------------------------

    def get_state(self):
        """Return a copy: ndarray of shape (n_streams, state_size)."""
        cdef real[:, ::1] copy
        state = numpy.empty((self.n_streams, self.state_size), dtype=f"float{8 * sizeof(real)}")
        copy = state
        memcpy(&copy[0, 0], self.state, self.n_streams * self.state_size * sizeof(real))
        return state

    def set_state(self, const real[:, ::1] state):
        """Copy an array of shape (n_streams, state_size)."""
        if state.shape[0] != self.n_streams or state.shape[1] != self.state_size:
            raise ValueError(f"state must be ({self.n_streams}, {self.state_size})")
        memcpy(self.state, &state[0, 0], self.n_streams * self.state_size * sizeof(real))


cdef bint _is_of_numbers(x, Py_buffer* view) except -1:
    """Say whether x is a buffer of float or double, which then is to be released."""
    try:
        PyObject_GetBuffer(x, view, PyBUF_RECORDS_RO)
    except (TypeError, ValueError, BufferError):
        return False
    if view.format != NULL and view.format[0] in b"fd" and not view.format[1]:
        return True
    PyBuffer_Release(view)
    return False


cdef object _new_array(Py_ssize_t n_rows, Py_ssize_t n_columns, bint one, Py_buffer* view):
    """Make an array of float64, a row if there is one; its memory is to be released."""
    array = _new(n_columns) if one else _new((n_rows, n_columns))
    PyObject_GetBuffer(array, view, PyBUF_WRITABLE)
    return array
