/* pool.c: max and average pooling.
 *
 * Channels last: the taps of a window, all channels of a pixel at a time. Planar: vertical first,
 * the rows of a window into one row in L1, then horizontal. Other strides, integers and argmax go
 * through plain loops.
 */
#include <math.h>

#include "core/program.h"

/* Padded rows of more elements than this are not worth a copy in scratch: plain loops. */
#define FC_LONGEST_ROW ((int64_t)1 << 24)

enum pool_path { POOL_SCALAR, POOL_CHANNELS_LAST, POOL_PLANAR };

struct pool_plan {
    const struct fc_kernel_set *kernels;
    fc_pool2d_desc desc;
    enum pool_path path;
    int64_t bytes;
    int two_by_two;          /* planar: 2x2 windows at stride 2, all inside the image */
    int64_t row_elements;    /* planar: the padded row in scratch */
    int64_t scratch_divisor; /* byte offsets in scratch: divisors, taps */
    int64_t scratch_taps;
};

/* The window's rows and columns inside the image: first, and end; steps of dilation. */
struct window {
    int64_t h[2], w[2];
};

static void clip(const fc_pool2d_desc *d, int a, int64_t output, int64_t range[2]) {
    int64_t start = output * d->stride[a] - d->pad[a];
    int64_t end = fc_min(start + (d->kernel[a] - 1) * d->dilation[a] + 1, d->x.size[2 + a]);
    if (start < 0) start += fc_ceil_div(-start, d->dilation[a]) * d->dilation[a];
    range[0] = start;
    range[1] = end;
}

static struct window window_of(const fc_pool2d_desc *d, int64_t p, int64_t q) {
    struct window w;
    clip(d, 0, p, w.h);
    clip(d, 1, q, w.w);
    return w;
}

/* The divisor is a product over the axes: how much of the window counts along axis a. */
static int64_t divisor_part(const fc_pool2d_desc *d, int a, int64_t output) {
    if (d->divisor_override) return a == 0 ? d->divisor_override : 1;
    int64_t start = output * d->stride[a] - d->pad[a];
    int64_t end = start + d->kernel[a];
    if (d->count_include_pad) return fc_min(end, d->x.size[2 + a] + d->pad[2 + a]) - start;
    return fc_min(end, d->x.size[2 + a]) - fc_max(start, 0);
}

#define FC_T float
#define FC_POOL_NAME(op) pool_##op##_f32
#define FC_POOL_LOWEST -INFINITY
#define FC_POOL_ISNAN(v) ((v) != (v))
#define FC_POOL_FLOATING
#include "core/pool_scalar.h"
#define FC_T double
#define FC_POOL_NAME(op) pool_##op##_f64
#define FC_POOL_LOWEST -INFINITY
#define FC_POOL_ISNAN(v) ((v) != (v))
#define FC_POOL_FLOATING
#include "core/pool_scalar.h"
#define FC_T int8_t
#define FC_POOL_NAME(op) pool_##op##_i8
#define FC_POOL_LOWEST INT8_MIN
#define FC_POOL_ISNAN(v) 0
#include "core/pool_scalar.h"
#define FC_T uint8_t
#define FC_POOL_NAME(op) pool_##op##_u8
#define FC_POOL_LOWEST 0
#define FC_POOL_ISNAN(v) 0
#include "core/pool_scalar.h"
#define FC_T int16_t
#define FC_POOL_NAME(op) pool_##op##_i16
#define FC_POOL_LOWEST INT16_MIN
#define FC_POOL_ISNAN(v) 0
#include "core/pool_scalar.h"
#define FC_T uint16_t
#define FC_POOL_NAME(op) pool_##op##_u16
#define FC_POOL_LOWEST 0
#define FC_POOL_ISNAN(v) 0
#include "core/pool_scalar.h"
#define FC_T int32_t
#define FC_POOL_NAME(op) pool_##op##_i32
#define FC_POOL_LOWEST INT32_MIN
#define FC_POOL_ISNAN(v) 0
#include "core/pool_scalar.h"
#define FC_T uint32_t
#define FC_POOL_NAME(op) pool_##op##_u32
#define FC_POOL_LOWEST 0
#define FC_POOL_ISNAN(v) 0
#include "core/pool_scalar.h"
#define FC_T int64_t
#define FC_POOL_NAME(op) pool_##op##_i64
#define FC_POOL_LOWEST INT64_MIN
#define FC_POOL_ISNAN(v) 0
#include "core/pool_scalar.h"
#define FC_T uint64_t
#define FC_POOL_NAME(op) pool_##op##_u64
#define FC_POOL_LOWEST 0
#define FC_POOL_ISNAN(v) 0
#include "core/pool_scalar.h"

