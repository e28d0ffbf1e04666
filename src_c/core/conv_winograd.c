/* conv_winograd.c: convolution by Winograd's algorithm, F(4x4, 3x3) and its like.
 *
 *   for each (image, group, block of output tiles):                  shared out over threads
 *       transform each tile:      V[xi][tile][channel]               stays in the second-level cache
 *       for each panel of filters:
 *           for each product xi:  M[xi][tile][filter] = V[xi] U[xi]  U streams past, once a block
 *           transform each tile:  bias, activation, y
 *
 * Channels-last arrays are read and written in place. Planes are transposed through a strip in the
 * first-level cache, one line of channels at a time. Packed weights are as for gemm, with a tap for each
 * different product: U[panel][tap][channel][filter].
 */
#include "core/conv.h"

struct winograd_plan {
    const struct fc_kernel_set *kernels;
    const struct fc_winograd_tile *tile;
    fc_conv2d_desc desc;
    struct fc_packing packing;
    int64_t bytes;
    int64_t line;                    /* elements in 64 bytes */
    int planar_input, planar_output; /* channels of x, of y are not contiguous */
    struct fc_blocks blocks;         /* in tiles */
    int64_t block[2];                /* tiles of the largest block */
    int64_t products;
    int64_t v_pixel, v_xi, m_xi; /* element strides */
    /* byte offsets in scratch; the strip of x and that of y are at its beginning */
    int64_t scratch_zeros, scratch_patches, scratch_v, scratch_m;
    double lo, hi;
};

/* ---- running ---- */

/* The part of x under a block: rows and columns inside the image, and where they are now. */
struct window {
    const char *at;
    int64_t first[2], last[2];
    int64_t row_stride, pixel_stride;
};

/* Rows or columns that patches of a block advance from one tile to the next. */
static int64_t advance(const struct winograd_plan *plan, int a) {
    return plan->tile->outputs[a] * plan->desc.stride[a];
}

static struct window window_of(const struct winograd_plan *plan, const struct fc_run *run,
                               const struct fc_block *b) {
    const fc_conv2d_desc *d = &plan->desc;
    struct window w;
    for (int a = 0; a < 2; a++) {
        int64_t from = b->first[a] * advance(plan, a) - d->pad[a], inside[2];
        fc_inside(d->x.size[2 + a], 1, from,
                  (b->size[a] - 1) * advance(plan, a) + plan->tile->patch[a], &inside[0],
                  &inside[1]);
        w.first[a] = from + inside[0];
        w.last[a] = from + inside[1];
    }
    if (plan->planar_input) {
        w.at = run->scratch;
        w.pixel_stride = plan->line;
        w.row_stride = (w.last[1] - w.first[1]) * plan->line;
    } else {
        w.at = fc_at(run, &d->x) +
               fc_offset(&d->x, b->n, b->g * plan->packing.channels, w.first[0], w.first[1]);
        w.pixel_stride = d->x.stride[3];
        w.row_stride = d->x.stride[2];
    }
    return w;
}

/* Pointers to the pixels of each tile's patch: padding reads zeros. */
static void find_patches(const struct winograd_plan *plan, const struct fc_run *run,
                         const struct fc_block *b, const struct window *w) {
    const void **pixel = (const void **)(run->scratch + plan->scratch_patches);
    for (int64_t p = 0; p < b->size[0]; p++)
        for (int64_t q = 0; q < b->size[1]; q++) {
            int64_t h0 = (b->first[0] + p) * advance(plan, 0) - plan->desc.pad[0];
            int64_t w0 = (b->first[1] + q) * advance(plan, 1) - plan->desc.pad[1];
            for (int64_t i = h0; i < h0 + plan->tile->patch[0]; i++)
                for (int64_t j = w0; j < w0 + plan->tile->patch[1]; j++) {
                    int inside =
                        i >= w->first[0] && i < w->last[0] && j >= w->first[1] && j < w->last[1];
                    int64_t at =
                        (i - w->first[0]) * w->row_stride + (j - w->first[1]) * w->pixel_stride;
                    *pixel++ =
                        inside ? w->at + at * plan->bytes : run->scratch + plan->scratch_zeros;
                }
        }
}

