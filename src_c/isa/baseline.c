/* baseline.c: portable C, whatever the compiler's default target has (SSE2 on x86-64). */
#include "isa/simd_baseline.h"
#define FC_ISA baseline
#define FC_TILE_VECTORS 2
#define FC_TILE_PIXELS(vectors) ((vectors) == 2 ? 6 : 8)
#include "kernels/kernels.h"
