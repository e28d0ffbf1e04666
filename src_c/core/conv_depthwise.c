/* conv_depthwise.c: convolution of each channel by itself.
 *
 * A vector is one row's pixels of a channel (planar) or one pixel's channels (last). Planes that lie
 * row by row are read and written as they lie, and so are channels that lie side by side. Otherwise,
 * and where rows are so short that vectors along them would be half empty, the planes of VL filters
 * pass through scratch:
 *
 *   strip[row][column][VL]   transposed, for the usual filters as it is, else padded with zeros
 *   out[row][column][VL]     transposed back
 *
 * Packed weights are those of one group with one channel: [panel of VL filters][tap][VL], biases.
 */
#include "core/conv.h"

struct depthwise_plan {
    const struct fc_kernel_set *kernels;
    fc_conv2d_desc desc;
    struct fc_packing packing;
    int64_t bytes, lanes;
    int64_t multiplier; /* filters of a channel */
    int planar;         /* the kernel of planes, in place */
    int unrolled;       /* a kernel has this filter and stride */
    int gathers, scatters;
    int64_t block_rows;  /* output rows at a time */
    int64_t columns;     /* of the strip */
    int64_t scratch_out; /* byte offset */
    double lo, hi;
    ptrdiff_t tap[]; /* unless unrolled: offsets in the strip */
};

/* Filters [first, first + count) of image n, output rows [p, p + rows). */
struct part {
    int64_t n, first, count, p, rows;
};

/* ---- running ---- */

static void activate(const struct depthwise_plan *plan, char *y, int64_t count) {
    if (plan->desc.activation > FC_RELU6)
        plan->kernels->activate(plan->desc.activation, plan->desc.alpha, y, y, count);
}

/* Input rows [h, h + rows) of the part's channels from column w on into strip[row][column]. */
static void gather_rows(const struct depthwise_plan *plan, const struct fc_run *run,
                        const struct part *part, int64_t h, int64_t rows, int64_t w,
                        int64_t columns, char *strip) {
    const fc_tensor *x = &plan->desc.x;
    int64_t filters = plan->multiplier == 1 ? part->count : 1;
    /* rows that follow each other in both are one long row */
    int dense = columns == plan->columns && x->stride[2] == columns * x->stride[3];
    for (int64_t k = 0; k < part->count; k += filters)
        for (int64_t i = 0; i < (dense ? 1 : rows); i++) {
            struct fc_copy2d_args copy = {
                .src = fc_at(run, x) +
                       fc_offset(x, part->n, (part->first + k) / plan->multiplier, h + i, w),
                .src_i = x->stride[1],
                .src_j = x->stride[3],
                .dst = strip + (i * plan->columns * plan->lanes + k) * plan->bytes,
                .dst_i = 1,
                .dst_j = plan->lanes,
                .rows = filters,
                .columns = dense ? rows * columns : columns,
            };
            plan->kernels->copy2d(&copy);
        }
}

static void scatter(const struct depthwise_plan *plan, const struct fc_run *run,
                    const struct part *part) {
    const fc_tensor *y = &plan->desc.y;
    const char *out = run->scratch + plan->scratch_out;
    int64_t q = y->size[3];
    int dense = y->stride[2] == q * y->stride[3];
    for (int64_t i = 0; i < (dense ? 1 : part->rows); i++) {
        struct fc_copy2d_args copy = {
            .src = out + i * q * plan->lanes * plan->bytes,
            .src_i = plan->lanes,
            .src_j = 1,
            .dst = fc_at(run, y) + fc_offset(y, part->n, part->first, part->p + i, 0),
            .dst_i = y->stride[3],
            .dst_j = y->stride[1],
            .rows = dense ? part->rows * q : q,
            .columns = part->count,
        };
        plan->kernels->copy2d(&copy);
    }
}

