/* pool_separable.c: windows of any size, at a cost that grows with the logarithm of their sides.
 *
 * Some rows of a plane, or of a block of channels, are copied into a strip with neutral elements
 * around them. Element i of the flat strip then meets element i + d to make windows of two, those
 * meet to make windows of four, and so on: first along the vertical, then along the horizontal.
 * Rows follow each other without gaps, so that a pass is one long loop whatever the image's width.
 * Sums are sums of sums: no element is ever taken away again.
 */
#include <math.h>

#include "core/pool.h"
#include "core/conv.h"

#define FC_LARGEST_STRIP_BYTES ((int64_t)16 << 20)

static int64_t columns_of(const fc_pool2d_desc *d) {
    return (d->y.size[3] - 1) * d->stride[1] + (d->kernel[1] - 1) * d->dilation[1] + 1;
}

/* Strip rows under so many output rows. */
static int64_t rows_of(const fc_pool2d_desc *d, int64_t outputs) {
    return (outputs - 1) * d->stride[0] + (d->kernel[0] - 1) * d->dilation[0] + 1;
}

static void combine(const struct fc_pool_plan *plan, const char *a, const char *b, char *y,
                    int64_t count) {
    if (plan->kernels)
        plan->kernels->combine(plan->desc.kind == FC_POOL_MAX ? FC_REDUCE_MAX : FC_REDUCE_SUM, a, b,
                               y, count);
    else
        plan->table->combine_integers[plan->desc.x.dtype - FC_INT8](FC_REDUCE_MAX, a, b, y, count);
}

/* copy2d for all dtypes: elements of four and eight bytes are moved as the floats of that size. */
static void copy(const struct fc_pool_plan *plan, const struct fc_copy2d_args *c) {
    if (plan->bytes >= 4) {
        plan->table->set[plan->bytes == 8]->copy2d(c);
        return;
    }
    for (int64_t i = 0; i < c->rows; i++) {
        const char *src = (const char *)c->src + i * c->src_i * plan->bytes;
        char *dst = (char *)c->dst + i * c->dst_i * plan->bytes;
        if (c->src_j == 1 && c->dst_j == 1)
            memmove(dst, src, (size_t)(c->columns * plan->bytes));
        else if (plan->bytes == 1)
            for (int64_t j = 0; j < c->columns; j++) dst[j * c->dst_j] = src[j * c->src_j];
        else
            for (int64_t j = 0; j < c->columns; j++)
                ((int16_t *)dst)[j * c->dst_j] = ((const int16_t *)src)[j * c->src_j];
    }
}

static void fill_neutral(const struct fc_pool_plan *plan, char *row) {
    static const int64_t lowest[] = {INT8_MIN, 0, INT16_MIN, 0, INT32_MIN, 0, INT64_MIN, 0};
    int64_t integer = plan->kernels ? 0 : lowest[plan->desc.x.dtype - FC_INT8];
    double real = plan->desc.kind == FC_POOL_MAX ? -INFINITY : 0;
    for (int64_t i = 0; i < plan->pitch; i++) {
        if (plan->desc.x.dtype == FC_FLOAT32)
            ((float *)row)[i] = (float)real;
        else if (plan->desc.x.dtype == FC_FLOAT64)
            ((double *)row)[i] = real;
        else if (plan->bytes == 1)
            ((int8_t *)row)[i] = (int8_t)integer;
        else if (plan->bytes == 2)
            ((int16_t *)row)[i] = (int16_t)integer;
        else if (plan->bytes == 4)
            ((int32_t *)row)[i] = (int32_t)integer;
        else
            ((int64_t *)row)[i] = integer;
    }
}

