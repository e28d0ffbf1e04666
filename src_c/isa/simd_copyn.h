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

/* these lanes, the others from rest */
FC_INLINE v32 v32_loadm_over(v32 rest, const float *p, v32m m) {
    for (int i = m.first; i < m.last; i++) rest[i] = p[i];
    return rest;
}
FC_INLINE v64 v64_loadm_over(v64 rest, const double *p, v64m m) {
    for (int i = m.first; i < m.last; i++) rest[i] = p[i];
    return rest;
}

/* the first n lanes */
FC_INLINE void v32_storen(float *p, v32 v, ptrdiff_t n) { v32_storem(p, v, v32_lanes(0, n)); }
FC_INLINE void v64_storen(double *p, v64 v, ptrdiff_t n) { v64_storem(p, v, v64_lanes(0, n)); }

/* the lower halves of masked loads from p and from q, side by side */
FC_INLINE v32 v32_load_two(const float *p, const float *q, v32m m) {
    v32 a = v32_loadm(p, m), b = v32_loadm(q, m);
    return (v32){a[0], a[1], b[0], b[1]};
}
FC_INLINE v64 v64_load_two(const double *p, const double *q, v64m m) {
    return (v64){v64_loadm(p, m)[0], v64_loadm(q, m)[0]};
}
#endif
