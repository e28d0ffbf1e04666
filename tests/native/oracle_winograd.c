/* oracle_winograd.c: what rounding may do to Winograd's algorithm: Y = A' [(G g G') .* (B' d B)] A, error by
 * error through the same products of absolute values (Barabasz, Anderson, Soodhalter and Gregg, Error
 * analysis and improving the accuracy of Winograd convolution, 2020). A bound need not be exact: this
 * is in double.
 */
#include <math.h>

#include "harness.h"

#define PATCH 9
#define OUTPUTS 5

/* Finite points, by their number and that of infinity. */
static const double points[9][8] = {
    [3] = {1, -1},
    [4] = {0, 1, -1},
    [5] = {0.375, -0.375, 1.25, -1.25},
    [6] = {0, 0.625, -0.625, 1.5, -1.5},
    [7] = {0.3125, -0.3125, 0.875, -0.875, 1.75, -1.75},
    [8] = {0, 0.5, -0.5, 1, -1, 2, -2},
};

/* One axis: absolute values of the transforms' matrices. */
struct axis {
    int patch, outputs, taps, step; /* step: input pixels from one output to the next */
    double a[PATCH][OUTPUTS], g[PATCH][PATCH], b[PATCH][PATCH];
};

/* Toom and Cook: evaluate at n points, interpolate by Lagrange; every step-th input and tap. */
static void evaluate(struct axis *t, int n, int taps) {
    const double *p = points[n];
    for (int i = 0; i < n; i++) {
        double polynomial[PATCH + 1] = {1}, scale = 1; /* of x - p over the other points */
        for (int j = 0, degree = 0; j < n - 1; j++) {
            if (j == i) continue;
            degree++;
            for (int k = degree; k >= 0; k--)
                polynomial[k] = (k > 0 ? polynomial[k - 1] : 0) - p[j] * polynomial[k];
            if (i < n - 1) scale *= p[i] - p[j];
        }
        for (int k = 0; k < n; k++) t->b[i][k * t->step] = fabs(polynomial[k]);
        for (int m = 0; m < t->outputs; m++)
            t->a[i][m] = i < n - 1 ? fabs(pow(p[i], m)) : m == t->outputs - 1;
        for (int r = 0; r < taps; r++)
            t->g[i][r * t->step] = i < n - 1 ? fabs(pow(p[i], r) / scale) : r == taps - 1;
    }
}

/* A patch of 4n + 1: F(m, 2) on its even samples, the odd ones as they are. */
static struct axis axis_of(int patch, int taps) {
    int strided = patch % 4 == 1 && patch > 1;
    struct axis t = {.patch = patch, .taps = taps, .step = 1 + strided};
    t.outputs = strided ? (patch - 1) / 2 : patch - taps + 1;
    if (!strided) {
        evaluate(&t, patch, taps);
        return t;
    }
    evaluate(&t, t.outputs + 1, 2);
    for (int m = 0; m < t.outputs; m++) {
        int i = t.outputs + 1 + m;
        t.b[i][2 * m + 1] = t.g[i][1] = t.a[i][m] = 1;
    }
    return t;
}

/* |element| of an input that is zero outside the image */
static double magnitude_at(const struct scene *scene, const fc_tensor *x, int64_t n, int64_t c,
                           int64_t h, int64_t w) {
    if (h < 0 || h >= x->size[2] || w < 0 || w >= x->size[3]) return 0;
    return fabs((double)tensor_get(scene, x, n, c, h, w));
}

/* sum[i][j] = sum over r, s of down[i][r] * across[j][s] * inner[r][s] */
static void sandwich(int rows, int columns, double down[PATCH][PATCH], double across[PATCH][PATCH],
                     double inner[PATCH][PATCH], double sum[PATCH][PATCH]) {
    double half[PATCH][PATCH];
    for (int i = 0; i < PATCH; i++)
        for (int s = 0; s < columns; s++) {
            half[i][s] = 0;
            for (int r = 0; r < rows; r++) half[i][s] += down[i][r] * inner[r][s];
        }
    for (int i = 0; i < PATCH; i++)
        for (int j = 0; j < PATCH; j++) {
            sum[i][j] = 0;
            for (int s = 0; s < columns; s++) sum[i][j] += half[i][s] * across[j][s];
        }
}

