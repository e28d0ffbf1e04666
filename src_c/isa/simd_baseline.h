/* simd_baseline.h: the vector vocabulary in 128 bits of portable C, for any processor. */
#ifndef FC_SIMD_H
#define FC_SIMD_H

#define FC_VECTOR_BYTES 16
#include "isa/simd_types.h"

FC_INLINE v32 v32_set1(float x) { return (v32){x, x, x, x}; }
FC_INLINE v64 v64_set1(double x) { return (v64){x, x}; }

/* a * b + c, rounded twice: not every processor has the fused instruction */
FC_INLINE v32 v32_fma(v32 a, v32 b, v32 c) { return a * b + c; }
FC_INLINE v64 v64_fma(v64 a, v64 b, v64 c) { return a * b + c; }

/* b where the operands are unordered or equal */
FC_INLINE v32 v32_pick(v32i mask, v32 a, v32 b) {
    return (v32)(((v32i)a & mask) | ((v32i)b & ~mask));
}
FC_INLINE v64 v64_pick(v64i mask, v64 a, v64 b) {
    return (v64)(((v64i)a & mask) | ((v64i)b & ~mask));
}
FC_INLINE v32 v32_max(v32 a, v32 b) { return v32_pick((v32i)(a > b), a, b); }
FC_INLINE v64 v64_max(v64 a, v64 b) { return v64_pick((v64i)(a > b), a, b); }
FC_INLINE v32 v32_min(v32 a, v32 b) { return v32_pick((v32i)(a < b), a, b); }
FC_INLINE v64 v64_min(v64 a, v64 b) { return v64_pick((v64i)(a < b), a, b); }

/* the largest operand; NaN where any is NaN */
FC_INLINE v32 v32_max_nan(v32 a, v32 b) { return (v32)((v32i)v32_max(a, b) | (v32i)(a != a)); }
FC_INLINE v64 v64_max_nan(v64 a, v64 b) { return (v64)((v64i)v64_max(a, b) | (v64i)(a != a)); }
FC_INLINE v32 v32_max_nan3(v32 a, v32 b, v32 c) { return v32_max_nan(v32_max_nan(a, b), c); }
FC_INLINE v64 v64_max_nan3(v64 a, v64 b, v64 c) { return v64_max_nan(v64_max_nan(a, b), c); }

#include "isa/simd_copyn.h"

#endif
