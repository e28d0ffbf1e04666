/* conv_volume.c: convolution along three axes, and its transpose, as steps of plane convolutions.
 *
 * The taps along the depth become channels of a plane convolution: channel (g, t, c) of output depth o
 * is channel (g, c) of the input at depth o*stride + t*dilation - pad. A few images' worth of such
 * channels is gathered at a time; one depth tap without padding is read in place. So every algorithm
 * for planes serves volumes, and a line or an image is a volume of depth (and height) one.
 *
 * The transpose falls into parts (conv_parts.c), each an ordinary convolution of its own outputs.
 */
#include "core/borders.h"
#include "core/conv_parts.h"

/* So much is gathered at a time, to stay in the last-level cache; and never in more rounds than this. */
#define FC_GATHER_BYTES ((int64_t)4 << 20)
#define FC_GATHER_ROUNDS 64

/* Images [first, first + count) along one axis of volumes (0: n, 2: depth), at one place of the other. */
struct images {
    int axis;
    int64_t other, first, count;
};

static fc_tensor planes(const fc_volume *v, const struct images *images) {
    int64_t bytes = fc_dtype_bytes((fc_dtype)v->dtype), a = images->axis;
    int64_t elements = images->first * v->stride[a] + images->other * v->stride[a == 0 ? 2 : 0];
    return (fc_tensor){
        .slot = v->slot,
        .dtype = v->dtype,
        .offset_bytes = v->offset_bytes + elements * bytes,
        .size = {images->count, v->size[1], v->size[3], v->size[4]},
        .stride = {v->stride[a], v->stride[1], v->stride[3], v->stride[4]},
    };
}

/* The extent of input that all outputs of an axis see, padding included. */
static int64_t extent(const fc_conv3d_desc *c, int a) {
    return (c->y.size[2 + a] - 1) * c->stride[a] + (c->weight.size[2 + a] - 1) * c->dilation[a] + 1;
}

static int is_padded(const fc_conv3d_desc *c, int a) {
    return c->pad[a] > 0 || extent(c, a) > c->x.size[2 + a];
}

/* Padding that holds no zeros is gathered, too. */
static int reads_in_place(const fc_conv3d_desc *c) {
    if (c->pad_mode && (is_padded(c, 1) || is_padded(c, 2))) return 0;
    return c->weight.size[2] == 1 && !is_padded(c, 0);
}

/* The gathered images, in the arena at `offset`, with x's order of axes. */
static fc_tensor gathered(const fc_conv3d_desc *c, int64_t count, int64_t offset) {
    int64_t channels = c->x.size[1] * c->weight.size[2];
    int64_t h = c->pad_mode ? extent(c, 1) : c->x.size[3];
    int64_t w = c->pad_mode ? extent(c, 2) : c->x.size[4];
    fc_tensor t = {
        .slot = FC_SLOT_WORKSPACE,
        .dtype = c->x.dtype,
        .offset_bytes = offset,
        .size = {count, channels, h, w},
        .stride = {channels * h * w, h * w, w, 1},
    };
    if (c->x.stride[1] == 1) {
        t.stride[1] = 1;
        t.stride[2] = w * channels;
        t.stride[3] = channels;
    }
    return t;
}

/* The convolution of some images; `arena`: where they are gathered, if they are. */
static fc_conv2d_desc plane_conv(const fc_conv3d_desc *c, const struct images *images,
                                 int64_t arena) {
    fc_volume x = c->x;
    x.stride[2] *= c->stride[0]; /* used where depths are read in place */
    fc_conv2d_desc d = {
        .x = reads_in_place(c) ? planes(&x, images) : gathered(c, images->count, arena),
        .weight = {.slot = c->weight.slot,
                   .dtype = c->weight.dtype,
                   .offset_bytes = c->weight.offset_bytes,
                   .size = {c->weight.size[0], c->weight.size[1] * c->weight.size[2],
                            c->weight.size[3], c->weight.size[4]},
                   .stride = {c->weight.stride[0], c->weight.stride[1], c->weight.stride[3],
                              c->weight.stride[4]}},
        .bias = c->bias,
        .y = planes(&c->y, images),
        .groups = c->groups,
        .activation = c->activation,
        .algorithm = c->algorithm,
        .weight_is_packed = c->weight_is_packed,
        .alpha = c->alpha,
    };
    for (int a = 0; a < 2; a++) {
        d.stride[a] = c->stride[1 + a];
        d.pad[a] = c->pad_mode && !reads_in_place(c) ? 0 : c->pad[1 + a];
        d.dilation[a] = c->dilation[1 + a];
    }
    return d;
}

