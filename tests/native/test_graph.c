/* test_graph.c: what networks need beside convolutions and pools. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "harness.h"

#define ADD(step) \
    static fc_status add_##step(fc_program *program, const void *desc) { \
        return fc_program_add_##step(program, desc); \
    }
ADD(copy)
ADD(fill)
ADD(binary)
ADD(choose)
ADD(response)
ADD(unary)
ADD(reduce)
ADD(extreme)
ADD(scatter)

/* One random case: its sizes, its scene, and how it is named. */
struct trial {
    struct random *random;
    struct scene scene;
    int64_t size[4];
    int threads;
};

static void begin(struct trial *t, const char *name, int number, int64_t widest) {
    for (int a = 0; a < 4; a++)
        t->size[a] = random_range(t->random, 1, a == 3 ? widest : widest > 100 ? 2 : 5);
    if (random_range(t->random, 0, 3) == 0) { /* the long axis elsewhere */
        int other = (int)random_range(t->random, 0, 2);
        int64_t kept = t->size[other];
        t->size[other] = t->size[3];
        t->size[3] = kept;
    }
    t->threads = random_team(t->random);
    uint64_t seed = random_bits(t->random);
    case_begin("%s %d seed %llu: %lldx%lldx%lldx%lld, %d threads", name, number,
               (unsigned long long)seed, (long long)t->size[0], (long long)t->size[1],
               (long long)t->size[2], (long long)t->size[3], t->threads);
    scene_open(&t->scene, seed);
}

static void finish(struct trial *t, add_fn add, const void *desc, const fc_tensor *y,
                   oracle_fn oracle) {
    struct output result = {y, oracle, desc};
    run_step(&t->scene, add, desc, &result, 1, t->threads);
    scene_close(&t->scene);
    case_end();
}

static fc_tensor tensor_in(struct trial *t, fc_dtype dtype) {
    enum layout layout = (enum layout)random_range(t->random, 0, LAYOUT_INPUT_COUNT - 1);
    fc_tensor x =
        tensor_make(&t->scene, layout, dtype, t->size[0], t->size[1], t->size[2], t->size[3]);
    for (int a = 0; a < 4; a++) /* now and then repeated along an axis */
        if (random_range(t->random, 0, 7) == 0 && x.stride[a] > 0) x.stride[a] = 0;
    tensor_fill(&t->scene, &x);
    return x;
}

static fc_tensor tensor_out(struct trial *t, fc_dtype dtype, const int64_t size[4]) {
    enum layout layout = (enum layout)random_range(t->random, 0, LAYOUT_COUNT - 1);
    return tensor_make(&t->scene, layout, dtype, size[0], size[1], size[2], size[3]);
}

/* Sets about one element in `rarely` to one of the values. */
static void sprinkle(struct trial *t, const fc_tensor *x, const real *values, size_t count,
                     int rarely) {
    int64_t at[4];
    for (at[0] = 0; at[0] < x->size[0]; at[0]++)
        for (at[1] = 0; at[1] < x->size[1]; at[1]++)
            for (at[2] = 0; at[2] < x->size[2]; at[2]++)
                for (at[3] = 0; at[3] < x->size[3]; at[3]++)
                    if (random_range(t->random, 0, rarely - 1) == 0)
                        tensor_set(&t->scene, x, at,
                                   values[random_range(t->random, 0, (int64_t)count - 1)]);
}

static const real bends[] = {0,     -0.0L,  0.5L,  1.5L,  2.5L, -2.5L,    3,         -7,
                             100.7, -300.2, 1e10L, 1e20L, 0.3L, INFINITY, -INFINITY, NAN};
#define MILD 10 /* the first of them, whose squares and products stay small */
#define SPRINKLE(t, x, rarely) sprinkle(t, x, bends, sizeof bends / sizeof bends[0], rarely)

void suite_copies(const struct setting *setting) {
    struct random random = {41};
    suite_begin("copies", setting);
    for (int from = FC_FLOAT32; from <= FC_UINT64; from++)
        for (int to = FC_FLOAT32; to <= FC_UINT64; to++)
            for (int i = 0; i < (from == to && !setting->small ? 30 : 3); i++) {
                struct trial t = {.random = &random};
                begin(&t, "copy", 100 * from + to, i % 10 == 9 ? 20000 : 40);
                fc_copy_desc d = {.x = tensor_in(&t, (fc_dtype)from)};
                d.y = tensor_out(&t, (fc_dtype)to, t.size);
                if (from <= FC_FLOAT64) SPRINKLE(&t, &d.x, 4);
                finish(&t, add_copy, &d, &d.y, oracle_copy);
                begin(&t, "fill", to, 40);
                fc_fill_desc f = {.y = tensor_out(&t, (fc_dtype)to, t.size)};
                f.value = (double)bends[random_range(&random, 0, 15)];
                finish(&t, add_fill, &f, &f.y, oracle_fill);
            }
    suite_end();
}

