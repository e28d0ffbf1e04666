/* test_pool2d.c: maxima with indices, ties and NaN; averages by every divisor; integers. */
#include "harness.h"

static fc_status add(fc_program *program, const void *desc) {
    return fc_program_add_pool2d(program, desc);
}

/* Outputs along an axis whose windows begin inside the image or the padding before it. */
static int64_t outputs(const fc_pool2d_desc *d, int a, int64_t size, int ceiling) {
    int64_t room = size + d->pad[a] + d->pad[2 + a] - (d->kernel[a] - 1) * d->dilation[a] - 1;
    if (room < 0) return 0;
    int64_t count = (room + (ceiling ? d->stride[a] - 1 : 0)) / d->stride[a] + 1;
    if ((count - 1) * d->stride[a] >= size + d->pad[a]) count--; /* wholly in the end's padding */
    return count;
}

/* Window, strides and paddings (at most half a window, so that none is empty). */
static fc_pool2d_desc draw(struct random *random, int32_t kind) {
    static const int64_t kernels[] = {1, 2, 2, 3, 3, 4, 5, 7};
    static const int64_t strides[] = {1, 2, 2, 3, 4};
    fc_pool2d_desc d = {.kind = kind, .indices = tensor_absent()};
    for (int a = 0; a < 2; a++) {
        d.kernel[a] = RANDOM_OF(random, kernels);
        d.stride[a] = RANDOM_OF(random, strides);
        d.dilation[a] = random_range(random, 1, 3);
        d.pad[a] = random_range(random, 0, d.kernel[a] / 2);
        d.pad[2 + a] = random_range(random, 0, 2) ? d.pad[a] : random_range(random, 0, 2);
    }
    if (kind == FC_POOL_AVERAGE) {
        d.count_include_pad = (int32_t)random_range(random, 0, 1);
        d.divisor_override = random_range(random, 0, 3) ? 0 : random_range(random, 1, 9);
        if (random_range(random, 0, 9) == 0) d.divisor_override = -2;
    }
    return d;
}

/* One pool drawn at random, of one dtype; indices for some of the maxima. */
static void check(struct random *random, fc_dtype dtype, int32_t kind, int nan, int threads) {
    fc_pool2d_desc d = draw(random, kind);
    int64_t n = random_range(random, 1, 3), channels = random_range(random, 1, 40), p = 0, q = 0;
    int64_t h, w;
    do {
        h = random_range(random, 1, 14);
        w = random_range(random, 1, random_range(random, 0, 3) ? 20 : 90);
        p = outputs(&d, 0, h, (int)random_range(random, 0, 1));
        q = outputs(&d, 1, w, (int)random_range(random, 0, 1));
        /* wider dilated windows than images are tall: not every draw fits */
        if (p < 1 || q < 1) d.dilation[0] = d.dilation[1] = 1;
    } while (p < 1 || q < 1);
    enum layout x = (enum layout)random_range(random, 0, LAYOUT_INPUT_COUNT - 1);
    enum layout y = random_range(random, 0, 3) && x != LAYOUT_BROADCAST
                        ? x
                        : (enum layout)random_range(random, 0, LAYOUT_COUNT - 1);
    int with_indices = kind == FC_POOL_MAX && random_range(random, 0, 2) == 0;
    uint64_t seed = random_bits(random);
    case_begin("pool kind %d of %s seed %llu: %lldx%lldx%lldx%lld -> %lldx%lld, kernel %lld %lld, "
               "stride %lld %lld, dilation %lld %lld, pad %lld %lld %lld %lld, override %lld, "
               "include %d, indices %d, layouts %d %d, %d threads",
               kind, dtype_name(dtype), (unsigned long long)seed, (long long)n, (long long)channels,
               (long long)h, (long long)w, (long long)p, (long long)q, (long long)d.kernel[0],
               (long long)d.kernel[1], (long long)d.stride[0], (long long)d.stride[1],
               (long long)d.dilation[0], (long long)d.dilation[1], (long long)d.pad[0],
               (long long)d.pad[1], (long long)d.pad[2], (long long)d.pad[3],
               (long long)d.divisor_override, d.count_include_pad, with_indices, (int)x, (int)y,
               threads);
    struct scene scene;
    scene_open(&scene, seed);
    d.x = tensor_make(&scene, x, dtype, n, channels, h, w);
    d.y = tensor_make(&scene, y, dtype, n, channels, p, q);
    if (with_indices) d.indices = tensor_make(&scene, y, FC_INT64, n, channels, p, q);
    if (kind == FC_POOL_MAX && dtype != FC_UINT8 && random_range(random, 0, 1))
        tensor_fill_ties(&scene, &d.x, nan);
    else
        tensor_fill(&scene, &d.x);
    struct output results[2] = {{&d.y, oracle_pool2d, &d}, {&d.indices, oracle_pool2d_index, &d}};
    run_step(&scene, add, &d, results, 1 + with_indices, threads);
    scene_close(&scene);
    case_end();
}

/* Windows that lie wholly in the padding: the lowest value, and position 0. */
static void empty_windows(fc_dtype dtype, enum layout layout, int indices) {
    case_begin("empty windows, layout %d, indices %d", (int)layout, indices);
    struct scene scene;
    scene_open(&scene, 11);
    fc_pool2d_desc d = {.kind = FC_POOL_MAX,
                        .kernel = {2, 2},
                        .stride = {1, 1},
                        .dilation = {1, 1},
                        .pad = {3, 4, 3, 4},
                        .indices = tensor_absent()};
    d.x = tensor_make(&scene, layout, dtype, 1, 3, 2, 3);
    d.y = tensor_make(&scene, layout, dtype, 1, 3, 7, 10);
    if (indices) d.indices = tensor_make(&scene, layout, FC_INT64, 1, 3, 7, 10);
    tensor_fill(&scene, &d.x);
    struct output results[2] = {{&d.y, oracle_pool2d, &d}, {&d.indices, oracle_pool2d_index, &d}};
    run_step(&scene, add, &d, results, 1 + indices, 1);
    scene_close(&scene);
    case_end();
}

void suite_pool2d(const struct setting *setting) {
    struct random random = {7};
    suite_begin("pool2d", setting);
    for (int i = 0; i < (setting->small ? 80 : 700); i++)
        check(&random, setting->dtype, i % 2 ? FC_POOL_MAX : FC_POOL_AVERAGE, i % 4 == 1,
              random_team(&random));
    for (int layout = 0; layout < LAYOUT_COUNT; layout++)
        for (int indices = 0; indices < 2; indices++)
            empty_windows(setting->dtype, (enum layout)layout, indices);
    suite_end();
}

void suite_pool2d_integers(const struct setting *setting) {
    struct random random = {8};
    suite_begin("pool2d of integers", setting);
    for (int dtype = FC_INT8; dtype <= FC_UINT64; dtype++)
        for (int i = 0; i < (setting->small ? 5 : 25); i++)
            check(&random, (fc_dtype)dtype, FC_POOL_MAX, 0, random_team(&random));
    for (int dtype = FC_INT8; dtype <= FC_UINT64; dtype++)
        empty_windows((fc_dtype)dtype, LAYOUT_NCHW, 1);
    suite_end();
}
