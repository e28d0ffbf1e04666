/* conv.h: convolution's packed weights, shared by its planner, its packer and its run function. */
#ifndef FC_CONV_H
#define FC_CONV_H

#include <math.h>

#include "core/program.h"

/* Packed weights of one convolution:
 *
 *   [group][panel][tap r*S + s][channel][width] then the biases [group][panel][width]
 *
 * A panel is 1 to tile_vectors vectors wide, the last of a group perhaps half a vector less; filters are
 * spread evenly over panels (80 filters of 16 lanes are 3 + 2 vectors, not 4 + 1), missing ones are zero.
 * For the im2col algorithm the rows of a panel run over [channel][tap] instead, the order of the column
 * matrix; where x is read as planes, over [r][channel][s]. */
/* For the planar kernels "lanes" is 1: a panel is the filters of one tile, with none missing. For the
 * depthwise ones all filters are one group, and a panel is a vector. */
struct fc_packing {
    int64_t groups, filters; /* filters of one group */
    int64_t channels, taps;  /* channels of one group; taps = R*S */
    int64_t depth;           /* channels * taps: rows of a panel */
    int64_t lanes, vectors;  /* vectors of one group */
    int64_t unit, width;     /* filters of one group, rounded up to a multiple of unit */
    int64_t widest, panels;  /* vectors of the widest panel; panels of one group */
    int64_t weight_elements; /* before the biases */
    int64_t bytes;           /* -1: overflow */
    int channel_major;       /* rows run over [channel][tap] */
    int64_t plane_columns;   /* S where rows run over [r][channel][s], else 0 */
    const struct fc_winograd_tile
        *winograd; /* taps are its transformed weights; NULL: plain ones */
    int rows;      /* taps are the 6 transformed weights of each filter column */
};

struct fc_panel {
    int64_t vectors, width;        /* width: filters with the missing ones */
    int64_t first_filter, filters; /* within the group */
    int64_t weight, bias;          /* element offsets in the packed buffer */
};

void fc_packing_plan(struct fc_packing *packing, const fc_conv2d_desc *desc,
                     const struct fc_kernel_set *kernels, int algorithm);
struct fc_panel fc_packing_panel(const struct fc_packing *packing, int64_t group, int64_t panel);

/* What AUTO, DIRECT and WINOGRAD without a tile stand for on this descriptor; `packings`: how many times
 * weights are packed for an image: 0 where that is done once for many runs, parts of one where several
 * images (planes of a volume) share it. */
int fc_choose_algorithm(const fc_conv2d_desc *desc, const struct fc_kernel_set *kernels,
                        double packings);
/* CHANNELS_LAST on an x whose channels are planes, fewer than the filter has columns: with weights in that order. */
#define FC_ALGORITHM_PLANES (FC_ALGORITHM_CHANNELS_LAST | 1 << 8)
/* Whether channels-last kernels read the planes of x as they lie, and not from a transposed strip. */
int fc_reads_planes(const fc_conv2d_desc *desc, const struct fc_kernel_set *kernels);
/* Whether F(4, 3) along columns can compute this at all. */
int fc_winograd_rows_fits(const fc_conv2d_desc *desc);
/* Whether desc->algorithm can. Sizes of x and y are not looked at. */
int fc_algorithm_fits(const fc_conv2d_desc *desc);

#define FC_TILE 4  /* output rows of a tile of F(4, 3) along columns */
#define FC_PATCH 6 /* its input rows */

/* Winograd's algorithm names its tile by the patch, above the low byte; 0: the one that suits the shape. */
static inline int fc_is_winograd(int algorithm) {
    return (algorithm & 0xff) == FC_ALGORITHM_WINOGRAD;
}
static inline int fc_winograd_algorithm(const struct fc_winograd_tile *tile) {
    return FC_ALGORITHM_WINOGRAD | tile->patch[0] << 8 | tile->patch[1] << 12;
}
/* The tile that the algorithm names for weights of this size; NULL: none. */
const struct fc_winograd_tile *fc_winograd_tile_of(const struct fc_kernel_set *kernels,
                                                   int algorithm, const fc_tensor *weight);
/* Whether the tile can compute the convolution. */
int fc_winograd_fits(const struct fc_winograd_tile *tile, const fc_conv2d_desc *desc);
/* The algorithm with the largest tile that can, of all or, if a tile is named, of that one; 0: none can.
 * Sizes of x and y are not looked at. */
int fc_winograd_largest(int algorithm, const fc_conv2d_desc *desc);
/* Packed taps of a tile, and which of them a product meets. */
int64_t fc_winograd_taps(const struct fc_winograd_tile *tile);
int64_t fc_winograd_tap(const struct fc_winograd_tile *tile, int64_t product);
/* Transform filters whose taps are rows of `count` elements (w_tap elements apart, a multiple of `narrow`) into as many
 * rows of u. */
void fc_winograd_pack(const struct fc_winograd_tile *tile, const char *w, int64_t w_tap, char *u,
                      int64_t u_tap, int64_t count);
/* For F(4, 3) along columns: some channels and filters from src on into rows
 * [channel][filter column][product]. */
void fc_winograd_rows_pack(const fc_tensor *weight, const char *src, char *dst, int64_t channels,
                           int64_t filters);

/* Cycles an output pixel of one group, of one channel, takes. */
double fc_depthwise_cycles(const fc_conv2d_desc *desc, const struct fc_kernel_set *kernels);

