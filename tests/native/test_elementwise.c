/* test_elementwise.c: activations over views, and softmax over one axis. */
#include <float.h>
#include <math.h>

#include "harness.h"

static fc_status add(fc_program *program, const void *desc) {
    return fc_program_add_elementwise(program, desc);
}

static void check(struct random *random, fc_dtype dtype, int activation, int64_t widest) {
    fc_elementwise_desc d = {
        .activation = activation, .alpha = random_unit(random) * 1.5, .beta = 20};
    int64_t size[4], at[4];
    for (int a = 0; a < 4; a++)
        size[a] = random_range(random, 1, a == 3 ? widest : widest > 100 ? 2 : 4);
    enum layout x = (enum layout)random_range(random, 0, LAYOUT_INPUT_COUNT - 1);
    enum layout y = (enum layout)random_range(random, 0, LAYOUT_COUNT - 1);
    int threads = random_team(random);
    uint64_t seed = random_bits(random);
    case_begin("activation %d seed %llu: %lldx%lldx%lldx%lld, layouts %d %d, %d threads",
               activation, (unsigned long long)seed, (long long)size[0], (long long)size[1],
               (long long)size[2], (long long)size[3], (int)x, (int)y, threads);
    struct scene scene;
    scene_open(&scene, seed);
    d.x = tensor_make(&scene, x, dtype, size[0], size[1], size[2], size[3]);
    d.y = tensor_make(&scene, y, dtype, size[0], size[1], size[2], size[3]);
    tensor_fill(&scene, &d.x);
    /* where functions bend, saturate, overflow, underflow */
    static const real values[] = {0,        -0.0L,     3,        -3,    6,      -6.5L,   7,
                                  20,       -20,       87,       -87,   -88.7L, -103.9L, -105,
                                  150,      -700,      -746,     709.5, 1e30L,  -1e30L,  FLT_MIN,
                                  -FLT_MIN, NAN,       INFINITY, 0.5L,  -0.5L,  1e-8L,   -2.9999L,
                                  -3.0001L, -INFINITY, 1e-40L};
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
        for (int a = 0; a < 4; a++) at[a] = random_range(random, 0, size[a] - 1);
        if (random_range(random, 0, 1)) tensor_set(&scene, &d.x, at, values[v]);
    }
    struct output result = {&d.y, oracle_elementwise, &d};
    run_step(&scene, add, &d, &result, 1, threads);
    scene_close(&scene);
    case_end();
}

/* y and x are one array. */
static void in_place(fc_dtype dtype, int activation, enum layout layout) {
    case_begin("activation %d in place, layout %d", activation, (int)layout);
    struct scene scene;
    scene_open(&scene, 23);
    fc_elementwise_desc d = {.activation = activation, .alpha = 0.1, .beta = 20};
    d.x = d.y = tensor_make(&scene, layout, dtype, 2, 3, 5, 37);
    tensor_fill(&scene, &d.x);
    struct expected *expected = expect_all(&scene, &d, &d.y, oracle_elementwise);
    fc_program *program = program_new();
    if (add(program, &d)) case_fail("not added");
    execute(&scene, program, 2);
    fc_program_destroy(program);
    compare_all(&scene, &d.y, expected);
    scene_close(&scene);
    case_end();
}

void suite_elementwise(const struct setting *setting) {
    struct random random = {19};
    suite_begin("elementwise", setting);
    for (int i = 0; i < (setting->small ? 70 : 500); i++)
        check(&random, setting->dtype, i % (FC_MISH + 1), i % 50 == 49 ? 9000 : 40);
    for (int activation = FC_IDENTITY; activation <= FC_MISH; activation++)
        for (int layout = 0; layout < LAYOUT_COUNT; layout++)
            in_place(setting->dtype, activation, (enum layout)layout);
    suite_end();
}

static fc_status add_softmax(fc_program *program, const void *desc) {
    return fc_program_add_softmax(program, desc);
}

static void check_softmax(struct random *random, fc_dtype dtype, int64_t longest, int scale) {
    fc_softmax_desc d = {.logarithm = (int32_t)random_range(random, 0, 1)};
    int64_t outer = random_range(random, 1, 4), inner = random_range(random, 1, 20);
    int64_t count = random_range(random, 1, longest);
    enum layout x = (enum layout)random_range(random, 0, LAYOUT_COUNT - 1);
    enum layout y = (enum layout)random_range(random, 0, LAYOUT_COUNT - 1);
    uint64_t seed = random_bits(random);
    case_begin("softmax seed %llu: %lld x %lld x %lld, layouts %d %d, scale %d",
               (unsigned long long)seed, (long long)outer, (long long)count, (long long)inner,
               (int)x, (int)y, scale);
    struct scene scene;
    scene_open(&scene, seed);
    d.x = tensor_make(&scene, x, dtype, outer, count, inner, 1);
    d.y = tensor_make(&scene, y, dtype, outer, count, inner, 1);
    for (int64_t a = 0; a < outer; a++)
        for (int64_t i = 0; i < count; i++)
            for (int64_t b = 0; b < inner; b++) {
                real value = scale * random_unit(random);
                if (scale > 100 && random_range(random, 0, 60) == 0) value = -INFINITY;
                if (scale > 1000 && random_range(random, 0, 200) == 0) value = NAN;
                if (scale > 1000 && random_range(random, 0, 200) == 0) value = INFINITY;
                tensor_set(&scene, &d.x, (const int64_t[]){a, i, b, 0}, value);
            }
    struct output result = {&d.y, oracle_softmax, &d};
    run_step(&scene, add_softmax, &d, &result, 1, random_team(random));
    scene_close(&scene);
    case_end();
}

void suite_softmax(const struct setting *setting) {
    static const int scales[] = {1, 10, 90, 200, 2000};
    struct random random = {29};
    suite_begin("softmax", setting);
    for (int i = 0; i < (setting->small ? 50 : 300); i++)
        check_softmax(&random, setting->dtype, i % 40 == 39 ? 300 : 40, scales[i % 5]);
    suite_end();
}
