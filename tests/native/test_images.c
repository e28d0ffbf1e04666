/* test_images.c: batch normalization and resizing. */
#include <math.h>

#include "harness.h"

static enum layout any_layout(struct random *random, int count) {
    return (enum layout)random_range(random, 0, count - 1);
}

/* ---- batch normalization ---- */

static real factor(const struct scene *scene, const fc_tensor *t, int64_t c, real absent) {
    return t->slot == FC_NO_SLOT ? absent : tensor_get(scene, t, c, 0, 0, 0);
}

static struct expected oracle_batch_norm(const struct scene *scene, const void *desc,
                                         const int64_t at[4]) {
    const fc_batch_norm_desc *d = desc;
    real u = unit_roundoff(d->x.dtype);
    real scale = factor(scene, &d->weight, at[1], 1) /
                 sqrtl(factor(scene, &d->variance, at[1], 1) + (real)d->epsilon);
    real mean = factor(scene, &d->mean, at[1], 0), bias = factor(scene, &d->bias, at[1], 0);
    real x = tensor_get(scene, &d->x, at[0], at[1], at[2], at[3]);
    real size = fabsl(x * scale) + fabsl(mean * scale) + fabsl(bias);
    struct expected y = {x * scale - mean * scale + bias,
                         5 * u * size + 4 * smallest_normal(d->x.dtype)};
    return activated(d->x.dtype, d->activation, d->alpha, y);
}

static fc_status add_batch_norm(fc_program *program, const void *desc) {
    return fc_program_add_batch_norm(program, desc);
}

static void check_batch_norm(struct random *random, fc_dtype dtype, int64_t widest) {
    fc_batch_norm_desc d = {.epsilon = 0.01,
                            .activation = (int32_t)random_range(random, FC_IDENTITY, FC_MISH),
                            .alpha = 0.7};
    int64_t n = random_range(random, 1, 3), c = random_range(random, 1, 40);
    int64_t h = random_range(random, 1, 4), w = random_range(random, 1, widest);
    int threads = random_team(random);
    uint64_t seed = random_bits(random);
    case_begin("batch norm seed %llu: %lldx%lldx%lldx%lld, activation %d, %d threads",
               (unsigned long long)seed, (long long)n, (long long)c, (long long)h, (long long)w,
               (int)d.activation, threads);
    struct scene scene;
    scene_open(&scene, seed);
    int last = random_range(random, 0, 2) == 0;
    d.x = tensor_make(&scene, last ? LAYOUT_NHWC : any_layout(random, LAYOUT_INPUT_COUNT), dtype, n,
                      c, h, w);
    d.y = tensor_make(&scene, last ? LAYOUT_NHWC : any_layout(random, LAYOUT_COUNT), dtype, n, c, h,
                      w);
    fc_tensor *factors[] = {&d.mean, &d.variance, &d.weight, &d.bias};
    for (int f = 0; f < 4; f++) {
        *factors[f] = tensor_absent();
        if (random_range(random, 0, 3) == 0) continue;
        *factors[f] = tensor_make(&scene, LAYOUT_STEPS, dtype, c, 1, 1, 1);
        tensor_fill(&scene, factors[f]);
        for (int64_t i = 0; f == 1 && i < c; i++) {
            const int64_t at[4] = {i, 0, 0, 0};
            tensor_set(&scene, factors[f], at, fabsl(tensor_get(&scene, factors[f], i, 0, 0, 0)));
        }
    }
    tensor_fill(&scene, &d.x);
    struct output y = {&d.y, oracle_batch_norm, &d};
    run_step(&scene, add_batch_norm, &d, &y, 1, threads);
    scene_close(&scene);
    case_end();
}

/* ---- resizing ---- */

static struct expected oracle_resize(const struct scene *scene, const void *desc,
                                     const int64_t at[4]) {
    const fc_resize_desc *d = desc;
    real sum = 0, magnitude = 0;
    for (int64_t i = 0; i < d->taps[0]; i++)
        for (int64_t j = 0; j < d->taps[1]; j++) {
            int64_t h = at[2] * d->taps[0] + i, w = at[3] * d->taps[1] + j;
            real product = (real)d->weight[0][h] * (real)d->weight[1][w] *
                           tensor_get(scene, &d->x, at[0], at[1], d->index[0][h], d->index[1][w]);
            sum += product;
            magnitude += fabsl(product);
        }
    return (struct expected){sum, sum_bound(d->x.dtype, d->taps[0] * d->taps[1] + 4, magnitude)};
}

