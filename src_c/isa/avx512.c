/* avx512.c: AVX-512 (F, DQ, BW, VL). 32 registers of 512 bits: 6x4, 8x3, 8x2 and 8x1 tiles. */
#include "isa/simd_avx512.h"
#define FC_ISA avx512
#define FC_TILE_VECTORS 4
#define FC_TILE_PIXELS(vectors) ((vectors) == 4 ? 6 : 8)
#include "kernels/kernels.h"
