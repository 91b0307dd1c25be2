"""What an update does to the flat vectors, each in one pass: the gradient, and the optimizers."""


def penalized_gradient(
    const real[:, ::1] parts,                # IN   (S, P)    to be summed in this order
    const real[::1] parameters,              # IN   (P,)
    Py_ssize_t n_weights,                    # IN   the first of the parameters are penalized
    double decay,
    real[::1] gradient,                      # OUT  (P,)      Σ parts + decay * weights
):
    """Return the L2 norm of the gradient and the squared one of the weights."""
    cdef:
        Py_ssize_t S = parts.shape[0], P = parameters.shape[0], i = 0, end, n, s
        unsigned long long mode
        double gradient_square = 0, weight_square = 0
        vec total, weights, gradient_squares, weight_squares
    if parts.shape[1] != P or gradient.shape[0] != P or not 0 <= n_weights <= P or S == 0:
        raise ValueError("parts, parameters and gradient must be (S, P), (P,) and (P,)")
    with nogil:
        mode = flush_denormals()
        while i < P:
            # vectors hold weights or biases; their squares are summed in double now and then
            end = min(i + 32 * LANES, n_weights if i < n_weights else P)
            gradient_squares = zeros()
            weight_squares = zeros()
            while i < end:
                n = min(<Py_ssize_t>LANES, end - i)
                total = get(&parts[0, i], n)
                for s in range(1, S):
                    total = total + get(&parts[s, i], n)
                if i < n_weights:
                    weights = get(&parameters[i], n)
                    total = total + <real>decay * weights
                    weight_squares = weight_squares + weights * weights
                put(&gradient[i], total, n)
                gradient_squares = gradient_squares + total * total
                i += n
            gradient_square += sum(gradient_squares)
            weight_square += sum(weight_squares)
        restore_denormals(mode)
    return sqrt(gradient_square), weight_square


def adam(
    real[::1] parameters,                    # INOUT (P,)
    const real[::1] gradient,                # IN   (P,)
    real[::1] mean,                          # INOUT (P,)
    real[::1] variance,                      # INOUT (P,)
    double scale,                            # IN   of the gradient
    double step,                             # IN   learning rate and bias corrections
    double beta_1,
    double beta_2,
    double epsilon,
):
    """mean ← β₁ mean + (1-β₁) g, variance ← β₂ variance + (1-β₂) g², and the step against them."""
    cdef:
        Py_ssize_t P = parameters.shape[0], i = 0, n
        unsigned long long mode
        vec g, m, v
    if gradient.shape[0] != P or mean.shape[0] != P or variance.shape[0] != P:
        raise ValueError("all vectors must have the length of the parameters")
    with nogil:
        mode = flush_denormals()
        while i < P:
            n = min(<Py_ssize_t>LANES, P - i)
            g = <real>scale * get(&gradient[i], n)
            m = get(&mean[i], n)
            v = get(&variance[i], n)
            m = m + <real>(1 - beta_1) * (g - m)
            v = v + <real>(1 - beta_2) * (g * g - v)
            put(&mean[i], m, n)
            put(&variance[i], v, n)
            m = divide(<real>step * m, square_root(v) + <real>epsilon)
            put(&parameters[i], get(&parameters[i], n) - m, n)
            i += LANES
        restore_denormals(mode)


def sgd(
    real[::1] parameters,                    # INOUT (P,)
    const real[::1] gradient,                # IN   (P,)
    real[::1] velocity,                      # INOUT (P,)
    double step,                             # IN   learning rate, times the gradient's scale
    double momentum,
    bint nesterovs_momentum,
):
    """velocity ← momentum velocity - step g, and the move along it."""
    cdef:
        Py_ssize_t P = parameters.shape[0], i = 0, n
        unsigned long long mode
        vec g, v
    if gradient.shape[0] != P or velocity.shape[0] != P:
        raise ValueError("all vectors must have the length of the parameters")
    with nogil:
        mode = flush_denormals()
        while i < P:
            n = min(<Py_ssize_t>LANES, P - i)
            g = <real>step * get(&gradient[i], n)
            v = <real>momentum * get(&velocity[i], n) - g
            put(&velocity[i], v, n)
            if nesterovs_momentum:
                v = <real>momentum * v - g
            put(&parameters[i], get(&parameters[i], n) + v, n)
            i += LANES
        restore_denormals(mode)
