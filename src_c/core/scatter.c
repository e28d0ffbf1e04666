/* scatter.c: elements put where indices say, zeros elsewhere. */
#include "core/program.h"

struct scatter_plan {
    fc_scatter_desc desc;
    int64_t bytes, count;
};

/* Each thread owns a part of y and passes over all indices, so that of equal ones the last wins, whatever the
 * number of threads. */
static void scatter_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct scatter_plan *plan = plan_;
    const fc_tensor *x = &plan->desc.x, *places = &plan->desc.places;
    char *y = fc_at(run, &plan->desc.y);
    int64_t begin, end, at[4];
    fc_share(plan->count, i, n, &begin, &end);
    memset(y + begin * plan->bytes, 0, (size_t)((end - begin) * plan->bytes));
    for (at[0] = 0; at[0] < x->size[0]; at[0]++)
        for (at[1] = 0; at[1] < x->size[1]; at[1]++)
            for (at[2] = 0; at[2] < x->size[2]; at[2]++)
                for (at[3] = 0; at[3] < x->size[3]; at[3]++) {
                    const char *from =
                        fc_at(run, places) + fc_offset(places, at[0], at[1], at[2], at[3]);
                    int64_t place = *(const int64_t *)from;
                    if (place < 0 || place >= plan->count)
                        __atomic_store_n(run->status, FC_ERROR_INDEX, __ATOMIC_RELAXED);
                    if (place < begin || place >= end) continue;
                    from = fc_at(run, x) + fc_offset(x, at[0], at[1], at[2], at[3]);
                    memcpy(y + place * plan->bytes, from, (size_t)plan->bytes);
                }
}

static int dense(const fc_tensor *t) {
    int64_t step = 1;
    for (int a = 3; a >= 0; a--) {
        if (t->size[a] != 1 && t->stride[a] != step) return 0;
        step *= t->size[a];
    }
    return 1;
}

fc_status fc_program_add_scatter(struct fc_program *program, const fc_scatter_desc *d) {
    fc_status status;
    const fc_tensor *x = &d->x, *places = &d->places, *y = &d->y;
    if ((status = fc_check_tensor(x)) || (status = fc_check_tensor(places)) ||
        (status = fc_check_tensor(y)))
        return status;
    if (places->dtype != FC_INT64 || y->dtype != x->dtype) return FC_ERROR_UNSUPPORTED;
    for (int a = 0; a < 4; a++)
        if (places->size[a] != x->size[a]) return FC_ERROR_SHAPE;
    if (!dense(y)) return FC_ERROR_ARGUMENT;
    struct scatter_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = (struct scatter_plan){*d, fc_dtype_bytes((fc_dtype)x->dtype), fc_count(y)};
    struct fc_step step = {
        .run = scatter_run,
        .plan = plan,
        .cost = (double)fc_count(x) + 0.1 * (double)plan->count,
    };
    return fc_program_add_step(program, step);
}