static fc_status add_resize(fc_program *program, const void *desc) {
    return fc_program_add_resize(program, desc);
}

#define MOST_TAPS 4
#define MOST_OUTPUTS 40

static void check_resize(struct random *random, fc_dtype dtype) {
    static int64_t index[2][MOST_TAPS * MOST_OUTPUTS];
    static double weight[2][MOST_TAPS * MOST_OUTPUTS];
    fc_resize_desc d = {.index = {index[0], index[1]}, .weight = {weight[0], weight[1]}};
    int64_t n = random_range(random, 1, 3), c = random_range(random, 1, 40), x[2], y[2];
    for (int a = 0; a < 2; a++) {
        x[a] = random_range(random, 1, a ? 30 : 6);
        y[a] = random_range(random, 1, a ? MOST_OUTPUTS : 6);
        d.taps[a] = random_range(random, 1, MOST_TAPS);
        for (int64_t i = 0; i < d.taps[a] * y[a]; i++) {
            index[a][i] = random_range(random, 0, x[a] - 1);
            weight[a][i] = random_unit(random);
        }
    }
    int threads = random_team(random);
    uint64_t seed = random_bits(random);
    case_begin("resize seed %llu: %lldx%lldx%lldx%lld -> %lldx%lld, taps %lld %lld, %d threads",
               (unsigned long long)seed, (long long)n, (long long)c, (long long)x[0],
               (long long)x[1], (long long)y[0], (long long)y[1], (long long)d.taps[0],
               (long long)d.taps[1], threads);
    struct scene scene;
    scene_open(&scene, seed);
    int last = random_range(random, 0, 2) == 0;
    d.x = tensor_make(&scene, last ? LAYOUT_NHWC : any_layout(random, LAYOUT_INPUT_COUNT), dtype, n,
                      c, x[0], x[1]);
    d.y = tensor_make(&scene, last ? LAYOUT_NHWC : any_layout(random, LAYOUT_COUNT), dtype, n, c,
                      y[0], y[1]);
    tensor_fill(&scene, &d.x);
    struct output output = {&d.y, oracle_resize, &d};
    run_step(&scene, add_resize, &d, &output, 1, threads);
    scene_close(&scene);
    case_end();
}

/* ---- what the contract refuses ---- */

static void refuse(const char *what, fc_status status, fc_status wanted) {
    case_begin("refusal: %s", what);
    if (status != wanted) case_fail("%s", fc_status_message(status));
    case_end();
}

static void refusals(void) {
    fc_program *program = program_new();
    fc_tensor one = {.slot = 1, .size = {1, 1, 1, 1}, .stride = {1, 1, 1, 1}}, two = one;
    two.size[1] = 2;
    fc_tensor none = tensor_absent();
    fc_batch_norm_desc norm = {
        .x = one, .y = two, .mean = none, .variance = none, .weight = none, .bias = none};
    refuse("sizes", fc_program_add_batch_norm(program, &norm), FC_ERROR_SHAPE);
    norm.y = one;
    norm.bias = two;
    refuse("bias", fc_program_add_batch_norm(program, &norm), FC_ERROR_SHAPE);
    norm.bias = none;
    norm.activation = FC_CLAMP;
    refuse("activation", fc_program_add_batch_norm(program, &norm), FC_ERROR_UNSUPPORTED);
    int64_t index = 1;
    double weight = 1;
    fc_resize_desc resize = {one, one, {1, 1}, {&index, &index}, {&weight, &weight}};
    refuse("index", fc_program_add_resize(program, &resize), FC_ERROR_ARGUMENT);
    index = 0;
    resize.taps[0] = 0;
    refuse("taps", fc_program_add_resize(program, &resize), FC_ERROR_ARGUMENT);
    resize.taps[0] = 1;
    resize.y = two;
    refuse("channels", fc_program_add_resize(program, &resize), FC_ERROR_SHAPE);
    resize.y = one;
    refuse("nothing", fc_program_add_resize(program, &resize), FC_OK);
    fc_program_destroy(program);
}

void suite_images(const struct setting *setting) {
    struct random random = {37};
    suite_begin("images", setting);
    for (int i = 0; i < (setting->small ? 20 : 150); i++) {
        check_batch_norm(&random, setting->dtype, !setting->small && i % 50 == 49 ? 9000 : 40);
        check_resize(&random, setting->dtype);
    }
    refusals();
    suite_end();
}
