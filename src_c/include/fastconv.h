/* fastconv.h: the C contract of fastconv.
 *
 * desc -> plan -> program -> run. A descriptor says what is asked; fc_program_add_* decides how
 * (the plan: algorithm, blocking, packed layout, workspace) and appends it as one or more steps;
 * fc_program_run executes all steps in one parallel region. Every operator is a function that
 * thread i of n executes on its own share of the outputs.
 *
 * Memory belongs to the caller: tensors are (slot, offset) pairs into a table of base pointers that
 * is handed to fc_program_run, and so is the workspace. Planning allocates a few hundred bytes per
 * step; running allocates nothing. Nothing here prints, aborts or sets errno: every failure is a
 * status code. A program is immutable once built and may be run by many threads at once, each with
 * a workspace of its own.
 *
 * Letters: N C H W input; K filters; R S filter height and width; P Q output; G groups.
 */
#ifndef FASTCONV_H
#define FASTCONV_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FC_ABI_VERSION 1

typedef enum fc_status {
    FC_OK = 0,
    FC_ERROR_ARGUMENT = 1,    /* a size, stride, pointer or enum outside its range */
    FC_ERROR_SHAPE = 2,       /* shapes that do not fit each other */
    FC_ERROR_OVERFLOW = 3,    /* a product of sizes exceeds the address space */
    FC_ERROR_MEMORY = 4,      /* planning could not allocate */
    FC_ERROR_UNSUPPORTED = 5, /* a dtype, activation or algorithm that this operator lacks */
    FC_ERROR_ISA = 6, /* instruction set unknown, not compiled in, or not run by this machine */
    FC_ERROR_WORKSPACE = 7, /* the workspace is missing or too small */
    FC_ERROR_INDEX = 8      /* an index among the data lies outside of what it points into */
} fc_status;

const char *fc_status_message(fc_status status);

typedef enum fc_dtype {
    FC_FLOAT32 = 0,
    FC_FLOAT64 = 1, /* the two that compute; the others are for max pooling alone */
    FC_INT8 = 2,
    FC_UINT8 = 3,
    FC_INT16 = 4,
    FC_UINT16 = 5,
    FC_INT32 = 6,
    FC_UINT32 = 7,
    FC_INT64 = 8,
    FC_UINT64 = 9
} fc_dtype;

int64_t fc_dtype_bytes(fc_dtype dtype);

/* A strided view of at most four axes. Where it starts: slots[slot] + offset_bytes. */
typedef struct fc_tensor {
    int32_t slot;         /* index into the slots of fc_program_run; FC_NO_SLOT: absent */
    int32_t dtype;        /* fc_dtype */
    int64_t offset_bytes; /* from the slot's base to the element [0][0][0][0] */
    int64_t size[4];      /* for images: n, c, h, w */
    int64_t stride[4];    /* in elements; may be zero (inputs) or negative */
} fc_tensor;

#define FC_NO_SLOT (-1)
#define FC_SLOT_WORKSPACE 0 /* slot 0 is the program's own workspace; callers' slots start at 1 */
#define FC_MAX_SLOTS 64

typedef enum fc_activation {
    FC_IDENTITY = 0,
    FC_RELU = 1,
    FC_RELU6 = 2,
    FC_LEAKY_RELU = 3, /* alpha is the slope below zero */
    FC_HARDSWISH = 4,
    FC_SIGMOID = 5,
    FC_SILU = 6,
    FC_TANH = 7,
    FC_HARDSIGMOID = 8,
    FC_ELU = 9, /* alpha (exp(x) - 1) below zero */
    FC_SELU = 10,
    FC_GELU = 11,      /* x (1 + erf(x / sqrt 2)) / 2 */
    FC_GELU_TANH = 12, /* its approximation by tanh */
    FC_SOFTPLUS = 13, /* log(1 + exp(alpha x)) / alpha; x where alpha x is above beta (fused: 20) */
    FC_MISH = 14,     /* x tanh(log(1 + exp(x))) */
    FC_CLAMP = 15     /* between alpha and beta; in element-wise steps alone */
} fc_activation;

