/* test_threads.c: the same bits for any number of threads and any split of the batch; one program run
 * by many threads at once; children of fork.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conv_case.h"

static const int team_sizes[] = {1, 2, 3, 8};

/* Runs program with 1, 2, 3 and 8 threads; y's slot must hold the same bytes after each. */
static void same_bits(struct scene *scene, const fc_program *program, const fc_tensor *y) {
    size_t bytes = (size_t)scene->bytes[y->slot];
    char *first = malloc(bytes + 1);
    for (size_t t = 0; t < sizeof team_sizes / sizeof team_sizes[0]; t++) {
        tensor_poison(scene, y);
        execute(scene, program, team_sizes[t]);
        if (t == 0)
            memcpy(first, scene->slots[y->slot], bytes);
        else if (memcmp(first, scene->slots[y->slot], bytes))
            case_fail("other bits with %d threads", team_sizes[t]);
    }
    free(first);
}

static fc_tensor image_of(const fc_tensor *t, int64_t n) {
    fc_tensor image = *t;
    image.size[0] = 1;
    image.offset_bytes += n * t->stride[0] * element_bytes((fc_dtype)t->dtype);
    return image;
}

/* All images at once, in teams of any size, then one by one. */
static void check_conv(struct random *random, fc_dtype dtype) {
    struct conv_case c = conv_draw(random, 1e5);
    uint64_t seed = random_bits(random);
    c.n = 3;
    case_begin("conv2d by algorithm %d, layouts %d %d, seed %llu", c.algorithm, (int)c.x, (int)c.y,
               (unsigned long long)seed);
    struct scene scene;
    scene_open(&scene, seed);
    fc_conv2d_desc d = conv_desc(&scene, &c, dtype), one = d;
    fc_program *whole = program_new(), *parts = program_new();
    if (fc_program_add_conv2d(whole, &d)) case_fail("not added");
    same_bits(&scene, whole, &d.y);
    size_t bytes = (size_t)scene.bytes[d.y.slot];
    char *together = malloc(bytes);
    memcpy(together, scene.slots[d.y.slot], bytes);
    for (int64_t n = 0; n < c.n; n++) {
        one.x = image_of(&d.x, n);
        one.y = image_of(&d.y, n);
        one.addend = image_of(&d.addend, n);
        if (fc_program_add_conv2d(parts, &one)) case_fail("not added");
    }
    tensor_poison(&scene, &d.y);
    execute(&scene, parts, 2);
    if (memcmp(together, scene.slots[d.y.slot], bytes)) case_fail("other bits image by image");
    free(together);
    fc_program_destroy(whole);
    fc_program_destroy(parts);
    scene_close(&scene);
    case_end();
}

static void check_others(fc_dtype dtype, enum layout layout) {
    struct scene scene;
    case_begin("average pool, fold, softmax, silu: layout %d", (int)layout);
    scene_open(&scene, 37);
    fc_pool2d_desc pool = {.kind = FC_POOL_AVERAGE,
                           .kernel = {3, 3},
                           .stride = {2, 1},
                           .dilation = {1, 1},
                           .pad = {1, 1, 1, 1},
                           .indices = tensor_absent()};
    pool.x = tensor_make(&scene, layout, dtype, 2, 9, 13, 19);
    pool.y = tensor_make(&scene, layout, dtype, 2, 9, 7, 19);
    fc_columns_desc fold = {
        .kernel = {3, 3}, .stride = {1, 2}, .dilation = {1, 1}, .pad = {1, 1}, .output = {13, 10}};
    fold.x = tensor_make(&scene, layout, dtype, 2, 9, 13, 19);
    fold.columns = tensor_make(&scene, LAYOUT_NCHW, dtype, 2, 81, 130, 1);
    fc_softmax_desc softmax = {.x = tensor_make(&scene, layout, dtype, 3, 37, 21, 1),
                               .y = tensor_make(&scene, layout, dtype, 3, 37, 21, 1)};
    fc_elementwise_desc silu = {.activation = FC_SILU, .x = pool.x};
    silu.y = tensor_make(&scene, layout, dtype, 2, 9, 13, 19);
    tensor_fill(&scene, &pool.x);
    tensor_fill(&scene, &fold.columns);
    tensor_fill(&scene, &softmax.x);
    const fc_tensor *outputs[] = {&pool.y, &fold.x, &softmax.y, &silu.y};
    for (int o = 0; o < 4; o++) {
        fc_program *program = program_new();
        fc_status status = o == 0   ? fc_program_add_pool2d(program, &pool)
                           : o == 1 ? fc_program_add_fold(program, &fold)
                           : o == 2 ? fc_program_add_softmax(program, &softmax)
                                    : fc_program_add_elementwise(program, &silu);
        if (status) case_fail("add: %s", fc_status_message(status));
        same_bits(&scene, program, outputs[o]);
        fc_program_destroy(program);
    }
    scene_close(&scene);
    case_end();
}

