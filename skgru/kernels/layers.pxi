"""Stacked recurrent layers over a packed minibatch: a forward pass and a backward pass in a call.

Uses arrays.pxi, categories.pxi, cell.pxi, dropout.pxi, layer_step.pxi, packing.pxi and
recurrence.pxi.
"""


cdef class RecurrentLayers:
    """The recurrent layers of a network, and the arrays of their last pass.

    A layer reads the states of the layer below, those of two directions side by side, with dropout.
    The second direction reads each sequence from its last step to its first; its arrays are in this
    order. Arrays of a pass are in memory that the next pass uses again: fresh pages of the system
    would take 7 % of a training step of the largest models.

    An object is for one thread at a time. Both passes release the GIL. The backward pass reads
    inputs, masks and `states` of the forward pass where they are.

    Parameters
    ----------
    cell_index : int
        The first number of an entry of `CELLS`.
    layers : list of list of tuple of ndarray
        W, U, b and c of each direction of each layer. The arrays are used where they are.
    tables : list of ndarray of shape (V, GH)
        E of each direction of the first layer; empty without categories.

    Attributes
    ----------
    n_state : int
        Numbers of the state of a sequence: h and, if the cell has one, the cell state of each
        direction of each layer.

    Raises
    ------
    ValueError
        If the arrays do not fit together.
    """

    cdef:
        readonly Py_ssize_t n_state
        Py_ssize_t n_layers, n_directions       # n_directions: of a layer
        Py_ssize_t n                            # directions of all layers
        Py_ssize_t width                        # of the states of the top layer
        Direction* directions                   # n
        real** outputs                          # (N, width) of each layer
        object weights
        object memory                           # bytes
        real* first                             # the first number in it
        Py_ssize_t n_numbers, n_taken           # that it has, and that have a place
        Py_ssize_t workspace_size               # numbers that a pass needs besides
        # of the last forward pass
        bint has_kept, has_gradients
        list inputs
        list masks
        const Py_ssize_t[::1] batch_sizes
        real[:, ::1] states
        const real[:, ::1] d_states             # of the last backward pass
        Py_ssize_t N
        double rate
        unsigned long long seed

    def __cinit__(self, int cell_index, list layers, list tables):
        cdef:
            Cell* cell = _cell(cell_index)
            Direction* layer
            const real[:, ::1] W, U, E
            const real[::1] b, c
            Py_ssize_t D = 0, H = 0, i
            Py_ssize_t[2] table
        self.n_layers = len(layers)
        self.n_directions = len(layers[0]) if layers else 0
        if (self.n_directions not in (1, 2) or len(tables) not in (0, self.n_directions)
                or any([len(directions) != self.n_directions for directions in layers])):
            raise ValueError("there must be at least one layer, one or two directions of each, and "
                             "no table or one of each direction")
        layers = [[tuple(weights) for weights in directions] for directions in layers]
        tables = list(tables)
        self.weights = (layers, tables)         # lists of its own: their memory must not go
        self.n = self.n_layers * self.n_directions
        self.outputs = <real**>calloc(self.n_layers, sizeof(real*))
        self.directions = <Direction*>calloc(self.n, sizeof(Direction))
        if not self.outputs or not self.directions:
            raise MemoryError
        for i in range(self.n):
            layer = &self.directions[i]
            W, U, b, c = layers[i // self.n_directions][i % self.n_directions]
            if i == 0:
                D = W.shape[0]
            elif i % self.n_directions == 0:
                D = self.n_directions * H
            elif U.shape[0] != H:
                raise ValueError("both directions of a layer must have the same number of units")
            table = [0, 0]
            if i < len(tables):
                E = tables[i]
                table = [E.shape[0], E.shape[1]]
            _check_weights(cell, D, W.shape, U.shape, b.shape[0], c.shape[0], table)
            layer.V = table[0]
            layer.E = &E[0, 0] if layer.V else NULL
            H = U.shape[0]
            layer.cell, layer.D, layer.H = cell, D, H
            layer.W, layer.U, layer.b = &W[0, 0], &U[0, 0], &b[0]
            layer.c = &c[0] if c.shape[0] else NULL
            self.n_state += cell.n_states * H
        self.width = self.n_directions * H

    def __dealloc__(self):
        free(self.outputs)
        free(self.directions)

    # ---- forward ----------------------------------------------------------------------------

    def forward(
        self,
        list inputs,                         # IN   of each direction a tuple that begins with
                                             #      x (N, D), codes (N, C) or (0, _), and
                                             #      decay (N, H) or (0, _)
        const Py_ssize_t[::1] batch_sizes,   # IN   (T,)         of each step, never increasing
        const real[:, ::1] h,                # IN   (n, n_state) states before the first step; those
                                             #                   of further sequences are 0
        real[:, ::1] states,                 # OUT  (N, width)   of the top layer; (0, _): none
        *,
        bint keep,                           # IN   for `backward` and `kept`
        list masks=[],                       # IN   of recurrent dropout: (B, H) of each direction
                                             #      of each layer, or none
        double dropout=0,                    # IN   in [0, 1)    rate, between layers
        unsigned long long seed=0,           # IN   to which the number of the layer is added
    ):
        """Compute the forward pass; return the states (B, n_state) after the last step of each."""
        cdef:
            Py_ssize_t B, i, k, depth, column = 0, SH
            real[:, ::1] h_last
            Direction* layer
            void* workspace
        self.has_kept = self.has_gradients = False
        self._take_inputs(inputs, batch_sizes, masks)
        B = batch_sizes[0]
        if (h.shape[0] > B or h.shape[0] and h.shape[1] != self.n_state
                or states.shape[0] and (states.shape[0] != self.N
                                        or states.shape[1] != self.width)):
            raise ValueError(f"h must be (n, {self.n_state}) with at most {B} rows, and states "
                             f"({self.N}, {self.width}) or empty")
        if not 0 <= dropout < 1:
            raise ValueError("dropout must be in [0, 1)")
        self.batch_sizes = batch_sizes.copy()   # `backward` relies on them
        self.states, self.rate, self.seed = states, dropout, seed
        self._place_arrays(keep)
        after = numpy.empty((B, self.n_state), _dtype)
        h_last = after
        workspace = self._allocate_workspace()
        with nogil:
            for i in range(self.n):
                layer, depth = &self.directions[i], i // self.n_directions
                if depth and i % self.n_directions:
                    self._reorder(i, layer.D, layer[-1].x, layer.D, <real*>layer.x, layer.D)
                elif depth and dropout:
                    _dropout(self.N * layer.D, self.outputs[depth - 1], seed + depth, dropout,
                             <real*>layer.x)
                SH = layer.cell.n_states * layer.H
                for k in range(B):
                    if k < h.shape[0]:
                        memcpy(layer.h_0 + k * SH, &h[k, column], SH * sizeof(real))
                    else:
                        memset(layer.h_0 + k * SH, 0, SH * sizeof(real))
                _forward_through_time(layer, &batch_sizes[0], batch_sizes.shape[0],
                                      align_to_cache_line(workspace))
                for k in range(B):
                    memcpy(&h_last[k, column], layer.h_last + k * SH, SH * sizeof(real))
                column += SH
                if self.n_directions == 2 and self.outputs[depth] != NULL:
                    self._reorder(i, layer.H, layer.states, layer.H,
                                  self.outputs[depth] + i % 2 * layer.H, 2 * layer.H)
            free(workspace)
        self.has_kept = keep
        return after

    cdef int _take_inputs(
        self, list inputs, const Py_ssize_t[::1] batch_sizes, list masks
    ) except -1:
        """Refer to the inputs of the first layer and to the masks; raise if they do not fit."""
        cdef:
            const real[:, ::1] x, decay, mask
            const int[:, ::1] codes
            Py_ssize_t i
            Py_ssize_t[2] table
            Direction* layer
        if len(inputs) != self.n_directions:
            raise ValueError(f"there must be inputs of {self.n_directions} directions")
        if len(masks) not in (0, self.n):
            raise ValueError("there must be a mask of each direction of each layer, or none")
        inputs, masks = [tuple(own)[:3] for own in inputs], list(masks)
        for i in range(self.n_directions):
            layer = &self.directions[i]
            x, codes, decay = inputs[i]
            self.N = x.shape[0]
            _check_packed(self.N, batch_sizes)
            if x.shape[1] != layer.D:
                raise ValueError(f"x must be (N, {layer.D})")
            if codes.shape[0] != (self.N if layer.E != NULL else 0):
                raise ValueError("codes must be (N, C), or empty if there are no categories")
            if decay.shape[0] not in (0, self.N) or decay.shape[0] and decay.shape[1] != layer.H:
                raise ValueError(f"decay must be (N, {layer.H}) or empty")
            if layer.E != NULL:
                table = [layer.V, layer.cell.n_gates * layer.H]
                _check_table(table, codes)
                layer.codes = &codes[0, 0]
                layer.C = codes.shape[1]
            layer.x = &x[0, 0]
            layer.decay = &decay[0, 0] if decay.shape[0] else NULL
        for i in range(self.n):
            layer = &self.directions[i]
            layer.mask = NULL
            if masks:
                mask = masks[i]
                if mask.shape[0] != batch_sizes[0] or mask.shape[1] != layer.H:
                    raise ValueError(f"the mask must be (B, {layer.H})")
                layer.mask = &mask[0, 0]
        self.inputs, self.masks = inputs, masks     # as the weights
        return 0

    cdef int _place_arrays(self, bint keep) except -1:
        """Give each array a place in memory; make a larger one if they do not fit."""
        cdef unsigned char[::1] view
        self._place(keep)
        if self.n_taken <= self.n_numbers:
            return 0
        self.n_numbers, self.memory, self.first = 0, None, NULL
        self.memory = view = numpy.empty(CACHE_LINE_BYTES + self.n_taken * sizeof(real), "u1")
        self.first = align_to_cache_line(&view[0])
        self.n_numbers = self.n_taken
        self._place(keep)
        return 0

    cdef void _place(self, bint keep) noexcept:
        """Give each array a place in memory, however large it is."""
        cdef:
            Py_ssize_t N = self.N, B = self.batch_sizes[0], i, depth, SH
            Direction* layer
            real* top = &self.states[0, 0] if self.states.shape[0] else NULL
            bint is_top, is_joined = self.n_directions == 2
        self.n_taken = self.workspace_size = 0
        for i in range(self.n):
            layer, depth = &self.directions[i], i // self.n_directions
            SH = layer.cell.n_states * layer.H
            is_top = depth == self.n_layers - 1
            layer.h_0, layer.h_last = self._take(B * SH), self._take(B * SH)
            if depth and (i % self.n_directions or self.rate):
                layer.x = self._take(N * layer.D)
            elif depth:
                layer.x = self.outputs[depth - 1]
            layer.states = layer.saved = layer.d_h = layer.d_last = layer.d_own = layer.dx = NULL
            if is_top and top != NULL and not is_joined:
                layer.states = top
            elif keep or top != NULL or not is_top:
                layer.states = self._take(N * layer.H)
            if not is_joined:
                self.outputs[depth] = layer.states
            elif is_top:
                self.outputs[depth] = top
            elif i % 2 == 0:
                self.outputs[depth] = self._take(N * 2 * layer.H)
            self.workspace_size = max(self.workspace_size, _forward_workspace(layer, B))
            if keep:
                layer.saved = self._take(N * (layer.cell.n_gates + layer.cell.n_extra) * layer.H)
                layer.d_h, layer.d_last = self._take(B * SH), self._take(B * SH)
                if is_joined:
                    layer.d_own = self._take(N * layer.H)
                if depth:
                    layer.dx = self._take(N * layer.D)
                self.workspace_size = max(self.workspace_size, _backward_workspace(layer, B))

    cdef void* _allocate_workspace(self) except NULL:
        """Allocate memory for a pass, which is that of another object before: in the cache."""
        cdef void* workspace = malloc(CACHE_LINE_BYTES + sizeof(real) * self.workspace_size)
        if not workspace:
            raise MemoryError
        return workspace

    cdef real* _take(self, Py_ssize_t n) noexcept:
        """Return the next place for n numbers."""
        cdef real* place = self.first + self.n_taken
        self.n_taken += round_to_cache_line(n)
        return place

    cdef void _reorder(
        self, Py_ssize_t i, Py_ssize_t n_columns, const real* x, Py_ssize_t x_stride, real* y,
        Py_ssize_t y_stride,
    ) noexcept nogil:
        """Copy rows between the order of time and that of direction i of all."""
        cdef Py_ssize_t n
        if i % self.n_directions:
            _reverse_steps(&self.batch_sizes[0], self.batch_sizes.shape[0], n_columns, x, x_stride,
                           y, y_stride, False)
            return
        for n in range(self.N):
            memcpy(y + n * y_stride, x + n * x_stride, n_columns * sizeof(real))

    # ---- backward ---------------------------------------------------------------------------

    def backward(
        self,
        const real[:, ::1] d_states,         # IN   (N, width)   of the top layer; (0, _): none
        real[:, ::1] d_h,                    # INOUT (B, n_state) ∂L/∂ the states after the last
                                             #                   step IN, before the first OUT
        list d_layers,                       # INOUT as `layers`: gradients are added to arrays;
                                             #      if the four are empty, they are not wanted
        list d_tables,                       # INOUT as `tables`; or empty: not wanted
        list d_inputs,                       # OUT  of each direction a tuple of dx (N, D) and
                                             #      d_decay (N, H) without decay (0, _); or
                                             #      (0, _), or no tuples: not wanted
    ):
        """Compute the backward pass of the last forward pass, which must have kept its arrays."""
        cdef:
            Py_ssize_t T, B, i, k, depth, column = self.n_state, SH
            Direction* layer
            const real* d_output = NULL
            void* workspace
        if not self.has_kept:
            raise ValueError("there was no forward pass with keep=True")
        T, B = self.batch_sizes.shape[0], self.batch_sizes[0]
        if (d_h.shape[0] != B or d_h.shape[1] != self.n_state
                or d_states.shape[0] and (d_states.shape[0] != self.N
                                          or d_states.shape[1] != self.width)):
            raise ValueError(f"d_h must be ({B}, {self.n_state}), and d_states "
                             f"({self.N}, {self.width}) or empty")
        self._take_gradients(d_layers, d_tables, d_inputs)
        self.d_states = d_states                # its memory must not go before `kept`
        if d_states.shape[0]:
            d_output = &d_states[0, 0]
        workspace = self._allocate_workspace()
        with nogil:
            # the second direction first, as more of it is still in the cache
            for i in range(self.n - 1, -1, -1):
                layer, depth = &self.directions[i], i // self.n_directions
                layer.d_states = d_output
                if self.n_directions == 2 and d_output != NULL:
                    layer.d_states = layer.d_own
                    self._reorder(i, layer.H, d_output + i % 2 * layer.H, 2 * layer.H,
                                  layer.d_own, layer.H)
                SH = layer.cell.n_states * layer.H
                column -= SH
                for k in range(B):
                    memcpy(layer.d_last + k * SH, &d_h[k, column], SH * sizeof(real))
                memcpy(layer.d_h, layer.d_last, B * SH * sizeof(real))
                _backward_through_time(layer, &self.batch_sizes[0], T, self.N,
                                       align_to_cache_line(workspace))
                for k in range(B):
                    memcpy(&d_h[k, column], layer.d_h + k * SH, SH * sizeof(real))
                if depth and i % self.n_directions == 0:
                    if self.n_directions == 2:
                        _reverse_steps(&self.batch_sizes[0], T, layer.D, layer[1].dx, layer.D,
                                       layer.dx, layer.D, True)
                    if self.rate:
                        _dropout(self.N * layer.D, layer.dx, self.seed + depth, self.rate, layer.dx)
                    d_output = layer.dx
            free(workspace)
        self.has_gradients = True

    cdef int _take_gradients(self, list d_layers, list d_tables, list d_inputs) except -1:
        """Refer to arrays of gradients; raise ValueError if they do not fit."""
        cdef:
            Direction* layer
            real[:, ::1] dW, dU, dE, dx, d_decay
            real[::1] db, dc
            Py_ssize_t GH, i
        if (len(d_layers) != self.n_layers or len(d_tables) not in (0, self.n_directions)
                or len(d_inputs) not in (0, self.n_directions)
                or any([len(directions) != self.n_directions for directions in d_layers])):
            raise ValueError("the gradients must be those of as many layers and directions")
        for i in range(self.n):
            layer = &self.directions[i]
            GH = layer.cell.n_gates * layer.H
            dW, dU, db, dc = d_layers[i // self.n_directions][i % self.n_directions]
            layer.dW = layer.dU = layer.db = layer.dc = layer.dE = NULL
            if dU.shape[0]:
                if (dW.shape[0] != layer.D or dW.shape[1] != GH or dU.shape[0] != layer.H
                        or dU.shape[1] != GH or db.shape[0] != GH
                        or dc.shape[0] != (layer.H if layer.c != NULL else 0)):
                    raise ValueError("gradients must have the shapes of the weights, or be empty")
                layer.dW, layer.dU, layer.db = &dW[0, 0], &dU[0, 0], &db[0]
                layer.dc = &dc[0] if layer.c != NULL else NULL
            elif dW.shape[0] or db.shape[0] or dc.shape[0]:
                raise ValueError("the gradients of a layer must be empty together")
            if i >= self.n_directions:
                continue
            layer.dx = layer.d_decay = NULL
            if d_tables:
                dE = d_tables[i]
                if layer.E == NULL or dE.shape[0] != layer.V or dE.shape[1] != GH:
                    raise ValueError("gradients must have the shapes of the tables")
                _check_table(dE.shape, self.inputs[i][1])   # codes may have changed
                layer.dE = &dE[0, 0]
            if d_inputs:
                dx, d_decay = d_inputs[i]
                if (dx.shape[0] not in (0, self.N) or dx.shape[0] and dx.shape[1] != layer.D
                        or d_decay.shape[0] and (layer.decay == NULL
                                                 or d_decay.shape[0] != self.N
                                                 or d_decay.shape[1] != layer.H)):
                    raise ValueError("dx must be (N, D) or empty, and d_decay as decay")
                layer.dx = &dx[0, 0] if dx.shape[0] and layer.D else NULL
                layer.d_decay = &d_decay[0, 0] if d_decay.shape[0] else NULL
            if layer.decay != NULL and layer.d_decay == NULL:
                raise ValueError("with decay, there must be an array for its gradient")
        return 0

    # ---- for inspection ---------------------------------------------------------------------

    def kept(self, int i):
        """Return copies of what the last passes have kept of direction i of all layers, by name.

        Those of the forward pass are x, states and saved; those of the backward pass, after it,
        d_states (without rows if there was none), d_last (∂L/∂h_last) and d_h (∂L/∂h_0).
        """
        cdef:
            Direction* layer
            Py_ssize_t B, SH, PH
        if not self.has_kept or not 0 <= i < self.n:
            raise ValueError("there was no forward pass with keep=True of such a direction")
        layer, B = &self.directions[i], self.batch_sizes[0]
        SH = layer.cell.n_states * layer.H
        PH = (layer.cell.n_gates + layer.cell.n_extra) * layer.H
        arrays = {
            "x": _copy_of(layer.x, self.N, layer.D),
            "states": _copy_of(layer.states, self.N, layer.H),
            "saved": _copy_of(layer.saved, self.N, PH),
        }
        if self.has_gradients:
            arrays["d_states"] = _copy_of(layer.d_states, self.N, layer.H)
            arrays["d_last"] = _copy_of(layer.d_last, B, SH)
            arrays["d_h"] = _copy_of(layer.d_h, B, SH)
        return arrays
