"""Updates of the flat parameter vector: the gradient with its penalty, and the optimizers.

Uses no other .pxi file. Each kernel makes one pass over the segments [start, stop) of the vectors
that take part: all but the rows of tables whose categories the minibatch lacks. Numbers outside of
the segments are neither read nor written.
"""


def clear(
    real[:, ::1] parts,                      # INOUT (n_parts, n_parameters)
    const Py_ssize_t[:, ::1] segments,       # IN   (n, 2)
):
    """Set the segments of every part to zero."""
    cdef Py_ssize_t part, segment
    _check_segments(segments, parts.shape[1])
    with nogil:
        for part in range(parts.shape[0]):
            for segment in range(segments.shape[0]):
                memset(&parts[part, 0] + segments[segment, 0], 0,
                       (segments[segment, 1] - segments[segment, 0]) * sizeof(real))


def penalized_gradient(
    const real[:, ::1] parts,                # IN   (n_parts, n_parameters)  summed in this order
    const real[::1] parameters,              # IN   (n_parameters,)
    Py_ssize_t n_weights,                    # IN   number of parameters, the first, with a penalty
    double decay,
    const Py_ssize_t[:, ::1] segments,       # IN   (n, 2)   in ascending order
    real[::1] gradient,                      # OUT  (n_parameters,)  Σ parts + decay * weights
):
    """Compute the gradient; return its L2 norm and the squared L2 norm of the weights."""
    cdef:
        Py_ssize_t n_parts = parts.shape[0], n_parameters = parameters.shape[0]
        Py_ssize_t i, stop, end, n, part, segment
        unsigned long long mode
        double gradient_square = 0, weight_square = 0
        vec total, weights, gradient_squares, weight_squares
    if (n_parts == 0 or parts.shape[1] != n_parameters or gradient.shape[0] != n_parameters
            or not 0 <= n_weights <= n_parameters):
        raise ValueError("parts, parameters and gradient must be (n_parts, n_parameters), "
                         "(n_parameters,) and (n_parameters,)")
    _check_segments(segments, n_parameters)
    with nogil:
        mode = flush_denormals()
        for segment in range(segments.shape[0]):
            i = segments[segment, 0]
            stop = segments[segment, 1]
            while i < stop:
                # a block has weights alone, which are penalized, or biases alone; the squares of a
                # block are summed in vectors, those of all blocks in double
                end = min(i + 32 * LANES, n_weights if i < n_weights < stop else stop)
                gradient_squares = zeros()
                weight_squares = zeros()
                while i < end:
                    n = min(<Py_ssize_t>LANES, end - i)
                    total = load(&parts[0, i], n)
                    for part in range(1, n_parts):
                        total = total + load(&parts[part, i], n)
                    if i < n_weights:
                        weights = load(&parameters[i], n)
                        total = total + <real>decay * weights
                        weight_squares = weight_squares + weights * weights
                    store(&gradient[i], total, n)
                    gradient_squares = gradient_squares + total * total
                    i += n
                gradient_square += sum_lanes(gradient_squares)
                weight_square += sum_lanes(weight_squares)
        restore_denormals(mode)
    return sqrt(gradient_square), weight_square


def adam(
    real[::1] parameters,                    # INOUT (n_parameters,)
    const real[::1] gradient,                # IN   (n_parameters,)
    const Py_ssize_t[:, ::1] segments,       # IN   (n, 2)
    real[::1] mean,                          # INOUT (n_parameters,)
    real[::1] variance,                      # INOUT (n_parameters,)
    double scale,                            # IN   factor of the gradient
    double step,                             # IN   learning rate with the bias corrections
    double beta_1,
    double beta_2,
    double epsilon,
):
    """Update parameters by Adam (Kingma & Ba 2015, arXiv:1412.6980), with g = scale * gradient.

    mean ← β₁ mean + (1-β₁) g
    variance ← β₂ variance + (1-β₂) g²
    parameters ← parameters - step mean / (√variance + ε)
    """
    cdef:
        Py_ssize_t n_parameters = parameters.shape[0], i, stop, n, segment
        unsigned long long mode
        vec g, m, v
    if (gradient.shape[0] != n_parameters or mean.shape[0] != n_parameters
            or variance.shape[0] != n_parameters):
        raise ValueError("all vectors must have the length of the parameters")
    _check_segments(segments, n_parameters)
    with nogil:
        mode = flush_denormals()
        for segment in range(segments.shape[0]):
            i = segments[segment, 0]
            stop = segments[segment, 1]
            while i < stop:
                n = min(<Py_ssize_t>LANES, stop - i)
                g = <real>scale * load(&gradient[i], n)
                m = load(&mean[i], n)
                v = load(&variance[i], n)
                m = m + <real>(1 - beta_1) * (g - m)
                v = v + <real>(1 - beta_2) * (g * g - v)
                store(&mean[i], m, n)
                store(&variance[i], v, n)
                m = divide(<real>step * m, square_root(v) + <real>epsilon)
                store(&parameters[i], load(&parameters[i], n) - m, n)
                i += LANES
        restore_denormals(mode)


def sgd(
    real[::1] parameters,                    # INOUT (n_parameters,)
    const real[::1] gradient,                # IN   (n_parameters,)
    const Py_ssize_t[:, ::1] segments,       # IN   (n, 2)
    real[::1] velocity,                      # INOUT (n_parameters,)
    double step,                             # IN   learning rate times the factor of the gradient
    double momentum,
    bint nesterovs_momentum,
):
    """Update parameters by stochastic gradient descent with momentum.

    velocity ← momentum velocity - step gradient
    parameters ← parameters + velocity, or with Nesterov's momentum
    parameters ← parameters + momentum velocity - step gradient
    """
    cdef:
        Py_ssize_t n_parameters = parameters.shape[0], i, stop, n, segment
        unsigned long long mode
        vec g, v
    if gradient.shape[0] != n_parameters or velocity.shape[0] != n_parameters:
        raise ValueError("all vectors must have the length of the parameters")
    _check_segments(segments, n_parameters)
    with nogil:
        mode = flush_denormals()
        for segment in range(segments.shape[0]):
            i = segments[segment, 0]
            stop = segments[segment, 1]
            while i < stop:
                n = min(<Py_ssize_t>LANES, stop - i)
                g = <real>step * load(&gradient[i], n)
                v = <real>momentum * load(&velocity[i], n) - g
                store(&velocity[i], v, n)
                if nesterovs_momentum:
                    v = <real>momentum * v - g
                store(&parameters[i], load(&parameters[i], n) + v, n)
                i += LANES
        restore_denormals(mode)


cdef int _check_segments(const Py_ssize_t[:, ::1] segments, Py_ssize_t n_parameters) except -1:
    """Raise ValueError unless segments are parts of the vectors, one after the other."""
    cdef Py_ssize_t i, end = 0
    if segments.shape[1] != 2:
        raise ValueError("segments must be (n, 2)")
    for i in range(segments.shape[0]):
        if not end <= segments[i, 0] <= segments[i, 1] <= n_parameters:
            raise ValueError(f"segment {i} is not within the vectors, or not after the one before")
        end = segments[i, 1]
    return 0
