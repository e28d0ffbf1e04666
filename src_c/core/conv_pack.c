/* conv_pack.c: weights into the order in which the microkernel reads them. */
#include "core/conv.h"

void fc_packing_plan(struct fc_packing *packing, const fc_conv2d_desc *desc,
                     const struct fc_kernel_set *kernels, int algorithm) {
    const fc_tensor *w = &desc->weight;
    const struct fc_winograd_tile *winograd = fc_winograd_tile_of(kernels, algorithm, w);
    int rows = algorithm == FC_ALGORITHM_WINOGRAD_ROWS;
    int planar = algorithm == FC_ALGORITHM_PLANAR || rows;
    int64_t groups = desc->groups, widest = kernels->tile_vectors;
    if (planar) widest = rows ? kernels->rows_filters : FC_PLANAR_FILTERS;
    if (algorithm == FC_ALGORITHM_DEPTHWISE) groups = widest = 1;
    *packing = (struct fc_packing){
        .groups = groups,
        .filters = w->size[0] / groups,
        .channels = w->size[1],
        .taps = w->size[2] * w->size[3],
        .lanes = planar ? 1 : kernels->lanes,
        .widest = widest,
        .channel_major = algorithm == FC_ALGORITHM_IM2COL || planar,
        .plane_columns = algorithm == FC_ALGORITHM_PLANES ? w->size[3] : 0,
        .winograd = winograd,
        .rows = rows,
    };
    if (winograd) packing->taps = fc_winograd_taps(winograd);
    if (rows) packing->taps = fc_product(w->size[3], FC_PATCH);
    packing->unit = packing->lanes;
    if (!planar && !winograd && algorithm != FC_ALGORITHM_DEPTHWISE)
        packing->unit = kernels->narrow;
    packing->width = fc_product(fc_ceil_div(packing->filters, packing->unit), packing->unit);
    packing->depth = fc_product(packing->channels, packing->taps);
    packing->vectors = fc_ceil_div(packing->filters, packing->lanes);
    packing->panels = fc_ceil_div(packing->vectors, packing->widest);
    int64_t padded = fc_product(packing->groups, packing->width);
    packing->weight_elements = fc_product(padded, packing->depth);
    int64_t elements = packing->weight_elements < 0 ? -1 : packing->weight_elements + padded;
    packing->bytes = fc_product(elements, fc_dtype_bytes((fc_dtype)w->dtype));
}

struct fc_panel fc_packing_panel(const struct fc_packing *packing, int64_t group, int64_t panel) {
    int64_t begin, end;
    fc_share(packing->vectors, panel, packing->panels, &begin, &end);
    int64_t filter = begin * packing->lanes, at = group * packing->width + filter;
    return (struct fc_panel){
        .vectors = end - begin,
        .width = fc_min(packing->width, end * packing->lanes) - filter,
        .first_filter = filter,
        .filters = fc_min(packing->filters, end * packing->lanes) - filter,
        .weight = at * packing->depth,
        .bias = packing->weight_elements + at,
    };
}

/* A share of the work is so many channels, or more where there are few taps. */
#define FC_CHANNELS 16
#define FC_TAPS 32

struct pack_plan {
    const struct fc_kernel_set *kernels;
    struct fc_packing packing;
    fc_tensor weight, bias, packed;
    int contiguous; /* (channel, r, s) lie side by side */
    int64_t part;   /* channels at a time */
    int64_t
        table; /* bytes of scratch for places of columns; filters to be transformed come after */
};

/* Some channels of a panel: src is the first one's first weight, dst its first row. */
struct part {
    const char *src;
    char *dst;
    int64_t channels, filters, width;
};

/* Rows of a panel for tap t, channel c. */
static int64_t row_of(const struct fc_packing *p, int64_t t, int64_t c) {
    int64_t columns = p->plane_columns;
    if (columns) return (t / columns * p->channels + c) * columns + t % columns;
    return p->channel_major ? c * p->taps + t : t * p->channels + c;
}

/* Any strides: one strided copy (filters x channels) a tap. */
static void pack_strided(const struct pack_plan *plan, const struct fc_packing *p,
                         const struct part *part) {
    int64_t bytes = fc_dtype_bytes((fc_dtype)plan->weight.dtype);
    for (int64_t r = 0; r < plan->weight.size[2]; r++)
        for (int64_t s = 0; s < plan->weight.size[3]; s++) {
            int64_t t = r * plan->weight.size[3] + s;
            struct fc_copy2d_args copy = {
                .src = part->src + fc_offset(&plan->weight, 0, 0, r, s),
                .src_i = plan->weight.stride[0],
                .src_j = plan->weight.stride[1],
                .dst = part->dst + row_of(p, t, 0) * part->width * bytes,
                .dst_i = 1,
                .dst_j = (row_of(p, t, 1) - row_of(p, t, 0)) * part->width,
                .rows = part->filters,
                .columns = part->channels,
            };
            plan->kernels->copy2d(&copy);
        }
}

/* Contiguous (channel, r, s): one transpose, each row to its place. */
static void pack_transposed(const struct pack_plan *plan, const struct fc_packing *p,
                            const struct part *part, ptrdiff_t *at) {
    struct fc_copy2d_args copy = {
        .src = part->src,
        .src_i = plan->weight.stride[0],
        .src_j = 1,
        .dst = part->dst,
        .dst_i = 1,
        .dst_j = part->width,
        .rows = part->filters,
        .columns = part->channels * p->taps,
    };
    if (plan->table) {
        for (int64_t t = 0; t < p->taps; t++) {
            int64_t first = row_of(p, t, 0), step = row_of(p, t, 1) - first;
            for (int64_t c = 0; c < part->channels; c++)
                at[c * p->taps + t] = (first + c * step) * part->width;
        }
        copy.dst_at = at;
    }
    plan->kernels->copy2d(&copy);
}

