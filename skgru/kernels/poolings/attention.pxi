"""Attention with one learned query q: Σ_t α_t h_t with α_t = softmax_t(h_t · q).

The softmax is computed online, relative to the highest score so far (Milakov & Gimelshein 2018,
arXiv:1805.02867): pooled = total / norm at the end.

Streaming state: total (H), highest score (1), norm (1).
"""


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


cdef void _attention_step(
    Py_ssize_t H, const real* h, const real* query, real* state, real* pooled
) noexcept nogil:
    """Add a state; write the weighted mean so far."""
    cdef:
        Py_ssize_t i
        real* highest = state + H
        real* norm = state + H + 1
        real total_weight
    if norm[0] == 0:  # the first step
        highest[0] = -INFINITY
    _attend(H, h, query, highest, norm, state)
    total_weight = norm[0]
    for i in range(H):
        pooled[i] = state[i] / total_weight


_add_pooling("attention", Pooling(n_vectors=1, n_numbers=2, has_query=True, step=_attention_step))
