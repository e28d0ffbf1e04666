/* gemm.tmpl.h: the register-tile microkernel; its contract is above fc_gemm_fn.
 *
 *            k: filters, the last vector perhaps narrow
 *          +--------------------+
 *    w     |  one row a step    |   loaded once, shared by all pixels of the tile
 *          +--------------------+
 *   x[i] * |  acc[i][v]         |   one broadcast of x[x_at[i] + ...] a step and pixel
 *  pixels  |                    |
 *          +--------------------+
 *
 * The accumulators of a tile stay in registers over the whole reduction. Pixels are free pointers,
 * so a tile may straddle rows, have any stride, and never tests an edge.
 */

FC_INLINE V FC_NAME(row_vector)(const T *w, const int v, const int whole) {
    return v < whole ? V_(load)(w + v * VL) : V_(load_low)(w + v * VL);
}

/* Of the tile's vectors the first `whole` are that. */
FC_INLINE void FC_NAME(tile)(const struct fc_gemm_args *a, ptrdiff_t first, const int pixels,
                             const int vectors, const int whole) {
    const ptrdiff_t width = whole * VL + (vectors - whole) * FC_NARROW;
    const T *bias = (const T *)a->bias;
    V acc[FC_MAX_TILE_PIXELS][FC_MAX_TILE_VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++)
#pragma GCC unroll 8
        for (int i = 0; i < pixels; i++) acc[i][v] = FC_NAME(row_vector)(bias, v, whole);

    const T *addend = (const T *)a->addend;
    const ptrdiff_t *addend_at = addend ? a->addend_at + first : NULL;
    if (addend) /* it comes while the tile is summed */
#pragma GCC unroll 8
        for (int i = 0; i < pixels; i++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) __builtin_prefetch(addend + addend_at[i] + v * VL);

    ptrdiff_t at[FC_MAX_TILE_PIXELS];
#pragma GCC unroll 8
    for (int i = 0; i < pixels; i++) at[i] = a->x_at[first + i];
    const ptrdiff_t step = a->step, length = a->run_length * width, w_run = a->w_run * width;
    const ptrdiff_t *end = a->run + a->runs;
    const T *x = (const T *)a->x, *w_row = (const T *)a->w;
    for (ptrdiff_t r = a->rows; r > 0; r--, x += a->x_row, w_row += a->w_row * width) {
        const T *w_first = w_row;
        for (const ptrdiff_t *run = a->run; run < end; run++, w_first += w_run) {
            const T *p = x + *run, *w = w_first;
            for (const T *last = w + length; w < last; w += width, p += step) {
                /* one pointer and an index a pixel: nothing to set up for a run */
                __asm__("" : "+r"(p));
                V row[FC_MAX_TILE_VECTORS];
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++) row[v] = FC_NAME(row_vector)(w, v, whole);
#pragma GCC unroll 8
                for (int i = 0; i < pixels; i++) {
                    V xi = V_(set1)(p[at[i]]);
#pragma GCC unroll 4
                    for (int v = 0; v < vectors; v++)
                        acc[i][v] = v < whole ? V_(fma)(xi, row[v], acc[i][v])
                                              : V_(fma_low)(xi, row[v], acc[i][v]);
                }
            }
        }
    }

    V lo = V_(set1)((T)a->lo), hi = V_(set1)((T)a->hi);
    const ptrdiff_t tail = a->filters - (vectors - 1) * VL, *y_at = a->y_at + first;
    if (addend)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
#pragma GCC unroll 8
            for (int i = 0; i < pixels; i++)
                acc[i][v] += v < vectors - 1 || tail >= VL
                                 ? V_(load)(addend + addend_at[i] + v * VL)
                                 : V_(loadn)(addend + addend_at[i] + v * VL, tail);
#pragma GCC unroll 8
    for (int i = 0; i < pixels; i++) {
        T *y = (T *)a->y + y_at[i];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            V out = V_(min)(hi, V_(max)(lo, acc[i][v]));
            if (v < vectors - 1 || tail >= VL)
                V_(store)(y + v * VL, out);
            else
                V_(storen)(y + v * VL, out, tail);
        }
    }
}

/* Pixels split evenly over the tiles: 27 are 7 + 7 + 7 + 6, never 8 + 8 + 8 + 3. */
FC_INLINE void FC_NAME(tiles)(const struct fc_gemm_args *a, const int vectors, const int whole) {
    const ptrdiff_t widest = FC_TILE_PIXELS(vectors);
    ptrdiff_t tiles = (a->pixels + widest - 1) / widest;
    ptrdiff_t first = 0;
    for (; tiles > 0; tiles--) {
        ptrdiff_t pixels = (a->pixels - first + tiles - 1) / tiles;
        switch (pixels) {
        case 1: FC_NAME(tile)(a, first, 1, vectors, whole); break;
        case 2: FC_NAME(tile)(a, first, 2, vectors, whole); break;
        case 3: FC_NAME(tile)(a, first, 3, vectors, whole); break;
        case 4: FC_NAME(tile)(a, first, 4, vectors, whole); break;
        case 5: FC_NAME(tile)(a, first, 5, vectors, whole); break;
        case 6: FC_NAME(tile)(a, first, 6, vectors, whole); break;
#define FC_TILE_CASE(n) \
    case n: \
        if (FC_TILE_PIXELS(vectors) >= n) FC_NAME(tile)(a, first, n, vectors, whole); \
        break;
            FC_TILE_CASE(7)
            FC_TILE_CASE(8)
#undef FC_TILE_CASE
        }
        first += pixels;
    }
}

FC_INLINE void FC_NAME(panel)(const struct fc_gemm_args *a, const int vectors) {
    if (FC_NARROW < VL && a->filters <= (vectors - 1) * VL + FC_NARROW)
        FC_NAME(tiles)(a, vectors, vectors - 1);
    else
        FC_NAME(tiles)(a, vectors, vectors);
}

static void FC_NAME(gemm)(const struct fc_gemm_args *a) {
    count_call();
    switch (a->vectors) {
    case 1: FC_NAME(panel)(a, 1); break;
    case 2: FC_NAME(panel)(a, 2); break;
#if FC_TILE_VECTORS >= 3
    case 3: FC_NAME(panel)(a, 3); break;
    case 4: FC_NAME(panel)(a, 4); break;
#endif
    }
}

/* Twelve independent chains: enough to hide the latency of two multiply-adds a cycle. */
static double FC_NAME(fma_peak)(int64_t iterations) {
    enum { CHAINS = 12 };
    V acc[CHAINS];
    V a = V_(set1)(FC_REAL(0.999)), b = V_(set1)(FC_REAL(0.001));
#pragma GCC unroll 12
    for (int c = 0; c < CHAINS; c++) acc[c] = V_(set1)((T)c);
    for (int64_t k = 0; k < iterations; k++) {
#pragma GCC unroll 12
        for (int c = 0; c < CHAINS; c++) acc[c] = V_(fma)(acc[c], a, b);
        /* the chains are needed, step by step */
        __asm__ volatile("" ::: "memory");
    }
#pragma GCC unroll 12
    for (int c = 1; c < CHAINS; c++) acc[0] = V_(max)(acc[c], acc[0]);
    T sink = acc[0][0];
    __asm__ volatile("" : : "r"(&sink) : "memory");
    return 2.0 * CHAINS * (double)VL * (double)iterations;
}
