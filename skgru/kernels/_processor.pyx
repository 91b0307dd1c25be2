"""What the processor can run."""

cdef extern from *:
    """
    static int skgru_supports(int level)
    {
    #if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
        switch (level) {
        case 2:
            return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
        case 3:
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
                && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
        case 4:
            return skgru_supports(3)
                && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
                && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
                && __builtin_cpu_supports("avx512vl");
        }
    #endif
        return 0;
    }
    """
    bint skgru_supports(int level)


def supports(isa: str) -> bool:
    """Say whether code built for this instruction set runs here.

    The builtins ask the operating system too, whether it saves the wider registers.
    """
    level = isa.removeprefix("x86-64-v")
    if level != isa:
        return skgru_supports(int(level))
    return isa in ("portable", "neon")  # arm64 has NEON by definition
