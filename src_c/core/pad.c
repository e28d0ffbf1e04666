/* pad.c: a padded or cropped copy of a view of five axes. */
#include "core/borders.h"
#include "core/lines.h"

struct pad_plan {
    const struct fc_kernel_table *kernels;
    fc_pad_desc desc;
    int64_t bytes;
    uint64_t value; /* the constant's bits come first */
};

/* One row of y whose outer axes show x's row `x`; NULL: the constant alone. */
static void pad_row(const struct pad_plan *plan, const char *x, char *y) {
    const fc_pad_desc *d = &plan->desc;
    int64_t size = d->x.size[4], count = d->y.size[4], before = d->before[4];
    int64_t x_step = d->x.stride[4], y_step = d->y.stride[4], bytes = plan->bytes;
    int64_t begin = x ? fc_min(fc_max(before, 0), count) : count;
    int64_t end = x ? fc_max(begin, fc_min(before + size, count)) : count;
    for (int side = 0; side < 2; side++) {
        int64_t first = side ? end : 0, last = side ? count : begin;
        if (d->mode == FC_PAD_CONSTANT)
            fc_copy_line(plan->kernels, bytes, &plan->value, 0, y + first * y_step * bytes, y_step,
                         last - first);
        else
            for (int64_t j = first; j < last; j++)
                memcpy(y + j * y_step * bytes,
                       x + fc_border(d->mode, j - before, size) * x_step * bytes, (size_t)bytes);
    }
    if (x)
        fc_copy_line(plan->kernels, bytes, x + (begin - before) * x_step * bytes, x_step,
                     y + begin * y_step * bytes, y_step, end - begin);
}

static void pad_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct pad_plan *plan = plan_;
    const fc_pad_desc *d = &plan->desc;
    const int64_t *size = d->y.size;
    int64_t begin, end;
    fc_share(size[0] * size[1] * size[2] * size[3], i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t rest = item, from = 0, to = 0, inside = 1;
        for (int a = 3; a >= 0; a--) {
            int64_t place = rest % size[a];
            int64_t source = fc_border(d->mode, place - d->before[a], d->x.size[a]);
            rest /= size[a];
            inside &= source >= 0;
            from += source * d->x.stride[a];
            to += place * d->y.stride[a];
        }
        const char *x = run->slots[d->x.slot] + d->x.offset_bytes + from * plan->bytes;
        pad_row(plan, inside ? x : NULL,
                run->slots[d->y.slot] + d->y.offset_bytes + to * plan->bytes);
    }
}

fc_status fc_program_add_pad(struct fc_program *program, const fc_pad_desc *d) {
    fc_status status;
    if ((status = fc_check_strided(d->x.slot, d->x.dtype, d->x.size, d->x.stride, 5)) ||
        (status = fc_check_strided(d->y.slot, d->y.dtype, d->y.size, d->y.stride, 5)))
        return status;
    if (d->x.dtype != d->y.dtype || d->mode < FC_PAD_CONSTANT || d->mode > FC_PAD_CIRCULAR)
        return FC_ERROR_UNSUPPORTED;
    int64_t count = 1;
    for (int a = 0; a < 5; a++) {
        if (d->before[a] > FC_MAX_BYTES || d->before[a] < -FC_MAX_BYTES) return FC_ERROR_OVERFLOW;
        if (d->x.size[a] == 0 && d->y.size[a] > 0 && d->mode != FC_PAD_CONSTANT)
            return FC_ERROR_SHAPE;
        count *= d->y.size[a];
    }
    if (count == 0) return FC_OK;
    struct pad_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = (struct pad_plan){
        .kernels = program->kernels,
        .desc = *d,
        .bytes = fc_dtype_bytes((fc_dtype)d->x.dtype),
    };
    fc_constant(d->value, d->x.dtype, &plan->value);
    struct fc_step step = {.run = pad_run, .plan = plan, .cost = (double)count * 0.2};
    return fc_program_add_step(program, step);
}