/* Channels [c, c + channels) of the window, transposed into the strip. */
static void gather(const struct winograd_plan *plan, const struct fc_run *run,
                   const struct fc_block *b, const struct window *w, int64_t c, int64_t channels) {
    const fc_tensor *x = &plan->desc.x;
    int64_t rows = w->last[0] - w->first[0], columns = w->last[1] - w->first[1];
    if (rows == 0 || columns == 0) return;
    if (columns == x->size[3] && x->stride[2] == columns * x->stride[3]) { /* one long row */
        columns *= rows;
        rows = 1;
    }
    for (int64_t i = 0; i < rows; i++) {
        struct fc_copy2d_args copy = {
            .src = fc_at(run, x) + fc_offset(x, b->n, b->g * plan->packing.channels + c,
                                             w->first[0] + i, w->first[1]),
            .src_i = x->stride[1],
            .src_j = x->stride[3],
            .dst = run->scratch + i * columns * plan->line * plan->bytes,
            .dst_i = 1,
            .dst_j = plan->line,
            .rows = channels,
            .columns = columns,
        };
        plan->kernels->copy2d(&copy);
    }
}

static void enter_block(const struct winograd_plan *plan, const struct fc_run *run,
                        const struct fc_block *b) {
    struct window w = window_of(plan, run, b);
    find_patches(plan, run, b, &w);
    int64_t channels = plan->packing.channels;
    int64_t step = plan->planar_input ? plan->line : channels;
    for (int64_t c = 0; c < channels; c += step) {
        int64_t count = fc_min(step, channels - c);
        if (plan->planar_input) gather(plan, run, b, &w, c, count);
        const void **pixel = (const void **)(run->scratch + plan->scratch_patches);
        char *v = run->scratch + plan->scratch_v + c * plan->bytes;
        for (int64_t tile = 0; tile < b->size[0] * b->size[1]; tile++) {
            struct fc_winograd_input_args input = {
                .pixel = pixel + tile * plan->products,
                .channels = count,
                .v = v + tile * plan->v_pixel * plan->bytes,
                .xi_stride = plan->v_xi,
            };
            plan->tile->input(&input);
        }
    }
}

/* M of all tiles of the block for one panel of filters. */
static void multiply(const struct winograd_plan *plan, const struct fc_run *run, int64_t tiles,
                     const struct fc_panel *panel) {
    int64_t slab = plan->packing.channels * panel->vectors * plan->packing.lanes;
    ptrdiff_t tap[FC_WINOGRAD_MAX_PATCH * FC_WINOGRAD_MAX_PATCH + 1];
    for (int64_t xi = 0; xi < plan->products; xi++)
        tap[xi] = fc_winograd_tap(plan->tile, xi) * slab;
    tap[plan->products] =
        plan->packing.taps * slab; /* the next panel, or the biases after the last */
    struct fc_winograd_product_args product = {
        .v = run->scratch + plan->scratch_v,
        .v_pixel = plan->v_pixel,
        .v_xi = plan->v_xi,
        .pixels = tiles,
        .channels = plan->packing.channels,
        .chain = fc_max(1, fc_ceil_div(plan->packing.channels, plan->tile->chains)),
        .products = plan->products,
        .u = fc_at(run, &plan->desc.weight) + panel->weight * plan->bytes,
        .tap = tap,
        .vectors = panel->vectors,
        .filters = panel->filters,
        .m = run->scratch + plan->scratch_m,
        .m_xi = plan->m_xi,
    };
    plan->kernels->winograd_product(&product);
}

/* Filters [k, k + filters) of a panel, one row of tiles: rows x columns pixels at y. */
struct tile_row {
    const struct fc_panel *panel;
    int64_t first_tile, k, filters;
    int64_t rows, columns;
    char *y;
    int64_t row_stride, pixel_stride;
    const char *addend; /* or NULL */
};