/* ---- one program, many threads of the caller's ---- */

struct caller {
    const fc_program *program;
    const struct scene *scene;
    int y_slot, rounds, failed;
    const char *expected;
    pthread_t thread;
};

static void *call(void *argument) {
    struct caller *caller = argument;
    const struct scene *scene = caller->scene;
    void *slots[FC_MAX_SLOTS];
    memcpy(slots, scene->slots, sizeof slots);
    size_t y_bytes = (size_t)scene->bytes[caller->y_slot];
    int64_t bytes = fc_program_workspace_bytes(caller->program, 2);
    for (int round = 0; round < caller->rounds; round++) {
        struct guarded workspace = guarded_open(bytes, 1), y = guarded_open((int64_t)y_bytes, 1);
        slots[caller->y_slot] = y.base;
        caller->failed |= fc_program_run(caller->program, slots, scene->count, workspace.base,
                                         bytes, 2, NULL) != FC_OK;
        caller->failed |= memcmp(y.base, caller->expected, y_bytes) != 0;
        guarded_close(&workspace);
        guarded_close(&y);
    }
    return NULL;
}

static void check_concurrent(fc_dtype dtype, int32_t algorithm, int rounds) {
    case_begin("four callers at once, algorithm %d", (int)algorithm);
    struct scene scene;
    struct conv_case c = conv_plain(5, 19, 9, 11, 3, 3);
    struct caller callers[4];
    if (algorithm == FC_ALGORITHM_DEPTHWISE) c = conv_plain(1, 19, 9, 11, 3, 3);
    c.algorithm = algorithm;
    scene_open(&scene, 41);
    fc_conv2d_desc d = conv_desc(&scene, &c, dtype);
    fc_program *program = program_new();
    if (fc_program_add_conv2d(program, &d)) case_fail("not added");
    execute(&scene, program, 1);
    for (int t = 0; t < 4; t++) {
        callers[t] = (struct caller){.program = program,
                                     .scene = &scene,
                                     .y_slot = d.y.slot,
                                     .rounds = rounds,
                                     .expected = scene.slots[d.y.slot]};
        if (pthread_create(&callers[t].thread, NULL, call, &callers[t])) abort();
    }
    for (int t = 0; t < 4; t++) {
        pthread_join(callers[t].thread, NULL);
        if (callers[t].failed) case_fail("caller %d got something else", t);
    }
    fc_program_destroy(program);
    scene_close(&scene);
    case_end();
}

/* ---- fork ---- */

/* The parent has a team by now; the child must neither enter nor wait for it. */
static void check_fork(fc_dtype dtype) {
    case_begin("a forked child");
    struct scene scene;
    struct conv_case c = conv_plain(5, 19, 9, 11, 3, 3);
    scene_open(&scene, 43);
    fc_conv2d_desc d = conv_desc(&scene, &c, dtype);
    fc_program *program = program_new();
    if (fc_program_add_conv2d(program, &d)) case_fail("not added");
    execute(&scene, program, 4);
    pid_t child = fork();
    if (child == 0) {
        alarm(60); /* a hang is a failure, too */
        struct expected *expected = expect_all(&scene, &d, &d.y, oracle_conv2d);
        tensor_poison(&scene, &d.y);
        execute(&scene, program, 4);
        compare_all(&scene, &d.y, expected);
        _exit(case_failed() || !fc_is_forked_child() || fc_program_threads(program, 4) != 1);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        case_fail("the child's status is %d", status);
    if (fc_is_forked_child()) case_fail("the parent believes that it is a child");
    fc_program_destroy(program);
    scene_close(&scene);
    case_end();
}

void suite_threads(const struct setting *setting) {
    struct random random = {47};
    suite_begin("threads", setting);
    for (int i = 0; i < (setting->small ? 8 : 80); i++) check_conv(&random, setting->dtype);
    check_others(setting->dtype, LAYOUT_NCHW);
    check_others(setting->dtype, LAYOUT_NHWC);
    for (int32_t algorithm = FC_ALGORITHM_IM2COL; algorithm <= FC_ALGORITHM_DEPTHWISE; algorithm++)
        check_concurrent(setting->dtype, algorithm, setting->small ? 2 : 25);
    for (int i = 0; i < (setting->small ? 1 : 10); i++) check_fork(setting->dtype);
    suite_end();
}
