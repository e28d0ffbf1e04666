/* response.c: local response normalization over channels.
 *
 * Channels-last pixels go to the kernel as they lie; others are transposed through scratch, some
 * pixels at a time.
 */
#include <math.h>

#include "core/program.h"

#define FC_ROUND_ELEMENTS 8192

struct response_plan {
    const struct fc_kernel_set *kernels;
    fc_response_desc desc;
    int64_t bytes, before, after;
    int64_t round; /* pixels of a row at a time */
    int64_t scratch_squares;
};

/* Pixels [first, first + count) of one image row. */
static void run_pixels(const struct response_plan *plan, const struct fc_run *run, int64_t n,
                       int64_t h, int64_t first, int64_t count) {
    const fc_tensor *x = &plan->desc.x, *y = &plan->desc.y;
    int64_t channels = x->size[1];
    const char *in = fc_at(run, x) + fc_offset(x, n, 0, h, first);
    char *out = fc_at(run, y) + fc_offset(y, n, 0, h, first);
    int gather = x->stride[1] != 1 && channels > 1, scatter = y->stride[1] != 1 && channels > 1;
    struct fc_copy2d_args copy = {.src = in,
                                  .src_i = x->stride[3],
                                  .src_j = x->stride[1],
                                  .dst = run->scratch,
                                  .dst_i = channels,
                                  .dst_j = 1,
                                  .rows = count,
                                  .columns = channels};
    if (gather) plan->kernels->copy2d(&copy);
    struct fc_response_args args = {
        .x = gather ? run->scratch : in,
        .x_pixel = gather ? channels : x->stride[3],
        .y = scatter ? run->scratch : out,
        .y_pixel = scatter ? channels : y->stride[3],
        .squares = run->scratch + plan->scratch_squares,
        .pixels = count,
        .channels = channels,
        .before = plan->before,
        .after = plan->after,
        .alpha = plan->desc.alpha / (double)plan->desc.size,
        .beta = plan->desc.beta,
        .bias = plan->desc.bias,
    };
    plan->kernels->response(&args);
    if (!scatter) return;
    copy = (struct fc_copy2d_args){.src = run->scratch,
                                   .src_i = channels,
                                   .src_j = 1,
                                   .dst = out,
                                   .dst_i = y->stride[3],
                                   .dst_j = y->stride[1],
                                   .rows = count,
                                   .columns = channels};
    plan->kernels->copy2d(&copy);
}

static void response_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct response_plan *plan = plan_;
    const int64_t *size = plan->desc.x.size;
    int64_t rounds = fc_ceil_div(size[3], plan->round), begin, end;
    fc_share(size[0] * size[2] * rounds, i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t first = item % rounds * plan->round, row = item / rounds;
        run_pixels(plan, run, row / size[2], row % size[2], first,
                   fc_min(plan->round, size[3] - first));
    }
}

fc_status fc_program_add_response(struct fc_program *program, const fc_response_desc *d) {
    fc_status status;
    const fc_tensor *x = &d->x, *y = &d->y;
    if ((status = fc_check_tensor(x)) || (status = fc_check_tensor(y))) return status;
    if (x->dtype > FC_FLOAT64 || y->dtype != x->dtype) return FC_ERROR_UNSUPPORTED;
    if (memcmp(x->size, y->size, sizeof x->size)) return FC_ERROR_SHAPE;
    /* what is raised to a power must be positive and finite */
    if (d->size < 1 || d->size > FC_MAX_EXTENT || !(d->bias > 0) || !(d->alpha >= 0) ||
        !isfinite(d->bias) || !isfinite(d->alpha) || !isfinite(d->beta))
        return FC_ERROR_ARGUMENT;
    if (fc_count(x) == 0) return FC_OK;
    struct response_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = (struct response_plan){
        .kernels = program->kernels->set[x->dtype],
        .desc = *d,
        .bytes = fc_dtype_bytes((fc_dtype)x->dtype),
        .before = fc_min((d->size - 1) / 2, x->size[1]),
        .after = fc_min(d->size / 2, x->size[1]),
    };
    plan->round = fc_min(x->size[3], fc_max(1, FC_ROUND_ELEMENTS / x->size[1]));
    int64_t elements = fc_product(plan->round, x->size[1]);
    plan->scratch_squares = fc_align(elements * plan->bytes);
    struct fc_step step = {
        .run = response_run,
        .plan = plan,
        .scratch_bytes =
            plan->scratch_squares + (x->size[1] + plan->before + plan->after) * plan->bytes,
        .cost = (double)fc_count(x) * 3,
        .flush_denormals = 1,
    };
    return fc_program_add_step(program, step);
}