static struct fc_depthwise_args arguments(const struct depthwise_plan *plan,
                                          const struct fc_run *run, const struct part *part) {
    const fc_conv2d_desc *d = &plan->desc;
    const struct fc_packing *packing = &plan->packing;
    const char *packed = fc_at(run, &d->weight);
    struct fc_panel panel = fc_packing_panel(packing, 0, part->first / plan->lanes);
    return (struct fc_depthwise_args){
        .x = fc_at(run, &d->x) + fc_offset(&d->x, part->n, part->first / plan->multiplier, 0, 0),
        .x_channel = d->x.stride[1],
        .x_row = d->x.stride[2],
        .x_pixel = d->x.stride[3],
        .height = d->x.size[2],
        .width = d->x.size[3],
        .top = part->p * d->stride[0] - d->pad[0],
        .left = -d->pad[1],
        .w = packed + panel.weight * plan->bytes,
        .bias = packed + panel.bias * plan->bytes,
        .channels = part->count,
        .size = d->weight.size[2],
        .stride = d->stride[0],
        .y = fc_at(run, &d->y) + fc_offset(&d->y, part->n, part->first, part->p, 0),
        .y_channel = d->y.stride[1],
        .y_row = d->y.stride[2],
        .y_pixel = d->y.stride[3],
        .rows = part->rows,
        .columns = d->y.size[3],
        .lo = plan->lo,
        .hi = plan->hi,
    };
}

static void run_planes(const struct depthwise_plan *plan, const struct fc_run *run,
                       const struct part *part) {
    const fc_tensor *y = &plan->desc.y;
    struct fc_depthwise_args args = arguments(plan, run, part);
    int64_t bytes = plan->bytes, before = -1;
    if (plan->multiplier == 1 && plan->desc.activation <= FC_RELU6) {
        plan->kernels->depthwise_planar(&args);
        return;
    }
    args.channels = 1;
    for (int64_t k = 0; k < part->count; k++) {
        int64_t channel = (part->first + k) / plan->multiplier;
        if (k > 0 && channel != before) args.x = (const char *)args.x + args.x_channel * bytes;
        before = channel;
        plan->kernels->depthwise_planar(&args);
        if (y->stride[2] == y->size[3])
            activate(plan, args.y, args.rows * args.columns);
        else
            for (int64_t p = 0; p < args.rows; p++)
                activate(plan, (char *)args.y + p * args.y_row * bytes, args.columns);
        args.y = (char *)args.y + args.y_channel * bytes;
        args.w = (const char *)args.w + bytes;
        args.bias = (const char *)args.bias + bytes;
    }
}

/* A filter or stride that no kernel has: tap by tap from a padded strip. */
static void run_taps(const struct depthwise_plan *plan, const struct fc_depthwise_args *args,
                     const struct fc_run *run) {
    const fc_conv2d_desc *d = &plan->desc;
    for (int64_t p = 0; p < args->rows; p++) {
        int64_t from = p * d->stride[0] * plan->columns * plan->lanes;
        struct fc_depthwise_taps_args taps = {
            .x = run->scratch + from * plan->bytes,
            .x_pixel = d->stride[1] * plan->lanes,
            .tap = plan->tap,
            .taps = plan->packing.taps,
            .w = args->w,
            .bias = args->bias,
            .pixels = args->columns,
            .y = (char *)args->y + p * args->y_row * plan->bytes,
            .y_pixel = args->y_pixel,
            .channels = args->channels,
            .lo = plan->lo,
            .hi = plan->hi,
        };
        plan->kernels->depthwise_taps(&taps);
    }
}

static void gather(const struct depthwise_plan *plan, const struct fc_run *run,
                   const struct part *part, struct fc_depthwise_args *args) {
    const fc_conv2d_desc *d = &plan->desc;
    int64_t rows = fc_extent(d, 0, part->rows), begin, end, left = 0, right = d->x.size[3];
    int64_t row_bytes = plan->columns * plan->lanes * plan->bytes;
    fc_inside(d->x.size[2], 1, args->top, rows, &begin, &end);
    char *strip = run->scratch;
    if (!plan->unrolled) {
        fc_inside(d->x.size[3], 1, args->left, plan->columns, &left, &right);
        memset(strip, 0, (size_t)(rows * row_bytes));
        strip += begin * row_bytes + left * plan->lanes * plan->bytes;
    }
    gather_rows(plan, run, part, args->top + begin, end - begin,
                plan->unrolled ? 0 : args->left + left, right - left, strip);
    args->x = run->scratch;
    args->x_channel = 1;
    args->x_row = plan->columns * plan->lanes;
    args->x_pixel = plan->lanes;
    args->height = end - begin;
    args->top = args->top < 0 ? args->top : 0;
}

