/* simd_neon.h: the vector vocabulary in 128 bits on aarch64. */
#ifndef FC_SIMD_H
#define FC_SIMD_H

#include <arm_neon.h>

#define FC_VECTOR_BYTES 16
#include "isa/simd_types.h"

FC_INLINE v32 v32_set1(float x) { return (v32)vdupq_n_f32(x); }
FC_INLINE v64 v64_set1(double x) { return (v64)vdupq_n_f64(x); }

/* a * b + c, rounded once */
FC_INLINE v32 v32_fma(v32 a, v32 b, v32 c) {
    return (v32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
FC_INLINE v64 v64_fma(v64 a, v64 b, v64 c) {
    return (v64)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}

/* b where the operands are unordered or equal */
FC_INLINE v32 v32_max(v32 a, v32 b) {
    return (v32)vbslq_f32(vcgtq_f32((float32x4_t)a, (float32x4_t)b), (float32x4_t)a,
                          (float32x4_t)b);
}
FC_INLINE v64 v64_max(v64 a, v64 b) {
    return (v64)vbslq_f64(vcgtq_f64((float64x2_t)a, (float64x2_t)b), (float64x2_t)a,
                          (float64x2_t)b);
}
FC_INLINE v32 v32_min(v32 a, v32 b) {
    return (v32)vbslq_f32(vcltq_f32((float32x4_t)a, (float32x4_t)b), (float32x4_t)a,
                          (float32x4_t)b);
}
FC_INLINE v64 v64_min(v64 a, v64 b) {
    return (v64)vbslq_f64(vcltq_f64((float64x2_t)a, (float64x2_t)b), (float64x2_t)a,
                          (float64x2_t)b);
}

/* the largest operand; NaN where any is NaN */
FC_INLINE v32 v32_max_nan(v32 a, v32 b) { return (v32)vmaxq_f32((float32x4_t)a, (float32x4_t)b); }
FC_INLINE v64 v64_max_nan(v64 a, v64 b) { return (v64)vmaxq_f64((float64x2_t)a, (float64x2_t)b); }
FC_INLINE v32 v32_max_nan3(v32 a, v32 b, v32 c) { return v32_max_nan(v32_max_nan(a, b), c); }
FC_INLINE v64 v64_max_nan3(v64 a, v64 b, v64 c) { return v64_max_nan(v64_max_nan(a, b), c); }

#include "isa/simd_copyn.h"

#endif
