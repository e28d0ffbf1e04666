/* winograd.tmpl.h: the transforms of Winograd's algorithm; contracts above fc_winograd_input_fn.
 *
 * Y = A' [ (G g G') .* (B' d B) ] A. Channels (filters) are in the vector, so transforms need no
 * shuffles; the products of one point over all channels are a matrix product, winograd_product.
 *
 * The rows of B' are the coefficients of the product of (x - q) over the other points q. With points
 * in pairs +-p, Q(x^2) the product over the other pairs and z = 1 if 0 is a point:
 *
 *   +-p:  x^z (x +- p) Q(x^2), an even and an odd part that both rows share
 *   0:    the product of (x^2 - p^2) over all pairs
 *   inf:  x^z times that
 *
 * So an axis is transformed in groups of two elements that have no work in common: each pair; 0 and
 * infinity; and, at stride 2, pairs of odd samples. A kernel goes through the groups of the second
 * axis, so that no more than two columns are live at a time, and both axes unroll entirely.
 */

#define FC_WINO_GROUPS(patch) \
    (FC_WINOGRAD_PAIRS(patch) + 1 + ((patch) - FC_WINOGRAD_POINTS(patch) + 1) / 2)

#define FC_WINO_EACH_GROUP(X) X(0) X(1) X(2) X(3) X(4)
#define FC_WINO_MOST FC_WINOGRAD_MAX_OUTPUTS

/* Where element `half` of a group is along the axis; -1: there is none. */
FC_INLINE int FC_NAME(wino_place)(const int patch, const int group, const int half) {
    const int pairs = FC_WINOGRAD_PAIRS(patch), zero = FC_WINOGRAD_ZERO(patch);
    const int points = FC_WINOGRAD_POINTS(patch);
    if (group < pairs) return zero + 2 * group + half;
    if (group == pairs) return half ? points - 1 : zero - 1;
    return points + 2 * (group - pairs - 1) + half;
}

/* The coefficient of x^(2i) in the product of (x^2 - p^2) over the pairs but `skip`. */
FC_INLINE V FC_NAME(wino_coefficient)(const int points, const int skip, const int i) {
    const double *p = fc_winograd_points[points];
    const double a = skip == 0 ? 0 : p[0] * p[0], b = skip == 1 ? 0 : p[1] * p[1];
    const double c = skip == 2 ? 0 : p[2] * p[2];
    const int pairs = (points - 1) / 2, degree = pairs - (skip < pairs);
    switch (degree - i) {
    case 0: return V_(set1)(1);
    case 1: return V_(set1)((T) - (a + b + c));
    case 2: return V_(set1)((T)(a * b + a * c + b * c));
    default: return V_(set1)((T) - (a * b * c));
    }
}

/* sum over i of coefficient(i) * d[2i] */
FC_INLINE V FC_NAME(wino_polynomial)(const int points, const int skip, const V *d, const int step) {
    const int pairs = (points - 1) / 2, degree = pairs - (skip < pairs);
    V sum = d[2 * degree * step];
#pragma GCC unroll 3
    for (int i = degree - 1; i >= 0; i--)
        sum = V_(fma)(FC_NAME(wino_coefficient)(points, skip, i), d[2 * i * step], sum);
    return sum;
}

/* One group of B' d. */
FC_INLINE void FC_NAME(wino_input_group)(const int patch, const int group, const V *d, V v[2]) {
    const int pairs = FC_WINOGRAD_PAIRS(patch), zero = FC_WINOGRAD_ZERO(patch);
    const int points = FC_WINOGRAD_POINTS(patch), step = patch > points ? 2 : 1;
    if (group < pairs) {
        const V p = V_(set1)((T)fc_winograd_points[points][group]);
        V odd = FC_NAME(wino_polynomial)(points, group, d + zero * step, step);
        V even = FC_NAME(wino_polynomial)(points, group, d + (zero + 1) * step, step);
        v[0] = V_(fma)(p, odd, even);
        v[1] = V_(fma)(-p, odd, even);
    } else if (group == pairs) {
        v[1] = FC_NAME(wino_polynomial)(points, pairs, d + zero * step, step);
        v[0] = zero ? FC_NAME(wino_polynomial)(points, pairs, d, step) : v[1];
    } else {
        v[0] = d[4 * (group - pairs - 1) + 1];
        v[1] = d[4 * (group - pairs - 1) + 3];
    }
}

