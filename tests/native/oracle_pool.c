/* oracle_pool.c: pooling, as the comment of fc_pool2d_desc defines it. */
#include <math.h>

#include "harness.h"

static real lowest(int32_t dtype) {
    switch (dtype) {
    case FC_INT8: return INT8_MIN;
    case FC_INT16: return INT16_MIN;
    case FC_INT32: return INT32_MIN;
    case FC_INT64: return (real)INT64_MIN;
    case FC_FLOAT32:
    case FC_FLOAT64: return -INFINITY;
    default: return 0;
    }
}

/* NaN wins, and the last of several; else the first of equals. */
static struct expected maximum(const struct scene *scene, const fc_pool2d_desc *d,
                               const int64_t at[4], int64_t *index) {
    real best = 0;
    int found = 0;
    for (int64_t r = 0; r < d->kernel[0]; r++)
        for (int64_t s = 0; s < d->kernel[1]; s++) {
            int64_t h = at[2] * d->stride[0] + r * d->dilation[0] - d->pad[0];
            int64_t w = at[3] * d->stride[1] + s * d->dilation[1] - d->pad[1];
            if (h < 0 || h >= d->x.size[2] || w < 0 || w >= d->x.size[3]) continue;
            real value = tensor_get(scene, &d->x, at[0], at[1], h, w);
            if (found && !(value > best) && !isnan(value)) continue;
            best = value;
            *index = h * d->x.size[3] + w;
            found = 1;
        }
    return (struct expected){found ? best : lowest(d->x.dtype), 0};
}

static struct expected average(const struct scene *scene, const fc_pool2d_desc *d,
                               const int64_t at[4]) {
    real sum = 0, magnitude = 0;
    int64_t padded = 0, within = 0;
    for (int64_t r = 0; r < d->kernel[0]; r++)
        for (int64_t s = 0; s < d->kernel[1]; s++) {
            int64_t h = at[2] * d->stride[0] + r * d->dilation[0] - d->pad[0];
            int64_t w = at[3] * d->stride[1] + s * d->dilation[1] - d->pad[1];
            padded += h < d->x.size[2] + d->pad[2] && w < d->x.size[3] + d->pad[3];
            if (h < 0 || h >= d->x.size[2] || w < 0 || w >= d->x.size[3]) continue;
            real value = tensor_get(scene, &d->x, at[0], at[1], h, w);
            sum += value;
            magnitude += fabsl(value);
            within++;
        }
    real divisor = (real)(d->divisor_override    ? d->divisor_override
                          : d->count_include_pad ? padded
                                                 : within);
    return (struct expected){sum / divisor,
                             sum_bound(d->x.dtype, within, magnitude) / fabsl(divisor) +
                                 smallest_normal(d->x.dtype)};
}

struct expected oracle_pool2d(const struct scene *scene, const void *desc, const int64_t at[4]) {
    const fc_pool2d_desc *d = desc;
    int64_t index;
    if (d->kind == FC_POOL_AVERAGE) return average(scene, d, at);
    return maximum(scene, d, at, &index);
}

struct expected oracle_pool2d_index(const struct scene *scene, const void *desc,
                                    const int64_t at[4]) {
    int64_t index = 0;
    maximum(scene, desc, at, &index);
    return (struct expected){(real)index, 0};
}
