/* conv_planar.c: convolution with vectors along the pixels, for few channels or few filters.
 *
 * Rows of a block are one long row: a padded strip's rows follow each other at one pitch, so that
 * output (p, q) is element p*pitch + q of a single run, for every tap at a fixed offset; the few
 * elements between two rows are computed and dropped. Where whole vectors make up a row, vectors keep
 * to rows instead: nothing is dropped, and results go straight to y. Strides are split by phase: the strip keeps
 * input row h as row h / stride of phase h % stride, and each tap reads one phase at unit stride.
 *
 *   strip[channel][phase row][phase column][row][pitch]
 *
 * With unit strides, no padding and dense rows, x is read in place and there is no strip.
 */
#include "core/conv.h"

/* Output pixels of a block, and of the part whose results wait in L1 for being written. */
#define FC_PLANAR_BLOCK 4096
#define FC_PLANAR_CHUNK 512

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
    int in_place;
    struct phases phases[2];
    int64_t chunk_rows; /* output rows whose results wait in scratch */
    int64_t strip_bytes;
    int64_t scratch_output; /* byte offset */
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

/* `fresh`: the strip held a block at another place of the image, whose borders were elsewhere. */
static void gather(const struct planar_plan *plan, const struct fc_run *run,
                   const struct fc_block *b, int fresh) {
    const fc_conv2d_desc *d = &plan->desc;
    const struct phases *rows = &plan->phases[0], *columns = &plan->phases[1];
    int64_t size[2] = {b->size[0] + rows->reach, b->size[1] + columns->reach};
    char *strip = run->scratch;
    if (fresh) memset(strip, 0, (size_t)plan->strip_bytes);
    for (int64_t c = 0; c < plan->packing.channels; c++) {
        const char *x =
            fc_at(run, &d->x) + fc_offset(&d->x, b->n, b->g * plan->packing.channels + c, 0, 0);
        for (int64_t i = 0; i < rows->count; i++)
            for (int64_t j = 0; j < columns->count; j++) {
                int64_t first[2] = {b->first[0] * d->stride[0] + rows->value[i] - d->pad[0],
                                    b->first[1] * d->stride[1] + columns->value[j] - d->pad[1]};
                gather_phase(plan, x, strip, first, size);
                strip += plan->plane * plan->bytes;
            }
    }
}

/* Results of one tile of filters go from scratch to where they belong. */
static void write_rows(const struct planar_plan *plan, const char *from, int64_t ld, char *y,
                       int64_t rows, int64_t columns, int64_t filters) {
    const fc_conv2d_desc *d = &plan->desc;
    for (int64_t k = 0; k < filters; k++) {
        struct fc_copy2d_args copy = {
            .src = from + k * ld * plan->bytes,
            .src_i = plan->pitch,
            .src_j = 1,
            .dst = y + k * d->y.stride[1] * plan->bytes,
            .dst_i = d->y.stride[2],
            .dst_j = d->y.stride[3],
            .rows = rows,
            .columns = columns,
        };
        plan->kernels->copy2d(&copy);
    }
}

/* Rows [first, first + rows) of the block, one tile of filters. */
static void run_rows(const struct planar_plan *plan, const struct fc_run *run,
                     const struct fc_block *b, const char *x, int64_t first, int64_t rows,
                     const struct fc_panel *panel) {
    const fc_conv2d_desc *d = &plan->desc;
    const char *packed = fc_at(run, &d->weight);
    char *y = fc_at(run, &d->y) + fc_offset(&d->y, b->n,
                                            b->g * plan->packing.filters + panel->first_filter,
                                            b->first[0] + first, b->first[1]);
    int64_t lanes = plan->kernels->lanes;
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
    plan->kernels->planar(&planar);
    if (plan->by_rows) return;
    if (d->activation > FC_RELU6)
        plan->kernels->activate(d->activation, d->alpha, planar.y, planar.y,
                                count * panel->filters);
    write_rows(plan, planar.y, count, y, rows, b->size[1], panel->filters);
}

