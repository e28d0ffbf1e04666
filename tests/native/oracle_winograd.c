/* oracle_winograd.c: what rounding may do to Winograd's F(4x4, 3x3) and F(4, 3) at the points 0, +-5/8, +-3/2 and
 * infinity: Y = A' [(G g G') .* (B' d B)] A, error by error through the same products of absolute
 * values (Barabasz, Anderson, Soodhalter and Gregg, Error analysis and improving the accuracy of
 * Winograd convolution, 2020). A bound need not be exact: this is in double.
 */
#include <math.h>

#include "harness.h"

static const double points[5] = {0, 0.625, -0.625, 1.5, -1.5};

/* Absolute values of the transforms' matrices. */
struct transforms {
    double a[6][4], g[6][3], b[6][6];
};

/* Toom and Cook: evaluate at the points, interpolate by Lagrange. */
static const struct transforms *transforms(void) {
    static struct transforms t;
    if (t.a[5][3] == 1) return &t;
    t = (struct transforms){.a[5][3] = 1, .g[5][2] = 1};
    for (int i = 0; i < 6; i++) {
        double polynomial[7] = {1}, scale = 1; /* the product of x - p over the other points */
        for (int j = 0, degree = 0; j < 5; j++) {
            if (j == i) continue;
            degree++;
            for (int k = degree; k >= 0; k--)
                polynomial[k] = (k > 0 ? polynomial[k - 1] : 0) - points[j] * polynomial[k];
            if (i < 5) scale *= points[i] - points[j];
        }
        for (int k = 0; k < 6; k++) t.b[i][k] = fabs(polynomial[k]);
        for (int m = 0; i < 5 && m < 4; m++) t.a[i][m] = fabs(pow(points[i], m));
        for (int r = 0; i < 5 && r < 3; r++) t.g[i][r] = fabs(pow(points[i], r) / scale);
    }
    return &t;
}

/* |element| of an input that is zero outside the image */
static double magnitude_at(const struct scene *scene, const fc_tensor *x, int64_t n, int64_t c,
                           int64_t h, int64_t w) {
    if (h < 0 || h >= x->size[2] || w < 0 || w >= x->size[3]) return 0;
    return fabs((double)tensor_get(scene, x, n, c, h, w));
}

/* sum[i][j] = sum over r, s < n of m[i][r] * m[j][s] * inner[r][s], for m[6][n] */
static void sandwich(int n, const double *m, const double *inner, double sum[6][6]) {
    double half[6][6];
    for (int i = 0; i < 6; i++)
        for (int s = 0; s < n; s++) {
            half[i][s] = 0;
            for (int r = 0; r < n; r++) half[i][s] += m[i * n + r] * inner[r * n + s];
        }
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++) {
            sum[i][j] = 0;
            for (int s = 0; s < n; s++) sum[i][j] += half[i][s] * m[j * n + s];
        }
}

real winograd_bound(const struct scene *scene, const fc_conv2d_desc *d, const int64_t at[4]) {
    const struct transforms *t = transforms();
    int64_t channels = d->weight.size[1], group = at[1] / (d->weight.size[0] / d->groups);
    int64_t top = at[2] / 4 * 4 - d->pad[0], left = at[3] / 4 * 4 - d->pad[1];
    double magnitude = 0;
    for (int64_t c = 0; c < channels; c++) {
        double g[3][3], x[6][6], u[6][6], v[6][6];
        for (int r = 0; r < 3; r++)
            for (int s = 0; s < 3; s++)
                g[r][s] = fabs((double)tensor_get(scene, &d->weight, at[1], c, r, s));
        for (int i = 0; i < 6; i++)
            for (int j = 0; j < 6; j++)
                x[i][j] =
                    magnitude_at(scene, &d->x, at[0], group * channels + c, top + i, left + j);
        sandwich(3, &t->g[0][0], &g[0][0], u);
        sandwich(6, &t->b[0][0], &x[0][0], v);
        for (int i = 0; i < 6; i++)
            for (int j = 0; j < 6; j++)
                magnitude += t->a[i][at[2] % 4] * t->a[j][at[3] % 4] * u[i][j] * v[i][j];
    }
    /* roundings on the way of one input: its transform 10, the weight's 14, the sum over channels, the
     * output's transform 12 */
    return sum_bound(d->x.dtype, channels + 38, magnitude) + 1000 * smallest_normal(d->x.dtype);
}

real winograd_rows_bound(const struct scene *scene, const fc_conv2d_desc *d, const int64_t at[4]) {
    const struct transforms *t = transforms();
    int64_t channels = d->weight.size[1], columns = d->weight.size[3];
    int64_t group = at[1] / (d->weight.size[0] / d->groups), top = at[2] / 4 * 4 - d->pad[0];
    double magnitude = 0;
    for (int64_t c = 0; c < channels; c++)
        for (int64_t s = 0; s < columns; s++)
            for (int i = 0; i < 6; i++) {
                double u = 0, v = 0;
                for (int r = 0; r < 3; r++)
                    u += t->g[i][r] * fabs((double)tensor_get(scene, &d->weight, at[1], c, r, s));
                for (int j = 0; j < 6; j++)
                    v += t->b[i][j] * magnitude_at(scene, &d->x, at[0], group * channels + c,
                                                   top + j, at[3] + s * d->dilation[1] - d->pad[1]);
                magnitude += t->a[i][at[2] % 4] * u * v;
            }
    /* roundings: the input's transform 5, the weight's 7, the sum, the output's transform 6 */
    return sum_bound(d->x.dtype, channels * columns + 20, magnitude) +
           1000 * smallest_normal(d->x.dtype);
}
