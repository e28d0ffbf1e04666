/* simd_avx512.h: the vector vocabulary in 512 bits. */
#ifndef FC_SIMD_H
#define FC_SIMD_H

#include <immintrin.h>

#define FC_VECTOR_BYTES 64
#include "isa/simd_types.h"

FC_INLINE v32 v32_set1(float x) { return (v32)_mm512_set1_ps(x); }
FC_INLINE v64 v64_set1(double x) { return (v64)_mm512_set1_pd(x); }

/* a * b + c, rounded once */
FC_INLINE v32 v32_fma(v32 a, v32 b, v32 c) {
    return (v32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
FC_INLINE v64 v64_fma(v64 a, v64 b, v64 c) {
    return (v64)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}

/* b where the operands are unordered or equal */
FC_INLINE v32 v32_max(v32 a, v32 b) { return (v32)_mm512_max_ps((__m512)a, (__m512)b); }
FC_INLINE v64 v64_max(v64 a, v64 b) { return (v64)_mm512_max_pd((__m512d)a, (__m512d)b); }
FC_INLINE v32 v32_min(v32 a, v32 b) { return (v32)_mm512_min_ps((__m512)a, (__m512)b); }
FC_INLINE v64 v64_min(v64 a, v64 b) { return (v64)_mm512_min_pd((__m512d)a, (__m512d)b); }

/* the first n lanes; a load leaves the others zero */
FC_INLINE v32 v32_loadn(const float *p, ptrdiff_t n) {
    return (v32)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
FC_INLINE v64 v64_loadn(const double *p, ptrdiff_t n) {
    return (v64)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
}
FC_INLINE void v32_storen(float *p, v32 v, ptrdiff_t n) {
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
FC_INLINE void v64_storen(double *p, v64 v, ptrdiff_t n) {
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
}

#endif