void suite_binary(const struct setting *setting) {
    struct random random = {43};
    suite_begin("binary", setting);
    for (int i = 0; i < (setting->small ? 120 : 900); i++) {
        struct trial t = {.random = &random};
        int operation = i % (FC_LESS_OR_EQUAL + 1);
        begin(&t, "operation", operation, i % 40 == 39 ? 5000 : 40);
        fc_binary_desc d = {.operation = operation, .alpha = 0.1};
        d.a = tensor_in(&t, setting->dtype);
        d.b = tensor_in(&t, setting->dtype);
        d.y = tensor_out(&t, operation < FC_EQUAL ? setting->dtype : FC_UINT8, t.size);
        SPRINKLE(&t, &d.a, 9);
        if (operation != FC_POWER) SPRINKLE(&t, &d.b, 9);
        if (operation < FC_EQUAL && random_range(&random, 0, 2) == 0)
            d.activation = (int32_t)random_range(&random, FC_RELU, FC_HARDSWISH);
        finish(&t, add_binary, &d, &d.y, oracle_binary);
    }
    for (int i = 0; i < (setting->small ? 10 : 60); i++) {
        struct trial t = {.random = &random};
        fc_dtype dtype = i % 3                          ? setting->dtype
                         : setting->dtype == FC_FLOAT32 ? FC_INT32
                                                        : FC_INT64;
        begin(&t, "choose", (int)dtype, 40);
        fc_choose_desc d = {.condition = tensor_in(&t, FC_UINT8)};
        sprinkle(&t, &d.condition, bends, 1, 2);
        d.a = tensor_in(&t, dtype);
        d.b = tensor_in(&t, dtype);
        d.y = tensor_out(&t, dtype, t.size);
        finish(&t, add_choose, &d, &d.y, oracle_choose);
    }
    suite_end();
}

void suite_response(const struct setting *setting) {
    struct random random = {59};
    suite_begin("response", setting);
    for (int i = 0; i < (setting->small ? 40 : 200); i++) {
        struct trial t = {.random = &random};
        begin(&t, "size", i % 8 + 1, i % 20 == 19 ? 700 : 40);
        fc_response_desc d = {.x = tensor_in(&t, setting->dtype), .size = i % 8 + 1};
        d.y = tensor_out(&t, setting->dtype, t.size);
        d.alpha = i % 3 ? 1 : 1e-4;
        d.beta = i % 4 ? 0.75 : 2 * random_unit(&random);
        if (i % 5 == 0) sprinkle(&t, &d.x, bends + MILD + 3, 3, 40); /* infinities and NaN */
        d.bias = 0.01 + 2 * fabs(random_unit(&random));
        finish(&t, add_response, &d, &d.y, oracle_response);
    }
    suite_end();
}

void suite_unary(const struct setting *setting) {
    struct random random = {47};
    suite_begin("unary", setting);
    for (int i = 0; i < (setting->small ? 60 : 300); i++) {
        struct trial t = {.random = &random};
        int operation = i % (FC_SIGN + 1);
        begin(&t, "operation", operation, i % 40 == 39 ? 9000 : 40);
        fc_unary_desc d = {.x = tensor_in(&t, setting->dtype), .operation = operation};
        d.y = tensor_out(&t, setting->dtype, t.size);
        SPRINKLE(&t, &d.x, 6);
        finish(&t, add_unary, &d, &d.y, oracle_unary);
    }
    suite_end();
}

void suite_reduce(const struct setting *setting) {
    struct random random = {53};
    suite_begin("reduce", setting);
    for (int i = 0; i < (setting->small ? 120 : 900); i++) {
        struct trial t = {.random = &random};
        int operation = i % (FC_LOG_SUM_EXP + 1);
        begin(&t, "operation", operation, i % 40 == 39 ? 5000 : i % 2 ? 150 : 20);
        fc_reduce_desc d = {.x = tensor_in(&t, setting->dtype), .operation = operation};
        int64_t size[4];
        for (int a = 0; a < 4; a++) size[a] = random_range(&random, 0, 1) ? 1 : t.size[a];
        d.y = tensor_out(&t, setting->dtype, size);
        if (i % 3 == 0) sprinkle(&t, &d.x, bends, MILD, 30);
        if (i % 9 == 0) SPRINKLE(&t, &d.x, 300);
        finish(&t, add_reduce, &d, &d.y, oracle_reduce);
    }
    for (int i = 0; i < (setting->small ? 20 : 120); i++) {
        struct trial t = {.random = &random};
        begin(&t, "extreme", i % 4, i % 10 == 9 ? 300 : 20);
        fc_extreme_desc d = {
            .x = tensor_in(&t, setting->dtype), .smallest = i & 1, .last = i >> 1 & 1};
        int64_t size[4] = {t.size[0], 1, t.size[2], t.size[3]};
        d.y = tensor_out(&t, FC_INT64, size);
        tensor_fill_ties(&t.scene, &d.x, i % 3 == 0);
        finish(&t, add_extreme, &d, &d.y, oracle_extreme);
    }
    suite_end();
}

