/* test_fuzz.c: good descriptors with a few words overwritten by small and absurd values. Planning must
 * give a status; where the result can be run within the memory at hand, it must be right.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "conv_case.h"

#define LARGEST_WORKSPACE ((int64_t)2 << 20)
#define LARGEST_WORK 3e5

static struct {
    int rounds, run, statuses[FC_ERROR_INDEX + 1];
} seen;

/* Overwrites up to four words, and names the case by what it did. */
static void mutate(struct random *random, const char *name, void *desc, size_t bytes) {
    static const int64_t values[] = {0,
                                     -1,
                                     1,
                                     2,
                                     3,
                                     4,
                                     7,
                                     16,
                                     64,
                                     -2,
                                     INT32_MAX,
                                     (int64_t)1 << 31,
                                     ((int64_t)1 << 31) + 1,
                                     INT64_C(0x100000001),
                                     (int64_t)1 << 40,
                                     (int64_t)1 << 47,
                                     (int64_t)1 << 62,
                                     INT64_MAX,
                                     INT64_MIN,
                                     -((int64_t)1 << 33),
                                     -((int64_t)1 << 61)};
    char text[240] = "";
    size_t used = 0;
    int64_t words = (int64_t)(bytes / 8);
    for (int64_t count = random_range(random, 0, 4); count > 0; count--) {
        int64_t word = random_range(random, 0, words - 1), value = RANDOM_OF(random, values);
        char *place = (char *)desc + word * 8;
        int half = random_range(random, 0, 3) == 0 ? (int)random_range(random, 1, 2) : 0;
        if (half) { /* slots, dtypes, enums, and the lower halves of sizes */
            value = random_range(random, -2, 12);
            memcpy(place + (half - 1) * 4, &(int32_t){(int32_t)value}, 4);
        } else {
            memcpy(place, &value, 8);
        }
        used += (size_t)snprintf(text + used, sizeof text - used, ", word %lld%s = %lld",
                                 (long long)word, half ? half == 1 ? " low" : " high" : "",
                                 (long long)value);
    }
    case_begin("round %d: %s%s", seen.rounds, name, text);
}

/* Whether the tensors of a descriptor that was accepted lie in memory, the output apart from the rest. */
static int runnable(const struct scene *scene, const fc_tensor *inputs[], int count,
                    const fc_tensor *y) {
    if (!tensor_fits(scene, y) || tensor_count(y) > 100000 || !tensor_distinct(y)) return 0;
    for (int i = 0; i < count; i++) {
        if (inputs[i]->slot == FC_NO_SLOT) continue;
        if (!tensor_fits(scene, inputs[i]) || inputs[i]->slot == y->slot) return 0;
    }
    return 1;
}

/* Plans; runs and compares if `ready` and the workspace is reasonable. */
static void attempt(struct scene *scene, add_fn add, const struct output *outputs, int count,
                    int (*ready)(const struct scene *, const void *), int threads) {
    const void *desc = outputs[0].desc;
    fc_program *program = program_new();
    fc_status status = add(program, desc);
    int64_t bytes = fc_program_workspace_bytes(program, threads);
    fc_program_threads(program, 8);
    fc_program_destroy(program);
    seen.rounds++;
    if ((unsigned)status > FC_ERROR_INDEX) {
        case_fail("status %d", (int)status);
        return;
    }
    seen.statuses[status]++;
    if (status || bytes < 0 || bytes > LARGEST_WORKSPACE || !ready(scene, desc)) return;
    seen.run++;
    run_step(scene, add, desc, outputs, count, threads);
}

/* ---- convolution ---- */