static void run_channels(const struct depthwise_plan *plan, const struct fc_run *run,
                         const struct part *part) {
    struct fc_depthwise_args args = arguments(plan, run, part);
    if (plan->gathers) gather(plan, run, part, &args);
    if (plan->scatters) {
        args.y = run->scratch + plan->scratch_out;
        args.y_channel = 1;
        args.y_row = args.columns * plan->lanes;
        args.y_pixel = plan->lanes;
    }
    if (plan->unrolled)
        plan->kernels->depthwise_last(&args);
    else
        run_taps(plan, &args, run);
    if (plan->desc.activation > FC_RELU6)
        for (int64_t p = 0; p < args.rows; p++)
            plan->kernels->activate_rows(plan->desc.activation, plan->desc.alpha,
                                         (char *)args.y + p * args.y_row * plan->bytes,
                                         args.columns, args.y_pixel, args.channels);
    if (plan->scatters) scatter(plan, run, part);
}

/* Shares are rows of an image where there are enough of them, else rows of a panel of filters. */
static void depthwise_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct depthwise_plan *plan = plan_;
    const fc_tensor *y = &plan->desc.y;
    int64_t filters = y->size[1], width = filters, begin, end;
    if (plan->planar || plan->gathers || plan->scatters ||
        (n > 1 && y->size[0] * y->size[2] < 4 * n))
        width = plan->lanes;
    int64_t parts = fc_ceil_div(filters, width);
    fc_share(y->size[0] * parts * y->size[2], i, n, &begin, &end);
    while (begin < end) {
        int64_t index = begin / y->size[2], p = begin % y->size[2];
        int64_t first = index % parts * width;
        struct part part = {
            .n = index / parts,
            .first = first,
            .count = fc_min(width, filters - first),
            .p = p,
            .rows = fc_min(plan->block_rows, fc_min(y->size[2] - p, end - begin)),
        };
        if (plan->planar)
            run_planes(plan, run, &part);
        else
            run_channels(plan, run, &part);
        begin += part.rows;
    }
}

/* ---- planning ---- */

static int has_kernel(const fc_conv2d_desc *d) {
    int64_t size = d->weight.size[2], stride = d->stride[0];
    return size == d->weight.size[3] && (size == 3 || size == 5 || size == 7) &&
           stride == d->stride[1] && stride <= 2 && d->dilation[0] == 1 && d->dilation[1] == 1;
}

static int side_by_side(const fc_tensor *t) { return t->stride[1] == 1 || t->size[1] == 1; }

/* Taps inside the image, over all outputs along an axis. */
static double inner_taps(const fc_conv2d_desc *d, int a) {
    int64_t sum = 0, begin, end;
    for (int64_t r = 0; r < d->weight.size[2 + a]; r++) {
        fc_inside(d->x.size[2 + a], d->stride[a], r * d->dilation[a] - d->pad[a], d->y.size[2 + a],
                  &begin, &end);
        sum += end - begin;
    }
    return (double)sum;
}

/* Cycles a plane of the output: by the kernel of planes, or of channels. */
static double planar_cycles(const fc_conv2d_desc *d, double lanes) {
    double taps = (double)(d->weight.size[2] * d->weight.size[3]);
    int64_t whole = d->y.size[3] / (int64_t)lanes, rest = d->y.size[3] % (int64_t)lanes;
    double vectors = (double)whole + (rest > 0);
    /* two planes share a vector */
    if (lanes >= 8 && rest > 0 && rest <= (int64_t)lanes / 2) vectors -= 0.35;
    double row = taps * 1.1 + 2 + (d->stride[1] == 2 ? 2.5 * (double)d->weight.size[3] : 0);
    return vectors * ((double)d->y.size[2] * row + taps + 30);
}

static double last_cycles(const fc_conv2d_desc *d, double lanes) {
    double x = (double)(d->x.size[2] * d->x.size[3]), y = (double)(d->y.size[2] * d->y.size[3]);
    double taps = (double)(d->weight.size[2] * d->weight.size[3]) * y * 1.15;
    if (has_kernel(d)) taps = inner_taps(d, 0) * inner_taps(d, 1) * 1.4 + y * 5;
    double filters = (double)d->y.size[1],
           panels = (double)fc_ceil_div(d->y.size[1], (int64_t)lanes);
    if (!side_by_side(&d->x)) taps += x * lanes * 0.55;
    if (!side_by_side(&d->y)) taps += y * lanes * 0.55;
    if (d->y.size[1] != d->groups) taps += x * lanes;
    return taps * panels / filters;
}

