/* oracle_simple.c: unfold, fold, element-wise functions and softmax. */
#include <math.h>

#include "harness.h"

struct expected oracle_unfold(const struct scene *scene, const void *desc, const int64_t at[4]) {
    const fc_columns_desc *d = desc;
    int64_t s = at[1] % d->kernel[1], r = at[1] / d->kernel[1] % d->kernel[0];
    int64_t c = at[1] / d->kernel[1] / d->kernel[0];
    int64_t p = at[2] / d->output[1], q = at[2] % d->output[1];
    int64_t h = p * d->stride[0] + r * d->dilation[0] - d->pad[0];
    int64_t w = q * d->stride[1] + s * d->dilation[1] - d->pad[1];
    if (h < 0 || h >= d->x.size[2] || w < 0 || w >= d->x.size[3]) return (struct expected){0, 0};
    return (struct expected){tensor_get(scene, &d->x, at[0], c, h, w), 0};
}

/* The window of outputs `at` that puts its tap on a place -> 1 if there is one. */
static int window_at(int64_t place, int64_t pad, int64_t shift, int64_t stride, int64_t outputs,
                     int64_t *at) {
    int64_t distance = place + pad - shift;
    *at = distance / stride;
    return distance >= 0 && distance % stride == 0 && *at < outputs;
}

struct expected oracle_fold(const struct scene *scene, const void *desc, const int64_t at[4]) {
    const fc_columns_desc *d = desc;
    real sum = 0, magnitude = 0;
    for (int64_t r = 0; r < d->kernel[0]; r++)
        for (int64_t s = 0; s < d->kernel[1]; s++) {
            int64_t p, q, row = (at[1] * d->kernel[0] + r) * d->kernel[1] + s;
            if (!window_at(at[2], d->pad[0], r * d->dilation[0], d->stride[0], d->output[0], &p) ||
                !window_at(at[3], d->pad[1], s * d->dilation[1], d->stride[1], d->output[1], &q))
                continue;
            real value = tensor_get(scene, &d->columns, at[0], row, p * d->output[1] + q, 0);
            sum += value;
            magnitude += fabsl(value);
        }
    return (struct expected){sum, sum_bound(d->x.dtype, d->kernel[0] * d->kernel[1], magnitude)};
}

struct expected oracle_elementwise(const struct scene *scene, const void *desc,
                                   const int64_t at[4]) {
    const fc_elementwise_desc *d = desc;
    struct expected x = {tensor_get(scene, &d->x, at[0], at[1], at[2], at[3]), 0};
    return activated(d->x.dtype, d->activation, d->alpha, x);
}

/* exp(x - max) is off by what rounding x - max does to the exponent, |x - max| u, and by exp's own
 * 6 u; the sum of all inherits the weighted mean of these and adds an error for every term. */
struct expected oracle_softmax(const struct scene *scene, const void *desc, const int64_t at[4]) {
    const fc_softmax_desc *d = desc;
    int64_t count = d->x.size[1];
    real largest = -INFINITY, sum = 0, spread = 0;
    for (int64_t i = 0; i < count; i++) {
        real value = tensor_get(scene, &d->x, at[0], i, at[2], at[3]);
        if (!(value <= largest)) largest = value;
        if (isnan(largest)) return (struct expected){NAN, 0};
    }
    for (int64_t i = 0; i < count; i++) {
        real distance = largest - tensor_get(scene, &d->x, at[0], i, at[2], at[3]);
        sum += expl(-distance);
        if (expl(-distance) > 0) spread += distance * expl(-distance);
    }
    real distance = largest - tensor_get(scene, &d->x, at[0], at[1], at[2], at[3]);
    real value = expl(-distance) / sum;
    if (d->logarithm) {
        real y = -distance - logl(sum), u = unit_roundoff(d->x.dtype);
        return (struct expected){
            y, u * (4 * fabsl(distance) + 4 * fabsl(logl(sum)) + 16 + spread / sum + (real)count)};
    }
    real relative = 16 + (value > 0 ? distance : 0) + spread / sum + (real)count;
    return (struct expected){value, relative * unit_roundoff(d->x.dtype) * value +
                                        4 * smallest_normal(d->x.dtype)};
}
