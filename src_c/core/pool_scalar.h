/* pool_scalar.h: one output of a 2-D pool in plain C, for any strides; a template over FC_T.
 *
 * Included with FC_T (element type), FC_POOL_NAME(op) and FC_POOL_FLOATING defined.
 */

/* Maximum over the window's elements inside the image, and its first position h*W + w; as in
 * PyTorch, NaN wins, and the last of several. An empty window gives the lowest value, position 0. */
static void FC_POOL_NAME(max)(const fc_pool2d_desc *d, const char *image, int64_t p, int64_t q,
                              char *y, int64_t *index) {
    const FC_T *x = (const FC_T *)image;
    struct fc_window w = fc_window_of(d, p, q);
    FC_T best = FC_POOL_LOWEST;
    int64_t at = w.h[0] * d->x.size[3] + w.w[0];
    for (int64_t h = w.h[0]; h < w.h[1]; h += d->dilation[0])
        for (int64_t c = w.w[0]; c < w.w[1]; c += d->dilation[1]) {
            FC_T value = x[h * d->x.stride[2] + c * d->x.stride[3]];
            if (value > best || FC_POOL_ISNAN(value)) {
                best = value;
                at = h * d->x.size[3] + c;
            }
        }
    *(FC_T *)y = best;
    if (index) *index = w.h[0] < w.h[1] && w.w[0] < w.w[1] ? at : 0;
}

#ifdef FC_POOL_FLOATING
static void FC_POOL_NAME(average)(const fc_pool2d_desc *d, const char *image, int64_t p, int64_t q,
                                  char *y) {
    const FC_T *x = (const FC_T *)image;
    struct fc_window w = fc_window_of(d, p, q);
    FC_T sum = 0;
    for (int64_t h = w.h[0]; h < w.h[1]; h += d->dilation[0])
        for (int64_t c = w.w[0]; c < w.w[1]; c += d->dilation[1])
            sum += x[h * d->x.stride[2] + c * d->x.stride[3]];
    *(FC_T *)y = sum / ((FC_T)fc_divisor_part(d, 0, p) * (FC_T)fc_divisor_part(d, 1, q));
}
#endif

#undef FC_T
#undef FC_POOL_NAME
#undef FC_POOL_LOWEST
#undef FC_POOL_ISNAN
#undef FC_POOL_FLOATING
