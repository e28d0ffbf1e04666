/* avx2.c: AVX2 and FMA. 16 registers of 256 bits: 6x2 and 8x1 tiles. */
#include "isa/simd_avx2.h"
#define FC_ISA avx2
#define FC_TILE_VECTORS 2
#define FC_TILE_PIXELS(vectors) ((vectors) == 2 ? 6 : 8)
#include "kernels/kernels.h"
