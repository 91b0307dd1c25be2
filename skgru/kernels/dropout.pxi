"""Dropout whose mask is a function of a seed, so that neither it nor a generator is kept.

Uses no other .pxi file.
"""


def dropout(
    const real[:, ::1] x,                    # IN   (n, D)
    unsigned long long seed,
    double rate,                             # IN   in [0, 1)   of the numbers that become 0
    real[:, ::1] y,                          # OUT  (n, D)    may be x
):
    """Set numbers to 0 at random and divide the others by (1 - rate).

    Whether number i is kept is a hash of seed and i: two rounds of the 32-bit finalizer "lowbias32"
    (C. Wellons). The backward pass calls it with the same seed and so gets the same mask.
    """
    if not 0 <= rate < 1:
        raise ValueError("rate must be in [0, 1)")
    if (x.shape[0] == 0 or x.shape[1] == 0 or y.shape[0] != x.shape[0]
            or y.shape[1] != x.shape[1]):
        raise ValueError("x and y must be (n, D)")
    with nogil:
        _dropout(x.shape[0] * x.shape[1], &x[0, 0], seed, rate, &y[0, 0])


cdef void _dropout(
    Py_ssize_t size, const real* x, unsigned long long seed, double rate, real* y
) noexcept nogil:
    """Set some of `size` numbers to 0 and divide the others by (1 - rate)."""
    cdef:
        Py_ssize_t first = 0, i, n
        unsigned int[256] bits
        unsigned int key, second_key, threshold = <unsigned int>(rate * 4294967296.0)
        real scale = <real>(1 / (1 - rate))
    # splitmix64 (Steele et al. 2014): neighbouring seeds get unrelated keys
    seed = (seed + 1) * 0x9E3779B97F4A7C15u
    seed = (seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9u
    seed = (seed ^ (seed >> 27)) * 0x94D049BB133111EBu
    seed ^= seed >> 31
    key = <unsigned int>seed
    second_key = <unsigned int>(seed >> 32)
    while first < size:
        n = min(<Py_ssize_t>256, size - first)
        for i in range(256):
            bits[i] = _hash(<unsigned int>(first + i) + key, second_key)
        for i in range(n):
            y[first + i] = x[first + i] * scale if bits[i] >= threshold else 0
        first += n


cdef inline unsigned int _hash(unsigned int x, unsigned int key) noexcept nogil:
    """Hash 32 bits, with a key between the two rounds."""
    x ^= x >> 16
    x *= 0x7FEB352Du
    x ^= x >> 15
    x ^= key
    x *= 0x846CA68Bu
    x ^= x >> 16
    x *= 0x7FEB352Du
    x ^= x >> 15
    return x
