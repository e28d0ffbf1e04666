/* activate.tmpl.h: element-wise functions and softmax; contracts above fc_activate_fn and the next.
 *
 * exp(x) = 2^n * exp(r) with n = round(x / ln 2), |r| <= ln(2) / 2, exp(r) by its Taylor series up
 * to the term below half a unit in the last place (degree 7 for float, 13 for double). Rounding and
 * 2^n use the integer bits of floats, so no instruction set needs operations of its own.
 */

#if FC_BITS == 32
#define FC_EXP_DEGREE 7
#define FC_EXP_LOWEST -104.0f /* exp is 0 from here down, ... */
#define FC_EXP_HIGHEST 88.8f  /* ... infinity from here up */
#define FC_MANTISSA 23
#define FC_EXPONENT_BIAS 127
#define FC_LN2_HIGH 0.693145751953125f
#define FC_LN2_LOW 1.42860677e-06f
#else
#define FC_EXP_DEGREE 13
#define FC_EXP_LOWEST -746.0
#define FC_EXP_HIGHEST 709.9
#define FC_MANTISSA 52
#define FC_EXPONENT_BIAS 1023
#define FC_LN2_HIGH 0.6931471803691238
#define FC_LN2_LOW 1.9082149292705877e-10
#endif

FC_INLINE V V_(exp)(V x) {
    static const T taylor[] = {
        FC_REAL(1.0),
        FC_REAL(1.0),
        FC_REAL(0.5),
        FC_REAL(0.16666666666666666),
        FC_REAL(0.041666666666666664),
        FC_REAL(0.008333333333333333),
        FC_REAL(0.001388888888888889),
        FC_REAL(0.0001984126984126984),
        FC_REAL(2.48015873015873e-05),
        FC_REAL(2.7557319223985893e-06),
        FC_REAL(2.755731922398589e-07),
        FC_REAL(2.505210838544172e-08),
        FC_REAL(2.08767569878681e-09),
        FC_REAL(1.6059043836821613e-10),
    };
    const V round = V_(set1)((T)((I)3 << (FC_MANTISSA - 1)));
    x = V_(min)(V_(set1)(FC_EXP_HIGHEST), V_(max)(V_(set1)(FC_EXP_LOWEST), x));
    V shifted = V_(fma)(x, V_(set1)(FC_REAL(1.4426950408889634)), round);
    V n = shifted - round;
    V r = V_(fma)(n, V_(set1)(-FC_LN2_HIGH), x);
    r = V_(fma)(n, V_(set1)(-FC_LN2_LOW), r);
    V sum = V_(set1)(taylor[FC_EXP_DEGREE]);
#pragma GCC unroll 16
    for (int k = FC_EXP_DEGREE - 1; k >= 0; k--) sum = V_(fma)(sum, r, V_(set1)(taylor[k]));
    /* 2^n in two factors, each a normal number even where n leaves the exponent's range */
    VI whole = (VI)shifted - (VI)round;
    VI half = whole >> 1;
    V low = (V)((half + FC_EXPONENT_BIAS) << FC_MANTISSA);
    V high = (V)((whole - half + FC_EXPONENT_BIAS) << FC_MANTISSA);
    return sum * low * high;
}

FC_INLINE V V_(sigmoid)(V x) { return V_(set1)(1) / (V_(set1)(1) + V_(exp)(-x)); }

FC_INLINE V V_(activation)(const int kind, V x, V alpha) {
    const V zero = V_(set1)(0), six = V_(set1)(6);
    switch (kind) {
    case 1: return V_(max)(zero, x);
    case 2: return V_(min)(six, V_(max)(zero, x));
    case 3: return V_(select)((VI)(x < zero), x * alpha, x);
    case 4: return x * V_(min)(six, V_(max)(zero, x + V_(set1)(3))) / six;
    case 5: return V_(sigmoid)(x);
    case 6: return x * V_(sigmoid)(x);
    default: return x;
    }
}

FC_INLINE void FC_NAME(activate_kind)(const int kind, double alpha, const T *x, T *y,
                                      ptrdiff_t count) {
    V slope = V_(set1)((T)alpha);
    ptrdiff_t i = 0;
    for (; i + VL <= count; i += VL) V_(store)(y + i, V_(activation)(kind, V_(load)(x + i), slope));
    if (i < count)
        V_(storen)(y + i, V_(activation)(kind, V_(loadn)(x + i, count - i), slope), count - i);
}

static void FC_NAME(activate)(int kind, double alpha, const void *x, void *y, ptrdiff_t count) {
    const T *in = (const T *)x;
    T *out = (T *)y;
    count_call();
    switch (kind) {
    case 0: FC_NAME(activate_kind)(0, alpha, in, out, count); break;
    case 1: FC_NAME(activate_kind)(1, alpha, in, out, count); break;
    case 2: FC_NAME(activate_kind)(2, alpha, in, out, count); break;
    case 3: FC_NAME(activate_kind)(3, alpha, in, out, count); break;
    case 4: FC_NAME(activate_kind)(4, alpha, in, out, count); break;
    case 5: FC_NAME(activate_kind)(5, alpha, in, out, count); break;
    case 6: FC_NAME(activate_kind)(6, alpha, in, out, count); break;
    }
}

static void FC_NAME(softmax)(const void *x, void *y, ptrdiff_t count) {
    const T *in = (const T *)x;
    T *out = (T *)y;
    count_call();
    T largest = in[0];
    for (ptrdiff_t i = 1; i < count && largest == largest; i++)
        largest = in[i] > largest || in[i] != in[i] ? in[i] : largest;
    V shift = V_(set1)(largest);
    T total = 0;
    for (ptrdiff_t i = 0; i < count; i += VL) {
        ptrdiff_t n = count - i < VL ? count - i : VL;
        V e = V_(exp)((n == VL ? V_(load)(in + i) : V_(loadn)(in + i, n)) - shift);
        if (n == VL)
            V_(store)(out + i, e);
        else
            V_(storen)(out + i, e, n);
        for (ptrdiff_t l = 0; l < n; l++) total += out[i + l];
    }
    for (ptrdiff_t i = 0; i < count; i++) out[i] = out[i] / total;
}

#undef FC_EXP_DEGREE
#undef FC_EXP_LOWEST
#undef FC_EXP_HIGHEST
#undef FC_MANTISSA
#undef FC_EXPONENT_BIAS
#undef FC_LN2_HIGH
#undef FC_LN2_LOW
