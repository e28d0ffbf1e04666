/* conv_case.c: draws convolutions, makes their tensors, runs them. */
#include "conv_case.h"

struct conv_case conv_plain(int64_t channels, int64_t filters, int64_t h, int64_t w, int64_t r,
                            int64_t s) {
    struct conv_case c = {.n = 1,
                          .channels = channels,
                          .filters = filters,
                          .groups = 1,
                          .h = h,
                          .w = w,
                          .r = r,
                          .s = s,
                          .stride = {1, 1},
                          .dilation = {1, 1},
                          .bias = 1,
                          .threads = 1};
    conv_fit(&c, 0, 0);
    return c;
}

void conv_fit(struct conv_case *c, int64_t end_pad_h, int64_t end_pad_w) {
    c->p = (c->h + c->pad[0] + end_pad_h - (c->r - 1) * c->dilation[0] - 1) / c->stride[0] + 1;
    c->q = (c->w + c->pad[1] + end_pad_w - (c->s - 1) * c->dilation[1] - 1) / c->stride[1] + 1;
}

double conv_work(const struct conv_case *c) {
    double outputs = (double)(c->n * c->groups * c->filters) * (double)(c->p * c->q);
    return outputs * (double)(c->channels * c->r * c->s);
}

void conv_tile(struct conv_case *c, int tile) {
    static const int tiles[CONV_TILES][5] = {
        /* patch height and width, filter height and width, stride */
        {4, 4, 3, 3, 1}, {4, 6, 3, 3, 1}, {6, 4, 3, 3, 1}, {6, 6, 3, 3, 1}, {6, 6, 5, 5, 1},
        {8, 8, 5, 5, 1}, {5, 5, 3, 3, 2}, {9, 9, 3, 3, 2}, {1, 6, 1, 3, 1}, {1, 8, 1, 5, 1},
        {1, 8, 1, 7, 1}, {6, 1, 3, 1, 1}, {8, 1, 5, 1, 1}, {8, 1, 7, 1, 1}, {7, 7, 3, 3, 1}};
    const int *t = tiles[tile];
    c->algorithm = FC_ALGORITHM_WINOGRAD | t[0] << 8 | t[1] << 12;
    c->r = t[2];
    c->s = t[3];
    for (int a = 0; a < 2; a++) {
        c->stride[a] = t[4];
        c->dilation[a] = 1;
    }
}

static struct conv_case draw(struct random *random) {
    static const int64_t groups[] = {1, 1, 1, 1, 2, 3, 5};
    static const int64_t channels[] = {1, 1, 2, 3, 4, 5, 7, 8, 16, 17, 33};
    static const int64_t filters[] = {1, 2, 3, 4, 7, 8, 9, 12, 16, 17, 24, 33, 40, 64, 65, 80};
    static const int64_t kernels[] = {1, 1, 2, 3, 3, 3, 4, 5, 7};
    static const int64_t steps[] = {1, 1, 1, 2, 2, 3, 4};
    static const int64_t dilations[] = {1, 1, 1, 2, 3};
    struct conv_case c = {
        .n = random_range(random, 1, 3),
        .groups = RANDOM_OF(random, groups),
        .channels = RANDOM_OF(random, channels),
        .filters = RANDOM_OF(random, filters),
        .r = RANDOM_OF(random, kernels),
        .s = RANDOM_OF(random, kernels),
        .activation = (int32_t)random_range(random, FC_IDENTITY, FC_MISH),
        .algorithm = (int32_t)random_range(random, FC_ALGORITHM_AUTO, FC_ALGORITHM_PLANAR),
        .bias = random_range(random, 0, 2) > 0,
        .packed = random_range(random, 0, 2) == 0,
        .threads = random_team(random),
        .x = (enum layout)random_range(random, 0, LAYOUT_INPUT_COUNT - 1),
        .weight = (enum layout)random_range(random, 0, LAYOUT_INPUT_COUNT - 1),
        .y = (enum layout)random_range(random, 0, LAYOUT_COUNT - 1),
        .adds = random_range(random, 0, 2) == 0,
        .addend = (enum layout)random_range(random, 0, LAYOUT_INPUT_COUNT - 1),
    };
    if (random_range(random, 0, 3)) c.weight = LAYOUT_NCHW;
    if (random_range(random, 0, 2) == 0) c.x = c.y = c.addend = LAYOUT_NHWC;
    int steps_alike = 0;
    if (random_range(random, 0, 5) == 0) { /* depthwise */
        c.groups = RANDOM_OF(random, channels);
        c.channels = 1;
        c.filters = random_range(random, 1, 2);
        if (random_range(random, 0, 2)) c.algorithm = FC_ALGORITHM_DEPTHWISE;
        if (random_range(random, 0, 1)) c.r = c.s = 2 * random_range(random, 1, 3) + 1;
        if (random_range(random, 0, 1)) steps_alike = 1;
    }
    for (int a = 0; a < 2; a++) {
        c.stride[a] = RANDOM_OF(random, steps);
        c.dilation[a] = RANDOM_OF(random, dilations);
        c.pad[a] = random_range(random, 0, 1) ? random_range(random, 0, 4) : 0;
    }
    if (steps_alike) {
        c.stride[0] = c.stride[1] = random_range(random, 1, 2);
        c.dilation[0] = c.dilation[1] = 1;
    }
    if (random_range(random, 0, 5) == 0) { /* what Winograd's algorithm takes */
        conv_tile(&c, (int)random_range(random, 0, CONV_TILES - 1));
        if (random_range(random, 0, 2) == 0) c.algorithm = FC_ALGORITHM_WINOGRAD;
        if (random_range(random, 0, 2) == 0) c.algorithm = FC_ALGORITHM_AUTO;
        if (c.r == 3 && c.stride[0] == 1 && random_range(random, 0, 2) == 0)
            c.algorithm = FC_ALGORITHM_WINOGRAD_ROWS;
    }
    int64_t tallest = (c.r - 1) * c.dilation[0] + 1, widest = (c.s - 1) * c.dilation[1] + 1;
    c.h = random_range(random, 1, 14) + (tallest > c.pad[0] ? tallest - c.pad[0] - 1 : 0);
    c.w = random_range(random, 1, 24) + (widest > c.pad[1] ? widest - c.pad[1] - 1 : 0);
    conv_fit(&c, random_range(random, 0, 2), random_range(random, 0, 2));
    return c;
}

