/* pool_kernels.h: the contracts of pooling's kernels, a part of kernel_table.h. */
#ifndef FC_POOL_KERNELS_H
#define FC_POOL_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum fc_reduce_op { FC_REDUCE_MAX = 0, FC_REDUCE_SUM = 1 };

/* pool_planes, pool_last: one output row after the other of a 2-D pool, planar and channels last.
 * formula:   y[k*y_plane + p*y_row + q*y_pixel] = op over r < kernel[0], s < kernel[1] of
 *            x[k*x_plane + (p*stride[0] + r*dilation[0] - pad[0])*x_row
 *                        + (q*stride[1] + s*dilation[1] - pad[1])*x_pixel],
 *            k < planes, first <= p < last, q < columns; taps outside height x width do not count (none
 *            at all: neutral); a sum is divided by row_divisor[p] * column_divisor[q]; max: NaN wins
 * layout:    pool_planes: x_pixel = y_pixel = 1; pool_last: x_plane = y_plane = 1
 * alignment: none needed
 * overrun:   none
 * edges:     pool_planes: kernel[1] 2 or 3 at stride[1] 1 or 2, 3 at stride 3 or 5 at stride 1 where vectors
 *            have 4 lanes;
 *            dilation[1] 1, pad[1] <= kernel[1] / 2, width >= 1;
 *            the order of an output's sum depends on kernel and place in the image alone.
 *
 * pool_whole: windows that cover the image.
 * formula:   y[k*y_plane] = op over i < height*width of x[k*x_plane + i], k < planes, divided as above
 * layout:    planes contiguous; kernel, stride, dilation, pad, first, last and columns are not read
 * alignment: none needed
 * overrun:   none
 * edges:     the order of a sum depends on height*width alone. */
struct fc_pool_args {
    enum fc_reduce_op op;
    double neutral; /* -infinity or 0 */
    const void *x;
    ptrdiff_t x_plane, x_row, x_pixel;
    ptrdiff_t height, width;
    void *y;
    ptrdiff_t y_plane, y_row, y_pixel;
    ptrdiff_t planes, first, last, columns;
    ptrdiff_t kernel[2], stride[2], dilation[2], pad[2];
    const void *row_divisor, *column_divisor; /* sums only */
};
typedef void (*fc_pool_fn)(const struct fc_pool_args *args);

/* combine: the step of pooling in separable form, for windows of any size.
 * formula:   y[i] = a[i] op b[i], i < count (max: NaN wins)
 * layout:    contiguous
 * alignment: none needed
 * overrun:   none
 * edges:     y may be a, and b may lie any distance ahead of it. */
typedef void (*fc_combine_fn)(enum fc_reduce_op op, const void *a, const void *b, void *y,
                              ptrdiff_t count);

/* argmax: the maxima of windows and where they are.
 * formula:   y[l] = max over t < taps of x[l*x_step + tap[t]], index[l] = base + l*base_step + place[t]
 *            of the first t among equals, or the last NaN's, l < lanes
 * layout:    y and index contiguous
 * alignment: none needed
 * overrun:   none
 * edges:     taps >= 1 and below 2^31. */
struct fc_argmax_args {
    const void *x;
    ptrdiff_t x_step;
    const ptrdiff_t *tap;
    const int64_t *place;
    ptrdiff_t taps;
    void *y;
    int64_t *index;
    int64_t base, base_step;
    ptrdiff_t lanes;
};
typedef void (*fc_argmax_fn)(const struct fc_argmax_args *args);

/* divide: average pooling's last act, in place.
 * formula:   y[i] = y[i] / (divisor[i * step] * factor), i < count
 * layout:    y contiguous; step is 1 (a divisor each) or 0 (one for all)
 * alignment: none needed
 * overrun:   none
 * edges:     tails in scalars. */
typedef void (*fc_divide_fn)(void *y, const void *divisor, ptrdiff_t step, double factor,
                             ptrdiff_t count);

#endif
