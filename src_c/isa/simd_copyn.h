/* simd_copyn.h: partial loads and stores for instruction sets without masks. */
#ifndef FC_SIMD_COPYN_H
#define FC_SIMD_COPYN_H

/* lanes first <= l < last of a vector, 0 <= first, last <= VL */
typedef struct {
    int first, last;
} v32m;
typedef v32m v64m;
FC_INLINE v32m v32_lanes(ptrdiff_t first, ptrdiff_t last) { return (v32m){(int)first, (int)last}; }
FC_INLINE v64m v64_lanes(ptrdiff_t first, ptrdiff_t last) { return (v64m){(int)first, (int)last}; }

/* these lanes and no others; a load leaves the others zero */
FC_INLINE v32 v32_loadm(const float *p, v32m m) {
    v32 v = {0};
    if (m.last - m.first == FC_VECTOR_BYTES / 4) return *(const v32u *)p;
    for (int i = m.first; i < m.last; i++) v[i] = p[i];
    return v;
}
FC_INLINE v64 v64_loadm(const double *p, v64m m) {
    v64 v = {0};
    if (m.last - m.first == FC_VECTOR_BYTES / 8) return *(const v64u *)p;
    for (int i = m.first; i < m.last; i++) v[i] = p[i];
    return v;
}
FC_INLINE void v32_storem(float *p, v32 v, v32m m) {
    if (m.last - m.first == FC_VECTOR_BYTES / 4)
        *(v32u *)p = v;
    else
        for (int i = m.first; i < m.last; i++) p[i] = v[i];
}
FC_INLINE void v64_storem(double *p, v64 v, v64m m) {
    if (m.last - m.first == FC_VECTOR_BYTES / 8)
        *(v64u *)p = v;
    else
        for (int i = m.first; i < m.last; i++) p[i] = v[i];
}

#endif
