/* binary.c: functions of two operands with broadcasting, comparisons, and the choice of one of two.
 *
 * The innermost axis goes through the kernels in chunks. Where all operands step through it evenly,
 * so do several rows at once; operands with gaps are gathered line by line into scratch.
 */
#include "core/lines.h"

#define FC_CHUNK_ELEMENTS 2048

struct binary_plan {
    const struct fc_kernel_table *kernels;
    const struct fc_kernel_set *set;
    fc_tensor condition, a, b, y; /* condition: of fc_program_add_choose alone */
    int32_t operation, activation;
    double alpha;
    int64_t bytes, y_bytes;
    int64_t rows, columns; /* of a chunk: of axis 2 and axis 3 */
    int even;              /* no operand needs scratch */
};

static int even_in(const fc_tensor *t) { return t->stride[3] == 0 || t->stride[3] == 1; }

/* act(a op b) on rows that lie as the kernels like. */
static void compute(const struct binary_plan *plan, const struct fc_binary_args *args) {
    if (plan->operation >= FC_EQUAL) {
        plan->set->compare(plan->operation - FC_EQUAL, args);
        return;
    }
    plan->set->binary(plan->operation, args);
    if (plan->activation == FC_IDENTITY) return;
    for (int64_t r = 0; r < args->rows; r++) {
        char *row = (char *)args->y + r * args->y_row * plan->bytes;
        plan->set->activate(plan->activation, plan->alpha, row, row, args->count);
    }
}

/* One line, its operands and result by way of scratch where they have gaps. */
static void run_line(const struct binary_plan *plan, const struct fc_run *run, const char *a,
                     const char *b, char *y, int64_t count) {
    int64_t room = fc_align(plan->columns * plan->bytes);
    struct fc_line in_a = fc_line_in(plan->kernels, &plan->a, a, count, run->scratch);
    struct fc_line in_b = fc_line_in(plan->kernels, &plan->b, b, count, run->scratch + room);
    int through = plan->y.stride[3] != 1 && count > 1;
    struct fc_binary_args args = {
        .a = in_a.data,
        .a_step = in_a.step,
        .b = in_b.data,
        .b_step = in_b.step,
        .y = through ? run->scratch + 2 * room : y,
        .rows = 1,
        .count = count,
    };
    compute(plan, &args);
    if (through) fc_copy_line(plan->kernels, plan->y_bytes, args.y, 1, y, plan->y.stride[3], count);
}

static void run_lines(const struct binary_plan *plan, const struct fc_run *run, const int64_t at[4],
                      int64_t rows, int64_t count) {
    const fc_tensor *a = &plan->a, *b = &plan->b, *y = &plan->y;
    const char *a_at = fc_at(run, a) + fc_offset(a, at[0], at[1], at[2], at[3]);
    const char *b_at = fc_at(run, b) + fc_offset(b, at[0], at[1], at[2], at[3]);
    char *y_at = fc_at(run, y) + fc_offset(y, at[0], at[1], at[2], at[3]);
    if (plan->even) {
        struct fc_binary_args args = {
            .a = a_at,
            .a_row = a->stride[2],
            .a_step = a->stride[3],
            .b = b_at,
            .b_row = b->stride[2],
            .b_step = b->stride[3],
            .y = y_at,
            .y_row = y->stride[2],
            .rows = rows,
            .count = count,
        };
        compute(plan, &args);
        return;
    }
    for (int64_t r = 0; r < rows; r++)
        run_line(plan, run, a_at + r * a->stride[2] * plan->bytes,
                 b_at + r * b->stride[2] * plan->bytes, y_at + r * y->stride[2] * plan->y_bytes,
                 count);
}

static void choose_lines(const struct binary_plan *plan, const struct fc_run *run,
                         const int64_t at[4], int64_t rows, int64_t count) {
    const fc_tensor *c = &plan->condition, *a = &plan->a, *b = &plan->b, *y = &plan->y;
    int64_t room = fc_align(plan->columns * plan->bytes);
    for (int64_t r = at[2]; r < at[2] + rows; r++) {
        struct fc_line in_c =
            fc_line_in(plan->kernels, c, fc_at(run, c) + fc_offset(c, at[0], at[1], r, at[3]),
                       count, run->scratch);
        struct fc_line in_a =
            fc_line_in(plan->kernels, a, fc_at(run, a) + fc_offset(a, at[0], at[1], r, at[3]),
                       count, run->scratch + room);
        struct fc_line in_b =
            fc_line_in(plan->kernels, b, fc_at(run, b) + fc_offset(b, at[0], at[1], r, at[3]),
                       count, run->scratch + 2 * room);
        char *out = fc_at(run, y) + fc_offset(y, at[0], at[1], r, at[3]);
        int through = y->stride[3] != 1 && count > 1;
        struct fc_binary_args args = {
            .a = in_a.data,
            .a_step = in_a.step,
            .b = in_b.data,
            .b_step = in_b.step,
            .y = through ? run->scratch + 3 * room : out,
            .rows = 1,
            .count = count,
        };
        plan->set->choose((const uint8_t *)in_c.data, in_c.step, &args);
        if (through) fc_copy_line(plan->kernels, plan->bytes, args.y, 1, out, y->stride[3], count);
    }
}

