/* response.tmpl.h: local response normalization; the contract is above fc_response_fn.
 *
 * v^-beta = exp(-beta log v), with log v = e ln 2 + log m for v = 2^e m, m within a factor sqrt 2 of 1,
 * and log m = 2 atanh(s) = 2 (s + s^3/3 + s^5/5 ...), s = (m - 1) / (m + 1), |s| < 0.172.
 */

#if FC_BITS == 32
#define FC_MANTISSA 23
#define FC_EXPONENT_BIAS 127
#define FC_ATANH_TERMS 4
#else
#define FC_MANTISSA 52
#define FC_EXPONENT_BIAS 1023
#define FC_ATANH_TERMS 10
#endif

/* Logarithm of a positive, normal, finite number. */
FC_INLINE V V_(log_normal)(V x) {
    static const T inverse_odd[] = {FC_REAL(1.0),      FC_REAL(1.0) / 3,  FC_REAL(1.0) / 5,
                                    FC_REAL(1.0) / 7,  FC_REAL(1.0) / 9,  FC_REAL(1.0) / 11,
                                    FC_REAL(1.0) / 13, FC_REAL(1.0) / 15, FC_REAL(1.0) / 17,
                                    FC_REAL(1.0) / 19, FC_REAL(1.0) / 21};
    const V one = V_(set1)(1), root = V_(set1)(FC_REAL(1.4142135623730951));
    const VI one_bits = (VI)one, mantissa = (VI)V_(set1)(0) + (((I)1 << FC_MANTISSA) - 1);
    VI exponent = ((VI)x >> FC_MANTISSA) - FC_EXPONENT_BIAS;
    V m = (V)(((VI)x & mantissa) | one_bits);
    VI large = (VI)(m > root);
    m = V_(select)(large, m * V_(set1)(FC_REAL(0.5)), m);
    exponent -= large; /* a true lane is -1 */
    V s = (m - one) / (m + one), square = s * s;
    V sum = V_(set1)(inverse_odd[FC_ATANH_TERMS]);
#pragma GCC unroll 16
    for (int k = FC_ATANH_TERMS - 1; k >= 0; k--)
        sum = V_(fma)(sum, square, V_(set1)(inverse_odd[k]));
    V e = __builtin_convertvector(exponent, V);
    return V_(fma)(e, V_(set1)(FC_REAL(0.6931471805599453)), (s + s) * sum);
}

static void FC_NAME(response)(const struct fc_response_args *a) {
    const T *x = (const T *)a->x;
    T *y = (T *)a->y, *squares = (T *)a->squares;
    const V bias = V_(set1)((T)a->bias), alpha = V_(set1)((T)a->alpha);
    const V minus_beta = V_(set1)((T)-a->beta);
    count_call();
    for (ptrdiff_t c = 0; c < a->before; c++) squares[c] = 0;
    for (ptrdiff_t c = 0; c < a->after; c++) squares[a->before + a->channels + c] = 0;
    for (ptrdiff_t p = 0; p < a->pixels; p++, x += a->x_pixel, y += a->y_pixel) {
        for (ptrdiff_t c = 0; c < a->channels; c += VL) {
            V v = V_(load_some)(x + c, a->channels - c);
            V_(store_some)(squares + a->before + c, v * v, a->channels - c);
        }
        for (ptrdiff_t c = 0; c < a->channels; c += VL) {
            ptrdiff_t n = a->channels - c;
            V sum = V_(load_some)(squares + c, n);
            for (ptrdiff_t t = 1; t <= a->before + a->after; t++)
                sum += V_(load_some)(squares + c + t, n);
            V base = V_(fma)(alpha, sum, bias);
            /* infinite and NaN bases stand for their own logarithms */
            VI finite = (VI)(base < V_(set1)((T)INFINITY));
            V power = V_(exp)(minus_beta * V_(select)(finite, V_(log_normal)(base), base));
            V_(store_some)(y + c, V_(load_some)(x + c, n) * power, n);
        }
    }
}

#undef FC_MANTISSA
#undef FC_EXPONENT_BIAS
#undef FC_ATANH_TERMS
