/* copy.c: copies between views of any strides, conversions between dtypes, and constant fills. */
#include <math.h>

#include "core/lines.h"

#define FC_CHUNK_ELEMENTS 8192

struct copy_plan {
    const struct fc_kernel_table *kernels;
    fc_tensor x, y;
    fc_convert_fn convert;  /* NULL: bits are copied */
    int64_t bytes;          /* of an element of y */
    int outer[2], inner[2]; /* axes: shared out, and handed to the kernel as rows and columns */
    int64_t rows, columns;  /* of the largest chunk */
};

/* ---- conversions ---- */

/* Every dtype into every other: a line of macros for each pair. */
#define FC_FROM_FLOAT(to, low, high, v) \
    ((v) != (v) ? (to)0 : (v) <= (low) ? (to)(low) : (v) >= (high) ? (to)(high) : (to)(v))
#define FC_AS_IS(to, low, high, v) ((to)(v))
#define FC_CONVERT(from_name, from, to_name, to, low, high, rule) \
    static void from_name##_to_##to_name(const void *x, int64_t x_step, void *y, int64_t y_step, \
                                         int64_t count) { \
        const from *in = x; \
        to *out = y; \
        for (int64_t i = 0; i < count; i++) { \
            from v = in[i * x_step]; \
            out[i * y_step] = rule(to, low, high, v); \
        } \
    }
#define FC_CONVERT_FROM(name, from, rule) \
    FC_CONVERT(name, from, f32, float, 0, 0, FC_AS_IS) \
    FC_CONVERT(name, from, f64, double, 0, 0, FC_AS_IS) \
    FC_CONVERT(name, from, i8, int8_t, INT8_MIN, INT8_MAX, rule) \
    FC_CONVERT(name, from, u8, uint8_t, 0, UINT8_MAX, rule) \
    FC_CONVERT(name, from, i16, int16_t, INT16_MIN, INT16_MAX, rule) \
    FC_CONVERT(name, from, u16, uint16_t, 0, UINT16_MAX, rule) \
    FC_CONVERT(name, from, i32, int32_t, INT32_MIN, INT32_MAX, rule) \
    FC_CONVERT(name, from, u32, uint32_t, 0, UINT32_MAX, rule) \
    FC_CONVERT(name, from, i64, int64_t, INT64_MIN, INT64_MAX, rule) \
    FC_CONVERT(name, from, u64, uint64_t, 0, UINT64_MAX, rule)
FC_CONVERT_FROM(f32, float, FC_FROM_FLOAT)
FC_CONVERT_FROM(f64, double, FC_FROM_FLOAT)
FC_CONVERT_FROM(i8, int8_t, FC_AS_IS)
FC_CONVERT_FROM(u8, uint8_t, FC_AS_IS)
FC_CONVERT_FROM(i16, int16_t, FC_AS_IS)
FC_CONVERT_FROM(u16, uint16_t, FC_AS_IS)
FC_CONVERT_FROM(i32, int32_t, FC_AS_IS)
FC_CONVERT_FROM(u32, uint32_t, FC_AS_IS)
FC_CONVERT_FROM(i64, int64_t, FC_AS_IS)
FC_CONVERT_FROM(u64, uint64_t, FC_AS_IS)

#define FC_ROW(name) \
    {name##_to_f32, name##_to_f64, name##_to_i8,  name##_to_u8,  name##_to_i16, \
     name##_to_u16, name##_to_i32, name##_to_u32, name##_to_i64, name##_to_u64}
static const fc_convert_fn conversions[10][10] = {
    FC_ROW(f32), FC_ROW(f64), FC_ROW(i8),  FC_ROW(u8),  FC_ROW(i16),
    FC_ROW(u16), FC_ROW(i32), FC_ROW(u32), FC_ROW(i64), FC_ROW(u64)};

void fc_constant(double value, int32_t dtype, void *element) {
    conversions[FC_FLOAT64][dtype](&value, 1, element, 1, 1);
}

/* ---- bits ---- */

#define FC_COPY_BITS(type) \
    for (int64_t i = 0; i < a->rows; i++) \
        for (int64_t j = 0; j < a->columns; j++) \
    ((type *)a->dst)[i * a->dst_i + j * a->dst_j] = \
        ((const type *)a->src)[i * a->src_i + j * a->src_j]

void fc_copy_bits(const struct fc_kernel_table *kernels, int64_t bytes,
                  const struct fc_copy2d_args *a) {
    switch (bytes) {
    case 1: FC_COPY_BITS(uint8_t); break;
    case 2: FC_COPY_BITS(uint16_t); break;
    case 4: kernels->set[FC_FLOAT32]->copy2d(a); break;
    default: kernels->set[FC_FLOAT64]->copy2d(a); break;
    }
}

/* ---- running ---- */

static void copy_chunk(const struct copy_plan *plan, const struct fc_copy2d_args *a) {
    if (!plan->convert) {
        fc_copy_bits(plan->kernels, plan->bytes, a);
        return;
    }
    int64_t x_bytes = fc_dtype_bytes((fc_dtype)plan->x.dtype);
    for (int64_t i = 0; i < a->rows; i++)
        plan->convert((const char *)a->src + i * a->src_i * x_bytes, a->src_j,
                      (char *)a->dst + i * a->dst_i * plan->bytes, a->dst_j, a->columns);
}

static void copy_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct copy_plan *plan = plan_;
    const fc_tensor *x = &plan->x, *y = &plan->y;
    int rows = plan->inner[0], columns = plan->inner[1];
    int64_t row_chunks = fc_ceil_div(y->size[rows], plan->rows);
    int64_t column_chunks = fc_ceil_div(y->size[columns], plan->columns);
    int64_t begin, end, chunks = row_chunks * column_chunks;
    fc_share(y->size[plan->outer[0]] * y->size[plan->outer[1]] * chunks, i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t chunk = item % chunks, place = item / chunks, at[4];
        at[plan->outer[0]] = place / y->size[plan->outer[1]];
        at[plan->outer[1]] = place % y->size[plan->outer[1]];
        at[rows] = chunk / column_chunks * plan->rows;
        at[columns] = chunk % column_chunks * plan->columns;
        struct fc_copy2d_args a = {
            .src = fc_at(run, x) + fc_offset(x, at[0], at[1], at[2], at[3]),
            .src_i = x->stride[rows],
            .src_j = x->stride[columns],
            .dst = fc_at(run, y) + fc_offset(y, at[0], at[1], at[2], at[3]),
            .dst_i = y->stride[rows],
            .dst_j = y->stride[columns],
            .rows = fc_min(plan->rows, y->size[rows] - at[rows]),
            .columns = fc_min(plan->columns, y->size[columns] - at[columns]),
        };
        copy_chunk(plan, &a);
    }
}

