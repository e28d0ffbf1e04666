/* test_isa.c: the instruction set that was asked for is the one that runs. */
#include <float.h>
#include <string.h>

#include "conv_case.h"

/* Kernel entries of all instruction sets but one. */
static uint64_t others(const char *isa) {
    uint64_t calls = 0;
    const char *name;
    for (int i = 0; (name = fc_isa_name(i)); i++)
        if (strcmp(name, isa)) calls += fc_isa_kernel_calls(name);
    return calls;
}

static void forced(const struct setting *setting, int32_t algorithm) {
    case_begin("forced, algorithm %d", (int)algorithm);
    struct scene scene;
    struct conv_case c = conv_plain(3, 5, 6, 7, 3, 3);
    if (algorithm == FC_ALGORITHM_DEPTHWISE) c = conv_plain(1, 5, 6, 7, 3, 3);
    c.algorithm = algorithm;
    scene_open(&scene, 53);
    fc_conv2d_desc d = conv_desc(&scene, &c, setting->dtype);
    fc_program *program = program_new();
    if (fc_program_add_conv2d(program, &d)) case_fail("not added");
    if (strcmp(fc_isa_active(), setting->isa)) case_fail("%s is active", fc_isa_active());
    if (strcmp(fc_program_isa(program), setting->isa)) case_fail("planned for another");
    /* a program keeps the kernels that it was planned for */
    fc_isa_select(NULL);
    uint64_t mine = fc_isa_kernel_calls(setting->isa), foreign = others(setting->isa);
    execute(&scene, program, 1);
    if (fc_isa_kernel_calls(setting->isa) == mine) case_fail("no kernel of it was entered");
    if (others(setting->isa) != foreign) case_fail("kernels of another were entered");
    fc_isa_select(setting->isa);
    fc_program_destroy(program);
    scene_close(&scene);
    case_end();
}

static void names(void) {
    case_begin("names");
    const char *name = NULL, *last = NULL, *best = NULL;
    int count = 0;
    for (; (name = fc_isa_name(count)); count++) {
        last = name;
        if (!best && fc_isa_supported(name)) best = name;
        if (!fc_isa_supported(name) && fc_isa_select(name) != FC_ERROR_ISA)
            case_fail("%s could be forced", name);
    }
    if (!last || strcmp(last, "baseline")) case_fail("the last is not the baseline");
    if (fc_isa_name(-1) || fc_isa_name(count + 1)) case_fail("names past the ends");
    if (fc_isa_supported("sse9") || fc_isa_supported(NULL)) case_fail("sse9 is supported");
    if (fc_isa_kernel_calls("sse9")) case_fail("sse9 was called");
    const char *before = fc_isa_active();
    if (fc_isa_select("sse9") != FC_ERROR_ISA) case_fail("sse9 could be forced");
    if (strcmp(fc_isa_active(), before)) case_fail("a refused name changed the choice");
    if (fc_isa_select(NULL) != FC_OK || !best || strcmp(fc_isa_active(), best))
        case_fail("the choice is not the best that runs");
    fc_isa_select(before);
    case_end();
}

/* Kernels flush denormals to zero; their caller's arithmetic must not. */
static void denormals(const struct setting *setting) {
    case_begin("denormals");
    struct scene scene;
    struct conv_case c = conv_plain(3, 5, 6, 7, 3, 3);
    scene_open(&scene, 59);
    fc_conv2d_desc d = conv_desc(&scene, &c, setting->dtype);
    fc_program *program = program_new();
    if (fc_program_add_conv2d(program, &d)) case_fail("not added");
    execute(&scene, program, 2);
    volatile double smallest = DBL_MIN;
    volatile float smallest_float = FLT_MIN;
    if (smallest / 2 == 0 || smallest_float / 2 == 0) case_fail("flushed in the caller");
    fc_program_destroy(program);
    scene_close(&scene);
    case_end();
}

static void peak(const struct setting *setting) {
    case_begin("peak");
    if (!(fc_fma_peak(setting->dtype, 1e-4) > 0)) case_fail("no operations at all");
    if (fc_fma_peak(FC_INT32, 1e-4) != 0) case_fail("integers have none");
    case_end();
}

void suite_isa(const struct setting *setting) {
    suite_begin("instruction set", setting);
    for (int32_t algorithm = FC_ALGORITHM_AUTO; algorithm <= FC_ALGORITHM_DEPTHWISE; algorithm++)
        forced(setting, algorithm);
    names();
    denormals(setting);
    peak(setting);
    suite_end();
}