typedef enum fc_algorithm {
    FC_ALGORITHM_AUTO = 0,          /* the planner chooses */
    FC_ALGORITHM_DIRECT = 1,        /* no column matrix in memory: 3, 4 or 6 */
    FC_ALGORITHM_IM2COL = 2,        /* an explicit column matrix, then GEMM */
    FC_ALGORITHM_CHANNELS_LAST = 3, /* direct, vectors along the filters (implicit GEMM) */
    FC_ALGORITHM_PLANAR = 4,        /* direct, vectors along the pixels */
    /* Winograd's: undilated 3x3 filters at strides 1 and 2; 5x5, 1x3, 1x5, 1x7 and their transposes at
     * stride 1. The planner chooses the tile, unless bits 8 to 11 and 12 to 15 name the height and width of its patch of inputs. */
    FC_ALGORITHM_WINOGRAD = 5,
    FC_ALGORITHM_WINOGRAD_ROWS =
        6, /* planar F(4, 3) along columns: three rows, stride 1, dilated in columns at most */
    FC_ALGORITHM_DEPTHWISE = 7 /* direct, one channel a group */
} fc_algorithm;

/* y[n][k][p][q] = act(bias[k] + sum over c, r, s of
 *     x[n][g*C/G + c][p*stride_h + r*dilation_h - pad_h][q*stride_w + s*dilation_w - pad_w] * weight[k][c][r][s]
 *     + addend[n][k][p][q])
 * with g = k / (K/G) and x zero outside the image; the padding at the end follows from P and Q.
 * weight (K, C/G, R, S) and bias (K) of any strides; or, with weight_is_packed, weight.slot and
 * weight.offset_bytes name what fc_program_add_conv2d_pack wrote (bias included).
 * With shuffle s, what is meant by channel c of x is its number c % s * (C / s) + c / s: a channel shuffle
 * that is not carried out. 1x1 filters without padding take it, whatever the algorithm. */
typedef struct fc_conv2d_desc {
    fc_tensor x;      /* n, c, h, w */
    fc_tensor weight; /* k, c/groups, r, s */
    fc_tensor bias;   /* k; slot FC_NO_SLOT: none */
    fc_tensor y;      /* n, k, p, q */
    int64_t stride[2], pad[2], dilation[2];
    int64_t groups;
    int64_t shuffle;    /* 0 or 1: x's channels are read in their order */
    int32_t activation; /* fc_activation */
    int32_t algorithm;  /* fc_algorithm */
    int32_t weight_is_packed;
    double alpha;
    int32_t has_addend;
    fc_tensor addend; /* as y, and may be the same view of the same memory */
} fc_conv2d_desc;

/* What lies around an image: a constant (in convolutions zero), the image mirrored without repeating
 * its edge, its edge repeated, or the image again from the other end. */
typedef enum fc_pad_mode {
    FC_PAD_CONSTANT = 0,
    FC_PAD_REFLECT = 1,
    FC_PAD_REPLICATE = 2,
    FC_PAD_CIRCULAR = 3
} fc_pad_mode;

/* A strided view of five axes, as fc_tensor is of four: n, c, depth, height, width. */
typedef struct fc_volume {
    int32_t slot, dtype;
    int64_t offset_bytes;
    int64_t size[5], stride[5];
} fc_volume;

/* Convolution over three axes, of which lines and images have fewer (size 1, kernel 1):
 * y[n][k][o][p][q] = act(bias[k] + sum over c, t, r, s of x[n][g*C/G + c][o*stride + t*dilation - pad]
 *     [p*stride + ...][q*stride + ...] * weight[k][c][t][r][s])
 * transposed, it is the adjoint of that sum, y being what x was; with weight[c][k][t][r][s], g = c / (C/G):
 * y[n][g*K/G + k][i][..][..] = act(bias + sum over c, t, r, s and all o, p, q with o*stride + t*dilation
 *     - pad = i, ... of x[n][c][o][p][q] * weight[c][k][t][r][s])
 * y may reach beyond what the sums do: it is act(bias) there. Packed weights as in fc_conv2d_desc. */
