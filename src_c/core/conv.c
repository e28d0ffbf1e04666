/* conv.c: conv2d's planner: checks, choice of algorithm, steps. */
#include <unistd.h>

#include "core/conv.h"

/* Column matrices are made for so many images at a time, at most. */
#define FC_COLUMN_BYTES ((int64_t)16 << 20)
#define FC_COLUMN_ROUNDS 64

static fc_status check_weight(const fc_conv2d_desc *d) {
    const fc_tensor *w = &d->weight, *b = &d->bias;
    fc_status status = FC_OK;
    if ((status = fc_check_tensor(w)) || (fc_present(b) && (status = fc_check_tensor(b))))
        return status;
    if (w->dtype > FC_FLOAT64 || (fc_present(b) && b->dtype != w->dtype) ||
        d->algorithm < FC_ALGORITHM_AUTO ||
        (d->algorithm > FC_ALGORITHM_DEPTHWISE && d->algorithm != FC_ALGORITHM_PLANES &&
         !fc_is_winograd(d->algorithm)))
        return FC_ERROR_UNSUPPORTED;
    if (d->groups < 1) return FC_ERROR_ARGUMENT;
    const int64_t bias[4] = {w->size[0], 1, 1, 1};
    if (w->size[0] % d->groups || (fc_present(b) && memcmp(b->size, bias, sizeof bias)))
        return FC_ERROR_SHAPE;
    return FC_OK;
}

static fc_status check_shuffle(const fc_conv2d_desc *d) {
    if (d->shuffle < 0) return FC_ERROR_ARGUMENT;
    if (d->shuffle <= 1) return FC_OK;
    if (d->x.size[1] % d->shuffle) return FC_ERROR_SHAPE;
    for (int a = 0; a < 2; a++)
        if (d->weight.size[2 + a] != 1 || d->pad[a] ||
            fc_extent(d, a, d->y.size[2 + a]) > d->x.size[2 + a])
            return FC_ERROR_UNSUPPORTED;
    return FC_OK;
}

static fc_status check(const fc_conv2d_desc *d) {
    const fc_tensor *x = &d->x, *w = &d->weight, *y = &d->y;
    fc_status status = FC_OK;
    if ((status = check_weight(d)) || (status = fc_check_tensor(x)) ||
        (status = fc_check_tensor(y)))
        return status;
    if (w->dtype != x->dtype || y->dtype != x->dtype || d->activation < FC_IDENTITY ||
        d->activation > FC_MISH)
        return FC_ERROR_UNSUPPORTED;
    if (x->size[1] % d->groups || w->size[1] != x->size[1] / d->groups ||
        y->size[1] != w->size[0] || y->size[0] != x->size[0])
        return FC_ERROR_SHAPE;
    if (d->has_addend) {
        if ((status = fc_check_tensor(&d->addend))) return status;
        if (d->addend.dtype != y->dtype) return FC_ERROR_UNSUPPORTED;
        if (memcmp(d->addend.size, y->size, sizeof y->size)) return FC_ERROR_SHAPE;
    }
    if (!fc_algorithm_fits(d)) return FC_ERROR_UNSUPPORTED;
    status =
        fc_check_window(w->size + 2, d->stride, d->dilation, d->pad, x, y->size[2], y->size[3]);
    return status ? status : check_shuffle(d);
}

int64_t fc_l2_bytes(void) {
#ifdef _SC_LEVEL2_CACHE_SIZE
    long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
    if (bytes > 0) return bytes;
#endif
    return 512 << 10;
}

/* Images [first, first + count) of a tensor. */
static fc_tensor images(const fc_tensor *t, int64_t first, int64_t count) {
    fc_tensor part = *t;
    part.offset_bytes += fc_offset(t, first, 0, 0, 0);
    part.size[0] = count;
    return part;
}

