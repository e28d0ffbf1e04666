/* conv_direct.c: implicit GEMM. No column matrix: a block of output pixels reads its input in place,
 * or from a padded strip, channels last or planes as x is, that is gathered for it and stays in cache.
 *
 *   for each (image, group, block of output rows and columns):      shared out over threads
 *       gather the block's input rows into the strip               (unless x is read in place)
 *       for each panel of filters:                                 packed weights stream from cache
 *           for each range of rows that meets the same filter rows, for each chunk of its pixels:
 *               gemm -> activation -> y                            a chunk stays in L1
 *
 * An output element is one accumulator over (r, s, c) in that order, whatever block, chunk, tile or
 * thread it falls into: results are bitwise equal for any of them.
 */
#include "core/conv.h"

/* Pixels whose results wait in L1 for being transposed: whole tiles of 6 and 8 pixels, and whole
 * vectors of 16, so that the lines of y are not split between two chunks. */
#define FC_CHUNK_PIXELS 96

struct direct_plan {
    const struct fc_kernel_set *kernels;
    fc_conv2d_desc desc;
    struct fc_packing packing;
    int64_t bytes;     /* of an element */
    int in_place;      /* x is channels last and needs no padding */
    int planar_output; /* channels of y are not contiguous: transpose from scratch */
    struct fc_blocks blocks;
    int64_t block[2]; /* output rows and columns of the largest block */
    int64_t channel_stride, pixel_stride, row_stride; /* of what gemm reads, in elements */
    struct fc_strip strip;
    int64_t scratch_pixels, scratch_chunk; /* byte offsets in scratch: pixel table, output chunk */
    double lo, hi;
    int64_t runs, run_length;
    ptrdiff_t run[];
};

/* A block while a thread works on it. */
struct work {
    struct fc_block block;
    const char *x; /* where offset 0 of the pixel table is */
    ptrdiff_t *pixel;
};

/* ---- running ---- */

static void enter_block(const struct direct_plan *plan, const struct fc_run *run, struct work *work,
                        int fresh) {
    const fc_conv2d_desc *d = &plan->desc;
    const struct fc_block *b = &work->block;
    ptrdiff_t *pixel = work->pixel;
    for (int64_t p = 0; p < b->size[0]; p++)
        for (int64_t q = 0; q < b->size[1]; q++)
            *pixel++ = p * d->stride[0] * plan->row_stride + q * d->stride[1] * plan->pixel_stride;
    if (plan->in_place) {
        int64_t channel = d->shuffle > 1 ? 0 : b->g * plan->packing.channels;
        work->x = fc_at(run, &d->x) + fc_offset(&d->x, b->n, channel, b->first[0] * d->stride[0],
                                                b->first[1] * d->stride[1]);
    } else {
        fc_gather_strip(&plan->strip, run, &d->x, b->n, b->g * plan->packing.channels,
                        b->first[0] * d->stride[0] - d->pad[0],
                        b->first[1] * d->stride[1] - d->pad[1], fc_extent(d, 0, b->size[0]),
                        fc_extent(d, 1, b->size[1]), fresh);
        work->x = run->scratch;
    }
}

/* Pixels [first, first + count) of the block, contiguous in y at one pixel stride, one panel; filter
 * rows taps[0] .. taps[1]. */
static void run_pixels(const struct direct_plan *plan, const struct fc_run *run,
                       const struct work *work, const struct fc_panel *panel, int64_t first,
                       int64_t count, const int64_t taps[2]) {
    const fc_conv2d_desc *d = &plan->desc;
    const struct fc_block *b = &work->block;
    int64_t filter = b->g * plan->packing.filters + panel->first_filter;
    int64_t p = b->first[0] + first / b->size[1], q = b->first[1] + first % b->size[1];
    char *y = fc_at(run, &d->y) + fc_offset(&d->y, b->n, filter, p, q);
    int64_t row_runs = plan->runs / fc_max(d->weight.size[2], 1); /* no rows: no runs */
    int64_t row_weights = row_runs * plan->run_length * panel->width;
    const char *packed = fc_at(run, &d->weight);
    struct fc_gemm_args gemm = {
        .x = work->x,
        .pixel = work->pixel + first,
        .pixels = count,
        .run = plan->run + (d->shuffle > 1 ? b->g * plan->runs : taps[0] * row_runs),
        .runs = (taps[1] - taps[0]) * row_runs,
        .run_length = plan->run_length,
        .w = packed + (panel->weight + taps[0] * row_weights) * plan->bytes,
        .bias = packed + panel->bias * plan->bytes,
        .vectors = panel->vectors,
        .ld_addend = d->addend.stride[3],
        .y = plan->planar_output ? run->scratch + plan->scratch_chunk : y,
        .ldy = plan->planar_output ? panel->width : d->y.stride[3],
        .filters = panel->filters,
        .lo = plan->lo,
        .hi = plan->hi,
    };
    if (d->has_addend)
        gemm.addend = fc_at(run, &d->addend) + fc_offset(&d->addend, b->n, filter, p, q);
    plan->kernels->gemm(&gemm);
    if (d->activation > FC_RELU6)
        for (int64_t i = 0; i < count; i++) {
            char *row = (char *)gemm.y + i * gemm.ldy * plan->bytes;
            plan->kernels->activate(d->activation, d->alpha, row, row, panel->filters);
        }
    if (!plan->planar_output) return;
    struct fc_copy2d_args copy = {
        .src = gemm.y,
        .src_i = panel->width,
        .src_j = 1,
        .dst = y,
        .dst_i = d->y.stride[3],
        .dst_j = d->y.stride[1],
        .rows = count,
        .columns = panel->filters,
    };
    plan->kernels->copy2d(&copy);
}

