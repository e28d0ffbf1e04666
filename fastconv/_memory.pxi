# ---- memory: outputs and workspaces that are used again, so that a steady state has no page faults

cdef extern from *:
    """
    #include <stdlib.h>
    #ifdef __GLIBC__
    #include <malloc.h>
    #define give_back_free_memory() malloc_trim(0)
    #else
    #define give_back_free_memory() ((void) 0)
    #endif
    """
    void give_back_free_memory() noexcept


cdef enum:
    POOL_CLASSES = 160  # size classes: four to each power of two
    POOL_DEPTH = 8      # free blocks kept in a class
    SMALLEST = 16384    # smaller outputs come from NumPy's own allocator

cdef size_t pool_limit = <size_t>128 << 20
cdef size_t pool_bytes = 0
cdef void *pool_free[POOL_CLASSES][POOL_DEPTH]
cdef int pool_count[POOL_CLASSES]


cdef int size_class(size_t bytes, size_t *rounded) noexcept:
    """Index of the smallest class that holds `bytes`, and that class's size."""
    cdef size_t power = SMALLEST
    cdef int index = 0
    while power * 2 <= bytes:
        power *= 2
        index += 4
    cdef size_t quarter = power // 4
    cdef size_t steps = (bytes - power + quarter - 1) // quarter if bytes > power else 0
    rounded[0] = power + steps * quarter
    return index + <int>steps


cdef class Buffer:
    """Memory that goes back to the pool when the last array or call that uses it is gone."""

    cdef void *pointer
    cdef size_t bytes
    cdef int index

    def __dealloc__(self):
        global pool_bytes
        if self.pointer == NULL:
            return
        if (self.index < POOL_CLASSES and pool_count[self.index] < POOL_DEPTH
                and pool_bytes + self.bytes <= pool_limit):
            pool_free[self.index][pool_count[self.index]] = self.pointer
            pool_count[self.index] += 1
            pool_bytes += self.bytes
        else:
            free(self.pointer)


cdef Buffer new_buffer(size_t bytes):
    global pool_bytes
    cdef Buffer buffer = Buffer.__new__(Buffer)
    buffer.index = size_class(bytes, &buffer.bytes)
    if buffer.index < POOL_CLASSES and pool_count[buffer.index] > 0:
        pool_count[buffer.index] -= 1
        buffer.pointer = pool_free[buffer.index][pool_count[buffer.index]]
        pool_bytes -= buffer.bytes
    else:
        buffer.pointer = allocate_pages(buffer.bytes)
        if buffer.pointer == NULL:
            raise MemoryError(f"cannot allocate {bytes} bytes")
    return buffer


def trim():
    """Give the pool's free memory back, through the C library to the system -> bytes given back."""
    global pool_bytes
    cdef size_t before = pool_bytes
    for index in range(POOL_CLASSES):
        while pool_count[index] > 0:
            pool_count[index] -= 1
            free(pool_free[index][pool_count[index]])
    pool_bytes = 0
    give_back_free_memory()
    return before


cdef cnp.ndarray new_array(int typenum, int ndim, cnp.npy_intp *shape):
    cdef cnp.npy_intp bytes = cnp.PyArray_DescrFromType(typenum).itemsize
    cdef Buffer buffer
    cdef int a
    for a in range(ndim):
        if shape[a] and bytes > (<cnp.npy_intp>1 << 47) // shape[a]:
            wanted = tuple(shape[b] for b in range(ndim))
            raise MemoryError(f"an output of shape {wanted} is too large")
        bytes *= shape[a]
    if bytes < SMALLEST:
        return cnp.PyArray_SimpleNew(ndim, shape, typenum)
    buffer = new_buffer(bytes)
    cdef cnp.ndarray array = cnp.PyArray_SimpleNewFromData(ndim, shape, typenum, buffer.pointer)
    cnp.set_array_base(array, buffer)
    return array


def empty_bytes(int64_t count):
    """Uninitialised uint8 array of `count` bytes, aligned for packed weights."""
    cdef Buffer buffer = new_buffer(max(count, 1))
    cdef cnp.npy_intp shape = count
    cdef cnp.ndarray array = cnp.PyArray_SimpleNewFromData(1, &shape, cnp.NPY_UINT8, buffer.pointer)
    cnp.set_array_base(array, buffer)
    return array
