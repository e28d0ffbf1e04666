/* conv_planar.c: convolution with vectors along the pixels, for few channels or few filters: directly, or
 * with filters of three rows by Winograd's F(4, 3) along columns.
 *
 * Rows of a block are one long row: a padded strip's rows follow each other at one pitch, so that
 * output (p, q) is element p*pitch + q of a single run, for every tap at a fixed offset; the few
 * elements between two rows are computed and dropped. Where vectors fill rows well enough, they keep to
 * rows instead, the last of a row cut short: results go straight to y. Strides are split by phase: the
 * strip keeps input row h as row h / stride of phase h % stride, and each tap reads one phase at unit
 * stride. For Winograd the phases are the six transformed rows of a tile, and a row is a tile row: four
 * rows of output.
 *
 *   strip[channel][phase row][phase column][row][pitch]
 *
 * With unit strides, no padding and dense rows, x is read in place and there is no strip.
 */
#include "core/conv_planar.h"

/* One phase of one channel; the strip's borders are zero already. */
static void gather_phase(const struct planar_plan *plan, const char *x, char *strip,
                         const int64_t first[2], const int64_t size[2]) {
    const fc_conv2d_desc *d = &plan->desc;
    int64_t row[2], column[2];
    fc_inside(d->x.size[2], d->stride[0], first[0], size[0], &row[0], &row[1]);
    fc_inside(d->x.size[3], d->stride[1], first[1], size[1], &column[0], &column[1]);
    if (row[0] == row[1] || column[0] == column[1]) return;
    struct fc_copy2d_args copy = {
        .src = x + fc_offset(&d->x, 0, 0, first[0] + row[0] * d->stride[0],
                             first[1] + column[0] * d->stride[1]),
        .src_i = d->x.stride[2] * d->stride[0],
        .src_j = d->x.stride[3] * d->stride[1],
        .dst = strip + (row[0] * plan->pitch + column[0]) * plan->bytes,
        .dst_i = plan->pitch,
        .dst_j = 1,
        .rows = row[1] - row[0],
        .columns = column[1] - column[0],
    };
    plan->kernels->copy2d(&copy);
}

/* Tile rows of one channel, transformed. */
static void gather_tiles(const struct planar_plan *plan, const struct fc_run *run, const char *x,
                         char *strip, int64_t tiles, int64_t h, int64_t w, int64_t columns) {
    const fc_conv2d_desc *d = &plan->desc;
    int64_t row[2], column[2];
    fc_inside(d->x.size[2], 1, h, (tiles - 1) * FC_TILE + FC_PATCH, &row[0], &row[1]);
    fc_inside(d->x.size[3], 1, w, columns, &column[0], &column[1]);
    if (column[0] == column[1]) return;
    struct fc_winograd_rows_input_args input = {
        .x = x + fc_offset(&d->x, 0, 0, h, w + column[0]),
        .row_stride = d->x.stride[2],
        .first = row[0],
        .last = row[1],
        .tiles = tiles,
        .count = column[1] - column[0],
        .v = strip + column[0] * plan->bytes,
        .tile_stride = plan->pitch,
        .xi_stride = plan->plane,
    };
    if (d->x.stride[3] != 1) {
        struct fc_copy2d_args copy = {
            .src = x + fc_offset(&d->x, 0, 0, h + row[0], w + column[0]),
            .src_i = d->x.stride[2],
            .src_j = d->x.stride[3],
            .dst = run->scratch + plan->scratch_patch + row[0] * plan->pitch * plan->bytes,
            .dst_i = plan->pitch,
            .dst_j = 1,
            .rows = row[1] - row[0],
            .columns = input.count,
        };
        plan->kernels->copy2d(&copy);
        input.x = run->scratch + plan->scratch_patch;
        input.row_stride = plan->pitch;
    }
    plan->kernels->winograd_rows_input(&input);
}

