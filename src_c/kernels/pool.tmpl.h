/* pool.tmpl.h: window reductions in registers; contracts above fc_pool_fn and the next ones.
 *
 * Planar: the rows of a window that lie in the image meet in a vector of columns; then the columns
 * of a window, by shifting vectors against each other (and taking every second or third lane at strides of 2 and 3).
 * Channels last: lanes are channels; columns that neighbouring windows share stay in registers.
 */

FC_INLINE V V_(reduce)(const enum fc_reduce_op op, V a, V b) {
    return op == FC_REDUCE_MAX ? V_(max_nan)(a, b) : a + b;
}
FC_INLINE V V_(reduce3)(const enum fc_reduce_op op, V a, V b, V c) {
    return op == FC_REDUCE_MAX ? V_(max_nan3)(a, b, c) : a + b + c;
}

/* A block of columns: what the rows of a plane have in common there. Outputs are as many as the block
 * holds whole windows for, so that blocks do not wait for each other. */
#define FC_POOL_PAIR(stride) \
    ((stride) >= 2 || VL <= 4) /* whether it takes two vectors of columns */
struct FC_NAME(block) {
    M low, high; /* lanes inside the image, of the block's first vector and its second */
    int whole;   /* all of them */
    ptrdiff_t outputs;
    V rest;    /* neutral: what counts outside */
    V divisor; /* of the columns */
};

/* Rows of outputs under one another that see equally many input rows. */
struct FC_NAME(rows) {
    const T *x;
    T *y;
    ptrdiff_t count, taps;
    ptrdiff_t x_step, y_step; /* from one output row to the next */
    ptrdiff_t tap_step;
    const T *divisor;
};

FC_INLINE V FC_NAME(load_part)(const int whole, const T *p, M lanes, V rest) {
    return whole ? V_(load)(p) : V_(loadm_over)(rest, p, lanes);
}

/* A vector of columns, reduced over the rows of a window; taps is a literal or 0. */
FC_INLINE V FC_NAME(vertical)(const enum fc_reduce_op op, const int taps, const int whole,
                              const struct FC_NAME(rows) * r, const T *p, M lanes, V rest) {
    const ptrdiff_t count = taps ? taps : r->taps, step = r->tap_step;
    V a = count ? FC_NAME(load_part)(whole, p, lanes, rest) : rest;
    if (count < 2) return a;
    V b = FC_NAME(load_part)(whole, p + step, lanes, rest);
    if (count == 2) return V_(reduce)(op, a, b);
    a = V_(reduce3)(op, a, b, FC_NAME(load_part)(whole, p + 2 * step, lanes, rest));
    ptrdiff_t t = 3;
    for (; t + 1 < count; t += 2)
        a = V_(reduce3)(op, a, FC_NAME(load_part)(whole, p + t * step, lanes, rest),
                        FC_NAME(load_part)(whole, p + (t + 1) * step, lanes, rest));
    if (t < count) a = V_(reduce)(op, a, FC_NAME(load_part)(whole, p + t * step, lanes, rest));
    return a;
}

FC_INLINE void FC_NAME(block_rows)(const enum fc_reduce_op op, const int taps, const int whole,
                                   const int window, const int stride,
                                   const struct FC_NAME(block) * b, struct FC_NAME(rows) r) {
    const M low_lanes = b->low, high_lanes = b->high;
    const ptrdiff_t outputs = b->outputs;
    const V rest = b->rest, divisor = b->divisor;
    for (ptrdiff_t k = 0; k < r.count; k++, r.x += r.x_step, r.y += r.y_step) {
        V out, low = FC_NAME(vertical)(op, taps, whole, &r, r.x, low_lanes, rest);
        V high = low;
        if (FC_POOL_PAIR(stride))
            high = FC_NAME(vertical)(op, taps, whole, &r, r.x + VL, high_lanes, rest);
        if (stride == 1) {
            V next = V_(shift)(low, high, 1);
            if (window == 2)
                out = V_(reduce)(op, low, next);
            else
                out = V_(reduce3)(op, low, next, V_(shift)(low, high, 2));
            if (window == 5)
                out = V_(reduce3)(op, out, V_(shift)(low, high, 3), V_(shift)(low, high, 4));
        } else if (stride == 3) {
            out = V_(reduce3)(op, V_(third)(low, high, 0), V_(third)(low, high, 1),
                              V_(third)(low, high, 2));
        } else {
            V even = V_(even)(low, high), odd = V_(odd)(low, high);
            out = window == 2 ? V_(reduce)(op, even, odd)
                              : V_(reduce3)(op, even, odd, V_(shift)(even, even, 1));
        }
        if (op == FC_REDUCE_SUM) out = out / (divisor * V_(set1)(r.divisor[k]));
        V_(store_some)(r.y, out, outputs);
    }
}

