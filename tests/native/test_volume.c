/* test_volume.c: convolutions of volumes and transposed ones, drawn at random.
 *
 * A volume is a four-axis tensor of the harness whose rows are (depth, height) pairs.
 */
#include <math.h>

#include "harness.h"

/* The descriptor comes first: the contract sees it, the oracle the tensors. */
struct volume_case {
    fc_conv3d_desc desc;
    fc_tensor x, weight, y;
};

static fc_volume volume_of(const fc_tensor *t, int64_t depth) {
    int64_t rows = t->size[2] / depth;
    return (fc_volume){
        .slot = t->slot,
        .dtype = t->dtype,
        .offset_bytes = t->offset_bytes,
        .size = {t->size[0], t->size[1], depth, rows, t->size[3]},
        .stride = {t->stride[0], t->stride[1], t->stride[2] * rows, t->stride[2], t->stride[3]},
    };
}

/* Where padding shows an element of the axis, step by step from the edge; -1: a constant. */
static int64_t shown(int32_t mode, int64_t i, int64_t size) {
    if (mode == FC_PAD_CONSTANT) return i >= 0 && i < size ? i : -1;
    int64_t step = mode == FC_PAD_CIRCULAR ? size : 1;
    while (i < 0) i = mode == FC_PAD_REFLECT ? -i : i + step;
    while (i >= size) i = mode == FC_PAD_REFLECT ? size - 1 - (i - size + 1) : i - step;
    return i;
}

/* The place in x that output `o` takes tap `t` of axis `a` from, or -1. */
static int64_t source(const fc_conv3d_desc *d, int a, int64_t o, int64_t t) {
    int64_t shift = t * d->dilation[a] - d->pad[a];
    int64_t i = d->transposed ? o - shift : o * d->stride[a] + shift;
    if (d->transposed) {
        if (i < 0 || i % d->stride[a]) return -1;
        i /= d->stride[a];
    }
    return shown(d->pad_mode, i, d->x.size[2 + a]);
}

static struct expected oracle_volume(const struct scene *scene, const void *desc,
                                     const int64_t at[4]) {
    const struct volume_case *c = desc;
    const fc_conv3d_desc *d = &c->desc;
    const int64_t *kernel = d->weight.size + 2;
    int64_t filters = d->y.size[1] / d->groups, channels = d->x.size[1] / d->groups;
    int64_t g = at[1] / filters, o = at[2] / d->y.size[3], p = at[2] % d->y.size[3], terms = 0;
    real sum = 0, magnitude = 0;
    for (int64_t i = 0; i < channels; i++)
        for (int64_t t = 0; t < kernel[0]; t++)
            for (int64_t r = 0; r < kernel[1]; r++)
                for (int64_t s = 0; s < kernel[2]; s++) {
                    int64_t z = source(d, 0, o, t), h = source(d, 1, p, r);
                    int64_t w = source(d, 2, at[3], s), row = t * kernel[1] + r;
                    if (z < 0 || h < 0 || w < 0) continue;
                    int64_t first = d->transposed ? g * channels + i : at[1];
                    int64_t second = d->transposed ? at[1] % filters : i;
                    real product =
                        tensor_get(scene, &c->x, at[0], g * channels + i, z * d->x.size[3] + h, w) *
                        tensor_get(scene, &c->weight, first, second, row, s);
                    sum += product;
                    magnitude += fabsl(product);
                    terms++;
                }
    if (d->bias.slot != FC_NO_SLOT) {
        real bias = tensor_get(scene, &d->bias, at[1], 0, 0, 0);
        sum += bias;
        magnitude += fabsl(bias);
    }
    struct expected y = {sum, sum_bound(d->x.dtype, terms, magnitude)};
    return activated(d->x.dtype, d->activation, d->alpha, y);
}

static fc_status add(fc_program *program, const void *desc) {
    return fc_program_add_conv3d(program, desc);
}

/* Packs into a slot of its own; the descriptor then names that. */
static void pack(struct scene *scene, fc_conv3d_desc *d) {
    fc_program *program = program_new();
    int64_t bytes = 0;
    fc_status status = fc_conv3d_packing(program, d, &d->algorithm, &bytes);
    if (!status) {
        int slot = scene_slot(scene, bytes);
        status = fc_program_add_conv3d_pack(program, d, slot, 0);
        if (!status) execute(scene, program, 2);
        d->weight.slot = slot;
        d->weight.offset_bytes = 0;
        d->weight_is_packed = 1;
    }
    if (status) case_fail("packing: %s", fc_status_message(status));
    fc_program_destroy(program);
}

/* Sizes of x and y along an axis; 0 where nothing is left. */
static int64_t output_size(struct random *random, const fc_conv3d_desc *d, int a, int64_t kernel,
                           int64_t size) {
    int64_t extent = (kernel - 1) * d->dilation[a] + 1, end = random_range(random, 0, 2);
    if (d->transposed) return (size - 1) * d->stride[a] + extent - d->pad[a] - end + 2;
    int64_t span = size + d->pad[a] + end - extent;
    return span < 0 ? 0 : span / d->stride[a] + 1;
}