typedef struct fc_conv3d_desc {
    fc_volume x;
    fc_volume weight; /* k, c/groups, t, r, s; transposed: c, k/groups, t, r, s */
    fc_tensor bias;   /* k; slot FC_NO_SLOT: none */
    fc_volume y;
    int64_t stride[3], pad[3], dilation[3]; /* depth, height, width */
    int64_t groups;
    int32_t activation; /* fc_activation */
    int32_t algorithm;  /* fc_algorithm */
    int32_t weight_is_packed, transposed;
    int32_t pad_mode; /* fc_pad_mode; transposed: FC_PAD_CONSTANT */
    double alpha;
} fc_conv3d_desc;

/* y[i...] = x[i - before...] where that lies inside x, else what the mode says; before may be negative. */
typedef struct fc_pad_desc {
    fc_volume x, y; /* of any axes and dtype */
    int64_t before[5];
    int32_t mode; /* fc_pad_mode */
    double value; /* FC_PAD_CONSTANT's */
} fc_pad_desc;

typedef enum fc_pool_kind { FC_POOL_MAX = 0, FC_POOL_AVERAGE = 1 } fc_pool_kind;

/* Max: y = max over the window's elements inside the image; NaN wins, as in PyTorch.
 * Average: y = sum / divisor, the divisor being divisor_override if that is not 0, else the number
 * of the window's elements inside the image, or inside the padded image with count_include_pad. */
typedef struct fc_pool2d_desc {
    fc_tensor x; /* n, c, h, w */
    fc_tensor y; /* n, c, p, q */
    fc_tensor
        indices; /* int64: h*W + w of the maximum, first among equals; slot FC_NO_SLOT: none */
    int64_t kernel[2], stride[2], dilation[2];
    int64_t pad[4]; /* top, left, bottom, right */
    int64_t divisor_override;
    int32_t kind; /* fc_pool_kind */
    int32_t count_include_pad;
} fc_pool2d_desc;

/* unfold: columns[n][(c*R + r)*S + s][p*Q + q] = x[n][c][p*stride - pad + r*dilation][...], 0 outside.
 * fold: the adjoint: x = sum of the columns that unfold would read there.
 * columns has axes n, c*R*S, p*Q (the fourth is of size 1). */
typedef struct fc_columns_desc {
    fc_tensor x;                                                  /* n, c, h, w */
    fc_tensor columns;                                            /* n, c*R*S, P*Q, 1 */
    int64_t kernel[2], stride[2], pad[2], dilation[2], output[2]; /* output: P, Q */
} fc_columns_desc;

/* y = act(x), element by element, for views of equal size. */
typedef struct fc_elementwise_desc {
    fc_tensor x, y;
    int32_t activation;
    double alpha, beta;
} fc_elementwise_desc;

/* y = exp(x - max) / sum over axis 1, or its logarithm; axes: outer, the softmax's own, inner, 1. */
typedef struct fc_softmax_desc {
    fc_tensor x, y;
    int32_t logarithm;
} fc_softmax_desc;

/* Local response normalization: y[n][c] = x[n][c] / (bias + alpha/size * sum of squares)^beta over the
 * channels from c - (size-1)/2 to c + size/2 that exist; bias > 0, alpha >= 0. */
typedef struct fc_response_desc {
    fc_tensor x, y; /* n, c, h, w */
    int64_t size;
    double alpha, beta, bias;
} fc_response_desc;

/* Convolution with weights of its own at every place:
 * y[n][k][p][q] = bias[k][p][q] + sum over c, r, s of x[...] * weight[k][p][q][(c*R + r)*S + s] */
