/* conv_direct.c: implicit GEMM. No column matrix: a block of output pixels reads its input in place,
 * or from a padded strip, channels last or planes as x is, that is gathered for it and stays in cache.
 *
 *   for each (image, group, block of output rows and columns):      shared out over threads
 *       gather the block's input rows into the strip               (unless x is read in place)
 *       for each panel of filters:                                 packed weights stream from cache
 *           for each chunk of pixels:                              results stay in L1
 *               for each piece that meets the same taps: gemm
 *               activation -> y
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
    int planes;        /* x is read as planes: pixels side by side, channels apart */
    int in_place;      /* without a strip: x needs no padding */
    int planar_output; /* channels of y are not contiguous: transpose from scratch */
    int64_t width;     /* elements between pixels in scratch */
    struct fc_blocks blocks;
    int64_t block[2]; /* output rows and columns of the largest block */
    int64_t channel_stride, pixel_stride, row_stride; /* of what gemm reads, in elements */
    struct fc_strip strip;
    struct fc_segments segments;
    int64_t scratch_chunk, scratch_pieces; /* byte offsets in scratch */
    int64_t scratch_tables[3];             /* the same: where pixels are in x, y and addend */
    double lo, hi;
    ptrdiff_t run[]; /* of one filter row */
};

/* Pixels of a chunk that meet the same taps. */
struct piece {
    int64_t pixels;
    const struct fc_segment *rows, *columns;
};

/* A block while a thread works on it. */
struct work {
    struct fc_block block;
    int64_t line;  /* chunks do not straddle so many pixels */
    const char *x; /* row near[0], column near[1] of the image or, if negative, of its padding */
    int64_t near[2];
    ptrdiff_t *at[3];
    struct piece *pieces;
};

/* ---- running ---- */

/* A chunk is contiguous in y where it is transposed into planes. */
static int64_t chunk_end(const struct work *work, int64_t first) {
    return fc_min(first + FC_CHUNK_PIXELS, (first / work->line + 1) * work->line);
}

/* Pixels q .. q + count - 1 of row p of the block, the first of which is the index-th of its chunk. */
static void place_row(const struct direct_plan *plan, const struct work *work, int64_t to,
                      int64_t p, int64_t q, int64_t count, int64_t index) {
    const fc_conv2d_desc *d = &plan->desc;
    ptrdiff_t *x_at = work->at[0] + to, *y_at = work->at[1] + to, *addend_at = work->at[2] + to;
    int64_t step = d->stride[1] * plan->pixel_stride;
    int64_t first[2] = {(work->block.first[0] + p) * d->stride[0] - d->pad[0],
                        (work->block.first[1] + q) * d->stride[1] - d->pad[1]};
    int64_t x = (first[0] - work->near[0]) * plan->row_stride +
                (first[1] - work->near[1]) * plan->pixel_stride;
    int64_t y_step = plan->planar_output ? plan->width : d->y.stride[3];
    int64_t y = plan->planar_output ? index * plan->width : p * d->y.stride[2] + q * y_step;
    for (int64_t i = 0; i < count; i++) {
        x_at[i] = x + i * step;
        y_at[i] = y + i * y_step;
    }
    const int64_t *addend = d->addend.stride;
    for (int64_t i = 0; d->has_addend && i < count; i++)
        addend_at[i] = p * addend[2] + (q + i) * addend[3];
}

/* Pixels [first, end) of the block in rows and columns of these segments, into the tables from `to` on. */
static int64_t place_piece(const struct direct_plan *plan, const struct work *work, int64_t first,
                           int64_t end, const struct piece *piece, int64_t to) {
    const struct fc_block *b = &work->block;
    int64_t width = b->size[1], before = to;
    int64_t p = fc_max(first / width, piece->rows->first - b->first[0]);
    for (; p < fc_min(fc_ceil_div(end, width), piece->rows->last - b->first[0]); p++) {
        int64_t begin = fc_max(first - p * width, piece->columns->first - b->first[1]);
        int64_t last = fc_min(end - p * width, piece->columns->last - b->first[1]);
        begin = fc_max(begin, 0);
        last = fc_min(last, width);
        if (begin >= last) continue;
        place_row(plan, work, to, p, begin, last - begin, p * width + begin - first);
        to += last - begin;
    }
    return to - before;
}

/* The pieces of all chunks, one after another. */
static void place_block(const struct direct_plan *plan, struct work *work) {
    const struct fc_segments *segments = &plan->segments;
    const struct fc_block *b = &work->block;
    struct piece *piece = work->pieces;
    int64_t pixels = b->size[0] * b->size[1], to = 0;
    for (int64_t first = 0, end; first < pixels; first = end) {
        end = chunk_end(work, first);
        for (int64_t i = 0; i < segments->count[0]; i++)
            for (int64_t j = 0; j < segments->count[1]; j++) {
                piece->rows = &segments->at[0][i];
                piece->columns = &segments->at[1][j];
                piece->pixels = place_piece(plan, work, first, end, piece, to);
                to += piece->pixels;
                piece += piece->pixels > 0;
            }
    }
}

