/* conv_planar.c: convolution with vectors along the pixels, for few channels or few filters: directly, or
 * with filters of three rows by Winograd's F(4, 3) along columns.
 *
 * Rows of a block are one long row: a padded strip's rows follow each other at one pitch, so that
 * output (p, q) is element p*pitch + q of a single run, for every tap at a fixed offset; the few
 * elements between two rows are computed and dropped. Where whole vectors make up a row, vectors keep
 * to rows instead: nothing is dropped, and results go straight to y. Strides are split by phase: the
 * strip keeps input row h as row h / stride of phase h % stride, and each tap reads one phase at unit
 * stride. For Winograd the phases are the six transformed rows of a tile, and a row is a tile row: four
 * rows of output.
 *
 *   strip[channel][phase row][phase column][row][pitch]
 *
 * With unit strides, no padding and dense rows, x is read in place and there is no strip.
 */
#include "core/conv.h"

/* Output pixels of a block, and of the part whose results wait in L1 for being written. */
#define FC_PLANAR_BLOCK 4096
#define FC_PLANAR_CHUNK 512
/* Half of the smallest L1 around: transformed rows stay there while all filters pass over them. */
#define FC_PLANAR_L1_BYTES 16384

/* Which input rows (or columns) taps need: tap r is row `row` of phase `phase`. */
struct phases {
    int64_t count;  /* distinct phases in use */
    int64_t reach;  /* rows beyond the block's own that the farthest tap needs */
    int64_t *value; /* [count]: h % stride of each */
};

struct planar_plan {
    const struct fc_kernel_set *kernels;
    fc_conv2d_desc desc;
    struct fc_packing packing;
    int64_t bytes;
    struct fc_blocks blocks;
    int64_t strip[2];     /* rows and columns of one phase of the largest block */
    int64_t pitch, plane; /* elements between rows, and between phases */
    int64_t margin;       /* elements before the strip, so that images' rows are aligned in it */
    int in_place;
    int64_t tile; /* output rows of a row of the strip: 1; Winograd: FC_TILE */
    struct phases phases[2];
    int64_t chunk_rows; /* rows of the strip whose results wait in scratch */
    int64_t strip_bytes;
    int64_t scratch_output,
        scratch_patch; /* byte offsets; the patch: rows that are not dense in x */
    double lo, hi;
    int64_t taps;
    ptrdiff_t *tap;
    int by_rows;            /* vectors keep to rows and are stored straight into y */
    ptrdiff_t *x_at, *y_at; /* where the vectors of a chunk start */
    int64_t memory[];       /* phases' values, taps, x_at, y_at */
};

/* ---- running ---- */

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

