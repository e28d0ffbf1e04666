/* depthwise.tmpl.h: one filter a channel; the contracts are above fc_depthwise_fn.
 *
 * Input rows pass by, and all output rows that one adds to are in registers:
 *
 *      row of x        acc[0] += filter row 0      a window of `reach` output rows, which moves on
 *      s = 0 1 2 ...   acc[1] += filter row 1      by one for each `stride` input rows
 *                      acc[2] += filter row 2  ->  done: bounds, y
 *
 * depthwise_planar has vectors along the pixels of a row, each loaded once and shifted for the taps
 * of a filter row; where half a vector suffices, two planes share one. depthwise_last has vectors
 * along the channels, and a few pixels side by side.
 */
#define FC_DEPTHWISE_SIZE 7
#define FC_DEPTHWISE_TILE 4 /* vectors or pixels side by side, at most */
#define FC_DEPTHWISE_PIXELS (FC_TILE_VECTORS >= 3 ? 4 : 2) /* with 32 registers, or 16 */
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

/* The same of two planes, VL / 2 pixels of each. */
FC_INLINE V FC_NAME(depthwise_pair_tap)(const T *row, const T *other, M inside, const int stride) {
    if (stride == 1) return V_(load_two)(row, other, inside);
    return V_(even)(V_(loadm)(row, inside), V_(loadm)(other, inside));
}

/* Output columns [q, q + vectors * VL) of a plane; pair: [q, q + VL / 2) of this one and the next. */
FC_INLINE void FC_NAME(depthwise_columns)(const struct fc_depthwise_args *a, ptrdiff_t channel,
                                          ptrdiff_t q, const int size, const int stride,
                                          const int vectors, const int pair) {
    const int inputs = pair ? size : (vectors + (size - 1) / stride / (int)VL + 1) * stride;
    const int reach = (size + stride - 1) / stride;
    const ptrdiff_t left = a->left + q * stride, columns = a->columns - q;
    const T *x = (const T *)a->x + channel * a->x_channel + left, *w = (const T *)a->w + channel;
    const T *bias = (const T *)a->bias + channel;
    T *y = (T *)a->y + channel * a->y_channel + q;
    const V start = pair ? V_(halves)(bias[0], bias[1]) : V_(set1)(bias[0]);
    const V lo = V_(set1)((T)a->lo), hi = V_(set1)((T)a->hi);
    M inside[FC_DEPTHWISE_INPUTS];
    V weight[FC_DEPTHWISE_SIZE * FC_DEPTHWISE_SIZE], acc[FC_DEPTHWISE_SIZE][FC_DEPTHWISE_TILE];
#pragma GCC unroll 13
    for (int v = 0; v < inputs; v++) inside[v] = V_(inside)(left + (pair ? v : v * VL), a->width);
#pragma GCC unroll 49
    for (int t = 0; t < size * size; t++)
        weight[t] = pair ? V_(halves)(w[t * VL], w[t * VL + 1]) : V_(set1)(w[t * VL]);
    FC_NAME(depthwise_start)(acc, start, reach, vectors);

    /* p: the row that is done when this input has been added */
    for (ptrdiff_t p = 1 - reach; p < a->rows; p++) {
#pragma GCC unroll 2
        for (int phase = 0; phase < stride; phase++) {
            const ptrdiff_t h = a->top + (p + reach - 1) * stride + phase;
            if (h < 0 || h >= a->height) continue;
            const T *row = x + h * a->x_row;
            V in[FC_DEPTHWISE_INPUTS];
#pragma GCC unroll 13
            for (int v = 0; v < inputs; v++)
                in[v] = pair ? FC_NAME(depthwise_pair_tap)(row + v, row + a->x_channel + v,
                                                           inside[v], stride)
                             : V_(loadm)(row + v * VL, inside[v]);
            if (stride == 2 && !pair) {
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
                    V tap = pair ? in[s] : FC_NAME(depthwise_tap)(in, v, s, stride);
#pragma GCC unroll 7
                    for (int i = 0; i * stride + phase < size; i++)
                        acc[i][v] =
                            V_(fma)(tap, weight[(i * stride + phase) * size + s], acc[i][v]);
                }
        }
        if (p >= 0) {
            T *out = y + p * a->y_row;
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) {
                V sum = V_(min)(hi, V_(max)(lo, acc[reach - 1][v]));
                if (pair)
                    V_(store_halves)(out, out + a->y_channel, sum, columns);
                else
                    V_(store_some)(out + v * VL, sum, columns - v * VL);
            }
        }
        FC_NAME(depthwise_advance)(acc, start, reach, vectors);
    }
}

