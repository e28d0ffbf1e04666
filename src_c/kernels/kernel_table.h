/* kernel_table.h: what one instruction set offers, as pointers and tile sizes.
 *
 * A kernel is single-threaded, allocates nothing and knows nothing of layers. Pointers are to
 * elements of the set's dtype (float or double), lengths and strides count elements. Comments give,
 * for each kernel: formula; layout of each pointer; alignment; over-read and over-write; edges.
 */
#ifndef FC_KERNEL_TABLE_H
#define FC_KERNEL_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/pool_kernels.h"

#include "kernels/winograd_tiles.h"

#include "kernels/image_table.h"

#define FC_MAX_TILE_VECTORS 4
#define FC_MAX_TILE_PIXELS 8

/* gemm: the register-tile microkernel behind convolution, linear and im2col + GEMM.
 * formula:   y[y_at[i] + k] = min(hi, max(lo, bias[k] + addend[addend_at[i] + k] + sum_r sum_t sum_j
 *                x[x_at[i] + r*x_row + run[t] + j*step] * w[r*w_row + t*w_run + j][k])),
 *            i < pixels, k < filters; r < rows, t < runs, j < run_length
 * layout:    x reached through offsets; w [...][width] packed and zero-padded, width being filters rounded up
 *            to a multiple of `narrow`; w_row and w_run count such rows; bias [width]; addend NULL: none; may be y
 * alignment: none needed; w is best at 64 bytes
 * overrun:   none: reads x only at the named offsets, writes filters elements a pixel
 * edges:     pixels >= 0 split evenly over tiles; sums run over r, t, j, whatever the tile, so that bits do
 *            not depend on how pixels are grouped; NaN passes through lo and hi. */
struct fc_gemm_args {
    const void *x;
    const ptrdiff_t *x_at;
    ptrdiff_t pixels;
    ptrdiff_t rows, x_row, w_row;
    const ptrdiff_t *run;
    ptrdiff_t runs, w_run;
    ptrdiff_t run_length, step;
    const void *w;
    const void *bias;
    ptrdiff_t vectors;
    const void *addend;
    const ptrdiff_t *addend_at;
    void *y;
    const ptrdiff_t *y_at;
    ptrdiff_t filters;
    double lo, hi;
};
typedef void (*fc_gemm_fn)(const struct fc_gemm_args *args);

/* planar: the microkernel with vectors along the pixels, for few channels or few filters.
 * formula:   y[i*ldy + y_at[v] + l] = min(hi, max(lo, bias[i] + sum_t w[t][i] * x[tap[t] + x_at[v] + l])),
 *            v < vectors, l < lanes
 * layout:    x planes, so that the pixels of a vector are contiguous for every tap; w [taps][filters]
 *            packed; bias [filters]
 * alignment: none needed
 * overrun:   none
 * edges:     1 <= filters <= FC_PLANAR_FILTERS; 1 <= lanes <= VL; sums run in the order of t, whatever the tile; NaN
 *            passes through lo and hi. */
#define FC_PLANAR_FILTERS 6
struct fc_planar_args {
    const void *x;
    const ptrdiff_t *tap;
    ptrdiff_t taps;
    const ptrdiff_t *x_at, *y_at;
    ptrdiff_t vectors, lanes;
    const void *w;
    const void *bias;
    ptrdiff_t filters;
    void *y;
    ptrdiff_t ldy;
    double lo, hi;
};
typedef void (*fc_planar_fn)(const struct fc_planar_args *args);

/* depthwise_planar, depthwise_last: one filter a channel, vectors along pixels or along channels.
 * formula:   y[c*y_channel + p*y_row + q*y_pixel] = min(hi, max(lo, bias[c] + sum over r, s < size of
 *                w[c / VL][r*size + s][c % VL] * x[c*x_channel + h*x_row + w*x_pixel])),
 *            h = top + p*stride + r, w = left + q*stride + s, x zero outside height and width;
 *            c < channels, p < rows, q < columns
 * layout:    planar: pixel strides of 1, channels <= VL; last: channel strides of 1
 * alignment: none needed; w is best at 64 bytes
 * overrun:   reads w and bias up to a multiple of VL channels (last)
 * edges:     size 3, 5 or 7; stride 1 or 2; any top and left; sums run over r, then s (taps outside
 *            the image may be left out); NaN passes through lo and hi. */
