/* test_local2d.c: convolution with weights of its own at every place. */
#include "harness.h"

static fc_status add(fc_program *program, const void *desc) {
    return fc_program_add_local2d(program, desc);
}

static void check(struct random *random, fc_dtype dtype, int threads, int64_t most_channels) {
    fc_local2d_desc d = {0};
    int64_t size[2], output[2];
    for (int a = 0; a < 2; a++) {
        d.kernel[a] = random_range(random, 1, 3);
        d.stride[a] = random_range(random, 1, 2);
        d.dilation[a] = random_range(random, 1, 2);
        d.pad[a] = random_range(random, 0, 2);
        int64_t window = (d.kernel[a] - 1) * d.dilation[a] + 1;
        size[a] = random_range(random, 1, 7) + window;
        output[a] = (size[a] + d.pad[a] + random_range(random, 0, 2) - window) / d.stride[a] + 1;
    }
    int64_t n = random_range(random, 1, 4), channels = random_range(random, 1, most_channels);
    int64_t filters = random_range(random, 1, 5), depth = channels * d.kernel[0] * d.kernel[1];
    int bias = random_range(random, 0, 1) == 1;
    uint64_t seed = random_bits(random);
    case_begin("local2d seed %llu: %lldx%lldx%lldx%lld -> %lldx%lldx%lld, kernel %lld %lld, stride "
               "%lld %lld, pad %lld %lld, dilation %lld %lld, bias %d, %d threads",
               (unsigned long long)seed, (long long)n, (long long)channels, (long long)size[0],
               (long long)size[1], (long long)filters, (long long)output[0], (long long)output[1],
               (long long)d.kernel[0], (long long)d.kernel[1], (long long)d.stride[0],
               (long long)d.stride[1], (long long)d.pad[0], (long long)d.pad[1],
               (long long)d.dilation[0], (long long)d.dilation[1], bias, threads);
    struct scene scene;
    scene_open(&scene, seed);
    enum layout layouts[4];
    for (int t = 0; t < 4; t++) layouts[t] = (enum layout)random_range(random, 0, LAYOUT_COUNT - 1);
    d.x = tensor_make(&scene, layouts[0], dtype, n, channels, size[0], size[1]);
    d.weight = tensor_make(&scene, layouts[1], dtype, filters, output[0], output[1], depth);
    d.bias = bias ? tensor_make(&scene, layouts[2], dtype, filters, output[0], output[1], 1)
                  : tensor_absent();
    d.y = tensor_make(&scene, layouts[3], dtype, n, filters, output[0], output[1]);
    tensor_fill(&scene, &d.x);
    tensor_fill(&scene, &d.weight);
    if (bias) tensor_fill(&scene, &d.bias);
    struct output y = {&d.y, oracle_local2d, &d};
    run_step(&scene, add, &d, &y, 1, threads);
    scene_close(&scene);
    case_end();
}

void suite_local2d(const struct setting *setting) {
    struct random random = {17};
    suite_begin("local2d", setting);
    for (int i = 0; i < (setting->small ? 30 : 250); i++)
        check(&random, setting->dtype, random_team(&random), 8);
    /* patches so long that few images are gathered at a time */
    for (int i = 0; i < 2 && !setting->small; i++) check(&random, setting->dtype, 2, 12000);
    suite_end();
}
