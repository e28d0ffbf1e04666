/* dispatch.c: the single place that picks an instruction set. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "core/cpu_features.h"
#include "core/program.h"

extern const struct fc_kernel_table fc_kernels_baseline;
#ifdef FC_HAVE_AVX2
extern const struct fc_kernel_table fc_kernels_avx2;
#endif
#ifdef FC_HAVE_AVX512
extern const struct fc_kernel_table fc_kernels_avx512;
#endif
#ifdef FC_HAVE_NEON
extern const struct fc_kernel_table fc_kernels_neon;
#endif

/* Best first: the first that the machine runs is the default. */
static const struct {
    const struct fc_kernel_table *kernels;
    int (*supported)(void);
} candidates[] = {
#ifdef FC_HAVE_AVX512
    {&fc_kernels_avx512, fc_cpu_has_avx512},
#endif
#ifdef FC_HAVE_AVX2
    {&fc_kernels_avx2, fc_cpu_has_avx2},
#endif
#ifdef FC_HAVE_NEON
    {&fc_kernels_neon, fc_cpu_has_neon},
#endif
    {&fc_kernels_baseline, fc_cpu_has_baseline},
};
#define CANDIDATES ((int)(sizeof candidates / sizeof candidates[0]))

static const struct fc_kernel_table *_Atomic active;

static int find(const char *name) {
    for (int k = 0; k < CANDIDATES; k++)
        if (name && strcmp(name, candidates[k].kernels->name) == 0) return k;
    return -1;
}

const char *fc_isa_name(int index) {
    return index >= 0 && index < CANDIDATES ? candidates[index].kernels->name : NULL;
}

int fc_isa_supported(const char *name) {
    int k = find(name);
    return k >= 0 && candidates[k].supported();
}

fc_status fc_isa_select(const char *name) {
    for (int k = 0; k < CANDIDATES; k++) {
        if (name && k != find(name)) continue;
        if (!candidates[k].supported()) continue;
        atomic_store(&active, candidates[k].kernels);
        return FC_OK;
    }
    return FC_ERROR_ISA;
}

const struct fc_kernel_table *fc_active_kernels(void) {
    if (!atomic_load(&active)) fc_isa_select(NULL);
    return atomic_load(&active);
}

const char *fc_isa_active(void) { return fc_active_kernels()->name; }

uint64_t fc_isa_kernel_calls(const char *name) {
    int k = find(name);
    return k < 0 ? 0 : __atomic_load_n(candidates[k].kernels->calls, __ATOMIC_RELAXED);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The best of short samples: a shared machine only ever slows one down. */
double fc_fma_peak(fc_dtype dtype, double seconds) {
    if (dtype != FC_FLOAT32 && dtype != FC_FLOAT64) return 0;
    const struct fc_kernel_set *set = fc_active_kernels()->set[dtype];
    double best = 0, start = now();
    do {
        double before = now();
        double operations = set->fma_peak(100000);
        double rate = operations / (now() - before) * 1e-9;
        if (rate > best) best = rate;
    } while (now() - start < seconds);
    return best;
}
