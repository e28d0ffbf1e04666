/* tensor.c: views of many layouts, and their elements one by one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

/* Axes from outermost to innermost; spare elements after each; which run backwards. */
static const struct shape_of_layout {
    int order[4];
    int64_t spare[4]; /* after one run of the axis, by its place in `order` */
    int64_t step;     /* between neighbours on the innermost axis */
    unsigned backwards;
    unsigned broadcast;
} layouts[] = {
    [LAYOUT_NCHW] = {{0, 1, 2, 3}, {0, 0, 0, 0}, 1, 0, 0},
    [LAYOUT_NHWC] = {{0, 2, 3, 1}, {0, 0, 0, 0}, 1, 0, 0},
    [LAYOUT_REVERSED] = {{0, 1, 2, 3}, {0, 0, 0, 0}, 1, 15, 0},
    [LAYOUT_GAPS] = {{0, 1, 2, 3}, {0, 7, 1, 3}, 1, 0, 0},
    [LAYOUT_STEPS] = {{0, 1, 2, 3}, {0, 0, 0, 0}, 2, 0, 0},
    [LAYOUT_NHWC_WIDE] = {{0, 2, 3, 1}, {0, 5, 0, 6}, 1, 0, 0},
    [LAYOUT_NHWC_REVERSED] = {{0, 2, 3, 1}, {0, 0, 0, 0}, 1, 12, 0},
    [LAYOUT_NWCH] = {{0, 3, 1, 2}, {0, 0, 0, 0}, 1, 0, 0},
    [LAYOUT_BROADCAST] = {{0, 1, 2, 3}, {0, 0, 0, 0}, 1, 0, 1},
};

int64_t element_bytes(fc_dtype dtype) {
    switch (dtype) {
    case FC_INT8:
    case FC_UINT8: return 1;
    case FC_INT16:
    case FC_UINT16: return 2;
    case FC_FLOAT32:
    case FC_INT32:
    case FC_UINT32: return 4;
    default: return 8;
    }
}

int64_t tensor_count(const fc_tensor *t) {
    return t->size[0] * t->size[1] * t->size[2] * t->size[3];
}

fc_tensor tensor_absent(void) { return (fc_tensor){.slot = FC_NO_SLOT}; }

fc_tensor tensor_make(struct scene *scene, enum layout layout, fc_dtype dtype, int64_t a, int64_t b,
                      int64_t c, int64_t d) {
    const struct shape_of_layout *shape = &layouts[layout];
    fc_tensor t = {.dtype = dtype, .size = {a, b, c, d}};
    int64_t next = shape->step, last = 0, first = 0;
    for (int place = 3; place >= 0; place--) {
        int axis = shape->order[place];
        if (shape->broadcast >> axis & 1) continue;
        t.stride[axis] = next;
        if (t.size[axis] > 1) last += (t.size[axis] - 1) * next;
        next = next * t.size[axis] + shape->spare[place];
        if (shape->backwards >> axis & 1) {
            first += t.size[axis] > 1 ? (t.size[axis] - 1) * t.stride[axis] : 0;
            t.stride[axis] = -t.stride[axis];
        }
    }
    int64_t elements = tensor_count(&t) == 0 ? 0 : last + 1;
    t.slot = scene_slot(scene, elements * element_bytes(dtype));
    t.offset_bytes = elements ? first * element_bytes(dtype) : 0;
    return t;
}

static char *address(const struct scene *scene, const fc_tensor *t, int64_t a, int64_t b, int64_t c,
                     int64_t d) {
    int64_t element = a * t->stride[0] + b * t->stride[1] + c * t->stride[2] + d * t->stride[3];
    return (char *)scene->slots[t->slot] + t->offset_bytes +
           element * element_bytes((fc_dtype)t->dtype);
}

real tensor_get(const struct scene *scene, const fc_tensor *t, int64_t a, int64_t b, int64_t c,
                int64_t d) {
    const char *p = address(scene, t, a, b, c, d);
    switch (t->dtype) {
#define ELEMENT(dtype, type) \
    case dtype: { \
        type value; \
        memcpy(&value, p, sizeof value); \
        return (real)value; \
    }
        ELEMENT(FC_FLOAT32, float)
        ELEMENT(FC_FLOAT64, double)
        ELEMENT(FC_INT8, int8_t)
        ELEMENT(FC_UINT8, uint8_t)
        ELEMENT(FC_INT16, int16_t)
        ELEMENT(FC_UINT16, uint16_t)
        ELEMENT(FC_INT32, int32_t)
        ELEMENT(FC_UINT32, uint32_t)
        ELEMENT(FC_INT64, int64_t)
        ELEMENT(FC_UINT64, uint64_t)
#undef ELEMENT
    }
    return NAN;
}