static void transform_row(const struct winograd_plan *plan, const struct fc_run *run,
                          const struct tile_row *t) {
    const fc_conv2d_desc *d = &plan->desc;
    const int *outputs = plan->tile->outputs;
    int64_t width = t->panel->vectors * plan->packing.lanes;
    const char *m = run->scratch + plan->scratch_m;
    for (int64_t q = 0; q * outputs[1] < t->columns; q++) {
        struct fc_winograd_output_args output = {
            .m = m + ((t->first_tile + q) * width + t->k) * plan->bytes,
            .xi_stride = plan->m_xi,
            .bias = fc_at(run, &d->weight) + (t->panel->bias + t->k) * plan->bytes,
            .filters = t->filters,
            .y = t->y + q * outputs[1] * t->pixel_stride * plan->bytes,
            .row_stride = t->row_stride,
            .pixel_stride = t->pixel_stride,
            .addend_row = d->addend.stride[2],
            .addend_pixel = d->addend.stride[3],
            .rows = (int)t->rows,
            .columns = (int)fc_min(outputs[1], t->columns - q * outputs[1]),
            .lo = plan->lo,
            .hi = plan->hi,
        };
        if (t->addend)
            output.addend = t->addend + q * outputs[1] * d->addend.stride[3] * plan->bytes;
        plan->tile->output(&output);
    }
    if (d->activation <= FC_RELU6) return;
    for (int64_t p = 0; p < t->rows; p++)
        plan->kernels->activate_rows(d->activation, d->alpha,
                                     t->y + p * t->row_stride * plan->bytes, t->columns,
                                     t->pixel_stride, t->filters);
}

/* Planes of y: a line of filters at a time through the strip. */
static void write_planes(const struct winograd_plan *plan, const struct fc_run *run,
                         struct tile_row t) {
    const fc_tensor *out = &plan->desc.y;
    char *y = t.y;
    int64_t rows = t.rows, columns = t.columns;
    t.y = run->scratch;
    t.pixel_stride = plan->line;
    t.row_stride = columns * plan->line;
    if (columns == out->size[3] && out->stride[2] == columns * out->stride[3]) {
        columns *= rows;
        rows = 1;
    }
    for (int64_t k = 0; k < t.panel->filters; k += plan->line) {
        t.k = k;
        t.filters = fc_min(plan->line, t.panel->filters - k);
        transform_row(plan, run, &t);
        for (int64_t i = 0; i < rows; i++) {
            struct fc_copy2d_args copy = {
                .src = t.y + i * columns * plan->line * plan->bytes,
                .src_i = plan->line,
                .src_j = 1,
                .dst = y + (k * out->stride[1] + i * out->stride[2]) * plan->bytes,
                .dst_i = out->stride[3],
                .dst_j = out->stride[1],
                .rows = columns,
                .columns = t.filters,
            };
            plan->kernels->copy2d(&copy);
        }
    }
}

static void write_tiles(const struct winograd_plan *plan, const struct fc_run *run,
                        const struct fc_block *b, const struct fc_panel *panel) {
    const fc_tensor *y = &plan->desc.y, *addend = &plan->desc.addend;
    const int *outputs = plan->tile->outputs;
    int64_t filter = b->g * plan->packing.filters + panel->first_filter;
    int64_t q = b->first[1] * outputs[1];
    for (int64_t i = 0; i < b->size[0]; i++) {
        int64_t p = (b->first[0] + i) * outputs[0];
        struct tile_row t = {
            .panel = panel,
            .first_tile = i * b->size[1],
            .filters = panel->filters,
            .rows = fc_min(outputs[0], y->size[2] - p),
            .columns = fc_min(b->size[1] * outputs[1], y->size[3] - q),
            .y = fc_at(run, y) + fc_offset(y, b->n, filter, p, q),
            .row_stride = y->stride[2],
            .pixel_stride = y->stride[3],
        };
        if (plan->desc.has_addend)
            t.addend = fc_at(run, addend) + fc_offset(addend, b->n, filter, p, q);
        if (plan->planar_output)
            write_planes(plan, run, t);
        else
            transform_row(plan, run, &t);
    }
}

