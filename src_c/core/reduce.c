/* reduce.c: sums, means, extremes over any axes, and where an extreme is.
 *
 * Two ways through x: where a kept axis is contiguous, lanes along it (a total each) meet one element
 * of every reduced place in turn; else a reduced axis is a line that collapses into one total.
 * Threads split the outputs; a total sees its terms in an order that depends on the shape alone.
 */
#include <math.h>

#include "core/lines.h"

#define FC_CHUNK_LANES 1024
#define FC_CHUNK_LINE 4096

struct reduce_plan {
    const struct fc_kernel_table *kernels;
    const struct fc_kernel_set *set;
    fc_tensor x, y;
    int32_t operation;
    int64_t bytes;
    double terms;
    int inner;               /* the axis of lanes or lines; -1: lines of one element */
    int lanes;               /* which of the two */
    int kept[4], reduced[4]; /* the other axes */
    int kept_count, reduced_count;
    int64_t chunk; /* lanes of one item, elements of one line */
    int64_t scratch_shift, scratch_line;
};

/* Coordinates along the named axes of the place with this index. */
static void place_at(const fc_tensor *t, const int *axes, int count, int64_t index, int64_t at[4]) {
    for (int a = count - 1; a >= 0; a--) {
        at[axes[a]] = index % t->size[axes[a]];
        index /= t->size[axes[a]];
    }
}

static int64_t places(const fc_tensor *t, const int *axes, int count) {
    int64_t product = 1;
    for (int a = 0; a < count; a++) product *= t->size[axes[a]];
    return product;
}

/* All terms of the outputs at `at` (of `count` lanes, or of one) into the totals in scratch. */
static void total(const struct reduce_plan *plan, const struct fc_run *run, int operation,
                  int64_t at[4], int64_t count) {
    const fc_tensor *x = &plan->x;
    const char *shift = run->scratch + plan->scratch_shift;
    int64_t all = places(x, plan->reduced, plan->reduced_count);
    int lines = !plan->lanes && plan->inner >= 0;
    int64_t length = lines ? x->size[plan->inner] : 1;
    int64_t step = lines ? x->stride[plan->inner] : 1;
    plan->set->reduce_start(operation, run->scratch, count);
    for (int64_t r = 0; r < all; r++) {
        place_at(x, plan->reduced, plan->reduced_count, r, at);
        for (int64_t first = 0; first < length; first += plan->chunk) {
            if (lines) at[plan->inner] = first;
            const char *line = fc_at(run, x) + fc_offset(x, at[0], at[1], at[2], at[3]);
            if (plan->lanes) {
                plan->set->reduce_lanes(operation, line, shift, run->scratch, count);
                continue;
            }
            int64_t part = fc_min(plan->chunk, length - first);
            if (step != 1 && part > 1) {
                fc_copy_line(plan->kernels, plan->bytes, line, step,
                             run->scratch + plan->scratch_line, 1, part);
                line = run->scratch + plan->scratch_line;
            }
            plan->set->reduce_line(operation, line, shift, run->scratch, part);
        }
    }
}

/* The largest terms, as what logsumexp subtracts; infinities subtract nothing. */
static void find_shift(const struct reduce_plan *plan, const struct fc_run *run, int64_t at[4],
                       int64_t count) {
    char *shift = run->scratch + plan->scratch_shift;
    total(plan, run, FC_LARGEST, at, count);
    memcpy(shift, run->scratch, (size_t)(count * plan->bytes));
    for (int64_t i = 0; i < count; i++) {
        if (plan->bytes == 4 && isinf(((float *)shift)[i])) ((float *)shift)[i] = 0;
        if (plan->bytes == 8 && isinf(((double *)shift)[i])) ((double *)shift)[i] = 0;
    }
}

static void reduce_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct reduce_plan *plan = plan_;
    const fc_tensor *y = &plan->y;
    int64_t width = plan->lanes ? y->size[plan->inner] : 1;
    int64_t chunks = plan->lanes ? fc_ceil_div(width, plan->chunk) : 1, begin, end;
    fc_share(places(y, plan->kept, plan->kept_count) * chunks, i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t at[4] = {0}, count = 1;
        place_at(y, plan->kept, plan->kept_count, item / chunks, at);
        if (plan->lanes) {
            at[plan->inner] = item % chunks * plan->chunk;
            count = fc_min(plan->chunk, width - at[plan->inner]);
        }
        char *out = fc_at(run, y) + fc_offset(y, at[0], at[1], at[2], at[3]);
        if (plan->operation == FC_LOG_SUM_EXP) find_shift(plan, run, at, count);
        total(plan, run, plan->operation, at, count);
        plan->set->reduce_finish(plan->operation, plan->terms, run->scratch + plan->scratch_shift,
                                 run->scratch, count);
        fc_copy_line(plan->kernels, plan->bytes, run->scratch, 1, out,
                     plan->lanes ? y->stride[plan->inner] : 1, count);
    }
}