/* Which filter rows meet the image at output row p: the others would multiply zeros. */
static void rows_inside(const fc_conv2d_desc *d, int64_t p, int64_t taps[2]) {
    int64_t shift = p * d->stride[0] - d->pad[0];
    fc_inside(d->x.size[2], d->dilation[0], shift, d->weight.size[2], &taps[0], &taps[1]);
}

/* Rows [first, last) of the block, for all of which the same filter rows are inside. */
static void run_rows(const struct direct_plan *plan, const struct fc_run *run,
                     const struct work *work, const struct fc_panel *panel, int64_t first,
                     int64_t last, const int64_t taps[2]) {
    const fc_conv2d_desc *d = &plan->desc;
    int64_t width = work->block.size[1], end = last * width;
    /* where rows of outputs follow each other at the pixel stride, a chunk may straddle them */
    int straddle = width == d->y.size[3] && d->y.stride[2] == width * d->y.stride[3] &&
                   (!d->has_addend || d->addend.stride[2] == width * d->addend.stride[3]);
    int64_t line = straddle ? (last - first) * width : width;
    for (int64_t start = first * width; start < end; start += line)
        for (int64_t i = 0; i < line; i += FC_CHUNK_PIXELS)
            run_pixels(plan, run, work, panel, start + i, fc_min(FC_CHUNK_PIXELS, line - i), taps);
}

static void run_panel(const struct direct_plan *plan, const struct fc_run *run,
                      const struct work *work, int64_t p) {
    const struct fc_block *b = &work->block;
    struct fc_panel panel = fc_packing_panel(&plan->packing, b->g, p);
    for (int64_t first = 0, last; first < b->size[0]; first = last) {
        int64_t taps[2], next[2];
        rows_inside(&plan->desc, b->first[0] + first, taps);
        for (last = first + 1; last < b->size[0]; last++) {
            rows_inside(&plan->desc, b->first[0] + last, next);
            if (next[0] != taps[0] || next[1] != taps[1]) break;
        }
        run_rows(plan, run, work, &panel, first, last, taps);
    }
}

static void direct_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct direct_plan *plan = plan_;
    struct work work = {.pixel = (ptrdiff_t *)(run->scratch + plan->scratch_pixels)};
    struct fc_block_walk walk;
    fc_walk_start(&walk, &plan->blocks, plan->packing.panels, i, n);
    while (fc_walk_next(&walk)) {
        work.block = walk.block;
        if (walk.entering) enter_block(plan, run, &work, walk.fresh);
        for (int64_t p = walk.first_panel; p < walk.last_panel; p++) run_panel(plan, run, &work, p);
    }
}

/* ---- planning ---- */

/* Blocks whose strip leaves half of L2 to the weights that stream past it. */
static void plan_blocks(struct direct_plan *plan) {
    const fc_conv2d_desc *d = &plan->desc;
    int64_t budget = fc_l2_bytes() / 2;
    int64_t pixel_bytes = plan->packing.channels * plan->bytes;
    int64_t p = d->y.size[2], q = d->y.size[3], strip;
    while ((strip = fc_strip_bytes(d, q, pixel_bytes)) < 0 || (q > 16 && strip > budget))
        q = fc_ceil_div(q, 2);
    int64_t row_bytes = fc_max(1, fc_extent(d, 1, q) * pixel_bytes); /* 0: no channels */
    int64_t rows = fc_max(budget / row_bytes, fc_extent(d, 0, 1));
    p = fc_min(p, (rows - fc_extent(d, 0, 1)) / d->stride[0] + 1);
    /* the pixel table and the work between two looks at it stay small, too */
    p = fc_max(1, fc_min(p, 8192 / q));
    int64_t size[2] = {p, q};
    for (int a = 0; a < 2; a++) {
        plan->blocks.outputs[a] = d->y.size[2 + a];
        plan->blocks.count[a] = fc_ceil_div(d->y.size[2 + a], size[a]);
        plan->block[a] = fc_ceil_div(d->y.size[2 + a], plan->blocks.count[a]);
    }
}

/* A run for each channel of all groups, wherever it lies. */
static void plan_shuffled_runs(struct direct_plan *plan) {
    const fc_tensor *x = &plan->desc.x;
    int64_t s = plan->desc.shuffle;
    plan->runs = plan->packing.channels;
    plan->run_length = 1;
    for (int64_t c = 0; c < x->size[1]; c++)
        plan->run[c] = (c % s * (x->size[1] / s) + c / s) * x->stride[1];
}

