/* pool.h: 2-D pooling's plan, shared by its planner and its ways of running. */
#ifndef FC_POOL_H
#define FC_POOL_H

#include "core/program.h"

/* Taps that argmax's tables and other per-window lists may hold. */
#define FC_POOL_TAPS 4096

struct fc_pool_plan {
    fc_pool2d_desc desc;
    const struct fc_kernel_table *table;
    const struct fc_kernel_set *kernels; /* of a floating dtype, else NULL */
    fc_pool_fn kernel;                   /* in registers: which one, and most of its arguments */
    struct fc_pool_args args;
    int64_t bytes;      /* of an element */
    int last;           /* lanes are channels */
    int64_t parts;      /* row ranges of a plane or image, shared out singly */
    int64_t lanes;      /* channels last: channels of an item; planar: 1 */
    int64_t strip_rows; /* in separable form: output rows of an item */
    int64_t pitch;      /* ... and elements of a row of the strip */
    /* byte offsets in scratch; scratch: the first that divisors leave free */
    int64_t row_divisor, column_divisor, scratch, neutral, strip, work, taps, places;
};

/* The window's rows and columns inside the image: first, and end; steps of dilation. */
struct fc_window {
    int64_t h[2], w[2];
};

static inline void fc_window_clip(const fc_pool2d_desc *d, int a, int64_t output,
                                  int64_t range[2]) {
    int64_t start = output * d->stride[a] - d->pad[a];
    int64_t end = fc_min(start + (d->kernel[a] - 1) * d->dilation[a] + 1, d->x.size[2 + a]);
    if (start < 0) start += fc_ceil_div(-start, d->dilation[a]) * d->dilation[a];
    range[0] = start;
    range[1] = end;
}

static inline struct fc_window fc_window_of(const fc_pool2d_desc *d, int64_t p, int64_t q) {
    struct fc_window w;
    fc_window_clip(d, 0, p, w.h);
    fc_window_clip(d, 1, q, w.w);
    return w;
}

/* The divisor is a product over the axes: how many of the window's elements count along axis a. */
static inline int64_t fc_divisor_part(const fc_pool2d_desc *d, int a, int64_t output) {
    if (d->divisor_override) return a == 0 ? d->divisor_override : 1;
    int64_t start = output * d->stride[a] - d->pad[a], step = d->dilation[a];
    int64_t end = d->x.size[2 + a] + (d->count_include_pad ? d->pad[2 + a] : 0);
    int64_t elements = fc_min(d->kernel[a], fc_ceil_div(fc_max(end - start, 0), step));
    if (d->count_include_pad) return elements;
    return fc_max(elements - fc_ceil_div(fc_max(-start, 0), step), 0);
}

/* All rows' and columns' divisors into scratch, if this is an average. */
void fc_pool_divisors(const struct fc_pool_plan *plan, const struct fc_run *run);

/* One maximum, and its position unless index is NULL; x is the plane. */
void fc_pool_scalar_max(const fc_pool2d_desc *desc, const char *x, int64_t p, int64_t q, char *y,
                        int64_t *index);
/* Plain loops, any strides and dtypes, with or without indices. */
void fc_pool_scalar_run(const void *plan, const struct fc_run *run, int64_t i, int64_t n);

/* Any window, vertical and horizontal apart, in a strip of padded rows. Planning returns the bytes of
 * scratch; 0: no strip of a sensible size would do. */
int64_t fc_pool_separable_plan(struct fc_pool_plan *plan);
void fc_pool_separable_run(const void *plan, const struct fc_run *run, int64_t i, int64_t n);

#endif