static void binary_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct binary_plan *plan = plan_;
    const int64_t *size = plan->y.size;
    int64_t row_chunks = fc_ceil_div(size[2], plan->rows);
    int64_t chunks = row_chunks * fc_ceil_div(size[3], plan->columns), begin, end;
    fc_share(size[0] * size[1] * chunks, i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t chunk = item % chunks, place = item / chunks;
        int64_t at[4] = {place / size[1], place % size[1], chunk % row_chunks * plan->rows,
                         chunk / row_chunks * plan->columns};
        int64_t rows = fc_min(plan->rows, size[2] - at[2]);
        int64_t count = fc_min(plan->columns, size[3] - at[3]);
        if (fc_present(&plan->condition))
            choose_lines(plan, run, at, rows, count);
        else
            run_lines(plan, run, at, rows, count);
    }
}

static fc_status add_step(struct fc_program *program, struct binary_plan made, double cost,
                          int flush_denormals) {
    if (fc_count(&made.y) == 0) return FC_OK;
    struct binary_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = made;
    plan->kernels = program->kernels;
    plan->bytes = fc_dtype_bytes((fc_dtype)made.a.dtype);
    plan->y_bytes = fc_dtype_bytes((fc_dtype)made.y.dtype);
    plan->set = program->kernels->set[plan->bytes == 8];
    plan->columns = fc_min(made.y.size[3], FC_CHUNK_ELEMENTS);
    plan->rows = fc_min(made.y.size[2], fc_max(1, FC_CHUNK_ELEMENTS / plan->columns));
    plan->even = even_in(&made.a) && even_in(&made.b) && made.y.stride[3] == 1;
    struct fc_step step = {
        .run = binary_run,
        .plan = plan,
        .scratch_bytes = 4 * fc_align(plan->columns * plan->bytes),
        .cost = (double)fc_count(&made.y) * cost,
        .flush_denormals = flush_denormals,
    };
    return fc_program_add_step(program, step);
}

fc_status fc_program_add_binary(struct fc_program *program, const fc_binary_desc *d) {
    fc_status status;
    if ((status = fc_check_tensor(&d->a)) || (status = fc_check_tensor(&d->b)) ||
        (status = fc_check_tensor(&d->y)))
        return status;
    if (d->a.dtype > FC_FLOAT64 || d->b.dtype != d->a.dtype || d->operation < FC_ADD ||
        d->operation > FC_LESS_OR_EQUAL || d->activation < FC_IDENTITY ||
        d->activation > (d->operation < FC_EQUAL ? FC_MISH : FC_IDENTITY) ||
        d->y.dtype != (d->operation < FC_EQUAL ? d->a.dtype : (int32_t)FC_UINT8))
        return FC_ERROR_UNSUPPORTED;
    if (memcmp(d->a.size, d->y.size, sizeof d->a.size) ||
        memcmp(d->b.size, d->y.size, sizeof d->b.size))
        return FC_ERROR_SHAPE;
    struct binary_plan plan = {
        .condition = {.slot = FC_NO_SLOT},
        .a = d->a,
        .b = d->b,
        .y = d->y,
        .operation = d->operation,
        .activation = d->activation,
        .alpha = d->alpha,
    };
    double cost = d->operation == FC_POWER ? 10 : 0.2;
    if (d->activation >= FC_SIGMOID) cost += 1;
    return add_step(program, plan, cost,
                    d->operation < FC_MINIMUM || d->operation == FC_PRELU ||
                        d->operation == FC_POWER || d->activation >= FC_LEAKY_RELU);
}

fc_status fc_program_add_choose(struct fc_program *program, const fc_choose_desc *d) {
    fc_status status;
    if ((status = fc_check_tensor(&d->condition)) || (status = fc_check_tensor(&d->a)) ||
        (status = fc_check_tensor(&d->b)) || (status = fc_check_tensor(&d->y)))
        return status;
    if (d->condition.dtype != FC_UINT8 || fc_dtype_bytes((fc_dtype)d->y.dtype) < 4 ||
        d->a.dtype != d->y.dtype || d->b.dtype != d->y.dtype)
        return FC_ERROR_UNSUPPORTED;
    if (memcmp(d->a.size, d->y.size, sizeof d->a.size) ||
        memcmp(d->b.size, d->y.size, sizeof d->b.size) ||
        memcmp(d->condition.size, d->y.size, sizeof d->y.size))
        return FC_ERROR_SHAPE;
    struct binary_plan plan = {.condition = d->condition, .a = d->a, .b = d->b, .y = d->y};
    return add_step(program, plan, 0.5, 0);
}