/* One channel of a block for Winograd; what is not dense passes through scratch, a tile row at a time. */
static void gather_channel(const struct planar_plan *plan, const struct fc_run *run, const char *x,
                           char *strip, const struct fc_block *b, int64_t columns) {
    const fc_conv2d_desc *d = &plan->desc;
    int64_t at_once = d->x.stride[3] == 1 ? b->size[0] : 1;
    for (int64_t t = 0; t < b->size[0]; t += at_once)
        gather_tiles(plan, run, x, strip + t * plan->pitch * plan->bytes, at_once,
                     (b->first[0] + t) * FC_TILE - d->pad[0], b->first[1] - d->pad[1], columns);
}

/* `fresh`: the strip held a block at another place of the image, whose borders were elsewhere. */
static void gather(const struct planar_plan *plan, const struct fc_run *run,
                   const struct fc_block *b, int fresh) {
    const fc_conv2d_desc *d = &plan->desc;
    const struct phases *rows = &plan->phases[0], *columns = &plan->phases[1];
    int64_t size[2] = {b->size[0] + rows->reach, b->size[1] + columns->reach};
    char *strip = run->scratch + plan->margin * plan->bytes;
    if (fresh) memset(run->scratch, 0, (size_t)plan->strip_bytes);
    for (int64_t c = 0; c < plan->packing.channels; c++) {
        const char *x =
            fc_at(run, &d->x) + fc_offset(&d->x, b->n, b->g * plan->packing.channels + c, 0, 0);
        if (plan->tile > 1) {
            gather_channel(plan, run, x, strip, b, size[1]);
            strip += FC_PATCH * plan->plane * plan->bytes;
        }
        for (int64_t i = 0; plan->tile == 1 && i < rows->count; i++)
            for (int64_t j = 0; j < columns->count; j++) {
                int64_t first[2] = {b->first[0] * d->stride[0] + rows->value[i] - d->pad[0],
                                    b->first[1] * d->stride[1] + columns->value[j] - d->pad[1]};
                gather_phase(plan, x, strip, first, size);
                strip += plan->plane * plan->bytes;
            }
    }
}

/* Results of one tile of filters go from scratch to where they belong: rows [first, first + rows) of the
 * strip, from[filter][row of a tile][row][pitch]. */
static void write_rows(const struct planar_plan *plan, const char *from, int64_t ld, char *y,
                       int64_t first, int64_t rows, int64_t columns, int64_t filters) {
    const fc_conv2d_desc *d = &plan->desc;
    for (int64_t k = 0; k < filters; k++)
        for (int64_t j = 0; j < plan->tile; j++) {
            int64_t end =
                (d->y.size[2] - j + plan->tile - 1) / plan->tile; /* the last tile is cut */
            struct fc_copy2d_args copy = {
                .src = from + (k * plan->tile + j) * ld * plan->bytes,
                .src_i = plan->pitch,
                .src_j = 1,
                .dst = y + (k * d->y.stride[1] + j * d->y.stride[2]) * plan->bytes,
                .dst_i = d->y.stride[2] * plan->tile,
                .dst_j = d->y.stride[3],
                .rows = fc_min(rows, end - first),
                .columns = columns,
            };
            plan->kernels->copy2d(&copy);
        }
}

static void multiply(const struct planar_plan *plan, const struct fc_planar_args *planar,
                     int64_t rows) {
    if (planar->vectors == 0) return;
    if (plan->tile == 1) {
        plan->kernels->planar(planar);
        return;
    }
    struct fc_winograd_rows_args tiles = {
        .x = planar->x,
        .tap = planar->tap,
        .taps = planar->taps,
        .xi_stride = plan->plane,
        .x_at = planar->x_at,
        .y_at = planar->y_at,
        .vectors = planar->vectors,
        .lanes = planar->lanes,
        .w = planar->w,
        .bias = planar->bias,
        .filters = planar->filters,
        .y = planar->y,
        .ldy = plan->by_rows ? planar->ldy : planar->ldy * plan->tile,
        .row_stride = plan->by_rows ? plan->desc.y.stride[2] : planar->ldy,
        .rows = (int)rows,
        .lo = planar->lo,
        .hi = planar->hi,
    };
    plan->kernels->winograd_rows(&tiles);
}