static void planar_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct planar_plan *plan = plan_;
    const fc_conv2d_desc *d = &plan->desc;
    int64_t begin, end, last_place = -1;
    fc_share(fc_blocks_total(&plan->blocks), i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        struct fc_block b = fc_block_at(&plan->blocks, item);
        int64_t place = fc_block_place(&plan->blocks, item);
        const char *x = run->scratch;
        if (plan->in_place)
            x = fc_at(run, &d->x) +
                fc_offset(&d->x, b.n, b.g * plan->packing.channels, b.first[0], b.first[1]);
        else
            gather(plan, run, &b, place != last_place);
        last_place = place;
        for (int64_t row = 0; row < b.size[0]; row += plan->chunk_rows)
            for (int64_t p = 0; p < plan->packing.panels; p++) {
                struct fc_panel panel = fc_packing_panel(&plan->packing, b.g, p);
                run_rows(plan, run, &b, x, row, fc_min(plan->chunk_rows, b.size[0] - row), &panel);
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
    int64_t budget = fc_l2_bytes() / 2 / plan->bytes;
    int64_t q = fc_min(d->y.size[3], FC_PLANAR_BLOCK);
    while (q > 64 && fc_product(planes * (1 + reach[0]), q + reach[1]) > budget)
        q = fc_ceil_div(q, 2);
    int64_t rows = budget / fc_max(1, planes * (q + reach[1])) - reach[0];
    if (plan->in_place) {
        q = fc_min(d->y.size[3], FC_PLANAR_BLOCK);
        rows = d->y.size[2];
    }
    int64_t p = fc_max(1, fc_min(rows, FC_PLANAR_BLOCK / (q + reach[1])));
    int64_t size[2] = {fc_min(p, d->y.size[2]), q}, largest[2];
    for (int a = 0; a < 2; a++) {
        plan->blocks.outputs[a] = d->y.size[2 + a];
        plan->blocks.count[a] = fc_ceil_div(d->y.size[2 + a], size[a]);
        largest[a] = fc_ceil_div(d->y.size[2 + a], plan->blocks.count[a]);
        plan->strip[a] = largest[a] + reach[a];
    }
    plan->pitch = plan->in_place ? d->x.stride[2] : plan->strip[1];
    plan->chunk_rows = fc_max(1, fc_min(largest[0], FC_PLANAR_CHUNK / plan->pitch));
}

static void plan_taps(struct planar_plan *plan) {
    const fc_conv2d_desc *d = &plan->desc;
    const struct phases *rows = &plan->phases[0], *columns = &plan->phases[1];
    ptrdiff_t *tap = plan->tap;
    for (int64_t c = 0; c < plan->packing.channels; c++)
        for (int64_t r = 0; r < d->weight.size[2]; r++)
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
            plan->y_at[v] = v / in_row * d->y.stride[2] + v % in_row * lanes;
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
        .in_place = reads_in_place(desc),
        .lo = fc_lower_bound(desc),
        .hi = fc_upper_bound(desc),
        .taps = packing->depth,
    };
    plan.phases[0].value = phase_values;
    plan.phases[1].value = phase_values + desc->weight.size[2];
    plan_phases(&plan.phases[0], desc, 0);
    plan_phases(&plan.phases[1], desc, 1);
    plan_blocks(&plan);
    plan.by_rows = desc->y.stride[3] == 1 && desc->y.size[3] % plan.kernels->lanes == 0 &&
                   plan.blocks.count[1] == 1 && desc->activation <= FC_RELU6;
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
    int64_t strip = sizes.in_place ? 0 : fc_product(fc_product(planes, sizes.plane), sizes.bytes);
    int64_t output = sizes.by_rows ? 0 : fc_product(FC_PLANAR_FILTERS * sizes.bytes, chunk);
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
    struct fc_step step = {
        .run = planar_run,
        .plan = plan,
        .scratch_bytes = plan->scratch_output + output,
        .cost = (double)fc_count(&desc->y) * (double)packing->depth / 32 +
                (double)fc_count(&desc->y) + (double)fc_count(&desc->x),
        .flush_denormals = 1,
    };
    return fc_program_add_step(program, step);
}