static int can_be_planar(const fc_conv2d_desc *d) {
    return has_kernel(d) && (d->x.stride[3] == 1 || d->x.size[3] == 1) &&
           (d->y.stride[3] == 1 || d->y.size[3] == 1);
}

static int takes_planes(const fc_conv2d_desc *d, double lanes) {
    return can_be_planar(d) && planar_cycles(d, lanes) < last_cycles(d, lanes);
}

double fc_depthwise_cycles(const fc_conv2d_desc *d, const struct fc_kernel_set *kernels) {
    double lanes = (double)kernels->lanes, pixels = (double)(d->y.size[2] * d->y.size[3]);
    double plane = takes_planes(d, lanes) ? planar_cycles(d, lanes) : last_cycles(d, lanes);
    return plane / pixels * (double)(d->y.size[1] / d->groups);
}

/* As many rows at a time as keep strip and output in the second-level cache. */
static int64_t plan_rows(const struct depthwise_plan *plan) {
    const fc_conv2d_desc *d = &plan->desc;
    int64_t rows = d->y.size[2], pixel = plan->lanes * plan->bytes, row = 0, halo = 0;
    if (plan->gathers) {
        int64_t line = fc_product(plan->columns, pixel);
        halo = fc_product(fc_extent(d, 0, 1), line);
        row = fc_product(d->stride[0], line);
        if (halo < 0 || row < 0) return 1;
    }
    if (plan->scatters) row += d->y.size[3] * pixel;
    if (row == 0 && d->activation > FC_RELU6 && !plan->planar)
        row = d->y.size[1] * d->y.size[3] * plan->bytes;
    return row == 0 ? rows : fc_max(1, fc_min(rows, (fc_l2_bytes() / 2 - halo) / row));
}

fc_status fc_add_depthwise_step(struct fc_program *program, const fc_conv2d_desc *desc,
                                const struct fc_packing *packing) {
    const struct fc_kernel_set *kernels = program->kernels->set[desc->x.dtype];
    int unrolled = has_kernel(desc);
    int64_t taps = unrolled ? 0 : packing->taps;
    struct depthwise_plan *plan = malloc(sizeof *plan + (size_t)taps * sizeof plan->tap[0]);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = (struct depthwise_plan){
        .kernels = kernels,
        .desc = *desc,
        .packing = *packing,
        .bytes = fc_dtype_bytes((fc_dtype)desc->x.dtype),
        .lanes = kernels->lanes,
        .multiplier = desc->y.size[1] / desc->groups,
        .planar = takes_planes(desc, (double)kernels->lanes),
        .unrolled = unrolled,
        .columns = unrolled ? desc->x.size[3] : fc_extent(desc, 1, desc->y.size[3]),
        .lo = fc_lower_bound(desc->activation),
        .hi = fc_upper_bound(desc->activation),
    };
    if (!plan->planar) {
        plan->gathers = !unrolled || !side_by_side(&desc->x) || plan->multiplier != 1;
        plan->scatters = !side_by_side(&desc->y);
    }
    plan->block_rows = plan_rows(plan);
    int64_t pixel = plan->lanes * plan->bytes, strip = 0, out = 0;
    if (plan->gathers)
        strip = fc_product(fc_product(fc_extent(desc, 0, plan->block_rows), plan->columns), pixel);
    if (plan->scatters) out = fc_product(plan->block_rows * desc->y.size[3], pixel);
    if (strip < 0 || out < 0) {
        free(plan);
        return FC_ERROR_OVERFLOW;
    }
    for (int64_t t = 0; t < taps; t++) {
        int64_t r = t / desc->weight.size[3], s = t % desc->weight.size[3];
        plan->tap[t] =
            (r * desc->dilation[0] * plan->columns + s * desc->dilation[1]) * plan->lanes;
    }
    plan->scratch_out = fc_align(strip);
    double count = (double)fc_count(&desc->y);
    struct fc_step step = {
        .run = depthwise_run,
        .plan = plan,
        .scratch_bytes = plan->scratch_out + out,
        .cost = count * (double)packing->taps / 40 + (count + (double)fc_count(&desc->x)) / 16,
        .flush_denormals = 1,
    };
    return fc_program_add_step(program, step);
}
