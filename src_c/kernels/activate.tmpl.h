/* activate.tmpl.h: element-wise functions and softmax; contracts above fc_activate_fn and the next. */

#if FC_BITS == 32
#define FC_LIBM(name) name##f
#else
#define FC_LIBM(name) name
#endif

FC_INLINE V V_(activation)(const int kind, V x, V alpha, V beta) {
    const V zero = V_(set1)(0), one = V_(set1)(1), three = V_(set1)(3), six = V_(set1)(6);
    const V sixth = V_(set1)(FC_REAL(0.16666666666666666)); /* six times it is exactly 1 */
    switch (kind) {
    case 1: return V_(max)(zero, x);
    case 2: return V_(min)(six, V_(max)(zero, x));
    case 3: return V_(select)((VI)(x < zero), x * alpha, x);
    case 4: return x * (V_(min)(six, V_(max)(zero, x + three)) * sixth);
    case 5: return V_(sigmoid)(x);
    case 6: return x / V_(one_and_exp)(x);
    case 7: return V_(tanh)(x);
    case 8: return V_(min)(six, V_(max)(zero, x + three)) * sixth;
    case 9: return V_(select)((VI)(x > zero), x, alpha * V_(expm1)(V_(min)(zero, x)));
    case 10: {
        V below = V_(set1)(FC_REAL(1.6732632423543772)) * V_(expm1)(V_(min)(zero, x));
        return V_(set1)(FC_REAL(1.0507009873554805)) * V_(select)((VI)(x > zero), x, below);
    }
    case 11: return x * V_(normal)(x);
    case 12: {
        V cubic = V_(fma)(x * x, x * V_(set1)(FC_REAL(0.044715)), x);
        return x / V_(one_and_exp)(V_(set1)(FC_REAL(1.5957691216057308)) * cubic);
    }
    case 13: {
        V scaled = x * alpha;
        return V_(select)((VI)(scaled > beta), x, V_(softplus)(scaled) / alpha);
    }
    case 14: { /* tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2) */
        V e = V_(exp_within)(V_(min)(V_(set1)(40), x)), ratio = e * (e + one + one);
        return x * (ratio / (ratio + one + one));
    }
    case 15: return V_(min)(beta, V_(max)(alpha, x));
    default: return x;
    }
}

/* Rows of x and y follow each other at the same distance. */
struct FC_NAME(activated) {
    const T *x;
    T *y;
    ptrdiff_t rows, row, count;
};

FC_INLINE void FC_NAME(activate_kind)(const int kind, double alpha_, double beta_,
                                      struct FC_NAME(activated) a) {
    V alpha = V_(set1)((T)alpha_), beta = V_(set1)((T)beta_);
    for (; a.rows > 0; a.rows--, a.x += a.row, a.y += a.row) {
        ptrdiff_t i = 0;
        for (; i + VL <= a.count; i += VL)
            V_(store)(a.y + i, V_(activation)(kind, V_(load)(a.x + i), alpha, beta));
        if (i < a.count)
            V_(storen)(a.y + i, V_(activation)(kind, V_(loadn)(a.x + i, a.count - i), alpha, beta),
                       a.count - i);
    }
}

static void FC_NAME(activate_any)(int kind, double alpha, double beta,
                                  struct FC_NAME(activated) a) {
    count_call();
    switch (kind) {
    case 0: FC_NAME(activate_kind)(0, alpha, beta, a); break;
    case 1: FC_NAME(activate_kind)(1, alpha, beta, a); break;
    case 2: FC_NAME(activate_kind)(2, alpha, beta, a); break;
    case 3: FC_NAME(activate_kind)(3, alpha, beta, a); break;
    case 4: FC_NAME(activate_kind)(4, alpha, beta, a); break;
    case 5: FC_NAME(activate_kind)(5, alpha, beta, a); break;
    case 6: FC_NAME(activate_kind)(6, alpha, beta, a); break;
    case 7: FC_NAME(activate_kind)(7, alpha, beta, a); break;
    case 8: FC_NAME(activate_kind)(8, alpha, beta, a); break;
    case 9: FC_NAME(activate_kind)(9, alpha, beta, a); break;
    case 10: FC_NAME(activate_kind)(10, alpha, beta, a); break;
    case 11: FC_NAME(activate_kind)(11, alpha, beta, a); break;
    case 12: FC_NAME(activate_kind)(12, alpha, beta, a); break;
    case 13: FC_NAME(activate_kind)(13, alpha, beta, a); break;
    case 14: FC_NAME(activate_kind)(14, alpha, beta, a); break;
    case 15: FC_NAME(activate_kind)(15, alpha, beta, a); break;
    }
}