/* The part of window o that lies in the image, along an axis of `size` pixels: the first pixel, and
 * how many taps from there on. */
FC_INLINE ptrdiff_t FC_NAME(window_part)(const struct fc_pool_args *a, const int axis, ptrdiff_t o,
                                         ptrdiff_t size, ptrdiff_t *taps) {
    ptrdiff_t at = o * a->stride[axis] - a->pad[axis], step = a->dilation[axis];
    ptrdiff_t count = a->kernel[axis];
    if (at < 0) {
        ptrdiff_t skip = (step - 1 - at) / step;
        at += skip * step;
        count -= skip;
    }
    ptrdiff_t room = size - at;
    if ((count - 1) * step >= room) count = room > 0 ? (room - 1) / step + 1 : 0;
    *taps = count;
    return at;
}

/* Output rows [first, last) of one block of columns from output q on. */
FC_INLINE void FC_NAME(pool_block)(const enum fc_reduce_op op, const int window, const int stride,
                                   const struct fc_pool_args *a, const struct FC_NAME(block) * b,
                                   const T *x, T *y, ptrdiff_t first, ptrdiff_t last) {
    const ptrdiff_t reach = (a->kernel[0] - 1) * a->dilation[0];
    struct FC_NAME(rows) r = {
        .x_step = a->stride[0] * a->x_row,
        .y_step = a->y_row,
        .tap_step = a->dilation[0] * a->x_row,
    };
    for (ptrdiff_t p = first; p < last; p += r.count) {
        ptrdiff_t h = p * a->stride[0] - a->pad[0];
        ptrdiff_t room = a->height - reach - h; /* windows that begin before it fit */
        r.divisor = (const T *)a->row_divisor + p;
        r.y = y + p * a->y_row;
        if (h < 0 || room <= 0) {
            h = FC_NAME(window_part)(a, 0, p, a->height, &r.taps);
            r.x = r.taps > 0 ? x + h * a->x_row : x;
            if (r.taps < 0) r.taps = 0;
            r.count = 1;
            FC_NAME(block_rows)(op, 0, 0, window, stride, b, r);
            continue;
        }
        r.x = x + h * a->x_row;
        r.taps = a->kernel[0];
        r.count = last - p;
        while ((r.count - 1) * a->stride[0] >= room) r.count--;
        if (r.taps != window)
            FC_NAME(block_rows)(op, 0, 0, window, stride, b, r);
        else if (b->whole)
            FC_NAME(block_rows)(op, window, 1, window, stride, b, r);
        else
            FC_NAME(block_rows)(op, window, 0, window, stride, b, r);
    }
}

/* Some rows at a time, so that neighbouring blocks meet theirs in L1. */
FC_INLINE void FC_NAME(pool_planes_op)(const enum fc_reduce_op op, const int window,
                                       const int stride, const struct fc_pool_args *args) {
    const struct fc_pool_args a = *args; /* stores to y cannot change it */
    const ptrdiff_t most = stride == 3                  ? 2 * VL / 3
                           : stride == 2 && window == 3 ? VL - 1
                           : FC_POOL_PAIR(stride)       ? VL
                                                        : VL - window + 1;
    const ptrdiff_t chunk = 4096 / (a.width * a.stride[0]) + 4;
    struct FC_NAME(block) b = {.rest = V_(set1)((T)a.neutral)};
    for (ptrdiff_t plane = 0; plane < a.planes; plane++)
        for (ptrdiff_t first = a.first; first < a.last; first += chunk) {
            ptrdiff_t last = a.last - first < chunk ? a.last : first + chunk;
            for (ptrdiff_t q = 0; q < a.columns; q += most) {
                ptrdiff_t w = q * stride - a.pad[1];
                b.outputs = a.columns - q < most ? a.columns - q : most;
                b.low = V_(inside)(w, a.width);
                b.high = V_(inside)(w + VL, a.width);
                b.whole = w >= 0 && w + (FC_POOL_PAIR(stride) ? 2 : 1) * VL <= a.width;
                if (op == FC_REDUCE_SUM)
                    b.divisor = V_(load_some)((const T *)a.column_divisor + q, b.outputs);
                FC_NAME(pool_block)(op, window, stride, &a, &b,
                                    (const T *)a.x + plane * a.x_plane + w,
                                    (T *)a.y + plane * a.y_plane + q, first, last);
            }
        }
}