/* B' d along one axis */
FC_INLINE void FC_NAME(wino_input_line)(const int patch, const V *d, V *v) {
#define FC_WINO_GROUP(group) \
    if (group < FC_WINO_GROUPS(patch)) { \
        const int i0 = FC_NAME(wino_place)(patch, group, 0); \
        V pair[2]; \
        FC_NAME(wino_input_group)(patch, group, d, pair); \
        if (i0 >= 0) v[i0] = pair[0]; \
        v[FC_NAME(wino_place)(patch, group, 1)] = pair[1]; \
    }
    FC_WINO_EACH_GROUP(FC_WINO_GROUP)
#undef FC_WINO_GROUP
}

/* Adds what one group of m gives to A' m: the first group (always a pair, if there is any) begins it. */
FC_INLINE void FC_NAME(wino_output_group)(const int patch, const int outputs, const int group,
                                          const V m[2], V *y) {
    const int pairs = FC_WINOGRAD_PAIRS(patch), zero = FC_WINOGRAD_ZERO(patch);
    if (group < pairs) {
        const double p = fc_winograd_points[FC_WINOGRAD_POINTS(patch)][group];
        double power = 1;
        V part[2] = {m[0] + m[1], m[0] - m[1]};
#pragma GCC unroll 5
        for (int i = 0; i < outputs; i++, power *= p) {
            if (group == 0)
                y[i] = i ? V_(set1)((T)power) * part[i % 2] : part[0];
            else
                y[i] = i ? V_(fma)(V_(set1)((T)power), part[i % 2], y[i]) : y[0] + part[0];
        }
    } else if (group == pairs) {
        if (zero) y[0] = y[0] + m[0];
        y[outputs - 1] = pairs ? y[outputs - 1] + m[1] : m[1];
    } else {
        const int i = 2 * (group - pairs - 1);
        y[i] = y[i] + m[0];
        y[i + 1] = y[i + 1] + m[1];
    }
}

/* The elements of B' d B whose second index is in group gw; the groups are spelled out below because
 * compilers unroll no loops around so much. */
FC_INLINE void FC_NAME(wino_input_columns)(const void *const *pixel, ptrdiff_t c, T *v,
                                           ptrdiff_t xi_stride, const int ph, const int pw,
                                           const int gw) {
    V columns[2][FC_WINOGRAD_MAX_PATCH];
#pragma GCC unroll 9
    for (int i = 0; i < ph; i++) {
        V d[FC_WINOGRAD_MAX_PATCH], pair[2];
#pragma GCC unroll 9
        for (int j = 0; j < pw; j++) d[j] = V_(load)((const T *)pixel[i * pw + j] + c);
        FC_NAME(wino_input_group)(pw, gw, d, pair);
        columns[0][i] = pair[0];
        columns[1][i] = pair[1];
    }
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
        const int j = FC_NAME(wino_place)(pw, gw, half);
        if (j < 0) continue;
#define FC_WINO_GROUP(gh) \
    if (gh < FC_WINO_GROUPS(ph)) { \
        const int i0 = FC_NAME(wino_place)(ph, gh, 0), i1 = FC_NAME(wino_place)(ph, gh, 1); \
        V pair[2]; \
        FC_NAME(wino_input_group)(ph, gh, columns[half], pair); \
        if (i0 >= 0) V_(store)(v + (i0 * pw + j) * xi_stride, pair[0]); \
        V_(store)(v + (i1 * pw + j) * xi_stride, pair[1]); \
    }
        FC_WINO_EACH_GROUP(FC_WINO_GROUP)
#undef FC_WINO_GROUP
    }
}

/* VL channels of one tile */
FC_INLINE void FC_NAME(wino_input)(const void *const *pixel, ptrdiff_t c, T *v, ptrdiff_t xi_stride,
                                   const int ph, const int pw) {
#define FC_WINO_GROUP(gw) \
    if (gw < FC_WINO_GROUPS(pw)) \
        FC_NAME(wino_input_columns)(pixel, c, v + c, xi_stride, ph, pw, gw);
    FC_WINO_EACH_GROUP(FC_WINO_GROUP)
#undef FC_WINO_GROUP
}

