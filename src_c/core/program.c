/* program.c: a flat list of steps over one workspace, run by one team. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "core/program.h"

const char *fc_status_message(fc_status status) {
    switch (status) {
    case FC_OK: return "ok";
    case FC_ERROR_ARGUMENT: return "an argument is outside its range";
    case FC_ERROR_SHAPE: return "shapes do not fit each other";
    case FC_ERROR_OVERFLOW: return "a product of sizes exceeds the address space";
    case FC_ERROR_MEMORY: return "out of memory";
    case FC_ERROR_UNSUPPORTED: return "this dtype, activation or algorithm is not supported here";
    case FC_ERROR_ISA: return "this instruction set is unknown or not supported by this machine";
    case FC_ERROR_WORKSPACE: return "the workspace is missing or too small";
    case FC_ERROR_INDEX: return "an index lies outside of what it points into";
    }
    return "unknown status";
}

int64_t fc_dtype_bytes(fc_dtype dtype) {
    static const int8_t bytes[] = {4, 8, 1, 1, 2, 2, 4, 4, 8, 8};
    return (unsigned)dtype < sizeof bytes ? bytes[dtype] : 0;
}

/* ---- threads ---- */

static int forked_child;

static void mark_forked_child(void) { forked_child = 1; }

__attribute__((constructor)) static void watch_forks(void) {
    pthread_atfork(NULL, NULL, mark_forked_child);
}

int fc_is_forked_child(void) { return forked_child; }
int fc_has_openmp(void) { return fc_team_compiled(); }
int fc_openmp_max_threads(void) { return fc_team_limit(); }

int fc_affinity_cpus(void) {
#ifdef __linux__
    cpu_set_t few, many[64]; /* 1,024 CPUs are enough nearly everywhere; 65,536 everywhere */
    if (sched_getaffinity(0, sizeof few, &few) == 0) return CPU_COUNT(&few);
    if (sched_getaffinity(0, sizeof many, many) == 0) return CPU_COUNT_S(sizeof many, many);
#endif
    return 0;
}

/* ---- building ---- */

fc_status fc_program_create(struct fc_program **program) {
    *program = calloc(1, sizeof **program);
    if (!*program) return FC_ERROR_MEMORY;
    (*program)->kernels = fc_active_kernels();
    return FC_OK;
}

void fc_program_destroy(struct fc_program *program) {
    if (!program) return;
    for (int64_t s = 0; s < program->step_count; s++) free(program->steps[s].plan);
    free(program->steps);
    free(program);
}

fc_status fc_program_add_step(struct fc_program *program, struct fc_step step) {
    if (step.scratch_bytes < 0 || step.scratch_bytes > FC_MAX_BYTES) {
        free(step.plan);
        return FC_ERROR_OVERFLOW;
    }
    if (program->step_count == program->step_capacity) {
        int64_t capacity = program->step_capacity * 2 + 2;
        struct fc_step *steps = realloc(program->steps, (size_t)capacity * sizeof *steps);
        if (!steps) {
            free(step.plan);
            return FC_ERROR_MEMORY;
        }
        program->steps = steps;
        program->step_capacity = capacity;
    }
    program->steps[program->step_count++] = step;
    program->scratch_bytes = fc_max(program->scratch_bytes, fc_align(step.scratch_bytes));
    program->cost += step.cost;
    return FC_OK;
}

int64_t fc_program_reserve(struct fc_program *program, int64_t bytes) {
    if (bytes < 0 || bytes > FC_MAX_BYTES - program->arena_bytes) return -1;
    int64_t offset = program->arena_bytes;
    program->arena_bytes += fc_align(bytes);
    return offset;
}

fc_status fc_check_strided(int32_t slot, int32_t dtype, const int64_t *size, const int64_t *stride,
                           int axes) {
    if (slot < 0 || slot >= FC_MAX_SLOTS) return FC_ERROR_ARGUMENT;
    if (!fc_dtype_bytes((fc_dtype)dtype)) return FC_ERROR_UNSUPPORTED;
    for (int a = 0; a < axes; a++)
        if (size[a] < 0) return FC_ERROR_ARGUMENT;
    for (int a = 0; a < axes; a++)
        if (size[a] > FC_MAX_BYTES) return FC_ERROR_OVERFLOW;
    /* views with stride 0 may be larger than memory, but every size must stay countable ... */
    int64_t count = 1, span = 0;
    for (int a = 0; a < axes; a++) count = fc_product(count, size[a]);
    if (count < 0) return FC_ERROR_OVERFLOW;
    /* ... and so must the distance from the first element to the last, and a step on a short axis */
    for (int a = 0; a < axes && count > 0; a++) {
        if (stride[a] < -FC_MAX_BYTES) return FC_ERROR_OVERFLOW;
        int64_t elements =
            fc_product(fc_max(size[a] - 1, 1), stride[a] < 0 ? -stride[a] : stride[a]);
        if (elements < 0) return FC_ERROR_OVERFLOW;
        span += elements;
    }
    return fc_product(span, fc_dtype_bytes((fc_dtype)dtype)) < 0 ? FC_ERROR_OVERFLOW : FC_OK;
}