struct fc_depthwise_args {
    const void *x;
    ptrdiff_t x_channel, x_row, x_pixel;
    ptrdiff_t height, width, top, left;
    const void *w, *bias;
    ptrdiff_t channels, size, stride;
    void *y;
    ptrdiff_t y_channel, y_row, y_pixel;
    ptrdiff_t rows, columns;
    double lo, hi;
};
typedef void (*fc_depthwise_fn)(const struct fc_depthwise_args *args);

/* depthwise_taps: the same for any filter, tap by tap, a row of output pixels.
 * formula:   y[i*y_pixel + c] = min(hi, max(lo, bias[c] + sum_t w[t][c] * x[i*x_pixel + tap[t] + c])),
 *            i < pixels, c < channels
 * layout:    x and y channels last; w [taps][VL] packed; bias [VL]; channels <= VL
 * alignment: none needed; w and x are best at 64 bytes
 * overrun:   reads x, w and bias up to VL channels
 * edges:     sums run in the order of t; NaN passes through lo and hi. */
struct fc_depthwise_taps_args {
    const void *x;
    ptrdiff_t x_pixel;
    const ptrdiff_t *tap;
    ptrdiff_t taps;
    const void *w, *bias;
    ptrdiff_t pixels;
    void *y;
    ptrdiff_t y_pixel, channels;
    double lo, hi;
};
typedef void (*fc_depthwise_taps_fn)(const struct fc_depthwise_taps_args *args);

/* winograd_input: one input tile, ph x pw pixels, of Winograd's algorithm.
 * formula:   v[(i*pw + j)*xi_stride + c] = (B' d B)[i][j][c], d[i][j][c] = pixel[i*pw + j][c], c < channels
 * layout:    pixel [ph*pw] pointers to the channels of a pixel; v has xi_stride between the products
 * alignment: none needed
 * overrun:   writes v up to a multiple of VL channels (zeros)
 * edges:     the last channels are loaded masked. */
struct fc_winograd_input_args {
    const void *const *pixel;
    ptrdiff_t channels;
    void *v;
    ptrdiff_t xi_stride;
};
typedef void (*fc_winograd_input_fn)(const struct fc_winograd_input_args *args);

/* winograd_output: one output tile, mh x mw pixels, of Winograd's algorithm.
 * formula:   y[i*row_stride + j*pixel_stride + k] = min(hi, max(lo, (A' m A)[i][j][k] + bias[k]
 *                + addend[i*addend_row + j*addend_pixel + k])), i < rows, j < columns, k < filters
 * layout:    m has xi_stride between the ph*pw products; y and addend (NULL: none; may be y) channels last
 * alignment: none needed
 * overrun:   reads m and bias up to a multiple of VL filters
 * edges:     1 to mh rows, 1 to mw columns; the last filters are stored masked. */
struct fc_winograd_output_args {
    const void *m;
    ptrdiff_t xi_stride;
    const void *bias;
    ptrdiff_t filters;
    void *y;
    ptrdiff_t row_stride, pixel_stride;
    const void *addend;
    ptrdiff_t addend_row, addend_pixel;
    int rows, columns;
    double lo, hi;
};
typedef void (*fc_winograd_output_fn)(const struct fc_winograd_output_args *args);

/* winograd_product: what lies between the transforms, for one panel of filters.
 * formula:   m[xi*m_xi + i*vectors*VL + k] = sum_c v[xi*v_xi + i*v_pixel + c] * u[tap[xi] + c*vectors*VL + k],
 *            xi < products, i < pixels, c < channels, k < filters; m is anything up to vectors*VL
 * layout:    u packed and zero-padded; tap [products + 1]; (vectors - 1)*VL < filters <= vectors*VL
 * alignment: none needed; u is best at 64 bytes
 * overrun:   none; prefetches from u + tap[xi + 1] on during product xi, for any xi
 * edges:     pixels >= 0 split evenly over tiles; each `chain` channels (1 or more) are summed over c, and then
 *            these sums, whatever the tile. */
struct fc_winograd_product_args {
    const void *v;
    ptrdiff_t v_pixel, v_xi, pixels, channels, chain, products;
    const void *u;
    const ptrdiff_t *tap;
    ptrdiff_t vectors, filters;
    void *m;
    ptrdiff_t m_xi;
};
typedef void (*fc_winograd_product_fn)(const struct fc_winograd_product_args *args);

