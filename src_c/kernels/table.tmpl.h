/* table.tmpl.h: this dtype's row of the kernel table. */
static const struct fc_kernel_set FC_NAME(set) = {
    .lanes = FC_VECTOR_BYTES / (FC_BITS / 8),
    .tile_vectors = FC_TILE_VECTORS,
    .tile_pixels = {0, FC_TILE_PIXELS(1), FC_TILE_PIXELS(2), FC_TILE_PIXELS(3), FC_TILE_PIXELS(4)},
    .gemm = FC_NAME(gemm),
    .planar = FC_NAME(planar),
    .winograd_input = FC_NAME(winograd_input),
    .winograd_output = FC_NAME(winograd_output),
    .copy2d = FC_NAME(copy2d),
    .add2d = FC_NAME(add2d),
    .reduce_taps = FC_NAME(reduce_taps),
    .reduce_row = FC_NAME(reduce_row),
    .divide = FC_NAME(divide),
    .activate = FC_NAME(activate),
    .softmax = FC_NAME(softmax),
    .dot = FC_NAME(dot),
    .fma_peak = FC_NAME(fma_peak),
};
