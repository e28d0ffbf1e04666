/* conv_winograd_pack.c: weights for Winograd's algorithm: U = G g G', in double, rounded once.
 *
 * Row i of G is (1, q, q^2, ...) / N for point q, N the product of q - q' over the other finite points;
 * for infinity it takes the last weight (winograd.tmpl.h has the rows of B' that go with it). At stride 2
 * the points see taps 0 and 2; one more row takes tap 1, for all odd samples.
 */
#include "core/conv.h"

#define FC_LARGEST_FILTER 9
#define FC_FILTERS_AT_ONCE 16

static int64_t taps_of(int patch, int outputs) {
    return patch > FC_WINOGRAD_POINTS(patch) ? 3 : patch - outputs + 1;
}

static int takes(const struct fc_winograd_tile *tile, const fc_tensor *weight) {
    return weight->size[2] == taps_of(tile->patch[0], tile->outputs[0]) &&
           weight->size[3] == taps_of(tile->patch[1], tile->outputs[1]);
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

/* Different products along an axis: at stride 2 all odd samples meet the same weight. */
static int64_t axis_taps(int patch) {
    int points = FC_WINOGRAD_POINTS(patch);
    return patch > points ? points + 1 : points;
}

int64_t fc_winograd_taps(const struct fc_winograd_tile *tile) {
    return axis_taps(tile->patch[0]) * axis_taps(tile->patch[1]);
}

int64_t fc_winograd_tap(const struct fc_winograd_tile *tile, int64_t product) {
    int64_t down = axis_taps(tile->patch[0]), across = axis_taps(tile->patch[1]);
    int64_t i = product / tile->patch[1], j = product % tile->patch[1];
    return fc_min(i, down - 1) * across + fc_min(j, across - 1);
}

/* G along one axis, and its number of columns: the filter's taps */
static int64_t transform_of(int patch, int outputs, double g[][FC_LARGEST_FILTER]) {
    int points = FC_WINOGRAD_POINTS(patch), pairs = FC_WINOGRAD_PAIRS(patch);
    int zero = FC_WINOGRAD_ZERO(patch), step = patch > points ? 2 : 1;
    int taps = points - outputs + 1; /* those that the points see */
    const double *p = fc_winograd_points[points];
    double q[FC_LARGEST_FILTER] = {0};
    for (int i = 0; i < 2 * pairs; i++) q[zero + i] = i % 2 ? -p[i / 2] : p[i / 2];
    for (int i = 0; i < points; i++) {
        double value = 1;
        for (int j = 0; i < points - 1 && j < points - 1; j++)
            if (j != i) value /= q[i] - q[j];
        for (int r = 0; r < taps; r++, value *= q[i])
            g[i][r * step] = i < points - 1 ? value : (double)(r == taps - 1);
    }
    if (step == 2) g[points][1] = 1;
    return (taps - 1) * step + 1;
}

static double element(const char *p, int64_t dtype) {
    return dtype == FC_FLOAT32 ? (double)*(const float *)p : *(const double *)p;
}

struct transform {
    const struct fc_winograd_tile *tile;
    double down[FC_WINOGRAD_MAX_PATCH][FC_LARGEST_FILTER];
    double across[FC_WINOGRAD_MAX_PATCH][FC_LARGEST_FILTER];
    int64_t taps[2];
};

/* A few filters, which lie side by side. */
typedef struct {
    double k[FC_FILTERS_AT_ONCE];
} lanes;

/* u[i] = sum over r of g[i][r] * w[r], for rows of lanes at these distances */
static void along_axis(const double g[][FC_LARGEST_FILTER], int64_t rows, int64_t taps,
                       const lanes *w, int64_t w_step, lanes *u, int64_t u_step) {
    for (int64_t i = 0; i < rows; i++) {
        lanes sum = {{0}};
        for (int64_t r = 0; r < taps; r++)
            for (int k = 0; k < FC_FILTERS_AT_ONCE; k++) sum.k[k] += g[i][r] * w[r * w_step].k[k];
        u[i * u_step] = sum;
    }
}

static void transform_filters(const struct transform *t, const lanes *w, lanes *u) {
    lanes half[FC_WINOGRAD_MAX_PATCH * FC_LARGEST_FILTER];
    int64_t down = axis_taps(t->tile->patch[0]), across = axis_taps(t->tile->patch[1]);
    for (int64_t s = 0; s < t->taps[1]; s++)
        along_axis(t->down, down, t->taps[0], w + s, t->taps[1], half + s, t->taps[1]);
    for (int64_t i = 0; i < down; i++)
        along_axis(t->across, across, t->taps[1], half + i * t->taps[1], 1, u + i * across, 1);
}

/* w[r*S + s] = so many filters' weights of one channel */
static void load_filters(const fc_tensor *weight, const char *src, int64_t filters, lanes *w) {
    int64_t bytes = fc_dtype_bytes((fc_dtype)weight->dtype), step = weight->stride[0] * bytes;
    for (int64_t r = 0; r < weight->size[2]; r++)
        for (int64_t s = 0; s < weight->size[3]; s++, w++) {
            const char *p = src + (r * weight->stride[2] + s * weight->stride[3]) * bytes;
            if (weight->dtype == FC_FLOAT32)
                for (int64_t f = 0; f < filters; f++) w->k[f] = *(const float *)(p + f * step);
            else
                for (int64_t f = 0; f < filters; f++) w->k[f] = *(const double *)(p + f * step);
        }
}

static void store_filters(const lanes *u, int64_t filters, int64_t dtype, char *dst) {
    if (dtype == FC_FLOAT32)
        for (int64_t f = 0; f < filters; f++) ((float *)dst)[f] = (float)u->k[f];
    else
        for (int64_t f = 0; f < filters; f++) ((double *)dst)[f] = u->k[f];
}

void fc_winograd_pack(const struct fc_winograd_tile *tile, const fc_tensor *weight, const char *src,
                      char *dst, int64_t filters, int64_t width) {
    struct transform t = {.tile = tile};
    t.taps[0] = transform_of(tile->patch[0], tile->outputs[0], t.down);
    t.taps[1] = transform_of(tile->patch[1], tile->outputs[1], t.across);
    int64_t bytes = fc_dtype_bytes((fc_dtype)weight->dtype);
    int64_t taps = fc_winograd_taps(tile), channels = weight->size[1];
    lanes w[FC_LARGEST_FILTER * FC_LARGEST_FILTER] = {{{0}}};
    lanes u[FC_WINOGRAD_MAX_PATCH * FC_WINOGRAD_MAX_PATCH];
    for (int64_t c = 0; c < channels; c++)
        for (int64_t k = 0; k < filters; k += FC_FILTERS_AT_ONCE) {
            int64_t count = fc_min(FC_FILTERS_AT_ONCE, filters - k);
            load_filters(weight, src + fc_offset(weight, k, c, 0, 0), count, w);
            transform_filters(&t, w, u);
            for (int64_t i = 0; i < taps; i++)
                store_filters(&u[i], count, weight->dtype,
                              dst + ((i * channels + c) * width + k) * bytes);
        }
}

void fc_winograd_rows_pack(const fc_tensor *weight, const char *src, char *dst, int64_t filters,
                           int64_t width) {
    double g[FC_WINOGRAD_MAX_PATCH][FC_LARGEST_FILTER];
    transform_of(FC_PATCH, FC_TILE, g);
    for (int64_t c = 0; c < weight->size[1]; c++)
        for (int64_t s = 0; s < weight->size[3]; s++)
            for (int64_t i = 0; i < FC_PATCH;
                 i++, dst += width * fc_dtype_bytes((fc_dtype)weight->dtype))
                for (int64_t k = 0; k < filters; k++) {
                    double u = 0;
                    for (int r = 0; r < 3; r++)
                        u += g[i][r] * element(src + fc_offset(weight, k, c, r, s), weight->dtype);
                    if (weight->dtype == FC_FLOAT32)
                        ((float *)dst)[k] = (float)u;
                    else
                        ((double *)dst)[k] = u;
                }
}
