"""Row-major matrix products through the BLAS that SciPy carries."""

from scipy.linalg.cython_blas cimport dgemm, sgemm

ctypedef fused real:
    float
    double


cdef inline void gemm(
    bint transpose_a, bint transpose_b, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
    const real* a, Py_ssize_t lda, const real* b, Py_ssize_t ldb,
    real beta, real* c, Py_ssize_t ldc,
) noexcept nogil:
    """C (m, n) = A (m, k) B (k, n) + beta C; ``ld*``: the columns of a full row of each array.

    With ``transpose_a`` the array at ``a`` is (k, m), with ``transpose_b`` that at ``b`` (n, k).
    """
    # BLAS reads columns first, and sees Cᵀ = Bᵀ Aᵀ in the same memory.
    cdef:
        char ta = b'T' if transpose_a else b'N'
        char tb = b'T' if transpose_b else b'N'
        int rows = <int>m, columns = <int>n, depth = <int>k
        int ld_a = <int>lda, ld_b = <int>ldb, ld_c = <int>ldc
        real one = 1
    if real is float:
        sgemm(&tb, &ta, &columns, &rows, &depth, &one, <float*>b, &ld_b, <float*>a, &ld_a,
              &beta, c, &ld_c)
    else:
        dgemm(&tb, &ta, &columns, &rows, &depth, &one, <double*>b, &ld_b, <double*>a, &ld_a,
              &beta, c, &ld_c)
