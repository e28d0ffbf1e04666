/* pool.c: pooling's planner, and the ways of running that need no strip.
 *
 * In registers: windows of two, three and five columns, whole images, and channels last. Other windows go
 * through a strip of padded rows (pool_separable.c), what remains through plain loops (pool_scalar.c).
 */
#include <math.h>

#include "core/pool.h"

/* Windows higher than this are cheaper in separable form. */
#define FC_POOL_ROWS 6

static void store(const struct fc_pool_plan *plan, char *at, int64_t index, int64_t value) {
    if (plan->desc.x.dtype == FC_FLOAT32)
        ((float *)at)[index] = (float)value;
    else
        ((double *)at)[index] = (double)value;
}

void fc_pool_divisors(const struct fc_pool_plan *plan, const struct fc_run *run) {
    const fc_pool2d_desc *d = &plan->desc;
    if (d->kind != FC_POOL_AVERAGE) return;
    for (int64_t p = 0; p < d->y.size[2]; p++)
        store(plan, run->scratch + plan->row_divisor, p, fc_divisor_part(d, 0, p));
    for (int64_t q = 0; q < d->y.size[3]; q++)
        store(plan, run->scratch + plan->column_divisor, q, fc_divisor_part(d, 1, q));
}

/* ---- in registers ---- */

static struct fc_pool_args arguments(const struct fc_pool_plan *plan) {
    const fc_pool2d_desc *d = &plan->desc;
    return (struct fc_pool_args){
        .op = d->kind == FC_POOL_MAX ? FC_REDUCE_MAX : FC_REDUCE_SUM,
        .neutral = d->kind == FC_POOL_MAX ? -INFINITY : 0,
        .x_plane = d->x.stride[1],
        .x_row = d->x.stride[2],
        .x_pixel = d->x.stride[3],
        .height = d->x.size[2],
        .width = d->x.size[3],
        .y_plane = d->y.stride[1],
        .y_row = d->y.stride[2],
        .y_pixel = d->y.stride[3],
        .columns = d->y.size[3],
        .kernel = {d->kernel[0], d->kernel[1]},
        .stride = {d->stride[0], d->stride[1]},
        .dilation = {d->dilation[0], d->dilation[1]},
        .pad = {d->pad[0], d->pad[1]},
    };
}

/* Shares out (image, plane, rows) or, with channels last, (image, rows, channels). */
static void registers_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct fc_pool_plan *plan = plan_;
    const fc_pool2d_desc *d = &plan->desc;
    struct fc_pool_args args = plan->args;
    int64_t channels = d->y.size[1], blocks = fc_ceil_div(channels, plan->lanes), begin, end;
    args.row_divisor = run->scratch + plan->row_divisor;
    args.column_divisor = run->scratch + plan->column_divisor;
    fc_pool_divisors(plan, run);
    fc_share(d->y.size[0] * blocks * plan->parts, i, n, &begin, &end);
    while (begin < end) {
        int64_t image = begin / plan->parts / blocks, rest = begin % (plan->parts * blocks);
        int64_t part = plan->last ? rest / blocks : rest % plan->parts;
        int64_t first = (plan->last ? rest % blocks : rest / plan->parts) * plan->lanes;
        int64_t whole = plan->parts == 1 && !plan->last; /* planes in a row are one call */
        int64_t items = whole ? fc_min(end - begin, channels - first) : 1, row[2];
        fc_share(d->y.size[2], part, plan->parts, &row[0], &row[1]);
        args.x = fc_at(run, &d->x) + fc_offset(&d->x, image, first, 0, 0);
        args.y = fc_at(run, &d->y) + fc_offset(&d->y, image, first, 0, 0);
        args.planes = whole ? items : fc_min(plan->lanes, channels - first);
        args.first = row[0];
        args.last = row[1];
        plan->kernel(&args);
        begin += items;
    }
}

/* ---- with indices ---- */

/* Taps of the rows [h[0], h[1]) and columns [w[0], w[1]), in order. */
static int64_t list_taps(const fc_pool2d_desc *d, const int64_t h[2], const int64_t w[2],
                         ptrdiff_t *tap, int64_t *place) {
    int64_t taps = 0;
    for (int64_t r = h[0]; r < h[1]; r += d->dilation[0])
        for (int64_t c = w[0]; c < w[1]; c += d->dilation[1]) {
            tap[taps] = r * d->x.stride[2] + c * d->x.stride[3];
            place[taps++] = r * d->x.size[3] + c;
        }
    return taps;
}

