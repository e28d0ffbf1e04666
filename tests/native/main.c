/* main.c: all suites, for each instruction set that this machine runs, in both floating dtypes.
 *
 *   harness [--small] [--readable-guards] [--without ISA]... [ISA]...
 *
 * --small: fewer cases. --readable-guards: guard pages stop writes alone, for emulators whose masked
 * loads read whole vectors (QEMU 7.2's AVX2). --without: that instruction set must not run here. ISA:
 * only these, each of which must run here. Exits with 0 if all is right.
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
    {suite_isa, 1},
    {suite_conv2d, 1},
    {suite_conv2d_edges, 1},
    {suite_conv2d_values, 1},
    {suite_pool2d, 1},
    {suite_columns, 1},
    {suite_pool2d_integers, 0},
    {suite_elementwise, 1},
    {suite_softmax, 1},
    {suite_local2d, 1},
    {suite_volume, 1},
    {suite_pad, 0},
    {suite_images, 1},
    {suite_programs, 1},
    {suite_threads, 1},
    {suite_copies, 0},
    {suite_binary, 1},
    {suite_unary, 1},
    {suite_response, 1},
    {suite_reduce, 1},
    {suite_scatter, 1},
    {suite_graph_status, 0},
    {suite_fuzz, 1},
    {suite_status, 0},
};

static void run_suites(const char *isa, int small) {
    for (size_t s = 0; s < sizeof suites / sizeof suites[0]; s++) {
        struct setting setting = {isa, NO_DTYPE, small};
        if (!suites[s].floating) suites[s].run(&setting);
        for (int dtype = FC_FLOAT32; suites[s].floating && dtype <= FC_FLOAT64; dtype++) {
            setting.dtype = (fc_dtype)dtype;
            suites[s].run(&setting);
        }
    }
}

/* Forces an instruction set and runs everything on it; or makes sure that it cannot be forced. */
static void run_forced(const char *isa, int wanted, int small) {
    struct setting setting = {isa, NO_DTYPE, small};
    suite_begin(wanted ? "runs here" : "does not run here", &setting);
    case_begin("%s", isa);
    if (fc_isa_supported(isa) != wanted) case_fail("support is %d", !wanted);
    fc_status status = fc_isa_select(isa);
    if ((status == FC_OK) != wanted) case_fail("%s", fc_status_message(status));
    case_end();
    suite_end();
    if (wanted && !status) run_suites(isa, small);
}

int main(int argc, char **argv) {
    int small = 0, named = 0;
    report_crashes();
    for (int a = 1; a < argc; a++) {
        if (!strcmp(argv[a], "--small")) {
            small = 1;
        } else if (!strcmp(argv[a], "--readable-guards")) {
            guards_readable();
        } else if (!strcmp(argv[a], "--without") && a + 1 < argc) {
            run_forced(argv[++a], 0, small);
        } else {
            named++;
            run_forced(argv[a], 1, small);
        }
    }
    const char *name;
    for (int i = 0; !named && (name = fc_isa_name(i)); i++)
        if (fc_isa_supported(name)) run_forced(name, 1, small);
    return report_close();
}
