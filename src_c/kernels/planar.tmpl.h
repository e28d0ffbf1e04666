/* planar.tmpl.h: the microkernel of few channels or filters; its contract is above fc_planar_fn.
 *
 *            l: vectors * VL pixels
 *          +--------------------+
 *    x     |  one row a tap     |   loaded once a tap, shared by all filters of the tile
 *          +--------------------+
 *   w[i] * |  acc[i][v]         |   one broadcast of w[t][i] a tap and filter
 *  filters |                    |
 *          +--------------------+
 *
 * The roles of gemm.tmpl.h with vectors along the pixels: no lane is lost when there are 10 filters
 * of 16 lanes, and planes are read and written as they lie.
 */

FC_INLINE void FC_NAME(planar_tile)(const struct fc_planar_args *a, ptrdiff_t first,
                                    const int filters, const int vectors, const int masked) {
    const T *w = (const T *)a->w;
    const T *p[FC_MAX_TILE_VECTORS];
    V acc[FC_MAX_TILE_PIXELS][FC_MAX_TILE_VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) p[v] = (const T *)a->x + a->x_at[first + v];
#pragma GCC unroll 8
    for (int i = 0; i < filters; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) acc[i][v] = V_(set1)(((const T *)a->bias)[i]);

    for (ptrdiff_t t = 0; t < a->taps; t++, w += filters) {
        const ptrdiff_t tap = a->tap[t];
        V row[FC_MAX_TILE_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            row[v] = masked ? V_(loadn)(p[v] + tap, a->lanes) : V_(load)(p[v] + tap);
#pragma GCC unroll 8
        for (int i = 0; i < filters; i++) {
            V wi = V_(set1)(w[i]);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) acc[i][v] = V_(fma)(wi, row[v], acc[i][v]);
        }
    }

    V lo = V_(set1)((T)a->lo), hi = V_(set1)((T)a->hi);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        T *y = (T *)a->y + a->y_at[first + v];
#pragma GCC unroll 8
        for (int i = 0; i < filters; i++) {
            V out = V_(min)(hi, V_(max)(lo, acc[i][v]));
            if (masked)
                V_(storen)(y + i * a->ldy, out, a->lanes);
            else
                V_(store)(y + i * a->ldy, out);
        }
    }
}

/* Vectors split evenly over the tiles. */
FC_INLINE void FC_NAME(planar_vectors)(const struct fc_planar_args *a, const int filters,
                                       const int masked) {
    ptrdiff_t first = 0, tiles = (a->vectors + FC_TILE_VECTORS - 1) / FC_TILE_VECTORS;
    for (; tiles > 0; tiles--) {
        ptrdiff_t now = (a->vectors - first + tiles - 1) / tiles;
        switch (now) {
        case 1: FC_NAME(planar_tile)(a, first, filters, 1, masked); break;
        case 2: FC_NAME(planar_tile)(a, first, filters, 2, masked); break;
#if FC_TILE_VECTORS >= 3
        case 3: FC_NAME(planar_tile)(a, first, filters, 3, masked); break;
        case 4: FC_NAME(planar_tile)(a, first, filters, 4, masked); break;
#endif
        }
        first += now;
    }
}

FC_INLINE void FC_NAME(planar_filters)(const struct fc_planar_args *a, const int filters) {
    if (a->lanes < VL)
        FC_NAME(planar_vectors)(a, filters, 1);
    else
        FC_NAME(planar_vectors)(a, filters, 0);
}

static void FC_NAME(planar)(const struct fc_planar_args *a) {
    count_call();
    switch (a->filters) {
    case 1: FC_NAME(planar_filters)(a, 1); break;
    case 2: FC_NAME(planar_filters)(a, 2); break;
    case 3: FC_NAME(planar_filters)(a, 3); break;
    case 4: FC_NAME(planar_filters)(a, 4); break;
    case 5: FC_NAME(planar_filters)(a, 5); break;
    case 6: FC_NAME(planar_filters)(a, 6); break;
    }
}