/* unfold into the arena, then a 1x1 convolution over the columns, some images at a time. */
static fc_status add_im2col_steps(struct fc_program *program, const fc_conv2d_desc *d,
                                  const struct fc_packing *packing) {
    int64_t batch = d->x.size[0], p = d->y.size[2], q = d->y.size[3], pixels = p * q;
    int64_t depth = fc_product(packing->depth, d->groups);
    int64_t bytes = fc_product(fc_product(depth, pixels), fc_dtype_bytes((fc_dtype)d->x.dtype));
    if (bytes < 0) return FC_ERROR_OVERFLOW;
    int64_t round =
        fc_max(FC_COLUMN_BYTES / fc_max(bytes, 1), fc_ceil_div(batch, FC_COLUMN_ROUNDS));
    round = fc_max(1, fc_min(round, batch));
    int64_t arena = fc_program_reserve(program, fc_product(bytes, round));
    if (arena < 0) return FC_ERROR_OVERFLOW;
    for (int64_t first = 0; first < batch; first += round) {
        int64_t count = fc_min(round, batch - first);
        fc_tensor columns = {
            .slot = FC_SLOT_WORKSPACE,
            .dtype = d->x.dtype,
            .offset_bytes = arena,
            .size = {count, depth, pixels, 1},
            .stride = {depth * pixels, pixels, 1, 1},
        };
        fc_columns_desc unfold = {
            .x = images(&d->x, first, count),
            .columns = columns,
            .kernel = {d->weight.size[2], d->weight.size[3]},
            .stride = {d->stride[0], d->stride[1]},
            .pad = {d->pad[0], d->pad[1]},
            .dilation = {d->dilation[0], d->dilation[1]},
            .output = {p, q},
        };
        fc_status status = fc_program_add_unfold(program, &unfold);
        if (status) return status;
        fc_conv2d_desc product = *d;
        product.x = columns;
        product.x.size[2] = p;
        product.x.size[3] = q;
        product.x.stride[2] = q;
        product.y = images(&d->y, first, count);
        product.weight.size[1] = packing->depth;
        product.weight.size[2] = product.weight.size[3] = 1;
        for (int a = 0; a < 2; a++) {
            product.stride[a] = product.dilation[a] = 1;
            product.pad[a] = 0;
        }
        struct fc_packing flat = *packing;
        flat.channels = packing->depth;
        flat.taps = 1;
        if ((status = fc_add_direct_step(program, &product, &flat))) return status;
    }
    return FC_OK;
}

/* A strided 1x1 convolution is a dense one of every second (third ...) pixel. */
static fc_conv2d_desc without_skipped_pixels(const fc_conv2d_desc *desc) {
    fc_conv2d_desc d = *desc;
    for (int a = 0; a < 2; a++)
        if (d.weight.size[2 + a] == 1 && d.pad[a] == 0 && d.stride[a] > 1 &&
            fc_extent(desc, a, d.y.size[2 + a]) <= d.x.size[2 + a]) {
            d.x.size[2 + a] = d.y.size[2 + a];
            d.x.stride[2 + a] *= d.stride[a];
            d.stride[a] = 1;
        }
    return d;
}

/* Whether the algorithm's own step adds: its kernels write channels last. */
static int adds(const fc_conv2d_desc *d, const struct fc_packing *packing) {
    return d->y.stride[1] == 1 && d->addend.stride[1] == 1 &&
           (packing->winograd || (d->algorithm & 0xff) == FC_ALGORITHM_CHANNELS_LAST);
}

/* The convolution into the workspace, for y may be the addend, and a sum. */
static fc_status add_in_two_steps(struct fc_program *program, const fc_conv2d_desc *desc) {
    fc_conv2d_desc conv = *desc;
    fc_tensor *y = &conv.y;
    int64_t arena =
        fc_program_reserve(program, fc_product(fc_count(y), fc_dtype_bytes((fc_dtype)y->dtype)));
    if (arena < 0) return FC_ERROR_OVERFLOW;
    y->slot = FC_SLOT_WORKSPACE;
    y->offset_bytes = arena;
    int64_t pixels = y->size[2] * y->size[3], last = desc->y.stride[1] == 1;
    y->stride[0] = pixels * y->size[1];
    y->stride[1] = last ? 1 : pixels;
    y->stride[3] = last ? y->size[1] : 1;
    y->stride[2] = y->size[3] * y->stride[3];
    conv.has_addend = 0;
    conv.activation = FC_IDENTITY;
    fc_status status = fc_program_add_conv2d(program, &conv);
    if (status) return status;
    fc_binary_desc sum = {
        .a = *y,
        .b = desc->addend,
        .y = desc->y,
        .operation = FC_ADD,
        .activation = desc->activation,
        .alpha = desc->alpha,
    };
    return fc_program_add_binary(program, &sum);
}

