/* winograd_rows.tmpl.h: Winograd's F(4, 3) along columns of pixels, vectors along rows: the planar kernel
 * with half the products; contracts above fc_winograd_rows_input_fn and the next.
 *
 *   y[0..3] = A' sum over (c, s) of (G g[c][.][s]) .* (B' d[c][0..5][. + s])
 *
 * Filters of three rows make four output rows of six input rows by 6 products instead of 12, whatever
 * their width. Rows are added and scaled as they lie, so that there are no shuffles, and the six sums of a
 * tile never leave the registers. The points are those of winograd_tiles.h.
 */

/* Rows [first, last) of a patch, the others being zero. Opaque pointers step from row to row: one for each row
 * would not fit the registers. */
FC_INLINE void FC_NAME(winograd_rows_input_at)(const struct fc_winograd_rows_input_args *a,
                                               const T *x, T *out, const ptrdiff_t first,
                                               const ptrdiff_t last, const ptrdiff_t lanes) {
    V d[6], v[6];
#pragma GCC unroll 6
    for (ptrdiff_t i = 0; i < 6; i++) {
        d[i] = V_(set1)(0);
        if (i >= first && i < last) d[i] = lanes < VL ? V_(loadn)(x, lanes) : V_(load)(x);
        x += a->row_stride;
        __asm__("" : "+r"(x));
    }
    FC_NAME(wino_input_line)(6, d, v);
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++) {
        if (lanes < VL)
            V_(storen)(out, v[i], lanes);
        else
            V_(store)(out, v[i]);
        out += a->xi_stride;
        __asm__("" : "+r"(out));
    }
}

FC_INLINE void FC_NAME(winograd_rows_input_tile)(const struct fc_winograd_rows_input_args *a,
                                                 ptrdiff_t tile, const ptrdiff_t first,
                                                 const ptrdiff_t last) {
    const T *x = (const T *)a->x + 4 * tile * a->row_stride;
    T *v = (T *)a->v + tile * a->tile_stride;
    ptrdiff_t l = 0;
    for (; l + VL <= a->count; l += VL)
        FC_NAME(winograd_rows_input_at)(a, x + l, v + l, first, last, VL);
    if (l < a->count) FC_NAME(winograd_rows_input_at)(a, x + l, v + l, first, last, a->count - l);
}

static void FC_NAME(winograd_rows_input)(const struct fc_winograd_rows_input_args *a) {
    for (ptrdiff_t t = 0; t < a->tiles; t++) {
        ptrdiff_t first = a->first - 4 * t, last = a->last - 4 * t;
        if (first <= 0 && last >= 6)
            FC_NAME(winograd_rows_input_tile)(a, t, 0, 6);
        else
            FC_NAME(winograd_rows_input_tile)(a, t, first, last);
    }
}

/* What a tile ends with, from memory where it is used: the sums leave no registers. */
struct FC_NAME(winograd_rows_ends) {
    T a[4], b[4]; /* powers of the points */
    T lo, hi;
};

/* A' m + bias, where the bias is in m[0] and m[5] already */
FC_INLINE void FC_NAME(winograd_rows_output)(const struct FC_NAME(winograd_rows_ends) * c,
                                             const V m[6], T bias, V y[4]) {
    V sum_a = m[1] + m[2], odd_a = m[1] - m[2];
    V sum_b = m[3] + m[4], odd_b = m[3] - m[4];
    y[0] = m[0] + (sum_a + sum_b);
    y[1] = V_(fma)(V_(set1)(c->a[1]), odd_a, V_(fma)(V_(set1)(c->b[1]), odd_b, V_(set1)(bias)));
    y[2] = V_(fma)(V_(set1)(c->a[2]), sum_a, V_(fma)(V_(set1)(c->b[2]), sum_b, V_(set1)(bias)));
    y[3] = V_(fma)(V_(set1)(c->a[3]), odd_a, V_(fma)(V_(set1)(c->b[3]), odd_b, m[5]));
}

/* One vector of pixels, all filters: a row is loaded once for all of them, and two of three taps shift it off the
 * cache lines. */
FC_INLINE void FC_NAME(winograd_rows_tile)(const struct fc_winograd_rows_args *a,
                                           const struct FC_NAME(winograd_rows_ends) * ends,
                                           ptrdiff_t vector, const int filters, const int masked) {
    const T *w = (const T *)a->w, *bias = (const T *)a->bias;
    const T *x = (const T *)a->x + a->x_at[vector];
    const ptrdiff_t lanes = a->lanes;
    V acc[FC_ROWS_FILTERS][6];
#pragma GCC unroll 5
    for (int i = 0; i < filters; i++)
#pragma GCC unroll 6
        for (int xi = 0; xi < 6; xi++) acc[i][xi] = V_(set1)(xi == 0 || xi == 5 ? bias[i] : 0);

    for (ptrdiff_t t = 0; t < a->taps; t++, w += 6 * filters) {
        const T *p = x + a->tap[t];
#pragma GCC unroll 6
        for (int xi = 0; xi < 6; xi++, p += a->xi_stride) {
            V row = masked ? V_(loadn)(p, lanes) : V_(load)(p);
            if (filters > 1) FC_PIN(row);
#pragma GCC unroll 5
            for (int i = 0; i < filters; i++)
                acc[i][xi] = V_(fma)(V_(set1)(w[xi * filters + i]), row, acc[i][xi]);
        }
    }

    const int capped = a->hi < __builtin_inf();
    T *y = (T *)a->y + a->y_at[vector];
#pragma GCC unroll 5
    for (int i = 0; i < filters; i++, y += a->ldy) {
        V row[4];
        __asm__("" : "+r"(ends));
        FC_NAME(winograd_rows_output)(ends, acc[i], bias[i], row);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) row[j] = V_(max)(V_(set1)(ends->lo), row[j]);
        if (capped)
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) row[j] = V_(min)(V_(set1)(ends->hi), row[j]);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            if (j > 0 && j >= a->rows) break;
            if (masked)
                V_(storen)(y + j * a->row_stride, row[j], lanes);
            else
                V_(store)(y + j * a->row_stride, row[j]);
        }
    }
}

FC_INLINE void FC_NAME(winograd_rows_filters)(const struct fc_winograd_rows_args *a,
                                              const int filters) {
    const T p = (T)fc_winograd_points[6][0], q = (T)fc_winograd_points[6][1];
    const struct FC_NAME(winograd_rows_ends) ends = {.a = {1, p, p * p, p * p * p},
                                                     .b = {1, q, q * q, q * q * q},
                                                     .lo = (T)a->lo,
                                                     .hi = (T)a->hi};
    if (a->lanes < VL)
        for (ptrdiff_t v = 0; v < a->vectors; v++)
            FC_NAME(winograd_rows_tile)(a, &ends, v, filters, 1);
    else
        for (ptrdiff_t v = 0; v < a->vectors; v++)
            FC_NAME(winograd_rows_tile)(a, &ends, v, filters, 0);
}

static void FC_NAME(winograd_rows)(const struct fc_winograd_rows_args *a) {
    count_call();
    switch (a->filters) {
    case 1: FC_NAME(winograd_rows_filters)(a, 1); break;
    case 2: FC_NAME(winograd_rows_filters)(a, 2); break;
#if FC_ROWS_FILTERS > 2
    case 3: FC_NAME(winograd_rows_filters)(a, 3); break;
    case 4: FC_NAME(winograd_rows_filters)(a, 4); break;
    case 5: FC_NAME(winograd_rows_filters)(a, 5); break;
#endif
    }
}
