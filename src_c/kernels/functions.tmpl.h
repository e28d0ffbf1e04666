/* functions.tmpl.h: exponentials and what is made of them, to a few units in the last place.
 *
 * exp(x) = 2^n * exp(r) with n = round(x / ln 2), |r| <= ln(2) / 2, exp(r) by its Taylor series up
 * to the term below half a unit in the last place (degree 7 for float, 13 for double). Rounding and
 * 2^n use the integer bits of floats, so no instruction set needs operations of its own.
 */

#if FC_BITS == 32
#define FC_EXP_DEGREE 7
#define FC_ERFC_DEGREE 13
#define FC_LOG1P_TERMS 8
#define FC_EXP_LOWEST -104.0f /* exp is 0 from here down, ... */
#define FC_EXP_HIGHEST 88.8f  /* ... infinity from here up */
#define FC_EXP_NORMAL -87.0f  /* 2^n is a normal number from here up, or infinite */
#define FC_MANTISSA 23
#define FC_EXPONENT_BIAS 127
#define FC_LN2_HIGH 0.693145751953125f
#define FC_LN2_LOW 1.42860677e-06f
#else
#define FC_EXP_DEGREE 13
#define FC_ERFC_DEGREE 24
#define FC_LOG1P_TERMS 17
#define FC_EXP_LOWEST -746.0
#define FC_EXP_HIGHEST 709.9
#define FC_EXP_NORMAL -708.0
#define FC_MANTISSA 52
#define FC_EXPONENT_BIAS 1023
#define FC_LN2_HIGH 0.6931471803691238
#define FC_LN2_LOW 1.9082149292705877e-10
#endif

