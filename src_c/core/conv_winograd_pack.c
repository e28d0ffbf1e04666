/* conv_winograd_pack.c: weights for Winograd's algorithm: U = G g G', in double, rounded once.
 *
 * Row i of G is (1, q, q^2, ...) / N for point q, N the product of q - q' over the other finite points;
 * for infinity it takes the last weight (winograd.tmpl.h has the rows of B' that go with it). At stride 2
 * the points see taps 0 and 2; one more row takes tap 1, for all odd samples.
 */
#include "core/conv.h"

static int takes(const struct fc_winograd_tile *tile, const fc_tensor *weight) {
    return weight->size[2] == FC_WINOGRAD_FILTER(tile->patch[0], tile->outputs[0]) &&
           weight->size[3] == FC_WINOGRAD_FILTER(tile->patch[1], tile->outputs[1]);
}

const struct fc_winograd_tile *fc_winograd_tile_of(const struct fc_kernel_set *kernels,
                                                   int algorithm, const fc_tensor *weight) {
    for (int i = 0; fc_is_winograd(algorithm) && i < FC_WINOGRAD_TILE_COUNT; i++) {
        const struct fc_winograd_tile *tile = &kernels->winograd[i];
        if (fc_winograd_algorithm(tile) == algorithm && takes(tile, weight)) return tile;
    }
    return NULL;
}

int fc_winograd_fits(const struct fc_winograd_tile *tile, const fc_conv2d_desc *d) {
    for (int a = 0; a < 2; a++) {
        int patch = tile->patch[a], points = FC_WINOGRAD_POINTS(patch);
        if (d->stride[a] != (patch > points ? 2 : 1) || d->dilation[a] != 1) return 0;
    }
    return takes(tile, &d->weight);
}

int fc_winograd_largest(int algorithm, const fc_conv2d_desc *d) {
#define FC_TILE_ROW(ph, mh, pw, mw, chains) {.patch = {ph, pw}, .outputs = {mh, mw}},
    static const struct fc_winograd_tile tiles[] = {FC_WINOGRAD_TILES(FC_TILE_ROW)};
#undef FC_TILE_ROW
    int any = algorithm == FC_ALGORITHM_WINOGRAD;
    for (int i = FC_WINOGRAD_TILE_COUNT - 1; i >= 0; i--) {
        int own = fc_winograd_algorithm(&tiles[i]);
        if ((any || own == algorithm) && fc_winograd_fits(&tiles[i], d)) return own;
    }
    return 0;
}

int64_t fc_winograd_taps(const struct fc_winograd_tile *tile) {
    return FC_WINOGRAD_TERMS(tile->patch[0]) * FC_WINOGRAD_TERMS(tile->patch[1]);
}

int64_t fc_winograd_tap(const struct fc_winograd_tile *tile, int64_t product) {
    int64_t down = FC_WINOGRAD_TERMS(tile->patch[0]), across = FC_WINOGRAD_TERMS(tile->patch[1]);
    int64_t i = product / tile->patch[1], j = product % tile->patch[1];
    return fc_min(i, down - 1) * across + fc_min(j, across - 1);
}

/* G along one axis */
static void transform_of(int patch, int outputs, double g[][FC_WINOGRAD_MAX_FILTER]) {
    int points = FC_WINOGRAD_POINTS(patch), pairs = FC_WINOGRAD_PAIRS(patch);
    int zero = FC_WINOGRAD_ZERO(patch), step = patch > points ? 2 : 1;
    int taps = points - outputs + 1; /* those that the points see */
    const double *p = fc_winograd_points[points];
    double q[FC_WINOGRAD_MAX_PATCH] = {0};
    for (int i = 0; i < 2 * pairs; i++) q[zero + i] = i % 2 ? -p[i / 2] : p[i / 2];
    for (int i = 0; i < points; i++) {
        double value = 1;
        for (int j = 0; i < points - 1 && j < points - 1; j++)
            if (j != i) value /= q[i] - q[j];
        for (int r = 0; r < taps; r++, value *= q[i])
            g[i][r * step] = i < points - 1 ? value : (double)(r == taps - 1);
    }
    if (step == 2) g[points][1] = 1;
}

void fc_winograd_pack(const struct fc_winograd_tile *tile, const char *w, int64_t w_tap, char *u,
                      int64_t u_tap, int64_t count) {
    struct fc_winograd_weights_args args = {
        .w = w, .w_tap = w_tap, .u = u, .u_tap = u_tap, .count = count};
    transform_of(tile->patch[0], tile->outputs[0], args.down);
    transform_of(tile->patch[1], tile->outputs[1], args.across);
    tile->weights(&args);
}

void fc_winograd_rows_pack(const fc_tensor *weight, const char *src, char *dst, int64_t channels,
                           int64_t filters) {
    double g[FC_WINOGRAD_MAX_PATCH][FC_WINOGRAD_MAX_FILTER], w[3];
    transform_of(FC_PATCH, FC_TILE, g);
    int single = weight->dtype == FC_FLOAT32;
    int64_t bytes = fc_dtype_bytes((fc_dtype)weight->dtype), row = weight->stride[2] * bytes;
    for (int64_t c = 0; c < channels; c++)
        for (int64_t s = 0; s < weight->size[3]; s++, dst += FC_PATCH * filters * bytes)
            for (int64_t k = 0; k < filters; k++) {
                const char *p = src + fc_offset(weight, k, c, 0, s);
                for (int r = 0; r < 3; r++, p += row)
                    w[r] = single ? (double)*(const float *)p : *(const double *)p;
                for (int64_t i = 0; i < FC_PATCH; i++) {
                    double u = g[i][0] * w[0] + g[i][1] * w[1] + g[i][2] * w[2];
                    if (single)
                        ((float *)dst)[i * filters + k] = (float)u;
                    else
                        ((double *)dst)[i * filters + k] = u;
                }
            }
}
