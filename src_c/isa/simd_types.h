/* simd_types.h: vector types of FC_VECTOR_BYTES bytes, in the compilers' portable vector extension.
 *
 * v32: float lanes, v64: double lanes, v32i/v64i: integers of the same width, v32u/v64u: the same
 * at any address, v32h: half as many floats. Arithmetic is written with operators; what operators cannot say is in simd_<isa>.h
 * (fma, max, min, masked load and store) and vector.tmpl.h (the rest of the vocabulary).
 */
#ifndef FC_SIMD_TYPES_H
#define FC_SIMD_TYPES_H

#include <stddef.h>
#include <stdint.h>

#define FC_INLINE static inline __attribute__((always_inline, unused))
#define FC_VECTOR(alignment) \
    __attribute__((vector_size(FC_VECTOR_BYTES), aligned(alignment), may_alias))

typedef float v32 __attribute__((vector_size(FC_VECTOR_BYTES)));
typedef double v64 __attribute__((vector_size(FC_VECTOR_BYTES)));
typedef int32_t v32i __attribute__((vector_size(FC_VECTOR_BYTES)));
typedef int64_t v64i __attribute__((vector_size(FC_VECTOR_BYTES)));
typedef float v32u FC_VECTOR(4);
typedef double v64u FC_VECTOR(8);
typedef float v32h __attribute__((vector_size(FC_VECTOR_BYTES / 2), aligned(4), may_alias));

/* Keeps a loaded vector in a register for its several uses: gcc would fold the load into each. */
#if defined(__x86_64__)
#define FC_PIN(v) __asm__("" : "+v"(v))
#elif defined(__aarch64__)
#define FC_PIN(v) __asm__("" : "+w"(v))
#else
#define FC_PIN(v) ((void)0)
#endif

#endif
