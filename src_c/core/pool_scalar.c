/* pool_scalar.c: pooling in plain loops, for what no faster way takes: integers with indices, strides
 * that no vector follows, windows too large for scratch. */
#include <math.h>

#include "core/pool.h"

#define FC_T float
#define FC_POOL_NAME(op) pool_##op##_f32
#define FC_POOL_LOWEST -INFINITY
#define FC_POOL_ISNAN(v) ((v) != (v))
#define FC_POOL_FLOATING
#include "core/pool_scalar.h"
#define FC_T double
#define FC_POOL_NAME(op) pool_##op##_f64
#define FC_POOL_LOWEST -INFINITY
#define FC_POOL_ISNAN(v) ((v) != (v))
#define FC_POOL_FLOATING
#include "core/pool_scalar.h"
#define FC_T int8_t
#define FC_POOL_NAME(op) pool_##op##_i8
#define FC_POOL_LOWEST INT8_MIN
#define FC_POOL_ISNAN(v) 0
#include "core/pool_scalar.h"
#define FC_T uint8_t
#define FC_POOL_NAME(op) pool_##op##_u8
#define FC_POOL_LOWEST 0
#define FC_POOL_ISNAN(v) 0
#include "core/pool_scalar.h"
#define FC_T int16_t
#define FC_POOL_NAME(op) pool_##op##_i16
#define FC_POOL_LOWEST INT16_MIN
#define FC_POOL_ISNAN(v) 0
#include "core/pool_scalar.h"
#define FC_T uint16_t
#define FC_POOL_NAME(op) pool_##op##_u16
#define FC_POOL_LOWEST 0
#define FC_POOL_ISNAN(v) 0
#include "core/pool_scalar.h"
#define FC_T int32_t
#define FC_POOL_NAME(op) pool_##op##_i32
#define FC_POOL_LOWEST INT32_MIN
#define FC_POOL_ISNAN(v) 0
#include "core/pool_scalar.h"
#define FC_T uint32_t
#define FC_POOL_NAME(op) pool_##op##_u32
#define FC_POOL_LOWEST 0
#define FC_POOL_ISNAN(v) 0
#include "core/pool_scalar.h"
#define FC_T int64_t
#define FC_POOL_NAME(op) pool_##op##_i64
#define FC_POOL_LOWEST INT64_MIN
#define FC_POOL_ISNAN(v) 0
#include "core/pool_scalar.h"
#define FC_T uint64_t
#define FC_POOL_NAME(op) pool_##op##_u64
#define FC_POOL_LOWEST 0
#define FC_POOL_ISNAN(v) 0
#include "core/pool_scalar.h"

typedef void (*max_fn)(const fc_pool2d_desc *, const char *, int64_t, int64_t, char *, int64_t *);
static const max_fn max_of_dtype[] = {
    pool_max_f32, pool_max_f64, pool_max_i8,  pool_max_u8,  pool_max_i16,
    pool_max_u16, pool_max_i32, pool_max_u32, pool_max_i64, pool_max_u64,
};

void fc_pool_scalar_max(const fc_pool2d_desc *d, const char *x, int64_t p, int64_t q, char *y,
                        int64_t *index) {
    max_of_dtype[d->x.dtype](d, x, p, q, y, index);
}

void fc_pool_scalar_run(const void *plan_, const struct fc_run *run, int64_t i, int64_t n) {
    const fc_pool2d_desc *d = &((const struct fc_pool_plan *)plan_)->desc;
    int64_t begin, end, channels = d->y.size[1], rows = d->y.size[2];
    fc_share(d->y.size[0] * channels * rows, i, n, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
        int64_t image = item / rows / channels, c = item / rows % channels, p = item % rows;
        const char *x = fc_at(run, &d->x) + fc_offset(&d->x, image, c, 0, 0);
        for (int64_t q = 0; q < d->y.size[3]; q++) {
            char *y = fc_at(run, &d->y) + fc_offset(&d->y, image, c, p, q);
            int64_t *index = NULL;
            if (fc_present(&d->indices))
                index =
                    (int64_t *)(fc_at(run, &d->indices) + fc_offset(&d->indices, image, c, p, q));
            if (d->kind == FC_POOL_MAX)
                fc_pool_scalar_max(d, x, p, q, y, index);
            else if (d->x.dtype == FC_FLOAT32)
                pool_average_f32(d, x, p, q, y);
            else
                pool_average_f64(d, x, p, q, y);
        }
    }
}
