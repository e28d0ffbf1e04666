/* oracle_graph.c: copies, functions of one and two operands, and reductions. */
#include <float.h>
#include <math.h>

#include "harness.h"

static real element(const struct scene *scene, const fc_tensor *t, const int64_t at[4]) {
    return tensor_get(scene, t, at[0], at[1], at[2], at[3]);
}

/* What lies beyond the dtype's range is infinite. */
static real in_range(real value, int32_t dtype) {
    real largest = dtype == FC_FLOAT32 ? FLT_MAX : DBL_MAX;
    return value > largest ? INFINITY : value < -largest ? -INFINITY : value;
}

/* As C converts: integers wrap, floating numbers saturate. */
static real converted(real value, int32_t from, int32_t to) {
    int64_t bits = 8 * element_bytes((fc_dtype)to);
    if (to == FC_FLOAT32) return (real)(float)value;
    if (to == FC_FLOAT64) return (real)(double)value;
    int is_signed = to == FC_INT8 || to == FC_INT16 || to == FC_INT32 || to == FC_INT64;
    real low = is_signed ? -ldexpl(1, (int)bits - 1) : 0;
    real high = ldexpl(1, (int)bits - is_signed) - 1;
    if (from <= FC_FLOAT64) {
        if (isnan(value)) return 0;
        return value <= low ? low : value >= high ? high : truncl(value);
    }
    real wrapped = fmodl(value, ldexpl(1, (int)bits));
    if (wrapped < low) wrapped += ldexpl(1, (int)bits);
    return wrapped > high ? wrapped - ldexpl(1, (int)bits) : wrapped;
}

struct expected oracle_copy(const struct scene *scene, const void *desc, const int64_t at[4]) {
    const fc_copy_desc *d = desc;
    real value = element(scene, &d->x, at);
    if (d->x.dtype != d->y.dtype) value = converted(value, d->x.dtype, d->y.dtype);
    return (struct expected){value, 0};
}

struct expected oracle_fill(const struct scene *scene, const void *desc, const int64_t at[4]) {
    const fc_fill_desc *d = desc;
    (void)scene;
    (void)at;
    return (struct expected){converted(d->value, FC_FLOAT64, d->y.dtype), 0};
}

struct expected oracle_binary(const struct scene *scene, const void *desc, const int64_t at[4]) {
    const fc_binary_desc *d = desc;
    real a = element(scene, &d->a, at), b = element(scene, &d->b, at), value = 0;
    switch (d->operation) {
    case FC_ADD: value = a + b; break;
    case FC_SUBTRACT: value = a - b; break;
    case FC_MULTIPLY: value = a * b; break;
    case FC_DIVIDE: value = a / b; break;
    case FC_MINIMUM: value = isnan(a) || isnan(b) ? NAN : fminl(a, b); break;
    case FC_MAXIMUM: value = isnan(a) || isnan(b) ? NAN : fmaxl(a, b); break;
    case FC_PRELU: value = a < 0 ? a * b : a; break;
    case FC_POWER: value = powl(a, b); break;
    case FC_EQUAL: return (struct expected){a == b, 0};
    case FC_NOT_EQUAL: return (struct expected){a != b, 0};
    case FC_LESS: return (struct expected){a < b, 0};
    default: return (struct expected){a <= b, 0};
    }
    value = in_range(value, d->y.dtype);
    real bound = 4 * unit_roundoff(d->y.dtype) * fabsl(value) + smallest_normal(d->y.dtype);
    if (d->operation == FC_MINIMUM || d->operation == FC_MAXIMUM) bound = 0;
    return activated(d->y.dtype, d->activation, d->alpha, (struct expected){value, bound});
}

/* The power is off by beta times the errors of its base, and of the logarithm and exponential. */
struct expected oracle_response(const struct scene *scene, const void *desc, const int64_t at[4]) {
    const fc_response_desc *d = desc;
    real sum = 0, x = element(scene, &d->x, at), u = unit_roundoff(d->y.dtype);
    for (int64_t c = at[1] - (d->size - 1) / 2; c <= at[1] + d->size / 2; c++) {
        if (c < 0 || c >= d->x.size[1]) continue;
        real value = tensor_get(scene, &d->x, at[0], c, at[2], at[3]);
        sum += value * value;
    }
    real base = d->bias + d->alpha / (real)d->size * sum, logarithm = d->beta * logl(base);
    real value = x * expl(-logarithm);
    if (isinf(logarithm)) return (struct expected){value, 0};
    real relative = fabsl((real)d->beta) * (real)(d->size + 8) + 8 * fabsl(logarithm) + 16;
    return (struct expected){value, relative * u * fabsl(value) + smallest_normal(d->y.dtype)};
}

struct expected oracle_choose(const struct scene *scene, const void *desc, const int64_t at[4]) {
    const fc_choose_desc *d = desc;
    const fc_tensor *chosen = element(scene, &d->condition, at) != 0 ? &d->a : &d->b;
    return (struct expected){element(scene, chosen, at), 0};
}