/* One tile row of one channel, transformed. */
static void gather_tiles(const struct planar_plan *plan, const struct fc_run *run, const char *x,
                         char *strip, int64_t h, int64_t w, int64_t columns) {
    const fc_conv2d_desc *d = &plan->desc;
    int64_t row[2], column[2];
    fc_inside(d->x.size[2], 1, h, FC_PATCH, &row[0], &row[1]);
    fc_inside(d->x.size[3], 1, w, columns, &column[0], &column[1]);
    if (column[0] == column[1]) return;
    struct fc_winograd_rows_input_args input = {
        .x = x + fc_offset(&d->x, 0, 0, h, w + column[0]),
        .row_stride = d->x.stride[2],
        .first = (int)row[0],
        .last = (int)row[1],
        .count = column[1] - column[0],
        .v = strip + column[0] * plan->bytes,
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
        for (int64_t t = 0; plan->tile > 1 && t < b->size[0]; t++)
            gather_tiles(plan, run, x, strip + t * plan->pitch * plan->bytes,
                         (b->first[0] + t) * FC_TILE - d->pad[0], b->first[1] - d->pad[1], size[1]);
        if (plan->tile > 1) strip += FC_PATCH * plan->plane * plan->bytes;
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
        .tail = planar->tail,
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
    int64_t count = plan->by_rows ? rows * b->size[1] : (rows - 1) * plan->pitch + b->size[1];
    struct fc_planar_args planar = {
        .x = x + first * plan->pitch * plan->bytes,
        .tap = plan->tap,
        .taps = plan->taps,
        .x_at = plan->x_at,
        .y_at = plan->y_at,
        .vectors = fc_ceil_div(count, lanes),
        .tail = count % lanes,
        .w = packed + panel->weight * plan->bytes,
        .bias = packed + panel->bias * plan->bytes,
        .filters = panel->filters,
        .y = plan->by_rows ? y : run->scratch + plan->scratch_output,
        .ldy = plan->by_rows ? d->y.stride[1] : count,
        .lo = plan->lo,
        .hi = plan->hi,
    };
    multiply(plan, &planar,
             plan->by_rows ? fc_min(plan->tile, d->y.size[2] - row * plan->tile) : plan->tile);
    if (plan->by_rows) return;
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

static void planar_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct planar_plan *plan = plan_;
    const fc_conv2d_desc *d = &plan->desc;
    int same_borders = plan->tile > 1 && plan->blocks.count[1] == 1; /* zeros at the sides alone */
    int64_t begin, end, last_place = -1;
    fc_share(fc_blocks_total(&plan->blocks), i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        struct fc_block b = fc_block_at(&plan->blocks, item);
        int64_t place = fc_block_place(&plan->blocks, item);
        const char *x = run->scratch + plan->margin * plan->bytes;
        if (plan->in_place)
            x = fc_at(run, &d->x) +
                fc_offset(&d->x, b.n, b.g * plan->packing.channels, b.first[0], b.first[1]);
        else
            gather(plan, run, &b, last_place < 0 || (place != last_place && !same_borders));
        last_place = place;
        for (int64_t row = 0, rows; row < b.size[0]; row += rows) {
            rows = chunk_at(plan, &b, row);
            for (int64_t p = 0; p < plan->packing.panels; p++) {
                struct fc_panel panel = fc_packing_panel(&plan->packing, b.g, p);
                run_rows(plan, run, &b, x, row, rows, &panel);
            }
        }
    }
}

/* ---- planning ---- */

static int64_t phase_index(const struct phases *phases, int64_t value) {
    for (int64_t i = 0; i < phases->count; i++)
        if (phases->value[i] == value) return i;
    return phases->count;
}

static void plan_phases(struct phases *phases, const fc_conv2d_desc *d, int a) {
    for (int64_t r = 0; r < d->weight.size[2 + a]; r++) {
        int64_t shift = r * d->dilation[a], value = shift % d->stride[a];
        phases->reach = fc_max(phases->reach, shift / d->stride[a]);
        int64_t index = phase_index(phases, value);
        phases->value[index] = value;
        if (index == phases->count) phases->count++;
    }
}

static int reads_in_place(const fc_conv2d_desc *d) {
    const fc_tensor *x = &d->x;
    return d->stride[0] == 1 && d->stride[1] == 1 && d->pad[0] == 0 && d->pad[1] == 0 &&
           x->stride[3] == 1 && x->stride[2] == x->size[3] &&
           fc_extent(d, 0, d->y.size[2]) <= x->size[2] &&
           fc_extent(d, 1, d->y.size[3]) <= x->size[3];
}

/* Blocks of whole rows where a row fits; strips that stay in the second-level cache. */
static void plan_blocks(struct planar_plan *plan) {
    const fc_conv2d_desc *d = &plan->desc;
    const int64_t reach[2] = {plan->phases[0].reach, plan->phases[1].reach};
    int64_t planes = plan->packing.channels * plan->phases[0].count * plan->phases[1].count;
    int64_t budget = (plan->tile > 1 ? FC_PLANAR_L1_BYTES : fc_l2_bytes() / 2) / plan->bytes;
    int64_t q = fc_min(d->y.size[3], FC_PLANAR_BLOCK);
    while (q > (plan->tile > 1 ? 256 : 64) &&
           fc_product(planes * (1 + reach[0]), q + reach[1]) > budget)
        q = fc_ceil_div(q, 2);
    int64_t rows = budget / fc_max(1, planes * (q + reach[1])) - reach[0];
    int64_t outputs[2] = {fc_ceil_div(d->y.size[2], plan->tile), d->y.size[3]};
    if (plan->in_place) {
        q = fc_min(d->y.size[3], FC_PLANAR_BLOCK);
        rows = d->y.size[2];
    }
    int64_t p = fc_max(1, fc_min(rows, FC_PLANAR_BLOCK / plan->tile / (q + reach[1])));
    int64_t size[2] = {fc_min(p, outputs[0]), q}, largest[2];
    for (int a = 0; a < 2; a++) {
        plan->blocks.outputs[a] = outputs[a];
        plan->blocks.count[a] = fc_ceil_div(outputs[a], size[a]);
        largest[a] = fc_ceil_div(outputs[a], plan->blocks.count[a]);
        plan->strip[a] = largest[a] + reach[a];
    }
    int64_t lanes = plan->kernels->lanes;
    plan->by_rows = d->y.stride[3] == 1 && d->y.size[3] % lanes == 0 &&
                    plan->blocks.count[1] == 1 && d->activation <= FC_RELU6;
    plan->pitch = plan->in_place ? d->x.stride[2] : plan->strip[1];
    if (plan->by_rows && !plan->in_place) { /* keep aligned what taps do not shift */
        plan->pitch = fc_ceil_div(plan->pitch, lanes) * lanes;
        plan->margin = (lanes - d->pad[1] % lanes) % lanes;
    }
    plan->chunk_rows = fc_max(1, fc_min(largest[0], FC_PLANAR_CHUNK / plan->tile / plan->pitch));
    if (plan->tile > 1 && plan->by_rows) plan->chunk_rows = largest[0];
}

static void plan_taps(struct planar_plan *plan) {
    const fc_conv2d_desc *d = &plan->desc;
    const struct phases *rows = &plan->phases[0], *columns = &plan->phases[1];
    ptrdiff_t *tap = plan->tap;
    int64_t filter_rows = plan->tile > 1 ? 1 : d->weight.size[2]; /* Winograd: within the kernel */
    for (int64_t c = 0; c < plan->packing.channels; c++)
        for (int64_t r = 0; r < filter_rows; r++)
            for (int64_t s = 0; s < d->weight.size[3]; s++) {
                int64_t h = r * d->dilation[0], w = s * d->dilation[1];
                int64_t i = phase_index(rows, h % d->stride[0]);
                int64_t j = phase_index(columns, w % d->stride[1]);
                int64_t plane = (c * rows->count + i) * columns->count + j;
                *tap++ = (plan->in_place ? c * d->x.stride[1] : plane * plan->plane) +
                         h / d->stride[0] * plan->pitch + w / d->stride[1];
            }
}

static void plan_vectors(struct planar_plan *plan, int64_t vectors) {
    const fc_conv2d_desc *d = &plan->desc;
    int64_t lanes = plan->kernels->lanes, in_row = d->y.size[3] / lanes;
    for (int64_t v = 0; v < vectors; v++) {
        plan->x_at[v] = plan->y_at[v] = v * lanes;
        if (plan->by_rows) {
            plan->x_at[v] = v / in_row * plan->pitch + v % in_row * lanes;
            plan->y_at[v] = v / in_row * plan->tile * d->y.stride[2] + v % in_row * lanes;
        }
    }
}

/* Everything but the tables, which need to know it for their sizes. */
static struct planar_plan plan_sizes(struct fc_program *program, const fc_conv2d_desc *desc,
                                     const struct fc_packing *packing, int64_t *phase_values) {
    struct planar_plan plan = {
        .kernels = program->kernels->set[desc->x.dtype],
        .desc = *desc,
        .packing = *packing,
        .bytes = fc_dtype_bytes((fc_dtype)desc->x.dtype),
        .blocks = {.images = desc->x.size[0], .groups = desc->groups},
        .in_place = !packing->rows && reads_in_place(desc),
        .tile = packing->rows ? FC_TILE : 1,
        .lo = fc_lower_bound(desc),
        .hi = fc_upper_bound(desc),
        .taps = packing->rows ? packing->depth / FC_PATCH : packing->depth,
    };
    plan.phases[0].value = phase_values;
    plan.phases[1].value = phase_values + desc->weight.size[2];
    plan_phases(&plan.phases[1], desc, 1);
    plan_phases(&plan.phases[0], desc, 0);
    if (packing->rows) plan.phases[0] = (struct phases){FC_PATCH, 0, phase_values};
    plan_blocks(&plan);
    /* planes a multiple of 4 KiB apart would all fall into the same set of L1 */
    plan.plane = plan.strip[0] * plan.pitch;
    if (plan.plane * plan.bytes % 4096 == 0) plan.plane += 64 / plan.bytes;
    return plan;
}

fc_status fc_add_planar_step(struct fc_program *program, const fc_conv2d_desc *desc,
                             const struct fc_packing *packing) {
    int64_t bytes = packing->channels * fc_dtype_bytes((fc_dtype)desc->x.dtype);
    if (fc_strip_bytes(desc, 1, bytes) < 0) return FC_ERROR_OVERFLOW;
    int64_t values = desc->weight.size[2] + desc->weight.size[3];
    int64_t *phase_values = malloc((size_t)values * sizeof *phase_values);
    if (!phase_values) return FC_ERROR_MEMORY;
    struct planar_plan sizes = plan_sizes(program, desc, packing, phase_values);
    int64_t chunk = sizes.chunk_rows * fc_max(sizes.pitch, desc->y.size[3]);
    int64_t vectors = fc_ceil_div(chunk, sizes.kernels->lanes);
    int64_t table = fc_product(values + packing->depth + 2 * vectors, sizeof(int64_t));
    int64_t planes = packing->channels * sizes.phases[0].count * sizes.phases[1].count;
    int64_t strip = fc_product(fc_product(planes, sizes.plane), sizes.bytes);
    if (sizes.in_place) strip = 0;
    if (strip > 0) strip += sizes.margin * sizes.bytes;
    int64_t output =
        sizes.by_rows ? 0 : fc_product(packing->widest * sizes.tile * sizes.bytes, chunk);
    int64_t patch =
        sizes.tile > 1 && desc->x.stride[3] != 1 ? FC_PATCH * sizes.pitch * sizes.bytes : 0;
    struct planar_plan *plan = NULL;
    if (table >= 0 && strip >= 0 && output >= 0) plan = malloc(sizeof *plan + (size_t)table);
    if (!plan) {
        free(phase_values);
        return table < 0 || strip < 0 || output < 0 ? FC_ERROR_OVERFLOW : FC_ERROR_MEMORY;
    }
    *plan = sizes;
    memcpy(plan->memory, phase_values, (size_t)values * sizeof *phase_values);
    free(phase_values);
    plan->phases[0].value = plan->memory;
    plan->phases[1].value = plan->memory + desc->weight.size[2];
    plan->tap = (ptrdiff_t *)(plan->memory + values);
    plan->x_at = plan->tap + packing->depth;
    plan->y_at = plan->x_at + vectors;
    plan_taps(plan);
    plan_vectors(plan, vectors);
    plan->strip_bytes = strip;
    plan->scratch_output = fc_align(strip);
    plan->scratch_patch = plan->scratch_output + fc_align(output);
    struct fc_step step = {
        .run = planar_run,
        .plan = plan,
        .scratch_bytes = plan->scratch_patch + patch,
        .cost = (double)fc_count(&desc->y) * (double)packing->depth / 32 +
                (double)fc_count(&desc->y) + (double)fc_count(&desc->x),
        .flush_denormals = 1,
    };
    return fc_program_add_step(program, step);
}