/* Rows from image row h on, of lanes of the plane or channels at x, into the strip. */
static void gather(const struct fc_pool_plan *plan, const struct fc_run *run, const char *x,
                   int64_t h, int64_t rows, int64_t lanes) {
    const fc_pool2d_desc *d = &plan->desc;
    const char *neutral = run->scratch + plan->neutral;
    char *strip = run->scratch + plan->strip;
    int64_t columns = columns_of(d), pixel = lanes * plan->bytes, row = columns * pixel;
    int64_t left = fc_min(d->pad[1], columns), width = fc_min(d->x.size[3], columns - left);
    int64_t right = columns - left - width;
    int64_t first = fc_min(fc_max(-h, 0), rows),
            last = fc_max(first, fc_min(d->x.size[2] - h, rows));
    for (int64_t r = 0; r < rows; r++) {
        char *dst = strip + r * row;
        if (r < first || r >= last) {
            memcpy(dst, neutral, (size_t)row);
            continue;
        }
        memcpy(dst, neutral, (size_t)(left * pixel));
        memcpy(dst + row - right * pixel, neutral, (size_t)(right * pixel));
    }
    if (first == last) return;
    struct fc_copy2d_args c = {
        .src = x + fc_offset(&d->x, 0, 0, h + first, 0),
        .src_i = d->x.stride[2],
        .src_j = d->x.stride[3],
        .dst = strip + first * row + left * pixel,
        .dst_i = columns * lanes,
        .dst_j = 1,
        .rows = last - first,
        .columns = width,
    };
    if (plan->last && d->x.stride[3] == lanes) { /* pixels side by side */
        c.src_j = 1;
        c.columns *= lanes;
    } else if (plan->last) {
        c.src_i = d->x.stride[3];
        c.src_j = 1;
        c.dst_i = lanes;
        c.rows = width;
        c.columns = lanes;
        for (int64_t r = first; r < last; r++) {
            copy(plan, &c);
            c.src = (const char *)c.src + d->x.stride[2] * plan->bytes;
            c.dst = (char *)c.dst + row;
        }
        return;
    }
    copy(plan, &c);
}

/* Windows of `taps` elements, `step` apart, from each of count elements on as far as they reach: in
 * `strip`, or in `work`, the buffer that sums need beside it. Returns the one with the result. */
static char *slide(const struct fc_pool_plan *plan, char *strip, char *work, int64_t count,
                   int64_t taps, int64_t step) {
    int64_t b = plan->bytes;
    if (plan->desc.kind == FC_POOL_MAX) { /* windows of a maximum may overlap */
        int64_t now = 1;
        for (; now < taps; now += fc_min(now, taps - now)) {
            int64_t more = fc_min(now, taps - now);
            combine(plan, strip, strip + more * step * b, strip, count - (now + more - 1) * step);
        }
        return strip;
    }
    char *sums = strip; /* of the highest bits of taps */
    int64_t now = 1, bit = 1;
    while (bit <= taps / 2) bit *= 2;
    for (bit /= 2; bit > 0; bit /= 2) {
        combine(plan, sums, sums + now * step * b, work, count - (2 * now - 1) * step);
        sums = work;
        now *= 2;
        if (taps & bit) {
            combine(plan, sums, strip + now * step * b, sums, count - now * step);
            now++;
        }
    }
    return sums;
}

/* The vertical: rows of the result lie side by side, one an output row. */
static char *reduce_rows(const struct fc_pool_plan *plan, char *strip, char *work, int64_t outputs,
                         int64_t pitch) {
    const fc_pool2d_desc *d = &plan->desc;
    int64_t row = pitch * plan->bytes, stride = d->stride[0], step = d->dilation[0];
    if (d->kernel[0] <= 2 * stride) { /* each window on its own */
        for (int64_t p = 0; p < outputs; p++) {
            char *to = strip + p * row, *from = strip + p * stride * row;
            if (d->kernel[0] == 1 && from != to) memmove(to, from, (size_t)row);
            for (int64_t r = 1; r < d->kernel[0]; r++)
                combine(plan, r == 1 ? from : to, from + r * step * row, to, pitch);
        }
        return strip;
    }
    strip = slide(plan, strip, work, rows_of(d, outputs) * pitch, d->kernel[0], step * pitch);
    for (int64_t p = 1; p < outputs && stride > 1; p++)
        memmove(strip + p * row, strip + p * stride * row, (size_t)row);
    return strip;
}

/* Rows of sums into rows of means; where pixels are single elements, also what strides leave out. */
static void divide_rows(const struct fc_pool_plan *plan, const struct fc_run *run, char *strip,
                        int64_t first, int64_t outputs, int64_t lanes) {
    const fc_pool2d_desc *d = &plan->desc;
    const char *divisor = run->scratch + plan->column_divisor;
    int64_t pixel = lanes * plan->bytes, row = columns_of(d) * pixel, columns = d->y.size[3];
    for (int64_t p = 0; p < outputs; p++) {
        double factor = (double)fc_divisor_part(d, 0, first + p);
        char *at = strip + p * row;
        if (!plan->last) {
            plan->kernels->divide(at, divisor, 1, factor, columns);
            continue;
        }
        for (int64_t q = 0; q < columns; q++)
            plan->kernels->divide(at + q * d->stride[1] * pixel, divisor + q * plan->bytes, 0,
                                  factor, lanes);
    }
}

