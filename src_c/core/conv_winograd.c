/* conv_winograd.c: 3x3 convolutions at stride 1 by Winograd's F(4x4, 3x3): 36 products instead of 144.
 *
 *   for each (image, group, block of 4x4 output tiles):            shared out over threads
 *       gather the block's input into a channels-last strip
 *       transform each tile:      V[xi][tile][channel]             stays in the second-level cache
 *       for each panel of filters:
 *           for each of 36 xi:    M[xi][tile][filter] = V[xi] U[xi] by gemm; U streams past, once a block
 *           transform each tile:  bias, activation, y
 *
 * Packed weights are those of gemm with 36 "taps": U[panel][xi][channel][filter].
 */
#include "core/conv.h"

#define FC_XI (FC_PATCH * FC_PATCH)

struct winograd_plan {
    const struct fc_kernel_set *kernels;
    fc_conv2d_desc desc;
    struct fc_packing packing;
    int64_t bytes;
    int planar_output;       /* channels of y are not contiguous: transpose from scratch */
    struct fc_blocks blocks; /* in tiles */
    int64_t block[2];        /* tiles of the largest block */
    struct fc_strip strip;
    int64_t v_pixel, v_xi, m_xi;                             /* element strides */
    int64_t scratch_v, scratch_m, scratch_y, scratch_pixels; /* byte offsets */
    double lo, hi;
};

/* gemm starts its sums from here: bias and activation come after the output transform. */
static const double zeros[FC_MAX_TILE_VECTORS * 16];

static void enter_block(const struct winograd_plan *plan, const struct fc_run *run,
                        const struct fc_block *b, int fresh) {
    const fc_conv2d_desc *d = &plan->desc;
    int64_t rows = b->size[0] * FC_TILE + 2, columns = b->size[1] * FC_TILE + 2;
    fc_gather_strip(&plan->strip, run, &d->x, b->n, b->g * plan->packing.channels,
                    b->first[0] * FC_TILE - d->pad[0], b->first[1] * FC_TILE - d->pad[1], rows,
                    columns, fresh);
    for (int64_t p = 0; p < b->size[0]; p++)
        for (int64_t q = 0; q < b->size[1]; q++) {
            int64_t from =
                p * FC_TILE * plan->strip.row_stride + q * FC_TILE * plan->strip.pixel_stride;
            int64_t tile = p * b->size[1] + q;
            struct fc_winograd_input_args input = {
                .x = run->scratch + from * plan->bytes,
                .row_stride = plan->strip.row_stride,
                .pixel_stride = plan->strip.pixel_stride,
                .channels = plan->packing.channels,
                .v = run->scratch + plan->scratch_v + tile * plan->v_pixel * plan->bytes,
                .xi_stride = plan->v_xi,
            };
            plan->kernels->winograd_input(&input);
        }
}

/* M of all tiles of the block for one panel of filters. */
static void multiply(const struct winograd_plan *plan, const struct fc_run *run, int64_t tiles,
                     const struct fc_panel *panel) {
    int64_t width = panel->vectors * plan->packing.lanes, channels = plan->packing.channels;
    const char *u = fc_at(run, &plan->desc.weight) + panel->weight * plan->bytes;
    static const ptrdiff_t run_start = 0;
    for (int64_t xi = 0; xi < FC_XI; xi++) {
        struct fc_gemm_args gemm = {
            .x = run->scratch + plan->scratch_v + xi * plan->v_xi * plan->bytes,
            .pixel = (const ptrdiff_t *)(run->scratch + plan->scratch_pixels),
            .pixels = tiles,
            .run = &run_start,
            .runs = 1,
            .run_length = channels,
            .w = u + xi * channels * width * plan->bytes,
            .bias = zeros,
            .vectors = panel->vectors,
            .y = run->scratch + plan->scratch_m + xi * plan->m_xi * plan->bytes,
            .ldy = width,
            .filters = width,
            .lo = -INFINITY,
            .hi = INFINITY,
        };
        plan->kernels->gemm(&gemm);
    }
}

static void write_tiles(const struct winograd_plan *plan, const struct fc_run *run,
                        const struct fc_block *b, const struct fc_panel *panel) {
    const fc_conv2d_desc *d = &plan->desc;
    int64_t width = panel->vectors * plan->packing.lanes;
    int64_t p0 = b->first[0] * FC_TILE, q0 = b->first[1] * FC_TILE;
    int64_t rows = fc_min(b->size[0] * FC_TILE, d->y.size[2] - p0);
    int64_t columns = fc_min(b->size[1] * FC_TILE, d->y.size[3] - q0);
    int64_t filter = b->g * plan->packing.filters + panel->first_filter;
    char *y = fc_at(run, &d->y) + fc_offset(&d->y, b->n, filter, p0, q0);
    char *out = plan->planar_output ? run->scratch + plan->scratch_y : y;
    int64_t pixel_stride = plan->planar_output ? width : d->y.stride[3];
    int64_t row_stride = plan->planar_output ? columns * width : d->y.stride[2];
    for (int64_t p = 0; p < b->size[0]; p++)
        for (int64_t q = 0; q < b->size[1]; q++) {
            struct fc_winograd_output_args output = {
                .m = run->scratch + plan->scratch_m + (p * b->size[1] + q) * width * plan->bytes,
                .xi_stride = plan->m_xi,
                .bias = fc_at(run, &d->weight) + panel->bias * plan->bytes,
                .filters = panel->filters,
                .y = out + (p * row_stride + q * pixel_stride) * FC_TILE * plan->bytes,
                .row_stride = row_stride,
                .pixel_stride = pixel_stride,
                .rows = (int)fc_min(FC_TILE, rows - p * FC_TILE),
                .columns = (int)fc_min(FC_TILE, columns - q * FC_TILE),
                .lo = plan->lo,
                .hi = plan->hi,
            };
            plan->kernels->winograd_output(&output);
        }
    for (int64_t p = 0; p < rows; p++) {
        char *row = out + p * row_stride * plan->bytes;
        if (d->activation > FC_RELU6)
            for (int64_t q = 0; q < columns; q++) {
                char *pixel = row + q * pixel_stride * plan->bytes;
                plan->kernels->activate(d->activation, d->alpha, pixel, pixel, panel->filters);
            }
        if (!plan->planar_output) continue;
        struct fc_copy2d_args copy = {
            .src = row,
            .src_i = width,
            .src_j = 1,
            .dst = y + p * d->y.stride[2] * plan->bytes,
            .dst_i = d->y.stride[3],
            .dst_j = d->y.stride[1],
            .rows = columns,
            .columns = panel->filters,
        };
        plan->kernels->copy2d(&copy);
    }
}

