/* image_table.h: contracts of the kernels that activate, normalize and resize; the rest is in
 * kernel_table.h. */
#ifndef FC_IMAGE_TABLE_H
#define FC_IMAGE_TABLE_H

#include <stddef.h>

/* activate: element-wise functions.
 * formula:   y[i] = act(x[i]), i < count; kind is an fc_activation, alpha its parameter
 * layout:    contiguous; x == y allowed
 * alignment: none needed
 * overrun:   none
 * edges:     tails are masked; NaN gives NaN. */
typedef void (*fc_activate_fn)(int kind, double alpha, const void *x, void *y, ptrdiff_t count);

/* activate_by_two: the same with a second parameter, fc_elementwise_desc's beta; activate takes
 * FC_SOFTPLUS_THRESHOLD for that. */
#define FC_SOFTPLUS_THRESHOLD 20
/* activate_rows: in place, `count` elements of each of `rows` rows that are `row` apart. */
typedef void (*fc_activate_rows_fn)(int kind, double alpha, void *y, ptrdiff_t rows, ptrdiff_t row,
                                    ptrdiff_t count);
typedef void (*fc_activate_by_two_fn)(int kind, double alpha, double beta, const void *x, void *y,
                                      ptrdiff_t count);

/* softmax: one row; log_softmax: its logarithm, x[i] - max - log(sum_j exp(x[j] - max)).
 * formula:   y[i] = exp(x[i] - max) / sum_j exp(x[j] - max), i < count
 * layout:    contiguous; x == y allowed
 * alignment: none needed
 * overrun:   none
 * edges:     count >= 1; tails are masked; a row with NaN or of -inf alone gives NaN. */
typedef void (*fc_softmax_fn)(const void *x, void *y, ptrdiff_t count);

/* scale: batch normalization.
 * formula:   y[i] = min(high, max(low, x[i] * scale[i * step] + shift[i * step])), i < count
 * layout:    x and y contiguous, x == y allowed; step is 1 (a pair each) or 0 (one for all)
 * alignment: none needed
 * overrun:   none
 * edges:     the last vector is masked; NaN passes through low and high. */
typedef void (*fc_scale_fn)(const void *x, const void *scale, const void *shift, ptrdiff_t step,
                            void *y, ptrdiff_t count, double low, double high);

/* blend: weighted sums of lines.
 * formula:   y[i] = sum over t < taps of w[t] * x[tap[t] + i], i < count
 * layout:    contiguous lines in x and y
 * alignment: none needed
 * overrun:   none
 * edges:     taps >= 1; the sum runs in the order of t; the last vector is masked. */
typedef void (*fc_blend_fn)(const void *x, const ptrdiff_t *tap, const void *w, ptrdiff_t taps,
                            void *y, ptrdiff_t count);

/* blend_at: weighted sums within a line.
 * formula:   y[i] = sum over t < taps of w[i*taps + t] * x[at[i*taps + t]], i < count
 * layout:    y contiguous
 * alignment: none needed
 * overrun:   none
 * edges:     taps >= 1; the sum runs in the order of t. */
typedef void (*fc_blend_at_fn)(const void *x, const ptrdiff_t *at, const void *w, ptrdiff_t taps,
                               void *y, ptrdiff_t count);

#endif
