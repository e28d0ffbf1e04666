/* winograd_product.tmpl.h: the matrix products of Winograd's algorithm; contract above
 * fc_winograd_product_fn.
 *
 * gemm's register tile, with pixels at one distance, and an eye on the weights: they are read once from
 * beyond the second-level cache and then by every tile of pixels, so the first tiles of one product
 * prefetch the weights of the next, evenly over their multiply-adds.
 */

FC_INLINE void FC_NAME(winograd_product_tile)(const struct fc_winograd_product_args *a, const T *v,
                                              const T *w, const char *next, ptrdiff_t step,
                                              ptrdiff_t half, T *m, const int pixels,
                                              const int vectors, const int whole) {
    ptrdiff_t at[FC_MAX_TILE_PIXELS];
#pragma GCC unroll 8
    for (int i = 0; i < pixels; i++) at[i] = i * a->v_pixel;
    const T *const end = v + a->channels;
    int onto = 0; /* m has the sum of the chains so far */
    do {
        const T *last = a->chain < end - v ? v + a->chain : end;
        V acc[FC_MAX_TILE_PIXELS][FC_MAX_TILE_VECTORS];
#pragma GCC unroll 8
        for (int i = 0; i < pixels; i++)
#pragma GCC unroll 4
            for (int k = 0; k < vectors; k++) acc[i][k] = V_(set1)(0);
        for (; v < last; v++, w += vectors * VL, next += step) {
            V row[FC_MAX_TILE_VECTORS];
            __builtin_prefetch(next, 0, 2);
            __builtin_prefetch(next + half, 0, 2);
            __asm__("" : "+r"(v)); /* one pointer and an index a pixel */
#pragma GCC unroll 4
            for (int k = 0; k < vectors; k++) row[k] = FC_NAME(row_vector)(w, k, whole);
#pragma GCC unroll 8
            for (int i = 0; i < pixels; i++) {
                V vi = V_(set1)(v[at[i]]);
#pragma GCC unroll 4
                for (int k = 0; k < vectors; k++)
                    acc[i][k] = k < whole ? V_(fma)(vi, row[k], acc[i][k])
                                          : V_(fma_low)(vi, row[k], acc[i][k]);
            }
        }
#pragma GCC unroll 8
        for (int i = 0; i < pixels; i++)
#pragma GCC unroll 4
            for (int k = 0; k < vectors; k++) {
                T *to = m + (i * vectors + k) * VL;
                V_(store)(to, onto ? V_(load)(to) + acc[i][k] : acc[i][k]);
            }
        onto = 1;
    } while (v < end);
}

/* One product; pixels split evenly over the tiles. */
FC_INLINE void FC_NAME(winograd_product_panel)(const struct fc_winograd_product_args *a, const T *v,
                                               const T *w, const T *next, T *m, const int vectors,
                                               const int whole) {
    const ptrdiff_t widest = FC_TILE_PIXELS(vectors), width = vectors * VL;
    ptrdiff_t tiles = (a->pixels + widest - 1) / widest, first = 0;
    /* a line of either half of the weights a step: as many tiles as there are such lines in a row */
    ptrdiff_t lines = (a->channels * width * (ptrdiff_t)sizeof(T) / 64 + 1) / 2, half = 64 * lines;
    const char *line = (const char *)next;
    for (; tiles > 0; tiles--) {
        ptrdiff_t pixels = (a->pixels - first + tiles - 1) / tiles;
        const T *x = v + first * a->v_pixel;
        T *y = m + first * width;
        ptrdiff_t step = lines > 0 ? 64 : 0;
#define FC_TILE_CASE(n) \
    case n: \
        if (FC_TILE_PIXELS(vectors) >= n) \
            FC_NAME(winograd_product_tile)(a, x, w, line, step, half, y, n, vectors, whole); \
        break;
        switch (pixels) {
            FC_TILE_CASE(1)
            FC_TILE_CASE(2)
            FC_TILE_CASE(3)
            FC_TILE_CASE(4)
            FC_TILE_CASE(5)
            FC_TILE_CASE(6)
            FC_TILE_CASE(7)
            FC_TILE_CASE(8)
        }
#undef FC_TILE_CASE
        first += pixels;
        line += step * a->channels;
        lines -= a->channels;
    }
}

FC_INLINE void FC_NAME(winograd_products)(const struct fc_winograd_product_args *a,
                                          const int vectors, const int whole) {
    const T *u = (const T *)a->u;
    for (ptrdiff_t xi = 0; xi < a->products; xi++)
        FC_NAME(winograd_product_panel)(a, (const T *)a->v + xi * a->v_xi, u + a->tap[xi],
                                        u + a->tap[xi + 1], (T *)a->m + xi * a->m_xi, vectors,
                                        whole);
}

/* As gemm's: the last vector by its lower half where that holds all filters. */
FC_INLINE void FC_NAME(winograd_product_width)(const struct fc_winograd_product_args *a,
                                               const int vectors) {
    if (FC_NARROW < VL && a->filters <= (vectors - 1) * VL + FC_NARROW)
        FC_NAME(winograd_products)(a, vectors, vectors - 1);
    else
        FC_NAME(winograd_products)(a, vectors, vectors);
}

static void FC_NAME(winograd_product)(const struct fc_winograd_product_args *a) {
    count_call();
    switch (a->vectors) {
    case 1: FC_NAME(winograd_product_width)(a, 1); break;
    case 2: FC_NAME(winograd_product_width)(a, 2); break;
#if FC_TILE_VECTORS >= 3
    case 3: FC_NAME(winograd_product_width)(a, 3); break;
    case 4: FC_NAME(winograd_product_width)(a, 4); break;
#endif
    }
}
