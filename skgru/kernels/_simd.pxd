"""The vectors of simd.h, and products of any size made of its blocks."""

cdef extern from "simd.h" nogil:
    ctypedef double real                    # float or double, as the module was built
    ctypedef double vec                     # LANES of them
    const int LANES, PANEL, BLOCK
    ctypedef struct term:
        const real* a
        const real* panel
        Py_ssize_t depth, row_stride, k_stride
    vec zeros()
    vec load(const real* p)
    void store(real* p, vec v)
    vec load_part(const real* p, Py_ssize_t n)
    void store_part(real* p, vec v, Py_ssize_t n)
    vec sigmoid(vec x)
    vec tangent(vec x)
    vec rectified(vec x)
    vec step(vec x)
    vec divide(vec x, vec y)
    vec square_root(vec x)
    double sum(vec x)
    void block(int rows, Py_ssize_t columns, const term* terms, int n_terms,
               const real* c0, Py_ssize_t c0_stride, real* c, Py_ssize_t c_stride)
    Py_ssize_t block_of_one_row(Py_ssize_t columns, const term* terms, int n_terms,
                                const real* c0, real* c)
    unsigned long long flush_denormals()
    void restore_denormals(unsigned long long mode)


cdef inline vec get(const real* p, Py_ssize_t n) noexcept nogil:
    """Read the first n numbers at p; n is LANES but at the end of a row."""
    return load(p) if n == LANES else load_part(p, n)


cdef inline void put(real* p, vec v, Py_ssize_t n) noexcept nogil:
    """Write the first n numbers of v to p."""
    if n == LANES:
        store(p, v)
    else:
        store_part(p, v, n)


cdef enum:
    MAX_TERMS = 4                           # of a sum of products
    LINE = 64                               # bytes of a line of the cache
    PANEL_BYTES = 24 * 1024                 # of the first-level cache, for panels


cdef inline Py_ssize_t in_lines(Py_ssize_t n) noexcept nogil:
    """Round a count of numbers up to whole lines of the cache."""
    cdef Py_ssize_t numbers = LINE // sizeof(real)
    return (n + numbers - 1) // numbers * numbers


cdef inline real* first_line(void* memory) noexcept nogil:
    """Find the first line of the cache in memory with room for one more: no vector spans two."""
    return <real*>((<size_t>memory + LINE - 1) // LINE * LINE)


cdef inline Py_ssize_t packed_size(Py_ssize_t depth, Py_ssize_t columns) noexcept nogil:
    """Count the numbers that `pack` writes, in whole lines."""
    return in_lines(depth * ((columns + LANES - 1) // LANES * LANES))


cdef inline void pack(
    const real* matrix, Py_ssize_t k_stride, Py_ssize_t column_stride,
    Py_ssize_t depth, Py_ssize_t columns, real* panels,
) noexcept nogil:
    """Copy a matrix (depth, columns) panel after panel, each (depth, PANEL) without gaps.

    The last panel is as many vectors wide as it needs, its missing columns are 0.
    """
    cdef:
        Py_ssize_t first, width, k, j
        const real* row
    first = 0
    while first < columns:
        width = min(<Py_ssize_t>PANEL, columns - first)
        for k in range(depth):
            row = matrix + k * k_stride + first * column_stride
            if column_stride == 1:
                j = 0
                while j < width:
                    store(panels, get(row + j, min(<Py_ssize_t>LANES, width - j)))
                    panels += LANES
                    j += LANES
            else:
                for j in range(width):
                    panels[j] = row[j * column_stride]
                panels += width
                for j in range((LANES - 1) - (width - 1) % LANES):
                    panels[j] = 0
                panels += (LANES - 1) - (width - 1) % LANES
        first += PANEL


cdef inline void multiply(
    Py_ssize_t rows, Py_ssize_t columns, const term* factors, int n_factors,
    const real* c0, Py_ssize_t c0_stride, real* c, Py_ssize_t c_stride,
) noexcept nogil:
    """C (rows, columns) = C0 + the sum of the factors' products, their panels all packed.

    C0 may be C, or NULL for 0; with c0_stride 0 it is one row for all. A panel stays in the
    first-level cache while the rows pass by, in blocks as equal as can be; the panels of several
    factors do so together if there is room, else one after the other. A row's bits are the same
    whatever the number of rows.
    """
    cdef:
        term[MAX_TERMS] terms
        Py_ssize_t first, width, row, depth = 0
        Py_ssize_t n_blocks, done
        int n_rows, i
    for i in range(n_factors):
        depth += factors[i].depth
    if n_factors > 1 and depth * PANEL * <Py_ssize_t>sizeof(real) > PANEL_BYTES:
        for i in range(n_factors):
            multiply(rows, columns, factors + i, 1, c0, c0_stride, c, c_stride)
            c0 = c
            c0_stride = c_stride
        return
    for i in range(n_factors):
        terms[i] = factors[i]
    first = 0
    while first < columns:
        width = min(<Py_ssize_t>PANEL, columns - first)
        for i in range(n_factors):
            terms[i].panel = factors[i].panel + first * factors[i].depth
        if rows == 1:
            done = block_of_one_row(columns - first, terms, n_factors,
                                    c0 + first if c0 != NULL else NULL, c + first)
            if done:
                first += done
                continue
        row = 0
        n_blocks = (rows + BLOCK - 1) // BLOCK
        while row < rows:
            n_rows = <int>((rows - row + n_blocks - 1) // n_blocks)
            for i in range(n_factors):
                terms[i].a = factors[i].a + row * factors[i].row_stride
            block(n_rows, width, terms, n_factors,
                  c0 + row * c0_stride + first if c0 != NULL else NULL, c0_stride,
                  c + row * c_stride + first, c_stride)
            row += n_rows
            n_blocks -= 1
        first += PANEL


cdef struct transposed:
    const real* a                           # (depth, rows), to be transposed
    Py_ssize_t rows, a_stride
    real* c                                 # (rows, columns)


cdef inline void add_transposed(
    Py_ssize_t depth, Py_ssize_t columns, const real* b, Py_ssize_t b_stride,
    const transposed* factors, int n_factors, Py_ssize_t c_stride, real* panel,
) noexcept nogil:
    """C += Aᵀ B of each factor, with one B (depth, columns); `panel` has room for a panel of B."""
    cdef:
        term factor
        Py_ssize_t first = 0, width
        int i
        real* c
    while first < columns:
        width = min(<Py_ssize_t>PANEL, columns - first)
        pack(b + first, b_stride, 1, depth, width, panel)
        for i in range(n_factors):
            factor = term(factors[i].a, panel, depth, 1, factors[i].a_stride)
            c = factors[i].c + first
            multiply(factors[i].rows, width, &factor, 1, c, c_stride, c, c_stride)
        first += PANEL