/* `fresh`: the block before was at another place of its image. */
static void enter_block(const struct direct_plan *plan, const struct fc_run *run, struct work *work,
                        int fresh) {
    const fc_conv2d_desc *d = &plan->desc;
    const struct fc_block *b = &work->block;
    int64_t width = b->size[1];
    int straddle =
        !plan->planar_output || (width == d->y.size[3] && d->y.stride[2] == width * d->y.stride[3]);
    work->line = straddle ? b->size[0] * width : width;
    int64_t size[2] = {d->x.size[2], d->x.size[3]};
    for (int a = 0; a < 2 && !plan->in_place; a++) {
        int64_t first = b->first[a] * d->stride[a] - d->pad[a];
        int64_t last = first + fc_extent(d, a, b->size[a]);
        work->near[a] = plan->segments.exact[a] ? fc_max(first, 0) : first;
        size[a] = (plan->segments.exact[a] ? fc_min(last, size[a]) : last) - work->near[a];
    }
    if (fresh) place_block(plan, work);
    int64_t channel = d->shuffle > 1 ? 0 : b->g * plan->packing.channels;
    work->x = fc_at(run, &d->x) + fc_offset(&d->x, b->n, channel, 0, 0);
    if (plan->in_place) return;
    work->x = run->scratch;
    fc_gather_strip(&plan->strip, run, &d->x, b->n, channel, work->near[0], work->near[1],
                    fc_max(size[0], 0), fc_max(size[1], 0), fresh);
}

/* Where gemm finds the taps of a piece, in x and in the panel: those that are side by side in memory are one
 * run, with dense pixels the elements of a filter row, with planes those of a channel's. */
static void point_at_taps(const struct direct_plan *plan, const struct work *work,
                          const struct piece *piece, const struct fc_panel *panel,
                          struct fc_gemm_args *gemm) {
    const fc_conv2d_desc *d = &plan->desc;
    int64_t c = plan->packing.channels, columns = d->weight.size[3];
    int64_t row = piece->rows->tap[0], column = piece->columns->tap[0];
    int64_t inside = piece->columns->tap[1] - column;
    int64_t x_row = d->dilation[0] * plan->row_stride,
            x_column = d->dilation[1] * plan->pixel_stride;
    gemm->rows = piece->rows->tap[1] - row;
    gemm->x_row = x_row;
    gemm->w_row = columns * c;
    gemm->run = plan->run;
    gemm->step = 1;
    int64_t w = column * c;
    if (d->shuffle > 1) {
        gemm->run += work->block.g * c;
        gemm->runs = c;
        gemm->w_run = gemm->run_length = 1;
    } else if (plan->packing.plane_columns) {
        gemm->runs = c;
        gemm->w_run = columns;
        gemm->run_length = inside;
        gemm->step = x_column;
        w = column;
    } else {
        int merged = !plan->planes && x_column == c;
        gemm->runs = merged ? 1 : inside;
        gemm->w_run = c;
        gemm->run_length = merged ? inside * c : c;
        gemm->step = plan->channel_stride;
    }
    gemm->x = work->x + (row * x_row + column * x_column) * plan->bytes;
    gemm->w = (const char *)gemm->w +
              (panel->weight + (row * gemm->w_row + w) * panel->width) * plan->bytes;
}

/* Pixels that are one step apart in y are the rows of a call. */
static void activate_pixels(const struct direct_plan *plan, const struct work *work,
                            const struct fc_panel *panel, char *y, int64_t first, int64_t end) {
    const fc_conv2d_desc *d = &plan->desc;
    const ptrdiff_t *at = work->at[1];
    int64_t step = plan->planar_output ? plan->width : d->y.stride[3];
    for (int64_t last; first < end; first = last) {
        for (last = first + 1; last < end && at[last] == at[last - 1] + step;) last++;
        plan->kernels->activate_rows(d->activation, d->alpha, y + at[first] * plan->bytes,
                                     last - first, step, panel->filters);
    }
}