typedef void (*max_fn)(const struct pool_plan *, const char *, int64_t, int64_t, char *, int64_t *);
static const max_fn max_of_dtype[] = {
    pool_max_f32, pool_max_f64, pool_max_i8,  pool_max_u8,  pool_max_i16,
    pool_max_u16, pool_max_i32, pool_max_u32, pool_max_i64, pool_max_u64,
};

static void scalar_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct pool_plan *plan = plan_;
    const fc_pool2d_desc *d = &plan->desc;
    int64_t begin, end, channels = d->y.size[1], rows = d->y.size[2];
    fc_share(d->y.size[0] * channels * rows, i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t image = item / rows / channels, c = item / rows % channels, p = item % rows;
        const char *x = fc_at(run, &d->x) + fc_offset(&d->x, image, c, 0, 0);
        for (int64_t q = 0; q < d->y.size[3]; q++) {
            char *y = fc_at(run, &d->y) + fc_offset(&d->y, image, c, p, q);
            int64_t *index = NULL;
            if (fc_present(&d->indices))
                index =
                    (int64_t *)(fc_at(run, &d->indices) + fc_offset(&d->indices, image, c, p, q));
            if (d->kind == FC_POOL_MAX)
                max_of_dtype[d->x.dtype](plan, x, p, q, y, index);
            else if (d->x.dtype == FC_FLOAT32)
                pool_average_f32(plan, x, p, q, y);
            else
                pool_average_f64(plan, x, p, q, y);
        }
    }
}

static void fill(const struct pool_plan *plan, char *row, int64_t count, double value) {
    if (plan->desc.x.dtype == FC_FLOAT32)
        for (int64_t i = 0; i < count; i++) ((float *)row)[i] = (float)value;
    else
        for (int64_t i = 0; i < count; i++) ((double *)row)[i] = value;
}

static double neutral(const struct pool_plan *plan) {
    return plan->desc.kind == FC_POOL_MAX ? -INFINITY : 0;
}

static enum fc_reduce_op reduce_op(const struct pool_plan *plan) {
    return plan->desc.kind == FC_POOL_MAX ? FC_REDUCE_MAX : FC_REDUCE_SUM;
}

static void channels_last_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct pool_plan *plan = plan_;
    const fc_pool2d_desc *d = &plan->desc;
    char *one = run->scratch + plan->scratch_divisor;
    ptrdiff_t *tap = (ptrdiff_t *)(run->scratch + plan->scratch_taps);
    int64_t begin, end, rows = d->y.size[2], channels = d->y.size[1];
    fill(plan, one, 1, 1);
    fc_share(d->y.size[0] * rows, i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t image = item / rows, p = item % rows;
        const char *x = fc_at(run, &d->x) + fc_offset(&d->x, image, 0, 0, 0);
        for (int64_t q = 0; q < d->y.size[3]; q++) {
            char *y = fc_at(run, &d->y) + fc_offset(&d->y, image, 0, p, q);
            struct window w = window_of(d, p, q);
            int64_t taps = 0;
            for (int64_t h = w.h[0]; h < w.h[1]; h += d->dilation[0])
                for (int64_t c = w.w[0]; c < w.w[1]; c += d->dilation[1])
                    tap[taps++] = h * d->x.stride[2] + c * d->x.stride[3];
            if (taps)
                plan->kernels->reduce_taps(reduce_op(plan), x, tap, taps, y, channels);
            else
                fill(plan, y, channels, neutral(plan));
            if (d->kind == FC_POOL_AVERAGE)
                plan->kernels->divide(y, one, 0,
                                      (double)divisor_part(d, 0, p) * (double)divisor_part(d, 1, q),
                                      channels);
        }
    }
}

