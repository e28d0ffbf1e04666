/* image.tmpl.h: normalization and resizing; the contracts are above fc_scale_fn and those after it. */

static void FC_NAME(scale)(const void *x_, const void *scale_, const void *shift_, ptrdiff_t step,
                           void *y_, ptrdiff_t count, double low, double high) {
    const T *x = (const T *)x_, *scale = (const T *)scale_, *shift = (const T *)shift_;
    T *y = (T *)y_;
    count_call();
    V a = V_(set1)(scale[0]), b = V_(set1)(shift[0]);
    const V lo = V_(set1)((T)low), hi = V_(set1)((T)high);
    for (ptrdiff_t i = 0; i < count; i += VL) {
        ptrdiff_t n = count - i;
        if (step) {
            a = V_(load_some)(scale + i, n);
            b = V_(load_some)(shift + i, n);
        }
        V out = V_(fma)(V_(load_some)(x + i, n), a, b);
        V_(store_some)(y + i, V_(min)(hi, V_(max)(lo, out)), n);
    }
}

static void FC_NAME(blend)(const void *x_, const ptrdiff_t *tap, const void *w_, ptrdiff_t taps,
                           void *y_, ptrdiff_t count) {
    const T *x = (const T *)x_, *w = (const T *)w_;
    T *y = (T *)y_;
    count_call();
    for (ptrdiff_t i = 0; i < count; i += VL) {
        ptrdiff_t n = count - i;
        V sum = V_(load_some)(x + tap[0] + i, n) * V_(set1)(w[0]);
        for (ptrdiff_t t = 1; t < taps; t++)
            sum = V_(fma)(V_(load_some)(x + tap[t] + i, n), V_(set1)(w[t]), sum);
        V_(store_some)(y + i, sum, n);
    }
}

static void FC_NAME(blend_at)(const void *x_, const ptrdiff_t *at, const void *w_,
                              const ptrdiff_t taps, void *y_, ptrdiff_t count) {
    const T *x = (const T *)x_, *w = (const T *)w_;
    T *y = (T *)y_;
    count_call();
    for (ptrdiff_t i = 0; i < count; i++, at += taps, w += taps) {
        T sum = x[at[0]] * w[0];
        for (ptrdiff_t t = 1; t < taps; t++) sum += x[at[t]] * w[t];
        y[i] = sum;
    }
}
