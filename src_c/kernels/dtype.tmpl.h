/* dtype.tmpl.h: binds the templates to one dtype (FC_BITS 32: float, 64: double).
 *
 * T element, I integer of its width, V vector, VI integer vector, M mask of lanes, VL lanes; V_(op) an operation of
 * the vocabulary; FC_NAME(op) a kernel's name, as a profiler shows it: fc_f32_gemm__avx512.
 */
#if FC_BITS == 32
#define T float
#define I int32_t
#define V v32
#define VI v32i
#define M v32m
#define VU v32u
#define V_(op) v32_##op
#define FC_NAME(op) FC_NAME_OF(fc_f32_, op)
#define FC_REAL(literal) literal##f
#else
#define T double
#define I int64_t
#define V v64
#define VI v64i
#define M v64m
#define VU v64u
#define V_(op) v64_##op
#define FC_NAME(op) FC_NAME_OF(fc_f64_, op)
#define FC_REAL(literal) literal
#endif
#define VL ((ptrdiff_t)(FC_VECTOR_BYTES / sizeof(T)))

#include "kernels/vector.tmpl.h"

#include "kernels/binary.tmpl.h"
#include "kernels/copy2d.tmpl.h"
#include "kernels/functions.tmpl.h"
#include "kernels/activate.tmpl.h"
#include "kernels/depthwise.tmpl.h"
#include "kernels/dot.tmpl.h"
#include "kernels/dots.tmpl.h"
#include "kernels/gemm.tmpl.h"
#include "kernels/image.tmpl.h"
#include "kernels/planar.tmpl.h"
#include "kernels/pool.tmpl.h"
#include "kernels/pool_last.tmpl.h"
#include "kernels/reduction.tmpl.h"
#include "kernels/response.tmpl.h"
#include "kernels/unary.tmpl.h"
#include "kernels/winograd_weights.tmpl.h"
#include "kernels/winograd.tmpl.h"
#include "kernels/winograd_product.tmpl.h"
#include "kernels/winograd_rows.tmpl.h"
#include "kernels/table.tmpl.h"

#undef FC_BITS
#undef T
#undef I
#undef V
#undef VI
#undef M
#undef VU
#undef FC_NARROW
#undef V_
#undef VL
#undef FC_NAME
#undef FC_REAL
