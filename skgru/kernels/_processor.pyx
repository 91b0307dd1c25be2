"""Detection of the instruction sets that not every processor of an architecture has."""

cdef extern from *:
    """
    #include <string.h>

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
    #endif
        return 0;
    }
    """
    bint skgru_supports(const char* name)


def supports(str name):
    """Return whether this processor has an optional instruction set.

    The compiler's builtins also ask whether the operating system saves the wider registers.
    """
    return skgru_supports(name.encode())
