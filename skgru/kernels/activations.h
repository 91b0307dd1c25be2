/* σ and tanh in float32, branch-free so that compilers turn loops over them into vector code.
 *
 * Both come from exp(x) - 1 = 2ⁿ p + (2ⁿ - 1), where x = n ln 2 + r, |r| <= ln 2 / 2, and p is
 * the Taylor polynomial of exp(r) - 1 up to r⁷ (its error at the ends is below 2⁻²⁶ of p). As no
 * 1 is added to p, tanh keeps its relative accuracy around 0. NaN stays NaN.
 */
#ifndef SKGRU_ACTIVATIONS_H
#define SKGRU_ACTIVATIONS_H

#include <stdint.h>
#include <string.h>

static inline float skgru_expm1f(float x, float bound)
{
    const float round_to_int = 12582912.0f; /* 1.5 * 2²³: sums with it have no fraction bits */
    float n, r, p, power;
    int32_t bits;

    x = x < -bound ? -bound : x;
    x = x > bound ? bound : x;
    n = (x * 1.44269504f + round_to_int) - round_to_int;
    r = (x - n * 0.693359375f) + n * 2.12194440e-4f; /* ln 2 in two parts, n times the first exact */
    p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r * r + r;
    bits = ((int32_t)n + 127) << 23;
    memcpy(&power, &bits, sizeof power);
    return power * p + (power - 1.0f);
}

/* 1 / (1 + exp(-x)); at least exp(-87), the smallest normal power of e */
static inline float skgru_sigmoidf(float x)
{
    return 1.0f / (2.0f + skgru_expm1f(-x, 87.0f));
}

static inline float skgru_tanhf(float x)
{
    float e = skgru_expm1f(2.0f * x, 30.0f); /* beyond 9 tanh is 1 in float32 */
    return e / (e + 2.0f);
}

#endif
