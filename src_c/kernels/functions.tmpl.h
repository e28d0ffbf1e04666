/* functions.tmpl.h: exponentials and what is made of them, to a few units in the last place.
 *
 * exp(x) = 2^n * exp(r) with n = round(x / ln 2), |r| <= ln(2) / 2, exp(r) = 1 + r * q(r), q fitted at
 * Chebyshev's points in 40 digits. Rounding and 2^n use the integer bits of floats, so no instruction
 * set needs operations of its own.
 */

#if FC_BITS == 32
#define FC_EXP_DEGREE 5
#define FC_NORMAL_DEGREE 9
#define FC_LOG1P_TERMS 8
#define FC_EXP_LOWEST -104.0f /* exp is 0 from here down, ... */
#define FC_EXP_HIGHEST 88.8f  /* ... infinity from here up */
#define FC_MANTISSA 23
#define FC_EXPONENT_BIAS 127
#define FC_LN2_HIGH 0.693145751953125f
#define FC_LN2_LOW 1.42860677e-06f
#else
#define FC_EXP_DEGREE 10
#define FC_NORMAL_DEGREE 21
#define FC_LOG1P_TERMS 17
#define FC_EXP_LOWEST -746.0
#define FC_EXP_HIGHEST 709.9
#define FC_MANTISSA 52
#define FC_EXPONENT_BIAS 1023
#define FC_LN2_HIGH 0.6931471803691238
#define FC_LN2_LOW 1.9082149292705877e-10
#endif

/* (exp(r) - 1) / r */
static const T FC_NAME(exp_terms)[] = {
#if FC_BITS == 32
    FC_REAL(1.00000001079518),   FC_REAL(0.500000001348723),   FC_REAL(0.166665050245089),
    FC_REAL(0.0416664647113791), FC_REAL(0.00836917467125435), FC_REAL(0.00139336737329319),
#else
    FC_REAL(1.0),
    FC_REAL(0.50000000000000056375),
    FC_REAL(0.16666666666666671002),
    FC_REAL(0.041666666666572869243),
    FC_REAL(0.008333333333326119862),
    FC_REAL(0.0013888888932584155033),
    FC_REAL(0.00019841269873874975076),
    FC_REAL(0.000024801504225811066116),
    FC_REAL(2.7557255332554409105e-6),
    FC_REAL(2.7626407670905472349e-7),
    FC_REAL(2.5105245153901369855e-8),
#endif
};

/* sum of c[k] * x^k */
FC_INLINE V V_(polynomial)(const T *c, const int degree, V x) {
    V sum = V_(set1)(c[degree]);
#pragma GCC unroll 32
    for (int k = degree - 1; k >= 0; k--) sum = V_(fma)(sum, x, V_(set1)(c[k]));
    return sum;
}

/* x = n * ln 2 + r, the last bits of `shifted` being n + extra; and exp(r) - 1 */
struct FC_NAME(reduced) {
    V shifted, e;
};
FC_INLINE struct FC_NAME(reduced) FC_NAME(reduce_exponent)(V x, const int extra) {
    const V round = V_(set1)((T)(((I)3 << (FC_MANTISSA - 1)) + extra));
    V shifted = V_(fma)(x, V_(set1)(FC_REAL(1.4426950408889634)), round);
    V n = shifted - round;
    V r = V_(fma)(n, V_(set1)(-FC_LN2_HIGH), x);
    r = V_(fma)(n, V_(set1)(-FC_LN2_LOW), r);
    return (struct FC_NAME(reduced)){shifted,
                                     r * V_(polynomial)(FC_NAME(exp_terms), FC_EXP_DEGREE, r)};
}

/* 2^n in two factors, each a normal number even where n leaves the exponent's range */
FC_INLINE V V_(exp)(V x) {
    x = V_(min)(V_(set1)(FC_EXP_HIGHEST), V_(max)(V_(set1)(FC_EXP_LOWEST), x));
    struct FC_NAME(reduced) part = FC_NAME(reduce_exponent)(x, 0);
    VI whole = (VI)part.shifted - (VI)V_(set1)((T)((I)3 << (FC_MANTISSA - 1)));
    VI half = whole >> 1;
    V low = (V)((half + FC_EXPONENT_BIAS) << FC_MANTISSA);
    V high = (V)((whole - half + FC_EXPONENT_BIAS) << FC_MANTISSA);
    return (part.e + V_(set1)(1)) * low * high;
}