#define FC_POOL_CASE(kind, window, across) \
    if (a->op == kind && a->kernel[1] == window && a->stride[1] == across) \
    FC_NAME(pool_planes_op)(kind, window, across, a)

static void FC_NAME(pool_planes)(const struct fc_pool_args *a) {
    count_call();
    FC_POOL_CASE(FC_REDUCE_MAX, 2, 1);
    FC_POOL_CASE(FC_REDUCE_MAX, 2, 2);
    FC_POOL_CASE(FC_REDUCE_MAX, 3, 1);
    FC_POOL_CASE(FC_REDUCE_MAX, 3, 2);
    FC_POOL_CASE(FC_REDUCE_MAX, 3, 3);
    FC_POOL_CASE(FC_REDUCE_MAX, 5, 1);
    FC_POOL_CASE(FC_REDUCE_SUM, 2, 1);
    FC_POOL_CASE(FC_REDUCE_SUM, 2, 2);
    FC_POOL_CASE(FC_REDUCE_SUM, 3, 1);
    FC_POOL_CASE(FC_REDUCE_SUM, 3, 2);
    FC_POOL_CASE(FC_REDUCE_SUM, 3, 3);
    FC_POOL_CASE(FC_REDUCE_SUM, 5, 1);
}
#undef FC_POOL_CASE
#undef FC_POOL_PAIR

/* A vector whose lanes reduce to the whole of `count` contiguous elements. */
FC_INLINE V FC_NAME(plane_vector)(const enum fc_reduce_op op, const T *x, ptrdiff_t count, V rest) {
    V a = rest, b = rest, c = rest, d = rest;
    ptrdiff_t i = 0;
    for (; i + 4 * VL <= count; i += 4 * VL) {
        a = V_(reduce)(op, a, V_(load)(x + i));
        b = V_(reduce)(op, b, V_(load)(x + i + VL));
        c = V_(reduce)(op, c, V_(load)(x + i + 2 * VL));
        d = V_(reduce)(op, d, V_(load)(x + i + 3 * VL));
    }
    if (i) a = V_(reduce)(op, V_(reduce)(op, a, b), V_(reduce)(op, c, d));
    for (; i + VL <= count; i += VL) a = V_(reduce)(op, a, V_(load)(x + i));
    if (i < count) a = V_(reduce)(op, a, V_(loadm_over)(rest, x + i, V_(lanes)(0, count - i)));
    return a;
}

FC_INLINE void FC_NAME(pool_whole_op)(const enum fc_reduce_op op, const struct fc_pool_args *a) {
    const V rest = V_(set1)((T)a->neutral);
    const ptrdiff_t count = a->height * a->width;
    for (ptrdiff_t first = 0; first < a->planes; first += VL) {
        ptrdiff_t planes = a->planes - first < VL ? a->planes - first : VL;
        const T *x = (const T *)a->x + first * a->x_plane;
        T *y = (T *)a->y + first * a->y_plane;
        V v[FC_VECTOR_BYTES / sizeof(T)];
        for (ptrdiff_t i = 0; i < VL; i++) {
            v[i] = i < planes ? FC_NAME(plane_vector)(op, x, count, rest) : rest;
            x += a->x_plane;
        }
#pragma GCC unroll 4
        for (ptrdiff_t half = VL / 2; half > 0; half /= 2)
#pragma GCC unroll 8
            for (ptrdiff_t i = 0; i < half; i++)
                v[i] = V_(reduce)(op, V_(zip_lo)(v[i], v[i + half]), V_(zip_hi)(v[i], v[i + half]));
        if (op == FC_REDUCE_SUM)
            v[0] = v[0] / V_(set1)(*(const T *)a->column_divisor * *(const T *)a->row_divisor);
        if (a->y_plane == 1)
            V_(store_some)(y, v[0], planes);
        else
            for (ptrdiff_t i = 0; i < planes; i++) y[i * a->y_plane] = v[0][i];
    }
}