struct expected oracle_unary(const struct scene *scene, const void *desc, const int64_t at[4]) {
    const fc_unary_desc *d = desc;
    real x = element(scene, &d->x, at), value = 0;
    switch (d->operation) {
    case FC_NEGATE: value = -x; break;
    case FC_ABSOLUTE: value = fabsl(x); break;
    case FC_RECIPROCAL: value = 1 / x; break;
    case FC_EXP: value = expl(x); break;
    case FC_LOG: value = logl(x); break;
    case FC_SQRT: value = sqrtl(x); break;
    case FC_ERF: value = erfl(x); break;
    case FC_FLOOR: return (struct expected){floorl(x), 0};
    case FC_CEIL: return (struct expected){ceill(x), 0};
    case FC_ROUND: return (struct expected){rintl(x), 0};
    default: return (struct expected){x > 0 ? 1 : x < 0 ? -1 : x, 0};
    }
    value = in_range(value, d->y.dtype);
    real bound = d->operation > FC_ABSOLUTE ? 6 * unit_roundoff(d->y.dtype) * fabsl(value) : 0;
    return (struct expected){value, bound + (bound > 0 ? smallest_normal(d->y.dtype) : 0)};
}

/* ---- reductions ---- */

struct sums {
    real total, magnitude, largest, smallest, product, spread;
    int64_t terms;
    int nan;
};

/* Visits every term that falls into the output element `at`. */
static struct sums gather(const struct scene *scene, const fc_reduce_desc *d, const int64_t at[4],
                          real shift) {
    struct sums s = {.largest = -INFINITY, .smallest = INFINITY, .product = 1};
    int64_t first[4], end[4], i[4];
    for (int a = 0; a < 4; a++) {
        int reduced = d->y.size[a] != d->x.size[a];
        first[a] = reduced ? 0 : at[a];
        end[a] = reduced ? d->x.size[a] : at[a] + 1;
    }
    for (i[0] = first[0]; i[0] < end[0]; i[0]++)
        for (i[1] = first[1]; i[1] < end[1]; i[1]++)
            for (i[2] = first[2]; i[2] < end[2]; i[2]++)
                for (i[3] = first[3]; i[3] < end[3]; i[3]++) {
                    real x = element(scene, &d->x, i), term = x;
                    if (d->operation == FC_L1) term = fabsl(x);
                    if (d->operation == FC_L2 || d->operation == FC_SUM_OF_SQUARES) term = x * x;
                    if (d->operation == FC_LOG_SUM_EXP) {
                        term = expl(x - shift);
                        if (term > 0) s.spread += fabsl(x - shift) * term;
                    }
                    s.total += term;
                    s.magnitude += fabsl(term);
                    s.product *= x;
                    s.nan |= isnan(x);
                    if (x > s.largest) s.largest = x;
                    if (x < s.smallest) s.smallest = x;
                    s.terms++;
                }
    return s;
}

struct expected oracle_reduce(const struct scene *scene, const void *desc, const int64_t at[4]) {
    const fc_reduce_desc *d = desc;
    int32_t dtype = d->y.dtype;
    real shift = 0;
    if (d->operation == FC_LOG_SUM_EXP) {
        shift = gather(scene, d, at, 0).largest;
        if (isinf(shift)) shift = 0;
    }
    struct sums s = gather(scene, d, at, shift);
    if (s.nan) return (struct expected){NAN, 0};
    real u = unit_roundoff(dtype), sum = sum_bound(dtype, s.terms, s.magnitude), value;
    switch (d->operation) {
    case FC_LARGEST: return (struct expected){s.largest, 0};
    case FC_SMALLEST: return (struct expected){s.smallest, 0};
    case FC_PRODUCT:
        return (struct expected){s.product, (real)s.terms * 2 * u * fabsl(s.product) +
                                                (real)s.terms * smallest_normal(dtype)};
    case FC_MEAN:
        value = s.total / (real)s.terms;
        return (struct expected){value, sum / (real)s.terms + 2 * u * fabsl(value)};
    case FC_L2:
        value = sqrtl(s.total);
        return (struct expected){value, (value > 0 ? sum / value : sqrtl(sum)) + 2 * u * value};
    case FC_LOG_SUM:
        value = logl(s.total);
        return (struct expected){value, 2 * sum / fabsl(s.total) + 4 * u * fabsl(value)};
    case FC_LOG_SUM_EXP:
        value = logl(s.total) + shift;
        return (struct expected){value, 2 * (sum + 16 * u * s.total + u * s.spread) / s.total +
                                            4 * u * (fabsl(value) + fabsl(shift))};
    default: return (struct expected){s.total, sum};
    }
}

struct expected oracle_extreme(const struct scene *scene, const void *desc, const int64_t at[4]) {
    const fc_extreme_desc *d = desc;
    int64_t best = 0;
    for (int64_t i = 0; i < d->x.size[1]; i++) {
        real value = tensor_get(scene, &d->x, at[0], i, at[2], at[3]);
        real champion = tensor_get(scene, &d->x, at[0], best, at[2], at[3]);
        if (isnan(value)) return (struct expected){(real)i, 0};
        if (d->smallest ? value < champion : value > champion) best = i;
        if (d->last && value == champion) best = i;
    }
    return (struct expected){(real)best, 0};
}

struct expected oracle_scatter(const struct scene *scene, const void *desc, const int64_t at[4]) {
    const fc_scatter_desc *d = desc;
    const int64_t *size = d->y.size, *of = d->x.size;
    int64_t own = ((at[0] * size[1] + at[1]) * size[2] + at[2]) * size[3] + at[3];
    real value = 0;
    for (int64_t i = 0; i < tensor_count(&d->x); i++) {
        int64_t n = i / of[3] / of[2] / of[1], c = i / of[3] / of[2] % of[1], p = i / of[3] % of[2];
        if (tensor_get(scene, &d->places, n, c, p, i % of[3]) == (real)own)
            value = tensor_get(scene, &d->x, n, c, p, i % of[3]);
    }
    return (struct expected){value, 0};
}
