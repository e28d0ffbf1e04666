/* batch_norm.c: batch normalization with given statistics. */
#include "core/lines.h"

#define FC_CHUNK_ELEMENTS 4096

/* Lines of an image: channels of a pixel where these are contiguous, else pixels of a channel, whole
 * planes where rows follow each other. */
struct image_lines {
    int channels;           /* lines run along the channels */
    int64_t count, length;  /* lines of an image; elements of a line */
    int64_t chunk;          /* elements at a time */
    int64_t x_step, y_step; /* elements */
    int64_t columns;        /* of an image, where lines are pixels' channels */
};

static struct image_lines lines_of(const fc_tensor *x, const fc_tensor *y, int channels) {
    int dense =
        x->stride[2] == x->size[3] * x->stride[3] && y->stride[2] == y->size[3] * y->stride[3];
    struct image_lines l = {.channels = channels, .columns = x->size[3]};
    if (channels) {
        l.count = x->size[2] * x->size[3];
        l.length = x->size[1];
    } else {
        l.count = x->size[1] * (dense ? 1 : x->size[2]);
        l.length = dense ? x->size[2] * x->size[3] : x->size[3];
    }
    l.x_step = x->stride[channels ? 1 : 3];
    l.y_step = y->stride[channels ? 1 : 3];
    l.chunk = fc_min(l.length, FC_CHUNK_ELEMENTS);
    return l;
}

/* The first element of a line's chunk. */
static int64_t line_offset(const struct image_lines *l, const fc_tensor *t, int64_t n, int64_t line,
                           int64_t first) {
    if (l->channels) return fc_offset(t, n, first, line / l->columns, line % l->columns);
    int64_t rows = l->count / t->size[1], row = line % rows;
    return fc_offset(t, n, line / rows, row, 0) +
           first * t->stride[3] * fc_dtype_bytes((fc_dtype)t->dtype);
}

/* ---- batch normalization ---- */

struct batch_norm_plan {
    const struct fc_kernel_table *kernels;
    fc_batch_norm_desc desc;
    struct image_lines lines;
    int64_t bytes, scratch_shift, scratch_line;
};

static double element(const struct fc_run *run, const fc_tensor *t, int64_t c, double absent) {
    if (!fc_present(t)) return absent;
    const char *p = fc_at(run, t) + fc_offset(t, c, 0, 0, 0);
    return t->dtype == FC_FLOAT32 ? (double)*(const float *)p : *(const double *)p;
}

static void make_factors(const struct batch_norm_plan *plan, const struct fc_run *run) {
    const fc_batch_norm_desc *d = &plan->desc;
    for (int64_t c = 0; c < d->x.size[1]; c++) {
        double variance = element(run, &d->variance, c, 1);
        double scale = element(run, &d->weight, c, 1) / sqrt(variance + d->epsilon);
        double shift = element(run, &d->bias, c, 0) - element(run, &d->mean, c, 0) * scale;
        fc_constant(scale, d->x.dtype, run->scratch + c * plan->bytes);
        fc_constant(shift, d->x.dtype, run->scratch + plan->scratch_shift + c * plan->bytes);
    }
}

static void batch_norm_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct batch_norm_plan *plan = plan_;
    const fc_batch_norm_desc *d = &plan->desc;
    const struct image_lines *l = &plan->lines;
    const struct fc_kernel_set *set = plan->kernels->set[d->x.dtype];
    double lo = fc_lower_bound(d->activation), hi = fc_upper_bound(d->activation);
    int64_t chunks = fc_ceil_div(l->length, l->chunk), begin, end;
    fc_share(d->x.size[0] * l->count * chunks, i, n, &begin, &end);
    if (begin < end) make_factors(plan, run);
    for (int64_t item = begin; item < end; item++) {
        int64_t first = item % chunks * l->chunk, line = item / chunks % l->count;
        int64_t image = item / chunks / l->count, count = fc_min(l->chunk, l->length - first);
        int64_t channel = l->channels ? first : line / (l->count / d->x.size[1]);
        const char *x = fc_at(run, &d->x) + line_offset(l, &d->x, image, line, first);
        char *y = fc_at(run, &d->y) + line_offset(l, &d->y, image, line, first);
        char *scratch = run->scratch + plan->scratch_line, *to = l->y_step == 1 ? y : scratch;
        if (l->x_step != 1) {
            fc_copy_line(plan->kernels, plan->bytes, x, l->x_step, scratch, 1, count);
            x = scratch;
        }
        const char *scale = run->scratch + channel * plan->bytes;
        set->scale(x, scale, scale + plan->scratch_shift, l->channels, to, count, lo, hi);
        if (d->activation > FC_RELU6) set->activate(d->activation, d->alpha, to, to, count);
        if (to != y) fc_copy_line(plan->kernels, plan->bytes, to, 1, y, l->y_step, count);
    }
}

static fc_status check_pair(const fc_tensor *x, const fc_tensor *y) {
    fc_status status;
    if ((status = fc_check_tensor(x)) || (status = fc_check_tensor(y))) return status;
    if (x->dtype > FC_FLOAT64 || y->dtype != x->dtype) return FC_ERROR_UNSUPPORTED;
    return memcmp(x->size, y->size, sizeof x->size) ? FC_ERROR_SHAPE : FC_OK;
}

fc_status fc_program_add_batch_norm(struct fc_program *program, const fc_batch_norm_desc *d) {
    fc_status status = check_pair(&d->x, &d->y);
    if (status) return status;
    const fc_tensor *factors[] = {&d->mean, &d->variance, &d->weight, &d->bias};
    const int64_t size[4] = {d->x.size[1], 1, 1, 1};
    for (int f = 0; f < 4; f++) {
        if (!fc_present(factors[f])) continue;
        if ((status = fc_check_tensor(factors[f]))) return status;
        if (factors[f]->dtype != d->x.dtype) return FC_ERROR_UNSUPPORTED;
        if (memcmp(factors[f]->size, size, sizeof size)) return FC_ERROR_SHAPE;
    }
    if (d->activation < FC_IDENTITY || d->activation > FC_MISH) return FC_ERROR_UNSUPPORTED;
    if (fc_count(&d->y) == 0) return FC_OK;
    struct batch_norm_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    int64_t bytes = fc_dtype_bytes((fc_dtype)d->x.dtype), factor = fc_product(size[0], bytes);
    *plan = (struct batch_norm_plan){
        .kernels = program->kernels,
        .desc = *d,
        .lines = lines_of(&d->x, &d->y, d->x.stride[1] == 1 && d->y.stride[1] == 1),
        .bytes = bytes,
        .scratch_shift = fc_align(factor),
        .scratch_line = 2 * fc_align(factor),
    };
    struct fc_step step = {
        .run = batch_norm_run,
        .plan = plan,
        .scratch_bytes = factor < 0 ? -1 : plan->scratch_line + plan->lines.chunk * bytes,
        .cost = (double)fc_count(&d->y) * 0.2,
        .flush_denormals = 1,
    };
    return fc_program_add_step(program, step);
}