/* One output row of one plane, by way of a padded row in scratch. */
static void planar_row(const struct pool_plan *plan, const struct fc_run *run, const char *x,
                       int64_t p, char *y) {
    const fc_pool2d_desc *d = &plan->desc;
    char *row = run->scratch, *inner = row + d->pad[1] * plan->bytes;
    ptrdiff_t *tap = (ptrdiff_t *)(run->scratch + plan->scratch_taps);
    int64_t width = fc_min(d->x.size[3], plan->row_elements - d->pad[1]), taps = 0, range[2];
    clip(d, 0, p, range);
    for (int64_t h = range[0]; h < range[1]; h += d->dilation[0]) tap[taps++] = h * d->x.stride[2];
    if (taps)
        plan->kernels->reduce_taps(reduce_op(plan), x, tap, taps, inner, width);
    else
        fill(plan, inner, width, neutral(plan));
    plan->kernels->reduce_row(reduce_op(plan), row, d->kernel[1], d->dilation[1], d->stride[1], y,
                              d->y.size[3]);
}

static void planar_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct pool_plan *plan = plan_;
    const fc_pool2d_desc *d = &plan->desc;
    char *divisor = run->scratch + plan->scratch_divisor;
    int64_t begin, end, channels = d->y.size[1], rows = d->y.size[2];
    int64_t parts = fc_ceil_div(rows, 32); /* of a plane, so that one plane can be shared out */
    fill(plan, run->scratch, plan->row_elements, neutral(plan));
    if (d->kind == FC_POOL_AVERAGE)
        for (int64_t q = 0; q < d->y.size[3]; q++)
            fill(plan, divisor + q * plan->bytes, 1, (double)divisor_part(d, 1, q));
    fc_share(d->y.size[0] * channels * parts, i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t image = item / parts / channels, c = item / parts % channels, first, last;
        const char *x = fc_at(run, &d->x) + fc_offset(&d->x, image, c, 0, 0);
        char *y = fc_at(run, &d->y) + fc_offset(&d->y, image, c, 0, 0);
        fc_share(rows, item % parts, parts, &first, &last);
        for (int64_t p = first; p < last; p++) {
            char *out = y + p * d->y.stride[2] * plan->bytes;
            if (plan->two_by_two)
                plan->kernels->reduce_2x2(reduce_op(plan), x + 2 * p * d->x.stride[2] * plan->bytes,
                                          d->x.stride[2], out, d->y.size[3]);
            else
                planar_row(plan, run, x, p, out);
            if (d->kind == FC_POOL_AVERAGE)
                plan->kernels->divide(out, divisor, 1, (double)divisor_part(d, 0, p), d->y.size[3]);
        }
    }
}

