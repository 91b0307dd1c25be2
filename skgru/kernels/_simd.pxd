"""The vectors of simd.h, and matrix products of any size from the blocks of matmul.h.

Matrices are C = C0 + A B, of shapes (rows, columns), (rows, depth) and (depth, columns). B is
packed in *panels*: PANEL columns at a time, each panel (depth, PANEL) without gaps.
"""

cdef extern from "simd.h" nogil:
    ctypedef double real                    # float or double, as the module was built
    ctypedef double vec                     # LANES of them
    const int LANES, PANEL, BLOCK
    vec zeros()
    void store_vector(real* p, vec v)
    vec load(const real* p, Py_ssize_t n)
    void store(real* p, vec v, Py_ssize_t n)
    void prefetch(const real* p, Py_ssize_t n)
    vec sigmoid(vec x)
    vec tanh "vec_tanh"(vec x)              # tanh is a function of the C library
    vec clamp(vec x, real bound)
    vec exponential(vec x, vec* power)
    vec relu(vec x)
    vec heaviside(vec x)
    vec divide(vec x, vec y)
    vec square_root(vec x)
    double sum_lanes(vec x)
    unsigned long long flush_denormals()
    void restore_denormals(unsigned long long mode)

cdef extern from "matmul.h" nogil:
    ctypedef struct Product:
        const real* a
        const real* panel
        Py_ssize_t depth, row_stride, k_stride
    void matmul_block(
        int rows, Py_ssize_t columns, const Product* products, int n_products,
        const real* c0, Py_ssize_t c0_stride, real* c, Py_ssize_t c_stride)
    Py_ssize_t matmul_one_row(
        Py_ssize_t columns, const Product* products, int n_products, const real* c0, real* c)


cdef enum:
    MAX_PRODUCTS = 4                        # in the sum that one `matmul` computes
    CACHE_LINE_BYTES = 64
    MAX_PANEL_BYTES = 24 * 1024             # the part of the first-level cache for panels


cdef inline Py_ssize_t round_to_cache_line(Py_ssize_t n) noexcept nogil:
    """Round a count of numbers up to whole cache lines."""
    cdef Py_ssize_t numbers = CACHE_LINE_BYTES // sizeof(real)
    return (n + numbers - 1) // numbers * numbers


cdef inline real* align_to_cache_line(void* memory) noexcept nogil:
    """Return the first cache line in memory, so that no vector spans two; it costs up to one."""
    return <real*>((<size_t>memory + CACHE_LINE_BYTES - 1) // CACHE_LINE_BYTES * CACHE_LINE_BYTES)


cdef inline Py_ssize_t panels_size(Py_ssize_t depth, Py_ssize_t columns) noexcept nogil:
    """Return how many numbers `pack_panels` writes, rounded up to whole cache lines."""
    return round_to_cache_line(depth * ((columns + LANES - 1) // LANES * LANES))


cdef inline void pack_panels(
    const real* matrix, Py_ssize_t k_stride, Py_ssize_t column_stride,
    Py_ssize_t depth, Py_ssize_t columns, real* panels,
) noexcept nogil:
    """Copy a matrix (depth, columns) into panels.

    The last panel has as many vectors as it needs; its missing columns are 0.
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
                    store_vector(panels, load(row + j, min(<Py_ssize_t>LANES, width - j)))
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


cdef inline void matmul(
    Py_ssize_t rows, Py_ssize_t columns, const Product* products, int n_products,
    const real* c0, Py_ssize_t c0_stride, real* c, Py_ssize_t c_stride,
) noexcept nogil:
    """Compute C = C0 + the sum of products, whose B are all packed in panels.

    C0 may be C, or NULL for 0; with c0_stride 0 it is one row for all. A panel stays in the
    first-level cache while all rows are multiplied by it, in blocks of nearly equal size. The
    panels of several products do so together if they fit, else one after the other. A row gets the
    same bits whatever the number of rows.
    """
    cdef:
        Product[MAX_PRODUCTS] parts
        Py_ssize_t first, width, row, depth = 0
        Py_ssize_t n_blocks, done
        int n_rows, i
    for i in range(n_products):
        depth += products[i].depth
    if n_products > 1 and depth * PANEL * <Py_ssize_t>sizeof(real) > MAX_PANEL_BYTES:
        for i in range(n_products):
            matmul(rows, columns, products + i, 1, c0, c0_stride, c, c_stride)
            c0 = c
            c0_stride = c_stride
        return
    for i in range(n_products):
        parts[i] = products[i]
    first = 0
    while first < columns:
        width = min(<Py_ssize_t>PANEL, columns - first)
        for i in range(n_products):
            parts[i].panel = products[i].panel + first * products[i].depth
        if rows == 1:
            done = matmul_one_row(columns - first, parts, n_products,
                                  c0 + first if c0 != NULL else NULL, c + first)
            if done:
                first += done
                continue
        row = 0
        n_blocks = (rows + BLOCK - 1) // BLOCK
        while row < rows:
            n_rows = <int>((rows - row + n_blocks - 1) // n_blocks)
            for i in range(n_products):
                parts[i].a = products[i].a + row * products[i].row_stride
            matmul_block(n_rows, width, parts, n_products,
                         c0 + row * c0_stride + first if c0 != NULL else NULL, c0_stride,
                         c + row * c_stride + first, c_stride)
            row += n_rows
            n_blocks -= 1
        first += PANEL


cdef struct TransposedProduct:
    const real* a                           # (depth, rows), to be transposed
    Py_ssize_t rows, a_stride
    real* c                                 # (rows, columns)


cdef inline void add_transposed_matmul(
    Py_ssize_t depth, Py_ssize_t columns, const real* b, Py_ssize_t b_stride,
    const TransposedProduct* products, int n_products, Py_ssize_t c_stride, real* panel,
) noexcept nogil:
    """Add Aᵀ B to C for each product, with one B (depth, columns) for all.

    `panel` is a workspace of depth * PANEL numbers.
    """
    cdef:
        Product product
        Py_ssize_t first = 0, width
        int i
        real* c
    while first < columns:
        width = min(<Py_ssize_t>PANEL, columns - first)
        pack_panels(b + first, b_stride, 1, depth, width, panel)
        for i in range(n_products):
            product = Product(products[i].a, panel, depth, 1, products[i].a_stride)
            c = products[i].c + first
            matmul(products[i].rows, width, &product, 1, c, c_stride, c, c_stride)
        first += PANEL
