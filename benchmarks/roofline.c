/* The parts of a training step by themselves, with the vectors and the blocks of the kernels. */
#include "matmul.h"

#define EXPORT __attribute__((visibility("default")))

/* Multiply and add n times BLOCK * PANEL numbers in registers; return their sum, lest the compiler
 * should leave it out. */
EXPORT double multiply_adds(ptrdiff_t n, double factor)
{
    vec total[BLOCK][2], sum = zeros(), x = zeros() + (real)factor;
    UNROLL for (int i = 0; i < BLOCK; i++)
        UNROLL for (int v = 0; v < 2; v++)
            total[i][v] = zeros() + (real)(2 * i + v); /* all different: equal sums would be one */
    for (; n > 0; n--)
        UNROLL for (int i = 0; i < BLOCK; i++)
            UNROLL for (int v = 0; v < 2; v++)
                total[i][v] = total[i][v] * x + x;
    UNROLL for (int i = 0; i < BLOCK; i++)
        UNROLL for (int v = 0; v < 2; v++)
            sum += total[i][v];
    return sum_lanes(sum);
}

EXPORT int numbers_at_a_time(void)
{
    return BLOCK * PANEL;
}

/* so many times: c (rows, columns) = a (rows, depth), or the transpose of a (depth, rows), times
 * packed panels */
EXPORT void matrix_products(ptrdiff_t times, ptrdiff_t rows, ptrdiff_t depth, ptrdiff_t columns,
                            int is_transposed, const real *a, const real *panels, real *c)
{
    const ptrdiff_t row_stride = is_transposed ? 1 : depth, k_stride = is_transposed ? rows : 1;
    for (; times > 0; times--)
        for (ptrdiff_t j = 0; j < columns; j += PANEL) {
            const ptrdiff_t width = columns - j < PANEL ? columns - j : PANEL;
            ptrdiff_t n_blocks = (rows + BLOCK - 1) / BLOCK;
            for (ptrdiff_t i = 0; i < rows; n_blocks--) {
                const ptrdiff_t n = (rows - i + n_blocks - 1) / n_blocks;
                const Product product = {a + i * row_stride, panels + j * depth, depth, row_stride,
                                         k_stride};
                matmul_block((int)n, width, &product, 1, NULL, 0, c + i * columns + j, columns);
                i += n;
            }
        }
}

/* σ of 2 n numbers and tanh of n, with x and y in the cache */
EXPORT void activations(ptrdiff_t n, const real *x, real *y)
{
    enum { CHUNK = 1024 };
    for (ptrdiff_t first = 0; first < n; first += CHUNK)
        for (ptrdiff_t i = 0; i < CHUNK && first + i < n; i += LANES) {
            const vec v = load_vector(x + i);
            store_vector(y + i, sigmoid(v));
            store_vector(y + CHUNK + i, sigmoid(-v));
            store_vector(y + 2 * CHUNK + i, vec_tanh(v));
        }
}