/* One row of one plane: vectors where windows lie within the image's width, else one by one. */
static void planar_argmax(const struct fc_pool_plan *plan, struct fc_argmax_args *args,
                          ptrdiff_t *tap, int64_t *place, int64_t p, char *y, int64_t *index) {
    const fc_pool2d_desc *d = &plan->desc;
    const char *x = args->x;
    int64_t columns = d->y.size[3], reach = (d->kernel[1] - 1) * d->dilation[1], h[2];
    int64_t begin = fc_min(fc_ceil_div(d->pad[1], d->stride[1]), columns), end = begin;
    int64_t room = d->x.size[3] - reach + d->pad[1]; /* window starts below this end inside */
    if (room > 0) end = fc_max(begin, fc_min(columns, (room - 1) / d->stride[1] + 1));
    fc_window_clip(d, 0, p, h);
    if (h[0] >= h[1]) end = begin;
    for (int64_t q = 0; q < columns; q++) {
        if (q == begin) q = end;
        if (q == columns) break;
        fc_pool_scalar_max(d, x, p, q, y + q * plan->bytes, index + q);
    }
    if (begin == end) return;
    int64_t first = begin * d->stride[1] - d->pad[1], w[2] = {first, first + reach + 1};
    args->taps = list_taps(d, h, w, tap, place);
    args->x_step = args->base_step = d->stride[1];
    args->y = y + begin * plan->bytes;
    args->index = index + begin;
    args->lanes = end - begin;
    plan->kernels->argmax(args);
}

static void argmax_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct fc_pool_plan *plan = plan_;
    const fc_pool2d_desc *d = &plan->desc;
    int64_t *place = (int64_t *)(run->scratch + plan->places);
    ptrdiff_t *tap = (ptrdiff_t *)(run->scratch + plan->taps);
    struct fc_argmax_args args = {.tap = tap, .place = place};
    int64_t planes = plan->last ? 1 : d->y.size[1], rows = d->y.size[2], begin, end;
    fc_share(d->y.size[0] * planes * rows, i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t image = item / rows / planes, c = item / rows % planes, p = item % rows;
        args.x = fc_at(run, &d->x) + fc_offset(&d->x, image, c, 0, 0);
        char *y = fc_at(run, &d->y) + fc_offset(&d->y, image, c, p, 0);
        char *index = fc_at(run, &d->indices) + fc_offset(&d->indices, image, c, p, 0);
        if (!plan->last) {
            planar_argmax(plan, &args, tap, place, p, y, (int64_t *)index);
            continue;
        }
        for (int64_t q = 0; q < d->y.size[3]; q++) {
            struct fc_window window = fc_window_of(d, p, q);
            args.taps = list_taps(d, window.h, window.w, tap, place);
            args.x_step = 1;
            args.y = y + fc_offset(&d->y, 0, 0, 0, q);
            args.index = (int64_t *)(index + fc_offset(&d->indices, 0, 0, 0, q));
            args.lanes = d->y.size[1];
            if (args.taps) plan->kernels->argmax(&args);
            for (int64_t l = 0; args.taps == 0 && l < args.lanes; l++)
                fc_pool_scalar_max(d, args.x, p, q, (char *)args.y + l * plan->bytes,
                                   args.index + l);
        }
    }
}

/* ---- planning ---- */

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
    return fc_check_window(d->kernel, d->stride, d->dilation, d->pad, &d->x, d->y.size[2],
                           d->y.size[3]);
}

/* One window, which covers the whole of contiguous planes. */
static int covers_planes(const fc_pool2d_desc *d) {
    const fc_tensor *x = &d->x;
    for (int a = 0; a < 2; a++) {
        int64_t size = x->size[2 + a];
        if (d->y.size[2 + a] != 1 || d->kernel[a] - d->pad[a] < size) return 0;
        if (d->dilation[a] != 1 && (size > 1 || d->pad[a])) return 0;
    }
    return x->stride[3] == 1 && (x->size[2] == 1 || x->stride[2] == x->size[3]);
}

static int contiguous(const fc_tensor *t, int axis) {
    return t->stride[axis] == 1 || t->size[axis] == 1;
}

