/* Products of matrices, a block of the result at a time in registers.
 *
 * The loops over blocks are in _simd.pxd.
 */
#ifndef SKGRU_MATMUL_H
#define SKGRU_MATMUL_H

#include "simd.h"

/* A product A B: Σ_k a[i, k] panel[k, j]. In a (rows, depth), rows are `row_stride` and columns
 * `k_stride` numbers apart; panel (depth, columns) is contiguous. */
typedef struct {
    const real *a, *panel;
    ptrdiff_t depth, row_stride, k_stride;
} Product;

#if defined(SKGRU_VECTORS) && SKGRU_VECTOR_BYTES == 64 && defined(__AVX512F__)
#define HALVES 1 /* processors do more operations on halves of these vectors per cycle */
#else
#define HALVES 0
#endif

/* total + a * b, of which only the first LANES / 2 numbers matter if is_half. Where there is an
 * instruction for it, which rounds once, it is named: left to a compiler, one block might use it and
 * another not, and a row would have other bits among other rows. */
INLINE vec multiply_add(vec total, real a, vec b, const int is_half)
{
#if HALVES
    if (is_half)
        return SKGRU_IS_DOUBLE
                   ? (vec)_mm512_castpd256_pd512(_mm256_fmadd_pd(
                         _mm256_set1_pd(a), _mm512_castpd512_pd256((__m512d)b),
                         _mm512_castpd512_pd256((__m512d)total)))
                   : (vec)_mm512_castps256_ps512(_mm256_fmadd_ps(
                         _mm256_set1_ps((float)a), _mm512_castps512_ps256((__m512)b),
                         _mm512_castps512_ps256((__m512)total)));
#else
    (void)is_half;
#endif
#if defined(SKGRU_VECTORS) && SKGRU_VECTOR_BYTES == 64 && defined(__AVX512F__)
    return SKGRU_IS_DOUBLE
               ? (vec)_mm512_fmadd_pd(_mm512_set1_pd(a), (__m512d)b, (__m512d)total)
               : (vec)_mm512_fmadd_ps(_mm512_set1_ps((float)a), (__m512)b, (__m512)total);
#elif defined(SKGRU_VECTORS) && SKGRU_VECTOR_BYTES == 32 && defined(__FMA__)
    return SKGRU_IS_DOUBLE
               ? (vec)_mm256_fmadd_pd(_mm256_set1_pd(a), (__m256d)b, (__m256d)total)
               : (vec)_mm256_fmadd_ps(_mm256_set1_ps((float)a), (__m256)b, (__m256)total);
#elif defined(SKGRU_VECTORS) && SKGRU_VECTOR_BYTES == 16 && defined(__aarch64__)
    return SKGRU_IS_DOUBLE
               ? (vec)vfmaq_f64((float64x2_t)total, vdupq_n_f64(a), (float64x2_t)b)
               : (vec)vfmaq_f32((float32x4_t)total, vdupq_n_f32((float)a), (float32x4_t)b);
#elif !defined(SKGRU_VECTORS) && defined(__FP_FAST_FMA) && defined(__FP_FAST_FMAF)
    return SKGRU_IS_DOUBLE ? (real)fma(a, b, total) : (real)fmaf((float)a, (float)b, (float)total);
#else
    return total + a * b;
#endif
}

/* c (rows, columns) = c0 (NULL: 0) + the sum of the products; columns <= width, which is PANEL,
 * LANES or LANES / 2. Each number is a sum in the order of k whatever the number of rows: the
 * bits of a row do not depend on the other rows. */
