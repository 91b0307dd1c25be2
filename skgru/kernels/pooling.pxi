"""From the states of all steps to one vector a sequence, forward and backward.

What is pooled so far is INOUT, so that a sequence may come a window of steps at a time. In a
window of n sequences, they are the first n rows of it.
"""


# ---- mean ------------------------------------------------------------------------------------

def sum_steps(
    const real[:, ::1] states,               # IN   (N, H)    packed
    const Py_ssize_t[::1] batch_sizes,       # IN   (T,)
    real[:, ::1] total,                      # INOUT (B, H)
):
    """Add the states of each sequence to its total."""
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
    """Give every step of a sequence the gradient of its total."""
    cdef Py_ssize_t t, H = d_states.shape[1], row = 0
    _check_pooling(d_states.shape, batch_sizes, d_total.shape)
    with nogil:
        for t in range(batch_sizes.shape[0]):
            memcpy(&d_states[row, 0], &d_total[0, 0], batch_sizes[t] * H * sizeof(real))
            row += batch_sizes[t]


# ---- max -------------------------------------------------------------------------------------

def max_forward(
    const real[:, ::1] states,               # IN   (N, H)
    const Py_ssize_t[::1] batch_sizes,       # IN   (T,)
    int first_step,                          # IN   the number of the window's first step
    real[:, ::1] highest,                    # INOUT (B, H)
    int[:, ::1] at_step,                     # INOUT (B, H)   where it was, the first of several
):
    """Raise each sequence's highest states to those of these steps."""
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
    """Give the gradient of a highest state to the step where it was."""
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


# ---- attention -------------------------------------------------------------------------------
#
# One learned query q: α_t = softmax_t(h_t · q) over the steps of a sequence, and Σ_t α_t h_t. The
# softmax is summed up as steps come, relative to the highest score so far (Milakov & Gimelshein
# 2018, arXiv:1805.02867): pooled = total / norm at the end.

def attention_forward(
    const real[:, ::1] states,               # IN   (N, H)
    const Py_ssize_t[::1] batch_sizes,       # IN   (T,)
    const real[::1] query,                   # IN   (H,)
    real[::1] scores,                        # OUT  (N,)      h_t · q
    real[::1] highest,                       # INOUT (B,)     score, at first -inf
    real[::1] norm,                          # INOUT (B,)     Σ exp(score - highest)
    real[:, ::1] total,                      # INOUT (B, H)   Σ exp(score - highest) h
):
    """Add the states of each sequence to its total, weighted by their scores."""
    cdef:
        Py_ssize_t t, k, n, N = states.shape[0], H = states.shape[1], B = total.shape[0], row = 0
        unsigned long long mode
    _check_pooling(states.shape, batch_sizes, total.shape)
    if (query.shape[0] != H or scores.shape[0] != N or highest.shape[0] != B
            or norm.shape[0] != B):
        raise ValueError("query must be (H,), scores (N,), highest and norm (B,)")
    with nogil:
        mode = flush_denormals()
        for t in range(batch_sizes.shape[0]):
            n = batch_sizes[t]
            for k in range(n):
                scores[row + k] = _attend(
                    H, &states[row + k, 0], &query[0], &highest[k], &norm[k], &total[k, 0])
            row += n
        restore_denormals(mode)


cdef real _attend(
    Py_ssize_t H, const real* h, const real* query, real* highest, real* norm, real* total
) noexcept nogil:
    """Add one state; return its score."""
    cdef real score = _dot(H, h, query), weight
    if score > highest[0]:
        weight = <real>exp(highest[0] - score)
        norm[0] *= weight
        _scale(H, weight, total)
        highest[0] = score
    weight = <real>exp(score - highest[0])
    norm[0] += weight
    _add_scaled(H, weight, h, total)
    return score


def attention_backward(
    const real[:, ::1] states,               # IN   (N, H)
    const Py_ssize_t[::1] batch_sizes,       # IN   (T,)
    const real[::1] query,                   # IN   (H,)
    const real[::1] highest,                 # IN   (B,)
    const real[::1] norm,                    # IN   (B,)
    const real[:, ::1] pooled,               # IN   (B, H)
    const real[:, ::1] d_pooled,             # IN   (B, H)
    real[:, ::1] d_states,                   # OUT  (N, H)
    real[::1] d_query,                       # INOUT (H,)     ∂L/∂q is added
):
    """∂L/∂h_t = α_t d + a_t q and ∂L/∂q = Σ a_t h_t, with a_t = α_t d · (h_t - pooled)."""
    cdef:
        Py_ssize_t t, k, N = states.shape[0], H = states.shape[1], B = pooled.shape[0], row = 0
        unsigned long long mode
        real weight, a
    _check_pooling(states.shape, batch_sizes, pooled.shape)
    if (query.shape[0] != H or d_query.shape[0] != H or highest.shape[0] != B
            or norm.shape[0] != B or d_pooled.shape[0] != B or d_pooled.shape[1] != H
            or d_states.shape[0] != N or d_states.shape[1] != H):
        raise ValueError("the arrays do not have the shapes of what they belong to")
    with nogil:
        mode = flush_denormals()
        for t in range(batch_sizes.shape[0]):
            for k in range(batch_sizes[t]):
                a = _dot(H, &states[row, 0], &query[0])
                weight = <real>exp(a - highest[k]) / norm[k]
                a = weight * (_dot(H, &d_pooled[k, 0], &states[row, 0])
                              - _dot(H, &d_pooled[k, 0], &pooled[k, 0]))
                memcpy(&d_states[row, 0], &d_pooled[k, 0], H * sizeof(real))
                _scale(H, weight, &d_states[row, 0])
                _add_scaled(H, a, &query[0], &d_states[row, 0])
                _add_scaled(H, a, &states[row, 0], &d_query[0])
                row += 1
        restore_denormals(mode)


cdef int _check_pooling(
    const Py_ssize_t* states, const Py_ssize_t[::1] batch_sizes, const Py_ssize_t* pooled
) except -1:
    """Raise ValueError unless states are packed so and no more sequences than are pooled."""
    _check_packed(states[0], batch_sizes)
    if batch_sizes[0] > pooled[0] or states[1] != pooled[1] or states[1] == 0:
        raise ValueError("states and what is pooled must be (N, H) and (B, H)")
    return 0
