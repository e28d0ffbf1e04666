/* simd_avx2.h: the vector vocabulary in 256 bits. */
#ifndef FC_SIMD_H
#define FC_SIMD_H

#include <immintrin.h>

#define FC_VECTOR_BYTES 32
#include "isa/simd_types.h"

FC_INLINE v32 v32_set1(float x) { return (v32)_mm256_set1_ps(x); }
FC_INLINE v64 v64_set1(double x) { return (v64)_mm256_set1_pd(x); }

/* a * b + c, rounded once */
FC_INLINE v32 v32_fma(v32 a, v32 b, v32 c) {
    return (v32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
FC_INLINE v64 v64_fma(v64 a, v64 b, v64 c) {
    return (v64)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}

/* b where the operands are unordered or equal */
FC_INLINE v32 v32_max(v32 a, v32 b) { return (v32)_mm256_max_ps((__m256)a, (__m256)b); }
FC_INLINE v64 v64_max(v64 a, v64 b) { return (v64)_mm256_max_pd((__m256d)a, (__m256d)b); }
FC_INLINE v32 v32_min(v32 a, v32 b) { return (v32)_mm256_min_ps((__m256)a, (__m256)b); }
FC_INLINE v64 v64_min(v64 a, v64 b) { return (v64)_mm256_min_pd((__m256d)a, (__m256d)b); }

/* the largest operand; NaN where any is NaN */
FC_INLINE v32 v32_max_nan(v32 a, v32 b) {
    __m256 nan = _mm256_cmp_ps((__m256)a, (__m256)a, _CMP_UNORD_Q);
    return (v32)_mm256_or_ps(_mm256_max_ps((__m256)a, (__m256)b), nan);
}
FC_INLINE v64 v64_max_nan(v64 a, v64 b) {
    __m256d nan = _mm256_cmp_pd((__m256d)a, (__m256d)a, _CMP_UNORD_Q);
    return (v64)_mm256_or_pd(_mm256_max_pd((__m256d)a, (__m256d)b), nan);
}
FC_INLINE v32 v32_max_nan3(v32 a, v32 b, v32 c) {
    __m256 nan = _mm256_cmp_ps((__m256)a, (__m256)b, _CMP_UNORD_Q);
    return (v32)_mm256_or_ps((__m256)v32_max(v32_max(a, b), c), nan);
}
FC_INLINE v64 v64_max_nan3(v64 a, v64 b, v64 c) {
    __m256d nan = _mm256_cmp_pd((__m256d)a, (__m256d)b, _CMP_UNORD_Q);
    return (v64)_mm256_or_pd((__m256d)v64_max(v64_max(a, b), c), nan);
}

/* lanes first <= l < last of a vector, 0 <= first, last <= VL: all ones there */
typedef __m256i v32m, v64m;
FC_INLINE v32m v32_lanes(ptrdiff_t first, ptrdiff_t last) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32((int)first), lane),
                               _mm256_cmpgt_epi32(_mm256_set1_epi32((int)last), lane));
}
FC_INLINE v64m v64_lanes(ptrdiff_t first, ptrdiff_t last) {
    const __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
    return _mm256_andnot_si256(_mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)first), lane),
                               _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)last), lane));
}

/* these lanes and no others; a load leaves the others zero */
FC_INLINE v32 v32_loadm(const float *p, v32m m) { return (v32)_mm256_maskload_ps(p, m); }
FC_INLINE v64 v64_loadm(const double *p, v64m m) { return (v64)_mm256_maskload_pd(p, m); }
FC_INLINE void v32_storem(float *p, v32 v, v32m m) { _mm256_maskstore_ps(p, m, (__m256)v); }
FC_INLINE void v64_storem(double *p, v64 v, v64m m) { _mm256_maskstore_pd(p, m, (__m256d)v); }

/* these lanes, the others from rest */
FC_INLINE v32 v32_loadm_over(v32 rest, const float *p, v32m m) {
    return (v32)_mm256_blendv_ps((__m256)rest, _mm256_maskload_ps(p, m), (__m256)m);
}
FC_INLINE v64 v64_loadm_over(v64 rest, const double *p, v64m m) {
    return (v64)_mm256_blendv_pd((__m256d)rest, _mm256_maskload_pd(p, m), (__m256d)m);
}

/* the first n < VL lanes, by halves: masked stores take a dozen cycles on AMD's processors */
FC_INLINE void v32_storen(float *p, v32 v, ptrdiff_t n) {
    __m128 low = _mm256_castps256_ps128((__m256)v);
    if (n & 4) {
        _mm_storeu_ps(p, low);
        low = _mm256_extractf128_ps((__m256)v, 1);
        p += 4;
    }
    if (n & 2) {
        _mm_storel_pi((__m64 *)p, low);
        low = _mm_movehl_ps(low, low);
        p += 2;
    }
    if (n & 1) _mm_store_ss(p, low);
}
FC_INLINE void v64_storen(double *p, v64 v, ptrdiff_t n) {
    __m128d low = _mm256_castpd256_pd128((__m256d)v);
    if (n & 2) {
        _mm_storeu_pd(p, low);
        low = _mm256_extractf128_pd((__m256d)v, 1);
        p += 2;
    }
    if (n & 1) _mm_store_sd(p, low);
}

/* the lower halves of masked loads from p and from q, side by side */
FC_INLINE v32 v32_load_two(const float *p, const float *q, v32m m) {
    __m128i half = _mm256_castsi256_si128(m);
    return (v32)_mm256_insertf128_ps(_mm256_castps128_ps256(_mm_maskload_ps(p, half)),
                                     _mm_maskload_ps(q, half), 1);
}
FC_INLINE v64 v64_load_two(const double *p, const double *q, v64m m) {
    __m128i half = _mm256_castsi256_si128(m);
    return (v64)_mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_maskload_pd(p, half)),
                                     _mm_maskload_pd(q, half), 1);
}

#endif