static fc_status check(const fc_pool2d_desc *d) {
    fc_status status;
    if ((status = fc_check_tensor(&d->x)) || (status = fc_check_tensor(&d->y))) return status;
    if (fc_present(&d->indices) && (status = fc_check_tensor(&d->indices))) return status;
    if (d->y.dtype != d->x.dtype || (d->kind != FC_POOL_MAX && d->x.dtype > FC_FLOAT64) ||
        (fc_present(&d->indices) && (d->indices.dtype != FC_INT64 || d->kind != FC_POOL_MAX)))
        return FC_ERROR_UNSUPPORTED;
    if (d->kind != FC_POOL_MAX && d->kind != FC_POOL_AVERAGE) return FC_ERROR_ARGUMENT;
    if (d->y.size[0] != d->x.size[0] || d->y.size[1] != d->x.size[1]) return FC_ERROR_SHAPE;
    if (fc_present(&d->indices) && memcmp(d->indices.size, d->y.size, sizeof d->y.size))
        return FC_ERROR_SHAPE;
    if (d->pad[2] < 0 || d->pad[3] < 0) return FC_ERROR_ARGUMENT;
    if (d->pad[2] > FC_MAX_EXTENT || d->pad[3] > FC_MAX_EXTENT) return FC_ERROR_OVERFLOW;
    if (d->kind == FC_POOL_AVERAGE && (d->dilation[0] != 1 || d->dilation[1] != 1))
        return FC_ERROR_UNSUPPORTED;
    return fc_check_window(d->kernel, d->stride, d->dilation, d->pad, &d->x, d->y.size[2],
                           d->y.size[3]);
}

fc_status fc_program_add_pool2d(struct fc_program *program, const fc_pool2d_desc *desc) {
    fc_status status = check(desc);
    if (status) return status;
    if (fc_count(&desc->y) == 0) return FC_OK;
    struct pool_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = (struct pool_plan){.desc = *desc, .bytes = fc_dtype_bytes((fc_dtype)desc->x.dtype)};
    const fc_tensor *x = &desc->x, *y = &desc->y;
    int floating = x->dtype <= FC_FLOAT64 && !fc_present(&desc->indices);
    int64_t window = (desc->kernel[1] - 1) * desc->dilation[1] + 1;
    plan->row_elements = (y->size[3] - 1) * desc->stride[1] + window;
    if (floating) plan->kernels = program->kernels->set[x->dtype];
    if (floating && x->stride[1] == 1 && y->stride[1] == 1 && x->size[1] > 1)
        plan->path = POOL_CHANNELS_LAST;
    else if (floating && x->stride[3] == 1 && (y->stride[3] == 1 || y->size[3] == 1) &&
             plan->row_elements <= FC_LONGEST_ROW)
        plan->path = POOL_PLANAR;
    plan->two_by_two = 1;
    for (int a = 0; a < 2; a++)
        plan->two_by_two &= desc->kernel[a] == 2 && desc->stride[a] == 2 && desc->pad[a] == 0 &&
                            desc->dilation[a] == 1 && 2 * y->size[2 + a] <= x->size[2 + a];
    static const fc_step_fn run[] = {scalar_run, channels_last_run, planar_run};
    int64_t taps = plan->path == POOL_PLANAR ? fc_min(desc->kernel[0], x->size[2])
                                             : fc_product(fc_min(desc->kernel[0], x->size[2]),
                                                          fc_min(desc->kernel[1], x->size[3]));
    plan->scratch_divisor =
        plan->path == POOL_PLANAR ? fc_align(plan->row_elements * plan->bytes) : 0;
    plan->scratch_taps =
        plan->scratch_divisor +
        fc_align(plan->path == POOL_PLANAR ? y->size[3] * plan->bytes : plan->bytes);
    int64_t tap_bytes = fc_product(fc_max(taps, 1), sizeof(ptrdiff_t));
    struct fc_step step = {
        .run = run[plan->path],
        .plan = plan,
        .scratch_bytes = plan->path == POOL_SCALAR ? 0
                         : tap_bytes < 0           ? -1
                                                   : plan->scratch_taps + tap_bytes,
        .cost = (double)fc_count(y) * (double)desc->kernel[0] * (double)desc->kernel[1] *
                (plan->path == POOL_SCALAR ? 1 : 0.1),
        .flush_denormals = desc->kind == FC_POOL_AVERAGE,
    };
    return fc_program_add_step(program, step);
}