static void FC_NAME(pool_whole)(const struct fc_pool_args *a) {
    count_call();
    if (a->op == FC_REDUCE_MAX)
        FC_NAME(pool_whole_op)(FC_REDUCE_MAX, a);
    else
        FC_NAME(pool_whole_op)(FC_REDUCE_SUM, a);
}

FC_INLINE void FC_NAME(combine_op)(const enum fc_reduce_op op, const T *a, const T *b, T *y,
                                   ptrdiff_t count) {
    ptrdiff_t i = 0;
    for (; i + 2 * VL <= count; i += 2 * VL) {
        V low = V_(reduce)(op, V_(load)(a + i), V_(load)(b + i));
        V high = V_(reduce)(op, V_(load)(a + i + VL), V_(load)(b + i + VL));
        V_(store)(y + i, low);
        V_(store)(y + i + VL, high);
    }
    for (; i < count; i += VL)
        V_(store_some)(
            y + i, V_(reduce)(op, V_(load_some)(a + i, count - i), V_(load_some)(b + i, count - i)),
            count - i);
}

static void FC_NAME(combine)(enum fc_reduce_op op, const void *a, const void *b, void *y,
                             ptrdiff_t count) {
    count_call();
    if (op == FC_REDUCE_MAX)
        FC_NAME(combine_op)(FC_REDUCE_MAX, (const T *)a, (const T *)b, (T *)y, count);
    else
        FC_NAME(combine_op)(FC_REDUCE_SUM, (const T *)a, (const T *)b, (T *)y, count);
}

static void FC_NAME(divide)(void *y, const void *divisor, ptrdiff_t step, double factor,
                            ptrdiff_t count) {
    T *out = (T *)y;
    const T *d = (const T *)divisor;
    V f = V_(set1)((T)factor);
    for (ptrdiff_t i = 0; i < count; i += VL) {
        V by = step ? V_(load_some)(d + i, count - i) : V_(set1)(d[0]);
        V_(store_some)(out + i, V_(load_some)(out + i, count - i) / (by * f), count - i);
    }
}

/* n <= VL elements, stride apart */
FC_INLINE V V_(load_strided)(const T *p, ptrdiff_t stride, ptrdiff_t n) {
    if (stride == 1) return V_(load_some)(p, n);
    if (stride == 2) return V_(load_every_second)(p, n);
    V v = V_(set1)(p[0]);
    for (ptrdiff_t i = 1; i < n; i++) v[i] = p[i * stride];
    return v;
}

static void FC_NAME(argmax)(const struct fc_argmax_args *a) {
    const T *x = (const T *)a->x;
    T *y = (T *)a->y;
    count_call();
    for (ptrdiff_t l = 0; l < a->lanes; l += VL) {
        ptrdiff_t n = a->lanes - l < VL ? a->lanes - l : VL;
        const T *p = x + l * a->x_step;
        V best = V_(load_strided)(p + a->tap[0], a->x_step, n);
        VI at = (VI)V_(set1)(0);
        for (ptrdiff_t t = 1; t < a->taps; t++) {
            V value = V_(load_strided)(p + a->tap[t], a->x_step, n);
            VI take = (VI)(value > best) | (VI)(value != value);
            best = V_(select)(take, value, best);
            at = (at & ~take) | ((VI)((VI){0} + (I)t) & take);
        }
        V_(store_some)(y + l, best, n);
        for (ptrdiff_t i = 0; i < n; i++)
            a->index[l + i] = a->base + (l + i) * a->base_step + a->place[at[i]];
    }
}