/* Output rows [first, first + outputs) of the plane or channels at y. */
static void emit(const struct fc_pool_plan *plan, const struct fc_run *run, char *strip, char *y,
                 int64_t first, int64_t outputs, int64_t lanes) {
    const fc_pool2d_desc *d = &plan->desc;
    int64_t pitch = columns_of(d) * lanes, pick = d->stride[1];
    struct fc_copy2d_args c = {
        .src = strip,
        .src_i = pitch,
        .src_j = pick,
        .dst = strip,
        .dst_i = pitch,
        .dst_j = 1,
        .rows = outputs,
        .columns = d->y.size[3],
    };
    if (d->kind == FC_POOL_AVERAGE) {
        if (!plan->last && pick > 1) {
            copy(plan, &c); /* forward, in place */
            c.src_j = 1;
        }
        divide_rows(plan, run, strip, first, outputs, lanes);
    }
    c.dst = y + fc_offset(&d->y, 0, 0, first, 0);
    c.dst_i = d->y.stride[2];
    c.dst_j = d->y.stride[3];
    if (!plan->last) {
        copy(plan, &c);
        return;
    }
    c.rows = d->y.size[3];
    c.columns = lanes;
    c.src_i = pick * lanes;
    c.src_j = 1;
    c.dst_i = d->y.stride[3];
    c.dst_j = d->y.stride[1];
    for (int64_t p = 0; p < outputs; p++) {
        copy(plan, &c);
        c.src = (const char *)c.src + pitch * plan->bytes;
        c.dst = (char *)c.dst + d->y.stride[2] * plan->bytes;
    }
}

void fc_pool_separable_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct fc_pool_plan *plan = plan_;
    const fc_pool2d_desc *d = &plan->desc;
    int64_t channels = d->y.size[1], blocks = fc_ceil_div(channels, plan->lanes), begin, end;
    char *work = run->scratch + plan->work;
    fill_neutral(plan, run->scratch + plan->neutral);
    fc_pool_divisors(plan, run);
    fc_share(d->y.size[0] * blocks * plan->parts, i, n, &begin, &end);
    for (; begin < end; begin++) {
        int64_t image = begin / plan->parts / blocks, part = begin % plan->parts;
        int64_t channel = begin / plan->parts % blocks * plan->lanes, first, last;
        int64_t lanes = fc_min(plan->lanes, channels - channel);
        fc_share(d->y.size[2], part, plan->parts, &first, &last);
        int64_t outputs = last - first, pitch = columns_of(d) * lanes;
        const char *x = fc_at(run, &d->x) + fc_offset(&d->x, image, channel, 0, 0);
        char *y = fc_at(run, &d->y) + fc_offset(&d->y, image, channel, 0, 0);
        char *strip = run->scratch + plan->strip, *other = work;
        gather(plan, run, x, first * d->stride[0] - d->pad[0], rows_of(d, outputs), lanes);
        char *rows = reduce_rows(plan, strip, work, outputs, pitch);
        if (rows == work) other = strip;
        char *sums =
            slide(plan, rows, other, outputs * pitch, d->kernel[1], d->dilation[1] * lanes);
        emit(plan, run, sums, y, first, outputs, lanes);
    }
}

int64_t fc_pool_separable_plan(struct fc_pool_plan *plan) {
    const fc_pool2d_desc *d = &plan->desc;
    int64_t channels = d->y.size[1], columns = columns_of(d), span = rows_of(d, 1);
    int64_t block = fc_l2_bytes() / 8, least;
    plan->lanes = plan->last ? channels : 1;
    while ((least = fc_product(fc_product(columns, span), plan->lanes * plan->bytes)) < 0 ||
           (least > 2 * block && plan->lanes > 64)) {
        if (plan->lanes <= 64) return 0;
        plan->lanes = fc_max(64, fc_align(plan->lanes / 2));
    }
    if (least > FC_LARGEST_STRIP_BYTES) return 0;
    plan->pitch = columns * plan->lanes;
    /* a few times the window's height, so that strips overlap little, or what fits well in L2 */
    int64_t rows = fc_max(block / (plan->pitch * plan->bytes), 4 * span);
    while (rows > span && rows * plan->pitch * plan->bytes > FC_LARGEST_STRIP_BYTES)
        rows = fc_max(span, rows / 2);
    plan->strip_rows = fc_max(1, fc_min((rows - span) / d->stride[0] + 1, d->y.size[2]));
    plan->parts = fc_ceil_div(d->y.size[2], plan->strip_rows);
    int64_t strip = fc_align(rows_of(d, plan->strip_rows) * plan->pitch * plan->bytes);
    plan->neutral = plan->scratch;
    plan->strip = plan->neutral + fc_align(plan->pitch * plan->bytes);
    plan->work = plan->strip + strip;
    return plan->work + (d->kind == FC_POOL_AVERAGE ? strip : 0);
}