struct conv_case conv_draw(struct random *random, double work) {
    struct conv_case c;
    do c = draw(random);
    while (conv_work(&c) > work);
    return c;
}

fc_conv2d_desc conv_desc(struct scene *scene, const struct conv_case *c, fc_dtype dtype) {
    int64_t filters = c->groups * c->filters;
    enum layout bias = c->weight == LAYOUT_NCHW ? LAYOUT_NCHW : LAYOUT_STEPS;
    fc_conv2d_desc d = {
        .x = tensor_make(scene, c->x, dtype, c->n, c->groups * c->channels, c->h, c->w),
        .weight = tensor_make(scene, c->weight, dtype, filters, c->channels, c->r, c->s),
        .bias = c->bias ? tensor_make(scene, bias, dtype, filters, 1, 1, 1) : tensor_absent(),
        .y = tensor_make(scene, c->y, dtype, c->n, filters, c->p, c->q),
        .stride = {c->stride[0], c->stride[1]},
        .pad = {c->pad[0], c->pad[1]},
        .dilation = {c->dilation[0], c->dilation[1]},
        .groups = c->groups,
        .shuffle = c->shuffle,
        .activation = c->activation,
        .algorithm = c->algorithm,
        .alpha = -0.3,
        .has_addend = c->adds,
    };
    tensor_fill(scene, &d.x);
    tensor_fill(scene, &d.weight);
    if (c->adds) {
        d.addend = tensor_make(scene, c->addend, dtype, c->n, filters, c->p, c->q);
        tensor_fill(scene, &d.addend);
    }
    if (c->bias) tensor_fill(scene, &d.bias);
    if (d.algorithm == FC_ALGORITHM_WINOGRAD) { /* its bound is that of the planner's tile */
        fc_program *program = program_new();
        int64_t bytes = 0;
        fc_status status = fc_conv2d_packing(program, &d, &d.algorithm, &bytes);
        if (status) case_fail("packing: %s", fc_status_message(status));
        fc_program_destroy(program);
    }
    return d;
}

fc_conv2d_desc conv_packed(struct scene *scene, const fc_conv2d_desc *desc) {
    fc_conv2d_desc d = *desc;
    fc_program *program = program_new();
    int64_t bytes = 0;
    fc_status status = fc_conv2d_packing(program, &d, &d.algorithm, &bytes);
    if (!status) {
        int slot = scene_slot(scene, bytes);
        status = fc_program_add_conv2d_pack(program, &d, slot, 0);
        if (!status) execute(scene, program, 2);
        d.weight.slot = slot;
        d.weight.offset_bytes = 0;
        d.weight_is_packed = 1;
    }
    if (status) case_fail("packing: %s", fc_status_message(status));
    fc_program_destroy(program);
    return d;
}

static fc_status add(fc_program *program, const void *desc) {
    return fc_program_add_conv2d(program, desc);
}

void conv_check(const struct conv_case *c, fc_dtype dtype, uint64_t seed) {
    case_begin("conv2d seed %llu: n %lld, %lld groups of %lld -> %lld, %lldx%lld -> %lldx%lld, "
               "kernel %lldx%lld, stride %lld %lld, pad %lld %lld, dilation %lld %lld, bias %d, "
               "activation %d, algorithm %d, packed %d, adds %d, layouts %d %d %d %d, %d threads",
               (unsigned long long)seed, (long long)c->n, (long long)c->groups,
               (long long)c->channels, (long long)c->filters, (long long)c->h, (long long)c->w,
               (long long)c->p, (long long)c->q, (long long)c->r, (long long)c->s,
               (long long)c->stride[0], (long long)c->stride[1], (long long)c->pad[0],
               (long long)c->pad[1], (long long)c->dilation[0], (long long)c->dilation[1], c->bias,
               (int)c->activation, (int)c->algorithm, c->packed, c->adds, (int)c->x, (int)c->weight,
               (int)c->y, (int)c->addend, c->threads);
    struct scene scene;
    scene_open(&scene, seed);
    fc_conv2d_desc plain = conv_desc(&scene, c, dtype), d = plain;
    if (c->packed) d = conv_packed(&scene, &plain);
    plain.algorithm = d.algorithm; /* what auto stands for has its own bound */
    struct output y = {&plain.y, oracle_conv2d, &plain};
    if (!case_failed()) run_step(&scene, add, &d, &y, 1, c->threads);
    scene_close(&scene);
    case_end();
}
