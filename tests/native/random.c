/* random.c: splitmix64 (Steele, Lea and Flood, 2014): the same numbers everywhere. */
#include "harness.h"

uint64_t random_bits(struct random *random) {
    uint64_t z = random->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

int64_t random_range(struct random *random, int64_t low, int64_t high) {
    return low + (int64_t)(random_bits(random) % (uint64_t)(high - low + 1));
}

double random_unit(struct random *random) {
    return (double)(random_bits(random) >> 11) * 0x1p-52 - 1;
}

int random_team(struct random *random) {
    int64_t draw = random_range(random, 1, 8);
    return draw <= 3 ? (int)draw : 1;
}

int64_t random_choice(struct random *random, const int64_t *values, size_t count) {
    return values[random_bits(random) % count];
}