static fc_status add_conv(fc_program *program, const void *desc) {
    fc_conv2d_desc d = *(const fc_conv2d_desc *)desc;
    int32_t algorithm;
    int64_t bytes;
    fc_status packing = fc_conv2d_packing(program, &d, &algorithm, &bytes);
    fc_status status = fc_program_add_conv2d(program, &d);
    if (packing && status != packing && tensor_count(&d.y) > 0)
        case_fail("packing says %s, adding %s", fc_status_message(packing),
                  fc_status_message(status));
    fc_program *other = program_new();
    if (!packing) d.algorithm = algorithm;
    if (fc_program_add_conv2d_pack(other, &d, 3, 0) && !packing)
        case_fail("the weights cannot be packed");
    fc_program_destroy(other);
    return status;
}

static int conv_ready(const struct scene *scene, const void *desc) {
    const fc_conv2d_desc *d = desc;
    const fc_tensor *inputs[] = {&d->x, &d->weight, &d->bias, &d->addend};
    double work = (double)tensor_count(&d->y) * (double)d->weight.size[1] *
                  (double)d->weight.size[2] * (double)d->weight.size[3];
    return work <= LARGEST_WORK && !d->weight_is_packed && fabs(d->alpha) < 1e6 &&
           runnable(scene, inputs, d->has_addend ? 4 : 3, &d->y);
}

static void fuzz_conv(struct random *random, fc_dtype dtype) {
    struct conv_case c = conv_draw(random, 3e3);
    struct scene scene;
    scene_open(&scene, random_bits(random));
    fc_conv2d_desc d = conv_desc(&scene, &c, dtype);
    mutate(random, "conv2d", &d, sizeof d);
    /* a table of up to 16 GiB is what such kernels deserve: not here */
    for (int a = 2; a < 4; a++)
        if (d.weight.size[a] > 4096) d.weight.size[a] |= (int64_t)1 << 32;
    struct output y = {&d.y, oracle_conv2d, &d};
    attempt(&scene, add_conv, &y, 1, conv_ready, c.threads);
    scene_close(&scene);
}

/* ---- pooling ---- */

static fc_status add_pool(fc_program *program, const void *desc) {
    return fc_program_add_pool2d(program, desc);
}

static int pool_ready(const struct scene *scene, const void *desc) {
    const fc_pool2d_desc *d = desc;
    const fc_tensor *inputs[] = {&d->x};
    double work = (double)tensor_count(&d->y) * (double)d->kernel[0] * (double)d->kernel[1];
    if (work > LARGEST_WORK || !runnable(scene, inputs, 1, &d->y)) return 0;
    const fc_tensor *others[] = {&d->x, &d->y};
    if (d->indices.slot != FC_NO_SLOT && !runnable(scene, others, 2, &d->indices)) return 0;
    for (int a = 0; a < 2 && d->kind == FC_POOL_AVERAGE; a++) /* an average of nothing */
        if (d->pad[a] >= d->kernel[a] ||
            (d->y.size[2 + a] - 1) * d->stride[a] >= d->x.size[2 + a] + d->pad[a])
            return 0;
    return 1;
}

static void fuzz_pool(struct random *random, fc_dtype dtype) {
    struct scene scene;
    scene_open(&scene, random_bits(random));
    int64_t channels = random_range(random, 1, 20), h = random_range(random, 2, 9);
    int64_t w = random_range(random, 2, 30);
    enum layout layout = random_range(random, 0, 1) ? LAYOUT_NHWC : LAYOUT_NCHW;
    fc_pool2d_desc d = {.kernel = {2, 2},
                        .stride = {2, 2},
                        .dilation = {1, 1},
                        .kind = (int32_t)random_range(random, 0, 1),
                        .count_include_pad = (int32_t)random_range(random, 0, 1),
                        .indices = tensor_absent()};
    d.x = tensor_make(&scene, layout, dtype, 2, channels, h, w);
    d.y = tensor_make(&scene, layout, dtype, 2, channels, h / 2, w / 2);
    if (random_range(random, 0, 2) == 0 && d.kind == FC_POOL_MAX)
        d.indices = tensor_make(&scene, layout, FC_INT64, 2, channels, h / 2, w / 2);
    tensor_fill(&scene, &d.x);
    mutate(random, "pool2d", &d, sizeof d);
    struct output results[2] = {{&d.y, oracle_pool2d, &d}, {&d.indices, oracle_pool2d_index, &d}};
    attempt(&scene, add_pool, results, d.indices.slot == FC_NO_SLOT ? 1 : 2, pool_ready,
            random_team(random));
    scene_close(&scene);
}

