/* dots.tmpl.h: rows times rows, both as they lie in memory; contract above fc_dots_fn.
 *
 * Vectors run along the sums. A tile of rows times four filters has an accumulator each; at the end
 * pairs of accumulators meet, half against half, until one vector holds the tile's sums in order.
 */
#define FC_DOTS_ROWS FC_TILE_VECTORS /* 4 with 32 registers, 2 with 16 */
#define FC_DOTS_TILE (FC_DOTS_ROWS * FC_DOTS_FILTERS)

/* v[0 .. VL) -> the sums of their lanes, in order */
FC_INLINE V FC_NAME(lane_sums)(V *v) {
#pragma GCC unroll 4
    for (ptrdiff_t half = VL / 2; half > 0; half /= 2)
#pragma GCC unroll 8
        for (ptrdiff_t i = 0; i < half; i++)
            v[i] = V_(zip_lo)(v[i], v[i + half]) + V_(zip_hi)(v[i], v[i + half]);
    return v[0];
}

/* acc += the products of one vector of elements */
FC_INLINE void FC_NAME(dots_step)(const struct fc_dots_args *a, const T *x, const T *const *w,
                                  ptrdiff_t j, ptrdiff_t n, const int rows, V *acc) {
    V xs[FC_DOTS_ROWS];
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) xs[i] = V_(load_some)(x + i * a->ldx + j, n);
#pragma GCC unroll 4
    for (int k = 0; k < FC_DOTS_FILTERS; k++) {
        V ws = V_(load_some)(w[k] + j, n);
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++)
            acc[i * FC_DOTS_FILTERS + k] = V_(fma)(xs[i], ws, acc[i * FC_DOTS_FILTERS + k]);
    }
}

FC_INLINE void FC_NAME(dots_tile)(const struct fc_dots_args *a, const T *x, const T *const *w,
                                  const int rows, T *sums) {
    V acc[FC_DOTS_TILE], v[FC_DOTS_TILE];
    ptrdiff_t j = 0;
#pragma GCC unroll 16
    for (int t = 0; t < FC_DOTS_TILE; t++) acc[t] = V_(set1)(0);
    for (; j + VL <= a->count; j += VL) FC_NAME(dots_step)(a, x, w, j, VL, rows, acc);
    if (j < a->count) FC_NAME(dots_step)(a, x, w, j, a->count - j, rows, acc);
#pragma GCC unroll 16
    for (int t = 0; t < FC_DOTS_TILE; t++) v[t] = acc[t]; /* which stay in registers until here */
    for (ptrdiff_t t = 0; t < FC_DOTS_TILE; t += VL) V_(store)(sums + t, FC_NAME(lane_sums)(v + t));
}

static void FC_NAME(dots)(const struct fc_dots_args *a) {
    const T *start = (const T *)a->start;
    T lo = (T)a->lo, hi = (T)a->hi;
    count_call();
    for (ptrdiff_t k = 0; k < a->filters; k += FC_DOTS_FILTERS) {
        const T *w[FC_DOTS_FILTERS];
        for (ptrdiff_t f = 0; f < FC_DOTS_FILTERS; f++) /* the last stands in for those beyond */
            w[f] = (const T *)a->w + (k + f < a->filters ? k + f : a->filters - 1) * a->ldw;
        for (ptrdiff_t i = 0; i < a->rows; i += FC_DOTS_ROWS) {
            const T *x = (const T *)a->x + i * a->ldx;
            T sums[FC_DOTS_TILE];
            ptrdiff_t rows = a->rows - i < FC_DOTS_ROWS ? a->rows - i : FC_DOTS_ROWS;
            switch (rows) {
            case 1: FC_NAME(dots_tile)(a, x, w, 1, sums); break;
            case 2: FC_NAME(dots_tile)(a, x, w, 2, sums); break;
#if FC_DOTS_ROWS > 2
            case 3: FC_NAME(dots_tile)(a, x, w, 3, sums); break;
            case 4: FC_NAME(dots_tile)(a, x, w, 4, sums); break;
#endif
            }
            for (ptrdiff_t r = 0; r < rows; r++)
                for (ptrdiff_t f = 0; f < FC_DOTS_FILTERS && k + f < a->filters; f++) {
                    T sum = start[(i + r) * a->lds + k + f] + sums[r * FC_DOTS_FILTERS + f];
                    sum = sum < lo ? lo : sum > hi ? hi : sum;
                    ((T *)a->y)[(i + r) * a->ldy + k + f] = sum;
                }
        }
    }
}
#undef FC_DOTS_ROWS
#undef FC_DOTS_TILE
