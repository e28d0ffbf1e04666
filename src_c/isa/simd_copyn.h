/* simd_copyn.h: partial loads and stores for instruction sets without masks. */
#ifndef FC_SIMD_COPYN_H
#define FC_SIMD_COPYN_H

/* the first n lanes; a load leaves the others zero */
FC_INLINE v32 v32_loadn(const float *p, ptrdiff_t n) {
    v32 v = {0};
    for (ptrdiff_t i = 0; i < n; i++) v[i] = p[i];
    return v;
}
FC_INLINE v64 v64_loadn(const double *p, ptrdiff_t n) {
    v64 v = {0};
    for (ptrdiff_t i = 0; i < n; i++) v[i] = p[i];
    return v;
}
FC_INLINE void v32_storen(float *p, v32 v, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) p[i] = v[i];
}
FC_INLINE void v64_storen(double *p, v64 v, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) p[i] = v[i];
}

#endif
