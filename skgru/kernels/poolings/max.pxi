"""The maximum of each unit over the time steps.

Uses pooling.pxi.

Streaming state: maximum (H), number of steps (1).
"""


def max_forward(
    const real[:, ::1] states,               # IN   (N, H)
    const Py_ssize_t[::1] batch_sizes,       # IN   (T,)
    int first_step,                          # IN   number of the window's first time step
    real[:, ::1] highest,                    # INOUT (B, H)   the maximum so far, at first -inf
    int[:, ::1] at_step,                     # INOUT (B, H)   its time step, the first if tied
):
    """Update the maximum of each unit and sequence, and the time step that it is from."""
    cdef:
        Py_ssize_t t, i, H = states.shape[1], row = 0
        const real* h
        real* best
        int* best_step
        bint higher
    _check_pooling(states.shape, batch_sizes, highest.shape)
    if at_step.shape[0] != highest.shape[0] or at_step.shape[1] != H:
        raise ValueError("at_step must be (B, H)")
    with nogil:
        best = &highest[0, 0]
        best_step = &at_step[0, 0]
        for t in range(batch_sizes.shape[0]):
            h = &states[row, 0]
            for i in range(batch_sizes[t] * H):
                higher = h[i] > best[i] or h[i] != h[i]  # NaN stays
                best_step[i] = first_step + <int>t if higher else best_step[i]
                best[i] = h[i] if higher else best[i]
            row += batch_sizes[t]


def max_backward(
    const real[:, ::1] d_highest,            # IN   (B, H)
    const int[:, ::1] at_step,               # IN   (B, H)
    const Py_ssize_t[::1] batch_sizes,       # IN   (T,)
    int first_step,
    real[:, ::1] d_states,                   # OUT  (N, H)
):
    """Copy the gradient of a maximum to the time step that it is from; the others get 0."""
    cdef:
        Py_ssize_t t, i, H = d_states.shape[1], row = 0
        const real* d
        const int* step
        real* d_h
    _check_pooling(d_states.shape, batch_sizes, d_highest.shape)
    if at_step.shape[0] != d_highest.shape[0] or at_step.shape[1] != H:
        raise ValueError("at_step must be (B, H)")
    with nogil:
        d = &d_highest[0, 0]
        step = &at_step[0, 0]
        for t in range(batch_sizes.shape[0]):
            d_h = &d_states[row, 0]
            for i in range(batch_sizes[t] * H):
                d_h[i] = d[i] if step[i] == first_step + <int>t else 0
            row += batch_sizes[t]


cdef void _max_step(
    Py_ssize_t H, const real* h, const real* query, real* state, real* pooled
) noexcept nogil:
    """Update and write the maximum so far."""
    cdef:
        Py_ssize_t i
        bint is_first = state[H] == 0
    state[H] += 1
    for i in range(H):
        if is_first or h[i] > state[i] or h[i] != h[i]:  # NaN stays
            state[i] = h[i]
        pooled[i] = state[i]


_add_pooling("max", Pooling(n_vectors=1, n_numbers=1, has_query=False, step=_max_step))
