"""fastconv.h for Cython: the C contract, for `_native.pyx` and for other native code.

Compile with `include_dirs=[fastconv.get_include()]`.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t

cdef extern from "fastconv.h" nogil:
    ctypedef int fc_status
    int FC_OK, FC_ERROR_MEMORY
    int FC_NO_SLOT, FC_MAX_SLOTS
    int FC_POOL_MAX, FC_POOL_AVERAGE
    ctypedef int fc_dtype
    ctypedef struct fc_tensor:
        int32_t slot
        int32_t dtype
        int64_t offset_bytes
        int64_t size[4]
        int64_t stride[4]
    ctypedef struct fc_conv2d_desc:
        fc_tensor x, weight, bias, y
        int64_t stride[2]
        int64_t pad[2]
        int64_t dilation[2]
        int64_t groups
        int64_t shuffle
        int32_t activation, algorithm, weight_is_packed
        double alpha
        int32_t has_addend
        fc_tensor addend
    ctypedef struct fc_volume:
        int32_t slot
        int32_t dtype
        int64_t offset_bytes
        int64_t size[5]
        int64_t stride[5]
    ctypedef struct fc_conv3d_desc:
        fc_volume x, weight, y
        fc_tensor bias
        int64_t stride[3]
        int64_t pad[3]
        int64_t dilation[3]
        int64_t groups
        int32_t activation, algorithm, weight_is_packed, transposed, pad_mode
        double alpha
    ctypedef struct fc_pad_desc:
        fc_volume x, y
        int64_t before[5]
        int32_t mode
        double value
    ctypedef struct fc_linear_desc:
        fc_tensor x
        fc_tensor weight
        fc_tensor bias
        fc_tensor y
        int32_t activation
        double alpha

    ctypedef struct fc_pool2d_desc:
        fc_tensor x, y, indices
        int64_t kernel[2]
        int64_t stride[2]
        int64_t dilation[2]
        int64_t pad[4]
        int64_t divisor_override
        int32_t kind, count_include_pad
    ctypedef struct fc_columns_desc:
        fc_tensor x, columns
        int64_t kernel[2]
        int64_t stride[2]
        int64_t pad[2]
        int64_t dilation[2]
        int64_t output[2]
    ctypedef struct fc_elementwise_desc:
        fc_tensor x, y
        int32_t activation
        double alpha, beta
    ctypedef struct fc_batch_norm_desc:
        fc_tensor x, y, mean, variance, weight, bias
        double epsilon
        int32_t activation
        double alpha
    ctypedef struct fc_resize_desc:
        fc_tensor x, y
        int64_t taps[2]
        const int64_t *index[2]
        const double *weight[2]
    ctypedef struct fc_softmax_desc:
        fc_tensor x, y
        int32_t logarithm
    ctypedef struct fc_local2d_desc:
        fc_tensor x, weight, bias, y
        int64_t kernel[2]
        int64_t stride[2]
        int64_t pad[2]
        int64_t dilation[2]
    ctypedef struct fc_response_desc:
        fc_tensor x, y
        int64_t size
        double alpha, beta, bias
    ctypedef struct fc_copy_desc:
        fc_tensor x, y
    ctypedef struct fc_fill_desc:
        fc_tensor y
        double value
    ctypedef struct fc_binary_desc:
        fc_tensor a, b, y
        int32_t operation, activation
        double alpha
    ctypedef struct fc_choose_desc:
        fc_tensor condition, a, b, y
    ctypedef struct fc_unary_desc:
        fc_tensor x, y
        int32_t operation
    ctypedef struct fc_reduce_desc:
        fc_tensor x, y
        int32_t operation
    ctypedef struct fc_extreme_desc:
        fc_tensor x, y
        int32_t smallest, last
    ctypedef struct fc_scatter_desc:
        fc_tensor x, places, y
    ctypedef struct fc_program:
        pass
    const char *fc_status_message(fc_status status)
    const char *fc_isa_name(int index)
    int fc_isa_supported(const char *name)
    const char *fc_isa_active()
    fc_status fc_isa_select(const char *name)
    uint64_t fc_isa_kernel_calls(const char *name)
    double fc_fma_peak(fc_dtype dtype, double seconds)
    int fc_has_openmp()
    int fc_openmp_max_threads()
    int fc_affinity_cpus()
    int fc_is_forked_child()
    fc_status fc_program_create(fc_program **program)
    void fc_program_destroy(fc_program *program)
    fc_status fc_program_add_conv2d(fc_program *program, const fc_conv2d_desc *desc)
    fc_status fc_program_add_linear(fc_program *program, const fc_linear_desc *desc)
    fc_status fc_program_add_conv2d_pack(fc_program *program, const fc_conv2d_desc *desc,
                                         int32_t slot, int64_t offset_bytes)
    fc_status fc_conv2d_packing(const fc_program *program, const fc_conv2d_desc *desc,
                                int32_t *algorithm, int64_t *packed_bytes)
    fc_status fc_program_add_conv3d(fc_program *program, const fc_conv3d_desc *desc)
    fc_status fc_program_add_conv3d_pack(fc_program *program, const fc_conv3d_desc *desc,
                                         int32_t slot, int64_t offset_bytes)
    fc_status fc_conv3d_packing(const fc_program *program, const fc_conv3d_desc *desc,
                                int32_t *algorithm, int64_t *packed_bytes)
    fc_status fc_program_add_pad(fc_program *program, const fc_pad_desc *desc)
    fc_status fc_program_add_pool2d(fc_program *program, const fc_pool2d_desc *desc)
    fc_status fc_program_add_unfold(fc_program *program, const fc_columns_desc *desc)
    fc_status fc_program_add_fold(fc_program *program, const fc_columns_desc *desc)
    fc_status fc_program_add_elementwise(fc_program *program, const fc_elementwise_desc *desc)
    fc_status fc_program_add_softmax(fc_program *program, const fc_softmax_desc *desc)
    fc_status fc_program_add_batch_norm(fc_program *program, const fc_batch_norm_desc *desc)
    fc_status fc_program_add_resize(fc_program *program, const fc_resize_desc *desc)
    fc_status fc_program_add_local2d(fc_program *program, const fc_local2d_desc *desc)
    fc_status fc_program_add_response(fc_program *program, const fc_response_desc *desc)
    fc_status fc_program_add_copy(fc_program *program, const fc_copy_desc *desc)
    fc_status fc_program_add_fill(fc_program *program, const fc_fill_desc *desc)
    fc_status fc_program_add_binary(fc_program *program, const fc_binary_desc *desc)
    fc_status fc_program_add_choose(fc_program *program, const fc_choose_desc *desc)
    fc_status fc_program_add_unary(fc_program *program, const fc_unary_desc *desc)
    fc_status fc_program_add_reduce(fc_program *program, const fc_reduce_desc *desc)
    fc_status fc_program_add_extreme(fc_program *program, const fc_extreme_desc *desc)
    fc_status fc_program_add_scatter(fc_program *program, const fc_scatter_desc *desc)
    fc_status fc_program_reserve_bytes(fc_program *program, int64_t bytes, int64_t *offset_bytes)
    const char *fc_program_isa(const fc_program *program)
    int fc_program_threads(const fc_program *program, int limit)
    int64_t fc_program_workspace_bytes(const fc_program *program, int num_threads)
    fc_status fc_program_run(const fc_program *program, void *const *slots, int slot_count,
                             void *workspace, int64_t workspace_bytes, int num_threads,
                             int *team_size)
    fc_status fc_program_profile(const fc_program *program, void *const *slots, int slot_count,
                                 void *workspace, int64_t workspace_bytes, int num_threads,
                                 int *team_size, double *step_seconds)
    int64_t fc_program_step_count(const fc_program *program)
