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

/* the lower half alone, the upper one being anything: half the work where registers are wider than units */
#define FC_HALF_VECTORS
FC_INLINE v32 v32_load_low(const float *p) {
    return (v32)_mm512_castps256_ps512(_mm256_loadu_ps(p));
}
FC_INLINE v64 v64_load_low(const double *p) {
    return (v64)_mm512_castpd256_pd512(_mm256_loadu_pd(p));
}
FC_INLINE v32 v32_fma_low(v32 a, v32 b, v32 c) {
    return (v32)_mm512_castps256_ps512(_mm256_fmadd_ps(_mm512_castps512_ps256((__m512)a),
                                                       _mm512_castps512_ps256((__m512)b),
                                                       _mm512_castps512_ps256((__m512)c)));
}
FC_INLINE v64 v64_fma_low(v64 a, v64 b, v64 c) {
    return (v64)_mm512_castpd256_pd512(_mm256_fmadd_pd(_mm512_castpd512_pd256((__m512d)a),
                                                       _mm512_castpd512_pd256((__m512d)b),
                                                       _mm512_castpd512_pd256((__m512d)c)));
}

/* b where the operands are unordered or equal */
FC_INLINE v32 v32_max(v32 a, v32 b) { return (v32)_mm512_max_ps((__m512)a, (__m512)b); }
FC_INLINE v64 v64_max(v64 a, v64 b) { return (v64)_mm512_max_pd((__m512d)a, (__m512d)b); }
FC_INLINE v32 v32_min(v32 a, v32 b) { return (v32)_mm512_min_ps((__m512)a, (__m512)b); }
FC_INLINE v64 v64_min(v64 a, v64 b) { return (v64)_mm512_min_pd((__m512d)a, (__m512d)b); }

/* the largest operand; NaN where any is NaN */
FC_INLINE v32 v32_max_nan(v32 a, v32 b) {
    __mmask16 ordered = _mm512_cmp_ps_mask((__m512)a, (__m512)a, _CMP_ORD_Q);
    return (v32)_mm512_mask_max_ps((__m512)a, ordered, (__m512)a, (__m512)b);
}
FC_INLINE v64 v64_max_nan(v64 a, v64 b) {
    __mmask8 ordered = _mm512_cmp_pd_mask((__m512d)a, (__m512d)a, _CMP_ORD_Q);
    return (v64)_mm512_mask_max_pd((__m512d)a, ordered, (__m512d)a, (__m512d)b);
}
FC_INLINE v32 v32_max_nan3(v32 a, v32 b, v32 c) {
    __mmask16 ordered = _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_ORD_Q);
    return (v32)_mm512_mask_max_ps(_mm512_set1_ps(__builtin_nanf("")), ordered,
                                   _mm512_max_ps((__m512)a, (__m512)b), (__m512)c);
}
FC_INLINE v64 v64_max_nan3(v64 a, v64 b, v64 c) {
    __mmask8 ordered = _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_ORD_Q);
    return (v64)_mm512_mask_max_pd(_mm512_set1_pd(__builtin_nan("")), ordered,
                                   _mm512_max_pd((__m512d)a, (__m512d)b), (__m512d)c);
}

/* VL elements from number n on of a and b: gcc would take a table of indices for it */
#define v32_align(a, b, n) (v32) _mm512_alignr_epi32((__m512i)(b), (__m512i)(a), n)
#define v64_align(a, b, n) (v64) _mm512_alignr_epi64((__m512i)(b), (__m512i)(a), n)

/* lanes first <= l < last of a vector, 0 <= first, last <= VL */
typedef __mmask16 v32m;
typedef __mmask8 v64m;
FC_INLINE v32m v32_lanes(ptrdiff_t first, ptrdiff_t last) {
    return (v32m)(((1u << last) - 1) & ~((1u << first) - 1));
}
FC_INLINE v64m v64_lanes(ptrdiff_t first, ptrdiff_t last) {
    return (v64m)(((1u << last) - 1) & ~((1u << first) - 1));
}

/* these lanes and no others; a load leaves the others zero */
FC_INLINE v32 v32_loadm(const float *p, v32m m) { return (v32)_mm512_maskz_loadu_ps(m, p); }
FC_INLINE v64 v64_loadm(const double *p, v64m m) { return (v64)_mm512_maskz_loadu_pd(m, p); }
FC_INLINE void v32_storem(float *p, v32 v, v32m m) { _mm512_mask_storeu_ps(p, m, (__m512)v); }
FC_INLINE void v64_storem(double *p, v64 v, v64m m) { _mm512_mask_storeu_pd(p, m, (__m512d)v); }

/* these lanes, the others from rest */
FC_INLINE v32 v32_loadm_over(v32 rest, const float *p, v32m m) {
    return (v32)_mm512_mask_loadu_ps((__m512)rest, m, p);
}
FC_INLINE v64 v64_loadm_over(v64 rest, const double *p, v64m m) {
    return (v64)_mm512_mask_loadu_pd((__m512d)rest, m, p);
}

/* the first n lanes */
FC_INLINE void v32_storen(float *p, v32 v, ptrdiff_t n) { v32_storem(p, v, v32_lanes(0, n)); }
FC_INLINE void v64_storen(double *p, v64 v, ptrdiff_t n) { v64_storem(p, v, v64_lanes(0, n)); }

/* the lower halves of masked loads from p and from q, side by side */
FC_INLINE v32 v32_load_two(const float *p, const float *q, v32m m) {
    return (v32)_mm512_insertf32x8(_mm512_castps256_ps512(_mm256_maskz_loadu_ps((__mmask8)m, p)),
                                   _mm256_maskz_loadu_ps((__mmask8)m, q), 1);
}
FC_INLINE v64 v64_load_two(const double *p, const double *q, v64m m) {
    return (v64)_mm512_insertf64x4(
        _mm512_castpd256_pd512(_mm256_maskz_loadu_pd((__mmask8)(m & 15), p)),
        _mm256_maskz_loadu_pd((__mmask8)(m & 15), q), 1);
}
#endif
