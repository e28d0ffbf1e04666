# ---- what programs are made of, and the steps that networks need beside convolutions and pools

cdef struct Slot:
    int typenum
    int ndim
    bint output
    cnp.npy_intp shape[8]
    cnp.npy_intp strides[8]


cdef class Steps:
    """A program's slots, and the steps that `Program` shares with no operator of its own."""

    cdef fc_program *program
    cdef Slot *slots
    cdef int slot_count, input_count

    def __cinit__(self):
        self.slot_count = 1
        check(fc_program_create(&self.program))
        self.slots = <Slot *>PyMem_Malloc(FC_MAX_SLOTS * sizeof(Slot))
        if self.slots == NULL:
            raise MemoryError()

    def __dealloc__(self):
        fc_program_destroy(self.program)
        PyMem_Free(self.slots)

    cdef int tensor(self, object description, fc_tensor *t) except -1:
        cdef int a
        cdef int64_t itemsize
        if description is None:
            t.slot = FC_NO_SLOT
            return 0
        slot, typenum, offset, size, stride = description
        t.slot = slot
        t.dtype = dtype_of(typenum)
        if not 0 <= t.slot < self.slot_count:
            raise ValueError(f"slot {slot} is not declared")
        itemsize = cnp.PyArray_DescrFromType(typenum).itemsize
        t.offset_bytes = offset
        for a in range(4):
            t.size[a] = size[a]
            t.stride[a] = stride[a] // itemsize
        return 0

    @property
    def step_count(self):
        """Number of steps so far."""
        return fc_program_step_count(self.program)

    def reserve(self, int64_t count):
        """Room in the workspace -> its offset in slot 0."""
        cdef int64_t offset
        check(fc_program_reserve_bytes(self.program, count, &offset))
        return offset

    def add_response(self, x, y, *, size, alpha, beta, bias):
        """Append a local response normalization (fc_response_desc in fastconv.h)."""
        cdef fc_response_desc d
        self.tensor(x, &d.x)
        self.tensor(y, &d.y)
        d.size = size
        d.alpha = alpha
        d.beta = beta
        d.bias = bias
        check(fc_program_add_response(self.program, &d))

    def add_copy(self, x, y):
        """Append a copy, with conversion where dtypes differ (fc_copy_desc in fastconv.h)."""
        cdef fc_copy_desc d
        self.tensor(x, &d.x)
        self.tensor(y, &d.y)
        check(fc_program_add_copy(self.program, &d))

    def add_fill(self, y, double value):
        """Append a fill with one value (fc_fill_desc in fastconv.h)."""
        cdef fc_fill_desc d
        self.tensor(y, &d.y)
        d.value = value
        check(fc_program_add_fill(self.program, &d))

    def add_binary(self, a, b, y, *, operation, activation=0, alpha=0.0):
        """Append a function of two operands (fc_binary_desc in fastconv.h)."""
        cdef fc_binary_desc d
        self.tensor(a, &d.a)
        self.tensor(b, &d.b)
        self.tensor(y, &d.y)
        d.operation = operation
        d.activation = activation
        d.alpha = alpha
        check(fc_program_add_binary(self.program, &d))

    def add_choose(self, condition, a, b, y):
        """Append the choice of one of two operands (fc_choose_desc in fastconv.h)."""
        cdef fc_choose_desc d
        self.tensor(condition, &d.condition)
        self.tensor(a, &d.a)
        self.tensor(b, &d.b)
        self.tensor(y, &d.y)
        check(fc_program_add_choose(self.program, &d))

    def add_unary(self, x, y, *, operation):
        """Append a mathematical function (fc_unary_desc in fastconv.h)."""
        cdef fc_unary_desc d
        self.tensor(x, &d.x)
        self.tensor(y, &d.y)
        d.operation = operation
        check(fc_program_add_unary(self.program, &d))

    def add_reduce(self, x, y, *, operation):
        """Append a reduction over the axes along which y has size 1 (fc_reduce_desc)."""
        cdef fc_reduce_desc d
        self.tensor(x, &d.x)
        self.tensor(y, &d.y)
        d.operation = operation
        check(fc_program_add_reduce(self.program, &d))

    def add_extreme(self, x, y, *, smallest=False, last=False):
        """Append where x is largest or smallest along axis 1 (fc_extreme_desc in fastconv.h)."""
        cdef fc_extreme_desc d
        self.tensor(x, &d.x)
        self.tensor(y, &d.y)
        d.smallest = smallest
        d.last = last
        check(fc_program_add_extreme(self.program, &d))

    def add_scatter(self, x, places, y):
        """Append elements put where indices say, else zeros (fc_scatter_desc in fastconv.h)."""
        cdef fc_scatter_desc d
        self.tensor(x, &d.x)
        self.tensor(places, &d.places)
        self.tensor(y, &d.y)
        check(fc_program_add_scatter(self.program, &d))

    def add_batch_norm(self, x, y, mean, variance, weight, bias, *, epsilon, activation=0,
                       alpha=0.0):
        """Append a batch normalization (fc_batch_norm_desc in fastconv.h)."""
        cdef fc_batch_norm_desc d
        self.tensor(x, &d.x)
        self.tensor(y, &d.y)
        self.tensor(mean, &d.mean)
        self.tensor(variance, &d.variance)
        self.tensor(weight, &d.weight)
        self.tensor(bias, &d.bias)
        d.epsilon = epsilon
        d.activation = activation
        d.alpha = alpha
        check(fc_program_add_batch_norm(self.program, &d))

    def add_resize(self, x, y, rows, columns):
        """Append a resize; rows, columns: (taps, indices, weights) for each axis of the output."""
        cdef fc_resize_desc d
        cdef cnp.ndarray index, weight
        cdef int a
        self.tensor(x, &d.x)
        self.tensor(y, &d.y)
        kept = []
        for a in range(2):
            taps, indices, weights = (rows, columns)[a]
            index = np.ascontiguousarray(indices, np.int64)
            weight = np.ascontiguousarray(weights, np.float64)
            if not cnp.PyArray_SIZE(index) == cnp.PyArray_SIZE(weight) == taps * d.y.size[2 + a]:
                raise ValueError("a table's size is not that of the output")
            kept += [index, weight]
            d.taps[a] = taps
            d.index[a] = <const int64_t *>cnp.PyArray_DATA(index)
            d.weight[a] = <const double *>cnp.PyArray_DATA(weight)
        check(fc_program_add_resize(self.program, &d))
