/* pool.tmpl.h: window reductions; the contracts are above fc_reduce_taps_fn and the next two. */

FC_INLINE V V_(reduce)(const enum fc_reduce_op op, V a, V b) {
    return op == FC_REDUCE_MAX ? V_(max_nan)(a, b) : a + b;
}

FC_INLINE void FC_NAME(reduce_taps_op)(const enum fc_reduce_op op, const T *x, const ptrdiff_t *tap,
                                       ptrdiff_t taps, T *y, ptrdiff_t lanes) {
    ptrdiff_t l = 0;
    for (; l + 4 * VL <= lanes; l += 4 * VL) {
        V acc[4];
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) acc[v] = V_(load)(x + tap[0] + l + v * VL);
        for (ptrdiff_t t = 1; t < taps; t++)
#pragma GCC unroll 4
            for (int v = 0; v < 4; v++)
                acc[v] = V_(reduce)(op, acc[v], V_(load)(x + tap[t] + l + v * VL));
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) V_(store)(y + l + v * VL, acc[v]);
    }
    for (; l < lanes; l += VL) {
        V acc = V_(load_some)(x + tap[0] + l, lanes - l);
        for (ptrdiff_t t = 1; t < taps; t++)
            acc = V_(reduce)(op, acc, V_(load_some)(x + tap[t] + l, lanes - l));
        V_(store_some)(y + l, acc, lanes - l);
    }
}

static void FC_NAME(reduce_taps)(enum fc_reduce_op op, const void *x, const ptrdiff_t *tap,
                                 ptrdiff_t taps, void *y, ptrdiff_t lanes) {
    count_call();
    if (op == FC_REDUCE_MAX)
        FC_NAME(reduce_taps_op)(FC_REDUCE_MAX, (const T *)x, tap, taps, (T *)y, lanes);
    else
        FC_NAME(reduce_taps_op)(FC_REDUCE_SUM, (const T *)x, tap, taps, (T *)y, lanes);
}

FC_INLINE T FC_NAME(reduce_scalar)(const enum fc_reduce_op op, T a, T b) {
    if (op == FC_REDUCE_SUM) return a + b;
    return a > b || a != a ? a : b;
}

/* Strides 1 and 2 in vectors, others in scalars. */
FC_INLINE void FC_NAME(reduce_row_op)(const enum fc_reduce_op op, const T *x, ptrdiff_t taps,
                                      ptrdiff_t dilation, ptrdiff_t stride, T *y, ptrdiff_t count) {
    if (stride > 2) {
        for (ptrdiff_t q = 0; q < count; q++) {
            T acc = x[q * stride];
            for (ptrdiff_t s = 1; s < taps; s++)
                acc = FC_NAME(reduce_scalar)(op, acc, x[q * stride + s * dilation]);
            y[q] = acc;
        }
        return;
    }
    for (ptrdiff_t q = 0; q < count; q += VL) {
        ptrdiff_t n = count - q < VL ? count - q : VL;
        const T *p = x + q * stride;
        V acc = stride == 1 ? V_(load_some)(p, n) : V_(load_every_second)(p, n);
        for (ptrdiff_t s = 1; s < taps; s++) {
            p += dilation;
            V next = stride == 1 ? V_(load_some)(p, n) : V_(load_every_second)(p, n);
            acc = V_(reduce)(op, acc, next);
        }
        V_(store_some)(y + q, acc, n);
    }
}

static void FC_NAME(reduce_row)(enum fc_reduce_op op, const void *x, ptrdiff_t taps,
                                ptrdiff_t dilation, ptrdiff_t stride, void *y, ptrdiff_t count) {
    count_call();
    if (op == FC_REDUCE_MAX)
        FC_NAME(reduce_row_op)(FC_REDUCE_MAX, (const T *)x, taps, dilation, stride, (T *)y, count);
    else
        FC_NAME(reduce_row_op)(FC_REDUCE_SUM, (const T *)x, taps, dilation, stride, (T *)y, count);
}

FC_INLINE void FC_NAME(reduce_2x2_op)(const enum fc_reduce_op op, const T *x, ptrdiff_t row, T *y,
                                      ptrdiff_t count) {
    for (ptrdiff_t q = 0; q < count; q += VL) {
        const T *p = x + 2 * q;
        ptrdiff_t n = 2 * (count - q); /* elements of a row that are left */
        V low = V_(reduce)(op, V_(load_some)(p, n), V_(load_some)(p + row, n)), high = low;
        if (n > VL)
            high =
                V_(reduce)(op, V_(load_some)(p + VL, n - VL), V_(load_some)(p + row + VL, n - VL));
        V_(store_some)(y + q, V_(reduce)(op, V_(even)(low, high), V_(odd)(low, high)), count - q);
    }
}

static void FC_NAME(reduce_2x2)(enum fc_reduce_op op, const void *x, ptrdiff_t row, void *y,
                                ptrdiff_t count) {
    count_call();
    if (op == FC_REDUCE_MAX)
        FC_NAME(reduce_2x2_op)(FC_REDUCE_MAX, (const T *)x, row, (T *)y, count);
    else
        FC_NAME(reduce_2x2_op)(FC_REDUCE_SUM, (const T *)x, row, (T *)y, count);
}

static void FC_NAME(divide)(void *y, const void *divisor, ptrdiff_t step, double factor,
                            ptrdiff_t count) {
    T *out = (T *)y;
    const T *d = (const T *)divisor;
    V f = V_(set1)((T)factor);
    ptrdiff_t i = 0;
    for (; i + VL <= count; i += VL) {
        V by = step ? V_(load)(d + i) : V_(set1)(d[0]);
        V_(store)(out + i, V_(load)(out + i) / (by * f));
    }
    for (; i < count; i++) out[i] = out[i] / (d[i * step] * (T)factor);
}