/* winograd_weights: filters into the products' terms, in double, rounded once.
 * formula:   u[t*u_tap + k] = (G g G')[i][j], t counting (i, j) without repetitions (winograd_tiles.h),
 *            g[r][s] = w[(r*S + s)*w_tap + k], k < count, G down and G' across
 * layout:    w and u contiguous in k
 * alignment: none needed
 * overrun:   none
 * edges:     count is a multiple of `narrow`; the last vector is masked. */
struct fc_winograd_weights_args {
    const void *w;
    ptrdiff_t w_tap;
    void *u;
    ptrdiff_t u_tap, count;
    double down[FC_WINOGRAD_MAX_PATCH][FC_WINOGRAD_MAX_FILTER];
    double across[FC_WINOGRAD_MAX_PATCH][FC_WINOGRAD_MAX_FILTER];
};
typedef void (*fc_winograd_weights_fn)(const struct fc_winograd_weights_args *args);

struct fc_winograd_tile {
    int patch[2], outputs[2]; /* ph, pw; mh, mw */
    int chains;               /* that the channels are summed in */
    fc_winograd_input_fn input;
    fc_winograd_output_fn output;
    fc_winograd_weights_fn weights;
};

/* winograd_rows_input: tile rows of F(4, 3) along columns.
 * formula:   v[t*tile_stride + xi*xi_stride + l] = (B' d)[xi][l], d[i][l] = x[(4t + i)*row_stride + l], zero for
 *            4t + i outside first .. last - 1; t < tiles, l < count
 * layout:    contiguous rows
 * alignment: none needed
 * overrun:   none
 * edges:     0 <= first <= last <= 4*tiles + 2; the last vector is masked. */
struct fc_winograd_rows_input_args {
    const void *x;
    ptrdiff_t row_stride, first, last, tiles, count;
    void *v;
    ptrdiff_t tile_stride, xi_stride;
};
typedef void (*fc_winograd_rows_input_fn)(const struct fc_winograd_rows_input_args *args);

/* winograd_rows: the planar microkernel for tiles of four output rows.
 * formula:   y[i*ldy + j*row_stride + y_at[v] + l] = min(hi, max(lo, bias[i] + (A' m)[j])),
 *            m[xi] = sum_t w[t][xi][i] * x[tap[t] + xi*xi_stride + x_at[v] + l],
 *            j < rows, v < vectors, l < lanes
 * layout:    x six transformed planes; w [taps][6][filters] packed; bias [filters]
 * alignment: none needed
 * overrun:   none
 * edges:     1 <= filters <= rows_filters; 1 <= rows <= 4; 1 <= lanes <= VL; sums run in the order of t; NaN passes
 *            through lo and hi. */
struct fc_winograd_rows_args {
    const void *x;
    const ptrdiff_t *tap;
    ptrdiff_t taps, xi_stride;
    const ptrdiff_t *x_at, *y_at;
    ptrdiff_t vectors, lanes;
    const void *w;
    const void *bias;
    ptrdiff_t filters;
    void *y;
    ptrdiff_t ldy, row_stride;
    int rows;
    double lo, hi;
};
typedef void (*fc_winograd_rows_fn)(const struct fc_winograd_rows_args *args);

/* copy2d: strided copy and transpose; packs inputs and weights, writes NCHW outputs.
 * formula:   dst[i*dst_i + j*dst_j] = src[i*src_i + j*src_j], i < rows, j < columns; with a table
 *            dst_at, dst[i + dst_at[j]] = src[i*src_i + j]
 * layout:    any strides; fast where dst is contiguous in one axis, and src in one axis or at every
 *            second column
 * alignment: none needed
 * overrun:   none
 * edges:     tails of blocks are masked. */
struct fc_copy2d_args {
    const void *src;
    ptrdiff_t src_i, src_j;
    void *dst;
    ptrdiff_t dst_i, dst_j;
    const ptrdiff_t *dst_at; /* or NULL */
    ptrdiff_t rows, columns;
};
typedef void (*fc_copy2d_fn)(const struct fc_copy2d_args *args);