/* ---- unfold and fold ---- */

static fc_status add_unfold(fc_program *program, const void *desc) {
    return fc_program_add_unfold(program, desc);
}
static fc_status add_fold(fc_program *program, const void *desc) {
    return fc_program_add_fold(program, desc);
}

static int unfold_ready(const struct scene *scene, const void *desc) {
    const fc_columns_desc *d = desc;
    const fc_tensor *inputs[] = {&d->x};
    return runnable(scene, inputs, 1, &d->columns);
}
static int fold_ready(const struct scene *scene, const void *desc) {
    const fc_columns_desc *d = desc;
    const fc_tensor *inputs[] = {&d->columns};
    double work = (double)tensor_count(&d->x) * (double)d->kernel[0] * (double)d->kernel[1];
    return work <= LARGEST_WORK && runnable(scene, inputs, 1, &d->x);
}

static void fuzz_columns(struct random *random, fc_dtype dtype) {
    struct scene scene;
    scene_open(&scene, random_bits(random));
    int64_t channels = random_range(random, 1, 4), h = random_range(random, 3, 8);
    int64_t w = random_range(random, 3, 9);
    fc_columns_desc d = {.kernel = {3, 2},
                         .stride = {1, 1},
                         .dilation = {1, 1},
                         .pad = {1, 0},
                         .output = {h, w - 1}};
    d.x = tensor_make(&scene, LAYOUT_NCHW, dtype, 2, channels, h, w);
    d.columns = tensor_make(&scene, LAYOUT_NCHW, dtype, 2, channels * 6, h * (w - 1), 1);
    tensor_fill(&scene, &d.x);
    tensor_fill(&scene, &d.columns);
    mutate(random, "columns", &d, sizeof d);
    struct output unfolded = {&d.columns, oracle_unfold, &d}, folded = {&d.x, oracle_fold, &d};
    if (random_range(random, 0, 1))
        attempt(&scene, add_unfold, &unfolded, 1, unfold_ready, random_team(random));
    else
        attempt(&scene, add_fold, &folded, 1, fold_ready, random_team(random));
    scene_close(&scene);
}

/* ---- element-wise, softmax, unshared weights ---- */

static fc_status add_elementwise(fc_program *program, const void *desc) {
    return fc_program_add_elementwise(program, desc);
}
static int elementwise_ready(const struct scene *scene, const void *desc) {
    const fc_elementwise_desc *d = desc;
    const fc_tensor *inputs[] = {&d->x};
    if (d->activation > FC_MISH || !(fabs(d->alpha) < 1e6)) return 0;
    if (d->activation == FC_SOFTPLUS && (d->beta != 20 || fabs(d->alpha) < 1e-3)) return 0;
    return runnable(scene, inputs, 1, &d->y);
}

static void fuzz_elementwise(struct random *random, fc_dtype dtype) {
    struct scene scene;
    scene_open(&scene, random_bits(random));
    fc_elementwise_desc d = {
        .activation = (int32_t)random_range(random, 0, FC_MISH), .alpha = 0.7, .beta = 20};
    d.x = tensor_make(&scene, LAYOUT_NHWC, dtype, 2, 3, 4, 9);
    d.y = tensor_make(&scene, LAYOUT_NCHW, dtype, 2, 3, 4, 9);
    tensor_fill(&scene, &d.x);
    mutate(random, "elementwise", &d, sizeof d);
    struct output y = {&d.y, oracle_elementwise, &d};
    attempt(&scene, add_elementwise, &y, 1, elementwise_ready, random_team(random));
    scene_close(&scene);
}

