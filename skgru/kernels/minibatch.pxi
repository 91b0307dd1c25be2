"""Gather the time steps of some sequences into one packed array."""


def pack_steps(
    const real[:, ::1] values,               # IN   (M, D)    all steps of all sequences
    const Py_ssize_t[::1] starts,            # IN   (B,)      the row of each one's first step
    const Py_ssize_t[::1] batch_sizes,       # IN   (T,)      never growing
    real[:, ::1] x,                          # OUT  (N, D)
):
    """Copy step 0 of every sequence, then step 1 of those that have one, and so on."""
    cdef Py_ssize_t M = values.shape[0], D = values.shape[1], rows = 0, row = 0, t, k, last
    for t in range(batch_sizes.shape[0]):
        rows += batch_sizes[t]
        if not 0 <= batch_sizes[t] <= (batch_sizes[t - 1] if t else starts.shape[0]):
            raise ValueError("batch_sizes must never grow, from the number of starts")
    if x.shape[0] != rows or x.shape[1] != D:
        raise ValueError(f"x must be ({rows}, {D})")
    last = 0
    for t in range(batch_sizes.shape[0] - 1, -1, -1):
        for k in range(last, batch_sizes[t]):
            if not 0 <= starts[k] < M - t:
                raise ValueError(f"sequence {k} of {t + 1} steps does not lie within the values")
        last = max(last, batch_sizes[t])
    with nogil:
        for t in range(batch_sizes.shape[0]):
            for k in range(batch_sizes[t]):
                memcpy(&x[row, 0], &values[starts[k] + t, 0], D * sizeof(real))
                row += 1