void suite_scatter(const struct setting *setting) {
    struct random random = {61};
    suite_begin("scatter", setting);
    for (int i = 0; i < (setting->small ? 40 : 200); i++) {
        struct trial t = {.random = &random};
        fc_dtype dtype = i % 2 ? setting->dtype : (fc_dtype)random_range(&random, 0, FC_UINT64);
        begin(&t, "scatter", dtype, i % 20 == 19 ? 2000 : 40);
        fc_scatter_desc d = {.x = tensor_in(&t, dtype), .places = tensor_in(&t, FC_INT64)};
        int64_t size[4], at[4];
        for (int a = 0; a < 4; a++) size[a] = random_range(&random, 1, i % 20 == 19 ? 12 : 6);
        d.y = tensor_make(&t.scene, LAYOUT_NCHW, dtype, size[0], size[1], size[2], size[3]);
        for (at[0] = 0; at[0] < d.x.size[0]; at[0]++)
            for (at[1] = 0; at[1] < d.x.size[1]; at[1]++)
                for (at[2] = 0; at[2] < d.x.size[2]; at[2]++)
                    for (at[3] = 0; at[3] < d.x.size[3]; at[3]++)
                        tensor_set(&t.scene, &d.places, at,
                                   (real)random_range(&random, 0, tensor_count(&d.y) - 1));
        finish(&t, add_scatter, &d, &d.y, oracle_scatter);
    }
    suite_end();
}

/* An index outside y: the run says so, writes nothing outside, and the rest is there. */
static void index_outside(int64_t wrong, int threads) {
    case_begin("index %lld, %d threads", (long long)wrong, threads);
    struct scene scene;
    scene_open(&scene, 7);
    fc_scatter_desc d = {.x = tensor_make(&scene, LAYOUT_NCHW, FC_FLOAT32, 1, 1, 1, 3),
                         .places = tensor_make(&scene, LAYOUT_NCHW, FC_INT64, 1, 1, 1, 3),
                         .y = tensor_make(&scene, LAYOUT_NCHW, FC_FLOAT32, 1, 1, 2, 4)};
    const int64_t places[3] = {7, wrong, 2};
    for (int64_t i = 0; i < 3; i++) {
        const int64_t at[4] = {0, 0, 0, i};
        tensor_set(&scene, &d.x, at, (real)(i + 1));
        tensor_set(&scene, &d.places, at, (real)places[i]);
    }
    tensor_poison(&scene, &d.y);
    fc_program *program = program_new();
    fc_status status = fc_program_add_scatter(program, &d);
    if (!status) status = fc_program_run(program, scene.slots, scene.count, NULL, 0, threads, NULL);
    if (status != FC_ERROR_INDEX) case_fail("'%s'", fc_status_message(status));
    for (int64_t i = 0; i < 8; i++)
        if (tensor_get(&scene, &d.y, 0, 0, i / 4, i % 4) != (i == 7 ? 1 : i == 2 ? 3 : 0))
            case_fail("element %lld", (long long)i);
    fc_program_destroy(program);
    scene_close(&scene);
    case_end();
}

/* What each step must refuse. */
static void refuse(const char *name, add_fn add, const void *desc, fc_status wanted) {
    case_begin("%s", name);
    fc_program *program = program_new();
    fc_status status = add(program, desc);
    if (status != wanted)
        case_fail("'%s' instead of '%s'", fc_status_message(status), fc_status_message(wanted));
    fc_program_destroy(program);
    case_end();
}