/* Lanes along a kept axis that is contiguous; else lines along the closest reduced axis. */
static void choose_axes(struct reduce_plan *plan) {
    const fc_tensor *x = &plan->x, *y = &plan->y;
    plan->inner = -1;
    for (int a = 0; a < 4; a++)
        if (y->size[a] == x->size[a] && x->size[a] > 1 && x->stride[a] == 1) {
            plan->inner = a;
            plan->lanes = 1;
        }
    for (int a = 0; a < 4 && !plan->lanes; a++)
        if (y->size[a] != x->size[a] &&
            (plan->inner < 0 || llabs(x->stride[a]) <= llabs(x->stride[plan->inner])))
            plan->inner = a;
    for (int a = 0; a < 4; a++) {
        if (a == plan->inner) continue;
        if (y->size[a] == x->size[a])
            plan->kept[plan->kept_count++] = a;
        else
            plan->reduced[plan->reduced_count++] = a;
    }
}

fc_status fc_program_add_reduce(struct fc_program *program, const fc_reduce_desc *d) {
    fc_status status;
    const fc_tensor *x = &d->x, *y = &d->y;
    if ((status = fc_check_tensor(x)) || (status = fc_check_tensor(y))) return status;
    if (x->dtype > FC_FLOAT64 || y->dtype != x->dtype || d->operation < FC_SUM ||
        d->operation > FC_LOG_SUM_EXP)
        return FC_ERROR_UNSUPPORTED;
    double terms = 1;
    for (int a = 0; a < 4; a++) {
        if (y->size[a] != x->size[a] && y->size[a] != 1) return FC_ERROR_SHAPE;
        if (y->size[a] != x->size[a]) terms *= (double)x->size[a];
    }
    if (fc_count(y) == 0) return FC_OK;
    struct reduce_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = (struct reduce_plan){
        .kernels = program->kernels,
        .set = program->kernels->set[x->dtype],
        .x = *x,
        .y = *y,
        .operation = d->operation,
        .bytes = fc_dtype_bytes((fc_dtype)x->dtype),
        .terms = terms,
    };
    choose_axes(plan);
    int64_t length = plan->inner < 0 ? 1 : fc_max(1, x->size[plan->inner]);
    plan->chunk = fc_min(length, plan->lanes ? FC_CHUNK_LANES : FC_CHUNK_LINE);
    plan->scratch_shift = fc_align((plan->lanes ? plan->chunk : 1) * plan->bytes);
    plan->scratch_line = 2 * plan->scratch_shift;
    struct fc_step step = {
        .run = reduce_run,
        .plan = plan,
        .scratch_bytes = plan->scratch_line + (plan->lanes ? 0 : plan->chunk * plan->bytes),
        .cost =
            (double)fc_count(x) * (d->operation == FC_LOG_SUM_EXP ? 1 : 0.2) + (double)fc_count(y),
        .flush_denormals = d->operation != FC_LARGEST && d->operation != FC_SMALLEST,
    };
    return fc_program_add_step(program, step);
}

struct extreme_plan {
    const struct fc_kernel_set *set;
    fc_extreme_desc desc;
};

static void extreme_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct extreme_plan *plan = plan_;
    const fc_extreme_desc *d = &plan->desc;
    const int64_t *size = d->y.size;
    int64_t begin, end;
    fc_share(size[0] * size[2] * size[3], i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t b = item % size[3], c = item / size[3] % size[2], a = item / size[3] / size[2];
        const char *x = fc_at(run, &d->x) + fc_offset(&d->x, a, 0, c, b);
        int64_t *y = (int64_t *)(fc_at(run, &d->y) + fc_offset(&d->y, a, 0, c, b));
        *y = plan->set->find_extreme(x, d->x.stride[1], d->x.size[1], d->smallest, d->last);
    }
}

fc_status fc_program_add_extreme(struct fc_program *program, const fc_extreme_desc *d) {
    fc_status status;
    const fc_tensor *x = &d->x, *y = &d->y;
    if ((status = fc_check_tensor(x)) || (status = fc_check_tensor(y))) return status;
    if (x->dtype > FC_FLOAT64 || y->dtype != FC_INT64) return FC_ERROR_UNSUPPORTED;
    if (x->size[1] < 1 || y->size[1] != 1 || y->size[0] != x->size[0] || y->size[2] != x->size[2] ||
        y->size[3] != x->size[3])
        return FC_ERROR_SHAPE;
    if (fc_count(y) == 0) return FC_OK;
    struct extreme_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = (struct extreme_plan){.set = program->kernels->set[x->dtype], .desc = *d};
    struct fc_step step = {.run = extreme_run, .plan = plan, .cost = (double)fc_count(x)};
    return fc_program_add_step(program, step);
}
