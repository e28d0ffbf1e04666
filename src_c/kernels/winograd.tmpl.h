/* winograd.tmpl.h: transforms of Winograd's F(4x4, 3x3); contracts above fc_winograd_input_fn.
 *
 * Y = A' [ (G g G') .* (B' d B) ] A with the points 0, +-5/8, +-3/2 and infinity: exact in binary, and
 * at a flat optimum of the rounding error (half that of 0, +-1, +-2 at the same cost). With a = 5/8,
 * b = 3/2 the rows of B' are the coefficients of prod (x - other points):
 *
 *   0:   x^4 - (a^2+b^2) x^2 + a^2 b^2          +-a: (x^2 +- a x)(x^2 - b^2)
 *   inf: x times that of 0                      +-b: (x^2 +- b x)(x^2 - a^2)
 *
 * Channels (filters) are in the vector: transforms need no shuffles. The products of one xi over all
 * channels are a matrix product, done by gemm.
 */

#define FC_WINO_A FC_REAL(0.625)
#define FC_WINO_B FC_REAL(1.5)
#define FC_WINO_A2 FC_REAL(0.390625)
#define FC_WINO_B2 FC_REAL(2.25)
#define FC_WINO_SUM FC_REAL(2.640625)       /* a^2 + b^2 */
#define FC_WINO_PRODUCT FC_REAL(0.87890625) /* a^2 b^2 */

/* B' d along one axis: six elements to six */
FC_INLINE void FC_NAME(wino_input_row)(const V d[6], V v[6]) {
    const V a = V_(set1)(FC_WINO_A), b = V_(set1)(FC_WINO_B);
    const V na2 = V_(set1)(-FC_WINO_A2), nb2 = V_(set1)(-FC_WINO_B2);
    const V ns = V_(set1)(-FC_WINO_SUM), p = V_(set1)(FC_WINO_PRODUCT);
    V even_a = V_(fma)(nb2, d[2], d[4]), odd_a = V_(fma)(nb2, d[1], d[3]);
    V even_b = V_(fma)(na2, d[2], d[4]), odd_b = V_(fma)(na2, d[1], d[3]);
    v[0] = V_(fma)(p, d[0], V_(fma)(ns, d[2], d[4]));
    v[1] = V_(fma)(a, odd_a, even_a);
    v[2] = V_(fma)(-a, odd_a, even_a);
    v[3] = V_(fma)(b, odd_b, even_b);
    v[4] = V_(fma)(-b, odd_b, even_b);
    v[5] = V_(fma)(p, d[1], V_(fma)(ns, d[3], d[5]));
}

/* A' m along one axis: six elements to four */
FC_INLINE void FC_NAME(wino_output_row)(const V m[6], V y[4]) {
    const V a = V_(set1)(FC_WINO_A), b = V_(set1)(FC_WINO_B);
    const V a2 = V_(set1)(FC_WINO_A2), b2 = V_(set1)(FC_WINO_B2);
    V sum_a = m[1] + m[2], odd_a = (m[1] - m[2]) * a;
    V sum_b = m[3] + m[4], odd_b = (m[3] - m[4]) * b;
    y[0] = m[0] + (sum_a + sum_b);
    y[1] = odd_a + odd_b;
    y[2] = V_(fma)(b2, sum_b, a2 * sum_a);
    y[3] = V_(fma)(b2, odd_b, V_(fma)(a2, odd_a, m[5]));
}

static void FC_NAME(winograd_input)(const struct fc_winograd_input_args *args) {
    for (ptrdiff_t c = 0; c < args->channels; c += VL) {
        const T *x = (const T *)args->x + c;
        T *v = (T *)args->v + c;
        ptrdiff_t lanes = args->channels - c;
        V columns[6][6];
        for (int j = 0; j < 6; j++) {
            V d[6];
#pragma GCC unroll 6
            for (int i = 0; i < 6; i++)
                d[i] = V_(load_some)(x + i * args->row_stride + j * args->pixel_stride, lanes);
            FC_NAME(wino_input_row)(d, columns[j]);
        }
        for (int i = 0; i < 6; i++) {
            V d[6], row[6];
#pragma GCC unroll 6
            for (int j = 0; j < 6; j++) d[j] = columns[j][i];
            FC_NAME(wino_input_row)(d, row);
#pragma GCC unroll 6
            for (int j = 0; j < 6; j++) V_(store)(v + (i * 6 + j) * args->xi_stride, row[j]);
        }
    }
}

static void FC_NAME(winograd_output)(const struct fc_winograd_output_args *args) {
    const V lo = V_(set1)((T)args->lo), hi = V_(set1)((T)args->hi);
    for (ptrdiff_t k = 0; k < args->filters; k += VL) {
        const T *m = (const T *)args->m + k;
        const V bias = V_(load)((const T *)args->bias + k);
        T *y = (T *)args->y + k;
        ptrdiff_t lanes = args->filters - k;
        V columns[6][4];
        for (int j = 0; j < 6; j++) {
            V d[6];
#pragma GCC unroll 6
            for (int i = 0; i < 6; i++) d[i] = V_(load)(m + (i * 6 + j) * args->xi_stride);
            FC_NAME(wino_output_row)(d, columns[j]);
        }
        for (int i = 0; i < args->rows; i++) {
            V d[6], row[4];
#pragma GCC unroll 6
            for (int j = 0; j < 6; j++) d[j] = columns[j][i];
            FC_NAME(wino_output_row)(d, row);
            for (int j = 0; j < args->columns; j++)
                V_(store_some)(y + i * args->row_stride + j * args->pixel_stride,
                               V_(min)(hi, V_(max)(lo, row[j] + bias)), lanes);
        }
    }
}
