/* depthwise.tmpl.h: one filter a channel; the contracts are above fc_depthwise_fn.
 *
 * Input rows pass by, and all output rows that one adds to are in registers:
 *
 *      row of x        acc[0] += filter row 0      a window of `reach` output rows, which moves on
 *      s = 0 1 2 ...   acc[1] += filter row 1      by one for each `stride` input rows
 *                      acc[2] += filter row 2  ->  done: bounds, y
 *
 * depthwise_planar has vectors along the pixels of a row, each loaded once and shifted for the taps
 * of a filter row; depthwise_last has vectors along the channels, and a few pixels side by side.
 */
#define FC_DEPTHWISE_SIZE 7
#define FC_DEPTHWISE_TILE 4 /* vectors or pixels side by side */
/* vectors (two phases of at most 2, and what a filter reaches over their end) or pixels of a row */
#define FC_DEPTHWISE_INPUTS 13

FC_INLINE void FC_NAME(depthwise_start)(V acc[][FC_DEPTHWISE_TILE], V bias, const int reach,
                                        const int tile) {
#pragma GCC unroll 7
    for (int i = 0; i < reach; i++)
#pragma GCC unroll 4
        for (int v = 0; v < tile; v++) acc[i][v] = bias;
}

FC_INLINE void FC_NAME(depthwise_advance)(V acc[][FC_DEPTHWISE_TILE], V bias, const int reach,
                                          const int tile) {
#pragma GCC unroll 4
    for (int v = 0; v < tile; v++) {
#pragma GCC unroll 7
        for (int i = reach - 1; i > 0; i--) acc[i][v] = acc[i - 1][v];
        acc[0][v] = bias;
    }
}

/* The vector under tap s: elements v * VL * stride + s, + stride, ... of a row that is split by phase. */
FC_INLINE V FC_NAME(depthwise_tap)(const V *in, const int v, const int s, const int stride) {
    const int shift = s / stride, phase = s % stride, at = v + shift / (int)VL;
    return V_(shift)(in[at * stride + phase], in[(at + 1) * stride + phase], shift % (int)VL);
}

/* Output columns [q, q + vectors * VL) of one plane. */
FC_INLINE void FC_NAME(depthwise_columns)(const struct fc_depthwise_args *a, const T *x, const T *w,
                                          T bias, T *y, ptrdiff_t q, const int size,
                                          const int stride, const int vectors) {
    const int inputs = (vectors + (size - 1) / stride / (int)VL + 1) * stride;
    const int reach = (size + stride - 1) / stride;
    const ptrdiff_t left = a->left + q * stride;
    const V start = V_(set1)(bias), lo = V_(set1)((T)a->lo), hi = V_(set1)((T)a->hi);
    M inside[FC_DEPTHWISE_INPUTS];
    V weight[FC_DEPTHWISE_SIZE * FC_DEPTHWISE_SIZE], acc[FC_DEPTHWISE_SIZE][FC_DEPTHWISE_TILE];
#pragma GCC unroll 13
    for (int v = 0; v < inputs; v++) inside[v] = V_(inside)(left + v * VL, a->width);
#pragma GCC unroll 49
    for (int t = 0; t < size * size; t++) weight[t] = V_(set1)(w[t * VL]);
    FC_NAME(depthwise_start)(acc, start, reach, vectors);

    /* p: the row that is done when this input has been added */
    for (ptrdiff_t p = 1 - reach; p < a->rows; p++) {
#pragma GCC unroll 2
        for (int phase = 0; phase < stride; phase++) {
            const ptrdiff_t h = a->top + (p + reach - 1) * stride + phase;
            if (h < 0 || h >= a->height) continue;
            const T *row = x + h * a->x_row + left;
            V in[FC_DEPTHWISE_INPUTS];
#pragma GCC unroll 13
            for (int v = 0; v < inputs; v++) in[v] = V_(loadm)(row + v * VL, inside[v]);
            if (stride == 2) {
#pragma GCC unroll 13
                for (int v = 0; v < inputs; v += 2) {
                    V even = V_(even)(in[v], in[v + 1]), odd = V_(odd)(in[v], in[v + 1]);
                    in[v] = even;
                    in[v + 1] = odd;
                }
            }
#pragma GCC unroll 7
            for (int s = 0; s < size; s++)
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++) {
                    V tap = FC_NAME(depthwise_tap)(in, v, s, stride);
#pragma GCC unroll 7
                    for (int i = 0; i * stride + phase < size; i++)
                        acc[i][v] =
                            V_(fma)(tap, weight[(i * stride + phase) * size + s], acc[i][v]);
                }
        }
        if (p >= 0) {
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                V_(store_some)(y + p * a->y_row + q + v * VL,
                               V_(min)(hi, V_(max)(lo, acc[reach - 1][v])),
                               a->columns - q - v * VL);
        }
        FC_NAME(depthwise_advance)(acc, start, reach, vectors);
    }
}

