/* resize.c: images resized by weighted sums of a few pixels along each axis.
 *
 * Channels last: all taps of a window at once, the channels of a pixel at a time. Else: the rows of a window
 * into one row in L1, then along that.
 */
#include "core/lines.h"

struct resize_plan {
    const struct fc_kernel_table *kernels;
    fc_resize_desc desc; /* its tables are not looked at any more */
    int channels_last;
    int64_t bytes;
    int64_t scratch_row, scratch_result; /* byte offsets; rows of x come first */
    ptrdiff_t *index[2];
    char *weight[2]; /* of x's dtype */
    int64_t memory[];
};

/* Copies between x or y and contiguous rows. */
static void copy_row(const struct resize_plan *plan, const char *src, int64_t src_step, char *dst,
                     int64_t dst_step, int64_t count) {
    fc_copy_line(plan->kernels, plan->bytes, src, src_step, dst, dst_step, count);
}

static void resize_pixels(const struct resize_plan *plan, const struct fc_run *run, int64_t n,
                          int64_t p) {
    const fc_resize_desc *d = &plan->desc;
    const struct fc_kernel_set *set = plan->kernels->set[d->x.dtype];
    int64_t rows = d->taps[0], columns = d->taps[1];
    ptrdiff_t *tap = (ptrdiff_t *)run->scratch;
    char *w = run->scratch + plan->scratch_row;
    for (int64_t q = 0; q < d->y.size[3]; q++) {
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++) {
                int64_t h = p * rows + i, v = q * columns + j, t = i * columns + j;
                tap[t] = plan->index[0][h] * d->x.stride[2] + plan->index[1][v] * d->x.stride[3];
                if (d->x.dtype == FC_FLOAT32)
                    ((float *)w)[t] = ((float *)plan->weight[0])[h] * ((float *)plan->weight[1])[v];
                else
                    ((double *)w)[t] =
                        ((double *)plan->weight[0])[h] * ((double *)plan->weight[1])[v];
            }
        set->blend(fc_at(run, &d->x) + fc_offset(&d->x, n, 0, 0, 0), tap, w, rows * columns,
                   fc_at(run, &d->y) + fc_offset(&d->y, n, 0, p, q), d->y.size[1]);
    }
}

static void resize_row(const struct resize_plan *plan, const struct fc_run *run, int64_t n,
                       int64_t c, int64_t p) {
    const fc_resize_desc *d = &plan->desc;
    const struct fc_kernel_set *set = plan->kernels->set[d->x.dtype];
    int64_t rows = d->taps[0], width = d->x.size[3];
    const ptrdiff_t *index = plan->index[0] + p * rows;
    const char *x = fc_at(run, &d->x) + fc_offset(&d->x, n, c, 0, 0), *row = run->scratch;
    char *y = fc_at(run, &d->y) + fc_offset(&d->y, n, c, p, 0);
    for (int64_t i = 0; i < rows && d->x.stride[3] != 1; i++)
        copy_row(plan, x + index[i] * d->x.stride[2] * plan->bytes, d->x.stride[3],
                 run->scratch + i * width * plan->bytes, 1, width);
    double only = 1; /* the weight of a single row; what is multiplied by 1 is read in place */
    if (rows == 1)
        only = d->x.dtype == FC_FLOAT32 ? (double)((float *)plan->weight[0])[p]
                                        : ((double *)plan->weight[0])[p];
    if (rows > 1 || only != 1) {
        ptrdiff_t *tap = (ptrdiff_t *)(run->scratch + plan->scratch_result);
        int gathered = d->x.stride[3] != 1;
        for (int64_t i = 0; i < rows; i++)
            tap[i] = gathered ? i * width : index[i] * d->x.stride[2];
        set->blend(gathered ? run->scratch : x, tap, plan->weight[0] + p * rows * plan->bytes, rows,
                   run->scratch + plan->scratch_row, width);
        row = run->scratch + plan->scratch_row;
    } else if (d->x.stride[3] == 1) {
        row = x + index[0] * d->x.stride[2] * plan->bytes;
    }
    char *to = d->y.stride[3] == 1 ? y : run->scratch + plan->scratch_result;
    set->blend_at(row, plan->index[1], plan->weight[1], d->taps[1], to, d->y.size[3]);
    if (to != y) copy_row(plan, to, 1, y, d->y.stride[3], d->y.size[3]);
}