/* ---- gathering ---- */

struct gather_plan {
    const struct fc_kernel_set *kernels;
    fc_conv3d_desc conv;
    struct images images;
    fc_tensor to;
};

/* Columns [begin, end) of a row from column `from` of x on, the channels of depth tap t, all groups. */
static void gather_columns(const struct gather_plan *plan, char *to, const char *x, int64_t t,
                           int64_t begin, int64_t end, int64_t from) {
    static const double zero = 0;
    const fc_conv3d_desc *c = &plan->conv;
    int64_t channels = c->weight.size[1], bytes = fc_dtype_bytes((fc_dtype)c->x.dtype);
    for (int64_t g = 0; g < c->groups; g++) {
        int64_t channel = g * channels;
        struct fc_copy2d_args copy = {
            .src = &zero,
            .dst =
                to + fc_offset(&plan->to, 0, channel * c->weight.size[2] + t * channels, 0, begin),
            .dst_i = plan->to.stride[1],
            .dst_j = plan->to.stride[3],
            .rows = channels,
            .columns = end - begin,
        };
        if (x) {
            copy.src = x + (channel * c->x.stride[1] + from * c->x.stride[4]) * bytes;
            copy.src_i = c->x.stride[1];
            copy.src_j = c->x.stride[4];
        }
        plan->kernels->copy2d(&copy);
    }
}

/* One row of one image, the channels of depth tap t. */
static void gather_row(const struct gather_plan *plan, const struct fc_run *run, int64_t image,
                       int64_t t, int64_t h) {
    const fc_conv3d_desc *c = &plan->conv;
    int64_t place[2] = {plan->images.first + image, plan->images.other};
    int64_t n = place[plan->images.axis != 0], o = place[plan->images.axis == 0];
    int64_t depth = o * c->stride[0] + t * c->dilation[0] - c->pad[0];
    int64_t width = plan->to.size[3], pad = c->pad_mode ? c->pad[2] : 0;
    int64_t row = fc_border(c->pad_mode, c->pad_mode ? h - c->pad[1] : h, c->x.size[3]);
    char *to = fc_at(run, &plan->to) + fc_offset(&plan->to, image, 0, h, 0);
    depth = fc_border(c->pad_mode, depth, c->x.size[2]);
    if (depth < 0) {
        gather_columns(plan, to, NULL, t, 0, width, 0);
        return;
    }
    const char *x = run->slots[c->x.slot] + c->x.offset_bytes +
                    (n * c->x.stride[0] + depth * c->x.stride[2] + row * c->x.stride[3]) *
                        fc_dtype_bytes((fc_dtype)c->x.dtype);
    int64_t begin = fc_min(pad, width), end = fc_min(pad + c->x.size[4], width);
    gather_columns(plan, to, x, t, begin, end, 0);
    for (int side = 0; side < 2; side++)
        for (int64_t w = side ? end : 0; w < (side ? width : begin); w++)
            gather_columns(plan, to, x, t, w, w + 1, fc_border(c->pad_mode, w - pad, c->x.size[4]));
}

static void gather_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct gather_plan *plan = plan_;
    int64_t taps = plan->conv.weight.size[2], rows = plan->to.size[2], begin, end;
    fc_share(plan->images.count * taps * rows, i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++)
        gather_row(plan, run, item / rows / taps, item / rows % taps, item % rows);
}

static fc_status add_gather_step(struct fc_program *program, const fc_conv3d_desc *c,
                                 const struct images *images, const fc_tensor *to) {
    struct gather_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = (struct gather_plan){program->kernels->set[c->x.dtype], *c, *images, *to};
    struct fc_step step = {
        .run = gather_run,
        .plan = plan,
        .cost = (double)fc_count(to) * 0.3,
    };
    return fc_program_add_step(program, step);
}

