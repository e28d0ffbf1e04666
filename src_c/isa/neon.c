/* neon.c: Advanced SIMD on aarch64. 32 registers of 128 bits: 6x4, 8x3, 8x2 and 8x1 tiles. */
#include "isa/simd_neon.h"
#define FC_ISA neon
#define FC_TILE_VECTORS 4
#define FC_TILE_PIXELS(vectors) ((vectors) == 4 ? 6 : 8)
#include "kernels/kernels.h"
