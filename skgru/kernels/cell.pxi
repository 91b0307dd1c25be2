"""The table of cells, and the interface of a cell: one sequence at one time step.

Uses no other .pxi file.

A cell is a file in cells/ and its line among the includes of kernels.pyx. The file has the
elementwise part of a time step, forward and backward side by side, and ends in `_add_cell`. Matrix
products, time and the gradients of weights are common to all cells (layer_step.pxi and
recurrence.pxi).

A gate's pre-activation is x_t W + recurrent_input U + b in its block of columns. recurrent_input
is h_{t-1}, or mask ⊙ h_{t-1} with recurrent dropout. The candidate is the last block, and computed
in one of three ways:

    JOINT    x_t W + recurrent_input U + b          in one product with the gates
    GATED    x_t W + gated_state U + b              `forward_gates` computes gated_state
    SPLIT    x_t W + b  and  recurrent_input U + c  `forward` combines the two
"""

cdef enum:
    MAX_CELLS = 16

cdef enum CandidateProduct:
    JOINT
    GATED
    SPLIT


# Pointers to the numbers of one sequence at one time step: H of each, unless a comment says more.
# d_h holds, before `backward`, ∂L/∂h_t as far as time step t + 1 contributes to it; and after the
# backward functions, ∂L/∂h_{t-1} without the part through U, which is the same for all cells.
cdef struct CellStep:
    Py_ssize_t H
    # forward; IN for backward, except h
    real* saved                             # PH: pre-activations, then activations and extra blocks
    const real* recurrent_input
    const real* h_prev                      # h_{t-1}
    const real* cell_state_prev             # if S is 2
    real* gated_state                       # GATED: OUT of forward_gates and of backward_gates
    real* h                                 # OUT
    real* cell_state                        # OUT, if S is 2
    # backward
    const real* mask                        # of the recurrent dropout, or NULL
    const real* d_output                    # what the layer above sends to this step, or NULL
    const real* d_gated_state               # GATED
    real* d_h                               # INOUT
    real* d_cell_state                      # INOUT, if S is 2: of c_t, then of c_{t-1}
    real* d_gates                           # GH: OUT, of the pre-activations
    real* d_recurrent                       # SPLIT: OUT, of recurrent_input U + c


ctypedef void (*cell_function)(const CellStep* step) noexcept nogil


cdef struct Cell:
    int n_gates                             # G
    int n_extra                             # P - G
    int n_states                            # S; if 2, the first extra block is the cell state
    int forget                              # the gate whose bias is initialized to one, or -1
    CandidateProduct candidate
    cell_function forward_gates             # GATED, else NULL: the gates and gated_state
    cell_function forward                   # the other activations, h and cell_state
    cell_function backward                  # d_h, d_cell_state, d_gates without d_gated_state
    cell_function backward_gates            # GATED, else NULL: what d_gated_state adds to them


cdef Cell[MAX_CELLS] _cells
cdef int _n_cells = 0

# name: (cell_index, n_gates, n_extra, n_states, forget)
CELLS = {}


cdef int _add_cell(str name, Cell cell) except -1:
    """Add a cell to the table."""
    global _n_cells
    if _n_cells == MAX_CELLS or name in CELLS or not 0 < cell.n_gates <= MAX_PRODUCTS:
        raise RuntimeError(f"there is no room for a cell {name!r} of {cell.n_gates} gates")
    _cells[_n_cells] = cell
    CELLS[name] = (_n_cells, cell.n_gates, cell.n_extra, cell.n_states, cell.forget)
    _n_cells += 1
    return 0


cdef Cell* _cell(int cell_index) except NULL:
    """Return the cell of this index; raise ValueError if there is none."""
    if not 0 <= cell_index < _n_cells:
        raise ValueError(f"there is no cell {cell_index}")
    return &_cells[cell_index]


cdef inline vec _total_gradient(
    const real* d_h, const real* d_output, Py_ssize_t j, Py_ssize_t n
) noexcept nogil:
    """Return ∂L/∂h_t of units j to j + n: from the next step, plus from the layer above if any."""
    cdef vec total = load(d_h + j, n)
    if d_output != NULL:
        total = total + load(d_output + j, n)
    return total