INLINE void matmul_unrolled(const int rows, const int width, const ptrdiff_t columns,
                            const Product *products, const int n_products, const real *c0,
                            ptrdiff_t c0_stride, real *c, ptrdiff_t c_stride)
{
    const int n_vecs = width > LANES ? 2 : 1;
    vec total[BLOCK][2];
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < n_vecs; v++)
            total[i][v] = zeros();
    for (int t = 0; t < n_products; t++) {
        const real *a = products[t].a, *panel = products[t].panel;
        const ptrdiff_t row_stride = products[t].row_stride, k_stride = products[t].k_stride;
        for (ptrdiff_t k = products[t].depth; k > 0; k--) {
            vec b[2];
            UNROLL for (int v = 0; v < n_vecs; v++)
                b[v] = load_vector(panel + v * LANES);
            UNROLL for (int i = 0; i < rows; i++)
                UNROLL for (int v = 0; v < n_vecs; v++)
                    total[i][v] = multiply_add(total[i][v], a[i * row_stride], b[v], width < LANES);
            a += k_stride;
            panel += n_vecs * LANES;
        }
    }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < n_vecs; v++) {
            const ptrdiff_t j = v * LANES, n = v + 1 < n_vecs ? (ptrdiff_t)LANES : columns - j;
            store(c + i * c_stride + j,
                  c0 ? load(c0 + i * c0_stride + j, n) + total[i][v] : total[i][v], n);
        }
}

/* c (rows, columns) = c0 + the products; rows <= BLOCK, columns <= PANEL */
static void matmul_block(int rows, ptrdiff_t columns, const Product *products, int n_products,
                         const real *c0, ptrdiff_t c0_stride, real *c, ptrdiff_t c_stride)
{
#define WIDTH(rows, width, columns) \
    matmul_unrolled(rows, width, columns, products, n_products, c0, c0_stride, c, c_stride)
#define CASE(rows) \
    case rows: \
        if (columns == PANEL) \
            WIDTH(rows, PANEL, PANEL); \
        else if (columns > LANES) \
            WIDTH(rows, PANEL, columns); \
        else if (!HALVES || columns > LANES / 2) \
            WIDTH(rows, LANES, columns); \
        else \
            WIDTH(rows, LANES / 2, columns); \
        break;
    switch (rows) {
        CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#if defined(__AVX512F__) || defined(__aarch64__)
        CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#endif
    }
#undef CASE
#undef WIDTH
}

/* The same for one row and several consecutive panels: with one panel there would be too few
 * independent sums, and each addition would wait for the one before. */
INLINE void matmul_panels(const int n_panels, const Product *products, const int n_products,
                          const real *c0, real *c)
{
    vec total[4][2];
    UNROLL for (int p = 0; p < n_panels; p++)
        UNROLL for (int v = 0; v < 2; v++)
            total[p][v] = zeros();
    for (int t = 0; t < n_products; t++) {
        const real *a = products[t].a, *panel = products[t].panel;
        const ptrdiff_t k_stride = products[t].k_stride, depth = products[t].depth;
        for (ptrdiff_t k = depth; k > 0; k--) {
            UNROLL for (int p = 0; p < n_panels; p++)
                UNROLL for (int v = 0; v < 2; v++)
                    total[p][v] = multiply_add(
                        total[p][v], *a, load_vector(panel + p * depth * PANEL + v * LANES), 0);
            a += k_stride;
            panel += PANEL;
        }
    }
    UNROLL for (int p = 0; p < n_panels; p++)
        UNROLL for (int v = 0; v < 2; v++) {
            const ptrdiff_t j = p * PANEL + v * LANES;
            store_vector(c + j, c0 ? load_vector(c0 + j) + total[p][v] : total[p][v]);
        }
}

/* c (1, columns) = c0 + the products, for the first columns; return how many, 0 if fewer than
 * 2 PANEL are left */
static ptrdiff_t matmul_one_row(ptrdiff_t columns, const Product *products, int n_products,
                                const real *c0, real *c)
{
    if (columns >= 4 * PANEL) {
        matmul_panels(4, products, n_products, c0, c);
        return 4 * PANEL;
    }
    if (columns >= 2 * PANEL) {
        matmul_panels(2, products, n_products, c0, c);
        return 2 * PANEL;
    }
    return 0;
}

#endif
