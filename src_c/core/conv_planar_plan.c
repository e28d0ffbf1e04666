/* conv_planar_plan.c: phases, blocks and tables of a convolution with vectors along the pixels. */
#include "core/conv_planar.h"

/* Most of the smallest L1 around: transformed rows stay there while all filters pass over them. */
#define FC_PLANAR_L1_BYTES 24576

/* What a vector of results costs that waits in scratch and is copied to its row. */
#define FC_PLANAR_WRITE_CYCLES 8

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

int fc_planar_by_rows(const fc_conv2d_desc *d, const struct fc_kernel_set *kernels, int64_t tile,
                      int64_t rows, int64_t pitch) {
    if (d->y.stride[3] != 1 || d->activation > FC_RELU6) return 0;
    int64_t q = d->y.size[3], lanes = kernels->lanes, vectors = rows * fc_ceil_div(q, lanes);
    int64_t run = fc_ceil_div((rows - 1) * pitch + q, lanes);
    double products = (double)d->weight.size[1] * (double)d->weight.size[3] *
                      (double)(tile > 1 ? FC_PATCH : d->weight.size[2]);
    double written = pitch == q ? 0 : (double)(vectors * tile) * FC_PLANAR_WRITE_CYCLES;
    return (double)vectors * products <= (double)run * products + written;
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
    plan->pitch = plan->in_place ? d->x.stride[2] : plan->strip[1];
    plan->chunk_rows = fc_max(1, fc_min(largest[0], FC_PLANAR_CHUNK / plan->tile / plan->pitch));
    plan->by_rows = plan->blocks.count[1] == 1 &&
                    fc_planar_by_rows(d, plan->kernels, plan->tile, plan->chunk_rows, plan->pitch);
    plan->straight =
        plan->by_rows ||
        (plan->pitch == d->y.size[3] && d->y.stride[2] == plan->pitch && d->y.stride[3] == 1 &&
         d->activation <= FC_RELU6 && plan->tile == 1 && plan->blocks.count[1] == 1);
    plan->blocks.whole_rows = plan->straight;
    plan->blocks.pass = 2 * lanes / plan->tile; /* half a tile of the kernel's is lost */
    if (plan->by_rows && !plan->in_place) {     /* keep aligned what taps do not shift */
        plan->pitch = fc_ceil_div(plan->pitch, lanes) * lanes;
        plan->margin = (lanes - d->pad[1] % lanes) % lanes;
    }
    /* what does not wait in scratch may be more: fewer vectors are cut short */
    int64_t straight = fc_min(FC_PLANAR_STRAIGHT, budget / fc_max(1, planes));
    if (plan->straight && plan->tile == 1)
        plan->chunk_rows = fc_max(1, fc_min(largest[0], straight / plan->pitch));
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

/* Where vectors keep to rows, the partial ones of all rows come last. */
static void plan_vectors(struct planar_plan *plan, int64_t vectors) {
    const fc_conv2d_desc *d = &plan->desc;
    int64_t lanes = plan->kernels->lanes, full = d->y.size[3] / lanes;
    for (int64_t v = 0; v < vectors; v++) {
        plan->x_at[v] = plan->y_at[v] = v * lanes;
        if (!plan->by_rows) continue;
        int64_t tail = v - plan->chunk_rows * full;
        int64_t row = tail < 0 ? v / full : tail, column = tail < 0 ? v % full : full;
        plan->x_at[v] = row * plan->pitch + column * lanes;
        plan->y_at[v] = row * plan->tile * d->y.stride[2] + column * lanes;
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
        .lo = fc_lower_bound(desc->activation),
        .hi = fc_upper_bound(desc->activation),
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
    if (sizes.by_rows)
        vectors = sizes.chunk_rows * fc_ceil_div(desc->y.size[3], sizes.kernels->lanes);
    int64_t table = fc_product(values + packing->depth + 2 * vectors, sizeof(int64_t));
    int64_t planes = packing->channels * sizes.phases[0].count * sizes.phases[1].count;
    int64_t strip = fc_product(fc_product(planes, sizes.plane), sizes.bytes);
    if (sizes.in_place) strip = 0;
    if (strip > 0) strip += sizes.margin * sizes.bytes;
    int64_t output =
        sizes.straight ? 0 : fc_product(packing->widest * sizes.tile * sizes.bytes, chunk);
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
    double products = (double)fc_count(&desc->y) * (double)packing->depth / (double)plan->tile;
    struct fc_step step = {
        .run = fc_planar_run,
        .plan = plan,
        .scratch_bytes = plan->scratch_patch + patch,
        .cost = fc_conv_nanoseconds(desc, products),
        .flush_denormals = 1,
    };
    return fc_program_add_step(program, step);
}
