/* pool_last.tmpl.h: pooling with channels last; contract above fc_pool_fn.
 *
 * Lanes are channels, a few vectors of them at a time. Windows of two and three columns that overlap
 * or touch share columns, which stay in registers; others sum row by row.
 */

#if FC_VECTOR_BYTES == 64 || defined(__aarch64__)
#define FC_POOL_VECTORS 4
#else
#define FC_POOL_VECTORS 2
#endif

/* What one output row sees: the rows of its windows in the image, from column 0 on. */
struct FC_NAME(band) {
    const T *x;
    ptrdiff_t row_step, rows, pixel, width;
    ptrdiff_t lanes; /* channels left: fewer than a vector only if vectors is 1 */
};

/* Column w of the band, reduced over its rows. */
FC_INLINE void FC_NAME(band_column)(const enum fc_reduce_op op, const int vectors,
                                    const struct FC_NAME(band) * b, ptrdiff_t w, V rest, V *out) {
    if (w < 0 || w >= b->width || b->rows <= 0) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) out[v] = rest;
        return;
    }
    const T *p = b->x + w * b->pixel;
    const ptrdiff_t step = b->row_step, lanes = vectors > 1 ? VL : b->lanes;
    if (b->rows == 3) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            out[v] = V_(reduce3)(op, V_(load_some)(p + v * VL, lanes),
                                 V_(load_some)(p + v * VL + step, lanes),
                                 V_(load_some)(p + v * VL + 2 * step, lanes));
        return;
    }
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) out[v] = V_(load_some)(p + v * VL, lanes);
    for (ptrdiff_t r = 1; r < b->rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            out[v] = V_(reduce)(op, out[v], V_(load_some)(p + r * step + v * VL, lanes));
}

FC_INLINE void FC_NAME(band_store)(const enum fc_reduce_op op, const int vectors, V *out, T *y,
                                   ptrdiff_t lanes, T divisor) {
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        if (op == FC_REDUCE_SUM) out[v] = out[v] / V_(set1)(divisor);
        V_(store_some)(y + v * VL, out[v], vectors > 1 ? VL : lanes);
    }
}

/* One row of outputs; window and stride are literals. */
FC_INLINE void FC_NAME(band_shared)(const enum fc_reduce_op op, const int vectors, const int window,
                                    const int stride, const struct fc_pool_args *a,
                                    const struct FC_NAME(band) * b, T *y, T row_divisor) {
    const T *divisor = (const T *)a->column_divisor;
    const V rest = V_(set1)((T)a->neutral);
    V c[3][FC_POOL_VECTORS], out[FC_POOL_VECTORS];
    const int shared = window > stride ? window - stride : 0;
    ptrdiff_t w = -a->pad[1];
#pragma GCC unroll 2
    for (int s = 0; s < shared; s++) FC_NAME(band_column)(op, vectors, b, w + s, rest, c[s]);
    for (ptrdiff_t q = 0; q < a->columns; q++, w += stride) {
#pragma GCC unroll 3
        for (int s = shared; s < window; s++)
            FC_NAME(band_column)(op, vectors, b, w + s, rest, c[s]);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            out[v] = window == 3 ? V_(reduce3)(op, c[0][v], c[1][v], c[2][v])
                                 : V_(reduce)(op, c[0][v], c[1][v]);
#pragma GCC unroll 2
        for (int s = 0; s < shared; s++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) c[s][v] = c[s + stride][v];
        FC_NAME(band_store)(op, vectors, out, y + q * a->y_pixel, b->lanes,
                            op == FC_REDUCE_SUM ? divisor[q] * row_divisor : 1);
    }
}

/* One row of outputs, any window: each tap once, row by row. */
FC_INLINE void FC_NAME(band_taps)(const enum fc_reduce_op op, const int vectors,
                                  const struct fc_pool_args *a, const struct FC_NAME(band) * b,
                                  T *y, T row_divisor) {
    const T *divisor = (const T *)a->column_divisor;
    const ptrdiff_t lanes = vectors > 1 ? VL : b->lanes;
    for (ptrdiff_t q = 0; q < a->columns; q++) {
        ptrdiff_t from, taps, step = a->dilation[1] * b->pixel;
        from = FC_NAME(window_part)(a, 1, q, b->width, &taps);
        V out[FC_POOL_VECTORS], row[FC_POOL_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) out[v] = V_(set1)((T)a->neutral);
        for (ptrdiff_t r = 0; taps > 0 && r < b->rows; r++) {
            const T *p = b->x + r * b->row_step + from * b->pixel;
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) row[v] = V_(load_some)(p + v * VL, lanes);
            for (ptrdiff_t s = 1; s < taps; s++)
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++)
                    row[v] = V_(reduce)(op, row[v], V_(load_some)(p + s * step + v * VL, lanes));
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) out[v] = V_(reduce)(op, out[v], row[v]);
        }
        FC_NAME(band_store)(op, vectors, out, y + q * a->y_pixel, b->lanes,
                            op == FC_REDUCE_SUM ? divisor[q] * row_divisor : 1);
    }
}

FC_INLINE void FC_NAME(pool_band)(const enum fc_reduce_op op, const int vectors,
                                  const struct fc_pool_args *a, const struct FC_NAME(band) * b,
                                  T *y, T row_divisor) {
    int near = a->dilation[1] == 1;
    if (near && a->kernel[1] == 3 && a->stride[1] == 1)
        FC_NAME(band_shared)(op, vectors, 3, 1, a, b, y, row_divisor);
    else if (near && a->kernel[1] == 3 && a->stride[1] == 2)
        FC_NAME(band_shared)(op, vectors, 3, 2, a, b, y, row_divisor);
    else if (near && a->kernel[1] == 2 && a->stride[1] == 1)
        FC_NAME(band_shared)(op, vectors, 2, 1, a, b, y, row_divisor);
    else if (near && a->kernel[1] == 2 && a->stride[1] == 2)
        FC_NAME(band_shared)(op, vectors, 2, 2, a, b, y, row_divisor);
    else
        FC_NAME(band_taps)(op, vectors, a, b, y, row_divisor);
}

FC_INLINE void FC_NAME(pool_last_op)(const enum fc_reduce_op op, const struct fc_pool_args *a) {
    for (ptrdiff_t p = a->first; p < a->last; p++) {
        struct FC_NAME(band)
            b = {.row_step = a->dilation[0] * a->x_row, .pixel = a->x_pixel, .width = a->width};
        ptrdiff_t h = FC_NAME(window_part)(a, 0, p, a->height, &b.rows);
        T divisor = op == FC_REDUCE_SUM ? ((const T *)a->row_divisor)[p] : 1;
        for (ptrdiff_t c = 0; c < a->planes;) {
            T *y = (T *)a->y + p * a->y_row + c;
            b.x = b.rows > 0 ? (const T *)a->x + h * a->x_row + c : (const T *)a->x;
            b.lanes = a->planes - c;
            if (b.lanes >= FC_POOL_VECTORS * VL) {
                FC_NAME(pool_band)(op, FC_POOL_VECTORS, a, &b, y, divisor);
                c += FC_POOL_VECTORS * VL;
            } else {
                FC_NAME(pool_band)(op, 1, a, &b, y, divisor);
                c += VL;
            }
        }
    }
}

static void FC_NAME(pool_last)(const struct fc_pool_args *a) {
    count_call();
    if (a->op == FC_REDUCE_MAX)
        FC_NAME(pool_last_op)(FC_REDUCE_MAX, a);
    else
        FC_NAME(pool_last_op)(FC_REDUCE_SUM, a);
}
#undef FC_POOL_VECTORS
