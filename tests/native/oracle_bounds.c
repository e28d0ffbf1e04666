/* oracle_bounds.c: what rounding may do, from the usual error analysis (Higham, Accuracy and
 * Stability of Numerical Algorithms, chapters 3 and 4), with u the unit roundoff.
 */
#include <float.h>
#include <math.h>

#include "harness.h"

real unit_roundoff(int32_t dtype) { return (dtype == FC_FLOAT32 ? FLT_EPSILON : DBL_EPSILON) / 2; }

real smallest_normal(int32_t dtype) { return dtype == FC_FLOAT32 ? FLT_MIN : DBL_MIN; }

/* Every product and partial sum is off by a factor 1 + u at most, and may have been flushed to zero:
 * |error| <= (terms + 2) u magnitude to first order; 2 % cover the higher orders. */
real sum_bound(int32_t dtype, int64_t terms, real magnitude) {
    real n = (real)terms + 2;
    return n * 1.02L * unit_roundoff(dtype) * magnitude + 4 * n * smallest_normal(dtype);
}

static real sigmoid(real x) { return 1 / (1 + expl(-x)); }

/* Relative errors in u of what is computed in floating point: exp 6 (reduction 1, polynomial 4,
 * scaling 1), hence sigmoid 6 + 2, silu one product more; hardswish three operations and a sum. */
struct expected activated(int32_t dtype, int32_t activation, real alpha, struct expected x) {
    real v = x.value, u = unit_roundoff(dtype), tiny = 2 * smallest_normal(dtype);
    switch (activation) {
    case FC_RELU: return (struct expected){v < 0 ? 0 : v, x.bound};
    case FC_RELU6: return (struct expected){v < 0 ? 0 : v > 6 ? 6 : v, x.bound};
    case FC_LEAKY_RELU: {
        real y = v < 0 ? alpha * v : v;
        return (struct expected){y, fmaxl(1, fabsl(alpha)) * x.bound + 2 * u * fabsl(y) + tiny};
    }
    case FC_HARDSWISH: {
        real gate = v + 3 < 0 ? 0 : v + 3 > 6 ? 6 : v + 3;
        real y = isnan(v) ? v : v * gate / 6;
        return (struct expected){y, 1.5L * x.bound + 4 * u * fabsl(y) + tiny};
    }
    case FC_SIGMOID: {
        real y = sigmoid(v);
        return (struct expected){y, 0.25L * x.bound + 8 * u * y + tiny};
    }
    case FC_SILU: {
        real y = v * sigmoid(v);
        return (struct expected){y, 1.1L * x.bound + 9 * u * fabsl(y) + tiny * (1 + fabsl(v))};
    }
    case FC_TANH: {
        real y = tanhl(v);
        return (struct expected){y, x.bound + 8 * u * fabsl(y) + tiny};
    }
    case FC_HARDSIGMOID: {
        real y = isnan(v) ? v : (v + 3 < 0 ? 0 : v + 3 > 6 ? 6 : v + 3) / 6;
        return (struct expected){y, x.bound / 6 + 4 * u * (fabsl(y) + 0.5L) + tiny};
    }
    case FC_ELU:
    case FC_SELU: {
        real scale = activation == FC_SELU ? 1.0507009873554804934193349852946L : 1;
        real factor = activation == FC_SELU ? 1.6732632423543772848170429916717L : alpha;
        real y = scale * (v > 0 ? v : factor * expm1l(v));
        real slope = scale * fmaxl(1, fabsl(factor));
        return (struct expected){y, slope * x.bound + 8 * u * fabsl(y) + 2 * tiny};
    }
    case FC_GELU: { /* without fma the exponent's error grows with its size */
        real y = v * erfcl(-v / sqrtl(2)) / 2, spread = fminl(v * v, 200);
        return (struct expected){y, 1.2L * x.bound + (12 + spread) * u * fabsl(y) +
                                        tiny * (1 + fabsl(v))};
    }
    case FC_GELU_TANH: {
        real w = sqrtl(8 / acosl(-1)) * (v + 0.044715L * v * v * v), y = v * sigmoid(w);
        real spread = fminl(fabsl(w), 800);
        return (struct expected){y, 1.2L * x.bound + (12 + 6 * spread) * u * fabsl(y) +
                                        tiny * (1 + fabsl(v))};
    }
    case FC_SOFTPLUS: {
        real w = alpha * v, y = w > 20 ? v : (fmaxl(w, 0) + log1pl(expl(-fabsl(w)))) / alpha;
        real jump = fabsl(w - 20) < 1 ? 3e-9L / fabsl(alpha) : 0; /* either side of the threshold */
        return (struct expected){y, x.bound + (8 + 2 * fminl(fabsl(w), 800)) * u * fabsl(y) + jump +
                                        tiny * (1 + 1 / fabsl(alpha))};
    }
    case FC_MISH: {
        real y = v * tanhl(v > 0 ? v + log1pl(expl(-v)) : log1pl(expl(v)));
        return (struct expected){y, 1.2L * x.bound + 12 * u * fabsl(y) + tiny * (1 + fabsl(v))};
    }
    }
    return x;
}
