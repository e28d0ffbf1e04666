/* test_status.c: every status, from descriptors and calls that deserve it. Nothing here is run but
 * what must be refused.
 */
#include <stdlib.h>
#include <string.h>

#include "harness.h"

#define HUGE ((int64_t)1 << 40)

static void expect(const char *what, fc_status got, fc_status want) {
    case_begin("%s", what);
    if (got != want) case_fail("%s; expected: %s", fc_status_message(got), fc_status_message(want));
    case_end();
}

/* Contiguous, in a slot of its own that no memory belongs to. */
static fc_tensor view(int slot, int64_t a, int64_t b, int64_t c, int64_t d) {
    return (fc_tensor){.slot = slot, .size = {a, b, c, d}, .stride = {b * c * d, c * d, d, 1}};
}

static fc_conv2d_desc conv2d(void) {
    return (fc_conv2d_desc){.x = view(1, 2, 6, 9, 9),
                            .weight = view(2, 4, 3, 3, 3),
                            .bias = view(3, 4, 1, 1, 1),
                            .y = view(4, 2, 4, 7, 7),
                            .stride = {1, 1},
                            .dilation = {1, 1},
                            .groups = 2};
}
static fc_pool2d_desc pool2d(void) {
    return (fc_pool2d_desc){.x = view(1, 2, 3, 8, 8),
                            .y = view(2, 2, 3, 4, 4),
                            .kernel = {2, 2},
                            .stride = {2, 2},
                            .dilation = {1, 1},
                            .indices = tensor_absent()};
}
static fc_columns_desc columns(void) {
    return (fc_columns_desc){.x = view(1, 2, 3, 5, 5),
                             .columns = view(2, 2, 12, 16, 1),
                             .kernel = {2, 2},
                             .stride = {1, 1},
                             .dilation = {1, 1},
                             .output = {4, 4}};
}
static fc_elementwise_desc elementwise(void) {
    return (fc_elementwise_desc){.x = view(1, 2, 3, 4, 5), .y = view(2, 2, 3, 4, 5)};
}
static fc_softmax_desc softmax(void) {
    return (fc_softmax_desc){.x = view(1, 2, 3, 4, 1), .y = view(2, 2, 3, 4, 1)};
}
static fc_local2d_desc local2d(void) {
    return (fc_local2d_desc){.x = view(1, 2, 3, 5, 5),
                             .weight = view(2, 4, 4, 4, 12),
                             .bias = view(3, 4, 4, 4, 1),
                             .y = view(4, 2, 4, 4, 4),
                             .kernel = {2, 2},
                             .stride = {1, 1},
                             .dilation = {1, 1}};
}