static const T FC_NAME(taylor)[] = {
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

/* sum of c[k] * x^k */
FC_INLINE V V_(polynomial)(const T *c, const int degree, V x) {
    V sum = V_(set1)(c[degree]);
#pragma GCC unroll 32
    for (int k = degree - 1; k >= 0; k--) sum = V_(fma)(sum, x, V_(set1)(c[k]));
    return sum;
}

/* x = n * ln 2 + r */
struct FC_NAME(reduced) {
    V r;
    VI n;
};
FC_INLINE struct FC_NAME(reduced) FC_NAME(reduce_exponent)(V x, T lowest) {
    const V round = V_(set1)((T)((I)3 << (FC_MANTISSA - 1)));
    x = V_(min)(V_(set1)(FC_EXP_HIGHEST), V_(max)(V_(set1)(lowest), x));
    V shifted = V_(fma)(x, V_(set1)(FC_REAL(1.4426950408889634)), round);
    V n = shifted - round;
    V r = V_(fma)(n, V_(set1)(-FC_LN2_HIGH), x);
    r = V_(fma)(n, V_(set1)(-FC_LN2_LOW), r);
    return (struct FC_NAME(reduced)){r, (VI)shifted - (VI)round};
}

/* 2^n that is a normal number or infinite */
FC_INLINE V V_(power_of_two)(VI n) { return (V)((n + FC_EXPONENT_BIAS) << FC_MANTISSA); }

/* 2^n in two factors, each a normal number even where n leaves the exponent's range */
FC_INLINE V V_(exp)(V x) {
    struct FC_NAME(reduced) e = FC_NAME(reduce_exponent)(x, FC_EXP_LOWEST);
    VI half = e.n >> 1;
    return V_(polynomial)(FC_NAME(taylor), FC_EXP_DEGREE, e.r) * V_(power_of_two)(half) *
           V_(power_of_two)(e.n - half);
}

/* exp(x) - 1 for x up to 64, without cancellation: 2^n (exp(r) - 1) + (2^n - 1) */
FC_INLINE V V_(expm1)(V x) {
    struct FC_NAME(reduced) e = FC_NAME(reduce_exponent)(x, FC_EXP_LOWEST);
    VI half = e.n >> 1;
    V p = e.r * V_(polynomial)(FC_NAME(taylor) + 1, FC_EXP_DEGREE - 1, e.r);
    V scale = V_(power_of_two)(half) * V_(power_of_two)(e.n - half);
    return V_(fma)(p, scale, scale - V_(set1)(1));
}

/* 1 + exp(-x): what is added to 1 need not be right where it vanishes beside it */
FC_INLINE V V_(one_and_exp)(V x) {
    struct FC_NAME(reduced) e = FC_NAME(reduce_exponent)(-x, FC_EXP_NORMAL);
    V p = V_(polynomial)(FC_NAME(taylor), FC_EXP_DEGREE, e.r);
    return V_(fma)(p, V_(power_of_two)(e.n), V_(set1)(1));
}

FC_INLINE V V_(sigmoid)(V x) { return V_(set1)(1) / V_(one_and_exp)(x); }

/* |x|; and |y| with the sign of x */
FC_INLINE V V_(magnitude)(V x) { return (V)((VI)x & ~(VI)V_(set1)(-FC_REAL(0.0))); }
FC_INLINE V V_(with_sign)(V y, V x) { return (V)((VI)y | ((VI)x & (VI)V_(set1)(-FC_REAL(0.0)))); }

/* tanh |x| = (exp(2 |x|) - 1) / (exp(2 |x|) + 1), with x's sign; 1 from 20 on */
FC_INLINE V V_(tanh)(V x) {
    V e = V_(expm1)(V_(min)(V_(set1)(40), V_(magnitude)(x) * V_(set1)(2)));
    return V_(with_sign)(e / (e + V_(set1)(2)), x);
}

/* log(1 + u) for u in [0, 1], by its series 2 (s + s^3 / 3 + ...) with s = u / (2 + u) <= 1/3 */
FC_INLINE V V_(log1p)(V u) {
    V s = u / (u + V_(set1)(2)), square = s * s;
    V sum = V_(set1)((T)1 / (2 * FC_LOG1P_TERMS + 1));
#pragma GCC unroll 32
    for (int k = FC_LOG1P_TERMS - 1; k >= 0; k--)
        sum = V_(fma)(sum, square, V_(set1)((T)1 / (T)(2 * k + 1)));
    return V_(set1)(2) * s * sum;
}

/* log(1 + exp(x)) */
FC_INLINE V V_(softplus)(V x) {
    return V_(max)(V_(set1)(0), x) + V_(log1p)(V_(exp)(-V_(magnitude)(x)));
}

/* 1 - erf(z) = exp(-z^2) f(u) / (1 + 2 z), z >= 0, u = (z - 3) / (z + 3), f a polynomial fitted at
 * Chebyshev's points in 40 digits; square + rest is z^2, to more digits than z has. */
FC_INLINE V V_(erfc_from)(V z, V square, V rest) {
    static const T f[] = {
#if FC_BITS == 32
        FC_REAL(1.25300805825),      FC_REAL(-0.135621104494),   FC_REAL(-0.0475622926957),
        FC_REAL(0.129645096969),     FC_REAL(-0.119273691321),   FC_REAL(0.0683087067717),
        FC_REAL(-0.0237703346755),   FC_REAL(0.0025260688678),   FC_REAL(0.00188811286461),
        FC_REAL(-0.000771373676023), FC_REAL(-0.00010413071428), FC_REAL(0.000113246239832),
        FC_REAL(3.86184913682e-6),   FC_REAL(-1.1057230028e-5),
#else
        FC_REAL(1.25300805826972965),     FC_REAL(-0.135621106124581151),
        FC_REAL(-0.0475622943534491061),  FC_REAL(0.12964515870275871),
        FC_REAL(-0.119273663415391044),   FC_REAL(0.0683080273440290342),
        FC_REAL(-0.0237705149170779545),  FC_REAL(0.00252939181544750742),
        FC_REAL(0.0018886903440366837),   FC_REAL(-0.000779832267898155021),
        FC_REAL(-0.00010515971375476257), FC_REAL(0.000125099334843515572),
        FC_REAL(4.94917434512749141e-6),  FC_REAL(-2.01005211385146509e-5),
        FC_REAL(-7.30772147042056631e-7), FC_REAL(3.47233263233759668e-6),
        FC_REAL(3.55667341588904872e-7),  FC_REAL(-6.1655598120285598e-7),
        FC_REAL(-1.40373637479522833e-7), FC_REAL(1.01802859448224326e-7),
        FC_REAL(4.09923743484027604e-8),  FC_REAL(-1.32989176436171921e-8),
        FC_REAL(-8.1890047852909244e-9),  FC_REAL(9.83702394943589495e-10),
        FC_REAL(8.34391061816330295e-10),
#endif
    };
    const V one = V_(set1)(1), three = V_(set1)(3);
    V sum = V_(polynomial)(f, FC_ERFC_DEGREE, (z - three) / (z + three));
    V power = V_(exp)(-square);
    return V_(fma)(-rest, power, power) * sum / (z + z + one);
}

/* The normal distribution's function, erfc(-x / sqrt 2) / 2 */
FC_INLINE V V_(normal)(V x) {
    const V half = V_(set1)(FC_REAL(0.5)), one = V_(set1)(1);
    V a = V_(min)(V_(set1)(40), V_(magnitude)(x)), square = a * a, rest = V_(fma)(a, a, -square);
    V y =
        half * V_(erfc_from)(a * V_(set1)(FC_REAL(0.7071067811865476)), half * square, half * rest);
    return V_(select)((VI)(x > V_(set1)(0)), one - y, y);
}

#undef FC_EXP_DEGREE
#undef FC_ERFC_DEGREE
#undef FC_LOG1P_TERMS
#undef FC_EXP_LOWEST
#undef FC_EXP_HIGHEST
#undef FC_EXP_NORMAL
#undef FC_MANTISSA
#undef FC_EXPONENT_BIAS
#undef FC_LN2_HIGH
#undef FC_LN2_LOW