typedef struct fc_local2d_desc {
    fc_tensor x;      /* n, c, h, w */
    fc_tensor weight; /* k, p, q, c*R*S */
    fc_tensor bias;   /* k, p, q, 1; slot FC_NO_SLOT: none */
    fc_tensor y;      /* n, k, p, q */
    int64_t kernel[2], stride[2], pad[2], dilation[2];
} fc_local2d_desc;

/* y[n][c][..] = act((x[n][c][..] - mean[c]) / sqrt(variance[c] + epsilon) * weight[c] + bias[c]), computed as
 * one multiply-add with factors that are rounded once. */
typedef struct fc_batch_norm_desc {
    fc_tensor x, y;                         /* n, c, h, w */
    fc_tensor mean, variance, weight, bias; /* c, 1, 1, 1; slot FC_NO_SLOT: 0, 1, 1, 0 */
    double epsilon;
    int32_t activation; /* fc_activation */
    double alpha;
} fc_batch_norm_desc;

/* y[n][c][p][q] = sum over i < taps[0], j < taps[1] of weight[0][p*taps[0] + i] * weight[1][q*taps[1] + j]
 *     * x[n][c][index[0][p*taps[0] + i]][index[1][q*taps[1] + j]]
 * The tables are copied; they hold every way of resizing by sums of a few pixels along each axis. */
typedef struct fc_resize_desc {
    fc_tensor x, y; /* n, c, h, w and n, c, p, q */
    int64_t taps[2];
    const int64_t *index[2];
    const double *weight[2];
} fc_resize_desc;

/* y = x, element by element, for views of equal size (an axis that x repeats has stride 0). Where
 * dtypes differ, converted as C does; floating numbers beyond an integer's range saturate, NaN is 0. */
typedef struct fc_copy_desc {
    fc_tensor x, y;
} fc_copy_desc;

/* y = value everywhere, converted likewise. */
typedef struct fc_fill_desc {
    fc_tensor y;
    double value;
} fc_fill_desc;

typedef enum fc_binary {
    FC_ADD = 0,
    FC_SUBTRACT = 1,
    FC_MULTIPLY = 2,
    FC_DIVIDE = 3,
    FC_MINIMUM = 4,
    FC_MAXIMUM = 5,
    FC_PRELU = 6, /* a < 0 ? a * b : a */
    FC_POWER = 7,
    FC_EQUAL = 8, /* from here on y holds FC_UINT8, 1 or 0 */
    FC_NOT_EQUAL = 9,
    FC_LESS = 10,
    FC_LESS_OR_EQUAL = 11
} fc_binary;

/* y = act(a op b), element by element, for views of equal size (repeated axes have stride 0). */
typedef struct fc_binary_desc {
    fc_tensor a, b, y;
    int32_t operation;  /* fc_binary */
    int32_t activation; /* fc_activation; FC_IDENTITY for comparisons */
    double alpha;
} fc_binary_desc;

/* y = condition ? a : b; condition holds FC_UINT8, the others any dtype of 4 or 8 bytes. */
typedef struct fc_choose_desc {
    fc_tensor condition, a, b, y;
} fc_choose_desc;

typedef enum fc_unary {
    FC_NEGATE = 0,
    FC_ABSOLUTE = 1,
    FC_RECIPROCAL = 2,
    FC_EXP = 3,
    FC_LOG = 4,
    FC_SQRT = 5,
    FC_ERF = 6,
    FC_FLOOR = 7,
    FC_CEIL = 8,
    FC_ROUND = 9, /* halves to even */
    FC_SIGN = 10
} fc_unary;

/* y = f(x), element by element, for views of equal size. */
typedef struct fc_unary_desc {
    fc_tensor x, y;
    int32_t operation; /* fc_unary */
} fc_unary_desc;