/* OPERATOR(want, change): the status of a good descriptor after a change to it. */
#define OPERATOR(make, type, add, want, change) \
    do { \
        type d = make(); \
        change; \
        fc_program *program = program_new(); \
        expect(#make ": " #change, add(program, &d), want); \
        fc_program_destroy(program); \
    } while (0)
#define CONV2D(want, change) OPERATOR(conv2d, fc_conv2d_desc, fc_program_add_conv2d, want, change)
#define POOL2D(want, change) OPERATOR(pool2d, fc_pool2d_desc, fc_program_add_pool2d, want, change)
#define UNFOLD(want, change) OPERATOR(columns, fc_columns_desc, fc_program_add_unfold, want, change)
#define FOLD(want, change) OPERATOR(columns, fc_columns_desc, fc_program_add_fold, want, change)
#define ELEMENTWISE(want, change) \
    OPERATOR(elementwise, fc_elementwise_desc, fc_program_add_elementwise, want, change)
#define SOFTMAX(want, change) \
    OPERATOR(softmax, fc_softmax_desc, fc_program_add_softmax, want, change)
#define LOCAL2D(want, change) \
    OPERATOR(local2d, fc_local2d_desc, fc_program_add_local2d, want, change)

static void tensors(void) {
    CONV2D(FC_OK, (void)0);
    CONV2D(FC_ERROR_ARGUMENT, d.x.slot = FC_NO_SLOT);
    CONV2D(FC_ERROR_ARGUMENT, d.x.slot = FC_MAX_SLOTS);
    CONV2D(FC_ERROR_ARGUMENT, d.y.slot = -2);
    CONV2D(FC_ERROR_ARGUMENT, d.weight.slot = INT32_MAX);
    CONV2D(FC_ERROR_ARGUMENT, d.bias.slot = INT32_MIN);
    CONV2D(FC_ERROR_UNSUPPORTED, d.x.dtype = -1);
    CONV2D(FC_ERROR_UNSUPPORTED, d.x.dtype = 10);
    CONV2D(FC_ERROR_ARGUMENT, d.x.size[0] = -1);
    CONV2D(FC_ERROR_ARGUMENT, d.y.size[3] = INT64_MIN);
    CONV2D(FC_ERROR_OVERFLOW, d.x.size[0] = d.y.size[0] = INT64_MAX);
    CONV2D(FC_ERROR_OVERFLOW, d.x.size[0] = d.y.size[0] = HUGE);
    CONV2D(FC_ERROR_OVERFLOW, d.x.stride[0] = INT64_MAX);
    CONV2D(FC_ERROR_OVERFLOW, d.x.stride[3] = INT64_MIN);
    CONV2D(FC_ERROR_OVERFLOW, d.y.stride[2] = -HUGE * 256);
    CONV2D(FC_OK, d.x.stride[2] = HUGE);
}

static void depthwise_alike(fc_conv2d_desc *d) {
    d->algorithm = FC_ALGORITHM_DEPTHWISE;
    d->weight.size[1] = 1;
    d->x.size[1] = d->groups;
}

static void pointwise(fc_conv2d_desc *d, int64_t shuffle) {
    d->weight.size[2] = d->weight.size[3] = 1;
    d->shuffle = shuffle;
}

static void convolutions(void) {
    CONV2D(FC_OK, pointwise(&d, 3));
    CONV2D(FC_OK, pointwise(&d, 2); d.stride[0] = d.stride[1] = 1);
    CONV2D(FC_ERROR_ARGUMENT, pointwise(&d, -1));
    CONV2D(FC_ERROR_SHAPE, pointwise(&d, 4));
    CONV2D(FC_ERROR_UNSUPPORTED, d.shuffle = 2);
    CONV2D(FC_ERROR_UNSUPPORTED, pointwise(&d, 2); d.pad[1] = 1);
    CONV2D(FC_ERROR_UNSUPPORTED, pointwise(&d, 2); d.y.size[2] = 10);
    CONV2D(FC_OK, depthwise_alike(&d));
    CONV2D(FC_OK, d.bias = tensor_absent());
    CONV2D(FC_ERROR_UNSUPPORTED, d.x.dtype = FC_FLOAT64);
    CONV2D(FC_ERROR_UNSUPPORTED, d.bias.dtype = FC_FLOAT64);
    CONV2D(FC_ERROR_UNSUPPORTED, d.x.dtype = d.weight.dtype = d.bias.dtype = d.y.dtype = FC_INT8);
    CONV2D(FC_ERROR_UNSUPPORTED, d.activation = -1);
    CONV2D(FC_ERROR_UNSUPPORTED, d.activation = FC_MISH + 1);
    CONV2D(FC_ERROR_UNSUPPORTED, d.algorithm = -1);
    CONV2D(FC_ERROR_UNSUPPORTED, d.algorithm = 99);
    CONV2D(FC_OK, d.algorithm = FC_ALGORITHM_WINOGRAD);
    CONV2D(FC_OK, d.algorithm = FC_ALGORITHM_WINOGRAD_ROWS; d.dilation[1] = 2);
    CONV2D(FC_ERROR_UNSUPPORTED, d.algorithm = FC_ALGORITHM_WINOGRAD_ROWS; d.stride[1] = 2);
    CONV2D(FC_ERROR_UNSUPPORTED, d.algorithm = FC_ALGORITHM_WINOGRAD_ROWS; d.dilation[0] = 2);
    CONV2D(FC_ERROR_UNSUPPORTED, d.algorithm = FC_ALGORITHM_WINOGRAD_ROWS; d.weight.size[2] = 2);
    CONV2D(FC_ERROR_UNSUPPORTED, d.algorithm = FC_ALGORITHM_WINOGRAD; d.stride[0] = 2);
    CONV2D(FC_OK, d.algorithm = FC_ALGORITHM_WINOGRAD | 6 << 8 | 4 << 12);
    CONV2D(FC_ERROR_UNSUPPORTED, d.algorithm = FC_ALGORITHM_WINOGRAD | 9 << 8 | 9 << 12);
    CONV2D(FC_ERROR_UNSUPPORTED, d.algorithm = FC_ALGORITHM_WINOGRAD; d.dilation[1] = 2);
    CONV2D(FC_ERROR_UNSUPPORTED, d.algorithm = FC_ALGORITHM_WINOGRAD; d.weight.size[3] = 2);
    CONV2D(FC_ERROR_UNSUPPORTED, d.algorithm = FC_ALGORITHM_DEPTHWISE);
    CONV2D(FC_ERROR_ARGUMENT, d.groups = 0);
    CONV2D(FC_ERROR_ARGUMENT, d.groups = INT64_MIN);
    CONV2D(FC_ERROR_SHAPE, d.groups = 3);
    CONV2D(FC_ERROR_SHAPE, d.groups = INT64_MAX);
    CONV2D(FC_ERROR_SHAPE, d.x.size[1] = 5);
    CONV2D(FC_ERROR_SHAPE, d.x.size[0] = 1);
    CONV2D(FC_ERROR_SHAPE, d.y.size[1] = 8);
    CONV2D(FC_ERROR_SHAPE, d.bias.size[0] = 3);
    CONV2D(FC_OK, d.has_addend = 1; d.addend = d.y);
    CONV2D(FC_ERROR_SHAPE, d.has_addend = 1; d.addend = d.y; d.addend.size[2]++);
    CONV2D(FC_ERROR_UNSUPPORTED, d.has_addend = 1; d.addend = d.y; d.addend.dtype = FC_FLOAT64);
    CONV2D(FC_ERROR_ARGUMENT, d.has_addend = 1; d.addend = d.y; d.addend.slot = FC_NO_SLOT);
    CONV2D(FC_ERROR_ARGUMENT, d.weight.size[2] = 0);
    CONV2D(FC_ERROR_ARGUMENT, d.stride[0] = 0);
    CONV2D(FC_ERROR_ARGUMENT, d.stride[1] = -1);
    CONV2D(FC_ERROR_ARGUMENT, d.dilation[1] = 0);
    CONV2D(FC_ERROR_ARGUMENT, d.pad[0] = -1);
    CONV2D(FC_ERROR_OVERFLOW, d.pad[1] = INT64_MAX);
    CONV2D(FC_ERROR_OVERFLOW, d.stride[0] = HUGE);
    CONV2D(FC_ERROR_OVERFLOW, d.dilation[0] = HUGE);
    CONV2D(FC_ERROR_OVERFLOW, d.algorithm = FC_ALGORITHM_CHANNELS_LAST;
           d.dilation[0] = d.dilation[1] = (int64_t)1 << 30);
    CONV2D(FC_ERROR_OVERFLOW, depthwise_alike(&d);
           d.dilation[0] = d.dilation[1] = (int64_t)1 << 30);
    CONV2D(FC_ERROR_OVERFLOW, d.algorithm = FC_ALGORITHM_PLANAR;
           d.dilation[0] = d.dilation[1] = (int64_t)1 << 30);
}

static void other_operators(void) {
    POOL2D(FC_OK, (void)0);
    POOL2D(FC_OK, d.x.dtype = d.y.dtype = FC_UINT16);
    POOL2D(FC_ERROR_ARGUMENT, d.kind = 2);
    POOL2D(FC_ERROR_ARGUMENT, d.kernel[0] = 0);
    POOL2D(FC_ERROR_ARGUMENT, d.pad[2] = -1);
    POOL2D(FC_ERROR_ARGUMENT, d.pad[1] = -1);
    POOL2D(FC_ERROR_SHAPE, d.y.size[1] = 2);
    POOL2D(FC_ERROR_UNSUPPORTED, d.y.dtype = FC_FLOAT64);
    POOL2D(FC_ERROR_UNSUPPORTED, d.x.dtype = d.y.dtype = FC_INT32; d.kind = FC_POOL_AVERAGE);
    POOL2D(FC_ERROR_UNSUPPORTED, d.indices = d.y);
    POOL2D(FC_ERROR_UNSUPPORTED, d.indices = d.y; d.indices.dtype = FC_INT64;
           d.kind = FC_POOL_AVERAGE);
    POOL2D(FC_ERROR_SHAPE, d.indices = d.y; d.indices.dtype = FC_INT64; d.indices.size[3] = 3);
    POOL2D(FC_ERROR_OVERFLOW, d.kernel[1] = HUGE);
    POOL2D(FC_OK, d.kernel[1] = d.dilation[1] = (int64_t)1 << 31);
    POOL2D(FC_ERROR_OVERFLOW, d.pad[3] = INT64_MAX);
    UNFOLD(FC_OK, (void)0);
    UNFOLD(FC_ERROR_SHAPE, d.columns.size[1] = 11);
    UNFOLD(FC_ERROR_SHAPE, d.output[0] = -4; d.output[1] = -4);
    UNFOLD(FC_ERROR_SHAPE, d.columns.size[3] = 0);
    UNFOLD(FC_ERROR_ARGUMENT, d.kernel[0] = -2);
    FOLD(FC_OK, (void)0);
    FOLD(FC_ERROR_SHAPE, d.columns.size[2] = 17);
    FOLD(FC_ERROR_UNSUPPORTED, d.x.dtype = d.columns.dtype = FC_INT64);
    ELEMENTWISE(FC_OK, (void)0);
    ELEMENTWISE(FC_ERROR_SHAPE, d.y.size[2] = 5);
    ELEMENTWISE(FC_ERROR_UNSUPPORTED, d.activation = FC_CLAMP + 1);
    ELEMENTWISE(FC_ERROR_UNSUPPORTED, d.x.dtype = d.y.dtype = FC_INT8);
    SOFTMAX(FC_OK, (void)0);
    SOFTMAX(FC_ERROR_SHAPE, d.x.size[3] = d.y.size[3] = 2);
    SOFTMAX(FC_ERROR_SHAPE, d.y.size[0] = 3);
    SOFTMAX(FC_ERROR_UNSUPPORTED, d.x.dtype = FC_FLOAT64);
    LOCAL2D(FC_OK, (void)0);
    LOCAL2D(FC_ERROR_SHAPE, d.weight.size[3] = 13);
    LOCAL2D(FC_ERROR_SHAPE, d.bias.size[2] = 1);
    LOCAL2D(FC_ERROR_SHAPE, d.bias.size[3] = 2);
    LOCAL2D(FC_ERROR_UNSUPPORTED, d.weight.dtype = FC_FLOAT64);
    LOCAL2D(FC_ERROR_ARGUMENT, d.stride[0] = 0);
}

static void packing(void) {
    fc_conv2d_desc d = conv2d();
    fc_program *program = program_new();
    int32_t algorithm = -1;
    int64_t bytes = -1;
    expect("packing: auto", fc_conv2d_packing(program, &d, &algorithm, &bytes), FC_OK);
    expect("packing: what auto stands for",
           algorithm >= FC_ALGORITHM_IM2COL && bytes >= (4 * 27 + 4) * 4 ? FC_OK
                                                                         : FC_ERROR_ARGUMENT,
           FC_OK);
    expect("pack: auto", fc_program_add_conv2d_pack(program, &d, 5, 0), FC_ERROR_ARGUMENT);
    d.algorithm = algorithm;
    expect("pack: slot -1", fc_program_add_conv2d_pack(program, &d, -1, 0), FC_ERROR_ARGUMENT);
    expect("pack: slot 64", fc_program_add_conv2d_pack(program, &d, 64, 0), FC_ERROR_ARGUMENT);
    expect("pack", fc_program_add_conv2d_pack(program, &d, 5, 0), FC_OK);
    d.algorithm = FC_ALGORITHM_WINOGRAD;
    expect("pack: winograd, no tile", fc_program_add_conv2d_pack(program, &d, 5, 0),
           FC_ERROR_UNSUPPORTED);
    d.algorithm |= 6 << 8 | 6 << 12;
    expect("pack: winograd", fc_program_add_conv2d_pack(program, &d, 5, 0), FC_OK);
    d.weight.size[2] = 1;
    expect("pack: winograd of 1x3", fc_program_add_conv2d_pack(program, &d, 5, 0),
           FC_ERROR_UNSUPPORTED);
    d.algorithm = FC_ALGORITHM_DEPTHWISE;
    expect("pack: depthwise of 3 channels", fc_program_add_conv2d_pack(program, &d, 5, 0),
           FC_ERROR_UNSUPPORTED);
    d.algorithm = algorithm;
    d.groups = 3;
    expect("pack: groups", fc_program_add_conv2d_pack(program, &d, 5, 0), FC_ERROR_SHAPE);
    expect("packing: groups", fc_conv2d_packing(program, &d, &algorithm, &bytes), FC_ERROR_SHAPE);
    d = conv2d();
    d.algorithm = FC_ALGORITHM_IM2COL;
    d.weight.size[1] = HUGE;
    memset(d.weight.stride, 0, sizeof d.weight.stride);
    expect("pack: channels", fc_program_add_conv2d_pack(program, &d, 5, 0), FC_ERROR_OVERFLOW);
    fc_program_destroy(program);
}

static void running(void) {
    static _Alignas(FC_WORKSPACE_ALIGNMENT) char workspace[1 << 16];
    fc_elementwise_desc d = elementwise();
    float x[120] = {0}, y[120];
    void *slots[3] = {NULL, x, y};
    d.x.stride[3] = 2; /* no contiguous rows: the step needs scratch */
    d.x.size[0] = d.y.size[0] = 1;
    fc_program *program = program_new();
    expect("elementwise", fc_program_add_elementwise(program, &d), FC_OK);
    int64_t bytes = fc_program_workspace_bytes(program, 2);
    expect("run: no program", fc_program_run(NULL, slots, 3, workspace, bytes, 2, NULL),
           FC_ERROR_ARGUMENT);
    expect("run: no slots", fc_program_run(program, slots, 0, workspace, bytes, 2, NULL),
           FC_ERROR_ARGUMENT);
    expect("run: 65 slots", fc_program_run(program, slots, 65, workspace, bytes, 2, NULL),
           FC_ERROR_ARGUMENT);
    expect("run: no threads", fc_program_run(program, slots, 3, workspace, bytes, 0, NULL),
           FC_ERROR_ARGUMENT);
    expect("run: no workspace", fc_program_run(program, slots, 3, NULL, bytes, 2, NULL),
           FC_ERROR_WORKSPACE);
    expect("run: too small", fc_program_run(program, slots, 3, workspace, bytes - 1, 2, NULL),
           FC_ERROR_WORKSPACE);
    expect("run: not aligned", fc_program_run(program, slots, 3, workspace + 8, bytes, 2, NULL),
           FC_ERROR_WORKSPACE);
    expect("run", fc_program_run(program, slots, 3, workspace, bytes, 2, NULL), FC_OK);
    fc_program_destroy(program);
}

/* A descriptor whose plan needs a table that malloc refuses. */
static void memory(void) {
    int64_t side = (int64_t)1 << 20;
    fc_conv2d_desc d = {.x = view(1, 1, 1, 1, 1),
                        .weight = {.slot = 2, .size = {1, 1, side, side}},
                        .bias = tensor_absent(),
                        .y = view(3, 1, 1, 1, 1),
                        .stride = {1, 1},
                        .dilation = {1, 1},
                        .pad = {side / 2, side / 2},
                        .groups = 1,
                        .algorithm = FC_ALGORITHM_PLANAR};
    char *volatile probe = malloc((size_t)(side * side) * sizeof(ptrdiff_t));
    free(probe);
    if (probe) return; /* this machine promises any amount of memory */
    fc_program *program = program_new();
    expect("8 TiB for a table", fc_program_add_conv2d(program, &d), FC_ERROR_MEMORY);
    fc_program_destroy(program);
}

static void messages(void) {
    case_begin("messages");
    for (int a = FC_OK; a <= FC_ERROR_INDEX; a++)
        for (int b = FC_OK; b < a; b++)
            if (!strcmp(fc_status_message((fc_status)a), fc_status_message((fc_status)b)))
                case_fail("%d and %d say the same", a, b);
    if (!fc_status_message((fc_status)99)[0]) case_fail("99 says nothing");
    for (int dtype = FC_FLOAT32; dtype <= FC_UINT64; dtype++)
        if (fc_dtype_bytes((fc_dtype)dtype) != element_bytes((fc_dtype)dtype))
            case_fail("bytes of %s", dtype_name((fc_dtype)dtype));
    if (fc_dtype_bytes((fc_dtype)10) || fc_dtype_bytes((fc_dtype)-1)) case_fail("bytes of nothing");
    case_end();
}

void suite_status(const struct setting *setting) {
    suite_begin("statuses", setting);
    tensors();
    convolutions();
    other_operators();
    packing();
    running();
    memory();
    messages();
    suite_end();
}
