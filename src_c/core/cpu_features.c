/* cpu_features.c: what this processor and its operating system can run. */
#include "core/cpu_features.h"

/* The compiler's run-time support reads CPUID and, for the wide registers, XCR0. */
int fc_cpu_has_avx2(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return 0;
#endif
}

int fc_cpu_has_avx512(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return fc_cpu_has_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
#else
    return 0;
#endif
}

/* Advanced SIMD is part of every aarch64 processor. */
int fc_cpu_has_neon(void) {
#if defined(__aarch64__)
    return 1;
#else
    return 0;
#endif
}

int fc_cpu_has_baseline(void) { return 1; }