/* The last channels, through a buffer. */
static void FC_NAME(wino_input_tail)(const struct fc_winograd_input_args *args, ptrdiff_t c,
                                     int pixels,
                                     void (*input)(const void *const *, ptrdiff_t, T *,
                                                   ptrdiff_t)) {
    T buffer[FC_WINOGRAD_MAX_PATCH * FC_WINOGRAD_MAX_PATCH][FC_VECTOR_BYTES / sizeof(T)];
    const void *pixel[FC_WINOGRAD_MAX_PATCH * FC_WINOGRAD_MAX_PATCH];
    for (int i = 0; i < pixels; i++) {
        V_(store)(buffer[i], V_(loadn)((const T *)args->pixel[i] + c, args->channels - c));
        pixel[i] = buffer[i];
    }
    input(pixel, 0, (T *)args->v + c, args->xi_stride);
}

/* What the elements of m whose second index is in group gw give to A' m A. */
FC_INLINE void FC_NAME(wino_output_columns)(const T *m, ptrdiff_t xi_stride,
                                            V out[FC_WINO_MOST][FC_WINO_MOST], const int ph,
                                            const int mh, const int pw, const int mw,
                                            const int gw) {
    V columns[2][FC_WINO_MOST];
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
        const int j = FC_NAME(wino_place)(pw, gw, half);
        if (j < 0) continue;
#define FC_WINO_GROUP(gh) \
    if (gh < FC_WINO_GROUPS(ph)) { \
        const int i0 = FC_NAME(wino_place)(ph, gh, 0), i1 = FC_NAME(wino_place)(ph, gh, 1); \
        V pair[2]; \
        pair[1] = V_(load)(m + (i1 * pw + j) * xi_stride); \
        pair[0] = i0 < 0 ? pair[1] : V_(load)(m + (i0 * pw + j) * xi_stride); \
        FC_NAME(wino_output_group)(ph, mh, gh, pair, columns[half]); \
    }
        FC_WINO_EACH_GROUP(FC_WINO_GROUP)
#undef FC_WINO_GROUP
    }
#pragma GCC unroll 5
    for (int i = 0; i < mh; i++) {
        const V pair[2] = {columns[0][i], columns[1][i]};
        FC_NAME(wino_output_group)(pw, mw, gw, pair, out[i]);
    }
}

/* VL filters of one tile */
FC_INLINE void FC_NAME(wino_output)(const struct fc_winograd_output_args *args, ptrdiff_t k,
                                    const T *addend, T *y, ptrdiff_t row_stride,
                                    ptrdiff_t pixel_stride, const int ph, const int mh,
                                    const int pw, const int mw) {
    const V lo = V_(set1)((T)args->lo), hi = V_(set1)((T)args->hi);
    const V bias = V_(load)((const T *)args->bias + k);
    const T *m = (const T *)args->m + k;
    V out[FC_WINO_MOST][FC_WINO_MOST];
#define FC_WINO_GROUP(gw) \
    if (gw < FC_WINO_GROUPS(pw)) \
        FC_NAME(wino_output_columns)(m, args->xi_stride, out, ph, mh, pw, mw, gw);
    FC_WINO_EACH_GROUP(FC_WINO_GROUP)
#undef FC_WINO_GROUP
#pragma GCC unroll 5
    for (int i = 0; i < mh; i++)
#pragma GCC unroll 5
        for (int j = 0; j < mw; j++) out[i][j] += bias;
    if (addend)
#pragma GCC unroll 5
        for (int i = 0; i < mh; i++)
#pragma GCC unroll 5
            for (int j = 0; j < mw; j++)
                out[i][j] += V_(load)(addend + i * args->addend_row + j * args->addend_pixel);
#pragma GCC unroll 5
    for (int i = 0; i < mh; i++)
#pragma GCC unroll 5
        for (int j = 0; j < mw; j++)
            V_(store)(y + i * row_stride + j * pixel_stride, V_(min)(hi, V_(max)(lo, out[i][j])));
}

/* A whole tile of VL filters; and any, the last filters or at an edge, through a buffer. */
typedef void (*FC_NAME(wino_output_fn))(const struct fc_winograd_output_args *, ptrdiff_t,
                                        const T *, T *, ptrdiff_t, ptrdiff_t);
