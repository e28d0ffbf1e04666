/* local.c: convolution with unshared weights (locally connected layers).
 *
 * Every output place has a weight matrix of its own, read once: the patches of all images at that
 * place are gathered next to each other, then each filter's row of weights meets all of them.
 */
#include "core/program.h"

struct local_plan {
    const struct fc_kernel_set *kernels;
    fc_local2d_desc desc;
    int64_t bytes, depth;
    int64_t round; /* images at a time */
    int64_t scratch_row, scratch_zero;
};

static void gather_patch(const struct local_plan *plan, const struct fc_run *run, int64_t image,
                         int64_t p, int64_t q, char *patch) {
    const fc_local2d_desc *d = &plan->desc;
    const fc_tensor *x = &d->x;
    int64_t h0 = p * d->stride[0] - d->pad[0], w0 = q * d->stride[1] - d->pad[1];
    memset(patch, 0, (size_t)(plan->depth * plan->bytes));
    for (int64_t r = 0; r < d->kernel[0]; r++) {
        int64_t h = h0 + r * d->dilation[0], first, last;
        if (h < 0 || h >= x->size[2]) continue;
        fc_inside(x->size[3], d->dilation[1], w0, d->kernel[1], &first, &last);
        struct fc_copy2d_args copy = {
            .src = fc_at(run, x) + fc_offset(x, image, 0, h, w0 + first * d->dilation[1]),
            .src_i = x->stride[1],
            .src_j = x->stride[3] * d->dilation[1],
            .dst = patch + (r * d->kernel[1] + first) * plan->bytes,
            .dst_i = d->kernel[0] * d->kernel[1],
            .dst_j = 1,
            .rows = x->size[1],
            .columns = last - first,
        };
        plan->kernels->copy2d(&copy);
    }
}

/* One place, images [first, last) whose patches are in scratch. */
static void run_place(const struct local_plan *plan, const struct fc_run *run, int64_t p, int64_t q,
                      int64_t first, int64_t last) {
    const fc_local2d_desc *d = &plan->desc;
    const fc_tensor *w = &d->weight;
    for (int64_t k = 0; k < d->y.size[1]; k++) {
        const char *row = fc_at(run, w) + fc_offset(w, k, p, q, 0);
        const char *bias = run->scratch + plan->scratch_zero;
        if (fc_present(&d->bias)) bias = fc_at(run, &d->bias) + fc_offset(&d->bias, k, p, q, 0);
        if (w->stride[3] != 1) {
            struct fc_copy2d_args copy = {.src = row,
                                          .src_j = w->stride[3],
                                          .dst = run->scratch + plan->scratch_row,
                                          .dst_j = 1,
                                          .rows = 1,
                                          .columns = plan->depth};
            plan->kernels->copy2d(&copy);
            row = copy.dst;
        }
        for (int64_t image = first; image < last; image++)
            plan->kernels->dot(run->scratch + (image - first) * plan->depth * plan->bytes, row,
                               plan->depth, bias,
                               fc_at(run, &d->y) + fc_offset(&d->y, image, k, p, q));
    }
}

static void local_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct local_plan *plan = plan_;
    const fc_local2d_desc *d = &plan->desc;
    int64_t columns = d->y.size[3], batch = d->x.size[0], begin, end;
    memset(run->scratch + plan->scratch_zero, 0, (size_t)plan->bytes);
    fc_share(d->y.size[2] * columns, i, n, &begin, &end);
    for (int64_t place = begin; place < end; place++) {
        int64_t p = place / columns, q = place % columns;
        for (int64_t first = 0; first < batch; first += plan->round) {
            int64_t last = fc_min(first + plan->round, batch);
            for (int64_t image = first; image < last; image++)
                gather_patch(plan, run, image, p, q,
                             run->scratch + (image - first) * plan->depth * plan->bytes);
            run_place(plan, run, p, q, first, last);
        }
    }
}

static fc_status check(const fc_local2d_desc *d) {
    fc_status status;
    const fc_tensor *x = &d->x, *w = &d->weight, *y = &d->y, *b = &d->bias;
    if ((status = fc_check_tensor(x)) || (status = fc_check_tensor(w)) ||
        (status = fc_check_tensor(y)) || (fc_present(b) && (status = fc_check_tensor(b))) ||
        (status =
             fc_check_window(d->kernel, d->stride, d->dilation, d->pad, x, y->size[2], y->size[3])))
        return status;
    if (x->dtype > FC_FLOAT64 || w->dtype != x->dtype || y->dtype != x->dtype ||
        (fc_present(b) && b->dtype != x->dtype))
        return FC_ERROR_UNSUPPORTED;
    if (y->size[0] != x->size[0] || w->size[0] != y->size[1] || w->size[1] != y->size[2] ||
        w->size[2] != y->size[3] ||
        w->size[3] != fc_product(x->size[1], fc_product(d->kernel[0], d->kernel[1])) ||
        (fc_present(b) && (memcmp(b->size, w->size, 3 * sizeof b->size[0]) || b->size[3] != 1)))
        return FC_ERROR_SHAPE;
    return FC_OK;
}

fc_status fc_program_add_local2d(struct fc_program *program, const fc_local2d_desc *d) {
    fc_status status = check(d);
    if (status) return status;
    if (fc_count(&d->y) == 0) return FC_OK;
    struct local_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = (struct local_plan){
        .kernels = program->kernels->set[d->x.dtype],
        .desc = *d,
        .bytes = fc_dtype_bytes((fc_dtype)d->x.dtype),
        .depth = d->weight.size[3],
    };
    int64_t patch = fc_max(plan->depth * plan->bytes, 1);
    plan->round = fc_max(1, fc_min(d->x.size[0], (256 << 10) / patch));
    plan->scratch_row = fc_align(plan->round * patch);
    plan->scratch_zero = plan->scratch_row + fc_align(patch);
    struct fc_step step = {
        .run = local_run,
        .plan = plan,
        .scratch_bytes = plan->scratch_zero + plan->bytes,
        .cost = (double)fc_count(&d->y) * (double)plan->depth * 0.2,
        .flush_denormals = 1,
    };
    return fc_program_add_step(program, step);
}