fc_status fc_program_add_conv2d(struct fc_program *program, const fc_conv2d_desc *desc) {
    fc_status status = check(desc);
    if (status) return status;
    if (fc_count(&desc->y) == 0) return FC_OK;
    fc_conv2d_desc d = without_skipped_pixels(desc);
    const struct fc_kernel_set *kernels = program->kernels->set[d.x.dtype];
    struct fc_packing packing;
    d.algorithm = fc_choose_algorithm(&d, kernels, d.weight_is_packed ? 0 : 1);
    fc_packing_plan(&packing, &d, kernels, d.algorithm);
    if (packing.bytes < 0) return FC_ERROR_OVERFLOW;
    if (d.has_addend && !adds(&d, &packing)) return add_in_two_steps(program, &d);
    if (!d.weight_is_packed) {
        int64_t offset = fc_program_reserve(program, packing.bytes);
        if (offset < 0) return FC_ERROR_OVERFLOW;
        status = fc_add_pack_step(program, &d, d.algorithm, FC_SLOT_WORKSPACE, offset);
        if (status) return status;
        d.weight.slot = FC_SLOT_WORKSPACE;
        d.weight.offset_bytes = offset;
    }
    if (d.algorithm == FC_ALGORITHM_IM2COL) return add_im2col_steps(program, &d, &packing);
    if (packing.winograd) return fc_add_winograd_step(program, &d, &packing);
    if (d.algorithm == FC_ALGORITHM_DEPTHWISE) return fc_add_depthwise_step(program, &d, &packing);
    if (d.algorithm == FC_ALGORITHM_PLANAR || d.algorithm == FC_ALGORITHM_WINOGRAD_ROWS)
        return fc_add_planar_step(program, &d, &packing);
    return fc_add_direct_step(program, &d, &packing);
}

fc_status fc_program_add_conv2d_pack(struct fc_program *program, const fc_conv2d_desc *desc,
                                     int32_t slot, int64_t offset_bytes) {
    fc_status status = check_weight(desc);
    if (status) return status;
    if (desc->algorithm < FC_ALGORITHM_IM2COL || slot < 0 || slot >= FC_MAX_SLOTS)
        return FC_ERROR_ARGUMENT;
    const struct fc_kernel_set *kernels = program->kernels->set[desc->weight.dtype];
    if (fc_is_winograd(desc->algorithm) &&
        !fc_winograd_tile_of(kernels, desc->algorithm, &desc->weight))
        return FC_ERROR_UNSUPPORTED;
    if (desc->algorithm == FC_ALGORITHM_WINOGRAD_ROWS && desc->weight.size[2] != 3)
        return FC_ERROR_UNSUPPORTED;
    if (desc->algorithm == FC_ALGORITHM_DEPTHWISE && desc->weight.size[1] != 1)
        return FC_ERROR_UNSUPPORTED;
    return fc_add_pack_step(program, desc, desc->algorithm, slot, offset_bytes);
}

fc_status fc_conv2d_packing(const struct fc_program *program, const fc_conv2d_desc *desc,
                            int32_t *algorithm, int64_t *packed_bytes) {
    fc_status status = check(desc);
    if (status) return status;
    struct fc_packing packing;
    const struct fc_kernel_set *kernels = program->kernels->set[desc->x.dtype];
    fc_conv2d_desc d = without_skipped_pixels(desc);
    *algorithm = fc_choose_algorithm(&d, kernels, 0);
    fc_packing_plan(&packing, &d, kernels, *algorithm);
    *packed_bytes = packing.bytes;
    return packing.bytes < 0 ? FC_ERROR_OVERFLOW : FC_OK;
}