/* The kernel that reduces this in registers, or NULL. */
static fc_pool_fn in_registers(const struct fc_pool_plan *plan) {
    const fc_pool2d_desc *d = &plan->desc;
    const fc_tensor *x = &d->x, *y = &d->y;
    if (plan->last) {
        /* each tap of each window is a load: separable form costs some 25 of those an input pixel */
        double taps = (double)(y->size[2] * y->size[3]) * (double)(d->kernel[0] * d->kernel[1]);
        int shared = d->kernel[1] <= 3 && d->kernel[0] <= FC_POOL_ROWS;
        return shared || taps <= 25.0 * (double)(x->size[2] * x->size[3]) ? plan->kernels->pool_last
                                                                          : NULL;
    }
    if (covers_planes(d)) return plan->kernels->pool_whole;
    int64_t s = d->kernel[1], stride = d->stride[1];
    int window =
        ((s == 2 || s == 3) && stride <= 2) ||
        (((s == 3 && stride == 3) || (s == 5 && stride == 1)) && plan->kernels->lanes >= 4);
    int fits = window && x->stride[3] == 1 && contiguous(y, 3) && d->kernel[0] <= FC_POOL_ROWS &&
               d->dilation[1] == 1 && d->pad[1] <= s / 2 && x->size[3] > 0;
    return fits ? plan->kernels->pool_planes : NULL;
}

/* Items to share out: some rows of a plane, or of some channels. */
static void plan_registers(struct fc_pool_plan *plan) {
    const fc_tensor *y = &plan->desc.y;
    plan->args = arguments(plan);
    plan->lanes = 1;
    plan->parts = fc_ceil_div(y->size[2], plan->last ? 4 : 32);
    if (plan->last) plan->lanes = y->size[2] < 8 ? fc_min(y->size[1], 256) : y->size[1];
}

/* Indices: lists of taps in scratch; 0 bytes if plain loops must do. */
static int64_t plan_argmax(struct fc_pool_plan *plan) {
    const fc_pool2d_desc *d = &plan->desc;
    int axis = plan->last ? 1 : 3;
    int64_t rows = fc_min(d->kernel[0], d->x.size[2]), columns = fc_min(d->kernel[1], d->x.size[3]);
    int64_t taps = fc_max(fc_product(rows, columns), 1);
    if (!plan->kernels || taps > FC_POOL_TAPS || d->x.stride[axis] != 1 ||
        !contiguous(&d->y, axis) || !contiguous(&d->indices, axis))
        return 0;
    plan->places = fc_align(taps * (int64_t)sizeof(ptrdiff_t));
    return plan->places + taps * (int64_t)sizeof(int64_t);
}

fc_status fc_program_add_pool2d(struct fc_program *program, const fc_pool2d_desc *desc) {
    fc_status status = check(desc);
    if (status) return status;
    if (fc_count(&desc->y) == 0) return FC_OK;
    struct fc_pool_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    const fc_tensor *x = &desc->x, *y = &desc->y;
    int average = desc->kind == FC_POOL_AVERAGE;
    *plan = (struct fc_pool_plan){
        .desc = *desc,
        .table = program->kernels,
        .kernels = x->dtype <= FC_FLOAT64 ? program->kernels->set[x->dtype] : NULL,
        .bytes = fc_dtype_bytes((fc_dtype)x->dtype),
        .last = x->stride[1] == 1 && y->stride[1] == 1 && x->size[1] > 1,
    };
    double windows = (double)fc_count(y) * (double)desc->kernel[0] * (double)desc->kernel[1];
    struct fc_step step = {
        .run = fc_pool_scalar_run,
        .plan = plan,
        .cost = ((double)fc_count(x) + (double)fc_count(y)) * 0.1,
        .flush_denormals = average,
    };
    if (average) {
        plan->column_divisor = fc_align(y->size[2] * plan->bytes);
        plan->scratch = plan->column_divisor + fc_align(y->size[3] * plan->bytes);
    }
    if (fc_present(&desc->indices)) {
        step.scratch_bytes = plan_argmax(plan);
        if (step.scratch_bytes) step.run = argmax_run;
    } else if (plan->kernels && (plan->kernel = in_registers(plan))) {
        plan_registers(plan);
        step.run = registers_run;
        step.scratch_bytes = plan->scratch;
    } else {
        step.scratch_bytes = fc_pool_separable_plan(plan);
        if (step.scratch_bytes) step.run = fc_pool_separable_run;
    }
    if (step.run == argmax_run) step.cost = windows * 0.3;
    if (step.run == fc_pool_scalar_run) step.cost = windows;
    return fc_program_add_step(program, step);
}
