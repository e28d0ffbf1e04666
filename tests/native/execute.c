/* execute.c: runs programs in a poisoned workspace and compares what they wrote with the oracle. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness.h"

static int next(const fc_tensor *t, int64_t at[4]) {
    for (int a = 3; a >= 0; a--) {
        if (++at[a] < t->size[a]) return 1;
        at[a] = 0;
    }
    return 0;
}

struct expected *expect_all(const struct scene *scene, const void *desc, const fc_tensor *y,
                            oracle_fn oracle) {
    int64_t count = tensor_count(y), i = 0, at[4] = {0};
    struct expected *all = malloc((size_t)(count + 1) * sizeof *all);
    if (count > 0) do
            all[i++] = oracle(scene, desc, at);
        while (next(y, at));
    return all;
}

/* A value beyond the dtype's range is an infinity there. */
static int matches(real got, struct expected want, real largest) {
    if (isnan(want.value)) return isnan(got);
    if (isinf(want.value)) return got == want.value;
    if (isinf(got))
        return (got > 0) == (want.value > 0) && fabsl(want.value) + want.bound > largest;
    return fabsl(got - want.value) <= want.bound;
}

void compare_all(const struct scene *scene, const fc_tensor *y, struct expected *expected) {
    const real largest = y->dtype == FC_FLOAT32 ? FLT_MAX : DBL_MAX;
    int64_t wrong = 0, i = 0, at[4] = {0};
    if (tensor_count(y) > 0) do {
            real got = tensor_get(scene, y, at[0], at[1], at[2], at[3]);
            if (!matches(got, expected[i], largest) && wrong++ == 0)
                case_fail("[%lld][%lld][%lld][%lld] is %.17Lg, not %.17Lg +- %.3Lg",
                          (long long)at[0], (long long)at[1], (long long)at[2], (long long)at[3],
                          got, expected[i].value, expected[i].bound);
            i++;
        } while (next(y, at));
    if (wrong > 1) case_fail("%lld of %lld are wrong", (long long)wrong, (long long)i);
    free(expected);
}

fc_program *program_new(void) {
    fc_program *program = NULL;
    if (fc_program_create(&program) != FC_OK) {
        fprintf(stderr, "out of memory\n");
        exit(2);
    }
    return program;
}

void execute(const struct scene *scene, const fc_program *program, int threads) {
    int64_t bytes = fc_program_workspace_bytes(program, threads);
    if (bytes < 0 || bytes % FC_WORKSPACE_ALIGNMENT) {
        case_fail("a workspace of %lld bytes", (long long)bytes);
        return;
    }
    struct guarded workspace = guarded_open(bytes, 1);
    int team = 0;
    fc_status status =
        fc_program_run(program, scene->slots, scene->count, workspace.base, bytes, threads, &team);
    if (status) case_fail("run: %s", fc_status_message(status));
    if (team < 1 || team > threads) case_fail("a team of %d instead of %d", team, threads);
    guarded_close(&workspace);
}

void run_step(struct scene *scene, add_fn add, const void *desc, const struct output *outputs,
              int count, int threads) {
    struct expected *expected[2] = {NULL, NULL};
    for (int o = 0; o < count; o++)
        expected[o] = expect_all(scene, outputs[o].desc, outputs[o].tensor, outputs[o].oracle);
    for (int s = 1; s < scene->count; s++) {
        int written = 0;
        for (int o = 0; o < count; o++) written |= outputs[o].tensor->slot == s;
        if (!written) scene_protect(scene, s);
    }
    for (int o = 0; o < count; o++) tensor_poison(scene, outputs[o].tensor);
    fc_program *program = program_new();
    fc_status status = add(program, desc);
    if (status)
        case_fail("add: %s", fc_status_message(status));
    else
        execute(scene, program, threads);
    fc_program_destroy(program);
    for (int o = 0; o < count; o++) {
        if (!status) tensor_check_gaps(scene, outputs[o].tensor);
        if (status)
            free(expected[o]);
        else
            compare_all(scene, outputs[o].tensor, expected[o]);
    }
}
