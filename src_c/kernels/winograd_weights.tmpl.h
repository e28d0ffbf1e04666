/* winograd_weights.tmpl.h: U = G g G' for vectors of filters; the contract is above fc_winograd_weights_fn.
 *
 * The rows of G for a pair of points +-p differ in the signs of the odd powers of p alone (in the signs of
 * all powers, too, where 0 is no point): both are a sum over the even taps plus or minus one over the odd.
 */

/* As many elements as there are doubles in a vector, as doubles: n of them, a multiple of FC_NARROW, which is no
 * less than all in floats. */
#if FC_BITS == 32
FC_INLINE v64 FC_NAME(load_doubles)(const T *p, ptrdiff_t n) {
    (void)n;
    return __builtin_convertvector(*(const v32h *)p, v64);
}
FC_INLINE void FC_NAME(store_doubles)(T *p, v64 v, ptrdiff_t n) {
    (void)n;
    *(v32h *)p = __builtin_convertvector(v, v32h);
}
#else
FC_INLINE v64 FC_NAME(load_doubles)(const T *p, ptrdiff_t n) { return V_(load_some)(p, n); }
FC_INLINE void FC_NAME(store_doubles)(T *p, v64 v, ptrdiff_t n) { V_(store_some)(p, v, n); }
#endif

/* sum over r = from, from + 2 ... < taps of g[r*step] * w[r*step*w_step] */
FC_INLINE v64 FC_NAME(wino_every_second)(const double *g, const int from, const int taps,
                                         const int step, const v64 *w, const int w_step) {
    v64 sum = v64_set1(g[from * step]) * w[from * step * w_step];
#pragma GCC unroll 4
    for (int r = from + 2; r < taps; r += 2)
        sum = v64_fma(v64_set1(g[r * step]), w[r * step * w_step], sum);
    return sum;
}

#define FC_WINO_EACH_PAIR(X) X(0) X(1) X(2)

/* u[i] = sum over r of g[i][r] * w[r*w_step], along an axis of a tile */
FC_INLINE void FC_NAME(wino_weights_line)(const int patch, const int outputs,
                                          const double (*g)[FC_WINOGRAD_MAX_FILTER], const v64 *w,
                                          const int w_step, v64 *u) {
    const int points = FC_WINOGRAD_POINTS(patch), zero = FC_WINOGRAD_ZERO(patch);
    const int taps = points - outputs + 1, step = patch > points ? 2 : 1;
    if (zero) u[0] = v64_set1(g[0][0]) * w[0];
#define FC_WINO_PAIR(pair) \
    if (pair < FC_WINOGRAD_PAIRS(patch)) { \
        const int i = zero + 2 * pair; \
        v64 even = FC_NAME(wino_every_second)(g[i], 0, taps, step, w, w_step); \
        v64 odd = FC_NAME(wino_every_second)(g[i], 1, taps, step, w, w_step); \
        u[i] = even + odd; \
        u[i + 1] = zero ? even - odd : odd - even; \
    }
    FC_WINO_EACH_PAIR(FC_WINO_PAIR)
#undef FC_WINO_PAIR
    u[points - 1] = w[(taps - 1) * step * w_step];
    if (step == 2) u[points] = w[w_step];
}

/* A few vectors along the first axis, then along the second: so many rows of u are written at a time as a
 * set of the first-level cache may hold, in which all of them often are. */
#define FC_WINO_AT_ONCE 8
FC_INLINE void FC_NAME(wino_weights)(const struct fc_winograd_weights_args *args, const int ph,
                                     const int mh, const int pw, const int mw) {
    const int down = FC_WINOGRAD_TERMS(ph), across = FC_WINOGRAD_TERMS(pw);
    const int r_taps = FC_WINOGRAD_FILTER(ph, mh), s_taps = FC_WINOGRAD_FILTER(pw, mw);
    const ptrdiff_t lanes = FC_VECTOR_BYTES / 8, most = FC_WINO_AT_ONCE * lanes;
    v64 half[FC_WINO_AT_ONCE * FC_WINOGRAD_MAX_FILTER * FC_WINOGRAD_MAX_PATCH];
    for (ptrdiff_t from = 0; from < args->count; from += most) {
        const ptrdiff_t rest = args->count - from;
        const ptrdiff_t vectors = rest < most ? (rest + lanes - 1) / lanes : FC_WINO_AT_ONCE;
        const T *w = (const T *)args->w + from;
        for (ptrdiff_t v = 0; v < vectors; v++)
            for (int s = 0; s < s_taps; s++) {
                v64 g[FC_WINOGRAD_MAX_FILTER];
#pragma GCC unroll 7
                for (int r = 0; r < r_taps; r++)
                    g[r] = FC_NAME(load_doubles)(w + (r * s_taps + s) * args->w_tap + v * lanes,
                                                 rest - v * lanes);
                FC_NAME(wino_weights_line)(ph, mh, args->down, g, 1,
                                           half + (v * s_taps + s) * down);
            }
        for (int i = 0; i < down; i++)
            for (ptrdiff_t v = 0; v < vectors; v++) {
                T *u = (T *)args->u + i * across * args->u_tap + from + v * lanes;
                v64 row[FC_WINOGRAD_MAX_PATCH];
                FC_NAME(wino_weights_line)(pw, mw, args->across, half + v * s_taps * down + i, down,
                                           row);
#pragma GCC unroll 9
                for (int j = 0; j < across; j++)
                    FC_NAME(store_doubles)(u + j * args->u_tap, row[j], rest - v * lanes);
            }
    }
}

#define FC_WINO_WEIGHTS(ph, mh, pw, mw, chains) \
    static void FC_NAME(winograd_weights_##ph##x##pw##_##mh##x##mw)( \
        const struct fc_winograd_weights_args *args) { \
        FC_NAME(wino_weights)(args, ph, mh, pw, mw); \
    }
FC_WINOGRAD_TILES(FC_WINO_WEIGHTS)
#undef FC_WINO_WEIGHTS
#undef FC_WINO_EACH_PAIR
