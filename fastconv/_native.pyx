"""Transcription of fastconv.h and thin calls with the GIL released; no arithmetic on tensors."""

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free
from libc.string cimport memset

import contextvars

import numpy as np
cimport numpy as cnp
from fastconv.cfastconv cimport *

cnp.import_array()

cdef extern from "Python.h":
    int PyContextVar_Get(object var, PyObject *default, PyObject **value) except -1

cdef extern from *:
    """
    #include <stdlib.h>
    #include <sys/mman.h>
    static __thread int last_team_size = 0;
    #ifdef __clang__
    #define COMPILER "clang " __clang_version__
    #else
    #define COMPILER "gcc " __VERSION__
    #endif
    static void *allocate_pages(size_t bytes) {
        void *p = NULL;
        size_t alignment = bytes >= ((size_t)2 << 20) ? (size_t)2 << 20 : 4096;
        if (posix_memalign(&p, alignment, bytes)) return NULL;
    #ifdef MADV_HUGEPAGE
        if (alignment > 4096) madvise(p, bytes, MADV_HUGEPAGE);
    #endif
        return p;
    }
    """
    int last_team_size
    const char *COMPILER
    void *allocate_pages(size_t bytes) nogil


cdef int check(fc_status status) except -1:
    """Turn a status into an exception; functional.py has checked what users get wrong before."""
    if status == FC_OK:
        return 0
    message = fc_status_message(status).decode()
    if status == FC_ERROR_MEMORY:
        raise MemoryError(message)
    raise ValueError(message)


include "_memory.pxi"
include "_machine.pxi"


# ---- programs

cdef int dtype_codes[24]  # fc_dtype of NumPy's type numbers; -1: none


cdef void fill_dtype_codes():
    # several type numbers (int, long, long long) may be the same kind and size
    codes = {("f", 4): 0, ("f", 8): 1, ("i", 1): 2, ("u", 1): 3, ("i", 2): 4, ("u", 2): 5,
             ("i", 4): 6, ("u", 4): 7, ("i", 8): 8, ("u", 8): 9, ("b", 1): 3}
    for typenum in range(24):
        descr = <object>cnp.PyArray_DescrFromType(typenum)
        dtype_codes[typenum] = codes.get((descr.kind, descr.itemsize), -1)


fill_dtype_codes()


cdef int dtype_of(int typenum) noexcept:
    return dtype_codes[typenum] if 0 <= typenum < 24 else -1


def has_dtype(int typenum):
    """Whether arrays of this NumPy type number can be pooled."""
    return dtype_of(typenum) >= 0 and typenum != cnp.NPY_BOOL


cdef object key_of(cnp.ndarray array):
    return cnp.PyArray_TYPE(array), (<object>array).shape, (<object>array).strides


def describe(array, str name):
    """An array fit to be read -> (array, (type number, shape, strides)).

    Unaligned and byte-swapped arrays, and those whose strides split elements, are copied first.

    Raises
    ------
    TypeError
        If `array` is not a NumPy array.
    """
    cdef cnp.ndarray a
    cdef int axis
    if isinstance(array, np.generic):  # what NumPy makes of results without axes
        array = np.asarray(array)
    if not isinstance(array, cnp.ndarray):
        raise TypeError(f"{name}: expected a NumPy array, got {type(array).__name__}")
    a = array
    if not cnp.PyArray_ISBEHAVED_RO(a):
        a = a.astype(a.dtype.newbyteorder("="), order="C", subok=False)
        return a, key_of(a)
    for axis in range(cnp.PyArray_NDIM(a) if cnp.PyArray_ITEMSIZE(a) else 0):
        if cnp.PyArray_STRIDE(a, axis) % cnp.PyArray_ITEMSIZE(a) != 0:
            a = a.copy(order="C")
            break
    return a, key_of(a)


include "_graph_steps.pxi"