real winograd_bound(const struct scene *scene, const fc_conv2d_desc *d, const int64_t at[4]) {
    struct axis down = axis_of(d->algorithm >> 8 & 15, (int)d->weight.size[2]);
    struct axis across = axis_of(d->algorithm >> 12 & 15, (int)d->weight.size[3]);
    int64_t channels = d->weight.size[1], group = at[1] / (d->weight.size[0] / d->groups);
    int64_t top = at[2] / down.outputs * down.outputs * down.step - d->pad[0];
    int64_t left = at[3] / across.outputs * across.outputs * across.step - d->pad[1];
    double magnitude = 0;
    for (int64_t c = 0; c < channels; c++) {
        double g[PATCH][PATCH], x[PATCH][PATCH], u[PATCH][PATCH], v[PATCH][PATCH];
        for (int r = 0; r < down.taps; r++)
            for (int s = 0; s < across.taps; s++)
                g[r][s] = fabs((double)tensor_get(scene, &d->weight, at[1], c, r, s));
        for (int i = 0; i < down.patch; i++)
            for (int j = 0; j < across.patch; j++)
                x[i][j] =
                    magnitude_at(scene, &d->x, at[0], group * channels + c, top + i, left + j);
        sandwich(down.taps, across.taps, down.g, across.g, g, u);
        sandwich(down.patch, across.patch, down.b, across.b, x, v);
        for (int i = 0; i < down.patch; i++)
            for (int j = 0; j < across.patch; j++)
                magnitude += down.a[i][at[2] % down.outputs] * across.a[j][at[3] % across.outputs] *
                             u[i][j] * v[i][j];
    }
    /* roundings on the way of one input, at most: its transform 14, the weight's 1, the sum over
     * channels, the output's transform 18 */
    return sum_bound(d->x.dtype, channels + 40, magnitude) + 10000 * smallest_normal(d->x.dtype);
}

real winograd_rows_bound(const struct scene *scene, const fc_conv2d_desc *d, const int64_t at[4]) {
    struct axis t = axis_of(6, 3);
    int64_t channels = d->weight.size[1], columns = d->weight.size[3];
    int64_t group = at[1] / (d->weight.size[0] / d->groups), top = at[2] / 4 * 4 - d->pad[0];
    double magnitude = 0;
    for (int64_t c = 0; c < channels; c++)
        for (int64_t s = 0; s < columns; s++)
            for (int i = 0; i < 6; i++) {
                double u = 0, v = 0;
                for (int r = 0; r < 3; r++)
                    u += t.g[i][r] * fabs((double)tensor_get(scene, &d->weight, at[1], c, r, s));
                for (int j = 0; j < 6; j++)
                    v += t.b[i][j] * magnitude_at(scene, &d->x, at[0], group * channels + c,
                                                  top + j, at[3] + s * d->dilation[1] - d->pad[1]);
                magnitude += t.a[i][at[2] % 4] * u * v;
            }
    /* roundings: the input's transform 5, the weight's 7, the sum, the output's transform 6 */
    return sum_bound(d->x.dtype, channels * columns + 20, magnitude) +
           1000 * smallest_normal(d->x.dtype);
}

/* Patches along an axis for so many taps at a stride, zeros after the last. */
static const int *patches_of(int64_t taps, int64_t stride) {
    static const int none[1], unit[8][4] = {[1] = {1}, [3] = {4, 6, 7}, [5] = {6, 8}, [7] = {8}};
    static const int two[] = {5, 9, 0};
    if (stride == 2) return taps == 3 ? two : none;
    return stride == 1 && taps < 8 ? unit[taps] : none;
}

/* The largest of the bounds of what may be chosen, weights not being packed yet; 0 where an input
 * is not finite. */
real automatic_bound(const struct scene *scene, const fc_conv2d_desc *d, const int64_t at[4]) {
    real bound = 0;
    if (d->shuffle > 1 || d->dilation[0] != 1) return bound;
    if (d->weight.size[2] == 3 && d->stride[0] == 1 && d->stride[1] == 1 &&
        d->weight.size[1] * d->weight.size[3] >= 6)
        bound = winograd_rows_bound(scene, d, at);
    int tiles = d->weight.size[1] >= 16 && d->dilation[1] == 1;
    for (const int *ph = patches_of(tiles ? d->weight.size[2] : 0, d->stride[0]); *ph; ph++)
        for (const int *pw = patches_of(d->weight.size[3], d->stride[1]); *pw; pw++) {
            fc_conv2d_desc tile = *d;
            tile.algorithm = FC_ALGORITHM_WINOGRAD | *ph << 8 | *pw << 12;
            if (*ph > 1 || *pw > 1) bound = fmaxl(bound, winograd_bound(scene, &tile, at));
        }
    return isfinite(bound) ? bound : 0;
}
