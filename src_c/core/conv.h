/* conv.h: convolution's packed weights, shared by its planner, its packer and its run function. */
#ifndef FC_CONV_H
#define FC_CONV_H

#include "core/program.h"

/* Packed weights of one convolution:
 *
 *   [group][panel][tap r*S + s][channel][width] then the biases [group][panel][width]
 *
 * A panel is 1 to tile_vectors vectors wide; filters are spread evenly over panels (80 filters of 16
 * lanes are 3 + 2 vectors, not 4 + 1), missing ones are zero. For the im2col algorithm the rows of a
 * panel run over [channel][tap] instead, the order of the column matrix. */
struct fc_packing {
    int64_t groups, filters; /* filters of one group */
    int64_t channels, taps;  /* channels of one group; taps = R*S */
    int64_t depth;           /* channels * taps: rows of a panel */
    int64_t lanes, vectors;  /* vectors of one group */
    int64_t panels;
    int64_t weight_elements; /* before the biases */
    int64_t bytes;           /* -1: overflow */
    int channel_major;       /* rows run over [channel][tap] */
};

struct fc_panel {
    int64_t first_vector, vectors; /* within the group */
    int64_t first_filter, filters; /* within the group; filters <= vectors * lanes */
    int64_t weight, bias;          /* element offsets in the packed buffer */
};

void fc_packing_plan(struct fc_packing *packing, const fc_conv2d_desc *desc,
                     const struct fc_kernel_set *kernels, int algorithm);
struct fc_panel fc_packing_panel(const struct fc_packing *packing, int64_t group, int64_t panel);

/* Adds the step that packs desc's weight and bias into slots[slot] + offset_bytes. */
fc_status fc_add_pack_step(struct fc_program *program, const fc_conv2d_desc *desc, int algorithm,
                           int32_t slot, int64_t offset_bytes);

/* Adds the implicit-GEMM step; desc->weight names packed weights laid out as `packing`. */
fc_status fc_add_direct_step(struct fc_program *program, const fc_conv2d_desc *desc,
                             const struct fc_packing *packing);

#endif
