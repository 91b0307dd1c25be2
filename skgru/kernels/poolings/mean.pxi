"""The mean over the time steps. The two passes sum; dividing by the lengths is up to the caller.

Uses pooling.pxi and vectors.pxi.

Streaming state: total (H), number of steps (1).
"""


def sum_steps(
    const real[:, ::1] states,               # IN   (N, H)    packed
    const Py_ssize_t[::1] batch_sizes,       # IN   (T,)
    real[:, ::1] total,                      # INOUT (B, H)
):
    """Add the states of all time steps of each sequence."""
    cdef Py_ssize_t t, H = states.shape[1], row = 0
    _check_pooling(states.shape, batch_sizes, total.shape)
    with nogil:
        for t in range(batch_sizes.shape[0]):
            _add(batch_sizes[t] * H, &states[row, 0], &total[0, 0])
            row += batch_sizes[t]


def repeat_steps(
    const real[:, ::1] d_total,              # IN   (B, H)
    const Py_ssize_t[::1] batch_sizes,       # IN   (T,)
    real[:, ::1] d_states,                   # OUT  (N, H)
):
    """Copy the gradient of the total to every time step of a sequence."""
    cdef Py_ssize_t t, H = d_states.shape[1], row = 0
    _check_pooling(d_states.shape, batch_sizes, d_total.shape)
    with nogil:
        for t in range(batch_sizes.shape[0]):
            memcpy(&d_states[row, 0], &d_total[0, 0], batch_sizes[t] * H * sizeof(real))
            row += batch_sizes[t]


cdef void _mean_step(
    Py_ssize_t H, const real* h, const real* query, real* state, real* pooled
) noexcept nogil:
    """Add h; write the mean so far."""
    cdef:
        Py_ssize_t i
        real n_steps = state[H] + 1
    state[H] = n_steps
    _add(H, h, state)
    for i in range(H):
        pooled[i] = state[i] / n_steps


_add_pooling("mean", Pooling(n_vectors=1, n_numbers=1, has_query=False, step=_mean_step))