static void winograd_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct winograd_plan *plan = plan_;
    ptrdiff_t *pixel = (ptrdiff_t *)(run->scratch + plan->scratch_pixels);
    for (int64_t tile = 0; tile < plan->block[0] * plan->block[1]; tile++)
        pixel[tile] = tile * plan->v_pixel;
    struct fc_block_walk walk;
    fc_walk_start(&walk, &plan->blocks, plan->packing.panels, i, n);
    while (fc_walk_next(&walk)) {
        if (walk.entering) enter_block(plan, run, &walk.block, walk.fresh);
        for (int64_t p = walk.first_panel; p < walk.last_panel; p++) {
            struct fc_panel panel = fc_packing_panel(&plan->packing, walk.block.g, p);
            multiply(plan, run, walk.block.size[0] * walk.block.size[1], &panel);
            write_tiles(plan, run, &walk.block, &panel);
        }
    }
}

/* ---- planning ---- */

/* Enough tiles that U, which is read once a block, costs little; few enough that V stays in L2,
 * unless U itself is beyond the caches: then all tiles, so that it is read once. */
static void plan_blocks(struct winograd_plan *plan) {
    const fc_conv2d_desc *d = &plan->desc;
    int64_t tiles[2] = {fc_ceil_div(d->y.size[2], FC_TILE), fc_ceil_div(d->y.size[3], FC_TILE)};
    int64_t tile_bytes = FC_XI * fc_align(plan->packing.channels * plan->bytes);
    int64_t fit = fc_min(28, fc_max(14, fc_l2_bytes() / 2 / tile_bytes));
    if (plan->packing.weight_elements * plan->bytes > (int64_t)12 << 20) fit = 64;
    int64_t size[2];
    size[1] = fc_ceil_div(tiles[1], fc_ceil_div(tiles[1], fit));
    size[0] = fc_max(1, fit / size[1]);
    for (int a = 0; a < 2; a++) {
        plan->blocks.outputs[a] = tiles[a];
        plan->blocks.count[a] = fc_ceil_div(tiles[a], size[a]);
        plan->block[a] = fc_ceil_div(tiles[a], plan->blocks.count[a]);
    }
}

fc_status fc_add_winograd_step(struct fc_program *program, const fc_conv2d_desc *desc,
                               const struct fc_packing *packing) {
    struct winograd_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = (struct winograd_plan){
        .kernels = program->kernels->set[desc->x.dtype],
        .desc = *desc,
        .packing = *packing,
        .bytes = fc_dtype_bytes((fc_dtype)desc->x.dtype),
        .planar_output = desc->y.stride[1] != 1 && desc->y.size[1] != 1,
        .blocks = {.images = desc->x.size[0], .groups = desc->groups},
        .lo = fc_lower_bound(desc),
        .hi = fc_upper_bound(desc),
    };
    plan_blocks(plan);
    int64_t tiles = plan->block[0] * plan->block[1];
    int64_t width = fc_min(packing->vectors, packing->widest) * packing->lanes;
    fc_strip_plan(&plan->strip, plan->kernels, packing->channels, plan->block[0] * FC_TILE + 2,
                  plan->block[1] * FC_TILE + 2, plan->bytes);
    /* xi a multiple of 4 KiB apart would all fall into the same sets of L1 */
    int64_t line = 64 / plan->bytes;
    plan->v_pixel = fc_ceil_div(packing->channels, line) * line;
    plan->v_xi = tiles * plan->v_pixel + line;
    plan->m_xi = tiles * width + line;
    int64_t v = fc_product(FC_XI * plan->bytes, plan->v_xi);
    int64_t pixels = tiles * FC_TILE * FC_TILE;
    if (plan->strip.total_bytes < 0 || v < 0) {
        free(plan);
        return FC_ERROR_OVERFLOW;
    }
    plan->scratch_v = fc_align(plan->strip.total_bytes);
    plan->scratch_m = plan->scratch_v + fc_align(v);
    plan->scratch_y = plan->scratch_m + fc_align(FC_XI * plan->m_xi * plan->bytes);
    plan->scratch_pixels =
        plan->scratch_y + (plan->planar_output ? fc_align(pixels * width * plan->bytes) : 0);
    double products = (double)fc_count(&desc->y) * (double)packing->channels * 9;
    struct fc_step step = {
        .run = winograd_run,
        .plan = plan,
        .scratch_bytes = plan->scratch_pixels + tiles * (int64_t)sizeof(ptrdiff_t),
        .cost = products / 64,
        .flush_denormals = 1,
    };
    return fc_program_add_step(program, step);
}