FC_INLINE void FC_NAME(depthwise_planes)(const struct fc_depthwise_args *a, const int size,
                                         const int stride, const int vectors) {
    for (ptrdiff_t c = 0; c < a->channels; c++) {
        const T *x = (const T *)a->x + c * a->x_channel, *w = (const T *)a->w + c;
        T *y = (T *)a->y + c * a->y_channel, bias = ((const T *)a->bias)[c];
        ptrdiff_t q = 0;
        if (vectors == 2)
            for (; q + VL < a->columns; q += 2 * VL)
                FC_NAME(depthwise_columns)(a, x, w, bias, y, q, size, stride, 2);
        for (; q < a->columns; q += VL)
            FC_NAME(depthwise_columns)(a, x, w, bias, y, q, size, stride, 1);
    }
}

static void FC_NAME(depthwise_planar)(const struct fc_depthwise_args *a) {
    count_call();
    switch (a->size * 2 + a->stride) {
    case 3 * 2 + 1: FC_NAME(depthwise_planes)(a, 3, 1, 2); break;
    case 3 * 2 + 2: FC_NAME(depthwise_planes)(a, 3, 2, 2); break;
    case 5 * 2 + 1: FC_NAME(depthwise_planes)(a, 5, 1, 1); break;
    case 5 * 2 + 2: FC_NAME(depthwise_planes)(a, 5, 2, 1); break;
    case 7 * 2 + 1: FC_NAME(depthwise_planes)(a, 7, 1, 1); break;
    case 7 * 2 + 2: FC_NAME(depthwise_planes)(a, 7, 2, 1); break;
    }
}

/* What input row h, whose pixels from `left` on are at row, adds to the outputs [first, last) of the
 * window; whole: all of the window, and all of these pixels are in the image. */
FC_INLINE void FC_NAME(depthwise_row)(const struct fc_depthwise_args *a, const T *row, M lanes,
                                      ptrdiff_t left, const T *w, V acc[][FC_DEPTHWISE_TILE],
                                      ptrdiff_t first, ptrdiff_t last, const int phase,
                                      const int size, const int stride, const int pixels,
                                      const int whole) {
#pragma GCC unroll 13
    for (int j = 0; j < (pixels - 1) * stride + size; j++) {
        if (!whole && (left + j < 0 || left + j >= a->width)) continue;
        V x = V_(loadm)(row + j * a->x_pixel, lanes);
#pragma GCC unroll 7
        for (int i = 0; i * stride + phase < size; i++) {
            if (!whole && (i < first || i >= last)) continue;
#pragma GCC unroll 4
            for (int v = 0; v < pixels; v++) {
                const int s = j - v * stride;
                if (s < 0 || s >= size) continue;
                V weight = V_(load)(w + ((i * stride + phase) * size + s) * VL);
                acc[i][v] = V_(fma)(x, weight, acc[i][v]);
            }
        }
    }
}

/* `pixels` output columns of one vector of channels. */
FC_INLINE void FC_NAME(depthwise_pixels)(const struct fc_depthwise_args *a, ptrdiff_t q,
                                         ptrdiff_t channel, const int size, const int stride,
                                         const int pixels) {
    const int reach = (size + stride - 1) / stride, inputs = (pixels - 1) * stride + size;
    const ptrdiff_t left = a->left + q * stride;
    const T *x = (const T *)a->x + left * a->x_pixel + channel;
    const T *w = (const T *)a->w + channel * size * size;
    T *y = (T *)a->y + q * a->y_pixel + channel;
    const V bias = V_(load)((const T *)a->bias + channel);
    const V lo = V_(set1)((T)a->lo), hi = V_(set1)((T)a->hi);
    const M lanes = V_(inside)(channel, a->channels);
    const int inner = left >= 0 && left + inputs <= a->width;
    V acc[FC_DEPTHWISE_SIZE][FC_DEPTHWISE_TILE];
    FC_NAME(depthwise_start)(acc, bias, reach, pixels);
    for (ptrdiff_t p = 1 - reach; p < a->rows; p++) {
        /* acc[i] is of output row p + reach - 1 - i */
        const ptrdiff_t first = p + reach - a->rows, last = p + reach;
#pragma GCC unroll 2
        for (int phase = 0; phase < stride; phase++) {
            const ptrdiff_t h = a->top + (p + reach - 1) * stride + phase;
            if (h < 0 || h >= a->height) continue;
            const T *row = x + h * a->x_row;
            if (inner && first <= 0 && last >= reach)
                FC_NAME(depthwise_row)(a, row, lanes, left, w, acc, first, last, phase, size,
                                       stride, pixels, 1);
            else
                FC_NAME(depthwise_row)(a, row, lanes, left, w, acc, first, last, phase, size,
                                       stride, pixels, 0);
        }
        if (p >= 0) {
#pragma GCC unroll 4
            for (int v = 0; v < pixels; v++)
                if (q + v < a->columns)
                    V_(storem)(y + p * a->y_row + v * a->y_pixel,
                               V_(min)(hi, V_(max)(lo, acc[reach - 1][v])), lanes);
        }
        FC_NAME(depthwise_advance)(acc, bias, reach, pixels);
    }
}

