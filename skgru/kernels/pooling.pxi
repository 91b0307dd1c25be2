"""The table of poolings. A pooling reduces the states of all time steps to one vector per sequence.

Uses packing.pxi.

A pooling is a file in poolings/ and its line among the includes of kernels.pyx. The file has, side
by side, the forward and backward pass over packed minibatches, which Python calls, and a step for
streaming. It ends in `_add_pooling`.

The forward pass accumulates INOUT, so that a sequence may be split into windows of time steps. The
n sequences of a window are the first n rows of the accumulators.
"""

cdef enum:
    MAX_POOLINGS = 16

# Add h (H) of one time step to the streaming state; write the result so far to pooled (H).
ctypedef void (*pooling_step)(
    Py_ssize_t H, const real* h, const real* query, real* state, real* pooled
) noexcept nogil


cdef struct Pooling:
    int n_vectors                           # of H numbers in the streaming state
    int n_numbers                           # single numbers after them; all are 0 at first
    bint has_query                          # whether it has learned weights (H)
    pooling_step step                       # NULL: the result is h


cdef Pooling[MAX_POOLINGS] _poolings
cdef int _n_poolings = 0

# name: index
POOLINGS = {}


cdef int _add_pooling(str name, Pooling pooling) except -1:
    """Add a pooling to the table."""
    global _n_poolings
    if _n_poolings == MAX_POOLINGS or name in POOLINGS:
        raise RuntimeError(f"there is no room for a pooling {name!r}")
    _poolings[_n_poolings] = pooling
    POOLINGS[name] = _n_poolings
    _n_poolings += 1
    return 0


cdef Pooling* _pooling(str name) except NULL:
    """Return the pooling of this name; raise ValueError if there is none."""
    if name not in POOLINGS:
        raise ValueError(f"there is no pooling {name!r}, only {', '.join(POOLINGS)}")
    return &_poolings[POOLINGS[name]]


cdef int _check_pooling(
    const Py_ssize_t* states, const Py_ssize_t[::1] batch_sizes, const Py_ssize_t* pooled
) except -1:
    """Raise ValueError unless states (N, H) are packed and fit accumulators (B, H)."""
    _check_packed(states[0], batch_sizes)
    if batch_sizes[0] > pooled[0] or states[1] != pooled[1] or states[1] == 0:
        raise ValueError("states and pooled must be (N, H) and (B, H)")
    return 0
