/* main.c: all suites, for each instruction set that this machine runs, in both floating dtypes.
 *
 *   harness [--small] [--without ISA]... [ISA]...
 *
 * --small: fewer cases. --without: that instruction set must be unknown or not run here. ISA: only
 * these, each of which must run here. Exits with 0 if all is right.
 *
 * OMP_WAIT_POLICY=passive in the environment makes it several times faster: cases are small, and
 * OpenMP's threads would spin between them.
 */
#include <stdio.h>
#include <string.h>

#include "harness.h"

/* What a sanitizer's allocator cannot give is NULL, as malloc says, not the end. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1:detect_leaks=1"; }

static const struct {
    void (*run)(const struct setting *setting);
    int floating; /* once for each floating dtype */
} suites[] = {
    {suite_isa, 1},     {suite_conv2d, 1},  {suite_conv2d_edges, 1},    {suite_conv2d_values, 1},
    {suite_pool2d, 1},  {suite_columns, 1}, {suite_pool2d_integers, 0}, {suite_elementwise, 1},
    {suite_softmax, 1}, {suite_local2d, 1}, {suite_programs, 1},        {suite_threads, 1},
    {suite_fuzz, 1},    {suite_status, 0},
};

static void run_suites(const char *isa, int small) {
    for (size_t s = 0; s < sizeof suites / sizeof suites[0]; s++)
        for (int dtype = FC_FLOAT32; dtype <= (suites[s].floating ? FC_FLOAT64 : FC_FLOAT32);
             dtype++) {
            struct setting setting = {isa, (fc_dtype)dtype, small};
            suites[s].run(&setting);
        }
}

static int run_forced(const char *isa, int small) {
    if (fc_isa_select(isa)) {
        printf("%s: %s\n", isa, fc_status_message(FC_ERROR_ISA));
        return 0;
    }
    run_suites(isa, small);
    return 1;
}

int main(int argc, char **argv) {
    int small = 0, named = 0, refused = 0;
    report_crashes();
    for (int a = 1; a < argc; a++) {
        if (!strcmp(argv[a], "--small")) {
            small = 1;
        } else if (!strcmp(argv[a], "--without") && a + 1 < argc) {
            a++;
            if (fc_isa_supported(argv[a])) {
                printf("%s is said to run here\n", argv[a]);
                refused++;
            }
        } else {
            named++;
            refused += !run_forced(argv[a], small);
        }
    }
    const char *name;
    for (int i = 0; !named && (name = fc_isa_name(i)); i++)
        if (fc_isa_supported(name)) refused += !run_forced(name, small);
    return report_close() || refused;
}
