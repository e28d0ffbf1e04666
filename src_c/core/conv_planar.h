/* conv_planar.h: the plan of a convolution with vectors along the pixels; conv_planar.c tells how it runs. */
#ifndef FC_CONV_PLANAR_H
#define FC_CONV_PLANAR_H

#include "core/conv.h"

/* Output pixels of a block, of the part whose results wait in L1 for being written, and of one whose do not wait. */
#define FC_PLANAR_BLOCK 4096
#define FC_PLANAR_CHUNK 512
#define FC_PLANAR_STRAIGHT 1024

/* Which input rows (or columns) taps need: tap r is row `row` of phase `phase`. */
struct phases {
    int64_t count;  /* distinct phases in use */
    int64_t reach;  /* rows beyond the block's own that the farthest tap needs */
    int64_t *value; /* [count]: h % stride of each */
};

struct planar_plan {
    const struct fc_kernel_set *kernels;
    fc_conv2d_desc desc;
    struct fc_packing packing;
    int64_t bytes;
    struct fc_blocks blocks;
    int64_t strip[2];     /* rows and columns of one phase of the largest block */
    int64_t pitch, plane; /* elements between rows, and between phases */
    int64_t margin;       /* elements before the strip, so that images' rows are aligned in it */
    int in_place;
    int64_t tile; /* output rows of a row of the strip: 1; Winograd: FC_TILE */
    struct phases phases[2];
    int64_t chunk_rows; /* rows of the strip whose results wait in scratch */
    int64_t strip_bytes;
    int64_t scratch_output; /* byte offset */
    int64_t scratch_patch;  /* the same, for rows that are not dense in x */
    double lo, hi;
    int64_t taps;
    ptrdiff_t *tap;
    int by_rows; /* vectors keep to rows, partial ones last */
    int straight; /* results are stored straight into y: by rows, or where its rows are one long row, too */
    ptrdiff_t *x_at, *y_at; /* where the vectors of a chunk start */
    int64_t memory[];       /* phases' values, taps, x_at, y_at */
};

/* Whether vectors keep to rows of y: what partial ones lose is less than what copying the results of one long
 * run costs. `rows` of `pitch` elements at a time, each `tile` rows of y. */
int fc_planar_by_rows(const fc_conv2d_desc *d, const struct fc_kernel_set *kernels, int64_t tile,
                      int64_t rows, int64_t pitch);

/* Executes share i of n of one planned convolution. */
void fc_planar_run(const void *plan, const struct fc_run *run, int64_t i, int64_t n);

#endif
