/* harness.h: what the native tests share. They know fastconv.h and nothing else of fastconv.
 *
 * A case is one descriptor run once. Its tensors lie in a `scene`: one guarded mapping per slot, so
 * that an element past the end (or before the beginning) is a crash, inputs are read-only, and what
 * an operator must not write is checked to be untouched. The oracles compute single output elements
 * with plain loops over the descriptor, together with the error that rounding may cause.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <stddef.h>
#include <stdint.h>

#include "fastconv.h"

/* At least 64 bits of mantissa: every value of every dtype, exactly. */
typedef long double real;

#define NO_DTYPE ((fc_dtype) - 1) /* suites that choose their own */

struct setting {
    const char *isa;
    fc_dtype dtype;
    int small; /* fewer cases: emulated processors are slow */
};

/* ---- report.c: counting and naming ---- */

void suite_begin(const char *name, const struct setting *setting);
void suite_end(void);
/* Names the case in hand, for failures and crashes. */
void case_begin(const char *format, ...) __attribute__((format(printf, 1, 2)));
void case_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int case_failed(void);
void case_end(void);
/* Prints 'N passed, N failed' -> the exit status. */
int report_close(void);
void report_crashes(void);
const char *dtype_name(fc_dtype dtype);

/* ---- random.c: reproducible numbers ---- */

struct random {
    uint64_t state;
};

uint64_t random_bits(struct random *random);
int64_t random_range(struct random *random, int64_t low, int64_t high); /* both included */
double random_unit(struct random *random);                              /* [-1, 1) */
int64_t random_choice(struct random *random, const int64_t *values, size_t count);
/* Threads for a case: mostly one, for teams cost time. */
int random_team(struct random *random);
#define RANDOM_OF(random, values) \
    random_choice(random, values, sizeof(values) / sizeof((values)[0]))

/* ---- scene.c: guarded memory ---- */

struct scene {
    void *slots[FC_MAX_SLOTS]; /* slot 0 stays NULL: it is the workspace */
    int64_t bytes[FC_MAX_SLOTS];
    char *mapping[FC_MAX_SLOTS];
    size_t mapped[FC_MAX_SLOTS];
    int count; /* slots in use, slot 0 included */
    struct random random;
};

void scene_open(struct scene *scene, uint64_t seed);
void scene_close(struct scene *scene);
/* A slot of so many bytes, of 0xA5, that ends (mostly) or begins at a guard page. */
int scene_slot(struct scene *scene, int64_t bytes);
void scene_protect(struct scene *scene, int slot); /* from now on read-only */

struct guarded {
    char *base, *mapping;
    size_t mapped;
};
struct guarded guarded_open(int64_t bytes, int at_end);
void guards_readable(void); /* from now on guard pages stop writes alone */
void guarded_close(const struct guarded *guarded);

/* ---- tensor.c: views and their elements ---- */

enum layout {
    LAYOUT_NCHW,
    LAYOUT_NHWC,
    LAYOUT_REVERSED,      /* NCHW, all strides negative */
    LAYOUT_GAPS,          /* NCHW, padded rows, planes and images */
    LAYOUT_STEPS,         /* NCHW, every second element */
    LAYOUT_NHWC_WIDE,     /* NHWC, pixels further apart than there are channels */
    LAYOUT_NHWC_REVERSED, /* NHWC, rows and columns backwards */
    LAYOUT_NWCH,          /* columns before channels before rows */
    LAYOUT_COUNT,
    LAYOUT_BROADCAST = LAYOUT_COUNT, /* inputs: one image for all */
    LAYOUT_INPUT_COUNT
};

fc_tensor tensor_make(struct scene *scene, enum layout layout, fc_dtype dtype, int64_t a, int64_t b,
                      int64_t c, int64_t d);
fc_tensor tensor_absent(void);
/* In [-1, 1); integers of any bits. */
void tensor_fill(struct scene *scene, const fc_tensor *t);
/* One of few values, so that maxima tie; now and then NaN. */
void tensor_fill_ties(struct scene *scene, const fc_tensor *t, int nan);
void tensor_set(const struct scene *scene, const fc_tensor *t, const int64_t at[4], real value);
real tensor_get(const struct scene *scene, const fc_tensor *t, int64_t a, int64_t b, int64_t c,
                int64_t d);
/* The whole slot: NaN for floating dtypes, 0xA5 for integers. */
void tensor_poison(struct scene *scene, const fc_tensor *t);
/* Whether every element lies inside its slot, and whether no two share a place. */
int tensor_fits(const struct scene *scene, const fc_tensor *t);
int tensor_distinct(const fc_tensor *t);
int64_t tensor_count(const fc_tensor *t);
/* The case in hand fails if something besides t's elements was written in a poisoned slot. */
void tensor_check_gaps(const struct scene *scene, const fc_tensor *t);
int64_t element_bytes(fc_dtype dtype);

/* ---- oracle_*.c: one element of the output, by plain loops ---- */

