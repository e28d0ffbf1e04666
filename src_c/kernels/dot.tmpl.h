/* dot.tmpl.h: one contiguous dot product; the contract is above fc_dot_fn. */

FC_INLINE T V_(sum)(V v) {
    T total = v[0];
#pragma GCC unroll 16
    for (ptrdiff_t i = 1; i < VL; i++) total += v[i];
    return total;
}

static void FC_NAME(dot)(const void *a, const void *b, ptrdiff_t count, const void *bias, void *y) {
    const T *p = (const T *)a, *q = (const T *)b;
    V acc[4];
    count_call();
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++) acc[v] = V_(set1)(0);
    ptrdiff_t i = 0;
    for (; i + 4 * VL <= count; i += 4 * VL)
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++)
            acc[v] = V_(fma)(V_(load)(p + i + v * VL), V_(load)(q + i + v * VL), acc[v]);
    for (; i < count; i += VL)
        acc[0] = V_(fma)(V_(load_some)(p + i, count - i), V_(load_some)(q + i, count - i), acc[0]);
    *(T *)y = V_(sum)((acc[0] + acc[1]) + (acc[2] + acc[3])) + *(const T *)bias;
}
