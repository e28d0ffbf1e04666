/* conv_parts.c: parts of transposed convolutions, and their weights. See conv_parts.h. */
#include "core/conv_parts.h"

static int64_t gcd(int64_t a, int64_t b) {
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Taps so far apart reach the same outputs. */
static int64_t tap_step(const fc_conv3d_desc *d, int a) {
    return d->stride[a] / gcd(d->stride[a], d->dilation[a]);
}

struct fc_parts fc_parts(const fc_conv3d_desc *d) {
    struct fc_parts parts = {.count = 1, .axis = {1, 1, 1}};
    for (int a = 0; a < 3 && d->transposed; a++) {
        parts.axis[a] = fc_min(d->weight.size[2 + a], tap_step(d, a));
        parts.count *= parts.axis[a];
        parts.fill |= parts.axis[a] < d->stride[a];
    }
    parts.count += parts.fill;
    return parts;
}

static struct fc_axis_part whole_axis(const fc_conv3d_desc *d, int a) {
    return (struct fc_axis_part){
        .taps = d->weight.size[2 + a],
        .tap_step = 1,
        .stride = d->stride[a],
        .dilation = d->dilation[a],
        .pad = d->pad[a],
        .step = 1,
        .count = d->y.size[2 + a],
    };
}

static struct fc_axis_part fill_axis(const fc_conv3d_desc *d, int a) {
    return (struct fc_axis_part){
        .taps = 1, .tap_step = 1, .stride = 1, .dilation = 1, .step = 1, .count = d->y.size[2 + a]};
}

/* Output m*stride + phase - pad takes tap first + j*step from input m - base - j*dilation. */
static struct fc_axis_part phase_axis(const fc_conv3d_desc *d, int a, int64_t first) {
    int64_t step = tap_step(d, a), stride = d->stride[a], pad = d->pad[a];
    int64_t taps = fc_ceil_div(d->weight.size[2 + a] - first, step);
    int64_t phase = first * d->dilation[a] % stride, base = first * d->dilation[a] / stride;
    int64_t m = pad > phase ? fc_ceil_div(pad - phase, stride) : 0;
    int64_t output = m * stride + phase - pad, outputs = d->y.size[2 + a];
    struct fc_axis_part part = {
        .taps = taps,
        .first_tap = first + (taps - 1) * step, /* backwards */
        .tap_step = -step,
        .stride = 1,
        .dilation = d->dilation[a] / gcd(stride, d->dilation[a]),
        .first = output,
        .step = stride,
        .count = output < outputs ? (outputs - 1 - output) / stride + 1 : 0,
    };
    part.pad = base + (taps - 1) * part.dilation - m;
    if (part.pad < 0) {
        part.crop = fc_min(-part.pad, d->x.size[2 + a]);
        part.pad = 0;
    }
    return part;
}

struct fc_part fc_part_at(const fc_conv3d_desc *d, int64_t index) {
    struct fc_parts parts = fc_parts(d);
    struct fc_part part = {.fill = parts.fill && index == 0};
    index -= parts.fill;
    for (int a = 2; a >= 0; a--) {
        if (part.fill)
            part.axis[a] = fill_axis(d, a);
        else if (d->transposed)
            part.axis[a] = phase_axis(d, a, index % parts.axis[a]);
        else
            part.axis[a] = whole_axis(d, a);
        index /= parts.axis[a];
    }
    return part;
}

fc_conv3d_desc fc_part_conv(const fc_conv3d_desc *d, const struct fc_part *part) {
    fc_conv3d_desc c = *d;
    int64_t bytes = fc_dtype_bytes((fc_dtype)d->weight.dtype);
    c.transposed = 0;
    if (d->transposed) {
        c.weight.size[0] = d->weight.size[1] * d->groups;
        c.weight.size[1] = d->weight.size[0] / d->groups;
    }
    if (part->fill) c.weight.size[1] = c.x.size[1] = 0;
    for (int a = 2; a >= 0; a--) {
        const struct fc_axis_part *axis = &part->axis[a];
        c.weight.size[2 + a] = axis->taps;
        c.stride[a] = axis->stride;
        c.dilation[a] = axis->dilation;
        c.pad[a] = axis->pad;
        c.x.offset_bytes += axis->crop * d->x.stride[2 + a] * bytes;
        c.x.size[2 + a] = part->fill ? axis->count : d->x.size[2 + a] - axis->crop;
        c.y.offset_bytes += axis->first * d->y.stride[2 + a] * bytes;
        c.y.size[2 + a] = axis->count;
        c.y.stride[2 + a] = axis->step * d->y.stride[2 + a];
    }
    int64_t step = 1; /* [k][t][c][r][s] */
    for (int i = 4; i >= 0; i--) {
        static const int order[] = {0, 2, 1, 3, 4};
        c.weight.stride[order[i]] = step;
        step *= c.weight.size[order[i]];
    }
    return c;
}

/* The part's weights as those of a plane convolution: channels (t, c). */
static fc_conv2d_desc plane_weight(const fc_conv3d_desc *d, const struct fc_part *part) {
    fc_conv3d_desc c = fc_part_conv(d, part);
    const int64_t *size = c.weight.size, *stride = c.weight.stride;
    return (fc_conv2d_desc){
        .weight = {.slot = FC_SLOT_WORKSPACE,
                   .dtype = c.weight.dtype,
                   .size = {size[0], size[1] * size[2], size[3], size[4]},
                   .stride = {stride[0], stride[1], stride[3], stride[4]}},
        .bias = d->bias,
        .stride = {c.stride[1], c.stride[2]},
        .dilation = {c.dilation[1], c.dilation[2]},
        .groups = d->groups,
        .algorithm = d->algorithm,
    };
}

int32_t fc_part_algorithm(const fc_conv3d_desc *d, const struct fc_part *part) {
    fc_conv2d_desc plane = plane_weight(d, part);
    if (part->fill) return FC_ALGORITHM_CHANNELS_LAST;
    if (fc_is_winograd(d->algorithm)) {
        int own = fc_winograd_largest(d->algorithm, &plane);
        if (!own) own = fc_winograd_largest(FC_ALGORITHM_WINOGRAD, &plane);
        return own ? own : FC_ALGORITHM_CHANNELS_LAST;
    }
    return fc_algorithm_fits(&plane) ? d->algorithm : FC_ALGORITHM_PLANAR;
}

struct fc_packing fc_part_packing(const fc_conv3d_desc *d, const struct fc_part *part,
                                  const struct fc_program *program) {
    fc_conv2d_desc plane = plane_weight(d, part);
    struct fc_packing packing;
    fc_packing_plan(&packing, &plane, program->kernels->set[d->weight.dtype],
                    fc_part_algorithm(d, part));
    return packing;
}

int64_t fc_parts_bytes(const fc_conv3d_desc *d, const struct fc_program *program) {
    int64_t bytes = 0, parts = fc_parts(d).count;
    for (int64_t index = 0; index < parts; index++) {
        struct fc_part part = fc_part_at(d, index);
        int64_t more = fc_part_packing(d, &part, program).bytes;
        if (more < 0 || more > FC_MAX_BYTES - bytes) return -1;
        bytes += fc_align(more);
    }
    return bytes;
}

/* ---- weights in order ---- */

#define FC_ORDER_FILTERS 8

struct order_plan {
    fc_conv3d_desc desc;
    int64_t offset; /* of the ordered weights of all parts, in the workspace */
};

/* Elements of the part's weights, in the memory that its strides name. */
static int64_t part_elements(const fc_conv3d_desc *c) {
    return c->weight.size[0] * c->weight.stride[0];
}

/* One filter and channel: its taps from the weight as given. */
static void order_taps(const struct fc_part *part, const fc_volume *from, const fc_volume *to,
                       const char *src, char *dst) {
    const struct fc_axis_part *t = &part->axis[0], *r = &part->axis[1], *s = &part->axis[2];
    int single = from->dtype == FC_FLOAT32;
    for (int64_t i = 0; i < t->taps; i++)
        for (int64_t j = 0; j < r->taps; j++) {
            int64_t at = (t->first_tap + i * t->tap_step) * from->stride[2] +
                         (r->first_tap + j * r->tap_step) * from->stride[3] +
                         s->first_tap * from->stride[4];
            int64_t step = s->tap_step * from->stride[4];
            int64_t place = i * to->stride[2] + j * to->stride[3];
            for (int64_t l = 0; l < s->taps; l++) {
                if (single)
                    ((float *)dst)[place + l] = ((const float *)src)[at + l * step];
                else
                    ((double *)dst)[place + l] = ((const double *)src)[at + l * step];
            }
        }
}

/* Filters [begin, end) of one part; blocks of them, since neighbours share lines of memory. */
static void order_part(const fc_conv3d_desc *d, const struct fc_part *part, const fc_volume *to,
                       const char *src, char *dst, int64_t begin, int64_t end) {
    const fc_volume *w = &d->weight;
    int64_t bytes = fc_dtype_bytes((fc_dtype)w->dtype), channels = to->size[1];
    for (int64_t first = begin; first < end; first += FC_ORDER_FILTERS)
        for (int64_t channel = 0; channel < channels; channel++)
            for (int64_t k = first; k < fc_min(first + FC_ORDER_FILTERS, end); k++) {
                int64_t at[2] = {k, channel};
                if (d->transposed) {
                    at[0] = k / w->size[1] * channels + channel;
                    at[1] = k % w->size[1];
                }
                order_taps(part, w, to, src + (at[0] * w->stride[0] + at[1] * w->stride[1]) * bytes,
                           dst + (k * to->stride[0] + channel * to->stride[1]) * bytes);
            }
}

static void order_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct order_plan *plan = plan_;
    const fc_conv3d_desc *d = &plan->desc;
    const char *src = run->slots[d->weight.slot] + d->weight.offset_bytes;
    char *dst = run->slots[FC_SLOT_WORKSPACE] + plan->offset;
    int64_t parts = fc_parts(d).count, begin, end;
    for (int64_t index = fc_parts(d).fill; index < parts; index++) {
        struct fc_part part = fc_part_at(d, index);
        fc_conv3d_desc c = fc_part_conv(d, &part);
        fc_share(c.weight.size[0], i, n, &begin, &end);
        order_part(d, &part, &c.weight, src, dst, begin, end);
        dst += part_elements(&c) * fc_dtype_bytes((fc_dtype)d->weight.dtype);
    }
}