void tensor_set(const struct scene *scene, const fc_tensor *t, const int64_t at[4], real value) {
    char *p = address(scene, t, at[0], at[1], at[2], at[3]);
    if (t->dtype == FC_FLOAT32) {
        float f = (float)value;
        memcpy(p, &f, sizeof f);
    } else if (t->dtype == FC_FLOAT64) {
        double f = (double)value;
        memcpy(p, &f, sizeof f);
    } else {
        int64_t i = (int64_t)value; /* little endian: the lower bytes come first */
        memcpy(p, &i, (size_t)element_bytes((fc_dtype)t->dtype));
    }
}

/* at += 1 in the last axis, with carry -> 0 past the end. */
static int advance(const fc_tensor *t, int64_t at[4]) {
    for (int a = 3; a >= 0; a--) {
        if (++at[a] < t->size[a]) return 1;
        at[a] = 0;
    }
    return 0;
}

void tensor_fill(struct scene *scene, const fc_tensor *t) {
    if (tensor_count(t) == 0) return;
    int64_t at[4] = {0};
    do {
        if (t->dtype <= FC_FLOAT64) {
            tensor_set(scene, t, at, random_unit(&scene->random));
        } else {
            uint64_t bits = random_bits(&scene->random);
            memcpy(address(scene, t, at[0], at[1], at[2], at[3]), &bits,
                   (size_t)element_bytes((fc_dtype)t->dtype));
        }
    } while (advance(t, at));
}

void tensor_fill_ties(struct scene *scene, const fc_tensor *t, int nan) {
    if (tensor_count(t) == 0) return;
    int64_t at[4] = {0};
    do {
        real value = (real)random_range(&scene->random, -3, 3);
        if (nan && random_range(&scene->random, 0, 9) == 0)
            value = random_range(&scene->random, 0, 2) ? NAN : -INFINITY;
        tensor_set(scene, t, at, value);
    } while (advance(t, at));
}

/* ---- what must stay untouched ---- */

static void poison(char *p, int64_t bytes, fc_dtype dtype) {
    static const uint32_t nan32 = UINT32_C(0x7FC5A5A5);
    static const uint64_t nan64 = UINT64_C(0x7FF8A5A5A5A5A5A5);
    memset(p, 0xA5, (size_t)bytes);
    if (dtype == FC_FLOAT32)
        for (int64_t i = 0; i + 4 <= bytes; i += 4) memcpy(p + i, &nan32, 4);
    if (dtype == FC_FLOAT64)
        for (int64_t i = 0; i + 8 <= bytes; i += 8) memcpy(p + i, &nan64, 8);
}

void tensor_poison(struct scene *scene, const fc_tensor *t) {
    poison(scene->slots[t->slot], scene->bytes[t->slot], (fc_dtype)t->dtype);
}

void tensor_check_gaps(const struct scene *scene, const fc_tensor *t) {
    int64_t bytes = scene->bytes[t->slot], size = element_bytes((fc_dtype)t->dtype);
    if (tensor_count(t) == 0 || bytes == tensor_count(t) * size) return;
    char *mine = calloc(1, (size_t)bytes), *fresh = malloc((size_t)bytes);
    poison(fresh, bytes, (fc_dtype)t->dtype);
    int64_t at[4] = {0};
    const char *base = scene->slots[t->slot];
    do memset(mine + (address(scene, t, at[0], at[1], at[2], at[3]) - base), 1, (size_t)size);
    while (advance(t, at));
    for (int64_t i = 0; i < bytes; i++)
        if (!mine[i] && base[i] != fresh[i]) {
            case_fail("byte %lld between the outputs was written", (long long)i);
            break;
        }
    free(mine);
    free(fresh);
}

/* ---- descriptors that came from a fuzzer ---- */

__extension__ typedef __int128 wide;

int tensor_fits(const struct scene *scene, const fc_tensor *t) {
    if (t->slot < 1 || t->slot >= scene->count) return 0;
    if (tensor_count(t) == 0)
        return t->offset_bytes >= 0 && t->offset_bytes <= scene->bytes[t->slot];
    wide low = t->offset_bytes, high = low, size = element_bytes((fc_dtype)t->dtype);
    for (int a = 0; a < 4; a++) {
        wide far = (wide)(t->size[a] - 1) * t->stride[a] * size;
        if (far < 0) low += far;
        if (far > 0) high += far;
    }
    return low >= 0 && high + size <= scene->bytes[t->slot] && low % size == 0;
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int tensor_distinct(const fc_tensor *t) {
    int64_t count = tensor_count(t), n = 0, at[4] = {0};
    if (count == 0) return 1;
    int64_t *places = malloc((size_t)count * sizeof *places);
    do
        places[n++] = at[0] * t->stride[0] + at[1] * t->stride[1] + at[2] * t->stride[2] +
                      at[3] * t->stride[3];
    while (advance(t, at));
    qsort(places, (size_t)count, sizeof *places, ascending);
    int distinct = 1;
    for (int64_t i = 1; i < count; i++) distinct &= places[i] != places[i - 1];
    free(places);
    return distinct;
}