/* Adds the step that packs desc's weight and bias into slots[slot] + offset_bytes. */
fc_status fc_add_pack_step(struct fc_program *program, const fc_conv2d_desc *desc, int algorithm,
                           int32_t slot, int64_t offset_bytes);

/* Add the convolution's own step; desc->weight names packed weights laid out as `packing`. */
fc_status fc_add_planar_step(struct fc_program *program, const fc_conv2d_desc *desc,
                             const struct fc_packing *packing);
fc_status fc_add_depthwise_step(struct fc_program *program, const fc_conv2d_desc *desc,
                                const struct fc_packing *packing);
fc_status fc_add_winograd_step(struct fc_program *program, const fc_conv2d_desc *desc,
                               const struct fc_packing *packing);
fc_status fc_add_direct_step(struct fc_program *program, const fc_conv2d_desc *desc,
                             const struct fc_packing *packing);

/* The extent in input rows (a = 0) or columns (a = 1) of so many outputs. */
static inline int64_t fc_extent(const fc_conv2d_desc *d, int a, int64_t outputs) {
    return (outputs - 1) * d->stride[a] + (d->weight.size[2 + a] - 1) * d->dilation[a] + 1;
}

/* Bytes of input under q outputs of a row, at so many bytes a pixel; -1: beyond all bounds. */
static inline int64_t fc_strip_bytes(const fc_conv2d_desc *d, int64_t q, int64_t pixel_bytes) {
    return fc_product(fc_product(fc_extent(d, 0, 1), fc_extent(d, 1, q)), pixel_bytes);
}

/* Rough time of so many multiply-adds, and of what moves. */
static inline double fc_conv_nanoseconds(const fc_conv2d_desc *d, double products) {
    return products / 48 + (double)(fc_count(&d->x) + fc_count(&d->y)) / 6;
}

/* Blocks of output pixels, shared out over threads: (image, group, block of rows and columns). */
struct fc_blocks {
    int64_t images, groups;
    int64_t outputs[2]; /* P, Q */
    int64_t count[2];   /* blocks over rows and columns */
    int64_t pass;       /* output pixels in whose time a panel's weights are brought */
    int whole_rows;     /* columns are not to be cut further */
};
struct fc_block {
    int64_t n, g;
    int64_t first[2], size[2]; /* output rows and columns */
};

static inline int64_t fc_blocks_total(const struct fc_blocks *blocks) {
    return blocks->images * blocks->groups * blocks->count[0] * blocks->count[1];
}
/* Which part of an image and group the block is: equal for the same part of another. */
static inline int64_t fc_block_place(const struct fc_blocks *blocks, int64_t index) {
    return index % (blocks->count[0] * blocks->count[1]);
}
/* `pass` where weights are brought from the second-level cache, or from beyond it. */
int64_t fc_blocks_pass(const struct fc_packing *packing);
struct fc_block fc_block_at(const struct fc_blocks *blocks, int64_t index);

/* A thread's way through blocks: smaller ones than planned, or parts of the panels, where whole blocks would leave
 * threads idle. */
struct fc_block_walk {
    struct fc_blocks blocks;
    int64_t panels, splits, item, end;
    int64_t first_panel, last_panel;
    struct fc_block block;
    int entering; /* another block than the one before */
    int fresh;    /* and at another place of its image */
};
void fc_walk_start(struct fc_block_walk *walk, const struct fc_blocks *blocks, int64_t panels,
                   int64_t i, int64_t n);
int fc_walk_next(struct fc_block_walk *walk);

/* Output rows (or columns) [first, last), and the filter rows (columns) that meet the image there. */
struct fc_segment {
    int64_t first, last, tap[2];
};
#define FC_SEGMENTS 24
struct fc_segments {
    int64_t count[2]; /* of rows and of columns */
    struct fc_segment at[2][FC_SEGMENTS];
    int exact[2]; /* no segment has taps outside the image */
    int64_t channels, width, tile,
        together; /* width: Q; pixels of a tile, and of a chunk of tiles */
};
void fc_segments_plan(struct fc_segments *segments, const fc_conv2d_desc *d, int64_t tile,
                      int64_t together);

/* A padded copy of a block's input at the beginning of scratch: channels last, or planes. */
struct fc_strip {
    const struct fc_kernel_set *kernels;
    int64_t channels, bytes;
    int64_t channel_stride, pixel_stride, row_stride; /* elements */
    int64_t total_bytes;                              /* -1: overflow */
};
void fc_strip_plan(struct fc_strip *strip, const struct fc_kernel_set *kernels, int64_t channels,
                   int64_t rows, int64_t columns, int64_t bytes);
void fc_strip_plan_planes(struct fc_strip *strip, const struct fc_kernel_set *kernels,
                          int64_t channels, int64_t rows, int64_t columns, int64_t bytes);
/* Input rows h .. h + rows, columns w .. w + columns of channels from c on, zero outside the image;
 * fresh as in fc_block_walk. */
void fc_gather_strip(const struct fc_strip *strip, const struct fc_run *run, const fc_tensor *x,
                     int64_t n, int64_t c, int64_t h, int64_t w, int64_t rows, int64_t columns,
                     int fresh);

/* Bytes of second-level cache, from the system. */
int64_t fc_l2_bytes(void);

#endif
