"""Attention with a learned query q: the sum over t of α_t h_t, where α = softmax of h_t · q over t.

Uses pooling.pxi and vectors.pxi.

The softmax is computed online, relative to the maximum score so far (Milakov & Gimelshein 2018,
arXiv:1805.02867). The result is total / norm.

Streaming state: total (H), maximum score (1), norm (1).
"""


def attention_forward(
    const real[:, ::1] states,               # IN   (N, H)
    const Py_ssize_t[::1] batch_sizes,       # IN   (T,)
    const real[::1] query,                   # IN   (H,)
    real[::1] scores,                        # OUT  (N,)      h_t · q
    real[::1] highest,                       # INOUT (B,)     maximum score, at first -inf
    real[::1] norm,                          # INOUT (B,)     Σ exp(score - highest)
    real[:, ::1] total,                      # INOUT (B, H)   Σ exp(score - highest) h
):
    """Add the states of each sequence, weighted by the exponentials of their scores."""
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
    """Add h to total, weighted by the exponential of its score; return the score."""
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
    real[::1] d_query,                       # INOUT (H,)     the gradient is added
):
    """Compute the gradients of the states and of the query.

    With d = ∂L/∂pooled and the score s_t = h_t · q:

        ∂L/∂s_t = α_t d · (h_t - pooled)
        ∂L/∂h_t = α_t d + ∂L/∂s_t q
        ∂L/∂q = Σ_t ∂L/∂s_t h_t
    """
    cdef:
        Py_ssize_t t, k, N = states.shape[0], H = states.shape[1], B = pooled.shape[0], row = 0
        unsigned long long mode
        real score, d_score, alpha
    _check_pooling(states.shape, batch_sizes, pooled.shape)
    if (query.shape[0] != H or d_query.shape[0] != H or highest.shape[0] != B
            or norm.shape[0] != B or d_pooled.shape[0] != B or d_pooled.shape[1] != H
            or d_states.shape[0] != N or d_states.shape[1] != H):
        raise ValueError("the shapes of the arrays do not fit together")
    with nogil:
        mode = flush_denormals()
        for t in range(batch_sizes.shape[0]):
            for k in range(batch_sizes[t]):
                score = _dot(H, &states[row, 0], &query[0])
                alpha = <real>exp(score - highest[k]) / norm[k]
                d_score = alpha * (_dot(H, &d_pooled[k, 0], &states[row, 0])
                                   - _dot(H, &d_pooled[k, 0], &pooled[k, 0]))
                memcpy(&d_states[row, 0], &d_pooled[k, 0], H * sizeof(real))
                _scale(H, alpha, &d_states[row, 0])
                _add_scaled(H, d_score, &query[0], &d_states[row, 0])
                _add_scaled(H, d_score, &states[row, 0], &d_query[0])
                row += 1
        restore_denormals(mode)


cdef void _attention_step(
    Py_ssize_t H, const real* h, const real* query, real* state, real* pooled
) noexcept nogil:
    """Add h; write the weighted mean so far."""
    cdef:
        Py_ssize_t i
        real* highest = state + H
        real* norm = state + H + 1
        real denominator
    if norm[0] == 0:  # the first step
        highest[0] = -INFINITY
    _attend(H, h, query, highest, norm, state)
    denominator = norm[0]
    for i in range(H):
        pooled[i] = state[i] / denominator


_add_pooling("attention", Pooling(n_vectors=1, n_numbers=2, has_query=True, step=_attention_step))