typedef enum fc_reduction {
    FC_SUM = 0,
    FC_MEAN = 1,
    FC_LARGEST = 2,
    FC_SMALLEST = 3,
    FC_PRODUCT = 4,
    FC_L1 = 5,
    FC_L2 = 6,
    FC_SUM_OF_SQUARES = 7,
    FC_LOG_SUM = 8,
    FC_LOG_SUM_EXP = 9
} fc_reduction;

/* y = the reduction over the axes along which y has size 1; the others have x's sizes. */
typedef struct fc_reduce_desc {
    fc_tensor x, y;
    int32_t operation; /* fc_reduction */
} fc_reduce_desc;

/* y (FC_INT64, size 1 along axis 1) = where x is largest or smallest along axis 1; first NaN wins. */
typedef struct fc_extreme_desc {
    fc_tensor x, y;
    int32_t smallest, last; /* last: the last among equals, not the first */
} fc_extreme_desc;

/* y[places[i]] = x[i] for all i, places (FC_INT64, x's sizes) counting y's elements in C order; zero elsewhere; of equal
 * places the last in C order wins. y dense. A place outside y is an error of the run, and y has the rest. */
typedef struct fc_scatter_desc {
    fc_tensor x, places, y;
} fc_scatter_desc;

/* y[i][k] = act(bias[k] + sum over c of x[i][c] * weight[k][c]), weights read as they lie: for a single
 * use of them. (Packed weights: a convolution.) x (n, c, 1, 1), weight (k, c, 1, 1), bias (k) and y
 * (n, k, 1, 1) contiguous along axis 1; the order of a sum depends on c alone. */
typedef struct fc_linear_desc {
    fc_tensor x, weight;
    fc_tensor bias; /* slot FC_NO_SLOT: none */
    fc_tensor y;
    int32_t activation; /* fc_activation */
    double alpha;
} fc_linear_desc;

/* ---- instruction sets ---- */

/* Names of the instruction sets compiled in, best first; NULL past the end. */
const char *fc_isa_name(int index);
/* 1 if this machine and its operating system run it, 0 if not or unknown. */
int fc_isa_supported(const char *name);
/* The one in use for programs built from now on; forced by name, or chosen anew with NULL. */
const char *fc_isa_active(void);
fc_status fc_isa_select(const char *name);
/* How often kernels of this instruction set have been entered (for tests). */
uint64_t fc_isa_kernel_calls(const char *name);
/* Multiply-adds in registers for about so many seconds on this thread -> 1e9 operations a second. */
double fc_fma_peak(fc_dtype dtype, double seconds);

/* ---- threads ---- */

int fc_has_openmp(void);
/* What OpenMP would use for a region that the calling thread opens now (1 without OpenMP). */
int fc_openmp_max_threads(void);
/* CPUs in this process's affinity mask. */
int fc_affinity_cpus(void);
/* 1 in a child of fork: it runs on the calling thread alone, since teams do not survive fork. */
int fc_is_forked_child(void);

/* ---- programs ---- */

typedef struct fc_program fc_program;

/* An empty program for the active instruction set. */
fc_status fc_program_create(fc_program **program);
void fc_program_destroy(fc_program *program);

fc_status fc_program_add_conv2d(fc_program *program, const fc_conv2d_desc *desc);
/* Packs desc's weight and bias into slots[slot] + offset_bytes, as many bytes as fc_conv2d_packing
 * says. The layout depends on the shape and dtype of weight, groups, instruction set and algorithm
 * (neither AUTO nor DIRECT, Winograd's with its tile), and on nothing else: x, y and the window are not looked at. */
fc_status fc_program_add_conv2d_pack(fc_program *program, const fc_conv2d_desc *desc, int32_t slot,
                                     int64_t offset_bytes);
/* What AUTO, DIRECT or WINOGRAD stands for on this descriptor, with weights packed once for many runs, and the
 * size of those. (A run that must pack its weights counts that in its choice.) */
