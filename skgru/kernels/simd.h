/* What Cython cannot express: vectors, and σ and tanh of vectors.
 *
 * The build sets SKGRU_REAL (float or double). The instruction set that it compiles for decides the
 * size of a vector: 64 bytes with AVX-512, 32 with AVX, 16 with SSE or NEON. Without the vector
 * extensions of GCC and Clang, the same code has vectors of one number.
 */
#ifndef SKGRU_SIMD_H
#define SKGRU_SIMD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) || defined(_M_X64)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

typedef SKGRU_REAL real;
#define SKGRU_IS_DOUBLE (sizeof(real) == 8)

#if (defined(__GNUC__) || defined(__clang__)) && !defined(SKGRU_PORTABLE)
#define SKGRU_VECTORS
#if defined(SKGRU_VECTOR_BYTES) /* any size works, with several registers per vector if need be */
#elif defined(__AVX512F__)
#define SKGRU_VECTOR_BYTES 64
#elif defined(__AVX__)
#define SKGRU_VECTOR_BYTES 32
#else
#define SKGRU_VECTOR_BYTES 16
#endif
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
typedef real vec __attribute__((vector_size(SKGRU_VECTOR_BYTES)));
typedef __typeof__((vec){0} < (vec){0}) ivec; /* integers as wide as the reals */
#else
#define INLINE static inline
#define UNROLL
typedef real vec;
#endif

enum {
#if defined(SKGRU_VECTORS)
    LANES = SKGRU_VECTOR_BYTES / sizeof(real),
#else
    LANES = 1,
#endif
    PANEL = 2 * LANES, /* columns of a matrix product that are computed together */
#if defined(__AVX512F__) || defined(__aarch64__)
    BLOCK = 12 /* rows that are computed together, with 32 registers */
#else
    BLOCK = 6 /* with 16 */
#endif
};

/* ---- vectors in memory ----------------------------------------------------------------------- */

INLINE vec zeros(void)
{
    return (vec){0};
}