void suite_graph_status(const struct setting *setting) {
    suite_begin("refusals", setting);
    fc_tensor f = {.slot = 1, .dtype = FC_FLOAT32, .size = {1, 2, 3, 4}, .stride = {24, 12, 4, 1}};
    fc_tensor wide = f, bytes = f, integers = f, absent = f;
    wide.size[3] = 5;
    bytes.dtype = FC_UINT8;
    integers.dtype = FC_INT64;
    absent.slot = FC_NO_SLOT;
    fc_copy_desc copy = {f, wide};
    refuse("copy of another size", add_copy, &copy, FC_ERROR_SHAPE);
    copy = (fc_copy_desc){absent, f};
    refuse("copy of nothing", add_copy, &copy, FC_ERROR_ARGUMENT);
    fc_fill_desc fill = {absent, 1};
    refuse("fill of nothing", add_fill, &fill, FC_ERROR_ARGUMENT);
    fc_binary_desc binary = {.a = f, .b = wide, .y = f};
    refuse("binary of another size", add_binary, &binary, FC_ERROR_SHAPE);
    binary = (fc_binary_desc){.a = f, .b = f, .y = f, .operation = FC_LESS};
    refuse("comparison into floats", add_binary, &binary, FC_ERROR_UNSUPPORTED);
    binary = (fc_binary_desc){.a = integers, .b = integers, .y = integers};
    refuse("integer sum", add_binary, &binary, FC_ERROR_UNSUPPORTED);
    binary = (fc_binary_desc){.a = f, .b = f, .y = bytes, .operation = FC_LESS, .activation = 1};
    refuse("comparison with activation", add_binary, &binary, FC_ERROR_UNSUPPORTED);
    binary = (fc_binary_desc){.a = f, .b = f, .y = f, .operation = FC_LESS_OR_EQUAL + 1};
    refuse("unknown operation", add_binary, &binary, FC_ERROR_UNSUPPORTED);
    fc_choose_desc choose = {f, f, f, f};
    refuse("condition of floats", add_choose, &choose, FC_ERROR_UNSUPPORTED);
    choose = (fc_choose_desc){bytes, bytes, bytes, bytes};
    refuse("choice of bytes", add_choose, &choose, FC_ERROR_UNSUPPORTED);
    choose = (fc_choose_desc){bytes, f, wide, f};
    refuse("choice of another size", add_choose, &choose, FC_ERROR_SHAPE);
    fc_unary_desc unary = {f, f, FC_SIGN + 1};
    refuse("unknown function", add_unary, &unary, FC_ERROR_UNSUPPORTED);
    unary = (fc_unary_desc){f, wide, FC_EXP};
    refuse("function of another size", add_unary, &unary, FC_ERROR_SHAPE);
    fc_response_desc response = {.x = f, .y = wide, .size = 5, .alpha = 1, .beta = 1, .bias = 1};
    refuse("response of another size", add_response, &response, FC_ERROR_SHAPE);
    response.y = f;
    response.bias = 0;
    refuse("response without bias", add_response, &response, FC_ERROR_ARGUMENT);
    response.bias = NAN;
    refuse("response with NaN", add_response, &response, FC_ERROR_ARGUMENT);
    fc_reduce_desc reduce = {wide, f, FC_SUM};
    refuse("sum into another size", add_reduce, &reduce, FC_ERROR_SHAPE);
    reduce = (fc_reduce_desc){integers, integers, FC_SUM};
    refuse("sum of integers", add_reduce, &reduce, FC_ERROR_UNSUPPORTED);
    fc_extreme_desc extreme = {f, f, 0, 0};
    refuse("places as floats", add_extreme, &extreme, FC_ERROR_UNSUPPORTED);
    extreme = (fc_extreme_desc){f, integers, 0, 0};
    refuse("places of all", add_extreme, &extreme, FC_ERROR_SHAPE);
    fc_scatter_desc scatter = {f, f, f};
    refuse("scatter to floats", add_scatter, &scatter, FC_ERROR_UNSUPPORTED);
    scatter = (fc_scatter_desc){f, integers, bytes};
    refuse("scatter into another dtype", add_scatter, &scatter, FC_ERROR_UNSUPPORTED);
    scatter = (fc_scatter_desc){wide, integers, f};
    refuse("scatter of another size", add_scatter, &scatter, FC_ERROR_SHAPE);
    scatter = (fc_scatter_desc){f, integers, f};
    scatter.y.stride[3] = 2;
    refuse("scatter into a view", add_scatter, &scatter, FC_ERROR_ARGUMENT);
    for (int threads = 1; threads < 4; threads++) {
        index_outside(8, threads);
        index_outside(-1, threads);
        index_outside(INT64_MIN, threads);
    }
    case_begin("reserve");
    int64_t first = -1, second = -1;
    fc_program *program = program_new();
    if (fc_program_reserve_bytes(program, 100, &first) ||
        fc_program_reserve_bytes(program, 1, &second) || first != 0 || second != 128)
        case_fail("%lld and %lld", (long long)first, (long long)second);
    if (fc_program_reserve_bytes(program, -1, &first) != FC_ERROR_ARGUMENT) case_fail("-1 bytes");
    if (fc_program_reserve_bytes(program, INT64_MAX, &first) != FC_ERROR_OVERFLOW)
        case_fail("too many bytes");
    fc_program_destroy(program);
    case_end();
    suite_end();
}