/* ---- an ordinary convolution, weights packed ---- */

static fc_status add_ordinary(struct fc_program *program, const fc_conv3d_desc *c) {
    /* images along the longer axis: fewer steps */
    int axis = c->y.size[0] >= c->y.size[2] ? 0 : 2;
    int64_t others = c->y.size[2 - axis], total = c->y.size[axis], round = total, arena = 0;
    if (!reads_in_place(c)) {
        fc_tensor one = gathered(c, 1, 0);
        int64_t bytes = fc_product(fc_count(&one), fc_dtype_bytes((fc_dtype)c->x.dtype));
        if (bytes < 0) return FC_ERROR_OVERFLOW;
        round = fc_max(FC_GATHER_BYTES / fc_max(bytes, 1), fc_ceil_div(total, FC_GATHER_ROUNDS));
        round = fc_max(1, fc_min(round, total));
        arena = fc_program_reserve(program, fc_product(bytes, round));
        if (arena < 0) return FC_ERROR_OVERFLOW;
    }
    for (int64_t other = 0; other < others; other++)
        for (int64_t first = 0; first < total; first += round) {
            struct images images = {axis, other, first, fc_min(round, total - first)};
            fc_conv2d_desc d = plane_conv(c, &images, arena);
            fc_status status = FC_OK;
            if (!reads_in_place(c)) status = add_gather_step(program, c, &images, &d.x);
            if (status || (status = fc_program_add_conv2d(program, &d))) return status;
        }
    return FC_OK;
}

/* ---- planning ---- */

static fc_status check_volume(const fc_volume *v) {
    return fc_check_strided(v->slot, v->dtype, v->size, v->stride, 5);
}

static fc_status check_weight(const fc_conv3d_desc *d) {
    const fc_volume *w = &d->weight;
    const fc_tensor *b = &d->bias;
    fc_status status = FC_OK;
    if ((status = check_volume(w)) || (fc_present(b) && (status = fc_check_tensor(b))))
        return status;
    if (w->dtype > FC_FLOAT64 || (fc_present(b) && b->dtype != w->dtype))
        return FC_ERROR_UNSUPPORTED;
    if (d->groups < 1) return FC_ERROR_ARGUMENT;
    for (int a = 0; a < 3; a++) {
        if (w->size[2 + a] < 1 || d->stride[a] < 1 || d->dilation[a] < 1) return FC_ERROR_ARGUMENT;
        if (w->size[2 + a] > FC_MAX_EXTENT || d->stride[a] > FC_MAX_EXTENT ||
            d->dilation[a] > FC_MAX_EXTENT)
            return FC_ERROR_OVERFLOW;
    }
    const int64_t bias[4] = {d->transposed ? fc_product(w->size[1], d->groups) : w->size[0], 1, 1,
                             1};
    if (w->size[0] % d->groups || (fc_present(b) && memcmp(b->size, bias, sizeof bias)))
        return FC_ERROR_SHAPE;
    return FC_OK;
}

static fc_status check(const fc_conv3d_desc *d) {
    const fc_volume *x = &d->x, *w = &d->weight, *y = &d->y;
    fc_status status = FC_OK;
    if ((status = check_weight(d)) || (status = check_volume(x)) || (status = check_volume(y)))
        return status;
    if (w->dtype != x->dtype || y->dtype != x->dtype || d->pad_mode < FC_PAD_CONSTANT ||
        d->pad_mode > (d->transposed ? FC_PAD_CONSTANT : FC_PAD_CIRCULAR))
        return FC_ERROR_UNSUPPORTED;
    const fc_volume *deep = d->transposed ? y : x, *flat = d->transposed ? x : y;
    if (y->size[0] != x->size[0] || deep->size[1] != fc_product(w->size[1], d->groups) ||
        flat->size[1] != w->size[0])
        return FC_ERROR_SHAPE;
    for (int a = 0; a < 3; a++) {
        int64_t elements;
        if (d->pad[a] < 0) return FC_ERROR_ARGUMENT;
        if (d->pad_mode && x->size[2 + a] == 0) return FC_ERROR_SHAPE;
        if (d->pad[a] > FC_MAX_EXTENT || x->size[2 + a] > FC_MAX_EXTENT ||
            y->size[2 + a] > FC_MAX_EXTENT ||
            __builtin_mul_overflow(fc_max(d->stride[a], d->dilation[a]), deep->stride[2 + a],
                                   &elements))
            return FC_ERROR_OVERFLOW;
    }
    /* what one image of gathered channels takes */
    int64_t rows = fc_max(x->size[3], d->pad_mode ? extent(d, 1) : 0);
    int64_t columns = fc_max(x->size[4], d->pad_mode ? extent(d, 2) : 0);
    int64_t elements = fc_product(fc_product(x->size[1], w->size[2]), fc_product(rows, columns));
    return elements < 0 ? FC_ERROR_OVERFLOW : FC_OK;
}