fc_status fc_check_tensor(const fc_tensor *t) {
    return fc_check_strided(t->slot, t->dtype, t->size, t->stride, 4);
}

fc_status fc_check_window(const int64_t kernel[2], const int64_t stride[2],
                          const int64_t dilation[2], const int64_t pad[2], const fc_tensor *x,
                          int64_t p, int64_t q) {
    const int64_t limit = FC_MAX_EXTENT, outputs[2] = {p, q};
    for (int a = 0; a < 2; a++) {
        if (kernel[a] < 1 || stride[a] < 1 || dilation[a] < 1 || pad[a] < 0)
            return FC_ERROR_ARGUMENT;
        if (kernel[a] > limit || stride[a] > limit || dilation[a] > limit || pad[a] > limit ||
            outputs[a] > limit || x->size[2 + a] > limit)
            return FC_ERROR_OVERFLOW;
        int64_t elements;
        if (__builtin_mul_overflow(fc_max(stride[a], dilation[a]), x->stride[2 + a], &elements))
            return FC_ERROR_OVERFLOW;
    }
    return FC_OK;
}

/* ---- running ---- */

const char *fc_program_isa(const struct fc_program *program) { return program->kernels->name; }

/* A parallel region costs about a microsecond when warm and tens when the team sleeps: each further
 * thread must be worth 15 microseconds of work. */
int fc_program_threads(const struct fc_program *program, int limit) {
    if (forked_child || limit < 1) return 1;
    double worth = program->cost / 15e3;
    return worth >= limit ? limit : (int)fc_max(1, (int64_t)worth);
}

int64_t fc_program_workspace_bytes(const struct fc_program *program, int num_threads) {
    int64_t scratch = fc_product(program->scratch_bytes, fc_max(num_threads, 1));
    if (scratch < 0 || scratch > FC_MAX_BYTES - program->arena_bytes) return -1;
    return program->arena_bytes + scratch;
}

struct team {
    const struct fc_program *program;
    char *slots[FC_MAX_SLOTS];
    char *scratch;
    int size, status;
    double *seconds; /* of each step; NULL: nobody asks */
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run_steps(void *argument, struct fc_barrier *barrier, int i, int n) {
    struct team *team = argument;
    const struct fc_program *program = team->program;
    struct fc_run run = {team->slots, team->scratch + i * program->scratch_bytes, &team->status};
    double begun = 0;
    if (i == 0) team->size = n;
    for (int64_t s = 0; s < program->step_count; s++) {
        const struct fc_step *step = &program->steps[s];
        if (s > 0) fc_barrier_wait(barrier);
        if (team->seconds && i == 0) {
            if (s > 0) team->seconds[s - 1] = now() - begun;
            begun = now();
        }
        if (step->flush_denormals) {
            uint64_t mode = program->kernels->fp_enter();
            step->run(step->plan, &run, i, n);
            program->kernels->fp_leave(mode);
        } else {
            step->run(step->plan, &run, i, n);
        }
    }
    if (!team->seconds || program->step_count == 0) return;
    fc_barrier_wait(barrier);
    if (i == 0) team->seconds[program->step_count - 1] = now() - begun;
}

int64_t fc_program_step_count(const struct fc_program *program) { return program->step_count; }

fc_status fc_program_profile(const struct fc_program *program, void *const *slots, int slot_count,
                             void *workspace, int64_t workspace_bytes, int num_threads,
                             int *team_size, double *step_seconds) {
    if (!program || slot_count < 1 || slot_count > FC_MAX_SLOTS || num_threads < 1)
        return FC_ERROR_ARGUMENT;
    if (forked_child) num_threads = 1;
    int64_t needed = fc_program_workspace_bytes(program, num_threads);
    if (needed < 0 || workspace_bytes < needed || (needed > 0 && !workspace) ||
        (uintptr_t)workspace % FC_WORKSPACE_ALIGNMENT)
        return FC_ERROR_WORKSPACE;
    struct team team = {.program = program, .size = 1, .seconds = step_seconds};
    for (int s = 1; s < slot_count; s++) team.slots[s] = slots[s];
    team.slots[FC_SLOT_WORKSPACE] = workspace;
    team.scratch = (char *)workspace + program->arena_bytes;
    fc_team_run(num_threads, run_steps, &team);
    if (team_size) *team_size = team.size;
    return (fc_status)team.status;
}

fc_status fc_program_run(const struct fc_program *program, void *const *slots, int slot_count,
                         void *workspace, int64_t workspace_bytes, int num_threads,
                         int *team_size) {
    return fc_program_profile(program, slots, slot_count, workspace, workspace_bytes, num_threads,
                              team_size, NULL);
}
