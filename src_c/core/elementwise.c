/* elementwise.c: activations on views of any strides, and softmax over one axis. */
#include "core/program.h"

#define FC_CHUNK_ELEMENTS 4096

struct elementwise_plan {
    const struct fc_kernel_set *kernels;
    fc_elementwise_desc desc; /* its activation is an fc_unary if `mathematical` */
    int mathematical;
    int64_t bytes;
    int64_t chunk; /* elements of the innermost axis at a time */
};

static void apply(const struct elementwise_plan *plan, const void *x, void *y, int64_t count) {
    const fc_elementwise_desc *d = &plan->desc;
    if (plan->mathematical)
        plan->kernels->unary(d->activation, x, y, count);
    else
        plan->kernels->activate_by_two(d->activation, d->alpha, d->beta, x, y, count);
}

static void elementwise_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct elementwise_plan *plan = plan_;
    const fc_elementwise_desc *d = &plan->desc;
    const int64_t *size = d->x.size;
    int contiguous = d->x.stride[3] == 1 && d->y.stride[3] == 1;
    int64_t chunks = fc_ceil_div(size[3], plan->chunk), begin, end;
    fc_share(size[0] * size[1] * size[2] * chunks, i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t first = item % chunks * plan->chunk, row = item / chunks;
        int64_t count = fc_min(plan->chunk, size[3] - first);
        int64_t a = row / size[2] / size[1], b = row / size[2] % size[1], c = row % size[2];
        const char *x = fc_at(run, &d->x) + fc_offset(&d->x, a, b, c, first);
        char *y = fc_at(run, &d->y) + fc_offset(&d->y, a, b, c, first);
        if (contiguous) {
            apply(plan, x, y, count);
            continue;
        }
        struct fc_copy2d_args in = {.src = x,
                                    .src_j = d->x.stride[3],
                                    .dst = run->scratch,
                                    .dst_j = 1,
                                    .rows = 1,
                                    .columns = count};
        struct fc_copy2d_args out = {.src = run->scratch,
                                     .src_j = 1,
                                     .dst = y,
                                     .dst_j = d->y.stride[3],
                                     .rows = 1,
                                     .columns = count};
        plan->kernels->copy2d(&in);
        apply(plan, run->scratch, run->scratch, count);
        plan->kernels->copy2d(&out);
    }
}

static fc_status add_step(struct fc_program *program, const fc_elementwise_desc *d,
                          int mathematical, double cost, int flush_denormals) {
    fc_status status;
    if ((status = fc_check_tensor(&d->x)) || (status = fc_check_tensor(&d->y))) return status;
    if (d->x.dtype > FC_FLOAT64 || d->y.dtype != d->x.dtype) return FC_ERROR_UNSUPPORTED;
    if (memcmp(d->x.size, d->y.size, sizeof d->x.size)) return FC_ERROR_SHAPE;
    if (fc_count(&d->x) == 0) return FC_OK;
    struct elementwise_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = (struct elementwise_plan){
        .kernels = program->kernels->set[d->x.dtype],
        .desc = *d,
        .mathematical = mathematical,
        .bytes = fc_dtype_bytes((fc_dtype)d->x.dtype),
        .chunk = fc_min(d->x.size[3], FC_CHUNK_ELEMENTS),
    };
    struct fc_step step = {
        .run = elementwise_run,
        .plan = plan,
        .scratch_bytes = plan->chunk * plan->bytes,
        .cost = (double)fc_count(&d->x) * cost,
        .flush_denormals = flush_denormals,
    };
    return fc_program_add_step(program, step);
}

fc_status fc_program_add_elementwise(struct fc_program *program, const fc_elementwise_desc *d) {
    if (d->activation < FC_IDENTITY || d->activation > FC_CLAMP) return FC_ERROR_UNSUPPORTED;
    return add_step(program, d, 0, d->activation < FC_SIGMOID ? 0.1 : 1,
                    d->activation >= FC_LEAKY_RELU && d->activation != FC_CLAMP);
}

fc_status fc_program_add_unary(struct fc_program *program, const fc_unary_desc *d) {
    if (d->operation < FC_NEGATE || d->operation > FC_SIGN) return FC_ERROR_UNSUPPORTED;
    fc_elementwise_desc same = {.x = d->x, .y = d->y, .activation = d->operation};
    return add_step(program, &same, 1, d->operation < FC_EXP ? 0.2 : 2,
                    d->operation >= FC_RECIPROCAL && d->operation < FC_FLOOR);
}

struct softmax_plan {
    const struct fc_kernel_set *kernels;
    fc_softmax_desc desc;
    int64_t bytes;
    int64_t block; /* rows that are brought into scratch together */
};

static void softmax_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct softmax_plan *plan = plan_;
    const fc_tensor *x = &plan->desc.x, *y = &plan->desc.y;
    int64_t count = x->size[1], blocks = fc_ceil_div(x->size[2], plan->block), begin, end;
    fc_share(x->size[0] * blocks, i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t outer = item / blocks, first = item % blocks * plan->block;
        int64_t rows = fc_min(plan->block, x->size[2] - first);
        struct fc_copy2d_args in = {
            .src = fc_at(run, x) + fc_offset(x, outer, 0, first, 0),
            .src_i = x->stride[2],
            .src_j = x->stride[1],
            .dst = run->scratch,
            .dst_i = count,
            .dst_j = 1,
            .rows = rows,
            .columns = count,
        };
        struct fc_copy2d_args out = {
            .src = run->scratch,
            .src_i = count,
            .src_j = 1,
            .dst = fc_at(run, y) + fc_offset(y, outer, 0, first, 0),
            .dst_i = y->stride[2],
            .dst_j = y->stride[1],
            .rows = rows,
            .columns = count,
        };
        plan->kernels->copy2d(&in);
        for (int64_t r = 0; r < rows; r++) {
            char *row = run->scratch + r * count * plan->bytes;
            if (plan->desc.logarithm)
                plan->kernels->log_softmax(row, row, count);
            else
                plan->kernels->softmax(row, row, count);
        }
        plan->kernels->copy2d(&out);
    }
}

fc_status fc_program_add_softmax(struct fc_program *program, const fc_softmax_desc *d) {
    fc_status status;
    if ((status = fc_check_tensor(&d->x)) || (status = fc_check_tensor(&d->y))) return status;
    if (d->x.dtype > FC_FLOAT64 || d->y.dtype != d->x.dtype) return FC_ERROR_UNSUPPORTED;
    if (memcmp(d->x.size, d->y.size, sizeof d->x.size) || d->x.size[3] != 1) return FC_ERROR_SHAPE;
    if (fc_count(&d->x) == 0) return FC_OK;
    struct softmax_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = (struct softmax_plan){
        .kernels = program->kernels->set[d->x.dtype],
        .desc = *d,
        .bytes = fc_dtype_bytes((fc_dtype)d->x.dtype),
        .block = fc_min(d->x.size[2], 16),
    };
    struct fc_step step = {
        .run = softmax_run,
        .plan = plan,
        .scratch_bytes = fc_product(plan->block * plan->bytes, d->x.size[1]),
        .cost = (double)fc_count(&d->x) * 2,
        .flush_denormals = 1,
    };
    return fc_program_add_step(program, step);
}
