/* oracle_conv.c: convolutions, as the comments of fastconv.h define them. */
#include <math.h>

#include "harness.h"

static int inside(const fc_tensor *x, int64_t h, int64_t w) {
    return h >= 0 && h < x->size[2] && w >= 0 && w < x->size[3];
}

struct expected oracle_conv2d(const struct scene *scene, const void *desc, const int64_t at[4]) {
    const fc_conv2d_desc *d = desc;
    int64_t n = at[0], k = at[1], p = at[2], q = at[3];
    int64_t channels = d->weight.size[1], terms = 0;
    int64_t g = k / (d->weight.size[0] / d->groups);
    real sum = 0, magnitude = 0;
    for (int64_t c = 0; c < channels; c++) {
        int64_t from = g * channels + c, shuffle = d->shuffle;
        if (shuffle > 1) from = from % shuffle * (d->x.size[1] / shuffle) + from / shuffle;
        for (int64_t r = 0; r < d->weight.size[2]; r++)
            for (int64_t s = 0; s < d->weight.size[3]; s++) {
                int64_t h = p * d->stride[0] + r * d->dilation[0] - d->pad[0];
                int64_t w = q * d->stride[1] + s * d->dilation[1] - d->pad[1];
                if (!inside(&d->x, h, w)) continue;
                real product = tensor_get(scene, &d->x, n, from, h, w) *
                               tensor_get(scene, &d->weight, k, c, r, s);
                sum += product;
                magnitude += fabsl(product);
                terms++;
            }
    }
    if (d->bias.slot != FC_NO_SLOT) {
        real bias = tensor_get(scene, &d->bias, k, 0, 0, 0);
        sum += bias;
        magnitude += fabsl(bias);
    }
    if (d->has_addend) {
        real addend = tensor_get(scene, &d->addend, n, k, p, q);
        sum += addend;
        magnitude += fabsl(addend);
        terms++;
    }
    struct expected y = {sum, sum_bound(d->x.dtype, terms, magnitude)};
    if (winograd_algorithm(d->algorithm)) y.bound += winograd_bound(scene, d, at);
    if (d->algorithm == FC_ALGORITHM_AUTO) y.bound += automatic_bound(scene, d, at);
    if (d->algorithm == FC_ALGORITHM_WINOGRAD_ROWS) y.bound += winograd_rows_bound(scene, d, at);
    return activated(d->x.dtype, d->activation, d->alpha, y);
}

struct expected oracle_local2d(const struct scene *scene, const void *desc, const int64_t at[4]) {
    const fc_local2d_desc *d = desc;
    int64_t n = at[0], k = at[1], p = at[2], q = at[3], row = 0;
    real sum = 0, magnitude = 0;
    for (int64_t c = 0; c < d->x.size[1]; c++)
        for (int64_t r = 0; r < d->kernel[0]; r++)
            for (int64_t s = 0; s < d->kernel[1]; s++, row++) {
                int64_t h = p * d->stride[0] + r * d->dilation[0] - d->pad[0];
                int64_t w = q * d->stride[1] + s * d->dilation[1] - d->pad[1];
                if (!inside(&d->x, h, w)) continue;
                real product = tensor_get(scene, &d->x, n, c, h, w) *
                               tensor_get(scene, &d->weight, k, p, q, row);
                sum += product;
                magnitude += fabsl(product);
            }
    if (d->bias.slot != FC_NO_SLOT) {
        real bias = tensor_get(scene, &d->bias, k, p, q, 0);
        sum += bias;
        magnitude += fabsl(bias);
    }
    return (struct expected){sum, sum_bound(d->x.dtype, row, magnitude)};
}
