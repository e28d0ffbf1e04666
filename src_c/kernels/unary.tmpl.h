/* unary.tmpl.h: mathematical functions of one operand; the contract is above fc_unary_fn. */

#if FC_BITS == 32
#define FC_LIBM(name) name##f
#else
#define FC_LIBM(name) name
#endif

FC_INLINE V V_(unary)(const int operation, V x) {
    switch (operation) {
    case 0: return -x;
    case 1: return V_(select)((VI)x < 0, -x, x); /* by the sign bit: NaN and -0 too */
    case 2: return V_(set1)(1) / x;
    default: return V_(exp)(x);
    }
}

FC_INLINE void FC_NAME(unary_vectors)(const int operation, const T *x, T *y, ptrdiff_t count) {
    ptrdiff_t i = 0;
    for (; i + VL <= count; i += VL) V_(store)(y + i, V_(unary)(operation, V_(load)(x + i)));
    if (i < count) V_(storen)(y + i, V_(unary)(operation, V_(loadn)(x + i, count - i)), count - i);
}

#define FC_EACH(expression) \
    for (ptrdiff_t i = 0; i < count; i++) { \
        T v = in[i]; \
        out[i] = expression; \
    } \
    break

static void FC_NAME(unary)(int operation, const void *x, void *y, ptrdiff_t count) {
    const T *in = (const T *)x;
    T *out = (T *)y;
    count_call();
    switch (operation) {
    case 0: FC_NAME(unary_vectors)(0, in, out, count); break;
    case 1: FC_NAME(unary_vectors)(1, in, out, count); break;
    case 2: FC_NAME(unary_vectors)(2, in, out, count); break;
    case 3: FC_NAME(unary_vectors)(3, in, out, count); break;
    case 4: FC_EACH(FC_LIBM(log)(v));
    case 5: FC_EACH(FC_LIBM(sqrt)(v));
    case 6: FC_EACH(FC_LIBM(erf)(v));
    case 7: FC_EACH(FC_LIBM(floor)(v));
    case 8: FC_EACH(FC_LIBM(ceil)(v));
    case 9: FC_EACH(FC_LIBM(rint)(v));
    default: FC_EACH(v > 0 ? 1 : v < 0 ? -1 : v);
    }
}

#undef FC_EACH
#undef FC_LIBM