cdef class Program(Steps):
    """One planned sequence of operators: built once, run often, by many threads at once.

    Slots are declared first, in the order in which `run` takes their arrays: all inputs, then all
    outputs. A tensor is a tuple (slot, type number, offset in bytes, four sizes, four strides in
    bytes).
    """

    @property
    def isa(self):
        """Name of the instruction set that the program was planned for."""
        return fc_program_isa(self.program).decode()

    def workspace_bytes(self, int num_threads=1):
        """Bytes of workspace for so many threads."""
        return fc_program_workspace_bytes(self.program, num_threads)

    cdef int add_slot(self, tuple key, bint output) except -1:
        typenum, shape, strides = key
        cdef Slot *slot = &self.slots[self.slot_count]
        cdef int a
        if self.slot_count >= FC_MAX_SLOTS or len(shape) > 8:
            raise ValueError("too many slots or axes in one program")
        slot.typenum = typenum
        slot.ndim = len(shape)
        slot.output = output
        for a in range(slot.ndim):
            slot.shape[a] = shape[a]
            slot.strides[a] = strides[a]
        self.slot_count += 1
        return self.slot_count - 1

    def input(self, tuple key):
        """Declare an input (type number, shape, strides in bytes) -> its slot."""
        if self.input_count != self.slot_count - 1:
            raise ValueError("inputs are declared before outputs")
        slot = self.add_slot(key, False)
        self.input_count += 1
        return slot

    def output(self, tuple key):
        """Declare an output (type number, shape, strides in bytes) -> its slot."""
        return self.add_slot(key, True)

    cdef int fill_conv2d(self, fc_conv2d_desc *d, x, weight, bias, y, stride, pad, dilation, groups,
                         shuffle, activation, alpha, algorithm, packed) except -1:
        memset(d, 0, sizeof(d[0]))
        self.tensor(x, &d.x)
        self.tensor(weight, &d.weight)
        self.tensor(bias, &d.bias)
        self.tensor(y, &d.y)
        d.stride[0], d.stride[1] = stride
        d.pad[0], d.pad[1] = pad
        d.dilation[0], d.dilation[1] = dilation
        d.groups = groups
        d.shuffle = shuffle
        d.activation = activation
        d.alpha = alpha
        d.algorithm = algorithm
        d.weight_is_packed = packed
        return 0

    def add_conv2d(self, x, weight, bias, y, *, stride, pad, dilation, groups, shuffle=1,
                   activation=0, alpha=0.0, algorithm=0, packed=False, addend=None):
        """Append a convolution (fc_conv2d_desc in fastconv.h)."""
        cdef fc_conv2d_desc d
        self.fill_conv2d(&d, x, weight, bias, y, stride, pad, dilation, groups, shuffle, activation,
                         alpha, algorithm, packed)
        if addend is not None:
            d.has_addend = 1
            self.tensor(addend, &d.addend)
        check(fc_program_add_conv2d(self.program, &d))

    def add_linear(self, x, weight, bias, y, *, activation=0, alpha=0.0):
        """Append rows times weights as they lie (fc_linear_desc in fastconv.h)."""
        cdef fc_linear_desc d
        memset(&d, 0, sizeof(d))
        self.tensor(x, &d.x)
        self.tensor(weight, &d.weight)
        self.tensor(bias, &d.bias)
        self.tensor(y, &d.y)
        d.activation = activation
        d.alpha = alpha
        check(fc_program_add_linear(self.program, &d))

    def add_conv2d_pack(self, weight, bias, int slot, *, groups, algorithm):
        """Append the packing of a convolution's weight and bias into a slot."""
        cdef fc_conv2d_desc d
        memset(&d, 0, sizeof(d))
        self.tensor(weight, &d.weight)
        self.tensor(bias, &d.bias)
        d.groups = groups
        d.algorithm = algorithm
        check(fc_program_add_conv2d_pack(self.program, &d, slot, 0))

    def conv2d_packing(self, x, weight, y, *, stride, pad, dilation, groups, algorithm, shuffle=1):
        """Algorithm that a convolution would use, and the bytes of its packed weights."""
        cdef fc_conv2d_desc d
        cdef int32_t chosen
        cdef int64_t count
        self.fill_conv2d(&d, x, weight, None, y, stride, pad, dilation, groups, shuffle, 0, 0.0,
                         algorithm, False)
        check(fc_conv2d_packing(self.program, &d, &chosen, &count))
        return chosen, count

    cdef int volume(self, tuple description, fc_volume *v) except -1:
        cdef int a
        cdef int64_t itemsize
        slot, typenum, offset, size, stride = description
        v.slot = slot
        v.dtype = dtype_of(typenum)
        itemsize = cnp.PyArray_DescrFromType(typenum).itemsize
        v.offset_bytes = offset
        for a in range(5):
            v.size[a] = size[a]
            v.stride[a] = stride[a] // itemsize
        return 0

    cdef int fill_conv3d(self, fc_conv3d_desc *d, weight, bias, stride, dilation, groups,
                         transposed, algorithm) except -1:
        cdef int a
        memset(d, 0, sizeof(d[0]))
        self.volume(weight, &d.weight)
        self.tensor(bias, &d.bias)
        for a in range(3):
            d.stride[a] = stride[a]
            d.dilation[a] = dilation[a]
        d.groups = groups
        d.transposed = transposed
        d.algorithm = algorithm
        return 0

    def add_conv3d(self, x, weight, bias, y, *, stride, pad, dilation, groups, transposed,
                   pad_mode=0, activation=0, alpha=0.0, algorithm=0, packed=False):
        """Append a convolution of volumes, or its transpose (fc_conv3d_desc in fastconv.h)."""
        cdef fc_conv3d_desc d
        cdef int a
        self.fill_conv3d(&d, weight, bias, stride, dilation, groups, transposed, algorithm)
        self.volume(x, &d.x)
        self.volume(y, &d.y)
        for a in range(3):
            d.pad[a] = pad[a]
        d.pad_mode = pad_mode
        d.activation = activation
        d.alpha = alpha
        d.weight_is_packed = packed
        check(fc_program_add_conv3d(self.program, &d))

    def add_conv3d_pack(self, weight, bias, int slot, *, stride, dilation, groups, transposed,
                        algorithm):
        """Append the packing of such a convolution's weight and bias into a slot."""
        cdef fc_conv3d_desc d
        self.fill_conv3d(&d, weight, bias, stride, dilation, groups, transposed, algorithm)
        check(fc_program_add_conv3d_pack(self.program, &d, slot, 0))

    def conv3d_packing(self, x, weight, y, *, stride, pad, dilation, groups, transposed,
                       algorithm, pad_mode=0):
        """Algorithm that such a convolution would use, and the bytes of its packed weights."""
        cdef fc_conv3d_desc d
        cdef int32_t chosen
        cdef int64_t count
        cdef int a
        self.fill_conv3d(&d, weight, None, stride, dilation, groups, transposed, algorithm)
        self.volume(x, &d.x)
        self.volume(y, &d.y)
        for a in range(3):
            d.pad[a] = pad[a]
        d.pad_mode = pad_mode
        check(fc_conv3d_packing(self.program, &d, &chosen, &count))
        return chosen, count

    def add_pad(self, x, y, *, before, mode, value=0.0):
        """Append a padded or cropped copy of a volume (fc_pad_desc in fastconv.h)."""
        cdef fc_pad_desc d
        cdef int a
        memset(&d, 0, sizeof(d))
        self.volume(x, &d.x)
        self.volume(y, &d.y)
        for a in range(5):
            d.before[a] = before[a]
        d.mode = mode
        d.value = value
        check(fc_program_add_pad(self.program, &d))

    def add_pool2d(self, x, y, indices, *, kernel, stride, pad, dilation=(1, 1), average=False,
                   divisor_override=0, count_include_pad=True):
        """Append a pool (fc_pool2d_desc in fastconv.h); pad is (top, left, bottom, right)."""
        cdef fc_pool2d_desc d
        memset(&d, 0, sizeof(d))
        self.tensor(x, &d.x)
        self.tensor(y, &d.y)
        self.tensor(indices, &d.indices)
        d.kernel[0], d.kernel[1] = kernel
        d.stride[0], d.stride[1] = stride
        d.dilation[0], d.dilation[1] = dilation
        d.pad[0], d.pad[1], d.pad[2], d.pad[3] = pad
        d.divisor_override = divisor_override
        d.kind = FC_POOL_AVERAGE if average else FC_POOL_MAX
        d.count_include_pad = count_include_pad
        check(fc_program_add_pool2d(self.program, &d))

    def add_columns(self, x, columns, *, kernel, stride, pad, dilation, output, fold=False):
        """Append unfold, or its adjoint fold (fc_columns_desc in fastconv.h)."""
        cdef fc_columns_desc d
        memset(&d, 0, sizeof(d))
        self.tensor(x, &d.x)
        self.tensor(columns, &d.columns)
        d.kernel[0], d.kernel[1] = kernel
        d.stride[0], d.stride[1] = stride
        d.pad[0], d.pad[1] = pad
        d.dilation[0], d.dilation[1] = dilation
        d.output[0], d.output[1] = output
        if fold:
            check(fc_program_add_fold(self.program, &d))
        else:
            check(fc_program_add_unfold(self.program, &d))

    def add_elementwise(self, x, y, *, activation, alpha=0.0, beta=0.0):
        """Append an element-wise function (fc_elementwise_desc in fastconv.h)."""
        cdef fc_elementwise_desc d
        memset(&d, 0, sizeof(d))
        self.tensor(x, &d.x)
        self.tensor(y, &d.y)
        d.activation = activation
        d.alpha = alpha
        d.beta = beta
        check(fc_program_add_elementwise(self.program, &d))

    def add_softmax(self, x, y, *, logarithm=False):
        """Append a softmax, or its logarithm, over axis 1 of (outer, axis, inner, 1) views."""
        cdef fc_softmax_desc d
        memset(&d, 0, sizeof(d))
        self.tensor(x, &d.x)
        self.tensor(y, &d.y)
        d.logarithm = logarithm
        check(fc_program_add_softmax(self.program, &d))

    def add_local2d(self, x, weight, bias, y, *, kernel, stride, pad, dilation):
        """Append a locally connected layer (fc_local2d_desc in fastconv.h)."""
        cdef fc_local2d_desc d
        memset(&d, 0, sizeof(d))
        self.tensor(x, &d.x)
        self.tensor(weight, &d.weight)
        self.tensor(bias, &d.bias)
        self.tensor(y, &d.y)
        d.kernel[0], d.kernel[1] = kernel
        d.stride[0], d.stride[1] = stride
        d.pad[0], d.pad[1] = pad
        d.dilation[0], d.dilation[1] = dilation
        check(fc_program_add_local2d(self.program, &d))

    cdef int bind(self, int index, cnp.ndarray array, void **pointers) except -1:
        """Check that the array is what the program was planned for."""
        cdef Slot *slot = &self.slots[index]
        cdef int a
        cdef bint same = (cnp.PyArray_TYPE(array) == slot.typenum
                          and cnp.PyArray_NDIM(array) == slot.ndim
                          and cnp.PyArray_ISBEHAVED_RO(array)
                          and (not slot.output or cnp.PyArray_ISWRITEABLE(array)))
        if same:
            for a in range(slot.ndim):
                # the stride of an axis of size 1 (or of an empty array) is never used
                if (cnp.PyArray_DIM(array, a) != slot.shape[a]
                        or (cnp.PyArray_STRIDE(array, a) != slot.strides[a]
                            and slot.shape[a] > 1 and cnp.PyArray_SIZE(array) > 0)):
                    same = False
        if not same:
            raise ValueError(f"slot {index}: the array is not the one that was planned for")
        pointers[index] = cnp.PyArray_DATA(array)
        return 0

    def run(self, tuple inputs, tuple outputs=None, num_threads=None,
            cnp.ndarray step_seconds=None):
        """Run on arrays in slot order -> the output, or a tuple of several.

        Outputs that are None, or all of them with `outputs=None`, are allocated. `step_seconds`, a
        float64 array of `step_count` elements, receives how long each step took.
        """
        cdef void *pointers[64]
        cdef int index, team = 1, limit, output_count = self.slot_count - 1 - self.input_count
        cdef int64_t workspace_bytes
        cdef Buffer workspace = None
        cdef void *memory = NULL
        cdef fc_status status
        cdef cnp.ndarray array
        cdef double *seconds = NULL
        if step_seconds is not None:
            if (cnp.PyArray_TYPE(step_seconds) != cnp.NPY_DOUBLE
                    or not cnp.PyArray_ISCARRAY(step_seconds)
                    or cnp.PyArray_SIZE(step_seconds) != self.step_count):
                raise ValueError("step_seconds: expected one float64 for each step")
            seconds = <double *>cnp.PyArray_DATA(step_seconds)
        if len(inputs) != self.input_count:
            raise ValueError("the number of inputs is not that of the program's slots")
        if outputs is not None and len(outputs) != output_count:
            raise ValueError("the number of outputs is not that of the program's slots")
        for index in range(self.input_count):
            self.bind(index + 1, inputs[index], pointers)
        results = []
        for index in range(self.input_count + 1, self.slot_count):
            given = None if outputs is None else outputs[index - 1 - self.input_count]
            if given is None:
                array = new_array(self.slots[index].typenum, self.slots[index].ndim,
                                  self.slots[index].shape)
                pointers[index] = cnp.PyArray_DATA(array)
            else:
                array = given
                self.bind(index, array, pointers)
            results.append(array)
        limit = fc_program_threads(self.program, requested(num_threads))
        if limit > 1:
            limit = capped(limit)
        workspace_bytes = fc_program_workspace_bytes(self.program, limit)
        if workspace_bytes < 0:
            raise ValueError("the workspace would exceed the address space")
        if workspace_bytes > 0:
            workspace = new_buffer(workspace_bytes)
            memory = workspace.pointer
            if workspace_fill >= 0:
                memset(memory, workspace_fill, workspace_bytes)
        with nogil:
            status = fc_program_profile(self.program, pointers, self.slot_count, memory,
                                        workspace_bytes, limit, &team, seconds)
        check(status)
        global last_team_size
        last_team_size = team
        return results[0] if output_count == 1 else tuple(results)