static void check(struct random *random, fc_dtype dtype) {
    struct volume_case c = {.desc = {.transposed = (int32_t)random_range(random, 0, 1)}};
    fc_conv3d_desc *d = &c.desc;
    if (!d->transposed) d->pad_mode = (int32_t)random_range(random, 0, FC_PAD_CIRCULAR);
    static const int64_t counts[] = {1, 1, 2, 3, 5, 17}, groups[] = {1, 1, 1, 2, 3};
    int64_t kernel[3], size[3], output[3], axes = random_range(random, 1, 3);
    d->groups = RANDOM_OF(random, groups);
    int64_t channels = RANDOM_OF(random, counts), filters = RANDOM_OF(random, counts);
    for (int a = 0; a < 3; a++) {
        int used = a >= 3 - axes;
        kernel[a] = used ? random_range(random, 1, 4) : 1;
        d->stride[a] = used ? random_range(random, 1, 4) : 1;
        d->dilation[a] = used ? random_range(random, 1, 3) : 1;
        d->pad[a] = used ? random_range(random, 0, 4) : 0;
        size[a] = used ? random_range(random, d->pad_mode ? 5 : 1, 6) : 1;
        output[a] = used ? output_size(random, d, a, kernel[a], size[a]) : 1;
        if (output[a] < 1) return;
    }
    d->algorithm = (int32_t)random_range(random, FC_ALGORITHM_AUTO, FC_ALGORITHM_PLANAR);
    d->activation = (int32_t)random_range(random, FC_IDENTITY, FC_MISH);
    d->alpha = -0.3;
    int64_t n = random_range(random, 1, 3), inputs = d->groups * channels;
    int64_t outputs = d->groups * filters;
    int threads = random_team(random), packed = random_range(random, 0, 1) == 1;
    uint64_t seed = random_bits(random);
    case_begin(
        "volume seed %llu: transposed %d, n %lld, %lld groups of %lld -> %lld, %lldx%lldx%lld -> "
        "%lldx%lldx%lld, kernel %lldx%lldx%lld, padding %d, algorithm %d, packed %d, %d threads",
        (unsigned long long)seed, (int)d->transposed, (long long)n, (long long)d->groups,
        (long long)channels, (long long)filters, (long long)size[0], (long long)size[1],
        (long long)size[2], (long long)output[0], (long long)output[1], (long long)output[2],
        (long long)kernel[0], (long long)kernel[1], (long long)kernel[2], (int)d->pad_mode,
        (int)d->algorithm, packed, threads);
    struct scene scene;
    scene_open(&scene, seed);
    enum layout layouts[3];
    for (int t = 0; t < 3; t++)
        layouts[t] =
            (enum layout)random_range(random, 0, t < 2 ? LAYOUT_INPUT_COUNT - 1 : LAYOUT_COUNT - 1);
    if (random_range(random, 0, 2) == 0) layouts[0] = layouts[2] = LAYOUT_NHWC;
    c.x = tensor_make(&scene, layouts[0], dtype, n, inputs, size[0] * size[1], size[2]);
    c.weight = tensor_make(&scene, layouts[1], dtype, d->transposed ? inputs : outputs,
                           d->transposed ? filters : channels, kernel[0] * kernel[1], kernel[2]);
    d->bias = random_range(random, 0, 2) ? tensor_make(&scene, LAYOUT_NCHW, dtype, outputs, 1, 1, 1)
                                         : tensor_absent();
    c.y = tensor_make(&scene, layouts[2], dtype, n, outputs, output[0] * output[1], output[2]);
    tensor_fill(&scene, &c.x);
    tensor_fill(&scene, &c.weight);
    if (d->bias.slot != FC_NO_SLOT) tensor_fill(&scene, &d->bias);
    d->x = volume_of(&c.x, size[0]);
    d->weight = volume_of(&c.weight, kernel[0]);
    d->y = volume_of(&c.y, output[0]);
    struct volume_case plain = c;
    if (packed) pack(&scene, d);
    struct output y = {&plain.y, oracle_volume, &plain};
    if (!case_failed()) run_step(&scene, add, d, &y, 1, threads);
    scene_close(&scene);
    case_end();
}