/* What exp needs where it may be infinite beyond 2^(FC_EXPONENT_BIAS + 1/2) and 0 where it is no
 * normal number: 2^n is one factor, 0 for the lowest x and infinity for the highest. */
FC_INLINE struct FC_NAME(reduced) FC_NAME(reduce_within)(V x) {
    const T bias = FC_EXPONENT_BIAS, ln2 = FC_REAL(0.6931471805599453);
    x = V_(min)(V_(set1)((bias + 1) * ln2), V_(max)(V_(set1)(-bias * ln2), x));
    struct FC_NAME(reduced) part = FC_NAME(reduce_exponent)(x, FC_EXPONENT_BIAS);
    part.shifted = (V)((VI)part.shifted << FC_MANTISSA);
    return part;
}
FC_INLINE V V_(exp_within)(V x) {
    struct FC_NAME(reduced) part = FC_NAME(reduce_within)(x);
    return (part.e + V_(set1)(1)) * part.shifted; /* 1 + e first: infinity, not NaN */
}

/* exp(x) - 1 for x up to 64, without cancellation: 2^n (exp(r) - 1) + (2^n - 1) */
FC_INLINE V V_(expm1)(V x) {
    struct FC_NAME(reduced) part = FC_NAME(reduce_within)(x);
    return V_(fma)(part.e, part.shifted, part.shifted - V_(set1)(1));
}

FC_INLINE V V_(one_and_exp)(V x) { return V_(set1)(1) + V_(exp_within)(-x); }
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
    return V_(max)(V_(set1)(0), x) + V_(log1p)(V_(exp_within)(-V_(magnitude)(x)));
}

/* The normal distribution's function: exp(-a^2 / 2) t f(2 t - 1) at -a, t = 1 / (1 + a / sqrt 18), f
 * fitted like exp; square + rest is a^2, to more digits than a has. */
FC_INLINE V V_(normal)(V x) {
    static const T f[] = {
#if FC_BITS == 32
        FC_REAL(0.179001151180274),      FC_REAL(0.147232409720329),
        FC_REAL(0.0983713942730285),     FC_REAL(0.0517444599273921),
        FC_REAL(0.0199212868694112),     FC_REAL(0.00447251648743703),
        FC_REAL(-0.000202849698630085),  FC_REAL(-0.000512358385617769),
        FC_REAL(-0.0000838647559461329), FC_REAL(0.0000558551675832956),
#else
        FC_REAL(0.179001151181389961),      FC_REAL(0.147232408861647071),
        FC_REAL(0.098371392850680487),      FC_REAL(0.0517445436501146619),
        FC_REAL(0.0199212935480392535),     FC_REAL(0.00447120577013870264),
        FC_REAL(-0.000202069440902803057),  FC_REAL(-0.000505676991536393407),
        FC_REAL(-0.0000913849191015578541), FC_REAL(0.0000461295714204565318),
        FC_REAL(0.0000179267505426678237),  FC_REAL(-5.06601597639769794e-6),
        FC_REAL(-2.91121301931051253e-6),   FC_REAL(7.90444069718622565e-7),
        FC_REAL(4.59787619840548417e-7),    FC_REAL(-1.64236627233527332e-7),
        FC_REAL(-6.66989558732839877e-8),   FC_REAL(3.59971155564850434e-8),
        FC_REAL(6.97081932082291762e-9),    FC_REAL(-6.16416775626179604e-9),
        FC_REAL(-1.84294984549218674e-10),  FC_REAL(4.80984625702016619e-10),
#endif
    };
    const V half = V_(set1)(FC_REAL(0.5)), one = V_(set1)(1);
    V a = V_(min)(V_(set1)(40), V_(magnitude)(x)), square = a * a, rest = V_(fma)(a, a, -square);
    V t = one / V_(fma)(a, V_(set1)(FC_REAL(0.2357022603955158415)), one);
    V power = V_(exp_within)(-half * square);
    V y = t * V_(polynomial)(f, FC_NORMAL_DEGREE, V_(fma)(t, V_(set1)(2), -one));
    y *= V_(fma)(-half * rest, power, power);
    return V_(select)((VI)(x > V_(set1)(0)), one - y, y);
}

#undef FC_EXP_DEGREE
#undef FC_NORMAL_DEGREE
#undef FC_LOG1P_TERMS
#undef FC_EXP_LOWEST
#undef FC_EXP_HIGHEST
#undef FC_MANTISSA
#undef FC_EXPONENT_BIAS
#undef FC_LN2_HIGH
#undef FC_LN2_LOW