struct expected {
    real value, bound; /* |got - value| <= bound; NaN wants NaN */
};

typedef struct expected (*oracle_fn)(const struct scene *scene, const void *desc,
                                     const int64_t at[4]);

struct expected oracle_conv2d(const struct scene *scene, const void *desc, const int64_t at[4]);
struct expected oracle_pool2d(const struct scene *scene, const void *desc, const int64_t at[4]);
struct expected oracle_pool2d_index(const struct scene *scene, const void *desc,
                                    const int64_t at[4]);
struct expected oracle_unfold(const struct scene *scene, const void *desc, const int64_t at[4]);
struct expected oracle_fold(const struct scene *scene, const void *desc, const int64_t at[4]);
struct expected oracle_elementwise(const struct scene *scene, const void *desc,
                                   const int64_t at[4]);
struct expected oracle_softmax(const struct scene *scene, const void *desc, const int64_t at[4]);
struct expected oracle_local2d(const struct scene *scene, const void *desc, const int64_t at[4]);

struct expected oracle_copy(const struct scene *scene, const void *desc, const int64_t at[4]);
struct expected oracle_fill(const struct scene *scene, const void *desc, const int64_t at[4]);
struct expected oracle_binary(const struct scene *scene, const void *desc, const int64_t at[4]);
struct expected oracle_response(const struct scene *scene, const void *desc, const int64_t at[4]);
struct expected oracle_choose(const struct scene *scene, const void *desc, const int64_t at[4]);
struct expected oracle_unary(const struct scene *scene, const void *desc, const int64_t at[4]);
struct expected oracle_reduce(const struct scene *scene, const void *desc, const int64_t at[4]);
struct expected oracle_extreme(const struct scene *scene, const void *desc, const int64_t at[4]);
struct expected oracle_scatter(const struct scene *scene, const void *desc, const int64_t at[4]);

real unit_roundoff(int32_t dtype);   /* half the distance from 1 to the next number */
real smallest_normal(int32_t dtype); /* what is smaller may count as zero */
/* A sum of `terms` products, their absolute values adding up to `magnitude`, in any order. */
real sum_bound(int32_t dtype, int64_t terms, real magnitude);
static inline int winograd_algorithm(int32_t algorithm) {
    return (algorithm & 0xff) == FC_ALGORITHM_WINOGRAD;
}
/* The bound for a convolution by Winograd, its tile named, bias and activation left out. */
real winograd_bound(const struct scene *scene, const fc_conv2d_desc *d, const int64_t at[4]);
real winograd_rows_bound(const struct scene *scene, const fc_conv2d_desc *d, const int64_t at[4]);
/* The largest of what AUTO may stand for where weights are not packed. */
real automatic_bound(const struct scene *scene, const fc_conv2d_desc *d, const int64_t at[4]);
/* act(x) for an x known up to its bound. */
struct expected activated(int32_t dtype, int32_t activation, real alpha, struct expected x);

/* ---- execute.c: run and compare ---- */

/* What all of y must become; made before the run, since y may share memory with an input. */
struct expected *expect_all(const struct scene *scene, const void *desc, const fc_tensor *y,
                            oracle_fn oracle);
/* The case in hand fails where y differs; frees `expected`. */
void compare_all(const struct scene *scene, const fc_tensor *y, struct expected *expected);

fc_program *program_new(void);
/* Runs with a poisoned, guarded workspace; the case in hand fails on any error. */
void execute(const struct scene *scene, const fc_program *program, int threads);

struct output {
    const fc_tensor *tensor;
    oracle_fn oracle;
    const void *desc; /* what the oracle looks at */
};
typedef fc_status (*add_fn)(fc_program *program, const void *desc);

/* A whole program of one step: outputs poisoned, all other slots read-only, run, compared. */
void run_step(struct scene *scene, add_fn add, const void *desc, const struct output *outputs,
              int count, int threads);

/* ---- the suites ---- */

void suite_isa(const struct setting *setting);
void suite_conv2d(const struct setting *setting);
void suite_conv2d_edges(const struct setting *setting);
void suite_conv2d_values(const struct setting *setting);
void suite_pool2d(const struct setting *setting);
void suite_pool2d_integers(const struct setting *setting);
void suite_columns(const struct setting *setting);
void suite_elementwise(const struct setting *setting);
void suite_softmax(const struct setting *setting);
void suite_local2d(const struct setting *setting);
void suite_volume(const struct setting *setting);
void suite_pad(const struct setting *setting);
void suite_images(const struct setting *setting);
void suite_programs(const struct setting *setting);
void suite_threads(const struct setting *setting);
void suite_status(const struct setting *setting);
void suite_copies(const struct setting *setting);
void suite_binary(const struct setting *setting);
void suite_unary(const struct setting *setting);
void suite_response(const struct setting *setting);
void suite_reduce(const struct setting *setting);
void suite_scatter(const struct setting *setting);
void suite_graph_status(const struct setting *setting);
void suite_fuzz(const struct setting *setting);

#endif