/* Puts the weights of all parts into the arena -> their offset. */
static fc_status add_order_step(struct fc_program *program, const fc_conv3d_desc *d,
                                int64_t *offset) {
    const int64_t *size = d->weight.size;
    int64_t elements =
        fc_product(fc_product(size[0], size[1]), fc_product(size[2], fc_product(size[3], size[4])));
    *offset = fc_program_reserve(program,
                                 fc_product(elements, fc_dtype_bytes((fc_dtype)d->weight.dtype)));
    if (*offset < 0) return FC_ERROR_OVERFLOW;
    struct order_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = (struct order_plan){.desc = *d, .offset = *offset};
    struct fc_step step = {.run = order_run, .plan = plan, .cost = (double)elements};
    return fc_program_add_step(program, step);
}

fc_status fc_add_parts_pack(struct fc_program *program, const fc_conv3d_desc *d, int32_t slot,
                            int64_t offset_bytes) {
    int64_t bytes = fc_dtype_bytes((fc_dtype)d->weight.dtype), ordered = 0;
    int64_t parts = fc_parts(d).count;
    const fc_volume *w = &d->weight;
    int as_given = !d->transposed && w->size[2] == 1;
    fc_status status = FC_OK;
    if (!as_given && (status = add_order_step(program, d, &ordered))) return status;
    for (int64_t index = 0; index < parts; index++) {
        struct fc_part part = fc_part_at(d, index);
        fc_conv2d_desc plane = plane_weight(d, &part);
        plane.weight.offset_bytes = ordered;
        if (as_given) {
            const int64_t stride[4] = {w->stride[0], w->stride[1], w->stride[3], w->stride[4]};
            memcpy(plane.weight.stride, stride, sizeof stride);
            plane.weight.slot = w->slot;
            plane.weight.offset_bytes = w->offset_bytes;
        }
        plane.algorithm = fc_part_algorithm(d, &part);
        status = fc_program_add_conv2d_pack(program, &plane, slot, offset_bytes);
        if (status) return status;
        fc_conv3d_desc c = fc_part_conv(d, &part);
        ordered += part_elements(&c) * bytes;
        offset_bytes += fc_align(fc_part_packing(d, &part, program).bytes);
    }
    return FC_OK;
}