FC_INLINE void FC_NAME(depthwise_tiles)(const struct fc_depthwise_args *a, const int size,
                                        const int stride, const int pixels) {
    for (ptrdiff_t q = 0; q < a->columns; q += pixels)
        for (ptrdiff_t c = 0; c < a->channels; c += VL)
            FC_NAME(depthwise_pixels)(a, q, c, size, stride, pixels);
}

static void FC_NAME(depthwise_last)(const struct fc_depthwise_args *a) {
    count_call();
    switch (a->size * 2 + a->stride) {
    case 3 * 2 + 1: FC_NAME(depthwise_tiles)(a, 3, 1, 4); break;
    case 3 * 2 + 2: FC_NAME(depthwise_tiles)(a, 3, 2, 4); break;
    case 5 * 2 + 1: FC_NAME(depthwise_tiles)(a, 5, 1, 2); break;
    case 5 * 2 + 2: FC_NAME(depthwise_tiles)(a, 5, 2, 2); break;
    case 7 * 2 + 1: FC_NAME(depthwise_tiles)(a, 7, 1, 2); break;
    case 7 * 2 + 2: FC_NAME(depthwise_tiles)(a, 7, 2, 2); break;
    }
}

FC_INLINE void FC_NAME(depthwise_taps_tile)(const struct fc_depthwise_taps_args *a, ptrdiff_t first,
                                            const int pixels) {
    const T *x = (const T *)a->x + first * a->x_pixel, *w = (const T *)a->w;
    V acc[8];
#pragma GCC unroll 8
    for (int i = 0; i < pixels; i++) acc[i] = V_(load)((const T *)a->bias);
    for (ptrdiff_t t = 0; t < a->taps; t++, w += VL) {
        const T *tap = x + a->tap[t];
        const V weight = V_(load)(w);
#pragma GCC unroll 8
        for (int i = 0; i < pixels; i++)
            acc[i] = V_(fma)(V_(load)(tap + i * a->x_pixel), weight, acc[i]);
    }
    T *y = (T *)a->y + first * a->y_pixel;
    const V lo = V_(set1)((T)a->lo), hi = V_(set1)((T)a->hi);
#pragma GCC unroll 8
    for (int i = 0; i < pixels; i++)
        V_(store_some)(y + i * a->y_pixel, V_(min)(hi, V_(max)(lo, acc[i])), a->channels);
}

static void FC_NAME(depthwise_taps)(const struct fc_depthwise_taps_args *a) {
    count_call();
    ptrdiff_t first = 0;
    for (ptrdiff_t tiles = (a->pixels + 7) / 8; tiles > 0; tiles--) {
        ptrdiff_t pixels = (a->pixels - first + tiles - 1) / tiles;
        switch (pixels) {
        case 1: FC_NAME(depthwise_taps_tile)(a, first, 1); break;
        case 2: FC_NAME(depthwise_taps_tile)(a, first, 2); break;
        case 3: FC_NAME(depthwise_taps_tile)(a, first, 3); break;
        case 4: FC_NAME(depthwise_taps_tile)(a, first, 4); break;
        case 5: FC_NAME(depthwise_taps_tile)(a, first, 5); break;
        case 6: FC_NAME(depthwise_taps_tile)(a, first, 6); break;
        case 7: FC_NAME(depthwise_taps_tile)(a, first, 7); break;
        case 8: FC_NAME(depthwise_taps_tile)(a, first, 8); break;
        }
        first += pixels;
    }
}

#undef FC_DEPTHWISE_SIZE
#undef FC_DEPTHWISE_TILE
#undef FC_DEPTHWISE_INPUTS