static void resize_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct resize_plan *plan = plan_;
    const fc_resize_desc *d = &plan->desc;
    int64_t planes = plan->channels_last ? 1 : d->y.size[1], rows = d->y.size[2], begin, end;
    fc_share(d->y.size[0] * planes * rows, i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t image = item / rows / planes, c = item / rows % planes, p = item % rows;
        if (plan->channels_last)
            resize_pixels(plan, run, image, p);
        else
            resize_row(plan, run, image, c, p);
    }
}

static fc_status check(const fc_resize_desc *d) {
    fc_status status;
    if ((status = fc_check_tensor(&d->x)) || (status = fc_check_tensor(&d->y))) return status;
    if (d->x.dtype > FC_FLOAT64 || d->y.dtype != d->x.dtype) return FC_ERROR_UNSUPPORTED;
    if (d->x.size[0] != d->y.size[0] || d->x.size[1] != d->y.size[1]) return FC_ERROR_SHAPE;
    if (fc_count(&d->y) == 0) return FC_OK;
    for (int a = 0; a < 2; a++) {
        if (d->taps[a] < 1 || !d->index[a] || !d->weight[a]) return FC_ERROR_ARGUMENT;
        int64_t entries = fc_product(d->taps[a], d->y.size[2 + a]);
        if (fc_product(entries, 64) < 0) return FC_ERROR_OVERFLOW;
        for (int64_t i = 0; i < entries; i++)
            if (d->index[a][i] < 0 || d->index[a][i] >= d->x.size[2 + a]) return FC_ERROR_ARGUMENT;
    }
    return fc_product(fc_product(d->taps[0], d->taps[1]), 64) < 0 ? FC_ERROR_OVERFLOW : FC_OK;
}

fc_status fc_program_add_resize(struct fc_program *program, const fc_resize_desc *d) {
    fc_status status = check(d);
    if (status) return status;
    if (fc_count(&d->y) == 0) return FC_OK;
    int64_t entries[2] = {d->taps[0] * d->y.size[2], d->taps[1] * d->y.size[3]};
    int64_t table = 2 * (entries[0] + entries[1]) * (int64_t)sizeof(int64_t);
    struct resize_plan *plan = malloc(sizeof *plan + (size_t)table);
    if (!plan) return FC_ERROR_MEMORY;
    int64_t bytes = fc_dtype_bytes((fc_dtype)d->x.dtype), taps = d->taps[0] * d->taps[1];
    *plan = (struct resize_plan){
        .kernels = program->kernels,
        .desc = *d,
        .channels_last = d->x.stride[1] == 1 && d->y.stride[1] == 1 && d->x.stride[3] != 1,
        .bytes = bytes,
    };
    int64_t *next = plan->memory;
    for (int a = 0; a < 2; a++) {
        plan->index[a] = (ptrdiff_t *)next;
        plan->weight[a] = (char *)(next + entries[a]);
        for (int64_t i = 0; i < entries[a]; i++) {
            plan->index[a][i] = d->index[a][i];
            fc_constant(d->weight[a][i], d->x.dtype, plan->weight[a] + i * bytes);
        }
        next += 2 * entries[a];
    }
    int64_t rows = fc_product(d->taps[0] * bytes, d->x.size[3]), row = d->x.size[3] * bytes;
    int64_t result = fc_max(d->y.size[3] * bytes, d->taps[0] * (int64_t)sizeof(ptrdiff_t));
    if (plan->channels_last) {
        rows = taps * (int64_t)sizeof(ptrdiff_t);
        row = taps * bytes;
        result = 0;
    }
    plan->scratch_row = fc_align(rows);
    plan->scratch_result = plan->scratch_row + fc_align(row);
    struct fc_step step = {
        .run = resize_run,
        .plan = plan,
        .scratch_bytes = rows < 0 ? -1 : plan->scratch_result + result,
        .cost = (double)fc_count(&d->y) * (double)taps * 0.3,
        .flush_denormals = 1,
    };
    return fc_program_add_step(program, step);
}
