/* test_programs.c: several steps in one program, each reading what the one before it wrote. */
#include "conv_case.h"

struct chain {
    fc_conv2d_desc first, second;
    fc_pool2d_desc pool, mean;
    fc_elementwise_desc activation;
    fc_softmax_desc softmax;
};

/* conv 3x3 + relu -> max pool -> conv 1x1 -> hardswish in place -> mean over the image -> softmax */
static struct chain make(struct scene *scene, enum layout layout, fc_dtype dtype) {
    struct chain c;
    struct conv_case convolution = conv_plain(3, 20, 15, 21, 3, 3);
    convolution.n = 2;
    convolution.pad[0] = convolution.pad[1] = 1;
    conv_fit(&convolution, 1, 1);
    convolution.activation = FC_RELU;
    convolution.x = convolution.y = layout;
    c.first = conv_desc(scene, &convolution, dtype);
    c.pool = (fc_pool2d_desc){.x = c.first.y,
                              .kernel = {3, 2},
                              .stride = {2, 2},
                              .dilation = {1, 1},
                              .indices = tensor_absent()};
    c.pool.y = tensor_make(scene, layout, dtype, 2, 20, 7, 10);
    convolution = conv_plain(20, 37, 7, 10, 1, 1);
    convolution.n = 2;
    convolution.x = convolution.y = layout;
    c.second = conv_desc(scene, &convolution, dtype);
    c.second.x = c.pool.y;
    c.activation = (fc_elementwise_desc){.x = c.second.y, .activation = FC_HARDSWISH};
    c.activation.y = tensor_make(scene, layout, dtype, 2, 37, 7, 10);
    c.mean = (fc_pool2d_desc){.x = c.activation.y,
                              .kernel = {7, 10},
                              .stride = {1, 1},
                              .dilation = {1, 1},
                              .kind = FC_POOL_AVERAGE,
                              .indices = tensor_absent()};
    c.mean.y = tensor_make(scene, LAYOUT_NCHW, dtype, 2, 37, 1, 1);
    c.softmax.x = c.mean.y;
    c.softmax.y = tensor_make(scene, LAYOUT_NCHW, dtype, 2, 37, 1, 1);
    return c;
}

static fc_status add(fc_program *program, const struct chain *c) {
    fc_status status = fc_program_add_conv2d(program, &c->first);
    if (!status) status = fc_program_add_pool2d(program, &c->pool);
    if (!status) status = fc_program_add_conv2d(program, &c->second);
    if (!status) status = fc_program_add_elementwise(program, &c->activation);
    if (!status) status = fc_program_add_pool2d(program, &c->mean);
    if (!status) status = fc_program_add_softmax(program, &c->softmax);
    return status;
}

static void check(enum layout layout, fc_dtype dtype, int threads) {
    case_begin("six steps, layout %d, %d threads", (int)layout, threads);
    struct scene scene;
    scene_open(&scene, 31);
    struct chain c = make(&scene, layout, dtype);
    const struct output stages[] = {
        {&c.first.y, oracle_conv2d, &c.first},
        {&c.pool.y, oracle_pool2d, &c.pool},
        {&c.second.y, oracle_conv2d, &c.second},
        {&c.activation.y, oracle_elementwise, &c.activation},
        {&c.mean.y, oracle_pool2d, &c.mean},
        {&c.softmax.y, oracle_softmax, &c.softmax},
    };
    fc_program *program = program_new();
    fc_status status = add(program, &c);
    if (status) case_fail("add: %s", fc_status_message(status));
    for (int round = 0; round < 3 && !case_failed(); round++) {
        for (size_t s = 0; s < sizeof stages / sizeof stages[0]; s++)
            tensor_poison(&scene, stages[s].tensor);
        execute(&scene, program, threads);
        for (size_t s = 0; s < sizeof stages / sizeof stages[0]; s++) {
            const struct output *stage = &stages[s];
            compare_all(&scene, stage->tensor,
                        expect_all(&scene, stage->desc, stage->tensor, stage->oracle));
            tensor_check_gaps(&scene, stage->tensor);
        }
    }
    fc_program_destroy(program);
    scene_close(&scene);
    case_end();
}

/* A profile gives a time for every step, and the same outputs. */
static void profile(fc_dtype dtype) {
    case_begin("profile");
    struct scene scene;
    scene_open(&scene, 37);
    struct chain c = make(&scene, LAYOUT_NCHW, dtype);
    fc_program *program = program_new();
    if (add(program, &c)) case_fail("add");
    double seconds[32];
    int64_t steps = fc_program_step_count(program), bytes = fc_program_workspace_bytes(program, 2);
    if (steps < 6 || steps > 32) case_fail("%lld steps", (long long)steps);
    for (int s = 0; s < 32; s++) seconds[s] = -1;
    struct guarded workspace = guarded_open(bytes, 1);
    if (fc_program_profile(program, scene.slots, scene.count, workspace.base, bytes, 2, NULL,
                           seconds))
        case_fail("run");
    for (int s = 0; s < 32; s++)
        if ((seconds[s] >= 0) != (s < steps)) case_fail("step %d took %g s", s, seconds[s]);
    compare_all(&scene, &c.softmax.y, expect_all(&scene, &c.softmax, &c.softmax.y, oracle_softmax));
    guarded_close(&workspace);
    fc_program_destroy(program);
    scene_close(&scene);
    case_end();
}

/* A program without steps runs, and needs no workspace. */
static void nothing(void) {
    case_begin("no steps");
    fc_program *program = program_new();
    if (fc_program_workspace_bytes(program, 4) != 0) case_fail("workspace");
    if (fc_program_threads(program, 4) != 1) case_fail("threads");
    if (fc_program_run(program, NULL, 1, NULL, 0, 4, NULL)) case_fail("run");
    fc_program_destroy(program);
    fc_program_destroy(NULL);
    case_end();
}

void suite_programs(const struct setting *setting) {
    static const int threads[] = {1, 2, 3, 8};
    suite_begin("programs", setting);
    for (int t = 0; t < (setting->small ? 3 : 4); t++) {
        check(LAYOUT_NCHW, setting->dtype, threads[t]);
        check(LAYOUT_NHWC_WIDE, setting->dtype, threads[t]);
    }
    profile(setting->dtype);
    nothing();
    suite_end();
}