static fc_status add_softmax(fc_program *program, const void *desc) {
    return fc_program_add_softmax(program, desc);
}
static int softmax_ready(const struct scene *scene, const void *desc) {
    const fc_softmax_desc *d = desc;
    const fc_tensor *inputs[] = {&d->x};
    return runnable(scene, inputs, 1, &d->y);
}

static void fuzz_softmax(struct random *random, fc_dtype dtype) {
    struct scene scene;
    scene_open(&scene, random_bits(random));
    fc_softmax_desc d = {.logarithm = (int32_t)random_range(random, 0, 1)};
    d.x = tensor_make(&scene, LAYOUT_NHWC, dtype, 2, 19, 4, 1);
    d.y = tensor_make(&scene, LAYOUT_NCHW, dtype, 2, 19, 4, 1);
    tensor_fill(&scene, &d.x);
    mutate(random, "softmax", &d, sizeof d);
    struct output y = {&d.y, oracle_softmax, &d};
    attempt(&scene, add_softmax, &y, 1, softmax_ready, random_team(random));
    scene_close(&scene);
}

static fc_status add_local(fc_program *program, const void *desc) {
    return fc_program_add_local2d(program, desc);
}
static int local_ready(const struct scene *scene, const void *desc) {
    const fc_local2d_desc *d = desc;
    const fc_tensor *inputs[] = {&d->x, &d->weight, &d->bias};
    return (double)tensor_count(&d->y) * (double)d->weight.size[3] <= LARGEST_WORK &&
           runnable(scene, inputs, 3, &d->y);
}

static void fuzz_local(struct random *random, fc_dtype dtype) {
    struct scene scene;
    scene_open(&scene, random_bits(random));
    fc_local2d_desc d = {.kernel = {3, 2}, .stride = {1, 1}, .dilation = {1, 1}, .pad = {1, 0}};
    d.x = tensor_make(&scene, LAYOUT_NHWC, dtype, 2, 3, 4, 5);
    d.weight = tensor_make(&scene, LAYOUT_NCHW, dtype, 2, 4, 4, 18);
    d.bias = tensor_make(&scene, LAYOUT_NCHW, dtype, 2, 4, 4, 1);
    d.y = tensor_make(&scene, LAYOUT_NCHW, dtype, 2, 2, 4, 4);
    tensor_fill(&scene, &d.x);
    tensor_fill(&scene, &d.weight);
    tensor_fill(&scene, &d.bias);
    mutate(random, "local2d", &d, sizeof d);
    struct output y = {&d.y, oracle_local2d, &d};
    attempt(&scene, add_local, &y, 1, local_ready, random_team(random));
    scene_close(&scene);
}

void suite_fuzz(const struct setting *setting) {
    static void (*const operators[])(struct random *, fc_dtype) = {
        fuzz_conv, fuzz_pool,        fuzz_conv,    fuzz_columns,
        fuzz_conv, fuzz_elementwise, fuzz_softmax, fuzz_local,
    };
    struct random random = {61};
    suite_begin("fuzz", setting);
    memset(&seen, 0, sizeof seen);
    int rounds = setting->small ? 400 : 3000;
    for (int round = 0; round < rounds; round++) {
        case_begin("round %d", round);
        operators[round % 8](&random, setting->dtype);
        case_end();
    }
    case_begin("the mix of rounds");
    if (seen.run < rounds / 10) case_fail("only %d of %d ran", seen.run, rounds);
    static const fc_status usual[] = {FC_OK, FC_ERROR_ARGUMENT, FC_ERROR_SHAPE, FC_ERROR_OVERFLOW,
                                      FC_ERROR_UNSUPPORTED};
    for (size_t s = 0; s < sizeof usual / sizeof usual[0]; s++)
        if (seen.statuses[usual[s]] < rounds / 100)
            case_fail("%d times: %s", seen.statuses[usual[s]], fc_status_message(usual[s]));
    case_end();
    suite_end();
}