/* Pixels [first, end) of the block, one panel -> the piece after theirs. */
static const struct piece *run_chunk(const struct direct_plan *plan, const struct fc_run *run,
                                     const struct work *work, const struct fc_panel *panel,
                                     const struct piece *piece, int64_t first, int64_t end) {
    const fc_conv2d_desc *d = &plan->desc;
    const struct fc_block *b = &work->block;
    int64_t filter = b->g * plan->packing.filters + panel->first_filter;
    int64_t p = b->first[0], q = b->first[1];
    char *y = fc_at(run, &d->y) + fc_offset(&d->y, b->n, filter, p, q);
    const char *packed = fc_at(run, &d->weight);
    struct fc_gemm_args gemm = {
        .bias = packed + panel->bias * plan->bytes,
        .vectors = panel->vectors,
        .y = plan->planar_output ? run->scratch + plan->scratch_chunk : y,
        .filters = panel->filters,
        .lo = plan->lo,
        .hi = plan->hi,
    };
    if (d->has_addend)
        gemm.addend = fc_at(run, &d->addend) + fc_offset(&d->addend, b->n, filter, p, q);
    for (int64_t at = first; at < end; at += piece++->pixels) {
        gemm.pixels = piece->pixels;
        gemm.x_at = work->at[0] + at;
        gemm.y_at = work->at[1] + at;
        gemm.addend_at = work->at[2] + at;
        gemm.w = packed;
        point_at_taps(plan, work, piece, panel, &gemm);
        plan->kernels->gemm(&gemm);
    }
    if (d->activation > FC_RELU6) activate_pixels(plan, work, panel, gemm.y, first, end);
    if (!plan->planar_output) return piece;
    struct fc_copy2d_args copy = {
        .src = gemm.y,
        .src_i = plan->width,
        .src_j = 1,
        .dst = y + fc_offset(&d->y, 0, 0, first / b->size[1], first % b->size[1]),
        .dst_i = d->y.stride[3],
        .dst_j = d->y.stride[1],
        .rows = end - first,
        .columns = panel->filters,
    };
    plan->kernels->copy2d(&copy);
    return piece;
}

static void direct_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct direct_plan *plan = plan_;
    struct work work = {.pieces = (struct piece *)(run->scratch + plan->scratch_pieces)};
    for (int t = 0; t < 3; t++) work.at[t] = (ptrdiff_t *)(run->scratch + plan->scratch_tables[t]);
    struct fc_block_walk walk;
    fc_walk_start(&walk, &plan->blocks, plan->packing.panels, i, n);
    while (fc_walk_next(&walk)) {
        work.block = walk.block;
        if (walk.entering) enter_block(plan, run, &work, walk.fresh);
        for (int64_t p = walk.first_panel; p < walk.last_panel; p++) {
            struct fc_panel panel = fc_packing_panel(&plan->packing, walk.block.g, p);
            const struct piece *piece = work.pieces;
            int64_t pixels = walk.block.size[0] * walk.block.size[1];
            for (int64_t first = 0, end; first < pixels; first = end) {
                end = chunk_end(&work, first);
                piece = run_chunk(plan, run, &work, &panel, piece, first, end);
            }
        }
    }
}

/* ---- planning ---- */

/* Rows (or columns) of the strip under so many outputs. */
static int64_t strip_extent(const struct direct_plan *plan, int a, int64_t outputs) {
    int64_t extent = fc_extent(&plan->desc, a, outputs);
    return plan->segments.exact[a] ? fc_min(extent, plan->desc.x.size[2 + a]) : extent;
}

/* Blocks whose strip leaves half of L2 to the weights that stream past it. */
static void plan_blocks(struct direct_plan *plan) {
    const fc_conv2d_desc *d = &plan->desc;
    int64_t budget = fc_l2_bytes() / 2;
    int64_t pixel_bytes = plan->packing.channels * plan->bytes;
    int64_t p = d->y.size[2], q = d->y.size[3], strip;
    while ((strip = fc_product(strip_extent(plan, 0, 1),
                               fc_product(strip_extent(plan, 1, q), pixel_bytes))) < 0 ||
           (q > 16 && strip > budget))
        q = fc_ceil_div(q, 2);
    int64_t row_bytes = fc_max(1, strip_extent(plan, 1, q) * pixel_bytes); /* 0: no channels */
    int64_t rows = fc_max(budget / row_bytes, strip_extent(plan, 0, 1));
    if (rows < strip_extent(plan, 0, p))
        p = fc_max(1, (rows - fc_extent(d, 0, 1)) / d->stride[0] + 1);
    /* the pixels' tables and the work between two looks at it stay small, too */
    p = fc_max(1, fc_min(p, 8192 / q));
    int64_t size[2] = {p, q};
    for (int a = 0; a < 2; a++) {
        plan->blocks.outputs[a] = d->y.size[2 + a];
        plan->blocks.count[a] = fc_ceil_div(d->y.size[2 + a], size[a]);
        plan->block[a] = fc_ceil_div(d->y.size[2 + a], plan->blocks.count[a]);
    }
}

