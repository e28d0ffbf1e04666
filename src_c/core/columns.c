/* columns.c: unfold (im2col) and its adjoint fold (col2im). */
#include "core/program.h"

struct columns_plan {
    const struct fc_kernel_set *kernels;
    fc_columns_desc desc;
    int64_t bytes;
};

/* Tap (r, s): the output rows p and columns q whose input lies inside the image. */
struct tap {
    int64_t r, s, p[2], q[2];
};

static struct tap tap_of(const fc_columns_desc *d, int64_t r, int64_t s) {
    struct tap t = {.r = r, .s = s};
    fc_inside(d->x.size[2], d->stride[0], r * d->dilation[0] - d->pad[0], d->output[0], &t.p[0],
              &t.p[1]);
    fc_inside(d->x.size[3], d->stride[1], s * d->dilation[1] - d->pad[1], d->output[1], &t.q[0],
              &t.q[1]);
    return t;
}

/* The image's elements under the tap, as (p, q) rows and columns, on one side; the column matrix's
 * on the other. */
static struct fc_copy2d_args tap_copy(const fc_columns_desc *d, const struct tap *t, char *x,
                                      char *columns, int64_t bytes) {
    int64_t h = t->p[0] * d->stride[0] + t->r * d->dilation[0] - d->pad[0];
    int64_t w = t->q[0] * d->stride[1] + t->s * d->dilation[1] - d->pad[1];
    int64_t step = d->columns.stride[2];
    return (struct fc_copy2d_args){
        .src = x + (h * d->x.stride[2] + w * d->x.stride[3]) * bytes,
        .src_i = d->stride[0] * d->x.stride[2],
        .src_j = d->stride[1] * d->x.stride[3],
        .dst = columns + (t->p[0] * d->output[1] + t->q[0]) * step * bytes,
        .dst_i = d->output[1] * step,
        .dst_j = step,
        .rows = t->p[1] - t->p[0],
        .columns = t->q[1] - t->q[0],
    };
}

static void zero(char *y, int64_t begin, int64_t end, int64_t step, int64_t bytes) {
    if (step == 1)
        memset(y + begin * bytes, 0, (size_t)((end - begin) * bytes));
    else
        for (int64_t i = begin; i < end; i++) memset(y + i * step * bytes, 0, (size_t)bytes);
}

static void unfold_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct columns_plan *plan = plan_;
    const fc_columns_desc *d = &plan->desc;
    int64_t depth = d->columns.size[1], taps = d->kernel[0] * d->kernel[1];
    int64_t q = d->output[1], step = d->columns.stride[2], begin, end;
    fc_share(d->x.size[0] * depth, i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t image = item / depth, row = item % depth;
        struct tap t = tap_of(d, row % taps / d->kernel[1], row % d->kernel[1]);
        char *x = fc_at(run, &d->x) + fc_offset(&d->x, image, row / taps, 0, 0);
        char *columns = fc_at(run, &d->columns) + fc_offset(&d->columns, image, row, 0, 0);
        if (t.p[0] == t.p[1] || t.q[0] == t.q[1]) {
            zero(columns, 0, d->output[0] * q, step, plan->bytes);
            continue;
        }
        zero(columns, 0, t.p[0] * q + t.q[0], step, plan->bytes);
        for (int64_t p = t.p[0]; p + 1 < t.p[1]; p++)
            zero(columns, p * q + t.q[1], (p + 1) * q + t.q[0], step, plan->bytes);
        zero(columns, (t.p[1] - 1) * q + t.q[1], d->output[0] * q, step, plan->bytes);
        struct fc_copy2d_args copy = tap_copy(d, &t, x, columns, plan->bytes);
        plan->kernels->copy2d(&copy);
    }
}

/* Whole planes to a thread, taps in order: the sum's order never depends on the threads. */
static void fold_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct columns_plan *plan = plan_;
    const fc_columns_desc *d = &plan->desc;
    int64_t channels = d->x.size[1], begin, end;
    fc_share(d->x.size[0] * channels, i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t image = item / channels, c = item % channels;
        char *x = fc_at(run, &d->x) + fc_offset(&d->x, image, c, 0, 0);
        for (int64_t h = 0; h < d->x.size[2]; h++)
            zero(x + h * d->x.stride[2] * plan->bytes, 0, d->x.size[3], d->x.stride[3],
                 plan->bytes);
        for (int64_t r = 0; r < d->kernel[0]; r++)
            for (int64_t s = 0; s < d->kernel[1]; s++) {
                struct tap t = tap_of(d, r, s);
                if (t.p[0] == t.p[1] || t.q[0] == t.q[1]) continue;
                int64_t row = (c * d->kernel[0] + r) * d->kernel[1] + s;
                char *columns = fc_at(run, &d->columns) + fc_offset(&d->columns, image, row, 0, 0);
                struct fc_copy2d_args forward = tap_copy(d, &t, x, columns, plan->bytes);
                struct fc_copy2d_args add = {
                    .src = forward.dst,
                    .src_i = forward.dst_i,
                    .src_j = forward.dst_j,
                    .dst = (char *)forward.src,
                    .dst_i = forward.src_i,
                    .dst_j = forward.src_j,
                    .rows = forward.rows,
                    .columns = forward.columns,
                };
                plan->kernels->add2d(&add);
            }
    }
}

static fc_status add(struct fc_program *program, const fc_columns_desc *d, fc_step_fn run,
                     const fc_tensor *written) {
    fc_status status;
    if ((status = fc_check_tensor(&d->x)) || (status = fc_check_tensor(&d->columns)) ||
        (status = fc_check_window(d->kernel, d->stride, d->dilation, d->pad, &d->x, d->output[0],
                                  d->output[1])))
        return status;
    if (d->x.dtype > FC_FLOAT64 || d->columns.dtype != d->x.dtype) return FC_ERROR_UNSUPPORTED;
    if (d->columns.size[0] != d->x.size[0] || d->columns.size[3] != 1 ||
        d->columns.size[1] != fc_product(d->x.size[1], fc_product(d->kernel[0], d->kernel[1])) ||
        d->columns.size[2] != fc_product(d->output[0], d->output[1]))
        return FC_ERROR_SHAPE;
    if (fc_count(written) == 0) return FC_OK;
    struct columns_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = (struct columns_plan){
        .kernels = program->kernels->set[d->x.dtype],
        .desc = *d,
        .bytes = fc_dtype_bytes((fc_dtype)d->x.dtype),
    };
    struct fc_step step = {
        .run = run,
        .plan = plan,
        .cost = (double)fc_count(&d->columns) * 0.3,
        .flush_denormals = 0,
    };
    return fc_program_add_step(program, step);
}

fc_status fc_program_add_unfold(struct fc_program *program, const fc_columns_desc *desc) {
    return add(program, desc, unfold_run, &desc->columns);
}

fc_status fc_program_add_fold(struct fc_program *program, const fc_columns_desc *desc) {
    return add(program, desc, fold_run, &desc->x);
}