/* add2d: fold's accumulation.
 * formula:   dst[i*dst_i + j*dst_j] += src[i*src_i + j*src_j], i < rows, j < columns
 * layout:    any strides; fast where both are contiguous in j; dst elements all distinct
 * alignment: none needed
 * overrun:   none
 * edges:     tails of rows in scalars. */
typedef void (*fc_add2d_fn)(const struct fc_copy2d_args *args);

/* response: local response normalization over channels.
 * formula:   y[p][c] = x[p][c] * (bias + alpha * sum over c-before <= j <= c+after of x[p][j]^2)^-beta
 * layout:    channels contiguous, pixels x_pixel and y_pixel apart; squares: before + channels + after
 *            elements of scratch; x == y allowed
 * alignment: none needed
 * overrun:   none
 * edges:     channels outside count as 0; the sum runs in the order of j; bias > 0, alpha >= 0. */
struct fc_response_args {
    const void *x;
    ptrdiff_t x_pixel;
    void *y;
    ptrdiff_t y_pixel;
    void *squares;
    ptrdiff_t pixels, channels, before, after;
    double alpha, beta, bias;
};
typedef void (*fc_response_fn)(const struct fc_response_args *args);

/* dot: unshared weights.
 * formula:   *y = *bias + sum over i < count of a[i] * b[i]
 * layout:    contiguous
 * alignment: none needed
 * overrun:   none
 * edges:     tails are masked; the order of the sum depends on count alone. */
typedef void (*fc_dot_fn)(const void *a, const void *b, ptrdiff_t count, const void *bias, void *y);

/* dots: rows times filters, both as they lie.
 * formula:   y[i*ldy + k] = min(hi, max(lo, start[i*lds + k] + sum over j < count of x[i*ldx + j] * w[k*ldw + j])),
 *            i < rows, k < filters
 * layout:    rows of x and w contiguous
 * alignment: none needed
 * overrun:   none
 * edges:     start may be y; the order of a sum depends on count alone; NaN passes through lo and hi. */
#define FC_DOTS_FILTERS 4 /* of a tile: fewer cost as much */
struct fc_dots_args {
    const void *x, *w;
    ptrdiff_t ldx, ldw;
    ptrdiff_t count, rows, filters;
    const void *start;
    ptrdiff_t lds;
    void *y;
    ptrdiff_t ldy;
    double lo, hi;
};
typedef void (*fc_dots_fn)(const struct fc_dots_args *args);

/* binary: functions of two operands, row by row.
 * formula:   y[r*y_row + i] = a[r*a_row + i*a_step] op b[r*b_row + i*b_step], r < rows, i < count;
 *            op is an fc_binary: add subtract multiply divide minimum maximum prelu power
 * layout:    steps are 1 or 0 (one element for the whole row); y contiguous in i; y == a or b allowed
 *            where their layouts are the same
 * alignment: none needed
 * overrun:   none
 * edges:     tails are masked; minimum and maximum give NaN where either operand is NaN. */
struct fc_binary_args {
    const void *a;
    ptrdiff_t a_row, a_step;
    const void *b;
    ptrdiff_t b_row, b_step;
    void *y;
    ptrdiff_t y_row;
    ptrdiff_t rows, count;
};
typedef void (*fc_binary_fn)(int operation, const struct fc_binary_args *args);

/* compare: relations, as bytes.
 * formula:   y[r*y_row + i] = a[...] rel b[...] ? 1 : 0; rel counts from FC_EQUAL: == != < <=
 * layout:    as binary, but y is of bytes (and y_row counts them)
 * alignment: none needed
 * overrun:   none
 * edges:     NaN is unequal to everything, and neither less nor equal. */
typedef void (*fc_compare_fn)(int relation, const struct fc_binary_args *args);

/* choose: one of two operands, by the bytes of a condition.
 * formula:   y[i] = condition[i*condition_step] ? a[i*a_step] : b[i*b_step], i < count
 * layout:    one row (row strides and the number of rows are not looked at); steps are 1 or 0
 * alignment: none needed
 * overrun:   none
 * edges:     bits are copied: elements may be integers of the same width. */
typedef void (*fc_choose_fn)(const uint8_t *condition, ptrdiff_t condition_step,
                             const struct fc_binary_args *args);