/* Half a vector or less at the end of rows takes another plane's along. */
FC_INLINE void FC_NAME(depthwise_planes)(const struct fc_depthwise_args *a, const int size,
                                         const int stride, const int vectors) {
    const ptrdiff_t whole = a->columns / VL * VL, rest = a->columns - whole;
    const int pairs = VL >= 8 && rest > 0 && rest <= VL / 2;
    for (ptrdiff_t c = 0; c < a->channels; c++) {
        const ptrdiff_t end = pairs && (c % 2 || c + 1 < a->channels) ? whole : a->columns;
        ptrdiff_t q = 0;
        if (vectors == 2)
            for (; q + VL < end; q += 2 * VL)
                FC_NAME(depthwise_columns)(a, c, q, size, stride, 2, 0);
        for (; q < end; q += VL) FC_NAME(depthwise_columns)(a, c, q, size, stride, 1, 0);
        if (VL >= 8 && end < a->columns && c % 2)
            FC_NAME(depthwise_columns)(a, c - 1, whole, size, stride, 1, 1);
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

/* whole: of all lanes, which is faster */
FC_INLINE V FC_NAME(depthwise_load)(const T *p, M lanes, const int whole) {
    return whole ? V_(load)(p) : V_(loadm)(p, lanes);
}

FC_INLINE void FC_NAME(depthwise_store)(T *p, V v, M lanes, const int whole) {
    if (whole)
        V_(store)(p, v);
    else
        V_(storem)(p, v, lanes);
}

/* What an input row adds to rows [first, last) of the window; row is column `left` of the image, with zeros
 * around. */
FC_INLINE void FC_NAME(depthwise_row)(const struct fc_depthwise_args *a, const T *row, M lanes,
                                      ptrdiff_t left, const T *w, V acc[][FC_DEPTHWISE_TILE],
                                      ptrdiff_t first, ptrdiff_t last, const int phase,
                                      const int size, const int stride, const int pixels,
                                      const int whole) {
    const int inputs = (pixels - 1) * stride + size;
    V in[FC_DEPTHWISE_INPUTS];
    if (left >= 0 && left + inputs <= a->width)
#pragma GCC unroll 13
        for (int j = 0; j < inputs; j++)
            in[j] = FC_NAME(depthwise_load)(row + j * a->x_pixel, lanes, whole);
    else
#pragma GCC unroll 13
        for (int j = 0; j < inputs; j++)
            in[j] = left + j >= 0 && left + j < a->width
                        ? FC_NAME(depthwise_load)(row + j * a->x_pixel, lanes, whole)
                        : V_(set1)(0);
#pragma GCC unroll 7
    for (int i = 0; i * stride + phase < size; i++) {
        if (i < first || i >= last) continue;
#pragma GCC unroll 7
        for (int s = 0; s < size; s++) {
            V weight = V_(load)(w + ((i * stride + phase) * size + s) * VL);
            FC_PIN(weight);
#pragma GCC unroll 4
            for (int v = 0; v < pixels; v++)
                acc[i][v] = V_(fma)(in[v * stride + s], weight, acc[i][v]);
        }
    }
}

/* `pixels` output columns of one vector of channels. */
FC_INLINE void FC_NAME(depthwise_pixels)(const struct fc_depthwise_args *args, ptrdiff_t q,
                                         ptrdiff_t channel, const int size, const int stride,
                                         const int pixels, const int whole) {
    const struct fc_depthwise_args own = *args, *a = &own; /* stores cannot change it */
    const int reach = (size + stride - 1) / stride;
    const ptrdiff_t left = a->left + q * stride;
    const T *x = (const T *)a->x + left * a->x_pixel + channel;
    const T *w = (const T *)a->w + channel * size * size;
    T *y = (T *)a->y + q * a->y_pixel + channel;
    const V bias = V_(load)((const T *)a->bias + channel);
    const V lo = V_(set1)((T)a->lo), hi = V_(set1)((T)a->hi);
    const M lanes = V_(inside)(channel, a->channels);
    V acc[FC_DEPTHWISE_SIZE][FC_DEPTHWISE_TILE];
    FC_NAME(depthwise_start)(acc, bias, reach, pixels);
    for (ptrdiff_t p = 1 - reach; p < a->rows; p++) {
        /* acc[i] is of output row p + reach - 1 - i, which may be none */
        const ptrdiff_t last = p + reach, first = last - a->rows;
#pragma GCC unroll 2
        for (int phase = 0; phase < stride; phase++) {
            const ptrdiff_t h = a->top + (p + reach - 1) * stride + phase;
            if (h < 0 || h >= a->height) continue;
            const T *row = x + h * a->x_row;
            FC_NAME(depthwise_row)(a, row, lanes, left, w, acc, first, last, phase, size, stride,
                                   pixels, whole);
        }
        if (p >= 0) {
#pragma GCC unroll 4
            for (int v = 0; v < pixels; v++)
                if (q + v < a->columns)
                    FC_NAME(depthwise_store)(y + p * a->y_row + v * a->y_pixel,
                                             V_(min)(hi, V_(max)(lo, acc[reach - 1][v])), lanes,
                                             whole);
        }
        FC_NAME(depthwise_advance)(acc, bias, reach, pixels);
    }
}

FC_INLINE void FC_NAME(depthwise_tiles)(const struct fc_depthwise_args *a, const int size,
                                        const int stride, const int pixels) {
    for (ptrdiff_t q = 0; q < a->columns; q += pixels) {
        ptrdiff_t c = 0;
        for (; c + VL <= a->channels; c += VL)
            FC_NAME(depthwise_pixels)(a, q, c, size, stride, pixels, 1);
        if (c < a->channels) FC_NAME(depthwise_pixels)(a, q, c, size, stride, pixels, 0);
    }
}

static void FC_NAME(depthwise_last)(const struct fc_depthwise_args *a) {
    count_call();
    switch (a->size * 2 + a->stride) {
    case 3 * 2 + 1: FC_NAME(depthwise_tiles)(a, 3, 1, FC_DEPTHWISE_PIXELS); break;
    case 3 * 2 + 2: FC_NAME(depthwise_tiles)(a, 3, 2, FC_DEPTHWISE_PIXELS); break;
    case 5 * 2 + 1: FC_NAME(depthwise_tiles)(a, 5, 1, FC_DEPTHWISE_PIXELS); break;
    case 5 * 2 + 2: FC_NAME(depthwise_tiles)(a, 5, 2, FC_DEPTHWISE_PIXELS); break;
    case 7 * 2 + 1: FC_NAME(depthwise_tiles)(a, 7, 1, 2); break;
    case 7 * 2 + 2: FC_NAME(depthwise_tiles)(a, 7, 2, FC_DEPTHWISE_PIXELS); break;
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
#undef FC_DEPTHWISE_PIXELS
#undef FC_DEPTHWISE_INPUTS