INLINE vec load_vector(const real *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void store_vector(real *p, vec v)
{
    memcpy(p, &v, sizeof v);
}

/* Load and store the first n < LANES numbers at p; load_part gives 0 for the others. Most rows end
 * with such a part, so that masks are used where the processor has them. */
#if defined(SKGRU_VECTORS) && SKGRU_VECTOR_BYTES == 64 && defined(__AVX512F__)
INLINE vec load_part(const real *p, ptrdiff_t n)
{
    return SKGRU_IS_DOUBLE ? (vec)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p)
                           : (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
INLINE void store_part(real *p, vec v, ptrdiff_t n)
{
    if (SKGRU_IS_DOUBLE)
        _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
    else
        _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
#elif defined(SKGRU_VECTORS) && SKGRU_VECTOR_BYTES == 32 && defined(__AVX2__)
INLINE __m256i first_lanes(ptrdiff_t n)
{
    static const int32_t ones_then_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256(
        (const __m256i *)(ones_then_zeros + 8 - n * (ptrdiff_t)sizeof(real) / 4));
}
INLINE vec load_part(const real *p, ptrdiff_t n)
{
    return SKGRU_IS_DOUBLE ? (vec)_mm256_maskload_pd((const double *)p, first_lanes(n))
                           : (vec)_mm256_maskload_ps((const float *)p, first_lanes(n));
}
INLINE void store_part(real *p, vec v, ptrdiff_t n)
{
    if (SKGRU_IS_DOUBLE)
        _mm256_maskstore_pd((double *)p, first_lanes(n), (__m256d)v);
    else
        _mm256_maskstore_ps((float *)p, first_lanes(n), (__m256)v);
}
#else
INLINE vec load_part(const real *p, ptrdiff_t n)
{
    real buffer[LANES] = {0};
    for (ptrdiff_t i = 0; i < n; i++)
        buffer[i] = p[i];
    return load_vector(buffer);
}
INLINE void store_part(real *p, vec v, ptrdiff_t n)
{
    real buffer[LANES];
    store_vector(buffer, v);
    for (ptrdiff_t i = 0; i < n; i++)
        p[i] = buffer[i];
}
#endif

/* Load and store the first n <= LANES numbers at p. */
INLINE vec load(const real *p, ptrdiff_t n)
{
    return n == LANES ? load_vector(p) : load_part(p, n);
}
INLINE void store(real *p, vec v, ptrdiff_t n)
{
    if (n == LANES)
        store_vector(p, v);
    else
        store_part(p, v, n);
}

/* Start to load n numbers at p into the cache, before they are read or overwritten. */
INLINE void prefetch(const real *p, ptrdiff_t n)
{
#if defined(__GNUC__)
    for (ptrdiff_t i = 0; i < n; i += 64 / (ptrdiff_t)sizeof(real))
        __builtin_prefetch(p + i);
#else
    (void)p;
    (void)n;
#endif
}

/* ---- σ and tanh ------------------------------------------------------------------------------ */

/* max and min that return NaN where x is NaN */
#if !defined(SKGRU_VECTORS)
#define EXTREME(op, bound, x) extreme_##op(bound, x)
INLINE vec extreme_max(vec bound, vec x)
{
    return x < bound ? bound : x;
}
INLINE vec extreme_min(vec bound, vec x)
{
    return x > bound ? bound : x;
}
#elif SKGRU_VECTOR_BYTES == 64 && defined(__AVX512F__)
#define EXTREME(op, bound, x) \
    (SKGRU_IS_DOUBLE ? (vec)_mm512_##op##_pd((__m512d)(bound), (__m512d)(x)) \
                     : (vec)_mm512_##op##_ps((__m512)(bound), (__m512)(x)))
#elif SKGRU_VECTOR_BYTES == 32 && defined(__AVX__)
#define EXTREME(op, bound, x) \
    (SKGRU_IS_DOUBLE ? (vec)_mm256_##op##_pd((__m256d)(bound), (__m256d)(x)) \
                     : (vec)_mm256_##op##_ps((__m256)(bound), (__m256)(x)))
#elif SKGRU_VECTOR_BYTES == 16 && defined(__SSE2__)
#define EXTREME(op, bound, x) \
    (SKGRU_IS_DOUBLE ? (vec)_mm_##op##_pd((__m128d)(bound), (__m128d)(x)) \
                     : (vec)_mm_##op##_ps((__m128)(bound), (__m128)(x)))
#elif SKGRU_VECTOR_BYTES == 16 && defined(__aarch64__)
#define EXTREME(op, bound, x) \
    (SKGRU_IS_DOUBLE ? (vec)v##op##q_f64((float64x2_t)(bound), (float64x2_t)(x)) \
                     : (vec)v##op##q_f32((float32x4_t)(bound), (float32x4_t)(x)))
#else
#define EXTREME(op, bound, x) extreme_##op(bound, x)
INLINE vec extreme_max(vec bound, vec x)
{
    ivec below = x < bound;
    return (vec)((below & (ivec)bound) | (~below & (ivec)x));
}
INLINE vec extreme_min(vec bound, vec x)
{
    return -extreme_max(-bound, -x);
}
#endif

INLINE vec clamp(vec x, real bound)
{
    return EXTREME(min, zeros() + bound, EXTREME(max, zeros() - bound, x));
}

/* 2ⁿ, with n in the lowest bits of `shifted` as exponential() puts it there */
INLINE vec power_of_2(vec shifted)
{
#if defined(SKGRU_VECTORS)
    return (vec)(((ivec)shifted + (SKGRU_IS_DOUBLE ? 1023 : 127)) << (SKGRU_IS_DOUBLE ? 52 : 23));
#else
    vec power;
    if (SKGRU_IS_DOUBLE) {
        uint64_t bits;
        memcpy(&bits, &shifted, sizeof shifted);
        bits = (bits + 1023) << 52;
        memcpy(&power, &bits, sizeof power);
    } else {
        uint32_t bits;
        memcpy(&bits, &shifted, sizeof shifted);
        bits = (bits + 127) << 23;
        memcpy(&power, &bits, sizeof power);
    }
    return power;
#endif
}

/* Return p and set 2ⁿ so that exp(x) = 2ⁿ (1 + p), for |x| <= 87 (float) or 708 (double).
 *
 * x = n ln 2 + r with |r| <= ln 2 / 2, and p = r + r² q(r). The polynomial q minimizes the maximum
 * relative error of p: 2^-26 in float, 2^-55 in double.
 */
INLINE vec exponential(vec x, vec *power)
{
    const real log2_e = (real)1.4426950408889634;
    /* ln 2 in two parts; n times the first is exact */
    const real ln2_high = SKGRU_IS_DOUBLE ? (real)6.93147180369123816490e-01 : (real)0.693359375;
    const real ln2_low = SKGRU_IS_DOUBLE ? (real)1.90821492927058770002e-10 : (real)-2.12194440e-4;
    /* 1.5 * 2^(bits of the fraction): adding it puts the integer part into the lowest bits */
    const real to_integer = SKGRU_IS_DOUBLE ? (real)6755399441055744.0 : (real)12582912.0;
    vec shifted = x * log2_e + to_integer;
    vec n = shifted - to_integer;
    vec r = (x - n * ln2_high) - n * ln2_low;
    vec q;
    if (SKGRU_IS_DOUBLE) {
        q = r * (real)2.50537753574657128786e-8 + (real)2.762603823476544534858e-7;
        q = q * r + (real)2.755740754251913424782e-6;
        q = q * r + (real)2.480150527282214141011e-5;
        q = q * r + (real)1.984126971900550301019e-4;
        q = q * r + (real)1.388888893156579622767e-3;
        q = q * r + (real)8.333333333389553646998e-3;
        q = q * r + (real)4.166666666657675138253e-2;
        q = q * r + (real)1.666666666666658927466e-1;
        q = q * r + (real)0.5;
    } else {
        q = r * (real)1.38825189622e-3 + (real)8.36652071861e-3;
        q = q * r + (real)4.16671998961e-2;
        q = q * r + (real)1.66665436195e-1;
        q = q * r + (real)0.499999981539;
    }
    *power = power_of_2(shifted);
    return q * r * r + r;
}

/* 1 / (1 + exp(-x)), at least 1 / exp(87) (float) or 1 / exp(708) (double) */
INLINE vec sigmoid(vec x)
{
    vec power;
    vec p = exponential(clamp(-x, SKGRU_IS_DOUBLE ? 708 : 87), &power);
    return 1 / (1 + (power * p + power));
}

/* (exp(2x) - 1) / (exp(2x) + 1), with the relative accuracy of exp(2x) - 1 around 0 */
INLINE vec vec_tanh(vec x)
{
    vec power;
    vec p = exponential(clamp(x + x, 44), &power); /* tanh(22) is 1 in double, tanh(9.1) in float */
    vec e = power * p + (power - 1);
    return e / (e + 2);
}

/* max(x, 0), NaN where x is */
INLINE vec relu(vec x)
{
    return EXTREME(max, zeros(), x);
}

/* 1 where x > 0, else 0 */
INLINE vec heaviside(vec x)
{
#if defined(SKGRU_VECTORS)
    return (vec)((x > 0) & (ivec)(zeros() + 1));
#else
    return x > 0;
#endif
}

/* ---- for the optimizers ---------------------------------------------------------------------- */

/* x / y; Cython's own division casts the numerator to one number */
INLINE vec divide(vec x, vec y)
{
    return x / y;
}

INLINE vec square_root(vec x)
{
    real numbers[LANES];
    store_vector(numbers, x);
    for (int i = 0; i < LANES; i++)
        numbers[i] = SKGRU_IS_DOUBLE ? (real)sqrt(numbers[i]) : (real)sqrtf((float)numbers[i]);
    return load_vector(numbers);
}

INLINE double sum_lanes(vec x)
{
    real numbers[LANES];
    double total = 0;
    store_vector(numbers, x);
    for (int i = 0; i < LANES; i++)
        total += numbers[i];
    return total;
}

/* ---- denormals ------------------------------------------------------------------------------- */

/* Flush denormals to zero in this thread, as operands and as results; return what
 * restore_denormals needs. They slow arithmetic down a hundredfold, and vanishing gradients become
 * denormal. */
INLINE uint64_t flush_denormals(void)
{
#if defined(__SSE2__) || defined(_M_X64)
    uint32_t mode = _mm_getcsr();
    _mm_setcsr(mode | 0x8040); /* flush to zero, denormals are zero */
    return mode;
#elif defined(__aarch64__) && defined(__GNUC__)
    uint64_t mode;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(mode));
    __asm__ __volatile__("msr fpcr, %0" : : "r"(mode | (1 << 24)));
    return mode;
#else
    return 0;
#endif
}

INLINE void restore_denormals(uint64_t mode)
{
#if defined(__SSE2__) || defined(_M_X64)
    _mm_setcsr((uint32_t)mode);
#elif defined(__aarch64__) && defined(__GNUC__)
    __asm__ __volatile__("msr fpcr, %0" : : "r"(mode));
#else
    (void)mode;
#endif
}

#endif