static void FC_NAME(activate_by_two)(int kind, double alpha, double beta, const void *x, void *y,
                                     ptrdiff_t count) {
    struct FC_NAME(activated) a = {(const T *)x, (T *)y, 1, 0, count};
    FC_NAME(activate_any)(kind, alpha, beta, a);
}

static void FC_NAME(activate)(int kind, double alpha, const void *x, void *y, ptrdiff_t count) {
    FC_NAME(activate_by_two)(kind, alpha, FC_SOFTPLUS_THRESHOLD, x, y, count);
}

static void FC_NAME(activate_rows)(int kind, double alpha, void *y, ptrdiff_t rows, ptrdiff_t row,
                                   ptrdiff_t count) {
    struct FC_NAME(activated) a = {(const T *)y, (T *)y, rows, row, count};
    if (row == count) a = (struct FC_NAME(activated)){a.x, a.y, 1, 0, rows * count};
    FC_NAME(activate_any)(kind, alpha, FC_SOFTPLUS_THRESHOLD, a);
}

/* The largest; any number of a row with NaN. */
FC_INLINE T FC_NAME(row_largest)(const T *x, ptrdiff_t count) {
    if (count < VL) {
        T largest = x[0];
        for (ptrdiff_t i = 1; i < count; i++) largest = x[i] > largest ? x[i] : largest;
        return largest;
    }
    V most = V_(load)(x + count - VL); /* the tail, some of it twice */
    for (ptrdiff_t i = 0; i + VL <= count; i += VL) most = V_(max)(most, V_(load)(x + i));
    T largest = most[0];
    for (ptrdiff_t l = 1; l < VL; l++) largest = most[l] > largest ? most[l] : largest;
    return largest;
}

FC_INLINE void FC_NAME(softmax_row)(const int logarithm, const void *x, void *y, ptrdiff_t count) {
    const T *in = (const T *)x;
    T *out = (T *)y;
    count_call();
    const T largest = FC_NAME(row_largest)(in, count);
    const V shift = V_(set1)(largest);
    V sums = V_(set1)(0);
    ptrdiff_t i = 0;
    for (; i + VL <= count; i += VL) {
        V e = V_(exp_within)(V_(load)(in + i) - shift);
        sums += e;
        if (!logarithm) V_(store)(out + i, e);
    }
    T total = 0;
    for (ptrdiff_t l = 0; l < VL; l++) total += sums[l];
    if (i < count) {
        V e = V_(exp_within)(V_(loadn)(in + i, count - i) - shift);
        for (ptrdiff_t l = 0; l < count - i; l++) total += e[l];
        if (!logarithm) V_(storen)(out + i, e, count - i);
    }
    const V factor = V_(set1)(1 / total), less = V_(set1)(FC_LIBM(log)(total));
    for (i = 0; i < count; i += VL) {
        V v = V_(load_some)(logarithm ? in + i : out + i, count - i);
        V_(store_some)(out + i, logarithm ? v - shift - less : v * factor, count - i);
    }
}

static void FC_NAME(softmax)(const void *x, void *y, ptrdiff_t count) {
    FC_NAME(softmax_row)(0, x, y, count);
}

static void FC_NAME(log_softmax)(const void *x, void *y, ptrdiff_t count) {
    FC_NAME(softmax_row)(1, x, y, count);
}

#undef FC_LIBM
