/* lines.h: operands that kernels want contiguous, brought there where they are not. */
#ifndef FC_LINES_H
#define FC_LINES_H

#include "core/program.h"

typedef void (*fc_convert_fn)(const void *x, int64_t x_step, void *y, int64_t y_step,
                              int64_t count);

/* A number as one element of any dtype, converted as copies convert. */
void fc_constant(double value, int32_t dtype, void *element);

/* copy2d for elements of 1, 2, 4 or 8 bytes. */
void fc_copy_bits(const struct fc_kernel_table *kernels, int64_t bytes,
                  const struct fc_copy2d_args *args);

/* One line of count elements, so many elements apart in source and target. */
static inline void fc_copy_line(const struct fc_kernel_table *kernels, int64_t bytes,
                                const void *src, int64_t src_step, void *dst, int64_t dst_step,
                                int64_t count) {
    struct fc_copy2d_args args = {
        .src = src, .src_j = src_step, .dst = dst, .dst_j = dst_step, .rows = 1, .columns = count};
    fc_copy_bits(kernels, bytes, &args);
}

/* A line of an input as kernels take it: in place with step 0 or 1, else gathered into scratch. */
struct fc_line {
    const char *data;
    int64_t step;
};

static inline struct fc_line fc_line_in(const struct fc_kernel_table *kernels, const fc_tensor *t,
                                        const char *data, int64_t count, char *scratch) {
    int64_t step = t->stride[3];
    if (step == 0 || step == 1 || count == 1) return (struct fc_line){data, step != 0 && count > 1};
    fc_copy_line(kernels, fc_dtype_bytes((fc_dtype)t->dtype), data, step, scratch, 1, count);
    return (struct fc_line){scratch, 1};
}

#endif