/* unary: mathematical functions.
 * formula:   y[i] = f(x[i]), i < count; f is an fc_unary
 * layout:    contiguous; x == y allowed
 * alignment: none needed
 * overrun:   none
 * edges:     tails are masked or in scalars; as libm where arguments are outside f's domain. */
typedef void (*fc_unary_fn)(int operation, const void *x, void *y, ptrdiff_t count);

/* reduce_lanes, reduce_line: one part of a reduction, into totals that reduce_start began.
 * formula:   lanes: total[l] = total[l] op term(x[l], shift[l]), l < count
 *            line:  *total = *total op term(x[0], *shift) op ... op term(x[count-1], *shift)
 *            operation is an fc_reduction; only logsumexp looks at shift
 * layout:    contiguous
 * alignment: none needed
 * overrun:   none
 * edges:     tails are masked; the order of a line's sum depends on count alone; NaN wins. */
typedef void (*fc_reduce_part_fn)(int operation, const void *x, const void *shift, void *total,
                                  ptrdiff_t count);

/* reduce_start: totals of nothing: 0, 1, or an infinity. */
typedef void (*fc_reduce_start_fn)(int operation, void *total, ptrdiff_t count);

/* reduce_finish: totals of so many terms into results, in place: mean, roots, logarithms. */
typedef void (*fc_reduce_finish_fn)(int operation, double terms, const void *shift, void *total,
                                    ptrdiff_t count);

/* find_extreme: where the largest (or smallest) of x[i*step], i < count, is: the first or last of
 * several; the first NaN, if there is one. */
typedef int64_t (*fc_find_extreme_fn)(const void *x, ptrdiff_t step, ptrdiff_t count, int smallest,
                                      int last);

/* fma_peak: rounds of independent multiply-adds in registers -> operations done; touches no memory. */
typedef double (*fc_fma_peak_fn)(int64_t iterations);

struct fc_kernel_set {
    ptrdiff_t lanes;                                /* VL: elements in a vector */
    ptrdiff_t narrow;                               /* VL/2 or VL: what gemm rounds filters up to */
    ptrdiff_t tile_vectors;                         /* widest filter panel, in vectors */
    ptrdiff_t tile_pixels[FC_MAX_TILE_VECTORS + 1]; /* pixels in a tile of so many vectors */
    ptrdiff_t rows_filters;                         /* filters in a tile of winograd_rows */
    fc_gemm_fn gemm;
    fc_planar_fn planar;
    fc_winograd_rows_input_fn winograd_rows_input;
    fc_winograd_rows_fn winograd_rows;
    fc_winograd_product_fn winograd_product;
    const struct fc_winograd_tile *winograd; /* FC_WINOGRAD_TILE_COUNT of them */
    fc_depthwise_fn depthwise_planar, depthwise_last;
    fc_depthwise_taps_fn depthwise_taps;
    fc_copy2d_fn copy2d;
    fc_add2d_fn add2d;
    fc_pool_fn pool_planes, pool_last, pool_whole;
    fc_combine_fn combine;
    fc_argmax_fn argmax;
    fc_divide_fn divide;
    fc_activate_fn activate;
    fc_activate_rows_fn activate_rows;
    fc_activate_by_two_fn activate_by_two;
    fc_softmax_fn softmax, log_softmax;
    fc_response_fn response;
    fc_dot_fn dot;
    fc_dots_fn dots;
    fc_scale_fn scale;
    fc_blend_fn blend;
    fc_blend_at_fn blend_at;
    fc_binary_fn binary;
    fc_compare_fn compare;
    fc_choose_fn choose;
    fc_unary_fn unary;
    fc_reduce_start_fn reduce_start;
    fc_reduce_part_fn reduce_lanes;
    fc_reduce_part_fn reduce_line;
    fc_reduce_finish_fn reduce_finish;
    fc_find_extreme_fn find_extreme;
    fc_fma_peak_fn fma_peak;
};

struct fc_kernel_table {
    const char *name;
    const struct fc_kernel_set *set[2]; /* float32, float64 */
    fc_combine_fn combine_integers[8];  /* maxima alone; int8, uint8, int16 ... uint64 */
    /* Denormals to zero from here on; returns the caller's mode, to be handed to fp_leave. */
    uint64_t (*fp_enter)(void);
    void (*fp_leave)(uint64_t mode);
    uint64_t *calls; /* entries into gemm, pooling, activation and softmax kernels */
};

#endif
