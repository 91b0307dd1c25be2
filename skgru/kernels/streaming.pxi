"""Streaming: stacked layers, pooling and head over endless sequences, one time step per call.

Uses arrays.pxi, categories.pxi, cell.pxi, gaps.pxi, layer_step.pxi, pooling.pxi and vectors.pxi.

A `Stepper` packs weights and allocates memory when it is made; `RecurrentLayers` and
`linear_forward` pack weights in every call. Its outputs have the same bits as theirs.

The state of a sequence is a row of numbers, all 0 before the first time step: h and, if the cell
has one, the cell state of each layer, then the streaming state of the pooling.
"""

cdef class Stepper:
    """Sequences that advance together, and their states.

    A stepper is for one thread at a time: concurrent calls advance the same sequences, one after
    the other. No method releases the GIL, and without a GIL each locks the stepper.

    Parameters
    ----------
    cell_index : int
        The first number of an entry of `CELLS`.
    layers : list of tuple of ndarray
        W, U, b, c and E of each layer, in the order of the layers. Only the first may have an E of
        any rows.
    pooling : str
        A key of `POOLINGS`.
    query : ndarray of shape (H,), or (0,) for a pooling without query
    head : tuple of ndarray
        W (H, K) and b (K,).
    n_codes : int
        Categorical channels: the last numbers of a row of x, which are rows of E or of the
        embedding.
    embedding : ndarray of shape (V, K), or (0, _)
        What stands in the place of each code behind the other inputs of the first layer.
    decay : tuple of ndarray, or ()
        w_x, b_x, W_h and b_h of `decay_forward`. The first 4D numbers of a row of x are then its
        a, m, d and δ.
    n_streams : int
        Number of sequences.
    convert : callable
        Convert x to an array of double; called if x is not a buffer of float or double.

    Raises
    ------
    ValueError
        If the arrays do not fit together, or the pooling is unknown.
    MemoryError
        If memory for so many streams cannot be allocated.
    """

    cdef:
        readonly Py_ssize_t n_streams, n_channels, n_outputs, state_size
        Py_ssize_t n_layers, C, V, K, D, n_inputs   # D: channels with decay
        Pooling* pooling
        object convert
        PackedLayer* layers
        void* workspace
        real* next_free                         # the first number of it that is not in use yet
        real* E
        real* embedding
        real* decay_x                           # w_x, then b_x
        real* decay_W                           # panels of W_h
        real* decay_b                           # b_h
        real* inputs                            # (n_streams, n_inputs), if not in x as they are
        real* gamma_x                           # (n_streams, D)
        real* gamma_h                           # (n_streams, H)
        int* codes                              # (n_streams, C)
        real* head_W
        real* head_b
        real* query
        real* x                                 # (n_streams, n_channels)
        real* state                             # (n_streams, state_size)
        real* gated_state                       # (n_streams, H) of any layer
        real* saved                             # (n_streams, PH) of any layer
        real* pooled                            # (n_streams, H) of the last layer
        real* y                                 # (n_streams, n_outputs)

    def __cinit__(
        self, int cell_index, list layers, str pooling, const real[::1] query, tuple head,
        Py_ssize_t n_codes, const real[:, ::1] embedding, tuple decay, Py_ssize_t n_streams,
        convert,
    ):
        cdef:
            Cell* cell = _cell(cell_index)
            const real[:, ::1] W, U, E
            const real[::1] b, c, w_x, b_x
            Py_ssize_t decay_rows = 0, i, D = 0, H = 0, P = cell.n_gates + cell.n_extra, widest = 0
            object rows = n_streams, numbers = 0    # Python integers, which do not overflow
        if n_streams < 1 or not layers:
            raise ValueError("there must be at least one stream and one layer")
        self.n_streams = n_streams
        self.convert = convert
        self.n_layers = len(layers)
        self.pooling = _pooling(pooling)
        W, U, b, c, E = layers[0]
        self.n_inputs = D = W.shape[0]
        self.C = n_codes
        self.K = embedding.shape[1] if embedding.shape[0] else 0
        self.V = E.shape[0] + embedding.shape[0]    # one of them has rows
        self.D = (D - self.C * self.K) // 2 if decay else 0
        self.n_channels = D - self.C * self.K + 2 * self.D + self.C
        if (n_codes < 0 or (n_codes == 0) != (self.V == 0) or E.shape[0] and embedding.shape[0]
                or D < self.C * self.K or decay and D - self.C * self.K != 2 * self.D):
            raise ValueError("codes, E, embedding and decay do not fit to the first layer")
        if decay:
            w_x, b_x, W, b = decay
            if (self.D == 0 or w_x.shape[0] != self.D or b_x.shape[0] != self.D
                    or W.shape[0] != self.D or W.shape[1] != U.shape[0]
                    or b.shape[0] != U.shape[0]):
                raise ValueError("w_x, b_x, W_h and b_h must be (D,), (D,), (D, H) and (H,)")
            numbers += (round_to_cache_line(2 * self.D) + panels_size(self.D, U.shape[0])
                        + round_to_cache_line(U.shape[0]))
            decay_rows = self.D + U.shape[0]
        for i, (W, U, b, c, E) in enumerate(layers):
            _check_weights(cell, D, W.shape, U.shape, b.shape[0], c.shape[0], E.shape)
            if i and E.shape[0]:
                raise ValueError("only the first layer has categories")
            H = U.shape[0]
            self.state_size += cell.n_states * H
            widest = max(widest, H)
            numbers += (_packed_layer_size(cell, D, H)
                        + round_to_cache_line(b.shape[0]) + round_to_cache_line(c.shape[0])
                        + round_to_cache_line(E.shape[0] * E.shape[1]))
            D = H
        W, b = head
        if W.shape[0] != H or b.shape[0] == 0 or W.shape[1] != b.shape[0]:
            raise ValueError("W and b of the head must be (H, K) and (K,)")
        if query.shape[0] != (H if self.pooling.has_query else 0):
            raise ValueError("query must be (H,) if the pooling has one, else (0,)")
        self.n_outputs = b.shape[0]
        self.state_size += self.pooling.n_vectors * H + self.pooling.n_numbers
        numbers += (panels_size(H, self.n_outputs) + round_to_cache_line(self.n_outputs)
                    + round_to_cache_line(H)
                    + round_to_cache_line(embedding.shape[0] * embedding.shape[1]))
        # x, state, gated_state, saved, pooled, y, inputs, both γ and codes, with room for rounding
        # each up
        numbers += 10 * CACHE_LINE_BYTES + rows * (
            self.n_channels + self.state_size + widest + P * widest + H + self.n_outputs
            + self.n_inputs + decay_rows + self.C)
        if numbers > (PY_SSIZE_T_MAX - CACHE_LINE_BYTES) // sizeof(real):
            raise MemoryError
        self.layers = <PackedLayer*>calloc(self.n_layers, sizeof(PackedLayer))
        self.workspace = calloc(<size_t>numbers + CACHE_LINE_BYTES, sizeof(real))
        if self.layers == NULL or self.workspace == NULL:
            raise MemoryError
        self.next_free = align_to_cache_line(self.workspace)
        for i in range(self.n_layers):
            W, U, b, c, E = layers[i]
            self.layers[i] = _pack_layer(
                cell, W.shape[0], U.shape[0], &W[0, 0], &U[0, 0], self._copy(b), self._copy(c),
                self._next(_packed_layer_size(cell, W.shape[0], U.shape[0])))
        W, U, b, c, E = layers[0]
        self.E = self._copy_table(E)
        self.embedding = self._copy_table(embedding)
        if decay:
            w_x, b_x, W, b = decay
            self.decay_x = self._next(2 * self.D)
            memcpy(self.decay_x, &w_x[0], self.D * sizeof(real))
            memcpy(self.decay_x + self.D, &b_x[0], self.D * sizeof(real))
            self.decay_W = self._next(panels_size(self.D, W.shape[1]))
            pack_panels(&W[0, 0], W.shape[1], 1, self.D, W.shape[1], self.decay_W)
            self.decay_b = self._copy(b)
            self.gamma_x = self._next(n_streams * self.D)
            self.gamma_h = self._next(n_streams * W.shape[1])
        self.inputs = self._next(n_streams * self.n_inputs)
        self.codes = <int*>self._next(n_streams * self.C)
        W, b = head
        self.head_W = self._next(panels_size(H, self.n_outputs))
        pack_panels(&W[0, 0], self.n_outputs, 1, H, self.n_outputs, self.head_W)
        self.head_b = self._copy(b)
        self.query = self._copy(query)
        self.x = self._next(n_streams * self.n_channels)
        self.state = self._next(n_streams * self.state_size)
        self.gated_state = self._next(n_streams * widest)
        self.saved = self._next(n_streams * P * widest)
        self.pooled = self._next(n_streams * H)
        self.y = self._next(n_streams * self.n_outputs)

    def __dealloc__(self):
        free(self.layers)
        free(self.workspace)

    cdef real* _next(self, Py_ssize_t n) noexcept:
        """Return n numbers of the workspace."""
        cdef real* start = self.next_free
        self.next_free += round_to_cache_line(n)
        return start

    cdef real* _copy(self, const real[::1] a) noexcept:
        """Return a copy of an array, in the workspace."""
        cdef real* copy = self._next(a.shape[0])
        if a.shape[0]:
            memcpy(copy, &a[0], a.shape[0] * sizeof(real))
        return copy

    cdef real* _copy_table(self, const real[:, ::1] a) noexcept:
        """Return a copy of a matrix, in the workspace; NULL if it has no rows."""
        if a.shape[0] == 0:
            return NULL
        cdef real* copy = self._next(a.shape[0] * a.shape[1])
        memcpy(copy, &a[0, 0], a.shape[0] * a.shape[1] * sizeof(real))
        return copy

    # ---- time steps --------------------------------------------------------------------------

    @cython.critical_section
    def outputs(self, x):
        """Advance by one time step; return the outputs, float64.

        Parameters
        ----------
        x : object
            Of shape (n_streams, n_channels), or (n_channels,) if there is one stream. A buffer of
            float or double, of any strides, is read in place; all else is passed to `convert`.

        Returns
        -------
        ndarray of shape (n_streams, n_outputs), or (n_outputs,) for x of shape (n_channels,)

        Raises
        ------
        ValueError
            If x has another shape, or is not finite. The states are left as they were.
        """
        cdef:
            bint is_1d = self._read(x)
            Py_ssize_t i
            double* y
            Py_buffer view
        self._advance()
        result = _new_array(self.n_streams, self.n_outputs, is_1d, &view)
        y = <double*>view.buf
        for i in range(self.n_streams * self.n_outputs):
            y[i] = self.y[i]
        PyBuffer_Release(&view)
        return result

    @cython.critical_section
    def most_likely(self, x):
        """Advance by one time step; return the index of the maximum output.

        With a single output, return whether it is positive.

        Returns
        -------
        ndarray of shape (n_streams,), intp; or int for x of shape (n_channels,)
        """
        cdef:
            bint is_1d = self._read(x)
            Py_ssize_t[::1] numbers
            Py_ssize_t k
        self._advance()
        if is_1d:
            return self._argmax(0)
        result = numpy.empty(self.n_streams, dtype=numpy.intp)
        numbers = result
        for k in range(self.n_streams):
            numbers[k] = self._argmax(k)
        return result

    @cython.critical_section
    def probabilities(self, x):
        """Advance by one time step; return the softmax of the outputs.

        With a single output y, return 1 - σ(y) and σ(y).

        Returns
        -------
        ndarray of shape (n_streams, max(n_outputs, 2)), float64; or one row for x of shape
        (n_channels,)
        """
        cdef:
            bint is_1d = self._read(x)
            Py_ssize_t K = self.n_outputs, k, i
            const real* y = self.y
            double* p
            double maximum, total
            Py_buffer view
        self._advance()
        result = _new_array(self.n_streams, max(K, <Py_ssize_t>2), is_1d, &view)
        p = <double*>view.buf
        for k in range(self.n_streams):
            if K == 1:
                p[0] = 1 / (1 + exp(<double>y[k]))
                p[1] = 1 / (1 + exp(-<double>y[k]))
                p += 2
                continue
            maximum = y[k * K + self._argmax(k)]
            total = 0
            for i in range(K):
                p[i] = exp(y[k * K + i] - maximum)
                total += p[i]
            for i in range(K):
                p[i] /= total
            p += K
        PyBuffer_Release(&view)
        return result

    cdef Py_ssize_t _argmax(self, Py_ssize_t k) noexcept:
        """Return the index of the first maximum output of a stream; NaN is a maximum, as in NumPy.

        With a single output, return whether it is positive.
        """
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
        """Copy x, which must be finite, to self.x; return whether it has one dimension."""
        cdef:
            Py_buffer view
            Py_ssize_t D = self.n_channels, bad = -1, i, j
            bint is_1d, fits
            const char* p
            float single
            double value
            real* target = self.x
        if not _is_real_buffer(x, &view):
            x = self.convert(x)
            if not _is_real_buffer(x, &view):
                raise TypeError("x must become a buffer of float or double")
        try:
            is_1d = view.ndim == 1
            fits = (view.ndim == 2 and view.shape[0] == self.n_streams
                    or is_1d and self.n_streams == 1) and view.shape[view.ndim - 1] == D
            if not fits:
                shape = tuple([view.shape[i] for i in range(view.ndim)])
                raise ValueError(f"x_t has shape {shape}; expected ({self.n_streams}, {D})"
                                 + (f" or ({D},)." if self.n_streams == 1 else "."))
            for i in range(self.n_streams):
                p = <const char*>view.buf + (0 if is_1d else i * view.strides[0])
                for j in range(D):
                    if view.format[0] == b"f":
                        memcpy(&single, p, sizeof(float))
                        target[j] = <real>single
                    else:
                        memcpy(&value, p, sizeof(double))
                        target[j] = <real>value
                    if target[j] - target[j] != 0 and bad < 0:
                        bad = i * D + j
                    elif j >= D - self.C and not (
                            0 <= target[j] < self.V and target[j] == <int>target[j]):
                        raise ValueError(f"x_t has no code in channel {j}: {target[j]}.")
                    p += view.strides[view.ndim - 1]
                target += D
        finally:
            PyBuffer_Release(&view)
        if bad < 0:
            return is_1d
        what = "NaN" if self.x[bad] != self.x[bad] else (
            f"infinity or a value too large for {_dtype}")
        raise ValueError(f"x_t contains {what}: stream {bad // D}, channel {bad % D}.")

    cdef void _advance(self) noexcept nogil:
        """Compute the next time step: the states and the outputs."""
        cdef:
            Py_ssize_t n = self.n_streams, size = self.state_size, H = 0, i, k
            const Cell* cell = self.layers[0].cell
            Py_ssize_t P = cell.n_gates + cell.n_extra, S = cell.n_states
            unsigned long long mode = flush_denormals()
            LayerStep step
            Product to_y
        step.x = self._first_inputs()
        step.x_stride = self.n_channels if step.x == self.x else self.n_inputs
        step.codes = self.codes if self.E != NULL else NULL
        step.E = self.E
        step.C, step.n_next = self.C, 0
        step.h = self.state
        step.gated_state = self.gated_state
        step.saved = self.saved
        step.recurrent_stride = step.h_prev_stride = step.cell_state_stride = step.h_stride = size
        for i in range(self.n_layers):
            step.layer = self.layers[i]
            H = step.layer.H
            step.recurrent_input = step.h_prev = step.h
            step.cell_state_prev = step.h + H
            _layer_step(&step, n)
            if S == 2:
                for k in range(n):
                    memcpy(step.h + k * size + H, step.saved + (k * P + cell.n_gates) * H,
                           H * sizeof(real))
            step.x = step.h
            step.x_stride = size
            step.codes = NULL
            step.h += S * H
        to_y = Product(step.x, self.head_W, H, size, 1)
        if self.pooling.step != NULL:
            for k in range(n):
                self.pooling.step(H, step.x + k * size, self.query, step.h + k * size,
                                  self.pooled + k * H)
            to_y.a = self.pooled
            to_y.row_stride = H
        matmul(n, self.n_outputs, &to_y, 1, self.head_b, 0, self.y, self.n_outputs)
        restore_denormals(mode)

    cdef const real* _first_inputs(self) noexcept nogil:
        """Return the first layer's inputs; set its codes, and let its state decay."""
        cdef:
            Py_ssize_t n = self.n_streams, C = self.C, K = self.K, D = self.D, k, i
            Py_ssize_t n_numbers = self.n_channels - C, first = self.n_inputs - C * K
            Py_ssize_t H = self.layers[0].H
            real* x
            real* state
        for k in range(n):
            for i in range(C):
                self.codes[k * C + i] = <int>self.x[k * self.n_channels + n_numbers + i]
        if D == 0 and self.embedding == NULL:
            return self.x
        if D:
            _decay_rows(n, D, H, self.x, self.n_channels, self.x + 2 * D, self.n_channels,
                        self.decay_x, self.decay_x + D, self.decay_W, self.decay_b,
                        self.inputs, self.n_inputs, self.gamma_x, self.gamma_h)
            for k in range(n):
                state = self.state + k * self.state_size
                for i in range(self.layers[0].cell.n_states):
                    _multiply(H, state + i * H, self.gamma_h + k * H, state + i * H)
        for k in range(n):
            x = self.inputs + k * self.n_inputs
            if D == 0:
                memcpy(x, self.x + k * self.n_channels, first * sizeof(real))
            for i in range(C if self.embedding != NULL else 0):
                memcpy(x + first + i * K, self.embedding + self.codes[k * C + i] * K,
                       K * sizeof(real))
        return self.inputs

    # ---- the states --------------------------------------------------------------------------

    @cython.critical_section
    def get_state(self):
        """Return a copy of the states: ndarray of shape (n_streams, state_size)."""
        cdef real[:, ::1] copy
        state = numpy.empty((self.n_streams, self.state_size), _dtype)
        copy = state
        memcpy(&copy[0, 0], self.state, self.n_streams * self.state_size * sizeof(real))
        return state

    @cython.critical_section
    def set_state(self, const real[:, ::1] state):
        """Set the states to a copy of an array of shape (n_streams, state_size)."""
        if state.shape[0] != self.n_streams or state.shape[1] != self.state_size:
            raise ValueError(f"state must be ({self.n_streams}, {self.state_size})")
        memcpy(self.state, &state[0, 0], self.n_streams * self.state_size * sizeof(real))