/* What the contract refuses. */
static void refusals(fc_dtype dtype) {
    fc_volume one = {.slot = 1, .dtype = dtype, .size = {1, 1, 1, 1, 1}, .stride = {1, 1, 1, 1, 1}};
    fc_conv3d_desc good = {.x = one,
                           .weight = one,
                           .bias = {.slot = FC_NO_SLOT},
                           .y = one,
                           .stride = {1, 1, 1},
                           .dilation = {1, 1, 1},
                           .groups = 1};
    struct {
        fc_conv3d_desc desc;
        fc_status status;
    } cases[] = {{good, FC_OK},
                 {good, FC_ERROR_ARGUMENT},
                 {good, FC_ERROR_ARGUMENT},
                 {good, FC_ERROR_ARGUMENT},
                 {good, FC_ERROR_SHAPE},
                 {good, FC_ERROR_SHAPE},
                 {good, FC_ERROR_OVERFLOW},
                 {good, FC_ERROR_OVERFLOW},
                 {good, FC_ERROR_OVERFLOW},
                 {good, FC_ERROR_UNSUPPORTED},
                 {good, FC_ERROR_UNSUPPORTED},
                 {good, FC_ERROR_UNSUPPORTED}};
    cases[1].desc.stride[0] = 0;
    cases[2].desc.pad[2] = -1;
    cases[3].desc.weight.size[2] = 0;
    cases[4].desc.x.size[1] = 2;
    cases[5].desc.y.size[0] = 2;
    cases[6].desc.y.size[4] = (int64_t)1 << 40;
    cases[7].desc.x.stride[2] = INT64_MAX;
    cases[8].desc.dilation[1] = (int64_t)1 << 40;
    cases[9].desc.weight.dtype = FC_INT8;
    cases[10].desc.algorithm = 99;
    cases[11].desc.pad_mode = 4;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        case_begin("volume, refusal %zu", i);
        fc_program *program = program_new();
        fc_status status = fc_program_add_conv3d(program, &cases[i].desc);
        if (status != cases[i].status) case_fail("%s", fc_status_message(status));
        fc_program_destroy(program);
        case_end();
    }
}

/* ---- padding ---- */

struct pad_case {
    fc_pad_desc desc;
    fc_tensor x, y;
};

static struct expected oracle_pad(const struct scene *scene, const void *desc,
                                  const int64_t at[4]) {
    const struct pad_case *c = desc;
    const fc_pad_desc *d = &c->desc;
    int64_t place[5] = {at[0], at[1], at[2] / d->y.size[3], at[2] % d->y.size[3], at[3]};
    for (int a = 0; a < 5; a++) {
        place[a] = shown(d->mode, place[a] - d->before[a], d->x.size[a]);
        if (place[a] < 0) return (struct expected){d->value, 0};
    }
    return (struct expected){
        tensor_get(scene, &c->x, place[0], place[1], place[2] * d->x.size[3] + place[3], place[4]),
        0};
}

static fc_status add_pad(fc_program *program, const void *desc) {
    return fc_program_add_pad(program, desc);
}

static void check_pad(struct random *random, fc_dtype dtype) {
    struct pad_case c = {
        .desc = {.mode = (int32_t)random_range(random, 0, FC_PAD_CIRCULAR), .value = 7}};
    fc_pad_desc *d = &c.desc;
    int64_t x[5], y[5];
    for (int a = 0; a < 5; a++) {
        x[a] = random_range(random, 3, a == 4 ? 40 : 4);
        d->before[a] = random_range(random, -2, a < 2 ? 0 : 2);
        y[a] = x[a] + d->before[a] + random_range(random, d->before[a] < -1 ? 0 : -1, 2);
    }
    int threads = random_team(random);
    uint64_t seed = random_bits(random);
    case_begin("pad seed %llu: mode %d, dtype %d, %d threads", (unsigned long long)seed,
               (int)d->mode, (int)dtype, threads);
    struct scene scene;
    scene_open(&scene, seed);
    enum layout layouts[2] = {(enum layout)random_range(random, 0, LAYOUT_INPUT_COUNT - 1),
                              (enum layout)random_range(random, 0, LAYOUT_COUNT - 1)};
    c.x = tensor_make(&scene, layouts[0], dtype, x[0], x[1], x[2] * x[3], x[4]);
    c.y = tensor_make(&scene, layouts[1], dtype, y[0], y[1], y[2] * y[3], y[4]);
    tensor_fill(&scene, &c.x);
    d->x = volume_of(&c.x, x[2]);
    d->y = volume_of(&c.y, y[2]);
    struct output output = {&c.y, oracle_pad, &c};
    run_step(&scene, add_pad, d, &output, 1, threads);
    scene_close(&scene);
    case_end();
}

void suite_pad(const struct setting *setting) {
    struct random random = {31};
    suite_begin("pad", setting);
    for (int i = 0; i < (setting->small ? 60 : 200); i++)
        check_pad(&random, (fc_dtype)(i % (FC_UINT64 + 1)));
    suite_end();
}

void suite_volume(const struct setting *setting) {
    struct random random = {29};
    suite_begin("volume", setting);
    for (int i = 0; i < (setting->small ? 60 : 600); i++) check(&random, setting->dtype);
    refusals(setting->dtype);
    suite_end();
}