/* Where channels (columns of the filter, if pixels are dense) begin in x. */
static void plan_runs(struct direct_plan *plan) {
    const fc_conv2d_desc *d = &plan->desc;
    int64_t s = d->shuffle, channels = d->x.size[1];
    plan->run[0] = 0; /* there may be no taps */
    if (s > 1)
        for (int64_t c = 0; c < channels; c++)
            plan->run[c] = (c % s * (channels / s) + c / s) * d->x.stride[1];
    else if (plan->packing.plane_columns)
        for (int64_t c = 0; c < plan->packing.channels; c++)
            plan->run[c] = c * plan->channel_stride;
    else
        for (int64_t t = 0; t < d->weight.size[3]; t++)
            plan->run[t] = t * d->dilation[1] * plan->pixel_stride;
}

static int reads_in_place(const struct direct_plan *plan) {
    const fc_conv2d_desc *d = &plan->desc;
    const fc_tensor *x = &d->x;
    /* planes a multiple of 2 KiB apart all fall into the same few sets of the caches */
    int near = plan->planes ? x->stride[1] * fc_dtype_bytes((fc_dtype)x->dtype) % 2048 != 0
                            : x->stride[1] == 1;
    return (near || d->weight.size[1] == 1 || d->shuffle > 1) && plan->segments.exact[0] &&
           plan->segments.exact[1];
}

/* Where gemm reads: a strip for the largest block, or x itself. */
static void plan_input(struct direct_plan *plan) {
    const fc_conv2d_desc *d = &plan->desc;
    (plan->planes ? fc_strip_plan_planes : fc_strip_plan)(
        &plan->strip, plan->kernels, plan->packing.channels, strip_extent(plan, 0, plan->block[0]),
        strip_extent(plan, 1, plan->block[1]), plan->bytes);
    plan->channel_stride = plan->in_place ? d->x.stride[1] : plan->strip.channel_stride;
    plan->pixel_stride = plan->in_place ? d->x.stride[3] : plan->strip.pixel_stride;
    plan->row_stride = plan->in_place ? d->x.stride[2] : plan->strip.row_stride;
}

/* -> bytes of scratch; -1: overflow. */
static int64_t plan_scratch(struct direct_plan *plan) {
    const fc_conv2d_desc *d = &plan->desc;
    int64_t strip = plan->in_place ? 0 : plan->strip.total_bytes;
    if (strip < 0) return -1;
    int64_t pixels = plan->block[0] * plan->block[1], at = fc_align(strip);
    for (int t = 0; t < 2 + (d->has_addend != 0); t++) {
        plan->scratch_tables[t] = at;
        at += fc_align(pixels * (int64_t)sizeof(ptrdiff_t));
    }
    plan->scratch_pieces = at;
    /* a chunk meets so many rows, and they so many segments, at most */
    int64_t chunks = plan->block[0] + fc_ceil_div(pixels, FC_CHUNK_PIXELS);
    at += fc_align(2 * chunks * plan->segments.count[1] * (int64_t)sizeof(struct piece));
    plan->scratch_chunk = at;
    return at + (plan->planar_output ? FC_CHUNK_PIXELS * plan->width * plan->bytes : 0);
}

fc_status fc_add_direct_step(struct fc_program *program, const fc_conv2d_desc *desc,
                             const struct fc_packing *packing) {
    int64_t runs = packing->plane_columns ? packing->channels : desc->weight.size[3];
    if (desc->shuffle > 1) runs = desc->x.size[1];
    int64_t bytes = fc_dtype_bytes((fc_dtype)desc->x.dtype);
    if (fc_strip_bytes(desc, 1, packing->channels * bytes) < 0) return FC_ERROR_OVERFLOW;
    struct direct_plan *plan = malloc(sizeof *plan + (size_t)fc_max(runs, 1) * sizeof plan->run[0]);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = (struct direct_plan){
        .kernels = program->kernels->set[desc->x.dtype],
        .desc = *desc,
        .packing = *packing,
        .bytes = bytes,
        .planes = fc_reads_planes(desc, program->kernels->set[desc->x.dtype]),
        .planar_output = desc->y.stride[1] != 1 && desc->y.size[1] != 1,
        .blocks = {.images = desc->x.size[0],
                   .groups = desc->groups,
                   .pass = fc_blocks_pass(packing)},
        .lo = fc_lower_bound(desc->activation),
        .hi = fc_upper_bound(desc->activation),
    };
    int64_t widest = fc_ceil_div(packing->vectors, packing->panels);
    plan->width = fc_min(packing->width, widest * packing->lanes);
    fc_segments_plan(&plan->segments, desc, plan->kernels->tile_pixels[widest], FC_CHUNK_PIXELS);
    plan->in_place = reads_in_place(plan);
    plan_blocks(plan);
    plan_input(plan);
    plan_runs(plan);
    double products = (double)fc_count(&desc->y) * (double)packing->depth;
    struct fc_step step = {
        .run = direct_run,
        .plan = plan,
        .scratch_bytes = plan_scratch(plan),
        .cost = fc_conv_nanoseconds(desc, products),
        .flush_denormals = 1,
    };
    return fc_program_add_step(program, step);
}
