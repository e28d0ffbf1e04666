/* program.h: steps, and what operators use to plan and to run them. */
#ifndef FC_PROGRAM_H
#define FC_PROGRAM_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fastconv.h"
#include "core/parallel.h"
#include "kernels/kernel_table.h"

/* What a step sees while it runs: base pointers, and scratch of its thread's own. */
struct fc_run {
    char *const *slots;
    char *scratch; /* FC_WORKSPACE_ALIGNMENT aligned, the step's scratch_bytes long */
    int *status;   /* shared: an fc_status, for what only data can tell */
};

/* Executes share i of n of one planned operator. */
typedef void (*fc_step_fn)(const void *plan, const struct fc_run *run, int64_t i, int64_t n);

struct fc_step {
    fc_step_fn run;
    void *plan;            /* malloced, owned by the program */
    int64_t scratch_bytes; /* per thread */
    double cost;           /* rough nanoseconds on one thread */
    int flush_denormals;   /* arithmetic: yes; comparisons and copies: no */
};

struct fc_program {
    const struct fc_kernel_table *kernels;
    struct fc_step *steps;
    int64_t step_count, step_capacity;
    int64_t arena_bytes;   /* shared by all threads, at the workspace's beginning */
    int64_t scratch_bytes; /* per thread */
    double cost;
};

const struct fc_kernel_table *fc_active_kernels(void);

/* Appends a step and takes over step->plan (freed here on failure). */
fc_status fc_program_add_step(struct fc_program *program, struct fc_step step);

/* Room in the arena that all threads share (slot 0) -> its offset; -1 when sizes overflow. */
int64_t fc_program_reserve(struct fc_program *program, int64_t bytes);

static inline int64_t fc_align(int64_t bytes) {
    return (bytes + FC_WORKSPACE_ALIGNMENT - 1) & -(int64_t)FC_WORKSPACE_ALIGNMENT;
}

static inline int64_t fc_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t fc_max(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t fc_ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* a * b, or -1 beyond FC_MAX_BYTES or when an operand is -1 already: check once, at the end. */
#define FC_MAX_BYTES ((int64_t)1 << 47)
/* No image, window, stride or padding is larger along an axis: sums of two products stay in 63 bits. */
#define FC_MAX_EXTENT ((int64_t)1 << 31)
static inline int64_t fc_product(int64_t a, int64_t b) {
    int64_t product;
    if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product) || product > FC_MAX_BYTES)
        return -1;
    return product;
}

/* Bounds that make relu, relu6 and identity of a sum; other activations follow in a pass of theirs. */
static inline double fc_lower_bound(int32_t activation) {
    return activation == FC_RELU || activation == FC_RELU6 ? 0 : -INFINITY;
}
static inline double fc_upper_bound(int32_t activation) {
    return activation == FC_RELU6 ? 6 : INFINITY;
}

static inline char *fc_at(const struct fc_run *run, const fc_tensor *t) {
    return run->slots[t->slot] + t->offset_bytes;
}

/* Byte distance of element [a][b][c][d] from the tensor's first. */
static inline int64_t fc_offset(const fc_tensor *t, int64_t a, int64_t b, int64_t c, int64_t d) {
    return (a * t->stride[0] + b * t->stride[1] + c * t->stride[2] + d * t->stride[3]) *
           fc_dtype_bytes((fc_dtype)t->dtype);
}

static inline int64_t fc_count(const fc_tensor *t) {
    return fc_product(fc_product(t->size[0], t->size[1]), fc_product(t->size[2], t->size[3]));
}

static inline int fc_present(const fc_tensor *t) { return t->slot != FC_NO_SLOT; }

/* FC_OK if slot, dtype, sizes and strides of a view of so many axes are in range. */
fc_status fc_check_strided(int32_t slot, int32_t dtype, const int64_t *size, const int64_t *stride,
                           int axes);
fc_status fc_check_tensor(const fc_tensor *t);

/* FC_OK if P x Q windows are plausible for the geometry: positive steps, non-negative padding. */
fc_status fc_check_window(const int64_t kernel[2], const int64_t stride[2],
                          const int64_t dilation[2], const int64_t pad[2], const fc_tensor *x,
                          int64_t p, int64_t q);

/* The windows o in [begin, end) of `outputs` whose tap lies inside the image:
 * 0 <= o*stride + shift < size, with shift = tap*dilation - pad. */
static inline void fc_inside(int64_t size, int64_t stride, int64_t shift, int64_t outputs,
                             int64_t *begin, int64_t *end) {
    *begin = shift >= 0 ? 0 : fc_min(fc_ceil_div(-shift, stride), outputs);
    *end = shift >= size ? 0 : fc_min((size - 1 - shift) / stride + 1, outputs);
    if (*end < *begin) *end = *begin;
}

#endif
