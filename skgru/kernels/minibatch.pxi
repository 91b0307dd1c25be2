"""Gather the time steps of some sequences into one packed array."""


def pack_steps(
    const real[:, ::1] values,               # IN   (M, D)    all steps of all sequences
    const Py_ssize_t[::1] starts,            # IN   (S,)      the row of each one's first step
    const Py_ssize_t[::1] lengths,           # IN   (S,)
    const Py_ssize_t[:] samples,             # IN   (B,)      the longest first
    real[:, ::1] x,                          # OUT  (N, D)    N: the sum of their lengths
    Py_ssize_t[::1] batch_sizes,             # OUT  (T,)      T: the length of the longest
):
    """Copy step 0 of every sequence, then step 1 of those that have one, and so on."""
    cdef:
        Py_ssize_t M = values.shape[0], D = values.shape[1], S = starts.shape[0]
        Py_ssize_t B = samples.shape[0], T = batch_sizes.shape[0], rows = 0, row = 0
        Py_ssize_t k, t, sample, running
    for k in range(B):
        sample = samples[k]
        if not (0 <= sample < S and sample < lengths.shape[0]):
            raise ValueError(f"there is no sequence {sample}")
        if not (0 <= starts[sample] and 0 < lengths[sample] <= M - starts[sample]):
            raise ValueError(f"sequence {sample} does not lie within the values")
        if lengths[sample] > (lengths[samples[k - 1]] if k else T):
            raise ValueError("samples must be given the longest first")
        rows += lengths[sample]
    if B == 0 or lengths[samples[0]] != T or x.shape[0] != rows or x.shape[1] != D:
        raise ValueError("x and batch_sizes must be (N, D) and (T,)")
    with nogil:
        running = B
        for t in range(T):
            while lengths[samples[running - 1]] <= t:
                running -= 1
            batch_sizes[t] = running
        # a sequence at a time, as they lie far from each other and may not be in the cache
        for k in range(B):
            row = k
            for t in range(lengths[samples[k]]):
                memcpy(&x[row, 0], &values[starts[samples[k]] + t, 0], D * sizeof(real))
                row += batch_sizes[t]