/* ---- planning ---- */

static int64_t distance(const fc_tensor *t, int axis) {
    if (t->size[axis] == 1) return INT64_MAX;
    return t->stride[axis] < 0 ? -t->stride[axis] : t->stride[axis];
}

/* Columns run along y's closest axis, rows along x's: one transpose where these differ. */
static void choose_axes(struct copy_plan *plan) {
    int columns = 3, rows = -1;
    for (int a = 2; a >= 0; a--)
        if (distance(&plan->y, a) < distance(&plan->y, columns)) columns = a;
    for (int a = 3; a >= 0; a--) {
        if (a == columns) continue;
        int repeated = plan->x.stride[a] == 0; /* read from cache anyway */
        if (rows < 0 || (!repeated && distance(&plan->x, a) < distance(&plan->x, rows))) rows = a;
    }
    plan->inner[0] = rows;
    plan->inner[1] = columns;
    for (int a = 0, next = 0; a < 4; a++)
        if (a != rows && a != columns) plan->outer[next++] = a;
    plan->columns = fc_min(plan->y.size[columns], FC_CHUNK_ELEMENTS);
    plan->rows = fc_min(plan->y.size[rows], fc_max(1, FC_CHUNK_ELEMENTS / plan->columns));
}

fc_status fc_program_add_copy(struct fc_program *program, const fc_copy_desc *d) {
    fc_status status;
    if ((status = fc_check_tensor(&d->x)) || (status = fc_check_tensor(&d->y))) return status;
    if (memcmp(d->x.size, d->y.size, sizeof d->x.size)) return FC_ERROR_SHAPE;
    if (fc_count(&d->y) == 0) return FC_OK;
    struct copy_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = (struct copy_plan){
        .kernels = program->kernels,
        .x = d->x,
        .y = d->y,
        .convert = d->x.dtype == d->y.dtype ? NULL : conversions[d->x.dtype][d->y.dtype],
        .bytes = fc_dtype_bytes((fc_dtype)d->y.dtype),
    };
    choose_axes(plan);
    struct fc_step step = {
        .run = copy_run,
        .plan = plan,
        .cost = (double)fc_count(&d->y) * (plan->convert ? 0.5 : 0.2),
    };
    return fc_program_add_step(program, step);
}

struct fill_plan {
    fc_tensor y;
    int64_t bytes;
    union {
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
    } value;
};

#define FC_FILL_ROW(field) \
    for (int64_t j = 0; j < y->size[3]; j++) \
    memcpy(row + j * y->stride[3] * plan->bytes, &plan->value.field, sizeof plan->value.field)

static void fill_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const struct fill_plan *plan = plan_;
    const fc_tensor *y = &plan->y;
    int64_t begin, end;
    fc_share(y->size[0] * y->size[1] * y->size[2], i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t c = item % y->size[2], b = item / y->size[2] % y->size[1];
        char *row = fc_at(run, y) + fc_offset(y, item / y->size[2] / y->size[1], b, c, 0);
        switch (plan->bytes) {
        case 1: FC_FILL_ROW(u8); break;
        case 2: FC_FILL_ROW(u16); break;
        case 4: FC_FILL_ROW(u32); break;
        default: FC_FILL_ROW(u64); break;
        }
    }
}

fc_status fc_program_add_fill(struct fc_program *program, const fc_fill_desc *d) {
    fc_status status = fc_check_tensor(&d->y);
    if (status) return status;
    if (fc_count(&d->y) == 0) return FC_OK;
    struct fill_plan *plan = malloc(sizeof *plan);
    if (!plan) return FC_ERROR_MEMORY;
    *plan = (struct fill_plan){.y = d->y, .bytes = fc_dtype_bytes((fc_dtype)d->y.dtype)};
    fc_constant(d->value, d->y.dtype, &plan->value);
    struct fc_step step = {.run = fill_run, .plan = plan, .cost = (double)fc_count(&d->y) * 0.1};
    return fc_program_add_step(program, step);
}

fc_status fc_program_reserve_bytes(struct fc_program *program, int64_t bytes,
                                   int64_t *offset_bytes) {
    if (bytes < 0) return FC_ERROR_ARGUMENT;
    *offset_bytes = fc_program_reserve(program, bytes);
    return *offset_bytes < 0 ? FC_ERROR_OVERFLOW : FC_OK;
}
