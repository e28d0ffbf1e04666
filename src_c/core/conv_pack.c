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

struct pack_plan {
    const struct fc_kernel_set *kernels;
    struct fc_packing packing;
    fc_tensor weight, bias, packed;
    int contiguous; /* (channel, r, s) lie side by side */
    int64_t block;  /* channels transposed at once through scratch */
};

/* Rows of a panel for tap t, channel c. */
static int64_t row_of(const struct fc_packing *p, int64_t t, int64_t c) {
    int64_t columns = p->plane_columns;
    if (columns) return (t / columns * p->channels + c) * columns + t % columns;
    return p->channel_major ? c * p->taps + t : t * p->channels + c;
}

/* Any strides: one strided copy (filters x channels) a tap. */
static void pack_strided(const struct pack_plan *plan, const char *src, char *dst, int64_t filters,
                         int64_t width) {
    const struct fc_packing *p = &plan->packing;
    int64_t bytes = fc_dtype_bytes((fc_dtype)plan->weight.dtype);
    for (int64_t r = 0; r < plan->weight.size[2]; r++)
        for (int64_t s = 0; s < plan->weight.size[3]; s++) {
            int64_t t = r * plan->weight.size[3] + s;
            struct fc_copy2d_args copy = {
                .src = src + fc_offset(&plan->weight, 0, 0, r, s),
                .src_i = plan->weight.stride[0],
                .src_j = plan->weight.stride[1],
                .dst = dst + row_of(p, t, 0) * width * bytes,
                .dst_i = 1,
                .dst_j = (row_of(p, t, 1) - row_of(p, t, 0)) * width,
                .rows = filters,
                .columns = p->channels,
            };
            plan->kernels->copy2d(&copy);
        }
}

/* Contiguous (channel, r, s), and rows in that order: one transpose. */
static void pack_transposed(const struct pack_plan *plan, const char *src, char *dst,
                            int64_t filters, int64_t width) {
    struct fc_copy2d_args copy = {
        .src = src,
        .src_i = plan->weight.stride[0],
        .src_j = 1,
        .dst = dst,
        .dst_i = 1,
        .dst_j = width,
        .rows = filters,
        .columns = plan->packing.depth,
    };
    plan->kernels->copy2d(&copy);
}

/* Contiguous (channel, r, s), rows in the order (r, s, channel): transpose a block of channels with
 * all taps at a time, each row to its place. */
static void pack_blocks(const struct pack_plan *plan, const char *src, char *dst, ptrdiff_t *at,
                        int64_t filters, int64_t width) {
    const struct fc_packing *p = &plan->packing;
    int64_t bytes = fc_dtype_bytes((fc_dtype)plan->weight.dtype);
    for (int64_t j = 0; j < plan->block * p->taps; j++)
        at[j] = row_of(p, j % p->taps, j / p->taps) * width;
    for (int64_t c = 0; c < p->channels; c += plan->block) {
        struct fc_copy2d_args block = {
            .src = src + c * p->taps * bytes,
            .src_i = plan->weight.stride[0],
            .src_j = 1,
            .dst = dst + row_of(p, 0, c) * width * bytes,
            .dst_i = 1,
            .dst_at = at,
            .rows = filters,
            .columns = fc_min(plan->block, p->channels - c) * p->taps,
        };
        plan->kernels->copy2d(&block);
    }
}

static void pack_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct pack_plan *plan = plan_;
    const struct fc_packing *p = &plan->packing;
    int64_t bytes = fc_dtype_bytes((fc_dtype)plan->weight.dtype);
    char *packed = fc_at(run, &plan->packed);
    int64_t begin, end;
    fc_share(p->groups * p->panels, i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t group = item / p->panels;
        struct fc_panel panel = fc_packing_panel(p, group, item % p->panels);
        int64_t width = panel.width;
        int64_t filter = group * p->filters + panel.first_filter;
        const char *src = fc_at(run, &plan->weight) + fc_offset(&plan->weight, filter, 0, 0, 0);
        char *dst = packed + panel.weight * bytes, *bias = packed + panel.bias * bytes;
        if (panel.filters < width) memset(dst, 0, (size_t)(width * p->depth * bytes));
        if (p->winograd)
            fc_winograd_pack(p->winograd, &plan->weight, src, dst, panel.filters, width);
        else if (p->rows)
            fc_winograd_rows_pack(&plan->weight, src, dst, panel.filters, width);
        else if (plan->contiguous && (p->channel_major || p->taps == 1))
            pack_transposed(plan, src, dst, panel.filters, width);
        else if (plan->block)
            pack_blocks(plan, src, dst, (ptrdiff_t *)run->scratch, panel.filters, width);
        else
            pack_strided(plan, src, dst, panel.filters, width);
        memset(bias, 0, (size_t)(width * bytes));
        if (fc_present(&plan->bias)) {
            struct fc_copy2d_args copy = {
                .src = fc_at(run, &plan->bias) + fc_offset(&plan->bias, filter, 0, 0, 0),
                .src_j = plan->bias.stride[0],
                .dst = bias,
                .dst_j = 1,
                .rows = 1,
                .columns = panel.filters,
            };
            plan->kernels->copy2d(&copy);
        }
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
    plan->contiguous = (w->stride[3] == 1 || w->size[3] == 1) &&
                       (w->stride[2] == w->size[3] || w->size[2] == 1) &&
                       (w->stride[1] == p->taps || w->size[1] == 1);
    if (plan->contiguous && p->taps > 1 && p->taps <= 256 && !p->channel_major && !p->winograd)
        plan->block = 16 * fc_max(1, 32 / p->taps);
    struct fc_step step = {
        .run = pack_run,
        .plan = plan,
        .scratch_bytes = p->bytes < 0 ? -1 : plan->block * p->taps * (int64_t)sizeof(ptrdiff_t),
        .cost = (double)p->bytes * 0.1,
    };
    return fc_program_add_step(program, step);
}