/* Taps of a channel that lie side by side. */
static int64_t together(const struct fc_packing *p) {
    return p->channel_major ? p->taps : fc_max(p->plane_columns, 1);
}

static void pack_plain(const struct pack_plan *plan, const struct fc_run *run,
                       const struct fc_packing *p, const struct part *part) {
    int64_t row = part->width * fc_dtype_bytes((fc_dtype)plan->weight.dtype), step = together(p);
    for (int64_t t = 0; part->filters < part->width && t < p->taps; t += step)
        memset(part->dst + row_of(p, t, 0) * row, 0, (size_t)(part->channels * step * row));
    if (plan->contiguous)
        pack_transposed(plan, p, part, (ptrdiff_t *)run->scratch);
    else
        pack_strided(plan, p, part);
}

/* As taps into scratch, and from there transformed. */
static void pack_winograd(const struct pack_plan *plan, const struct fc_run *run,
                          const struct part *part) {
    struct fc_packing taps = plan->packing;
    taps.channels = part->channels;
    taps.taps = plan->weight.size[2] * plan->weight.size[3];
    struct part plain = *part;
    plain.dst = run->scratch + plan->table;
    int64_t rows = part->channels * part->width;
    pack_plain(plan, run, &taps, &plain);
    fc_winograd_pack(plan->packing.winograd, plain.dst, rows, part->dst,
                     plan->packing.channels * part->width, rows);
}

static void pack_bias(const struct pack_plan *plan, const struct fc_run *run,
                      const struct fc_panel *panel, int64_t filter) {
    int64_t bytes = fc_dtype_bytes((fc_dtype)plan->weight.dtype);
    char *bias = fc_at(run, &plan->packed) + panel->bias * bytes;
    memset(bias, 0, (size_t)(panel->width * bytes));
    if (!fc_present(&plan->bias)) return;
    struct fc_copy2d_args copy = {
        .src = fc_at(run, &plan->bias) + fc_offset(&plan->bias, filter, 0, 0, 0),
        .src_j = plan->bias.stride[0],
        .dst = bias,
        .dst_j = 1,
        .rows = 1,
        .columns = panel->filters,
    };
    plan->kernels->copy2d(&copy);
}

static void pack_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct pack_plan *plan = plan_;
    const struct fc_packing *p = &plan->packing;
    int64_t bytes = fc_dtype_bytes((fc_dtype)plan->weight.dtype);
    int64_t parts = fc_max(1, fc_ceil_div(p->channels, plan->part)), begin, end;
    fc_share(p->groups * p->panels * parts, i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t group = item / parts / p->panels, channel = item % parts * plan->part;
        struct fc_panel panel = fc_packing_panel(p, group, item / parts % p->panels);
        int64_t filter = group * p->filters + panel.first_filter;
        struct part part = {
            .src = fc_at(run, &plan->weight) + fc_offset(&plan->weight, filter, channel, 0, 0),
            .dst = fc_at(run, &plan->packed) +
                   (panel.weight + row_of(p, 0, channel) * panel.width) * bytes,
            .channels = fc_min(plan->part, p->channels - channel),
            .filters = panel.filters,
            .width = panel.width,
        };
        if (channel == 0) pack_bias(plan, run, &panel, filter);
        if (p->winograd)
            pack_winograd(plan, run, &part);
        else if (p->rows)
            fc_winograd_rows_pack(&plan->weight, part.src, part.dst, part.channels, panel.filters);
        else
            pack_plain(plan, run, p, &part);
    }
}

fc_status fc_add_pack_step(struct fc_program *program, const fc_conv2d_desc *desc, int algorithm,
                           int32_t slot, int64_t offset_bytes) {
    const fc_tensor *w = &desc->weight;
    struct pack_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = (struct pack_plan){
        .kernels = program->kernels->set[w->dtype],
        .weight = *w,
        .bias = desc->bias,
        .packed = {.slot = slot, .offset_bytes = offset_bytes},
    };
    struct fc_packing *p = &plan->packing;
    fc_packing_plan(p, desc, plan->kernels, algorithm);
    int64_t taps = w->size[2] * w->size[3], scratch = 0;
    int in_order = p->channel_major || taps == 1;
    plan->contiguous = (w->stride[3] == 1 || w->size[3] == 1) &&
                       (w->stride[2] == w->size[3] || w->size[2] == 1) &&
                       (w->stride[1] == taps || w->size[1] == 1) && (in_order || taps <= 256);
    plan->part = FC_CHANNELS * fc_max(1, FC_TAPS / fc_max(taps, 1));
    if (plan->contiguous && !in_order)
        plan->table = fc_align(plan->part * taps * (int64_t)sizeof(ptrdiff_t));
    if (p->winograd)
        scratch = plan->part * taps * p->widest * p->lanes * fc_dtype_bytes((fc_dtype)w->dtype);
    struct fc_step step = {
        .run = pack_run,
        .plan = plan,
        .scratch_bytes = p->bytes < 0 ? -1 : plan->table + scratch,
        .cost = (double)p->bytes * 0.1,
    };
    return fc_program_add_step(program, step);
}