fc_status fc_conv2d_packing(const fc_program *program, const fc_conv2d_desc *desc,
                            int32_t *algorithm, int64_t *packed_bytes);
/* As the three above. The packed layout depends on stride, dilation and transposed, too. Parts of a
 * convolution that one of Winograd's algorithms does not fit sum directly. */
fc_status fc_program_add_conv3d(fc_program *program, const fc_conv3d_desc *desc);
fc_status fc_program_add_conv3d_pack(fc_program *program, const fc_conv3d_desc *desc, int32_t slot,
                                     int64_t offset_bytes);
fc_status fc_conv3d_packing(const fc_program *program, const fc_conv3d_desc *desc,
                            int32_t *algorithm, int64_t *packed_bytes);
fc_status fc_program_add_pad(fc_program *program, const fc_pad_desc *desc);
fc_status fc_program_add_linear(fc_program *program, const fc_linear_desc *desc);
fc_status fc_program_add_pool2d(fc_program *program, const fc_pool2d_desc *desc);
fc_status fc_program_add_unfold(fc_program *program, const fc_columns_desc *desc);
fc_status fc_program_add_fold(fc_program *program, const fc_columns_desc *desc);
fc_status fc_program_add_elementwise(fc_program *program, const fc_elementwise_desc *desc);
fc_status fc_program_add_softmax(fc_program *program, const fc_softmax_desc *desc);
fc_status fc_program_add_local2d(fc_program *program, const fc_local2d_desc *desc);
fc_status fc_program_add_response(fc_program *program, const fc_response_desc *desc);
fc_status fc_program_add_batch_norm(fc_program *program, const fc_batch_norm_desc *desc);
fc_status fc_program_add_resize(fc_program *program, const fc_resize_desc *desc);
fc_status fc_program_add_copy(fc_program *program, const fc_copy_desc *desc);
fc_status fc_program_add_fill(fc_program *program, const fc_fill_desc *desc);
fc_status fc_program_add_binary(fc_program *program, const fc_binary_desc *desc);
fc_status fc_program_add_choose(fc_program *program, const fc_choose_desc *desc);
fc_status fc_program_add_unary(fc_program *program, const fc_unary_desc *desc);
fc_status fc_program_add_reduce(fc_program *program, const fc_reduce_desc *desc);
fc_status fc_program_add_extreme(fc_program *program, const fc_extreme_desc *desc);
fc_status fc_program_add_scatter(fc_program *program, const fc_scatter_desc *desc);

/* Room in the workspace for what one step writes and another reads -> its offset in slot 0. */
fc_status fc_program_reserve_bytes(fc_program *program, int64_t bytes, int64_t *offset_bytes);

/* Name of the instruction set that the program was planned for. */
const char *fc_program_isa(const fc_program *program);
/* The number of threads that pay for themselves on this program, at most limit. */
int fc_program_threads(const fc_program *program, int limit);
/* Workspace for num_threads threads; FC_WORKSPACE_ALIGNMENT is its alignment. */
int64_t fc_program_workspace_bytes(const fc_program *program, int num_threads);
#define FC_WORKSPACE_ALIGNMENT 64

int64_t fc_program_step_count(const fc_program *program);

/* slots[1 .. slot_count-1] are the callers' base pointers; slots[0] is ignored. Returns the number
 * of threads that ran through team_size (may be NULL). */
fc_status fc_program_run(const fc_program *program, void *const *slots, int slot_count,
                         void *workspace, int64_t workspace_bytes, int num_threads, int *team_size);
/* The same; step_seconds (may be NULL) receives how long each step took, waiting for the slowest
 * thread included. */
fc_status fc_program_profile(const fc_program *program, void *const *slots, int slot_count,
                             void *workspace, int64_t workspace_bytes, int num_threads,
                             int *team_size, double *step_seconds);

#ifdef __cplusplus
}
#endif

#endif