static void winograd_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct winograd_plan *plan = plan_;
    memset(run->scratch + plan->scratch_zeros, 0,
           (size_t)(plan->scratch_patches - plan->scratch_zeros));
    struct fc_block_walk walk;
    fc_walk_start(&walk, &plan->blocks, plan->packing.panels, i, n);
    while (fc_walk_next(&walk)) {
        if (walk.entering) enter_block(plan, run, &walk.block);
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
    int64_t tiles[2];
    for (int a = 0; a < 2; a++) tiles[a] = fc_ceil_div(d->y.size[2 + a], plan->tile->outputs[a]);
    int64_t tile_bytes = plan->products * fc_align(plan->packing.channels * plan->bytes);
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

/* -> bytes of scratch; -1: overflow */
static int64_t plan_scratch(struct winograd_plan *plan) {
    const int *outputs = plan->tile->outputs;
    int64_t tiles = plan->block[0] * plan->block[1], channels = plan->packing.channels;
    int64_t width = fc_min(plan->packing.vectors, plan->packing.widest) * plan->packing.lanes;
    int64_t line = plan->line, strip = 0;
    if (plan->planar_input) {
        int64_t rows = (plan->block[0] - 1) * advance(plan, 0) + plan->tile->patch[0];
        int64_t columns = (plan->block[1] - 1) * advance(plan, 1) + plan->tile->patch[1];
        strip = rows * columns;
    }
    if (plan->planar_output) strip = fc_max(strip, plan->block[1] * outputs[0] * outputs[1]);
    /* xi a multiple of 4 KiB apart would all fall into the same sets of L1 */
    plan->v_pixel = fc_ceil_div(channels, line) * line;
    plan->v_xi = tiles * plan->v_pixel + line;
    plan->m_xi = tiles * width + line;
    int64_t v = fc_product(plan->products * plan->bytes, plan->v_xi);
    if (v < 0) return -1;
    plan->scratch_zeros = fc_align(strip * line * plan->bytes);
    plan->scratch_patches = plan->scratch_zeros + fc_align(plan->v_pixel * plan->bytes);
    plan->scratch_v =
        plan->scratch_patches + fc_align(tiles * plan->products * (int64_t)sizeof(void *));
    plan->scratch_m = plan->scratch_v + fc_align(v);
    return plan->scratch_m + plan->products * plan->m_xi * plan->bytes;
}

fc_status fc_add_winograd_step(struct fc_program *program, const fc_conv2d_desc *desc,
                               const struct fc_packing *packing) {
    struct winograd_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    int64_t bytes = fc_dtype_bytes((fc_dtype)desc->x.dtype);
    *plan = (struct winograd_plan){
        .kernels = program->kernels->set[desc->x.dtype],
        .tile = packing->winograd,
        .desc = *desc,
        .packing = *packing,
        .bytes = bytes,
        .line = 64 / bytes,
        .planar_input = desc->x.stride[1] != 1 && packing->channels != 1,
        .planar_output = desc->y.stride[1] != 1 && packing->filters != 1,
        .blocks = {.images = desc->x.size[0],
                   .groups = desc->groups,
                   .pass = fc_blocks_pass(packing)},
        .products = packing->winograd->patch[0] * packing->winograd->patch[1],
        .lo = fc_lower_bound(desc->activation),
        .hi = fc_upper_bound(desc->activation),
    };
    plan_blocks(plan);
    double products = (double)fc_count(&desc->y) * (double)packing->channels *
                      (double)plan->products / (plan->tile->outputs[0] * plan->tile->outputs[1]);
    struct fc_step step = {
        .run = winograd_run,
        .plan = plan,
        .scratch_bytes = plan_scratch(plan),
        .cost = fc_conv_nanoseconds(desc, products),
        .flush_denormals = 1,
    };
    return fc_program_add_step(program, step);
}
