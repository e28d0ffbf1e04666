/* winograd_rows.tmpl.h: Winograd's F(4, 3) along columns of pixels, vectors along rows: the planar kernel
 * with half the products; contracts above fc_winograd_rows_input_fn and the next.
 *
 *   y[0..3] = A' sum over (c, s) of (G g[c][.][s]) .* (B' d[c][0..5][. + s])
 *
 * Filters of three rows make four output rows of six input rows by 6 products instead of 12, whatever
 * their width. Rows are added and scaled as they lie, so that there are no shuffles, and the six sums of a
 * tile never leave the registers. The points are those of winograd_tiles.h.
 */

FC_INLINE void FC_NAME(winograd_rows_input_at)(const struct fc_winograd_rows_input_args *a,
                                               ptrdiff_t l, const int whole, const int masked) {
    const T *x = (const T *)a->x + l;
    T *out = (T *)a->v + l;
    V d[6], v[6];
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++) {
        d[i] = V_(set1)(0);
        if (whole || (i >= a->first && i < a->last))
            d[i] = masked ? V_(loadn)(x + i * a->row_stride, a->count - l)
                          : V_(load)(x + i * a->row_stride);
    }
    FC_NAME(wino_input_line)(6, d, v);
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++) {
        if (masked)
            V_(storen)(out + i * a->xi_stride, v[i], a->count - l);
        else
            V_(store)(out + i * a->xi_stride, v[i]);
    }
}

static void FC_NAME(winograd_rows_input)(const struct fc_winograd_rows_input_args *a) {
    ptrdiff_t l = 0;
    if (a->first == 0 && a->last == 6)
        for (; l + VL <= a->count; l += VL) FC_NAME(winograd_rows_input_at)(a, l, 1, 0);
    for (; l + VL <= a->count; l += VL) FC_NAME(winograd_rows_input_at)(a, l, 0, 0);
    if (l < a->count) FC_NAME(winograd_rows_input_at)(a, l, 0, 1);
}

/* A' m + bias, where the bias is in m[0] and m[5] already */
FC_INLINE void FC_NAME(winograd_rows_output)(const V m[6], V bias, V y[4]) {
    const V a = V_(set1)((T)fc_winograd_points[6][0]), b = V_(set1)((T)fc_winograd_points[6][1]);
    V sum_a = m[1] + m[2], odd_a = m[1] - m[2];
    V sum_b = m[3] + m[4], odd_b = m[3] - m[4];
    y[0] = m[0] + (sum_a + sum_b);
    y[1] = V_(fma)(a, odd_a, V_(fma)(b, odd_b, bias));
    y[2] = V_(fma)(a * a, sum_a, V_(fma)(b * b, sum_b, bias));
    y[3] = V_(fma)(a * a * a, odd_a, V_(fma)(b * b * b, odd_b, m[5]));
}

FC_INLINE void FC_NAME(winograd_rows_tile)(const struct fc_winograd_rows_args *a, ptrdiff_t first,
                                           const int filters, const int vectors, const int masked) {
    const T *w = (const T *)a->w;
    const T *p[2];
    V acc[2][2][6];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) p[v] = (const T *)a->x + a->x_at[first + v];
#pragma GCC unroll 2
    for (int i = 0; i < filters; i++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
#pragma GCC unroll 6
            for (int xi = 0; xi < 6; xi++)
                acc[i][v][xi] = V_(set1)(xi == 0 || xi == 5 ? ((const T *)a->bias)[i] : 0);

    for (ptrdiff_t t = 0; t < a->taps; t++, w += 6 * filters) {
        ptrdiff_t tap = a->tap[t];
#pragma GCC unroll 6
        for (int xi = 0; xi < 6; xi++, tap += a->xi_stride) {
            V row[2];
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++) {
                row[v] = masked ? V_(loadn)(p[v] + tap, a->lanes) : V_(load)(p[v] + tap);
                if (filters > 1) FC_PIN(row[v]);
            }
#pragma GCC unroll 2
            for (int i = 0; i < filters; i++) {
                V wi = V_(set1)(w[xi * filters + i]);
#pragma GCC unroll 2
                for (int v = 0; v < vectors; v++)
                    acc[i][v][xi] = V_(fma)(wi, row[v], acc[i][v][xi]);
            }
        }
    }

    const V lo = V_(set1)((T)a->lo), hi = V_(set1)((T)a->hi);
    const ptrdiff_t rows = a->rows, row_stride = a->row_stride, lanes = a->lanes;
    const int capped = a->hi < __builtin_inf();
    V row[2][2][4];
#pragma GCC unroll 2
    for (int i = 0; i < filters; i++) {
        const V bias = V_(set1)(((const T *)a->bias)[i]);
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) {
            FC_NAME(winograd_rows_output)(acc[i][v], bias, row[i][v]);
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) row[i][v][j] = V_(max)(lo, row[i][v][j]);
            if (capped)
#pragma GCC unroll 4
                for (int j = 0; j < 4; j++) row[i][v][j] = V_(min)(hi, row[i][v][j]);
        }
    }
#pragma GCC unroll 2
    for (int i = 0; i < filters; i++) {
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) {
            T *y = (T *)a->y + i * a->ldy + a->y_at[first + v];
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) {
                if (j > 0 && j >= rows) break;
                if (masked)
                    V_(storen)(y + j * row_stride, row[i][v][j], lanes);
                else
                    V_(store)(y + j * row_stride, row[i][v][j]);
            }
        }
    }
}

FC_INLINE void FC_NAME(winograd_rows_vectors)(const struct fc_winograd_rows_args *a,
                                              const int filters, const int masked) {
    ptrdiff_t v = 0;
    for (; v + 2 <= a->vectors; v += 2) FC_NAME(winograd_rows_tile)(a, v, filters, 2, masked);
    if (v < a->vectors) FC_NAME(winograd_rows_tile)(a, v, filters, 1, masked);
}

FC_INLINE void FC_NAME(winograd_rows_filters)(const struct fc_winograd_rows_args *a,
                                              const int filters) {
    if (a->lanes < VL)
        FC_NAME(winograd_rows_vectors)(a, filters, 1);
    else
        FC_NAME(winograd_rows_vectors)(a, filters, 0);
}

static void FC_NAME(winograd_rows)(const struct fc_winograd_rows_args *a) {
    count_call();
    if (a->filters == 1) FC_NAME(winograd_rows_filters)(a, 1);
#if FC_TILE_VECTORS >= 3
    if (a->filters == 2) FC_NAME(winograd_rows_filters)(a, 2);
#endif
}