static void FC_NAME(wino_output_tail)(const struct fc_winograd_output_args *args, ptrdiff_t k,
                                      FC_NAME(wino_output_fn) output) {
    T buffer[FC_WINO_MOST][FC_WINO_MOST][FC_VECTOR_BYTES / sizeof(T)];
    T added[FC_WINO_MOST][FC_WINO_MOST][FC_VECTOR_BYTES / sizeof(T)];
    T *y = (T *)args->y + k;
    struct fc_winograd_output_args inner = *args;
    if (args->addend) {
        for (int i = 0; i < FC_WINO_MOST; i++)
            for (int j = 0; j < FC_WINO_MOST; j++) {
                const T *from =
                    (const T *)args->addend + k + i * args->addend_row + j * args->addend_pixel;
                int inside = i < args->rows && j < args->columns;
                V_(store)(added[i][j], V_(load_some)(from, inside ? args->filters - k : 0));
            }
        inner.addend_row = FC_WINO_MOST * VL;
        inner.addend_pixel = VL;
    }
    output(&inner, k, args->addend ? added[0][0] : NULL, buffer[0][0], FC_WINO_MOST * VL, VL);
    for (int i = 0; i < args->rows; i++)
        for (int j = 0; j < args->columns; j++)
            V_(store_some)(y + i * args->row_stride + j * args->pixel_stride,
                           V_(load)(buffer[i][j]), args->filters - k);
}

#define FC_WINO_KERNELS(ph, mh, pw, mw, chains) \
    static void FC_NAME(winograd_patch_##ph##x##pw##_##mh##x##mw)( \
        const void *const *pixel, ptrdiff_t c, T *v, ptrdiff_t xi_stride) { \
        FC_NAME(wino_input)(pixel, c, v, xi_stride, ph, pw); \
    } \
    static void FC_NAME(winograd_input_##ph##x##pw##_##mh##x##mw)( \
        const struct fc_winograd_input_args *args) { \
        ptrdiff_t c = 0; \
        for (; c + VL <= args->channels; c += VL) \
            FC_NAME(winograd_patch_##ph##x##pw##_##mh##x##mw)(args->pixel, c, (T *)args->v, \
                                                              args->xi_stride); \
        if (c < args->channels) \
            FC_NAME(wino_input_tail)(args, c, ph * pw, \
                                     FC_NAME(winograd_patch_##ph##x##pw##_##mh##x##mw)); \
    } \
    static void FC_NAME(winograd_tile_##ph##x##pw##_##mh##x##mw)( \
        const struct fc_winograd_output_args *args, ptrdiff_t k, const T *addend, T *y, \
        ptrdiff_t row_stride, ptrdiff_t pixel_stride) { \
        FC_NAME(wino_output)(args, k, addend, y, row_stride, pixel_stride, ph, mh, pw, mw); \
    } \
    static void FC_NAME(winograd_output_##ph##x##pw##_##mh##x##mw)( \
        const struct fc_winograd_output_args *args) { \
        const int whole = args->rows == mh && args->columns == mw; \
        for (ptrdiff_t k = 0; k < args->filters; k += VL) \
            if (whole && k + VL <= args->filters) \
                FC_NAME(winograd_tile_##ph##x##pw##_##mh##x##mw)( \
                    args, k, args->addend ? (const T *)args->addend + k : NULL, (T *)args->y + k, \
                    args->row_stride, args->pixel_stride); \
            else \
                FC_NAME(wino_output_tail)(args, k, \
                                          FC_NAME(winograd_tile_##ph##x##pw##_##mh##x##mw)); \
    }
FC_WINOGRAD_TILES(FC_WINO_KERNELS)
#undef FC_WINO_KERNELS
#undef FC_WINO_GROUPS
#undef FC_WINO_EACH_GROUP
#undef FC_WINO_MOST

#define FC_WINO_TILE(ph, mh, pw, mw, chains) \
    {{ph, pw}, \
     {mh, mw}, \
     chains, \
     FC_NAME(winograd_input_##ph##x##pw##_##mh##x##mw), \
     FC_NAME(winograd_output_##ph##x##pw##_##mh##x##mw), \
     FC_NAME(winograd_weights_##ph##x##pw##_##mh##x##mw)},
static const struct fc_winograd_tile FC_NAME(winograd_tiles)[] = {FC_WINOGRAD_TILES(FC_WINO_TILE)};
#undef FC_WINO_TILE
