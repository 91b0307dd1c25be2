"""The table of poolings: each reduces the states of all steps of a sequence to one vector.

A pooling is a file in poolings/ and its line among the includes of kernels.pyx. The file has its
forward and its backward pass over packed minibatches, which Python calls, and a `step` for
streaming; it ends in `_add_pooling`.

The accumulators of a forward pass are INOUT, so that a sequence may come a window of steps at a
time. The n sequences of a window are the first n rows of its accumulators.
"""

cdef enum:
    MAX_POOLINGS = 16

# Add the state h (H,) of one step to a streaming state, and write what is pooled so far (H,).
ctypedef void (*pooling_step)(
    Py_ssize_t H, const real* h, const real* query, real* state, real* pooled
) noexcept nogil


cdef struct Pooling:
    int n_vectors                           # of H numbers in a streaming state, 0 at first
    int n_numbers                           # after them, 0 at first
    bint has_query                          # a learned vector (H,)
    pooling_step step                       # NULL: what is pooled is h


cdef Pooling[MAX_POOLINGS] _poolings
cdef int _n_poolings = 0

# name: index
POOLINGS = {}


cdef int _add_pooling(str name, Pooling added) except -1:
    global _n_poolings
    if _n_poolings == MAX_POOLINGS or name in POOLINGS:
        raise RuntimeError(f"there is no room for a pooling {name!r}")
    _poolings[_n_poolings] = added
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
    """Raise ValueError unless states are packed so and no more sequences than are pooled."""
    _check_packed(states[0], batch_sizes)
    if batch_sizes[0] > pooled[0] or states[1] != pooled[1] or states[1] == 0:
        raise ValueError("states and what is pooled must be (N, H) and (B, H)")
    return 0
