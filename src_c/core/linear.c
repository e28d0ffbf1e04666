/* linear.c: rows times weights that are read as they lie: what a single use of weights is worth.
 *
 * Sums run over so many elements at a time, so that a block of rows stays in cache while weights
 * stream past it. An output's order of summation depends on their number alone, not on the rows.
 */
#include <math.h>

#include "core/program.h"

#define FC_DOTS_COUNT 1024 /* elements of a sum at a time: 4 KiB of floats */
#define FC_DOTS_BLOCK 64   /* rows, and filters, of an item */
#define FC_DOTS_FEW 8      /* up to so many rows, weights are read line after line */

struct linear_plan {
    const struct fc_kernel_set *kernels;
    fc_linear_desc desc;
    int64_t bytes;
};

/* Filters [first, last) of rows from i on, elements [from, to) of their sums. */
static void run_dots(const struct linear_plan *plan, const struct fc_run *run, int64_t i,
                     int64_t rows, int64_t first, int64_t last, int64_t from) {
    const fc_linear_desc *d = &plan->desc;
    int64_t count = fc_min(d->x.size[1] - from, FC_DOTS_COUNT);
    int end = from + count == d->x.size[1];
    char *y = fc_at(run, &d->y) + fc_offset(&d->y, i, first, 0, 0);
    struct fc_dots_args args = {
        .x = fc_at(run, &d->x) + fc_offset(&d->x, i, from, 0, 0),
        .ldx = d->x.stride[0],
        .w = fc_at(run, &d->weight) + fc_offset(&d->weight, first, from, 0, 0),
        .ldw = d->weight.stride[0],
        .count = count,
        .rows = rows,
        .filters = last - first,
        .start = from == 0 ? run->scratch + first * plan->bytes : y,
        .lds = from == 0 ? 0 : d->y.stride[0],
        .y = y,
        .ldy = d->y.stride[0],
        .lo = end ? fc_lower_bound(d->activation) : -INFINITY,
        .hi = end ? fc_upper_bound(d->activation) : INFINITY,
    };
    plan->kernels->dots(&args);
    for (int64_t r = 0; end && d->activation > FC_RELU6 && r < rows; r++) {
        char *row = y + r * d->y.stride[0] * plan->bytes;
        plan->kernels->activate(d->activation, d->alpha, row, row, last - first);
    }
}

static void linear_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct linear_plan *plan = plan_;
    const fc_linear_desc *d = &plan->desc;
    int64_t rows = d->x.size[0], filters = d->y.size[1], features = d->x.size[1], begin, end;
    int64_t across = fc_ceil_div(filters, FC_DOTS_BLOCK);
    memset(run->scratch, 0, (size_t)(filters * plan->bytes));
    if (fc_present(&d->bias)) {
        struct fc_copy2d_args bias = {.src = fc_at(run, &d->bias),
                                      .src_j = d->bias.stride[0],
                                      .dst = run->scratch,
                                      .dst_j = 1,
                                      .rows = 1,
                                      .columns = filters};
        plan->kernels->copy2d(&bias);
    }
    fc_share(fc_ceil_div(rows, FC_DOTS_BLOCK) * across, i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t row = item / across * FC_DOTS_BLOCK, first = item % across * FC_DOTS_BLOCK;
        int64_t count = fc_min(rows - row, FC_DOTS_BLOCK);
        int64_t last = fc_min(filters, first + FC_DOTS_BLOCK);
        int64_t step = count <= FC_DOTS_FEW ? FC_DOTS_FILTERS : FC_DOTS_BLOCK;
        for (int64_t k = first; k < last; k += step)
            for (int64_t from = 0; from < fc_max(features, 1); from += FC_DOTS_COUNT)
                run_dots(plan, run, row, count, k, fc_min(k + step, last), from);
    }
}

static int contiguous_rows(const fc_tensor *t) { return t->stride[1] == 1 || t->size[1] <= 1; }

static fc_status check(const fc_linear_desc *d) {
    const fc_tensor *x = &d->x, *w = &d->weight, *b = &d->bias, *y = &d->y;
    fc_status status;
    if ((status = fc_check_tensor(x)) || (status = fc_check_tensor(w)) ||
        (status = fc_check_tensor(y)) || (fc_present(b) && (status = fc_check_tensor(b))))
        return status;
    if (x->dtype > FC_FLOAT64 || w->dtype != x->dtype || y->dtype != x->dtype ||
        (fc_present(b) && b->dtype != x->dtype) || d->activation < FC_IDENTITY ||
        d->activation > FC_MISH || !contiguous_rows(x) || !contiguous_rows(w) ||
        !contiguous_rows(y))
        return FC_ERROR_UNSUPPORTED;
    const int64_t xs[4] = {y->size[0], w->size[1], 1, 1}, ys[4] = {y->size[0], w->size[0], 1, 1};
    const int64_t ws[4] = {w->size[0], w->size[1], 1, 1}, bs[4] = {w->size[0], 1, 1, 1};
    if (memcmp(x->size, xs, sizeof xs) || memcmp(y->size, ys, sizeof ys) ||
        memcmp(w->size, ws, sizeof ws) || (fc_present(b) && memcmp(b->size, bs, sizeof bs)))
        return FC_ERROR_SHAPE;
    return FC_OK;
}

fc_status fc_program_add_linear(struct fc_program *program, const fc_linear_desc *desc) {
    fc_status status = check(desc);
    if (status) return status;
    if (fc_count(&desc->y) == 0) return FC_OK;
    struct linear_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = (struct linear_plan){
        .kernels = program->kernels->set[desc->x.dtype],
        .desc = *desc,
        .bytes = fc_dtype_bytes((fc_dtype)desc->x.dtype),
    };
    double products = (double)fc_count(&desc->y) * (double)desc->x.size[1];
    struct fc_step step = {
        .run = linear_run,
        .plan = plan,
        .scratch_bytes = fc_product(desc->y.size[1], plan->bytes),
        .cost = products / 32 + (double)fc_count(&desc->weight) * 0.2,
        .flush_denormals = 1,
    };
    return fc_program_add_step(program, step);
}
