"""Detection of the instruction sets that not every processor of an architecture has."""

cdef extern from *:
    """
    #include <string.h>

    /* the builtins of Clang need a library that is not linked on Windows */
    #if !defined(__GNUC__) && defined(_M_X64)
    #include <intrin.h>
    #include <windows.h>

    static int skgru_has(int leaf, int word, unsigned int bits)
    {
        int words[4]; /* EAX, EBX, ECX, EDX */
        __cpuidex(words, leaf, 0);
        return ((unsigned int)words[word] & bits) == bits;
    }
    #endif

    static int skgru_supports(const char *name)
    {
    #if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
        if (!strcmp(name, "x86-64-v2"))
            return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
        if (!strcmp(name, "x86-64-v3"))
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
                && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
        if (!strcmp(name, "x86-64-v4"))
            return skgru_supports("x86-64-v3")
                && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
                && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
                && __builtin_cpu_supports("avx512vl");
    #elif defined(_M_X64)
        if (!strcmp(name, "x86-64-v2")) /* SSE 4.2, POPCNT */
            return skgru_has(1, 2, 1u << 20 | 1u << 23);
        if (!strcmp(name, "x86-64-v3")) /* FMA; BMI, AVX2, BMI2 */
            return IsProcessorFeaturePresent(PF_AVX2_INSTRUCTIONS_AVAILABLE)
                && skgru_has(1, 2, 1u << 12) && skgru_has(7, 1, 1u << 3 | 1u << 5 | 1u << 8);
        if (!strcmp(name, "x86-64-v4")) /* AVX-512 F, DQ, CD, BW, VL */
            return skgru_supports("x86-64-v3")
                && IsProcessorFeaturePresent(PF_AVX512F_INSTRUCTIONS_AVAILABLE)
                && skgru_has(7, 1, 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31);
    #endif
        return 0;
    }
    """
    bint skgru_supports(const char* name)


def supports(str name):
    """Return whether this processor has an optional instruction set.

    Compilers' builtins, and Windows, also ask whether the system saves the wider registers.
    """
    return skgru_supports(name.encode())