/* What AUTO or DIRECT stands for: chosen for the part with the most taps, taken by all. */
static int32_t choose(const struct fc_program *program, const fc_conv3d_desc *d, int packed) {
    struct fc_part part = fc_part_at(d, fc_parts(d).fill);
    fc_conv3d_desc c = fc_part_conv(d, &part);
    struct images images = {.count = 1};
    fc_conv2d_desc plane = plane_conv(&c, &images, 0);
    double packings = packed ? 0 : 1 / (double)fc_max(c.y.size[2], 1);
    return fc_choose_algorithm(&plane, program->kernels->set[d->x.dtype], packings);
}

static fc_status add_packed(struct fc_program *program, const fc_conv3d_desc *d) {
    int64_t offset = d->weight.offset_bytes, parts = fc_parts(d).count;
    for (int64_t index = 0; index < parts; index++) {
        struct fc_part part = fc_part_at(d, index);
        fc_conv3d_desc c = fc_part_conv(d, &part);
        struct fc_packing packing = fc_part_packing(d, &part, program);
        c.weight.offset_bytes = offset;
        c.algorithm = fc_part_algorithm(d, &part);
        offset += fc_align(packing.bytes);
        if (part.axis[0].count == 0 || part.axis[1].count == 0 || part.axis[2].count == 0) continue;
        fc_status status = add_ordinary(program, &c);
        if (status) return status;
    }
    return FC_OK;
}

fc_status fc_program_add_conv3d(struct fc_program *program, const fc_conv3d_desc *desc) {
    fc_status status = check(desc);
    if (status) return status;
    fc_conv3d_desc d = *desc;
    for (int a = 0; a < 5; a++)
        if (d.y.size[a] == 0) return FC_OK;
    d.algorithm = choose(program, &d, d.weight_is_packed);
    int64_t bytes = fc_parts_bytes(&d, program);
    if (bytes < 0) return FC_ERROR_OVERFLOW;
    if (!d.weight_is_packed) {
        int64_t offset = fc_program_reserve(program, bytes);
        if (offset < 0) return FC_ERROR_OVERFLOW;
        if ((status = fc_add_parts_pack(program, &d, FC_SLOT_WORKSPACE, offset))) return status;
        d.weight.slot = FC_SLOT_WORKSPACE;
        d.weight.offset_bytes = offset;
        d.weight_is_packed = 1;
    }
    return add_packed(program, &d);
}

fc_status fc_program_add_conv3d_pack(struct fc_program *program, const fc_conv3d_desc *desc,
                                     int32_t slot, int64_t offset_bytes) {
    fc_status status = check_weight(desc);
    if (status) return status;
    if (desc->algorithm < FC_ALGORITHM_IM2COL || slot < 0 || slot >= FC_MAX_SLOTS)
        return FC_ERROR_ARGUMENT;
    if (fc_parts_bytes(desc, program) < 0) return FC_ERROR_OVERFLOW;
    return fc_add_parts_pack(program, desc, slot, offset_bytes);
}

fc_status fc_conv3d_packing(const struct fc_program *program, const fc_conv3d_desc *desc,
                            int32_t *algorithm, int64_t *packed_bytes) {
    fc_status status = check(desc);
    if (status) return status;
    fc_conv3d_desc d = *desc;
    *algorithm = d.algorithm = choose(program, desc, 1);
    *packed_bytes = fc_parts_bytes(&d, program);
    return *packed_bytes < 0 ? FC_ERROR_OVERFLOW : FC_OK;
}
