/* reduction.tmpl.h: sums, products and extremes; contracts above fc_reduce_lanes_fn and those after.
 *
 * A reduction is a term of x and the combination of terms: the numbers are those of fc_reduction. */

#if FC_BITS == 32
#define FC_LIBM(name) name##f
#else
#define FC_LIBM(name) name
#endif

FC_INLINE V V_(reduce_term)(const int operation, V x, V shift) {
    switch (operation) {
    case 5: return V_(select)((VI)x < 0, -x, x);
    case 6:
    case 7: return x * x;
    case 9: return V_(exp)(x - shift);
    default: return x;
    }
}

FC_INLINE V V_(reduce_combine)(const int operation, V a, V b) {
    switch (operation) {
    case 2: return V_(max_nan)(a, b);
    case 3: return V_(select)((VI)(a != a), a, V_(min)(a, b));
    case 4: return a * b;
    default: return a + b;
    }
}

FC_INLINE T FC_NAME(reduce_identity)(int operation) {
    return operation == 2 ? -(T)INFINITY : operation == 3 ? (T)INFINITY : operation == 4 ? 1 : 0;
}

FC_INLINE T FC_NAME(reduce_combine)(const int operation, T a, T b) {
    return V_(reduce_combine)(operation, V_(set1)(a), V_(set1)(b))[0];
}

FC_INLINE void FC_NAME(lanes_of)(const int operation, const T *x, const T *shift, T *total,
                                 ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < count; i += VL) {
        ptrdiff_t n = count - i;
        V from = operation == 9 ? V_(load_some)(shift + i, n) : V_(set1)(0);
        V term = V_(reduce_term)(operation, V_(load_some)(x + i, n), from);
        V_(store_some)(total + i, V_(reduce_combine)(operation, V_(load_some)(total + i, n), term),
                       n);
    }
}

FC_INLINE void FC_NAME(line_of)(const int operation, const T *x, const T *shift, T *total,
                                ptrdiff_t count) {
    enum { CHAINS = 4 };
    const T neutral = FC_NAME(reduce_identity)(operation);
    V from = V_(set1)(operation == 9 ? *shift : 0), acc[CHAINS];
    ptrdiff_t i = 0;
#pragma GCC unroll 4
    for (int c = 0; c < CHAINS; c++) acc[c] = V_(set1)(neutral);
    for (; i + CHAINS * VL <= count; i += CHAINS * VL)
#pragma GCC unroll 4
        for (int c = 0; c < CHAINS; c++)
            acc[c] = V_(reduce_combine)(operation, acc[c],
                                        V_(reduce_term)(operation, V_(load)(x + i + c * VL), from));
    for (; i + VL <= count; i += VL)
        acc[0] = V_(reduce_combine)(operation, acc[0],
                                    V_(reduce_term)(operation, V_(load)(x + i), from));
#pragma GCC unroll 4
    for (int c = 1; c < CHAINS; c++) acc[0] = V_(reduce_combine)(operation, acc[0], acc[c]);
    T sum = *total;
    for (ptrdiff_t l = 0; l < VL; l++) sum = FC_NAME(reduce_combine)(operation, sum, acc[0][l]);
    if (i < count) {
        V last = V_(reduce_term)(operation, V_(loadn)(x + i, count - i), from);
        for (ptrdiff_t l = 0; l < count - i; l++)
            sum = FC_NAME(reduce_combine)(operation, sum, last[l]);
    }
    *total = sum;
}

#define FC_REDUCE_SWITCH(kernel) \
    count_call(); \
    switch (operation) { \
    case 2: kernel(2, (const T *)x, (const T *)shift, (T *)total, count); break; \
    case 3: kernel(3, (const T *)x, (const T *)shift, (T *)total, count); break; \
    case 4: kernel(4, (const T *)x, (const T *)shift, (T *)total, count); break; \
    case 5: kernel(5, (const T *)x, (const T *)shift, (T *)total, count); break; \
    case 6: \
    case 7: kernel(6, (const T *)x, (const T *)shift, (T *)total, count); break; \
    case 9: kernel(9, (const T *)x, (const T *)shift, (T *)total, count); break; \
    default: kernel(0, (const T *)x, (const T *)shift, (T *)total, count); break; \
    }

static void FC_NAME(reduce_lanes)(int operation, const void *x, const void *shift, void *total,
                                  ptrdiff_t count) {
    FC_REDUCE_SWITCH(FC_NAME(lanes_of))
}

static void FC_NAME(reduce_line)(int operation, const void *x, const void *shift, void *total,
                                 ptrdiff_t count) {
    FC_REDUCE_SWITCH(FC_NAME(line_of))
}

static void FC_NAME(reduce_start)(int operation, void *total, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < count; i++) ((T *)total)[i] = FC_NAME(reduce_identity)(operation);
}

static void FC_NAME(reduce_finish)(int operation, double terms, const void *shift, void *total,
                                   ptrdiff_t count) {
    T *y = (T *)total;
    for (ptrdiff_t i = 0; i < count; i++) switch (operation) {
        case 1: y[i] /= (T)terms; break;
        case 6: y[i] = FC_LIBM(sqrt)(y[i]); break;
        case 8: y[i] = FC_LIBM(log)(y[i]); break;
        case 9: y[i] = FC_LIBM(log)(y[i]) + ((const T *)shift)[i]; break;
        }
}

static int64_t FC_NAME(find_extreme)(const void *x, ptrdiff_t step, ptrdiff_t count, int smallest,
                                     int last) {
    const T *in = (const T *)x;
    ptrdiff_t best = 0;
    for (ptrdiff_t i = 1; i < count && in[best * step] == in[best * step]; i++) {
        T value = in[i * step], champion = in[best * step];
        int better = smallest ? value < champion : value > champion;
        if (better || value != value || (last && value == champion)) best = i;
    }
    return best;
}

#undef FC_REDUCE_SWITCH
#undef FC_LIBM
