/* test_columns.c: unfold and its adjoint, fold. */
#include "harness.h"

static fc_status add_unfold(fc_program *program, const void *desc) {
    return fc_program_add_unfold(program, desc);
}
static fc_status add_fold(fc_program *program, const void *desc) {
    return fc_program_add_fold(program, desc);
}

static fc_columns_desc draw(struct random *random, int64_t size[2]) {
    static const int64_t kernels[] = {1, 2, 3, 3, 5};
    fc_columns_desc d = {0};
    for (int a = 0; a < 2; a++) {
        d.kernel[a] = RANDOM_OF(random, kernels);
        d.stride[a] = random_range(random, 1, 3);
        d.dilation[a] = random_range(random, 1, 3);
        d.pad[a] = random_range(random, 0, 4);
        int64_t window = (d.kernel[a] - 1) * d.dilation[a] + 1;
        size[a] = random_range(random, 1, 12) + (window > d.pad[a] ? window - d.pad[a] - 1 : 0);
        int64_t end_pad = random_range(random, 0, 4);
        d.output[a] = (size[a] + d.pad[a] + end_pad - window) / d.stride[a] + 1;
    }
    return d;
}

static void check(struct random *random, fc_dtype dtype, int folding, int threads) {
    int64_t size[2];
    fc_columns_desc d = draw(random, size);
    int64_t n = random_range(random, 1, 3), channels = random_range(random, 1, 6);
    enum layout x = (enum layout)random_range(random, 0, LAYOUT_COUNT - 1);
    enum layout columns = (enum layout)random_range(random, 0, LAYOUT_COUNT - 1);
    uint64_t seed = random_bits(random);
    case_begin("%s seed %llu: %lldx%lldx%lldx%lld, kernel %lld %lld, stride %lld %lld, dilation "
               "%lld %lld, pad %lld %lld, outputs %lld %lld, layouts %d %d",
               folding ? "fold" : "unfold", (unsigned long long)seed, (long long)n,
               (long long)channels, (long long)size[0], (long long)size[1], (long long)d.kernel[0],
               (long long)d.kernel[1], (long long)d.stride[0], (long long)d.stride[1],
               (long long)d.dilation[0], (long long)d.dilation[1], (long long)d.pad[0],
               (long long)d.pad[1], (long long)d.output[0], (long long)d.output[1], (int)x,
               (int)columns);
    struct scene scene;
    scene_open(&scene, seed);
    d.x = tensor_make(&scene, x, dtype, n, channels, size[0], size[1]);
    d.columns = tensor_make(&scene, columns, dtype, n, channels * d.kernel[0] * d.kernel[1],
                            d.output[0] * d.output[1], 1);
    tensor_fill(&scene, folding ? &d.columns : &d.x);
    struct output unfolded = {&d.columns, oracle_unfold, &d}, folded = {&d.x, oracle_fold, &d};
    run_step(&scene, folding ? add_fold : add_unfold, &d, folding ? &folded : &unfolded, 1,
             threads);
    scene_close(&scene);
    case_end();
}

/* No windows at all: fold still writes its zeros. An image without pixels: columns of zeros. */
static void empty(fc_dtype dtype) {
    struct scene scene;
    fc_columns_desc d = {.kernel = {2, 2}, .stride = {1, 2}, .dilation = {1, 1}, .output = {0, 3}};
    case_begin("fold of no columns");
    scene_open(&scene, 1);
    d.x = tensor_make(&scene, LAYOUT_GAPS, dtype, 2, 3, 4, 5);
    d.columns = tensor_make(&scene, LAYOUT_NCHW, dtype, 2, 12, 0, 1);
    struct output x = {&d.x, oracle_fold, &d};
    run_step(&scene, add_fold, &d, &x, 1, 2);
    scene_close(&scene);
    case_end();

    case_begin("unfold of no pixels");
    scene_open(&scene, 1);
    d = (fc_columns_desc){
        .kernel = {2, 2}, .stride = {1, 2}, .dilation = {1, 1}, .pad = {2, 3}, .output = {3, 3}};
    d.x = tensor_make(&scene, LAYOUT_NCHW, dtype, 2, 3, 0, 0);
    d.columns = tensor_make(&scene, LAYOUT_NHWC, dtype, 2, 12, 9, 1);
    struct output columns = {&d.columns, oracle_unfold, &d};
    run_step(&scene, add_unfold, &d, &columns, 1, 2);
    scene_close(&scene);
    case_end();
}

void suite_columns(const struct setting *setting) {
    struct random random = {13};
    suite_begin("unfold and fold", setting);
    for (int i = 0; i < (setting->small ? 60 : 400); i++)
        check(&random, setting->dtype, i % 2, random_team(&random));
    empty(setting->dtype);
    suite_end();
}
