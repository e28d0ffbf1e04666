/* kernels.h: all kernel templates for one instruction set, and the table that offers them.
 *
 * Included once by each isa/<isa>.c, after its vector vocabulary and with FC_ISA, FC_TILE_VECTORS
 * and FC_TILE_PIXELS defined. Each template is compiled twice: FC_BITS 32 and 64.
 */
#include <math.h>

#include "isa/fp_mode.h"
#include "kernels/kernel_table.h"

/* Filters in a tile of winograd_rows: six sums each must fit the registers. */
#if FC_TILE_VECTORS >= 3
#define FC_ROWS_FILTERS 5
#else
#define FC_ROWS_FILTERS 2
#endif

#define FC_PASTE4_(a, b, c, d) a##b##c##d
#define FC_PASTE4(a, b, c, d) FC_PASTE4_(a, b, c, d)
#define FC_NAME_OF(dtype, op) FC_PASTE4(dtype, op, __, FC_ISA)
#define FC_STRING_(x) #x
#define FC_STRING(x) FC_STRING_(x)

static uint64_t kernel_calls;
FC_INLINE void count_call(void) { __atomic_fetch_add(&kernel_calls, 1, __ATOMIC_RELAXED); }

#define FC_BITS 32
#include "kernels/dtype.tmpl.h"
#define FC_BITS 64
#include "kernels/dtype.tmpl.h"

#define T int8_t
#include "kernels/pool_integers.tmpl.h"
#define T uint8_t
#include "kernels/pool_integers.tmpl.h"
#define T int16_t
#include "kernels/pool_integers.tmpl.h"
#define T uint16_t
#include "kernels/pool_integers.tmpl.h"
#define T int32_t
#include "kernels/pool_integers.tmpl.h"
#define T uint32_t
#include "kernels/pool_integers.tmpl.h"
#define T int64_t
#include "kernels/pool_integers.tmpl.h"
#define T uint64_t
#include "kernels/pool_integers.tmpl.h"
#define FC_COMBINE(dtype) FC_NAME_OF(fc_##dtype##_, combine)

#define FC_TABLE_NAME FC_PASTE4(fc_kernels_, FC_ISA, , )
extern const struct fc_kernel_table FC_TABLE_NAME;
const struct fc_kernel_table FC_TABLE_NAME = {
    .name = FC_STRING(FC_ISA),
    .set = {&FC_NAME_OF(fc_f32_, set), &FC_NAME_OF(fc_f64_, set)},
    .combine_integers = {FC_COMBINE(int8_t), FC_COMBINE(uint8_t), FC_COMBINE(int16_t),
                         FC_COMBINE(uint16_t), FC_COMBINE(int32_t), FC_COMBINE(uint32_t),
                         FC_COMBINE(int64_t), FC_COMBINE(uint64_t)},
    .fp_enter = fp_enter,
    .fp_leave = fp_leave,
    .calls = &kernel_calls,
};