/* Rows [first, first + rows) of the block, one tile of filters. */
static void run_rows(const struct planar_plan *plan, const struct fc_run *run,
                     const struct fc_block *b, const char *x, int64_t first, int64_t rows,
                     const struct fc_panel *panel) {
    const fc_conv2d_desc *d = &plan->desc;
    const char *packed = fc_at(run, &d->weight);
    int64_t lanes = plan->kernels->lanes, row = b->first[0] + first;
    char *y = fc_at(run, &d->y) + fc_offset(&d->y, b->n,
                                            b->g * plan->packing.filters + panel->first_filter,
                                            row * plan->tile, b->first[1]);
    int64_t runs = plan->by_rows ? rows : 1;
    int64_t count = (rows - runs) * plan->pitch + b->size[1], full = count / lanes;
    struct fc_planar_args planar = {
        .x = x + first * plan->pitch * plan->bytes,
        .tap = plan->tap,
        .taps = plan->taps,
        .x_at = plan->x_at,
        .y_at = plan->y_at,
        .vectors = runs * full,
        .lanes = lanes,
        .w = packed + panel->weight * plan->bytes,
        .bias = packed + panel->bias * plan->bytes,
        .filters = panel->filters,
        .y = plan->straight ? y : run->scratch + plan->scratch_output,
        .ldy = plan->straight ? d->y.stride[1] : count,
        .lo = plan->lo,
        .hi = plan->hi,
    };
    int64_t tile = plan->by_rows ? fc_min(plan->tile, d->y.size[2] - row * plan->tile) : plan->tile;
    multiply(plan, &planar, tile);
    if (count % lanes) {
        int64_t tails = plan->by_rows ? plan->chunk_rows * full : full;
        planar.x_at += tails;
        planar.y_at += tails;
        planar.vectors = runs;
        planar.lanes = count % lanes;
        multiply(plan, &planar, tile);
    }
    if (plan->straight) return;
    if (d->activation > FC_RELU6)
        plan->kernels->activate(d->activation, d->alpha, planar.y, planar.y,
                                count * panel->filters * plan->tile);
    write_rows(plan, planar.y, count, y, row, rows, b->size[1], panel->filters);
}

/* Rows of the strip that are worked on together: an image's last tiles, cut short, by themselves. */
static int64_t chunk_at(const struct planar_plan *plan, const struct fc_block *b, int64_t row) {
    int64_t rows = fc_min(plan->chunk_rows, b->size[0] - row), end = b->first[0] + row + rows;
    int cut = plan->by_rows && end * plan->tile > plan->desc.y.size[2];
    return rows > 1 && cut ? rows - 1 : rows;
}

void fc_planar_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct planar_plan *plan = plan_;
    const fc_conv2d_desc *d = &plan->desc;
    struct fc_block_walk walk;
    fc_walk_start(&walk, &plan->blocks, plan->packing.panels, i, n);
    int same_borders = plan->tile > 1 && walk.blocks.count[1] == 1; /* zeros at the sides alone */
    for (int started = 0; fc_walk_next(&walk); started = 1) {
        const struct fc_block *b = &walk.block;
        const char *x = run->scratch + plan->margin * plan->bytes;
        if (plan->in_place)
            x = fc_at(run, &d->x) +
                fc_offset(&d->x, b->n, b->g * plan->packing.channels, b->first[0], b->first[1]);
        else if (walk.entering)
            gather(plan, run, b, walk.fresh && !(started && same_borders));
        for (int64_t row = 0, rows; row < b->size[0]; row += rows) {
            rows = chunk_at(plan, b, row);
            for (int64_t p = walk.first_panel; p < walk.last_panel; p++) {
                struct fc_panel panel = fc_packing_panel(&plan->packing, b->g, p);
                run_rows(plan, run, b, x, row, rows, &panel);
            }
        }
    }
}