/* Taps side by side in memory are one run: with dense pixels the S*C elements of a filter row, with
 * planes the S elements of a channel's. */
static void plan_runs(struct direct_plan *plan) {
    const fc_conv2d_desc *d = &plan->desc;
    int64_t rows = d->weight.size[2], columns = d->weight.size[3], c = plan->packing.channels;
    int64_t step = d->dilation[1] * plan->pixel_stride;
    int64_t channels = plan->packing.plane_columns ? fc_max(c, 1) : 1; /* with runs of their own */
    int merge = step == c / channels;
    int64_t per_row = merge ? channels : channels * columns;
    plan->runs = rows * per_row;
    plan->run_length = (merge ? columns : 1) * c / channels;
    for (int64_t t = 0; t < plan->runs; t++) {
        int64_t r = t / per_row, in_row = t % per_row, taps = per_row / channels;
        plan->run[t] = r * d->dilation[0] * plan->row_stride +
                       in_row / taps * plan->channel_stride + in_row % taps * step;
    }
}

static int reads_in_place(const fc_conv2d_desc *d, int planes) {
    const fc_tensor *x = &d->x;
    /* planes a multiple of 2 KiB apart all fall into the same few sets of the caches */
    int near =
        planes ? x->stride[1] * fc_dtype_bytes((fc_dtype)x->dtype) % 2048 != 0 : x->stride[1] == 1;
    return (near || d->weight.size[1] == 1 || d->shuffle > 1) && d->pad[0] == 0 && d->pad[1] == 0 &&
           fc_extent(d, 0, d->y.size[2]) <= x->size[2] &&
           fc_extent(d, 1, d->y.size[3]) <= x->size[3];
}

/* Where gemm reads: a strip for the largest block, or x itself. */
static void plan_input(struct direct_plan *plan) {
    const fc_conv2d_desc *d = &plan->desc;
    int planes = plan->packing.plane_columns > 0;
    (planes ? fc_strip_plan_planes : fc_strip_plan)(
        &plan->strip, plan->kernels, plan->packing.channels, fc_extent(d, 0, plan->block[0]),
        fc_extent(d, 1, plan->block[1]), plan->bytes);
    plan->channel_stride = plan->in_place ? d->x.stride[1] : plan->strip.channel_stride;
    plan->pixel_stride = plan->in_place ? d->x.stride[3] : plan->strip.pixel_stride;
    plan->row_stride = plan->in_place ? d->x.stride[2] : plan->strip.row_stride;
}

fc_status fc_add_direct_step(struct fc_program *program, const fc_conv2d_desc *desc,
                             const struct fc_packing *packing) {
    int64_t taps = desc->weight.size[2] * desc->weight.size[3];
    if (packing->plane_columns) taps = fc_max(taps, packing->depth);
    if (desc->shuffle > 1) taps = desc->x.size[1];
    int64_t bytes = fc_dtype_bytes((fc_dtype)desc->x.dtype);
    if (fc_strip_bytes(desc, 1, packing->channels * bytes) < 0) return FC_ERROR_OVERFLOW;
    struct direct_plan *plan = malloc(sizeof *plan + (size_t)taps * sizeof plan->run[0]);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = (struct direct_plan){
        .kernels = program->kernels->set[desc->x.dtype],
        .desc = *desc,
        .packing = *packing,
        .bytes = bytes,
        .in_place = reads_in_place(desc, packing->plane_columns > 0),
        .planar_output = desc->y.stride[1] != 1 && desc->y.size[1] != 1,
        .blocks = {.images = desc->x.size[0],
                   .groups = desc->groups,
                   .pass = fc_blocks_pass(packing)},
        .lo = fc_lower_bound(desc->activation),
        .hi = fc_upper_bound(desc->activation),
    };
    plan_blocks(plan);
    plan_input(plan);
    (desc->shuffle > 1 ? plan_shuffled_runs : plan_runs)(plan);
    int64_t strip = plan->in_place ? 0 : plan->strip.total_bytes;
    int64_t pixels = plan->block[0] * plan->block[1];
    int64_t chunk = FC_CHUNK_PIXELS * plan->kernels->tile_vectors * packing->lanes * plan->bytes;
    plan->scratch_pixels = fc_align(fc_max(strip, 0));
    plan->scratch_chunk = plan->scratch_pixels + fc_align(pixels * (int64_t)sizeof(ptrdiff_t));
    double products = (double)fc_count(&desc->y) * (double)packing->depth;
    struct fc_step step = {
        .run = direct_run,
        .plan = plan,
        .scratch_bytes = strip < 0 ? -1 : plan->scratch_chunk + (plan->planar_output ? chunk : 0),
        .cost = fc_conv_nanoseconds(desc, products),
        .flush_denormals = 1,
    };
    return fc_program_add_step(program, step);
}
